/* ONNX Runtime leaves nothing: no log among the temporary files, no database in the user's folder. */
#include "models.h"
#include "runtime.h"

static size_t files(const char *dir)
{
    struct arena a = {0};
    char **names;
    size_t n = 99;
    TEST_OK(fs_list(&names, &n, &a, dir));
    for (size_t i = 0; i < n; i++) fprintf(stderr, "%s/%s\n", dir, names[i]);
    arena_free(&a);
    return n;
}

static void bench_open__leaves_nothing(void)
{
    static const int64_t shape[4] = {1, 3, 2, 2};
    const char *model = model_path("good.onnx");
    char dir[300];
    struct bench_model *o;
    model_cast(model, 1, 1, shape);
    snprintf(dir, sizeof dir, "%s", test_dir());
    setenv("TMPDIR", dir, 1);
    setenv("HOME", dir, 1);
    setenv("XDG_CACHE_HOME", dir, 1);
    TEST_OK(bench_open(&o, NULL, model, 1));
    bench_close(o);
    CU_ASSERT_EQUAL(files(dir), 0);
    unsetenv("ORT_DISABLE_TELEMETRY"); /* the program's own doing */
    CU_ASSERT_EQUAL(
        shell("'%s/sweep-bench' --model '%s' --mode quick --threads 1,1 >/dev/null", test_build_dir(), model), 0);
    CU_ASSERT_EQUAL(files(dir), 0);
}

static const struct test tests[] = {TEST(bench_open__leaves_nothing)};
TEST_MAIN("bench.litter", tests)
