/* The database: who may write, what an event becomes, what is refused, what survives. */
#include "opened.h"
#include <linux/capability.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct store_stage stage = {
    .key = "k1", .trial = "t1", .stage = "train", .format = "", .device = "", .environment = NULL};

static const char *fresh(void)
{
    static char path[400];
    snprintf(path, sizeof path, "%s/sub/sweep.db", test_dir());
    return path;
}

static void put_trial(struct store *s)
{
    json_t *config = json_pack("{s:s}", "model.arch", "unet");
    TEST_OK(store_put_trial(s, &(struct store_trial){.id = "t1",
                                                     .arch = "unet",
                                                     .backbone = "resnet18",
                                                     .loss_key = "l",
                                                     .height = 64,
                                                     .width = 64,
                                                     .config = config}));
    json_decref(config);
    TEST_OK(store_stage_start(s, &stage));
}

static struct status apply(struct store *s, const char *text)
{
    json_t *e;
    TRY(json_parse(&e, "event", text, strlen(text)));
    struct status st = store_event(s, &stage, e);
    json_decref(e);
    return st;
}

static void store_event__becomes_rows(void)
{
    struct store *s = opened(fresh());
    put_trial(s);
    TEST_OK(apply(s, "{\"ev\":\"metrics\",\"epoch\":3,\"values\":{\"val_loss\":0.5,\"ssim\":null}}"));
    TEST_OK(apply(s, "{\"ev\":\"metrics\",\"epoch\":3,\"values\":{\"val_loss\":0.25}}")); /* a resumed epoch replaces */
    TEST_OK(apply(s, "{\"ev\":\"image\",\"image\":\"face 1\",\"values\":{\"ssim\":0.5}}"));
    TEST_OK(apply(s, "{\"ev\":\"info\",\"values\":{\"precision\":\"bf16\",\"params\":123,\"macs\":456}}"));
    TEST_OK(apply(s, "{\"ev\":\"info\",\"values\":{\"threads\":2}}"));
    TEST_OK(
        apply(s, "{\"ev\":\"artifact\",\"kind\":\"best\",\"path\":\"/elsewhere/best\",\"bytes\":9,\"hash\":\"h\"}"));
    TEST_OK(apply(s, "{\"ev\":\"latency\",\"threads\":1,\"height\":64,\"width\":64,\"visit\":0,\"n\":2,\"p50_ms\":1.5,"
                     "\"unstable\":true,\"samples_us\":[1500,1600],\"info\":{\"runtime\":\"x\"}}"));
    TEST_OK(apply(s, "{\"ev\":\"progress\",\"loss\":1}")); /* seen, not stored */
    CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM metrics WHERE epoch = 3 AND (value = 0.25 OR value IS NULL)"),
                    2);
    CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM image_metrics WHERE image = 'face 1'"), 1);
    CU_ASSERT_EQUAL(count(s, "SELECT params + macs AS n FROM trials"), 579);
    CU_ASSERT_EQUAL(count(s, "SELECT json_extract(info, '$.threads') AS n FROM stages "
                             "WHERE json_extract(info, '$.precision') = 'bf16'"),
                    2);
    CU_ASSERT_EQUAL(count(s, "SELECT length(samples) AS n FROM latencies WHERE unstable = 1"), 8);
    CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM artifacts WHERE path = '/elsewhere/best'"), 1);
    TEST_OK(store_integrity(s));
    store_close(s);
}

static void store_event__is_whole_or_nothing(void)
{
    static const struct {
        const char *text, *part;
    } bad[] = {
        {"{\"ev\":\"metrics\",\"values\":{\"a\":1,\"b\":\"x\"}}", "neither a number nor null"},
        {"{\"ev\":\"metrics\"}", "expected an object `values`"},
        {"{\"ev\":\"image\",\"values\":{}}", "expected a string `image`"},
        {"{\"ev\":\"artifact\",\"kind\":\"best\"}", "expected strings `kind` and `path`"},
        {"{\"ev\":\"latency\",\"p50_ms\":1,\"samples_us\":[]}", "samples_us"},
        {"{\"ev\":\"latency\",\"samples_us\":[1]}", "p50_ms"},
        {"{\"ev\":\"info\",\"values\":3}", "expected an object `values`"},
    };
    struct store *s = opened(fresh());
    put_trial(s);
    TEST_OK(store_begin(s));
    for (size_t i = 0; i < LEN(bad); i++) TEST_FAILS(apply(s, bad[i].text), STATUS_ARG, bad[i].part);
    TEST_OK(apply(s, "{\"ev\":\"metrics\",\"values\":{\"ssim\":1}}"));
    TEST_OK(store_commit(s));
    CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM metrics"), 1);
    CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM latencies"), 0);
    store_close(s);
}

