/*
 * How each operation is said in LiteRT. One row an op in the table at the end. Choices that are not the obvious
 * operator, and why:
 *  - Padding is SAME where the format's rule gives the net's own zeros, else an operation before a VALID one. What a
 *    window never reaches is not padded.
 *  - A maximum over padding needs the least number, and the operator for that runs slowly: where the values cannot be
 *    negative, zeros do.
 *  - The format's average has no window that counts fewer values: such windows are corrected by a constant.
 *  - Softmax is along the last dimension alone.
 */
#include "litert.h"
#include <float.h>
#include <math.h>

typedef int emit_fn(struct litert_graph *g, const struct net_node *d, const int *in);

static const struct net_shape *shape_in(const struct litert_graph *g, const struct net_node *d)
{
    return &g->net->nodes[d->in[0]].shape;
}

/* clang-format off */
#define OPTIONS(type_, ...) \
    (struct litert_options){.type = (type_), .n = (int)(sizeof((struct fb_field[]){__VA_ARGS__}) / sizeof(struct fb_field)), .f = {__VA_ARGS__}}
/* clang-format on */

/* ---- layout ------------------------------------------------------------------------------------------------------ */

/* Both layouts have the values in one order. */
static bool one_order(const struct net_shape *s)
{
    return s->rank != 4 || s->d[1] == 1 || (s->d[2] == 1 && s->d[3] == 1);
}

static int reshaped(struct litert_graph *g, int out, int x, int rank, const int64_t *dims)
{
    return LITERT_OP(g, LITERT_RESHAPE, 1, out, litert_plain, x, litert_ints(g, rank, dims));
}

static int turned(struct litert_graph *g, int out, int x, int rank, const int64_t *perm)
{
    return LITERT_OP(g, LITERT_TRANSPOSE, 1, out, litert_plain, x, litert_ints(g, rank, perm));
}

/* x of shape s in the order of the net: [N,C,H,W]. */
static int net_order(struct litert_graph *g, int x, const struct net_shape *s)
{
    if (s->rank != 4) return x;
    int to = litert_between(g, 4, s->d);
    return one_order(s) ? reshaped(g, to, x, 4, s->d) : turned(g, to, x, 4, (int64_t[]){0, 3, 1, 2});
}

/* The result of the node at hand from x, its values in the order of the net. */
static int from_net_order(struct litert_graph *g, int x, const struct net_shape *s)
{
    int64_t dims[NET_MAX_RANK];
    litert_dims(dims, s);
    if (one_order(s)) return reshaped(g, litert_result(g), x, s->rank, dims);
    int whole = reshaped(g, litert_between(g, 4, s->d), x, 4, s->d);
    return turned(g, litert_result(g), whole, 4, (int64_t[]){0, 2, 3, 1});
}

int litert_copy(struct litert_graph *g, int out, int in)
{
    int64_t dims[NET_MAX_RANK] = {0};
    const struct litert_tensor *t = &g->tensors[in];
    for (int i = 0; i < t->rank; i++) dims[i] = t->dims[i];
    return reshaped(g, out, in, t->rank, dims);
}

/* ---- windows ----------------------------------------------------------------------------------------------------- */

/* Zeros that the windows of a node reach at top, left, bottom, right; below 0: rows that no window reaches. */
static void reached(int64_t pads[4], const struct net_node *d, const struct net_shape *in, const int dil[2])
{
    const struct net_attr *a = &d->attr;
    for (int i = 0; i < 2; i++) {
        int64_t window = (int64_t)(a->kernel[i] - 1) * dil[i] + 1;
        pads[i] = a->pads[i];
        pads[2 + i] = (d->shape.d[2 + i] - 1) * a->stride[i] + window - a->pads[i] - in->d[2 + i];
    }
}

/* Whether SAME means these zeros. */
static bool is_same(const int64_t pads[4], const struct net_node *d, const struct net_shape *in)
{
    for (int i = 0; i < 2; i++) {
        int64_t stride = d->attr.stride[i], total = pads[i] + pads[2 + i];
        int64_t wanted = total > 0 ? total : 0;
        if (d->shape.d[2 + i] != (in->d[2 + i] + stride - 1) / stride) return false;
        if (pads[i] != wanted / 2) return false;
    }
    return true;
}

