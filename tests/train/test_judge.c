/* The judge on pictures whose order the eye knows, against float64 values of its definitions (shared/judge). */
#include "data.h"
#include "exec.h"
#include "loss.h"
#include "parts.h"
#include "test.h"
#include "tiny.h"
#include "weights.h"
#include <glob.h>
#include <math.h>

static const char network[] = "tf_efficientnet_lite0";
enum { IMAGES = 4, TAPS = 5, SIDE = 256, OUTPUTS = 2 + 2 * TAPS + 2 };

/* The judge's net with its published weights, and what it is held against. */
struct bench {
    struct arena a;
    const char *folder;
    json_t *expected;
    struct net *net;
    struct exec *exec;
};

/* What it says of a cell's four pictures. */
struct said {
    double feature[IMAGES], style[IMAGES], tap[2][IMAGES][TAPS], kid;
};

static bool bench_open(struct bench *b, enum tensor_dtype compute)
{
    *b = (struct bench){0};
    glob_t g = {0};
    const char *weights = NULL, *shared = test_shared();
    json_error_t error;
    if (glob(arena_printf(&b->a, "%s/.deps/lite/*lite0*/models/*.pth", test_source_dir()), 0, NULL, &g) == 0)
        weights = arena_strdup(&b->a, g.gl_pathv[0]);
    globfree(&g);
    if (!weights) test_skip("the published weights are not here: `make setup-weights` fetches them");
    if (!weights || !shared) return false;
    b->folder = arena_printf(&b->a, "%s/judge", shared);
    b->expected = json_load_file(arena_printf(&b->a, "%s/expected.json", b->folder), 0, &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(b->expected);
    TEST_OK(loss_judge_build(
        &b->net,
        &(struct loss_judge_options){
            .network = network, .height = SIDE, .width = SIDE, .mean = data_mean, .std = data_std, .taps = true}));
    CU_ASSERT_EQUAL_FATAL(b->net->n_outputs, OUTPUTS);
    TEST_OK(
        exec_new(&b->exec, b->net, &(struct exec_options){.compute = compute, .device = tensor_cpu(), .frozen = true}));
    TEST_OK(load_loss_file(b->exec, "evaluate.judge.weights", network, weights));
    return true;
}

static void bench_close(struct bench *b)
{
    exec_free(b->exec);
    net_free(b->net);
    json_decref(b->expected);
    arena_free(&b->a);
}

static struct tensor *picture(struct bench *b, const char *cell, const char *name)
{
    struct data_image im;
    struct tensor *t = NULL;
    const char *path = arena_printf(&b->a, "%s/%s/%s", b->folder, cell, name);
    TEST_OK(data_image_load(&im, path));
    CU_ASSERT_EQUAL_FATAL(im.width * im.height, SIDE * SIDE);
    float *v = mem_alloc(sizeof *v * 3 * SIDE * SIDE);
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < SIDE * SIDE; i++)
            v[c * SIDE * SIDE + i] = ((float)im.rgb[i * 3 + c] / 255 - data_mean[c]) / data_std[c];
    TEST_OK(tensor_from_host(&t, TENSOR_F32, 4, (int64_t[]){1, 3, SIDE, SIDE}, v, tensor_cpu()));
    free(v);
    data_image_free(&im);
    return t;
}

static struct said judged(struct bench *b, const char *cell)
{
    struct said s = {0};
    const json_t *names = json_object_get(b->expected, "images");
    float *pooled[2] = {NULL, NULL};
    int d = 0;
    for (int i = 0; i < IMAGES; i++) {
        const char *name = json_string_value(json_array_get(names, (size_t)i));
        struct tensor *in[2] = {picture(b, cell, name), picture(b, "target", name)}, *out[OUTPUTS];
        double v[OUTPUTS];
        TEST_OK(exec_run(b->exec, &(struct exec_mode){.train = false}, in, out));
        d = (int)tensor_numel(out[OUTPUTS - 1]);
        for (int k = 0; k < OUTPUTS - 2; k++) TEST_OK(tensor_item(&v[k], out[k]));
        for (int k = 0; k < 2; k++) {
            pooled[k] = mem_realloc(pooled[k], sizeof(float) * IMAGES * (size_t)d);
            TEST_OK(tensor_to_f32(out[OUTPUTS - 2 + k], pooled[k] + i * d));
            tensor_free(in[k]);
        }
        for (int k = 0; k < OUTPUTS; k++) tensor_free(out[k]);
        s.feature[i] = v[0];
        s.style[i] = v[1];
        for (int k = 0; k < TAPS; k++) {
            s.tap[0][i][k] = v[2 + 2 * k];
            s.tap[1][i][k] = v[3 + 2 * k];
        }
    }
    s.kid = loss_kid(pooled[0], pooled[1], IMAGES, d).kid;
    free(pooled[0]);
    free(pooled[1]);
    return s;
}

