/*
 * Which checkpoints of a finished trial stay. The one that is judged and exported is needed by stages that may be asked
 * for later: where it goes, its row stays without bytes, and the training counts as to be done again. The other is
 * forgotten. Rows go before files: a row without its file would have the training done again for nothing.
 */
#include "inside.h"
#include <unistd.h>

static const char *const kinds[] = {"best", "last"};

static bool drops(const char *keep, const char *kind, const char *wanted)
{
    if (strcmp(keep, "none") == 0) return true;
    return strcmp(keep, "best") == 0 && strcmp(kind, wanted) != 0;
}

void keep_apply(struct engine *e, int trial)
{
    const struct plan_trial *t = &e->p->trials[trial];
    const char *keep = t->t.keep ? t->t.keep : "both", *wanted = t->t.evaluate.weights;
    struct arena a = {0};
    for (size_t i = 0; i < LEN(kinds); i++) {
        const char *path = arena_printf(&a, "%s/%s.safetensors", job_dir(&a, e, trial), kinds[i]);
        if (!drops(keep, kinds[i], wanted) || !fs_exists(path)) continue;
        writes_drop(e, trial, kinds[i], strcmp(kinds[i], wanted) == 0);
        writes_end(e);
        if (e->error.code == STATUS_OK) unlink(path); /* gc finds one that stays */
    }
    arena_free(&a);
}

struct status engine_surplus(json_t **out, struct store *s, const char *keep, double older_s)
{
    json_t *rows, *params = json_pack("[f]", time_now() - older_s);
    struct status st =
        store_rows(&rows, s,
                   "SELECT a.trial, a.kind, a.path, a.bytes, json_extract(t.config, "
                   "'$.\"evaluate.weights\"') AS wanted FROM artifacts a JOIN trials t ON t.id = a.trial "
                   "JOIN stages g ON g.key = a.stage_key WHERE a.kind IN ('best', 'last') AND a.bytes > "
                   "0 AND t.state = 'done' AND g.state = 'done' AND g.ended <= ?1 ORDER BY g.ended",
                   params);
    json_decref(params);
    TRY(st);
    *out = json_array();
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const char *kind = json_str(row, "kind", ""), *wanted = json_str(row, "wanted", "best");
        if (!drops(keep, kind, wanted)) continue;
        bool needed = strcmp(kind, wanted) == 0;
        json_array_append_new(*out, json_pack("{s:s, s:I, s:s, s:s, s:s, s:b}", "path", json_str(row, "path", ""),
                                              "bytes", (json_int_t)json_int(row, "bytes", 0), "reason",
                                              needed ? "a later export would train again" : "no stage reads it",
                                              "trial", json_str(row, "trial", ""), "kind", kind, "needed", needed));
    }
    json_decref(rows);
    return ok();
}

struct status engine_drop(struct store *s, const json_t *surplus)
{
    TRY(store_begin(s));
    struct status st = ok();
    for (size_t i = 0; i < json_array_size(surplus) && st.code == STATUS_OK; i++) {
        const json_t *row = json_array_get(surplus, i);
        st = store_drop_file(s, json_str(row, "trial", ""), json_str(row, "kind", ""), json_bool(row, "needed", true));
    }
    if (st.code != STATUS_OK) {
        store_rollback(s);
        return st;
    }
    TRY(store_commit(s));
    return engine_remove(s, surplus);
}
