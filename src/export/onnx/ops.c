/*
 * How each operation is said in ONNX (opset 17). One row an op in the table at the end. Choices that are not the
 * obvious operator, and why:
 *  - HardSigmoid's slope is given: ONNX's default is 0.2, PyTorch's is 1/6.
 *  - SiLU is Sigmoid and Mul: its own operator came later and runs slower.
 *  - The mean over H,W is ReduceMean: ONNX Runtime runs it several times faster than GlobalAveragePool.
 *  - A partial last window (ceil) is written as explicit padding at the end: runtimes disagree about ceil_mode.
 *  - Adaptive pools that do not divide evenly are two products with constant averaging matrices: exact.
 *  - Half precision sums few numbers: what adds up a whole map, and a softmax, whose numbers may be smaller than it
 * has, stay float32, and so does what turns a picture's levels to the net's numbers and back.
 *  - Nearest upsampling by a broken factor is Gather: Resize rounds its coordinates in its own way.
 */
#include "onnx.h"
#include <math.h>

typedef void emit_fn(struct onnx_graph *g, const struct net_node *d, const char *out, const char *const *in);

static const struct net_shape *shape_in(const struct onnx_graph *g, const struct net_node *d)
{
    return &g->net->nodes[d->in[0]].shape;
}

/* ---- layers ----------------------------------------------------------------------------------------------------- */

static void conv(struct onnx_graph *g, const struct net_node *d, const char *out, const char *const *in)
{
    const struct net_attr *a = &d->attr;
    bool transposed = d->op == NET_CONV_TRANSPOSE2D;
    onnx_node(g, transposed ? "ConvTranspose" : "Conv", out, ONNX_IN(in[0], onnx_weights(g), onnx_bias(g)),
              ONNX_ATTRS(ONNX_PAIR("kernel_shape", a->kernel[0], a->kernel[1]),
                         ONNX_PAIR("strides", a->stride[0], a->stride[1]), ONNX_FOUR("pads", a->pads),
                         ONNX_PAIR("dilations", a->dil[0], a->dil[1]), ONNX_INT("group", a->groups),
                         ONNX_PAIR(transposed ? "output_padding" : NULL, a->out_pad[0], a->out_pad[1])));
}

static void scale_shift(struct onnx_graph *g, const struct net_node *d, const char *out, const char *x)
{
    const char *scaled = onnx_between(g);
    onnx_node(g, "Mul", scaled, ONNX_IN(x, onnx_param(g, 0, d->shape.rank)), NULL);
    onnx_node(g, "Add", out, ONNX_IN(scaled, onnx_param(g, 1, d->shape.rank)), NULL);
}

static void channel_affine(struct onnx_graph *g, const struct net_node *d, const char *out, const char *const *in)
{
    scale_shift(g, d, out, in[0]);
}

/* Groups become the channels of an instance normalisation; the group operator came with a later opset. */
static void group_norm(struct onnx_graph *g, const struct net_node *d, const char *out, const char *const *in)
{
    int64_t groups = d->attr.groups, back[NET_MAX_RANK] = {0};
    float *one = arena_alloc(&g->arena, (size_t)groups * sizeof *one);
    float *zero = arena_alloc(&g->arena, (size_t)groups * sizeof *zero);
    for (int64_t i = 0; i < groups; i++) one[i] = 1;
    for (int i = 1; i < d->shape.rank; i++) back[i] = d->shape.d[i];
    const char *grouped = onnx_between(g), *normed = onnx_between(g), *whole = onnx_between(g);
    onnx_node(g, "Reshape", grouped, ONNX_IN(in[0], onnx_ints(g, 3, (int64_t[]){0, groups, -1})), NULL);
    onnx_node(g, "InstanceNormalization", normed,
              ONNX_IN(grouped, onnx_floats(g, 1, &groups, one), onnx_floats(g, 1, &groups, zero)),
              ONNX_ATTRS(ONNX_F32("epsilon", d->attr.eps)));
    onnx_node(g, "Reshape", whole, ONNX_IN(normed, onnx_ints(g, d->shape.rank, back)), NULL);
    scale_shift(g, d, out, whole);
}

/* ---- elementwise ------------------------------------------------------------------------------------------------- */

static void clip(struct onnx_graph *g, const char *out, const char *x, double lo, double hi)
{
    onnx_node(g, "Clip", out,
              ONNX_IN(x, isfinite(lo) ? onnx_scalar(g, lo) : "", isfinite(hi) ? onnx_scalar(g, hi) : ""), NULL);
}

static void relu6(struct onnx_graph *g, const struct net_node *d, const char *out, const char *const *in)
{
    (void)d;
    clip(g, out, in[0], 0, 6);
}

