/* sweep weights import: files of every project in, everything else refused. */
#include "malformed.h"
#include "stored.h"
#include <math.h>

/* ---- how projects write names: the zoo's map the other way round ------------------------------------------------- */

static void remember(json_t *map, const char *backbone, const char *published)
{
    struct arena a = {0};
    const char *ours = zoo_published_name(&a, backbone, published);
    if (ours && strcmp(ours, published) != 0) json_object_set_new(map, ours, json_string(published));
    arena_free(&a);
}

/* timm: without the scope that the encoder has around it. */
static void timm_names(json_t *map, const char *backbone, const char *ours)
{
    if (strncmp(ours, "model.", 6) == 0) remember(map, backbone, ours + 6);
}

/* torchvision's first densenets: "norm.1" where the encoder has "norm1". */
static void old_names(json_t *map, const char *backbone, const char *ours)
{
    struct arena a = {0};
    size_t n = strlen(ours);
    for (size_t i = 1; strstr(ours, "denselayer") && i < n; i++)
        if ((ours[i] == '1' || ours[i] == '2') && ours[i + 1] == '.' && (ours[i - 1] == 'm' || ours[i - 1] == 'v'))
            remember(map, backbone, arena_printf(&a, "%.*s.%s", (int)i, ours, ours + i));
    arena_free(&a);
}

/* lukemelas: all blocks counted through. Made from every name that the scheme has. */
static void lukemelas_names(json_t *map, const char *backbone, const char *ours)
{
    static const char *const parts[] = {"_expand_conv.weight", "_depthwise_conv.weight", "_project_conv.weight"};
    static const char *const norm[] = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"};
    struct arena a = {0};
    (void)ours;
    if (json_object_size(map)) return;
    remember(map, backbone, "_conv_stem.weight");
    remember(map, backbone, "_conv_head.weight");
    for (int b = -1; b < 16; b++) {
        const char *block = b < 0 ? "" : arena_printf(&a, "_blocks.%d.", b);
        for (size_t i = 0; b >= 0 && i < LEN(parts); i++)
            remember(map, backbone, arena_printf(&a, "%s%s", block, parts[i]));
        for (int k = 0; k < 3; k++)
            for (size_t i = 0; i < LEN(norm); i++)
                remember(map, backbone, arena_printf(&a, "%s_bn%d.%s", block, k, norm[i]));
    }
    arena_free(&a);
}

static const struct {
    const char *backbone, *file, *head;                                 /* head: of its classifier */
    void (*names)(json_t *map, const char *backbone, const char *ours); /* NULL: as the encoder has them */
} published[] = {
    {"mobilenet_v2", "mobilenet_v2-7ebf99e0.pth", "classifier.1.weight", NULL},
    {"densenet121", "densenet121.safetensors", "classifier.weight", old_names},
    {"mobilenetv3_small_100", "mobilenetv3_small_100.pth", "classifier.weight", timm_names},
    {"regnetx_002", "regnetx_002.safetensors", "head.fc.weight", timm_names},
    {"tf_efficientnet_lite0", "efficientnet_lite0.pth", "_fc.weight", lukemelas_names},
};

/* The encoder's arrays under the project's names; how many have another. */
static int publish(struct weights_array *v, size_t n, struct arena *a, size_t row)
{
    json_t *map = json_object();
    int renamed = 0;
    for (size_t i = 0; published[row].names && i < n; i++)
        published[row].names(map, published[row].backbone, v[i].name);
    for (size_t i = 0; i < n; i++) {
        const char *theirs = json_str(map, v[i].name, NULL);
        if (!theirs) continue;
        v[i].name = arena_strdup(a, theirs);
        renamed++;
    }
    json_decref(map);
    return renamed;
}

/* The converted file holds the encoder's arrays, every bit of them. */
static void check_converted(const char *dir, const char *backbone)
{
    struct arena a = {0};
    struct weights w = {0};
    size_t n;
    struct weights_array *want = encoder_arrays(&n, &a, backbone);
    TEST_OK(weights_load(&w, arena_printf(&a, "%s/weights/%s.imagenet.safetensors", dir, backbone)));
    CU_ASSERT_EQUAL(w.n, n);
    for (size_t i = 0; i < n; i++) {
        const struct weights_array *got = weights_find(&w, want[i].name);
        bool same = got && got->bytes == want[i].bytes && !memcmp(got->data, want[i].data, got->bytes);
        if (!same) fprintf(stderr, "%s: %s\n", backbone, want[i].name);
        CU_ASSERT_TRUE(same);
    }
    weights_free(&w);
    arena_free(&a);
}

