/*
 * U-Net++: a triangle of U-Net blocks. Block x_D_L looks at x_D_(L-1) and joins every deeper block of column L and the
 * encoder's skip; row 0 makes the output, the others refine skips and keep their widths.
 */
#include "decoders.h"

static net_val block(struct net *n, net_val x, net_val skip, int d, int l, int out, const struct zoo_model *m)
{
    net_enter(n, "blocks.x_%d_%d", d, l);
    x = zoo_resize(n, x, 2 * net_h(n, x), 2 * net_w(n, x), m->interpolation);
    x = zoo_unet_block(n, x, skip, out, m);
    net_leave(n);
    return x;
}

static net_val build(struct net *n, const struct zoo_features *f, const struct zoo_model *m)
{
    int last = f->n - 2;                                          /* the column without a skip */
    net_val grid[ZOO_MAX_TAPS][ZOO_MAX_TAPS], deep[ZOO_MAX_TAPS]; /* deep[i]: features, deepest first */
    for (int i = 0; i <= last; i++) deep[i] = f->tap[f->n - 1 - i];
    if (f->pooled_end) {
        int c = net_c(n, deep[0]);
        zoo_conv_bn_relu(n, "center.1", zoo_conv_bn_relu(n, "center.0", deep[0], c, 3), c, 3);
    }
    for (int l = 0; l < last; l++) {
        for (int d = l; d >= 0; d--) {
            net_val join[ZOO_MAX_TAPS], x = d == l ? deep[d] : grid[d][l - 1];
            int n_join = 0;
            for (int i = d + 1; i <= l; i++) join[n_join++] = grid[i][l];
            join[n_join++] = deep[l + 1];
            net_val skip = n_join > 1 ? net_concat(n, join, n_join) : join[0];
            grid[d][l] = block(n, x, skip, d, l, d == 0 ? m->channels[l] : net_c(n, deep[l + 1]), m);
        }
    }
    return block(n, grid[0][last - 1], NET_NONE, 0, last, m->channels[last], m);
}

const struct zoo_decoder zoo_unetplusplus = {
    .name = "unetplusplus",
    .source = "arXiv:1807.10165",
    .build = build,
    .depth = 5,
    .head_kernel = 3,
    .n_channels = 5,
    .channels = {256, 128, 64, 32, 16},
    .strides = 32,
    .output_stride = 32,
    .interpolation = "nearest",
    .attention = true,
    .init = NET_INIT_DECODER,
    .head_init = NET_INIT_XAVIER,
    .unused =
        {"decoder.center.*", "decoder.blocks.*.attention1.*",
         "stored by the reference and never run: the center block, and the first attention where no skip is joined"},
};
