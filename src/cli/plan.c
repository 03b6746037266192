/* plan: what would run, what is stored, what is impossible and why, and what it will cost. */
#include "inside.h"
#include "weights.h"

enum { MOST_ROWS = 40 };

enum fate { RUN, STORED, TOO_SLOW, PRUNED, IMPOSSIBLE, N_FATES };
static const struct {
    const char *name, *state; /* state: of a stored stage behind which nothing is run */
} fates[N_FATES] = {[RUN] = {.name = "run"},
                    [STORED] = {.name = "stored"},
                    [TOO_SLOW] = {.name = "too slow", .state = "too_slow"},
                    [PRUNED] = {.name = "pruned", .state = "pruned"},
                    [IMPOSSIBLE] = {.name = "impossible"}};

/* What a trial comes to. */
struct fortune {
    enum fate fate;
    const char *reason;
    double seconds, bytes; /* still to do; the greatest of a process */
    char from[100];        /* which training this one's goes on from; "": it begins at the start */
    double begun;          /* share of the training that is done there */
    double ms; /* latency that the gate, or else the first measurement, is predicted to find; 0: not known */
    bool slow; /* predicted to fail the gate */
};

struct outlook {
    const struct plan *p;
    struct plan_model *model;
    json_t *stored; /* key -> row of what need not run again */
    int jobs, cores;
    double memory; /* of the machine */
    struct fortune *trials;
    int n[N_FATES], over_memory, over_gate, n_past;
    double seconds, alone, off; /* all work; of it what runs by itself; expected error of it */
    double bytes;               /* greatest of all */
};

/* Whether a checkpoint holds what continuing needs, by the names in its head. */
static bool continues(const char *dir)
{
    struct arena a = {0};
    struct weights w;
    bool found = false;
    if (weights_load(&w, fs_join(&a, dir, "last.safetensors")).code == STATUS_OK) {
        for (size_t i = 0; i < w.n && !found; i++) found = strncmp(w.a[i].name, "state/", strlen("state/")) == 0;
        weights_free(&w);
    }
    arena_free(&a);
    return found;
}

/* Trainings that will go on from a stored one of fewer epochs; asked only where one may be that can be gone on from. */
static struct status look_for_shorter(struct outlook *o, struct store *s)
{
    json_t *rows;
    struct status st =
        store_rows(&rows, s, "SELECT 1 FROM trials WHERE json_extract(config, '$.\"keep\"') = 'all' LIMIT 1", NULL);
    bool any = st.code == STATUS_OK && json_array_size(rows) > 0;
    json_decref(st.code == STATUS_OK ? rows : NULL);
    for (int i = 0; any && i < o->p->n_trials && st.code == STATUS_OK; i++) {
        const struct plan_trial *t = &o->p->trials[i];
        json_t *from = NULL;
        if (t->refused || strcmp(t->t.train.schedule, "constant") != 0) continue;
        st = engine_shorter(&from, s, o->p, i);
        if (from && continues(json_str(from, "dir", ""))) {
            snprintf(o->trials[i].from, sizeof o->trials[i].from, "goes on from %s, which has %d of %d epochs",
                     json_str(from, "id", ""), (int)json_int(from, "epochs", 0), t->t.train.epochs);
            o->trials[i].begun = json_num(from, "epochs", 0) / t->t.train.epochs;
        }
        json_decref(from);
    }
    return st;
}

static struct status look_up(struct outlook *o, const struct cli_args *a)
{
    struct store *s;
    json_t *machine = engine_machine();
    o->memory = json_num(machine, "memory_bytes", 0);
    json_decref(machine);
    if (!fs_exists(cli_db(a))) {
        o->stored = json_object();
        o->model = plan_model_new(NULL, 0);
        return ok();
    }
    TRY(cli_open(&s, a, false));
    struct status st = engine_cached(&o->stored, s, o->p);
    if (st.code == STATUS_OK) st = engine_model(&o->model, s);
    if (st.code == STATUS_OK) st = look_for_shorter(o, s);
    store_close(s);
    return st;
}

static void judge_stage(struct outlook *o, struct fortune *f, int trial, const struct plan_stage *g)
{
    const json_t *known = json_object_get(o->stored, g->key);
    if (known) {
        for (int i = 0; i < N_FATES; i++) {
            if (!fates[i].state || strcmp(json_str(known, "state", ""), fates[i].state) != 0) continue;
            f->fate = (enum fate)i;
            f->reason = json_str(known, "reason", "");
        }
        return;
    }
    struct plan_forecast w = plan_forecast(o->model, g, engine_share(g, o->jobs, o->cores));
    f->bytes = w.bytes > f->bytes ? w.bytes : f->bytes;
    if (w.ms > 0 && f->ms <= 0) f->ms = w.ms;
    if (g->kind == PLAN_SCREEN) f->slow = w.ms > json_num(g->config, "gate.p50_ms", 0);
    if (g->trial != trial) return; /* another cell's work, too: counted there */
    double seconds = w.seconds * engine_runs(g) * (g->kind == PLAN_TRAIN ? 1 - f->begun : 1);
    f->seconds += seconds;
    if (g->kind == PLAN_BENCH) o->alone += seconds;
    o->off += seconds * (w.error < 0 ? 1 : w.error);
    o->n_past = w.n > o->n_past ? w.n : o->n_past;
}

