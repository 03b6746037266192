/*
 * Every op of ops.def against a plain loop that computes one element at a time, in float64, and again in bfloat16 with
 * channels last; gradients to inputs and parameters against finite differences. An op without a case fails.
 */
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
    TEST_OK(tensor_from_host(&wide, TENSOR_F64, 4, in_dims, s->in[which], tensor_cpu()));
    TEST_OK(tensor_to_dtype(&s->x[which], wide, exec_options_of(s->exec)->compute));
    tensor_free(wide);
}

static void open_case(struct setup *s, enum net_op op, enum tensor_dtype compute, bool channels_last)
{
    *s = (struct setup){.net = net_new()};
    net_val x = net_input(s->net, "x", C, H, W), y = net_input(s->net, "y", C, H, W);
    s->made = cases[op].build ? cases[op].build(s->net, x, y) : net_unary(s->net, op, x);
    net_output(s->net, "out", s->made);
    TEST_OK(net_finish(s->net));
    CU_ASSERT_EQUAL(s->net->nodes[s->made].op, op);
    TEST_OK(exec_new(&s->exec, s->net, &(struct exec_options){.compute = compute, .channels_last = channels_last}));
    TEST_OK(exec_fill_parity(s->exec));
    for (int w = 0; w < 2; w++) {
        for (int k = 0; k < N * C * H * W; k++) {
            double v = exec_parity_image(w ? "target" : "pred", k);
            s->in[w][k] = cases[op].positive ? 1.5 + v / 4 : 2 * v;
            if (compute == TENSOR_BF16) s->in[w][k] = round(s->in[w][k] * 64) / 64; /* exact in bfloat16's 8 bits */
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

static struct seen look(const struct setup *s, const struct net_values *v, bool train)
{
    struct seen seen = {.in = {s->in[0], s->in[1]}, .node = &s->net->nodes[s->made], .train = train};
    for (int p = 0; p < seen.node->n_param; p++) seen.param[p] = v->v[seen.node->param[p]];
    return seen;
}

/** Compares the whole result; tolerance is of its largest magnitude. */
static void compare(struct setup *s, enum net_op op, const struct exec_mode *mode, double tolerance)
{
    struct tensor *out;
    struct net_values values;
    TEST_OK(exec_values(&values, s->exec)); /* before the run: training moves running statistics */
    struct seen seen = look(s, &values, mode->train);
    TEST_OK(exec_run(s->exec, mode, s->x, &out));
    int64_t n = tensor_numel(out), d[4] = {1, 1, 1, 1};
    int rank = tensor_rank(out);
    for (int k = 0; k < rank; k++) d[k] = tensor_dim(out, k);
    double *got = mem_alloc((size_t)n * sizeof *got), most = 0, worst = 0;
    TEST_OK(tensor_to_f64(out, got));
    for (int64_t k = 0; k < n; k++) {
        int64_t i[] = {k / (d[1] * d[2] * d[3]), k / (d[2] * d[3]) % d[1], k / d[3] % d[2], k % d[3]};
        double want = cases[op].ref(&seen, i);
        most = fmax(most, fabs(want));
        worst = test_worst(worst, got[k] - want);
    }
    if (worst > tolerance * most) fprintf(stderr, "%s: off by %g of %g\n", net_ops[op].name, worst, most);
    CU_ASSERT(worst <= tolerance * most);
    free(got);
    net_values_free(&values);
    tensor_free(out);
}

static void exec_ops__every_op_has_a_case(void)
{
    for (int op = 0; op < NET_N_OPS; op++) {
        bool covered = op == NET_INPUT || cases[op].ref;
        if (!covered) fprintf(stderr, "%s has no case\n", net_ops[op].name);
        CU_ASSERT(covered);
    }
}

static void exec_ops__float64_equals_plain_loops(void)
{
    for (int op = 0; op < NET_N_OPS; op++) {
        if (!cases[op].ref) continue;
        struct setup s;
        open_case(&s, (enum net_op)op, TENSOR_F64, false);
        compare(&s, (enum net_op)op, &(struct exec_mode){0}, 1e-12);
        compare(&s, (enum net_op)op, &(struct exec_mode){.train = true, .no_dropout = true}, 1e-12);
        close_case(&s);
    }
}

static void exec_ops__low_precision_and_layout_change_little(void)
{
    for (int op = 0; op < NET_N_OPS; op++) {
        if (!cases[op].ref) continue;
        struct setup s;
        open_case(&s, (enum net_op)op, TENSOR_F32, true);
        compare(&s, (enum net_op)op, &(struct exec_mode){0}, 2e-6);
        close_case(&s);
        open_case(&s, (enum net_op)op, TENSOR_BF16, true);
        compare(&s, (enum net_op)op, &(struct exec_mode){0}, 0.012);
        close_case(&s);
    }
}

/* ---- gradients --------------------------------------------------------------------------------------------------- */

/** sum over k of cos(k) out[k]: a scalar that every element of the result moves differently. */
static struct tensor *scalar_of(struct setup *s, bool grad)
{
    struct tensor *out, *weights, *product, *sum;
    struct exec_mode mode = {.train = true, .no_dropout = true, .grad = grad};
    TEST_OK(exec_run(s->exec, &mode, s->x, &out));
    int rank = tensor_rank(out);
    int64_t n = tensor_numel(out), dims[NET_MAX_RANK];
    for (int d = 0; d < rank; d++) dims[d] = tensor_dim(out, d);
    double *w = mem_alloc((size_t)n * sizeof *w);
    for (int64_t k = 0; k < n; k++) w[k] = cos((double)k);
    TEST_OK(tensor_from_host(&weights, TENSOR_F64, rank, dims, w, tensor_cpu()));
    TEST_OK(tensor_binary(&product, TENSOR_MUL, out, weights));
    TEST_OK(tensor_sum(&sum, product, (1U << rank) - 1, false));
    tensor_free(out);
    tensor_free(weights);
    tensor_free(product);
    free(w);
    return sum;
}

static double value_of(struct setup *s)
{
    double v;
    struct tensor *t = scalar_of(s, false);
    TEST_OK(tensor_item(&v, t));
    tensor_free(t);
    return v;
}

static double grad_at(const struct tensor *t, int64_t k)
{
    struct tensor *g;
    TEST_OK(tensor_grad(&g, t));
    if (!g) return 0;
    double *v = mem_alloc((size_t)tensor_numel(g) * sizeof *v), one;
    TEST_OK(tensor_to_f64(g, v));
    one = v[k];
    free(v);
    tensor_free(g);
    return one;
}

static void check_slope(const char *op, const char *what, double analytic, double up, double down, double step)
{
    double numeric = (up - down) / (2 * step);
    bool near = fabs(analytic - numeric) <= 1e-6 * (1 + fabs(numeric));
    if (!near) fprintf(stderr, "%s: d/d %s: %g, by differences %g\n", op, what, analytic, numeric);
    CU_ASSERT(near);
}

static void check_inputs(struct setup *s, const char *op, const double step)
{
    for (int w = 0; w < 2; w++)
        for (int64_t k = 3 + w; k < N * C * H * W; k += 53) {
            double was = s->in[w][k], analytic = grad_at(s->x[w], k), v[2];
            struct tensor *kept = s->x[w];
            s->x[w] = NULL;
            for (int side = 0; side < 2; side++) {
                s->in[w][k] = was + (side ? -step : step);
                feed(s, w);
                v[side] = value_of(s);
            }
            s->in[w][k] = was;
            tensor_free(s->x[w]);
            s->x[w] = kept;
            check_slope(op, w ? "y" : "x", analytic, v[0], v[1], step);
        }
}

static void check_params(struct setup *s, const char *op, const double step)
{
    for (int p = 0; p < s->net->n_params; p++) {
        if (s->net->params[p].kind != NET_WEIGHT) continue;
        struct tensor *t = exec_param(s->exec, p);
        int64_t n = tensor_numel(t), k = n / 2;
        double *v = mem_alloc((size_t)n * sizeof *v), analytic = grad_at(t, k), f[2];
        TEST_OK(tensor_to_f64(t, v));
        for (int side = 0; side < 2; side++) {
            v[k] += side ? -2 * step : step;
            TEST_OK(tensor_set_f64_in(t, v));
            f[side] = value_of(s);
        }
        v[k] += step;
        TEST_OK(tensor_set_f64_in(t, v));
        free(v);
        check_slope(op, s->net->params[p].name, analytic, f[0], f[1], step);
    }
}

static void exec_ops__gradients_equal_finite_differences(void)
{
    for (int op = 0; op < NET_N_OPS; op++) {
        if (!cases[op].ref) continue;
        struct setup s;
        open_case(&s, (enum net_op)op, TENSOR_F64, true);
        for (int w = 0; w < 2; w++) TEST_OK(tensor_want_grad_in(s.x[w], true));
        struct tensor *sum = scalar_of(&s, true);
        TEST_OK(tensor_backward(sum, 1));
        tensor_free(sum);
        check_inputs(&s, net_ops[op].name, 1e-6);
        check_params(&s, net_ops[op].name, 1e-6);
        close_case(&s);
    }
}

static const struct test tests[] = {
    TEST(exec_ops__every_op_has_a_case),
    TEST(exec_ops__float64_equals_plain_loops),
    TEST(exec_ops__low_precision_and_layout_change_little),
    TEST(exec_ops__gradients_equal_finite_differences),
};
TEST_MAIN("exec.ops", tests)
