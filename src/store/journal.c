/*
 * Journals. Every row is written by one of a few prepared statements, so a journal is lines of statement and arguments:
 * {"do": "metric", "with": ["KEY", "TRIAL", "ssim", -1, 0.7]}. A file has one writer for its whole life; a batch goes
 * in by one write and is made durable before the transaction counts as done. Reading takes any bytes: a line that is
 * torn, or no row, says nothing.
 */
#include "inside.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_BLOB = 64 << 20 };

/* Statements that are rows of results; the others keep a database going and concern no other. */
static const struct row {
    const char *name, *types; /* as of store_run */
    bool of_stage;            /* the first argument is a stage's key */
} rows[STORE_N_SQL] = {
    [SQL_PUT_TRIAL] = {"trial", "tjttiiitiidj", false},
    [SQL_SET_TRIAL] = {"trial_state", "ttt", false},
    [SQL_SIZE_TRIAL] = {"trial_size", "tnn", false},
    [SQL_PUT_DEVICE] = {"device", "tj", false},
    [SQL_PUT_ENVIRONMENT] = {"environment", "tj", false},
    [SQL_STAGE_START] = {"stage_start", "tttttdt", true},
    [SQL_STAGE_END] = {"stage_end", "tttddi", true},
    [SQL_STAGE_INFO] = {"stage_info", "tj", true},
    [SQL_METRIC] = {"metric", "tttin", true},
    [SQL_IMAGE_METRIC] = {"image_metric", "ttttn", true},
    [SQL_ARTIFACT] = {"artifact", "ttttttit", true},
    [SQL_FORGET_FILE] = {"file_forgotten", "tt", false},
    [SQL_EMPTY_FILE] = {"file_emptied", "tt", false},
    [SQL_LATENCY] = {"latency", "ttttiiiiinnnnnnnniinbjd", true},
    [SQL_DECISION] = {"decision", "ttttitddiijtd", true},
};

/* ---- writing ---------------------------------------------------------------------------------------------------- */

struct status store_journal(struct store *s, const char *path)
{
    struct store_journal *j = &s->journal;
    struct stat st;
    store_journal_drop(s);
    if (j->fd >= 0) close(j->fd);
    j->fd = -1;
    if (!path) return ok();
    snprintf(j->path, sizeof j->path, "%s", path);
    j->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (j->fd < 0 || fstat(j->fd, &st) != 0)
        return fail(STATUS_IO, "%s: cannot be written: %s; is the shared folder there, and writable from this machine?",
                    path, strerror(errno));
    j->bytes = (int64_t)st.st_size;
    return ok();
}

static json_t *hex_of(const unsigned char *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    char *text = mem_alloc(2 * n + 1);
    for (size_t i = 0; i < n; i++) {
        text[2 * i] = digits[p[i] >> 4];
        text[2 * i + 1] = digits[p[i] & 15];
    }
    json_t *out = json_stringn(text, 2 * n);
    free(text);
    return out;
}

static json_t *argument(char type, va_list *ap)
{
    const json_t *v;
    const void *blob;
    switch (type) {
    case 't': {
        const char *text = va_arg(*ap, const char *);
        return text ? json_string(text) : json_null();
    }
    case 'i':
        return json_integer(va_arg(*ap, int64_t));
    case 'd': {
        double d = va_arg(*ap, double);
        return isfinite(d) ? json_real(d) : json_null();
    }
    case 'b':
        blob = va_arg(*ap, const void *);
        return hex_of(blob, va_arg(*ap, size_t));
    default: /* j, n */
        v = va_arg(*ap, const json_t *);
        return v ? json_incref((json_t *)(uintptr_t)v) : json_null();
    }
}

void store_journal_note(struct store *s, enum store_sql which, const char *types, va_list ap)
{
    struct store_journal *j = &s->journal;
    if (j->fd < 0) return;
    if (which == SQL_SAVE) j->mark = j->pending.n;
    if (which == SQL_UNDO) j->pending.n = j->mark;
    if (!rows[which].name) return;
    CHECK(strcmp(rows[which].types, types) == 0, "%s is journalled as %s, got %s", rows[which].name, rows[which].types,
          types);
    va_list in;
    va_copy(in, ap);
    json_t *with = json_array();
    for (const char *t = types; *t; t++) { /* a text that is no UTF-8 is none */
        json_t *v = argument(*t, &in);
        json_array_append_new(with, v ? v : json_null());
    }
    va_end(in);
    json_t *line = json_pack("{s:s, s:o}", "do", rows[which].name, "with", with);
    char *text = json_canonical(line);
    str_addf(&j->pending, "%s\n", text);
    free(text);
    json_decref(line);
}

void store_journal_drop(struct store *s)
{
    s->journal.pending.n = s->journal.mark = 0;
}

