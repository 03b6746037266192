/* PP-LCNet: depthwise-separable blocks with hardswish on both halves and no sums; squeeze-excite in the last stage. */
#include "backbones.h"

/* clang-format off */
static const struct {
    int n, k, stride, out;
    bool se, tap; /* tap: a feature ends here */
} stages[] = {
    {1, 3, 1,  32, false, true},
    {2, 3, 2,  64, false, true},
    {2, 3, 2, 128, false, true},
    {2, 3, 2, 256, false, false}, /* its second block is 5x5 */
    {4, 5, 1, 256, false, true},
    {2, 5, 2, 512, true,  true},
};
/* clang-format on */

static void build(struct zoo_enc *e, net_val x)
{
    struct zoo_stage at = {.stride = 2, .first_dil = 1, .dil = 1};
    x = zoo_cba(e, "conv_stem", "bn1", x, 16, (struct net_conv){.k = 3, .stride = 2, .pad = 1});
    for (size_t i = 0; i < LEN(stages); i++) {
        if (stages[i].stride == 2) at = zoo_next_level(e);
        for (int b = 0; b < stages[i].n; b++) {
            bool strided = b == 0 && stages[i].stride == 2;
            int in = net_c(e->n, x);
            struct zoo_mbconv o = {.k = i == 3 && b > 0 ? 5 : stages[i].k,
                                   .stride = strided ? at.stride : 1,
                                   .dil = strided ? at.first_dil : at.dil,
                                   .out = stages[i].out,
                                   .se = stages[i].se ? in / 4 : 0,
                                   .se_gate = net_hardsigmoid,
                                   .plain = true};
            net_enter(e->n, "blocks.%d.%d", (int)i, b);
            x = zoo_mbconv(e, x, o);
            net_leave(e->n);
        }
        if (stages[i].tap) zoo_tap(e, x);
    }
}

static const struct zoo_backbone rows[] = {{.name = "lcnet_100"}};

const struct zoo_family zoo_lcnet = {
    .name = "lcnet",
    .source = "arXiv:2109.15099; timm",
    .build = build,
    .rows = rows,
    .n_rows = LEN(rows),
    .heads = {"conv_head.", "classifier."},
    .prefix = "tu-",
    .scope = "model",
    .hub = "timm",
    .tag = "ra2_in1k",
    .dilation = ZOO_DILATE_TIMM,
    .runs_past = 5,
    .init = NET_INIT_GOOG,
    .act = net_hardswish,
};
