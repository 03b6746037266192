/* An edited sweep forgets nothing, and a trial of two sweeps is found by either name and counted once. */
#include "answer.h"
#include "site.h"

static void edit(const struct site *s, const char *yaml)
{
    struct arena a = {0};
    TEST_OK(fs_write(fs_join(&a, s->dir, "a.yaml"), yaml, strlen(yaml)));
    arena_free(&a);
}

static void run(const struct site *s, const char *args)
{
    int code = site_wait(site_start(s, args, "words"));
    char *said = site_said(s, "words");
    if (code) fprintf(stderr, "sweep %s: %d\n%s\n", args, code, said);
    CU_ASSERT_EQUAL(code, 0);
    free(said);
}

/* Two states and, between them, a run that asks for the same again. */
static struct site edited(void)
{
    struct site s = site_make("name: a\nseeds: 3\ndata: {size: 64, pairs: 6}\nexport: []\n", "ok:1");
    run(&s, "run a.yaml --no-report --no-tty");
    run(&s, "run a.yaml --no-report --no-tty");
    edit(&s, "name: a\nseeds: 2\ndata: {size: 64, pairs: 6}\ntrain: {lr: 0.01}\nexport: []\n");
    run(&s, "run a.yaml --no-report --no-tty");
    return s;
}

static void cli_history__lists_states_and_what_differs(void)
{
    struct site s = edited();
    json_t *j = sweep_json_in(s.dir, "history a --json");
    static const int trials[] = {3, 2}, added[] = {3, 2}, dropped[] = {0, 3};
    CU_ASSERT_EQUAL(json_array_size(j), 2);
    for (size_t i = 0; i < json_array_size(j); i++) {
        const json_t *row = json_array_get(j, i);
        CU_ASSERT_EQUAL(json_int(row, "state", 0), (int64_t)i + 1);
        CU_ASSERT_EQUAL(json_int(row, "trials", -1), trials[i]);
        CU_ASSERT_EQUAL(json_int(row, "added", -1), added[i]);
        CU_ASSERT_EQUAL(json_int(row, "dropped", -1), dropped[i]);
    }
    json_decref(j);
    j = sweep_json_in(s.dir, "history a 1 --json"); /* against the last */
    CU_ASSERT_EQUAL(json_array_size(json_object_get(j, "trials")), 5);
    bool lr = false;
    for (size_t i = 0; i < json_array_size(json_object_get(j, "keys")); i++) {
        const json_t *row = json_array_get(json_object_get(j, "keys"), i);
        lr = lr || (strcmp(json_str(row, "key", ""), "train.lr") == 0 && json_num(row, "to", 0) > 0.009);
    }
    CU_ASSERT_TRUE(lr);
    json_decref(j);
    struct answer a = sweep_in(s.dir, "history a 1 3");
    CU_ASSERT_EQUAL(a.code, 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(a.err, "got \"3\", expected 1 to 2"));
    answer_free(&a);
    a = sweep_in(s.dir, "history a 2 2");
    CU_ASSERT_PTR_NOT_NULL(strstr(a.out, "they are the same"));
    answer_free(&a);
}

static void cli_ls__shows_earlier_trials_on_request(void)
{
    struct site s = edited();
    json_t *now = sweep_json_in(s.dir, "ls a --json"), *all = sweep_json_in(s.dir, "ls a --all --json");
    CU_ASSERT_EQUAL(json_array_size(now), 2);
    CU_ASSERT_EQUAL(json_array_size(all), 5);
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *row = json_array_get(all, i);
        CU_ASSERT_EQUAL(strcmp(json_str(row, "asked", ""), "now") == 0, i < 2);
        CU_ASSERT_STRING_EQUAL(json_str(row, "state", ""), "done");
    }
    json_decref(now);
    json_decref(all);
    struct answer a = sweep_in(s.dir, "ls a");
    CU_ASSERT_PTR_NOT_NULL(strstr(a.out, "3 trials that a asked for before it was edited: sweep ls a --all"));
    answer_free(&a);
}

static void cli_query__finds_a_trial_by_either_sweep(void)
{
    struct site s = site_make("name: faces\nseeds: 2\ndata: {size: 64, pairs: 6}\n", "ok:1");
    run(&s, "run a.yaml --no-report --no-tty");
    edit(&s, "name: faces2\nseeds: 2\ndata: {size: 64, pairs: 6}\n");
    run(&s, "run a.yaml --no-report --no-tty");
    static const struct {
        const char *args;
        size_t rows;
    } cases[] = {
        {"query \"SELECT trial FROM results WHERE sweep = 'faces'\" --json", 2},
        {"query \"SELECT trial FROM results WHERE sweep = 'faces2'\" --json", 2},
        {"query \"SELECT DISTINCT trial, threads FROM results_all WHERE sweep = 'faces' AND threads = 1\" --json", 2},
        {"top --all --json", 2},
        {"top --all --json --sweep faces", 2},
        {"top --all --json --where \"sweep = 'faces2'\"", 2},
        {"ls faces --json", 2},
        {"ls faces2 --json --where \"sweep = 'faces'\"", 2},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        json_t *j = sweep_json_in(s.dir, cases[i].args);
        if (json_array_size(j) != cases[i].rows) fprintf(stderr, "%s: %zu\n", cases[i].args, json_array_size(j));
        CU_ASSERT_EQUAL(json_array_size(j), cases[i].rows);
        json_decref(j);
    }
    json_t *j = sweep_json_in(s.dir, "top --json");
    CU_ASSERT_EQUAL(json_array_size(j), 1);
    CU_ASSERT_EQUAL(json_int(json_array_get(j, 0), "seeds", 0), 2);
    json_decref(j);
    run(&s, "report faces --out all");
    struct arena a = {0};
    char *text = NULL;
    int lines = 0;
    TEST_OK(fs_read(&text, NULL, fs_join(&a, s.dir, "all/results.csv")));
    for (const char *p = text; p && (p = strchr(p, '\n')); p++) lines++;
    CU_ASSERT_EQUAL(lines, 3);
    free(text);
    arena_free(&a);
}

static const struct test tests[] = {TEST(cli_history__lists_states_and_what_differs),
                                    TEST(cli_ls__shows_earlier_trials_on_request),
                                    TEST(cli_query__finds_a_trial_by_either_sweep)};
TEST_MAIN("cli.history", tests)
