/*
 * How many trainings share a GPU when nobody says: the rules of growth and of leases, played over the rates and the
 * memory of cells on a GPU with 139 GiB and on smaller ones.
 */
#include "inside.h"
#include "test.h"

#define GIB(n) ((int64_t)((n)*1073741824.0))
enum { SECONDS = 120 };

/* Work a second of n at once, n = 1, 2, 4, 8, 16. Small: unet x lite0 at 256 px, of which one keeps a GPU busy for 17 %
 * of the time and five for 82 %, 4.6 times the work; large: one fills it. */
static const double small[] = {1, 1.98, 3.8, 6, 6.2}, tiny[] = {1, 1.99, 3.9, 7.4, 12},
                    large[] = {1, 1.03, 1.01, 0.97, 0.9}, middle[] = {1, 1.7, 2.2, 2.3, 2.3};

static double rate_of(const double *curve, int n)
{
    int k = 0;
    while (k < 4 && (1 << (k + 1)) <= n) k++;
    double low = curve[k], high = k < 4 ? curve[k + 1] : curve[4];
    return low + (high - low) * (n - (1 << k)) / (1 << k);
}

/* Plays two minutes with more trainings than ever fit: a start costs 9 s before the first step. Returns how many were
 * there at the end; *most: ever. */
static int play(const double *curve, double gib_gpu, double gib_each, int cap, int *most)
{
    struct growth g;
    struct lease_gpu gpu = {.bytes_total = GIB(gib_gpu), .bytes_free = GIB(gib_gpu)};
    struct lease_want want = {.bytes = GIB(gib_each)};
    double begun[LEASE_MAX_SLOTS], work = 0;
    int n = 0;
    *most = 0;
    growth_start(&g, 4, cap);
    for (int s = 0; s < SECONDS; s++) {
        while (n < g.most && lease_fits(&gpu, want, LEASE_MAX_SLOTS) == LEASE_FITS) {
            lease_take(&gpu, want);
            begun[n++] = s;
        }
        if (n > *most) *most = n;
        int steps = 0;
        for (int i = 0; i < n; i++) steps += s - begun[i] >= 9;
        work += steps ? rate_of(curve, steps) : 0;
        growth_hears(&g, steps == n ? n : 0, work, 1, s);
    }
    return g.most < n ? g.most : n;
}

static void engine_growth__as_many_as_pay(void)
{
    static const struct {
        const double *curve;
        double gib_gpu, gib_each;
        int cap, settles, most;
    } cases[] = {
        {small, 139, 2.7, 8, 8, 8},                                 /* each of eight still adds */
        {small, 139, 2.7, 16, 8, 16},                               /* sixteen were tried and were no faster */
        {tiny, 139, 1.5, 16, 16, 16}, {tiny, 139, 1.5, 12, 12, 12}, /* twelve cores */
        {tiny, 16, 1.5, 16, 10, 10},                                /* memory: ten and a margin */
        {small, 139, 2.7, 2, 2, 2},                                 /* two cores to launch from */
        {small, 16, 2.7, 8, 5, 5},                                  /* memory: five and a margin */
        {middle, 139, 2.7, 8, 4, 8},                                /* eight were tried and were no faster */
        {large, 139, 20, 8, 4, 6},                                  /* memory let six try */
        {large, 139, 70, 8, 1, 1},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        int most, n = play(cases[i].curve, cases[i].gib_gpu, cases[i].gib_each, cases[i].cap, &most);
        if (n != cases[i].settles || most != cases[i].most)
            fprintf(stderr, "case %zu: %d at the end, %d at most; expected %d and %d\n", i, n, most, cases[i].settles,
                    cases[i].most);
        CU_ASSERT_EQUAL(n, cases[i].settles);
        CU_ASSERT_EQUAL(most, cases[i].most);
    }
}

static void engine_growth__one_slow_window_is_no_verdict_without_a_comparison(void)
{
    struct growth g;
    growth_start(&g, 4, 8);
    growth_measured(&g, 3, 1); /* fewer than may be: says nothing of more */
    CU_ASSERT_EQUAL(g.most, 4);
    growth_measured(&g, 4, 0); /* nothing was done: no measurement */
    CU_ASSERT_EQUAL(g.most, 4);
    growth_measured(&g, 4, 10);
    CU_ASSERT_EQUAL(g.most, 8);
    growth_measured(&g, 8, 11);
    CU_ASSERT_EQUAL(g.most, 8);
    CU_ASSERT_TRUE(g.settled);
    growth_start(&g, 4, 8);
    growth_measured(&g, 4, 10);
    growth_measured(&g, 8, 10.9);
    CU_ASSERT_FALSE(g.settled); /* it may have held a checkpoint */
    growth_measured(&g, 8, 10.8);
    CU_ASSERT_EQUAL(g.most, 4);
    CU_ASSERT_TRUE(g.settled);
    growth_start(&g, 4, 8);
    growth_measured(&g, 4, 10);
    growth_measured(&g, 8, 9);
    growth_measured(&g, 8, 16);
    CU_ASSERT_EQUAL(g.most, 8);
    CU_ASSERT_TRUE(g.settled);
}

