/* What exec decides: fresh values, loading, freezing, fusing, dropouts, running statistics, refusals. */
#include "exec.h"
#include "test.h"
#include <math.h>

/* Two convolutions with a norm and a dropout between, and a shared third. */
static struct net *small_net(bool reversed)
{
    struct net *n = net_new();
    net_val x = net_input(n, "x", 3, 8, 8), y = NET_NONE, z = NET_NONE;
    for (int k = 0; k < 2; k++) {
        bool first = (k == 0) != reversed;
        if (first) {
            y = net_relu(n, net_conv2d(n, "a", x, 4, (struct net_conv){.k = 3, .pad = 1, .bias = true}));
            y = net_batch_norm(n, "norm", y, (struct net_norm){.momentum = 0.1});
        } else {
            z = net_conv2d(n, "b", x, 4, (struct net_conv){.k = 1});
        }
    }
    net_output(n, "out", net_dropout(n, net_add(n, y, z), 0.25));
    TEST_OK(net_finish(n));
    return n;
}

static struct exec *open_small(const struct net *n, struct exec_options o)
{
    struct exec *e;
    TEST_OK(exec_new(&e, n, &o));
    return e;
}

static struct tensor *picture(int64_t batch, uint64_t key)
{
    struct tensor *x;
    TEST_OK(tensor_zeros(&x, TENSOR_F32, 4, (int64_t[]){batch, 3, 8, 8}, tensor_cpu()));
    TEST_OK(tensor_fill_normal_in(x, key, 1));
    return x;
}

static double difference(const struct tensor *a, const struct tensor *b)
{
    double v;
    struct tensor *d;
    TEST_OK(tensor_l1(&d, a, b));
    TEST_OK(tensor_item(&v, d));
    tensor_free(d);
    return v;
}

