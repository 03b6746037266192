/*
 * A sweep of 24 cells under siege: coordinator and workers are killed, stopped, starved of disk and asked to end at
 * seeded moments, while some workers crash, hang, leak or write garbage by themselves. Whatever came, the table of
 * results is that of the undisturbed sweep, no finished stage ran again, and nothing is left behind.
 *
 *   SOAK_ROUNDS=50 SOAK_REAL=5 test-engine-soak     so many rounds with scripted workers, and with real ones
 *   SOAK_SEED=7 SOAK_ROUNDS=1 test-engine-soak      the round whose seed a failure named
 */
#include "siege.h"

enum { CELLS = 24, MAX_LIVES = 60, MAX_CHILDREN = 64 };

static int asked(const char *name, int def)
{
    const char *text = getenv(name);
    int64_t n = def;
    return text && str_to_i64(text, &n) ? (int)n : def;
}

/* ---- sites ------------------------------------------------------------------------------------------------------- */

struct site {
    struct made *m;
    struct plan *loaded; /* NULL: made by hand, for scripted workers */
    char worker[600], bench[600];
};

/* What a stage's worker does by itself before it does its work. A leak has a smaller step to fall to in training only;
 * those that hang or leak take seconds, so a round has at most one each. */
static const struct {
    const char *act;
    enum plan_kind kind; /* PLAN_N_KINDS: any */
    int one_in;          /* cells; 0: one cell a round */
} faults[] = {{"crash-once", PLAN_N_KINDS, 8}, {"garbage-once", PLAN_N_KINDS, 8}, {"silent-once", PLAN_N_KINDS, 12},
              {"stop-once", PLAN_N_KINDS, 12}, {"oom-once:4", PLAN_TRAIN, 12},    {"hang-once", PLAN_N_KINDS, 0},
              {"leak-once", PLAN_TRAIN, 0}};

static void add_faults(json_t *config, struct rng *rng, int cell, const int *chosen)
{
    for (size_t i = 0; i < LEN(faults); i++) {
        bool here = faults[i].one_in ? rng_below(rng, (uint64_t)faults[i].one_in) == 0 : chosen[i] == cell;
        enum plan_kind kind = faults[i].kind == PLAN_N_KINDS
                                  ? PLAN_TRAIN + (enum plan_kind)rng_below(rng, PLAN_N_KINDS - PLAN_TRAIN)
                                  : faults[i].kind;
        char key[40];
        snprintf(key, sizeof key, "fake.%s", plan_kinds[kind].name);
        if (here) json_object_set_new(config, key, json_string(faults[i].act));
    }
}

/* @p rng NULL: workers that do nothing wrong. */
static struct site scripted(struct rng *rng)
{
    struct site s = {.m = made_new()};
    int chosen[LEN(faults)] = {0};
    for (size_t i = 0; rng && i < LEN(faults); i++) chosen[i] = (int)rng_below(rng, 2 * CELLS); /* or none */
    for (int i = 0; i < CELLS; i++) {
        json_t *config =
            json_pack("{s:s, s:i, s:i}", "fake.train", "ok:6", "train.batch", 8, "bench.visits", 1 + i % 2);
        if (rng) add_faults(config, rng, i, chosen);
        made_trial(s.m, config);
    }
    snprintf(s.worker, sizeof s.worker, "%s/fake-worker", test_build_dir());
    snprintf(s.bench, sizeof s.bench, "%s", s.worker);
    return s;
}

/* Tiny nets that really train; one thread and fp32, so that a resumed training ends at the same bits. */
static struct site real(struct rng *rng)
{
    static const char text[] =
        "name: siege\n"
        "axes: {arch: [unet, fpn, linknet], backbone: [mobilenetv3_small_100, mobilenetv3_small_minimal_100], "
        "seed: [0, 1, 2, 3]}\n"
        "data: {size: 64, pairs: 6}\n"
        "train: {epochs: 3, batch: 2, precision: fp32, threads: 1}\n"
        "loss: {network: mobilenetv3_small_100, feature_weights: [1], gram_weights: [1]}\n"
        "samples: 1\n"
        "devices: [torch]\n"
        "bench: {mode: quick, visits: 1, threads: [1]}\n";
    struct site s = {.m = made_new()};
    (void)rng;
    s.loaded = made_load(s.m, text);
    CU_ASSERT_EQUAL(s.loaded->n_trials, CELLS);
    snprintf(s.worker, sizeof s.worker, "%s/sweep-worker", test_build_dir());
    snprintf(s.bench, sizeof s.bench, "%s/sweep-bench", test_build_dir());
    return s;
}

