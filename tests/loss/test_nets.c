#include "loss.h"
#include "test.h"

static struct loss_options vgg(void)
{
    return (struct loss_options){.height = 64,
                                 .width = 96,
                                 .pixel_weight = 1,
                                 .gram_scale = 5000,
                                 .feature_weights = {1, 1, 1, 1},
                                 .n_feature = 4,
                                 .gram_weights = {0.5, 0, 2, 1},
                                 .n_gram = 4};
}

static bool has_output(const struct net *n, const char *name)
{
    for (int i = 0; i < n->n_outputs; i++)
        if (strcmp(n->outputs[i].name, name) == 0) return true;
    return false;
}

static void loss_perceptual__has_one_output_a_term(void)
{
    struct net *n;
    struct loss_options o = vgg();
    TEST_OK(loss_build(&n, &o));
    static const char *const present[] = {"total",     "pixel",  "feature.0", "feature.1", "feature.2",
                                          "feature.3", "gram.0", "gram.2",    "gram.3"};
    CU_ASSERT_EQUAL(n->n_outputs, (int)LEN(present)); /* gram.1 has weight 0 */
    for (size_t i = 0; i < LEN(present); i++) CU_ASSERT_TRUE(has_output(n, present[i]));
    CU_ASSERT_EQUAL(n->n_inputs, 2);
    net_free(n);
}

static void loss_perceptual__computes_nothing_deeper_than_needed(void)
{
    struct net *n;
    struct loss_options o = vgg();
    TEST_OK(loss_build(&n, &o));
    CU_ASSERT_TRUE(net_param_find(n, "features.0.weight") >= 0);
    CU_ASSERT_TRUE(net_param_find(n, "features.21.weight") >= 0); /* conv4_3 */
    bool *live = mem_zalloc((size_t)n->n_nodes);
    net_live(n, live);
    int convolutions = 0;
    for (int v = 0; v < n->n_nodes; v++)
        if (live[v] && n->nodes[v].op == NET_CONV2D) convolutions++;
    CU_ASSERT_EQUAL(convolutions, 2 * 10); /* ten layers, on pred and on target */
    free(live);
    net_free(n);

    o.feature_weights[2] = o.feature_weights[3] = o.gram_weights[2] = o.gram_weights[3] = 0;
    TEST_OK(loss_build(&n, &o));
    CU_ASSERT_TRUE(net_param_find(n, "features.7.weight") >= 0); /* conv2_2 */
    live = mem_zalloc((size_t)n->n_nodes);
    net_live(n, live);
    int conv4 = net_param_find(n, "features.17.weight");
    CU_ASSERT_TRUE(conv4 < 0 || !live[n->params[conv4].owner]);
    free(live);
    net_free(n);
}

static void loss_perceptual__pixel_alone_needs_no_network(void)
{
    struct net *n;
    TEST_OK(loss_build(&n, &(struct loss_options){.height = 8, .width = 8, .pixel_weight = 2}));
    CU_ASSERT_EQUAL(n->n_params, 0);
    CU_ASSERT_EQUAL(n->n_outputs, 2);
    net_free(n);
}

static void loss_perceptual__any_backbone_is_a_loss_network(void)
{
    static const struct {
        const char *network;
        int blocks; /* it has */
    } rows[] = {{"vgg11_bn", 6}, {"resnet18", 5}, {"mobilenetv3_small_100", 5}, {"tf_efficientnet_lite0", 5}};
    for (size_t i = 0; i < LEN(rows); i++) {
        struct net *n = NULL;
        struct loss_options o = vgg();
        o.network = rows[i].network;
        TEST_OK(loss_build(&n, &o));
        net_free(n);
        o.n_feature = rows[i].blocks;
        TEST_OK(loss_build(&n, &o));
        net_free(n);
        o.n_feature = rows[i].blocks + 1;
        TEST_FAILS(loss_build(&n, &o), STATUS_ARG, "loss.feature_weights: got");
    }
}

static void loss_perceptual__resizes_what_the_network_sees(void)
{
    struct net *n;
    struct loss_options o = vgg();
    o.size = 32;
    TEST_OK(loss_build(&n, &o));
    int resized = 0;
    for (int v = 0; v < n->n_nodes; v++)
        if (n->nodes[v].op == NET_UPSAMPLE_BILINEAR) {
            resized++;
            CU_ASSERT_EQUAL(net_h(n, v), 32);
            CU_ASSERT_EQUAL(net_w(n, v), 48); /* the aspect is kept */
        }
    CU_ASSERT_EQUAL(resized, 2);
    net_free(n);
}

static void loss_perceptual__unknown_network_is_an_error_with_the_nearest(void)
{
    struct net *n;
    struct loss_options o = vgg();
    o.network = "vgg160";
    TEST_FAILS(loss_build(&n, &o), STATUS_ARG, "did you mean \"vgg16\"");
}

static void loss_metrics__one_value_an_image(void)
{
    struct net *n;
    TEST_OK(loss_metrics_build(&n, 32, 48, NULL, NULL));
    int rows = 0;
    for (const struct loss_metric *m = loss_metrics; m->name; m++, rows++) CU_ASSERT_TRUE(has_output(n, m->name));
    CU_ASSERT_EQUAL(n->n_outputs, rows);
    for (int i = 0; i < n->n_outputs; i++) CU_ASSERT_EQUAL(net_shape_of(n, n->outputs[i].val).rank, 1);
    net_free(n);
    TEST_FAILS(loss_metrics_build(&n, 10, 48, NULL, NULL), STATUS_ARG, "at least 11 x 11");
}

static void loss_ms_ssim__has_fewer_scales_for_small_images(void)
{
    static const struct {
        int side, scales;
    } rows[] = {{11, 1},  {21, 1},  {22, 2},  {44, 3},  {64, 3},  {88, 4},
                {128, 4}, {175, 4}, {176, 5}, {256, 5}, {4096, 5}};
    for (size_t i = 0; i < LEN(rows); i++) {
        CU_ASSERT_EQUAL(loss_ms_ssim_scales(rows[i].side, rows[i].side), rows[i].scales);
        CU_ASSERT_EQUAL(loss_ms_ssim_scales(rows[i].side, 4096), rows[i].scales);
    }
}

static const struct test tests[] = {
    TEST(loss_perceptual__has_one_output_a_term),
    TEST(loss_perceptual__computes_nothing_deeper_than_needed),
    TEST(loss_perceptual__pixel_alone_needs_no_network),
    TEST(loss_perceptual__any_backbone_is_a_loss_network),
    TEST(loss_perceptual__resizes_what_the_network_sees),
    TEST(loss_perceptual__unknown_network_is_an_error_with_the_nearest),
    TEST(loss_metrics__one_value_an_image),
    TEST(loss_ms_ssim__has_fewer_scales_for_small_images),
};
TEST_MAIN("loss.nets", tests)
