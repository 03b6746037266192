/* Events as JSON. */
#include "live.h"

static const char *const names[] = {
    [ENGINE_START] = "start",         [ENGINE_STAGE_START] = "stage_start",
    [ENGINE_PROGRESS] = "progress",   [ENGINE_METRICS] = "metrics",
    [ENGINE_DECISION] = "decision",   [ENGINE_LOG] = "log",
    [ENGINE_STAGE_END] = "stage_end", [ENGINE_TRIAL_END] = "trial_end",
    [ENGINE_TICK] = "tick",           [ENGINE_STOPPING] = "stopping",
    [ENGINE_GPUS] = "gpus",
};

static json_t *totals_json(const struct engine_totals *t)
{
    json_t *j =
        json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f}", "stages", t->stages, "ended", t->ended,
                  "cached", t->cached, "failed", t->failed, "running", t->running, "trials", t->trials, "trials_ended",
                  t->trials_ended, "trials_pruned", t->trials_pruned, "trained", t->trained, "left_s", t->left_s);
    if (t->left_error_s >= 0) json_object_set_new(j, "left_error_s", json_real(t->left_error_s));
    if (t->gpus) {
        json_object_set_new(j, "gpus", json_integer(t->gpus));
        json_object_set_new(j, "gpus_busy", json_integer(t->gpus_busy));
    }
    return j;
}

json_t *event_json(const struct engine_event *e)
{
    const struct plan_trial *t = e->trial;
    const struct plan_stage *g = e->stage;
    json_t *j =
        json_pack("{s:s, s:f, s:o}", "event", names[e->kind], "time", time_now(), "totals", totals_json(e->totals));
    if (t) {
        json_t *of = json_pack("{s:s, s:s, s:s, s:I, s:i}", "trial", t->id, "arch", t->t.model.arch, "backbone",
                               t->t.model.backbone, "seed", (json_int_t)t->t.seed, "epochs", t->t.train.epochs);
        json_object_update(j, of);
        json_decref(of);
    }
    if (g) {
        json_t *of = json_pack("{s:s, s:s, s:s, s:s, s:i, s:i}", "stage", plan_kinds[g->kind].name, "key", g->key,
                               "format", g->format, "device", g->device, "run", e->run, "runs", e->n_runs);
        json_object_update(j, of);
        json_decref(of);
        if (e->gpu >= 0) json_object_set_new(j, "gpu", json_integer(e->gpu));
    }
    if (e->state) json_object_set_new(j, "state", json_string(e->state));
    if (e->reason) json_object_set_new(j, "reason", json_of_bytes(e->reason));
    if (e->kind == ENGINE_STAGE_END) json_object_set_new(j, "seconds", json_real(e->seconds));
    if (e->kind == ENGINE_TRIAL_END && t) json_object_set_new(j, "stages", json_integer(t->n_stages));
    if (e->json) json_object_set(j, "data", (json_t *)(uintptr_t)e->json);
    return j;
}

/* Those of which the driver told. */
static json_t *gpus_json(const struct engine_result *r)
{
    json_t *all = json_array();
    for (int i = 0; i < r->n_gpus; i++)
        if (r->gpus[i].busy >= 0)
            json_array_append_new(all, json_pack("{s:i, s:f}", "gpu", r->gpus[i].index, "busy_mean", r->gpus[i].busy));
    return all;
}

json_t *event_end(const struct engine_result *r, int code)
{
    json_t *j =
        json_pack("{s:s, s:f, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f}", "event", "end", "time",
                  time_now(), "code", code, "done", r->done, "failed", r->failed, "refused", r->refused, "too_slow",
                  r->too_slow, "diverged", r->diverged, "pruned", r->pruned, "interrupted", r->interrupted, "queued",
                  r->queued, "ran", r->ran, "cached", r->cached, "seconds", r->seconds);
    if (r->n_gpus) json_object_set_new(j, "gpus", gpus_json(r));
    return j;
}
