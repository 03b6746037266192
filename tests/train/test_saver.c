/* Checkpoints that are written beside the steps: kills, a full disk, what belongs together, what is never written. */
#include "parts.h"
#include "tiny.h"
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const often = "{\"train.checkpoint_s\": 0, \"train.ema\": 0.9, \"train.epochs\": 80,"
                                 " \"augment\": [{\"flip\": {\"p\": 0.5}}]}";

static bool same_files(const char *a, const char *b)
{
    return tiny_same_weights(a, b, "last") && tiny_same_weights(a, b, "best");
}

/** A file that is being written is there; a killed writer leaves it. */
static int halves(const char *dir)
{
    struct arena a = {0};
    char **names;
    size_t n = 0;
    int found = 0;
    TEST_OK(fs_list(&names, &n, &a, dir));
    for (size_t i = 0; i < n; i++) found += strstr(names[i], ".tmp") != NULL;
    arena_free(&a);
    return found;
}

static void nap(double seconds)
{
    usleep((useconds_t)(1e6 * seconds));
}

/** Kills @p pid after @p seconds, and where @p write says so not before it is seen to write. */
static bool kill_at(pid_t pid, double seconds, bool write, const char *dir)
{
    nap(seconds);
    for (int i = 0; write && i < 20000 && !halves(dir); i++) nap(5e-5);
    kill(pid, SIGKILL);
    int how = 0;
    while (waitpid(pid, &how, 0) < 0 && errno == EINTR) continue;
    return WIFSIGNALED(how);
}

static void saver__killed_at_twenty_moments_ends_to_the_bit(void)
{
    if (test_device().cuda) return; /* a child by fork has no CUDA; the siege kills workers of their own */
    double whole = time_mono();
    run_in(fresh_dir(0), often);
    whole = time_mono() - whole;
    fresh_dir(1);
    struct rng r = rng_key((uint64_t)getpid(), 0, 0, 0);
    int killed = 0, in_writes = 0;
    for (int round = 0; round < 20; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            log_set_level(LOG_ERROR);
            run_in(dirs[1], often);
            _exit(0);
        }
        killed += kill_at(pid, whole * rng_range(&r, 0.01, 0.06), round % 2, dirs[1]);
        in_writes += halves(dirs[1]) > 0;
    }
    CU_ASSERT_EQUAL(killed, 20);
    CU_ASSERT_TRUE(in_writes >= 3);
    run_in(dirs[1], often);
    CU_ASSERT_TRUE(same_files(dirs[0], dirs[1]));
    CU_ASSERT_EQUAL(halves(dirs[1]), 0); /* what the killed left half done went */
    run_in(fresh_dir(2), "{\"train.checkpoint_s\": 0, \"train.epochs\": 2}");
    CU_ASSERT_FALSE(tiny_same_weights(dirs[0], dirs[2], "last")); /* the comparison can fail */
}

/* ---- while it trains ------------------------------------------------------------------------------------------- */

struct watched {
    struct tiny tiny;
    volatile sig_atomic_t stop;
    int64_t stop_at, room_at; /* steps after which to ask for a stop, and after which the disk has room again */
    int apart, seen;          /* looks that found files that do not belong together, and all looks */
    int files;                /* how many of best and last were there at the last look */
    int looks;
    int64_t first; /* step that was made first */
    struct train_result result;
};

static void limit_files(rlim_t bytes)
{
    struct rlimit l;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &l);
    l.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &l);
}

static void on_step(void *user, int64_t step, double loss)
{
    (void)loss;
    struct watched *w = user;
    struct position last = {0}, best = {0};
    if (w->looks++ == 0) w->first = step;
    if (step == w->room_at) limit_files(RLIM_INFINITY);
    if (step == w->stop_at) w->stop = 1;
    bool has_last = checkpoint_load(&w->tiny.job, "last", NULL, &last).code == STATUS_OK;
    bool has_best = checkpoint_load(&w->tiny.job, "best", NULL, &best).code == STATUS_OK;
    w->files = has_last + has_best;
    w->seen += has_last;
    w->apart += has_last && (!has_best || best.epoch < last.best_epoch);
    position_free(&last);
    position_free(&best);
}

static void on_event(void *user, json_t *event)
{
    tiny_emit(&((struct watched *)user)->tiny, event);
}

/** A run that is looked at after each step; its events stay until tiny_close. */
static struct status watch(struct watched *w, const char *dir, const char *changes)
{
    tiny_open(&w->tiny, dir, changes);
    w->tiny.job.emit = on_event;
    w->tiny.job.after_step = on_step;
    w->tiny.job.user = w;
    w->tiny.job.stop = &w->stop;
    return train_run(&w->result, &w->tiny.job);
}

