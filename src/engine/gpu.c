/*
 * GPUs as the driver's own library (NVML) tells of them: loaded by dlopen, since most machines have none. It is asked
 * in a process of its own with a limit on its time, so that a library that is broken, old or hangs costs a message,
 * never the run; while a run goes on such a process stays and tells again and again (monitor.c). NVML's structures only
 * grew at their ends or under new names; both forms that are used stand below.
 */
#include "inside.h"
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MAX_SEEN = 64,
    NVML_NO_PERMISSION = 4,
    NVML_SMALL = 7,  /* more processes than room for them */
    MODE_DEFAULT = 0 /* of computing: any number of processes */
};

struct memory {
    unsigned long long total, free, used;
};
struct utilization {
    unsigned gpu, memory; /* percent of the driver's last period in which a kernel ran, memory was read or written */
};
/* Of a process: the first form ends after the bytes; later ones add two numbers of MIG. */
struct process_1 {
    unsigned pid;
    unsigned long long bytes;
};
struct process_2 {
    unsigned pid;
    unsigned long long bytes;
    unsigned instance[2];
};

struct nvml {
    int (*start)(void);
    int (*stop)(void);
    int (*count)(unsigned *);
    int (*device)(unsigned, void **);
    int (*name)(void *, char *, unsigned);
    int (*uuid)(void *, char *, unsigned);
    int (*memory)(void *, struct memory *);
    int (*utilization)(void *, struct utilization *);
    int (*capability)(void *, int *, int *);
    int (*mode)(void *, int *);
    int (*processes)(void *, unsigned *, void *);
    int (*processes_1)(void *, unsigned *, void *);
    const char *(*text)(int);
};

/* clang-format off */
static const struct {
    size_t at;
    const char *names[3]; /* the newest first */
    bool needed;
} symbols[] = {
    {offsetof(struct nvml, start), {"nvmlInit_v2", "nvmlInit"}, true},
    {offsetof(struct nvml, stop), {"nvmlShutdown"}, true},
    {offsetof(struct nvml, count), {"nvmlDeviceGetCount_v2", "nvmlDeviceGetCount"}, true},
    {offsetof(struct nvml, device), {"nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex"}, true},
    {offsetof(struct nvml, name), {"nvmlDeviceGetName"}, true},
    {offsetof(struct nvml, uuid), {"nvmlDeviceGetUUID"}, true},
    {offsetof(struct nvml, memory), {"nvmlDeviceGetMemoryInfo"}, true},
    {offsetof(struct nvml, utilization), {"nvmlDeviceGetUtilizationRates"}, false},
    {offsetof(struct nvml, capability), {"nvmlDeviceGetCudaComputeCapability"}, false},
    {offsetof(struct nvml, mode), {"nvmlDeviceGetComputeMode"}, false},
    {offsetof(struct nvml, processes),
     {"nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2"}, false},
    {offsetof(struct nvml, processes_1), {"nvmlDeviceGetComputeRunningProcesses"}, false},
    {offsetof(struct nvml, text), {"nvmlErrorString"}, false},
};
/* clang-format on */

/* Of a GPU that was there and is not: not found, fell off the bus, must be reset. Another error says nothing of it. */
static bool is_gone(int rc)
{
    static const int codes[] = {6, 15, 16, 28};
    for (size_t i = 0; i < LEN(codes); i++)
        if (codes[i] == rc) return true;
    return false;
}

static void trouble(struct engine_gpus *g, const char *fmt, ...) PRINTF(2, 3);
static void trouble(struct engine_gpus *g, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    if (!g->trouble[0]) vsnprintf(g->trouble, sizeof g->trouble, fmt, args);
    va_end(args);
}

static bool find_symbols(struct nvml *n, void *lib, struct engine_gpus *g)
{
    for (size_t i = 0; i < LEN(symbols); i++) {
        void *f = NULL;
        for (int k = 0; !f && symbols[i].names[k]; k++) f = dlsym(lib, symbols[i].names[k]);
        memcpy((char *)n + symbols[i].at, &f, sizeof f);
        if (f || !symbols[i].needed) continue;
        trouble(g, "%s: it has no %s: too old a driver, or another library; update the driver", g->library,
                symbols[i].names[0]);
        return false;
    }
    return true;
}

static bool good(const struct nvml *n, struct engine_gpus *g, int rc, const char *what)
{
    if (rc == 0) return true;
    if (!is_gone(rc)) g->whole = false;
    const char *text = n->text ? n->text(rc) : NULL;
    trouble(g, "%s: %s: error %d%s%s; `nvidia-smi` may say more", g->library, what, rc, text ? ": " : "",
            text ? text : "");
    return false;
}

