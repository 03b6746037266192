/* Options and sizes: what they change, what is refused and how it is said. */
#include "test.h"
#include "zoo.h"
#include <math.h>

#define MODEL(...)                                                                                                     \
    &(struct zoo_model)                                                                                                \
    {                                                                                                                  \
        .height = 128, .width = 128, __VA_ARGS__                                                                       \
    }

static struct net *built(const struct zoo_model *m)
{
    struct net *n = NULL;
    TEST_OK(zoo_build(&n, m));
    CU_ASSERT_PTR_NOT_NULL_FATAL(n);
    return n;
}

static const struct net_param *param(const struct net *n, const char *name)
{
    int i = net_param_find(n, name);
    if (i < 0) fprintf(stderr, "no parameter %s\n", name);
    CU_ASSERT_FATAL(i >= 0);
    return &n->params[i];
}

static int count_ops(const struct net *n, enum net_op op)
{
    int k = 0;
    for (int v = 0; v < n->n_nodes; v++) k += n->nodes[v].op == op;
    return k;
}

static void zoo_names__nearest_is_named(void)
{
    TEST_FAILS(zoo_fits(MODEL(.arch = "unett", .backbone = "resnet18")), STATUS_ARG, "did you mean \"unet\"");
    TEST_FAILS(zoo_fits(MODEL(.arch = "unet", .backbone = "resnet81")), STATUS_ARG, "did you mean \"resnet");
    TEST_FAILS(zoo_fits(MODEL(.arch = "unet")), STATUS_ARG, "model.backbone");
}

static void zoo_dilation__refusal_says_why(void)
{
    struct zoo_model *m = MODEL(.arch = "deeplabv3", .backbone = "vgg16");
    TEST_FAILS(zoo_fits(m), STATUS_REFUSED, "vgg16 has max pools between all stages");
    TEST_FAILS(zoo_fits(MODEL(.arch = "pan", .backbone = "xception")), STATUS_REFUSED, "output stride 16");
    TEST_OK(zoo_fits(MODEL(.arch = "pan", .backbone = "xception", .output_stride = 32)));
    TEST_FAILS(zoo_fits(MODEL(.arch = "unet", .backbone = "resnet18", .output_stride = 8)), STATUS_REFUSED,
               "stride 32, got 8");
    TEST_FAILS(zoo_fits(MODEL(.arch = "pan", .backbone = "resnet18", .output_stride = 12)), STATUS_ARG, "8, 16 or 32");
}

static void zoo_dilation__both_rules(void)
{
    /* Native: a stage's every convolution has the full rate. timm: its first block still has the rate before. */
    struct net *n = built(MODEL(.arch = "deeplabv3", .backbone = "resnet18"));
    int full = 0;
    for (int v = 0; v < n->n_nodes; v++) full += n->nodes[v].op == NET_CONV2D && n->nodes[v].attr.dil[0] == 4;
    CU_ASSERT_EQUAL(full, 5); /* four 3x3 and the shortcut of layer4 */
    net_free(n);
    n = built(MODEL(.arch = "deeplabv3", .backbone = "regnetx_002"));
    int half = 0;
    for (int v = 0; v < n->n_nodes; v++)
        half += n->nodes[v].op == NET_CONV2D && n->nodes[v].attr.dil[0] == 2 && strstr(n->nodes[v].scope, "s4.b1");
    CU_ASSERT_EQUAL(half, 1);
    net_free(n);
}

static void zoo_size__nearest_sizes_are_named(void)
{
    struct net *n;
    struct zoo_model m = {.arch = "linknet", .backbone = "resnet18", .height = 250, .width = 256};
    TEST_FAILS(zoo_build(&n, &m), STATUS_REFUSED, "linknet cannot take 250 x 256");
    TEST_FAILS(zoo_build(&n, &m), STATUS_REFUSED, "224 x 256 and 256 x 256");
    m.width = 16;
    TEST_FAILS(zoo_build(&n, &m), STATUS_REFUSED,
               "at least 32 and divisible by 32; the nearest sizes are 224 x 32 and 256 x 32");
    m = (struct zoo_model){.arch = "pan", .backbone = "resnet18", .height = 64, .width = 128};
    TEST_FAILS(zoo_build(&n, &m), STATUS_REFUSED, "at least 128 and divisible by 16; the nearest size is 128 x 128");
    m = (struct zoo_model){.arch = "unet", .backbone = "resnet18", .height = 0, .width = -4};
    TEST_FAILS(zoo_build(&n, &m), STATUS_REFUSED, "the nearest size is 32 x 32");
    m = (struct zoo_model){.arch = "pspnet", .backbone = "resnet18", .height = 40, .width = 48};
    TEST_OK(zoo_build(&n, &m));
    net_free(n);
}

