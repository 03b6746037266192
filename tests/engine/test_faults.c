/* Whatever is killed, and whenever: the next run goes on, and ends as an undisturbed one would have. */
#include "made.h"
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *final_sql = "SELECT t.id, t.state, g.stage, g.state AS stage_state, m.name, m.value FROM trials t "
                               "JOIN stages g ON g.trial = t.id LEFT JOIN metrics m ON m.stage_key = g.key "
                               "ORDER BY t.id, g.stage, m.name";

static void nap_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

static struct made *cells(int n, const char *act)
{
    struct made *m = made_new();
    for (int i = 0; i < n; i++) made_trial(m, json_pack("{s:s}", "fake.train", act));
    return m;
}

/* A coordinator of its own; its exit status is the code of engine_run. */
static pid_t coordinator(const struct made *m, int jobs, rlim_t file_limit)
{
    pid_t pid = fork();
    if (pid) return pid;
    log_set_level(LOG_ERROR);
    if (file_limit) {
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){file_limit, RLIM_INFINITY});
    }
    struct engine_result r;
    struct status st = made_run(&r, m, (struct engine_options){.jobs = jobs, .seed = 1});
    if (st.code != STATUS_OK && st.code != STATUS_INTERRUPTED) fprintf(stderr, "coordinator: %s\n", st.msg);
    _exit((int)st.code);
}

static int wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Processes of the log that still live; a dead one that nobody has reaped has no command line. */
static int orphans(const struct made *m)
{
    int n, alive = 0;
    struct made_note *v = made_log(m, &n);
    for (int i = 0; i < n; i++)
        if (strcmp(v[i].what, "start") == 0 && kill(v[i].pid, 0) == 0) {
            char path[64], *text = NULL;
            snprintf(path, sizeof path, "/proc/%d/cmdline", v[i].pid);
            struct status st = fs_read(&text, NULL, path);
            alive += st.code == STATUS_OK && strstr(text, "fake-worker") != NULL;
            free(text);
        }
    free(v);
    return alive;
}

static void check_same(const struct made *a, const struct made *b)
{
    json_t *x = made_rows(a, final_sql), *y = made_rows(b, final_sql);
    CU_ASSERT_TRUE(json_array_size(x) > 0);
    CU_ASSERT_TRUE(json_equal(x, y));
    json_decref(x);
    json_decref(y);
}

static void check_sound(const struct made *m)
{
    struct store *s;
    TEST_OK(store_open(&s, (struct store_options){.path = m->db, .read_only = true}));
    if (s) TEST_OK(store_integrity(s));
    store_close(s);
    CU_ASSERT_EQUAL(orphans(m), 0);
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM stages WHERE state = 'running'"), 0);
    struct arena a = {0};
    char **names, dir[500];
    size_t n = 1;
    snprintf(dir, sizeof dir, "%s/locks", m->dir);
    TEST_OK(fs_list(&names, &n, &a, dir));
    CU_ASSERT_EQUAL(n, 0);
    arena_free(&a);
}

/* State and attempts of what was done at one moment: none of it may have run again later. */
static void check_not_repeated(const struct made *m, const json_t *done)
{
    json_t *rows = made_rows(m, "SELECT key, attempts FROM stages");
    json_t *now = json_object();
    for (size_t i = 0; i < json_array_size(rows); i++)
        json_object_set(now, json_str(json_array_get(rows, i), "key", ""),
                        json_object_get(json_array_get(rows, i), "attempts"));
    for (size_t i = 0; i < json_array_size(done); i++) {
        const json_t *d = json_array_get(done, i);
        CU_ASSERT_EQUAL(json_int(now, json_str(d, "key", ""), -1), json_int(d, "attempts", -2));
    }
    json_decref(now);
    json_decref(rows);
}

