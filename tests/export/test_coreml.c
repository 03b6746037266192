/*
 * Core ML packages. No Core ML runs here: coremltools' reader of MIL, which checks types and shapes, and an interpreter
 * of it (mil.py) do. `.ci/setup coreml` brings them; without them what is executed is skipped.
 */
#include "op_cases.h"
#include "runtime_check.h"
#include "zoo.h"
#include <unistd.h>

/* Writes DIR/NAME.mlpackage, and what goes in and must come out beside it. */
static void put_case(const char *format, const char *dir, const char *name, struct net *n, uint64_t seed)
{
    struct arena a = {0};
    const float *const *values = ref_values(n, &a, seed), *images[1];
    struct bench_array in = check_input(n, 0, 1, -2.5, 2.5);
    int64_t size = net_numel(net_shape_of(n, n->outputs[0].val));
    float *want = mem_alloc((size_t)size * sizeof *want);
    images[0] = in.data;
    struct ref r = ref_run(n, values, images);
    for (int64_t i = 0; i < size; i++) want[i] = (float)r.v[n->outputs[0].val][i];
    TEST_OK(
        export_write(format, arena_printf(&a, "%s/%s.mlpackage", dir, name), n, values, &(struct export_options){0}));
    TEST_OK(fs_write(arena_printf(&a, "%s/%s.in", dir, name), in.data, (size_t)bench_array_numel(&in) * sizeof(float)));
    TEST_OK(fs_write(arena_printf(&a, "%s/%s.want", dir, name), want, (size_t)size * sizeof *want));
    ref_free(&r);
    free(want);
    free(in.data);
    net_free(n);
    arena_free(&a);
}

static void put_cells(const char *format, const char *dir)
{
    const char *const *archs = zoo_arch_names();
    for (int i = 0; archs[i]; i++) {
        int side = strcmp(archs[i], "pan") ? 32 : 128; /* the least each takes */
        struct zoo_model m = {.arch = archs[i], .backbone = "mobilenetv3_small_075", .height = side, .width = side};
        struct net *n = NULL;
        TEST_OK(zoo_build(&n, &m));
        if (n) put_case(format, dir, archs[i], n, 3);
    }
}

/* False when there is nothing to run them with. */
static bool interpret(const char *dir, const char *tolerance)
{
    struct arena a = {0};
    const char *root = test_source_dir(), *python = arena_printf(&a, "%s/.deps/coreml/bin/python", root);
    bool there = access(python, X_OK) == 0;
    if (!there) fprintf(stderr, "%s: not here; `.ci/setup coreml` brings it: nothing is executed\n", python);
    if (there)
        CU_ASSERT_EQUAL(system(arena_printf(&a, "PYTHONPATH=%s/.deps/torch %s %s/tests/export/mil.py %s %s >&2", root,
                                            python, root, dir, tolerance)),
                        0);
    arena_free(&a);
    return there;
}

static void export_coreml__every_op_computes_the_same(void)
{
    const char *dir = test_dir();
    for (size_t i = 0; i < LEN(cases); i++)
        if (net_ops[cases[i].op].formats & NET_COREML) put_case("coreml", dir, cases[i].name, build(cases[i].build), i);
    interpret(dir, "1e-5");
}

static void export_coreml__a_cell_of_every_decoder_computes_the_same(void)
{
    const char *dir = test_dir();
    put_cells("coreml", dir);
    interpret(dir, "1e-4");
}

static void export_coreml__half_precision_is_near(void)
{
    const char *dir = test_dir();
    put_cells("coreml-fp16", dir);
    interpret(dir, "0.03");
}

static void export_coreml__weights_of_8_bits_are_near(void)
{
    const char *dir = test_dir();
    struct arena a = {0};
    struct export_package half, int8;
    put_cells("coreml-fp16", dir);
    TEST_OK(export_coreml_read(&half, arena_printf(&a, "%s/unet.mlpackage", dir)));
    put_cells("coreml-int8", dir);
    TEST_OK(export_coreml_read(&int8, arena_printf(&a, "%s/unet.mlpackage", dir)));
    CU_ASSERT(int8.bytes_weights < half.bytes_weights * 6 / 10);
    interpret(dir, "0.1");
    arena_free(&a);
}

