/* rm: trials and sweeps leave the database, and their files the disk. Rows go first, in one transaction: what is cut
   short then leaves files that no row names, which `sweep gc` finds. */
#include "inside.h"
#include <unistd.h>

/* What is to go: each trial once, however often it is named. */
struct removal {
    struct store *s;
    json_t *sweeps; /* names */
    json_t *trials; /* id -> {trial, arch, backbone, state, files, bytes} */
    json_t *files;  /* as engine_remove wants them */
    int shared;     /* trials of these sweeps that another sweep asks for, too */
};

static struct status rows_for(json_t **out, struct store *s, const char *sql, const char *text)
{
    json_t *params = json_pack("[s]", text);
    struct status st = store_rows(out, s, sql, params);
    json_decref(params);
    return st;
}

/* ?1 is the trial; sweeps that ask for it now or did before they were edited. */
static const char *const owners_sql =
    "SELECT name FROM sweeps w WHERE EXISTS (SELECT 1 FROM sweep_trials st WHERE st.sweep = w.id AND st.trial = ?1) "
    "OR EXISTS (SELECT 1 FROM state_trials h WHERE h.sweep = w.id AND h.trial = ?1) ORDER BY name";

/* ?1 is the sweep. */
static const char *const trials_sql =
    "SELECT t.id, t.arch, t.backbone, t.state FROM trials t WHERE t.id IN (SELECT trial FROM sweep_trials WHERE sweep "
    "= "
    "(SELECT id FROM sweeps WHERE name = ?1) UNION SELECT trial FROM state_trials WHERE sweep = (SELECT id FROM sweeps "
    "WHERE name = ?1)) ORDER BY t.created, t.id";

/* Sweeps that ask for a trial and are not to go. */
static struct status other_owners(json_t **out, const struct removal *r, const char *trial)
{
    json_t *rows;
    TRY(rows_for(&rows, r->s, owners_sql, trial));
    *out = json_array();
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *name = json_object_get(json_array_get(rows, i), "name");
        bool goes = false;
        for (size_t k = 0; k < json_array_size(r->sweeps); k++)
            goes = goes || json_equal(name, json_array_get(r->sweeps, k));
        if (!goes) json_array_append(*out, name);
    }
    json_decref(rows);
    return ok();
}

static struct status add_trial(struct removal *r, const json_t *row)
{
    const char *id = json_str(row, "id", "");
    json_t *files;
    double bytes = 0;
    if (json_object_get(r->trials, id)) return ok();
    if (strcmp(json_str(row, "state", ""), "running") == 0)
        return fail(STATUS_ARG, "trial %s: is running; stop its run, or wait for it", id);
    TRY(engine_files(&files, r->s, id));
    for (size_t i = 0; i < json_array_size(files); i++) bytes += json_num(json_array_get(files, i), "bytes", 0);
    json_array_extend(r->files, files);
    json_object_set_new(r->trials, id,
                        json_pack("{s:s,s:s,s:s,s:s,s:i,s:I}", "trial", id, "arch", json_str(row, "arch", ""),
                                  "backbone", json_str(row, "backbone", ""), "state", json_str(row, "state", ""),
                                  "files", (int)json_array_size(files), "bytes", (json_int_t)bytes));
    json_decref(files);
    return ok();
}

/* Its trials, but for those that a sweep that stays asks for. */
static struct status add_sweep_trials(struct removal *r, const char *sweep)
{
    json_t *rows, *others;
    TRY(rows_for(&rows, r->s, trials_sql, sweep));
    struct status st = ok();
    for (size_t i = 0; i < json_array_size(rows) && st.code == STATUS_OK; i++) {
        const json_t *row = json_array_get(rows, i);
        st = other_owners(&others, r, json_str(row, "id", ""));
        if (st.code != STATUS_OK) break;
        r->shared += json_array_size(others) > 0;
        if (!json_array_size(others)) st = add_trial(r, row);
        json_decref(others);
    }
    json_decref(rows);
    return st;
}

/* A trial that is named itself: it must not be several sweeps'. */
static struct status add_named_trial(struct removal *r, const json_t *t)
{
    json_t *others;
    const char *id = json_str(t, "id", "");
    TRY(other_owners(&others, r, id));
    struct status st =
        json_array_size(others) < 2
            ? add_trial(r, t)
            : fail(STATUS_ARG,
                   "trial %s: is of %zu sweeps, %s and %s%s; sweep rm of all but one of them "
                   "leaves it with that one",
                   id, json_array_size(others), json_string_value(json_array_get(others, 0)),
                   json_string_value(json_array_get(others, 1)), json_array_size(others) > 2 ? ", ..." : "");
    json_decref(others);
    return st;
}

