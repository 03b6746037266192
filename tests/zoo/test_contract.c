/* What every row of the registry promises, checked on every row. */
#include "test.h"
#include "zoo.h"

enum { SIZE = 128 };
enum { SLOWER = TEST_SANITIZED ? 20 : 1 }; /* the budget is for builds without instruments */

static int mistakes;

__attribute__((format(printf, 2, 3))) static void wrong(const struct zoo_model *m, const char *fmt, ...)
{
    char text[600];
    va_list a;
    va_start(a, fmt);
    vsnprintf(text, sizeof text, fmt, a);
    va_end(a);
    mistakes++;
    fprintf(stderr, "%s x %s, depth %d: %s\n", m->arch, m->backbone, m->depth, text);
}

static void each_cell(void (*check)(struct zoo_model m))
{
    mistakes = 0;
    for (const char *const *a = zoo_arch_names(); *a; a++)
        for (const char *const *b = zoo_backbone_names(); *b; b++)
            check((struct zoo_model){.arch = *a, .backbone = *b, .height = SIZE, .width = SIZE});
    CU_ASSERT_EQUAL(mistakes, 0);
}

static void check_fits(struct zoo_model m)
{
    struct net *n = NULL;
    struct status fits = zoo_fits(&m), built = zoo_build(&n, &m);
    if (fits.code != built.code || strcmp(fits.msg, built.msg) != 0)
        wrong(&m, "fits: %s; build: %s", fits.msg, built.msg);
    if (fits.code != STATUS_OK && fits.code != STATUS_REFUSED) wrong(&m, "%s", fits.msg);
    if (built.code == STATUS_OK) net_free(n);
}

static void zoo_contract__fits_says_what_build_does(void)
{
    each_cell(check_fits);
}

static void check_taps(struct zoo_model m)
{
    for (m.depth = 3; m.depth <= 5; m.depth++) {
        struct net *n;
        struct zoo_features f;
        struct status s = zoo_build_taps(&n, &f, &m);
        if (s.code == STATUS_REFUSED) continue;
        if (s.code != STATUS_OK) {
            wrong(&m, "%s", s.msg);
            continue;
        }
        if (f.n != m.depth + 1) wrong(&m, "%d taps", f.n);
        if (f.plain_tap0 != (f.tap[0] == n->inputs[0].val)) wrong(&m, "tap 0 is not what it says");
        for (int i = 0; i < f.n; i++) {
            int stride = 1 << i < f.output_stride ? 1 << i : f.output_stride;
            if (net_h(n, f.tap[i]) * stride != SIZE || net_w(n, f.tap[i]) * stride != SIZE || net_c(n, f.tap[i]) < 1)
                wrong(&m, "tap %d has shape %s", i, net_shape_str(net_shape_of(n, f.tap[i])));
        }
        struct net_shape out = net_shape_of(n, n->outputs[0].val);
        if (out.d[1] != 3 || out.d[2] != SIZE || out.d[3] != SIZE) wrong(&m, "output %s", net_shape_str(out));
        net_free(n);
    }
}

static void zoo_contract__taps_halve_and_output_has_the_inputs_size(void)
{
    each_cell(check_taps);
}

/* The sizes that a refusal names; how many. */
static int sizes_named(int sizes[2][2], const char *message)
{
    const char *at = strstr(message, "the nearest size");
    if (!at) return 0;
    if (sscanf(at, "the nearest sizes are %d x %d and %d x %d", &sizes[0][0], &sizes[0][1], &sizes[1][0],
               &sizes[1][1]) == 4)
        return 2;
    return sscanf(at, "the nearest size is %d x %d", &sizes[0][0], &sizes[0][1]) == 2;
}

/* A size is taken, and the picture comes out as large; or refused with sizes that would do, and those are taken. */
static void check_sizes(struct zoo_model m)
{
    static const int sides[][2] = {{97, 130}, {33, 64}, {250, 256}, {16, 16}, {31, 300}, {128, 160}};
    if (zoo_fits(&m).code != STATUS_OK) return;
    for (size_t i = 0; i < LEN(sides); i++) {
        struct net *n = NULL;
        int sizes[2][2] = {{sides[i][0], sides[i][1]}};
        m.height = sizes[0][0];
        m.width = sizes[0][1];
        struct status s = zoo_build(&n, &m);
        int named = s.code == STATUS_REFUSED ? sizes_named(sizes, s.msg) : 1;
        if (s.code == STATUS_OK) net_free(n);
        if ((s.code != STATUS_OK && s.code != STATUS_REFUSED) || !named) wrong(&m, "%s", s.msg);
        for (int k = 0; k < named; k++) {
            m.height = sizes[k][0];
            m.width = sizes[k][1];
            s = zoo_build(&n, &m);
            if (s.code != STATUS_OK) {
                wrong(&m, "%d x %d should do: %s", m.height, m.width, s.msg);
                continue;
            }
            struct net_shape out = net_shape_of(n, n->outputs[0].val);
            if (out.d[2] != m.height || out.d[3] != m.width) wrong(&m, "output %s", net_shape_str(out));
            net_free(n);
        }
    }
}

