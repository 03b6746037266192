/* Rows in. Every statement is in one table, prepared at first use and kept. */
#include "inside.h"

/* clang-format off */
static const char *const sql[STORE_N_SQL] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_SAVE] = "SAVEPOINT event",
    [SQL_RELEASE] = "RELEASE event",
    [SQL_UNDO] = "ROLLBACK TO event",
    [SQL_PUT_SWEEP] =
        "INSERT INTO sweeps (name, path, spec, rank, created, updated) VALUES (?1, ?2, ?3, ?4, ?5, ?5) "
        "ON CONFLICT (name) DO UPDATE SET path = ?2, spec = ?3, rank = ?4, updated = ?5",
    [SQL_SWEEP_ID] = "SELECT id FROM sweeps WHERE name = ?1",
    [SQL_CLEAR_SWEEP] = "DELETE FROM sweep_trials WHERE sweep = ?1",
    [SQL_PUT_SWEEP_TRIAL] =
        "INSERT OR IGNORE INTO sweep_trials (sweep, trial, ordinal, axes) VALUES (?1, ?2, ?3, ?4)",
    [SQL_SAME_STATE] =
        "SELECT count(*) FROM sweep_states h JOIN sweeps w ON w.id = h.sweep WHERE w.id = ?1 AND h.asked = "
        "(SELECT max(asked) FROM sweep_states WHERE sweep = ?1) AND h.spec = w.spec AND h.rank = w.rank AND "
        "(SELECT count(*) FROM state_trials WHERE sweep = ?1 AND asked = h.asked) = "
        "(SELECT count(*) FROM sweep_trials WHERE sweep = ?1) AND NOT EXISTS "
        "(SELECT trial, ordinal FROM sweep_trials WHERE sweep = ?1 EXCEPT "
        "SELECT trial, ordinal FROM state_trials WHERE sweep = ?1 AND asked = h.asked)",
    [SQL_KEEP_STATE] =
        "INSERT INTO sweep_states (sweep, asked, path, spec, rank) SELECT id, updated, path, spec, rank FROM sweeps "
        "WHERE id = ?1",
    [SQL_KEEP_STATE_TRIALS] =
        "INSERT INTO state_trials (sweep, asked, trial, ordinal, axes) SELECT st.sweep, w.updated, st.trial, st.ordinal, "
        "st.axes FROM sweep_trials st JOIN sweeps w ON w.id = st.sweep WHERE w.id = ?1",
    [SQL_PUT_TRIAL] =
        "INSERT INTO trials (id, config, arch, backbone, height, width, seed, loss_key, params, macs, created, content) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, nullif(?9, 0), nullif(?10, 0), ?11, ?12) "
        "ON CONFLICT (id) DO UPDATE SET config = ?2, params = coalesce(nullif(?9, 0), params), "
        "macs = coalesce(nullif(?10, 0), macs), content = coalesce(?12, content)",
    [SQL_SET_TRIAL] = "UPDATE trials SET state = ?2, reason = ?3 WHERE id = ?1",
    [SQL_SIZE_TRIAL] =
        "UPDATE trials SET params = coalesce(?2, params), macs = coalesce(?3, macs) WHERE id = ?1",
    [SQL_PUT_DEVICE] =
        "INSERT INTO devices (name, info) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET info = ?2",
    [SQL_PUT_ENVIRONMENT] = "INSERT OR IGNORE INTO environments (id, info) VALUES (?1, ?2)",
    [SQL_STAGE_START] =
        "INSERT INTO stages (key, trial, stage, format, device, state, attempts, started, environment) "
        "VALUES (?1, ?2, ?3, ?4, ?5, 'running', 1, ?6, ?7) ON CONFLICT (key) DO UPDATE SET state = 'running', "
        "reason = NULL, attempts = attempts + 1, started = ?6, ended = NULL, environment = ?7",
    [SQL_STAGE_END] =
        "UPDATE stages SET state = ?2, reason = ?3, ended = ?4, seconds = seconds + ?5, "
        "rss_bytes = max(coalesce(rss_bytes, 0), ?6) WHERE key = ?1",
    [SQL_STAGE_INFO] = "UPDATE stages SET info = json_patch(coalesce(info, '{}'), ?2) WHERE key = ?1",
    [SQL_METRIC] =
        "INSERT OR REPLACE INTO metrics (stage_key, trial, name, epoch, value) VALUES (?1, ?2, ?3, ?4, ?5)",
    [SQL_IMAGE_METRIC] =
        "INSERT OR REPLACE INTO image_metrics (stage_key, trial, image, name, value) VALUES (?1, ?2, ?3, ?4, ?5)",
    [SQL_ARTIFACT] =
        "INSERT OR REPLACE INTO artifacts (stage_key, trial, kind, format, name, path, bytes, hash) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [SQL_FORGET_FILE] = "DELETE FROM artifacts WHERE trial = ?1 AND kind = ?2",
    [SQL_EMPTY_FILE] = "UPDATE artifacts SET bytes = 0 WHERE trial = ?1 AND kind = ?2",
    [SQL_LATENCY] =
        "INSERT OR REPLACE INTO latencies (stage_key, trial, format, device, threads, height, width, visit, n, load_ms, "
        "first_ms, min_ms, p50_ms, p90_ms, p99_ms, mean_ms, cov, unstable, busy, rss_bytes, samples, info, measured) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, "
        "?23)",
    [SQL_DECISION] =
        "INSERT OR REPLACE INTO decisions (stage_key, trial, rule, rule_key, epoch, metric, value, threshold, stop, "
        "n_peers, peers, reason, decided) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    [SQL_FORGET_METRICS] = "DELETE FROM metrics WHERE stage_key = ?1",
    [SQL_FORGET_IMAGES] = "DELETE FROM image_metrics WHERE stage_key = ?1",
    [SQL_FORGET_ARTIFACTS] = "DELETE FROM artifacts WHERE stage_key = ?1",
    [SQL_FORGET_LATENCIES] = "DELETE FROM latencies WHERE stage_key = ?1",
    [SQL_FORGET_DECISIONS] = "DELETE FROM decisions WHERE stage_key = ?1",
    [SQL_FORGET_STAGE] = "UPDATE stages SET state = 'interrupted', reason = ?2, info = NULL WHERE key = ?1",
    [SQL_RECOVER_STAGES] = "UPDATE stages SET state = 'interrupted', reason = ?1 WHERE state = 'running'",
    [SQL_HAS_RESULT] = "SELECT count(*) FROM stages WHERE key = ?1 AND state IN " STORE_RESULTS,
    [SQL_SET_NOTE] = "UPDATE trials SET note = ?2 WHERE id = ?1",
    [SQL_SET_TAGS] = "UPDATE trials SET tags = ?2 WHERE id = ?1",
    [SQL_REMOVE_METRICS] = "DELETE FROM metrics WHERE stage_key IN (SELECT key FROM stages WHERE trial = ?1)",
    [SQL_REMOVE_IMAGES] = "DELETE FROM image_metrics WHERE stage_key IN (SELECT key FROM stages WHERE trial = ?1)",
    [SQL_REMOVE_ARTIFACTS] = "DELETE FROM artifacts WHERE stage_key IN (SELECT key FROM stages WHERE trial = ?1)",
    [SQL_REMOVE_LATENCIES] = "DELETE FROM latencies WHERE stage_key IN (SELECT key FROM stages WHERE trial = ?1)",
    [SQL_REMOVE_DECISIONS] = "DELETE FROM decisions WHERE stage_key IN (SELECT key FROM stages WHERE trial = ?1)",
    [SQL_REMOVE_STAGES] = "DELETE FROM stages WHERE trial = ?1",
    [SQL_REMOVE_ASKED] = "DELETE FROM sweep_trials WHERE trial = ?1",
    [SQL_REMOVE_EARLIER] = "DELETE FROM state_trials WHERE trial = ?1",
    [SQL_REMOVE_TRIAL] = "DELETE FROM trials WHERE id = ?1",
    [SQL_REMOVE_STATE_TRIALS] = "DELETE FROM state_trials WHERE sweep = ?1",
    [SQL_REMOVE_STATES] = "DELETE FROM sweep_states WHERE sweep = ?1",
    [SQL_REMOVE_SWEEP_TRIALS] = "DELETE FROM sweep_trials WHERE sweep = ?1",
    [SQL_REMOVE_SWEEP] = "DELETE FROM sweeps WHERE id = ?1",
    [SQL_RECOVER_TRIALS] = "UPDATE trials SET state = 'interrupted', reason = ?1 WHERE state = 'running'",
};
/* clang-format on */

