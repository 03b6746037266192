/* The parts that decoders share. */
#include "decoders.h"

net_val zoo_conv_bn_relu(struct net *n, const char *scope, net_val x, int out, int k)
{
    net_enter(n, "%s", scope);
    x = net_conv2d(n, "0", x, out, (struct net_conv){.k = k, .pad = k / 2});
    x = net_relu(n, net_batch_norm(n, "1", x, (struct net_norm){0}));
    net_leave(n);
    return x;
}

net_val zoo_resize(struct net *n, net_val x, int h, int w, const char *interpolation)
{
    if (strcmp(interpolation, "bilinear") == 0) return net_upsample_bilinear(n, x, h, w, false);
    return net_upsample_nearest(n, x, h, w);
}

/* Spatial and channel squeeze-and-excitation, added. */
static net_val scse(struct net *n, const char *scope, net_val x)
{
    int c = net_c(n, x);
    net_enter(n, "%s.attention", scope);
    net_val channel = net_adaptive_avg_pool(n, x, 1, 1);
    channel = net_relu(n, net_conv2d(n, "cSE.1", channel, c / 16, (struct net_conv){.k = 1, .bias = true}));
    channel = net_sigmoid(n, net_conv2d(n, "cSE.3", channel, c, (struct net_conv){.k = 1, .bias = true}));
    net_val spatial = net_sigmoid(n, net_conv2d(n, "sSE.0", x, 1, (struct net_conv){.k = 1, .bias = true}));
    net_leave(n);
    return net_add(n, net_mul(n, x, channel), net_mul(n, x, spatial));
}

net_val zoo_unet_block(struct net *n, net_val x, net_val skip, int out, const struct zoo_model *m)
{
    if (skip != NET_NONE) x = net_concat(n, (net_val[]){x, skip}, 2);
    if (m->attention) {
        net_val gated = scse(n, "attention1", x);
        if (skip != NET_NONE) x = gated; /* else stored only, as in the reference */
    }
    x = zoo_conv_bn_relu(n, "conv1", x, out, 3);
    x = zoo_conv_bn_relu(n, "conv2", x, out, 3);
    return m->attention ? scse(n, "attention2", x) : x;
}