static bool is_valid(const int64_t pads[4])
{
    return pads[0] == 0 && pads[1] == 0 && pads[2] <= 0 && pads[3] <= 0;
}

/* x with the zeros (or @p with) around it; *s becomes its shape. */
static int padded(struct litert_graph *g, int x, struct net_shape *s, const int64_t pads[4], double with)
{
    int64_t p[8] = {0}, dims[NET_MAX_RANK];
    for (int i = 0; i < 2; i++) {
        p[2 + 2 * i] = pads[i];
        p[3 + 2 * i] = pads[2 + i] > 0 ? pads[2 + i] : 0;
        s->d[2 + i] += p[2 + 2 * i] + p[3 + 2 * i];
    }
    litert_dims(dims, s);
    int out = litert_between(g, 4, dims), amounts = litert_pairs(g, 4, p);
    litert_like(g, out, x);
    if (with != 0 && g->tensors[x].type == LITERT_INT8)
        return LITERT_OP(g, LITERT_PADV2, 1, out, litert_plain, x, amounts, litert_least(g, x));
    if (with == 0) return LITERT_OP(g, LITERT_PAD, 1, out, litert_plain, x, amounts);
    float least = (float)with;
    return LITERT_OP(g, LITERT_PADV2, 1, out, litert_plain, x, amounts, litert_floats(g, 1, (int64_t[]){1}, &least));
}

/* ---- layers ------------------------------------------------------------------------------------------------------ */

static int bias(struct litert_graph *g, const struct net_node *d, int64_t first, int64_t n)
{
    const float *v = d->n_param > 1 ? litert_param(g, 1) : NULL;
    float *zero = arena_alloc(&g->arena, (size_t)n * sizeof *zero);
    for (int64_t i = 0; i < n; i++) zero[i] = 0;
    return litert_floats(g, 1, &n, v ? v + first : zero);
}

static int conv(struct litert_graph *g, const struct net_node *d, const int *in)
{
    const struct net_attr *a = &d->attr;
    struct net_shape s = *shape_in(g, d);
    const struct net_shape *w = &g->net->params[d->param[0]].shape;
    const float *v = litert_param(g, 0);
    if (!v) return 0;
    int64_t pads[4];
    int x = in[0];
    reached(pads, d, &s, a->dil);
    bool same = is_same(pads, d, &s), depthwise = a->groups > 1 && a->groups == s.d[1];
    if (!same && !is_valid(pads)) x = padded(g, x, &s, pads, 0);
    static const int orders[2][4] = {{0, 2, 3, 1}, {1, 2, 3, 0}};
    int b, weights, padding = same ? LITERT_SAME : LITERT_VALID;
    if (litert_int8(g, g->at)) {
        weights = litert_int8_weights(g, orders[depthwise], &b);
    } else {
        weights = litert_permuted(g, v, w->d, orders[depthwise]);
        b = bias(g, d, 0, d->shape.d[1]);
    }
    if (g->error.code != STATUS_OK) return 0;
    if (depthwise)
        return LITERT_OP(g, LITERT_DEPTHWISE_CONV_2D, 2, litert_result(g),
                         OPTIONS(LITERT_O_DEPTHWISE, FB_BYTE(0, padding), FB_INT(1, a->stride[1]),
                                 FB_INT(2, a->stride[0]), FB_INT(3, d->shape.d[1] / s.d[1]), FB_INT(5, a->dil[1]),
                                 FB_INT(6, a->dil[0])),
                         x, weights, b);
    return LITERT_OP(g, LITERT_CONV_2D, 1, litert_result(g),
                     OPTIONS(LITERT_O_CONV_2D, FB_BYTE(0, padding), FB_INT(1, a->stride[1]), FB_INT(2, a->stride[0]),
                             FB_INT(4, a->dil[1]), FB_INT(5, a->dil[0])),
                     x, weights, b);
}