static void weights_import__takes_each_project_s_names(void)
{
    struct arena a = {0};
    const char *dir = arena_strdup(&a, test_dir());
    for (size_t r = 0; r < LEN(published); r++) {
        size_t n;
        struct weights_array *v = encoder_arrays(&n, &a, published[r].backbone);
        int renamed = publish(v, n, &a, r);
        CU_ASSERT_EQUAL(renamed > 0, published[r].names != NULL);
        v[n] = extra(published[r].head);
        save(dir, published[r].file, v, n + 1);
        json_t *rows = sweep_json_in(dir, arena_printf(&a, "weights import %s --json", published[r].file));
        const json_t *row = json_array_get(rows, 0);
        CU_ASSERT_STRING_EQUAL(json_str(row, "backbone", ""), published[r].backbone);
        CU_ASSERT_EQUAL(json_int(row, "arrays", -1), (int64_t)n);
        CU_ASSERT_EQUAL(json_int(row, "renamed", -1), renamed);
        CU_ASSERT_EQUAL(json_int(row, "left_out", -1), 1);
        CU_ASSERT_STRING_EQUAL(json_str(row, "state", ""), "written");
        check_converted(dir, published[r].backbone);
        json_decref(rows);
    }
    arena_free(&a);
}

/* A whole model's checkpoint, as it is and inside a Lightning module; its decoder is left out. */
static void weights_import__takes_the_encoder_of_a_model(void)
{
    static const struct {
        const char *prefix, *file, *tag, *says;
    } cases[] = {
        {"", "smp.pth", "smp", "the encoder of a segmentation_models_pytorch model"},
        {"model.", "lightning.ckpt", "lightning", "the encoder of a model in Lightning, attribute `model`"},
        {"net.", "net.safetensors", "net", "the encoder of a model in Lightning, attribute `net`"},
    };
    static const char backbone[] = "mobilenetv3_small_minimal_100";
    struct arena a = {0};
    struct net *net;
    const char *dir = arena_strdup(&a, test_dir());
    TEST_OK(zoo_build(&net, &(struct zoo_model){.arch = "unet", .backbone = backbone, .height = 64, .width = 64}));
    for (size_t i = 0; i < LEN(cases); i++) {
        size_t n;
        struct weights_array *v = arrays_of(&n, &a, net);
        for (size_t k = 0; k < n; k++) v[k].name = arena_printf(&a, "%s%s", cases[i].prefix, v[k].name);
        if (i > 0) v[n++] = extra("loss.weight");
        save(dir, cases[i].file, v, n);
        json_t *rows =
            sweep_json_in(dir, arena_printf(&a, "weights import %s --tag %s --json", cases[i].file, cases[i].tag));
        const json_t *row = json_array_get(rows, 0);
        CU_ASSERT_STRING_EQUAL(json_str(row, "backbone", ""), backbone);
        CU_ASSERT_STRING_EQUAL(json_str(row, "names", ""), cases[i].says);
        CU_ASSERT_TRUE(json_int(row, "left_out", 0) > 20);
        CU_ASSERT_TRUE(fs_exists(fs_join(&a, dir, json_str(row, "to", "none"))));
        json_decref(rows);
    }
    net_free(net);
    arena_free(&a);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

static void weights_import__refuses_malformed_files(void)
{
    struct arena a = {0};
    const char *dir = arena_strdup(&a, test_dir());
    for (size_t i = 0; i < LEN(malformed_files); i++) {
        malformed_write(&a, dir, i);
        struct answer got = sweep_in(dir, arena_printf(&a, "weights import %s", malformed_files[i].name));
        CU_ASSERT_EQUAL(got.code, 2);
        CU_ASSERT_TRUE(malformed_told(i, got.err));
        answer_free(&got);
    }
    CU_ASSERT_FALSE(fs_exists(fs_join(&a, dir, "weights"))); /* nothing was written */
    arena_free(&a);
}

/* Sound files that are not what a backbone is made of. */
static void weights_import__refuses_what_does_not_fit(void)
{
    static const char backbone[] = "mobilenetv3_small_minimal_100";
    static const float bad[4] = {0, NAN, 0, 0};
    struct arena a = {0};
    size_t n;
    const char *dir = arena_strdup(&a, test_dir());
    struct weights_array *v = encoder_arrays(&n, &a, backbone), *bias = NULL;
    for (size_t i = 0; i < n; i++)
        if (strcmp(v[i].name, "model.bn1.bias") == 0) bias = &v[i];
    CU_ASSERT_PTR_NOT_NULL_FATAL(bias);
    struct weights_array good = *bias;

    *bias = extra("model.bn1.bias"); /* of 4 instead of 16 */
    save(dir, "shape.pth", v, n);
    check_refused(dir, "weights import shape.pth", "1 have another shape (model.bn1.bias)",
                  "mobilenetv3_small_minimal");
    *bias = good;
    int64_t *whole = arena_alloc(&a, 16 * sizeof *whole);
    bias->dtype = WEIGHTS_I64;
    bias->data = whole;
    bias->bytes = 16 * sizeof *whole;
    save(dir, "dtype.pth", v, n);
    check_refused(dir, "weights import dtype.pth", "dtype.pth: tensor model.bn1.bias: dtype: got I64", NULL);
    *bias = good;
    float *nan = arena_copy(&a, good.data, good.bytes);
    memcpy(nan, bad, sizeof bad);
    bias->data = nan;
    save(dir, "nan.safetensors", v, n);
    check_refused(dir, "weights import nan.safetensors", "tensor model.bn1.bias: element 1 of 16 is no finite", NULL);
    *bias = good;
    save(dir, "few.safetensors", v, n / 2);
    check_refused(dir, "weights import few.safetensors", "fits no backbone of the zoo; nearest is", NULL);
    v[n] = extra("model.more.weight");
    save(dir, "more.safetensors", v, n + 1);
    check_refused(dir, "weights import more.safetensors", "model.more.weight", NULL);
    check_refused(dir, "weights import none.pth", "none.pth: cannot open", NULL);
    check_refused(dir, "weights import", "expected a file or several", NULL);
    check_refused(dir, "weights import few.safetensors --tag a/b", "--tag: got \"a/b\"", NULL);
    check_refused(dir, "weights improt x", "expected ls, import or export", NULL);
    arena_free(&a);
}

/* A name such as imagenet is a promise: no file of random weights gets it unasked, and none that we trained. */
static void weights_import__wants_a_name_for_what_is_not_published(void)
{
    struct arena a = {0};
    size_t n;
    const char *dir = test_dir();
    struct weights_array *v = encoder_arrays(&n, &a, "mobilenet_v2");
    json_t *meta = json_pack("{s:s}", "trial", "0123456789ab");
    TEST_OK(weights_save(fs_join(&a, dir, "trained.safetensors"), v, n, meta));
    json_decref(meta);
    for (size_t i = 0; i < n; i++) {
        bool var = strstr(v[i].name, ".running_var") != NULL;
        if (!var && !strstr(v[i].name, ".running_mean")) continue;
        float *stats = arena_alloc(&a, v[i].bytes);
        for (size_t k = 0; k < v[i].bytes / sizeof *stats; k++) stats[k] = var;
        v[i].data = stats;
    }
    save(dir, "fresh.safetensors", v, n);
    v = encoder_arrays(&n, &a, "vgg11");
    for (size_t i = 0; i < n; i++)
        if (strstr(v[i].name, ".bias")) v[i].data = arena_alloc(&a, v[i].bytes);
    save(dir, "plain.safetensors", v, n);
    static const char *const why[][2] = {{"trained", "that this program trained"},
                                         {"fresh", "random weights: it was never trained"},
                                         {"plain", "random weights: it was never trained"}};
    for (size_t i = 0; i < LEN(why); i++) {
        const char *command = arena_printf(&a, "weights import %s.safetensors", why[i][0]);
        check_refused(dir, command, why[i][1], "--tag NAME");
        json_decref(sweep_json_in(dir, arena_printf(&a, "%s --tag %s --json", command, why[i][0])));
    }
    CU_ASSERT_TRUE(fs_exists(fs_join(&a, dir, "weights/mobilenet_v2.fresh.safetensors")));
    CU_ASSERT_FALSE(fs_exists(fs_join(&a, dir, "weights/mobilenet_v2.imagenet.safetensors")));
    arena_free(&a);
}

static const struct test tests[] = {
    TEST(weights_import__takes_each_project_s_names),
    TEST(weights_import__takes_the_encoder_of_a_model),
    TEST(weights_import__refuses_malformed_files),
    TEST(weights_import__refuses_what_does_not_fit),
    TEST(weights_import__wants_a_name_for_what_is_not_published),
};
TEST_MAIN("cli.import", tests)
