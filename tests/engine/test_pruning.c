/* Pruning with processes and a database: who is stopped, what is stored of it, and that a restart changes nothing. */
#include "made.h"
#include "slurm_inside.h"
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EPOCHS = 4 };

struct course {
    double value[EPOCHS]; /* of ssim, after each epoch */
    int64_t macs;
    const char *state; /* in the end */
    int epoch;         /* after which it is stopped; 0: never */
};

/* One after another. Rungs after epochs 1 and 2 (asha, in twos), among those that are no slower. */
static const struct course courses[] = {
    {{0.30, 0.40, 0.50, 0.60}, 10, "done", 0},   /* alone */
    {{0.40, 0.50, 0.60, 0.70}, 20, "done", 0},   /* the better of two, twice */
    {{0.10, 0.20, 0.30, 0.40}, 5, "done", 0},    /* nobody is as fast: slower and better cells have no say */
    {{0.20, 0.90, 0.90, 0.90}, 20, "pruned", 1}, /* third of four */
    {{0.35, 0.30, 0.60, 0.70}, 20, "pruned", 2}, /* second of five; its best stays 0.35: third of four at the next */
    {{0.05, 0.30, 0.30, 0.30}, 5, "pruned", 1},  /* second of two of its speed */
};

static struct made *made_courses(const char *rule)
{
    struct made *m = made_new();
    for (size_t i = 0; i < LEN(courses); i++) {
        const struct course *c = &courses[i];
        json_t *curve = json_array();
        for (int k = 0; k < EPOCHS; k++) json_array_append_new(curve, json_real(c->value[k]));
        int hold = strcmp(rule, "none") == 0 ? 0 : c->epoch;
        json_t *config = json_pack("{s:s, s:o, s:i}", "fake.train", "learn", "fake.curve", curve, "fake.hold", hold);
        struct plan_trial *cell = &m->trials[made_trial(m, config)];
        struct spec_trial *t = &cell->t;
        cell->size.macs = c->macs;
        t->evaluate.rank = "ssim";
        t->train.epochs = EPOCHS;
        t->prune.rule = rule;
        t->prune.min_epochs = 1;
        t->prune.reduction = 2;
        t->prune.min_peers = 1;
        t->prune.tolerance = 0.1;
    }
    return m;
}

static void set_rule(struct made *m, const char *rule)
{
    for (int i = 0; i < m->plan.n_trials; i++) {
        m->trials[i].t.prune.rule = rule;
        if (strcmp(rule, "none") == 0) json_object_set_new(m->configs[i], "fake.hold", json_integer(0));
    }
}

static struct engine_result run_one_by_one(const struct made *m)
{
    struct engine_result r = {0};
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1}));
    return r;
}

/* What was decided, less the moment. */
static json_t *decisions(const struct made *m)
{
    return made_rows(m, "SELECT trial, stage_key, rule, rule_key, epoch, metric, value, threshold, stop, n_peers, "
                        "peers, reason FROM decisions ORDER BY trial, epoch");
}

static void check_states(const struct made *m)
{
    json_t *rows = made_rows(m, "SELECT r.state, r.reason, r.ssim, (SELECT state FROM stages g WHERE g.trial = r.trial "
                                "AND stage = 'train') AS train, (SELECT epoch FROM decisions d WHERE d.trial = r.trial "
                                "AND stop) AS stopped FROM results r ORDER BY r.trial");
    CU_ASSERT_EQUAL(json_array_size(rows), LEN(courses));
    for (size_t i = 0; i < LEN(courses); i++) {
        const json_t *row = json_array_get(rows, i);
        const char *reason = json_str(row, "reason", "");
        if (strcmp(json_str(row, "state", ""), courses[i].state) != 0) fprintf(stderr, "\n%zu: %s\n", i, reason);
        CU_ASSERT_STRING_EQUAL(json_str(row, "state", ""), courses[i].state);
        CU_ASSERT_STRING_EQUAL(json_str(row, "train", ""), courses[i].state);
        CU_ASSERT_EQUAL(json_int(row, "stopped", 0), courses[i].epoch);
        CU_ASSERT_EQUAL(json_is_number(json_object_get(row, "ssim")), courses[i].epoch == 0);
        CU_ASSERT_EQUAL(strncmp(reason, "asha: rung ", 11) == 0, courses[i].epoch > 0);
    }
    json_decref(rows);
}

