/* From a net as it was trained to one that a writer can say word by word. */
#include "lower.h"
#include <math.h>

/* ---- metadata ---------------------------------------------------------------------------------------------------- */

static void add(struct lower *l, const char *key, const char *value)
{
    l->meta[l->n_meta++] = (struct export_pair){key, value};
}

/* Nine digits bring a float back exactly. */
static void add_numbers(struct lower *l, const char *key, const float *v, int n)
{
    const char *text = "";
    for (int i = 0; i < n; i++) text = arena_printf(&l->arena, "%s%s%.9g", text, i ? "," : "", (double)v[i]);
    add(l, key, text);
}

static void describe(struct lower *l, const struct export_options *o, int channels)
{
    static const char *const order[] = {[1] = "gray", [4] = "RGBA"};
    enum { OWN = 9 }; /* pairs besides the caller's */
    bool known = o->std[0] != 0 && o->std[1] != 0 && o->std[2] != 0;
    l->meta = arena_alloc(&l->arena, (size_t)(OWN + o->n_meta) * sizeof *l->meta);
    add(l, "sweep_version", SWEEP_VERSION);
    add(l, "io", o->io_image ? "image" : "tensor");
    add(l, "color_order", "RGB");
    add(l, "value_range", o->io_image ? "0..255" : known ? "(x/255-mean)/std" : "as trained");
    if (known) {
        add_numbers(l, "mean", o->mean, 3);
        add_numbers(l, "std", o->std, 3);
    }
    if (channels < (int)LEN(order) && order[channels]) {
        add(l, "input_color_order", order[channels]);
        if (o->input_std[0] != 0) {
            add_numbers(l, "input_mean", o->input_mean, channels);
            add_numbers(l, "input_std", o->input_std, channels);
        }
    }
    for (int i = 0; i < o->n_meta; i++) l->meta[l->n_meta++] = o->meta[i];
}

/* ---- the net ----------------------------------------------------------------------------------------------------- */

static struct status frame(struct lower *l, const struct net *n, const float *const *values,
                           const struct export_options *o)
{
    bool rgb = o->input_std[0] == 0;
    struct net_image_norm out = {o->mean, o->std},
                          in = rgb ? out : (struct net_image_norm){o->input_mean, o->input_std};
    if (rgb && n->n_inputs == 1 && net_c(n, n->inputs[0].val) != 3)
        return fail(STATUS_REFUSED, "io: image needs to know what the input's %d channels are normalised by",
                    (int)net_c(n, n->inputs[0].val));
    return net_image_io(&l->framed, &l->framed_values, n, values, in, out);
}

/* What the framing added: the operation after an input, and those before an output up to the change of scale. */
static const bool *framing(struct lower *l, bool framed)
{
    const struct net *n = l->net;
    bool *is = arena_alloc(&l->arena, (size_t)(n->n_nodes + 1) * sizeof *is);
    for (int v = 0; v < n->n_nodes; v++) {
        const struct net_node *d = &n->nodes[v];
        is[v] = framed && d->op == NET_CHANNEL_AFFINE && n->nodes[d->in[0]].op == NET_INPUT;
    }
    for (int i = 0; framed && i < n->n_outputs; i++) {
        net_val v = n->outputs[i].val;
        for (; n->nodes[v].op != NET_CHANNEL_AFFINE; v = n->nodes[v].in[0]) is[v] = true;
        is[v] = true;
    }
    return is;
}

struct status lower_begin(struct lower *out, const struct net *n, const float *const *values,
                          const struct export_options *o)
{
    *out = (struct lower){.net = NULL};
    if (o->io_image) TRY(frame(out, n, values, o));
    bool framed = out->framed != NULL;
    TRY(net_for_inference(&out->net, &out->ready_values, framed ? out->framed : n,
                          framed ? out->framed_values.v : values));
    out->values = out->ready_values.v;
    out->framing = framing(out, framed);
    describe(out, o, (int)out->net->nodes[out->net->inputs[0].val].shape.d[1]);
    return ok();
}

