/* Runs on a machine whose GPUs the fake driver library tells of: who gets which, and who waits. */
#include "inside.h"
#include "siege.h"

enum { MIB = 1 << 20 };

/* GPUs as the library shall tell them, and locks of our own. */
static void machine(const char *gpus)
{
    static char dir[400]; /* one: what is told may change while a run looks at it */
    char path[1200];
    if (!dir[0]) snprintf(dir, sizeof dir, "%s", test_dir());
    snprintf(path, sizeof path, "%s/gpus", dir);
    TEST_OK(fs_write(path, gpus, strlen(gpus)));
    setenv("FAKE_NVML", path, 1);
    setenv("SWEEP_GPU_LOCKS", dir, 1);
    snprintf(path, sizeof path, "%s/fake-nvml.so", test_build_dir());
    setenv("SWEEP_NVML", path, 1);
    unsetenv("CUDA_VISIBLE_DEVICES");
}

static const char *const two = "A 16384 16384 8.0\nB 16384 16384 8.0\n";

/* Trainings of @p steps times 5 ms, that are predicted to need so much memory. */
static struct made *trainings(int n, int steps, double mib)
{
    char act[40];
    struct made *m = made_new();
    snprintf(act, sizeof act, "steps:%d", steps);
    for (int i = 0; i < n; i++) made_trial(m, json_pack("{s:s}", "fake.train", act));
    for (int i = 0; i < m->plan.n_stages; i++) m->stages[i].cost.bytes[0] = mib * MIB;
    return m;
}

struct seen {
    int trainings, most[3], most_at_once; /* on the GPUs A, B, C */
    bool cpu;                             /* one trained without */
};

static bool on_gpu(const char *stage)
{
    return strcmp(stage, "train") == 0 || strcmp(stage, "evaluate") == 0 || strcmp(stage, "samples") == 0;
}

/* What was on each GPU at once, from the workers' own account. */
static struct seen look(const struct made *m)
{
    int n, now[3] = {0};
    struct seen s = {0};
    struct made_note *v = made_log(m, &n);
    for (int i = 0; i < n; i++) {
        bool start = strcmp(v[i].what, "start") == 0;
        if (!on_gpu(v[i].stage)) {
            CU_ASSERT_STRING_EQUAL(v[i].compute, "cpu");
            CU_ASSERT_STRING_EQUAL(v[i].gpu, "-");
            continue;
        }
        s.trainings += start && strcmp(v[i].stage, "train") == 0;
        if (strcmp(v[i].compute, "cuda") != 0) {
            s.cpu = true;
            CU_ASSERT_STRING_EQUAL(v[i].gpu, "-");
            continue;
        }
        int g = v[i].gpu[4] - 'A', all = 0;
        CU_ASSERT_TRUE_FATAL(strncmp(v[i].gpu, "GPU-", 4) == 0 && g >= 0 && g < 3 && !v[i].gpu[5]);
        now[g] += start ? 1 : -1;
        if (now[g] > s.most[g]) s.most[g] = now[g];
        for (int k = 0; k < 3; k++) all += now[k];
        if (all > s.most_at_once) s.most_at_once = all;
    }
    free(v);
    return s;
}

