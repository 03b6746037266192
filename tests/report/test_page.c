/* The page as a browser lays it out: no sideways scroll on a telephone, every picture reachable. */
#include "filled.h"

/* What @p script says of the page in a frame of this width: the text that it puts into the title. Owner: the caller. */
static char *seen_at(struct base *b, int width, const char *script)
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
             "chromium --headless --no-sandbox --disable-gpu --allow-file-access-from-files --virtual-time-budget=4000 "
             "--user-data-dir='%s/browser' --dump-dom 'file://%s/frame.html' >'%s' 2>/dev/null",
             b->dir, dir, out);
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
        char *said = seen_at(&b, widths[i], "d.scrollWidth + ' ' + d.querySelectorAll('img').length"), *end;
        long wide = strtol(said, &end, 10), pictures = strtol(end, NULL, 10);
        if (wide > widths[i] || !pictures) fprintf(stderr, "at %d: \"%s\"\n", widths[i], said);
        CU_ASSERT_TRUE(wide > 0 && wide <= widths[i]);
        CU_ASSERT_TRUE(pictures >= 3);
        free(said);
    }
    base_close(&b);
}

static const struct test tests[] = {TEST(report_page__fits_a_telephone)};

int main(int argc, char **argv)
{
    if (system("chromium --version >/dev/null 2>&1") != 0)
        test_skip("no chromium: .ci/setup browser installs it");
    else
        return test_main("report.page", tests, LEN(tests), argc, argv);
    return 77;
}
