/* Journals: what one store does reaches another through a file of lines, once, whatever happened to the file. */
#include "opened.h"
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

/* A cluster task's, whose rows are a journal's. */
static struct store *in_memory(const char *path)
{
    return opened_with((struct store_options){.path = path, .memory = true});
}

static const char *in(const char *dir, const char *name)
{
    static char ring[4][500];
    static int at;
    char *out = ring[at++ % 4];
    snprintf(out, sizeof ring[0], "%s/%s", dir, name);
    return out;
}

static void put_trial(struct store *s, const char *id)
{
    json_t *config = json_pack("{s:i}", "train.batch", 8);
    TEST_OK(store_put_trial(s, &(struct store_trial){.id = id,
                                                     .arch = "unet",
                                                     .backbone = "resnet18",
                                                     .loss_key = "l",
                                                     .height = 64,
                                                     .width = 64,
                                                     .config = config}));
    json_decref(config);
}

static void tell(struct store *s, const struct store_stage *g, json_t *event)
{
    TEST_OK(store_event(s, g, event));
    json_decref(event);
}

/* One batch a step, as the engine writes: the trial, a stage with everything that a worker can tell, its end. */
static void act(struct store *s, const char *id, const char *state)
{
    char path[700];
    json_t *info = json_pack("{s:s}", "cpu", "x");
    struct hash env;
    snprintf(path, sizeof path, "%s/trials/%s/best.safetensors", store_dir(s), id);
    TEST_OK(store_begin(s));
    put_trial(s, id);
    TEST_OK(store_put_environment(s, info, &env));
    json_decref(info);
    struct store_stage g = {
        .key = id, .trial = id, .stage = "train", .format = "", .device = "", .environment = env.hex};
    TEST_OK(store_stage_start(s, &g));
    TEST_OK(store_set_trial(s, id, "running", NULL));
    TEST_OK(store_commit(s));
    TEST_OK(store_begin(s));
    tell(s, &g, json_pack("{s:s, s:{s:f, s:n}}", "ev", "metrics", "values", "ssim", 0.5, "psnr"));
    tell(s, &g, json_pack("{s:s, s:s, s:{s:f}}", "ev", "image", "image", "a", "values", "ssim", 0.25));
    tell(s, &g, json_pack("{s:s, s:s, s:s}", "ev", "artifact", "kind", "best", "path", path));
    tell(s, &g, json_pack("{s:s, s:{s:s, s:i}}", "ev", "info", "values", "precision", "bf16", "params", 77));
    tell(s, &g,
         json_pack("{s:s, s:i, s:f, s:[f,f]}", "ev", "latency", "threads", 1, "p50_ms", 2.0, "samples_us", 2000.0,
                   2001.5));
    json_t *bad = json_pack("{s:s, s:{s:f, s:s}}", "ev", "metrics", "values", "l1", 1.0, "x", "no number");
    TEST_FAILS(store_event(s, &g, bad), STATUS_ARG, "neither a number nor null");
    json_decref(bad);
    json_t *peers = json_pack("[s]", "000000000000");
    TEST_OK(store_put_decision(s, &g,
                               &(struct store_decision){.rule = "median",
                                                        .rule_key = "k",
                                                        .metric = "ssim",
                                                        .reason = "r",
                                                        .value = 0.5,
                                                        .threshold = (double)NAN,
                                                        .peers = peers}));
    json_decref(peers);
    TEST_OK(store_stage_end(s, id, state, NULL, 1.5, 1000));
    TEST_OK(store_set_trial(s, id, state, NULL));
    TEST_OK(store_commit(s));
}

static const char *const tables[] = {
    "SELECT id, config, arch, params, state, created FROM trials ORDER BY id",
    "SELECT key, trial, stage, state, attempts, started, ended, seconds, environment, info FROM stages ORDER BY key",
    "SELECT * FROM metrics ORDER BY stage_key, name",
    "SELECT * FROM image_metrics ORDER BY stage_key, name",
    "SELECT * FROM artifacts ORDER BY stage_key, kind",
    "SELECT stage_key, trial, threads, p50_ms, hex(samples) AS samples, measured FROM latencies ORDER BY stage_key",
    "SELECT * FROM decisions ORDER BY stage_key",
};

static json_t *all_of(struct store *s)
{
    json_t *all = json_array();
    for (size_t i = 0; i < LEN(tables); i++) {
        json_t *rows = NULL;
        TEST_OK(store_rows(&rows, s, tables[i], NULL));
        json_array_append_new(all, rows);
    }
    return all;
}