static void clamp(struct onnx_graph *g, const struct net_node *d, const char *out, const char *const *in)
{
    clip(g, out, in[0], d->attr.a, d->attr.b);
}

static void silu(struct onnx_graph *g, const struct net_node *d, const char *out, const char *const *in)
{
    (void)d;
    const char *gate = onnx_between(g);
    onnx_node(g, "Sigmoid", gate, ONNX_IN(in[0]), NULL);
    onnx_node(g, "Mul", out, ONNX_IN(in[0], onnx_unit(g, gate)), NULL);
}

static void hardsigmoid(struct onnx_graph *g, const struct net_node *d, const char *out, const char *const *in)
{
    (void)d;
    onnx_node(g, "HardSigmoid", out, in, ONNX_ATTRS(ONNX_F32("alpha", 1.0 / 6), ONNX_F32("beta", 0.5)));
}

static void affine(struct onnx_graph *g, const struct net_node *d, const char *out, const char *const *in)
{
    double a = d->attr.a, b = d->attr.b;
    const char *scaled = a == 1 ? in[0] : b == 0 ? out : onnx_between(g);
    if (a != 1) onnx_node(g, "Mul", scaled, ONNX_IN(in[0], onnx_scalar(g, a)), NULL);
    if (b != 0) onnx_node(g, "Add", out, ONNX_IN(scaled, onnx_scalar(g, b)), NULL);
    if (a == 1 && b == 0) onnx_node(g, "Identity", out, in, NULL);
}

static void softmax(struct onnx_graph *g, const struct net_node *d, const char *out, const char *const *in)
{
    onnx_node(g, d->op == NET_SOFTMAX ? "Softmax" : "LogSoftmax", out, in, ONNX_ATTRS(ONNX_INT("axis", d->attr.dim0)));
}

/* ---- pools ------------------------------------------------------------------------------------------------------- */

static void pool(struct onnx_graph *g, const struct net_node *d, const char *out, const char *const *in)
{
    const struct net_attr *a = &d->attr;
    bool average = d->op == NET_AVG_POOL;
    int64_t pads[4];
    bool partial = lower_pool_pads(pads, d, shape_in(g, d));
    const char *x = in[0];
    bool count = average && a->count_pad;
    if (count && partial) {
        /* Padding counts, what lies beyond it does not: make the padding real. */
        x = onnx_between(g);
        onnx_node(
            g, "Pad", x,
            ONNX_IN(in[0], onnx_ints(g, 8, (int64_t[]){0, 0, a->pads[0], a->pads[1], 0, 0, a->pads[2], a->pads[3]})),
            NULL);
        for (int i = 0; i < 4; i++) pads[i] -= a->pads[i];
        count = false;
    }
    onnx_node(g, average ? "AveragePool" : "MaxPool", out, ONNX_IN(x),
              ONNX_ATTRS(ONNX_PAIR("kernel_shape", a->kernel[0], a->kernel[1]),
                         ONNX_PAIR("strides", a->stride[0], a->stride[1]), ONNX_FOUR("pads", pads),
                         ONNX_INT(average ? "count_include_pad" : NULL, count)));
}

static const char *averages(struct onnx_graph *g, int64_t in, int64_t out, bool transposed)
{
    int64_t dims[2] = {transposed ? out : in, transposed ? in : out};
    return onnx_floats(g, 2, dims, lower_averages(&g->arena, in, out, transposed));
}

static void adaptive_avg_pool(struct onnx_graph *g, const struct net_node *d, const char *out, const char *const *in)
{
    const int64_t *to = d->attr.size, *from = shape_in(g, d)->d + 2;
    if (to[0] == 1 && to[1] == 1) {
        onnx_node(g, "ReduceMean", out, in, ONNX_ATTRS(ONNX_PAIR("axes", 2, 3), ONNX_INT("keepdims", 1)));
    } else if (from[0] % to[0] == 0 && from[1] % to[1] == 0) {
        int64_t k[2] = {from[0] / to[0], from[1] / to[1]};
        onnx_node(g, "AveragePool", out, in,
                  ONNX_ATTRS(ONNX_PAIR("kernel_shape", k[0], k[1]), ONNX_PAIR("strides", k[0], k[1])));
    } else {
        const char *rows = onnx_between(g);
        onnx_node(g, "MatMul", rows, ONNX_IN(in[0], averages(g, from[1], to[1], false)), NULL);
        onnx_node(g, "MatMul", out, ONNX_IN(averages(g, from[0], to[0], true), rows), NULL);
    }
}

/* ---- resampling -------------------------------------------------------------------------------------------------- */

