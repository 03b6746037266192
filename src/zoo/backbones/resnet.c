/* ResNet and ResNeXt: 7x7 stem, max pool, four layers of basic or bottleneck blocks; stride on the 3x3. */
#include "backbones.h"

struct spec {
    int layers[4];
    bool basic;
    int groups, width; /* bottleneck: groups of the 3x3 and channels of each at 64 planes; 0: 1 and 64 */
};

static net_val block(struct zoo_enc *e, net_val x, struct zoo_step b)
{
    const struct spec *s = e->row->spec;
    int out = s->basic ? b.planes : b.planes * 4;
    int groups = s->groups ? s->groups : 1, mid = b.planes * (s->width ? s->width : 64) / 64 * groups;
    struct net_conv point = {.k = 1}, second = {.k = 3, .pad = 1};
    struct net_conv spatial = {.k = 3, .stride = b.stride, .pad = 1, .groups = groups};

    net_val y;
    if (s->basic) {
        y = zoo_cba(e, "conv1", "bn1", x, b.planes, spatial);
        y = zoo_cb(e, "conv2", "bn2", y, out, second);
    } else {
        y = zoo_cba(e, "conv1", "bn1", x, mid, point);
        y = zoo_cba(e, "conv2", "bn2", y, mid, spatial);
        y = zoo_cb(e, "conv3", "bn3", y, out, point);
    }
    return e->act(e->n, net_add(e->n, y, zoo_shortcut(e, x, out, b.stride)));
}

static void build(struct zoo_enc *e, net_val x)
{
    const struct spec *s = e->row->spec;
    zoo_layers(e, zoo_resnet_stem(e, x), s->layers, block);
}

/* clang-format off */
#define ROW(...) .spec = &(const struct spec){__VA_ARGS__}
static const struct zoo_backbone rows[] = {
    {"resnet18",          ROW(.layers = {2, 2,  2, 2}, .basic = true)},
    {"resnet34",          ROW(.layers = {3, 4,  6, 3}, .basic = true)},
    {"resnet50",          ROW(.layers = {3, 4,  6, 3})},
    {"resnet101",         ROW(.layers = {3, 4, 23, 3})},
    {"resnet152",         ROW(.layers = {3, 8, 36, 3})},
    {"resnext50_32x4d",   ROW(.layers = {3, 4,  6, 3}, .groups = 32, .width = 4)},
    {"resnext101_32x4d",  ROW(.layers = {3, 4, 23, 3}, .groups = 32, .width = 4), .tag = "swsl"},
    {"resnext101_32x8d",  ROW(.layers = {3, 4, 23, 3}, .groups = 32, .width = 8)},
    {"resnext101_32x16d", ROW(.layers = {3, 4, 23, 3}, .groups = 32, .width = 16), .tag = "instagram"},
    {"resnext101_32x32d", ROW(.layers = {3, 4, 23, 3}, .groups = 32, .width = 32), .tag = "instagram"},
    {"resnext101_32x48d", ROW(.layers = {3, 4, 23, 3}, .groups = 32, .width = 48), .tag = "instagram"},
};
/* clang-format on */

const struct zoo_family zoo_resnet = {
    .name = "resnet",
    .source = "arXiv:1512.03385, arXiv:1611.05431; torchvision",
    .build = build,
    .rows = rows,
    .n_rows = LEN(rows),
    .heads = {"fc."},
    .dilation = ZOO_DILATE_NATIVE,
    .init = NET_INIT_KAIMING_FAN_OUT,
};
