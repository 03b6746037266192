/* Inside room report: what gnuplot's scripts are put together from. */
#ifndef SWEEP_REPORT_PLOTS_H
#define SWEEP_REPORT_PLOTS_H

#include "inside.h"

enum { PLOT_STYLES = 9, PLOT_MAX_NAMES = 512 };
extern const char *const plot_colours[PLOT_STYLES];
extern const int plot_points[PLOT_STYLES];

/** 'text' in single quotes, where only the quote itself means anything. */
void plot_quoted(struct str *gp, const char *text);
/** The first lines of a script: terminal, size in pixels, output, grid. */
void plot_head(struct str *gp, const char *name, int width, int height);
void plot_axis(struct str *gp, const char *axis, const char *name, const char *unit);
/** "higher is better" */
const char *plot_direction(const struct report *r);

/** Distinct names, in order of appearance. */
struct plot_names {
    const char *v[PLOT_MAX_NAMES];
    int n;
};
/** Index of a name, which is added where it is new; -1: no room. */
int plot_name_index(struct plot_names *list, const char *name);

/** An axis that fits the data with a little room: values further out than three interquartile ranges do not stretch it.
 *  Sorts @p v. NAN for none. */
struct plot_range {
    double low, high;
};
struct plot_range plot_range_of(double *v, int n);

/** Mean quality of each cell against its latency. */
bool plot_quality_latency(struct report *r, struct str *gp);

#endif
