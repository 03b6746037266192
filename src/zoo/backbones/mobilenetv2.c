/* MobileNetV2: inverted residuals with ReLU6 and linear ends. The deepest tap includes the widening 1x1. */
#include "backbones.h"

/* clang-format off */
static const struct {
    int expand, out, n, stride;
} stages[] = {
    {1,  16, 1, 1},
    {6,  24, 2, 2},
    {6,  32, 3, 2},
    {6,  64, 4, 2},
    {6,  96, 3, 1},
    {6, 160, 3, 2},
    {6, 320, 1, 1},
};
/* clang-format on */
enum { LAST = 1280 };

static net_val block(struct zoo_enc *e, net_val x, int expand, int out, int stride)
{
    int in = net_c(e->n, x), mid = in * expand;
    struct net_conv point = {.k = 1}, spatial = {.k = 3, .stride = stride, .pad = 1, .groups = mid};
    net_val y = x;
    if (expand > 1) {
        y = zoo_cba(e, "conv.0.0", "conv.0.1", y, mid, point);
        y = zoo_cba(e, "conv.1.0", "conv.1.1", y, mid, spatial);
        y = zoo_cb(e, "conv.2", "conv.3", y, out, point);
    } else {
        y = zoo_cba(e, "conv.0.0", "conv.0.1", y, mid, spatial);
        y = zoo_cb(e, "conv.1", "conv.2", y, out, point);
    }
    return stride == 1 && in == out ? net_add(e->n, x, y) : y;
}

static void build(struct zoo_enc *e, net_val x)
{
    int index = 1;
    net_enter(e->n, "features");
    x = zoo_cba(e, "0.0", "0.1", x, 32, (struct net_conv){.k = 3, .stride = 2, .pad = 1});
    for (size_t i = 0; i < LEN(stages); i++) {
        if (stages[i].stride == 2) {
            zoo_tap(e, x);
            zoo_next_level(e);
        }
        for (int b = 0; b < stages[i].n; b++) {
            net_enter(e->n, "%d", index++);
            x = block(e, x, stages[i].expand, stages[i].out, b ? 1 : stages[i].stride);
            net_leave(e->n);
        }
    }
    net_enter(e->n, "%d", index);
    x = zoo_cba(e, "0", "1", x, LAST, (struct net_conv){.k = 1});
    net_leave(e->n);
    net_leave(e->n);
    zoo_tap(e, x);
}

static const struct zoo_backbone rows[] = {{.name = "mobilenet_v2"}};

const struct zoo_family zoo_mobilenetv2 = {
    .name = "mobilenetv2",
    .source = "arXiv:1801.04381; torchvision",
    .build = build,
    .rows = rows,
    .n_rows = LEN(rows),
    .heads = {"classifier."},
    .dilation = ZOO_DILATE_NATIVE,
    .runs_past = 1,
    .init = NET_INIT_KAIMING_FAN_OUT,
    .act = net_relu6,
};
