/*
 * exec: runs a net on tensors, forwards and (through autograd) backwards. Holds the parameters; decides dtypes, memory
 * layout, what is fused and when a value is freed. Zoo, loss and train never see those decisions.
 *
 *     struct exec *e;
 *     TRY(exec_new(&e, net, &(struct exec_options){.compute = TENSOR_BF16, .device = dev, .channels_last = true}));
 *     exec_init(e, seed);
 *     TRY(exec_run(e, &(struct exec_mode){.train = true, .grad = true, .seed = step_key}, &x, &y));
 *
 * A loss is a net with two inputs: exec_new with .frozen, exec_run with .grad and inputs (y, target). What depends on
 * the target alone is not recorded, since nothing there wants a gradient.
 *
 * Precision: parameters are float32 (float64 when .compute is); with a low-precision .compute the convolutions and
 * matrix products take and give that dtype, norms keep float32 statistics and parameters, log and pow and all losses
 * compute in float32. A frozen net's weights are converted once, a trained one's at each run, by a recorded cast, so
 * that gradients arrive in float32.
 */
#ifndef SWEEP_EXEC_H
#define SWEEP_EXEC_H

#include "net.h"
#include "tensor.h"
#include "weights.h"

struct exec;

struct exec_options {
    enum tensor_dtype compute; /* TENSOR_F32, F64, BF16 or F16 */
    struct tensor_device device;
    bool channels_last; /* how images and convolution weights lie in memory; results do not depend on it */
    bool frozen;        /* no parameter ever wants a gradient; those that no output depends on are not even there */
};

/** Allocates parameters (zeros until exec_init or exec_load). Owner: the caller, exec_free; @p n must outlive it. */
struct status exec_new(struct exec **out, const struct net *n, const struct exec_options *o);
void exec_free(struct exec *e);
const struct net *exec_net(const struct exec *e);
const struct exec_options *exec_options_of(const struct exec *e);

/* ---- parameters -------------------------------------------------------------------------------------------------- */

/** Fresh parameters by each one's net_init, keyed by (seed, name): the order of building changes nothing. */
struct status exec_init(struct exec *e, uint64_t seed);
/** The fill of the parity fixtures, by name (see their README): computed in double, rounded to float. */
struct status exec_fill_parity(struct exec *e);

/** Element @p i of the fixtures' image called @p name. */
double exec_parity_image(const char *name, int64_t i);

/** What a load did. The lists are joined names, shortened after a few. */
struct exec_match {
    int bound, missing, unexpected, reshaped; /* reshaped: present with another shape, not loaded */
    char missing_names[200], unexpected_names[200], reshaped_names[200];
};
/**
 * Copies arrays into the parameters of the same name; NET_CONST are never loaded, missing num_batches_tracked are not
 * counted as missing.
 * Errors: STATUS_ARG with the lists when anything is missing, unexpected or reshaped and @p strict, or when nothing was
 * bound at all. @p m may be NULL.
 */
struct status exec_load(struct exec *e, const struct weights *w, bool strict, struct exec_match *m);
/** The state dict (weights, buffers, counts, in net order) as host arrays, F32 (F64) and I64. Owner: all in @p a. */
struct status exec_arrays(struct weights_array **out, size_t *n, struct arena *a, const struct exec *e);
/** Host float32 values by parameter index, as the exporters and passes want them. Owner: the caller, net_values_free.
 */
struct status exec_values(struct net_values *out, const struct exec *e);
/** The other way: values by parameter index (a pass's result) into a fresh exec of the new net. */
struct status exec_set_values(struct exec *e, const float *const *v);

/** Tensor of parameter @p i of the net, NULL for NET_COUNT and for what a frozen net never reads. Owner: borrowed,
 * valid until exec_free or exec_swap. */
struct tensor *exec_param(const struct exec *e, int i);
/** num_batches_tracked of parameter @p i (of kind NET_COUNT), to read or set. */
int64_t *exec_count(struct exec *e, int i);
/**
 * Exchanges the parameters' tensors with @p other (n_params entries; NULL ones are left): evaluating with averaged
 * weights, and back. Frozen low-precision copies are dropped.
 */
void exec_swap(struct exec *e, struct tensor **other);
/**
 * Parameters whose name matches (a shell pattern, "encoder.*") stop or start wanting gradients; a norm whose weight is
 * frozen uses and keeps its running statistics. Returns how many matched.
 */
int exec_freeze(struct exec *e, const char *pattern, bool frozen);

/* ---- running ----------------------------------------------------------------------------------------------------- */

struct exec_mode {
    bool train;      /* norms use batch statistics and move their running ones; dropouts drop */
    bool grad;       /* record for tensor_backward */
    bool no_dropout; /* every drop probability is 0 */
    bool norm_eval;  /* norms use running statistics even when training */
    bool seeded;     /* the dropouts' seed is set already: while work is recorded none can be */
    uint64_t seed;   /* of the dropouts: make it from (seed, epoch, step), so that no generator state need be stored */
    /** Called with each value as it is made; NULL: nobody looks. Nothing is fused away then. */
    void (*see)(void *user, net_val v, const struct tensor *t);
    void *user;
};

/**
 * @p in: one tensor for each net input, in order, any dtype and layout, on the options' device; batch any.
 * @p out: one for each net output, in order. Owner: the caller frees each. On failure all are NULL.
 * With grad false nothing is recorded. Values are freed after their last use.
 * Errors: STATUS_ARG for a wrong shape, naming input and net; a norm that would see one value a channel in training,
 * naming it; STATUS_OOM, STATUS_TORCH naming the node.
 */
struct status exec_run(struct exec *e, const struct exec_mode *mode, struct tensor *const *in, struct tensor **out);

#endif
