/* The worker as the coordinator sees it: a process with a job on stdin, events on fd 3, an exit code. */
#include "export.h"
#include "rgba.h"
#include "spec.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EVENTS_FD = 3 };

/** A started worker. */
struct process {
    pid_t pid;
    FILE *events;
};

static char dir[320];

static char *job_text(const char *stage, const char *changes)
{
    json_error_t e;
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:{s:s, s:i, s:i, s:s, s:s, s:i, s:[i,i,i], s:s, s:[i], s:[i],"
                  " s:i, s:i, s:s, s:i, s:i}}",
                  "stage", stage, "trial", "0123456789ab", "key", "k", "dir", dir, "cache", dir, "threads", 1, "config",
                  "data.root", "synthetic", "data.pairs", 10, "data.size", 64, "model.arch", "unet", "model.backbone",
                  "mobilenetv3_small_100", "model.depth", 3, "model.channels", 16, 8, 8, "loss.network",
                  "mobilenetv3_small_100", "loss.feature_weights", 1, "loss.gram_weights", 0, "train.epochs", 2,
                  "train.batch", 4, "train.precision", "fp32", "samples", 1, "seed", 3);
    json_t *over = json_loads(changes, 0, &e), *config = json_object_get(over, "config");
    CHECK(j && over, "%s", e.text);
    json_object_update(json_object_get(j, "config"), config ? config : over);
    if (config) {
        json_object_del(over, "config");
        json_object_update(j, over);
    }
    char *text = json_dumps(j, JSON_COMPACT);
    json_decref(j);
    json_decref(over);
    return text;
}

/** ONNX Runtime itself loses a few bytes: a sanitized worker that loads it shall not fail for that. */
static void forgive_runtime(void)
{
    static const char text[] = "leak:libonnxruntime\n";
    char path[400], options[420];
    snprintf(path, sizeof path, "%s/lsan", dir);
    TEST_OK(fs_write(path, text, strlen(text)));
    snprintf(options, sizeof options, "suppressions=%s", path);
    setenv("LSAN_OPTIONS", options, 1);
}

/** Becomes the worker. */
static _Noreturn void become(const char *in_path, int events)
{
    char program[1100];
    snprintf(program, sizeof program, "%s/sweep-worker", test_build_dir());
    int in = open(in_path, O_RDONLY), apart = fcntl(events, F_DUPFD, 10);
    dup2(in, STDIN_FILENO);
    dup2(apart, EVENTS_FD);
    if (apart != EVENTS_FD) close(apart);
    execl(program, program, "stage", (char *)NULL);
    _exit(127);
}

/** @p apart: the process returned is the worker's parent, which waits for ever. */
static struct process start_as(const char *job, bool apart)
{
    char in_path[400];
    int out[2];
    forgive_runtime();
    snprintf(in_path, sizeof in_path, "%s/job.json", dir);
    TEST_OK(fs_write(in_path, job, strlen(job)));
    CHECK(pipe2(out, O_CLOEXEC) == 0, "pipe");
    struct process p = {.pid = fork()};
    if (p.pid == 0) {
        if (apart && fork() != 0) {
            close(out[0]);
            close(out[1]);
            for (;;) pause();
        }
        become(in_path, out[1]);
    }
    close(out[1]);
    p.events = fdopen(out[0], "r");
    return p;
}

static struct process start(const char *job)
{
    return start_as(job, false);
}

static int finish(struct process *p)
{
    int how = 0;
    if (p->events) fclose(p->events);
    waitpid(p->pid, &how, 0);
    return WIFEXITED(how) ? WEXITSTATUS(how) : -WTERMSIG(how);
}

/** Runs a stage to its end; all its events into *events (an array, the caller's). Returns the exit code. */
static int run(json_t **events, const char *stage, const char *changes)
{
    char *job = job_text(stage, changes), *line = NULL;
    size_t cap = 0;
    struct process p = start(job);
    *events = json_array();
    while (getline(&line, &cap, p.events) > 0) {
        json_t *e = NULL;
        TEST_OK(json_parse(&e, "event", line, strlen(line)));
        json_array_append_new(*events, e);
    }
    free(line);
    free(job);
    return finish(&p);
}

/** The last event of this name, NULL when there is none. */
static const json_t *find(const json_t *events, const char *ev)
{
    for (size_t i = json_array_size(events); i-- > 0;)
        if (strcmp(json_str(json_array_get(events, i), "ev", ""), ev) == 0) return json_array_get(events, i);
    return NULL;
}

static double final_value(const json_t *events, const char *name)
{
    const json_t *m = find(events, "metrics");
    return json_int(m, "epoch", 0) == -1 ? json_num(json_object_get(m, "values"), name, -9) : -9;
}

