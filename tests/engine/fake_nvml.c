/*
 * A driver library as engine/gpu.c loads it, that tells what the file named by FAKE_NVML says. A line is a GPU:
 *     NAME TOTAL_MIB FREE_MIB CAPABILITY [exclusive] [lost=CODE] [busy=PERCENT] [PID=MIB ...]
 * or an order: "fail start|count|device|name|memory|utilization CODE", "crash", "hang". The file is read at each start
 * and each count, so that a test may change it. With OLD there are only the first forms of the interface, with NONE
 * none.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 8, MOST_PROCESSES = 4 };
static struct gpu {
    char name[64];
    unsigned long long total, free;
    int major, minor, mode, n;
    unsigned busy;
    int lost;
    unsigned pids[MOST_PROCESSES];
    unsigned long long bytes[MOST_PROCESSES];
} gpus[MOST];
static unsigned n_gpus;
static char failing[32];
static int code;

struct process {
    unsigned pid;
    unsigned long long bytes;
#ifndef OLD
    unsigned instance[2];
#endif
};

static int fails(const char *what)
{
    return strcmp(failing, what) == 0 ? code : 0;
}

static void take_processes(struct gpu *g, const char *p)
{
    unsigned pid;
    unsigned long long mib;
    for (int n = 0; g->n < MOST_PROCESSES && sscanf(p, " %u=%llu%n", &pid, &mib, &n) == 2; p += n) {
        g->pids[g->n] = pid;
        g->bytes[g->n++] = mib << 20;
    }
}

static void take(const char *line)
{
    int n = 0;
    struct gpu g = {.n = 0};
    if (strncmp(line, "crash", 5) == 0) abort();
    if (strncmp(line, "hang", 4) == 0)
        for (;;) pause();
    if (sscanf(line, "fail %31s %d", failing, &code) == 2) return;
    if (n_gpus == MOST ||
        sscanf(line, "%63s %llu %llu %d.%d%n", g.name, &g.total, &g.free, &g.major, &g.minor, &n) != 5)
        return;
    int word = 0;
    sscanf(line + n, " exclusive%n", &word);
    g.mode = word ? 3 : 0;
    n += word;
    int busy = 0, lost = 0;
    sscanf(line + n, " lost=%d%n", &g.lost, &lost);
    n += lost;
    sscanf(line + n, " busy=%u%n", &g.busy, &busy);
    n += busy;
    g.total <<= 20;
    g.free <<= 20;
    take_processes(&g, line + n);
    gpus[n_gpus++] = g;
}

static void read_file(void)
{
    char line[400];
    const char *path = getenv("FAKE_NVML");
    FILE *f = path ? fopen(path, "r") : NULL;
    n_gpus = 0;
    failing[0] = 0;
    while (f && fgets(line, sizeof line, f)) take(line);
    if (f) fclose(f);
}

static int start(void)
{
    read_file();
    return fails("start");
}

static int count(unsigned *n)
{
    read_file();
    *n = n_gpus;
    return fails("count");
}

static int device(unsigned i, void **out)
{
    *out = &gpus[i];
    if (i >= n_gpus) return 2;
    if (gpus[i].lost) return gpus[i].lost;
    return i == 0 ? fails("device") : 0;
}

static int processes(struct gpu *g, unsigned *n, struct process *out)
{
    for (int i = 0; i < g->n && (unsigned)i < *n; i++) {
        out[i].pid = g->pids[i];
        out[i].bytes = g->bytes[i];
    }
    *n = (unsigned)g->n;
    return 0;
}

/* The names are the driver's. */
#if defined(OLD)
#define AS(new, old) old
#elif defined(NONE)
#define AS(new, old) other_##new
#else
#define AS(new, old) new
#endif
int AS(nvmlInit_v2, nvmlInit)(void);
int nvmlShutdown(void);
int AS(nvmlDeviceGetCount_v2, nvmlDeviceGetCount)(unsigned *n);
int AS(nvmlDeviceGetHandleByIndex_v2, nvmlDeviceGetHandleByIndex)(unsigned i, void **out);
int nvmlDeviceGetName(struct gpu *g, char *out, unsigned n);
int nvmlDeviceGetUUID(struct gpu *g, char *out, unsigned n);
int nvmlDeviceGetMemoryInfo(struct gpu *g, unsigned long long out[3]);
int AS(nvmlDeviceGetComputeRunningProcesses_v3, nvmlDeviceGetComputeRunningProcesses)(struct gpu *g, unsigned *n,
                                                                                      struct process *out);

int AS(nvmlInit_v2, nvmlInit)(void)
{
    return start();
}
int nvmlShutdown(void)
{
    return 0;
}
int AS(nvmlDeviceGetCount_v2, nvmlDeviceGetCount)(unsigned *n)
{
    return count(n);
}
int AS(nvmlDeviceGetHandleByIndex_v2, nvmlDeviceGetHandleByIndex)(unsigned i, void **out)
{
    return device(i, out);
}
int nvmlDeviceGetName(struct gpu *g, char *out, unsigned n)
{
    snprintf(out, n, "%s", g->name);
    return fails("name");
}
int nvmlDeviceGetUUID(struct gpu *g, char *out, unsigned n)
{
    snprintf(out, n, "GPU-%s", g->name);
    return 0;
}
int nvmlDeviceGetMemoryInfo(struct gpu *g, unsigned long long out[3])
{
    out[0] = g->total;
    out[1] = g->free;
    out[2] = g->total - g->free;
    return fails("memory");
}
int AS(nvmlDeviceGetComputeRunningProcesses_v3, nvmlDeviceGetComputeRunningProcesses)(struct gpu *g, unsigned *n,
                                                                                      struct process *out)
{
    return processes(g, n, out);
}
#ifndef OLD
int nvmlDeviceGetUtilizationRates(struct gpu *g, unsigned out[2]);
int nvmlDeviceGetUtilizationRates(struct gpu *g, unsigned out[2])
{
    out[0] = g->busy;
    out[1] = 0;
    return fails("utilization");
}
const char *nvmlErrorString(int rc);
int nvmlDeviceGetComputeMode(struct gpu *g, int *mode);
int nvmlDeviceGetCudaComputeCapability(struct gpu *g, int *major, int *minor);
const char *nvmlErrorString(int rc)
{
    return rc == 9 ? "Driver Not Loaded" : "Unknown Error";
}
int nvmlDeviceGetComputeMode(struct gpu *g, int *mode)
{
    *mode = g->mode;
    return 0;
}
int nvmlDeviceGetCudaComputeCapability(struct gpu *g, int *major, int *minor)
{
    *major = g->major;
    *minor = g->minor;
    return 0;
}
#endif
