/* Validation: loss and metrics of a model, or of the identity, on the pairs held out. */
#include "loss.h"
#include "parts.h"

/** What a pass needs beside the options. */
struct pass {
    struct judge *judge;
    const struct validate_options *o;
    float *input, *target; /* buffers of one batch */
    struct values sum;     /* over images */
    float *pooled[2];      /* of each image in turn, for KID: pred's, target's */
    int n_pooled;          /* numbers an image */
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

/** Which side an output's pooled features are of; -1 for a distance. */
static int pooled_side(const char *output)
{
    for (int k = 0; k < 2; k++)
        if (strcmp(output, loss_judge_pooled[k]) == 0) return k;
    return -1;
}

/** Keeps the pooled features of the batch, behind those of the batches before. */
static struct status keep_pooled(struct pass *p, int side, const struct tensor *t, int images)
{
    if (!p->pooled[side]) {
        int all;
        data_part(p->judge->data, DATA_VAL, &all);
        p->n_pooled = (int)(tensor_numel(t) / images);
        p->pooled[side] = mem_alloc((size_t)all * (size_t)p->n_pooled * sizeof(float));
    }
    return tensor_to_f32(t, p->pooled[side] + (size_t)p->images * (size_t)p->n_pooled);
}

/** Mean over the images of a batch. */
static struct status mean_of(double *out, const struct tensor *t)
{
    int64_t images = tensor_numel(t);
    double *v = mem_alloc((size_t)images * sizeof *v), sum = 0;
    struct status s = tensor_to_f64(t, v);
    for (int64_t k = 0; k < images; k++) sum += v[k];
    free(v);
    *out = sum / (double)images;
    return s;
}

/** Means over a batch of @p n images of what a net says of each. */
static struct status add_outputs(struct values *to, struct pass *p, const struct running *r, struct tensor *pred,
                                 struct tensor *y, int n)
{
    struct tensor *out[MAX_VALUES] = {NULL};
    TRY(exec_run(r->exec, &(struct exec_mode){0}, (struct tensor *[]){pred, y}, out));
    struct status s = ok();
    for (int i = 0; i < r->net->n_outputs && s.code == STATUS_OK; i++) {
        const char *name = r->net->outputs[i].name;
        int side = pooled_side(name);
        double v = 0;
        s = side < 0 ? mean_of(&v, out[i]) : keep_pooled(p, side, out[i], n);
        if (side < 0) values_add(to, v, "%s", name);
    }
    free_all(out, r->net->n_outputs);
    return s;
}

/* One picture of somebody else's making. */
static struct status picture_by(struct tensor **out, const struct pass *p)
{
    int64_t dims[4] = {1, 3, data_height(p->judge->data), data_width(p->judge->data)};
    float *v = mem_alloc((size_t)(dims[1] * dims[2] * dims[3]) * sizeof *v);
    struct status s = p->o->by(p->o->by_user, v, p->input);
    if (s.code == STATUS_OK) s = tensor_from_host(out, TENSOR_F32, 4, dims, v, p->judge->device);
    free(v);
    return s;
}

static struct status make_pictures(struct tensor **out, const struct pass *p, struct tensor **x, int n)
{
    if (p->o->by) return picture_by(out, p);
    if (p->o->model) return exec_run(p->o->model, &(struct exec_mode){0}, x, out);
    return judge_picture(out, p->judge, p->input, n);
}

static struct status run_batch(struct pass *p, const int *index, int n)
{
    struct tensor *x = NULL, *y = NULL, *pred = NULL;
    struct values v = {.n = 0};
    TRY(data_fill(p->input, p->target, p->judge->data, (struct data_want){.index = index, .n = n}));
    struct status s = judge_tensors(&x, &y, p->judge, p->input, p->target, n);
    if (s.code == STATUS_OK) s = make_pictures(&pred, p, &x, n);
    if (s.code == STATUS_OK && !p->o->by) s = add_loss(&v, p, pred, y);
    if (s.code == STATUS_OK) s = add_outputs(&v, p, &p->judge->metrics, pred, y, n);
    if (s.code == STATUS_OK && p->judge->features.exec) s = add_outputs(&v, p, &p->judge->features, pred, y, n);
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

/** Means over all images, and what only all together have. */
static void finish(struct values *out, const struct pass *p)
{
    *out = p->sum;
    for (int i = 0; i < out->n; i++) out->v[i] /= p->images;
    if (!p->n_pooled) return;
    struct loss_kid k = loss_kid(p->pooled[0], p->pooled[1], p->images, p->n_pooled);
    values_add(out, k.kid, "kid");
    values_add(out, k.deviation, "kid_deviation");
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
    if (s.code == STATUS_OK) finish(out, &p);
    free(p.input);
    free(p.target);
    free(p.pooled[0]);
    free(p.pooled[1]);
    return s;
}
