/*
 * store: the results database. One SQLite file (schema.sql) in WAL mode; the coordinator is its only writer and holds
 * a lock that names it; anyone may read at any time. Knows tables and events, not what a trial means.
 *
 *     struct store *s;
 *     TRY(store_open(&s, (struct store_options){.path = "results/sweep.db", .command = "sweep run a.yaml"}));
 *     TRY(store_begin(s));
 *     TRY(store_event(s, &stage, event));
 *     TRY(store_commit(s));
 */
#ifndef SWEEP_STORE_H
#define SWEEP_STORE_H

#include "base.h"

enum { STORE_VERSION = 6 }; /* of the schema: PRAGMA user_version */

struct store;

struct store_options {
    const char *path;    /* the database file; its folder is made when writing */
    bool read_only;      /* no lock, nothing is created */
    bool memory;         /* rows live in memory alone; path says whose folder artifact paths are relative to */
    bool alone;          /* nobody else reads meanwhile: where they are on other machines, memory cannot be shared */
    const char *command; /* of a writer: shown to a second one */
    double wait_s;       /* how long a second writer waits for the lock before it gives up; at least half a second */
};

/**
 * Opens or creates the database, migrates an older schema, and takes the writer's lock.
 * Errors: STATUS_IO when the folder cannot be written or the lock is held (says by whom); STATUS_DB when the file is
 * no database or of a newer schema; STATUS_ARG when read_only and there is no such file.
 * Owner: the caller, store_close.
 */
struct status store_open(struct store **out, struct store_options o);
void store_close(struct store *s);
/** Folder of the database: artifact paths are relative to it. Borrowed. */
const char *store_dir(const struct store *s);

/** Between the two, everything is one transaction; a failed commit rolls back and the store stays usable. */
struct status store_begin(struct store *s);
struct status store_commit(struct store *s);
void store_rollback(struct store *s);
/** The last failure, a STATUS_DB, passes without our doing: no room on the disk, another program's transaction. The
 * same again may succeed later. */
bool store_may_pass(const struct store *s);

/* ---- rows in --------------------------------------------------------------------------------------------------- */

struct store_sweep {
    const char *name, *path, *rank;
    const json_t *spec;
};
/** Makes or updates the row of this name; its trials are set anew by store_put_sweep_trial. */
struct status store_put_sweep(struct store *s, const struct store_sweep *w, int64_t *id);
struct status store_put_sweep_trial(struct store *s, int64_t sweep, const char *trial, int ordinal, const json_t *axes);
/** All trials are put: what the sweep asks for joins its history, where that differs from what it asked for last. */
struct status store_keep_state(struct store *s, int64_t sweep);

struct store_trial {
    const char *id, *arch, *backbone, *loss_key;
    int height, width;
    int64_t seed, params, macs; /* params, macs 0: not known yet */
    const json_t *config;
    const json_t *content; /* hashes of what the configuration's places hold; NULL: not known */
};
/** Makes the row when there is none; a known trial keeps its state. */
struct status store_put_trial(struct store *s, const struct store_trial *t);
struct status store_set_trial(struct store *s, const char *id, const char *state, const char *reason);
struct status store_put_device(struct store *s, const char *name, const json_t *info);
/** Stores what code ran on what machine; @p id gets its hash. */
struct status store_put_environment(struct store *s, const json_t *info, struct hash *id);

/** Which stage rows belong to. */
struct store_stage {
    const char *key, *trial, *stage, *format, *device, *environment; /* format, device: "" when it has none */
};
/** Stage begins (again): state running, one attempt more. */
struct status store_stage_start(struct store *s, const struct store_stage *g);
/** Stage ends; @p seconds are added to those of earlier attempts. */
struct status store_stage_end(struct store *s, const char *key, const char *state, const char *reason, double seconds,
                              int64_t rss_bytes);
/** A checkpoint (@p kind best, last) of a finished trial is no longer kept. @p needed: its row stays, without bytes, so
 * that the training counts as to be done again for a stage that is asked for later. */
struct status store_drop_file(struct store *s, const char *trial, const char *kind, bool needed);
/** What a rule said of a training at one epoch: whether it goes on. */
struct store_decision {
    const char *rule, *rule_key, *metric, *reason; /* rule_key: hash of all that the rule is made of */
    int epoch, n_peers;
    double value, threshold; /* NAN: none */
    bool stop;
    const json_t *peers; /* ids of those it was compared with, the best of them when they are many */
};
/** One a (stage, rule_key, epoch); the same again replaces it. */
struct status store_put_decision(struct store *s, const struct store_stage *g, const struct store_decision *d);
/** The stage is to be done again: it becomes interrupted with this reason, and what it told is dropped. */
struct status store_forget_stage(struct store *s, const char *key, const char *reason);
/** What a person says of a trial: a text, and a list of words; NULL: nothing. */
struct status store_set_note(struct store *s, const char *id, const char *note);
struct status store_set_tags(struct store *s, const char *id, const json_t *tags);
/** All rows of a trial, its place in every sweep and in their histories; its files stay. Where a journal is kept it
 * says nothing of this: a database alone forgets. */