/* The same in the folder of a database that the first version wrote: it is brought up to date by whichever life gets so
 * far, and what it holds stays as it was. */
static struct site upgraded(struct rng *rng)
{
    struct site s = scripted(rng);
    struct str command = {0};
    str_addf(&command, "sqlite3 '%s' <'%s/tests/cli/upgrade/first.sql'", s.m->db, test_source_dir());
    CU_ASSERT_EQUAL(system(command.s), 0);
    str_free(&command);
    return s;
}

static void site_free(struct site *s)
{
    made_free(s->m);
    plan_free(s->loaded);
}

static pid_t live(const struct site *s, struct rng *rng)
{
    return siege_coordinator(s->m,
                             (struct engine_options){.jobs = rng ? 1 + (int)rng_below(rng, 4) : 2,
                                                     .seed = 1,
                                                     .hang_s = s->loaded ? 60 : 3,
                                                     .bytes_limit = s->loaded ? 0 : 400 << 20,
                                                     .worker = s->worker,
                                                     .bench = s->bench},
                             0);
}

/* ---- strikes ----------------------------------------------------------------------------------------------------- */

struct children {
    pid_t v[MAX_CHILDREN];
    int n;
};

static void add_child(void *ctx, pid_t pid)
{
    struct children *c = ctx;
    if (c->n < MAX_CHILDREN) c->v[c->n++] = pid;
}

static void signal_worker(const struct site *s, struct rng *rng, int sig)
{
    struct children c = {.n = 0};
    siege_processes(s->m, add_child, &c);
    if (c.n) kill(c.v[rng_below(rng, (uint64_t)c.n)], sig);
}

static void kill_coordinator(const struct site *s, struct rng *rng, pid_t pid)
{
    (void)s, (void)rng;
    kill(pid, SIGKILL);
}

static void kill_worker(const struct site *s, struct rng *rng, pid_t pid)
{
    (void)pid;
    signal_worker(s, rng, SIGKILL);
}

static void kill_both(const struct site *s, struct rng *rng, pid_t pid)
{
    signal_worker(s, rng, SIGKILL);
    siege_nap_ms((int)rng_below(rng, 30));
    kill(pid, SIGKILL);
}

static void freeze_worker(const struct site *s, struct rng *rng, pid_t pid)
{
    (void)pid;
    signal_worker(s, rng, SIGSTOP);
}

static void ask(const struct site *s, struct rng *rng, pid_t pid)
{
    (void)s, (void)rng;
    kill(pid, SIGTERM);
}

/* No file may grow any more; then there is room again, or the coordinator dies before. */
static void fill_disk(const struct site *s, struct rng *rng, pid_t pid)
{
    char wal[450];
    snprintf(wal, sizeof wal, "%s-wal", s->m->db);
    int64_t now = fs_size(wal) > fs_size(s->m->db) ? fs_size(wal) : fs_size(s->m->db);
    if (now < 65536) now = 65536; /* what workers write must fit */
    prlimit(pid, RLIMIT_FSIZE, &(struct rlimit){(rlim_t)now + rng_below(rng, 20000), RLIM_INFINITY}, NULL);
    siege_nap_ms(100 + (int)rng_below(rng, 900));
    if (rng_below(rng, 3) == 0) kill(pid, SIGKILL);
    prlimit(pid, RLIMIT_FSIZE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}, NULL);
}

static const struct strike {
    const char *name;
    void (*hit)(const struct site *, struct rng *, pid_t);
    int weight;
} strikes[] = {{"the coordinator is killed", kill_coordinator, 4},
               {"a worker is killed", kill_worker, 3},
               {"both are killed", kill_both, 3},
               {"a worker stands still", freeze_worker, 1},
               {"the disk is full", fill_disk, 2},
               {"it is asked to stop", ask, 2}};

static const struct strike *draw_strike(struct rng *rng)
{
    int total = 0, at = 0;
    for (size_t i = 0; i < LEN(strikes); i++) total += strikes[i].weight;
    int drawn = (int)rng_below(rng, (uint64_t)total);
    for (size_t i = 0; i < LEN(strikes); i++)
        if (drawn < (at += strikes[i].weight)) return &strikes[i];
    return &strikes[0];
}

/* ---- rounds ------------------------------------------------------------------------------------------------------ */

