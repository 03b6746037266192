/* One stage from job to exit code; or one after another. */
#include "worker.h"
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_NOT_UNDERSTOOD = 2, EXIT_OOM = 12, EXIT_DEVICE = 13, EXIT_INTERRUPTED = 75 };

static struct status run_train(struct outcome *out, const struct job *j, const struct train_job *t)
{
    (void)j;
    struct train_result r;
    TRY(train_run(&r, t));
    if (r.end == TRAIN_DIVERGED) {
        out->state = "diverged";
        snprintf(out->reason, sizeof out->reason, "%s", r.reason);
    }
    return ok();
}

static struct status run_evaluate(struct outcome *out, const struct job *j, const struct train_job *t)
{
    (void)out, (void)j;
    return train_evaluate(t);
}

/* clang-format off */
const struct stage worker_stages[] = {
    {.name = "screen", .run = stage_screen, .doc = "export the untrained net, for the latency gate"},
    {.name = "train", .run = run_train, .doc = "train, or continue from the folder's checkpoint"},
    {.name = "evaluate", .run = run_evaluate, .doc = "final metrics, image by image"},
    {.name = "export", .run = stage_export, .doc = "write the trained net in a format"},
    {.name = "verify", .run = stage_verify, .doc = "compare an exported file's output with ours on real images"},
    {.name = "bench", .run = stage_bench, .doc = "latency in this program's libtorch (device torch)"},
    {.name = "samples", .run = stage_samples, .doc = "validation images: input, target, output"},
    {.name = NULL},
};
/* clang-format on */

static struct status find_stage(const struct stage **out, const char *name)
{
    const char *names[LEN(worker_stages)];
    for (size_t i = 0; i < LEN(worker_stages); i++) {
        names[i] = worker_stages[i].name;
        if (names[i] && strcmp(names[i], name) == 0) {
            *out = &worker_stages[i];
            return ok();
        }
    }
    const char *near = str_nearest(name, names);
    return fail(STATUS_ARG,
                "job: stage: got \"%s\", expected screen, train, evaluate, export, verify, bench or samples%s%s", name,
                near ? "; did you mean " : "", near ? near : "");
}

/* Of a folder, the size of all files in it and a hash of their names and hashes. */
static struct status measure(int64_t *bytes, struct hash *h, struct arena *a, const char *path)
{
    char **names;
    struct str all = {0};
    *bytes = 0;
    if (!fs_is_dir(path)) {
        *bytes = fs_size(path);
        return hash_file(h, path);
    }
    TRY(fs_list(&names, NULL, a, path));
    struct status s = ok();
    for (int i = 0; names[i] && s.code == STATUS_OK; i++) {
        int64_t part;
        struct hash of;
        s = measure(&part, &of, a, fs_join(a, path, names[i]));
        if (s.code != STATUS_OK) break;
        *bytes += part;
        str_addf(&all, "%s %s\n", names[i], of.hex);
    }
    *h = hash_bytes(all.s ? all.s : "", all.n);
    str_free(&all);
    return s;
}

struct status tell_artifact(const struct train_job *t, const char *kind, const char *format, const char *name,
                            const char *path)
{
    struct hash h;
    struct arena a = {0};
    int64_t bytes;
    struct status s = measure(&bytes, &h, &a, path);
    arena_free(&a);
    TRY(s);
    train_emit(t, "artifact", "{s:s, s:s, s:s, s:s, s:I, s:s}", "kind", kind, "format", format, "name", name, "path",
               path, "bytes", (json_int_t)bytes, "hash", h.hex);
    return ok();
}

/** What a status means to the coordinator. */
static int end_of(const char **state, enum status_code code)
{
    switch (code) {
    case STATUS_REFUSED:
        *state = "refused";
        return EXIT_OK;
    case STATUS_INTERRUPTED:
        *state = "interrupted";
        return EXIT_INTERRUPTED;
    case STATUS_OOM:
        *state = "failed";
        return EXIT_OOM;
    case STATUS_DEVICE:
        *state = "failed";
        return EXIT_DEVICE;
    case STATUS_OK:
        return EXIT_OK;
    default:
        *state = "failed";
        return EXIT_FAILED;
    }
}

static bool on_gpu(const struct job *j)
{
    return strcmp(j->compute, "cpu") != 0 && tensor_cuda_count() > 0;
}

