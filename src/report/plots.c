/* Plots as gnuplot scripts with their data inside: kept beside the pictures, to be changed and run again by hand. */
#include "plots.h"

/* Okabe and Ito's colours, told apart by colour-blind readers, too; with a point type each. */
const char *const plot_colours[PLOT_STYLES] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00",
                                               "#56B4E9", "#000000", "#882255", "#777777"};
const int plot_points[PLOT_STYLES] = {7, 5, 9, 11, 13, 15, 3, 65, 67};
enum { MAX_CURVES = 8 };

/* ---- text that gnuplot reads ------------------------------------------------------------------------------------- */

/* 'text' in single quotes, where only the quote itself means anything. */
void plot_quoted(struct str *gp, const char *text)
{
    str_add(gp, "'");
    for (; *text; text++) str_addf(gp, *text == '\'' ? "''" : "%c", *text == '\n' ? ' ' : *text);
    str_add(gp, "'");
}

/* A column of a data block: double quotes and backslashes would end or change it. */
static void add_column(struct str *gp, const char *text)
{
    str_add(gp, "\"");
    for (; *text; text++) str_addf(gp, "%c", strchr("\"\\\n", *text) ? ' ' : *text);
    str_add(gp, "\"");
}

void plot_head(struct str *gp, const char *name, int width, int height)
{
    str_addf(
        gp,
        "# Redraw with: gnuplot -e \"fmt='svg'\" %s.gp (or fmt='png')\n"
        "if (!exists('fmt')) fmt = 'png'\n"
        "set encoding utf8\nif (fmt eq 'svg') set terminal svg size %d,%d font 'DejaVu Sans,13' background '#ffffff' "
        "noenhanced\n"
        "if (fmt eq 'png') set terminal pngcairo size %d,%d font 'DejaVu Sans,11' background '#ffffff' noenhanced\n"
        "set output '%s.'.fmt\n"
        "set border 3 lc rgb '#666666'\nset tics nomirror\nset grid lc rgb '#e4e4e4' lt 1\n",
        name, width, height, width, height, name);
}

void plot_axis(struct str *gp, const char *axis, const char *name, const char *unit)
{
    char text[200];
    snprintf(text, sizeof text, *unit ? "%s (%s)" : "%s", name, unit);
    str_addf(gp, "set %slabel ", axis);
    plot_quoted(gp, text);
    str_add(gp, "\n");
}

const char *plot_direction(const struct report *r)
{
    return r->rank->higher_is_better ? "higher is better" : "lower is better";
}

/* ---- distinct names, in order of appearance ---------------------------------------------------------------------- */

int plot_name_index(struct plot_names *list, const char *name)
{
    for (int i = 0; i < list->n; i++)
        if (!strcmp(list->v[i], name)) return i;
    if (list->n == PLOT_MAX_NAMES) return -1;
    list->v[list->n] = name;
    return list->n++;
}

/* ---- ranges ----------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct plot_range plot_range_of(double *v, int n)
{
    struct plot_range r = {(double)NAN, (double)NAN};
    if (!n) return r;
    qsort(v, (size_t)n, sizeof *v, by_value);
    double low = v[n / 4], high = v[3 * n / 4], fence = 3 * (high - low);
    r.low = v[0];
    r.high = v[n - 1];
    if (n >= 8 && fence > 0) { /* of few values none is known to be odd */
        for (int i = 0; i < n && r.low < low - fence; i++) r.low = v[i];
        for (int i = n - 1; i >= 0 && r.high > high + fence; i--) r.high = v[i];
    }
    double room = r.high > r.low ? 0.08 * (r.high - r.low) : fmax(1e-4, 0.02 * fabs(r.high));
    r.low -= room;
    r.high += room;
    return r;
}

/* ---- learning curves --------------------------------------------------------------------------------------------- */

