/* The view of a running sweep, on terminals of several sizes, and from another terminal. */
#include "terminal.h"

/* Two cells, three stages each; long names. */
static const char two[] = "name: two\n"
                          "axes: {model.backbone: [mobilenetv3_large_minimal_100, tf_efficientnet_lite0]}\n"
                          "model: {arch: unetplusplus}\n"
                          "data: {size: 64, pairs: 6}\nexport: []\n";

#define THREE                                                                                                          \
    "name: three\naxes: {model.backbone: [mobilenetv3_large_minimal_100, tf_efficientnet_lite0, mobilenet_v2]}\n"      \
    "model: {arch: unetplusplus}\ndata: {size: 64, pairs: 6}\nexport: []\n"

static void cli_live__fits_the_terminal(void)
{
    static const struct {
        int width;
        const char *has, *has_not; /* at some time on the screen */
    } cases[] = {
        {200, "unetplusplus x mobilenetv3_large_minimal_100  train  epoch", ".."},
        {200, "cells/h", NULL},
        {200, "CPU ", NULL},
        {80, "unetplusplus x m..  train  epoch", "mobilenetv3_large_minimal_100  train  epoch"},
        {30, " unetpluspl..  trai..\r\n", "  train  epoch"},
        {30, "of 3 trials", "stored before), about"},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        if (i && cases[i].width == cases[i - 1].width) continue; /* looked at together */
        struct site s = site_make(THREE, "ok:60");
        struct terminal t = terminal_start(&s, "run a.yaml --jobs 2 --no-report", cases[i].width, 24);
        CU_ASSERT_EQUAL(terminal_end(&t), 0);
        CU_ASSERT_TRUE(t.frames > 4);
        CU_ASSERT_TRUE(t.widest < cases[i].width);
        CU_ASSERT_FALSE(t.lost);
        for (size_t k = i; k < LEN(cases) && cases[k].width == cases[i].width; k++) {
            bool has = strstr(t.raw.s, cases[k].has), has_not = cases[k].has_not && strstr(t.raw.s, cases[k].has_not);
            if (!has || has_not) fprintf(stderr, "width %d: \"%s\"\n%s\n", cases[k].width, cases[k].has, t.raw.s);
            CU_ASSERT_TRUE(has && !has_not);
        }
        CU_ASSERT_PTR_NULL(terminal_line(&t, "1 of 3 trials")); /* nothing that was drawn over is left */
        CU_ASSERT_PTR_NULL(terminal_line(&t, " epoch "));
        CU_ASSERT_PTR_NOT_NULL(terminal_line(&t, "3 done; 9 stages run"));
        terminal_free(&t);
    }
}

static void cli_live__follows_the_terminals_size(void)
{
    struct site s = site_make(two, "ok:300");
    struct terminal t = terminal_start(&s, "run a.yaml --jobs 2 --no-report", 120, 24);
    CU_ASSERT_TRUE(terminal_until(&t, "epoch"));
    terminal_resize(&t, 50, 24);
    CU_ASSERT_TRUE(terminal_frame(&t) && terminal_frame(&t)); /* the first draws over what was wider */
    t.widest = 0;
    CU_ASSERT_TRUE(terminal_frame(&t));
    CU_ASSERT_TRUE(t.widest > 30 && t.widest < 50);
    terminal_resize(&t, 120, 24);
    CU_ASSERT_TRUE(terminal_frame(&t) && terminal_frame(&t));
    CU_ASSERT_TRUE(t.widest > 50 && t.widest < 120);
    kill(t.pid, SIGTERM);
    CU_ASSERT_EQUAL(terminal_end(&t), 1);
    CU_ASSERT_FALSE(t.lost);
    CU_ASSERT_PTR_NOT_NULL(terminal_line(&t, "stopping: checkpoints"));
    CU_ASSERT_PTR_NULL(terminal_line(&t, " epoch "));
    terminal_free(&t);
}

