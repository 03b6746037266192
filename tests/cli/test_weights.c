/* sweep weights: what is wanted, files in, trained models out; and weights named in a configuration. */
#include "answer.h"
#include "malformed.h"
#include "store.h"
#include "weights.h"
#include "zoo.h"
#include <math.h>

/* ---- files made from our own nets -------------------------------------------------------------------------------- */

/* Every stored parameter of a net, filled with a pattern. Owner: all in @p a. */
static struct weights_array *arrays_of(size_t *n, struct arena *a, const struct net *net)
{
    struct weights_array *v = arena_alloc(a, (size_t)(net->n_params + 2) * sizeof *v);
    *n = 0;
    for (int i = 0; i < net->n_params; i++) {
        const struct net_param *p = &net->params[i];
        size_t numel = (size_t)net_numel(p->shape);
        if (p->kind == NET_CONST) continue;
        struct weights_array *x = &v[(*n)++];
        *x = (struct weights_array){.name = arena_strdup(a, p->name),
                                    .dtype = p->kind == NET_COUNT ? WEIGHTS_I64 : WEIGHTS_F32,
                                    .rank = p->shape.rank};
        memcpy(x->shape, p->shape.d, sizeof p->shape.d);
        x->bytes = numel * weights_dtype_size(x->dtype);
        float *data = arena_alloc(a, x->bytes + 1);
        for (size_t k = 0; k < numel && p->kind != NET_COUNT; k++) data[k] = (float)((k + 31 * *n) % 97) / 97;
        x->data = data;
    }
    return v;
}

static struct weights_array *encoder_arrays(size_t *n, struct arena *a, const char *backbone)
{
    struct net *net;
    TEST_OK(zoo_encoder(&net, backbone));
    struct weights_array *v = arrays_of(n, a, net);
    net_free(net);
    return v;
}

static void save(const char *dir, const char *file, const struct weights_array *v, size_t n)
{
    struct arena a = {0};
    const char *path = fs_join(&a, dir, file);
    if (strstr(file, ".pth") || strstr(file, ".ckpt"))
        TEST_OK(weights_save_pth(path, v, n));
    else
        TEST_OK(weights_save(path, v, n, NULL));
    arena_free(&a);
}

static const float zeros[4] = {0};

static struct weights_array extra(const char *name)
{
    return (struct weights_array){
        .name = name, .dtype = WEIGHTS_F32, .rank = 1, .shape = {4}, .data = zeros, .bytes = sizeof zeros};
}

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

static void check_refused(const char *dir, const char *args, const char *says, const char *more)
{
    struct answer a = sweep_in(dir, args);
    bool right = a.code == 2 && strstr(a.err, says) && (!more || strstr(a.err, more));
    if (!right) fprintf(stderr, "sweep %s: %d\n%s\n%s\n", args, a.code, a.out, a.err);
    CU_ASSERT_TRUE(right);
    CU_ASSERT_STRING_EQUAL(a.out, ""); /* stdout is data */
    answer_free(&a);
}

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

/* ---- ls, and files twice ----------------------------------------------------------------------------------------- */

static const json_t *row_of(const json_t *rows, const char *backbone)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) if (strcmp(json_str(row, "backbone", ""), backbone) == 0) return row;
    return NULL;
}

