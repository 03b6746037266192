/* Growable strings, matching, strict numbers. */
#include "base.h"
#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>

static void reserve(struct str *b, size_t more)
{
    if (b->cap - b->n > more) return;
    b->cap = b->cap * 2 > b->n + more + 1 ? b->cap * 2 : b->n + more + 64;
    b->s = mem_realloc(b->s, b->cap);
}

void str_addn(struct str *b, const void *p, size_t n)
{
    reserve(b, n);
    if (n) memcpy(b->s + b->n, p, n);
    b->n += n;
    b->s[b->n] = 0;
}

void str_add(struct str *b, const char *s)
{
    str_addn(b, s, strlen(s));
}

void str_addf(struct str *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    CHECK(n >= 0, "format");
    reserve(b, (size_t)n);
    vsnprintf(b->s + b->n, (size_t)n + 1, fmt, again);
    va_end(again);
    b->n += (size_t)n;
}

void str_add_quoted(struct str *b, const char *text)
{
    str_add(b, "'");
    for (; *text; text++) str_addn(b, *text == '\'' ? "'\\''" : text, *text == '\'' ? 4 : 1);
    str_add(b, "'");
}

void str_free(struct str *b)
{
    free(b->s);
    *b = (struct str){0};
}

enum { NAME_MAX_BYTES = 64 }; /* longer names are never near */

/* A name as people remember it: small letters, no separators, and a plus in words ("unet++" is "unetplusplus"). */
static bool normalise(char out[NAME_MAX_BYTES], const char *name)
{
    size_t n = 0;
    for (; *name; name++) {
        if (strchr("_- ", *name)) continue;
        const char *as = *name == '+' ? "plus" : (char[]){(char)tolower((unsigned char)*name), 0};
        size_t more = strlen(as);
        if (n + more >= NAME_MAX_BYTES) return false;
        memcpy(out + n, as, more);
        n += more;
    }
    out[n] = 0;
    return true;
}

bool str_same_name(const char *a, const char *b)
{
    char x[NAME_MAX_BYTES], y[NAME_MAX_BYTES];
    return normalise(x, a) && normalise(y, b) && strcmp(x, y) == 0;
}

/* Levenshtein distance. */
static int distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b);
    int row[NAME_MAX_BYTES + 1];
    for (size_t j = 0; j <= lb; j++) row[j] = (int)j;
    for (size_t i = 1; i <= la; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= lb; j++) {
            int best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[lb];
}

const char *str_nearest(const char *got, const char *const *names)
{
    char want[NAME_MAX_BYTES], name[NAME_MAX_BYTES];
    const char *best = NULL;
    if (!normalise(want, got)) return NULL;
    int least = 1 + (int)strlen(want) / 2; /* more than half of it wrong is no spelling mistake */
    for (; *names; names++) {
        int d = normalise(name, *names) ? distance(want, name) : least;
        if (d < least) least = d, best = *names;
    }
    return best;
}

bool str_glob(const char *pattern, const char *s)
{
    return fnmatch(pattern, s, 0) == 0;
}

bool str_to_double(const char *s, double *out)
{
    char *end;
    if (!*s || *s == ' ') return false;
    errno = 0;
    *out = strtod(s, &end);
    return !*end && !(errno == ERANGE && (*out > 1 || *out < -1));
}

bool str_to_i64(const char *s, int64_t *out)
{
    char *end;
    if (!*s || *s == ' ') return false;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    *out = v;
    return !*end && errno == 0;
}
