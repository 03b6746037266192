/* Layers, axes, zip and rules: what an experiment means once it is known to be right. */
#include "spec.h"
#include "test.h"

static struct spec *parse(const char *text)
{
    struct spec *s;
    TEST_OK(spec_parse(&s, "dir/f.yaml", text, strlen(text)));
    if (!s) abort();
    return s;
}

/* An axis as one line: KEY=VALUE|VALUE. */
static const char *axis_str(struct arena *a, const struct spec_axis *x)
{
    char *out = arena_printf(a, "%s=", x->key);
    for (int i = 0; i < x->n; i++) {
        char *v = json_canonical(x->values[i].value);
        out = arena_printf(a, "%s%s%s", out, i ? "|" : "", v);
        free(v);
    }
    return out;
}

static void same(const char *got, const char *want)
{
    if (strcmp(got, want) != 0) fprintf(stderr, "\ngot:  %s\nwant: %s\n", got, want);
    CU_ASSERT_STRING_EQUAL(got, want);
}

static void base_is(const struct spec *s, const char *want)
{
    char *got = json_canonical(s->base);
    same(got, want);
    free(got);
}

static void spec_load__nested_and_dotted_keys_are_one(void)
{
    struct spec *a = parse("model: {arch: fpn, output: {residual: true}}\nexport: [onnx]\n");
    struct spec *b = parse("model.arch: fpn\nmodel: {output.residual: true}\nexport: {formats: [onnx]}\ndata:\n");
    char *text = json_canonical(a->base);
    base_is(b, text);
    base_is(a, "{\"export.formats\":[\"onnx\"],\"model.arch\":\"fpn\",\"model.output.residual\":true}");
    same(a->name, "f");
    free(text);
    spec_free(a);
    spec_free(b);
}

static void spec_load__a_thousand_has_many_spellings(void)
{
    struct spec *s = parse("train: {epochs: 1e3, batch: 8.0}\nseed: 2E2\n");
    base_is(s, "{\"seed\":200,\"train.batch\":8,\"train.epochs\":1000}");
    spec_free(s);
}

static void spec_load__remembers_places(void)
{
    struct spec *s = parse("seed: 4\nmodel:\n  backbone: vgg16\naxes:\n  model.arch: [unet,\n    fpn]\n");
    struct spec_mark m = spec_mark_of(s, "model.backbone");
    CU_ASSERT_EQUAL(m.line, 3);
    CU_ASSERT_EQUAL(m.column, 13);
    same(spec_mark_str(&s->arena, s->axes[0].values[1].mark), "dir/f.yaml:6:5");
    same(spec_mark_str(&s->arena, spec_mark_of(s, "train.lr")), "dir/f.yaml");
    spec_free(s);
}

static void spec_load__extends_and_set(void)
{
    static const char parent[] =
        "name: parent\ntrain: {epochs: 9, batch: 2}\naxes: {seed: [1, 2], model.arch: [unet]}\n"
        "exclude: [{seed: 1}]\nzip: {train.lr: [0.1, 0.2]}\n";
    static const char child[] = "train.epochs: 5\nextends: ../parent.yaml\naxes: {arch: [fpn, pspnet]}\n";
    static const char *const sets[] = {"axes.backbone=[resnet18, 'vgg*']", "train.batch=4", "train.batch=6", "seed=7",
                                       "train.lr=1e-2"};
    struct arena a = {0};
    const char *dir = test_dir();
    TEST_OK(fs_mkdir(fs_join(&a, dir, "sub")));
    TEST_OK(fs_write(fs_join(&a, dir, "parent.yaml"), parent, strlen(parent)));
    TEST_OK(fs_write(fs_join(&a, dir, "sub/child.one.yaml"), child, strlen(child)));
    struct spec *s;
    TEST_OK(spec_load(&s, fs_join(&a, dir, "sub/child.one.yaml"), NULL, 0));
    same(s->name, "child-one");
    base_is(s, "{\"train.batch\":2,\"train.epochs\":5}");
    CU_ASSERT_EQUAL(s->n_axes, 2);
    same(axis_str(&a, &s->axes[0]), "seed=1|2");
    same(axis_str(&a, &s->axes[1]), "model.arch=\"fpn\"|\"pspnet\"");
    CU_ASSERT_EQUAL(s->n_zips, 1);
    CU_ASSERT_EQUAL(s->n_rules, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(spec_mark_of(s, "train.batch").file, "parent.yaml"));
    spec_free(s);

    TEST_OK(spec_load(&s, fs_join(&a, dir, "sub/child.one.yaml"), sets, LEN(sets)));
    base_is(s, "{\"seed\":7,\"train.batch\":6,\"train.epochs\":5,\"train.lr\":0.01}");
    CU_ASSERT_EQUAL(s->n_axes, 2); /* seed is fixed now */
    same(axis_str(&a, &s->axes[0]), "model.arch=\"fpn\"|\"pspnet\"");
    same(axis_str(&a, &s->axes[1]), "model.backbone=\"resnet18\"|\"vgg*\"");
    same(axis_str(&a, &s->zips[0]), "train.lr={}|{}");
    same(spec_mark_str(&a, spec_mark_of(s, "seed")), "--set seed=7");
    spec_free(s);
    arena_free(&a);
}

