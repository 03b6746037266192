/* Opening, the lock that names its owner, transactions. */
#include "inside.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MS_BUSY = 3000 };

/* A quota or a limit on file sizes is no full disk to SQLite, but a write that failed. */
static bool may_pass(sqlite3 *db)
{
    static const int codes[] = {SQLITE_IOERR_WRITE, SQLITE_IOERR_SHMSIZE, SQLITE_FULL, SQLITE_BUSY, SQLITE_LOCKED};
    int code = sqlite3_extended_errcode(db);
    for (size_t i = 0; i < LEN(codes); i++)
        if (code == codes[i] || (code & 0xff) == codes[i]) return true;
    return false;
}

bool store_may_pass(const struct store *s)
{
    return s->may_pass;
}

struct status store_fail(struct store *s, const char *doing)
{
    int code = sqlite3_errcode(s->db) & 0xff;
    s->may_pass = may_pass(s->db);
    const char *hint = "";
    if (code == SQLITE_FULL)
        hint = "; no space left: free some and run the same command again, what is stored stays";
    else if (code == SQLITE_IOERR)
        hint = "; disk full or failing? what is stored stays, run the same command again when it is mended";
    else if (code == SQLITE_READONLY || code == SQLITE_CANTOPEN)
        hint = "; is the folder there and writable? --db PATH chooses another";
    else if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT)
        hint = "; not a results database, or a damaged one: --db PATH chooses another";
    else if (code == SQLITE_BUSY)
        hint = "; another program holds a long transaction on it: close that and try again";
    return fail(STATUS_DB, "%s: %s: %s%s", s->path, doing, sqlite3_errmsg(s->db), hint);
}

/* What the holder wrote about itself, as a phrase. */
static void lock_owner(char *out, size_t n, int fd)
{
    char text[2000];
    ssize_t got = pread(fd, text, sizeof text - 1, 0);
    json_t *j = NULL;
    struct status st = got > 0 ? json_parse(&j, "lock", text, (size_t)got) : fail(STATUS_IO, "empty");
    if (st.code == STATUS_OK)
        snprintf(out, n, "process %lld on %s since %s: %s", (long long)json_int(j, "pid", 0), json_str(j, "host", "?"),
                 json_str(j, "since", "?"), json_str(j, "command", "?"));
    else
        snprintf(out, n, "another process");
    json_decref(j);
}

static void lock_sign(int fd, const char *command)
{
    char host[256] = "?";
    gethostname(host, sizeof host - 1);
    struct arena a = {0};
    json_t *j = json_pack("{s:i, s:s, s:s, s:s}", "pid", (int)getpid(), "host", host, "since", time_iso(&a, time_now()),
                          "command", command ? command : "sweep");
    char *text = j ? json_canonical(j) : mem_strdup("{}");
    if (ftruncate(fd, 0) == 0) {
        ssize_t n = pwrite(fd, text, strlen(text), 0);
        (void)n; /* only the name of the holder would be missing */
    }
    free(text);
    json_decref(j);
    arena_free(&a);
}

