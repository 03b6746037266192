/*
 * A worker that acts out its job's configuration by the protocol: "fake.STAGE" says how, "HOW-once" the first time
 * alone. Writes what it did to runs.log beside the trials, so that a test sees what ran, when, where, and whether it
 * ended.
 */
#include "base.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 3 };
static volatile sig_atomic_t asked;
static json_t *job;

static void on_signal(int sig)
{
    (void)sig;
    asked = 1;
}

static void send_text(const char *text)
{
    for (size_t n = strlen(text), at = 0; at < n;) {
        ssize_t got = write(EVENTS, text + at, n - at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            asked = 1; /* the coordinator is gone */
            return;
        }
        at += (size_t)got;
    }
}

static void say(json_t *event)
{
    struct str line = {0};
    char *text = json_canonical(event);
    str_addf(&line, "%s\n", text);
    send_text(line.s);
    str_free(&line);
    free(text);
    json_decref(event);
}

/* The cores that it may use: "0,3". */
static void cores(char *out, size_t size)
{
    cpu_set_t set;
    size_t n = 0;
    snprintf(out, size, "-");
    if (sched_getaffinity(0, sizeof set, &set) != 0) return;
    for (size_t i = 0; i < CPU_SETSIZE && n < size; i++)
        if (CPU_ISSET(i, &set)) n += (size_t)snprintf(out + n, size - n, "%s%zu", n ? "," : "", i);
}

static void note(const char *what)
{
    struct arena a = {0};
    char line[600], on[200];
    const char *gpu = getenv("CUDA_VISIBLE_DEVICES");
    cores(on, sizeof on);
    const char *path = arena_printf(&a, "%s/../runs.log", json_str(job, "dir", "."));
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0666);
    int n = snprintf(line, sizeof line, "%s %s %lld %s %d %.6f %s %s %s\n", json_str(job, "key", ""),
                     json_str(job, "stage", ""), (long long)json_int(job, "visit", -1), what, (int)getpid(),
                     time_mono(), json_str(job, "compute", "-"), gpu && gpu[0] ? gpu : "-", on);
    if (fd >= 0 && write(fd, line, (size_t)n) == n) close(fd);
    arena_free(&a);
}

static int end(const char *state, const char *reason, int code)
{
    note(state);
    say(json_pack("{s:s, s:s, s:s?}", "ev", "end", "state", state, "reason", reason));
    return code;
}

/* Atomic, but not made durable: the tests kill processes, not the machine. */
static void put(const char *path, const char *text)
{
    struct arena a = {0};
    char *tmp = arena_printf(&a, "%s.%d", path, (int)getpid());
    FILE *f = fopen(tmp, "w");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0 || rename(tmp, path) != 0) perror(path);
    arena_free(&a);
}

