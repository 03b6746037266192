/* run. */
#include "inside.h"
#include "report.h"
#include "weights.h"

/* Each file once. A file is mapped and its header read, which costs little whatever its size. */
static struct status check_weights(const struct plan *p)
{
    json_t *seen = json_object();
    struct status st = ok();
    for (int i = 0; i < p->n_trials && st.code == STATUS_OK; i++) {
        const struct spec_trial *t = &p->trials[i].t;
        const struct {
            const char *key, *path;
        } files[] = {{"model.weights", strcmp(t->model.weights, "random") == 0 ? NULL : t->model.weights},
                     {"model.init", t->model.init},
                     {"loss.weights", t->loss.weights}};
        for (size_t k = 0; k < LEN(files) && st.code == STATUS_OK; k++) {
            struct weights w;
            if (!files[k].path || json_object_get(seen, files[k].path)) continue;
            json_object_set_new(seen, files[k].path, json_true());
            st = weights_load(&w, files[k].path);
            if (st.code == STATUS_OK)
                weights_free(&w);
            else
                st = fail(st.code, "%s: %s; put a sound file there, or name another", files[k].key, st.msg);
        }
    }
    json_decref(seen);
    return st;
}

struct status cli_load_plan(struct plan **out, const struct cli_args *a)
{
    const char *precision, *gpus = a->value[OPT_GPUS];
    bool slurm;
    TRY(cli_executor(&slurm, a));
    if (slurm && gpus && strcmp(gpus, "none") != 0)
        gpus = NULL; /* they are those of the tasks' machines, not of this one */
    TRY(engine_precision(&precision, gpus));
    struct arena mem = {0};
    json_t *mistakes = json_array();
    struct status st = plan_load(out, &(struct plan_options){.files = a->pos,
                                                             .n_files = a->n_pos,
                                                             .sets = a->set,
                                                             .n_sets = a->n_set,
                                                             .mistakes = mistakes,
                                                             .precision = precision,
                                                             .cache = cli_cache(a, &mem)});
    arena_free(&mem);
    for (size_t i = 0; i + 1 < json_array_size(mistakes); i++) /* the last is told by whoever called */
        log_error("%s", json_string_value(json_array_get(mistakes, i)));
    json_decref(mistakes);
    TRY(st);
    st = check_weights(*out);
    if (st.code != STATUS_OK) {
        plan_free(*out);
        *out = NULL;
    }
    return st;
}

struct status cli_engine_options(struct engine_options *out, const struct cli_args *a)
{
    int jobs, hang, memory, stage;
    TRY(cli_int(&jobs, a, OPT_JOBS, 0, 1, 64));
    TRY(cli_int(&hang, a, OPT_HANG, 0, 1, 1000000));
    TRY(cli_int(&memory, a, OPT_MEMORY, 0, 1, 100000000));
    TRY(cli_int(&stage, a, OPT_STAGE_TIME, 0, 1, 100000000));
    *out = (struct engine_options){.jobs = jobs,
                                   .gpus = a->value[OPT_GPUS],
                                   .slots = a->value[OPT_SLOTS],
                                   .measure_beside = a->value[OPT_BESIDE] != NULL,
                                   .fresh = a->value[OPT_FRESH] != NULL,
                                   .fail_fast = a->value[OPT_FAIL_FAST] != NULL,
                                   .hang_s = hang,
                                   .bytes_limit = (int64_t)memory << 20,
                                   .stage_s = stage};
    return ok();
}

struct status cli_run_plan(const struct cli_args *a, struct store *s, const struct plan *p, int *code)
{
    struct engine_options o;
    TRY(cli_cluster_clear(s, p));
    TRY(cli_engine_options(&o, a));
    struct cli_live *l = cli_live_new(a->value[OPT_JSON] != NULL, a->value[OPT_NO_TTY] != NULL);
    cli_live_publish(l, s, p);
    struct engine_result r = {0};
    o.plan = p;
    o.store = s;
    o.ms_tick = cli_live_tick_ms(l);
    o.on_event = cli_live_event;
    o.ctx = l;
    struct status st = engine_run(&r, &o);
    if (st.code == STATUS_ARG) { /* nothing was begun */
        cli_live_free(l);
        return st;
    }
    *code = st.code != STATUS_OK || r.failed ? 1 : 0;
    cli_live_end(l, &r, *code);
    cli_live_free(l);
    fprintf(stderr, "%d done", r.done);
    const struct {
        const char *name;
        int n;
    } rest[] = {{"failed", r.failed}, {"refused", r.refused},   {"too slow", r.too_slow},
                {"pruned", r.pruned}, {"diverged", r.diverged}, {"interrupted", r.interrupted},
                {"queued", r.queued}};
    for (size_t i = 0; i < LEN(rest); i++)
        if (rest[i].n) fprintf(stderr, ", %d %s", rest[i].n, rest[i].name);
    for (int i = 0; i < r.n_gpus; i++)
        if (r.gpus[i].busy >= 0)
            fprintf(stderr, "%s GPU %d busy %.0f %%", i ? "," : ";", r.gpus[i].index, r.gpus[i].busy);
    fprintf(stderr, "; %d stages run, %d stored before, %s\n", r.ran, r.cached, cli_seconds(r.seconds));
    return st;
}

