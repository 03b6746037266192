/*
 * Sweeps on a real Slurm of one node, by the real program and a scripted worker: tasks that are cancelled or queued
 * again, a login node that leaves, refusals. The table in the end is that of a run on this machine.
 */
#include "one_node.h"
#include "store.h"

enum { PATIENCE = 600 }; /* x 100 ms: for what must happen, on a machine that may be busy */

/* A folder with the program beside a worker that acts. */
static const char *placed(const char *dir)
{
    static const char *const programs[][2] = {
        {"sweep", "sweep"}, {"fake-worker", "sweep-worker"}, {"fake-worker", "sweep-bench"}};
    static const char yaml[] = "name: grid\n"
                               "axes: {arch: [unet, fpn, linknet], backbone: [resnet18, resnet34], seed: [0, 1]}\n"
                               "data: {size: 64, pairs: 8}\n"
                               "loss: {network: resnet18, feature_weights: [1], gram_weights: [1]}\n"
                               "slurm: {mem: 1G}\n";
    struct arena a = {0};
    for (size_t i = 0; i < LEN(programs); i++) {
        const char *from = fs_join(&a, test_build_dir(), programs[i][0]), *to = fs_join(&a, dir, programs[i][1]);
        char *text = NULL;
        size_t n = 0;
        if (link(from, to) == 0) continue;
        TEST_OK(fs_read(&text, &n, from)); /* another disk */
        TEST_OK(fs_write(to, text, n));
        chmod(to, 0755);
        free(text);
    }
    TEST_OK(fs_write(fs_join(&a, dir, "s.yaml"), yaml, strlen(yaml)));
    arena_free(&a);
    return dir;
}

struct answer {
    int code;
    char *out, *err;
};

static char *text_of(const char *dir, const char *name)
{
    struct arena a = {0};
    char *text = NULL;
    TEST_OK(fs_read(&text, NULL, fs_join(&a, dir, name)));
    arena_free(&a);
    return text ? text : mem_strdup("");
}

/* `ENV sweep ARGS` in the folder, by the shell. */
static struct answer sweep(const char *dir, const char *environment, const char *args)
{
    struct answer a = {.code = -1};
    struct str command = {0};
    str_addf(&command, "cd '%s' && %s ./sweep %s >out.txt 2>err.txt </dev/null", dir, environment, args);
    int status = system(command.s);
    a.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    a.out = text_of(dir, "out.txt");
    a.err = text_of(dir, "err.txt");
    str_free(&command);
    return a;
}

static void answer_free(struct answer *a)
{
    free(a->out);
    free(a->err);
}

static void expect(const struct answer *a, int code, const char *words)
{
    CU_ASSERT_EQUAL(a->code, code);
    CU_ASSERT_PTR_NOT_NULL(strstr(a->err, words));
    if (a->code != code || !strstr(a->err, words))
        fprintf(stderr, "exit %d, expected \"%s\":\n%s", a->code, words, a->err);
}

/* A command of the shell prints this; false when it does not come to it. */
static bool comes_to(const char *command, const char *wanted)
{
    char line[200] = "";
    for (int i = 0; i < PATIENCE; i++, cluster_nap(100)) {
        FILE *f = popen(command, "r"); /* what it looks at may not be there yet */
        if (f && !fgets(line, sizeof line, f)) line[0] = 0;
        if (f) pclose(f);
        line[strcspn(line, "\n")] = 0;
        if (strcmp(line, wanted) == 0) return true;
    }
    fprintf(stderr, "%s: got \"%s\", expected \"%s\"\n", command, line, wanted);
    return false;
}

/* A command that runs in the folder. */
static const char *in(const char *dir, const char *command)
{
    static char ring[4][900];
    static int at;
    char *out = ring[at++ % 4];
    snprintf(out, sizeof ring[0], "exec 2>/dev/null; cd '%s' && %s", dir, command);
    return out;
}

static void shell(const char *command)
{
    CU_ASSERT_EQUAL(system(command), 0);
}

/* What a sweep came to, without what depends on time. */
static json_t *table_of(const char *dir)
{
    static const char *const queries[] = {
        "SELECT trial, sweep, arch, backbone, seed, state, reason, ssim, psnr, val_loss, p50_ms, params, macs, "
        "loss_key, "
        "config FROM results ORDER BY trial",
        "SELECT key, trial, stage, format, device, state, reason FROM stages ORDER BY key",
        "SELECT * FROM metrics ORDER BY stage_key, name, epoch",
        "SELECT stage_key, trial, kind, format, name, path, bytes, hash FROM artifacts ORDER BY stage_key, kind",
        "SELECT stage_key, trial, format, device, threads, visit, n, p50_ms, hex(samples) AS samples FROM "
        "latencies " /* not: busy */
        "ORDER BY stage_key, visit",
        "SELECT sweep, trial, ordinal, axes FROM sweep_trials ORDER BY ordinal",
    };
    struct arena a = {0};
    struct store *s = NULL;
    json_t *all = json_array();
    TEST_OK(store_open(&s, (struct store_options){.path = fs_join(&a, dir, "results/sweep.db"), .read_only = true}));
    for (size_t i = 0; i < LEN(queries) && s; i++) {
        json_t *rows = NULL;
        TEST_OK(store_rows(&rows, s, queries[i], NULL));
        json_array_append_new(all, rows);
    }
    if (s) TEST_OK(store_integrity(s));
    store_close(s);
    arena_free(&a);
    return all;
}