static void engine_place__shares_gpus_by_these_rules(void)
{
    static const struct {
        const char *gpus, *visible, *asked, *slots;
        int jobs;
        double mib;
        struct seen seen;
    } cases[] = {
        /* one a GPU, and as many workers as GPUs */
        {"A 16384 16384 8.0\nB 16384 16384 8.0\n", NULL, NULL, NULL, 0, 2048, {6, {1, 1, 0}, 2, false}},
        {"A 16384 16384 8.0\nB 16384 16384 8.0\n", NULL, NULL, NULL, 4, 2048, {6, {1, 1, 0}, 2, false}},
        {"A 16384 16384 8.0\nB 16384 16384 8.0\n", NULL, "1", NULL, 4, 2048, {6, {0, 1, 0}, 1, false}},
        {"A 1 1 8.0\nB 1 1 8.0\nC 1 1 8.0\n", "2,GPU-A", "0", NULL, 4, 2048, {6, {0, 0, 1}, 1, false}},
        {"A 16384 16384 8.0\n", NULL, "none", NULL, 2, 2048, {6, {0, 0, 0}, 0, true}},
        {"A 16384 16384 8.0\n", "", NULL, NULL, 2, 2048, {6, {0, 0, 0}, 0, true}},
        /* several, as memory allows: 2.6 GiB each with what a process needs; a margin of 0.8 */
        {"A 16384 16384 8.0\n", NULL, NULL, "3", 0, 2048, {6, {3, 0, 0}, 3, false}},
        {"A 16384 16384 8.0\n", NULL, NULL, "auto", 8, 2048, {6, {5, 0, 0}, 5, false}},
        {"A 16384 16384 8.0\n", NULL, NULL, "auto", 8, 8192, {6, {1, 0, 0}, 1, false}},
        {"A 16384 16384 8.0\nB 8192 8192 8.0\n", NULL, NULL, "auto", 8, 5000, {6, {2, 1, 0}, 3, false}},
        /* a stranger's memory: none is left on one; on the other there is some */
        {"A 16384 1000 8.0 1=15000\nB 16384 16384 8.0\n", NULL, NULL, NULL, 4, 2048, {6, {0, 1, 0}, 1, false}},
        {"A 16384 8000 8.0 1=8000\nB 16384 16384 8.0\n", NULL, NULL, NULL, 4, 2048, {6, {1, 1, 0}, 2, false}},
        {"A 16384 8000 8.0\n", NULL, NULL, "auto", 8, 2048, {6, {2, 0, 0}, 2, false}},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        struct engine_result r;
        machine(cases[i].gpus);
        if (cases[i].visible) setenv("CUDA_VISIBLE_DEVICES", cases[i].visible, 1);
        struct made *m = trainings(6, 10, cases[i].mib);
        log_set_level(LOG_ERROR);
        TEST_OK(made_run(
            &r, m, (struct engine_options){.jobs = cases[i].jobs, .gpus = cases[i].asked, .slots = cases[i].slots}));
        log_set_level(LOG_INFO);
        unsetenv("CUDA_VISIBLE_DEVICES");
        CU_ASSERT_EQUAL(r.done, 6);
        struct seen s = look(m), w = cases[i].seen;
        if (memcmp(s.most, w.most, sizeof s.most) != 0 || s.most_at_once != w.most_at_once || s.cpu != w.cpu ||
            s.trainings != w.trainings) {
            fprintf(stderr, "case %zu: %d trainings, at most %d, %d, %d on a GPU, %d at once\n", i, s.trainings,
                    s.most[0], s.most[1], s.most[2], s.most_at_once);
            CU_FAIL("placement");
        }
        int64_t placed = made_int(m, "SELECT count(*) AS n FROM stages WHERE json_extract(info, '$.gpu') LIKE 'GPU-_' "
                                     "AND length(json_extract(info, '$.gpu_name')) = 1");
        CU_ASSERT_EQUAL(placed, w.cpu ? 0 : 18);
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
        machine(cases[i].gpus);
        struct made *m = trainings(1, 1, 1);
        log_set_level(LOG_ERROR);
        TEST_FAILS(made_run(&r, m, (struct engine_options){.gpus = cases[i].asked, .slots = cases[i].slots}),
                   STATUS_ARG, cases[i].says);
        log_set_level(LOG_INFO);
        made_free(m);
    }
    machine("");
    setenv("SWEEP_NVML", "none.so", 1); /* no driver: a worker sees for itself */
    struct engine_result r;
    struct made *m = trainings(1, 1, 1);
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
    if (cores_list(ids, 2) < 2 || engine_cores() < 2 || cores_quota()) return; /* nothing to share */
    machine("");
    struct made *m = trainings(8, 10, 1);
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
    machine("");
    for (int beside = 0; beside < 2; beside++) {
        struct made *m = trainings(6, 40, 1);
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
    machine(two);
    for (int crowded = 0; crowded < 2; crowded++) {
        struct made *m = made_new();
        for (int i = 0; i < 4; i++)
            made_trial(m, json_pack("{s:s, s:i}", "fake.train", i ? "steps:60" : "oom-once:60", "train.batch", 8));
        for (int i = 0; i < m->plan.n_stages; i++) m->stages[i].cost.bytes[0] = MIB;
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
    machine("A 16384 16384 8.0\nB 16384 16384 8.0\n");
    struct made *first = trainings(1, 4000, 1), *second = trainings(3, 2, 1);
    struct engine_result r;
    pid_t pid = siege_coordinator(first, (struct engine_options){.jobs = 1}, 0);
    CU_ASSERT_TRUE(wait_until(trains, first));
    log_set_level(LOG_ERROR);
    TEST_OK(made_run(&r, second, (struct engine_options){.jobs = 2}));
    log_set_level(LOG_INFO);
    struct seen s = look(second);
    CU_ASSERT_TRUE(s.most[0] == 0 && s.most[1] == 1); /* the first one took A */

    /* Nothing is left of a lease whose holder was killed, and its worker with it. */
    CU_ASSERT_EQUAL(kill(pid, SIGKILL), 0);
    CU_ASSERT_EQUAL(siege_wait(pid), -SIGKILL);
    struct made *third = trainings(1, 2, 1);
    TEST_OK(made_run(&r, third, (struct engine_options){.jobs = 1, .gpus = "0"}));
    CU_ASSERT_EQUAL(look(third).most[0], 1);
    made_free(first);
    made_free(second);
    made_free(third);
}

/* A run that has no GPU waits for one that others leave, and trains on nothing else meanwhile. */
static void engine_place__waits_for_what_others_use(void)
{
    machine("A 16384 1000 8.0 1=15000\n");
    struct made *m = trainings(1, 2, 2048);
    pid_t pid = siege_coordinator(m, (struct engine_options){.jobs = 1}, 0);
    siege_nap_ms(300);
    CU_ASSERT_FALSE(trains(m));
    machine("A 16384 16384 8.0\n");
    CU_ASSERT_EQUAL(siege_wait(pid), STATUS_OK);
    CU_ASSERT_EQUAL(look(m).most[0], 1);

    machine("A 16384 1000 8.0 1=15000\n"); /* a stop is heard while it waits, too */
    struct made *stopped = trainings(1, 2, 2048);
    pid = siege_coordinator(stopped, (struct engine_options){.jobs = 1}, 0);
    siege_nap_ms(300);
    CU_ASSERT_EQUAL(kill(pid, SIGTERM), 0);
    CU_ASSERT_EQUAL(siege_wait(pid), STATUS_INTERRUPTED);
    made_free(m);
    made_free(stopped);
}

static const struct test tests[] = {
    TEST(engine_place__shares_gpus_by_these_rules),
    TEST(engine_place__says_what_it_cannot_give),
    TEST(engine_place__gives_cores),
    TEST(engine_place__measures_beside_when_told),
    TEST(engine_place__tells_the_neighbours_fault_from_its_own),
    TEST(engine_place__leaves_a_gpu_to_the_sweep_that_has_it),
    TEST(engine_place__waits_for_what_others_use),
};
TEST_MAIN("engine.place", tests)
