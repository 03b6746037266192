/* Whole small runs: learning, freezing, averaging, stopping, diverging, and their evaluation. */
#include "tiny.h"
#include <math.h>

static void train__learns_and_tells(void)
{
    struct tiny t;
    struct train_result r;
    tiny_open(&t, fresh_dir(0), "{\"train.epochs\": 6, \"train.lr\": 0.003, \"model.output.residual\": true}");
    TEST_OK(train_run(&r, &t.job));
    CU_ASSERT_EQUAL(r.end, TRAIN_DONE);
    CU_ASSERT_EQUAL(r.epochs, 6);
    double first = tiny_metric(&t, 1, "val_loss", -1), after = tiny_metric(&t, 6, "val_loss", -1);
    CU_ASSERT_TRUE(first > 0 && after > 0 && after < first);
    CU_ASSERT_DOUBLE_EQUAL(r.best, tiny_metric(&t, r.best_epoch, "val_loss", -1), 1e-12);
    CU_ASSERT_TRUE(tiny_metric(&t, -1, "train_loss", -1) > 0);
    CU_ASSERT_TRUE(tiny_metric(&t, 6, "lr", -1) < 1e-6); /* onecycle is at its end */
    static const char *const names[] = {"val_loss.pixel", "val_loss.feature.0", "ssim", "psnr", "l1", "ms_ssim"};
    for (size_t i = 0; i < LEN(names); i++) CU_ASSERT_TRUE(tiny_metric(&t, 3, names[i], -1) > 0);
    CU_ASSERT_EQUAL(tiny_count(&t, "artifact"), 2);
    CU_ASSERT_TRUE(tiny_count(&t, "progress") >= 6);
    CU_ASSERT_EQUAL(tiny_count(&t, "log"), 0); /* of random loss features the plan has warned, once for all trials */
    tiny_close(&t);
}

/* Seconds of what a training does, as it tells them at its end. */
static double told(const struct tiny *t, const char *name)
{
    double found = -1;
    size_t i;
    const json_t *e;
    json_array_foreach(t->events, i, e)
    {
        if (strcmp(json_str(e, "ev", ""), "info") == 0) found = json_num(json_object_get(e, "values"), name, found);
    }
    return found;
}

static void train__tells_where_its_time_went(void)
{
    struct tiny t;
    struct train_result r;
    double start = time_mono(), sum = 0;
    tiny_open(&t, fresh_dir(0), "{\"train.epochs\": 3}");
    TEST_OK(train_run(&r, &t.job));
    double all = time_mono() - start;
    static const char *const parts[] = {"steps_s", "data_s", "validation_s", "checkpoints_s"};
    for (size_t i = 0; i < LEN(parts); i++) {
        CU_ASSERT_TRUE(told(&t, parts[i]) > 0);
        sum += told(&t, parts[i]);
    }
    CU_ASSERT_TRUE(sum < all); /* nothing counts twice */
    tiny_close(&t);
}

static void train__validates_as_seldom_as_asked(void)
{
    struct tiny t;
    struct train_result r;
    tiny_open(&t, fresh_dir(0), "{\"train.epochs\": 7, \"train.validate_every\": 3}");
    TEST_OK(train_run(&r, &t.job));
    for (int e = 1; e <= 7; e++) {
        CU_ASSERT_EQUAL(tiny_metric(&t, e, "val_loss", -1) > 0, e % 3 == 0 || e == 7); /* the last one always */
        CU_ASSERT_EQUAL(tiny_metric(&t, e, "ssim", -1) > 0, e % 3 == 0 || e == 7);
        CU_ASSERT_TRUE(tiny_metric(&t, e, "train_loss", -1) > 0);
    }
    CU_ASSERT_TRUE(r.best_epoch % 3 == 0 || r.best_epoch == 7);
    tiny_close(&t);
    /* patience counts epochs, and is asked when somebody has looked */
    r = run_in(fresh_dir(1),
               "{\"train.epochs\": 30, \"train.patience\": 1, \"train.lr\": 10, \"train.validate_every\": 3,"
               " \"train.optimizer\": \"sgd\", \"train.clip_grad\": 1e-3,"
               " \"train.monitor\": \"psnr\", \"train.schedule\": \"constant\"}");
    CU_ASSERT_TRUE(r.epochs < 30 && r.epochs % 3 == 0);
    CU_ASSERT_EQUAL(r.epochs, r.best_epoch + 3);
}

