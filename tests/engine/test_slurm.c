/* The rules of sweeps on a cluster: buckets, arrays, claims, words; claims as files, under a race. */
#include "slurm_inside.h"
#include "test.h"
#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

static const double gib = 1073741824.0;

static void engine_slurm__buckets_by_memory_and_time(void)
{
    static const struct {
        struct slurm_cell cells[4];
        int n;
        struct spec_slurm ask;
        int of[4], n_buckets;
        int64_t gib;   /* of the first bucket */
        double time_s; /* of the first bucket */
        int tasks;
    } rows[] = {
        /* alike: one bucket; a gigabyte, and an hour, at least; a task each */
        {{{60, 1e8}, {90, 2e8}, {30, 1e8}}, 3, {0}, {0, 0, 0}, 1, 1, 3600, 3},
        /* half as much again, and a power of two */
        {{{60, 3e9}}, 1, {0}, {0}, 1, 8, 3600, 1},
        {{{60, 0.4 * 1073741824}, {60, 0.6 * 1073741824}}, 2, {0}, {0, 1}, 2, 1, 3600, 1},
        /* classes of time: ten minutes, an hour, ...; three times the longest and ten minutes more */
        {{{600, 1e8}, {601, 1e8}, {3600, 1e8}, {86401, 1e8}}, 4, {0}, {0, 1, 1, 2}, 3, 1, 3600, 1},
        {{{7200, 1e8}}, 1, {0}, {0}, 1, 1, 22200, 1},
        /* no longer than asked, and a day where nothing is asked */
        {{{7200, 1e8}}, 1, {.time_s = 1800}, {0}, 1, 1, 1800, 1},
        {{{80000, 1e8}}, 1, {0}, {0}, 1, 1, 86400, 1},
        {{{80000, 1e8}}, 1, {.time_s = 172800 * 2}, {0}, 1, 1, 240600, 1},
        /* one memory for all */
        {{{60, 1e8}, {60, 9e9}}, 2, {.bytes = INT64_C(3) << 30}, {0, 0}, 1, 3, 3600, 2},
        /* no more tasks than run at once, unless the work fills more */
        {{{60, 1e8}, {60, 1e8}, {60, 1e8}}, 3, {.array_width = 2}, {0, 0, 0}, 1, 1, 3600, 2},
        {{{60, 1e8}}, 1, {.array_width = 16}, {0}, 1, 1, 3600, 1},
        {{{3000, 1e8}, {3000, 1e8}, {3000, 1e8}}, 3, {.array_width = 1, .time_s = 3600}, {0, 0, 0}, 1, 1, 3600, 3},
        {{{0, 0}}, 0, {0}, {0}, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct slurm_bucket b[SLURM_MAX_BUCKETS] = {{0}};
        int of[4] = {0}, n = slurm_buckets(b, of, rows[i].cells, rows[i].n, &rows[i].ask), total = 0;
        CU_ASSERT_EQUAL(n, rows[i].n_buckets);
        for (int k = 0; k < rows[i].n; k++) CU_ASSERT_EQUAL(of[k], rows[i].of[k]);
        for (int k = 0; k < n; k++) total += b[k].n;
        CU_ASSERT_EQUAL(total, rows[i].n);
        if (b[0].bytes != (int64_t)((double)rows[i].gib * gib) || b[0].time_s != rows[i].time_s ||
            b[0].tasks != rows[i].tasks) {
            fprintf(stderr, "row %zu: %lld bytes, %g s, %d tasks\n", i, (long long)b[0].bytes, b[0].time_s, b[0].tasks);
            CU_FAIL("bucket");
        }
    }
}

/* Whatever cells there are, nothing is asked for that is less than what was predicted. */
static void engine_slurm__a_bucket_has_room_for_its_cells(void)
{
    enum { N = 2000 };
    struct slurm_bucket b[SLURM_MAX_BUCKETS];
    static struct slurm_cell cells[N];
    static int of[N];
    struct rng r = rng_key(7, 0, 0, 0);
    for (int i = 0; i < N; i++) cells[i] = (struct slurm_cell){exp(rng_range(&r, 0, 14)), exp(rng_range(&r, 15, 29))};
    const struct spec_slurm none = {0};
    int n = slurm_buckets(b, of, cells, N, &none);
    CU_ASSERT_TRUE(n > 10 && n <= SLURM_MAX_BUCKETS);
    for (int i = 0; i < N; i++) {
        CU_ASSERT_TRUE((double)b[of[i]].bytes >= cells[i].bytes);
        CU_ASSERT_TRUE(b[of[i]].longest >= cells[i].seconds);
    }
}

static void engine_slurm__arrays_within_the_limit(void)
{
    static const struct {
        int tasks, most, sizes[4];
    } rows[] = {{12, 8, {8, 4, 0}}, {8, 8, {8, 0}}, {1, 1001, {1, 0}}, {2003, 1001, {1001, 1001, 1, 0}},
                {0, 8, {0}},        {5, 0, {0}},    {2, 1, {1, 1, 0}}};
    for (size_t i = 0; i < LEN(rows); i++)
        for (int k = 0; k < 3; k++) CU_ASSERT_EQUAL(slurm_split(rows[i].tasks, rows[i].most, k), rows[i].sizes[k]);
}

static void engine_slurm__texts_of_slurm(void)
{
    static const struct {
        double s;
        const char *text;
    } times[] = {{60, "0-00:01:00"}, {61, "0-00:02:00"}, {3600, "0-01:00:00"}, {90000, "1-01:00:00"}};
    for (size_t i = 0; i < LEN(times); i++) {
        char out[32];
        slurm_time(out, times[i].s);
        CU_ASSERT_STRING_EQUAL(out, times[i].text);
    }
    CU_ASSERT_EQUAL(slurm_max_array("MaxArraySize            = 1001\nMaxDBDMsgs = 20012\n"), 1001);
    CU_ASSERT_EQUAL(slurm_max_array("MaxArraySize = 0\n"), 0);
    CU_ASSERT_EQUAL(slurm_max_array("MaxJobCount = 5\n"), -1);
    CU_ASSERT_EQUAL(slurm_max_array("MaxArraySize = many\n"), -1);
    json_t *q = slurm_queue_of("12_3 RUNNING\n12_4 PENDING\n\n7 COMPLETING\nslurm_load_jobs error: x\nnonsense\n9\n");
    CU_ASSERT_EQUAL(json_object_size(q), 3);
    CU_ASSERT_STRING_EQUAL(json_str(q, "12_3", ""), "RUNNING");
    CU_ASSERT_STRING_EQUAL(json_str(q, "7", ""), "COMPLETING");
    json_decref(q);
    static const char *const said[][2] = {
        {"Batch job submission failed: Invalid partition name specified", "slurm.partition"},
        {"Invalid account or account/partition combination specified", "slurm.account"},
        {"Requested node configuration is not available", "slurm.mem"},
        {"Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)", "slurm.time"},
        {"sbatch: unrecognized option '--nonsense'", "slurm.extra"},
    };
    for (size_t i = 0; i < LEN(said); i++) CU_ASSERT_PTR_NOT_NULL(strstr(slurm_advice(said[i][0]), said[i][1]));
    CU_ASSERT_STRING_EQUAL(slurm_advice("something new"), "");
}

static void engine_slurm__a_claim_is_free_or_not(void)
{
    static const struct {
        const char *text; /* of the file */
        bool claim, free, free_unasked, ended;
    } rows[] = {
        /* by a job that lives, by one that is gone, by an earlier life of ours, by this one */
        {"{\"claim\":{\"job\":\"5_1\",\"restart\":0}}\n", true, false, false, false},
        {"{\"claim\":{\"job\":\"5_2\",\"restart\":0}}\n{\"do\":\"x\"}\n", true, true, false, false},
        {"{\"claim\":{\"job\":\"5_0\",\"restart\":1}}\n", true, true, true, false},
        {"{\"claim\":{\"job\":\"5_0\",\"restart\":2}}\n", true, false, false, false},
        /* left */
        {"{\"claim\":{\"job\":\"5_1\"}}\n{\"left\":{\"state\":\"interrupted\"}}\n", true, true, true, false},
        {"{\"claim\":{\"job\":\"5_2\"}}\n{\"left\":{\"state\":\"done\"}}\n", true, false, false, true},
        {"{\"claim\":{\"job\":\"5_2\"}}\n{\"left\":{\"state\":\"failed\"}}\n", true, false, false, true},
        {"{\"claim\":{\"job\":\"5_2\"}}\n{\"left\":{\"state\":\"done\"}}\n{\"do", true, false, false, true},
        {"{\"claim\":{\"job\":\"5_2\"}}\n{\"left\":{\"state\":\"do", true, true, false, false},
        /* known by the login node */
        {"{\"claim\":{\"job\":\"\",\"restart\":0}}\n{\"do\":1}\n", true, true, true, false},
        /* none */
        {"{\"claim\":{\"job\":\"5_1\"", false, false, false, false},
        {"{\"claim\":{\"job\":7}}\n", false, false, false, false},
        {"{\"claim\":[]}\n", false, false, false, false},
        {"not json\n", false, false, false, false},
        {"\n", false, false, false, false},
        {"", false, false, false, false},
    };
    json_t *alive = slurm_queue_of("5_0 RUNNING\n5_1 RUNNING\n");
    for (size_t i = 0; i < LEN(rows); i++) {
        struct slurm_claim c;
        size_t n = strlen(rows[i].text);
        bool claim = slurm_claim_of(&c, rows[i].text, n, rows[i].text, n);
        bool good = claim == rows[i].claim;
        if (claim) good = good && slurm_claim_free(&c, alive, "5_0", 2) == rows[i].free;
        if (claim) good = good && slurm_claim_free(&c, NULL, "5_0", 2) == rows[i].free_unasked;
        if (claim) good = good && slurm_ended(&c) == rows[i].ended;
        if (!good) {
            fprintf(stderr, "row %zu: %s\n", i, rows[i].text);
            CU_FAIL("claim");
        }
    }
    json_decref(alive);
}

static void engine_slurm__time_for_another_trial(void)
{
    static const struct {
        double left_s, trial_s;
        bool first, has;
    } rows[] = {{3600, 1000, false, true}, {1300, 1000, false, false}, {1370, 1000, false, true},
                {100, 1, false, false},    {180, 1, false, true},      {10, 99999, true, true}};
    for (size_t i = 0; i < LEN(rows); i++)
        CU_ASSERT_EQUAL(slurm_has_time(rows[i].left_s, rows[i].trial_s, rows[i].first), rows[i].has);
}

/* Eight processes want the same twenty trials at once: each trial is one's. */
static void engine_slurm__one_claims_a_trial(void)
{
    enum { TRIALS = 20, PROCESSES = 8 };
    char dir[400], path[500], id[CLAIM_ID];
    snprintf(dir, sizeof dir, "%s", test_dir());
    snprintf(path, sizeof path, "%s/journal", dir);
    TEST_OK(fs_mkdir(path));
    int won[2];
    CU_ASSERT_EQUAL_FATAL(pipe(won), 0);
    for (int p = 0; p < PROCESSES; p++) {
        if (fork()) continue;
        for (int t = 0; t < TRIALS; t++) {
            bool got = false;
            char job[16];
            snprintf(id, sizeof id, "%012x", t);
            snprintf(job, sizeof job, "1_%d", p);
            struct status st = claims_take(&got, dir, id, 1, job, 0);
            if (st.code != STATUS_OK || (got && write(won[1], "x", 1) != 1)) _exit(1);
        }
        _exit(0);
    }
    close(won[1]);
    char all[PROCESSES * TRIALS];
    ssize_t n, sum = 0;
    while ((n = read(won[0], all, sizeof all)) > 0) sum += n;
    close(won[0]);
    for (int p = 0, how; p < PROCESSES; p++) CU_ASSERT_TRUE(wait(&how) > 0 && how == 0);
    CU_ASSERT_EQUAL(sum, TRIALS);
    json_t *latest = NULL;
    struct slurm_claim c;
    TEST_OK(claims_list(&latest, dir));
    CU_ASSERT_EQUAL(json_object_size(latest), TRIALS); /* and nothing else lies there */
    CU_ASSERT_TRUE(claims_read(&c, dir, "000000000000", 1));
    CU_ASSERT_TRUE(strncmp(c.job, "1_", 2) == 0 && !c.left);
    TEST_OK(claims_leave(dir, "000000000000", 1, "done"));
    CU_ASSERT_TRUE(claims_read(&c, dir, "000000000000", 1) && slurm_ended(&c));
    CU_ASSERT_FALSE(claims_read(&c, dir, "000000000000", 2));
    json_decref(latest);
}

/* Stages that trials share are each part's own, and needs stay within the part. */
static void engine_slurm__a_part_is_a_plan_of_its_own(void)
{
    struct plan_stage stages[5] = {{.kind = PLAN_SCREEN, .trial = 0, .key = "s"},
                                   {.kind = PLAN_TRAIN, .trial = 0, .key = "a", .needs = {0}, .n_needs = 1},
                                   {.kind = PLAN_EVALUATE, .trial = 0, .key = "b", .needs = {1}, .n_needs = 1},
                                   {.kind = PLAN_TRAIN, .trial = 1, .key = "c", .needs = {0}, .n_needs = 1},
                                   {.kind = PLAN_EVALUATE, .trial = 1, .key = "d", .needs = {3}, .n_needs = 1}};
    int lists[2][3] = {{0, 1, 2}, {0, 3, 4}};
    struct plan_trial trials[2] = {{.id = "000000000000", .stages = lists[0], .n_stages = 3},
                                   {.id = "000000000001", .stages = lists[1], .n_stages = 3}};
    struct plan p = {.stages = stages, .n_stages = 5, .trials = trials, .n_trials = 2};
    struct slurm_part part;
    slurm_part_make(&part, &p, 1, false);
    CU_ASSERT_EQUAL(part.plan.n_trials, 1);
    CU_ASSERT_EQUAL(part.plan.n_stages, 3);
    CU_ASSERT_STRING_EQUAL(part.plan.trials[0].id, "000000000001");
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(part.plan.stages[i].trial, 0);
        CU_ASSERT_STRING_EQUAL(part.plan.stages[i].key, stages[lists[1][i]].key);
        if (i) CU_ASSERT_EQUAL(part.plan.stages[i].needs[0], i - 1);
        CU_ASSERT_EQUAL(part.plan.trials[0].stages[i], i);
    }
    slurm_part_free(&part);
    slurm_part_make(&part, &p, 1, true); /* and what rules compare of the other */
    CU_ASSERT_EQUAL(part.plan.n_trials, 2);
    CU_ASSERT_EQUAL(part.plan.n_stages, 5);
    CU_ASSERT_STRING_EQUAL(part.plan.stages[plan_find(&part.plan, 1, PLAN_TRAIN)].key, "a");
    CU_ASSERT_EQUAL(plan_find(&part.plan, 1, PLAN_SCREEN), 3);
    CU_ASSERT_EQUAL(plan_find(&part.plan, 1, PLAN_EVALUATE), -1);
    for (int i = 0; i < 5; i++) CU_ASSERT_EQUAL(part.plan.stages[i].idle, i > 2);
    slurm_part_free(&part);
}

static const struct test tests[] = {
    TEST(engine_slurm__buckets_by_memory_and_time), TEST(engine_slurm__a_bucket_has_room_for_its_cells),
    TEST(engine_slurm__arrays_within_the_limit),    TEST(engine_slurm__texts_of_slurm),
    TEST(engine_slurm__a_claim_is_free_or_not),     TEST(engine_slurm__time_for_another_trial),
    TEST(engine_slurm__one_claims_a_trial),         TEST(engine_slurm__a_part_is_a_plan_of_its_own),
};
TEST_MAIN("engine.slurm", tests)
