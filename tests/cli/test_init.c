/* init: what it finds, what it refuses, and that what it writes is planned as it stands. */
#include "../support/rgba.h"
#include "answer.h"

static const char *folder(const char *name)
{
    static char path[300]; /* of the test that runs */
    snprintf(path, sizeof path, "%s/%s", test_dir(), name);
    TEST_OK(fs_mkdir(path));
    return path;
}

static void write_pairs(const char *dir, const char *const folders[2], int n, int side)
{
    struct arena a = {0};
    uint8_t *v = mem_alloc((size_t)side * (size_t)side * 3);
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < n; i++) {
            for (int p = 0; p < side * side * 3; p++) v[p] = (uint8_t)(p * (i + 2) + 90 * k);
            TEST_OK(fs_mkdir(fs_join(&a, dir, folders[k])));
            test_write_png(arena_printf(&a, "%s/%s/p%d.png", dir, folders[k], i), v, 3, side, side);
        }
    free(v);
    arena_free(&a);
}

static void contains(const char *text, const char *part)
{
    if (!strstr(text, part)) fprintf(stderr, "\n%s\nlacks: %s\n", text, part);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, part));
}

static void cli_init__writes_what_can_be_planned(void)
{
    const char *dir = folder("plan");
    static const char *const folders[2] = {"my faces/a photo: \"x\"", "my faces/comic"};
    write_pairs(dir, folders, 10, 70);
    struct answer a = sweep_in(dir, "init 'my faces'");
    CU_ASSERT_EQUAL(a.code, 0);
    contains(a.out, "10 pairs: inputs in a photo: \"x\" (sides 70 to 70), targets in comic (70 to 70)");
    CU_ASSERT_PTR_NULL(strstr(a.out, "comes first"));
    contains(a.out, "my-faces.yaml");
    answer_free(&a);
    json_t *plan = sweep_json_in(dir, "plan my-faces.yaml --json");
    CU_ASSERT_PTR_NOT_NULL(plan);
    json_decref(plan);
    a = sweep_in(dir, "plan my-faces.yaml --set data.size=64 --csv");
    CU_ASSERT_EQUAL(a.code, 0);
    answer_free(&a);
    char path[300], *text;
    snprintf(path, sizeof path, "%s/my-faces.yaml", dir);
    TEST_OK(fs_read(&text, NULL, path));
    contains(text, "\n  size: 64 #");
    contains(text, "\n  batch: 4\n");
    contains(text, "\nname: my-faces\n");
    free(text);
}

static void cli_init__overwrites_nothing(void)
{
    const char *dir = folder("over");
    char path[300], *text;
    static const char *const folders[2] = {"set/a", "set/b"};
    write_pairs(dir, folders, 3, 40);
    snprintf(path, sizeof path, "%s/set.yaml", dir);
    TEST_OK(fs_write(path, "mine", 4));
    struct answer a = sweep_in(dir, "init set");
    CU_ASSERT_EQUAL(a.code, 2);
    contains(a.err, "set.yaml: is there already");
    answer_free(&a);
    TEST_OK(fs_read(&text, NULL, path));
    CU_ASSERT_STRING_EQUAL(text, "mine");
    free(text);
    json_t *j = sweep_json_in(dir, "init set other.yaml --input b --target a --json");
    CU_ASSERT_EQUAL(json_int(j, "pairs", 0), 3);
    CU_ASSERT_STRING_EQUAL(json_str(j, "input", ""), "b");
    CU_ASSERT_EQUAL(json_int(j, "size", 0), 32);
    CU_ASSERT_FALSE(json_is_true(json_object_get(j, "guessed")));
    json_decref(j);
}

static void cli_init__says_what_is_missing(void)
{
    const char *dir = folder("missing");
    char path[300];
    static const char *const folders[2] = {"set/one", "set/two"};
    write_pairs(dir, folders, 5, 40);
    struct answer a = sweep_in(dir, "init set first.yaml");
    CU_ASSERT_EQUAL(a.code, 0);
    contains(a.out, "one is taken as the input because it comes first");
    answer_free(&a);
    snprintf(path, sizeof path, "%s/set/two/p3.png", dir);
    TEST_OK(fs_write(path, "broken", 6));
    json_t *j = sweep_json_in(dir, "init set second.yaml --json 2>/dev/null");
    CU_ASSERT_EQUAL(json_int(j, "pairs", 0), 4);
    CU_ASSERT_EQUAL(json_int(j, "skipped", 0), 1);
    json_decref(j);
    a = sweep_in(dir, "plan second.yaml");
    CU_ASSERT_EQUAL(a.code, 0);
    answer_free(&a);
    CU_ASSERT_EQUAL(unlink(path), 0);
    a = sweep_in(dir, "init set third.yaml");
    CU_ASSERT_EQUAL(a.code, 2);
    contains(a.err, "p3");
    answer_free(&a);
    a = sweep_in(dir, "init set/one third.yaml");
    CU_ASSERT_EQUAL(a.code, 2);
    contains(a.err, "got 0 folders in it, expected two");
    answer_free(&a);
}

static const struct test tests[] = {TEST(cli_init__writes_what_can_be_planned), TEST(cli_init__overwrites_nothing),
                                    TEST(cli_init__says_what_is_missing)};
TEST_MAIN("cli.init", tests)