static void nap(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

/* The step that an earlier process reached. */
static int64_t reached(const char *path)
{
    char *text = NULL;
    int64_t step = 0;
    if (!fs_exists(path)) return 0;
    struct status st = fs_read(&text, NULL, path);
    if (st.code != STATUS_OK || !str_to_i64(text, &step)) step = 0;
    free(text);
    return step;
}

static void put_step(const char *path, int64_t step)
{
    char now[32];
    snprintf(now, sizeof now, "%d", (int)step);
    put(path, now);
}

/* Work in steps of 5 ms with a checkpoint each; true when all is done. What is reached depends on the key alone. */
static bool work(int steps)
{
    struct arena a = {0};
    const char *path = arena_printf(&a, "%s/%.8s.step", json_str(job, "dir", "."), json_str(job, "key", ""));
    int64_t step = reached(path), mib = json_int(json_object_get(job, "config"), "fake.gpu_mib", 0);
    while (step < steps && !asked) {
        nap(5);
        step++;
        put_step(path, step);
        json_t *progress = json_pack("{s:s, s:i, s:i, s:i, s:i, s:f}", "ev", "progress", "epoch", mib ? 2 : 0, "epochs",
                                     2, "step", (int)step, "steps", steps, "loss", 1.0);
        if (mib) json_object_set_new(progress, "gpu_bytes", json_integer(mib << 20));
        say(progress);
    }
    arena_free(&a);
    return step >= steps;
}

/* Epochs with the values of "fake.curve", told as a training tells them; after that of "fake.hold" it waits until it is
 * asked to stop. A process that continues tells the earlier ones again. */
static bool learn(void)
{
    struct arena a = {0};
    const char *path = arena_printf(&a, "%s/%.8s.step", json_str(job, "dir", "."), json_str(job, "key", ""));
    const json_t *config = json_object_get(job, "config"), *curve = json_object_get(config, "fake.curve");
    int64_t hold = json_int(config, "fake.hold", 0), before = reached(path), n = (int64_t)json_array_size(curve), i = 0;
    for (; i < n && (i < before || !asked); i++) {
        if (i >= before) nap(5);
        if (i >= before) put_step(path, i + 1);
        json_t *value = json_array_get(curve, (size_t)i); /* null: that epoch is not validated */
        say(json_pack("{s:s, s:i, s:{s:O*, s:f}}", "ev", "metrics", "epoch", (int)i + 1, "values", "ssim",
                      json_is_null(value) ? NULL : value, "val_loss", json_num(config, "fake.loss", 1)));
        for (int waits = 0; i + 1 == hold && !asked && waits < 2000; waits++) nap(5);
    }
    arena_free(&a);
    return i == n && !asked;
}

static void results(void)
{
    const char *key = json_str(job, "key", ""), *stage = json_str(job, "stage", "");
    struct arena a = {0};
    double value = (double)(hash_fnv1a(key, strlen(key)) % 100000) / 100000.0;
    if (strcmp(stage, "bench") == 0) {
        double ms = json_num(json_object_get(job, "config"), "fake.ms", 5);
        say(json_pack("{s:s, s:i, s:I, s:I, s:I, s:i, s:f, s:[f,f,f], s:b}", "ev", "latency", "threads", 1, "height",
                      (json_int_t)json_int(job, "height", 0), "width", (json_int_t)json_int(job, "width", 0), "visit",
                      (json_int_t)json_int(job, "visit", 0), "n", 3, "p50_ms", ms, "samples_us", ms * 1000, ms * 1000,
                      ms * 1000, "unstable", 0));
    } else if (strcmp(stage, "export") == 0 || strcmp(stage, "screen") == 0 || strcmp(stage, "train") == 0) {
        const char *kind = strcmp(stage, "train") == 0 ? "best" : "model";
        const char *path = arena_printf(&a, "%s/%s.%s", json_str(job, "dir", "."), kind, stage);
        put(path, key);
        say(json_pack("{s:s, s:s, s:s, s:s, s:i, s:s}", "ev", "artifact", "kind", kind, "format",
                      json_str(job, "format", ""), "path", path, "bytes", 32, "hash", key));
    }
    say(json_pack("{s:s, s:i, s:{s:f, s:n}}", "ev", "metrics", "epoch", -1, "values", "ssim", value, "nan"));
    arena_free(&a);
}

/* Grows until it is killed or asked to stop, up to a bound that spares the machine when nobody watches. */
static void grow(void)
{
    enum { STEP = 4 << 20, BOUND = 640 << 20 };
    for (size_t size = 0; size < BOUND && !asked; size += STEP) memset(mem_alloc(STEP), 1, STEP);
    while (!asked) nap(5);
}

static int leak(void)
{
    grow();
    return end("interrupted", NULL, 75);
}

/* Stays small itself; what it started grows, or what that started, whose parent is gone by then. */
static int leak_beneath(bool orphan)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (!orphan || fork() == 0) grow();
        _exit(0);
    }
    while (!asked) nap(5);
    return end("interrupted", NULL, 75);
}

/* Lives until a file named "go" lies beside the trials; false when it is asked to stop first. */
static bool held(void)
{
    struct arena a = {0};
    const char *go = arena_printf(&a, "%s/../go", json_str(job, "dir", "."));
    while (!asked && !fs_exists(go)) {
        nap(20);
        say(json_pack("{s:s, s:i}", "ev", "progress", "epoch", 0));
    }
    arena_free(&a);
    return !asked;
}

/* True when this key's stage has not been tried before. */
static bool first_try(void)
{
    struct arena a = {0};
    const char *mark = arena_printf(&a, "%s/%.8s.tried", json_str(job, "dir", "."), json_str(job, "key", ""));
    bool first = !fs_exists(mark);
    put(mark, "");
    arena_free(&a);
    return first;
}