void lower_end(struct lower *l)
{
    if (l->net) net_values_free(&l->ready_values);
    if (l->framed) net_values_free(&l->framed_values);
    net_free(l->net);
    net_free(l->framed);
    arena_free(&l->arena);
}

struct status lower_fail(const struct net *n, net_val v, enum status_code code, const char *what)
{
    const struct net_node *d = &n->nodes[v];
    return fail(code, "%s: node %d, %s: %s", d->scope && d->scope[0] ? d->scope : "net", v, net_ops[d->op].name, what);
}

struct status lower_param(const float **out, const struct lower *l, int param)
{
    const struct net_param *p = &l->net->params[param];
    const float *v = l->values && l->values[param] ? l->values[param] : p->value;
    if (!v) return lower_fail(l->net, p->owner, STATUS_ARG, "a parameter has no value");
    int64_t n = net_numel(p->shape);
    for (int64_t k = 0; k < n; k++)
        if (!isfinite(v[k]))
            return fail(STATUS_ARG, "%s: value %lld of %lld is %g: the weights diverged, nothing to export", p->name,
                        (long long)k, (long long)n, (double)v[k]);
    *out = v;
    return ok();
}

const char **lower_names(const struct lower *l, struct arena *a)
{
    const struct net *n = l->net;
    const char **name = arena_alloc(a, (size_t)(n->n_nodes + 1) * sizeof *name);
    for (int v = 0; v < n->n_nodes; v++) name[v] = NULL;
    for (int i = 0; i < n->n_inputs; i++) name[n->inputs[i].val] = n->inputs[i].name;
    for (int i = 0; i < n->n_outputs; i++)
        if (!name[n->outputs[i].val]) name[n->outputs[i].val] = n->outputs[i].name;
    for (int v = 0; v < n->n_nodes; v++) {
        const struct net_node *d = &n->nodes[v];
        const char *leaf = d->name && d->name[0] ? d->name : net_ops[d->op].name;
        bool scoped = d->scope && d->scope[0];
        if (!name[v]) name[v] = arena_printf(a, "%s%s%s:%d", scoped ? d->scope : "", scoped ? "." : "", leaf, v);
    }
    return name;
}

/* ---- geometry ---------------------------------------------------------------------------------------------------- */

bool lower_pool_pads(int64_t pads[4], const struct net_node *d, const struct net_shape *in)
{
    const struct net_attr *a = &d->attr;
    bool partial = false;
    for (int i = 0; i < 4; i++) pads[i] = a->pads[i];
    for (int i = 0; i < 2; i++) {
        int64_t reach = (d->shape.d[2 + i] - 1) * a->stride[i] + a->kernel[i] - a->pads[i] - in->d[2 + i];
        if (reach <= a->pads[2 + i]) continue;
        pads[2 + i] = reach;
        partial = true;
    }
    return partial;
}

const float *lower_averages(struct arena *a, int64_t in, int64_t out, bool transposed)
{
    float *m = arena_alloc(a, (size_t)(in * out) * sizeof *m);
    for (int64_t i = 0; i < in * out; i++) m[i] = 0;
    for (int64_t o = 0; o < out; o++) {
        int64_t first = o * in / out, end = ((o + 1) * in + out - 1) / out;
        for (int64_t i = first; i < end; i++)
            m[transposed ? o * in + i : i * out + o] = (float)(1.0 / (double)(end - first));
    }
    return m;
}

const int64_t *lower_nearest(struct arena *a, int64_t from, int64_t to)
{
    int64_t *v = arena_alloc(a, (size_t)to * sizeof *v);
    float step = (float)from / (float)to;
    for (int64_t i = 0; i < to; i++) {
        v[i] = (int64_t)floorf((float)i * step);
        if (v[i] > from - 1) v[i] = from - 1;
    }
    return v;
}
