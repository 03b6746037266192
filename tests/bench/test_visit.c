/* The protocol on real files in the real runtime, and the program around it. */
#include "bench.h"
#include "models.h"
#include <math.h>

static const int64_t small[4] = {-1, 3, 16, 24}, open_size[4] = {-1, 3, -1, -1};

static void bench_visit__quick_mode_keeps_its_promises(void)
{
    const char *path = model_path("cast.onnx");
    model_cast(path, 1, 1, small);
    struct bench_result r;
    double start = time_mono();
    TEST_OK(bench_visit(&r, &(struct bench_job){.model = path, .mode = "quick", .threads = 1}));
    double seconds = time_mono() - start, sum = 0;
    CU_ASSERT(r.stats.n >= 16);
    for (int i = 0; i < r.stats.n; i++) sum += (double)r.samples_us[i] / 1e6;
    CU_ASSERT(sum < seconds);
    CU_ASSERT(seconds >= 1.0); /* half a second of warm-up, half of measuring */
    CU_ASSERT(r.load_ms > 0 && r.first_ms > 0);
    CU_ASSERT(r.stats.min_ms > 0 && r.stats.min_ms <= r.stats.p50_ms && r.stats.p50_ms <= r.stats.p99_ms);
    CU_ASSERT_EQUAL(r.stats.unstable, r.stats.cov > 0.025);
    CU_ASSERT_FALSE(r.capped);
    CU_ASSERT_EQUAL(r.height, 16);
    CU_ASSERT_EQUAL(r.width, 24);
    CU_ASSERT(r.rss_bytes > 10 << 20);
    CU_ASSERT(r.rss_bytes >= json_int(r.info, "rss_runtime_bytes", INT64_MAX));
    CU_ASSERT(json_int(r.info, "warmup_runs", 0) >= 1);
    CU_ASSERT_EQUAL(json_int(r.info, "threads", 0), 1);
    CU_ASSERT_STRING_EQUAL(json_str(r.info, "runtime", ""), "onnxruntime");
    CU_ASSERT_STRING_EQUAL(json_str(r.info, "mode", ""), "quick");
    CU_ASSERT_STRING_EQUAL(json_str(r.info, "percentile_rule", ""), "sorted[floor(n*p)]");
    CU_ASSERT(json_str(r.info, "version", "")[0] != 0);
    CU_ASSERT_PTR_NOT_NULL(json_object_get(r.info, "governor_before"));
    CU_ASSERT_PTR_NOT_NULL(json_object_get(r.info, "celsius_after"));
    bench_result_free(&r);
}

static void bench_ort__converts_by_declared_type(void)
{
    static const struct {
        int from, to;
    } types[] = {{1, 1}, {2, 1}, {10, 1}, {1, 2}, {1, 10}, {3, 7}};
    struct bench_array in = {.rank = 4, .shape = {2, 3, 16, 24}};
    float data[2 * 3 * 16 * 24];
    for (size_t i = 0; i < LEN(data); i++) data[i] = (float)(i % 100);
    in.data = data;
    for (size_t t = 0; t < LEN(types); t++) {
        const char *path = model_path("types.onnx");
        struct bench_model *o = NULL;
        struct bench_array out = {0};
        int n, wrong = 0;
        model_cast(path, types[t].from, types[t].to, small);
        TEST_OK(bench_open(&o, NULL, path, 1));
        CU_ASSERT_PTR_NOT_NULL_FATAL(o);
        CU_ASSERT_EQUAL(bench_inputs(o, &n)[0].type, types[t].from);
        CU_ASSERT_EQUAL(bench_inputs(o, &n)[0].shape[0], -1);
        CU_ASSERT_STRING_EQUAL(bench_outputs(o, &n)[0].name, "y");
        TEST_OK(bench_run(o, &in, 1, &out, 1));
        CU_ASSERT_EQUAL(bench_array_numel(&out), (int64_t)LEN(data));
        for (size_t i = 0; out.data && i < LEN(data); i++) wrong += out.data[i] != data[i];
        CU_ASSERT_EQUAL(wrong, 0);
        free(out.data);
        bench_close(o);
    }
}

