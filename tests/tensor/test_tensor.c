/* Optimisers against their formulas, the losses' kernels in every dtype, and failures as statuses. */
#include "tensor.h"
#include "test.h"
#include <math.h>

enum { N_PARAMS = 3, LENGTH = 5 };

static struct tensor *vector(const double *v, int64_t n)
{
    struct tensor *t;
    TEST_OK(tensor_from_host(&t, TENSOR_F64, 1, &n, v, tensor_cpu()));
    return t;
}

/* ---- optimisers -------------------------------------------------------------------------------------------------- */

/** One parameter's state in the formulas of PyTorch's documentation. */
struct formula {
    double w[LENGTH], m[LENGTH], v[LENGTH];
    int updates;
};

static void formula_step(struct formula *f, const double *grad, const struct tensor_optim_options *o, double lr)
{
    int t = ++f->updates;
    for (int i = 0; i < LENGTH; i++) {
        double g = grad[i];
        if (o->kind == TENSOR_ADAMW)
            f->w[i] *= 1 - lr * o->weight_decay;
        else
            g += o->weight_decay * f->w[i];
        if (o->kind == TENSOR_SGD) {
            f->m[i] = o->momentum * f->m[i] + g;
            f->w[i] -= lr * f->m[i];
            continue;
        }
        f->m[i] = o->beta1 * f->m[i] + (1 - o->beta1) * g;
        f->v[i] = o->beta2 * f->v[i] + (1 - o->beta2) * g * g;
        double m = f->m[i] / (1 - pow(o->beta1, t)), v = f->v[i] / (1 - pow(o->beta2, t));
        f->w[i] -= lr * m / (sqrt(v) + o->eps);
    }
}

/** Leaves the gradient c * w in parameter @p t. */
static void leave_gradient(struct tensor *t, double c)
{
    struct tensor *square, *sum;
    TEST_OK(tensor_pow(&square, t, 2));
    TEST_OK(tensor_sum(&sum, square, 1, false));
    TEST_OK(tensor_backward(sum, c / 2));
    tensor_free(square);
    tensor_free(sum);
}

static void check_optimiser(const struct tensor_optim_options *o)
{
    struct formula f[N_PARAMS] = {0};
    struct tensor *p[N_PARAMS];
    struct tensor_optim *optim;
    const double lr[] = {0.1, 0.03, 0.1};
    for (int k = 0; k < N_PARAMS; k++) {
        for (int i = 0; i < LENGTH; i++) f[k].w[i] = sin(k * LENGTH + i + 1);
        p[k] = vector(f[k].w, LENGTH);
        TEST_OK(tensor_want_grad_in(p[k], true));
    }
    TEST_OK(tensor_optim_new(&optim, o, p, N_PARAMS));
    for (int step = 0; step < 6; step++) {
        TEST_OK(tensor_drop_grads(p, N_PARAMS));
        for (int k = 0; k < N_PARAMS; k++) {
            if (k == 2 && step % 2 == 0) continue; /* no gradient: left alone, its age stands still */
            double grad[LENGTH];
            for (int i = 0; i < LENGTH; i++) grad[i] = (step + 1) * f[k].w[i];
            leave_gradient(p[k], step + 1);
            formula_step(&f[k], grad, o, lr[k]);
        }
        TEST_OK(tensor_optim_step(optim, lr));
    }
    for (int k = 0; k < N_PARAMS; k++) {
        double got[LENGTH];
        TEST_OK(tensor_to_f64(p[k], got));
        for (int i = 0; i < LENGTH; i++) CU_ASSERT_DOUBLE_EQUAL(got[i], f[k].w[i], 1e-9);
        CU_ASSERT_EQUAL(tensor_optim_updates(optim)[k], f[k].updates);
        if (!tensor_optim_slot(optim, k, 0)) continue;
        TEST_OK(tensor_to_f64(tensor_optim_slot(optim, k, 0), got));
        CU_ASSERT_DOUBLE_EQUAL(got[1], f[k].m[1], 1e-9);
    }
    tensor_optim_free(optim);
    for (int k = 0; k < N_PARAMS; k++) tensor_free(p[k]);
}

