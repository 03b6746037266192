/* How a worker ends: what it does not understand, what is impossible, who asks it to stop, who is gone. */
#include "data.h"
#include "spec.h"
#include "started.h"

static void stage__what_is_not_understood_exits_2(void)
{
    static const struct {
        const char *job, *says;
    } rows[] = {
        {"", "stdin is empty"},
        {"{\"stage\":", "job:"},
        {"[1]", "expected a JSON object"},
        {"{}", "is missing or no text"},
        {"{\"stage\": \"train\", \"dir\": \"/nowhere/at/all\"}", "is no folder"},
    };
    make_dir();
    for (size_t i = 0; i < LEN(rows); i++) {
        char line[2000] = "";
        struct process p = start(rows[i].job);
        CU_ASSERT_PTR_NOT_NULL(fgets(line, sizeof line, p.events));
        CU_ASSERT_EQUAL(finish(&p), 2);
        if (!strstr(line, rows[i].says)) {
            fprintf(stderr, "%s", line);
            CU_FAIL(rows[i].says);
        }
    }
    json_t *e;
    CU_ASSERT_EQUAL(run(&e, "trian", "{}"), 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(json_str(find(e, "end"), "reason", ""), "did you mean train"));
    json_decref(e);
    CU_ASSERT_EQUAL(run(&e, "train", "{\"train.epochs\": -1}"), 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(json_str(find(e, "end"), "reason", ""), "train.epochs"));
    json_decref(e);
}

/* A file's name is any bytes, and so is a message that names it; an event is text. */
static void stage__a_reason_is_text_whatever_it_names(void)
{
    static const char *const files[] = {"input/a\xff.png", "target/b.png"};
    struct arena a = {0};
    json_t *e;
    make_dir();
    for (size_t i = 0; i < LEN(files); i++) {
        const char *path = fs_join(&a, dir, files[i]);
        TEST_OK(fs_mkdir(fs_dirname(&a, path)));
        TEST_OK(fs_write(path, "none", 4));
    }
    CU_ASSERT_EQUAL(
        run(&e, "train",
            arena_printf(&a, "{\"data.root\": \"%s\", \"data.input\": \"input\", \"data.target\": \"target\"}", dir)),
        1);
    check_end(e, "failed");
    CU_ASSERT_PTR_NOT_NULL(strstr(json_str(find(e, "end"), "reason", ""), "a\xef\xbf\xbd"));
    json_decref(e);
    arena_free(&a);
}

static void stage__pictures_may_have_any_name(void)
{
    static const char *const stages[] = {"train", "evaluate", "samples"}, *const folders[] = {"input", "target"};
    static uint8_t pixels[3 * 64 * 64];
    struct arena a = {0};
    make_dir();
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 7);
    for (int i = 0; i < 8; i++)
        for (size_t k = 0; k < LEN(folders); k++) {
            const char *path = arena_printf(&a, "%s/%s/%d\xff.png", dir, folders[k], i);
            TEST_OK(fs_mkdir(fs_dirname(&a, path)));
            TEST_OK(data_image_save(path, pixels, 64, 64));
        }
    const char *changes = arena_printf(&a,
                                       "{\"data.root\": \"%s\", \"data.input\": \"input\", \"data.target\": "
                                       "\"target\", \"train.epochs\": 1}",
                                       dir);
    for (size_t i = 0; i < LEN(stages); i++) {
        json_t *e;
        CU_ASSERT_EQUAL(run(&e, stages[i], changes), 0);
        check_end(e, "done");
        json_decref(e);
    }
    arena_free(&a);
}

static void stage_train__refuses_images_that_changed_since_the_plan(void)
{
    json_t *e;
    make_dir();
    CU_ASSERT_EQUAL(run(&e, "train", "{\"config\": {}, \"images\": \"00000000000000000000000000000000\"}"), 1);
    check_end(e, "failed");
    CU_ASSERT_PTR_NOT_NULL(strstr(json_str(find(e, "end"), "reason", ""), "the images have changed since"));
    json_decref(e);
}

static void stage__impossible_is_refused_not_failed(void)
{
    json_t *e;
    make_dir();
    CU_ASSERT_EQUAL(run(&e, "train",
                        "{\"model.arch\": \"deeplabv3\", \"model.backbone\": \"vgg11\", \"model.depth\": 5,"
                        " \"model.channels\": [16]}"),
                    0);
    check_end(e, "refused");
    CU_ASSERT_TRUE(strlen(json_str(find(e, "end"), "reason", "")) > 10);
    json_decref(e);
    CU_ASSERT_EQUAL(run(&e, "evaluate", "{}"), 1); /* nothing was trained */
    check_end(e, "failed");
    json_decref(e);
}

