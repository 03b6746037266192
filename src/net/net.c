/* Life of a net: nodes, parameters and their names, scopes, the latched error. */
#include "build.h"

const struct net_op_info net_ops[NET_N_OPS] = {
#define OP(id, name, n_in, formats) [NET_##id] = {name, n_in, formats},
#include "ops.def"
#undef OP
};

int64_t net_numel(struct net_shape s)
{
    int64_t n = 1;
    for (int i = 0; i < s.rank; i++) n *= s.d[i];
    return n;
}

const char *net_shape_str(struct net_shape s)
{
    static char ring[8][96];
    static unsigned next;
    char *out = ring[next++ % LEN(ring)];
    size_t at = 0;
    out[at++] = '[';
    for (int i = 0; i < s.rank && at < 80; i++)
        at += (size_t)snprintf(out + at, 96 - at, i ? ",%lld" : "%lld", (long long)s.d[i]);
    snprintf(out + at, 96 - at, "]");
    return out;
}

bool net_shape_same(struct net_shape a, struct net_shape b)
{
    bool same = a.rank == b.rank;
    for (int i = 0; same && i < a.rank; i++) same = a.d[i] == b.d[i];
    return same;
}

struct net *net_new(void)
{
    struct net *n = mem_zalloc(sizeof *n);
    n->build = mem_zalloc(sizeof *n->build);
    n->build->scope[0] = "";
    return n;
}

void net_free(struct net *n)
{
    if (!n) return;
    free(n->nodes);
    free(n->params);
    free(n->inputs);
    free(n->outputs);
    free(n->build->index);
    free(n->build);
    arena_free(&n->arena);
    free(n);
}

struct status net_finish(struct net *n)
{
    if (n->error.code == STATUS_OK && n->build->depth != 0)
        net_fail(n, STATUS_ARG, "scope \"%s\" is still open", n->build->scope[n->build->depth]);
    if (n->error.code == STATUS_OK && n->n_outputs == 0) net_fail(n, STATUS_ARG, "the net has no output");
    return n->error;
}

void net_fail(struct net *n, enum status_code code, const char *fmt, ...)
{
    if (n->error.code != STATUS_OK) return;
    char text[900];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    const char *scope = n->build->scope[n->build->depth];
    n->error = *scope ? fail(code, "%s: %s", scope, text) : fail(code, "%s", text);
}

bool net_failed(const struct net *n)
{
    return n->error.code != STATUS_OK;
}

