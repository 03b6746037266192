/* What a worker's end means for its stage, its trial and everybody else. */
#include "made.h"
#include <signal.h>

static void engine_run__does_every_stage_once_and_then_none(void)
{
    struct made *m = made_new();
    struct engine_result r;
    for (int i = 0; i < 3; i++) made_trial(m, json_pack("{s:i}", "bench.visits", 2));
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 2}));
    CU_ASSERT_EQUAL(r.done, 3);
    CU_ASSERT_EQUAL(r.ran, 18);
    CU_ASSERT_EQUAL(r.cached, 0);
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM stages WHERE state = 'done' AND attempts = 1"), 18);
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM latencies"), 6);
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM results WHERE ssim IS NOT NULL AND p50_ms = 5"), 3);
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM metrics WHERE name = 'nan' AND value IS NULL"), 18);
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM artifacts WHERE path LIKE 'trials/%'"), 6);
    int n;
    free(made_log(m, &n));
    CU_ASSERT_EQUAL(n, 2 * (15 + 6));
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 2}));
    CU_ASSERT_EQUAL(r.ran, 0);
    CU_ASSERT_EQUAL(r.cached, 18);
    CU_ASSERT_EQUAL(r.done, 3);
    free(made_log(m, &n));
    CU_ASSERT_EQUAL(n, 2 * (15 + 6));
    made_free(m);
}

static void engine_run__maps_each_end_to_its_state(void)
{
    static const struct {
        const char *act, *stage, *state, *trial, *reason;
        int attempts;
    } cases[] = {
        {"ok", "train", "done", "done", NULL, 1},
        {"crash", "train", "failed", "failed", "about to go down", 2},
        {"crash-once", "train", "done", "done", NULL, 2},
        {"garbage", "train", "failed", "failed", "no event", 2},
        {"malformed", "train", "failed", "failed", "expected an object `values`", 2},
        {"silent", "train", "failed", "failed", "without saying how", 2},
        {"badjob", "train", "failed", "failed", "did not understand its job", 1},
        {"oom", "train", "failed", "failed", "no memory for batch 8", 1},
        {"fail", "train", "failed", "failed", "image 7", 1},
        {"refuse", "train", "refused", "refused", "no counterpart", 1},
        {"diverge", "train", "diverged", "diverged", "not finite", 1},
        {"stop-once", "train", "done", "done", NULL, 2},
        {"hang", "train", "failed", "failed", "no sign of life", 2},
        {"refuse", "export", "refused", "done", "export: this op", 1}, /* a fact about the trial, not its end */
        {"fail", "verify", "failed", "failed", "image 7", 1},
    };
    struct made *m = made_new();
    struct engine_result r;
    for (size_t i = 0; i < LEN(cases); i++) {
        char key[40];
        snprintf(key, sizeof key, "fake.%s", cases[i].stage);
        made_trial(m, json_pack("{s:s}", key, cases[i].act));
    }
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 4, .hang_s = 0.7}));
    CU_ASSERT_EQUAL(r.failed, 9);
    CU_ASSERT_EQUAL(r.done, 4);
    CU_ASSERT_EQUAL(r.refused, 1);
    CU_ASSERT_EQUAL(r.diverged, 1);
    json_t *rows = made_rows(m, "SELECT t.id, t.state AS trial, t.reason, g.state, g.attempts, g.stage FROM trials t "
                                "JOIN stages g ON g.trial = t.id ORDER BY t.id");
    int seen = 0;
    for (size_t k = 0; k < json_array_size(rows); k++) {
        const json_t *row = json_array_get(rows, k);
        int64_t i = -1;
        CU_ASSERT_TRUE_FATAL(str_to_i64(json_str(row, "id", ""), &i) && i >= 0 && i < (int64_t)LEN(cases));
        if (strcmp(json_str(row, "stage", ""), cases[i].stage) != 0) continue;
        const char *reason = json_str(row, "reason", NULL);
        bool right = strcmp(json_str(row, "state", ""), cases[i].state) == 0 &&
                     strcmp(json_str(row, "trial", ""), cases[i].trial) == 0 &&
                     json_int(row, "attempts", 0) == cases[i].attempts &&
                     (cases[i].reason ? reason && strstr(reason, cases[i].reason) : !reason);
        if (!right) {
            char *text = json_canonical(row);
            fprintf(stderr, "%s of %s: got %s\n", cases[i].act, cases[i].stage, text);
            free(text);
        }
        CU_ASSERT_TRUE(right);
        seen++;
    }
    CU_ASSERT_EQUAL(seen, (int)LEN(cases));
    json_decref(rows);
    /* Nothing behind a training that did not end well has run. */
    CU_ASSERT_EQUAL(made_int(m,
                             "SELECT count(*) AS n FROM stages g JOIN trials t ON t.id = g.trial WHERE "
                             "t.state <> 'done' AND g.stage IN ('evaluate', 'bench') AND t.reason NOT LIKE 'image 7%'"),
                    0);
    made_free(m);
}

