/* The coordinator's loop: start what may start, wait for events, signals and ends, store a batch, tell the view. */
#include "inside.h"
#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

void engine_keep(struct engine *e, struct status st)
{
    if (st.code != STATUS_OK && e->error.code == STATUS_OK) e->error = st;
}

void engine_tell(struct engine *e, struct engine_event ev)
{
    struct engine_totals *t = &e->totals;
    t->left_s = ahead_seconds(e, &t->left_error_s);
    t->running = e->n_running;
    t->gpus = e->place.n;
    t->gpus_busy = 0;
    for (int i = 0; i < e->place.n; i++) t->gpus_busy += e->place.leases[i].n > 0;
    ev.totals = t;
    const struct place_gpu *gpu = ev.stage ? e->tasks[ev.stage - e->p->stages].gpu : NULL;
    ev.gpu = gpu ? gpu->index : -1;
    if (ev.stage && !ev.n_runs) {
        ev.n_runs = engine_runs(ev.stage);
        ev.run = e->tasks[ev.stage - e->p->stages].run;
    }
    if (e->o->on_event) e->o->on_event(e->o->ctx, &ev);
}

struct store_stage engine_stage_row(const struct engine *e, int task)
{
    const struct plan_stage *g = &e->p->stages[task];
    /* The timing of an untrained export is told from that of the real one by its format. */
    return (struct store_stage){.key = g->key,
                                .trial = e->p->trials[g->trial].id,
                                .stage = plan_kinds[g->kind].name,
                                .format = g->kind == PLAN_SCREEN ? "untrained" : g->format,
                                .device = g->device,
                                .environment = e->environment};
}

void engine_store_event(struct engine *e, struct worker *w, const json_t *event)
{
    static const struct {
        const char *name;
        enum engine_event_kind kind;
    } told[] = {{"progress", ENGINE_PROGRESS}, {"metrics", ENGINE_METRICS}, {"log", ENGINE_LOG}};
    const struct plan_stage *g = &e->p->stages[w->task];
    const char *name = json_str(event, "ev", "");
    if (strcmp(name, "progress") == 0) {
        ahead_hears(w, event);
        place_hears(e, w, event);
    } else {
        struct status st = writes_event(e, w->task, event);
        if (st.code != STATUS_OK) {
            process_distrust(w, HOW_NONSENSE, st.msg);
            return;
        }
    }
    for (size_t i = 0; i < LEN(told); i++)
        if (strcmp(told[i].name, name) == 0)
            engine_tell(e, (struct engine_event){
                               .kind = told[i].kind, .stage = g, .trial = &e->p->trials[g->trial], .json = event});
    if (strcmp(name, "metrics") == 0) pruning_hears(e, w, event);
}

/* A program's content says more than its version: what was built anew is another. */
static void add_program(json_t *info, const char *name, const char *path)
{
    struct hash h;
    struct status st = hash_file(&h, path);
    json_object_set_new(info, name, st.code == STATUS_OK ? json_string(h.hex) : json_null());
}

/* What runs, and on what: frozen beside everything that comes of it. */
static json_t *environment(const struct engine *e)
{
    json_t *info = engine_machine();
    if (e->place.n) json_object_set_new(info, "gpus", place_names(e));
    json_object_set_new(info, "sweep", json_string(SWEEP_VERSION));
    json_object_set_new(info, "libtorch", json_string(ENGINE_LIBTORCH));
    json_object_set_new(info, "onnxruntime", json_string(ENGINE_ORT));
    add_program(info, "sweep_hash", "/proc/self/exe");
    add_program(info, "worker_hash", e->worker_path);
    add_program(info, "bench_hash", e->bench_path);
    return info;
}

struct status engine_put_trial(struct store *s, const struct plan_trial *t)
{
    json_t *content = json_pack("{s:s*, s:s*, s:s*, s:s*, s:s*}", "images", t->content.images, "model_weights",
                                t->content.model_weights, "loss_weights", t->content.loss_weights, "init",
                                t->content.init, "judge", t->content.judge);
    struct status st = store_put_trial(s, &(struct store_trial){.id = t->id,
                                                                .arch = t->t.model.arch,
                                                                .backbone = t->t.model.backbone,
                                                                .loss_key = t->loss_key,
                                                                .height = t->t.data.size[0],
                                                                .width = t->t.data.size[1],
                                                                .seed = t->t.seed,
                                                                .params = t->size.params,
                                                                .macs = t->size.macs,
                                                                .config = t->config,
                                                                .content = json_object_size(content) ? content : NULL});
    json_decref(content);
    return st;
}

static bool is_known(const struct plan *p, const struct plan_trial *t, const json_t *known)
{
    for (int i = 0; i < t->n_stages; i++)
        if (!json_object_get(known, p->stages[t->stages[i]].key)) return false;
    return true;
}

/* A trial that is stored, by a version that knew its content, and has nothing left to do stays as it was when it ran.
 */
