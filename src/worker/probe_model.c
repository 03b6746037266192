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

/** Runs the filled net; its first output is the model's, the others are the encoder's taps. */
static struct status run_model(json_t *answer, struct probe_filled *f, const struct zoo_model *m,
                               enum tensor_dtype dtype, struct tensor_device dev)
{
    struct tensor *x, *out[1 + ZOO_MAX_TAPS] = {NULL};
    TRY(probe_fill(f, dtype, true, dev));
    TRY(probe_image(&x, "input", dtype, (int64_t[]){1, m->in_channels, m->height, m->width}, dev));
    struct status s = exec_run(f->exec, &(struct exec_mode){0}, &x, out);
    tensor_free(x);
    json_t *taps = json_array();
    for (int i = 0; i < f->net->n_outputs && s.code == STATUS_OK; i++) {
        json_t *t = NULL;
        s = probe_stats(&t, out[i], i ? TAP_SAMPLES : OUTPUT_SAMPLES);
        if (t && i)
            json_array_append_new(taps, t);
        else if (t)
            json_object_set_new(answer, "output", t);
    }
    if (json_array_size(taps)) json_object_set(answer, "taps", taps);
    json_decref(taps);
    probe_free_all(out, LEN(out));
    return s;
}

static struct status model(json_t *answer, struct probe_filled *f, struct arena *a, const json_t *q,
                           struct tensor_device dev)
{
    struct zoo_model m;
    struct zoo_features taps;
    enum tensor_dtype dtype;
    bool with_taps = json_bool(q, "taps", false);
    TRY(probe_read_model(&m, a, q));
    TRY(probe_dtype(&dtype, q));
    TRY(zoo_build_taps(&f->net, &taps, &m));
    describe(answer, f->net, with_taps);
    for (int i = 0; i < taps.n && with_taps; i++) net_output(f->net, "tap", taps.tap[i]);
    return run_model(answer, f, &m, dtype, dev);
}

struct status probe_model(json_t *answer, const json_t *q, struct tensor_device dev)
{
    struct arena a = {0};
    struct probe_filled f = {0};
    struct status s = model(answer, &f, &a, q, dev);
    probe_free(&f);
    arena_free(&a);
    return s;
}
