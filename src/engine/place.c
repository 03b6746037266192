/*
 * Where a run of a stage happens: the GPU that is leased to it, the cores that it may use. The rules are lease.c's;
 * here is the world that they are applied to. A GPU's lease is an flock on a file of the machine, held by us and by
 * every worker on that GPU through a descriptor that it inherits, so the kernel ends the lease when the last of them is
 * gone, whoever was killed. Another sweep on this machine sees it and takes another GPU, or waits.
 */
#include "inside.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const double gib = 1073741824.0;
enum {
    AUTO_FIRST = 4,
    AUTO_MOST = LEASE_MAX_SLOTS /* trainings a GPU, where nobody said how many: at first, and ever */
};

/* ---- the GPUs ---------------------------------------------------------------------------------------------------- */

static struct status choose_gpus(struct engine *e, const struct engine_gpus *g)
{
    struct place *p = &e->place;
    int chosen[ENGINE_MAX_GPUS], n = 0;
    const char *asked = e->o->gpus;
    bool named = asked && strcmp(asked, "none") != 0 && strcmp(asked, "all") != 0;
    if (named && !g->n)
        return fail(STATUS_ARG, "--gpus: got \"%s\", but there is no GPU: %s", asked,
                    g->trouble[0] ? g->trouble : "the driver or CUDA_VISIBLE_DEVICES names none");
    TRY(lease_choose(chosen, &n, asked, g->n));
    p->unknown = g->absent && !asked;
    if (n && !e->o->worker && !engine_cuda()) {
        log_warn(
            "%d GPU%s here, but this build's libtorch is for the CPU alone, which trains; `make setup build` takes "
            "the other one",
            g->n, g->n == 1 ? "" : "s");
        n = 0;
    }
    for (int i = 0; i < n; i++) {
        const struct engine_gpu *v = &g->v[chosen[i]];
        struct place_gpu *d = &p->gpus[p->n];
        *d = (struct place_gpu){.index = v->index, .lock = -1, .busy = -1};
        snprintf(d->name, sizeof d->name, "%s", v->name);
        snprintf(d->uuid, sizeof d->uuid, "%s", v->uuid);
        lease_sees(&p->leases[p->n++], v);
    }
    return ok();
}

/* Each launches its kernels from a core of its own. */
static int auto_most(int n_gpus, int cores)
{
    int each = n_gpus ? cores / n_gpus : 1;
    return each < 1 ? 1 : each < AUTO_MOST ? each : AUTO_MOST;
}

/* Workers at once where nobody says: as many as train on the GPUs, and one that exports and checks meanwhile. */
static int jobs_for(int n_gpus, int slots, int cores)
{
    int train = n_gpus * (slots == LEASE_MAX_SLOTS ? auto_most(n_gpus, cores) : slots);
    int jobs = train ? train + (cores >= 2 * (train + 1)) : 1;
    return jobs < ENGINE_MAX_JOBS ? jobs : ENGINE_MAX_JOBS;
}

struct status engine_check_gpus(const char *gpus, const char *slots)
{
    int chosen[ENGINE_MAX_GPUS], n, each;
    TRY(lease_slots(&each, slots));
    return lease_choose(chosen, &n, gpus, gpus ? ENGINE_MAX_GPUS : 0);
}

struct status engine_jobs(int *out, const char *gpus, const char *slots)
{
    int chosen[ENGINE_MAX_GPUS], n, each;
    TRY(lease_slots(&each, slots));
    struct engine_gpus *g = mem_alloc(sizeof *g);
    struct status st = gpu_chosen(g, chosen, &n, gpus);
    free(g);
    *out = jobs_for(n, each, cores_usable());
    return st;
}

