/* One run over the list of nodes: a table of how each op is done, and the loop. */
#include "inside.h"

struct run {
    struct exec *e;
    const struct exec_mode *mode;
    struct tensor **v; /* by node: its value while somebody still reads it */
    int node;
};

static const struct net_node *node_of(const struct run *r)
{
    return &r->e->net->nodes[r->node];
}

static bool is_low(enum tensor_dtype d)
{
    return d == TENSOR_BF16 || d == TENSOR_F16;
}

static struct tensor *input(const struct run *r, int i)
{
    return r->v[node_of(r)->in[i]];
}

static struct tensor *param(const struct run *r, int i)
{
    return r->e->param[node_of(r)->param[i]];
}

/** Parameter @p i of the node @p x in the dtype that convolutions compute in. Owner: borrowed, until the run's end. */
static struct status weight(struct tensor **out, const struct run *r, const struct net_node *x, int i)
{
    struct exec *e = r->e;
    int p = x->param[i];
    *out = e->param[p];
    if (e->o.compute == e->dtype) return ok();
    if (!e->low[p]) TRY(tensor_to_dtype(&e->low[p], e->param[p], e->o.compute));
    *out = e->low[p];
    return ok();
}

/** @p t for an op whose operands must have dtype @p d. Owner: the caller. */
static struct status as_dtype(struct tensor **out, const struct tensor *t, enum tensor_dtype d)
{
    return tensor_to_dtype(out, t, d);
}

/* ---- convolutions ---------------------------------------------------------------------------------------------- */

static struct status convolve(struct tensor **out, const struct run *r, const struct net_node *x,
                              const struct tensor *in, bool then_relu)
{
    const struct net_attr *a = &x->attr;
    struct tensor_conv_options o = {.stride = {a->stride[0], a->stride[1]},
                                    .dil = {a->dil[0], a->dil[1]},
                                    .out_pad = {a->out_pad[0], a->out_pad[1]},
                                    .groups = a->groups,
                                    .transposed = x->op == NET_CONV_TRANSPOSE2D};
    struct tensor *w, *bias = NULL, *y, *padded;
    TRY(weight(&w, r, x, 0));
    if (x->n_param > 1) TRY(weight(&bias, r, x, 1));
    TRY(as_dtype(&y, in, r->e->o.compute));
    if (a->pads[0] == a->pads[2] && a->pads[1] == a->pads[3]) {
        o.pad[0] = a->pads[0], o.pad[1] = a->pads[1];
    } else {
        struct status s = tensor_pad(&padded, y, (int64_t[]){a->pads[0], a->pads[1], a->pads[2], a->pads[3]});
        tensor_free(y);
        TRY(s);
        y = padded;
    }
    struct status s = then_relu ? tensor_conv_relu(out, y, w, bias, &o) : tensor_conv(out, y, w, bias, &o);
    tensor_free(y);
    return s;
}

static struct status do_conv(struct tensor **out, const struct run *r)
{
    return convolve(out, r, node_of(r), input(r, 0), false);
}

/** Whether a relu is done together with the convolution before it. */
static bool fuses(const struct run *r, int relu)
{
    int c = r->e->conv_of[relu];
    if (c < 0 || r->mode->see) return false; /* who looks at every value wants the convolution's own, too */
    const struct net_node *x = &r->e->net->nodes[c];
    for (int i = 0; i < x->n_param; i++)
        if (r->mode->grad && !exec_is_frozen(r->e, x->param[i])) return false;
    return true;
}

static struct status do_relu(struct tensor **out, const struct run *r)
{
    if (!fuses(r, r->node)) return tensor_unary(out, TENSOR_RELU, input(r, 0));
    const struct net_node *c = &r->e->net->nodes[r->e->conv_of[r->node]];
    return convolve(out, r, c, r->v[c->in[0]], true);
}

/* ---- norms ------------------------------------------------------------------------------------------------------- */

static struct status do_batch_norm(struct tensor **out, const struct run *r)
{
    const struct net_node *x = node_of(r);
    const struct tensor *in = input(r, 0);
    bool batch = r->mode->train && !r->mode->norm_eval && !r->e->frozen[x->param[0]];
    if (batch && tensor_numel(in) == tensor_dim(in, 1))
        return fail(STATUS_ARG,
                    "training needs more than one value a channel to normalise, got a batch of 1 and a 1 x 1 map; "
                    "use a larger batch or larger images");
    if (batch && x->n_param > 4) r->e->count[x->param[4]]++;
    return tensor_batch_norm(out, in, param(r, 0), param(r, 1), param(r, 2), param(r, 3), batch, x->attr.momentum,
                             x->attr.eps);
}

