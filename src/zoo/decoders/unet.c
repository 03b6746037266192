/* U-Net: resize to the skip's size, join it, two convolutions. After a backbone that ends in a pool, a center block. */
#include "decoders.h"

static net_val build(struct net *n, const struct zoo_features *f, const struct zoo_model *m)
{
    net_val x = f->tap[f->n - 1];
    if (f->pooled_end) {
        int c = net_c(n, x);
        x = zoo_conv_bn_relu(n, "center.0", x, c, 3);
        x = zoo_conv_bn_relu(n, "center.1", x, c, 3);
    }
    for (int b = 0; b < f->n - 1; b++) {
        net_val to = f->tap[f->n - 2 - b];
        net_val skip = b < f->n - 2 ? to : NET_NONE; /* the feature at stride 1 is not joined */
        net_enter(n, "blocks.%d", b);
        x = zoo_resize(n, x, net_h(n, to), net_w(n, to), m->interpolation);
        x = zoo_unet_block(n, x, skip, m->channels[b], m);
        net_leave(n);
    }
    return x;
}

const struct zoo_decoder zoo_unet = {
    .name = "unet",
    .source = "arXiv:1505.04597",
    .build = build,
    .depth = 5,
    .head_kernel = 3,
    .n_channels = 5,
    .channels = {256, 128, 64, 32, 16},
    .strides = 32,
    .output_stride = 32,
    .any_size = true,
    .interpolation = "nearest",
    .attention = true,
    .init = NET_INIT_DECODER,
    .head_init = NET_INIT_XAVIER,
    .unused = {"decoder.blocks.*.attention1.*", NULL,
               "the last block joins no skip, so its first attention never runs"},
};
