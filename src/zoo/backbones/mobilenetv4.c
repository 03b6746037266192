/*
 * MobileNetV4 (convolutional): universal inverted bottlenecks, each with a depthwise convolution before the expansion,
 * after it, both or neither; plain or fused convolutions in the early stages.
 */
#include "backbones.h"

enum kind { UNIVERSAL, FUSED, PLAIN };
struct block {
    int n, start, mid, stride, expand, out; /* kernels before and after the expansion, 0: none */
    enum kind kind;
};
struct stage {
    struct block blocks[10]; /* ends with n 0 */
};
struct spec {
    int stem;
    const struct stage *stages; /* four */
};
enum { LAST = 960 };

static net_val conv_bn(struct zoo_enc *e, const char *scope, net_val x, int out, int k, int stride, int dil, bool act)
{
    bool depthwise = k > 1;
    struct net_conv o = {.k = k, .stride = stride, .pad = k / 2 * dil, .dil = dil, .groups = depthwise ? out : 1};
    net_enter(e->n, "%s", scope);
    x = zoo_cb(e, "conv", "bn", x, out, o);
    net_leave(e->n);
    return act ? e->act(e->n, x) : x;
}

static net_val universal(struct zoo_enc *e, net_val x, struct block b, int stride, int dil)
{
    int in = net_c(e->n, x), mid = zoo_round_channels(in * b.expand, 8);
    net_val y = x;
    if (b.start) y = conv_bn(e, "dw_start", y, in, b.start, b.mid ? 1 : stride, dil, false);
    y = conv_bn(e, "pw_exp", y, mid, 1, 1, 1, true);
    if (b.mid) y = conv_bn(e, "dw_mid", y, mid, b.mid, stride, dil, true);
    y = conv_bn(e, "pw_proj", y, b.out, 1, 1, 1, false);
    return stride == 1 && in == b.out ? net_add(e->n, y, x) : y;
}

static net_val run_block(struct zoo_enc *e, net_val x, struct block b, int stride, int dil)
{
    struct net_conv spatial = {.k = b.mid, .stride = stride, .pad = b.mid / 2 * dil, .dil = dil}, point = {.k = 1};
    if (b.kind == PLAIN) return zoo_cba(e, "conv", "bn1", x, b.out, spatial);
    if (b.kind == UNIVERSAL) return universal(e, x, b, stride, dil);
    x = zoo_cba(e, "conv_exp", "bn1", x, net_c(e->n, x) * b.expand, spatial);
    return zoo_cb(e, "conv_pwl", "bn2", x, b.out, point);
}

static void build(struct zoo_enc *e, net_val x)
{
    const struct spec *s = e->row->spec;
    x = zoo_cba(e, "conv_stem", "bn1", x, s->stem, (struct net_conv){.k = 3, .stride = 2, .pad = 1});
    zoo_tap(e, x);
    for (int i = 0; i < 4; i++) {
        struct zoo_stage at = zoo_next_level(e);
        int index = 0;
        for (const struct block *b = s->stages[i].blocks; b->n; b++) {
            for (int r = 0; r < b->n; r++, index++) {
                bool first = index == 0;
                net_enter(e->n, "blocks.%d.%d", i, index);
                x = run_block(e, x, *b, first ? at.stride : 1, first ? at.first_dil : at.dil);
                net_leave(e->n);
            }
        }
        if (i < 3) zoo_tap(e, x);
    }
    net_enter(e->n, "blocks.4.0");
    x = zoo_cba(e, "conv", "bn1", x, LAST, (struct net_conv){.k = 1});
    net_leave(e->n);
    zoo_tap(e, x);
}