static void bench_ort__wrong_shapes_are_explained(void)
{
    const char *path = model_path("shape.onnx");
    struct bench_model *o = NULL;
    float data[3 * 16 * 25] = {0};
    struct bench_array in = {.rank = 4, .shape = {1, 3, 16, 25}, .data = data}, out[2];
    model_cast(path, 1, 1, small);
    TEST_OK(bench_open(&o, NULL, path, 1));
    TEST_FAILS(bench_run(o, &in, 1, out, 1), STATUS_ARG, "got shape [1,3,16,25], expected [any,3,16,24]");
    in.rank = 3;
    TEST_FAILS(bench_run(o, &in, 1, out, 1), STATUS_ARG, "got shape [1,3,16]");
    TEST_FAILS(bench_run(o, &in, 0, out, 1), STATUS_ARG, "got 0 inputs, expected 1");
    TEST_FAILS(bench_run(o, &in, 1, out, 2), STATUS_ARG, "room for 2 outputs, expected 1");
    bench_close(o);
}

static void bench_visit__open_sizes_need_an_answer(void)
{
    const char *path = model_path("open.onnx"), *fixed = model_path("fixed.onnx");
    struct bench_result r;
    model_cast(path, 2, 1, open_size);
    model_cast(fixed, 1, 1, small);
    TEST_FAILS(bench_visit(&r, &(struct bench_job){.model = path}), STATUS_ARG, "give --height and --width");
    bench_result_free(&r);
    TEST_FAILS(bench_visit(&r, &(struct bench_job){.model = fixed, .height = 32, .width = 24}), STATUS_ARG,
               "has size 16 in dimension 2: got 32");
    bench_result_free(&r);
    TEST_OK(
        bench_visit(&r, &(struct bench_job){.model = path, .mode = "quick", .height = 40, .width = 56, .threads = 2}));
    CU_ASSERT_EQUAL(r.height, 40);
    CU_ASSERT_EQUAL(r.width, 56);
    CU_ASSERT_EQUAL(json_int(r.info, "threads", 0), 2);
    bench_result_free(&r);
}

/* ---- what goes wrong --------------------------------------------------------------------------------------------- */

static void bench_ort__files_and_libraries_that_are_none(void)
{
    const char *text = model_path("text.onnx"), *good = model_path("good.onnx");
    struct bench_model *o;
    model_cast(good, 1, 1, small);
    TEST_OK(fs_write(text, "this is no model", 16));
    TEST_FAILS(bench_open(&o, NULL, text, 1), STATUS_ARG, "text.onnx: ONNX Runtime");
    TEST_FAILS(bench_open(&o, NULL, text, 1), STATUS_ARG, "expected an ONNX model that this runtime can read");
    TEST_FAILS(bench_open(&o, NULL, test_dir(), 1), STATUS_IO,
               "is a folder, expected a file (an ONNX model is wanted)");
    TEST_OK(fs_write(text, "", 0));
    TEST_FAILS(bench_open(&o, NULL, text, 1), STATUS_ARG, "is empty, expected an ONNX model");
    TEST_OK(fs_write(text, "this is no model", 16));
    TEST_FAILS(bench_open(&o, NULL, "/nowhere/model.onnx", 1), STATUS_IO,
               "cannot open: No such file or directory (an ONNX model is wanted)");
    TEST_FAILS(bench_open(&o, "/nowhere/libonnxruntime.so", good, 1), STATUS_IO, "no such file, asked for");
    TEST_FAILS(bench_open(&o, "libm.so.6", good, 1), STATUS_ARG, "is no ONNX Runtime");
    TEST_FAILS(bench_open(&o, text, good, 1), STATUS_IO, "cannot load ONNX Runtime");
    CU_ASSERT_PTR_NULL(o);
}

