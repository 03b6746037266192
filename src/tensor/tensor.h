/*
 * tensor: libtorch behind a C header. Opaque handles, status by value, no policy: this room knows tensors and nothing
 * of nets. It is the only room that includes libtorch; every body runs inside one guard that turns exceptions into a
 * status (STATUS_OOM when the device or the host has no memory, STATUS_DEVICE when the device is gone, else
 * STATUS_TORCH).
 *
 *     struct tensor *x, *y;
 *     TRY(tensor_from_host(&x, TENSOR_F32, 4, (int64_t[]){8, 3, 64, 64}, pixels, tensor_cpu()));
 *     TRY(tensor_unary(&y, TENSOR_RELU, x));
 *     tensor_free(x);
 *
 * Conventions: the result comes first and is the caller's (tensor_free); inputs are borrowed; a name that ends in "_in"
 * changes its argument. Names of ops mean what PyTorch's functions of that name compute. Unless it says otherwise a
 * function is differentiable and records itself when grad mode is on and an input wants a gradient.
 * Threads: one thread calls this room; libtorch's own threads do the work.
 */
#ifndef SWEEP_TENSOR_H
#define SWEEP_TENSOR_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum tensor_dtype { TENSOR_F32, TENSOR_F64, TENSOR_BF16, TENSOR_F16, TENSOR_I64, TENSOR_U8, TENSOR_N_DTYPES };
enum { TENSOR_MAX_RANK = 8 };

struct tensor; /* a counted reference to a libtorch tensor */

struct tensor_device {
    bool cuda;
    int index; /* of the GPU */
};

/* ---- the process ----------------------------------------------------------------------------------------------- */

static inline struct tensor_device tensor_cpu(void)
{
    struct tensor_device d = {false, 0};
    return d;
}
/** Whether this libtorch was built for CUDA, and how many GPUs it sees (0 without a driver). */
bool tensor_has_cuda(void);
int tensor_cuda_count(void);
/** "auto" (a GPU when there is one), "cpu", "cuda", "cuda:1". Errors: STATUS_ARG when there is no such device. */
struct status tensor_pick_device(struct tensor_device *out, const char *name);
/** "CPU" or the GPU's name, into @p out. */
void tensor_device_name(struct str *out, struct tensor_device d);
/** "2.13.0" of the libtorch that is linked. */
const char *tensor_torch_version(void);
/** Whether convolutions in @p d's bfloat16 are faster than in float32 (AVX512-bf16 or AMX; CUDA 8.0 and later). */
bool tensor_bf16_is_fast(struct tensor_device d);
/** The dtype of "auto" (the fastest that it computes natively: bf16, else fp16 on a GPU and fp32 on a CPU), "fp32",
 * "bf16", "fp16", "fp64" on this device. Errors: STATUS_ARG for another name. */
struct status tensor_pick_precision(enum tensor_dtype *out, const char *name, struct tensor_device d);
const char *tensor_dtype_name(enum tensor_dtype d); /* "fp32", "bf16", ... as a user writes it */
size_t tensor_dtype_size(enum tensor_dtype d);

/**
 * Call before any other work, and again before each that shall not depend on what ran before: threads of one op (0: all
 * cores), cuDNN's deterministic kernels, no TF32, and a CPU
 * allocator that keeps freed blocks (a training step frees and takes the same large blocks; returning them to the
 * system costs page faults).
 */
void tensor_start(int threads);
/**
 * When a piece of work has ended and the process waits for another: freed blocks go back to the system and the device.
 */
void tensor_rest(void);
/** tensor_bytes_peak counts from here on. */
void tensor_forget_peak(void);
/** What libtorch reports of fp32 on a GPU: true when every operation and both switches say IEEE, not TF32. */
bool tensor_fp32_is_ieee(void);
/**
 * When the first round of work is done and more of the same will follow: the memory that it took becomes huge pages,
 * with which a step is some 5 to 10 % faster. Costs about as much time as a first step's memory, once; further calls do
 * nothing.
 */
void tensor_settle(void);
int tensor_threads(void);
/** Seeds what the random ops (dropouts) draw from, on every device. */
struct status tensor_seed(uint64_t seed);
/** Most bytes of tensors alive at once on @p d since the process began, or since tensor_forget_peak (the CPU's are
 * counted by the allocator). */
int64_t tensor_bytes_peak(struct tensor_device d);
/** The code of a failure that libtorch words so: STATUS_OOM, STATUS_DEVICE or STATUS_TORCH. */
enum status_code tensor_failure(const char *text);
/** Bytes that this process took from a GPU at most, those that it keeps for later among them; 0: none, or a CPU. */
int64_t tensor_bytes_held(struct tensor_device d);
/** Waits until the device has done what was asked: before reading a clock. */
struct status tensor_synchronize(struct tensor_device d);

