/* PAN: a pyramid of one-channel convolutions weighs the deepest feature (FPA); global attention joins each skip (GAU).
 */
#include "decoders.h"

static net_val conv_bn(struct net *n, const char *scope, net_val x, int out, int k)
{
    net_enter(n, "%s", scope);
    x = net_conv2d(n, "conv", x, out, (struct net_conv){.k = k, .pad = k / 2, .bias = true});
    x = net_batch_norm(n, "bn", x, (struct net_norm){0});
    net_leave(n);
    return x;
}

static net_val conv_bn_relu(struct net *n, const char *scope, net_val x, int out, int k)
{
    return net_relu(n, conv_bn(n, scope, x, out, k));
}

static net_val grow(struct net *n, net_val x, int h, int w)
{
    return net_upsample_bilinear(n, x, h, w, true);
}

static net_val halve(struct net *n, net_val x)
{
    return net_max_pool(n, x, (struct net_pool){.k = 2});
}

static net_val pyramid_attention(struct net *n, net_val x, int out)
{
    int h = net_h(n, x), w = net_w(n, x);
    net_enter(n, "fpa");
    net_val whole = conv_bn_relu(n, "branch1.1", net_adaptive_avg_pool(n, x, 1, 1), out, 1);
    net_val mid = conv_bn_relu(n, "mid.0", x, out, 1);
    net_val half = conv_bn_relu(n, "down1.1", halve(n, x), 1, 7);
    net_val quarter = conv_bn_relu(n, "down2.1", halve(n, half), 1, 5);
    net_val eighth = conv_bn_relu(n, "down3.1", halve(n, quarter), 1, 3);
    net_val y = grow(n, conv_bn_relu(n, "down3.2", eighth, 1, 3), h / 4, w / 4);
    y = grow(n, net_add(n, conv_bn_relu(n, "conv2", quarter, 1, 5), y), h / 2, w / 2);
    y = grow(n, net_add(n, y, conv_bn_relu(n, "conv1", half, 1, 7)), h, w);
    y = net_add(n, net_mul(n, y, mid), grow(n, whole, h, w));
    net_leave(n);
    return y;
}

static net_val build(struct net *n, const struct zoo_features *f, const struct zoo_model *m)
{
    int out = m->channels[0];
    net_val y = pyramid_attention(n, f->tap[f->n - 1], out);
    for (int i = f->n - 2; i >= 2; i--) {
        net_val skip = f->tap[i];
        net_enter(n, "gau%d", i - 1);
        net_val gate = net_sigmoid(n, conv_bn(n, "conv1.1", net_adaptive_avg_pool(n, y, 1, 1), out, 1));
        net_val x = net_mul(n, conv_bn_relu(n, "conv2", skip, out, 3), gate);
        y = net_add(n, grow(n, y, net_h(n, skip), net_w(n, skip)), x);
        net_leave(n);
    }
    return y;
}

const struct zoo_decoder zoo_pan = {
    .name = "pan",
    .source = "arXiv:1805.10180",
    .build = build,
    .depth = 5,
    .head_kernel = 3,
    .n_channels = 1,
    .channels = {32},
    .strides = 16 | 32,
    .output_stride = 16,
    .min_map = 8,
    .init = NET_INIT_DECODER,
    .head_init = NET_INIT_XAVIER,
};
