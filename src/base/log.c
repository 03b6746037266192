/* One line an event on stderr, written with one call so that lines of several processes do not mix. */
#include "base.h"
#include <time.h>
#include <unistd.h>

static enum log_level least = LOG_INFO;

void log_set_level(enum log_level level)
{
    least = level;
}

void log_at(enum log_level level, const char *fmt, ...)
{
    static const char *const prefix[] = {"debug: ", "", "warn: ", "error: "};
    if (level < least) return;
    struct str line = {0};
    str_add(&line, prefix[level]);
    va_list ap;
    va_start(ap, fmt);
    char text[2000];
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    str_addf(&line, "%s\n", text);
    ssize_t n = write(STDERR_FILENO, line.s, line.n);
    (void)n; /* nowhere left to complain */
    str_free(&line);
}

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double time_now(void)
{
    return now(CLOCK_REALTIME);
}

double time_mono(void)
{
    return now(CLOCK_MONOTONIC);
}

char *time_iso(struct arena *a, double t)
{
    time_t s = (time_t)t;
    struct tm tm;
    char text[32];
    gmtime_r(&s, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return arena_strdup(a, text);
}
