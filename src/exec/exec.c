/* Life of an exec: parameters' tensors, who reads which value until when, freezing, swapping. */
#include "inside.h"

static struct status make_param(struct exec *e, int i)
{
    const struct net_param *p = &e->net->params[i];
    struct tensor *plain;
    TRY(tensor_zeros(&plain, e->dtype, p->shape.rank, p->shape.d, e->o.device));
    struct status s = tensor_to_layout(&e->param[i], plain, e->o.channels_last);
    tensor_free(plain);
    if (s.code == STATUS_OK && p->kind == NET_CONST) s = tensor_set_f32_in(e->param[i], p->value);
    if (s.code == STATUS_OK && p->kind == NET_WEIGHT && !e->o.frozen) s = tensor_want_grad_in(e->param[i], true);
    return status_at(s, "%s", p->name ? p->name : "constant");
}

/** All of a net that is trained, whose state dict is whole; of a frozen one those that a live node reads. */
static struct status make_params(struct exec *e)
{
    const struct net *n = e->net;
    bool *read = mem_zalloc((size_t)n->n_params * sizeof *read);
    for (int v = 0; v < n->n_nodes; v++)
        for (int k = 0; e->live[v] && k < n->nodes[v].n_param; k++) read[n->nodes[v].param[k]] = true;
    struct status s = ok();
    for (int i = 0; i < n->n_params && s.code == STATUS_OK; i++) {
        e->frozen[i] = e->o.frozen;
        if (n->params[i].kind != NET_COUNT && (read[i] || !e->o.frozen)) s = make_param(e, i);
    }
    free(read);
    return s;
}

struct status exec_new(struct exec **out, const struct net *n, const struct exec_options *o)
{
    *out = NULL;
    struct exec *e = mem_zalloc(sizeof *e);
    e->net = n;
    e->o = *o;
    e->dtype = o->compute == TENSOR_F64 ? TENSOR_F64 : TENSOR_F32;
    size_t n_params = (size_t)n->n_params, n_nodes = (size_t)n->n_nodes;
    e->param = mem_zalloc(n_params * sizeof *e->param);
    e->low = mem_zalloc(n_params * sizeof *e->low);
    e->count = mem_zalloc(n_params * sizeof *e->count);
    e->frozen = mem_zalloc(n_params * sizeof *e->frozen);
    e->live = mem_zalloc(n_nodes * sizeof *e->live);
    e->uses = mem_zalloc(n_nodes * sizeof *e->uses);
    e->last_use = mem_zalloc(n_nodes * sizeof *e->last_use);
    e->conv_of = mem_zalloc(n_nodes * sizeof *e->conv_of);
    exec_plan(e);
    struct status s = make_params(e);
    if (s.code != STATUS_OK) {
        exec_free(e);
        return s;
    }
    *out = e;
    return ok();
}

void exec_free(struct exec *e)
{
    if (!e) return;
    exec_drop_low(e, true);
    for (int i = 0; i < e->net->n_params; i++) tensor_free(e->param[i]);
    free(e->param);
    free(e->low);
    free(e->count);
    free(e->frozen);
    free(e->live);
    free(e->uses);
    free(e->last_use);
    free(e->conv_of);
    free(e);
}

const struct net *exec_net(const struct exec *e)
{
    return e->net;
}

const struct exec_options *exec_options_of(const struct exec *e)
{
    return &e->o;
}

struct tensor *exec_param(const struct exec *e, int i)
{
    return e->param[i];
}

int64_t *exec_count(struct exec *e, int i)
{
    return &e->count[i];
}

void exec_drop_low(struct exec *e, bool all)
{
    for (int i = 0; i < e->net->n_params; i++) {
        if (!all && exec_is_frozen(e, i)) continue;
        tensor_free(e->low[i]);
        e->low[i] = NULL;
    }
}

void exec_swap(struct exec *e, struct tensor **other)
{
    for (int i = 0; i < e->net->n_params; i++) {
        if (!other[i]) continue;
        struct tensor *t = e->param[i];
        e->param[i] = other[i];
        other[i] = t;
    }
    exec_drop_low(e, true);
}

int exec_freeze(struct exec *e, const char *pattern, bool frozen)
{
    int matched = 0;
    for (int i = 0; i < e->net->n_params; i++) {
        const struct net_param *p = &e->net->params[i];
        if (p->kind != NET_WEIGHT || !str_glob(pattern, p->name)) continue;
        matched++;
        e->frozen[i] = frozen;
        struct status s = tensor_want_grad_in(e->param[i], !frozen);
        CHECK(s.code == STATUS_OK, "%s", s.msg);
    }
    exec_drop_low(e, true);
    return matched;
}

void exec_plan(struct exec *e)
{
    const struct net *n = e->net;
    net_live(n, e->live);
    for (int v = 0; v < n->n_nodes; v++) e->last_use[v] = e->conv_of[v] = -1;
    for (int v = 0; v < n->n_nodes; v++) {
        const struct net_node *x = &n->nodes[v];
        for (int i = 0; e->live[v] && i < x->n_in; i++) {
            e->uses[x->in[i]]++;
            e->last_use[x->in[i]] = v;
        }
    }
    for (int i = 0; i < n->n_outputs; i++) {
        e->uses[n->outputs[i].val]++;
        e->last_use[n->outputs[i].val] = n->n_nodes;
    }
    for (int v = 0; v < n->n_nodes; v++) {
        const struct net_node *x = &n->nodes[v];
        if (!e->live[v] || x->op != NET_RELU) continue;
        int c = x->in[0];
        if (n->nodes[c].op != NET_CONV2D || e->uses[c] != 1) continue;
        e->conv_of[v] = c;
        int from = n->nodes[c].in[0]; /* stays until the relu, which may be where the convolution is done */
        if (e->last_use[from] < v) e->last_use[from] = v;
    }
}
