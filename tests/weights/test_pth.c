/* PyTorch's own files (written by torch 2.13), and files that want code run or memory wasted. */
#include "test.h"
#include "weights.h"
#include <unistd.h>

static const char *fixture(const char *name)
{
    static char out[1024];
    snprintf(out, sizeof out, "%s/tests/fuzz/corpus/pth/%s", test_source_dir(), name);
    return out;
}

static void expect(const struct weights *w, const char *name, int rank, const int64_t *shape, const float *values)
{
    const struct weights_array *a = weights_find(w, name);
    CU_ASSERT_PTR_NOT_NULL(a);
    if (!a) {
        fprintf(stderr, "%s: absent\n", name);
        return;
    }
    float got[64];
    weights_to_f32(a, got);
    size_t n = a->bytes / weights_dtype_size(a->dtype);
    bool same = a->rank == rank && !memcmp(a->shape, shape, (size_t)rank * sizeof *shape) &&
                !memcmp(got, values, n * sizeof *got);
    if (!same) fprintf(stderr, "%s: differs\n", name);
    CU_ASSERT(same);
}

#define EXPECT(w, name, shape, ...)                                                                                    \
    expect(w, name, (int)LEN(((int64_t[])shape)), (int64_t[])shape, (const float[]){__VA_ARGS__})
#define SHAPE(...)                                                                                                     \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }

static void check_sample(const char *file)
{
    struct weights w;
    TEST_OK(weights_load(&w, fixture(file)));
    CU_ASSERT_EQUAL(w.n, 11);
    CU_ASSERT(w.n && !strcmp(w.a[0].name, "a.weight"));
    float count[24], strided[24];
    for (int i = 0; i < 24; i++) count[i] = (float)i;
    for (int i = 0; i < 24; i++) strided[i] = (float)i;
    expect(&w, "a.weight", 4, (int64_t[]){2, 3, 2, 2}, count);
    expect(&w, "cl", 4, (int64_t[]){1, 2, 3, 4}, strided); /* channels_last in the file, row-major here */
    EXPECT(&w, "a.bias", SHAPE(2), 1.5f, -2);
    EXPECT(&w, "half", SHAPE(4), 1, -0.5f, 65504, 0x1p-24f);
    EXPECT(&w, "bf", SHAPE(2), 1, 3.140625f);
    EXPECT(&w, "flag", SHAPE(3), 1, 0, 1);
    EXPECT(&w, "t", SHAPE(3, 2), 0, 3, 1, 4, 2, 5);
    EXPECT(&w, "view", SHAPE(3), 4, 5, 6);
    EXPECT(&w, "p", SHAPE(2, 2), 1, 1, 1, 1);
    const struct weights_array *n = weights_find(&w, "n"), *empty = weights_find(&w, "empty");
    CU_ASSERT(n && n->rank == 0 && n->dtype == WEIGHTS_I64 && *(const int64_t *)n->data == 7);
    CU_ASSERT(empty && empty->bytes == 0 && empty->shape[1] == 3);
    weights_free(&w);
}

static void weights_load__reads_zip(void)
{
    check_sample("zip.pth");
}

static void weights_load__reads_legacy(void)
{
    check_sample("legacy.pth");
}

static void weights_load__reads_protocol_4(void)
{
    check_sample("p4.pth");
}

static void weights_load__finds_the_state_dict_in_a_checkpoint(void)
{
    check_sample("nested.pth");
}

static void weights_load__reads_a_module_state_dict(void)
{
    struct weights w;
    TEST_OK(weights_load(&w, fixture("seq.pth")));
    CU_ASSERT_EQUAL(w.n, 7);
    CU_ASSERT_PTR_NOT_NULL(weights_find(&w, "1.num_batches_tracked"));
    weights_free(&w);
}

static void weights_load__runs_nothing(void)
{
    struct weights w;
    TEST_FAILS(weights_load(&w, fixture("evil.pth")), STATUS_ARG, ".system, which is refused");
    TEST_FAILS(weights_load(&w, fixture("evil_plain.pth")), STATUS_ARG, "evil_plain.pth");
    TEST_FAILS(weights_load(&w, fixture("module.pth")), STATUS_ARG, "torch.nn.modules.conv.Conv2d, which is refused");
}

