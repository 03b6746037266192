/* What the store knows of a plan: states of its stages, whether their files are still there. */
#include "inside.h"
#include "prune.h"

/* Files of a finished stage that later stages read; one gone and the stage is done again when it is needed. */
static struct status missing_files(json_t **out, struct store *s)
{
    json_t *rows;
    struct arena a = {0};
    *out = NULL;
    TRY(store_rows(&rows, s, "SELECT stage_key, path FROM artifacts WHERE kind IN ('best', 'last', 'model')", NULL));
    *out = json_object();
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *r = json_array_get(rows, i);
        if (!fs_exists(fs_join(&a, store_dir(s), json_str(r, "path", ""))))
            json_object_set_new(*out, json_str(r, "stage_key", ""), json_true());
    }
    json_decref(rows);
    arena_free(&a);
    return ok();
}

/* A training that was stopped is run again when the rule is another now. */
static bool other_rule(const struct plan *p, const struct plan_stage *g, const json_t *row)
{
    const char *by = json_str(row, "rule_key", NULL);
    struct prune_rule r = prune_rule_of(&p->trials[g->trial].t);
    return strcmp(json_str(row, "state", ""), "pruned") == 0 && (!by || strcmp(by, prune_key(&r).hex) != 0);
}

static struct status known_stages(json_t **out, struct store *s, const struct plan *p, bool any_rule)
{
    json_t *rows, *gone;
    *out = NULL;
    TRY(missing_files(&gone, s));
    struct status st = store_rows(&rows, s,
                                  "SELECT key, state, reason, CASE state WHEN 'pruned' THEN (SELECT rule_key FROM "
                                  "decisions d WHERE d.stage_key = g.key AND stop ORDER BY decided DESC LIMIT 1) END "
                                  "AS rule_key FROM stages g "
                                  "WHERE state IN ('done', 'refused', 'diverged', 'too_slow', 'pruned')",
                                  NULL);
    if (st.code != STATUS_OK) {
        json_decref(gone);
        return st;
    }
    json_t *all = json_object();
    for (size_t i = 0; i < json_array_size(rows); i++)
        json_object_set(all, json_str(json_array_get(rows, i), "key", ""), json_array_get(rows, i));
    json_decref(rows);
    json_t *known = json_object();
    /* Needs come before what needs them, so this order sees dependants first. */
    for (int i = p->n_stages - 1; i >= 0; i--) {
        const struct plan_stage *g = &p->stages[i];
        json_t *row = json_object_get(all, g->key);
        if (!row || (!any_rule && other_rule(p, g, row))) {
            for (int k = 0; k < g->n_needs; k++) {
                const char *need = p->stages[g->needs[k]].key;
                if (json_object_get(gone, need)) json_object_del(all, need);
            }
            continue;
        }
        json_object_set(known, g->key, row);
    }
    json_decref(all);
    json_decref(gone);
    *out = known;
    return ok();
}

struct status engine_cached(json_t **out, struct store *s, const struct plan *p)
{
    return known_stages(out, s, p, false);
}

struct status state_known(json_t **out, struct store *s, const struct plan *p)
{
    return known_stages(out, s, p, true);
}
