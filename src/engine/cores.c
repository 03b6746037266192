/* The cores that this process may use, those of one package beside each other. */
#include "inside.h"
#include <sched.h>

struct core {
    int id, package, core;
};

static int number_of(int cpu, const char *what)
{
    char path[120], line[32];
    int64_t n = 0;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/%s", cpu, what);
    fs_first_line(line, sizeof line, path);
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
