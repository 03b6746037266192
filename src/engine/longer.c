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

struct status engine_shorter(json_t **out, struct store *s, const struct plan *p, int trial)
{
    const struct plan_trial *t = &p->trials[trial];
    json_t *rows, *row;
    size_t i;
    *out = NULL;
    if (!p->build) return ok();
    TRY(shorter(&rows, s, t));
    json_array_foreach(rows, i, row)
    {
        char same[PLAN_KEY];
        plan_train_key(same, p, trial, (int)json_int(row, "epochs", 0));
        if (strcmp(same, json_str(row, "key", "")) != 0) continue;
        struct arena a = {0};
        const char *dir = arena_printf(&a, "%s/trials/%s", store_dir(s), json_str(row, "id", ""));
        *out = json_incref(row);
        json_object_set_new(row, "dir", json_string(dir));
        json_object_set_new(row, "goes_on", json_boolean(strcmp(t->t.train.schedule, "constant") == 0));
        arena_free(&a);
        break;
    }
    json_decref(rows);
    return ok();
}

struct status longer_from(json_t *job, struct engine *e, int task)
{
    const int trial = e->p->stages[task].trial;
    const struct plan_trial *t = &e->p->trials[trial];
    struct arena a = {0};
    json_t *from = NULL;
    bool begun = fs_exists(arena_printf(&a, "%s/last.safetensors", job_dir(&a, e, trial)));
    arena_free(&a);
    if (begun) return ok();
    TRY(engine_shorter(&from, e->s, e->p, trial));
    if (!from) return ok();
    const char *id = json_str(from, "id", "");
    int epochs = (int)json_int(from, "epochs", 0);
    if (json_is_true(json_object_get(from, "goes_on")))
        json_object_set_new(job, "from",
                            json_pack("{s:O, s:O, s:i}", "dir", json_object_get(from, "dir"), "key",
                                      json_object_get(from, "key"), "epochs", epochs));
    else
        log_info("train of %s starts anew, though %s has its first %d epochs: the rate of train.schedule %s depends "
                 "on how many there are; constant goes on",
                 t->id, id, epochs, t->t.train.schedule);
    json_decref(from);
    return ok();
}
