#include "test.h"
#include <ftw.h>
#include <unistd.h>

/* What loaded libraries leave behind at exit is theirs. LeakSanitizer asks here; other builds never do. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libonnxruntime\n";
}

enum { SKIPPED = 77 }; /* exit code that ctest is told of */
static char dir[256];
static bool skipped;

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static void remove_dir(void)
{
    if (dir[0] && getenv("TEST_KEEP"))
        fprintf(stderr, "kept: %s\n", dir); /* to look at what a test wrote */
    else if (dir[0])
        nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *test_dir(void)
{
    static int count;
    static char out[320];
    if (!dir[0]) {
        snprintf(dir, sizeof dir, "/tmp/sweep-test-XXXXXX");
        CHECK(mkdtemp(dir), "mkdtemp");
        atexit(remove_dir);
    }
    snprintf(out, sizeof out, "%s/%d", dir, count++);
    struct status s = fs_mkdir(out);
    CHECK(s.code == STATUS_OK, "%s", s.msg);
    return out;
}

const char *test_source_dir(void)
{
    return TEST_SOURCE_DIR;
}

const char *test_build_dir(void)
{
    return TEST_BUILD_DIR;
}

const char *test_shared(void)
{
    static char out[1024];
    const char *env = getenv("SWEEP_SHARED");
    snprintf(out, sizeof out, "%s", env ? env : TEST_SOURCE_DIR "/../shared");
    if (fs_is_dir(out)) return out;
    test_skip("the shared fixtures are not here: SWEEP_SHARED=DIR says where they are");
    return NULL;
}

void test_skip(const char *why)
{
    fprintf(stderr, "SKIPPED: %s\n", why);
    skipped = true;
}

int test_main(const char *suite, const struct test *t, size_t n, int argc, char **argv)
{
    CHECK(CU_initialize_registry() == CUE_SUCCESS, "CUnit");
    CU_pSuite s = CU_add_suite(suite, NULL, NULL);
    for (size_t i = 0; i < n; i++) {
        if (argc > 1 && !str_glob(argv[1], t[i].name)) continue; /* one argument narrows by glob */
        CU_add_test(s, t[i].name, t[i].run);
    }
    CHECK(CU_get_registry()->uiNumberOfTests > 0, "no test of %s matches", suite);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failed ? 1 : skipped ? SKIPPED : 0;
}
