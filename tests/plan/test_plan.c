/* From files to stages: what is expanded, joined, refused, and what changes which key. */
#include "plan.h"
#include "test.h"
#include <time.h>

static const char *write_yaml(const char *name, const char *text)
{
    static char path[8][400];
    static int at;
    char *out = path[at++ % 8];
    snprintf(out, sizeof path[0], "%s/%s.yaml", test_dir(), name);
    TEST_OK(fs_write(out, text, strlen(text)));
    return out;
}

static struct status load(struct plan **p, const char *file, const char *other, const char *set)
{
    const char *files[] = {file, other};
    return plan_load(
        p, &(struct plan_options){.files = files, .n_files = other ? 2 : 1, .sets = &set, .n_sets = set ? 1 : 0});
}

static struct plan *planned(const char *file, const char *set)
{
    struct plan *p = NULL;
    TEST_OK(load(&p, file, NULL, set));
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    return p;
}

static const char *small = "name: small\n"
                           "axes:\n"
                           "  model.arch: [unet, fpn]\n"
                           "  model.backbone: [resnet18, vgg11]\n"
                           "data: {size: 64, pairs: 8}\n"
                           "train: {epochs: 2, batch: 2, precision: fp32}\n";

static void plan_load__takes_the_product_in_written_order(void)
{
    struct plan *p = planned(write_yaml("small", small), NULL);
    static const char *const want[][2] = {
        {"unet", "resnet18"}, {"unet", "vgg11"}, {"fpn", "resnet18"}, {"fpn", "vgg11"}};
    CU_ASSERT_EQUAL_FATAL(p->n_trials, 4);
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_STRING_EQUAL(p->trials[i].t.model.arch, want[i][0]);
        CU_ASSERT_STRING_EQUAL(p->trials[i].t.model.backbone, want[i][1]);
        CU_ASSERT_EQUAL(p->trials[i].n_stages, 6); /* train evaluate export verify samples bench */
        CU_ASSERT_EQUAL(strlen(p->trials[i].id), 12);
        CU_ASSERT_TRUE(p->trials[i].size.params > 1000000);
        CU_ASSERT_EQUAL(strncmp(p->trials[i].id, p->stages[plan_find(p, i, PLAN_TRAIN)].key, 12), 0);
        CU_ASSERT_EQUAL(json_object_size(p->sweeps[0].cells[i].axes), 2);
    }
    const struct plan_stage *bench = &p->stages[plan_find(p, 0, PLAN_BENCH)];
    CU_ASSERT_EQUAL(bench->needs[0], plan_find(p, 0, PLAN_EXPORT));
    CU_ASSERT_STRING_EQUAL(bench->device, "cpu");
    plan_free(p);
}

/* A wrong folder is said with the place where it was written: fixed, set, or one of an axis. */
static void plan_load__says_where_a_folder_was_written(void)
{
    static const struct {
        const char *yaml, *set, *says;
    } cases[] = {
        {"name: a\ndata:\n  root: nowhere\n", NULL, ".yaml:3:9: data.root: nowhere: no such folder"},
        {"name: a\naxes: {data.root: [synthetic, nowhere]}\n", NULL, ".yaml:2:20: data.root: nowhere: no such folder"},
        {"name: a\n", "data.root=nowhere", "--set data.root=nowhere: data.root: nowhere: no such folder"},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        struct plan *p = NULL;
        TEST_FAILS(load(&p, write_yaml("lost", cases[i].yaml), NULL, cases[i].set), STATUS_ARG, cases[i].says);
        CU_ASSERT_PTR_NULL(p);
    }
}

