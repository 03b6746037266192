/* Quality against latency: one point a cell, the mean over its seeds, and the front of those that are worth choosing.
 */
#include "plots.h"

enum {
    MAX_NUMBERED = 14,
    MANY = 120 /* from here on points are small, or they cover each other */,
    WIDTH = 1100,
    HEIGHT = 560
};

/* About the pixels of the graph and of a character, for labels that keep clear of each other. */
static const double graph_width = 700, graph_height = 470, char_width = 8, char_height = 15;

static bool placed(const struct family *f)
{
    return !isnan(f->mean) && !isnan(f->p50_ms);
}

static int by_latency(const void *a, const void *b)
{
    double x = (*(const struct family *const *)a)->p50_ms, y = (*(const struct family *const *)b)->p50_ms;
    return (x > y) - (x < y);
}

/* The picture: what is drawn, and where. */
struct picture {
    const struct family **v; /* placed ones, fastest first */
    int n;
    double least, most; /* of the latencies, with room */
    bool wide;          /* a logarithmic axis */
    struct plot_range y;
};

static struct picture picture_of(struct report *r)
{
    struct picture p = {.v = mem_alloc(sizeof *p.v * (size_t)(r->n_families + 1)), .least = (double)INFINITY};
    double *quality = mem_alloc(sizeof *quality * (size_t)(2 * r->n_families + 1));
    int n = 0;
    for (int i = 0; i < r->n_families; i++) {
        const struct family *f = &r->families[i];
        if (!placed(f)) continue;
        double spread = isnan(f->spread) ? 0 : f->spread;
        quality[n++] = f->mean - spread;
        quality[n++] = f->mean + spread;
        p.v[p.n++] = f;
        p.least = fmin(p.least, f->p50_ms);
        p.most = fmax(p.most, f->p50_ms);
    }
    qsort(p.v, (size_t)p.n, sizeof(const struct family *), by_latency);
    p.y = plot_range_of(quality, n);
    free(quality);
    p.wide = p.most > 8 * p.least;
    double room = 0.1 * (p.most - p.least) + 0.5;
    p.least = fmax(p.wide ? p.least / 1.3 : p.least - room, 1e-3);
    p.most = p.wide ? p.most * 1.3 : p.most + room;
    return p;
}

static bool outside(const struct picture *p, double quality)
{
    return quality < p->y.low || quality > p->y.high;
}

/* Where a point is drawn: one that the axis does not reach stands at its edge. */
static double drawn(const struct picture *p, double quality)
{
    return fmin(fmax(quality, p->y.low), p->y.high);
}

/* ---- numbers beside the points -------------------------------------------------------------------------------------
 */

struct box {
    double x, y, w, h; /* centre and size, pixels */
};

static bool overlap(const struct box *a, const struct box *b)
{
    return fabs(a->x - b->x) < (a->w + b->w) / 2 && fabs(a->y - b->y) < (a->h + b->h) / 2;
}

static struct box point_box(const struct picture *p, const struct family *f)
{
    double at =
        p->wide ? log(f->p50_ms / p->least) / log(p->most / p->least) : (f->p50_ms - p->least) / (p->most - p->least);
    return (struct box){at * graph_width, (drawn(p, f->mean) - p->y.low) / (p->y.high - p->y.low) * graph_height, 12,
                        12};
}

/* The nearest of these places beside its point at which a number covers neither a point nor another number. */
static const double places[][2] = {{0, 1.15},  {0, -1},     {2, 0},      {-2, 0},      {2, 0.8}, {-2, 0.8},
                                   {2, -0.8},  {-2, -0.8},  {0, 1.9},    {0, -1.9},    {3.5, 0}, {-3.5, 0},
                                   {3.5, 1.6}, {-3.5, 1.6}, {3.5, -1.6}, {-3.5, -1.6}, {0, 2.8}, {0, -2.8}};

