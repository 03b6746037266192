/* Every way for an experiment to be wrong, with the place and the words that a user sees. */
#include "spec.h"
#include "test.h"

struct wrong {
    const char *text, *message; /* all of it, after "f.yaml:" */
};

static void refuse_all(const struct wrong *w, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct spec *s;
        struct status st = spec_parse(&s, "f.yaml", w[i].text, strlen(w[i].text));
        char want[1000];
        snprintf(want, sizeof want, "f.yaml:%s", w[i].message);
        if (st.code != STATUS_ARG || strcmp(st.msg, want) != 0) {
            fprintf(stderr, "\n%s\ngot:  %s\nwant: %s\n", w[i].text, st.msg, want);
            CU_FAIL("message");
        }
        CU_ASSERT_PTR_NULL(s);
        spec_free(s);
    }
}

static void spec_errors__unknown_keys(void)
{
    static const struct wrong w[] = {
        {"seed: 1\ntrian: {epochs: 3}\n", "2:1: trian: no such key; did you mean train?"},
        {"train:\n  epoch: 3\n", "2:3: train.epoch: no such key; did you mean train.epochs?"},
        {"train.epoch: 3\n", "1:1: train.epoch: no such key; did you mean train.epochs?"},
        {"epochs: 3\n", "1:1: epochs: no such key; did you mean train.epochs?"},
        {"model: {output: {residue: true}}\n",
         "1:18: model.output.residue: no such key; did you mean model.output.residual?"},
        {"axis: {seed: [1]}\n", "1:1: axis: no such key; did you mean axes?"},
        {"axes:\n  model.arc: [unet]\n", "2:3: axes: model.arc: no such key; did you mean model.arch?"},
        {"exclude: [{model.arkh: unet}]\n", "1:12: model.arkh: no such key; did you mean model.arch?"},
        {"xyzzyxyzzy: 1\n", "1:1: xyzzyxyzzy: no such key"},
        {"axes: {weights: [a]}\n", "1:8: axes: weights: no such key"}, /* two keys end so */
    };
    refuse_all(w, LEN(w));
}

static void spec_errors__duplicate_keys(void)
{
    static const struct wrong w[] = {
        {"seed: 1\nname: a\nseed: 2\n", "3:1: seed: given twice: first on line 1; keep one"},
        {"train: {lr: 1, lr: 2}\n", "1:16: lr: given twice: first on line 1; keep one"},
        {"model: {arch: unet}\nmodel.arch: fpn\n", "2:1: model.arch: given twice: first at f.yaml:1:9; keep one"},
        {"axes:\n  arch: [unet]\n  model.arch: [fpn]\n",
         "3:15: axes: model.arch is given twice: first at f.yaml:2:9; keep one"},
        {"model.arch: fpn\naxes: {arch: [unet]}\n", "2:14: model.arch: varied here and fixed at f.yaml:1:13; keep one"},
        {"axes: {seed: [1, 2]}\nzip: {seed: [1, 2], train.epochs: [3, 4]}\n",
         "2:6: seed: varied here and at f.yaml:1:14; keep one"},
        {"axes: {seed: [1, 2, 1]}\n", "1:21: seed: \"1\" is given twice in this axis"},
        {"devices: [cpu, cpu]\n", "1:16: devices: got \"cpu\" twice"},
    };
    refuse_all(w, LEN(w));
}

