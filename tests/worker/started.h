/* The worker as the coordinator sees it: a process with a job on stdin, events on fd 3, an exit code. */
#ifndef TESTS_WORKER_STARTED_H
#define TESTS_WORKER_STARTED_H

#include "test.h"
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

static inline char *job_text(const char *stage, const char *changes)
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
static inline void forgive_runtime(void)
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
static inline struct process start_as(const char *job, bool apart)
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

static inline struct process start(const char *job)
{
    return start_as(job, false);
}

static inline int finish(struct process *p)
{
    int how = 0;
    if (p->events) fclose(p->events);
    waitpid(p->pid, &how, 0);
    return WIFEXITED(how) ? WEXITSTATUS(how) : -WTERMSIG(how);
}

/** Runs a stage to its end; all its events into *events (an array, the caller's). Returns the exit code. */
static inline int run(json_t **events, const char *stage, const char *changes)
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
static inline const json_t *find(const json_t *events, const char *ev)
{
    for (size_t i = json_array_size(events); i-- > 0;)
        if (strcmp(json_str(json_array_get(events, i), "ev", ""), ev) == 0) return json_array_get(events, i);
    return NULL;
}

static inline double final_value(const json_t *events, const char *name)
{
    const json_t *m = find(events, "metrics");
    return json_int(m, "epoch", 0) == -1 ? json_num(json_object_get(m, "values"), name, -9) : -9;
}

static inline void check_end(const json_t *events, const char *state)
{
    const json_t *last = json_array_get(events, json_array_size(events) - 1);
    CU_ASSERT_STRING_EQUAL(json_str(last, "ev", ""), "end");
    CU_ASSERT_STRING_EQUAL(json_str(last, "state", ""), state);
    if (strcmp(json_str(last, "state", ""), state) != 0) fprintf(stderr, "%s\n", json_str(last, "reason", ""));
}

static inline void make_dir(void)
{
    snprintf(dir, sizeof dir, "%s", test_dir());
}

#endif
