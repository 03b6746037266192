/* Conditions, samples and seeds as a file says them, and every way to say them wrong. */
#include "spec.h"
#include "test.h"

static struct spec *parse(const char *text)
{
    struct spec *s = NULL;
    TEST_OK(spec_parse(&s, "f.yaml", text, strlen(text)));
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    return s;
}

static void spec_axes__when_is_a_match(void)
{
    struct spec *s =
        parse("axes:\n"
              "  model.attention: {values: [null, scse], when: {arch: unet}}\n"
              "  how: {values: [{train.lr: 1}, {train.lr: 2}], when: {model: {backbone: ['vgg*', resnet18]}}}\n"
              "  train.batch: {range: [2, 8, 2], when: {data.size: 64}}\n"
              "  model.arch: [unet, fpn]\n"
              "zip: {when: {model.arch: fpn}, seed: [1, 2], train.epochs: [3, 4]}\n");
    static const struct {
        const char *key, *when;
        int n;
    } want[] = {{"how", "{\"model.backbone\":[\"vgg*\",\"resnet18\"]}", 2},
                {"train.batch", "{\"data.size\":[64,64]}", 4},
                {"model.arch", NULL, 2},
                {"model.attention", "{\"model.arch\":\"unet\"}", 2}, /* after the axis that its condition names */
                {"seed+train.epochs", "{\"model.arch\":\"fpn\"}", 2}};
    CU_ASSERT_EQUAL_FATAL(s->n_order, (int)LEN(want));
    for (int i = 0; i < s->n_order; i++) {
        CU_ASSERT_STRING_EQUAL(s->order[i]->key, want[i].key);
        CU_ASSERT_EQUAL(s->order[i]->n, want[i].n);
        CU_ASSERT_EQUAL(s->order[i]->when == NULL, want[i].when == NULL);
        char *when = want[i].when ? json_canonical(s->order[i]->when) : NULL;
        if (when) CU_ASSERT_STRING_EQUAL(when, want[i].when);
        free(when);
    }
    spec_free(s);
}

static void spec_axes__a_conditional_axis_may_have_a_fixed_value_beside_it(void)
{
    struct spec *s = parse("model: {attention: scse}\naxes: {attention: {values: [null, scse], when: {arch: unet}}}\n");
    CU_ASSERT_EQUAL(s->n_axes, 1);
    CU_ASSERT_STRING_EQUAL(json_str(s->base, "model.attention", ""), "scse");
    spec_free(s);
}

static void spec_axes__seeds_are_an_axis(void)
{
    struct spec *s = parse("seeds: 3\naxes: {model.arch: [unet]}\n");
    CU_ASSERT_EQUAL_FATAL(s->n_axes, 2);
    CU_ASSERT_STRING_EQUAL(s->axes[0].key, "seed");
    CU_ASSERT_TRUE(s->axes[0].seeds);
    CU_ASSERT_EQUAL_FATAL(s->axes[0].n, 3);
    for (int i = 0; i < 3; i++) CU_ASSERT_EQUAL(json_integer_value(s->axes[0].values[i].value), i);
    spec_free(s);
    struct arena a = {0};
    const char *path = fs_join(&a, test_dir(), "s.yaml"), *fix = "seed=7", *more = "seeds=5";
    TEST_OK(fs_write(path, "seeds: 3\n", 9));
    TEST_OK(spec_load(&s, path, &fix, 1));
    CU_ASSERT_EQUAL(s->n_axes, 0);
    CU_ASSERT_EQUAL(json_int(s->base, "seed", 0), 7);
    spec_free(s);
    TEST_OK(spec_load(&s, path, &more, 1));
    CU_ASSERT_EQUAL_FATAL(s->n_axes, 1);
    CU_ASSERT_EQUAL(s->axes[0].n, 5);
    spec_free(s);
    arena_free(&a);
}

static void spec_axes__samples(void)
{
    static const struct {
        const char *text;
        int n, seed;
        enum spec_method method;
    } t[] = {
        {"sample: 200", 200, 0, SPEC_RANDOM},
        {"sample: {n: 20, seed: 4, method: sobol}", 20, 4, SPEC_SOBOL},
        {"sample.n: 5\nsample.method: sobol", 5, 0, SPEC_SOBOL},
        {"sample: ", 0, 0, SPEC_RANDOM},
        {"seed: 1", 0, 0, SPEC_RANDOM},
    };
    for (size_t i = 0; i < LEN(t); i++) {
        struct spec *s = parse(t[i].text);
        CU_ASSERT_EQUAL(s->sample.n, t[i].n);
        CU_ASSERT_EQUAL(s->sample.seed, t[i].seed);
        CU_ASSERT_EQUAL(s->sample.method, t[i].method);
        spec_free(s);
    }
    struct arena a = {0};
    struct spec *s;
    const char *path = fs_join(&a, test_dir(), "s.yaml"), *more = "sample.n=300", text[] = "sample: {n: 20, seed: 4}\n";
    TEST_OK(fs_write(path, text, strlen(text)));
    TEST_OK(spec_load(&s, path, &more, 1));
    CU_ASSERT_EQUAL(s->sample.n, 300);
    CU_ASSERT_EQUAL(s->sample.seed, 4);
    spec_free(s);
    arena_free(&a);
}

