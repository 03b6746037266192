/* Inside room bench: what a runtime is to the protocol. */
#ifndef SWEEP_BENCH_RUNTIME_H
#define SWEEP_BENCH_RUNTIME_H

#include "bench.h"

/* Element types that inputs and outputs may have, by ONNX's numbers. */
enum { BENCH_FLOAT = 1, BENCH_UINT8 = 2, BENCH_INT8 = 3, BENCH_INT32 = 6, BENCH_INT64 = 7, BENCH_FLOAT16 = 10 };

/** A prepared run: inputs made, outputs allocated by the first run or before it and used again. */
struct feed {
    void *in[BENCH_MAX_IO], *out[BENCH_MAX_IO];
    void *data[BENCH_MAX_IO]; /* the inputs' bytes, in the declared types */
};

struct runtime {
    const char *name, *provider, *optimization;
    bool spinning; /* threads that wait do not sleep */
    struct status (*open)(struct bench_model **out, const char *lib, const char *path, int threads);
    void (*close)(struct bench_model *m);
    struct status (*feed_make)(struct bench_model *m, struct feed *f, const struct bench_array *in, int n_in);
    struct status (*feed_run)(struct bench_model *m, struct feed *f);
    struct status (*feed_take)(struct bench_model *m, struct feed *f, int i, struct bench_array *out);
    void (*feed_free)(struct bench_model *m, struct feed *f);
};
extern const struct runtime runtime_ort, runtime_litert;

/** What every runtime's own struct begins with. */
struct bench_model {
    const struct runtime *runtime;
    struct arena arena;
    const char *lib; /* path it was loaded from */
    const char *version, *build;
    int threads;               /* in effect */
    int64_t rss_runtime_bytes; /* peak before the file was loaded */
    double load_ms;            /* of the session alone: the runtime was loaded before */
    struct bench_io in[BENCH_MAX_IO], out[BENCH_MAX_IO];
    int n_in, n_out;
};

/** STATUS_IO or STATUS_ARG for what is no file, or an empty one. @p wanted: "an ONNX model". */
struct status runtime_readable(const char *path, const char *wanted);
/** STATUS_ARG unless the array fits what the file declares. */
struct status runtime_check_shape(const struct bench_io *io, const struct bench_array *a);

/** float <-> the element types above. */
size_t type_size(int type); /* 0: not one of them */
#define TYPES_KNOWN "float32, float16, uint8, int8, int32 or int64"
void type_from_float(void *to, int type, const float *v, int64_t n);
void type_to_float(float *v, const void *from, int type, int64_t n);

/** dlopen() of ONNX Runtime with its telemetry off, unless the user's ORT_DISABLE_TELEMETRY says otherwise: it runs
 *  threads beside a measurement, calls its maker, and leaves a log in the folder of temporary files for each process.
 */
void *ort_load(const char *lib, int mode);
/** The version of a LiteRT library that does not say it itself, by the folder that pip leaves beside it. */
const char *library_version_beside(struct arena *a, const char *lib);

#endif