static void judge(struct outlook *o)
{
    for (int i = 0; i < o->p->n_trials; i++) {
        const struct plan_trial *t = &o->p->trials[i];
        struct fortune *f = &o->trials[i];
        f->fate = t->refused ? IMPOSSIBLE : STORED;
        f->reason = t->refused ? t->refused : "";
        double alone = o->alone, off = o->off;
        for (int k = 0; k < t->n_stages; k++) judge_stage(o, f, i, &o->p->stages[t->stages[k]]);
        if (fates[f->fate].state) { /* nothing behind it is run */
            f->seconds = f->bytes = 0;
            o->alone = alone;
            o->off = off;
        }
        if (f->fate == STORED && f->seconds > 0) f->fate = RUN;
        o->n[f->fate]++;
        o->seconds += f->seconds;
        o->bytes = f->bytes > o->bytes ? f->bytes : o->bytes;
        o->over_memory += f->fate == RUN && f->bytes > o->memory;
        o->over_gate += f->fate == RUN && f->slow;
    }
}

/* ---- for people ------------------------------------------------------------------------------------------------- */

/* Keys that the cells vary and that have no column of their own; the axes of the first cell of each trial. */
static json_t *varied(const json_t ***axes, const struct plan *p)
{
    static const char *const own[] = {"model.arch", "model.backbone", "seed", "data.size"};
    json_t *keys = json_array(), *first = json_object(), *told = json_object();
    *axes = mem_zalloc(sizeof **axes * (size_t)(p->n_trials + 1));
    for (int w = 0; w < p->n_sweeps; w++) {
        for (int c = 0; c < p->sweeps[w].n_cells; c++) {
            const struct plan_cell *cell = &p->sweeps[w].cells[c];
            const char *key;
            json_t *v;
            if (!(*axes)[cell->trial]) (*axes)[cell->trial] = cell->axes;
            json_object_foreach(cell->axes, key, v)
            {
                const json_t *seen = json_object_get(first, key);
                if (!seen) json_object_set(first, key, v);
                if (!seen || json_equal(seen, v) || json_object_get(told, key)) continue;
                bool known = false;
                for (size_t i = 0; i < LEN(own); i++) known = known || strcmp(own[i], key) == 0;
                if (!known) json_array_append_new(keys, json_string(key));
                json_object_set_new(told, key, json_true());
            }
        }
    }
    json_decref(told);
    json_decref(first);
    return keys;
}

static json_t *row_of(const struct outlook *o, int i, const json_t *keys, const json_t *axes)
{
    const struct plan_trial *t = &o->p->trials[i];
    const struct fortune *f = &o->trials[i];
    json_t *row =
        json_pack("{s:s, s:s, s:s, s:o, s:I}", "trial", t->id, "arch", t->t.model.arch, "backbone", t->t.model.backbone,
                  "size", json_sprintf("%dx%d", t->t.data.size[0], t->t.data.size[1]), "seed", (json_int_t)t->t.seed);
    for (size_t k = 0; k < json_array_size(keys); k++) {
        const char *key = json_string_value(json_array_get(keys, k));
        const json_t *v = json_object_get(axes, key);
        bool scalar = !v || json_is_string(v) || json_is_number(v) || json_is_boolean(v);
        char *text = scalar ? NULL : json_text(v, 0);
        json_object_set_new(row, key,
                            scalar ? (v ? json_copy((json_t *)(uintptr_t)v) : json_null()) : json_string(text));
        free(text);
    }
    const char *why = f->fate != RUN         ? f->reason
                      : f->bytes > o->memory ? "is predicted to need more memory than there is"
                      : f->slow              ? "is predicted to be slower than the gate allows"
                      : *f->from             ? f->from
                                             : f->reason;
    json_object_set_new(row, "will", json_string(fates[f->fate].name));
    json_object_set_new(row, "params_m", json_real((double)t->size.params / 1e6));
    json_object_set_new(row, "gmacs", json_real((double)t->size.macs / 1e9));
    json_object_set_new(row, "p50_ms", f->ms > 0 ? json_real(f->ms) : json_null());
    json_object_set_new(row, "memory_gib", f->bytes > 0 ? json_real(f->bytes / 1073741824.0) : json_null());
    json_object_set_new(row, "time", json_string(f->seconds > 0 ? cli_seconds(f->seconds) : ""));
    json_object_set_new(row, "reason", json_string(why));
    return row;
}

