/*
 * SENet, SE-ResNet, SE-ResNeXt: bottlenecks with squeeze-excite before the sum. As in Caffe, SE-ResNet strides in the
 * first 1x1 and the stem's pool pads nothing but rounds up.
 */
#include "backbones.h"

enum kind { SE_RESNET, SE_RESNEXT, SENET154 };
struct spec {
    int layers[4];
    enum kind kind;
};

static net_val block(struct zoo_enc *e, net_val x, struct zoo_step b)
{
    const struct spec *s = e->row->spec;
    /* clang-format off */
    static const struct { int mid1, mid2, groups, shortcut; } of[] = { /* widths in halves of the planes */
        [SE_RESNET]  = {2, 2,  1, 1},
        [SE_RESNEXT] = {4, 4, 32, 1},
        [SENET154]   = {4, 8, 64, 3},
    };
    /* clang-format on */
    int mid1 = b.planes * of[s->kind].mid1 / 2, mid2 = b.planes * of[s->kind].mid2 / 2, out = b.planes * 4;
    bool early = s->kind == SE_RESNET;
    struct net_conv first = {.k = 1, .stride = early ? b.stride : 1}, point = {.k = 1};
    struct net_conv spatial = {.k = 3, .pad = 1, .stride = early ? 1 : b.stride, .groups = of[s->kind].groups};

    net_val y = zoo_cba(e, "conv1", "bn1", x, mid1, first);
    y = zoo_cba(e, "conv2", "bn2", y, mid2, spatial);
    y = zoo_cb(e, "conv3", "bn3", y, out, point);
    y = zoo_squeeze_excite(e, y, (struct zoo_se){"se_module.fc1", "se_module.fc2", out / 16, NULL, NULL});
    if (b.stride > 1 || net_c(e->n, x) != out) {
        int k = b.stride > 1 ? of[s->kind].shortcut : 1;
        struct net_conv o = {.k = k, .stride = b.stride, .pad = k / 2};
        x = zoo_cb(e, "downsample.0", "downsample.1", x, out, o);
    }
    return e->act(e->n, net_add(e->n, y, x));
}

static void build(struct zoo_enc *e, net_val x)
{
    const struct spec *s = e->row->spec;
    struct net_conv wide = {.k = 7, .stride = 2, .pad = 3}, halve = {.k = 3, .stride = 2, .pad = 1},
                    keep = {.k = 3, .pad = 1};
    net_enter(e->n, "layer0");
    if (s->kind == SENET154) {
        x = zoo_cba(e, "conv1", "bn1", x, 64, halve);
        x = zoo_cba(e, "conv2", "bn2", x, 64, keep);
        x = zoo_cba(e, "conv3", "bn3", x, 128, keep);
    } else {
        x = zoo_cba(e, "conv1", "bn1", x, 64, wide);
    }
    net_leave(e->n);
    zoo_tap(e, x);
    x = net_max_pool(e->n, x, (struct net_pool){.k = 3, .stride = 2, .ceil = true});
    zoo_layers(e, x, s->layers, block);
}

/* clang-format off */
#define ROW(...) .spec = &(const struct spec){__VA_ARGS__}
static const struct zoo_backbone rows[] = {
    {"se_resnet50",          ROW({3, 4,  6, 3}, SE_RESNET)},
    {"se_resnet101",         ROW({3, 4, 23, 3}, SE_RESNET)},
    {"se_resnet152",         ROW({3, 8, 36, 3}, SE_RESNET)},
    {"se_resnext50_32x4d",   ROW({3, 4,  6, 3}, SE_RESNEXT)},
    {"se_resnext101_32x4d",  ROW({3, 4, 23, 3}, SE_RESNEXT)},
    {"senet154",             ROW({3, 8, 36, 3}, SENET154)},
};
/* clang-format on */

const struct zoo_family zoo_senet = {
    .name = "senet",
    .source = "arXiv:1709.01507; Cadene pretrainedmodels",
    .build = build,
    .rows = rows,
    .n_rows = LEN(rows),
    .heads = {"last_linear."},
    .dilation = ZOO_DILATE_NATIVE,
};