static int act(const char *scripted)
{
    static const char once[] = "-once";
    char how[40];
    const char *arg = strchr(scripted, ':');
    const char *seen = getenv("CUDA_VISIBLE_DEVICES");
    int64_t n = 0;
    if (arg && !str_to_i64(arg + 1, &n)) n = 0;
    snprintf(how, sizeof how, "%s", scripted);
    char *suffix = strstr(how, once);
    if (suffix) *suffix = 0;
    if (suffix && !first_try()) snprintf(how, sizeof how, "ok");
    if (strcmp(how, "crash") == 0) {
        fprintf(stderr, "about to go down\n");
        abort();
    }
    if (strcmp(how, "hang") == 0)
        for (;;) nap(1000);
    if (strcmp(how, "garbage") == 0) {
        send_text("\x01\x02 no event at all\n");
        nap(200);
        exit(0);
    }
    if (strncmp(how, "malformed", 9) == 0) {
        send_text("{\"ev\":\"metrics\",\"values\":7}\n");
        if (strcmp(how, "malformed-stays") == 0)
            for (;;) nap(1000);
        return end("done", NULL, 0);
    }
    if (strcmp(how, "silent") == 0) exit(0);
    if (strcmp(how, "badjob") == 0) return 2;
    int64_t batch = json_int(json_object_get(job, "config"), "train.batch", 0), micro = json_int(job, "micro_batch", 0);
    if (strncmp(how, "oom-above:", 10) == 0 && (micro ? micro : batch) > n) return end("failed", "no memory", 12);
    if (strcmp(how, "leak") == 0 && !micro) return leak();
    if (strcmp(how, "leak-child") == 0 || strcmp(how, "leak-orphan") == 0)
        return leak_beneath(strcmp(how, "leak-orphan") == 0);
    if (strcmp(how, "wait") == 0 && !held()) return end("interrupted", NULL, 75);
    if (strcmp(how, "oom") == 0) return end("failed", "no memory for batch 8", 12);
    if (strcmp(how, "lost") == 0) return end("failed", "conv2d: CUDA error: unspecified launch failure", 13);
    if (strncmp(how, "lost-on-", 8) == 0 && seen && strncmp(seen, how + 8, strcspn(how + 8, ":")) == 0)
        return end("failed", "conv2d: CUDA error: uncorrectable ECC error encountered", 13);
    if (strcmp(how, "nothing") == 0) return end("done", NULL, 0);
    if (strcmp(how, "refuse") == 0) return end("refused", "this op has no counterpart", 0);
    if (strcmp(how, "diverge") == 0) return end("diverged", "loss is not finite at step 3", 0);
    if (strcmp(how, "fail") == 0) return end("failed", "image 7 does not decode", 1);
    if (strcmp(how, "stop") == 0) return end("interrupted", NULL, 75);
    if (strncmp(how, "epoch:", 6) == 0) /* one has been, then it works on */
        say(json_pack("{s:s, s:i, s:{s:f, s:f}}", "ev", "metrics", "epoch", 1, "values", "ssim", 0.625, "val_loss",
                      0.375));
    if (strcmp(how, "learn") == 0 && !learn()) return end("interrupted", NULL, 75);
    if (strncmp(how, "oom-above:", 10) == 0) n = 1; /* its number was not of steps */
    if (!work(n ? (int)n : 1)) return end("interrupted", NULL, 75);
    results();
    return end("done", NULL, 0);
}

static int one(FILE *in)
{
    static char text[1 << 20];
    size_t n = fread(text, 1, sizeof text - 1, in);
    struct status st = json_parse(&job, "job", text, n);
    if (st.code != STATUS_OK) return 2;
    char key[40], name[40];
    const char *stage = json_str(job, "stage", "");
    snprintf(key, sizeof key, "fake.%s", stage);
    snprintf(name, sizeof name, "FAKE_%s", stage);
    note("start");
    const char *all =
        getenv(name); /* of every trial, where a test plans by the real program; FAKE_ACT: of every stage */
    if (!all) all = getenv("FAKE_ACT");
    int code = act(json_str(json_object_get(job, "config"), key, all ? all : "ok"));
    json_decref(job);
    return code;
}

/* FAKE_LEAK: MiB that every job leaves behind. */
static void leave_behind(void)
{
    const char *text = getenv("FAKE_LEAK");
    int64_t mib = 0;
    if (!text || !str_to_i64(text, &mib)) return;
    memset(mem_alloc((size_t)mib << 20), 1, (size_t)mib << 20);
}

/* One job after another, as the real one does it. */
static int stay(void)
{
    for (;;) {
        int fds[PASS_MAX], n = pass_receive(STDIN_FILENO, fds);
        if (n < 0 && errno == EINTR && !asked) continue;
        if (asked) return 75;
        if (n != 3) return n == 0 ? 0 : 2;
        dup2(fds[1], STDOUT_FILENO);
        dup2(fds[1], STDERR_FILENO);
        close(fds[1]);
        FILE *in = fdopen(fds[0], "r");
        CHECK(in, "a job's file");
        rewind(in);
        int code = one(in);
        fclose(in);
        leave_behind();
        if (code != 0 || asked) return code;
        close(fds[2]);
        say(json_pack("{s:s, s:i}", "ev", "rest", "rss_bytes", 1 << 20));
    }
}

int main(int argc, char **argv)
{
    struct sigaction sa = {.sa_handler = on_signal};
    static const int signals[] = {SIGTERM, SIGINT, SIGUSR1};
    for (size_t i = 0; i < LEN(signals); i++) sigaction(signals[i], &sa, NULL);
    sa.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &sa, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    return argc > 1 && strcmp(argv[1], "stay") == 0 ? stay() : one(stdin);
}
