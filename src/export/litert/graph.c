/* Tensors and operations of a LiteRT graph under construction. */
#include "litert.h"
#include <math.h>

const struct litert_options litert_plain = {.n = 0};

int litert_axis(int rank, int d)
{
    static const int at[4] = {0, 3, 1, 2};
    return rank == 4 ? at[d] : d;
}

void litert_dims(int64_t out[NET_MAX_RANK], const struct net_shape *s)
{
    for (int d = 0; d < s->rank; d++) out[litert_axis(s->rank, d)] = s->d[d];
}

static int tensor(struct litert_graph *g, struct litert_tensor t, const int64_t *dims)
{
    if (g->n_tensors == g->cap_tensors) {
        g->cap_tensors = g->cap_tensors ? 2 * g->cap_tensors : 256;
        g->tensors = mem_realloc(g->tensors, (size_t)g->cap_tensors * sizeof *g->tensors);
    }
    for (int i = 0; i < t.rank; i++) t.dims[i] = (int32_t)dims[i];
    g->tensors[g->n_tensors] = t;
    return g->n_tensors++;
}

int litert_op(struct litert_graph *g, enum litert_code code, int version, int out, const int *in, int n_in,
              struct litert_options o)
{
    if (g->n_ops == g->cap_ops) {
        g->cap_ops = g->cap_ops ? 2 * g->cap_ops : 256;
        g->ops = mem_realloc(g->ops, (size_t)g->cap_ops * sizeof *g->ops);
    }
    enum { INT8_VERSION = 2, INT8_CONV_VERSION = 3 }; /* the first that take 8 bits */
    bool conv = code == LITERT_CONV_2D || code == LITERT_DEPTHWISE_CONV_2D;
    int least = g->tensors[out].type != LITERT_INT8 || code == LITERT_QUANTIZE ? 1
                : conv                                                         ? INT8_CONV_VERSION
                                                                               : INT8_VERSION;
    if (version < least) version = least;
    g->ops[g->n_ops++] = (struct litert_op){.code = code,
                                            .version = version,
                                            .n_in = n_in,
                                            .out = out,
                                            .in = arena_copy(&g->arena, in, (size_t)n_in * sizeof *in),
                                            .options = o};
    return out;
}

int litert_result(struct litert_graph *g)
{
    const struct net_shape *s = &g->net->nodes[g->at].shape;
    int64_t dims[NET_MAX_RANK];
    litert_dims(dims, s);
    int t = tensor(g, (struct litert_tensor){.name = g->name[g->at], .type = LITERT_FLOAT, .rank = s->rank}, dims);
    if (litert_int8(g, g->at)) litert_round(g, t);
    return t;
}

int litert_bytes(struct litert_graph *g, int type, int rank, const int64_t *dims, const void *v, size_t each)
{
    size_t n = each;
    for (int i = 0; i < rank; i++) n *= (size_t)dims[i];
    const char *name = arena_printf(&g->arena, "%s/stored:%d", g->name[g->at], g->n_extra++);
    if (n == each) v = arena_copy(&g->arena, v, each);
    return tensor(g, (struct litert_tensor){.name = name, .type = type, .rank = rank, .data = v, .bytes = (int64_t)n},
                  dims);
}

int litert_between(struct litert_graph *g, int rank, const int64_t *dims)
{
    const char *name = arena_printf(&g->arena, "%s.%d", g->name[g->at], g->n_extra++);
    return tensor(g, (struct litert_tensor){.name = name, .type = LITERT_FLOAT, .rank = rank}, dims);
}

static int constant(struct litert_graph *g, int type, int rank, const int64_t *dims, const void *v)
{
    struct str key = {0};
    size_t n = 4; /* both types have four bytes */
    str_addf(&key, "%d:", type);
    for (int i = 0; i < rank; i++) {
        n *= (size_t)dims[i];
        str_addf(&key, "%lld,", (long long)dims[i]);
    }
    str_addn(&key, v, n);
    const char *name = arena_printf(&g->arena, "const:%s", hash_bytes(key.s, key.n).hex);
    str_free(&key);
    for (int i = 0; i < g->n_tensors; i++)
        if (g->tensors[i].data && !strcmp(g->tensors[i].name, name)) return i;
    return tensor(
        g,
        (struct litert_tensor){
            .name = name, .type = type, .rank = rank, .data = arena_copy(&g->arena, v, n), .bytes = (int64_t)n},
        dims);
}

