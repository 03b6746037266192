/*
 * report: a sweep's rows as a page, tables and plots. Reads the store and nothing else: writing a report again runs
 * nothing. Plots are drawn by gnuplot from scripts that stay beside them, so that a reader can change and redraw one.
 */
#ifndef SWEEP_REPORT_H
#define SWEEP_REPORT_H

#include "base.h"

/** The metric that orders cells, as the caller's table describes it. */
struct report_metric {
    const char *name; /* "ssim" */
    const char *unit; /* "dB", "" */
    bool higher_is_better;
};

struct report_options {
    const char *db;      /* the database file */
    const char *sweep;   /* its name; NULL: every trial */
    const char *dir;     /* folder to write, made when absent: reports/NAME */
    const char *gnuplot; /* program; NULL: "gnuplot" */
    bool unless_same;    /* write nothing when the folder already shows what the store holds */
    /** The row of a metric by name, NULL when there is none; the store's sweep says which name. */
    const struct report_metric *(*metric)(const char *name);
};

/** What was written. */
struct report_written {
    int cells, plots;
    bool same;         /* nothing was written: it was there */
    char index[1200];  /* path of the page */
    char missing[400]; /* why there are no plots, "" when there are */
};

/**
 * Writes DIR/index.html (self-contained), results.csv, results.md and plots/NAME.{gp,svg,png}.
 * Errors: STATUS_ARG when there is no such sweep (naming those there are); STATUS_IO, STATUS_DB. A missing or failing
 * gnuplot is no error: the tables are written and out->missing says what to do.
 */
struct status report_write(struct report_written *out, const struct report_options *o);

/* ---- what can be claimed ---------------------------------------------------------------------------------------- */

/** How a cell differs from another in one metric, with a 95 % interval. */
struct report_difference {
    int n_images, n_a, n_b; /* images that all trials have; trials (seeds) of each side. No images: nothing is known */
    double a, b;            /* means */
    double mean, low, high; /* of a - b */
    double seed_sd;         /* of one trial's mean over seeds; NAN: not known, the interval is of the images alone */
    bool tells;             /* the interval excludes 0 */
    double images, seeds;   /* where it does not: how many would, each alone; INFINITY: no number would */
};

/** The parts of it: values [trial][image] of each side, of the same images in the same order. */
struct report_sides {
    const double *a, *b;
    int n_a, n_b, n_images;
    double seed_variance, seed_freedom; /* of other cells, for sides of one trial each; freedom 0: not known */
};
/**
 * Paired by image. Images are drawn again, as bootstraps do; what seeds make of a cell, of which there are a few at
 * most, is taken to be normal with the variance that they have within a cell; the interval is widened to Student's for
 * what both are estimated from. Without any cell of several seeds the interval is of the images alone.
 */
struct report_difference report_difference(const struct report_sides *s);

/** Values of one metric by trial and image. Owner: the caller, report_pictures_free. */
struct report_pictures;
struct store;
/** @p trials: ids, an array; NULL: all. */
struct status report_pictures_load(struct report_pictures **out, struct store *s, const char *metric,
                                   const json_t *trials);
void report_pictures_free(struct report_pictures *p);
/** Two cells, each the ids of its trials. */
struct report_difference report_compare(const struct report_pictures *p, const json_t *a, const json_t *b);

/** Milliseconds, median over the visits of their medians; visits and their samples are drawn again, and fresh processes
 *  are taken to differ by 2 %, which few visits cannot show. n_images is the number of samples, n_a and n_b those of
 * the visits. Of the fp32 ONNX with one thread. */
struct status report_compare_latency(struct report_difference *out, struct store *s, const char *device,
                                     const json_t *a, const json_t *b);

#endif