static void spec_load__extends_several_files(void)
{
    static const char one[] = "seed: 1\ntrain.epochs: 1\n", two[] = "seed: 2\n",
                      both[] = "extends: [one.yaml, two.yaml]\n";
    struct arena a = {0};
    const char *dir = test_dir();
    struct spec *s;
    TEST_OK(fs_write(fs_join(&a, dir, "one.yaml"), one, strlen(one)));
    TEST_OK(fs_write(fs_join(&a, dir, "two.yaml"), two, strlen(two)));
    TEST_OK(fs_write(fs_join(&a, dir, "both.yaml"), both, strlen(both)));
    TEST_OK(spec_load(&s, fs_join(&a, dir, "both.yaml"), NULL, 0));
    base_is(s, "{\"seed\":2,\"train.epochs\":1}");
    spec_free(s);
    arena_free(&a);
}

static void spec_load__axes(void)
{
    static const struct {
        const char *text, *axis;
    } t[] = {
        {"axes: {model.backbone: ['regnet*', vgg16]}", "model.backbone=\"regnet*\"|\"vgg16\""},
        {"axes: {backbone: [vgg16]}", "model.backbone=\"vgg16\""},
        {"axes: {model: {backbone: [vgg16]}}", "model.backbone=\"vgg16\""},
        {"axes.seed: [0, 1]", "seed=0|1"},
        {"axes: {export: [[onnx], []]}", "export.formats=[\"onnx\"]|[]"},
        {"axes: {data.size: [64, [64, 96]]}", "data.size=[64,64]|[64,96]"},
        {"axes: {loss.gram_weights: [[0, 0, 0, 0], [0.5, 1, 2, 1]]}",
         "loss.gram_weights=[0.0,0.0,0.0,0.0]|[0.5,1.0,2.0,1.0]"},
        {"axes: {train.lr: {log: [0.001, 0.1, 3]}}", "train.lr=0.001|0.01|0.10000000000000001"},
        {"axes: {train.lr: {linspace: [0.25, 0.75, 3]}}", "train.lr=0.25|0.5|0.75"},
        {"axes: {seed: {range: [0, 3, 1]}}", "seed=0|1|2|3"},
        {"axes: {train.epochs: {log: [1, 4, 5]}}", "train.epochs=1|2|3|4"}, /* 1, 1.41, 2, 2.83, 4: each once */
        {"axes: {train.warmup: {range: [0, 0.3, 0.1]}}",
         "train.warmup=0.0|0.10000000000000001|0.20000000000000001|0.29999999999999999"},
        {"axes: {how: [{model.arch: fpn, train.lr: 1}, {model: {arch: unet}}]}",
         "how={\"model.arch\":\"fpn\",\"train.lr\":1.0}|{\"model.arch\":\"unet\"}"},
        {"axes: {data.split: [{val: 0.5, seed: 1}, {val: v.txt}]}",
         "data.split={\"data.split.seed\":1,\"data.split.val\":0.5}|{\"data.split.val\":\"v.txt\"}"},
        {"axes: {augment: [[], [flip]]}", "augment=[]|[{\"flip\":{\"p\":0.5}}]"},
    };
    for (size_t i = 0; i < LEN(t); i++) {
        struct spec *s = parse(t[i].text);
        CU_ASSERT_EQUAL(s->n_axes, 1);
        same(axis_str(&s->arena, &s->axes[0]), t[i].axis);
        spec_free(s);
    }
}