static struct tensor *named(const struct exec *e, const char *name)
{
    int p = net_param_find(exec_net(e), name);
    CU_ASSERT_FATAL(p >= 0);
    return exec_param(e, p);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static void exec_init__depends_on_seed_and_name_only(void)
{
    struct net *n = small_net(false), *m = small_net(true);
    struct exec *e = open_small(n, (struct exec_options){0}),
                *f = open_small(m, (struct exec_options){.channels_last = true});
    TEST_OK(exec_init(e, 7));
    TEST_OK(exec_init(f, 7));
    CU_ASSERT_EQUAL(difference(named(e, "a.weight"), named(f, "a.weight")), 0);
    CU_ASSERT_EQUAL(difference(named(e, "b.weight"), named(f, "b.weight")), 0);
    TEST_OK(exec_init(f, 8));
    CU_ASSERT(difference(named(e, "a.weight"), named(f, "a.weight")) > 0.01);
    exec_free(e);
    exec_free(f);
    net_free(n);
    net_free(m);
}

static void exec_init__has_the_asked_distribution(void)
{
    struct net *n = net_new();
    net_val x = net_input(n, "x", 64, 4, 4);
    net_init_rule(n, NET_INIT_KAIMING_FAN_OUT);
    x = net_conv2d(n, "normal", x, 128, (struct net_conv){.k = 3, .pad = 1});
    net_init_rule(n, NET_INIT_XAVIER);
    x = net_conv2d(n, "uniform", x, 128, (struct net_conv){.k = 3, .pad = 1});
    net_output(n, "out", net_batch_norm(n, "bn", x, (struct net_norm){0}));
    TEST_OK(net_finish(n));
    struct exec *e = open_small(n, (struct exec_options){0});
    TEST_OK(exec_init(e, 1));
    for (int p = 0; p < 2; p++) {
        const struct net_param *q = &n->params[p];
        int64_t count = net_numel(q->shape);
        float *v = mem_alloc((size_t)count * sizeof *v);
        double sum = 0, squares = 0, most = 0;
        TEST_OK(tensor_to_f32(exec_param(e, p), v));
        for (int64_t i = 0; i < count; i++) {
            sum += (double)v[i];
            squares += (double)v[i] * (double)v[i];
            most = fmax(most, fabs((double)v[i]));
        }
        bool uniform = q->init.dist == NET_UNIFORM;
        double deviation = uniform ? q->init.scale / sqrt(3) : q->init.scale, root = sqrt((double)count);
        CU_ASSERT(fabs(sum / (double)count) < 4 * deviation / root);
        CU_ASSERT_DOUBLE_EQUAL(sqrt(squares / (double)count), deviation, 4 * deviation / root);
        CU_ASSERT(uniform ? most <= q->init.scale : most > 3.5 * deviation);
        free(v);
    }
    CU_ASSERT_EQUAL(difference(named(e, "bn.weight"), named(e, "bn.running_var")), 0);
    exec_free(e);
    net_free(n);
}

static void exec_arrays__go_out_and_come_back(void)
{
    struct net *n = small_net(false);
    struct exec *e = open_small(n, (struct exec_options){.channels_last = true}),
                *f = open_small(n, (struct exec_options){0});
    struct arena a = {0};
    struct weights_array *arrays;
    struct weights w = {0};
    size_t count;
    char path[1100];
    TEST_OK(exec_init(e, 3));
    for (int p = 0; p < n->n_params; p++)
        if (n->params[p].kind == NET_COUNT) *exec_count(e, p) = 41;
    TEST_OK(exec_arrays(&arrays, &count, &a, e));
    CU_ASSERT_EQUAL(count, 8); /* a.weight, a.bias, five of the norm, b.weight */
    snprintf(path, sizeof path, "%s/small.safetensors", test_dir());
    TEST_OK(weights_save(path, arrays, count, NULL));
    TEST_OK(weights_load(&w, path));
    TEST_OK(exec_load(f, &w, true, NULL));
    CU_ASSERT_EQUAL(difference(named(e, "a.weight"), named(f, "a.weight")), 0);
    CU_ASSERT_EQUAL(*exec_count(f, net_param_find(n, "norm.num_batches_tracked")), 41);
    weights_free(&w);
    arena_free(&a);
    exec_free(e);
    exec_free(f);
    net_free(n);
}

static void exec_load__says_what_does_not_fit(void)
{
    struct net *n = small_net(false);
    struct exec *e = open_small(n, (struct exec_options){0});
    float v[12] = {0};
    struct weights_array arrays[] = {
        {.name = "b.weight", .rank = 4, .shape = {4, 3, 1, 1}, .dtype = WEIGHTS_F32, .data = v, .bytes = sizeof v},
        {.name = "a.bias", .rank = 1, .shape = {3}, .dtype = WEIGHTS_F32, .data = v, .bytes = 12},
        {.name = "stranger", .rank = 1, .shape = {1}, .dtype = WEIGHTS_F32, .data = v, .bytes = 4},
    };
    char path[1100];
    struct weights w = {0};
    struct exec_match m;
    snprintf(path, sizeof path, "%s/odd.safetensors", test_dir());
    TEST_OK(weights_save(path, arrays, LEN(arrays), NULL));
    TEST_OK(weights_load(&w, path));
    TEST_FAILS(exec_load(e, &w, true, &m), STATUS_ARG, "stranger");
    TEST_OK(exec_load(e, &w, false, &m));
    CU_ASSERT(m.bound == 1 && m.unexpected == 1 && m.reshaped == 1 && m.missing == 5);
    CU_ASSERT_STRING_EQUAL(m.reshaped_names, "a.bias");
    CU_ASSERT(strstr(m.missing_names, "norm.running_var") != NULL);
    weights_free(&w);
    exec_free(e);
    net_free(n);
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static void exec_run__moves_running_statistics_in_training_only(void)
{
    struct net *n = small_net(false);
    struct exec *e = open_small(n, (struct exec_options){0});
    struct tensor *x = picture(4, 1), *y;
    int count = net_param_find(n, "norm.num_batches_tracked");
    float before[4], after[4];
    TEST_OK(exec_init(e, 1));
    const struct exec_mode still[] = {{0}, {.train = true, .norm_eval = true}};
    for (size_t k = 0; k < LEN(still); k++) {
        TEST_OK(exec_run(e, &still[k], &x, &y));
        tensor_free(y);
    }
    TEST_OK(tensor_to_f32(named(e, "norm.running_mean"), before));
    CU_ASSERT(before[0] == 0 && *exec_count(e, count) == 0);
    TEST_OK(exec_run(e, &(struct exec_mode){.train = true}, &x, &y));
    tensor_free(y);
    TEST_OK(tensor_to_f32(named(e, "norm.running_mean"), after));
    CU_ASSERT(after[0] != 0 && *exec_count(e, count) == 1);
    tensor_free(x);
    exec_free(e);
    net_free(n);
}

static void exec_run__drops_by_seed(void)
{
    struct net *n = small_net(false);
    struct exec *e = open_small(n, (struct exec_options){0});
    struct tensor *x = picture(4, 1), *y[4];
    TEST_OK(exec_init(e, 1));
    const struct exec_mode modes[] = {{.train = true, .seed = 1},
                                      {.train = true, .seed = 1},
                                      {.train = true, .seed = 2},
                                      {.train = true, .seed = 1, .no_dropout = true}};
    for (size_t k = 0; k < 4; k++) TEST_OK(exec_run(e, &modes[k], &x, &y[k]));
    CU_ASSERT_EQUAL(difference(y[0], y[1]), 0);
    CU_ASSERT(difference(y[0], y[2]) > 0.05);
    CU_ASSERT(difference(y[0], y[3]) > 0.05);
    for (size_t k = 0; k < 4; k++) tensor_free(y[k]);
    tensor_free(x);
    exec_free(e);
    net_free(n);
}

static struct tensor *grad_of(const struct tensor *t)
{
    struct tensor *g;
    TEST_OK(tensor_grad(&g, t));
    return g;
}

static void backward_of(struct exec *e, struct tensor *x)
{
    struct tensor *y, *sum;
    TEST_OK(exec_run(e, &(struct exec_mode){.train = true, .grad = true, .no_dropout = true}, &x, &y));
    TEST_OK(tensor_pow(&sum, y, 2)); /* the sum of a normalised map itself has no slope */
    tensor_free(y);
    TEST_OK(tensor_sum(&y, sum, 15, false));
    tensor_free(sum);
    TEST_OK(tensor_backward(y, 1));
    tensor_free(y);
}

static void exec_freeze__stops_gradients_and_statistics(void)
{
    struct net *n = small_net(false);
    struct exec *e = open_small(n, (struct exec_options){0});
    struct tensor *x = picture(4, 1), *g;
    float mean[4];
    TEST_OK(exec_init(e, 1));
    CU_ASSERT_EQUAL(exec_freeze(e, "[an]*", true), 4); /* a.weight, a.bias, norm.weight, norm.bias */
    backward_of(e, x);
    CU_ASSERT_PTR_NULL(grad_of(named(e, "a.weight")));
    CU_ASSERT_PTR_NOT_NULL(g = grad_of(named(e, "b.weight")));
    tensor_free(g);
    TEST_OK(tensor_to_f32(named(e, "norm.running_mean"), mean));
    CU_ASSERT_EQUAL(mean[0], 0);
    exec_freeze(e, "*", false);
    backward_of(e, x);
    CU_ASSERT_PTR_NOT_NULL(g = grad_of(named(e, "a.weight")));
    tensor_free(g);
    tensor_free(x);
    exec_free(e);
    net_free(n);
}

/** Output and gradient to the input of a frozen convolution + relu, done in one pass or, since somebody looks, in two.
 */
static void run_looked_at(struct exec *e, void (*see)(void *, net_val, const struct tensor *), struct tensor **y,
                          struct tensor **g)
{
    struct tensor *x = picture(2, 5), *sum;
    int seen = 0;
    TEST_OK(tensor_want_grad_in(x, true));
    TEST_OK(exec_run(e, &(struct exec_mode){.grad = true, .see = see, .user = &seen}, &x, y));
    TEST_OK(tensor_pow(g, *y, 2));
    TEST_OK(tensor_sum(&sum, *g, 15, false));
    tensor_free(*g);
    TEST_OK(tensor_backward(sum, 1));
    *g = grad_of(x);
    tensor_free(sum);
    tensor_free(x);
}

static void look(void *user, net_val v, const struct tensor *t)
{
    (void)v, (void)t;
    ++*(int *)user;
}

static void exec_run__one_pass_equals_two(void)
{
    static const enum tensor_dtype dtypes[] = {TENSOR_F64, TENSOR_F32, TENSOR_BF16};
    static const double near[] = {1e-14, 2e-6, 0.02};
    struct net *n = net_new();
    net_val x = net_input(n, "x", 3, 8, 8);
    x = net_relu(n, net_conv2d(n, "a", x, 8, (struct net_conv){.k = 3, .stride = 2, .pad = 1, .bias = true}));
    net_output(n, "out", net_relu(n, net_conv2d(n, "b", x, 8, (struct net_conv){.k = 3, .pads = {1, 0, 2, 1}})));
    TEST_OK(net_finish(n));
    for (size_t k = 0; k < LEN(dtypes); k++) {
        struct exec *e =
            open_small(n, (struct exec_options){.compute = dtypes[k], .channels_last = k % 2, .frozen = true});
        struct tensor *y[2], *g[2];
        TEST_OK(exec_fill_parity(e));
        run_looked_at(e, NULL, &y[0], &g[0]);
        run_looked_at(e, look, &y[1], &g[1]);
        CU_ASSERT(difference(y[0], y[1]) <= near[k]);
        CU_ASSERT(difference(g[0], g[1]) <= near[k]);
        for (int i = 0; i < 2; i++) tensor_free(y[i]), tensor_free(g[i]);
        exec_free(e);
    }
    net_free(n);
}

static void exec_run__says_what_is_wrong(void)
{
    struct net *n = small_net(false), *one = net_new();
    struct exec *e = open_small(n, (struct exec_options){0});
    struct tensor *x, *y;
    TEST_OK(tensor_zeros(&x, TENSOR_F32, 4, (int64_t[]){2, 3, 8, 9}, tensor_cpu()));
    TEST_FAILS(exec_run(e, &(struct exec_mode){0}, &x, &y), STATUS_ARG, "\"x\": got [2,3,8,9], expected [1,3,8,8]");
    CU_ASSERT_PTR_NULL(y);
    tensor_free(x);
    exec_free(e);
    net_free(n);

    net_enter(one, "pool");
    net_val v = net_adaptive_avg_pool(one, net_input(one, "x", 3, 8, 8), 1, 1);
    net_output(one, "out", net_batch_norm(one, "squeezed", v, (struct net_norm){0}));
    net_leave(one);
    TEST_OK(net_finish(one));
    e = open_small(one, (struct exec_options){0});
    TEST_OK(exec_init(e, 0));
    x = picture(1, 1);
    TEST_FAILS(exec_run(e, &(struct exec_mode){.train = true}, &x, &y), STATUS_ARG, "pool.squeezed");
    TEST_OK(exec_run(e, &(struct exec_mode){0}, &x, &y));
    tensor_free(y);
    tensor_free(x);
    exec_free(e);
    net_free(one);
}

static void exec_swap__exchanges_weights(void)
{
    struct net *n = small_net(false);
    struct exec *e = open_small(n, (struct exec_options){.compute = TENSOR_BF16, .frozen = true});
    struct tensor *x = picture(2, 1), *y[3], **other = mem_zalloc((size_t)n->n_params * sizeof *other);
    int p = net_param_find(n, "b.weight");
    TEST_OK(exec_init(e, 1));
    TEST_OK(tensor_zeros(&other[p], TENSOR_F32, 4, (int64_t[]){4, 3, 1, 1}, tensor_cpu()));
    for (int k = 0; k < 3; k++) {
        TEST_OK(exec_run(e, &(struct exec_mode){0}, &x, &y[k]));
        exec_swap(e, other);
    }
    CU_ASSERT(difference(y[0], y[1]) > 0.01);
    CU_ASSERT_EQUAL(difference(y[0], y[2]), 0);
    for (int k = 0; k < 3; k++) tensor_free(y[k]);
    tensor_free(other[p]);
    free(other);
    tensor_free(x);
    exec_free(e);
    net_free(n);
}

static const struct test tests[] = {
    TEST(exec_init__depends_on_seed_and_name_only),
    TEST(exec_init__has_the_asked_distribution),
    TEST(exec_arrays__go_out_and_come_back),
    TEST(exec_load__says_what_does_not_fit),
    TEST(exec_run__moves_running_statistics_in_training_only),
    TEST(exec_run__drops_by_seed),
    TEST(exec_freeze__stops_gradients_and_statistics),
    TEST(exec_run__one_pass_equals_two),
    TEST(exec_run__says_what_is_wrong),
    TEST(exec_swap__exchanges_weights),
};
TEST_MAIN("exec", tests)