static void engine_run__a_failed_stage_runs_again_a_refused_one_does_not(void)
{
    struct made *m = made_new();
    struct engine_result r;
    made_trial(m, json_pack("{s:s}", "fake.evaluate", "fail"));
    made_trial(m, json_pack("{s:s}", "fake.evaluate", "refuse"));
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1}));
    CU_ASSERT_EQUAL(r.ran, 12);
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1}));
    CU_ASSERT_EQUAL(r.ran, 1);
    CU_ASSERT_EQUAL(r.failed, 1);
    CU_ASSERT_EQUAL(r.refused, 1);
    made_free(m);
}

static void engine_run__fail_fast_stops(void)
{
    struct made *m = made_new();
    struct engine_result r;
    made_trial(m, json_pack("{s:s}", "fake.train", "fail"));
    for (int i = 0; i < 8; i++) made_trial(m, json_pack("{s:s}", "fake.train", "ok:20"));
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1, .fail_fast = true}));
    CU_ASSERT_EQUAL(r.failed, 1);
    CU_ASSERT_EQUAL(r.done, 0);
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM stages WHERE state = 'running'"), 0);
    made_free(m);
}

static void engine_run__gate_keeps_slow_cells_from_training(void)
{
    static const struct {
        double limit, ms;
        const char *state, *reason;
    } cases[] = {
        {33, 40.5, "too_slow", "40.5 ms on cpu before training, the gate allows 33 ms"},
        {33, 12, "done", NULL},
        {33, 33, "done", NULL}, /* the limit itself is allowed */
        {33, 33.01, "too_slow", "33.01 ms on cpu"},
        {0.5, 0.4, "done", NULL},
        {0.5, 12, "too_slow", "12 ms on cpu before training, the gate allows 0.5 ms"},
    };
    struct made *m = made_new();
    struct engine_result r;
    for (size_t i = 0; i < LEN(cases); i++)
        made_trial(m, json_pack("{s:f, s:f}", "gate.p50_ms", cases[i].limit, "fake.ms", cases[i].ms));
    for (int run = 0; run < 2; run++) { /* and it is known the second time */
        TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 2}));
        CU_ASSERT_EQUAL(r.too_slow, 3);
        CU_ASSERT_EQUAL(r.done, 3);
    }
    CU_ASSERT_EQUAL(r.ran, 0);
    json_t *rows = made_rows(m, "SELECT t.state, t.reason, (SELECT count(*) FROM stages g WHERE g.trial = t.id AND "
                                "g.stage = 'train') AS trained FROM trials t ORDER BY id");
    for (size_t i = 0; i < LEN(cases); i++) {
        const json_t *row = json_array_get(rows, i);
        CU_ASSERT_STRING_EQUAL(json_str(row, "state", ""), cases[i].state);
        CU_ASSERT_EQUAL(json_int(row, "trained", -1), cases[i].reason ? 0 : 1);
        if (cases[i].reason) CU_ASSERT_PTR_NOT_NULL(strstr(json_str(row, "reason", ""), cases[i].reason));
    }
    json_decref(rows);
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM latencies WHERE format = 'untrained'"), (int)LEN(cases));
    made_free(m);
}

