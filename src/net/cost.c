/* What a net costs: parameters, multiply-accumulates, activation memory; and the one layer check that needs sizes. */
#include "build.h"

static int64_t node_macs(const struct net *n, const struct net_node *x)
{
    const struct net_shape *in = x->n_in ? &n->nodes[x->in[0]].shape : NULL;
    const struct net_shape *w = x->n_param ? &n->params[x->param[0]].shape : NULL;
    switch (x->op) {
    case NET_CONV2D:
        return net_numel(x->shape) * w->d[1] * w->d[2] * w->d[3];
    case NET_CONV_TRANSPOSE2D:
        return net_numel(*in) * w->d[1] * w->d[2] * w->d[3];
    case NET_MATMUL:
        return net_numel(*in) * x->shape.d[2];
    case NET_GRAM:
        return net_numel(*in) * in->d[1];
    default:
        return 0;
    }
}

/* Values that share their input's memory, outside training at least. */
static bool is_view(enum net_op op)
{
    return op == NET_RESHAPE || op == NET_TRANSPOSE || op == NET_SLICE || op == NET_DROPOUT || op == NET_DROPOUT2D ||
           op == NET_DROP_PATH;
}

static int64_t value_bytes(const struct net_node *x)
{
    return is_view(x->op) ? 0 : 4 * net_numel(x->shape);
}

/* Activations alive at once when each is freed after its last use. */
static int64_t peak_bytes(const struct net *n, const bool *live)
{
    int *last = mem_alloc((size_t)n->n_nodes * sizeof *last);
    for (int v = 0; v < n->n_nodes; v++) {
        last[v] = v;
        if (live[v])
            for (int i = 0; i < n->nodes[v].n_in; i++) last[n->nodes[v].in[i]] = v;
    }
    for (int v = n->n_nodes - 1; v >= 0; v--) /* a view keeps what it looks at */
        if (live[v] && is_view(n->nodes[v].op) && last[n->nodes[v].in[0]] < last[v]) last[n->nodes[v].in[0]] = last[v];
    for (int i = 0; i < n->n_outputs; i++) last[n->outputs[i].val] = n->n_nodes;

    int *first_dead = mem_alloc((size_t)(n->n_nodes + 1) * sizeof *first_dead),
        *next = mem_alloc((size_t)n->n_nodes * sizeof *next);
    for (int v = 0; v <= n->n_nodes; v++) first_dead[v] = NET_NONE; /* lists of what dies after each node */
    for (int v = 0; v < n->n_nodes; v++) next[v] = first_dead[last[v]], first_dead[last[v]] = v;
    int64_t now = 0, peak = 0;
    for (int v = 0; v < n->n_nodes; v++) {
        if (!live[v]) continue;
        now += value_bytes(&n->nodes[v]);
        if (now > peak) peak = now;
        for (int d = first_dead[v]; d != NET_NONE; d = next[d])
            if (live[d]) now -= value_bytes(&n->nodes[d]);
    }
    free(last);
    free(first_dead);
    free(next);
    return peak;
}

struct net_cost net_cost(const struct net *n)
{
    struct net_cost c = {0};
    for (int i = 0; i < n->n_params; i++) {
        const struct net_param *p = &n->params[i];
        int64_t count = net_numel(p->shape);
        if (p->kind == NET_WEIGHT) c.params += count;
        if (p->kind != NET_CONST) c.params_bytes += count * (p->kind == NET_COUNT ? 8 : 4);
    }
    bool *live = mem_alloc((size_t)n->n_nodes);
    net_live(n, live);
    for (int v = 0; v < n->n_nodes; v++) {
        if (!live[v]) continue;
        const struct net_node *x = &n->nodes[v];
        *(x->op == NET_MATMUL || x->op == NET_GRAM ? &c.macs_matmul : &c.macs) += node_macs(n, x);
        c.bytes_train += value_bytes(x);
    }
    c.bytes_peak_infer = peak_bytes(n, live);
    free(live);
    return c;
}

