/* What the stages do and say, from training to samples. */
#include "export.h"
#include "rgba.h"
#include "started.h"

/* A final metric, whichever event told it; not a number where none did. */
static double value_of(const json_t *events, const char *name)
{
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *m = json_array_get(events, i), *values = json_object_get(m, "values");
        if (json_int(m, "epoch", 0) == -1 && json_object_get(values, name)) return json_num(values, name, -9);
    }
    return (double)NAN;
}

static void stages__from_training_to_samples(void)
{
    json_t *e;
    double ssim;
    char model[400], over[900];
    make_dir();
    CU_ASSERT_EQUAL(run(&e, "train", "{}"), 0);
    check_end(e, "done");
    CU_ASSERT_TRUE(json_int(json_object_get(find(e, "info"), "values"), "loss_random", -1) != 0);
    CU_ASSERT_STRING_EQUAL(json_str(find(e, "artifact"), "kind", ""), "last");
    CU_ASSERT_TRUE(final_value(e, "train_loss") > 0);
    json_decref(e);

    CU_ASSERT_EQUAL(run(&e, "evaluate", "{}"), 0);
    check_end(e, "done");
    CU_ASSERT_PTR_NOT_NULL(find(e, "image"));
    CU_ASSERT_TRUE((ssim = final_value(e, "ssim")) > 0);
    json_decref(e);

    static const struct {
        const char *format, *io, *file;
        double psnr; /* at least */
    } rows[] = {
        {"onnx-fp16", "tensor", "model.fp16.onnx", 45},
        {"onnx-fp16", "image", "model.image.fp16.onnx", 45},
        {"onnx-int8", "tensor", "model.int8.onnx", 30},
        {"onnx-int8", "image", "model.image.int8.onnx", 30},
        {"litert-fp16", "image", "model.image.fp16.tflite", 45},
        {"litert-int8", "image", "model.image.int8.tflite", 30},
        {"onnx", "tensor", "model.onnx", 90},
        {"onnx", "image", "model.image.onnx", 55}, /* none is overwritten */
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        snprintf(over, sizeof over, "{\"format\": \"%s\", \"config\": {\"export.io\": \"%s\"}}", rows[i].format,
                 rows[i].io);
        CU_ASSERT_EQUAL(run(&e, "export", over), 0);
        check_end(e, "done");
        const json_t *a = find(e, "artifact");
        CU_ASSERT_STRING_EQUAL(json_str(a, "kind", ""), "model");
        snprintf(model, sizeof model, "%s", json_str(a, "path", ""));
        CU_ASSERT_EQUAL(json_int(a, "bytes", -1), fs_size(model));
        CU_ASSERT_STRING_EQUAL(fs_basename(model), rows[i].file);
        json_decref(e);
        snprintf(over, sizeof over, "{\"model\": \"%s\", \"format\": \"%s\", \"config\": {\"export.io\": \"%s\"}}",
                 model, rows[i].format, rows[i].io);
        CU_ASSERT_EQUAL(run(&e, "verify", over), 0);
        check_end(e, "done");
        CU_ASSERT_TRUE(final_value(e, "verify_max_abs") >= final_value(e, "verify_mean_abs"));
        CU_ASSERT_TRUE(final_value(e, "verify_mean_abs") >= 0);
        CU_ASSERT_TRUE(value_of(e, "verify_psnr") >= rows[i].psnr);
        bool rounded = strcmp(rows[i].format, "onnx") != 0; /* its quality is its own */
        if (rounded) CU_ASSERT_DOUBLE_EQUAL(value_of(e, "file_ssim"), ssim, 0.02);
        CU_ASSERT_EQUAL(isnan(value_of(e, "file_ssim")), !rounded);
        json_decref(e);
    }

    /* Exported from elsewhere, its pictures out of reach: drawn ones do; where the job names them, they must be there.
     */
    snprintf(over, sizeof over,
             "{\"model\": \"%s\", \"format\": \"onnx\", \"config\": {\"export.io\": \"image\", "
             "\"data.root\": \"no/such\"}}",
             model);
    CU_ASSERT_EQUAL(run(&e, "verify", over), 0);
    check_end(e, "done");
    CU_ASSERT_TRUE(final_value(e, "verify_max_abs") >= 0);
    json_decref(e);
    snprintf(over, sizeof over,
             "{\"model\": \"%s\", \"format\": \"onnx\", \"images\": \"0123\", \"config\": {\"export.io\": "
             "\"image\", \"data.root\": \"no/such\"}}",
             model);
    CU_ASSERT_EQUAL(run(&e, "verify", over), 1);
    json_decref(e);

    CU_ASSERT_EQUAL(run(&e, "samples", "{}"), 0);
    check_end(e, "done");
    const json_t *s = find(e, "artifact");
    CU_ASSERT_STRING_EQUAL(json_str(s, "kind", ""), "sample");
    CU_ASSERT_TRUE(fs_exists(json_str(s, "path", "")));
    json_decref(e);

    CU_ASSERT_EQUAL(run(&e, "bench", "{\"device\": \"torch\", \"threads\": [1], \"mode\": \"quick\", \"config\": {}}"),
                    0);
    check_end(e, "done");
    CU_ASSERT_TRUE(json_num(find(e, "latency"), "p50_ms", 0) > 0);
    CU_ASSERT_EQUAL(json_int(find(e, "latency"), "n", -1),
                    (int64_t)json_array_size(json_object_get(find(e, "latency"), "samples_us")));
    json_decref(e);
}

