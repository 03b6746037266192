/*
 * net: the intermediate representation that everything walks. A net is a flat list of typed operations; a value is
 * the index of the operation that makes it, so the list is in topological order by construction. Shapes are inferred
 * while building. The zoo and the losses build nets; exec runs them; export writes them; cost and dump read them.
 *
 *     struct net *n = net_new();
 *     net_val x = net_input(n, "input", 3, 224, 224);
 *     net_enter(n, "encoder");
 *     x = net_conv2d(n, "conv1", x, 64, (struct net_conv){.k = 7, .stride = 2, .pad = 3});
 *     x = net_batch_norm(n, "bn1", x, (struct net_norm){0});
 *     x = net_relu(n, x);
 *     net_leave(n);
 *     net_output(n, "output", x);
 *     TRY(net_finish(n));
 *
 * Errors latch: the first is kept, later calls do nothing and return NET_NONE; read it at net_finish().
 * Shapes are [N,C,H,W] and stated for N = 1: dimension 0 of a value that has one is the batch, and any batch runs.
 * Parameters are named SCOPE.NAME.weight and so on, as in the reference's state dict. Naming a parameter twice with
 * the same shape shares it (a loss network run on two inputs).
 */
#ifndef SWEEP_NET_H
#define SWEEP_NET_H

#include "base.h"

enum { NET_NONE = -1, NET_MAX_RANK = 5, NET_MAX_PARAM = 5 };
enum { NONE = 0, NET_ONNX = 1, NET_COREML = 2, NET_TS = 4, NET_LITERT = 8 };

typedef int net_val;

enum net_op {
#define OP(id, name, n_in, formats) NET_##id,
#include "ops.def"
#undef OP
    NET_N_OPS
};

struct net_op_info {
    const char *name;
    int n_in;
    unsigned formats; /* NET_ONNX | NET_COREML | NET_TS | NET_LITERT */
};
extern const struct net_op_info net_ops[NET_N_OPS];

struct net_shape {
    int rank;
    int64_t d[NET_MAX_RANK];
};
int64_t net_numel(struct net_shape s);
/** "[1,3,224,224]" into a static ring of buffers: for messages only. */
const char *net_shape_str(struct net_shape s);

/* ---- attributes: all-zero is the usual case ------------------------------------------------------------------- */

struct net_conv {
    int k, kh, kw;      /* kernel: k for both, or kh and kw */
    int stride, sh, sw; /* 0 means 1; sh, sw override */
    int pad, ph, pw;    /* both sides of both axes; ph, pw override one axis */
    int pads[4];        /* top, left, bottom, right: added to pad; for one-sided padding */
    int dil;            /* 0 means 1 */
    int groups;         /* 0 means 1 */
    bool bias;
    bool same;   /* TensorFlow's SAME for this input's size, odd pixel at bottom and right; resolved here */
    int out_pad; /* transposed only */
};
struct net_norm {
    double eps;      /* 0 means 1e-5 */
    double momentum; /* 0 means 0.1 */
    int groups;      /* group norm only */
    bool zero;       /* scale starts at 0 (the last norm of a residual branch) */
};
struct net_pool {
    int k, stride, pad;   /* stride 0 means k */
    bool ceil, count_pad; /* count_pad: the average counts padded zeros */
};

/* What a node keeps: attributes after resolution, one member a kind of op. */
struct net_attr {
    int kernel[2], stride[2], dil[2], pads[4] /* t,l,b,r */, out_pad[2], groups;
    bool ceil, count_pad, align_corners, keepdim;
    double eps, momentum, a, b; /* affine: a x + b; clamp: a..b; pow: x^a; dropout: probability a */
    int dim0, dim1;             /* softmax, concat, slice, transpose */
    int64_t start, len;         /* slice */
    unsigned dims;              /* sum, mean: bit d set when dimension d is reduced */
    int64_t size[2];            /* upsample, adaptive pool: output height, width */
};

struct net_node {
    enum net_op op;
    const char *scope; /* where it was built: "encoder.layer1.0" */
    const char *name;  /* leaf name of an op with parameters ("conv1"), or of an input; else "" */
    int n_in;
    const net_val *in;
    int n_param;
    int param[NET_MAX_PARAM]; /* indices into net.params. conv: weight[, bias]; batch norm: weight, bias, mean, var */
    struct net_shape shape;   /* of its value */
    struct net_attr attr;
};

/* ---- parameters ------------------------------------------------------------------------------------------------ */

enum net_param_kind {
    NET_WEIGHT, /* trained */
    NET_BUFFER, /* running statistics: saved, not trained */
    NET_COUNT,  /* num_batches_tracked: int64 scalar, saved */
    NET_CONST,  /* values fixed by the builder (net_param.value): not saved, not in the state dict */
};
enum net_dist { NET_ZERO, NET_ONE, NET_UNIFORM, NET_NORMAL };

struct net_init {
    enum net_dist dist;
    double scale; /* uniform: bound; normal: deviation */
};

struct net_param {
    const char *name; /* full: "encoder.layer1.0.conv1.weight" */
    enum net_param_kind kind;
    struct net_shape shape;
    struct net_init init;
    const float *value; /* NET_CONST only; owned by the net */
    net_val owner;      /* first node that uses it */
};