static struct status put_trials(struct store *s, const struct plan *p, const json_t *known)
{
    json_t *rows, *stored = json_object();
    struct status st = store_rows(&rows, s, "SELECT id FROM trials WHERE content IS NOT NULL", NULL);
    for (size_t i = 0; st.code == STATUS_OK && i < json_array_size(rows); i++)
        json_object_set_new(stored, json_str(json_array_get(rows, i), "id", ""), json_true());
    if (st.code == STATUS_OK) json_decref(rows);
    for (int i = 0; i < p->n_trials && st.code == STATUS_OK; i++)
        if (!json_object_get(stored, p->trials[i].id) || !is_known(p, &p->trials[i], known))
            st = engine_put_trial(s, &p->trials[i]);
    json_decref(stored);
    return st;
}

struct status engine_put_plan(struct store *s, const struct plan *p, const json_t *known)
{
    if (p->n_sweeps) TRY(put_trials(s, p, known)); /* a plan without sweeps is of trials that are stored */
    for (int i = 0; i < p->n_sweeps; i++) {
        const struct plan_sweep *w = &p->sweeps[i];
        int64_t sweep;
        TRY(store_put_sweep(
            s, &(struct store_sweep){.name = w->name, .path = w->path, .rank = w->rank, .spec = w->spec}, &sweep));
        for (int k = 0; k < w->n_cells; k++)
            TRY(store_put_sweep_trial(s, sweep, p->trials[w->cells[k].trial].id, k, w->cells[k].axes));
        TRY(store_keep_state(s, sweep));
    }
    return ok();
}

/* The plan as rows, before anything runs. */
static struct status store_plan(struct engine *e)
{
    json_t *info = environment(e), *machine = engine_machine();
    struct hash id;
    struct status st = store_put_environment(e->s, info, &id);
    if (st.code == STATUS_OK) st = store_put_device(e->s, "cpu", machine);
    json_decref(info);
    json_decref(machine);
    TRY(st);
    memcpy(e->environment, id.hex, sizeof e->environment);
    return engine_put_plan(e->s, e->p, e->known);
}

static void start_ready(struct engine *e)
{
    e->place.waiting = false;
    while (!e->stopping && e->error.code == STATUS_OK && e->n_running < e->place.jobs) {
        int task = queue_next(e);
        if (task < 0) return;
        const struct plan_stage *g = &e->p->stages[task];
        if (pruning_why(e, task)) { /* an earlier run decided so, and was ended before its worker was */
            queue_end(e, task, "pruned", pruning_why(e, task));
            continue;
        }
        if (e->tasks[task].run == 0) writes_stage_start(e, task);
        e->tasks[task].open = true;
        if (!e->begun[g->trial]) writes_trial(e, g->trial, "running", NULL);
        e->begun[g->trial] = true;
        writes_end(e); /* a stage is known to run before it does */
        engine_keep(e, e->error.code == STATUS_OK ? process_start(e, task) : ok());
        if (e->error.code == STATUS_OK)
            engine_tell(
                e, (struct engine_event){.kind = ENGINE_STAGE_START, .stage = g, .trial = &e->p->trials[g->trial]});
    }
}

static void stop(struct engine *e)
{
    if (e->stopping) { /* asked twice */
        e->killing = true;
        process_signal(e, SIGKILL);
        return;
    }
    e->stopping = true;
    process_signal(e, SIGTERM);
    engine_tell(e, (struct engine_event){.kind = ENGINE_STOPPING});
}

bool engine_take_signals(struct engine *e)
{
    struct signalfd_siginfo s;
    bool child = false;
    while (read(e->signal_fd, &s, sizeof s) == (ssize_t)sizeof s) {
        if (s.ssi_signo == SIGCHLD)
            child = true;
        else
            stop(e);
    }
    return child;
}

static void wait_for_news(struct engine *e)
{
    struct pollfd fds[ENGINE_MAX_JOBS + 2] = {{.fd = e->signal_fd, .events = POLLIN},
                                              {.fd = monitor_fd(e), .events = POLLIN}}; /* -1 is passed over */
    struct worker *who[ENGINE_MAX_JOBS + 2] = {NULL};
    nfds_t n = 2;
    for (int i = 0; i < ENGINE_MAX_JOBS; i++) {
        if (!e->workers[i].pid || e->workers[i].fd < 0) continue;
        fds[n] = (struct pollfd){.fd = e->workers[i].fd, .events = POLLIN};
        who[n++] = &e->workers[i];
    }
    double tick = e->o->ms_tick > 0 ? e->o->ms_tick : 1000;
    if (e->watches_memory && tick > ENGINE_WATCH_MS) tick = ENGINE_WATCH_MS; /* a leak is fast */
    int got = poll(fds, n, (int)tick);
    for (nfds_t i = 2; got > 0 && i < n; i++)
        if (fds[i].revents) process_read(e, who[i]);
    if (got > 0 && fds[1].revents) monitor_read(e);
    monitor_watch(e);
    engine_take_signals(e);
    process_reap(e);
    process_watch(e);
    if (e->o->fail_fast && e->totals.failed && !e->stopping) stop(e);
    writes_end(e);
    if (e->o->ms_tick > 0) engine_tell(e, (struct engine_event){.kind = ENGINE_TICK});
}

