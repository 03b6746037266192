/* FPN: a top-down pyramid of the four deepest features; each level is convolved up to the finest, then merged. */
#include "decoders.h"

enum { GROUPS = 32 };

static net_val lateral(struct net *n, const char *name, net_val x, int out)
{
    return net_conv2d(n, name, x, out, (struct net_conv){.k = 1, .bias = true});
}

/* 3x3, group norm, ReLU, as many as upsamplings but at least one, each but the lone one followed by doubling. */
static net_val refine(struct net *n, net_val x, int out, int ups)
{
    for (int i = 0; i < (ups ? ups : 1); i++) {
        net_enter(n, "block.%d.block", i);
        x = net_conv2d(n, "0", x, out, (struct net_conv){.k = 3, .pad = 1});
        x = net_relu(n, net_group_norm(n, "1", x, (struct net_norm){.groups = GROUPS}));
        if (ups) x = net_upsample_bilinear(n, x, 2 * net_h(n, x), 2 * net_w(n, x), true);
        net_leave(n);
    }
    return x;
}

static net_val build(struct net *n, const struct zoo_features *f, const struct zoo_model *m)
{
    net_val level[4], x = lateral(n, "p5", f->tap[f->n - 1], m->channels[0]);
    level[0] = x;
    for (int i = 1; i < 4; i++) {
        x = zoo_resize(n, x, 2 * net_h(n, x), 2 * net_w(n, x), m->interpolation);
        net_enter(n, "p%d", 5 - i);
        x = net_add(n, x, lateral(n, "skip_conv", f->tap[f->n - 1 - i], m->channels[0]));
        net_leave(n);
        level[i] = x;
    }
    for (int i = 0; i < 4; i++) {
        net_enter(n, "seg_blocks.%d", i);
        level[i] = refine(n, level[i], m->channels[1], 3 - i);
        net_leave(n);
    }
    if (strcmp(m->merge, "cat") == 0) {
        x = net_concat(n, level, 4);
    } else {
        x = level[0];
        for (int i = 1; i < 4; i++) x = net_add(n, x, level[i]);
    }
    return net_dropout2d(n, x, m->dropout);
}

const struct zoo_decoder zoo_fpn = {
    .name = "fpn",
    .source = "arXiv:1612.03144, presentations.cocodataset.org/COCO17-Stuff-FAIR.pdf",
    .build = build,
    .depth = 5,
    .head_kernel = 1,
    .n_channels = 2,
    .channels = {256, 128},
    .channels_step = GROUPS,
    .strides = 32,
    .output_stride = 32,
    .interpolation = "nearest",
    .merge = "add",
    .dropout = 0.2,
    .init = NET_INIT_DECODER,
    .head_init = NET_INIT_XAVIER,
};
