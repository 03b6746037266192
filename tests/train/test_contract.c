/*
 * What every cell of the registry promises when it computes: a training step has numbers everywhere and a gradient for
 * each parameter that is used, none for one that is not (and the zoo says why), and the exported file gives the same
 * picture. Each architecture and each family once; CONTRACT_WHOLE=1: every cell but the giants.
 */
#include "bench.h"
#include "exec.h"
#include "export.h"
#include "test.h"
#include "zoo.h"
#include <math.h>

enum { BATCH = 2 };
static const int64_t giant = 150000000; /* parameters: a step of such a net takes gigabytes */

static int mistakes;

__attribute__((format(printf, 2, 3))) static void wrong(const struct zoo_model *m, const char *fmt, ...)
{
    char text[400];
    va_list a;
    va_start(a, fmt);
    vsnprintf(text, sizeof text, fmt, a);
    va_end(a);
    mistakes++;
    fprintf(stderr, "%s x %s at %d: %s\n", m->arch, m->backbone, m->height, text);
}

/* The smallest picture that the cell takes and whose norms all see more than one value; NULL: the cell is impossible.
 */
static struct net *built(struct zoo_model *m)
{
    for (int side = 32; side <= 512; side *= 2) {
        struct net *n = NULL;
        m->height = m->width = side;
        if (zoo_build(&n, m).code != STATUS_OK) continue;
        if (!net_single_value_norm(n, BATCH)) return n;
        net_free(n);
    }
    return NULL;
}

/* The largest magnitude; infinite when something is no number. */
static float largest(const struct tensor *t)
{
    int64_t n = tensor_numel(t);
    float *v = mem_alloc((size_t)n * sizeof *v), most = 0;
    TEST_OK(tensor_to_f32(t, v));
    for (int64_t i = 0; i < n && isfinite(most); i++)
        if (!(fabsf(v[i]) <= most)) most = isfinite(v[i]) ? fabsf(v[i]) : INFINITY;
    free(v);
    return most;
}

static bool all_finite(const struct tensor *t)
{
    return isfinite(largest(t));
}

static struct tensor *noise(const int64_t *dims, int64_t images, uint64_t seed)
{
    int64_t shape[4] = {images, dims[1], dims[2], dims[3]}, n = shape[0] * shape[1] * shape[2] * shape[3];
    float *v = mem_alloc((size_t)n * sizeof *v);
    struct tensor *t = NULL;
    struct rng r = rng_key(seed, 0, 0, 0);
    for (int64_t i = 0; i < n; i++) v[i] = (float)rng_range(&r, -2, 2);
    TEST_OK(tensor_from_host(&t, TENSOR_F32, 4, shape, v, tensor_cpu()));
    free(v);
    return t;
}

static void check_gradients(const struct zoo_model *m, const struct net *n, struct exec *e)
{
    bool *live = mem_alloc((size_t)n->n_nodes);
    net_live(n, live);
    for (int i = 0; i < n->n_params; i++) {
        const struct net_param *p = &n->params[i];
        struct tensor *g = NULL;
        if (p->kind == NET_BUFFER && !all_finite(exec_param(e, i))) wrong(m, "%s is no number", p->name);
        if (p->kind != NET_WEIGHT) continue;
        TEST_OK(tensor_grad(&g, exec_param(e, i)));
        if (live[p->owner] && !g) wrong(m, "%s has no gradient", p->name);
        if (!live[p->owner] && g) wrong(m, "%s is not used and has a gradient", p->name);
        if (!live[p->owner] && !zoo_unused_reason(m, p->name)) wrong(m, "%s is not used, and no reason given", p->name);
        if (g && !all_finite(g)) wrong(m, "the gradient of %s is no number", p->name);
        tensor_free(g);
    }
    free(live);
}

static void check_step(const struct zoo_model *m, const struct net *n, struct exec *e)
{
    const int64_t *in = net_shape_of(n, n->inputs[0].val).d, *out = net_shape_of(n, n->outputs[0].val).d;
    struct tensor *x = noise(in, BATCH, 1), *grad = noise(out, BATCH, 2), *y = NULL;
    TEST_OK(exec_run(e, &(struct exec_mode){.train = true, .grad = true, .seed = 1}, &x, &y));
    if (y && !all_finite(y)) wrong(m, "the output is no number");
    if (y) TEST_OK(tensor_backward_from(y, grad));
    if (y) check_gradients(m, n, e);
    tensor_free(x);
    tensor_free(grad);
    tensor_free(y);
}

