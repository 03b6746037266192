/* Net -> net, with the parameters' values: what every exporter starts from. */
#include "build.h"
#include <math.h>

/* A pass under way: the old net and values, the new ones, and where each old value went. */
struct pass {
    const struct net *from;
    const float *const *in;
    struct net *to;
    struct net_values *out;
    net_val *moved;
    int *uses;       /* live readers of each value */
    int *param_uses; /* live readers of each parameter */
    int cap_values;
};

void net_values_free(struct net_values *v)
{
    arena_free(&v->arena);
    free(v->v);
    *v = (struct net_values){0};
}

/* Remembers the value of a new parameter. */
static void set_value(struct pass *p, int param, const float *value)
{
    if (param >= p->cap_values) {
        int cap = 2 * param + 64;
        p->out->v = mem_realloc(p->out->v, (size_t)cap * sizeof *p->out->v);
        for (int i = p->cap_values; i < cap; i++) p->out->v[i] = NULL;
        p->cap_values = cap;
    }
    p->out->v[param] = value;
}

static int carry_param(struct pass *p, int old)
{
    const struct net_param *q = &p->from->params[old];
    bool constant = q->kind == NET_CONST; /* under a new name: names of constants count within one net */
    int i = constant ? net_const_add(p->to, q->shape, q->value)
                     : net_param_add(p->to, q->name, q->kind, q->shape, q->init, NULL);
    set_value(p, i, constant ? p->to->params[i].value : p->in[old]);
    return i;
}

/* Appends an old node unchanged but for where its inputs are now. */
static net_val carry(struct pass *p, const struct net_node *x)
{
    struct net_node y = *x;
    net_val *in = mem_alloc((size_t)x->n_in * sizeof *in);
    for (int i = 0; i < x->n_in; i++) in[i] = p->moved[x->in[i]];
    y.in = in;
    for (int i = 0; i < x->n_param; i++) y.param[i] = carry_param(p, x->param[i]);
    net_val v = net_append(p->to, &y);
    free(in);
    return v;
}

/* y = scale x + shift of a batch norm at inference. Owner: the new values' arena. */
static void norm_affine(struct pass *p, const struct net_node *bn, float **scale, float **shift)
{
    size_t c = (size_t)p->from->params[bn->param[0]].shape.d[0];
    const float *v[4];
    for (int i = 0; i < 4; i++) v[i] = p->in[bn->param[i]];
    *scale = arena_alloc(&p->out->arena, c * sizeof **scale);
    *shift = arena_alloc(&p->out->arena, c * sizeof **shift);
    for (size_t i = 0; i < c; i++) {
        double s = (double)v[0][i] / sqrt((double)v[3][i] + bn->attr.eps);
        (*scale)[i] = (float)s;
        (*shift)[i] = (float)((double)v[1][i] - s * (double)v[2][i]);
    }
}

/* Weights and bias of a convolution with the norm after it inside. A transposed one has its filters in dimension 1. */
static float *folded_weights(struct pass *p, const struct net_node *conv, const struct net_node *bn, float **shift)
{
    float *scale;
    norm_affine(p, bn, &scale, shift);
    const struct net_param *w = &p->from->params[conv->param[0]];
    int64_t n = net_numel(w->shape), kernel = w->shape.d[2] * w->shape.d[3], each = n / w->shape.d[0];
    bool transposed = conv->op == NET_CONV_TRANSPOSE2D;
    int64_t in_each_group = w->shape.d[0] / conv->attr.groups; /* of a transposed convolution's inputs */
    float *folded = arena_alloc(&p->out->arena, (size_t)n * sizeof *folded);
    for (int64_t i = 0; i < n; i++) {
        int64_t first = i / each;
        int64_t filter = transposed ? first / in_each_group * w->shape.d[1] + i % each / kernel : first;
        folded[i] = p->in[conv->param[0]][i] * scale[filter];
    }
    if (conv->n_param > 1)
        for (int64_t c = 0; c < conv->shape.d[1]; c++) (*shift)[c] += p->in[conv->param[1]][c] * scale[c];
    return folded;
}

