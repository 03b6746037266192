/* Cost, liveness, dump and the passes, on a net small enough to count by hand. */
#include "net.h"
#include "test.h"
#include <math.h>

/* conv 3->4 k3 p1 (no bias), bn, relu; a dead branch; dropout; transposed conv 4->2 with bias, bn; lone bn on a sum. */
static struct net *example(void)
{
    struct net *n = net_new();
    net_val x = net_input(n, "x", 3, 8, 8);
    net_val a = net_conv2d(n, "c1", x, 4, (struct net_conv){.k = 3, .pad = 1});
    a = net_relu(n, net_batch_norm(n, "b1", a, (struct net_norm){.eps = 1e-3}));
    net_conv2d(n, "dead", a, 5, (struct net_conv){.k = 1});
    net_val b = net_dropout(n, a, 0.5);
    b = net_conv_transpose2d(n, "t", b, 2, (struct net_conv){.k = 2, .stride = 2, .bias = true});
    b = net_batch_norm(n, "b2", b, (struct net_norm){0});
    b = net_batch_norm(n, "b3", net_add(n, b, b), (struct net_norm){0});
    net_output(n, "y", b);
    TEST_OK(net_finish(n));
    return n;
}

/* Values by parameter: small, distinct, positive variances. */
static const float **fill(const struct net *n, struct arena *a)
{
    const float **v = arena_alloc(a, (size_t)n->n_params * sizeof *v);
    for (int i = 0; i < n->n_params; i++) {
        int64_t count = net_numel(n->params[i].shape);
        float *p = arena_alloc(a, (size_t)count * sizeof *p);
        struct rng r = rng_key((uint64_t)i, 1, 2, 3);
        for (int64_t j = 0; j < count; j++) p[j] = (float)rng_range(&r, 0.25, 1);
        v[i] = p;
    }
    return v;
}

static void net_live__skips_what_no_output_needs(void)
{
    struct net *n = example();
    bool live[32];
    net_live(n, live);
    for (int v = 0; v < n->n_nodes; v++) CU_ASSERT_EQUAL(live[v], strcmp(n->nodes[v].name, "dead") != 0);
    net_free(n);
}

static void net_cost__counts_by_hand(void)
{
    struct net *n = example();
    struct net_cost c = net_cost(n);
    /* 4*3*9, two norms' 2*4 and 2*2 and 2*2, dead 5*4, transposed 4*2*4 + 2 */
    CU_ASSERT_EQUAL(c.params, 108 + 8 + 20 + 34 + 4 + 4);
    /* conv 64*4*27; transposed 4*64 inputs * 2*4 */
    CU_ASSERT_EQUAL(c.macs, 64 * 4 * 27 + 256 * 8);
    CU_ASSERT_EQUAL(c.macs_matmul, 0);
    /* widest moment: an elementwise op on [2,16,16] beside its input */
    CU_ASSERT_EQUAL(c.bytes_peak_infer, 4 * 2 * 512);
    net_free(n);
}

static void net_single_value_norm__names_the_layer(void)
{
    struct net *n = net_new();
    net_val x = net_mean(n, net_input(n, "x", 4, 8, 8), 0xc, true);
    net_enter(n, "aspp");
    net_output(n, "y", net_batch_norm(n, "bn", x, (struct net_norm){0}));
    net_leave(n);
    CU_ASSERT_STRING_EQUAL(net_single_value_norm(n, 1), "aspp.bn.weight");
    CU_ASSERT_PTR_NULL(net_single_value_norm(n, 2));
    net_free(n);
}

static void net_dump__has_a_line_a_node_and_a_total(void)
{
    struct net *n = example();
    struct str s = {0};
    net_dump(n, &s);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(s.s, "conv2d             [1,4,8,8]              %0 k3x3 s1 p1,1,1,1  c1  params 108  MACs 6912"));
    CU_ASSERT_PTR_NOT_NULL(strstr(s.s, "dead  params 20  (unused)"));
    CU_ASSERT_PTR_NOT_NULL(strstr(s.s, "total  10 ops"));
    str_free(&s);
    net_free(n);
}

static const struct net_node *only(const struct net *n, enum net_op op)
{
    const struct net_node *found = NULL;
    for (int v = 0; v < n->n_nodes; v++)
        if (n->nodes[v].op == op) {
            CU_ASSERT_PTR_NULL(found);
            found = &n->nodes[v];
        }
    CU_ASSERT_PTR_NOT_NULL_FATAL(found);
    return found;
}

