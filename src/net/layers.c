/* Operations with parameters: convolutions, norms, constant affine maps. */
#include "build.h"
#include <math.h>

/* ---- how fresh weights start ------------------------------------------------------------------------------------- */

struct fan {
    double in, out, kernel, filters, groups;
    bool transposed;
};

static struct net_init uniform(double bound)
{
    return (struct net_init){NET_UNIFORM, bound};
}

static struct net_init normal(double variance)
{
    return (struct net_init){NET_NORMAL, sqrt(variance)};
}

static struct net_init weight_init(enum net_init_rule rule, struct fan f)
{
    switch (rule) {
    case NET_INIT_KAIMING_FAN_OUT:
    case NET_INIT_FAN_OUT_BIAS:
        return normal(2 / (f.kernel * f.filters));
    case NET_INIT_KAIMING_FAN_IN:
        return normal(2 / f.in);
    case NET_INIT_GOOG:
        return normal(2 / (f.kernel * f.filters / f.groups));
    case NET_INIT_DECODER:
        return uniform(f.transposed ? 1 / sqrt(f.in) : sqrt(6 / f.in));
    case NET_INIT_XAVIER:
        return uniform(sqrt(6 / (f.in + f.out)));
    case NET_INIT_ZEROS:
        return (struct net_init){NET_ZERO, 0};
    case NET_INIT_DEFAULT:
        break;
    }
    return uniform(1 / sqrt(f.in)); /* kaiming uniform with a = sqrt 5 is just this */
}

static struct net_init bias_init(enum net_init_rule rule, struct fan f)
{
    bool like_default =
        rule == NET_INIT_DEFAULT || rule == NET_INIT_FAN_OUT_BIAS || (rule == NET_INIT_DECODER && f.transposed);
    return like_default ? uniform(1 / sqrt(f.in)) : (struct net_init){NET_ZERO, 0};
}

static int param(struct net *n, const char *name, const char *leaf, enum net_param_kind kind, struct net_shape shape,
                 struct net_init init)
{
    char full[512];
    const char *scope = n->build->scope[n->build->depth];
    snprintf(full, sizeof full, "%s%s%s%s%s", scope, *scope ? "." : "", name, *name ? "." : "", leaf);
    return net_param_add(n, full, kind, shape, init, NULL);
}

/* ---- convolutions ----------------------------------------------------------------------------------------------- */

static int or_else(int v, int def)
{
    return v ? v : def;
}

static struct net_attr conv_attr(struct net_conv o)
{
    int ph = o.ph ? o.ph : o.pad, pw = o.pw ? o.pw : o.pad;
    return (struct net_attr){
        .kernel = {or_else(o.kh, o.k), or_else(o.kw, o.k)},
        .stride = {or_else(o.sh, or_else(o.stride, 1)), or_else(o.sw, or_else(o.stride, 1))},
        .dil = {or_else(o.dil, 1), or_else(o.dil, 1)},
        .pads = {ph + o.pads[0], pw + o.pads[1], ph + o.pads[2], pw + o.pads[3]},
        .out_pad = {o.out_pad, o.out_pad},
        .groups = or_else(o.groups, 1),
    };
}

/* TensorFlow's SAME: as many outputs as strides fit, the odd zero at the end. */
static void pad_same(struct net_attr *a, const int64_t size[2])
{
    for (int i = 0; i < 2; i++) {
        int64_t out = (size[i] + a->stride[i] - 1) / a->stride[i];
        int64_t pad = (out - 1) * a->stride[i] + (int64_t)a->dil[i] * (a->kernel[i] - 1) + 1 - size[i];
        if (pad < 0) pad = 0;
        a->pads[i] = (int)(pad / 2);
        a->pads[i + 2] = (int)(pad - pad / 2);
    }
}

static net_val conv_finish(struct net *n, const char *name, net_val x, struct net_node *node, struct net_shape weight,
                           bool bias, struct fan fan, int out)
{
    enum net_init_rule rule = n->build->rule;
    node->name = name;
    node->in = &x;
    node->n_in = 1;
    node->param[0] = param(n, name, "weight", NET_WEIGHT, weight, weight_init(rule, fan));
    node->n_param = 1;
    if (bias)
        node->param[node->n_param++] =
            param(n, name, "bias", NET_WEIGHT, (struct net_shape){1, {out}}, bias_init(rule, fan));
    return net_failed(n) ? NET_NONE : net_append(n, node);
}