const char *net_single_value_norm(const struct net *n, int batch)
{
    bool *live = mem_alloc((size_t)n->n_nodes);
    net_live(n, live);
    const char *found = NULL;
    for (int v = 0; v < n->n_nodes && !found; v++) {
        const struct net_node *x = &n->nodes[v];
        if (live[v] && x->op == NET_BATCH_NORM && batch * net_numel(x->shape) == x->shape.d[1])
            found = n->params[x->param[0]].name;
    }
    free(live);
    return found;
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

static void dump_attr(const struct net_node *x, struct str *out)
{
    const struct net_attr *a = &x->attr;
    switch (x->op) {
    case NET_CONV2D:
    case NET_CONV_TRANSPOSE2D:
    case NET_MAX_POOL:
    case NET_AVG_POOL:
        str_addf(out, " k%dx%d s%d", a->kernel[0], a->kernel[1], a->stride[0]);
        if (a->pads[0] || a->pads[1] || a->pads[2] || a->pads[3])
            str_addf(out, " p%d,%d,%d,%d", a->pads[0], a->pads[1], a->pads[2], a->pads[3]);
        if (a->dil[0] > 1) str_addf(out, " d%d", a->dil[0]);
        if (a->groups > 1) str_addf(out, " g%d", a->groups);
        if (a->ceil) str_add(out, " ceil");
        if (a->count_pad) str_add(out, " count_pad");
        break;
    case NET_BATCH_NORM:
        str_addf(out, " eps %g momentum %g", a->eps, a->momentum);
        break;
    case NET_GROUP_NORM:
        str_addf(out, " groups %d", a->groups);
        break;
    case NET_PAD:
        str_addf(out, " %d,%d,%d,%d", a->pads[0], a->pads[1], a->pads[2], a->pads[3]);
        break;
    case NET_UPSAMPLE_BILINEAR:
        str_add(out, a->align_corners ? " align_corners" : "");
        break;
    case NET_SLICE:
        str_addf(out, " %lld..%lld", (long long)a->start, (long long)(a->start + a->len));
        break;
    case NET_SOFTMAX:
    case NET_LOG_SOFTMAX:
        str_addf(out, " dim %d", a->dim0);
        break;
    case NET_TRANSPOSE:
        str_addf(out, " %d,%d", a->dim0, a->dim1);
        break;
    case NET_SUM:
    case NET_MEAN:
        str_addf(out, " dims 0x%x", a->dims);
        break;
    case NET_AFFINE:
    case NET_CLAMP:
        str_addf(out, " %g,%g", a->a, a->b);
        break;
    case NET_POW:
    case NET_DROPOUT:
    case NET_DROPOUT2D:
    case NET_DROP_PATH:
        str_addf(out, " %g", a->a);
        break;
    default:
        break;
    }
}

void net_dump(const struct net *n, struct str *out)
{
    bool *live = mem_alloc((size_t)n->n_nodes);
    net_live(n, live);
    for (int v = 0; v < n->n_nodes; v++) {
        const struct net_node *x = &n->nodes[v];
        int64_t params = 0, macs = live[v] ? node_macs(n, x) : 0;
        for (int i = 0; i < x->n_param; i++)
            if (n->params[x->param[i]].kind == NET_WEIGHT) params += net_numel(n->params[x->param[i]].shape);
        str_addf(out, "%%%-4d %-18s %-22s", v, net_ops[x->op].name, net_shape_str(x->shape));
        for (int i = 0; i < x->n_in; i++) str_addf(out, "%s%%%d", i ? "," : " ", x->in[i]);
        dump_attr(x, out);
        if (*x->scope || *x->name) str_addf(out, "  %s%s%s", x->scope, *x->scope && *x->name ? "." : "", x->name);
        if (params) str_addf(out, "  params %lld", (long long)params);
        if (macs) str_addf(out, "  MACs %lld", (long long)macs);
        str_add(out, live[v] ? "\n" : "  (unused)\n");
    }
    for (int i = 0; i < n->n_outputs; i++) str_addf(out, "output %s = %%%d\n", n->outputs[i].name, n->outputs[i].val);
    struct net_cost c = net_cost(n);
    str_addf(out, "total  %d ops, %d tensors, %lld parameters, %.3f GMACs, peak activations %.1f MB\n", n->n_nodes,
             n->n_params, (long long)c.params, 1e-9 * (double)(c.macs + c.macs_matmul),
             1e-6 * (double)c.bytes_peak_infer);
    free(live);
}
