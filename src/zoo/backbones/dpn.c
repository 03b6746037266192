/*
 * Dual path networks: a residual path and a dense path side by side, norm and ReLU before each convolution. Skips are
 * the ReLU of both paths without a norm; only the deepest is normalised.
 */
#include "backbones.h"

struct spec {
    int stem, stem_k, r, groups, layers[4], grow[4];
    int widen;  /* residual channels: 64 << stage, times this */
    bool split; /* the closing 1x1 is two convolutions behind one norm */
};
struct pair {
    net_val resid, dense;
};

static net_val bn_relu_conv(struct zoo_enc *e, const char *scope, net_val x, int out, struct net_conv o)
{
    net_enter(e->n, "%s", scope);
    x = zoo_conv(e, "conv", net_relu(e->n, zoo_bn(e, "bn", x)), out, o);
    net_leave(e->n);
    return x;
}

static net_val join(struct zoo_enc *e, net_val a, net_val b)
{
    return net_concat(e->n, (net_val[]){a, b}, 2);
}

static struct pair block(struct zoo_enc *e, net_val x, const struct pair *before, int stage, int stride)
{
    const struct spec *s = e->row->spec;
    struct net *n = e->n;
    int width = (64 << stage) * s->widen, mid = s->r << stage, grow = s->grow[stage];
    struct net_conv point = {.k = 1}, spatial = {.k = 3, .stride = stride, .pad = 1, .groups = s->groups};
    struct pair p;
    if (before) {
        p = *before;
    } else {
        struct net_conv o = {.k = 1, .stride = stride};
        net_val w = bn_relu_conv(e, stride > 1 ? "c1x1_w_s2" : "c1x1_w_s1", x, width + 2 * grow, o);
        p = (struct pair){net_slice(n, w, 0, width), net_slice(n, w, width, 2 * grow)};
    }
    net_val resid, dense, y = bn_relu_conv(e, "c1x1_a", x, mid, point);
    y = bn_relu_conv(e, "c3x3_b", y, mid, spatial);
    if (s->split) {
        y = net_relu(n, zoo_bn(e, "c1x1_c.bn", y));
        resid = zoo_conv(e, "c1x1_c1", y, width, point);
        dense = zoo_conv(e, "c1x1_c2", y, grow, point);
    } else {
        y = bn_relu_conv(e, "c1x1_c", y, width + grow, point);
        resid = net_slice(n, y, 0, width);
        dense = net_slice(n, y, width, grow);
    }
    return (struct pair){net_add(n, p.resid, resid), join(e, p.dense, dense)};
}

static void build(struct zoo_enc *e, net_val x)
{
    const struct spec *s = e->row->spec;
    net_enter(e->n, "features");
    struct net_conv stem = {.k = s->stem_k, .stride = 2, .pad = s->stem_k / 2};
    x = zoo_cba(e, "conv1_1.conv", "conv1_1.bn", x, s->stem, stem);
    zoo_tap(e, x);
    x = net_max_pool(e->n, x, (struct net_pool){.k = 3, .stride = 2, .pad = 1});
    for (int i = 0; i < 4; i++) {
        struct pair p = {NET_NONE, NET_NONE};
        zoo_next_level(e);
        for (int b = 0; b < s->layers[i]; b++) {
            net_enter(e->n, "conv%d_%d", i + 2, b + 1);
            p = block(e, x, b ? &p : NULL, i, b == 0 && i > 0 ? 2 : 1);
            x = join(e, p.resid, p.dense);
            net_leave(e->n);
        }
        if (i < 3) zoo_tap(e, net_relu(e->n, x));
    }
    zoo_tap(e, net_relu(e->n, zoo_bn(e, "conv5_bn_ac.bn", x)));
    net_leave(e->n);
}

/* clang-format off */
#define ROW(...) .spec = &(const struct spec){__VA_ARGS__}
static const struct zoo_backbone rows[] = {
    {"dpn68",  ROW( 10, 3, 128, 32, {3, 4, 12, 3}, {16, 32, 32,  64}, 1, false)},
    {"dpn68b", "imagenet-5k", ROW( 10, 3, 128, 32, {3, 4, 12, 3}, {16, 32, 32,  64}, 1, true)},
    {"dpn92",  "imagenet-5k", ROW( 64, 7,  96, 32, {3, 4, 20, 3}, {16, 32, 24, 128}, 4, false)},
    {"dpn98",  ROW( 96, 7, 160, 40, {3, 6, 20, 3}, {16, 32, 32, 128}, 4, false)},
    {"dpn107", "imagenet-5k", ROW(128, 7, 200, 50, {4, 8, 20, 3}, {20, 64, 64, 128}, 4, false)},
    {"dpn131", ROW(128, 7, 160, 40, {4, 8, 28, 3}, {16, 32, 32, 128}, 4, false)},
};
/* clang-format on */

const struct zoo_family zoo_dpn = {
    .name = "dpn",
    .source = "arXiv:1707.01629; Cadene pretrainedmodels",
    .build = build,
    .rows = rows,
    .n_rows = LEN(rows),
    .heads = {"last_linear."},
    .dilation = ZOO_DILATE_NATIVE,
    .eps = 1e-3,
    .mean = {124 / 255.0f, 117 / 255.0f, 104 / 255.0f},
    .std = {1 / (0.0167f * 255), 1 / (0.0167f * 255), 1 / (0.0167f * 255)},
};
