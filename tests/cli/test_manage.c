/* Looking after trials: diff, the axes that ls shows, rm and what it must leave alone. */
#include "answer.h"
#include "site.h"
#include "store.h"

static const char two[] = "name: two\nseeds: 2\naxes: {train.lr: [0.01, 0.02], encoder: [{train.momentum: 0.8}, "
                          "{train.momentum: 0.7}]}\ndata: {size: 64, pairs: 6}\nexport: []\n";

static void run(const struct site *s, const char *args, int want)
{
    struct arena a = {0};
    int code = site_wait(site_start(s, args, "words"));
    char *said = site_said(s, "words");
    if (code != want) fprintf(stderr, "sweep %s: %d\n%s\n", args, code, said);
    CU_ASSERT_EQUAL(code, want);
    free(said);
    arena_free(&a);
}

static void write_yaml(const struct site *s, const char *name, const char *text)
{
    struct arena a = {0};
    TEST_OK(fs_write(fs_join(&a, s->dir, name), text, strlen(text)));
    arena_free(&a);
}

static void contains(const char *text, const char *part)
{
    if (!strstr(text, part)) fprintf(stderr, "\n%s\nlacks: %s\n", text, part);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, part));
}

/* Of the only row of a query. */
static int64_t number(const struct site *s, const char *sql)
{
    struct arena a = {0};
    json_t *j = sweep_json_in(s->dir, arena_printf(&a, "query \"%s\" --json", sql));
    int64_t n = json_int(json_array_get(j, 0), "n", -1);
    json_decref(j);
    arena_free(&a);
    return n;
}

static int64_t folders(const struct site *s, const json_t *ids)
{
    struct arena a = {0};
    int64_t n = 0;
    for (size_t i = 0; i < json_array_size(ids); i++)
        n +=
            fs_is_dir(arena_printf(&a, "%s/results/trials/%s", s->dir, json_str(json_array_get(ids, i), "trial", "-")));
    arena_free(&a);
    return n;
}

static void cli_diff__says_where_two_trials_differ(void)
{
    struct site s = site_make(two, "ok:1");
    struct arena a = {0};
    run(&s, "run a.yaml --no-report --no-tty", 0);
    json_t *rows = sweep_json_in(s.dir, "ls two --json");
    CU_ASSERT_EQUAL(json_array_size(rows), 8);
    const json_t *first = json_array_get(rows, 0), *last = json_array_get(rows, 7);
    CU_ASSERT_TRUE(json_num(first, "train.lr", 0) < 0.011 && json_num(last, "train.lr", 0) > 0.019);
    CU_ASSERT_TRUE(json_num(first, "train.momentum", 0) > 0.79 && json_num(last, "train.momentum", 0) < 0.71);
    CU_ASSERT_PTR_NULL(json_object_get(first, "train.epochs"));
    CU_ASSERT_PTR_NULL(json_object_get(first, "encoder"));
    const char *id[2] = {json_str(first, "trial", ""), json_str(last, "trial", "")};
    json_t *j = sweep_json_in(s.dir, arena_printf(&a, "diff %s %s --json", id[0], id[1]));
    json_t *settings = json_object_get(j, "settings");
    CU_ASSERT_EQUAL(json_array_size(settings), 3); /* lr, momentum, seed */
    CU_ASSERT_TRUE(json_array_size(json_object_get(j, "results")) > 1);
    for (size_t i = 0; i < json_array_size(settings); i++) {
        const json_t *row = json_array_get(settings, i);
        if (strcmp(json_str(row, "key", ""), "train.lr") != 0) continue;
        CU_ASSERT_TRUE(json_num(row, "a", 0) < 0.011 && json_num(row, "b", 0) > 0.019);
    }
    json_decref(j);
    struct answer w = sweep_in(s.dir, arena_printf(&a, "diff %s %s", id[0], id[0]));
    CU_ASSERT_EQUAL(w.code, 0);
    contains(w.out, "their settings are the same");
    answer_free(&w);
    w = sweep_in(s.dir, arena_printf(&a, "diff %s nobody", id[0]));
    CU_ASSERT_EQUAL(w.code, 2);
    contains(w.err, "trial \"nobody\": not in the database");
    answer_free(&w);
    json_decref(rows);
    arena_free(&a);
}