static void store_open__names_the_holder_and_lets_readers_in(void)
{
    const char *path = fresh();
    struct store *s = opened(path), *other = NULL, *reader = NULL;
    char who[64];
    snprintf(who, sizeof who, "process %d on ", (int)getpid());
    TEST_FAILS(store_open(&other, (struct store_options){.path = path, .command = "b"}), STATUS_IO, who);
    TEST_FAILS(store_open(&other, (struct store_options){.path = path, .command = "b"}), STATUS_IO, "sweep run a.yaml");
    put_trial(s);
    TEST_OK(store_begin(s));
    TEST_OK(apply(s, "{\"ev\":\"metrics\",\"values\":{\"ssim\":1}}"));
    TEST_OK(store_open(&reader, (struct store_options){.path = path, .read_only = true}));
    CU_ASSERT_EQUAL(count(reader, "SELECT count(*) AS n FROM metrics"), 0); /* neither waits for the other */
    TEST_OK(store_commit(s));
    CU_ASSERT_EQUAL(count(reader, "SELECT count(*) AS n FROM metrics"), 1);
    store_close(reader);
    store_close(s);
    other = opened(path); /* the lock is free again */
    store_close(other);
}

static void exec_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    CU_ASSERT_EQUAL(sqlite3_open(path, &db), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void store_open__refuses_what_is_not_its_own(void)
{
    const char *path = fresh();
    struct store *s = NULL;
    TEST_FAILS(store_open(&s, (struct store_options){.path = path, .read_only = true}), STATUS_ARG, "no such database");
    store_close(opened(path));
    exec_sql(path, "PRAGMA user_version = 99");
    TEST_FAILS(store_open(&s, (struct store_options){.path = path}), STATUS_DB, "schema version 99");
    TEST_FAILS(store_open(&s, (struct store_options){.path = path, .read_only = true}), STATUS_DB, "newer sweep");
    path = fresh();
    TEST_OK(fs_mkdir(test_dir()));
    char other[420];
    snprintf(other, sizeof other, "%s/other.db", test_dir());
    exec_sql(other, "CREATE TABLE a (b)");
    TEST_FAILS(store_open(&s, (struct store_options){.path = other}), STATUS_DB, "another program");
    snprintf(other, sizeof other, "%s/text.db", test_dir());
    TEST_OK(fs_write(other, "this is no database, but a text of some length .............................", 76));
    TEST_FAILS(store_open(&s, (struct store_options){.path = other}), STATUS_DB, "not a results database");
    char below[480];
    snprintf(below, sizeof below, "%s/results/sweep.db", other); /* a file where a folder should be */
    TEST_FAILS(store_open(&s, (struct store_options){.path = below}), STATUS_IO, "text.db");
    TEST_FAILS(store_open(&s, (struct store_options){.path = below}), STATUS_IO, "--db PATH chooses");
    TEST_FAILS(store_open(&s, (struct store_options){.path = test_dir()}), STATUS_ARG, "is a folder");
    TEST_FAILS(store_open(&s, (struct store_options){.path = test_dir(), .read_only = true}), STATUS_ARG,
               "is a folder");
    CU_ASSERT_PTR_NULL(s);
}

/* A colleague's results: neither the file nor its folder may be written by who reads them. Root may write all, so a
 * child gives that up. */
static void store_open__reads_where_it_may_not_write(void)
{
    struct arena a = {0};
    const char *path = fresh(), *dir = fs_dirname(&a, path);
    struct store *s = opened(path);
    put_trial(s);
    store_close(s);
    CU_ASSERT_EQUAL(chmod(path, 0444), 0);
    CU_ASSERT_EQUAL(chmod(dir, 0555), 0);
    pid_t child = fork();
    if (child == 0) {
        struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct none[2] = {{0}};
        bool plain = syscall(SYS_capset, &head, none) == 0 && access(dir, W_OK) != 0;
        struct status st = plain ? store_open(&s, (struct store_options){.path = path, .read_only = true})
                                 : fail(STATUS_IO, "the folder can be written all the same");
        if (st.code != STATUS_OK) fprintf(stderr, "%s\n", st.msg);
        _exit(st.code == STATUS_OK && count(s, "SELECT count(*) AS n FROM trials") == 1 ? 0 : 1);
    }
    int status = -1;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_EQUAL(chmod(dir, 0755), 0);
    CU_ASSERT_EQUAL(chmod(path, 0644), 0);
    arena_free(&a);
}

static struct status no_rows(void *ctx, const struct store_row *row)
{
    *(int *)ctx += row->v != NULL;
    return ok();
}

/* A trial judged again by another judge, or by other weights: the last result is the one that counts. */
static void store_finals__are_those_of_the_last_evaluation(void)
{
    static const char *const keys[] = {"first", "second"};
    struct store *s = opened(fresh());
    put_trial(s);
    for (size_t i = 0; i < LEN(keys); i++) {
        const struct store_stage g = {.key = keys[i], .trial = "t1", .stage = "evaluate", .format = "", .device = ""};
        json_t *e = json_pack("{s:s, s:i, s:{s:f, s:f}}", "ev", "metrics", "epoch", -1, "values", "feature_distance",
                              i == 0 ? 0.75 : 0.5, "ssim", 0.25);
        TEST_OK(store_stage_start(s, &g));
        TEST_OK(store_event(s, &g, e));
        TEST_OK(store_stage_end(s, g.key, "done", NULL, 1, 0));
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
        json_decref(e);
    }
    CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM results WHERE feature_distance = 0.5 AND ssim = 0.25"), 1);
    store_close(s);
}

/* What a rounded file differs by is its own, and no part of what a trial is said to be. */
static void store_files__are_told_by_format(void)
{
    static const struct {
        const char *key, *format, *info, *values, *state;
    } rows[] = {
        {"v1", "onnx", "{}", "{\"verify_max_abs\":0.001}", "done"},
        {"v2", "onnx-int8", "{}", "{\"verify_max_abs\":2.5,\"verify_psnr\":36,\"file_ssim\":0.875}", "done"},
        {"v3", "onnx-fp16", "{\"verify\":\"wrong\"}", "{\"verify_max_abs\":9,\"verify_psnr\":12}", "refused"},
    };
    struct store *s = opened(fresh());
    put_trial(s);
    for (size_t i = 0; i < LEN(rows); i++) {
        struct store_stage g = stage;
        char text[300];
        g.key = rows[i].key;
        g.stage = "verify";
        g.format = rows[i].format;
        TEST_OK(store_stage_start(s, &g));
        snprintf(text, sizeof text, "{\"ev\":\"info\",\"values\":%s}", rows[i].info);
        json_t *e = json_loads(text, 0, NULL);
        TEST_OK(store_event(s, &g, e));
        json_decref(e);
        snprintf(text, sizeof text, "{\"ev\":\"metrics\",\"epoch\":-1,\"values\":%s}", rows[i].values);
        e = json_loads(text, 0, NULL);
        TEST_OK(store_event(s, &g, e));
        json_decref(e);
        TEST_OK(store_stage_end(s, g.key, rows[i].state, NULL, 1, 0));
    }
    CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM results WHERE verify_max_abs = 0.001"), 1);
    CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM files"), 3);
    CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM files WHERE format = 'onnx-int8' AND verify = 'right' AND "
                             "verify_psnr = 36 AND file_ssim = 0.875 AND verify_max_abs = 2.5"),
                    1);
    CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM files WHERE format = 'onnx-fp16' AND verify = 'wrong'"), 1);
    store_close(s);
}

