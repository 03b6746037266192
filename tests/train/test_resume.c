/* A run that is stopped, killed or damaged at any moment continues to the bit, or says why not. */
#include "tiny.h"
#include <math.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

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

/** Both checkpoints of two folders: the same to the bit on a CPU, near on a GPU. */
static bool same_end(const char *a, const char *b)
{
    static const char *const names[] = {"last", "best"};
    bool same = true;
    for (size_t i = 0; i < LEN(names); i++)
        same =
            (test_device().cuda ? tiny_near_weights(a, b, names[i], 0.02) : tiny_same_weights(a, b, names[i])) && same;
    return same;
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
    CU_ASSERT_TRUE(same_end(dirs[0], dirs[1]));
    run_in(fresh_dir(2), "{}");
    CU_ASSERT_FALSE(tiny_same_weights(dirs[0], dirs[2], "last")); /* the comparison can fail */
}

static void train__killed_anywhere_continues_to_the_bit(void)
{
    if (test_device().cuda) return; /* a child by fork has no CUDA; the siege kills workers of their own */
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
    CU_ASSERT_TRUE(same_end(dirs[0], dirs[1]));
}

/* One training in @p to, which may go on from that in @p from. */
static int told_from(const char *to, const char *from, const char *key, const char *changes)
{
    struct tiny t;
    struct train_result r;
    tiny_open(&t, to, changes);
    t.job.key = key;
    t.job.from_dir = from;
    t.job.from_key = "shorter";
    TEST_OK(train_run(&r, &t.job));
    int logs = tiny_count(&t, "log");
    tiny_close(&t);
    return logs;
}

static void train__more_epochs_go_on_to_the_bit(void)
{
    static const char *const settings[] = {
        "{\"keep\": \"all\", \"train.schedule\": \"constant\", \"train.ema\": 0.9, \"train.epochs\": ",
        "{\"keep\": \"all\", \"train.schedule\": \"constant\", \"train.optimizer\": \"sgd\", \"train.patience\": 9, "
        "\"train.checkpoint_every\": 2, \"train.epochs\": "};
    for (size_t i = 0; i < LEN(settings); i++) {
        char few[300], many[300];
        snprintf(few, sizeof few, "%s2}", settings[i]);
        snprintf(many, sizeof many, "%s5}", settings[i]);
        told_from(fresh_dir(0), NULL, "whole", many);
        told_from(fresh_dir(1), NULL, "shorter", few);
        CU_ASSERT_EQUAL(told_from(fresh_dir(2), dirs[1], "longer", many), 0);
        CU_ASSERT_TRUE(same_end(dirs[0], dirs[2]));
        CU_ASSERT_FALSE(tiny_same_weights(dirs[1], dirs[2], "last"));
    }
}

static void train__more_epochs_start_anew_without_the_optimisers_state(void)
{
    static const char few[] = "{\"train.schedule\": \"constant\", \"train.epochs\": 2}",
                      many[] = "{\"train.schedule\": \"constant\", \"train.epochs\": 3}";
    told_from(fresh_dir(0), NULL, "whole", many);
    told_from(fresh_dir(1), NULL, "shorter", few);
    CU_ASSERT_EQUAL(told_from(fresh_dir(2), dirs[1], "longer", many), 1); /* it says so */
    CU_ASSERT_TRUE(same_end(dirs[0], dirs[2]));
}

/* Only the last epoch of the shorter one was validated: a longer one would have passed over it. */
static void train__more_epochs_start_anew_after_a_validation_out_of_turn(void)
{
    static const char few[] = "{\"keep\": \"all\", \"train.schedule\": \"constant\", \"train.validate_every\": 4,"
                              " \"train.epochs\": 2}",
                      many[] = "{\"keep\": \"all\", \"train.schedule\": \"constant\", \"train.validate_every\": 4,"
                               " \"train.epochs\": 5}";
    told_from(fresh_dir(0), NULL, "whole", many);
    told_from(fresh_dir(1), NULL, "shorter", few);
    CU_ASSERT_EQUAL(told_from(fresh_dir(2), dirs[1], "longer", many), 1); /* it says so */
    CU_ASSERT_TRUE(same_end(dirs[0], dirs[2]));
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

/* A user, a full disk or a sync tool takes the best weights away, and last stays. */
static void train__without_its_best_file_is_made_whole_again(void)
{
    static const struct {
        const char *changes;
        int64_t stop; /* step after which the file goes; -1: when the training is done */
        bool damaged;
    } rows[] = {
        {"{}", 7, false},
        {"{}", -1, false},
        {"{}", 7, true},
        {"{\"train.monitor\": \"psnr\", \"train.ema\": 0.5}", -1, false},
        {"{\"train.lr\": 10.0, \"train.optimizer\": \"sgd\"}", 8, false}, /* best is an early epoch */
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        run_in(fresh_dir(0), rows[i].changes);
        fresh_dir(1);
        bool stopped = run_until(dirs[1], rows[i].changes, rows[i].stop);
        CU_ASSERT_EQUAL(stopped, rows[i].stop >= 0);
        int gone = rows[i].damaged ? 0 : unlink(file_in(dirs[1], "best"));
        CU_ASSERT_EQUAL(gone, 0);
        if (rows[i].damaged) damage(file_in(dirs[1], "best"));
        run_in(dirs[1], rows[i].changes);
        CU_ASSERT_TRUE(tiny_same_weights(dirs[0], dirs[1], "best"));
        CU_ASSERT_TRUE(tiny_same_weights(dirs[0], dirs[1], "last"));
    }
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

static const struct test tests[] = {
    TEST(train__stopped_anywhere_tells_the_same_rates),
    TEST(train__stopped_anywhere_continues_to_the_bit),
    TEST(train__killed_anywhere_continues_to_the_bit),
    TEST(train__more_epochs_go_on_to_the_bit),
    TEST(train__more_epochs_start_anew_without_the_optimisers_state),
    TEST(train__more_epochs_start_anew_after_a_validation_out_of_turn),
    TEST(train__finished_is_finished),
    TEST(train__without_its_best_file_is_made_whole_again),
    TEST(train__damaged_checkpoint_is_named_and_passed_over),
    TEST(train__another_configuration_is_not_continued),
};

int main(int argc, char **argv)
{
    /* the children of the kill test must find no running thread pool: one thread has none */
    tensor_start(1);
    return test_main("train.resume", tests, LEN(tests), argc, argv);
}
