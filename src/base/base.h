/*
 * base: what every room stands on. Status by value, an arena, growable strings, log, files, hashes, a counter-based
 * random generator, JSON reading helpers. Knows nothing of what the program does.
 *
 *     struct status thing_load(struct thing **out, const char *path)
 *     {
 *         char *text;
 *         TRY(fs_read(&text, NULL, path));
 *         ...
 *         return ok();
 *     }
 *
 * Host out-of-memory aborts: these are programs, not a library.
 */
#ifndef SWEEP_BASE_H
#define SWEEP_BASE_H

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LEN(a)       (sizeof(a) / sizeof *(a))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))

/* ---- status: every fallible function returns one ------------------------------------------------------------ */

/** Why something did not happen. A caller branches on the code; people read the message. */
enum status_code {
    STATUS_OK,
    STATUS_ARG,         /* the user's input is wrong: configuration, arguments, a file's content */
    STATUS_IO,          /* the operating system said no */
    STATUS_DB,          /* SQLite said no */
    STATUS_TORCH,       /* libtorch threw */
    STATUS_OOM,         /* the device or the host has no memory for this size */
    STATUS_DEVICE,      /* the device fails or is gone: what ran there may do elsewhere */
    STATUS_REFUSED,     /* impossible by rule (a cell that cannot be built): a result with a reason, not a failure */
    STATUS_INTERRUPTED, /* asked to stop; the state is checkpointed */
};

struct status {
    enum status_code code;
    char msg[1000];
};

/** Success. */
static inline struct status ok(void)
{
    struct status s;
    s.code = STATUS_OK;
    s.msg[0] = 0;
    return s;
}

/** A failure; message form: "where: what: got x, expected y; what to do". */
struct status fail(enum status_code code, const char *fmt, ...) PRINTF(2, 3) __attribute__((warn_unused_result));

/** Puts "prefix: " before a failure's message; success passes unchanged. */
struct status status_at(struct status s, const char *fmt, ...) PRINTF(2, 3) __attribute__((warn_unused_result));

/** Stable name of a code ("io", "refused", ...), for logs and JSON. */
const char *status_name(enum status_code code);

/** Leaves the function with the failure of @p expr, if it is one. */
#define TRY(expr)                                                                                                      \
    do {                                                                                                               \
        struct status try_s_ = (expr);                                                                                 \
        if (try_s_.code != STATUS_OK) return try_s_;                                                                   \
    } while (0)

/** Misuse by our own code; on in every build. */
#define CHECK(cond, ...)                                                                                               \
    do {                                                                                                               \
        if (!(cond)) check_failed(__FILE__, __LINE__, #cond, "" __VA_ARGS__);                                          \
    } while (0)
void check_failed(const char *file, int line, const char *cond, const char *fmt, ...) PRINTF(4, 5)
    __attribute__((noreturn));

/* ---- memory -------------------------------------------------------------------------------------------------- */

/** malloc, calloc, realloc, strdup that never return NULL. Owner: the caller frees. */
void *mem_alloc(size_t n);
void *mem_zalloc(size_t n);
void *mem_realloc(void *p, size_t n);
char *mem_strdup(const char *s);

/** Many small allocations that die together. Zero-initialise; all memory handed out is zeroed and aligned to 16. */
struct arena {
    struct arena_block *head;
};
void *arena_alloc(struct arena *a, size_t n);
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3);
void *arena_copy(struct arena *a, const void *p, size_t n);
void arena_free(struct arena *a);

/** A growable, NUL-terminated string or byte buffer. Zero-initialise; free with str_free. */
struct str {
    char *s; /* never NULL after the first add */
    size_t n, cap;
};
void str_add(struct str *b, const char *s);
void str_addn(struct str *b, const void *p, size_t n);
void str_addf(struct str *b, const char *fmt, ...) PRINTF(2, 3);
/** @p text as one word of a POSIX shell, whatever is in it. */
void str_add_quoted(struct str *b, const char *text);
void str_free(struct str *b);