/* Sweep `a` has seeds 0 to 2, sweep `b` 0 and 1: two are of both. */
static struct site shared(void)
{
    struct site s = site_make("name: a\nseeds: 3\ndata: {size: 64, pairs: 6}\nexport: []\n", "ok:1");
    write_yaml(&s, "b.yaml", "name: b\nseeds: 2\ndata: {size: 64, pairs: 6}\nexport: []\n");
    run(&s, "run a.yaml --no-report --no-tty", 0);
    run(&s, "run b.yaml --no-report --no-tty", 0);
    return s;
}

static void cli_rm__asks_first(void)
{
    struct site s = shared();
    struct answer w = sweep_in(s.dir, "rm a");
    CU_ASSERT_EQUAL(w.code, 2);
    contains(w.err, "expected --yes, or --dry-run");
    answer_free(&w);
    w = sweep_in(s.dir, "rm a --dry-run");
    CU_ASSERT_EQUAL(w.code, 0);
    contains(w.err, "1 sweep, 1 trial, ");
    contains(w.err, "would go; 2 trials of another sweep stay");
    answer_free(&w);
    w = sweep_in(s.dir, "rm nobody --yes");
    CU_ASSERT_EQUAL(w.code, 2);
    contains(w.err, "no sweep has this name; as a trial: trial \"nobody\": not in the database");
    answer_free(&w);
    CU_ASSERT_EQUAL(number(&s, "SELECT count(*) AS n FROM trials"), 3);
}

static void cli_rm__leaves_what_another_sweep_asks_for(void)
{
    struct site s = shared();
    struct arena a = {0};
    json_t *all = sweep_json_in(s.dir, "ls a --json");
    CU_ASSERT_EQUAL(json_array_size(all), 3);
    CU_ASSERT_EQUAL(folders(&s, all), 3);
    const char *common = json_str(json_array_get(all, 0), "trial", "");
    struct answer w = sweep_in(s.dir, arena_printf(&a, "rm %s --yes", common));
    CU_ASSERT_EQUAL(w.code, 2);
    contains(w.err, "is of 2 sweeps, a and b");
    answer_free(&w);
    json_t *gone = sweep_json_in(s.dir, "rm a --yes --json");
    CU_ASSERT_EQUAL(json_array_size(gone), 1);
    CU_ASSERT_TRUE(json_int(json_array_get(gone, 0), "files", 0) > 0);
    CU_ASSERT_EQUAL(number(&s, "SELECT count(*) AS n FROM trials"), 2);
    CU_ASSERT_EQUAL(number(&s, "SELECT count(*) AS n FROM sweeps"), 1);
    CU_ASSERT_EQUAL(number(&s, "SELECT count(*) AS n FROM stages WHERE trial NOT IN (SELECT id FROM trials)"), 0);
    CU_ASSERT_EQUAL(number(&s, "SELECT count(*) AS n FROM metrics WHERE trial NOT IN (SELECT id FROM trials)"), 0);
    CU_ASSERT_EQUAL(folders(&s, all), 2);
    run(&s, "db check", 0);
    json_t *garbage = sweep_json_in(s.dir, "gc --json");
    for (size_t i = 0; i < json_array_size(garbage); i++) /* of what stays at most */
        CU_ASSERT_STRING_EQUAL(json_str(json_array_get(garbage, i), "reason", ""), "no stage names it");
    run(&s, arena_printf(&a, "rm %s --yes", common), 0);
    CU_ASSERT_EQUAL(number(&s, "SELECT count(*) AS n FROM trials"), 1);
    CU_ASSERT_EQUAL(folders(&s, all), 1);
    run(&s, "run b.yaml --no-report --no-tty", 0); /* what was removed is made again */
    CU_ASSERT_EQUAL(number(&s, "SELECT count(*) AS n FROM trials WHERE state = 'done'"), 2);
    run(&s, "rm b --yes", 0);
    CU_ASSERT_EQUAL(number(&s,
                           "SELECT (SELECT count(*) FROM trials) + (SELECT count(*) FROM sweeps) + (SELECT count(*) "
                           "FROM sweep_states) + (SELECT count(*) FROM stages) AS n"),
                    0);
    json_decref(all);
    json_decref(gone);
    json_decref(garbage);
    arena_free(&a);
}