static void engine_run__measures_alone_and_mixes_the_cells(void)
{
    struct made *m = made_new();
    struct engine_result r;
    for (int i = 0; i < 4; i++) made_trial(m, json_pack("{s:i, s:s}", "bench.visits", 3, "fake.bench", "ok:3"));
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 4, .seed = 7}));
    int n, changes = 0, visits = 0;
    struct made_note *v = made_log(m, &n);
    const char *last = "";
    int running = 0;
    bool alone = true;
    for (int i = 0; i < n; i++) {
        bool start = strcmp(v[i].what, "start") == 0;
        running += start ? 1 : -1;
        if (strcmp(v[i].stage, "bench") != 0) continue;
        if (start) {
            alone = alone && running == 1;
            changes += strcmp(last, v[i].key) != 0;
            last = v[i].key;
            visits++;
        }
    }
    CU_ASSERT_TRUE(alone);
    CU_ASSERT_EQUAL(visits, 12);
    CU_ASSERT_TRUE(changes > 5);
    free(v);
    made_free(m);
}

static void engine_run__a_lost_file_is_made_again_when_it_is_needed(void)
{
    struct made *m = made_new();
    struct engine_result r;
    char path[600];
    made_trial(m, json_object());
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1}));
    snprintf(path, sizeof path, "%s/trials/%s/best.train", m->dir, m->trials[0].id);
    CU_ASSERT_EQUAL(remove(path), 0);
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1}));
    CU_ASSERT_EQUAL(r.ran, 0); /* nobody needs it */
    snprintf(m->stages[m->plan.n_stages - 1].key, PLAN_KEY, "another measurement");
    snprintf(path, sizeof path, "%s/trials/%s/model.export", m->dir, m->trials[0].id);
    CU_ASSERT_EQUAL(remove(path), 0);
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1}));
    CU_ASSERT_EQUAL(r.ran, 3); /* the measurement, the export it reads, the weights that reads */
    CU_ASSERT_TRUE(fs_exists(path));
    made_free(m);
}

static void engine_run__memory_ladder_halves_until_it_fits(void)
{
    static const struct {
        const char *act, *state;
        int batch, attempts, micro; /* micro 0: not recorded */
        const char *backbone, *ended_by;
    } cases[] = {
        {"oom-above:8", "done", 8, 1, 0, "vgg11", NULL}, {"oom-above:2", "done", 8, 2, 2, "vgg13", NULL},
        {"oom-above:2", "done", 8, 2, 2, "vgg13", NULL}, /* each learns from the other: 8; 4; 2; 2 */
        {"oom-above:4", "done", 7, 2, 4, "vgg16", NULL}, {"oom-above:0", "failed", 4, 3, 1, "vgg19", "out_of_memory"},
        {"leak", "done", 2, 2, 1, "resnet34", NULL}, /* over the limit that the coordinator watches */
    };
    struct made *m = made_new();
    struct engine_result r;
    for (size_t i = 0; i < LEN(cases); i++) {
        int trial = made_trial(m, json_pack("{s:s, s:i}", "fake.train", cases[i].act, "train.batch", cases[i].batch));
        m->trials[trial].t.model.backbone = cases[i].backbone;
    }
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1, .bytes_limit = 400 << 20}));
    CU_ASSERT_EQUAL(r.done, 5);
    CU_ASSERT_EQUAL(r.failed, 1);
    json_t *rows = made_rows(m, "SELECT state, attempts, coalesce(json_extract(info, '$.micro_batch'), 0) AS micro, "
                                "json_extract(info, '$.ended_by') AS ended_by, reason FROM stages WHERE stage = "
                                "'train' ORDER BY trial");
    CU_ASSERT_EQUAL_FATAL(json_array_size(rows), LEN(cases));
    for (size_t i = 0; i < LEN(cases); i++) {
        const json_t *row = json_array_get(rows, i);
        const char *by = json_str(row, "ended_by", NULL);
        CU_ASSERT_STRING_EQUAL(json_str(row, "state", ""), cases[i].state);
        CU_ASSERT_EQUAL(json_int(row, "attempts", 0), cases[i].attempts);
        CU_ASSERT_EQUAL(json_int(row, "micro", -1), cases[i].micro);
        CU_ASSERT_TRUE(by ? cases[i].ended_by && strcmp(by, cases[i].ended_by) == 0 : !cases[i].ended_by);
    }
    json_decref(rows);
    int64_t stored = made_int(m, "SELECT count(*) AS n FROM trials"); /* no new identity */
    CU_ASSERT_EQUAL(stored, (int64_t)LEN(cases));
    made_free(m);
    /* A later run knows it from the database. */
    m = made_new();
    for (int run = 0; run < 2; run++) {
        int trial = made_trial(m, json_pack("{s:s, s:i}", "fake.train", "oom-above:1", "train.batch", 2));
        m->trials[trial].t.model.backbone = "vgg13";
        TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1}));
    }
    CU_ASSERT_EQUAL(made_int(m, "SELECT sum(attempts) AS n FROM stages WHERE stage = 'train'"), 2 + 1);
    made_free(m);
}

