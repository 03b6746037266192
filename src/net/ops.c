/* Operations without parameters: elementwise, pools, resampling, shape changes, reductions. */
#include "build.h"

static net_val one(struct net *n, enum net_op op, net_val x, struct net_shape shape, struct net_attr attr)
{
    return net_append(n, &(struct net_node){.op = op, .n_in = 1, .in = &x, .shape = shape, .attr = attr});
}

static net_val same_shape(struct net *n, enum net_op op, net_val x, struct net_attr attr)
{
    if (net_bad(n, &x, 1)) return NET_NONE;
    return one(n, op, x, n->nodes[x].shape, attr);
}

net_val net_unary(struct net *n, enum net_op op, net_val x)
{
    return same_shape(n, op, x, (struct net_attr){0});
}

/* clang-format off */
net_val net_relu(struct net *n, net_val x) { return net_unary(n, NET_RELU, x); }
net_val net_relu6(struct net *n, net_val x) { return net_unary(n, NET_RELU6, x); }
net_val net_silu(struct net *n, net_val x) { return net_unary(n, NET_SILU, x); }
net_val net_hardswish(struct net *n, net_val x) { return net_unary(n, NET_HARDSWISH, x); }
net_val net_sigmoid(struct net *n, net_val x) { return net_unary(n, NET_SIGMOID, x); }
net_val net_hardsigmoid(struct net *n, net_val x) { return net_unary(n, NET_HARDSIGMOID, x); }
net_val net_tanh(struct net *n, net_val x) { return net_unary(n, NET_TANH, x); }
net_val net_round(struct net *n, net_val x) { return net_unary(n, NET_ROUND, x); }
net_val net_abs(struct net *n, net_val x) { return net_unary(n, NET_ABS, x); }
net_val net_log(struct net *n, net_val x) { return net_unary(n, NET_LOG, x); }
net_val net_clamp(struct net *n, net_val x, double lo, double hi) { return same_shape(n, NET_CLAMP, x, (struct net_attr){.a = lo, .b = hi}); }
net_val net_pow(struct net *n, net_val x, double p) { return same_shape(n, NET_POW, x, (struct net_attr){.a = p}); }
net_val net_affine(struct net *n, net_val x, double a, double b) { return same_shape(n, NET_AFFINE, x, (struct net_attr){.a = a, .b = b}); }
net_val net_dropout(struct net *n, net_val x, double p) { return same_shape(n, NET_DROPOUT, x, (struct net_attr){.a = p}); }
net_val net_dropout2d(struct net *n, net_val x, double p) { return same_shape(n, NET_DROPOUT2D, x, (struct net_attr){.a = p}); }
net_val net_drop_path(struct net *n, net_val x, double p) { return same_shape(n, NET_DROP_PATH, x, (struct net_attr){.a = p}); }
/* clang-format on */

static net_val along(struct net *n, enum net_op op, net_val x, int dim)
{
    if (net_bad(n, &x, 1)) return NET_NONE;
    NET_REQUIRE(n, dim > 0 && dim < n->nodes[x].shape.rank, STATUS_ARG, "%s over dimension %d of %s", net_ops[op].name,
                dim, net_shape_str(n->nodes[x].shape));
    return same_shape(n, op, x, (struct net_attr){.dim0 = dim});
}

net_val net_softmax(struct net *n, net_val x, int dim)
{
    return along(n, NET_SOFTMAX, x, dim);
}

net_val net_log_softmax(struct net *n, net_val x, int dim)
{
    return along(n, NET_LOG_SOFTMAX, x, dim);
}

/* ---- pools and resampling ---------------------------------------------------------------------------------------- */

static net_val pool(struct net *n, enum net_op op, net_val x, struct net_pool o)
{
    if (net_bad(n, &x, 1)) return NET_NONE;
    struct net_shape s = n->nodes[x].shape;
    int stride = o.stride ? o.stride : o.k;
    NET_REQUIRE(n, s.rank == 4 && o.k > 0 && 2 * o.pad <= o.k, STATUS_ARG, "%s of %s: got kernel %d, padding %d",
                net_ops[op].name, net_shape_str(s), o.k, o.pad);
    struct net_attr a = {.kernel = {o.k, o.k},
                         .stride = {stride, stride},
                         .dil = {1, 1},
                         .groups = 1,
                         .ceil = o.ceil,
                         .count_pad = o.count_pad,
                         .pads = {o.pad, o.pad, o.pad, o.pad}};
    for (int i = 2; i < 4; i++) {
        int64_t room = s.d[i] + 2 * o.pad - o.k;
        NET_REQUIRE(n, room >= 0, STATUS_REFUSED, "%s: a %d x %d map is too small for a window of %d", net_ops[op].name,
                    net_h(n, x), net_w(n, x), o.k);
        int64_t out = (room + (o.ceil ? stride - 1 : 0)) / stride + 1;
        if (o.ceil && (out - 1) * stride >= s.d[i] + o.pad) out--; /* no window may start in the padding at the end */
        s.d[i] = out;
    }
    return one(n, op, x, s, a);
}