static void engine_pruning__stops_what_falls_behind_and_stores_why(void)
{
    struct made *m = made_courses("asha");
    struct engine_result r = run_one_by_one(m);
    CU_ASSERT_EQUAL(r.pruned, 3);
    CU_ASSERT_EQUAL(r.done, 3);
    CU_ASSERT_EQUAL(r.failed + r.interrupted, 0);
    check_states(m);
    json_t *rows = decisions(m);
    /* Two rungs each, less those that were stopped at the first. */
    CU_ASSERT_EQUAL(json_array_size(rows), 2 * LEN(courses) - 2);
    json_decref(rows);
    rows =
        made_rows(m, "SELECT reason, n_peers, peers, value, threshold FROM decisions WHERE trial LIKE '%4' AND stop");
    const json_t *row = json_array_get(rows, 0);
    CU_ASSERT_STRING_EQUAL(
        json_str(row, "reason", ""),
        "asha: rung 2, epoch 2: ssim 0.35, behind place 2 of the 4 no slower than it that got there: "
        "0.4 (000000 unet x resnet18 0.5, 000000 unet x resnet18 0.4, 000000 unet x resnet18 0.2)");
    CU_ASSERT_STRING_EQUAL(json_str(row, "peers", ""), "[\"000000000001\",\"000000000000\",\"000000000002\"]");
    CU_ASSERT_DOUBLE_EQUAL(json_num(row, "threshold", 0), 0.4, 1e-9);
    json_decref(rows);
    /* Nothing behind a pruned training has run, and it has not failed. */
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM stages WHERE trial IN (SELECT id FROM trials WHERE state = "
                                "'pruned') AND stage <> 'train'"),
                    0);
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM stages WHERE json_extract(info, '$.ended_by') IS NOT NULL"),
                    0);
    r = run_one_by_one(m);
    CU_ASSERT_EQUAL(r.ran, 0);
    CU_ASSERT_EQUAL(r.pruned, 3);
    made_free(m);
}

static void engine_pruning__another_rule_goes_on_from_the_checkpoints(void)
{
    struct made *m = made_courses("asha");
    run_one_by_one(m);
    int before, after;
    free(made_log(m, &before));
    set_rule(m, "none");
    struct engine_result r = run_one_by_one(m);
    CU_ASSERT_EQUAL(r.done, (int)LEN(courses));
    CU_ASSERT_EQUAL(r.ran, 3 * 6); /* three trainings and what reads them */
    free(made_log(m, &after));
    CU_ASSERT_EQUAL(after - before, 2 * 3 * 6);
    /* The same trials, and the same results as of those that were never stopped. */
    struct made *calm = made_courses("none");
    run_one_by_one(calm);
    const char *sql = "SELECT m.stage_key, m.name, m.epoch, m.value FROM metrics m JOIN stages g ON g.key = "
                      "m.stage_key ORDER BY 1, 2, 3";
    json_t *x = made_rows(m, sql), *y = made_rows(calm, sql);
    CU_ASSERT_TRUE(json_array_size(x) > 0);
    CU_ASSERT_TRUE(json_equal(x, y));
    json_decref(x);
    json_decref(y);
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM stages WHERE attempts = 2"), 3);
    set_rule(m, "asha"); /* what is done stays so */
    r = run_one_by_one(m);
    CU_ASSERT_EQUAL(r.ran, 0);
    CU_ASSERT_EQUAL(r.done, (int)LEN(courses));
    made_free(calm);
    made_free(m);
}

