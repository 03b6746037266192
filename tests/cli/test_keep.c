/* Checkpoints: which stay, what they take, and a longer training that goes on from one. Real trainings, tiny. */
#include "answer.h"

#define TINY                                                                                                           \
    "data: {size: 64, pairs: 6}\nmodel: {arch: unet, backbone: mobilenetv3_small_100, depth: 3, channels: [16, 8, "    \
    "8]}\nloss: {network: mobilenetv3_small_100, feature_weights: [1], gram_weights: [0]}\nexport: []\nsamples: 1\n"

static void write_yaml(const char *dir, const char *name, const char *train)
{
    struct arena a = {0};
    const char *path = arena_printf(&a, "%s/%s.yaml", dir, name);
    const char *text = arena_printf(&a, "name: %s\n" TINY "train: {batch: 3, precision: fp32%s", name, train);
    TEST_OK(fs_write(path, text, strlen(text)));
    arena_free(&a);
}

static char *run(const char *dir, const char *args)
{
    struct answer a = sweep_in(dir, args);
    if (a.code) fprintf(stderr, "sweep %s: %d\n%s\n", args, a.code, a.err);
    CU_ASSERT_EQUAL(a.code, 0);
    free(a.out);
    return a.err;
}

/* The only trial of a sweep: whether its folder has this checkpoint. */
static bool has(const char *dir, const char *sweep, const char *name)
{
    struct arena a = {0};
    json_t *rows = sweep_json_in(dir, arena_printf(&a, "ls %s --json", sweep));
    bool found = fs_exists(arena_printf(&a, "%s/results/trials/%s/%s.safetensors", dir,
                                        json_str(json_array_get(rows, 0), "trial", ""), name));
    json_decref(rows);
    arena_free(&a);
    return found;
}

static double mib(const char *dir, const char *sweep)
{
    struct arena a = {0};
    json_t *rows = sweep_json_in(dir, arena_printf(&a, "ls %s --json", sweep));
    double v = json_num(json_array_get(rows, 0), "mib", -1);
    json_decref(rows);
    arena_free(&a);
    return v;
}

static void cli_run__keeps_the_checkpoints_that_are_wanted(void)
{
    static const struct {
        const char *name, *train;
        bool best, last;
    } cases[] = {{"both", ", epochs: 1, lr: 0.001}\n", true, true},
                 {"best", ", epochs: 1, lr: 0.002}\nkeep: best\n", true, false},
                 {"last", ", epochs: 1, lr: 0.003}\nkeep: best\nevaluate: {weights: last}\n", false, true},
                 {"none", ", epochs: 1, lr: 0.004}\nkeep: none\n", false, false},
                 {"all", ", epochs: 1, lr: 0.005}\nkeep: all\n", true, true}};
    struct arena a = {0};
    const char *dir = test_dir();
    for (size_t i = 0; i < LEN(cases); i++) {
        const char *run_it = arena_printf(&a, "run %s.yaml --no-report", cases[i].name);
        write_yaml(dir, cases[i].name, cases[i].train);
        free(run(dir, run_it));
        CU_ASSERT_EQUAL(has(dir, cases[i].name, "best"), cases[i].best);
        CU_ASSERT_EQUAL(has(dir, cases[i].name, "last"), cases[i].last);
        char *again = run(dir, run_it); /* nothing is missed */
        CU_ASSERT_PTR_NOT_NULL(strstr(again, "1 done; 0 stages run"));
        free(again);
    }
    CU_ASSERT_TRUE(mib(dir, "both") > 1.5 * mib(dir, "best"));
    CU_ASSERT_TRUE(mib(dir, "all") > mib(dir, "both")); /* moments of the few parameters that learn */
    CU_ASSERT_TRUE(mib(dir, "none") < 0.2 * mib(dir, "best"));
    /* of "both" and "all" the last goes, by gc */
    char *said = run(dir, "gc --keep best --older 1 --delete");
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "0 files"));
    free(said);
    free(run(dir, "gc --keep best"));
    CU_ASSERT_TRUE(has(dir, "both", "last"));
    struct answer doctor = sweep_in(dir, "doctor");
    CU_ASSERT_PTR_NOT_NULL(strstr(doctor.out, "files of 5 trials"));
    CU_ASSERT_PTR_NOT_NULL(strstr(doctor.out, "sweep gc --keep best --delete frees"));
    answer_free(&doctor);
    said = run(dir, "gc --keep best --delete");
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "2 files"));
    free(said);
    CU_ASSERT_TRUE(has(dir, "both", "best") && !has(dir, "both", "last") && !has(dir, "all", "last"));
    said = run(dir, "run both.yaml --no-report");
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "1 done; 0 stages run"));
    free(said);
    struct answer refused = sweep_in(dir, "gc --older 3");
    CU_ASSERT_EQUAL(refused.code, 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(refused.err, "expected --keep"));
    answer_free(&refused);
    arena_free(&a);
}