int litert_floats(struct litert_graph *g, int rank, const int64_t *dims, const float *v)
{
    return constant(g, LITERT_FLOAT, rank, dims, v);
}

int litert_scalar(struct litert_graph *g, double v)
{
    float f = (float)v;
    return constant(g, LITERT_FLOAT, 0, NULL, &f);
}

static int integers(struct litert_graph *g, int rank, const int64_t *dims, int n, const int64_t *v)
{
    int32_t *small = arena_alloc(&g->arena, (size_t)n * sizeof *small);
    for (int i = 0; i < n; i++) small[i] = (int32_t)v[i];
    return constant(g, LITERT_INT32, rank, dims, small);
}

int litert_ints(struct litert_graph *g, int n, const int64_t *v)
{
    return integers(g, 1, (int64_t[]){n}, n, v);
}

int litert_pairs(struct litert_graph *g, int n, const int64_t *v)
{
    return integers(g, 2, (int64_t[]){n, 2}, 2 * n, v);
}

const float *litert_param(struct litert_graph *g, int i)
{
    const float *v = NULL;
    struct status s = lower_param(&v, g->low, g->net->nodes[g->at].param[i]);
    if (s.code != STATUS_OK && g->error.code == STATUS_OK) g->error = s;
    return v;
}

/* Weights as halves, and the operation that brings them back, which runtimes do once. */
static int halves(struct litert_graph *g, const char *name, const float *v, int64_t n, const int64_t *dims)
{
    enum { LARGEST = 65504 };
    uint16_t *half = arena_alloc(&g->arena, (size_t)n * sizeof *half);
    for (int64_t i = 0; i < n; i++) half[i] = half_from_float(fminf(fmaxf(v[i], -LARGEST), LARGEST));
    int stored =
        tensor(g,
               (struct litert_tensor){
                   .name = name, .type = LITERT_FLOAT16, .rank = 4, .data = half, .bytes = n * (int64_t)sizeof *half},
               dims);
    return LITERT_OP(g, LITERT_DEQUANTIZE, 3, litert_between(g, 4, dims), litert_plain, stored);
}

const float *litert_turned(struct litert_graph *g, int64_t to[4], const float *v, const int64_t d[4],
                           const int order[4])
{
    int64_t stride[4], step[4], n = 1;
    for (int i = 3; i >= 0; i--) {
        stride[i] = n;
        n *= d[i];
    }
    for (int i = 0; i < 4; i++) {
        to[i] = d[order[i]];
        step[i] = stride[order[i]];
    }
    float *p = arena_alloc(&g->arena, (size_t)n * sizeof *p), *at = p;
    for (int64_t a = 0; a < to[0]; a++)
        for (int64_t b = 0; b < to[1]; b++)
            for (int64_t c = 0; c < to[2]; c++)
                for (int64_t e = 0; e < to[3]; e++) *at++ = v[a * step[0] + b * step[1] + c * step[2] + e * step[3]];
    return p;
}

int litert_permuted(struct litert_graph *g, const float *v, const int64_t d[4], const int order[4])
{
    int64_t to[4], n = d[0] * d[1] * d[2] * d[3];
    const float *p = litert_turned(g, to, v, d, order);
    const char *name = arena_printf(&g->arena, "%s/weights:%d", g->name[g->at], g->n_extra++);
    if (g->half) return halves(g, name, p, n, to);
    return tensor(g,
                  (struct litert_tensor){
                      .name = name, .type = LITERT_FLOAT, .rank = 4, .data = p, .bytes = n * (int64_t)sizeof *p},
                  to);
}

void litert_fail(struct litert_graph *g, enum status_code code, const char *what)
{
    if (g->error.code == STATUS_OK) g->error = lower_fail(g->net, g->at, code, what);
}