/** How fresh convolutions start; families differ (notes of the reference). Set with net_init_rule. */
enum net_init_rule {
    NET_INIT_DEFAULT,         /* PyTorch's layer default: uniform, a = sqrt 5; bias uniform +-1/sqrt(fan_in) */
    NET_INIT_KAIMING_FAN_OUT, /* normal, sqrt(2 / (k k out)), groups ignored; bias 0 */
    NET_INIT_KAIMING_FAN_IN,  /* normal, sqrt(2 / fan_in); bias 0 */
    NET_INIT_GOOG,            /* normal, sqrt(2 / (k k out / groups)); bias 0 */
    NET_INIT_DECODER,         /* uniform kaiming fan_in, relu; bias 0; transposed convolutions keep the default */
    NET_INIT_XAVIER,          /* uniform; bias 0 */
    NET_INIT_FAN_OUT_BIAS,    /* kaiming fan_out, bias as the default rule */
    NET_INIT_ZEROS,           /* weight and bias 0: a residual head starts as the identity */
};

struct net_io {
    const char *name;
    net_val val;
};

struct net {
    struct arena arena;
    struct net_node *nodes;
    struct net_param *params;
    struct net_io *inputs, *outputs;
    int n_nodes, n_params, n_inputs, n_outputs;
    struct status error;     /* the first */
    struct net_build *build; /* scope, init rule, name index: private to the builder */
};

/* ---- life ------------------------------------------------------------------------------------------------------ */

/** Owner: the caller, net_free. A net owns one arena; values and names die with it. */
struct net *net_new(void);
void net_free(struct net *n);

/** Ends building: returns the first latched error, drops nothing. Call once, before anything reads the net. */
struct status net_finish(struct net *n);

/** Latches a refusal or error from model code, e.g. a size a decoder cannot take. */
void net_fail(struct net *n, enum status_code code, const char *fmt, ...) PRINTF(3, 4);
bool net_failed(const struct net *n);

/** Scopes: names below are prefixed "a.b.". Balanced. */
void net_enter(struct net *n, const char *fmt, ...) PRINTF(2, 3);
void net_leave(struct net *n);
/** The rule for weights built from now on; returns the previous one. */
enum net_init_rule net_init_rule(struct net *n, enum net_init_rule rule);

struct net_shape net_shape_of(const struct net *n, net_val v);
/** Channels, height, width of a [N,C,H,W] value; 0 after an error. */
int net_c(const struct net *n, net_val v);
int net_h(const struct net *n, net_val v);
int net_w(const struct net *n, net_val v);

/* ---- operations ------------------------------------------------------------------------------------------------- */

net_val net_input(struct net *n, const char *name, int c, int h, int w);
void net_output(struct net *n, const char *name, net_val v);

/** Shape: [N,C,H,W] -> [N,out,H',W'], H' = (H + pads - dil (k-1) - 1)/stride + 1.
 *  Params: NAME.weight [out, C/groups, kh, kw]; NAME.bias [out]. */
net_val net_conv2d(struct net *n, const char *name, net_val x, int out, struct net_conv o);
/** Shape: H' = (H-1) stride - 2 pad + k + out_pad. Params: NAME.weight [C, out/groups, k, k]; NAME.bias [out]. */
net_val net_conv_transpose2d(struct net *n, const char *name, net_val x, int out, struct net_conv o);
/** Params: NAME.weight, .bias, .running_mean, .running_var [C], .num_batches_tracked []. */
net_val net_batch_norm(struct net *n, const char *name, net_val x, struct net_norm o);
/** Params: NAME.weight, .bias [C]. */
net_val net_group_norm(struct net *n, const char *name, net_val x, struct net_norm o);
/** x * scale[c] + shift[c] with constants, each [C]; copied. */
net_val net_channel_affine(struct net *n, net_val x, const float *scale, const float *shift);
/** Depthwise convolution with one constant kernel [kh,kw] for every channel (blur of SSIM); no padding. */
net_val net_filter(struct net *n, net_val x, int kh, int kw, const float *kernel);

net_val net_relu(struct net *n, net_val x);
net_val net_relu6(struct net *n, net_val x);
net_val net_silu(struct net *n, net_val x);
net_val net_hardswish(struct net *n, net_val x);
net_val net_sigmoid(struct net *n, net_val x);
net_val net_hardsigmoid(struct net *n, net_val x);
net_val net_tanh(struct net *n, net_val x);
/** To the nearest whole number, halves to the even one; without a gradient. */
net_val net_round(struct net *n, net_val x);
net_val net_abs(struct net *n, net_val x);
net_val net_log(struct net *n, net_val x);
/** Any elementwise op without attributes, by its id. */
net_val net_unary(struct net *n, enum net_op op, net_val x);
net_val net_clamp(struct net *n, net_val x, double lo, double hi);
net_val net_pow(struct net *n, net_val x, double p);
/** a x + b */
net_val net_affine(struct net *n, net_val x, double a, double b);
net_val net_softmax(struct net *n, net_val x, int dim);
net_val net_log_softmax(struct net *n, net_val x, int dim);

