/* history: the states of a sweep, each what its file asked for at some time, and what differs between two of them. */
#include "inside.h"

static struct status sweep_rows(json_t **out, struct store *s, const char *sql, const char *sweep)
{
    json_t *params = json_pack("[s]", sweep);
    struct status st = store_rows(out, s, sql, params);
    json_decref(params);
    return st;
}

/* The oldest is number 1; a merge may bring older ones, and then they are counted first. */
static const char *const states_sql =
    "WITH h AS (SELECT h.*, row_number() OVER (ORDER BY h.asked) AS state, lag(h.asked) OVER (ORDER BY h.asked) AS "
    "before "
    "FROM sweep_states h JOIN sweeps w ON w.id = h.sweep WHERE w.name = ?1) "
    "SELECT state, datetime(asked, 'unixepoch') AS asked, "
    "(SELECT count(*) FROM state_trials a WHERE a.sweep = h.sweep AND a.asked = h.asked) AS trials, "
    "(SELECT count(*) FROM state_trials a WHERE a.sweep = h.sweep AND a.asked = h.asked AND a.trial NOT IN "
    "(SELECT trial FROM state_trials b WHERE b.sweep = h.sweep AND b.asked = h.before)) AS added, "
    "(SELECT count(*) FROM state_trials b WHERE b.sweep = h.sweep AND b.asked = h.before AND b.trial NOT IN "
    "(SELECT trial FROM state_trials a WHERE a.sweep = h.sweep AND a.asked = h.asked)) AS dropped, rank, path";

static struct status list_states(const struct cli_args *a, struct store *s)
{
    struct str sql = {0};
    str_addf(&sql, "%s FROM h ORDER BY state", states_sql);
    json_t *params = json_pack("[s]", a->pos[0]);
    struct status st = cli_print_query(s, sql.s, params, cli_style_of(a));
    json_decref(params);
    str_free(&sql);
    return st;
}

/* ---- two states -------------------------------------------------------------------------------------------------- */

/* The stored file as a person wrote it: keys that every cell has by their names, axes as axes.KEY. */
static json_t *keys_of(const json_t *spec)
{
    json_t *out = json_object(), *v;
    const char *key;
    json_object_foreach((json_t *)(uintptr_t)spec, key, v) if (strcmp(key, "base") != 0 && strcmp(key, "axes") != 0)
        json_object_set(out, key, v);
    json_object_update(out, json_object_get(spec, "base"));
    const json_t *axes = json_object_get(spec, "axes");
    for (size_t i = 0; i < json_array_size(axes); i++) {
        struct arena mem = {0};
        const json_t *axis = json_array_get(axes, i);
        json_t *values = json_object_get(axis, "values");
        json_object_set(out, arena_printf(&mem, "axes.%s", json_str(axis, "key", "?")),
                        values ? values : (json_t *)(uintptr_t)axis);
        arena_free(&mem);
    }
    return out;
}

static void add_changes(json_t *out, const json_t *old, const json_t *new)
{
    json_t *all = json_object();
    const char *key;
    json_t *v;
    json_object_update(all, (json_t *)(uintptr_t)old);
    json_object_update(all, (json_t *)(uintptr_t) new);
    json_object_foreach(all, key, v)
    {
        json_t *from = json_object_get(old, key), *to = json_object_get(new, key);
        if (from && to && json_equal(from, to)) continue;
        json_array_append_new(out, json_pack("{s:s, s:O, s:O}", "key", key, "from", from ? from : json_null(), "to",
                                             to ? to : json_null()));
    }
    json_decref(all);
}

/* A trial that one of the states has and the other has not. */
static void add_trials(json_t *out, const json_t *in, const json_t *not_in, const char *word)
{
    const char *id;
    json_t *axes;
    json_object_foreach((json_t *)(uintptr_t)in, id, axes)
    {
        if (json_object_get(not_in, id)) continue;
        json_t *row = json_pack("{s:s, s:s}", "trial", id, "change", word);
        json_object_update_missing(row, axes);
        json_array_append_new(out, row);
    }
}

struct state {
    int number;
    json_t *keys, *trials; /* owned */
};

static void state_free(struct state *t)
{
    json_decref(t->keys);
    json_decref(t->trials);
}

