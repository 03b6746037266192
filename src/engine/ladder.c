/*
 * The ladder of memory: a training that does not fit is done with half as many images at once, its gradients added up
 * to those of the same batch. The trial stays the same trial; what it was done with is stored beside it, and cells of
 * the same backbone, size and batch begin there.
 */
#include "inside.h"

static char *name_of(struct arena *a, const char *backbone, int64_t height, int64_t width, int64_t batch)
{
    return arena_printf(a, "%s %lldx%lld %lld", backbone, (long long)height, (long long)width, (long long)batch);
}

static char *name_of_task(struct arena *a, const struct engine *e, int task)
{
    const struct plan_stage *g = &e->p->stages[task];
    const struct spec_trial *t = &e->p->trials[g->trial].t;
    return name_of(a, t->model.backbone, t->data.size[0], t->data.size[1], json_int(g->config, "train.batch", 0));
}

struct status ladder_init(struct engine *e)
{
    json_t *rows;
    struct arena a = {0};
    TRY(store_rows(&rows, e->s,
                   "SELECT t.backbone, t.height, t.width, json_extract(t.config, '$.\"train.batch\"') AS batch, "
                   "min(json_extract(g.info, '$.micro_batch')) AS micro FROM stages g JOIN trials t ON t.id = g.trial "
                   "WHERE g.stage = 'train' AND g.state = 'done' AND json_extract(g.info, '$.micro_batch') > 0 "
                   "GROUP BY 1, 2, 3, 4",
                   NULL));
    e->micro = json_object();
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *r = json_array_get(rows, i);
        json_object_set(e->micro,
                        name_of(&a, json_str(r, "backbone", ""), json_int(r, "height", 0), json_int(r, "width", 0),
                                json_int(r, "batch", 0)),
                        json_object_get(r, "micro"));
    }
    json_decref(rows);
    arena_free(&a);
    return ok();
}

int ladder_micro(struct engine *e, int task)
{
    struct arena a = {0};
    struct task *t = &e->tasks[task];
    int learnt = (int)json_int(e->micro, name_of_task(&a, e, task), 0);
    if (learnt && (!t->micro || learnt < t->micro)) t->micro = learnt;
    arena_free(&a);
    return t->micro;
}

bool ladder_down(struct engine *e, int task)
{
    const struct plan_stage *g = &e->p->stages[task];
    struct task *t = &e->tasks[task];
    int now = t->micro ? t->micro : (int)json_int(g->config, "train.batch", 0);
    if (g->kind != PLAN_TRAIN || now <= 1) return false;
    struct arena a = {0};
    t->micro = (now + 1) / 2;
    json_object_set_new(e->micro, name_of_task(&a, e, task), json_integer(t->micro));
    arena_free(&a);
    return true;
}