/* Formats that a runtime here runs, and how far from ours: the largest difference of a value, by the largest value;
 * where numbers are rounded, the mean one (of squares), since some value is always unlucky. */
static const struct {
    const char *format;
    double largest, mean;
} formats[] = {
    {"onnx", .largest = 1e-4},     {"litert", .largest = 1e-4}, {"onnx-fp16", .mean = 5e-3},
    {"litert-fp16", .mean = 5e-3}, {"onnx-int8", .mean = 0.1},  {"litert-int8", .mean = 0.1},
};

/* ---- calibration, on noise ----------------------------------------------------------------------------------------
 */

struct shower {
    export_see_fn *see;
    void *to;
};

static void show(void *user, net_val v, const struct tensor *t)
{
    const struct shower *s = user;
    float *numbers = mem_alloc((size_t)tensor_numel(t) * sizeof *numbers);
    TEST_OK(tensor_to_f32(t, numbers));
    s->see(s->to, v, numbers, tensor_numel(t));
    free(numbers);
}

static struct status calibrate(void *user, const struct net *n, const float *const *values, export_see_fn *see,
                               void *to)
{
    struct shower s = {see, to};
    struct exec *e = NULL;
    struct tensor *x = user, *y = NULL;
    TRY(exec_new(&e, n, &(struct exec_options){.compute = TENSOR_F32, .device = tensor_cpu(), .frozen = true}));
    struct status st = exec_set_values(e, values);
    if (st.code == STATUS_OK) st = exec_run(e, &(struct exec_mode){.see = show, .user = &s}, &x, &y);
    tensor_free(y);
    exec_free(e);
    return st;
}

/* ---- files --------------------------------------------------------------------------------------------------------
 */

static void check_reads_back(const struct zoo_model *m, const char *path)
{
    struct export_summary s;
    struct status st = export_onnx_read(&s, path);
    if (st.code != STATUS_OK) wrong(m, "%s", st.msg);
    if (st.code == STATUS_OK && (s.n_inputs != 1 || s.inputs[0].shape[2] != m->height || s.n_outputs != 1))
        wrong(m, "the file has another input or output");
    export_summary_free(&s);
}

static void check_numbers(const struct zoo_model *m, size_t f, const float *got, const float *want, int64_t n)
{
    double worst = 0, size = 0, squares = 0, off = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)got[i] - (double)want[i];
        worst = test_worst(worst, d);
        size = fmax(size, fabs((double)want[i]));
        squares += (double)want[i] * (double)want[i];
        off += d * d;
    }
    double mean = sqrt(off / fmax(squares, 1e-6 * (double)n));
    bool right = formats[f].mean != 0 ? mean <= formats[f].mean : worst <= formats[f].largest * fmax(size, 1e-3);
    if (!right) wrong(m, "%s: the file is off by %g of %g, %g in the mean", formats[f].format, worst, size, mean);
}

/* A file, run by its runtime, computes what libtorch does: @p want. */
static void check_format(const struct zoo_model *m, const struct net *n, size_t f, const char *path,
                         const float *const *values, const struct bench_array *in, const float *want, struct tensor *x)
{
    const char *format = formats[f].format;
    struct bench_model *model = NULL;
    struct bench_array got = {.rank = 0};
    int64_t numel = net_numel(net_shape_of(n, n->outputs[0].val));
    struct export_options o = {.calibration = {.run = calibrate, .user = x}};
    struct status st = export_write(format, path, n, values, &o);
    if (st.code == STATUS_OK && !strncmp(format, "onnx", 4)) check_reads_back(m, path);
    if (st.code == STATUS_OK) st = bench_open(&model, NULL, path, 1);
    if (st.code == STATUS_OK) st = bench_run(model, in, 1, &got, 1);
    if (st.code != STATUS_OK) wrong(m, "%s: %s", format, st.msg);
    bool same = got.data && bench_array_numel(&got) == numel;
    if (got.data && !same) wrong(m, "%s: the file gives another picture", format);
    if (same) check_numbers(m, f, got.data, want, numel);
    free(got.data);
    bench_close(model);
}

