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

#endif
