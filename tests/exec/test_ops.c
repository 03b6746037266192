/*
 * Every op of ops.def against a plain loop that computes one element at a time, in float64, and again in bfloat16 with
 * channels last; gradients to inputs and parameters against finite differences. An op without a case fails.
 */
#include "cases.h"

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
        open_case(&s, (enum net_op)op, &(struct exec_options){.compute = TENSOR_F64, .device = test_device()});
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
        open_case(&s, (enum net_op)op,
                  &(struct exec_options){.compute = TENSOR_F32, .channels_last = true, .device = test_device()});
        compare(&s, (enum net_op)op, &(struct exec_mode){0}, 2e-6);
        close_case(&s);
        open_case(&s, (enum net_op)op,
                  &(struct exec_options){.compute = TENSOR_BF16, .channels_last = true, .device = test_device()});
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
    TEST_OK(tensor_from_host(&weights, TENSOR_F64, rank, dims, w, s->device));
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
        open_case(&s, (enum net_op)op,
                  &(struct exec_options){.compute = TENSOR_F64, .channels_last = true, .device = test_device()});
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