static void bind_json(sqlite3_stmt *q, int i, const json_t *v)
{
    char *text = v ? json_canonical(v) : NULL;
    sqlite3_bind_text(q, i, text, -1, free);
}

static void bind_number(sqlite3_stmt *q, int i, const json_t *v)
{
    if (json_is_integer(v))
        sqlite3_bind_int64(q, i, json_integer_value(v));
    else if (json_is_boolean(v))
        sqlite3_bind_int64(q, i, json_is_true(v));
    else if (json_is_real(v))
        sqlite3_bind_double(q, i, json_real_value(v));
    else
        sqlite3_bind_null(q, i);
}

sqlite3_stmt *store_statement(struct store *s, enum store_sql which)
{
    CHECK(!s->read_only, "a write to a database opened for reading");
    if (!s->stmt[which] && sqlite3_prepare_v3(s->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT, &s->stmt[which], NULL))
        return NULL;
    return s->stmt[which];
}

/* Prepares, resets and binds; NULL after a failure, which is in the connection. */
static sqlite3_stmt *ready(struct store *s, enum store_sql which, const char *types, va_list ap)
{
    sqlite3_stmt *q = store_statement(s, which);
    for (int i = 1; q && *types; i++, types++) {
        switch (*types) {
        case 't':
            sqlite3_bind_text(q, i, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
            break;
        case 'i':
            sqlite3_bind_int64(q, i, va_arg(ap, int64_t));
            break;
        case 'd':
            sqlite3_bind_double(q, i, va_arg(ap, double));
            break;
        case 'j':
            bind_json(q, i, va_arg(ap, const json_t *));
            break;
        case 'n':
            bind_number(q, i, va_arg(ap, const json_t *));
            break;
        case 'b': {
            const void *p = va_arg(ap, const void *);
            size_t n = va_arg(ap, size_t);
            sqlite3_bind_blob64(q, i, p, n, SQLITE_TRANSIENT);
            break;
        }
        default:
            CHECK(false, "type '%c' of a statement", *types);
        }
    }
    return q;
}

struct status store_run(struct store *s, enum store_sql which, const char *types, ...)
{
    va_list ap;
    va_start(ap, types);
    sqlite3_stmt *q = ready(s, which, types, ap);
    va_end(ap);
    struct status st = q && sqlite3_step(q) == SQLITE_DONE ? ok() : store_fail(s, "writing");
    if (q) sqlite3_reset(q);
    va_start(ap, types);
    if (st.code == STATUS_OK) store_journal_note(s, which, types, ap);
    va_end(ap);
    return st;
}

struct status store_run_int(int64_t *out, struct store *s, enum store_sql which, const char *types, ...)
{
    va_list ap;
    va_start(ap, types);
    sqlite3_stmt *q = ready(s, which, types, ap);
    va_end(ap);
    bool got = q && sqlite3_step(q) == SQLITE_ROW;
    struct status st = got ? ok() : store_fail(s, "reading");
    if (got) *out = sqlite3_column_int64(q, 0);
    if (q) sqlite3_reset(q);
    return st;
}

struct status store_put_sweep(struct store *s, const struct store_sweep *w, int64_t *id)
{
    TRY(store_run(s, SQL_PUT_SWEEP, "ttjtd", w->name, w->path, w->spec, w->rank, time_now()));
    TRY(store_run_int(id, s, SQL_SWEEP_ID, "t", w->name));
    return store_run(s, SQL_CLEAR_SWEEP, "i", *id);
}

struct status store_put_sweep_trial(struct store *s, int64_t sweep, const char *trial, int ordinal, const json_t *axes)
{
    return store_run(s, SQL_PUT_SWEEP_TRIAL, "itij", sweep, trial, (int64_t)ordinal, axes);
}

struct status store_keep_state(struct store *s, int64_t sweep)
{
    int64_t same;
    TRY(store_run_int(&same, s, SQL_SAME_STATE, "i", sweep));
    if (same) return ok();
    TRY(store_run(s, SQL_KEEP_STATE, "i", sweep));
    return store_run(s, SQL_KEEP_STATE_TRIALS, "i", sweep);
}

struct status store_put_trial(struct store *s, const struct store_trial *t)
{
    return store_run(s, SQL_PUT_TRIAL, "tjttiiitiidj", t->id, t->config, t->arch, t->backbone, (int64_t)t->height,
                     (int64_t)t->width, t->seed, t->loss_key, t->params, t->macs, time_now(), t->content);
}

struct status store_set_trial(struct store *s, const char *id, const char *state, const char *reason)
{
    return store_run(s, SQL_SET_TRIAL, "ttt", id, state, reason);
}

struct status store_put_device(struct store *s, const char *name, const json_t *info)
{
    return store_run(s, SQL_PUT_DEVICE, "tj", name, info);
}

struct status store_put_environment(struct store *s, const json_t *info, struct hash *id)
{
    *id = json_hash(info);
    return store_run(s, SQL_PUT_ENVIRONMENT, "tj", id->hex, info);
}

struct status store_stage_start(struct store *s, const struct store_stage *g)
{
    return store_run(s, SQL_STAGE_START, "tttttdt", g->key, g->trial, g->stage, g->format, g->device, time_now(),
                     g->environment);
}

struct status store_stage_end(struct store *s, const char *key, const char *state, const char *reason, double seconds,
                              int64_t rss_bytes)
{
    return store_run(s, SQL_STAGE_END, "tttddi", key, state, reason, time_now(), seconds, rss_bytes);
}

struct status store_drop_file(struct store *s, const char *trial, const char *kind, bool needed)
{
    return store_run(s, needed ? SQL_EMPTY_FILE : SQL_FORGET_FILE, "tt", trial, kind);
}

struct status store_put_decision(struct store *s, const struct store_stage *g, const struct store_decision *d)
{
    return store_run(s, SQL_DECISION, "ttttitddiijtd", g->key, g->trial, d->rule, d->rule_key, (int64_t)d->epoch,
                     d->metric, d->value, d->threshold, (int64_t)d->stop, (int64_t)d->n_peers, d->peers, d->reason,
                     time_now());
}

struct status store_forget_stage(struct store *s, const char *key, const char *reason)
{
    for (enum store_sql q = SQL_FORGET_METRICS; q < SQL_FORGET_STAGE; q++) TRY(store_run(s, q, "t", key));
    return store_run(s, SQL_FORGET_STAGE, "tt", key, reason);
}

struct status store_recover(struct store *s)
{
    const char *why = "the program that ran it ended without a word";
    TRY(store_run(s, SQL_RECOVER_STAGES, "t", why));
    return store_run(s, SQL_RECOVER_TRIALS, "t", why);
}

struct status store_set_note(struct store *s, const char *id, const char *note)
{
    return store_run(s, SQL_SET_NOTE, "tt", id, note);
}

struct status store_set_tags(struct store *s, const char *id, const json_t *tags)
{
    return store_run(s, SQL_SET_TAGS, "tj", id, tags);
}

struct status store_remove_trial(struct store *s, const char *id)
{
    for (enum store_sql q = SQL_REMOVE_METRICS; q <= SQL_REMOVE_TRIAL; q++) TRY(store_run(s, q, "t", id));
    return ok();
}

struct status store_remove_sweep(struct store *s, const char *name)
{
    int64_t id;
    TRY(store_run_int(&id, s, SQL_SWEEP_ID, "t", name));
    for (enum store_sql q = SQL_REMOVE_STATE_TRIALS; q <= SQL_REMOVE_SWEEP; q++) TRY(store_run(s, q, "i", id));
    return ok();
}
