/* Two databases become one; a copy is a whole one; a stage is forgotten. */
#include "opened.h"
#include <math.h>
#include <sqlite3.h>

static const char *place(const char *name)
{
    static char ring[4][400];
    static int at;
    char *out = ring[at++ % 4];
    snprintf(out, sizeof ring[0], "%s/%s/sweep.db", test_dir(), name);
    return out;
}

/* With a sweep that has no trials. */
static struct store *with_sweep(const char *path)
{
    struct store *s = opened(path);
    int64_t sweep;
    json_t *spec = json_object();
    TEST_OK(store_put_sweep(s, &(struct store_sweep){.name = "both", .path = "b.yaml", .rank = "ssim", .spec = spec},
                            &sweep));
    json_decref(spec);
    return s;
}

/* A trial with one stage in this state; a finished one has a metric and a file that holds @p word. */
static void put(struct store *s, const char *id, const char *state, const char *word)
{
    json_t *config = json_object(), *info = json_pack("{s:s}", "cpu", word);
    char path[1200];
    struct hash env;
    TEST_OK(store_put_environment(s, info, &env));
    struct store_trial t = {
        .id = id, .arch = "unet", .backbone = "resnet18", .loss_key = "l", .height = 64, .width = 64, .config = config};
    TEST_OK(store_put_trial(s, &t));
    TEST_OK(store_put_sweep_trial(s, 1, id, 0, config)); /* the only one */
    struct store_stage g = {
        .key = id, .trial = id, .stage = "train", .format = "", .device = "", .environment = env.hex};
    TEST_OK(store_stage_start(s, &g));
    if (strcmp(state, "done") == 0) {
        snprintf(path, sizeof path, "%s/trials/%s", store_dir(s), id);
        TEST_OK(fs_mkdir(path));
        snprintf(path, sizeof path, "%s/trials/%s/best.safetensors", store_dir(s), id);
        TEST_OK(fs_write(path, word, strlen(word)));
        json_t *m = json_pack("{s:s, s:{s:i}}", "ev", "metrics", "values", "ssim", (int)strlen(word));
        json_t *f = json_pack("{s:s, s:s, s:s}", "ev", "artifact", "kind", "best", "path", path);
        json_t *l =
            json_pack("{s:s, s:i, s:f, s:[f]}", "ev", "latency", "threads", 1, "p50_ms", 2.0, "samples_us", 2e3);
        TEST_OK(store_event(s, &g, m));
        TEST_OK(store_event(s, &g, f));
        TEST_OK(store_event(s, &g, l));
        json_decref(m);
        json_decref(f);
        json_decref(l);
    }
    if (strcmp(state, "pruned") == 0) {
        json_t *peers = json_array();
        struct store_decision d = {.rule = "asha",
                                   .rule_key = "r",
                                   .metric = "ssim",
                                   .reason = word,
                                   .epoch = 2,
                                   .value = 0.25,
                                   .threshold = (double)NAN,
                                   .stop = true,
                                   .peers = peers};
        TEST_OK(store_put_decision(s, &g, &d));
        TEST_OK(store_put_decision(s, &g, &d)); /* the same again is the same row */
        json_decref(peers);
    }
    if (strcmp(state, "running") != 0) TEST_OK(store_stage_end(s, id, state, NULL, 1, 0));
    TEST_OK(store_set_trial(s, id, state, NULL));
    json_decref(config);
    json_decref(info);
}