static void cli_rm__refuses_what_runs(void)
{
    struct site s = shared();
    setenv("FAKE_ACT", "hang", 1);
    write_yaml(&s, "c.yaml", "name: c\ndata: {size: 64, pairs: 7}\nexport: []\n");
    pid_t pid = site_start(&s, "run c.yaml --no-report --no-tty", "running");
    char who[400], db[400];
    snprintf(db, sizeof db, "%s/results/sweep.db", s.dir);
    for (int i = 0; i < 100 && !store_writer(who, sizeof who, db); i++) usleep(50000);
    struct answer w = sweep_in(s.dir, "rm b --yes");
    CU_ASSERT_EQUAL(w.code, 2);
    contains(w.err, "sweep run c.yaml");
    answer_free(&w);
    CU_ASSERT_EQUAL(number(&s, "SELECT count(*) AS n FROM trials"), 4);
    int status; /* the second signal does not wait for the worker; two at once would be one */
    while (waitpid(pid, &status, WNOHANG) == 0) {
        kill(pid, SIGTERM);
        usleep(200000);
    }
    setenv("FAKE_ACT", "ok:1", 1);
}

static void found(const struct site *s, const char *where, size_t n)
{
    for (int i = 0; i < 2; i++) {
        struct str args = {0};
        str_addf(&args, i ? "top --all --json --where \"%s\"" : "ls two --json --where \"%s\"", where);
        json_t *j = sweep_json_in(s->dir, args.s);
        if (json_array_size(j) != n) fprintf(stderr, "%s: %zu\n", args.s, json_array_size(j));
        CU_ASSERT_EQUAL(json_array_size(j), n);
        json_decref(j);
        str_free(&args);
    }
}

static void cli_note__is_found_again(void)
{
    struct site s = site_make(two, "ok:1");
    struct arena a = {0};
    run(&s, "run a.yaml --no-report --no-tty", 0);
    json_t *rows = sweep_json_in(s.dir, "ls two --json");
    const char *id = json_str(json_array_get(rows, 3), "trial", "");
    run(&s, arena_printf(&a, "note %s 'it''s the one'", id), 0);
    run(&s, arena_printf(&a, "tag %s shown good good", id), 0);
    json_t *tags = sweep_json_in(s.dir, arena_printf(&a, "tag %s --json", id));
    CU_ASSERT_EQUAL(json_array_size(tags), 2);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(tags, 0)), "good");
    json_decref(tags);
    found(&s, "tag=good", 1);
    found(&s, "tag=goo", 0);
    found(&s, "note IS NOT NULL", 1);
    found(&s, "train.lr=1e-2", 4);
    found(&s, "state='done'", 8);
    run(&s, "run a.yaml --no-report --no-tty", 0); /* forgets nothing */
    run(&s, arena_printf(&a, "tag %s --remove good", id), 0);
    found(&s, "tag=good", 0);
    found(&s, "tag=shown", 1);
    run(&s, "ls two --where train.lr=fast", 2);
    run(&s, arena_printf(&a, "tag %s 'a b'", id), 2);
    struct answer w = sweep_in(s.dir, arena_printf(&a, "show %s", id));
    contains(w.out, "note: its the one");
    contains(w.out, "tags: [\"shown\"]");
    answer_free(&w);
    json_decref(rows);
    arena_free(&a);
}

static const struct test tests[] = {TEST(cli_diff__says_where_two_trials_differ), TEST(cli_rm__asks_first),
                                    TEST(cli_rm__leaves_what_another_sweep_asks_for), TEST(cli_rm__refuses_what_runs),
                                    TEST(cli_note__is_found_again)};
TEST_MAIN("cli.manage", tests)