/* Appends a convolution with other weights and a bias. */
static net_val append_folded(struct pass *p, const struct net_node *conv, const float *weights, const float *shift)
{
    const struct net_param *w = &p->from->params[conv->param[0]];
    struct net_node y = *conv;
    net_val in = p->moved[conv->in[0]];
    y.in = &in;
    char bias[512];
    snprintf(bias, sizeof bias, "%.*sbias", (int)(strlen(w->name) - strlen("weight")), w->name);
    y.param[0] = net_param_add(p->to, w->name, NET_WEIGHT, w->shape, w->init, NULL);
    y.param[1] =
        net_param_add(p->to, bias, NET_WEIGHT, (struct net_shape){1, {conv->shape.d[1]}}, (struct net_init){0}, NULL);
    y.n_param = 2;
    set_value(p, y.param[0], weights);
    set_value(p, y.param[1], shift);
    return net_append(p->to, &y);
}

static net_val fold(struct pass *p, const struct net_node *conv, const struct net_node *bn)
{
    float *shift, *weights = folded_weights(p, conv, bn, &shift);
    return append_folded(p, conv, weights, shift);
}

static net_val lone_norm(struct pass *p, const struct net_node *bn)
{
    float *scale, *shift;
    norm_affine(p, bn, &scale, &shift);
    net_val v = net_channel_affine(p->to, p->moved[bn->in[0]], scale, shift);
    struct net_node *y = &p->to->nodes[v];
    y->scope = arena_strdup(&p->to->arena, bn->scope);
    y->name = arena_strdup(&p->to->arena, bn->name);
    for (int i = 0; i < 2; i++) set_value(p, y->param[i], p->to->params[y->param[i]].value);
    return v;
}

static bool is_convolution(enum net_op op)
{
    return op == NET_CONV2D || op == NET_CONV_TRANSPOSE2D;
}

/* A convolution folds when only the norm reads it and its weights serve no other node. */
static bool folds(const struct pass *p, const struct net_node *bn)
{
    net_val c = bn->in[0];
    const struct net_node *conv = &p->from->nodes[c];
    return is_convolution(conv->op) && p->uses[c] == 1 && p->from->params[conv->param[0]].kind == NET_WEIGHT &&
           p->param_uses[conv->param[0]] == 1;
}

/* ---- parallel branches: a sum of normalised convolutions of one value, and of the value itself, is one convolution */

enum { MAX_BRANCHES = 8 };

struct branches {
    net_val norm[MAX_BRANCHES], input;
    int n;
    const struct net_node *widest; /* the convolution that takes the others in */
};

static const struct net_node *branch_conv(const struct pass *p, net_val norm)
{
    const struct net_node *bn = &p->from->nodes[norm];
    return folds(p, bn) ? &p->from->nodes[bn->in[0]] : NULL;
}

/* Gathers the norms under a tree of additions; false when anything else is there, or another input. */
static bool gather(const struct pass *p, net_val v, bool root, struct branches *b)
{
    const struct net_node *x = &p->from->nodes[v];
    if (!root && p->uses[v] != 1) return false;
    if (x->op == NET_ADD) return gather(p, x->in[0], false, b) && gather(p, x->in[1], false, b);
    if (x->op != NET_BATCH_NORM || b->n == MAX_BRANCHES) return false;
    const struct net_node *conv = branch_conv(p, v);
    net_val input = conv ? conv->in[0] : x->in[0];
    if (b->n > 0 && input != b->input) return false;
    b->input = input;
    b->norm[b->n++] = v;
    if (conv && (!b->widest || conv->attr.kernel[0] > b->widest->attr.kernel[0])) b->widest = conv;
    return true;
}

/* True when the branch computes what the widest could: centred, square, odd, at the same stride, dilation, groups. */
static bool fits_widest(const struct net_node *c, const struct net_node *widest)
{
    const struct net_attr *a = &c->attr, *w = &widest->attr;
    int k = a->kernel[0], pad = k / 2 * a->dil[0];
    bool centred = c->op == NET_CONV2D && k % 2 == 1 && a->kernel[1] == k && a->dil[1] == a->dil[0];
    for (int i = 0; i < 4; i++) centred = centred && a->pads[i] == pad;
    return centred && (k == 1 || a->dil[0] == w->dil[0]) && a->stride[0] == w->stride[0] &&
           a->stride[1] == w->stride[1] && a->groups == w->groups;
}

