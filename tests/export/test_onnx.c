/* Whole files: real cells of the zoo, image input and output, metadata, external data, and everything that goes wrong.
 */
#include "runtime_check.h"
#include "spec.h"
#include "zoo.h"
#include <signal.h>
#include <sys/resource.h>

static const float mean[3] = {0.485f, 0.456f, 0.406f}, std_[3] = {0.229f, 0.224f, 0.225f};

static struct net *small_net(void)
{
    struct net *n = net_new();
    net_val x = net_input(n, "input", 3, 16, 24);
    net_enter(n, "encoder");
    net_val y = net_conv2d(n, "conv1", x, 8, (struct net_conv){.k = 3, .pad = 1});
    y = net_relu6(n, net_batch_norm(n, "bn1", y, (struct net_norm){0}));
    net_leave(n);
    y = net_conv2d(n, "head", net_dropout2d(n, y, 0.2), 3, (struct net_conv){.k = 1, .bias = true});
    net_output(n, "output", y);
    TEST_OK(net_finish(n));
    return n;
}

static const char *in_dir(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", test_dir(), name);
    return path;
}

/* ---- real cells -------------------------------------------------------------------------------------------------- */

static void check_cell(const char *arch, const char *backbone, int side)
{
    struct zoo_model m = {.arch = arch, .backbone = backbone, .height = side, .width = side};
    struct net *n = NULL;
    struct arena a = {0};
    TEST_OK(zoo_build(&n, &m));
    if (!n) return;
    double worst = check_net(arch, in_dir("cell.onnx"), n, ref_values(n, &a, 3), &(struct export_options){0}, 1);
    if (!(worst < 1e-4)) fprintf(stderr, "%s x %s: largest difference %g\n", arch, backbone, worst);
    CU_ASSERT(worst < 1e-4);
    net_free(n);
    arena_free(&a);
}

static void export_onnx__a_cell_of_every_decoder_computes_the_same(void)
{
    const char *const *archs = zoo_arch_names();
    CU_ASSERT(archs[0] != NULL);
    for (int i = 0; archs[i]; i++)
        check_cell(archs[i], "mobilenetv3_small_075", strcmp(archs[i], "pan") ? 32 : 128); /* the least each takes */
}

static void export_onnx__a_cell_of_other_families_computes_the_same(void)
{
    static const char *const backbones[] = {"resnet18", "resnext50_32x4d", "tf_efficientnet_lite0", "vgg11_bn"};
    for (size_t i = 0; i < LEN(backbones); i++) check_cell("fpn", backbones[i], 32);
}

/* ---- io: image --------------------------------------------------------------------------------------------------- */

/* Identity net: 0..255 in must come out as it went in, clipped. */
static void export_onnx__image_io_takes_and_gives_pixels(void)
{
    struct net *n = net_new();
    net_val x = net_input(n, "input", 3, 4, 4);
    net_output(n, "output", net_affine(n, x, 1.5, 0));
    TEST_OK(net_finish(n));
    struct export_options o = {.io_image = true};
    memcpy(o.mean, mean, sizeof mean);
    memcpy(o.std, std_, sizeof std_);
    const char *path = in_dir("image.onnx");
    const float *no_values[1] = {0};
    TEST_OK(export_onnx(path, n, no_values, &o));
    struct bench_model *ort = NULL;
    struct bench_array in = check_input(n, 0, 1, 0, 255), out = {0};
    TEST_OK(bench_open(&ort, NULL, path, 1));
    TEST_OK(bench_run(ort, &in, 1, &out, 1));
    int clipped = 0;
    for (int k = 0; k < 48; k++) {
        float m = 255 * mean[k / 16], want = (in.data[k] - m) * 1.5f + m;
        clipped += want < 0 || want > 255;
        want = want < 0 ? 0 : want > 255 ? 255 : want;
        CU_ASSERT(fabsf(out.data[k] - want) < 0.5f + 1e-3f);
        CU_ASSERT(out.data[k] == rintf(out.data[k])); /* as a picture's file has it */
    }
    CU_ASSERT(clipped > 0);
    free(in.data);
    free(out.data);
    bench_close(ort);
    net_free(n);
}

