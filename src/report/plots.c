/* Plots as gnuplot scripts with their data inside: kept beside the pictures, to be changed and run again by hand. */
#include "inside.h"

/* Okabe and Ito's colours, told apart by colour-blind readers, too; with a point type each. */
static const char *const colours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00",
                                      "#56B4E9", "#000000", "#882255", "#777777"};
static const int points[] = {7, 5, 9, 11, 13, 15, 3, 65, 67};
enum { MAX_NUMBERED = 14, MAX_CURVES = 8, MAX_NAMES = 512 };

/* ---- text that gnuplot reads ------------------------------------------------------------------------------------- */

/* 'text' in single quotes, where only the quote itself means anything. */
static void add_quoted(struct str *gp, const char *text)
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

static void head(struct str *gp, const char *name, int width, int height)
{
    str_addf(
        gp,
        "# Redraw with: gnuplot -e \"fmt='svg'\" %s.gp (or fmt='png')\n"
        "if (!exists('fmt')) fmt = 'png'\n"
        "if (fmt eq 'svg') set terminal svg size %d,%d font 'DejaVu Sans,13' background '#ffffff' noenhanced\n"
        "if (fmt eq 'png') set terminal pngcairo size %d,%d font 'DejaVu Sans,11' background '#ffffff' noenhanced\n"
        "set output '%s.'.fmt\n"
        "set border 3 lc rgb '#666666'\nset tics nomirror\nset grid lc rgb '#e4e4e4' lt 1\n",
        name, width, height, width, height, name);
}

static void add_axis(struct str *gp, const char *axis, const char *name, const char *unit)
{
    char text[200];
    snprintf(text, sizeof text, *unit ? "%s (%s)" : "%s", name, unit);
    str_addf(gp, "set %slabel ", axis);
    add_quoted(gp, text);
    str_add(gp, "\n");
}

static const char *direction(const struct report *r)
{
    return r->rank->higher_is_better ? "higher is better" : "lower is better";
}

/* ---- distinct names, in order of appearance ---------------------------------------------------------------------- */

struct names {
    const char *v[MAX_NAMES];
    int n;
};

static int name_index(struct names *list, const char *name)
{
    for (int i = 0; i < list->n; i++)
        if (!strcmp(list->v[i], name)) return i;
    if (list->n == MAX_NAMES) return -1;
    list->v[list->n] = name;
    return list->n++;
}

/* ---- quality against latency ------------------------------------------------------------------------------------- */

static bool placed(const struct cell *c)
{
    return !isnan(c->quality) && !isnan(c->p50_ms);
}

static int by_latency(const void *a, const void *b)
{
    double x = (*(const struct cell *const *)a)->p50_ms, y = (*(const struct cell *const *)b)->p50_ms;
    return (x > y) - (x < y);
}

/* Cells that get a number in the plot and a line in its legend: all when few, else the front. Fastest first. */
static int numbered_cells(struct report *r, const struct cell **out, int n_placed)
{
    int n = 0;
    for (int i = 0; i < r->n_cells && n < MAX_NUMBERED; i++)
        if (placed(&r->cells[i]) && (r->cells[i].pareto || n_placed <= MAX_NUMBERED)) out[n++] = &r->cells[i];
    qsort(out, (size_t)n, sizeof *out, by_latency);
    return n;
}

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