static void tensor_optim__follows_the_formulas(void)
{
    static const struct tensor_optim_options all[] = {
        {.kind = TENSOR_ADAMW, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .weight_decay = 0.05},
        {.kind = TENSOR_ADAM, .beta1 = 0.8, .beta2 = 0.999, .eps = 1e-6, .weight_decay = 0.01},
        {.kind = TENSOR_SGD, .momentum = 0.9, .weight_decay = 0.02},
        {.kind = TENSOR_SGD},
    };
    for (size_t k = 0; k < LEN(all); k++) check_optimiser(&all[k]);
}

static void tensor_grads__are_unscaled_clipped_and_checked(void)
{
    struct tensor *p[2] = {vector((double[]){3, 0}, 2), vector((double[]){0, 4}, 2)}, *g;
    double v[2];
    bool finite;
    for (int k = 0; k < 2; k++) TEST_OK(tensor_want_grad_in(p[k], true));
    for (int k = 0; k < 2; k++) leave_gradient(p[k], 8);
    TEST_OK(tensor_unscale_grads(&finite, p, 2, 0.125));
    CU_ASSERT(finite);
    static const double bounds[] = {6, 1}, expected[] = {4, 0.8}; /* the norm is 5 */
    for (size_t k = 0; k < LEN(bounds); k++) {
        TEST_OK(tensor_clip_grads(p, 2, bounds[k]));
        TEST_OK(tensor_grad(&g, p[1]));
        TEST_OK(tensor_to_f64(g, v));
        CU_ASSERT_DOUBLE_EQUAL(v[1], expected[k], 1e-5);
        tensor_free(g);
    }
    leave_gradient(p[0], HUGE_VAL);
    TEST_OK(tensor_unscale_grads(&finite, p, 2, 1));
    CU_ASSERT_FALSE(finite);
    tensor_free(p[0]);
    tensor_free(p[1]);
}

static void tensor_lerp__moves_by_the_weight(void)
{
    struct tensor *a = vector((double[]){1, 2}, 2), *b = vector((double[]){5, 0}, 2);
    double v[2];
    TEST_OK(tensor_lerp_in(&a, &b, 1, 0.25));
    TEST_OK(tensor_to_f64(a, v));
    CU_ASSERT(v[0] == 2 && v[1] == 1.5);
    tensor_free(a);
    tensor_free(b);
}

/* ---- L1 and Gram ------------------------------------------------------------------------------------------------- */

static struct tensor *map_of(enum tensor_dtype d, bool channels_last, uint64_t key)
{
    struct tensor *wide, *typed, *laid;
    TEST_OK(tensor_zeros(&wide, TENSOR_F64, 4, (int64_t[]){2, 3, 37, 41}, tensor_cpu()));
    TEST_OK(tensor_fill_normal_in(wide, key, 1));
    TEST_OK(tensor_to_dtype(&typed, wide, d));
    TEST_OK(tensor_to_layout(&laid, typed, channels_last));
    tensor_free(wide);
    tensor_free(typed);
    return laid;
}