static json_t *rows_of(const struct outlook *o, int most)
{
    const json_t **axes;
    json_t *keys = varied(&axes, o->p), *rows = json_array();
    for (int i = 0; i < o->p->n_trials && i < most; i++) json_array_append_new(rows, row_of(o, i, keys, axes[i]));
    json_decref(keys);
    free(axes);
    return rows;
}

static double eta(const struct outlook *o)
{
    return (o->seconds - o->alone) / o->jobs + o->alone;
}

/* Of all files: cells as written, those that another one repeats, those that rules take out. */
struct counts {
    int cells, duplicates, excluded;
};

static struct counts count(const struct plan *p)
{
    struct counts c = {0};
    for (int i = 0; i < p->n_sweeps; i++) {
        c.excluded += p->sweeps[i].n_excluded;
        c.cells += p->sweeps[i].n_cells;
        for (int k = 0; k < p->sweeps[i].n_cells; k++) c.duplicates += p->sweeps[i].cells[k].duplicate;
    }
    return c;
}

static void print_counts(const struct outlook *o)
{
    const struct plan *p = o->p;
    const struct counts c = count(p);
    char pruned[40] = "";
    if (o->n[PRUNED]) snprintf(pruned, sizeof pruned, "%d pruned, ", o->n[PRUNED]);
    printf("\n%d cells in %d file%s: %d to run, %d stored, %d over the latency gate, %s%d impossible, %d duplicate; "
           "%d excluded by rules\n",
           c.cells, p->n_sweeps, p->n_sweeps == 1 ? "" : "s", o->n[RUN], o->n[STORED], o->n[TOO_SLOW], pruned,
           o->n[IMPOSSIBLE], c.duplicates, c.excluded);
    for (int i = 0; i < p->n_sweeps; i++)
        for (int k = 0; k < p->sweeps[i].n_rules; k++) {
            const struct plan_excluded *x = &p->sweeps[i].excluded[k];
            if (x->n) printf("  excluded %d: %s: %s\n", x->n, x->where, x->rule);
        }
}

/* What data.skip_damaged leaves out; the warnings name the files. */
static void print_skipped(const struct outlook *o)
{
    int cells = 0, most = 0;
    for (int i = 0; i < o->p->n_trials; i++) {
        int n = o->p->trials[i].content.skipped;
        cells += n > 0;
        most = n > most ? n : most;
    }
    if (cells) printf("  %d damaged pairs left out of the images of %d cells\n", most, cells);
}

/* A reason without the backbone's name: what cells that are impossible alike have in common. */
static void reason_alike(struct str *out, const struct plan_trial *t)
{
    const char *name = t->t.model.backbone, *at = strstr(t->refused, name);
    str_addf(out, "%.*s|%s", at ? (int)(at - t->refused) : 0, t->refused, at ? at + strlen(name) : t->refused);
}

/* A table cuts long texts; why cells are impossible is said whole, once a reason, with the first backbone's name in it.
 */
static void print_impossible(const struct outlook *o)
{
    json_t *groups = json_object(), *g;
    const char *alike;
    for (int i = 0; i < o->p->n_trials; i++) {
        const struct plan_trial *t = &o->p->trials[i];
        struct str key = {0};
        if (!t->refused) continue;
        reason_alike(&key, t);
        g = json_object_get(groups, key.s);
        if (!g)
            json_object_set_new(groups, key.s, g = json_pack("{s:s, s:i, s:{}}", "why", t->refused, "n", 0, "names"));
        json_object_set_new(g, "n", json_integer(json_int(g, "n", 0) + 1));
        if (strstr(t->refused, t->t.model.backbone))
            json_object_set_new(json_object_get(g, "names"), t->t.model.backbone, json_true());
        str_free(&key);
    }
    json_object_foreach(groups, alike, g)
    {
        const char *name, *before = " (the same of ";
        json_t *unused;
        int n = 0;
        printf("  impossible %d: %s", (int)json_int(g, "n", 0), json_str(g, "why", ""));
        json_object_foreach(json_object_get(g, "names"), name, unused)
        {
            if (n++ == 0) continue; /* it stands in the reason */
            printf("%s%s", before, name);
            before = ", ";
        }
        printf("%s\n", n > 1 ? ")" : "");
    }
    json_decref(groups);
}