/* The curve of a cell is that of its best seed. */
static json_t *points_of(struct report *r, const struct cell *c, const char *metric)
{
    json_t *rows, *params = json_pack("[ss]", c->id, metric);
    struct status s = store_rows(&rows, r->store,
                                 "SELECT epoch, value FROM metrics WHERE trial = ?1 AND name = ?2 AND epoch >= 0 AND"
                                 " value IS NOT NULL ORDER BY epoch",
                                 params);
    json_decref(params);
    return s.code == STATUS_OK ? rows : json_array();
}

/* What of the sweep is shown, and by which rule it was chosen. */
static void add_chosen(const struct report *r, struct str *gp, int n, int n_more, int n_others)
{
    struct str title = {0};
    if (n_more) str_addf(&title, "the best %d of %d cells by %s", n, n + n_more, metric_shown(r->rank->name));
    if (n_others)
        str_addf(&title, "%s%d cell%s of other losses left out, which do not compare", title.n ? "; " : "", n_others,
                 n_others == 1 ? "" : "s");
    if (r->n_seeded) str_addf(&title, "%seach cell's best seed", title.n ? "; " : "");
    if (title.n) {
        str_add(gp, "set title ");
        plot_quoted(gp, title.s);
        str_add(gp, "\n");
    }
    str_free(&title);
}

static bool curves(struct report *r, struct str *gp, const char *plot, const char *metric, const char *unit)
{
    bool by_loss = strcmp(metric, "val_loss") == 0;
    struct str draw = {0}, data = {0};
    double *all = NULL;
    int n = 0, n_all = 0, n_with = 0, n_others = 0, last = 0;
    const char *loss = NULL;
    int n_cells = r->n_families + r->n_cells - r->n_ranked; /* those without a result come last: they learnt, too */
    for (int i = 0; i < n_cells; i++) {
        bool ranked = i < r->n_families;
        const struct cell *c = ranked ? r->families[i].best : &r->cells[r->n_ranked + i - r->n_families];
        if (by_loss && loss && strcmp(c->loss_key, loss) != 0) {
            n_others++;
            continue;
        }
        json_t *rows = points_of(r, c, metric);
        bool has_curve = json_array_size(rows) > 1;
        n_with += has_curve;
        if (has_curve && n < MAX_CURVES) {
            loss = c->loss_key;
            all = mem_realloc(all, sizeof *all * ((size_t)n_all + json_array_size(rows)));
            str_addf(&data, "$c%d << EOD\n", n);
            for (size_t k = 0; k < json_array_size(rows); k++) {
                const json_t *row = json_array_get(rows, k);
                double v = json_num(row, "value", (double)NAN);
                last = (int)fmax(last, (double)json_int(row, "epoch", 0));
                str_addf(&data, "%lld %.8g\n", (long long)json_int(row, "epoch", 0), v);
                all[n_all++] = v;
            }
            str_add(&data, "EOD\n");
            str_addf(&draw, "%s $c%d using 1:2 with linespoints lw 2 pt %d ps 0.6 lc rgb '%s' title ", n ? "," : "plot",
                     n, plot_points[n % PLOT_STYLES], plot_colours[n % PLOT_STYLES]);
            plot_quoted(&draw, ranked ? c->family : c->label);
            n++;
        }
        json_decref(rows);
    }
    if (n) {
        struct plot_range y = plot_range_of(all, n_all);
        plot_head(gp, plot, 1100, 480);
        plot_axis(gp, "x", "epoch", "");
        if (last <= 12) str_add(gp, "set xtics 1\n"); /* there are no half epochs */
        plot_axis(gp, "y", metric_shown(metric), unit);
        add_chosen(r, gp, n, n_with - n, n_others);
        str_addf(gp, "set yrange [%.8g:%.8g]\nset clip two\n", y.low, y.high); /* one odd epoch flattens no curve */
        str_addf(gp, "set key outside right top Left reverse samplen 2 spacing 1.25\n%s%s\n", data.s, draw.s);
    }
    free(all);
    str_free(&draw);
    str_free(&data);
    return n > 0;
}