static void same(struct store *a, struct store *b)
{
    json_t *x = all_of(a), *y = all_of(b);
    CU_ASSERT_TRUE(json_equal(x, y));
    if (!json_equal(x, y)) {
        json_dumpf(x, stderr, JSON_INDENT(1));
        json_dumpf(y, stderr, JSON_INDENT(1));
    }
    json_decref(x);
    json_decref(y);
}

static void store_journal__carries_everything(void)
{
    char dir[400];
    snprintf(dir, sizeof dir, "%s", test_dir());
    TEST_OK(fs_write(in(dir, "j"), "{\"claim\":{}}\n", 13)); /* a line of another kind is no row */
    struct store *there = in_memory(in(dir, "sweep.db"));
    TEST_OK(store_journal(there, in(dir, "j")));
    act(there, "aaaaaaaaaaaa", "done");
    act(there, "bbbbbbbbbbbb", "failed");
    TEST_OK(store_journal(there, NULL));
    act(there, "cccccccccccc", "done"); /* nobody listens */
    CU_ASSERT_FALSE(fs_exists(in(dir, "sweep.db")));

    struct store_replayed r;
    struct store *rows = in_memory(in(dir, "sweep.db"));
    TEST_OK(store_replay(&r, rows, in(dir, "j")));
    CU_ASSERT_EQUAL(r.refused, 0);
    CU_ASSERT_EQUAL(count(rows, "SELECT count(*) AS n FROM trials"), 2);
    struct store *db = opened(in(dir, "sweep.db"));
    struct store_merged m;
    TEST_OK(store_merge_store(&m, db, rows));
    CU_ASSERT_EQUAL(m.stages, 2);
    same(db, rows);
    /* Paths are relative to the folder, wherever that is mounted. */
    CU_ASSERT_EQUAL(count(db, "SELECT count(*) AS n FROM artifacts WHERE path LIKE 'trials/%'"), 2);
    CU_ASSERT_EQUAL(count(db, "SELECT count(*) AS n FROM metrics WHERE name = 'l1'"), 0); /* undone with its event */
    /* Again: nothing new. */
    TEST_OK(store_merge_store(&m, db, rows));
    CU_ASSERT_EQUAL(m.stages, 0);
    same(db, rows);
    TEST_OK(store_integrity(db));
    store_close(there);
    store_close(rows);
    store_close(db);
}

/* tests/store/upgrade holds what act() wrote of two trials, in each version: collected, it is all there. */
static void store_journal__of_the_first_version_is_collected(void)
{
    static const struct {
        const char *sql;
        int n;
    } rows[] = {
        {"SELECT count(*) AS n FROM trials WHERE state IN ('done', 'failed') AND params = 77 AND height = 64", 2},
        {"SELECT count(*) AS n FROM stages WHERE stage = 'train' AND state = 'done' AND seconds = 1.5", 1},
        {"SELECT count(*) AS n FROM stages WHERE json_extract(info, '$.precision') = 'bf16'", 2},
        {"SELECT count(*) AS n FROM stages g JOIN environments e ON e.id = g.environment", 2},
        {"SELECT count(*) AS n FROM metrics WHERE name = 'ssim' AND value = 0.5", 2},
        {"SELECT count(*) AS n FROM metrics WHERE name = 'psnr' AND value IS NULL", 2},
        {"SELECT count(*) AS n FROM image_metrics WHERE value = 0.25", 2},
        {"SELECT count(*) AS n FROM artifacts WHERE path LIKE 'trials/%/best.safetensors'", 2},
        {"SELECT count(*) AS n FROM latencies WHERE p50_ms = 2 AND hex(samples) = '0000FA440030FA44'", 2},
        {"SELECT count(*) AS n FROM decisions WHERE rule = 'median' AND threshold IS NULL", 2},
    };
    char dir[400];
    struct arena a = {0};
    struct store_replayed r;
    struct store_merged m;
    snprintf(dir, sizeof dir, "%s", test_dir());
    struct store *replayed = in_memory(in(dir, "sweep.db"));
    TEST_OK(store_replay(&r, replayed, fs_join(&a, test_source_dir(), "tests/store/upgrade/first.journal")));
    CU_ASSERT_EQUAL(r.refused, 0);
    struct store *db = opened(in(dir, "sweep.db"));
    TEST_OK(store_merge_store(&m, db, replayed));
    for (size_t i = 0; i < LEN(rows); i++) {
        int n = (int)count(db, rows[i].sql);
        if (n != rows[i].n) fprintf(stderr, "%d: %s\n", n, rows[i].sql);
        CU_ASSERT_EQUAL(n, rows[i].n);
    }
    TEST_OK(store_integrity(db));
    store_close(replayed);
    store_close(db);
    arena_free(&a);
}

