/* Intervals hold what they claim: simulated cells whose true difference is known. */
#include "report.h"
#include "test.h"
#include <math.h>

enum { MAX_VALUES_OF_A_SIDE = 400, DRAWS = 1000 };

/* A world that cells are drawn from: images differ, cells differ by image, seeds differ, and the rest is noise. */
struct world {
    const char *name;
    int seeds, images;
    double of_images, by_cell, of_seeds, noise; /* deviations */
    bool skewed;                                /* as distances are: a long tail above */
};

static double draw(struct rng *r, bool skewed)
{
    double x = rng_normal(r);
    return skewed ? (exp(0.5 * x) - exp(0.125)) / 0.6039 : x; /* log-normal, mean 0, deviation 1 */
}

static void fill(double *v, const struct world *w, const double *image, double mean, struct rng *r)
{
    double by_cell[MAX_VALUES_OF_A_SIDE];
    for (int i = 0; i < w->images; i++) by_cell[i] = w->by_cell * draw(r, w->skewed);
    for (int t = 0; t < w->seeds; t++) {
        double seed = w->of_seeds * rng_normal(r);
        for (int i = 0; i < w->images; i++)
            v[t * w->images + i] = mean + image[i] + by_cell[i] + seed + w->noise * draw(r, w->skewed);
    }
}

static struct report_difference drawn(const struct world *w, double truth, uint64_t k)
{
    double image[MAX_VALUES_OF_A_SIDE], a[MAX_VALUES_OF_A_SIDE], b[MAX_VALUES_OF_A_SIDE];
    struct rng r = rng_key(7, (uint64_t)w->seeds, (uint64_t)w->images, k);
    for (int i = 0; i < w->images; i++) image[i] = w->of_images * draw(&r, w->skewed);
    fill(a, w, image, 0.5 + truth, &r);
    fill(b, w, image, 0.5, &r);
    return report_difference(
        &(struct report_sides){.a = a, .b = b, .n_a = w->seeds, .n_b = w->seeds, .n_images = w->images});
}

static void difference__covers_what_it_claims(void)
{
    static const struct world worlds[] = {
        {"many images, one seed", 1, 100, 1, 0.1, 0, 0.1, false},
        {"twenty images, one seed", 1, 20, 1, 0.1, 0, 0.1, false},
        {"twenty skewed images", 1, 20, 1, 0.1, 0, 0.1, true},
        {"three seeds that differ little", 3, 20, 1, 0.1, 0.02, 0.1, true},
        {"three seeds that differ much", 3, 20, 1, 0.1, 0.2, 0.1, false},
        {"eight seeds", 8, 50, 1, 0.1, 0.1, 0.1, false},
    };
    for (size_t i = 0; i < LEN(worlds); i++) {
        int held = 0;
        for (uint64_t k = 0; k < DRAWS; k++) {
            struct report_difference d = drawn(&worlds[i], 0.03, k);
            held += d.low <= 0.03 && 0.03 <= d.high;
        }
        if (held < 920 || held > 980) fprintf(stderr, "%s: %d of %d\n", worlds[i].name, held, DRAWS);
        CU_ASSERT_TRUE(held >= 920 && held <= 980);
    }
}

static void difference__tells_what_is_there_and_nothing_else(void)
{
    static const struct world w = {"", 3, 20, 1, 0.02, 0.01, 0.02, false};
    int found = 0, invented = 0;
    for (uint64_t k = 0; k < 200; k++) {
        struct report_difference much = drawn(&w, -0.1, k), none = drawn(&w, 0, k);
        found += much.tells && much.high < 0;
        invented += none.tells;
        CU_ASSERT_TRUE(much.low < much.mean && much.mean < much.high);
    }
    CU_ASSERT_TRUE(found > 190);
    CU_ASSERT_TRUE(invented < 25);
}

/* What it says would tell does: worlds with as many images, drawn anew, mostly tell the difference. */
static void difference__says_how_many_would_tell(void)
{
    struct world w = {"", 1, 20, 1, 0.1, 0, 0.1, false};
    struct report_difference d = drawn(&w, 0.05, 2);
    for (uint64_t k = 3; d.tells || d.mean < 0.04 || d.mean > 0.06; k++) d = drawn(&w, 0.05, k);
    CU_ASSERT_TRUE(d.images > 20 && d.images < MAX_VALUES_OF_A_SIDE);
    CU_ASSERT_TRUE(isinf(d.seeds)); /* nothing is known of those */
    w.images = (int)d.images * 2 < MAX_VALUES_OF_A_SIDE ? (int)d.images * 2 : MAX_VALUES_OF_A_SIDE;
    int tells = 0;
    for (uint64_t k = 0; k < 100; k++) tells += drawn(&w, 0.05, k).tells;
    CU_ASSERT_TRUE(tells > 70);
}

/* One seed a side knows nothing of seeds by itself; what other cells vary by widens it. */
static void difference__of_single_trials_takes_the_seeds_of_others(void)
{
    double a[20], b[20];
    struct rng r = rng_key(3, 0, 0, 0);
    for (int i = 0; i < 20; i++) {
        a[i] = 0.5 + 0.001 * rng_normal(&r);
        b[i] = 0.49 + 0.001 * rng_normal(&r);
    }
    struct report_sides s = {.a = a, .b = b, .n_a = 1, .n_b = 1, .n_images = 20};
    struct report_difference alone = report_difference(&s);
    CU_ASSERT_TRUE(alone.tells && isnan(alone.seed_sd));
    s.seed_variance = 0.01 * 0.01;
    s.seed_freedom = 10;
    struct report_difference seeds = report_difference(&s);
    CU_ASSERT_FALSE(seeds.tells);
    CU_ASSERT_TRUE(isinf(seeds.images)); /* more images say nothing of seeds */
    CU_ASSERT_TRUE(seeds.seeds >= 4 && seeds.seeds <= 12);
    s.n_images = 1; /* nothing to draw from */
    CU_ASSERT_EQUAL(report_difference(&s).n_images, 0);
}

static const struct test tests[] = {
    TEST(difference__covers_what_it_claims),
    TEST(difference__tells_what_is_there_and_nothing_else),
    TEST(difference__says_how_many_would_tell),
    TEST(difference__of_single_trials_takes_the_seeds_of_others),
};
TEST_MAIN("report.difference", tests)
