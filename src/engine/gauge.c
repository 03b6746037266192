/*
 * What the GPUs do while a run goes on: what trainings say of their work and memory, what the driver says, and in a few
 * words why a GPU gets no further training.
 */
#include "inside.h"

static const double gib = 1073741824.0;
static const double gap_s = 10; /* of the driver's silence that is still averaged over */

static bool trains_on(const struct engine *e, const struct worker *w, const struct place_gpu *d)
{
    return w->pid && w->gpu == d && e->p->stages[w->task].kind == PLAN_TRAIN;
}

int place_trainings(const struct engine *e, int gpu)
{
    int n = 0;
    for (int k = 0; k < ENGINE_MAX_JOBS; k++) n += trains_on(e, &e->workers[k], &e->place.gpus[gpu]);
    return n;
}

bool place_full(const struct engine *e, int gpu, int task)
{
    if (e->place.slots < LEASE_MAX_SLOTS || e->p->stages[task].kind != PLAN_TRAIN) return false;
    return place_trainings(e, gpu) >= e->place.gpus[gpu].growth.most;
}

/* What a training holds once it has been through an epoch, validation and all, is what it needs: its lease is of that
 * now, and the forecasts of others learn from it. */
static void hear_memory(struct engine *e, struct worker *w, const json_t *progress)
{
    int64_t held = json_int(progress, "gpu_bytes", 0);
    if (held <= 0 || json_int(progress, "epoch", 0) < 2 || held == w->bytes_held) return;
    if (!w->bytes_held) growth_held(&e->place.memory, e->run_bytes[w->task], (double)held);
    w->bytes_held = held;
    lease_holds(&e->place.leases[w->gpu - e->place.gpus], &w->want, held + PLACE_BYTES_CONTEXT);
}

void place_hears(struct engine *e, struct worker *w, const json_t *progress)
{
    struct place_gpu *d = w->gpu;
    int n = 0, silent = 0;
    double work = 0, each = 0;
    if (!d || !trains_on(e, w, d)) return;
    hear_memory(e, w, progress);
    if (e->place.slots < LEASE_MAX_SLOTS) return;
    const struct plan_trial *t = &e->p->trials[e->p->stages[w->task].trial];
    double steps = json_num(progress, "steps", 0), at = (json_num(progress, "epoch", 1) - 1) * steps;
    w->each = t->t.train.batch * (double)t->size.macs;
    w->work = (at + json_num(progress, "step", 0)) * w->each;
    for (int k = 0; k < ENGINE_MAX_JOBS; k++) {
        const struct worker *o = &e->workers[k];
        if (!trains_on(e, o, d)) continue;
        n++;
        work += o->work;
        each += o->each;
        silent += o->work <= 0;
    }
    growth_hears(&d->growth, silent ? 0 : n, work, n ? each / n : 0, time_mono());
    if (!d->growth.settled || d->told_growth) return;
    d->told_growth = true;
    log_info("GPU %d (%s): %d training%s at once; more would not be faster", d->index, d->name, d->growth.most,
             d->growth.most == 1 ? "" : "s");
}

/* ---- the driver's word ------------------------------------------------------------------------------------------- */

static void see(struct engine *e, int i, const struct engine_gpu *v, double asked)
{
    struct place_gpu *d = &e->place.gpus[i];
    struct lease_gpu *l = &e->place.leases[i];
    double passed = d->seen_at > 0 ? asked - d->seen_at : 0;
    d->seen_at = asked;
    d->busy = v->busy;
    if (v->busy >= 0 && passed > 0 && passed < gap_s) {
        d->busy_s += passed * v->busy / 100;
        d->seen_s += passed;
    }
    if (l->n || asked > d->left_at) lease_sees(l, v);
}

/* What a GPU's health has become is told once; runs on one that is gone may hang in the driver for ever. */
static void tell_health(struct engine *e, int i, enum health_news news, const char *why)
{
    struct place_gpu *d = &e->place.gpus[i];
    if (news == HEALTH_BACK) log_info("GPU %d (%s): it is back, and used again", d->index, d->name);
    if (news != HEALTH_LOST) return;
    log_warn("GPU %d (%s): %s; left out unless it comes back, its runs are tried on another", d->index, d->name, why);
    for (int k = 0; k < ENGINE_MAX_JOBS && d->health.by_driver; k++)
        if (e->workers[k].pid && e->workers[k].gpu == d)
            process_distrust(&e->workers[k], HOW_DEVICE, "its GPU fell off the bus");
}

static const struct engine_gpu *seen(const struct engine_gpus *g, const char *uuid)
{
    for (int k = 0; k < g->n; k++)
        if (strcmp(g->v[k].uuid, uuid) == 0) return &g->v[k];
    return NULL;
}

void place_sees(struct engine *e, const struct engine_gpus *g)
{
    struct place *p = &e->place;
    double ms = e->o->ms_gpus > 0 ? e->o->ms_gpus : 1000;
    for (int i = 0; i < p->n; i++) {
        const struct engine_gpu *v = seen(g, p->gpus[i].uuid);
        if (v) see(e, i, v, g->asked);
        if (!v && !(g->counted && g->whole && p->gpus[i].seen_at > 0)) continue; /* that says nothing of it */
        if (!v) p->gpus[i].busy = -1;
        tell_health(e, i, health_sees(&p->gpus[i].health, v != NULL, g->asked), "the driver says that it is gone");
    }
    if (!e->tasks || time_mono() - p->told_at < 1.5 * ms / 1000) return; /* every second time */
    p->told_at = time_mono();
    json_t *j = place_gpus_json(e);
    engine_tell(e, (struct engine_event){.kind = ENGINE_GPUS, .json = j});
    json_decref(j);
}