/* Which kinds of stages get another key when one setting changes. */
static void plan_keys__change_exactly_when_they_should(void)
{
#define K(kind) (1U << PLAN_##kind)
    const unsigned all = K(TRAIN) | K(EVALUATE) | K(EXPORT) | K(VERIFY) | K(SAMPLES) | K(BENCH);
    const struct {
        const char *set;
        unsigned kinds;
    } cases[] = {
        {"train.lr=0.01", all},
        {"train.epochs=3", all},
        {"seed=5", all},
        {"loss.gram_weights=[0,0,0,0]", all},
        {"augment=[{flip: {p: 0.5}}]", all},
        {"data.pairs=10", all},
        {"data.split.seed=1", all},
        {"train.precision=bf16", all},
        {"evaluate.weights=last", K(EVALUATE) | K(EXPORT) | K(VERIFY) | K(SAMPLES) | K(BENCH)},
        {"evaluate.rank=psnr", 0},
        {"export.io=image", K(EXPORT) | K(VERIFY) | K(BENCH)},
        {"bench.mode=quick", K(BENCH)},
        {"bench.visits=5", K(BENCH)},
        {"samples=3", K(SAMPLES)},
        {"train.checkpoint_every=2", 0},
        {"train.checkpoint_s=0", 0},
        {"train.validate_every=1", 0},
        {"train.validate_every=2", all},
        {"name=other", 0},
        {"prune=asha", 0}, /* whether it is stopped changes nothing of what it would be */
        {"prune.min_epochs=1", 0},
        {"limits.memory_mib=1000", 0},
    };
#undef K
    const char *file = write_yaml("small", small);
    struct plan *base = planned(file, NULL);
    for (size_t c = 0; c < LEN(cases); c++) {
        struct plan *p = planned(file, cases[c].set);
        unsigned changed = 0;
        for (int k = 0; k < PLAN_N_KINDS; k++) {
            int x = plan_find(base, 0, (enum plan_kind)k), y = plan_find(p, 0, (enum plan_kind)k);
            if (x >= 0 && y >= 0 && strcmp(base->stages[x].key, p->stages[y].key) != 0) changed |= 1U << k;
        }
        if (changed != cases[c].kinds) fprintf(stderr, "%s: %x, not %x\n", cases[c].set, changed, cases[c].kinds);
        CU_ASSERT_EQUAL(changed, cases[c].kinds);
        plan_free(p);
    }
    plan_free(base);
}

static void plan_load__joins_equal_cells_of_several_files(void)
{
    struct plan *p = NULL;
    const char *other = write_yaml("other", "name: other\n"
                                            "model: {arch: fpn, backbone: resnet18}\n"
                                            "data: {size: 64, pairs: 8}\n"
                                            "train: {epochs: 2, batch: 2, precision: fp32}\n"
                                            "devices: [cpu, torch]\n");
    TEST_OK(load(&p, write_yaml("small", small), other, NULL));
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT_EQUAL(p->n_trials, 4);
    CU_ASSERT_EQUAL(p->sweeps[1].n_cells, 1);
    CU_ASSERT_TRUE(p->sweeps[1].cells[0].duplicate);
    CU_ASSERT_EQUAL(p->sweeps[1].cells[0].trial, 2);
    CU_ASSERT_EQUAL(p->trials[2].n_stages, 7); /* one measurement more */
    CU_ASSERT_EQUAL(p->n_stages, 25);
    plan_free(p);
    TEST_FAILS(load(&p, write_yaml("small", small), write_yaml("small", small), NULL), STATUS_ARG,
               "is also the name of");
}

/* Of two files that ask for one trial, the one that wants it whole gets it, whichever comes first. */
static void plan_load__a_rule_stops_only_what_nobody_wants_whole(void)
{
    static const char *const names[] = {"pruned", "whole"};
    const char *file[2];
    for (int i = 0; i < 2; i++) {
        char text[400];
        snprintf(text, sizeof text, "name: %s\naxes: {seed: [%d, 2]}\ndata: {size: 64, pairs: 8}\nprune: %s\n",
                 names[i], i, i ? "none" : "{rule: median, min_peers: 2}");
        file[i] = write_yaml(names[i], text);
    }
    for (int turn = 0; turn < 2; turn++) {
        struct plan *p;
        TEST_OK(load(&p, file[turn], file[1 - turn], NULL));
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        CU_ASSERT_EQUAL(p->n_trials, 3);
        for (int i = 0; i < p->n_trials; i++) {
            const struct plan_trial *t = &p->trials[i];
            const char *rule = t->t.seed == 0 ? "median" : "none";
            CU_ASSERT_STRING_EQUAL(t->t.prune.rule, rule);
            CU_ASSERT_STRING_EQUAL(json_str(t->config, "prune.rule", ""), rule);
        }
        plan_free(p);
    }
}