/* ---- what the file says ------------------------------------------------------------------------------------------ */

static void export_onnx__reads_back_what_was_written(void)
{
    struct net *n = small_net();
    struct arena a = {0};
    const char *path = in_dir("small.onnx");
    struct export_pair meta[] = {{"trial", "0123456789ab"}, {"arch", "unet"}};
    struct export_options o = {.meta = meta, .n_meta = 2};
    memcpy(o.mean, mean, sizeof mean);
    memcpy(o.std, std_, sizeof std_);
    TEST_OK(export_onnx(path, n, ref_values(n, &a, 1), &o));
    struct export_summary s;
    TEST_OK(export_onnx_read(&s, path));
    CU_ASSERT_EQUAL(s.ir_version, 8);
    CU_ASSERT_EQUAL(s.opset, 17);
    CU_ASSERT_STRING_EQUAL(s.producer, "sweep");
    CU_ASSERT_EQUAL_FATAL(s.n_ops, 2); /* the norm is folded, the dropout gone */
    CU_ASSERT_STRING_EQUAL(s.ops[0].op, "Clip");
    CU_ASSERT_STRING_EQUAL(s.ops[1].op, "Conv");
    CU_ASSERT_EQUAL(s.ops[1].n, 2);
    CU_ASSERT_EQUAL_FATAL(s.n_initializers, 6);
    CU_ASSERT_STRING_EQUAL(s.initializers[0].name, "encoder.conv1.weight");
    CU_ASSERT_EQUAL(s.initializers[0].shape[0], 8);
    CU_ASSERT_EQUAL(s.initializers[0].bytes, 8 * 3 * 9 * 4);
    CU_ASSERT_STRING_EQUAL(s.initializers[1].name, "encoder.conv1.bias");
    CU_ASSERT_EQUAL(s.bytes_weights, 4 * (8 * 27 + 8 + 2 + 24 + 3));
    CU_ASSERT_EQUAL_FATAL(s.n_inputs, 1);
    CU_ASSERT_EQUAL(s.inputs[0].rank, 4);
    CU_ASSERT_EQUAL(s.inputs[0].shape[0], -1); /* any batch */
    CU_ASSERT_EQUAL(s.inputs[0].shape[3], 24);
    CU_ASSERT_STRING_EQUAL(export_summary_meta(&s, "trial"), "0123456789ab");
    CU_ASSERT_STRING_EQUAL(export_summary_meta(&s, "color_order"), "RGB");
    CU_ASSERT_STRING_EQUAL(export_summary_meta(&s, "io"), "tensor");
    CU_ASSERT_STRING_EQUAL(export_summary_meta(&s, "std"), "0.229000002,0.224000007,0.224999994");
    CU_ASSERT_PTR_NULL(export_summary_meta(&s, "absent"));
    export_summary_free(&s);
    net_free(n);
    arena_free(&a);
}

static void export_onnx__same_input_same_bytes(void)
{
    struct net *n = small_net();
    struct arena a = {0};
    const float **v = ref_values(n, &a, 1);
    char *one, *two;
    size_t n_one, n_two;
    const char *path = in_dir("same.onnx");
    TEST_OK(export_onnx(path, n, v, &(struct export_options){0}));
    TEST_OK(fs_read(&one, &n_one, path));
    TEST_OK(export_onnx(path, n, v, &(struct export_options){0}));
    TEST_OK(fs_read(&two, &n_two, path));
    CU_ASSERT_EQUAL_FATAL(n_one, n_two);
    CU_ASSERT_EQUAL(memcmp(one, two, n_one), 0);
    free(one);
    free(two);
    net_free(n);
    arena_free(&a);
}

