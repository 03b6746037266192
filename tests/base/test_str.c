/* What is put between a shell's quotes comes out of a real shell as it was. */
#include "test.h"

static void str_add_quoted__survives_a_shell(void)
{
    static const char *const texts[] = {"", "plain", "two words", "0'; touch pwned; '", "''", "\\'\"$HOME`id`\n*"};
    for (size_t i = 0; i < LEN(texts); i++) {
        struct arena a = {0};
        struct str command = {0};
        char *got = NULL;
        const char *out = fs_join(&a, test_dir(), "out");
        str_add(&command, "printf %s ");
        str_add_quoted(&command, texts[i]);
        str_add(&command, " > ");
        str_add_quoted(&command, out);
        CU_ASSERT_EQUAL(system(command.s), 0);
        TEST_OK(fs_read(&got, NULL, out));
        CU_ASSERT_STRING_EQUAL(got, texts[i]);
        free(got);
        str_free(&command);
        arena_free(&a);
    }
}

static void str_nearest__takes_spellings_for_one_name(void)
{
    static const char *const names[] = {"unet", "unetplusplus", "mobilenetv3_large_100", "onnx-int8", NULL};
    static const char *const pairs[][2] = {
        {"unet++", "unetplusplus"},       {"UNet", "unet"},
        {"UnetPlusPlus", "unetplusplus"}, {"MobileNet-V3-Large-100", "mobilenetv3_large_100"},
        {"onnx_int8", "onnx-int8"},       {"unett", "unet"}};
    for (size_t i = 0; i < LEN(pairs); i++) {
        const char *near = str_nearest(pairs[i][0], names);
        CU_ASSERT_PTR_NOT_NULL_FATAL(near);
        CU_ASSERT_STRING_EQUAL(near, pairs[i][1]);
    }
    CU_ASSERT_PTR_NULL(str_nearest("something else", names));
    CU_ASSERT_PTR_NULL(str_nearest("++++++++++++++++++++++++++++++++++++++++++", names)); /* longer in words */
    CU_ASSERT_TRUE(str_same_name("Learning-Rate", "learning_rate"));
    CU_ASSERT_FALSE(str_same_name("unet", "unet++"));
}

/* What does not fit into a message is cut between characters. */
static void status__is_cut_between_characters(void)
{
    static const char *const characters[] = {"x", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t c = 0; c < LEN(characters); c++)
        for (int shift = 0; shift < 5; shift++) {
            struct str text = {0};
            for (int i = 0; i < 1200; i++) str_add(&text, characters[c]);
            struct status st[2] = {fail(STATUS_IO, "%.*s%s", shift, "abcde", text.s)};
            st[1] = status_at(st[0], "%.*s", shift, "abcde");
            for (size_t k = 0; k < LEN(st); k++) {
                json_t *j = json_string(st[k].msg);
                CU_ASSERT_PTR_NOT_NULL(j); /* valid UTF-8 */
                CU_ASSERT_TRUE(strlen(st[k].msg) > sizeof st[k].msg - 6);
                json_decref(j);
            }
            str_free(&text);
        }
}

static const struct test tests[] = {TEST(status__is_cut_between_characters), TEST(str_add_quoted__survives_a_shell),
                                    TEST(str_nearest__takes_spellings_for_one_name)};
TEST_MAIN("base.str", tests)
