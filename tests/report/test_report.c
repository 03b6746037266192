/* Reports from databases that the test fills: numbers, the front, plots by the real gnuplot, hostile names. */
#include "filled.h"

static const char *const archs[] = {"unet", "unetplusplus", "fpn", "linknet", "pspnet", "deeplabv3"};
static const char *const backbones[] = {"resnet18", "tf_efficientnet_lite0", "mobilenetv3_large_100", "vgg16",
                                        "mobilenetv3_small_minimal_100"};

/* A grid with a hole of each kind. */
static void fill_grid(struct base *b, int seeds)
{
    int i = 0;
    for (int seed = 0; seed < seeds; seed++)
        for (size_t a = 0; a < LEN(archs); a++)
            for (size_t k = 0; k < LEN(backbones); k++) {
                struct rng r = rng_key((uint64_t)seed, a, k, 9);
                struct row c = {.arch = archs[a], .backbone = backbones[k], .seed = seed};
                if (a == 5 && k == 3)
                    c.state = "refused", c.reason = "deeplabv3 needs a backbone that dilates";
                else if (a == 4 && k == 2)
                    c.state = "too_slow", c.reason = "p50 61.2 ms, the gate is 33.3 ms", c.ms = 61.2;
                else if (a == 3 && k == 1)
                    c.state = "pruned", c.reason = "asha: rung 1, epoch 5: ssim 0.3, behind place 2 of the 6";
                else if (a == 2 && k == 4)
                    c.state = "failed", c.reason = "killed by signal 11 | twice";
                else
                    c.ssim = 0.4 + 0.2 * rng_uniform(&r), c.ms = 4 + 70 * rng_uniform(&r) * (double)(a + 1) / 6;
                add(b, i++, c);
            }
}

static bool starts(const char *path, const char *magic, size_t n)
{
    char *text;
    size_t got;
    if (fs_read(&text, &got, path).code != STATUS_OK) return false;
    bool same = got > n && !memcmp(text, magic, n);
    free(text);
    return same;
}

static void report_write__draws_every_plot(void)
{
    struct base b = base_open("ssim");
    fill_grid(&b, 2);
    struct report_written w;
    TEST_OK(report(&b, "demo", NULL, &w));
    CU_ASSERT_EQUAL(w.cells, 60);
    CU_ASSERT_STRING_EQUAL(w.missing, "");
    CU_ASSERT_EQUAL(w.plots, 7);
    static const char *const names[] = {"quality-latency", "heat-quality", "heat-latency", "heat-rate",
                                        "curve-rank",      "curve-loss",   "seeds"};
    for (size_t i = 0; i < LEN(names); i++) {
        const char *stem = arena_printf(&b.arena, "%s/report/plots/%s", b.dir, names[i]);
        CU_ASSERT(starts(arena_printf(&b.arena, "%s.png", stem), "\x89PNG\r\n", 6));
        CU_ASSERT(starts(arena_printf(&b.arena, "%s.svg", stem), "<?xml", 5));
        CU_ASSERT(fs_exists(arena_printf(&b.arena, "%s.gp", stem)));
    }
    char *page = written(&b, "index.html");
    has(page, "Best picture");
    has(page, "deeplabv3 needs a backbone that dilates");
    has(page, "Without a result (6)");
    has(page, "Pruned: stopped before their end (2)");
    has(page, "asha: rung 1, epoch 5");
    has(page, "data:image/svg+xml;base64,");
    has(page, "0.5200"); /* the identity's */
    CU_ASSERT_PTR_NULL(strstr(page, "different losses"));
    free(page);
    base_close(&b);
}

static void report_write__front_matches_brute_force(void)
{
    struct base b = base_open("ssim");
    double q[40], ms[40];
    for (int i = 0; i < 40; i++) {
        struct rng r = rng_key(5, (uint64_t)i, 0, 0);
        q[i] = 0.3 + 0.01 * (double)rng_below(&r, 30); /* coarse, so that there are ties */
        ms[i] = 5 + (double)rng_below(&r, 20);
        char name[32];
        snprintf(name, sizeof name, "b%d", i);
        add(&b, i, (struct row){.arch = "unet", .backbone = name, .ssim = q[i], .ms = ms[i]});
    }
    struct report_written w;
    TEST_OK(report(&b, "demo", "/bin/true", &w));
    char *csv = written(&b, "results.csv");
    for (int i = 0; i < 40; i++) {
        bool front = q[i] > 0.52; /* the identity has that: worse pictures are no choice, however fast */
        for (int j = 0; j < 40; j++) front &= !(q[j] >= q[i] && ms[j] <= ms[i] && (q[j] > q[i] || ms[j] < ms[i]));
        char id[32];
        snprintf(id, sizeof id, "%012d,", i);
        const char *line = strstr(csv, id);
        CU_ASSERT_PTR_NOT_NULL_FATAL(line);
        char state[16];
        double value;
        int flag = -1;
        CU_ASSERT_EQUAL(sscanf(strstr(line, "done,"), "%15[^,],,ssim,%lf,%d", state, &value, &flag), 3);
        CU_ASSERT_DOUBLE_EQUAL(value, q[i], 1e-6);
        CU_ASSERT_EQUAL(flag, front);
    }
    free(csv);
    base_close(&b);
}

