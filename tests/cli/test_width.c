/* A table is as narrow as the terminal that it stands on: texts are cut, columns left out by name, numbers never cut.
 */
#include "terminal.h"

static void cli_width__tables_fit(void)
{
    static const int widths[] = {200, 80, 60, 40};
    struct site s = site_make("name: a\ndata: {pairs: 8, size: 64}\naxes: {train.lr: [1.0e-3, 1.0e-4]}\n", "ok");
    CU_ASSERT_EQUAL(site_wait(site_start(&s, "run a.yaml --no-report --no-tty", "words")), 0);
    int left_out = 0;
    for (size_t i = 0; i < LEN(widths); i++) {
        struct terminal t = terminal_start(&s, "ls a", widths[i], 24);
        CU_ASSERT_EQUAL(terminal_end(&t), 0);
        bool said = false;
        for (int k = 0; k < t.n; k++) {
            bool note = strstr(t.lines[k], "left out") != NULL;
            said = said || note;
            if (!note && (int)strlen(t.lines[k]) > widths[i]) fprintf(stderr, "at %d: %s\n", widths[i], t.lines[k]);
            CU_ASSERT_TRUE(note || (int)strlen(t.lines[k]) <= widths[i]);
        }
        const char *header = terminal_line(&t, "trial ");
        CU_ASSERT_EQUAL(said, !header || !strstr(header, "reason")); /* nothing goes without a word */
        left_out += said;
        terminal_free(&t);
    }
    CU_ASSERT_TRUE(left_out >= 2);
    CU_ASSERT_EQUAL(site_wait(site_start(&s, "ls a", "words")), 0); /* no terminal: all */
    char *text = site_said(&s, "words");
    CU_ASSERT_PTR_NULL(strstr(text, "left out"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "reason"));
    free(text);
}

static const struct test tests[] = {TEST(cli_width__tables_fit)};
TEST_MAIN("cli.width", tests)
