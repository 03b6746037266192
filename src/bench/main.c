/* sweep-bench: times one model file. By arguments for people, by a job on stdin for the coordinator. */
#include "bench.h"
#include <errno.h>
#include <unistd.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 75, MAX_THREADS = 16, EVENTS_FD = 3 };

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static void catch_signals(void)
{
    struct sigaction a = {.sa_handler = on_signal};
    sigaction(SIGTERM, &a, NULL);
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGUSR1, &a, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* A wrong model, library or argument is the user's to mend. */
static int exit_code(const struct status *s)
{
    return s->code == STATUS_OK                            ? EXIT_DONE
           : s->code == STATUS_INTERRUPTED                 ? EXIT_INTERRUPTED
           : s->code == STATUS_ARG || s->code == STATUS_IO ? EXIT_USAGE
                                                           : EXIT_FAILED;
}

/* ---- for people -------------------------------------------------------------------------------------------------- */

struct arguments {
    struct bench_job job;
    int threads[MAX_THREADS], n_threads;
    bool json, as_job, help;
};

static const char usage[] =
    "usage: sweep-bench --model FILE.onnx|FILE.tflite [option...]\n"
    "  --threads N[,N...]  processors to use, each in a fresh process; 0: all (default 1)\n"
    "  --mode MODE         quick (16 runs, 0.5 s), normal (64, 2 s; default), thorough (1024, 60 s)\n"
    "  --height H --width W  for a model that leaves its size open\n"
    "  --ort-lib FILE      libonnxruntime.so to load; else ORT_LIB, else the installed one\n"
    "  --seed N            of the random input (default 0)\n"
    "  --json              print one JSON object a thread count, with every sample\n"
    "  --job               read a job from stdin, write events to descriptor 3\n"
    "example: sweep-bench --model results/trials/0123456789ab/model.onnx --threads 1,0\n";

static struct status whole_number(int64_t *out, const char *option, const char *value, int64_t most)
{
    if (value && str_to_i64(value, out) && *out >= 0 && *out <= most) return ok();
    return fail(STATUS_ARG, "%s: got \"%s\", expected a whole number from 0 to %lld", option, value ? value : "",
                (long long)most);
}

static struct status thread_list(struct arguments *a, const char *value)
{
    struct arena arena = {0};
    struct status s = ok();
    a->n_threads = 0;
    for (char *part = arena_strdup(&arena, value), *end; s.code == STATUS_OK && part; part = end) {
        int64_t n;
        end = strchr(part, ',');
        if (end) *end++ = 0;
        s = a->n_threads == MAX_THREADS ? fail(STATUS_ARG, "--threads: expected at most %d counts", MAX_THREADS)
                                        : whole_number(&n, "--threads", part, 4096);
        if (s.code == STATUS_OK) a->threads[a->n_threads++] = (int)n;
    }
    arena_free(&arena);
    return s;
}

/* One option; *used is set when it took its value. */
static struct status option(struct arguments *a, const char *name, const char *value, bool *used)
{
    static const char *const names[] = {"--model", "--threads", "--mode", "--height", "--width", "--ort-lib",
                                        "--seed",  "--json",    "--job",  "--help",   NULL};
    const struct {
        const char *name;
        const char **text;
    } texts[] = {{"--model", &a->job.model}, {"--mode", &a->job.mode}, {"--ort-lib", &a->job.ort_lib}};
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {{"--json", &a->json}, {"--job", &a->as_job}, {"--help", &a->help}};
    int64_t n = 0;
    for (size_t i = 0; i < LEN(flags); i++)
        if (!strcmp(name, flags[i].name)) {
            *flags[i].flag = true;
            return ok();
        }
    const char *near = str_nearest(name, names);
    if (!near || strcmp(near, name))
        return fail(STATUS_ARG, "%s: unknown option%s%s%s", name, near ? "; did you mean " : "", near ? near : "",
                    near ? "?" : "");
    if (!value) return fail(STATUS_ARG, "%s: needs a value", name);
    *used = true;
    for (size_t i = 0; i < LEN(texts); i++)
        if (!strcmp(name, texts[i].name)) {
            *texts[i].text = value;
            return ok();
        }
    if (!strcmp(name, "--threads")) return thread_list(a, value);
    TRY(whole_number(&n, name, value, !strcmp(name, "--seed") ? INT64_MAX : 65536));
    if (!strcmp(name, "--height")) a->job.height = (int)n;
    if (!strcmp(name, "--width")) a->job.width = (int)n;
    if (!strcmp(name, "--seed")) a->job.seed = (uint64_t)n;
    return ok();
}

static struct status read_arguments(struct arguments *a, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        bool used = false;
        TRY(option(a, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &used));
        i += used;
    }
    if (a->as_job || a->help) return ok();
    if (!a->job.model) return fail(STATUS_ARG, "--model: missing, expected a file");
    const struct bench_mode *mode;
    return a->job.mode ? bench_mode_find(&mode, a->job.mode) : ok();
}