/* Who computes there: those that were started by others are told from ours by whoever asks. */
static void read_processes(struct engine_gpu *v, const struct nvml *n, void *device)
{
    union {
        struct process_1 one[MAX_SEEN];
        struct process_2 two[MAX_SEEN];
    } seen;
    unsigned count = MAX_SEEN;
    memset(&seen, 0, sizeof seen);
    bool newer = n->processes != NULL;
    int rc = newer ? n->processes(device, &count, &seen) : n->processes_1 ? n->processes_1(device, &count, &seen) : -1;
    if (rc != 0 && rc != NVML_SMALL) return;
    if (count > MAX_SEEN) count = MAX_SEEN;
    for (unsigned i = 0; i < count && v->n_processes < ENGINE_GPU_PROCESSES; i++) {
        unsigned long long bytes = newer ? seen.two[i].bytes : seen.one[i].bytes;
        bool known = bytes <= (unsigned long long)v->bytes_total; /* "not available" is the greatest number */
        v->processes[v->n_processes++] = (struct engine_gpu_process){
            .pid = (int)(newer ? seen.two[i].pid : seen.one[i].pid), .bytes = known ? (int64_t)bytes : 0};
    }
}

static void read_gpu(struct engine_gpus *g, const struct nvml *n, unsigned index)
{
    void *device = NULL;
    struct memory m = {0};
    struct engine_gpu v = {.index = g->n, .busy = -1};
    struct utilization u = {0};
    /* One that a site's container or cgroup keeps from us is none of ours, and CUDA does not count it either. */
    int rc = n->device(index, &device);
    if (rc != 0 && rc != NVML_NO_PERMISSION && !is_gone(rc)) g->whole = false;
    if (rc != 0) return;
    if (!good(n, g, n->name(device, v.name, sizeof v.name - 1), "a GPU's name")) return;
    if (!good(n, g, n->uuid(device, v.uuid, sizeof v.uuid - 1), "a GPU's UUID")) return;
    if (!good(n, g, n->memory(device, &m), "a GPU's memory")) return;
    v.bytes_total = m.total > INT64_MAX ? INT64_MAX : (int64_t)m.total;
    v.bytes_free = m.free > m.total ? v.bytes_total : (int64_t)m.free;
    if (!n->capability || n->capability(device, &v.capability[0], &v.capability[1]) != 0)
        v.capability[0] = v.capability[1] = 0;
    if (n->utilization && n->utilization(device, &u) == 0 && u.gpu <= 100) v.busy = (int)u.gpu;
    int mode = MODE_DEFAULT;
    v.exclusive = n->mode && n->mode(device, &mode) == 0 && mode != MODE_DEFAULT;
    read_processes(&v, n, device);
    g->v[g->n++] = v;
}

static bool start(struct nvml *n, struct engine_gpus *g)
{
    void *lib = dlopen(g->library, RTLD_NOW | RTLD_LOCAL);
    if (!lib) {
        g->absent = true;
        trouble(g, "%s cannot be loaded: no NVIDIA driver here", g->library);
        return false;
    }
    return find_symbols(n, lib, g) && good(n, g, n->start(), "it does not start");
}

static void read_all(struct engine_gpus *g, const struct nvml *n)
{
    unsigned count = 0;
    g->whole = true;
    g->counted = good(n, g, n->count(&count), "how many GPUs there are");
    for (unsigned i = 0; g->counted && i < count && g->n < ENGINE_MAX_GPUS; i++) read_gpu(g, n, i);
}

static void ask(struct engine_gpus *g)
{
    struct nvml n = {0};
    if (!start(&n, g)) return;
    read_all(g, &n);
    n.stop();
}

static bool tell(int to, const struct engine_gpus *g)
{
    for (size_t at = 0; at < sizeof *g;) {
        ssize_t n = write(to, (const char *)g + at, sizeof *g - at);
        if (n <= 0 && errno != EINTR) return false;
        if (n > 0) at += (size_t)n;
    }
    return true;
}

_Noreturn void gpu_tell_on(int to, const char *library, int ms_between)
{
    struct nvml n = {0};
    struct engine_gpus *g = mem_zalloc(sizeof *g);
    snprintf(g->library, sizeof g->library, "%s", library);
    bool started = start(&n, g);
    do {
        *g = (struct engine_gpus){.asked = time_mono()};
        snprintf(g->library, sizeof g->library, "%s", library);
        if (started) read_all(g, &n);
        if (!tell(to, g)) break; /* nobody listens any more */
        usleep((useconds_t)ms_between * 1000);
    } while (started);
    _exit(0);
}

/* Reads what the child says until it ends, but no longer than the limit. */
static size_t collect(int from, void *out, size_t size, int ms_limit)
{
    size_t got = 0;
    double start = time_mono();
    struct pollfd p = {.fd = from, .events = POLLIN};
    while (got < size) {
        int left = ms_limit - (int)((time_mono() - start) * 1e3);
        int ready = left > 0 ? poll(&p, 1, left) : 0;
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) break;
        ssize_t n = read(from, (char *)out + got, size - got);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        got += (size_t)n;
    }
    return got;
}

