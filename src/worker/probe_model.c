/* Probe kind "model": the state dict, the encoder's taps and the output of one cell in eval mode. */
#include "probe.h"

/** [[name, shape], ...] of the state dict, and the numbers of it. */
static void describe(json_t *answer, const struct net *n, bool taps)
{
    int64_t params = 0, encoder = 0;
    int tensors = 0;
    json_t *names = json_array();
    for (int i = 0; i < n->n_params; i++) {
        const struct net_param *p = &n->params[i];
        if (p->kind == NET_CONST) continue;
        tensors++;
        if (p->kind == NET_WEIGHT) {
            params += net_numel(p->shape);
            if (strncmp(p->name, "encoder.", 8) == 0) encoder += net_numel(p->shape);
        }
        json_t *shape = json_array();
        for (int d = 0; d < p->shape.rank; d++) json_array_append_new(shape, json_integer(p->shape.d[d]));
        json_array_append_new(names, json_pack("[s, o]", p->name, shape));
    }
    json_object_set_new(answer, "params", json_integer(params));
    json_object_set_new(answer, "n_tensors", json_integer(tensors));
    if (taps) {
        json_object_set_new(answer, "encoder_params", json_integer(encoder));
        json_object_set(answer, "tensors", names);
    }
    json_decref(names);
}

/** The encoder alone at its full depth, into p->taps. */
static struct status run_taps(struct probe *p, const struct zoo_model *m, enum tensor_dtype dtype)
{
    struct probe_filled f = {.net = net_new()};
    struct tensor *x = NULL, *out[ZOO_MAX_TAPS] = {NULL};
    int64_t dims[] = {1, 3, m->height, m->width};
    net_val in = net_input(f.net, "input", 3, m->height, m->width);
    net_enter(f.net, "encoder");
    struct zoo_features taps = zoo_encode(f.net, m->backbone, in, 5, 32);
    net_leave(f.net);
    for (int i = 0; i < taps.n && !net_failed(f.net); i++) net_output(f.net, "tap", taps.tap[i]);
    struct status s = net_finish(f.net);
    if (s.code == STATUS_OK) s = probe_fill(&f, dtype, true);
    if (s.code == STATUS_OK) s = probe_image(&x, "input", dtype, dims);
    if (s.code == STATUS_OK) s = exec_run(f.exec, &(struct exec_mode){0}, &x, out);
    json_decref(p->taps);
    p->taps = json_array();
    for (int i = 0; i < taps.n && s.code == STATUS_OK; i++) {
        json_t *t = NULL;
        s = probe_stats(&t, out[i], TAP_SAMPLES);
        if (t) json_array_append_new(p->taps, t);
    }
    probe_free_all(out, ZOO_MAX_TAPS);
    tensor_free(x);
    probe_free(&f);
    return s;
}

static struct status taps(struct probe *p, json_t *answer, const struct zoo_model *m, enum tensor_dtype dtype)
{
    struct str key = {0};
    str_addf(&key, "%s %d %d %d", m->backbone, m->height, m->width, (int)dtype);
    if (p->taps_of && strcmp(p->taps_of, key.s) == 0) {
        str_free(&key);
    } else {
        free(p->taps_of);
        p->taps_of = NULL;
        struct status s = run_taps(p, m, dtype);
        if (s.code != STATUS_OK) {
            str_free(&key);
            return s;
        }
        p->taps_of = key.s;
    }
    json_object_set(answer, "taps", p->taps);
    return ok();
}

static struct status run_model(json_t *answer, struct probe_filled *f, const struct zoo_model *m,
                               enum tensor_dtype dtype)
{
    struct tensor *x, *y;
    TRY(probe_fill(f, dtype, true));
    TRY(probe_image(&x, "input", dtype, (int64_t[]){1, 3, m->height, m->width}));
    struct status s = exec_run(f->exec, &(struct exec_mode){0}, &x, &y);
    tensor_free(x);
    TRY(s);
    json_t *t = NULL;
    s = probe_stats(&t, y, OUTPUT_SAMPLES);
    tensor_free(y);
    if (t) json_object_set_new(answer, "output", t);
    return s;
}

struct status probe_model(struct probe *p, json_t *answer, const json_t *q)
{
    struct zoo_model m;
    struct probe_filled f = {0};
    const char *type = json_str(q, "dtype", "float32");
    bool wide = strcmp(type, "float64") == 0, with_taps = json_bool(q, "taps", false);
    enum tensor_dtype dtype = wide ? TENSOR_F64 : TENSOR_F32;
    TRY(probe_read_model(&m, q));
    if (!wide && strcmp(type, "float32") != 0)
        return fail(STATUS_ARG, "dtype: got \"%s\", expected float32 or float64", type);
    TRY(zoo_build(&f.net, &m));
    describe(answer, f.net, with_taps);
    struct status s = run_model(answer, &f, &m, dtype);
    probe_free(&f);
    TRY(s);
    return with_taps ? taps(p, answer, &m, dtype) : ok();
}