static void spec_load__zip_groups_advance_together(void)
{
    struct spec *s = parse(
        "zip:\n  - {arch: [unet, 'f*'], train: {lr: [0.25, 0.5]}}\n  - {seed: [1, 2, 3]}\naxes: {train.batch: [1]}\n");
    CU_ASSERT_EQUAL(s->n_zips, 2);
    CU_ASSERT_EQUAL(s->n_axes, 1);
    same(axis_str(&s->arena, &s->zips[0]),
         "model.arch+train.lr={\"model.arch\":\"unet\",\"train.lr\":0.25}|{\"model.arch\":"
         "\"f*\",\"train.lr\":0.5}");
    same(axis_str(&s->arena, &s->zips[1]), "seed={\"seed\":1}|{\"seed\":2}|{\"seed\":3}");
    spec_free(s);
}

static bool keeps(const char *rules, const char *arch, const char *backbone, int epochs)
{
    struct spec *s = parse(rules);
    struct spec_trial t;
    json_t *flat = json_pack("{s:s,s:s,s:i}", "model.arch", arch, "model.backbone", backbone, "train.epochs", epochs);
    TEST_OK(spec_trial_from_json(&t, &s->arena, flat, ""));
    json_t *all = spec_trial_to_json(&t, SPEC_ALL);
    bool out = spec_dropped_by(s, &(struct spec_cell){{all}}) < 0;
    json_decref(flat);
    json_decref(all);
    spec_free(s);
    return out;
}

static void spec_load__rules_decide_which_cells_run(void)
{
    static const char no_vgg[] = "exclude: [{model.arch: deeplabv3, model.backbone: 'vgg*'}, {train.epochs: [3, 4]}]\n";
    CU_ASSERT_FALSE(keeps(no_vgg, "deeplabv3", "vgg16", 1));
    CU_ASSERT_TRUE(keeps(no_vgg, "unet", "vgg16", 1));
    CU_ASSERT_TRUE(keeps(no_vgg, "deeplabv3", "resnet18", 1));
    CU_ASSERT_FALSE(keeps(no_vgg, "unet", "resnet18", 4));
    static const char some[] =
        "include: [{arch: [unet, 'f*']}, {backbone: vgg11}]\nexclude: {arch: fpn, backbone: vgg11}\n";
    CU_ASSERT_TRUE(keeps(some, "unet", "x", 1));
    CU_ASSERT_TRUE(keeps(some, "fpn", "x", 1));
    CU_ASSERT_TRUE(keeps(some, "pan", "vgg11", 1));
    CU_ASSERT_FALSE(keeps(some, "pan", "x", 1));
    CU_ASSERT_FALSE(keeps(some, "fpn", "vgg11", 1));
    CU_ASSERT_FALSE(keeps("exclude: {data.size: 256}", "unet", "x", 1));       /* a default counts as the value it is */
    CU_ASSERT_TRUE(keeps("exclude: {data.size: [128, 256]}", "unet", "x", 1)); /* height and width, no alternatives */
}

static void spec_load__committed_experiments(void)
{
    static const char *const folders[] = {"configs", "sweeps"};
    struct arena a = {0};
    int n = 0;
    for (size_t f = 0; f < LEN(folders); f++) {
        char **names;
        size_t count;
        const char *dir = fs_join(&a, test_source_dir(), folders[f]);
        TEST_OK(fs_list(&names, &count, &a, dir));
        for (size_t i = 0; i < count; i++, n++) {
            struct spec *s;
            struct spec_trial t;
            TEST_OK(spec_load(&s, fs_join(&a, dir, names[i]), NULL, 0));
            TEST_OK(spec_trial_from_json(&t, &a, s->base, names[i]));
            same(arena_printf(&a, "%s.yaml", s->name), names[i]);
            CU_ASSERT_TRUE(t.train.epochs <= 25);
            same(t.data.root, "synthetic"); /* runs with only the repository */
            spec_free(s);
        }
    }
    CU_ASSERT_TRUE(n >= 4);
    arena_free(&a);
}

static const struct test tests[] = {
    TEST(spec_load__nested_and_dotted_keys_are_one),
    TEST(spec_load__a_thousand_has_many_spellings),
    TEST(spec_load__remembers_places),
    TEST(spec_load__extends_and_set),
    TEST(spec_load__extends_several_files),
    TEST(spec_load__axes),
    TEST(spec_load__zip_groups_advance_together),
    TEST(spec_load__rules_decide_which_cells_run),
    TEST(spec_load__committed_experiments),
};
TEST_MAIN("spec.load", tests)