static void engine_run__limits_and_ends_are_told_apart(void)
{
    static const struct {
        const char *act, *ended_by, *reason;
        int attempts;
    } cases[] = {
        {"ok:2000", "time_limit", "took longer than the limit of 1 s", 1},
        {"leak", "out_of_memory", "over the limit of 400 MiB", 1}, /* an evaluation has no smaller step */
        {"crash", "crash", "killed by signal 6", 2},
        {"garbage", "nonsense", "no event", 2},
        {"badjob", "bad_job", "did not understand", 1},
        {"fail", NULL, "image 7", 1},
    };
    struct made *m = made_new();
    struct engine_result r;
    for (size_t i = 0; i < LEN(cases); i++) made_trial(m, json_pack("{s:s}", "fake.evaluate", cases[i].act));
    m->trials[0].t.limits.stage_s = 1; /* the others have none: on a busy machine a leak takes its time */
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 2, .bytes_limit = 400 << 20}));
    CU_ASSERT_EQUAL(r.failed, (int)LEN(cases));
    json_t *rows = made_rows(m, "SELECT attempts, json_extract(info, '$.ended_by') AS ended_by, reason FROM stages "
                                "WHERE stage = 'evaluate' ORDER BY trial");
    for (size_t i = 0; i < LEN(cases); i++) {
        const json_t *row = json_array_get(rows, i);
        const char *by = json_str(row, "ended_by", NULL), *why = json_str(row, "reason", "");
        if (!strstr(why, cases[i].reason)) fprintf(stderr, "%s: %s\n", cases[i].act, why);
        CU_ASSERT_PTR_NOT_NULL(strstr(why, cases[i].reason));
        CU_ASSERT_TRUE(by ? cases[i].ended_by && strcmp(by, cases[i].ended_by) == 0 : !cases[i].ended_by);
        CU_ASSERT_EQUAL(json_int(row, "attempts", 0), cases[i].attempts);
    }
    json_decref(rows);
    made_free(m);
}

