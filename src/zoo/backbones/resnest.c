/*
 * ResNeSt: split attention in place of the 3x3, average pools in place of strides. The convolution's channels are
 * ordered [radix][cardinality], those of the attention's logits [cardinality][radix].
 */
#include "backbones.h"

struct spec {
    int layers[4];
    int stem, radix, groups, width;
    bool pool_first; /* a strided block pools before its convolution */
};

static net_val sum_radix(struct net *n, net_val x, int radix, int c)
{
    net_val sum = radix > 1 ? net_slice(n, x, 0, c) : x;
    for (int r = 1; r < radix; r++) sum = net_add(n, sum, net_slice(n, x, r * c, c));
    return sum;
}

static net_val split_attention(struct zoo_enc *e, net_val x, int c, int dil)
{
    const struct spec *s = e->row->spec;
    struct net *n = e->n;
    int radix = s->radix, squeeze = zoo_round_channels(c * radix / 4.0, 8);
    if (squeeze < 32) squeeze = 32;
    struct net_conv gate = {.k = 1, .groups = s->groups, .bias = true};
    struct net_conv spatial = {.k = 3, .pad = dil, .dil = dil, .groups = s->groups * radix};
    net_enter(n, "conv2");
    x = zoo_cba(e, "conv", "bn0", x, c * radix, spatial);
    net_val a = net_adaptive_avg_pool(n, sum_radix(n, x, radix, c), 1, 1);
    a = zoo_cba(e, "fc1", "bn1", a, squeeze, gate);
    a = zoo_conv(e, "fc2", a, c * radix, gate);
    net_leave(n);
    if (radix == 1) return net_mul(n, x, net_sigmoid(n, a));
    a = net_transpose(n, net_reshape(n, a, 3, (int64_t[]){s->groups, radix, c / s->groups}), 1, 2);
    a = net_reshape(n, net_softmax(n, a, 1), 3, (int64_t[]){c * radix, 1, 1});
    return sum_radix(n, net_mul(n, x, a), radix, c);
}

static net_val shortcut(struct zoo_enc *e, net_val x, int out, struct zoo_step b)
{
    if (b.stage_dil > 1) /* stride 1: 2x2 averages over a row and a column of zeros, which count */
        x = net_avg_pool(e->n, net_pad(e->n, x, 0, 0, 1, 1), (struct net_pool){.k = 2, .stride = 1});
    else if (b.stride > 1)
        x = net_avg_pool(e->n, x, (struct net_pool){.k = 2, .ceil = true});
    return zoo_cb(e, "downsample.1", "downsample.2", x, out, (struct net_conv){.k = 1});
}

static net_val block(struct zoo_enc *e, net_val x, struct zoo_step b)
{
    const struct spec *s = e->row->spec;
    int mid = b.planes * s->width / 64 * s->groups, out = b.planes * 4;
    struct net_conv point = {.k = 1};
    struct net_pool pool = {.k = 3, .stride = 2, .pad = 1, .count_pad = true};
    net_val y = zoo_cba(e, "conv1", "bn1", x, mid, point);
    if (b.stride > 1 && s->pool_first) y = net_avg_pool(e->n, y, pool);
    y = split_attention(e, y, mid, b.dil);
    if (b.stride > 1 && !s->pool_first) y = net_avg_pool(e->n, y, pool);
    y = zoo_bn_zero(e, "bn3", zoo_conv(e, "conv3", y, out, point));
    return e->act(e->n, net_add(e->n, y, b.first ? shortcut(e, x, out, b) : x));
}

static void build(struct zoo_enc *e, net_val x)
{
    const struct spec *s = e->row->spec;
    struct net_conv halve = {.k = 3, .stride = 2, .pad = 1}, keep = {.k = 3, .pad = 1};
    x = zoo_cba(e, "conv1.0", "conv1.1", x, s->stem, halve);
    x = zoo_cba(e, "conv1.3", "conv1.4", x, s->stem, keep);
    x = zoo_cba(e, "conv1.6", "bn1", x, 2 * s->stem, keep);
    zoo_tap(e, x);
    if (zoo_done(e)) return;
    x = net_max_pool(e->n, x, (struct net_pool){.k = 3, .stride = 2, .pad = 1});
    zoo_layers(e, x, s->layers, block);
}

/* clang-format off */
#define ROW(...) .spec = &(const struct spec){__VA_ARGS__}
static const struct zoo_backbone rows[] = {
    {"resnest14d", "gluon_in1k", ROW({1,  1,  1, 1}, .stem = 32, .radix = 2, .groups = 1, .width = 64)},
    {"resnest26d", "gluon_in1k", ROW({2,  2,  2, 2}, .stem = 32, .radix = 2, .groups = 1, .width = 64)},
    {"resnest50d",               ROW({3,  4,  6, 3}, .stem = 32, .radix = 2, .groups = 1, .width = 64)},
    {"resnest50d_1s4x24d",       ROW({3,  4,  6, 3}, .stem = 32, .radix = 1, .groups = 4, .width = 24, .pool_first = true)},
    {"resnest50d_4s2x40d",       ROW({3,  4,  6, 3}, .stem = 32, .radix = 4, .groups = 2, .width = 40, .pool_first = true)},
    {"resnest101e",              ROW({3,  4, 23, 3}, .stem = 64, .radix = 2, .groups = 1, .width = 64)},
    {"resnest200e",              ROW({3, 24, 36, 3}, .stem = 64, .radix = 2, .groups = 1, .width = 64)},
    {"resnest269e",              ROW({3, 30, 48, 8}, .stem = 64, .radix = 2, .groups = 1, .width = 64)},
};
/* clang-format on */

const struct zoo_family zoo_resnest = {
    .name = "resnest",
    .source = "arXiv:2004.08955; timm",
    .build = build,
    .rows = rows,
    .n_rows = LEN(rows),
    .heads = {"fc."},
    .prefix = "tu-",
    .scope = "model",
    .hub = "timm",
    .tag = "in1k",
    .dilation = ZOO_DILATE_TIMM,
    .prunes = true,
    .init = NET_INIT_FAN_OUT_BIAS,
};
