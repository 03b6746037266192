/* Every kind of malformed file is refused with its name, the tensor's, and the reason; and quickly. */
#include "malformed.h"
#include "weights.h"
#include <math.h>

static void weights_load__refuses_each_malformed_file_by_name(void)
{
    struct arena a = {0};
    const char *dir = arena_strdup(&a, test_dir());
    for (size_t i = 0; i < LEN(malformed_files); i++) {
        struct weights w;
        const char *path = malformed_write(&a, dir, i);
        struct status s = weights_load(&w, path);
        CU_ASSERT_EQUAL(s.code, malformed_files[i].place ? STATUS_IO : STATUS_ARG);
        CU_ASSERT_TRUE(malformed_told(i, s.msg));
        if (s.code == STATUS_OK) weights_free(&w);
    }
    arena_free(&a);
}

/* The makers make what the readers read: without its fault, each is a file like any other. */
static void weights_load__takes_the_same_without_the_fault(void)
{
    static const struct malformed fine[] = {
        {"a.safetensors", malformed_safetensors, NULL, MALFORMED_TEXT("{\"w\":" MALFORMED_A("[4]", 0, 16) "}"), 16,
         NULL, NULL},
        {"b.pth", malformed_zip, NULL, MALFORMED_TEXT(MALFORMED_TENSOR MALFORMED_STORAGE("\2") MALFORMED_GOOD), 0, NULL,
         NULL},
        {"c.pth", malformed_legacy, NULL,
         MALFORMED_TEXT(MALFORMED_TENSOR MALFORMED_STORAGE("\2") MALFORMED_GOOD "\x80\2]U\1"
                                                                                "0a.\2\0\0\0\0\0\0\0abcdefgh"),
         0, NULL, NULL},
    };
    for (size_t i = 0; i < LEN(fine); i++) {
        struct weights w;
        struct str bytes = {0};
        fine[i].make(&bytes, &fine[i]);
        TEST_OK(weights_parse(&w, fine[i].name, bytes.s, bytes.n));
        CU_ASSERT_EQUAL(w.n, 1);
        CU_ASSERT_PTR_NOT_NULL(weights_find(&w, "w"));
        weights_free(&w);
        str_free(&bytes);
    }
}

static void weights_check_numbers__names_what_no_parameter_can_be(void)
{
    static const double f64[2] = {1, (double)INFINITY};
    static const float f32[3] = {1, -3e38f, NAN};
    static const uint16_t f16[2] = {0x7bff, 0xfc00}, bf16[2] = {0x7f7f, 0x7fc0};
    static const int64_t counts[2] = {7, 8};
    static const struct {
        struct weights_array a;
        const char *says; /* NULL: fine */
    } cases[] = {
        {{"w", WEIGHTS_F64, 1, {1}, f64, 8}, NULL},
        {{"w", WEIGHTS_F64, 1, {2}, f64, 16}, "tensor w: element 1 of 2 is no finite number"},
        {{"w", WEIGHTS_F32, 1, {2}, f32, 8}, NULL},
        {{"w", WEIGHTS_F32, 1, {3}, f32, 12}, "element 2 of 3"},
        {{"w", WEIGHTS_F16, 1, {1}, f16, 2}, NULL},
        {{"w", WEIGHTS_F16, 1, {2}, f16, 4}, "element 1 of 2"},
        {{"w", WEIGHTS_BF16, 1, {1}, bf16, 2}, NULL},
        {{"w", WEIGHTS_BF16, 1, {2}, bf16, 4}, "element 1 of 2"},
        {{"n", WEIGHTS_I64, 0, {0}, counts, 8}, NULL},
        {{"n", WEIGHTS_I64, 1, {2}, counts, 16}, "tensor n: dtype: got I64, expected F64, F32, F16 or BF16"},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        if (cases[i].says)
            TEST_FAILS(weights_check_numbers(&cases[i].a, 1), STATUS_ARG, cases[i].says);
        else
            TEST_OK(weights_check_numbers(&cases[i].a, 1));
    }
}

static const struct test tests[] = {
    TEST(weights_load__refuses_each_malformed_file_by_name),
    TEST(weights_load__takes_the_same_without_the_fault),
    TEST(weights_check_numbers__names_what_no_parameter_can_be),
};
TEST_MAIN("weights.malformed", tests)
