/* Every op of ops.def as a net of its own, on the device and in the dtype that a test asks for. */
#ifndef SWEEP_TEST_OP_CASES_H
#define SWEEP_TEST_OP_CASES_H

#include "device.h"
#include "refs.h"
#include "test.h"

/* ---- builders ---------------------------------------------------------------------------------------------------- */

static const float four[] = {0.5F, -1.25F, 2, 1}, shifts[] = {0.25F, 0, -1, 3};

/* clang-format off */
static net_val b_conv(struct net *n, net_val x, net_val y) { (void)y; return net_conv2d(n, "c", x, 6, (struct net_conv){.kh = 3, .kw = 2, .stride = 2, .pads = {1, 0, 2, 1}, .groups = 2, .bias = true}); }
static net_val b_conv_t(struct net *n, net_val x, net_val y) { (void)y; return net_conv_transpose2d(n, "c", x, 3, (struct net_conv){.k = 4, .stride = 2, .pad = 1, .bias = true}); }
static net_val b_bn(struct net *n, net_val x, net_val y) { (void)y; return net_batch_norm(n, "b", x, (struct net_norm){0}); }
static net_val b_gn(struct net *n, net_val x, net_val y) { (void)y; return net_group_norm(n, "g", x, (struct net_norm){.groups = 2}); }
static net_val b_ca(struct net *n, net_val x, net_val y) { (void)y; return net_channel_affine(n, x, four, shifts); }
static net_val b_clamp(struct net *n, net_val x, net_val y) { (void)y; return net_clamp(n, x, -0.5, 0.75); }
static net_val b_pow(struct net *n, net_val x, net_val y) { (void)y; return net_pow(n, x, 0.7); }
static net_val b_affine(struct net *n, net_val x, net_val y) { (void)y; return net_affine(n, x, 1.5, -0.25); }
static net_val b_softmax(struct net *n, net_val x, net_val y) { (void)y; return net_softmax(n, x, 1); }
static net_val b_log_softmax(struct net *n, net_val x, net_val y) { (void)y; return net_log_softmax(n, x, 1); }
static net_val b_max(struct net *n, net_val x, net_val y) { (void)y; return net_max_pool(n, x, (struct net_pool){.k = 3, .stride = 2, .pad = 1}); }
static net_val b_avg(struct net *n, net_val x, net_val y) { (void)y; return net_avg_pool(n, x, (struct net_pool){.k = 3, .stride = 2, .pad = 1}); }
static net_val b_adaptive(struct net *n, net_val x, net_val y) { (void)y; return net_adaptive_avg_pool(n, x, 3, 2); }
static net_val b_pad(struct net *n, net_val x, net_val y) { (void)y; return net_pad(n, x, 1, 2, 0, 3); }
static net_val b_nearest(struct net *n, net_val x, net_val y) { (void)y; return net_upsample_nearest(n, x, 12, 15); }
static net_val b_bilinear(struct net *n, net_val x, net_val y) { (void)y; return net_upsample_bilinear(n, x, 9, 10, false); }
static net_val b_concat(struct net *n, net_val x, net_val y) { return net_concat(n, (net_val[]){x, y}, 2); }
static net_val b_slice(struct net *n, net_val x, net_val y) { (void)y; return net_slice(n, x, 1, 2); }
static net_val b_reshape(struct net *n, net_val x, net_val y) { (void)y; return net_reshape(n, x, 2, (int64_t[]){C, -1}); }
static net_val b_transpose(struct net *n, net_val x, net_val y) { (void)y; return net_transpose(n, x, 2, 3); }
static net_val b_matmul(struct net *n, net_val x, net_val y) { return net_matmul(n, net_reshape(n, x, 2, (int64_t[]){C, H * W}), net_reshape(n, y, 2, (int64_t[]){H * W, C})); }
static net_val b_sum(struct net *n, net_val x, net_val y) { (void)y; return net_sum(n, x, 1U << 2 | 1U << 3, true); }
static net_val b_mean(struct net *n, net_val x, net_val y) { (void)y; return net_mean(n, x, 1U << 2 | 1U << 3, true); }
static net_val b_dropout(struct net *n, net_val x, net_val y) { (void)y; return net_dropout(n, x, 0.5); }
static net_val b_dropout2d(struct net *n, net_val x, net_val y) { (void)y; return net_dropout2d(n, x, 0.5); }
static net_val b_drop_path(struct net *n, net_val x, net_val y) { (void)y; return net_drop_path(n, x, 0.5); }
static net_val b_gram(struct net *n, net_val x, net_val y) { (void)y; return net_gram(n, x); }