static bool quality_latency(struct report *r, struct str *gp)
{
    int n_placed = 0;
    double least = (double)INFINITY, most = 0;
    struct names archs = {0};
    for (int i = 0; i < r->n_cells; i++) {
        const struct cell *c = &r->cells[i];
        if (!placed(c)) continue;
        n_placed++;
        name_index(&archs, c->arch);
        least = fmin(least, c->p50_ms);
        most = fmax(most, c->p50_ms);
    }
    if (!n_placed) return false;
    const struct cell *shown[MAX_NUMBERED];
    int n_shown = numbered_cells(r, shown, n_placed);
    bool wide = most > 8 * least; /* of range: a logarithmic axis */
    least = wide ? least / 1.3 : least - 0.1 * (most - least) - 0.5;
    most = wide ? most * 1.3 : most + 0.1 * (most - least) + 0.5;

    head(gp, "quality-latency", 1100, 560);
    char unit[100];
    snprintf(unit, sizeof unit, "%s%s%s", r->rank->unit, *r->rank->unit ? ", " : "", direction(r));
    add_axis(gp, "y", r->rank->name, unit);
    snprintf(unit, sizeof unit, "ms a frame, median; fp32 ONNX on %s, 1 thread", r->device);
    add_axis(gp, "x", "latency", unit);
    str_addf(gp, "%sset xrange [%g:%g]\nset offsets graph 0, 0, 0.08, 0.08\n",
             wide ? "set logscale x\nset xtics (0.5,1,2,5,10,20,50,100,200,500,1000,2000,5000)\n" : "",
             fmax(least, 1e-3), most);
    str_add(gp, "set key outside right top Left reverse samplen 1 spacing 1.25\n");
    add_rates(gp, least, most);
    for (int k = 0; k < archs.n; k++) {
        str_addf(gp, "$a%d << EOD\n", k);
        for (int i = 0; i < r->n_cells; i++)
            if (placed(&r->cells[i]) && name_index(&archs, r->cells[i].arch) == k)
                str_addf(gp, "%.6g %.8g\n", r->cells[i].p50_ms, r->cells[i].quality);
        str_add(gp, "EOD\n");
    }
    str_add(gp, "$front << EOD\n");
    const struct cell **front = mem_alloc((size_t)r->n_cells * sizeof *front);
    int n_front = 0;
    for (int i = 0; i < r->n_cells; i++)
        if (r->cells[i].pareto) front[n_front++] = &r->cells[i];
    qsort(front, (size_t)n_front, sizeof *front, by_latency);
    for (int i = 0; i < n_front; i++) str_addf(gp, "%.6g %.8g\n", front[i]->p50_ms, front[i]->quality);
    free(front);
    str_add(gp, "EOD\n");
    for (int odd = 1; odd >= 0; odd--) { /* above and below in turn: neighbours do not cover each other's number */
        str_addf(gp, "$numbers%d << EOD\n", odd);
        for (int i = !odd; i < n_shown; i += 2)
            str_addf(gp, "%.6g %.8g %d\n", shown[i]->p50_ms, shown[i]->quality, i + 1);
        str_add(gp, "EOD\n");
    }
    str_add(gp, "plot $front using 1:2 with steps lw 2 dt 2 lc rgb '#444444' title 'Pareto front'");
    if (!isnan(r->identity))
        str_addf(gp, ", %.8g with lines dt 4 lc rgb '#aa7700' title 'identity mapping'", r->identity);
    if (!isnan(r->untrained))
        str_addf(gp, ", %.8g with lines dt 5 lc rgb '#aaaaaa' title 'untrained (mean)'", r->untrained);
    for (int k = 0; k < archs.n; k++) {
        str_addf(gp, ", $a%d using 1:2 with points pt %d ps 1.6 lc rgb '%s' title ", k, points[(size_t)k % LEN(points)],
                 colours[(size_t)k % LEN(colours)]);
        add_quoted(gp, archs.v[k]);
    }
    str_add(gp, ", $numbers1 using 1:2:3 with labels offset char 0,1 notitle");
    if (n_shown > 1) str_add(gp, ", $numbers0 using 1:2:3 with labels offset char 0,-1 notitle");
    for (int i = 0; i < n_shown; i++) {
        char text[400];
        snprintf(text, sizeof text, "%d%s %s", i + 1, shown[i]->pareto ? "*" : " ", shown[i]->label);
        str_add(gp, ", keyentry with points ps 0 title ");
        add_quoted(gp, text);
    }
    str_add(gp, "\n");
    return true;
}

/* ---- learning curves --------------------------------------------------------------------------------------------- */

static bool curves(struct report *r, struct str *gp, const char *plot, const char *metric, const char *unit)
{
    struct str draw = {0};
    int n = 0;
    head(gp, plot, 1100, 480);
    add_axis(gp, "x", "epoch", "");
    add_axis(gp, "y", metric, unit);
    str_add(gp, "set key outside right top Left reverse samplen 2 spacing 1.25\nset offsets graph 0, 0, 0.05, 0.05\n");
    for (int i = 0; i < r->n_cells && n < MAX_CURVES; i++) {
        json_t *rows, *params = json_pack("[ss]", r->cells[i].id, metric);
        struct status s =
            store_rows(&rows, r->store,
                       "SELECT epoch, value FROM metrics WHERE trial = ?1 AND name = ?2 AND epoch >= 0 AND"
                       " value IS NOT NULL ORDER BY epoch",
                       params);
        json_decref(params);
        if (s.code != STATUS_OK) continue;
        if (json_array_size(rows) > 1) {
            str_addf(gp, "$c%d << EOD\n", n);
            for (size_t k = 0; k < json_array_size(rows); k++) {
                const json_t *row = json_array_get(rows, k);
                str_addf(gp, "%lld %.8g\n", (long long)json_int(row, "epoch", 0), json_num(row, "value", (double)NAN));
            }
            str_add(gp, "EOD\n");
            str_addf(&draw, "%s $c%d using 1:2 with linespoints lw 2 pt %d ps 0.6 lc rgb '%s' title ", n ? "," : "plot",
                     n, points[(size_t)n % LEN(points)], colours[(size_t)n % LEN(colours)]);
            add_quoted(&draw, r->cells[i].label);
            n++;
        }
        json_decref(rows);
    }
    if (n) str_addf(gp, "%s\n", draw.s);
    str_free(&draw);
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
    return c->quality;
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
};

