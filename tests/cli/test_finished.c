/* `sweep run` of ten thousand finished cells: soon back, and the report is not drawn again. */
#include "../engine/filled.h"
#include <sys/stat.h>

/* CPU seconds of the command; its words in out.txt. */
static double run(const char *dir)
{
    struct str command = {0};
    double before = filled_cpu_seconds(RUSAGE_CHILDREN);
    str_addf(&command, "cd '%s' && '%s/sweep' run many.yaml --db sweep.db >out.txt 2>&1", dir, test_build_dir());
    CU_ASSERT_EQUAL(system(command.s), 0);
    str_free(&command);
    return filled_cpu_seconds(RUSAGE_CHILDREN) - before;
}

static bool said(const char *dir, const char *words)
{
    struct arena a = {0};
    char *text = NULL;
    TEST_OK(fs_read(&text, NULL, fs_join(&a, dir, "out.txt")));
    bool found = text && strstr(text, words);
    free(text);
    arena_free(&a);
    return found;
}

static void cli_run__of_ten_thousand_finished_cells(void)
{
    struct arena a = {0};
    const char *dir = arena_strdup(&a, test_dir()), *page = fs_join(&a, dir, "reports/many/index.html");
    struct plan *p = filled_plan(dir);
    struct store *s = NULL;
    TEST_OK(store_open(&s, (struct store_options){.path = fs_join(&a, dir, "sweep.db"), .command = "test"}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    filled_store(s, p);
    store_close(s);
    double first = run(dir);
    CU_ASSERT_FALSE(said(dir, "nothing has changed"));
    struct stat drawn, now;
    CU_ASSERT_EQUAL(stat(page, &drawn), 0);
    double again = run(dir);
    printf("(%.2f s of CPU, then %.2f) ", first, again);
    CU_ASSERT_TRUE(said(dir, "10000 done; 0 stages run, 60000 stored before"));
    CU_ASSERT_TRUE(said(dir, "reports/many/index.html (nothing has changed)"));
    CU_ASSERT_TRUE(stat(page, &now) == 0 && now.st_ino == drawn.st_ino && now.st_mtime == drawn.st_mtime);
    CU_ASSERT_TRUE(TEST_SANITIZED || again < 2);
    plan_free(p);
    arena_free(&a);
}

static const struct test tests[] = {TEST(cli_run__of_ten_thousand_finished_cells)};
TEST_MAIN("cli finished", tests)
