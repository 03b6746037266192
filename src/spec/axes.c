/* Axes and zip groups: what is varied. Each alternative is checked as a fixed value would be. */
#include "load.h"
#include <math.h>

enum { MAX_VALUES = 10000 }; /* of one axis */

static void *grow(struct load *l, void *p, int n, int *cap, size_t size)
{
    if (n < *cap) return p;
    int more = *cap ? *cap * 2 : 8;
    void *out = arena_alloc(l->a, (size_t)more * size);
    if (n) memcpy(out, p, (size_t)n * size);
    *cap = more;
    return out;
}

/* A new axis, or the place of the one that it replaces. */
static struct status add_axis(struct load *l, const struct load_axis *axis)
{
    for (int i = 0; i < l->n_axes && !axis->zip; i++) {
        struct load_axis *old = &l->axes[i];
        if (old->zip || strcmp(old->axis.key, axis->axis.key) != 0) continue;
        if (old->layer == axis->layer) {
            return node_fail(axis->node, "axes: %s is given twice: first at %s; keep one", axis->axis.key,
                             spec_mark_str(l->a, old->node->mark));
        }
        *old = *axis;
        return ok();
    }
    l->axes = grow(l, l->axes, l->n_axes, &l->cap_axes, sizeof *l->axes);
    l->axes[l->n_axes++] = *axis;
    return ok();
}

/* ---- several keys together ------------------------------------------------------------------------------------- */

static struct status collect_value(struct load *l, void *ctx, const struct key *k, const struct node *n)
{
    json_t *object = ctx, *value;
    if (json_object_get(object, k->path)) return node_fail(n->key, "%s: given twice in one map; keep one", k->path);
    TRY(load_value(&value, l, k, n, true));
    json_object_set(object, k->path, value);
    return ok();
}

/* A list of maps: {variant: [{model.arch: unet, train.lr: 0.1}, ...]}; under a section the keys are relative to it. */
static struct status compound_axis(struct load *l, const char *label, const char *prefix, const struct node *n)
{
    struct load_axis axis = {.axis = {.key = label}, .node = n, .layer = l->layer};
    axis.axis.values = arena_alloc(l->a, (size_t)n->n * sizeof *axis.axis.values);
    for (const struct node *e = n->child; e; e = e->next) {
        json_t *object = json_object();
        const struct load_visit v = {.key = collect_value, .ctx = object, .loose = true};
        json_array_append_new(l->s->owned, object);
        if (e->kind != NODE_MAP) return load_wrong(l, e, label, "a map of keys, as the first alternative is");
        TRY(load_walk_map(l, prefix, e, &v));
        axis.axis.values[axis.axis.n++] = (struct spec_value){.value = object, .mark = e->mark};
    }
    return add_axis(l, &axis);
}

/* ---- one key --------------------------------------------------------------------------------------------------- */

static double log_step(double lo, double hi, double n, int i)
{
    return lo * pow(hi / lo, i / (n - 1));
}

static double linear_step(double lo, double hi, double n, int i)
{
    return lo + (hi - lo) * i / (n - 1);
}

static double range_step(double first, double last, double step, int i)
{
    (void)last;
    return first + step * i;
}

static const struct generator {
    const char *name, *expected;
    double (*value)(double a, double b, double c, int i);
    bool positive, counted; /* counted: the third number is how many */
} generators[] = {
    {"log", "[low, high, n]: 0 < low < high, n from 2 to 10000", log_step, true, true},
    {"linspace", "[low, high, n]: low < high, n from 2 to 10000", linear_step, false, true},
    {"range", "[first, last, step]: first <= last, step > 0, at most 10000 values", range_step, false, false},
};

