/* Where parameters start from scratch: as the reference's do, family by family and decoder by decoder (init.json, which
 * reference_init.py measured). */
#include "test.h"
#include "zoo.h"
#include <math.h>

static const char *const dists[] = {
    [NET_ZERO] = "zero", [NET_ONE] = "one", [NET_UNIFORM] = "uniform", [NET_NORMAL] = "normal"};

static double deviation(const struct net_init *i)
{
    return i->dist == NET_UNIFORM ? i->scale / sqrt(3) : i->dist == NET_NORMAL ? i->scale : 0;
}

/* One row: [arch, backbone, name, distribution, deviation, numbers it was measured on]. */
static bool check_row(const struct net *n, const json_t *row)
{
    const char *name = json_string_value(json_array_get(row, 2)), *dist = json_string_value(json_array_get(row, 3));
    double want = json_number_value(json_array_get(row, 4)), on = json_number_value(json_array_get(row, 5));
    int p = net_param_find(n, name);
    if (p < 0) {
        fprintf(stderr, "no parameter %s\n", name);
        return false;
    }
    const struct net_init *i = &n->params[p].init;
    double slack = 0.002 + 5 / sqrt(2 * on); /* five deviations of a measured deviation */
    if (strcmp(dists[i->dist], dist) == 0 && fabs(deviation(i) - want) <= slack * want) return true;
    fprintf(stderr, "%s x %s: %s: %s of deviation %g, the reference's is %s of %g\n",
            json_string_value(json_array_get(row, 0)), json_string_value(json_array_get(row, 1)), name, dists[i->dist],
            deviation(i), dist, want);
    return false;
}

static void zoo_init__is_the_reference_s(void)
{
    struct arena a = {0};
    char *text;
    size_t bytes, i, wrong = 0;
    json_t *rows, *row;
    struct net *n = NULL;
    const char *of = "";
    TEST_OK(fs_read(&text, &bytes, arena_printf(&a, "%s/tests/zoo/init.json", test_source_dir())));
    TEST_OK(json_parse(&rows, "init.json", text, bytes));
    json_array_foreach(rows, i, row)
    {
        struct zoo_model m = {.arch = json_string_value(json_array_get(row, 0)),
                              .backbone = json_string_value(json_array_get(row, 1)),
                              .height = 128,
                              .width = 128};
        const char *cell = arena_printf(&a, "%s %s", m.arch, m.backbone);
        if (strcmp(cell, of) != 0) {
            net_free(n);
            n = NULL;
            TEST_OK(zoo_build(&n, &m));
            CU_ASSERT_PTR_NOT_NULL_FATAL(n);
        }
        of = cell;
        wrong += !check_row(n, row);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_TRUE(i > 200);
    net_free(n);
    json_decref(rows);
    free(text);
    arena_free(&a);
}

static const struct test tests[] = {
    TEST(zoo_init__is_the_reference_s),
};
TEST_MAIN("zoo.init", tests)
