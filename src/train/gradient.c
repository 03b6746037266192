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

/** Adds @p share of the loss to the step's. *known: it is a number, or a GPU will tell later. */
static struct status add_loss(struct run *r, bool *known, const struct tensor *total, double share)
{
    *known = true;
    if (!r->model.device.cuda) {
        double value = 0;
        TRY(tensor_item(&value, total));
        r->loss.value += share * value;
        *known = isfinite(value);
        return ok();
    }
    struct tensor *plain = NULL, *part = NULL, *sum = NULL;
    struct status s = tensor_detach(&plain, total);
    if (s.code == STATUS_OK) s = tensor_affine(&part, plain, share, 0);
    if (s.code == STATUS_OK && r->loss.sum) s = tensor_binary(&sum, TENSOR_ADD, r->loss.sum, part);
    tensor_free(plain);
    if (s.code != STATUS_OK || sum) {
        tensor_free(part);
        part = sum;
    }
    if (s.code != STATUS_OK) return s;
    tensor_free(r->loss.sum);
    r->loss.sum = part;
    return ok();
}

/** Loss and gradient of images first..first+n of a prediction; *grad is none when the loss is no number. */
static struct status loss_gradient(struct tensor **grad, struct run *r, const struct tensor *pred,
                                   const struct tensor *y, int first, int n, double share)
{
    struct tensor *p = NULL, *t = NULL, *total = NULL;
    bool known = false;
    struct status s = tensor_rows(&p, pred, first, n);
    if (s.code == STATUS_OK) s = tensor_want_grad_in(p, true);
    if (s.code == STATUS_OK) s = tensor_rows(&t, y, first, n);
    if (s.code == STATUS_OK) s = total_loss(&total, r, p, t);
    if (s.code == STATUS_OK) s = add_loss(r, &known, total, share);
    if (s.code == STATUS_OK && known) s = tensor_backward(total, share * r->at.loss_scale);
    if (s.code == STATUS_OK && known) s = tensor_grad(grad, p);
    tensor_free(p);
    tensor_free(t);
    tensor_free(total);
    return s;
}

/** Gradient of the whole loss by the prediction, weighted by @p share; *grad is none when the loss is no number. */
static struct status prediction_gradient(struct tensor **grad, struct run *r, const struct tensor *pred,
                                         const struct tensor *y, double share)
{
    int n = (int)tensor_dim(pred, 0), part = loss_part(r, n), n_parts = 0;
    struct tensor **parts = mem_zalloc((size_t)n * sizeof *parts), *cut = NULL;
    struct status s = tensor_detach(&cut, pred);
    bool finite = true;
    for (int i = 0; i < n && finite && s.code == STATUS_OK; i += part) {
        int some = n - i < part ? n - i : part;
        s = loss_gradient(&parts[n_parts], r, cut, y, i, some, share * some / n);
        finite = parts[n_parts++] != NULL;
    }
    if (s.code == STATUS_OK && finite) s = tensor_concat(grad, parts, n_parts, 0);
    for (int i = 0; i < n_parts; i++) tensor_free(parts[i]);
    free(parts);
    tensor_free(cut);
    return s;
}

uint64_t run_seed(const struct run *r, int first)
{
    return rng_key((uint64_t)r->t->seed, (uint64_t)r->at.epoch, (uint64_t)r->at.step, 1 + (uint64_t)first).key;
}

struct status run_gradients(struct run *r, bool *diverged, const struct part *part)
{
    struct tensor *pred = NULL, *grad = NULL, *x = part->x;
    struct exec_mode mode = {.train = true, .grad = true, .seed = part->seed, .seeded = part->seeded};
    struct status s = exec_run(r->model.exec, &mode, &x, &pred);
    if (s.code == STATUS_OK) s = prediction_gradient(&grad, r, pred, part->y, part->share);
    *diverged = s.code == STATUS_OK && (!grad || r->at.loss_scale < scale_least);
    if (s.code == STATUS_OK && !*diverged) s = tensor_backward_from(pred, grad);
    tensor_free(pred);
    tensor_free(grad);
    return s;
}