/* ---- making, reading -------------------------------------------------------------------------------------------- */

/** Copies row-major host data of the same dtype. Owner: *out is the caller's; @p data may go at once. */
struct status tensor_from_host(struct tensor **out, enum tensor_dtype dtype, int rank, const int64_t *dims,
                               const void *data, struct tensor_device d);
struct status tensor_zeros(struct tensor **out, enum tensor_dtype dtype, int rank, const int64_t *dims,
                           struct tensor_device d);
struct status tensor_full(struct tensor **out, double value, enum tensor_dtype dtype, int rank, const int64_t *dims,
                          struct tensor_device d);
/** Another handle of the same tensor. */
struct tensor *tensor_ref(const struct tensor *t);
/** NULL is fine. */
void tensor_free(struct tensor *t);

int tensor_rank(const struct tensor *t);
int64_t tensor_dim(const struct tensor *t, int d);
int64_t tensor_numel(const struct tensor *t);
enum tensor_dtype tensor_dtype_of(const struct tensor *t);
/** One element as a double; waits for the device. */
struct status tensor_item(double *out, const struct tensor *t);
/** Row-major copies of the whole tensor, converted; @p out has room for tensor_numel() elements. */
struct status tensor_to_f32(const struct tensor *t, float *out);
struct status tensor_to_f64(const struct tensor *t, double *out);
struct status tensor_to_i64(const struct tensor *t, int64_t *out);
/** True when every element is finite. */
struct status tensor_all_finite(bool *out, const struct tensor *t);

/** Overwrites @p t, outside autograd, with row-major host floats or doubles, or with another tensor's values. */
struct status tensor_set_f32_in(struct tensor *t, const float *v);
struct status tensor_set_f64_in(struct tensor *t, const double *v);
struct status tensor_copy_in(struct tensor *t, const struct tensor *from);
/**
 * Overwrites @p t with numbers that depend on (key, element index) alone. uniform: [-scale, scale);
 * normal: deviation @p scale.
 */
struct status tensor_fill_uniform_in(struct tensor *t, uint64_t key, double scale);
struct status tensor_fill_normal_in(struct tensor *t, uint64_t key, double scale);
/** Copies out [start, start + len) of dimension 0 of a batch. */
struct status tensor_rows(struct tensor **out, const struct tensor *t, int64_t start, int64_t len);

/** The same tensor when it already is so. @p channels_last applies to rank 4: NHWC in memory, [N,C,H,W] in name. */
struct status tensor_to_dtype(struct tensor **out, const struct tensor *t, enum tensor_dtype dtype);
struct status tensor_to_device(struct tensor **out, const struct tensor *t, struct tensor_device d);
struct status tensor_to_layout(struct tensor **out, const struct tensor *t, bool channels_last);

/* ---- autograd ---------------------------------------------------------------------------------------------------- */

/** Whether ops record themselves; returns what it was. Starts true. */
bool tensor_grad_mode(bool on);
/** Marks a leaf. Errors: STATUS_TORCH when @p t is the result of a recorded op. */
struct status tensor_want_grad_in(struct tensor *t, bool on);
bool tensor_wants_grad(const struct tensor *t);
/** From a scalar; adds @p scale * d t / d leaf into each leaf's gradient (scale 1 but for fp16). */
struct status tensor_backward(const struct tensor *t, double scale);
/** The same from the result of a recorded op whose gradient, of its shape and dtype, is known. */
struct status tensor_backward_from(const struct tensor *t, const struct tensor *grad);
/** The leaf's gradient; *out is NULL when it has none. */
struct status tensor_grad(struct tensor **out, const struct tensor *t);
/** A handle that autograd does not follow. */
struct status tensor_detach(struct tensor **out, const struct tensor *t);
/** Drops the gradients: "none", not zero. */
struct status tensor_drop_grads(struct tensor *const *t, int n);

/** Gives a leaf the gradient @p grad, of its shape and dtype, in place of the one that it has. */
struct status tensor_set_grad_in(struct tensor *t, const struct tensor *grad);

/* ---- GPUs: not waiting ------------------------------------------------------------------------------------------- */

/** From now on this process works on a stream of its own on @p d, as recording asks; on a CPU nothing. */
struct status tensor_own_stream(struct tensor_device d);

