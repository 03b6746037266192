/*
 * sweep-worker bench-train: the training loop on real pairs, timed like the Python rival of bench/train: seconds from
 * the start of the process to the end of the first step, and images a second over the second half of the steps. It is
 * the loop that trials run, with one validation image, checkpoints and all.
 */
#include <math.h>
#include <unistd.h>

#include "worker.h"

struct bench {
    const char *data, *input, *target, *arch, *backbone, *precision, *graph;
    int64_t size, batch, steps, threads;
    double *ends; /* of each step, seconds on the clock of time_now */
    int64_t done;
    volatile sig_atomic_t stop;
};

/* clang-format off */
static const struct option {
    const char *name, *doc;
    size_t text, number; /* offset of the one that it sets */
} options[] = {
    {.name = "--data", .text = offsetof(struct bench, data), .doc = "folder of the pairs"},
    {.name = "--input", .text = offsetof(struct bench, input), .doc = "folder of inputs in it (ffhq)"},
    {.name = "--target", .text = offsetof(struct bench, target), .doc = "folder of targets in it (comics_heroes)"},
    {.name = "--arch", .text = offsetof(struct bench, arch), .doc = "decoder (unet)"},
    {.name = "--backbone", .text = offsetof(struct bench, backbone), .doc = "encoder (mobilenetv3_large_100)"},
    {.name = "--precision", .text = offsetof(struct bench, precision), .doc = "auto, fp32, bf16, fp16 (auto)"},
    {.name = "--graph", .text = offsetof(struct bench, graph), .doc = "train.graph: auto, off (auto)"},
    {.name = "--size", .number = offsetof(struct bench, size), .doc = "pixels (256)"},
    {.name = "--batch", .number = offsetof(struct bench, batch), .doc = "pairs a step (4)"},
    {.name = "--steps", .number = offsetof(struct bench, steps), .doc = "how many (30)"},
    {.name = "--threads", .number = offsetof(struct bench, threads), .doc = "of libtorch (2)"},
};
/* clang-format on */

/** When the process began, on the clock of time_now; what the loader did before main counts. */
static double process_start(void)
{
    char *stat, *up;
    size_t n;
    double start = time_now(), uptime = 0;
    if (fs_read(&stat, &n, "/proc/self/stat").code != STATUS_OK) return start;
    const char *field = strrchr(stat, ')');
    for (int i = 0; field && i < 20; i++) field = strchr(field + 1, ' ');
    if (fs_read(&up, &n, "/proc/uptime").code == STATUS_OK) {
        uptime = strtod(up, NULL);
        free(up);
    }
    if (field && uptime > 0) start -= uptime - strtod(field, NULL) / (double)sysconf(_SC_CLK_TCK);
    free(stat);
    return start;
}

static struct status read_options(struct bench *b, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        const struct option *o = NULL;
        for (size_t k = 0; k < LEN(options); k++)
            if (strcmp(options[k].name, argv[i]) == 0) o = &options[k];
        if (!o) return fail(STATUS_ARG, "bench-train: got \"%s\", expected an option (see --help)", argv[i]);
        if (i + 1 == argc) return fail(STATUS_ARG, "bench-train: %s: expected a value", o->name);
        char *at = (char *)b;
        if (!o->number) {
            memcpy(at + o->text, &argv[i + 1], sizeof argv[i + 1]);
            continue;
        }
        int64_t v;
        if (!str_to_i64(argv[i + 1], &v) || v < 1 || v > 1000000)
            return fail(STATUS_ARG, "bench-train: %s: got \"%s\", expected an integer above 0", o->name, argv[i + 1]);
        memcpy(at + o->number, &v, sizeof v);
    }
    if (!b->data) return fail(STATUS_ARG, "bench-train: --data: expected the folder of the pairs");
    return b->steps >= 4 ? ok() : fail(STATUS_ARG, "bench-train: --steps: expected at least 4");
}

static void after_step(void *user, int64_t step, double loss)
{
    struct bench *b = user;
    (void)step, (void)loss;
    if (b->done < b->steps) b->ends[b->done++] = time_now();
    if (b->done == b->steps) b->stop = 1;
}

