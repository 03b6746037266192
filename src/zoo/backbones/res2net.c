/*
 * Res2Net and Res2NeXt: the 3x3 is cut into slices, each adding the output of the one before; a layer's first block
 * does not chain, and pools its last slice (the padding counts).
 */
#include "backbones.h"

struct spec {
    int layers[4];
    int width, scale, groups;
};

static net_val block(struct zoo_enc *e, net_val x, struct zoo_step b)
{
    const struct spec *s = e->row->spec;
    struct net *n = e->n;
    int width = b.planes * s->width / 64 * s->groups, out = b.planes * 4;
    struct net_conv point = {.k = 1};
    struct net_conv spatial = {.k = 3, .stride = b.stride, .pad = b.dil, .dil = b.dil, .groups = s->groups};
    net_val part[8], y = zoo_cba(e, "conv1", "bn1", x, width * s->scale, point);
    for (int i = 0; i < s->scale; i++) {
        net_val in = net_slice(n, y, i * width, width);
        if (i < s->scale - 1) {
            if (i > 0 && !b.first) in = net_add(n, part[i - 1], in);
            part[i] = zoo_cba(e, zoo_name("convs.%d", i).s, zoo_name("bns.%d", i).s, in, width, spatial);
        } else {
            struct net_pool pool = {.k = 3, .stride = b.stride, .pad = 1, .count_pad = true};
            part[i] = b.first ? net_avg_pool(n, in, pool) : in;
        }
    }
    y = zoo_bn_zero(e, "bn3", zoo_conv(e, "conv3", net_concat(n, part, s->scale), out, point));
    return e->act(n, net_add(n, y, zoo_shortcut(e, x, out, b.stride)));
}

static void build(struct zoo_enc *e, net_val x)
{
    const struct spec *s = e->row->spec;
    zoo_layers(e, zoo_resnet_stem(e, x), s->layers, block);
}

/* clang-format off */
#define ROW(...) .spec = &(const struct spec){__VA_ARGS__}
static const struct zoo_backbone rows[] = {
    {"res2net50_26w_4s",  ROW({3, 4,  6, 3}, .width = 26, .scale = 4, .groups = 1)},
    {"res2net50_26w_6s",  ROW({3, 4,  6, 3}, .width = 26, .scale = 6, .groups = 1)},
    {"res2net50_26w_8s",  ROW({3, 4,  6, 3}, .width = 26, .scale = 8, .groups = 1)},
    {"res2net50_14w_8s",  ROW({3, 4,  6, 3}, .width = 14, .scale = 8, .groups = 1)},
    {"res2net50_48w_2s",  ROW({3, 4,  6, 3}, .width = 48, .scale = 2, .groups = 1)},
    {"res2net101_26w_4s", ROW({3, 4, 23, 3}, .width = 26, .scale = 4, .groups = 1)},
    {"res2next50",        ROW({3, 4,  6, 3}, .width =  4, .scale = 4, .groups = 8)},
};
/* clang-format on */

const struct zoo_family zoo_res2net = {
    .name = "res2net",
    .source = "arXiv:1904.01169; timm",
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
    .init = NET_INIT_KAIMING_FAN_OUT,
};