static bool logged(const char *trial, const char *words)
{
    struct arena a = {0};
    char *text = NULL;
    TEST_OK(fs_read(&text, NULL, arena_printf(&a, "%s/logs/train.log", trial)));
    bool found = text && strstr(text, words);
    free(text);
    arena_free(&a);
    return found;
}

/* What `plan` says of the only trial of a file that is to be run. */
static void plan_says(const char *dir, const char *name, const char *reason)
{
    struct arena a = {0};
    struct answer said = sweep_in(dir, arena_printf(&a, "plan %s.yaml --csv", name));
    bool runs = strstr(said.out, ",run,") != NULL,
         goes_on = strstr(said.out, *reason ? reason : "goes on from") != NULL;
    bool there = runs && goes_on == (*reason != 0);
    if (!there) fprintf(stderr, "plan of %s:\n%s%s\n", name, said.out, said.err);
    CU_ASSERT(there);
    free(said.out);
    free(said.err);
    arena_free(&a);
}

static void cli_run__goes_on_with_more_epochs(void)
{
    struct arena a = {0};
    const char *dir = test_dir();
    write_yaml(dir, "few", ", schedule: constant, epochs: 2}\nkeep: all\n");
    write_yaml(dir, "more", ", schedule: constant, epochs: 4}\nkeep: all\n");
    write_yaml(dir, "cosine", ", schedule: cosine, epochs: 1}\nkeep: all\n");
    write_yaml(dir, "longer", ", schedule: cosine, epochs: 2}\nkeep: all\n");
    plan_says(dir, "more", "");
    free(run(dir, "run few.yaml --no-report"));
    plan_says(dir, "more", "which has 2 of 4 epochs");
    free(run(dir, "run more.yaml --no-report"));
    free(run(dir, "run more.yaml --no-report --db whole/sweep.db"));
    json_t *rows[2];
    static const char *const ask[] = {
        "query \"SELECT r.trial, r.ssim, r.val_loss, a.hash FROM results r JOIN artifacts a "
        "ON a.trial = r.trial AND a.kind = 'best' WHERE sweep = 'more'\" --json",
        " --db whole/sweep.db"};
    rows[0] = sweep_json_in(dir, ask[0]);
    rows[1] = sweep_json_in(dir, arena_printf(&a, "%s%s", ask[0], ask[1]));
    static const char *const same[] = {"trial", "ssim", "val_loss"};
    const char *id = json_str(json_array_get(rows[0], 0), "trial", "");
    CU_ASSERT_TRUE(logged(arena_printf(&a, "%s/results/trials/%s", dir, id), "continuing from last: epoch 3, step 0"));
    CU_ASSERT_FALSE(logged(arena_printf(&a, "%s/whole/trials/%s", dir, id), "continuing"));
    for (size_t i = 0; i < LEN(same); i++)
        CU_ASSERT_TRUE(json_equal(json_object_get(json_array_get(rows[0], 0), same[i]),
                                  json_object_get(json_array_get(rows[1], 0), same[i])));
    json_decref(rows[0]);
    json_decref(rows[1]);
    free(run(dir, "run cosine.yaml --no-report"));
    char *said = run(dir, "run longer.yaml --no-report");
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "starts anew"));
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "train.schedule cosine depends on how many there are"));
    free(said);
    json_t *job = sweep_json_in(dir, "query \"SELECT seconds FROM stages WHERE stage = 'train'\" --json");
    CU_ASSERT_EQUAL(json_array_size(job), 4);
    json_decref(job);
    arena_free(&a);
}

static const struct test tests[] = {TEST(cli_run__keeps_the_checkpoints_that_are_wanted),
                                    TEST(cli_run__goes_on_with_more_epochs)};
TEST_MAIN("cli.keep", tests)
