/*
 * MA-Net: position attention on the deepest feature, then blocks that gate by both the skip and the coming feature.
 * Two oddities of the reference are kept, for its weights depend on them: the attention map is a softmax over all pairs
 * of positions at once, and its product is reshaped to [N,C,H,W] without transposing back from [N,HW,C].
 */
#include "decoders.h"

enum { PAB_CHANNELS = 64, REDUCTION = 16 };

static net_val conv(struct net *n, const char *name, net_val x, int out, int k)
{
    return net_conv2d(n, name, x, out, (struct net_conv){.k = k, .pad = k / 2, .bias = true});
}

static net_val position_attention(struct net *n, net_val x)
{
    int c = net_c(n, x), h = net_h(n, x), w = net_w(n, x), hw = h * w;
    net_enter(n, "center");
    net_val q = conv(n, "top_conv", x, PAB_CHANNELS, 1);
    net_val k = conv(n, "center_conv", x, PAB_CHANNELS, 1);
    net_val v = conv(n, "bottom_conv", x, c, 3);
    q = net_reshape(n, q, 2, (int64_t[]){PAB_CHANNELS, hw});
    k = net_transpose(n, net_reshape(n, k, 2, (int64_t[]){PAB_CHANNELS, hw}), 1, 2);
    v = net_transpose(n, net_reshape(n, v, 2, (int64_t[]){c, hw}), 1, 2);
    net_val map = net_reshape(n, net_matmul(n, k, q), 1, (int64_t[]){-1});
    map = net_reshape(n, net_softmax(n, map, 1), 2, (int64_t[]){hw, hw});
    x = net_add(n, x, net_reshape(n, net_matmul(n, map, v), 3, (int64_t[]){c, h, w}));
    x = conv(n, "out_conv", x, c, 3);
    net_leave(n);
    return x;
}

static net_val gate(struct net *n, const char *scope, net_val x)
{
    int c = net_c(n, x), mid = c / REDUCTION > 1 ? c / REDUCTION : 1;
    net_enter(n, "%s", scope);
    net_val g = net_relu(n, conv(n, "1", net_adaptive_avg_pool(n, x, 1, 1), mid, 1));
    g = net_sigmoid(n, conv(n, "3", g, c, 1));
    net_leave(n);
    return g;
}

static net_val build(struct net *n, const struct zoo_features *f, const struct zoo_model *m)
{
    net_val x = position_attention(n, f->tap[f->n - 1]);
    for (int b = 0; b < f->n - 1; b++) {
        net_val skip = b < f->n - 2 ? f->tap[f->n - 2 - b] : NET_NONE;
        net_enter(n, "blocks.%d", b);
        if (skip != NET_NONE) {
            x = zoo_conv_bn_relu(n, "hl_conv.0", x, net_c(n, x), 3);
            x = zoo_conv_bn_relu(n, "hl_conv.1", x, net_c(n, skip), 1);
        }
        x = zoo_resize(n, x, 2 * net_h(n, x), 2 * net_w(n, x), m->interpolation);
        if (skip != NET_NONE) {
            x = net_mul(n, x, net_add(n, gate(n, "SE_hl", x), gate(n, "SE_ll", skip)));
            x = net_concat(n, (net_val[]){x, skip}, 2);
        }
        x = zoo_conv_bn_relu(n, "conv1", x, m->channels[b], 3);
        x = zoo_conv_bn_relu(n, "conv2", x, m->channels[b], 3);
        net_leave(n);
    }
    return x;
}

const struct zoo_decoder zoo_manet = {
    .name = "manet",
    .source = "doi:10.1109/ACCESS.2020.3025372",
    .build = build,
    .depth = 5,
    .head_kernel = 3,
    .n_channels = 5,
    .channels = {256, 128, 64, 32, 16},
    .strides = 32,
    .output_stride = 32,
    .interpolation = "nearest",
    .init = NET_INIT_DECODER,
    .head_init = NET_INIT_XAVIER,
};
