/* safetensors in and out: round trips, conversions, and every way a header can lie. */
#include "test.h"
#include "weights.h"
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

static char *path_in(const char *name)
{
    static char out[2][512];
    static int turn;
    turn ^= 1;
    snprintf(out[turn], sizeof out[turn], "%s/%s", test_dir(), name);
    return out[turn];
}

static const uint8_t flags[3] = {1, 0, 1};
static const float floats[6] = {0, -1.5f, 2, 3e8f, -0.0f, 1e-40f};
static const double doubles[2] = {1.0 / 3, -7};
static const struct weights_array sample[] = {
    {.name = "flags", .dtype = WEIGHTS_BOOL, .rank = 1, .shape = {3}, .data = flags, .bytes = 3},
    {.name = "a.weight", .dtype = WEIGHTS_F32, .rank = 2, .shape = {2, 3}, .data = floats, .bytes = 24},
    {.name = "empty", .dtype = WEIGHTS_F32, .rank = 2, .shape = {0, 3}, .data = NULL, .bytes = 0},
    {.name = "odd \"name\" \xc3\xa9", .dtype = WEIGHTS_F64, .rank = 1, .shape = {2}, .data = doubles, .bytes = 16},
    {.name = "scalar", .dtype = WEIGHTS_F32, .rank = 0, .data = floats + 1, .bytes = 4},
};

static void weights_save__comes_back_equal(void)
{
    const char *path = path_in("w.safetensors");
    json_t *meta = json_pack("{s:s}", "who", "me");
    TEST_OK(weights_save(path, sample, LEN(sample), meta));
    json_decref(meta);
    struct weights w;
    TEST_OK(weights_load(&w, path));
    CU_ASSERT_EQUAL(w.n, LEN(sample));
    CU_ASSERT_STRING_EQUAL(json_str(w.meta, "who", ""), "me");
    for (size_t i = 0; i < LEN(sample); i++) {
        const struct weights_array *a = weights_find(&w, sample[i].name);
        CU_ASSERT_PTR_NOT_NULL_FATAL(a);
        CU_ASSERT(a->dtype == sample[i].dtype && a->rank == sample[i].rank && a->bytes == sample[i].bytes);
        CU_ASSERT(!memcmp(a->shape, sample[i].shape, sizeof a->shape));
        CU_ASSERT(!a->bytes || !memcmp(a->data, sample[i].data, a->bytes));
        CU_ASSERT_EQUAL((uintptr_t)a->data % weights_dtype_size(a->dtype), 0);
    }
    CU_ASSERT_PTR_NULL(weights_find(&w, "a.weigh"));
    weights_free(&w);
}

static void weights_save__is_a_valid_header_of_multiple_8(void)
{
    const char *path = path_in("w.safetensors");
    TEST_OK(weights_save(path, sample, LEN(sample), NULL));
    char *text;
    size_t n;
    TEST_OK(fs_read(&text, &n, path));
    uint64_t header;
    memcpy(&header, text, 8);
    CU_ASSERT_EQUAL(header % 8, 0);
    CU_ASSERT_EQUAL(8 + header + 3 + 24 + 16 + 4, n);
    free(text);
}

static void weights_save__refuses_twins_and_missing_folders(void)
{
    struct weights_array twins[2] = {sample[1], sample[1]};
    const char *path = path_in("w.safetensors");
    TEST_FAILS(weights_save(path, twins, 2, NULL), STATUS_ARG, "a.weight: is there twice");
    CU_ASSERT(!fs_exists(path));
    TEST_FAILS(weights_save("/nowhere/at/all/w.safetensors", sample, 1, NULL), STATUS_IO, "/nowhere/at/all");
}

/* A limit on file sizes stands for a full disk: writing fails in the middle. */
static void weights_save__leaves_nothing_on_a_full_disk(void)
{
    const char *path = path_in("w.safetensors");
    TEST_OK(weights_save(path, sample, 1, NULL));
    int64_t before = fs_size(path);
    struct weights_array large = {
        .name = "large", .dtype = WEIGHTS_U8, .rank = 1, .shape = {1 << 20}, .bytes = 1 << 20};
    large.data = mem_zalloc(large.bytes);
    const struct rlimit small = {100000, RLIM_INFINITY}, any = {RLIM_INFINITY, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &small), 0);
    TEST_FAILS(weights_save(path, &large, 1, NULL), STATUS_IO, "w.safetensors: cannot write");
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &any), 0);
    CU_ASSERT_EQUAL(fs_size(path), before); /* the old file is whole */
    struct arena a = {0};
    char **names;
    size_t n;
    TEST_OK(fs_list(&names, &n, &a, fs_dirname(&a, path)));
    CU_ASSERT_EQUAL(n, 1);
    arena_free(&a);
    free((void *)(uintptr_t)large.data);
}

