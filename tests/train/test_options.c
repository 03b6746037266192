/* Every choice that an architecture leaves is an axis in YAML: planned from a file, another net, and one that trains.
 */
#include "cell.h"
#include "parts.h"
#include "plan.h"
#include "test.h"
#include <math.h>

/* What each file adds to a small trial. @p narrow keeps the files small. */
#define FIVE ", channels: [16, 16, 16, 16, 16]"
#define TWO  ", channels: [32, 32]"
#define ONE  ", channels: [16]"
static const struct {
    const char *arch, *narrow, *axis;
    int n, size;
} cases[] = {
    {"unet", "", "model.depth: [3, 4, 5]", 3, 32},
    {"unet", "", "model.channels: [[32, 24, 16, 8, 8], [16, 16, 8, 8, 8]]", 2, 32},
    {"unet", FIVE, "model.interpolation: [nearest, bilinear]", 2, 32},
    {"unet", FIVE, "model.attention: [null, scse]", 2, 32},
    {"unet", FIVE, "model.in_channels: [1, 3]", 2, 32},
    {"unet", FIVE, "model.output.activation: [null, tanh, clamp, sigmoid, softmax, logsoftmax]", 6, 32},
    {"unet", FIVE, "model.output.residual: [false, true]", 2, 32},
    {"unetplusplus", FIVE, "model.interpolation: [nearest, bilinear]", 2, 32},
    {"unetplusplus", FIVE, "model.attention: [null, scse]", 2, 32},
    {"manet", FIVE, "model.interpolation: [nearest, bilinear]", 2, 32},
    {"linknet", "", "model.depth: [3, 4, 5]", 3, 32},
    {"fpn", TWO, "model.merge: [add, cat]", 2, 32},
    {"fpn", TWO, "model.interpolation: [nearest, bilinear]", 2, 32},
    {"fpn", TWO, "model.dropout: [0, 0.5]", 2, 32},
    {"fpn", "", "model.channels: [[64, 32], [32, 64]]", 2, 32},
    {"pspnet", ONE, "model.dropout: [0, 0.5]", 2, 32},
    {"pspnet", ONE, "model.depth: [3, 4, 5]", 3, 32},
    {"deeplabv3", ONE, "model.output_stride: [8, 16]", 2, 32},
    {"deeplabv3", ONE, "model.dropout: [0, 0.3]", 2, 32},
    {"deeplabv3plus", ONE, "model.output_stride: [8, 16]", 2, 32},
    {"deeplabv3plus", ONE, "model.dropout: [0, 0.3]", 2, 32},
    {"pan", ONE, "model.output_stride: [16, 32]", 2, 256},
};

static void write_file(const char *path, size_t i)
{
    struct str yaml = {0};
    str_addf(&yaml,
             "data: {size: %d, pairs: 6, split: {val: 0.34}}\n"
             "model: {arch: %s, backbone: mobilenetv3_small_minimal_100%s}\n"
             "loss: {network: mobilenetv3_small_100, feature_weights: [1], gram_weights: [0]}\n"
             "train: {epochs: 1, batch: 2, precision: fp32, drop_last: true}\n"
             "axes: {%s}\n",
             cases[i].size, cases[i].arch, cases[i].narrow, cases[i].axis);
    TEST_OK(fs_write(path, yaml.s, yaml.n));
    str_free(&yaml);
}

static void ignore(void *user, json_t *event)
{
    (void)user, (void)event;
}

/* One epoch of two steps ends, and its weights are numbers. */
static void check_training(const struct plan_trial *p, const char *dir)
{
    struct train_result r = {.end = TRAIN_DIVERGED};
    struct train_job job = {.trial = &p->t, .id = p->id, .key = p->id, .dir = dir, .device = "cpu", .emit = ignore};
    TEST_OK(fs_mkdir(dir));
    TEST_OK(train_run(&r, &job));
    CU_ASSERT(r.end == TRAIN_DONE && r.epochs == 1);
    if (r.end != TRAIN_DONE) fprintf(stderr, "%s: %s\n", p->t.model.arch, r.reason);
}

/* The text of each trial's net; they must differ. */
static void check_net(json_t *seen, const struct plan_trial *p, const char *axis)
{
    struct zoo_model m = cell_model(&p->t);
    struct net *n;
    struct str text = {0};
    TEST_OK(zoo_build(&n, &m));
    net_dump(n, &text);
    if (json_object_get(seen, text.s)) {
        fprintf(stderr, "%s, %s: two values make the same net\n", p->t.model.arch, axis);
        CU_FAIL("the same net");
    }
    json_object_set_new(seen, text.s, json_true());
    str_free(&text);
    net_free(n);
}

static void options__are_axes_that_train(void)
{
    for (size_t i = 0; i < LEN(cases); i++) {
        struct arena a = {0};
        struct plan *p = NULL;
        const char *dir = arena_strdup(&a, test_dir()), *path = fs_join(&a, dir, "options.yaml");
        json_t *seen = json_object();
        write_file(path, i);
        TEST_OK(plan_load(&p, &(struct plan_options){.files = &path, .n_files = 1}));
        CU_ASSERT_EQUAL(p ? p->n_trials : 0, cases[i].n);
        for (int k = 0; p && k < p->n_trials; k++) {
            const struct plan_trial *t = &p->trials[k];
            if (t->refused) fprintf(stderr, "%s, %s: %s\n", cases[i].arch, cases[i].axis, t->refused);
            CU_ASSERT_PTR_NULL(t->refused);
            if (t->refused) continue;
            check_net(seen, t, cases[i].axis);
            check_training(t, arena_printf(&a, "%s/%d", dir, k));
        }
        plan_free(p);
        json_decref(seen);
        arena_free(&a);
    }
}

/* Counts that pictures do not have, and a residual over another count, are cells with a reason; the rest of the axis
 * runs. */
static void options__channels_that_pictures_lack_are_refused_cells(void)
{
    static const char yaml[] = "data: {size: 64, pairs: 6}\n"
                               "axes: {model.in_channels: [1, 2, 3, 4], model.output.residual: [false, true]}\n";
    static const char *const why[][2] = {
        [1] = {NULL, "the input has 1 channels, the output 3"},
        [2] = {"got 2; pictures are grey (1), RGB (3) or RGBA (4)", "the input has 2 channels"},
        [3] = {NULL, NULL},
        [4] = {"the generated set has no alpha channel", "the input has 4 channels"},
    };
    struct arena a = {0};
    struct plan *p = NULL;
    const char *path = fs_join(&a, test_dir(), "channels.yaml");
    TEST_OK(fs_write(path, yaml, sizeof yaml - 1));
    TEST_OK(plan_load(&p, &(struct plan_options){.files = &path, .n_files = 1}));
    CU_ASSERT_EQUAL(p ? p->n_trials : 0, 8);
    for (int k = 0; p && k < p->n_trials; k++) {
        const struct plan_trial *t = &p->trials[k];
        const char *want = why[t->t.model.in_channels][t->t.model.residual];
        CU_ASSERT_EQUAL(!want, !t->refused);
        if (want && t->refused) CU_ASSERT_PTR_NOT_NULL(strstr(t->refused, want));
    }
    plan_free(p);
    arena_free(&a);
}

static const struct test tests[] = {
    TEST(options__are_axes_that_train),
    TEST(options__channels_that_pictures_lack_are_refused_cells),
};

int main(int argc, char **argv)
{
    tensor_start(1);
    log_set_level(LOG_ERROR);
    return test_main("train.options", tests, LEN(tests), argc, argv);
}