static void print_visit(const json_t *v)
{
    const json_t *info = json_object_get(v, "info");
    int64_t threads = json_int(info, "threads", 0);
    printf("%lld thread%s  %lldx%lld  p50 %.3f ms  p90 %.3f  p99 %.3f  min %.3f  mean %.3f  n %lld  CoV %.1f %%%s%s\n",
           (long long)threads, threads == 1 ? "" : "s", (long long)json_int(v, "height", 0),
           (long long)json_int(v, "width", 0), json_num(v, "p50_ms", 0), json_num(v, "p90_ms", 0),
           json_num(v, "p99_ms", 0), json_num(v, "min_ms", 0), json_num(v, "mean_ms", 0),
           (long long)json_int(v, "n", 0), 100 * json_num(v, "cov", 0),
           json_bool(v, "unstable", false) ? "  UNSTABLE" : "",
           json_bool(info, "capped", false) ? "  CAPPED: fewer samples than the mode asks for" : "");
    printf("  load %.1f ms  first run %.2f ms  peak memory %.1f MiB  %s %s  %s  governor %s\n",
           json_num(v, "load_ms", 0), json_num(v, "first_ms", 0), (double)json_int(v, "rss_bytes", 0) / 1048576.0,
           json_str(info, "runtime", "?"), json_str(info, "version", "?"), json_str(info, "cpu", "?"),
           json_str(info, "governor_before", "unknown"));
}

static struct status for_people(struct arguments *a)
{
    for (int i = 0; i < a->n_threads; i++) {
        json_t *v;
        a->job.threads = a->threads[i];
        TRY(bench_visit_forked(&v, &a->job, &stop));
        if (a->json) {
            char *line = json_canonical(v);
            puts(line);
            free(line);
        } else {
            print_visit(v);
        }
        json_decref(v);
    }
    return ok();
}

/* ---- for the coordinator ----------------------------------------------------------------------------------------- */

/* One event, one line. Fails when the reader is gone. */
static struct status event(json_t *e)
{
    char *line = json_canonical(e);
    struct str b = {0};
    str_addf(&b, "%s\n", line);
    free(line);
    json_decref(e);
    struct status s = ok();
    for (size_t at = 0; at < b.n;) {
        ssize_t n = write(EVENTS_FD, b.s + at, b.n - at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            s = fail(STATUS_INTERRUPTED, "events: %s", strerror(errno));
            break;
        }
        at += (size_t)n;
    }
    str_free(&b);
    return s;
}

