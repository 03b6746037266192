/*
 * Names, shapes and counts of every reference model, without a tensor: the state dict is the net's parameters. What
 * the numbers inside compute is compared by the worker's probe.
 */
#include "test.h"
#include "zoo.h"

static int mistakes;

__attribute__((format(printf, 2, 3))) static void wrong(const json_t *cell, const char *fmt, ...)
{
    char text[400];
    va_list a;
    va_start(a, fmt);
    vsnprintf(text, sizeof text, fmt, a);
    va_end(a);
    mistakes++;
    fprintf(stderr, "%s x %s: %s\n", json_str(cell, "arch", "?"), json_str(cell, "backbone", "?"), text);
}

static bool in_state_dict(const struct net_param *p)
{
    return p->kind == NET_WEIGHT || p->kind == NET_BUFFER || p->kind == NET_COUNT;
}

static bool same_shape(struct net_shape s, const json_t *want)
{
    bool same = (size_t)s.rank == json_array_size(want);
    for (int i = 0; same && i < s.rank; i++) same = s.d[i] == json_integer_value(json_array_get(want, (size_t)i));
    return same;
}

/* Every name of @p want is in the net with its shape; @p n_got names there are to be found. */
static void compare_names(const json_t *cell, const struct net *n, const char *skip_prefix, const json_t *want)
{
    size_t got = 0, i;
    json_t *pair;
    for (int p = 0; p < n->n_params; p++)
        got += in_state_dict(&n->params[p]) &&
               !(*skip_prefix && strncmp(n->params[p].name, skip_prefix, strlen(skip_prefix)) == 0);
    if (got != json_array_size(want)) wrong(cell, "%zu names, expected %zu", got, json_array_size(want));
    json_array_foreach(want, i, pair)
    {
        const char *name = json_string_value(json_array_get(pair, 0));
        int p = net_param_find(n, name);
        if (p < 0)
            wrong(cell, "%s is missing", name);
        else if (!same_shape(n->params[p].shape, json_array_get(pair, 1)))
            wrong(cell, "%s has shape %s", name, net_shape_str(n->params[p].shape));
    }
}

static void compare_counts(const json_t *cell, const struct net *n)
{
    int64_t params = 0, encoder = 0, tensors = 0;
    for (int p = 0; p < n->n_params; p++) {
        const struct net_param *q = &n->params[p];
        tensors += in_state_dict(q);
        if (q->kind != NET_WEIGHT) continue;
        params += net_numel(q->shape);
        if (strncmp(q->name, "encoder.", 8) == 0) encoder += net_numel(q->shape);
    }
    if (params != json_int(cell, "params", -1)) wrong(cell, "%lld parameters", (long long)params);
    if (tensors != json_int(cell, "n_tensors", -1)) wrong(cell, "%lld tensors", (long long)tensors);
    if (encoder != json_int(cell, "encoder_params", encoder)) wrong(cell, "%lld in the encoder", (long long)encoder);
}

static void compare_taps(const json_t *cell, const struct net *n, const struct zoo_features *f)
{
    size_t i;
    json_t *tap;
    json_array_foreach(json_object_get(cell, "taps"), i, tap)
    {
        if ((int)i >= f->n || !same_shape(net_shape_of(n, f->tap[i]), json_object_get(tap, "shape")))
            wrong(cell, "tap %zu has shape %s", i, (int)i < f->n ? net_shape_str(net_shape_of(n, f->tap[i])) : "none");
    }
}

