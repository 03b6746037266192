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

static const struct test tests[] = {TEST(str_add_quoted__survives_a_shell)};
TEST_MAIN("base.str", tests)
