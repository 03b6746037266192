/*
 * How long it will still take: the forecast of what has not begun, corrected by how this run's own stages compare with
 * theirs, and of what runs the rest that it says itself, or else its forecast less the time it has had.
 */
#include "inside.h"

void ahead_ran(struct engine *e, int task, double seconds)
{
    struct ahead *a = &e->ahead[e->p->stages[task].kind];
    a->left_s -= e->run_s[task];
    a->took_s += seconds;
    a->meant_s += e->run_s[task];
    a->n++;
}

void ahead_add(struct engine *e, int task, int runs)
{
    e->ahead[e->p->stages[task].kind].left_s += e->run_s[task] * runs;
}

void ahead_hears(struct worker *w, const json_t *progress)
{
    w->eta_s = json_num(progress, "eta_s", 0);
    w->eta_at = time_mono();
}

/* Measured over predicted, drawn towards 1 by one run's worth. */
static double factor_of(const struct ahead *a)
{
    if (a->n == 0 || a->meant_s <= 0) return 1;
    double one = a->meant_s / a->n;
    return (a->took_s + one) / (a->meant_s + one);
}

static double rest_of(const struct engine *e, const struct worker *w, double now)
{
    double forecast = e->run_s[w->task] * factor_of(&e->ahead[e->p->stages[w->task].kind]) - (now - w->started);
    double rest = w->eta_at > 0 ? w->eta_s - (now - w->eta_at) : forecast;
    return rest > 0 ? rest : 0;
}

double ahead_seconds(const struct engine *e)
{
    int jobs = e->place.jobs;
    double now = time_mono(), left = 0, waiting[PLAN_N_KINDS];
    for (int k = 0; k < PLAN_N_KINDS; k++) waiting[k] = e->ahead[k].left_s;
    for (int i = 0; i < ENGINE_MAX_JOBS; i++) {
        const struct worker *w = &e->workers[i];
        if (!w->pid) continue;
        waiting[e->p->stages[w->task].kind] -= e->run_s[w->task];
        left += rest_of(e, w, now) / (e->exclusive ? 1 : jobs);
    }
    for (int k = 0; k < PLAN_N_KINDS; k++)
        if (waiting[k] > 0) left += waiting[k] * factor_of(&e->ahead[k]) / (k == PLAN_BENCH ? 1 : jobs);
    return left;
}
