/*
 * A model of the coordinator, written from the rules alone: what each stage's account says, which endings a worker has,
 * and what must follow. test_machine.c compares the coordinator with it. Everything is of one plan, in `sim`.
 */
#ifndef TESTS_ENGINE_MODEL_H
#define TESTS_ENGINE_MODEL_H

#include "inside.h"
#include "made.h"

enum { MAX_STAGES = 512, MAX_TRIALS = 64 };

/* From best to worst. */
enum outcome { DONE, REFUSED, TOO_SLOW, DIVERGED, INTERRUPTED, FAILED, N_OUTCOMES };
static const char *const names[N_OUTCOMES] = {"done", "refused", "too_slow", "diverged", "interrupted", "failed"};

struct account {
    bool ended, running, skipped, cached, told;
    int run, tries[N_HOWS], micro;
    const struct place_gpu *gpu; /* of a running one */
    bool crowded, alone;         /* shared its GPU in this run; is not to share it again */
    enum outcome outcome;        /* of an ended one; of a skipped one, that of the stage behind it */
    enum plan_kind cause;        /* whose outcome that is */
};

static struct sim {
    const struct made *m;
    struct rng rng;
    struct account at[MAX_STAGES];
    bool result[MAX_STAGES]; /* stored as something that need not run again */
    enum outcome stored[MAX_STAGES];
    bool trial_told[MAX_TRIALS], begun[MAX_TRIALS];
    int jobs, gpus, slots, running, measuring, ran, failed, calls, stop_after;
    bool fail_fast, beside, asked, stopping, killing;
    int expected_end; /* stage whose end must be told now; -1 */
    int64_t steps;
} sim;

static bool is_result(enum outcome o)
{
    return o == DONE || o == REFUSED || o == TOO_SLOW || o == DIVERGED;
}

static enum outcome outcome_named(const char *name)
{
    for (int i = 0; i < N_OUTCOMES; i++)
        if (strcmp(names[i], name) == 0) return (enum outcome)i;
    CU_FAIL("an outcome without a name");
    return FAILED;
}

static bool measures(int stage, int run)
{
    enum plan_kind k = sim.m->stages[stage].kind;
    return k == PLAN_BENCH || (k == PLAN_SCREEN && run == 1);
}

static bool may_run(int stage)
{
    const struct plan_stage *g = &sim.m->stages[stage];
    for (int i = 0; i < g->n_needs; i++) {
        const struct account *need = &sim.at[g->needs[i]];
        if (!need->ended || need->skipped || need->outcome != DONE) return false;
    }
    return !sim.at[stage].ended && !sim.at[stage].running;
}

static void settle(int stage, enum outcome o, enum plan_kind cause, bool skipped)
{
    struct account *a = &sim.at[stage];
    CU_ASSERT_FALSE(a->ended);
    a->ended = true;
    a->outcome = o;
    a->cause = cause;
    a->skipped = skipped;
    if (o == DONE) return;
    for (int i = stage + 1; i < sim.m->plan.n_stages; i++)
        for (int k = 0; k < sim.m->stages[i].n_needs; k++)
            if (sim.m->stages[i].needs[k] == stage && !sim.at[i].ended) settle(i, o, cause, true);
}

/* Refusals behind the evaluation say something about the trial, and do not end it. */
static enum outcome counts_as(const struct account *a)
{
    bool fact = a->outcome == REFUSED && a->cause != PLAN_SCREEN && a->cause != PLAN_TRAIN && a->cause != PLAN_EVALUATE;
    return fact ? DONE : a->outcome;
}

static bool trial_ended(int trial, enum outcome *worst)
{
    *worst = sim.m->trials[trial].refused ? REFUSED : DONE;
    for (int i = 0; i < sim.m->plan.n_stages; i++) {
        if (sim.m->stages[i].trial != trial) continue;
        if (!sim.at[i].ended) return false;
        if (counts_as(&sim.at[i]) > *worst) *worst = counts_as(&sim.at[i]);
    }
    return true;
}