struct status place_init(struct engine *e)
{
    struct place *p = &e->place;
    TRY(lease_slots(&p->slots, e->o->slots));
    bool may = !e->o->gpus || strcmp(e->o->gpus, "none") != 0;
    struct engine_gpus *g = mem_zalloc(sizeof *g);
    if (may) engine_gpus(g);
    if (g->trouble[0] && !g->absent) log_warn("GPUs: %s", g->trouble);
    struct status st = choose_gpus(e, g);
    free(g);
    TRY(st);
    p->cores = cores_usable();
    p->jobs = e->o->jobs > 0 ? e->o->jobs : jobs_for(p->n, p->slots, p->cores);
    if (p->jobs > ENGINE_MAX_JOBS) p->jobs = ENGINE_MAX_JOBS;
    p->n_ids = cores_list(p->ids, PLACE_MAX_CORES);
    for (int i = 0; i < p->n; i++) {
        int cap = e->o->jobs > 0 ? LEASE_MAX_SLOTS : auto_most(p->n, p->cores); /* who gives --jobs knows the cores */
        growth_start(&p->gpus[i].growth, AUTO_FIRST, cap);
    }
    if (p->n) monitor_start(e);
    return ok();
}

void place_free(struct engine *e)
{
    monitor_end(e);
    for (int i = 0; i < e->place.n; i++)
        if (e->place.gpus[i].lock >= 0) close(e->place.gpus[i].lock);
}

json_t *place_names(const struct engine *e)
{
    json_t *names = json_array();
    for (int i = 0; i < e->place.n; i++) json_array_append_new(names, json_string(e->place.gpus[i].name));
    return names;
}

/* ---- the lock of a GPU ------------------------------------------------------------------------------------------- */

