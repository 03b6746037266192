/* Runs on a machine whose GPUs the fake driver library tells of: who gets which, and who waits. */
#include "gpus.h"
#include "inside.h"
#include "siege.h"
#include <fcntl.h>

static bool on_gpu(const char *stage)
{
    return strcmp(stage, "train") == 0 || strcmp(stage, "evaluate") == 0 || strcmp(stage, "samples") == 0;
}

/* Leases by GPU as the coordinator tells of them: a slow machine does not change these. */
struct leases {
    int now[3], most[3], all, most_at_once;
};

static void count(void *ctx, const struct engine_event *ev)
{
    struct leases *l = ctx;
    if (!ev->stage || ev->gpu < 0 || ev->gpu > 2) return;
    int change = ev->kind == ENGINE_STAGE_START ? 1 : ev->kind == ENGINE_STAGE_END ? -1 : 0, *now = &l->now[ev->gpu];
    *now += change;
    l->all += change;
    if (*now > l->most[ev->gpu]) l->most[ev->gpu] = *now;
    if (l->all > l->most_at_once) l->most_at_once = l->all;
}

/* The same from the workers' own account: names of the GPUs that they saw into @p names. */
static struct leases look(char names[4], const struct made *m)
{
    int n;
    struct leases l = {.all = 0};
    bool used[3] = {false};
    struct made_note *v = made_log(m, &n);
    for (int i = 0; i < n; i++) {
        const char *compute = on_gpu(v[i].stage) && strcmp(v[i].gpu, "-") != 0 ? "cuda" : "cpu";
        CU_ASSERT_STRING_EQUAL(v[i].compute, compute);
        int g = v[i].gpu[0] == '-' ? -1 : v[i].gpu[4] - 'A', now = 0;
        if (g < 0) continue;
        CU_ASSERT_TRUE_FATAL(strncmp(v[i].gpu, "GPU-", 4) == 0 && g < 3 && !v[i].gpu[5]);
        l.now[g] += strcmp(v[i].what, "start") == 0 ? 1 : -1;
        used[g] = true;
        if (l.now[g] > l.most[g]) l.most[g] = l.now[g];
        for (int k = 0; k < 3; k++) now += l.now[k];
        if (now > l.most_at_once) l.most_at_once = now;
    }
    for (int k = 0; k < 3; k++)
        if (used[k]) *names++ = (char)('A' + k);
    *names = 0;
    free(v);
    return l;
}

