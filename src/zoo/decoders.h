/* What a decoder is, inside the room: a row of facts and needs, and a function from features to a feature. */
#ifndef SWEEP_ZOO_DECODERS_H
#define SWEEP_ZOO_DECODERS_H

#include "zoo.h"

struct zoo_decoder {
    const char *name, *source;
    /* The model's zero options are filled in with the row's defaults before the call. */
    net_val (*build)(struct net *n, const struct zoo_features *f, const struct zoo_model *m);
    int depth, head_kernel;
    int n_channels, channels[5]; /* widths: how many options, and their defaults; 5: one a level */
    int channels_step;           /* the last width is a multiple of it; 0: any */
    unsigned strides;            /* output strides it takes, 8 | 16 | 32 */
    int output_stride;           /* default */
    bool any_size;               /* else sides divisible by the deepest feature's stride */
    int min_map;                 /* least side of the deepest feature; 0: 1 */
    const char *interpolation;   /* default; NULL: not an option */
    const char *merge;           /* likewise */
    bool attention;              /* takes attention: scse */
    double dropout;              /* default; 0: not an option */
    enum net_init_rule init, head_init;
    const char *unused[3]; /* glob patterns of parameters that are stored and never used, and why (the last) */
};

extern const struct zoo_decoder zoo_unet, zoo_unetplusplus, zoo_fpn, zoo_linknet, zoo_pspnet, zoo_deeplabv3,
    zoo_deeplabv3plus, zoo_manet, zoo_pan;

/** Convolution without bias, batch norm, ReLU under SCOPE.0, SCOPE.1. */
net_val zoo_conv_bn_relu(struct net *n, const char *scope, net_val x, int out, int k);
/** Two 3x3 of them under conv1, conv2, around them scse attention when asked; @p skip may be NET_NONE. */
net_val zoo_unet_block(struct net *n, net_val x, net_val skip, int out, const struct zoo_model *m);
/** To a size: nearest, or bilinear on pixel centres. */
net_val zoo_resize(struct net *n, net_val x, int h, int w, const char *interpolation);

#endif