static struct status do_group_norm(struct tensor **out, const struct run *r)
{
    const struct net_node *x = node_of(r);
    return tensor_group_norm(out, input(r, 0), x->attr.groups, param(r, 0), param(r, 1), x->attr.eps);
}

static struct status do_channel_affine(struct tensor **out, const struct run *r)
{
    struct tensor *scale, *shift = NULL, *y = NULL;
    int64_t c = tensor_numel(param(r, 0)), dims[] = {1, c, 1, 1};
    int rank = tensor_rank(input(r, 0));
    TRY(tensor_reshape(&scale, param(r, 0), rank, dims));
    struct status s = tensor_reshape(&shift, param(r, 1), rank, dims);
    if (s.code == STATUS_OK) s = tensor_binary(&y, TENSOR_MUL, input(r, 0), scale);
    if (s.code == STATUS_OK) s = tensor_binary(out, TENSOR_ADD, y, shift);
    tensor_free(scale);
    tensor_free(shift);
    tensor_free(y);
    return s;
}

/* ---- elementwise ------------------------------------------------------------------------------------------------- */

/* clang-format off */
static const enum tensor_unary_op unary_of[NET_N_OPS] = {
    [NET_RELU6] = TENSOR_RELU6, [NET_SILU] = TENSOR_SILU, [NET_HARDSWISH] = TENSOR_HARDSWISH,
    [NET_SIGMOID] = TENSOR_SIGMOID, [NET_HARDSIGMOID] = TENSOR_HARDSIGMOID, [NET_TANH] = TENSOR_TANH, [NET_ROUND] = TENSOR_ROUND,
    [NET_ABS] = TENSOR_ABS, [NET_LOG] = TENSOR_LOG,
};
static const enum tensor_binary_op binary_of[NET_N_OPS] = {
    [NET_ADD] = TENSOR_ADD, [NET_SUB] = TENSOR_SUB, [NET_MUL] = TENSOR_MUL, [NET_DIV] = TENSOR_DIV,
};
static const enum tensor_drop drop_of[NET_N_OPS] = {
    [NET_DROPOUT] = TENSOR_DROP_ELEMENT, [NET_DROPOUT2D] = TENSOR_DROP_CHANNEL, [NET_DROP_PATH] = TENSOR_DROP_IMAGE,
};
/* clang-format on */

static struct status do_unary(struct tensor **out, const struct run *r)
{
    return tensor_unary(out, unary_of[node_of(r)->op], input(r, 0));
}

static struct status do_binary(struct tensor **out, const struct run *r)
{
    return tensor_binary(out, binary_of[node_of(r)->op], input(r, 0), input(r, 1));
}

/** Input 0, a low-precision one in float32: for functions whose error a low dtype would dominate. */
static struct status widened(struct tensor **out, const struct run *r)
{
    enum tensor_dtype d = tensor_dtype_of(input(r, 0));
    return as_dtype(out, input(r, 0), is_low(d) ? TENSOR_F32 : d);
}

static struct status do_log(struct tensor **out, const struct run *r)
{
    struct tensor *x;
    TRY(widened(&x, r));
    struct status s = tensor_unary(out, TENSOR_LOG, x);
    tensor_free(x);
    return s;
}

static struct status do_pow(struct tensor **out, const struct run *r)
{
    struct tensor *x;
    TRY(widened(&x, r));
    struct status s = tensor_pow(out, x, node_of(r)->attr.a);
    tensor_free(x);
    return s;
}

static struct status do_clamp(struct tensor **out, const struct run *r)
{
    return tensor_clamp(out, input(r, 0), node_of(r)->attr.a, node_of(r)->attr.b);
}

static struct status do_affine(struct tensor **out, const struct run *r)
{
    return tensor_affine(out, input(r, 0), node_of(r)->attr.a, node_of(r)->attr.b);
}

static struct status do_dropout(struct tensor **out, const struct run *r)
{
    bool drops = r->mode->train && !r->mode->no_dropout;
    return tensor_dropout(out, input(r, 0), drops ? node_of(r)->attr.a : 0, drop_of[node_of(r)->op]);
}

/* ---- pools, sizes, shapes ---------------------------------------------------------------------------------------- */

static struct tensor_pool_options pool_of(const struct net_attr *a)
{
    return (struct tensor_pool_options){.k = {a->kernel[0], a->kernel[1]},
                                        .stride = {a->stride[0], a->stride[1]},
                                        .pad = {a->pads[0], a->pads[1]},
                                        .ceil = a->ceil,
                                        .count_pad = a->count_pad};
}

static struct status do_max_pool(struct tensor **out, const struct run *r)
{
    struct tensor_pool_options o = pool_of(&node_of(r)->attr);
    return tensor_max_pool(out, input(r, 0), &o);
}

