/* Exports a net, runs the file in its format's runtime on random images, and compares with the reference evaluator. */
#ifndef SWEEP_TEST_RUNTIME_CHECK_H
#define SWEEP_TEST_RUNTIME_CHECK_H

#include "bench.h"
#include "export.h"
#include "reference.h"
#include "test.h"

enum { CHECK_BATCH = 2, CHECK_MAX_IO = 4 };

/** An array of @p batch random images for a net's input. */
static struct bench_array check_input(const struct net *n, int i, int batch, double lo, double hi)
{
    struct net_shape s = n->nodes[n->inputs[i].val].shape;
    struct bench_array a = {.rank = s.rank};
    for (int d = 0; d < s.rank; d++) a.shape[d] = d == 0 ? batch : s.d[d];
    int64_t size = bench_array_numel(&a);
    a.data = mem_alloc((size_t)size * sizeof *a.data);
    struct rng r = rng_key(7, (uint64_t)i, 0, 0);
    for (int64_t k = 0; k < size; k++) a.data[k] = (float)rng_range(&r, lo, hi);
    return a;
}

/** Compares image @p b of the outputs with the reference; returns the largest difference over its output's size. */
static double check_image(const struct net *n, const float *const *values, const struct bench_array *in,
                          const struct bench_array *out, int b)
{
    const float *images[CHECK_MAX_IO];
    double worst = 0;
    for (int i = 0; i < n->n_inputs; i++) images[i] = in[i].data + b * net_numel(n->nodes[n->inputs[i].val].shape);
    struct ref r = ref_run(n, values, images);
    for (int o = 0; o < n->n_outputs; o++) {
        int64_t size = net_numel(n->nodes[n->outputs[o].val].shape);
        const double *want = r.v[n->outputs[o].val];
        double scale = 1;
        for (int64_t k = 0; k < size; k++) scale = fmax(scale, fabs(want[k]));
        for (int64_t k = 0; k < size; k++) {
            worst = test_worst(worst, ((double)out[o].data[b * size + k] - want[k]) / scale);
        }
    }
    ref_free(&r);
    return worst;
}

/** The whole round: the largest relative difference, or HUGE_VAL with a message on stderr when a step failed. */
static double check_format(const char *format, const char *what, const char *path, const struct net *n,
                           const float *const *values, const struct export_options *o, int batch)
{
    struct bench_array in[CHECK_MAX_IO] = {0}, out[CHECK_MAX_IO] = {0};
    struct bench_model *model = NULL;
    double worst = HUGE_VAL;
    struct status s = export_write(format, path, n, values, o);
    if (s.code == STATUS_OK) s = bench_open(&model, NULL, path, 1);
    for (int i = 0; i < n->n_inputs; i++) in[i] = check_input(n, i, batch, -2.5, 2.5);
    if (s.code == STATUS_OK) s = bench_run(model, in, n->n_inputs, out, n->n_outputs);
    if (s.code == STATUS_OK) {
        worst = 0;
        for (int b = 0; b < batch; b++) worst = fmax(worst, check_image(n, values, in, out, b));
    } else {
        fprintf(stderr, "%s: %s: %s\n", format, what, s.msg);
    }
    for (int i = 0; i < CHECK_MAX_IO; i++) {
        free(in[i].data);
        free(out[i].data);
    }
    bench_close(model);
    return worst;
}

static inline double check_net(const char *what, const char *path, const struct net *n, const float *const *values,
                               const struct export_options *o, int batch)
{
    return check_format("onnx", what, path, n, values, o, batch);
}

#endif
