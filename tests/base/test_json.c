/* JSON for readers: the fewest digits, and texts of any bytes. */
#include "test.h"

static void json_text__has_the_fewest_digits(void)
{
    static const struct {
        double v;
        const char *text;
    } rows[] = {{3.59, "3.59"},
                {0.1, "0.1"},
                {1.0 / 3, "0.3333333333333333"},
                {(double)0.1f, "0.1"},
                {(double)0.7231342f, "0.7231342"},
                {3, "3.0"},
                {4294967296.0, "4294967296.0"},
                {1e300, "1e+300"},
                {1790000000.1234567, "1790000000.1234567"},
                {-0.5, "-0.5"},
                {0, "0.0"}};
    for (size_t i = 0; i < LEN(rows); i++) {
        json_t *j = json_real(rows[i].v), *back = NULL;
        char *text = json_text(j, 0);
        CU_ASSERT_STRING_EQUAL(text, rows[i].text);
        TEST_OK(json_parse(&back, "back", text, strlen(text)));
        CU_ASSERT_TRUE(json_is_real(back));
        CU_ASSERT_TRUE(json_real_value(back) == rows[i].v || (float)json_real_value(back) == (float)rows[i].v);
        json_decref(back);
        json_decref(j);
        free(text);
    }
}

static void json_text__is_read_back(void)
{
    static const char source[] =
        "{\"z\": [1, 2.5, null, true, \"a\\\"b\\\\\\u0001\"], \"a\\\"\": {}, \"b\": [], \"c\": {\"d\": -7}}";
    json_t *j = NULL, *back = NULL;
    TEST_OK(json_parse(&j, "source", source, sizeof source - 1));
    for (int indent = 0; indent < 3; indent++) {
        char *text = json_text(j, indent);
        CU_ASSERT_EQUAL(strchr(text, '\n') != NULL, indent > 0);
        TEST_OK(json_parse(&back, "back", text, strlen(text)));
        CU_ASSERT_TRUE(json_equal(j, back));
        json_decref(back);
        free(text);
    }
    char *text = json_text(j, 1), *own = json_dumps(j, JSON_INDENT(1));
    CU_ASSERT_STRING_EQUAL(text, own); /* the form that files and scripts know */
    free(text);
    free(own);
    json_decref(j);
}

static void json_of_bytes__takes_any(void)
{
    static const char *const rows[][2] = {
        {"plain", "plain"},         {"a\"b", "a\"b"},
        {"\xc3\xa9", "\xc3\xa9"},   {"\xff.pth", "\xef\xbf\xbd.pth"},
        {"a\xc3", "a\xef\xbf\xbd"}, {"\xed\xa0\x80!", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd!"}};
    for (size_t i = 0; i < LEN(rows); i++) {
        json_t *j = json_of_bytes(rows[i][0]);
        CU_ASSERT_PTR_NOT_NULL_FATAL(j);
        CU_ASSERT_STRING_EQUAL(json_string_value(j), rows[i][1]);
        json_decref(j);
    }
    json_t *none = json_of_bytes(NULL);
    CU_ASSERT_TRUE(json_is_null(none));
}

static const struct test tests[] = {TEST(json_text__has_the_fewest_digits), TEST(json_text__is_read_back),
                                    TEST(json_of_bytes__takes_any)};
TEST_MAIN("base.json", tests)
