/* Building nets: shapes, names, errors that latch, sharing, how weights start. */
#include "net.h"
#include "test.h"
#include <math.h>

static void check_shape(const struct net *n, net_val v, int c, int h, int w)
{
    struct net_shape s = net_shape_of(n, v);
    if (s.rank != 4 || s.d[1] != c || s.d[2] != h || s.d[3] != w) {
        fprintf(stderr, "got %s, expected [1,%d,%d,%d]\n", net_shape_str(s), c, h, w);
        CU_FAIL("shape");
    }
}

static void net_conv2d__infers_shapes(void)
{
    static const struct {
        int in, out;
        struct net_conv o;
    } cases[] = {
        {224, 112, {.k = 7, .stride = 2, .pad = 3}},
        {32, 32, {.k = 3, .pad = 1}},
        {32, 30, {.k = 3}},
        {32, 32, {.k = 3, .pad = 12, .dil = 12}},
        {15, 8, {.k = 3, .stride = 2, .same = true}},
        {16, 8, {.k = 5, .stride = 2, .same = true}},
        {16, 8, {.k = 3, .stride = 2, .pads = {0, 0, 1, 1}}},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        struct net *n = net_new();
        net_val x = net_input(n, "x", 3, cases[i].in, cases[i].in);
        check_shape(n, net_conv2d(n, "c", x, 8, cases[i].o), 8, cases[i].out, cases[i].out);
        net_free(n);
    }
}

static void net_conv2d__same_puts_the_odd_zero_last(void)
{
    struct net *n = net_new();
    net_val x = net_input(n, "x", 3, 16, 15);
    net_val y = net_conv2d(n, "c", x, 8, (struct net_conv){.k = 3, .stride = 2, .same = true});
    const int *p = n->nodes[y].attr.pads; /* 16 -> 8 needs one zero, 15 -> 8 needs two */
    CU_ASSERT(p[0] == 0 && p[2] == 1 && p[1] == 1 && p[3] == 1);
    net_free(n);
}

static void net_max_pool__ceil_never_starts_in_the_padding(void)
{
    struct net *n = net_new();
    net_val x = net_input(n, "x", 1, 3, 3);
    /* 3 with k2 s2 p1: floor and ceil give 2 and 3 windows; the third would start in the padding, as in PyTorch. */
    check_shape(n, net_max_pool(n, x, (struct net_pool){.k = 2, .pad = 1, .ceil = true}), 1, 2, 2);
    check_shape(n,
                net_max_pool(n, net_input(n, "y", 1, 112, 112), (struct net_pool){.k = 3, .stride = 2, .ceil = true}),
                1, 56, 56);
    net_free(n);
}

static void net_parameters__carry_the_scope(void)
{
    struct net *n = net_new();
    net_val x = net_input(n, "x", 3, 8, 8);
    net_enter(n, "encoder");
    net_enter(n, "layer%d", 1);
    x = net_conv2d(n, "conv1", x, 4, (struct net_conv){.k = 1, .bias = true});
    net_leave(n);
    net_batch_norm(n, "bn1", x, (struct net_norm){0});
    net_leave(n);
    CU_ASSERT(net_param_find(n, "encoder.layer1.conv1.weight") == 0);
    CU_ASSERT(net_param_find(n, "encoder.layer1.conv1.bias") == 1);
    CU_ASSERT(net_param_find(n, "encoder.bn1.num_batches_tracked") == 6);
    CU_ASSERT(net_param_find(n, "encoder.bn2.weight") == -1);
    net_free(n);
}

static void net_parameters__of_one_name_are_shared(void)
{
    struct net *n = net_new();
    net_val a = net_input(n, "a", 3, 8, 8), b = net_input(n, "b", 3, 8, 8);
    net_conv2d(n, "c", a, 4, (struct net_conv){.k = 3});
    net_conv2d(n, "c", b, 4, (struct net_conv){.k = 3});
    CU_ASSERT_EQUAL(n->n_params, 1);
    CU_ASSERT_EQUAL(net_conv2d(n, "c", b, 5, (struct net_conv){.k = 3}), NET_NONE);
    TEST_FAILS(net_finish(n), STATUS_ARG, "c.weight");
    net_free(n);
}

