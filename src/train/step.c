/* One step of the optimiser, and what it needs to be set up. */
#include "run.h"
#include <math.h>

static const double scale_start = 65536;
enum { SCALE_GROWS_AFTER = 500 }; /* fp16: good steps until the loss scale is doubled */

static bool is_encoder(const char *name)
{
    return strncmp(name, "encoder.", strlen("encoder.")) == 0;
}

/** The parameters that the output depends on; the others never get a gradient. */
static void list_params(struct run *r)
{
    const struct net *n = r->model.net;
    size_t cap = (size_t)n->n_params;
    r->w.params = mem_zalloc(cap * sizeof *r->w.params);
    r->params = mem_zalloc(cap * sizeof(struct tensor *));
    r->of_encoder = mem_zalloc(cap * sizeof *r->of_encoder);
    r->lr = mem_zalloc(cap * sizeof *r->lr);
    bool *live = mem_zalloc((size_t)n->n_nodes);
    net_live(n, live);
    for (int i = 0; i < n->n_params; i++) {
        if (n->params[i].kind != NET_WEIGHT || !live[n->params[i].owner]) continue;
        r->w.params[r->w.n_params] = i;
        r->params[r->w.n_params] = exec_param(r->model.exec, i);
        r->of_encoder[r->w.n_params++] = is_encoder(n->params[i].name);
    }
    free(live);
}

static struct status optimiser(struct run *r)
{
    static const char *const names[] = {[TENSOR_ADAMW] = "adamw", [TENSOR_ADAM] = "adam", [TENSOR_SGD] = "sgd", NULL};
    struct tensor_optim_options o = {.beta1 = r->t->train.beta1,
                                     .beta2 = r->t->train.beta2,
                                     .eps = r->t->train.eps,
                                     .momentum = r->t->train.momentum,
                                     .weight_decay = r->t->train.weight_decay};
    for (int k = 0; names[k]; k++)
        if (strcmp(names[k], r->t->train.optimizer) == 0) {
            o.kind = (enum tensor_optim_kind)k;
            return tensor_optim_new(&r->w.optim, &o, r->params, r->w.n_params);
        }
    const char *near = str_nearest(r->t->train.optimizer, names);
    return fail(STATUS_ARG, "train.optimizer: got \"%s\", expected adamw, adam or sgd%s%s", r->t->train.optimizer,
                near ? "; did you mean " : "", near ? near : "");
}

/** Copies of the weights and running statistics, that will follow them slowly. */
static struct status averages(struct run *r)
{
    const struct net *n = r->model.net;
    r->w.average = mem_zalloc((size_t)n->n_params * sizeof(struct tensor *));
    for (int i = 0; i < n->n_params; i++) {
        const struct tensor *p = exec_param(r->model.exec, i);
        if (!p || (n->params[i].kind != NET_WEIGHT && n->params[i].kind != NET_BUFFER)) continue;
        int64_t dims[TENSOR_MAX_RANK];
        for (int d = 0; d < tensor_rank(p); d++) dims[d] = tensor_dim(p, d);
        TRY(tensor_zeros(&r->w.average[i], tensor_dtype_of(p), tensor_rank(p), dims, r->model.device));
        TRY(tensor_copy_in(r->w.average[i], p));
    }
    return ok();
}

struct status run_prepare(struct run *r)
{
    r->w.exec = r->model.exec;
    list_params(r);
    TRY(optimiser(r));
    if (r->t->train.ema > 0) TRY(averages(r));
    r->at.loss_scale = r->model.compute == TENSOR_F16 ? scale_start : 1;
    return ok();
}

static void drop_loss(struct step_loss *l)
{
    struct status s = tensor_event_wait(&l->passed);
    if (s.code != STATUS_OK) log_warn("%s", s.msg);
    tensor_free(l->sum);
    tensor_free(l->fetched);
    *l = (struct step_loss){0};
}

void run_release(struct run *r)
{
    drop_loss(&r->earlier);
    drop_loss(&r->loss);
    graph_close(r);
    tensor_free(r->x);
    tensor_free(r->y);
    tensor_free(r->host);
    for (int i = 0; r->w.average && i < r->model.net->n_params; i++) tensor_free(r->w.average[i]);
    free(r->w.average);
    tensor_optim_free(r->w.optim);
    free(r->w.params);
    free(r->params);
    free(r->of_encoder);
    free(r->lr);
    position_free(&r->at);
}

