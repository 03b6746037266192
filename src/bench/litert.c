/*
 * LiteRT by dlopen of libLiteRt.so, which exports a C interface; the functions used here are declared by their types in
 * one table. The library computes on the CPU by XNNPACK, its kernels of old for what that leaves. Images lie
 * channels-last in its files and [N,C,H,W] for the caller.
 * Source: litert/c of LiteRT (litert_compiled_model.h, litert_model.h, litert_tensor_buffer.h, litert_options.h).
 */
#include "host.h"
#include "runtime.h"
#include <dlfcn.h>

enum { LITERT_MAX_RANK = 8, LITERT_CPU = 1, LITERT_HOST_MEMORY = 1, LITERT_READ = 0, LITERT_WRITE = 1 };
enum { OPTION_LOG_SEVERITY = 25, ANY_INT = 2, LOG_ERRORS = 3 };

/* LiteRtRankedTensorType. */
struct ranked {
    int element;
    unsigned rank : 7, has_strides : 1;
    int32_t dims[LITERT_MAX_RANK];
    uint32_t strides[LITERT_MAX_RANK];
};
_Static_assert(sizeof(struct ranked) == 72, "as the library has it");

/* LiteRtEnvOption. */
struct env_option {
    int tag;
    struct {
        int type;
        int64_t value;
    } any;
};

/* clang-format off */
#define FUNCTIONS(F) \
    F(int, CreateEnvironment, (int, const struct env_option *, void **)) \
    F(int, CreateModelFromFile, (void *, const char *, void **)) \
    F(int, CreateOptions, (void **)) \
    F(int, SetOptionsHardwareAccelerators, (void *, int)) \
    F(int, CreateOpaqueOptions, (const char *, void *, void (*)(void *), void **)) \
    F(int, AddOpaqueOptions, (void *, void *)) \
    F(int, CreateCompiledModel, (void *, void *, void *, void **)) \
    F(int, RunCompiledModel, (void *, size_t, size_t, void **, size_t, void **)) \
    F(int, GetModelSignature, (void *, size_t, void **)) \
    F(int, GetNumSignatureInputs, (void *, size_t *)) \
    F(int, GetNumSignatureOutputs, (void *, size_t *)) \
    F(int, GetSignatureInputName, (void *, size_t, const char **)) \
    F(int, GetSignatureOutputName, (void *, size_t, const char **)) \
    F(int, GetSignatureInputTensorByIndex, (void *, size_t, void **)) \
    F(int, GetSignatureOutputTensorByIndex, (void *, size_t, void **)) \
    F(int, GetRankedTensorType, (void *, struct ranked *)) \
    F(int, CreateManagedTensorBuffer, (void *, int, const struct ranked *, size_t, void **)) \
    F(int, LockTensorBuffer, (void *, void **, int)) \
    F(int, UnlockTensorBuffer, (void *)) \
    F(void, DestroyTensorBuffer, (void *)) \
    F(void, DestroyCompiledModel, (void *)) \
    F(void, DestroyOptions, (void *)) \
    F(void, DestroyModel, (void *)) \
    F(void, DestroyEnvironment, (void *))
/* clang-format on */

struct litert {
    struct bench_model m;
    struct {
#define F(type, name, types) type(*name) types;
        FUNCTIONS(F)
#undef F
    } api;
    void *env, *model, *options, *compiled;
    struct ranked type_in[BENCH_MAX_IO], type_out[BENCH_MAX_IO];
};

/* Its words for a status are on stderr, a line of its own source among them. */
static struct status said(int status, const char *what, const char *did)
{
    static const struct {
        int code;
        const char *words;
    } names[] = {{1, "invalid argument"}, {2, "out of memory"}, {3, "runtime failure"},  {5, "unsupported"},
                 {6, "not found"},        {500, "file error"},  {501, "no valid model"}, {504, "compilation failed"}};
    if (status == 0) return ok();
    for (size_t i = 0; i < LEN(names); i++)
        if (names[i].code == status) return fail(STATUS_ARG, "%s: LiteRT says: %s: %s", what, did, names[i].words);
    return fail(STATUS_ARG, "%s: LiteRT says: %s: status %d", what, did, status);
}

/* ---- the library ------------------------------------------------------------------------------------------------- */