static void add_numbers(struct str *gp, const struct picture *p, const struct family *const *shown, int n)
{
    struct box *taken = mem_alloc(sizeof *taken * (size_t)(p->n + n));
    int n_taken = 0;
    for (int i = 0; i < p->n; i++) taken[n_taken++] = point_box(p, p->v[i]);
    for (int i = 0; i < n; i++) {
        struct box at = point_box(p, shown[i]), label = at;
        size_t first = isnan(shown[i]->spread) ? 0 : 2, place = first; /* a bar goes up and down from the point */
        bool free_of = false;
        for (size_t k = 0; k < LEN(places) && !free_of; k++) {
            size_t try = (first + k) % LEN(places);
            label = (struct box){at.x + places[try][0] * char_width, at.y + places[try][1] * char_height,
                                 (i + 1 > 9 ? 2 : 1) * char_width + 2, char_height - 2};
            free_of = true;
            for (int j = 0; j < n_taken && free_of; j++) free_of = !overlap(&label, &taken[j]);
            if (free_of) place = try;
        }
        taken[n_taken++] = label;
        str_addf(gp, "set label '%d' at %.6g,%.8g center offset char %g,%g front\n", i + 1, shown[i]->p50_ms,
                 drawn(p, shown[i]->mean), places[place][0], places[place][1]);
    }
    free(taken);
}

/* ---- the script ----------------------------------------------------------------------------------------------------
 */

static void add_rates(struct str *gp, double least, double most)
{
    static const int fps[] = {60, 30, 15};
    for (size_t i = 0; i < LEN(fps); i++) {
        double ms = 1000.0 / fps[i];
        if (ms < least || ms > most) continue;
        str_addf(gp,
                 "set arrow from %g, graph 0 to %g, graph 1 nohead dt 3 lc rgb '#999999'\n"
                 "set label '%d frames/s' at %g, graph 0.02 rotate left offset char -0.7,0 tc rgb '#777777'\n",
                 ms, ms, fps[i], ms);
    }
}

static void add_axes(struct report *r, struct str *gp, const struct picture *p)
{
    char text[200];
    plot_head(gp, "quality-latency", WIDTH, HEIGHT);
    snprintf(text, sizeof text, "%s%s%s", r->rank->unit, *r->rank->unit ? ", " : "", plot_direction(r));
    plot_axis(gp, "y", metric_shown(r->rank->name), text);
    snprintf(text, sizeof text, "ms a frame, median; fp32 ONNX on %s, 1 thread", r->device);
    plot_axis(gp, "x", "latency", text);
    str_addf(gp, "%sset xrange [%g:%g]\nset yrange [%.8g:%.8g]\n",
             p->wide ? "set logscale x\nset xtics (0.5,1,2,5,10,20,50,100,200,500,1000,2000,5000)\n" : "", p->least,
             p->most, p->y.low, p->y.high);
    str_add(gp, "set key outside right top Left reverse samplen 1 spacing 1.25\n");
    add_rates(gp, p->least, p->most);
}

/* Points of one architecture: latency, where it is drawn, mean, spread; those at the edge in a block of their own. */
static bool add_points(struct str *gp, const struct picture *p, struct plot_names *archs, int arch, bool edge)
{
    bool any = false;
    str_addf(gp, "$%s%d << EOD\n", edge ? "e" : "a", arch);
    for (int i = 0; i < p->n; i++) {
        const struct family *f = p->v[i];
        if (plot_name_index(archs, f->best->arch) != arch || outside(p, f->mean) != edge) continue;
        str_addf(gp, "%.6g %.8g %.8g %.6g\n", f->p50_ms, drawn(p, f->mean), f->mean, isnan(f->spread) ? 0 : f->spread);
        any = true;
    }
    str_add(gp, "EOD\n");
    return any;
}

/* A line for what a net must beat; where the axis does not reach it, its value in the legend alone. */
static void add_baseline(struct report *r, struct str *gp, const struct picture *p, const struct baseline *b, double v,
                         const char *name, const char *style)
{
    if (isnan(v)) return;
    char text[200], size[40] = "";
    bool below = v < p->y.low, shown = !outside(p, v);
    if (r->n_sizes > 1) snprintf(size, sizeof size, "%dx%d, ", b->width, b->height);
    snprintf(text, sizeof text, "%s%s %s%s", size, name, number(v, *r->rank->unit ? 2 : 4),
             shown   ? ""
             : below ? ", below the axis"
                     : ", above the axis");
    if (shown)
        str_addf(gp, ", %.8g with lines %s title ", v, style);
    else
        str_add(gp, ", keyentry with lines lc rgb '#ffffff' title ");
    plot_quoted(gp, text);
}

