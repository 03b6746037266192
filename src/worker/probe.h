/* Private to the probe: requests read, numbers told, nets with filled weights. */
#ifndef SWEEP_PROBE_H
#define SWEEP_PROBE_H

#include "cell.h"
#include "loss.h"
#include "worker.h"
#include "zoo.h"

enum { SIDE_MOST = 4096, BATCH_MOST = 64, STEPS_MOST = 100, TAP_SAMPLES = 16, OUTPUT_SAMPLES = 64, AFTER_SAMPLES = 32 };

struct status probe_model(json_t *answer, const json_t *q, struct tensor_device dev);
struct status probe_loss(json_t *answer, const json_t *q, struct tensor_device dev);
struct status probe_train(json_t *answer, const json_t *q, struct tensor_device dev);

/** null when it is no finite number. */
json_t *probe_real(double v);
/** Shape, mean, deviation, largest magnitude, and elements picked by splitmix64 of 0, 1, ... */
struct status probe_stats(json_t **out, const struct tensor *t, int n_samples);
/** The fixtures' image called @p name. */
struct status probe_image(struct tensor **out, const char *name, enum tensor_dtype dtype, const int64_t dims[4],
                          struct tensor_device dev);

struct status probe_integer(int64_t *out, const json_t *v, const char *what, int64_t most);
/** "dtype" of a request: float32, which is also meant by none, or float64. */
struct status probe_dtype(enum tensor_dtype *out, const json_t *q);
/** "arch", "backbone" and "size" of a request, and "model": {"model.depth": 4}, keys of a configuration. Owner: strings
 *  are in @p a. */
struct status probe_read_model(struct zoo_model *m, struct arena *a, const json_t *q);
/** The loss net of a request's "config" for images of @p h x @p w. */
struct status probe_build_loss(struct net **out, const json_t *q, int64_t h, int64_t w);

/** A net with filled weights, ready to run; zero-initialise, set the net, fill. */
struct probe_filled {
    struct net *net;
    struct exec *exec;
};
struct status probe_fill(struct probe_filled *f, enum tensor_dtype compute, bool frozen, struct tensor_device dev);
void probe_free(struct probe_filled *f);
void probe_free_all(struct tensor **t, int n);

#endif