net_val net_max_pool(struct net *n, net_val x, struct net_pool o)
{
    return pool(n, NET_MAX_POOL, x, o);
}

net_val net_avg_pool(struct net *n, net_val x, struct net_pool o)
{
    return pool(n, NET_AVG_POOL, x, o);
}

static net_val resize(struct net *n, enum net_op op, net_val x, int h, int w, bool align_corners)
{
    if (net_bad(n, &x, 1)) return NET_NONE;
    struct net_shape s = n->nodes[x].shape;
    NET_REQUIRE(n, s.rank == 4 && h > 0 && w > 0, STATUS_ARG, "%s of %s to %d x %d", net_ops[op].name, net_shape_str(s),
                h, w);
    s.d[2] = h;
    s.d[3] = w;
    return one(n, op, x, s, (struct net_attr){.size = {h, w}, .align_corners = align_corners});
}

net_val net_adaptive_avg_pool(struct net *n, net_val x, int out_h, int out_w)
{
    return resize(n, NET_ADAPTIVE_AVG_POOL, x, out_h, out_w, false);
}

net_val net_upsample_nearest(struct net *n, net_val x, int out_h, int out_w)
{
    return resize(n, NET_UPSAMPLE_NEAREST, x, out_h, out_w, false);
}

net_val net_upsample_bilinear(struct net *n, net_val x, int out_h, int out_w, bool align_corners)
{
    return resize(n, NET_UPSAMPLE_BILINEAR, x, out_h, out_w, align_corners);
}

net_val net_pad(struct net *n, net_val x, int t, int l, int b, int r)
{
    if (net_bad(n, &x, 1)) return NET_NONE;
    struct net_shape s = n->nodes[x].shape;
    NET_REQUIRE(n, s.rank == 4 && t >= 0 && l >= 0 && b >= 0 && r >= 0, STATUS_ARG, "pad of %s by %d,%d,%d,%d",
                net_shape_str(s), t, l, b, r);
    s.d[2] += t + b;
    s.d[3] += l + r;
    return one(n, NET_PAD, x, s, (struct net_attr){.pads = {t, l, b, r}});
}

/* ---- joining, cutting, arithmetic -------------------------------------------------------------------------------- */

net_val net_concat(struct net *n, const net_val *x, int n_x)
{
    if (net_bad(n, x, n_x)) return NET_NONE;
    CHECK(n_x > 0, "concat of nothing");
    struct net_shape s = n->nodes[x[0]].shape;
    for (int i = 1; i < n_x; i++) {
        struct net_shape t = n->nodes[x[i]].shape;
        bool fits = s.rank == t.rank && s.rank >= 2;
        for (int d = 2; fits && d < s.rank; d++) fits = s.d[d] == t.d[d];
        NET_REQUIRE(n, fits, STATUS_ARG, "concat of %s and %s", net_shape_str(s), net_shape_str(t));
        s.d[1] += t.d[1];
    }
    return net_append(n, &(struct net_node){.op = NET_CONCAT, .n_in = n_x, .in = x, .shape = s, .attr = {.dim0 = 1}});
}

net_val net_slice(struct net *n, net_val x, int64_t start, int64_t len)
{
    if (net_bad(n, &x, 1)) return NET_NONE;
    struct net_shape s = n->nodes[x].shape;
    NET_REQUIRE(n, s.rank >= 2 && start >= 0 && len > 0 && start + len <= s.d[1], STATUS_ARG,
                "slice of %s: got channels %lld to %lld", net_shape_str(s), (long long)start, (long long)(start + len));
    s.d[1] = len;
    return one(n, NET_SLICE, x, s, (struct net_attr){.dim0 = 1, .start = start, .len = len});
}

static net_val binary(struct net *n, enum net_op op, net_val a, net_val b)
{
    if (net_bad(n, (net_val[]){a, b}, 2)) return NET_NONE;
    struct net_shape s = n->nodes[a].shape, t = n->nodes[b].shape;
    bool scalar = s.rank == 0 || t.rank == 0;
    NET_REQUIRE(n, scalar || s.rank == t.rank, STATUS_ARG, "%s of %s and %s", net_ops[op].name, net_shape_str(s),
                net_shape_str(t));
    if (s.rank == 0) s = t;
    for (int d = 0; !scalar && d < s.rank; d++) {
        NET_REQUIRE(n, s.d[d] == t.d[d] || s.d[d] == 1 || t.d[d] == 1, STATUS_ARG, "%s of %s and %s", net_ops[op].name,
                    net_shape_str(s), net_shape_str(t));
        if (t.d[d] > s.d[d]) s.d[d] = t.d[d];
    }
    return net_append(n, &(struct net_node){.op = op, .n_in = 2, .in = (net_val[]){a, b}, .shape = s});
}

