/* Processes that stay for the next run: how many there are, when one is replaced, and that none is left behind. */
#include "siege.h"

enum { TRIALS = 6, RUNS = 5 * TRIALS }; /* a trial's sixth is a measurement, which has a process of its own */

static struct made *some_trials(void)
{
    struct made *m = made_new();
    for (int i = 0; i < TRIALS; i++) made_trial(m, json_pack("{s:i, s:s}", "train.batch", 8, "fake.train", "ok:2"));
    return m;
}

static bool has(const int *v, int n, int pid)
{
    for (int i = 0; i < n; i++)
        if (v[i] == pid) return true;
    return false;
}

/* Processes that did measurements, or all else; each of the former did one run. */
static int processes(const struct made *m, bool measured)
{
    int n, found = 0, pids[1000];
    struct made_note *v = made_log(m, &n);
    for (int i = 0; i < n && found < 1000; i++) {
        if (strcmp(v[i].what, "start") != 0 || (strcmp(v[i].stage, "bench") == 0) != measured) continue;
        if (measured) CU_ASSERT_FALSE(has(pids, found, v[i].pid));
        if (!has(pids, found, v[i].pid)) pids[found++] = v[i].pid;
    }
    free(v);
    return found;
}

static struct made *ran(struct engine_options o)
{
    struct made *m = some_trials();
    struct engine_result r;
    setenv("SWEEP_TEST_SITE", m->dir, 1);
    TEST_OK(made_run(&r, m, o));
    CU_ASSERT_EQUAL(r.done, TRIALS);
    siege_check_sound(m);
    return m;
}

static void resident__one_process_does_run_after_run(void)
{
    struct made *m = ran((struct engine_options){.jobs = 1});
    CU_ASSERT_EQUAL(processes(m, false), 1);
    CU_ASSERT_EQUAL(processes(m, true), TRIALS);
    made_free(m);
}

static void resident__no_more_than_run_at_once(void)
{
    struct made *m = ran((struct engine_options){.jobs = 3, .measure_beside = true});
    CU_ASSERT_TRUE(processes(m, false) <= 3);
    CU_ASSERT_EQUAL(processes(m, true), TRIALS);
    made_free(m);
}

static void resident__fresh_is_a_process_a_run(void)
{
    struct made *m = ran((struct engine_options){.jobs = 1, .fresh = true}), *stayed = ran((struct engine_options){0});
    CU_ASSERT_EQUAL(processes(m, false), RUNS);
    siege_check_same(m, stayed);
    made_free(m);
    made_free(stayed);
}

/* One MiB a run; of a limit of 64 an eighth may be left. */
static void resident__a_leak_is_ended(void)
{
    static const struct {
        const char *mib;
        int least, most;
    } cases[] = {{"0", 1, 1}, {"1", 3, 5}};
    for (size_t i = 0; i < LEN(cases); i++) {
        setenv("FAKE_LEAK", cases[i].mib, 1);
        struct made *m = ran((struct engine_options){.jobs = 1, .bytes_limit = 64 << 20});
        int n = processes(m, false);
        CU_ASSERT_TRUE(n >= cases[i].least && n <= cases[i].most);
        if (n < cases[i].least || n > cases[i].most) fprintf(stderr, "leak of %s MiB: %d processes\n", cases[i].mib, n);
        CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM stages WHERE attempts > 1"), 0);
        made_free(m);
    }
    unsetenv("FAKE_LEAK");
}

/* Whatever ends badly ends its process, and the next try has a new one. */
static void resident__not_after_a_failure(void)
{
    static const char *const acts[] = {"crash-once", "garbage-once", "silent-once", "stop-once", "fail", "oom-once:1"};
    for (size_t i = 0; i < LEN(acts); i++) {
        struct made *m = made_new();
        struct engine_result r;
        for (int k = 0; k < 2; k++)
            made_trial(m, json_pack("{s:i, s:s}", "train.batch", 8, k ? "fake.none" : "fake.evaluate", acts[i]));
        setenv("SWEEP_TEST_SITE", m->dir, 1);
        TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1}));
        int n, bad = 0, after = 0;
        struct made_note *v = made_log(m, &n);
        for (int k = 0; k < n; k++) {
            if (strcmp(v[k].what, "start") != 0) continue;
            if (bad && v[k].pid == bad) after++;
            if (!bad && strcmp(v[k].stage, "evaluate") == 0) bad = v[k].pid;
        }
        CU_ASSERT_TRUE(bad > 0);
        CU_ASSERT_EQUAL(after, 0);
        free(v);
        siege_check_sound(m);
        made_free(m);
    }
}

static const struct test tests[] = {TEST(resident__one_process_does_run_after_run),
                                    TEST(resident__no_more_than_run_at_once), TEST(resident__fresh_is_a_process_a_run),
                                    TEST(resident__a_leak_is_ended), TEST(resident__not_after_a_failure)};

int main(int argc, char **argv)
{
    log_set_level(LOG_ERROR);
    return test_main("engine resident", tests, LEN(tests), argc, argv);
}
