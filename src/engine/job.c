/* What a worker is told, and what follows from its end. */
#include "inside.h"
#include <unistd.h>

/* Which program measures on a device. */
static const struct {
    const char *device;
    bool worker; /* libtorch itself is the runtime */
} measurers[] = {{"torch", true}};

bool job_in_worker(const char *device)
{
    for (size_t i = 0; i < LEN(measurers); i++)
        if (strcmp(measurers[i].device, device) == 0) return measurers[i].worker;
    return false;
}

const char *job_program(const struct engine *e, int task)
{
    const struct plan_stage *g = &e->p->stages[task];
    if (!queue_measures(e, task)) return e->worker_path;
    return job_in_worker(g->device) ? e->worker_path : e->bench_path;
}

const char *job_dir(struct arena *a, const struct engine *e, int trial)
{
    return arena_printf(a, "%s/trials/%s", store_dir(e->s), e->p->trials[trial].id);
}

/* The model that an export (or the screen itself) left, absolute; NULL when it left none. */
static struct status model_path(const char **out, struct arena *a, struct engine *e, int task)
{
    const struct plan_stage *g = &e->p->stages[task];
    const char *key = g->kind == PLAN_SCREEN ? g->key : g->n_needs ? e->p->stages[g->needs[0]].key : "";
    json_t *rows, *params = json_pack("[s]", key);
    struct status st =
        store_rows(&rows, e->s, "SELECT path FROM artifacts WHERE stage_key = ?1 AND kind = 'model'", params);
    json_decref(params);
    *out = NULL;
    if (st.code == STATUS_OK && json_array_size(rows))
        *out = fs_join(a, store_dir(e->s), json_str(json_array_get(rows, 0), "path", ""));
    if (st.code == STATUS_OK) json_decref(rows);
    return st;
}

static struct status measure_members(json_t *j, struct arena *a, struct engine *e, int task)
{
    const struct plan_stage *g = &e->p->stages[task];
    const char *model;
    TRY(model_path(&model, a, e, task));
    if (model) json_object_set_new(j, "model", json_string(model));
    if (!queue_measures(e, task)) return ok();
    bool screen = g->kind == PLAN_SCREEN;
    const struct plan_trial *t = &e->p->trials[g->trial];
    const json_t *asked = json_object_get(g->config, "bench.threads");
    json_t *threads = screen || !json_array_size(asked) ? json_pack("[i]", 1) : json_array();
    for (size_t i = 0; !screen && i < json_array_size(asked); i++)
        json_array_append_new(threads, json_integer((json_int_t)json_number_value(json_array_get(asked, i))));
    json_object_set_new(j, "threads", threads);
    json_object_set_new(j, "visit", json_integer(screen ? 0 : e->tasks[task].run));
    json_object_set_new(j, "mode", json_string(json_str(g->config, "bench.mode", "normal")));
    json_object_set_new(j, "height", json_integer(t->t.data.size[0]));
    json_object_set_new(j, "width", json_integer(t->t.data.size[1]));
    json_object_set_new(j, "stage", json_string("bench"));
    const char *lib = getenv("ORT_LIB");
    if (lib && lib[0]) json_object_set_new(j, "ort_lib", json_string(lib));
    return ok();
}

struct status job_json(json_t **out, struct engine *e, int task)
{
    const struct plan_stage *g = &e->p->stages[task];
    struct arena a = {0};
    char *cache = fs_join(&a, store_dir(e->s), "cache");
    int train = plan_find(e->p, g->trial, PLAN_TRAIN);
    json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:O, s:s, s:s, s:s, s:s, s:i, s:s}", "stage", plan_kinds[g->kind].name,
                          "trial", e->p->trials[g->trial].id, "key", g->key, "train_key",
                          train >= 0 ? e->p->stages[train].key : "", "config", g->config, "dir",
                          job_dir(&a, e, g->trial), "cache", cache, "format", g->format, "device", g->device, "threads",
                          engine_threads(g, e->place.jobs, e->place.cores), "compute", place_compute(e, task));
    const char *images = e->p->trials[g->trial].content.images;
    if (images) json_object_set_new(j, "images", json_string(images));
    if (g->kind == PLAN_TRAIN) json_object_set_new(j, "micro_batch", json_integer(ladder_micro(e, task)));
    struct status st = fs_mkdir(cache);
    if (st.code == STATUS_OK) st = measure_members(j, &a, e, task);
    if (st.code == STATUS_OK && g->kind == PLAN_TRAIN) st = longer_from(j, e, task);
    arena_free(&a);
    *out = j;
    if (st.code != STATUS_OK) {
        json_decref(j);
        *out = NULL;
    }
    return st;
}

