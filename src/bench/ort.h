/* Inside room bench: ONNX Runtime's C API without its header. */
#ifndef SWEEP_BENCH_ORT_H
#define SWEEP_BENCH_ORT_H

#include "bench.h"

/* Element types that inputs and outputs may have. */
enum { ORT_FLOAT = 1, ORT_UINT8 = 2, ORT_INT8 = 3, ORT_INT64 = 7, ORT_FLOAT16 = 10 };

struct bench_ort {
    struct arena arena;
    const char *lib; /* path it was loaded from */
    const char *version, *build;
    void (*const *api)(void); /* the table of functions */
    void *env, *options, *session, *memory, *allocator;
    int threads;               /* in effect */
    int64_t rss_runtime_bytes; /* peak before the file was loaded */
    double load_ms;            /* of the session alone: the runtime was loaded before */
    struct bench_io in[BENCH_MAX_IO], out[BENCH_MAX_IO];
    int n_in, n_out;
};

/** dlopen() with the library's telemetry off, unless the user's ORT_DISABLE_TELEMETRY says otherwise: it runs threads
 *  beside a measurement, calls its maker, and leaves a log in the folder of temporary files for each process. */
void *ort_load(const char *lib, int mode);

/** A prepared run: inputs made, outputs allocated by the first run and used again. */
struct ort_feed {
    void *in[BENCH_MAX_IO], *out[BENCH_MAX_IO];
    void *data[BENCH_MAX_IO]; /* the inputs' bytes, in the declared types */
};
struct status ort_feed_make(struct bench_ort *o, struct ort_feed *f, const struct bench_array *in, int n_in);
struct status ort_feed_run(struct bench_ort *o, struct ort_feed *f);
void ort_feed_free(struct bench_ort *o, struct ort_feed *f);

/** float <-> the element types above. */
size_t ort_type_size(int type); /* 0: not one of them */
void ort_from_float(void *to, int type, const float *v, int64_t n);
void ort_to_float(float *v, const void *from, int type, int64_t n);

#endif
