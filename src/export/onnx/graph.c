/* Nodes and tensors of an ONNX graph under construction. */
#include "onnx.h"
#include <math.h>

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

static size_t size_of(enum onnx_type type)
{
    static const size_t sizes[] = {
        [ONNX_FLOAT] = 4, [ONNX_UINT8] = 1, [ONNX_INT8] = 1, [ONNX_INT32] = 4, [ONNX_INT64] = 8, [ONNX_FLOAT16] = 2};
    return sizes[type];
}

const char *onnx_constant(struct onnx_graph *g, enum onnx_type type, int rank, const int64_t *dims, const void *v)
{
    struct onnx_tensor t = {.type = type, .rank = rank};
    size_t n = size_of(type);
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

/* A weight beyond what half precision holds is the largest that it holds, as in other writers. */
static const uint16_t *halves(struct onnx_graph *g, const float *v, int64_t n)
{
    enum { LARGEST = 65504 };
    uint16_t *out = arena_alloc(&g->arena, (size_t)(n ? n : 1) * sizeof *out);
    for (int64_t i = 0; i < n; i++) out[i] = half_from_float(fminf(fmaxf(v[i], -LARGEST), LARGEST));
    return out;
}

const char *onnx_floats(struct onnx_graph *g, int rank, const int64_t *dims, const float *v)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= dims[i];
    return g->type == ONNX_FLOAT16 ? onnx_constant(g, ONNX_FLOAT16, rank, dims, halves(g, v, n))
                                   : onnx_constant(g, ONNX_FLOAT, rank, dims, v);
}

const char *onnx_scalar(struct onnx_graph *g, double v)
{
    return onnx_floats(g, 0, NULL, &(float){(float)v});
}

const char *onnx_ints(struct onnx_graph *g, int n, const int64_t *v)
{
    return onnx_constant(g, ONNX_INT64, 1, (int64_t[]){n}, v);
}

const char *onnx_param(struct onnx_graph *g, int i, int channels)
{
    int index = g->net->nodes[g->at].param[i];
    const struct net_param *p = &g->net->params[index];
    const float *v = NULL;
    struct onnx_tensor t = {.name = p->name, .type = g->type, .rank = p->shape.rank};
    struct status s = lower_param(&v, g->low, index);
    if (s.code != STATUS_OK) {
        if (g->error.code == STATUS_OK) g->error = s;
        return t.name;
    }
    bool half = g->type == ONNX_FLOAT16;
    int64_t n = net_numel(p->shape);
    t.data = half ? (const void *)halves(g, v, n) : v;
    memcpy(t.dims, p->shape.d, sizeof t.dims);
    if (channels > 2) { /* [C] becomes [C,1,...] */
        t.name = arena_printf(&g->arena, "%s:%d", p->name, channels);
        t.rank = channels - 1;
        for (int d = 1; d < t.rank; d++) t.dims[d] = 1;
    }
    if (g->half && !half) t.name = arena_printf(&g->arena, "%s:float", t.name); /* it may be there as the other, too */
    t.bytes = n * (int64_t)size_of(g->type);
    return tensor(g, t);
}

/* Who made a value in 8 bits has it only so; else it is rounded for those alone who compute in 8 bits. */
static const char *stored_value(const struct onnx_graph *g, net_val v)
{
    bool rounded = g->q.stored[v] && (g->q.is[v] || g->q.is[g->at]);
    return rounded ? g->other[v] : g->name[v];
}

const char *onnx_value(struct onnx_graph *g, net_val v)
{
    if (g->q.is) return stored_value(g, v);
    if (g->made[v] == g->type) return g->name[v];
    if (!g->other[v]) {
        bool half = g->type == ONNX_FLOAT16;
        g->other[v] = arena_printf(&g->arena, "%s:%s", g->name[v], half ? "half" : "float");
        onnx_node(g, "Cast", g->other[v], ONNX_IN(g->name[v]), ONNX_ATTRS(ONNX_INT("to", g->type)));
    }
    return g->other[v];
}

void onnx_fail(struct onnx_graph *g, enum status_code code, const char *what)
{
    if (g->error.code == STATUS_OK) g->error = lower_fail(g->net, g->at, code, what);
}