/* --redo STAGE,...: kinds as a mask. */
static struct status redo_kinds(unsigned *out, const char *text)
{
    const char *names[PLAN_N_KINDS + 1] = {NULL};
    for (int k = 0; k < PLAN_N_KINDS; k++) names[k] = plan_kinds[k].name;
    *out = 0;
    for (const char *p = text; *p; p += strcspn(p, ","), p += *p == ',') {
        char name[40];
        int kind = -1;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(p, ","), p);
        for (int k = 0; k < PLAN_N_KINDS; k++)
            if (strcmp(names[k], name) == 0) kind = k;
        const char *near = str_nearest(name, names);
        if (kind < 0)
            return fail(STATUS_ARG,
                        "--redo: got \"%s\", expected screen, train, evaluate, export, verify, samples or bench%s%s%s",
                        name, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
        *out |= 1U << kind;
    }
    return ok();
}

struct status cli_redo(const struct cli_args *a, struct store *s, const struct plan *p)
{
    unsigned kinds;
    int n;
    TRY(redo_kinds(&kinds, a->value[OPT_REDO] ? a->value[OPT_REDO] : ""));
    if (!kinds) return ok();
    TRY(engine_redo(&n, s, p, kinds));
    fprintf(stderr, "%d stages to be done again; if this is stopped, go on without --redo\n", n);
    return ok();
}

static const struct report_metric *metric_row(const char *name)
{
    static struct report_metric row;
    const struct spec_metric *m = spec_metric_of(name);
    if (m) row = (struct report_metric){m->name, m->unit, m->higher_is_better};
    return m ? &row : NULL;
}

struct status cli_write_report(const char *db, const char *sweep, const char *out, bool unless_same)
{
    char dir[1100];
    struct report_written w = {0};
    if (out)
        snprintf(dir, sizeof dir, "%s", out);
    else
        snprintf(dir, sizeof dir, "reports/%s", sweep ? sweep : "all");
    TRY(report_write(&w, &(struct report_options){
                             .db = db, .sweep = sweep, .dir = dir, .unless_same = unless_same, .metric = metric_row}));
    fprintf(stderr, "report:   %s%s\n", w.index, w.same ? " (nothing has changed)" : "");
    if (w.missing[0]) log_warn("%s", w.missing);
    return ok();
}

/* Keys other than those with columns of their own whose value differs between the cells of a sweep. */
static struct status varying(json_t **out, struct store *s, const char *sweep)
{
    static const char *const own[] = {"model.arch", "model.backbone", "seed", "data.size"};
    json_t *rows, *params = json_pack("[s]", sweep);
    struct status st =
        store_rows(&rows, s,
                   "SELECT j.key AS key FROM sweep_trials st JOIN sweeps s ON s.id = st.sweep, "
                   "json_each(st.axes) j WHERE s.name = ?1 GROUP BY j.key HAVING count(DISTINCT j.value) > 1",
                   params);
    json_decref(params);
    TRY(st);
    *out = json_array();
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const char *key = json_str(json_array_get(rows, i), "key", "");
        bool known = key[strcspn(key, "'\"")] != 0;
        for (size_t k = 0; k < LEN(own); k++) known = known || strcmp(own[k], key) == 0;
        if (!known) json_array_append_new(*out, json_string(key));
    }
    json_decref(rows);
    return ok();
}

