/*
 * sweep-worker probe: numbers for comparison with reference outputs. One JSON request a line on stdin, one answer a
 * line on stdout, in order; a request that cannot be done is answered {"refused": why} or {"error": why}, and the next
 * is read. Weights are the parity fill, so no file is needed.
 */
#include <math.h>

#include "probe.h"

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

json_t *probe_real(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *shape_json(const struct tensor *t)
{
    json_t *a = json_array();
    for (int d = 0; d < tensor_rank(t); d++) json_array_append_new(a, json_integer(tensor_dim(t, d)));
    return a;
}

struct status probe_stats(json_t **out, const struct tensor *t, int n_samples)
{
    int64_t n = tensor_numel(t);
    double *v = mem_alloc((size_t)n * sizeof *v);
    struct status s = tensor_to_f64(t, v);
    if (s.code != STATUS_OK) {
        free(v);
        return s;
    }
    double sum = 0, squares = 0, most = 0;
    for (int64_t i = 0; i < n; i++) sum += v[i];
    double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) {
        squares += (v[i] - mean) * (v[i] - mean);
        most = fmax(most, fabs(v[i]));
    }
    json_t *samples = json_array();
    for (int j = 0; j < n_samples; j++)
        json_array_append_new(samples, probe_real(v[rng_splitmix((uint64_t)j) % (uint64_t)n]));
    free(v);
    *out = json_pack("{s:o, s:o, s:o, s:o, s:o}", "shape", shape_json(t), "mean", probe_real(mean), "std",
                     probe_real(sqrt(squares / (double)n)), "absmax", probe_real(most), "samples", samples);
    return ok();
}

struct status probe_image(struct tensor **out, const char *name, enum tensor_dtype dtype, const int64_t dims[4],
                          struct tensor_device dev)
{
    int64_t n = dims[0] * dims[1] * dims[2] * dims[3];
    float *v = mem_alloc((size_t)n * sizeof *v);
    for (int64_t i = 0; i < n; i++) v[i] = (float)exec_parity_image(name, i);
    struct tensor *single;
    struct status s = tensor_from_host(&single, TENSOR_F32, 4, dims, v, dev);
    free(v);
    TRY(s);
    s = tensor_to_dtype(out, single, dtype);
    tensor_free(single);
    return s;
}

/* ---- reading requests -------------------------------------------------------------------------------------------- */

struct status probe_integer(int64_t *out, const json_t *v, const char *what, int64_t most)
{
    *out = json_is_integer(v) ? json_integer_value(v) : 0;
    if (*out >= 1 && *out <= most) return ok();
    return fail(STATUS_ARG, "%s: expected an integer in 1..%lld", what, (long long)most);
}

struct status probe_dtype(enum tensor_dtype *out, const json_t *q)
{
    const char *name = json_str(q, "dtype", "float32");
    bool wide = strcmp(name, "float64") == 0;
    *out = wide ? TENSOR_F64 : TENSOR_F32;
    if (wide || strcmp(name, "float32") == 0) return ok();
    return fail(STATUS_ARG, "dtype: got \"%s\", expected float32 or float64", name);
}

/** "size": a number or [height, width]. */
static struct status read_size(int64_t size[2], const json_t *q)
{
    const json_t *v = json_object_get(q, "size");
    bool pair = json_is_array(v) && json_array_size(v) == 2;
    for (size_t i = 0; i < 2; i++) TRY(probe_integer(&size[i], pair ? json_array_get(v, i) : v, "size", SIDE_MOST));
    return ok();
}

struct status probe_read_model(struct zoo_model *m, struct arena *a, const json_t *q)
{
    int64_t size[2];
    struct spec_trial t;
    const char *arch = json_str(q, "arch", NULL), *backbone = json_str(q, "backbone", NULL);
    const json_t *config = json_object_get(q, "model");
    TRY(read_size(size, q));
    if (!arch || !backbone) return fail(STATUS_ARG, "expected \"arch\" and \"backbone\"");
    if (config && !json_is_object(config)) return fail(STATUS_ARG, "model: expected a map of configuration keys");
    TRY(spec_trial_from_json(&t, a, config, "model"));
    *m = cell_model(&t);
    m->arch = arena_strdup(a, arch);
    m->backbone = arena_strdup(a, backbone);
    m->height = (int)size[0];
    m->width = (int)size[1];
    return ok();
}

