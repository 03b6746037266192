/*
 * How each operation is said in Core ML's language of models (MIL, iOS 16). One row an op in the table at the end.
 * Choices that are not the obvious operator, and why:
 *  - A transposed convolution's output padding is less padding at the end.
 *  - A partial last window (ceil) is written as padding at the end, as in every format.
 *  - Bilinear resampling names its sizes: a factor would be rounded.
 */
#include "coreml.h"
#include <math.h>

typedef void emit_fn(struct coreml_graph *g, const struct net_node *d, const char *const *in);

#define ARG(name_, value_)                                                                                             \
    {                                                                                                                  \
        .name = (name_), .value = (value_)                                                                             \
    }
#define ARGS COREML_ARGS

static const struct net_shape *shape_in(const struct coreml_graph *g, const struct net_node *d)
{
    return &g->net->nodes[d->in[0]].shape;
}

static const char *pair(struct coreml_graph *g, const int v[2])
{
    return coreml_ints(g, 2, (int64_t[]){v[0], v[1]});
}

/* Top, left, bottom, right become before and after of each axis. */
static const char *sides(struct coreml_graph *g, const int64_t p[4])
{
    return coreml_ints(g, 4, (int64_t[]){p[0], p[2], p[1], p[3]});
}

/* clang-format off */
const unsigned char coreml_quantise[NET_N_OPS] = {[NET_CONV2D] = QUANTISE_LAYER};
/* clang-format on */

/* ---- layers ------------------------------------------------------------------------------------------------------ */

static void conv(struct coreml_graph *g, const struct net_node *d, const char *const *in)
{
    const struct net_attr *a = &d->attr;
    bool transposed = d->op == NET_CONV_TRANSPOSE2D;
    int64_t pads[4];
    for (int i = 0; i < 4; i++) pads[i] = a->pads[i] - (transposed && i >= 2 ? a->out_pad[i - 2] : 0);
    if (pads[2] < 0 || pads[3] < 0) {
        coreml_fail(g, STATUS_REFUSED, "Core ML has no output padding beyond the padding");
        return;
    }
    coreml_result(g, transposed ? "conv_transpose" : "conv",
                  ARGS(ARG("x", in[0]), ARG("weight", coreml_weights(g)),
                       ARG("bias", d->n_param > 1 ? coreml_param(g, 1, 0) : NULL), ARG("strides", pair(g, a->stride)),
                       ARG("pad_type", coreml_text(g, "custom")), ARG("pad", sides(g, pads)),
                       ARG("dilations", pair(g, a->dil)), ARG("groups", coreml_int(g, a->groups))));
}

static void scale_shift(struct coreml_graph *g, const struct net_node *d, const char *x)
{
    const char *scaled = coreml_between(g, "mul", d->shape.rank, d->shape.d,
                                        ARGS(ARG("x", x), ARG("y", coreml_param(g, 0, d->shape.rank))));
    coreml_result(g, "add", ARGS(ARG("x", scaled), ARG("y", coreml_param(g, 1, d->shape.rank))));
}

static void channel_affine(struct coreml_graph *g, const struct net_node *d, const char *const *in)
{
    scale_shift(g, d, in[0]);
}

static const char *reshaped(struct coreml_graph *g, const char *x, int rank, const int64_t *dims)
{
    return coreml_between(g, "reshape", rank, dims, ARGS(ARG("x", x), ARG("shape", coreml_ints(g, rank, dims))));
}

static void group_norm(struct coreml_graph *g, const struct net_node *d, const char *const *in)
{
    int64_t grouped[3] = {1, d->attr.groups, net_numel(d->shape) / d->attr.groups};
    const char *x = reshaped(g, in[0], 3, grouped);
    x = coreml_between(g, "layer_norm", 3, grouped,
                       ARGS(ARG("x", x), ARG("axes", coreml_ints(g, 1, (int64_t[]){2})),
                            ARG("epsilon", coreml_scalar(g, d->attr.eps))));
    scale_shift(g, d, reshaped(g, x, d->shape.rank, d->shape.d));
}

