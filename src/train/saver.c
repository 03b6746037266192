/* Checkpoints beside the steps: what is written when, in which order, and by whom. */
#include "saver.h"
#include <signal.h>
#include <unistd.h>

static const char *const files[] = {"best", "last"};

/* ---- drafts --------------------------------------------------------------------------------------------------- */

static void draft_free(struct draft *d)
{
    arrays_free(&d->arrays);
    free(d->position);
    *d = (struct draft){0};
}

/** Where @p text is NULL the position is told by @p p. */
static struct status draft_make(struct draft *d, const struct snapshot *from, const struct position *p,
                                const char *text, bool with_state)
{
    d->position = text ? mem_strdup(text) : position_text(p);
    return snapshot_arrays(&d->arrays, from, with_state);
}

static struct status draft_of_run(struct draft *d, const struct weights_state *w, const struct position *p,
                                  bool with_state)
{
    struct snapshot now;
    snapshot_view(&now, w);
    struct status s = draft_make(d, &now, p, NULL, with_state);
    snapshot_free(&now);
    return s;
}

static struct status draft_write(struct draft *d, const struct train_job *job, const char *name)
{
    return d->said = checkpoint_write(job, name, &d->arrays, d->position);
}

/* ---- the thread ----------------------------------------------------------------------------------------------- */

/** last knows of its best, so it comes after it; where they are of one epoch they are one file. */
static void write_both(struct saver *s)
{
    struct draft *best = &s->now.best, *last = &s->now.last;
    if (best->position) draft_write(best, s->job, "best");
    if (best->said.code != STATUS_OK)
        last->said = best->said;
    else if (last->position)
        draft_write(last, s->job, "last");
    else
        last->said = checkpoint_copy(s->job, "best", "last");
}

static void *beside(void *arg)
{
    struct saver *s = arg;
    write_both(s);
    atomic_store(&s->now.ended, true);
    return NULL;
}

/** False when no thread is to be had. Signals are for the thread that steps. */
static bool start(struct saver *s)
{
    sigset_t all, before;
    atomic_store(&s->now.ended, false);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    s->now.running = pthread_create(&s->now.thread, NULL, beside, s) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return s->now.running;
}

static void tell_failure(struct saver *s, const struct status *said)
{
    if (!s->warned) train_warn(s->job, "%s; training goes on, and it is tried again at the next checkpoint", said->msg);
    s->warned = true;
}

/** What became of the write that was under way. */
static struct status settle(struct saver *s, bool tell)
{
    struct draft *best = &s->now.best, *last = &s->now.last;
    if (best->position && best->said.code == STATUS_OK && s->now.best_epoch == s->best_epoch) s->held = false;
    struct status said = last->said;
    if (said.code == STATUS_OK)
        s->warned = false;
    else if (tell)
        tell_failure(s, &said);
    draft_free(best);
    draft_free(last);
    return said;
}

static void await(struct saver *s)
{
    if (!s->now.running) return;
    pthread_join(s->now.thread, NULL);
    s->now.running = false;
    settle(s, true);
}

/** Drafts of what is to be written now. */
static struct status prepare(struct saver *s, const struct weights_state *w, const struct position *p)
{
    bool one = s->held && s->best_epoch == p->epoch && p->step == 0;
    struct status st = ok();
    s->now.best_epoch = s->best_epoch;
    if (s->held) st = draft_make(&s->now.best, &s->best, NULL, s->best_text, true);
    if (st.code == STATUS_OK && !one) st = draft_of_run(&s->now.last, w, p, true);
    if (st.code == STATUS_OK) return ok();
    draft_free(&s->now.best);
    draft_free(&s->now.last);
    return st;
}

/* ---- outside -------------------------------------------------------------------------------------------------- */

/* A writer that was killed leaves its file under another name (fs_begin, checkpoint_copy); nobody else writes in this
 * folder. */
static void clear_halves(const struct train_job *job)
{
    struct arena a = {0};
    char **names;
    size_t n = 0;
    if (fs_list(&names, &n, &a, job->dir).code != STATUS_OK) n = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < LEN(files); k++) {
            const char *begins = arena_printf(&a, "%s.safetensors.", files[k]);
            if (strncmp(names[i], begins, strlen(begins)) == 0) unlink(fs_join(&a, job->dir, names[i]));
        }
    arena_free(&a);
}