static void check_end(const json_t *events, const char *state)
{
    const json_t *last = json_array_get(events, json_array_size(events) - 1);
    CU_ASSERT_STRING_EQUAL(json_str(last, "ev", ""), "end");
    CU_ASSERT_STRING_EQUAL(json_str(last, "state", ""), state);
    if (strcmp(json_str(last, "state", ""), state) != 0) fprintf(stderr, "%s\n", json_str(last, "reason", ""));
}

static void make_dir(void)
{
    snprintf(dir, sizeof dir, "%s", test_dir());
}

static void stages__from_training_to_samples(void)
{
    json_t *e;
    char model[400], over[900];
    make_dir();
    CU_ASSERT_EQUAL(run(&e, "train", "{}"), 0);
    check_end(e, "done");
    CU_ASSERT_TRUE(json_int(json_object_get(find(e, "info"), "values"), "loss_random", -1) != 0);
    CU_ASSERT_STRING_EQUAL(json_str(find(e, "artifact"), "kind", ""), "last");
    CU_ASSERT_TRUE(final_value(e, "train_loss") > 0);
    json_decref(e);

    CU_ASSERT_EQUAL(run(&e, "evaluate", "{}"), 0);
    check_end(e, "done");
    CU_ASSERT_PTR_NOT_NULL(find(e, "image"));
    CU_ASSERT_TRUE(final_value(e, "ssim") > 0);
    json_decref(e);

    static const char *const ios[] = {"tensor", "image"};
    for (size_t i = 0; i < LEN(ios); i++) {
        snprintf(over, sizeof over, "{\"format\": \"onnx\", \"config\": {\"export.io\": \"%s\"}}", ios[i]);
        CU_ASSERT_EQUAL(run(&e, "export", over), 0);
        check_end(e, "done");
        const json_t *a = find(e, "artifact");
        CU_ASSERT_STRING_EQUAL(json_str(a, "kind", ""), "model");
        snprintf(model, sizeof model, "%s", json_str(a, "path", ""));
        CU_ASSERT_EQUAL(json_int(a, "bytes", -1), fs_size(model));
        json_decref(e);
        snprintf(over, sizeof over, "{\"model\": \"%s\", \"format\": \"onnx\", \"config\": {\"export.io\": \"%s\"}}",
                 model, ios[i]);
        CU_ASSERT_EQUAL(run(&e, "verify", over), 0);
        check_end(e, "done");
        CU_ASSERT_TRUE(final_value(e, "verify_max_abs") >= final_value(e, "verify_mean_abs"));
        CU_ASSERT_TRUE(final_value(e, "verify_mean_abs") >= 0);
        json_decref(e);
    }

    CU_ASSERT_EQUAL(run(&e, "samples", "{}"), 0);
    check_end(e, "done");
    const json_t *s = find(e, "artifact");
    CU_ASSERT_STRING_EQUAL(json_str(s, "kind", ""), "sample");
    CU_ASSERT_TRUE(fs_exists(json_str(s, "path", "")));
    json_decref(e);

    CU_ASSERT_EQUAL(run(&e, "bench", "{\"device\": \"torch\", \"threads\": [1], \"mode\": \"quick\", \"config\": {}}"),
                    0);
    check_end(e, "done");
    CU_ASSERT_TRUE(json_num(find(e, "latency"), "p50_ms", 0) > 0);
    CU_ASSERT_EQUAL(json_int(find(e, "latency"), "n", -1),
                    (int64_t)json_array_size(json_object_get(find(e, "latency"), "samples_us")));
    json_decref(e);
}

/* Every stage in turn with an input of so many channels; @p root as data.root. */
static void check_channels(const char *root, int channels, const char *order)
{
    static const char *const stages[] = {"train", "evaluate", "export", "verify", "samples"};
    char model[400] = "", over[1400];
    json_t *e;
    for (size_t i = 0; i < LEN(stages); i++) {
        snprintf(over, sizeof over,
                 "{\"model\": \"%s\", \"format\": \"onnx\", \"config\": {\"data.root\": \"%s\", \"train.epochs\": 1,"
                 " \"model.in_channels\": %d, \"export.io\": \"image\"}}",
                 model, root, channels);
        CU_ASSERT_EQUAL(run(&e, stages[i], over), 0);
        check_end(e, "done");
        if (strcmp(stages[i], "export") == 0)
            snprintf(model, sizeof model, "%s", json_str(find(e, "artifact"), "path", ""));
        if (strcmp(stages[i], "verify") == 0) CU_ASSERT_TRUE(final_value(e, "verify_max_abs") >= 0);
        json_decref(e);
    }
    struct export_summary s;
    TEST_OK(export_onnx_read(&s, model));
    CU_ASSERT_EQUAL(s.inputs[0].shape[1], channels);
    CU_ASSERT_EQUAL(s.outputs[0].shape[1], 3);
    CU_ASSERT_STRING_EQUAL(export_summary_meta(&s, "input_color_order"), order);
    CU_ASSERT_PTR_NOT_NULL(export_summary_meta(&s, "input_mean"));
    export_summary_free(&s);
}