static struct status parse_into(json_t **out, const char *text)
{
    return json_parse(out, "the database", text, strlen(text));
}

static struct status read_state(struct state *t, struct store *s, const json_t *row)
{
    json_t *rows, *spec, *params = json_pack("[O, O]", json_object_get(row, "sweep"), json_object_get(row, "time"));
    struct status st = store_rows(
        &rows, s, "SELECT trial, axes FROM state_trials WHERE sweep = ?1 AND asked = ?2 ORDER BY ordinal", params);
    json_decref(params);
    TRY(st);
    t->trials = json_object();
    st = parse_into(&spec, json_str(row, "spec", "{}"));
    if (st.code == STATUS_OK) {
        t->keys = keys_of(spec);
        json_decref(spec);
    }
    for (size_t i = 0; i < json_array_size(rows) && st.code == STATUS_OK; i++) {
        const json_t *trial = json_array_get(rows, i);
        json_t *axes;
        st = parse_into(&axes, json_str(trial, "axes", "{}"));
        if (st.code == STATUS_OK) json_object_set_new(t->trials, json_str(trial, "trial", ""), axes);
    }
    json_decref(rows);
    return st;
}

static struct status find_state(int *out, const char *sweep, const char *text, size_t n)
{
    int64_t v;
    if (!str_to_i64(text, &v) || v < 1 || v > (int64_t)n)
        return fail(STATUS_ARG, "sweep history %s: state: got \"%s\", expected 1 to %zu; `sweep history %s` lists them",
                    sweep, text, n, sweep);
    *out = (int)v;
    return ok();
}

static void print_part(const char *title, const json_t *rows, enum cli_style style)
{
    if (!json_array_size(rows)) return;
    if (style == CLI_ALIGNED) printf("\n%s\n", title);
    cli_print_rows(rows, style);
}

static void print_changes(const struct cli_args *a, const struct state *old, const struct state *new)
{
    json_t *keys = json_array(), *trials = json_array();
    enum cli_style style = cli_style_of(a);
    add_changes(keys, old->keys, new->keys);
    add_trials(trials, new->trials, old->trials, "added");
    add_trials(trials, old->trials, new->trials, "dropped");
    if (style == CLI_JSON) {
        json_t *all = json_pack("{s:s, s:i, s:i, s:O, s:O}", "sweep", a->pos[0], "from", old->number, "to", new->number,
                                "keys", keys, "trials", trials);
        cli_print_json(all);
        json_decref(all);
    } else {
        if (style == CLI_ALIGNED) printf("%s, from state %d to state %d\n", a->pos[0], old->number, new->number);
        print_part("keys that differ", keys, style);
        print_part("trials that only one of them has", trials, style);
        if (style == CLI_ALIGNED && !json_array_size(keys) && !json_array_size(trials)) printf("they are the same\n");
    }
    json_decref(keys);
    json_decref(trials);
}

static struct status two_states(const struct cli_args *a, struct store *s)
{
    json_t *rows;
    struct state t[2] = {0};
    TRY(sweep_rows(&rows, s,
                   "SELECT h.sweep, h.asked AS time, h.spec FROM sweep_states h JOIN sweeps w ON w.id = h.sweep WHERE "
                   "w.name = ?1 ORDER BY h.asked",
                   a->pos[0]));
    size_t n = json_array_size(rows);
    t[1].number = (int)n;
    struct status st = ok();
    for (int i = 0; i < a->n_pos - 1 && st.code == STATUS_OK; i++)
        st = find_state(&t[i].number, a->pos[0], a->pos[i + 1], n);
    for (int i = 0; i < 2 && st.code == STATUS_OK; i++)
        st = read_state(&t[i], s, json_array_get(rows, (size_t)t[i].number - 1));
    if (st.code == STATUS_OK) print_changes(a, &t[0], &t[1]);
    state_free(&t[0]);
    state_free(&t[1]);
    json_decref(rows);
    return st;
}

static struct status history(const struct cli_args *a, struct store *s)
{
    TRY(cli_find_sweep(s, a->pos[0]));
    return a->n_pos == 1 ? list_states(a, s) : two_states(a, s);
}

CLI_COMMAND(cli_history)
{
    (void)code;
    return cli_with_store(a, history);
}