static void exec_sql(const struct made *m, const char *sql)
{
    sqlite3 *db = NULL;
    CU_ASSERT_EQUAL(sqlite3_open(m->db, &db), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void engine_pruning__a_stored_decision_holds_after_a_restart(void)
{
    struct made *m = made_courses("asha");
    run_one_by_one(m);
    json_t *first = decisions(m), *again;
    int before, after;
    /* As a coordinator leaves it that is killed before its workers end. */
    exec_sql(m, "UPDATE stages SET state = 'running' WHERE state = 'pruned';"
                "UPDATE trials SET state = 'running' WHERE state = 'pruned'");
    free(made_log(m, &before));
    struct engine_result r = run_one_by_one(m);
    CU_ASSERT_EQUAL(r.pruned, 3);
    free(made_log(m, &after));
    CU_ASSERT_EQUAL(after, before); /* no worker was needed for that */
    check_states(m);
    again = decisions(m);
    CU_ASSERT_TRUE(json_equal(first, again));
    json_decref(again);
    /* Killed before the decisions were stored: they are taken anew, on what is stored of the others. */
    exec_sql(m, "DELETE FROM decisions WHERE trial LIKE '%5';"
                "UPDATE stages SET state = 'running' WHERE state = 'pruned' AND trial LIKE '%5'");
    r = run_one_by_one(m);
    CU_ASSERT_EQUAL(r.pruned, 3);
    again = decisions(m);
    CU_ASSERT_TRUE(json_equal(first, again));
    json_decref(again);
    json_decref(first);
    made_free(m);
}

/* What another rule would go on from is no garbage. */
static void engine_pruning__keeps_its_checkpoints(void)
{
    struct made *m = made_courses("asha");
    struct store *s;
    json_t *garbage = NULL;
    char path[600];
    run_one_by_one(m);
    for (size_t i = 0; i < LEN(courses); i++) {
        snprintf(path, sizeof path, "%s/trials/%s/last.safetensors", m->dir, m->trials[i].id);
        TEST_OK(fs_write(path, "weights", 7));
    }
    TEST_OK(store_open(&s, (struct store_options){.path = m->db, .command = "test"}));
    TEST_OK(engine_garbage(&garbage, s));
    store_close(s);
    for (size_t i = 0; i < LEN(courses); i++) {
        bool listed = false;
        snprintf(path, sizeof path, "trials/%s/last.safetensors", m->trials[i].id);
        for (size_t k = 0; k < json_array_size(garbage); k++)
            listed = listed || strcmp(json_str(json_array_get(garbage, k), "path", ""), path) == 0;
        CU_ASSERT_EQUAL(listed, courses[i].epoch == 0);
    }
    json_decref(garbage);
    made_free(m);
}

static void engine_pruning__redo_decides_anew(void)
{
    struct made *m = made_courses("asha");
    struct store *s;
    int n = 0;
    run_one_by_one(m);
    set_rule(m, "median"); /* what another rule stopped is forgotten, too */
    TEST_OK(store_open(&s, (struct store_options){.path = m->db, .command = "test"}));
    TEST_OK(engine_redo(&n, s, &m->plan, 1U << PLAN_TRAIN));
    store_close(s);
    CU_ASSERT_EQUAL(n, 3 * 6 + 3);
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM decisions"), 0);
    set_rule(m, "asha");
    struct engine_result r = run_one_by_one(m);
    CU_ASSERT_EQUAL(r.pruned, 3);
    check_states(m);
    made_free(m);
}

/* The gate's timing says who is slower where there is one, not the work: a slower cell with less of it has no say. */
static void engine_pruning__knows_the_latency_before_training(void)
{
    static const struct {
        double ms;
        int64_t macs;
        double value;
        const char *state;
    } cells[] = {{20, 100, 0.9, "done"}, {5, 300, 0.1, "done"}, {25, 50, 0.2, "pruned"}};
    struct made *m = made_new();
    struct engine_result r;
    for (size_t i = 0; i < LEN(cells); i++) { /* a run each: what came before is read from the database */
        int hold = strcmp(cells[i].state, "pruned") == 0;
        struct plan_trial *t = &m->trials[made_trial(
            m, json_pack("{s:s, s:[f,f], s:i, s:f, s:f}", "fake.train", "learn", "fake.curve", cells[i].value, 0.9,
                         "fake.hold", hold, "fake.ms", cells[i].ms, "gate.p50_ms", 100.0))];
        t->size.macs = cells[i].macs;
        t->t.train.epochs = 2;
        t->t.evaluate.rank = "ssim";
        t->t.prune.rule = "median";
        t->t.prune.min_peers = 1;
        TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1}));
        CU_ASSERT_EQUAL(r.pruned, hold);
        CU_ASSERT_EQUAL(r.done, (int)i + 1 - hold);
    }
    made_free(m);
}