/** True for two spellings of one name: case, "_", "-" and spaces do not count, and "+" is "plus". */
bool str_same_name(const char *a, const char *b);
/** The name in @p names (NULL-terminated) nearest to @p got by edit distance, spellings of one name being equal, or
 * NULL when none is near. */
const char *str_nearest(const char *got, const char *const *names);

/** Shell-style match of the whole of @p s: *, ?, [abc]. */
bool str_glob(const char *pattern, const char *s);

/** Strict number parsing: the whole string must be the number. False when it is not, or does not fit. */
bool str_to_double(const char *s, double *out);
bool str_to_i64(const char *s, int64_t *out);

/* ---- log ----------------------------------------------------------------------------------------------------- */

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/** One line on stderr ("warn: ..."). stdout is data only. */
void log_at(enum log_level level, const char *fmt, ...) PRINTF(2, 3);
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
void log_set_level(enum log_level level); /* the least level that is printed; LOG_INFO at start */

/* ---- files and time ------------------------------------------------------------------------------------------ */

struct stat;
/** What is there in place of a regular file ("a folder", "a pipe", ...); NULL where it is one. */
const char *fs_kind(const struct stat *st);
/**
 * Opens a regular file (or a link to one) for reading. Errors: STATUS_IO, which also says what a thing is that is no
 * file; a pipe without a writer holds nobody up. Owner: the caller closes *out.
 */
struct status fs_open(int *out, const char *path);

/** Reads a whole file, or what <(command) of a shell hands over. Owner: the caller frees *out, which has a NUL after
 * its *n bytes. n may be NULL. Errors: as fs_open. */
struct status fs_read(char **out, size_t *n, const char *path);

/** Replaces a file atomically (temporary beside it, fsync, rename): readers see the old or the new, never a part. */
struct status fs_write(const char *path, const void *p, size_t n);

/** The two halves of fs_write for writers that stream: fs_begin opens the temporary, fs_commit makes it @p path. */
struct fs_file {
    FILE *f;
    char path[1024], tmp[1056];
};
struct status fs_begin(struct fs_file *out, const char *path);
struct status fs_commit(struct fs_file *f); /* closes in any case; on failure the temporary is removed */
void fs_abort(struct fs_file *f);

/** mkdir -p. */
struct status fs_mkdir(const char *path);
bool fs_exists(const char *path);
/** The first line of a small file, without its end, cut to @p n bytes; "" and false when there is none. */
bool fs_first_line(char *out, size_t n, const char *path);
bool fs_is_dir(const char *path);
int64_t fs_size(const char *path); /* bytes, -1 when absent */

/** "dir/name" into the arena; an absolute @p name wins. */
char *fs_join(struct arena *a, const char *dir, const char *name);
/** The part before the last slash, "." when there is none. */
char *fs_dirname(struct arena *a, const char *path);
/** The part after the last slash; borrowed from @p path. */
const char *fs_basename(const char *path);
/** Names in a directory, sorted by bytes, without "." and ".."; NULL-terminated, in the arena. */
struct status fs_list(char ***out, size_t *n, struct arena *a, const char *path);
/** Directory of the running program, for finding its siblings. */
const char *fs_program_dir(void);

/* ---- open files handed to a running process: pass.c ------------------------------------------------------------- */

enum { PASS_MAX = 4 };
/** Both ends of a channel, closed by exec; false: errno says why. */
bool pass_channel(int ends[2]);
/** Hands @p n files over without waiting; ours stay open, and what is under way counts as open, too: a lock on one is
 *  held until the receiver, or the channel, is gone. False: nobody is there to take them. */
bool pass_send(int channel, const int *fds, int n);
/** Waits for a message. Returns how many files came with it, 0 when the other end is closed, -1 after a signal or an
 *  error (errno). Owner: the caller closes them. */
int pass_receive(int channel, int fds[PASS_MAX]);

