/* run --executor slurm: submitting, waiting, telling. */
#include "cluster.h"
#include <poll.h>
#include <signal.h>
#include <unistd.h>

/* What a task is told as the login node was. */
static const enum cli_option_id forwarded[] = {OPT_JOBS, OPT_GPUS,   OPT_SLOTS,      OPT_BESIDE,   OPT_FRESH,
                                               OPT_HANG, OPT_MEMORY, OPT_STAGE_TIME, OPT_FAIL_FAST};

static volatile sig_atomic_t asked_to_stop;

static void on_signal(int sig)
{
    (void)sig;
    asked_to_stop = 1;
}

static char *task_options(const struct cli_args *a)
{
    struct str s = {0};
    str_addn(&s, "", 0);
    for (size_t i = 0; i < LEN(forwarded); i++) {
        const char *v = a->value[forwarded[i]];
        if (v) str_addf(&s, " %s", cli_options[forwarded[i]].name);
        if (v && *v) {
            str_add(&s, " ");
            str_add_quoted(&s, v);
        }
    }
    return s.s;
}

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

enum { MS_LOOK = 1000, ASK_S = 15 }; /* the folder is looked at every second, Slurm asked at most so often */

struct wait {
    const struct cli_args *a;
    struct slurm_submission *s;
    struct slurm_progress last;
    json_t *alive; /* NULL: not asked yet */
    double asked;
    bool tty, drawn;
};

static void tell(struct wait *w, const struct slurm_progress *p)
{
    if (memcmp(p, &w->last, sizeof *p) == 0) return;
    w->last = *p;
    if (w->a->value[OPT_JSON]) {
        json_t *j = cluster_json(w->s, p);
        json_object_set_new(j, "event", json_string("slurm"));
        char *text = json_canonical(j);
        printf("%s\n", text);
        fflush(stdout);
        free(text);
        json_decref(j);
        return;
    }
    char jobs[80] = "";
    if (p->jobs_running >= 0)
        snprintf(jobs, sizeof jobs, "; jobs: %d running, %d queued", p->jobs_running, p->jobs_pending);
    if (w->drawn) fprintf(stderr, "\033[A\033[K");
    fprintf(stderr, "%s: %d of %d trials done, %d failed, %d not possible, %d running, %d waiting%s\n", w->s->sweep,
            p->done, p->trials, p->failed, p->impossible, p->running, p->waiting, jobs);
    w->drawn = w->tty;
}

static void ask(struct wait *w)
{
    if (time_mono() - w->asked < ASK_S) return;
    json_t *alive;
    w->asked = time_mono();
    struct status st = engine_slurm_ask(&alive);
    if (st.code != STATUS_OK) {
        log_warn("%s; asking again", st.msg);
        return;
    }
    json_decref(w->alive);
    w->alive = alive;
}

/* Until the results are in the database, or nothing more will come. */
static struct status wait_loop(struct wait *w)
{
    char done[1100];
    struct slurm_progress p;
    snprintf(done, sizeof done, "%s/collected.json", w->s->dir);
    for (;;) {
        if (asked_to_stop)
            return fail(STATUS_INTERRUPTED,
                        "left; the jobs go on: the same command waits for them again, `sweep status` tells how far "
                        "they are, `sweep cancel %s` ends them",
                        w->s->sweep);
        TRY(engine_slurm_look(&p, w->s, w->alive));
        tell(w, &p);
        if (fs_exists(done)) {
            w->s->collected = true;
            return ok();
        }
        if (w->alive && p.jobs_running + p.jobs_pending == 0 && engine_slurm_gone(w->s, w->alive)) return ok();
        poll(NULL, 0, MS_LOOK);
        ask(w);
    }
}

static struct status wait_for(const struct cli_args *a, struct slurm_submission *s)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction sa = {.sa_handler = on_signal};
    for (size_t i = 0; i < LEN(signals); i++) sigaction(signals[i], &sa, NULL);
    struct wait w = {.a = a,
                     .s = s,
                     .asked = time_mono(),
                     .tty = !a->value[OPT_JSON] && !a->value[OPT_NO_TTY] && isatty(STDERR_FILENO)};
    struct status st = wait_loop(&w);
    json_decref(w.alive);
    return st;
}

/* ---- run --------------------------------------------------------------------------------------------------------- */

/* What an earlier run of this name left: its jobs are waited for (@p attach), or what they did is merged. */
static struct status earlier(bool *attach, struct slurm_submission *s, struct store *store, const struct plan *p)
{
    json_t *alive;
    *attach = false;
    TRY(engine_slurm_latest(s, store_dir(store), p->sweeps[0].name));
    if (!s->dir[0] || s->collected) return ok();
    TRY(engine_slurm_ask(&alive));
    struct status st = ok();
    if (engine_slurm_gone(s, alive))
        st = cluster_collect(s, store, alive);
    else if (engine_slurm_same(s, p))
        *attach = true;
    else
        st = fail(STATUS_ARG,
                  "sweep %s: jobs of an earlier run are still queued or running, of another plan; wait for them, or "
                  "`sweep cancel %s`, then run it again",
                  s->sweep, s->sweep);
    json_decref(alive);
    return st;
}

