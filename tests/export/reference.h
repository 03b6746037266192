/*
 * An independent evaluator of nets for one image: plain loops in double, nothing shared with the exporter or the
 * passes. Inference semantics: batch norms use their running statistics, dropouts do nothing.
 */
#ifndef SWEEP_TEST_REFERENCE_H
#define SWEEP_TEST_REFERENCE_H

#include "net.h"
#include <math.h>

struct ref {
    const struct net *n;
    const float *const *values;
    double **v; /* of each value, N = 1 */
};

static inline const float *ref_values_of(const struct ref *r, const struct net_node *d, int i)
{
    const float *p = r->values[d->param[i]];
    return p ? p : r->n->params[d->param[i]].value;
}

static inline double ref_param(const struct ref *r, const struct net_node *d, int i, int64_t k)
{
    return (double)ref_values_of(r, d, i)[k];
}

static inline const struct net_shape *ref_shape(const struct ref *r, net_val v)
{
    return &r->n->nodes[v].shape;
}

static void ref_conv(const struct ref *r, const struct net_node *d, double *out)
{
    const struct net_attr *a = &d->attr;
    const struct net_shape *s = ref_shape(r, d->in[0]), *o = &d->shape;
    const double *x = r->v[d->in[0]];
    const float *w = ref_values_of(r, d, 0);
    int64_t in_g = s->d[1] / a->groups, out_g = o->d[1] / a->groups;
    for (int64_t oc = 0; oc < o->d[1]; oc++)
        for (int64_t oy = 0; oy < o->d[2]; oy++)
            for (int64_t ox = 0; ox < o->d[3]; ox++) {
                double sum = d->n_param > 1 ? ref_param(r, d, 1, oc) : 0;
                for (int64_t ic = 0; ic < in_g; ic++)
                    for (int64_t ky = 0; ky < a->kernel[0]; ky++)
                        for (int64_t kx = 0; kx < a->kernel[1]; kx++) {
                            int64_t y = oy * a->stride[0] - a->pads[0] + ky * a->dil[0];
                            int64_t z = ox * a->stride[1] - a->pads[1] + kx * a->dil[1];
                            if (y < 0 || z < 0 || y >= s->d[2] || z >= s->d[3]) continue;
                            int64_t c = oc / out_g * in_g + ic;
                            sum += x[(c * s->d[2] + y) * s->d[3] + z] *
                                   (double)w[((oc * in_g + ic) * a->kernel[0] + ky) * a->kernel[1] + kx];
                        }
                out[(oc * o->d[2] + oy) * o->d[3] + ox] = sum;
            }
}

/* Each input pixel adds its kernel to the output. */
static void ref_conv_transpose(const struct ref *r, const struct net_node *d, double *out)
{
    const struct net_attr *a = &d->attr;
    const struct net_shape *s = ref_shape(r, d->in[0]), *o = &d->shape;
    int64_t in_g = s->d[1] / a->groups, out_g = o->d[1] / a->groups;
    for (int64_t i = 0; i < net_numel(*o); i++)
        out[i] = d->n_param > 1 ? ref_param(r, d, 1, i / (o->d[2] * o->d[3])) : 0;
    for (int64_t ic = 0; ic < s->d[1]; ic++)
        for (int64_t iy = 0; iy < s->d[2]; iy++)
            for (int64_t ix = 0; ix < s->d[3]; ix++)
                for (int64_t oc = 0; oc < out_g; oc++)
                    for (int64_t ky = 0; ky < a->kernel[0]; ky++)
                        for (int64_t kx = 0; kx < a->kernel[1]; kx++) {
                            int64_t y = iy * a->stride[0] - a->pads[0] + ky * a->dil[0];
                            int64_t z = ix * a->stride[1] - a->pads[1] + kx * a->dil[1];
                            if (y < 0 || z < 0 || y >= o->d[2] || z >= o->d[3]) continue;
                            int64_t c = ic / in_g * out_g + oc;
                            out[(c * o->d[2] + y) * o->d[3] + z] +=
                                r->v[d->in[0]][(ic * s->d[2] + iy) * s->d[3] + ix] *
                                ref_param(r, d, 0, ((ic * out_g + oc) * a->kernel[0] + ky) * a->kernel[1] + kx);
                        }
}

