/* LiteRT files as a whole: what is not a single operation, which test_ops.c has. */
#include "runtime_check.h"
#include "zoo.h"

/* A new path each time: a test asks once for each file. */
static const char *in_dir(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", test_dir(), name);
    return path;
}

static struct net *small_net(void)
{
    struct net *n = net_new();
    net_val x = net_input(n, "input", 3, 16, 24);
    net_val y = net_conv2d(n, "stem", x, 8, (struct net_conv){.k = 3, .stride = 2, .pad = 1});
    y = net_relu(n, net_batch_norm(n, "bn", y, (struct net_norm){0}));
    y = net_max_pool(n, y, (struct net_pool){.k = 3, .stride = 2, .pad = 1});
    y = net_conv2d(n, "head", net_upsample_bilinear(n, y, 16, 24, true), 3, (struct net_conv){.k = 1, .bias = true});
    net_output(n, "output", y);
    TEST_OK(net_finish(n));
    return n;
}

static double check_small(const char *path, const struct export_options *o)
{
    struct net *n = small_net();
    struct arena a = {0};
    double worst = check_format("litert", "small", path, n, ref_values(n, &a, 1), o, 1);
    net_free(n);
    arena_free(&a);
    return worst;
}

static void export_litert__weights_behind_the_flatbuffer(void)
{
    CU_ASSERT(check_small(in_dir("inside.tflite"), &(struct export_options){0}) < 1e-5);
    CU_ASSERT(check_small(in_dir("behind.tflite"), &(struct export_options){.external_above = 1}) < 1e-5);
}

static void export_litert__a_cell_of_every_decoder_computes_the_same(void)
{
    const char *const *archs = zoo_arch_names();
    for (int i = 0; archs[i]; i++) {
        int side = strcmp(archs[i], "pan") ? 32 : 128; /* the least each takes */
        struct zoo_model m = {.arch = archs[i], .backbone = "resnet18", .height = side, .width = side};
        struct net *n = NULL;
        struct arena a = {0};
        TEST_OK(zoo_build(&n, &m));
        if (!n) return;
        double worst = check_format("litert", archs[i], in_dir("cell.tflite"), n, ref_values(n, &a, 3),
                                    &(struct export_options){0}, 1);
        if (!(worst < 1e-4)) fprintf(stderr, "%s: largest difference %g\n", archs[i], worst);
        CU_ASSERT(worst < 1e-4);
        net_free(n);
        arena_free(&a);
    }
}

/* 0..255 in must come out as it went in, through a net that brightens, clipped. */
static void export_litert__image_io_takes_and_gives_pixels(void)
{
    struct net *n = net_new();
    net_output(n, "output", net_affine(n, net_input(n, "input", 3, 4, 4), 1.5, 0));
    TEST_OK(net_finish(n));
    struct export_options o = {.io_image = true, .mean = {0.5f, 0.4f, 0.3f}, .std = {0.2f, 0.3f, 0.25f}};
    const float *no_values[1] = {0};
    const char *path = in_dir("image.tflite");
    TEST_OK(export_litert(path, n, no_values, &o));
    struct bench_model *model = NULL;
    struct bench_array in = check_input(n, 0, 1, 0, 255), out = {0};
    TEST_OK(bench_open(&model, NULL, path, 1));
    TEST_OK(bench_run(model, &in, 1, &out, 1));
    int clipped = 0;
    for (int k = 0; out.data && k < 48; k++) {
        float m = 255 * o.mean[k / 16], want = (in.data[k] - m) * 1.5f + m;
        clipped += want < 0 || want > 255;
        want = want < 0 ? 0 : want > 255 ? 255 : want;
        CU_ASSERT(fabsf(out.data[k] - want) < 0.5f + 1e-3f);
        CU_ASSERT(out.data[k] == rintf(out.data[k])); /* as a picture's file has it */
    }
    CU_ASSERT(clipped > 0);
    free(in.data);
    free(out.data);
    bench_close(model);
    net_free(n);
}

