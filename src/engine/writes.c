/*
 * What a run stores, batch by batch. A batch is remembered until it is committed: where the disk is full or another
 * program holds the database, the run stands still with a message, tries again, and goes on where it was.
 */
#include "inside.h"
#include <math.h>
#include <poll.h>

static const double again_every_s = 1;

struct write {
    enum { WRITE_START, WRITE_END, WRITE_TRIAL, WRITE_EVENT, WRITE_DECISION, WRITE_DROP } kind;
    int task, trial;
    char *state, *reason; /* owned; of a dropped file: its kind */
    bool needed;
    double seconds;
    int64_t rss_bytes;
    json_t *event; /* or decision */
};

static struct status apply_decision(struct engine *e, const struct store_stage *row, const json_t *d)
{
    return store_put_decision(e->s, row,
                              &(struct store_decision){.rule = json_str(d, "rule", ""),
                                                       .rule_key = json_str(d, "rule_key", ""),
                                                       .metric = json_str(d, "metric", ""),
                                                       .reason = json_str(d, "reason", ""),
                                                       .epoch = (int)json_int(d, "epoch", 0),
                                                       .n_peers = (int)json_int(d, "n_peers", 0),
                                                       .value = json_num(d, "value", (double)NAN),
                                                       .threshold = json_num(d, "threshold", (double)NAN),
                                                       .stop = json_is_true(json_object_get(d, "stop")),
                                                       .peers = json_object_get(d, "peers")});
}

static struct status apply(struct engine *e, const struct write *w)
{
    struct store_stage row = {0};
    if (w->kind != WRITE_TRIAL && w->kind != WRITE_DROP) row = engine_stage_row(e, w->task);
    switch (w->kind) {
    case WRITE_START:
        return store_stage_start(e->s, &row);
    case WRITE_END:
        return store_stage_end(e->s, row.key, w->state, w->reason, w->seconds, w->rss_bytes);
    case WRITE_TRIAL:
        return store_set_trial(e->s, e->p->trials[w->trial].id, w->state, w->reason);
    case WRITE_EVENT:
        return store_event(e->s, &row, w->event);
    case WRITE_DROP:
        return store_drop_file(e->s, e->p->trials[w->trial].id, w->state, w->needed);
    case WRITE_DECISION:
        return apply_decision(e, &row, w->event);
    }
    return ok();
}

static void write_drop(struct write *w)
{
    free(w->state);
    free(w->reason);
    json_decref(w->event);
}

void writes_free(struct engine *e)
{
    for (int i = 0; i < e->n_writes; i++) write_drop(&e->writes[i]);
    free(e->writes);
    e->writes = NULL;
    e->n_writes = e->cap_writes = 0;
}

static void forget_batch(struct engine *e)
{
    for (int i = 0; i < e->n_writes; i++) write_drop(&e->writes[i]);
    e->n_writes = 0;
    e->in_batch = false;
}

static struct status replay(struct engine *e)
{
    TRY(store_begin(e->s));
    struct status st = ok();
    for (int i = 0; i < e->n_writes && st.code == STATUS_OK; i++) {
        st = apply(e, &e->writes[i]);
        if (st.code == STATUS_ARG) st = ok(); /* the event that met the full disk was also malformed: it says nothing */
    }
    if (st.code == STATUS_OK) return store_commit(e->s);
    store_rollback(e->s);
    return st;
}

static void nap(struct engine *e)
{
    struct pollfd fd = {.fd = e->signal_fd, .events = POLLIN};
    double until = time_mono() + again_every_s, left;
    while (!e->stopping && (left = until - time_mono()) > 0) {
        poll(&fd, 1, (int)(1e3 * left) + 1);
        engine_take_signals(e);
    }
}

/* Stands still until the batch is stored. Workers go on until their pipes are full; they are not read meanwhile, so
 * that nothing is decided on what is not stored. A request to stop ends it, with what was in the way. */