/* Every stage in turn with an input of so many channels; @p root as data.root. */
static void check_channels(const char *root, int channels, const char *order)
{
    static const char *const stages[] = {"train", "evaluate", "export", "verify", "samples"};
    char model[400] = "", over[1400];
    json_t *e;
    for (size_t i = 0; i < LEN(stages); i++) {
        snprintf(over, sizeof over,
                 "{\"model\": \"%s\", \"format\": \"onnx\", \"config\": {\"data.root\": \"%s\", \"train.epochs\": 1,"
                 " \"model.in_channels\": %d, \"export.io\": \"image\"}}",
                 model, root, channels);
        CU_ASSERT_EQUAL(run(&e, stages[i], over), 0);
        check_end(e, "done");
        if (strcmp(stages[i], "export") == 0)
            snprintf(model, sizeof model, "%s", json_str(find(e, "artifact"), "path", ""));
        if (strcmp(stages[i], "verify") == 0) CU_ASSERT_TRUE(final_value(e, "verify_max_abs") >= 0);
        json_decref(e);
    }
    struct export_summary s;
    TEST_OK(export_onnx_read(&s, model));
    CU_ASSERT_EQUAL(s.inputs[0].shape[1], channels);
    CU_ASSERT_EQUAL(s.outputs[0].shape[1], 3);
    CU_ASSERT_STRING_EQUAL(export_summary_meta(&s, "input_color_order"), order);
    CU_ASSERT_PTR_NOT_NULL(export_summary_meta(&s, "input_mean"));
    export_summary_free(&s);
}

static void stages__take_grey_and_rgba(void)
{
    char root[400];
    make_dir();
    check_channels("synthetic", 1, "gray");
    make_dir();
    snprintf(root, sizeof root, "%s/pairs", dir);
    test_write_rgba_pairs(root, 10, 64);
    check_channels(root, 4, "RGBA");
}

static void stage_screen__exports_what_is_not_trained(void)
{
    json_t *e;
    make_dir();
    CU_ASSERT_EQUAL(run(&e, "screen", "{}"), 0);
    check_end(e, "done");
    struct export_summary s;
    TEST_OK(export_onnx_read(&s, json_str(find(e, "artifact"), "path", "")));
    CU_ASSERT_STRING_EQUAL(export_summary_meta(&s, "backbone"), "mobilenetv3_small_100");
    export_summary_free(&s);
    json_decref(e);
}

static void stage_verify__catches_a_wrong_file(void)
{
    json_t *e;
    make_dir();
    char over[900], file[400];
    CU_ASSERT_EQUAL(run(&e, "screen", "{}"), 0);
    snprintf(file, sizeof file, "%s", json_str(find(e, "artifact"), "path", ""));
    snprintf(over, sizeof over, "{\"model\": \"%s\", \"format\": \"onnx\", \"config\": {}}", file);
    json_decref(e);
    CU_ASSERT_EQUAL(run(&e, "train", "{\"train.epochs\": 1, \"train.lr\": 0.01}"), 0);
    json_decref(e);
    CU_ASSERT_EQUAL(run(&e, "verify", over), 1); /* the untrained file is not the trained net */
    check_end(e, "failed");
    CU_ASSERT_PTR_NOT_NULL(strstr(json_str(find(e, "end"), "reason", ""), "differs from the trained net"));
    json_decref(e);

    /* The same as a file that may differ, but not so far: a result. */
    static const char *const rounded[] = {"onnx-fp16", "onnx-int8"};
    for (size_t i = 0; i < LEN(rounded); i++) {
        snprintf(over, sizeof over, "{\"model\": \"%s\", \"format\": \"%s\", \"config\": {}}", file, rounded[i]);
        CU_ASSERT_EQUAL(run(&e, "verify", over), 0);
        check_end(e, "refused");
        CU_ASSERT_PTR_NOT_NULL(strstr(json_str(find(e, "end"), "reason", ""), "wrong: "));
        CU_ASSERT_STRING_EQUAL(json_str(json_object_get(find(e, "info"), "values"), "verify", ""), "wrong");
        json_decref(e);
    }
}

/* A net that returns its input, and no number where that is bright. */
static const char *file_with_a_hole(void)
{
    static char path[400];
    struct net *n = net_new();
    net_val x = net_input(n, "input", 3, 64, 64);
    net_val hole = net_relu(n, net_affine(n, x, 1, -1));
    for (int i = 0; i < 2; i++) hole = net_affine(n, hole, 1e38, 0);
    net_output(n, "output", net_add(n, x, net_affine(n, hole, 0, 0))); /* 0 times infinity */
    snprintf(path, sizeof path, "%s/hole.onnx", dir);
    TEST_OK(export_onnx(path, n, NULL, &(struct export_options){.io_image = false}));
    net_free(n);
    return path;
}

/* One value that is no number is a wrong file, however right the values after it are. */
static void stage_verify__catches_what_is_no_number(void)
{
    json_t *e;
    make_dir();
    char over[900];
    const char *same =
        "\"model.output.residual\": true, \"train.epochs\": 1, \"train.lr\": 1e-9"; /* still returns its input */
    snprintf(over, sizeof over, "{%s}", same);
    CU_ASSERT_EQUAL(run(&e, "train", over), 0);
    json_decref(e);
    snprintf(over, sizeof over, "{\"model\": \"%s\", \"format\": \"onnx\", \"config\": {%s}}", file_with_a_hole(),
             same);
    CU_ASSERT_EQUAL(run(&e, "verify", over), 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(json_str(find(e, "end"), "reason", ""), "by up to inf"));
    json_decref(e);
}

static const struct test tests[] = {
    TEST(stages__from_training_to_samples),          TEST(stages__take_grey_and_rgba),
    TEST(stage_screen__exports_what_is_not_trained), TEST(stage_verify__catches_a_wrong_file),
    TEST(stage_verify__catches_what_is_no_number),
};
TEST_MAIN("worker.stage", tests)
