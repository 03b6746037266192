/* watch: the view of a run in another process, by the feed that it keeps beside the database. */
#include "inside.h"
#include "live.h"
#include <time.h>

enum { MS_LOOK = 100 };

static bool names(const json_t *sweeps, const char *name)
{
    for (size_t i = 0; i < json_array_size(sweeps); i++)
        if (strcmp(json_string_value(json_array_get(sweeps, i)), name) == 0) return true;
    return false;
}

/* Something is written there, but not of the sweep that was named. */
static struct status other_sweep(const json_t *state, const char *name)
{
    const json_t *sweeps = json_object_get(state, "sweeps");
    const char *first = json_string_value(json_array_get(sweeps, 0));
    return fail(STATUS_ARG, "sweep watch: %s does not run; what runs is %s%s", name,
                first ? first : "no sweep of a file", json_array_size(sweeps) > 1 ? " and others" : "");
}

static struct status nothing_runs(const struct cli_args *a)
{
    return fail(
        STATUS_ARG,
        "%s: nothing runs; `sweep run FILE.yaml` starts a sweep or goes on with it, `sweep status` says how far "
        "each one is",
        cli_db(a));
}

struct watching {
    const struct cli_args *a;
    struct cli_live *live;
    struct store_follow *follow;
    bool attached, ended;
    int code;
};

/* One event of the run. */
static struct status take(struct watching *w, const char *line)
{
    json_t *event = NULL;
    struct status st = json_parse(&event, "feed", line, strlen(line));
    if (st.code != STATUS_OK) return ok(); /* half a line: its writer's disk was full */
    const char *kind = json_str(event, "event", ""), *name = w->a->n_pos ? w->a->pos[0] : NULL;
    st = ok();
    if (strcmp(kind, "state") == 0 && name && !names(json_object_get(event, "sweeps"), name))
        st = other_sweep(event, name);
    if (st.code == STATUS_OK) {
        w->attached = true;
        if (w->a->value[OPT_JSON]) {
            printf("%s\n", line);
            fflush(stdout);
        } else {
            live_hear(w->live, event);
        }
        w->ended = strcmp(kind, "end") == 0;
        w->code = (int)json_int(event, "code", 0);
    }
    json_decref(event);
    return st;
}

/* All that is new; true in @p *some when something was. */
static struct status take_all(struct watching *w, bool *some)
{
    const char *line;
    *some = false;
    while (!w->ended && (line = store_follow_next(w->follow))) {
        *some = true;
        TRY(take(w, line));
    }
    return ok();
}

static struct status follow(struct watching *w)
{
    char who[1200], told[1200] = "";
    bool some, runs = true;
    while (!w->ended) {
        TRY(take_all(w, &some));
        if (some) continue;
        if (!runs) break; /* and what it still said is read */
        runs = store_writer(who, sizeof who, cli_db(w->a));
        if (runs && !w->attached && strcmp(told, who) != 0 && !w->a->value[OPT_JSON]) {
            snprintf(told, sizeof told, "%s", who);
            fprintf(stderr, "in use by %s\n", who);
        }
        live_draw(w->live, false);
        nanosleep(&(struct timespec){.tv_nsec = runs ? MS_LOOK * 1000000L : 0}, NULL);
    }
    if (w->ended) return ok();
    w->code = 1;
    if (!w->attached) return nothing_runs(w->a);
    return fail(STATUS_IO,
                "%s: the run has ended without saying so, as when it is killed; the same `sweep run` goes on",
                cli_db(w->a));
}

/* A wrong name is told as such; without a database there is none to look it up in. */
static struct status known_sweep(const struct cli_args *a, struct store *s)
{
    return cli_find_sweep(s, a->pos[0]);
}

/* One run, to its end. */
static struct status watch_one(const struct cli_args *a, int *code)
{
    struct watching w = {.a = a};
    w.live = cli_live_new(a->value[OPT_JSON] != NULL, a->value[OPT_NO_TTY] != NULL);
    w.follow = store_follow_open(cli_db(a));
    struct status st = follow(&w);
    cli_live_free(w.live);
    store_follow_close(w.follow);
    *code = w.code;
    if (st.code == STATUS_OK && !a->value[OPT_JSON])
        fprintf(stderr, "the run has ended%s; `sweep top` and `sweep report` show what it found\n",
                w.code ? ", not all of it well" : "");
    return st;
}

/* From run to run, until Ctrl-C. */
static _Noreturn void stay(const struct cli_args *a, int *code)
{
    for (;;) {
        cli_wait_for(cli_db(a), true, "waiting for the next run; Ctrl-C ends this");
        struct status st = watch_one(a, code);
        if (st.code != STATUS_OK) log_warn("%s", st.msg); /* the next one may do better */
    }
}

CLI_COMMAND(cli_watch)
{
    char who[1200];
    if (a->value[OPT_WAIT]) stay(a, code);
    if (store_writer(who, sizeof who, cli_db(a))) return watch_one(a, code);
    if (a->n_pos && fs_exists(cli_db(a))) TRY(cli_with_store(a, known_sweep));
    *code = 1;
    return nothing_runs(a);
}
