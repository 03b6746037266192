/*
 * 8 bits in LiteRT: a tensor counts from -128 by a scale of its own, a convolution's weights by one a filter, and an
 * operation whose tensors all do computes so. Between those that do and those that do not stand QUANTIZE and
 * DEQUANTIZE.
 */
#include "litert.h"

/* clang-format off */
const unsigned char litert_quantise[NET_N_OPS] = {
    [NET_CONV2D] = QUANTISE_LAYER,
    [NET_RELU] = QUANTISE_AFTER,
    [NET_RELU6] = QUANTISE_AFTER,
    [NET_ADD] = QUANTISE_SEVERAL,
    [NET_MUL] = QUANTISE_SEVERAL,
    [NET_CONCAT] = QUANTISE_SEVERAL,
    [NET_SIGMOID] = QUANTISE_SEVERAL,
    [NET_MAX_POOL] = QUANTISE_MOVES,
    [NET_UPSAMPLE_NEAREST] = QUANTISE_MOVES,
    [NET_UPSAMPLE_BILINEAR] = QUANTISE_MOVES,
};
/* clang-format on */

enum { FROM_UNSIGNED = 128 };

bool litert_int8(const struct litert_graph *g, net_val v)
{
    return g->q.is && g->q.is[v];
}

/* What the result of a node is rounded by: by the activation after it, which its rounding clips for. */
static net_val rounded_as(const struct litert_graph *g, net_val v)
{
    for (net_val u = v + 1; u < g->net->n_nodes; u++) {
        const struct net_node *d = &g->net->nodes[u];
        if (litert_quantise[d->op] == QUANTISE_AFTER && g->q.is[u] && d->in[0] == v && !g->q.stored[v]) return u;
    }
    return v;
}

/* The format wants a sigmoid's result in steps of 1/256. */
static void scale_of(struct litert_graph *g, net_val v, struct litert_tensor *t)
{
    static const float sigmoid_scale = 1.0f / 256;
    bool sigmoid = g->net->nodes[v].op == NET_SIGMOID;
    t->type = LITERT_INT8;
    t->scale = sigmoid ? &sigmoid_scale : &g->q.scale[v];
    t->n_scale = 1;
    t->zero = sigmoid ? -FROM_UNSIGNED : g->q.zero[v] - FROM_UNSIGNED;
}

void litert_round(struct litert_graph *g, int tensor)
{
    scale_of(g, rounded_as(g, g->at), &g->tensors[tensor]);
}

void litert_like(struct litert_graph *g, int tensor, int other)
{
    struct litert_tensor *t = &g->tensors[tensor];
    const struct litert_tensor *o = &g->tensors[other];
    t->type = o->type;
    t->scale = o->scale;
    t->n_scale = o->n_scale;
    t->zero = o->zero;
}

static int same_shape(struct litert_graph *g, int tensor)
{
    int64_t dims[NET_MAX_RANK] = {0};
    for (int i = 0; i < g->tensors[tensor].rank; i++) dims[i] = g->tensors[tensor].dims[i];
    return litert_between(g, g->tensors[tensor].rank, dims);
}

int litert_value(struct litert_graph *g, net_val v, bool int8)
{
    int t = g->tensor[v];
    if ((g->tensors[t].type == LITERT_INT8) == int8) return t;
    if (g->other[v] >= 0) return g->other[v];
    int out = same_shape(g, t);
    if (int8) scale_of(g, v, &g->tensors[out]);
    return g->other[v] = LITERT_OP(g, int8 ? LITERT_QUANTIZE : LITERT_DEQUANTIZE, 1, out, litert_plain, t);
}

int litert_rescaled(struct litert_graph *g, int t, int wanted)
{
    const struct litert_tensor *is = &g->tensors[t], *to = &g->tensors[wanted];
    if (to->type != LITERT_INT8 || (memcmp(is->scale, to->scale, sizeof *is->scale) == 0 && is->zero == to->zero))
        return t;
    int out = same_shape(g, t);
    litert_like(g, out, wanted);
    return LITERT_OP(g, LITERT_QUANTIZE, 1, out, litert_plain, t);
}

int litert_least(struct litert_graph *g, int like)
{
    int8_t least = -FROM_UNSIGNED;
    int t = litert_bytes(g, LITERT_INT8, 1, (int64_t[]){1}, &least, 1);
    litert_like(g, t, like);
    return t;
}

/* ---- convolutions ------------------------------------------------------------------------------------------------ */

int litert_int8_weights(struct litert_graph *g, const int order[4], int *bias)
{
    const struct net_node *d = &g->net->nodes[g->at];
    const struct net_shape *s = &g->net->params[d->param[0]].shape;
    int64_t filters = s->d[0], n = net_numel(*s);
    const float *w = litert_param(g, 0), *b = d->n_param > 1 ? litert_param(g, 1) : NULL;
    float in = *g->tensors[litert_value(g, d->in[0], true)].scale;
    if (!w || (d->n_param > 1 && !b)) return 0;
    if (!b) {
        float *zero = arena_alloc(&g->arena, (size_t)filters * sizeof *zero);
        for (int64_t f = 0; f < filters; f++) zero[f] = 0;
        b = zero;
    }
    struct quantised_weights q = quantise_weights(&g->arena, w, b, filters, n / filters, in);
    float *both = arena_alloc(&g->arena, (size_t)filters * sizeof *both), *whole = mem_alloc((size_t)n * sizeof *whole);
    for (int64_t f = 0; f < filters; f++) both[f] = q.scale[f] * in;
    *bias = litert_bytes(g, LITERT_INT32, 1, &filters, q.bias, sizeof *q.bias);
    g->tensors[*bias].scale = both;
    g->tensors[*bias].n_scale = (int)filters;
    for (int64_t i = 0; i < n; i++) whole[i] = q.w[i];
    int64_t dims[4];
    const float *turned = litert_turned(g, dims, whole, s->d, order);
    free(whole);
    int8_t *small = arena_alloc(&g->arena, (size_t)n);
    for (int64_t i = 0; i < n; i++) small[i] = (int8_t)turned[i];
    int t = litert_bytes(g, LITERT_INT8, 4, dims, small, 1);
    g->tensors[t].scale = q.scale;
    g->tensors[t].n_scale = (int)filters;
    for (int i = 0; i < 4; i++)
        if (order[i] == 0) g->tensors[t].axis = i;
    return t;
}