/** max pads with -inf; ceil adds a last partial window. */
net_val net_max_pool(struct net *n, net_val x, struct net_pool o);
net_val net_avg_pool(struct net *n, net_val x, struct net_pool o);
/** Shape: -> [N,C,out_h,out_w]; out 1 is the mean over H,W. */
net_val net_adaptive_avg_pool(struct net *n, net_val x, int out_h, int out_w);
/** Zeros at top, left, bottom, right. */
net_val net_pad(struct net *n, net_val x, int t, int l, int b, int r);
net_val net_upsample_nearest(struct net *n, net_val x, int out_h, int out_w);
net_val net_upsample_bilinear(struct net *n, net_val x, int out_h, int out_w, bool align_corners);

/** Along dimension 1. */
net_val net_concat(struct net *n, const net_val *x, int n_x);
net_val net_slice(struct net *n, net_val x, int64_t start, int64_t len);
/** Elementwise with broadcasting of size-1 dimensions, e.g. [N,C,H,W] * [N,C,1,1]. */
net_val net_add(struct net *n, net_val a, net_val b);
net_val net_sub(struct net *n, net_val a, net_val b);
net_val net_mul(struct net *n, net_val a, net_val b);
net_val net_div(struct net *n, net_val a, net_val b);
/** Dimension 0 stays the batch: the @p n_dims entries of @p dims are the others (rank n_dims + 1), one may be -1. */
net_val net_reshape(struct net *n, net_val x, int n_dims, const int64_t *dims);
net_val net_transpose(struct net *n, net_val x, int d0, int d1);
/** Batched over dimension 0: [N,A,B] x [N,B,C] -> [N,A,C]. */
net_val net_matmul(struct net *n, net_val a, net_val b);
/** Reduce the dimensions of the bit set @p dims (1u << d); bit 0 reduces the batch, too. */
net_val net_sum(struct net *n, net_val x, unsigned dims, bool keepdim);
net_val net_mean(struct net *n, net_val x, unsigned dims, bool keepdim);
net_val net_dropout(struct net *n, net_val x, double p);
net_val net_dropout2d(struct net *n, net_val x, double p);
/** Drops whole images of the batch and scales the others by 1/(1-p). */
net_val net_drop_path(struct net *n, net_val x, double p);

/** Mean of |a - b| over everything, the batch included. Shape: -> [] */
net_val net_l1(struct net *n, net_val a, net_val b);
/** F F^T / (C H W) of each image. Shape: [N,C,H,W] -> [N,C,C] */
net_val net_gram(struct net *n, net_val x);

/* ---- walking ---------------------------------------------------------------------------------------------------- */

/** live[v] is true when an output depends on v. @p live has n_nodes entries. */
void net_live(const struct net *n, bool *live);
/** Index of a parameter by full name, -1 when absent. */
int net_param_find(const struct net *n, const char *name);

/** Sizes of one image at the net's own size; operations of live nodes. */
struct net_cost {
    int64_t params;           /* trained parameters, stored-but-unused ones included */
    int64_t params_bytes;     /* of everything saved, float32 */
    int64_t macs;             /* of convolutions, as the reference's profiler counts */
    int64_t macs_matmul;      /* of matrix products, beside them */
    int64_t bytes_peak_infer; /* activations alive at once, float32 */
    int64_t bytes_train;      /* activations kept for the backward pass, float32 */
};
struct net_cost net_cost(const struct net *n);

/** One line a node: id, op, name, inputs, shape, attributes, parameters, MACs; then a total line. */
void net_dump(const struct net *n, struct str *out);

/** First layer (its name) that would normalise one value a channel when training with this batch; NULL if none. */
const char *net_single_value_norm(const struct net *n, int batch);

/* ---- passes: net and values in, new net and values out ----------------------------------------------------------- */

/** Host values of parameters, float32, by parameter index; entries of NET_COUNT may be NULL, those of NET_CONST are
 *  the net's own. */
struct net_values {
    struct arena arena;
    const float **v;
};
void net_values_free(struct net_values *v);

/**
 * Ready for inference: dead nodes and unused parameters removed, dropouts removed, batch norms folded into the
 * convolution before them (or turned into channel_affine where there is none or its value is used elsewhere), and
 * parallel branches, sums of such convolutions of one value, made one convolution.
 * Owner: the caller frees both results. Values not changed are borrowed from @p in.
 */
struct status net_for_inference(struct net **out, struct net_values *values_out, const struct net *n,
                                const float *const *in);

/** What an image's channels are normalised by, in 0..1: a value a channel. */
struct net_image_norm {
    const float *mean, *std;
};
/** Wraps a net that works on normalised images, RGB, grey or RGBA in and RGB out: 0..255 in and out, normalisation, its
 *  inverse, clipping and rounding to whole levels inside. Errors: STATUS_REFUSED for a net of another form. */
struct status net_image_io(struct net **out, struct net_values *values_out, const struct net *n, const float *const *in,
                           struct net_image_norm input, struct net_image_norm output);

#endif