/* Scales leave the batch open, sizes would not. A factor whose float falls short of the size is nudged up. */
static const char *scales(struct onnx_graph *g, const int64_t *from, const int64_t *to)
{
    float s[4] = {1, 1, 0, 0};
    for (int i = 0; i < 2; i++) {
        s[2 + i] = (float)((double)to[i] / (double)from[i]);
        while (floorf(s[2 + i] * (float)from[i]) < (float)to[i]) s[2 + i] = nextafterf(s[2 + i], INFINITY);
    }
    return onnx_constant(g, ONNX_FLOAT, 1, (int64_t[]){4}, s); /* float32 beside whatever is resized */
}

static void upsample_bilinear(struct onnx_graph *g, const struct net_node *d, const char *out, const char *const *in)
{
    onnx_node(g, "Resize", out, ONNX_IN(in[0], "", scales(g, shape_in(g, d)->d + 2, d->attr.size)),
              ONNX_ATTRS(ONNX_STR("mode", "linear"), ONNX_STR("coordinate_transformation_mode",
                                                              d->attr.align_corners ? "align_corners" : "half_pixel")));
}

static void upsample_nearest(struct onnx_graph *g, const struct net_node *d, const char *out, const char *const *in)
{
    const int64_t *to = d->attr.size, *from = shape_in(g, d)->d + 2;
    if (to[0] % from[0] == 0 && to[1] % from[1] == 0) {
        onnx_node(g, "Resize", out, ONNX_IN(in[0], "", scales(g, from, to)),
                  ONNX_ATTRS(ONNX_STR("mode", "nearest"), ONNX_STR("nearest_mode", "floor"),
                             ONNX_STR("coordinate_transformation_mode", "asymmetric")));
        return;
    }
    const char *rows = onnx_between(g);
    onnx_node(g, "Gather", rows, ONNX_IN(in[0], onnx_ints(g, (int)to[0], lower_nearest(&g->arena, from[0], to[0]))),
              ONNX_ATTRS(ONNX_INT("axis", 2)));
    onnx_node(g, "Gather", out, ONNX_IN(rows, onnx_ints(g, (int)to[1], lower_nearest(&g->arena, from[1], to[1]))),
              ONNX_ATTRS(ONNX_INT("axis", 3)));
}

/* ---- shape and reduction ----------------------------------------------------------------------------------------- */

static void pad(struct onnx_graph *g, const struct net_node *d, const char *out, const char *const *in)
{
    const int *p = d->attr.pads;
    onnx_node(g, "Pad", out, ONNX_IN(in[0], onnx_ints(g, 8, (int64_t[]){0, 0, p[0], p[1], 0, 0, p[2], p[3]})), NULL);
}

static void concat(struct onnx_graph *g, const struct net_node *d, const char *out, const char *const *in)
{
    onnx_node(g, "Concat", out, in, ONNX_ATTRS(ONNX_INT("axis", d->attr.dim0)));
}

static void slice(struct onnx_graph *g, const struct net_node *d, const char *out, const char *const *in)
{
    const struct net_attr *a = &d->attr;
    int64_t end = a->start + a->len, axis = a->dim0;
    onnx_node(g, "Slice", out,
              ONNX_IN(in[0], onnx_ints(g, 1, &a->start), onnx_ints(g, 1, &end), onnx_ints(g, 1, &axis)), NULL);
}

static void reshape(struct onnx_graph *g, const struct net_node *d, const char *out, const char *const *in)
{
    int64_t to[NET_MAX_RANK] = {0}; /* 0: the batch stays */
    for (int i = 1; i < d->shape.rank; i++) to[i] = d->shape.d[i];
    onnx_node(g, "Reshape", out, ONNX_IN(in[0], onnx_ints(g, d->shape.rank, to)), NULL);
}

static void transpose(struct onnx_graph *g, const struct net_node *d, const char *out, const char *const *in)
{
    struct onnx_attr perm = {.name = "perm", .kind = ONNX_A_INTS, .n = d->shape.rank};
    for (int i = 0; i < d->shape.rank; i++)
        perm.ints[i] = i == d->attr.dim0 ? d->attr.dim1 : i == d->attr.dim1 ? d->attr.dim0 : i;
    onnx_node(g, "Transpose", out, in, ONNX_ATTRS(perm));
}