/** Seconds since the epoch, and a monotonic clock in seconds. */
double time_now(void);
double time_mono(void);
/** "2026-11-24T08:15:02Z" into the arena. */
char *time_iso(struct arena *a, double t);

/* ---- the machine --------------------------------------------------------------------------------------------- */

/** Cores that this process may use: of its affinity, within its control group's quota and its Slurm job's share. */
int cores_usable(void);
/**
 * Sets in the environment, where the user has not, that OpenMP threads wait for each other asleep after a few
 * microseconds: where others want the cores too, a thread that spins burns the time slice that its partner needs.
 * OpenMP reads it while the process is loaded, so it counts for programs that are started afterwards.
 * True when something was set.
 */
bool cores_wait_asleep(void);
/** The control group's limit in cores' worth of time, rounded up; 0: none. */
int cores_quota(void);
/** The same of "QUOTA PERIOD" in microseconds. */
int cores_of_quota(const char *text);

/** Half precision, by its bits. Rounds to nearest, ties to even; too large becomes infinite. */
uint16_t half_from_float(float v);
float half_to_float(uint16_t h);

/* ---- hashes and random numbers ------------------------------------------------------------------------------- */

struct hash {
    char hex[33];
}; /* XXH3-128 as 32 hex digits */
struct hash hash_bytes(const void *p, size_t n);

struct status hash_file(struct hash *out, const char *path);

/** FNV-1a 64, and splitmix64 as written in the parity fixtures' README. */
uint64_t hash_fnv1a(const void *p, size_t n);
uint64_t rng_splitmix(uint64_t z);

/**
 * Counter-based generator: a value depends on (key, counter) alone, never on the order of calls, so resuming and
 * worker counts change nothing. Build keys with rng_key(seed, epoch, index, ...).
 */
struct rng {
    uint64_t key, counter;
};
struct rng rng_key(uint64_t seed, uint64_t a, uint64_t b, uint64_t c);
uint64_t rng_u64(struct rng *r);
double rng_uniform(struct rng *r);                     /* [0,1) */
double rng_range(struct rng *r, double lo, double hi); /* [lo,hi) */
double rng_normal(struct rng *r);                      /* mean 0, deviation 1 */
uint64_t rng_below(struct rng *r, uint64_t n);         /* 0..n-1 */
void rng_shuffle(struct rng *r, int *v, size_t n);

/* ---- JSON (jansson) ------------------------------------------------------------------------------------------ */

/** Parses text; failure names @p where and the line and column. Owner: the caller json_decrefs *out. */
struct status json_parse(json_t **out, const char *where, const char *text, size_t n);

/** Sorted keys, no spaces, shortest round-trip reals: the form that is hashed. Owner: the caller frees. */
char *json_canonical(const json_t *j);
struct hash json_hash(const json_t *j);

/**
 * For programs that read it: members in their order, reals as json_real_text has them; never hashed. @p indent: spaces
 * a level, 0: one line. Owner: the caller frees.
 */
char *json_text(const json_t *j, int indent);
/** The fewest digits that read back as the same number; of one that a float holds (what a model computed), as the same
 *  float. */
enum { JSON_REAL_MAX = 32 };
void json_real_text(char out[JSON_REAL_MAX], double v);
/** A text as JSON whatever its bytes (a path may hold any): those that are not UTF-8 become U+FFFD. NULL becomes null.
 *  Owner: the caller. */
json_t *json_of_bytes(const char *text);

/** Members with a default; a member of another type counts as absent. */
const char *json_str(const json_t *o, const char *key, const char *def);
double json_num(const json_t *o, const char *key, double def);
int64_t json_int(const json_t *o, const char *key, int64_t def);
bool json_bool(const json_t *o, const char *key, bool def);

/* Calls that have a safer twin above. */
#ifndef __cplusplus
#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atof atol rand srand gets
#endif

#ifdef __cplusplus
}
#endif
#endif
