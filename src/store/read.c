/* Rows out: any statement that only reads. */
#include "inside.h"

static struct status bind_params(struct store *s, sqlite3_stmt *q, const json_t *params)
{
    int want = sqlite3_bind_parameter_count(q), got = (int)json_array_size(params);
    if (want != got) return fail(STATUS_ARG, "query: got %d parameters, the statement has %d", got, want);
    for (int i = 0; i < want; i++) {
        const json_t *v = json_array_get(params, (size_t)i);
        int rc;
        switch (json_typeof(v)) {
        case JSON_STRING:
            rc = sqlite3_bind_text(q, i + 1, json_string_value(v), -1, SQLITE_TRANSIENT);
            break;
        case JSON_INTEGER:
            rc = sqlite3_bind_int64(q, i + 1, json_integer_value(v));
            break;
        case JSON_REAL:
            rc = sqlite3_bind_double(q, i + 1, json_real_value(v));
            break;
        case JSON_TRUE:
        case JSON_FALSE:
            rc = sqlite3_bind_int64(q, i + 1, json_is_true(v));
            break;
        default:
            rc = sqlite3_bind_null(q, i + 1);
            break;
        }
        if (rc != SQLITE_OK) return store_fail(s, "query");
    }
    return ok();
}

static struct store_value column(sqlite3_stmt *q, int i)
{
    struct store_value v = {.kind = STORE_NULL};
    switch (sqlite3_column_type(q, i)) {
    case SQLITE_INTEGER:
        v.kind = STORE_INT;
        v.i = sqlite3_column_int64(q, i);
        v.d = (double)v.i;
        break;
    case SQLITE_FLOAT:
        v.kind = STORE_REAL;
        v.d = sqlite3_column_double(q, i);
        break;
    case SQLITE_TEXT:
        v.kind = STORE_TEXT;
        v.text = (const char *)sqlite3_column_text(q, i);
        break;
    case SQLITE_BLOB:
        v.kind = STORE_BLOB;
        v.blob = sqlite3_column_blob(q, i);
        v.i = sqlite3_column_bytes(q, i);
        break;
    default:
        break;
    }
    return v;
}

static struct status walk(struct store *s, sqlite3_stmt *q, store_row_fn *fn, void *ctx)
{
    int n = sqlite3_column_count(q);
    const char **names = mem_zalloc(sizeof *names * (size_t)(n + 1));
    struct store_value *v = mem_zalloc(sizeof *v * (size_t)(n + 1));
    for (int i = 0; i < n; i++) names[i] = sqlite3_column_name(q, i);
    struct status st = fn(ctx, &(struct store_row){.n = n, .names = names});
    int rc = SQLITE_DONE;
    while (st.code == STATUS_OK && (rc = sqlite3_step(q)) == SQLITE_ROW) {
        for (int i = 0; i < n; i++) v[i] = column(q, i);
        st = fn(ctx, &(struct store_row){.n = n, .names = names, .v = v});
    }
    if (st.code == STATUS_OK && rc != SQLITE_DONE)
        st =
            (rc & 0xff) == SQLITE_ERROR ? fail(STATUS_ARG, "query: %s", sqlite3_errmsg(s->db)) : store_fail(s, "query");
    free(names);
    free(v);
    return st;
}

struct status store_query(struct store *s, const char *sql, const json_t *params, store_row_fn *fn, void *ctx)
{
    sqlite3_stmt *q = NULL;
    const char *rest = "";
    if (sqlite3_prepare_v2(s->db, sql, -1, &q, &rest) != SQLITE_OK)
        return (sqlite3_errcode(s->db) & 0xff) == SQLITE_ERROR
                   ? fail(STATUS_ARG,
                          "query: %s; the tables and views: results, results_all, files, trials, stages, metrics, ...",
                          sqlite3_errmsg(s->db))
                   : store_fail(s, "query");
    struct status st = ok();
    if (!q)
        st = fail(STATUS_ARG, "query: the statement is empty");
    else if (!sqlite3_stmt_readonly(q))
        st = fail(STATUS_ARG, "query: only statements that read are run here; got one that writes");
    else if (rest[strspn(rest, " \t\r\n;")])
        st = fail(STATUS_ARG, "query: one statement at a time; got more after the first: %.60s", rest);
    if (st.code == STATUS_OK) st = bind_params(s, q, params);
    if (st.code == STATUS_OK) st = walk(s, q, fn, ctx);
    sqlite3_finalize(q);
    return st;
}

static struct status add_row(void *ctx, const struct store_row *row)
{
    if (!row->v) return ok();
    json_t *o = json_object();
    for (int i = 0; i < row->n; i++) {
        const struct store_value *v = &row->v[i];
        json_t *j = NULL;
        switch (v->kind) {
        case STORE_INT:
        case STORE_BLOB:
            j = json_integer(v->i);
            break;
        case STORE_REAL:
            j = json_real(v->d);
            break; /* NULL when not finite */
        case STORE_TEXT:
            j = json_string(v->text);
            break; /* NULL when not UTF-8 */
        case STORE_NULL:
            break;
        }
        json_object_set_new(o, row->names[i], j ? j : json_null());
    }
    json_array_append_new(ctx, o);
    return ok();
}

struct status store_rows(json_t **out, struct store *s, const char *sql, const json_t *params)
{
    *out = json_array();
    struct status st = store_query(s, sql, params, add_row, *out);
    if (st.code != STATUS_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return st;
}

struct status store_integrity(struct store *s)
{
    json_t *rows;
    TRY(store_rows(&rows, s, "SELECT integrity_check AS finding FROM pragma_integrity_check", NULL));
    const char *finding = json_str(json_array_get(rows, 0), "finding", "?");
    struct status st = strcmp(finding, "ok") == 0 ? ok() : fail(STATUS_DB, "%s: damaged: %s", s->path, finding);
    json_decref(rows);
    TRY(st);
    TRY(store_rows(&rows, s, "SELECT \"table\" AS name FROM pragma_foreign_key_check", NULL));
    if (json_array_size(rows))
        st = fail(STATUS_DB, "%s: a row of %s refers to one that is not there", s->path,
                  json_str(json_array_get(rows, 0), "name", "?"));
    json_decref(rows);
    return st;
}