static void saver__best_and_last_belong_together_at_any_moment(void)
{
    struct watched w = {.stop_at = -1, .room_at = -1};
    TEST_OK(watch(&w, fresh_dir(0), "{\"train.checkpoint_s\": 0, \"train.epochs\": 12}"));
    CU_ASSERT_TRUE(w.seen > 10);
    CU_ASSERT_EQUAL(w.apart, 0);
    tiny_close(&w.tiny);
}

static void saver__writes_no_oftener_than_asked_but_at_a_stop(void)
{
    static const char *const seldom = "{\"train.checkpoint_s\": 3600, \"train.epochs\": 4}";
    struct watched w = {.stop_at = 7, .room_at = -1}; /* three steps an epoch: in the third */
    struct status s = watch(&w, fresh_dir(0), seldom);
    CU_ASSERT_EQUAL(s.code, STATUS_INTERRUPTED);
    CU_ASSERT_EQUAL(w.files, 0); /* none before the stop, */
    struct position last = {0}, best = {0};
    TEST_OK(checkpoint_load(&w.tiny.job, "last", NULL, &last)); /* both after it */
    TEST_OK(checkpoint_load(&w.tiny.job, "best", NULL, &best));
    CU_ASSERT_EQUAL(last.epoch, 2);
    CU_ASSERT_EQUAL(last.step, 2);
    CU_ASSERT_EQUAL(best.epoch, last.best_epoch);
    position_free(&last);
    position_free(&best);
    tiny_close(&w.tiny);
    run_in(dirs[0], seldom);
    run_in(fresh_dir(1), seldom);
    run_in(fresh_dir(2), "{\"train.checkpoint_s\": 0, \"train.epochs\": 4}"); /* when it is written changes nothing */
    CU_ASSERT_TRUE(same_files(dirs[0], dirs[1]));
    CU_ASSERT_TRUE(same_files(dirs[2], dirs[1]));
}

static void saver__full_disk_stops_nothing_and_loses_nothing(void)
{
    static const char *const changes =
        "{\"train.checkpoint_s\": 0, \"train.epochs\": 10, \"train.optimizer\": \"sgd\", \"train.lr\": 10,"
        " \"train.schedule\": \"constant\", \"train.clip_grad\": 1e-3, \"train.monitor\": \"psnr\"}";
    CU_ASSERT_TRUE(run_in(fresh_dir(0), changes).best_epoch < 3); /* which is then in memory alone */
    struct watched w = {.stop_at = -1, .room_at = 7};             /* two epochs long there is no room for a file */
    limit_files(100000);
    struct status s = watch(&w, fresh_dir(1), changes);
    limit_files(RLIM_INFINITY);
    TEST_OK(s);
    CU_ASSERT_EQUAL(tiny_count(&w.tiny, "log"), 1); /* told once */
    CU_ASSERT_TRUE(w.seen > 0);                     /* and written when there was room */
    CU_ASSERT_EQUAL(w.apart, 0);
    CU_ASSERT_EQUAL(halves(dirs[1]), 0);
    CU_ASSERT_TRUE(same_files(dirs[0], dirs[1]));
    tiny_close(&w.tiny);

    w = (struct watched){.stop_at = 7, .room_at = -1}; /* no room at a stop is said, not passed over */
    limit_files(100000);
    s = watch(&w, fresh_dir(2), changes);
    limit_files(RLIM_INFINITY);
    TEST_FAILS(s, STATUS_IO, "cannot write");
    tiny_close(&w.tiny);
}

/* ---- killed between two files ---------------------------------------------------------------------------------- */

/** Runs in @p dir until after step @p at. */
static void run_to(const char *dir, const char *changes, int64_t at)
{
    struct watched w = {.stop_at = at, .room_at = -1};
    CU_ASSERT_EQUAL(watch(&w, dir, changes).code, STATUS_INTERRUPTED);
    tiny_close(&w.tiny);
}

static void copy_file(const char *from, const char *to, const char *name)
{
    char *bytes = NULL;
    size_t n = 0;
    TEST_OK(fs_read(&bytes, &n, file_in(from, name)));
    TEST_OK(fs_write(file_in(to, name), bytes, n));
    free(bytes);
}

