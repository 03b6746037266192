/*
 * How long it will still take: the forecast of what has not begun, corrected by how this run's own stages compare with
 * theirs, and of what runs the rest that it says itself, or else its forecast less the time it has had. How wrong that
 * may be: by the spread of this run's stages about their forecasts, before there are some by the error that the
 * forecast itself had on the past.
 */
#include "inside.h"
#include <math.h>

enum { SPREAD_OF = 4 /* runs that tell one */ };

void ahead_ran(struct engine *e, int task, double seconds)
{
    struct ahead *a = &e->ahead[e->p->stages[task].kind];
    a->left_s -= e->run_s[task];
    a->took_s += seconds;
    a->meant_s += e->run_s[task];
    a->n++;
    double log_ratio = seconds > 0 && e->run_s[task] > 0 ? log(seconds / e->run_s[task]) : 0;
    a->logs += log_ratio;
    a->logs_squared += log_ratio * log_ratio;
}

void ahead_knows(struct engine *e, int task, int runs, double error)
{
    struct ahead *a = &e->ahead[e->p->stages[task].kind];
    if (error < 0) return;
    a->judged_s += e->run_s[task] * runs;
    a->error_s += e->run_s[task] * runs * error;
}

/* Of what is left of a kind, relative; negative: not known. */
static double error_of(const struct ahead *a)
{
    if (a->n >= SPREAD_OF) {
        double mean = a->logs / a->n, spread = sqrt(fmax(0, a->logs_squared / a->n - mean * mean) * a->n / (a->n - 1));
        double runs_left = a->meant_s > 0 ? fmax(1, a->left_s * a->n / a->meant_s) : 1;
        return spread * sqrt(1.0 / a->n + 1 / runs_left); /* of the mean so far, and of so many more about it */
    }
    return a->judged_s > 0 ? a->error_s / a->judged_s : -1;
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

double ahead_on(const struct engine *e, const struct place_gpu *gpu)
{
    double all = 0, now = time_mono();
    for (int i = 0; i < ENGINE_MAX_JOBS; i++) {
        const struct worker *w = &e->workers[i];
        /* One that is overdue is not done yet, and what is given a place this moment is not running yet. */
        if (w->gpu == gpu && w->pid) all += fmax(rest_of(e, w, now), 0.1 * e->run_s[w->task]);
    }
    return all;
}

/* Seconds that are left of each kind, wall time. */
static void by_kind(const struct engine *e, double left_s[PLAN_N_KINDS])
{
    double now = time_mono(), waiting[PLAN_N_KINDS];
    for (int k = 0; k < PLAN_N_KINDS; k++) {
        waiting[k] = e->ahead[k].left_s;
        left_s[k] = 0;
    }
    for (int i = 0; i < ENGINE_MAX_JOBS; i++) {
        const struct worker *w = &e->workers[i];
        if (!w->pid) continue;
        enum plan_kind kind = e->p->stages[w->task].kind;
        waiting[kind] -= e->run_s[w->task];
        left_s[kind] += rest_of(e, w, now) / (e->exclusive ? 1 : place_at_once(e, kind));
    }
    for (int k = 0; k < PLAN_N_KINDS; k++)
        if (waiting[k] > 0)
            left_s[k] +=
                waiting[k] * factor_of(&e->ahead[k]) / (k == PLAN_BENCH ? 1 : place_at_once(e, (enum plan_kind)k));
}

double ahead_seconds(const struct engine *e, double *error_s)
{
    double left_s[PLAN_N_KINDS], all = 0, judged = 0, squares = 0;
    by_kind(e, left_s);
    for (int k = 0; k < PLAN_N_KINDS; k++) {
        double error = error_of(&e->ahead[k]);
        all += left_s[k];
        if (error < 0) continue;
        judged += left_s[k];
        squares += left_s[k] * error * left_s[k] * error;
    }
    if (all <= 0)
        *error_s = 0;
    else
        *error_s = judged > 0.5 * all ? sqrt(squares) * all / judged : -1; /* the rest is taken to be as uncertain */
    return all;
}
