/*
 * zoo: the encoder-decoders, as nets. A backbone is a row of a family table and gives features at strides 1, 2, 4, ...;
 * a decoder sees features and nothing else, so M + N files serve M x N cells. Names, parameter names and numbers are
 * those of segmentation-models-pytorch 0.6.0.
 *
 *     struct zoo_model m = {.arch = "unet", .backbone = "resnet18", .height = 256, .width = 256};
 *     struct net *n;
 *     TRY(zoo_build(&n, &m));
 */
#ifndef SWEEP_ZOO_H
#define SWEEP_ZOO_H

#include "net.h"

enum { ZOO_MAX_TAPS = 6 };

/** Everything that decides a model's structure. Zero means the reference's default. */
struct zoo_model {
    const char *arch, *backbone;
    int height, width; /* of the input; required */
    int in_channels;   /* 3 */
    int out_channels;  /* 3 */
    int depth;         /* 5 (pspnet 3); 3..5 */
    int output_stride; /* deeplabv3 8, deeplabv3plus and pan 16, others 32 */
    int channels[5];   /* decoder widths: unet, unetplusplus, manet one a level; fpn pyramid and blocks; others one */
    const char *interpolation; /* unet, unetplusplus, fpn, manet: nearest | bilinear */
    const char *attention;     /* unet, unetplusplus: NULL | scse */
    const char *merge;         /* fpn: add | cat */
    double dropout;            /* < 0: none; fpn, pspnet 0.2; deeplabs 0.5 */
    const char *activation;    /* of the head: NULL | identity | sigmoid | tanh | softmax | logsoftmax | clamp */
    bool residual;             /* output = input + head; the head starts at zero */
};

/** What a decoder may know of an encoder: values at strides 1, 2, 4, ...; tap[0] is the input or a stride-1 feature. */
struct zoo_features {
    net_val tap[ZOO_MAX_TAPS]; /* [N, channels, H/2^i, W/2^i] (less reduction where dilated) */
    int n;                     /* depth + 1 */
    bool plain_tap0;           /* tap[0] is the input itself (not vgg) */
    bool pooled_end;           /* the deepest tap comes straight from a pool (vgg) */
    int output_stride;
};

/** Facts of a backbone that a user sees. */
struct zoo_info {
    const char *name, *family;
    const char *reference; /* its name in segmentation-models-pytorch: "tu-tf_mobilenetv3_large_100" */
    const char *weights;   /* id of the published ImageNet weights, NULL when there are none */
    const char *source;    /* paper or project */
    bool dilates;          /* can run at output stride 8 or 16 */
    float mean[3], std[3]; /* input normalisation of the published weights */
};

/** Registry, in table order; NULL-terminated lists of names. */
const char *const *zoo_arch_names(void);
const char *const *zoo_backbone_names(void);
/** NULL when unknown. */
const struct zoo_info *zoo_backbone_info(const char *name);

/** STATUS_REFUSED with the reason when the cell is impossible at any size; STATUS_ARG for an unknown name (with the
 *  nearest) or an option out of range. Does not build. */
struct status zoo_fits(const struct zoo_model *m);

/** The stride of the deepest feature where the model's sides are no multiple of it: its maps are rounded up at each
 * halving, and the decoder resizes each to its neighbour's size; 0 where all halve evenly, or the size is refused. */
int zoo_uneven(const struct zoo_model *m);

/**
 * The whole model: input "input" [N,in,H,W] -> output "output" [N,out,H,W].
 * Errors: as zoo_fits; STATUS_REFUSED when the size is impossible, naming sizes that would do.
 * Owner: the caller, net_free.
 */
struct status zoo_build(struct net **out, const struct zoo_model *m);

/**
 * Multiply-accumulates of the reference's forward pass. More than net_cost's where the reference runs stages whose
 * features it then discards (some encoders at a depth below 5); equal elsewhere. Errors: as zoo_build.
 */
struct status zoo_reference_macs(int64_t *out, const struct zoo_model *m);

/**
 * The encoder alone, built into @p n under the current scope from value @p x: what a loss network is made of and what
 * the probe's taps are. @p depth 1..5, @p output_stride 32, 16 or 8. Errors latch in @p n.
 */
struct zoo_features zoo_encode(struct net *n, const char *backbone, net_val x, int depth, int output_stride);

/**
 * As zoo_build, and the values of the encoder's features, for probes and for losses on features.
 * Owner: the caller, net_free.
 */
struct status zoo_build_taps(struct net **out, struct zoo_features *taps, const struct zoo_model *m);

/**
 * The encoder's name ("model.conv_stem.weight") of an entry of a published file of this backbone ("conv_stem.weight"):
 * torchvision, timm, lukemelas and Cadene schemes, and the encoder's own. NULL when it belongs to the classifier, which
 * the encoder does not have. Owner: @p a, or @p name itself. Unknown names pass unchanged.
 */
const char *zoo_published_name(struct arena *a, const char *backbone, const char *name);

/** The encoder alone at full depth: input "input" [N,3,256,256] -> "tap1".."tap5" ("tap0" where it is a feature). What
 *  a published file is held against. Owner: the caller, net_free. */
struct status zoo_encoder(struct net **out, const char *backbone);

/** What is wrapped around the names in a file: a prefix to take away, one to put on, and a publisher's scheme inside.
 */
struct zoo_naming {
    const char *strip, *add;
    bool published;   /* what is left after the strip is a name of a backbone's published file */
    const char *what; /* in words */
};
extern const struct zoo_naming zoo_namings[]; /* ends with what == NULL */

/** The naming under which most of a file's names are parameters of @p n, a model or a loss network with this backbone.
 */
const struct zoo_naming *zoo_naming_of(const struct net *n, const char *backbone, const char *const *names,
                                       size_t n_names);
/** The net's name of a file's @p name; NULL when the naming leaves it out. Owner: @p a, or @p name itself. */
const char *zoo_naming_apply(const struct zoo_naming *r, struct arena *a, const char *backbone, const char *name);

/** Name and shape of an array in a file, and what file it is. */
struct zoo_array {
    const char *name;
    int rank;
    const int64_t *shape;
};
struct zoo_recognised {
    const char *backbone;
    const struct zoo_naming *naming;
    const char **names; /* of each array, in the encoder; NULL: of a classifier or of another part of a model */
    int n_renamed, n_left;
};
/**
 * The backbone that has every array of the file, and of which the file has every array.
 * Errors: STATUS_ARG with the nearest backbone and what does not fit. Owner: all in @p a.
 */
struct status zoo_recognise(struct zoo_recognised *out, struct arena *a, const struct zoo_array *v, size_t n_v);

/**
 * Why a parameter that no output depends on (net_live) is in the model at all: the reference stores it. @p param is
 * its full name, "encoder._conv_head.weight". NULL when the zoo knows no reason: a mistake in the zoo.
 */
const char *zoo_unused_reason(const struct zoo_model *m, const char *param);

#endif