/* What a file says of its own cells holds where the command line says nothing. */
static void engine_run__limits_of_the_configuration(void)
{
    static const struct {
        int memory_mib, stage_s, hang_s; /* of the configuration */
        const char *act, *ended_by, *reason;
    } cases[] = {
        {400, 0, 900, "leak", "out_of_memory", "over the limit of 400 MiB"},
        {0, 1, 900, "ok:2000", "time_limit", "took longer than the limit of 1 s"},
        {0, 0, 1, "hang", "hang", "no sign of life for 1 s"},
        {0, 900, 900, "ok", NULL, NULL},
    };
    struct made *m = made_new();
    struct engine_result r;
    for (size_t i = 0; i < LEN(cases); i++) {
        struct spec_trial *t = &m->trials[made_trial(m, json_pack("{s:s}", "fake.evaluate", cases[i].act))].t;
        t->limits.memory_mib = cases[i].memory_mib;
        t->limits.stage_s = cases[i].stage_s;
        t->limits.hang_s = cases[i].hang_s;
    }
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 2}));
    CU_ASSERT_EQUAL(r.failed, 3);
    CU_ASSERT_EQUAL(r.done, 1);
    json_t *rows = made_rows(m, "SELECT json_extract(info, '$.ended_by') AS ended_by, reason FROM stages "
                                "WHERE stage = 'evaluate' ORDER BY trial");
    for (size_t i = 0; i < LEN(cases); i++) {
        const json_t *row = json_array_get(rows, i);
        const char *by = json_str(row, "ended_by", ""), *why = json_str(row, "reason", "");
        CU_ASSERT_STRING_EQUAL(by, cases[i].ended_by ? cases[i].ended_by : "");
        CU_ASSERT_PTR_NOT_NULL(strstr(why, cases[i].reason ? cases[i].reason : ""));
    }
    json_decref(rows);
    made_free(m);
    /* The command line's goes before. */
    m = made_new();
    m->trials[made_trial(m, json_pack("{s:s}", "fake.evaluate", "ok:2000"))].t.limits.stage_s = 900;
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1, .stage_s = 1}));
    CU_ASSERT_EQUAL(r.failed, 1);
    made_free(m);
}

struct forecasts {
    double start, last;
    double start_error, last_error;
    int rises; /* times that the rest grew though work was done */
};

static void note_forecast(void *ctx, const struct engine_event *e)
{
    struct forecasts *f = ctx;
    if (e->kind == ENGINE_START) f->start = f->last = e->totals->left_s, f->start_error = e->totals->left_error_s;
    if (e->kind != ENGINE_STAGE_END) return;
    f->rises += e->totals->left_s > f->last + 1e-9;
    f->last = e->totals->left_s;
    f->last_error = e->totals->left_error_s;
}

static void engine_run__says_how_long_it_takes(void)
{
    struct made *m = made_new();
    struct engine_result r;
    struct forecasts f = {0};
    for (int i = 0; i < 3; i++) made_trial(m, json_pack("{s:i}", "bench.visits", 3));
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1, .on_event = note_forecast, .ctx = &f}));
    CU_ASSERT_TRUE(f.start > 0);
    CU_ASSERT_EQUAL(f.rises, 0);
    CU_ASSERT_TRUE(f.start_error < 0); /* nothing has run here yet */
    CU_ASSERT_TRUE(f.last_error >= 0 && f.last_error < f.start);
    CU_ASSERT_TRUE(f.last >= 0 && f.last < f.start / 10);
    f = (struct forecasts){0};
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1, .on_event = note_forecast, .ctx = &f}));
    CU_ASSERT_DOUBLE_EQUAL(f.start, 0, 1e-9);
    made_free(m);
}

static const struct test tests[] = {
    TEST(engine_run__does_every_stage_once_and_then_none),
    TEST(engine_run__maps_each_end_to_its_state),
    TEST(engine_run__a_failed_stage_runs_again_a_refused_one_does_not),
    TEST(engine_run__fail_fast_stops),
    TEST(engine_run__gate_keeps_slow_cells_from_training),
    TEST(engine_run__measures_alone_and_mixes_the_cells),
    TEST(engine_run__a_lost_file_is_made_again_when_it_is_needed),
    TEST(engine_run__memory_ladder_halves_until_it_fits),
    TEST(engine_run__limits_and_ends_are_told_apart),
    TEST(engine_run__limits_of_the_configuration),
    TEST(engine_run__says_how_long_it_takes),
};

TEST_MAIN("engine outcomes", tests)