static double mean_of(const double *v)
{
    double sum = 0;
    for (int i = 0; i < IMAGES; i++) sum += v[i];
    return sum / IMAGES;
}

static bool near(double got, const json_t *want, double relative)
{
    double w = json_number_value(want);
    bool is = fabs(got - w) <= relative * fabs(w);
    if (!is) fprintf(stderr, "got %.9g, expected %.9g\n", got, w);
    return is;
}

static void check_cell(struct bench *b, const char *cell, const json_t *want)
{
    static const char *const kinds[] = {"feature", "style"};
    struct said s = judged(b, cell);
    for (int i = 0; i < IMAGES; i++)
        for (int kind = 0; kind < 2; kind++) {
            const json_t *image = json_array_get(json_object_get(want, "per_image"), (size_t)i);
            for (int k = 0; k < TAPS; k++)
                CU_ASSERT_TRUE(
                    near(s.tap[kind][i][k], json_array_get(json_object_get(image, kinds[kind]), (size_t)k), 1e-4));
        }
    CU_ASSERT_TRUE(near(mean_of(s.feature), json_object_get(want, "feature_distance"), 1e-4));
    CU_ASSERT_TRUE(near(mean_of(s.style), json_object_get(want, "style_distance"), 1e-4));
    CU_ASSERT_TRUE(near(s.kid, json_object_get(want, "kid"), 1e-3));
}

static void judge__says_what_its_definition_says(void)
{
    struct bench b;
    bool here = bench_open(&b, TENSOR_F32);
    const char *cell;
    json_t *want;
    if (here) CU_ASSERT_EQUAL(json_object_size(json_object_get(b.expected, "cells")), 6);
    json_object_foreach(json_object_get(b.expected, "cells"), cell, want) check_cell(&b, cell, want);
    bench_close(&b);
}

static void judge__orders_the_cells_as_the_eye_does(void)
{
    /* best first; those of one row are close together */
    static const char *const order[][4] = {{"unetplusplus", "unet", "manet"}, {"linknet", "fpn"}, {"input"}};
    struct bench b;
    double worst_before = 0;
    for (size_t row = 0; row < LEN(order) && bench_open(&b, TENSOR_F32); row++) {
        double best = (double)INFINITY, worst = 0;
        for (size_t i = 0; order[row][i]; i++) {
            struct said s = judged(&b, order[row][i]);
            best = fmin(best, mean_of(s.feature));
            worst = fmax(worst, mean_of(s.feature));
        }
        CU_ASSERT_TRUE(best > worst_before);
        worst_before = worst;
        bench_close(&b);
    }
    if (worst_before == 0) bench_close(&b);
}

static void judge__finds_no_distance_between_equals(void)
{
    struct bench b;
    if (bench_open(&b, TENSOR_F64)) {
        struct said s = judged(&b, "target");
        CU_ASSERT_EQUAL(mean_of(s.feature), 0);
        CU_ASSERT_EQUAL(mean_of(s.style), 0);
    }
    bench_close(&b);
}

/* ---- in an evaluation ------------------------------------------------------------------------------------------ */

static const char small[] = "\"model.depth\": 5, \"model.channels\": [16, 8, 8, 8, 8], \"train.epochs\": 1";

