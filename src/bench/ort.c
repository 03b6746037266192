/*
 * ONNX Runtime by dlopen. Its C API is one exported symbol that hands out a table of functions; the table only ever
 * grows at the end, so the slots used here are named by their index and no header is needed.
 * Source: the order of members of OrtApi in onnxruntime_c_api.h ("never remove or rearrange the members").
 */
#include "host.h"
#include "runtime.h"
#include <dlfcn.h>

struct ort {
    struct bench_model m;
    void (*const *api)(void); /* the table of functions */
    void *env, *options, *session, *memory, *allocator;
};

/* The oldest table that has every slot below; ONNX Runtime 1.16. */
enum { ORT_API_VERSION = 16 };

enum ort_slot {
    ORT_ERROR_MESSAGE = 2,
    ORT_CREATE_ENV = 3,
    ORT_CREATE_SESSION = 7,
    ORT_RUN = 9,
    ORT_CREATE_OPTIONS = 10,
    ORT_SET_LOG_LEVEL = 22,
    ORT_SET_OPTIMIZATION = 23,
    ORT_SET_INTRA_THREADS = 24,
    ORT_SET_INTER_THREADS = 25,
    ORT_INPUT_COUNT = 30,
    ORT_OUTPUT_COUNT = 31,
    ORT_INPUT_TYPE = 33,
    ORT_OUTPUT_TYPE = 34,
    ORT_INPUT_NAME = 36,
    ORT_OUTPUT_NAME = 37,
    ORT_CREATE_TENSOR = 49,
    ORT_TENSOR_DATA = 51,
    ORT_TYPE_AS_TENSOR = 55,
    ORT_ELEMENT_TYPE = 60,
    ORT_DIM_COUNT = 61,
    ORT_DIMS = 62,
    ORT_TENSOR_INFO = 65,
    ORT_CPU_MEMORY = 69,
    ORT_ALLOCATOR_FREE = 76,
    ORT_DEFAULT_ALLOCATOR = 78,
    ORT_RELEASE_ENV = 92,
    ORT_RELEASE_STATUS = 93,
    ORT_RELEASE_MEMORY = 94,
    ORT_RELEASE_SESSION = 95,
    ORT_RELEASE_VALUE = 96,
    ORT_RELEASE_TYPE = 98,
    ORT_RELEASE_TENSOR_INFO = 99,
    ORT_RELEASE_OPTIONS = 100,
    ORT_ADD_CONFIG = 130,
    ORT_BUILD_INFO = 254,
};

enum { LOG_LEVEL_ERROR = 3, OPTIMIZE_ALL = 99 };

struct ort_base {
    const void *(*api)(uint32_t version);
    const char *(*version)(void);
};

/* The function in a slot, as the type of its arguments; every one that can fail returns a status object or NULL. */
#define CALL(o, slot, types) ((void *(*)types)(o)->api[slot])
#define RELEASE(o, slot, p)  ((void (*)(void *))(o)->api[slot])(p)

/* Takes the status object's words and frees it. */
static struct status said(const struct ort *o, void *status, const char *what)
{
    if (!status) return ok();
    const char *(*message)(const void *) = (const char *(*)(const void *))o->api[ORT_ERROR_MESSAGE];
    struct status s = fail(STATUS_ARG, "%s: ONNX Runtime %s says: %s", what, o->m.version, message(status));
    RELEASE(o, ORT_RELEASE_STATUS, status);
    return s;
}

/* ---- the library ------------------------------------------------------------------------------------------------- */

static struct status load_library(struct ort *o, const char *asked)
{
    TRY(bench_library(&o->m.lib, &o->m.arena, BENCH_ORT, asked));
    void *lib = ort_load(o->m.lib, RTLD_NOW | RTLD_LOCAL); /* never closed: its threads outlive sessions */
    if (!lib) return fail(STATUS_IO, "%s: cannot load ONNX Runtime: %s", o->m.lib, dlerror());
    void *symbol = dlsym(lib, "OrtGetApiBase");
    if (!symbol)
        return fail(STATUS_ARG, "%s: is no ONNX Runtime: it lacks the symbol OrtGetApiBase; give its libonnxruntime.so",
                    o->m.lib);
    const struct ort_base *(*get)(void);
    memcpy(&get, &symbol, sizeof get);
    const struct ort_base *base = get();
    o->m.version = arena_strdup(&o->m.arena, base->version());
    o->api = base->api(ORT_API_VERSION);
    if (!o->api)
        return fail(STATUS_ARG, "%s: is ONNX Runtime %s, which has no C API of version %d; expected 1.%d or newer",
                    o->m.lib, o->m.version, ORT_API_VERSION, ORT_API_VERSION);
    o->m.build = ((const char *(*)(void))o->api[ORT_BUILD_INFO])();
    return ok();
}