/* Losses of different kinds do not compare, and neither do pictures of different sizes. */
static void engine_pruning__compares_only_what_compares(void)
{
    static const struct {
        const char *metric, *loss_key;
        int size;
        const char *state;
    } cells[] = {
        {"val_loss", "a", 64, "done"}, {"val_loss", "a", 64, "pruned"}, {"val_loss", "b", 64, "done"},
        {"ssim", "a", 64, "done"},     {"ssim", "b", 64, "pruned"},     {"ssim", "a", 96, "done"},
    };
    struct made *m = made_new();
    struct engine_result r;
    for (size_t i = 0; i < LEN(cells); i++) {
        bool first = i % 3 == 0, stops = strcmp(cells[i].state, "pruned") == 0;
        json_t *config = json_pack("{s:s, s:[f,f,f], s:i}", "fake.train", "learn", "fake.curve", first ? 0.9 : 0.1, 0.9,
                                   0.9, "fake.hold", stops ? 1 : 0);
        struct plan_trial *t = &m->trials[made_trial(m, config)];
        snprintf(t->loss_key, sizeof t->loss_key, "%s", cells[i].loss_key);
        t->t.data.size[0] = cells[i].size;
        t->t.train.epochs = 3;
        t->t.evaluate.rank = cells[i].metric;
        t->t.prune.rule = "median";
        t->t.prune.warmup_epochs = 0;
        t->t.prune.min_peers = 1;
        if (strcmp(cells[i].metric, "val_loss") == 0)
            json_object_set_new(config, "fake.loss", json_real(first ? 1 : 2));
    }
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1}));
    json_t *rows = made_rows(m, "SELECT state, reason FROM trials ORDER BY id");
    for (size_t i = 0; i < LEN(cells); i++) {
        const json_t *row = json_array_get(rows, i);
        if (strcmp(json_str(row, "state", ""), cells[i].state) != 0)
            fprintf(stderr, "\n%zu: %s\n", i, json_str(row, "reason", ""));
        CU_ASSERT_STRING_EQUAL(json_str(row, "state", ""), cells[i].state);
    }
    json_decref(rows);
    made_free(m);
}

/* An epoch that nobody has validated is no reason to stop; of later ones the best so far counts. */
static void engine_pruning__waits_for_a_validation(void)
{
    static const struct {
        double value[3]; /* 0: not validated */
        const char *state;
        int epoch;
    } cells[] = {
        {{0.9, 0.9, 0.9}, "done", 0},
        {{0, 0.95, 0}, "done", 0},
        {{0, 0.1, 0}, "pruned", 2},
    };
    struct made *m = made_new();
    struct engine_result r;
    for (size_t i = 0; i < LEN(cells); i++) {
        json_t *curve = json_array();
        for (size_t k = 0; k < LEN(cells[i].value); k++)
            json_array_append_new(curve, cells[i].value[k] > 0 ? json_real(cells[i].value[k]) : json_null());
        json_t *config =
            json_pack("{s:s, s:o, s:i}", "fake.train", "learn", "fake.curve", curve, "fake.hold", cells[i].epoch);
        struct spec_trial *t = &m->trials[made_trial(m, config)].t;
        t->train.epochs = 3;
        t->evaluate.rank = "ssim";
        t->prune.rule = "median";
        t->prune.min_epochs = 1;
        t->prune.min_peers = 1;
    }
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1}));
    json_t *rows =
        made_rows(m, "SELECT state, reason, (SELECT epoch FROM decisions d WHERE d.trial = t.id AND stop) AS "
                     "stopped FROM trials t ORDER BY id");
    for (size_t i = 0; i < LEN(cells); i++) {
        const json_t *row = json_array_get(rows, i);
        if (strcmp(json_str(row, "state", ""), cells[i].state) != 0)
            fprintf(stderr, "\n%zu: %s\n", i, json_str(row, "reason", ""));
        CU_ASSERT_STRING_EQUAL(json_str(row, "state", ""), cells[i].state);
        CU_ASSERT_EQUAL(json_int(row, "stopped", 0), cells[i].epoch);
    }
    json_decref(rows);
    made_free(m);
}

static pid_t coordinator(const struct made *m)
{
    pid_t pid = fork();
    if (pid) return pid;
    log_set_level(LOG_ERROR);
    struct engine_result r;
    struct status st = made_run(&r, m, (struct engine_options){.jobs = 1});
    _exit((int)st.code);
}