/* ---- elementwise ------------------------------------------------------------------------------------------------- */

static const char *sigmoid_hard(struct coreml_graph *g, const char *out, const struct net_node *d, const char *x)
{
    const struct coreml_arg *args =
        ARGS(ARG("x", x), ARG("alpha", coreml_scalar(g, 1.0 / 6)), ARG("beta", coreml_scalar(g, 0.5)));
    return out ? coreml_result(g, "sigmoid_hard", args)
               : coreml_between(g, "sigmoid_hard", d->shape.rank, d->shape.d, args);
}

static void hardsigmoid(struct coreml_graph *g, const struct net_node *d, const char *const *in)
{
    sigmoid_hard(g, g->name[g->at], d, in[0]);
}

static void hardswish(struct coreml_graph *g, const struct net_node *d, const char *const *in)
{
    coreml_result(g, "mul", ARGS(ARG("x", in[0]), ARG("y", sigmoid_hard(g, NULL, d, in[0]))));
}

static void clamp(struct coreml_graph *g, const struct net_node *d, const char *const *in)
{
    bool low = isfinite(d->attr.a), high = isfinite(d->attr.b);
    if (low && high)
        coreml_result(
            g, "clip",
            ARGS(ARG("x", in[0]), ARG("alpha", coreml_scalar(g, d->attr.a)), ARG("beta", coreml_scalar(g, d->attr.b))));
    else
        coreml_result(g, low ? "maximum" : "minimum",
                      ARGS(ARG("x", in[0]), ARG("y", coreml_scalar(g, low ? d->attr.a : d->attr.b))));
}

static void affine(struct coreml_graph *g, const struct net_node *d, const char *const *in)
{
    double a = d->attr.a, b = d->attr.b;
    const char *x = in[0];
    if (a != 1 && b != 0)
        x = coreml_between(g, "mul", d->shape.rank, d->shape.d, ARGS(ARG("x", x), ARG("y", coreml_scalar(g, a))));
    bool add = b != 0 || a == 1;
    coreml_result(g, add ? "add" : "mul", ARGS(ARG("x", x), ARG("y", coreml_scalar(g, add ? b : a))));
}

static void softmax(struct coreml_graph *g, const struct net_node *d, const char *const *in)
{
    coreml_result(g, "softmax", ARGS(ARG("x", in[0]), ARG("axis", coreml_int(g, d->attr.dim0))));
}

static void log_softmax(struct coreml_graph *g, const struct net_node *d, const char *const *in)
{
    int64_t kept[NET_MAX_RANK], axis = d->attr.dim0;
    memcpy(kept, d->shape.d, sizeof kept);
    kept[axis] = 1;
    const char *sum = coreml_between(
        g, "reduce_log_sum_exp", d->shape.rank, kept,
        ARGS(ARG("x", in[0]), ARG("axes", coreml_ints(g, 1, &axis)), ARG("keep_dims", coreml_bool(g, true))));
    coreml_result(g, "sub", ARGS(ARG("x", in[0]), ARG("y", sum)));
}

/* ---- pools ------------------------------------------------------------------------------------------------------- */

static const char *padded(struct coreml_graph *g, const char *out, const char *x, const struct net_shape *s,
                          const int64_t p[4])
{
    int64_t dims[4] = {s->d[0], s->d[1], s->d[2] + p[0] + p[2], s->d[3] + p[1] + p[3]};
    const struct coreml_arg *args =
        ARGS(ARG("x", x), ARG("pad", coreml_ints(g, 8, (int64_t[]){0, 0, 0, 0, p[0], p[2], p[1], p[3]})),
             ARG("mode", coreml_text(g, "constant")), ARG("constant_val", coreml_scalar(g, 0)));
    return out ? coreml_result(g, "pad", args) : coreml_between(g, "pad", 4, dims, args);
}

