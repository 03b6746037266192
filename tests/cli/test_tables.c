/* What tables leave out, and what they never cut in two. */
#include "answer.h"
#include "store.h"

enum { TRIALS = 14 };

/* Two cells of seven seeds, the later the better; fpn is of larger pictures, and no better than the input. */
static void fill(const char *dir)
{
    char path[500], id[16];
    struct store *s;
    int64_t sweep = 0;
    json_t *spec = json_object();
    snprintf(path, sizeof path, "%s/results/sweep.db", dir);
    TEST_OK(store_open(&s, (struct store_options){.path = path, .command = "test"}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    TEST_OK(store_begin(s));
    TEST_OK(store_put_sweep(s, &(struct store_sweep){.name = "many", .path = "m.yaml", .rank = "ssim", .spec = spec},
                            &sweep));
    for (int i = 0; i < TRIALS; i++) {
        snprintf(id, sizeof id, "%012d", i);
        TEST_OK(store_put_trial(s, &(struct store_trial){.id = id,
                                                         .arch = i % 2 ? "unet" : "fpn",
                                                         .backbone = "resnet18",
                                                         .loss_key = "l",
                                                         .height = i % 2 ? 64 : 96,
                                                         .width = i % 2 ? 64 : 96,
                                                         .seed = i / 2,
                                                         .config = spec}));
        TEST_OK(store_put_sweep_trial(s, sweep, id, i, spec));
        struct store_stage g = {.key = id, .trial = id, .stage = "train", .format = "", .device = ""};
        json_t *m =
            json_pack("{s:s, s:{s:f, s:f}}", "ev", "metrics", "values", "ssim", 0.4 + 0.01 * i, "identity_ssim", 0.465);
        TEST_OK(store_stage_start(s, &g));
        TEST_OK(store_event(s, &g, m));
        TEST_OK(store_stage_end(s, g.key, "done", NULL, 1, 0));
        TEST_OK(store_set_trial(s, id, "done", NULL));
        json_decref(m);
    }
    json_decref(spec);
    TEST_OK(store_commit(s));
    store_close(s);
}

static void cli_top__all_is_all(void)
{
    const char *dir = test_dir();
    fill(dir);
    static const struct {
        const char *args;
        size_t rows;
    } cases[] = {{"top --all --json", TRIALS}, {"top --all --limit 3 --json", 3}, {"top --json --limit 1", 1}};
    for (size_t i = 0; i < LEN(cases); i++) {
        json_t *rows = sweep_json_in(dir, cases[i].args);
        CU_ASSERT_EQUAL(json_array_size(rows), cases[i].rows);
        if (strstr(cases[i].args, "--all")) { /* ids are whole, for who looks them up */
            CU_ASSERT_STRING_EQUAL(json_str(json_array_get(rows, 0), "trial", ""), "000000000013");
        }
        json_decref(rows);
    }
}

/* What compares with nothing, and what is not better than doing nothing, is said where it is ranked. */
static void cli_top__says_what_it_cannot_rank(void)
{
    const char *dir = test_dir();
    fill(dir);
    json_t *rows = sweep_json_in(dir, "top --json");
    CU_ASSERT_EQUAL(json_array_size(rows), 2);
    CU_ASSERT_TRUE(json_is_true(json_object_get(json_array_get(rows, 0), "beats_input")));
    CU_ASSERT_TRUE(json_is_false(json_object_get(json_array_get(rows, 1), "beats_input")));
    json_decref(rows);
    rows = sweep_json_in(dir, "top --by params --json");
    CU_ASSERT_TRUE(json_is_null(json_object_get(json_array_get(rows, 0), "beats_input")));
    json_decref(rows);
    rows = sweep_json_in(dir, "ls many --json");
    CU_ASSERT_EQUAL(json_int(json_array_get(rows, 0), "beats_input", -1), 0);
    CU_ASSERT_EQUAL(json_int(json_array_get(rows, TRIALS - 1), "beats_input", -1), 1);
    json_decref(rows);
    static const struct {
        const char *args;
        bool sizes, worse;
    } cases[] = {{"top", true, true}, {"top --by height", false, false}, {"top --where 'height = 64'", false, false}};
    for (size_t i = 0; i < LEN(cases); i++) {
        struct answer a = sweep_in(dir, cases[i].args);
        CU_ASSERT_EQUAL(a.code, 0);
        CU_ASSERT_EQUAL(strstr(a.out, "sizes differ") != NULL, cases[i].sizes);
        CU_ASSERT_EQUAL(strstr(a.out, "beats_input no: ssim is no better") != NULL, cases[i].worse);
        answer_free(&a);
    }
}

/* Two cells of three seeds by twelve images, ranked by what is better low; unet draws better, resnet34 as resnet18. */
static void fill_judged(const char *dir)
{
    static const struct {
        const char *arch, *backbone;
        double mean;
    } cells[] = {{"linknet", "resnet18", 0.55}, {"unet", "resnet18", 0.5}, {"unet", "resnet34", 0.5001}};
    char path[500], id[16], name[16];
    struct store *s;
    int64_t sweep = 0;
    json_t *spec = json_object();
    snprintf(path, sizeof path, "%s/results/sweep.db", dir);
    TEST_OK(store_open(&s, (struct store_options){.path = path, .command = "test"}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    TEST_OK(store_begin(s));
    const struct store_sweep w = {.name = "judged", .path = "j.yaml", .rank = "feature_distance", .spec = spec};
    TEST_OK(store_put_sweep(s, &w, &sweep));
    for (int i = 0; i < 9; i++) {
        snprintf(id, sizeof id, "%012x", 0xa0 + i);
        const int k = i / 3;
        json_t *config = json_pack("{s:s, s:i}", "model.arch", cells[k].arch, "seed", i % 3);
        TEST_OK(store_put_trial(s, &(struct store_trial){.id = id,
                                                         .arch = cells[k].arch,
                                                         .backbone = cells[k].backbone,
                                                         .loss_key = k ? "l" : "another",
                                                         .height = 64,
                                                         .width = 64,
                                                         .seed = i % 3,
                                                         .config = config}));
        TEST_OK(store_put_sweep_trial(s, sweep, id, i, spec));
        struct store_stage g = {.key = id, .trial = id, .stage = "evaluate", .format = "", .device = ""};
        TEST_OK(store_stage_start(s, &g));
        for (int n = 0; n <= 12; n++) { /* the last: their mean */
            snprintf(name, sizeof name, "face%d", n);
            double v =
                cells[k].mean + 0.001 * (i % 3) + (n < 12 ? 0.02 * (n - 5.5) + 0.002 * ((n * 7 + k * 5) % 4) : 0);
            json_t *e = n < 12 ? json_pack("{s:s, s:s, s:{s:f, s:f}}", "ev", "image", "image", name, "values",
                                           "feature_distance", v, "val_loss", v)
                               : json_pack("{s:s, s:{s:f, s:f}}", "ev", "metrics", "values", "feature_distance", v,
                                           "identity_feature_distance", 0.54);
            TEST_OK(store_event(s, &g, e));
            json_decref(e);
        }
        TEST_OK(store_stage_end(s, g.key, "done", NULL, 1, 0));
        TEST_OK(store_set_trial(s, id, "done", NULL));
        json_decref(config);
    }
    json_decref(spec);
    TEST_OK(store_commit(s));
    store_close(s);
}

static void cli_top__ranks_low_distances_first_and_marks_what_is_like_the_best(void)
{
    const char *dir = test_dir();
    fill_judged(dir);
    json_t *rows = sweep_json_in(dir, "top --json");
    CU_ASSERT_EQUAL_FATAL(json_array_size(rows), 3);
    static const struct {
        const char *arch;
        bool beats_input, like_best;
    } want[] = {{"unet", true, true}, {"unet", true, true}, {"linknet", false, false}};
    for (size_t i = 0; i < LEN(want); i++) {
        const json_t *row = json_array_get(rows, i);
        CU_ASSERT_STRING_EQUAL(json_str(row, "arch", ""), want[i].arch);
        CU_ASSERT_EQUAL(json_is_true(json_object_get(row, "beats_input")), want[i].beats_input);
        CU_ASSERT_EQUAL(json_is_true(json_object_get(row, "like_best")), want[i].like_best);
    }
    json_decref(rows);
    rows = sweep_json_in(dir, "ls judged --json");
    CU_ASSERT_EQUAL(json_int(json_array_get(rows, 0), "beats_input", -1), 0);
    CU_ASSERT_EQUAL(json_int(json_array_get(rows, 3), "beats_input", -1), 1);
    CU_ASSERT_DOUBLE_EQUAL(json_num(json_array_get(rows, 3), "feature_distance", 0), 0.5, 1e-9);
    json_decref(rows);
}

static void cli_compare__says_what_it_can_tell(void)
{
    const char *dir = test_dir();
    fill_judged(dir);
    static const struct {
        const char *args, *verdict, *words;
        size_t metrics;
    } cases[] = {
        {"unet/resnet18 linknet/resnet18", "better", "unet/resnet18 draws better than linknet/resnet18", 1},
        {"linknet/resnet18 unet/resnet18", "worse", "and 3 and 3 seeds", 1},
        {"unet/resnet18 unet/resnet34", "cannot tell", "cannot be told from", 2}, /* val_loss: of one loss alone */
        {"0000000000a3 0000000000a4", "cannot tell", "cannot be told from", 2},   /* two seeds of one cell */
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        char args[200];
        snprintf(args, sizeof args, "compare %s --json", cases[i].args);
        json_t *all = sweep_json_in(dir, args);
        const json_t *rows = json_object_get(all, "metrics");
        CU_ASSERT_EQUAL(json_array_size(rows), cases[i].metrics);
        CU_ASSERT_STRING_EQUAL(json_str(json_array_get(rows, 0), "metric", ""), "feature_distance");
        CU_ASSERT_STRING_EQUAL(json_str(json_array_get(rows, 0), "verdict", ""), cases[i].verdict);
        CU_ASSERT_PTR_NOT_NULL(strstr(json_str(all, "words", ""), cases[i].words));
        json_decref(all);
    }
    static const char *const wrong[][2] = {
        {"compare unet/nonesuch unet/resnet18", "no finished trial of this cell"},
        {"compare unet/resnet18 linknet/resnet18 --where tag=nonesuch", "no finished trial of this cell"},
        {"compare unet/resnet18", "expected A B"},
        {"compare zzz unet/resnet18", "not in the database"}};
    for (size_t i = 0; i < LEN(wrong); i++) {
        struct answer a = sweep_in(dir, wrong[i][0]);
        CU_ASSERT_EQUAL(a.code, 2);
        CU_ASSERT_PTR_NOT_NULL(strstr(a.err, wrong[i][1]));
        answer_free(&a);
    }
}

/* Letters of two, three and four bytes around the place where a long text is cut. */
static void cli_query__cuts_between_characters(void)
{
    static const char *const letters[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    const char *dir = test_dir();
    fill(dir);
    for (size_t k = 0; k < LEN(letters); k++)
        for (int shift = 0; shift < 4; shift++) {
            struct str args = {0};
            str_add(&args, "query \"SELECT '");
            for (int i = 0; i < shift; i++) str_add(&args, "x");
            for (int i = 0; i < 80; i++) str_add(&args, letters[k]);
            str_add(&args, "' AS words\"");
            struct answer a = sweep_in(dir, args.s);
            CU_ASSERT_EQUAL(a.code, 0);
            CU_ASSERT_PTR_NOT_NULL(strstr(a.out, "..."));
            json_t *text = json_stringn(a.out, strlen(a.out)); /* NULL for what is no UTF-8 */
            CU_ASSERT_PTR_NOT_NULL(text);
            json_decref(text);
            answer_free(&a);
            str_free(&args);
        }
}

static void cli_bench__of_a_file_on_another_device_is_refused(void)
{
    const char *dir = test_dir();
    char path[500];
    snprintf(path, sizeof path, "%s/model.onnx", dir);
    TEST_OK(fs_write(path, "model", 5));
    struct answer a = sweep_in(dir, "bench model.onnx --device torch");
    CU_ASSERT_EQUAL(a.code, 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(a.err, "--device: got \"torch\""));
    answer_free(&a);
}

static const struct test tests[] = {
    TEST(cli_top__all_is_all),
    TEST(cli_top__says_what_it_cannot_rank),
    TEST(cli_top__ranks_low_distances_first_and_marks_what_is_like_the_best),
    TEST(cli_compare__says_what_it_can_tell),
    TEST(cli_query__cuts_between_characters),
    TEST(cli_bench__of_a_file_on_another_device_is_refused),
};
TEST_MAIN("cli.tables", tests)
