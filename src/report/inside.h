/* Inside room report: what was read from the store, and who draws what from it. */
#ifndef SWEEP_REPORT_INSIDE_H
#define SWEEP_REPORT_INSIDE_H

#include "report.h"
#include "store.h"
#include <math.h>

/* One trial. Numbers that are not there are NAN. */
struct cell {
    const char *id, *arch, *backbone, *state, *reason, *loss_key;
    const char *label;  /* "unet / resnet18", and the other axes that differ: "seed 1" */
    const char *family; /* label without the seed: cells that differ in the seed alone share it */
    int height, width, seed, ordinal;
    double quality; /* the rank metric */
    double ssim, ms_ssim, psnr, l1, val_loss, feature_distance, style_distance, kid, p50_ms, p90_ms, fps, params, macs,
        train_s;
    const struct family *of; /* NULL without a quality */
    bool pareto;             /* its family is on the front */
};

/* Cells that differ in the seed alone: mean and spread over those that have a quality. */
struct family {
    const char *label;
    const struct cell *best; /* of its seeds */
    int n;
    double mean, spread, p50_ms; /* spread: sample standard deviation, NAN for one */
    bool like_best;              /* cannot be told from the best one; the best itself is none of these */
    bool pareto;                 /* no other that beats the input is as good and as fast, and better in one */
};

/* What cells of one size compare with: means over their trials. */
struct baseline {
    int height, width;
    double identity, untrained; /* the rank metric of the identity mapping and of the untrained nets; NAN */
};

struct report {
    struct arena arena;
    struct store *store;
    const struct report_options *o;
    const struct report_metric *rank;
    const char *title;
    int64_t sweep;                    /* row id, 0: all */
    struct cell *cells;               /* best first; those without quality last */
    int n_cells, n_ranked, n_losses;  /* distinct training losses */
    int n_sizes;                      /* of pictures that have a quality */
    int n_skipped;                    /* damaged pairs that data.skip_damaged left out, of the cell with most */
    struct family *families;          /* the best mean first */
    int n_families, n_seeded;         /* with several seeds */
    struct report_pictures *pictures; /* the rank metric, image by image */
    struct baseline *baselines;       /* one a size, the smallest first */
    int n_baselines;
    const char *device;
    size_t bytes_in_page; /* of pictures; past a bound they lie in a folder beside it */
    struct str warnings;  /* HTML list items, plain text escaped */
};

/** Which sweep, and its rank metric. */
struct status report_find(struct report *r);
/** Its cells; after report_find. */
struct status report_load(struct report *r);
/** Only then do qualities of two cells compare. */
bool same_size(const struct cell *a, const struct cell *b);
bool better(const struct report *r, double a, double b);
/** That of @p c's size; numbers that are not known are NAN. Borrowed. */
const struct baseline *baseline_of(const struct report *r, const struct cell *c);
/** False when pictures of @p quality, of @p c's size, are no better than those that the net was given; true where that
 * is not known. */
bool beats_input(const struct report *r, const struct cell *c, double quality);
/** True where the rank metric is none of @p others (ends with NULL), which have columns anyway. */
bool rank_is_own(const struct report *r, const char *const *others);
/** True where two cells' pictures cannot be told apart; where nothing is known of images, by what seeds differ by, or
 * by what is printed. */
bool ties(const struct report *r, const struct family *a, const struct family *b);
int by_ascending(const void *a, const void *b); /* doubles */
/** The front, of families; cells have it of theirs. */
void mark_pareto(struct report *r);

struct status write_csv(struct report *r);
struct status write_markdown(struct report *r);
struct status write_plots(struct report *r, struct report_written *out);
struct status write_page(struct report *r, const struct report_written *w);
/** The best cells, in words. */
void add_answers(const struct report *r, struct str *out);
void add_gallery(struct report *r, struct str *out);
/** What a reader can ask the page: measurement, frame budget, filter; and the pictures of each cell. */
void add_explorer(struct report *r, struct str *out);
/** Of an artifact: a data URI, or a path in a folder beside the page once that holds much; nothing when it is gone. */
void add_picture_source(struct report *r, struct str *out, const char *path);

/* mark.c: what a report was made from */
struct status mark_of(struct hash *out, struct report *r);
bool mark_holds(struct report *r, const struct hash *mark);
struct status mark_put(struct report *r, const struct hash *mark);

/** A metric's name as people write it: "SSIM" for ssim. */
const char *metric_shown(const char *metric);
/** "%.3g"-like text, or "" for NAN. Borrowed, from a ring. */
const char *number(double v, int digits);
/** "1.2 M", "3.4 G". */
const char *human(double v);
void add_escaped(struct str *out, const char *text);
void add_base64(struct str *out, const void *p, size_t n);
/** Folder of the plots, in the arena. */
const char *plots_dir(struct report *r);

/* Names of the plots that were drawn, in the page's order; see plots.c. */
extern const struct plot_kind {
    const char *name, *title;
    bool (*script)(struct report *r, struct str *gp); /* false: nothing to draw */
} plot_kinds[];

#endif
