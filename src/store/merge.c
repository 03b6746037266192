/* Another database's rows and files into this one: of each stage the result, wherever it was reached. */
#include "inside.h"
#include <errno.h>
#include <unistd.h>

/* Stages that are to come over, decided once: those not known here, those that only there have a result, those that
 * were pruned here and went on to their end there, and of those without a result anywhere the later attempt (a
 * failure says more than an interruption). */
#define WHEN(t) "coalesce(" t ".ended, " t ".started, 0)"
static const char *const choose =
    "DROP TABLE IF EXISTS temp.taken; CREATE TEMP TABLE taken AS SELECT o.key FROM other.stages o "
    "LEFT JOIN main.stages m ON m.key = o.key WHERE m.key IS NULL "
    "OR (m.state NOT IN " STORE_RESULTS " AND (o.state IN " STORE_RESULTS
    " OR ((o.state = 'failed' OR m.state != 'failed') AND " WHEN("o") " > " WHEN(
        "m") "))) "
             "OR (m.state = 'pruned' AND o.state IN (" STORE_ENDS "))";

/* Columns by name: two databases of one version may have them in another order, each grown by its own migrations. */
#define COPY(how, table, columns, where)                                                                               \
    how " INTO main." table " (" columns ") SELECT " columns " FROM other." table " WHERE " where
#define TAKEN "stage_key IN (SELECT key FROM taken)"

/* Parents before children; running this twice changes nothing. */
static const char *const rows[] = {
    COPY("INSERT OR IGNORE", "environments", "id, info", "true"),
    COPY("INSERT OR IGNORE", "devices", "name, info", "true"),
    COPY("INSERT", "sweeps", "name, path, spec, rank, created, updated", "true") " ON CONFLICT (name) DO NOTHING",
    COPY("INSERT OR IGNORE", "trials",
         "id, config, arch, backbone, height, width, seed, loss_key, params, macs, state, reason, created, content, "
         "note, "
         "tags",
         "true"),
    "INSERT OR IGNORE INTO main.sweep_trials (sweep, trial, ordinal, axes) SELECT m.id, st.trial, st.ordinal, st.axes "
    "FROM other.sweep_trials st JOIN other.sweeps o ON o.id = st.sweep JOIN main.sweeps m ON m.name = o.name",
    "INSERT OR IGNORE INTO main.sweep_states (sweep, asked, path, spec, rank) SELECT m.id, h.asked, h.path, h.spec, "
    "h.rank FROM other.sweep_states h JOIN other.sweeps o ON o.id = h.sweep JOIN main.sweeps m ON m.name = o.name",
    "INSERT OR IGNORE INTO main.state_trials (sweep, asked, trial, ordinal, axes) SELECT m.id, h.asked, h.trial, "
    "h.ordinal, h.axes FROM other.state_trials h JOIN other.sweeps o ON o.id = h.sweep JOIN main.sweeps m ON m.name = "
    "o.name",
    "DELETE FROM main.metrics WHERE " TAKEN,
    "DELETE FROM main.image_metrics WHERE " TAKEN,
    "DELETE FROM main.artifacts WHERE " TAKEN,
    "DELETE FROM main.latencies WHERE " TAKEN,
    "DELETE FROM main.decisions WHERE " TAKEN,
    COPY("INSERT", "stages",
         "key, trial, stage, format, device, state, reason, attempts, started, ended, seconds, rss_bytes, environment, "
         "info",
         "key IN (SELECT key FROM taken)") " ON CONFLICT (key) DO UPDATE SET state = excluded.state, reason = "
                                           "excluded.reason, attempts = excluded.attempts, "
                                           "started = excluded.started, ended = excluded.ended, seconds = "
                                           "excluded.seconds, rss_bytes = excluded.rss_bytes, "
                                           "environment = excluded.environment, info = excluded.info",
    COPY("INSERT", "metrics", "stage_key, trial, name, epoch, value", TAKEN),
    COPY("INSERT", "image_metrics", "stage_key, trial, image, name, value", TAKEN),
    COPY("INSERT", "artifacts", "stage_key, trial, kind, format, name, path, bytes, hash", TAKEN),
    COPY("INSERT", "latencies",
         "stage_key, trial, format, device, threads, height, width, visit, n, load_ms, first_ms, min_ms, p50_ms, "
         "p90_ms, p99_ms, mean_ms, cov, unstable, busy, rss_bytes, samples, info, measured",
         TAKEN),
    COPY("INSERT", "decisions",
         "stage_key, trial, rule, rule_key, epoch, metric, value, threshold, stop, n_peers, peers, reason, decided",
         TAKEN),
    "UPDATE main.trials SET (state, reason) = (SELECT o.state, o.reason FROM other.trials o WHERE o.id = "
    "main.trials.id) "
    "WHERE (state NOT IN " STORE_RESULTS " AND id IN (SELECT id FROM other.trials WHERE state IN " STORE_RESULTS ")) "
    "OR (state = 'pruned' AND id IN (SELECT id FROM other.trials WHERE state IN (" STORE_ENDS "))) "
    "OR (state NOT IN " STORE_RESULTS
    " AND id IN (SELECT o.id FROM other.trials o JOIN other.stages g ON g.trial = o.id "
    "WHERE o.state != 'queued' AND g.key IN (SELECT key FROM taken)))",
    /* What was said here stays. */
    "UPDATE main.trials SET note = coalesce(note, (SELECT o.note FROM other.trials o WHERE o.id = main.trials.id)), "
    "tags "
    "= coalesce(tags, (SELECT o.tags FROM other.trials o WHERE o.id = main.trials.id)) WHERE note IS NULL OR tags IS "
    "NULL",
    /* What ran there when it was last written does not run here. */
    "UPDATE main.stages SET state = 'interrupted' WHERE state = 'running'",
    "UPDATE main.trials SET state = 'interrupted' WHERE state = 'running'",
};

