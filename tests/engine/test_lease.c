/* The rules of placement, case by case. */
#include "inside.h"
#include "test.h"

#define GIB(n) ((int64_t)(n) << 30)

static void engine_lease__fits_by_these_rules(void)
{
    static const struct {
        struct lease_gpu gpu;
        struct lease_want want;
        int slots;
        enum lease_answer answer;
    } cases[] = {
        /* idle: whatever is wanted, the run finds out */
        {{.bytes_total = GIB(16), .bytes_free = GIB(16)}, {.bytes = GIB(4)}, 1, LEASE_FITS},
        {{.bytes_total = GIB(16), .bytes_free = GIB(16)}, {.bytes = GIB(40)}, 1, LEASE_FITS},
        {{0}, {.bytes = GIB(4)}, 1, LEASE_FITS},
        /* one of ours is there */
        {{.bytes_total = GIB(16), .bytes_free = GIB(12), .n = 1, .bytes = GIB(4)}, {.bytes = GIB(4)}, 1, LEASE_TAKEN},
        {{.bytes_total = GIB(16), .bytes_free = GIB(12), .n = 1, .bytes = GIB(4)}, {.bytes = GIB(4)}, 2, LEASE_FITS},
        {{.bytes_total = GIB(16), .bytes_free = GIB(12), .n = 1, .bytes = GIB(4)}, {.bytes = GIB(12)}, 2, LEASE_TAKEN},
        /* it has not yet taken what it will */
        {{.bytes_total = GIB(16), .bytes_free = GIB(16), .n = 1, .bytes = GIB(10)}, {.bytes = GIB(6)}, 2, LEASE_TAKEN},
        /* it has taken more than it should */
        {{.bytes_total = GIB(16), .bytes_free = GIB(3), .n = 1, .bytes = GIB(4)}, {.bytes = GIB(4)}, 2, LEASE_TAKEN},
        {{.bytes_total = GIB(16), .bytes_free = GIB(12), .n = 1, .bytes = GIB(4)},
         {.bytes = GIB(4), .alone = true},
         2,
         LEASE_TAKEN},
        {{.bytes_total = GIB(16), .bytes_free = GIB(12), .n = 1, .bytes = GIB(4), .alone = true},
         {.bytes = GIB(4)},
         2,
         LEASE_TAKEN},
        {{.n = 1, .bytes = GIB(4)}, {.bytes = GIB(1)}, 8, LEASE_TAKEN}, /* memory not known: never shared */
        /* somebody else is there */
        {{.bytes_total = GIB(16), .bytes_free = GIB(8), .bytes_others = GIB(8), .others = true},
         {.bytes = GIB(4)},
         1,
         LEASE_FITS},
        {{.bytes_total = GIB(16), .bytes_free = GIB(8), .bytes_others = GIB(8), .others = true},
         {.bytes = GIB(8)}, /* the margin is missing */
         1,
         LEASE_OTHERS},
        /* its owner wants one process there */
        {{.bytes_total = GIB(16), .bytes_free = GIB(16), .exclusive = true}, {.bytes = GIB(1)}, 4, LEASE_FITS},
        {{.bytes_total = GIB(16), .bytes_free = GIB(15), .exclusive = true, .n = 1, .bytes = GIB(1)},
         {.bytes = GIB(1)},
         4,
         LEASE_TAKEN},
        {{.bytes_total = GIB(16), .bytes_free = GIB(15), .exclusive = true, .others = true},
         {.bytes = GIB(1)},
         4,
         LEASE_OTHERS},
        {{.bytes_total = GIB(16), .bytes_free = GIB(16), .elsewhere = true}, {.bytes = GIB(1)}, 1, LEASE_ELSEWHERE},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        enum lease_answer got = lease_fits(&cases[i].gpu, cases[i].want, cases[i].slots);
        if (got != cases[i].answer) {
            fprintf(stderr, "case %zu: got %d, expected %d\n", i, (int)got, (int)cases[i].answer);
            CU_FAIL("lease_fits");
        }
    }
}

static void engine_lease__picks_the_emptiest(void)
{
    static const struct {
        struct lease_gpu v[3];
        int slots, pick;
    } cases[] = {
        {{{.bytes_total = GIB(16), .bytes_free = GIB(16)}, {.bytes_total = GIB(16), .bytes_free = GIB(16)}}, 1, 0},
        {{{.bytes_total = GIB(16), .bytes_free = GIB(16)}, {.bytes_total = GIB(40), .bytes_free = GIB(40)}}, 1, 1},
        {{{.bytes_total = GIB(16), .bytes_free = GIB(16)},
          {.bytes_total = GIB(40), .bytes_free = GIB(40), .n = 1},
          {.bytes_total = GIB(8), .bytes_free = GIB(8)}},
         4,
         0},
        {{{.bytes_total = GIB(16), .bytes_free = GIB(16), .n = 1},
          {.bytes_total = GIB(40), .bytes_free = GIB(2), .bytes_others = GIB(38), .others = true},
          {.bytes_total = GIB(8), .bytes_free = GIB(8), .elsewhere = true}},
         1,
         -1},
        /* the least work ahead, in however many leases; what has no forecast is counted */
        {{{.bytes_total = GIB(40), .bytes_free = GIB(30), .n = 1, .load_s = 100},
          {.bytes_total = GIB(40), .bytes_free = GIB(20), .n = 3, .load_s = 60},
          {.bytes_total = GIB(40), .bytes_free = GIB(20), .n = 2, .load_s = 61}},
         4,
         1},
        {{{.bytes_total = GIB(40), .bytes_free = GIB(20), .n = 2},
          {.bytes_total = GIB(40), .bytes_free = GIB(20), .n = 1}},
         4,
         1},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        int n = 2 + (cases[i].v[2].bytes_total > 0);
        CU_ASSERT_EQUAL(lease_pick(cases[i].v, n, (struct lease_want){.bytes = GIB(3)}, cases[i].slots), cases[i].pick);
    }
}

