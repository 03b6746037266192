/* sweep weights: what is wanted and what is here, weights named in a configuration, trained models out. */
#include "store.h"
#include "stored.h"

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
    CU_ASSERT_STRING_EQUAL(json_str(j, "model", ""),
                           "smp.create_model(\"unet\", encoder_name=\"tu-tf_mobilenetv3_small_minimal_100\", "
                           "encoder_weights=None, in_channels=3, classes=3)");
    json_decref(j);
    j = sweep_json_in(dir, "weights export aaaa --json --out 'a\"b.safetensors'"); /* a quote, and no UTF-8 */
    CU_ASSERT_STRING_EQUAL(json_str(j, "path", ""), "a\"b.safetensors");
    json_decref(j);
    j = sweep_json_in(dir, "weights export aaaa --json --out 'a\xff.safetensors'");
    CU_ASSERT_STRING_EQUAL(json_str(j, "path", ""), "a\xef\xbf\xbd.safetensors");
    json_decref(j);
    struct answer text = sweep_in(dir, "weights export aaaa --out deep.pth");
    CU_ASSERT_STRING_EQUAL(text.out, "deep.pth\n");
    CU_ASSERT_PTR_NOT_NULL(strstr(text.err, "add the input yourself")); /* the trial is residual */
    CU_ASSERT_PTR_NOT_NULL(strstr(text.err, "it fits smp.create_model(\"unet\""));
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
    TEST(weights_ls__says_what_is_wanted_and_what_is_here),
    TEST(weights__in_a_configuration_are_a_file_a_folder_or_a_tag),
    TEST(weights_export__writes_a_state_dict),
};
TEST_MAIN("cli.weights", tests)
