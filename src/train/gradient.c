/*
 * Gradients of some images of a batch: the model forwards, the loss and its gradient by the prediction a few images at
 * a time, the model backwards. The maps of a loss network are most of what a step keeps in memory; cut into parts they
 * need a fraction of it, and what one layer writes the next still finds in the cache.
 */
#include "run.h"
#include <math.h>

static const double scale_least = 1e-3;
enum { LOSS_PIXELS = 1 << 16 }; /* of the images that go through the loss together on a CPU */

static int loss_part(const struct run *r, int n)
{
    int pixels = r->t->data.size[0] * r->t->data.size[1];
    if (r->model.device.cuda) return n; /* a GPU wants all that it can get */
    int most = LOSS_PIXELS / pixels;
    return most < 1 ? 1 : most < n ? most : n;
}

/** The loss of @p pred, with what its backward pass needs. */
static struct status total_loss(struct tensor **total, const struct run *r, struct tensor *pred, struct tensor *y)
{
    const struct net *loss = r->judge.loss.net;
    struct tensor *out[MAX_VALUES] = {NULL};
    *total = NULL;
    TRY(exec_run(r->judge.loss.exec, &(struct exec_mode){.grad = true}, (struct tensor *[]){pred, y}, out));
    for (int i = 0; i < loss->n_outputs; i++) {
        if (strcmp(loss->outputs[i].name, "total") == 0)
            *total = out[i];
        else
            tensor_free(out[i]);
    }
    return ok();
}

/** Loss and gradient of images first..first+n of a prediction; *grad is none when the loss is no number. */
static struct status loss_gradient(struct tensor **grad, double *loss, const struct run *r, const struct tensor *pred,
                                   const struct tensor *y, int first, int n, double share)
{
    struct tensor *p = NULL, *t = NULL, *total = NULL;
    double value = 0;
    struct status s = tensor_rows(&p, pred, first, n);
    if (s.code == STATUS_OK) s = tensor_want_grad_in(p, true);
    if (s.code == STATUS_OK) s = tensor_rows(&t, y, first, n);
    if (s.code == STATUS_OK) s = total_loss(&total, r, p, t);
    if (s.code == STATUS_OK) s = tensor_item(&value, total);
    *loss += share * value;
    if (s.code == STATUS_OK && isfinite(value)) s = tensor_backward(total, share * r->at.loss_scale);
    if (s.code == STATUS_OK && isfinite(value)) s = tensor_grad(grad, p);
    tensor_free(p);
    tensor_free(t);
    tensor_free(total);
    return s;
}

/** Gradient of the whole loss by the prediction, weighted by @p share; *grad is none when the loss is no number. */
static struct status prediction_gradient(struct tensor **grad, double *loss, const struct run *r,
                                         const struct tensor *pred, const struct tensor *y, double share)
{
    int n = (int)tensor_dim(pred, 0), part = loss_part(r, n), n_parts = 0;
    struct tensor **parts = mem_zalloc((size_t)n * sizeof *parts), *cut = NULL;
    struct status s = tensor_detach(&cut, pred);
    bool finite = true;
    for (int i = 0; i < n && finite && s.code == STATUS_OK; i += part) {
        int some = n - i < part ? n - i : part;
        s = loss_gradient(&parts[n_parts], loss, r, cut, y, i, some, share * some / n);
        finite = parts[n_parts++] != NULL;
    }
    if (s.code == STATUS_OK && finite) s = tensor_concat(grad, parts, n_parts, 0);
    for (int i = 0; i < n_parts; i++) tensor_free(parts[i]);
    free(parts);
    tensor_free(cut);
    return s;
}

struct status run_gradients(struct run *r, double *loss, bool *diverged, const struct data_batch *b, int first, int n)
{
    struct tensor *x = NULL, *y = NULL, *pred = NULL, *grad = NULL;
    size_t skip = (size_t)first * (size_t)r->t->data.size[0] * (size_t)r->t->data.size[1];
    const float *input = b->input + skip * (size_t)data_channels(r->judge.data);
    TRY(judge_tensors(&x, &y, &r->judge, input, b->target + skip * 3, n));
    uint64_t seed = rng_key((uint64_t)r->t->seed, (uint64_t)r->at.epoch, (uint64_t)r->at.step, 1 + (uint64_t)first).key;
    struct status s =
        exec_run(r->model.exec, &(struct exec_mode){.train = true, .grad = true, .seed = seed}, &x, &pred);
    tensor_free(x);
    if (s.code == STATUS_OK) s = prediction_gradient(&grad, loss, r, pred, y, (double)n / b->n);
    tensor_free(y);
    *diverged = s.code == STATUS_OK && (!grad || r->at.loss_scale < scale_least);
    if (s.code == STATUS_OK && !*diverged) s = tensor_backward_from(pred, grad);
    tensor_free(pred);
    tensor_free(grad);
    return s;
}
