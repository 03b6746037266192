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
    TEST(cli_query__cuts_between_characters),
    TEST(cli_bench__of_a_file_on_another_device_is_refused),
};
TEST_MAIN("cli.tables", tests)