static void pool_op(struct coreml_graph *g, bool average, const char *x, const int64_t kernel[2],
                    const int64_t stride[2], const int64_t pads[4], bool exclude)
{
    coreml_result(g, average ? "avg_pool" : "max_pool",
                  ARGS(ARG("x", x), ARG("kernel_sizes", coreml_ints(g, 2, kernel)),
                       ARG("strides", coreml_ints(g, 2, stride)), ARG("pad_type", coreml_text(g, "custom")),
                       ARG("pad", sides(g, pads)), ARG("ceil_mode", coreml_bool(g, false)),
                       ARG(average ? "exclude_padding_from_average" : NULL, average ? coreml_bool(g, exclude) : NULL)));
}

static void pool(struct coreml_graph *g, const struct net_node *d, const char *const *in)
{
    const struct net_attr *a = &d->attr;
    int64_t pads[4], k[2] = {a->kernel[0], a->kernel[1]}, stride[2] = {a->stride[0], a->stride[1]};
    bool partial = lower_pool_pads(pads, d, shape_in(g, d)), average = d->op == NET_AVG_POOL, exclude = !a->count_pad;
    const char *x = in[0];
    if (average && partial && !exclude) { /* padding counts, what lies beyond it does not: make the padding real */
        const int64_t real[4] = {a->pads[0], a->pads[1], a->pads[2], a->pads[3]};
        x = padded(g, NULL, x, shape_in(g, d), real);
        for (int i = 0; i < 4; i++) pads[i] -= real[i];
        exclude = true;
    }
    pool_op(g, average, x, k, stride, pads, exclude);
}

static const char *averages(struct coreml_graph *g, int64_t in, int64_t out, bool transposed)
{
    int64_t dims[2] = {transposed ? out : in, transposed ? in : out};
    return coreml_floats(g, 2, dims, lower_averages(&g->arena, in, out, transposed));
}

static const struct coreml_arg *product(struct coreml_graph *g, struct coreml_arg args[5], const char *x, const char *y)
{
    args[0] = (struct coreml_arg)ARG("x", x);
    args[1] = (struct coreml_arg)ARG("y", y);
    args[2] = (struct coreml_arg)ARG("transpose_x", coreml_bool(g, false));
    args[3] = (struct coreml_arg)ARG("transpose_y", coreml_bool(g, false));
    args[4] = (struct coreml_arg){.name = NULL};
    return args;
}

static void adaptive_avg_pool(struct coreml_graph *g, const struct net_node *d, const char *const *in)
{
    const int64_t *to = d->attr.size, *from = shape_in(g, d)->d + 2;
    struct coreml_arg args[5];
    if (to[0] == 1 && to[1] == 1) {
        coreml_result(g, "reduce_mean",
                      ARGS(ARG("x", in[0]), ARG("axes", coreml_ints(g, 2, (int64_t[]){2, 3})),
                           ARG("keep_dims", coreml_bool(g, true))));
    } else if (from[0] % to[0] == 0 && from[1] % to[1] == 0) {
        int64_t k[2] = {from[0] / to[0], from[1] / to[1]};
        pool_op(g, true, in[0], k, k, (const int64_t[4]){0, 0, 0, 0}, true);
    } else {
        int64_t rows[4] = {1, d->shape.d[1], from[0], to[1]};
        const char *x =
            coreml_between(g, "matmul", 4, rows, product(g, args, in[0], averages(g, from[1], to[1], false)));
        coreml_result(g, "matmul", product(g, args, averages(g, from[0], to[0], true), x));
    }
}

/* ---- resampling -------------------------------------------------------------------------------------------------- */

