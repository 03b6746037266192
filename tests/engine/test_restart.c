/* A sweep of ten thousand cells that is all stored: run again, it finds so, and quickly. */
#include "engine.h"
#include "test.h"
#include <sys/resource.h>

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static struct plan *planned(const char *dir)
{
    static const char text[] = "name: many\n"
                               "axes: {arch: [unet, fpn], backbone: [resnet18, resnet34], seed: {range: [0, 249, 1]}, "
                               "train.lr: {log: [1.0e-4, 1.0e-2, 10]}}\n"
                               "data: {size: 64, pairs: 8}\n";
    struct arena a = {0};
    struct plan *p = NULL;
    const char *path = fs_join(&a, dir, "many.yaml");
    TEST_OK(fs_write(path, text, strlen(text)));
    TEST_OK(plan_load(&p, &(struct plan_options){.files = &path, .n_files = 1}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    arena_free(&a);
    return p;
}

/* Every stage done, with the files that later stages would read. */
static void fill(struct store *s, const struct plan *p)
{
    struct arena a = {0};
    const char *file = fs_join(&a, store_dir(s), "some.file");
    TEST_OK(fs_write(file, "x", 1));
    json_t *best =
        json_pack("{s:s, s:s, s:s, s:i, s:s}", "ev", "artifact", "kind", "best", "path", file, "bytes", 1, "hash", "0");
    TEST_OK(store_begin(s));
    for (int i = 0; i < p->n_trials; i++) {
        const struct plan_trial *t = &p->trials[i];
        TEST_OK(store_put_trial(s, &(struct store_trial){.id = t->id,
                                                         .arch = t->t.model.arch,
                                                         .backbone = t->t.model.backbone,
                                                         .loss_key = t->loss_key,
                                                         .height = 64,
                                                         .width = 64,
                                                         .config = t->config}));
    }
    for (int i = 0; i < p->n_stages; i++) {
        const struct plan_stage *g = &p->stages[i];
        struct store_stage row = {.key = g->key,
                                  .trial = p->trials[g->trial].id,
                                  .stage = plan_kinds[g->kind].name,
                                  .format = g->format,
                                  .device = g->device};
        TEST_OK(store_stage_start(s, &row));
        if (g->kind == PLAN_TRAIN) TEST_OK(store_event(s, &row, best));
        TEST_OK(store_stage_end(s, g->key, "done", NULL, 1, 1000));
    }
    TEST_OK(store_commit(s));
    json_decref(best);
    arena_free(&a);
}

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
    struct plan *p = planned(dir);
    struct store *s = NULL;
    TEST_OK(store_open(&s, (struct store_options){.path = db, .command = "test"}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    fill(s, p);
    plan_free(p);
    store_close(s);

    double start = cpu_seconds();
    p = planned(dir);
    double planning = cpu_seconds() - start;
    TEST_OK(store_open(&s, (struct store_options){.path = db, .command = "test"}));
    struct engine_result r;
    TEST_OK(engine_run(&r, &(struct engine_options){.plan = p, .store = s, .worker = "/none", .bench = "/none"}));
    double seconds = cpu_seconds() - start;
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
