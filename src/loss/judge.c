/* The judge: how far two pictures are apart in the features of a fixed, trained network, and KID over many of them. */
#include "loss.h"
#include "zoo.h"
#include <math.h>

enum { TAPS = 5, POOLED_FROM = 3, PIXEL = 1u << 1, PLANE = 1u << 2 | 1u << 3, MATRIX = 1u << 1 | 1u << 2 };
static const double norm_least = 1e-10; /* added to a pixel's norm: where no channel fires, nothing is divided by 0 */

/** A screen clips; the judge sees what is shown. */
static net_val as_shown(struct net *n, net_val x, const float mean[3], const float std[3])
{
    float scale[3], shift[3];
    for (int c = 0; c < 3; c++) {
        scale[c] = 1 / std[c];
        shift[c] = -mean[c] / std[c];
    }
    return net_channel_affine(n, loss_shown(n, x, mean, std), scale, shift);
}

/** Each pixel's channels as a vector of length 1. */
static net_val unit_pixels(struct net *n, net_val f)
{
    net_val norm = net_pow(n, net_sum(n, net_mul(n, f, f), PIXEL, true), 0.5);
    return net_div(n, f, net_affine(n, norm, 1, norm_least));
}

/** Shape: two [N,C,H,W] -> [N] */
static net_val feature_distance(struct net *n, net_val a, net_val b)
{
    net_val d = net_sub(n, unit_pixels(n, a), unit_pixels(n, b));
    return net_mean(n, net_sum(n, net_mul(n, d, d), PIXEL, true), PIXEL | PLANE, false);
}

/** Shape: two [N,C,H,W] -> [N] */
static net_val style_distance(struct net *n, net_val a, net_val b)
{
    net_val of_target = net_gram(n, b), d = net_sub(n, net_gram(n, a), of_target);
    return net_div(n, net_sum(n, net_abs(n, d), MATRIX, false), net_sum(n, net_abs(n, of_target), MATRIX, false));
}

static net_val mean_of(struct net *n, const net_val *v, int count)
{
    net_val sum = v[0];
    for (int i = 1; i < count; i++) sum = net_add(n, sum, v[i]);
    return net_affine(n, sum, 1.0 / count, 0);
}

/** Means over the picture of the deep taps, joined. Shape: -> [N,D,1,1] */
static net_val pooled(struct net *n, const struct zoo_features *f)
{
    net_val deep[TAPS];
    int count = 0;
    for (int tap = POOLED_FROM; tap <= TAPS; tap++) deep[count++] = net_mean(n, f->tap[tap], PLANE, true);
    return net_concat(n, deep, count);
}

static void compare(struct net *n, const struct zoo_features *p, const struct zoo_features *t, bool taps)
{
    net_val feature[TAPS], style[TAPS];
    for (int k = 0; k < TAPS; k++) {
        feature[k] = feature_distance(n, p->tap[k + 1], t->tap[k + 1]);
        style[k] = style_distance(n, p->tap[k + 1], t->tap[k + 1]);
    }
    net_output(n, "feature_distance", mean_of(n, feature, TAPS));
    net_output(n, "style_distance", mean_of(n, style, TAPS));
    for (int k = 0; taps && k < TAPS; k++) {
        net_output(n, arena_printf(&n->arena, "feature_distance.%d", k + 1), feature[k]);
        net_output(n, arena_printf(&n->arena, "style_distance.%d", k + 1), style[k]);
    }
    net_output(n, loss_judge_pooled[0], pooled(n, p));
    net_output(n, loss_judge_pooled[1], pooled(n, t));
}

const char *const loss_judge_pooled[2] = {"pooled.pred", "pooled.target"};

struct status loss_judge_build(struct net **out, const struct loss_judge_options *o)
{
    struct net *n = net_new();
    net_val pred = net_input(n, "pred", 3, o->height, o->width);
    net_val target = net_input(n, "target", 3, o->height, o->width);
    struct zoo_features p = zoo_encode(n, o->network, as_shown(n, pred, o->mean, o->std), TAPS, 32);
    struct zoo_features t = zoo_encode(n, o->network, as_shown(n, target, o->mean, o->std), TAPS, 32);
    if (!net_failed(n)) compare(n, &p, &t, o->taps);
    struct status s = net_finish(n);
    if (s.code == STATUS_OK) {
        *out = n;
        return s;
    }
    net_free(n);
    if (s.code == STATUS_REFUSED) s.code = STATUS_ARG; /* the cell is fine; the configured judge is not */
    return status_at(s, "evaluate.judge.network: %s at %d x %d pixels", o->network, o->height, o->width);
}

/* ---- KID ------------------------------------------------------------------------------------------------------- */

enum { RESAMPLED = 200 };

/** The kernel between each two of @p n vectors of @p d numbers. Shape: [n,d], [n,d] -> [n,n]. Owner: the caller. */
static double *kernel_of(const float *x, const float *y, int n, int d)
{
    double *k = mem_alloc((size_t)n * (size_t)n * sizeof *k);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double dot = 0;
            for (int c = 0; c < d; c++)
                dot += (double)x[(size_t)i * (size_t)d + (size_t)c] * (double)y[(size_t)j * (size_t)d + (size_t)c];
            k[(size_t)i * (size_t)n + (size_t)j] = pow(dot / d + 1, 3);
        }
    return k;
}

/** The squared discrepancy of the images @p drawn; two draws of one image say nothing about two images. */
static double discrepancy(const double *xx, const double *yy, const double *xy, const int *drawn, int n)
{
    double within = 0, between = 0;
    int64_t pairs = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            size_t at = (size_t)drawn[i] * (size_t)n + (size_t)drawn[j];
            between += xy[at];
            if (drawn[i] == drawn[j]) continue;
            within += xx[at] + yy[at];
            pairs++;
        }
    return pairs ? within / (double)pairs - 2 * between / ((double)n * n) : (double)NAN;
}

struct loss_kid loss_kid(const float *pred, const float *target, int n, int d)
{
    if (n < 2) return (struct loss_kid){(double)NAN, (double)NAN};
    double *xx = kernel_of(pred, pred, n, d), *yy = kernel_of(target, target, n, d);
    double *xy = kernel_of(pred, target, n, d), sum = 0, squares = 0;
    int *drawn = mem_alloc((size_t)n * sizeof *drawn), counted = 0;
    for (int i = 0; i < n; i++) drawn[i] = i;
    struct loss_kid out = {.kid = discrepancy(xx, yy, xy, drawn, n)};
    struct rng r = rng_key(0, 0, 0, 0);
    for (int k = 0; k < RESAMPLED; k++) {
        for (int i = 0; i < n; i++) drawn[i] = (int)rng_below(&r, (uint64_t)n);
        double v = discrepancy(xx, yy, xy, drawn, n);
        if (!isfinite(v)) continue;
        sum += v;
        squares += v * v;
        counted++;
    }
    double mean = counted ? sum / counted : 0;
    out.deviation = counted ? sqrt(fmax(0, squares / counted - mean * mean)) : (double)NAN;
    free(xx);
    free(yy);
    free(xy);
    free(drawn);
    return out;
}