static void compare_cell(const json_t *cell)
{
    const json_t *size = json_object_get(cell, "size");
    struct zoo_model m = {.arch = json_str(cell, "arch", ""), .backbone = json_str(cell, "backbone", "")};
    m.height = size ? (int)json_integer_value(json_array_get(size, 0)) : 128;
    m.width = size ? (int)json_integer_value(json_array_get(size, 1)) : 128;
    struct net *n = NULL;
    struct zoo_features taps;
    struct status s = zoo_build_taps(&n, &taps, &m);
    bool refused = json_object_get(cell, "refused") != NULL;
    if (refused != (s.code == STATUS_REFUSED) || (s.code != STATUS_OK && s.code != STATUS_REFUSED))
        wrong(cell, "%s", s.msg);
    if (s.code != STATUS_OK) return;

    json_t *whole = json_object_get(cell, "tensors"), *decoder = json_object_get(cell, "decoder_tensors");
    compare_counts(cell, n);
    if (whole) compare_names(cell, n, "", whole);
    if (decoder) compare_names(cell, n, "encoder.", decoder);
    compare_taps(cell, n, &taps);
    struct net_shape out = net_shape_of(n, n->outputs[0].val);
    if (out.d[1] != 3 || out.d[2] != m.height || out.d[3] != m.width) wrong(cell, "output %s", net_shape_str(out));
    net_free(n);
}

static void compare_folder(const char *folder)
{
    struct arena a = {0};
    char **names, *dir = fs_join(&a, test_shared(), folder);
    size_t count, n_cells = 0;
    TEST_OK(fs_list(&names, &count, &a, dir));
    for (size_t i = 0; i < count; i++) {
        char *text;
        size_t bytes, c;
        json_t *root, *cell;
        TEST_OK(fs_read(&text, &bytes, fs_join(&a, dir, names[i])));
        TEST_OK(json_parse(&root, names[i], text, bytes));
        json_array_foreach(json_object_get(root, "cells"), c, cell)
        {
            compare_cell(cell);
            n_cells++;
        }
        json_decref(root);
        free(text);
    }
    CU_ASSERT(n_cells > 0);
    arena_free(&a);
}

static void zoo_parity__names_shapes_and_counts(void)
{
    if (!test_shared()) return;
    mistakes = 0;
    compare_folder("parity/models");
    compare_folder("parity/beyond");
    CU_ASSERT_EQUAL(mistakes, 0);
}

static void zoo_parity__parameters_and_macs_of_all_cells(void)
{
    if (!test_shared()) return;
    struct arena a = {0};
    char *text;
    size_t bytes, i;
    json_t *root, *row;
    TEST_OK(fs_read(&text, &bytes, fs_join(&a, test_shared(), "parity/costs.json")));
    TEST_OK(json_parse(&root, "costs.json", text, bytes));
    int size = (int)json_int(root, "size", 0), bad = 0;
    json_array_foreach(json_object_get(root, "rows"), i, row)
    {
        struct zoo_model m = {.arch = json_string_value(json_array_get(row, 0)),
                              .backbone = json_string_value(json_array_get(row, 1)),
                              .height = size,
                              .width = size};
        struct net *n = NULL;
        struct status s = zoo_build(&n, &m);
        struct net_cost c = {0};
        int64_t reference = 0;
        if (s.code == STATUS_OK) c = net_cost(n);
        if (s.code == STATUS_OK) TEST_OK(zoo_reference_macs(&reference, &m));
        int64_t params = json_integer_value(json_array_get(row, 2)), macs = json_integer_value(json_array_get(row, 3));
        if ((c.params != params || reference != macs || c.macs > macs) && ++bad)
            fprintf(stderr, "%s x %s: %lld parameters and %lld MACs, expected %lld and %lld %s\n", m.arch, m.backbone,
                    (long long)c.params, (long long)reference, (long long)params, (long long)macs, s.msg);
        net_free(n);
    }
    CU_ASSERT_EQUAL(bad, 0);
    CU_ASSERT_EQUAL(i, 900);
    json_decref(root);
    free(text);
    arena_free(&a);
}

static const struct test tests[] = {
    TEST(zoo_parity__names_shapes_and_counts),
    TEST(zoo_parity__parameters_and_macs_of_all_cells),
};
TEST_MAIN("zoo parity", tests)