/* The same sweep without a cluster, once. */
static const json_t *local_table(void)
{
    static json_t *table;
    char dir[400];
    if (table) return table;
    snprintf(dir, sizeof dir, "%s", placed(test_dir()));
    struct answer a = sweep(dir, "", "run s.yaml --no-report");
    expect(&a, 0, "12 done");
    answer_free(&a);
    table = table_of(dir);
    return table;
}

static void same_as_local(const char *dir)
{
    json_t *got = table_of(dir);
    CU_ASSERT_TRUE(json_equal(got, local_table()));
    for (size_t i = 0; i < json_array_size(got) && !json_equal(got, local_table()); i++) {
        const json_t *x = json_array_get(got, i), *y = json_array_get(local_table(), i);
        for (size_t k = 0; k < json_array_size(x) || k < json_array_size(y); k++) {
            const json_t *p = json_array_get(x, k), *q = json_array_get(y, k);
            if (p && q && json_equal(p, q)) continue;
            char *left = p ? json_dumps(p, 0) : mem_strdup("-"), *right = q ? json_dumps(q, 0) : mem_strdup("-");
            fprintf(stderr, "got  %s\nnot  %s\n", left, right);
            free(left);
            free(right);
        }
    }
    json_decref(got);
}

static void nothing_twice(const char *dir)
{
    /* "KEY STAGE VISIT done ...": each once */
    CU_ASSERT_TRUE(
        comes_to(in(dir, "grep ' done ' results/trials/runs.log | cut -d' ' -f1-3 | sort | uniq -d | wc -l"), "0"));
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */

static void cli_slurm__equals_a_local_run(void)
{
    char dir[400];
    if (!cluster_up()) CU_FAIL_FATAL("no Slurm");
    snprintf(dir, sizeof dir, "%s", placed(test_dir()));
    struct answer a = sweep(dir, "FAKE_train=wait", "run s.yaml --executor slurm --set slurm.array_width=4 --detach");
    expect(&a, 0, "4 tasks");
    answer_free(&a);
    /* Four tasks train. One is cancelled; one is told that its time is over, and comes back; one dies without a word.
     */
    CU_ASSERT_TRUE(comes_to(in(dir, "grep -c ' train -1 start ' results/trials/runs.log"), "4"));
    a = sweep(dir, "", "status --json");
    CU_ASSERT_PTR_NOT_NULL(strstr(a.out, "\"jobs_running\": 4"));
    CU_ASSERT_PTR_NOT_NULL(strstr(a.out, "\"running\": 4"));
    CU_ASSERT_PTR_NOT_NULL(strstr(a.out, "\"waiting\": 8"));
    answer_free(&a);
    shell(in(dir, "id=$(sed -nE 's/.*\"id\": \"([0-9]+)\".*/\\1/p' results/grid/slurm/0001/submission.json); "
                  "scancel ${id}_0 && scancel --batch --signal=USR1 ${id}_1 && scancel --batch --signal=KILL ${id}_2"));
    CU_ASSERT_TRUE(comes_to(
        in(dir, "cat results/grid/slurm/0001/journal/*.jsonl | grep -c '^{\"left\":{\"state\":\"interrupted'"), "2"));
    CU_ASSERT_TRUE(
        comes_to(in(dir, "grep -l '^{\"claim\".*\"restart\":1' results/grid/slurm/0001/journal/* | wc -l"), "1"));
    CU_ASSERT_TRUE(comes_to("squeue -h -r -t running -o %i | wc -l", "2"));
    shell(in(dir, "cat results/grid/slurm/0001/log/*_1.out | grep -q 'queued again'"));
    /* Same command, no detaching: it finds the jobs, and waits. */
    shell(in(dir, "touch results/trials/go"));
    a = sweep(dir, "FAKE_train=wait", "run s.yaml --executor slurm --set slurm.array_width=4 --no-report --no-tty");
    expect(&a, 0, "its jobs are there already");
    expect(&a, 0, "12 of 12 trials done");
    answer_free(&a);
    same_as_local(dir);
    nothing_twice(dir);
    /* Merged again, and asked for again: nothing is new. */
    shell(in(dir, "rm results/grid/slurm/0001/collected.json"));
    a = sweep(dir, "", "collect grid");
    expect(&a, 0, "grid: 0 new stages in the database\n");
    answer_free(&a);
    a = sweep(dir, "", "run s.yaml --executor slurm --no-report");
    expect(&a, 0, "nothing is to be done");
    answer_free(&a);
    same_as_local(dir);
}

static void cli_slurm__is_left_cancelled_and_gone_on_with(void)
{
    char dir[400];
    if (!cluster_up()) CU_FAIL_FATAL("no Slurm");
    snprintf(dir, sizeof dir, "%s", placed(test_dir()));
    /* 12 tasks do not fit into an array of this site, which takes 8. Ctrl-C leaves them alone. */
    shell(in(dir, "{ FAKE_train=wait ./sweep run s.yaml --executor slurm --no-tty >o 2>e & echo $! >pid; }"));
    CU_ASSERT_TRUE(comes_to(in(dir, "grep -c ' train -1 start ' results/trials/runs.log"), "12"));
    CU_ASSERT_TRUE(comes_to(in(dir, "grep -cE ': (8|4) tasks' e"), "2"));
    shell(in(dir, "kill -INT $(cat pid)"));
    CU_ASSERT_TRUE(comes_to(in(dir, "grep -c 'left; the jobs go on' e"), "1"));
    struct answer a = sweep(dir, "", "run s.yaml --executor slurm --set train.epochs=7");
    expect(&a, 2, "of another plan");
    answer_free(&a);
    /* Nobody else touches their trials meanwhile. */
    static const char *const others[] = {"run s.yaml", "run s.yaml --executor slurm --set name=other", "gc"};
    for (size_t i = 0; i < LEN(others); i++) {
        a = sweep(dir, "", others[i]);
        expect(&a, 2, "sweep grid: ");
        answer_free(&a);
    }
    a = sweep(dir, "", "cancel grid");
    expect(&a, 0, "new stages in the database\n");
    answer_free(&a);
    CU_ASSERT_TRUE(comes_to("squeue -h | wc -l", "0"));
    a = sweep(dir, "", "query \"SELECT count(*) AS n FROM trials WHERE state = 'interrupted'\" --csv");
    CU_ASSERT_STRING_EQUAL(a.out, "n\n12\n");
    answer_free(&a);
    /* What was left goes on, here on the cluster; on this machine it would as well. */
    shell(in(dir, "touch results/trials/go"));
    a = sweep(dir, "FAKE_train=wait", "run s.yaml --executor slurm --no-report --no-tty --set slurm.array_width=2");
    expect(&a, 0, "12 of 12 trials done");
    answer_free(&a);
    same_as_local(dir);
    nothing_twice(dir);
}

static void cli_slurm__says_what_is_in_the_way(void)
{
    char dir[400], path[500];
    if (!cluster_up()) CU_FAIL_FATAL("no Slurm");
    snprintf(dir, sizeof dir, "%s", placed(test_dir()));
    static const struct {
        const char *environment, *args, *words;
    } rows[] = {
        {"PATH=/nowhere", "run s.yaml --executor slurm", "scontrol: not on the PATH"},
        {"", "run s.yaml --executor slurm --set slurm.partition=none",
         "Invalid partition name specified; set slurm.partition: `sinfo -s`"},
        {"", "run s.yaml --executor slurm --set slurm.mem=900G", "lower slurm.mem"},
        {"", "run s.yaml --executor slurm --set slurm.extra=--nonsense", "see slurm.extra"},
        {"", "run s.yaml s.yaml --executor slurm", "is also the name of"},
        {"", "run s.yaml --executor slrum", "expected local or slurm; did you mean slurm?"},
        {"", "run s.yaml --detach", "expected --executor slurm"},
        {"", "collect nothing", "nothing of it was submitted"},
        {"", "task results 99999", "sweep task: got bucket \"99999\""},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct answer a = sweep(dir, rows[i].environment, rows[i].args);
        expect(&a, 2, rows[i].words);
        answer_free(&a);
    }
    CU_ASSERT_TRUE(comes_to("squeue -h | wc -l", "0")); /* nothing stays of what was refused */
    snprintf(path, sizeof path, "%s/results/grid", dir);
    CU_ASSERT_TRUE(comes_to(in(dir, "find results/grid -type f | wc -l"), "0"));
    shell(in(dir, "rm -rf results/grid && touch results/grid"));
    struct answer a = sweep(dir, "", "run s.yaml --executor slurm");
    expect(&a, 2, "must be writable, on a disk that the nodes share");
    answer_free(&a);
}

static void cli_slurm__tells_where_the_jobs_told_why(void)
{
    char dir[400];
    if (!cluster_up()) CU_FAIL_FATAL("no Slurm");
    snprintf(dir, sizeof dir, "%s", placed(test_dir()));
    shell(in(dir, "rm sweep-worker"));
    struct answer a = sweep(dir, "", "run s.yaml --executor slurm --set slurm.array_width=1 --no-report --no-tty");
    expect(&a, 1, "12 trials are not finished: ");
    answer_free(&a);
    shell(in(dir, "grep -q 'sweep-worker: cannot be started' results/grid/slurm/0001/log/*.out"));
}

static const struct test tests[] = {
    TEST(cli_slurm__equals_a_local_run),
    TEST(cli_slurm__is_left_cancelled_and_gone_on_with),
    TEST(cli_slurm__says_what_is_in_the_way),
    TEST(cli_slurm__tells_where_the_jobs_told_why),
};
TEST_MAIN("cli.slurm", tests)