/* Evenly spaced numbers stand as if they had been written; whole keys take the nearest, each once. */
static struct status generate(struct load *l, struct load_axis *axis, const struct generator *g, const struct node *n)
{
    double v[3] = {0};
    const struct node *e = n->child;
    bool good = n->kind == NODE_LIST && n->n == 3;
    for (int i = 0; good && i < 3; i++, e = e->next) {
        json_t *j = node_json(e);
        good = json_is_number(j);
        v[i] = json_number_value(j);
        json_decref(j);
    }
    double count = g->counted ? v[2] : floor((v[1] - v[0]) / v[2] * (1 + 1e-12)) + 1;
    good = good && (v[0] < v[1] || (!g->counted && v[0] <= v[1])) && (!g->positive || v[0] > 0) && v[2] > 0 &&
           count >= (g->counted ? 2 : 1) && count <= MAX_VALUES;
    if (!good) return load_wrong(l, n, load_join(l, axis->axis.key, g->name), g->expected);
    bool whole = axis->key->type == KEY_INT || axis->key->type == KEY_LONG;
    axis->axis.values = arena_alloc(l->a, (size_t)count * sizeof *axis->axis.values);
    for (int i = 0; i < (int)count; i++) {
        double x = g->value(v[0], v[1], v[2], i);
        struct node *written = arena_alloc(l->a, sizeof *written);
        *written = (struct node){.kind = NODE_SCALAR, .mark = n->mark, .plain = true};
        written->text = whole ? arena_printf(l->a, "%.0f", x) : arena_printf(l->a, "%.12g", x);
        json_t *value;
        TRY(load_value(&value, l, axis->key, written, false));
        if (i && json_equal(value, axis->axis.values[axis->axis.n - 1].value)) continue;
        axis->axis.values[axis->axis.n++] = (struct spec_value){.value = value, .mark = n->mark};
    }
    return ok();
}

static struct status list_values(struct load *l, struct load_axis *axis, const struct node *n)
{
    axis->axis.values = arena_alloc(l->a, (size_t)n->n * sizeof *axis->axis.values);
    for (const struct node *e = n->child; e; e = e->next) {
        struct spec_value *v = &axis->axis.values[axis->axis.n++];
        v->mark = e->mark;
        TRY(load_value(&v->value, l, axis->key, e, true));
        for (int i = 0; i + 1 < axis->axis.n; i++) {
            if (json_equal(axis->axis.values[i].value, v->value)) {
                return node_fail(e, "%s: %s is given twice in this axis", axis->axis.key, node_describe(l->a, e));
            }
        }
    }
    return ok();
}

static const struct generator *generator_of(const struct node *n)
{
    if (n->kind != NODE_MAP || n->n != 1) return NULL;
    for (size_t i = 0; i < LEN(generators); i++) {
        if (strcmp(generators[i].name, n->child->key->text) == 0) return &generators[i];
    }
    return NULL;
}

static struct status one_axis(struct load *l, const char *path, const struct node *n)
{
    const struct key *k = key_find_loose(path);
    const struct generator *g = k ? generator_of(n) : NULL;
    bool section = key_is_section(path);
    if (section && n->kind == NODE_MAP) return load_axes(l, path, n);
    bool maps = n->kind == NODE_LIST && n->child && n->child->kind == NODE_MAP;
    if (maps && (section || !k)) return compound_axis(l, path, section ? path : "", n);
    if (!k) return node_fail(n->key ? n->key : n, "axes: %s: no such key%s", path, key_hint(l->a, path));
    if (!g && n->kind != NODE_LIST)
        return load_wrong(l, n, k->path, "a list of alternatives, {log: ...}, {linspace: ...} or {range: ...}");
    if (!g && !n->n) return load_wrong(l, n, k->path, "at least one alternative");
    if (n->n > MAX_VALUES)
        return node_fail(n, "axes: %s: got %d alternatives, expected at most %d", path, n->n, MAX_VALUES);
    struct load_axis axis = {.axis = {.key = k->path}, .key = k, .node = n, .layer = l->layer};
    TRY(g ? generate(l, &axis, g, n->child) : list_values(l, &axis, n));
    return add_axis(l, &axis);
}

struct status load_axes(struct load *l, const char *rest, const struct node *n)
{
    if (*rest && !(key_is_section(rest) && n->kind == NODE_MAP)) return one_axis(l, rest, n);
    if (node_is_null(n)) return ok();
    if (n->kind != NODE_MAP) return load_wrong(l, n, "axes", "a map of key: list of alternatives");
    for (const struct node *e = n->child; e; e = e->next) TRY(one_axis(l, load_join(l, rest, e->key->text), e));
    return ok();
}

/* ---- zip ------------------------------------------------------------------------------------------------------- */

