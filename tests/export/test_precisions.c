/* Files of fewer bits: what is rounded, what is not, and what their ranges come from. */
#include "quantise.h"
#include "runtime_check.h"

static const char *in_dir(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", test_dir(), name);
    return path;
}

/* Three convolutions: an activation that is clipped, a branch, a head. */
static struct net *small_net(void)
{
    struct net *n = net_new();
    net_val x = net_input(n, "input", 3, 16, 24);
    net_enter(n, "encoder");
    net_val y = net_relu(n, net_conv2d(n, "conv1", x, 8, (struct net_conv){.k = 3, .pad = 1, .bias = true}));
    net_val z = net_conv2d(n, "conv2", y, 8, (struct net_conv){.k = 3, .pad = 1, .groups = 8});
    net_leave(n);
    y = net_upsample_nearest(n, net_max_pool(n, net_add(n, y, z), (struct net_pool){.k = 2}), 16, 24);
    net_output(n, "output", net_conv2d(n, "head", y, 3, (struct net_conv){.k = 1, .bias = true}));
    TEST_OK(net_finish(n));
    return n;
}

/* Shows the values of random pictures by plain loops; counts how often it was asked. */
struct shown {
    int times;
};

static struct status show(void *user, const struct net *n, const float *const *values, export_see_fn *see, void *to)
{
    struct shown *s = user;
    struct bench_array in = check_input(n, 0, 1, -2.5, 2.5);
    const float *images[] = {in.data};
    s->times++;
    struct ref r = ref_run(n, values, images);
    for (int v = 0; v < n->n_nodes; v++) {
        int64_t size = net_numel(n->nodes[v].shape);
        float *numbers = mem_alloc((size_t)size * sizeof *numbers);
        for (int64_t i = 0; i < size; i++) numbers[i] = (float)r.v[v][i];
        see(to, v, numbers, size);
        free(numbers);
    }
    ref_free(&r);
    free(in.data);
    return ok();
}

static int operators(const char *path, const char *op)
{
    struct export_summary s;
    int n = 0;
    TEST_OK(export_onnx_read(&s, path));
    for (int i = 0; i < s.n_ops; i++)
        if (!strcmp(s.ops[i].op, op)) n = s.ops[i].n;
    export_summary_free(&s);
    return n;
}

static int tensors(const char *path, int type, int rank)
{
    struct export_summary s;
    int n = 0;
    TEST_OK(export_onnx_read(&s, path));
    for (int i = 0; i < s.n_initializers; i++) n += s.initializers[i].type == type && s.initializers[i].rank == rank;
    export_summary_free(&s);
    return n;
}

enum { FLOAT = 1, INT8 = 3, INT32 = 6, FLOAT16 = 10 };

static void export_fp16__weights_are_half_and_the_ends_whole(void)
{
    struct net *n = small_net();
    struct arena a = {0};
    const char *path = in_dir("small.fp16.onnx");
    double worst = check_format("onnx-fp16", "small", path, n, ref_values(n, &a, 1), &(struct export_options){0}, 2);
    CU_ASSERT(worst < 5e-3);
    CU_ASSERT(worst > 1e-6); /* it is not float32 */
    CU_ASSERT_EQUAL(tensors(path, FLOAT16, 4), 3);
    CU_ASSERT_EQUAL(tensors(path, FLOAT, 4), 0);
    struct export_summary s;
    TEST_OK(export_onnx_read(&s, path));
    CU_ASSERT_EQUAL(s.inputs[0].type, FLOAT);
    CU_ASSERT_EQUAL(s.outputs[0].type, FLOAT);
    export_summary_free(&s);
    net_free(n);
    arena_free(&a);
}