/* Legacy: the head of legacy.pth, then this pickle as the object. */
static struct status with_object(const void *pickle, size_t n)
{
    static const char head[] = "\x80\x02\x8a\nl\xfc\x9c\x46\xf9\x20\x6a\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}"
                               "X\x0d\0\0\0little_endian\x88s.";
    struct str b = {0};
    str_addn(&b, head, sizeof head - 1);
    str_addn(&b, pickle, n);
    struct weights w;
    struct status s = weights_parse(&w, "f.pth", b.s, b.n);
    if (s.code == STATUS_OK) weights_free(&w);
    str_free(&b);
    return s;
}
#define OBJECT(text) with_object(text, sizeof text - 1)

#define STORE(numel)                                                                                                   \
    "(U\7storagectorch\nFloatStorage\nU\1"                                                                             \
    "0U\3cpuK" numel "tQ"
#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n"

static void weights_parse__bounds_tensors(void)
{
    TEST_FAILS(OBJECT("\x80\2]."), STATUS_ARG, "f.pth");
    TEST_FAILS(OBJECT("\x80\2}U\1w" REBUILD "(" STORE("\4") "K\1K\4\x85K\1\x85t"
                                                            "Rs."),
               STATUS_ARG, "reaches element 4");
    TEST_FAILS(OBJECT("\x80\2}U\1w" REBUILD "(" STORE("\4") "K\0K\2K\3\x86K\0K\0\x86t"
                                                            "Rs."),
               STATUS_ARG, "expanded");
    TEST_FAILS(OBJECT("\x80\2}U\1w" REBUILD "(" STORE("\4") "K\0J\xff\xff\xff\xff\x85K\1\x85t"
                                                            "Rs."),
               STATUS_ARG, "integer >= 0");
    TEST_FAILS(OBJECT("\x80\2}U\1w" REBUILD "(" STORE("\4") "K\0K\2\x85K\1K\1\x86t"
                                                            "Rs."),
               STATUS_ARG, "strides");
    TEST_FAILS(OBJECT("\x80\2}U\1w" REBUILD "(" STORE("\4") "K\0K\2\x85\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85t"
                                                            "Rs."),
               STATUS_ARG, "");
    TEST_FAILS(OBJECT("\x80\2}U\1w" REBUILD "(" STORE("\4") "K\0K\2\x85K\1\x85tRs.\x80\x02]U\1"
                                                            "0a.\4\0\0\0\0\0\0\0abc"),
               STATUS_ARG, "cut off");
    TEST_FAILS(OBJECT("\x80\2}U\1w" REBUILD "(" STORE("\4") "K\0K\2\x85K\1\x85tRs.\x80\x02]."), STATUS_ARG,
               "data is not in the file");
    TEST_OK(OBJECT("\x80\2}U\1w" REBUILD "(" STORE("\1") "K\0K\1\x85K\1\x85tRs.\x80\x02]U\1"
                                                         "0a.\1\0\0\0\0\0\0\0abcd"));
}

static void weights_parse__bounds_the_interpreter(void)
{
    TEST_FAILS(OBJECT("\x80\2R"), STATUS_ARG, "not there");
    TEST_FAILS(OBJECT("\x80\2t."), STATUS_ARG, "mark");
    TEST_FAILS(OBJECT("\x80\2h\5."), STATUS_ARG, "never remembered");
    TEST_FAILS(OBJECT("\x80\2Nr\xff\xff\xff\xff."), STATUS_ARG, "remembers");
    TEST_FAILS(OBJECT("\x80\2X\xff\xff\xff\x7f"
                      "abc"),
               STATUS_ARG, "cut off");
    TEST_FAILS(OBJECT("\x80\2}q\0U\1ah\0s.\x80\x02]."), STATUS_ARG, "no mapping"); /* holds itself */
    TEST_FAILS(OBJECT("\x80\2}NNNu."), STATUS_ARG, "mark");
    TEST_FAILS(OBJECT("\x80\2}(NNNu."), STATUS_ARG, "cannot take");
    TEST_FAILS(OBJECT("\x80\2NNs."), STATUS_ARG, "not there");
    TEST_FAILS(OBJECT("\x80\2cos\nsystem\n."), STATUS_ARG, "os.system, which is refused");
    TEST_FAILS(OBJECT("\x80\x04\x8c\2os\x8c\6system\x93."), STATUS_ARG, "os.system, which is refused");
    TEST_FAILS(OBJECT("\x80\2N)\x81."), STATUS_ARG, "NEWOBJ");
    TEST_FAILS(OBJECT("\x80\2\xfe."), STATUS_ARG, "0xfe");
    TEST_FAILS(OBJECT("\x80\2ctorch\nFloatStorage\n)R."), STATUS_ARG, "FloatStorage, which is refused");
    struct str deep = {0};
    str_add(&deep, "\x80\x02");
    for (int i = 0; i < 200000; i++) str_add(&deep, "(");
    TEST_FAILS(with_object(deep.s, deep.n), STATUS_ARG, "nested deeper");
    str_free(&deep);
}

