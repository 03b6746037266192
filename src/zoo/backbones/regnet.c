/* RegNetX and RegNetY: one bottleneck of ratio 1, group convolutions, widths from a published search; Y:
 * squeeze-excite. */
#include "backbones.h"

struct spec {
    int depth[4], width[4], group;
    bool se;
};

static net_val block(struct zoo_enc *e, net_val x, int out, int stride, int dil, bool first)
{
    const struct spec *s = e->row->spec;
    int group = s->group < out ? s->group : out;
    struct net_conv point = {.k = 1};
    struct net_conv spatial = {.k = 3, .stride = stride, .pad = dil, .dil = dil, .groups = out / group};
    net_val y = zoo_cba(e, "conv1.conv", "conv1.bn", x, out, point);
    y = zoo_cba(e, "conv2.conv", "conv2.bn", y, out, spatial);
    if (s->se) y = zoo_squeeze_excite(e, y, (struct zoo_se){"se.fc1", "se.fc2", (net_c(e->n, x) + 2) / 4, NULL, NULL});
    y = zoo_bn_zero(e, "conv3.bn", zoo_conv(e, "conv3.conv", y, out, point));
    if (first) x = zoo_cb(e, "downsample.conv", "downsample.bn", x, out, (struct net_conv){.k = 1, .stride = stride});
    return e->act(e->n, net_add(e->n, y, x));
}

static void build(struct zoo_enc *e, net_val x)
{
    const struct spec *s = e->row->spec;
    x = zoo_cba(e, "stem.conv", "stem.bn", x, 32, (struct net_conv){.k = 3, .stride = 2, .pad = 1});
    zoo_tap(e, x);
    for (int i = 0; i < 4 && !zoo_done(e); i++) {
        struct zoo_stage at = zoo_next_level(e);
        for (int b = 0; b < s->depth[i]; b++) {
            net_enter(e->n, "s%d.b%d", i + 1, b + 1);
            x = block(e, x, s->width[i], b ? 1 : at.stride, b ? at.dil : at.first_dil, b == 0);
            net_leave(e->n);
        }
        zoo_tap(e, x);
    }
}

/* clang-format off */
#define ROW(...) .spec = &(const struct spec){__VA_ARGS__}
static const struct zoo_backbone rows[] = {
    {"regnetx_002", "pycls_in1k", ROW({1, 1,  4,  7}, { 24,  56,  152,  368},   8, false)},
    {"regnetx_004", "pycls_in1k", ROW({1, 2,  7, 12}, { 32,  64,  160,  384},  16, false)},
    {"regnetx_006", "pycls_in1k", ROW({1, 3,  5,  7}, { 48,  96,  240,  528},  24, false)},
    {"regnetx_008", "tv2_in1k",   ROW({1, 3,  7,  5}, { 64, 128,  288,  672},  16, false)},
    {"regnetx_016", "tv2_in1k",   ROW({2, 4, 10,  2}, { 72, 168,  408,  912},  24, false)},
    {"regnetx_032", "tv2_in1k",   ROW({2, 6, 15,  2}, { 96, 192,  432, 1008},  48, false)},
    {"regnetx_040", "pycls_in1k", ROW({2, 5, 14,  2}, { 80, 240,  560, 1360},  40, false)},
    {"regnetx_064", "pycls_in1k", ROW({2, 4, 10,  1}, {168, 392,  784, 1624},  56, false)},
    {"regnetx_080", "tv2_in1k",   ROW({2, 5, 15,  1}, { 80, 240,  720, 1920}, 120, false)},
    {"regnetx_120", "pycls_in1k", ROW({2, 5, 11,  1}, {224, 448,  896, 2240}, 112, false)},
    {"regnetx_160", "tv2_in1k",   ROW({2, 6, 13,  1}, {256, 512,  896, 2048}, 128, false)},
    {"regnetx_320", "tv2_in1k",   ROW({2, 7, 13,  1}, {336, 672, 1344, 2520}, 168, false)},
    {"regnety_002", "pycls_in1k", ROW({1, 1,  4,  7}, { 24,  56,  152,  368},   8, true)},
    {"regnety_004", "tv2_in1k",   ROW({1, 3,  6,  6}, { 48, 104,  208,  440},   8, true)},
    {"regnety_006", "pycls_in1k", ROW({1, 3,  7,  4}, { 48, 112,  256,  608},  16, true)},
    {"regnety_008", "pycls_in1k", ROW({1, 3,  8,  2}, { 64, 128,  320,  768},  16, true)},
    {"regnety_016", "tv2_in1k",   ROW({2, 6, 17,  2}, { 48, 120,  336,  888},  24, true)},
    {"regnety_032", "ra_in1k",    ROW({2, 5, 13,  1}, { 72, 216,  576, 1512},  24, true)},
    {"regnety_040", "ra3_in1k",   ROW({2, 6, 12,  2}, {128, 192,  512, 1088},  64, true)},
    {"regnety_064", "ra3_in1k",   ROW({2, 7, 14,  2}, {144, 288,  576, 1296},  72, true)},
    {"regnety_080", "ra3_in1k",   ROW({2, 4, 10,  1}, {168, 448,  896, 2016},  56, true)},
    {"regnety_120", "sw_in12k_ft_in1k", ROW({2, 5, 11, 1}, {224, 448,  896, 2240}, 112, true)},
    {"regnety_160", "sw_in12k_ft_in1k", ROW({2, 4, 11, 1}, {224, 448, 1232, 3024}, 112, true)},
    {"regnety_320", "tv2_in1k",   ROW({2, 5, 12,  1}, {232, 696, 1392, 3712}, 232, true)},
};
/* clang-format on */

const struct zoo_family zoo_regnet = {
    .name = "regnet",
    .source = "arXiv:2003.13678; timm",
    .build = build,
    .rows = rows,
    .n_rows = LEN(rows),
    .heads = {"head."},
    .prefix = "tu-",
    .scope = "model",
    .hub = "timm",
    .dilation = ZOO_DILATE_TIMM,
    .prunes = true,
    .init = NET_INIT_GOOG,
};
