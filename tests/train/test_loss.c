/* The loss and the metrics as numbers: against plain C, the reference's fixtures, and finite differences. */
#include "exec.h"
#include "loss.h"
#include "test.h"
#include "train.h"
#include <math.h>

enum { SIDE = 32, CHANNELS = 3, IMAGE = CHANNELS * SIDE * SIDE };

static struct tensor *image(const double *v, int n, int h, int w)
{
    struct tensor *t = NULL;
    TEST_OK(tensor_from_host(&t, TENSOR_F64, 4, (int64_t[]){n, CHANNELS, h, w}, v, tensor_cpu()));
    return t;
}

/** Smooth pictures with some noise, in 0..1. */
static void draw(double *v, int n, double phase, double noise)
{
    struct rng r = rng_key(7, (uint64_t)(phase * 1000), 0, 0);
    for (int i = 0; i < n; i++) {
        double x = 0.5 + 0.35 * sin(0.21 * i + phase) * cos(0.013 * i) + noise * rng_normal(&r);
        v[i] = fmin(fmax(x, 0), 1);
    }
}

static int output_of(const struct net *n, const char *name)
{
    for (int i = 0; i < n->n_outputs; i++)
        if (strcmp(n->outputs[i].name, name) == 0) return i;
    CU_FAIL(name);
    return 0;
}

/** One metric of two batches of @p n pictures into @p out. */
static void metric(double *out, const char *name, const double *a, const double *b, int n, int h, int w)
{
    struct net *net = NULL;
    struct exec *e = NULL;
    TEST_OK(loss_metrics_build(&net, h, w, NULL, NULL));
    TEST_OK(exec_new(&e, net, &(struct exec_options){.compute = TENSOR_F64, .frozen = true}));
    struct tensor *in[] = {image(a, n, h, w), image(b, n, h, w)}, *got[16] = {NULL};
    TEST_OK(exec_run(e, &(struct exec_mode){.train = false}, in, got));
    TEST_OK(tensor_to_f64(got[output_of(net, name)], out));
    for (int i = 0; i < net->n_outputs; i++) tensor_free(got[i]);
    tensor_free(in[0]);
    tensor_free(in[1]);
    exec_free(e);
    net_free(net);
}

/** SSIM of one plane, from its definition: every window by itself. */
static double plain_ssim_plane(const double *a, const double *b, int h, int w)
{
    double k[11][11], sum = 0, total = 0;
    for (int i = 0; i < 11; i++)
        for (int j = 0; j < 11; j++) sum += k[i][j] = exp(-((i - 5) * (i - 5) + (j - 5) * (j - 5)) / (2 * 1.5 * 1.5));
    for (int y = 0; y + 11 <= h; y++)
        for (int x = 0; x + 11 <= w; x++) {
            double ma = 0, mb = 0, va = 0, vb = 0, cov = 0;
            for (int i = 0; i < 11; i++)
                for (int j = 0; j < 11; j++) {
                    ma += k[i][j] / sum * a[(y + i) * w + x + j];
                    mb += k[i][j] / sum * b[(y + i) * w + x + j];
                }
            for (int i = 0; i < 11; i++)
                for (int j = 0; j < 11; j++) {
                    double da = a[(y + i) * w + x + j] - ma, db = b[(y + i) * w + x + j] - mb, p = k[i][j] / sum;
                    va += p * da * da;
                    vb += p * db * db;
                    cov += p * da * db;
                }
            total += (2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma * ma + mb * mb + 1e-4) * (va + vb + 9e-4));
        }
    return total / ((h - 10) * (w - 10));
}

static void metrics__ssim_equals_its_definition(void)
{
    double a[2 * IMAGE], b[2 * IMAGE], got[2];
    draw(a, 2 * IMAGE, 0, 0.02);
    draw(b, 2 * IMAGE, 0.4, 0.1);
    metric(got, "ssim", a, b, 2, SIDE, SIDE);
    for (int n = 0; n < 2; n++) {
        double want = 0;
        for (int c = 0; c < CHANNELS; c++) {
            size_t at = (size_t)(n * CHANNELS + c) * SIDE * SIDE;
            want += plain_ssim_plane(a + at, b + at, SIDE, SIDE) / CHANNELS;
        }
        CU_ASSERT_TRUE(want > 0.05 && want < 0.95);
        CU_ASSERT_DOUBLE_EQUAL(got[n], want, 1e-7); /* the window is float32 */
    }
}