static void plan_load__keeps_the_impossible_with_its_reason(void)
{
    struct plan *p =
        planned(write_yaml("holes", "name: holes\n"
                                    "axes: {model.arch: [deeplabv3, unet], model.backbone: [vgg11, resnet18]}\n"
                                    "data: {size: 64, pairs: 8}\n"
                                    "train: {batch: 2, epochs: 1}\n"),
                NULL);
    CU_ASSERT_EQUAL_FATAL(p->n_trials, 4);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p->trials[0].refused);
    CU_ASSERT_PTR_NOT_NULL(strstr(p->trials[0].refused, "vgg11"));
    CU_ASSERT_EQUAL(p->trials[0].n_stages, 0);
    CU_ASSERT_PTR_NULL(p->trials[3].refused);
    plan_free(p);
    /* A size that the decoder cannot take. */
    p = planned(
        write_yaml("size", "name: size\nmodel: {arch: fpn, backbone: resnet18}\ndata: {size: [64, 70], pairs: 8}\n"),
        NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p->trials[0].refused);
    CU_ASSERT_PTR_NOT_NULL(strstr(p->trials[0].refused, "70"));
    plan_free(p);
    /* One image in a batch gives the image pooling of deeplabv3 one value a channel. */
    p = planned(write_yaml("one", "name: one\nmodel: {arch: deeplabv3, backbone: resnet18}\n"
                                  "data: {size: 64, pairs: 8}\ntrain: {batch: 1}\n"),
                NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p->trials[0].refused);
    CU_ASSERT_PTR_NOT_NULL(strstr(p->trials[0].refused, "train.batch 2 or more"));
    plan_free(p);
}

static void plan_load__rules_exclude_and_patterns_expand(void)
{
    struct plan *p = planned(write_yaml("globs", "name: globs\n"
                                                 "axes:\n"
                                                 "  model.arch: [unet, linknet]\n"
                                                 "  model.backbone: ['vgg1[16]', vgg11, resnet18]\n"
                                                 "exclude: [{model.arch: linknet, model.backbone: 'vgg*'}]\n"
                                                 "data: {size: 64, pairs: 8}\n"),
                             NULL);
    CU_ASSERT_EQUAL(p->n_trials, 4); /* unet x (vgg11 vgg16 resnet18), linknet x resnet18 */
    CU_ASSERT_EQUAL(p->sweeps[0].n_excluded, 2);
    plan_free(p);
}

static void plan_load__names_what_is_wrong(void)
{
    static const struct {
        const char *yaml, *part;
    } cases[] = {
        {"name: a\nmodel: {arch: unett}\n", "did you mean \"unet\"?"},
        {"name: a\naxes: {model.backbone: [resnet18, resnet19]}\n", "a.yaml:2:"},
        {"name: a\naxes: {model.backbone: ['nothing*']}\n", "matches no backbone"},
        {"name: a\nmodel: {weights: imagenet, backbone: resnet18}\n", "weights/resnet18.imagenet.safetensors"},
        {"name: a\nloss: {weights: no/vgg16.safetensors}\n", "no/vgg16.safetensors is not there"},
        {"name: a\nloss: {network: vgg17}\n", "vgg17"},
        {"name: a\ndata: {root: /no/such/folder}\n", "/no/such/folder"},
        {"name: a\naxes: {model.arch: [unet]}\nexclude: [{model.arch: unet}]\n", "no cell is left"},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        struct plan *p = NULL;
        struct status st = load(&p, write_yaml("a", cases[i].yaml), NULL, NULL);
        if (st.code == STATUS_OK || !strstr(st.msg, cases[i].part)) fprintf(stderr, "%zu: %s\n", i, st.msg);
        CU_ASSERT_TRUE(st.code == STATUS_ARG || st.code == STATUS_IO);
        CU_ASSERT_PTR_NOT_NULL(strstr(st.msg, cases[i].part));
        CU_ASSERT_PTR_NULL(p);
    }
}

static void plan_load__warns_where_the_rank_does_not_compare(void)
{
    struct plan *p = planned(write_yaml("w", "name: w\naxes: {loss.pixel_weight: [1, 2]}\nevaluate: {rank: val_loss}\n"
                                             "data: {size: 64, pairs: 8}\n"),
                             NULL);
    bool warned = false;
    for (int i = 0; i < p->n_warnings; i++)
        warned = warned || strstr(p->warnings[i], "rank by feature_distance or ssim");
    CU_ASSERT_TRUE(warned);
    CU_ASSERT_STRING_NOT_EQUAL(p->trials[0].loss_key, p->trials[1].loss_key);
    plan_free(p);
    p = planned(write_yaml("w", "name: w\naxes: {train.lr: [0.1, 0.2]}\nevaluate: {rank: val_loss}\n"
                                "data: {size: 64, pairs: 8}\n"),
                NULL);
    CU_ASSERT_STRING_EQUAL(p->trials[0].loss_key, p->trials[1].loss_key);
    plan_free(p);
}