static void spec_errors__wrong_types(void)
{
    static const struct wrong w[] = {
        {"train:\n  epochs: many\n", "2:11: train.epochs: got \"many\", expected a whole number from 1 to 100000"},
        {"train: {epochs: 3.5}\n", "1:17: train.epochs: got 3.5, expected a whole number from 1 to 100000"},
        {"train: {epochs: '3'}\n", "1:17: train.epochs: got \"3\", expected a whole number from 1 to 100000"},
        {"train: {epochs: }\n", "1:17: train.epochs: got nothing, expected a whole number from 1 to 100000"},
        {"train: {lr: [1]}\n", "1:13: train.lr: got a list, expected a number above 0 and at most 10"},
        {"train: {lr: .inf}\n", "1:13: train.lr: got \".inf\", expected a number above 0 and at most 10"},
        {"train: {drop_last: yes}\n", "1:20: train.drop_last: got \"yes\", expected true or false"},
        {"train: {ema: \"a\\nb\"}\n",
         "1:14: train.ema: got \"a b\", expected a number above 0 and below 1, or 0 (off)"},
        {"seed: ééééééééééééééééééééééééééééééxéé\n",
         "1:7: seed: got \"éééééééééééééééééééééééééééééé...\", expected a whole number 0 or more"},
        {"seed: xéééééééééééééééééééééééééééééééé\n",
         "1:7: seed: got \"xééééééééééééééééééééééééééééé...\", expected a whole number 0 or more"},
        {"data: {root: 12}\n", "1:14: data.root: got 12, expected a text; quote it"},
        {"model: 3\n", "1:8: model: got \"3\", expected a map of its keys"},
        {"train: {optimizer: adm}\n",
         "1:20: train.optimizer: got \"adm\", expected one of adamw, adam, sgd; did you mean adam?"},
        {"data: {size: [64]}\n",
         "1:14: data.size: got a list, expected a whole number or [height, width], from 16 to 4096"},
        {"data: {size: [64, x]}\n",
         "1:19: data.size: got \"x\", expected a whole number or [height, width], from 16 to 4096"},
        {"loss: {gram_weights: [1, 2, b, 4]}\n",
         "1:29: loss.gram_weights: got \"b\", expected a list of 1 to 8 numbers, each from 0 to 1000000"},
        {"- a\n- b\n", "1:1: the file: got a list, expected a map of keys"},
        {"just text\n", "1:1: the file: got \"just text\", expected a map of keys"},
        {"{[1]: 2}\n", "1:2: got a list or map as a key, expected a name"},
        {"name: a/b\n",
         "1:7: name: got \"a/b\", expected letters, digits, dots, dashes and underscores; reports/NAME is made of it"},
        {"extends: {a: b}\n", "1:10: extends: got a map, expected a file"},
    };
    refuse_all(w, LEN(w));
}

static void spec_errors__out_of_range(void)
{
    static const struct wrong w[] = {
        {"seed: -1\n", "1:7: seed: got -1, expected a whole number 0 or more"},
        {"seed: 99999999999999999999\n",
         "1:7: seed: got 1e+20, expected a whole number 0 or more, at most 9007199254740991"},
        {"train: {epochs: 1e7}\n", "1:17: train.epochs: got 10000000, expected a whole number from 1 to 100000"},
        {"train: {epochs: 0}\n", "1:17: train.epochs: got 0, expected a whole number from 1 to 100000"},
        {"train: {lr: 0}\n", "1:13: train.lr: got 0, expected a number above 0 and at most 10"},
        {"train: {momentum: 1}\n", "1:19: train.momentum: got 1, expected a number from 0 and below 1"},
        {"data: {split: {val: 1}}\n", "1:21: data.split.val: got 1, expected a number above 0 and below 1, or a file"},
        {"data: {size: 8}\n", "1:14: data.size: got 8, expected a whole number or [height, width], from 16 to 4096"},
        {"model: {depth: 2}\n",
         "1:16: model.depth: got 2, expected a whole number from 3 to 5, or 0 (the architecture's own)"},
        {"model: {output_stride: 24}\n",
         "1:24: model.output_stride: got 24, expected a power of two from 8 to 32, or 0 (the architecture's own)"},
        {"train: {batch: 99999999999999999999}\n",
         "1:16: train.batch: got 1e+20, expected a whole number from 1 to 4096"},
        {"loss: {feature_weights: []}\n",
         "1:25: loss.feature_weights: got an empty list, expected a list of 1 to 8 numbers, each from 0 to 1000000"},
        {"loss: {gram_weights: [1, 2, 1]}\n",
         "1:22: loss.gram_weights: got 3 weights, expected 4, as many as loss.feature_weights has"},
        {"data: {split: {train: a.txt}}\n", "1:23: data.split.train: got a file of training names and a fraction for "
                                            "validation, expected data.split.val to "
                                            "be a file of names, too"},
    };
    refuse_all(w, LEN(w));
}

static void spec_errors__augmentations(void)
{
    static const struct wrong w[] = {
        {"augment:\n  - flip: {p: 2}\n", "2:15: augment: flip.p: got 2, expected a number from 0 to 1"},
        {"augment:\n  - flipp: {p: 1}\n",
         "2:5: augment: got \"flipp\", expected one of flip, affine, crop, color; did you mean flip?"},
        {"augment: [affine, {affine: {angle: 3}}]\n",
         "1:29: augment: affine: got \"angle\", expected one of p, rotate, scale, translate"},
        {"augment: [{affine: {scale: [1.1, 0.9]}}]\n",
         "1:28: augment: affine.scale: got a list, expected [low, high] within 0.1 to 10"},
        {"augment: [{color: {both: 1}}]\n", "1:26: augment: color.both: got 1, expected true or false"},
        {"augment: [{flip: 0.5}]\n", "1:18: augment: flip: got 0.5, expected a map of its options"},
        {"augment: [{flip: {}, crop: {}}]\n",
         "1:11: augment: got a map, expected a map of one augmentation, {flip: {p: 0.5}}"},
        {"augment: {flip: {}}\n", "1:10: augment: got a map, expected a list of at most 8 augmentations"},
    };
    refuse_all(w, LEN(w));
}