/* A stage in two files: interrupted in the first, done in the second; or done in one, and begun in another. */
static void store_journal__a_result_stays(void)
{
    char dir[400];
    snprintf(dir, sizeof dir, "%s", test_dir());
    static const char *const files[] = {"0", "1", "2"}, *const states[] = {"interrupted", "done", "interrupted"};
    for (size_t i = 0; i < LEN(files); i++) {
        struct store *s = in_memory(in(dir, "sweep.db"));
        TEST_OK(fs_write(in(dir, files[i]), "", 0));
        TEST_OK(store_journal(s, in(dir, files[i])));
        act(s, "aaaaaaaaaaaa", states[i]);
        store_close(s);
    }
    struct store *rows = in_memory(in(dir, "sweep.db"));
    struct store_replayed r;
    for (size_t i = 0; i < LEN(files); i++) TEST_OK(store_replay(&r, rows, in(dir, files[i])));
    CU_ASSERT_EQUAL(count(rows, "SELECT count(*) AS n FROM stages WHERE state = 'done' AND attempts = 2"), 1);
    CU_ASSERT_EQUAL(r.refused, 0);
    store_close(rows);
}

/* Of two attempts that came to nothing the later one is told; merged in any order, merged again. */
static void store_journal__the_later_failure_is_told(void)
{
    char dir[400];
    snprintf(dir, sizeof dir, "%s", test_dir());
    struct store *db = opened(in(dir, "sweep.db")), *later = in_memory(in(dir, "sweep.db"));
    struct store_merged m;
    act(db, "aaaaaaaaaaaa", "interrupted");
    act(later, "aaaaaaaaaaaa", "failed");
    TEST_OK(store_merge_store(&m, db, later));
    CU_ASSERT_EQUAL(m.stages, 1);
    CU_ASSERT_EQUAL(count(db, "SELECT count(*) AS n FROM trials WHERE state = 'failed'"), 1);
    TEST_OK(store_merge_store(&m, db, later));
    CU_ASSERT_EQUAL(m.stages, 0);
    store_close(db);
    store_close(later);
}

static void store_journal__a_cut_file_is_read_to_its_last_whole_line(void)
{
    char dir[400], *text = NULL;
    size_t n = 0;
    snprintf(dir, sizeof dir, "%s", test_dir());
    struct store *s = in_memory(in(dir, "sweep.db"));
    TEST_OK(fs_write(in(dir, "j"), "", 0));
    TEST_OK(store_journal(s, in(dir, "j")));
    act(s, "aaaaaaaaaaaa", "done");
    store_close(s);
    TEST_OK(fs_read(&text, &n, in(dir, "j")));
    int last = -1;
    for (size_t cut = 0; cut <= n; cut += cut + 97 < n || cut == n ? 97 : n - cut) {
        struct store *rows = in_memory(in(dir, "sweep.db"));
        struct store_replayed r;
        TEST_OK(store_replay_text(&r, rows, text, cut));
        CU_ASSERT_EQUAL(r.refused, cut > 0 && text[cut - 1] != '\n');
        CU_ASSERT_TRUE(r.rows >= last);
        last = r.rows;
        TEST_OK(store_integrity(rows));
        store_close(rows);
    }
    CU_ASSERT_TRUE(last > 10);
    free(text);
}

