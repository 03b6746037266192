/* What a job of an array does: claims a trial, runs it as a local run would, leaves it, claims the next. */
#include "inside.h"
#include "slurm_inside.h"
#include <signal.h>
#include <unistd.h>

enum { MOST_RESTARTS = 100 };

struct doing {
    const struct slurm_task_options *o;
    struct plan *plan; /* of the bucket; with rules that compare, the trials of the other buckets behind them */
    int n;             /* trials of the bucket */
    bool compares;
    json_t *read;        /* of other trials: sizes of the journals that are in the store */
    struct store *store; /* in memory; journalled */
    double *seconds;     /* [trial] predicted */
    bool *ended;         /* [trial] known to be so */
    char job[64], locks[256];
    int restart, n_done, failed;
    double ends; /* time_now() when the job's time is over */
    json_t *alive;
    double asked; /* when */
};

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
    (void)sig;
    stopped = 1;
}

/* Between two trials; while the engine runs it takes them itself. */
static void listen(void)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGUSR1};
    struct sigaction sa = {.sa_handler = on_signal};
    for (size_t i = 0; i < LEN(signals); i++) sigaction(signals[i], &sa, NULL);
}

static const char *env(const char *name, const char *def)
{
    const char *v = getenv(name);
    return v && *v ? v : def;
}

static int env_int(const char *name)
{
    int64_t v = 0;
    return str_to_i64(env(name, "0"), &v) ? (int)v : 0;
}

/* ---- what there is to do ----------------------------------------------------------------------------------------- */

/* The trials of a bucket file go behind those that are there. */
static struct status read_bucket(json_t *trials, json_t **bucket, const char *dir, int number)
{
    char path[1200], *text;
    size_t n;
    snprintf(path, sizeof path, "%s/bucket-%d.json", dir, number);
    TRY(fs_read(&text, &n, path));
    struct status st = json_parse(bucket, path, text, n);
    free(text);
    if (st.code == STATUS_OK) json_array_extend(trials, json_object_get(*bucket, "trials"));
    return st;
}

static struct status make_plan(struct doing *d, const json_t *trials)
{
    size_t n = json_array_size(trials);
    struct arena a = {0};
    const json_t **configs = mem_zalloc(sizeof *configs * (n + 1));
    const char **where = mem_zalloc(sizeof *where * (n + 1));
    for (size_t i = 0; i < n; i++) {
        configs[i] = json_object_get(json_array_get(trials, i), "config");
        where[i] = json_str(json_array_get(trials, i), "id", "");
    }
    plan_free(d->plan);
    struct status st =
        plan_of_configs(&d->plan, configs, where, (int)n, fs_join(&a, fs_dirname(&a, d->o->db), "cache"));
    arena_free(&a);
    for (size_t i = 0; i < n && st.code == STATUS_OK; i++)
        if ((int)i >= d->plan->n_trials || strcmp(d->plan->trials[i].id, where[i]) != 0)
            st = fail(STATUS_ARG,
                      "trial %s: its images, weights files or this program have changed since it was submitted; "
                      "`sweep cancel` the sweep and run it again",
                      where[i]);
    free(configs);
    free(where);
    return st;
}

/* Rules that compare trials compare those of all buckets. */
static struct status add_peers(struct doing *d, json_t *trials)
{
    json_t *rules = engine_pruning(d->plan);
    d->compares = json_array_size(rules) > 0;
    json_decref(rules);
    if (!d->compares) return ok();
    for (int b = 0;; b++) {
        char path[1200];
        json_t *bucket = NULL;
        snprintf(path, sizeof path, "%s/bucket-%d.json", d->o->dir, b);
        if (!fs_exists(path)) break;
        if (b == d->o->bucket) continue;
        struct status st = read_bucket(trials, &bucket, d->o->dir, b);
        json_decref(bucket);
        TRY(st);
    }
    return make_plan(d, trials);
}