static bool find_branches(const struct pass *p, net_val v, struct branches *b)
{
    *b = (struct branches){0};
    if (p->from->nodes[v].op != NET_ADD || !gather(p, v, true, b) || !b->widest) return false;
    for (int i = 0; i < b->n; i++) {
        const struct net_node *c = branch_conv(p, b->norm[i]);
        bool identity = !c && b->widest->attr.stride[0] == 1 && b->widest->attr.stride[1] == 1;
        if (!identity && !(c && fits_widest(c, b->widest))) return false;
        if (p->from->nodes[b->norm[i]].shape.d[1] != b->widest->shape.d[1]) return false;
    }
    return true;
}

static net_val merge(struct pass *p, const struct branches *b)
{
    struct net_shape s = p->from->params[b->widest->param[0]].shape;
    int64_t in = s.d[1], k = s.d[2], kk = k * k;
    float *weights = arena_alloc(&p->out->arena, (size_t)net_numel(s) * sizeof *weights);
    float *bias = arena_alloc(&p->out->arena, (size_t)s.d[0] * sizeof *bias);
    for (int i = 0; i < b->n; i++) {
        const struct net_node *bn = &p->from->nodes[b->norm[i]], *conv = branch_conv(p, b->norm[i]);
        float *shift, *w;
        if (conv)
            w = folded_weights(p, conv, bn, &shift);
        else
            norm_affine(p, bn, &w, &shift); /* the identity's kernel: scale on the diagonal */
        int64_t kernel = conv ? conv->attr.kernel[0] : 1, edge = (k - kernel) / 2;
        for (int64_t o = 0; o < s.d[0]; o++) {
            bias[o] += shift[o];
            if (!conv) weights[(o * in + o % in) * kk + kk / 2] += w[o];
            for (int64_t c = 0; conv && c < in; c++)
                for (int64_t y = 0; y < kernel; y++)
                    for (int64_t x = 0; x < kernel; x++)
                        weights[(o * in + c) * kk + (y + edge) * k + x + edge] +=
                            w[((o * in + c) * kernel + y) * kernel + x];
        }
    }
    return append_folded(p, b->widest, weights, bias);
}

/* Marks what a merge at @p v makes superfluous: everything between the sum and the common input. */
static void mark_merged(const struct pass *p, net_val v, bool *merged)
{
    const struct net_node *x = &p->from->nodes[v];
    if (x->op == NET_ADD) {
        for (int i = 0; i < 2; i++) {
            merged[x->in[i]] = true;
            mark_merged(p, x->in[i], merged);
        }
    } else if (branch_conv(p, v)) {
        merged[x->in[0]] = true;
    }
}

static bool training_only(enum net_op op)
{
    return op == NET_DROPOUT || op == NET_DROPOUT2D || op == NET_DROP_PATH;
}

/* Counts live readers of each value; an output counts as one. */
static void count_uses(struct pass *p, const bool *live)
{
    for (int v = 0; v < p->from->n_nodes; v++) {
        const struct net_node *x = &p->from->nodes[v];
        for (int i = 0; live[v] && i < x->n_in; i++) p->uses[x->in[i]]++;
        for (int i = 0; live[v] && i < x->n_param; i++) p->param_uses[x->param[i]]++;
    }
    for (int i = 0; i < p->from->n_outputs; i++) p->uses[p->from->outputs[i].val]++;
}

static struct pass pass_begin(const struct net *n, const float *const *in, struct net_values *out)
{
    *out = (struct net_values){0};
    return (struct pass){.from = n,
                         .in = in,
                         .to = net_new(),
                         .out = out,
                         .moved = mem_zalloc((size_t)n->n_nodes * sizeof(net_val)),
                         .uses = mem_zalloc((size_t)n->n_nodes * sizeof(int)),
                         .param_uses = mem_zalloc((size_t)n->n_params * sizeof(int))};
}

static struct status pass_end(struct pass *p, struct net **out)
{
    free(p->moved);
    free(p->uses);
    free(p->param_uses);
    struct status s = net_finish(p->to);
    if (s.code == STATUS_OK) {
        if (!p->out->v) p->out->v = mem_zalloc(sizeof *p->out->v);
        *out = p->to;
    } else {
        net_free(p->to);
        net_values_free(p->out);
    }
    return s;
}