static void weights_ls__says_what_is_wanted_and_what_is_here(void)
{
    struct arena a = {0};
    size_t n, wanted = 0, i;
    const char *dir = arena_strdup(&a, test_dir());
    json_t *row, *rows = sweep_json_in(dir, "weights ls --json");
    json_array_foreach(rows, i, row)
    {
        wanted += json_is_false(json_object_get(row, "here"));
        CU_ASSERT_TRUE(strlen(json_str(row, "published", "")) > 0 && strlen(json_str(row, "source", "")) > 0);
        CU_ASSERT_EQUAL(json_array_size(json_object_get(row, "mean")), 3);
    }
    CU_ASSERT_TRUE(wanted >= 105 && wanted == json_array_size(rows));
    json_decref(rows);

    struct weights_array *v = encoder_arrays(&n, &a, "mobilenet_v2");
    save(dir, "a.pth", v, n);
    json_decref(sweep_json_in(dir, "weights import a.pth --json"));
    rows = sweep_json_in(dir, "weights ls --json");
    CU_ASSERT_TRUE(json_is_true(json_object_get(row_of(rows, "mobilenet_v2"), "here")));
    CU_ASSERT_TRUE(json_is_false(json_object_get(row_of(rows, "vgg16"), "here")));
    json_decref(rows);
    struct answer text = sweep_in(dir, "weights ls");
    CU_ASSERT_TRUE(text.code == 0 && strstr(text.out, "weights/vgg16.imagenet.safetensors"));
    answer_free(&text);

    rows = sweep_json_in(dir, "weights import a.pth --json"); /* the same file again */
    CU_ASSERT_STRING_EQUAL(json_str(json_array_get(rows, 0), "state", ""), "was here");
    json_decref(rows);
    v[n] = extra("classifier.1.weight");
    save(dir, "b.pth", v, n + 1); /* another file of the same backbone */
    check_refused(dir, "weights import b.pth", "is there, made of another file (a.pth)", "--tag");
    arena_free(&a);
}

/* ---- named in a configuration ------------------------------------------------------------------------------------ */

static void weights__in_a_configuration_are_a_file_a_folder_or_a_tag(void)
{
    static const char yaml[] = "name: w\ndata: {size: 64, pairs: 8}\n"
                               "model: {arch: unet, backbone: mobilenet_v2}\nloss: {network: mobilenet_v2}\n";
    static const char *const keys[] = {"model.weights", "loss.weights"};
    static const char *const here[] = {"a.pth",    "./a.pth", "weights",
                                       "imagenet", "mine",    "weights/mobilenet_v2.mine.safetensors"};
    static const struct {
        const char *value, *says, *more;
    } absent[] = {
        {"other", "weights/mobilenet_v2.other.safetensors", "published as smp-hub/mobilenet_v2.imagenet"},
        {"empty", "empty/mobilenet_v2.imagenet.safetensors", "sweep weights ls"},
        {"none.pth", "none.pth is not there", "give a path that exists"},
    };
    struct arena a = {0};
    size_t n;
    const char *dir = arena_strdup(&a, test_dir());
    TEST_OK(fs_write(fs_join(&a, dir, "w.yaml"), yaml, sizeof yaml - 1));
    TEST_OK(fs_mkdir(fs_join(&a, dir, "empty")));
    struct weights_array *v = encoder_arrays(&n, &a, "mobilenet_v2");
    save(dir, "a.pth", v, n);
    json_decref(sweep_json_in(dir, "weights import a.pth --json"));
    json_decref(sweep_json_in(dir, "weights import a.pth --tag mine --json"));
    for (size_t k = 0; k < LEN(keys); k++) {
        for (size_t i = 0; i < LEN(here); i++) {
            json_t *j = sweep_json_in(dir, arena_printf(&a, "plan w.yaml --set %s=%s --json", keys[k], here[i]));
            CU_ASSERT_EQUAL(json_int(json_object_get(j, "summary"), "run", -1), 1);
            json_decref(j);
        }
        for (size_t i = 0; i < LEN(absent); i++) {
            const char *args = arena_printf(&a, "plan w.yaml --set %s=%s", keys[k], absent[i].value);
            check_refused(dir, args, absent[i].says, absent[i].more);
            check_refused(dir, args, keys[k], NULL);
        }
    }
    arena_free(&a);
}

/* ---- export ------------------------------------------------------------------------------------------------------ */

