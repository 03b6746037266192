/* The protocol of a visit: load, first run, warm-up, measured runs. One clock, CLOCK_MONOTONIC, by time_mono. */
#include "host.h"
#include "runtime.h"

/* clang-format off */
const struct bench_mode bench_modes[] = {
    {.name = "quick",    .min_n = 16,   .min_s = 0.5, .cap_n = 5,  .cap_s = 10,  .warmup_s = 0.5},
    {.name = "normal",   .min_n = 64,   .min_s = 2,   .cap_n = 25, .cap_s = 30,  .warmup_s = 0.5},
    {.name = "thorough", .min_n = 1024, .min_s = 60,  .cap_n = 25, .cap_s = 600, .warmup_s = 0.5},
    {0},
};
/* clang-format on */

struct status bench_mode_find(const struct bench_mode **out, const char *name)
{
    const char *names[LEN(bench_modes)] = {0};
    for (size_t i = 0; bench_modes[i].name; i++) {
        names[i] = bench_modes[i].name;
        *out = &bench_modes[i];
        if (!strcmp(name, names[i])) return ok();
    }
    const char *near = str_nearest(name, names);
    return fail(STATUS_ARG, "mode: got \"%s\", expected quick, normal or thorough%s%s%s", name,
                near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

/* ---- inputs ------------------------------------------------------------------------------------------------------ */

enum { BLOCK = 16 }; /* pixels between the points of the random picture */

/* A smooth picture with a little grain, values about 0 with deviation 1, as normalised photographs have. */
static void picture(float *v, int64_t h, int64_t w, uint64_t seed, uint64_t plane)
{
    for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x++) {
            int64_t by = y / BLOCK, bx = x / BLOCK;
            double fy = (double)(y % BLOCK) / BLOCK, fx = (double)(x % BLOCK) / BLOCK, corner[4];
            for (int c = 0; c < 4; c++) {
                struct rng r = rng_key(seed, plane, (uint64_t)(by + c / 2), (uint64_t)(bx + c % 2));
                corner[c] = rng_range(&r, -2, 2);
            }
            double top = corner[0] + fx * (corner[1] - corner[0]), low = corner[2] + fx * (corner[3] - corner[2]);
            struct rng grain = rng_key(seed, plane + (1u << 20), (uint64_t)y, (uint64_t)x);
            v[y * w + x] = (float)(top + fy * (low - top) + rng_range(&grain, -0.1, 0.1));
        }
}

/* The last two dimensions are a picture; whole-number types get 0..255. */
static void fill(struct bench_array *a, int type, uint64_t seed)
{
    int64_t n = bench_array_numel(a), w = a->rank > 0 ? a->shape[a->rank - 1] : 1;
    int64_t h = a->rank > 1 ? a->shape[a->rank - 2] : 1;
    a->data = mem_alloc((size_t)n * sizeof *a->data);
    for (int64_t p = 0; p < n / (h * w); p++) picture(a->data + p * h * w, h, w, seed, (uint64_t)p);
    if (type == BENCH_FLOAT || type == BENCH_FLOAT16) return;
    for (int64_t i = 0; i < n; i++) a->data[i] = 127.5f + 60.f * a->data[i];
}

/* The declared shape with what it leaves open filled in: batch 1, the job's height and width. */
static struct status resolve(struct bench_array *a, const struct bench_io *io, const struct bench_job *job)
{
    a->rank = io->rank;
    int64_t elements = 1;
    for (int d = 0; d < io->rank; d++) {
        int64_t asked = io->rank < 3 ? 0 : d == io->rank - 2 ? job->height : d == io->rank - 1 ? job->width : 0;
        a->shape[d] = io->shape[d] >= 0 ? io->shape[d] : d == 0 ? 1 : asked;
        if (a->shape[d] <= 0)
            return fail(STATUS_ARG, "%s: input %s leaves dimension %d open; give --height and --width", job->model,
                        io->name, d);
        if (asked > 0 && a->shape[d] != asked)
            return fail(STATUS_ARG,
                        "%s: input %s has size %lld in dimension %d: got %lld asked for; export at that size",
                        job->model, io->name, (long long)a->shape[d], d, (long long)asked);
        if (__builtin_mul_overflow(elements, a->shape[d], &elements) || elements > (int64_t)1 << 31)
            return fail(STATUS_ARG, "%s: input %s is too large", job->model, io->name);
    }
    return ok();
}

static struct status make_inputs(struct bench_model *o, struct feed *f, const struct bench_job *job,
                                 struct bench_result *r)
{
    struct bench_array in[BENCH_MAX_IO] = {0};
    struct status s = ok();
    for (int i = 0; s.code == STATUS_OK && i < o->n_in; i++) {
        s = resolve(&in[i], &o->in[i], job);
        if (s.code == STATUS_OK) fill(&in[i], o->in[i].type, job->seed + (uint64_t)i);
    }
    if (s.code == STATUS_OK) s = status_at(o->runtime->feed_make(o, f, in, o->n_in), "%s", job->model);
    if (o->n_in > 0 && in[0].rank > 1) {
        r->height = (int)in[0].shape[in[0].rank - 2];
        r->width = (int)in[0].shape[in[0].rank - 1];
    }
    for (int i = 0; i < o->n_in; i++) free(in[i].data);
    return s;
}

/* ---- timing ------------------------------------------------------------------------------------------------------ */

static struct status timed(struct bench_model *o, struct feed *f, double *ms)
{
    double start = time_mono();
    TRY(o->runtime->feed_run(o, f));
    *ms = (time_mono() - start) * 1e3;
    return ok();
}

/* At least one run and the mode's seconds; the first run was before. */
static struct status warm_up(struct bench_model *o, struct feed *f, const struct bench_mode *m, int *runs)
{
    double start = time_mono(), ms;
    *runs = 0;
    do {
        TRY(timed(o, f, &ms));
        ++*runs;
    } while (time_mono() - start < m->warmup_s);
    return ok();
}

enum bench_stop bench_stop(const struct bench_mode *m, int n, double elapsed_s)
{
    if (n >= m->min_n && elapsed_s >= m->min_s) return BENCH_ENOUGH;
    return n >= m->cap_n && elapsed_s >= m->cap_s ? BENCH_CAPPED : BENCH_GO_ON;
}

static struct status measure(struct bench_model *o, struct feed *f, const struct bench_mode *m, struct bench_result *r)
{
    double start = time_mono();
    int cap = 0, n = 0;
    enum bench_stop stop = BENCH_GO_ON;
    while (stop == BENCH_GO_ON) {
        double ms;
        TRY(timed(o, f, &ms));
        if (n == cap) r->samples_us = mem_realloc(r->samples_us, (size_t)(cap = cap ? 2 * cap : 256) * sizeof(float));
        r->samples_us[n++] = (float)(ms * 1e3);
        stop = bench_stop(m, n, time_mono() - start);
    }
    r->stats = bench_stats(r->samples_us, n);
    r->capped = stop == BENCH_CAPPED;
    return ok();
}

static void describe(struct bench_result *r, const struct bench_model *o, const struct bench_mode *m,
                     const struct bench_job *job, int warmup_runs)
{
    json_t *i = r->info;
    struct arena a = {0};
    json_object_update_new(i, json_pack("{s:s, s:s, s:s, s:s, s:i, s:b, s:s, s:s}", "runtime", o->runtime->name,
                                        "version", o->version, "build", o->build, "provider", o->runtime->provider,
                                        "threads", o->threads, "spinning", (int)o->runtime->spinning, "optimization",
                                        o->runtime->optimization, "timed_region",
                                        "one run: inputs ready, outputs in memory allocated before"));
    json_object_update_new(i,
                           json_pack("{s:s, s:s, s:f, s:i, s:i, s:f, s:i, s:b, s:s, s:I}", "mode", m->name,
                                     "percentile_rule", BENCH_PERCENTILE_RULE, "warmup_s", m->warmup_s, "warmup_runs",
                                     warmup_runs, "min_n", m->min_n, "min_s", m->min_s, "cap_n", m->cap_n, "capped",
                                     (int)r->capped, "clock", "CLOCK_MONOTONIC", "seed", (json_int_t)job->seed));
    json_object_set_new(i, "max_ms", json_real(r->stats.max_ms));
    json_object_set_new(i, "rss_runtime_bytes", json_integer(o->rss_runtime_bytes));
    json_object_set_new(i, "cpu", json_string(host_cpu(&a)));
    json_object_set_new(i, "cpus", json_integer(cores_usable()));
    arena_free(&a);
}

static struct status visit(struct bench_result *r, struct bench_model *o, struct feed *f, const struct bench_mode *m,
                           const struct bench_job *job)
{
    int warmup_runs;
    TRY(make_inputs(o, f, job, r));
    host_state(r->info, "before");
    TRY(status_at(timed(o, f, &r->first_ms), "%s", job->model));
    TRY(status_at(warm_up(o, f, m, &warmup_runs), "%s", job->model));
    TRY(status_at(measure(o, f, m, r), "%s", job->model));
    host_state(r->info, "after");
    r->rss_bytes = host_rss_peak();
    describe(r, o, m, job, warmup_runs);
    return ok();
}

struct status bench_visit(struct bench_result *out, const struct bench_job *job)
{
    *out = (struct bench_result){.measured = time_now(), .info = json_object()};
    const struct bench_mode *mode;
    struct bench_model *o;
    struct feed feed = {0};
    TRY(bench_mode_find(&mode, job->mode ? job->mode : "normal"));
    TRY(bench_open(&o, job->ort_lib, job->model, job->threads));
    out->load_ms = o->load_ms;
    struct status s = visit(out, o, &feed, mode, job);
    o->runtime->feed_free(o, &feed);
    bench_close(o);
    return s;
}

void bench_result_free(struct bench_result *r)
{
    free(r->samples_us);
    json_decref(r->info);
    *r = (struct bench_result){0};
}