static struct status do_avg_pool(struct tensor **out, const struct run *r)
{
    struct tensor_pool_options o = pool_of(&node_of(r)->attr);
    return tensor_avg_pool(out, input(r, 0), &o);
}

static struct status do_adaptive(struct tensor **out, const struct run *r)
{
    return tensor_adaptive_avg_pool(out, input(r, 0), node_of(r)->attr.size[0], node_of(r)->attr.size[1]);
}

static struct status do_pad(struct tensor **out, const struct run *r)
{
    const int *p = node_of(r)->attr.pads;
    return tensor_pad(out, input(r, 0), (int64_t[]){p[0], p[1], p[2], p[3]});
}

static struct status do_nearest(struct tensor **out, const struct run *r)
{
    return tensor_upsample_nearest(out, input(r, 0), node_of(r)->attr.size[0], node_of(r)->attr.size[1]);
}

static struct status do_bilinear(struct tensor **out, const struct run *r)
{
    const struct net_attr *a = &node_of(r)->attr;
    return tensor_upsample_bilinear(out, input(r, 0), a->size[0], a->size[1], a->align_corners);
}

static struct status do_softmax(struct tensor **out, const struct run *r)
{
    return tensor_softmax(out, input(r, 0), node_of(r)->attr.dim0);
}

static struct status do_log_softmax(struct tensor **out, const struct run *r)
{
    return tensor_log_softmax(out, input(r, 0), node_of(r)->attr.dim0);
}

static struct status do_concat(struct tensor **out, const struct run *r)
{
    const struct net_node *x = node_of(r);
    struct tensor **all = mem_alloc((size_t)x->n_in * sizeof *all);
    for (int i = 0; i < x->n_in; i++) all[i] = input(r, i);
    struct status s = tensor_concat(out, all, x->n_in, x->attr.dim0);
    free(all);
    return s;
}

static struct status do_slice(struct tensor **out, const struct run *r)
{
    const struct net_attr *a = &node_of(r)->attr;
    return tensor_slice(out, input(r, 0), a->dim0, a->start, a->len);
}

static struct status do_reshape(struct tensor **out, const struct run *r)
{
    struct net_shape s = node_of(r)->shape;
    s.d[0] = tensor_dim(input(r, 0), 0);
    return tensor_reshape(out, input(r, 0), s.rank, s.d);
}

static struct status do_transpose(struct tensor **out, const struct run *r)
{
    return tensor_transpose(out, input(r, 0), node_of(r)->attr.dim0, node_of(r)->attr.dim1);
}

static struct status do_matmul(struct tensor **out, const struct run *r)
{
    struct tensor *a, *b = NULL;
    TRY(as_dtype(&a, input(r, 0), r->e->o.compute));
    struct status s = as_dtype(&b, input(r, 1), r->e->o.compute);
    if (s.code == STATUS_OK) s = tensor_matmul(out, a, b);
    tensor_free(a);
    tensor_free(b);
    return s;
}

static struct status do_sum(struct tensor **out, const struct run *r)
{
    return tensor_sum(out, input(r, 0), node_of(r)->attr.dims, node_of(r)->attr.keepdim);
}

static struct status do_mean(struct tensor **out, const struct run *r)
{
    return tensor_mean(out, input(r, 0), node_of(r)->attr.dims, node_of(r)->attr.keepdim);
}

static struct status do_l1(struct tensor **out, const struct run *r)
{
    return tensor_l1(out, input(r, 0), input(r, 1));
}