static bool append(const struct store_journal *j)
{
    for (size_t at = 0; at < j->pending.n;) {
        ssize_t n = write(j->fd, j->pending.s + at, j->pending.n - at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        at += (size_t)n;
    }
    return fsync(j->fd) == 0; /* a network folder may say only here that it is full */
}

struct status store_journal_flush(struct store *s)
{
    struct store_journal *j = &s->journal;
    if (j->fd < 0 || j->pending.n == 0) return ok();
    if (append(j)) {
        j->bytes += (int64_t)j->pending.n;
        store_journal_drop(s);
        return ok();
    }
    int why = errno;
    s->may_pass = why == ENOSPC || why == EDQUOT || why == EFBIG || why == EIO;
    if (ftruncate(j->fd, (off_t)j->bytes) != 0) s->may_pass = false; /* half a batch stays: nothing may follow it */
    return fail(STATUS_DB, "%s: writing: %s; what is in it stays", j->path, strerror(why));
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static bool bind_hex(sqlite3_stmt *q, int i, const json_t *v)
{
    const char *text = json_string_value(v);
    size_t n = json_string_length(v) / 2;
    if (!text || json_string_length(v) % 2 || n > MOST_BLOB || strspn(text, "0123456789abcdef") != 2 * n) return false;
    unsigned char *raw = mem_alloc(n + 1);
    for (size_t k = 0; k < n; k++) {
        unsigned byte = 0;
        for (int h = 0; h < 2; h++) {
            char c = text[2 * k + (size_t)h];
            byte = 16 * byte + (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
        }
        raw[k] = (unsigned char)byte;
    }
    sqlite3_bind_blob64(q, i, raw, n, SQLITE_TRANSIENT);
    free(raw);
    return true;
}

static bool bind_text(sqlite3_stmt *q, int i, const json_t *v, bool any)
{
    if (json_is_null(v)) {
        sqlite3_bind_null(q, i);
    } else if (any) {
        char *text = json_canonical(v);
        sqlite3_bind_text(q, i, text, -1, SQLITE_TRANSIENT);
        free(text);
    } else if (json_is_string(v) && strlen(json_string_value(v)) == json_string_length(v)) {
        sqlite3_bind_text(q, i, json_string_value(v), -1, SQLITE_TRANSIENT);
    } else {
        return false;
    }
    return true;
}

static bool bind_number(sqlite3_stmt *q, int i, const json_t *v, bool whole)
{
    if (json_is_integer(v))
        sqlite3_bind_int64(q, i, json_integer_value(v));
    else if (!whole && json_is_real(v))
        sqlite3_bind_double(q, i, json_real_value(v));
    else if (!whole && json_is_boolean(v))
        sqlite3_bind_int64(q, i, json_is_true(v));
    else if (!whole && json_is_null(v))
        sqlite3_bind_null(q, i);
    else
        return false;
    return true;
}

static bool bind_all(sqlite3_stmt *q, const char *types, const json_t *with)
{
    if (!json_is_array(with) || json_array_size(with) != strlen(types)) return false;
    for (int i = 0; types[i]; i++) {
        const json_t *v = json_array_get(with, (size_t)i);
        char t = types[i];
        bool good = t == 't' || t == 'j' ? bind_text(q, i + 1, v, t == 'j')
                    : t == 'b'           ? bind_hex(q, i + 1, v)
                                         : bind_number(q, i + 1, v, t == 'i');
        if (!good) return false;
    }
    return true;
}

struct reading {
    struct store *s;
    struct store_replayed *out;
    json_t *passed; /* keys of stages whose result another file has */
};

static void refuse(struct reading *r, const char *why, const char *line, size_t n)
{
    if (!r->out->refused++) {
        snprintf(r->out->first, sizeof r->out->first, "%s: %.*s", why, (int)(n < 60 ? n : 60), line);
        for (char *c = r->out->first; *c; c++)
            if ((unsigned char)*c < ' ' || (unsigned char)*c > '~') *c = '?';
    }
}

/* Whether the row is of a stage that is not to be touched. */
static struct status passed(bool *out, struct reading *r, enum store_sql which, const json_t *with)
{
    const char *key = json_string_value(json_array_get(with, 0));
    int64_t n = 0;
    *out = false;
    if (!rows[which].of_stage || !key) return ok();
    if (which == SQL_STAGE_START) {
        TRY(store_run_int(&n, r->s, SQL_HAS_RESULT, "t", key));
        if (n)
            json_object_set_new(r->passed, key, json_true());
        else
            json_object_del(r->passed, key);
    }
    *out = json_object_get(r->passed, key) != NULL;
    return ok();
}

static struct status take_row(struct reading *r, enum store_sql which, const json_t *with, const char *line, size_t n)
{
    bool skip;
    TRY(passed(&skip, r, which, with));
    if (skip) return ok();
    sqlite3_stmt *q = store_statement(r->s, which);
    if (!q) return store_fail(r->s, "reading a journal");
    struct status st = ok();
    int rc = SQLITE_DONE;
    if (!bind_all(q, rows[which].types, with))
        refuse(r, "arguments that are not as expected", line, n);
    else if ((rc = sqlite3_step(q)) == SQLITE_DONE)
        r->out->rows++;
    else if ((rc & 0xff) == SQLITE_CONSTRAINT || (rc & 0xff) == SQLITE_ERROR || (rc & 0xff) == SQLITE_TOOBIG)
        refuse(r, sqlite3_errmsg(r->s->db), line, n);
    else
        st = store_fail(r->s, "reading a journal");
    sqlite3_reset(q);
    sqlite3_clear_bindings(q);
    return st;
}

static struct status take_line(struct reading *r, const char *line, size_t n)
{
    json_t *j = NULL;
    struct status st = json_parse(&j, "journal", line, n);
    if (st.code != STATUS_OK || !json_is_object(j)) {
        refuse(r, "no JSON object", line, n);
        json_decref(j);
        return ok();
    }
    const char *name = json_str(j, "do", NULL);
    int which = name ? STORE_N_SQL - 1 : -1;
    while (which >= 0 && (!rows[which].name || strcmp(rows[which].name, name) != 0)) which--;
    if (which >= 0)
        st = take_row(r, (enum store_sql)which, json_object_get(j, "with"), line, n);
    else if (name)
        refuse(r, "no row that this program knows", line, n);
    json_decref(j);
    return st;
}

struct status store_replay_text(struct store_replayed *out, struct store *s, const char *text, size_t n)
{
    struct reading r = {.s = s, .out = out, .passed = json_object()};
    *out = (struct store_replayed){0};
    struct status st = store_begin(s);
    bool begun = st.code == STATUS_OK;
    for (size_t at = 0; at < n && st.code == STATUS_OK;) {
        const char *line = text + at, *end = memchr(line, '\n', n - at);
        size_t len = end ? (size_t)(end - line) : n - at;
        if (!end)
            refuse(&r, "torn", line, len); /* its writer died in the middle: the batch is not stored */
        else if (len)
            st = take_line(&r, line, len);
        at += len + 1;
    }
    if (st.code == STATUS_OK)
        st = store_commit(s);
    else if (begun)
        store_rollback(s);
    json_decref(r.passed);
    return st;
}

struct status store_replay(struct store_replayed *out, struct store *s, const char *path)
{
    char *text;
    size_t n;
    *out = (struct store_replayed){0};
    TRY(fs_read(&text, &n, path));
    struct status st = store_replay_text(out, s, text, n);
    free(text);
    return st;
}

/* ---- what is known ---------------------------------------------------------------------------------------------- */

/* Each query gives the arguments of one statement, in its order. */
static const struct {
    enum store_sql which;
    const char *sql;
} known[] = {
    {SQL_PUT_TRIAL, "SELECT id, json(config), arch, backbone, height, width, seed, loss_key, coalesce(params, 0), "
                    "coalesce(macs, 0), created, json(content) FROM trials WHERE id IN (SELECT trial FROM stages WHERE "
                    "key IN (SELECT value FROM json_each(?1)))"},
    {SQL_STAGE_START, "SELECT key, trial, stage, format, device, coalesce(started, 0), NULL FROM stages WHERE key IN "
                      "(SELECT value FROM json_each(?1))"},
    {SQL_STAGE_INFO, "SELECT key, json(info) FROM stages WHERE info IS NOT NULL AND key IN "
                     "(SELECT value FROM json_each(?1))"},
    {SQL_ARTIFACT, "SELECT stage_key, trial, kind, format, name, path, bytes, hash FROM artifacts WHERE kind IN "
                   "('best', 'last', 'model') AND stage_key IN (SELECT value FROM json_each(?1))"},
    {SQL_STAGE_END, "SELECT key, state, reason, coalesce(ended, 0), seconds, coalesce(rss_bytes, 0) FROM stages WHERE "
                    "key IN (SELECT value FROM json_each(?1))"},
};

struct telling {
    struct str *out;
    enum store_sql which;
};

static json_t *value_of(char type, const struct store_value *v)
{
    json_t *parsed = NULL;
    if (type == 'j' && v->text) {
        struct status st = json_parse(&parsed, "row", v->text, strlen(v->text));
        return st.code == STATUS_OK ? parsed : json_null();
    }
    switch (v->kind) {
    case STORE_INT:
        return type == 'd' ? json_real((double)v->i) : json_integer(v->i);
    case STORE_REAL:
        return json_real(v->d);
    case STORE_TEXT:
        return json_string(v->text);
    default:
        return NULL;
    }
}

static struct status tell_row(void *ctx, const struct store_row *row)
{
    const struct telling *t = ctx;
    if (!row->v) return ok();
    json_t *with = json_array();
    for (int i = 0; i < row->n; i++) {
        json_t *v = value_of(rows[t->which].types[i], &row->v[i]);
        json_array_append_new(with, v ? v : json_null());
    }
    json_t *line = json_pack("{s:s, s:o}", "do", rows[t->which].name, "with", with);
    char *text = json_canonical(line);
    str_addf(t->out, "%s\n", text);
    free(text);
    json_decref(line);
    return ok();
}

struct status store_journal_of(struct str *out, struct store *s, const json_t *keys)
{
    char *text = json_canonical(keys);
    json_t *params = json_pack("[s]", text);
    struct status st = ok();
    for (size_t i = 0; i < LEN(known) && st.code == STATUS_OK; i++)
        st = store_query(s, known[i].sql, params, tell_row, &(struct telling){out, known[i].which});
    json_decref(params);
    free(text);
    return st;
}