static void engine_place__shares_gpus_by_these_rules(void)
{
    static const struct {
        const char *gpus, *visible, *asked, *slots;
        int jobs;
        double mib;
        const char *names;
        int most[3], at_once;
    } cases[] = {
        /* one a GPU, and as many workers as GPUs */
        {"A 16384 16384 8.0\nB 16384 16384 8.0\n", NULL, NULL, "1", 0, 2048, "AB", {1, 1, 0}, 2},
        {"A 16384 16384 8.0\nB 16384 16384 8.0\n", NULL, NULL, "1", 4, 2048, "AB", {1, 1, 0}, 2},
        {"A 16384 16384 8.0\nB 16384 16384 8.0\n", NULL, "1", "1", 4, 2048, "B", {0, 1, 0}, 1},
        {"A 1 1 8.0\nB 1 1 8.0\nC 1 1 8.0\n", "2,GPU-A", "0", "1", 4, 2048, "C", {1, 0, 0}, 1},
        {"A 16384 16384 8.0\n", NULL, "none", "1", 2, 2048, "", {0, 0, 0}, 0},
        {"A 16384 16384 8.0\n", "", NULL, "1", 2, 2048, "", {0, 0, 0}, 0},
        /* several, as memory allows: 2.6 GiB each with what a process needs; a margin of 0.8 */
        {"A 16384 16384 8.0\n", NULL, NULL, "3", 0, 2048, "A", {3, 0, 0}, 3},
        {"A 16384 16384 8.0\n", NULL, NULL, "auto", 8, 2048, "A", {5, 0, 0}, 5}, /* four trainings, and a stage beside
                                                                                  */
        {"A 16384 16384 8.0\n", NULL, NULL, NULL, 8, 2048, "A", {5, 0, 0}, 5},   /* auto */
        {"A 16384 16384 8.0\n", NULL, NULL, "auto", 8, 8192, "A", {1, 0, 0}, 1},
        {"A 16384 16384 8.0\nB 8192 8192 8.0\n", NULL, NULL, "auto", 8, 5000, "AB", {2, 1, 0}, 3},
        {"A 16384 16384 8.0 exclusive\n", NULL, NULL, "auto", 8, 2048, "A", {1, 0, 0}, 1},
        /* a stranger's memory: none is left on one; on the other there is some */
        {"A 16384 1000 8.0 1=15000\nB 16384 16384 8.0\n", NULL, NULL, "1", 4, 2048, "B", {0, 1, 0}, 1},
        {"A 16384 8000 8.0 1=8000\nB 16384 16384 8.0\n", NULL, NULL, "1", 4, 2048, "AB", {1, 1, 0}, 2},
        {"A 16384 8000 8.0\n", NULL, NULL, "auto", 8, 2048, "A", {2, 0, 0}, 2},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        struct engine_result r;
        struct leases told = {.all = 0};
        char names[4];
        gpus_machine(cases[i].gpus);
        if (cases[i].visible) setenv("CUDA_VISIBLE_DEVICES", cases[i].visible, 1);
        struct made *m = gpus_trainings(6, 5, cases[i].mib);
        log_set_level(LOG_ERROR);
        TEST_OK(made_run(&r, m,
                         (struct engine_options){.jobs = cases[i].jobs,
                                                 .gpus = cases[i].asked,
                                                 .slots = cases[i].slots,
                                                 .on_event = count,
                                                 .ctx = &told}));
        log_set_level(LOG_INFO);
        unsetenv("CUDA_VISIBLE_DEVICES");
        CU_ASSERT_EQUAL(r.done, 6);
        struct leases seen = look(names, m);
        if (memcmp(told.most, cases[i].most, sizeof told.most) != 0 || told.most_at_once != cases[i].at_once ||
            strcmp(names, cases[i].names) != 0) {
            fprintf(stderr, "case %zu: at most %d, %d, %d on a GPU, %d at once; they saw \"%s\"\n", i, told.most[0],
                    told.most[1], told.most[2], told.most_at_once, names);
            CU_FAIL("placement");
        }
        CU_ASSERT_TRUE(seen.most_at_once <= told.most_at_once);
        for (int k = 0; !cases[i].visible && k < 3; k++) CU_ASSERT_TRUE(seen.most[k] <= told.most[k]);
        int64_t placed = made_int(m, "SELECT count(*) AS n FROM stages WHERE json_extract(info, '$.gpu') LIKE 'GPU-_' "
                                     "AND length(json_extract(info, '$.gpu_name')) = 1");
        CU_ASSERT_EQUAL(placed, names[0] ? 12 : 0);
        made_free(m);
    }
}

/* Forecast to need so much that two fit, seen to hold so little that five do. */
static void engine_place__lets_in_by_what_the_first_ones_hold(void)
{
    struct engine_result r;
    struct leases told = {.all = 0};
    gpus_machine("A 16384 16384 8.0\n");
    struct made *m = gpus_trainings(8, 60, 6000);
    for (int i = 0; i < m->plan.n_trials; i++) json_object_set_new(m->configs[i], "fake.gpu_mib", json_integer(2048));
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 5, .slots = "5", .on_event = count, .ctx = &told}));
    CU_ASSERT_EQUAL(r.done, 8);
    CU_ASSERT_EQUAL(told.most[0], 5);
    made_free(m);
}

/* What is passed over is told, once, however often it is looked at. */
static void engine_place__says_what_it_leaves_out(void)
{
    static const struct {
        const char *gpus, *says;
    } cases[] = {
        {"A 16384 1000 8.0 1=15000\nB 16384 16384 8.0\n",
         "GPU 0 (A): others use 15.0 of 16.0 GiB, and about 2.6 are needed"},
        {"A 16384 16000 8.0 exclusive 1=300\nB 16384 16384 8.0\n", "GPU 0 (A): it takes one process at a time"},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        struct engine_result r;
        char path[500], *text = NULL;
        gpus_machine(cases[i].gpus);
        struct made *m = gpus_trainings(3, 5, 2048);
        snprintf(path, sizeof path, "%s/stderr", m->dir);
        int keep = dup(STDERR_FILENO), file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        dup2(file, STDERR_FILENO);
        struct status st = made_run(&r, m, (struct engine_options){.jobs = 3, .slots = "1"});
        dup2(keep, STDERR_FILENO);
        close(keep);
        close(file);
        TEST_OK(st);
        TEST_OK(fs_read(&text, NULL, path));
        const char *at = strstr(text, cases[i].says);
        CU_ASSERT_PTR_NOT_NULL(at);
        CU_ASSERT_PTR_NULL(at ? strstr(at + 1, "GPU 0") : NULL);
        free(text);
        made_free(m);
    }
}