void net_enter(struct net *n, const char *fmt, ...)
{
    struct net_build *b = n->build;
    char leaf[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(leaf, sizeof leaf, fmt, ap);
    va_end(ap);
    CHECK(b->depth + 1 < MAX_SCOPES, "scopes nest too deep at %s", leaf);
    const char *outer = b->scope[b->depth];
    b->scope[++b->depth] = *outer ? arena_printf(&n->arena, "%s.%s", outer, leaf) : arena_strdup(&n->arena, leaf);
}

void net_leave(struct net *n)
{
    CHECK(n->build->depth > 0, "net_leave without net_enter");
    n->build->depth--;
}

enum net_init_rule net_init_rule(struct net *n, enum net_init_rule rule)
{
    enum net_init_rule before = n->build->rule;
    n->build->rule = rule;
    return before;
}

struct net_shape net_shape_of(const struct net *n, net_val v)
{
    return v >= 0 && v < n->n_nodes ? n->nodes[v].shape : (struct net_shape){0};
}

static int extent(const struct net *n, net_val v, int dim)
{
    struct net_shape s = net_shape_of(n, v);
    return dim < s.rank ? (int)s.d[dim] : 0;
}

int net_c(const struct net *n, net_val v)
{
    return extent(n, v, 1);
}

int net_h(const struct net *n, net_val v)
{
    return extent(n, v, 2);
}

int net_w(const struct net *n, net_val v)
{
    return extent(n, v, 3);
}

bool net_bad(const struct net *n, const net_val *in, int n_in)
{
    if (net_failed(n)) return true;
    for (int i = 0; i < n_in; i++) CHECK(in[i] >= 0 && in[i] < n->n_nodes, "no such value: %d", in[i]);
    return false;
}

net_val net_append(struct net *n, const struct net_node *node)
{
    struct net_build *b = n->build;
    if (n->n_nodes == b->cap_nodes) {
        b->cap_nodes = b->cap_nodes ? 2 * b->cap_nodes : 256;
        n->nodes = mem_realloc(n->nodes, (size_t)b->cap_nodes * sizeof *n->nodes);
    }
    struct net_node *out = &n->nodes[n->n_nodes];
    *out = *node;
    out->scope = node->scope ? arena_strdup(&n->arena, node->scope) : b->scope[b->depth];
    out->name = node->name ? arena_strdup(&n->arena, node->name) : "";
    out->in = arena_copy(&n->arena, node->in, (size_t)node->n_in * sizeof *node->in);
    for (int i = 0; i < out->n_param; i++)
        if (n->params[out->param[i]].owner == NET_NONE) n->params[out->param[i]].owner = n->n_nodes;
    return n->n_nodes++;
}

/* ---- parameters: an array in the order of building, and a hash of names beside it -------------------------------- */

static int *slot_of(const struct net *n, const char *name)
{
    const struct net_build *b = n->build;
    uint64_t h = hash_fnv1a(name, strlen(name));
    for (uint64_t i = h;; i++) {
        int *slot = &b->index[i & (uint64_t)(b->n_index - 1)];
        if (!*slot || !strcmp(n->params[*slot - 1].name, name)) return slot;
    }
}

static void reserve_params(struct net *n)
{
    struct net_build *b = n->build;
    if (n->n_params < b->cap_params) return;
    b->cap_params = b->cap_params ? 2 * b->cap_params : 256;
    n->params = mem_realloc(n->params, (size_t)b->cap_params * sizeof *n->params);
    b->n_index = 2 * b->cap_params;
    free(b->index);
    b->index = mem_zalloc((size_t)b->n_index * sizeof *b->index);
    for (int i = 0; i < n->n_params; i++) *slot_of(n, n->params[i].name) = i + 1;
}

int net_param_find(const struct net *n, const char *name)
{
    return n->build->n_index ? *slot_of(n, name) - 1 : -1;
}

int net_param_add(struct net *n, const char *full_name, enum net_param_kind kind, struct net_shape shape,
                  struct net_init init, const float *value)
{
    reserve_params(n);
    int *slot = slot_of(n, full_name);
    if (*slot) {
        const struct net_param *p = &n->params[*slot - 1];
        if (p->kind != kind || !net_shape_same(p->shape, shape))
            net_fail(n, STATUS_ARG, "parameter %s is used as %s and as %s", full_name, net_shape_str(p->shape),
                     net_shape_str(shape));
        return *slot - 1;
    }
    *slot = n->n_params + 1;
    n->params[n->n_params] = (struct net_param){.name = arena_strdup(&n->arena, full_name),
                                                .kind = kind,
                                                .shape = shape,
                                                .init = init,
                                                .value = value,
                                                .owner = NET_NONE};
    return n->n_params++;
}

int net_const_add(struct net *n, struct net_shape shape, const float *value)
{
    char name[32];
    snprintf(name, sizeof name, "const.%d", n->n_params);
    const float *copy = arena_copy(&n->arena, value, (size_t)net_numel(shape) * sizeof *value);
    return net_param_add(n, name, NET_CONST, shape, (struct net_init){0}, copy);
}

/* ---- inputs and outputs ------------------------------------------------------------------------------------------ */

static void io_add(struct net *n, struct net_io **list, int *count, const char *name, net_val v)
{
    *list = mem_realloc(*list, ((size_t)*count + 1) * sizeof **list);
    (*list)[(*count)++] = (struct net_io){.name = arena_strdup(&n->arena, name), .val = v};
}

net_val net_input(struct net *n, const char *name, int c, int h, int w)
{
    NET_REQUIRE(n, c > 0 && h > 0 && w > 0, STATUS_ARG, "input %s: got %d x %d x %d, expected positive sizes", name, c,
                h, w);
    if (net_failed(n)) return NET_NONE;
    net_val v = net_append(n, &(struct net_node){.op = NET_INPUT, .name = name, .shape = {4, {1, c, h, w}}});
    io_add(n, &n->inputs, &n->n_inputs, name, v);
    return v;
}

void net_output(struct net *n, const char *name, net_val v)
{
    if (!net_bad(n, &v, 1)) io_add(n, &n->outputs, &n->n_outputs, name, v);
}

void net_live(const struct net *n, bool *live)
{
    memset(live, 0, (size_t)n->n_nodes * sizeof *live);
    for (int i = 0; i < n->n_outputs; i++) live[n->outputs[i].val] = true;
    for (int v = n->n_nodes - 1; v >= 0; v--)
        if (live[v])
            for (int i = 0; i < n->nodes[v].n_in; i++) live[n->nodes[v].in[i]] = true;
}