static void store_query__only_reads(void)
{
    const char *path = fresh();
    struct store *s = opened(path);
    int n = 0;
    put_trial(s);
    TEST_FAILS(store_query(s, "DELETE FROM trials", NULL, no_rows, &n), STATUS_ARG, "only statements that read");
    TEST_FAILS(store_query(s, "SELECT 1; DROP TABLE trials", NULL, no_rows, &n), STATUS_ARG, "one statement at a time");
    TEST_FAILS(store_query(s, "SELEC 1", NULL, no_rows, &n), STATUS_ARG, "syntax error");
    TEST_FAILS(store_query(s, "SELECT nonesuch FROM results", NULL, no_rows, &n), STATUS_ARG, "no such column");
    TEST_FAILS(store_query(s, "", NULL, no_rows, &n), STATUS_ARG, "empty");
    TEST_FAILS(store_query(s, "SELECT ?1", NULL, no_rows, &n), STATUS_ARG, "got 0 parameters, the statement has 1");
    CU_ASSERT_EQUAL(n, 0);
    TEST_OK(store_query(s, "SELECT * FROM results;", NULL, no_rows, &n));
    CU_ASSERT_EQUAL(n, 1);
    store_close(s);
}

static void store_recover__closes_what_a_dead_writer_left(void)
{
    struct store *s = opened(fresh());
    put_trial(s);
    TEST_OK(store_set_trial(s, "t1", "running", NULL));
    TEST_OK(store_recover(s));
    CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM stages WHERE state = 'interrupted'"), 1);
    CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM trials WHERE state = 'interrupted'"), 1);
    TEST_OK(store_stage_start(s, &stage));
    TEST_OK(store_stage_end(s, "k1", "done", NULL, 2.5, 1000));
    CU_ASSERT_EQUAL(count(s, "SELECT attempts AS n FROM stages WHERE state = 'done' AND seconds = 2.5"), 2);
    store_close(s);
}