static bool curve_rank(struct report *r, struct str *gp)
{
    return curves(r, gp, "curve-rank", r->rank->name, r->rank->unit);
}

static bool curve_loss(struct report *r, struct str *gp)
{
    return strcmp(r->rank->name, "val_loss") != 0 && curves(r, gp, "curve-loss", "val_loss", "");
}

/* ---- heat maps --------------------------------------------------------------------------------------------------- */

static double quality_of(const struct cell *c)
{
    return c->of ? c->of->mean : (double)NAN;
}

static double latency_of(const struct cell *c)
{
    return c->p50_ms;
}

static double rate_of(const struct cell *c)
{
    return c->fps;
}

struct heat {
    const char *plot, *title;
    double (*value)(const struct cell *);
    bool high_is_good;
    int digits;
    bool of_seeds; /* a cell's value is the mean over its seeds, whose spread is shown */
};

/* The best of the cells at one crossing: axes besides the two are taken at their best; *at is that cell. */
static double crossing(const struct report *r, const struct heat *h, const char *arch, const char *backbone,
                       const struct cell **at, const char **state)
{
    double best = (double)NAN;
    *at = NULL;
    *state = NULL;
    for (int i = 0; i < r->n_cells; i++) {
        const struct cell *c = &r->cells[i];
        if (strcmp(c->arch, arch) != 0 || strcmp(c->backbone, backbone) != 0) continue;
        double v = h->value(c);
        if (!isnan(v) && (isnan(best) || (h->high_is_good ? v > best : v < best))) best = v, *at = c;
        *state = c->state;
    }
    return best;
}

static bool heat_map(struct report *r, struct str *gp, struct heat h)
{
    struct plot_names archs = {0}, backbones = {0};
    bool any = false;
    for (int i = 0; i < r->n_cells; i++) {
        plot_name_index(&archs, r->cells[i].arch);
        plot_name_index(&backbones, r->cells[i].backbone);
        any |= !isnan(h.value(&r->cells[i]));
    }
    if (!any || archs.n * backbones.n < 4 || archs.n < 2 || backbones.n < 2) return false;
    struct str holes = {0};
    double low = (double)INFINITY, high = -(double)INFINITY;
    plot_head(gp, h.plot, 330 + 110 * archs.n, 130 + 26 * backbones.n);
    str_add(gp, "$v << EOD\n");
    for (int y = 0; y < backbones.n; y++)
        for (int x = 0; x < archs.n; x++) {
            const struct cell *at;
            const char *state;
            double v = crossing(r, &h, archs.v[x], backbones.v[y], &at, &state);
            if (!isnan(v)) {
                str_addf(gp, "%d %d %.8g %.*f", x, y, v, h.digits, v);
                if (h.of_seeds && at->of->n > 1) str_addf(gp, "±%.*f", h.digits, at->of->spread);
                str_add(gp, "\n");
                low = fmin(low, v);
                high = fmax(high, v);
            } else if (state) {
                str_addf(&holes, "%d %d ", x, y);
                add_column(&holes, state);
                str_add(&holes, "\n");
            }
        }
    str_addf(gp, "EOD\n$holes << EOD\n%sEOD\n", holes.n ? holes.s : "");
    str_add(gp, "set title ");
    plot_quoted(gp, h.title);
    str_addf(gp,
             "\nunset grid\nunset key\nset border 0\nset tics scale 0\nset xrange [-0.5:%g]\nset yrange [%g:-0.5]\n"
             "set palette defined (0 '%s', 1 '%s')\n",
             archs.n - 0.5, backbones.n - 0.5, h.high_is_good ? "#f7fbff" : "#3f8fc5",
             h.high_is_good ? "#3f8fc5" : "#f7fbff");
    /* A map may be lower than the labels of a whole scale, and its cells say their numbers themselves. */
    if (low < high)
        str_addf(gp, "set cbrange [%.8g:%.8g]\nset cbtics ('%.*f' %.8g, '%.*f' %.8g)\n", low, high, h.digits, low, low,
                 h.digits, high, high);
    str_add(gp, "set xtics (");
    for (int x = 0; x < archs.n; x++) {
        plot_quoted(gp, archs.v[x]);
        str_addf(gp, " %d%s", x, x + 1 < archs.n ? ", " : ")\nset ytics (");
    }
    for (int y = 0; y < backbones.n; y++) {
        plot_quoted(gp, backbones.v[y]);
        str_addf(gp, " %d%s", y, y + 1 < backbones.n ? ", " : ")\n");
    }
    str_add(gp, "plot $v using 1:2:(0.48):(0.48):3 with boxxyerror fs solid 1 noborder lc palette, "
                "$v using 1:2:4 with labels tc rgb '#111111'");
    if (holes.n)
        str_add(gp, ", $holes using 1:2:(0.48):(0.48) with boxxyerror fs solid 1 noborder lc rgb '#d9d9d9', "
                    "$holes using 1:2:3 with labels tc rgb '#777777'");
    str_add(gp, "\n");
    str_free(&holes);
    return true;
}

