/* The resolved plan as JSON, for `sweep plan --json`. */
#include "inside.h"

static json_t *stage_json(const struct plan *p, const struct plan_stage *g)
{
    json_t *needs = json_array();
    for (int i = 0; i < g->n_needs; i++) json_array_append_new(needs, json_string(p->stages[g->needs[i]].key));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:f, s:o}", "key", g->key, "stage", plan_kinds[g->kind].name, "format",
                     g->format, "device", g->device, "trial", p->trials[g->trial].id, "est_s", g->est_s, "needs",
                     needs);
}

static json_t *trial_json(const struct plan *p, const struct plan_trial *t)
{
    json_t *stages = json_array();
    for (int i = 0; i < t->n_stages; i++) json_array_append_new(stages, json_string(p->stages[t->stages[i]].key));
    json_t *content = json_pack("{s:s*, s:s*, s:s*, s:s*, s:s*}", "images", t->content.images, "model_weights",
                                t->content.model_weights, "loss_weights", t->content.loss_weights, "init",
                                t->content.init, "judge", t->content.judge);
    return json_pack("{s:s, s:O, s:o, s:i, s:s, s:I, s:I, s:s?, s:o}", "id", t->id, "config", t->config, "content",
                     content, "skipped_pairs", t->content.skipped, "loss_key", t->loss_key, "params",
                     (json_int_t)t->size.params, "macs", (json_int_t)t->size.macs, "refused", t->refused, "stages",
                     stages);
}

static json_t *sweep_json(const struct plan *p, const struct plan_sweep *w)
{
    json_t *cells = json_array();
    for (int i = 0; i < w->n_cells; i++)
        json_array_append_new(cells, json_pack("{s:s, s:O, s:b}", "trial", p->trials[w->cells[i].trial].id, "axes",
                                               w->cells[i].axes, "duplicate", w->cells[i].duplicate));
    json_t *rules = json_array();
    for (int i = 0; i < w->n_rules; i++)
        json_array_append_new(rules, json_pack("{s:s, s:s, s:i}", "where", w->excluded[i].where, "rule",
                                               w->excluded[i].rule, "cells", w->excluded[i].n));
    return json_pack("{s:s, s:s, s:s, s:O, s:i, s:o, s:o}", "name", w->name, "path", w->path, "rank", w->rank, "spec",
                     w->spec, "excluded", w->n_excluded, "excluded_by", rules, "cells", cells);
}

json_t *plan_to_json(const struct plan *p)
{
    json_t *sweeps = json_array(), *trials = json_array(), *stages = json_array(), *warnings = json_array();
    for (int i = 0; i < p->n_sweeps; i++) json_array_append_new(sweeps, sweep_json(p, &p->sweeps[i]));
    for (int i = 0; i < p->n_trials; i++) json_array_append_new(trials, trial_json(p, &p->trials[i]));
    for (int i = 0; i < p->n_stages; i++) json_array_append_new(stages, stage_json(p, &p->stages[i]));
    for (int i = 0; i < p->n_warnings; i++) json_array_append_new(warnings, json_string(p->warnings[i]));
    return json_pack("{s:o, s:o, s:o, s:o}", "sweeps", sweeps, "trials", trials, "stages", stages, "warnings",
                     warnings);
}
