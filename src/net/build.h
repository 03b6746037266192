/* Inside room net: appending nodes and parameters, what the builders and the passes share. */
#ifndef SWEEP_NET_BUILD_H
#define SWEEP_NET_BUILD_H

#include "net.h"

enum { MAX_SCOPES = 32 };

struct net_build {
    const char *scope[MAX_SCOPES]; /* full prefixes; scope[depth] is the current one */
    int depth;
    enum net_init_rule rule;
    int *index; /* open-addressed hash of parameter names: index + 1, 0 is empty */
    int n_index, cap_nodes, cap_params;
};

/** True when the net has failed or an input is missing: the builder returns NET_NONE. */
bool net_bad(const struct net *n, const net_val *in, int n_in);

/** Appends a node: op, inputs, parameters, attributes and shape as given; scope and name are copied. */
net_val net_append(struct net *n, const struct net_node *node);

/** The parameter called scope.name.leaf (name may be ""), shared when it exists with this kind and shape. */
int net_param_add(struct net *n, const char *full_name, enum net_param_kind kind, struct net_shape shape,
                  struct net_init init, const float *value);

/** A constant under a name of its own; values copied. */
int net_const_add(struct net *n, struct net_shape shape, const float *value);

/** Not memcmp: unused dimensions and padding may hold anything. */
bool net_shape_same(struct net_shape a, struct net_shape b);

/** True when an attribute, a kernel bigger than its input for instance, makes no sense. Latches. */
#define NET_REQUIRE(n, cond, code, ...)                                                                                \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            net_fail(n, code, __VA_ARGS__);                                                                            \
            return NET_NONE;                                                                                           \
        }                                                                                                              \
    } while (0)

#endif