static void store_merge__takes_results_and_files_once(void)
{
    static const struct {
        const char *id, *ours, *theirs; /* states; NULL: not there */
        const char *state;              /* after */
        int64_t ssim;                   /* whose result it is: ours has 4 letters, theirs 6; 0: none */
    } cases[] = {
        {"a00000000000", "done", NULL, "done", 4},           {"b00000000000", NULL, "done", "done", 6},
        {"c00000000000", "done", "done", "done", 4},         {"d00000000000", "failed", "done", "done", 6},
        {"e00000000000", "done", "failed", "done", 4},       {"f00000000000", "failed", "interrupted", "failed", 0},
        {"g00000000000", NULL, "running", "interrupted", 0}, {"h00000000000", "interrupted", "refused", "refused", 0},
        {"i00000000000", "failed", "pruned", "pruned", 0},   {"j00000000000", "pruned", "done", "done", 6},
        {"k00000000000", "done", "pruned", "done", 4},
    };
    const char *ours = place("ours"), *theirs = place("theirs");
    struct store *a = with_sweep(ours), *b = with_sweep(theirs);
    for (size_t i = 0; i < LEN(cases); i++) {
        if (cases[i].ours) put(a, cases[i].id, cases[i].ours, "ours");
        if (cases[i].theirs) put(b, cases[i].id, cases[i].theirs, "theirs");
    }
    store_close(b);
    struct store_merged first, again;
    TEST_OK(store_merge(&first, a, theirs));
    CU_ASSERT_EQUAL(first.trials, 2);
    CU_ASSERT_EQUAL(first.stages, 6);
    CU_ASSERT_EQUAL(first.files, 3);
    TEST_OK(store_merge(&again, a, theirs));
    CU_ASSERT_EQUAL(again.trials + again.stages + again.files, 0);
    TEST_OK(store_integrity(a));
    for (size_t i = 0; i < LEN(cases); i++) {
        json_t *rows = NULL, *params = json_pack("[s]", cases[i].id);
        TEST_OK(store_rows(&rows, a,
                           "SELECT t.state, g.state AS stage, (SELECT value FROM metrics WHERE stage_key = g.key) AS "
                           "ssim FROM trials t JOIN stages g ON g.trial = t.id WHERE t.id = ?1",
                           params));
        const json_t *row = json_array_get(rows, 0);
        CU_ASSERT_STRING_EQUAL(json_str(row, "state", ""), cases[i].state);
        CU_ASSERT_STRING_EQUAL(json_str(row, "stage", ""), cases[i].state);
        CU_ASSERT_EQUAL((int64_t)json_num(row, "ssim", 0), cases[i].ssim);
        json_decref(rows);
        json_decref(params);
        char path[1200], *text = NULL;
        snprintf(path, sizeof path, "%s/trials/%s/best.safetensors", store_dir(a), cases[i].id);
        CU_ASSERT_EQUAL(fs_exists(path), cases[i].ssim > 0);
        if (cases[i].ssim) TEST_OK(fs_read(&text, NULL, path));
        if (text) CU_ASSERT_EQUAL((int64_t)strlen(text), cases[i].ssim);
        free(text);
    }
    /* i's came over, j's went with the result that replaced it, k's stayed there */
    CU_ASSERT_EQUAL(count(a, "SELECT count(*) AS n FROM decisions"), 1);
    CU_ASSERT_EQUAL(count(a, "SELECT count(*) AS n FROM decisions WHERE trial LIKE 'i%' AND stop = 1 AND value = 0.25 "
                             "AND threshold IS NULL AND peers = '[]' AND reason = 'theirs'"),
                    1);
    CU_ASSERT_EQUAL(count(a, "SELECT count(*) AS n FROM sweeps"), 1);
    CU_ASSERT_EQUAL(count(a, "SELECT count(*) AS n FROM sweep_trials"), 11);
    store_close(a);
}

