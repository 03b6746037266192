/* A trial's fields reach what is built from them: written as YAML, read back as options, and the net is built. */
#include "cell.h"
#include "test.h"

static const char text[] = "data: {root: pictures, input: a, target: b, size: [96, 64], split: {val: 0.25, seed: 7}}\n"
                           "augment: [{flip: {p: 0.5}}, {color: {brightness: 0.2, both: true}}]\n"
                           "model: {arch: fpn, backbone: resnet18, depth: 4, merge: cat, dropout: 0.4,\n"
                           "        interpolation: bilinear, channels: [64, 32], output: {activation: tanh}}\n"
                           "loss: {network: vgg11, pixel_weight: 2, feature_weights: [1, 0.5], gram_weights: [3, 1],\n"
                           "       gram_scale: 10, size: 64}\n";

/* The trial of a file; strings live in @p s. */
static void read_trial(struct spec **s, struct spec_trial *t, const char *yaml)
{
    TEST_OK(spec_parse(s, "cell.yaml", yaml, strlen(yaml)));
    TEST_OK(spec_trial_from_json(t, &(*s)->arena, (*s)->base, "cell.yaml"));
}

static void cell_model__is_the_trial_s(void)
{
    struct spec *s = NULL;
    struct spec_trial t;
    struct net *n;
    read_trial(&s, &t, text);
    struct zoo_model m = cell_model(&t);
    CU_ASSERT_STRING_EQUAL(m.arch, "fpn");
    CU_ASSERT_STRING_EQUAL(m.backbone, "resnet18");
    CU_ASSERT(m.height == 96 && m.width == 64 && m.depth == 4 && m.dropout == 0.4);
    CU_ASSERT_STRING_EQUAL(m.merge, "cat");
    CU_ASSERT_STRING_EQUAL(m.interpolation, "bilinear");
    CU_ASSERT_STRING_EQUAL(m.activation, "tanh");
    CU_ASSERT(m.channels[0] == 64 && m.channels[1] == 32 && m.channels[2] == 0);
    TEST_OK(zoo_build(&n, &m));
    net_free(n);
    spec_free(s);
}

static void cell_loss__is_the_trial_s(void)
{
    struct spec *s = NULL;
    struct spec_trial t;
    struct net *n;
    read_trial(&s, &t, text);
    struct loss_options o = cell_loss(&t);
    CU_ASSERT_STRING_EQUAL(o.network, "vgg11");
    CU_ASSERT(o.height == 96 && o.width == 64 && o.pixel_weight == 2 && o.gram_scale == 10 && o.size == 64);
    CU_ASSERT(o.n_feature == 2 && o.feature_weights[0] == 1 && o.feature_weights[1] == 0.5);
    CU_ASSERT(o.n_gram == 2 && o.gram_weights[0] == 3 && o.gram_weights[1] == 1);
    TEST_OK(loss_build(&n, &o));
    net_free(n);
    spec_free(s);
}

static void cell_data__is_the_trial_s(void)
{
    struct spec *s = NULL;
    struct spec_trial t;
    struct data_augment augment[SPEC_MAX_AUGMENT];
    read_trial(&s, &t, text);
    struct data_options o = cell_data(augment, &t);
    CU_ASSERT_STRING_EQUAL(o.root, "pictures");
    CU_ASSERT_STRING_EQUAL(o.input, "a");
    CU_ASSERT_STRING_EQUAL(o.target, "b");
    CU_ASSERT(o.height == 96 && o.width == 64 && o.split_val == 0.25 && o.split_seed == 7);
    CU_ASSERT(o.n_augment == 2 && o.augment == augment);
    CU_ASSERT(augment[0].kind == DATA_FLIP && augment[0].p == 0.5);
    CU_ASSERT(augment[1].kind == DATA_COLOR && augment[1].brightness == 0.2 && augment[1].both);
    spec_free(s);
}

static const struct test tests[] = {
    TEST(cell_model__is_the_trial_s),
    TEST(cell_loss__is_the_trial_s),
    TEST(cell_data__is_the_trial_s),
};
TEST_MAIN("cell", tests)
