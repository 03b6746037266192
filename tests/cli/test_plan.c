/* plan and top as a user reads them. */
#include "store.h"
#include "test.h"
#include <sys/resource.h>
#include <sys/wait.h>

/* One folder for the whole suite. */
static const char *folder(void)
{
    static char dir[400];
    if (!dir[0]) snprintf(dir, sizeof dir, "%s", test_dir());
    return dir;
}

/* stdout of `sweep ARGS` in the suite's folder; the exit code must be @p code. Owner: the caller. */
static char *sweep(const char *args, int code)
{
    struct arena a = {0};
    char *out = NULL, *err = NULL;
    const char *dir = folder();
    int status =
        system(arena_printf(&a, "cd '%s' && '%s/sweep' %s >out.txt 2>err.txt </dev/null", dir, test_build_dir(), args));
    TEST_OK(fs_read(&out, NULL, fs_join(&a, dir, "out.txt")));
    TEST_OK(fs_read(&err, NULL, fs_join(&a, dir, "err.txt")));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != code) {
        fprintf(stderr, "sweep %s: %s\n", args, err);
        CU_FAIL("exit code");
    }
    free(err);
    arena_free(&a);
    return out;
}

static json_t *sweep_json(const char *args)
{
    char *text = sweep(args, 0);
    json_t *j = NULL;
    TEST_OK(json_parse(&j, args, text, strlen(text)));
    free(text);
    return j;
}

static void write_file(const char *name, const char *text)
{
    struct arena a = {0};
    TEST_OK(fs_write(fs_join(&a, folder(), name), text, strlen(text)));
    arena_free(&a);
}

static void has(const char *text, const char *part)
{
    if (!strstr(text, part)) fprintf(stderr, "\nno \"%s\" in\n%s\n", part, text);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, part));
}