static void engine_place__says_what_it_cannot_give(void)
{
    static const struct {
        const char *gpus, *asked, *slots, *says;
    } cases[] = {
        {"A 1 1 8.0\n", "1", NULL, "--gpus: got 1, but there is only 1 (0 to 0)"},
        {"A 1 1 8.0\n", "A", NULL, "--gpus: got \"A\", expected all, none"},
        {"A 1 1 8.0\n", NULL, "0", "--slots: got \"0\""},
        {"", "0", NULL, "there is no GPU: the driver or CUDA_VISIBLE_DEVICES names none"},
        {"fail start 9\n", "0", NULL, "there is no GPU:"},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        struct engine_result r;
        gpus_machine(cases[i].gpus);
        struct made *m = gpus_trainings(1, 1, 1);
        log_set_level(LOG_ERROR);
        TEST_FAILS(made_run(&r, m, (struct engine_options){.gpus = cases[i].asked, .slots = cases[i].slots}),
                   STATUS_ARG, cases[i].says);
        log_set_level(LOG_INFO);
        made_free(m);
    }
    gpus_machine("");
    setenv("SWEEP_NVML", "none.so", 1); /* no driver: a worker sees for itself */
    struct engine_result r;
    struct made *m = gpus_trainings(1, 1, 1);
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1}));
    int n;
    struct made_note *v = made_log(m, &n);
    CU_ASSERT_TRUE_FATAL(n > 0);
    CU_ASSERT_STRING_EQUAL(v[0].compute, "auto");
    free(v);
    made_free(m);
}

/* Each worker has cores that no other at that moment has, and together they have all. */
static void engine_place__gives_cores(void)
{
    struct engine_result r;
    int ids[2];
    if (cores_list(ids, 2) < 2 || cores_usable() < 2 || cores_quota()) {
        test_skip("one core, or a quota: there are no cores to share");
        return;
    }
    gpus_machine("");
    struct made *m = gpus_trials(8, 10, 1, 6);
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 2}));
    int n;
    struct made_note *v = made_log(m, &n);
    char other[200] = "";
    for (int i = 0; i < n; i++) {
        bool measures = strcmp(v[i].stage, "bench") == 0;
        if (!other[0] || strcmp(v[i].cores, other) != 0) {
            /* A share shares no core with the one before; a measurement has them all. */
            char mine[220], theirs[220], *p = mine;
            snprintf(mine, sizeof mine, "%s,", v[i].cores);
            snprintf(theirs, sizeof theirs, ",%s,", other);
            for (char *comma; !measures && other[0] && (comma = strchr(p, ',')); p = comma + 1) {
                char core[32];
                snprintf(core, sizeof core, ",%.*s,", (int)(comma - p), p);
                CU_ASSERT_PTR_NULL(strstr(theirs, core));
            }
            if (!measures) snprintf(other, sizeof other, "%s", v[i].cores);
        }
    }
    free(v);
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(DISTINCT json_extract(info, '$.worker_cores')) AS n FROM stages"), 2);
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM stages WHERE stage = 'bench' AND "
                                "json_extract(info, '$.worker_cores') IS NOT NULL"),
                    0);
    made_free(m);
}

/* Measurements beside training, when that is allowed, and their rows say so. */
static void engine_place__measures_beside_when_told(void)
{
    struct engine_result r;
    gpus_machine("");
    for (int beside = 0; beside < 2; beside++) {
        struct made *m = gpus_trials(6, 40, 1, 6);
        TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 3, .measure_beside = beside}));
        CU_ASSERT_EQUAL(r.done, 6);
        int64_t busy = made_int(m, "SELECT sum(busy) AS n FROM latencies");
        CU_ASSERT_TRUE(beside ? busy > 0 : busy == 0);
        int n, measuring = 0;
        struct made_note *v = made_log(m, &n);
        for (int i = 0; i < n; i++) {
            if (strcmp(v[i].stage, "bench") != 0) continue;
            measuring += strcmp(v[i].what, "start") == 0 ? 1 : -1;
            CU_ASSERT_TRUE(measuring <= 1);
        }
        free(v);
        made_free(m);
    }
}

/* A training that has no memory beside another tries once with the GPU for itself, and only then fewer images. */
static void engine_place__tells_the_neighbours_fault_from_its_own(void)
{
    struct engine_result r;
    gpus_machine(gpus_two);
    for (int crowded = 0; crowded < 2; crowded++) {
        struct made *m = made_new();
        for (int i = 0; i < 4; i++)
            made_trial(m, json_pack("{s:s, s:i}", "fake.train", i ? "steps:60" : "oom-once:60", "train.batch", 8));
        for (int i = 0; i < m->plan.n_stages; i++) m->stages[i].cost.bytes[0] = 1 << 20;
        log_set_level(LOG_ERROR);
        TEST_OK(made_run(&r, m, (struct engine_options){.slots = crowded ? "2" : "1"}));
        log_set_level(LOG_INFO);
        CU_ASSERT_EQUAL(r.done, 4);
        CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM stages WHERE json_extract(info, '$.micro_batch') > 0") >
                            0,
                        !crowded);
        made_free(m);
    }
}

