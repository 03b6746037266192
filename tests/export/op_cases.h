/* A net around every operation that can be exported, in the forms that differ. */
#ifndef SWEEP_TEST_OP_CASES_H
#define SWEEP_TEST_OP_CASES_H

#include "net.h"
#include "test.h"
#include <math.h>

/* Builds on x [1,6,9,12]; the result becomes the output. */
typedef net_val build_fn(struct net *n, net_val x);

/* clang-format off */
#define CASE(name, expr) static net_val name(struct net *n, net_val x) { return expr; }
CASE(conv_plain, net_conv2d(n, "c", x, 5, (struct net_conv){.k = 3, .pad = 1, .bias = true}))
CASE(conv_strided, net_conv2d(n, "c", x, 4, (struct net_conv){.k = 3, .stride = 2, .pads = {0, 1, 1, 0}}))
CASE(conv_dilated, net_conv2d(n, "c", x, 6, (struct net_conv){.k = 3, .pad = 2, .dil = 2, .groups = 3}))
CASE(conv_depthwise_same, net_conv2d(n, "c", x, 6, (struct net_conv){.k = 5, .stride = 2, .same = true, .groups = 6}))
CASE(conv_oblong, net_conv2d(n, "c", x, 3, (struct net_conv){.kh = 1, .kw = 5, .pw = 2, .sh = 2, .bias = true}))
CASE(conv_constant, net_filter(n, x, 2, 3, (const float[]){.1f, .2f, -.3f, .4f, .5f, -.6f}))
CASE(conv_t, net_conv_transpose2d(n, "c", x, 4, (struct net_conv){.k = 4, .stride = 2, .pad = 1, .bias = true}))
CASE(conv_t_groups, net_conv_transpose2d(n, "c", x, 4, (struct net_conv){.k = 3, .stride = 2, .pad = 1, .out_pad = 1, .groups = 2}))
CASE(bn_lone, net_batch_norm(n, "bn", x, (struct net_norm){.eps = 1e-3}))
CASE(bn_folded, net_batch_norm(n, "bn", net_conv2d(n, "c", x, 4, (struct net_conv){.k = 3, .bias = true}), (struct net_norm){0}))
CASE(bn_folded_transposed, net_batch_norm(n, "bn", net_conv_transpose2d(n, "c", x, 4, (struct net_conv){.k = 2, .stride = 2, .groups = 2}), (struct net_norm){0}))
CASE(gn, net_group_norm(n, "gn", x, (struct net_norm){.groups = 3}))
CASE(channels, net_channel_affine(n, x, (const float[]){1, 2, 3, -1, -2, .5f}, (const float[]){0, 1, 2, 3, 4, 5}))
CASE(relu, net_relu(n, x))
CASE(relu6, net_relu6(n, net_affine(n, x, 5, 0)))
CASE(silu, net_silu(n, x))
CASE(hardswish, net_hardswish(n, net_affine(n, x, 2, 0)))
CASE(sigmoid, net_sigmoid(n, x))
CASE(hardsigmoid, net_hardsigmoid(n, net_affine(n, x, 2, 0)))
CASE(tanh_, net_tanh(n, x))
CASE(round_, net_round(n, net_affine(n, x, 40, 0)))
CASE(clamp, net_clamp(n, x, -1, 0.5))
CASE(clamp_below, net_clamp(n, x, 0.25, (double)INFINITY))
CASE(clamp_above, net_clamp(n, x, -(double)INFINITY, 0.25))
CASE(softmax_1, net_softmax(n, x, 1))
CASE(softmax_3, net_softmax(n, x, 3))
CASE(log_softmax, net_log_softmax(n, x, 2))
CASE(max_pool, net_max_pool(n, x, (struct net_pool){.k = 3, .stride = 2, .pad = 1}))
CASE(max_pool_ceil, net_max_pool(n, x, (struct net_pool){.k = 3, .stride = 2, .ceil = true}))
CASE(max_pool_ceil_pad, net_max_pool(n, x, (struct net_pool){.k = 2, .stride = 2, .pad = 1, .ceil = true}))
CASE(avg_pool, net_avg_pool(n, x, (struct net_pool){.k = 2}))
CASE(avg_pool_pad, net_avg_pool(n, x, (struct net_pool){.k = 3, .stride = 2, .pad = 1}))
CASE(avg_pool_count, net_avg_pool(n, x, (struct net_pool){.k = 3, .stride = 2, .pad = 1, .count_pad = true}))
CASE(avg_pool_ceil, net_avg_pool(n, x, (struct net_pool){.k = 2, .stride = 2, .ceil = true}))
CASE(avg_pool_ceil_count, net_avg_pool(n, x, (struct net_pool){.k = 3, .stride = 2, .pad = 1, .ceil = true, .count_pad = true}))
CASE(adaptive_1, net_adaptive_avg_pool(n, x, 1, 1))
CASE(adaptive_even, net_adaptive_avg_pool(n, x, 3, 6))
CASE(adaptive_uneven, net_adaptive_avg_pool(n, x, 2, 5))
CASE(adaptive_larger, net_adaptive_avg_pool(n, x, 12, 18))
CASE(pad, net_pad(n, x, 1, 2, 3, 0))
CASE(nearest_2, net_upsample_nearest(n, x, 18, 24))
CASE(nearest_mixed, net_upsample_nearest(n, x, 27, 24))
CASE(nearest_broken, net_upsample_nearest(n, x, 15, 20))
CASE(nearest_smaller, net_upsample_nearest(n, x, 5, 7))
CASE(bilinear_2, net_upsample_bilinear(n, x, 18, 24, false))
CASE(bilinear_broken, net_upsample_bilinear(n, x, 14, 31, false))
CASE(bilinear_smaller, net_upsample_bilinear(n, x, 5, 7, false))
CASE(bilinear_corners, net_upsample_bilinear(n, x, 18, 24, true))
CASE(bilinear_corners_broken, net_upsample_bilinear(n, x, 25, 13, true))
CASE(bilinear_of_one, net_upsample_bilinear(n, net_adaptive_avg_pool(n, x, 1, 1), 9, 12, true))
CASE(concat, net_concat(n, ((net_val[]){x, net_relu(n, x), net_slice(n, x, 1, 2)}), 3))
CASE(slice, net_slice(n, x, 2, 3))
CASE(add, net_add(n, x, net_sigmoid(n, x)))
CASE(add_rows, net_add(n, x, net_mean(n, x, 1u << 3, true)))
CASE(mul_gate, net_mul(n, x, net_sigmoid(n, net_adaptive_avg_pool(n, x, 1, 1))))
CASE(affine, net_affine(n, x, -1.5, 0.25))
CASE(affine_scale, net_affine(n, x, 2, 0))
CASE(affine_shift, net_affine(n, x, 1, 3))
CASE(affine_none, net_affine(n, x, 1, 0))
CASE(reshape, net_reshape(n, x, 2, ((const int64_t[]){12, -1})))
CASE(transpose, net_transpose(n, x, 1, 3))
CASE(matmul, net_matmul(n, net_softmax(n, net_reshape(n, x, 2, ((const int64_t[]){6, 108})), 2), net_transpose(n, net_reshape(n, x, 2, ((const int64_t[]){6, 108})), 1, 2)))
CASE(sum_keep, net_sum(n, x, 1u << 1, true))
CASE(sum_drop, net_sum(n, x, 1u << 2 | 1u << 3, false))
CASE(mean_keep, net_mean(n, x, 1u << 2 | 1u << 3, true))
CASE(mean_drop, net_mean(n, x, 1u << 1, false))
CASE(dropout, net_relu(n, net_dropout(n, x, 0.5)))
CASE(dropout2d, net_relu(n, net_dropout2d(n, x, 0.5)))
CASE(drop_path, net_add(n, x, net_drop_path(n, net_relu(n, x), 0.5)))
CASE(input_out, net_failed(n) ? NET_NONE : x)

