/* A visit in a process of its own: its memory and its crashes are the model's, not the caller's. */
#include "bench.h"
#include <errno.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static json_t *event_of(const struct bench_result *r, const struct bench_job *job)
{
    const struct bench_stats *s = &r->stats;
    json_t *samples = json_array();
    for (int i = 0; i < s->n; i++) json_array_append_new(samples, json_real((double)r->samples_us[i]));
    return json_pack("{s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:b, s:I, s:o, s:O, s:f}", "threads",
                     job->threads, "height", r->height, "width", r->width, "n", s->n, "load_ms", r->load_ms, "first_ms",
                     r->first_ms, "min_ms", s->min_ms, "p50_ms", s->p50_ms, "p90_ms", s->p90_ms, "p99_ms", s->p99_ms,
                     "mean_ms", s->mean_ms, "cov", s->cov, "unstable", (int)s->unstable, "rss_bytes",
                     (json_int_t)r->rss_bytes, "samples_us", samples, "info", r->info, "measured", r->measured);
}

/* The child: one visit, one JSON text into the pipe. */
static _Noreturn void child(int to, const struct bench_job *job)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_IGN); /* a terminal's Ctrl-C reaches both; the parent decides */
    struct bench_result r;
    struct status s = bench_visit(&r, job);
    json_t *j = s.code == STATUS_OK ? event_of(&r, job) : json_pack("{s:i, s:s}", "code", (int)s.code, "msg", s.msg);
    int failed = json_dumpfd(j, to, JSON_COMPACT);
    _exit(failed ? 1 : 0); /* no destructors: the runtime's threads may still sleep */
}

/* Reads to the end, or until told to stop. */
static struct status collect(struct str *text, int from, const volatile sig_atomic_t *stop)
{
    struct pollfd p = {.fd = from, .events = POLLIN};
    for (char chunk[65536];;) {
        if (stop && *stop) return fail(STATUS_INTERRUPTED, "interrupted by a signal");
        int ready = poll(&p, 1, 100);
        if (ready <= 0) continue;
        ssize_t n = read(from, chunk, sizeof chunk);
        if (n < 0 && errno != EINTR) return fail(STATUS_IO, "reading from the visit: %s", strerror(errno));
        if (n == 0) return ok();
        if (n > 0) str_addn(text, chunk, (size_t)n);
    }
}

static struct status judge(json_t **out, const struct str *text, int wait, const struct bench_job *job)
{
    if (WIFSIGNALED(wait))
        return fail(STATUS_IO, "%s: the runtime was killed by signal %d (%s) while it loaded or ran the file",
                    job->model, WTERMSIG(wait), strsignal(WTERMSIG(wait)));
    if (!WIFEXITED(wait) || WEXITSTATUS(wait) != 0 || text->n == 0)
        return fail(STATUS_IO, "%s: the visit ended without a result (exit %d)", job->model, WEXITSTATUS(wait));
    TRY(json_parse(out, "visit", text->s, text->n));
    const char *msg = json_str(*out, "msg", NULL);
    if (!msg) return ok();
    struct status s = fail((enum status_code)json_int(*out, "code", STATUS_IO), "%s", msg);
    json_decref(*out);
    *out = NULL;
    return s;
}

struct status bench_visit_forked(json_t **out, const struct bench_job *job, const volatile sig_atomic_t *stop)
{
    int ends[2], wait = 0;
    *out = NULL;
    if (pipe(ends) != 0) return fail(STATUS_IO, "pipe: %s", strerror(errno));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        child(ends[1], job);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return fail(STATUS_IO, "fork: %s", strerror(errno));
    }
    struct str text = {0};
    struct status s = collect(&text, ends[0], stop);
    close(ends[0]);
    if (s.code != STATUS_OK) kill(pid, SIGKILL);
    while (waitpid(pid, &wait, 0) < 0 && errno == EINTR) continue;
    if (s.code == STATUS_OK) s = judge(out, &text, wait, job);
    str_free(&text);
    return s;
}