/* The best of the cells at one crossing: axes besides the two are taken at their best. */
static double crossing(const struct report *r, const struct heat *h, const char *arch, const char *backbone,
                       const char **state)
{
    double best = (double)NAN;
    *state = NULL;
    for (int i = 0; i < r->n_cells; i++) {
        const struct cell *c = &r->cells[i];
        if (strcmp(c->arch, arch) != 0 || strcmp(c->backbone, backbone) != 0) continue;
        double v = h->value(c);
        if (!isnan(v) && (isnan(best) || (h->high_is_good ? v > best : v < best))) best = v;
        *state = c->state;
    }
    return best;
}

static bool heat_map(struct report *r, struct str *gp, struct heat h)
{
    struct names archs = {0}, backbones = {0};
    bool any = false;
    for (int i = 0; i < r->n_cells; i++) {
        name_index(&archs, r->cells[i].arch);
        name_index(&backbones, r->cells[i].backbone);
        any |= !isnan(h.value(&r->cells[i]));
    }
    if (!any || archs.n * backbones.n < 4 || archs.n < 2 || backbones.n < 2) return false;
    struct str holes = {0};
    double low = (double)INFINITY, high = -(double)INFINITY;
    head(gp, h.plot, 330 + 110 * archs.n, 130 + 26 * backbones.n);
    str_add(gp, "$v << EOD\n");
    for (int y = 0; y < backbones.n; y++)
        for (int x = 0; x < archs.n; x++) {
            const char *state;
            double v = crossing(r, &h, archs.v[x], backbones.v[y], &state);
            if (!isnan(v)) {
                str_addf(gp, "%d %d %.8g %.*f\n", x, y, v, h.digits, v);
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
    add_quoted(gp, h.title);
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
        add_quoted(gp, archs.v[x]);
        str_addf(gp, " %d%s", x, x + 1 < archs.n ? ", " : ")\nset ytics (");
    }
    for (int y = 0; y < backbones.n; y++) {
        add_quoted(gp, backbones.v[y]);
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
    snprintf(title, sizeof title, "%s%s%s (%s; best of the other axes)", r->rank->name, *r->rank->unit ? ", " : "",
             r->rank->unit, direction(r));
    int digits = *r->rank->unit ? 2 : 3;
    return heat_map(r, gp, (struct heat){"heat-quality", title, quality_of, r->rank->higher_is_better, digits});
}

static bool heat_latency(struct report *r, struct str *gp)
{
    return heat_map(
        r, gp, (struct heat){"heat-latency", "median latency, ms a frame (lower is better)", latency_of, false, 1});
}

static bool heat_rate(struct report *r, struct str *gp)
{
    return heat_map(r, gp, (struct heat){"heat-rate", "frames a second (higher is better)", rate_of, true, 1});
}

/* ---- seeds ------------------------------------------------------------------------------------------------------- */

static bool seeds(struct report *r, struct str *gp)
{
    const struct family *f = r->families;
    int shown = r->n_families < 30 ? r->n_families : 30;
    if (r->n_seeded) {
        head(gp, "seeds", 900, 130 + 26 * shown);
        char unit[100];
        snprintf(unit, sizeof unit, "%s%smean and standard deviation over seeds", r->rank->unit,
                 *r->rank->unit ? ", " : "");
        add_axis(gp, "x", r->rank->name, unit);
        str_add(gp, "$s << EOD\n");
        for (int i = 0; i < shown; i++)
            str_addf(gp, "%.8g %d %.8g\n", f[i].mean, i, isnan(f[i].spread) ? 0 : f[i].spread);
        str_addf(gp, "EOD\nunset key\nset yrange [%g:-0.5]\nset ytics (", shown - 0.5);
        for (int i = 0; i < shown; i++) {
            add_quoted(gp, f[i].label);
            str_addf(gp, " %d%s", i, i + 1 < shown ? ", " : ")\n");
        }
        str_addf(gp, "plot $s using 1:2:3 with xerrorbars pt 7 ps 1.2 lw 2 lc rgb '%s'\n", colours[0]);
    }
    return r->n_seeded > 0;
}

const struct plot_kind plot_kinds[] = {
    {"quality-latency", "Quality against latency", quality_latency},
    {"heat-quality", "Quality by architecture and backbone", heat_quality},
    {"heat-latency", "Latency by architecture and backbone", heat_latency},
    {"heat-rate", "Frame rate by architecture and backbone", heat_rate},
    {"curve-rank", "Learning: the rank metric on the validation images", curve_rank},
    {"curve-loss", "Learning: validation loss", curve_loss},
    {"seeds", "Seeds", seeds},
    {NULL, NULL, NULL},
};
