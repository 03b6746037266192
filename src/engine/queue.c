/* The scheduler's rules: order, leases, and what an outcome does to the stages behind it. */
#include "inside.h"

/* Outcomes from best to worst; a trial's is the worst of its stages'. */
/* clang-format off */
static const struct outcome {
    const char *name;
    bool result; /* of itself: a stage that ends so has said what there is to say, and is not run again */
} outcomes[] = {
    {"done", true}, {"refused", true}, {"too_slow", true}, {"pruned", true}, {"diverged", true}, {"interrupted", false},
    {"failed", false},
};
/* clang-format on */

static int outcome_of(const char *state)
{
    for (size_t i = 0; i < LEN(outcomes); i++)
        if (strcmp(outcomes[i].name, state) == 0) return (int)i;
    return (int)LEN(outcomes) - 1;
}

bool queue_is_result(const char *state)
{
    return outcomes[outcome_of(state)].result;
}

int engine_runs(const struct plan_stage *g)
{
    int visits = (int)json_int(g->config, "bench.visits", 1);
    if (visits < 1) visits = 1;
    return g->kind == PLAN_BENCH ? visits : g->kind == PLAN_SCREEN ? 2 : 1; /* a screen exports, then is timed once */
}

bool queue_measures(const struct engine *e, int task)
{
    enum plan_kind kind = e->p->stages[task].kind;
    return kind == PLAN_BENCH || (kind == PLAN_SCREEN && e->tasks[task].run > 0);
}

static void lane_push(struct lane *l, int task)
{
    if (l->head > 0 && l->head + l->n == l->cap) {
        memmove(l->v, l->v + l->head, sizeof *l->v * (size_t)l->n);
        l->head = 0;
    }
    if (l->head + l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 16;
        l->v = mem_realloc(l->v, sizeof *l->v * (size_t)l->cap);
    }
    l->v[l->head + l->n++] = task;
}

static int lane_pop(struct lane *l)
{
    l->n--;
    return l->v[l->head++];
}

/* The first one, -1 when there is none or no place for it. */
static int lane_next(struct engine *e, struct lane *l)
{
    return l->n && place_can(e, l->v[l->head]) ? lane_pop(l) : -1;
}

static int lane_next_any(struct engine *e, struct lane *l)
{
    size_t i = (size_t)l->head + rng_below(&e->rng, (uint64_t)l->n);
    int task = l->v[i];
    if (!place_can(e, task)) return -1;
    l->v[i] = l->v[l->head + --l->n];
    return task;
}

/* Where several train at once on GPUs, the longest goes first, so that none is left over at the end; those that want a
 * GPU for themselves last, since all others would wait for that. */
static bool goes_before(const struct engine *e, int a, int b)
{
    if (e->tasks[a].alone != e->tasks[b].alone) return e->tasks[b].alone;
    return e->run_s[a] > e->run_s[b];
}

static int training_at(const struct engine *e)
{
    const struct lane *l = &e->lanes[PLAN_TRAIN];
    int at = l->head;
    for (int i = at + 1; e->place.n && i < l->head + l->n; i++)
        if (goes_before(e, l->v[i], l->v[at])) at = i;
    return at;
}

int queue_training(const struct engine *e)
{
    return e->lanes[PLAN_TRAIN].n ? e->lanes[PLAN_TRAIN].v[training_at(e)] : -1;
}

static int next_training(struct engine *e)
{
    struct lane *l = &e->lanes[PLAN_TRAIN];
    int at = training_at(e), task = queue_training(e);
    if (task < 0 || !place_can(e, task)) return -1;
    memmove(l->v + l->head + 1, l->v + l->head, sizeof *l->v * (size_t)(at - l->head));
    l->head++;
    l->n--;
    return task;
}

bool queue_trains_later(const struct engine *e)
{
    for (int i = 0; i < e->p->n_stages; i++)
        if (e->p->stages[i].kind == PLAN_TRAIN && e->tasks[i].state == TASK_WAITING) return true;
    return false;
}

/* One at a time, and nothing else beside it unless that is allowed. */
static bool may_measure(const struct engine *e)
{
    if (!e->o->measure_beside) return e->n_running == 0;
    for (int i = 0; i < ENGINE_MAX_JOBS; i++)
        if (e->workers[i].pid && queue_measures(e, e->workers[i].task)) return false;
    return true;
}

void queue_again(struct engine *e, int task)
{
    enum plan_kind kind = e->p->stages[task].kind;
    e->tasks[task].state = TASK_READY;
    lane_push(kind == PLAN_SCREEN && e->tasks[task].run > 0 ? &e->timing : &e->lanes[kind], task);
}

