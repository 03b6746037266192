/* What the files of the room share. */
#ifndef STORE_INSIDE_H
#define STORE_INSIDE_H

#include "store.h"
#include <sqlite3.h>

/* States of a stage that has said what there is to say; a pruned one may still be taken further. */
#define STORE_ENDS    "'done', 'refused', 'diverged', 'too_slow'"
#define STORE_RESULTS "(" STORE_ENDS ", 'pruned')"

enum store_sql {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_SAVE,
    SQL_RELEASE,
    SQL_UNDO,
    SQL_PUT_SWEEP,
    SQL_SWEEP_ID,
    SQL_CLEAR_SWEEP,
    SQL_PUT_SWEEP_TRIAL,
    SQL_SAME_STATE,
    SQL_KEEP_STATE,
    SQL_KEEP_STATE_TRIALS,
    SQL_PUT_TRIAL,
    SQL_SET_TRIAL,
    SQL_SIZE_TRIAL,
    SQL_PUT_DEVICE,
    SQL_PUT_ENVIRONMENT,
    SQL_STAGE_START,
    SQL_STAGE_END,
    SQL_STAGE_INFO,
    SQL_METRIC,
    SQL_IMAGE_METRIC,
    SQL_ARTIFACT,
    SQL_FORGET_FILE,
    SQL_EMPTY_FILE,
    SQL_LATENCY,
    SQL_DECISION,
    SQL_FORGET_METRICS,
    SQL_FORGET_IMAGES,
    SQL_FORGET_ARTIFACTS,
    SQL_FORGET_LATENCIES,
    SQL_FORGET_DECISIONS,
    SQL_FORGET_STAGE,
    SQL_RECOVER_STAGES,
    SQL_RECOVER_TRIALS,
    SQL_HAS_RESULT,
    SQL_SET_NOTE,
    SQL_SET_TAGS,
    SQL_REMOVE_METRICS,
    SQL_REMOVE_IMAGES,
    SQL_REMOVE_ARTIFACTS,
    SQL_REMOVE_LATENCIES,
    SQL_REMOVE_DECISIONS,
    SQL_REMOVE_STAGES,
    SQL_REMOVE_ASKED,
    SQL_REMOVE_EARLIER,
    SQL_REMOVE_TRIAL, /* the last of a trial's */
    SQL_REMOVE_STATE_TRIALS,
    SQL_REMOVE_STATES,
    SQL_REMOVE_SWEEP_TRIALS,
    SQL_REMOVE_SWEEP, /* the last of a sweep's */
    STORE_N_SQL
};

/* What is to be appended to the journal when the transaction ends well. */
struct store_journal {
    int fd; /* -1: none is kept */
    char path[1024];
    int64_t bytes; /* of whole batches in the file */
    struct str pending;
    size_t mark; /* pending at the last savepoint */
};

struct store {
    sqlite3 *db;
    sqlite3_stmt *stmt[STORE_N_SQL]; /* prepared at first use */
    char path[1024], dir[1024];      /* dir is absolute */
    int lock_fd;
    bool read_only;
    bool may_pass; /* the last failure was of a kind that passes by itself */
    struct store_journal journal;
};

/** SQLite's last failure in our form: where, doing what, its words, what to do. */
struct status store_fail(struct store *s, const char *doing);

/**
 * Runs one of the prepared statements that gives no rows. @p types has a letter an argument: t text (NULL is NULL),
 * i int64_t, d double, j JSON (canonical text), n number or null of a JSON value, b blob (pointer, size_t).
 */
struct status store_run(struct store *s, enum store_sql which, const char *types, ...);
/** The same for a statement whose first row's first column is an integer; STATUS_DB when there is no row. */
struct status store_run_int(int64_t *out, struct store *s, enum store_sql which, const char *types, ...);

/** The statement by which it runs, reset; NULL after a failure, which is in the connection. */
sqlite3_stmt *store_statement(struct store *s, enum store_sql which);
/** A statement ran with these arguments (as store_run): the journal, where one is kept, remembers it. */
void store_journal_note(struct store *s, enum store_sql which, const char *types, va_list ap);
/** Appends what the transaction did and makes it durable; after a failure the file is as it was. */
struct status store_journal_flush(struct store *s);
void store_journal_drop(struct store *s);

/* Version 1, what versions 3 and 4 add, and the last one's views; the others are short. */
extern const char store_schema[], store_pruning[], store_states[], store_views[];
/** Brings the file to STORE_VERSION; refuses a newer one and files of other programs. */
struct status store_migrate(struct store *s);
/** Removes what a killed writer of the database left of its feed. */
void store_feed_forget(const char *db);
/** Takes the writer's lock beside the database. */
struct status store_lock(struct store *s, const char *command, double wait_s);

#endif