static void check_l1(enum tensor_dtype da, enum tensor_dtype db, bool la, bool lb)
{
    enum { NUMEL = 2 * 3 * 37 * 41 };
    static double x[NUMEL], y[NUMEL], got[NUMEL];
    struct tensor *a = map_of(da, la, 1), *b = map_of(db, lb, 2), *l, *g;
    double sum = 0, mean;
    TEST_OK(tensor_to_f64(a, x));
    TEST_OK(tensor_to_f64(b, y));
    for (int i = 0; i < NUMEL; i++) sum += fabs(x[i] - y[i]);
    TEST_OK(tensor_want_grad_in(a, true));
    TEST_OK(tensor_l1(&l, a, b));
    TEST_OK(tensor_item(&mean, l));
    CU_ASSERT_DOUBLE_EQUAL(mean, sum / NUMEL, 1e-6);
    TEST_OK(tensor_backward(l, 3));
    TEST_OK(tensor_grad(&g, a));
    CU_ASSERT_EQUAL(tensor_dtype_of(g), da);
    TEST_OK(tensor_to_f64(g, got));
    int wrong = 0;
    for (int i = 0; i < NUMEL; i++) {
        double want = 3.0 / NUMEL * ((x[i] > y[i]) - (x[i] < y[i]));
        wrong += !(fabs(got[i] - want) <= 0.005 * 3.0 / NUMEL);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    tensor_free(g);
    tensor_free(l);
    tensor_free(a);
    tensor_free(b);
}

static void tensor_l1__every_pair_of_dtypes_and_layouts(void)
{
    for (int da = TENSOR_F32; da <= TENSOR_F16; da++)
        for (int db = TENSOR_F32; db <= TENSOR_F16; db++)
            for (int layouts = 0; layouts < 4; layouts++)
                check_l1((enum tensor_dtype)da, (enum tensor_dtype)db, layouts & 1, layouts & 2);
}

/** Long runs in low precision: the result is float32 and as good as the inputs. */
static void tensor_gram__sums_are_not_rounded(void)
{
    struct tensor *x, *low, *laid, *g;
    enum { CHANNELS = 8, SIDE = 128 };
    static double v[CHANNELS * SIDE * SIDE];
    double got[CHANNELS * CHANNELS], worst = 0, most = 0;
    TEST_OK(tensor_zeros(&x, TENSOR_F32, 4, (int64_t[]){1, CHANNELS, SIDE, SIDE}, tensor_cpu()));
    TEST_OK(tensor_fill_uniform_in(x, 3, 1));
    TEST_OK(tensor_to_dtype(&low, x, TENSOR_BF16));
    TEST_OK(tensor_to_layout(&laid, low, true));
    TEST_OK(tensor_gram(&g, laid));
    CU_ASSERT_EQUAL(tensor_dtype_of(g), TENSOR_F32);
    TEST_OK(tensor_to_f64(low, v));
    TEST_OK(tensor_to_f64(g, got));
    for (int a = 0; a < CHANNELS; a++)
        for (int b = 0; b < CHANNELS; b++) {
            double sum = 0;
            for (int k = 0; k < SIDE * SIDE; k++) sum += v[a * SIDE * SIDE + k] * v[b * SIDE * SIDE + k];
            sum /= CHANNELS * SIDE * SIDE;
            worst = test_worst(worst, sum - got[a * CHANNELS + b]);
            most = fmax(most, fabs(sum));
        }
    CU_ASSERT(worst < 1.5e-3 * most); /* rounding the sum to bfloat16 would leave up to 3.9e-3 */
    tensor_free(x);
    tensor_free(low);
    tensor_free(laid);
    tensor_free(g);
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

static void tensor_fill__depends_on_key_and_index_only(void)
{
    struct tensor *small, *large;
    static float a[6], b[90000];
    TEST_OK(tensor_zeros(&small, TENSOR_F32, 1, (int64_t[]){6}, tensor_cpu()));
    TEST_OK(tensor_zeros(&large, TENSOR_F32, 4, (int64_t[]){3, 300, 10, 10}, tensor_cpu()));
    TEST_OK(tensor_fill_normal_in(small, 9, 2));
    TEST_OK(tensor_fill_normal_in(large, 9, 2));
    TEST_OK(tensor_to_f32(small, a));
    TEST_OK(tensor_to_f32(large, b));
    CU_ASSERT_EQUAL(memcmp(a, b, sizeof a), 0);
    tensor_free(small);
    tensor_free(large);
}

static void tensor__failures_are_statuses(void)
{
    struct tensor *t, *x = vector((double[]){1, 2}, 2), *y = vector((double[]){1, 2, 3}, 3);
    struct tensor_device d;
    enum tensor_dtype type;
    TEST_FAILS(tensor_zeros(&t, TENSOR_F32, 1, (int64_t[]){(int64_t)1 << 50}, tensor_cpu()), STATUS_OOM, "allocate");
    CU_ASSERT_PTR_NULL(t);
    TEST_FAILS(tensor_binary(&t, TENSOR_ADD, x, y), STATUS_TORCH, "add: ");
    TEST_FAILS(tensor_l1(&t, x, y), STATUS_TORCH, "two shapes");
    TEST_FAILS(tensor_pick_device(&d, "tpu"), STATUS_ARG, "expected auto, cpu");
    TEST_FAILS(tensor_pick_device(&d, "cuda:99"), STATUS_ARG, "cuda:99");
    TEST_FAILS(tensor_pick_precision(&type, "int8", tensor_cpu()), STATUS_ARG, "bf16");
    TEST_OK(tensor_pick_precision(&type, "bf16", tensor_cpu()));
    CU_ASSERT_EQUAL(type, TENSOR_BF16);
    tensor_free(x);
    tensor_free(y);
}

/* Blocks come back from the allocator with the old bytes: nothing may read them as zeros. */
static void tensor_start__kept_blocks_are_reused_safely(void)
{
    int64_t n = 1 << 21;
    int64_t before = tensor_bytes_peak(tensor_cpu());
    for (int k = 0; k < 50; k++) {
        struct tensor *t, *z;
        double v;
        TEST_OK(tensor_full(&t, 7, TENSOR_F32, 1, &n, tensor_cpu()));
        tensor_free(t);
        TEST_OK(tensor_zeros(&z, TENSOR_F32, 1, &n, tensor_cpu()));
        TEST_OK(tensor_sum(&t, z, 1, false));
        TEST_OK(tensor_item(&v, t));
        CU_ASSERT_EQUAL(v, 0);
        tensor_free(t);
        tensor_free(z);
    }
    int64_t grown = tensor_bytes_peak(tensor_cpu()) - before;
    CU_ASSERT(grown >= 0 && grown < 3 * n * 4);
}

static bool ieee_at_start;

/* libtorch starts with TF32 for cuDNN's convolutions; what it reports can be asked without a GPU. */
static void tensor_start__fp32_is_ieee(void)
{
    CU_ASSERT_FALSE(ieee_at_start);
    CU_ASSERT_TRUE(tensor_fp32_is_ieee());
}

/* Texts of CUDA's own, as libtorch passes them on. */
static void tensor_failure__tells_a_lost_gpu_from_a_failure(void)
{
    static const struct {
        const char *text;
        enum status_code code;
    } cases[] = {
        {"CUDA error: uncorrectable ECC error encountered", STATUS_DEVICE},
        {"CUDA error: unspecified launch failure", STATUS_DEVICE},
        {"CUDA error: CUDA-capable device(s) is/are busy or unavailable", STATUS_DEVICE},
        {"CUDA error: no CUDA-capable device is detected", STATUS_DEVICE},
        {"CUDA unknown error - this may be due to an incorrectly set up environment", STATUS_DEVICE},
        {"CUDA out of memory. Tried to allocate 2.00 GiB", STATUS_OOM},
        {"CUDA error: an illegal memory access was encountered", STATUS_TORCH},
        {"CUDA error: device-side assert triggered", STATUS_TORCH},
        {"The size of tensor a (3) must match the size of tensor b (4)", STATUS_TORCH},
        {"unknown error", STATUS_TORCH},
    };
    for (size_t i = 0; i < LEN(cases); i++) CU_ASSERT_EQUAL(tensor_failure(cases[i].text), cases[i].code);
}

static const struct test tests[] = {
    TEST(tensor_optim__follows_the_formulas),
    TEST(tensor_grads__are_unscaled_clipped_and_checked),
    TEST(tensor_lerp__moves_by_the_weight),
    TEST(tensor_l1__every_pair_of_dtypes_and_layouts),
    TEST(tensor_gram__sums_are_not_rounded),
    TEST(tensor_fill__depends_on_key_and_index_only),
    TEST(tensor_start__fp32_is_ieee),
    TEST(tensor__failures_are_statuses),
    TEST(tensor_failure__tells_a_lost_gpu_from_a_failure),
    TEST(tensor_start__kept_blocks_are_reused_safely),
};
int main(int argc, char **argv)
{
    ieee_at_start = tensor_fp32_is_ieee();
    tensor_start(2);
    return test_main("tensor", tests, LEN(tests), argc, argv);
}