static bool work_left(const struct engine *e)
{
    if (e->n_running) return true;
    return !e->stopping && e->error.code == STATUS_OK && e->totals.ended < e->totals.stages;
}

/* Trials that an earlier run left half done are interrupted, also when this one never came to them. */
static json_t *interrupted_before(struct engine *e)
{
    json_t *rows, *ids = json_object();
    struct status st = store_rows(&rows, e->s, "SELECT id FROM trials WHERE state = 'interrupted'", NULL);
    if (st.code != STATUS_OK) return ids; /* the run has a reason of its own to say so */
    for (size_t i = 0; i < json_array_size(rows); i++)
        json_object_set_new(ids, json_str(json_array_get(rows, i), "id", ""), json_true());
    json_decref(rows);
    return ids;
}

/* Trials that were begun and have not ended are interrupted ones, until they are run again; so are stages that were
 * between two runs. The others are queued, as they are in the database. */
static void close_begun(struct engine *e)
{
    json_t *before = interrupted_before(e);
    for (int i = 0; i < e->p->n_stages; i++)
        if (e->tasks[i].open) writes_stage_end(e, i, "interrupted", "stopped between two of its runs");
    for (int i = 0; i < e->p->n_trials; i++) {
        if (!e->open[i]) continue;
        bool begun = e->begun[i] || json_object_get(before, e->p->trials[i].id);
        ++*(begun ? &e->result.interrupted : &e->result.queued);
        if (e->begun[i]) writes_trial(e, i, "interrupted", NULL);
    }
    json_decref(before);
    writes_end(e);
}

static void program_path(char *out, size_t n, const char *given, const char *name)
{
    if (given)
        snprintf(out, n, "%s", given);
    else
        snprintf(out, n, "%s/%s", fs_program_dir(), name);
}

static struct status take_signal_fd(struct engine *e)
{
    sigset_t mask;
    sigemptyset(&mask);
    static const int taken[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGCHLD};
    for (size_t i = 0; i < LEN(taken); i++) sigaddset(&mask, taken[i]);
    sigprocmask(SIG_BLOCK, &mask, &e->mask_before);
    e->signal_fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    return e->signal_fd >= 0 ? ok() : fail(STATUS_IO, "signals: %s", strerror(errno));
}

static struct status run(struct engine *e)
{
    TRY(place_init(e));
    TRY(take_signal_fd(e));
    TRY(locks_clear(e));
    TRY(store_begin(e->s));
    struct status st = store_recover(e->s);
    if (st.code == STATUS_OK) st = engine_cached(&e->known, e->s, e->p);
    if (st.code == STATUS_OK) st = store_plan(e);
    if (st.code != STATUS_OK) {
        store_rollback(e->s);
        return st;
    }
    TRY(store_commit(e->s));
    TRY(queue_init(e));
    writes_end(e);
    TRY(e->error);
    engine_tell(e, (struct engine_event){.kind = ENGINE_START});
    engine_take_signals(e); /* one that came meanwhile is heard before a worker is started, not after */
    while (work_left(e)) {
        start_ready(e);
        if (e->error.code != STATUS_OK && !e->stopping) stop(e);
        residents_tidy(e);                    /* those that nobody took */
        if (e->n_running || e->place.waiting) /* for a GPU, that others have */
            wait_for_news(e);
        else if (place_none_left(e) && e->totals.ended < e->totals.stages)
            engine_keep(e, place_lost(e)); /* what needs none is done by now */
        else if (!e->stopping && e->error.code == STATUS_OK)
            CHECK(e->totals.ended == e->totals.stages, "nothing runs and nothing can start");
    }
    writes_end(e);
    close_begun(e);
    if (e->error.code != STATUS_OK) return e->error;
    bool asked = e->stopping && !(e->o->fail_fast && e->totals.failed);
    return asked ? fail(STATUS_INTERRUPTED, "stopped; the same command goes on from the checkpoints") : ok();
}

struct status engine_run(struct engine_result *out, const struct engine_options *o)
{
    struct engine *e = mem_zalloc(sizeof *e);
    double start = time_mono();
    e->o = o;
    e->p = o->plan;
    e->s = o->store;
    e->signal_fd = -1;
    e->rng = rng_key(o->seed, 0, 0, 0);
    cores_wait_asleep(); /* the workers inherit it */
    program_path(e->worker_path, sizeof e->worker_path, o->worker, "sweep-worker");
    program_path(e->bench_path, sizeof e->bench_path, o->bench, "sweep-bench");
    struct status st = run(e);
    e->result.seconds = time_mono() - start;
    place_result(&e->result, e);
    *out = e->result;
    if (e->signal_fd >= 0) {
        close(e->signal_fd);
        sigprocmask(SIG_SETMASK, &e->mask_before, NULL);
    }
    residents_end(e);
    if (e->tasks) queue_free(e);
    place_free(e);
    locks_end(e);
    writes_free(e);
    free(e);
    return st;
}
