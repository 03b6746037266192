#include "quantise.h"
#include <fnmatch.h>
#include <math.h>

enum { STEPS = 255, WEIGHT_STEPS = 127 };

struct plan {
    struct quantise *q;
    const struct lower *low;
    const struct net *net;
    const unsigned char *kinds;
    const struct range *ranges;
    int *uses; /* readers of each value */
};

static void *zeros(struct arena *a, int n, size_t each)
{
    void *p = arena_alloc(a, (size_t)(n + 1) * each);
    memset(p, 0, (size_t)(n + 1) * each);
    return p;
}

static enum quantise_kind kind_of(const struct plan *p, net_val v)
{
    return (enum quantise_kind)p->kinds[p->net->nodes[v].op];
}

/* ---- what computes in 8 bits ------------------------------------------------------------------------------------- */

static void count_uses(struct plan *p)
{
    const struct net *n = p->net;
    for (int i = 0; i < n->n_outputs; i++) p->uses[n->outputs[i].val]++;
    for (net_val v = 0; v < n->n_nodes; v++)
        for (int i = 0; i < n->nodes[v].n_in; i++) p->uses[n->nodes[v].in[i]]++;
}

static bool named(const struct net_node *d, const char *pattern)
{
    char name[512];
    bool scoped = d->scope && d->scope[0];
    snprintf(name, sizeof name, "%s%s%s", scoped ? d->scope : "", scoped ? "." : "", d->name ? d->name : "");
    size_t n = strlen(pattern);
    return fnmatch(pattern, name, 0) == 0 || (strncmp(name, pattern, n) == 0 && name[n] == '.');
}

struct status quantise_kept(bool **out, struct arena *a, const struct lower *l, const unsigned char *kinds,
                            const struct export_calibration *c)
{
    const struct net *n = l->net;
    *out = zeros(a, n->n_nodes, sizeof **out);
    for (int k = 0; k < c->n_keep; k++) {
        bool any = false;
        for (net_val v = 0; v < n->n_nodes; v++)
            if (kinds[n->nodes[v].op] == QUANTISE_LAYER && named(&n->nodes[v], c->keep[k])) any = (*out)[v] = true;
        if (!any)
            return fail(STATUS_ARG,
                        "export.keep: no layer is called \"%s\"; a layer's name is that of its weights, such as "
                        "encoder.conv1, or a pattern of it",
                        c->keep[k]);
    }
    return ok();
}

/* In the order of computing, so that what a node reads is decided. */
static void choose(struct plan *p, const bool *kept)
{
    struct quantise *q = p->q;
    for (net_val v = 0; v < p->net->n_nodes; v++) {
        const struct net_node *d = &p->net->nodes[v];
        bool all = d->n_in > 0;
        for (int i = 0; i < d->n_in; i++) all &= q->stored[d->in[i]];
        switch (kind_of(p, v)) {
        case QUANTISE_NOT:
            break;
        case QUANTISE_LAYER:
            q->is[v] = !kept[v] && !p->low->framing[v];
            break;
        case QUANTISE_SEVERAL:
        case QUANTISE_MOVES:
            q->is[v] = all && !p->low->framing[v];
            break;
        case QUANTISE_AFTER:
            q->is[v] = q->is[d->in[0]] && p->uses[d->in[0]] == 1 && kind_of(p, d->in[0]) != QUANTISE_AFTER &&
                       kind_of(p, d->in[0]) != QUANTISE_MOVES && !p->low->framing[v];
            if (q->is[v]) q->stored[d->in[0]] = false;
            break;
        }
        q->stored[v] = q->is[v];
    }
    for (net_val v = 0; v < p->net->n_nodes; v++) /* a layer rounds what it reads, whoever made it */
        if (q->is[v] && kind_of(p, v) == QUANTISE_LAYER) q->stored[p->net->nodes[v].in[0]] = true;
}

/* ---- how values are stored --------------------------------------------------------------------------------------- */

static void store(struct plan *p)
{
    struct quantise *q = p->q;
    for (net_val v = 0; v < p->net->n_nodes; v++) {
        float low = fminf(p->ranges[v].low, 0), high = fmaxf(p->ranges[v].high, 0), width = high - low;
        if (q->is[v] && kind_of(p, v) == QUANTISE_MOVES) {
            q->scale[v] = q->scale[p->net->nodes[v].in[0]];
            q->zero[v] = q->zero[p->net->nodes[v].in[0]];
            continue;
        }
        q->scale[v] = width > 0 ? fmaxf(width / STEPS, 1e-30f) : 1;
        q->zero[v] = (int)lrintf(-low / q->scale[v]);
        if (q->zero[v] > STEPS) q->zero[v] = STEPS;
    }
}

struct status quantise_plan(struct quantise *out, struct arena *a, const struct lower *l, const unsigned char *kinds,
                            const struct export_calibration *c)
{
    int n = l->net->n_nodes;
    struct plan p = {.q = out, .low = l, .net = l->net, .kinds = kinds};
    bool *kept;
    *out = (struct quantise){.is = zeros(a, n, sizeof *out->is),
                             .stored = zeros(a, n, sizeof *out->stored),
                             .scale = zeros(a, n, sizeof *out->scale),
                             .zero = zeros(a, n, sizeof *out->zero)};
    p.uses = zeros(a, n, sizeof *p.uses);
    TRY(quantise_kept(&kept, a, l, kinds, c));
    TRY(ranges_of(&p.ranges, a, l, c));
    count_uses(&p);
    choose(&p, kept);
    store(&p);
    return ok();
}

/* ---- weights ----------------------------------------------------------------------------------------------------- */

struct quantised_weights quantise_weights(struct arena *a, const float *w, const float *bias, int64_t filters,
                                          int64_t per, float input_scale)
{
    static const double bias_most = 1 << 30;
    struct quantised_weights q = {.w = arena_alloc(a, (size_t)(filters * per)),
                                  .scale = arena_alloc(a, (size_t)filters * sizeof *q.scale)};
    if (bias) q.bias = arena_alloc(a, (size_t)filters * sizeof *q.bias);
    for (int64_t f = 0; f < filters; f++) {
        float most = 0;
        for (int64_t i = 0; i < per; i++) most = fmaxf(most, fabsf(w[f * per + i]));
        double scale = fmax((double)most / WEIGHT_STEPS, 1e-30);
        if (bias) scale = fmax(scale, fabs((double)bias[f]) / bias_most / (double)input_scale);
        q.scale[f] = (float)scale;
        for (int64_t i = 0; i < per; i++) {
            float v = rintf(w[f * per + i] / q.scale[f]);
            q.w[f * per + i] = (int8_t)fminf(fmaxf(v, -WEIGHT_STEPS), WEIGHT_STEPS);
        }
        if (bias) q.bias[f] = (int32_t)lrint((double)bias[f] / ((double)q.scale[f] * (double)input_scale));
    }
    return q;
}
