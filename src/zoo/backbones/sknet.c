/*
 * SK-ResNet and SK-ResNeXt: two 3x3 paths, one dilated to see 5x5, each on half of the input's channels; a softmax over
 * the paths weighs them channel by channel. Under output strides 8 and 16 both paths get the stage's rate.
 */
#include "backbones.h"

struct spec {
    int layers[4];
    bool basic;
    int groups, width, reduction;
};

static net_val path(struct zoo_enc *e, net_val x, int index, int out, struct net_conv o)
{
    int half = net_c(e->n, x) / 2;
    o.dil = o.pad = index + 1;
    net_enter(e->n, "paths.%d", index);
    x = zoo_cba(e, "conv", "bn", net_slice(e->n, x, index * half, half), out, o);
    net_leave(e->n);
    return x;
}

static net_val selective_kernel(struct zoo_enc *e, const char *scope, net_val x, int out, struct net_conv o)
{
    const struct spec *s = e->row->spec;
    struct net *n = e->n;
    struct net_conv point = {.k = 1};
    net_enter(n, "%s", scope);
    net_val a = path(e, x, 0, out, o), b = path(e, x, 1, out, o);
    net_enter(n, "attn");
    net_val w = net_adaptive_avg_pool(n, net_add(n, a, b), 1, 1);
    w = zoo_cba(e, "fc_reduce", "bn", w, zoo_round_channels((double)out / s->reduction, 8), point);
    w = zoo_conv(e, "fc_select", w, 2 * out, point);
    net_leave(n);
    w = net_softmax(n, net_reshape(n, w, 2, (int64_t[]){2, out}), 1);
    w = net_reshape(n, w, 3, (int64_t[]){2 * out, 1, 1});
    a = net_mul(n, a, net_slice(n, w, 0, out));
    b = net_mul(n, b, net_slice(n, w, out, out));
    net_leave(n);
    return net_add(n, a, b);
}

static net_val block(struct zoo_enc *e, net_val x, struct zoo_step b)
{
    const struct spec *s = e->row->spec;
    int out = s->basic ? b.planes : b.planes * 4, mid = b.planes * s->width / 64 * s->groups;
    struct net_conv spatial = {.k = 3, .stride = b.stride, .groups = s->groups}, point = {.k = 1},
                    keep = {.k = 3, .pad = 1};
    net_val y;
    if (s->basic) {
        y = selective_kernel(e, "conv1", x, b.planes, spatial);
        y = zoo_cb(e, "conv2.conv", "conv2.bn", y, out, keep);
    } else {
        y = zoo_cba(e, "conv1.conv", "conv1.bn", x, mid, point);
        y = selective_kernel(e, "conv2", y, mid, spatial);
        y = zoo_cb(e, "conv3.conv", "conv3.bn", y, out, point);
    }
    return e->act(e->n, net_add(e->n, y, zoo_shortcut(e, x, out, b.stride)));
}

static void build(struct zoo_enc *e, net_val x)
{
    const struct spec *s = e->row->spec;
    zoo_layers(e, zoo_resnet_stem(e, x), s->layers, block);
}

/* clang-format off */
#define ROW(...) .spec = &(const struct spec){__VA_ARGS__}
static const struct zoo_backbone rows[] = {
    {"skresnet18",        ROW({2, 2, 2, 2}, .basic = true, .groups =  1, .width = 64, .reduction =  8)},
    {"skresnet34",        ROW({3, 4, 6, 3}, .basic = true, .groups =  1, .width = 64, .reduction =  8)},
    {"skresnext50_32x4d", ROW({3, 4, 6, 3},                .groups = 32, .width =  4, .reduction = 16)},
};
/* clang-format on */

const struct zoo_family zoo_sknet = {
    .name = "sknet",
    .source = "arXiv:1903.06586; timm",
    .build = build,
    .rows = rows,
    .n_rows = LEN(rows),
    .heads = {"fc."},
    .prefix = "timm-",
    .dilation = ZOO_DILATE_NATIVE,
    .init = NET_INIT_KAIMING_FAN_OUT,
};