static void zoo_size__unet_takes_any(void)
{
    for (const char *const *b = zoo_backbone_names(); *b; b++) {
        struct net *n = built(&(struct zoo_model){.arch = "unet", .backbone = *b, .height = 97, .width = 130});
        struct net_shape out = net_shape_of(n, n->outputs[0].val);
        CU_ASSERT(out.d[2] == 97 && out.d[3] == 130);
        net_free(n);
    }
}

static void zoo_option__belongs_to_a_decoder(void)
{
    TEST_FAILS(zoo_fits(MODEL(.arch = "fpn", .backbone = "vgg11", .attention = "scse")), STATUS_REFUSED,
               "fpn has no such option");
    TEST_FAILS(zoo_fits(MODEL(.arch = "unet", .backbone = "vgg11", .merge = "cat")), STATUS_REFUSED, "model.merge");
    TEST_FAILS(zoo_fits(MODEL(.arch = "unet", .backbone = "vgg11", .dropout = 0.1)), STATUS_REFUSED, "model.dropout");
    TEST_OK(zoo_fits(MODEL(.arch = "unet", .backbone = "vgg11", .dropout = -1)));
    TEST_FAILS(zoo_fits(MODEL(.arch = "unet", .backbone = "vgg11", .attention = "se")), STATUS_ARG, "expected scse");
    TEST_FAILS(zoo_fits(MODEL(.arch = "unet", .backbone = "vgg11", .interpolation = "cubic")), STATUS_ARG,
               "nearest or bilinear");
    TEST_FAILS(zoo_fits(MODEL(.arch = "fpn", .backbone = "vgg11", .dropout = 1)), STATUS_ARG, "less than 1");
    TEST_FAILS(zoo_fits(MODEL(.arch = "fpn", .backbone = "vgg11", .dropout = (double)NAN)), STATUS_ARG, "less than 1");
    TEST_FAILS(zoo_fits(MODEL(.arch = "unet", .backbone = "vgg11", .depth = 2)), STATUS_ARG, "3 to 5");
    TEST_FAILS(zoo_fits(MODEL(.arch = "unet", .backbone = "vgg11", .in_channels = -1)), STATUS_ARG, "in_channels");
    TEST_FAILS(zoo_fits(MODEL(.arch = "unet", .backbone = "vgg11", .activation = "relu7")), STATUS_ARG,
               "expected identity");
}

static void zoo_option__widths(void)
{
    struct net *n = built(MODEL(.arch = "unet", .backbone = "resnet18", .depth = 4, .channels = {64, 48, 32, 16}));
    CU_ASSERT_EQUAL(param(n, "decoder.blocks.3.conv2.0.weight")->shape.d[0], 16);
    net_free(n);
    n = built(MODEL(.arch = "unetplusplus", .backbone = "resnet18", .depth = 3));
    CU_ASSERT_EQUAL(param(n, "decoder.blocks.x_0_2.conv2.0.weight")->shape.d[0], 64);
    net_free(n);
    TEST_FAILS(zoo_fits(MODEL(.arch = "unet", .backbone = "vgg11", .channels = {8, 8})), STATUS_ARG,
               "takes 5 widths, got 2");
    TEST_FAILS(zoo_fits(MODEL(.arch = "unet", .backbone = "vgg11", .channels = {8, 0, 8})), STATUS_ARG, "channels[1]");
    TEST_FAILS(zoo_fits(MODEL(.arch = "unet", .backbone = "vgg11", .channels = {-8, 8, 8, 8, 8})), STATUS_ARG,
               "got -8");
    TEST_FAILS(zoo_fits(MODEL(.arch = "fpn", .backbone = "vgg11", .channels = {64, 40})), STATUS_ARG, "groups of 32");
    TEST_FAILS(
        zoo_fits(MODEL(.arch = "unet", .backbone = "vgg11", .channels = {64, 32, 16, 16, 8}, .attention = "scse")),
        STATUS_ARG, "16 or more");
}

