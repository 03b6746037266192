/*
 * The past corrects the counted costs. Finished stages of this machine are grouped by what they ran on (stage,
 * precision or format and device); in a group, measured = sum of factor x part over the parts of plan_cost, with
 * factors of 0 or more, by least squares of the relative error, drawn towards the one factor that fits all parts alike
 * (the median of measured / counted), so that few stages say little. Every error is of stages left out of the fit that
 * predicts them.
 */
#include "inside.h"
#include <math.h>

enum { PARTS = 4, MOST = 1000, ROUNDS = 200 };
_Static_assert((int)PLAN_SECONDS <= PARTS && (int)PLAN_BYTES <= PARTS && (int)PLAN_MS <= PARTS, "parts of a cost");

/* What is predicted of a stage. */
enum what { SECONDS, BYTES, MS, N_WHAT };
static const struct {
    const char *name;
    int parts;
} whats[N_WHAT] = {
    [SECONDS] = {"seconds", PLAN_SECONDS}, [BYTES] = {"bytes", PLAN_BYTES}, [MS] = {"latency_ms", PLAN_MS}};

/* One regression. */
struct fit {
    int n;
    double factor[PARTS];
    double error;   /* median relative error of stages left out; < 0: fewer than two */
    double counted; /* the same of the uncorrected cost */
};

struct group {
    const char *name;
    struct fit fit[N_WHAT];
};

struct plan_model {
    struct arena arena;
    struct group *groups;
    int n;
    json_t *index; /* name -> index */
};

/* ---- one regression --------------------------------------------------------------------------------------------- */

/* Normal equations of rows scaled by their measurement: factor . x / y is to be 1. */
struct sums {
    double a[PARTS][PARTS], b[PARTS];
};

static void sums_add(struct sums *s, const double *x, double y, double sign)
{
    for (int i = 0; i < PARTS; i++) {
        for (int j = 0; j < PARTS; j++) s->a[i][j] += sign * x[i] * x[j] / (y * y);
        s->b[i] += sign * x[i] / y;
    }
}

/* Coordinate descent; each factor is pulled towards @p common with a tenth of the weight of one stage made of it. */
static void sums_solve(double factor[PARTS], const struct sums *s, double common)
{
    const double pull = 0.1 / (common * common);
    for (int i = 0; i < PARTS; i++) factor[i] = common;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < PARTS; i++) {
            double rest = s->b[i] + pull * common;
            for (int j = 0; j < PARTS; j++) rest -= j == i ? 0 : s->a[i][j] * factor[j];
            factor[i] = fmax(0, rest / (s->a[i][i] + pull));
        }
    }
}