/* Starts of each finished stage, by the workers' own log. */
static json_t *starts_of(const struct site *s, const json_t *done)
{
    json_t *out = json_object();
    int n;
    struct made_note *v = made_log(s->m, &n);
    for (int i = 0; i < n; i++)
        if (strcmp(v[i].what, "start") == 0 && json_object_get(done, v[i].key))
            json_object_set_new(out, v[i].key, json_integer(json_int(out, v[i].key, 0) + 1));
    free(v);
    return out;
}

/* What is stored as done, and how often it was begun; told again later, both must be the same. */
struct record {
    json_t *done, *starts;
};

static void look(const struct site *s, struct record *r)
{
    if (!siege_readable(s->m)) return;
    if (r->done) {
        json_t *starts = starts_of(s, r->done);
        CU_ASSERT_TRUE(json_equal(starts, r->starts));
        json_decref(starts);
        siege_check_not_repeated(s->m, r->done);
    }
    json_decref(r->starts);
    r->done = siege_done(s->m);
    r->starts = starts_of(s, r->done);
}

static bool ended(pid_t pid)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0;
}

/* Lives of coordinators until one ends undisturbed with nothing failed. Returns how many there were. */
static int besiege(const struct site *s, struct rng *rng, int n_strikes, int ms_between, struct str *told)
{
    struct record r = {0};
    int lives = 0, code = -1;
    for (; lives < MAX_LIVES && code != 0; lives++) {
        pid_t pid = live(s, rng);
        while (n_strikes > 0) {
            siege_nap_ms(5 + (int)rng_below(rng, (uint64_t)ms_between));
            if (ended(pid)) break; /* the rest is for the next life */
            const struct strike *k = draw_strike(rng);
            str_addf(told, "%s%s", told->n ? ", " : "", k->name);
            k->hit(s, rng, pid);
            n_strikes--;
        }
        code = siege_wait(pid);
        look(s, &r);
    }
    CU_ASSERT_EQUAL(code, 0);
    CU_ASSERT_TRUE(told->n > 0); /* some blow fell before all was done */
    json_decref(r.done);
    json_decref(r.starts);
    return lives;
}

/* @p kept: finished stages that were there before, and still are. */
static void rounds(const char *what, struct site (*make)(struct rng *), int n, int n_strikes, int ms_between, int kept)
{
    struct site calm = make(NULL);
    CU_ASSERT_EQUAL(siege_wait(live(&calm, NULL)), 0);
    int first = asked("SOAK_SEED", 1);
    for (int i = 0; i < n; i++) {
        struct rng rng = rng_key((uint64_t)(first + i), 0, 0, 0);
        struct str told = {0};
        struct site wild = make(&rng);
        unsigned before = CU_get_number_of_failures();
        double start = time_mono();
        int lives = besiege(&wild, &rng, n_strikes, ms_between, &told);
        siege_check_same(calm.m, wild.m);
        siege_check_sound(wild.m);
        CU_ASSERT_EQUAL(made_int(wild.m, "SELECT count(*) AS n FROM stages WHERE state = 'done' AND trial IN (SELECT "
                                         "st.trial FROM sweep_trials st JOIN sweeps w ON w.id = st.sweep "
                                         "WHERE w.name = 'first')"),
                        kept);
        bool fine = CU_get_number_of_failures() == before;
        if (n > 3 || !fine)
            fprintf(stderr, "%s, seed %d: %s after %.0f s and %d lives: %s\n", what, first + i,
                    fine ? "sound" : "NOT sound", time_mono() - start, lives, told.s ? told.s : "nothing struck");
        if (fine) site_free(&wild);
        str_free(&told);
    }
    site_free(&calm);
}

static void engine_soak__scripted_workers(void)
{
    rounds("scripted", scripted, asked("SOAK_ROUNDS", 3), 6, 250, 0);
}

static void engine_soak__over_a_database_of_the_first_version(void)
{
    rounds("upgraded", upgraded, asked("SOAK_ROUNDS", 1), 6, 250, 14);
}

static void engine_soak__real_workers(void)
{
    rounds("real", real, asked("SOAK_REAL", 1), 8, 8000, 0);
}

/* Minutes long: last, and only when asked for. */
static const struct test tests[] = {TEST(engine_soak__scripted_workers),
                                    TEST(engine_soak__over_a_database_of_the_first_version),
                                    TEST(engine_soak__real_workers)};

int main(int argc, char **argv)
{
    return test_main("engine soak", tests, LEN(tests) - (asked("SOAK_REAL", 0) > 0 ? 0 : 1), argc, argv);
}