static void net_for_inference__folds_norms(void)
{
    struct arena a = {0};
    struct net *n = example(), *m;
    const float **in = fill(n, &a);
    struct net_values v;
    TEST_OK(net_for_inference(&m, &v, n, in));
    const struct net_node *conv = only(m, NET_CONV2D), *t = only(m, NET_CONV_TRANSPOSE2D);
    only(m, NET_CHANNEL_AFFINE); /* the norm of a sum has no convolution to go into */
    CU_ASSERT_EQUAL(m->n_nodes, 6);
    CU_ASSERT_EQUAL(net_param_find(m, "dead.weight"), -1);

    const char *b1[] = {"b1.weight", "b1.bias", "b1.running_mean", "b1.running_var"};
    const float *p[4];
    for (int i = 0; i < 4; i++) p[i] = in[net_param_find(n, b1[i])];
    double s = (double)p[0][2] / sqrt((double)p[3][2] + 1e-3); /* filter 2, its weight 5 */
    CU_ASSERT_DOUBLE_EQUAL(v.v[conv->param[0]][2 * 27 + 5], s * (double)in[net_param_find(n, "c1.weight")][2 * 27 + 5],
                           1e-6);
    CU_ASSERT_DOUBLE_EQUAL(v.v[conv->param[1]][2], (double)p[1][2] - s * (double)p[2][2], 1e-6);

    const char *b2[] = {"b2.weight", "b2.bias", "b2.running_mean", "b2.running_var"};
    for (int i = 0; i < 4; i++) p[i] = in[net_param_find(n, b2[i])];
    s = (double)p[0][1] / sqrt((double)p[3][1] + 1e-5); /* transposed weight [4,2,2,2]: input 3, filter 1, corner 2 */
    int at = 3 * 8 + 1 * 4 + 2;
    CU_ASSERT_DOUBLE_EQUAL(v.v[t->param[0]][at], s * (double)in[net_param_find(n, "t.weight")][at], 1e-6);
    double bias = (double)in[net_param_find(n, "t.bias")][1];
    CU_ASSERT_DOUBLE_EQUAL(v.v[t->param[1]][1], (double)p[1][1] + s * (bias - (double)p[2][1]), 1e-6);
    net_values_free(&v);
    net_free(m);
    net_free(n);
    arena_free(&a);
}

static void net_image_io__wraps_and_keeps_constants_apart(void)
{
    struct net *n = net_new(), *m;
    net_val x = net_input(n, "x", 3, 4, 4);
    x = net_channel_affine(n, x, (float[]){2, 3, 4}, (float[]){5, 6, 7});
    net_output(n, "y", x);
    TEST_OK(net_finish(n));
    const float *in[2] = {n->params[0].value, n->params[1].value};
    struct net_values v;
    struct net_image_norm norm = {(float[]){.5f, .5f, .5f}, (float[]){.25f, .25f, .5f}};
    TEST_OK(net_image_io(&m, &v, n, in, norm, norm));
    CU_ASSERT_EQUAL(m->n_nodes, 6);
    CU_ASSERT_EQUAL(m->n_params, 6);
    CU_ASSERT_DOUBLE_EQUAL(v.v[m->nodes[1].param[0]][0], 1 / (255 * 0.25), 1e-7);
    CU_ASSERT_DOUBLE_EQUAL(v.v[m->nodes[1].param[1]][2], -1, 1e-7);
    CU_ASSERT_DOUBLE_EQUAL(v.v[m->nodes[2].param[0]][1], 3, 0);
    CU_ASSERT_DOUBLE_EQUAL(v.v[m->nodes[3].param[1]][0], 127.5, 0);
    CU_ASSERT_EQUAL(m->nodes[4].op, NET_CLAMP);
    CU_ASSERT_EQUAL(m->nodes[5].op, NET_ROUND);
    net_values_free(&v);
    net_free(m);

    struct net *grey = net_new();
    net_output(grey, "y", net_input(grey, "x", 1, 4, 4));
    TEST_FAILS(net_image_io(&m, &v, grey, in, norm, norm), STATUS_REFUSED, "3-channel output");
    net_free(grey);
    grey = net_new();
    x = net_input(grey, "x", 1, 4, 4);
    net_output(grey, "y", net_concat(grey, (net_val[]){x, x, x}, 3));
    TEST_OK(net_finish(grey));
    TEST_OK(net_image_io(&m, &v, grey, in, (struct net_image_norm){(float[]){.5f}, (float[]){.5f}}, norm));
    CU_ASSERT_EQUAL(net_c(m, m->nodes[1].in[0]), 1);
    CU_ASSERT_DOUBLE_EQUAL(v.v[m->nodes[1].param[0]][0], 1 / 127.5, 1e-7);
    net_values_free(&v);
    net_free(m);
    net_free(grey);
    net_free(n);
}

static const struct test tests[] = {
    TEST(net_live__skips_what_no_output_needs),   TEST(net_cost__counts_by_hand),
    TEST(net_single_value_norm__names_the_layer), TEST(net_dump__has_a_line_a_node_and_a_total),
    TEST(net_for_inference__folds_norms),         TEST(net_image_io__wraps_and_keeps_constants_apart),
};
TEST_MAIN("net.passes", tests)