static void cli_live__leaves_out_rows_that_do_not_fit(void)
{
    struct site s =
        site_make("name: many\naxes: {seed: {range: [0, 5, 1]}}\ndata: {size: 64, pairs: 6}\nexport: []\n", "ok:100");
    struct terminal t = terminal_start(&s, "run a.yaml --jobs 6 --no-report", 100, 6);
    CU_ASSERT_EQUAL(terminal_end(&t), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(t.raw.s, "  and 4 more\r\n"));
    CU_ASSERT_FALSE(t.lost);
    terminal_free(&t);
}

/* Two cells of one net are told apart, what is best is said, and a tall screen is used. */
static void cli_live__says_what_runs_and_what_is_best(void)
{
    static const struct {
        const char *text;
        bool tall;
    } said[] = {
        {"  lr 0.01, seed 0\r\n", true},
        {"  lr 0.02, seed 1\r\n", true},
        {"  val_loss 0.375  ssim 0.625  lr 0.0", true},
        {"best so far, by ssim:\r\n", true},
        {"\r\n   3  0.", true},
        {"lr 0.01, seed 1\r\n", true},
        {" trained", true},
        {"best so far: ssim 0.", false},
        {"s left  lr 0.01, seed 1\r\n", false}, /* without its speed, so that two cells of one net differ */
        {" trials, 2 trained", false},
    };
    for (int tall = 0; tall < 2; tall++) {
        struct site s =
            site_make("name: a\naxes: {train.lr: [0.01, 0.02], seed: [0, 1]}\ndata: {size: 64, pairs: 6}\n", "ok:30");
        setenv("FAKE_train", "epoch:60", 1);
        struct terminal t = terminal_start(&s, "run a.yaml --jobs 2 --no-report", tall ? 160 : 80, tall ? 50 : 24);
        CU_ASSERT_EQUAL(terminal_end(&t), 0);
        unsetenv("FAKE_train");
        CU_ASSERT_FALSE(t.lost);
        CU_ASSERT_TRUE(t.widest < t.width);
        for (size_t i = 0; i < LEN(said); i++) {
            bool has = strstr(t.raw.s, said[i].text) != NULL;
            if (said[i].tall != tall) continue;
            if (!has) fprintf(stderr, "no \"%s\" in\n%s\n", said[i].text, t.raw.s);
            CU_ASSERT_TRUE(has);
        }
        terminal_free(&t);
    }
}

static void cli_live__is_plain_where_that_is_asked(void)
{
    struct site s = site_make(two, "ok:20");
    struct terminal t = terminal_start(&s, "run a.yaml --jobs 2 --no-report --no-tty", 80, 24);
    CU_ASSERT_EQUAL(terminal_end(&t), 0);
    CU_ASSERT_PTR_NULL(strchr(t.raw.s, '\033'));
    CU_ASSERT_PTR_NOT_NULL(strstr(t.raw.s, "[6/6] "));
    terminal_free(&t);
}

/* ---- from another terminal --------------------------------------------------------------------------------------- */

/* A run in the background of which something can be seen. */
static pid_t running(const struct site *s)
{
    pid_t pid = site_start(s, "run a.yaml --jobs 2 --no-report", "run");
    char feed[400];
    snprintf(feed, sizeof feed, "%s/results/sweep.db.live", s->dir);
    for (int i = 0; i < 1000 && !fs_exists(feed); i++) usleep(20000);
    CU_ASSERT_TRUE(fs_exists(feed));
    return pid;
}

static void cli_watch__shows_a_run_of_another_terminal(void)
{
    struct site s = site_make(two, "ok:100");
    pid_t run = running(&s);
    struct terminal t = terminal_start(&s, "watch two", 100, 24), gone = terminal_start(&s, "watch", 100, 24);
    CU_ASSERT_TRUE(terminal_frame(&gone));
    kill(gone.pid, SIGKILL); /* whoever looks on may go at any time */
    CU_ASSERT_EQUAL(terminal_end(&gone), -SIGKILL);
    CU_ASSERT_EQUAL(terminal_end(&t), 0);
    CU_ASSERT_EQUAL(site_wait(run), 0);
    CU_ASSERT_TRUE(t.frames > 3 && t.widest < 100);
    CU_ASSERT_PTR_NOT_NULL(strstr(t.raw.s, "  train  epoch"));
    CU_ASSERT_PTR_NOT_NULL(terminal_line(&t, "  train  done"));
    CU_ASSERT_PTR_NULL(terminal_line(&t, " epoch "));
    CU_ASSERT_PTR_NOT_NULL(terminal_line(&t, "the run has ended; "));
    terminal_free(&t);
    terminal_free(&gone);
}