static void metrics__l1_and_psnr_by_hand(void)
{
    double a[2 * IMAGE], b[2 * IMAGE], got[2];
    for (int i = 0; i < 2 * IMAGE; i++) {
        a[i] = 0.5;
        b[i] = i < IMAGE ? 0.6 : 0.5; /* the second image is identical */
    }
    metric(got, "l1", a, b, 2, SIDE, SIDE);
    CU_ASSERT_DOUBLE_EQUAL(got[0], 0.1, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(got[1], 0, 1e-12);
    metric(got, "psnr", a, b, 2, SIDE, SIDE);
    CU_ASSERT_DOUBLE_EQUAL(got[0], 20, 1e-6);  /* -10 log10 of 0.01 */
    CU_ASSERT_DOUBLE_EQUAL(got[1], 100, 1e-6); /* the cap */
}

static void metrics__identical_images_are_perfectly_similar(void)
{
    enum { SMALL = 3 * 44 * 48 };
    double a[SMALL], got[1];
    draw(a, SMALL, 1, 0.1);
    metric(got, "ssim", a, a, 1, 44, 48);
    CU_ASSERT_DOUBLE_EQUAL(got[0], 1, 1e-9);
    metric(got, "ms_ssim", a, a, 1, 44, 48);
    CU_ASSERT_DOUBLE_EQUAL(got[0], 1, 1e-9);
}

/** The contrast-structure term alone, of one plane. */
static double plain_structure(const double *a, const double *b, int h, int w)
{
    double zero_mean[2][64 * 64];
    for (int i = 0; i < h * w; i++) zero_mean[0][i] = a[i], zero_mean[1][i] = b[i];
    double k[11][11], sum = 0, total = 0;
    for (int i = 0; i < 11; i++)
        for (int j = 0; j < 11; j++) sum += k[i][j] = exp(-((i - 5) * (i - 5) + (j - 5) * (j - 5)) / (2 * 1.5 * 1.5));
    for (int y = 0; y + 11 <= h; y++)
        for (int x = 0; x + 11 <= w; x++) {
            double m[2] = {0}, s[3] = {0};
            for (int i = 0; i < 121; i++)
                for (int q = 0; q < 2; q++)
                    m[q] += k[i / 11][i % 11] / sum * zero_mean[q][(y + i / 11) * w + x + i % 11];
            for (int i = 0; i < 121; i++) {
                double p = k[i / 11][i % 11] / sum;
                double da = a[(y + i / 11) * w + x + i % 11] - m[0], db = b[(y + i / 11) * w + x + i % 11] - m[1];
                s[0] += p * da * da;
                s[1] += p * db * db;
                s[2] += p * da * db;
            }
            total += (2 * s[2] + 9e-4) / (s[0] + s[1] + 9e-4);
        }
    return total / ((h - 10) * (w - 10));
}

/** 32 pixels: two scales with Wang's first two weights, renormalised. */
static void metrics__ms_ssim_equals_its_definition(void)
{
    double a[IMAGE], b[IMAGE], got[1], want = 0;
    draw(a, IMAGE, 0, 0.02);
    draw(b, IMAGE, 0.3, 0.05);
    metric(got, "ms_ssim", a, b, 1, SIDE, SIDE);
    for (int c = 0; c < CHANNELS; c++) {
        enum { HALF = SIDE / 2 };
        double half[2][HALF * HALF];
        const double *full[2] = {a + c * SIDE * SIDE, b + c * SIDE * SIDE};
        for (int q = 0; q < 2; q++)
            for (int i = 0; i < HALF * HALF; i++) {
                const double *p = full[q] + 2 * (i / HALF) * SIDE + 2 * (i % HALF);
                half[q][i] = (p[0] + p[1] + p[SIDE] + p[SIDE + 1]) / 4;
            }
        double w0 = 0.0448 / (0.0448 + 0.2856);
        want += pow(fmax(plain_structure(full[0], full[1], SIDE, SIDE), 0), w0) *
                pow(fmax(plain_ssim_plane(half[0], half[1], HALF, HALF), 0), 1 - w0) / CHANNELS;
    }
    CU_ASSERT_TRUE(want > 0.05 && want < 0.95);
    CU_ASSERT_DOUBLE_EQUAL(got[0], want, 1e-6);
}

/* ---- the perceptual loss ---------------------------------------------------------------------------------------- */

struct perceptual {
    struct net *net;
    struct exec *exec;
};

static struct perceptual open_perceptual(const struct loss_options *o)
{
    struct perceptual p = {.net = NULL};
    TEST_OK(loss_build(&p.net, o));
    TEST_OK(exec_new(&p.exec, p.net, &(struct exec_options){.compute = TENSOR_F64, .frozen = true}));
    TEST_OK(exec_fill_parity(p.exec));
    return p;
}

static void close_perceptual(struct perceptual *p)
{
    exec_free(p->exec);
    net_free(p->net);
}

/** All outputs; the gradient with respect to pred into @p grad when it is not NULL. */
static void run_perceptual(double *out, double *grad, const struct perceptual *p, const double *pred,
                           const double *target, int n, int h, int w)
{
    struct tensor *in[] = {image(pred, n, h, w), image(target, n, h, w)}, *got[32] = {NULL}, *g = NULL;
    if (grad) TEST_OK(tensor_want_grad_in(in[0], true));
    TEST_OK(exec_run(p->exec, &(struct exec_mode){.grad = grad != NULL}, in, got));
    for (int i = 0; i < p->net->n_outputs; i++) TEST_OK(tensor_item(&out[i], got[i]));
    if (grad) {
        TEST_OK(tensor_backward(got[output_of(p->net, "total")], 1));
        TEST_OK(tensor_grad(&g, in[0]));
        TEST_OK(tensor_to_f64(g, grad));
        tensor_free(g);
    }
    for (int i = 0; i < p->net->n_outputs; i++) tensor_free(got[i]);
    tensor_free(in[0]);
    tensor_free(in[1]);
}

static void read_list(double *out, int *n, const json_t *list)
{
    *n = (int)json_array_size(list);
    for (int i = 0; i < *n; i++) out[i] = json_number_value(json_array_get(list, (size_t)i));
}

static void check_case(const json_t *c)
{
    const json_t *config = json_object_get(c, "config"), *shape = json_object_get(c, "shape");
    int d[4];
    for (int i = 0; i < 4; i++) d[i] = (int)json_integer_value(json_array_get(shape, (size_t)i));
    struct loss_options o = {.height = d[2],
                             .width = d[3],
                             .pixel_weight = json_num(config, "pixel_weight", -1),
                             .gram_scale = json_num(config, "gram_scale", -1)};
    read_list(o.feature_weights, &o.n_feature, json_object_get(config, "feature_weights"));
    read_list(o.gram_weights, &o.n_gram, json_object_get(config, "gram_weights"));
    int64_t numel = (int64_t)d[0] * d[1] * d[2] * d[3];
    double *v = mem_alloc(3 * (size_t)numel * sizeof *v), *grad = v + 2 * numel, out[32];
    for (int64_t i = 0; i < numel; i++) {
        v[i] = (double)(float)exec_parity_image("pred", i);
        v[numel + i] = (double)(float)exec_parity_image("target", i);
    }
    struct perceptual p = open_perceptual(&o);
    run_perceptual(out, grad, &p, v, v + numel, d[0], d[2], d[3]);
    double total = json_num(c, "total", 0);
    CU_ASSERT_DOUBLE_EQUAL(out[output_of(p.net, "total")], total, 2e-5 * total);
    const char *name;
    json_t *value, *terms = json_object_get(c, "terms");
    CU_ASSERT_EQUAL((int)json_object_size(terms), p.net->n_outputs - 1);
    json_object_foreach(terms, name, value)
        CU_ASSERT_DOUBLE_EQUAL(out[output_of(p.net, name)], json_number_value(value), 2e-5 * json_number_value(value));
    const json_t *g = json_object_get(c, "grad"), *samples = json_object_get(g, "samples");
    double tolerance = 1e-3 * json_num(g, "std", 0);
    for (size_t j = 0; j < json_array_size(samples); j++)
        CU_ASSERT_DOUBLE_EQUAL(grad[rng_splitmix(j) % (uint64_t)numel], json_number_value(json_array_get(samples, j)),
                               tolerance);
    close_perceptual(&p);
    free(v);
}

static void perceptual__equals_the_reference(void)
{
    if (!test_shared()) return;
    char path[1200], *text = NULL;
    size_t n;
    json_t *all = NULL;
    snprintf(path, sizeof path, "%s/parity/loss.json", test_shared());
    TEST_OK(fs_read(&text, &n, path));
    TEST_OK(json_parse(&all, path, text, n));
    const json_t *cases = json_object_get(all, "cases");
    CU_ASSERT_TRUE(json_array_size(cases) >= 3);
    for (size_t i = 0; i < json_array_size(cases); i += 2) check_case(json_array_get(cases, i));
    json_decref(all);
    free(text);
}

/** Float64 differences at a few pixels, away from the kinks of L1 and ReLU by the smallness of the step. */
static void perceptual__gradient_equals_differences(void)
{
    struct loss_options o = {.network = "mobilenetv3_small_100",
                             .height = SIDE,
                             .width = SIDE,
                             .pixel_weight = 0.3,
                             .gram_scale = 50,
                             .feature_weights = {1, 0, 2},
                             .n_feature = 3,
                             .gram_weights = {0.5, 1},
                             .n_gram = 2,
                             .size = 48};
    double pred[IMAGE], target[IMAGE], grad[IMAGE], up[32], down[32];
    draw(pred, IMAGE, 0, 0.1);
    draw(target, IMAGE, 0.5, 0.1);
    struct perceptual p = open_perceptual(&o);
    run_perceptual(up, grad, &p, pred, target, 1, SIDE, SIDE);
    int total = output_of(p.net, "total");
    for (int i = 5; i < IMAGE; i += 311) {
        double h = 1e-6, was = pred[i];
        pred[i] = was + h;
        run_perceptual(up, NULL, &p, pred, target, 1, SIDE, SIDE);
        pred[i] = was - h;
        run_perceptual(down, NULL, &p, pred, target, 1, SIDE, SIDE);
        pred[i] = was;
        CU_ASSERT_DOUBLE_EQUAL(grad[i], (up[total] - down[total]) / (2 * h), 1e-5 * fmax(1e-2, fabs(grad[i])));
    }
    close_perceptual(&p);
}

static const struct test tests[] = {
    TEST(metrics__l1_and_psnr_by_hand),           TEST(metrics__ssim_equals_its_definition),
    TEST(metrics__ms_ssim_equals_its_definition), TEST(metrics__identical_images_are_perfectly_similar),
    TEST(perceptual__equals_the_reference),       TEST(perceptual__gradient_equals_differences),
};
TEST_MAIN("train.loss", tests)