static void weights_parse__refuses_the_other_byte_order(void)
{
    char *text;
    size_t n;
    TEST_OK(fs_read(&text, &n, fixture("zip.pth")));
    char *order = memmem(text, n, "little", 6);
    CU_ASSERT_PTR_NOT_NULL_FATAL(order);
    memcpy(order, "bigbig", 6);
    struct weights w;
    TEST_FAILS(weights_parse(&w, "f.pth", text, n), STATUS_ARG, "byte order: got bigbig");
    free(text);
}

static void weights_parse__refuses_compressed_entries(void)
{
    char *text;
    size_t n;
    TEST_OK(fs_read(&text, &n, fixture("zip.pth")));
    char *central = memmem(text, n, "PK\1\2", 4);
    CU_ASSERT_PTR_NOT_NULL_FATAL(central);
    central[10] = 8;
    struct weights w;
    TEST_FAILS(weights_parse(&w, "f.pth", text, n), STATUS_ARG, "is compressed");
    free(text);
}

static void weights_parse__survives_each_cut_and_flip(void)
{
    static const char *const files[] = {"seq.pth", "legacy.pth"};
    for (size_t f = 0; f < LEN(files); f++) {
        char *text;
        size_t n;
        TEST_OK(fs_read(&text, &n, fixture(files[f])));
        for (size_t cut = 0; cut < n; cut++) {
            struct weights w;
            char *part = mem_alloc(cut);
            if (cut) memcpy(part, text, cut);
            CU_ASSERT_EQUAL(weights_parse(&w, "f.pth", part, cut).code, STATUS_ARG);
            free(part);
        }
        for (size_t i = 0; i < 8 * n; i++) {
            text[i / 8] = (char)(text[i / 8] ^ 1 << i % 8);
            struct weights w;
            if (weights_parse(&w, "f.pth", text, n).code == STATUS_OK) weights_free(&w);
            text[i / 8] = (char)(text[i / 8] ^ 1 << i % 8);
        }
        free(text);
    }
}

static void weights_save_pth__comes_back_equal(void)
{
    char path[600];
    struct weights in, out;
    snprintf(path, sizeof path, "%s/w.pth", test_dir());
    TEST_OK(weights_load(&in, fixture("zip.pth"))); /* every dtype, rank 0, nothing at all */
    TEST_OK(weights_save_pth(path, in.a, in.n));
    TEST_OK(weights_load(&out, path));
    CU_ASSERT_EQUAL(out.n, in.n);
    for (size_t i = 0; i < in.n; i++) {
        const struct weights_array *a = weights_find(&out, in.a[i].name);
        CU_ASSERT_PTR_NOT_NULL_FATAL(a);
        CU_ASSERT(a->dtype == in.a[i].dtype && a->rank == in.a[i].rank && a->bytes == in.a[i].bytes);
        CU_ASSERT(!memcmp(a->shape, in.a[i].shape, (size_t)a->rank * sizeof *a->shape));
        CU_ASSERT(!a->bytes || !memcmp(a->data, in.a[i].data, a->bytes));
    }
    weights_free(&out);
    weights_free(&in);
    TEST_FAILS(weights_save_pth("/nowhere/at/all/w.pth", NULL, 0), STATUS_IO, "/nowhere/at/all");
}

static const struct test tests[] = {
    TEST(weights_load__reads_zip),
    TEST(weights_load__reads_legacy),
    TEST(weights_load__reads_protocol_4),
    TEST(weights_load__finds_the_state_dict_in_a_checkpoint),
    TEST(weights_load__reads_a_module_state_dict),
    TEST(weights_load__runs_nothing),
    TEST(weights_parse__bounds_tensors),
    TEST(weights_parse__bounds_the_interpreter),
    TEST(weights_parse__refuses_the_other_byte_order),
    TEST(weights_parse__refuses_compressed_entries),
    TEST(weights_save_pth__comes_back_equal),
    TEST(weights_parse__survives_each_cut_and_flip),
};
TEST_MAIN("weights.pth", tests)