static void export_onnx__large_weights_go_beside_the_file(void)
{
    struct arena a = {0};
    char path[512], data[520];
    snprintf(path, sizeof path, "%s", in_dir("big.onnx"));
    snprintf(data, sizeof data, "%s.data", path);
    struct net *wide = net_new();
    net_val x = net_input(wide, "input", 3, 8, 8);
    x = net_conv2d(wide, "a", x, 64, (struct net_conv){.k = 3, .pad = 1, .bias = true});
    x = net_conv2d(wide, "b", x, 32, (struct net_conv){.k = 3, .pad = 1});
    net_output(wide, "output", net_relu(wide, x));
    TEST_OK(net_finish(wide));
    CU_ASSERT(check_net("external", path, wide, ref_values(wide, &a, 2), &(struct export_options){.external_above = 1},
                        1) < 1e-5);
    CU_ASSERT(fs_exists(data));
    CU_ASSERT(fs_size(data) >= 4 * (64 * 27 + 64 * 32 * 9));
    CU_ASSERT(fs_size(path) < 4096);
    struct export_summary s;
    TEST_OK(export_onnx_read(&s, path));
    CU_ASSERT_EQUAL_FATAL(s.n_initializers, 3);
    CU_ASSERT(s.initializers[0].external);
    CU_ASSERT_FALSE(s.initializers[1].external); /* a small bias stays */
    CU_ASSERT_EQUAL(s.initializers[2].bytes, 4 * 64 * 32 * 9);
    export_summary_free(&s);
    net_free(wide);
    arena_free(&a);
}

/* ---- what goes wrong --------------------------------------------------------------------------------------------- */

static void export_onnx__weights_that_are_no_numbers_are_named(void)
{
    struct net *n = small_net();
    struct arena a = {0};
    const float **v = ref_values(n, &a, 1);
    float bad[9] = {0, 0, NAN};
    v[net_param_find(n, "head.bias")] = bad;
    const char *path = in_dir("nan.onnx");
    TEST_FAILS(export_onnx(path, n, v, &(struct export_options){0}), STATUS_ARG, "head.bias: value 2 of 3 is nan");
    CU_ASSERT_FALSE(fs_exists(path));
    net_free(n);
    arena_free(&a);
}

static void export_onnx__an_unwritable_place_leaves_nothing(void)
{
    struct net *n = small_net();
    struct arena a = {0};
    const float **v = ref_values(n, &a, 1);
    TEST_FAILS(export_onnx("/proc/none/model.onnx", n, v, &(struct export_options){0}), STATUS_IO,
               "/proc/none/model.onnx");

    /* A file that may not grow is what a full disk looks like. */
    struct rlimit old, small = {1000, 0};
    const char *path = in_dir("full.onnx");
    TEST_OK(fs_write(path, "before", 6));
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    struct status full = export_onnx(path, n, v, &(struct export_options){0});
    setrlimit(RLIMIT_FSIZE, &old);
    TEST_FAILS(full, STATUS_IO, path);
    CU_ASSERT_EQUAL(fs_size(path), 6); /* the old file is as it was */
    char **names;
    size_t n_names;
    TEST_OK(fs_list(&names, &n_names, &a, fs_dirname(&a, path)));
    CU_ASSERT_EQUAL(n_names, 1); /* and no temporary lies beside it */
    net_free(n);
    arena_free(&a);
}

static void export_write__formats_by_name(void)
{
    struct net *n = small_net();
    struct arena a = {0};
    const float **v = ref_values(n, &a, 1);
    struct export_options o = {0};
    TEST_OK(export_write("onnx", in_dir("named.onnx"), n, v, &o));
    for (int i = 0; export_formats[i].name; i++)
        if (!export_formats[i].write)
            TEST_FAILS(export_write(export_formats[i].name, "x", n, v, &o), STATUS_REFUSED, "is not built yet");
    TEST_FAILS(export_write("onxn", "x", n, v, &o), STATUS_ARG, "did you mean onnx");
    TEST_FAILS(export_write("tflite", "x", n, v, &o), STATUS_ARG, "got \"tflite\"");
    net_free(n);
    arena_free(&a);
}