static void engine_faults__coordinator_and_workers_killed_at_any_time(void)
{
    struct made *calm = cells(8, "ok:10"), *wild = cells(8, "ok:10");
    struct engine_result r;
    TEST_OK(made_run(&r, calm, (struct engine_options){.jobs = 4, .seed = 1}));
    struct rng rng = rng_key(20261124, 0, 0, 0);
    json_t *done = json_array();
    int code = -1, kills = 0;
    for (int round = 0; round < 40 && code != 0; round++) {
        pid_t pid = coordinator(wild, 1 + (int)rng_below(&rng, 4), 0);
        if (round < 12) {
            nap_ms(10 + (int)rng_below(&rng, 120));
            int n;
            struct made_note *v = made_log(wild, &n);
            bool worker = n > 0 && rng_below(&rng, 2) && strcmp(v[n - 1].what, "start") == 0;
            if (worker) kill(v[n - 1].pid, SIGKILL); /* the youngest, most likely alive */
            if (worker) nap_ms((int)rng_below(&rng, 50));
            kill(pid, SIGKILL);
            free(v);
            kills++;
        }
        code = wait_for(pid);
        if (fs_exists(wild->db)) {
            struct store *s = NULL;
            struct status st = store_open(&s, (struct store_options){.path = wild->db, .read_only = true});
            store_close(s);
            if (st.code == STATUS_OK) { /* killed while it made the file: nothing is in it yet */
                check_not_repeated(wild, done);
                json_decref(done);
                done = made_rows(wild, "SELECT key, attempts FROM stages WHERE state = 'done'");
            }
        }
    }
    CU_ASSERT_EQUAL(code, 0);
    CU_ASSERT_TRUE(kills > 3);
    check_same(calm, wild);
    check_sound(wild);
    json_decref(done);
    made_free(calm);
    made_free(wild);
}

/* Waits until the coordinator has a stage under way, however busy the machine is. */
static void until_running(const struct made *m)
{
    for (int i = 0; i < 500; i++) {
        nap_ms(20);
        struct store *s = NULL;
        struct status st = store_open(&s, (struct store_options){.path = m->db, .read_only = true});
        store_close(s);
        if (st.code == STATUS_OK && made_int(m, "SELECT count(*) AS n FROM stages WHERE state = 'running'") > 0) return;
    }
    CU_FAIL("no stage started");
}

static void engine_faults__asked_to_stop_it_checkpoints_and_goes_on(void)
{
    struct made *m = cells(2, "ok:200");
    struct engine_result r;
    for (int round = 0; round < 2; round++) {
        pid_t pid = coordinator(m, 1, 0);
        until_running(m);
        kill(pid, SIGTERM);
        CU_ASSERT_EQUAL(wait_for(pid), STATUS_INTERRUPTED);
        CU_ASSERT_EQUAL(orphans(m), 0);
    }
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM trials WHERE state = 'interrupted'"), 1);
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 2}));
    CU_ASSERT_EQUAL(r.done, 2);
    check_sound(m);
    made_free(m);
}

static void engine_faults__asked_twice_it_kills(void)
{
    struct made *m = cells(1, "hang");
    pid_t pid = coordinator(m, 1, 0);
    until_running(m);
    kill(pid, SIGINT);
    nap_ms(100);
    CU_ASSERT_EQUAL(waitpid(pid, NULL, WNOHANG), 0); /* a hanging worker does not hear the first */
    kill(pid, SIGINT);
    CU_ASSERT_EQUAL(wait_for(pid), STATUS_INTERRUPTED);
    check_sound(m);
    made_free(m);
}

static void engine_faults__a_second_coordinator_is_told_who_runs(void)
{
    struct made *m = cells(1, "ok:100");
    struct engine_result r;
    pid_t pid = coordinator(m, 1, 0);
    until_running(m);
    char who[64];
    snprintf(who, sizeof who, "process %d on ", (int)pid);
    TEST_FAILS(made_run(&r, m, (struct engine_options){.jobs = 1}), STATUS_IO, who);
    kill(pid, SIGKILL);
    wait_for(pid);
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1}));
    CU_ASSERT_EQUAL(r.done, 1);
    made_free(m);
}

/* Waits until nothing more is stored, and something is: the coordinator stands still. */
static int64_t standstill(const struct made *m)
{
    const char *sql = "SELECT count(*) AS n FROM stages WHERE state = 'done'";
    int64_t last = -1, now = 0;
    int same = 0;
    for (int i = 0; i < 300 && same < 12; i++) {
        nap_ms(100);
        struct store *s = NULL;
        struct status st = store_open(&s, (struct store_options){.path = m->db, .read_only = true});
        store_close(s);
        if (st.code == STATUS_OK) now = made_int(m, sql);
        same = now == last && now > 0 ? same + 1 : 0;
        last = now;
    }
    return now;
}

