/* Latency of the trained net in this program's libtorch, by the protocol of room bench: each thread count in a process
 * of its own, batch norms folded as in an exported file. */
#include "bench.h"
#include "worker.h"
#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/** The net as it would be exported, with its values. */
struct folded {
    struct train_model trained;
    struct net_values values, folded_values;
    struct net *net;
    struct exec *exec;
};

static void folded_close(struct folded *f)
{
    exec_free(f->exec);
    net_free(f->net);
    if (f->folded_values.v) net_values_free(&f->folded_values);
    if (f->values.v) net_values_free(&f->values);
    train_model_close(&f->trained);
}

static struct status folded_open(struct folded *f, const struct job *j, const struct train_job *t)
{
    *f = (struct folded){.net = NULL};
    TRY(train_model_open(&f->trained, t, train_weights_wanted(&j->config), "fp32"));
    TRY(exec_values(&f->values, f->trained.exec));
    TRY(net_for_inference(&f->net, &f->folded_values, f->trained.net, f->values.v));
    TRY(exec_new(&f->exec, f->net,
                 &(struct exec_options){.compute = TENSOR_F32,
                                        .device = f->trained.device,
                                        .frozen = true,
                                        .channels_last = j->config.train.channels_last}));
    return exec_set_values(f->exec, f->folded_values.v);
}

static struct status timed(struct folded *f, struct tensor *x, double *ms)
{
    struct tensor *y = NULL;
    double start = time_mono();
    TRY(exec_run(f->exec, &(struct exec_mode){.train = false}, &x, &y));
    struct status s = tensor_synchronize(f->trained.device);
    *ms = (time_mono() - start) * 1e3;
    tensor_free(y);
    return s;
}

struct samples {
    float *us;
    int n, cap;
};

static void add(struct samples *s, double ms)
{
    if (s->n == s->cap) s->us = mem_realloc(s->us, (size_t)(s->cap = s->cap * 2 + 256) * sizeof *s->us);
    s->us[s->n++] = (float)(ms * 1e3);
}

static struct status measure(struct samples *out, double *first_ms, struct folded *f, struct tensor *x,
                             const struct bench_mode *m)
{
    double ms, start;
    TRY(timed(f, x, first_ms));
    start = time_mono();
    do TRY(timed(f, x, &ms));
    while (time_mono() - start < m->warmup_s);
    start = time_mono();
    while (bench_stop(m, out->n, time_mono() - start) == BENCH_GO_ON) {
        if (worker_stop) return fail(STATUS_INTERRUPTED, "bench: asked to stop");
        TRY(timed(f, x, &ms));
        add(out, ms);
    }
    return ok();
}

static struct status input(struct tensor **x, const struct folded *f)
{
    struct net_shape s = net_shape_of(f->net, f->net->inputs[0].val);
    int64_t n = net_numel(s);
    float *v = mem_alloc((size_t)n * sizeof *v);
    struct rng r = rng_key(0, 0, 0, 0);
    for (int64_t i = 0; i < n; i++) v[i] = (float)rng_range(&r, -2, 2);
    struct status st = tensor_from_host(x, TENSOR_F32, s.rank, s.d, v, f->trained.device);
    free(v);
    return st;
}

static void tell(const struct train_job *t, const struct job *j, const struct samples *s, const struct bench_mode *m,
                 bool cuda, double load_ms, double first_ms)
{
    struct bench_stats b = bench_stats(s->us, s->n);
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    json_t *samples = json_array();
    for (int i = 0; i < s->n; i++) json_array_append_new(samples, json_real((double)s->us[i]));
    json_t *info = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "runtime", "libtorch", "version", tensor_torch_version(),
                             "mode", m->name, "percentile_rule", BENCH_PERCENTILE_RULE, "timed_region",
                             "one run, net folded", "compute", cuda ? "cuda" : "cpu");
    train_emit(t, "latency",
               "{s:s, s:s, s:i, s:i, s:i, s:I, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:b, s:I, s:o, s:o, s:f}",
               "format", j->format, "device", "torch", "threads", j->threads, "height", j->config.data.size[0], "width",
               j->config.data.size[1], "visit", (json_int_t)json_int(j->json, "visit", 0), "n", b.n, "load_ms", load_ms,
               "first_ms", first_ms, "min_ms", b.min_ms, "p50_ms", b.p50_ms, "p90_ms", b.p90_ms, "p99_ms", b.p99_ms,
               "mean_ms", b.mean_ms, "cov", b.cov, "unstable", (int)b.unstable, "rss_bytes",
               (json_int_t)use.ru_maxrss * 1024, "samples_us", samples, "info", info, "measured", time_now());
}

static struct status visit(const struct job *j, const struct train_job *t)
{
    struct folded f;
    const struct bench_mode *mode;
    struct samples samples = {.n = 0};
    struct tensor *x = NULL;
    double first_ms, start = time_mono();
    TRY(bench_mode_find(&mode, json_str(j->json, "mode", "normal")));
    struct status s = folded_open(&f, j, t);
    double load_ms = (time_mono() - start) * 1e3;
    if (s.code == STATUS_OK) s = input(&x, &f);
    if (s.code == STATUS_OK) s = measure(&samples, &first_ms, &f, x, mode);
    if (s.code == STATUS_OK) tell(t, j, &samples, mode, f.trained.device.cuda, load_ms, first_ms);
    tensor_free(x);
    free(samples.us);
    folded_close(&f);
    return s;
}

/** A visit in a fresh process; how it ended is its exit code, why is on stderr. */
static struct status visit_apart(const struct job *j, const struct train_job *t, int threads)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) return fail(STATUS_IO, "bench: a process cannot be started: %s", strerror(errno));
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        struct job own = *j;
        own.threads = threads;
        tensor_start(threads);
        struct status s = visit(&own, t);
        if (s.code != STATUS_OK) log_error("%s", s.msg);
        fflush(NULL);
        _exit((int)s.code);
    }
    int how;
    while (waitpid(pid, &how, 0) < 0)
        if (worker_stop) kill(pid, SIGTERM);
    if (WIFSIGNALED(how)) return fail(STATUS_TORCH, "bench: the measuring process died of signal %d", WTERMSIG(how));
    if (WEXITSTATUS(how) == STATUS_OK) return ok();
    return fail((enum status_code)WEXITSTATUS(how), "bench: the measurement with %d threads failed; see the log",
                threads);
}

struct status stage_bench(struct outcome *out, const struct job *j, const struct train_job *t)
{
    (void)out;
    if (strcmp(j->device, "torch") != 0)
        return fail(STATUS_ARG, "job: device: got \"%s\", expected torch: sweep-bench measures the others", j->device);
    const json_t *list = json_object_get(j->json, "threads");
    if (!json_is_array(list)) return visit_apart(j, t, j->threads);
    for (size_t i = 0; i < json_array_size(list); i++)
        TRY(visit_apart(j, t, (int)json_integer_value(json_array_get(list, i))));
    return ok();
}