/* Two databases of one version may have their columns in another order, each grown by its own migrations. */
static void store_merge__goes_by_the_names_of_columns(void)
{
    const char *theirs = place("theirs");
    struct store *a = with_sweep(place("ours")), *b = with_sweep(theirs);
    put(b, "b00000000000", "done", "theirs");
    store_close(b);
    sqlite3 *db = NULL;
    CU_ASSERT_EQUAL(sqlite3_open(theirs, &db), SQLITE_OK);
    CU_ASSERT_EQUAL(
        sqlite3_exec(db,
                     "PRAGMA legacy_alter_table = ON; ALTER TABLE metrics RENAME TO old; CREATE TABLE metrics (value "
                     "REAL, trial TEXT NOT NULL, stage_key TEXT NOT NULL, epoch INTEGER NOT NULL DEFAULT -1, name TEXT "
                     "NOT NULL, PRIMARY KEY (stage_key, name, epoch)); INSERT INTO metrics (value, trial, stage_key, "
                     "epoch, name) SELECT value, trial, stage_key, epoch, name FROM old; DROP TABLE old",
                     NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    struct store_merged m;
    TEST_OK(store_merge(&m, a, theirs));
    CU_ASSERT_EQUAL(count(a, "SELECT count(*) AS n FROM metrics WHERE trial = 'b00000000000' AND name = 'ssim' AND "
                             "epoch = -1 AND value = 6"),
                    1);
    store_close(a);
}

static void store_merge__brings_the_history_of_a_sweep(void)
{
    const char *theirs = place("theirs");
    struct store *a = with_sweep(place("ours")), *b = with_sweep(theirs);
    put(a, "a00000000000", "done", "ours");
    TEST_OK(store_keep_state(a, 1));
    TEST_OK(store_keep_state(a, 1)); /* the same as the last */
    put(b, "b00000000000", "done", "theirs");
    TEST_OK(store_keep_state(b, 1));
    store_close(b);
    CU_ASSERT_EQUAL(count(a, "SELECT count(*) AS n FROM sweep_states"), 1);
    struct store_merged m;
    TEST_OK(store_merge(&m, a, theirs));
    TEST_OK(store_merge(&m, a, theirs));
    CU_ASSERT_EQUAL(count(a, "SELECT count(*) AS n FROM sweep_states"), 2);
    CU_ASSERT_EQUAL(count(a, "SELECT count(*) AS n FROM state_trials"), 2);
    TEST_OK(store_integrity(a));
    store_close(a);
}

static void store_merge__refuses_what_is_no_database(void)
{
    struct store *a = with_sweep(place("ours"));
    struct store_merged m;
    TEST_FAILS(store_merge(&m, a, place("none")), STATUS_ARG, "there is no such database");
    char path[400];
    snprintf(path, sizeof path, "%s/text.db", test_dir());
    TEST_OK(fs_write(path,
                     "no database at all, but long enough for a header of one ............................... "
                     "...............................",
                     110));
    TEST_FAILS(store_merge(&m, a, path), STATUS_DB, "not a results database");
    put(a, "a00000000000", "done", "ours"); /* it still works */
    store_close(a);
}

/* A merge that failed leaves nothing behind: the same store takes the next one. */
static void store_merge__goes_on_after_a_failure(void)
{
    const char *theirs = place("theirs"), *third = place("third");
    struct store *a = with_sweep(place("ours")), *b = with_sweep(theirs), *c = with_sweep(third);
    put(b, "b00000000000", "done", "theirs");
    put(c, "c00000000000", "done", "thirds");
    store_close(b);
    store_close(c);
    struct store_merged m;
    char path[1200];
    snprintf(path, sizeof path, "%s/trials", store_dir(a));
    TEST_OK(fs_mkdir(path));
    snprintf(path, sizeof path, "%s/trials/b00000000000", store_dir(a));
    TEST_OK(fs_write(path, "", 0)); /* where a folder of files is to be */
    TEST_FAILS(store_merge(&m, a, theirs), STATUS_IO, "b00000000000");
    CU_ASSERT_EQUAL(count(a, "SELECT count(*) AS n FROM pragma_database_list WHERE name = 'other'"), 0);
    TEST_OK(store_merge(&m, a, third));
    CU_ASSERT_EQUAL(m.stages, 1);
    remove(path);
    TEST_OK(store_merge(&m, a, theirs));
    CU_ASSERT_EQUAL(m.files, 1);
    store_close(a);
}

static void store_backup__is_whole_and_replaces_nothing(void)
{
    const char *from = place("from"), *to = place("to");
    struct store *s = with_sweep(from), *r = NULL, *copy = NULL;
    put(s, "a00000000000", "done", "ours");
    TEST_OK(store_open(&r, (struct store_options){.path = from, .read_only = true})); /* beside the writer */
    TEST_FAILS(store_backup(r, to), STATUS_IO, "to/sweep.db");                        /* no such folder */
    char file[420];
    snprintf(file, sizeof file, "%s/copy.db", test_dir());
    TEST_OK(store_backup(r, file));
    TEST_FAILS(store_backup(r, file), STATUS_ARG, "never replaces");
    store_close(r);
    TEST_OK(store_open(&copy, (struct store_options){.path = file, .read_only = true}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    TEST_OK(store_integrity(copy));
    CU_ASSERT_EQUAL(count(copy, "SELECT count(*) AS n FROM latencies"), 1);
    store_close(copy);
    store_close(s);
}

static void store_forget_stage__drops_what_it_told(void)
{
    struct store *s = with_sweep(place("forget"));
    put(s, "a00000000000", "done", "ours");
    put(s, "b00000000000", "done", "ours");
    put(s, "c00000000000", "pruned", "ours");
    CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM decisions"), 1);
    TEST_OK(store_forget_stage(s, "c00000000000", "to be done once more"));
    CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM decisions"), 0);
    TEST_OK(store_forget_stage(s, "a00000000000", "to be done again"));
    CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM metrics"), 1);
    CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM latencies"), 1);
    CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM artifacts"), 1);
    CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM stages WHERE state = 'interrupted' AND reason LIKE '%again'"),
                    1);
    store_close(s);
}

static void store_writer__is_named_while_it_writes(void)
{
    char who[1200];
    const char *path = place("held");
    CU_ASSERT_FALSE(store_writer(who, sizeof who, path));
    struct store *s = with_sweep(path);
    CU_ASSERT_TRUE(store_writer(who, sizeof who, path));
    CU_ASSERT_PTR_NOT_NULL(strstr(who, ": sweep run a.yaml"));
    store_close(s);
    CU_ASSERT_FALSE(store_writer(who, sizeof who, path));
}

/* What a person said: theirs comes over, ours stays. */
static void store_merge__keeps_notes(void)
{
    const char *ours = place("said here"), *theirs = place("said there");
    struct store_merged m;
    json_t *good = json_pack("[s]", "good");
    struct store *s = with_sweep(theirs);
    put(s, "t1", "done", "x");
    put(s, "t2", "done", "x");
    TEST_OK(store_set_note(s, "t1", "theirs"));
    TEST_OK(store_set_note(s, "t2", "theirs"));
    TEST_OK(store_set_tags(s, "t1", good));
    store_close(s);
    s = with_sweep(ours);
    put(s, "t1", "done", "x");
    TEST_OK(store_set_note(s, "t1", "ours"));
    TEST_OK(store_merge(&m, s, theirs));
    CU_ASSERT_EQUAL(
        count(s, "SELECT count(*) AS n FROM trials WHERE id = 't1' AND note = 'ours' AND tags = '[\"good\"]'"), 1);
    CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM trials WHERE id = 't2' AND note = 'theirs' AND tags IS NULL"),
                    1);
    json_decref(good);
    store_close(s);
}

static const struct test tests[] = {
    TEST(store_merge__keeps_notes),

    TEST(store_merge__takes_results_and_files_once),
    TEST(store_merge__goes_by_the_names_of_columns),
    TEST(store_merge__brings_the_history_of_a_sweep),
    TEST(store_merge__refuses_what_is_no_database),
    TEST(store_merge__goes_on_after_a_failure),
    TEST(store_backup__is_whole_and_replaces_nothing),
    TEST(store_forget_stage__drops_what_it_told),
    TEST(store_writer__is_named_while_it_writes),
};

TEST_MAIN("store merge", tests)
