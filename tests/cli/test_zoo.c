/* sweep zoo, as a user and as a program reads it. */
#include "answer.h"
#include <sys/resource.h>

/* "arch backbone" -> row of the reference's table; NULL without the shared fixtures. */
static json_t *reference_costs(int *size)
{
    struct arena a = {0};
    char *text;
    size_t n, i;
    json_t *root, *row, *out = json_object();
    if (!test_shared()) return NULL;
    TEST_OK(fs_read(&text, &n, fs_join(&a, test_shared(), "parity/costs.json")));
    TEST_OK(json_parse(&root, "costs.json", text, n));
    *size = (int)json_int(root, "size", 0);
    json_array_foreach(json_object_get(root, "rows"), i, row) json_object_set(
        out,
        arena_printf(&a, "%s %s", json_string_value(json_array_get(row, 0)), json_string_value(json_array_get(row, 1))),
        row);
    json_decref(root);
    free(text);
    arena_free(&a);
    return out;
}

static void zoo_ls__costs_are_the_reference_s(void)
{
    struct arena a = {0};
    int size = 0, bad = 0;
    size_t i, found = 0;
    json_t *row, *want = reference_costs(&size);
    if (!want) return;
    json_t *rows = sweep_json_in(test_dir(), arena_printf(&a, "zoo ls --cost --size %d --json", size));
    json_array_foreach(rows, i, row)
    {
        const char *cell = arena_printf(&a, "%s %s", json_str(row, "arch", ""), json_str(row, "backbone", ""));
        const json_t *r = json_object_get(want, cell);
        if (!r) continue; /* beyond the reference's table, or impossible */
        found++;
        if (json_int(row, "params", -1) == json_integer_value(json_array_get(r, 2)) &&
            json_int(row, "macs", -1) == json_integer_value(json_array_get(r, 3)) &&
            json_int(row, "macs_run", -1) <= json_int(row, "macs", -1))
            continue;
        bad++;
        fprintf(stderr, "%s: %lld parameters, %lld MACs\n", cell, (long long)json_int(row, "params", -1),
                (long long)json_int(row, "macs", -1));
    }
    CU_ASSERT_EQUAL(bad, 0);
    CU_ASSERT_EQUAL(found, 900);
    CU_ASSERT_EQUAL(found, json_object_size(want));
    json_decref(rows);
    json_decref(want);
    arena_free(&a);
}

/* Seconds of processor that programs started here have taken: what other programs do is not in it. */
static double used_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_CHILDREN, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void zoo_ls__is_quick(void)
{
    double before = used_s();
    struct answer a = sweep_in(test_dir(), "zoo ls --cost");
    CU_ASSERT_EQUAL(a.code, 0);
    CU_ASSERT_TRUE(used_s() - before < 2 * (TEST_SANITIZED ? 20 : 1));
    answer_free(&a);
}

static void zoo_ls__is_sorted_by_any_column(void)
{
    static const struct {
        const char *args, *column;
    } cases[] = {{"zoo ls --cost --size 64 --by macs --json", "macs"},
                 {"zoo ls --cost --size 64 --by activations_mib --json", "activations_mib"},
                 {"zoo ls --cost --size 64 --by training_mib --json", "training_mib"},
                 {"zoo ls --cost --size 64 --by file_bytes --json", "file_bytes"},
                 {"zoo ls --by params --json", "params"}};
    for (size_t c = 0; c < LEN(cases); c++) {
        json_t *row, *rows = sweep_json_in(test_dir(), cases[c].args);
        double before = -1;
        bool nothing = false;
        size_t i;
        json_array_foreach(rows, i, row)
        {
            const json_t *v = json_object_get(row, cases[c].column);
            if (json_is_null(v)) { /* impossible cells are last, and say why */
                nothing = true;
                CU_ASSERT_STRING_NOT_EQUAL(json_str(row, "reason", ""), "");
                continue;
            }
            CU_ASSERT_FALSE(nothing);
            CU_ASSERT_TRUE(json_number_value(v) >= before);
            before = json_number_value(v);
        }
        CU_ASSERT_TRUE(before > 0);
        json_decref(rows);
    }
    struct answer a = sweep_in(test_dir(), "zoo ls --cost --by backbon");
    CU_ASSERT_EQUAL(a.code, 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(a.err, "did you mean backbone"));
    answer_free(&a);
}

/* A row of the table says of its cell what the cell's own page says, with the same keys set. */
static void zoo_ls__takes_keys(void)
{
    static const char *const same[] = {"params",           "macs",           "macs_run",
                                       "activation_bytes", "training_bytes", "file_bytes"};
    const char *how = "--size 64 --set model.output_stride=16 --set model.in_channels=4 --json";
    struct arena a = {0};
    json_t *row, *rows = sweep_json_in(test_dir(), arena_printf(&a, "zoo ls --cost %s", how));
    json_t *page = sweep_json_in(test_dir(), arena_printf(&a, "zoo show deeplabv3 mobilenetv3_small_100 %s", how));
    int found = 0;
    size_t i;
    json_array_foreach(rows, i, row)
    {
        if (strcmp(json_str(row, "arch", ""), "deeplabv3") != 0) continue;
        if (strcmp(json_str(row, "backbone", ""), "mobilenetv3_small_100") != 0) continue;
        found++;
        for (size_t k = 0; k < LEN(same); k++) CU_ASSERT_EQUAL(json_int(row, same[k], -1), json_int(page, same[k], -2));
    }
    CU_ASSERT_EQUAL(found, 1);
    json_decref(rows);
    json_decref(page);
    arena_free(&a);
}

static void zoo_show__takes_keys(void)
{
    static const struct {
        const char *args;
        int code;
        const char *part; /* of stdout where it succeeds, else of stderr */
    } cases[] = {
        {"zoo show unet resnet18 --set model.depth=3", 0, "12.8 M"},
        {"zoo show unetplusplus mobilenetv3_large_100", 0, "decoder.blocks.x_0_4.conv2.0  params 2304  MACs"},
        {"zoo show unet resnet18 --set model.attention=scse --json", 0, "\"operations\""},
        {"zoo dump fpn resnet18 --size 64 --set model.merge=cat", 0, "concat"},
        {"zoo show unet resnet18 --set model.deth=3", 2, "did you mean model.depth?"},
        {"zoo show unet resnet18 --set model.depth=7", 2, "3 to 5"},
        {"zoo show fpn resnet18 --set model.attention=scse", 2, "no such option"},
        {"zoo show unet resnet18 --set 'axes.model.depth=[3,4]'", 2, "got an axis"},
        {"zoo show unet", 2, "expected ARCH BACKBONE"},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        struct answer a = sweep_in(test_dir(), cases[i].args);
        bool right = a.code == cases[i].code && strstr(a.code ? a.err : a.out, cases[i].part);
        if (!right) fprintf(stderr, "sweep %s: %d\n%s\n%s\n", cases[i].args, a.code, a.out, a.err);
        CU_ASSERT_TRUE(right);
        answer_free(&a);
    }
}

static const struct test tests[] = {
    TEST(zoo_ls__costs_are_the_reference_s),
    TEST(zoo_ls__is_quick),
    TEST(zoo_ls__is_sorted_by_any_column),
    TEST(zoo_ls__takes_keys),
    TEST(zoo_show__takes_keys),
};
TEST_MAIN("cli.zoo", tests)