void run_freeze(struct run *r, int epoch)
{
    struct exec *e = r->model.exec;
    const struct net *n = r->model.net;
    if (r->t->train.freeze_encoder > 0) exec_freeze(e, "encoder.*", epoch <= r->t->train.freeze_encoder);
    if (!r->t->train.freeze_bn) return;
    for (int v = 0; v < n->n_nodes; v++) /* the encoder's norms keep their statistics and scales */
        for (int k = 0; n->nodes[v].op == NET_BATCH_NORM && k < n->nodes[v].n_param; k++) {
            const char *name = n->params[n->nodes[v].param[k]].name;
            if (is_encoder(name)) exec_freeze(e, name, true);
        }
}

struct status run_factor(double *factor, const struct run *r, int64_t step)
{
    return train_schedule(factor, r->t->train.schedule, r->t->train.warmup, step, r->t->train.epochs * r->steps);
}

static struct status set_rates(struct run *r)
{
    double factor, lr = r->t->train.lr, encoder_lr = r->t->train.encoder_lr > 0 ? r->t->train.encoder_lr : lr;
    TRY(run_factor(&factor, r, r->at.epoch * r->steps + r->at.step));
    for (int i = 0; i < r->w.n_params; i++) r->lr[i] = factor * (r->of_encoder[i] ? encoder_lr : lr);
    r->lr_now = factor * lr;
    return ok();
}

/** fp16: the scale that keeps gradients in range; halved when one overflowed. Returns whether to update. */
static struct status unscale(struct run *r, bool *update)
{
    *update = true;
    if (r->model.compute != TENSOR_F16) return ok();
    TRY(tensor_unscale_grads(update, r->params, r->w.n_params, 1 / r->at.loss_scale));
    r->at.good_steps = *update ? r->at.good_steps + 1 : 0;
    if (!*update) r->at.loss_scale /= 2;
    if (r->at.good_steps == SCALE_GROWS_AFTER) r->at.loss_scale *= 2, r->at.good_steps = 0;
    return ok();
}

static struct status follow(struct run *r)
{
    if (!r->w.average) return ok();
    const struct net *n = r->model.net;
    double u = (double)(r->at.epoch * r->steps + r->at.step);
    double decay = fmin(r->t->train.ema, (1 + u) / (10 + u)); /* early on the average would only remember the start */
    struct tensor **dst = mem_alloc(2 * (size_t)n->n_params * sizeof *dst), **src = dst + n->n_params;
    int count = 0;
    for (int i = 0; i < n->n_params; i++)
        if (r->w.average[i]) dst[count] = r->w.average[i], src[count++] = exec_param(r->model.exec, i);
    struct status s = tensor_lerp_in(dst, src, count, 1 - decay);
    free(dst);
    return s;
}

/** Gradients are there: clip, update, average. */
static struct status update(struct run *r)
{
    bool good;
    TRY(unscale(r, &good));
    if (!good) return ok();
    if (r->t->train.clip_grad > 0) TRY(tensor_clip_grads(r->params, r->w.n_params, r->t->train.clip_grad));
    TRY(set_rates(r));
    TRY(tensor_optim_step(r->w.optim, r->lr));
    return follow(r);
}

/* ---- the loss, a step late on a GPU -------------------------------------------------------------------------------
 */

/** What is left to read of a step: its value joins the epoch's. */
static struct status read_loss(struct run *r, struct step_loss *l, double *loss, bool *diverged)
{
    TRY(tensor_event_wait(&l->passed));
    if (l->fetched) TRY(tensor_item(&l->value, l->fetched));
    struct step_loss known = *l;
    drop_loss(l);
    if (!known.step) return ok();
    *loss = known.value;
    *diverged = !isfinite(known.value);
    r->loss_step = known.step;
    if (*diverged) return ok();
    r->at.loss_sum += known.value * known.images;
    int64_t step = r->at.epoch * r->steps + known.step - 1;
    if (r->job->after_step) r->job->after_step(r->job->user, step, known.value);
    return ok();
}

struct status run_settle(struct run *r, double *loss, bool *diverged)
{
    TRY(read_loss(r, &r->earlier, loss, diverged));
    return *diverged ? ok() : read_loss(r, &r->loss, loss, diverged);
}

