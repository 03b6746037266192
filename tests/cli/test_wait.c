/* --wait: a command queues behind the run that holds the database; watch stays between runs. */
#include "site.h"

static int times(const char *text, const char *part)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)); at++) n++;
    return n;
}

static bool until(const struct site *s, const char *name, const char *part, int n)
{
    for (int i = 0; i < 100; i++) {
        char *text = site_said(s, name);
        bool there = times(text, part) >= n;
        free(text);
        if (there) return true;
        usleep(100000);
    }
    return false;
}

static void cli_wait__queues_behind_a_run(void)
{
    struct site s = site_make("name: a\ndata: {pairs: 8, size: 64}\nseeds: 2\ndevices: []\n", "ok:60");
    pid_t first = site_start(&s, "run a.yaml --no-report --no-tty", "first");
    CU_ASSERT_TRUE(until(&s, "first", "[1/", 1));
    CU_ASSERT_EQUAL(site_wait(site_start(&s, "run a.yaml --no-report --no-tty", "refused")), 2);
    pid_t second = site_start(&s, "run a.yaml --no-report --no-tty --wait", "second");
    CU_ASSERT_EQUAL(site_wait(first), 0);
    CU_ASSERT_EQUAL(site_wait(second), 0);
    char *text = site_said(&s, "second");
    CU_ASSERT_EQUAL(times(text, "waiting for"), 1);
    CU_ASSERT_EQUAL(times(text, "; 0 stages run"), 1); /* the first had done it all */
    free(text);
}

static void cli_watch__stays_between_runs(void)
{
    struct site s = site_make("name: a\ndata: {pairs: 8, size: 64}\ndevices: []\n", "ok:20");
    pid_t watch = site_start(&s, "watch --wait --no-tty", "watch");
    CU_ASSERT_TRUE(until(&s, "watch", "waiting for the next run", 1));
    for (int i = 1; i <= 2; i++) {
        const char *args = i == 1 ? "run a.yaml --no-report --no-tty" : "run a.yaml --no-report --no-tty --set seed=3";
        CU_ASSERT_EQUAL(site_wait(site_start(&s, args, "run")), 0);
        CU_ASSERT_TRUE(until(&s, "watch", "the run has ended", i));
    }
    kill(watch, SIGINT);
    CU_ASSERT_EQUAL(site_wait(watch), -SIGINT);
}

static const struct test tests[] = {TEST(cli_wait__queues_behind_a_run), TEST(cli_watch__stays_between_runs)};
TEST_MAIN("cli.wait", tests)