struct tensor_event; /* a place in the device's work */
/** *out is NULL on a CPU, where all work is done at once. Owner: the caller, tensor_event_wait. */
struct status tensor_event_record(struct tensor_event **out, struct tensor_device d);
/** Waits until the device has come to the event, and frees it: *e is NULL then. NULL is passed at once. */
struct status tensor_event_wait(struct tensor_event **e);

/** Host memory that a GPU reads and writes without anybody waiting. U8 [bytes]. Needs a GPU. */
struct status tensor_pinned(struct tensor **out, int64_t bytes);
/** Where a tensor in host memory lies; valid as long as it. */
void *tensor_host_bytes(const struct tensor *t);
/** Overwrites @p t with row-major floats. On a GPU they have to stay until an event recorded afterwards has passed. */
struct status tensor_send_in(struct tensor *t, const float *host);
/** A copy in host memory; on a GPU its values are there when an event recorded afterwards has passed. */
struct status tensor_fetch(struct tensor **out, const struct tensor *t);

/**
 * Work on a GPU that is recorded once and then replayed with a single call: the same kernels on the same memory, so its
 * inputs and outputs are tensors that stay. What is recorded is not done. Nothing in it may read a value or seed;
 * dropouts follow the seed that is set before a replay. The first round of the same work is done unrecorded, since
 * libraries set themselves up in it, and all of it on the process's own stream (tensor_own_stream).
 */
struct tensor_graph;
/** Whether this build can record: libtorch 2.13 and later, or an older one beside the headers of the CUDA runtime. */
bool tensor_has_graphs(void);
/** Owner: the caller, tensor_graph_free. */
struct status tensor_graph_begin(struct tensor_graph **out, struct tensor_device d);
/** Errors: STATUS_TORCH when something between cannot be recorded; the graph is good for freeing only. */
struct status tensor_graph_end(struct tensor_graph *g);
struct status tensor_graph_replay(struct tensor_graph *g);
void tensor_graph_free(struct tensor_graph *g); /* NULL is fine */

/* ---- elementwise ------------------------------------------------------------------------------------------------- */

enum tensor_unary_op {
    TENSOR_RELU,
    TENSOR_RELU6,
    TENSOR_SILU,
    TENSOR_HARDSWISH,
    TENSOR_SIGMOID,
    TENSOR_HARDSIGMOID,
    TENSOR_TANH,
    TENSOR_ROUND, /* halves to the even number */
    TENSOR_ABS,
    TENSOR_LOG,
    TENSOR_N_UNARY
};
enum tensor_binary_op { TENSOR_ADD, TENSOR_SUB, TENSOR_MUL, TENSOR_DIV, TENSOR_N_BINARY };

struct status tensor_unary(struct tensor **out, enum tensor_unary_op op, const struct tensor *x);
/** Broadcasts; two dtypes give the wider one. */
struct status tensor_binary(struct tensor **out, enum tensor_binary_op op, const struct tensor *a,
                            const struct tensor *b);
/** a x + b */
struct status tensor_affine(struct tensor **out, const struct tensor *x, double a, double b);
struct status tensor_clamp(struct tensor **out, const struct tensor *x, double lo, double hi);
struct status tensor_pow(struct tensor **out, const struct tensor *x, double p);

/* ---- layers ------------------------------------------------------------------------------------------------------ */

struct tensor_conv_options {
    int64_t stride[2], pad[2], dil[2], out_pad[2], groups; /* height, width; out_pad of a transposed one only */
    bool transposed;
};
/** Params: w [out, C/groups, kh, kw], transposed [C, out/groups, kh, kw]; bias [out] or NULL. */
struct status tensor_conv(struct tensor **out, const struct tensor *x, const struct tensor *w,
                          const struct tensor *bias, const struct tensor_conv_options *o);
/**
 * relu(conv(x)) when neither w nor bias wants a gradient, in one pass where the device can; keeps only its result and
 * w for the backward pass, which goes to x alone.
 */
struct status tensor_conv_relu(struct tensor **out, const struct tensor *x, const struct tensor *w,
                               const struct tensor *bias, const struct tensor_conv_options *o);
/**
 * train: batch statistics, and mean and var (which may be NULL: not kept) move by @p momentum, var unbiased.
 * Params: weight, bias, mean, var [C], float32 with a low-precision x.
 */
struct status tensor_batch_norm(struct tensor **out, const struct tensor *x, const struct tensor *weight,
                                const struct tensor *bias, struct tensor *mean, struct tensor *var, bool train,
                                double momentum, double eps);
struct status tensor_group_norm(struct tensor **out, const struct tensor *x, int64_t groups,
                                const struct tensor *weight, const struct tensor *bias, double eps);