/** Asks for the loss of the step that was just begun, and reads the one that is known by now. */
static struct status pass_loss(struct run *r, double *loss, bool *diverged)
{
    if (!r->loss.sum) return read_loss(r, &r->loss, loss, diverged);
    TRY(tensor_fetch(&r->loss.fetched, r->loss.sum));
    TRY(tensor_event_record(&r->loss.passed, r->model.device));
    TRY(read_loss(r, &r->earlier, loss, diverged));
    r->earlier = r->loss;
    r->loss = (struct step_loss){0};
    return ok();
}

/* ---- a step ------------------------------------------------------------------------------------------------------ */

/** Images first..first+n of a batch, through tensors of their own. */
static struct status part_gradients(struct run *r, bool *diverged, const struct data_batch *b, int first, int n)
{
    struct part p = {.share = (double)n / b->n, .seed = run_seed(r, first)};
    size_t skip = (size_t)first * (size_t)r->t->data.size[0] * (size_t)r->t->data.size[1];
    const float *input = b->input + skip * (size_t)data_channels(r->judge.data);
    TRY(judge_tensors(&p.x, &p.y, &r->judge, input, b->target + skip * 3, n));
    struct status s = run_gradients(r, diverged, &p);
    tensor_free(p.x);
    tensor_free(p.y);
    return s;
}

/** A batch into r->x and r->y. Its host memory is that of the step before the last, whose loss has been read. */
static struct status send(struct run *r, const struct data_batch *b)
{
    if (!r->x) TRY(judge_tensors(&r->x, &r->y, &r->judge, b->input, b->target, b->n));
    size_t input = (size_t)tensor_numel(r->x) * sizeof(float), target = (size_t)tensor_numel(r->y) * sizeof(float);
    if (!r->host) TRY(tensor_pinned(&r->host, (int64_t)(2 * (input + target))));
    char *at = (char *)tensor_host_bytes(r->host) + (size_t)(b->step % 2) * (input + target);
    memcpy(at, b->input, input);
    memcpy(at + input, b->target, target);
    TRY(tensor_send_in(r->x, (const float *)(const void *)at));
    return tensor_send_in(r->y, (const float *)(const void *)(at + input));
}

/** A whole batch on a GPU: into the memory that every step uses, and through a recorded step where there is one. */
static struct status batch_gradients(struct run *r, bool *diverged, const struct data_batch *b)
{
    bool done;
    TRY(send(r, b));
    TRY(graph_gradients(r, &done));
    if (done) return ok();
    TRY(tensor_drop_grads(r->params, r->w.n_params));
    return run_gradients(r, diverged, &(struct part){r->x, r->y, .share = 1, .seed = run_seed(r, 0)});
}

static struct status gradients(struct run *r, bool *diverged, const struct data_batch *b)
{
    int micro = r->job->micro_batch;
    if (r->model.device.cuda && b->n == r->t->train.batch && run_part(micro, b->n) == b->n)
        return batch_gradients(r, diverged, b);
    TRY(tensor_drop_grads(r->params, r->w.n_params));
    for (int first = 0, n; first < b->n && !*diverged; first += n) {
        n = run_part(micro, b->n - first);
        TRY(part_gradients(r, diverged, b, first, n));
    }
    return ok();
}

struct status run_step(struct run *r, double *loss, bool *diverged)
{
    struct data_batch b;
    double asked = time_mono();
    TRY(data_loader_next(r->loader, &b));
    r->spent.data += time_mono() - asked;
    *loss = (double)NAN;
    *diverged = false;
    r->loss = (struct step_loss){.images = b.n, .step = r->at.step + 1};
    TRY(gradients(r, diverged, &b));
    if (*diverged) {
        *loss = r->loss.value;
        r->loss_step = r->loss.step;
        return ok();
    }
    TRY(update(r));
    r->at.step++;
    r->at.loss_images += b.n;
    return pass_loss(r, loss, diverged);
}

/* The last part is never one image that a norm cannot use alone: what is left is halved rather than cut. */
int run_part(int micro, int left)
{
    if (micro <= 0 || left <= micro) return left;
    return left < 2 * micro ? (left + 1) / 2 : micro;
}

int run_least_part(int micro, int batch)
{
    int least = batch;
    for (int left = batch, n; left > 0; left -= n) {
        n = run_part(micro, left);
        if (n < least) least = n;
    }
    return least;
}
