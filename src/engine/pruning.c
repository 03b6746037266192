/*
 * Pruning as it happens: curves are kept as they are told, a rule (prune.h) is asked at its epochs, what it says is
 * stored in the same transaction as the metric that it was said of, and a worker that is to stop gets SIGTERM. Its
 * training is then pruned, however its process ends, unless it says a result of its own first.
 *
 * A decision is taken once for a (training, rule, epoch). After a restart those taken are read back, and the others are
 * taken on the stored metrics of all that have got there, as they would have been.
 */
#include "inside.h"
#include "prune.h"
#include <math.h>

enum { STORED_PEERS = 64 };

/* Trainings that one rule compares: of the same images, size and length. */
struct prune_group {
    struct prune_rule rule;
    struct hash key;
    int *members; /* trials */
    int n, cap;
};

struct curve {
    int group; /* -1: no rule */
    const char *name;
    double *best; /* [epoch - 1] the best value so far */
    int n, cap;
    int decided; /* the latest epoch with a decision */
    char *why;   /* it is to stop */
};

struct pruning {
    struct arena arena;
    struct curve *curves; /* [trial] */
    struct prune_group *groups;
    int n_groups;
    struct prune_cell *others; /* room for all of a group */
};

/* What must be equal for values to compare at an epoch. */
static void add_class(struct str *out, const struct plan_trial *t, const struct prune_rule *r, const struct hash *key)
{
    str_addf(out, "%s %s %dx%d %d %s %s", key->hex, t->content.images ? t->content.images : "", t->t.data.size[0],
             t->t.data.size[1], r->epochs, t->t.gate.device ? t->t.gate.device : "", r->any_loss ? "" : t->loss_key);
}

static void group_trial(struct pruning *p, json_t *known, const struct plan *plan, int trial)
{
    const struct plan_trial *t = &plan->trials[trial];
    struct curve *c = &p->curves[trial];
    struct prune_rule r = prune_rule_of(&t->t);
    c->group = -1;
    c->name = arena_printf(&p->arena, "%.6s %s x %s", t->id, t->t.model.arch, t->t.model.backbone);
    if (r.kind == PRUNE_NONE || plan_find(plan, trial, PLAN_TRAIN) < 0) return;
    struct hash key = prune_key(&r);
    struct str class = {0};
    add_class(&class, t, &r, &key);
    const json_t *at = json_object_get(known, class.s);
    if (!at) {
        p->groups = mem_realloc(p->groups, sizeof *p->groups * (size_t)(p->n_groups + 1));
        p->groups[p->n_groups] = (struct prune_group){.rule = r, .key = key};
        json_object_set_new(known, class.s, json_integer(p->n_groups));
        c->group = p->n_groups++;
    } else {
        c->group = (int)json_integer_value(at);
    }
    struct prune_group *g = &p->groups[c->group];
    if (g->n == g->cap) {
        g->cap = g->cap ? 2 * g->cap : 16;
        g->members = mem_realloc(g->members, sizeof *g->members * (size_t)g->cap);
    }
    g->members[g->n++] = trial;
    str_free(&class);
}

/* ---- curves ----------------------------------------------------------------------------------------------------- */

static void curve_hears(const struct prune_rule *r, struct curve *c, int epoch, double value)
{
    if (epoch < 1 || epoch > r->epochs) return;
    if (epoch > c->cap) {
        c->cap = epoch > 2 * c->cap ? epoch : 2 * c->cap;
        c->best = mem_realloc(c->best, sizeof *c->best * (size_t)c->cap);
    }
    for (; c->n < epoch; c->n++) c->best[c->n] = c->n ? c->best[c->n - 1] : (double)NAN;
    double before = epoch > 1 ? c->best[epoch - 2] : (double)NAN;
    c->best[epoch - 1] = prune_best(r, before, value);
}

struct reading {
    struct engine *e;
    const json_t *trains; /* key of a training -> trial */
    const char *metric;
};

static struct status read_value(void *ctx, const struct store_row *row)
{
    struct reading *g = ctx;
    const json_t *trial = row->v ? json_object_get(g->trains, row->v[0].text) : NULL;
    if (!trial) return ok();
    struct pruning *p = g->e->pruning;
    struct curve *c = &p->curves[json_integer_value(trial)];
    const struct prune_rule *r = &p->groups[c->group].rule;
    double value = row->v[2].kind == STORE_NULL ? (double)NAN : row->v[2].d;
    if (strcmp(r->metric, g->metric) == 0) curve_hears(r, c, (int)row->v[1].i, value);
    return ok();
}