static struct status exec_sql(struct store *s, const char *sql)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? ok() : store_fail(s, "merging");
}

static struct status copy_stream(FILE *in, const char *from, const char *to)
{
    struct fs_file f;
    TRY(fs_begin(&f, to));
    char block[65536];
    size_t n;
    while ((n = fread(block, 1, sizeof block, in)) > 0)
        if (fwrite(block, 1, n, f.f) != n) break;
    if (ferror(in) || ferror(f.f)) {
        struct status st = fail(STATUS_IO, "%s: cannot be copied to %s: %s", from, to, strerror(errno));
        fs_abort(&f);
        return st;
    }
    return fs_commit(&f);
}

/* A file that is gone there stays missing here: its stage is done again when somebody needs it. */
static struct status copy_file(const char *from, const char *to, int *copied)
{
    struct arena a = {0};
    int fd;
    if (!fs_exists(from)) return ok();
    TRY(fs_open(&fd, from));
    FILE *in = fdopen(fd, "rb");
    CHECK(in, "%s: %s", from, strerror(errno)); /* a descriptor that is open for reading */
    struct status st = fs_mkdir(fs_dirname(&a, to));
    if (st.code == STATUS_OK) st = copy_stream(in, from, to);
    fclose(in);
    *copied += st.code == STATUS_OK;
    arena_free(&a);
    return st;
}

static struct status copy_files(struct store_merged *out, struct store *s, const char *dir)
{
    json_t *files;
    struct arena a = {0};
    if (strcmp(dir, s->dir) == 0) return ok();
    TRY(store_rows(&files, s,
                   "SELECT path FROM other.artifacts WHERE stage_key IN (SELECT key FROM taken) AND path NOT LIKE '/%'",
                   NULL));
    struct status st = ok();
    for (size_t i = 0; i < json_array_size(files) && st.code == STATUS_OK; i++) {
        const char *path = json_str(json_array_get(files, i), "path", "");
        bool outside = strncmp(path, "../", 3) == 0 || strstr(path, "/../");
        st = outside ? fail(STATUS_DB, "%s: a file's path leads out of its folder: %s", dir, path)
                     : copy_file(fs_join(&a, dir, path), fs_join(&a, s->dir, path), &out->files);
    }
    json_decref(files);
    arena_free(&a);
    return st;
}

static struct status count(int *out, struct store *s, const char *sql)
{
    json_t *r;
    TRY(store_rows(&r, s, sql, NULL));
    *out = (int)json_int(json_array_get(r, 0), "n", 0);
    json_decref(r);
    return ok();
}