static int sliced(struct litert_graph *g, int out, int x, int rank, const int64_t *begin, const int64_t *size)
{
    return LITERT_OP(g, LITERT_SLICE, 1, out, litert_plain, x, litert_ints(g, rank, begin), litert_ints(g, rank, size));
}

/* One group of a transposed convolution: all that its kernel reaches, then cropped to what is wanted. */
static int conv_transpose_group(struct litert_graph *g, const struct net_node *d, int x, int out, int64_t group)
{
    const struct net_attr *a = &d->attr;
    const struct net_shape *s = shape_in(g, d), *w = &g->net->params[d->param[0]].shape;
    int64_t each = w->d[0] / a->groups, whole[4] = {1, 0, 0, w->d[1]}, crop[4] = {0, a->pads[0], a->pads[1], 0};
    int64_t to[4] = {1, d->shape.d[2], d->shape.d[3], w->d[1]}, part[4] = {each, w->d[1], w->d[2], w->d[3]};
    const float *v = litert_param(g, 0);
    if (!v) return 0;
    bool same = true, exact = true;
    for (int i = 0; i < 2; i++) {
        int64_t over = a->kernel[i] - a->stride[i];
        whole[1 + i] = (s->d[2 + i] - 1) * a->stride[i] + a->kernel[i];
        int64_t lacks = a->pads[i] + to[1 + i] - whole[1 + i]; /* rows beyond the kernel's reach: output padding */
        if (lacks > 0) whole[1 + i] += lacks;
        same &= to[1 + i] == s->d[2 + i] * a->stride[i] && over >= 0 && a->pads[i] == over / 2;
        exact &= whole[1 + i] == to[1 + i];
    }
    bool cropped = !same && !exact;
    int made = cropped ? litert_between(g, 4, whole) : out;
    LITERT_OP(g, LITERT_TRANSPOSE_CONV, 3, made,
              OPTIONS(LITERT_O_TRANSPOSE_CONV, FB_BYTE(0, same ? LITERT_SAME : LITERT_VALID), FB_INT(1, a->stride[1]),
                      FB_INT(2, a->stride[0])),
              litert_ints(g, 4, same ? to : whole),
              litert_permuted(g, v + group * each * w->d[1] * w->d[2] * w->d[3], part, (const int[]){1, 2, 3, 0}), x,
              bias(g, d, group * w->d[1], w->d[1]));
    return cropped ? sliced(g, out, made, 4, crop, to) : made;
}

static int joined(struct litert_graph *g, int out, const int *parts, int n, int axis)
{
    return litert_op(g, LITERT_CONCATENATION, 1, out, parts, n, OPTIONS(LITERT_O_CONCATENATION, FB_INT(0, axis)));
}

static int conv_transpose(struct litert_graph *g, const struct net_node *d, const int *in)
{
    int groups = d->attr.groups;
    const struct net_shape *s = shape_in(g, d);
    if (d->attr.dil[0] > 1 || d->attr.dil[1] > 1) {
        litert_fail(g, STATUS_REFUSED, "LiteRT has no dilated transposed convolution");
        return 0;
    }
    if (groups == 1) return conv_transpose_group(g, d, in[0], litert_result(g), 0);
    int *parts = arena_alloc(&g->arena, (size_t)groups * sizeof *parts);
    int64_t size[4] = {1, s->d[2], s->d[3], s->d[1] / groups};
    int64_t made[4] = {1, d->shape.d[2], d->shape.d[3], d->shape.d[1] / groups};
    for (int k = 0; k < groups; k++) {
        int x = sliced(g, litert_between(g, 4, size), in[0], 4, (int64_t[]){0, 0, 0, k * size[3]}, size);
        parts[k] = conv_transpose_group(g, d, x, litert_between(g, 4, made), k);
    }
    return joined(g, litert_result(g), parts, groups, 3);
}

/* A [C] parameter so that it broadcasts over dimension 1 of the node's value. */
static int channels(struct litert_graph *g, const struct net_node *d, int i)
{
    int64_t dims[NET_MAX_RANK] = {d->shape.d[1], 1, 1, 1, 1};
    const float *v = litert_param(g, i);
    return v ? litert_floats(g, d->shape.rank == 4 ? 1 : d->shape.rank - 1, dims, v) : 0;
}