bool place_ended(struct engine *e, int task, bool well, const char *fault)
{
    const struct place_gpu *of = e->tasks[task].gpu;
    if (!of) return false;
    int i = (int)(of - e->place.gpus);
    struct health *h = &e->place.gpus[i].health;
    if (well) health_good(h);
    if (fault) tell_health(e, i, health_fault(h, time_mono()), fault);
    return h->lost;
}

bool place_none_left(const struct engine *e)
{
    for (int i = 0; i < e->place.n; i++)
        if (!e->place.gpus[i].health.lost) return false;
    return e->place.n > 0;
}

struct status place_lost(const struct engine *e)
{
    struct str names = {0};
    for (int i = 0; i < e->place.n; i++)
        str_addf(&names, "%s%d (%s)", i ? ", " : "", e->place.gpus[i].index, e->place.gpus[i].name);
    struct status st = fail(STATUS_DEVICE,
                            "no GPU is left: %s fell off the bus or failed again and again; what is stored stays, and "
                            "the same command goes on once `nvidia-smi` lists it; --gpus none trains on the CPU",
                            names.s);
    str_free(&names);
    return st;
}

/* ---- in words ---------------------------------------------------------------------------------------------------- */

/* The number at once is what growth found, or as far as it has come. */
static void why_full(char *out, size_t n, const struct growth *g)
{
    if (g->most >= g->cap && g->cap < LEASE_MAX_SLOTS)
        snprintf(out, n, "%d at once: no more cores to launch from", g->most);
    else if (g->most >= LEASE_MAX_SLOTS)
        snprintf(out, n, "%d at once are the most", LEASE_MAX_SLOTS);
    else if (g->settled)
        snprintf(out, n, "more than %d at once were not faster", g->most);
    else
        snprintf(out, n, "what %d at once do is being measured", g->most);
}

static void why_taken(char *out, size_t n, const struct engine *e, int gpu, const struct lease_gpu *l,
                      struct lease_want want)
{
    if (l->full)
        why_full(out, n, &e->place.gpus[gpu].growth);
    else if (l->alone || want.alone)
        snprintf(out, n, "a run has it for itself");
    else if (l->exclusive)
        snprintf(out, n, "it takes one process at a time");
    else if (l->n >= e->place.slots)
        snprintf(out, n, "--slots %d", e->place.slots);
    else
        snprintf(out, n, "memory: the next needs about %.1f GiB, %.1f are left", (double)want.bytes / gib,
                 (double)(lease_room(l) > 0 ? lease_room(l) : 0) / gib);
}

void place_why(char *out, size_t n, const struct engine *e, int gpu)
{
    const struct place *p = &e->place;
    int task = queue_training(e);
    out[0] = 0;
    if (p->gpus[gpu].health.lost) {
        snprintf(out, n, "it fell off the bus, or its runs failed again and again");
        return;
    }
    if (task < 0) {
        snprintf(out, n, "%s",
                 queue_trains_later(e) ? "the next trainings wait for what comes before them"
                                       : "no training is left to start");
        return;
    }
    if (e->stopping || e->exclusive) {
        snprintf(out, n, e->stopping ? "the run is stopping" : "a measurement runs alone");
        return;
    }
    struct lease_gpu l = p->leases[gpu];
    struct lease_want want = place_want(e, task);
    l.elsewhere = p->gpus[gpu].told == LEASE_ELSEWHERE && !l.n;
    l.lost = !health_usable(&p->gpus[gpu].health, time_mono());
    l.full = place_full(e, gpu, task);
    switch (lease_fits(&l, want, p->slots)) {
    case LEASE_TAKEN:
        why_taken(out, n, e, gpu, &l, want);
        break;
    case LEASE_LOST:
        snprintf(out, n, "it rests, since a run on it said that it failed");
        break;
    case LEASE_ELSEWHERE:
        snprintf(out, n, "another sweep has it");
        break;
    case LEASE_OTHERS:
        snprintf(out, n, "others use %.1f of %.1f GiB", (double)l.bytes_others / gib, (double)l.bytes_total / gib);
        break;
    case LEASE_FITS:
        if (e->n_running >= p->jobs) snprintf(out, n, "all %d workers are busy", p->jobs);
        break;
    }
}

static double busy_mean(const struct place_gpu *d)
{
    return d->seen_s > 0 ? 100 * d->busy_s / d->seen_s : -1;
}

json_t *place_gpus_json(const struct engine *e)
{
    json_t *all = json_array();
    for (int i = 0; i < e->place.n; i++) {
        const struct place_gpu *d = &e->place.gpus[i];
        const struct lease_gpu *l = &e->place.leases[i];
        char why[160];
        place_why(why, sizeof why, e, i);
        json_t *j = json_pack("{s:i, s:s, s:i, s:i, s:s}", "gpu", d->index, "name", d->name, "trainings",
                              place_trainings(e, i), "runs", l->n, "why", why);
        if (d->health.lost) json_object_set_new(j, "lost", json_true());
        if (d->busy >= 0) json_object_set_new(j, "busy", json_integer(d->busy));
        if (busy_mean(d) >= 0) json_object_set_new(j, "busy_mean", json_real(busy_mean(d)));
        if (l->bytes_total > 0) {
            json_object_set_new(j, "used_bytes", json_integer(l->bytes_total - l->bytes_free));
            json_object_set_new(j, "total_bytes", json_integer(l->bytes_total));
        }
        json_array_append_new(all, j);
    }
    return all;
}

void place_result(struct engine_result *r, const struct engine *e)
{
    r->n_gpus = e->place.n;
    for (int i = 0; i < e->place.n; i++) {
        r->gpus[i].index = e->place.gpus[i].index;
        r->gpus[i].busy = busy_mean(&e->place.gpus[i]);
    }
}