static struct status do_gram(struct tensor **out, const struct run *r)
{
    return tensor_gram(out, input(r, 0));
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

/* clang-format off */
static struct status (*const do_op[NET_N_OPS])(struct tensor **out, const struct run *r) = {
    [NET_CONV2D] = do_conv, [NET_CONV_TRANSPOSE2D] = do_conv, [NET_BATCH_NORM] = do_batch_norm,
    [NET_GROUP_NORM] = do_group_norm, [NET_CHANNEL_AFFINE] = do_channel_affine, [NET_RELU] = do_relu,
    [NET_RELU6] = do_unary, [NET_SILU] = do_unary, [NET_HARDSWISH] = do_unary, [NET_SIGMOID] = do_unary,
    [NET_HARDSIGMOID] = do_unary, [NET_TANH] = do_unary, [NET_ROUND] = do_unary, [NET_CLAMP] = do_clamp, [NET_SOFTMAX] = do_softmax,
    [NET_LOG_SOFTMAX] = do_log_softmax, [NET_MAX_POOL] = do_max_pool, [NET_AVG_POOL] = do_avg_pool,
    [NET_ADAPTIVE_AVG_POOL] = do_adaptive, [NET_PAD] = do_pad, [NET_UPSAMPLE_NEAREST] = do_nearest,
    [NET_UPSAMPLE_BILINEAR] = do_bilinear, [NET_CONCAT] = do_concat, [NET_SLICE] = do_slice, [NET_ADD] = do_binary,
    [NET_MUL] = do_binary, [NET_AFFINE] = do_affine, [NET_RESHAPE] = do_reshape, [NET_TRANSPOSE] = do_transpose,
    [NET_MATMUL] = do_matmul, [NET_SUM] = do_sum, [NET_MEAN] = do_mean, [NET_DROPOUT] = do_dropout,
    [NET_DROPOUT2D] = do_dropout, [NET_DROP_PATH] = do_dropout, [NET_SUB] = do_binary, [NET_DIV] = do_binary,
    [NET_ABS] = do_unary, [NET_POW] = do_pow, [NET_LOG] = do_log, [NET_L1] = do_l1, [NET_GRAM] = do_gram,
};
/* clang-format on */

/** An input as the net computes on it: its layout, and float32 or float64 when that is what everything is in. */
static struct status take_input(const struct run *r, int which, const struct tensor *given)
{
    const struct exec *e = r->e;
    net_val v = e->net->inputs[which].val;
    const struct net_shape *want = &e->net->nodes[v].shape;
    bool fits = tensor_rank(given) == want->rank;
    for (int d = 1; fits && d < want->rank; d++) fits = tensor_dim(given, d) == want->d[d];
    if (!fits) {
        struct net_shape got = {.rank = tensor_rank(given) < NET_MAX_RANK ? tensor_rank(given) : NET_MAX_RANK};
        for (int d = 0; d < got.rank; d++) got.d[d] = tensor_dim(given, d);
        return fail(STATUS_ARG, "input \"%s\": got %s, expected %s with any batch", e->net->inputs[which].name,
                    net_shape_str(got), net_shape_str(*want));
    }
    enum tensor_dtype d = tensor_dtype_of(given);
    bool floats = d != TENSOR_I64 && d != TENSOR_U8;
    struct tensor *t;
    TRY(as_dtype(&t, given, is_low(e->o.compute) && floats ? d : e->dtype));
    struct status s = tensor_to_layout(&r->v[v], t, e->o.channels_last);
    tensor_free(t);
    return s;
}

static void drop_read(const struct run *r, const struct net_node *x)
{
    for (int i = 0; i < x->n_in; i++) {
        if (r->e->last_use[x->in[i]] > r->node) continue;
        tensor_free(r->v[x->in[i]]);
        r->v[x->in[i]] = NULL;
    }
}

/** A convolution that its relu will do. */
static bool left_to_relu(const struct run *r, int conv)
{
    int reader = r->e->last_use[conv];
    return r->e->net->nodes[conv].op == NET_CONV2D && reader >= 0 && reader < r->e->net->n_nodes &&
           r->e->conv_of[reader] == conv && fuses(r, reader);
}

static struct status run_nodes(struct run *r)
{
    const struct net *n = r->e->net;
    for (r->node = 0; r->node < n->n_nodes; r->node++) {
        const struct net_node *x = node_of(r);
        if (!r->e->live[r->node] || left_to_relu(r, r->node)) continue;
        if (x->op != NET_INPUT) {
            struct status s = do_op[x->op](&r->v[r->node], r);
            if (s.code != STATUS_OK)
                return status_at(s, "%s%s%s (node %d, %s)", x->scope, *x->scope && *x->name ? "." : "", x->name,
                                 r->node, net_ops[x->op].name);
        }
        if (r->mode->see) r->mode->see(r->mode->user, r->node, r->v[r->node]);
        drop_read(r, x);
        int c = r->e->conv_of[r->node];
        if (c >= 0) drop_read(r, &n->nodes[c]);
    }
    return ok();
}

struct status exec_run(struct exec *e, const struct exec_mode *mode, struct tensor *const *in, struct tensor **out)
{
    const struct net *n = e->net;
    struct run r = {.e = e, .mode = mode, .v = mem_zalloc((size_t)n->n_nodes * sizeof *r.v)};
    for (int i = 0; i < n->n_outputs; i++) out[i] = NULL;
    bool was = tensor_grad_mode(mode->grad);
    struct status s = ok();
    if (mode->train && !mode->no_dropout && !mode->seeded) s = tensor_seed(mode->seed);
    for (int i = 0; i < n->n_inputs && s.code == STATUS_OK; i++) s = take_input(&r, i, in[i]);
    if (s.code == STATUS_OK) s = run_nodes(&r);
    for (int i = 0; i < n->n_outputs && s.code == STATUS_OK; i++) out[i] = tensor_ref(r.v[n->outputs[i].val]);
    for (int v = 0; v < n->n_nodes; v++) tensor_free(r.v[v]);
    free(r.v);
    exec_drop_low(e, false);
    tensor_grad_mode(was);
    return s;
}
