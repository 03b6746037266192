/* The typed trial: defaults, both ways of JSON, and which stages a changed key runs again. */
#include "spec.h"
#include "test.h"

static json_t *defaults(void)
{
    struct spec_trial t;
    struct arena a = {0};
    TEST_OK(spec_trial_from_json(&t, &a, NULL, ""));
    json_t *j = spec_trial_to_json(&t, SPEC_ALL);
    arena_free(&a);
    return j;
}

static void spec_trial__defaults(void)
{
    struct arena a = {0};
    struct spec_trial t;
    TEST_OK(spec_trial_from_json(&t, &a, NULL, ""));
    CU_ASSERT_STRING_EQUAL(t.data.root, "synthetic");
    CU_ASSERT_EQUAL(t.data.size[0], 256);
    CU_ASSERT_EQUAL(t.data.size[1], 256);
    CU_ASSERT_STRING_EQUAL(t.model.weights, "random");
    CU_ASSERT_PTR_NULL(t.model.attention);
    CU_ASSERT_PTR_NULL(t.loss.weights);
    CU_ASSERT_EQUAL(t.loss.gram_weights.n, 4);
    CU_ASSERT_EQUAL(t.loss.gram_weights.v[2], 2);
    CU_ASSERT_EQUAL(t.export_formats.n, 1);
    CU_ASSERT_STRING_EQUAL(t.export_formats.v[0], "onnx");
    CU_ASSERT_STRING_EQUAL(t.devices.v[0], "cpu");
    CU_ASSERT_EQUAL(t.bench.threads.n, 2);
    CU_ASSERT_FALSE(t.bench.io_image);
    CU_ASSERT_TRUE(t.train.channels_last);
    CU_ASSERT_EQUAL(t.model.dropout, 0);
    CU_ASSERT_EQUAL(t.n_augment, 0);
    arena_free(&a);
}

static void spec_trial__every_value_arrives(void)
{
    static const char text[] =
        "{\"data.split.train\":\"t.txt\",\"data.split.val\":\"v.txt\",\"data.size\":[64,96],\"model.dropout\":0,"
        "\"model.channels\":[256,128],\"export.io\":\"image\",\"seed\":9007199254740991,"
        "\"augment\":[{\"affine\":{\"rotate\":15,\"scale\":[0.9,1.1]}},{\"color\":{\"both\":true,\"hue\":0.1}},"
        "\"flip\"]}";
    struct arena a = {0};
    struct spec_trial t;
    json_t *j;
    TEST_OK(json_parse(&j, "text", text, strlen(text)));
    TEST_OK(spec_trial_from_json(&t, &a, j, ""));
    CU_ASSERT_STRING_EQUAL(t.data.split_train, "t.txt");
    CU_ASSERT_STRING_EQUAL(t.data.split_val_list, "v.txt");
    CU_ASSERT_EQUAL(t.data.size[0], 64);
    CU_ASSERT_EQUAL(t.data.size[1], 96);
    CU_ASSERT_TRUE(t.model.dropout < 0); /* none, where 0 would be the architecture's own */
    CU_ASSERT_EQUAL(t.model.channels.n, 2);
    CU_ASSERT_TRUE(t.bench.io_image);
    CU_ASSERT_EQUAL(t.seed, 9007199254740991);
    CU_ASSERT_EQUAL(t.n_augment, 3);
    CU_ASSERT_EQUAL(t.augment[0].kind, SPEC_AFFINE);
    CU_ASSERT_EQUAL(t.augment[0].p, 1);
    CU_ASSERT_EQUAL(t.augment[0].rotate, 15);
    CU_ASSERT_EQUAL(t.augment[0].scale[0], 0.9);
    CU_ASSERT_EQUAL(t.augment[0].translate, 0);
    CU_ASSERT_EQUAL(t.augment[1].kind, SPEC_COLOR);
    CU_ASSERT_TRUE(t.augment[1].both);
    CU_ASSERT_EQUAL(t.augment[1].hue, 0.1);
    CU_ASSERT_EQUAL(t.augment[2].kind, SPEC_FLIP);
    CU_ASSERT_EQUAL(t.augment[2].p, 0.5);

    json_t *flat = spec_trial_to_json(&t, SPEC_ALL), *twice;
    struct spec_trial again;
    TEST_OK(spec_trial_from_json(&again, &a, flat, ""));
    twice = spec_trial_to_json(&again, 0);
    CU_ASSERT_TRUE(json_equal(flat, twice));
    json_decref(j);
    json_decref(flat);
    json_decref(twice);
    arena_free(&a);
}

