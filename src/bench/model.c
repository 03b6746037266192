/* A file in the runtime that it asks for. */
#include "runtime.h"
#include <unistd.h>

/* A FlatBuffer names its kind after the place of its root. */
static bool is_tflite(const char *path)
{
    unsigned char head[8] = {0};
    FILE *f = fopen(path, "rb");
    if (!f) return false;
    size_t n = fread(head, 1, sizeof head, f);
    fclose(f);
    return n == sizeof head && !memcmp(head + 4, "TFL3", 4);
}

struct status bench_open(struct bench_model **out, const char *ort_lib, const char *path, int threads)
{
    size_t n = strlen(path), end = strlen(".tflite");
    bool named = n > end && !strcmp(path + n - end, ".tflite");
    *out = NULL;
    if (named || is_tflite(path)) return runtime_litert.open(out, NULL, path, threads);
    return runtime_ort.open(out, ort_lib, path, threads);
}

void bench_close(struct bench_model *m)
{
    if (m) m->runtime->close(m);
}

const struct bench_io *bench_inputs(const struct bench_model *m, int *n)
{
    *n = m->n_in;
    return m->in;
}

const struct bench_io *bench_outputs(const struct bench_model *m, int *n)
{
    *n = m->n_out;
    return m->out;
}

const char *bench_version(const struct bench_model *m)
{
    return m->version;
}

struct status bench_run(struct bench_model *m, const struct bench_array *in, int n_in, struct bench_array *out,
                        int n_out)
{
    if (n_out != m->n_out) return fail(STATUS_ARG, "got room for %d outputs, expected %d", n_out, m->n_out);
    struct feed f = {0};
    for (int i = 0; i < n_out; i++) out[i] = (struct bench_array){0};
    struct status s = m->runtime->feed_make(m, &f, in, n_in);
    if (s.code == STATUS_OK) s = m->runtime->feed_run(m, &f);
    for (int i = 0; s.code == STATUS_OK && i < n_out; i++) s = m->runtime->feed_take(m, &f, i, &out[i]);
    m->runtime->feed_free(m, &f);
    for (int i = 0; s.code != STATUS_OK && i < n_out; i++) {
        free(out[i].data);
        out[i].data = NULL;
    }
    return s;
}

/* The runtimes' own words for these are a number of errno, or a line of their source. */
struct status runtime_readable(const char *path, const char *wanted)
{
    int fd;
    struct status s = fs_open(&fd, path);
    if (s.code != STATUS_OK) return fail(s.code, "%s (%s is wanted)", s.msg, wanted);
    close(fd);
    return fs_size(path) ? ok() : fail(STATUS_ARG, "%s: is empty, expected %s", path, wanted);
}

struct status runtime_check_shape(const struct bench_io *io, const struct bench_array *a)
{
    bool fits = io->rank == a->rank;
    for (int d = 0; fits && d < a->rank; d++)
        fits = a->shape[d] > 0 && (io->shape[d] < 0 || io->shape[d] == a->shape[d]);
    if (fits) return ok();
    struct str got = {0}, want = {0};
    for (int d = 0; d < a->rank; d++) str_addf(&got, "%s%lld", d ? "," : "", (long long)a->shape[d]);
    for (int d = 0; d < io->rank; d++)
        str_addf(&want, io->shape[d] < 0 ? "%sany" : "%s%lld", d ? "," : "", (long long)io->shape[d]);
    struct status s =
        fail(STATUS_ARG, "input %s: got shape [%s], expected [%s]", io->name, got.n ? got.s : "", want.n ? want.s : "");
    str_free(&got);
    str_free(&want);
    return s;
}
