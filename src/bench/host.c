/* What the machine says of itself: processor, governor, frequency, heat. Virtual machines often say nothing. */
#include "host.h"
#include <glob.h>
#include <sys/resource.h>

int64_t host_rss_peak(void)
{
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) == 0 ? (int64_t)u.ru_maxrss * 1024 : 0;
}

const char *host_cpu(struct arena *a)
{
    static const char *const names[] = {"model name", "Hardware", "Model", "Processor"};
    char line[512];
    FILE *f = fopen("/proc/cpuinfo", "r");
    const char *found = "";
    while (f && !found[0] && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (!colon) continue;
        colon[strcspn(colon, "\n")] = 0;
        for (size_t i = 0; i < LEN(names); i++)
            if (!strncmp(line, names[i], strlen(names[i])) && colon[1]) found = arena_strdup(a, colon + 2);
    }
    if (f) fclose(f);
    return found;
}

enum reduce { MEAN, MAX };

/* Over the numbers in the files that match; null when there are none. */
static json_t *over_files(const char *pattern, enum reduce how, double unit)
{
    glob_t g;
    double sum = 0, max = 0;
    int n = 0;
    if (glob(pattern, 0, NULL, &g) != 0) return json_null();
    for (size_t i = 0; i < g.gl_pathc; i++) {
        char line[64];
        double v;
        if (!fs_first_line(line, sizeof line, g.gl_pathv[i]) || !str_to_double(line, &v)) continue;
        if (n == 0 || v > max) max = v;
        sum += v;
        n++;
    }
    globfree(&g);
    return n == 0 ? json_null() : json_real((how == MEAN ? sum / n : max) * unit);
}

static void put(json_t *info, const char *name, const char *when, json_t *value)
{
    char key[64];
    snprintf(key, sizeof key, "%s_%s", name, when);
    json_object_set_new(info, key, value);
}

void host_state(json_t *info, const char *when)
{
    char governor[64];
    double load;
    bool known = fs_first_line(governor, sizeof governor, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    put(info, "governor", when, known ? json_string(governor) : json_null());
    put(info, "mhz", when, over_files("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq", MEAN, 1e-3));
    put(info, "celsius", when, over_files("/sys/class/thermal/thermal_zone*/temp", MAX, 1e-3));
    put(info, "load", when, getloadavg(&load, 1) == 1 ? json_real(load) : json_null());
}