static void spec_axes__intervals_are_drawn_from(void)
{
    struct spec *s = parse("sample: 3\naxes: {train.lr: {log: [1.0e-4, 1.0e-2]}, train.ema: {linspace: [0.5, 0.9]}, "
                           "train.batch: {linspace: [2, 5]}, train.epochs: {log: [1, 100]}}\n");
    CU_ASSERT_EQUAL_FATAL(s->n_axes, 4);
    static const struct {
        int axis;
        double u, value;
    } t[] = {{0, 0, 1e-4}, {0, 0.5, 1e-3}, {0, 0.999999999, 1e-2}, {1, 0.25, 0.6}, {2, 0, 2},
             {2, 0.24, 2}, {2, 0.26, 3},   {2, 0.999, 5},          {3, 0.5, 10}};
    for (size_t i = 0; i < LEN(t); i++) {
        json_t *v = spec_axis_draw(&s->axes[t[i].axis], t[i].u);
        CU_ASSERT_DOUBLE_EQUAL(json_number_value(v), t[i].value, 1e-9);
        CU_ASSERT_EQUAL(json_is_integer(v), t[i].axis >= 2);
        json_decref(v);
    }
    spec_free(s);
}

static int dropped(const char *rules, const char *cell)
{
    struct spec *s = parse(rules);
    json_t *axes;
    TEST_OK(json_parse(&axes, "cell", cell, strlen(cell)));
    int rule = spec_dropped_by(s, &(struct spec_cell){{axes, s->base}});
    json_decref(axes);
    spec_free(s);
    return rule;
}

static void spec_axes__a_rule_with_when_is_silent_about_other_cells(void)
{
    /* In fpn only the vggs; other architectures as they are. */
    static const char only[] = "include: [{backbone: 'vgg*', when: {arch: fpn}}]\n";
    CU_ASSERT_EQUAL(dropped(only, "{\"model.arch\":\"fpn\",\"model.backbone\":\"vgg16\"}"), -1);
    CU_ASSERT_EQUAL(dropped(only, "{\"model.arch\":\"fpn\",\"model.backbone\":\"resnet18\"}"), 1);
    CU_ASSERT_EQUAL(dropped(only, "{\"model.arch\":\"unet\",\"model.backbone\":\"resnet18\"}"), -1);
    static const char two[] = "include: [{arch: unet}, {backbone: 'vgg*', when: {arch: fpn}}]\n"
                              "exclude: [{seed: 3, when: {arch: [unet, pan]}}]\n";
    CU_ASSERT_EQUAL(dropped(two, "{\"model.arch\":\"unet\",\"seed\":1}"), -1);
    CU_ASSERT_EQUAL(dropped(two, "{\"model.arch\":\"unet\",\"seed\":3}"), 2);
    CU_ASSERT_EQUAL(dropped(two, "{\"model.arch\":\"pan\",\"seed\":1}"), 3); /* the first include is about all */
    CU_ASSERT_EQUAL(dropped(two, "{\"model.arch\":\"fpn\",\"model.backbone\":\"vgg11\",\"seed\":3}"), -1);
    /* A fixed key counts as the cell's value. */
    CU_ASSERT_EQUAL(dropped("model: {arch: pan}\nexclude: [{arch: pan}]\n", "{\"seed\":1}"), 0);
}