static void engine_faults__a_full_disk_is_waited_for(void)
{
    struct made *calm = cells(12, "ok"), *full = cells(12, "ok");
    struct engine_result r;
    TEST_OK(made_run(&r, calm, (struct engine_options){.jobs = 2, .seed = 1}));
    /* No file may outgrow this: the journal hits it after some stages. */
    pid_t pid = coordinator(full, 2, 600000);
    int64_t before = standstill(full);
    CU_ASSERT_TRUE(before > 0 && before < 72);
    CU_ASSERT_EQUAL(waitpid(pid, NULL, WNOHANG), 0);
    prlimit(pid, RLIMIT_FSIZE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}, NULL); /* room again */
    CU_ASSERT_EQUAL(wait_for(pid), STATUS_OK);
    CU_ASSERT_EQUAL(made_int(full, "SELECT count(*) AS n FROM stages WHERE attempts > 1"), 0);
    check_same(calm, full);
    check_sound(full);
    made_free(calm);
    made_free(full);
}

static void engine_faults__a_full_disk_loses_nothing_stored(void)
{
    struct made *calm = cells(12, "ok"), *full = cells(12, "ok");
    struct engine_result r;
    TEST_OK(made_run(&r, calm, (struct engine_options){.jobs = 2, .seed = 1}));
    pid_t pid = coordinator(full, 2, 600000);
    int64_t before = standstill(full);
    kill(pid, SIGINT); /* whoever cannot make room stops it */
    CU_ASSERT_EQUAL(wait_for(pid), STATUS_DB);
    CU_ASSERT_TRUE(before > 0);
    TEST_OK(made_run(&r, full, (struct engine_options){.jobs = 2, .seed = 1}));
    CU_ASSERT_EQUAL(r.cached, before);
    check_same(calm, full);
    check_sound(full);
    made_free(calm);
    made_free(full);
}

/* Another program holds the database for longer than SQLite itself waits. */
static void engine_faults__a_locked_database_is_waited_for(void)
{
    struct made *m = cells(6, "ok:4");
    pid_t pid = coordinator(m, 1, 0);
    until_running(m);
    sqlite3 *db = NULL;
    CU_ASSERT_EQUAL_FATAL(sqlite3_open(m->db, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 2000);
    CU_ASSERT_EQUAL(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    int64_t before = made_int(m, "SELECT count(*) AS n FROM stages WHERE state = 'done'");
    nap_ms(4500);
    CU_ASSERT_EQUAL(waitpid(pid, NULL, WNOHANG), 0);
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM stages WHERE state = 'done'"), before);
    CU_ASSERT_EQUAL(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    CU_ASSERT_EQUAL(wait_for(pid), STATUS_OK);
    CU_ASSERT_TRUE(before < 36);
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM stages WHERE state = 'done' AND attempts = 1"), 36);
    check_sound(m);
    made_free(m);
}

static void engine_faults__a_missing_program_is_named(void)
{
    struct made *m = cells(1, "ok");
    struct store *s;
    struct engine_result r;
    TEST_OK(store_open(&s, (struct store_options){.path = m->db, .command = "test"}));
    struct engine_options o = {.plan = &m->plan, .store = s, .worker = "/nowhere/sweep-worker", .bench = "/nowhere/b"};
    TEST_FAILS(engine_run(&r, &o), STATUS_IO, "/nowhere/sweep-worker: cannot be started");
    store_close(s);
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1}));
    CU_ASSERT_EQUAL(r.done, 1);
    made_free(m);
}

static const struct test tests[] = {
    TEST(engine_faults__coordinator_and_workers_killed_at_any_time),
    TEST(engine_faults__asked_to_stop_it_checkpoints_and_goes_on),
    TEST(engine_faults__asked_twice_it_kills),
    TEST(engine_faults__a_second_coordinator_is_told_who_runs),
    TEST(engine_faults__a_full_disk_is_waited_for),
    TEST(engine_faults__a_full_disk_loses_nothing_stored),
    TEST(engine_faults__a_locked_database_is_waited_for),
    TEST(engine_faults__a_missing_program_is_named),
};

TEST_MAIN("engine faults", tests)