net_val net_conv2d(struct net *n, const char *name, net_val x, int out, struct net_conv o)
{
    if (net_bad(n, &x, 1)) return NET_NONE;
    struct net_shape s = n->nodes[x].shape;
    struct net_attr a = conv_attr(o);
    NET_REQUIRE(n, s.rank == 4, STATUS_ARG, "%s: convolution of %s, expected [N,C,H,W]", name, net_shape_str(s));
    NET_REQUIRE(n, out > 0 && a.kernel[0] > 0 && a.kernel[1] > 0, STATUS_ARG, "%s: got %d filters of %d x %d", name,
                out, a.kernel[0], a.kernel[1]);
    NET_REQUIRE(n, s.d[1] % a.groups == 0 && out % a.groups == 0, STATUS_ARG,
                "%s: got %d groups, expected a divisor of %lld and %d channels", name, a.groups, (long long)s.d[1],
                out);
    if (o.same) pad_same(&a, s.d + 2);
    struct net_node node = {.op = NET_CONV2D, .shape = {4, {1, out, 0, 0}}, .attr = a};
    for (int i = 0; i < 2; i++) {
        int64_t span = (int64_t)a.dil[i] * (a.kernel[i] - 1) + 1, room = s.d[2 + i] + a.pads[i] + a.pads[i + 2];
        NET_REQUIRE(n, room >= span, STATUS_REFUSED, "%s: a %d x %d map is too small for its kernel of %lld", name,
                    net_h(n, x), net_w(n, x), (long long)span);
        node.shape.d[2 + i] = (room - span) / a.stride[i] + 1;
    }
    int64_t in = s.d[1] / a.groups, kernel = (int64_t)a.kernel[0] * a.kernel[1];
    struct net_shape weight = {4, {out, in, a.kernel[0], a.kernel[1]}};
    struct fan fan = {.in = (double)(in * kernel),
                      .out = (double)(out * kernel),
                      .kernel = (double)kernel,
                      .filters = out,
                      .groups = a.groups};
    return conv_finish(n, name, x, &node, weight, o.bias, fan, out);
}

net_val net_conv_transpose2d(struct net *n, const char *name, net_val x, int out, struct net_conv o)
{
    if (net_bad(n, &x, 1)) return NET_NONE;
    struct net_shape s = n->nodes[x].shape;
    struct net_attr a = conv_attr(o);
    NET_REQUIRE(n, s.rank == 4 && out > 0 && a.kernel[0] > 0 && s.d[1] % a.groups == 0 && out % a.groups == 0,
                STATUS_ARG, "%s: transposed convolution of %s to %d channels in %d groups", name, net_shape_str(s), out,
                a.groups);
    struct net_node node = {.op = NET_CONV_TRANSPOSE2D, .shape = {4, {1, out, 0, 0}}, .attr = a};
    for (int i = 0; i < 2; i++)
        node.shape.d[2 + i] = (s.d[2 + i] - 1) * a.stride[i] - a.pads[i] - a.pads[i + 2] +
                              (int64_t)a.dil[i] * (a.kernel[i] - 1) + 1 + a.out_pad[i];
    int64_t kernel = (int64_t)a.kernel[0] * a.kernel[1], each = out / a.groups;
    struct net_shape weight = {4, {s.d[1], each, a.kernel[0], a.kernel[1]}};
    struct fan fan = {.in = (double)(each * kernel),
                      .out = (double)(s.d[1] * kernel),
                      .kernel = (double)kernel,
                      .filters = (double)s.d[1],
                      .groups = a.groups,
                      .transposed = true};
    return conv_finish(n, name, x, &node, weight, o.bias, fan, out);
}