struct tensor_pool_options {
    int64_t k[2], stride[2], pad[2];
    bool ceil, count_pad;
};
struct status tensor_max_pool(struct tensor **out, const struct tensor *x, const struct tensor_pool_options *o);
struct status tensor_avg_pool(struct tensor **out, const struct tensor *x, const struct tensor_pool_options *o);
struct status tensor_adaptive_avg_pool(struct tensor **out, const struct tensor *x, int64_t h, int64_t w);
/** Zeros at top, left, bottom, right. */
struct status tensor_pad(struct tensor **out, const struct tensor *x, const int64_t tlbr[4]);
struct status tensor_upsample_nearest(struct tensor **out, const struct tensor *x, int64_t h, int64_t w);
struct status tensor_upsample_bilinear(struct tensor **out, const struct tensor *x, int64_t h, int64_t w,
                                       bool align_corners);
struct status tensor_softmax(struct tensor **out, const struct tensor *x, int dim);
struct status tensor_log_softmax(struct tensor **out, const struct tensor *x, int dim);
struct status tensor_concat(struct tensor **out, struct tensor *const *x, int n, int dim);
struct status tensor_slice(struct tensor **out, const struct tensor *x, int dim, int64_t start, int64_t len);
struct status tensor_reshape(struct tensor **out, const struct tensor *x, int rank, const int64_t *dims);
struct status tensor_transpose(struct tensor **out, const struct tensor *x, int d0, int d1);
/** Batched: [N,A,B] x [N,B,C]. */
struct status tensor_matmul(struct tensor **out, const struct tensor *a, const struct tensor *b);
/** Over the dimensions of the bit set @p dims. */
struct status tensor_sum(struct tensor **out, const struct tensor *x, unsigned dims, bool keepdim);
struct status tensor_mean(struct tensor **out, const struct tensor *x, unsigned dims, bool keepdim);
/** Drop elements, whole channels, whole images; survivors are scaled by 1/(1-p). p 0 is the identity. */
enum tensor_drop { TENSOR_DROP_ELEMENT, TENSOR_DROP_CHANNEL, TENSOR_DROP_IMAGE };
struct status tensor_dropout(struct tensor **out, const struct tensor *x, double p, enum tensor_drop what);

/* ---- losses in low precision: no float32 copy of a map ----------------------------------------------------------- */

/** Mean of |a - b|, in float32 (float64 for float64). Each of a, b in any dtype. Shape: -> [] */
struct status tensor_l1(struct tensor **out, const struct tensor *a, const struct tensor *b);
/** F F^T / (C H W) of each image; products in x's dtype, sums and result in float32 (float64). [N,C,H,W] -> [N,C,C] */
struct status tensor_gram(struct tensor **out, const struct tensor *x);

/* ---- optimisers: fused kernels over lists ------------------------------------------------------------------------ */

enum tensor_optim_kind { TENSOR_ADAMW, TENSOR_ADAM, TENSOR_SGD };
struct tensor_optim_options {
    enum tensor_optim_kind kind;
    double beta1, beta2, eps; /* adam, adamw */
    double momentum;          /* sgd */
    double weight_decay;      /* adamw: decoupled; adam, sgd: added to the gradient */
};
struct tensor_optim;

/** @p params are referenced, not copied. Owner: the caller, tensor_optim_free. */
struct status tensor_optim_new(struct tensor_optim **out, const struct tensor_optim_options *o,
                               struct tensor *const *params, int n);
void tensor_optim_free(struct tensor_optim *o);
/** One update; @p lr has one rate a parameter. A parameter without a gradient is left alone: no decay, no step. */
struct status tensor_optim_step(struct tensor_optim *o, const double *lr);
/**
 * What a checkpoint keeps: for parameter @p i the moments (slot 0, and 1 of the adams; NULL past the last) and the
 * number of updates, to be read or, with tensor_copy_in and assignment, restored. Owner: borrowed.
 */
struct tensor *tensor_optim_slot(const struct tensor_optim *o, int i, int slot);
int64_t *tensor_optim_updates(const struct tensor_optim *o);

/** Multiplies all gradients by @p factor; *finite says whether all were (fp16 loss scaling). */
struct status tensor_unscale_grads(bool *finite, struct tensor *const *params, int n, double factor);
/** Scales all gradients so that their common norm is at most @p most; the device is not waited for. */
struct status tensor_clip_grads(struct tensor *const *params, int n, double most);
/** dst += weight * (src - dst), lists of n: the moving average of weights. */
struct status tensor_lerp_in(struct tensor *const *dst, struct tensor *const *src, int n, double weight);

#ifdef __cplusplus
}
#endif
#endif
