/* What on-lookers are told of GPUs, and a driver that breaks meanwhile. */
#include "gpus.h"
#include "inside.h"

/* Texts that on-lookers were told of why a GPU gets no further training, and how busy it was. */
struct reasons {
    char text[4000];
    int64_t busy, told;
    double used;
};

static void note_reasons(void *ctx, const struct engine_event *ev)
{
    struct reasons *r = ctx;
    if (ev->kind != ENGINE_GPUS) return;
    r->told++;
    for (size_t i = 0; i < json_array_size(ev->json); i++) {
        const json_t *g = json_array_get(ev->json, i);
        size_t n = strlen(r->text);
        const char *why = json_str(g, "why", "?");
        if (!strstr(r->text, why))
            snprintf(r->text + n, sizeof r->text - n, "%d: %s\n", (int)json_int(g, "gpu", -1), why);
        r->busy = json_int(g, "busy", -1);
        r->used = json_num(g, "used_bytes", -1);
    }
}

static void engine_gauge__tells_what_gpus_do_and_why_no_more_trains(void)
{
    static const struct {
        const char *gpus, *slots;
        int jobs;
        double mib;
        const char *says;
        int busy; /* -1: the driver does not say */
    } cases[] = {
        {"A 16384 8192 8.0 busy=83\n", "2", 4, 1024, "0: --slots 2\n", 83},
        {"A 16384 8192 8.0 busy=83\nfail utilization 999\n", "2", 4, 1024, "0: --slots 2\n", -1},
        {"A 16384 16384 8.0 busy=7\n", "3", 2, 1024, "0: all 2 workers are busy\n", 7},
        {"A 16384 16384 8.0 busy=7\n", "4", 4, 6000, "0: memory: the next needs about 6.4 GiB, ", 7},
        {"A 16384 16384 8.0 exclusive busy=7\n", "auto", 4, 1024, "0: it takes one process at a time\n", 7},
        {"A 16384 1000 8.0 1=15000\nB 16384 16384 8.0 busy=9\n", "1", 4, 2048, "0: others use 15.0 of 16.0 GiB\n", 9},
        {"A 16384 16384 8.0 busy=7\n", "auto", 8, 512, "0: what 4 at once do is being measured\n", 7},
        {"A 16384 16384 8.0 busy=7\n", "8", 8, 512, "0: no training is left to start\n", 7},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        struct engine_result r;
        struct reasons said = {.busy = -2};
        gpus_machine(cases[i].gpus);
        struct made *m = gpus_trainings(5, 60, cases[i].mib);
        log_set_level(LOG_ERROR);
        TEST_OK(made_run(&r, m,
                         (struct engine_options){.jobs = cases[i].jobs,
                                                 .slots = cases[i].slots,
                                                 .ms_gpus = 30,
                                                 .on_event = note_reasons,
                                                 .ctx = &said}));
        log_set_level(LOG_INFO);
        if (!strstr(said.text, cases[i].says)) {
            fprintf(stderr, "case %zu: no \"%s\" in\n%s\n", i, cases[i].says, said.text);
            CU_FAIL("why");
        }
        CU_ASSERT_EQUAL(said.busy, cases[i].busy);
        CU_ASSERT_TRUE(said.used >= 0 && said.told > 2);
        int last = r.n_gpus - 1;
        CU_ASSERT_TRUE_FATAL(last >= 0);
        CU_ASSERT_EQUAL(r.gpus[last].index, last);
        if (cases[i].busy < 0)
            CU_ASSERT_TRUE(r.gpus[last].busy < 0)
        else
            CU_ASSERT_DOUBLE_EQUAL(r.gpus[last].busy, cases[i].busy, 0.5);
        made_free(m);
    }
}

/* A driver that stops to answer, or crashes, while a run goes on costs what it would have said, and no time. */
static void hang_driver(void *ctx, const struct engine_event *ev)
{
    int *told = ctx;
    if (ev->kind == ENGINE_GPUS && ++*told == 2) gpus_machine("hang\n");
}
static void crash_driver(void *ctx, const struct engine_event *ev)
{
    int *told = ctx;
    if (ev->kind == ENGINE_GPUS && ++*told == 2) gpus_machine("crash\n");
}

static void engine_gauge__does_without_a_driver_that_breaks(void)
{
    for (int crashes = 0; crashes < 2; crashes++) {
        struct engine_result r;
        int told = 0;
        gpus_machine("A 16384 16384 8.0 busy=50\n");
        struct made *m = gpus_trainings(4, 100, 1024);
        TEST_OK(made_run(&r, m,
                         (struct engine_options){.jobs = 2,
                                                 .slots = "2",
                                                 .ms_gpus = 20,
                                                 .on_event = crashes ? crash_driver : hang_driver,
                                                 .ctx = &told}));
        CU_ASSERT_EQUAL(r.done, 4);
        CU_ASSERT_TRUE(r.seconds < 12);
        CU_ASSERT_TRUE(told >= 2 && told < 10);
        made_free(m);
    }
}

static const struct test tests[] = {
    TEST(engine_gauge__tells_what_gpus_do_and_why_no_more_trains),
    TEST(engine_gauge__does_without_a_driver_that_breaks),
};
TEST_MAIN("engine.gauge", tests)
