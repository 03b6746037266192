/*
 * MobileOne: depthwise and pointwise layers that train as parallel branches (k x k several times, 1x1, identity), all
 * linear up to the sum, so that one convolution replaces them at inference.
 */
#include "backbones.h"

struct spec {
    double width[4]; /* of 64, 128, 256, 512 */
    int branches;
    bool se; /* in the later half of the third stage and all of the fourth */
};
static const int layers[4] = {2, 8, 10, 1};

static net_val branch(struct zoo_enc *e, const char *scope, net_val x, int out, struct net_conv o)
{
    net_enter(e->n, "%s", scope);
    x = zoo_cb(e, "conv", "bn", x, out, o);
    net_leave(e->n);
    return x;
}

static net_val layer(struct zoo_enc *e, net_val x, int out, struct net_conv o, int branches, bool se)
{
    struct net *n = e->n;
    struct net_conv point = {.k = 1, .stride = o.stride, .groups = o.groups};
    net_val sum = NET_NONE;
    if (o.k > 1) sum = branch(e, "rbr_scale", x, out, point);
    if (net_c(n, x) == out && o.stride == 1) {
        net_val id = zoo_bn(e, "rbr_skip", x);
        sum = sum == NET_NONE ? id : net_add(n, sum, id);
    }
    for (int b = 0; b < branches; b++) {
        net_val y = branch(e, zoo_name("rbr_conv.%d", b).s, x, out, o);
        sum = sum == NET_NONE ? y : net_add(n, sum, y);
    }
    if (se) sum = zoo_squeeze_excite(e, sum, (struct zoo_se){"se.reduce", "se.expand", out / 16, NULL, NULL});
    return e->act(n, sum);
}

static void build(struct zoo_enc *e, net_val x)
{
    const struct spec *s = e->row->spec;
    int stem = (int)(64 * s->width[0]);
    net_enter(e->n, "stage0");
    x = layer(e, x, stem < 64 ? stem : 64, (struct net_conv){.k = 3, .stride = 2, .pad = 1}, 1, false);
    net_leave(e->n);
    zoo_tap(e, x);
    for (int i = 0; i < 4; i++) {
        int out = (int)((64 << i) * s->width[i]);
        zoo_next_level(e);
        for (int b = 0; b < layers[i]; b++) {
            bool se = s->se && (i == 3 || (i == 2 && b >= layers[i] / 2));
            int in = net_c(e->n, x);
            struct net_conv depthwise = {.k = 3, .stride = b ? 1 : 2, .pad = 1, .groups = in};
            struct net_conv pointwise = {.k = 1, .stride = 1};
            net_enter(e->n, "stage%d.%d", i + 1, 2 * b);
            x = layer(e, x, in, depthwise, s->branches, se);
            net_leave(e->n);
            net_enter(e->n, "stage%d.%d", i + 1, 2 * b + 1);
            x = layer(e, x, out, pointwise, s->branches, se);
            net_leave(e->n);
        }
        zoo_tap(e, x);
    }
}

/* clang-format off */
#define ROW(...) .spec = &(const struct spec){__VA_ARGS__}
static const struct zoo_backbone rows[] = {
    {"mobileone_s0", ROW(.width = {0.75, 1.0, 1.0, 2.0}, .branches = 4)},
    {"mobileone_s1", ROW(.width = {1.5,  1.5, 2.0, 2.5}, .branches = 1)},
    {"mobileone_s2", ROW(.width = {1.5,  2.0, 2.5, 4.0}, .branches = 1)},
    {"mobileone_s3", ROW(.width = {2.0,  2.5, 3.0, 4.0}, .branches = 1)},
    {"mobileone_s4", ROW(.width = {3.0,  3.5, 3.5, 4.0}, .branches = 1, .se = true)},
};
/* clang-format on */

const struct zoo_family zoo_mobileone = {
    .name = "mobileone",
    .source = "arXiv:2206.04040; segmentation-models-pytorch",
    .build = build,
    .rows = rows,
    .n_rows = LEN(rows),
    .heads = {"linear."},
    .dilation = ZOO_DILATE_NATIVE,
};