/* Writes until no file may grow any more; the process ends with the code of the first failure. */
static int write_until_full(const char *path)
{
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGXFSZ, SIG_IGN);
        struct store *s = opened(path);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){300000, 300000});
        struct status st = ok();
        for (int i = 0; i < 100000 && st.code == STATUS_OK; i++) {
            char text[200];
            snprintf(text, sizeof text, "{\"ev\":\"metrics\",\"epoch\":%d,\"values\":{\"a\":1,\"b\":2,\"c\":3}}", i);
            st = store_begin(s);
            if (st.code == STATUS_OK) st = apply(s, text);
            struct status end = store_commit(s);
            if (st.code == STATUS_OK) st = end;
        }
        bool said = strstr(st.msg, "what is stored stays") != NULL;
        store_close(s);
        _exit(said ? (int)st.code : 99);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void store_commit__a_full_disk_says_so_and_keeps_what_is_stored(void)
{
    const char *path = fresh();
    struct store *s = opened(path);
    put_trial(s);
    store_close(s);
    CU_ASSERT_EQUAL(write_until_full(path), STATUS_DB);
    s = opened(path);
    TEST_OK(store_integrity(s));
    int64_t n = count(s, "SELECT count(*) AS n FROM metrics"),
            epochs = count(s, "SELECT max(epoch) + 1 AS n FROM metrics");
    CU_ASSERT_TRUE(n > 100);
    CU_ASSERT_EQUAL(n, 3 * epochs); /* whole events only, none missing between */
    store_close(s);
}

extern const char store_schema[], store_pruning[], store_states[], store_views[];

/* A database as earlier versions of the program made it, with a trial under way. */
static void make_old(const char *path, int version)
{
    struct arena a = {0};
    TEST_OK(fs_mkdir(fs_dirname(&a, path)));
    exec_sql(path, store_schema);
    if (version >= 2) exec_sql(path, "ALTER TABLE trials ADD COLUMN content TEXT");
    if (version >= 3) exec_sql(path, store_pruning);
    exec_sql(path, arena_printf(&a, "PRAGMA application_id = %d; PRAGMA user_version = %d", 0x53574550, version));
    exec_sql(path, "INSERT INTO trials (id, config, arch, backbone, height, width, seed, loss_key, created) VALUES "
                   "('t1', '{}', 'unet', 'resnet18', 64, 64, 0, 'l', 1);"
                   "INSERT INTO stages (key, trial, stage, state) VALUES ('k1', 't1', 'train', 'interrupted');"
                   "INSERT INTO metrics VALUES ('k1', 't1', 'ssim', 1, 0.5);"
                   "INSERT INTO sweeps VALUES (1, 'old', 'old.yaml', '{}', 'ssim', 1, 2);"
                   "INSERT INTO sweep_trials VALUES (1, 't1', 0, '{}')");
    if (version >= 4) exec_sql(path, store_states);
    if (version >= 4) exec_sql(path, store_views);
    arena_free(&a);
}

