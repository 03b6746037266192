/* VGG: 3x3 convolutions with bias, max pools between stages. Taps lie before each pool; the deepest after the last. */
#include "backbones.h"

struct spec {
    int convs[5]; /* a stage */
    bool norm;
};

static void build(struct zoo_enc *e, net_val x)
{
    const struct spec *s = e->row->spec;
    int index = 0; /* into the reference's flat list, in which activations and pools count */
    for (int stage = 0; stage < 5; stage++) {
        int out = stage < 4 ? 64 << stage : 512;
        for (int i = 0; i < s->convs[stage]; i++) {
            struct net_conv o = {.k = 3, .pad = 1, .bias = true};
            x = zoo_conv(e, zoo_name("features.%d", index++).s, x, out, o);
            if (s->norm) x = zoo_bn(e, zoo_name("features.%d", index++).s, x);
            x = e->act(e->n, x);
            index++;
        }
        zoo_tap(e, x);
        x = net_max_pool(e->n, x, (struct net_pool){.k = 2});
        index++;
    }
    zoo_tap(e, x);
}

/* clang-format off */
#define ROW(...) .spec = &(const struct spec){__VA_ARGS__}
static const struct zoo_backbone rows[] = {
    {"vgg11",    ROW(.convs = {1, 1, 2, 2, 2})},
    {"vgg11_bn", ROW(.convs = {1, 1, 2, 2, 2}, .norm = true)},
    {"vgg13",    ROW(.convs = {2, 2, 2, 2, 2})},
    {"vgg13_bn", ROW(.convs = {2, 2, 2, 2, 2}, .norm = true)},
    {"vgg16",    ROW(.convs = {2, 2, 3, 3, 3})},
    {"vgg16_bn", ROW(.convs = {2, 2, 3, 3, 3}, .norm = true)},
    {"vgg19",    ROW(.convs = {2, 2, 4, 4, 4})},
    {"vgg19_bn", ROW(.convs = {2, 2, 4, 4, 4}, .norm = true)},
};
/* clang-format on */

const struct zoo_family zoo_vgg = {
    .name = "vgg",
    .source = "arXiv:1409.1556; torchvision",
    .build = build,
    .rows = rows,
    .n_rows = LEN(rows),
    .heads = {"classifier."},
    .no_dilation = "max pools between all stages",
    .feature0 = true,
    .pooled_end = true,
    .init = NET_INIT_KAIMING_FAN_OUT,
};
