/*
 * GENet: two stages of basic blocks, one of narrow bottlenecks, two of wide depthwise ones, then a wide 1x1. A block
 * has a convolution on its shortcut when the shape changes, and also when the dilation does.
 */
#include "backbones.h"

struct spec {
    int stem, depth[5], width[5], last;
};

static net_val block(struct zoo_enc *e, net_val x, int stage, int out, int stride, int dil, bool shape_changes)
{
    struct net_conv point = {.k = 1}, keep = {.k = 3, .pad = 1};
    struct net_conv spatial = {.k = 3, .stride = stride, .pad = dil, .dil = dil};
    net_val y;
    if (stage < 2) {
        y = zoo_cba(e, "conv1_kxk.conv", "conv1_kxk.bn", x, out, spatial);
        y = zoo_bn_zero(e, "conv2_kxk.bn", zoo_conv(e, "conv2_kxk.conv", y, out, keep));
    } else {
        int mid = stage == 2 ? out / 4 : out * 3;
        spatial.groups = stage == 2 ? 1 : mid;
        y = zoo_cba(e, "conv1_1x1.conv", "conv1_1x1.bn", x, mid, point);
        y = zoo_cba(e, "conv2_kxk.conv", "conv2_kxk.bn", y, mid, spatial);
        y = zoo_bn_zero(e, "conv3_1x1.bn", zoo_conv(e, "conv3_1x1.conv", y, out, point));
    }
    if (shape_changes)
        x = zoo_cb(e, "shortcut.conv", "shortcut.bn", x, out, (struct net_conv){.k = 1, .stride = stride});
    return e->act(e->n, net_add(e->n, y, x));
}

static void build(struct zoo_enc *e, net_val x)
{
    const struct spec *s = e->row->spec;
    struct zoo_stage at = {0};
    x = zoo_cba(e, "stem.conv", "stem.bn", x, s->stem, (struct net_conv){.k = 3, .stride = 2, .pad = 1});
    zoo_tap(e, x);
    for (int i = 0; i < 5 && !zoo_done(e); i++) {
        bool strided = i < 4; /* the last stage refines the fourth */
        if (strided) at = zoo_next_level(e);
        for (int b = 0; b < s->depth[i]; b++) {
            bool changes = b == 0 && (strided || net_c(e->n, x) != s->width[i] || at.first_dil != at.dil);
            net_enter(e->n, "stages_%d.%d", i, b);
            x = block(e, x, i, s->width[i], b == 0 && strided ? at.stride : 1, b ? at.dil : at.first_dil, changes);
            net_leave(e->n);
        }
        if (i < 3) zoo_tap(e, x);
    }
    if (zoo_done(e)) return;
    zoo_tap(e, zoo_cba(e, "final_conv.conv", "final_conv.bn", x, s->last, (struct net_conv){.k = 1}));
}

/* timm's files have "stages.0.0", its encoders "stages_0.0". */
static const char *published_name(struct arena *a, const struct zoo_backbone *row, const char *name)
{
    (void)row;
    return strncmp(name, "stages.", 7) == 0 ? arena_printf(a, "stages_%s", name + 7) : name;
}

/* clang-format off */
#define ROW(...) .spec = &(const struct spec){__VA_ARGS__}
static const struct zoo_backbone rows[] = {
    {"gernet_s", ROW(.stem = 13, .depth = {1, 3, 7, 2, 1}, .width = { 48,  48, 384, 560, 256}, .last = 1920)},
    {"gernet_m", ROW(.stem = 32, .depth = {1, 2, 6, 4, 1}, .width = {128, 192, 640, 640, 640}, .last = 2560)},
    {"gernet_l", ROW(.stem = 32, .depth = {1, 2, 6, 5, 4}, .width = {128, 192, 640, 640, 640}, .last = 2560)},
};
/* clang-format on */

const struct zoo_family zoo_gernet = {
    .name = "gernet",
    .source = "arXiv:2006.14090; timm",
    .build = build,
    .rows = rows,
    .n_rows = LEN(rows),
    .heads = {"head."},
    .rename = published_name,
    .prefix = "tu-",
    .scope = "model",
    .hub = "timm",
    .tag = "idstcv_in1k",
    .dilation = ZOO_DILATE_TIMM,
    .prunes = true,
    .init = NET_INIT_GOOG,
};
