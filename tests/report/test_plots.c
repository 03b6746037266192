/* What the plots' scripts say: axes that fit, numbers that keep clear of each other, curves that tell what they omit.
 */
#include "filled.h"
#include <math.h>

static char *script(struct base *b, const char *plot)
{
    struct report_written w;
    char name[60];
    TEST_OK(report(b, "demo", "/bin/true", &w));
    snprintf(name, sizeof name, "plots/%s.gp", plot);
    return written(b, name);
}

static void range_of(double *low, double *high, const char *gp)
{
    const char *at = strstr(gp, "set yrange [");
    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    CU_ASSERT_EQUAL(sscanf(at, "set yrange [%lf:%lf]", low, high), 2);
}

static void report_plots__an_axis_fits_the_data(void)
{
    struct base b = base_open("ssim");
    for (int i = 0; i < 9; i++) {
        char name[20];
        snprintf(name, sizeof name, "b%d", i);
        add(&b, i, (struct row){.arch = "unet", .backbone = name, .ssim = 0.600 + 0.0005 * i, .ms = 5 + i});
    }
    double low, high;
    char *gp = script(&b, "quality-latency");
    range_of(&low, &high, gp);
    CU_ASSERT_TRUE(low > 0.599 && low <= 0.600 && high >= 0.604 && high < 0.605);
    has(gp, "identity mapping 0.5200, below the axis");
    CU_ASSERT_PTR_NULL(strstr(gp, "beyond the axis"));
    free(gp);
    add(&b, 9, (struct row){.arch = "fpn", .backbone = "ruined", .ssim = 0.1, .ms = 3});
    gp = script(&b, "quality-latency");
    range_of(&low, &high, gp);
    CU_ASSERT_TRUE(low > 0.599); /* one that went wrong does not flatten the rest; it stands at the edge */
    has(gp, "beyond the axis");
    CU_ASSERT_PTR_NULL(strstr(gp, "* fpn / ruined")); /* nor is it on the front, however fast */
    free(gp);
    sql(&b, "UPDATE metrics SET value = 900 WHERE name = 'val_loss' AND epoch = 3 AND trial = '000000000002'");
    gp = script(&b, "curve-loss");
    range_of(&low, &high, gp);
    CU_ASSERT_TRUE(high < 10); /* one odd epoch */
    has(gp, "set title 'the best 8 of 10 cells by SSIM'");
    free(gp);
    base_close(&b);
}

/* Boxes of the numbers, in the pixels of the script's own picture, do not meet. */
static void report_plots__numbers_keep_clear(void)
{
    struct base b = base_open("ssim");
    for (int i = 0; i < 12; i++) {
        char name[20];
        snprintf(name, sizeof name, "b%d", i);
        add(&b, i,
            (struct row){.arch = "unet",
                         .backbone = name,
                         .ssim = 0.6 + 0.0001 * (i % 3) + (i == 11 ? 0.05 : 0),
                         .ms = 10 + 0.1 * i + (i == 10 ? 20 : 0)});
    }
    double low, high, left, right, x[12], y[12];
    char *gp = script(&b, "quality-latency");
    range_of(&low, &high, gp);
    CU_ASSERT_EQUAL(sscanf(strstr(gp, "set xrange ["), "set xrange [%lf:%lf]", &left, &right), 2);
    int n = 0;
    for (const char *at = gp; (at = strstr(at, "set label '")); at++) {
        int number;
        double ms, v, dx, dy;
        if (sscanf(at, "set label '%d' at %lf,%lf center offset char %lf,%lf", &number, &ms, &v, &dx, &dy) != 5)
            continue;
        CU_ASSERT_EQUAL(number, n + 1);
        x[n] = (ms - left) / (right - left) * 700 + 8 * dx;
        y[n++] = (v - low) / (high - low) * 470 + 15 * dy;
    }
    CU_ASSERT_EQUAL(n, 12);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++) CU_ASSERT_TRUE(fabs(x[i] - x[j]) >= 8 || fabs(y[i] - y[j]) >= 10);
    free(gp);
    base_close(&b);
}

static void report_plots__seeds_are_one_cell(void)
{
    struct base b = base_open("ssim");
    for (int i = 0; i < 6; i++)
        add(&b, i,
            (struct row){.arch = i % 2 ? "unet" : "fpn",
                         .backbone = "vgg11",
                         .seed = i,
                         .ssim = 0.6 + 0.01 * i,
                         .ms = 9,
                         .loss = i % 2 ? "L" : "M"});
    char *gp = script(&b, "quality-latency"), *curves = script(&b, "curve-loss");
    has(gp, "'1* unet / vgg11'");
    has(gp, "'2  fpn / vgg11'");
    CU_ASSERT_PTR_NULL(strstr(gp, "seed 1"));
    CU_ASSERT_PTR_NULL(strstr(gp, "'3"));
    has(curves, "1 cell of other losses left out, which do not compare; each cell''s best seed");
    free(gp);
    free(curves);
    base_close(&b);
}

/* A crossing is the mean over its seeds, with what they differ by; one seed has none. */
static void report_plots__heat_maps_show_the_spread_of_seeds(void)
{
    struct base b = base_open("ssim");
    for (int i = 0; i < 5; i++)
        add(&b, i,
            (struct row){.arch = i < 3 ? "unet" : "fpn",
                         .backbone = i % 2 ? "one" : "two",
                         .seed = i,
                         .ssim = 0.60 + 0.01 * i,
                         .ms = 5});
    char *gp = script(&b, "heat-quality");
    has(gp, " 0.610±0.014\n"); /* unet / two: 0.60 and 0.62 */
    has(gp, " 0.640\n");       /* fpn / two */
    free(gp);
    base_close(&b);
}

static const struct test tests[] = {
    TEST(report_plots__an_axis_fits_the_data),
    TEST(report_plots__numbers_keep_clear),
    TEST(report_plots__seeds_are_one_cell),
    TEST(report_plots__heat_maps_show_the_spread_of_seeds),
};
TEST_MAIN("report.plots", tests)