static struct status is_sweep(bool *out, struct store *s, const char *name)
{
    json_t *rows;
    TRY(rows_for(&rows, s, "SELECT 1 FROM sweeps WHERE name = ?1", name));
    *out = json_array_size(rows) > 0;
    json_decref(rows);
    return ok();
}

/* A sweep's name goes before the beginning of a trial's id. */
static struct status name_one(struct removal *r, json_t *named, const char *word)
{
    bool sweep;
    json_t *t;
    TRY(is_sweep(&sweep, r->s, word));
    if (sweep) {
        json_array_append_new(r->sweeps, json_string(word));
        return ok();
    }
    struct status st = cli_trial(&t, r->s, word);
    if (st.code != STATUS_OK) return fail(st.code, "\"%s\": no sweep has this name; as a trial: %s", word, st.msg);
    json_array_append_new(named, t);
    return ok();
}

/* Sweeps first: which of their trials are shared depends on all that go. */
static struct status choose(struct removal *r, const struct cli_args *a)
{
    json_t *named = json_array();
    struct status st = ok();
    for (int i = 0; i < a->n_pos && st.code == STATUS_OK; i++) st = name_one(r, named, a->pos[i]);
    for (size_t i = 0; i < json_array_size(r->sweeps) && st.code == STATUS_OK; i++)
        st = add_sweep_trials(r, json_string_value(json_array_get(r->sweeps, i)));
    for (size_t i = 0; i < json_array_size(named) && st.code == STATUS_OK; i++)
        st = add_named_trial(r, json_array_get(named, i));
    json_decref(named);
    return st;
}

static struct status remove_rows(struct removal *r)
{
    const char *id;
    json_t *row;
    struct status st = store_begin(r->s);
    if (st.code != STATUS_OK) return st;
    for (size_t i = 0; i < json_array_size(r->sweeps) && st.code == STATUS_OK; i++)
        st = store_remove_sweep(r->s, json_string_value(json_array_get(r->sweeps, i)));
    json_object_foreach(r->trials, id, row) if (st.code == STATUS_OK) st = store_remove_trial(r->s, id);
    if (st.code == STATUS_OK) return store_commit(r->s);
    store_rollback(r->s);
    return st;
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

static double bytes_of(const struct removal *r)
{
    double bytes = 0;
    for (size_t i = 0; i < json_array_size(r->files); i++) bytes += json_num(json_array_get(r->files, i), "bytes", 0);
    return bytes;
}

static void say(const struct removal *r, const char *what)
{
    size_t sweeps = json_array_size(r->sweeps), trials = json_object_size(r->trials), files = json_array_size(r->files);
    fprintf(stderr, "%zu sweep%s, %zu trial%s, %zu file%s, %sB %s", sweeps, sweeps == 1 ? "" : "s", trials,
            trials == 1 ? "" : "s", files, files == 1 ? "" : "s", cli_count(bytes_of(r)), what);
    if (r->shared)
        fprintf(stderr, "; %d trial%s of another sweep stay%s", r->shared, r->shared == 1 ? "" : "s",
                r->shared == 1 ? "s" : "");
    fprintf(stderr, "\n");
}

static struct status agreed(bool *out, const struct cli_args *a)
{
    char answer[16] = "";
    *out = a->value[OPT_YES] != NULL;
    if (*out) return ok();
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return fail(STATUS_ARG,
                    "sweep rm: nothing is removed without being asked; expected --yes, or --dry-run to look");
    fprintf(stderr, "remove them? [y/N] ");
    *out = fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
    return ok();
}

static struct status go(struct removal *r, const struct cli_args *a, int *code)
{
    bool yes;
    json_t *rows, *row;
    const char *id;
    TRY(choose(r, a));
    rows = json_array();
    json_object_foreach(r->trials, id, row) json_array_append(rows, row);
    cli_print_rows(rows, cli_style_of(a));
    json_decref(rows);
    if (a->value[OPT_DRY_RUN]) {
        say(r, "would go");
        return ok();
    }
    if (!a->value[OPT_YES]) say(r, "would go");
    fflush(stdout);
    TRY(agreed(&yes, a));
    if (!yes) {
        *code = 1;
        return ok();
    }
    TRY(remove_rows(r));
    TRY(engine_remove(r->s, r->files));
    say(r, "removed");
    return ok();
}

CLI_COMMAND(cli_rm)
{
    struct removal r = {.sweeps = json_array(), .trials = json_object(), .files = json_array()};
    struct status st = cli_open(&r.s, a, true); /* who runs holds the lock */
    if (st.code == STATUS_OK) {
        st = cli_cluster_idle(r.s);
        if (st.code == STATUS_OK) st = go(&r, a, code);
        store_close(r.s);
    }
    json_decref(r.sweeps);
    json_decref(r.trials);
    json_decref(r.files);
    return st;
}