static void plan_load__cells_that_differ_only_in_training_share_the_gate(void)
{
    struct plan *p = planned(write_yaml("g", "name: g\naxes: {train.lr: [0.1, 0.2, 0.3]}\ngate: {p50_ms: 30}\n"
                                             "data: {size: 64, pairs: 8}\n"),
                             NULL);
    int screens = 0;
    for (int i = 0; i < p->n_stages; i++) screens += p->stages[i].kind == PLAN_SCREEN;
    CU_ASSERT_EQUAL(screens, 1);
    for (int i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(p->stages[plan_find(p, i, PLAN_TRAIN)].needs[0], plan_find(p, 0, PLAN_SCREEN));
    /* A gate is no part of what is trained. */
    struct plan *free_of =
        planned(write_yaml("f", "name: f\naxes: {train.lr: [0.1, 0.2, 0.3]}\ndata: {size: 64, pairs: 8}\n"), NULL);
    CU_ASSERT_STRING_EQUAL(p->trials[1].id, free_of->trials[1].id);
    plan_free(free_of);
    plan_free(p);
}

/* A stored training's plan asks nothing of what it was trained with, and has the keys that it had. */
static const char *key_of(const struct plan *p, enum plan_kind kind)
{
    return p->stages[plan_find(p, 0, kind)].key;
}

/* Without a judge a stage's key is what it was before there were judges; with one it says whose eyes these are. */
static void plan__a_judge_is_part_of_the_evaluation_alone(void)
{
    char path[400], set[500];
    snprintf(path, sizeof path, "%s/judge.safetensors", test_dir());
    snprintf(set, sizeof set, "evaluate.judge.weights=%s", path);
    TEST_OK(fs_write(path, "one", 3));
    struct plan *none = planned(write_yaml("small", small), "evaluate.judge.weights=none");
    struct plan *absent = planned(write_yaml("small", small), NULL), *one = planned(write_yaml("small", small), set);
    bool warned = false;
    for (int i = 0; i < absent->n_warnings; i++) warned = warned || strstr(absent->warnings[i], "make setup-weights");
    CU_ASSERT_TRUE(warned);
    CU_ASSERT_STRING_EQUAL(none->sweeps[0].rank, "ssim");
    CU_ASSERT_STRING_EQUAL(absent->trials[0].t.evaluate.rank, "ssim");
    CU_ASSERT_STRING_EQUAL(one->sweeps[0].rank, "feature_distance");
    CU_ASSERT_STRING_EQUAL(one->trials[0].t.evaluate.rank, "feature_distance");
    for (int k = PLAN_TRAIN; k < PLAN_N_KINDS; k++) {
        const enum plan_kind kind = (enum plan_kind)k;
        CU_ASSERT_STRING_EQUAL(key_of(none, kind), key_of(absent, kind));
        CU_ASSERT_EQUAL(strcmp(key_of(none, kind), key_of(one, kind)) == 0, k != PLAN_EVALUATE);
    }
    TEST_OK(fs_write(path, "other", 5));
    struct plan *other = planned(write_yaml("small", small), set);
    CU_ASSERT_STRING_NOT_EQUAL(key_of(other, PLAN_EVALUATE), key_of(one, PLAN_EVALUATE));
    /* a judge that picks the checkpoint decides the weights */
    const char *judged = arena_printf(&one->arena,
                                      "%strain: {epochs: 2, batch: 2, precision: fp32, monitor: auto}\n"
                                      "evaluate: {judge: {weights: %s}}\n",
                                      "name: small\ndata: {size: 64, pairs: 8}\n", path);
    struct plan *picks = planned(write_yaml("picks", judged), NULL), *again;
    CU_ASSERT_STRING_EQUAL(picks->trials[0].t.train.monitor, "feature_distance");
    TEST_OK(fs_write(path, "one", 3));
    again = planned(write_yaml("picks", judged), NULL);
    CU_ASSERT_STRING_NOT_EQUAL(key_of(picks, PLAN_TRAIN), key_of(again, PLAN_TRAIN));
    struct plan *all[] = {none, absent, one, other, picks, again};
    for (size_t i = 0; i < LEN(all); i++) plan_free(all[i]);
}

static void plan__a_judge_is_wanted_by_what_it_alone_gives(void)
{
    static const char *const sets[][2] = {{"train.monitor=kid", "train.monitor: kid wants a judge"},
                                          {"evaluate.rank=feature_distance", "wants a judge"},
                                          {"evaluate.judge.weights=random", "judges nothing"},
                                          {"evaluate.judge.weights=imagenet", "or use none"}};
    for (size_t i = 0; i < LEN(sets); i++) {
        struct plan *p = NULL;
        TEST_FAILS(load(&p, write_yaml("small", small), NULL, sets[i][0]), STATUS_ARG, sets[i][1]);
    }
}

static void plan_of_trained__needs_no_images_or_weights(void)
{
    struct arena a = {0};
    struct plan *p = NULL, *again = NULL;
    const char *dir = test_dir(), *w = arena_printf(&a, "%s/w.safetensors", dir), *path = fs_join(&a, dir, "t.yaml");
    const char *text = arena_printf(&a, "model.weights: %s\ndata: {pairs: 8, size: 64}\n", w);
    TEST_OK(fs_write(w, "weights", 7));
    TEST_OK(fs_write(path, text, strlen(text)));
    TEST_OK(plan_load(&p, &(struct plan_options){.files = &path, .n_files = 1}));
    json_t *config = json_deep_copy(p->trials[0].config);
    json_object_set_new(config, "data.root", json_string("no/such/folder"));
    CU_ASSERT_EQUAL(remove(w), 0);
    TEST_FAILS(plan_of_config(&again, config, "trial", NULL), STATUS_ARG, "no/such/folder");
    int train = plan_find(p, 0, PLAN_TRAIN);
    TEST_OK(plan_of_trained(&again, config, "trial", p->stages[train].key));
    CU_ASSERT_STRING_EQUAL(again->trials[0].id, p->trials[0].id);
    CU_ASSERT_EQUAL(again->n_stages, p->n_stages);
    for (int i = 0; i < p->n_stages; i++) CU_ASSERT_STRING_EQUAL(again->stages[i].key, p->stages[i].key);
    CU_ASSERT_EQUAL(again->trials[0].size.params, p->trials[0].size.params);
    json_decref(config);
    plan_free(again);
    plan_free(p);
    arena_free(&a);
}

/* A net to start from is named by its content; leaving it out changes no key that there was before. */
static void plan__start_of_a_whole_net_is_part_of_the_training(void)
{
    struct arena a = {0};
    const char *dir = test_dir(), *path = fs_join(&a, dir, "i.yaml");
    char ids[4][PLAN_ID];
    for (size_t i = 0; i < LEN(ids); i++) { /* without, then of files with a, b and a again */
        struct plan *p = NULL;
        const char *file = arena_printf(&a, "%s/net%zu.pth", dir, i);
        TEST_OK(fs_write(file, i == 2 ? "b" : "a", 1));
        const char *text =
            arena_printf(&a, "data: {pairs: 8, size: 64}\n%s%s\n", i ? "model.init: " : "", i ? file : "");
        TEST_OK(fs_write(path, text, strlen(text)));
        TEST_OK(plan_load(&p, &(struct plan_options){.files = &path, .n_files = 1}));
        memcpy(ids[i], p->trials[0].id, PLAN_ID);
        plan_free(p);
    }
    CU_ASSERT_STRING_NOT_EQUAL(ids[0], ids[1]);
    CU_ASSERT_STRING_NOT_EQUAL(ids[1], ids[2]);
    CU_ASSERT_STRING_EQUAL(ids[1], ids[3]);
    struct plan *p = NULL;
    static const char none[] = "data: {pairs: 8, size: 64}\nmodel.init: none.pth\n";
    TEST_OK(fs_write(path, none, sizeof none - 1));
    TEST_FAILS(plan_load(&p, &(struct plan_options){.files = &path, .n_files = 1}), STATUS_ARG,
               "i.yaml:2:13: model.init: the file none.pth is not there");
    arena_free(&a);
}

/* A size that some architectures refuse and unet takes is not taken without a word. */
static void plan__says_what_becomes_of_an_uneven_size(void)
{
    struct arena a = {0};
    const char *path = fs_join(&a, test_dir(), "u.yaml");
    static const struct {
        const char *size, *depth;
        bool told;
    } rows[] = {{"100", "5", true}, {"96", "5", false}, {"[64, 80]", "5", true}, {"[64, 80]", "3", false}};
    for (size_t i = 0; i < LEN(rows); i++) {
        struct plan *p = NULL;
        const char *text =
            arena_printf(&a,
                         "axes: {model.arch: [unet, fpn]}\ndata: {pairs: 8, size: %s}\nmodel: {depth: %s}\n"
                         "exclude: [{model.arch: %s}]\n",
                         rows[i].size, rows[i].depth, rows[i].told ? "pan" : "fpn");
        TEST_OK(fs_write(path, text, strlen(text)));
        TEST_OK(plan_load(&p, &(struct plan_options){.files = &path, .n_files = 1}));
        int told = 0;
        for (int w = 0; w < p->n_warnings; w++) told += strstr(p->warnings[w], "nothing is padded or cut") != NULL;
        CU_ASSERT_EQUAL(told, rows[i].told);
        if (rows[i].told) CU_ASSERT_PTR_NOT_NULL(p->trials[1].refused);
        plan_free(p);
    }
    arena_free(&a);
}

static void plan_of_config__finds_the_same_keys_again(void)
{
    struct plan *p = planned(write_yaml("small", small), NULL), *again = NULL;
    TEST_OK(plan_of_config(&again, p->trials[1].config, "trial", NULL));
    CU_ASSERT_PTR_NOT_NULL_FATAL(again);
    CU_ASSERT_EQUAL(again->n_stages, p->trials[1].n_stages);
    for (int i = 0; i < again->n_stages; i++)
        CU_ASSERT_STRING_EQUAL(again->stages[again->trials[0].stages[i]].key, p->stages[p->trials[1].stages[i]].key);
    plan_free(again);
    plan_free(p);
}

static void plan_precision__reads_whole_flags(void)
{
    CU_ASSERT_STRING_EQUAL(plan_precision_of("flags\t\t: fpu avx512_bf16 sse\n"), "bf16");
    CU_ASSERT_STRING_EQUAL(plan_precision_of("flags\t\t: fpu amx_bf16\n"), "bf16");
    CU_ASSERT_STRING_EQUAL(plan_precision_of("flags\t\t: fpu avx512_bf16x sse\n"), "fp32");
    CU_ASSERT_STRING_EQUAL(plan_precision_of("flags\t\t: fpu avx512f xavx512_bf16\n"), "fp32");
    CU_ASSERT_STRING_EQUAL(plan_precision_of(""), "fp32");
}

static void plan_load__ten_thousand_cells_in_a_second(void)
{
    struct str yaml = {0};
    str_add(&yaml, "name: many\naxes:\n  model.arch: [unet, fpn]\n  model.backbone: [resnet18, resnet34]\n  seed: [");
    for (int i = 0; i < 250; i++) str_addf(&yaml, "%s%d", i ? ", " : "", i);
    str_add(&yaml, "]\n  train.lr: [");
    for (int i = 1; i <= 10; i++) str_addf(&yaml, "%s%g", i > 1 ? ", " : "", i * 1e-4);
    str_add(&yaml, "]\ndata: {size: 64, pairs: 8}\n");
    const char *file = write_yaml("many", yaml.s);
    str_free(&yaml);
    clock_t start = clock(); /* of this process: other programs may share the machine */
    struct plan *p = planned(file, NULL);
    double s = (double)(clock() - start) / CLOCKS_PER_SEC;
    CU_ASSERT_EQUAL(p->n_trials, 10000);
    CU_ASSERT_EQUAL(p->n_stages, 60000);
    CU_ASSERT_TRUE(s < (TEST_SANITIZED ? 30 : 1.5)); /* 0.7 s on an idle machine */
    plan_free(p);
}

static const struct test tests[] = {
    TEST(plan_load__takes_the_product_in_written_order),
    TEST(plan_load__says_where_a_folder_was_written),
    TEST(plan_keys__change_exactly_when_they_should),
    TEST(plan_load__joins_equal_cells_of_several_files),
    TEST(plan_load__a_rule_stops_only_what_nobody_wants_whole),
    TEST(plan_load__keeps_the_impossible_with_its_reason),
    TEST(plan_load__rules_exclude_and_patterns_expand),
    TEST(plan_load__names_what_is_wrong),
    TEST(plan_load__warns_where_the_rank_does_not_compare),
    TEST(plan_load__cells_that_differ_only_in_training_share_the_gate),
    TEST(plan_of_config__finds_the_same_keys_again),
    TEST(plan__start_of_a_whole_net_is_part_of_the_training),
    TEST(plan__a_judge_is_part_of_the_evaluation_alone),
    TEST(plan__a_judge_is_wanted_by_what_it_alone_gives),
    TEST(plan_of_trained__needs_no_images_or_weights),
    TEST(plan__says_what_becomes_of_an_uneven_size),
    TEST(plan_precision__reads_whole_flags),
    TEST(plan_load__ten_thousand_cells_in_a_second),
};

TEST_MAIN("plan", tests)