/* Whatever is asked for and given back in whatever order, no GPU is promised twice. */
static void engine_lease__keeps_its_promises(void)
{
    struct rng r = rng_key(7, 0, 0, 0);
    for (int round = 0; round < 200; round++) {
        struct lease_gpu v[4] = {{0}};
        struct {
            int gpu;
            struct lease_want want;
        } held[64];
        int n_held = 0, n = 1 + (int)rng_below(&r, 4), slots = 1 + (int)rng_below(&r, 5);
        for (int i = 0; i < n; i++) {
            int64_t total = GIB(8 + rng_below(&r, 72));
            int64_t used = (int64_t)(rng_uniform(&r) * rng_uniform(&r) * (double)total);
            lease_sees(&v[i], &(struct engine_gpu){.bytes_total = total,
                                                   .bytes_free = total - used,
                                                   .exclusive = rng_below(&r, 6) == 0,
                                                   .n_processes = (int)rng_below(&r, 2)});
        }
        for (int step = 0; step < 200; step++) {
            if (n_held && rng_below(&r, 2)) {
                int k = (int)rng_below(&r, (uint64_t)n_held);
                lease_give(&v[held[k].gpu], held[k].want);
                held[k] = held[--n_held];
                continue;
            }
            struct lease_want want = {.bytes = GIB(1 + rng_below(&r, 20)), .alone = rng_below(&r, 8) == 0};
            int i = lease_pick(v, n, want, slots);
            if (i < 0 || n_held == (int)LEN(held)) continue;
            bool shared = v[i].n > 0 || v[i].others;
            CU_ASSERT_TRUE(v[i].n < slots && !(v[i].n && (v[i].alone || want.alone || v[i].exclusive)));
            lease_take(&v[i], want);
            if (shared) CU_ASSERT_TRUE(v[i].bytes + v[i].bytes_others < v[i].bytes_total);
            held[n_held].gpu = i;
            held[n_held++].want = want;
        }
        while (n_held--) lease_give(&v[held[n_held].gpu], held[n_held].want);
        for (int i = 0; i < n; i++) CU_ASSERT_TRUE(v[i].n == 0 && v[i].bytes == 0 && !v[i].alone);
    }
}

static void engine_lease__shares_cores(void)
{
    for (int cores = 1; cores <= 9; cores++)
        for (int jobs = 1; jobs <= 12; jobs++) {
            int used[16] = {0};
            for (int slot = 0; slot < jobs; slot++) {
                int first, n;
                lease_cores(&first, &n, slot, jobs, cores);
                CU_ASSERT_TRUE(n >= (jobs > cores ? 1 : cores / jobs) && first >= 0 && first + n <= cores);
                for (int i = first; i < first + n; i++) used[i]++;
            }
            for (int i = 0; i < cores; i++) CU_ASSERT_TRUE(jobs > cores ? used[i] > 0 : used[i] == 1);
        }
}

static void engine_lease__understands_options(void)
{
    static const struct {
        const char *text, *says;
        int n, gpus[4];
    } cases[] = {
        {NULL, NULL, 3, {0, 1, 2}},
        {"all", NULL, 3, {0, 1, 2}},
        {"none", NULL, 0, {0}},
        {"2,0", NULL, 2, {2, 0}},
        {"3", "--gpus: got 3, but there are 3 (0 to 2)", 0, {0}},
        {"-1", "--gpus: got -1", 0, {0}},
        {"0,x", "expected all, none or numbers", 0, {0}},
        {"0,", "expected all, none or numbers", 0, {0}},
        {"", "expected all, none or numbers", 0, {0}},
        {"1,1", "GPU 1 is named twice", 0, {0}},
        {"00000000000000000000000000000000001", "expected all, none or numbers", 0, {0}},
    };
    int v[ENGINE_MAX_GPUS], n, slots;
    for (size_t i = 0; i < LEN(cases); i++) {
        if (cases[i].says) {
            TEST_FAILS(lease_choose(v, &n, cases[i].text, 3), STATUS_ARG, cases[i].says);
            continue;
        }
        TEST_OK(lease_choose(v, &n, cases[i].text, 3));
        CU_ASSERT_EQUAL(n, cases[i].n);
        for (int k = 0; k < cases[i].n; k++) CU_ASSERT_EQUAL(v[k], cases[i].gpus[k]);
    }
    TEST_OK(lease_slots(&slots, NULL));
    CU_ASSERT_EQUAL(slots, LEASE_MAX_SLOTS);
    TEST_OK(lease_slots(&slots, "auto"));
    CU_ASSERT_EQUAL(slots, LEASE_MAX_SLOTS);
    TEST_OK(lease_slots(&slots, "3"));
    CU_ASSERT_EQUAL(slots, 3);
    TEST_FAILS(lease_slots(&slots, "0"), STATUS_ARG, "--slots: got \"0\"");
    TEST_FAILS(lease_slots(&slots, "many"), STATUS_ARG, "expected auto or a whole number");
}

static const struct test tests[] = {
    TEST(engine_lease__fits_by_these_rules), TEST(engine_lease__picks_the_emptiest),
    TEST(engine_lease__keeps_its_promises),  TEST(engine_lease__shares_cores),
    TEST(engine_lease__understands_options),
};
TEST_MAIN("engine.lease", tests)