static double dot(const double *factor, const double *x)
{
    double sum = 0;
    for (int i = 0; i < PARTS; i++) sum += factor[i] * x[i];
    return sum;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts @p v. */
static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static double total(const double *x)
{
    static const double ones[PARTS] = {1, 1, 1, 1};
    return dot(ones, x);
}

/* Factors from rows of parts and what was measured, all above 0. */
static void fit_rows(struct fit *out, double (*x)[PARTS], const double *y, int n)
{
    double *v = mem_alloc(sizeof *v * (size_t)n), left_out[PARTS];
    struct sums all = {0};
    for (int i = 0; i < n; i++) {
        sums_add(&all, x[i], y[i], 1);
        v[i] = y[i] / total(x[i]);
    }
    double common = median(v, n);
    *out = (struct fit){.n = n, .error = -1, .counted = -1};
    sums_solve(out->factor, &all, common);
    for (int i = 0; i < n && n > 1; i++) {
        struct sums without = all;
        sums_add(&without, x[i], y[i], -1);
        sums_solve(left_out, &without, common);
        v[i] = fabs(dot(left_out, x[i]) / y[i] - 1);
    }
    if (n > 1) out->error = median(v, n);
    for (int i = 0; i < n; i++) v[i] = fabs(total(x[i]) / y[i] - 1);
    if (n > 1) out->counted = median(v, n);
    free(v);
}

/* ---- groups ----------------------------------------------------------------------------------------------------- */

/* "train bf16", "export onnx", "bench onnx cpu": what costs alike. Stages that compute in a precision are told by it.
 */
static const char *group_name(struct arena *a, enum plan_kind kind, const char *precision, const char *format,
                              const char *device)
{
    bool computes = kind == PLAN_TRAIN || kind == PLAN_EVALUATE || kind == PLAN_SAMPLES;
    return arena_printf(a, "%s%s%s%s%s%s%s", plan_kinds[kind].name, computes ? " " : "", computes ? precision : "",
                        format[0] ? " " : "", format, device[0] ? " " : "", device);
}

/* Parts of a cost as a run on a share of the cores takes them: starting needs but one core, a measurement has its own
   thread. */
static void parts_of(double out[PARTS], enum what what, const struct plan_cost *c, double share)
{
    const double *from = what == SECONDS ? c->s : what == BYTES ? c->bytes : c->ms;
    memset(out, 0, sizeof(double) * PARTS);
    for (int i = 0; i < whats[what].parts; i++) out[i] = from[i] * (what == SECONDS && i >= 2 ? share : 1);
}

static double measured(enum what what, const struct plan_past *r)
{
    return what == SECONDS ? r->seconds : what == BYTES ? r->bytes : r->ms;
}

static void fit_group(struct group *g, const struct plan_past *rows, const int *of, int n)
{
    double(*x)[PARTS] = mem_alloc(sizeof *x * (size_t)n), *y = mem_alloc(sizeof *y * (size_t)n);
    for (enum what w = SECONDS; w < N_WHAT; w++) {
        int used = 0;
        for (int i = 0; i < n && used < MOST; i++) {
            const struct plan_past *r = &rows[of[i]];
            parts_of(x[used], w, &r->cost, r->share);
            y[used] = measured(w, r);
            used += y[used] > 0 && total(x[used]) > 0;
        }
        if (used) fit_rows(&g->fit[w], x, y, used);
    }
    free(x);
    free(y);
}

struct plan_model *plan_model_new(const struct plan_past *rows, int n)
{
    struct plan_model *m = mem_zalloc(sizeof *m);
    m->index = json_object();
    int *group = mem_alloc(sizeof *group * (size_t)(n + 1)), *of = mem_alloc(sizeof *of * (size_t)(n + 1));
    m->groups = arena_alloc(&m->arena, sizeof *m->groups * (size_t)(n + 1));
    for (int i = 0; i < n; i++) {
        const struct plan_past *r = &rows[i];
        const char *name = group_name(&m->arena, r->kind, r->precision, r->format, r->device);
        json_t *known = json_object_get(m->index, name);
        group[i] = known ? (int)json_integer_value(known) : m->n;
        if (known) continue;
        m->groups[m->n].name = name;
        json_object_set_new(m->index, name, json_integer(m->n++));
    }
    for (int g = 0; g < m->n; g++) {
        int members = 0;
        for (int i = 0; i < n; i++)
            if (group[i] == g) of[members++] = i;
        fit_group(&m->groups[g], rows, of, members);
    }
    free(group);
    free(of);
    return m;
}

void plan_model_free(struct plan_model *m)
{
    if (!m) return;
    json_decref(m->index);
    arena_free(&m->arena);
    free(m);
}

static const struct group *find_group(const struct plan_model *m, enum plan_kind kind, const char *precision,
                                      const char *format, const char *device)
{
    struct arena a = {0};
    const json_t *at = json_object_get(m->index, group_name(&a, kind, precision, format, device));
    arena_free(&a);
    return at ? &m->groups[json_integer_value(at)] : NULL;
}

/* The cost by a fit, or as counted where there is none. */
static double predict(const struct fit *f, enum what what, const struct plan_cost *c, double share)
{
    double x[PARTS];
    parts_of(x, what, c, share);
    return f && f->n ? dot(f->factor, x) : total(x);
}

struct plan_forecast plan_forecast(const struct plan_model *m, const struct plan_stage *g, double share)
{
    const char *precision = json_str(g->config, "train.precision", "");
    const struct group *own = find_group(m, g->kind, precision, g->format, g->device);
    const struct fit *seconds = own ? &own->fit[SECONDS] : NULL, *ms = own ? &own->fit[MS] : NULL;
    struct plan_forecast f = {.seconds = predict(seconds, SECONDS, &g->cost, share),
                              .bytes = predict(own ? &own->fit[BYTES] : NULL, BYTES, &g->cost, share),
                              .error = seconds && seconds->n ? seconds->error : -1,
                              .n = seconds ? seconds->n : 0};
    if (g->kind == PLAN_SCREEN && (!ms || !ms->n)) { /* weights do not change how long a model takes */
        const struct group *bench = find_group(m, PLAN_BENCH, precision, "onnx", g->device);
        ms = bench ? &bench->fit[MS] : NULL;
    }
    if (ms && ms->n && g->cost.ms[0] > 0) f.ms = predict(ms, MS, &g->cost, share);
    return f;
}

/* ---- for people ------------------------------------------------------------------------------------------------- */

static json_t *fit_json(const struct fit *f, int parts)
{
    json_t *factors = json_array();
    for (int i = 0; i < parts; i++) json_array_append_new(factors, json_real(f->factor[i]));
    return json_pack("{s:i, s:o, s:o, s:o}", "n", f->n, "factors", factors, "error",
                     f->error < 0 ? json_null() : json_real(f->error), "error_uncorrected",
                     f->counted < 0 ? json_null() : json_real(f->counted));
}

json_t *plan_model_json(const struct plan_model *m)
{
    json_t *out = json_array();
    for (int i = 0; i < m->n; i++) {
        json_t *group = json_pack("{s:s}", "group", m->groups[i].name);
        for (enum what w = SECONDS; w < N_WHAT; w++) {
            const struct fit *f = &m->groups[i].fit[w];
            if (f->n) json_object_set_new(group, whats[w].name, fit_json(f, whats[w].parts));
        }
        json_array_append_new(out, group);
    }
    return out;
}