net_val net_filter(struct net *n, net_val x, int kh, int kw, const float *kernel)
{
    if (net_bad(n, &x, 1)) return NET_NONE;
    struct net_shape s = n->nodes[x].shape;
    NET_REQUIRE(n, s.rank == 4 && s.d[2] >= kh && s.d[3] >= kw, STATUS_REFUSED, "a %d x %d filter does not fit into %s",
                kh, kw, net_shape_str(s));
    int c = (int)s.d[1];
    size_t each = (size_t)kh * (size_t)kw;
    float *all = mem_alloc((size_t)c * each * sizeof *all);
    for (int i = 0; i < c; i++) memcpy(all + (size_t)i * each, kernel, each * sizeof *all);
    struct net_node node = {.op = NET_CONV2D, .n_in = 1, .in = &x, .n_param = 1};
    node.param[0] = net_const_add(n, (struct net_shape){4, {c, 1, kh, kw}}, all);
    node.attr = conv_attr((struct net_conv){.kh = kh, .kw = kw, .groups = c});
    node.shape = (struct net_shape){4, {1, c, s.d[2] - kh + 1, s.d[3] - kw + 1}};
    free(all);
    return net_append(n, &node);
}

/* ---- norms ------------------------------------------------------------------------------------------------------- */

net_val net_batch_norm(struct net *n, const char *name, net_val x, struct net_norm o)
{
    if (net_bad(n, &x, 1)) return NET_NONE;
    struct net_shape s = n->nodes[x].shape, c = {1, {s.d[1]}};
    NET_REQUIRE(n, s.rank >= 2, STATUS_ARG, "%s: batch norm of %s", name, net_shape_str(s));
    struct net_init one = {NET_ONE, 0}, zero = {NET_ZERO, 0};
    struct net_node node = {.op = NET_BATCH_NORM, .name = name, .n_in = 1, .in = &x, .n_param = 5, .shape = s};
    node.param[0] = param(n, name, "weight", NET_WEIGHT, c, o.zero ? zero : one);
    node.param[1] = param(n, name, "bias", NET_WEIGHT, c, zero);
    node.param[2] = param(n, name, "running_mean", NET_BUFFER, c, zero);
    node.param[3] = param(n, name, "running_var", NET_BUFFER, c, one);
    node.param[4] = param(n, name, "num_batches_tracked", NET_COUNT, (struct net_shape){0}, zero);
    node.attr.eps = o.eps != 0 ? o.eps : 1e-5;
    node.attr.momentum = o.momentum != 0 ? o.momentum : 0.1;
    return net_failed(n) ? NET_NONE : net_append(n, &node);
}

net_val net_group_norm(struct net *n, const char *name, net_val x, struct net_norm o)
{
    if (net_bad(n, &x, 1)) return NET_NONE;
    struct net_shape s = n->nodes[x].shape, c = {1, {s.d[1]}};
    NET_REQUIRE(n, s.rank >= 2 && o.groups > 0 && s.d[1] % o.groups == 0, STATUS_ARG,
                "%s: group norm of %s, got %d groups, expected a divisor of the channels", name, net_shape_str(s),
                o.groups);
    struct net_node node = {.op = NET_GROUP_NORM, .name = name, .n_in = 1, .in = &x, .n_param = 2, .shape = s};
    node.param[0] = param(n, name, "weight", NET_WEIGHT, c, (struct net_init){NET_ONE, 0});
    node.param[1] = param(n, name, "bias", NET_WEIGHT, c, (struct net_init){NET_ZERO, 0});
    node.attr.eps = o.eps != 0 ? o.eps : 1e-5;
    node.attr.groups = o.groups;
    return net_failed(n) ? NET_NONE : net_append(n, &node);
}

net_val net_channel_affine(struct net *n, net_val x, const float *scale, const float *shift)
{
    if (net_bad(n, &x, 1)) return NET_NONE;
    struct net_shape s = n->nodes[x].shape, c = {1, {s.d[1]}};
    struct net_node node = {.op = NET_CHANNEL_AFFINE, .n_in = 1, .in = &x, .n_param = 2, .shape = s};
    node.param[0] = net_const_add(n, c, scale);
    node.param[1] = net_const_add(n, c, shift);
    return net_append(n, &node);
}