static void spec_errors__names_that_are_not_built(void)
{
    static const struct wrong w[] = {
        {"export: [onnx, torchscript]\n",
         "1:16: export.formats: got \"torchscript\", which is not built yet, expected "
         "one of onnx, onnx-fp16, onnx-int8, coreml, coreml-fp16, coreml-int8, litert, litert-fp16, litert-int8"},
        {"export: {formats: [torchscript]}\n", "1:20: export.formats: got \"torchscript\", which is not built yet, "
                                               "expected one of onnx, onnx-fp16, onnx-int8, coreml, coreml-fp16, "
                                               "coreml-int8, litert, litert-fp16, litert-int8"},
        {"export: [onx]\n",
         "1:10: export.formats: got \"onx\", expected one of onnx, onnx-fp16, onnx-int8, coreml, coreml-fp16, "
         "coreml-int8, litert, litert-fp16, litert-int8; did you mean onnx?"},
        {"export: onnx\n", "1:9: export.formats: got \"onnx\", expected a list of onnx, onnx-fp16, onnx-int8, coreml, "
                           "coreml-fp16, coreml-int8, litert, litert-fp16, litert-int8"},
        {"devices: [phone]\n", "1:11: devices: got \"phone\", expected one of cpu, torch"},
        {"evaluate: {rank: sim}\n",
         "1:18: evaluate.rank: got \"sim\", expected one of ssim, ms_ssim, psnr, l1, feature_distance, style_distance, "
         "kid, "
         "val_loss, or null (`feature_distance` where there is a judge, else `ssim`); did you mean ssim?"},
        {"axes: {evaluate.judge.network: [resnet18, vgg16]}\n",
         "1:32: evaluate.judge.network: varied here, but all cells must have the same, or they would not compare"},
    };
    refuse_all(w, LEN(w));
}

static void spec_errors__axes_and_rules(void)
{
    static const struct wrong w[] = {
        {"axes:\n  train.lr: [0.1, 0, 0.2]\n", "2:19: train.lr: got 0, expected a number above 0 and at most 10"},
        {"axes: {seed: 3}\n", "1:14: seed: got \"3\", expected a list of alternatives, {log: ...}, {linspace: ...} or "
                              "{range: ...}"},
        {"axes: {seed: []}\n", "1:14: seed: got an empty list, expected at least one alternative"},
        {"axes: {train.lr: {log: [0, 1, 3]}}\n",
         "1:24: train.lr.log: got a list, expected [low, high, n] or, to be sampled, [low, high]: 0 < low < high, n "
         "from 2 to 10000"},
        {"axes: {train.lr: {linspace: [0.1, 1, 2.5]}}\n", "1:29: train.lr.linspace: got a list, expected [low, high, "
                                                          "n] or, to be sampled, [low, high]: low < high, n from 2 "
                                                          "to 10000"},
        {"axes: {train.lr: {range: [0.1, 1, 0]}}\n", "1:26: train.lr.range: got a list, expected [first, last, step]: "
                                                     "first <= last, step > 0, at most 10000 values"},
        {"axes: {train.epochs: {linspace: [0, 4, 3]}}\n",
         "1:33: train.epochs: got 0, expected a whole number from 1 to 100000"},
        {"axes: {variant: [{model.arch: unet, train.lr: 20}]}\n",
         "1:47: train.lr: got 20, expected a number above 0 and at most 10"},
        {"axes: {variant: [{model.arch: unet}, 3]}\n",
         "1:38: variant: got \"3\", expected a map of keys, as the first alternative is"},
        {"axes: [a]\n", "1:7: axes: got a list, expected a map of key: list of alternatives"},
        {"zip: {seed: [1, 2], train.epochs: [3]}\n",
         "1:35: train.epochs: got 1 values, expected 2, as many as seed has"},
        {"zip: {seed: 1}\n", "1:13: seed: got \"1\", expected a list of values"},
        {"zip: [3]\n", "1:7: zip: got \"3\", expected a map of key: list"},
        {"model: {backbone: 'regnet*'}\n", "1:19: model.backbone: got pattern \"regnet*\", expected a name; a pattern "
                                           "belongs in axes, include or exclude"},
        {"exclude: [{train.epochs: '3*'}]\n",
         "1:26: train.epochs: got \"3*\", expected no pattern: its values are not names"},
        {"exclude: [3]\n", "1:11: exclude: got \"3\", expected a map of key: value"},
        {"include: [{train.optimizer: [adam, x]}]\n",
         "1:36: train.optimizer: got \"x\", expected one of adamw, adam, sgd"},
    };
    refuse_all(w, LEN(w));
}

