/*
 * EfficientNet through timm: b8, l2 and the Lite rows. Padding is symmetric and eps 1e-5 although the weights come from
 * TensorFlow. Lite: no squeeze-excite, ReLU6, a stem that never widens, first and last stage never deeper.
 */
#include "backbones.h"
#include <math.h>

struct spec {
    double width, depth;
    bool lite;
};

static const struct zoo_efficientnet_stage *const stages = zoo_efficientnet_stages;

static int repeats(const struct spec *s, int stage)
{
    bool fixed = s->lite && (stage == 0 || stage == ZOO_EFFICIENTNET_STAGES - 1);
    return fixed ? stages[stage].n : (int)ceil(stages[stage].n * s->depth);
}

static void build(struct zoo_enc *e, net_val x)
{
    const struct spec *s = e->row->spec;
    int n_blocks = 0, index = 0;
    for (int i = 0; i < ZOO_EFFICIENTNET_STAGES; i++) n_blocks += repeats(s, i);
    e->act = s->lite ? net_relu6 : net_silu;

    int stem = s->lite ? 32 : zoo_round_channels(32 * s->width, 8);
    x = zoo_cba(e, "conv_stem", "bn1", x, stem, (struct net_conv){.k = 3, .stride = 2, .pad = 1});
    zoo_tap(e, x);
    for (int i = 0; i < ZOO_EFFICIENTNET_STAGES; i++) {
        if (stages[i].stride == 2) zoo_next_level(e);
        for (int b = 0; b < repeats(s, i); b++, index++) {
            int in = net_c(e->n, x);
            struct zoo_mbconv o = {.k = stages[i].k,
                                   .stride = b == 0 ? stages[i].stride : 1,
                                   .expand = stages[i].expand > 1 ? in * stages[i].expand : 0,
                                   .out = zoo_round_channels(stages[i].out * s->width, 8),
                                   .se = s->lite ? 0 : (in + 2) / 4,
                                   .se_act = e->act,
                                   .drop_path = 0.2 * index / n_blocks};
            net_enter(e->n, "blocks.%d.%d", i, b);
            x = zoo_mbconv(e, x, o);
            net_leave(e->n);
        }
        if (stages[i].tap) zoo_tap(e, x);
    }
    int head = s->lite ? 1280 : zoo_round_channels(1280 * s->width, 8);
    zoo_cba(e, "conv_head", "bn2", x, head, (struct net_conv){.k = 1});
}

static const struct zoo_unused unused[] = {
    {"conv_head.", "the classifier's convolution, stored by the reference and never run"},
    {"bn2.", "the norm of the classifier's convolution, stored by the reference and never run"},
    {NULL, NULL},
};

/* lukemelas' scheme, in which blocks are numbered through and a block without expansion still starts at _bn1. */
static const char *published_name(struct arena *a, const struct zoo_backbone *row, const char *name)
{
    static const struct {
        const char *from, *to, *separable;
    } parts[] = {
        {"_expand_conv.", "conv_pw.", NULL},
        {"_bn0.", "bn1.", NULL},
        {"_depthwise_conv.", "conv_dw.", "conv_dw."},
        {"_bn1.", "bn2.", "bn1."},
        {"_se_reduce.", "se.conv_reduce.", "se.conv_reduce."},
        {"_se_expand.", "se.conv_expand.", "se.conv_expand."},
        {"_project_conv.", "conv_pwl.", "conv_pw."},
        {"_bn2.", "bn3.", "bn2."},
        {"_conv_stem.", "conv_stem.", NULL},
        {"_conv_head.", "conv_head.", NULL},
    };
    int stage = -1, block = 0, end = 0;
    const char *rest = name;
    if (sscanf(name, "_blocks.%4d.%n", &block, &end) == 1 && end && block >= 0) {
        rest = name + end;
        for (stage = 0; stage < ZOO_EFFICIENTNET_STAGES && block >= repeats(row->spec, stage); stage++)
            block -= repeats(row->spec, stage);
    }
    for (size_t i = 0; i < LEN(parts); i++) {
        size_t n = strlen(parts[i].from);
        const char *to = stage == 0 ? parts[i].separable : parts[i].to;
        if (!to || strncmp(rest, parts[i].from, n) != 0) continue;
        return stage < 0 ? arena_printf(a, "%s%s", to, rest + n)
                         : arena_printf(a, "blocks.%d.%d.%s%s", stage, block, to, rest + n);
    }
    return name;
}

/* clang-format off */
#define ROW(...) .spec = &(const struct spec){__VA_ARGS__}
static const struct zoo_backbone rows[] = {
    {"efficientnet-b8", ROW(.width = 2.2, .depth = 3.6)},
    {"efficientnet-l2", ROW(.width = 4.3, .depth = 5.3), .tag = "noisy-student"},
};
static const struct zoo_backbone lite_rows[] = {
    {"tf_efficientnet_lite0", ROW(.width = 1.0, .depth = 1.0, .lite = true)},
    {"tf_efficientnet_lite1", ROW(.width = 1.0, .depth = 1.1, .lite = true)},
    {"tf_efficientnet_lite2", ROW(.width = 1.1, .depth = 1.2, .lite = true)},
    {"tf_efficientnet_lite3", ROW(.width = 1.2, .depth = 1.4, .lite = true)},
    {"tf_efficientnet_lite4", ROW(.width = 1.4, .depth = 1.8, .lite = true)},
};
/* clang-format on */

const struct zoo_family zoo_efficientnet_timm = {
    .name = "efficientnet",
    .source = "arXiv:1905.11946; timm",
    .build = build,
    .rows = rows,
    .n_rows = LEN(rows),
    .heads = {"classifier.", "_fc."},
    .rename = published_name,
    .prefix = "timm-",
    .dilation = ZOO_DILATE_NATIVE,
    .init = NET_INIT_GOOG,
    .unused = unused,
};

const struct zoo_family zoo_efficientnet_lite = {
    .name = "efficientnet-lite",
    .source = "arXiv:1905.11946; github.com/tensorflow/tpu models/official/efficientnet/lite; timm",
    .build = build,
    .rows = lite_rows,
    .n_rows = LEN(lite_rows),
    .heads = {"classifier.", "_fc."},
    .rename = published_name,
    .prefix = "timm-",
    .dilation = ZOO_DILATE_NATIVE,
    .init = NET_INIT_GOOG,
    .mean = {0.5f, 0.5f, 0.5f},
    .std = {0.5f, 0.5f, 0.5f},
    .unused = unused,
};
