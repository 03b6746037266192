/*
 * bench: latency of a model file on a device, by one protocol. Uses base alone, and ONNX Runtime or LiteRT by
 * dlopen, so that the program around it is small, cross-builds easily, and its memory is the model's.
 *
 * Protocol of a visit: a fresh process; the load timed once; the first run kept apart; a warm-up of at least one run
 * and half a second; then runs until enough samples and enough seconds; every sample kept. Interleaving visits of
 * different models is the caller's.
 */
#ifndef SWEEP_BENCH_H
#define SWEEP_BENCH_H

#include "base.h"
#include <signal.h>

enum { BENCH_MAX_RANK = 8, BENCH_MAX_IO = 8 };

/* ---- statistics ------------------------------------------------------------------------------------------------ */

/** Units: milliseconds. Percentiles are sorted[floor(n p)], the rule of MLPerf LoadGen and ONNX Runtime's own tool. */
struct bench_stats {
    int n;
    double min_ms, p50_ms, p90_ms, p99_ms, max_ms, mean_ms;
    double cov;    /* standard deviation (n - 1) over mean */
    bool unstable; /* cov > 2.5 % */
};
#define BENCH_PERCENTILE_RULE "sorted[floor(n*p)]"
#define BENCH_UNSTABLE_COV    0.025
/** Of raw microseconds in any order; n 0 gives zeros. */
struct bench_stats bench_stats(const float *us, int n);

/* ---- a visit --------------------------------------------------------------------------------------------------- */

/** How long to measure. A slow model stops at cap_s with at least cap_n samples, and the result says so. */
struct bench_mode {
    const char *name; /* quick | normal | thorough */
    int min_n;
    double min_s;
    int cap_n;
    double cap_s;
    double warmup_s;
};
extern const struct bench_mode bench_modes[]; /* ends with a NULL name */
/** Whether @p n samples in @p elapsed_s seconds end the measuring. */
enum bench_stop { BENCH_GO_ON, BENCH_ENOUGH, BENCH_CAPPED };
enum bench_stop bench_stop(const struct bench_mode *m, int n, double elapsed_s);
/** Errors: STATUS_ARG with the nearest name. */
struct status bench_mode_find(const struct bench_mode **out, const char *name);

struct bench_job {
    const char *model;   /* file */
    const char *ort_lib; /* NULL: found by bench_library */
    const char *mode;    /* NULL: normal */
    int threads;         /* 0: all that this process may use */
    int height, width;   /* for a file that leaves them open; 0: the file's */
    uint64_t seed;       /* of the random input */
};

struct bench_result {
    double load_ms, first_ms;
    float *samples_us; /* [stats.n], in the order measured */
    struct bench_stats stats;
    bool capped;       /* stopped by the mode's cap */
    int height, width; /* of the first input */
    int64_t rss_bytes; /* peak of this process */
    double measured;   /* seconds since the epoch */
    json_t *info;      /* runtime, version, options, threads used, governor, temperatures, timed region, ... */
};

/** Runs the protocol in this process, which should be fresh. Owner: the caller, bench_result_free, also on failure. */
struct status bench_visit(struct bench_result *out, const struct bench_job *job);
void bench_result_free(struct bench_result *r);

/**
 * Runs a visit in a child process and gives it as the `latency` event of src/worker/PROTOCOL.md, without "ev",
 * "format", "device" and "visit". A crash of the runtime becomes a failure that names the signal. Call it from a small
 * process with one thread: the child starts with the caller's memory. @p stop may be NULL; when it becomes nonzero (a
 * signal handler's flag) the child is killed and the status is STATUS_INTERRUPTED. Owner: the caller json_decrefs *out.
 */
struct status bench_visit_forked(json_t **out, const struct bench_job *job, const volatile sig_atomic_t *stop);

/* ---- a runtime with one loaded file ------------------------------------------------------------------------------ */

struct bench_model; /* opaque */

/** A float array; the shape is row-major. */
struct bench_array {
    int rank;
    int64_t shape[BENCH_MAX_RANK];
    float *data;
};
int64_t bench_array_numel(const struct bench_array *a);

/** What a file declares of an input or output. type is ONNX's: 1 float32, 2 uint8, 10 float16. */
struct bench_io {
    const char *name;
    int type, rank;
    int64_t shape[BENCH_MAX_RANK]; /* -1: open */
};

/**
 * Loads @p path in the runtime that its content asks for: LiteRT for a .tflite file, else ONNX Runtime. @p ort_lib is
 * the shared object of the latter, NULL: bench_library's choice. @p threads 0: all.
 * Errors: STATUS_ARG for a library that is none or too old and for a file that the runtime refuses (its words
 * follow); STATUS_IO for files that are not there.
 * Owner: the caller, bench_close. Threads: one at a time.
 */
struct status bench_open(struct bench_model **out, const char *ort_lib, const char *path, int threads);
void bench_close(struct bench_model *m);

/** Images are [N,C,H,W] here, whatever order the file has them in. */
const struct bench_io *bench_inputs(const struct bench_model *m, int *n);
const struct bench_io *bench_outputs(const struct bench_model *m, int *n);

/**
 * Runs once. @p in: one array an input, in the file's order, converted to its declared type. @p out: one array an
 * output, converted to float. Owner: the caller frees each out[i].data.
 */
struct status bench_run(struct bench_model *m, const struct bench_array *in, int n_in, struct bench_array *out,
                        int n_out);

/** "1.30.0"; borrowed. */
const char *bench_version(const struct bench_model *m);

enum bench_runtime { BENCH_ORT, BENCH_LITERT };
/** Where a runtime's library is: @p asked, the environment's ORT_LIB or LITERT_LIB, the build's default, .deps beside
 *  the build, the loader's own search; the first that exists. In the arena. Errors: STATUS_IO naming all that was
 * tried. */
struct status bench_library(const char **out, struct arena *a, enum bench_runtime runtime, const char *asked);

#endif