/* Also of a stage that failed: it may be why. */
static void tell_gpu_bytes(const struct job *j, const struct train_job *t)
{
    if (!on_gpu(j)) return;
    int64_t bytes = tensor_bytes_peak((struct tensor_device){.cuda = true});
    if (bytes > 0) train_emit(t, "info", "{s:{s:I}}", "values", "gpu_bytes_peak", (json_int_t)bytes);
}

/* A training's progress tells what it holds of its GPU, so that others beside it are let in by that. */
static void emit_with_memory(void *user, json_t *event)
{
    int64_t held = strcmp(json_str(event, "ev", ""), "progress") == 0
                       ? tensor_bytes_held((struct tensor_device){.cuda = true})
                       : 0;
    if (held > 0) json_object_set_new(event, "gpu_bytes", json_integer((json_int_t)held));
    events_emit(user, event);
}

static int run(const struct stage *stage, const struct job *j)
{
    struct train_job t = {.trial = &j->config,
                          .id = j->trial,
                          .key = j->key,
                          .images = j->images,
                          .dir = j->dir,
                          .cache = j->cache,
                          .device = j->compute,
                          .micro_batch = j->micro_batch,
                          .from_dir = json_str(j->from, "dir", NULL),
                          .from_key = json_str(j->from, "key", NULL),
                          .emit = on_gpu(j) ? emit_with_memory : events_emit,
                          .stop = &worker_stop};
    struct outcome o = {.state = "done"};
    tensor_start(j->threads);
    struct status s = stage->run(&o, j, &t);
    tell_gpu_bytes(j, &t);
    const char *state = o.state;
    int code = end_of(&state, s.code);
    if (s.code != STATUS_OK)
        log_at(code == EXIT_OK || code == EXIT_INTERRUPTED ? LOG_INFO : LOG_ERROR, "%s: %s", stage->name, s.msg);
    train_emit(&t, "end", "{s:s, s:o}", "state", state, "reason",
               json_of_bytes(s.code == STATUS_OK ? o.reason : s.msg)); /* it may name a path, which is any bytes */
    return code;
}

/* From the job to the code. */
static int do_job(FILE *in)
{
    struct job j;
    const struct stage *stage = NULL;
    struct status s = job_read(&j, in);
    if (s.code == STATUS_OK) s = find_stage(&stage, j.stage);
    int code = EXIT_NOT_UNDERSTOOD;
    if (s.code == STATUS_OK) {
        code = run(stage, &j);
    } else {
        log_error("%s", s.msg);
        struct train_job t = {.emit = events_emit};
        train_emit(&t, "end", "{s:s, s:o}", "state", "failed", "reason", json_of_bytes(s.msg));
    }
    job_free(&j);
    return code;
}

int worker_stage(FILE *in)
{
    events_open();
    signals_catch();
    return do_job(in);
}

/* The kernel counts this process's peak of memory from here on. Without the right to say so it is that of all runs. */
static void forget_peak(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? write(fd, "5", 1) : 0;
    (void)n;
    if (fd >= 0) close(fd);
    tensor_forget_peak();
}

static int64_t peak_bytes(void)
{
    char line[200];
    long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %ld", &kib) == 1) break;
    if (f) fclose(f);
    return (int64_t)kib * 1024;
}

static void log_to(int fd)
{
    fflush(NULL);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    close(fd);
}

int worker_stay(int channel)
{
    enum { JOB, LOG, LOCK, N_FILES };
    events_open();
    signals_catch();
    for (;;) {
        int fds[PASS_MAX], n = pass_receive(channel, fds);
        if (n < 0 && errno == EINTR && !worker_stop) continue;
        if (worker_stop) return EXIT_INTERRUPTED;
        if (n != N_FILES) return n == 0 ? EXIT_OK : EXIT_NOT_UNDERSTOOD;
        log_to(fds[LOG]);
        forget_peak();
        FILE *in = fdopen(fds[JOB], "r");
        CHECK(in, "a job's file");
        rewind(in);
        int code = do_job(in);
        fclose(in);
        if (code != EXIT_OK || worker_stop) return code; /* the next run gets another process */
        int64_t peak = peak_bytes();
        log_to(open("/dev/null", O_WRONLY | O_CLOEXEC));
        tensor_rest();
        malloc_trim(0);
        close(fds[LOCK]);
        json_t *rest = json_pack("{s:s, s:I}", "ev", "rest", "rss_bytes", (json_int_t)peak);
        events_emit(NULL, rest);
        json_decref(rest);
    }
}