/* build NULL: an op without attributes, of one input. */
static const struct op_case {
    net_val (*build)(struct net *n, net_val x, net_val y);
    double (*ref)(const struct seen *s, const int64_t *i);
    bool positive; /* inputs in 1..2 */
} cases[NET_N_OPS] = {
    [NET_CONV2D] = {.build = b_conv, .ref = ref_conv},
    [NET_CONV_TRANSPOSE2D] = {.build = b_conv_t, .ref = ref_conv_transpose},
    [NET_BATCH_NORM] = {.build = b_bn, .ref = ref_batch_norm},
    [NET_GROUP_NORM] = {.build = b_gn, .ref = ref_group_norm},
    [NET_CHANNEL_AFFINE] = {.build = b_ca, .ref = ref_channel_affine},
    [NET_RELU] = {.ref = ref_relu},
    [NET_RELU6] = {.ref = ref_relu6},
    [NET_SILU] = {.ref = ref_silu},
    [NET_HARDSWISH] = {.ref = ref_hardswish},
    [NET_SIGMOID] = {.ref = ref_sigmoid},
    [NET_HARDSIGMOID] = {.ref = ref_hardsigmoid},
    [NET_TANH] = {.ref = ref_tanh},
    [NET_ROUND] = {.ref = ref_round},
    [NET_CLAMP] = {.build = b_clamp, .ref = ref_clamp},
    [NET_SOFTMAX] = {.build = b_softmax, .ref = ref_softmax},
    [NET_LOG_SOFTMAX] = {.build = b_log_softmax, .ref = ref_log_softmax},
    [NET_MAX_POOL] = {.build = b_max, .ref = ref_max_pool},
    [NET_AVG_POOL] = {.build = b_avg, .ref = ref_avg_pool},
    [NET_ADAPTIVE_AVG_POOL] = {.build = b_adaptive, .ref = ref_adaptive},
    [NET_PAD] = {.build = b_pad, .ref = ref_pad},
    [NET_UPSAMPLE_NEAREST] = {.build = b_nearest, .ref = ref_nearest},
    [NET_UPSAMPLE_BILINEAR] = {.build = b_bilinear, .ref = ref_bilinear},
    [NET_CONCAT] = {.build = b_concat, .ref = ref_concat},
    [NET_SLICE] = {.build = b_slice, .ref = ref_slice},
    [NET_ADD] = {.build = net_add, .ref = ref_add},
    [NET_MUL] = {.build = net_mul, .ref = ref_mul},
    [NET_AFFINE] = {.build = b_affine, .ref = ref_affine},
    [NET_RESHAPE] = {.build = b_reshape, .ref = ref_reshape},
    [NET_TRANSPOSE] = {.build = b_transpose, .ref = ref_transpose},
    [NET_MATMUL] = {.build = b_matmul, .ref = ref_matmul},
    [NET_SUM] = {.build = b_sum, .ref = ref_sum},
    [NET_MEAN] = {.build = b_mean, .ref = ref_mean},
    [NET_DROPOUT] = {.build = b_dropout, .ref = ref_same},
    [NET_DROPOUT2D] = {.build = b_dropout2d, .ref = ref_same},
    [NET_DROP_PATH] = {.build = b_drop_path, .ref = ref_same},
    [NET_SUB] = {.build = net_sub, .ref = ref_sub},
    [NET_DIV] = {.build = net_div, .ref = ref_div, .positive = true},
    [NET_ABS] = {.ref = ref_abs},
    [NET_POW] = {.build = b_pow, .ref = ref_pow, .positive = true},
    [NET_LOG] = {.ref = ref_log, .positive = true},
    [NET_L1] = {.build = net_l1, .ref = ref_l1},
    [NET_GRAM] = {.build = b_gram, .ref = ref_gram},
};
/* clang-format on */

/* ---- running a case ---------------------------------------------------------------------------------------------- */

struct setup {
    struct tensor_device device;
    struct net *net;
    struct exec *exec;
    net_val made; /* by the op under test */
    double in[2][N * C * H * W];
    struct tensor *x[2];
};

static const int64_t in_dims[] = {N, C, H, W};

static void feed(struct setup *s, int which)
{
    struct tensor *wide;
    tensor_free(s->x[which]);
    TEST_OK(tensor_from_host(&wide, TENSOR_F64, 4, in_dims, s->in[which], s->device));
    TEST_OK(tensor_to_dtype(&s->x[which], wide, exec_options_of(s->exec)->compute));
    tensor_free(wide);
}

static void open_case(struct setup *s, enum net_op op, const struct exec_options *o)
{
    *s = (struct setup){.net = net_new(), .device = o->device};
    net_val x = net_input(s->net, "x", C, H, W), y = net_input(s->net, "y", C, H, W);
    s->made = cases[op].build ? cases[op].build(s->net, x, y) : net_unary(s->net, op, x);
    net_output(s->net, "out", s->made);
    TEST_OK(net_finish(s->net));
    CU_ASSERT_EQUAL(s->net->nodes[s->made].op, op);
    TEST_OK(exec_new(&s->exec, s->net, o));
    TEST_OK(exec_fill_parity(s->exec));
    for (int w = 0; w < 2; w++) {
        for (int k = 0; k < N * C * H * W; k++) {
            double v = exec_parity_image(w ? "target" : "pred", k);
            s->in[w][k] = cases[op].positive ? 1.5 + v / 4 : 2 * v;
            if (o->compute == TENSOR_BF16 || o->compute == TENSOR_F16)
                s->in[w][k] = round(s->in[w][k] * 64) / 64; /* exact in bfloat16's 8 bits */
        }
        feed(s, w);
    }
}

static void close_case(struct setup *s)
{
    tensor_free(s->x[0]);
    tensor_free(s->x[1]);
    exec_free(s->exec);
    net_free(s->net);
}

#endif