static struct status make_options(struct ort *o)
{
    TRY(said(o, CALL(o, ORT_CREATE_ENV, (int, const char *, void **))(LOG_LEVEL_ERROR, "sweep", &o->env), o->m.lib));
    TRY(said(o, CALL(o, ORT_CREATE_OPTIONS, (void **))(&o->options), o->m.lib));
    TRY(said(o, CALL(o, ORT_SET_LOG_LEVEL, (void *, int))(o->options, LOG_LEVEL_ERROR), o->m.lib));
    TRY(said(o, CALL(o, ORT_SET_OPTIMIZATION, (void *, int))(o->options, OPTIMIZE_ALL), o->m.lib));
    TRY(said(o, CALL(o, ORT_SET_INTRA_THREADS, (void *, int))(o->options, o->m.threads), o->m.lib));
    TRY(said(o, CALL(o, ORT_SET_INTER_THREADS, (void *, int))(o->options, 1), o->m.lib));
    if (o->m.threads > 1) /* threads that spin while they wait steal from each other where processors are shared */
        TRY(said(o,
                 CALL(o, ORT_ADD_CONFIG, (void *, const char *, const char *))(o->options,
                                                                               "session.intra_op.allow_spinning", "0"),
                 o->m.lib));
    return ok();
}

/* ---- inputs and outputs ------------------------------------------------------------------------------------------ */

static struct status read_tensor_info(struct ort *o, struct bench_io *io, const void *info, const char *path)
{
    size_t rank;
    TRY(said(o, CALL(o, ORT_ELEMENT_TYPE, (const void *, int *))(info, &io->type), path));
    TRY(said(o, CALL(o, ORT_DIM_COUNT, (const void *, size_t *))(info, &rank), path));
    if (rank > BENCH_MAX_RANK)
        return fail(STATUS_ARG, "%s: %s: got %zu dimensions, expected at most %d", path, io->name, rank,
                    BENCH_MAX_RANK);
    io->rank = (int)rank;
    TRY(said(o, CALL(o, ORT_DIMS, (const void *, int64_t *, size_t))(info, io->shape, rank), path));
    for (int i = 0; i < io->rank; i++)
        if (io->shape[i] < 0) io->shape[i] = -1;
    return ok();
}

static struct status read_io(struct ort *o, struct bench_io *io, size_t i, bool input, const char *path)
{
    char *name;
    void *type = NULL;
    const void *info = NULL;
    TRY(said(o,
             CALL(o, input ? ORT_INPUT_NAME : ORT_OUTPUT_NAME, (void *, size_t, void *, char **))(o->session, i,
                                                                                                  o->allocator, &name),
             path));
    io->name = arena_strdup(&o->m.arena, name);
    TRY(said(o, CALL(o, ORT_ALLOCATOR_FREE, (void *, void *))(o->allocator, name), path));
    TRY(said(o, CALL(o, input ? ORT_INPUT_TYPE : ORT_OUTPUT_TYPE, (void *, size_t, void **))(o->session, i, &type),
             path));
    struct status s = said(o, CALL(o, ORT_TYPE_AS_TENSOR, (const void *, const void **))(type, &info), path);
    if (s.code == STATUS_OK)
        s = info ? read_tensor_info(o, io, info, path) : fail(STATUS_ARG, "%s: %s is no tensor", path, io->name);
    RELEASE(o, ORT_RELEASE_TYPE, type);
    return s;
}

static struct status read_all_io(struct ort *o, const char *path)
{
    for (int input = 0; input < 2; input++) {
        size_t n;
        TRY(said(o, CALL(o, input ? ORT_INPUT_COUNT : ORT_OUTPUT_COUNT, (void *, size_t *))(o->session, &n), path));
        if (n > BENCH_MAX_IO)
            return fail(STATUS_ARG, "%s: got %zu %s, expected at most %d", path, n, input ? "inputs" : "outputs",
                        BENCH_MAX_IO);
        *(input ? &o->m.n_in : &o->m.n_out) = (int)n;
        for (size_t i = 0; i < n; i++) TRY(read_io(o, input ? &o->m.in[i] : &o->m.out[i], i, input, path));
    }
    return ok();
}

static struct status open_into(struct ort *o, const char *lib, const char *path)
{
    TRY(runtime_readable(path, "an ONNX model"));
    TRY(load_library(o, lib));
    TRY(make_options(o));
    TRY(said(o, CALL(o, ORT_DEFAULT_ALLOCATOR, (void **))(&o->allocator), o->m.lib));
    TRY(said(o, CALL(o, ORT_CPU_MEMORY, (int, int, void **))(1, 0, &o->memory),
             o->m.lib)); /* arena allocator, default memory */
    o->m.rss_runtime_bytes = host_rss_peak();
    double start = time_mono();
    struct status s = said(
        o, CALL(o, ORT_CREATE_SESSION, (void *, const char *, void *, void **))(o->env, path, o->options, &o->session),
        path);
    if (s.code != STATUS_OK) return fail(s.code, "%s; expected an ONNX model that this runtime can read", s.msg);
    o->m.load_ms = (time_mono() - start) * 1e3;
    return read_all_io(o, path);
}