static struct store *open_store(void)
{
    struct store *s = NULL;
    struct arena a = {0};
    TEST_OK(
        store_open(&s, (struct store_options){.path = fs_join(&a, folder(), "results/sweep.db"), .command = "test"}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    arena_free(&a);
    return s;
}

static const char four[] = "name: four\n"
                           "axes: {arch: [unet, deeplabv3], backbone: [resnet18, vgg11], train.lr: [0.01, 0.001]}\n"
                           "exclude: [{arch: unet, backbone: vgg11}]\n"
                           "data: {size: 64, pairs: 8}\n"
                           "gate: {p50_ms: 20}\n"
                           "train: {batch: 2, epochs: 2, precision: fp32}\n";

static void cli_plan__counts_and_reasons(void)
{
    write_file("four.yaml", four);
    char *text = sweep("plan four.yaml four.yaml", 2);
    free(text);
    text = sweep("plan four.yaml", 0);
    has(text, "6 cells in 1 file: 4 to run, 0 stored, 0 over the latency gate, 2 impossible, 0 duplicate; 2 excluded");
    has(text, "excluded 2: four.yaml:3:11: {\"model.arch\": \"unet\", \"model.backbone\": \"vgg11\"}");
    has(text, "impossible 2: deeplabv3 ");
    has(text, "train.lr");
    has(text, "a first guess: nothing has run on this machine yet");
    has(text, "GiB a worker, of ");
    free(text);
    write_file("same.yaml",
               "extends: four.yaml\nname: same\nexclude: []\ninclude: [{arch: unet, backbone: resnet18}]\n");
    text = sweep("plan four.yaml same.yaml", 0);
    has(text, "8 cells in 2 files: 4 to run, 0 stored, 0 over the latency gate, 2 impossible, 2 duplicate; 8 excluded");
    has(text, "excluded 6: same.yaml: no include has them");
    free(text);
}

/* Names and files count among the mistakes; they come in the file's order, also of a file that is extended. */
static void cli_plan__tells_every_mistake_in_one_run(void)
{
    static const char *const begins[] = {
        "./base.yaml:1:7: seed: got \"x\"",
        "twelve.yaml:2:1: learning_rate: no such key; did you mean train.lr?",
        "twelve.yaml:3:1: bs: ",
        "twelve.yaml:4:15: model.arch: got \"unet++\", which is no architecture of the zoo; did you mean "
        "\"unetplusplus\"?",
        "twelve.yaml:5:29: model.backbone: got \"mobilenet_v3_large\", which is no backbone of the zoo; did you mean "
        "\"mobilenetv3_large_100\"?",
        "twelve.yaml:6:18: model.backbone: got \"vgg61\"",
        "twelve.yaml:7:9: train.lrr: ",
        "twelve.yaml:8:17: train.schedule: ",
        "twelve.yaml:9:15: data.root: ",
        "twelve.yaml:10:17: loss.weights: the file none.pth is not there",
        "twelve.yaml:11:11: model.arch: got \"fpnn\"",
        "twelve.yaml:12:11: devices: got \"gpu\""};
    char *err = NULL;
    struct arena a = {0};
    write_file("base.yaml", "seed: x\n");
    write_file("twelve.yaml", "extends: base.yaml\n"
                              "learning_rate: 0.1\n"
                              "bs: 8\n"
                              "model: {arch: unet++}\n"
                              "axes: {backbone: [resnet18, mobilenet_v3_large,\n"
                              "                 vgg61]}\n"
                              "train: {lrr: 1}\n"
                              "train.schedule: cosinus\n"
                              "data:  {root: no/such/folder}\n"
                              "loss: {weights: none.pth}\n"
                              "exclude: [{arch: fpnn}]\n"
                              "devices: [gpu]\n");
    free(sweep("plan twelve.yaml", 2));
    TEST_OK(fs_read(&err, NULL, fs_join(&a, folder(), "err.txt")));
    const char *line = err;
    for (size_t i = 0; i < LEN(begins); i++) {
        const char *want = arena_printf(&a, "error: %s", begins[i]);
        if (strncmp(line, want, strlen(want)) != 0) fprintf(stderr, "\ngot:  %.90s\nwant: %s\n", line, want);
        CU_ASSERT_EQUAL(strncmp(line, want, strlen(want)), 0);
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    CU_ASSERT_EQUAL(*line, 0);
    free(err);
    arena_free(&a);
}

/* Everything that the plan holds is in its JSON, and follows itself. */
static void cli_plan__json_is_the_resolved_plan(void)
{
    json_t *j = sweep_json("plan four.yaml --json");
    const json_t *summary = json_object_get(j, "summary"), *trials = json_object_get(j, "trials");
    CU_ASSERT_EQUAL(json_array_size(trials), 6);
    CU_ASSERT_EQUAL(json_int(summary, "run", -1), 4);
    CU_ASSERT_EQUAL(json_int(summary, "impossible", -1), 2);
    CU_ASSERT_EQUAL(json_int(summary, "excluded", -1), 2);
    CU_ASSERT_EQUAL(json_int(summary, "cells", -1), 6 + json_int(summary, "duplicate", -1));
    CU_ASSERT_TRUE(json_is_null(json_object_get(summary, "error_s"))); /* nothing has run here to judge it by */
    CU_ASSERT_EQUAL(json_object_size(json_object_get(j, "will")), 6);
    double sum = 0;
    const char *key;
    json_t *f;
    json_object_foreach(json_object_get(j, "forecast"), key, f) sum +=
        json_num(f, "seconds", 0) * json_num(f, "runs", 0);
    CU_ASSERT_DOUBLE_EQUAL(sum, json_num(summary, "work_s", -1), 1e-6 * sum);
    const json_t *config = json_object_get(json_array_get(trials, 0), "config");
    CU_ASSERT_STRING_EQUAL(json_str(config, "train.precision", ""), "fp32");
    CU_ASSERT_EQUAL(strlen(json_str(json_object_get(json_array_get(trials, 0), "content"), "images", "")), 32);
    CU_ASSERT_EQUAL(
        json_int(json_array_get(json_object_get(json_array_get(json_object_get(j, "sweeps"), 0), "excluded_by"), 0),
                 "cells", -1),
        2);
    json_decref(j);
}

/* Stage rows by hand: a gate that was failed, a training that is done. */
static void cli_plan__knows_what_is_stored(void)
{
    json_t *j = sweep_json("plan four.yaml --json");
    struct store *s = open_store();
    json_t *config = json_object();
    TEST_OK(store_begin(s));
    int done = 0;
    for (size_t i = 0; i < json_array_size(json_object_get(j, "stages")); i++) {
        const json_t *g = json_array_get(json_object_get(j, "stages"), i);
        const char *stage = json_str(g, "stage", ""), *trial = json_str(g, "trial", "");
        bool screen = strcmp(stage, "screen") == 0;
        if (!screen && done) continue;
        struct store_stage row = {
            .key = json_str(g, "key", ""), .trial = trial, .stage = stage, .format = "", .device = ""};
        TEST_OK(store_put_trial(s, &(struct store_trial){.id = trial,
                                                         .arch = "a",
                                                         .backbone = "b",
                                                         .loss_key = "l",
                                                         .height = 64,
                                                         .width = 64,
                                                         .config = config}));
        TEST_OK(store_stage_start(s, &row));
        bool slow = screen && done++;
        TEST_OK(store_stage_end(s, row.key, slow ? "too_slow" : "done", slow ? "31.0 ms on cpu" : NULL, 1, 0));
    }
    TEST_OK(store_commit(s));
    store_close(s);
    json_decref(config);
    json_decref(j);
    char *text = sweep("plan four.yaml", 0);
    has(text, "2 to run, 0 stored, 2 over the latency gate, 2 impossible");
    has(text, "31.0 ms on cpu");
    free(text);
}

/* The first training of the plan, stopped by its rule: as the engine stores it. */
static const char *put_pruned(struct arena *a, const char *db, const json_t *plan, const char *why)
{
    const json_t *stages = json_object_get(plan, "stages"), *g = NULL;
    for (size_t i = 0; !g || strcmp(json_str(g, "stage", ""), "train") != 0; i++) g = json_array_get(stages, i);
    const json_t *rule = json_array_get(json_object_get(plan, "pruning"), 0);
    const char *id = arena_strdup(a, json_str(g, "trial", ""));
    struct store *s = NULL;
    struct store_stage row = {.key = json_str(g, "key", ""), .trial = id, .stage = "train", .format = "", .device = ""};
    json_t *none = json_object(), *peers = json_pack("[s]", "abcdef000000");
    int64_t sweep_id;
    TEST_OK(store_open(&s, (struct store_options){.path = fs_join(a, folder(), db), .command = "test"}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    TEST_OK(store_put_trial(
        s, &(struct store_trial){
               .id = id, .arch = "u", .backbone = "r", .loss_key = "l", .height = 64, .width = 64, .config = none}));
    TEST_OK(store_put_sweep(s, &(struct store_sweep){.name = "four", .path = "f", .rank = "ssim", .spec = none},
                            &sweep_id));
    TEST_OK(store_put_sweep_trial(s, sweep_id, id, 0, none));
    TEST_OK(store_stage_start(s, &row));
    TEST_OK(store_put_decision(s, &row,
                               &(struct store_decision){.rule = "asha",
                                                        .rule_key = json_str(rule, "rule_key", ""),
                                                        .metric = "ssim",
                                                        .reason = why,
                                                        .epoch = 1,
                                                        .value = 0.3,
                                                        .threshold = 0.5,
                                                        .stop = true,
                                                        .peers = peers}));
    TEST_OK(store_stage_end(s, row.key, "pruned", why, 1, 0));
    TEST_OK(store_set_trial(s, id, "pruned", why));
    store_close(s);
    json_decref(none);
    json_decref(peers);
    return id;
}

/* Cells that are impossible alike are one line, whole in --json. */
static void cli_plan__groups_impossible_cells(void)
{
    write_file("alike.yaml", "name: alike\ndata: {size: 64, pairs: 8}\n"
                             "axes: {arch: [unet, deeplabv3], backbone: [vgg11, vgg13, vgg16]}\n");
    char *text = sweep("plan alike.yaml", 0), *line = strstr(text, "\n  impossible ");
    has(text, "  impossible 3: deeplabv3 needs");
    has(text, "(the same of vgg13, vgg16)");
    CU_ASSERT_PTR_NULL(line ? strstr(line + 1, "\n  impossible ") : NULL);
    free(text);
}

/* A cell that was stopped, wherever results are looked at; and the rule, before anything runs. */
static void cli__shows_what_was_pruned(void)
{
#define RULE "four.yaml --db pruned.db --set train.epochs=4 --set prune=asha --set prune.min_epochs=1"
    const char *why = "asha: rung 1, epoch 1: ssim 0.3, behind place 1 of the 3 no slower than it that got there: 0.5 "
                      "(abcdef unet x resnet18 0.5, fedcba fpn x resnet18 0.4)";
    struct arena a = {0};
    char *text = sweep("plan " RULE, 0);
    has(text, "4 to run, 0 stored, 0 over the latency gate, 2 impossible");
    has(text, "pruning 4 cells by asha on ssim, after epoch 1, 3; predicted times are those without it");
    CU_ASSERT_PTR_NULL(strstr(text, "it trusts"));
    free(text);
    text = sweep("plan " RULE " --set model.output.residual=true", 0);
    has(text, "it trusts ssim, and 4 of them start as the identity");
    free(text);
    json_t *j = sweep_json("plan --json " RULE);
    const char *id = put_pruned(&a, "pruned.db", j, why);
    json_decref(j);
    const struct {
        const char *args, *part;
    } looks[] = {
        {"plan " RULE, "3 to run, 0 stored, 0 over the latency gate, 1 pruned, 2 impossible"},
        {"plan " RULE " --set prune=none", "4 to run, 0 stored, 0 over the latency gate, 2 impossible"},
        {"plan " RULE " --set prune.reduction=2", "4 to run"}, /* another rule */
        {"top --db pruned.db", "1 pruned before their end is not ranked: sweep ls four --where \"state = 'pruned'\""},
        {"ls four --db pruned.db --where \"state = 'pruned'\"", "asha: rung 1"},
        {arena_printf(&a, "show %s --db pruned.db", id), why},
        {arena_printf(&a, "show %s --db pruned.db", id), ", pruned\n"},
        {arena_printf(&a, "show %s --db pruned.db", id), "stopped"},
    };
    for (size_t i = 0; i < LEN(looks); i++) {
        text = sweep(looks[i].args, 0);
        has(text, looks[i].part);
        free(text);
    }
    static const char *const counts[] = {"ls --json --db pruned.db", "status --json --db pruned.db"};
    for (size_t i = 0; i < LEN(counts); i++) {
        json_t *rows = sweep_json(counts[i]);
        const json_t *first = json_array_get(i ? json_object_get(rows, "sweeps") : rows, 0);
        CU_ASSERT_EQUAL(json_int(first, "pruned", -1), 1);
        CU_ASSERT_EQUAL(json_int(first, "failed", -1) + json_int(first, "not_possible", -1), 0);
        json_decref(rows);
    }
    free(sweep(arena_printf(&a, "export %s --db pruned.db", id), 2)); /* there is nothing to export */
    json_t *shown = sweep_json(arena_printf(&a, "show %s --json --db pruned.db", id));
    CU_ASSERT_EQUAL(json_array_size(json_object_get(shown, "decisions")), 1);
    json_decref(shown);
    arena_free(&a);
#undef RULE
}

/* Two cells of three seeds, one of one. */
static void cli_top__is_over_seeds(void)
{
    static const struct {
        const char *arch;
        int seed;
        double ssim;
    } rows[] = {{"unet", 0, 0.50}, {"unet", 1, 0.52}, {"unet", 2, 0.54},    {"fpn", 0, 0.51},     {"fpn", 1, 0.53},
                {"fpn", 2, 0.55},  {"pan", 0, 0.80},  {"linknet", 0, 0.10}, {"linknet", 1, 0.11}, {"linknet", 2, 0.12}};
    struct store *s = open_store();
    TEST_OK(store_begin(s));
    for (size_t i = 0; i < LEN(rows); i++) {
        char id[13];
        snprintf(id, sizeof id, "%012zx", i + 0xabc000);
        json_t *config = json_pack("{s:s, s:s, s:i}", "model.arch", rows[i].arch, "model.attention",
                                   rows[i].arch[0] == 'u' ? "scse" : "none", "seed", rows[i].seed);
        TEST_OK(store_put_trial(s, &(struct store_trial){.id = id,
                                                         .arch = rows[i].arch,
                                                         .backbone = "resnet18",
                                                         .loss_key = "l",
                                                         .height = 64,
                                                         .width = 64,
                                                         .seed = rows[i].seed,
                                                         .config = config}));
        struct store_stage g = {.key = id, .trial = id, .stage = "evaluate", .format = "", .device = ""};
        json_t *m = json_pack("{s:s, s:{s:f}}", "ev", "metrics", "values", "ssim", rows[i].ssim);
        TEST_OK(store_stage_start(s, &g));
        TEST_OK(store_event(s, &g, m));
        TEST_OK(store_stage_end(s, id, "done", NULL, 1, 0));
        TEST_OK(store_set_trial(s, id, "done", NULL));
        json_decref(m);
        json_decref(config);
    }
    TEST_OK(store_commit(s));
    store_close(s);
    static const struct {
        const char *arch, *rank;
        int seeds;
        double mean, sd;
    } want[] = {{"pan", "1", 1, 0.80, -1},
                {"fpn", "2-3", 3, 0.53, 0.02},
                {"unet", "2-3", 3, 0.52, 0.02},
                {"linknet", "4", 3, 0.11, 0.01}};
    json_t *j = sweep_json("top --by ssim --json --where \"arch != 'a'\"");
    CU_ASSERT_EQUAL(json_array_size(j), LEN(want));
    for (size_t i = 0; i < LEN(want); i++) {
        const json_t *row = json_array_get(j, i);
        CU_ASSERT_STRING_EQUAL(json_str(row, "arch", ""), want[i].arch);
        CU_ASSERT_STRING_EQUAL(json_str(row, "rank", ""), want[i].rank);
        CU_ASSERT_EQUAL(json_int(row, "seeds", -1), want[i].seeds);
        CU_ASSERT_DOUBLE_EQUAL(json_num(row, "ssim", 0), want[i].mean, 1e-9);
        CU_ASSERT_DOUBLE_EQUAL(json_num(row, "ssim_sd", -1), want[i].sd, 1e-9);
        CU_ASSERT_STRING_EQUAL(json_str(row, "model.attention", ""), want[i].arch[0] == 'u' ? "scse" : "none");
    }
    json_decref(j);
    char *text = sweep("top --by ssim", 0);
    has(text, "means over seeds");
    free(text);
    j = sweep_json("top --by ssim --json --all --limit 100");
    CU_ASSERT_EQUAL(json_array_size(j), LEN(rows));
    json_decref(j);
    j = sweep_json("top --by ssim --json --where 'seed = 0'"); /* one seed each: as they are */
    CU_ASSERT_EQUAL(json_int(json_array_get(j, 0), "seed", -1), 0);
    CU_ASSERT_PTR_NULL(json_object_get(json_array_get(j, 0), "rank"));
    json_decref(j);
}

static double cpu_seconds(const struct rusage *u)
{
    return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) +
           1e-6 * (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec);
}

static void cli_plan__ten_thousand_cells(void)
{
    write_file("many.yaml",
               "name: many\naxes: {arch: [unet, fpn], backbone: [resnet18, resnet34], seed: {range: [0, 249, "
               "1]}, train.lr: {log: [1.0e-4, 1.0e-2, 10]}}\ndata: {size: 64, pairs: 8}\n");
    struct rusage before, after;
    getrusage(RUSAGE_CHILDREN, &before);
    char *text = sweep("plan many.yaml --db none.db", 0);
    getrusage(RUSAGE_CHILDREN, &after);
    has(text, "10000 cells in 1 file: 10000 to run");
    double s = cpu_seconds(&after) - cpu_seconds(&before);
    printf("(%.2f s of CPU, at most %ld MiB) ", s, after.ru_maxrss / 1024);
    CU_ASSERT_TRUE(TEST_SANITIZED || s < 1.5); /* 0.8 s; 1 s is the aim on an idle machine */
    CU_ASSERT_TRUE(TEST_SANITIZED || after.ru_maxrss < 200 * 1024);
    free(text);
}

static const struct test tests[] = {
    TEST(cli_plan__counts_and_reasons),        TEST(cli_plan__tells_every_mistake_in_one_run),
    TEST(cli_plan__json_is_the_resolved_plan), TEST(cli_plan__ten_thousand_cells),
    TEST(cli_plan__knows_what_is_stored),      TEST(cli_top__is_over_seeds),
    TEST(cli_plan__groups_impossible_cells),   TEST(cli__shows_what_was_pruned),
};
TEST_MAIN("cli.plan", tests)
