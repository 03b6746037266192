/* GPUs that fall off the bus while a run is on them: the runs end, the trials do not. */
#include "gpus.h"
#include "inside.h"
#include "siege.h"
#include <fcntl.h>

/* Of what is told of GPUs the third time, the machine is another. */
struct change {
    const char *to;
    int told, starts_on[2]; /* after it */
};

static void change(void *ctx, const struct engine_event *ev)
{
    struct change *c = ctx;
    if (ev->kind == ENGINE_GPUS && ++c->told == 3 && c->to) gpus_machine(c->to);
    if (ev->kind == ENGINE_STAGE_START && ev->gpu >= 0 && ev->gpu < 2 && c->told > 10) c->starts_on[ev->gpu]++;
}

/* A run whose log is read: how it ended, and how often it said this. */
static struct status run_and_count(int *said, struct engine_result *r, struct made *m, struct engine_options o,
                                   const char *words)
{
    char path[500], *text = NULL;
    snprintf(path, sizeof path, "%s/stderr", m->dir);
    int keep = dup(STDERR_FILENO), file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    dup2(file, STDERR_FILENO);
    struct status st = made_run(r, m, o);
    dup2(keep, STDERR_FILENO);
    close(keep);
    close(file);
    TEST_OK(fs_read(&text, NULL, path));
    *said = 0;
    for (const char *p = text; (p = strstr(p, words)); p++) ++*said;
    free(text);
    return st;
}

static struct engine_options watched(struct change *c)
{
    return (struct engine_options){.slots = "2", .jobs = 4, .ms_gpus = 20, .on_event = change, .ctx = c};
}

static void engine_lost__goes_on_on_another_gpu(void)
{
    static const char *const after[] = {"A 16384 16384 8.0 lost=15\nB 16384 16384 8.0\n",
                                        "A 16384 16384 8.0 lost=16\nB 16384 16384 8.0\n", "B 16384 16384 8.0\n"};
    for (size_t i = 0; i < LEN(after); i++) {
        struct engine_result r;
        struct change c = {.to = after[i]};
        int said;
        gpus_machine(gpus_two);
        struct made *m = gpus_trainings(8, 80, 1024);
        TEST_OK(run_and_count(&said, &r, m, watched(&c), "GPU 0 (A): the driver says that it is gone; left out"));
        CU_ASSERT_EQUAL(r.done, 8);
        CU_ASSERT_EQUAL(said, 1);
        CU_ASSERT_EQUAL(c.starts_on[0], 0);
        CU_ASSERT_TRUE(c.starts_on[1] > 0);
        CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM stages WHERE state <> 'done'"), 0);
        made_free(m);
    }
}

/* An error that is none of a GPU's leaving takes none out. */
static void engine_lost__is_not_what_an_odd_driver_says(void)
{
    static const char *const after[] = {"A 16384 16384 8.0 lost=999\nB 16384 16384 8.0\n",
                                        "A 16384 16384 8.0\nB 16384 16384 8.0\nfail memory 999\n",
                                        "A 16384 16384 8.0\nB 16384 16384 8.0\nfail count 999\n"};
    for (size_t i = 0; i < LEN(after); i++) {
        struct engine_result r;
        struct change c = {.to = after[i]};
        int said;
        gpus_machine(gpus_two);
        struct made *m = gpus_trainings(6, 60, 1024);
        TEST_OK(run_and_count(&said, &r, m, watched(&c), "left out"));
        CU_ASSERT_EQUAL(r.done, 6);
        CU_ASSERT_EQUAL(said, 0);
        made_free(m);
    }
}

/* The last one: the run ends with a message, keeps what it has, and the next one goes on. */
static void engine_lost__ends_the_run_when_none_is_left(void)
{
    struct engine_result r;
    struct change c = {.to = "A 16384 16384 8.0 lost=15\n"};
    int said;
    gpus_machine("A 16384 16384 8.0\n");
    struct made *m = gpus_trainings(6, 60, 1024);
    TEST_FAILS(run_and_count(&said, &r, m, watched(&c), "left out"), STATUS_DEVICE, "no GPU is left: 0 (A) fell off");
    CU_ASSERT_EQUAL(said, 1);
    CU_ASSERT_EQUAL(r.failed, 0);
    CU_ASSERT_EQUAL(r.done + r.interrupted + r.queued, 6);
    CU_ASSERT_TRUE(r.interrupted > 0);
    int n;
    struct made_note *v = made_log(m, &n);
    for (int i = 0; i < n; i++) CU_ASSERT_STRING_EQUAL(v[i].compute, "cuda"); /* none on the CPU */
    free(v);
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM stages WHERE state = 'failed'"), 0);
    gpus_machine("A 16384 16384 8.0\n");
    TEST_OK(made_run(&r, m, (struct engine_options){.slots = "2"}));
    CU_ASSERT_EQUAL(r.done, 6);
    made_free(m);
}

/* Workers say so, the driver does not: after three times it is believed. */
static void engine_lost__believes_the_workers(void)
{
    struct engine_result r;
    struct change c = {.to = NULL};
    int said;
    gpus_machine(gpus_two);
    struct made *m = gpus_trainings(6, 150, 1024);
    for (int i = 0; i < 6; i++) json_object_set_new(m->configs[i], "fake.train", json_string("lost-on-GPU-A:150"));
    TEST_OK(run_and_count(&said, &r, m, (struct engine_options){.slots = "1", .jobs = 2, .on_event = change, .ctx = &c},
                          "GPU 0 (A): conv2d: CUDA error: uncorrectable ECC error encountered; left out"));
    CU_ASSERT_EQUAL(r.done, 6);
    CU_ASSERT_EQUAL(said, 1);
    made_free(m);
}

/* One training that brings down every GPU that it runs on is the trial's own fault in the end, and ends no sweep. */
static void engine_lost__is_sometimes_the_trial(void)
{
    struct engine_result r;
    struct change c = {.to = NULL};
    int said;
    gpus_machine(gpus_two);
    struct made *m = gpus_trainings(12, 120, 1024);
    json_object_set_new(m->configs[0], "fake.train", json_string("lost"));
    TEST_OK(run_and_count(&said, &r, m, (struct engine_options){.slots = "1", .jobs = 2, .on_event = change, .ctx = &c},
                          "left out"));
    CU_ASSERT_EQUAL(r.done, 11);
    CU_ASSERT_EQUAL(r.failed, 1);
    CU_ASSERT_EQUAL(said, 0);
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM stages WHERE json_extract(info, '$.ended_by') = 'gpu_lost' "
                                "AND state = 'failed'"),
                    1);
    made_free(m);
}

static const struct test tests[] = {
    TEST(engine_lost__goes_on_on_another_gpu),         TEST(engine_lost__is_not_what_an_odd_driver_says),
    TEST(engine_lost__ends_the_run_when_none_is_left), TEST(engine_lost__believes_the_workers),
    TEST(engine_lost__is_sometimes_the_trial),
};
TEST_MAIN("engine.lost", tests)
