/* The page as a browser lays it out: no sideways scroll on a telephone, every picture reachable. */
#include "filled.h"

/* What @p script says of the page in a frame of this width: the text that it puts into the title. Owner: the caller. */
static char *seen_at(struct base *b, int width, const char *script, bool real_time)
{
    struct str html = {0}, command = {0};
    char *dom = NULL, out[600];
    const char *dir = fs_join(&b->arena, b->dir, "report");
    str_addf(&html,
             "<!doctype html><body><iframe src=index.html width=%d height=900 onload=\"const d = "
             "this.contentDocument.documentElement; document.title = %s\"></iframe>",
             width, script);
    TEST_OK(fs_write(fs_join(&b->arena, dir, "frame.html"), html.s, html.n));
    snprintf(out, sizeof out, "%s/dom.txt", b->dir);
    str_addf(&command,
             "chromium --headless --no-sandbox --disable-gpu --allow-file-access-from-files %s "
             "--user-data-dir='%s/browser' --dump-dom 'file://%s/frame.html' >'%s' 2>/dev/null",
             real_time ? "" : "--virtual-time-budget=4000", b->dir, dir, out);
    CU_ASSERT_EQUAL(system(command.s), 0);
    TEST_OK(fs_read(&dom, NULL, out));
    char *title = strstr(dom, "<title>"), *end = title ? strstr(title, "</title>") : NULL;
    char *said = mem_strdup("");
    if (end) {
        *end = 0;
        free(said);
        said = mem_strdup(title + strlen("<title>"));
    }
    str_free(&html);
    str_free(&command);
    free(dom);
    return said;
}

static void report_page__fits_a_telephone(void)
{
    static const int widths[] = {360, 385, 1300};
    struct base b = base_open("ssim");
    for (int i = 0; i < 14; i++) {
        char name[60];
        snprintf(name, sizeof name, "a_backbone_with_quite_a_long_name_%d", i / 2);
        add(&b, i,
            (struct row){.arch = i % 2 ? "unetplusplus" : "deeplabv3plus",
                         .backbone = name,
                         .seed = i,
                         .ssim = 0.53 + 0.01 * i,
                         .ms = 3 + i});
    }
    struct report_written w;
    TEST_OK(report(&b, "demo", NULL, &w));
    for (size_t i = 0; i < LEN(widths); i++) {
        char *said = seen_at(&b, widths[i], "d.scrollWidth + ' ' + d.querySelectorAll('img').length", false), *end;
        long wide = strtol(said, &end, 10), pictures = strtol(end, NULL, 10);
        if (wide > widths[i] || !pictures) fprintf(stderr, "at %d: \"%s\"\n", widths[i], said);
        CU_ASSERT_TRUE(wide > 0 && wide <= widths[i]);
        CU_ASSERT_TRUE(pictures >= 3);
        free(said);
    }
    base_close(&b);
}

/* Nine architectures by a hundred backbones on three devices, each slower than the one before. */
static void fill_900(struct base *b)
{
    static const char *const devices[] = {"cpu", "phone", "board"};
    sql(b, "BEGIN");
    for (int i = 0; i < 900; i++) {
        char arch[20], backbone[30];
        snprintf(arch, sizeof arch, "arch%d", i / 100);
        snprintf(backbone, sizeof backbone, "backbone_%02d", i % 100);
        add(b, i,
            (struct row){
                .arch = arch, .backbone = backbone, .ssim = 0.4 + 0.0003 * ((i * 37) % 900), .ms = 3 + i % 100});
        for (int k = 1; k < 3; k++)
            sql(b,
                "INSERT INTO latencies (stage_key, trial, format, device, threads, height, width, visit, n, p50_ms, "
                "p90_ms, unstable, samples, info, measured) SELECT stage_key, trial, format, %Q, 1, 128, 128, %d, 64, "
                "p50_ms * %d, p90_ms * %d, 0, x'', '{}', 0 FROM latencies WHERE trial = '%012d' AND device = 'cpu'",
                devices[k], k, 1 + 9 * k, 1 + 9 * k, i);
    }
    sql(b, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 19) INSERT INTO image_metrics "
           "SELECT m.stage_key, m.trial, 'face' || i, 'ssim', m.value + 0.02 * ((i * 7 + m.number) %% 11) FROM (SELECT "
           "stage_key, trial, value, CAST(trial AS INTEGER) AS number FROM metrics WHERE name = 'ssim' AND epoch = -1) "
           "m, n");
    sql(b, "COMMIT");
}

