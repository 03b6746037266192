/* Xception: separable convolutions in residual blocks, max pools at the ends of the strided ones. */
#include "backbones.h"

static net_val separable(struct zoo_enc *e, const char *scope, net_val x, int out)
{
    net_enter(e->n, "%s", scope);
    x = zoo_conv(e, "conv1", x, net_c(e->n, x), (struct net_conv){.k = 3, .pad = 1, .groups = net_c(e->n, x)});
    x = zoo_conv(e, "pointwise", x, out, (struct net_conv){.k = 1});
    net_leave(e->n);
    return x;
}

struct block {
    int out, reps, stride;
    bool bare;      /* starts without a ReLU */
    bool grow_last; /* widens in the last of its convolutions, not in the first */
};

static net_val block(struct zoo_enc *e, net_val x, struct block b)
{
    struct net *n = e->n;
    net_val y = x, skip = x;
    int in = net_c(n, x), at = 0;
    for (int i = 0; i < b.reps; i++) {
        if (i > 0 || !b.bare) {
            y = net_relu(n, y);
            at++;
        }
        int out = b.grow_last && i < b.reps - 1 ? in : b.out;
        y = separable(e, zoo_name("rep.%d", at).s, y, out);
        y = zoo_bn(e, zoo_name("rep.%d", at + 1).s, y);
        at += 2;
    }
    if (b.stride > 1) y = net_max_pool(n, y, (struct net_pool){.k = 3, .stride = b.stride, .pad = 1});
    if (b.stride > 1 || b.out != in)
        skip = zoo_cb(e, "skip", "skipbn", x, b.out, (struct net_conv){.k = 1, .stride = b.stride});
    return net_add(n, y, skip);
}

static void build(struct zoo_enc *e, net_val x)
{
    x = zoo_cba(e, "conv1", "bn1", x, 32, (struct net_conv){.k = 3, .stride = 2, .pad = 1});
    x = zoo_cba(e, "conv2", "bn2", x, 64, (struct net_conv){.k = 3, .pad = 1});
    zoo_tap(e, x);
    for (int i = 1; i <= 12; i++) {
        struct block b = {.out = 728, .reps = 3, .stride = 1};
        if (i <= 3) b = (struct block){.out = i == 3 ? 728 : 64 << i, .reps = 2, .stride = 2, .bare = i == 1};
        if (i == 12) b = (struct block){.out = 1024, .reps = 2, .stride = 2, .grow_last = true};
        net_enter(e->n, "block%d", i);
        x = block(e, x, b);
        net_leave(e->n);
        if (i == 1 || i == 2 || i == 11) zoo_tap(e, x);
    }
    x = net_relu(e->n, zoo_bn(e, "bn3", separable(e, "conv3", x, 1536)));
    zoo_tap(e, zoo_bn(e, "bn4", separable(e, "conv4", x, 2048)));
}

static const struct zoo_backbone rows[] = {{.name = "xception"}};

const struct zoo_family zoo_xception = {
    .name = "xception",
    .source = "arXiv:1610.02357; Cadene pretrainedmodels",
    .build = build,
    .rows = rows,
    .n_rows = LEN(rows),
    .heads = {"fc.", "last_linear."},
    .no_dilation = "max pools at the ends of its stages",
    .mean = {0.5f, 0.5f, 0.5f},
    .std = {0.5f, 0.5f, 0.5f},
};