/* ---- two sweeps on one machine ----------------------------------------------------------------------------------- */

/* Waits for an event, at most so long; a test that waits in vain fails. */
static bool wait_until(bool (*holds)(const void *), const void *ctx)
{
    for (int i = 0; i < 3000; i++) {
        if (holds(ctx)) return true;
        siege_nap_ms(10);
    }
    return false;
}

static bool begun(const void *ctx)
{
    char path[500];
    snprintf(path, sizeof path, "%s/begun", ((const struct made *)ctx)->dir);
    return fs_exists(path);
}

static void begin(void *ctx, const struct engine_event *ev)
{
    char path[500];
    snprintf(path, sizeof path, "%s/begun", ((const struct made *)ctx)->dir);
    if (ev->kind == ENGINE_START) TEST_OK(fs_write(path, "", 0));
}

static bool trains(const void *ctx)
{
    int n;
    struct made_note *v = made_log(ctx, &n);
    bool found = false;
    for (int i = 0; i < n; i++) found = found || strcmp(v[i].stage, "train") == 0;
    free(v);
    return found;
}

static void engine_place__leaves_a_gpu_to_the_sweep_that_has_it(void)
{
    gpus_machine("A 16384 16384 8.0\nB 16384 16384 8.0\n");
    struct made *first = gpus_trainings(1, 100000, 1), *second = gpus_trials(3, 2, 1, 6);
    struct engine_result r;
    pid_t pid = siege_coordinator(first, (struct engine_options){.jobs = 1}, 0);
    CU_ASSERT_TRUE(wait_until(trains, first));
    log_set_level(LOG_ERROR);
    TEST_OK(made_run(&r, second, (struct engine_options){.jobs = 2}));
    log_set_level(LOG_INFO);
    char names[4];
    look(names, second);
    CU_ASSERT_STRING_EQUAL(names, "B"); /* the first one has A */

    /* Nothing is left of a lease whose holder was killed, and its worker with it. */
    CU_ASSERT_EQUAL(kill(pid, SIGKILL), 0);
    CU_ASSERT_EQUAL(siege_wait(pid), -SIGKILL);
    struct made *third = gpus_trainings(1, 2, 1);
    TEST_OK(made_run(&r, third, (struct engine_options){.jobs = 1, .gpus = "0"}));
    look(names, third);
    CU_ASSERT_STRING_EQUAL(names, "A");
    made_free(first);
    made_free(second);
    made_free(third);
}

/* A run that has no GPU waits for one that others leave, and trains on nothing else meanwhile. */
static void engine_place__waits_for_what_others_use(void)
{
    char names[4];
    for (int stop = 0; stop < 2; stop++) { /* a stop is heard while it waits, too */
        gpus_machine("A 16384 1000 8.0 1=15000\n");
        struct made *m = gpus_trainings(1, 2, 2048);
        pid_t pid = siege_coordinator(m, (struct engine_options){.jobs = 1, .on_event = begin, .ctx = m}, 0);
        CU_ASSERT_TRUE(wait_until(begun, m));
        siege_nap_ms(100);
        CU_ASSERT_FALSE(trains(m));
        if (!stop) gpus_machine("A 16384 16384 8.0\n");
        CU_ASSERT_TRUE(!stop || kill(pid, SIGTERM) == 0);
        CU_ASSERT_EQUAL(siege_wait(pid), stop ? STATUS_INTERRUPTED : STATUS_OK);
        look(names, m);
        CU_ASSERT_STRING_EQUAL(names, stop ? "" : "A");
        made_free(m);
    }
}

static const struct test tests[] = {
    TEST(engine_place__shares_gpus_by_these_rules),
    TEST(engine_place__lets_in_by_what_the_first_ones_hold),
    TEST(engine_place__says_what_it_leaves_out),
    TEST(engine_place__says_what_it_cannot_give),
    TEST(engine_place__gives_cores),
    TEST(engine_place__measures_beside_when_told),
    TEST(engine_place__tells_the_neighbours_fault_from_its_own),
    TEST(engine_place__leaves_a_gpu_to_the_sweep_that_has_it),
    TEST(engine_place__waits_for_what_others_use),
};
TEST_MAIN("engine.place", tests)