static void spec_errors__yaml(void)
{
    static const struct wrong w[] = {
        {"data:\n\troot: a\n", "2:1: got a tab, expected spaces; YAML is indented by spaces"},
        {"a: &x [1]\n",
         "1:4: got anchor &x: anchors are not supported; write the value out, or share it through extends"},
        {"seed: *x\n",
         "1:7: got alias *x: aliases are not supported; write the value out, quote a pattern that starts with "
         "a star"},
        {"seed: !!int 3\n",
         "1:7: got tag tag:yaml.org,2002:int: tags are not supported; quote a text that looks like a "
         "number"},
        {"seed: 1\n---\nseed: 2\n", "2:1: got a second document, expected one a file"},
        {"seed: 1\nname: \"\xff\"\n", "2:8: got byte 0xff, expected UTF-8 text: invalid leading UTF-8 octet"},
        {"name: \"a\\0b\"\n", "1:7: got a zero byte in a text"},
        {"seed: [1, 2\n",
         "1:7: got the end of the text (line 2), expected \",\" or \"]\"; a list that \"[\" opens must be "
         "closed"},
        {"seed: {a: 1]\n", "1:7: got \"]\", expected \",\" or \"}\"; a map that \"{\" opens must be closed"},
        {"seed: 1\n  lr: 2\n",
         "2:5: got \"lr: 2\", expected one \"key: value\" a line, indented as its neighbours are, "
         "behind a line that has its colon; quote a text that holds \": \""},
        {"train:\n    lr: 1\n  ema: 2\n",
         "3:3: got \"ema: 2\", expected a key that is indented as the others of its map; "
         "line it up with them, and quote all of a text or nothing"},
        {"name: \"a\nseed: 1\n",
         "1:7: got the end of the text (line 3), expected the quote that opens here to be closed"},
        {"seed: - 1\n",
         "1:7: got \"seed: - 1\", expected no \"- \" here; a list's entries stand on lines of their own, below "
         "the list's key"},
        {"name: @a\n", "1:7: got \"@a\", expected a value; quote a text that begins with this character"},
        {"name: *\n", "1:8: got the end of the line, expected a text; quote one that begins with * or &"},
        {"a: [[[[[[[[[[[[[[[[[[[[[[[[1", "1:27: nested deeper than 24 levels"},
        {"", " got an empty file, expected a map of keys"},
        {"# nothing\n", " got an empty file, expected a map of keys"},
    };
    refuse_all(w, LEN(w));
}

static void spec_errors__set(void)
{
    static const struct {
        const char *set, *message;
    } w[] = {
        {"train.epoch=3", "--set train.epoch=3: train.epoch: no such key; did you mean train.epochs?"},
        {"train.epochs=x", "--set train.epochs=x: train.epochs: got \"x\", expected a whole number from 1 to 100000"},
        {"seed=[1",
         "--set seed=[1: got the end of the text, expected \",\" or \"]\"; a list that \"[\" opens must be closed"},
        {"seed", "--set seed: expected KEY=VALUE"},
        {"=3", "--set =3: expected KEY=VALUE"},
        {"seed=", "--set seed=: seed: got nothing, expected a whole number 0 or more"},
        {"extends=a", "--set extends=a: extends belongs in a file"},
        {"axes.bckbone=[a]", "--set axes.bckbone=[a]: axes: bckbone: no such key; did you mean model.backbone?"},
    };
    struct arena a = {0};
    const char *path = fs_join(&a, test_dir(), "f.yaml");
    TEST_OK(fs_write(path, "seed: 1\n", 8));
    for (size_t i = 0; i < LEN(w); i++) {
        struct spec *s;
        struct status st = spec_load(&s, path, &w[i].set, 1);
        CU_ASSERT_EQUAL(st.code, STATUS_ARG);
        if (strcmp(st.msg, w[i].message) != 0) fprintf(stderr, "\ngot:  %s\nwant: %s\n", st.msg, w[i].message);
        CU_ASSERT_STRING_EQUAL(st.msg, w[i].message);
        spec_free(s);
    }
    arena_free(&a);
}

