/* LinkNet: narrow, double by a transposed convolution, widen to the skip's channels, add the skip. */
#include "decoders.h"

static net_val build(struct net *n, const struct zoo_features *f, const struct zoo_model *m)
{
    net_val x = f->tap[f->n - 1];
    for (int b = 0; b < f->n - 1; b++) {
        net_val skip = b < f->n - 2 ? f->tap[f->n - 2 - b] : NET_NONE;
        int mid = net_c(n, x) / 4;
        net_enter(n, "blocks.%d.block", b);
        x = zoo_conv_bn_relu(n, "0", x, mid, 1);
        x = net_conv_transpose2d(n, "1.0", x, mid, (struct net_conv){.k = 4, .stride = 2, .pad = 1, .bias = true});
        x = net_relu(n, net_batch_norm(n, "1.1", x, (struct net_norm){0}));
        x = zoo_conv_bn_relu(n, "2", x, skip == NET_NONE ? m->channels[0] : net_c(n, skip), 1);
        if (skip != NET_NONE) x = net_add(n, x, skip);
        net_leave(n);
    }
    return x;
}

const struct zoo_decoder zoo_linknet = {
    .name = "linknet",
    .source = "arXiv:1707.03718",
    .build = build,
    .depth = 5,
    .head_kernel = 1,
    .n_channels = 1,
    .channels = {32},
    .strides = 32,
    .output_stride = 32,
    .init = NET_INIT_DECODER,
    .head_init = NET_INIT_XAVIER,
};
