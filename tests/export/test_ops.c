/*
 * Every operation that says it can be exported: a net around it is written in every format that a runtime here runs,
 * run there (with a batch of two where the format leaves it open), and compared with plain loops. A new row of ops.def
 * without a case here fails.
 */
#include "op_cases.h"
#include "runtime_check.h"

static const struct {
    const char *name;
    int batch;
    double most;
} formats[] = {
    {"onnx", CHECK_BATCH, 1e-5}, {"onnx-fp16", CHECK_BATCH, 3e-3}, {"litert", 1, 1e-5}, {"litert-fp16", 1, 3e-3}};

static void check_case(size_t i, size_t f, const char *path)
{
    struct arena a = {0};
    struct net *n = build(cases[i].build);
    bool present = false;
    for (int v = 0; v < n->n_nodes; v++) present |= n->nodes[v].op == cases[i].op;
    CU_ASSERT(present);
    double worst = check_format(formats[f].name, cases[i].name, path, n, ref_values(n, &a, i),
                                &(struct export_options){0}, formats[f].batch);
    double most = formats[f].most;
    if (cases[i].op == NET_ROUND && most > 1e-3) most = 0.011; /* one of a hundred, where half precision tips a half */
    if (!(worst < most)) fprintf(stderr, "%s: %s: largest difference %g\n", formats[f].name, cases[i].name, worst);
    CU_ASSERT(worst < most);
    net_free(n);
    arena_free(&a);
}

static void export_ops__every_case_computes_the_same(void)
{
    char path[512];
    for (size_t f = 0; f < LEN(formats); f++) {
        snprintf(path, sizeof path, "%s/op.%s", test_dir(), formats[f].name);
        for (size_t i = 0; i < LEN(cases); i++) check_case(i, f, path);
    }
}

static void export_ops__every_op_of_the_table_has_a_case(void)
{
    for (int op = 0; op < NET_N_OPS; op++) {
        int n = 0;
        for (size_t i = 0; i < LEN(cases); i++) n += cases[i].op == (enum net_op)op;
        bool wanted = net_ops[op].formats != 0;
        if (wanted != (n > 0)) fprintf(stderr, "%s: %d cases\n", net_ops[op].name, n);
        CU_ASSERT_EQUAL(wanted, n > 0);
    }
}

static net_val two_terms(struct net *n, net_val x)
{
    return net_sub(n, x, net_relu(n, x));
}

static void export_ops__what_onnx_lacks_is_refused_by_name(void)
{
    char path[512];
    snprintf(path, sizeof path, "%s/refused.onnx", test_dir());
    struct net *n = build(two_terms);
    struct arena a = {0};
    TEST_FAILS(export_onnx(path, n, ref_values(n, &a, 1), &(struct export_options){0}), STATUS_REFUSED, "sub");
    CU_ASSERT_FALSE(fs_exists(path));
    net_free(n);
    arena_free(&a);
}

/* Two inputs, one of them also an output, one value under two output names. */
static void export_ops__several_inputs_and_outputs(void)
{
    char path[512];
    struct arena a = {0};
    snprintf(path, sizeof path, "%s/io.onnx", test_dir());
    struct net *n = net_new();
    net_val x = net_input(n, "x", 3, 4, 5), y = net_input(n, "y", 3, 4, 5), z = net_mul(n, x, y);
    net_output(n, "product", z);
    net_output(n, "again", z);
    net_output(n, "first", x);
    net_output(n, "clamped", net_clamp(n, z, -1, 1));
    TEST_OK(net_finish(n));
    CU_ASSERT(check_net("io", path, n, ref_values(n, &a, 1), &(struct export_options){0}, 3) < 1e-6);
    struct export_summary s;
    TEST_OK(export_onnx_read(&s, path));
    CU_ASSERT_EQUAL(s.n_inputs, 2);
    CU_ASSERT_EQUAL(s.n_outputs, 4);
    CU_ASSERT_STRING_EQUAL(s.outputs[1].name, "again");
    export_summary_free(&s);
    net_free(n);
    arena_free(&a);
}

static const struct test tests[] = {
    TEST(export_ops__every_case_computes_the_same),
    TEST(export_ops__every_op_of_the_table_has_a_case),
    TEST(export_ops__what_onnx_lacks_is_refused_by_name),
    TEST(export_ops__several_inputs_and_outputs),
};
TEST_MAIN("export.ops", tests)