/* Answers of the page to what a reader does, as one text: "rows filtered, ms; rows within the budget, ms; ...". */
static const char asks[] =
    "(() => { const w = this.contentWindow, $ = i => w.document.getElementById(i), began = performance.now();"
    " const rows = () => parseInt($('count').textContent), ms = [];"
    " const act = (i, v, e) => { const t = performance.now(); $(i).value = v; $(i).dispatchEvent(new w.Event(e));"
    " w.document.body.offsetHeight; ms.push(Math.round(performance.now() - t)); return rows(); };"
    " const all = rows(), named = act('filter', 'arch3 backbone_1', 'input'), again = act('filter', '', 'input');"
    " const cards = () => w.document.querySelector('.cards').textContent, written = cards();"
    " const fast = act('budget', 100, 'input'), follow = cards() !== written && !cards().includes('15 frames/s (');"
    " act('budget', 0, 'input'); const back = cards() === written; act('measurement', 1, 'change');"
    " const device = follow && back && cards().includes('Fastest') && cards().includes('(17.5 frames/s)');"
    " const slow = $('cells').tBodies[0].rows[0].cells[7].textContent, p = w.document.querySelectorAll('.point');"
    " p[5].dispatchEvent(new w.MouseEvent('click', {bubbles: true}));"
    " const told = $('about').textContent.startsWith(p[5].getAttribute('aria-label'));"
    " $('more').click(); const shown = [...w.document.querySelectorAll('#cells tbody tr')].filter(r => "
    "!r.hidden).length;"
    " return [all, named, fast, p.length, told && device ? shown : 0, Math.max(...ms), Math.ceil(began), slow, "
    "ms].join(' '); "
    "})()";

static void report_page__answers_of_900_cells_on_3_devices(void)
{
    struct base b = base_open("ssim");
    struct report_written w;
    fill_900(&b);
    double start = time_mono();
    TEST_OK(report(&b, "demo", NULL, &w));
    double written_s = time_mono() - start;
    char *said = seen_at(&b, 1300, asks, true);
    int all = 0, named = 0, fast = 0, points = 0, told = 0, ms = 0, open_ms = 0;
    CU_ASSERT_EQUAL(sscanf(said, "%d %d %d %d %d %d %d", &all, &named, &fast, &points, &told, &ms, &open_ms), 7);
    fprintf(stderr, "(written in %.1f s; rows, named, fast, points, told, slowest ms, open ms, p50: %s) ", written_s,
            said);
    CU_ASSERT_EQUAL(all, 900);
    CU_ASSERT_EQUAL(named, 10);
    CU_ASSERT_EQUAL(fast, 72); /* 3..10 ms, of nine architectures */
    CU_ASSERT_EQUAL(points, 900);
    CU_ASSERT_EQUAL(told, 900); /* rows, after all were asked for */
    CU_ASSERT_TRUE(written_s < 10);
    CU_ASSERT_TRUE(ms < 400);       /* 100 where nothing else runs */
    CU_ASSERT_TRUE(open_ms < 6000); /* 2000 */
    CU_ASSERT_TRUE(fs_size(w.index) < 5000000);
    free(said);
    base_close(&b);
}

static const struct test tests[] = {TEST(report_page__fits_a_telephone),
                                    TEST(report_page__answers_of_900_cells_on_3_devices)};

int main(int argc, char **argv)
{
    if (system("chromium --version >/dev/null 2>&1") != 0)
        test_skip("no chromium: .ci/setup browser installs it");
    else
        return test_main("report.page", tests, LEN(tests), argc, argv);
    return 77;
}
