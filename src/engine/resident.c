/*
 * Processes that stay. One that has ended a run well waits for the next one that wants what it was started for, the
 * same GPU and cores, and so pays once for loading libtorch and for the GPU's context. While it waits it holds no lock
 * of a stage: each run's files, its lock among them, are handed over with the run (base/pass.c) and closed before the
 * run's last word. A lease of a GPU it holds for as long as it lives, so it is ended when no run that wants a GPU is
 * left.
 *
 * What waits has nothing to lose, so it is ended by SIGKILL. One is not kept after anything but a run that ended well,
 * after so many runs, and when it holds more memory than after its first run by more than a bound.
 */
#include "inside.h"
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_RUNS = 100 };
static const int64_t most_growth = 256LL << 20;

bool resident_may(const struct engine *e, int task)
{
    const struct place_gpu *gpu = e->tasks[task].gpu;
    if (e->o->fresh || queue_measures(e, task) || job_program(e, task) != e->worker_path) return false;
    return !gpu || !e->place.leases[gpu - e->place.gpus].exclusive; /* that takes one process, waiting or not */
}

static void end(struct engine *e, struct resident *r)
{
    (void)e;
    if (!r->pid || r->leaving) return;
    kill(-r->pid, SIGKILL);
    close(r->channel);
    close(r->fd);
    r->leaving = true;
}

/* One that has something to say, or is gone, cannot be trusted with a run. */
static bool is_quiet(const struct resident *r)
{
    return poll(&(struct pollfd){.fd = r->fd, .events = POLLIN}, 1, 0) == 0;
}

static bool fits(const struct resident *r, const struct task *t)
{
    return r->pid && !r->leaving && r->gpu == t->gpu && r->n_cores == t->n_cores && (!t->n_cores || r->core == t->core);
}

bool resident_hire(struct engine *e, struct worker *w, int task, const int *fds, int n)
{
    const struct task *t = &e->tasks[task];
    for (;;) {
        struct resident *best = NULL;
        for (int i = 0; i < ENGINE_MAX_RESTS; i++) {
            struct resident *r = &e->rests[i];
            if (t->fresh || !fits(r, t)) continue;
            if (!best || r->trial == e->p->stages[task].trial || r->since > best->since) best = r;
            if (best->trial == e->p->stages[task].trial) break;
        }
        if (!best) return false;
        if (is_quiet(best) && pass_send(best->channel, fds, n)) {
            w->home = *best;
            w->home.bytes_hired = process_bytes(best->pid);
            *best = (struct resident){0};
            w->pid = w->home.pid;
            w->fd = w->home.fd;
            w->stays = true;
            return true;
        }
        end(e, best);
    }
}

/* Makes room for one more: as many processes as runs at once, on the GPUs and beside them. */
static void make_room(struct engine *e, const struct place_gpu *gpu)
{
    int n = 0;
    struct resident *oldest = NULL;
    for (int i = 0; i < ENGINE_MAX_JOBS; i++) n += e->workers[i].stays && !e->workers[i].home.gpu == !gpu;
    for (int i = 0; i < ENGINE_MAX_RESTS; i++) {
        struct resident *r = &e->rests[i];
        if (!r->pid || r->leaving || !r->gpu != !gpu) continue;
        n++;
        if (!oldest || r->since < oldest->since) oldest = r;
    }
    if (oldest && n > e->place.jobs) end(e, oldest);
}

void resident_begins(struct engine *e, struct worker *w, int channel)
{
    const struct task *t = &e->tasks[w->task];
    w->home = (struct resident){
        .pid = w->pid, .fd = w->fd, .channel = channel, .gpu = t->gpu, .core = t->core, .n_cores = t->n_cores};
    w->stays = true;
    place_resident(e, t->gpu, 1);
    make_room(e, t->gpu);
}

static bool has_grown(struct engine *e, const struct worker *w)
{
    const struct limits l = limits_of(e->o, &e->p->trials[e->p->stages[w->task].trial].t);
    int64_t bound = l.bytes > 0 && l.bytes / 8 < most_growth ? l.bytes / 8 : most_growth;
    return process_bytes(w->pid) > w->home.bytes_first + bound;
}

void resident_rests(struct engine *e, struct worker *w)
{
    struct resident *free_place = NULL, *r = &w->home;
    for (int i = 0; i < ENGINE_MAX_RESTS && !free_place; i++)
        if (!e->rests[i].pid) free_place = &e->rests[i];
    CHECK(free_place, "more processes that wait than there can be");
    if (!r->runs++) r->bytes_first = process_bytes(w->pid);
    r->trial = e->p->stages[w->task].trial;
    r->since = time_mono();
    *free_place = *r;
    bool keeps = !w->asked && !w->trouble[0] && w->fd >= 0 && r->runs < MOST_RUNS && !e->stopping;
    if (w->fd < 0) free_place->fd = -1;
    if (!keeps || has_grown(e, w)) end(e, free_place);
}

void resident_ended(struct engine *e, struct worker *w)
{
    if (!w->stays) return;
    close(w->home.channel);
    place_resident(e, w->home.gpu, -1);
}

void resident_leave(struct engine *e, const struct place_gpu *gpu)
{
    for (int i = 0; i < ENGINE_MAX_RESTS; i++)
        if (e->rests[i].pid && e->rests[i].gpu == gpu) end(e, &e->rests[i]);
}

/* A run that wants a GPU may still come; those of one machine's plan end from its beginning on, by and large. */
static bool gpu_work_left(struct engine *e)
{
    while (e->gpu_left < e->p->n_stages) {
        const struct task *t = &e->tasks[e->gpu_left];
        if (t->state != TASK_ENDED && place_wants_gpu(e, e->gpu_left)) return true;
        e->gpu_left++;
    }
    return false;
}

static bool reap(struct engine *e, struct resident *r, int how)
{
    if (waitpid(r->pid, NULL, how) != r->pid) return false;
    if (!r->leaving) { /* by itself, or somebody ended it */
        close(r->channel);
        close(r->fd);
    }
    place_resident(e, r->gpu, -1);
    *r = (struct resident){0};
    return true;
}

void residents_tidy(struct engine *e)
{
    for (int i = 0; i < ENGINE_MAX_RESTS; i++) {
        struct resident *r = &e->rests[i];
        if (!r->pid || reap(e, r, WNOHANG) || r->leaving) continue;
        if (e->stopping || !is_quiet(r) || (r->gpu && !gpu_work_left(e))) end(e, r);
    }
}

void residents_end(struct engine *e)
{
    for (int i = 0; i < ENGINE_MAX_RESTS; i++) end(e, &e->rests[i]);
    for (int i = 0; i < ENGINE_MAX_RESTS; i++)
        if (e->rests[i].pid) reap(e, &e->rests[i], 0);
}
