/* PSPNet: the deepest feature beside its averages over 1, 2, 3 and 6 cells a side. */
#include "decoders.h"

static net_val build(struct net *n, const struct zoo_features *f, const struct zoo_model *m)
{
    static const int cells[] = {1, 2, 3, 6};
    net_val x = f->tap[f->n - 1], part[LEN(cells) + 1];
    int out = net_c(n, x) / (int)LEN(cells);
    for (size_t i = 0; i < LEN(cells); i++) {
        net_enter(n, "psp.blocks.%d", (int)i);
        net_val p = net_adaptive_avg_pool(n, x, cells[i], cells[i]);
        /* One value a channel cannot be normalised: that convolution has a bias instead. */
        if (cells[i] == 1)
            p = net_relu(n, net_conv2d(n, "pool.1.0", p, out, (struct net_conv){.k = 1, .bias = true}));
        else
            p = zoo_conv_bn_relu(n, "pool.1", p, out, 1);
        part[i] = net_upsample_bilinear(n, p, net_h(n, x), net_w(n, x), true);
        net_leave(n);
    }
    part[LEN(cells)] = x;
    x = net_concat(n, part, LEN(part));
    x = zoo_conv_bn_relu(n, "conv", x, m->channels[0], 1);
    return net_dropout2d(n, x, m->dropout);
}

const struct zoo_decoder zoo_pspnet = {
    .name = "pspnet",
    .source = "arXiv:1612.01105",
    .build = build,
    .depth = 3,
    .head_kernel = 3,
    .n_channels = 1,
    .channels = {512},
    .strides = 32,
    .output_stride = 32,
    .dropout = 0.2,
    .init = NET_INIT_DECODER,
    .head_init = NET_INIT_XAVIER,
};
