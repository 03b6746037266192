/* Probe kinds "loss" and "train": the VGG16 loss with its gradient, and whole training steps in float64. */
#include "probe.h"

/* ---- kind "loss" ------------------------------------------------------------------------------------------------- */

static struct status read_shape(int64_t dims[4], const json_t *q)
{
    const json_t *v = json_object_get(q, "shape");
    static const int64_t most[] = {BATCH_MOST, 3, SIDE_MOST, SIDE_MOST};
    if (json_array_size(v) != 4) return fail(STATUS_ARG, "shape: expected [N, 3, H, W]");
    for (size_t i = 0; i < 4; i++) TRY(probe_integer(&dims[i], json_array_get(v, i), "shape", most[i]));
    return dims[1] == 3 ? ok() : fail(STATUS_ARG, "shape: expected 3 channels");
}

/** Scalars of a loss net's outputs: the total apart, the others as terms. */
static struct status tell_terms(json_t *answer, const struct net *n, struct tensor *const *out)
{
    json_t *terms = json_object();
    json_object_set_new(answer, "terms", terms);
    for (int i = 0; i < n->n_outputs; i++) {
        double v;
        TRY(tensor_item(&v, out[i]));
        bool total = strcmp(n->outputs[i].name, "total") == 0;
        json_object_set_new(total ? answer : terms, n->outputs[i].name, probe_real(v));
    }
    return ok();
}

static int total_of(const struct net *n)
{
    int i = 0;
    while (i < n->n_outputs && strcmp(n->outputs[i].name, "total") != 0) i++;
    CHECK(i < n->n_outputs, "a loss net without a total");
    return i;
}

static struct status run_loss(json_t *answer, struct probe_filled *f, const int64_t dims[4], enum tensor_dtype dtype,
                              struct tensor_device dev)
{
    struct tensor *in[2] = {NULL}, *grad = NULL;
    struct tensor **out = mem_zalloc((size_t)f->net->n_outputs * sizeof(struct tensor *));
    json_t *t = NULL;
    struct status s = probe_fill(f, dtype, true, dev);
    if (s.code == STATUS_OK) s = probe_image(&in[0], "pred", dtype, dims, dev);
    if (s.code == STATUS_OK) s = probe_image(&in[1], "target", dtype, dims, dev);
    if (s.code == STATUS_OK) s = tensor_want_grad_in(in[0], true);
    if (s.code == STATUS_OK) s = exec_run(f->exec, &(struct exec_mode){.grad = true}, in, out);
    if (s.code == STATUS_OK) s = tell_terms(answer, f->net, out);
    if (s.code == STATUS_OK) s = tensor_backward(out[total_of(f->net)], 1);
    if (s.code == STATUS_OK) s = tensor_grad(&grad, in[0]);
    if (s.code == STATUS_OK && !grad) s = fail(STATUS_ARG, "no term of this loss depends on the prediction");
    if (s.code == STATUS_OK) s = probe_stats(&t, grad, OUTPUT_SAMPLES);
    if (t) json_object_set_new(answer, "grad", t);
    tensor_free(grad);
    probe_free_all(out, f->net->n_outputs);
    probe_free_all(in, 2);
    free(out);
    return s;
}

struct status probe_loss(json_t *answer, const json_t *q, struct tensor_device dev)
{
    int64_t dims[4];
    enum tensor_dtype dtype;
    struct probe_filled f = {0};
    TRY(probe_dtype(&dtype, q));
    TRY(read_shape(dims, q));
    TRY(probe_build_loss(&f.net, q, dims[2], dims[3]));
    struct status s = run_loss(answer, &f, dims, dtype, dev);
    probe_free(&f);
    return s;
}

/* ---- kind "train" ------------------------------------------------------------------------------------------------ */

/** One training run on one fixed batch: everything that its steps need. */
struct session {
    struct probe_filled model, loss;
    struct tensor *x, *y;
    struct tensor **params; /* the trained ones, borrowed */
    int *index;             /* of each in the net */
    int n_params;
    struct tensor_optim *optim;
    double *lr;
    struct arena arena; /* strings of the request's model */
};

static const struct {
    const char *name;
    struct tensor_optim_options o;
} optimisers[] = {
    {"sgd", {.kind = TENSOR_SGD, .momentum = 0.9}},
    {"adamw", {.kind = TENSOR_ADAMW, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.01}},
};
static const double learning_rate = 1e-3;

static struct status open_optimiser(struct session *s, const char *name)
{
    const struct net *n = s->model.net;
    s->params = mem_zalloc((size_t)n->n_params * sizeof(struct tensor *));
    s->index = mem_zalloc((size_t)n->n_params * sizeof *s->index);
    s->lr = mem_zalloc((size_t)n->n_params * sizeof *s->lr);
    for (int i = 0; i < n->n_params; i++) {
        if (n->params[i].kind != NET_WEIGHT) continue;
        s->index[s->n_params] = i;
        s->lr[s->n_params] = learning_rate;
        s->params[s->n_params++] = exec_param(s->model.exec, i);
    }
    for (size_t k = 0; k < LEN(optimisers); k++)
        if (strcmp(optimisers[k].name, name) == 0)
            return tensor_optim_new(&s->optim, &optimisers[k].o, s->params, s->n_params);
    return fail(STATUS_ARG, "optimizer: got \"%s\", expected sgd or adamw", name);
}