static struct status load(struct doing *d)
{
    json_t *bucket = NULL, *trials = json_array();
    int64_t at;
    struct status st = read_bucket(trials, &bucket, d->o->dir, d->o->bucket);
    d->n = (int)json_array_size(trials);
    d->seconds = mem_zalloc(sizeof *d->seconds * (size_t)(d->n + 1));
    d->ended = mem_zalloc(sizeof *d->ended * (size_t)(d->n + 1));
    d->read = json_object();
    for (int i = 0; i < d->n; i++) d->seconds[i] = json_num(json_array_get(trials, (size_t)i), "seconds", 0);
    bool told = str_to_i64(env("SLURM_JOB_END_TIME", ""), &at) && at > 0;
    d->ends = told ? (double)at : time_now() + json_num(bucket, "time_s", 3600);
    if (st.code == STATUS_OK) st = make_plan(d, trials);
    if (st.code == STATUS_OK) st = add_peers(d, trials);
    json_decref(bucket);
    json_decref(trials);
    return st;
}

/* Everybody begins at another place, so that two seldom want the same. */
static int start_of(const struct doing *d)
{
    return d->n ? (int)((int64_t)env_int("SLURM_ARRAY_TASK_ID") % d->n) : 0;
}

/* ---- which trial ------------------------------------------------------------------------------------------------- */

static struct status take(int *trial, int *number, struct doing *d, int i, int next)
{
    bool got;
    TRY(claims_take(&got, d->o->dir, d->plan->trials[i].id, next, d->job, d->restart));
    if (got) *trial = i, *number = next;
    return ok();
}

/* Nobody's yet. */
static struct status take_fresh(int *trial, int *number, struct doing *d, const json_t *latest)
{
    for (int k = 0, n = d->n; k < n && *trial < 0; k++) {
        int i = (start_of(d) + k) % n;
        if (json_int(latest, d->plan->trials[i].id, 0) > 0) continue;
        TRY(take(trial, number, d, i, 1));
    }
    return ok();
}

/* Left unfinished, or by a job that is gone. */
static struct status take_left(int *trial, int *number, struct doing *d, const json_t *latest)
{
    for (int k = 0, n = d->n; k < n && *trial < 0; k++) {
        int i = (start_of(d) + k) % n, last = (int)json_int(latest, d->plan->trials[i].id, 0);
        struct slurm_claim c;
        if (d->ended[i] || last < 1 || !claims_read(&c, d->o->dir, d->plan->trials[i].id, last)) continue;
        d->ended[i] = slurm_ended(&c);
        if (slurm_claim_free(&c, d->alive, d->job, d->restart)) TRY(take(trial, number, d, i, last + 1));
    }
    return ok();
}

/* Which jobs live, asked no more often than every half minute; without an answer all are taken to. */
static void ask_alive(struct doing *d)
{
    enum { PAUSE_S = 30 };
    if (d->asked > 0 && time_mono() - d->asked < PAUSE_S) return;
    json_decref(d->alive);
    d->alive = NULL;
    d->asked = time_mono();
    struct status st = engine_slurm_ask(&d->alive);
    if (st.code != STATUS_OK) log_warn("%s; claims of other jobs are left alone", st.msg);
}

/* @p trial gets -1 when there is none. */
static struct status choose(int *trial, int *number, struct doing *d)
{
    json_t *latest;
    *trial = -1;
    TRY(claims_list(&latest, d->o->dir));
    struct status st = ok();
    if (d->restart && !d->n_done) st = take_left(trial, number, d, latest); /* what was stopped has a checkpoint */
    if (st.code == STATUS_OK && *trial < 0) st = take_fresh(trial, number, d, latest);
    if (st.code == STATUS_OK && *trial < 0) {
        ask_alive(d);
        st = take_left(trial, number, d, latest);
    }
    json_decref(latest);
    return st;
}

/* ---- doing it ---------------------------------------------------------------------------------------------------- */

