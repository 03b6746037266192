/*
 * Inside room export: a Core ML program (MIL) while it is being built. Values lie as the net has them, [1,C,H,W]; in
 * half precision all between the first and the last cast is float16. Operators add operations and constants; file.c
 * writes the package.
 */
#ifndef SWEEP_EXPORT_COREML_H
#define SWEEP_EXPORT_COREML_H

#include "lower.h"
#include "pb.h"
#include "quantise.h"

/* Numbers of MIL.proto's DataType. */
enum coreml_type {
    COREML_BOOL = 1,
    COREML_STRING = 2,
    COREML_FLOAT16 = 10,
    COREML_FLOAT32 = 11,
    COREML_INT8 = 21,
    COREML_INT32 = 23
};

/** Large constants, in the order of the weights file. */
struct coreml_blob {
    const void *data; /* borrowed until the file is written */
    int64_t bytes;
    int64_t offset; /* of its head in the file */
    enum coreml_type type;
};

struct coreml_graph {
    const struct lower *low;
    const struct net *net; /* low's */
    enum coreml_type type; /* that the program computes in */
    const bool *kept;      /* of 8-bit weights: layers that have none; NULL: all have none */
    struct arena arena;
    struct str operations; /* Operation fields of Block, in order */
    struct coreml_blob *blobs;
    int n_blobs, cap_blobs;
    int64_t blob_end;
    const char **name; /* of each net value */
    net_val at;        /* the node at hand */
    int n_extra;       /* values besides those of the net, constants among them */
    struct status error;
};

/** An argument: its name, and one value or several. A list ends with a NULL name. */
struct coreml_arg {
    const char *name, *value;
    const char *const *values; /* NULL-terminated, instead */
};
/* clang-format off */
#define COREML_ARGS(...) (const struct coreml_arg[]){__VA_ARGS__, {.name = NULL}}
/* clang-format on */

/** Adds an operation that makes @p out; returns @p out. */
const char *coreml_op(struct coreml_graph *g, const char *op, const char *out, enum coreml_type type, int rank,
                      const int64_t *dims, const struct coreml_arg *args);
/** The same, made by the node at hand with its shape. */
const char *coreml_result(struct coreml_graph *g, const char *op, const struct coreml_arg *args);
/** The same, between two operations of the node at hand. */
const char *coreml_between(struct coreml_graph *g, const char *op, int rank, const int64_t *dims,
                           const struct coreml_arg *args);

/** Constants; return their names. Floats are of the program's type. */
const char *coreml_floats(struct coreml_graph *g, int rank, const int64_t *dims, const float *v);
const char *coreml_scalar(struct coreml_graph *g, double v);
const char *coreml_ints(struct coreml_graph *g, int n, const int64_t *v);
const char *coreml_int(struct coreml_graph *g, int64_t v);
const char *coreml_bool(struct coreml_graph *g, bool v);
const char *coreml_text(struct coreml_graph *g, const char *v);
/** Parameter @p i of the node at hand; @p channels shapes a [C] one to broadcast over dimension 1 of that rank. */
const char *coreml_param(struct coreml_graph *g, int i, int channels);
/** Weights of the convolution at hand, of 8 bits where the program has such. */
const char *coreml_weights(struct coreml_graph *g);
void coreml_fail(struct coreml_graph *g, enum status_code code, const char *what);

/** Field @p field of @p b as a NamedValueType. */
void coreml_named_type(struct str *b, int field, const char *name, enum coreml_type type, int rank,
                       const int64_t *dims);

/** Layers whose weights may have 8 bits, by enum quantise_kind. */
extern const unsigned char coreml_quantise[NET_N_OPS];
/** Adds the operations of node @p v; latches STATUS_REFUSED for an op without a writer. */
void coreml_emit(struct coreml_graph *g, net_val v);

#endif