/* Header text + data_n zero bytes. */
static struct status parse(const char *header, size_t data_n)
{
    struct str b = {0};
    uint64_t n = strlen(header);
    char zero[64] = {0};
    str_addn(&b, &n, 8);
    str_add(&b, header);
    str_addn(&b, zero, data_n);
    struct weights w;
    struct status s = weights_parse(&w, "f.safetensors", b.s, b.n);
    if (s.code == STATUS_OK) weights_free(&w);
    str_free(&b);
    return s;
}

#define A(dtype, shape, begin, end)                                                                                    \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static const struct {
    const char *header;
    size_t data_n;
    const char *message; /* NULL: fine */
} headers[] = {
    {"{}", 0, NULL},
    {"{\"a\":" A("F32", "[2]", 0, 8) "}   ", 8, NULL},
    {"{\"__metadata__\":{\"k\":\"v\"},\"a\":" A("U8", "[]", 0, 1) "}", 1, NULL},
    {"{\"b\":" A("U8", "[1]", 8, 9) ",\"a\":" A("F32", "[2]", 0, 8) "}", 9, NULL},
    {"{\"a\":" A("F32", "[2]", 0, 8) "}", 7, "tensor a: data_offsets: got [0, 8]"},
    {"{\"a\":" A("F32", "[2]", 8, 0) "}", 8, "tensor a: data_offsets"},
    {"{\"a\":" A("F32", "[2]", -8, 0) "}", 8, "tensor a: data_offsets"},
    {"{\"a\":" A("F32", "[3]", 0, 8) "}", 8, "tensor a: data_offsets: got 8 bytes, expected 12"},
    {"{\"a\":" A("F32", "[-2]", 0, 8) "}", 8, "tensor a: shape: dimension 0"},
    {"{\"a\":" A("F32", "[2.0]", 0, 8) "}", 8, "tensor a: shape: dimension 0"},
    {"{\"a\":" A("F32", "[1,1,1,1,1,1,1,1,2]", 0, 8) "}", 8, "at most 8"},
    {"{\"a\":" A("F32", "[4294967296,4294967296,4294967296]", 0, 8) "}", 8, "does not fit"},
    {"{\"a\":" A("F32", "[4611686018427387904]", 0, 8) "}", 8, "does not fit"},
    {"{\"a\":" A("F8_E4M3", "[8]", 0, 8) "}", 8, "tensor a: dtype: got F8_E4M3"},
    {"{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype: is missing"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, "shape: expected an array"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "expected [begin, end]"},
    {"{\"a\":[1]}", 8, "tensor a: expected an object"},
    {"{\"a\":" A("F32", "[2]", 0, 8) ",\"b\":" A("F32", "[2]", 4, 12) "}", 12, "tensor b: begins at byte 4"},
    {"{\"a\":" A("F32", "[2]", 0, 8) ",\"b\":" A("F32", "[2]", 0, 8) "}", 8, "it overlaps"},
    {"{\"a\":" A("F32", "[2]", 0, 8) ",\"b\":" A("F32", "[1]", 12, 16) "}", 16, "belong to no tensor"},
    {"{\"a\":" A("F32", "[2]", 0, 8) "}", 9, "1 bytes after the last tensor"},
    {"{\"a\":" A("F32", "[2]", 0, 8) ",\"a\":" A("F32", "[2]", 8, 16) "}", 16, "duplicate"},
    {"{\"__metadata__\":{\"k\":1}}", 0, "__metadata__: k: expected a string"},
    {"{\"__metadata__\":[]}", 0, "__metadata__: expected an object"},
    {"[]", 0, "expected a JSON object"},
    {"{\"a\":", 0, "not JSON"},
    {"{\"a\xff\":1}", 0, "not JSON"},
};

static void weights_parse__judges_headers(void)
{
    for (size_t i = 0; i < LEN(headers); i++) {
        if (headers[i].message)
            TEST_FAILS(parse(headers[i].header, headers[i].data_n), STATUS_ARG, headers[i].message);
        else
            TEST_OK(parse(headers[i].header, headers[i].data_n));
    }
}

static void weights_parse__judges_lengths(void)
{
    struct weights w;
    TEST_FAILS(weights_parse(&w, "f.safetensors", "", 0), STATUS_ARG, "f.safetensors: is empty");
    TEST_FAILS(weights_parse(&w, "f.safetensors", "1234567", 7), STATUS_ARG, "7 bytes long");
    TEST_FAILS(weights_parse(&w, "f.safetensors", "\3\0\0\0\0\0\0\0{}", 10), STATUS_ARG, "only 2 bytes follow");
    TEST_FAILS(weights_parse(&w, "f.safetensors", "\377\377\377\377\377\377\377\377{}", 10), STATUS_ARG, "at most");
    TEST_FAILS(weights_parse(&w, "f", "hello, I am a text file", 23), STATUS_ARG, "neither safetensors nor");
}