/* Large nets come first: what was settled by them is no verdict on small ones. */
static void engine_growth__asks_anew_when_the_cells_are_lighter(void)
{
    struct growth g;
    double work = 0, now = 0;
    growth_start(&g, 4, 8);
    static const struct {
        int n;
        double rate, each;
        int most;
        bool settled;
    } steps[] = {
        {4, 10, 100, 8, false}, {8, 10, 100, 8, false}, {8, 10, 100, 4, true},
        {4, 10, 60, 4, true},   {4, 10, 40, 8, false},  {8, 19, 40, 8, true},
    };
    for (size_t i = 0; i < LEN(steps); i++) {
        if (g.n != steps[i].n) growth_hears(&g, steps[i].n, work, steps[i].each, now);
        now += 4;
        work += 4 * steps[i].rate;
        growth_hears(&g, steps[i].n, work, steps[i].each, now);
        if (i == 4) { /* its window was dropped with the verdict: a whole one of the lighter cells */
            now += 4;
            work += 4 * steps[i].rate;
            growth_hears(&g, steps[i].n, work, steps[i].each, now);
        }
        if (g.most != steps[i].most || g.settled != steps[i].settled)
            fprintf(stderr, "step %zu: most %d, settled %d\n", i, g.most, g.settled);
        CU_ASSERT_EQUAL(g.most, steps[i].most);
        CU_ASSERT_EQUAL(g.settled, steps[i].settled);
    }
}

/*
 * Trainings that hold so many times what was forecast, played on a GPU until no more is let in: with the correction as
 * many as fit are there, without it too many (and one runs out of memory) or too few.
 */
static void engine_growth__memory_is_corrected_by_what_the_first_held(void)
{
    static const struct {
        double gib_gpu, gib_forecast, gib_held[3]; /* by turns */
        int blind, corrected;
    } cases[] = {
        {16, 2.0, {2.7, 2.7, 2.7}, 7, 5}, /* seven would hold 18.9 GiB */
        {16, 5.4, {2.7, 2.7, 2.7}, 2, 5},
        {24, 2.0, {2.7, 2.4, 3.0}, 11, 8},
        {16, 2.7, {2.7, 2.7, 2.7}, 5, 5},
    };
    for (size_t i = 0; i < LEN(cases); i++)
        for (int corrects = 0; corrects < 2; corrects++) {
            struct growth_memory seen = {.n = 0};
            struct lease_gpu gpu = {.bytes_total = GIB(cases[i].gib_gpu), .bytes_free = GIB(cases[i].gib_gpu)};
            int n = 0;
            double held = 0;
            for (;; n++) {
                double factor = corrects ? growth_factor(&seen) : 1;
                struct lease_want want = {.bytes = (int64_t)(factor * (double)GIB(cases[i].gib_forecast))};
                if (lease_fits(&gpu, want, LEASE_MAX_SLOTS) != LEASE_FITS) break;
                lease_take(&gpu, want);
                double mine = (double)GIB(cases[i].gib_held[n % 3]);
                held += mine;
                if (!corrects) continue;
                growth_held(&seen, (double)GIB(cases[i].gib_forecast), mine);
                gpu.bytes += (int64_t)mine - want.bytes; /* its lease is what it holds, too */
            }
            CU_ASSERT_EQUAL(n, corrects ? cases[i].corrected : cases[i].blind);
            if (n != (corrects ? cases[i].corrected : cases[i].blind)) fprintf(stderr, "case %zu: %d fit\n", i, n);
            if (corrects) CU_ASSERT_TRUE(held < (double)GIB(cases[i].gib_gpu));
        }
}

static const struct test tests[] = {
    TEST(engine_growth__as_many_as_pay),
    TEST(engine_growth__one_slow_window_is_no_verdict_without_a_comparison),
    TEST(engine_growth__asks_anew_when_the_cells_are_lighter),
    TEST(engine_growth__memory_is_corrected_by_what_the_first_held),
};
TEST_MAIN("engine.growth", tests)