static bool heat_quality(struct report *r, struct str *gp)
{
    char title[200];
    snprintf(title, sizeof title, "%s%s%s (%s; best of the other axes)", metric_shown(r->rank->name),
             *r->rank->unit ? ", " : "", r->rank->unit, plot_direction(r));
    int digits = *r->rank->unit ? 2 : 3;
    return heat_map(r, gp, (struct heat){"heat-quality", title, quality_of, r->rank->higher_is_better, digits, true});
}

static bool heat_latency(struct report *r, struct str *gp)
{
    return heat_map(
        r, gp,
        (struct heat){"heat-latency", "median latency, ms a frame (lower is better)", latency_of, false, 1, false});
}

static bool heat_rate(struct report *r, struct str *gp)
{
    return heat_map(r, gp, (struct heat){"heat-rate", "frames a second (higher is better)", rate_of, true, 1, false});
}

/* ---- seeds ------------------------------------------------------------------------------------------------------- */

static bool seeds(struct report *r, struct str *gp)
{
    const struct family *f = r->families;
    int shown = r->n_families < 30 ? r->n_families : 30;
    if (r->n_seeded) {
        plot_head(gp, "seeds", 900, 130 + 26 * shown);
        char unit[100];
        snprintf(unit, sizeof unit, "%s%smean and standard deviation over seeds", r->rank->unit,
                 *r->rank->unit ? ", " : "");
        plot_axis(gp, "x", metric_shown(r->rank->name), unit);
        str_add(gp, "$s << EOD\n");
        for (int i = 0; i < shown; i++)
            str_addf(gp, "%.8g %d %.8g\n", f[i].mean, i, isnan(f[i].spread) ? 0 : f[i].spread);
        str_addf(gp, "EOD\nunset key\nset yrange [%g:-0.5]\nset ytics (", shown - 0.5);
        for (int i = 0; i < shown; i++) {
            plot_quoted(gp, f[i].label);
            str_addf(gp, " %d%s", i, i + 1 < shown ? ", " : ")\n");
        }
        str_addf(gp, "plot $s using 1:2:3 with xerrorbars pt 7 ps 1.2 lw 2 lc rgb '%s'\n", plot_colours[0]);
    }
    return r->n_seeded > 0;
}

const struct plot_kind plot_kinds[] = {
    {"quality-latency", "Quality against latency", plot_quality_latency},
    {"heat-quality", "Quality by architecture and backbone", heat_quality},
    {"heat-latency", "Latency by architecture and backbone", heat_latency},
    {"heat-rate", "Frame rate by architecture and backbone", heat_rate},
    {"curve-rank", "Learning: the rank metric on the validation images", curve_rank},
    {"curve-loss", "Learning: validation loss", curve_loss},
    {"seeds", "Seeds", seeds},
    {NULL, NULL, NULL},
};
