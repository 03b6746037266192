/* Whatever is killed, and whenever: the next run goes on, and ends as an undisturbed one would have. */
#include "siege.h"
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>

static struct made *cells(int n, const char *act)
{
    struct made *m = made_new();
    for (int i = 0; i < n; i++) made_trial(m, json_pack("{s:s}", "fake.train", act));
    return m;
}

static pid_t coordinator(const struct made *m, int jobs, rlim_t file_limit)
{
    return siege_coordinator(m, (struct engine_options){.jobs = jobs, .seed = 1}, file_limit);
}

/* Waits until a worker trains and hears signals, and the database says so, however busy the machine is. */
static void until_training(const struct made *m)
{
    for (int i = 0; i < 1500; i++) {
        siege_nap_ms(20);
        int n;
        struct made_note *log = made_log(m, &n);
        bool trains = n && !strcmp(log[n - 1].stage, "train") && !strcmp(log[n - 1].what, "start");
        free(log);
        if (!trains || !siege_readable(m)) continue;
        if (made_int(m, "SELECT count(*) AS n FROM stages WHERE state = 'running' AND stage = 'train'") > 0) return;
    }
    CU_FAIL("no training started");
}

static void engine_faults__asked_to_stop_it_checkpoints_and_goes_on(void)
{
    struct made *m = cells(2, "ok:200");
    struct engine_result r;
    for (int round = 0; round < 2; round++) {
        pid_t pid = coordinator(m, 1, 0);
        until_training(m);
        kill(pid, SIGTERM);
        CU_ASSERT_EQUAL(siege_wait(pid), STATUS_INTERRUPTED);
        CU_ASSERT_EQUAL(siege_processes(m, NULL, NULL), 0);
    }
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM trials WHERE state = 'interrupted'"), 1);
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 2}));
    CU_ASSERT_EQUAL(r.done, 2);
    siege_check_sound(m);
    made_free(m);
}

static void engine_faults__asked_twice_it_kills(void)
{
    struct made *m = cells(1, "hang");
    pid_t pid = coordinator(m, 1, 0);
    until_training(m);
    kill(pid, SIGINT);
    siege_nap_ms(100);
    CU_ASSERT_EQUAL(waitpid(pid, NULL, WNOHANG), 0); /* a hanging worker does not hear the first */
    kill(pid, SIGINT);
    CU_ASSERT_EQUAL(siege_wait(pid), STATUS_INTERRUPTED);
    siege_check_sound(m);
    made_free(m);
}

static void engine_faults__a_second_coordinator_is_told_who_runs(void)
{
    struct made *m = cells(1, "ok:100");
    struct engine_result r;
    pid_t pid = coordinator(m, 1, 0);
    until_training(m);
    char who[64];
    snprintf(who, sizeof who, "process %d on ", (int)pid);
    TEST_FAILS(made_run(&r, m, (struct engine_options){.jobs = 1}), STATUS_IO, who);
    kill(pid, SIGKILL);
    siege_wait(pid);
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
        siege_nap_ms(100);
        if (siege_readable(m)) now = made_int(m, sql);
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
    CU_ASSERT_EQUAL(siege_wait(pid), STATUS_OK);
    CU_ASSERT_EQUAL(made_int(full, "SELECT count(*) AS n FROM stages WHERE attempts > 1"), 0);
    siege_check_same(calm, full);
    siege_check_sound(full);
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
    CU_ASSERT_EQUAL(siege_wait(pid), STATUS_DB);
    CU_ASSERT_TRUE(before > 0);
    TEST_OK(made_run(&r, full, (struct engine_options){.jobs = 2, .seed = 1}));
    CU_ASSERT_EQUAL(r.cached, before);
    siege_check_same(calm, full);
    siege_check_sound(full);
    made_free(calm);
    made_free(full);
}