static int between_like(struct litert_graph *g, const struct net_shape *s)
{
    int64_t dims[NET_MAX_RANK];
    litert_dims(dims, s);
    return litert_between(g, s->rank, dims);
}

static int scale_shift(struct litert_graph *g, const struct net_node *d, int x)
{
    int scaled = LITERT_OP(g, LITERT_MUL, 1, between_like(g, &d->shape), litert_plain, x, channels(g, d, 0));
    return LITERT_OP(g, LITERT_ADD, 1, litert_result(g), litert_plain, scaled, channels(g, d, 1));
}

static int channel_affine(struct litert_graph *g, const struct net_node *d, const int *in)
{
    return scale_shift(g, d, in[0]);
}

static int mean_over(struct litert_graph *g, int x, int rank, const int64_t *kept, int n_axes, const int64_t *axes)
{
    return LITERT_OP(g, LITERT_MEAN, 1, litert_between(g, rank, kept), OPTIONS(LITERT_O_REDUCER, FB_BYTE(0, 1)), x,
                     litert_ints(g, n_axes, axes));
}

static int group_norm(struct litert_graph *g, const struct net_node *d, const int *in)
{
    if (d->shape.rank != 4) {
        litert_fail(g, STATUS_REFUSED, "LiteRT has it for images alone here");
        return 0;
    }
    int64_t n = d->attr.groups, whole[4] = {1, d->shape.d[2] * d->shape.d[3], n, d->shape.d[1] / n};
    int64_t kept[4] = {1, 1, n, 1}, axes[2] = {1, 3}, dims[NET_MAX_RANK];
    int x = reshaped(g, litert_between(g, 4, whole), in[0], 4, whole);
    int mean = mean_over(g, x, 4, kept, 2, axes);
    int centred = LITERT_OP(g, LITERT_SUB, 1, litert_between(g, 4, whole), litert_plain, x, mean);
    int square = LITERT_OP(g, LITERT_MUL, 1, litert_between(g, 4, whole), litert_plain, centred, centred);
    int variance = mean_over(g, square, 4, kept, 2, axes);
    int safe =
        LITERT_OP(g, LITERT_ADD, 1, litert_between(g, 4, kept), litert_plain, variance, litert_scalar(g, d->attr.eps));
    int factor = LITERT_OP(g, LITERT_RSQRT, 1, litert_between(g, 4, kept), litert_plain, safe);
    int normed = LITERT_OP(g, LITERT_MUL, 1, litert_between(g, 4, whole), litert_plain, centred, factor);
    litert_dims(dims, &d->shape);
    return scale_shift(g, d, reshaped(g, between_like(g, &d->shape), normed, 4, dims));
}

/* ---- elementwise ------------------------------------------------------------------------------------------------- */

static int silu(struct litert_graph *g, const struct net_node *d, const int *in)
{
    int gate = LITERT_OP(g, LITERT_LOGISTIC, 1, between_like(g, &d->shape), litert_plain, in[0]);
    return LITERT_OP(g, LITERT_MUL, 1, litert_result(g), litert_plain, in[0], gate);
}

static int hardsigmoid(struct litert_graph *g, const struct net_node *d, const int *in)
{
    int moved = LITERT_OP(g, LITERT_ADD, 1, between_like(g, &d->shape), litert_plain, in[0], litert_scalar(g, 3));
    int kept = LITERT_OP(g, LITERT_RELU6, 1, between_like(g, &d->shape), litert_plain, moved);
    return LITERT_OP(g, LITERT_MUL, 1, litert_result(g), litert_plain, kept, litert_scalar(g, 1.0 / 6));
}