struct status store_lock(struct store *s, const char *command, double wait_s)
{
    char path[1040], owner[1200];
    snprintf(path, sizeof path, "%s.lock", s->path);
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (s->lock_fd < 0)
        return fail(STATUS_IO, "%s: cannot be made: %s; choose a writable folder with --db", path, strerror(errno));
    /* A killed holder's half-born child may keep the lock for the moment before its exec: that is not a holder. */
    double until = time_mono() + (wait_s > 0.5 ? wait_s : 0.5);
    while (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return fail(STATUS_IO, "%s: cannot be locked: %s; is it on a network folder?", path, strerror(errno));
        if (time_mono() >= until) {
            lock_owner(owner, sizeof owner, s->lock_fd);
            return fail(STATUS_IO, "%s: in use by %s; wait for it, stop it, or use another --db", s->path, owner);
        }
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    lock_sign(s->lock_fd, command);
    store_feed_forget(s->path);
    return ok();
}

bool store_writer(char *out, size_t n, const char *path)
{
    char lock[1040];
    snprintf(lock, sizeof lock, "%s.lock", path);
    int fd = open(lock, O_RDONLY | O_CLOEXEC);
    /* Shared and let go at once: a writer that comes now waits longer than that. */
    bool held = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0;
    if (held) lock_owner(out, n, fd);
    if (fd >= 0) close(fd);
    return held;
}

static struct status place(struct store *s, struct store_options o)
{
    struct arena a = {0};
    snprintf(s->path, sizeof s->path, "%s", o.path);
    const char *dir = fs_dirname(&a, o.path);
    struct status st = ok();
    if (o.read_only && !fs_exists(o.path))
        st =
            fail(STATUS_ARG,
                 "%s: there is no such database yet; `sweep run FILE.yaml` makes one, --db PATH names another", o.path);
    struct stat there;
    const char *kind = stat(o.path, &there) == 0 ? fs_kind(&there) : NULL; /* SQLite waits at a pipe for ever */
    if (st.code == STATUS_OK && kind)
        st = fail(STATUS_ARG, "%s: is %s, expected a database file; --db PATH chooses another", o.path, kind);
    if (st.code == STATUS_OK && !o.read_only) {
        st = fs_mkdir(dir);
        if (st.code != STATUS_OK) st = fail(st.code, "%s; --db PATH chooses a place where you may write", st.msg);
    }
    if (st.code == STATUS_OK) {
        char *real = realpath(dir, NULL);
        if (real)
            snprintf(s->dir, sizeof s->dir, "%s", real);
        else
            st = fail(STATUS_IO, "%s: %s", dir, strerror(errno));
        free(real);
    }
    arena_free(&a);
    return st;
}

/* A database at rest where the reader may not write: SQLite would make a file of shared memory beside it, unless told
 * that nothing changes it. True only without a log, so that nothing written is left out. */
static bool at_rest(const struct store_options *o, const char *dir)
{
    char wal[1040];
    snprintf(wal, sizeof wal, "%s-wal", o->path);
    return o->read_only && access(dir, W_OK) != 0 && !fs_exists(wal);
}

/* The path as a file: URI: all but the plainest bytes escaped. Owner: the caller frees. */
static char *immutable_uri(const char *path)
{
    struct str s = {0};
    str_add(&s, "file:");
    for (const unsigned char *p = (const unsigned char *)path; *p; p++)
        if (*p < 0x80 && (isalnum(*p) || strchr("/._-", *p)))
            str_addf(&s, "%c", *p);
        else
            str_addf(&s, "%%%02X", *p);
    str_add(&s, "?immutable=1");
    return s.s;
}

static struct status open_it(struct store *s, struct store_options o)
{
    TRY(place(s, o));
    if (!o.read_only && !o.memory) TRY(store_lock(s, o.command, o.wait_s));
    int flags = o.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    char *uri = at_rest(&o, s->dir) ? immutable_uri(o.path) : NULL;
    const char *file = o.memory ? ":memory:" : o.path;
    int got =
        sqlite3_open_v2(uri ? uri : file, &s->db, flags | SQLITE_OPEN_NOMUTEX | (uri ? SQLITE_OPEN_URI : 0), NULL);
    free(uri);
    if (got != SQLITE_OK) return store_fail(s, "opening");
    sqlite3_busy_timeout(s->db, MS_BUSY);
    sqlite3_extended_result_codes(s->db, 1);
    /* Before the log is touched: it then needs no shared memory, and readers elsewhere are told that it is in use. */
    if (o.alone && sqlite3_exec(s->db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL) != SQLITE_OK)
        return store_fail(s, "opening");
    return store_migrate(s);
}

struct status store_open(struct store **out, struct store_options o)
{
    struct store *s = mem_zalloc(sizeof *s);
    s->lock_fd = s->journal.fd = -1;
    s->read_only = o.read_only;
    struct status st = open_it(s, o);
    if (st.code != STATUS_OK) {
        store_close(s);
        s = NULL;
    }
    *out = s;
    return st;
}

void store_close(struct store *s)
{
    if (!s) return;
    for (int i = 0; i < STORE_N_SQL; i++) sqlite3_finalize(s->stmt[i]);
    sqlite3_close(s->db);
    if (s->lock_fd >= 0) close(s->lock_fd);
    if (s->journal.fd >= 0) close(s->journal.fd);
    str_free(&s->journal.pending);
    free(s);
}

const char *store_dir(const struct store *s)
{
    return s->dir;
}

struct status store_begin(struct store *s)
{
    return store_run(s, SQL_BEGIN, "");
}

struct status store_commit(struct store *s)
{
    struct status st = store_journal_flush(s);
    if (st.code == STATUS_OK) st = store_run(s, SQL_COMMIT, "");
    if (st.code != STATUS_OK) store_rollback(s);
    return st;
}

void store_rollback(struct store *s)
{
    store_journal_drop(s);
    if (sqlite3_get_autocommit(s->db)) return; /* SQLite rolls back by itself when the disk is full */
    struct status st = store_run(s, SQL_ROLLBACK, "");
    if (st.code != STATUS_OK) log_warn("%s", st.msg);
}
