/*
 * What a backbone is made of, inside the room: a family is one builder and a table of rows; a row is the numbers that
 * tell it from its siblings. struct zoo_enc is the encoder under construction: it knows which level (stride) is being
 * built and applies the family's dilation rule, so that builders are written for stride 32 only.
 *
 *     static void build(struct zoo_enc *e, net_val x)
 *     {
 *         const struct spec *s = e->row->spec;
 *  *         x = zoo_cba(e, "conv1", "bn1", x, 64, (struct net_conv){.k = 7, .stride = 2, .pad = 3});
 *         zoo_tap(e, x);
 *         ...
 *     }
 */
#ifndef SWEEP_ZOO_BACKBONES_H
#define SWEEP_ZOO_BACKBONES_H

#include "zoo.h"

/** An elementwise function: net_relu and its like. */
typedef net_val (*zoo_act)(struct net *n, net_val x);

struct zoo_backbone {
    const char *name;
    const char *tag;  /* of its published ImageNet weights; NULL: the family's; "": none published */
    const void *spec; /* the family's own numbers */
};

/** A parameter that the reference stores and never uses: the start of its name in the encoder, and why. */
struct zoo_unused {
    const char *prefix, *why;
};

/** How output strides below 32 come about. */
enum zoo_dilation {
    ZOO_DILATE_NEVER,  /* pools between stages: cannot */
    ZOO_DILATE_NATIVE, /* every convolution of the stage gets stride 1 and the stage's full rate */
    ZOO_DILATE_TIMM,   /* the first block of a stage keeps the rate of the stage before */
};

struct zoo_enc;

struct zoo_family {
    const char *name, *source;
    void (*build)(struct zoo_enc *e, net_val x);
    const struct zoo_backbone *rows;
    int n_rows;
    const char *prefix; /* reference name = prefix + name; NULL: "" */
    const char *scope;  /* all parameters under it; NULL: none */
    const char *hub;    /* where published weights live: HUB/REFERENCE.TAG; NULL: "smp-hub" */
    const char *tag;    /* NULL: "imagenet" */
    enum zoo_dilation dilation;
    const char *no_dilation; /* why not, in words */
    bool prunes;             /* stages deeper than the depth are not stored (else stored, unused) */
    int runs_past;           /* stages that the reference runs beyond the depth, and discards */
    bool feature0;           /* tap 0 is a feature at stride 1, not the input */
    bool pooled_end;         /* the deepest tap comes straight from a pool */
    int min_depth;           /* 0: 1 */
    enum net_init_rule init;
    double eps, momentum;  /* of its batch norms; 0: 1e-5, 0.1 */
    zoo_act act;           /* NULL: relu */
    float mean[3], std[3]; /* of the published weights; std 0: ImageNet's */
    const char *heads[3];  /* starts of a published file's names that belong to its classifier */
    /* A published file's name as the encoder has it, where the two differ; in the arena or borrowed. NULL: the same. */
    const char *(*rename)(struct arena *a, const struct zoo_backbone *row, const char *name);
    const struct zoo_unused *unused; /* ends with a row of NULL */
};

/** Strides and dilations of a stage's first and further blocks. */
struct zoo_stage {
    int stride, first_dil, dil;
};

struct zoo_enc {
    struct net *n;
    const struct zoo_family *family;
    const struct zoo_backbone *row;
    int depth, output_stride;
    zoo_act act;
    net_val input;
    int level; /* what is built now ends at stride 2^level; the stem is level 1 */
    int rate;  /* under the native rule: what every convolution built now is dilated by; else 1 */
    struct zoo_features f;
};

/** Starts the stage that halves once more. */
struct zoo_stage zoo_next_level(struct zoo_enc *e);
/** The next feature, if the depth asks for more. */
void zoo_tap(struct zoo_enc *e, net_val x);
/** True when the depth is reached and the family stores nothing beyond it. */
bool zoo_done(const struct zoo_enc *e);

/** Convolution under the family's dilation rule; where it replaces one made for RGB, under the layer's own start. */
net_val zoo_conv(struct zoo_enc *e, const char *name, net_val x, int out, struct net_conv o);
/** Batch norm with the family's eps and momentum; the second starts with scale zero. */
net_val zoo_bn(struct zoo_enc *e, const char *name, net_val x);
net_val zoo_bn_zero(struct zoo_enc *e, const char *name, net_val x);
/** Convolution, batch norm; and with the activation. */
net_val zoo_cb(struct zoo_enc *e, const char *conv, const char *bn, net_val x, int out, struct net_conv o);
net_val zoo_cba(struct zoo_enc *e, const char *conv, const char *bn, net_val x, int out, struct net_conv o);

/** A gate on channels: x * gate(expand(act(reduce(mean over H,W of x)))), both 1x1 convolutions with bias. */
struct zoo_se {
    const char *reduce, *expand; /* names of the convolutions */
    int width;                   /* channels between them */
    zoo_act act, gate;           /* NULL: relu, sigmoid */
};
net_val zoo_squeeze_excite(struct zoo_enc *e, net_val x, struct zoo_se o);

/** A mobile inverted bottleneck as timm names it; expand 0: depthwise-separable. Adds its input where it can. */
struct zoo_mbconv {
    int k, stride, dil, expand, out; /* expand: channels */
    int se;                          /* channels of its squeeze-excite, 0: none */
    zoo_act se_act, se_gate;         /* NULL: relu, sigmoid */
    double drop_path;
    bool same;  /* TensorFlow's padding */
    bool plain; /* activated at the end, never adds its input (LCNet) */
};
net_val zoo_mbconv(struct zoo_enc *e, net_val x, struct zoo_mbconv o);

/** The stem of ResNet and its kin: 7x7 of stride 2, a tap, a max pool. */
net_val zoo_resnet_stem(struct zoo_enc *e, net_val x);
/** What a residual block adds: its input, through 1x1 where the shapes differ. */
net_val zoo_shortcut(struct zoo_enc *e, net_val x, int out, int stride);

/** The stages of EfficientNet-b0, which b1 to l2 and Lite scale; they stand in backbones/efficientnet.c. */
struct zoo_efficientnet_stage {
    int n, k, stride, expand, out;
    bool tap; /* a feature ends here */
};
enum { ZOO_EFFICIENTNET_STAGES = 7 };
extern const struct zoo_efficientnet_stage zoo_efficientnet_stages[ZOO_EFFICIENTNET_STAGES];

/** One residual block of a layer: its width, and stride and dilation after the family's rule. */
struct zoo_step {
    int planes, stride, dil;
    int stage_dil; /* of the layer's further blocks */
    bool first;    /* of its layer */
};
/** Four layers of residual blocks "layerL.B", 64 << L planes, stride 2 from the second on, a tap after each. */
void zoo_layers(struct zoo_enc *e, net_val x, const int layers[4],
                net_val (*block)(struct zoo_enc *, net_val, struct zoo_step));

/** A multiple of @p divisor near @p v, never less than 90 % of it. */
int zoo_round_channels(double v, int divisor);

/** A short formatted name that lives until the end of the expression: zoo_name("conv%d", i).s */
struct zoo_name {
    char s[40];
};
struct zoo_name zoo_name(const char *fmt, ...) PRINTF(1, 2);

#endif
