/* One trial of a plan as a plan of its own. What several trials share, each part has: the first result counts. */
#include "slurm_inside.h"

static int place_of(const struct plan_trial *t, int stage)
{
    for (int i = 0; i < t->n_stages; i++)
        if (t->stages[i] == stage) return i;
    CHECK(false, "a stage needs one that is not of its trial");
    return -1;
}

void slurm_part_make(struct slurm_part *out, const struct plan *p, int trial)
{
    const struct plan_trial *t = &p->trials[trial];
    *out = (struct slurm_part){.trial = *t, .list = mem_alloc(sizeof(int) * (size_t)(t->n_stages + 1))};
    struct plan_stage *stages = mem_alloc(sizeof *stages * (size_t)(t->n_stages + 1));
    for (int i = 0; i < t->n_stages; i++) {
        stages[i] = p->stages[t->stages[i]];
        stages[i].trial = 0;
        for (int k = 0; k < stages[i].n_needs; k++) stages[i].needs[k] = place_of(t, stages[i].needs[k]);
        out->list[i] = i;
    }
    out->trial.stages = out->list;
    out->plan = (struct plan){.trials = &out->trial, .n_trials = 1, .stages = stages, .n_stages = t->n_stages};
}

void slurm_part_free(struct slurm_part *part)
{
    free(part->plan.stages);
    free(part->list);
}