/* Another program holds the database for longer than SQLite itself waits. */
static void engine_faults__a_locked_database_is_waited_for(void)
{
    struct made *m = cells(6, "ok:4");
    pid_t pid = coordinator(m, 1, 0);
    until_training(m);
    sqlite3 *db = NULL;
    CU_ASSERT_EQUAL_FATAL(sqlite3_open(m->db, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 2000);
    CU_ASSERT_EQUAL(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    int64_t before = made_int(m, "SELECT count(*) AS n FROM stages WHERE state = 'done'");
    siege_nap_ms(4500);
    CU_ASSERT_EQUAL(waitpid(pid, NULL, WNOHANG), 0);
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM stages WHERE state = 'done'"), before);
    CU_ASSERT_EQUAL(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    CU_ASSERT_EQUAL(siege_wait(pid), STATUS_OK);
    CU_ASSERT_TRUE(before < 36);
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM stages WHERE state = 'done' AND attempts = 1"), 36);
    siege_check_sound(m);
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

/* The lock of a worker that an earlier run left, as the worker holds it. */
static int left_over(const struct made *m, pid_t holder)
{
    char path[500], text[32];
    snprintf(path, sizeof path, "%s/locks", m->dir);
    TEST_OK(fs_mkdir(path));
    snprintf(path, sizeof path, "%s/locks/0", m->dir);
    snprintf(text, sizeof text, "%010d", (int)holder);
    TEST_OK(fs_write(path, text, strlen(text)));
    int fd = open(path, O_RDWR | O_CLOEXEC);
    CU_ASSERT_TRUE_FATAL(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
    return fd;
}

/* Who waits for an earlier run's worker stops at once when it is told to, and has begun nothing. */
static void engine_faults__waiting_for_an_earlier_run_can_be_stopped(void)
{
    static const int signals[] = {SIGINT, SIGTERM};
    for (size_t i = 0; i < LEN(signals); i++) {
        struct made *m = cells(1, "ok");
        pid_t holder = fork(); /* patient, and in a group of its own as a worker is */
        if (holder == 0) {
            setpgid(0, 0);
            for (;;) pause();
        }
        int n, lock = left_over(m, holder);
        pid_t pid = coordinator(m, 1, 0);
        for (int k = 0; k < 500 && !siege_readable(m); k++) siege_nap_ms(20);
        siege_nap_ms(500); /* it waits by now */
        double start = time_mono();
        kill(pid, signals[i]);
        CU_ASSERT_EQUAL(siege_wait(pid), STATUS_INTERRUPTED);
        CU_ASSERT_TRUE(time_mono() - start < 10); /* half its patience */
        free(made_log(m, &n));
        CU_ASSERT_EQUAL(n, 0);
        CU_ASSERT_EQUAL(waitpid(holder, NULL, WNOHANG), 0); /* and it was left alone */
        kill(holder, SIGKILL);
        siege_wait(holder);
        close(lock);
        struct engine_result r;
        TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1}));
        CU_ASSERT_EQUAL(r.done, 1);
        siege_check_sound(m);
        made_free(m);
    }
}

static void note_busy_gpus(void *ctx, const struct engine_event *e)
{
    if (e->kind == ENGINE_STOPPING) *(int *)ctx = e->totals->gpus_busy;
}

/* What was taken for a run that could not begin is given back, at whichever step that failed. */
static void engine_faults__a_run_that_cannot_begin_has_no_gpu(void)
{
    static const char *const in_the_way[] = {"trials/000000000000/logs", "cache"}; /* a file where a folder is to be */
    for (size_t i = 0; i < LEN(in_the_way); i++) {
        struct made *m = cells(1, "ok");
        struct engine_result r;
        char path[1200];
        int busy = -1;
        snprintf(path, sizeof path, "%s/trials/000000000000", m->dir);
        TEST_OK(fs_mkdir(path));
        snprintf(path, sizeof path, "%s/%s", m->dir, in_the_way[i]);
        TEST_OK(fs_write(path, "", 0));
        snprintf(path, sizeof path, "%s/gpus", m->dir);
        TEST_OK(fs_write(path, "A 16384 16384 8.0\n", 18));
        setenv("FAKE_NVML", path, 1);
        setenv("SWEEP_GPU_LOCKS", m->dir, 1);
        snprintf(path, sizeof path, "%s/fake-nvml.so", test_build_dir());
        setenv("SWEEP_NVML", path, 1);
        unsetenv("CUDA_VISIBLE_DEVICES");
        TEST_FAILS(made_run(&r, m, (struct engine_options){.jobs = 1, .on_event = note_busy_gpus, .ctx = &busy}),
                   STATUS_IO, in_the_way[i]);
        CU_ASSERT_EQUAL(busy, 0);
        unsetenv("SWEEP_NVML");
        unsetenv("SWEEP_GPU_LOCKS");
        made_free(m);
    }
}

/* A worker that is not believed any more is not waited for: this one would stay until it is killed. */
static void engine_faults__nonsense_ends_its_worker_at_once(void)
{
    struct made *m = cells(1, "malformed-stays");
    struct engine_result r;
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1, .stage_s = 20}));
    CU_ASSERT_TRUE(r.seconds < 20); /* both tries of it */
    CU_ASSERT_EQUAL(r.failed, 1);
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM stages WHERE stage = 'train' AND attempts = 2 AND "
                                "reason LIKE '%expected an object `values`%' AND "
                                "json_extract(info, '$.ended_by') = 'nonsense'"),
                    1);
    made_free(m);
}

