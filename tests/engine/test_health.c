/* Whether a GPU can be used: the rules, step by step. */
#include "inside.h"
#include "test.h"

enum step { THERE, GONE, FAULT, GOOD };

static void engine_health__follows_these_rules(void)
{
    static const struct {
        enum step step;
        double at;
        enum health_news news;
        bool usable;
    } steps[] = {
        /* the driver does not tell of it once, which is no news; twice, which is */
        {THERE, 0, HEALTH_SAME, true},
        {GONE, 1, HEALTH_SAME, true},
        {THERE, 2, HEALTH_SAME, true},
        {GONE, 3, HEALTH_SAME, true},
        {GONE, 4, HEALTH_LOST, false},
        {GONE, 5, HEALTH_SAME, false}, /* told once */
        {FAULT, 5, HEALTH_SAME, false},
        /* back, but not for long enough; and then */
        {THERE, 10, HEALTH_SAME, false},
        {GONE, 20, HEALTH_SAME, false},
        {THERE, 30, HEALTH_SAME, false},
        {THERE, 59, HEALTH_SAME, false},
        {THERE, 60, HEALTH_BACK, true},
        {GOOD, 61, HEALTH_SAME, true},
        /* runs say that it fails: a rest after each, and the third in a row is believed */
        {FAULT, 100, HEALTH_SAME, false},
        {FAULT, 101, HEALTH_SAME, false}, /* of one incident */
        {THERE, 103.5, HEALTH_SAME, true},
        {FAULT, 104, HEALTH_SAME, false},
        {GOOD, 107, HEALTH_SAME, true},
        {FAULT, 110, HEALTH_SAME, false},
        {FAULT, 120, HEALTH_SAME, false},
        {FAULT, 130, HEALTH_LOST, false},
        {THERE, 200, HEALTH_SAME, false}, /* the driver's word does not count there */
        {THERE, 730, HEALTH_BACK, true},
        {FAULT, 740, HEALTH_LOST, false}, /* as before */
        {THERE, 1340, HEALTH_BACK, true},
        /* both at once */
        {GOOD, 1341, HEALTH_SAME, true},
        {GONE, 1342, HEALTH_SAME, true},
        {FAULT, 1342.5, HEALTH_LOST, false},
    };
    struct health h = {.missed = 0};
    for (size_t i = 0; i < LEN(steps); i++) {
        enum health_news news = HEALTH_SAME;
        if (steps[i].step == THERE || steps[i].step == GONE)
            news = health_sees(&h, steps[i].step == THERE, steps[i].at);
        else if (steps[i].step == FAULT)
            news = health_fault(&h, steps[i].at);
        else
            health_good(&h);
        bool usable = health_usable(&h, steps[i].at);
        if (news != steps[i].news || usable != steps[i].usable)
            fprintf(stderr, "step %zu at %g: news %d, usable %d\n", i, steps[i].at, (int)news, usable);
        CU_ASSERT_EQUAL(news, steps[i].news);
        CU_ASSERT_EQUAL(usable, steps[i].usable);
    }
}

static const struct test tests[] = {TEST(engine_health__follows_these_rules)};
TEST_MAIN("engine.health", tests)