/* Which trainings may be stopped, and when that is decided. */
static void print_pruning(const struct outlook *o)
{
    json_t *rules = engine_pruning(o->p);
    for (size_t i = 0; i < json_array_size(rules); i++) {
        const json_t *r = json_array_get(rules, i);
        printf("pruning %d cells by %s on %s, %s; predicted times are those without it\n", (int)json_int(r, "cells", 0),
               json_str(r, "rule", ""), json_str(r, "metric", ""), json_str(r, "decides", ""));
        if (json_int(r, "residual", 0) && strcmp(json_str(r, "metric", ""), "val_loss") != 0)
            printf(
                "  it trusts %s, and %d of them start as the identity (model.output.residual), which may have a better "
                "one than a net that begins to learn; prune.metric: val_loss asks what is trained for\n",
                json_str(r, "metric", ""), (int)json_int(r, "residual", 0));
    }
    json_decref(rules);
}

static void print_cost(const struct outlook *o)
{
    if (o->seconds <= 0) return;
    printf("about %s of work, %s with --jobs %d", cli_seconds(o->seconds), cli_seconds(eta(o)), o->jobs);
    if (o->n_past)
        printf(", give or take %.0f %%: corrected by this machine's past stages (`--json`: model)\n",
               100 * o->off / o->seconds);
    else
        printf("; a first guess: nothing has run on this machine yet\n");
    printf("up to %.1f GiB a worker, of %.1f GiB here", o->bytes / 1073741824.0, o->memory / 1073741824.0);
    printf(o->over_memory ? "; %d cells need more than there is\n" : "\n", o->over_memory);
    if (o->over_gate)
        printf("%d cells are predicted to fail the latency gate, which is measured before training\n", o->over_gate);
}

/* ---- for programs ----------------------------------------------------------------------------------------------- */

static json_t *forecasts(const struct outlook *o)
{
    json_t *out = json_object();
    for (int i = 0; i < o->p->n_stages; i++) {
        const struct plan_stage *g = &o->p->stages[i];
        struct plan_forecast w = plan_forecast(o->model, g, engine_share(g, o->jobs, o->cores));
        json_object_set_new(out, g->key,
                            json_pack("{s:i, s:f, s:f, s:f}", "runs", engine_runs(g), "seconds", w.seconds, "bytes",
                                      w.bytes, "p50_ms", w.ms));
    }
    return out;
}

static void print_json(const struct outlook *o)
{
    json_t *j = plan_to_json(o->p), *will = json_object();
    for (int i = 0; i < o->p->n_trials; i++)
        json_object_set_new(will, o->p->trials[i].id, json_string(fates[o->trials[i].fate].name));
    const struct counts c = count(o->p);
    json_object_set_new(j, "summary",
                        json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:o, s:f}",
                                  "cells", c.cells, "run", o->n[RUN], "stored", o->n[STORED], "too_slow",
                                  o->n[TOO_SLOW], "pruned", o->n[PRUNED], "impossible", o->n[IMPOSSIBLE], "duplicate",
                                  c.duplicates, "excluded", c.excluded, "over_memory", o->over_memory, "over_gate",
                                  o->over_gate, "jobs", o->jobs, "work_s", o->seconds, "eta_s", eta(o), "error_s",
                                  o->n_past ? json_real(o->off) : json_null(), "bytes", o->bytes));
    json_object_set_new(j, "will", will);
    json_object_set_new(j, "pruning", engine_pruning(o->p));
    json_object_set_new(j, "forecast", forecasts(o));
    json_object_set_new(j, "model", plan_model_json(o->model));
    json_object_set(j, "stored", o->stored);
    cli_print_json(j);
    json_decref(j);
}

static void print_table(const struct outlook *o, enum cli_style style, bool all)
{
    int most = all || style == CLI_CSV ? o->p->n_trials : MOST_ROWS;
    json_t *rows = rows_of(o, most);
    cli_print_rows(rows, style);
    json_decref(rows);
    if (style == CLI_CSV) return;
    if (o->p->n_trials > most) printf("... %d more; --all prints them\n", o->p->n_trials - most);
    print_counts(o);
    print_impossible(o);
    print_skipped(o);
    print_pruning(o);
    print_cost(o);
}

CLI_COMMAND(cli_plan)
{
    struct outlook o = {.cores = cores_usable()};
    struct plan *p;
    (void)code;
    int jobs;
    TRY(engine_jobs(&jobs, a->value[OPT_GPUS], a->value[OPT_SLOTS]));
    TRY(cli_int(&o.jobs, a, OPT_JOBS, jobs, 1, 64));
    TRY(cli_load_plan(&p, a));
    o.p = p;
    o.trials = mem_zalloc(sizeof *o.trials * (size_t)(p->n_trials + 1));
    struct status st = look_up(&o, a);
    if (st.code == STATUS_OK) {
        enum cli_style style = cli_style_of(a);
        judge(&o);
        for (int i = 0; i < p->n_warnings; i++) log_warn("%s", p->warnings[i]);
        if (style == CLI_JSON)
            print_json(&o);
        else
            print_table(&o, style, a->value[OPT_ALL] != NULL);
    }
    free(o.trials);
    plan_model_free(o.model);
    json_decref(o.stored);
    plan_free(p);
    return st;
}
