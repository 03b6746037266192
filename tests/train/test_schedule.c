#include "test.h"
#include "train.h"
#include <math.h>

static double at(const char *schedule, double warmup, int64_t step, int64_t steps)
{
    double f = -1;
    TEST_OK(train_schedule(&f, schedule, warmup, step, steps));
    return f;
}

static void schedule__known_points(void)
{
    static const struct {
        const char *schedule;
        double warmup;
        int64_t step, steps;
        double factor;
    } rows[] = {
        {"constant", 0, 0, 10, 1},
        {"constant", 0, 9, 10, 1},
        {"constant", 0.5, 0, 10, 1}, /* has no warm-up */
        {"cosine", 0, 0, 100, 1},
        {"cosine", 0, 50, 100, 0.5},
        {"cosine", 0, 25, 100, 0.8535533905932737}, /* (1 + cos(pi/4)) / 2 */
        {"cosine", 0.1, 4, 100, 0.5},
        {"cosine", 0.1, 55, 100, 0.5},
        {"onecycle", 0.3, 0, 100, 0.04},
        {"onecycle", 0.3, 29, 100, 1}, /* peak after 0.3 * 100 steps, counted from 0 */
        {"onecycle", 0.3, 99, 100, 4e-6},
        {"onecycle", 0, 29, 100, 1}, /* 0.3 unless told */
        {"onecycle", 0.3, 64, 100, 0.500002},
    };
    for (size_t i = 0; i < LEN(rows); i++)
        CU_ASSERT_DOUBLE_EQUAL(at(rows[i].schedule, rows[i].warmup, rows[i].step, rows[i].steps), rows[i].factor, 1e-9);
}

static void schedule__stays_between_zero_and_one_at_every_length(void)
{
    static const double warmups[] = {0, 0.05, 0.3, 0.99};
    for (const char *const *s = train_schedule_names; *s; s++)
        for (int64_t steps = 1; steps < 60; steps += 7)
            for (size_t w = 0; w < LEN(warmups); w++)
                for (int64_t i = 0; i < steps; i++) {
                    double f = at(*s, warmups[w], i, steps);
                    if (!(f >= 0 && f <= 1)) CU_FAIL(*s);
                    if (i + 1 < steps) continue;
                    bool rises_and_falls = strcmp(*s, "constant") != 0 && steps > 20 && warmups[w] < 0.5;
                    if (rises_and_falls) CU_ASSERT_TRUE(f < at(*s, warmups[w], steps / 2, steps));
                }
}

static void schedule__unknown_name_has_the_nearest(void)
{
    double f;
    TEST_FAILS(train_schedule(&f, "onecycel", 0, 0, 1), STATUS_ARG, "did you mean onecycle");
}

static const struct test tests[] = {
    TEST(schedule__known_points),
    TEST(schedule__stays_between_zero_and_one_at_every_length),
    TEST(schedule__unknown_name_has_the_nearest),
};
TEST_MAIN("train.schedule", tests)