/* Libraries that answer as an ancient runtime would, and one that dies. */
static void bench_visit_forked__survives_its_runtime(void)
{
    const char *source = model_path("old.c"), *model = model_path("m.onnx");
    static const char code[] =
        "#include <stdlib.h>\n"
        "#ifdef DIES\n#define ANSWER abort()\n#else\n#define ANSWER return 0\n#endif\n"
        "static const void *api(unsigned v) { (void)v; ANSWER; }\n"
        "static const char *version(void) { return \"1.2.3\"; }\n"
        "static const struct { const void *(*a)(unsigned); const char *(*v)(void); } base = {api, version};\n"
        "const void *OrtGetApiBase(void);\n"
        "const void *OrtGetApiBase(void) { return &base; }\n";
    char old[560], dies[560];
    json_t *v;
    model_cast(model, 1, 1, small);
    TEST_OK(fs_write(source, code, sizeof code - 1));
    snprintf(old, sizeof old, "%s.old.so", source);
    snprintf(dies, sizeof dies, "%s.dies.so", source);
    CU_ASSERT_EQUAL(shell("cc -shared -fPIC -o %s %s && cc -DDIES -shared -fPIC -o %s %s", old, source, dies, source),
                    0);
    TEST_FAILS(bench_visit_forked(&v, &(struct bench_job){.model = model, .ort_lib = old}, NULL), STATUS_ARG,
               "is ONNX Runtime 1.2.3, which has no C API of version 16");
    TEST_FAILS(bench_visit_forked(&v, &(struct bench_job){.model = model, .ort_lib = dies}, NULL), STATUS_IO,
               "killed by signal 6");
    CU_ASSERT_PTR_NULL(v);
}

/* ---- the program ------------------------------------------------------------------------------------------------- */

static void sweep_bench__prints_json_and_text(void)
{
    const char *model = model_path("m.onnx"), *out = model_path("out");
    model_cast(model, 1, 1, small);
    CU_ASSERT_EQUAL(shell("%s/sweep-bench --model %s --mode quick --json > %s", test_build_dir(), model, out), 0);
    char *text;
    size_t n;
    json_t *j = NULL;
    TEST_OK(fs_read(&text, &n, out));
    TEST_OK(json_parse(&j, out, text, n));
    CU_ASSERT(json_int(j, "n", 0) >= 16);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(j, "samples_us")), (size_t)json_int(j, "n", 0));
    json_decref(j);
    free(text);
    CU_ASSERT_EQUAL(shell("%s/sweep-bench --model %s --mode quick --threads 1,2 > %s", test_build_dir(), model, out),
                    0);
    CU_ASSERT(file_has(out, "2 threads  16x24  p50"));
}

static void sweep_bench__says_what_is_wrong_and_exits_2(void)
{
    const char *err = model_path("err"), *text = model_path("text.onnx");
    static const struct {
        const char *arguments, *words;
    } wrong[] = {
        {"", "--model: missing"},
        {"--modell x", "unknown option; did you mean --model?"},
        {"--model", "--model: needs a value"},
        {"--model x --threads 1,two", "got \"two\", expected a whole number"},
        {"--model x --mode fast", "mode: got \"fast\""},
        {"--model x --height -4", "--height: got \"-4\""},
        {"--model /nowhere.onnx", "No such file"},
        {"--model TEXT", "ONNX Runtime"},
        {"--model TEXT --ort-lib /nowhere.so", "/nowhere.so: no such file"},
    };
    TEST_OK(fs_write(text, "no model", 8));
    for (size_t i = 0; i < LEN(wrong); i++) {
        CU_ASSERT_EQUAL(shell("%s/sweep-bench $(echo %s | sed 's,TEXT,%s,') 2> %s", test_build_dir(),
                              wrong[i].arguments, text, err),
                        2);
        CU_ASSERT(file_has(err, wrong[i].words));
    }
    CU_ASSERT_EQUAL(shell("%s/sweep-bench --help > %s", test_build_dir(), err), 0);
    CU_ASSERT(file_has(err, "example:"));
}

static int run_job(const char *job, const char *events)
{
    const char *file = model_path("job");
    TEST_OK(fs_write(file, job, strlen(job)));
    return shell("%s/sweep-bench --job < %s 3> %s 2> %s.err", test_build_dir(), file, events, events);
}

