/* To be done again on request: results are dropped before anything runs, so that a stop in between goes on with it. */
#include "inside.h"
#include <unistd.h>

/* Checkpoints would end a training at once. */
static void drop_checkpoints(struct store *s, const struct plan_trial *t)
{
    static const char *const files[] = {"last.safetensors", "best.safetensors"};
    struct arena a = {0};
    for (size_t i = 0; i < LEN(files); i++) unlink(arena_printf(&a, "%s/trials/%s/%s", store_dir(s), t->id, files[i]));
    arena_free(&a);
}

/* The stages of these kinds, and all that read what they made. */
static bool *affected(const struct plan *p, unsigned kinds)
{
    bool *again = mem_zalloc(sizeof *again * (size_t)(p->n_stages + 1));
    for (int i = 0; i < p->n_stages; i++) { /* needs come before what needs them */
        const struct plan_stage *g = &p->stages[i];
        again[i] = kinds & (1U << g->kind);
        for (int k = 0; k < g->n_needs; k++) {
            enum plan_kind need = p->stages[g->needs[k]].kind;
            again[i] = again[i] || (again[g->needs[k]] && plan_kinds[g->kind].from & (1U << need));
        }
    }
    return again;
}

struct status engine_redo(int *n, struct store *s, const struct plan *p, unsigned kinds)
{
    json_t *known;
    *n = 0;
    TRY(state_known(&known, s, p));
    bool *again = affected(p, kinds);
    struct status st = store_begin(s);
    for (int i = 0; i < p->n_stages && st.code == STATUS_OK; i++) {
        if (!again[i]) continue;
        /* Files first: a result without its file is made again when it is needed, never the other way about. */
        if (p->stages[i].kind == PLAN_TRAIN) drop_checkpoints(s, &p->trials[p->stages[i].trial]);
        if (!json_object_get(known, p->stages[i].key)) continue;
        st = store_forget_stage(s, p->stages[i].key, "to be done again");
        ++*n;
    }
    if (st.code == STATUS_OK)
        st = store_commit(s);
    else
        store_rollback(s);
    free(again);
    json_decref(known);
    return st;
}
