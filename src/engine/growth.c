/*
 * How many trainings at once one GPU gets when --slots is auto. Small nets are bound by the calls that start their
 * kernels, so several fill a GPU that one leaves idle; large nets fill it alone, and more would only share it. So the
 * number doubles as long as all of them together do more work a second than half as many did. How much memory one more
 * needs is forecast, and corrected by what those that have trained so far really held.
 */
#include "inside.h"
#include <math.h>

static const double pays = 0.1; /* twice as many must do so much more work a second */
static const double window_s = 3;
static const double lighter = 0.5; /* cells of so much less work a step are others: what was settled is asked anew */

/* More than half as many pay, by this window and the one before it, if that was in doubt. */
static bool paid(struct growth *g, int n, double rate)
{
    double twice = g->before ? (double)(n - g->before) / g->before : 0; /* memory may let in fewer than twice as many */
    if (twice <= 0) return true;
    double mean = g->doubted > 0 ? (g->doubted + rate) / 2 : rate;
    bool good = mean >= (1 + pays * twice) * g->rate[g->before];
    g->verdict = good || g->doubted > 0;
    g->doubted = g->verdict ? 0 : rate;
    return good;
}

void growth_measured(struct growth *g, int n, double rate)
{
    if (n < 1 || n > LEASE_MAX_SLOTS || rate <= 0) return;
    g->rate[n] = rate;
    if (g->settled) return;
    g->verdict = true;
    bool good = paid(g, n, rate);
    if (!g->verdict) return; /* one window may have held a checkpoint or a validation: another is waited for */
    if (!good) {
        g->most = g->before;
        g->settled = true;
    } else if (n < g->most) {
        return;
    } else if (g->most < g->cap) {
        g->before = n;
        g->most = 2 * n < g->cap ? 2 * n : g->cap;
    } else {
        g->settled = true;
    }
}

void growth_start(struct growth *g, int first, int cap)
{
    *g = (struct growth){.most = first < cap ? first : cap, .cap = cap};
}

void growth_hears(struct growth *g, int n, double work, double each, double now)
{
    if (g->settled && each > 0 && each < lighter * g->each) *g = (struct growth){.most = g->most, .cap = g->cap};
    if (n != g->n || !n) { /* another number than at the window's start: a new window */
        g->n = n;
        g->since = now;
        g->work = work;
        g->doubted = 0;
        return;
    }
    if (now - g->since < window_s) return;
    growth_measured(g, n, (work - g->work) / (now - g->since));
    if (!g->settled || g->each <= 0) g->each = each;
    g->since = now;
    g->work = work;
}

void growth_held(struct growth_memory *m, double forecast, double held)
{
    if (forecast <= 0 || held <= 0) return;
    double ratio = held / forecast;
    m->n++;
    m->sum += ratio;
    m->squares += ratio * ratio;
}

double growth_factor(const struct growth_memory *m)
{
    if (!m->n) return 1;
    double mean = m->sum / m->n, spread = m->n > 1 ? sqrt(fmax(0, m->squares / m->n - mean * mean)) : 0;
    return mean + spread; /* one that was let in too early costs a start; one too few costs a share */
}
