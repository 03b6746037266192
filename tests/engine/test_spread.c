/* Trainings over several GPUs, by what they are predicted to take. */
#include "gpus.h"
#include "inside.h"

/* Which GPU each training began on, and in which order they did. */
struct spread {
    int gpu[16], order[16], n;
};

static void note_start(void *ctx, const struct engine_event *ev)
{
    struct spread *s = ctx;
    if (ev->kind != ENGINE_STAGE_START || ev->stage->kind != PLAN_TRAIN || s->n == 16) return;
    s->order[s->n++] = ev->stage->trial;
    s->gpu[ev->stage->trial] = ev->gpu;
}

/* Trainings that take so many tenths of a second, and are predicted to. */
static struct made *of_tenths(const int *tenths, int n)
{
    struct made *m = gpus_trainings(n, 1, 64);
    for (int i = 0; i < n; i++) {
        char act[32];
        snprintf(act, sizeof act, "steps:%d", 20 * tenths[i]);
        json_object_set_new(m->configs[i], "fake.train", json_string(act));
    }
    for (int i = 0; i < m->plan.n_stages; i++)
        if (m->stages[i].kind == PLAN_TRAIN)
            m->stages[i].cost.s[0] = m->stages[i].est_s = tenths[m->stages[i].trial] / 10.0;
    return m;
}

static void engine_spread__starts_with_the_longest(void)
{
    static const int tenths[] = {2, 3, 12, 3, 2, 2}, order[] = {2, 1, 3, 0, 4, 5}; /* equal ones as they were written */
    struct engine_result r;
    struct spread s = {.n = 0};
    gpus_machine(gpus_two);
    struct made *m = of_tenths(tenths, LEN(tenths));
    TEST_OK(made_run(&r, m, (struct engine_options){.slots = "1", .jobs = 2, .on_event = note_start, .ctx = &s}));
    CU_ASSERT_EQUAL_FATAL(s.n, (int)LEN(tenths));
    for (size_t i = 0; i < LEN(order); i++) {
        CU_ASSERT_EQUAL(s.order[i], order[i]);
        if (i == 1 || i == 2) CU_ASSERT_NOT_EQUAL(s.gpu[order[i]], s.gpu[2]); /* beside the long one */
    }
    made_free(m);

    /* On a CPU they start as they were written. */
    s = (struct spread){.n = 0};
    gpus_machine("");
    m = of_tenths(tenths, LEN(tenths));
    TEST_OK(made_run(&r, m, (struct engine_options){.jobs = 1, .on_event = note_start, .ctx = &s}));
    for (int i = 0; i < s.n; i++) CU_ASSERT_EQUAL(s.order[i], i);
    made_free(m);
}

static void engine_spread__gives_each_gpu_its_share_of_work(void)
{
    static const int tenths[] = {4, 40, 10, 10, 10, 4};
    struct engine_result r;
    struct spread s = {.n = 0};
    gpus_machine(gpus_two);
    struct made *m = of_tenths(tenths, LEN(tenths));
    TEST_OK(made_run(&r, m, (struct engine_options){.slots = "5", .jobs = 6, .on_event = note_start, .ctx = &s}));
    CU_ASSERT_EQUAL(r.done, 6);
    int beside = 0;
    for (size_t i = 0; i < LEN(tenths); i++) beside += i != 1 && s.gpu[i] == s.gpu[1];
    CU_ASSERT_EQUAL(beside, 0); /* all the others together are as long as it */
    made_free(m);
}

static const struct test tests[] = {
    TEST(engine_spread__starts_with_the_longest),
    TEST(engine_spread__gives_each_gpu_its_share_of_work),
};
TEST_MAIN("engine.spread", tests)