/* At this opset the axes are an input of ReduceSum and an attribute of ReduceMean. */
static void reduce(struct onnx_graph *g, const struct net_node *d, const char *out, const char *const *in)
{
    struct onnx_attr axes = {.name = "axes", .kind = ONNX_A_INTS}, keep = ONNX_INT("keepdims", d->attr.keepdim);
    for (int i = 0; i < NET_MAX_RANK; i++)
        if (d->attr.dims >> i & 1) axes.ints[axes.n++] = i;
    if (d->op == NET_MEAN)
        onnx_node(g, "ReduceMean", out, in, ONNX_ATTRS(axes, keep));
    else
        onnx_node(g, "ReduceSum", out, ONNX_IN(in[0], onnx_ints(g, axes.n, axes.ints)), ONNX_ATTRS(keep));
}

static void nothing(struct onnx_graph *g, const struct net_node *d, const char *out, const char *const *in)
{
    (void)g, (void)d, (void)out, (void)in;
}

/* clang-format off */
static const struct {
    const char *same;  /* the ONNX operator that takes the same inputs and no attribute, or */
    emit_fn *emit;     /* the writer, or */
    bool removed;      /* the inference pass leaves none */
    enum { HALF, WIDE, FOLLOWS } in_half; /* of half precision: in it; in float32, for sums or small numbers; as it comes */
} ops[NET_N_OPS] = {
    [NET_INPUT] = {.emit = nothing}, /* an input of the graph is no node */
    [NET_CONV2D] = {.emit = conv},
    [NET_CONV_TRANSPOSE2D] = {.emit = conv},
    [NET_BATCH_NORM] = {.removed = true},
    [NET_GROUP_NORM] = {.emit = group_norm, .in_half = WIDE},
    [NET_CHANNEL_AFFINE] = {.emit = channel_affine},
    [NET_RELU] = {.same = "Relu"},
    [NET_RELU6] = {.emit = relu6},
    [NET_SILU] = {.emit = silu},
    [NET_HARDSWISH] = {.same = "HardSwish"},
    [NET_SIGMOID] = {.same = "Sigmoid"},
    [NET_HARDSIGMOID] = {.emit = hardsigmoid},
    [NET_TANH] = {.same = "Tanh"},
    [NET_ROUND] = {.same = "Round"},
    [NET_CLAMP] = {.emit = clamp},
    [NET_SOFTMAX] = {.emit = softmax, .in_half = WIDE},
    [NET_LOG_SOFTMAX] = {.emit = softmax, .in_half = WIDE},
    [NET_MAX_POOL] = {.emit = pool},
    [NET_AVG_POOL] = {.emit = pool},
    [NET_ADAPTIVE_AVG_POOL] = {.emit = adaptive_avg_pool, .in_half = WIDE},
    [NET_PAD] = {.emit = pad},
    [NET_UPSAMPLE_NEAREST] = {.emit = upsample_nearest},
    [NET_UPSAMPLE_BILINEAR] = {.emit = upsample_bilinear},
    [NET_CONCAT] = {.emit = concat},
    [NET_SLICE] = {.emit = slice, .in_half = FOLLOWS},
    [NET_ADD] = {.same = "Add"},
    [NET_MUL] = {.same = "Mul"},
    [NET_AFFINE] = {.emit = affine},
    [NET_RESHAPE] = {.emit = reshape, .in_half = FOLLOWS},
    [NET_TRANSPOSE] = {.emit = transpose, .in_half = FOLLOWS},
    [NET_MATMUL] = {.same = "MatMul", .in_half = WIDE},
    [NET_SUM] = {.emit = reduce, .in_half = WIDE},
    [NET_MEAN] = {.emit = reduce, .in_half = WIDE},
    [NET_DROPOUT] = {.removed = true},
    [NET_DROPOUT2D] = {.removed = true},
    [NET_DROP_PATH] = {.removed = true},
};
/* clang-format on */

enum onnx_type onnx_half_type(const struct onnx_graph *g, net_val v)
{
    const struct net_node *d = &g->net->nodes[v];
    if (g->low->framing[v] || d->op == NET_INPUT || ops[d->op].in_half == WIDE) return ONNX_FLOAT;
    return ops[d->op].in_half == FOLLOWS ? g->made[d->in[0]] : ONNX_FLOAT16;
}

void onnx_emit(struct onnx_graph *g, net_val v)
{
    const struct net_node *d = &g->net->nodes[v];
    g->at = v;
    g->n_extra = 0;
    const char **in = arena_alloc(&g->arena, (size_t)(d->n_in + 1) * sizeof *in);
    for (int i = 0; i < d->n_in; i++) in[i] = onnx_value(g, d->in[i]);
    if (ops[d->op].same)
        onnx_node(g, ops[d->op].same, g->name[v], in, NULL);
    else if (ops[d->op].emit)
        ops[d->op].emit(g, d, g->name[v], in);
    else
        onnx_fail(g, STATUS_REFUSED, "ONNX has no such operation here");
}