/** Waits for the first progress of a long training. */
static struct process start_long(bool apart)
{
    char *job = job_text("train", "{\"train.epochs\": 5000}"), *line = NULL;
    size_t cap = 0;
    struct process p = start_as(job, apart);
    while (getline(&line, &cap, p.events) > 0 && !strstr(line, "\"progress\"")) continue;
    free(line);
    free(job);
    return p;
}

/** What it says last. */
static bool ends_interrupted(struct process *p)
{
    char *line = NULL, last[2000] = "";
    size_t cap = 0;
    while (getline(&line, &cap, p->events) > 0) snprintf(last, sizeof last, "%s", line);
    free(line);
    return strstr(last, "\"end\"") && strstr(last, "\"interrupted\"");
}

static void stage__asked_to_stop_writes_a_checkpoint(void)
{
    make_dir();
    struct process p = start_long(false);
    kill(p.pid, SIGTERM);
    CU_ASSERT_TRUE(ends_interrupted(&p));
    CU_ASSERT_EQUAL(finish(&p), 75);
    char path[400];
    snprintf(path, sizeof path, "%s/last.safetensors", dir);
    CU_ASSERT_TRUE(fs_exists(path));
}

static void stage__nobody_listening_is_a_stop(void)
{
    make_dir();
    struct process p = start_long(false);
    fclose(p.events);
    p.events = NULL;
    CU_ASSERT_EQUAL(finish(&p), 75);
}

/** The pipe still has a reader: it is the kernel that tells the worker. */
static void stage__dead_parent_is_a_stop(void)
{
    make_dir();
    struct process p = start_long(true);
    kill(p.pid, SIGKILL);
    CU_ASSERT_TRUE(ends_interrupted(&p));
    finish(&p);
}

/** Runs the program with one argument; what it prints into @p out. Returns the exit code. */
static int run_plain(char *out, size_t n, const char *argument)
{
    char command[1400];
    snprintf(command, sizeof command, "%s/sweep-worker %s 2>&1", test_build_dir(), argument);
    FILE *f = popen(command, "r");
    size_t got = fread(out, 1, n - 1, f);
    out[got] = 0;
    int how = pclose(f);
    return WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

static void stage__computes_where_it_is_told(void)
{
    json_t *e;
    make_dir();
    setenv("CUDA_VISIBLE_DEVICES", "", 1); /* whatever this machine has */
    CU_ASSERT_EQUAL(run(&e, "train", "{\"compute\": \"cuda\", \"config\": {}}"), 1);
    check_end(e, "failed");
    CU_ASSERT_PTR_NOT_NULL(strstr(json_str(find(e, "end"), "reason", ""), "got \"cuda\", but libtorch sees 0 GPUs"));
    json_decref(e);
    CU_ASSERT_EQUAL(run(&e, "train", "{\"compute\": \"cpu\", \"config\": {\"train.epochs\": 1}}"), 0);
    bool told = false;
    for (size_t i = 0; i < json_array_size(e); i++)
        told = told || strcmp(json_str(json_object_get(json_array_get(e, i), "values"), "device", ""), "cpu") == 0;
    CU_ASSERT_TRUE(told);
    json_decref(e);
    unsetenv("CUDA_VISIBLE_DEVICES");
}

static void worker__says_what_it_can(void)
{
    char out[8192];
    CU_ASSERT_EQUAL(run_plain(out, sizeof out, "--help"), 0);
    static const char *const parts[] = {"stage", "probe", "bench-train", "evaluate", "75 interrupted"};
    for (size_t i = 0; i < LEN(parts); i++) CU_ASSERT_PTR_NOT_NULL(strstr(out, parts[i]));
    CU_ASSERT_EQUAL(run_plain(out, sizeof out, "stag"), 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(out, "did you mean stage"));
    CU_ASSERT_EQUAL(run_plain(out, sizeof out, ""), 2);
    CU_ASSERT_EQUAL(run_plain(out, sizeof out, "--version"), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(out, "libtorch"));
}

static const struct test tests[] = {
    TEST(stage__what_is_not_understood_exits_2),   TEST(stage__a_reason_is_text_whatever_it_names),
    TEST(stage__pictures_may_have_any_name),       TEST(stage_train__refuses_images_that_changed_since_the_plan),
    TEST(stage__impossible_is_refused_not_failed), TEST(stage__asked_to_stop_writes_a_checkpoint),
    TEST(stage__nobody_listening_is_a_stop),       TEST(stage__dead_parent_is_a_stop),
    TEST(stage__computes_where_it_is_told),        TEST(worker__says_what_it_can),
};
TEST_MAIN("worker.end", tests)
