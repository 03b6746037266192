/* Lines about what happens now: whoever reads them comes late, is slow or dies, and the writer notices nothing. */
#include "store.h"
#include "test.h"
#include <signal.h>
#include <sys/resource.h>

struct place {
    char db[400], live[420];
    struct store *s;
};

static struct place place_make(void)
{
    struct place p;
    snprintf(p.db, sizeof p.db, "%s/sweep.db", test_dir());
    snprintf(p.live, sizeof p.live, "%s.live", p.db);
    TEST_OK(store_open(&p.s, (struct store_options){.path = p.db, .command = "test"}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(p.s);
    return p;
}

static void check_next(struct store_follow *f, const char *want)
{
    const char *got = store_follow_next(f);
    CU_ASSERT_TRUE(got && want ? strcmp(got, want) == 0 : got == want);
}

static void store_feed__is_read_by_who_comes_when(void)
{
    struct place p = place_make();
    struct store_follow *early = store_follow_open(p.db), *late = store_follow_open(p.db);
    check_next(early, NULL);
    struct store_feed *f = store_feed_open(p.s);
    CU_ASSERT_TRUE(store_feed_wants_state(f));
    store_feed_put(f, "before any state", false);
    check_next(early, NULL);
    store_feed_put(f, "state", true);
    CU_ASSERT_FALSE(store_feed_wants_state(f));
    check_next(early, "state");
    check_next(early, NULL);
    store_feed_put(f, "one", false);
    store_feed_put(f, "two", false);
    check_next(early, "one");
    check_next(late, "state");
    check_next(late, "one");
    check_next(late, "two");
    check_next(late, NULL);
    store_feed_close(f);
    CU_ASSERT_FALSE(fs_exists(p.live));
    check_next(early, "two"); /* still in hand */
    check_next(early, NULL);
    store_follow_close(early);
    store_follow_close(late);
    store_close(p.s);
}

static void store_feed__begins_anew_when_it_has_grown(void)
{
    struct place p = place_make();
    struct store_feed *f = store_feed_open(p.s);
    struct store_follow *slow = store_follow_open(p.db);
    int states = 0, lines = 0;
    char line[64];
    check_next(slow, NULL);
    for (int i = 0; i < 30000; i++) {
        if (store_feed_wants_state(f)) {
            snprintf(line, sizeof line, "state before %d", i);
            store_feed_put(f, line, true);
            states++;
        }
        snprintf(line, sizeof line, "line %d of thirty thousand, more or less", i);
        store_feed_put(f, line, false);
    }
    CU_ASSERT_TRUE(states > 2);
    CU_ASSERT_TRUE(fs_size(p.live) < 300000);
    const char *got = store_follow_next(slow); /* what it missed is summed up */
    int at = -1, first = -1, number;
    CU_ASSERT_TRUE(got && sscanf(got, "state before %d", &first) == 1 && first > 10000);
    while ((got = store_follow_next(slow))) {
        CU_ASSERT_TRUE(sscanf(got, "line %d of", &number) == 1 && number == (at < 0 ? first : at + 1));
        at = number;
        lines++;
    }
    CU_ASSERT_EQUAL(at, 29999);
    store_feed_put(f, "state again", true); /* another file, while the old one is in hand */
    check_next(slow, "state again");
    store_follow_close(slow);
    store_feed_close(f);
    store_close(p.s);
}

static void store_feed__of_a_killed_writer_goes_with_the_next(void)
{
    struct place p = place_make();
    store_close(p.s);
    TEST_OK(fs_write(p.live, "old\n", 4));
    TEST_OK(store_open(&p.s, (struct store_options){.path = p.db, .read_only = true}));
    store_close(p.s);
    CU_ASSERT_TRUE(fs_exists(p.live)); /* a reader changes nothing */
    TEST_OK(store_open(&p.s, (struct store_options){.path = p.db, .command = "test"}));
    CU_ASSERT_FALSE(fs_exists(p.live));
    store_close(p.s);
}

static void store_feed__leaves_out_what_does_not_fit_the_disk(void)
{
    struct place p = place_make();
    struct store_feed *f = store_feed_open(p.s);
    struct store_follow *r = store_follow_open(p.db);
    struct rlimit was;
    getrlimit(RLIMIT_FSIZE, &was);
    signal(SIGXFSZ, SIG_IGN);
    store_feed_put(f, "state", true);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){8, was.rlim_max}); /* room for two bytes more */
    store_feed_put(f, "lost", false);
    store_feed_put(f, "lost, too", false);
    setrlimit(RLIMIT_FSIZE, &was);
    store_feed_put(f, "whole", false);
    check_next(r, "state");
    check_next(r, "lo"); /* what a reader drops, as it is no event */
    check_next(r, "whole");
    check_next(r, NULL);
    store_follow_close(r);
    store_feed_close(f);
    store_close(p.s);
}

static const struct test tests[] = {
    TEST(store_feed__is_read_by_who_comes_when),
    TEST(store_feed__begins_anew_when_it_has_grown),
    TEST(store_feed__of_a_killed_writer_goes_with_the_next),
    TEST(store_feed__leaves_out_what_does_not_fit_the_disk),
};

TEST_MAIN("store.feed", tests)