static void spec_axes__wrong(void)
{
    static const struct {
        const char *text, *message;
    } w[] = {
        {"axes: {seed: {values: [1], when: {arc: unet}}}\n", "1:35: arc: no such key; did you mean model.arch?"},
        {"axes: {seed: {values: [1], when: 3}}\n", "1:34: when: got \"3\", expected a map of key: value"},
        {"axes: {seed: {values: [1], when: {}}}\n", "1:34: when: got an empty map, expected a map of key: value"},
        {"axes: {seed: {values: [1], whenn: {arch: unet}}}\n",
         "1:28: axes: seed: got \"whenn\", expected values, log, linspace or range, and when"},
        {"axes: {seed: {values: [1], range: [1, 2, 1]}}\n", "1:28: axes: seed: got range beside values; keep one"},
        {"axes: {seed: {values: 3}}\n", "1:23: seed: got \"3\", expected a list of alternatives, {log: ...}, "
                                        "{linspace: ...} or {range: ...}"},
        {"axes: {seed: {when: {arch: unet}}}\n", "1:14: seed: got a map, expected a list of alternatives, {log: ...}, "
                                                 "{linspace: ...} or {range: ...}"},
        {"axes: {seed: {values: [1], when: {seed: 1}}}\n",
         "1:14: seed: its `when` waits for itself: an axis whose condition comes back to it"},
        {"axes:\n  seed: {values: [1], when: {train.batch: 2}}\n  train.batch: {values: [2], when: {seed: 1}}\n",
         "2:9: seed: its `when` waits for itself: an axis whose condition comes back to it"},
        {"zip: [{when: {arch: unet}}]\n", "1:7: zip: got a map, expected a map of key: list"},
        {"exclude: [{when: {arch: unet}}]\n", "1:11: exclude: got a map, expected a key: value beside when"},
        {"include: [{seed: 1, when: {epochs: x}}]\n",
         "1:36: train.epochs: got \"x\", expected a whole number from 1 to 100000"},
        {"axes: {train.lr: {log: [0.1, 1]}}\n", "1:18: train.lr: got an interval without end, which only `sample: N` "
                                                "draws from; expected [low, high, n]"},
        {"axes: {train.lr: {log: [0.1, 20]}}\nsample: 3\n",
         "1:24: train.lr: got 20, expected a number above 0 and at most 10"},
        {"axes: {train.lr: {range: [0.1, 1]}}\nsample: 3\n", "1:26: train.lr.range: got a list, expected [first, last, "
                                                             "step]: first <= last, step > 0, at most 10000 values"},
        {"seeds: 0\n", "1:8: seeds: got \"0\", expected how many: a whole number from 1 to 1000; axes.seed lists them"},
        {"seeds: [1, 2]\n",
         "1:8: seeds: got a list, expected how many: a whole number from 1 to 1000; axes.seed lists them"},
        {"seeds: 2\naxes: {seed: [1]}\n", "2:14: axes: seed is given twice: first at f.yaml:1:8; keep one"},
        {"seeds: 2\nseed: 1\n", "1:8: seed: varied here and fixed at f.yaml:2:7; keep one"},
        {"sample: 0\n", "1:9: sample.n: got \"0\", expected how many cells: a whole number from 1 to 1000000"},
        {"sample: [1]\n", "1:9: sample: got a list, expected how many cells, or a map of n, seed and method"},
        {"sample: {seed: 1}\n", "1:9: sample: got no n, expected how many cells"},
        {"sample: {n: 1, sed: 1}\n", "1:16: sample.sed: no such key, expected n, seed or method; did you mean seed?"},
        {"sample: {n: 1, seed: -1}\n", "1:22: sample.seed: got \"-1\", expected a whole number 0 or more"},
        {"sample: {n: 1, method: sobl}\n", "1:24: sample.method: got \"sobl\", expected one of random, sobol"},
    };
    for (size_t i = 0; i < LEN(w); i++) {
        struct spec *s;
        struct status st = spec_parse(&s, "f.yaml", w[i].text, strlen(w[i].text));
        char want[1000];
        snprintf(want, sizeof want, "f.yaml:%s", w[i].message);
        if (st.code != STATUS_ARG || strcmp(st.msg, want) != 0) {
            fprintf(stderr, "\n%s\ngot:  %s\nwant: %s\n", w[i].text, st.msg, want);
            CU_FAIL("message");
        }
        spec_free(s);
    }
}

static void spec_axes__long_lists_are_quick(void)
{
    struct str text = {0};
    str_add(&text, "axes: {seed: [");
    for (int i = 0; i < 10000; i++) str_addf(&text, "%s%d", i ? "," : "", i);
    str_add(&text, "]}\n");
    double start = time_mono();
    struct spec *s = parse(text.s);
    CU_ASSERT_EQUAL(s->axes[0].n, 10000);
    CU_ASSERT_TRUE(time_mono() - start < 2); /* 0.03 s; every pair compared would take minutes under a sanitizer */
    spec_free(s);
    str_free(&text);
}

static void spec_axes__json_says_all_of_it(void)
{
    struct spec *s = parse("name: j\naxes: {train.lr: {log: [0.25, 1]}, seed: {values: [1], when: {arch: unet}}}\n"
                           "sample: {n: 3, method: sobol}\nexclude: [{seed: 3, when: {arch: fpn}}]\n");
    json_t *j = spec_to_json(s);
    char *text = json_canonical(j);
    CU_ASSERT_STRING_EQUAL(text,
                           "{\"axes\":[{\"key\":\"train.lr\",\"log\":[0.25,1.0]},{\"key\":\"seed\",\"values\":[1],"
                           "\"when\":{\"model.arch\":\"unet\"}}],\"base\":{},\"exclude\":[{\"seed\":3,\"when\":"
                           "{\"model.arch\":\"fpn\"}}],\"include\":[],\"name\":\"j\",\"sample\":{\"method\":"
                           "\"sobol\",\"n\":3,\"seed\":0},\"zip\":[]}");
    free(text);
    json_decref(j);
    spec_free(s);
}

static const struct test tests[] = {
    TEST(spec_axes__when_is_a_match),
    TEST(spec_axes__a_conditional_axis_may_have_a_fixed_value_beside_it),
    TEST(spec_axes__seeds_are_an_axis),
    TEST(spec_axes__samples),
    TEST(spec_axes__intervals_are_drawn_from),
    TEST(spec_axes__a_rule_with_when_is_silent_about_other_cells),
    TEST(spec_axes__wrong),
    TEST(spec_axes__long_lists_are_quick),
    TEST(spec_axes__json_says_all_of_it),
};
TEST_MAIN("spec.axes", tests)
