/* Loading by content, dtypes, lookup. */
#include "inside.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *name;
    size_t size;
} dtypes[WEIGHTS_N_DTYPES] = {
    [WEIGHTS_F64] = {"F64", 8}, [WEIGHTS_F32] = {"F32", 4},   [WEIGHTS_F16] = {"F16", 2}, [WEIGHTS_BF16] = {"BF16", 2},
    [WEIGHTS_I64] = {"I64", 8}, [WEIGHTS_I32] = {"I32", 4},   [WEIGHTS_I16] = {"I16", 2}, [WEIGHTS_I8] = {"I8", 1},
    [WEIGHTS_U8] = {"U8", 1},   [WEIGHTS_BOOL] = {"BOOL", 1},
};

size_t weights_dtype_size(enum weights_dtype d)
{
    CHECK(d < WEIGHTS_N_DTYPES, "dtype %d", (int)d);
    return dtypes[d].size;
}

const char *weights_dtype_name(enum weights_dtype d)
{
    CHECK(d < WEIGHTS_N_DTYPES, "dtype %d", (int)d);
    return dtypes[d].name;
}

uint64_t weights_le(const unsigned char *p, int bytes)
{
    uint64_t v = 0;
    for (int i = bytes - 1; i >= 0; i--) v = v << 8 | p[i];
    return v;
}

bool weights_extent(size_t *numel, size_t *bytes, const int64_t *shape, int rank, enum weights_dtype d)
{
    uint64_t n = 1;
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 0 || __builtin_mul_overflow(n, (uint64_t)shape[i], &n) || n > UINT64_C(1) << 59) return false;
    }
    *numel = n;
    *bytes = n * weights_dtype_size(d);
    return true;
}

const void *weights_aligned(struct arena *a, const void *p, size_t bytes, size_t size)
{
    return (uintptr_t)p % size == 0 ? p : arena_copy(a, p, bytes);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct status weights_check_names(const struct weights *w, const char *where)
{
    const char **names = mem_alloc(w->n * sizeof *names);
    for (size_t i = 0; i < w->n; i++) names[i] = w->a[i].name;
    qsort(names, w->n, sizeof *names, by_name);
    struct status s = ok();
    for (size_t i = 1; i < w->n && s.code == STATUS_OK; i++) {
        if (!strcmp(names[i - 1], names[i])) s = fail(STATUS_ARG, "%s: tensor %s: is there twice", where, names[i]);
    }
    free(names);
    return s;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

static bool starts(struct weights_bytes b, size_t at, const char *magic)
{
    size_t n = strlen(magic);
    return b.n >= at + n && !memcmp(b.p + at, magic, n);
}

struct status weights_parse(struct weights *out, const char *where, const void *p, size_t n)
{
    *out = (struct weights){0};
    struct weights_bytes b = {where, p, n};
    struct status s;
    if (!n)
        s = fail(STATUS_ARG, "%s: is empty, expected safetensors or a .pth file", where);
    else if (starts(b, 0, "PK\3\4"))
        s = weights_parse_zip(out, b);
    else if (starts(b, 8, "{") || ends_with(where, ".safetensors"))
        s = weights_parse_safetensors(out, b);
    else if (starts(b, 0, "\x80"))
        s = weights_parse_legacy(out, b);
    else if (starts(b, 257, "ustar"))
        s = fail(STATUS_ARG, "%s: is a tar file of a PyTorch older than 0.1.10; load and save it with a newer one",
                 where);
    else
        s = fail(STATUS_ARG, "%s: is neither safetensors nor a .pth file", where);
    if (s.code == STATUS_OK) s = weights_check_names(out, where);
    if (s.code != STATUS_OK) weights_free(out);
    return s;
}

struct status weights_load(struct weights *out, const char *path)
{
    *out = (struct weights){0};
    int fd;
    TRY(fs_open(&fd, path));
    struct stat st;
    struct status s = ok();
    void *map = NULL;
    size_t n = 0;
    if (fstat(fd, &st) != 0)
        s = fail(STATUS_IO, "%s: cannot stat: %s", path, strerror(errno));
    else if ((n = (size_t)st.st_size) > 0) {
        map = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED) s = fail(STATUS_IO, "%s: cannot map: %s", path, strerror(errno));
    }
    close(fd);
    TRY(s);
    s = weights_parse(out, path, n ? map : "", n);
    if (s.code == STATUS_OK)
        out->map = map, out->map_bytes = n;
    else if (n)
        munmap(map, n);
    return s;
}

void weights_free(struct weights *w)
{
    if (!w) return;
    json_decref(w->meta);
    if (w->map) munmap(w->map, w->map_bytes);
    arena_free(&w->arena);
    *w = (struct weights){0};
}

const struct weights_array *weights_find(const struct weights *w, const char *name)
{
    for (size_t i = 0; i < w->n; i++) {
        if (!strcmp(w->a[i].name, name)) return &w->a[i];
    }
    return NULL;
}
