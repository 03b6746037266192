/*
 * Where a run goes on. best is written before last, so a run that was killed between the two has a best that is
 * further: it continues from that one. At the end best is written without what continuing needs: then it continues from
 * last and knows that a later epoch was better.
 */
#include "run.h"

enum { LAST, BEST, N_FILES };
static const char *const names[N_FILES] = {"last", "best"};

/** A file of the folder. */
struct found {
    bool there; /* damaged or not */
    struct status said;
    struct position at;
};

static void look(struct found *f, const struct run *r, int which)
{
    struct arena a = {0};
    *f = (struct found){.there = fs_exists(arena_printf(&a, "%s/%s.safetensors", r->job->dir, names[which]))};
    f->said = checkpoint_load(r->job, names[which], NULL, &f->at);
    arena_free(&a);
}

/** Whether best is what last knows as the best, or of later: both are whole. */
static bool belongs(const struct found *best, const struct found *last)
{
    return best->at.epoch >= last->at.best_epoch;
}

/** The end needs the weights of the best epoch. Where their file is gone, damaged or older than last knows of, last is
 * them if it is of that epoch; otherwise only a new training makes them again, and last goes. */
static struct status mend_best(struct run *r, struct found f[N_FILES])
{
    const struct position *last = &f[LAST].at;
    bool whole = f[BEST].said.code == STATUS_OK;
    if (f[LAST].said.code != STATUS_OK || last->best_epoch == 0) return ok();
    if (whole && belongs(&f[BEST], &f[LAST])) return ok();
    char why[1200];
    if (whole)
        snprintf(why, sizeof why, "best.safetensors is of epoch %d, and epoch %d was better", f[BEST].at.epoch,
                 last->best_epoch);
    else
        snprintf(why, sizeof why, "%s", f[BEST].said.msg);
    if (last->best_epoch == last->epoch && last->step == 0) {
        train_warn(r->job, "%s; made again from last, which is of the best epoch", why);
        TRY(checkpoint_copy(r->job, "last", "best"));
        position_free(&f[BEST].at);
        look(&f[BEST], r, BEST);
        return ok();
    }
    train_warn(r->job, "%s; it held the weights of epoch %d, and last holds later ones: the training starts again", why,
               last->best_epoch);
    f[LAST].there = false;
    return checkpoint_remove(r->job, "last");
}

static bool is_further(const struct found *best, const struct found *last)
{
    if (best->said.code != STATUS_OK || last->said.code != STATUS_OK || !last->there) return false;
    return best->at.has_state && !last->at.finished && best->at.epoch > last->at.epoch;
}

/** One of the two into the run; false: not used, which is told. */
static struct status take(struct run *r, int which, const char *instead, bool *taken)
{
    struct position at = {0};
    struct status s = checkpoint_load(r->job, names[which], &r->w, &at);
    *taken = s.code == STATUS_OK;
    if (*taken) {
        position_free(&r->at);
        r->at = at;
        log_info("continuing from %s: epoch %d, step %d", names[which], at.epoch + 1, (int)at.step);
        return ok();
    }
    if (s.code != STATUS_ARG && s.code != STATUS_IO) return s;
    train_warn(r->job, "%s; not used, trying %s", s.msg, instead);
    return ok();
}

struct status run_resume(struct run *r, bool *resumed)
{
    struct found f[N_FILES];
    *resumed = false;
    for (int i = 0; i < N_FILES; i++) look(&f[i], r, i);
    struct status s = mend_best(r, f);
    int first = is_further(&f[BEST], &f[LAST]) ? BEST : LAST;
    for (int k = 0; k < N_FILES && !*resumed && s.code == STATUS_OK; k++) {
        int which = k == 0 ? first : N_FILES - 1 - first;
        if (!f[which].there) continue;
        s = take(r, which, k > 0 ? "from the start" : which == LAST ? "the best one" : "the last one", resumed);
    }
    const struct position *best = &f[BEST].at;
    if (*resumed && f[BEST].said.code == STATUS_OK && !r->at.finished && best->epoch > r->at.epoch) {
        r->at.best_epoch = best->best_epoch;
        r->at.best = best->best;
    }
    for (int i = 0; i < N_FILES; i++) position_free(&f[i].at);
    return s;
}