void saver_open(struct saver *s, const struct train_job *job)
{
    *s = (struct saver){.job = job, .written = time_mono()};
    clear_halves(job);
}

void saver_close(struct saver *s)
{
    await(s);
    snapshot_free(&s->best);
    free(s->best_text);
    s->best_text = NULL;
}

/** One file, now. */
static struct status write_now(struct saver *s, const char *name, const struct snapshot *from, const struct position *p,
                               const char *text, bool with_state)
{
    struct draft d = {.position = NULL};
    struct status st = draft_make(&d, from, p, text, with_state);
    if (st.code == STATUS_OK) st = draft_write(&d, s->job, name);
    if (st.code == STATUS_ARG) snprintf(s->no_number, sizeof s->no_number, "%s", st.msg);
    draft_free(&d);
    return st;
}

/* A GPU that has no room for a copy: the file is written at once. */
static struct status hold_on_disk(struct saver *s, const struct weights_state *w, const struct position *p)
{
    struct snapshot now;
    await(s);
    snapshot_free(&s->best);
    snapshot_view(&now, w);
    struct status st = write_now(s, "best", &now, p, NULL, true);
    snapshot_free(&now);
    return st;
}

struct status saver_hold(struct saver *s, const struct weights_state *w, const struct position *p)
{
    struct status st = snapshot_keep(&s->best, w);
    s->held = st.code == STATUS_OK;
    if (st.code == STATUS_OOM) st = hold_on_disk(s, w, p);
    free(s->best_text);
    s->best_text = position_text(p);
    s->best_epoch = p->best_epoch;
    return st;
}

/** Whether an epoch's end is a time to write: both by epochs and by seconds. */
static bool is_time(const struct saver *s, const struct position *p)
{
    const struct spec_trial *t = s->job->trial;
    int every = t->train.checkpoint_every > 0 ? t->train.checkpoint_every : 1;
    if (p->epoch % every != 0 || time_mono() - s->written < t->train.checkpoint_s) return false;
    return t->train.checkpoint_s <= 0 || !s->now.running ||
           atomic_load(&s->now.ended); /* a slow disk holds up nobody */
}

struct status saver_epoch(struct saver *s, const struct weights_state *w, const struct position *p)
{
    if (s->now.running && atomic_load(&s->now.ended)) await(s); /* what it took is free again */
    if (!is_time(s, p)) return ok();
    await(s);
    TRY(prepare(s, w, p));
    s->written = time_mono();
    if (start(s)) return ok();
    write_both(s);
    settle(s, true);
    return ok();
}

struct status saver_stop(struct saver *s, const struct weights_state *w, const struct position *p)
{
    await(s);
    TRY(prepare(s, w, p));
    write_both(s);
    struct status st = settle(s, false);
    if (st.code == STATUS_ARG) snprintf(s->no_number, sizeof s->no_number, "%s", st.msg);
    return st;
}

struct status saver_finish(struct saver *s, const struct weights_state *w, struct position *p, bool state)
{
    struct snapshot end;
    struct status st = ok();
    await(s);
    if (p->best_epoch == 0) {
        p->best_epoch = p->epoch;
        s->held = false;
    }
    bool one = p->best_epoch == p->epoch && !state, held = s->held;
    snapshot_view(&end, w);
    if (p->best_epoch == p->epoch && state)
        st = write_now(s, "best", &end, p, NULL, false);
    else if (!one && held)
        st = write_now(s, "best", &s->best, NULL, s->best_text, false);
    p->finished = state ? 0 : 1;
    if (st.code == STATUS_OK) st = write_now(s, "last", &end, p, NULL, state);
    p->finished = 1;
    snapshot_free(&end);
    if (st.code == STATUS_OK && one) st = checkpoint_copy(s->job, "last", "best");
    if (st.code == STATUS_OK && !one && !held && p->best_epoch != p->epoch) st = checkpoint_strip(s->job, "best");
    if (st.code == STATUS_OK) s->held = false;
    return st;
}
