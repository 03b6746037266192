/* A coordinator in a process of its own, to be disturbed from outside, and what must hold of what it leaves. */
#ifndef TESTS_ENGINE_SIEGE_H
#define TESTS_ENGINE_SIEGE_H

#include "made.h"
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Everything but times, and what disturbances may change: attempts, and micro-batches after running out of memory. */
#define SIEGE_TABLE                                                                                                    \
    "SELECT t.id, t.state, t.reason, g.stage, g.format, g.device, g.state AS stage_state, g.reason AS stage_reason, "  \
    "m.name, m.epoch, m.value, (SELECT count(*) FROM latencies l WHERE l.stage_key = g.key) AS visits, "               \
    "(SELECT group_concat(a.kind || a.path, ' ') FROM artifacts a WHERE a.stage_key = g.key) AS files "                \
    "FROM trials t JOIN stages g ON g.trial = t.id LEFT JOIN metrics m ON m.stage_key = g.key "                        \
    "AND m.name <> 'images_per_s' ORDER BY t.id, g.stage, g.format, g.device, m.name, m.epoch"

static inline void siege_nap_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

/** A coordinator of its own; its exit status is the code of engine_run, 100 when that is ok but trials failed.
 *  @p file_limit: bytes that no file may outgrow, as on a full disk; 0: none. */
static inline pid_t siege_coordinator(const struct made *m, struct engine_options o, rlim_t file_limit)
{
    pid_t pid = fork();
    if (pid) return pid;
    log_set_level(LOG_ERROR);
    setenv("SWEEP_TEST_SITE", m->dir, 1); /* its workers are known by it, whatever became of their parents */
    signal(SIGXFSZ, SIG_IGN);
    if (file_limit) setrlimit(RLIMIT_FSIZE, &(struct rlimit){file_limit, RLIM_INFINITY});
    struct engine_result r = {0};
    struct status st = made_run(&r, m, o);
    if (st.code != STATUS_OK && st.code != STATUS_INTERRUPTED) fprintf(stderr, "coordinator: %s\n", st.msg);
    _exit(st.code == STATUS_OK && r.failed ? 100 : (int)st.code);
}

static inline int siege_wait(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Calls @p f for every process whose environment names this site; a dead one that nobody has reaped has none. */
static inline int siege_processes(const struct made *m, void (*f)(void *ctx, pid_t pid), void *ctx)
{
    struct arena a = {0};
    char **names = NULL, *mark = arena_printf(&a, "SWEEP_TEST_SITE=%s", m->dir);
    size_t n = 0;
    int found = 0;
    TEST_OK(fs_list(&names, &n, &a, "/proc"));
    for (size_t i = 0; i < n; i++) {
        int64_t pid;
        char *text = NULL;
        size_t len = 0;
        if (!str_to_i64(names[i], &pid)) continue;
        struct status st = fs_read(&text, &len, arena_printf(&a, "/proc/%s/environ", names[i]));
        if (st.code == STATUS_OK && len && memmem(text, len, mark, strlen(mark) + 1)) {
            found++;
            if (f) f(ctx, (pid_t)pid);
        }
        free(text);
    }
    arena_free(&a);
    return found;
}

/** Both sites hold the same results. */
static inline void siege_check_same(const struct made *a, const struct made *b)
{
    json_t *x = made_rows(a, SIEGE_TABLE), *y = made_rows(b, SIEGE_TABLE);
    CU_ASSERT_TRUE(json_array_size(x) > 0);
    CU_ASSERT_EQUAL(json_array_size(x), json_array_size(y));
    int told = 0;
    for (size_t i = 0; i < json_array_size(x) && i < json_array_size(y); i++) {
        if (json_equal(json_array_get(x, i), json_array_get(y, i)) || told++ > 3) continue;
        char *want = json_canonical(json_array_get(x, i)), *got = json_canonical(json_array_get(y, i));
        fprintf(stderr, "undisturbed %s\ndisturbed   %s\n", want, got);
        free(want);
        free(got);
    }
    CU_ASSERT_EQUAL(told, 0);
    json_decref(x);
    json_decref(y);
}

/** Nothing of a run that has ended is left behind: processes, locks, rows that run; the file is sound. */
static inline void siege_check_sound(const struct made *m)
{
    struct store *s;
    char who[1200];
    TEST_OK(store_open(&s, (struct store_options){.path = m->db, .read_only = true}));
    if (s) TEST_OK(store_integrity(s));
    store_close(s);
    CU_ASSERT_EQUAL(siege_processes(m, NULL, NULL), 0);
    CU_ASSERT_FALSE(store_writer(who, sizeof who, m->db));
    CU_ASSERT_EQUAL(made_int(m, "SELECT count(*) AS n FROM stages WHERE state = 'running'"), 0);
    struct arena a = {0};
    char **names, dir[500];
    size_t n = 1;
    snprintf(dir, sizeof dir, "%s/locks", m->dir);
    TEST_OK(fs_list(&names, &n, &a, dir));
    CU_ASSERT_EQUAL(n, 0);
    arena_free(&a);
}

/** False when there is no database to read yet: its writer was killed while it made the file. */
static inline bool siege_readable(const struct made *m)
{
    struct store *s = NULL;
    struct status st = store_open(&s, (struct store_options){.path = m->db, .read_only = true});
    store_close(s);
    return st.code == STATUS_OK;
}

/** Attempts of what was done at one moment, by key: none of it may run again. */
static inline json_t *siege_done(const struct made *m)
{
    json_t *rows = made_rows(m, "SELECT key, attempts FROM stages WHERE state = 'done'"), *out = json_object();
    for (size_t i = 0; i < json_array_size(rows); i++)
        json_object_set(out, json_str(json_array_get(rows, i), "key", ""),
                        json_object_get(json_array_get(rows, i), "attempts"));
    json_decref(rows);
    return out;
}

/** What was done once is done as it was. Takes @p before over. */
static inline void siege_check_not_repeated(const struct made *m, json_t *before)
{
    json_t *now = siege_done(m);
    const char *key;
    json_t *attempts;
    json_object_foreach(before, key, attempts)
        CU_ASSERT_EQUAL(json_integer_value(json_object_get(now, key)), json_integer_value(attempts));
    json_decref(now);
    json_decref(before);
}

#endif