static void store_journal__lines_that_are_no_rows_are_passed_over(void)
{
    static const char text[] =
        "not json\n\n[1]\n{\"do\":\"drop\",\"with\":[]}\n{\"do\":\"metric\"}\n{\"do\":7}\n"
        "{\"do\":\"metric\",\"with\":[\"k\",\"t\",\"n\",0,1.5]}\n" /* of a stage that nobody began */
        "{\"do\":\"device\",\"with\":[\"cpu\",{\"a\":1}]}\n"       /* a row */
        "{\"do\":\"device\",\"with\":[7,{}]}\n"                    /* a name that is no text */
        "{\"do\":\"device\",\"with\":[\"gpu\"]}\n"                 /* too few */
        "{\"do\":\"device\",\"with\":[\"x\",null]}\n"              /* a row that the table refuses */
        "{\"do\":\"latency\",\"with\":[\"k\",\"t\",\"f\",\"d\",1,1,1,1,1,1,1,1,1,1,1,1,1,0,0,1,\"0g\",{},1]}\n";
    char dir[400];
    snprintf(dir, sizeof dir, "%s/sweep.db", test_dir());
    struct store *s = in_memory(dir);
    struct store_replayed r;
    TEST_OK(store_replay_text(&r, s, text, strlen(text)));
    CU_ASSERT_EQUAL(r.rows, 1);
    CU_ASSERT_EQUAL(r.refused, 9);
    CU_ASSERT_PTR_NOT_NULL(strstr(r.first, "no JSON object: not json"));
    CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM devices WHERE name = 'cpu'"), 1);
    store_close(s);
}

/* A full disk: the commit fails in a way that may pass, the file is as before; with room the same again is stored. */
static void store_journal__a_full_disk_fails_the_commit(void)
{
    char dir[400], *text = NULL;
    size_t n = 0;
    snprintf(dir, sizeof dir, "%s", test_dir());
    struct store *s = in_memory(in(dir, "sweep.db"));
    TEST_OK(fs_write(in(dir, "j"), "", 0));
    TEST_OK(store_journal(s, in(dir, "j")));
    struct rlimit was, small = {.rlim_cur = 100};
    getrlimit(RLIMIT_FSIZE, &was);
    small.rlim_max = was.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    TEST_OK(store_begin(s));
    put_trial(s, "aaaaaaaaaaaa");
    struct status st = store_commit(s);
    setrlimit(RLIMIT_FSIZE, &was);
    TEST_FAILS(st, STATUS_DB, "/j: writing: ");
    CU_ASSERT_TRUE(store_may_pass(s));
    CU_ASSERT_EQUAL(fs_size(in(dir, "j")), 0);
    CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM trials"), 0);
    TEST_OK(store_begin(s));
    put_trial(s, "aaaaaaaaaaaa");
    TEST_OK(store_commit(s));
    TEST_OK(fs_read(&text, &n, in(dir, "j")));
    CU_ASSERT_TRUE(n > 100 && strncmp(text, "{\"do\":\"trial\"", 13) == 0);
    free(text);
    store_close(s);
}

static void store_journal__tells_what_is_known(void)
{
    char dir[400];
    snprintf(dir, sizeof dir, "%s/sweep.db", test_dir());
    struct store *db = opened(dir), *rows = in_memory(dir);
    struct str lines = {0};
    struct store_replayed r;
    act(db, "aaaaaaaaaaaa", "done");
    act(db, "bbbbbbbbbbbb", "done");
    json_t *keys = json_pack("[s]", "aaaaaaaaaaaa");
    TEST_OK(store_journal_of(&lines, db, keys));
    TEST_OK(store_replay_text(&r, rows, lines.s, lines.n));
    CU_ASSERT_EQUAL(r.refused, 0);
    CU_ASSERT_EQUAL(r.rows, 5);
    CU_ASSERT_EQUAL(count(rows, "SELECT count(*) AS n FROM stages g JOIN artifacts a ON a.stage_key = g.key "
                                "WHERE g.state = 'done' AND json_extract(g.info, '$.precision') = 'bf16' "
                                "AND g.trial = 'aaaaaaaaaaaa'"),
                    1);
    struct store_merged m;
    TEST_OK(store_merge_store(&m, db, rows)); /* what it knew itself is nothing new */
    CU_ASSERT_EQUAL(m.stages, 0);
    CU_ASSERT_EQUAL(count(db, "SELECT count(*) AS n FROM metrics"), 4);
    json_decref(keys);
    str_free(&lines);
    store_close(rows);
    store_close(db);
}

static const struct test tests[] = {
    TEST(store_journal__carries_everything),
    TEST(store_journal__of_the_first_version_is_collected),
    TEST(store_journal__a_result_stays),
    TEST(store_journal__the_later_failure_is_told),
    TEST(store_journal__a_cut_file_is_read_to_its_last_whole_line),
    TEST(store_journal__lines_that_are_no_rows_are_passed_over),
    TEST(store_journal__a_full_disk_fails_the_commit),
    TEST(store_journal__tells_what_is_known),
};
TEST_MAIN("store.journal", tests)
