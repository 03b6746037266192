/* The program as a user meets it: exit codes, words, times, output that other programs can read. */
#include "answer.h"
#include "store.h"
#include <time.h>
#include <unistd.h>

static char *keep(const char *s)
{
    static char ring[4][400];
    static int at;
    char *out = ring[at++ % 4];
    snprintf(out, sizeof ring[0], "%s", s);
    return out;
}

/* A database with two finished trials of a sweep and one that failed. */
static void fill(const char *dir)
{
    /* Wider than a column of a table. */
    static const char reason[] = "faces/input/a-face-with-a-rather-long-name.jpg: the image cannot be decoded: it ends";
    static const struct {
        const char *id, *arch, *state;
        double ssim, p50;
    } rows[] = {{"aaaa00000001", "unet", "done", 0.5, 20},
                {"aaab00000002", "fpn", "done", 0.7, 40},
                {"cccc00000003", "linknet", "failed", 0, 0}};
    char path[500];
    struct store *s;
    snprintf(path, sizeof path, "%s/results/sweep.db", dir);
    TEST_OK(store_open(&s, (struct store_options){.path = path, .command = "test"}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    TEST_OK(store_begin(s));
    int64_t sweep = 0;
    json_t *spec = json_object();
    TEST_OK(store_put_sweep(s, &(struct store_sweep){.name = "tiny", .path = "t.yaml", .rank = "ssim", .spec = spec},
                            &sweep));
    for (size_t i = 0; i < LEN(rows); i++) {
        TEST_OK(store_put_trial(s, &(struct store_trial){.id = rows[i].id,
                                                         .arch = rows[i].arch,
                                                         .backbone = "resnet18",
                                                         .loss_key = "l",
                                                         .height = 64,
                                                         .width = 64,
                                                         .config = spec}));
        TEST_OK(store_put_sweep_trial(s, sweep, rows[i].id, (int)i, spec));
        struct store_stage g = {
            .key = rows[i].id, .trial = rows[i].id, .stage = "train", .format = "onnx", .device = "cpu"};
        TEST_OK(store_stage_start(s, &g));
        json_t *m = json_pack("{s:s, s:{s:f}}", "ev", "metrics", "values", "ssim", rows[i].ssim);
        json_t *l = json_pack("{s:s, s:i, s:i, s:i, s:i, s:f, s:[f]}", "ev", "latency", "threads", 1, "height", 64,
                              "width", 64, "n", 1, "p50_ms", rows[i].p50, "samples_us", rows[i].p50 * 1000);
        if (strcmp(rows[i].state, "done") == 0) {
            TEST_OK(store_event(s, &g, m));
            TEST_OK(store_event(s, &g, l));
        }
        json_decref(m);
        json_decref(l);
        TEST_OK(store_stage_end(s, g.key, rows[i].state, NULL, 1, 0));
        TEST_OK(store_set_trial(s, rows[i].id, rows[i].state, i == 2 ? reason : NULL));
    }
    json_decref(spec);
    TEST_OK(store_commit(s));
    store_close(s);
}

static void cli__exit_codes_and_words(void)
{
    static const struct {
        const char *args;
        int code;
        const char *out, *err; /* parts, NULL: nothing is asked of it */
    } cases[] = {
        {"--version", 0, "sweep 0.", NULL},
        {"--help", 0, "usage: sweep COMMAND", NULL},
        {"", 2, "usage: sweep COMMAND", NULL},
        {"run --help", 0, "sweep run configs/*.yaml", NULL},
        {"help top", 0, "--by COLUMN", NULL},
        {"runn x.yaml", 2, NULL, "did you mean run?"},
        {"run a.yaml --executor slurm --gpus 3,x", 2, NULL, "--gpus: got \"3,x\", expected all, none or numbers"},
        {"run a.yaml --executor slurm --slots abc", 2, NULL, "--slots: got \"abc\""},
        {"run a.yaml --executor slurm --gpus 3 --jobs x", 2, NULL, "--jobs: got \"x\""}, /* this machine has no GPU 3 */
        {"run a.yaml --executor slurm --jobs abc", 2, NULL, "--jobs: got \"abc\", expected a whole number"},
        {"plan a.yaml --set loss.weights=random", 0, NULL, NULL},
        {"top --lmit 3", 2, NULL, "did you mean --limit?"},
        {"top --limit many", 2, NULL, "--limit: got \"many\", expected a whole number"},
        {"top --limit", 2, NULL, "--limit: expected N after it"},
        {"top --json=1", 2, NULL, "--json: takes no value"},
        {"top --limit 1 --limit 2", 2, NULL, "given twice"},
        {"run", 2, NULL, "expected FILE..."},
        {"query a b", 2, NULL, "\"b\" is one argument too many"},
        {"run none.yaml", 2, NULL, "none.yaml"},
        {"plan bad.yaml", 2, NULL, "bad.yaml:2:"},
        {"plan a.yaml --set model.weights=torn.safetensors", 2, NULL, "model.weights: torn.safetensors: header"},
        {"run a.yaml --set loss.weights=torn.safetensors", 2, NULL, "loss.weights: torn.safetensors: header"},
        {"zoo shwo", 2, NULL, "expected ls, show or dump"},
        {"zoo show unet resnet19", 2, NULL, "resnet18"},
        {"zoo show unet resnet18", 0, "14.3 M", NULL},
        {"show zzzz", 2, NULL, "not in the database"},
        {"show ''", 2, NULL, "got an empty trial"},
        {"show aaa", 2, NULL, "several begin so (aaaa00000001, aaab00000002"},
        {"show aaaa", 0, "unet", NULL},
        {"show cccc", 0, "be decoded: it ends\n", NULL},
        {"ls tinny", 2, NULL, "did you mean tiny?"},
        {"ls", 0, "tiny", NULL},
        {"ls tiny --where \"state = 'failed'\"", 0, "cccc00000003", NULL},
        {"top --where 'nonsense <'", 2, NULL, "syntax error"},
        {"top --by 'ssim; DROP TABLE trials'", 2, NULL, "expected a column"},
        {"query 'DELETE FROM trials'", 2, NULL, "only statements that read"},
        {"query 'SELECT 1' --db none.db", 2, NULL, "there is no such database yet"},
        {"bench none.onnx", 2, NULL, "there is no such file"},
        {"db check", 0, "sound", NULL},
        {"db fix", 2, NULL, "expected check, backup or merge"},
        {"db backup", 2, NULL, "backup FILE"},
        {"db backup copy.db", 0, "copy.db", NULL},
        {"db backup copy.db", 2, NULL, "never replaces"},
        {"db merge copy.db", 0, "copy.db: 0 new trials, 0 stages, 0 files", NULL},
        {"db merge none.db", 2, NULL, "there is no such database"},
        {"status", 0, "nothing runs", NULL},
        {"gc", 0, NULL, "0 files"},
        {"retry", 2, NULL, "expected --failed"},
        {"retry --failed --sweep tinny", 2, NULL, "did you mean tiny?"},
        {"retry zzzz", 2, NULL, "not in the database"},
        {"retry --failed --db other.db", 0, NULL, "no trial has failed"},
        {"run a.yaml --redo trian", 2, NULL, "did you mean train?"},
        {"keys", 0, "train.lr", NULL},
        {"weights ls", 0, "weights/resnet18.imagenet.safetensors", NULL},
        {"report nosuch", 2, NULL, "nosuch"},
    };
    const char *dir = keep(test_dir());
    char path[500];
    fill(dir);
    snprintf(path, sizeof path, "%s/bad.yaml", dir);
    TEST_OK(fs_write(path, "name: bad\ntrain: {epochs: -1}\n", 30));
    snprintf(path, sizeof path, "%s/torn.safetensors", dir);
    TEST_OK(fs_write(path, "\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10)); /* a header longer than any file */
    snprintf(path, sizeof path, "%s/a.yaml", dir);
    static const char good[] = "name: a\ndata: {size: 64, pairs: 8}\n";
    TEST_OK(fs_write(path, good, sizeof good - 1));
    for (size_t i = 0; i < LEN(cases); i++) {
        struct answer a = sweep_in(dir, cases[i].args);
        bool right = a.code == cases[i].code && (!cases[i].out || strstr(a.out, cases[i].out)) &&
                     (!cases[i].err || strstr(a.err, cases[i].err));
        if (!right) fprintf(stderr, "sweep %s: %d\n%s\n%s\n", cases[i].args, a.code, a.out, a.err);
        CU_ASSERT_TRUE(right);
        if (a.code == 2 && cases[i].args[0]) CU_ASSERT_STRING_EQUAL(a.out, ""); /* stdout is data */
        answer_free(&a);
    }
}

static void cli__data_is_json_and_csv(void)
{
    static const char *const json[] = {"ls",
                                       "ls tiny",
                                       "top",
                                       "query 'SELECT * FROM results'",
                                       "status",
                                       "gc",
                                       "show aaaa",
                                       "zoo ls",
                                       "keys",
                                       "doctor",
                                       "weights ls",
                                       "zoo show fpn resnet18",
                                       "query \"SELECT 1 AS a WHERE 0\""};
    const char *dir = keep(test_dir());
    fill(dir);
    for (size_t i = 0; i < LEN(json); i++) {
        char args[200];
        snprintf(args, sizeof args, "%s --json", json[i]);
        struct answer a = sweep_in(dir, args);
        json_t *j = NULL;
        TEST_OK(json_parse(&j, args, a.out, strlen(a.out)));
        CU_ASSERT_TRUE(json_is_array(j) || json_is_object(j));
        json_decref(j);
        answer_free(&a);
    }
    struct answer a = sweep_in(dir, "top --csv");
    CU_ASSERT_PTR_NOT_NULL(strstr(a.out, "trial,arch,backbone,"));
    const char *best = strstr(a.out, "aaab0000"), *second = strstr(a.out, "aaaa0000");
    CU_ASSERT_TRUE(best && second && best < second); /* a higher ssim first */
    CU_ASSERT_PTR_NULL(strstr(a.out, "cccc0000"));
    answer_free(&a);
    a = sweep_in(dir, "top --by p50_ms --csv");
    best = strstr(a.out, "aaab0000"), second = strstr(a.out, "aaaa0000");
    CU_ASSERT_TRUE(best && second && best > second); /* the faster first */
    answer_free(&a);
    a = sweep_in(dir, "query \"SELECT 'a,b' AS \\\"x y\\\", NULL AS n, 1.5 AS r, 'q\\\"q' AS q\" --csv");
    CU_ASSERT_STRING_EQUAL(a.out, "x y,n,r,q\n\"a,b\",,1.5,\"q\"\"q\"\n");
    answer_free(&a);
}

/* The fastest of some tries: other programs may share the machine. */
static double fastest_ms(const char *dir, const char *args)
{
    double best = 1e9;
    for (int i = 0; i < 30; i++) {
        struct answer a = sweep_in(dir, args);
        CU_ASSERT_EQUAL(a.code, 0);
        if (a.ms < best) best = a.ms;
        answer_free(&a);
    }
    return best;
}

static void cli__starts_fast(void)
{
    const char *dir = keep(test_dir());
    fill(dir);
    const double factor = TEST_SANITIZED ? 20 : 1;
    CU_ASSERT_TRUE(fastest_ms(dir, "--version") < 10 * factor);
    CU_ASSERT_TRUE(fastest_ms(dir, "query 'SELECT arch, backbone, ssim, p50_ms FROM results'") < 20 * factor);
}

static void cli__links_no_libtorch(void)
{
    char command[600];
    snprintf(command, sizeof command, "ldd '%s/sweep' | grep -q -i -e torch -e libc10 -e onnxruntime",
             test_build_dir());
    CU_ASSERT_TRUE(WEXITSTATUS(system(command)) == 1);
}

static void cli_run__refuses_a_folder_that_cannot_be_written(void)
{
    const char *dir = keep(test_dir());
    char path[500];
    snprintf(path, sizeof path, "%s/a.yaml", dir);
    static const char yaml[] = "name: a\ndata: {size: 64, pairs: 8}\n";
    TEST_OK(fs_write(path, yaml, sizeof yaml - 1));
    struct answer a = sweep_in(dir, "run a.yaml --db a.yaml/results/sweep.db");
    CU_ASSERT_EQUAL(a.code, 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(a.err, "a.yaml/results"));
    answer_free(&a);
    a = sweep_in(dir, "plan a.yaml --json");
    json_t *j = NULL;
    TEST_OK(json_parse(&j, "plan", a.out, strlen(a.out)));
    CU_ASSERT_EQUAL(json_array_size(json_object_get(j, "trials")), 1);
    CU_ASSERT_EQUAL(json_int(json_object_get(j, "summary"), "run", -1), 1);
    json_decref(j);
    answer_free(&a);
}

static void cli_keys__begin_so(void)
{
    const char *dir = keep(test_dir());
    json_t *keys = sweep_json_in(dir, "keys train.e --json");
    CU_ASSERT_TRUE(json_array_size(keys) >= 2);
    for (size_t i = 0; i < json_array_size(keys); i++)
        CU_ASSERT_EQUAL(strncmp(json_str(json_array_get(keys, i), "key", ""), "train.e", 7), 0);
    json_decref(keys);
    struct answer a = sweep_in(dir, "keys train.epochs");
    CU_ASSERT_PTR_NOT_NULL(strstr(a.out, "train.epochs: "));
    CU_ASSERT_PTR_NULL(strchr(a.out, '|'));
    answer_free(&a);
    a = sweep_in(dir, "keys trian.lr");
    CU_ASSERT_EQUAL(a.code, 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(a.err, "did you mean train.lr?"));
    answer_free(&a);
}

static void cli_doctor__tells_of_gpus(void)
{
    const char *dir = keep(test_dir()), *file = "A100 81920 80000 8.0\nL4 16384 4096 8.9 41=8000\n";
    char path[500];
    snprintf(path, sizeof path, "%s/gpus", dir);
    TEST_OK(fs_write(path, file, strlen(file)));
    setenv("FAKE_NVML", path, 1);
    snprintf(path, sizeof path, "%s/fake-nvml.so", test_build_dir());
    setenv("SWEEP_NVML", path, 1);
    struct answer a = sweep_in(dir, "doctor");
    CU_ASSERT_PTR_NOT_NULL(strstr(a.out, "A100, 80.0 GiB, 78.1 free, GPU-A100"));
    CU_ASSERT_PTR_NOT_NULL(strstr(a.out, "process 41 uses 7.8 GiB"));
    answer_free(&a);
    setenv("CUDA_VISIBLE_DEVICES", "1", 1);
    a = sweep_in(dir, "doctor --json");
    json_t *rows = NULL;
    TEST_OK(json_parse(&rows, "doctor", a.out, strlen(a.out)));
    const json_t *gpu = json_object_get(json_array_get(rows, 0), "gpu");
    CU_ASSERT_STRING_EQUAL(json_str(gpu, "uuid", ""), "GPU-L4");
    CU_ASSERT_EQUAL(json_int(gpu, "bytes_free", 0), (int64_t)4096 << 20);
    json_decref(rows);
    answer_free(&a);
    unsetenv("CUDA_VISIBLE_DEVICES");
    setenv("SWEEP_NVML", "none.so", 1);
    a = sweep_in(dir, "doctor");
    CU_ASSERT_PTR_NOT_NULL(strstr(a.out, "none.so cannot be loaded: no NVIDIA driver here; the CPU trains"));
    CU_ASSERT_PTR_NULL(strstr(a.out, "OK        gpu"));
    CU_ASSERT_PTR_NOT_NULL(strstr(a.out, "OK        reports       reports: none yet, can be made"));
    CU_ASSERT_PTR_NOT_NULL(strstr(a.out, "optional  weights       none in weights/"));
    answer_free(&a);
    snprintf(path, sizeof path, "%s/reports", dir);
    TEST_OK(fs_write(path, "", 0)); /* a file in its place */
    snprintf(path, sizeof path, "%s/weights", dir);
    TEST_OK(fs_mkdir(path));
    snprintf(path, sizeof path, "%s/weights/torn.imagenet.safetensors", dir);
    TEST_OK(fs_write(path, "torn", 4));
    a = sweep_in(dir, "doctor");
    CU_ASSERT_EQUAL(a.code, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(a.out, "missing   reports       reports: cannot be written"));
    CU_ASSERT_PTR_NOT_NULL(strstr(a.out, "missing   weights       weights/torn.imagenet.safetensors"));
    answer_free(&a);
    unsetenv("SWEEP_NVML");
}

static const struct test tests[] = {
    TEST(cli__exit_codes_and_words),
    TEST(cli__data_is_json_and_csv),
    TEST(cli__starts_fast),
    TEST(cli__links_no_libtorch),
    TEST(cli_run__refuses_a_folder_that_cannot_be_written),
    TEST(cli_keys__begin_so),
    TEST(cli_doctor__tells_of_gpus),
};

TEST_MAIN("cli", tests)