/* Two inputs, one of them also an output, one value under two output names. */
static void export_litert__several_inputs_and_outputs(void)
{
    struct arena a = {0};
    struct net *n = net_new();
    net_val x = net_input(n, "x", 3, 4, 5), y = net_input(n, "y", 3, 4, 5), z = net_mul(n, x, y);
    net_output(n, "product", z);
    net_output(n, "again", z);
    net_output(n, "first", x);
    net_output(n, "clamped", net_clamp(n, z, -1, 1));
    TEST_OK(net_finish(n));
    const char *path = in_dir("io.tflite");
    CU_ASSERT(check_format("litert", "io", path, n, ref_values(n, &a, 1), &(struct export_options){0}, 1) < 1e-6);
    struct bench_model *model = NULL;
    TEST_OK(bench_open(&model, NULL, path, 1));
    int n_io = 0;
    const struct bench_io *io = model ? bench_outputs(model, &n_io) : NULL;
    CU_ASSERT_EQUAL_FATAL(n_io, 4);
    CU_ASSERT_STRING_EQUAL(io[1].name, "again");
    CU_ASSERT_EQUAL(io[1].shape[1], 3); /* channels first for the caller */
    bench_close(model);
    net_free(n);
    arena_free(&a);
}

static void export_litert__same_input_same_bytes(void)
{
    char *text[2];
    size_t size[2];
    const char *path = in_dir("same.tflite");
    for (int i = 0; i < 2; i++) {
        check_small(path, &(struct export_options){0});
        TEST_OK(fs_read(&text[i], &size[i], path));
    }
    CU_ASSERT_EQUAL_FATAL(size[0], size[1]);
    CU_ASSERT_EQUAL(memcmp(text[0], text[1], size[0]), 0);
    free(text[0]);
    free(text[1]);
}

static net_val two_terms(struct net *n, net_val x)
{
    return net_sub(n, x, net_relu(n, x));
}

static void export_litert__what_goes_wrong_is_named(void)
{
    struct net *n = small_net(), *odd = net_new();
    struct arena a = {0};
    const float **v = ref_values(n, &a, 1);
    float bad[9] = {0, 0, NAN};
    v[net_param_find(n, "head.bias")] = bad;
    TEST_FAILS(export_litert(in_dir("nan.tflite"), n, v, &(struct export_options){0}), STATUS_ARG,
               "head.bias: value 2 of 3 is nan");
    net_output(odd, "output", two_terms(odd, net_input(odd, "input", 3, 4, 4)));
    TEST_OK(net_finish(odd));
    const char *path = in_dir("sub.tflite");
    TEST_FAILS(export_litert(path, odd, ref_values(odd, &a, 1), &(struct export_options){0}), STATUS_REFUSED, "sub");
    CU_ASSERT_FALSE(fs_exists(path));
    net_free(n);
    net_free(odd);
    arena_free(&a);
}

/* Strangers' files, cut and hurt: a message from the child that loads them, whatever happens to it. */
static void bench_litert__a_broken_file_gets_a_message(void)
{
    char *whole, path[512];
    size_t size;
    json_t *v = NULL;
    snprintf(path, sizeof path, "%s", in_dir("broken.tflite"));
    check_small(path, &(struct export_options){0});
    TEST_OK(fs_read(&whole, &size, path));
    struct bench_job job = {.model = path, .mode = "quick", .threads = 1};
    for (size_t part = 0; part < 4; part++) {
        TEST_OK(fs_write(path, whole, size * part / 4));
        struct status s = bench_visit_forked(&v, &job, NULL);
        CU_ASSERT_NOT_EQUAL(s.code, STATUS_OK);
        CU_ASSERT_PTR_NOT_NULL(strstr(s.msg, path));
    }
    TEST_OK(fs_write(path, "this is a text, no model", 24));
    TEST_FAILS(bench_visit_forked(&v, &job, NULL), STATUS_ARG, "expected a LiteRT model");
    free(whole);
}

static const struct test tests[] = {
    TEST(export_litert__weights_behind_the_flatbuffer),
    TEST(export_litert__a_cell_of_every_decoder_computes_the_same),
    TEST(export_litert__image_io_takes_and_gives_pixels),
    TEST(export_litert__several_inputs_and_outputs),
    TEST(export_litert__same_input_same_bytes),
    TEST(export_litert__what_goes_wrong_is_named),
    TEST(bench_litert__a_broken_file_gets_a_message),
};
TEST_MAIN("export.litert", tests)
