/*
 * A training that differs from a stored one in having more epochs goes on from its checkpoint, where that comes to the
 * same bits: the learning rate must not depend on how many epochs there are, and the optimiser's state must be there
 * (keep: all), which the worker looks for.
 */
#include "inside.h"

/* Finished trainings of the same net with fewer epochs, the longest first. */
static struct status shorter(json_t **out, struct store *s, const struct plan_trial *t)
{
    json_t *params = json_pack("[s, s, s, I, i]", t->t.model.arch, t->t.model.backbone, t->loss_key,
                               (json_int_t)t->t.seed, t->t.train.epochs);
    struct status st = store_rows(
        out, s,
        "SELECT t.id, g.key, json_extract(t.config, '$.\"train.epochs\"') AS epochs FROM trials t JOIN stages g ON "
        "g.trial = t.id AND g.stage = 'train' AND g.state = 'done' WHERE t.arch = ?1 AND t.backbone = ?2 AND "
        "t.loss_key "
        "= ?3 AND t.seed = ?4 AND json_extract(t.config, '$.\"train.epochs\"') < ?5 ORDER BY epochs DESC",
        params);
    json_decref(params);
    return st;
}

struct status longer_from(json_t *job, struct engine *e, int task)
{
    const int trial = e->p->stages[task].trial;
    const struct plan_trial *t = &e->p->trials[trial];
    struct arena a = {0};
    json_t *rows;
    if (!e->p->build) return ok();
    bool begun = fs_exists(arena_printf(&a, "%s/last.safetensors", job_dir(&a, e, trial)));
    struct status st = begun ? ok() : shorter(&rows, e->s, t);
    for (size_t i = 0; !begun && st.code == STATUS_OK && i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const char *key = json_str(row, "key", ""), *id = json_str(row, "id", "");
        int epochs = (int)json_int(row, "epochs", 0);
        char same[PLAN_KEY];
        plan_train_key(same, e->p, trial, epochs);
        if (strcmp(same, key) != 0) continue;
        if (strcmp(t->t.train.schedule, "constant") == 0)
            json_object_set_new(job, "from",
                                json_pack("{s:s, s:s, s:i}", "dir",
                                          arena_printf(&a, "%s/trials/%s", store_dir(e->s), id), "key", key, "epochs",
                                          epochs));
        else
            log_info(
                "train of %s starts anew, though %s has its first %d epochs: the rate of train.schedule %s depends "
                "on how many there are; constant goes on",
                t->id, id, epochs, t->t.train.schedule);
        break;
    }
    if (!begun && st.code == STATUS_OK) json_decref(rows);
    arena_free(&a);
    return st;
}
