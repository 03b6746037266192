#include "base.h"

/* What did not fit is cut between characters: a reader of JSON or of the database takes no half of one. */
static void cut(struct status *s, int wanted)
{
    size_t n = strlen(s->msg), tail = n;
    if (wanted < 0 || (size_t)wanted < sizeof s->msg) return;
    while (tail > 0 && n - tail < 4 && ((unsigned char)s->msg[tail - 1] & 0xc0) == 0x80) tail--;
    if (!tail) return;
    unsigned char lead = (unsigned char)s->msg[tail - 1];
    size_t length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (tail - 1 + length > n) s->msg[tail - 1] = 0;
}

struct status fail(enum status_code code, const char *fmt, ...)
{
    struct status s = {.code = code};
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(s.msg, sizeof s.msg, fmt, ap);
    va_end(ap);
    cut(&s, n);
    return s;
}

struct status status_at(struct status s, const char *fmt, ...)
{
    if (s.code == STATUS_OK) return s;
    struct status out = {.code = s.code};
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(out.msg, sizeof out.msg, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof out.msg) n += snprintf(out.msg + n, sizeof out.msg - (size_t)n, ": %s", s.msg);
    cut(&out, n);
    return out;
}

const char *status_name(enum status_code code)
{
    static const char *const names[] = {
        [STATUS_OK] = "ok",           [STATUS_ARG] = "arg",
        [STATUS_IO] = "io",           [STATUS_DB] = "db",
        [STATUS_TORCH] = "torch",     [STATUS_OOM] = "oom",
        [STATUS_REFUSED] = "refused", [STATUS_INTERRUPTED] = "interrupted",
        [STATUS_DEVICE] = "device",
    };
    return (size_t)code < LEN(names) ? names[code] : "?";
}

void check_failed(const char *file, int line, const char *cond, const char *fmt, ...)
{
    fprintf(stderr, "%s:%d: check failed: %s ", file, line, cond);
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    abort();
}
