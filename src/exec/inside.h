/* Inside room exec: what an exec holds, and the two passes that a run needs. */
#ifndef SWEEP_EXEC_INSIDE_H
#define SWEEP_EXEC_INSIDE_H

#include "exec.h"

struct exec {
    const struct net *net;
    struct exec_options o;
    enum tensor_dtype dtype; /* of parameters: F32, or F64 when computing in F64 */
    /* By parameter index. */
    struct tensor **param; /* NULL for NET_COUNT */
    struct tensor **low;   /* low-precision copies; those of trained parameters live for one run */
    int64_t *count;
    bool *frozen;
    /* By node, from exec_plan. */
    bool *live;
    int *uses;     /* by live nodes and outputs */
    int *last_use; /* index of the last node that reads the value; n_nodes for outputs, -1 for none */
    int *conv_of;  /* of a relu: the convolution that it alone reads, which one pass may do with it; else -1 */
};

/** Who reads what, and until when. */
void exec_plan(struct exec *e);

/** Drops low-precision copies: all, or only those that a recorded cast made. */
void exec_drop_low(struct exec *e, bool all);

/** True when the parameter never gets a gradient as things stand. */
static inline bool exec_is_frozen(const struct exec *e, int param)
{
    return e->frozen[param] || e->net->params[param].kind != NET_WEIGHT;
}

#endif
