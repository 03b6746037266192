/* What the files of the room share. */
#ifndef PLAN_INSIDE_H
#define PLAN_INSIDE_H

#include "plan.h"

/* A set of images as one trial asks for it. */
struct plan_images {
    const char *fingerprint;
    const char *refused; /* why its pictures do not serve the trial; NULL: they do */
    int n_train, n_val, skipped;
};

/* A key of a stage, and its line in what is hashed, for the value that was met last. */
struct plan_text {
    const char *name;
    json_t *fallback; /* the default of a key added after the first version, not hashed; NULL: every value is */
    json_t *value;
    struct str line;
};

/* Answers that many cells share, by the text that decides them. */
struct plan_build {
    struct plan *plan;
    const char *weights_dir, *cache;
    const struct spec *spec; /* the file in hand; NULL: a stored configuration */
    const char *source;      /* its name, for messages */
    const char *trained;     /* key of the stored training that the configuration is of; NULL: it may be still to do */
    const char *precision;
    json_t *mistakes; /* of the user's, so far; NULL: the first one ends the plan */
    int cores;
    json_t *trials, *stages;                 /* id, key -> index */
    json_t *sizes, *images, *files, *losses; /* text -> answer */
    json_t *configs;                         /* one of each cell: stages borrow them */
    struct plan_text *texts[PLAN_N_KINDS];   /* names that a kind's mask covers, sorted, ending with a NULL name */
    struct spec_before before;
    int cap_trials, cap_stages, cap_warnings;
};

/* A cell before it is a trial. */
struct plan_point {
    json_t *flat; /* fixed keys and this cell's, as written */
    json_t *axes; /* this cell's alone */
};

enum { PLAN_MAX_CELLS = 1000000 };

/* What the axes of a file come to. */
struct plan_cells {
    struct plan_point *v;
    int n;
    int *excluded; /* [rule] cells that it drops; the last: that no include has */
    int n_excluded;
    int n_drawn; /* of a sample, seeds not counted */
};

/* An expansion under way. */
struct plan_expand {
    const struct spec *s;
    struct plan_cells *out;
    json_t **axes;    /* [spec.order] its alternatives as maps, patterns expanded */
    json_t *defaults; /* flat */
    int cap;
};

/** Patterns and names of the axes against the zoo, then their product or a sample of it, less what rules exclude.
 *  @p mistakes as spec_note has it: names that are none go there, and no cells are made.
 *  Owner: the caller, plan_cells_free, also after a failure. */
struct status plan_expand(struct plan_cells *out, const struct spec *s, struct arena *a, json_t *mistakes);
void plan_cells_free(struct plan_cells *c);
/** True when a cell that has @p axes so far also has this axis. */
bool plan_applies(const struct plan_expand *e, int axis, const json_t *axes);
/** Keeps the cell, or counts the rule that drops it: false. */
bool plan_keep_cell(struct plan_expand *e, const json_t *axes);
struct status plan_sample(struct plan_expand *e);

/** @p mistakes as spec_note has it. STATUS_ARG with the nearest name when an architecture, backbone or loss network,
 * fixed or of a rule, is not in the zoo. */
struct status plan_check_names(const struct spec *s, struct arena *a, json_t *mistakes);

/** The stage keys' tables, once. */
void plan_keys_init(struct plan_build *b);
void plan_keys_free(struct plan_build *b);
/** Keys of a trial's stages: fills @p out [kind]; format and device are added by plan_key_of. */
void plan_keys(char out[PLAN_N_KINDS][PLAN_KEY], struct plan_build *b, const json_t *config,
               const struct plan_content *c);
/** What a trial says of 8-bit files alone; false where it says nothing that is not the default. */
bool plan_quantise_key(char out[PLAN_KEY], const struct spec_trial *t);
/** Key of one stage from its kind's part, its format and device, and the keys it reads from. */
void plan_key_of(char out[PLAN_KEY], const char *part, const char *format, const char *device, const char *const *from,
                 int n_from);
void plan_loss_key(char out[PLAN_KEY], const struct plan_build *b, const json_t *config, const char *weights);

/** Adds a warning, once; @p text must live as long as the plan. */
void plan_warn(struct plan_build *b, const char *text);

/** Params and MACs, or the reason why the cell is impossible. */
struct status plan_size_of(struct plan_size *out, const char **refused, struct plan_build *b,
                           const struct spec_trial *t);
/** Where @p key was written, for messages; in the arena or borrowed. */
const char *plan_where(struct arena *a, const struct plan_build *b, const char *key);
struct status plan_images_of(struct plan_images *out, struct plan_build *b, const struct spec_trial *t);
/** What a file's results are ordered by. */
struct status plan_rank(const char **out, struct plan_build *b, const struct spec *s);
/** Files, precision: what the configuration leaves to this machine is put in words before it is hashed. @p config:
 * owner the caller. */
struct status plan_resolve(struct spec_trial *t, json_t **config, struct plan_content *content, struct plan_build *b);
/** Of a file with mistakes, from which no cells are made: the images and files that it names for all cells. */
struct status plan_look_around(struct plan_build *b);
/** A warning of the plan, once each. */
void plan_warn(struct plan_build *b, const char *text);
/** Hash of a file's content, computed once. */
struct status plan_file_of(const char **out, struct plan_build *b, const char *path);
/** What the loss weighs for one image, both pictures through it; zeros where it cannot be built: training says why, and
 *  a prediction is no place to fail. */
struct plan_size plan_loss_size(struct plan_build *b, const struct spec_trial *t);

/** What a stage's cost is made of. */
struct plan_load {
    const struct spec_trial *t;
    struct plan_size net, loss;
    struct plan_images images;
    int cores;
};
struct plan_cost plan_cost_of(enum plan_kind kind, const struct plan_load *l);

#endif
