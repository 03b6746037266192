/*
 * The tensors of a run at one moment. Holding them is a copy where they lie, on a GPU in its own memory, so that steps
 * hardly wait; what a file is made of are arrays on the host, made when there is something to write.
 */
#include "parts.h"

/* ---- arrays on the host --------------------------------------------------------------------------------------- */

static struct weights_array *arrays_add(struct arrays *to)
{
    if (to->n == to->cap) to->a = mem_realloc(to->a, (to->cap = to->cap * 2 + 64) * sizeof *to->a);
    to->a[to->n] = (struct weights_array){0};
    return &to->a[to->n++];
}

void arrays_free(struct arrays *a)
{
    free(a->a);
    arena_free(&a->arena);
    *a = (struct arrays){0};
}

static struct status add_tensor(struct arrays *to, const char *name, const struct tensor *t)
{
    bool wide = tensor_dtype_of(t) == TENSOR_F64;
    struct weights_array *a = arrays_add(to);
    a->name = name;
    a->dtype = wide ? WEIGHTS_F64 : WEIGHTS_F32;
    a->rank = tensor_rank(t);
    for (int d = 0; d < a->rank; d++) a->shape[d] = tensor_dim(t, d);
    a->bytes = (size_t)tensor_numel(t) * (wide ? sizeof(double) : sizeof(float));
    void *data = arena_alloc(&to->arena, a->bytes);
    a->data = data;
    return wide ? tensor_to_f64(t, data) : tensor_to_f32(t, data);
}

static void add_counts(struct arrays *to, const char *name, const int64_t *v, int n, int rank)
{
    size_t bytes = (size_t)n * sizeof *v;
    *arrays_add(to) = (struct weights_array){.name = name,
                                             .dtype = WEIGHTS_I64,
                                             .rank = rank,
                                             .shape = {n},
                                             .data = arena_copy(&to->arena, v, bytes),
                                             .bytes = bytes};
}

/** The state dict, each name behind @p prefix; a prefixed one is without the counts, which have one value only. */
static struct status add_state_dict(struct arrays *to, const struct snapshot *s, bool averaged, const char *prefix)
{
    for (int i = 0; i < s->net->n_params; i++) {
        const struct net_param *p = &s->net->params[i];
        const char *name = arena_printf(&to->arena, "%s%s", prefix, p->name);
        const struct tensor *t = averaged && s->average[i] ? s->average[i] : s->raw[i];
        if (p->kind == NET_COUNT && !prefix[0]) add_counts(to, name, &s->counts[i], 1, p->shape.rank);
        if (p->kind != NET_COUNT && t) TRY(add_tensor(to, name, t));
    }
    return ok();
}

const char *snapshot_slot_name(struct arena *a, const struct weights_state *w, int i, int slot)
{
    return arena_printf(a, STATE "slot%d/%s", slot, exec_net(w->exec)->params[w->params[i]].name);
}

static struct status add_optimiser(struct arrays *to, const struct snapshot *s)
{
    for (int i = 0; i < s->of->n_params; i++)
        for (int k = 0; k < 2; k++) {
            const struct tensor *t = s->slots[2 * i + k];
            if (t) TRY(add_tensor(to, snapshot_slot_name(&to->arena, s->of, i, k), t));
        }
    add_counts(to, STATE "updates", s->updates, s->of->n_params, 1);
    return ok();
}

struct status snapshot_arrays(struct arrays *to, const struct snapshot *s, bool with_state)
{
    if (with_state && s->average) TRY(add_state_dict(to, s, false, RAW));
    if (with_state) TRY(add_optimiser(to, s));
    return add_state_dict(to, s, s->average != NULL, "");
}

/* ---- tensors -------------------------------------------------------------------------------------------------- */

void snapshot_view(struct snapshot *s, const struct weights_state *w)
{
    const struct net *net = exec_net(w->exec);
    size_t n = (size_t)net->n_params, optimised = (size_t)w->n_params;
    *s = (struct snapshot){.of = w, .net = net};
    s->raw = mem_zalloc((n + 1) * sizeof *s->raw);
    s->counts = mem_zalloc((n + 1) * sizeof *s->counts);
    s->average = w->average ? mem_zalloc((n + 1) * sizeof *s->average) : NULL;
    s->slots = mem_zalloc((2 * optimised + 1) * sizeof *s->slots);
    s->updates = mem_zalloc((optimised + 1) * sizeof *s->updates);
    for (int i = 0; i < net->n_params; i++) {
        s->raw[i] = net->params[i].kind == NET_CONST ? NULL : exec_param(w->exec, i);
        if (net->params[i].kind == NET_COUNT) s->counts[i] = *exec_count(w->exec, i);
        if (s->average) s->average[i] = w->average[i];
    }
    for (int i = 0; i < w->n_params; i++)
        for (int k = 0; k < 2; k++) s->slots[2 * i + k] = tensor_optim_slot(w->optim, i, k);
    memcpy(s->updates, tensor_optim_updates(w->optim), optimised * sizeof *s->updates);
}

static void free_each(struct tensor **t, size_t n)
{
    for (size_t i = 0; t && i < n; i++) tensor_free(t[i]);
}

void snapshot_free(struct snapshot *s)
{
    if (s->owner) {
        free_each(s->raw, (size_t)s->net->n_params);
        free_each(s->average, (size_t)s->net->n_params);
        free_each(s->slots, 2 * (size_t)s->of->n_params);
    }
    free(s->raw);
    free(s->counts);
    free(s->average);
    free(s->slots);
    free(s->updates);
    *s = (struct snapshot){0};
}

/** Copies @p n tensors over those that are there; where none is there yet, it is made, and its memory touched once. */
static struct status keep_each(struct tensor **to, struct tensor *const *from, size_t n)
{
    for (size_t i = 0; from && i < n; i++) {
        if (from[i] && to[i]) TRY(tensor_copy_in(to[i], from[i]));
        if (from[i] && !to[i]) TRY(tensor_rows(&to[i], from[i], 0, tensor_dim(from[i], 0)));
    }
    return ok();
}

struct status snapshot_keep(struct snapshot *s, const struct weights_state *w)
{
    struct snapshot now;
    snapshot_view(&now, w);
    size_t n = (size_t)now.net->n_params, optimised = (size_t)w->n_params;
    if (!s->owner) {
        snapshot_view(s, w); /* for the room that its lists take */
        s->owner = true;
        memset(s->raw, 0, n * sizeof(struct tensor *));
        memset(s->slots, 0, 2 * optimised * sizeof(struct tensor *));
        if (s->average) memset(s->average, 0, n * sizeof(struct tensor *));
    }
    memcpy(s->counts, now.counts, n * sizeof *s->counts);
    memcpy(s->updates, now.updates, optimised * sizeof *s->updates);
    bool grad = tensor_grad_mode(false); /* a copy of a parameter is none */
    struct status st = keep_each(s->raw, now.raw, n);
    if (st.code == STATUS_OK) st = keep_each(s->average, now.average, n);
    if (st.code == STATUS_OK) st = keep_each(s->slots, now.slots, 2 * optimised);
    tensor_grad_mode(grad);
    snapshot_free(&now);
    return st;
}
