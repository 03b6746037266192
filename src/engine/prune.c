/* Rules of pruning: after Li et al., "A System for Massively Parallel Hyperparameter Tuning" (arXiv:1810.05934),
   without its pauses, and the median stopping rule of Golovin et al., "Google Vizier" (KDD 2017). */
#include "prune.h"
#include <math.h>

enum { NAMED = 6, SHARE_OF_EPOCHS = 12 };

/* The value that a cell must not be worse than; @p v: peers, best first. */
static double median_of(const struct prune_rule *r, const struct prune_cell *v, int n)
{
    (void)r;
    if (n == 0) return (double)NAN;
    return n % 2 ? v[n / 2].value : (v[n / 2 - 1].value + v[n / 2].value) / 2;
}

/* Of the cells here, this one among them, one in so many goes on, and at least one. */
static int places_of(const struct prune_rule *r, int peers)
{
    int places = (peers + 1) / r->reduction;
    return places > 1 ? places : 1;
}

static double rung_of(const struct prune_rule *r, const struct prune_cell *v, int n)
{
    int places = places_of(r, n);
    return places <= n ? v[places - 1].value : (double)NAN;
}

static bool asks_each(const struct prune_rule *r, int epoch)
{
    return epoch >= r->warmup + r->min;
}

static bool asks_at_rungs(const struct prune_rule *r, int epoch)
{
    return prune_rung(r, epoch) > 0;
}

/* clang-format off */
static const struct {
    const char *name;
    bool (*asks)(const struct prune_rule *r, int epoch);
    double (*threshold)(const struct prune_rule *r, const struct prune_cell *v, int n);
} rules[] = {
    [PRUNE_NONE]   = {.name = "none"},
    [PRUNE_MEDIAN] = {.name = "median", .asks = asks_each,     .threshold = median_of},
    [PRUNE_ASHA]   = {.name = "asha",   .asks = asks_at_rungs, .threshold = rung_of},
};
/* clang-format on */

struct prune_rule prune_rule_of(const struct spec_trial *t)
{
    struct prune_rule r = {.metric = t->prune.metric ? t->prune.metric : spec_rank(t),
                           .epochs = t->train.epochs,
                           .warmup = t->prune.warmup_epochs,
                           .min = t->prune.min_epochs,
                           .reduction = t->prune.reduction,
                           .min_peers = t->prune.min_peers,
                           .tolerance = t->prune.tolerance};
    for (size_t i = 0; t->prune.rule && i < LEN(rules); i++)
        if (strcmp(rules[i].name, t->prune.rule) == 0) r.kind = (enum prune_kind)i;
    r.name = rules[r.kind].name;
    if (!r.min) r.min = r.epochs / SHARE_OF_EPOCHS > 1 ? r.epochs / SHARE_OF_EPOCHS : 1;
    const struct spec_metric *m = spec_metric_of(r.metric);
    if (m) r.higher = m->higher_is_better, r.any_loss = m->axis_free;
    return r;
}

struct hash prune_key(const struct prune_rule *r)
{
    if (r->kind == PRUNE_NONE) return (struct hash){.hex = ""};
    json_t *j = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:f}", "rule", r->name, "metric", r->metric, "warmup",
                          r->warmup, "min", r->min, "reduction", r->kind == PRUNE_ASHA ? r->reduction : 0, "peers",
                          r->min_peers, "tolerance", r->tolerance);
    CHECK(j, "a rule without a metric");
    struct hash h = json_hash(j);
    json_decref(j);
    return h;
}

int prune_rung(const struct prune_rule *r, int epoch)
{
    if (r->kind != PRUNE_ASHA) return 0;
    int rung = 1;
    int64_t at = r->min;
    for (; r->warmup + at < epoch; at *= r->reduction) rung++;
    return r->warmup + at == epoch ? rung : 0;
}

bool prune_asks(const struct prune_rule *r, int epoch)
{
    return rules[r->kind].asks && epoch > 0 && epoch < r->epochs && rules[r->kind].asks(r, epoch);
}

