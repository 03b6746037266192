/*
 * Every op of ops.def forwards and backwards in fp32, bf16 and fp16 against float64 on the CPU: the dtype of what it
 * gives is the rule's, its values and gradients are near. TEST_DEVICE=cuda runs the low ones there.
 */
#include "cases.h"

/* What a run of one op gave: its output, then the gradients of inputs and parameters, one array after the other. */
struct run {
    double *v;
    int64_t n, ends[8]; /* of each array */
    int n_arrays;
    enum tensor_dtype dtype; /* of the output */
};

static void add(struct run *r, const struct tensor *t)
{
    int64_t n = t ? tensor_numel(t) : 0;
    r->v = mem_realloc(r->v, (size_t)(r->n + n + 1) * sizeof *r->v);
    if (t) TEST_OK(tensor_to_f64(t, r->v + r->n));
    r->n += n;
    CHECK(r->n_arrays < (int)LEN(r->ends), "too many arrays");
    r->ends[r->n_arrays++] = r->n;
}

static void add_gradient(struct run *r, const struct tensor *of)
{
    struct tensor *g;
    TEST_OK(tensor_grad(&g, of));
    add(r, g);
    tensor_free(g);
}

/** Backwards from the output by cos(k) of its element k, which every dtype rounds its own way. */
static void backwards(const struct setup *s, const struct tensor *out)
{
    int rank = tensor_rank(out);
    int64_t n = tensor_numel(out), dims[NET_MAX_RANK];
    struct tensor *wide, *weights;
    double *w = mem_alloc((size_t)n * sizeof *w);
    for (int d = 0; d < rank; d++) dims[d] = tensor_dim(out, d);
    for (int64_t k = 0; k < n; k++) w[k] = round(64 * cos((double)k)) / 64;
    TEST_OK(tensor_from_host(&wide, TENSOR_F64, rank, dims, w, s->device));
    TEST_OK(tensor_to_dtype(&weights, wide, tensor_dtype_of(out)));
    TEST_OK(tensor_backward_from(out, weights));
    tensor_free(wide);
    tensor_free(weights);
    free(w);
}

static struct run run_op(enum net_op op, enum tensor_dtype compute, const struct setup *as, struct tensor_device device)
{
    struct setup s;
    struct run r = {.n = 0};
    struct tensor *out = NULL;
    struct exec_mode mode = {.train = true, .no_dropout = true, .grad = true};
    open_case(&s, op, &(struct exec_options){.compute = compute, .channels_last = true, .device = device});
    for (int w = 0; w < 2; w++) {
        if (as) memcpy(s.in[w], as->in[w], sizeof s.in[w]);
        feed(&s, w);
        TEST_OK(tensor_want_grad_in(s.x[w], true));
    }
    TEST_OK(exec_run(s.exec, &mode, s.x, &out));
    if (out) {
        r.dtype = tensor_dtype_of(out);
        add(&r, out);
        backwards(&s, out);
        for (int w = 0; w < 2; w++) add_gradient(&r, s.x[w]);
        for (int p = 0; p < s.net->n_params; p++)
            if (s.net->params[p].kind == NET_WEIGHT) add_gradient(&r, exec_param(s.exec, p));
    }
    tensor_free(out);
    close_case(&s);
    return r;
}

/** The dtype that an op gives in compute dtype @p low from operands of it: the rules of exec's table. */
static enum tensor_dtype expected(enum net_op op, enum tensor_dtype low)
{
    bool wide = op == NET_LOG || op == NET_POW || op == NET_L1 || op == NET_GRAM || op == NET_CHANNEL_AFFINE;
    return wide && low != TENSOR_F64 ? TENSOR_F32 : low;
}

static void compare(enum net_op op, enum tensor_dtype low, double tolerance)
{
    struct setup inputs;
    open_case(&inputs, op, &(struct exec_options){.compute = low, .device = test_device()}); /* as its dtype rounds */
    struct run want = run_op(op, TENSOR_F64, &inputs, tensor_cpu()), got = run_op(op, low, &inputs, test_device());
    close_case(&inputs);
    CU_ASSERT_EQUAL(got.n, want.n);
    CU_ASSERT_EQUAL(got.n_arrays, want.n_arrays);
    if (got.dtype != expected(op, low))
        fprintf(stderr, "%s in %s gives %s\n", net_ops[op].name, tensor_dtype_name(low), tensor_dtype_name(got.dtype));
    CU_ASSERT_EQUAL(got.dtype, expected(op, low));
    for (int a = 0; a < want.n_arrays && got.n == want.n; a++) {
        double most = 0, worst = 0;
        for (int64_t k = a ? want.ends[a - 1] : 0; k < want.ends[a]; k++) {
            most = fmax(most, fabs(want.v[k]));
            worst = test_worst(worst, got.v[k] - want.v[k]);
        }
        if (worst > tolerance * (most + 1e-3))
            fprintf(stderr, "%s in %s, array %d: off by %g of %g\n", net_ops[op].name, tensor_dtype_name(low), a, worst,
                    most);
        CU_ASSERT(worst <= tolerance * (most + 1e-3));
    }
    free(want.v);
    free(got.v);
}

static void in_precision(enum tensor_dtype low, double tolerance)
{
    for (int op = 0; op < NET_N_OPS; op++)
        if (cases[op].ref) compare((enum net_op)op, low, tolerance);
}

/* Tolerances: a few units in the last place of the dtype, by the largest magnitude of each array. */
static void exec_precision__fp32(void)
{
    in_precision(TENSOR_F32, 1e-5);
}

static void exec_precision__bf16(void)
{
    in_precision(TENSOR_BF16, 0.03);
}

static void exec_precision__fp16(void)
{
    in_precision(TENSOR_F16, 0.004);
}

static const struct test tests[] = {TEST(exec_precision__fp32), TEST(exec_precision__bf16), TEST(exec_precision__fp16)};
TEST_MAIN("exec.precision", tests)