/* Samples of two cells on two images; the worst picture is the one with the least metric. */
static void report_write__shows_pictures(void)
{
    struct base b = base_open("ssim");
    add(&b, 0, (struct row){.arch = "unet", .backbone = "a", .ssim = 0.5, .ms = 3});
    add(&b, 1, (struct row){.arch = "unet", .backbone = "b", .ssim = 0.4, .ms = 2});
    TEST_OK(fs_write(fs_join(&b.arena, b.dir, "face.png"), "pixels", 6));
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++) {
            char id[32], image[32];
            snprintf(id, sizeof id, "%012d", i);
            snprintf(image, sizeof image, "face%d", k);
            static const char *const kinds[] = {"sample", "sample_input", "sample_target"};
            for (size_t m = 0; m < LEN(kinds); m++)
                sql(&b, "INSERT INTO artifacts VALUES ('t%s', %Q, %Q, '', %Q, 'face.png', 6, 'h')", id, id, kinds[m],
                    image);
            sql(&b, "INSERT INTO image_metrics VALUES ('t%s', %Q, %Q, 'ssim', %f)", id, id, image, 0.25 + 0.125 * k);
        }
    sql(&b, "DELETE FROM artifacts WHERE trial = '000000000001' AND name = 'face1' AND kind = 'sample'");
    sql(&b,
        "INSERT INTO artifacts VALUES ('t000000000001', '000000000001', 'sample', '', 'face1', 'gone.png', 6, 'h')");
    struct report_written w;
    TEST_OK(report(&b, "demo", NULL, &w));
    char *page = written(&b, "index.html");
    has(page, "The same faces through 2 cells");
    has(page, "src=\"data:image/png;base64,cGl4ZWxz\"><figcaption>unet / a: SSIM 0.250");
    const char *worst = strstr(page, "worst picture by SSIM");
    CU_ASSERT_PTR_NOT_NULL_FATAL(worst);
    CU_ASSERT_PTR_NULL(strstr(worst, "0.375")); /* not the better of its two images */
    free(page);
    base_close(&b);
}

static void report_write__orders_by_the_sweeps_rank(void)
{
    struct base b = base_open("val_loss"); /* lower is better */
    add(&b, 0, (struct row){.arch = "unet", .backbone = "a", .ssim = 0.4, .ms = 5});
    add(&b, 1, (struct row){.arch = "unet", .backbone = "b", .ssim = 0.6, .ms = 5, .loss = "M"});
    struct report_written w;
    TEST_OK(report(&b, "demo", NULL, &w));
    char *md = written(&b, "results.md");
    has(md, "| | cell | SSIM | PSNR dB | val loss |"); /* the metric that ranks has one column, as any has */
    has(md, "| 1 | unet / b, seed 0 | 0.6000 |");
    has(md, "2 different losses");
    free(md);
    base_close(&b);
}

static void report_write__escapes_foreign_names(void)
{
    struct base b = base_open("ssim");
    add(&b, 0, (struct row){.arch = "a_b^c", .backbone = "<script>alert('1')</script>", .ssim = 0.5, .ms = 3});
    add(&b, 1,
        (struct row){.arch = "quote\"s, {}",
                     .backbone = "back\\slash|bar",
                     .ssim = 0.4,
                     .ms = 2,
                     .reason = "x | y & z",
                     .state = "diverged"});
    struct report_written w;
    TEST_OK(report(&b, "demo", NULL, &w));
    CU_ASSERT_STRING_EQUAL(w.missing, "");
    char *page = written(&b, "index.html"), *md = written(&b, "results.md"), *csv = written(&b, "results.csv");
    CU_ASSERT_PTR_NULL(strstr(page, "<script>alert"));
    has(page, "&lt;script&gt;alert");
    has(page, "x | y &amp; z");
    has(md, "back\\slash\\|bar");
    has(csv, "\"quote\"\"s, {}\"");
    free(page);
    free(md);
    free(csv);
    base_close(&b);
}