static void net_errors__latch_the_first(void)
{
    struct net *n = net_new();
    net_val x = net_input(n, "x", 3, 4, 4);
    net_enter(n, "stem");
    net_val y = net_conv2d(n, "big", x, 8, (struct net_conv){.k = 7});
    net_leave(n);
    CU_ASSERT_EQUAL(y, NET_NONE);
    CU_ASSERT_EQUAL(net_relu(n, y), NET_NONE);
    CU_ASSERT_EQUAL(net_conv2d(n, "groups", x, 8, (struct net_conv){.k = 1, .groups = 2}), NET_NONE);
    TEST_FAILS(net_finish(n), STATUS_REFUSED, "stem: big");
    net_free(n);
}

static void net_finish__wants_outputs_and_closed_scopes(void)
{
    struct net *n = net_new();
    net_input(n, "x", 1, 1, 1);
    TEST_FAILS(net_finish(n), STATUS_ARG, "no output");
    net_free(n);
    n = net_new();
    net_output(n, "y", net_input(n, "x", 1, 1, 1));
    net_enter(n, "left");
    TEST_FAILS(net_finish(n), STATUS_ARG, "left");
    net_free(n);
}

static void net_shapes__of_the_other_operations(void)
{
    struct net *n = net_new();
    net_val x = net_input(n, "x", 8, 6, 4);
    check_shape(n, net_concat(n, (net_val[]){x, x, x}, 3), 24, 6, 4);
    check_shape(n, net_slice(n, x, 2, 5), 5, 6, 4);
    check_shape(n, net_mul(n, x, net_mean(n, x, 0xc, true)), 8, 6, 4);
    check_shape(n, net_conv_transpose2d(n, "t", x, 3, (struct net_conv){.k = 4, .stride = 2, .pad = 1}), 3, 12, 8);
    net_val flat = net_reshape(n, x, 2, (int64_t[]){8, -1});
    struct net_shape s = net_shape_of(n, net_matmul(n, flat, net_transpose(n, flat, 1, 2)));
    CU_ASSERT(s.rank == 3 && s.d[1] == 8 && s.d[2] == 8);
    CU_ASSERT_EQUAL(net_shape_of(n, net_l1(n, x, x)).rank, 0);
    CU_ASSERT_EQUAL(net_shape_of(n, net_gram(n, x)).d[2], 8);
    CU_ASSERT(!net_failed(n));
    net_free(n);
}

static void net_init__follows_the_rule(void)
{
    /* 16 filters of 3x3 over 8 channels in 2 groups: fan_in 36, k k out 144. */
    static const struct {
        enum net_init_rule rule;
        enum net_dist dist;
        double scale2; /* square of the bound or deviation */
        enum net_dist bias;
    } cases[] = {
        {NET_INIT_DEFAULT, NET_UNIFORM, 1 / 36.0, NET_UNIFORM},
        {NET_INIT_KAIMING_FAN_OUT, NET_NORMAL, 2 / 144.0, NET_ZERO},
        {NET_INIT_KAIMING_FAN_IN, NET_NORMAL, 2 / 36.0, NET_ZERO},
        {NET_INIT_GOOG, NET_NORMAL, 2 / 72.0, NET_ZERO},
        {NET_INIT_DECODER, NET_UNIFORM, 6 / 36.0, NET_ZERO},
        {NET_INIT_XAVIER, NET_UNIFORM, 6 / 180.0, NET_ZERO},
        {NET_INIT_FAN_OUT_BIAS, NET_NORMAL, 2 / 144.0, NET_UNIFORM},
        {NET_INIT_ZEROS, NET_ZERO, 0, NET_ZERO},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        struct net *n = net_new();
        net_init_rule(n, cases[i].rule);
        net_conv2d(n, "c", net_input(n, "x", 8, 9, 9), 16, (struct net_conv){.k = 3, .groups = 2, .bias = true});
        struct net_init w = n->params[0].init;
        CU_ASSERT_EQUAL(w.dist, cases[i].dist);
        CU_ASSERT_DOUBLE_EQUAL(w.scale * w.scale, cases[i].scale2, 1e-12);
        CU_ASSERT_EQUAL(n->params[1].init.dist, cases[i].bias);
        net_free(n);
    }
}

static const struct test tests[] = {
    TEST(net_conv2d__infers_shapes),
    TEST(net_conv2d__same_puts_the_odd_zero_last),
    TEST(net_max_pool__ceil_never_starts_in_the_padding),
    TEST(net_parameters__carry_the_scope),
    TEST(net_parameters__of_one_name_are_shared),
    TEST(net_errors__latch_the_first),
    TEST(net_finish__wants_outputs_and_closed_scopes),
    TEST(net_shapes__of_the_other_operations),
    TEST(net_init__follows_the_rule),
};
TEST_MAIN("net.build", tests)