static void stages__take_grey_and_rgba(void)
{
    char root[400];
    make_dir();
    check_channels("synthetic", 1, "gray");
    make_dir();
    snprintf(root, sizeof root, "%s/pairs", dir);
    test_write_rgba_pairs(root, 10, 64);
    check_channels(root, 4, "RGBA");
}

static void stage_screen__exports_what_is_not_trained(void)
{
    json_t *e;
    make_dir();
    CU_ASSERT_EQUAL(run(&e, "screen", "{}"), 0);
    check_end(e, "done");
    struct export_summary s;
    TEST_OK(export_onnx_read(&s, json_str(find(e, "artifact"), "path", "")));
    CU_ASSERT_STRING_EQUAL(export_summary_meta(&s, "backbone"), "mobilenetv3_small_100");
    export_summary_free(&s);
    json_decref(e);
}

static void stage_verify__catches_a_wrong_file(void)
{
    json_t *e;
    make_dir();
    char over[900];
    CU_ASSERT_EQUAL(run(&e, "screen", "{}"), 0);
    snprintf(over, sizeof over, "{\"model\": \"%s\", \"format\": \"onnx\", \"config\": {}}",
             json_str(find(e, "artifact"), "path", ""));
    json_decref(e);
    CU_ASSERT_EQUAL(run(&e, "train", "{\"train.epochs\": 1, \"train.lr\": 0.01}"), 0);
    json_decref(e);
    CU_ASSERT_EQUAL(run(&e, "verify", over), 1); /* the untrained file is not the trained net */
    check_end(e, "failed");
    CU_ASSERT_PTR_NOT_NULL(strstr(json_str(find(e, "end"), "reason", ""), "differs from the trained net"));
    json_decref(e);
}

/* A net that returns its input, and no number where that is bright. */
static const char *file_with_a_hole(void)
{
    static char path[400];
    struct net *n = net_new();
    net_val x = net_input(n, "input", 3, 64, 64);
    net_val hole = net_relu(n, net_affine(n, x, 1, -1));
    for (int i = 0; i < 2; i++) hole = net_affine(n, hole, 1e38, 0);
    net_output(n, "output", net_add(n, x, net_affine(n, hole, 0, 0))); /* 0 times infinity */
    snprintf(path, sizeof path, "%s/hole.onnx", dir);
    TEST_OK(export_onnx(path, n, NULL, &(struct export_options){.io_image = false}));
    net_free(n);
    return path;
}

/* One value that is no number is a wrong file, however right the values after it are. */
static void stage_verify__catches_what_is_no_number(void)
{
    json_t *e;
    make_dir();
    char over[900];
    const char *same =
        "\"model.output.residual\": true, \"train.epochs\": 1, \"train.lr\": 1e-9"; /* still returns its input */
    snprintf(over, sizeof over, "{%s}", same);
    CU_ASSERT_EQUAL(run(&e, "train", over), 0);
    json_decref(e);
    snprintf(over, sizeof over, "{\"model\": \"%s\", \"format\": \"onnx\", \"config\": {%s}}", file_with_a_hole(),
             same);
    CU_ASSERT_EQUAL(run(&e, "verify", over), 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(json_str(find(e, "end"), "reason", ""), "by up to inf"));
    json_decref(e);
}

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
    TEST(stages__from_training_to_samples),
    TEST(stages__take_grey_and_rgba),
    TEST(stage_screen__exports_what_is_not_trained),
    TEST(stage_verify__catches_a_wrong_file),
    TEST(stage_verify__catches_what_is_no_number),
    TEST(stage__what_is_not_understood_exits_2),
    TEST(stage_train__refuses_images_that_changed_since_the_plan),
    TEST(stage__impossible_is_refused_not_failed),
    TEST(stage__asked_to_stop_writes_a_checkpoint),
    TEST(stage__nobody_listening_is_a_stop),
    TEST(stage__dead_parent_is_a_stop),
    TEST(stage__computes_where_it_is_told),
    TEST(worker__says_what_it_can),
};
TEST_MAIN("worker.stage", tests)
