/* Sweeps that were submitted to a cluster: task, collect, cancel, what status says, who may touch their trials. */
#include "cluster.h"

json_t *cluster_json(const struct slurm_submission *s, const struct slurm_progress *p)
{
    return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "sweep", s->sweep, "trials", p->trials, "done",
                     p->done, "failed", p->failed, "not_possible", p->impossible, "running", p->running, "waiting",
                     p->waiting, "jobs_running", p->jobs_running, "jobs_pending", p->jobs_pending);
}

struct status cluster_collect(struct slurm_submission *s, struct store *store, const json_t *alive)
{
    struct slurm_collected c;
    char self[64] = "";
    const char *job = getenv("SLURM_JOB_ID");
    snprintf(self, sizeof self, "%s", job ? job : "");
    TRY(engine_slurm_collect(&c, s, store, alive, self));
    fprintf(stderr, "%s: %d new stages in the database%s\n", s->sweep, c.stages,
            c.complete ? "" : "; more are to come: collect again");
    return ok();
}

/* ---- one at a time ----------------------------------------------------------------------------------------------- */

static bool shares(const struct slurm_submission *s, const struct plan *p)
{
    json_t *ids = json_object();
    const json_t *order = json_object_get(s->state, "order");
    bool some = false;
    for (int i = 0; i < p->n_trials; i++) json_object_set_new(ids, p->trials[i].id, json_true());
    for (size_t i = 0; i < json_array_size(order) && !some; i++) {
        const char *id = json_string_value(json_array_get(order, i));
        some = id && json_object_get(ids, id);
    }
    json_decref(ids);
    return some;
}

static void close_all(struct slurm_submission *v, int n)
{
    for (int i = 0; i < n; i++) engine_slurm_close(&v[i]);
    free(v);
}

static struct status clear_one(struct slurm_submission *s, struct store *store, json_t **alive)
{
    if (!*alive) TRY(engine_slurm_ask(alive));
    if (engine_slurm_gone(s, *alive)) return cluster_collect(s, store, *alive);
    return fail(STATUS_ARG,
                "sweep %s: its jobs on the cluster are at trials that this asks for, too; wait for them, or "
                "`sweep cancel %s`",
                s->sweep, s->sweep);
}

struct status cluster_clear(struct store *store, const struct plan *p, const char *but)
{
    struct slurm_submission *open;
    json_t *alive = NULL;
    int n;
    struct status st = engine_slurm_open_ones(&open, &n, store_dir(store));
    for (int i = 0; i < n; i++) {
        bool ours = st.code == STATUS_OK && (!but || strcmp(but, open[i].sweep) != 0) && shares(&open[i], p);
        if (ours) st = clear_one(&open[i], store, &alive);
    }
    json_decref(alive);
    close_all(open, n);
    return st;
}

struct status cli_cluster_idle(const struct store *store)
{
    struct slurm_submission *open;
    int n;
    struct status st = engine_slurm_open_ones(&open, &n, store_dir(store));
    if (st.code == STATUS_OK && n)
        st =
            fail(STATUS_ARG,
                 "sweep %s: what its jobs on the cluster have made is not all in the database; `sweep collect %s` when "
                 "they have ended, then again",
                 open[0].sweep, open[0].sweep);
    close_all(open, n);
    return st;
}

struct status cli_cluster_clear(struct store *store, const struct plan *p)
{
    return cluster_clear(store, p, NULL);
}

/* ---- task, collect, cancel --------------------------------------------------------------------------------------- */

CLI_COMMAND(cli_task)
{
    int64_t bucket;
    int failed = 0;
    if (!str_to_i64(a->pos[1], &bucket) || bucket < 0 || bucket >= SLURM_MAX_BUCKETS)
        return fail(STATUS_ARG,
                    "sweep task: got bucket \"%s\", expected a number; `sweep run --executor slurm` makes "
                    "the jobs that run it",
                    a->pos[1]);
    struct slurm_task_options o = {.dir = a->pos[0], .db = cli_db(a), .bucket = (int)bucket};
    TRY(cli_engine_options(&o.engine, a));
    struct cli_live *l = cli_live_new(a->value[OPT_JSON] != NULL, true);
    o.engine.on_event = cli_live_event;
    o.engine.ctx = l;
    struct status st = engine_slurm_task(&failed, &o);
    cli_live_free(l);
    *code = st.code == STATUS_INTERRUPTED ? 75 : st.code != STATUS_OK || failed ? 1 : 0;
    return st;
}

