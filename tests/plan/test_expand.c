/* What axes come to, as properties: the product less the rules, conditions, samples, the Sobol sequence. */
#include "plan.h"
#include "test.h"

static struct plan *planned(const char *text)
{
    static const char common[] = "\ndata: {size: 64, pairs: 8}\ntrain.precision: fp32\n";
    struct arena a = {0};
    struct plan *p = NULL;
    const char *path = fs_join(&a, test_dir(), "e.yaml"), *all = arena_printf(&a, "%s%s", text, common);
    TEST_OK(fs_write(path, all, strlen(all)));
    TEST_OK(plan_load(&p, &(struct plan_options){.files = &path, .n_files = 1}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    arena_free(&a);
    return p;
}

static const char *name_of(const struct plan *p, int cell, const char *key)
{
    return json_str(p->sweeps[0].cells[cell].axes, key, "-");
}

static double number_of(const struct plan *p, int cell, const char *key)
{
    return json_num(p->sweeps[0].cells[cell].axes, key, -1);
}

/* Random axes of numbers and random rules over them: the cells are exactly those of a plain count. */
static void plan_expand__count_is_the_product_less_the_rules(void)
{
    static const char *const keys[] = {"train.batch", "train.epochs", "seed", "samples"};
    for (uint64_t round = 0; round < 60; round++) {
        struct rng r = rng_key(7, round, 0, 0);
        int sizes[LEN(keys)], rule_key[3][2], rule_value[3][2], when = (int)rng_below(&r, 3);
        struct str text = {0};
        str_add(&text, "axes:\n");
        for (size_t i = 0; i < LEN(keys); i++) {
            sizes[i] = 1 + (int)rng_below(&r, 4);
            bool conditional =
                i == 3 && when; /* only cells whose batch is 2 have the last axis, in two of three rounds */
            str_addf(&text, "  %s: {range: [1, %d, 1]%s}\n", keys[i], sizes[i],
                     conditional ? ", when: {train.batch: 2}" : "");
        }
        str_add(&text, "exclude:\n  - {data.pairs: 9}\n");
        for (int q = 0; q < 3; q++) {
            for (int k = 0; k < 2; k++) {
                rule_key[q][k] = (int)rng_below(&r, 2) + 2 * k;
                rule_value[q][k] = 2 + (int)rng_below(&r, 3); /* never all cells */
            }
            str_addf(&text, "  - {%s: %d, %s: %d}\n", keys[rule_key[q][0]], rule_value[q][0], keys[rule_key[q][1]],
                     rule_value[q][1]);
        }
        int want = 0, dropped = 0, v[LEN(keys)];
        for (v[0] = 1; v[0] <= sizes[0]; v[0]++)
            for (v[1] = 1; v[1] <= sizes[1]; v[1]++)
                for (v[2] = 1; v[2] <= sizes[2]; v[2]++)
                    for (v[3] = 1; v[3] <= sizes[3]; v[3]++) {
                        bool has = !when || v[0] == 2, out = false;
                        if (!has && v[3] > 1) continue;
                        int cell[LEN(keys)] = {v[0], v[1], v[2], has ? v[3] : 8 /* the default */};
                        for (int q = 0; q < 3; q++)
                            out = out || (cell[rule_key[q][0]] == rule_value[q][0] &&
                                          cell[rule_key[q][1]] == rule_value[q][1]);
                        want += !out;
                        dropped += out;
                    }
        struct plan *p = planned(text.s);
        CU_ASSERT_EQUAL(p->sweeps[0].n_cells, want);
        CU_ASSERT_EQUAL(p->sweeps[0].n_excluded, dropped);
        int told = 0;
        for (int i = 0; i < p->sweeps[0].n_rules; i++) told += p->sweeps[0].excluded[i].n;
        CU_ASSERT_EQUAL(told, dropped);
        CU_ASSERT_TRUE(p->n_warnings >= 2); /* no loss weights; the rule that is about no cell */
        plan_free(p);
        str_free(&text);
    }
}

static void plan_expand__a_condition_is_about_its_cells_only(void)
{
    struct plan *p = planned("axes:\n"
                             "  model.attention: {values: [null, scse], when: {arch: 'unet*'}}\n"
                             "  model.arch: [unet, fpn, linknet]\n"
                             "  model.merge: {values: [add, cat], when: {arch: fpn}}\n");
    static const char *const want[][3] = {
        {"unet", "-", "-"}, {"unet", "scse", "-"}, {"fpn", "-", "add"}, {"fpn", "-", "cat"}, {"linknet", "-", "-"}};
    CU_ASSERT_EQUAL_FATAL(p->sweeps[0].n_cells, 5);
    CU_ASSERT_EQUAL(p->n_trials, 5);
    for (int i = 0; i < 5; i++) {
        CU_ASSERT_STRING_EQUAL(name_of(p, i, "model.arch"), want[i][0]);
        CU_ASSERT_STRING_EQUAL(name_of(p, i, "model.attention"), want[i][1]);
        CU_ASSERT_STRING_EQUAL(name_of(p, i, "model.merge"), want[i][2]);
    }
    plan_free(p);
}

static void plan_expand__rules_must_name_something(void)
{
    static const struct {
        const char *text, *part;
    } w[] = {
        {"exclude: [{backbone: resnet19}]",
         "e.yaml:1:11: model.backbone: got \"resnet19\", which is no backbone of the "
         "zoo; did you mean"},
        {"exclude: [{seed: 1}, {backbone: [vgg16, 'vg']}]", "e.yaml:1:22: model.backbone: got \"vg\""},
        {"include: [{arch: 'x*'}]", "e.yaml:1:11: model.arch: the pattern \"x*\" matches no architecture"},
        {"include: [{seed: 0, when: {arch: unett}}]", "did you mean \"unet\"?"},
        {"axes: {seed: {values: [1, 2], when: {arch: unett}}}", "did you mean \"unet\"?"},
        {"sample: 10000\nseeds: 1000\naxes: {train.lr: {log: [0.1, 1]}}", "got 10000 cells of 1000 seeds"},
        {"axes: {seed: {range: [0, 9999, 1]}, samples: {range: [1, 9999, 1]}}",
         "their product has 1e+08 cells, expected at most a million; narrow them, or draw some with sample: N"},
    };
    struct arena a = {0};
    const char *path = fs_join(&a, test_dir(), "e.yaml");
    for (size_t i = 0; i < LEN(w); i++) {
        struct plan *p = NULL;
        TEST_OK(fs_write(path, w[i].text, strlen(w[i].text)));
        TEST_FAILS(plan_load(&p, &(struct plan_options){.files = &path, .n_files = 1}), STATUS_ARG, w[i].part);
        CU_ASSERT_PTR_NULL(p);
    }
    arena_free(&a);
}

/* ---- samples ---------------------------------------------------------------------------------------------------- */

static char *sample(const char *head, int n, const char *more, int *cells)
{
    struct str text = {0}, out = {0};
    str_addf(&text,
             "sample: {n: %d%s}\naxes: {model.backbone: ['resnet*', 'vgg*'], seed: {range: [0, 30, 1]}, train.lr: "
             "{log: [1.0e-4, 1.0e-2]}, train.batch: [2, 4, 8]}\n%s",
             n, head, more);
    struct plan *p = planned(text.s);
    *cells = p->sweeps[0].n_cells;
    CU_ASSERT_EQUAL(p->n_trials, p->sweeps[0].n_cells); /* no cell twice */
    for (int i = 0; i < *cells; i++) {
        char *cell = json_canonical(p->sweeps[0].cells[i].axes);
        str_addf(&out, "%s\n", cell);
        free(cell);
    }
    plan_free(p);
    str_free(&text);
    return out.s;
}

static void plan_sample__is_decided_by_its_seed_and_grows_at_its_end(void)
{
    static const char *const methods[] = {"", ", method: sobol"};
    for (size_t m = 0; m < LEN(methods); m++) {
        int n[5];
        char head[60];
        snprintf(head, sizeof head, ", seed: 3%s", methods[m]);
        char *a = sample(head, 40, "", &n[0]), *b = sample(head, 40, "", &n[1]), *more = sample(head, 90, "", &n[2]),
             *other = sample(methods[m], 40, "", &n[3]),
             *ruled = sample(head, 40, "exclude: [{train.batch: 4}, {seed: 7}]\n", &n[4]);
        CU_ASSERT_STRING_EQUAL(a, b);
        CU_ASSERT_EQUAL(n[0], 40);
        CU_ASSERT_EQUAL(n[2], 90);
        CU_ASSERT_EQUAL(strncmp(a, more, strlen(a)), 0);
        CU_ASSERT_STRING_NOT_EQUAL(a, other);
        CU_ASSERT_EQUAL(n[4], 40); /* what a rule drops is drawn again */
        CU_ASSERT_PTR_NULL(strstr(ruled, "\"train.batch\":4"));
        CU_ASSERT_PTR_NULL(strstr(ruled, "\"seed\":7,"));
        char *const all[] = {a, b, more, other, ruled};
        for (size_t i = 0; i < LEN(all); i++) free(all[i]);
    }
}

static void plan_sample__finds_all_cells_and_then_says_so(void)
{
    static const char *const methods[] = {"random", "sobol"};
    for (size_t m = 0; m < LEN(methods); m++) {
        char text[300];
        snprintf(
            text, sizeof text,
            "sample: {n: 100, method: %s}\naxes: {arch: [unet, fpn, linknet], seed: [0, 1, 2, 3, 4], train.batch: [2, "
            "4], model.merge: {values: [add, cat], when: {arch: fpn}}}\n",
            methods[m]);
        struct plan *p = planned(text);
        bool told = false;
        CU_ASSERT_EQUAL(p->sweeps[0].n_cells, 40); /* 2 x 10, and fpn's 20 */
        CU_ASSERT_EQUAL(p->n_trials, 40);
        for (int i = 0; i < p->n_warnings; i++)
            told = told || strstr(p->warnings[i], "sample: got 40 of the 100 cells asked for");
        CU_ASSERT_TRUE(told);
        plan_free(p);
    }
}

static void plan_sample__seeds_repeat_every_drawn_cell(void)
{
    struct plan *p = planned("sample: 6\nseeds: 3\naxes: {train.lr: {log: [1.0e-4, 1.0e-2]}}\n");
    CU_ASSERT_EQUAL_FATAL(p->sweeps[0].n_cells, 18);
    for (int i = 0; i < 18; i++) {
        CU_ASSERT_EQUAL(number_of(p, i, "seed"), i % 3);
        CU_ASSERT_EQUAL(number_of(p, i, "train.lr"), number_of(p, i - i % 3, "train.lr"));
        CU_ASSERT_TRUE(number_of(p, i, "train.lr") >= 1e-4 && number_of(p, i, "train.lr") <= 1e-2);
    }
    plan_free(p);
}

static void plan_sample__random_is_even(void)
{
    struct plan *p = planned("sample: 3000\naxes: {train.batch: [2, 4, 8], train.lr: {log: [1.0e-4, 1.0e-2]}}\n");
    int batch[3] = {0}, low = 0, n = p->sweeps[0].n_cells;
    CU_ASSERT_TRUE(n > 2990); /* two draws may agree in six digits */
    for (int i = 0; i < n; i++) {
        int b = (int)number_of(p, i, "train.batch");
        batch[b == 2 ? 0 : b == 4 ? 1 : 2]++;
        low += number_of(p, i, "train.lr") < 1e-3;
    }
    for (int i = 0; i < 3; i++) CU_ASSERT_TRUE(abs(batch[i] - 1000) < 110); /* four deviations of 26 */
    CU_ASSERT_TRUE(abs(low - 1500) < 110);
    plan_free(p);
}

/* ---- Sobol ------------------------------------------------------------------------------------------------------ */

static void plan_sobol__begins_as_published(void)
{
    /* The example of the direction numbers' authors: ten points of three axes. */
    static const double want[][3] = {{0, 0, 0},
                                     {0.5, 0.5, 0.5},
                                     {0.75, 0.25, 0.25},
                                     {0.25, 0.75, 0.75},
                                     {0.375, 0.375, 0.625},
                                     {0.875, 0.875, 0.125},
                                     {0.625, 0.125, 0.875},
                                     {0.125, 0.625, 0.375},
                                     {0.1875, 0.3125, 0.9375},
                                     {0.6875, 0.8125, 0.4375}};
    for (uint32_t i = 0; i < LEN(want); i++)
        for (int d = 0; d < 3; d++) CU_ASSERT_EQUAL(plan_sobol(i, d) / 4294967296.0, want[i][d]);
}

static void plan_sobol__every_axis_meets_every_interval_once(void)
{
    enum { N = 1024 };
    for (int d = 0; d < PLAN_SOBOL_AXES; d++) {
        unsigned char seen[N] = {0};
        int hit = 0;
        for (uint32_t i = 0; i < N; i++) {
            uint32_t at = plan_sobol(i, d) / (uint32_t)(4294967296 / N);
            hit += !seen[at]++;
        }
        CU_ASSERT_EQUAL(hit, N);
    }
}

/* The first two axes also meet every box of area 1/N, however long: what a grid of samples does not. */
static void plan_sobol__first_two_axes_are_a_net(void)
{
    enum { BITS = 8, N = 1 << BITS };
    for (int k = 0; k <= BITS; k++) {
        unsigned char seen[N] = {0};
        int hit = 0;
        for (uint32_t i = 0; i < N; i++) {
            uint32_t x = k ? plan_sobol(i, 0) >> (32 - k) : 0, y = k < BITS ? plan_sobol(i, 1) >> (32 - BITS + k) : 0;
            hit += !seen[(x << (BITS - k)) | y]++;
        }
        CU_ASSERT_EQUAL(hit, N);
    }
}

static const struct test tests[] = {
    TEST(plan_expand__count_is_the_product_less_the_rules),
    TEST(plan_expand__a_condition_is_about_its_cells_only),
    TEST(plan_expand__rules_must_name_something),
    TEST(plan_sample__is_decided_by_its_seed_and_grows_at_its_end),
    TEST(plan_sample__finds_all_cells_and_then_says_so),
    TEST(plan_sample__seeds_repeat_every_drawn_cell),
    TEST(plan_sample__random_is_even),
    TEST(plan_sobol__begins_as_published),
    TEST(plan_sobol__every_axis_meets_every_interval_once),
    TEST(plan_sobol__first_two_axes_are_a_net),
};
TEST_MAIN("plan.expand", tests)
