/* Picture metrics on 0..1 images, one value an image. */
#include "loss.h"
#include <math.h>

enum { WINDOW = 11, EACH_IMAGE = 1u << 1 | 1u << 2 | 1u << 3, PLANE = 1u << 2 | 1u << 3 };
static const double sigma = 1.5, c1 = 0.01 * 0.01, c2 = 0.03 * 0.03; /* (K1 L)^2, (K2 L)^2 with L = 1 */
static const double scale_weights[LOSS_MAX_SCALES] = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};
static const double mse_least = 1e-10; /* caps PSNR at 100 dB: identical images have a number, not infinity */

static net_val build_l1(struct net *n, net_val pred, net_val target)
{
    return net_mean(n, net_abs(n, net_sub(n, pred, target)), EACH_IMAGE, false);
}

static net_val build_psnr(struct net *n, net_val pred, net_val target)
{
    net_val mse = net_mean(n, net_pow(n, net_sub(n, pred, target), 2), EACH_IMAGE, false);
    return net_affine(n, net_log(n, net_clamp(n, mse, mse_least, 1e9)), -10 / log(10), 0);
}

/** Gaussian window, separable: rows, then columns; no padding. */
static net_val blur(struct net *n, net_val x)
{
    float k[WINDOW];
    double sum = 0;
    for (int i = 0; i < WINDOW; i++) sum += exp(-pow(i - WINDOW / 2, 2) / (2 * sigma * sigma));
    for (int i = 0; i < WINDOW; i++) k[i] = (float)(exp(-pow(i - WINDOW / 2, 2) / (2 * sigma * sigma)) / sum);
    return net_filter(n, net_filter(n, x, WINDOW, 1, k), 1, WINDOW, k);
}

/** (2 a + c) / (b + c) */
static net_val ratio(struct net *n, net_val a, net_val b, double c)
{
    return net_div(n, net_affine(n, a, 2, c), net_affine(n, b, 1, c));
}

/** Mean over each plane of the structure term and of the whole index. Shape: [N,C,H,W] -> [N,C] */
static void ssim_planes(struct net *n, net_val x, net_val y, net_val *structure, net_val *index)
{
    int c = net_c(n, x);
    net_val five = net_concat(n, (net_val[]){x, y, net_mul(n, x, x), net_mul(n, y, y), net_mul(n, x, y)},
                              5); /* one blur instead of five */
    net_val b = blur(n, five);
    net_val mx = net_slice(n, b, 0, c), my = net_slice(n, b, c, c);
    net_val xx = net_slice(n, b, 2 * c, c), yy = net_slice(n, b, 3 * c, c), xy = net_slice(n, b, 4 * c, c);
    net_val mxx = net_mul(n, mx, mx), myy = net_mul(n, my, my), mxy = net_mul(n, mx, my);
    net_val var = net_sub(n, net_add(n, xx, yy), net_add(n, mxx, myy));
    net_val cs = ratio(n, net_sub(n, xy, mxy), var, c2);
    net_val luminance = ratio(n, mxy, net_add(n, mxx, myy), c1);
    *structure = net_mean(n, cs, PLANE, false);
    *index = net_mean(n, net_mul(n, luminance, cs), PLANE, false);
}

static net_val build_ssim(struct net *n, net_val pred, net_val target)
{
    net_val structure, index;
    ssim_planes(n, pred, target, &structure, &index);
    return net_mean(n, index, 1u << 1, false);
}

int loss_ms_ssim_scales(int height, int width)
{
    int side = height < width ? height : width, scales = 1;
    while (scales < LOSS_MAX_SCALES && side / 2 >= WINDOW) {
        side /= 2;
        scales++;
    }
    return scales;
}

static net_val build_ms_ssim(struct net *n, net_val pred, net_val target)
{
    int scales = loss_ms_ssim_scales(net_h(n, pred), net_w(n, pred));
    double sum = 0;
    for (int s = 0; s < scales; s++) sum += scale_weights[s];
    net_val product = NET_NONE;
    for (int s = 0; s < scales; s++) {
        if (s > 0) {
            pred = net_avg_pool(n, pred, (struct net_pool){.k = 2});
            target = net_avg_pool(n, target, (struct net_pool){.k = 2});
        }
        net_val structure, index;
        ssim_planes(n, pred, target, &structure, &index);
        /* a negative mean has no real power: it counts as no similarity */
        net_val kept = net_clamp(n, s + 1 < scales ? structure : index, 0, 1);
        net_val factor = net_pow(n, kept, scale_weights[s] / sum);
        product = s == 0 ? factor : net_mul(n, product, factor);
    }
    return net_mean(n, product, 1u << 1, false);
}

/* clang-format off */
const struct loss_metric loss_metrics[] = {
    {.name = "l1", .build = build_l1, .doc = "mean absolute difference, 0..1"},
    {.name = "psnr", .build = build_psnr, .doc = "peak signal-to-noise ratio in dB, at most 100"},
    {.name = "ssim", .build = build_ssim,
     .doc = "structural similarity: Gaussian window of 11 pixels, sigma 1.5, no padding, mean of the channels"},
    {.name = "ms_ssim", .build = build_ms_ssim,
     .doc = "multi-scale SSIM: 5 scales, fewer (weights renormalised) where the smallest is under 11 pixels"},
    {.name = NULL},
};
/* clang-format on */

net_val loss_shown(struct net *n, net_val x, const float mean[3], const float std[3])
{
    return net_clamp(n, net_channel_affine(n, x, std, mean), 0, 1);
}

struct status loss_metrics_build(struct net **out, int height, int width, const float mean[3], const float std[3])
{
    if (height < WINDOW || width < WINDOW)
        return fail(STATUS_ARG, "metrics: got images of %d x %d pixels, expected at least %d x %d (SSIM's window)",
                    height, width, WINDOW, WINDOW);
    struct net *n = net_new();
    net_val pred = net_input(n, "pred", 3, height, width);
    net_val target = net_input(n, "target", 3, height, width);
    if (std) {
        pred = loss_shown(n, pred, mean, std);
        target = loss_shown(n, target, mean, std);
    }
    for (const struct loss_metric *m = loss_metrics; m->name; m++) net_output(n, m->name, m->build(n, pred, target));
    struct status s = net_finish(n);
    if (s.code == STATUS_OK)
        *out = n;
    else
        net_free(n);
    return s;
}