static int open_lock(const char *path)
{
    /* In a folder that anybody may write, a file of another user is not opened for making. */
    static const int ways[] = {O_RDWR, O_RDONLY, O_RDWR | O_CREAT};
    int fd = -1;
    for (size_t i = 0; i < LEN(ways) && fd < 0; i++) {
        fd = open(path, ways[i] | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (fd >= 0 && ways[i] & O_CREAT) fchmod(fd, 0666); /* whatever the umask is: others must be able to wait */
    }
    return fd;
}

/* True when the GPU is ours now, or nobody can say that it is not. */
static bool lock_gpu(struct place_gpu *d)
{
    char path[1200];
    const char *dir = getenv("SWEEP_GPU_LOCKS");
    if (d->lock >= 0) return true;
    int n = snprintf(path, sizeof path, "%s/", dir && dir[0] ? dir : "/dev/shm");
    snprintf(path + n, sizeof path - (size_t)n, "sweep-%s.lock", d->uuid);
    for (char *c = path + n; *c; c++)
        if (*c == '/') *c = '_';
    int fd = open_lock(path);
    if (fd < 0) {
        if (!d->told_lock)
            log_warn("%s: %s: another sweep on this machine may take GPU %d, too", path, strerror(errno), d->index);
        d->told_lock = true;
        return true;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        char text[32] = "";
        if (pread(fd, text, sizeof text - 1, 0) <= 0) text[0] = 0;
        snprintf(d->holder, sizeof d->holder, "%s", text);
        close(fd);
        return false;
    }
    locks_sign(fd, getpid());
    d->lock = fcntl(fd, F_DUPFD_CLOEXEC, 10); /* above those that a worker gets under fixed numbers */
    close(fd);
    return true;
}

/* ---- leases ------------------------------------------------------------------------------------------------------ */

bool place_kind(enum plan_kind kind)
{
    static const bool kinds[PLAN_N_KINDS] = {[PLAN_TRAIN] = true, [PLAN_EVALUATE] = true, [PLAN_SAMPLES] = true};
    return kinds[kind];
}

int place_at_once(const struct engine *e, enum plan_kind kind)
{
    const struct place *p = &e->place;
    int n = 0;
    for (int i = 0; i < p->n && kind == PLAN_TRAIN; i++)
        n += p->gpus[i].health.lost ? 0 : p->slots == LEASE_MAX_SLOTS ? p->gpus[i].growth.most : p->slots;
    return n > 0 && n < p->jobs ? n : p->jobs;
}

bool place_wants_gpu(const struct engine *e, int task)
{
    const struct plan_stage *g = &e->p->stages[task];
    return place_kind(g->kind) || (g->kind == PLAN_BENCH && job_in_worker(g->device));
}

struct lease_want place_want(const struct engine *e, int task)
{
    double factor = e->p->stages[task].kind == PLAN_TRAIN ? growth_factor(&e->place.memory) : 1;
    return (struct lease_want){.bytes = (int64_t)(e->run_bytes[task] * factor) + PLACE_BYTES_CONTEXT,
                               .alone = e->tasks[task].alone || queue_measures(e, task)};
}

/* Why a GPU is passed over, once until that changes; that our own runs are there is no news. */
static void tell(struct engine *e, int i, enum lease_answer why, struct lease_want want)
{
    struct place_gpu *d = &e->place.gpus[i];
    const struct lease_gpu *l = &e->place.leases[i];
    int64_t holder;
    if (why == d->told) return;
    /* A worker of ours that was there a moment ago may not be gone altogether. */
    if (why == LEASE_ELSEWHERE && str_to_i64(d->holder, &holder) && holder == getpid()) return;
    d->told = why;
    if (why == LEASE_ELSEWHERE)
        log_warn("GPU %d (%s): another sweep has it (process %s); left out until that ends", d->index, d->name,
                 d->holder[0] ? d->holder : "?");
    else if (why == LEASE_OTHERS && l->exclusive)
        log_warn(
            "GPU %d (%s): it takes one process at a time, and another's is there (`sweep doctor` says whose); left "
            "out until that ends",
            d->index, d->name);
    else if (why == LEASE_OTHERS)
        log_warn("GPU %d (%s): others use %.1f of %.1f GiB, and about %.1f are needed (`sweep doctor` says who); "
                 "left out until they are free; --gpus none trains on the CPU",
                 d->index, d->name, (double)l->bytes_others / gib, (double)l->bytes_total / gib,
                 (double)want.bytes / gib);
}

/* The GPU for a task, its lock held; -1: none now. */
static int pick(struct engine *e, int task)
{
    struct place *p = &e->place;
    struct lease_want want = place_want(e, task);
    for (int i = 0; i < p->n; i++) {
        p->leases[i].elsewhere = false;
        p->leases[i].load_s = ahead_on(e, &p->gpus[i]);
        p->leases[i].lost = !health_usable(&p->gpus[i].health, time_mono());
        p->leases[i].full = place_full(e, i, task);
    }
    for (int i; (i = lease_pick(p->leases, p->n, want, p->slots)) >= 0; p->leases[i].elsewhere = true)
        if (lock_gpu(&p->gpus[i])) return i;
    for (int i = 0; i < p->n; i++) tell(e, i, lease_fits(&p->leases[i], want, p->slots), want);
    return -1;
}

bool place_can(struct engine *e, int task)
{
    if (!e->place.n || !place_wants_gpu(e, task)) return true;
    if (pick(e, task) >= 0) return true;
    e->place.waiting = !place_none_left(e);
    return false;
}

void place_take(struct engine *e, struct worker *w, int task)
{
    struct place *p = &e->place;
    struct task *t = &e->tasks[task];
    t->gpu = NULL;
    t->n_cores = 0;
    if (p->n && place_wants_gpu(e, task)) {
        int i = pick(e, task);
        CHECK(i >= 0, "a run was begun that has no place");
        w->want = place_want(e, task);
        lease_take(&p->leases[i], w->want);
        t->gpu = w->gpu = &p->gpus[i];
        w->gpu->told = LEASE_FITS;
        for (int k = 0; k < ENGINE_MAX_JOBS; k++) /* memory that runs out may be the neighbour's fault */
            if (p->leases[i].n > 1 && e->workers[k].gpu == w->gpu) e->workers[k].crowded = true;
    }
    /* How many share a GPU is found out as they run: a share for the most that there may be would be too small. */
    if (t->gpu && p->slots == LEASE_MAX_SLOTS) return;
    bool alone = queue_measures(e, task) && !e->o->measure_beside;
    if (alone || p->jobs < 2 || !p->n_ids || p->cores < p->n_ids) return; /* a quota is of time, on whatever core */
    int first, n;
    lease_cores(&first, &n, (int)(w - e->workers), p->jobs, p->n_ids);
    if (engine_threads(&e->p->stages[task], p->jobs, p->cores) > n) return; /* more were asked for than a share has */
    t->core = first;
    t->n_cores = n;
}

/* No process of ours is there any more: others may take it. */
static void leave_unused(struct engine *e, int i)
{
    struct place_gpu *d = &e->place.gpus[i];
    if (e->place.leases[i].n || e->place.leases[i].residents) return;
    d->left_at = time_mono();
    if (d->lock >= 0) close(d->lock);
    d->lock = -1;
}

void place_give(struct engine *e, struct worker *w)
{
    if (!w->gpu) return;
    struct lease_gpu *l = &e->place.leases[w->gpu - e->place.gpus];
    lease_give(l, w->want);
    leave_unused(e, (int)(w->gpu - e->place.gpus));
    w->gpu = NULL;
}

void place_resident(struct engine *e, const struct place_gpu *gpu, int change)
{
    if (!gpu) return;
    int i = (int)(gpu - e->place.gpus);
    e->place.leases[i].residents += change;
    leave_unused(e, i);
}

/* ---- what a worker is told of it --------------------------------------------------------------------------------- */

const char *place_compute(const struct engine *e, int task)
{
    return e->tasks[task].gpu ? "cuda" : e->place.unknown ? "auto" : "cpu";
}

char **place_environment(struct arena *a, const struct engine *e, int task, char **from)
{
    /* The second makes cuBLAS add up in the same order each time. */
    static const char visible[] = "CUDA_VISIBLE_DEVICES=", cublas[] = "CUBLAS_WORKSPACE_CONFIG=";
    const struct place_gpu *d = e->tasks[task].gpu;
    size_t n = 0, k = 0;
    bool set = false;
    if (e->place.unknown) return from;
    while (from[n]) n++;
    char **out = arena_alloc(a, sizeof *out * (n + 3));
    for (size_t i = 0; i < n; i++) {
        if (strncmp(from[i], visible, strlen(visible)) == 0) continue;
        set = set || strncmp(from[i], cublas, strlen(cublas)) == 0;
        out[k++] = from[i];
    }
    out[k++] = arena_printf(a, "%s%s", visible, d ? d->uuid : "");
    if (d && !set) out[k++] = arena_printf(a, "%s:4096:8", cublas);
    return out;
}

/* A child inherits the set of cores; the runtimes that it loads count them before its first line runs. */
void place_pin(const struct engine *e, int task, bool on)
{
    const struct task *t = &e->tasks[task];
    const struct place *p = &e->place;
    cpu_set_t set;
    if (!t->n_cores) return;
    CPU_ZERO(&set);
    for (int i = 0; i < (on ? t->n_cores : p->n_ids); i++) CPU_SET((size_t)p->ids[on ? t->core + i : i], &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) log_debug("cores of a worker: %s", strerror(errno));
}

void place_info(const struct engine *e, int task, json_t *info)
{
    const struct task *t = &e->tasks[task];
    if (t->gpu) {
        json_object_set_new(info, "gpu", json_string(t->gpu->uuid));
        json_object_set_new(info, "gpu_name", json_string(t->gpu->name));
    }
    struct str cores = {0};
    for (int i = 0; i < t->n_cores; i++) str_addf(&cores, "%s%d", i ? "," : "", e->place.ids[t->core + i]);
    if (cores.n) json_object_set_new(info, "worker_cores", json_string(cores.s));
    str_free(&cores);
}
