/* What is known of GPUs, from a driver library in each of its moods. */
#include "inside.h"
#include "test.h"
#include <errno.h>
#include <unistd.h>

/* In the place of the system's, which has no process left when a test says so. */
static bool no_processes;
pid_t fork(void)
{
    if (!no_processes) return _Fork();
    errno = EAGAIN;
    return -1;
}

static void tell(const char *text)
{
    char path[500];
    snprintf(path, sizeof path, "%s/gpus", test_dir());
    TEST_OK(fs_write(path, text, strlen(text)));
    setenv("FAKE_NVML", path, 1);
}

static void load(const char *name)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", test_build_dir(), name);
    setenv("SWEEP_NVML", path, 1);
    unsetenv("CUDA_VISIBLE_DEVICES");
}

static const char *const two = "A100 81920 80000 8.0\nV100 16384 4096 7.0 exclusive 41=8000 42=4000\n";

static void check_two(const struct engine_gpus *g)
{
    CU_ASSERT_STRING_EQUAL(g->trouble, "");
    CU_ASSERT_EQUAL_FATAL(g->n, 2);
    CU_ASSERT_STRING_EQUAL(g->v[0].name, "A100");
    CU_ASSERT_STRING_EQUAL(g->v[1].uuid, "GPU-V100");
    CU_ASSERT_EQUAL(g->v[0].bytes_total, (int64_t)81920 << 20);
    CU_ASSERT_EQUAL(g->v[1].bytes_free, (int64_t)4096 << 20);
    CU_ASSERT_EQUAL(g->v[0].n_processes, 0);
    CU_ASSERT_EQUAL_FATAL(g->v[1].n_processes, 2);
    CU_ASSERT_EQUAL(g->v[1].processes[0].pid, 41);
    CU_ASSERT_EQUAL(g->v[1].processes[1].pid, 42);
    CU_ASSERT_EQUAL(g->v[1].processes[1].bytes, (int64_t)4000 << 20);
    CU_ASSERT_EQUAL(g->v[1].index, 1);
}

static void engine_gpu__reads_both_forms_of_the_library(void)
{
    struct engine_gpus g;
    load("fake-nvml.so");
    tell(two);
    engine_gpus(&g);
    check_two(&g);
    CU_ASSERT_EQUAL(g.v[1].capability[0], 7);
    CU_ASSERT_TRUE(!g.v[0].exclusive && g.v[1].exclusive);
    load("fake-nvml-old.so");
    engine_gpus(&g);
    check_two(&g);
    CU_ASSERT_EQUAL(g.v[1].capability[0], 0);
}

static void engine_gpu__takes_any_trouble_for_a_message(void)
{
    static const struct {
        const char *library, *file, *says;
        int n;
        bool absent;
    } moods[] = {
        {"none.so", "", "cannot be loaded", 0, true},
        {"fake-nvml-none.so", "", "has no nvmlInit_v2", 0, false},
        {"fake-nvml.so", "", "", 0, false},
        {"fake-nvml.so", "A 1 1 8.0\nfail start 9\n", "does not start: error 9: Driver Not Loaded", 0, false},
        {"fake-nvml-old.so", "A 1 1 8.0\nfail start 9\n", "does not start: error 9;", 0, false},
        {"fake-nvml.so", "A 1 1 8.0\nfail count 999\n", "how many GPUs there are: error 999", 0, false},
        {"fake-nvml.so", "A 1 1 8.0\nfail memory 15\n", "memory: error 15", 0, false},
        {"fake-nvml.so", "A 1 1 8.0\nB 1 1 8.0\nfail device 4\n", "", 1, false}, /* not ours to see */
        {"fake-nvml.so", "crash\n", "crashed (signal 6)", 0, false},
    };
    struct engine_gpus g;
    for (size_t i = 0; i < LEN(moods); i++) {
        load(moods[i].library);
        tell(moods[i].file);
        engine_gpus(&g);
        if (!strstr(g.trouble, moods[i].says) || !moods[i].says[0] != !g.trouble[0]) {
            fprintf(stderr, "mood %zu: got \"%s\", expected \"%s\"\n", i, g.trouble, moods[i].says);
            CU_FAIL("trouble");
        }
        CU_ASSERT_EQUAL(g.n, moods[i].n);
        CU_ASSERT_EQUAL(g.absent, moods[i].absent);
    }
}

static void engine_gpu__waits_for_no_driver_that_hangs(void)
{
    struct engine_gpus g;
    load("fake-nvml.so");
    tell("hang\n");
    double start = time_mono();
    gpu_ask(&g, getenv("SWEEP_NVML"), 300);
    CU_ASSERT_TRUE(time_mono() - start < 60);
    CU_ASSERT_EQUAL(g.n, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(g.trouble, "no answer for 0.3 s"));
}

static void engine_gpu__sees_what_it_may(void)
{
    static const struct {
        const char *visible, *names;
    } cases[] = {
        {NULL, "A B C"}, {"", ""},           {"1", "B"},    {"2,0", "C A"}, {"GPU-C,0", "C A"},  {"0,7,1", "A"},
        {"-1", ""},      {"NoDevFiles", ""}, {"GPU-Z", ""}, {"0,x,1", "A"}, {"MIG-5a,1", "a B"}, /* a part, then a whole
                                                                                                    one */
    };
    struct engine_gpus g;
    load("fake-nvml.so");
    tell("A 1 1 8.0\nB 1 1 8.0\nC 1 1 8.0\n");
    for (size_t i = 0; i < LEN(cases); i++) {
        if (cases[i].visible) setenv("CUDA_VISIBLE_DEVICES", cases[i].visible, 1);
        engine_gpus(&g);
        char names[200] = "";
        for (int k = 0; k < g.n; k++) {
            size_t n = strlen(names);
            snprintf(names + n, sizeof names - n, "%s%.1s", k ? " " : "", g.v[k].name);
            CU_ASSERT_EQUAL(g.v[k].index, k);
        }
        if (strcmp(names, cases[i].names) != 0) {
            fprintf(stderr, "\"%s\": got \"%s\", expected \"%s\"\n", cases[i].visible ? cases[i].visible : "(unset)",
                    names, cases[i].names);
            CU_FAIL("visible");
        }
    }
    unsetenv("CUDA_VISIBLE_DEVICES");
}

/* It is asked again and again while a run goes on: what is left open each time adds up. */
static void engine_gpu__leaves_no_pipe_where_there_is_no_process(void)
{
    struct engine_gpus g;
    load("fake-nvml.so");
    tell(two);
    int before = dup(STDIN_FILENO), after;
    close(before);
    no_processes = true;
    gpu_ask(&g, getenv("SWEEP_NVML"), 10000);
    no_processes = false;
    CU_ASSERT_PTR_NOT_NULL(strstr(g.trouble, "cannot be started: Resource temporarily unavailable"));
    after = dup(STDIN_FILENO);
    close(after);
    CU_ASSERT_EQUAL(after, before); /* the lowest that is free */
    gpu_ask(&g, getenv("SWEEP_NVML"), 10000);
    check_two(&g);
}

static const struct test tests[] = {
    TEST(engine_gpu__reads_both_forms_of_the_library),          TEST(engine_gpu__takes_any_trouble_for_a_message),
    TEST(engine_gpu__waits_for_no_driver_that_hangs),           TEST(engine_gpu__sees_what_it_may),
    TEST(engine_gpu__leaves_no_pipe_where_there_is_no_process),
};
TEST_MAIN("engine.gpu", tests)