static void ref_norm(const struct ref *r, const struct net_node *d, double *out)
{
    const double *x = r->v[d->in[0]];
    int64_t n = net_numel(d->shape), c_n = d->shape.d[1], each = n / c_n;
    for (int64_t i = 0; i < n; i++) {
        int64_t c = i / each;
        double mean = 0, var = 0;
        if (d->op == NET_CHANNEL_AFFINE) {
            out[i] = x[i] * ref_param(r, d, 0, c) + ref_param(r, d, 1, c);
            continue;
        }
        if (d->op == NET_BATCH_NORM) {
            mean = ref_param(r, d, 2, c);
            var = ref_param(r, d, 3, c);
        } else {
            int64_t len = n / d->attr.groups, first = i / len * len;
            for (int64_t k = 0; k < len; k++) mean += x[first + k] / (double)len;
            for (int64_t k = 0; k < len; k++) var += (x[first + k] - mean) * (x[first + k] - mean) / (double)len;
        }
        out[i] = (x[i] - mean) / sqrt(var + d->attr.eps) * ref_param(r, d, 0, c) + ref_param(r, d, 1, c);
    }
}

static inline double ref_between(double v, double lo, double hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static double ref_unary(const struct net_node *d, double x)
{
    switch ((int)d->op) {
    case NET_RELU:
        return x > 0 ? x : 0;
    case NET_RELU6:
        return ref_between(x, 0, 6);
    case NET_SILU:
        return x / (1 + exp(-x));
    case NET_HARDSWISH:
        return x * ref_between(x + 3, 0, 6) / 6;
    case NET_SIGMOID:
        return 1 / (1 + exp(-x));
    case NET_HARDSIGMOID:
        return ref_between(x + 3, 0, 6) / 6;
    case NET_ROUND:
        return rint(x);
    case NET_TANH:
        return tanh(x);
    case NET_CLAMP:
        return ref_between(x, d->attr.a, d->attr.b);
    case NET_AFFINE:
        return d->attr.a * x + d->attr.b;
    default:
        return x; /* reshape and what training alone does */
    }
}

static void ref_softmax(const struct ref *r, const struct net_node *d, double *out)
{
    const double *x = r->v[d->in[0]];
    int64_t inner = 1, len = d->shape.d[d->attr.dim0], n = net_numel(d->shape);
    for (int i = d->attr.dim0 + 1; i < d->shape.rank; i++) inner *= d->shape.d[i];
    for (int64_t i = 0; i < n; i++) {
        int64_t first = i / (inner * len) * inner * len + i % inner;
        double sum = 0, max = -HUGE_VAL;
        for (int64_t k = 0; k < len; k++) max = fmax(max, x[first + k * inner]);
        for (int64_t k = 0; k < len; k++) sum += exp(x[first + k * inner] - max);
        out[i] = d->op == NET_SOFTMAX ? exp(x[i] - max) / sum : x[i] - max - log(sum);
    }
}

static void ref_pool(const struct ref *r, const struct net_node *d, double *out)
{
    const struct net_attr *a = &d->attr;
    const struct net_shape *s = ref_shape(r, d->in[0]), *o = &d->shape;
    for (int64_t i = 0; i < net_numel(*o); i++) {
        int64_t ox = i % o->d[3], oy = i / o->d[3] % o->d[2], c = i / (o->d[3] * o->d[2]);
        int64_t y0 = oy * a->stride[0] - a->pads[0], x0 = ox * a->stride[1] - a->pads[1];
        double sum = 0, max = -HUGE_VAL;
        int inside = 0, padded = 0;
        for (int64_t y = y0; y < y0 + a->kernel[0]; y++)
            for (int64_t x = x0; x < x0 + a->kernel[1]; x++) {
                if (y >= s->d[2] + a->pads[2] || x >= s->d[3] + a->pads[3]) continue; /* beyond the padding */
                padded++;
                if (y < 0 || x < 0 || y >= s->d[2] || x >= s->d[3]) continue;
                double v = r->v[d->in[0]][(c * s->d[2] + y) * s->d[3] + x];
                inside++;
                sum += v;
                if (v > max) max = v;
            }
        out[i] = d->op == NET_MAX_POOL ? max : sum / (a->count_pad ? padded : inside);
    }
}

static void ref_resample(const struct ref *r, const struct net_node *d, double *out)
{
    const struct net_shape *s = ref_shape(r, d->in[0]), *o = &d->shape;
    for (int64_t i = 0; i < net_numel(*o); i++) {
        int64_t at[2] = {i / o->d[3] % o->d[2], i % o->d[3]}, lo[2], hi[2];
        const double *x = r->v[d->in[0]] + i / (o->d[2] * o->d[3]) * s->d[2] * s->d[3];
        double f[2] = {0};
        for (int k = 0; k < 2; k++) {
            int64_t in = s->d[2 + k], to = o->d[2 + k];
            lo[k] = at[k] * in / to; /* nearest, and the start of an adaptive window */
            hi[k] = ((at[k] + 1) * in + to - 1) / to;
            if (d->op != NET_UPSAMPLE_BILINEAR) continue;
            double p = d->attr.align_corners ? (to > 1 ? (double)at[k] * (double)(in - 1) / (double)(to - 1) : 0)
                                             : ((double)at[k] + 0.5) * (double)in / (double)to - 0.5;
            if (p < 0) p = 0;
            lo[k] = (int64_t)p;
            hi[k] = lo[k] + (lo[k] < in - 1);
            f[k] = p - (double)lo[k];
        }
        if (d->op == NET_UPSAMPLE_NEAREST) {
            out[i] = x[lo[0] * s->d[3] + lo[1]];
        } else if (d->op == NET_UPSAMPLE_BILINEAR) {
            double top = x[lo[0] * s->d[3] + lo[1]] * (1 - f[1]) + x[lo[0] * s->d[3] + hi[1]] * f[1];
            double low = x[hi[0] * s->d[3] + lo[1]] * (1 - f[1]) + x[hi[0] * s->d[3] + hi[1]] * f[1];
            out[i] = top * (1 - f[0]) + low * f[0];
        } else {
            out[i] = 0;
            for (int64_t y = lo[0]; y < hi[0]; y++)
                for (int64_t z = lo[1]; z < hi[1]; z++)
                    out[i] += x[y * s->d[3] + z] / (double)((hi[0] - lo[0]) * (hi[1] - lo[1]));
        }
    }
}

/* Position of element i of shape s, dimension by dimension. */
static void ref_unravel(const struct net_shape *s, int64_t i, int64_t *at)
{
    for (int d = s->rank - 1; d >= 0; d--) {
        at[d] = i % s->d[d];
        i /= s->d[d];
    }
}

static int64_t ref_ravel(const struct net_shape *s, const int64_t *at)
{
    int64_t i = 0;
    for (int d = 0; d < s->rank; d++) i = i * s->d[d] + (s->d[d] == 1 ? 0 : at[d]); /* size 1 broadcasts */
    return i;
}

static void ref_binary(const struct ref *r, const struct net_node *d, double *out)
{
    int64_t at[NET_MAX_RANK];
    for (int64_t i = 0; i < net_numel(d->shape); i++) {
        ref_unravel(&d->shape, i, at);
        double a = r->v[d->in[0]][ref_ravel(ref_shape(r, d->in[0]), at)];
        double b = r->v[d->in[1]][ref_ravel(ref_shape(r, d->in[1]), at)];
        out[i] = d->op == NET_ADD ? a + b : a * b;
    }
}

/* Concatenation, slice, padding, transposition: where each output element comes from. */
static void ref_move(const struct ref *r, const struct net_node *d, double *out)
{
    int64_t at[NET_MAX_RANK];
    for (int64_t i = 0; i < net_numel(d->shape); i++) {
        ref_unravel(&d->shape, i, at);
        int source = 0;
        bool outside = false;
        if (d->op == NET_CONCAT)
            while (at[1] >= ref_shape(r, d->in[source])->d[1]) at[1] -= ref_shape(r, d->in[source++])->d[1];
        const struct net_shape *s = ref_shape(r, d->in[source]);
        if (d->op == NET_SLICE) at[1] += d->attr.start;
        if (d->op == NET_TRANSPOSE) {
            int64_t t = at[d->attr.dim0];
            at[d->attr.dim0] = at[d->attr.dim1];
            at[d->attr.dim1] = t;
        }
        for (int k = 0; d->op == NET_PAD && k < 2; k++) {
            at[2 + k] -= d->attr.pads[k];
            outside |= at[2 + k] < 0 || at[2 + k] >= s->d[2 + k];
        }
        out[i] = outside ? 0 : r->v[d->in[source]][ref_ravel(s, at)];
    }
}

static void ref_matmul(const struct ref *r, const struct net_node *d, double *out)
{
    const struct net_shape *a = ref_shape(r, d->in[0]), *b = ref_shape(r, d->in[1]);
    for (int64_t i = 0; i < a->d[1]; i++)
        for (int64_t j = 0; j < b->d[2]; j++) {
            double sum = 0;
            for (int64_t k = 0; k < a->d[2]; k++)
                sum += r->v[d->in[0]][i * a->d[2] + k] * r->v[d->in[1]][k * b->d[2] + j];
            out[i * b->d[2] + j] = sum;
        }
}

static void ref_reduce(const struct ref *r, const struct net_node *d, double *out)
{
    const struct net_shape *s = ref_shape(r, d->in[0]);
    int64_t at[NET_MAX_RANK], n = net_numel(*s), m = net_numel(d->shape);
    struct net_shape kept = *s; /* the output's shape with size 1 where it was reduced */
    for (int k = 0; k < s->rank; k++)
        if (d->attr.dims >> k & 1) kept.d[k] = 1;
    for (int64_t i = 0; i < m; i++) out[i] = 0;
    for (int64_t i = 0; i < n; i++) {
        ref_unravel(s, i, at);
        out[ref_ravel(&kept, at)] += r->v[d->in[0]][i] / (d->op == NET_MEAN ? (double)(n / m) : 1);
    }
}

static void ref_elementwise(const struct ref *r, const struct net_node *d, double *out)
{
    for (int64_t i = 0; i < net_numel(d->shape); i++) out[i] = ref_unary(d, r->v[d->in[0]][i]);
}

static void ref_node(const struct ref *r, const struct net_node *d, double *out)
{
    static void (*const eval[NET_N_OPS])(const struct ref *, const struct net_node *, double *) = {
        [NET_CONV2D] = ref_conv,
        [NET_CONV_TRANSPOSE2D] = ref_conv_transpose,
        [NET_BATCH_NORM] = ref_norm,
        [NET_GROUP_NORM] = ref_norm,
        [NET_CHANNEL_AFFINE] = ref_norm,
        [NET_SOFTMAX] = ref_softmax,
        [NET_LOG_SOFTMAX] = ref_softmax,
        [NET_MAX_POOL] = ref_pool,
        [NET_AVG_POOL] = ref_pool,
        [NET_ADAPTIVE_AVG_POOL] = ref_resample,
        [NET_UPSAMPLE_NEAREST] = ref_resample,
        [NET_UPSAMPLE_BILINEAR] = ref_resample,
        [NET_PAD] = ref_move,
        [NET_CONCAT] = ref_move,
        [NET_SLICE] = ref_move,
        [NET_TRANSPOSE] = ref_move,
        [NET_ADD] = ref_binary,
        [NET_MUL] = ref_binary,
        [NET_MATMUL] = ref_matmul,
        [NET_SUM] = ref_reduce,
        [NET_MEAN] = ref_reduce,
    };
    (eval[d->op] ? eval[d->op] : ref_elementwise)(r, d, out);
}

/** Evaluates a whole net on one input per net input. Owner: the caller, ref_free. */
static struct ref ref_run(const struct net *n, const float *const *values, const float *const *in)
{
    struct ref r = {.n = n, .values = values, .v = mem_zalloc((size_t)n->n_nodes * sizeof *r.v)};
    for (int i = 0; i < n->n_nodes; i++) {
        const struct net_node *d = &n->nodes[i];
        int64_t size = net_numel(d->shape);
        r.v[i] = mem_alloc((size_t)size * sizeof **r.v);
        if (d->op != NET_INPUT) ref_node(&r, d, r.v[i]);
        for (int k = 0; k < n->n_inputs; k++)
            for (int64_t e = 0; n->inputs[k].val == i && e < size; e++) r.v[i][e] = (double)in[k][e];
    }
    return r;
}

static void ref_free(struct ref *r)
{
    for (int i = 0; i < r->n->n_nodes; i++) free(r->v[i]);
    free(r->v);
}

/** Random values for every parameter of a net, in @p a: batch norms look trained, weights keep activations near 1. */
static const float **ref_values(const struct net *n, struct arena *a, uint64_t seed)
{
    const float **v = arena_alloc(a, (size_t)(n->n_params + 1) * sizeof *v);
    for (int i = 0; i < n->n_params; i++) {
        const struct net_param *p = &n->params[i];
        int64_t size = net_numel(p->shape);
        if (p->kind == NET_CONST || p->kind == NET_COUNT) continue;
        float *f = arena_alloc(a, (size_t)size * sizeof *f);
        struct rng r = rng_key(seed, (uint64_t)i, 0, 0);
        int64_t fan_in = p->shape.rank > 1 ? size / p->shape.d[0] : 1;
        for (int64_t k = 0; k < size; k++)
            f[k] = p->shape.rank > 1           ? (float)(rng_normal(&r) * sqrt(2.0 / (double)fan_in))
                   : strstr(p->name, "_var")   ? (float)rng_range(&r, 0.5, 1.5)
                   : strstr(p->name, "weight") ? (float)rng_range(&r, 0.7, 1.3)
                                               : (float)rng_range(&r, -0.2, 0.2);
        v[i] = f;
    }
    return v;
}

#endif