static int clamp(struct litert_graph *g, const struct net_node *d, const int *in)
{
    bool low = isfinite(d->attr.a), high = isfinite(d->attr.b);
    int x = in[0];
    if (low)
        x = LITERT_OP(g, LITERT_MAXIMUM, 1, high ? between_like(g, &d->shape) : litert_result(g), litert_plain, x,
                      litert_scalar(g, d->attr.a));
    if (high) x = LITERT_OP(g, LITERT_MINIMUM, 1, litert_result(g), litert_plain, x, litert_scalar(g, d->attr.b));
    return x;
}

static int affine(struct litert_graph *g, const struct net_node *d, const int *in)
{
    double a = d->attr.a, b = d->attr.b;
    int x = in[0];
    if (a != 1)
        x = LITERT_OP(g, LITERT_MUL, 1, b != 0 ? between_like(g, &d->shape) : litert_result(g), litert_plain, x,
                      litert_scalar(g, a));
    if (b != 0) x = LITERT_OP(g, LITERT_ADD, 1, litert_result(g), litert_plain, x, litert_scalar(g, b));
    return x;
}

static int softmax(struct litert_graph *g, const struct net_node *d, const int *in)
{
    int rank = d->shape.rank, axis = litert_axis(rank, d->attr.dim0), last = rank - 1;
    bool log = d->op == NET_LOG_SOFTMAX;
    struct litert_options o = log ? litert_plain : OPTIONS(LITERT_O_SOFTMAX, {.slot = 0, .size = 4, .v = 0x3f800000});
    enum litert_code code = log ? LITERT_LOG_SOFTMAX : LITERT_SOFTMAX;
    if (axis == last) return LITERT_OP(g, code, 1, litert_result(g), o, in[0]);
    int64_t dims[NET_MAX_RANK], perm[NET_MAX_RANK];
    litert_dims(dims, &d->shape);
    for (int i = 0; i < rank; i++) perm[i] = i == axis ? last : i == last ? axis : i;
    int64_t other = dims[axis];
    dims[axis] = dims[last];
    dims[last] = other;
    int x = turned(g, litert_between(g, rank, dims), in[0], rank, perm);
    x = LITERT_OP(g, code, 1, litert_between(g, rank, dims), o, x);
    return turned(g, litert_result(g), x, rank, perm);
}

/* ---- pools ------------------------------------------------------------------------------------------------------- */

static int pool_op(struct litert_graph *g, enum litert_code code, int out, int x, enum litert_padding padding,
                   const int64_t kernel[2], const int64_t stride[2])
{
    return LITERT_OP(g, code, 1, out,
                     OPTIONS(LITERT_O_POOL, FB_BYTE(0, padding), FB_INT(1, stride[1]), FB_INT(2, stride[0]),
                             FB_INT(3, kernel[1]), FB_INT(4, kernel[0])),
                     x);
}

static bool never_negative(enum net_op op)
{
    return op == NET_RELU || op == NET_RELU6 || op == NET_SIGMOID || op == NET_HARDSIGMOID || op == NET_SOFTMAX;
}

static int max_pool(struct litert_graph *g, const struct net_node *d, const int *in)
{
    struct net_shape s = *shape_in(g, d);
    int64_t pads[4], k[2] = {d->attr.kernel[0], d->attr.kernel[1]}, st[2] = {d->attr.stride[0], d->attr.stride[1]};
    int x = in[0];
    reached(pads, d, &s, (const int[]){1, 1});
    bool same = is_same(pads, d, &s);
    if (!same && !is_valid(pads))
        x = padded(g, x, &s, pads, never_negative(g->net->nodes[d->in[0]].op) ? 0 : -(double)FLT_MAX);
    return pool_op(g, LITERT_MAX_POOL_2D, litert_result(g), x, same ? LITERT_SAME : LITERT_VALID, k, st);
}

/* What the mean over each whole window is to be multiplied by: [1,H,W,1]; returns whether any is not 1. Padding counts
 * when asked to, what lies beyond it never does. */