static void export_fp16__a_weight_beyond_half_precision_is_its_largest(void)
{
    struct net *n = net_new();
    struct arena a = {0};
    net_val x = net_input(n, "input", 3, 4, 4);
    net_output(n, "output",
               net_affine(n, net_conv2d(n, "c", net_affine(n, x, 1e-3, 0), 1, (struct net_conv){.k = 1}), 1e-3, 0));
    TEST_OK(net_finish(n));
    const float **v = ref_values(n, &a, 1);
    v[0] = (const float[]){1e6f, 0, 0};
    const char *path = in_dir("huge.fp16.onnx");
    struct bench_array in = check_input(n, 0, 1, 1, 1), out = {0};
    struct bench_model *model = NULL;
    TEST_OK(export_write("onnx-fp16", path, n, v, &(struct export_options){0}));
    TEST_OK(bench_open(&model, NULL, path, 1));
    TEST_OK(bench_run(model, &in, 1, &out, 1));
    CU_ASSERT(fabs((double)out.data[0] - 65504e-6) < 1e-3); /* a number, where the weight alone would be infinite */
    free(in.data);
    free(out.data);
    bench_close(model);
    net_free(n);
    arena_free(&a);
}

static void export_int8__pairs_around_what_computes_in_8_bits(void)
{
    struct net *n = small_net();
    struct arena a = {0};
    const char *path = in_dir("small.int8.onnx");
    struct shown s = {0};
    struct export_options o = {.calibration = {.run = show, .user = &s}};
    double worst = check_format("onnx-int8", "small", path, n, ref_values(n, &a, 1), &o, 2);
    CU_ASSERT(worst < 0.05);
    CU_ASSERT(worst > 1e-4); /* it is not float32 */
    CU_ASSERT_EQUAL(s.times, 1);
    CU_ASSERT_EQUAL(tensors(path, INT8, 4), 3);
    CU_ASSERT_EQUAL(tensors(path, INT32, 1), 2); /* conv1's and head's bias */
    CU_ASSERT_EQUAL(tensors(path, FLOAT, 4), 0);
    /* input, relu, conv2, add, max_pool, upsample, head: not what the relu clips */
    CU_ASSERT_EQUAL(operators(path, "QuantizeLinear"), 7);
    net_free(n);
    arena_free(&a);
}

/* The same net in LiteRT, and one where 8 bits meet what has none, a padded maximum of numbers below zero, and values
 * of two scales that are joined. */
static net_val mixed(struct net *n, net_val x)
{
    net_val y = net_conv2d(n, "a", x, 8, (struct net_conv){.k = 3, .pad = 1, .stride = 2, .bias = true});
    net_val z = net_max_pool(n, y, (struct net_pool){.k = 3, .stride = 2, .pad = 1});
    net_val w = net_conv2d(n, "b", net_hardswish(n, y), 4, (struct net_conv){.k = 3, .stride = 2, .pad = 1});
    return net_conv2d(n, "head", net_concat(n, (net_val[]){z, w, net_relu(n, w)}, 3), 3, (struct net_conv){.k = 1});
}

static void export_litert_int8__is_near_and_not_float32(void)
{
    struct shown s = {0};
    struct export_options o = {.calibration = {.run = show, .user = &s}};
    struct arena a = {0};
    struct net *small = small_net(), *other = net_new();
    net_output(other, "output", mixed(other, net_input(other, "input", 3, 16, 24)));
    TEST_OK(net_finish(other));
    struct net *nets[] = {small, other};
    for (size_t i = 0; i < LEN(nets); i++) {
        const float **v = ref_values(nets[i], &a, 1);
        double worst = check_format("litert-int8", "net", in_dir("small.int8.tflite"), nets[i], v, &o, 1);
        if (!(worst < 0.05)) fprintf(stderr, "net %zu: largest difference %g\n", i, worst);
        CU_ASSERT(worst < 0.05);
        CU_ASSERT(worst > 1e-4); /* it is not float32 */
        net_free(nets[i]);
    }
    arena_free(&a);
}

static void export_int8__layers_that_are_kept_stay_float32(void)
{
    static const struct {
        const char *keep;
        int int8;
    } rows[] = {{"head", 2}, {"encoder", 1}, {"encoder.conv*", 1}, {"encoder.conv2", 2}, {"*", 0}};
    struct net *n = small_net();
    struct arena a = {0};
    struct shown s = {0};
    const float **v = ref_values(n, &a, 1);
    const char *path = in_dir("kept.int8.onnx");
    for (size_t i = 0; i < LEN(rows); i++) {
        struct export_options o = {.calibration = {.run = show, .user = &s, .keep = &rows[i].keep, .n_keep = 1}};
        double worst = check_format("onnx-int8", rows[i].keep, path, n, v, &o, 1);
        CU_ASSERT(worst < (rows[i].int8 ? 0.05 : 1e-5));
        CU_ASSERT_EQUAL(tensors(path, INT8, 4), rows[i].int8);
        CU_ASSERT_EQUAL(tensors(path, FLOAT, 4), 3 - rows[i].int8);
    }
    struct export_options o = {
        .calibration = {.run = show, .user = &s, .keep = (const char *const[]){"haed"}, .n_keep = 1}};
    TEST_FAILS(export_write("onnx-int8", path, n, v, &o), STATUS_ARG, "no layer is called \"haed\"");
    net_free(n);
    arena_free(&a);
}

