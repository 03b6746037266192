/* Files are recognised by the names and shapes in them. */
#include "test.h"
#include "zoo.h"

/* What a backbone's file holds, each name behind @p prefix. */
static struct zoo_array *file_of(size_t *n, struct arena *a, const char *backbone, const char *prefix)
{
    struct net *net;
    TEST_OK(zoo_encoder(&net, backbone));
    struct zoo_array *v = arena_alloc(a, (size_t)(net->n_params + 2) * sizeof *v);
    *n = 0;
    for (int i = 0; i < net->n_params; i++) {
        const struct net_param *p = &net->params[i];
        if (p->kind == NET_CONST) continue;
        v[(*n)++] = (struct zoo_array){.name = arena_printf(a, "%s%s", prefix, p->name),
                                       .rank = p->shape.rank,
                                       .shape = arena_copy(a, p->shape.d, sizeof p->shape.d)};
    }
    net_free(net);
    return v;
}

/* No two backbones have files that look alike, so that a name is never a guess. */
static void zoo_recognise__is_never_a_guess(void)
{
    struct arena a = {0};
    json_t *seen = json_object();
    const char *const *all = zoo_backbone_names();
    for (int b = 0; all[b]; b++) {
        size_t n;
        struct zoo_array *v = file_of(&n, &a, all[b], "");
        struct str text = {0};
        for (size_t i = 0; i < n; i++) {
            str_addf(&text, "%s", v[i].name);
            for (int d = 0; d < v[i].rank; d++) str_addf(&text, ",%lld", (long long)v[i].shape[d]);
        }
        struct hash h = hash_bytes(text.s, text.n);
        const char *twin = json_str(seen, h.hex, NULL);
        if (twin) fprintf(stderr, "%s looks like %s\n", all[b], twin);
        CU_ASSERT_PTR_NULL(twin);
        json_object_set_new(seen, h.hex, json_string(all[b]));
        str_free(&text);
        arena_free(&a);
    }
    CU_ASSERT_TRUE(json_object_size(seen) >= 105);
    json_decref(seen);
}

static void zoo_recognise__sees_through_wrappers(void)
{
    static const struct {
        const char *backbone, *prefix, *extra; /* extra: of a head, a decoder, a loss */
    } rows[] = {
        {"resnet18", "", "fc.weight"},
        {"resnet18", "encoder.", "decoder.blocks.0.conv1.0.weight"},
        {"vgg16", "module.", "module.classifier.0.weight"},
        {"mobilenetv3_small_100", "model.encoder.", "loss.weight"},
        {"mobilenetv3_small_100", "", "classifier.bias"},
        {"xception", "", "last_linear.weight"},
    };
    static const int64_t one[1] = {1};
    for (size_t r = 0; r < LEN(rows); r++) {
        struct arena a = {0};
        struct zoo_recognised got = {0};
        size_t n;
        struct zoo_array *v = file_of(&n, &a, rows[r].backbone, rows[r].prefix);
        v[n++] = (struct zoo_array){.name = rows[r].extra, .rank = 1, .shape = one};
        TEST_OK(zoo_recognise(&got, &a, v, n));
        CU_ASSERT_STRING_EQUAL(got.backbone ? got.backbone : "", rows[r].backbone);
        CU_ASSERT_EQUAL(got.n_left, 1);
        if (got.names) CU_ASSERT_PTR_NULL(got.names[n - 1]);
        arena_free(&a);
    }
}

static void zoo_recognise__says_what_does_not_fit(void)
{
    struct arena a = {0};
    struct zoo_recognised got;
    size_t n;
    static const int64_t wide[4] = {64, 4, 7, 7};
    struct zoo_array *v = file_of(&n, &a, "resnet18", "");
    TEST_FAILS(zoo_recognise(&got, &a, v + 1, n - 1), STATUS_ARG, "nearest is resnet18");
    TEST_FAILS(zoo_recognise(&got, &a, v + 1, n - 1), STATUS_ARG, "1 are missing (conv1.weight)");
    v[0].shape = wide;
    TEST_FAILS(zoo_recognise(&got, &a, v, n), STATUS_ARG, "1 have another shape (conv1.weight)");
    v[0].name = "more.weight";
    TEST_FAILS(zoo_recognise(&got, &a, v, n), STATUS_ARG, "1 are not its own (more.weight)");
    v[0].name = "nothing";
    TEST_FAILS(zoo_recognise(&got, &a, v, 1), STATUS_ARG, "holds no backbone");
    TEST_FAILS(zoo_recognise(&got, &a, v, 0), STATUS_ARG, "holds no backbone");
    arena_free(&a);
}

static const struct test tests[] = {
    TEST(zoo_recognise__is_never_a_guess),
    TEST(zoo_recognise__sees_through_wrappers),
    TEST(zoo_recognise__says_what_does_not_fit),
};
TEST_MAIN("zoo.maps", tests)