void prune_describe(struct str *out, const struct prune_rule *r)
{
    int first = r->warmup + r->min, n = 0;
    if (first >= r->epochs) {
        str_addf(out, "never: the first decision would be after epoch %d of %d", first, r->epochs);
        return;
    }
    if (r->kind == PRUNE_MEDIAN) {
        str_addf(out, "after each epoch from %d on", first);
        return;
    }
    str_add(out, "after epoch ");
    for (int64_t at = r->min; r->warmup + at < r->epochs; at *= r->reduction)
        str_addf(out, "%s%lld", n++ ? ", " : "", (long long)(r->warmup + at));
}

/* Not a number is worse than any number. */
static bool better(const struct prune_rule *r, double a, double b)
{
    if (isnan(a) || isnan(b)) return !isnan(a) && isnan(b);
    return r->higher ? a > b : a < b;
}

double prune_best(const struct prune_rule *r, double best, double value)
{
    return isfinite(value) && better(r, value, best) ? value : best;
}

bool prune_no_slower(const struct prune_rule *r, const struct prune_cell *other, const struct prune_cell *self)
{
    bool measured = other->ms > 0 && self->ms > 0;
    double theirs = measured ? other->ms : other->macs, ours = measured ? self->ms : self->macs;
    return theirs <= ours * (1 + r->tolerance);
}

static int best_first(const void *a, const void *b, void *ctx)
{
    const struct prune_cell *x = a, *y = b;
    const struct prune_rule *r = ctx;
    if (better(r, x->value, y->value)) return -1;
    if (better(r, y->value, x->value)) return 1;
    return strcmp(x->id, y->id); /* whoever came first, it is told the same */
}

struct prune_verdict prune_decide(const struct prune_rule *r, const struct prune_cell *self, struct prune_cell *others,
                                  int n)
{
    struct prune_verdict v = {.threshold = (double)NAN};
    for (int i = 0; i < n; i++) {
        if (!prune_no_slower(r, &others[i], self)) continue;
        struct prune_cell c = others[i];
        others[i] = others[v.n_peers];
        others[v.n_peers++] = c;
    }
    struct prune_rule ctx = *r;
    if (v.n_peers) qsort_r(others, (size_t)v.n_peers, sizeof *others, best_first, &ctx);
    v.threshold = rules[r->kind].threshold(r, others, v.n_peers);
    v.stop = v.n_peers >= r->min_peers && better(r, v.threshold, self->value);
    return v;
}

/* ---- words ------------------------------------------------------------------------------------------------------ */

static void add_value(struct str *out, double v)
{
    if (isnan(v))
        str_add(out, "no number");
    else
        str_addf(out, "%.5g", v);
}

static void add_rule(struct str *out, const struct prune_rule *r, const struct prune_verdict *v)
{
    if (r->kind == PRUNE_MEDIAN && v->n_peers == 1)
        str_add(out, "the only other");
    else if (r->kind == PRUNE_MEDIAN)
        str_addf(out, "the median of the %d others", v->n_peers);
    else
        str_addf(out, "place %d of the %d", places_of(r, v->n_peers), v->n_peers + 1);
    str_add(out, " no slower than it that got there: ");
    add_value(out, v->threshold);
}

void prune_explain(struct str *out, const struct prune_rule *r, int epoch, const struct prune_cell *self,
                   const struct prune_cell *others, const struct prune_verdict *v)
{
    int rung = prune_rung(r, epoch);
    str_addf(out, "%s: ", r->name);
    if (rung) str_addf(out, "rung %d, ", rung);
    str_addf(out, "epoch %d: %s ", epoch, r->metric);
    add_value(out, self->value);
    if (v->n_peers < r->min_peers) {
        str_addf(out, "; of cells no slower than it %d got there, prune.min_peers is %d", v->n_peers, r->min_peers);
    } else {
        str_add(out, v->stop ? ", behind " : ", not behind ");
        add_rule(out, r, v);
    }
    for (int i = 0; i < v->n_peers && i < NAMED; i++) {
        str_addf(out, "%s%s ", i ? ", " : " (", others[i].name);
        add_value(out, others[i].value);
    }
    if (v->n_peers > NAMED) str_addf(out, " and %d more", v->n_peers - NAMED);
    if (v->n_peers) str_add(out, ")");
}