int queue_next(struct engine *e)
{
    /* What is short and may lead to a refusal first, so that results come early; training after the gates. */
    static const enum plan_kind order[] = {PLAN_SCREEN, PLAN_EVALUATE, PLAN_EXPORT, PLAN_VERIFY, PLAN_SAMPLES};
    if (e->exclusive) return -1;
    int task = -1;
    for (size_t i = 0; i < LEN(order) && task < 0; i++) task = lane_next(e, &e->lanes[order[i]]);
    if (task >= 0) return task;
    bool beside = e->o->measure_beside, may = may_measure(e);
    if (e->timing.n && (may || !beside)) return may ? lane_next_any(e, &e->timing) : -1;
    /* Visits of all cells mixed: a slow minute of the machine then falls on many of them a little. */
    if (e->lanes[PLAN_BENCH].n && may && beside) task = lane_next_any(e, &e->lanes[PLAN_BENCH]);
    if (task < 0) task = next_training(e);
    if (task < 0 && e->lanes[PLAN_BENCH].n && may) task = lane_next_any(e, &e->lanes[PLAN_BENCH]);
    return task;
}

/* An export, a measurement or a sample that is refused is a fact about the trial, not its end. */
static bool decides_trial(enum plan_kind kind, const char *state)
{
    return strcmp(state, "refused") != 0 || kind == PLAN_SCREEN || kind == PLAN_TRAIN || kind == PLAN_EVALUATE;
}

static void trial_done(struct engine *e, int trial)
{
    static const size_t counter[] = {
        offsetof(struct engine_result, done),     offsetof(struct engine_result, refused),
        offsetof(struct engine_result, too_slow), offsetof(struct engine_result, pruned),
        offsetof(struct engine_result, diverged), offsetof(struct engine_result, interrupted),
        offsetof(struct engine_result, failed),
    };
    const char *state = outcomes[e->verdict[trial]].name;
    ++*(int *)(void *)((char *)&e->result + counter[e->verdict[trial]]);
    e->totals.trials_ended++;
    if (strcmp(state, "failed") == 0) e->totals.trials_failed++;
    if (strcmp(state, "pruned") == 0) e->totals.trials_pruned++;
    writes_trial(e, trial, state, e->why[trial]);
    if (strcmp(state, "done") == 0) keep_apply(e, trial);
    engine_tell(e,
                (struct engine_event){
                    .kind = ENGINE_TRIAL_END, .trial = &e->p->trials[trial], .state = state, .reason = e->why[trial]});
}

static void trial_hears(struct engine *e, int trial, enum plan_kind kind, const char *state, const char *reason)
{
    int v = decides_trial(kind, state) ? outcome_of(state) : 0;
    if (v > e->verdict[trial] || (reason && !e->why[trial])) {
        free(e->why[trial]);
        e->why[trial] = NULL;
        if (reason && v == 0) {
            struct str text = {0};
            str_addf(&text, "%s: %s", plan_kinds[kind].name, reason);
            e->why[trial] = text.s;
        } else if (reason) {
            e->why[trial] = mem_strdup(reason);
        }
    }
    if (v > e->verdict[trial]) e->verdict[trial] = v;
    if (--e->open[trial] == 0) trial_done(e, trial);
}

/* Ends a task and all that can no longer run because of it. @p cause is the kind of the stage that ended so. */
static void settle(struct engine *e, int task, const char *state, const char *reason, enum plan_kind cause,
                   bool skipped)
{
    struct task *t = &e->tasks[task];
    const struct plan_stage *g = &e->p->stages[task];
    t->state = TASK_ENDED;
    t->outcome = skipped ? "skipped" : outcomes[outcome_of(state)].name;
    e->totals.ended++;
    ahead_add(e, task, t->run - engine_runs(g));
    bool done = !skipped && strcmp(state, "done") == 0;
    e->totals.trained += done && g->kind == PLAN_TRAIN;
    for (int i = e->after_at[task]; i < e->after_at[task + 1]; i++) {
        struct task *d = &e->tasks[e->after[i]];
        if (d->state != TASK_WAITING) continue;
        if (done && --d->missing == 0 && !e->loading)
            queue_again(e, e->after[i]);
        else if (!done)
            settle(e, e->after[i], state, reason, cause, true);
    }
    trial_hears(e, g->trial, cause, state, reason);
}

void queue_end(struct engine *e, int task, const char *state, const char *reason)
{
    struct task *t = &e->tasks[task];
    const struct plan_stage *g = &e->p->stages[task];
    writes_stage_end(e, task, state, reason);
    t->open = false;
    json_t *info = engine_estimate(g);
    if (t->micro) json_object_set_new(info, "micro_batch", json_integer(t->micro));
    place_info(e, task, info);
    if (ending_name(t->how)) json_object_set_new(info, "ended_by", json_string(ending_name(t->how)));
    writes_info(e, task, info);
    e->result.ran++;
    if (strcmp(state, "failed") == 0) e->totals.failed++;
    engine_tell(e, (struct engine_event){.kind = ENGINE_STAGE_END,
                                         .stage = g,
                                         .trial = &e->p->trials[g->trial],
                                         .state = state,
                                         .reason = reason,
                                         .seconds = t->seconds});
    settle(e, task, state, reason, g->kind, false);
}

