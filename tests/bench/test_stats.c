/* Statistics and stopping against numbers worked out by hand; conversions against their definition. */
#include "bench.h"
#include "runtime.h"
#include "test.h"
#include <math.h>

#define NEAR(a, b) CU_ASSERT(fabs((a) - (b)) < 1e-6 * fabs(b) + 1e-12)

static void bench_stats__by_hand(void)
{
    const float us[] = {7000, 1000, 9000, 3000, 5000, 10000, 2000, 8000, 4000, 6000};
    struct bench_stats s = bench_stats(us, 10);
    CU_ASSERT_EQUAL(s.n, 10);
    NEAR(s.min_ms, 1.0);
    NEAR(s.p50_ms, 6.0); /* sorted[5] */
    NEAR(s.p90_ms, 10.0);
    NEAR(s.p99_ms, 10.0);
    NEAR(s.max_ms, 10.0);
    NEAR(s.mean_ms, 5.5);
    NEAR(s.cov, 3.0276503540974917 / 5.5); /* deviations sum to 82.5, over 9 */
    CU_ASSERT(s.unstable);
    CU_ASSERT_EQUAL(us[0], 7000.0f); /* the samples keep their order */
}

static void bench_stats__percentiles_of_a_hundred(void)
{
    float us[100];
    for (int i = 0; i < 100; i++) us[i] = (float)(i * 7 % 100) * 1000;
    struct bench_stats s = bench_stats(us, 100);
    NEAR(s.p50_ms, 50.0);
    NEAR(s.p90_ms, 90.0);
    NEAR(s.p99_ms, 99.0);
}

static void bench_stats__unstable_begins_above_its_bound(void)
{
    float steady[] = {1000, 1000, 1000, 1000}, edge[] = {975, 1025}, over[] = {980, 1020}, one[] = {5};
    CU_ASSERT_EQUAL(bench_stats(steady, 4).cov, 0.0);
    CU_ASSERT_FALSE(bench_stats(steady, 4).unstable);
    NEAR(bench_stats(edge, 2).cov, 0.025 * sqrt(2));
    NEAR(bench_stats(over, 2).cov, 0.02 * sqrt(2));
    CU_ASSERT(bench_stats(over, 2).unstable);
    CU_ASSERT_FALSE(bench_stats((float[]){983, 1017}, 2).unstable); /* 2.4 % */
    CU_ASSERT_EQUAL(bench_stats(one, 1).cov, 0.0);
    CU_ASSERT_EQUAL(bench_stats(one, 0).n, 0);
}

static void bench_stop__needs_samples_and_seconds(void)
{
    const struct bench_mode *m;
    TEST_OK(bench_mode_find(&m, "normal"));
    CU_ASSERT_EQUAL(bench_stop(m, 63, 5), BENCH_GO_ON);
    CU_ASSERT_EQUAL(bench_stop(m, 1000, 1.9), BENCH_GO_ON);
    CU_ASSERT_EQUAL(bench_stop(m, 64, 2), BENCH_ENOUGH);
    CU_ASSERT_EQUAL(bench_stop(m, 24, 100), BENCH_GO_ON);
    CU_ASSERT_EQUAL(bench_stop(m, 25, 29), BENCH_GO_ON);
    CU_ASSERT_EQUAL(bench_stop(m, 25, 30), BENCH_CAPPED);
    TEST_OK(bench_mode_find(&m, "thorough"));
    CU_ASSERT_EQUAL(bench_stop(m, 1023, 61), BENCH_GO_ON);
    CU_ASSERT_EQUAL(bench_stop(m, 1024, 59), BENCH_GO_ON);
    CU_ASSERT_EQUAL(bench_stop(m, 1024, 60), BENCH_ENOUGH);
    TEST_FAILS(bench_mode_find(&m, "thorogh"), STATUS_ARG, "did you mean thorough?");
}

static void bench_half__every_value_survives_the_round_trip(void)
{
    int wrong = 0;
    for (int h = 0; h < 65536; h++) {
        uint16_t in = (uint16_t)h, out;
        float f;
        type_to_float(&f, &in, BENCH_FLOAT16, 1);
        type_from_float(&out, BENCH_FLOAT16, &f, 1);
        wrong += isnan(f) ? (out & 0x7c00) != 0x7c00 || !(out & 0x3ff) : out != in;
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void bench_half__rounds_to_even(void)
{
    const float v[] = {1,  1 + 1.0f / 2048, 1 + 3.0f / 2048, 65504, 65519, 65520,
                       -2, 5.9604645e-8f,   2.9802322e-8f,   1e-9f};
    const uint16_t want[] = {0x3c00, 0x3c00, 0x3c02, 0x7bff, 0x7bff, 0x7c00, 0xc000, 1, 0, 0};
    uint16_t got[LEN(v)];
    type_from_float(got, BENCH_FLOAT16, v, LEN(v));
    for (size_t i = 0; i < LEN(v); i++) CU_ASSERT_EQUAL(got[i], want[i]);
}

static void bench_convert__whole_numbers_are_clipped(void)
{
    const float v[] = {-3, 0, 12.4f, 254.6f, 300, NAN};
    uint8_t u[LEN(v)];
    float back[LEN(v)];
    type_from_float(u, BENCH_UINT8, v, LEN(v));
    type_to_float(back, u, BENCH_UINT8, LEN(v));
    const float want[] = {0, 0, 12, 255, 255, 0};
    for (size_t i = 0; i < LEN(v); i++) CU_ASSERT_EQUAL(back[i], want[i]);
    CU_ASSERT_EQUAL(type_size(8), 0); /* strings */
    CU_ASSERT_EQUAL(type_size(-1), 0);
}

static const struct test tests[] = {
    TEST(bench_stats__by_hand),
    TEST(bench_stats__percentiles_of_a_hundred),
    TEST(bench_stats__unstable_begins_above_its_bound),
    TEST(bench_stop__needs_samples_and_seconds),
    TEST(bench_half__every_value_survives_the_round_trip),
    TEST(bench_half__rounds_to_even),
    TEST(bench_convert__whole_numbers_are_clipped),
};
TEST_MAIN("bench.stats", tests)
