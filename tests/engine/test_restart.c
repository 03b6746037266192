/* A sweep of ten thousand cells that is all stored: run again, it finds so, and quickly. */
#include "filled.h"

static int64_t count(struct store *s, const char *sql, const char *text)
{
    json_t *rows = NULL, *params = json_pack("[s]", text);
    TEST_OK(store_rows(&rows, s, sql, params));
    int64_t n = json_int(json_array_get(rows, 0), "n", -1);
    json_decref(rows);
    json_decref(params);
    return n;
}

static void engine_restart__finds_ten_thousand_cells_done(void)
{
    char dir[400], db[450];
    snprintf(dir, sizeof dir, "%s", test_dir());
    snprintf(db, sizeof db, "%s/sweep.db", dir);
    struct plan *p = filled_plan(dir);
    struct store *s = NULL;
    TEST_OK(store_open(&s, (struct store_options){.path = db, .command = "test"}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    filled_store(s, p);
    plan_free(p);
    store_close(s);

    double start = filled_cpu_seconds(RUSAGE_SELF);
    p = filled_plan(dir);
    double planning = filled_cpu_seconds(RUSAGE_SELF) - start;
    TEST_OK(store_open(&s, (struct store_options){.path = db, .command = "test"}));
    struct engine_result r;
    TEST_OK(engine_run(&r, &(struct engine_options){.plan = p, .store = s, .worker = "/none", .bench = "/none"}));
    double seconds = filled_cpu_seconds(RUSAGE_SELF) - start;
    printf("(%.2f s of CPU, of them planning %.2f) ", seconds, planning);
    CU_ASSERT_EQUAL(r.ran, 0);
    CU_ASSERT_EQUAL(r.cached, 60000);
    CU_ASSERT_EQUAL(r.done, 10000);
    /* What it was planned with is frozen beside it. */
    CU_ASSERT_EQUAL(count(s,
                          "SELECT count(*) AS n FROM trials WHERE json_extract(content, '$.images') = ?1 AND "
                          "json_extract(content, '$.model_weights') = 'random'",
                          p->trials[0].content.images),
                    10000);
    CU_ASSERT_EQUAL(count(s,
                          "SELECT count(*) AS n FROM environments WHERE json_extract(info, '$.libtorch') IS NOT NULL "
                          "AND json_extract(info, '$.onnxruntime') IS NOT NULL AND json_extract(info, '$.cores') > 0 "
                          "AND length(json_extract(info, '$.sweep_hash')) = length(?1)",
                          p->trials[0].content.images),
                    1);
    CU_ASSERT_TRUE(TEST_SANITIZED || seconds < 2);
    store_close(s);
    plan_free(p);
}

static const struct test tests[] = {TEST(engine_restart__finds_ten_thousand_cells_done)};
TEST_MAIN("engine.restart", tests)