/* The screen's timing against the gate. */
static bool too_slow(struct ending *out, struct engine *e, int task)
{
    const struct plan_stage *g = &e->p->stages[task];
    double limit = json_num(g->config, "gate.p50_ms", 0);
    json_t *rows = NULL, *params = json_pack("[s]", g->key);
    struct status st = store_rows(&rows, e->s, "SELECT min(p50_ms) AS ms FROM latencies WHERE stage_key = ?1", params);
    json_decref(params);
    engine_keep(e, st);
    double ms = st.code == STATUS_OK ? json_num(json_array_get(rows, 0), "ms", 0) : 0;
    if (st.code == STATUS_OK) json_decref(rows);
    e->tasks[task].ms = ms;
    snprintf(out->reason, sizeof out->reason, "%.4g ms on %s before training, the gate allows %.4g ms", ms, g->device,
             limit);
    return ms > limit;
}

/* A run that ended well: the stage's next one, or its end. */
static void run_done(struct engine *e, const struct worker *w, struct ending *end)
{
    int task = w->task;
    const struct plan_stage *g = &e->p->stages[task];
    place_ended(e, task, true, NULL);
    ahead_ran(e, task, time_mono() - w->started);
    if (++e->tasks[task].run < engine_runs(g))
        queue_again(e, task);
    else if (g->kind == PLAN_SCREEN && too_slow(end, e, task))
        queue_end(e, task, "too_slow", end->reason);
    else
        queue_end(e, task, "done", NULL);
}

/* A run may have had too little memory for what processes that stay hold: its own, of earlier runs, or others on its
 * GPU. How a training is done must not depend on that. */
static bool may_be_leftovers(const struct engine *e, const struct worker *w)
{
    if (w->fault == HOW_MEMORY) return w->stays && w->bytes_over < w->home.bytes_hired;
    const struct place_gpu *gpu = w->stays ? w->home.gpu : NULL;
    return gpu && e->place.leases[gpu - e->place.gpus].residents > 0;
}

/* Tries it again where that may help; false: its end stands. */
static bool try_again(struct engine *e, const struct worker *w, const struct ending *end)
{
    int task = w->task;
    struct task *t = &e->tasks[task];
    const struct plan_stage *g = &e->p->stages[task];
    bool lost = place_ended(e, task, false, end->how == HOW_DEVICE ? end->reason : NULL);
    if (e->stopping) return false;
    if (lost) /* whatever it said of itself */
        log_info("%s of %s: its GPU is gone; it waits for another", plan_kinds[g->kind].name,
                 e->p->trials[g->trial].id);
    else if (end->how == HOW_MEMORY && w->crowded && w->fault != HOW_MEMORY) { /* the host's was not it */
        t->alone = true;
        log_warn("%s of %s: %s; trying once more with the GPU for itself", plan_kinds[g->kind].name,
                 e->p->trials[g->trial].id, end->reason);
    } else if (!t->fresh && end->how == HOW_MEMORY && may_be_leftovers(e, w)) {
        log_info("%s of %s: %s; trying in a process of its own", plan_kinds[g->kind].name, e->p->trials[g->trial].id,
                 end->reason);
        resident_leave(e, w->home.gpu);
    } else if (end->how == HOW_MEMORY) {
        if (!ladder_down(e, task)) return false;
        log_warn("train of %s: %s; trying with %d images at once, the batch stays %d", e->p->trials[g->trial].id,
                 end->reason, t->micro, (int)json_int(g->config, "train.batch", 0));
    } else {
        if (t->tries[end->how]++ >= ending_tries(end->how)) return false;
        if (end->how != HOW_INTERRUPTED)
            log_warn("%s of %s: %s; trying once more", plan_kinds[g->kind].name, e->p->trials[g->trial].id,
                     end->reason);
    }
    t->fresh = true; /* whatever it was, it was nothing that an earlier run left */
    queue_again(e, task);
    return true;
}

void job_ended(struct engine *e, struct worker *w, int wait_status)
{
    int task = w->task;
    struct ending end = ending_of(w, wait_status);
    const char *pruned = pruning_why(e, task);
    bool said = end.how == HOW_SAID && queue_is_result(end.state);
    e->tasks[task].how = pruned ? HOW_SAID : end.how;
    if (pruned && !said) /* we asked it to stop: how it did that says nothing */
        queue_end(e, task, "pruned", pruned);
    else if (end.how == HOW_SAID && strcmp(end.state, "done") == 0)
        run_done(e, w, &end);
    else if (end.how == HOW_CRASH && e->killing)
        queue_end(e, task, "interrupted", "killed on request");
    else if (!try_again(e, w, &end)) /* what a stop cut short is no failure */
        queue_end(e, task, e->stopping && ending_tries(end.how) ? "interrupted" : end.state,
                  end.reason[0] ? end.reason : NULL);
}
