/*
 * What a stage costs before anything was measured: counted work over round rates of a CPU core of our days. Only the
 * shape matters, how work grows with net, pictures, batch and epochs; the past corrects the rates (model.c).
 */
#include "inside.h"

/* Of one core and second. */
static const double macs_fp32 = 38e9, macs_low = 100e9, bytes_moved = 6e9;
static const double passes = 6; /* over each activation kept in a training step: written, read, and its gradient */
static const double ms_launch = 0.2, macs_runtime = 30e9, touches = 2; /* of the runtime that is measured, one thread */
static const double start_s = 1.5, step_s = 0.05, mib = 1048576;

static bool low_precision(const struct spec_trial *t)
{
    return strcmp(t->train.precision, "bf16") == 0 || strcmp(t->train.precision, "fp16") == 0;
}

/* Steps of @p n images; arithmetic and traffic of one of them. */
static void add_work(struct plan_cost *c, const struct plan_load *l, double steps, double images, double macs,
                     double bytes)
{
    bool low = low_precision(l->t);
    c->s[1] += steps * step_s;
    c->s[2] += images * macs / ((low ? macs_low : macs_fp32) * l->cores);
    c->s[3] += images * bytes * (low ? 0.5 : 1) / (bytes_moved * l->cores);
}

static double batches(int images, int batch)
{
    return (images + batch - 1) / batch;
}

static void add_train(struct plan_cost *c, const struct plan_load *l)
{
    const struct spec_trial *t = l->t;
    double net = (double)l->net.macs, loss = (double)l->loss.macs;
    /* The target's half of the loss network is not differentiated. */
    double kept = (double)l->net.bytes_train + (double)l->loss.bytes_train / 2;
    double seen = (double)l->net.bytes_train + (double)l->loss.bytes_train;
    add_work(c, l, t->train.epochs * batches(l->images.n_train, t->train.batch),
             (double)t->train.epochs * l->images.n_train, 3 * net + 1.5 * loss, passes * kept);
    add_work(c, l, t->train.epochs * batches(l->images.n_val, t->train.batch),
             (double)t->train.epochs * l->images.n_val, net + loss, seen);
    c->bytes[1] = t->train.batch * kept * (low_precision(t) ? 0.5 : 1);
    c->bytes[2] = 16.0 * (double)l->net.params + 4.0 * (double)l->loss.params; /* weight, gradient, two moments */
}

/* The exported model at work. */
static void add_latency(struct plan_cost *c, const struct plan_size *net)
{
    c->ms[0] = ms_launch;
    c->ms[1] = 1e3 * (double)net->macs / macs_runtime;
    c->ms[2] = 1e3 * touches * (double)net->bytes_train / bytes_moved;
    c->ms[3] = 1e3 * 4 * (double)net->params / bytes_moved;
}

struct plan_cost plan_cost_of(enum plan_kind kind, const struct plan_load *l)
{
    const struct spec_trial *t = l->t;
    struct plan_cost c = {.s = {start_s},
                          .bytes = {300 * mib, (double)l->net.bytes_infer, 4.0 * (double)l->net.params}};
    double net = (double)l->net.macs, loss = (double)l->loss.macs, forward = (double)l->net.bytes_train;
    int samples = t->samples && t->samples < l->images.n_val ? t->samples : l->images.n_val;
    switch (kind) {
    case PLAN_TRAIN:
        add_train(&c, l);
        break;
    case PLAN_EVALUATE:
        add_work(&c, l, batches(l->images.n_val, t->train.batch), l->images.n_val, net + loss,
                 forward + (double)l->loss.bytes_train);
        c.bytes[1] = t->train.batch * ((double)l->net.bytes_infer + (double)l->loss.bytes_infer);
        c.bytes[2] += 4.0 * (double)l->loss.params;
        break;
    case PLAN_SAMPLES:
        add_work(&c, l, samples, samples, net, forward);
        break;
    case PLAN_VERIFY:
        add_work(&c, l, 4, 4, 2 * net, 2 * forward); /* libtorch and the runtime */
        break;
    case PLAN_BENCH: /* its protocol measures for a time, whatever it measures */
        c.s[0] = 3.0 * (t->bench.threads.n ? t->bench.threads.n : 1);
        c.bytes[0] = 60 * mib;
        add_latency(&c, &l->net);
        break;
    case PLAN_SCREEN:
        add_latency(&c, &l->net);
        break;
    case PLAN_EXPORT:
    case PLAN_N_KINDS:
        break;
    }
    return c;
}