/* A backbone's file: the fresh encoder of a tiny net, under its own names. */
static const char *some_judge(void)
{
    static char path[400];
    snprintf(path, sizeof path, "%s/judge.safetensors", test_dir());
    struct tiny t;
    struct train_model m;
    struct weights_array *a;
    struct arena arena = {0};
    size_t n, kept = 0;
    tiny_open(&t, "", arena_printf(&arena, "{%s, \"seed\": 9}", small));
    TEST_OK(train_model_open(&m, &t.job, TRAIN_UNTRAINED, NULL));
    TEST_OK(exec_arrays(&a, &n, &arena, m.exec));
    for (size_t i = 0; i < n; i++) {
        if (strncmp(a[i].name, "encoder.", 8) == 0) a[kept++] = a[i];
    }
    TEST_OK(weights_save(path, a, kept, NULL));
    train_model_close(&m);
    arena_free(&arena);
    tiny_close(&t);
    return path;
}

/* Trains and evaluates; *t is left open, with all events. */
static void run(struct tiny *t, int dir, const char *more)
{
    struct arena arena = {0};
    struct train_result r;
    const char *folder = arena_printf(&arena, "%s/%d", test_dir(), dir);
    TEST_OK(fs_mkdir(folder));
    tiny_open(t, folder,
              arena_printf(&arena, "{%s, \"evaluate.judge.network\": \"mobilenetv3_small_100\"%s}", small, more));
    TEST_OK(train_run(&r, &t->job));
    TEST_OK(train_evaluate(&t->job));
    arena_free(&arena);
}

static void judge__sees_the_trained_the_untrained_and_the_identity(void)
{
    static const char *const said[] = {"feature_distance",
                                       "style_distance",
                                       "kid",
                                       "kid_deviation",
                                       "identity_feature_distance",
                                       "identity_kid",
                                       "untrained_feature_distance",
                                       "untrained_style_distance"};
    struct tiny t;
    char more[600];
    run(&t, 0, ""); /* without its weights there is none */
    for (size_t i = 0; i < LEN(said); i++) CU_ASSERT_EQUAL(tiny_metric(&t, -1, said[i], -99), -99);
    tiny_close(&t);
    snprintf(more, sizeof more, ", \"evaluate.judge.weights\": \"%s\"", some_judge());
    run(&t, 1, more);
    for (size_t i = 0; i < LEN(said); i++) CU_ASSERT_NOT_EQUAL(tiny_metric(&t, -1, said[i], -99), -99);
    CU_ASSERT_TRUE(tiny_metric(&t, -1, "feature_distance", -1) > 0);
    CU_ASSERT_NOT_EQUAL(tiny_metric(&t, -1, "feature_distance", -1),
                        tiny_metric(&t, -1, "identity_feature_distance", -1));
    CU_ASSERT_EQUAL(tiny_metric(&t, -1, "feature_distance.1", -99), -99);
    CU_ASSERT_EQUAL(tiny_metric(&t, 1, "feature_distance", -99), -99); /* epochs are not judged unless asked */
    tiny_close(&t);
}

static void judge__sees_every_epoch_where_asked_or_where_it_decides(void)
{
    static const char *const reasons[] = {"\"evaluate.every_epoch\": true", "\"train.monitor\": \"feature_distance\"",
                                          "\"prune.rule\": \"median\""};
    for (size_t i = 0; i < LEN(reasons); i++) {
        struct tiny t;
        char more[700];
        snprintf(more, sizeof more, ", \"evaluate.judge.weights\": \"%s\", \"evaluate.judge.taps\": true, %s",
                 some_judge(), reasons[i]);
        run(&t, 2 + (int)i, more);
        CU_ASSERT_TRUE(tiny_metric(&t, 1, "feature_distance", -1) > 0);
        CU_ASSERT_TRUE(tiny_metric(&t, -1, "style_distance.5", -1) > 0);
        tiny_close(&t);
    }
}

static const struct test tests[] = {
    TEST(judge__sees_the_trained_the_untrained_and_the_identity),
    TEST(judge__sees_every_epoch_where_asked_or_where_it_decides),
    TEST(judge__says_what_its_definition_says),
    TEST(judge__orders_the_cells_as_the_eye_does),
    TEST(judge__finds_no_distance_between_equals),
};

int main(int argc, char **argv)
{
    tensor_start(1);
    return test_main("train.judge", tests, LEN(tests), argc, argv);
}