static struct status open_session(struct session *s, const json_t *q, struct tensor_device dev)
{
    struct zoo_model m;
    int64_t batch;
    TRY(probe_read_model(&m, &s->arena, q));
    TRY(probe_integer(&batch, json_object_get(q, "batch"), "batch", BATCH_MOST));
    TRY(zoo_build(&s->model.net, &m));
    TRY(probe_build_loss(&s->loss.net, q, m.height, m.width));
    TRY(probe_fill(&s->model, TENSOR_F64, false, dev));
    TRY(probe_fill(&s->loss, TENSOR_F64, true, dev));
    int64_t dims[] = {batch, 3, m.height, m.width};
    TRY(probe_image(&s->x, "batch.input", TENSOR_F64, dims, dev));
    TRY(probe_image(&s->y, "batch.target", TENSOR_F64, dims, dev));
    return open_optimiser(s, json_str(q, "optimizer", ""));
}

static void close_session(struct session *s)
{
    tensor_optim_free(s->optim);
    tensor_free(s->x);
    tensor_free(s->y);
    free(s->params);
    free(s->index);
    free(s->lr);
    probe_free(&s->model);
    probe_free(&s->loss);
    arena_free(&s->arena);
}

/** Forward and backward; the loss's value goes to @p losses. */
static struct status differentiate(struct session *s, json_t *losses)
{
    struct tensor *pred, **out = mem_zalloc((size_t)s->loss.net->n_outputs * sizeof(struct tensor *));
    struct exec_mode mode = {.train = true, .grad = true, .no_dropout = true};
    double v = 0;
    struct status st = tensor_drop_grads(s->params, s->n_params);
    if (st.code == STATUS_OK) st = exec_run(s->model.exec, &mode, &s->x, &pred);
    if (st.code == STATUS_OK) {
        st = exec_run(s->loss.exec, &(struct exec_mode){.grad = true}, (struct tensor *[]){pred, s->y}, out);
        tensor_free(pred);
    }
    if (st.code == STATUS_OK) st = tensor_item(&v, out[total_of(s->loss.net)]);
    if (st.code == STATUS_OK) st = tensor_backward(out[total_of(s->loss.net)], 1);
    json_array_append_new(losses, probe_real(v));
    probe_free_all(out, s->loss.net->n_outputs);
    free(out);
    return st;
}

/** Statistics of the named parameters, or of their gradients, as {name: stats}. */
static struct status tell_named(json_t *answer, const char *key, const struct session *s, const json_t *names,
                                bool grads)
{
    const json_t *name;
    size_t i;
    json_t *o = json_object();
    json_object_set_new(answer, key, o);
    json_array_foreach(names, i, name)
    {
        int p = json_is_string(name) ? net_param_find(s->model.net, json_string_value(name)) : -1;
        struct tensor *t = p >= 0 ? exec_param(s->model.exec, p) : NULL, *g = NULL;
        json_t *numbers = NULL;
        if (t && grads) TRY(tensor_grad(&g, t));
        if (!t || (grads && !g)) return fail(STATUS_ARG, "%s: no tensor %s", key, json_string_value(name));
        struct status st = probe_stats(&numbers, grads ? g : t, TAP_SAMPLES);
        tensor_free(g);
        TRY(st);
        json_object_set_new(o, json_string_value(name), numbers);
    }
    return ok();
}

static struct status tell_without_gradient(json_t *answer, const struct session *s)
{
    json_t *names = json_array();
    json_object_set_new(answer, "no_gradient", names);
    for (int i = 0; i < s->n_params; i++) {
        struct tensor *g;
        TRY(tensor_grad(&g, s->params[i]));
        if (!g) json_array_append_new(names, json_string(s->model.net->params[s->index[i]].name));
        tensor_free(g);
    }
    return ok();
}

static struct status tell_output(json_t *answer, const struct session *s)
{
    struct tensor *y;
    json_t *t = NULL;
    TRY(exec_run(s->model.exec, &(struct exec_mode){0}, &s->x, &y));
    struct status st = probe_stats(&t, y, AFTER_SAMPLES);
    tensor_free(y);
    if (t) json_object_set_new(answer, "output_after", t);
    return st;
}

static struct status run_session(json_t *answer, struct session *s, const json_t *q, struct tensor_device dev)
{
    int64_t steps;
    json_t *losses = json_array();
    json_object_set_new(answer, "losses", losses);
    TRY(probe_integer(&steps, json_object_get(q, "steps"), "steps", STEPS_MOST));
    TRY(open_session(s, q, dev));
    for (int64_t k = 0; k < steps; k++) {
        TRY(differentiate(s, losses));
        if (k == 0) TRY(tell_without_gradient(answer, s));
        if (k == 0) TRY(tell_named(answer, "gradients", s, json_object_get(q, "gradients"), true));
        TRY(tensor_optim_step(s->optim, s->lr));
    }
    TRY(tell_named(answer, "tensors_after", s, json_object_get(q, "tensors"), false));
    return tell_output(answer, s);
}

struct status probe_train(json_t *answer, const json_t *q, struct tensor_device dev)
{
    struct session s = {0};
    struct status st = run_session(answer, &s, q, dev);
    close_session(&s);
    return st;
}
