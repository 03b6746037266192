/* What is done again on request, and what the trials' folders hold that nobody names. */
#include "made.h"
#include <unistd.h>

static int redo(const struct made *m, unsigned kinds)
{
    struct store *s;
    int n = -1;
    TEST_OK(store_open(&s, (struct store_options){.path = m->db, .command = "test"}));
    if (s) TEST_OK(engine_redo(&n, s, &m->plan, kinds));
    store_close(s);
    return n;
}

static void engine_redo__does_the_kind_and_what_reads_it(void)
{
    static const struct {
        enum plan_kind kind;
        int n; /* of one trial's stages */
    } cases[] = {
        {PLAN_TRAIN, 6},   {PLAN_EVALUATE, 1}, {PLAN_EXPORT, 3}, {PLAN_VERIFY, 1},
        {PLAN_SAMPLES, 1}, {PLAN_BENCH, 1},    {PLAN_SCREEN, 1}, /* the gate is timed again; what was trained behind it
                                                                    stays */
    };
    struct made *m = made_new();
    struct engine_result r;
    for (int i = 0; i < 2; i++) made_trial(m, json_pack("{s:i}", "gate.p50_ms", 1000));
    CU_ASSERT_EQUAL(redo(m, ~0U), 0); /* nothing is stored yet */
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 2}));
    CU_ASSERT_EQUAL(r.ran, 14);
    for (size_t i = 0; i < LEN(cases); i++) {
        CU_ASSERT_EQUAL(redo(m, 1U << cases[i].kind), 2 * cases[i].n);
        TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 2}));
        CU_ASSERT_EQUAL(r.ran, 2 * cases[i].n);
        CU_ASSERT_EQUAL(r.done, 2);
    }
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM results WHERE ssim IS NOT NULL AND p50_ms = 5"), 2);
    made_free(m);
}

static void engine_redo__starts_a_training_from_nothing(void)
{
    struct made *m = made_new();
    struct engine_result r;
    made_trial(m, json_object());
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1}));
    char path[600];
    snprintf(path, sizeof path, "%s/trials/%s/last.safetensors", m->dir, m->trials[0].id);
    TEST_OK(fs_write(path, "weights", 7));
    CU_ASSERT_EQUAL(redo(m, 1U << PLAN_EXPORT), 3);
    CU_ASSERT_TRUE(fs_exists(path));
    CU_ASSERT_EQUAL(redo(m, 1U << PLAN_TRAIN), 3); /* the others already wait to be done */
    CU_ASSERT_FALSE(fs_exists(path));
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM stages WHERE reason = 'to be done again'"), 6);
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM metrics"), 0);
    made_free(m);
}

static void put_file(const struct made *m, const char *path)
{
    char full[700], *slash;
    snprintf(full, sizeof full, "%s/trials/%s", m->dir, path);
    slash = strrchr(full, '/');
    *slash = 0;
    TEST_OK(fs_mkdir(full));
    *slash = '/';
    TEST_OK(fs_write(full, "12345", 5));
}

static void engine_garbage__is_what_no_row_names(void)
{
    static const struct {
        const char *path;
        bool garbage;
    } files[] = {
        {"000000000000/best.train", false},         /* a row names it */
        {"000000000000/left.onnx.tmp", true},       /* a killed writer's */
        {"000000000000/samples/old.png", true},     /* of an earlier run */
        {"000000000000/logs/bench-old.log", false}, /* small, and it says what happened */
        {"000000000000/last.safetensors", true},    /* its training is over */
        {"000000000001/last.safetensors", false},   /* goes on from there */
        {"000000000001/model.onnx", true},
        {"ffffffffffff/best.safetensors", true}, /* nobody knows that trial */
        {"ffffffffffff/logs/train.log", true},
    };
    struct made *m = made_new();
    struct engine_result r;
    struct store *s;
    json_t *found = NULL;
    made_trial(m, json_object());
    made_trial(m, json_pack("{s:s}", "fake.train", "fail"));
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1}));
    for (size_t i = 1; i < LEN(files); i++) put_file(m, files[i].path);
    TEST_OK(store_open(&s, (struct store_options){.path = m->db, .command = "test"}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    TEST_OK(engine_garbage(&found, s));
    for (size_t i = 0; i < LEN(files); i++) {
        bool listed = false;
        for (size_t k = 0; k < json_array_size(found); k++) {
            const json_t *row = json_array_get(found, k);
            if (strcmp(json_str(row, "path", "trials/?") + strlen("trials/"), files[i].path) != 0) continue;
            listed = true;
            CU_ASSERT_EQUAL(json_int(row, "bytes", 0), 5);
        }
        if (listed != files[i].garbage) fprintf(stderr, "%s: listed %d\n", files[i].path, listed);
        CU_ASSERT_EQUAL(listed, files[i].garbage);
    }
    TEST_OK(engine_remove(s, found));
    json_decref(found);
    for (size_t i = 0; i < LEN(files); i++) {
        char path[700];
        snprintf(path, sizeof path, "%s/trials/%s", m->dir, files[i].path);
        CU_ASSERT_EQUAL(fs_exists(path), !files[i].garbage);
    }
    char folder[500];
    snprintf(folder, sizeof folder, "%s/trials/ffffffffffff", m->dir);
    CU_ASSERT_FALSE(fs_exists(folder));
    store_close(s);
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1}));
    CU_ASSERT_EQUAL(r.ran, 1); /* the failed training alone: nothing that is needed is gone */
    made_free(m);
}

static const struct test tests[] = {
    TEST(engine_redo__does_the_kind_and_what_reads_it),
    TEST(engine_redo__starts_a_training_from_nothing),
    TEST(engine_garbage__is_what_no_row_names),
};

TEST_MAIN("engine redo", tests)
