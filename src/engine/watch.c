/* Limits of running workers: memory, time, silence. */
#include "inside.h"
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

/* Bytes resident in memory; 0 when it is gone. What a process shares is files and shared memory for the most part. */
static int64_t resident(pid_t pid, bool with_shared)
{
    char path[64], text[200] = "";
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0) close(fd);
    long pages = 0, shared = 0;
    if (n <= 0 || sscanf(text, "%*d %ld %ld", &pages, &shared) != 2) return 0;
    return (int64_t)(with_shared ? pages : pages - shared) * sysconf(_SC_PAGESIZE);
}

int64_t process_bytes(pid_t pid)
{
    return resident(pid, true);
}

/*
 * What the processes that workers started hold, each worker's in its slot. They are in the worker's group, and stay in
 * it when their parent ends. Without what they share: libraries and files are counted with the worker, or are the page
 * cache's, which the system takes back when it needs room. Only what is in a group of ours is looked into, so a machine
 * with thousands of processes costs a system call for each.
 */
static void weigh_children(int64_t bytes[ENGINE_MAX_JOBS], const struct engine *e)
{
    memset(bytes, 0, sizeof *bytes * ENGINE_MAX_JOBS);
    DIR *d = e->watches_memory ? opendir("/proc") : NULL;
    for (struct dirent *f; d && (f = readdir(d));) {
        int64_t pid;
        pid_t group = str_to_i64(f->d_name, &pid) ? getpgid((pid_t)pid) : -1;
        for (int i = 0; group > 1 && i < ENGINE_MAX_JOBS; i++)
            if (e->workers[i].pid == group && pid != group) bytes[i] += resident((pid_t)pid, false);
    }
    if (d) closedir(d);
}

/* Over the limit by itself, or twice in a row with what it started: until a new process runs its own program, the pages
 * of the one that starts it count as its own, too. */
static bool is_over(struct worker *w, int64_t own, int64_t all, int64_t limit)
{
    bool was = w->heavy;
    w->heavy = all > limit;
    return own > limit || (was && w->heavy);
}

static void watch(const struct engine *e, struct worker *w, double now, int64_t children)
{
    const double mib = 1048576.0;
    const struct limits l = limits_of(e->o, &e->p->trials[e->p->stages[w->task].trial].t);
    char why[160];
    int64_t own = l.bytes > 0 ? resident(w->pid, true) : 0, all = own + children;
    if (l.bytes > 0 && is_over(w, own, all, l.bytes)) {
        w->bytes_over = all - l.bytes;
        snprintf(why, sizeof why, "used %.0f MiB of memory%s, over the limit of %.0f MiB", (double)all / mib,
                 children ? " with the processes that it started" : "", (double)l.bytes / mib);
        process_distrust(w, HOW_MEMORY, why);
    } else if (l.stage_s > 0 && now - w->started > l.stage_s) {
        snprintf(why, sizeof why, "took longer than the limit of %.0f s", l.stage_s);
        process_distrust(w, HOW_TIME, why);
    } else if (l.hang_s > 0 && now - w->beat > l.hang_s) {
        snprintf(why, sizeof why, "gave no sign of life for %.0f s", l.hang_s);
        process_distrust(w, HOW_HANG, why);
    }
}

void process_watch(struct engine *e)
{
    double now = time_mono();
    if (now - e->watched < ENGINE_WATCH_MS / 1e3) return;
    e->watched = now;
    int64_t children[ENGINE_MAX_JOBS];
    weigh_children(children, e);
    for (int i = 0; i < ENGINE_MAX_JOBS; i++) {
        struct worker *w = &e->workers[i];
        if (w->pid && !w->killed) watch(e, w, now, children[i]);
    }
}
