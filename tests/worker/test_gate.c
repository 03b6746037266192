/*
 * The gate times the untrained net and believes that training does not change the latency. So it is, but for weights so
 * small that what flows between the layers is denormal, which many processors compute slowly: a net that has learnt
 * something is not like that.
 */
#include "data.h"
#include "export.h"
#include "tensor.h"
#include "test.h"
#include "train.h"
#include <math.h>
#include <sys/wait.h>

enum { LEAST = 2, MOST = 8 }; /* visits of each file, in turn */
static const double within = 1.1, tiny = 1e-39;

static const char *const configuration =
    "{\"model.arch\": \"unet\", \"model.backbone\": \"resnet18\", \"model.depth\": 3, \"model.channels\": [32, 16, 16],"
    " \"data.size\": 96, \"data.pairs\": 8, \"loss.network\": \"mobilenetv3_small_100\", \"loss.feature_weights\": [1],"
    " \"loss.gram_weights\": [0], \"train.epochs\": 2, \"train.batch\": 4, \"train.precision\": \"fp32\"}";

/* The net as the stages of the worker write it; the weights of its first convolution times @p factor. */
static void write_model(const char *path, const struct train_job *job, enum train_weights which, double factor)
{
    struct train_model m;
    struct net_values values = {.v = NULL};
    struct export_options o = {0};
    memcpy(o.mean, data_mean, sizeof o.mean);
    memcpy(o.std, data_std, sizeof o.std);
    TEST_OK(train_model_open(&m, job, which, "fp32"));
    TEST_OK(exec_values(&values, m.exec));
    int64_t n = net_numel(m.net->params[0].shape);
    float *first = mem_alloc((size_t)n * sizeof *first);
    for (int64_t i = 0; i < n; i++) first[i] = (float)((double)values.v[0][i] * factor);
    values.v[0] = first;
    TEST_OK(export_onnx(path, m.net, values.v, &o));
    free(first);
    net_values_free(&values);
    train_model_close(&m);
}

struct visit {
    double p50_ms, min_ms;
};

static double number_after(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    return strtod(at + strlen(name), NULL);
}

/* One visit by the program that measures. */
static struct visit visit(const char *path)
{
    char command[3000], line[65536] = "";
    snprintf(command, sizeof command, "'%s/sweep-bench' --model '%s' --mode quick --threads 1 --json", test_build_dir(),
             path);
    FILE *f = popen(command, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    size_t n = fread(line, 1, sizeof line - 1, f);
    while (!feof(f) && fgetc(f) != EOF) continue;
    CU_ASSERT_EQUAL(pclose(f), 0);
    line[n] = 0; /* the samples come last */
    return (struct visit){number_after(line, "\"p50_ms\":"), number_after(line, "\"min_ms\":")};
}

/* Least medians over visits in turn: what else the machine does only ever adds. Where it does so much that medians do
 * not settle, the least runs say it. Visits go on until they agree. */
static bool same_latency(const char *a, const char *b)
{
    struct visit x = {(double)INFINITY, (double)INFINITY}, y = x;
    bool same = false;
    for (int i = 0; i < MOST && (i < LEAST || !same); i++) {
        struct visit p = visit(a), q = visit(b);
        x = (struct visit){fmin(x.p50_ms, p.p50_ms), fmin(x.min_ms, p.min_ms)};
        y = (struct visit){fmin(y.p50_ms, q.p50_ms), fmin(y.min_ms, q.min_ms)};
        same =
            fabs(log(y.p50_ms / x.p50_ms)) < log(within) || (i > LEAST && fabs(log(y.min_ms / x.min_ms)) < log(within));
    }
    printf("(%.2f and %.2f ms, least %.2f and %.2f) ", x.p50_ms, y.p50_ms, x.min_ms, y.min_ms);
    return same;
}

static void gate__training_does_not_change_the_latency(void)
{
    struct arena a = {0};
    struct spec_trial t;
    struct train_result r;
    json_t *flat = NULL;
    const char *dir = arena_strdup(&a, test_dir()), *untrained = fs_join(&a, dir, "untrained.onnx"),
               *trained = fs_join(&a, dir, "trained.onnx"), *denormal = fs_join(&a, dir, "denormal.onnx");
    TEST_OK(json_parse(&flat, "trial", configuration, strlen(configuration)));
    TEST_OK(spec_trial_from_json(&t, &a, flat, "trial"));
    struct train_job job = {.trial = &t, .id = "0123456789ab", .dir = dir, .cache = dir};
    tensor_start(1);
    TEST_OK(train_run(&r, &job));
    CU_ASSERT_EQUAL(r.end, TRAIN_DONE);
    write_model(untrained, &job, TRAIN_UNTRAINED, 1);
    write_model(trained, &job, TRAIN_LAST, 1);
    write_model(denormal, &job, TRAIN_UNTRAINED, tiny);
    CU_ASSERT_TRUE(same_latency(untrained, trained));
    double slow = visit(denormal).min_ms / visit(untrained).min_ms; /* said, not judged: it is the processor's */
    printf("(denormal: %.1f times) ", slow);
    CU_ASSERT_TRUE(slow > 0);
    json_decref(flat);
    arena_free(&a);
}

static const struct test tests[] = {TEST(gate__training_does_not_change_the_latency)};
TEST_MAIN("worker gate", tests)