static void ort_close(struct bench_model *m)
{
    struct ort *o = (struct ort *)m;
    if (o->session) RELEASE(o, ORT_RELEASE_SESSION, o->session);
    if (o->memory) RELEASE(o, ORT_RELEASE_MEMORY, o->memory);
    if (o->options) RELEASE(o, ORT_RELEASE_OPTIONS, o->options);
    if (o->env) RELEASE(o, ORT_RELEASE_ENV, o->env);
    arena_free(&o->m.arena);
    free(o);
}

static struct status ort_open(struct bench_model **out, const char *lib, const char *path, int threads)
{
    struct ort *o = mem_zalloc(sizeof *o);
    o->m.runtime = &runtime_ort;
    o->m.threads = threads > 0 ? threads : cores_usable();
    struct status s = open_into(o, lib, path);
    *out = &o->m;
    if (s.code == STATUS_OK) return s;
    ort_close(&o->m);
    *out = NULL;
    return s;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static struct status ort_feed_make(struct bench_model *m, struct feed *f, const struct bench_array *in, int n_in)
{
    struct ort *o = (struct ort *)m;
    if (n_in != o->m.n_in) return fail(STATUS_ARG, "got %d inputs, expected %d", n_in, o->m.n_in);
    for (int i = 0; i < n_in; i++) {
        const struct bench_io *io = &o->m.in[i];
        size_t each = type_size(io->type);
        if (each == 0)
            return fail(STATUS_ARG, "input %s: got element type %d, expected " TYPES_KNOWN "", io->name, io->type);
        TRY(runtime_check_shape(io, &in[i]));
        int64_t n = bench_array_numel(&in[i]);
        f->data[i] = mem_alloc((size_t)n * each);
        type_from_float(f->data[i], io->type, in[i].data, n);
        TRY(said(o,
                 CALL(o, ORT_CREATE_TENSOR, (void *, void *, size_t, const int64_t *, size_t, int, void **))(
                     o->memory, f->data[i], (size_t)n * each, in[i].shape, (size_t)in[i].rank, io->type, &f->in[i]),
                 io->name));
    }
    return ok();
}

static struct status ort_feed_run(struct bench_model *m, struct feed *f)
{
    struct ort *o = (struct ort *)m;
    const char *in[BENCH_MAX_IO], *out[BENCH_MAX_IO];
    for (int i = 0; i < o->m.n_in; i++) in[i] = o->m.in[i].name;
    for (int i = 0; i < o->m.n_out; i++) out[i] = o->m.out[i].name;
    return said(o,
                CALL(o, ORT_RUN,
                     (void *, const void *, const char *const *, void *const *, size_t, const char *const *, size_t,
                      void **))(o->session, NULL, in, f->in, (size_t)o->m.n_in, out, (size_t)o->m.n_out, f->out),
                "run");
}

static void ort_feed_free(struct bench_model *m, struct feed *f)
{
    struct ort *o = (struct ort *)m;
    for (int i = 0; i < BENCH_MAX_IO; i++) {
        if (f->in[i]) RELEASE(o, ORT_RELEASE_VALUE, f->in[i]);
        if (f->out[i]) RELEASE(o, ORT_RELEASE_VALUE, f->out[i]);
        free(f->data[i]);
    }
}

static struct status ort_feed_take(struct bench_model *m, struct feed *f, int i, struct bench_array *out)
{
    struct ort *o = (struct ort *)m;
    void *value = f->out[i];
    const char *name = m->out[i].name;
    void *info, *data;
    struct bench_io io = {.name = name};
    TRY(said(o, CALL(o, ORT_TENSOR_INFO, (const void *, void **))(value, &info), name));
    struct status s = read_tensor_info(o, &io, info, "output");
    RELEASE(o, ORT_RELEASE_TENSOR_INFO, info);
    TRY(s);
    if (type_size(io.type) == 0)
        return fail(STATUS_ARG, "output %s: got element type %d, expected " TYPES_KNOWN "", name, io.type);
    TRY(said(o, CALL(o, ORT_TENSOR_DATA, (void *, void **))(value, &data), name));
    *out = (struct bench_array){.rank = io.rank};
    memcpy(out->shape, io.shape, sizeof io.shape);
    int64_t n = bench_array_numel(out);
    out->data = mem_alloc((size_t)(n ? n : 1) * sizeof *out->data);
    type_to_float(out->data, data, io.type, n);
    return ok();
}

const struct runtime runtime_ort = {
    .name = "onnxruntime",
    .provider = "CPU",
    .optimization = "all",
    .open = ort_open,
    .close = ort_close,
    .feed_make = ort_feed_make,
    .feed_run = ort_feed_run,
    .feed_take = ort_feed_take,
    .feed_free = ort_feed_free,
};