static struct status collect_list(struct load *l, void *ctx, const struct key *k, const struct node *n)
{
    struct load_axis *axis = ctx;
    struct spec_axis *x = &axis->axis;
    if (n->kind != NODE_LIST || !n->n) return load_wrong(l, n, k->path, "a list of values");
    if (!x->n) {
        x->values = arena_alloc(l->a, (size_t)n->n * sizeof *x->values);
        for (const struct node *e = n->child; e; e = e->next) {
            x->values[x->n++] = (struct spec_value){.value = json_object(), .mark = e->mark};
            json_array_append_new(l->s->owned, x->values[x->n - 1].value);
        }
    }
    if (n->n != x->n)
        return node_fail(n, "%s: got %d values, expected %d, as many as %s has", k->path, n->n, x->n, x->key);
    if (json_object_get(x->values[0].value, k->path))
        return node_fail(n->key, "%s: given twice in one map; keep one", k->path);
    int i = 0;
    for (const struct node *e = n->child; e; e = e->next, i++) {
        json_t *value;
        TRY(load_value(&value, l, k, e, true));
        json_object_set(x->values[i].value, k->path, value);
    }
    x->key = x->key ? arena_printf(l->a, "%s+%s", x->key, k->path) : k->path;
    return ok();
}

static void drop_zips(struct load *l)
{
    int kept = 0;
    for (int i = 0; i < l->n_axes; i++) {
        if (!l->axes[i].zip || l->axes[i].layer == l->layer) l->axes[kept++] = l->axes[i];
    }
    l->n_axes = kept;
}

struct status load_zip(struct load *l, const char *rest, const struct node *n)
{
    if (*rest) return node_fail(n->key, "zip.%s: no such key; zip is a list of maps of key: list", rest);
    drop_zips(l);
    if (node_is_null(n)) return ok();
    if (n->kind == NODE_SCALAR) return load_wrong(l, n, "zip", "a list of maps of key: list");
    for (const struct node *e = n->kind == NODE_LIST ? n->child : n; e; e = n->kind == NODE_LIST ? e->next : NULL) {
        struct load_axis axis = {.node = e, .layer = l->layer, .zip = true};
        const struct load_visit v = {.key = collect_list, .ctx = &axis, .loose = true};
        if (e->kind != NODE_MAP || !e->n) return load_wrong(l, e, "zip", "a map of key: list");
        TRY(load_walk_map(l, "", e, &v));
        if (axis.axis.n) TRY(add_axis(l, &axis));
    }
    return ok();
}

/* ---- against fixed keys and each other ------------------------------------------------------------------------- */

static bool axis_sets(const struct load_axis *x, const struct key *k)
{
    if (x->key) return x->key == k;
    for (int i = 0; i < x->axis.n; i++) {
        if (json_object_get(x->axis.values[i].value, k->path)) return true;
    }
    return false;
}

bool load_swept(const struct load *l, const struct key *k)
{
    for (int i = 0; i < l->n_axes; i++) {
        if (axis_sets(&l->axes[i], k)) return true;
    }
    return false;
}

/* A key fixed by a later layer (--set seed=1) is varied no more. */
static void unsweep(struct load_axis *x, const struct key *k)
{
    for (int i = 0; !x->key && i < x->axis.n; i++) json_object_del(x->axis.values[i].value, k->path);
    if (x->key) x->axis.n = 0;
}

static struct status settle(struct load *l, const struct key *k)
{
    const struct load_axis *first = NULL;
    const struct node *fixed = l->fixed[k - key_table].node;
    for (int i = 0; i < l->n_axes; i++) {
        struct load_axis *x = &l->axes[i];
        if (!axis_sets(x, k) || !x->axis.n) continue;
        if (fixed && l->fixed[k - key_table].layer > x->layer) {
            unsweep(x, k);
            continue;
        }
        if (fixed && l->fixed[k - key_table].layer == x->layer) {
            return node_fail(x->node, "%s: varied here and fixed at %s; keep one", k->path,
                             spec_mark_str(l->a, fixed->mark));
        }
        if (first) {
            return node_fail(x->node, "%s: varied here and at %s; keep one", k->path,
                             spec_mark_str(l->a, first->node->mark));
        }
        first = x;
    }
    return ok();
}

struct status load_finish_axes(struct load *l)
{
    struct spec *s = l->s;
    for (int i = 0; i < key_count; i++) TRY(settle(l, &key_table[i]));
    s->axes = arena_alloc(l->a, (size_t)(l->n_axes + 1) * sizeof *s->axes);
    s->zips = arena_alloc(l->a, (size_t)(l->n_axes + 1) * sizeof *s->zips);
    for (int i = 0; i < l->n_axes; i++) {
        const struct load_axis *x = &l->axes[i];
        if (!x->axis.n) continue;
        if (x->zip) {
            s->zips[s->n_zips++] = x->axis;
        } else {
            s->axes[s->n_axes++] = x->axis;
        }
    }
    return ok();
}
