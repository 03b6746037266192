/* What an earlier version has stored is still stored: tests/cli/upgrade holds a database of each. */
#include "test.h"

static void cli_run__finds_what_the_first_version_stored(void)
{
    struct arena a = {0};
    const char *dir = test_dir(), *from = fs_join(&a, test_source_dir(), "tests/cli/upgrade");
    char *text = NULL;
    const char *command = arena_printf(&a,
                                       "cd '%s' && sqlite3 sweep.db <'%s/first.sql' && '%s/sweep' run '%s/first.yaml' "
                                       "--db sweep.db >out.txt 2>&1",
                                       dir, from, test_build_dir(), from);
    CU_ASSERT_EQUAL(system(command), 0);
    TEST_OK(fs_read(&text, NULL, fs_join(&a, dir, "out.txt")));
    bool found = text && strstr(text, "2 done; 0 stages run, 14 stored before");
    if (!found) fprintf(stderr, "%s\n", text ? text : "nothing was said");
    CU_ASSERT_TRUE(found);
    free(text);
    arena_free(&a);
}

static const struct test tests[] = {TEST(cli_run__finds_what_the_first_version_stored)};
TEST_MAIN("cli.upgrade", tests)