static bool corrections(float *v, const struct net_node *d, const struct net_shape *in)
{
    const struct net_attr *a = &d->attr;
    bool any = false;
    for (int64_t y = 0; y < d->shape.d[2]; y++)
        for (int64_t x = 0; x < d->shape.d[3]; x++) {
            int64_t at[2] = {y, x}, counted = 1;
            for (int i = 0; i < 2; i++) {
                int64_t first = at[i] * a->stride[i] - a->pads[i], end = first + a->kernel[i];
                int64_t low = a->count_pad ? -a->pads[i] : 0, high = in->d[2 + i] + (a->count_pad ? a->pads[2 + i] : 0);
                counted *= (end < high ? end : high) - (first > low ? first : low);
            }
            double factor = (double)(a->kernel[0] * a->kernel[1]) / (double)counted;
            v[y * d->shape.d[3] + x] = (float)factor;
            any |= factor != 1;
        }
    return any;
}

static int avg_pool(struct litert_graph *g, const struct net_node *d, const int *in)
{
    struct net_shape s = *shape_in(g, d);
    int64_t pads[4], k[2] = {d->attr.kernel[0], d->attr.kernel[1]}, st[2] = {d->attr.stride[0], d->attr.stride[1]};
    int64_t map[4] = {1, d->shape.d[2], d->shape.d[3], 1};
    int x = in[0];
    reached(pads, d, &s, (const int[]){1, 1});
    if (!d->attr.count_pad && is_same(pads, d, &s))
        return pool_op(g, LITERT_AVERAGE_POOL_2D, litert_result(g), x, LITERT_SAME, k, st);
    float *v = arena_alloc(&g->arena, (size_t)(map[1] * map[2]) * sizeof *v);
    bool correct = corrections(v, d, &s);
    if (!is_valid(pads)) x = padded(g, x, &s, pads, 0);
    x = pool_op(g, LITERT_AVERAGE_POOL_2D, correct ? between_like(g, &d->shape) : litert_result(g), x, LITERT_VALID, k,
                st);
    return correct ? LITERT_OP(g, LITERT_MUL, 1, litert_result(g), litert_plain, x, litert_floats(g, 4, map, v)) : x;
}

/* Rows, then columns, by products with constant matrices: [out,H] x [H, W C], then [out,W] x [W, C] of each row. */
static int averages(struct litert_graph *g, const struct net_node *d, int x)
{
    const struct net_shape *s = shape_in(g, d);
    int64_t h = s->d[2], w = s->d[3], c = s->d[1], oh = d->attr.size[0], ow = d->attr.size[1];
    int64_t flat[3] = {1, h, w * c}, rows[3] = {1, oh, w * c}, apart[3] = {oh, w, c}, both[3] = {oh, ow, c};
    int64_t whole[4] = {1, oh, ow, c};
    const float *one = lower_averages(&g->arena, w, ow, true);
    float *each = arena_alloc(&g->arena, (size_t)(oh * ow * w) * sizeof *each);
    for (int64_t i = 0; i < oh; i++) memcpy(each + i * ow * w, one, (size_t)(ow * w) * sizeof *each);
    x = reshaped(g, litert_between(g, 3, flat), x, 3, flat);
    x = LITERT_OP(g, LITERT_BATCH_MATMUL, 1, litert_between(g, 3, rows), litert_plain,
                  litert_floats(g, 3, (int64_t[]){1, oh, h}, lower_averages(&g->arena, h, oh, true)), x);
    x = reshaped(g, litert_between(g, 3, apart), x, 3, apart);
    x = LITERT_OP(g, LITERT_BATCH_MATMUL, 1, litert_between(g, 3, both), litert_plain,
                  litert_floats(g, 3, (int64_t[]){oh, ow, w}, each), x);
    return reshaped(g, litert_result(g), x, 4, whole);
}

static int adaptive_avg_pool(struct litert_graph *g, const struct net_node *d, const int *in)
{
    const int64_t *to = d->attr.size, *from = shape_in(g, d)->d + 2;
    if (to[0] == 1 && to[1] == 1)
        return LITERT_OP(g, LITERT_MEAN, 1, litert_result(g), OPTIONS(LITERT_O_REDUCER, FB_BYTE(0, 1)), in[0],
                         litert_ints(g, 2, (int64_t[]){1, 2}));
    if (from[0] % to[0] || from[1] % to[1]) return averages(g, d, in[0]);
    int64_t k[2] = {from[0] / to[0], from[1] / to[1]};
    return pool_op(g, LITERT_AVERAGE_POOL_2D, litert_result(g), in[0], LITERT_VALID, k, k);
}