static void train__files_hold_plain_weights_when_done(void)
{
    struct weights w;
    run_in(fresh_dir(0), "{\"train.epochs\": 1}");
    static const char *const names[] = {"last", "best"};
    for (size_t k = 0; k < LEN(names); k++) {
        TEST_OK(weights_load(&w, file_in(dirs[0], names[k])));
        CU_ASSERT_PTR_NOT_NULL(weights_find(&w, "encoder.model.conv_stem.weight"));
        CU_ASSERT_PTR_NOT_NULL(weights_find(&w, "segmentation_head.0.weight"));
        for (size_t i = 0; i < w.n; i++) CU_ASSERT_PTR_NULL(strstr(w.a[i].name, "state/"));
        weights_free(&w);
    }
}

/** Largest change of any array whose name begins with @p prefix between the untrained model and a file. */
static double change_under(const char *dir, const char *changes, const char *prefix)
{
    struct tiny t;
    struct train_model m;
    struct weights w;
    struct weights_array *before;
    struct arena a = {0};
    size_t n;
    double most = 0;
    int matched = 0;
    tiny_open(&t, dir, changes);
    TEST_OK(train_model_open(&m, &t.job, TRAIN_UNTRAINED, NULL));
    TEST_OK(exec_arrays(&before, &n, &a, m.exec));
    TEST_OK(weights_load(&w, file_in(dir, "last")));
    for (size_t i = 0; i < n; i++) {
        const struct weights_array *after = weights_find(&w, before[i].name);
        if (strncmp(before[i].name, prefix, strlen(prefix)) != 0 || before[i].dtype != WEIGHTS_F32) continue;
        matched++;
        for (size_t k = 0; k < before[i].bytes / sizeof(float); k++)
            most =
                fmax(most, fabs((double)((const float *)before[i].data)[k] - (double)((const float *)after->data)[k]));
    }
    CU_ASSERT_TRUE(matched > 0);
    weights_free(&w);
    arena_free(&a);
    train_model_close(&m);
    tiny_close(&t);
    return most;
}

static void train__frozen_encoder_does_not_move(void)
{
    const char *frozen = "{\"train.freeze_encoder\": 3}", *thawed = "{\"train.freeze_encoder\": 2}";
    run_in(fresh_dir(0), frozen);
    CU_ASSERT_EQUAL(change_under(dirs[0], frozen, "encoder."), 0); /* running statistics included */
    CU_ASSERT_TRUE(change_under(dirs[0], frozen, "decoder.") > 0);
    run_in(fresh_dir(1), thawed);
    CU_ASSERT_TRUE(change_under(dirs[1], thawed, "encoder.") > 0); /* in the third epoch */
}

static void train__encoder_has_its_own_rate(void)
{
    const char *slow = "{\"train.encoder_lr\": 1e-7, \"train.weight_decay\": 0}";
    run_in(fresh_dir(0), slow);
    CU_ASSERT_TRUE(change_under(dirs[0], slow, "encoder.model.conv_stem.") < 1e-5);
    CU_ASSERT_TRUE(change_under(dirs[0], slow, "decoder.blocks.0.conv1.0.") > 1e-4);
}

static void train__frozen_norms_keep_their_statistics(void)
{
    const char *frozen = "{\"train.freeze_bn\": true}";
    run_in(fresh_dir(0), frozen);
    CU_ASSERT_EQUAL(change_under(dirs[0], frozen, "encoder.model.bn1."), 0);
    CU_ASSERT_TRUE(change_under(dirs[0], frozen, "encoder.model.conv_stem.") > 0);
}

static void train__average_follows_the_weights(void)
{
    /* a decay of nearly 0 is the weights themselves; one of nearly 1 warms up and stays behind */
    const char *none = "{\"train.epochs\": 2}", *fast = "{\"train.epochs\": 2, \"train.ema\": 1e-9}",
               *slow = "{\"train.epochs\": 2, \"train.ema\": 0.9999}";
    run_in(fresh_dir(0), none);
    run_in(fresh_dir(1), fast);
    run_in(fresh_dir(2), slow);
    double plain = change_under(dirs[0], none, "decoder."), follows = change_under(dirs[1], fast, "decoder."),
           behind = change_under(dirs[2], slow, "decoder.");
    CU_ASSERT_DOUBLE_EQUAL(follows, plain, 1e-4 * plain);
    CU_ASSERT_TRUE(behind < 0.95 * plain && behind > 0);
}

static void train__stops_early(void)
{
    /* a rate of nearly nothing cannot improve much; psnr as monitor is of the other direction */
    struct train_result r = run_in(fresh_dir(0), "{\"train.epochs\": 30, \"train.patience\": 2, \"train.lr\": 10,"
                                                 " \"train.optimizer\": \"sgd\", \"train.clip_grad\": 1e-3,"
                                                 " \"train.monitor\": \"psnr\", \"train.schedule\": \"constant\"}");
    CU_ASSERT_TRUE(r.epochs < 30);
    CU_ASSERT_EQUAL(r.epochs, r.best_epoch + 2);
}

