/*
 * DenseNet: every layer sees all features before it. Taps lie inside the transitions, after norm and ReLU and before
 * the halving convolution; the deepest after the last norm, without ReLU.
 */
#include "backbones.h"

struct spec {
    int growth, stem, layers[4];
};

static net_val norm_relu(struct zoo_enc *e, const char *name, net_val x)
{
    return net_relu(e->n, zoo_bn(e, name, x));
}

static net_val dense_block(struct zoo_enc *e, net_val x, int index, int layers, int growth)
{
    for (int i = 1; i <= layers; i++) {
        net_enter(e->n, "denseblock%d.denselayer%d", index, i);
        net_val y = zoo_conv(e, "conv1", norm_relu(e, "norm1", x), 4 * growth, (struct net_conv){.k = 1});
        y = zoo_conv(e, "conv2", norm_relu(e, "norm2", y), growth, (struct net_conv){.k = 3, .pad = 1});
        net_leave(e->n);
        x = net_concat(e->n, (net_val[]){x, y}, 2);
    }
    return x;
}

static void build(struct zoo_enc *e, net_val x)
{
    const struct spec *s = e->row->spec;
    net_enter(e->n, "features");
    x = zoo_cba(e, "conv0", "norm0", x, s->stem, (struct net_conv){.k = 7, .stride = 2, .pad = 3});
    zoo_tap(e, x);
    x = net_max_pool(e->n, x, (struct net_pool){.k = 3, .stride = 2, .pad = 1});
    for (int b = 0; b < 4; b++) {
        x = dense_block(e, x, b + 1, s->layers[b], s->growth);
        if (b == 3) break;
        net_enter(e->n, "transition%d", b + 1);
        x = norm_relu(e, "norm", x);
        zoo_tap(e, x);
        x = zoo_conv(e, "conv", x, net_c(e->n, x) / 2, (struct net_conv){.k = 1});
        x = net_avg_pool(e->n, x, (struct net_pool){.k = 2});
        net_leave(e->n);
    }
    zoo_tap(e, zoo_bn(e, "norm5", x));
    net_leave(e->n);
}

/* Old files number inside the layers: "denselayer1.norm.1.weight". */
static const char *published_name(struct arena *a, const struct zoo_backbone *row, const char *name)
{
    (void)row;
    const char *layer = strstr(name, "denselayer"), *dot = layer ? strchr(layer, '.') : NULL;
    const char *number = dot ? strchr(dot + 1, '.') : NULL;
    if (!number || (number[1] != '1' && number[1] != '2') || number[2] != '.') return name;
    return arena_printf(a, "%.*s%s", (int)(number - name), name, number + 1);
}

/* clang-format off */
#define ROW(...) .spec = &(const struct spec){__VA_ARGS__}
static const struct zoo_backbone rows[] = {
    {"densenet121", ROW(.growth = 32, .stem = 64, .layers = {6, 12, 24, 16})},
    {"densenet161", ROW(.growth = 48, .stem = 96, .layers = {6, 12, 36, 24})},
    {"densenet169", ROW(.growth = 32, .stem = 64, .layers = {6, 12, 32, 32})},
    {"densenet201", ROW(.growth = 32, .stem = 64, .layers = {6, 12, 48, 32})},
};
/* clang-format on */

const struct zoo_family zoo_densenet = {
    .name = "densenet",
    .source = "arXiv:1608.06993; torchvision",
    .build = build,
    .rows = rows,
    .n_rows = LEN(rows),
    .heads = {"classifier."},
    .rename = published_name,
    .no_dilation = "average pools between its stages",
    .init = NET_INIT_KAIMING_FAN_IN,
};