/* The limit is of all that a worker's run holds, not of its first process alone. */
static void engine_faults__memory_of_what_a_worker_starts_counts(void)
{
    static const char *const acts[] = {"leak-child", "leak-orphan"};
    struct made *m = made_new();
    struct engine_result r;
    for (size_t i = 0; i < LEN(acts); i++) made_trial(m, json_pack("{s:s}", "fake.evaluate", acts[i]));
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1, .bytes_limit = 100 << 20, .stage_s = 20}));
    CU_ASSERT_EQUAL(r.failed, (int)LEN(acts));
    json_t *rows = made_rows(m, "SELECT reason FROM stages WHERE stage = 'evaluate' AND "
                                "json_extract(info, '$.ended_by') = 'out_of_memory'");
    CU_ASSERT_EQUAL(json_array_size(rows), LEN(acts));
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const char *why = json_str(json_array_get(rows, i), "reason", "");
        CU_ASSERT_PTR_NOT_NULL(strstr(why, "with the processes that it started, over the limit of 100 MiB"));
    }
    json_decref(rows);
    made_free(m);
}

/* So many descriptors more than there are when all is ready to start. */
static void few_descriptors(void *ctx, const struct engine_event *e)
{
    struct rlimit limit;
    if (e->kind != ENGINE_START) return;
    int next = dup(STDIN_FILENO);
    close(next);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = (rlim_t)(next + *(const int *)ctx);
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* A worker without its job would take the coordinator's own input for it: whichever descriptor is the one too many,
 * the run says so, and no worker fails. */
static void engine_faults__no_worker_starts_without_its_job(void)
{
    enum { ENDED_OTHERWISE, FAILED_WORKER, SAID_SO };
    int said_so = 0;
    for (int more = 4; more < 16; more++) {
        struct made *m = cells(1, "ok");
        pid_t pid = fork(); /* the limit is its own */
        if (pid == 0) {
            struct engine_result r = {0};
            struct status st =
                made_run(&r, m, (struct engine_options){.jobs = 1, .on_event = few_descriptors, .ctx = &more});
            _exit(strstr(st.msg, "ulimit -n") ? SAID_SO : r.failed ? FAILED_WORKER : ENDED_OTHERWISE);
        }
        int how = siege_wait(pid);
        CU_ASSERT_NOT_EQUAL(how, FAILED_WORKER);
        said_so += how == SAID_SO;
        made_free(m);
    }
    CU_ASSERT_TRUE(said_so > 0);
}

static const struct test tests[] = {
    TEST(engine_faults__asked_to_stop_it_checkpoints_and_goes_on),
    TEST(engine_faults__asked_twice_it_kills),
    TEST(engine_faults__a_second_coordinator_is_told_who_runs),
    TEST(engine_faults__a_full_disk_is_waited_for),
    TEST(engine_faults__a_full_disk_loses_nothing_stored),
    TEST(engine_faults__a_locked_database_is_waited_for),
    TEST(engine_faults__a_missing_program_is_named),
    TEST(engine_faults__waiting_for_an_earlier_run_can_be_stopped),
    TEST(engine_faults__a_run_that_cannot_begin_has_no_gpu),
    TEST(engine_faults__nonsense_ends_its_worker_at_once),
    TEST(engine_faults__memory_of_what_a_worker_starts_counts),
    TEST(engine_faults__no_worker_starts_without_its_job),
};

TEST_MAIN("engine faults", tests)