static void cli_watch__streams_events(void)
{
    struct site s = site_make(two, "ok:100");
    pid_t run = running(&s), watch = site_start(&s, "watch --json", "watch");
    CU_ASSERT_EQUAL(site_wait(run), 0);
    CU_ASSERT_EQUAL(site_wait(watch), 0);
    char *text = site_said(&s, "watch");
    int lines = 0, ends = 0;
    for (char *p = text, *nl; (nl = strchr(p, '\n')); p = nl + 1, lines++) {
        json_t *j = NULL;
        TEST_OK(json_parse(&j, "event", p, (size_t)(nl - p)));
        const char *name = json_str(j, "event", "?");
        if (!lines) CU_ASSERT_STRING_EQUAL(name, "state");
        ends += strcmp(name, "stage_end") == 0;
        if (!nl[1]) CU_ASSERT_STRING_EQUAL(name, "end");
        if (!nl[1]) CU_ASSERT_EQUAL(json_int(j, "done", -1), 2);
        json_decref(j);
    }
    CU_ASSERT_EQUAL(ends, 6);
    CU_ASSERT_TRUE(lines > 6 + 6 + 3);
    free(text);
}

static void cli_watch__tells_when_nothing_runs(void)
{
    static const struct {
        const char *args;
        int code;
        const char *said;
    } cases[] = {
        {"watch", 1, "nothing runs; `sweep run FILE.yaml`"},
        {"watch two", 1, "nothing runs; `sweep run FILE.yaml`"},
        {"watch twoo", 2, "did you mean two?"},
        {"watch --json", 1, "nothing runs"},
        {"watch --db none.db", 1, "none.db: nothing runs"},
    };
    struct site s = site_make(two, "ok:200");
    pid_t run = running(&s);
    struct terminal t = terminal_start(&s, "watch", 100, 24);
    CU_ASSERT_EQUAL(site_wait(site_start(&s, "watch other", "other")), 2);
    char *text = site_said(&s, "other");
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "other does not run; what runs is two"));
    free(text);
    CU_ASSERT_TRUE(terminal_frame(&t));
    kill(run, SIGKILL);
    CU_ASSERT_EQUAL(site_wait(run), -SIGKILL);
    CU_ASSERT_EQUAL(terminal_end(&t), 1);
    CU_ASSERT_PTR_NOT_NULL(terminal_line(&t, "ended without saying so"));
    terminal_free(&t);
    for (size_t i = 0; i < LEN(cases); i++) { /* what the killed one left fools nobody */
        CU_ASSERT_EQUAL(site_wait(site_start(&s, cases[i].args, "watch")), cases[i].code);
        text = site_said(&s, "watch");
        if (!strstr(text, cases[i].said)) fprintf(stderr, "%s: %s\n", cases[i].args, text);
        CU_ASSERT_PTR_NOT_NULL(strstr(text, cases[i].said));
        free(text);
    }
    CU_ASSERT_EQUAL(site_wait(site_start(&s, "run a.yaml --jobs 2 --no-report", "run")), 0);
    char feed[400];
    snprintf(feed, sizeof feed, "%s/results/sweep.db.live", s.dir);
    CU_ASSERT_FALSE(fs_exists(feed));
}

static const struct test tests[] = {
    TEST(cli_live__fits_the_terminal),
    TEST(cli_live__follows_the_terminals_size),
    TEST(cli_live__leaves_out_rows_that_do_not_fit),
    TEST(cli_live__says_what_runs_and_what_is_best),
    TEST(cli_live__is_plain_where_that_is_asked),
    TEST(cli_watch__shows_a_run_of_another_terminal),
    TEST(cli_watch__streams_events),
    TEST(cli_watch__tells_when_nothing_runs),
};

TEST_MAIN("cli live", tests)