static void sweep_bench__obeys_a_job(void)
{
    const char *model = model_path("m.onnx"), *events = model_path("events");
    char job[1024];
    model_cast(model, 1, 1, small);
    snprintf(
        job, sizeof job,
        "{\"stage\":\"bench\",\"model\":\"%s\",\"threads\":[1,0],\"visit\":3,\"mode\":\"quick\",\"format\":\"onnx\","
        "\"device\":\"cpu\",\"height\":16,\"width\":24}",
        model);
    CU_ASSERT_EQUAL(run_job(job, events), 0);
    char *text;
    TEST_OK(fs_read(&text, NULL, events));
    int threads[2] = {1, 0}, i = 0;
    for (char *line = text, *end; *line; line = end + 1, i++) {
        json_t *e = NULL;
        end = strchr(line, '\n');
        CU_ASSERT_PTR_NOT_NULL_FATAL(end);
        TEST_OK(json_parse(&e, "event", line, (size_t)(end - line)));
        CU_ASSERT_STRING_EQUAL(json_str(e, "ev", ""), i < 2 ? "latency" : "end");
        if (i == 2) CU_ASSERT_STRING_EQUAL(json_str(e, "state", ""), "done");
        if (i < 2) {
            CU_ASSERT_EQUAL(json_int(e, "threads", -1), threads[i]); /* as asked; info says how many that was */
            CU_ASSERT(json_int(json_object_get(e, "info"), "threads", 0) >= 1);
            CU_ASSERT_EQUAL(json_int(e, "visit", 0), 3);
            CU_ASSERT_STRING_EQUAL(json_str(e, "format", ""), "onnx");
            CU_ASSERT(json_int(e, "n", 0) >= 16);
            CU_ASSERT(json_num(e, "measured", 0) > 1.7e9);
        }
        json_decref(e);
    }
    CU_ASSERT_EQUAL(i, 3);
    free(text);
}

static void sweep_bench__a_job_that_cannot_be_done(void)
{
    const char *events = model_path("events");
    CU_ASSERT_EQUAL(run_job("not json", events), 2);
    CU_ASSERT(file_has(events, "\"state\":\"failed\""));
    CU_ASSERT_EQUAL(run_job("{\"stage\":\"train\"}", events), 2);
    CU_ASSERT(file_has(events, "got \\\"train\\\", expected \\\"bench\\\""));
    CU_ASSERT_EQUAL(run_job("{\"stage\":\"bench\",\"model\":\"x\",\"threads\":[]}", events), 2);
    CU_ASSERT(file_has(events, "threads: expected an array"));
    CU_ASSERT_EQUAL(run_job("{\"stage\":\"bench\",\"model\":\"/nowhere.onnx\",\"threads\":[1]}", events), 1);
    CU_ASSERT(file_has(events, "/nowhere.onnx: cannot open: No such file"));
    CU_ASSERT_EQUAL(run_job("{\"stage\":\"bench\",\"model\":\"x\",\"threads\":[1],\"device\":\"adb\"}", events), 0);
    CU_ASSERT(file_has(events, "\"state\":\"refused\""));
}

static void sweep_bench__a_signal_ends_it_with_75(void)
{
    const char *model = model_path("m.onnx"), *events = model_path("events"), *job = model_path("job");
    char text[1024];
    model_cast(model, 1, 1, small);
    snprintf(text, sizeof text, "{\"stage\":\"bench\",\"model\":\"%s\",\"threads\":[1],\"mode\":\"thorough\"}", model);
    TEST_OK(fs_write(job, text, strlen(text)));
    double start = time_mono();
    CU_ASSERT_EQUAL(
        shell("%s/sweep-bench --job < %s 3> %s 2> /dev/null & pid=$!; sleep 0.5; kill -TERM $pid; wait $pid",
              test_build_dir(), job, events),
        75);
    CU_ASSERT(time_mono() - start < 10);
    CU_ASSERT(file_has(events, "\"state\":\"interrupted\""));
}

static const struct test tests[] = {
    TEST(bench_visit__quick_mode_keeps_its_promises),
    TEST(bench_ort__converts_by_declared_type),
    TEST(bench_ort__wrong_shapes_are_explained),
    TEST(bench_visit__open_sizes_need_an_answer),
    TEST(bench_ort__files_and_libraries_that_are_none),
    TEST(bench_visit_forked__survives_its_runtime),
    TEST(sweep_bench__prints_json_and_text),
    TEST(sweep_bench__says_what_is_wrong_and_exits_2),
    TEST(sweep_bench__obeys_a_job),
    TEST(sweep_bench__a_job_that_cannot_be_done),
    TEST(sweep_bench__a_signal_ends_it_with_75),
};
TEST_MAIN("bench.visit", tests)
