/* Nodes and tensors of an ONNX graph under construction. */
#include "onnx.h"

/* Field numbers of NodeProto and AttributeProto. */
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_NAME = 3, NODE_OP = 4, NODE_ATTR = 5, GRAPH_NODE = 1 };
enum { ATTR_NAME = 1, ATTR_F = 2, ATTR_I = 3, ATTR_S = 4, ATTR_INTS = 8, ATTR_TYPE = 20 };

static void attribute(struct str *b, const struct onnx_attr *a)
{
    static const int types[] = {[ONNX_A_INT] = 2, [ONNX_A_FLOAT] = 1, [ONNX_A_STR] = 3, [ONNX_A_INTS] = 7};
    struct str m = {0};
    pb_str(&m, ATTR_NAME, a->name);
    switch (a->kind) {
    case ONNX_A_INT:
        pb_int(&m, ATTR_I, a->i);
        break;
    case ONNX_A_FLOAT:
        pb_float(&m, ATTR_F, a->f);
        break;
    case ONNX_A_STR:
        pb_str(&m, ATTR_S, a->s);
        break;
    case ONNX_A_INTS:
        for (int i = 0; i < a->n; i++) pb_int(&m, ATTR_INTS, a->ints[i]);
        break;
    }
    pb_int(&m, ATTR_TYPE, types[a->kind]);
    pb_bytes(b, NODE_ATTR, m.s, m.n);
    str_free(&m);
}

void onnx_node(struct onnx_graph *g, const char *op, const char *out, const char *const *in,
               const struct onnx_attr *attrs)
{
    struct str m = {0};
    int n_in = 0;
    while (in[n_in]) n_in++;
    while (n_in > 0 && !in[n_in - 1][0]) n_in--; /* optional inputs at the end are left away */
    for (int i = 0; i < n_in; i++) pb_str(&m, NODE_INPUT, in[i]);
    pb_str(&m, NODE_OUTPUT, out);
    pb_str(&m, NODE_NAME, out); /* unique, as the value it makes */
    pb_str(&m, NODE_OP, op);
    for (; attrs && attrs->name; attrs++) attribute(&m, attrs);
    pb_bytes(&g->nodes, GRAPH_NODE, m.s, m.n);
    str_free(&m);
}

const char *onnx_between(struct onnx_graph *g)
{
    return arena_printf(&g->arena, "%s.%d", g->name[g->at], g->n_extra++);
}

static const char *tensor(struct onnx_graph *g, struct onnx_tensor t)
{
    for (int i = 0; i < g->n_tensors; i++)
        if (!strcmp(g->tensors[i].name, t.name)) return g->tensors[i].name;
    if (g->n_tensors == g->cap_tensors) {
        g->cap_tensors = g->cap_tensors ? 2 * g->cap_tensors : 256;
        g->tensors = mem_realloc(g->tensors, (size_t)g->cap_tensors * sizeof *g->tensors);
    }
    t.offset = -1;
    g->tensors[g->n_tensors++] = t;
    return t.name;
}

static const char *constant(struct onnx_graph *g, enum onnx_type type, int rank, const int64_t *dims, const void *v,
                            size_t each)
{
    struct onnx_tensor t = {.type = type, .rank = rank};
    size_t n = each;
    struct str key = {0};
    str_addf(&key, "%d:", (int)type);
    for (int i = 0; i < rank; i++) {
        t.dims[i] = dims[i];
        n *= (size_t)dims[i];
        str_addf(&key, "%lld,", (long long)dims[i]);
    }
    str_addn(&key, v, n);
    t.name = arena_printf(&g->arena, "const:%s", hash_bytes(key.s, key.n).hex);
    str_free(&key);
    t.data = arena_copy(&g->arena, v, n);
    t.bytes = (int64_t)n;
    return tensor(g, t);
}

const char *onnx_floats(struct onnx_graph *g, int rank, const int64_t *dims, const float *v)
{
    return constant(g, ONNX_FLOAT, rank, dims, v, sizeof *v);
}

const char *onnx_scalar(struct onnx_graph *g, double v)
{
    float f = (float)v;
    return constant(g, ONNX_FLOAT, 0, NULL, &f, sizeof f);
}

const char *onnx_ints(struct onnx_graph *g, int n, const int64_t *v)
{
    return constant(g, ONNX_INT64, 1, (int64_t[]){n}, v, sizeof *v);
}

const char *onnx_param(struct onnx_graph *g, int i, int channels)
{
    int index = g->net->nodes[g->at].param[i];
    const struct net_param *p = &g->net->params[index];
    const float *v = NULL;
    struct onnx_tensor t = {.name = p->name, .type = ONNX_FLOAT, .rank = p->shape.rank};
    struct status s = lower_param(&v, g->low, index);
    if (s.code != STATUS_OK) {
        if (g->error.code == STATUS_OK) g->error = s;
        return t.name;
    }
    t.data = v;
    memcpy(t.dims, p->shape.d, sizeof t.dims);
    if (channels > 2) { /* [C] becomes [C,1,...] */
        t.name = arena_printf(&g->arena, "%s:%d", p->name, channels);
        t.rank = channels - 1;
        for (int d = 1; d < t.rank; d++) t.dims[d] = 1;
    }
    t.bytes = net_numel(p->shape) * (int64_t)sizeof *v;
    return tensor(g, t);
}

void onnx_fail(struct onnx_graph *g, enum status_code code, const char *what)
{
    if (g->error.code == STATUS_OK) g->error = lower_fail(g->net, g->at, code, what);
}
