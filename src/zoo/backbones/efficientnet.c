/*
 * EfficientNet b0 to b7. Strided convolutions pad as TensorFlow would at the row's nominal resolution, whatever the
 * size of the input; under output strides 8 and 16 the padding becomes symmetric.
 */
#include "backbones.h"
#include <math.h>

struct spec {
    double width, depth;
    int resolution;
    int early; /* the fourth tap lies so many blocks before its stage's end, as the reference cuts there */
};

/* clang-format off */
const struct zoo_efficientnet_stage zoo_efficientnet_stages[ZOO_EFFICIENTNET_STAGES] = {
    {1, 3, 1, 1,  16, false},
    {2, 3, 2, 6,  24, true},
    {2, 5, 2, 6,  40, true},
    {3, 3, 2, 6,  80, false},
    {3, 5, 1, 6, 112, true},
    {4, 5, 2, 6, 192, false},
    {1, 3, 1, 6, 320, true},
};
/* clang-format on */

/* k x k whose padding keeps ceil(size / stride) at the nominal size; *size follows. */
static struct net_conv padded(int k, int stride, int *size)
{
    int out = (*size + stride - 1) / stride, pad = (out - 1) * stride + k - *size;
    *size = out;
    return (struct net_conv){.k = k, .stride = stride, .pads = {pad / 2, pad / 2, pad - pad / 2, pad - pad / 2}};
}

static net_val block(struct zoo_enc *e, net_val x, int expand, int out, struct net_conv spatial, double drop)
{
    struct net *n = e->n;
    struct net_conv point = {.k = 1};
    int in = net_c(n, x), mid = in * expand;
    net_val y = expand > 1 ? zoo_cba(e, "_expand_conv", "_bn0", x, mid, point) : x;
    spatial.groups = mid;
    y = zoo_cba(e, "_depthwise_conv", "_bn1", y, mid, spatial);
    y = zoo_squeeze_excite(e, y, (struct zoo_se){"_se_reduce", "_se_expand", in / 4, net_silu, NULL});
    y = zoo_cb(e, "_project_conv", "_bn2", y, out, point);
    if (spatial.stride > 1 || in != out) return y;
    return net_add(n, drop > 0 ? net_drop_path(n, y, drop) : y, x);
}

static void build(struct zoo_enc *e, net_val x)
{
    const struct spec *s = e->row->spec;
    const struct zoo_efficientnet_stage *stages = zoo_efficientnet_stages;
    int size = s->resolution, n_blocks = 0, index = 0;
    for (int i = 0; i < ZOO_EFFICIENTNET_STAGES; i++) n_blocks += (int)ceil(stages[i].n * s->depth);
    x = zoo_cba(e, "_conv_stem", "_bn0", x, zoo_round_channels(32 * s->width, 8), padded(3, 2, &size));
    zoo_tap(e, x);
    zoo_next_level(e);
    for (int i = 0; i < ZOO_EFFICIENTNET_STAGES; i++) {
        int out = zoo_round_channels(stages[i].out * s->width, 8), n = (int)ceil(stages[i].n * s->depth);
        int last = n - 1 - (e->level == 4 ? s->early : 0);
        for (int b = 0; b < n; b++, index++) {
            struct net_conv spatial = padded(stages[i].k, b ? 1 : stages[i].stride, &size);
            net_enter(e->n, "_blocks.%d", index);
            x = block(e, x, stages[i].expand, out, spatial, 0.2 * index / n_blocks);
            net_leave(e->n);
            if (!stages[i].tap || b != last) continue;
            zoo_tap(e, x);
            if (i < ZOO_EFFICIENTNET_STAGES - 1) zoo_next_level(e);
        }
    }
    zoo_cba(e, "_conv_head", "_bn1", x, zoo_round_channels(1280 * s->width, 8), (struct net_conv){.k = 1});
}

static const struct zoo_unused unused[] = {
    {"_conv_head.", "the classifier's convolution, stored by the reference and never run"},
    {"_bn1.", "the norm of the classifier's convolution, stored by the reference and never run"},
    {NULL, NULL},
};

/* clang-format off */
#define ROW(...) .spec = &(const struct spec){__VA_ARGS__}
static const struct zoo_backbone rows[] = {
    {"efficientnet-b0", ROW(.width = 1.0, .depth = 1.0, .resolution = 224, .early = 2)},
    {"efficientnet-b1", ROW(.width = 1.0, .depth = 1.1, .resolution = 240)},
    {"efficientnet-b2", ROW(.width = 1.1, .depth = 1.2, .resolution = 260)},
    {"efficientnet-b3", ROW(.width = 1.2, .depth = 1.4, .resolution = 300)},
    {"efficientnet-b4", ROW(.width = 1.4, .depth = 1.8, .resolution = 380)},
    {"efficientnet-b5", ROW(.width = 1.6, .depth = 2.2, .resolution = 456)},
    {"efficientnet-b6", ROW(.width = 1.8, .depth = 2.6, .resolution = 528)},
    {"efficientnet-b7", ROW(.width = 2.0, .depth = 3.1, .resolution = 600)},
};
/* clang-format on */

const struct zoo_family zoo_efficientnet = {
    .name = "efficientnet",
    .source = "arXiv:1905.11946; lukemelas EfficientNet-PyTorch",
    .build = build,
    .rows = rows,
    .n_rows = LEN(rows),
    .heads = {"_fc."},
    .dilation = ZOO_DILATE_NATIVE,
    .runs_past = 1,
    .min_depth = 2,
    .eps = 1e-3,
    .momentum = 0.01,
    .act = net_silu,
    .unused = unused,
};