/* An input keeps its name and place, whether anything reads it or not. */
static void carry_inputs(struct pass *p)
{
    for (int i = 0; i < p->from->n_inputs; i++) {
        struct net_shape s = p->from->nodes[p->from->inputs[i].val].shape;
        p->moved[p->from->inputs[i].val] =
            net_input(p->to, p->from->inputs[i].name, (int)s.d[1], (int)s.d[2], (int)s.d[3]);
    }
}

struct status net_for_inference(struct net **out, struct net_values *values_out, const struct net *n,
                                const float *const *in)
{
    struct pass p = pass_begin(n, in, values_out);
    bool *live = mem_alloc((size_t)n->n_nodes);
    net_live(n, live);
    count_uses(&p, live);
    carry_inputs(&p);
    bool *folded = mem_zalloc((size_t)n->n_nodes), *merged = mem_zalloc((size_t)n->n_nodes);
    struct branches b;
    for (int v = 0; v < n->n_nodes; v++)
        if (live[v] && n->nodes[v].op == NET_BATCH_NORM && folds(&p, &n->nodes[v])) folded[n->nodes[v].in[0]] = true;
    for (int v = n->n_nodes - 1; v >= 0; v--)
        if (live[v] && !merged[v] && find_branches(&p, v, &b)) mark_merged(&p, v, merged);
    for (int v = 0; v < n->n_nodes; v++) {
        const struct net_node *x = &n->nodes[v];
        if (!live[v] || x->op == NET_INPUT || folded[v] || merged[v]) continue;
        if (find_branches(&p, v, &b))
            p.moved[v] = merge(&p, &b);
        else if (training_only(x->op))
            p.moved[v] = p.moved[x->in[0]];
        else if (x->op != NET_BATCH_NORM)
            p.moved[v] = carry(&p, x);
        else if (folded[x->in[0]])
            p.moved[v] = fold(&p, &n->nodes[x->in[0]], x);
        else
            p.moved[v] = lone_norm(&p, x);
    }
    for (int i = 0; i < n->n_outputs; i++) net_output(p.to, n->outputs[i].name, p.moved[n->outputs[i].val]);
    free(folded);
    free(merged);
    free(live);
    return pass_end(&p, out);
}

struct status net_image_io(struct net **out, struct net_values *values_out, const struct net *n, const float *const *in,
                           struct net_image_norm from, struct net_image_norm to)
{
    int64_t channels = n->n_inputs == 1 ? net_c(n, n->inputs[0].val) : 0;
    if ((channels != 1 && channels != 3 && channels != 4) || n->n_outputs != 1 || net_c(n, n->outputs[0].val) != 3)
        return fail(STATUS_REFUSED,
                    "io: image needs a net with one input of 1, 3 or 4 channels and one 3-channel output");
    float to_scale[4], to_shift[4], from_scale[3], from_shift[3];
    for (int c = 0; c < channels; c++) {
        to_scale[c] = 1 / (255 * from.std[c]);
        to_shift[c] = -from.mean[c] / from.std[c];
    }
    for (int c = 0; c < 3; c++) {
        from_scale[c] = 255 * to.std[c];
        from_shift[c] = 255 * to.mean[c];
    }
    struct pass p = pass_begin(n, in, values_out);
    carry_inputs(&p);
    net_val input = n->inputs[0].val;
    p.moved[input] = net_channel_affine(p.to, p.moved[input], to_scale, to_shift);
    for (int v = 0; v < n->n_nodes; v++)
        if (n->nodes[v].op != NET_INPUT) p.moved[v] = carry(&p, &n->nodes[v]);
    net_val y = net_channel_affine(p.to, p.moved[n->outputs[0].val], from_scale, from_shift);
    net_output(p.to, n->outputs[0].name, net_round(p.to, net_clamp(p.to, y, 0, 255)));
    for (int i = 0; i < p.to->n_params; i++)
        if (p.to->params[i].kind == NET_CONST) set_value(&p, i, p.to->params[i].value);
    return pass_end(&p, out);
}
