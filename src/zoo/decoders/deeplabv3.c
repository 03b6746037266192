/* DeepLabV3 and V3+: parallel dilated convolutions (ASPP) on a dilated encoder's deepest feature. */
#include "decoders.h"

static net_val norm_relu(struct net *n, const char *bn, net_val x)
{
    return net_relu(n, net_batch_norm(n, bn, x, (struct net_norm){0}));
}

/* 3x3 that keeps the size; separable: depthwise and pointwise with nothing between, under NAME.0 and NAME.1. */
static net_val conv3x3(struct net *n, const char *name, net_val x, int out, int dil, bool separable)
{
    struct net_conv o = {.k = 3, .pad = dil, .dil = dil, .groups = separable ? net_c(n, x) : 1};
    if (!separable) return net_conv2d(n, name, x, out, o);
    net_enter(n, "%s", name);
    x = net_conv2d(n, "0", x, net_c(n, x), o);
    x = net_conv2d(n, "1", x, out, (struct net_conv){.k = 1});
    net_leave(n);
    return x;
}

static net_val aspp(struct net *n, const char *scope, net_val x, bool separable, const struct zoo_model *m)
{
    static const int rates[] = {12, 24, 36};
    int out = m->channels[0], h = net_h(n, x), w = net_w(n, x);
    net_val part[5];
    net_enter(n, "%s", scope);
    part[0] = zoo_conv_bn_relu(n, "convs.0", x, out, 1);
    for (int i = 0; i < 3; i++) {
        net_enter(n, "convs.%d", i + 1);
        part[i + 1] = norm_relu(n, "1", conv3x3(n, "0", x, out, rates[i], separable));
        net_leave(n);
    }
    net_val p = net_conv2d(n, "convs.4.1", net_adaptive_avg_pool(n, x, 1, 1), out, (struct net_conv){.k = 1});
    part[4] = net_upsample_bilinear(n, norm_relu(n, "convs.4.2", p), h, w, false);
    x = zoo_conv_bn_relu(n, "project", net_concat(n, part, 5), out, 1);
    net_leave(n);
    return net_dropout(n, x, m->dropout);
}

static net_val build(struct net *n, const struct zoo_features *f, const struct zoo_model *m)
{
    net_val x = aspp(n, "aspp", f->tap[f->n - 1], false, m);
    return norm_relu(n, "bn", conv3x3(n, "conv", x, m->channels[0], 1, false));
}

static net_val build_plus(struct net *n, const struct zoo_features *f, const struct zoo_model *m)
{
    enum { FINE_CHANNELS = 48 };
    net_val fine = f->tap[2], x = aspp(n, "aspp.0", f->tap[f->n - 1], true, m);
    x = norm_relu(n, "aspp.2", conv3x3(n, "aspp.1", x, m->channels[0], 1, true));
    x = net_upsample_bilinear(n, x, net_h(n, fine), net_w(n, fine), true);
    net_val part[2] = {x, zoo_conv_bn_relu(n, "block1", fine, FINE_CHANNELS, 1)};
    return norm_relu(n, "block2.1", conv3x3(n, "block2.0", net_concat(n, part, 2), m->channels[0], 1, true));
}

const struct zoo_decoder zoo_deeplabv3 = {
    .name = "deeplabv3",
    .source = "arXiv:1706.05587",
    .build = build,
    .depth = 5,
    .head_kernel = 1,
    .n_channels = 1,
    .channels = {256},
    .strides = 8 | 16,
    .output_stride = 8,
    .dropout = 0.5,
};

const struct zoo_decoder zoo_deeplabv3plus = {
    .name = "deeplabv3plus",
    .source = "arXiv:1802.02611",
    .build = build_plus,
    .depth = 5,
    .head_kernel = 1,
    .n_channels = 1,
    .channels = {256},
    .strides = 8 | 16,
    .output_stride = 16,
    .dropout = 0.5,
};