static int wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void engine_pruning__survives_kills_with_the_same_decisions(void)
{
    struct made *calm = made_courses("asha"), *wild = made_courses("asha");
    run_one_by_one(calm);
    struct rng rng = rng_key(20261124, 1, 0, 0);
    int code = -1;
    for (int round = 0; round < 40 && code != 0; round++) {
        pid_t pid = coordinator(wild);
        if (round < 8) {
            nanosleep(&(struct timespec){.tv_nsec = (long)(10 + rng_below(&rng, 60)) * 1000000}, NULL);
            kill(pid, SIGKILL);
        }
        code = wait_for(pid);
    }
    CU_ASSERT_EQUAL(code, 0);
    check_states(wild);
    json_t *x = decisions(calm), *y = decisions(wild);
    CU_ASSERT_TRUE(json_equal(x, y));
    json_decref(x);
    json_decref(y);
    made_free(calm);
    made_free(wild);
}

/* Each trial by a process that knows of the others by their journals alone, as on a cluster; the same comes of it. */
static void engine_pruning__compares_with_trials_done_elsewhere(void)
{
    struct made *m = made_courses("asha");
    struct store *db = NULL;
    char worker[1100], path[500];
    snprintf(worker, sizeof worker, "%s/fake-worker", test_build_dir());
    for (int i = 0; i < m->plan.n_trials; i++) {
        struct store *rows = NULL;
        struct slurm_part part;
        struct store_replayed read;
        struct engine_result r;
        TEST_OK(store_open(&rows, (struct store_options){.path = m->db, .memory = true}));
        CU_ASSERT_PTR_NOT_NULL_FATAL(rows);
        for (int k = 0; k <= i; k++) {
            snprintf(path, sizeof path, "%s/%d.jsonl", m->dir, k);
            if (k < i) TEST_OK(store_replay(&read, rows, path));
        }
        TEST_OK(fs_write(path, "", 0));
        TEST_OK(store_journal(rows, path));
        TEST_OK(engine_put_trial(rows, &m->trials[i]));
        slurm_part_make(&part, &m->plan, i, true);
        TEST_OK(engine_run(&r, &(struct engine_options){
                                   .plan = &part.plan, .store = rows, .jobs = 1, .worker = worker, .bench = worker}));
        CU_ASSERT_EQUAL(r.done + r.pruned, 1);
        CU_ASSERT_EQUAL(r.ran, courses[i].epoch ? 1 : 6);
        slurm_part_free(&part);
        store_close(rows);
    }
    TEST_OK(store_open(&db, (struct store_options){.path = m->db, .command = "test"}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(db);
    TEST_OK(store_begin(db));
    TEST_OK(engine_put_plan(db, &m->plan, NULL));
    TEST_OK(store_commit(db));
    for (int i = 0; i < m->plan.n_trials; i++) {
        struct store *rows = NULL;
        struct store_replayed read;
        struct store_merged merged;
        snprintf(path, sizeof path, "%s/%d.jsonl", m->dir, i);
        TEST_OK(store_open(&rows, (struct store_options){.path = m->db, .memory = true}));
        TEST_OK(store_replay(&read, rows, path));
        TEST_OK(store_merge_store(&merged, db, rows));
        store_close(rows);
    }
    store_close(db);
    check_states(m);
    struct made *here = made_courses("asha");
    run_one_by_one(here);
    json_t *a = decisions(m), *b = decisions(here);
    CU_ASSERT_TRUE(json_equal(a, b));
    json_decref(a);
    json_decref(b);
    made_free(here);
    made_free(m);
}

static const struct test tests[] = {
    TEST(engine_pruning__compares_with_trials_done_elsewhere),
    TEST(engine_pruning__stops_what_falls_behind_and_stores_why),
    TEST(engine_pruning__another_rule_goes_on_from_the_checkpoints),
    TEST(engine_pruning__a_stored_decision_holds_after_a_restart),
    TEST(engine_pruning__keeps_its_checkpoints),
    TEST(engine_pruning__redo_decides_anew),
    TEST(engine_pruning__knows_the_latency_before_training),
    TEST(engine_pruning__compares_only_what_compares),
    TEST(engine_pruning__waits_for_a_validation),
    TEST(engine_pruning__survives_kills_with_the_same_decisions),
};
TEST_MAIN("engine pruning", tests)
