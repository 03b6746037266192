/*
 * MobileNetV3 as trained in TensorFlow: strided convolutions pad the odd pixel at bottom and right, batch norm eps
 * 1e-3. The minimal rows have no squeeze-excite, no 5x5 and no hardswish. Width 0.75 is its own table, for the widths
 * are rounded block by block.
 */
#include "backbones.h"

struct block {
    int k, expand, out, se, stride; /* expand 0: depthwise-separable */
};
struct stage {
    int n;
    struct block blocks[6];
    bool tap, hard; /* a feature ends here; hardswish instead of ReLU from here on */
};
struct spec {
    int n_stages;
    const struct stage *stages;
    int last; /* channels of the closing 1x1 */
    bool minimal;
    bool tap_stem;
};

static net_val run_stage(struct zoo_enc *e, const struct spec *s, int index, net_val x, struct zoo_stage *at)
{
    const struct stage *stage = &s->stages[index];
    if (stage->hard && !s->minimal) e->act = net_hardswish;
    for (int b = 0; b < stage->n; b++) {
        struct block r = stage->blocks[b];
        if (r.stride == 2) *at = zoo_next_level(e);
        struct zoo_mbconv o = {.k = s->minimal ? 3 : r.k,
                               .stride = r.stride == 2 ? at->stride : 1,
                               .dil = r.stride == 2 ? at->first_dil : at->dil,
                               .expand = r.expand,
                               .out = r.out,
                               .se = s->minimal ? 0 : r.se,
                               .se_gate = net_hardsigmoid,
                               .same = true};
        net_enter(e->n, "blocks.%d.%d", index, b);
        x = zoo_mbconv(e, x, o);
        net_leave(e->n);
    }
    return x;
}

static void build(struct zoo_enc *e, net_val x)
{
    const struct spec *s = e->row->spec;
    struct zoo_stage at = {.stride = 2, .first_dil = 1, .dil = 1};
    if (!s->minimal) e->act = net_hardswish;
    x = zoo_cba(e, "conv_stem", "bn1", x, 16, (struct net_conv){.k = 3, .stride = 2, .same = true});
    if (s->tap_stem) zoo_tap(e, x);
    e->act = net_relu;
    for (int i = 0; i < s->n_stages; i++) {
        x = run_stage(e, s, i, x, &at);
        if (s->stages[i].tap) zoo_tap(e, x);
    }
    net_enter(e->n, "blocks.%d.0", s->n_stages);
    x = zoo_cba(e, "conv", "bn1", x, s->last, (struct net_conv){.k = 1});
    net_leave(e->n);
    zoo_tap(e, x);
}

/* clang-format off */
static const struct stage large_100[] = {
    {1, {{3,   0,  16,   0, 1}}, .tap = true},
    {2, {{3,  64,  24,   0, 2}, {3,  72,  24,   0, 1}}, .tap = true},
    {3, {{5,  72,  40,  24, 2}, {5, 120,  40,  32, 1}, {5, 120,  40,  32, 1}}, .tap = true},
    {4, {{3, 240,  80,   0, 2}, {3, 200,  80,   0, 1}, {3, 184,  80,   0, 1}, {3, 184, 80, 0, 1}}, .hard = true},
    {2, {{3, 480, 112, 120, 1}, {3, 672, 112, 168, 1}}, .tap = true, .hard = true},
    {3, {{5, 672, 160, 168, 2}, {5, 960, 160, 240, 1}, {5, 960, 160, 240, 1}}, .hard = true},
};
static const struct stage large_075[] = {
    {1, {{3,   0,  16,   0, 1}}, .tap = true},
    {2, {{3,  64,  24,   0, 2}, {3,  72,  24,   0, 1}}, .tap = true},
    {3, {{5,  72,  32,  24, 2}, {5,  96,  32,  24, 1}, {5,  96,  32,  24, 1}}, .tap = true},
    {4, {{3, 192,  64,   0, 2}, {3, 160,  64,   0, 1}, {3, 144,  64,   0, 1}, {3, 144, 64, 0, 1}}, .hard = true},
    {2, {{3, 384,  88,  96, 1}, {3, 528,  88, 136, 1}}, .tap = true, .hard = true},
    {3, {{5, 528, 120, 136, 2}, {5, 720, 120, 184, 1}, {5, 720, 120, 184, 1}}, .hard = true},
};
static const struct stage small_100[] = {
    {1, {{3,   0,  16,   8, 2}}, .tap = true},
    {2, {{3,  72,  24,   0, 2}, {3,  88,  24,   0, 1}}, .tap = true},
    {3, {{5,  96,  40,  24, 2}, {5, 240,  40,  64, 1}, {5, 240,  40,  64, 1}}, .hard = true},
    {2, {{5, 120,  48,  32, 1}, {5, 144,  48,  40, 1}}, .tap = true, .hard = true},
    {3, {{5, 288,  96,  72, 2}, {5, 576,  96, 144, 1}, {5, 576,  96, 144, 1}}, .hard = true},
};
static const struct stage small_075[] = {
    {1, {{3,   0,  16,   8, 2}}, .tap = true},
    {2, {{3,  72,  24,   0, 2}, {3,  88,  24,   0, 1}}, .tap = true},
    {3, {{5,  96,  32,  24, 2}, {5, 192,  32,  48, 1}, {5, 192,  32,  48, 1}}, .hard = true},
    {2, {{5,  96,  40,  24, 1}, {5, 120,  40,  32, 1}}, .tap = true, .hard = true},
    {3, {{5, 240,  72,  64, 2}, {5, 432,  72, 112, 1}, {5, 432,  72, 112, 1}}, .hard = true},
};
#define ROW(st, ...) .spec = &(const struct spec){.n_stages = LEN(st), .stages = st, __VA_ARGS__}
static const struct zoo_backbone rows[] = {
    {"mobilenetv3_large_075",         ROW(large_075, .last = 720)},
    {"mobilenetv3_large_100",         ROW(large_100, .last = 960)},
    {"mobilenetv3_large_minimal_100", ROW(large_100, .last = 960, .minimal = true)},
    {"mobilenetv3_small_075",         ROW(small_075, .last = 432, .tap_stem = true)},
    {"mobilenetv3_small_100",         ROW(small_100, .last = 576, .tap_stem = true)},
    {"mobilenetv3_small_minimal_100", ROW(small_100, .last = 576, .tap_stem = true, .minimal = true)},
};
/* clang-format on */

const struct zoo_family zoo_mobilenetv3 = {
    .name = "mobilenetv3",
    .source = "arXiv:1905.02244; timm",
    .build = build,
    .rows = rows,
    .n_rows = LEN(rows),
    .heads = {"conv_head.", "classifier."},
    .prefix = "tu-tf_",
    .scope = "model",
    .hub = "timm",
    .tag = "in1k",
    .dilation = ZOO_DILATE_TIMM,
    .runs_past = 5,
    .init = NET_INIT_GOOG,
    .eps = 1e-3,
    .mean = {0.5f, 0.5f, 0.5f},
    .std = {0.5f, 0.5f, 0.5f},
};