/* clang-format off */
static const struct stage small[] = {
    {{{1, 0, 3, 2, 1,  32, PLAIN}, {1, 0, 1, 1, 1, 32, PLAIN}}},
    {{{1, 0, 3, 2, 1,  96, PLAIN}, {1, 0, 1, 1, 1, 64, PLAIN}}},
    {{{1, 5, 5, 2, 3,  96, UNIVERSAL}, {4, 0, 3, 1, 2,  96, UNIVERSAL}, {1, 3, 0, 1, 4,  96, UNIVERSAL}}},
    {{{1, 3, 3, 2, 6, 128, UNIVERSAL}, {1, 5, 5, 1, 4, 128, UNIVERSAL}, {1, 0, 5, 1, 4, 128, UNIVERSAL},
      {1, 0, 5, 1, 3, 128, UNIVERSAL}, {2, 0, 3, 1, 4, 128, UNIVERSAL}}},
};
static const struct stage medium[] = {
    {{{1, 0, 3, 2, 4,  48, FUSED}}},
    {{{1, 3, 5, 2, 4,  80, UNIVERSAL}, {1, 3, 3, 1, 2,  80, UNIVERSAL}}},
    {{{1, 3, 5, 2, 6, 160, UNIVERSAL}, {2, 3, 3, 1, 4, 160, UNIVERSAL}, {1, 3, 5, 1, 4, 160, UNIVERSAL},
      {1, 3, 3, 1, 4, 160, UNIVERSAL}, {1, 3, 0, 1, 4, 160, UNIVERSAL}, {1, 0, 0, 1, 2, 160, UNIVERSAL},
      {1, 3, 0, 1, 4, 160, UNIVERSAL}}},
    {{{1, 5, 5, 2, 6, 256, UNIVERSAL}, {1, 5, 5, 1, 4, 256, UNIVERSAL}, {2, 3, 5, 1, 4, 256, UNIVERSAL},
      {1, 0, 0, 1, 4, 256, UNIVERSAL}, {1, 3, 0, 1, 4, 256, UNIVERSAL}, {1, 3, 5, 1, 2, 256, UNIVERSAL},
      {1, 5, 5, 1, 4, 256, UNIVERSAL}, {2, 0, 0, 1, 4, 256, UNIVERSAL}, {1, 5, 0, 1, 2, 256, UNIVERSAL}}},
};
static const struct stage large[] = {
    {{{1, 0, 3, 2, 4,  48, FUSED}}},
    {{{1, 3, 5, 2, 4,  96, UNIVERSAL}, {1, 3, 3, 1, 4,  96, UNIVERSAL}}},
    {{{1, 3, 5, 2, 4, 192, UNIVERSAL}, {3, 3, 3, 1, 4, 192, UNIVERSAL}, {1, 3, 5, 1, 4, 192, UNIVERSAL},
      {5, 5, 3, 1, 4, 192, UNIVERSAL}, {1, 3, 0, 1, 4, 192, UNIVERSAL}}},
    {{{4, 5, 5, 2, 4, 512, UNIVERSAL}, {1, 5, 0, 1, 4, 512, UNIVERSAL}, {1, 5, 3, 1, 4, 512, UNIVERSAL},
      {2, 5, 0, 1, 4, 512, UNIVERSAL}, {1, 5, 3, 1, 4, 512, UNIVERSAL}, {1, 5, 5, 1, 4, 512, UNIVERSAL},
      {3, 5, 0, 1, 4, 512, UNIVERSAL}}},
};
#define ROW(...) .spec = &(const struct spec){__VA_ARGS__}
static const struct zoo_backbone rows[] = {
    {"mobilenetv4_conv_small",  "e2400_r224_in1k", ROW(32, small)},
    {"mobilenetv4_conv_medium", "e500_r256_in1k",  ROW(32, medium)},
    {"mobilenetv4_conv_large",  "e600_r384_in1k",  ROW(24, large)},
};
/* clang-format on */

const struct zoo_family zoo_mobilenetv4 = {
    .name = "mobilenetv4",
    .source = "arXiv:2404.10518; timm",
    .build = build,
    .rows = rows,
    .n_rows = LEN(rows),
    .heads = {"conv_head.", "norm_head.", "classifier."},
    .prefix = "tu-",
    .scope = "model",
    .hub = "timm",
    .dilation = ZOO_DILATE_TIMM,
    .runs_past = 5,
    .init = NET_INIT_GOOG,
};
