/*
 * More epochs for a finished training: its checkpoints under our own name, from which the loop then goes on as after
 * any stop. To the bit what a training of that length would have come to, since nothing before the last step depends on
 * how many epochs there are (the coordinator sees to the schedule).
 */
#include "parts.h"

static char *path_in(struct arena *a, const char *dir, const char *name)
{
    return arena_printf(a, "%s/%s.safetensors", dir, name);
}

static void tell_anew(const struct train_job *job, const char *why)
{
    struct arena a = {0};
    train_emit(
        job, "log", "{s:s, s:s}", "level", "info", "text",
        arena_printf(&a, "%s has fewer epochs of the same training, but %s: this one starts anew", job->from_dir, why));
    arena_free(&a);
}

/* Arrays, position and hash stay; only whose they are changes. */
static struct status sign(const struct weights *w, const struct train_job *job, const char *name)
{
    struct arena a = {0};
    json_t *meta = json_copy(w->meta);
    json_object_set_new(meta, KEY, json_string(job->key ? job->key : ""));
    json_object_set_new(meta, TRIAL, json_string(job->id ? job->id : ""));
    struct status s = weights_save(path_in(&a, job->dir, name), w->a, w->n, meta);
    json_decref(meta);
    arena_free(&a);
    return s;
}

/* The best file first: last is the commit. */
static struct status adopt(const struct weights *last, const struct weights *best, const struct train_job *job)
{
    if (best) TRY(sign(best, job, "best"));
    return sign(last, job, "last");
}

/** A training of more epochs would not have looked at the validation pairs after an epoch that was only the last. */
static bool in_turn(const struct train_job *job, const struct weights *last)
{
    int every = job->trial->train.validate_every;
    return every <= 1 || position_epoch(last) % every == 0;
}

struct status longer_adopt(const struct train_job *job)
{
    struct arena a = {0};
    struct weights last, best;
    struct status s = ok();
    bool begun = fs_exists(path_in(&a, job->dir, "last"));
    if (job->from_dir && !begun) {
        struct status there = weights_load(&last, path_in(&a, job->from_dir, "last"));
        bool ours = there.code == STATUS_OK && strcmp(json_str(last.meta, KEY, ""), job->from_key) == 0;
        if (!ours)
            tell_anew(job, "its last checkpoint is gone");
        else if (!weights_find(&last, STATE "updates"))
            tell_anew(job, "the optimiser's state was dropped when it was done (keep: all keeps it)");
        else if (!in_turn(job, &last))
            tell_anew(job, "its last epoch was validated out of turn (train.validate_every)");
        else {
            bool has_best = weights_load(&best, path_in(&a, job->from_dir, "best")).code == STATUS_OK;
            s = adopt(&last, has_best ? &best : NULL, job);
            if (has_best) weights_free(&best);
        }
        if (there.code == STATUS_OK) weights_free(&last);
    }
    arena_free(&a);
    return s;
}
