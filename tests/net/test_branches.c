/* Parallel branches become one convolution that computes the same, checked by plain loops over both nets. */
#include "net.h"
#include "test.h"
#include <math.h>

enum { C = 4, SIDE = 6 };

static const float **fill(const struct net *n, struct arena *a)
{
    const float **v = arena_alloc(a, (size_t)n->n_params * sizeof *v);
    for (int i = 0; i < n->n_params; i++) {
        int64_t count = net_numel(n->params[i].shape);
        float *p = arena_alloc(a, (size_t)count * sizeof *p);
        struct rng r = rng_key((uint64_t)i, 4, 5, 6);
        for (int64_t j = 0; j < count; j++) p[j] = (float)rng_range(&r, 0.25, 1);
        v[i] = p;
    }
    return v;
}

static double conv_at(const struct net_node *x, const float *const *v, const double *in, struct net_shape s, int64_t o,
                      int64_t y0, int64_t x0, int64_t in_each)
{
    const struct net_attr *a = &x->attr;
    double sum = x->n_param > 1 ? (double)v[x->param[1]][o] : 0;
    int64_t group = o / (x->shape.d[1] / a->groups);
    for (int64_t c = 0; c < in_each; c++)
        for (int64_t ky = 0; ky < a->kernel[0]; ky++)
            for (int64_t kx = 0; kx < a->kernel[1]; kx++) {
                int64_t iy = y0 * a->stride[0] - a->pads[0] + ky * a->dil[0];
                int64_t ix = x0 * a->stride[1] - a->pads[1] + kx * a->dil[1];
                if (iy < 0 || ix < 0 || iy >= s.d[2] || ix >= s.d[3]) continue;
                double w = (double)v[x->param[0]][((o * in_each + c) * a->kernel[0] + ky) * a->kernel[1] + kx];
                sum += w * in[((group * in_each + c) * s.d[2] + iy) * s.d[3] + ix];
            }
    return sum;
}

/* The only output of a net of convolutions, norms, sums and ReLUs. Owner: @p a. */
static const double *run(const struct net *n, const float *const *v, const double *input, struct arena *a)
{
    const double **value = arena_alloc(a, (size_t)n->n_nodes * sizeof *value);
    for (int i = 0; i < n->n_nodes; i++) {
        const struct net_node *x = &n->nodes[i];
        double *out = arena_alloc(a, (size_t)net_numel(x->shape) * sizeof *out);
        int64_t plane = x->shape.d[2] * x->shape.d[3];
        value[i] = x->op == NET_INPUT ? input : out;
        for (int64_t j = 0; x->op != NET_INPUT && j < net_numel(x->shape); j++) {
            int64_t c = j / plane, at = j % plane;
            double in = value[x->in[0]][x->op == NET_CONV2D ? 0 : j];
            struct net_shape s = n->nodes[x->in[0]].shape;
            const float *const *p = v;
            switch (x->op) {
            case NET_CONV2D:
                out[j] = conv_at(x, v, value[x->in[0]], s, c, at / x->shape.d[3], at % x->shape.d[3],
                                 s.d[1] / x->attr.groups);
                break;
            case NET_BATCH_NORM:
                out[j] = (in - (double)p[x->param[2]][c]) / sqrt((double)p[x->param[3]][c] + x->attr.eps) *
                             (double)p[x->param[0]][c] +
                         (double)p[x->param[1]][c];
                break;
            case NET_CHANNEL_AFFINE:
                out[j] = in * (double)p[x->param[0]][c] + (double)p[x->param[1]][c];
                break;
            case NET_ADD:
                out[j] = in + value[x->in[1]][j];
                break;
            case NET_RELU:
                out[j] = in > 0 ? in : 0;
                break;
            default:
                CU_FAIL_FATAL("an operation that this test does not know");
            }
        }
    }
    return value[n->outputs[0].val];
}

struct layer {
    int stride, dil, groups;
    bool identity, reused; /* reused: the first branch is read by something else, too */
    int other_groups;      /* of the 1x1 branch; 0: the same */
};

static net_val branch(struct net *n, const char *conv, const char *bn, net_val x, struct net_conv o)
{
    return net_batch_norm(n, bn, net_conv2d(n, conv, x, C, o), (struct net_norm){0});
}

static struct net *layer_net(struct layer l)
{
    struct net *n = net_new();
    net_val x = net_input(n, "x", C, SIDE, SIDE);
    struct net_conv wide = {.k = 3, .stride = l.stride, .pad = l.dil, .dil = l.dil, .groups = l.groups};
    struct net_conv point = {.k = 1, .stride = l.stride, .groups = l.other_groups ? l.other_groups : l.groups};
    net_val a = branch(n, "a", "an", x, wide);
    net_val sum = net_add(n, a, branch(n, "b", "bn", x, point));
    if (l.identity) sum = net_add(n, sum, net_batch_norm(n, "id", x, (struct net_norm){0}));
    sum = net_relu(n, net_add(n, sum, branch(n, "c", "cn", x, wide)));
    net_output(n, "y", l.reused ? net_add(n, sum, a) : sum);
    TEST_OK(net_finish(n));
    return n;
}

/* Convolutions left after the pass; the outputs are compared on the way. */
static int convs_after(struct layer l)
{
    struct arena a = {0};
    struct net *n = layer_net(l), *m;
    const float **in = fill(n, &a);
    struct net_values v;
    double input[C * SIDE * SIDE];
    for (size_t i = 0; i < LEN(input); i++) input[i] = (double)((i * 7) % 11) / 5 - 1;
    TEST_OK(net_for_inference(&m, &v, n, in));
    const double *want = run(n, in, input, &a), *got = run(m, v.v, input, &a);
    struct net_shape s = net_shape_of(n, n->outputs[0].val);
    for (int64_t i = 0; i < net_numel(s); i++) CU_ASSERT_DOUBLE_EQUAL(got[i], want[i], 1e-5 * (1 + fabs(want[i])));
    int convs = 0;
    for (int i = 0; i < m->n_nodes; i++) convs += m->nodes[i].op == NET_CONV2D;
    net_values_free(&v);
    net_free(m);
    net_free(n);
    arena_free(&a);
    return convs;
}

static void net_branches__become_one_convolution(void)
{
    CU_ASSERT_EQUAL(convs_after((struct layer){.stride = 1, .dil = 1, .groups = 1, .identity = true}), 1);
    CU_ASSERT_EQUAL(convs_after((struct layer){.stride = 1, .dil = 1, .groups = C, .identity = true}), 1);
    CU_ASSERT_EQUAL(convs_after((struct layer){.stride = 2, .dil = 1, .groups = 2}), 1);
    CU_ASSERT_EQUAL(convs_after((struct layer){.stride = 1, .dil = 2, .groups = 1, .identity = true}), 1);
}

static void net_branches__stay_where_they_cannot_merge(void)
{
    CU_ASSERT_EQUAL(convs_after((struct layer){.stride = 1, .dil = 1, .groups = 2, .other_groups = 4}), 3);
    CU_ASSERT_EQUAL(convs_after((struct layer){.stride = 1, .dil = 1, .groups = 1, .reused = true}), 3);
}

static const struct test tests[] = {
    TEST(net_branches__become_one_convolution),
    TEST(net_branches__stay_where_they_cannot_merge),
};
TEST_MAIN("net.branches", tests)
