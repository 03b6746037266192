/* Values of parameters: fresh ones, the parity fill, named arrays in and out. */
#include <math.h>

#include "inside.h"

struct status exec_init(struct exec *e, uint64_t seed)
{
    for (int i = 0; i < e->net->n_params; i++) {
        const struct net_param *p = &e->net->params[i];
        e->count[i] = 0;
        if (p->kind == NET_CONST || !e->param[i]) continue;
        uint64_t key = rng_splitmix(rng_splitmix(seed) + hash_fnv1a(p->name, strlen(p->name)));
        struct tensor *t = e->param[i];
        switch (p->init.dist) {
        case NET_ZERO:
            TRY(tensor_fill_uniform_in(t, key, 0));
            break;
        case NET_ONE: {
            struct tensor *one;
            TRY(tensor_full(&one, 1, e->dtype, p->shape.rank, p->shape.d, e->o.device));
            struct status s = tensor_copy_in(t, one);
            tensor_free(one);
            TRY(s);
            break;
        }
        case NET_UNIFORM:
            TRY(tensor_fill_uniform_in(t, key, p->init.scale));
            break;
        case NET_NORMAL:
            TRY(tensor_fill_normal_in(t, key, p->init.scale));
            break;
        }
    }
    exec_drop_low(e, true);
    return ok();
}

/* ---- the parity fill --------------------------------------------------------------------------------------------- */

