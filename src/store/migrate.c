/*
 * Versions of the schema. PRAGMA user_version says what a file is; each step brings it one further, in one
 * transaction. A file of a later program is refused, never guessed at.
 */
#include "inside.h"

enum { APPLICATION_ID = 0x53574550 }; /* "SWEP", so that a file of another program is told from an empty one */

/* A state more, and what led to it. A CHECK that allows more changes nothing on the disk: SQLite's own recipe for that
 * (lang_altertable, 7) edits the table's text; the new table tells other connections that the schema has changed. */
const char store_pruning[] =
    "PRAGMA writable_schema = ON;"
    "UPDATE sqlite_master SET sql = replace(sql, '''too_slow'',', '''too_slow'',''pruned'',') "
    "WHERE type = 'table' AND name IN ('trials', 'stages');"
    "PRAGMA writable_schema = RESET;"
    "CREATE TABLE decisions ("
    "  stage_key TEXT NOT NULL REFERENCES stages(key),"
    "  trial     TEXT NOT NULL,"
    "  rule      TEXT NOT NULL," /* median, asha */
    "  rule_key  TEXT NOT NULL," /* hash of all that the rule is made of */
    "  epoch     INTEGER NOT NULL,"
    "  metric    TEXT NOT NULL,"
    "  value     REAL,"             /* the best so far; NULL: never a number */
    "  threshold REAL,"             /* what it was compared with; NULL: nothing */
    "  stop      INTEGER NOT NULL," /* 0: went on */
    "  n_peers   INTEGER NOT NULL,"
    "  peers     TEXT NOT NULL," /* JSON: ids of the trials it was compared with, the best of them when many */
    "  reason    TEXT NOT NULL,"
    "  decided   REAL NOT NULL,"
    "  PRIMARY KEY (stage_key, rule_key, epoch)"
    ") WITHOUT ROWID;"
    "CREATE INDEX decisions_trial ON decisions(trial, epoch)";

/* What a sweep asked for when, so that an edited file forgets nothing. */
const char store_states[] =
    "CREATE TABLE sweep_states ("
    "  sweep INTEGER NOT NULL REFERENCES sweeps(id),"
    "  asked REAL NOT NULL," /* when it first asked for this */
    "  path  TEXT NOT NULL,"
    "  spec  TEXT NOT NULL," /* as in sweeps */
    "  rank  TEXT NOT NULL,"
    "  PRIMARY KEY (sweep, asked)"
    ") WITHOUT ROWID;"
    "CREATE TABLE state_trials (" /* as sweep_trials, of that time */
    "  sweep   INTEGER NOT NULL,"
    "  asked   REAL NOT NULL,"
    "  trial   TEXT NOT NULL REFERENCES trials(id),"
    "  ordinal INTEGER NOT NULL,"
    "  axes    TEXT NOT NULL,"
    "  PRIMARY KEY (sweep, asked, trial),"
    "  FOREIGN KEY (sweep, asked) REFERENCES sweep_states(sweep, asked)"
    ") WITHOUT ROWID;"
    "CREATE INDEX artifacts_trial ON artifacts(trial);"
    "INSERT INTO sweep_states (sweep, asked, path, spec, rank) SELECT id, updated, path, spec, rank FROM sweeps;"
    "INSERT INTO state_trials (sweep, asked, trial, ordinal, axes) SELECT st.sweep, w.updated, st.trial, st.ordinal, "
    "st.axes FROM sweep_trials st JOIN sweeps w ON w.id = st.sweep";

static const struct {
    int to;
    const char *sql;
} steps[] = {
    {.to = 1, .sql = store_schema},
    /* JSON: hashes of the images and weights behind the places that config names */
    {.to = 2, .sql = "ALTER TABLE trials ADD COLUMN content TEXT"},
    {.to = 3, .sql = store_pruning},
    {.to = 4, .sql = store_states},
    /* What a person says of a trial: a text, and JSON, a list of words in order */
    {.to = 6, .sql = "ALTER TABLE trials ADD COLUMN note TEXT; ALTER TABLE trials ADD COLUMN tags TEXT"},
    {.to = 6, .sql = store_views},
};

static struct status exec_sql(struct store *s, const char *sql, const char *doing)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? ok() : store_fail(s, doing);
}

static struct status get_int(int64_t *out, struct store *s, const char *sql)
{
    sqlite3_stmt *q = NULL;
    bool got = sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW;
    struct status st = got ? ok() : store_fail(s, "reading its version");
    if (got) *out = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return st;
}

static struct status upgrade(struct store *s, int64_t version)
{
    char pragma[120];
    TRY(exec_sql(s, "BEGIN IMMEDIATE", "starting a migration"));
    struct status st = ok();
    for (size_t i = 0; i < LEN(steps) && st.code == STATUS_OK; i++)
        if (steps[i].to > version) st = exec_sql(s, steps[i].sql, "migrating");
    snprintf(pragma, sizeof pragma, "PRAGMA user_version = %d; PRAGMA application_id = %d", STORE_VERSION,
             APPLICATION_ID);
    if (st.code == STATUS_OK) st = exec_sql(s, pragma, "migrating");
    if (st.code == STATUS_OK) st = exec_sql(s, "COMMIT", "migrating");
    if (st.code != STATUS_OK) store_rollback(s);
    return st;
}

struct status store_migrate(struct store *s)
{
    int64_t version = 0, tables = 0, application = 0;
    TRY(get_int(&version, s, "PRAGMA user_version"));
    TRY(get_int(&application, s, "PRAGMA application_id"));
    TRY(get_int(&tables, s, "SELECT count(*) FROM sqlite_master"));
    if (tables && application != APPLICATION_ID)
        return fail(STATUS_DB, "%s: a database of another program; --db PATH chooses another", s->path);
    if (version > STORE_VERSION)
        return fail(STATUS_DB,
                    "%s: schema version %lld, this program knows versions up to %d; use the newer sweep that wrote it, "
                    "or --db PATH for another database",
                    s->path, (long long)version, STORE_VERSION);
    if (s->read_only) {
        if (version < STORE_VERSION)
            return fail(STATUS_DB, "%s: schema version %lld, expected %d; `sweep run` brings it up to date", s->path,
                        (long long)version, STORE_VERSION);
        return ok();
    }
    TRY(exec_sql(s, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON",
                 "preparing the database"));
    return version < STORE_VERSION ? upgrade(s, version) : ok();
}