/* Reverse edges in one array, as the stages are many. */
static void link_needs(struct engine *e)
{
    int n = e->p->n_stages, edges = 0;
    e->after_at = mem_zalloc(sizeof(int) * (size_t)(n + 2));
    for (int i = 0; i < n; i++)
        for (int k = 0; k < e->p->stages[i].n_needs; k++, edges++) e->after_at[e->p->stages[i].needs[k] + 1]++;
    for (int i = 0; i < n; i++) e->after_at[i + 1] += e->after_at[i];
    e->after = mem_zalloc(sizeof(int) * (size_t)(edges + 1));
    int *at = mem_alloc(sizeof(int) * (size_t)(n + 1));
    memcpy(at, e->after_at, sizeof(int) * (size_t)(n + 1));
    for (int i = 0; i < n; i++)
        for (int k = 0; k < e->p->stages[i].n_needs; k++) e->after[at[e->p->stages[i].needs[k]]++] = i;
    free(at);
}

/* What the store already has ends here without being run. */
static void take_cached(struct engine *e)
{
    for (int i = 0; i < e->p->n_stages; i++) {
        const json_t *known = json_object_get(e->known, e->p->stages[i].key);
        if (!known || e->tasks[i].state == TASK_ENDED) continue;
        e->tasks[i].cached = true;
        e->totals.cached++;
        e->result.cached++;
        settle(e, i, json_str(known, "state", "failed"), json_str(known, "reason", NULL), e->p->stages[i].kind, false);
    }
}

static bool all_known(const struct engine *e)
{
    for (int i = 0; i < e->p->n_stages; i++)
        if (!e->p->stages[i].idle && !json_object_get(e->known, e->p->stages[i].key)) return false;
    return true;
}

static struct status predict_runs(struct engine *e)
{
    struct plan_model *m;
    e->run_s = mem_zalloc(sizeof *e->run_s * (size_t)(e->p->n_stages + 1));
    e->run_bytes = mem_zalloc(sizeof *e->run_bytes * (size_t)(e->p->n_stages + 1));
    if (all_known(e)) return ok(); /* a model of the past takes a while to fit */
    TRY(engine_model(&m, e->s));
    for (int i = 0; i < e->p->n_stages; i++) {
        const struct plan_stage *g = &e->p->stages[i];
        if (g->idle) continue;
        struct plan_forecast f = plan_forecast(m, g, engine_share(g, e->place.jobs, e->place.cores));
        e->run_s[i] = f.seconds;
        e->run_bytes[i] = f.bytes;
        ahead_knows(e, i, engine_runs(g), f.error);
    }
    plan_model_free(m);
    return ok();
}

struct status queue_init(struct engine *e)
{
    const struct plan *p = e->p;
    size_t n = (size_t)p->n_stages + 1, m = (size_t)p->n_trials + 1;
    e->tasks = mem_zalloc(sizeof *e->tasks * n);
    e->open = mem_zalloc(sizeof *e->open * m);
    e->verdict = mem_zalloc(sizeof *e->verdict * m);
    e->why = mem_zalloc(sizeof *e->why * m);
    e->begun = mem_zalloc(sizeof *e->begun * m);
    e->totals = (struct engine_totals){.stages = p->n_stages, .trials = p->n_trials};
    link_needs(e);
    TRY(ladder_init(e));
    TRY(pruning_init(e));
    TRY(predict_runs(e));
    for (int i = 0; i < p->n_stages; i++) {
        e->tasks[i].missing = p->stages[i].n_needs;
        if (p->stages[i].idle) {
            e->tasks[i].state = TASK_ENDED;
            e->totals.ended++;
            continue;
        }
        e->open[p->stages[i].trial]++;
        ahead_add(e, i, engine_runs(&p->stages[i]));
    }
    for (int i = 0; i < p->n_trials; i++) {
        if (!p->trials[i].refused) continue;
        e->verdict[i] = outcome_of("refused");
        e->why[i] = mem_strdup(p->trials[i].refused);
        trial_done(e, i);
    }
    for (int i = 0; i < p->n_trials; i++)
        e->watches_memory = e->watches_memory || limits_of(e->o, &p->trials[i].t).bytes > 0;
    e->loading = true; /* nothing is put in a lane until all that is known is taken out */
    take_cached(e);
    e->loading = false;
    for (int i = 0; i < p->n_stages; i++)
        if (e->tasks[i].state == TASK_WAITING && e->tasks[i].missing == 0) queue_again(e, i);
    return e->error;
}

void queue_free(struct engine *e)
{
    for (int i = 0; i < PLAN_N_KINDS; i++) free(e->lanes[i].v);
    free(e->timing.v);
    for (int i = 0; e->why && i < e->p->n_trials; i++) free(e->why[i]);
    free(e->why);
    json_decref(e->micro);
    json_decref(e->known);
    pruning_free(e);
    free(e->begun);
    free(e->run_s);
    free(e->run_bytes);
    free(e->verdict);
    free(e->open);
    free(e->after);
    free(e->after_at);
    free(e->tasks);
}