static void weights_load__says_what_the_system_said(void)
{
    struct weights w;
    TEST_FAILS(weights_load(&w, "/nowhere/w.safetensors"), STATUS_IO, "No such file");
    TEST_FAILS(weights_load(&w, test_dir()), STATUS_IO, "is a folder, expected a file");
    const char *path = path_in("w.safetensors");
    TEST_OK(weights_save(path, sample, LEN(sample), NULL));
    CU_ASSERT_EQUAL(truncate(path, fs_size(path) - 3), 0);
    TEST_FAILS(weights_load(&w, path), STATUS_ARG, "cut off");
}

static void weights_parse__survives_each_cut_and_flip(void)
{
    const char *path = path_in("w.safetensors");
    TEST_OK(weights_save(path, sample, LEN(sample), NULL));
    char *text;
    size_t n;
    TEST_OK(fs_read(&text, &n, path));
    for (size_t cut = 0; cut < n; cut++) {
        struct weights w;
        char *part = mem_alloc(cut); /* exact, so that ASan sees a read past it */
        if (cut) memcpy(part, text, cut);
        CU_ASSERT_EQUAL(weights_parse(&w, path, part, cut).code, STATUS_ARG);
        free(part);
    }
    for (size_t i = 0; i < 8 * n; i++) {
        text[i / 8] = (char)(text[i / 8] ^ 1 << i % 8);
        struct weights w;
        if (weights_parse(&w, path, text, n).code == STATUS_OK) weights_free(&w);
        text[i / 8] = (char)(text[i / 8] ^ 1 << i % 8);
    }
    free(text);
}

static void weights_to_f32__converts_every_dtype(void)
{
    const uint16_t half[] = {0x3c00, 0xc000, 0x7bff, 0x0001, 0x0400, 0x8000, 0x7c00, 0x7e00, 0x3555};
    const float half_is[] = {1, -2, 65504, 0x1p-24f, 0x1p-14f, -0.0f, INFINITY, NAN, 0.333251953125f};
    const uint16_t bf[] = {0x3f80, 0xc049, 0x7f80};
    const float bf_is[] = {1, -3.140625f, INFINITY};
    const int64_t i64[] = {-5, 1 << 20};
    const float i64_is[] = {-5, 1 << 20};
    const int32_t i32[] = {-6};
    const float i32_is[] = {-6};
    const int16_t i16[] = {-7};
    const float i16_is[] = {-7};
    const int8_t i8[] = {-8};
    const float i8_is[] = {-8};
    const uint8_t u8[] = {200}, yes[] = {2, 0};
    const float u8_is[] = {200}, yes_is[] = {1, 0};
    const double f64[] = {0.1};
    const float f64_is[] = {0.1f};
    const struct {
        enum weights_dtype d;
        const void *v;
        const float *is;
        size_t n;
    } rows[] = {
        {WEIGHTS_F16, half, half_is, LEN(half)},
        {WEIGHTS_BF16, bf, bf_is, LEN(bf)},
        {WEIGHTS_I64, i64, i64_is, 2},
        {WEIGHTS_I32, i32, i32_is, 1},
        {WEIGHTS_I16, i16, i16_is, 1},
        {WEIGHTS_I8, i8, i8_is, 1},
        {WEIGHTS_U8, u8, u8_is, 1},
        {WEIGHTS_BOOL, yes, yes_is, 2},
        {WEIGHTS_F64, f64, f64_is, 1},
        {WEIGHTS_F32, half_is, half_is, LEN(half_is)},
    };
    CU_ASSERT_EQUAL(LEN(rows), WEIGHTS_N_DTYPES);
    for (size_t i = 0; i < LEN(rows); i++) {
        float out[16];
        struct weights_array a = {
            .dtype = rows[i].d, .data = rows[i].v, .bytes = rows[i].n * weights_dtype_size(rows[i].d)};
        weights_to_f32(&a, out);
        for (size_t j = 0; j < rows[i].n; j++) {
            bool same = isnan(rows[i].is[j]) ? isnan(out[j])
                                             : out[j] == rows[i].is[j] && !signbit(out[j]) == !signbit(rows[i].is[j]);
            if (!same) fprintf(stderr, "%s[%zu]: got %g\n", weights_dtype_name(rows[i].d), j, (double)out[j]);
            CU_ASSERT(same);
        }
    }
}

static const struct test tests[] = {
    TEST(weights_save__comes_back_equal),
    TEST(weights_save__is_a_valid_header_of_multiple_8),
    TEST(weights_save__refuses_twins_and_missing_folders),
    TEST(weights_save__leaves_nothing_on_a_full_disk),
    TEST(weights_parse__judges_headers),
    TEST(weights_parse__judges_lengths),
    TEST(weights_load__says_what_the_system_said),
    TEST(weights_parse__survives_each_cut_and_flip),
    TEST(weights_to_f32__converts_every_dtype),
};
TEST_MAIN("weights.safetensors", tests)