/* ---- resampling -------------------------------------------------------------------------------------------------- */

/* half_pixel_centers beside align_corners is refused when the file is loaded. */
static int upsample_bilinear(struct litert_graph *g, const struct net_node *d, const int *in)
{
    bool corners = d->attr.align_corners;
    return LITERT_OP(g, LITERT_RESIZE_BILINEAR, 3, litert_result(g),
                     OPTIONS(LITERT_O_RESIZE_BILINEAR, FB_BYTE(2, corners), FB_BYTE(3, !corners)), in[0],
                     litert_ints(g, 2, d->attr.size));
}

/* Its choice of source pixel is PyTorch's, in the same float arithmetic. */
static int upsample_nearest(struct litert_graph *g, const struct net_node *d, const int *in)
{
    return LITERT_OP(g, LITERT_RESIZE_NEAREST_NEIGHBOR, 1, litert_result(g),
                     OPTIONS(LITERT_O_RESIZE_NEAREST, FB_BYTE(0, 0), FB_BYTE(1, 0)), in[0],
                     litert_ints(g, 2, d->attr.size));
}

/* ---- shape and reduction ----------------------------------------------------------------------------------------- */

static int pad(struct litert_graph *g, const struct net_node *d, const int *in)
{
    const int *p = d->attr.pads;
    return LITERT_OP(g, LITERT_PAD, 1, litert_result(g), litert_plain, in[0],
                     litert_pairs(g, 4, (int64_t[]){0, 0, p[0], p[2], p[1], p[3], 0, 0}));
}

static int concat(struct litert_graph *g, const struct net_node *d, const int *in)
{
    int out = litert_result(g), *parts = arena_alloc(&g->arena, (size_t)d->n_in * sizeof *parts);
    for (int i = 0; i < d->n_in; i++) parts[i] = litert_rescaled(g, in[i], out); /* they must have one scale */
    return joined(g, out, parts, d->n_in, litert_axis(d->shape.rank, d->attr.dim0));
}

static int slice(struct litert_graph *g, const struct net_node *d, const int *in)
{
    int64_t begin[NET_MAX_RANK] = {0}, size[NET_MAX_RANK];
    litert_dims(size, &d->shape);
    begin[litert_axis(d->shape.rank, d->attr.dim0)] = d->attr.start;
    return sliced(g, litert_result(g), in[0], d->shape.rank, begin, size);
}

static int reshape(struct litert_graph *g, const struct net_node *d, const int *in)
{
    const struct net_shape *s = shape_in(g, d);
    int x = one_order(s) ? in[0] : net_order(g, in[0], s);
    return from_net_order(g, x, &d->shape);
}

static int transpose(struct litert_graph *g, const struct net_node *d, const int *in)
{
    int rank = d->shape.rank;
    int64_t perm[NET_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        int from = i == d->attr.dim0 ? d->attr.dim1 : i == d->attr.dim1 ? d->attr.dim0 : i;
        perm[litert_axis(rank, i)] = litert_axis(rank, from);
    }
    return turned(g, litert_result(g), in[0], rank, perm);
}

static int matmul(struct litert_graph *g, const struct net_node *d, const int *in)
{
    const struct net_shape *a = shape_in(g, d), *b = &g->net->nodes[d->in[1]].shape;
    if (a->rank != 4) return LITERT_OP(g, LITERT_BATCH_MATMUL, 1, litert_result(g), litert_plain, in[0], in[1]);
    int x = net_order(g, in[0], a), y = net_order(g, in[1], b);
    int product = LITERT_OP(g, LITERT_BATCH_MATMUL, 1, litert_between(g, 4, d->shape.d), litert_plain, x, y);
    return from_net_order(g, product, &d->shape);
}