static struct status results_dir(char out[1024], const struct cli_args *a)
{
    struct arena mem = {0};
    char *real = realpath(fs_dirname(&mem, cli_db(a)), NULL);
    snprintf(out, 1024, "%s", real ? real : ".");
    arena_free(&mem);
    struct status st =
        real ? ok() : fail(STATUS_ARG, "%s: there is no such folder; --db PATH names another", cli_db(a));
    free(real);
    return st;
}

static struct status find(struct slurm_submission *s, const char *results, const char *name)
{
    TRY(engine_slurm_latest(s, results, name));
    if (s->dir[0]) return ok();
    return fail(STATUS_ARG, "sweep \"%s\": nothing of it was submitted to Slurm; `sweep status` lists what was", name);
}

static struct status collect_one(const struct cli_args *a, struct slurm_submission *s)
{
    struct store *store;
    json_t *alive = NULL;
    if (s->collected) {
        fprintf(stderr, "%s: everything is in the database\n", s->sweep);
        return ok();
    }
    struct status asked = engine_slurm_ask(&alive); /* without an answer what is there is merged, and more may come */
    if (asked.code != STATUS_OK) log_warn("%s", asked.msg);
    /* A job writes from another machine than the one where the results are looked at. */
    struct status st = store_open(
        &store, (struct store_options){
                    .path = cli_db(a), .command = a->line, .wait_s = 600, .alone = getenv("SLURM_JOB_ID") != NULL});
    if (st.code == STATUS_OK) st = cluster_collect(s, store, alive);
    store_close(store);
    json_decref(alive);
    return st;
}

CLI_COMMAND(cli_collect)
{
    char results[1024];
    struct slurm_submission *open, one;
    int n;
    (void)code;
    TRY(results_dir(results, a));
    if (a->n_pos) {
        TRY(find(&one, results, a->pos[0]));
        struct status st = collect_one(a, &one);
        engine_slurm_close(&one);
        return st;
    }
    TRY(engine_slurm_open_ones(&open, &n, results));
    struct status st = ok();
    for (int i = 0; i < n && st.code == STATUS_OK; i++) st = collect_one(a, &open[i]);
    if (n == 0) fprintf(stderr, "everything is in the database\n");
    close_all(open, n);
    return st;
}

CLI_COMMAND(cli_cancel)
{
    char results[1024];
    struct slurm_submission s;
    (void)code;
    TRY(results_dir(results, a));
    TRY(find(&s, results, a->pos[0]));
    struct status st = engine_slurm_cancel(&s);
    if (st.code == STATUS_OK) st = collect_one(a, &s);
    engine_slurm_close(&s);
    return st;
}

/* ---- status ------------------------------------------------------------------------------------------------------ */

struct status cli_slurm_status(json_t **out, const struct cli_args *a)
{
    char results[1024];
    struct slurm_submission *open;
    int n;
    json_t *alive = NULL;
    *out = json_array();
    TRY(results_dir(results, a));
    TRY(engine_slurm_open_ones(&open, &n, results));
    struct status st = ok();
    if (n) {
        struct status asked = engine_slurm_ask(&alive); /* one call for all */
        if (asked.code != STATUS_OK) log_warn("%s", asked.msg);
    }
    for (int i = 0; i < n && st.code == STATUS_OK; i++) {
        struct slurm_progress p;
        st = engine_slurm_look(&p, &open[i], alive);
        if (st.code == STATUS_OK) json_array_append_new(*out, cluster_json(&open[i], &p));
    }
    close_all(open, n);
    json_decref(alive);
    return st;
}