static void store_migrate__brings_old_files_up_to_date(void)
{
    for (int version = 1; version < STORE_VERSION; version++) {
        char path[400];
        snprintf(path, sizeof path, "%s/old%d/sweep.db", test_dir(), version);
        make_old(path, version);
        struct store *s = NULL, *reader = NULL;
        TEST_FAILS(store_open(&s, (struct store_options){.path = path, .read_only = true}), STATUS_DB,
                   "brings it up to date");
        for (int again = 0; again < 2; again++) { /* what was migrated is opened as it is */
            s = opened(path);
            TEST_OK(store_integrity(s));
            CU_ASSERT_EQUAL(count(s, "SELECT user_version AS n FROM pragma_user_version"), STORE_VERSION);
            CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM metrics m JOIN stages g ON g.key = m.stage_key JOIN "
                                     "trials t ON t.id = g.trial AND t.content IS NULL"),
                            1);
            CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM decisions"), 0);
            CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM results WHERE note IS NULL AND tags IS NULL"), 1);
            CU_ASSERT_EQUAL(count(s,
                                  "SELECT count(*) AS n FROM sweep_states h JOIN state_trials t ON t.sweep = h.sweep "
                                  "AND t.asked = h.asked WHERE h.asked = 2 AND t.trial = 't1'"),
                            1);
            CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM results WHERE sweep = 'old'"), 1);
            TEST_OK(store_stage_end(s, "k1", "pruned", "behind", 1, 0));
            TEST_OK(store_set_trial(s, "t1", "pruned", "behind"));
            TEST_FAILS(store_set_trial(s, "t1", "nonesuch", NULL), STATUS_DB, "CHECK constraint failed");
            TEST_FAILS(store_stage_end(s, "k1", "queued", NULL, 1, 0), STATUS_DB, "CHECK constraint failed");
            TEST_OK(store_open(&reader, (struct store_options){.path = path, .read_only = true}));
            if (reader)
                CU_ASSERT_EQUAL(count(reader, "SELECT count(*) AS n FROM results WHERE state = 'pruned' AND reason = "
                                              "'behind' AND ssim IS NULL"),
                                1);
            store_close(reader);
            store_close(s);
        }
    }
}

/* Across machines the log's index cannot be shared: one that writes alone makes none, and leaves a plain file. */
static void store_open__alone_shares_no_memory(void)
{
    char path[400], shm[420];
    snprintf(path, sizeof path, "%s/sweep.db", test_dir());
    snprintf(shm, sizeof shm, "%s-shm", path);
    for (int alone = 0; alone < 2; alone++) {
        struct store *s = NULL;
        json_t *info = json_pack("{s:i}", "alone", alone);
        TEST_OK(store_open(&s, (struct store_options){.path = path, .command = "test", .alone = alone}));
        CU_ASSERT_PTR_NOT_NULL_FATAL(s);
        TEST_OK(store_put_device(s, alone ? "b" : "a", info));
        CU_ASSERT_EQUAL(fs_exists(shm), !alone);
        store_close(s);
        json_decref(info);
    }
    struct store *s = NULL;
    TEST_OK(store_open(&s, (struct store_options){.path = path, .read_only = true}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT_EQUAL(count(s, "SELECT count(*) AS n FROM devices"), 2);
    store_close(s);
}

static const struct test tests[] = {
    TEST(store_open__alone_shares_no_memory),
    TEST(store_event__becomes_rows),
    TEST(store_event__is_whole_or_nothing),
    TEST(store_open__names_the_holder_and_lets_readers_in),
    TEST(store_open__refuses_what_is_not_its_own),
    TEST(store_open__reads_where_it_may_not_write),
    TEST(store_migrate__brings_old_files_up_to_date),
    TEST(store_finals__are_those_of_the_last_evaluation),
    TEST(store_files__are_told_by_format),
    TEST(store_query__only_reads),
    TEST(store_recover__closes_what_a_dead_writer_left),
    TEST(store_commit__a_full_disk_says_so_and_keeps_what_is_stored),
};

TEST_MAIN("store", tests)