static struct status read_job(json_t **out, struct arguments *a)
{
    struct str text = {0};
    char chunk[65536];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, stdin)) > 0;) str_addn(&text, chunk, n);
    struct status s = json_parse(out, "job", text.n ? text.s : "", text.n);
    str_free(&text);
    TRY(s);
    const json_t *j = *out;
    a->job = (struct bench_job){
        .model = json_str(j, "model", NULL),
        .ort_lib = json_str(j, "ort_lib", NULL),
        .mode = json_str(j, "mode", NULL),
        .height = (int)json_int(j, "height", 0),
        .width = (int)json_int(j, "width", 0),
        .seed = (uint64_t)json_int(j, "seed", 0),
    };
    if (strcmp(json_str(j, "stage", ""), "bench"))
        return fail(STATUS_ARG, "job: stage: got \"%s\", expected \"bench\"", json_str(j, "stage", ""));
    if (!a->job.model) return fail(STATUS_ARG, "job: model: missing, expected a file");
    if (strcmp(json_str(j, "device", "cpu"), "cpu"))
        return fail(STATUS_REFUSED, "job: device: got \"%s\", expected \"cpu\": no other is built yet",
                    json_str(j, "device", ""));
    const json_t *list = json_object_get(j, "threads");
    a->n_threads = 0;
    for (size_t i = 0; i < json_array_size(list) && i < MAX_THREADS; i++)
        a->threads[a->n_threads++] = (int)json_integer_value(json_array_get(list, i));
    if (a->n_threads == 0 || json_array_size(list) > MAX_THREADS)
        return fail(STATUS_ARG, "job: threads: expected an array of 1 to %d counts", MAX_THREADS);
    const struct bench_mode *mode;
    return a->job.mode ? bench_mode_find(&mode, a->job.mode) : ok();
}

static struct status visits(struct arguments *a, const json_t *j)
{
    for (int i = 0; i < a->n_threads; i++) {
        json_t *v;
        a->job.threads = a->threads[i];
        TRY(bench_visit_forked(&v, &a->job, &stop));
        json_object_update_new(v, json_pack("{s:s, s:s, s:s, s:I, s:b}", "ev", "latency", "format",
                                            json_str(j, "format", "onnx"), "device", json_str(j, "device", "cpu"),
                                            "visit", (json_int_t)json_int(j, "visit", 0), "busy",
                                            (int)json_bool(j, "busy", false)));
        TRY(event(v));
    }
    return ok();
}

/* Exit codes of the protocol: a file that will not run is a failed stage; only a job not understood is usage. */
static int for_coordinator(struct arguments *a)
{
    json_t *j = NULL;
    struct status s = read_job(&j, a);
    bool understood = s.code == STATUS_OK || s.code == STATUS_REFUSED;
    if (s.code == STATUS_OK) s = visits(a, j);
    if (s.code != STATUS_OK) log_error("%s", s.msg);
    const char *state = s.code == STATUS_OK            ? "done"
                        : s.code == STATUS_REFUSED     ? "refused"
                        : s.code == STATUS_INTERRUPTED ? "interrupted"
                                                       : "failed";
    struct status told =
        event(json_pack("{s:s, s:s, s:o}", "ev", "end", "state", state, "reason", json_of_bytes(s.msg)));
    json_decref(j);
    if (s.code == STATUS_INTERRUPTED || told.code != STATUS_OK) return EXIT_INTERRUPTED;
    if (!understood) return EXIT_USAGE;
    return s.code == STATUS_OK || s.code == STATUS_REFUSED ? EXIT_DONE : EXIT_FAILED;
}

int main(int argc, char **argv)
{
    struct arguments a = {.threads = {1}, .n_threads = 1};
    struct status s = read_arguments(&a, argc, argv);
    if (s.code == STATUS_OK && a.help) {
        fputs(usage, stdout);
        return EXIT_DONE;
    }
    catch_signals();
    if (s.code == STATUS_OK && a.as_job) return for_coordinator(&a);
    if (s.code == STATUS_OK) s = for_people(&a);
    if (s.code != STATUS_OK) log_error("%s", s.msg);
    return exit_code(&s);
}