static void export_formats__are_those_of_the_spec(void)
{
    int i = 0;
    for (; spec_formats[i].name && export_formats[i].name; i++) {
        CU_ASSERT_STRING_EQUAL(spec_formats[i].name, export_formats[i].name);
        CU_ASSERT_EQUAL(spec_formats[i].built, export_formats[i].write != NULL);
    }
    CU_ASSERT(!spec_formats[i].name && !export_formats[i].name);
}

/* Every cut and a flip of every byte of a real file: an answer or a message, never a crash (the sanitizers watch). */
static void export_onnx_parse__survives_every_cut_and_flip(void)
{
    struct net *n = small_net();
    struct arena a = {0};
    const char *path = in_dir("victim.onnx");
    TEST_OK(export_onnx(path, n, ref_values(n, &a, 1), &(struct export_options){0}));
    char *whole;
    size_t size;
    TEST_OK(fs_read(&whole, &size, path));
    struct export_summary s;
    int refused = 0;
    for (size_t i = 0; i < size; i++) {
        char *cut = mem_alloc(i ? i : 1); /* its own block, so that reading past the end is seen */
        memcpy(cut, whole, i);
        refused += export_onnx_parse(&s, "cut", cut, i).code != STATUS_OK;
        export_summary_free(&s);
        free(cut);
        whole[i] ^= (char)(1 << i % 8);
        if (export_onnx_parse(&s, "flipped", whole, size).code == STATUS_OK) export_summary_free(&s);
        whole[i] ^= (char)(1 << i % 8);
    }
    CU_ASSERT(refused > (int)size * 9 / 10);
    free(whole);
    net_free(n);
    arena_free(&a);
}

static void export_onnx_read__a_file_that_is_none(void)
{
    char path[512];
    struct export_summary s;
    snprintf(path, sizeof path, "%s", in_dir("garbage.onnx"));
    TEST_FAILS(export_onnx_read(&s, path), STATUS_IO, "cannot open");
    TEST_OK(fs_write(path, "", 0));
    TEST_FAILS(export_onnx_read(&s, path), STATUS_ARG, "is empty");
    TEST_OK(fs_write(path, "this is a text, no model", 24));
    TEST_FAILS(export_onnx_read(&s, path), STATUS_ARG, path);
    TEST_OK(fs_write(path, "\x08\x08", 2)); /* an IR version and nothing else */
    TEST_FAILS(export_onnx_read(&s, path), STATUS_ARG, "no graph");
    static const char deep[] = "\x3a\x04\x0a\x7f\x0a\x0a"; /* a node longer than its graph */
    TEST_OK(fs_write(path, deep, sizeof deep - 1));
    TEST_FAILS(export_onnx_read(&s, path), STATUS_ARG, "longer than what holds it");
    TEST_FAILS(export_onnx_read(&s, test_source_dir()), STATUS_IO, "is a folder, expected a file");
}

static const struct test tests[] = {
    TEST(export_onnx__a_cell_of_every_decoder_computes_the_same),
    TEST(export_onnx__a_cell_of_other_families_computes_the_same),
    TEST(export_onnx__image_io_takes_and_gives_pixels),
    TEST(export_onnx__reads_back_what_was_written),
    TEST(export_onnx__same_input_same_bytes),
    TEST(export_onnx__large_weights_go_beside_the_file),
    TEST(export_onnx__weights_that_are_no_numbers_are_named),
    TEST(export_onnx__an_unwritable_place_leaves_nothing),
    TEST(export_write__formats_by_name),
    TEST(export_formats__are_those_of_the_spec),
    TEST(export_onnx_parse__survives_every_cut_and_flip),
    TEST(export_onnx_read__a_file_that_is_none),
};
TEST_MAIN("export.onnx", tests)