static void spec_trial__refuses_by_key(void)
{
    static const struct {
        const char *text, *part;
    } w[] = {
        {"{\"train.lr\":-1}", "job: train.lr: got -1, expected a number above 0"},
        {"{\"train.lrr\":1}", "job: train.lrr: no such key; did you mean train.lr?"},
        {"{\"train\":{\"lr\":1}}", "job: train: no such key"}, /* flat means flat */
        {"{\"loss.gram_weights\":[1]}", "job: loss.gram_weights: got 1 weights, expected 4"},
        {"{\"data.root\":null}", "job: data.root: got nothing, expected a text"},
    };
    for (size_t i = 0; i < LEN(w); i++) {
        struct arena a = {0};
        struct spec_trial t;
        json_t *j;
        TEST_OK(json_parse(&j, "text", w[i].text, strlen(w[i].text)));
        TEST_FAILS(spec_trial_from_json(&t, &a, j, "job"), STATUS_ARG, w[i].part);
        json_decref(j);
        arena_free(&a);
    }
}

static void spec_trial__one_value_checked(void)
{
    json_t *v = json_integer(1), *out;
    TEST_OK(spec_check_value(&out, "train.lr", v, "--where"));
    CU_ASSERT_TRUE(json_is_real(out)); /* 1 and 1.0 are one value, also to a hash */
    json_decref(out);
    TEST_OK(spec_check_value(&out, "lr", v, "--where"));
    json_decref(out);
    TEST_FAILS(spec_check_value(&out, "train.lrr", v, "--where"), STATUS_ARG, "--where: train.lrr: no such key");
    TEST_FAILS(spec_check_value(&out, "data.root", v, "--where"), STATUS_ARG,
               "--where: data.root: got 1, expected a text");
    json_decref(v);
}

/* Another valid value of a key than its default; NULL: there is none. */
static json_t *other_value(const char *key, const json_t *def)
{
    static const char *const words[] = {"fpn",  "last",   "torch",   "image",   "quick",  "psnr",
                                        "scse", "add",    "nearest", "sigmoid", "sgd",    "cosine",
                                        "fp32", "median", "best",    "off",     "entropy"};
    json_t *tries[32] = {json_true(),
                         json_false(),
                         json_pack("[f,f,f,f]", 4.0, 3.0, 2.0, 1.0),
                         json_pack("[i]", 3),
                         json_pack("[s]", "torch"),
                         json_array(),
                         json_pack("[s]", "flip"),
                         json_real(0.03125),
                         json_integer(16),
                         json_integer(4),
                         json_integer(32)};
    json_t *found = NULL;
    size_t n = 11;
    for (size_t i = 0; i < LEN(words); i++) tries[n++] = json_string(words[i]);
    for (size_t i = 0; i < n; i++) {
        json_t *v = NULL;
        struct status s = spec_check_value(&v, key, tries[i], "");
        if (!found && s.code == STATUS_OK && !json_equal(v, def)) found = json_incref(v);
        json_decref(v);
        json_decref(tries[i]);
    }
    return found;
}

static bool names_stage(const json_t *row, const char *stage)
{
    const json_t *stages = json_object_get(row, "stages");
    for (size_t i = 0; i < json_array_size(stages); i++) {
        if (strcmp(json_string_value(json_array_get(stages, i)), stage) == 0) return true;
    }
    return false;
}

static void spec_trial__a_key_changes_the_stages_of_its_row_and_no_other(void)
{
    static const struct {
        unsigned bit;
        const char *name;
    } stages[] = {{SPEC_SCREEN, "screen"},     {SPEC_TRAIN, "train"},
                  {SPEC_EVALUATE, "evaluate"}, {SPEC_EXPORT, "export"},
                  {SPEC_VERIFY, "verify"},     {SPEC_BENCH, "bench"},
                  {SPEC_SAMPLES, "samples"},   {SPEC_QUANTISE, "export in 8 bits"}};
    json_t *rows = spec_keys_json(), *def = defaults();
    size_t changed = 0, n = json_array_size(rows);
    CU_ASSERT_EQUAL(n, json_object_size(def));
    for (size_t i = 0; i < n; i++) {
        struct arena a = {0};
        struct spec_trial before, after;
        json_t *row = json_array_get(rows, i);
        const char *key = json_str(row, "key", "");
        json_t *value = other_value(key, json_object_get(row, "default"));
        CU_ASSERT_PTR_NOT_NULL_FATAL(value);
        json_t *flat = json_pack("{s:O}", key, value);
        if (strcmp(key, "data.split.train") == 0) json_object_set_new(flat, "data.split.val", json_string("v.txt"));
        TEST_OK(spec_trial_from_json(&after, &a, flat, key));
        json_object_del(flat, key);
        TEST_OK(spec_trial_from_json(&before, &a, flat, key));
        for (size_t s = 0; s < LEN(stages); s++) {
            json_t *x = spec_trial_to_json(&before, stages[s].bit), *y = spec_trial_to_json(&after, stages[s].bit);
            bool differs = !json_equal(x, y);
            if (differs != names_stage(row, stages[s].name)) fprintf(stderr, "\n%s: %s\n", key, stages[s].name);
            CU_ASSERT_EQUAL(differs, names_stage(row, stages[s].name));
            json_decref(x);
            json_decref(y);
        }
        changed++;
        json_decref(value);
        json_decref(flat);
        arena_free(&a);
    }
    CU_ASSERT_EQUAL(changed, n);
    json_decref(rows);
    json_decref(def);
}