/** The rival's augmentation and loss; one pair validates. */
static json_t *config_of(const struct bench *b)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:f, s:[{s:{s:f}}, {s:{s:f, s:[f,f], s:f, s:f}}, {s:{s:f, s:f, s:f}}],"
                     " s:s, s:s, s:i, s:i, s:s, s:s, s:s, s:b, s:[f,f,f,f]}",
                     "data.root", b->data, "data.input", b->input, "data.target", b->target, "data.size", (int)b->size,
                     "data.split.val", 0.01, "augment", "flip", "p", 0.5, "affine", "rotate", 15.0, "scale", 0.9, 1.1,
                     "translate", 0.05, "p", 0.7, "color", "brightness", 0.2, "contrast", 0.2, "p", 0.3, "model.arch",
                     b->arch, "model.backbone", b->backbone, "train.batch", (int)b->batch, "train.epochs", 100000,
                     "train.precision", b->precision, "train.graph", b->graph, "train.schedule", "constant",
                     "train.drop_last", 1, "loss.gram_weights", 0.5, 1.0, 2.0, 1.0);
}

static struct status train(struct bench *b, const char *dir)
{
    struct arena a = {0};
    struct spec_trial trial;
    struct train_result result;
    json_t *config = config_of(b);
    CHECK(config, "configuration");
    struct status s = spec_trial_from_json(&trial, &a, config, "bench-train");
    json_decref(config);
    if (s.code == STATUS_OK) {
        trial.train.threads = (int)b->threads;
        tensor_start((int)b->threads);
        s = train_run(&result, &(struct train_job){
                                   .trial = &trial, .dir = dir, .after_step = after_step, .user = b, .stop = &b->stop});
    }
    arena_free(&a);
    if (s.code == STATUS_INTERRUPTED && b->done == b->steps) return ok();
    return s.code == STATUS_OK ? fail(STATUS_ARG, "bench-train: training ended after %lld steps", (long long)b->done)
                               : s;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double hundredths(double v)
{
    return round(v * 100) / 100;
}

static void tell(const struct bench *b, double start)
{
    int64_t half = b->steps / 2, n = b->steps - half - 1;
    const double *e = b->ends + half;
    double *d = mem_alloc((size_t)n * sizeof *d);
    for (int64_t i = 0; i < n; i++) d[i] = e[i + 1] - e[i];
    qsort(d, (size_t)n, sizeof *d, by_value);
    double median = (d[(n - 1) / 2] + d[n / 2]) / 2;
    free(d);
    json_t *line = json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:f}", "mode", b->precision, "graph", b->graph, "arch", b->arch,
        "encoder", b->backbone, "size", (json_int_t)b->size, "batch", (json_int_t)b->batch, "threads",
        (json_int_t)b->threads, "first_step_s", hundredths(b->ends[0] - start), "images_per_s",
        hundredths((double)(b->batch * n) / (e[n] - e[0]) * 10) / 10, "median_step_ms", hundredths(median * 1e3));
    char *text = json_dumps(line, JSON_REAL_PRECISION(6));
    printf("%s\n", text);
    free(text);
    json_decref(line);
}

static void help(void)
{
    printf("sweep-worker bench-train --data DIR [options]\n\n");
    for (size_t i = 0; i < LEN(options); i++) printf("  %-12s %s\n", options[i].name, options[i].doc);
}

/** The checkpoints that the run left. */
static void clean(const char *dir)
{
    struct arena a = {0};
    char **names;
    size_t n;
    if (fs_list(&names, &n, &a, dir).code == STATUS_OK)
        for (size_t i = 0; i < n; i++) unlink(arena_printf(&a, "%s/%s", dir, names[i]));
    rmdir(dir);
    arena_free(&a);
}

int worker_bench_train(int argc, char **argv)
{
    double start = process_start();
    struct bench b = {.input = "ffhq",
                      .target = "comics_heroes",
                      .arch = "unet",
                      .backbone = "mobilenetv3_large_100",
                      .precision = "auto",
                      .graph = "auto",
                      .size = 256,
                      .batch = 4,
                      .steps = 30,
                      .threads = 2};
    char dir[] = "/tmp/sweep-bench-XXXXXX";
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        help();
        return 0;
    }
    struct status s = read_options(&b, argc, argv);
    if (s.code == STATUS_OK && !mkdtemp(dir)) s = fail(STATUS_IO, "%s: no temporary folder can be made", dir);
    if (s.code == STATUS_OK) {
        b.ends = mem_zalloc((size_t)b.steps * sizeof *b.ends);
        s = train(&b, dir);
        clean(dir);
    }
    if (s.code == STATUS_OK)
        tell(&b, start);
    else
        fprintf(stderr, "%s\n", s.msg);
    free(b.ends);
    return s.code == STATUS_OK ? 0 : s.code == STATUS_ARG ? 2 : 1;
}
