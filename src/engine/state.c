/* What the store knows of a plan: states of its stages, whether their files are still there. */
#include "inside.h"

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

struct status engine_cached(json_t **out, struct store *s, const struct plan *p)
{
    json_t *rows, *gone;
    *out = NULL;
    TRY(missing_files(&gone, s));
    struct status st = store_rows(&rows, s,
                                  "SELECT key, state, reason FROM stages "
                                  "WHERE state IN ('done', 'refused', 'diverged', 'too_slow')",
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
        if (!row) {
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