/* What the table is for, said once more by hand: the promises to a user about what runs again. */
static void spec_trial__what_runs_again(void)
{
    static const struct {
        const char *key;
        unsigned stages;
    } want[] = {
        {"seed", SPEC_TRAIN},
        {"augment", SPEC_TRAIN},
        {"loss.gram_weights", SPEC_TRAIN},
        {"train.lr", SPEC_TRAIN},
        {"train.threads", 0},
        {"train.checkpoint_every", 0},
        {"train.checkpoint_s", 0},
        {"train.validate_every", SPEC_TRAIN},
        {"evaluate.rank", 0},
        {"prune.rule", 0}, /* whether a training is stopped is no part of what it trains */
        {"prune.min_epochs", 0},
        {"limits.memory_mib", 0},
        {"export.formats", 0},
        {"devices", 0},
        {"model.arch", SPEC_TRAIN | SPEC_SCREEN},
        {"model.backbone", SPEC_TRAIN | SPEC_SCREEN},
        {"data.size", SPEC_TRAIN | SPEC_SCREEN},
        {"model.weights", SPEC_TRAIN},
        {"export.io", SPEC_EXPORT | SPEC_SCREEN},
        {"bench.threads", SPEC_BENCH},
        {"samples", SPEC_SAMPLES},
    };
    struct arena a = {0};
    struct spec_trial t;
    TEST_OK(spec_trial_from_json(&t, &a, NULL, ""));
    for (size_t i = 0; i < LEN(want); i++) {
        for (unsigned bit = SPEC_SCREEN; bit <= SPEC_SAMPLES; bit <<= 1) {
            json_t *j = spec_trial_to_json(&t, bit);
            CU_ASSERT_EQUAL(json_object_get(j, want[i].key) != NULL, (want[i].stages & bit) != 0);
            json_decref(j);
        }
    }
    arena_free(&a);
}

static void spec_trial__documents_name_every_key(void)
{
    struct str md = {0};
    json_t *def = defaults();
    const char *key;
    json_t *v;
    spec_keys_markdown(&md);
    json_object_foreach(def, key, v)
    {
        char row[80];
        snprintf(row, sizeof row, "| `%s` | `", key);
        CU_ASSERT_PTR_NOT_NULL(strstr(md.s, row));
    }
    CU_ASSERT_PTR_NOT_NULL(strstr(md.s, "| `train.lr` | `0.001` | a number above 0 and at most 10 |"));
    CU_ASSERT_PTR_NOT_NULL(strstr(md.s, "| `axes` |"));
    CU_ASSERT_PTR_NOT_NULL(strstr(md.s, "- `affine`: "));
    json_decref(def);
    str_free(&md);
}

static void spec_trial__tables_of_names_end(void)
{
    int n = 0;
    for (const struct spec_metric *m = spec_metrics; m->name; m++) n += m->axis_free && m->doc;
    CU_ASSERT_EQUAL(n, 7);
    CU_ASSERT_TRUE(spec_judged("kid") && !spec_judged("ssim") && !spec_judged("val_loss.pixel"));
    CU_ASSERT_TRUE(spec_formats[0].built);
    for (const struct spec_format *f = spec_formats; f->name; f++) CU_ASSERT_PTR_NOT_NULL(f->extension);
    for (const struct spec_device *d = spec_devices; d->name; d++) CU_ASSERT_TRUE(d->built);
}

static void spec_trial__ten_thousand_in_a_moment(void)
{
    struct arena a = {0};
    struct spec_trial t;
    json_t *flat = json_pack("{s:s,s:s,s:i}", "model.arch", "unet", "model.backbone", "resnet18", "seed", 1);
    double start = time_mono();
    for (int i = 0; i < 10000; i++) {
        TEST_OK(spec_trial_from_json(&t, &a, flat, ""));
        json_decref(spec_trial_to_json(&t, SPEC_TRAIN));
    }
    double seconds = time_mono() - start;
    printf("(10000 trials: %.2f s) ", seconds);
    CU_ASSERT_TRUE(seconds < 5); /* 0.1 s by itself; sanitizers and busy machines take longer */
    json_decref(flat);
    arena_free(&a);
}

static const struct test tests[] = {
    TEST(spec_trial__defaults),
    TEST(spec_trial__every_value_arrives),
    TEST(spec_trial__refuses_by_key),
    TEST(spec_trial__one_value_checked),
    TEST(spec_trial__a_key_changes_the_stages_of_its_row_and_no_other),
    TEST(spec_trial__what_runs_again),
    TEST(spec_trial__documents_name_every_key),
    TEST(spec_trial__tables_of_names_end),
    TEST(spec_trial__ten_thousand_in_a_moment),
};
TEST_MAIN("spec.trial", tests)