/* What the other trials have come to by now. */
static struct status hear_peers(struct doing *d, int trial)
{
    json_t *latest;
    struct status st = claims_list(&latest, d->o->dir);
    for (int i = 0; i < d->plan->n_trials && st.code == STATUS_OK; i++) {
        const char *id = d->plan->trials[i].id;
        int last = i == trial ? -1 : (int)json_int(latest, id, -1);
        for (int k = 0; k <= last && st.code == STATUS_OK; k++) {
            char path[1200];
            struct store_replayed r;
            claims_path(path, sizeof path, d->o->dir, id, k);
            int64_t bytes = fs_size(path);
            if (bytes < 0 || bytes == json_int(d->read, path, -1)) continue;
            json_object_set_new(d->read, path, json_integer(bytes));
            st = store_replay(&r, d->store, path);
        }
    }
    json_decref(latest);
    return st;
}

static struct status open_store(struct doing *d, int trial, int number)
{
    char path[1200];
    const char *id = d->plan->trials[trial].id;
    if (d->compares) TRY(hear_peers(d, trial));
    for (int i = 0; i < number; i++) {
        struct store_replayed r;
        claims_path(path, sizeof path, d->o->dir, id, i);
        if (fs_exists(path)) TRY(store_replay(&r, d->store, path));
    }
    claims_path(path, sizeof path, d->o->dir, id, number);
    TRY(store_journal(d->store, path));
    TRY(store_begin(d->store));
    struct status st = engine_put_trial(d->store, &d->plan->trials[trial]);
    if (st.code == STATUS_OK) return store_commit(d->store);
    store_rollback(d->store);
    return st;
}

static void state_of(char out[16], struct doing *d, int trial)
{
    json_t *rows = NULL, *params = json_pack("[s]", d->plan->trials[trial].id);
    struct status st = store_rows(&rows, d->store, "SELECT state FROM trials WHERE id = ?1", params);
    const char *state = st.code == STATUS_OK ? json_str(json_array_get(rows, 0), "state", "") : "";
    snprintf(out, 16, "%s", strcmp(state, "running") == 0 || strcmp(state, "queued") == 0 ? "interrupted" : state);
    json_decref(rows);
    json_decref(params);
}

/* A stage's memory: what is asked for it, and never more than the job has, less what this process needs. */
static int64_t bytes_limit(const struct engine_options *o, const struct plan_trial *t)
{
    int64_t job = (int64_t)env_int("SLURM_MEM_PER_NODE") << 20, own = INT64_C(64) << 20;
    int64_t asked = limits_of(o, &t->t).bytes;
    if (job <= 2 * own) return asked;
    return asked > 0 && asked < job - own ? asked : job - own;
}

static struct status do_trial(struct doing *d, int trial, int number)
{
    struct slurm_part part;
    struct engine_result r = {0};
    char state[16] = "interrupted";
    struct status st = open_store(d, trial, number);
    if (st.code == STATUS_OK) {
        struct engine_options o = d->o->engine;
        slurm_part_make(&part, d->plan, trial, d->compares);
        o.plan = &part.plan;
        o.store = d->store;
        o.locks = d->locks;
        o.bytes_limit = bytes_limit(&o, &part.plan.trials[0]);
        o.shared = env_int("SLURM_CPUS_ON_NODE") < (int)sysconf(_SC_NPROCESSORS_ONLN); /* by other jobs */
        st = engine_run(&r, &o);
        slurm_part_free(&part);
        if (st.code == STATUS_OK) state_of(state, d, trial);
    }
    struct status shut = store_journal(d->store, NULL);
    if (shut.code == STATUS_OK) shut = claims_leave(d->o->dir, d->plan->trials[trial].id, number, state);
    d->n_done++;
    d->failed += r.failed;
    return st.code != STATUS_OK ? st : shut;
}

/* ---- its end ----------------------------------------------------------------------------------------------------- */

static bool field_is(const char *text, const char *name, const char *value)
{
    const char *at = strstr(text, name);
    size_t n = strlen(value);
    return at && strncmp(at + strlen(name), value, n) == 0 && strchr(" \n", at[strlen(name) + n]);
}