static void zoo_option__attention_is_stored_as_in_the_reference(void)
{
    struct zoo_model *m = MODEL(.arch = "unet", .backbone = "resnet18", .attention = "scse");
    struct net *n = built(m);
    CU_ASSERT_EQUAL(param(n, "decoder.blocks.0.attention1.attention.cSE.1.weight")->shape.d[0], (512 + 256) / 16);
    param(n, "decoder.blocks.4.attention2.attention.sSE.0.bias");
    param(n, "decoder.blocks.4.attention1.attention.sSE.0.bias");
    CU_ASSERT_PTR_NOT_NULL(zoo_unused_reason(m, "decoder.blocks.4.attention1.attention.sSE.0.bias"));
    CU_ASSERT_PTR_NULL(zoo_unused_reason(m, "encoder.conv1.weight"));
    net_free(n);
}

static void zoo_option__merge_and_interpolation(void)
{
    struct net *n = built(MODEL(.arch = "fpn", .backbone = "resnet18", .merge = "cat", .interpolation = "bilinear"));
    CU_ASSERT_EQUAL(param(n, "segmentation_head.0.weight")->shape.d[1], 4 * 128);
    CU_ASSERT_EQUAL(count_ops(n, NET_UPSAMPLE_NEAREST), 0);
    CU_ASSERT_EQUAL(count_ops(n, NET_DROPOUT2D), 1);
    net_free(n);
}

static void zoo_option__channels_in_and_out(void)
{
    struct net *n = built(MODEL(.arch = "unet", .backbone = "resnet18", .in_channels = 4, .out_channels = 1));
    const struct net_param *stem = param(n, "encoder.conv1.weight");
    CU_ASSERT_EQUAL(stem->shape.d[1], 4);
    CU_ASSERT_EQUAL(stem->init.dist, NET_UNIFORM); /* a fresh layer, not the family's start */
    CU_ASSERT_EQUAL(param(n, "encoder.layer1.0.conv1.weight")->init.dist, NET_NORMAL);
    CU_ASSERT_EQUAL(net_shape_of(n, n->outputs[0].val).d[1], 1);
    net_free(n);
    n = built(MODEL(.arch = "unet", .backbone = "regnety_002", .in_channels = 1));
    CU_ASSERT_EQUAL(param(n, "encoder.model.stem.conv.weight")->init.dist, NET_NORMAL);
    CU_ASSERT_EQUAL(param(n, "encoder.model.s1.b1.conv3.bn.weight")->init.dist, NET_ZERO);
    net_free(n);
}

static void zoo_option__head(void)
{
    static const struct {
        const char *name;
        enum net_op op;
    } heads[] = {{"tanh", NET_TANH},       {"sigmoid", NET_SIGMOID},        {"clamp", NET_CLAMP},
                 {"softmax", NET_SOFTMAX}, {"logsoftmax", NET_LOG_SOFTMAX}, {"identity", NET_CONV2D}};
    for (size_t i = 0; i < LEN(heads); i++) {
        struct net *n = built(MODEL(.arch = "unet", .backbone = "resnet18", .activation = heads[i].name));
        CU_ASSERT_EQUAL(n->nodes[n->outputs[0].val].op, heads[i].op);
        net_free(n);
    }
}