static struct status print_results(struct store *s, const char *sweep, const char *rank)
{
    json_t *keys = NULL, *params = json_pack("[s]", sweep);
    struct status st = varying(&keys, s, sweep);
    struct str sql = {0};
    str_add(&sql, "SELECT substr(r.trial, 1, 8) AS trial, r.arch, r.backbone");
    for (size_t i = 0; st.code == STATUS_OK && i < json_array_size(keys); i++) {
        const char *key = json_string_value(json_array_get(keys, i));
        str_addf(&sql, ", json_extract(st.axes, '$.\"%s\"') AS \"%s\"", key, key);
    }
    str_add(&sql, ", r.height || 'x' || r.width AS size, r.seed, r.state, ");
    if (spec_judged(rank)) str_addf(&sql, "r.\"%s\", ", rank);
    str_addf(&sql,
             "r.ssim, r.psnr, r.val_loss, r.p50_ms, r.fps, "
             "round(r.params / 1e6, 2) AS params_m, round(r.macs / 1e9, 2) AS gmacs, r.reason "
             "FROM sweep_trials st JOIN sweeps s ON s.id = st.sweep JOIN results r ON r.trial = st.trial "
             "WHERE s.name = ?1 GROUP BY r.trial ORDER BY r.\"%s\" %s NULLS LAST, st.ordinal LIMIT 50",
             rank, cli_higher_first(rank) ? "DESC" : "ASC");
    if (st.code == STATUS_OK) {
        printf("\n%s, by %s:\n", sweep, rank);
        st = cli_print_query(s, sql.s, params, CLI_ALIGNED);
        if (st.code == STATUS_OK) st = cli_tell_skipped(s, sweep);
        json_decref(keys);
    }
    fflush(stdout);
    str_free(&sql);
    json_decref(params);
    return st;
}

static struct status tell_results(const struct cli_args *a, struct store *s, const struct plan *p)
{
    if (a->value[OPT_JSON]) return ok();
    for (int i = 0; i < p->n_sweeps; i++) TRY(print_results(s, p->sweeps[i].name, p->sweeps[i].rank));
    fprintf(stderr, "\ndatabase: %s\n", cli_db(a));
    return ok();
}

struct status cli_tell_run(const struct cli_args *a, struct store *s, const struct plan *p, int *code)
{
    int trouble = 0;
    struct status st = tell_results(a, s, p);
    for (int i = 0; i < p->n_sweeps && st.code == STATUS_OK && !a->value[OPT_NO_REPORT]; i++) {
        struct status report = cli_write_report(cli_db(a), p->sweeps[i].name, NULL, true);
        if (report.code != STATUS_OK) log_warn("no report: %s", report.msg); /* the results are stored all the same */
        trouble += report.code != STATUS_OK;
    }
    if (st.code == STATUS_OK && !a->value[OPT_JSON] && p->n_sweeps) {
        const char *db = a->value[OPT_DB] ? " --db " : "", *path = a->value[OPT_DB] ? a->value[OPT_DB] : "";
        if (*code) {
            fprintf(stderr,
                    "what failed, and when it is mended, again:\n"
                    "          sweep ls %s --where \"state = 'failed'\"%s%s\n"
                    "          sweep retry --failed --sweep %s%s%s\n",
                    p->sweeps[0].name, db, path, p->sweeps[0].name, db, path);
        }
        fprintf(stderr,
                "try next: sweep top --sweep %s --by p50_ms%s%s\n"
                "          sweep show %.8s%s%s\n"
                "          sweep query 'SELECT arch, backbone, %s, p50_ms FROM results'%s%s\n",
                p->sweeps[0].name, db, path, p->trials[p->sweeps[0].cells[0].trial].id, db, path, p->sweeps[0].rank, db,
                path);
    }
    if (trouble && !*code) *code = 1;
    return st;
}

static struct status run_here(const struct cli_args *a, const struct plan *p, int *code)
{
    struct store *s;
    TRY(cli_open(&s, a, true));
    for (int i = 0; i < p->n_warnings; i++) log_warn("%s", p->warnings[i]);
    struct status st = cli_redo(a, s, p);
    if (st.code == STATUS_OK) st = cli_run_plan(a, s, p, code);
    if (st.code == STATUS_OK) st = cli_tell_run(a, s, p, code);
    store_close(s);
    return st;
}

CLI_COMMAND(cli_run)
{
    struct plan *p;
    bool slurm;
    TRY(cli_executor(&slurm, a));
    TRY(cli_load_plan(&p, a));
    struct status st = slurm ? cli_run_slurm(a, p, code) : run_here(a, p, code);
    plan_free(p);
    return st;
}