/* clang-format off */
net_val net_add(struct net *n, net_val a, net_val b) { return binary(n, NET_ADD, a, b); }
net_val net_sub(struct net *n, net_val a, net_val b) { return binary(n, NET_SUB, a, b); }
net_val net_mul(struct net *n, net_val a, net_val b) { return binary(n, NET_MUL, a, b); }
net_val net_div(struct net *n, net_val a, net_val b) { return binary(n, NET_DIV, a, b); }
/* clang-format on */

net_val net_reshape(struct net *n, net_val x, int n_dims, const int64_t *dims)
{
    if (net_bad(n, &x, 1)) return NET_NONE;
    struct net_shape from = n->nodes[x].shape, s = {n_dims + 1, {1}};
    CHECK(n_dims >= 1 && n_dims < NET_MAX_RANK, "reshape to %d dimensions", n_dims);
    int64_t known = 1, all = net_numel(from);
    int free_dim = 0;
    for (int i = 0; i < n_dims; i++) {
        s.d[i + 1] = dims[i];
        if (dims[i] < 0)
            free_dim = i + 1;
        else
            known *= dims[i];
    }
    if (free_dim && known > 0) s.d[free_dim] = all / known;
    NET_REQUIRE(n, from.rank > 0 && net_numel(s) == all, STATUS_ARG, "reshape of %s to %s", net_shape_str(from),
                net_shape_str(s));
    return one(n, NET_RESHAPE, x, s, (struct net_attr){0});
}

net_val net_transpose(struct net *n, net_val x, int d0, int d1)
{
    if (net_bad(n, &x, 1)) return NET_NONE;
    struct net_shape s = n->nodes[x].shape;
    NET_REQUIRE(n, d0 > 0 && d1 > 0 && d0 < s.rank && d1 < s.rank, STATUS_ARG, "transpose of %s: dimensions %d, %d",
                net_shape_str(s), d0, d1);
    int64_t t = s.d[d0];
    s.d[d0] = s.d[d1];
    s.d[d1] = t;
    return one(n, NET_TRANSPOSE, x, s, (struct net_attr){.dim0 = d0, .dim1 = d1});
}

net_val net_matmul(struct net *n, net_val a, net_val b)
{
    if (net_bad(n, (net_val[]){a, b}, 2)) return NET_NONE;
    struct net_shape s = n->nodes[a].shape, t = n->nodes[b].shape;
    NET_REQUIRE(n, s.rank == 3 && t.rank == 3 && s.d[2] == t.d[1], STATUS_ARG, "matmul of %s and %s", net_shape_str(s),
                net_shape_str(t));
    s.d[2] = t.d[2];
    return net_append(n, &(struct net_node){.op = NET_MATMUL, .n_in = 2, .in = (net_val[]){a, b}, .shape = s});
}

/* ---- reductions -------------------------------------------------------------------------------------------------- */

static net_val reduce(struct net *n, enum net_op op, net_val x, unsigned dims, bool keepdim)
{
    if (net_bad(n, &x, 1)) return NET_NONE;
    struct net_shape s = n->nodes[x].shape, out = {0};
    NET_REQUIRE(n, dims && dims < 1u << s.rank, STATUS_ARG, "%s of %s over dimensions 0x%x", net_ops[op].name,
                net_shape_str(s), dims);
    for (int d = 0; d < s.rank; d++) {
        bool gone = dims >> d & 1;
        if (!gone || keepdim) out.d[out.rank++] = gone ? 1 : s.d[d];
    }
    return one(n, op, x, out, (struct net_attr){.dims = dims, .keepdim = keepdim});
}

net_val net_sum(struct net *n, net_val x, unsigned dims, bool keepdim)
{
    return reduce(n, NET_SUM, x, dims, keepdim);
}

net_val net_mean(struct net *n, net_val x, unsigned dims, bool keepdim)
{
    return reduce(n, NET_MEAN, x, dims, keepdim);
}

net_val net_l1(struct net *n, net_val a, net_val b)
{
    if (net_bad(n, (net_val[]){a, b}, 2)) return NET_NONE;
    struct net_shape s = n->nodes[a].shape, t = n->nodes[b].shape;
    NET_REQUIRE(n, net_shape_same(s, t), STATUS_ARG, "l1 of %s and %s", net_shape_str(s), net_shape_str(t));
    return net_append(n, &(struct net_node){.op = NET_L1, .n_in = 2, .in = (net_val[]){a, b}});
}

net_val net_gram(struct net *n, net_val x)
{
    if (net_bad(n, &x, 1)) return NET_NONE;
    struct net_shape s = n->nodes[x].shape;
    NET_REQUIRE(n, s.rank == 4, STATUS_ARG, "gram of %s, expected [N,C,H,W]", net_shape_str(s));
    return one(n, NET_GRAM, x, (struct net_shape){3, {1, s.d[1], s.d[1]}}, (struct net_attr){0});
}
