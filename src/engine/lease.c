/*
 * The rules of placement, as functions of what is known and nothing else: which GPU a run gets or why none, which
 * cores. It gets the one with the least predicted work ahead. An idle GPU takes any run: whether it fits is told by the
 * run itself, and the ladder of memory goes on from there. A run beside others, ours or a stranger's, must be predicted
 * to fit with a margin.
 */
#include "inside.h"

static const int64_t least_margin = 512LL << 20;

/* What may still be asked for: neither more than the driver says is free nor more than our leases leave. */
int64_t lease_room(const struct lease_gpu *g)
{
    int64_t margin = g->bytes_total / 20 > least_margin ? g->bytes_total / 20 : least_margin;
    int64_t left = g->bytes_total - g->bytes_others - g->bytes;
    return (left < g->bytes_free ? left : g->bytes_free) - margin;
}

enum lease_answer lease_fits(const struct lease_gpu *g, struct lease_want want, int slots)
{
    if (g->lost) return LEASE_LOST;
    if (g->elsewhere) return LEASE_ELSEWHERE;
    if (g->full) return LEASE_TAKEN;
    if (g->n && (g->alone || want.alone || g->exclusive || g->n >= slots || g->bytes_total <= 0)) return LEASE_TAKEN;
    if (!g->n && !g->others) return LEASE_FITS;
    if (g->exclusive) return LEASE_OTHERS;
    if (want.bytes <= lease_room(g)) return LEASE_FITS;
    return g->n ? LEASE_TAKEN : LEASE_OTHERS;
}

static bool better(const struct lease_gpu *a, const struct lease_gpu *b)
{
    if (a->load_s < b->load_s || a->load_s > b->load_s) return a->load_s < b->load_s;
    return a->n != b->n ? a->n < b->n : lease_room(a) > lease_room(b);
}

int lease_pick(const struct lease_gpu *v, int n, struct lease_want want, int slots)
{
    int best = -1;
    for (int i = 0; i < n; i++)
        if (lease_fits(&v[i], want, slots) == LEASE_FITS && (best < 0 || better(&v[i], &v[best]))) best = i;
    return best;
}

void lease_take(struct lease_gpu *g, struct lease_want want)
{
    g->n++;
    g->bytes += want.bytes;
    g->alone = want.alone;
}

void lease_give(struct lease_gpu *g, struct lease_want want)
{
    CHECK(g->n > 0, "a lease is given back twice");
    g->n--;
    g->bytes -= want.bytes;
    g->alone = false;
}

void lease_holds(struct lease_gpu *g, struct lease_want *want, int64_t bytes)
{
    g->bytes += bytes - want->bytes;
    want->bytes = bytes;
}

void lease_sees(struct lease_gpu *g, const struct engine_gpu *v)
{
    g->bytes_total = v->bytes_total;
    g->bytes_free = v->bytes_free;
    g->exclusive = v->exclusive;
    if (g->n || g->residents) return; /* ours are among them */
    g->bytes_others = v->bytes_total - v->bytes_free;
    /* Of other containers and users the driver may tell no processes, but their memory is gone all the same. */
    g->others = v->n_processes > 0 || g->bytes_others > v->bytes_total / 10;
}

void lease_cores(int *first, int *n, int slot, int jobs, int cores)
{
    if (jobs > cores) { /* some share one */
        *first = slot % cores;
        *n = 1;
        return;
    }
    *first = slot * cores / jobs;
    *n = (slot + 1) * cores / jobs - *first;
}

struct status lease_slots(int *out, const char *text)
{
    int64_t n = LEASE_MAX_SLOTS;
    bool given = text && strcmp(text, "auto") != 0;
    if (given && (!str_to_i64(text, &n) || n < 1 || n > LEASE_MAX_SLOTS))
        return fail(STATUS_ARG, "--slots: got \"%s\", expected auto or a whole number from 1 to %d", text,
                    LEASE_MAX_SLOTS);
    *out = (int)n;
    return ok();
}

struct status lease_choose(int *out, int *n, const char *text, int n_gpus)
{
    *n = 0;
    bool all = !text || strcmp(text, "all") == 0;
    for (int i = 0; all && i < n_gpus; i++) out[(*n)++] = i;
    if (all || strcmp(text, "none") == 0) return ok();
    for (const char *p = text;; p++) {
        char entry[32];
        int64_t index;
        int len = (int)strcspn(p, ",");
        snprintf(entry, sizeof entry, "%.*s", len, p);
        if (len >= (int)sizeof entry || !str_to_i64(entry, &index))
            return fail(STATUS_ARG, "--gpus: got \"%s\", expected all, none or numbers of GPUs such as 0,2", text);
        if (index < 0 || index >= n_gpus)
            return fail(STATUS_ARG, "--gpus: got %s, but there %s %d (0 to %d); `sweep doctor` lists them", entry,
                        n_gpus == 1 ? "is only" : "are", n_gpus, n_gpus - 1);
        for (int i = 0; i < *n; i++)
            if (out[i] == (int)index) return fail(STATUS_ARG, "--gpus: GPU %s is named twice", entry);
        out[(*n)++] = (int)index;
        p += len;
        if (!*p) return ok();
    }
}