/* Architectures decide on sizes, families may pad: one backbone in five is each family at least once. */
static void zoo_contract__sizes_do_or_the_nearest_are_named(void)
{
    mistakes = 0;
    for (const char *const *a = zoo_arch_names(); *a; a++) {
        const char *family = "";
        int i = 0;
        for (const char *const *b = zoo_backbone_names(); *b; b++, i++) {
            bool first = strcmp(zoo_backbone_info(*b)->family, family) != 0;
            family = zoo_backbone_info(*b)->family;
            if (first || i % 5 == 0) check_sizes((struct zoo_model){.arch = *a, .backbone = *b});
        }
    }
    CU_ASSERT_EQUAL(mistakes, 0);
}

static void check_params(struct zoo_model m)
{
    for (m.depth = 3; m.depth <= 5; m.depth += 2) {
        struct net *n;
        if (zoo_build(&n, &m).code != STATUS_OK) continue;
        bool *live = mem_alloc((size_t)n->n_nodes), *used = mem_zalloc((size_t)n->n_params);
        net_live(n, live);
        for (int v = 0; v < n->n_nodes; v++)
            for (int p = 0; live[v] && p < n->nodes[v].n_param; p++) used[n->nodes[v].param[p]] = true;
        for (int p = 0; p < n->n_params; p++) {
            if (n->params[p].kind == NET_COUNT) continue; /* read by nobody */
            const char *why = zoo_unused_reason(&m, n->params[p].name);
            if (!used[p] && !why) wrong(&m, "%s is not used, and no reason is given", n->params[p].name);
        }
        free(live);
        free(used);
        net_free(n);
    }
}

static void zoo_contract__unused_parameters_have_a_reason(void)
{
    each_cell(check_params);
}

static void check_speed(struct zoo_model m)
{
    double best = 1;
    struct net *n;
    m.height = m.width = 256;
    if (zoo_fits(&m).code != STATUS_OK) return;
    for (int i = 0; i < 8 && best > 0.005 * SLOWER; i++) { /* another process may have had the core */
        double t = time_mono();
        TEST_OK(zoo_build(&n, &m));
        t = time_mono() - t;
        if (t < best) best = t;
        net_free(n);
    }
    if (best > 0.005 * SLOWER) wrong(&m, "built in %.1f ms", best * 1e3);
}

static void zoo_contract__builds_in_5_ms(void)
{
    each_cell(check_speed);
}

static void zoo_contract__rows_are_complete_and_unique(void)
{
    int n = 0, dilating = 0;
    for (const char *const *b = zoo_backbone_names(); *b; b++, n++) {
        const struct zoo_info *i = zoo_backbone_info(*b);
        for (const char *const *c = zoo_backbone_names(); c < b; c++) CU_ASSERT_STRING_NOT_EQUAL(*b, *c);
        CU_ASSERT_PTR_NOT_NULL_FATAL(i);
        CU_ASSERT_STRING_EQUAL(i->name, *b);
        CU_ASSERT(i->family && i->source && i->reference && i->weights);
        CU_ASSERT_PTR_NOT_NULL(strstr(i->reference, *b));
        for (int c = 0; c < 3; c++)
            CU_ASSERT(i->mean[c] > 0.3f && i->mean[c] < 0.6f && i->std[c] > 0.2f && i->std[c] <= 0.5f);
        dilating += i->dilates;
    }
    CU_ASSERT_EQUAL(n, 105 + 9);
    CU_ASSERT_EQUAL(n - dilating, 15);
    CU_ASSERT_PTR_NULL(zoo_backbone_info("resnet19"));
}

static void zoo_contract__impossible_cells_are_45(void)
{
    int refused = 0;
    for (const char *const *a = zoo_arch_names(); *a; a++)
        for (const char *const *b = zoo_backbone_names(); *b; b++)
            refused += zoo_fits(&(struct zoo_model){.arch = *a, .backbone = *b}).code == STATUS_REFUSED;
    CU_ASSERT_EQUAL(refused, 45);
}

static const struct test tests[] = {
    TEST(zoo_contract__fits_says_what_build_does),
    TEST(zoo_contract__taps_halve_and_output_has_the_inputs_size),
    TEST(zoo_contract__sizes_do_or_the_nearest_are_named),
    TEST(zoo_contract__unused_parameters_have_a_reason),
    TEST(zoo_contract__builds_in_5_ms),
    TEST(zoo_contract__rows_are_complete_and_unique),
    TEST(zoo_contract__impossible_cells_are_45),
};
TEST_MAIN("zoo contract", tests)
