/*
 * Inside room export: what every format's writer starts from. A lowered net has image input and output framed in,
 * batch norms folded, dropouts and dead operations gone, branches merged and its weights known to be numbers; a writer
 * only says it in its own words. Questions of geometry that more than one format must answer are answered here.
 */
#ifndef SWEEP_EXPORT_LOWER_H
#define SWEEP_EXPORT_LOWER_H

#include "export.h"

struct lower {
    struct net *net;
    const float *const *values; /* by parameter of net */
    struct export_pair *meta;   /* what a file says of itself, the caller's pairs last */
    int n_meta;
    const bool *framing; /* of each node: it turns a picture's levels to the net's numbers, or back */
    /* Private. */
    struct arena arena;
    struct net *framed;
    struct net_values framed_values, ready_values;
};

/** Errors: STATUS_REFUSED where io: image does not fit the net. Owner: the caller, lower_end, also after a failure. */
struct status lower_begin(struct lower *out, const struct net *n, const float *const *values,
                          const struct export_options *o);
void lower_end(struct lower *l);

/** Values of a parameter. Errors: STATUS_ARG for one that is missing or no number, by the parameter's name. */
struct status lower_param(const float **out, const struct lower *l, int param);
/** Fails with the place of node @p v in the net before the words. */
struct status lower_fail(const struct net *n, net_val v, enum status_code code, const char *what);
/** A name for each value, unique: of an input, of an output, or of the scope it was built in. In the arena. */
const char **lower_names(const struct lower *l, struct arena *a);

/** Zeros to add at top, left, bottom, right so that a pool's last windows, partial ones included, lie inside.
 *  Returns whether there are partial ones. */
bool lower_pool_pads(int64_t pads[4], const struct net_node *d, const struct net_shape *in);
/** A matrix [in, out], or [out, in] when @p transposed: entry (i, o) is the share of input i in the mean of output o of
 *  an adaptive pool. In the arena. */
const float *lower_averages(struct arena *a, int64_t in, int64_t out, bool transposed);
/** PyTorch's choice of source pixel for each of @p to, in its own float arithmetic. In the arena. */
const int64_t *lower_nearest(struct arena *a, int64_t from, int64_t to);

#endif