static void model_begins(void)
{
    memset(sim.at, 0, sizeof sim.at);
    memset(sim.trial_told, 0, sizeof sim.trial_told);
    memset(sim.begun, 0, sizeof sim.begun);
    sim.running = sim.measuring = sim.ran = sim.failed = sim.calls = 0;
    sim.asked = sim.stopping = sim.killing = false;
    sim.expected_end = -1;
    for (int i = 0; i < sim.m->plan.n_stages; i++) {
        if (!sim.result[i] || sim.at[i].ended) continue;
        sim.at[i].cached = true;
        settle(i, sim.stored[i], sim.m->stages[i].kind, false);
    }
}

/* ---- endings ----------------------------------------------------------------------------------------------------- */

static const struct ending_case {
    enum how how;
    const char *says; /* the end event's state; NULL: none */
    int code, signal; /* of the process */
    enum how fault;   /* that the coordinator saw; 0: none */
    int weight;
    /* The rule: again so often, then this. */
    int again;
    enum outcome then;
} endings[] = {
    {HOW_SAID, "done", 0, 0, 0, 60, 0, DONE},
    {HOW_SAID, "refused", 0, 0, 0, 2, 0, REFUSED},
    {HOW_SAID, "diverged", 0, 0, 0, 2, 0, DIVERGED},
    {HOW_SAID, "failed", 1, 0, 0, 1, 0, FAILED},
    {HOW_CRASH, NULL, 0, 6, 0, 4, 1, FAILED},
    {HOW_CRASH, NULL, 0, 0, 0, 2, 1, FAILED},
    {HOW_CRASH, NULL, 139, 0, 0, 1, 1, FAILED},
    {HOW_NONSENSE, "done", 0, 0, HOW_NONSENSE, 2, 1, FAILED},
    {HOW_HANG, NULL, 0, 9, HOW_HANG, 2, 1, FAILED},
    {HOW_TIME, NULL, 0, 9, HOW_TIME, 1, 0, FAILED},
    {HOW_MEMORY, "failed", 12, 0, 0, 3, 0, FAILED},
    {HOW_MEMORY, NULL, 0, 9, HOW_MEMORY, 2, 0, FAILED},
    {HOW_JOB, NULL, 2, 0, 0, 1, 0, FAILED},
    {HOW_INTERRUPTED, "interrupted", 75, 0, 0, 6, 3, INTERRUPTED},
    {HOW_INTERRUPTED, NULL, 75, 0, 0, 2, 3, INTERRUPTED},
};

static const struct ending_case *draw_ending(void)
{
    static const struct ending_case killed = {HOW_CRASH, NULL, 0, 9, 0, 0, 0, INTERRUPTED};
    if (sim.killing) return &killed;
    int total = 0, at = 0;
    for (size_t i = 0; i < LEN(endings); i++) total += endings[i].weight;
    int drawn = (int)rng_below(&sim.rng, (uint64_t)total);
    for (size_t i = 0; i < LEN(endings); i++)
        if (drawn < (at += endings[i].weight)) return &endings[i];
    return &endings[0];
}

/* What must follow; true when it is an end, in *then. @p ms of a timed screen. */
static bool follows(int stage, const struct ending_case *c, double ms, enum outcome *then)
{
    struct account *a = &sim.at[stage];
    const struct plan_stage *g = &sim.m->stages[stage];
    *then = c->then;
    if (c->then == DONE) {
        if (++a->run < engine_runs(g)) return false;
        if (g->kind == PLAN_SCREEN && ms > json_num(g->config, "gate.p50_ms", 0)) *then = TOO_SLOW;
        return true;
    }
    if (c->how == HOW_SAID) return true;
    if (sim.stopping) {
        bool passes = c->how == HOW_CRASH || c->how == HOW_NONSENSE || c->how == HOW_HANG || c->how == HOW_INTERRUPTED;
        if (passes) *then = INTERRUPTED; /* would have been tried again */
        return true;
    }
    if (c->how == HOW_MEMORY && a->crowded && !c->fault) {
        a->alone = true; /* the neighbour's fault, perhaps */
        return false;
    }
    if (c->how == HOW_MEMORY) {
        int now = a->micro ? a->micro : (int)json_int(g->config, "train.batch", 0);
        if (g->kind != PLAN_TRAIN || now < 2) return true;
        a->micro = (now + 1) / 2;
        return false;
    }
    return a->tries[c->how]++ >= c->again;
}

#endif