static void zoo_option__residual_starts_as_the_identity(void)
{
    struct net *n = built(MODEL(.arch = "fpn", .backbone = "resnet18", .residual = true));
    const struct net_node *last = &n->nodes[n->outputs[0].val];
    CU_ASSERT_EQUAL(last->op, NET_ADD);
    CU_ASSERT(last->in[0] == n->inputs[0].val || last->in[1] == n->inputs[0].val);
    CU_ASSERT_EQUAL(param(n, "segmentation_head.0.weight")->init.dist, NET_ZERO);
    CU_ASSERT_EQUAL(param(n, "segmentation_head.0.bias")->init.dist, NET_ZERO);
    net_free(n);
    struct zoo_model *m = MODEL(.arch = "unet", .backbone = "vgg11", .residual = true, .out_channels = 1);
    TEST_FAILS(zoo_fits(m), STATUS_REFUSED, "the input has 3 channels, the output 1");
    m = MODEL(.arch = "unet", .backbone = "vgg11", .residual = true, .activation = "sigmoid");
    TEST_FAILS(zoo_fits(m), STATUS_REFUSED, "no zero of zero");
}

static void zoo_init__rule_of_each_family(void)
{
    /* Deviations as the rules give them: fan-out over k k out, the other divided by the groups. */
    struct net *n = built(MODEL(.arch = "unet", .backbone = "mobilenet_v2"));
    CU_ASSERT_DOUBLE_EQUAL(param(n, "encoder.features.2.conv.1.0.weight")->init.scale, sqrt(2.0 / (9 * 96)), 1e-9);
    CU_ASSERT_EQUAL(param(n, "decoder.blocks.0.conv1.0.weight")->init.dist, NET_UNIFORM);
    net_free(n);
    n = built(MODEL(.arch = "deeplabv3", .backbone = "tf_efficientnet_lite0"));
    CU_ASSERT_DOUBLE_EQUAL(param(n, "encoder.blocks.1.0.conv_dw.weight")->init.scale, sqrt(2.0 / 9), 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(param(n, "segmentation_head.0.bias")->init.scale, 1 / sqrt(256.0), 1e-9);
    net_free(n);
}

static void zoo_encode__is_the_encoder_alone(void)
{
    struct net *n = net_new();
    net_val x = net_input(n, "input", 3, 64, 96);
    struct zoo_features f = zoo_encode(n, "vgg16", x, 3, 32);
    net_output(n, "output", f.tap[3]);
    TEST_OK(net_finish(n));
    CU_ASSERT(f.n == 4 && !f.plain_tap0);
    CU_ASSERT(net_h(n, f.tap[0]) == 64 && net_c(n, f.tap[3]) == 512 && net_w(n, f.tap[3]) == 12);
    CU_ASSERT(net_param_find(n, "features.0.weight") >= 0);
    net_free(n);

    static const struct {
        const char *name;
        int depth, stride;
        enum status_code code;
    } bad[] = {{"vgg61", 5, 32, STATUS_ARG},
               {"vgg16", 6, 32, STATUS_ARG},
               {"efficientnet-b0", 1, 32, STATUS_ARG},
               {"resnet18", 5, 4, STATUS_ARG},
               {"vgg16", 5, 16, STATUS_REFUSED}};
    for (size_t i = 0; i < LEN(bad); i++) {
        n = net_new();
        f = zoo_encode(n, bad[i].name, net_input(n, "input", 3, 64, 64), bad[i].depth, bad[i].stride);
        CU_ASSERT_EQUAL(f.tap[0], NET_NONE);
        CU_ASSERT_EQUAL(net_finish(n).code, bad[i].code);
        net_free(n);
    }
}

static void zoo_published__names(void)
{
    static const struct {
        const char *backbone, *file, *encoder;
    } rows[] = {
        {"resnet18", "layer1.0.conv1.weight", "layer1.0.conv1.weight"},
        {"resnet18", "fc.weight", NULL},
        {"densenet121", "features.denseblock1.denselayer2.norm.1.weight",
         "features.denseblock1.denselayer2.norm1.weight"},
        {"densenet121", "features.denseblock1.denselayer2.norm1.weight",
         "features.denseblock1.denselayer2.norm1.weight"},
        {"densenet121", "features.norm5.bias", "features.norm5.bias"},
        {"mobilenetv3_small_100", "blocks.0.0.bn1.bias", "model.blocks.0.0.bn1.bias"},
        {"mobilenetv3_small_100", "model.blocks.0.0.bn1.bias", "model.blocks.0.0.bn1.bias"},
        {"mobilenetv3_small_100", "conv_head.bias", NULL},
        {"gernet_s", "stages.2.6.conv1_1x1.conv.weight", "model.stages_2.6.conv1_1x1.conv.weight"},
        {"tf_efficientnet_lite0", "_conv_stem.weight", "conv_stem.weight"},
        {"tf_efficientnet_lite0", "_bn0.running_var", "bn1.running_var"},
        {"tf_efficientnet_lite0", "_blocks.0._project_conv.weight", "blocks.0.0.conv_pw.weight"},
        {"tf_efficientnet_lite0", "_blocks.0._bn1.bias", "blocks.0.0.bn1.bias"},
        {"tf_efficientnet_lite0", "_blocks.15._bn2.weight", "blocks.6.0.bn3.weight"},
        {"tf_efficientnet_lite1", "_blocks.3._depthwise_conv.weight", "blocks.1.2.conv_dw.weight"},
        {"efficientnet-b8", "_blocks.4._se_reduce.bias", "blocks.1.0.se.conv_reduce.bias"},
        {"tf_efficientnet_lite0", "_bn1.weight", "bn2.weight"},
        {"tf_efficientnet_lite0", "_fc.weight", NULL},
        {"tf_efficientnet_lite0", "_blocks.99.x", "_blocks.99.x"},
    };
    struct arena a = {0};
    for (size_t i = 0; i < LEN(rows); i++) {
        const char *got = zoo_published_name(&a, rows[i].backbone, rows[i].file);
        if (!got != !rows[i].encoder || (got && strcmp(got, rows[i].encoder) != 0)) {
            fprintf(stderr, "%s: %s -> %s\n", rows[i].backbone, rows[i].file, got ? got : "(dropped)");
            CU_FAIL("another name");
        }
    }
    arena_free(&a);
}

static void zoo_mobileone__one_convolution_a_layer_at_inference(void)
{
    struct net *n = net_new(), *m;
    net_output(n, "output", zoo_encode(n, "mobileone_s0", net_input(n, "input", 3, 64, 64), 5, 32).tap[5]);
    TEST_OK(net_finish(n));
    int64_t most = 0;
    for (int i = 0; i < n->n_params; i++)
        if (net_numel(n->params[i].shape) > most) most = net_numel(n->params[i].shape);
    float *ones = mem_alloc((size_t)most * sizeof *ones);
    const float **values = mem_alloc((size_t)n->n_params * sizeof *values);
    for (int64_t i = 0; i < most; i++) ones[i] = 1;
    for (int i = 0; i < n->n_params; i++) values[i] = ones;
    struct net_values v;
    TEST_OK(net_for_inference(&m, &v, n, values));
    CU_ASSERT_EQUAL(count_ops(m, NET_CONV2D), 1 + 2 * (2 + 8 + 10 + 1));
    CU_ASSERT_EQUAL(count_ops(m, NET_ADD) + count_ops(m, NET_CHANNEL_AFFINE), 0);
    net_values_free(&v);
    net_free(m);
    net_free(n);
    free(values);
    free(ones);
}

static const struct test tests[] = {
    TEST(zoo_names__nearest_is_named),
    TEST(zoo_dilation__refusal_says_why),
    TEST(zoo_dilation__both_rules),
    TEST(zoo_size__nearest_sizes_are_named),
    TEST(zoo_size__unet_takes_any),
    TEST(zoo_option__belongs_to_a_decoder),
    TEST(zoo_option__widths),
    TEST(zoo_option__attention_is_stored_as_in_the_reference),
    TEST(zoo_option__merge_and_interpolation),
    TEST(zoo_option__channels_in_and_out),
    TEST(zoo_option__head),
    TEST(zoo_option__residual_starts_as_the_identity),
    TEST(zoo_init__rule_of_each_family),
    TEST(zoo_encode__is_the_encoder_alone),
    TEST(zoo_published__names),
    TEST(zoo_mobileone__one_convolution_a_layer_at_inference),
};
TEST_MAIN("zoo options", tests)
