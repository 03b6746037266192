/*
 * loss: what a picture is compared by, as nets: the weighted perceptual loss that trains, the metrics that rank, and
 * the judge, a trained network that ranks as people do. All take "pred" and "target"; exec runs them like any other
 * net. Nothing here knows of tensors.
 *
 *     struct net *n;
 *     TRY(loss_build(&n, &(struct loss_options){.height = 256, .width = 256, .pixel_weight = 1,
 *                                               .feature_weights = {1, 1, 1, 1}, .n_feature = 4}));
 */
#ifndef SWEEP_LOSS_H
#define SWEEP_LOSS_H

#include "net.h"

enum { LOSS_MAX_BLOCKS = 8, LOSS_MAX_SCALES = 5 };

/** Zero weights mean that the term is absent. */
struct loss_options {
    const char *network; /* any backbone of the zoo; NULL: vgg16 */
    int height, width;   /* of pred and target */
    double pixel_weight;
    double gram_scale; /* of every Gram term, beside its own squared weight */
    double feature_weights[LOSS_MAX_BLOCKS], gram_weights[LOSS_MAX_BLOCKS]; /* by block, shallow to deep */
    int n_feature, n_gram;
    int size; /* shorter side, in pixels, that the loss network sees (bilinear); 0: as is */
};

/**
 * The weighted-Gram perceptual loss: pixel_weight L1(pred, target) + sum over blocks k of feature_weights[k] L1(F, F')
 * + gram_weights[k]^2 gram_scale L1(Gram F, Gram F'), F and F' the loss network's features of pred and target.
 * Block k is the k-th of the backbone's taps that is computed (a tap that is the input itself is no block); for vgg16
 * blocks 0..3 are the cuts after relu1_2, relu2_2, relu3_3 and relu4_3. Nothing deeper than the deepest block in use
 * is computed. Run it in eval mode with its parameters frozen: they are the backbone's own ("features.0.weight").
 * Shape:  inputs "pred", "target" [N,3,H,W], ImageNet-normalised -> outputs []: "total" and its weighted terms "pixel"
 *         (also at weight 0), "feature.K", "gram.K".
 * Errors: STATUS_ARG: unknown network, more weights than it has blocks, sizes it cannot take.
 * Owner:  the caller, net_free.
 * Source: arXiv:1603.08155 and its weighted form in fast.ai's lessons.
 */
struct status loss_build(struct net **out, const struct loss_options *o);

/** One picture metric. Table order is output order; the last row has a NULL name. */
struct loss_metric {
    const char *name;
    net_val (*build)(struct net *n, net_val pred, net_val target); /* [N,3,H,W] in 0..1 -> [N] */
    const char *doc;
};
extern const struct loss_metric loss_metrics[];

/**
 * Every metric of the table at once, image by image.
 * Shape:  inputs "pred", "target" [N,3,H,W] -> one output [N] a metric, by its name.
 * Range:  0..1; or normalised by @p mean and @p std, when these are given: mapped back and clipped first.
 * Errors: STATUS_ARG when a side is below 11 pixels, the window of SSIM.
 * Owner:  the caller, net_free.
 */
struct status loss_metrics_build(struct net **out, int height, int width, const float mean[3], const float std[3]);

/** Normalised pictures back to 0..1, clipped as a screen would. */
net_val loss_shown(struct net *n, net_val x, const float mean[3], const float std[3]);

/** What a judge is: a trained network of the zoo that no cell's loss chooses, so that cells of all losses compare. */
struct loss_judge_options {
    const char *network;
    int height, width;
    const float *mean, *std; /* of pred and target */
    bool taps;               /* also the distances of each tap */
};

/**
 * Distances of two pictures in the features of a judge, at its five taps; the pictures are clipped first. Distance of
 * features: each pixel's channels made a vector of length 1, the squared difference, summed over channels, mean over
 * pixels. Distance of styles: the absolute difference of the Gram matrices over the sum of the target's.
 * Shape:  inputs "pred", "target" [N,3,H,W], normalised -> [N] "feature_distance", "style_distance" (means over the
 *         taps; with .taps also each, "feature_distance.1" on), and [N,D,1,1] the two of loss_judge_pooled: means over
 *         the picture of taps 3, 4 and 5, for loss_kid. Parameters: the backbone's own.
 * Errors: STATUS_ARG: unknown network, a size that it cannot take.
 * Owner:  the caller, net_free.
 * Source: arXiv:1801.03924 without its learnt weights; arXiv:1508.06576.
 */
struct status loss_judge_build(struct net **out, const struct loss_judge_options *o);
extern const char *const loss_judge_pooled[2]; /* names of the outputs, pred's and target's */

struct loss_kid {
    double kid, deviation; /* of a bootstrap over the images; not a number for fewer than two */
};
/** Kernel distance of two sets of @p n pictures: the unbiased squared discrepancy, kernel (x.y/d + 1)^3, of their
 * pooled features [n,d]. May be below 0. Source: arXiv:1801.01401. */
struct loss_kid loss_kid(const float *pred, const float *target, int n, int d);

/** Scales that MS-SSIM uses at this size: 5, fewer where the smallest would be under its 11-pixel window. */
int loss_ms_ssim_scales(int height, int width);

#endif