/* The shape of the folder, which readers of packages hold to. */
static void export_coreml__is_a_package(void)
{
    struct arena a = {0};
    const char *dir = test_dir();
    char *text;
    size_t n;
    json_t *j = NULL;
    put_case("coreml", dir, "small", build(conv_plain), 1);
    TEST_OK(fs_read(&text, &n, arena_printf(&a, "%s/small.mlpackage/Manifest.json", dir)));
    TEST_OK(json_parse(&j, "manifest", text, n));
    const json_t *entries = json_object_get(j, "itemInfoEntries"), *v;
    CU_ASSERT_EQUAL(json_object_size(entries), 2);
    CU_ASSERT_PTR_NOT_NULL(json_object_get(entries, json_str(j, "rootModelIdentifier", "")));
    const char *key;
    json_object_foreach(json_object_get(j, "itemInfoEntries"), key, v)
        CU_ASSERT(fs_exists(arena_printf(&a, "%s/small.mlpackage/Data/%s", dir, json_str(v, "path", "?"))));
    free(text);
    json_decref(j);
    TEST_OK(fs_read(&text, &n, arena_printf(&a, "%s/small.mlpackage/Data/com.apple.CoreML/weights/weight.bin", dir)));
    CU_ASSERT_EQUAL(n, 64 + 64 + 5 * 6 * 9 * 4 + (64 - 5 * 6 * 9 * 4 % 64)); /* the bias of 5 is in the program */
    CU_ASSERT_EQUAL(memcmp(text + 64, "\xef\xbe\xad\xde\x02\0\0\0", 8), 0);
    free(text);
    struct export_package p;
    const char *package = arena_printf(&a, "%s/small.mlpackage", dir);
    TEST_OK(export_coreml_read(&p, package));
    CU_ASSERT_EQUAL(p.specification, 7);
    CU_ASSERT_EQUAL(p.n_weights, 1);
    CU_ASSERT_EQUAL(p.bytes_weights, 5 * 6 * 9 * 4);
    TEST_OK(fs_write(arena_printf(&a, "%s/Data/com.apple.CoreML/weights/weight.bin", package), "", 0));
    TEST_FAILS(export_coreml_read(&p, package), STATUS_ARG, "where there is none");
    CU_ASSERT_EQUAL(unlink(arena_printf(&a, "%s/Data/com.apple.CoreML/model.mlmodel", package)), 0);
    TEST_FAILS(export_coreml_read(&p, package), STATUS_ARG, "which is not there");
    arena_free(&a);
}

/* Every cut and a flip of every byte of a real program: counts or a message, never a crash (the sanitizers watch). */
static void export_coreml_parse__survives_every_cut_and_flip(void)
{
    struct arena a = {0};
    const char *dir = test_dir();
    char *whole;
    size_t size;
    struct export_package p;
    static const uint8_t weights[64];
    put_case("coreml", dir, "victim", build(affine), 1);
    TEST_OK(fs_read(&whole, &size, arena_printf(&a, "%s/victim.mlpackage/Data/com.apple.CoreML/model.mlmodel", dir)));
    int refused = 0;
    for (size_t i = 0; i < size; i++) {
        char *cut = mem_alloc(i ? i : 1); /* its own block, so that reading past the end is seen */
        memcpy(cut, whole, i);
        refused += export_coreml_parse(&p, "cut", cut, i, weights, sizeof weights).code != STATUS_OK;
        free(cut);
        whole[i] ^= (char)(1 << i % 8);
        refused += export_coreml_parse(&p, "flipped", whole, size, weights, sizeof weights).code != STATUS_OK;
        whole[i] ^= (char)(1 << i % 8);
    }
    CU_ASSERT(refused > (int)size * 9 / 10);
    free(whole);
    arena_free(&a);
}

static const struct test tests[] = {
    TEST(export_coreml__every_op_computes_the_same),
    TEST(export_coreml__a_cell_of_every_decoder_computes_the_same),
    TEST(export_coreml__half_precision_is_near),
    TEST(export_coreml__weights_of_8_bits_are_near),
    TEST(export_coreml__is_a_package),
    TEST(export_coreml_parse__survives_every_cut_and_flip),
};
TEST_MAIN("export.coreml", tests)