static struct status read_decision(void *ctx, const struct store_row *row)
{
    struct reading *g = ctx;
    const json_t *trial = row->v ? json_object_get(g->trains, row->v[0].text) : NULL;
    if (!trial) return ok();
    struct pruning *p = g->e->pruning;
    struct curve *c = &p->curves[json_integer_value(trial)];
    if (strcmp(row->v[1].text, p->groups[c->group].key.hex) != 0) return ok(); /* another rule's */
    if (row->v[2].i > c->decided) c->decided = (int)row->v[2].i;
    if (row->v[3].i && !c->why) c->why = mem_strdup(row->v[4].text);
    return ok();
}

static struct status read_screen(void *ctx, const struct store_row *row)
{
    json_t *ms = ctx;
    if (row->v) json_object_set_new(ms, row->v[0].text, json_real(row->v[1].d));
    return ok();
}

static struct status read_screens(struct engine *e)
{
    json_t *ms = json_object();
    struct status st =
        store_query(e->s, "SELECT stage_key, min(p50_ms) FROM latencies WHERE format = 'untrained' GROUP BY stage_key",
                    NULL, read_screen, ms);
    for (int i = 0; i < e->p->n_stages; i++)
        if (e->p->stages[i].kind == PLAN_SCREEN) e->tasks[i].ms = json_num(ms, e->p->stages[i].key, 0);
    json_decref(ms);
    return st;
}

/* What earlier runs told and decided. */
static struct status read_past(struct engine *e)
{
    struct pruning *p = e->pruning;
    struct reading g = {.e = e};
    json_t *trains = json_object(), *metrics = json_object(), *v;
    for (int i = 0; i < e->p->n_trials; i++) {
        if (p->curves[i].group < 0) continue;
        json_object_set_new(trains, e->p->stages[plan_find(e->p, i, PLAN_TRAIN)].key, json_integer(i));
        json_object_set_new(metrics, p->groups[p->curves[i].group].rule.metric, json_true());
    }
    g.trains = trains;
    struct status st = read_screens(e);
    json_object_foreach(metrics, g.metric, v)
    {
        json_t *params = json_pack("[s]", g.metric);
        if (st.code == STATUS_OK)
            st = store_query(
                e->s,
                "SELECT m.stage_key, m.epoch, m.value FROM stages g CROSS JOIN metrics m ON m.stage_key = "
                "g.key AND m.name = ?1 AND m.epoch > 0 WHERE g.stage = 'train' ORDER BY m.stage_key, m.epoch",
                params, read_value, &g);
        json_decref(params);
    }
    if (st.code == STATUS_OK)
        st = store_query(e->s, "SELECT stage_key, rule_key, epoch, stop, reason FROM decisions ORDER BY epoch", NULL,
                         read_decision, &g);
    json_decref(trains);
    json_decref(metrics);
    return st;
}

struct status pruning_init(struct engine *e)
{
    struct pruning *p = e->pruning = mem_zalloc(sizeof *p);
    json_t *known = json_object();
    int most = 0;
    p->curves = mem_zalloc(sizeof *p->curves * (size_t)(e->p->n_trials + 1));
    for (int i = 0; i < e->p->n_trials; i++) group_trial(p, known, e->p, i);
    json_decref(known);
    if (!p->n_groups) return ok();
    for (int i = 0; i < p->n_groups; i++) most = p->groups[i].n > most ? p->groups[i].n : most;
    p->others = mem_alloc(sizeof *p->others * (size_t)most);
    return read_past(e);
}

void pruning_free(struct engine *e)
{
    struct pruning *p = e->pruning;
    if (!p) return;
    for (int i = 0; i < e->p->n_trials; i++) {
        free(p->curves[i].best);
        free(p->curves[i].why);
    }
    for (int i = 0; i < p->n_groups; i++) free(p->groups[i].members);
    free(p->groups);
    free(p->curves);
    free(p->others);
    arena_free(&p->arena);
    free(p);
}

/* ---- decisions -------------------------------------------------------------------------------------------------- */

