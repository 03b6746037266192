/*
 * A later version: this program, with a row more in the table of keys that everything is derived from. The table is
 * compiled into this file, so the linker takes it in place of the library's.
 */
#include "plan.h"
#include "test.h"
/* Kept where a key lies that no stage's key holds, and with its default: a trial has no other room for it. */
#define KEY_OF_A_LATER_VERSION                                                                                         \
    {.path = "train.later",                                                                                            \
     .type = KEY_INT,                                                                                                  \
     .at = AT(prune.min_peers),                                                                                        \
     .lo = 1,                                                                                                          \
     .hi = 100,                                                                                                        \
     .num = 3,                                                                                                         \
     .stages = SPEC_TRAIN,                                                                                             \
     .doc = "of a later version"},
#include "../../src/spec/keys.c"

/* The train stage's key of the file of tests/plan/test_keys.c. Owner: the caller. */
static char *key_of(const char *later)
{
    static const char yaml[] = "name: golden\n"
                               "data: {size: [64, 96], pairs: 8}\n"
                               "augment: [{flip: {p: 0.5}}]\n"
                               "model: {arch: fpn, backbone: resnet18, dropout: 0.1, output: {residual: true}}\n"
                               "loss: {network: vgg11, gram_weights: [0, 0, 1, 0.3], size: 64}\n"
                               "train: {epochs: 2, batch: 2, precision: fp32, lr: 3.0e-4, ema: 0.9}\n"
                               "evaluate: {weights: last}\n"
                               "gate: {device: cpu, p50_ms: 33.3}\n";
    char path[400];
    const char *file = path;
    struct plan *p = NULL;
    snprintf(path, sizeof path, "%s/golden.yaml", test_dir());
    TEST_OK(fs_write(path, yaml, strlen(yaml)));
    TEST_OK(plan_load(&p, &(struct plan_options){.files = &file, .n_files = 1, .sets = &later, .n_sets = later != 0}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT_PTR_NOT_NULL(json_object_get(p->trials[0].config, "train.later"));
    char *key = mem_strdup(p->stages[plan_find(p, 0, PLAN_TRAIN)].key);
    plan_free(p);
    return key;
}

static void plan_keys__a_row_more_loses_no_result(void)
{
    char *def = key_of(NULL), *written = key_of("train.later=3"), *other = key_of("train.later=4");
    CU_ASSERT_STRING_EQUAL(def, "63865e422272d3aabc406cf609f9cf4a"); /* of the first version */
    CU_ASSERT_STRING_EQUAL(written, def);
    CU_ASSERT_STRING_NOT_EQUAL(other, def);
    free(def);
    free(written);
    free(other);
}

static const struct test tests[] = {TEST(plan_keys__a_row_more_loses_no_result)};
TEST_MAIN("plan.later", tests)
