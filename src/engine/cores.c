/* The cores that this process may use, those of one package beside each other, and how much of them it may use. */
#include "inside.h"
#include <sched.h>
#include <unistd.h>

struct core {
    int id, package, core;
};

/* "" when there is no such file. */
static void first_line(char *out, int size, const char *path)
{
    out[0] = 0;
    FILE *f = fopen(path, "r");
    if (f && fgets(out, size, f)) out[strcspn(out, "\n")] = 0;
    if (f) fclose(f);
}

static int number_of(int cpu, const char *what)
{
    char path[120], line[32];
    int64_t n = 0;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/%s", cpu, what);
    first_line(line, sizeof line, path);
    return line[0] && str_to_i64(line, &n) ? (int)n : cpu;
}

static int by_place(const void *a, const void *b)
{
    const struct core *x = a, *y = b;
    int to[] = {x->package - y->package, x->core - y->core, x->id - y->id};
    for (size_t i = 0; i < LEN(to); i++)
        if (to[i]) return to[i];
    return 0;
}

int cores_list(int *ids, int most)
{
    cpu_set_t set;
    struct core v[CPU_SETSIZE];
    int n = 0;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 0;
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET((size_t)i, &set))
            v[n++] = (struct core){i, number_of(i, "physical_package_id"), number_of(i, "core_id")};
    qsort(v, (size_t)n, sizeof *v, by_place); /* two threads of one core are neighbours, and go to one worker */
    for (int i = 0; i < n && i < most; i++) ids[i] = v[i].id;
    return n < most ? n : most;
}

/* Files of a control group that together say quota and period. */
static int quota_in(const char *dir, const char *const *files, size_t n_files)
{
    struct str text = {0};
    for (size_t i = 0; i < n_files; i++) {
        char path[1200], line[64];
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        first_line(line, sizeof line, path);
        str_addf(&text, "%s%s", i ? " " : "", line);
    }
    int cores = lease_quota(text.s);
    str_free(&text);
    return cores;
}

int cores_quota(void)
{
    static const char *const two[] = {"cpu.max"}, *const one[] = {"cpu.cfs_quota_us", "cpu.cfs_period_us"};
    char line[1024], dir[1100];
    int least = 0;
    FILE *f = fopen("/proc/self/cgroup", "r"); /* lines "N:CONTROLLERS:PATH" */
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path) continue;
        *path++ = 0;
        controllers++;
        bool v2 = !*controllers, cpu = strcmp(controllers, "cpu") == 0 || strstr(controllers, "cpu,cpuacct");
        if (!v2 && !cpu) continue;
        const char *mount = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu";
        /* Inside a container the path is the host's, and the group's files are those of the mount. */
        snprintf(dir, sizeof dir, "%s%s", mount, path);
        int here = v2 ? quota_in(dir, two, LEN(two)) : quota_in(dir, one, LEN(one));
        if (!here) here = v2 ? quota_in(mount, two, LEN(two)) : quota_in(mount, one, LEN(one));
        if (here && (!least || here < least)) least = here;
    }
    if (f) fclose(f);
    return least;
}

int engine_cores(void)
{
    cpu_set_t set;
    int cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    int quota = cores_quota();
    if (quota && quota < cores) cores = quota;
    int64_t slurm = 0; /* a job's share of the machine, whether or not the site holds it to that */
    const char *text = getenv("SLURM_CPUS_ON_NODE");
    if (text && str_to_i64(text, &slurm) && slurm > 0 && slurm < cores) cores = (int)slurm;
    return cores > 0 ? cores : 1;
}