/* A database with one trained trial, whose best checkpoint is the file, and one that is not trained. */
static void fill(const char *dir, const char *checkpoint)
{
    static const char *const ids[] = {"aaaa00000001", "bbbb00000002"};
    struct arena a = {0};
    struct store *s = NULL;
    TEST_OK(store_open(&s, (struct store_options){.path = fs_join(&a, dir, "results/sweep.db"), .command = "test"}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    json_t *config = json_pack("{s:s, s:s, s:b, s:s}", "model.arch", "unet", "model.backbone",
                               "mobilenetv3_small_minimal_100", "model.output.residual", 1, "evaluate.weights", "best");
    json_t *event = json_pack("{s:s, s:s, s:s}", "ev", "artifact", "kind", "best", "path", checkpoint);
    TEST_OK(store_begin(s));
    for (size_t i = 0; i < LEN(ids); i++) {
        struct store_stage g = {.key = ids[i], .trial = ids[i], .stage = "train", .format = "", .device = ""};
        TEST_OK(store_put_trial(s, &(struct store_trial){.id = ids[i],
                                                         .arch = "unet",
                                                         .backbone = "mobilenetv3_small_minimal_100",
                                                         .loss_key = "l",
                                                         .height = 64,
                                                         .width = 64,
                                                         .config = config}));
        TEST_OK(store_stage_start(s, &g));
        if (i == 0) TEST_OK(store_event(s, &g, event));
        TEST_OK(store_stage_end(s, g.key, "done", NULL, 1, 0));
        TEST_OK(store_set_trial(s, ids[i], i ? "queued" : "done", NULL));
    }
    TEST_OK(store_commit(s));
    json_decref(config);
    json_decref(event);
    store_close(s);
    arena_free(&a);
}

static void weights_export__writes_a_state_dict(void)
{
    struct arena a = {0};
    struct net *net;
    size_t n;
    const char *dir = arena_strdup(&a, test_dir());
    struct zoo_model m = {.arch = "unet", .backbone = "mobilenetv3_small_minimal_100", .height = 64, .width = 64};
    TEST_OK(zoo_build(&net, &m));
    struct weights_array *v = arrays_of(&n, &a, net);
    net_free(net);
    v[n] = extra("state/optim.0"); /* what continuing needs is no part of the model */
    save(dir, "best.safetensors", v, n + 1);
    fill(dir, fs_join(&a, dir, "best.safetensors"));

    json_t *j = sweep_json_in(dir, "weights export aaaa --format smp --json");
    CU_ASSERT_STRING_EQUAL(json_str(j, "path", ""), "aaaa00000001.smp.safetensors");
    json_decref(j);
    struct answer text = sweep_in(dir, "weights export aaaa --out deep.pth");
    CU_ASSERT_STRING_EQUAL(text.out, "deep.pth\n");
    CU_ASSERT_PTR_NOT_NULL(strstr(text.err, "add the input yourself")); /* the trial is residual */
    answer_free(&text);
    static const char *const files[] = {"aaaa00000001.smp.safetensors", "deep.pth"};
    for (size_t f = 0; f < LEN(files); f++) {
        struct weights w = {0};
        TEST_OK(weights_load(&w, fs_join(&a, dir, files[f])));
        CU_ASSERT_EQUAL(w.n, n);
        for (size_t i = 0; i < n; i++) {
            const struct weights_array *got = weights_find(&w, v[i].name);
            CU_ASSERT_TRUE(got && got->bytes == v[i].bytes && !memcmp(got->data, v[i].data, got->bytes));
        }
        if (f == 0)
            CU_ASSERT_STRING_EQUAL(json_str(w.meta, "encoder_name", ""), zoo_backbone_info(m.backbone)->reference);
        weights_free(&w);
    }
    json_decref(sweep_json_in(dir, "weights import deep.pth --json")); /* and it is a file like any other */
    check_refused(dir, "weights export bbbb", "is not trained yet", NULL);
    check_refused(dir, "weights export cccc", "not in the database", NULL);
    check_refused(dir, "weights export aaaa --format onnx", "expected smp", "sweep export");
    check_refused(dir, "weights export", "expected one trial", NULL);
    arena_free(&a);
}

static const struct test tests[] = {
    TEST(weights_import__takes_each_project_s_names),
    TEST(weights_import__takes_the_encoder_of_a_model),
    TEST(weights_import__refuses_malformed_files),
    TEST(weights_import__refuses_what_does_not_fit),
    TEST(weights_ls__says_what_is_wanted_and_what_is_here),
    TEST(weights__in_a_configuration_are_a_file_a_folder_or_a_tag),
    TEST(weights_export__writes_a_state_dict),
};
TEST_MAIN("cli.weights", tests)
