/* How many cores this process may use: what a program sizes itself by, which in a container is less than the machine.
 */
#include "base.h"
#include <sched.h>
#include <unistd.h>

int cores_of_quota(const char *text)
{
    char quota[32];
    int64_t us, period;
    char of[32];
    if (sscanf(text, "%31s %31s", quota, of) != 2 || !str_to_i64(quota, &us) || !str_to_i64(of, &period)) return 0;
    if (us <= 0 || period <= 0) return 0;
    int64_t cores = us / period + (us % period != 0);
    return cores > INT32_MAX ? 0 : (int)cores;
}

/* Files of a control group that together say quota and period. */
static int quota_in(const char *dir, const char *const *files, size_t n_files)
{
    struct str text = {0};
    for (size_t i = 0; i < n_files; i++) {
        char path[1200], line[64];
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        fs_first_line(line, sizeof line, path);
        str_addf(&text, "%s%s", i ? " " : "", line);
    }
    int cores = cores_of_quota(text.s);
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

int cores_usable(void)
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

bool cores_wait_asleep(void)
{
    /* GNU's OpenMP, a count of turns: long enough for the end of an evenly shared loop, too short to be felt by a
     * neighbour. LLVM's and Intel's, in milliseconds: their default is 200. */
    static const struct {
        const char *name, *value;
    } settings[] = {{"GOMP_SPINCOUNT", "1000"}, {"KMP_BLOCKTIME", "1"}};
    bool changed = false;
    if (getenv("OMP_WAIT_POLICY")) return false;
    for (size_t i = 0; i < LEN(settings); i++) {
        if (getenv(settings[i].name) || setenv(settings[i].name, settings[i].value, 0) != 0) continue;
        changed = true;
    }
    return changed;
}