static struct status read_weights(double w[LOSS_MAX_BLOCKS], int *n, const json_t *config, const char *key)
{
    const json_t *list = json_object_get(config, key), *v;
    size_t i;
    if (list && (!json_is_array(list) || json_array_size(list) > LOSS_MAX_BLOCKS))
        return fail(STATUS_ARG, "config.%s: expected a list of at most %d numbers", key, LOSS_MAX_BLOCKS);
    json_array_foreach(list, i, v)
    {
        if (!json_is_number(v)) return fail(STATUS_ARG, "config.%s: expected numbers", key);
        w[i] = json_number_value(v);
    }
    *n = (int)json_array_size(list);
    return ok();
}

struct status probe_build_loss(struct net **out, const json_t *q, int64_t h, int64_t w)
{
    const json_t *c = json_object_get(q, "config");
    struct loss_options o = {.height = (int)h,
                             .width = (int)w,
                             .pixel_weight = json_num(c, "pixel_weight", 1),
                             .gram_scale = json_num(c, "gram_scale", 5000)};
    if (!json_is_object(c)) return fail(STATUS_ARG, "config: expected an object");
    TRY(read_weights(o.feature_weights, &o.n_feature, c, "feature_weights"));
    TRY(read_weights(o.gram_weights, &o.n_gram, c, "gram_weights"));
    return loss_build(out, &o);
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

struct status probe_fill(struct probe_filled *f, enum tensor_dtype compute, bool frozen, struct tensor_device dev)
{
    TRY(exec_new(&f->exec, f->net, &(struct exec_options){.compute = compute, .frozen = frozen, .device = dev}));
    return exec_fill_parity(f->exec);
}

void probe_free(struct probe_filled *f)
{
    exec_free(f->exec);
    net_free(f->net);
}

void probe_free_all(struct tensor **t, int n)
{
    for (int i = 0; i < n; i++) tensor_free(t[i]);
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static const struct kind {
    const char *name;
    struct status (*run)(json_t *answer, const json_t *q, struct tensor_device dev);
} kinds[] = {{"model", probe_model}, {"loss", probe_loss}, {"train", probe_train}};

static struct status answer_one(json_t *answer, const char *line, size_t n, struct tensor_device dev)
{
    json_t *q;
    TRY(json_parse(&q, "request", line, n));
    const char *name = json_str(q, "kind", "");
    struct status s = fail(STATUS_ARG, "kind: got \"%s\", expected model, loss or train", name);
    for (size_t i = 0; i < LEN(kinds); i++)
        if (strcmp(kinds[i].name, name) == 0) s = kinds[i].run(answer, q, dev);
    json_decref(q);
    return s;
}

static void put(FILE *out, json_t *answer, struct status s)
{
    if (s.code != STATUS_OK) {
        json_object_clear(answer);
        json_object_set_new(answer, s.code == STATUS_REFUSED ? "refused" : "error", json_string(s.msg));
    }
    char *text = json_dumps(answer, JSON_COMPACT | JSON_REAL_PRECISION(17));
    fprintf(out, "%s\n", text ? text : "{\"error\":\"the answer is no valid UTF-8\"}");
    fflush(out);
    free(text);
}

int worker_probe(FILE *in, FILE *out, const char *device)
{
    char *line = NULL;
    size_t cap = 0;
    struct tensor_device dev;
    tensor_start(0);
    struct status s = tensor_pick_device(&dev, device);
    if (s.code != STATUS_OK) {
        fprintf(stderr, "sweep-worker: probe: %s\n", s.msg);
        return 2;
    }
    for (ssize_t n; (n = getline(&line, &cap, in)) >= 0;) {
        if (strspn(line, " \t\r\n") == (size_t)n) continue;
        json_t *answer = json_object();
        put(out, answer, answer_one(answer, line, (size_t)n, dev));
        json_decref(answer);
    }
    free(line);
    return 0;
}
