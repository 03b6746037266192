/*
 * What a report was made from, as one hash beside it: rows that every change of a shown number goes through (a stage
 * ends, a trial's state, a cell's place), not the numbers themselves, so that asking is cheap for ten thousand cells.
 */
#include "inside.h"

static const char *const shown_sql[] = {
    "SELECT name, rank FROM sweeps WHERE ?1 = 0 OR id = ?1 ORDER BY id",
    ("SELECT t.id, t.state, t.reason, st.ordinal, st.axes FROM trials t LEFT JOIN sweep_trials st ON st.trial = t.id "
     "AND st.sweep = ?1 WHERE ?1 = 0 OR st.sweep = ?1 ORDER BY t.id"),
    ("SELECT g.key, g.state, g.reason, g.attempts, g.ended, g.environment FROM stages g WHERE ?1 = 0 OR g.trial IN "
     "(SELECT trial FROM sweep_trials WHERE sweep = ?1) ORDER BY g.key"),
};

static struct status add_row(void *ctx, const struct store_row *row)
{
    struct str *out = ctx;
    if (!row->v) return ok();
    for (int i = 0; i < row->n; i++) {
        const struct store_value *v = &row->v[i];
        str_addf(out, "%d", (int)v->kind);
        if (v->kind == STORE_TEXT)
            str_add(out, v->text);
        else if (v->kind == STORE_INT || v->kind == STORE_REAL)
            str_addn(out, (const char *)&v->d, sizeof v->d);
        str_addn(out, "", 1);
    }
    return ok();
}

struct status mark_of(struct hash *out, struct report *r)
{
    struct str text = {0};
    struct hash program;
    struct status st = hash_file(&program, "/proc/self/exe"); /* another program may draw it another way */
    if (st.code == STATUS_OK) str_add(&text, program.hex);
    json_t *params = json_pack("[I]", (json_int_t)r->sweep);
    for (size_t i = 0; i < LEN(shown_sql) && st.code == STATUS_OK; i++)
        st = store_query(r->store, shown_sql[i], params, add_row, &text);
    json_decref(params);
    if (st.code == STATUS_OK) *out = hash_bytes(text.s, text.n);
    str_free(&text);
    return st;
}

static const char *mark_path(struct report *r)
{
    return fs_join(&r->arena, r->o->dir, ".made-from");
}

bool mark_holds(struct report *r, const struct hash *mark)
{
    static const char *const files[] = {"index.html", "results.csv", "results.md"};
    char *text = NULL;
    struct status st = fs_read(&text, NULL, mark_path(r));
    bool same = st.code == STATUS_OK && strcmp(text, mark->hex) == 0;
    for (size_t i = 0; i < LEN(files); i++) same = same && fs_exists(fs_join(&r->arena, r->o->dir, files[i]));
    free(text);
    return same;
}

struct status mark_put(struct report *r, const struct hash *mark)
{
    return fs_write(mark_path(r), mark->hex, strlen(mark->hex));
}