static _Noreturn void child(int to, const char *library)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct engine_gpus *g = mem_zalloc(sizeof *g);
    snprintf(g->library, sizeof g->library, "%s", library);
    ask(g);
    _exit(tell(to, g) ? 0 : 1);
}

void gpu_ask(struct engine_gpus *out, const char *library, int ms_limit)
{
    int ends[2] = {-1, -1}, how = 0;
    memset(out, 0, sizeof *out);
    snprintf(out->library, sizeof out->library, "%s", library);
    fflush(NULL);
    pid_t pid = pipe(ends) == 0 ? fork() : -1;
    if (pid == 0) child(ends[1], library);
    if (pid < 0) {
        trouble(out, "a process that asks for GPUs cannot be started: %s", strerror(errno));
        for (int i = 0; i < 2; i++) /* there was a pipe, if it was the process that was refused */
            if (ends[i] >= 0) close(ends[i]);
        return;
    }
    close(ends[1]);
    struct engine_gpus *said = mem_zalloc(sizeof *said);
    double start = time_mono();
    bool whole = collect(ends[0], said, sizeof *said, ms_limit) == sizeof *said;
    close(ends[0]);
    if (!whole) kill(pid, SIGKILL);
    while (waitpid(pid, &how, 0) < 0 && errno == EINTR) continue;
    if (whole)
        *out = *said;
    else if ((time_mono() - start) * 1e3 >= ms_limit)
        trouble(out, "%s: it gave no answer for %g s; is the driver sound? `nvidia-smi` may say more", library,
                ms_limit / 1e3);
    else
        trouble(out, "%s: it crashed (signal %d) when it was asked for GPUs; reinstall the driver", library,
                WIFSIGNALED(how) ? WTERMSIG(how) : 0);
    free(said);
}

/* The GPU that an entry of CUDA_VISIBLE_DEVICES means; -1: none. */
static int meant(const struct engine_gpus *g, const char *entry)
{
    int64_t index;
    if (str_to_i64(entry, &index)) return index >= 0 && index < g->n ? (int)index : -1;
    for (int i = 0; i < g->n; i++)
        if (strncmp(entry, "GPU-", 4) == 0 && strncmp(g->v[i].uuid, entry, strlen(entry)) == 0) return i;
    return -1;
}

void gpu_visible(struct engine_gpus *g, const char *text)
{
    if (!text) return;
    struct engine_gpus *all = mem_alloc(sizeof *all);
    *all = *g;
    g->n = 0;
    for (const char *p = text; *p && g->n < ENGINE_MAX_GPUS; p += strcspn(p, ","), p += *p == ',') {
        char entry[sizeof g->v[0].uuid];
        snprintf(entry, sizeof entry, "%.*s", (int)strcspn(p, ","), p);
        bool part = strncmp(entry, "MIG-", 4) == 0; /* of a GPU, of which NVML's list says nothing */
        int i = part ? -1 : meant(all, entry);
        if (i < 0 && !part) break; /* as CUDA does: what follows an entry that is not there is not there either */
        struct engine_gpu *v = &g->v[g->n];
        *v = i >= 0 ? all->v[i] : (struct engine_gpu){.name = "a part of a GPU (MIG)"};
        if (part) snprintf(v->uuid, sizeof v->uuid, "%s", entry);
        v->index = g->n++;
    }
    free(all);
}

const char *gpu_library(void)
{
    const char *library = getenv("SWEEP_NVML");
    return library && library[0] ? library : "libnvidia-ml.so.1";
}

void engine_gpus(struct engine_gpus *out)
{
    gpu_ask(out, gpu_library(), 10000);
    gpu_visible(out, getenv("CUDA_VISIBLE_DEVICES"));
}

struct status gpu_chosen(struct engine_gpus *g, int chosen[ENGINE_MAX_GPUS], int *n, const char *gpus)
{
    *n = 0;
    if (!engine_cuda() || (gpus && strcmp(gpus, "none") == 0)) return ok();
    engine_gpus(g);
    return lease_choose(chosen, n, gpus, g->n);
}

struct status engine_precision(const char **out, const char *gpus)
{
    int chosen[ENGINE_MAX_GPUS], n;
    struct engine_gpus *g = mem_alloc(sizeof *g);
    struct status st = gpu_chosen(g, chosen, &n, gpus);
    *out = n ? "bf16" : NULL;
    for (int i = 0; i < n; i++) /* those before Ampere compute in it by detours */
        if (g->v[chosen[i]].capability[0] > 0 && g->v[chosen[i]].capability[0] < 8) *out = "fp16";
    free(g);
    return st;
}

bool engine_cuda(void)
{
    return ENGINE_CUDA;
}