/* The points of each size's front, a line of its own. False: there are none. */
static bool add_front(struct str *gp, const struct picture *p)
{
    bool any = false;
    str_add(gp, "$front << EOD\n");
    for (int i = 0; i < p->n; i++) {
        bool first = true;
        for (int k = 0; k < i; k++) first = first && !same_size(p->v[i]->best, p->v[k]->best);
        for (int k = i; first && k < p->n; k++) {
            const struct family *f = p->v[k];
            if (!f->pareto || !same_size(f->best, p->v[i]->best)) continue;
            str_addf(gp, "%.6g %.8g\n", f->p50_ms, drawn(p, f->mean));
            any = true;
        }
        if (first) str_add(gp, "\n");
    }
    str_add(gp, "EOD\n");
    return any;
}

bool plot_quality_latency(struct report *r, struct str *gp)
{
    struct picture p = picture_of(r);
    struct plot_names archs = {0};
    const struct family *shown[MAX_NUMBERED];
    int n_shown = 0;
    bool edge[PLOT_MAX_NAMES] = {false}, seeded = false;
    for (int i = 0; i < p.n; i++) { /* numbered, with a line in the legend: all when few, else the front */
        plot_name_index(&archs, p.v[i]->best->arch);
        seeded = seeded || p.v[i]->n > 1;
        if (n_shown < MAX_NUMBERED && (p.v[i]->pareto || p.n <= MAX_NUMBERED)) shown[n_shown++] = p.v[i];
    }
    if (!p.n) {
        free(p.v);
        return false;
    }
    add_axes(r, gp, &p);
    add_numbers(gp, &p, shown, n_shown);
    for (int k = 0; k < archs.n; k++) {
        add_points(gp, &p, &archs, k, false);
        edge[k] = add_points(gp, &p, &archs, k, true);
    }
    bool front = add_front(gp, &p);
    str_add(gp, "plot ");
    if (front)
        str_add(gp, "$front using 1:2 with steps lw 2 dt 2 lc rgb '#444444' title 'Pareto front'");
    else
        str_add(gp, "keyentry with lines lc rgb '#ffffff' title 'no cell beats the input'");
    for (int i = 0; i < r->n_baselines; i++) {
        add_baseline(r, gp, &p, &r->baselines[i], r->baselines[i].identity, "identity mapping",
                     "dt 4 lc rgb '#aa7700'");
        add_baseline(r, gp, &p, &r->baselines[i], r->baselines[i].untrained, "untrained (mean)",
                     "dt 5 lc rgb '#aaaaaa'");
    }
    for (int k = 0; k < archs.n; k++) {
        const char *colour = plot_colours[k % PLOT_STYLES];
        if (seeded) str_addf(gp, ", $a%d using 1:2:4 with yerrorbars pt 0 lc rgb '%s' notitle", k, colour);
        str_addf(gp, ", $a%d using 1:2 with points pt %d ps %.1f lc rgb '%s' title ", k, plot_points[k % PLOT_STYLES],
                 p.n > MANY ? 0.7 : 1.6, colour);
        plot_quoted(gp, archs.v[k]);
        if (edge[k]) str_addf(gp, ", $e%d using 1:2 with points pt 10 ps 1.8 lc rgb '%s' notitle", k, colour);
    }
    for (int k = 0, told = false; k < archs.n && !told; k++)
        if (edge[k]) {
            str_add(gp, ", keyentry with points pt 10 ps 1.8 lc rgb '#444444' title 'beyond the axis'");
            told = true;
        }
    if (seeded) str_add(gp, ", keyentry with points ps 0 title 'bars: one deviation over seeds'");
    for (int i = 0; i < n_shown; i++) {
        char text[400];
        snprintf(text, sizeof text, "%d%s %s", i + 1, shown[i]->pareto ? "*" : " ", shown[i]->label);
        str_add(gp, ", keyentry with points ps 0 title ");
        plot_quoted(gp, text);
    }
    str_add(gp, "\n");
    free(p.v);
    return true;
}