struct status store_remove_trial(struct store *s, const char *id);
/** A sweep, its history and which trials it asked for; the trials stay. Errors: STATUS_DB when it is not stored. */
struct status store_remove_sweep(struct store *s, const char *name);
/** What a writer that died left as running becomes interrupted. Only the holder of the lock may say so. */
struct status store_recover(struct store *s);
/** One event of a worker (worker/PROTOCOL.md): metrics, image, artifact, latency, info. Others are not stored.
 *  Errors: STATUS_ARG for an event that is not as the protocol says; nothing of it is stored then. */
struct status store_event(struct store *s, const struct store_stage *g, const json_t *event);

/* ---- rows out -------------------------------------------------------------------------------------------------- */

enum store_kind { STORE_NULL, STORE_INT, STORE_REAL, STORE_TEXT, STORE_BLOB };
struct store_value {
    enum store_kind kind;
    int64_t i;        /* STORE_INT; bytes of a blob */
    double d;         /* STORE_INT and STORE_REAL */
    const char *text; /* STORE_TEXT, else NULL; borrowed until the next row */
    const void *blob; /* STORE_BLOB */
};
struct store_row {
    int n;
    const char *const *names;
    const struct store_value *v;
};
/** Called for each row; a failure ends the query. @p row.v is NULL in one first call that only names the columns. */
typedef struct status store_row_fn(void *ctx, const struct store_row *row);

/** Any SQL that only reads, with ?1, ?2... bound from @p params (strings, numbers, null; may be NULL).
 *  Errors: STATUS_ARG with SQLite's words for a wrong or writing statement; what @p fn returned. */
struct status store_query(struct store *s, const char *sql, const json_t *params, store_row_fn *fn, void *ctx);
/** All rows as an array of objects; blobs as their length. Owner: the caller. */
struct status store_rows(json_t **out, struct store *s, const char *sql, const json_t *params);

/* ---- what happens now ------------------------------------------------------------------------------------------- */

struct store_feed;
/** Lines for whoever looks on, in DATABASE.live. Never waits and never fails: what cannot be written is left out.
 *  Owner: the caller, store_feed_close, which removes the file. */
struct store_feed *store_feed_open(const struct store *s);
void store_feed_close(struct store_feed *f);
/** The next line must say all that one who comes now must know: the file begins, or begins anew. */
bool store_feed_wants_state(const struct store_feed *f);
/** @p line without its end; @p state: it says so, and begins the file. */
void store_feed_put(struct store_feed *f, const char *line, bool state);

struct store_follow;
/** Reads the lines of a database's writer; there need be none yet. Owner: the caller, store_follow_close. */
struct store_follow *store_follow_open(const char *path);
void store_follow_close(struct store_follow *f);
/** NULL: nothing new now. Borrowed until the next call. */
const char *store_follow_next(struct store_follow *f);

/* ---- care ------------------------------------------------------------------------------------------------------ */

/** Copies the database as it is now, also while a run writes it. Errors: STATUS_ARG when @p path exists. */
struct status store_backup(struct store *s, const char *path);

struct store_merged {
    int trials, stages, files; /* that were not here before */
};
/** Takes over the rows and files of another database: of a stage known to both, the one with a result wins, ours when
 *  both have one. Merging the same again changes nothing. Errors: those of store_open for @p path; STATUS_IO when a
 *  file cannot be copied (no row is taken then). */
struct status store_merge(struct store_merged *out, struct store *s, const char *path);

/** The same from a store that is open, of the same folder: a journal's rows. */
struct status store_merge_store(struct store_merged *out, struct store *s, struct store *from);

/* ---- journals: where no database can be, one file of lines a writer ---------------------------------------------- */

/** From now on what is committed is also appended to this file, which must exist: a JSON line a row, a batch in one
 *  write, durable when the commit returns. NULL ends it. No room on the disk fails the commit, which store_may_pass. */
struct status store_journal(struct store *s, const char *path);

struct store_replayed {
    int rows, refused; /* lines that are torn, or not ours, are passed over */
    char first[160];   /* why the first of them was refused */
};
/** Rows of a journal through the statements that wrote them. A stage that has a result keeps it: a later file cannot
 *  undo it. Lines that are objects with other members than `do` are no rows. Errors: STATUS_IO, STATUS_DB. */
struct status store_replay(struct store_replayed *out, struct store *s, const char *path);
struct status store_replay_text(struct store_replayed *out, struct store *s, const char *text, size_t n);
/** Lines that bring over what is known of these stages (an array of keys): state, files, what was resolved, their
 * trials. */
struct status store_journal_of(struct str *out, struct store *s, const json_t *keys);

/** Who holds the writer's lock of the database at @p path, as a phrase; false: nobody. */
bool store_writer(char *out, size_t n, const char *path);

/** Full check of the file: what PRAGMA integrity_check and foreign_key_check find. */
struct status store_integrity(struct store *s);

#endif