static void spec_errors__files(void)
{
    struct arena a = {0};
    struct spec *s;
    const char *dir = test_dir();
    const char *one = fs_join(&a, dir, "one.yaml"), *two = fs_join(&a, dir, "two.yaml");
    TEST_FAILS(spec_load(&s, fs_join(&a, dir, "none.yaml"), NULL, 0), STATUS_IO, "none.yaml: cannot open");
    TEST_FAILS(spec_load(&s, dir, NULL, 0), STATUS_IO, "is a folder, expected a file");
    static const char circle1[] = "extends: two.yaml\n", circle2[] = "extends: [one.yaml]\n",
                      none[] = "extends: none.yaml\n";
    TEST_OK(fs_write(one, circle1, strlen(circle1)));
    TEST_OK(fs_write(two, circle2, strlen(circle2)));
    TEST_FAILS(spec_load(&s, one, NULL, 0), STATUS_ARG, "part of a circle of files that extend each other");
    TEST_OK(fs_write(one, none, strlen(none)));
    TEST_FAILS(spec_load(&s, one, NULL, 0), STATUS_ARG, "one.yaml:1:10: extends: no file ");
    static const char folder[] = "extends: .\n", wrong[] = "seed: x\n";
    TEST_OK(fs_write(one, folder, strlen(folder)));
    TEST_FAILS(spec_load(&s, one, NULL, 0), STATUS_ARG, "is no file");
    TEST_OK(fs_write(one, circle1, strlen(circle1)));
    TEST_OK(fs_write(two, wrong, strlen(wrong)));
    TEST_FAILS(spec_load(&s, one, NULL, 0), STATUS_ARG, "two.yaml:1:7: seed: got \"x\"");
    arena_free(&a);
}

/* What is small on disk and endless when followed ends in a message, soon. */
static void spec_errors__bombs(void)
{
    struct arena a = {0};
    struct spec *s;
    const char *dir = test_dir(), *top = NULL;
    for (int level = 0; level < 14; level++) { /* each file extends the one below it ten times */
        struct str text = {0};
        str_add(&text, level ? "extends: [" : "seed: 1\n");
        for (int i = 0; level && i < 10; i++) str_addf(&text, "%s%d.yaml", i ? ", " : "", level - 1);
        str_add(&text, level ? "]\n" : "");
        top = fs_join(&a, dir, arena_printf(&a, "%d.yaml", level));
        TEST_OK(fs_write(top, text.s, text.n));
        str_free(&text);
    }
    TEST_FAILS(spec_load(&s, top, NULL, 0), STATUS_ARG, "extends: more than 100 files in all");
    struct str axis = {0};
    str_add(&axis, "axes: {seed: [0");
    for (int i = 1; i < 20000; i++) str_addf(&axis, ", %d", i);
    str_add(&axis, "]}\n");
    TEST_FAILS(spec_parse(&s, "f", axis.s, axis.n), STATUS_ARG, "f:1:14: axes: seed: got 20000 alternatives");
    str_free(&axis);
    for (int i = 0; i < 2000; i++) str_addf(&axis, "k%d: 1\n", i);
    TEST_FAILS(spec_parse(&s, "f", axis.s, axis.n), STATUS_ARG, "f:1001:1: got more than 1000 keys in one map");
    str_free(&axis);
    for (int i = 0; i < 600000; i++) str_add(&axis, "-\n");
    TEST_FAILS(spec_parse(&s, "f", axis.s, axis.n), STATUS_ARG,
               "got more than 500000 values, expected a configuration");
    str_free(&axis);
    for (int i = 0; i < 17; i++) {
        static const char zeros[1 << 20];
        str_addn(&axis, zeros, sizeof zeros);
    }
    TEST_FAILS(spec_parse(&s, "f", axis.s, axis.n), STATUS_ARG, "f: got 17825792 bytes");
    str_free(&axis);
    arena_free(&a);
}

static const struct test tests[] = {
    TEST(spec_errors__unknown_keys),   TEST(spec_errors__duplicate_keys), TEST(spec_errors__wrong_types),
    TEST(spec_errors__out_of_range),   TEST(spec_errors__augmentations),  TEST(spec_errors__names_that_are_not_built),
    TEST(spec_errors__axes_and_rules), TEST(spec_errors__yaml),           TEST(spec_errors__set),
    TEST(spec_errors__files),          TEST(spec_errors__bombs),
};
TEST_MAIN("spec.errors", tests)
