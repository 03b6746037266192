/* One trial of a plan as a plan of its own. What several trials share, each part has: the first result counts. */
#include "slurm_inside.h"

static int place_of(const struct plan_trial *t, int stage)
{
    for (int i = 0; i < t->n_stages; i++)
        if (t->stages[i] == stage) return i;
    CHECK(false, "a stage needs one that is not of its trial");
    return -1;
}

static struct plan_stage *add_stage(struct slurm_part *out, struct plan_trial *t, const struct plan_stage *g)
{
    struct plan_stage *to = &out->plan.stages[out->plan.n_stages];
    *to = *g;
    to->trial = out->plan.n_trials - 1;
    t->stages[t->n_stages++] = out->plan.n_stages++;
    return to;
}

/* Its place in the lists is that of its stages. */
static struct plan_trial *add_trial(struct slurm_part *out, const struct plan_trial *t)
{
    struct plan_trial *to = &out->plan.trials[out->plan.n_trials++];
    *to = *t;
    to->stages = out->lists + out->plan.n_stages;
    to->n_stages = 0;
    return to;
}

/* What rules ask of another trial: its curve, and how fast it is. */
static void add_peer(struct slurm_part *out, const struct plan *p, const struct plan_trial *t)
{
    static const enum plan_kind kinds[] = {PLAN_SCREEN, PLAN_TRAIN};
    struct plan_trial *to = add_trial(out, t);
    for (size_t i = 0; i < LEN(kinds); i++) {
        int stage = plan_find(p, (int)(t - p->trials), kinds[i]);
        if (stage < 0) continue;
        struct plan_stage *g = add_stage(out, to, &p->stages[stage]);
        g->n_needs = 0;
        g->idle = true;
    }
}

void slurm_part_make(struct slurm_part *out, const struct plan *p, int trial, bool peers)
{
    const struct plan_trial *t = &p->trials[trial];
    size_t trials = 1 + (peers ? (size_t)p->n_trials : 0), stages = (size_t)t->n_stages + 2 * trials;
    *out = (struct slurm_part){.lists = mem_alloc(sizeof(int) * stages)};
    out->plan.trials = mem_alloc(sizeof *out->plan.trials * trials);
    out->plan.stages = mem_alloc(sizeof *out->plan.stages * stages);
    struct plan_trial *own = add_trial(out, t);
    for (int i = 0; i < t->n_stages; i++) {
        struct plan_stage *g = add_stage(out, own, &p->stages[t->stages[i]]);
        for (int k = 0; k < g->n_needs; k++) g->needs[k] = place_of(t, g->needs[k]);
    }
    for (int i = 0; i < p->n_trials && peers; i++)
        if (i != trial && !p->trials[i].refused) add_peer(out, p, &p->trials[i]);
}

void slurm_part_free(struct slurm_part *part)
{
    free(part->plan.stages);
    free(part->plan.trials);
    free(part->lists);
}