static void train__divergence_is_a_result(void)
{
    struct tiny t;
    struct train_result r;
    tiny_open(&t, fresh_dir(0),
              "{\"train.optimizer\": \"sgd\", \"train.lr\": 10, \"train.epochs\": 20,"
              " \"train.schedule\": \"constant\", \"train.warmup\": 0, \"loss.pixel_weight\": 1e6}");
    TEST_OK(train_run(&r, &t.job));
    CU_ASSERT_EQUAL(r.end, TRAIN_DIVERGED);
    CU_ASSERT_PTR_NOT_NULL(strstr(r.reason, "in epoch"));
    tiny_close(&t);
}

static void train__every_precision_and_optimiser_trains(void)
{
    static const char *const rows[] = {
        "{\"train.precision\": \"bf16\", \"train.epochs\": 1}",
        "{\"train.precision\": \"fp64\", \"train.epochs\": 1}",
        "{\"train.optimizer\": \"adam\", \"train.epochs\": 1, \"train.schedule\": \"cosine\"}",
        "{\"train.optimizer\": \"sgd\", \"train.epochs\": 1, \"train.channels_last\": false}",
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct tiny t;
        struct train_result r;
        tiny_open(&t, fresh_dir(0), rows[i]);
        TEST_OK(train_run(&r, &t.job));
        double loss = tiny_metric(&t, 1, "train_loss", -1);
        CU_ASSERT_TRUE(loss > 0 && loss < 100);
        tiny_close(&t);
    }
}

static void train__impossible_batches_are_refused_by_name(void)
{
    struct tiny t;
    struct train_result r;
    tiny_open(&t, fresh_dir(0),
              "{\"model.arch\": \"deeplabv3\", \"model.backbone\": \"resnet18\", \"model.depth\": 5,"
              " \"model.channels\": [16], \"train.batch\": 1}");
    TEST_FAILS(train_run(&r, &t.job), STATUS_REFUSED, "one value a channel");
    tiny_close(&t);
}

static void evaluate__images_and_their_mean(void)
{
    struct tiny t;
    run_in(fresh_dir(0), "{\"train.epochs\": 2}");
    tiny_open(&t, dirs[0], "{\"train.epochs\": 2}");
    TEST_OK(train_evaluate(&t.job));
    double sum = 0;
    int images = 0;
    size_t i;
    json_t *e;
    json_array_foreach(t.events, i, e)
    {
        if (strcmp(json_str(e, "ev", ""), "image") != 0) continue;
        sum += json_num(json_object_get(e, "values"), "ssim", -9);
        images++;
    }
    CU_ASSERT_EQUAL(images, 2); /* a fifth of ten pairs */
    CU_ASSERT_DOUBLE_EQUAL(tiny_metric(&t, -1, "ssim", -1), sum / images, 1e-9);
    tiny_close(&t);
}

static void evaluate__beside_the_untrained_net_and_the_identity(void)
{
    struct tiny t;
    const char *changes = "{\"train.epochs\": 6, \"train.lr\": 0.003, \"model.output.residual\": true}";
    run_in(fresh_dir(0), changes);
    tiny_open(&t, dirs[0], changes);
    TEST_OK(train_evaluate(&t.job));
    double untrained = tiny_metric(&t, -1, "untrained_val_loss", -1), trained = tiny_metric(&t, -1, "val_loss", -1);
    CU_ASSERT_TRUE(trained > 0 && trained < 0.9 * untrained);
    /* a residual head starts at zero: the untrained net is the identity */
    CU_ASSERT_DOUBLE_EQUAL(untrained, tiny_metric(&t, -1, "identity_val_loss", -2), 1e-6);
    CU_ASSERT_DOUBLE_EQUAL(untrained, tiny_metric(&t, 0, "val_loss", -2), 1e-12); /* where the curve starts */
    tiny_close(&t);
}

static const struct test tests[] = {
    TEST(train__learns_and_tells),
    TEST(train__tells_where_its_time_went),
    TEST(train__validates_as_seldom_as_asked),
    TEST(train__files_hold_plain_weights_when_done),
    TEST(train__frozen_encoder_does_not_move),
    TEST(train__encoder_has_its_own_rate),
    TEST(train__frozen_norms_keep_their_statistics),
    TEST(train__average_follows_the_weights),
    TEST(train__stops_early),
    TEST(train__divergence_is_a_result),
    TEST(train__every_precision_and_optimiser_trains),
    TEST(train__impossible_batches_are_refused_by_name),
    TEST(evaluate__images_and_their_mean),
    TEST(evaluate__beside_the_untrained_net_and_the_identity),
};

int main(int argc, char **argv)
{
    tensor_start(1); /* nets so small that threads would only wait for each other */
    return test_main("train.train", tests, LEN(tests), argc, argv);
}