static struct status merge(struct store_merged *out, struct store *s, const char *dir)
{
    TRY(exec_sql(s, choose));
    TRY(count(&out->stages, s, "SELECT count(*) AS n FROM taken"));
    TRY(count(&out->trials, s, "SELECT count(*) AS n FROM other.trials WHERE id NOT IN (SELECT id FROM main.trials)"));
    TRY(copy_files(out, s, dir)); /* first: a row without its file would be a lie, a file without a row is not */
    TRY(store_begin(s));
    struct status st = ok();
    for (size_t i = 0; i < LEN(rows) && st.code == STATUS_OK; i++) st = exec_sql(s, rows[i]);
    if (st.code == STATUS_OK) return store_commit(s);
    store_rollback(s);
    return st;
}

static struct status attach(struct store *s, const char *path)
{
    sqlite3_stmt *q = NULL;
    struct status st = ok();
    if (sqlite3_prepare_v2(s->db, "ATTACH ?1 AS other", -1, &q, NULL) != SQLITE_OK ||
        sqlite3_bind_text(q, 1, path, -1, SQLITE_STATIC) != SQLITE_OK || sqlite3_step(q) != SQLITE_DONE)
        st = store_fail(s, "opening the other");
    sqlite3_finalize(q);
    return st;
}

/* Pages of a database that has no file, into one beside ours that has none either. */
static struct status attach_copy(struct store *s, struct store *from)
{
    TRY(exec_sql(s, "ATTACH ':memory:' AS other"));
    sqlite3_backup *b = sqlite3_backup_init(s->db, "other", from->db, "main");
    int rc = b ? sqlite3_backup_step(b, -1) : sqlite3_errcode(s->db);
    if (b) sqlite3_backup_finish(b);
    return rc == SQLITE_DONE ? ok() : fail(STATUS_DB, "%s: merging: %s", s->path, sqlite3_errstr(rc));
}

/* Lets go of the other database, however the merge went: held on to, it would be in the way of the next one. */
static struct status detach(struct store *s, struct status merged)
{
    struct status end = exec_sql(s, "DROP TABLE IF EXISTS temp.taken; DETACH other");
    return merged.code == STATUS_OK ? end : merged;
}

struct status store_merge_store(struct store_merged *out, struct store *s, struct store *from)
{
    *out = (struct store_merged){0};
    struct status st = attach_copy(s, from);
    if (st.code == STATUS_OK) st = merge(out, s, s->dir);
    return detach(s, st);
}

struct status store_merge(struct store_merged *out, struct store *s, const char *path)
{
    struct store *other;
    char dir[1024];
    *out = (struct store_merged){0};
    TRY(store_open(&other, (struct store_options){.path = path, .read_only = true})); /* ours, and of our version */
    snprintf(dir, sizeof dir, "%s", other->dir);
    store_close(other);
    TRY(attach(s, path));
    return detach(s, merge(out, s, dir));
}

struct status store_backup(struct store *s, const char *path)
{
    if (fs_exists(path)) return fail(STATUS_ARG, "%s: exists; a backup never replaces a file", path);
    char tmp[1100];
    snprintf(tmp, sizeof tmp, "%s.part", path);
    remove(tmp);
    sqlite3 *to = NULL;
    struct status st = ok();
    if (sqlite3_open_v2(tmp, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK)
        st = fail(STATUS_IO, "%s: cannot be made: %s", path, to ? sqlite3_errmsg(to) : "no memory");
    sqlite3_backup *b = st.code == STATUS_OK ? sqlite3_backup_init(to, "main", s->db, "main") : NULL;
    int rc = b ? sqlite3_backup_step(b, -1) : SQLITE_ERROR;
    if (b) sqlite3_backup_finish(b);
    if (st.code == STATUS_OK && rc != SQLITE_DONE)
        st = fail(STATUS_IO, "%s: not written: %s", path, sqlite3_errstr(rc));
    sqlite3_close(to);
    if (st.code == STATUS_OK && rename(tmp, path) != 0)
        st = fail(STATUS_IO, "%s: cannot be made: %s", path, strerror(errno));
    if (st.code != STATUS_OK) remove(tmp);
    return st;
}