/* best of a later epoch beside last of the second, after five steps. */
static void saver__killed_between_best_and_last_goes_on_from_best(void)
{
    static const char *const changes = "{\"train.epochs\": 6}"; /* each epoch is better than the one before */
    run_in(fresh_dir(0), changes);
    run_to(fresh_dir(1), changes, 4);
    run_to(fresh_dir(2), changes, 13);
    copy_file(dirs[2], dirs[1], "best");
    struct watched w = {.stop_at = -1, .room_at = -1};
    TEST_OK(watch(&w, dirs[1], changes));
    CU_ASSERT_TRUE(w.first > 5 && w.first % 3 == 0);
    CU_ASSERT_EQUAL(tiny_count(&w.tiny, "log"), 0); /* nothing is amiss */
    CU_ASSERT_TRUE(same_files(dirs[0], dirs[1]));
    tiny_close(&w.tiny);
}

/* The end writes best without what continuing needs, and with it what was best: here what no other epoch reaches. */
static void saver__killed_at_the_end_knows_the_best_epoch(void)
{
    static const char *const changes = "{\"train.epochs\": 6}";
    run_to(fresh_dir(0), changes, 4);
    run_to(fresh_dir(1), changes, 13);
    struct tiny t;
    struct position p = {0};
    struct weights w;
    tiny_open(&t, dirs[1], changes);
    TEST_OK(checkpoint_strip(&t.job, "best"));
    TEST_OK(checkpoint_load(&t.job, "best", NULL, &p));
    TEST_OK(weights_load(&w, file_in(dirs[1], "best")));
    int epoch = p.epoch;
    p.best = -1;
    char *text = position_text(&p);
    struct arrays all = {.a = w.a, .n = w.n};
    t.job.dir = dirs[0];
    TEST_OK(checkpoint_write(&t.job, "best", &all, text));
    copy_file(dirs[0], dirs[1], "best");
    free(text);
    weights_free(&w);
    position_free(&p);
    tiny_close(&t);
    struct watched v = {.stop_at = -1, .room_at = -1};
    TEST_OK(watch(&v, dirs[0], changes));
    CU_ASSERT_EQUAL(v.first, 5); /* from last */
    CU_ASSERT_EQUAL(v.result.best_epoch, epoch);
    CU_ASSERT_EQUAL(v.result.best, -1);
    CU_ASSERT_TRUE(tiny_same_weights(dirs[0], dirs[1], "best"));
    tiny_close(&v.tiny);
}

/* ---- numbers --------------------------------------------------------------------------------------------------- */

static void saver__weights_that_are_no_numbers_are_never_written(void)
{
    static const float weights[] = {1, NAN, 2}, moments[] = {1, INFINITY, 2}, good[] = {1, 2, 3};
    static const int64_t updates[] = {7, 8};
    struct tiny t;
    tiny_open(&t, fresh_dir(0), "{}");
    static const struct {
        const char *name;
        const float *data;
        bool written;
    } rows[] = {
        {"a", weights, false}, {STATE "raw/a", weights, false}, {STATE "slot1/a", moments, true}, {"a", good, true}};
    for (size_t i = 0; i < LEN(rows); i++) {
        struct weights_array a[] = {{.name = rows[i].name,
                                     .dtype = WEIGHTS_F32,
                                     .rank = 1,
                                     .shape = {3},
                                     .data = rows[i].data,
                                     .bytes = sizeof good},
                                    {.name = STATE "updates",
                                     .dtype = WEIGHTS_I64,
                                     .rank = 1,
                                     .shape = {2},
                                     .data = updates,
                                     .bytes = sizeof updates}};
        struct arrays all = {.a = a, .n = 2};
        unlink(file_in(dirs[0], "last"));
        struct status s = checkpoint_write(&t.job, "last", &all, "{}");
        CU_ASSERT_EQUAL(s.code, rows[i].written ? STATUS_OK : STATUS_ARG);
        CU_ASSERT_EQUAL(fs_exists(file_in(dirs[0], "last")), rows[i].written);
    }
    tiny_close(&t);
}

static const struct test tests[] = {
    TEST(saver__killed_at_twenty_moments_ends_to_the_bit),
    TEST(saver__best_and_last_belong_together_at_any_moment),
    TEST(saver__writes_no_oftener_than_asked_but_at_a_stop),
    TEST(saver__full_disk_stops_nothing_and_loses_nothing),
    TEST(saver__killed_between_best_and_last_goes_on_from_best),
    TEST(saver__killed_at_the_end_knows_the_best_epoch),
    TEST(saver__weights_that_are_no_numbers_are_never_written),
};

int main(int argc, char **argv)
{
    /* the children of the kill test must find no running thread pool: one thread has none */
    tensor_start(1);
    return test_main("train.saver", tests, LEN(tests), argc, argv);
}
