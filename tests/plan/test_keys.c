/* Keys of stages outlive versions: what is stored today is found again by every later program. */
#include "inside.h"
#include "test.h"

static const char *golden = "name: golden\n"
                            "data: {size: [64, 96], pairs: 8}\n"
                            "augment: [{flip: {p: 0.5}}]\n"
                            "model: {arch: fpn, backbone: resnet18, dropout: 0.1, output: {residual: true}}\n"
                            "loss: {network: vgg11, gram_weights: [0, 0, 1, 0.3], size: 64}\n"
                            "train: {epochs: 2, batch: 2, precision: fp32, lr: 3.0e-4, ema: 0.9}\n"
                            "evaluate: {weights: last}\n"
                            "gate: {device: cpu, p50_ms: 33.3}\n";

static struct plan *planned(const char *set)
{
    char path[400];
    const char *files[] = {path};
    struct plan *p = NULL;
    snprintf(path, sizeof path, "%s/golden.yaml", test_dir());
    TEST_OK(fs_write(path, golden, strlen(golden)));
    TEST_OK(plan_load(&p, &(struct plan_options){.files = files, .n_files = 1, .sets = &set, .n_sets = set ? 1 : 0}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    return p;
}

/* Printed by `sweep plan --json` of version 0.1.0 for this file. A difference means that every stored result of users
 * is done again: either it was not meant, or the stage's version (plan_kinds) was raised, and then its line changes. */
static void plan_keys__are_those_of_the_first_version(void)
{
    static const char *const keys[PLAN_N_KINDS] = {
        [PLAN_SCREEN] = "aaad9c566aa3cea46966c77da4f3633b",   [PLAN_TRAIN] = "63865e422272d3aabc406cf609f9cf4a",
        [PLAN_EVALUATE] = "23113d76ce7c9d8503757c086a43e247", [PLAN_EXPORT] = "8293c4d85955e6c7d26e4f6e11c67dba",
        [PLAN_VERIFY] = "735875c9c1e29a8e2152aef50f491084",   [PLAN_SAMPLES] = "d5105c17a5c5a68bc91da98d595e2221",
        [PLAN_BENCH] = "74d40bcb1daa18d6b82bf32fc3ff1e57",
    };
    struct plan *p = planned(NULL);
    CU_ASSERT_STRING_EQUAL(p->trials[0].content.images, "164343f040af920f5b778471d5792b24");
    CU_ASSERT_STRING_EQUAL(p->trials[0].id, "63865e422272");
    CU_ASSERT_STRING_EQUAL(p->trials[0].loss_key, "87a4d4878eeddcd5154b09945c6acc5b");
    for (int k = 0; k < PLAN_N_KINDS; k++) {
        int i = plan_find(p, 0, (enum plan_kind)k);
        CU_ASSERT_TRUE_FATAL(i >= 0);
        CU_ASSERT_STRING_EQUAL(p->stages[i].key, keys[k]);
    }
    plan_free(p);
}

/* As if a later version had a row more in its table of keys: a number of training's, and one of the loss. */
static void add_later_keys(struct plan_build *b)
{
    struct plan_text *had = b->texts[PLAN_TRAIN];
    int n = 0;
    while (had[n].name) n++;
    struct plan_text *all = arena_alloc(&b->plan->arena, sizeof *all * (size_t)(n + 3));
    memcpy(all, had, sizeof *all * (size_t)n);
    all[n] = (struct plan_text){.name = "loss.later", .fallback = json_integer(1)};
    all[n + 1] = (struct plan_text){.name = "train.later", .fallback = json_string("as ever")};
    b->texts[PLAN_TRAIN] = all;
}

static void plan_keys__of_a_key_added_later_count_only_where_it_is_not_the_default(void)
{
    struct plan *p = planned(NULL);
    struct plan_trial *t = &p->trials[0];
    char keys[PLAN_N_KINDS][PLAN_KEY], loss[PLAN_KEY], train[PLAN_KEY];
    memcpy(train, p->stages[plan_find(p, 0, PLAN_TRAIN)].key, PLAN_KEY);
    add_later_keys(p->build);
    static const struct {
        int loss;
        const char *train;
        bool same_trial, same_loss;
    } rows[] = {
        {1, "as ever", true, true},
        {1, "in a new way", false, true},
        {2, "as ever", false, false},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        json_t *config = json_copy(t->config);
        json_object_set_new(config, "loss.later", json_integer(rows[i].loss));
        json_object_set_new(config, "train.later", json_string(rows[i].train));
        plan_keys(keys, p->build, config, &t->content);
        plan_loss_key(loss, p->build, config, t->content.loss_weights);
        CU_ASSERT_EQUAL(strcmp(keys[PLAN_TRAIN], train) == 0, rows[i].same_trial);
        CU_ASSERT_EQUAL(strcmp(loss, t->loss_key) == 0, rows[i].same_loss);
        json_decref(config);
    }
    plan_free(p);
}

/* What files of pictures compute changed after the first version (they round): theirs are written again, and measured.
 */
static void plan_keys__of_picture_files_are_later_ones(void)
{
    struct plan *p = planned("export.io=image");
    CU_ASSERT_STRING_EQUAL(p->trials[0].id, "63865e422272");
    CU_ASSERT_STRING_EQUAL(p->stages[plan_find(p, 0, PLAN_SAMPLES)].key, "d5105c17a5c5a68bc91da98d595e2221");
    CU_ASSERT_STRING_NOT_EQUAL(p->stages[plan_find(p, 0, PLAN_EXPORT)].key, "e54c71804ff25a6cdca43861cec65f8b");
    CU_ASSERT_STRING_NOT_EQUAL(p->stages[plan_find(p, 0, PLAN_SCREEN)].key, "8bf7db1655cffcb52d2492c642015f9a");
    plan_free(p);
}

static const char *export_key(const struct plan *p, const char *format)
{
    for (int i = 0; i < p->n_stages; i++)
        if (p->stages[i].kind == PLAN_EXPORT && strcmp(p->stages[i].format, format) == 0) return p->stages[i].key;
    CU_FAIL("no such export");
    return "";
}

/* How a file is quantised is written and measured again for files that are, and for no other. */
static void plan_keys__of_quantising_are_those_of_quantised_files_alone(void)
{
    struct plan *plain = planned("export.formats=[onnx,onnx-int8]");
    static const char *const words[] = {"calibration: entropy", "keep: [decoder]"};
    for (size_t i = 0; i < LEN(words); i++) {
        char set[200];
        snprintf(set, sizeof set, "export={formats: [onnx, onnx-int8], %s}", words[i]);
        struct plan *p = planned(set);
        CU_ASSERT_STRING_EQUAL(export_key(p, "onnx"), export_key(plain, "onnx"));
        CU_ASSERT_STRING_NOT_EQUAL(export_key(p, "onnx-int8"), export_key(plain, "onnx-int8"));
        CU_ASSERT_STRING_EQUAL(p->trials[0].id, plain->trials[0].id);
        plan_free(p);
    }
    struct plan *same = planned("export={formats: [onnx, onnx-int8], calibration: minmax, keep: []}");
    CU_ASSERT_STRING_EQUAL(export_key(same, "onnx-int8"), export_key(plain, "onnx-int8"));
    plan_free(same);
    plan_free(plain);
}

/* As model.weights has it: the word for what leaving the key out means. */
static void plan__loss_weights_random_is_none(void)
{
    struct plan *none = planned(NULL), *random = planned("loss.weights=random");
    CU_ASSERT_PTR_NULL(random->trials[0].t.loss.weights);
    CU_ASSERT_TRUE(json_equal(random->trials[0].config, none->trials[0].config));
    CU_ASSERT_STRING_EQUAL(random->trials[0].id, none->trials[0].id);
    plan_free(none);
    plan_free(random);
}

static const struct test tests[] = {
    TEST(plan__loss_weights_random_is_none),
    TEST(plan_keys__of_picture_files_are_later_ones),
    TEST(plan_keys__of_quantising_are_those_of_quantised_files_alone),
    TEST(plan_keys__are_those_of_the_first_version),
    TEST(plan_keys__of_a_key_added_later_count_only_where_it_is_not_the_default),
};
TEST_MAIN("plan.keys", tests)