static void report_write__works_without_results(void)
{
    struct base b = base_open("ssim");
    struct report_written w;
    TEST_OK(report(&b, "demo", NULL, &w));
    CU_ASSERT(w.cells == 0 && w.plots == 0);
    add(&b, 0, (struct row){.arch = "unet", .backbone = "a", .state = "queued"});
    add(&b, 1, (struct row){.arch = "unet", .backbone = "b", .ssim = 0.5}); /* no latency */
    add(&b, 2, (struct row){.arch = "unet", .backbone = "c", .ms = 4, .state = "failed", .reason = "crashed"});
    TEST_OK(report(&b, "demo", NULL, &w));
    CU_ASSERT_EQUAL(w.cells, 3);
    char *page = written(&b, "index.html");
    has(page, "crashed");
    free(page);
    base_close(&b);
}

static void report_write__says_what_is_wrong(void)
{
    struct base b = base_open("ssim");
    add(&b, 0, (struct row){.arch = "unet", .backbone = "a", .ssim = 0.5, .ms = 3});
    struct report_written w;
    TEST_FAILS(report(&b, "demmo", NULL, &w), STATUS_ARG, "no sweep is called demmo; the database has: demo");
    TEST_OK(report(&b, "demo", "gnuplot-that-is-not-there", &w));
    has(w.missing, "gnuplot-that-is-not-there");
    CU_ASSERT_EQUAL(w.plots, 0);
    char *page = written(&b, "index.html");
    has(page, "No plots: gnuplot-that-is-not-there");
    free(page);
    TEST_OK(report(&b, NULL, "/bin/true", &w)); /* every trial */
    CU_ASSERT_EQUAL(w.cells, 1);
    base_close(&b);
}

/* Each change, in this order, is one that a reader must see, or one that is none. */
static void report_write__leaves_what_is_the_same(void)
{
    static const struct {
        const char *sql;
        bool again;
    } cases[] = {
        {"SELECT 1", false},
        {"UPDATE sweeps SET updated = 9, spec = '{\"a\":1}'", false},      /* the same command, another day */
        {"UPDATE stages SET ended = 5 WHERE key = 't000000000001'", true}, /* it was done again */
        {"UPDATE stages SET state = 'failed' WHERE key = 't000000000001'", true},
        {"UPDATE trials SET state = 'failed', reason = 'x' WHERE id = '000000000001'", true},
        {"UPDATE trials SET reason = 'y' WHERE id = '000000000001'", true},
        {"INSERT INTO stages (key, trial, stage, state) VALUES ('new', '000000000001', 'bench', 'done')", true},
        {"UPDATE sweeps SET rank = 'psnr'", true},
        {"DELETE FROM sweep_trials WHERE trial = '000000000001'", true},
        {"UPDATE stages SET ended = 6 WHERE key = 't000000000001'", false}, /* of a cell that is not in it */
    };
    struct base b = base_open("ssim");
    struct report_written w;
    for (int i = 0; i < 3; i++)
        add(&b, i, (struct row){.arch = "unet", .backbone = "vgg16", .seed = i, .ssim = 0.5, .ms = 9});
    const char *dir = fs_join(&b.arena, b.dir, "report"), *page = fs_join(&b.arena, dir, "index.html");
    struct report_options o = {.db = b.path, .sweep = "demo", .dir = dir, .unless_same = true, .metric = metric};
    TEST_OK(report_write(&w, &o));
    CU_ASSERT_FALSE(w.same);
    for (size_t i = 0; i < LEN(cases); i++) {
        sql(&b, "%s", cases[i].sql);
        TEST_OK(report_write(&w, &o));
        if (w.same == cases[i].again) fprintf(stderr, "%s: written %d\n", cases[i].sql, !w.same);
        CU_ASSERT_EQUAL(w.same, !cases[i].again);
        CU_ASSERT_TRUE(strcmp(w.index, page) == 0 && fs_exists(page));
    }
    CU_ASSERT_EQUAL(remove(page), 0); /* somebody tidied */
    TEST_OK(report_write(&w, &o));
    CU_ASSERT_FALSE(w.same);
    o.unless_same = false; /* asked for by name */
    TEST_OK(report_write(&w, &o));
    CU_ASSERT_FALSE(w.same);
    o.gnuplot = "/none/gnuplot"; /* one without plots is written again when there may be some */
    TEST_OK(report_write(&w, &o));
    CU_ASSERT_EQUAL(remove(fs_join(&b.arena, dir, ".made-from")), 0);
    o.unless_same = true;
    for (int i = 0; i < 2; i++) {
        TEST_OK(report_write(&w, &o));
        CU_ASSERT_FALSE(w.same);
    }
    base_close(&b);
}

static const struct test tests[] = {
    TEST(report_write__draws_every_plot),      TEST(report_write__front_matches_brute_force),
    TEST(report_write__shows_pictures),        TEST(report_write__orders_by_the_sweeps_rank),
    TEST(report_write__escapes_foreign_names), TEST(report_write__works_without_results),
    TEST(report_write__says_what_is_wrong),    TEST(report_write__leaves_what_is_the_same),
};
TEST_MAIN("report.report", tests)
