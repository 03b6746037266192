/* What a plan says of the pictures: a split, a set that moved, damaged ones. */
#include "plan.h"
#include "test.h"
#include <unistd.h>

static const char *write_yaml(const char *name, const char *text)
{
    static char path[8][400];
    static int at;
    char *out = path[at++ % 8];
    snprintf(out, sizeof path[0], "%s/%s.yaml", test_dir(), name);
    TEST_OK(fs_write(out, text, strlen(text)));
    return out;
}

static struct status load(struct plan **p, const char *file, const char *set)
{
    return plan_load(p, &(struct plan_options){.files = &file, .n_files = 1, .sets = &set, .n_sets = set ? 1 : 0});
}

static struct plan *planned(const char *file, const char *set)
{
    struct plan *p = NULL;
    TEST_OK(load(&p, file, set));
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    return p;
}

static const char *small = "name: small\n"
                           "axes:\n"
                           "  model.arch: [unet, fpn]\n"
                           "  model.backbone: [resnet18, vgg11]\n"
                           "data: {size: 64, pairs: 8}\n"
                           "train: {epochs: 2, batch: 2, precision: fp32}\n";

/* A BMP of one pixel. */
static void write_image(const char *path, unsigned char red)
{
    unsigned char bmp[58] = {'B', 'M', 58, [10] = 54, [14] = 40, [18] = 1, [22] = 1, [26] = 1, [28] = 24, [54] = 7, 9};
    bmp[56] = red;
    TEST_OK(fs_write(path, bmp, sizeof bmp));
}

/* A set of n pairs 0.png, 1.png, ... in a new folder. */
static const char *write_set(int n)
{
    static char path[8][400];
    static int at;
    static const char *const part[] = {"input", "target"};
    char *dir = path[at++ % 8], file[500];
    snprintf(dir, sizeof path[0], "%s", test_dir());
    for (size_t k = 0; k < LEN(part); k++) {
        snprintf(file, sizeof file, "%s/%s", dir, part[k]);
        TEST_OK(fs_mkdir(file));
        for (int i = 0; i < n; i++) {
            snprintf(file, sizeof file, "%s/%s/%d.png", dir, part[k], i);
            write_image(file, (unsigned char)i);
        }
    }
    return dir;
}

/* A set that cannot be split is known before anything starts. */
static void plan_load__refuses_a_split_without_pairs(void)
{
    struct plan *p = NULL;
    char set[500];
    snprintf(set, sizeof set, "data.root=%s", write_set(1));
    TEST_FAILS(load(&p, write_yaml("one", small), set), STATUS_ARG, "got 1 pairs for training and 0 for validation");
    CU_ASSERT_PTR_NULL(p);
}

static void plan_load__a_moved_set_is_the_same_set(void)
{
    struct plan *a, *b;
    const char *dirs[2] = {write_set(6), write_set(6)};
    char set[2][500], path[500];
    for (int i = 0; i < 2; i++) snprintf(set[i], sizeof set[i], "data.root=%s", dirs[i]);
    const char *file = write_yaml("small", small);
    a = planned(file, set[0]);
    b = planned(file, set[1]);
    CU_ASSERT_STRING_EQUAL(a->trials[0].id, b->trials[0].id);
    plan_free(b);
    snprintf(path, sizeof path, "%s/target/3.png", dirs[1]);
    write_image(path, 200);
    b = planned(file, set[1]);
    CU_ASSERT_STRING_NOT_EQUAL(a->trials[0].id, b->trials[0].id);
    plan_free(a);
    plan_free(b);
}

/* Damaged pictures are known before anything starts; without them the cell is that of a set that never had them. */
static void plan_load__looks_at_the_pictures(void)
{
    struct plan *p = NULL, *q;
    const char *dir = write_set(6), *sound = write_set(6);
    char set[500], other[500], path[500];
    const char *file = write_yaml("small", small);
    snprintf(set, sizeof set, "data.root=%s", dir);
    snprintf(other, sizeof other, "data.root=%s", sound);
    for (int i = 2; i < 4; i++) {
        snprintf(path, sizeof path, "%s/target/%d.png", dir, i);
        TEST_OK(fs_write(path, "", 0));
        snprintf(path, sizeof path, "%s/target/%d.png", sound, i);
        unlink(path);
        snprintf(path, sizeof path, "%s/input/%d.png", sound, i);
        unlink(path);
    }
    TEST_FAILS(load(&p, file, set), STATUS_ARG, "2 of 12 pictures are damaged: ");
    CU_ASSERT_PTR_NULL(p);
    const char *const sets[] = {set, "data.skip_damaged=true"};
    TEST_OK(plan_load(&p, &(struct plan_options){.files = &file, .n_files = 1, .sets = sets, .n_sets = 2}));
    q = planned(file, other);
    CU_ASSERT_FATAL(p && q);
    CU_ASSERT_EQUAL(p->trials[0].content.skipped, 2);
    CU_ASSERT_EQUAL(q->trials[0].content.skipped, 0);
    CU_ASSERT_STRING_EQUAL(p->trials[0].id, q->trials[0].id);
    bool told = false;
    for (int i = 0; i < p->n_warnings; i++)
        told = told || strstr(p->warnings[i], "2 of 6 pairs are left out, for their pictures are damaged: ");
    CU_ASSERT_TRUE(told);
    json_t *j = plan_to_json(p);
    CU_ASSERT_EQUAL(json_int(json_array_get(json_object_get(j, "trials"), 0), "skipped_pairs", -1), 2);
    json_decref(j);
    plan_free(p);
    plan_free(q);
}

static const struct test tests[] = {
    TEST(plan_load__refuses_a_split_without_pairs),
    TEST(plan_load__a_moved_set_is_the_same_set),
    TEST(plan_load__looks_at_the_pictures),
};
TEST_MAIN("plan.images", tests)
