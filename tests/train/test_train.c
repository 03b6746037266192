/* Whole small runs: learning, resuming to the bit, freezing, averaging, stopping, diverging, damaged files. */
#include "tiny.h"
#include <math.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static char dirs[8][320];
static const char *fresh_dir(int i)
{
    snprintf(dirs[i], sizeof dirs[i], "%s", test_dir());
    return dirs[i];
}

static const char *file_in(const char *dir, const char *name)
{
    static char path[2][600];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s.safetensors", dir, name);
    return path[turn];
}

/** Runs a tiny trial to its end. */
static struct train_result run_in(const char *dir, const char *changes)
{
    struct tiny t;
    struct train_result r = {.epochs = 0};
    tiny_open(&t, dir, changes);
    TEST_OK(train_run(&r, &t.job));
    tiny_close(&t);
    return r;
}

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
    CU_ASSERT_TRUE(tiny_count(&t, "log") >= 1); /* random loss features, said loudly */
    tiny_close(&t);
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

/* ---- resuming --------------------------------------------------------------------------------------------------- */

struct stopper {
    struct tiny tiny;
    volatile sig_atomic_t stop;
    int64_t at; /* step after which to ask */
};

static void ask(void *user, int64_t step, double loss)
{
    (void)loss;
    struct stopper *s = user;
    if (step == s->at) s->stop = 1;
}

static void drop_event(void *user, json_t *event)
{
    (void)user, (void)event;
}

static const char *const hard = "{\"train.ema\": 0.9, \"train.clip_grad\": 1, \"model.arch\": \"fpn\","
                                " \"model.dropout\": 0.3, \"model.channels\": [32, 32],"
                                " \"augment\": [{\"flip\": {\"p\": 0.5}}, {\"affine\": {\"rotate\": 10, \"p\": 0.7}}]}";

/** Runs in @p dir, asking to stop after step @p at; true when it did stop. */
static bool run_until(const char *dir, const char *changes, int64_t at)
{
    struct stopper s = {.at = at};
    struct train_result r;
    tiny_open(&s.tiny, dir, changes);
    s.tiny.job.after_step = ask;
    s.tiny.job.emit = drop_event;
    s.tiny.job.user = &s;
    s.tiny.job.stop = &s.stop;
    struct status st = train_run(&r, &s.tiny.job);
    tiny_close(&s.tiny);
    if (st.code != STATUS_OK && st.code != STATUS_INTERRUPTED) TEST_OK(st);
    return st.code == STATUS_INTERRUPTED;
}

/** Runs in @p dir to the end. Returns epoch and learning rate of each point that it told. Owner: the caller. */
static json_t *rates_told(const char *dir, const char *changes)
{
    struct tiny t;
    struct train_result r;
    json_t *out = json_array();
    tiny_open(&t, dir, changes);
    TEST_OK(train_run(&r, &t.job));
    for (size_t i = 0; i < json_array_size(t.events); i++) {
        const json_t *e = json_array_get(t.events, i), *lr = json_object_get(json_object_get(e, "values"), "lr");
        if (lr) json_array_append_new(out, json_pack("[O, O]", json_object_get(e, "epoch"), lr));
    }
    tiny_close(&t);
    return out;
}

static void train__stopped_anywhere_tells_the_same_rates(void)
{
    json_t *whole = rates_told(fresh_dir(0), "{}");
    fresh_dir(1);
    CU_ASSERT_TRUE(run_until(dirs[1], "{}", 2)); /* all steps of an epoch made, and nothing told of it */
    json_t *resumed = rates_told(dirs[1], "{}");
    CU_ASSERT_TRUE(json_array_size(whole) > 0);
    CU_ASSERT_TRUE(json_equal(whole, resumed));
    json_decref(whole);
    json_decref(resumed);
}

static void train__stopped_anywhere_continues_to_the_bit(void)
{
    run_in(fresh_dir(0), hard);
    fresh_dir(1);
    static const int64_t stops[] = {0, 2, 3, 7}; /* three steps an epoch: within, at the end, in the last */
    int stopped = 0;
    for (size_t i = 0; i < LEN(stops); i++) stopped += run_until(dirs[1], hard, stops[i]);
    CU_ASSERT_EQUAL(stopped, (int)LEN(stops));
    run_in(dirs[1], hard);
    CU_ASSERT_TRUE(tiny_same_weights(dirs[0], dirs[1], "last"));
    CU_ASSERT_TRUE(tiny_same_weights(dirs[0], dirs[1], "best"));
    run_in(fresh_dir(2), "{}");
    CU_ASSERT_FALSE(tiny_same_weights(dirs[0], dirs[2], "last")); /* the comparison can fail */
}