static struct status load_library(struct litert *l)
{
    TRY(bench_library(&l->m.lib, &l->m.arena, BENCH_LITERT, NULL));
    void *lib = dlopen(l->m.lib, RTLD_NOW | RTLD_LOCAL); /* never closed: its threads outlive models */
    if (!lib) return fail(STATUS_IO, "%s: cannot load LiteRT: %s", l->m.lib, dlerror());
    void *symbol;
#define F(type, name, types)                                                                                           \
    symbol = dlsym(lib, "LiteRt" #name);                                                                               \
    if (!symbol)                                                                                                       \
        return fail(STATUS_ARG, "%s: is no LiteRT of version 2.3: it lacks the symbol LiteRt" #name, l->m.lib);        \
    memcpy(&l->api.name, &symbol, sizeof symbol);
    FUNCTIONS(F)
#undef F
    l->m.version = library_version_beside(&l->m.arena, l->m.lib);
    l->m.build = "";
    return ok();
}

/* Threads are asked for in a text that the library keeps until it frees it. */
static struct status make_options(struct litert *l)
{
    struct env_option quiet = {.tag = OPTION_LOG_SEVERITY, .any = {.type = ANY_INT, .value = LOG_ERRORS}};
    struct str text = {0};
    void *cpu;
    TRY(said(l->api.CreateEnvironment(1, &quiet, &l->env), l->m.lib, "environment"));
    TRY(said(l->api.CreateOptions(&l->options), l->m.lib, "options"));
    TRY(said(l->api.SetOptionsHardwareAccelerators(l->options, LITERT_CPU), l->m.lib, "options"));
    str_addf(&text, "num_threads = %d\n", l->m.threads);
    int status = l->api.CreateOpaqueOptions("xnnpack", text.s, free, &cpu);
    if (status != 0) str_free(&text);
    TRY(said(status, l->m.lib, "options"));
    return said(l->api.AddOpaqueOptions(l->options, cpu), l->m.lib, "options");
}

/* ---- inputs and outputs ------------------------------------------------------------------------------------------ */

static const struct {
    int litert, here;
} elements[] = {{1, BENCH_FLOAT}, {2, BENCH_INT32}, {3, BENCH_UINT8},
                {4, BENCH_INT64}, {9, BENCH_INT8},  {10, BENCH_FLOAT16}};

/* Dimension d of an image as the caller sees it lies here. */
static int lies(int rank, int d)
{
    static const int at[4] = {0, 3, 1, 2};
    return rank == 4 ? at[d] : d;
}

static struct status read_io(struct litert *l, void *signature, size_t i, bool input, const char *path)
{
    struct bench_io *io = input ? &l->m.in[i] : &l->m.out[i];
    struct ranked *t = input ? &l->type_in[i] : &l->type_out[i];
    const char *name;
    void *tensor;
    TRY(said(input ? l->api.GetSignatureInputName(signature, i, &name)
                   : l->api.GetSignatureOutputName(signature, i, &name),
             path, "name"));
    TRY(said(input ? l->api.GetSignatureInputTensorByIndex(signature, i, &tensor)
                   : l->api.GetSignatureOutputTensorByIndex(signature, i, &tensor),
             path, name));
    TRY(said(l->api.GetRankedTensorType(tensor, t), path, name));
    io->name = arena_strdup(&l->m.arena, name);
    io->rank = (int)t->rank;
    if (t->rank > LITERT_MAX_RANK) return fail(STATUS_ARG, "%s: %s: got %u dimensions", path, name, t->rank);
    for (int d = 0; d < io->rank; d++) {
        int64_t n = t->dims[lies(io->rank, d)];
        io->shape[d] = n < 0 ? -1 : n;
        if (n <= 0)
            return fail(STATUS_ARG, "%s: %s: leaves dimension %d open; expected a file of fixed size", path, name, d);
    }
    for (size_t k = 0; k < LEN(elements); k++)
        if (elements[k].litert == t->element) io->type = elements[k].here;
    if (io->type) return ok();
    return fail(STATUS_ARG, "%s: %s: got element type %d, expected " TYPES_KNOWN, path, name, t->element);
}

static struct status read_all_io(struct litert *l, const char *path)
{
    void *signature;
    size_t n;
    TRY(said(l->api.GetModelSignature(l->model, 0, &signature), path, "signature"));
    for (int input = 0; input < 2; input++) {
        TRY(said(input ? l->api.GetNumSignatureInputs(signature, &n) : l->api.GetNumSignatureOutputs(signature, &n),
                 path, "signature"));
        if (n > BENCH_MAX_IO)
            return fail(STATUS_ARG, "%s: got %zu %s, expected at most %d", path, n, input ? "inputs" : "outputs",
                        BENCH_MAX_IO);
        *(input ? &l->m.n_in : &l->m.n_out) = (int)n;
        for (size_t i = 0; i < n; i++) TRY(read_io(l, signature, i, input, path));
    }
    return ok();
}

static struct status open_into(struct litert *l, const char *path)
{
    TRY(runtime_readable(path, "a LiteRT model"));
    TRY(load_library(l));
    TRY(make_options(l));
    l->m.rss_runtime_bytes = host_rss_peak();
    double start = time_mono();
    struct status s = said(l->api.CreateModelFromFile(l->env, path, &l->model), path, "reading the file");
    if (s.code == STATUS_OK)
        s = said(l->api.CreateCompiledModel(l->env, l->model, l->options, &l->compiled), path, "preparing the model");
    if (s.code != STATUS_OK) return fail(s.code, "%s; expected a LiteRT model that this runtime can read", s.msg);
    l->m.load_ms = (time_mono() - start) * 1e3;
    return read_all_io(l, path);
}

static void litert_close(struct bench_model *m)
{
    struct litert *l = (struct litert *)m;
    if (l->compiled) l->api.DestroyCompiledModel(l->compiled);
    if (l->options) l->api.DestroyOptions(l->options);
    if (l->model) l->api.DestroyModel(l->model);
    if (l->env) l->api.DestroyEnvironment(l->env);
    arena_free(&l->m.arena);
    free(l);
}

static struct status litert_open(struct bench_model **out, const char *lib, const char *path, int threads)
{
    (void)lib;
    struct litert *l = mem_zalloc(sizeof *l);
    l->m.runtime = &runtime_litert;
    l->m.threads = threads > 0 ? threads : cores_usable();
    struct status s = open_into(l, path);
    *out = &l->m;
    if (s.code == STATUS_OK) return s;
    litert_close(&l->m);
    *out = NULL;
    return s;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

/* Images from one order to the other: [C,H,W] of the caller, [H,W,C] of the file. */
static void reorder(float *to, const float *from, const struct bench_io *io, bool to_file)
{
    int64_t n = 1, c = io->rank == 4 ? io->shape[1] : 1;
    for (int d = 0; d < io->rank; d++) n *= io->shape[d];
    int64_t images = io->rank == 4 ? io->shape[0] : 1, plane = n / images / c;
    for (int64_t b = 0; b < images; b++, to += c * plane, from += c * plane)
        for (int64_t k = 0; k < c; k++)
            for (int64_t i = 0; i < plane; i++)
                if (to_file)
                    to[i * c + k] = from[k * plane + i];
                else
                    to[k * plane + i] = from[i * c + k];
}

static struct bench_array declared(const struct bench_io *io)
{
    struct bench_array a = {.rank = io->rank};
    memcpy(a.shape, io->shape, sizeof a.shape);
    return a;
}

static struct status make_buffer(struct litert *l, void **out, const struct bench_io *io, const struct ranked *type)
{
    struct bench_array a = declared(io);
    size_t bytes = (size_t)bench_array_numel(&a) * type_size(io->type);
    return said(l->api.CreateManagedTensorBuffer(l->env, LITERT_HOST_MEMORY, type, bytes, out), io->name, "memory");
}

static struct status fill(struct litert *l, void *buffer, const struct bench_io *io, const struct bench_array *in)
{
    void *bytes;
    int64_t n = bench_array_numel(in);
    TRY(said(l->api.LockTensorBuffer(buffer, &bytes, LITERT_WRITE), io->name, "writing"));
    float *v = mem_alloc((size_t)n * sizeof *v);
    reorder(v, in->data, io, true);
    type_from_float(bytes, io->type, v, n);
    free(v);
    return said(l->api.UnlockTensorBuffer(buffer), io->name, "writing");
}

static struct status litert_feed_make(struct bench_model *m, struct feed *f, const struct bench_array *in, int n_in)
{
    struct litert *l = (struct litert *)m;
    if (n_in != m->n_in) return fail(STATUS_ARG, "got %d inputs, expected %d", n_in, m->n_in);
    for (int i = 0; i < n_in; i++) {
        TRY(runtime_check_shape(&m->in[i], &in[i]));
        TRY(make_buffer(l, &f->in[i], &m->in[i], &l->type_in[i]));
        TRY(fill(l, f->in[i], &m->in[i], &in[i]));
    }
    for (int i = 0; i < m->n_out; i++) TRY(make_buffer(l, &f->out[i], &m->out[i], &l->type_out[i]));
    return ok();
}

static struct status litert_feed_run(struct bench_model *m, struct feed *f)
{
    struct litert *l = (struct litert *)m;
    return said(l->api.RunCompiledModel(l->compiled, 0, (size_t)m->n_in, f->in, (size_t)m->n_out, f->out), "run",
                "running");
}

static struct status litert_feed_take(struct bench_model *m, struct feed *f, int i, struct bench_array *out)
{
    struct litert *l = (struct litert *)m;
    const struct bench_io *io = &m->out[i];
    void *bytes;
    TRY(said(l->api.LockTensorBuffer(f->out[i], &bytes, LITERT_READ), io->name, "reading"));
    *out = declared(io);
    int64_t n = bench_array_numel(out);
    float *v = mem_alloc((size_t)n * sizeof *v);
    out->data = mem_alloc((size_t)n * sizeof *v);
    type_to_float(v, bytes, io->type, n);
    reorder(out->data, v, io, false);
    free(v);
    return said(l->api.UnlockTensorBuffer(f->out[i]), io->name, "reading");
}

static void litert_feed_free(struct bench_model *m, struct feed *f)
{
    struct litert *l = (struct litert *)m;
    for (int i = 0; i < BENCH_MAX_IO; i++) {
        if (f->in[i]) l->api.DestroyTensorBuffer(f->in[i]);
        if (f->out[i]) l->api.DestroyTensorBuffer(f->out[i]);
    }
}

const struct runtime runtime_litert = {
    .name = "litert",
    .provider = "XNNPACK",
    .optimization = "default",
    .spinning = true,
    .open = litert_open,
    .close = litert_close,
    .feed_make = litert_feed_make,
    .feed_run = litert_feed_run,
    .feed_take = litert_feed_take,
    .feed_free = litert_feed_free,
};