static void upsample_bilinear(struct coreml_graph *g, const struct net_node *d, const char *const *in)
{
    coreml_result(
        g, "resize_bilinear",
        ARGS(ARG("x", in[0]), ARG("target_size_height", coreml_int(g, d->attr.size[0])),
             ARG("target_size_width", coreml_int(g, d->attr.size[1])),
             ARG("sampling_mode", coreml_text(g, d->attr.align_corners ? "STRICT_ALIGN_CORNERS" : "UNALIGN_CORNERS"))));
}

static void upsample_nearest(struct coreml_graph *g, const struct net_node *d, const char *const *in)
{
    const int64_t *to = d->attr.size, *from = shape_in(g, d)->d + 2;
    if (to[0] % from[0] == 0 && to[1] % from[1] == 0) {
        coreml_result(g, "upsample_nearest_neighbor",
                      ARGS(ARG("x", in[0]), ARG("scale_factor_height", coreml_int(g, to[0] / from[0])),
                           ARG("scale_factor_width", coreml_int(g, to[1] / from[1]))));
        return;
    }
    int64_t rows[4] = {1, d->shape.d[1], to[0], from[1]};
    const char *x = coreml_between(
        g, "gather", 4, rows,
        ARGS(ARG("x", in[0]), ARG("indices", coreml_ints(g, (int)to[0], lower_nearest(&g->arena, from[0], to[0]))),
             ARG("axis", coreml_int(g, 2))));
    coreml_result(g, "gather",
                  ARGS(ARG("x", x),
                       ARG("indices", coreml_ints(g, (int)to[1], lower_nearest(&g->arena, from[1], to[1]))),
                       ARG("axis", coreml_int(g, 3))));
}

/* ---- shape and reduction ----------------------------------------------------------------------------------------- */

static void pad(struct coreml_graph *g, const struct net_node *d, const char *const *in)
{
    const int *p = d->attr.pads;
    padded(g, g->name[g->at], in[0], shape_in(g, d), (const int64_t[4]){p[0], p[1], p[2], p[3]});
}

static void concat(struct coreml_graph *g, const struct net_node *d, const char *const *in)
{
    coreml_result(g, "concat",
                  ARGS({.name = "values", .values = in}, ARG("axis", coreml_int(g, d->attr.dim0)),
                       ARG("interleave", coreml_bool(g, false))));
}

static void slice(struct coreml_graph *g, const struct net_node *d, const char *const *in)
{
    int64_t begin[NET_MAX_RANK] = {0};
    begin[d->attr.dim0] = d->attr.start;
    coreml_result(g, "slice_by_size",
                  ARGS(ARG("x", in[0]), ARG("begin", coreml_ints(g, d->shape.rank, begin)),
                       ARG("size", coreml_ints(g, d->shape.rank, d->shape.d))));
}

static void reshape(struct coreml_graph *g, const struct net_node *d, const char *const *in)
{
    coreml_result(g, "reshape", ARGS(ARG("x", in[0]), ARG("shape", coreml_ints(g, d->shape.rank, d->shape.d))));
}

static void transpose(struct coreml_graph *g, const struct net_node *d, const char *const *in)
{
    int64_t perm[NET_MAX_RANK];
    for (int i = 0; i < d->shape.rank; i++)
        perm[i] = i == d->attr.dim0 ? d->attr.dim1 : i == d->attr.dim1 ? d->attr.dim0 : i;
    coreml_result(g, "transpose", ARGS(ARG("x", in[0]), ARG("perm", coreml_ints(g, d->shape.rank, perm))));
}

static void matmul(struct coreml_graph *g, const struct net_node *d, const char *const *in)
{
    (void)d;
    struct coreml_arg args[5];
    coreml_result(g, "matmul", product(g, args, in[0], in[1]));
}