/* Dimensions that are dropped must leave the others in the order of the net. */
static int reduce(struct litert_graph *g, const struct net_node *d, const int *in)
{
    const struct net_shape *s = shape_in(g, d);
    bool keep = d->attr.keepdim, as_net = !keep && s->rank == 4 && !(d->attr.dims >> 1 & 1);
    int x = as_net ? net_order(g, in[0], s) : in[0], n = 0;
    int64_t axes[NET_MAX_RANK];
    for (int i = 0; i < s->rank; i++)
        if (d->attr.dims >> i & 1) axes[n++] = as_net ? i : litert_axis(s->rank, i);
    return LITERT_OP(g, d->op == NET_MEAN ? LITERT_MEAN : LITERT_SUM, 1, litert_result(g),
                     OPTIONS(LITERT_O_REDUCER, FB_BYTE(0, keep)), x, litert_ints(g, n, axes));
}

static int input(struct litert_graph *g, const struct net_node *d, const int *in)
{
    (void)d, (void)in;
    return litert_result(g);
}

/* clang-format off */
static const struct {
    int same;          /* the operator that takes the same inputs and no options, one more than its number, or */
    emit_fn *emit;     /* the writer, or */
    bool removed;      /* the lowering leaves none */
} ops[NET_N_OPS] = {
    [NET_INPUT] = {.emit = input},
    [NET_CONV2D] = {.emit = conv},
    [NET_CONV_TRANSPOSE2D] = {.emit = conv_transpose},
    [NET_BATCH_NORM] = {.removed = true},
    [NET_GROUP_NORM] = {.emit = group_norm},
    [NET_CHANNEL_AFFINE] = {.emit = channel_affine},
    [NET_RELU] = {.same = 1 + LITERT_RELU},
    [NET_RELU6] = {.same = 1 + LITERT_RELU6},
    [NET_SILU] = {.emit = silu},
    [NET_HARDSWISH] = {.same = 1 + LITERT_HARD_SWISH},
    [NET_SIGMOID] = {.same = 1 + LITERT_LOGISTIC},
    [NET_HARDSIGMOID] = {.emit = hardsigmoid},
    [NET_TANH] = {.same = 1 + LITERT_TANH},
    [NET_ROUND] = {.same = 1 + LITERT_ROUND},
    [NET_CLAMP] = {.emit = clamp},
    [NET_SOFTMAX] = {.emit = softmax},
    [NET_LOG_SOFTMAX] = {.emit = softmax},
    [NET_MAX_POOL] = {.emit = max_pool},
    [NET_AVG_POOL] = {.emit = avg_pool},
    [NET_ADAPTIVE_AVG_POOL] = {.emit = adaptive_avg_pool},
    [NET_PAD] = {.emit = pad},
    [NET_UPSAMPLE_NEAREST] = {.emit = upsample_nearest},
    [NET_UPSAMPLE_BILINEAR] = {.emit = upsample_bilinear},
    [NET_CONCAT] = {.emit = concat},
    [NET_SLICE] = {.emit = slice},
    [NET_ADD] = {.same = 1 + LITERT_ADD},
    [NET_MUL] = {.same = 1 + LITERT_MUL},
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

void litert_emit(struct litert_graph *g, net_val v)
{
    const struct net_node *d = &g->net->nodes[v];
    g->at = v;
    g->n_extra = 0;
    int *in = arena_alloc(&g->arena, (size_t)(d->n_in + 1) * sizeof *in);
    bool int8 = litert_int8(g, v);
    if (int8 && litert_quantise[d->op] == QUANTISE_AFTER) { /* the rounding before it clips for it */
        g->tensor[v] = g->tensor[d->in[0]];
        return;
    }
    for (int i = 0; i < d->n_in; i++) in[i] = litert_value(g, d->in[i], int8);
    if (ops[d->op].same)
        g->tensor[v] =
            litert_op(g, (enum litert_code)(ops[d->op].same - 1), 1, litert_result(g), in, d->n_in, litert_plain);
    else if (ops[d->op].emit)
        g->tensor[v] = ops[d->op].emit(g, d, in);
    else
        litert_fail(g, STATUS_REFUSED, "LiteRT has no such operation here");
}
