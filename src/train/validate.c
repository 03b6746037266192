/* Validation: loss and metrics of a model, or of the identity, on the pairs held out. */
#include "parts.h"

/** What a pass needs beside the options. */
struct pass {
    struct judge *judge;
    const struct validate_options *o;
    float *input, *target; /* buffers of one batch */
    struct values sum;     /* over images */
    int images;
};

static void free_all(struct tensor **t, int n)
{
    for (int i = 0; i < n; i++) tensor_free(t[i]);
}

/** Loss and terms of a batch, weighted by its size. */
static struct status add_loss(struct values *to, const struct pass *p, struct tensor *pred, struct tensor *y)
{
    const struct net *n = p->judge->loss.net;
    struct tensor *out[MAX_VALUES] = {NULL};
    TRY(exec_run(p->judge->loss.exec, &(struct exec_mode){0}, (struct tensor *[]){pred, y}, out));
    struct status s = ok();
    for (int i = 0; i < n->n_outputs && s.code == STATUS_OK; i++) {
        double v = 0;
        s = tensor_item(&v, out[i]);
        if (strcmp(n->outputs[i].name, "total") == 0)
            values_add(to, v, "val_loss");
        else
            values_add(to, v, "val_loss.%s", n->outputs[i].name);
    }
    free_all(out, n->n_outputs);
    return s;
}

/** Means of the metrics over a batch. */
static struct status add_metrics(struct values *to, const struct pass *p, struct tensor *pred, struct tensor *y)
{
    const struct net *n = p->judge->metrics.net;
    struct tensor *out[MAX_VALUES] = {NULL};
    TRY(exec_run(p->judge->metrics.exec, &(struct exec_mode){0}, (struct tensor *[]){pred, y}, out));
    struct status s = ok();
    for (int i = 0; i < n->n_outputs && s.code == STATUS_OK; i++) {
        int64_t images = tensor_numel(out[i]);
        double *v = mem_alloc((size_t)images * sizeof *v), sum = 0;
        s = tensor_to_f64(out[i], v);
        for (int64_t k = 0; k < images; k++) sum += v[k];
        free(v);
        values_add(to, sum / (double)images, "%s", n->outputs[i].name);
    }
    free_all(out, n->n_outputs);
    return s;
}

static struct status run_batch(struct pass *p, const int *index, int n)
{
    struct tensor *x = NULL, *y = NULL, *pred = NULL;
    struct values v = {.n = 0};
    TRY(data_fill(p->input, p->target, p->judge->data, (struct data_want){.index = index, .n = n}));
    struct status s = judge_tensors(&x, &y, p->judge, p->input, p->target, n);
    if (s.code == STATUS_OK && p->o->model)
        s = exec_run(p->o->model, &(struct exec_mode){0}, &x, &pred);
    else if (s.code == STATUS_OK)
        s = judge_picture(&pred, p->judge, p->input, n);
    if (s.code == STATUS_OK) s = add_loss(&v, p, pred, y);
    if (s.code == STATUS_OK) s = add_metrics(&v, p, pred, y);
    free_all((struct tensor *[]){x, y, pred}, 3);
    if (s.code != STATUS_OK) return s;
    for (int i = 0; i < v.n; i++) {
        if (p->images == 0) values_add(&p->sum, 0, "%s", v.name[i]);
        p->sum.v[i] += v.v[i] * n;
    }
    p->images += n;
    if (p->o->each) p->o->each(p->o->user, data_name(p->judge->data, index[0]), &v);
    return ok();
}

struct status validate(struct values *out, struct judge *j, const struct validate_options *o)
{
    int n;
    const int *index = data_part(j->data, DATA_VAL, &n);
    if (n == 0) return fail(STATUS_ARG, "data.split: no pair is left for validation; raise split.val");
    size_t floats = (size_t)o->batch * (size_t)data_height(j->data) * (size_t)data_width(j->data);
    struct pass p = {.judge = j, .o = o};
    p.input = mem_alloc(floats * (size_t)data_channels(j->data) * sizeof(float));
    p.target = mem_alloc(floats * 3 * sizeof(float));
    struct status s = ok();
    for (int i = 0; i < n && s.code == STATUS_OK; i += o->batch) {
        if (o->stop && *o->stop)
            s = fail(STATUS_INTERRUPTED, "validation: asked to stop");
        else
            s = run_batch(&p, index + i, n - i < o->batch ? n - i : o->batch);
    }
    free(p.input);
    free(p.target);
    if (s.code != STATUS_OK) return s;
    *out = p.sum;
    for (int i = 0; i < out->n; i++) out->v[i] /= p.images;
    return ok();
}