static double unit(uint64_t h, int64_t i)
{
    return (double)(rng_splitmix(h + (uint64_t)i) >> 11) * 0x1p-53;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

/* value = at + by (u or 2u - 1), as the fixtures' README writes it. */
static void fill_rule(const char *name, const struct net_shape *s, double *at, double *by, bool *centred)
{
    *at = 0, *by = 0.1, *centred = true;
    if (s->rank >= 2) {
        *by = sqrt(3 * 1.5 / (double)(net_numel(*s) / s->d[0]));
    } else if (ends_with(name, "running_var")) {
        *at = 0.75, *by = 0.5, *centred = false;
    } else if (ends_with(name, "weight")) {
        *at = 0.8, *by = 0.4, *centred = false;
    }
}

double exec_parity_image(const char *name, int64_t i)
{
    return -2 + 4 * unit(hash_fnv1a(name, strlen(name)), i);
}

struct status exec_fill_parity(struct exec *e)
{
    for (int p = 0; p < e->net->n_params; p++) {
        const struct net_param *q = &e->net->params[p];
        e->count[p] = 0;
        if (q->kind == NET_CONST || !e->param[p]) continue;
        double at, by;
        bool centred;
        fill_rule(q->name, &q->shape, &at, &by, &centred);
        uint64_t h = hash_fnv1a(q->name, strlen(q->name));
        int64_t n = net_numel(q->shape);
        float *v = mem_alloc((size_t)n * sizeof *v);
        for (int64_t i = 0; i < n; i++) {
            double u = unit(h, i);
            v[i] = (float)(at + by * (centred ? 2 * u - 1 : u));
        }
        struct status s = tensor_set_f32_in(e->param[p], v);
        free(v);
        TRY(s);
    }
    exec_drop_low(e, true);
    return ok();
}

/* ---- named arrays ------------------------------------------------------------------------------------------------ */

static bool saved(const struct net_param *p)
{
    return p->kind != NET_CONST;
}

static bool same_shape(const struct net_shape *s, const struct weights_array *a)
{
    if (s->rank != a->rank) return false;
    for (int d = 0; d < s->rank; d++)
        if (s->d[d] != a->shape[d]) return false;
    return true;
}

static void note(char *list, size_t size, int *n, const char *name)
{
    size_t at = strlen(list), need = strlen(name) + 2;
    if (at + need + 4 < size)
        snprintf(list + at, size - at, "%s%s", at ? ", " : "", name);
    else if (at + 5 < size && strcmp(list + at - (at >= 3 ? 3 : at), "...") != 0)
        snprintf(list + at, size - at, ", ...");
    ++*n;
}

static struct status bind(struct exec *e, int i, const struct weights_array *a)
{
    size_t n = (size_t)net_numel(e->net->params[i].shape);
    if (!e->param[i] && e->net->params[i].kind != NET_COUNT) return ok(); /* frozen and never read */
    if (e->net->params[i].kind == NET_COUNT) {
        float v;
        if (a->dtype == WEIGHTS_I64) {
            memcpy(&e->count[i], a->data, sizeof e->count[i]);
        } else {
            weights_to_f32(a, &v);
            e->count[i] = v >= 0 && v < 0x1p62f ? (int64_t)v : 0;
        }
        return ok();
    }
    if (a->dtype == WEIGHTS_F64 && e->dtype == TENSOR_F64) {
        double *v = mem_alloc(n * sizeof *v); /* the file's bytes need not be aligned */
        memcpy(v, a->data, n * sizeof *v);
        struct status s = tensor_set_f64_in(e->param[i], v);
        free(v);
        return s;
    }
    float *v = mem_alloc(n * sizeof *v);
    weights_to_f32(a, v);
    struct status s = tensor_set_f32_in(e->param[i], v);
    free(v);
    return s;
}

struct status exec_load(struct exec *e, const struct weights *w, bool strict, struct exec_match *m)
{
    struct exec_match mine = {0};
    for (int i = 0; i < e->net->n_params; i++) {
        const struct net_param *p = &e->net->params[i];
        if (!saved(p)) continue;
        const struct weights_array *a = weights_find(w, p->name);
        if (!a && p->kind == NET_COUNT) continue;
        if (!a) {
            note(mine.missing_names, sizeof mine.missing_names, &mine.missing, p->name);
        } else if (!same_shape(&p->shape, a)) {
            note(mine.reshaped_names, sizeof mine.reshaped_names, &mine.reshaped, p->name);
        } else {
            TRY(bind(e, i, a));
            mine.bound++;
        }
    }
    for (size_t i = 0; i < w->n; i++) {
        int p = net_param_find(e->net, w->a[i].name);
        if (p < 0 || !saved(&e->net->params[p]))
            note(mine.unexpected_names, sizeof mine.unexpected_names, &mine.unexpected, w->a[i].name);
    }
    exec_drop_low(e, true);
    if (m) *m = mine;
    bool differs = mine.missing || mine.unexpected || mine.reshaped;
    if (mine.bound && !(strict && differs)) return ok();
    return fail(STATUS_ARG,
                "weights: %d arrays fit; %d missing (%s), %d unknown to the model (%s), %d of another shape (%s); "
                "expected the state dict of the same model",
                mine.bound, mine.missing, mine.missing_names, mine.unexpected, mine.unexpected_names, mine.reshaped,
                mine.reshaped_names);
}

struct status exec_arrays(struct weights_array **out, size_t *n, struct arena *a, const struct exec *e)
{
    const struct net *net = e->net;
    *out = arena_alloc(a, (size_t)net->n_params * sizeof **out);
    *n = 0;
    for (int i = 0; i < net->n_params; i++) {
        const struct net_param *p = &net->params[i];
        if (!saved(p) || (p->kind != NET_COUNT && !e->param[i])) continue;
        size_t numel = (size_t)net_numel(p->shape);
        struct weights_array *w = &(*out)[(*n)++];
        *w = (struct weights_array){.name = arena_strdup(a, p->name), .rank = p->shape.rank};
        memcpy(w->shape, p->shape.d, sizeof p->shape.d);
        bool wide = e->dtype == TENSOR_F64;
        w->dtype = p->kind == NET_COUNT ? WEIGHTS_I64 : wide ? WEIGHTS_F64 : WEIGHTS_F32;
        w->bytes = numel * weights_dtype_size(w->dtype);
        void *data = arena_alloc(a, w->bytes);
        w->data = data;
        if (p->kind == NET_COUNT)
            memcpy(data, &e->count[i], sizeof e->count[i]);
        else if (wide)
            TRY(tensor_to_f64(e->param[i], data));
        else
            TRY(tensor_to_f32(e->param[i], data));
    }
    return ok();
}

struct status exec_values(struct net_values *out, const struct exec *e)
{
    *out = (struct net_values){0};
    out->v = mem_zalloc(((size_t)e->net->n_params + 1) * sizeof *out->v); /* freed by net_values_free */
    for (int i = 0; i < e->net->n_params; i++) {
        if (!e->param[i]) continue;
        float *v = arena_alloc(&out->arena, (size_t)net_numel(e->net->params[i].shape) * sizeof *v);
        out->v[i] = v;
        struct status s = tensor_to_f32(e->param[i], v);
        if (s.code == STATUS_OK) continue;
        net_values_free(out);
        return s;
    }
    return ok();
}

struct status exec_set_values(struct exec *e, const float *const *v)
{
    for (int i = 0; i < e->net->n_params; i++)
        if (e->param[i] && v[i]) TRY(tensor_set_f32_in(e->param[i], v[i]));
    exec_drop_low(e, true);
    return ok();
}
