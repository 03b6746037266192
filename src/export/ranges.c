/* What range of numbers each value of a net takes on pictures: all of it, or the part that is worth 8 bits. */
#include "quantise.h"
#include <math.h>

enum { BINS = 2048, LEVELS = 256 };
static const double percentile_kept = 0.99999;

struct seen {
    struct range r;
    int64_t *bins; /* of BINS, over r */
};
struct collector {
    struct seen *v; /* by value */
    bool shown, broken;
    bool count; /* the second time: into the bins */
};

static void look(void *to, net_val v, const float *x, int64_t n)
{
    struct collector *c = to;
    struct seen *s = &c->v[v];
    c->shown = true;
    if (c->count) {
        float width = (s->r.high - s->r.low) / BINS;
        for (int64_t i = 0; i < n && width > 0; i++) {
            int bin = (int)((x[i] - s->r.low) / width);
            s->bins[bin < 0 ? 0 : bin >= BINS ? BINS - 1 : bin]++;
        }
        return;
    }
    float low = s->r.low, high = s->r.high;
    bool numbers = true;
    for (int64_t i = 0; i < n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
        numbers &= isfinite(x[i]);
    }
    if (!numbers) c->broken = true;
    s->r = (struct range){low, high};
}

/* ---- the part that is kept --------------------------------------------------------------------------------------- */

static struct range by_percentile(const struct seen *s)
{
    int64_t all = 0, out, most;
    for (int i = 0; i < BINS; i++) all += s->bins[i];
    most = (int64_t)((double)all * (1 - percentile_kept) / 2);
    int first = 0, last = BINS - 1;
    for (out = 0; first < last && out + s->bins[first] <= most; first++) out += s->bins[first];
    for (out = 0; last > first && out + s->bins[last] <= most; last--) out += s->bins[last];
    float width = (s->r.high - s->r.low) / BINS;
    return (struct range){fminf(s->r.low + width * (float)first, 0), fmaxf(s->r.low + width * (float)(last + 1), 0)};
}

/* Divergence of what LEVELS steps over bins [first, end) say of the counts, all outside being clipped to its ends. */
static double divergence(const struct seen *s, int first, int end)
{
    static const double least = 1e-9; /* share of a bin that rounding left empty */
    double all = 0, sum = 0;
    for (int i = 0; i < BINS; i++) all += (double)s->bins[i];
    for (int level = 0; level < LEVELS; level++) {
        int from = first + (int)((int64_t)(end - first) * level / LEVELS);
        int to = first + (int)((int64_t)(end - first) * (level + 1) / LEVELS), filled = 0;
        double inside = 0;
        for (int i = from; i < to; i++) {
            inside += (double)s->bins[i];
            filled += s->bins[i] > 0;
        }
        for (int i = from; i < to; i++) {
            double p = (double)s->bins[i], q = p > 0 ? inside / filled : 0;
            if (i == first)
                for (int k = 0; k < first; k++) p += (double)s->bins[k];
            if (i == end - 1)
                for (int k = end; k < BINS; k++) p += (double)s->bins[k];
            if (p > 0) sum += p / all * log(p / all / fmax(q / all, least));
        }
    }
    return sum;
}

/* Bins of an end that is moved so far towards zero. */
static int cut(const struct seen *s, float end, double kept)
{
    return (int)(fabs((double)end) * (1 - kept) / ((double)(s->r.high - s->r.low) / BINS));
}

/* First the upper end, then the lower one: outliers are rarely on both sides. */
static struct range by_entropy(const struct seen *s)
{
    static const double step = 0.9;
    double kept[2] = {1, 1}, least = HUGE_VAL;
    for (int end = 1; end >= 0; end--)
        for (double share = 1, tried[2] = {kept[0], kept[1]}; share > (double)LEVELS / BINS; share *= step) {
            tried[end] = share;
            int first = cut(s, s->r.low, tried[0]), last = BINS - cut(s, s->r.high, tried[1]);
            double d = last - first < LEVELS ? HUGE_VAL : divergence(s, first, last);
            if (d >= least) continue;
            least = d;
            kept[end] = share;
        }
    return (struct range){(float)((double)s->r.low * kept[0]), (float)((double)s->r.high * kept[1])};
}

static const struct {
    const char *name;
    struct range (*of)(const struct seen *s); /* NULL: all that was seen */
} methods[] = {{"minmax", NULL}, {"percentile", by_percentile}, {"entropy", by_entropy}};

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static struct status shown(const struct collector *c)
{
    if (!c->shown) return fail(STATUS_ARG, "calibration: no picture was shown; 8 bits need some to take ranges from");
    if (c->broken)
        return fail(STATUS_ARG, "calibration: a value is no number on the training pictures: nothing to quantise");
    return ok();
}

static struct status collect(struct collector *c, const struct lower *l, const struct export_calibration *by, size_t m)
{
    TRY(by->run(by->user, l->net, l->values, look, c));
    TRY(shown(c));
    if (!methods[m].of) return ok();
    int64_t *bins = mem_zalloc((size_t)l->net->n_nodes * BINS * sizeof *bins);
    for (int v = 0; v < l->net->n_nodes; v++) c->v[v].bins = bins + (size_t)v * BINS;
    c->count = true;
    struct status s = by->run(by->user, l->net, l->values, look, c);
    for (int v = 0; v < l->net->n_nodes && s.code == STATUS_OK; v++)
        if (c->v[v].r.high > c->v[v].r.low) c->v[v].r = methods[m].of(&c->v[v]);
    free(bins);
    return s;
}

struct status ranges_of(const struct range **out, struct arena *a, const struct lower *l,
                        const struct export_calibration *by)
{
    size_t m = 0;
    const char *method = by->method ? by->method : methods[0].name;
    if (!by->run) return fail(STATUS_ARG, "calibration: 8 bits need pictures to take ranges from, and none were given");
    while (m < LEN(methods) && strcmp(methods[m].name, method) != 0) m++;
    if (m == LEN(methods))
        return fail(STATUS_ARG, "calibration: got \"%s\", expected minmax, percentile or entropy", method);
    struct collector c = {.v = mem_zalloc((size_t)(l->net->n_nodes + 1) * sizeof *c.v)};
    struct status s = collect(&c, l, by, m);
    struct range *r = arena_alloc(a, (size_t)(l->net->n_nodes + 1) * sizeof *r);
    for (int v = 0; v < l->net->n_nodes; v++) r[v] = c.v[v].r;
    free(c.v);
    *out = r;
    return s;
}