/* A bell of numbers and a few far out, as value 0. */
static struct status show_outliers(void *user, const struct net *n, const float *const *values, export_see_fn *see,
                                   void *to)
{
    enum { MANY = 1000000, FAR = 3 };
    (void)user, (void)n, (void)values;
    float *v = mem_alloc(MANY * sizeof *v);
    struct rng r = rng_key(3, 0, 0, 0);
    for (int i = 0; i < MANY; i++) {
        double sum = 0;
        for (int k = 0; k < 6; k++) sum += rng_range(&r, -1, 1);
        v[i] = (float)(i < FAR ? 50 + i : sum);
    }
    see(to, 0, v, MANY);
    free(v);
    return ok();
}

static void export_int8__a_range_with_and_without_outliers(void)
{
    static const struct {
        const char *method;
        float low[2], high[2]; /* of the bounds */
    } rows[] = {
        {NULL, {-6, -4.5f}, {52, 52}},
        {"minmax", {-6, -4.5f}, {52, 52}},
        {"percentile", {-6, -4.5f}, {4.5f, 6}},
        {"entropy", {-6, -0.5f}, {4, 30}},
    };
    struct net *n = small_net();
    struct arena a = {0};
    struct lower l;
    const struct range *r = NULL;
    TEST_OK(lower_begin(&l, n, ref_values(n, &a, 1), &(struct export_options){0}));
    for (size_t i = 0; i < LEN(rows); i++) {
        TEST_OK(ranges_of(&r, &a, &l, &(struct export_calibration){.run = show_outliers, .method = rows[i].method}));
        bool right = r[0].low >= rows[i].low[0] && r[0].low <= rows[i].low[1] && r[0].high >= rows[i].high[0] &&
                     r[0].high <= rows[i].high[1];
        if (!right)
            fprintf(stderr, "%s: %g..%g\n", rows[i].method ? rows[i].method : "default", (double)r[0].low,
                    (double)r[0].high);
        CU_ASSERT(right);
    }
    TEST_FAILS(ranges_of(&r, &a, &l, &(struct export_calibration){.run = show_outliers, .method = "mean"}), STATUS_ARG,
               "expected minmax, percentile or entropy");
    lower_end(&l);
    net_free(n);
    arena_free(&a);
}

static struct status show_nothing(void *user, const struct net *n, const float *const *values, export_see_fn *see,
                                  void *to)
{
    (void)user, (void)n, (void)values, (void)see, (void)to;
    return ok();
}

static void export_int8__without_pictures_there_is_no_file(void)
{
    struct net *n = small_net();
    struct arena a = {0};
    const float **v = ref_values(n, &a, 1);
    const char *path = in_dir("no.int8.onnx");
    TEST_FAILS(export_write("onnx-int8", path, n, v, &(struct export_options){0}), STATUS_ARG, "need pictures");
    struct export_options o = {.calibration = {.run = show_nothing}};
    TEST_FAILS(export_write("onnx-int8", path, n, v, &o), STATUS_ARG, "no picture was shown");
    CU_ASSERT_FALSE(fs_exists(path));
    net_free(n);
    arena_free(&a);
}

static const struct test tests[] = {
    TEST(export_fp16__weights_are_half_and_the_ends_whole),
    TEST(export_fp16__a_weight_beyond_half_precision_is_its_largest),
    TEST(export_int8__pairs_around_what_computes_in_8_bits),
    TEST(export_litert_int8__is_near_and_not_float32),
    TEST(export_int8__layers_that_are_kept_stay_float32),
    TEST(export_int8__a_range_with_and_without_outliers),
    TEST(export_int8__without_pictures_there_is_no_file),
};
TEST_MAIN("export.precisions", tests)
