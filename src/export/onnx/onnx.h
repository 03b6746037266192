/* Inside room export: the ONNX graph while it is being built. Operators add nodes and tensors; onnx.c writes them. */
#ifndef SWEEP_EXPORT_ONNX_H
#define SWEEP_EXPORT_ONNX_H

#include "lower.h"
#include "pb.h"
#include "quantise.h"

enum { ONNX_OPSET = 17, ONNX_IR = 8 };
enum onnx_type { ONNX_FLOAT = 1, ONNX_UINT8 = 2, ONNX_INT8 = 3, ONNX_INT32 = 6, ONNX_INT64 = 7, ONNX_FLOAT16 = 10 };

/** An initializer. Data is borrowed until the file is written. */
struct onnx_tensor {
    const char *name;
    enum onnx_type type;
    int rank;
    int64_t dims[NET_MAX_RANK];
    const void *data;
    int64_t bytes;
    int64_t offset; /* in the external file, -1: inside */
};

struct onnx_graph {
    const struct lower *low;
    const struct net *net; /* low's */
    struct arena arena;
    struct str nodes; /* NodeProto fields of GraphProto, in order */
    struct onnx_tensor *tensors;
    int n_tensors, cap_tensors;
    const char **name;    /* of each net value */
    enum onnx_type *made; /* of each net value: what its numbers are */
    const char **other;   /* of each net value: its name as the other type of float, once it was asked for */
    int n_extra;          /* extra values of the node at hand */
    net_val at;           /* the node at hand */
    enum onnx_type type;  /* that the node at hand computes in: its constants and parameters have it */
    struct quantise q;    /* of 8 bits; its lists NULL: none */
    bool half;            /* all is float16 where nothing says otherwise */
    struct status error;
};

/** An attribute; a list of them ends with a NULL name. */
struct onnx_attr {
    const char *name;
    enum { ONNX_A_INT, ONNX_A_FLOAT, ONNX_A_STR, ONNX_A_INTS } kind;
    int64_t i;
    float f;
    const char *s;
    int n;
    int64_t ints[NET_MAX_RANK];
};
/* clang-format off */
#define ONNX_INT(n_, v_) {.name = (n_), .kind = ONNX_A_INT, .i = (v_)}
#define ONNX_F32(n_, v_) {.name = (n_), .kind = ONNX_A_FLOAT, .f = (float)(v_)}
#define ONNX_STR(n_, v_) {.name = (n_), .kind = ONNX_A_STR, .s = (v_)}
#define ONNX_PAIR(n_, a_, b_) {.name = (n_), .kind = ONNX_A_INTS, .n = 2, .ints = {(a_), (b_)}}
#define ONNX_FOUR(n_, v_) {.name = (n_), .kind = ONNX_A_INTS, .n = 4, .ints = {(v_)[0], (v_)[1], (v_)[2], (v_)[3]}}
#define ONNX_ATTRS(...) (const struct onnx_attr[]){__VA_ARGS__, {.name = NULL}}
#define ONNX_IN(...) (const char *const[]){__VA_ARGS__, NULL}
/* clang-format on */

/** Adds a node that makes @p out from @p in (NULL-terminated; "" leaves an optional input away). attrs may be NULL. */
void onnx_node(struct onnx_graph *g, const char *op, const char *out, const char *const *in,
               const struct onnx_attr *attrs);
/** A fresh name for a value between two nodes of one operation. */
const char *onnx_between(struct onnx_graph *g);
/** Constants, by content: equal ones are stored once. Return the tensor's name. Floats are of the type of the node at
 *  hand. */
const char *onnx_floats(struct onnx_graph *g, int rank, const int64_t *dims, const float *v);
const char *onnx_constant(struct onnx_graph *g, enum onnx_type type, int rank, const int64_t *dims, const void *v);
const char *onnx_scalar(struct onnx_graph *g, double v);
const char *onnx_ints(struct onnx_graph *g, int n, const int64_t *v);
/** The tensor of a parameter of the node at hand; @p channels shapes a [C] one so that it broadcasts over dimension 1
 *  of a value of rank @p channels; 0: as it is. */
const char *onnx_param(struct onnx_graph *g, int i, int channels);
/** The name of value @p v as the type of the node at hand. */
const char *onnx_value(struct onnx_graph *g, net_val v);
/** Names for value @p v and for what is left of it in 8 bits; to be called before its node is written. */
void onnx_name_stored(struct onnx_graph *g, net_val v);
/** Rounds value @p v to 8 bits and back, once its node was written. */
void onnx_store(struct onnx_graph *g, net_val v);
/** Weights and bias of the convolution at hand: as stored, or of 8 bits and brought back. */
const char *onnx_weights(struct onnx_graph *g);
const char *onnx_bias(struct onnx_graph *g); /* NULL: none */
/** A value known to lie in 0..1, between two operations of the node at hand, rounded as 8 bits do where it is one. */
const char *onnx_unit(struct onnx_graph *g, const char *x);
/** Latches a failure that names the node at hand. */
void onnx_fail(struct onnx_graph *g, enum status_code code, const char *what);

/** What the numbers of node @p v are, where all is half precision and its inputs are of the types already known. */
enum onnx_type onnx_half_type(const struct onnx_graph *g, net_val v);
/** What each operation may do in 8 bits, by enum quantise_kind. */
extern const unsigned char onnx_quantise[NET_N_OPS];
/** Adds the nodes of net node @p v; latches STATUS_REFUSED for an op without a writer. */
void onnx_emit(struct onnx_graph *g, net_val v);

#endif