static void reduce(struct coreml_graph *g, const struct net_node *d, const char *const *in)
{
    int64_t axes[NET_MAX_RANK];
    int n = 0;
    for (int i = 0; i < NET_MAX_RANK; i++)
        if (d->attr.dims >> i & 1) axes[n++] = i;
    coreml_result(
        g, d->op == NET_MEAN ? "reduce_mean" : "reduce_sum",
        ARGS(ARG("x", in[0]), ARG("axes", coreml_ints(g, n, axes)), ARG("keep_dims", coreml_bool(g, d->attr.keepdim))));
}

static void nothing(struct coreml_graph *g, const struct net_node *d, const char *const *in)
{
    (void)g, (void)d, (void)in;
}

/* clang-format off */
static const struct {
    const char *unary, *binary; /* the operator that takes x, or x and y, and nothing else, or */
    emit_fn *emit;              /* the writer, or */
    bool removed;               /* the lowering leaves none */
} ops[NET_N_OPS] = {
    [NET_INPUT] = {.emit = nothing}, /* an input of the program is no operation */
    [NET_CONV2D] = {.emit = conv},
    [NET_CONV_TRANSPOSE2D] = {.emit = conv},
    [NET_BATCH_NORM] = {.removed = true},
    [NET_GROUP_NORM] = {.emit = group_norm},
    [NET_CHANNEL_AFFINE] = {.emit = channel_affine},
    [NET_RELU] = {.unary = "relu"},
    [NET_RELU6] = {.unary = "relu6"},
    [NET_SILU] = {.unary = "silu"},
    [NET_HARDSWISH] = {.emit = hardswish},
    [NET_SIGMOID] = {.unary = "sigmoid"},
    [NET_HARDSIGMOID] = {.emit = hardsigmoid},
    [NET_TANH] = {.unary = "tanh"},
    [NET_ROUND] = {.unary = "round"},
    [NET_CLAMP] = {.emit = clamp},
    [NET_SOFTMAX] = {.emit = softmax},
    [NET_LOG_SOFTMAX] = {.emit = log_softmax},
    [NET_MAX_POOL] = {.emit = pool},
    [NET_AVG_POOL] = {.emit = pool},
    [NET_ADAPTIVE_AVG_POOL] = {.emit = adaptive_avg_pool},
    [NET_PAD] = {.emit = pad},
    [NET_UPSAMPLE_NEAREST] = {.emit = upsample_nearest},
    [NET_UPSAMPLE_BILINEAR] = {.emit = upsample_bilinear},
    [NET_CONCAT] = {.emit = concat},
    [NET_SLICE] = {.emit = slice},
    [NET_ADD] = {.binary = "add"},
    [NET_MUL] = {.binary = "mul"},
    [NET_AFFINE] = {.emit = affine},
    [NET_RESHAPE] = {.emit = reshape},
    [NET_TRANSPOSE] = {.emit = transpose},
    [NET_MATMUL] = {.emit = matmul},
    [NET_SUM] = {.emit = reduce},
    [NET_MEAN] = {.emit = reduce},
    [NET_DROPOUT] = {.removed = true},
    [NET_DROPOUT2D] = {.removed = true},
    [NET_DROP_PATH] = {.removed = true},
};
/* clang-format on */

void coreml_emit(struct coreml_graph *g, net_val v)
{
    const struct net_node *d = &g->net->nodes[v];
    g->at = v;
    const char **in = arena_alloc(&g->arena, (size_t)(d->n_in + 1) * sizeof *in);
    for (int i = 0; i < d->n_in; i++) in[i] = g->name[d->in[i]];
    in[d->n_in] = NULL;
    if (ops[d->op].unary)
        coreml_result(g, ops[d->op].unary, ARGS(ARG("x", in[0])));
    else if (ops[d->op].binary)
        coreml_result(g, ops[d->op].binary, ARGS(ARG("x", in[0]), ARG("y", in[1])));
    else if (ops[d->op].emit)
        ops[d->op].emit(g, d, in);
    else
        coreml_fail(g, STATUS_REFUSED, "Core ML has no such operation here");
}
