/* The page's answers in words: who wins, who could have, and when nobody does. */
#include "filled.h"

/* The page's first cards, up to the first note that follows them. */
static char *answers_of(struct base *b)
{
    struct report_written w;
    TEST_OK(report(b, "demo", "/bin/true", &w));
    char *page = written(b, "index.html"), *from = strstr(page, "<div class=cards "),
         *to = strstr(page, "For comparison");
    CU_ASSERT_PTR_NOT_NULL_FATAL(to);
    char *out = mem_strdup(from && from < to ? from : "");
    if (*out) out[to - from] = 0;
    free(page);
    return out;
}

/* One lucky seed does not win against a better mean; a destroyed picture is not the fastest; a cell is named once. */
static void report_write__winners_are_cells_that_beat_the_input(void)
{
    struct base b = base_open("ssim");
    static const struct row rows[] = {
        {.arch = "unet", .backbone = "lucky", .seed = 0, .ssim = 0.60, .ms = 20},
        {.arch = "unet", .backbone = "lucky", .seed = 1, .ssim = 0.53, .ms = 20},
        {.arch = "fpn", .backbone = "steady", .seed = 0, .ssim = 0.59, .ms = 25},
        {.arch = "fpn", .backbone = "steady", .seed = 1, .ssim = 0.585, .ms = 25},
        {.arch = "linknet", .backbone = "ruined", .seed = 0, .ssim = 0.296, .ms = 2},
    };
    for (size_t i = 0; i < LEN(rows); i++) add(&b, (int)i, rows[i]);
    char *text = answers_of(&b);
    has(text, "<h3>Best picture<br>Best at 15 frames/s<br>Best at 30 frames/s</h3><p class=big>fpn / steady</p>");
    has(text, "0.5875 ± 0.0035 over 2 seeds");
    has(text, "not told apart from unet / lucky"); /* whose seeds differ by more than the two cells do */
    has(text, "<h3>Fastest</h3><p class=big>unet / lucky</p>");
    CU_ASSERT_PTR_NULL(strstr(text, "ruined"));
    CU_ASSERT_PTR_NULL(strstr(text, "seed 0"));
    free(text);
    char *page = written(&b, "index.html");
    has(page, "1 of 3 cells is no better than the input handed back");
    char *table_row = written(&b, "results.md");
    has(page, "linknet / ruined, seed 0 <span class=tag>no better than the input</span>");
    has(table_row, "done, no better than the input");
    free(table_row);
    const char *table = strstr(page, "<h2>Over seeds</h2>");
    CU_ASSERT_PTR_NOT_NULL_FATAL(table);
    const char *first = strstr(table, "fpn / steady"), *second = strstr(table, "unet / lucky");
    CU_ASSERT_TRUE(first && second && first < second);
    free(page);
    base_close(&b);
}

/* Pictures of another size are other pictures: none wins against them, and none takes another's place on the front. */
static void report_write__ranks_each_size_by_itself(void)
{
    struct base b = base_open("ssim");
    add(&b, 0, (struct row){.arch = "unet", .backbone = "small", .ssim = 0.70, .ms = 10});
    add(&b, 1, (struct row){.arch = "fpn", .backbone = "small", .ssim = 0.65, .ms = 20});
    add(&b, 2, (struct row){.arch = "unet", .backbone = "large", .ssim = 0.60, .ms = 30});
    sql(&b, "UPDATE trials SET height = 256, width = 256 WHERE backbone = 'large';"
            "UPDATE latencies SET height = 256, width = 256 WHERE trial = '000000000002'");
    char *text = answers_of(&b);
    has(text, "<h2>At 256 x 256 pixels</h2>");
    const char *large = strstr(text, "unet / large");
    CU_ASSERT_PTR_NOT_NULL(large);
    free(text);
    char *page = written(&b, "index.html"), *csv = written(&b, "results.csv");
    has(page, "The pictures have 2 sizes, between which SSIM does not compare");
    has(page, "<h2>At 128 x 128 pixels</h2>");
    has(page, "data-v=3>1</td>"); /* third row, first of its size */
    has(page, "ranked by SSIM");
    CU_ASSERT_PTR_NULL(strstr(page, "ranked by ssim"));
    const char *row = strstr(csv, "unet,large");
    CU_ASSERT_TRUE(row && strstr(row, ",0.6,1,")); /* on its own front */
    free(page);
    free(csv);
    base_close(&b);
}

/* The input handed back is as good as its size allows, too: 0.52 at 128 pixels, 0.62 at 256, whose mean is 0.553. */
static void report_write__compares_with_the_input_of_its_size(void)
{
    struct base b = base_open("ssim");
    add(&b, 0, (struct row){.arch = "unet", .backbone = "small", .ssim = 0.54, .ms = 10});
    add(&b, 1, (struct row){.arch = "fpn", .backbone = "small", .ssim = 0.53, .ms = 20});
    add(&b, 2, (struct row){.arch = "unet", .backbone = "large", .ssim = 0.60, .ms = 30});
    sql(&b, "UPDATE trials SET height = 256, width = 256 WHERE backbone = 'large';"
            "UPDATE metrics SET value = 0.62 WHERE name = 'identity_ssim' AND trial = '000000000002'");
    char *text = answers_of(&b);
    has(text, "unet / small");
    CU_ASSERT_PTR_NULL(strstr(text, "unet / large"));
    free(text);
    char *page = written(&b, "index.html"), *table = written(&b, "results.md");
    has(page, "1 of 3 cells is no better than the input handed back");
    has(page, "at 128 x 128: returning the input unchanged has SSIM <b>0.5200</b>");
    has(page, "at 256 x 256: returning the input unchanged has SSIM <b>0.6200</b>");
    has(table, "At 256 x 256: The identity mapping has SSIM 0.6200");
    free(page);
    free(table);
    base_close(&b);
}

static void report_write__says_first_when_nothing_was_learnt(void)
{
    struct base b = base_open("ssim");
    add(&b, 0, (struct row){.arch = "unet", .backbone = "a", .ssim = 0.5199, .ms = 20});
    add(&b, 1, (struct row){.arch = "fpn", .backbone = "b", .ssim = 0.5100, .ms = 10});
    char *text = answers_of(&b);
    CU_ASSERT_STRING_EQUAL(text, ""); /* no winner */
    free(text);
    char *page = written(&b, "index.html");
    has(page, "No cell draws a better picture than the input handed back");
    has(page, "0.5199 at best");
    CU_ASSERT_PTR_NULL(strstr(page, "<h3>Best picture"));
    free(page);
    base_close(&b);
}

static const struct test tests[] = {
    TEST(report_write__winners_are_cells_that_beat_the_input),
    TEST(report_write__ranks_each_size_by_itself),
    TEST(report_write__compares_with_the_input_of_its_size),
    TEST(report_write__says_first_when_nothing_was_learnt),
};
TEST_MAIN("report.answers", tests)
