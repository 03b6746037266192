/* Worker processes: started with posix_spawn, read without blocking, reaped with what they used. */
#include "inside.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { FD_EVENTS = 3, FD_LOCK = 4, FD_GPU = 5, MAX_LINE = 64 << 20 };

static int stdin_of(const char *text)
{
    int fd = memfd_create("job", MFD_CLOEXEC);
    if (fd < 0) return -1;
    size_t n = strlen(text), done = 0;
    while (done < n) {
        ssize_t got = write(fd, text + done, n - done);
        if (got <= 0) {
            close(fd);
            return -1;
        }
        done += (size_t)got;
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

/* How a program is started: for one run, to stay for more, to measure. */
enum verb { VERB_STAGE, VERB_STAY, VERB_MEASURE };
static const char *const verbs[] = {[VERB_STAGE] = "stage", [VERB_STAY] = "stay", [VERB_MEASURE] = "--job"};

struct pipes {
    int job, log, events[2], lock, channel;
};

/* @p p: none is open yet; what is open after a failure is the caller's to close. */
static struct status open_pipes(struct pipes *p, const struct engine *e, const struct worker *w, const char *job)
{
    TRY(locks_take(&p->lock, e, (int)(w - e->workers)));
    p->job = stdin_of(job);
    if (p->job < 0) return fail(STATUS_IO, "a worker's job: %s", strerror(errno));
    p->log = open(w->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (p->log < 0) return fail(STATUS_IO, "%s: %s", w->log, strerror(errno));
    return ok();
}

/* For a new process. */
static struct status open_events(struct pipes *p)
{
    if (pipe2(p->events, O_CLOEXEC) != 0) return fail(STATUS_IO, "a worker's pipe: %s", strerror(errno));
    fcntl(p->events[0], F_SETFL, O_NONBLOCK);
    return ok();
}

/* Descriptors above the ones the child gets, so that none is overwritten before it is copied. */
static int lifted(int fd)
{
    int up = fcntl(fd, F_DUPFD_CLOEXEC, 10), why = errno;
    close(fd);
    errno = why;
    return up;
}

/* @p verb: what the program is told first. A process that stays gets its lock with each run instead. */
static struct status spawn(pid_t *pid, struct engine *e, struct pipes *p, int task, const char *program,
                           const char *verb)
{
    const struct place_gpu *gpu = e->tasks[task].gpu;
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t at;
    int *const lift[] = {&p->job, &p->log, &p->events[1], &p->lock};
    for (size_t i = 0; i < LEN(lift); i++)
        if ((*lift[i] = lifted(*lift[i])) < 0) /* without it the worker would read what is ours */
            return fail(STATUS_IO, "%s: cannot be started: %s; raise the limit of `ulimit -n`", program,
                        strerror(errno));
    posix_spawn_file_actions_init(&fa);
    posix_spawnattr_init(&at);
    posix_spawn_file_actions_adddup2(&fa, p->job, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&fa, p->log, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&fa, p->log, STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&fa, p->events[1], FD_EVENTS);
    if (strcmp(verb, verbs[VERB_STAY]) != 0) posix_spawn_file_actions_adddup2(&fa, p->lock, FD_LOCK);
    if (gpu && gpu->lock >= 0) posix_spawn_file_actions_adddup2(&fa, gpu->lock, FD_GPU);
    sigset_t all;
    sigfillset(&all);
    posix_spawnattr_setsigdefault(&at, &all);
    posix_spawnattr_setsigmask(&at, &e->mask_before);
    posix_spawnattr_setpgroup(&at, 0); /* the terminal's Ctrl-C is ours to pass on */
    posix_spawnattr_setflags(&at, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    char name[1100], first[16];
    snprintf(name, sizeof name, "%s", program);
    snprintf(first, sizeof first, "%s", verb);
    char *argv[] = {name, first, NULL};
    struct arena a = {0};
    place_pin(e, task, true);
    int rc = posix_spawn(pid, program, &fa, &at, argv, place_environment(&a, e, task, environ));
    place_pin(e, task, false);
    arena_free(&a);
    posix_spawn_file_actions_destroy(&fa);
    posix_spawnattr_destroy(&at);
    return rc == 0 ? ok() : fail(STATUS_IO, "%s: cannot be started: %s; is the build complete?", program, strerror(rc));
}

static struct worker *free_slot(struct engine *e)
{
    for (int i = 0; i < ENGINE_MAX_JOBS; i++)
        if (!e->workers[i].pid) return &e->workers[i];
    return NULL;
}

static struct status log_path(char *out, size_t n, struct engine *e, int task)
{
    const struct plan_stage *g = &e->p->stages[task];
    struct arena a = {0};
    char *dir = fs_join(&a, job_dir(&a, e, g->trial), "logs");
    struct status st = fs_mkdir(dir);
    snprintf(out, n, "%s/%s%s%s%s%s.log", dir, plan_kinds[g->kind].name, g->format[0] ? "-" : "", g->format,
             g->device[0] ? "-" : "", g->device);
    arena_free(&a);
    return st;
}

static struct status job_text(char **out, struct engine *e, int task)
{
    json_t *job = NULL;
    TRY(job_json(&job, e, task));
    *out = json_canonical(job);
    json_decref(job);
    return ok();
}

/* A process that stays finds its first run in the channel, which is its stdin. */
static struct status open_channel(struct pipes *p)
{
    int ends[2];
    if (!pass_channel(ends)) return fail(STATUS_IO, "a worker's channel: %s", strerror(errno));
    p->channel = ends[0];
    bool sent = pass_send(ends[0], (int[]){p->job, p->log, p->lock}, 3);
    close(p->job);
    p->job = ends[1];
    return sent ? ok() : fail(STATUS_IO, "a worker's channel: %s", strerror(errno));
}

/* A new process for the worker's run, whose files are open. */
static struct status start_new(struct engine *e, struct worker *w, struct pipes *p, int task)
{
    const char *program = job_program(e, task);
    bool stays = resident_may(e, task);
    enum verb verb = stays ? VERB_STAY : program == e->worker_path ? VERB_STAGE : VERB_MEASURE;
    if (stays) TRY(open_channel(p));
    TRY(open_events(p));
    TRY(spawn(&w->pid, e, p, task, program, verbs[verb]));
    w->fd = p->events[0];
    w->task = task;
    if (stays) resident_begins(e, w, p->channel);
    return ok();
}

static struct status start_one(struct engine *e, struct worker *w, struct pipes *p, int task)
{
    char *text = NULL;
    TRY(log_path(w->log, sizeof w->log, e, task));
    TRY(job_text(&text, e, task));
    struct status st = open_pipes(p, e, w, text);
    free(text);
    TRY(st);
    if (resident_may(e, task) && resident_hire(e, w, task, (int[]){p->job, p->log, p->lock}, 3)) return ok();
    return start_new(e, w, p, task);
}

struct status process_start(struct engine *e, int task)
{
    struct worker *w = free_slot(e);
    CHECK(w, "more jobs than slots");
    struct pipes p = {-1, -1, {-1, -1}, -1, -1};
    place_take(e, w, task); /* first: the job says where it runs; given back below whatever fails */
    struct status st = start_one(e, w, &p, task);
    if (st.code == STATUS_OK) {
        locks_sign(p.lock, w->pid);
        w->task = task;
        w->started = w->beat = time_mono();
        w->beside = e->o->shared;
        e->n_running++;
        e->exclusive = queue_measures(e, task) && !e->o->measure_beside;
        for (int i = 0; i < ENGINE_MAX_JOBS && e->n_running > 1; i++) e->workers[i].beside = true;
        e->tasks[task].state = TASK_RUNNING;
    } else {
        place_give(e, w);
        if (p.events[0] >= 0) close(p.events[0]);
        if (p.channel >= 0) close(p.channel);
        *w = (struct worker){0};
    }
    const int ours[] = {p.job, p.log, p.events[1], p.lock};
    for (size_t i = 0; i < LEN(ours); i++)
        if (ours[i] >= 0) close(ours[i]);
    return st;
}

void process_distrust(struct worker *w, enum how fault, const char *why)
{
    if (!w->trouble[0]) {
        snprintf(w->trouble, sizeof w->trouble, "%s", why);
        w->fault = fault;
    }
    if (w->pid > 0) kill(-w->pid, SIGKILL);
    w->killed = true;
}

static void take_line(struct engine *e, struct worker *w, const char *line, size_t n)
{
    json_t *j = NULL;
    struct status st = json_parse(&j, "event", line, n);
    if (st.code != STATUS_OK || !json_str(j, "ev", NULL)) {
        char why[200];
        snprintf(why, sizeof why, "wrote something that is no event: %.80s", line);
        for (char *p = why; *p; p++)
            if ((unsigned char)*p < ' ' || (unsigned char)*p > '~') *p = '?';
        process_distrust(w, HOW_NONSENSE, why);
    } else if (w->rested) {
        process_distrust(w, HOW_NONSENSE, "said something after its run's last word");
    } else if (!w->trouble[0]) {
        w->beat = time_mono();
        if (w->stays && strcmp(json_str(j, "ev", ""), "rest") == 0) {
            w->rested = true;
            w->rested_bytes = json_int(j, "rss_bytes", 0);
        } else if (strcmp(json_str(j, "ev", ""), "end") == 0) {
            json_decref(w->end);
            w->end = json_incref(j);
        } else {
            bool latency = strcmp(json_str(j, "ev", ""), "latency") == 0;
            if (w->beside && latency) json_object_set_new(j, "busy", json_true());
            engine_store_event(e, w, j);
        }
    }
    json_decref(j);
}

void process_read(struct engine *e, struct worker *w)
{
    char block[65536];
    for (;;) {
        ssize_t n = read(w->fd, block, sizeof block);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            if (n == 0) { /* ended, or closed its pipe: the reaping tells which */
                close(w->fd);
                w->fd = -1;
            }
            break;
        }
        str_addn(&w->in, block, (size_t)n);
        size_t at = 0;
        for (char *nl; at < w->in.n && (nl = memchr(w->in.s + at, '\n', w->in.n - at));
             at = (size_t)(nl - w->in.s) + 1) {
            *nl = 0;
            if (nl > w->in.s + at) take_line(e, w, w->in.s + at, (size_t)(nl - w->in.s) - at);
        }
        memmove(w->in.s, w->in.s + at, w->in.n - at + 1);
        w->in.n -= at;
        if (w->in.n > MAX_LINE) {
            process_distrust(w, HOW_NONSENSE, "wrote an event without an end");
            w->in.n = 0;
        }
    }
}

static void run_ended(struct engine *e, struct worker *w, int wait_status, int64_t rss)
{
    struct task *t = &e->tasks[w->task];
    if (rss > t->rss_bytes) t->rss_bytes = rss;
    t->seconds += time_mono() - w->started;
    place_give(e, w);
    e->n_running--;
    e->exclusive = false;
    w->pid = 0; /* it runs no more, whoever asks what is left */
    job_ended(e, w, wait_status);
    json_decref(w->end);
    str_free(&w->in);
    *w = (struct worker){0};
}

bool process_reap(struct engine *e)
{
    bool some = false;
    for (int i = 0; i < ENGINE_MAX_JOBS; i++) {
        struct worker *w = &e->workers[i];
        siginfo_t info = {0};
        if (w->pid && w->rested) {
            resident_rests(e, w);
            run_ended(e, w, 0, w->rested_bytes);
            some = true;
            continue;
        }
        if (!w->pid || waitid(P_PID, (id_t)w->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
            continue;
        kill(-w->pid, SIGKILL);             /* whatever it started dies with it, before its id is free again */
        if (w->fd >= 0) process_read(e, w); /* before, too: its last words may be a reason to kill by that id */
        struct rusage use = {0};
        int wait_status = 0;
        wait4(w->pid, &wait_status, 0, &use);
        if (w->fd >= 0) close(w->fd);
        resident_ended(e, w);
        if (w->rested && !w->trouble[0]) wait_status = 0; /* it ended while it waited: the run was over */
        run_ended(e, w, wait_status, w->rested ? w->rested_bytes : (int64_t)use.ru_maxrss * 1024);
        some = true;
    }
    return some;
}

void process_ask(struct worker *w)
{
    w->asked = true;
    kill(w->pid, SIGTERM);
}

void process_signal(struct engine *e, int sig)
{
    for (int i = 0; i < ENGINE_MAX_JOBS; i++) {
        struct worker *w = &e->workers[i];
        if (w->pid && sig == SIGTERM) process_ask(w);
        if (w->pid && sig == SIGKILL) kill(-w->pid, sig);
    }
}
