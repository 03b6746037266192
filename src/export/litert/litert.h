/*
 * Inside room export: the LiteRT (TensorFlow Lite) graph while it is being built. Operators add tensors and operations;
 * file.c writes them. A value of rank 4 lies channels-last, [1,H,W,C]; any other as the net has it.
 */
#ifndef SWEEP_EXPORT_LITERT_H
#define SWEEP_EXPORT_LITERT_H

#include "flatbuffer.h"
#include "lower.h"
#include "quantise.h"

/* Numbers of the schema (TensorType, BuiltinOperator, BuiltinOptions, Padding). */
enum { LITERT_FLOAT = 0, LITERT_FLOAT16 = 1, LITERT_INT32 = 2, LITERT_INT8 = 9 };
enum litert_code {
    LITERT_ADD = 0,
    LITERT_AVERAGE_POOL_2D = 1,
    LITERT_CONCATENATION = 2,
    LITERT_CONV_2D = 3,
    LITERT_DEPTHWISE_CONV_2D = 4,
    LITERT_DEQUANTIZE = 6,
    LITERT_LOGISTIC = 14,
    LITERT_MAX_POOL_2D = 17,
    LITERT_MUL = 18,
    LITERT_RELU = 19,
    LITERT_RELU6 = 21,
    LITERT_RESHAPE = 22,
    LITERT_RESIZE_BILINEAR = 23,
    LITERT_SOFTMAX = 25,
    LITERT_TANH = 28,
    LITERT_PAD = 34,
    LITERT_TRANSPOSE = 39,
    LITERT_MEAN = 40,
    LITERT_SUB = 41,
    LITERT_LOG_SOFTMAX = 50,
    LITERT_MAXIMUM = 55,
    LITERT_MINIMUM = 57,
    LITERT_PADV2 = 60,
    LITERT_SLICE = 65,
    LITERT_TRANSPOSE_CONV = 67,
    LITERT_SUM = 74,
    LITERT_RSQRT = 76,
    LITERT_RESIZE_NEAREST_NEIGHBOR = 97,
    LITERT_QUANTIZE = 114,
    LITERT_ROUND = 116,
    LITERT_HARD_SWISH = 117,
    LITERT_BATCH_MATMUL = 126,
};
enum litert_options_type {
    LITERT_O_CONV_2D = 1,
    LITERT_O_DEPTHWISE = 2,
    LITERT_O_POOL = 5,
    LITERT_O_SOFTMAX = 9,
    LITERT_O_CONCATENATION = 10,
    LITERT_O_RESIZE_BILINEAR = 15,
    LITERT_O_REDUCER = 27,
    LITERT_O_TRANSPOSE_CONV = 49,
    LITERT_O_RESIZE_NEAREST = 74,
};
enum litert_padding { LITERT_SAME = 0, LITERT_VALID = 1 };

struct litert_tensor {
    const char *name;
    int type, rank;
    int32_t dims[NET_MAX_RANK];
    const void *data; /* of a constant; borrowed until the file is written */
    int64_t bytes;
    /* Of one that is rounded: value = (stored - zero) * scale, scales along an axis or one. n_scale 0: it is not. */
    const float *scale;
    int n_scale, zero, axis;
};

/** Options of an operation: its type and the fields of its table. All zero: none. */
struct litert_options {
    enum litert_options_type type;
    int n;
    struct fb_field f[7];
};
struct litert_op {
    enum litert_code code;
    int version, n_in, out;
    const int *in; /* tensors */
    struct litert_options options;
};

struct litert_graph {
    const struct lower *low;
    const struct net *net; /* low's */
    struct arena arena;
    struct litert_tensor *tensors;
    struct litert_op *ops;
    int n_tensors, cap_tensors, n_ops, cap_ops;
    const char **name; /* of each net value */
    int *tensor;       /* of each net value */
    int *other; /* of each net value: its tensor in float32 where it has 8 bits, and the other way; -1: none yet */
    struct quantise q; /* of 8 bits; its lists NULL: none */
    net_val at;        /* the node at hand */
    int n_extra;       /* tensors between its operations */
    bool half;         /* convolutions have their weights in float16 */
    struct status error;
};

/** Adds an operation that makes @p out from @p in; returns @p out. */
int litert_op(struct litert_graph *g, enum litert_code code, int version, int out, const int *in, int n_in,
              struct litert_options o);
#define LITERT_OP(g, code, version, out, opts, ...)                                                                    \
    litert_op((g), (code), (version), (out), (const int[]){__VA_ARGS__},                                               \
              (int)(sizeof((const int[]){__VA_ARGS__}) / sizeof(int)), (opts))
/** No options. */
extern const struct litert_options litert_plain;

/** A constant that is not shared; @p v outlives the writing, or is copied where it has one number. */
int litert_bytes(struct litert_graph *g, int type, int rank, const int64_t *dims, const void *v, size_t each);
/** The [d0,d1,d2,d3] array @p v with its dimensions in another order, and theirs. In the arena. */
const float *litert_turned(struct litert_graph *g, int64_t to[4], const float *v, const int64_t d[4],
                           const int order[4]);

/* ---- 8 bits: int8.c ---------------------------------------------------------------------------------------------- */

/** What each operation may do in 8 bits, by enum quantise_kind. */
extern const unsigned char litert_quantise[NET_N_OPS];
/** Whether node @p v computes in 8 bits. */
bool litert_int8(const struct litert_graph *g, net_val v);
/** Makes @p tensor one of 8 bits, as the result of the node at hand; or of what another is. */
void litert_round(struct litert_graph *g, int tensor);
void litert_like(struct litert_graph *g, int tensor, int other);
/** The tensor of value @p v, of 8 bits or of float32. */
int litert_value(struct litert_graph *g, net_val v, bool int8);
/** Tensor @p t in the steps of @p wanted, where that has any. */
int litert_rescaled(struct litert_graph *g, int t, int wanted);
/** The least number that a tensor like @p like holds. */
int litert_least(struct litert_graph *g, int like);
/** Weights of the convolution at hand by filter, dimensions in another order, and its bias. */
int litert_int8_weights(struct litert_graph *g, const int order[4], int *bias);

/** The tensor that the node at hand makes, and a fresh one between two operations of it. */
int litert_result(struct litert_graph *g);
int litert_between(struct litert_graph *g, int rank, const int64_t *dims);
/** Constants, by content: equal ones are stored once. */
int litert_floats(struct litert_graph *g, int rank, const int64_t *dims, const float *v);
int litert_scalar(struct litert_graph *g, double v);
int litert_ints(struct litert_graph *g, int n, const int64_t *v);
int litert_pairs(struct litert_graph *g, int n, const int64_t *v); /* [n,2] */
/** Values of parameter @p i of the node at hand; NULL after an error. */
const float *litert_param(struct litert_graph *g, int i);
/** The [d0,d1,d2,d3] array @p v with its dimensions in another order, as a constant. */
int litert_permuted(struct litert_graph *g, const float *v, const int64_t d[4], const int order[4]);
void litert_fail(struct litert_graph *g, enum status_code code, const char *what);

/** Where dimension @p d of a value of this rank lies, and a shape as it lies. */
int litert_axis(int rank, int d);
void litert_dims(int64_t out[NET_MAX_RANK], const struct net_shape *s);

/** Adds the operations of node @p v; latches STATUS_REFUSED for an op without a writer. */
void litert_emit(struct litert_graph *g, net_val v);
/** The same values under another tensor. */
int litert_copy(struct litert_graph *g, int out, int in);

#endif