static struct prune_cell cell_of(const struct engine *e, int trial, int epoch)
{
    const struct plan_trial *t = &e->p->trials[trial];
    const struct curve *c = &e->pruning->curves[trial];
    int screen = plan_find(e->p, trial, PLAN_SCREEN);
    return (struct prune_cell){.id = t->id,
                               .name = c->name,
                               .value = epoch <= c->n ? c->best[epoch - 1] : (double)NAN,
                               .ms = screen >= 0 ? e->tasks[screen].ms : 0,
                               .macs = (double)t->size.macs};
}

static json_t *decision_json(const struct engine *e, const struct prune_group *g, int trial, int epoch)
{
    struct pruning *p = e->pruning;
    struct str why = {0};
    int n = 0;
    for (int i = 0; i < g->n; i++) {
        int other = g->members[i];
        if (other != trial && p->curves[other].n >= epoch) p->others[n++] = cell_of(e, other, epoch);
    }
    struct prune_cell self = cell_of(e, trial, epoch);
    struct prune_verdict v = prune_decide(&g->rule, &self, p->others, n);
    json_t *peers = json_array();
    for (int i = 0; i < v.n_peers && i < STORED_PEERS; i++) json_array_append_new(peers, json_string(p->others[i].id));
    prune_explain(&why, &g->rule, epoch, &self, p->others, &v);
    json_t *j = json_pack("{s:s, s:s, s:s, s:i, s:o, s:o, s:b, s:i, s:o, s:s}", "rule", g->rule.name, "rule_key",
                          g->key.hex, "metric", g->rule.metric, "epoch", epoch, "value",
                          isnan(self.value) ? json_null() : json_real(self.value), "threshold",
                          isnan(v.threshold) ? json_null() : json_real(v.threshold), "stop", v.stop, "n_peers",
                          v.n_peers, "peers", peers, "reason", why.s);
    str_free(&why);
    return j;
}

void pruning_hears(struct engine *e, struct worker *w, const json_t *metrics)
{
    const struct plan_stage *g = &e->p->stages[w->task];
    struct curve *c = &e->pruning->curves[g->trial];
    if (g->kind != PLAN_TRAIN || c->group < 0) return;
    const struct prune_group *group = &e->pruning->groups[c->group];
    int epoch = (int)json_int(metrics, "epoch", -1);
    const json_t *told = json_object_get(json_object_get(metrics, "values"), group->rule.metric);
    curve_hears(&group->rule, c, epoch, json_is_number(told) ? json_number_value(told) : (double)NAN);
    if (!told && epoch > 0 && epoch <= c->n && isnan(c->best[epoch - 1]))
        return; /* validated later: nothing to judge */
    if (c->why || epoch <= c->decided || !prune_asks(&group->rule, epoch)) return;
    json_t *decision = decision_json(e, group, g->trial, epoch);
    c->decided = epoch;
    writes_decision(e, w->task, decision);
    engine_tell(e, (struct engine_event){
                       .kind = ENGINE_DECISION, .stage = g, .trial = &e->p->trials[g->trial], .json = decision});
    if (json_is_true(json_object_get(decision, "stop"))) {
        c->why = mem_strdup(json_str(decision, "reason", ""));
        process_ask(w);
    }
    json_decref(decision);
}

const char *pruning_why(const struct engine *e, int task)
{
    const struct plan_stage *g = &e->p->stages[task];
    return g->kind == PLAN_TRAIN ? e->pruning->curves[g->trial].why : NULL;
}

json_t *engine_pruning(const struct plan *p)
{
    json_t *known = json_object(), *rows = json_array();
    for (int i = 0; i < p->n_trials; i++) {
        struct prune_rule r = prune_rule_of(&p->trials[i].t);
        if (r.kind == PRUNE_NONE || p->trials[i].refused) continue;
        char name[80];
        snprintf(name, sizeof name, "%s %d", prune_key(&r).hex, r.epochs);
        json_t *row = json_object_get(known, name);
        if (!row) {
            struct str when = {0};
            prune_describe(&when, &r);
            row = json_pack("{s:s, s:s, s:s, s:s, s:i, s:i}", "rule", r.name, "rule_key", prune_key(&r).hex, "metric",
                            r.metric, "decides", when.s, "cells", 0, "residual", 0);
            str_free(&when);
            json_array_append(rows, row);
            json_object_set_new(known, name, row);
        }
        json_object_set_new(row, "cells", json_integer(json_int(row, "cells", 0) + 1));
        if (p->trials[i].t.model.residual)
            json_object_set_new(row, "residual", json_integer(json_int(row, "residual", 0) + 1));
    }
    json_decref(known);
    return rows;
}
