/*
 * 8 bits in ONNX: a value is rounded by QuantizeLinear and brought back by DequantizeLinear, and a runtime that finds
 * such pairs around an operation computes in 8 bits. Which operations are worth a pair was measured in ONNX Runtime.
 */
#include "onnx.h"

/* clang-format off */
const unsigned char onnx_quantise[NET_N_OPS] = {
    [NET_CONV2D] = QUANTISE_LAYER,
    [NET_RELU] = QUANTISE_AFTER,
    [NET_RELU6] = QUANTISE_AFTER,
    [NET_ADD] = QUANTISE_SEVERAL,
    [NET_MUL] = QUANTISE_SEVERAL,
    [NET_CONCAT] = QUANTISE_SEVERAL,
    [NET_MAX_POOL] = QUANTISE_MOVES,
    [NET_UPSAMPLE_NEAREST] = QUANTISE_MOVES,
    [NET_UPSAMPLE_BILINEAR] = QUANTISE_MOVES,
    [NET_SILU] = QUANTISE_SEVERAL,
    [NET_SIGMOID] = QUANTISE_SEVERAL,
    [NET_AVG_POOL] = QUANTISE_SEVERAL,
    [NET_ADAPTIVE_AVG_POOL] = QUANTISE_SEVERAL,
    [NET_SLICE] = QUANTISE_MOVES,
};
/* clang-format on */

/* The pair, which makes @p back of x; returns it. */
static const char *rounded(struct onnx_graph *g, const char *back, const char *x, float scale, int zero)
{
    const uint8_t z = (uint8_t)zero;
    const char *s = onnx_constant(g, ONNX_FLOAT, 0, NULL, &scale), *at = onnx_constant(g, ONNX_UINT8, 0, NULL, &z);
    const char *stored = arena_printf(&g->arena, "%s:stored", back);
    onnx_node(g, "QuantizeLinear", stored, ONNX_IN(x, s, at), NULL);
    onnx_node(g, "DequantizeLinear", back, ONNX_IN(stored, s, at), NULL);
    return back;
}

/* The rounded value takes the name of the whole where nothing but it is left of the value: the name of an output. */
void onnx_name_stored(struct onnx_graph *g, net_val v)
{
    if (!g->q.is[v]) {
        g->other[v] = arena_printf(&g->arena, "%s:rounded", g->name[v]);
    } else {
        g->other[v] = g->name[v];
        g->name[v] = arena_printf(&g->arena, "%s:made", g->name[v]);
    }
}

void onnx_store(struct onnx_graph *g, net_val v)
{
    rounded(g, g->other[v], g->name[v], g->q.scale[v], g->q.zero[v]);
}

const char *onnx_unit(struct onnx_graph *g, const char *x)
{
    if (!g->q.is || !g->q.is[g->at]) return x;
    return rounded(g, onnx_between(g), x, 1.0f / 255, 0);
}

/* ---- weights ----------------------------------------------------------------------------------------------------- */

static const char *brought_back(struct onnx_graph *g, const struct net_param *p, enum onnx_type type, const void *v,
                                const float *scale)
{
    const char *stored = onnx_constant(g, type, p->shape.rank, p->shape.d, v), *out = onnx_between(g);
    onnx_node(g, "DequantizeLinear", out, ONNX_IN(stored, onnx_constant(g, ONNX_FLOAT, 1, p->shape.d, scale)),
              ONNX_ATTRS(ONNX_INT("axis", 0)));
    return out;
}

static struct quantised_weights weights(struct onnx_graph *g)
{
    const struct net_node *d = &g->net->nodes[g->at];
    const float *w = NULL, *b = NULL;
    struct status s = lower_param(&w, g->low, d->param[0]);
    if (s.code == STATUS_OK && d->n_param > 1) s = lower_param(&b, g->low, d->param[1]);
    if (s.code != STATUS_OK) {
        if (g->error.code == STATUS_OK) g->error = s;
        return (struct quantised_weights){.w = NULL};
    }
    const struct net_shape *shape = &g->net->params[d->param[0]].shape;
    return quantise_weights(&g->arena, w, b, shape->d[0], net_numel(*shape) / shape->d[0], g->q.scale[d->in[0]]);
}

const char *onnx_weights(struct onnx_graph *g)
{
    if (!g->q.is || !g->q.is[g->at]) return onnx_param(g, 0, 0);
    struct quantised_weights q = weights(g);
    return q.w ? brought_back(g, &g->net->params[g->net->nodes[g->at].param[0]], ONNX_INT8, q.w, q.scale) : "";
}

const char *onnx_bias(struct onnx_graph *g)
{
    const struct net_node *d = &g->net->nodes[g->at];
    if (d->n_param < 2) return NULL;
    if (!g->q.is || !g->q.is[g->at]) return onnx_param(g, 1, 0);
    struct quantised_weights q = weights(g);
    if (!q.w) return "";
    for (int64_t f = 0; f < d->shape.d[1]; f++) q.scale[f] *= g->q.scale[d->in[0]];
    return brought_back(g, &g->net->params[d->param[1]], ONNX_INT32, q.bias, q.scale);
}