static void train__killed_anywhere_continues_to_the_bit(void)
{
    double whole = time_mono();
    run_in(fresh_dir(0), hard);
    whole = time_mono() - whole; /* moments are told in this, so that a fast machine does not finish before them */
    fresh_dir(1);
    struct rng r = rng_key((uint64_t)getpid(), 0, 0, 0);
    int killed = 0;
    for (int round = 0; round < 6; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            run_in(dirs[1], hard);
            _exit(0);
        }
        usleep((useconds_t)(1e6 * whole * rng_range(&r, 0.02, round ? 0.6 : 0.3)));
        kill(pid, SIGKILL);
        int how;
        waitpid(pid, &how, 0);
        killed += WIFSIGNALED(how);
    }
    CU_ASSERT_TRUE(killed >= 1);
    run_in(dirs[1], hard);
    CU_ASSERT_TRUE(tiny_same_weights(dirs[0], dirs[1], "last"));
    CU_ASSERT_TRUE(tiny_same_weights(dirs[0], dirs[1], "best"));
}

static void train__finished_is_finished(void)
{
    struct tiny t;
    struct train_result r;
    run_in(fresh_dir(0), "{}");
    tiny_open(&t, dirs[0], "{}");
    TEST_OK(train_run(&r, &t.job));
    CU_ASSERT_EQUAL(r.epochs, 3);
    CU_ASSERT_EQUAL(tiny_count(&t, "progress"), 0);         /* nothing was trained */
    CU_ASSERT_TRUE(tiny_metric(&t, 2, "val_loss", -1) > 0); /* but all is told again */
    tiny_close(&t);
}

static void damage(const char *path)
{
    char *bytes = NULL;
    size_t n = 0;
    TEST_OK(fs_read(&bytes, &n, path));
    bytes[n - n / 3] = (char)(bytes[n - n / 3] + 1);
    TEST_OK(fs_write(path, bytes, n));
    free(bytes);
}

static void train__damaged_checkpoint_is_named_and_passed_over(void)
{
    run_in(fresh_dir(0), "{}");
    fresh_dir(1);
    CU_ASSERT_TRUE(run_until(dirs[1], "{}", 7)); /* in the third epoch: best is of the first or second */
    damage(file_in(dirs[1], "last"));
    struct tiny t;
    struct train_result r;
    tiny_open(&t, dirs[1], "{}");
    TEST_OK(train_run(&r, &t.job));
    bool said = false;
    size_t i;
    json_t *e;
    json_array_foreach(t.events, i, e) said |= strstr(json_str(e, "text", ""), "last.safetensors: damaged") != NULL;
    CU_ASSERT_TRUE(said);
    CU_ASSERT_TRUE(tiny_same_weights(dirs[0], dirs[1], "last"));
    tiny_close(&t);

    CU_ASSERT_TRUE(run_until(fresh_dir(2), "{}", 7));
    TEST_OK(fs_write(file_in(dirs[2], "last"), "nonsense", 8));
    TEST_OK(fs_write(file_in(dirs[2], "best"), "", 0));
    run_in(dirs[2], "{}"); /* from the start */
    CU_ASSERT_TRUE(tiny_same_weights(dirs[0], dirs[2], "last"));
}

static void train__another_configuration_is_not_continued(void)
{
    fresh_dir(0);
    CU_ASSERT_TRUE(run_until(dirs[0], "{}", 4));
    struct tiny t;
    struct train_result r;
    tiny_open(&t, dirs[0], "{}");
    t.job.key = "another";
    TEST_OK(train_run(&r, &t.job));
    CU_ASSERT_TRUE(tiny_count(&t, "log") >= 2);
    CU_ASSERT_EQUAL(tiny_count(&t, "metrics"), 3 + 1); /* all epochs were run here */
    tiny_close(&t);
}

/* ---- options ---------------------------------------------------------------------------------------------------- */

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
    TEST(train__files_hold_plain_weights_when_done),
    TEST(train__stopped_anywhere_tells_the_same_rates),
    TEST(train__stopped_anywhere_continues_to_the_bit),
    TEST(train__killed_anywhere_continues_to_the_bit),
    TEST(train__finished_is_finished),
    TEST(train__damaged_checkpoint_is_named_and_passed_over),
    TEST(train__another_configuration_is_not_continued),
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
    /* the children of the kill test must find no running thread pool: one thread has none */
    tensor_start(1);
    return test_main("train.train", tests, LEN(tests), argc, argv);
}