/* To the end of the queue with it, to go on. Not when Slurm is ending it: a cancelled job stays cancelled, one that is
 * preempted comes back by itself. */
static void queue_again_job(const struct doing *d)
{
    char *text = NULL;
    struct status st = ok();
    if (d->restart >= MOST_RESTARTS) st = fail(STATUS_IO, "it has been queued again %d times already", d->restart);
    if (st.code == STATUS_OK)
        st = slurm_ask_text(&text, (const char *const[]){"scontrol", "show", "job", "-o", d->job, NULL});
    bool runs = st.code == STATUS_OK && field_is(text, " JobState=", "RUNNING");
    free(text);
    text = NULL;
    if (runs) st = slurm_ask_text(&text, (const char *const[]){"scontrol", "requeue", d->job, NULL});
    free(text);
    if (st.code != STATUS_OK)
        log_warn("job %s is not queued again: %s; the next `sweep run` goes on with its trial", d->job, st.msg);
    else if (runs)
        log_info("job %s is queued again, to go on from the checkpoints", d->job);
}

static int count_free(const struct doing *d)
{
    json_t *latest;
    int n = 0;
    struct status st = claims_list(&latest, d->o->dir);
    for (int i = 0; i < d->n && st.code == STATUS_OK; i++) n += json_int(latest, d->plan->trials[i].id, 0) < 1;
    if (st.code == STATUS_OK) json_decref(latest);
    return n;
}

/* Tasks of the same array that have not begun; they take what is left. */
static int count_pending(const struct doing *d)
{
    char array[64];
    const char *id;
    json_t *state;
    int n = 0;
    snprintf(array, sizeof array, "%.*s_", (int)strcspn(d->job, "_"), d->job);
    json_object_foreach(d->alive, id, state) n +=
        strncmp(id, array, strlen(array)) == 0 && strcmp(json_string_value(state), "PENDING") == 0;
    return n;
}

static struct status work(struct doing *d)
{
    for (;;) {
        int trial = -1, number = 0;
        if (stopped) return fail(STATUS_INTERRUPTED, "stopped between two trials");
        TRY(choose(&trial, &number, d));
        if (trial < 0) return ok();
        TRY(do_trial(d, trial, number));
        double longest = 0; /* of what may come */
        for (int i = 0; i < d->n; i++)
            if (!d->ended[i] && d->seconds[i] > longest) longest = d->seconds[i];
        if (slurm_has_time(d->ends - time_now(), longest, false)) continue;
        ask_alive(d);
        if (count_free(d) > count_pending(d)) return fail(STATUS_INTERRUPTED, "its time is nearly over");
        return ok();
    }
}

static void identify(struct doing *d)
{
    const char *array = env("SLURM_ARRAY_JOB_ID", "");
    if (*array)
        snprintf(d->job, sizeof d->job, "%s_%s", array, env("SLURM_ARRAY_TASK_ID", "0"));
    else
        snprintf(d->job, sizeof d->job, "%s", env("SLURM_JOB_ID", "0"));
    d->restart = env_int("SLURM_RESTART_COUNT");
    snprintf(d->locks, sizeof d->locks, "%s/sweep-%lld-%s", env("TMPDIR", "/tmp"), (long long)geteuid(), d->job);
}

struct status engine_slurm_task(int *failed, const struct slurm_task_options *o)
{
    struct doing d = {.o = o};
    listen();
    identify(&d);
    struct status st = load(&d);
    if (st.code == STATUS_OK)
        st = store_open(&d.store, (struct store_options){.path = o->db, .memory = true, .command = "sweep task"});
    if (st.code == STATUS_OK) st = work(&d);
    if (st.code == STATUS_INTERRUPTED) queue_again_job(&d);
    *failed = d.failed;
    store_close(d.store);
    plan_free(d.plan);
    json_decref(d.alive);
    json_decref(d.read);
    rmdir(d.locks);
    free(d.seconds);
    free(d.ended);
    return st;
}