static const struct {
    enum net_op op;
    const char *name;
    build_fn *build;
} cases[] = {
#define ROW(op, f) {NET_##op, #f, f}
    ROW(INPUT, input_out),
    ROW(CONV2D, conv_plain), ROW(CONV2D, conv_strided), ROW(CONV2D, conv_dilated), ROW(CONV2D, conv_depthwise_same),
    ROW(CONV2D, conv_oblong), ROW(CONV2D, conv_constant),
    ROW(CONV_TRANSPOSE2D, conv_t), ROW(CONV_TRANSPOSE2D, conv_t_groups),
    ROW(BATCH_NORM, bn_lone), ROW(BATCH_NORM, bn_folded), ROW(BATCH_NORM, bn_folded_transposed),
    ROW(GROUP_NORM, gn), ROW(CHANNEL_AFFINE, channels),
    ROW(RELU, relu), ROW(RELU6, relu6), ROW(SILU, silu), ROW(HARDSWISH, hardswish), ROW(SIGMOID, sigmoid),
    ROW(HARDSIGMOID, hardsigmoid), ROW(TANH, tanh_), ROW(ROUND, round_),
    ROW(CLAMP, clamp), ROW(CLAMP, clamp_below), ROW(CLAMP, clamp_above),
    ROW(SOFTMAX, softmax_1), ROW(SOFTMAX, softmax_3), ROW(LOG_SOFTMAX, log_softmax),
    ROW(MAX_POOL, max_pool), ROW(MAX_POOL, max_pool_ceil), ROW(MAX_POOL, max_pool_ceil_pad),
    ROW(AVG_POOL, avg_pool), ROW(AVG_POOL, avg_pool_pad), ROW(AVG_POOL, avg_pool_count), ROW(AVG_POOL, avg_pool_ceil),
    ROW(AVG_POOL, avg_pool_ceil_count),
    ROW(ADAPTIVE_AVG_POOL, adaptive_1), ROW(ADAPTIVE_AVG_POOL, adaptive_even), ROW(ADAPTIVE_AVG_POOL, adaptive_uneven),
    ROW(ADAPTIVE_AVG_POOL, adaptive_larger),
    ROW(PAD, pad),
    ROW(UPSAMPLE_NEAREST, nearest_2), ROW(UPSAMPLE_NEAREST, nearest_mixed), ROW(UPSAMPLE_NEAREST, nearest_broken),
    ROW(UPSAMPLE_NEAREST, nearest_smaller),
    ROW(UPSAMPLE_BILINEAR, bilinear_2), ROW(UPSAMPLE_BILINEAR, bilinear_broken), ROW(UPSAMPLE_BILINEAR, bilinear_smaller),
    ROW(UPSAMPLE_BILINEAR, bilinear_corners), ROW(UPSAMPLE_BILINEAR, bilinear_corners_broken),
    ROW(UPSAMPLE_BILINEAR, bilinear_of_one),
    ROW(CONCAT, concat), ROW(SLICE, slice), ROW(ADD, add), ROW(ADD, add_rows), ROW(MUL, mul_gate),
    ROW(AFFINE, affine), ROW(AFFINE, affine_scale), ROW(AFFINE, affine_shift), ROW(AFFINE, affine_none),
    ROW(RESHAPE, reshape), ROW(TRANSPOSE, transpose), ROW(MATMUL, matmul),
    ROW(SUM, sum_keep), ROW(SUM, sum_drop), ROW(MEAN, mean_keep), ROW(MEAN, mean_drop),
    ROW(DROPOUT, dropout), ROW(DROPOUT2D, dropout2d), ROW(DROP_PATH, drop_path),
};
/* clang-format on */

static struct net *build(build_fn *f)
{
    struct net *n = net_new();
    net_val x = net_input(n, "input", 6, 9, 12);
    net_output(n, "output", f(n, x));
    TEST_OK(net_finish(n));
    return n;
}

#endif