static void tell_jobs(const struct slurm_submission *s)
{
    size_t i;
    const json_t *job;
    json_array_foreach(json_object_get(s->state, "jobs"), i, job)
    {
        fprintf(stderr, "job %s: %lld tasks, %sB, %s each\n", json_str(job, "id", "?"),
                (long long)json_int(job, "tasks", 0), cli_count(json_num(job, "bytes", 0)),
                cli_seconds(json_num(job, "time_s", 0)));
    }
    fprintf(stderr, "job %s: merges what they find\n", json_str(s->state, "merge", "?"));
}

static struct status submit(bool *attached, struct slurm_submission *s, const struct cli_args *a, struct store *store,
                            const struct plan *p, const char *db)
{
    char program[4200];
    TRY(cluster_clear(store, p, p->sweeps[0].name));
    TRY(earlier(attached, s, store, p));
    if (*attached) {
        fprintf(stderr, "%s: its jobs are there already\n", s->sweep);
        return ok();
    }
    engine_slurm_close(s);
    TRY(cli_redo(a, store, p));
    snprintf(program, sizeof program, "%s/sweep", fs_program_dir());
    char *options = task_options(a);
    struct status st = engine_slurm_submit(
        s, &(struct slurm_options){.plan = p, .store = store, .db = db, .program = program, .options = options});
    free(options);
    if (st.code == STATUS_OK && s->dir[0]) tell_jobs(s);
    return st;
}

/* After the jobs: what the database lacks is merged here, then told as after a run on this machine. */
static struct status finish(const struct cli_args *a, struct slurm_submission *s, const struct plan *p, int *code)
{
    struct store *store;
    struct slurm_progress n;
    TRY(store_open(&store, (struct store_options){.path = cli_db(a), .command = a->line, .wait_s = 60}));
    struct status st = ok();
    if (!s->collected) {
        json_t *alive = NULL;
        st = engine_slurm_ask(&alive);
        if (st.code == STATUS_OK) st = cluster_collect(s, store, alive);
        json_decref(alive);
    }
    if (st.code == STATUS_OK) st = engine_slurm_look(&n, s, NULL);
    if (st.code == STATUS_OK) {
        int open = n.trials - n.done - n.failed - n.impossible;
        *code = n.failed || open ? 1 : 0;
        if (open)
            fprintf(stderr,
                    "%d trials are not finished: %s/log has what their jobs said; the same command goes on with them\n",
                    open, s->dir);
        st = cli_tell_run(a, store, p, code);
    }
    store_close(store);
    return st;
}

static struct status run_one(const struct cli_args *a, const struct plan *p, int *code, struct slurm_submission *s)
{
    struct store *store;
    bool attached;
    char db[2100];
    TRY(cli_open(&store, a, true));
    snprintf(db, sizeof db, "%s/%s", store_dir(store), fs_basename(cli_db(a)));
    struct status st = submit(&attached, s, a, store, p, db);
    if (st.code == STATUS_OK && !s->dir[0]) {
        fprintf(stderr, "nothing is to be done\n");
        st = cli_tell_run(a, store, p, code);
    }
    store_close(store); /* the job that merges writes it */
    if (st.code != STATUS_OK || !s->dir[0]) return st;
    if (a->value[OPT_DETACH]) {
        fprintf(stderr, "`sweep status` tells how far they are, the same command without --detach waits for them\n");
        return ok();
    }
    st = wait_for(a, s);
    if (st.code == STATUS_INTERRUPTED) *code = 1;
    return st.code == STATUS_OK ? finish(a, s, p, code) : st;
}

struct status cli_run_slurm(const struct cli_args *a, const struct plan *p, int *code)
{
    struct slurm_submission s = {0};
    struct engine_options checked; /* the tasks will read the same options, hours from now */
    TRY(cli_engine_options(&checked, a));
    TRY(engine_check_gpus(checked.gpus, checked.slots));
    if (p->n_sweeps != 1)
        return fail(STATUS_ARG, "--executor slurm: got %d files, expected one; submit them one after the other",
                    p->n_sweeps);
    for (int i = 0; i < p->n_warnings; i++) log_warn("%s", p->warnings[i]);
    struct status st = run_one(a, p, code, &s);
    engine_slurm_close(&s);
    return st;
}

struct status cli_executor(bool *slurm, const struct cli_args *a)
{
    static const char *const names[] = {"local", "slurm", NULL};
    const char *v = a->value[OPT_EXECUTOR];
    *slurm = v && strcmp(v, "slurm") == 0;
    if (v && !*slurm && strcmp(v, "local") != 0) {
        const char *near = str_nearest(v, names);
        return fail(STATUS_ARG, "--executor: got \"%s\", expected local or slurm%s%s%s", v,
                    near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    }
    if (a->value[OPT_DETACH] && !*slurm)
        return fail(STATUS_ARG, "--detach: jobs of a cluster go on without this command; expected --executor slurm");
    return ok();
}