/* @p rounded: also the formats whose numbers are. */
static void check_files(const struct zoo_model *m, const struct net *n, struct exec *e, const char *path, bool rounded)
{
    struct net_values values;
    struct bench_array in = {.rank = 4, .shape = {1, m->in_channels, m->height, m->width}};
    struct tensor *x = noise(net_shape_of(n, n->inputs[0].val).d, 1, 3), *y = NULL;
    in.data = mem_alloc((size_t)tensor_numel(x) * sizeof *in.data);
    TEST_OK(tensor_to_f32(x, in.data));
    TEST_OK(exec_run(e, &(struct exec_mode){.train = false}, &x, &y));
    TEST_OK(exec_values(&values, e));
    float *want = mem_alloc((size_t)tensor_numel(y) * sizeof *want);
    TEST_OK(tensor_to_f32(y, want));
    if (!all_finite(y)) wrong(m, "the output in use is no number");
    for (size_t f = 0; f < LEN(formats); f++)
        if (formats[f].mean == 0 || rounded) check_format(m, n, f, path, values.v, &in, want, x);
    free(want);
    free(in.data);
    net_values_free(&values);
    tensor_free(x);
    tensor_free(y);
}

/* False when the cell is impossible or a giant. */
static bool check_cell(const char *arch, const char *backbone, const char *path, bool rounded)
{
    struct zoo_model m = {.arch = arch, .backbone = backbone, .in_channels = 3};
    struct exec *e = NULL;
    if (zoo_fits(&m).code == STATUS_REFUSED) return false;
    struct net *n = built(&m);
    if (!n) {
        wrong(&m, "takes no size up to 512");
        return true;
    }
    bool small = net_cost(n).params < giant;
    if (small) {
        TEST_OK(exec_new(&e, n, &(struct exec_options){.compute = TENSOR_F32, .device = tensor_cpu()}));
        TEST_OK(exec_init(e, 1));
        check_step(&m, n, e);
        check_files(&m, n, e, path, rounded);
        exec_free(e);
    }
    net_free(n);
    return small;
}

/* Of each family the backbone with the fewest parameters. */
static int smallest(const char **out, int most)
{
    int n = 0;
    int64_t least[64];
    CHECK(most <= (int)LEN(least), "%d families", most);
    for (const char *const *b = zoo_backbone_names(); *b; b++) {
        struct net *net;
        int f = 0;
        TEST_OK(zoo_encoder(&net, *b));
        int64_t params = net_cost(net).params;
        net_free(net);
        while (f < n && strcmp(zoo_backbone_info(out[f])->family, zoo_backbone_info(*b)->family) != 0) f++;
        if (f < n && least[f] <= params) continue;
        CHECK(f < most, "more than %d families", most);
        out[f] = *b;
        least[f] = params;
        n += f == n;
    }
    return n;
}

static void contract__each_architecture_and_each_family_once(void)
{
    const char *families[40];
    const char *const *archs = zoo_arch_names();
    int n = smallest(families, LEN(families)), n_archs = 0, done = 0;
    struct arena a = {0};
    const char *path = fs_join(&a, test_dir(), "cell.model");
    mistakes = 0;
    while (archs[n_archs]) n_archs++;
    for (int i = 0; i < n_archs; i++) done += check_cell(archs[i], "mobilenetv3_small_minimal_100", path, true);
    CU_ASSERT_EQUAL(done, n_archs);
    for (int f = 0; f < n; f++)
        done += check_cell(f % 2 ? "fpn" : "linknet", families[f], path, true); /* small, deep */
    CU_ASSERT_EQUAL(done, n_archs + n);
    CU_ASSERT_EQUAL(mistakes, 0);
    arena_free(&a);
}

static void contract__every_cell(void)
{
    struct arena a = {0};
    const char *path = fs_join(&a, test_dir(), "cell.model");
    enum { EVERY = 8 }; /* of so many cells one is written in every precision: no divisor of the number of decoders */
    int done = 0, cell = 0;
    mistakes = 0;
    for (const char *const *b = zoo_backbone_names(); *b; b++) {
        fprintf(stderr, "%d cells, %d mistakes; now %s\n", done, mistakes, *b);
        for (const char *const *arch = zoo_arch_names(); *arch; arch++)
            done += check_cell(*arch, *b, path, cell++ % EVERY == 0);
    }
    fprintf(stderr, "%d cells\n", done);
    CU_ASSERT_TRUE(done > 900);
    CU_ASSERT_EQUAL(mistakes, 0);
    arena_free(&a);
}

static const struct test tests[] = {
    TEST(contract__each_architecture_and_each_family_once),
    TEST(contract__every_cell), /* last: minutes, so only when CONTRACT_WHOLE asks for it */
};

int main(int argc, char **argv)
{
    tensor_start(1);
    return test_main("train.contract", tests, LEN(tests) - !getenv("CONTRACT_WHOLE"), argc, argv);
}
