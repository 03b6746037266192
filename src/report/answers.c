/* The answers in words. A winner is a cell, not a seed of one, and beats the input handed back; cells that cannot be
 * told from it are named beside it. */
#include "inside.h"

static double rate_of(const struct family *f)
{
    return f->p50_ms > 0 ? 1000 / f->p50_ms : 0;
}

static int digits(const struct report *r)
{
    return *r->rank->unit ? 2 : 4;
}

/* Trials of a cell. Owner: the caller. */
static json_t *trials_of(const struct report *r, const struct family *f)
{
    json_t *ids = json_array();
    for (int i = 0; i < r->n_cells; i++)
        if (r->cells[i].of == f) json_array_append_new(ids, json_string(r->cells[i].id));
    return ids;
}

bool ties(const struct report *r, const struct family *a, const struct family *b)
{
    json_t *ids[2] = {trials_of(r, a), trials_of(r, b)};
    struct report_difference d = report_compare(r->pictures, ids[0], ids[1]);
    json_decref(ids[0]);
    json_decref(ids[1]);
    if (d.n_images) return !d.tells;
    double noise = 0.5 * pow(10, -digits(r));
    if (a->spread > noise) noise = a->spread;
    if (b->spread > noise) noise = b->spread;
    return fabs(a->mean - b->mean) < noise;
}

/* Among cells of the size that @p of has: pictures of several sizes are not ranked together. */
static bool may_win(const struct report *r, const struct family *f, const struct family *of, double fps)
{
    return same_size(f->best, of->best) && beats_input(r, f->best, f->mean) && rate_of(f) >= fps;
}

/* The best of those that are as fast; families are sorted, best first. NULL: none is. */
static const struct family *best_at(const struct report *r, const struct family *of, double fps)
{
    for (int i = 0; i < r->n_families; i++)
        if (may_win(r, &r->families[i], of, fps)) return &r->families[i];
    return NULL;
}

static const struct family *fastest(const struct report *r, const struct family *of)
{
    const struct family *best = NULL;
    for (int i = 0; i < r->n_families; i++) {
        const struct family *f = &r->families[i];
        if (may_win(r, f, of, 0) && f->p50_ms > 0 && (!best || f->p50_ms < best->p50_ms)) best = f;
    }
    return best;
}

/* Who could have won as well: as good, as far as can be told, and fast enough. */
static void add_ties(struct str *out, const struct report *r, const struct family *won, double fps)
{
    enum { SHOWN = 3 };
    int found = 0;
    for (int i = 0; i < r->n_families; i++) {
        const struct family *f = &r->families[i];
        if (f == won || !may_win(r, f, won, fps) || !ties(r, won, f) || ++found > SHOWN) continue;
        str_add(out, found == 1 ? "<p>not told apart from " : ", ");
        add_escaped(out, f->label);
    }
    if (found > SHOWN) str_addf(out, " and %d more", found - SHOWN);
    if (found) str_add(out, "</p>");
}

static void add_card(struct str *out, const struct report *r, const char *what, const struct family *f)
{
    str_addf(out, "<div class=card><h3>%s</h3><p class=big>", what);
    add_escaped(out, f->label);
    str_addf(out, "</p><p>%s %s", metric_shown(r->rank->name), number(f->mean, digits(r)));
    if (f->n > 1) str_addf(out, " ± %s over %d seeds", number(f->spread, digits(r)), f->n);
    if (f->p50_ms > 0) str_addf(out, ", %s ms (%s frames/s)", number(f->p50_ms, 1), number(rate_of(f), 1));
    str_add(out, "</p>");
}

/* One card a distinct cell: what it is best for, all in its head. */
static void add_cards(struct str *out, const struct report *r, const struct family *of)
{
    enum { FASTEST = -1 };
    static const struct {
        const char *what;
        double fps; /* that it reaches */
    } answers[] = {{"Best picture", 0},
                   {"Best at 15 frames/s", 15},
                   {"Best at 30 frames/s", 30},
                   {"Best at 60 frames/s", 60},
                   {"Fastest", FASTEST}};
    const struct family *won[LEN(answers)];
    for (size_t i = 0; i < LEN(answers); i++)
        won[i] = answers[i].fps == FASTEST ? fastest(r, of) : best_at(r, of, answers[i].fps);
    if (!won[0]) return;
    if (r->n_sizes > 1) str_addf(out, "<h2>At %d x %d pixels</h2>\n", of->best->width, of->best->height);
    str_addf(out, "<div class=cards data-size=%dx%d>\n", of->best->height, of->best->width);
    for (size_t i = 0; i < LEN(answers); i++) {
        const struct family *f = won[i];
        if (!f) continue;
        struct str what = {0};
        for (size_t k = i; k < LEN(answers); k++) {
            if (won[k] != f) continue;
            str_addf(&what, "%s%s", k == i ? "" : "<br>", answers[k].what);
            won[k] = NULL; /* said */
        }
        add_card(out, r, what.s, f);
        if (answers[i].fps != FASTEST) add_ties(out, r, f, answers[i].fps);
        str_add(out, "</div>\n");
        str_free(&what);
    }
    str_add(out, "</div>\n");
}

void add_answers(const struct report *r, struct str *out)
{
    if (!r->n_ranked) {
        str_add(out, "<p class=note>No cell has a result yet: the page fills as <code>sweep run</code> goes on.</p>\n");
        return;
    }
    int n = r->n_families, good = 0;
    for (int i = 0; i < n; i++) good += beats_input(r, r->families[i].best, r->families[i].mean);
    if (!good)
        str_addf(out,
                 "<p class=note><b>No cell draws a better picture than the input handed back</b>, by %s: %s at best, "
                 "over seeds, and %s for the input. So none is named the best. Train for longer, or with another "
                 "rate, or rank by a metric that tells a drawing from a photograph.</p>\n",
                 metric_shown(r->rank->name), number(r->families[0].mean, digits(r)),
                 number(baseline_of(r, r->families[0].best)->identity, digits(r)));
    else if (good < n)
        str_addf(out,
                 "<p class=note>%d of %d cells %s no better than the input handed back, and none of these wins.</p>\n",
                 n - good, n, n - good == 1 ? "is" : "are");
    if (r->n_sizes > 1)
        str_addf(out,
                 "<p class=note>The pictures have %d sizes, between which %s does not compare: each size has ranks, "
                 "winners and a front of its own.</p>\n",
                 r->n_sizes, metric_shown(r->rank->name));
    for (int i = 0; i < n; i++)
        if (!i || !same_size(r->families[i].best, r->families[i - 1].best)) add_cards(out, r, &r->families[i]);
}
