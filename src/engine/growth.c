/*
 * How many trainings at once one GPU gets when --slots is auto. Small nets are bound by the calls that start their
 * kernels, so several fill a GPU that one leaves idle; large nets fill it alone, and more would only share it. So the
 * number doubles as long as all of them together do more work a second than half as many did.
 */
#include "inside.h"

static const double pays = 0.1; /* twice as many must do so much more work a second */
static const double window_s = 3;

void growth_measured(struct growth *g, int n, double rate)
{
    if (n < 1 || n > LEASE_MAX_SLOTS || rate <= 0) return;
    g->rate[n] = rate;
    if (g->settled) return;
    double twice = g->before ? (double)(n - g->before) / g->before : 0; /* memory may let in fewer than twice as many */
    if (twice > 0 && rate < (1 + pays * twice) * g->rate[g->before]) {
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

void growth_hears(struct growth *g, int n, double work, double now)
{
    if (n != g->n || !n) { /* another number than at the window's start: a new window */
        g->n = n;
        g->since = now;
        g->work = work;
        return;
    }
    if (now - g->since < window_s) return;
    growth_measured(g, n, (work - g->work) / (now - g->since));
    g->since = now;
    g->work = work;
}