static void stand_still(struct engine *e, struct status why)
{
    double start = time_mono();
    store_rollback(e->s);
    log_warn("%s; waiting for that, Ctrl-C stops the run", why.msg);
    do {
        nap(e);
        if (e->stopping) break;
        why = replay(e);
    } while (why.code != STATUS_OK && store_may_pass(e->s));
    double waited = time_mono() - start;
    for (int i = 0; i < ENGINE_MAX_JOBS; i++) {
        e->workers[i].beat += waited; /* its silence was our deafness */
        e->workers[i].started += waited;
    }
    if (why.code == STATUS_OK) log_info("stored after %.0f s; going on", waited);
    engine_keep(e, why);
    forget_batch(e);
}

static struct status put(struct engine *e, struct write w)
{
    if (e->error.code != STATUS_OK) {
        write_drop(&w);
        return ok();
    }
    struct status st = ok();
    if (!e->in_batch) {
        st = store_begin(e->s);
        e->in_batch = true;
    }
    if (e->n_writes == e->cap_writes) {
        e->cap_writes = e->cap_writes ? 2 * e->cap_writes : 64;
        e->writes = mem_realloc(e->writes, sizeof *e->writes * (size_t)e->cap_writes);
    }
    e->writes[e->n_writes++] = w;
    if (st.code == STATUS_OK) st = apply(e, &w);
    if (st.code == STATUS_OK) return st;
    if (st.code == STATUS_ARG && w.kind == WRITE_EVENT) { /* a worker's mistake, not the store's */
        write_drop(&e->writes[--e->n_writes]);
        return st;
    }
    if (store_may_pass(e->s)) {
        stand_still(e, st);
    } else {
        store_rollback(e->s);
        engine_keep(e, st);
        forget_batch(e);
    }
    return ok();
}

void writes_end(struct engine *e)
{
    if (!e->in_batch) return;
    struct status st = store_commit(e->s);
    if (st.code != STATUS_OK && store_may_pass(e->s)) {
        stand_still(e, st);
        return;
    }
    engine_keep(e, st);
    forget_batch(e);
}

void writes_stage_start(struct engine *e, int task)
{
    struct status st = put(e, (struct write){.kind = WRITE_START, .task = task});
    CHECK(st.code == STATUS_OK, "%s", st.msg);
}

static char *copy(const char *s)
{
    return s ? mem_strdup(s) : NULL;
}

void writes_stage_end(struct engine *e, int task, const char *state, const char *reason)
{
    const struct task *t = &e->tasks[task];
    struct status st = put(e, (struct write){.kind = WRITE_END,
                                             .task = task,
                                             .state = copy(state),
                                             .reason = copy(reason),
                                             .seconds = t->seconds,
                                             .rss_bytes = t->rss_bytes});
    CHECK(st.code == STATUS_OK, "%s", st.msg);
}

void writes_trial(struct engine *e, int trial, const char *state, const char *reason)
{
    struct status st =
        put(e, (struct write){.kind = WRITE_TRIAL, .trial = trial, .state = copy(state), .reason = copy(reason)});
    CHECK(st.code == STATUS_OK, "%s", st.msg);
}

void writes_drop(struct engine *e, int trial, const char *kind, bool needed)
{
    struct status st =
        put(e, (struct write){.kind = WRITE_DROP, .trial = trial, .state = copy(kind), .needed = needed});
    CHECK(st.code == STATUS_OK, "%s", st.msg);
}

struct status writes_event(struct engine *e, int task, const json_t *event)
{
    return put(e, (struct write){.kind = WRITE_EVENT, .task = task, .event = json_incref((json_t *)(uintptr_t)event)});
}

void writes_decision(struct engine *e, int task, const json_t *decision)
{
    struct status st = put(
        e, (struct write){.kind = WRITE_DECISION, .task = task, .event = json_incref((json_t *)(uintptr_t)decision)});
    CHECK(st.code == STATUS_OK, "%s", st.msg);
}

void writes_info(struct engine *e, int task, json_t *values)
{
    json_t *info = json_pack("{s:s, s:o}", "ev", "info", "values", values);
    struct status st = writes_event(e, task, info);
    CHECK(st.code == STATUS_OK, "%s", st.msg);
    json_decref(info);
}
