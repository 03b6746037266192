/* Axes and zip groups: what is varied. Each alternative is checked as a fixed value would be. */
#include "load.h"

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
    l->axes = load_grow(l, l->axes, l->n_axes, &l->cap_axes, sizeof *l->axes);
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
static struct status compound_axis(struct load *l, const char *label, const char *prefix, const struct node *n,
                                   const struct node *when)
{
    struct load_axis axis = {.axis = {.key = label}, .node = n, .layer = l->layer};
    axis.axis.values = arena_alloc(l->a, (size_t)n->n * sizeof *axis.axis.values);
    for (const struct node *e = n->child; e; e = e->next) {
        json_t *object = json_object();
        const struct load_visit v = {.key = collect_value, .ctx = object, .loose = true};
        json_array_append_new(l->s->owned, object);
        NOTE(l, e->kind == NODE_MAP ? load_walk_map(l, prefix, e, &v)
                                    : load_wrong(l, e, label, "a map of keys, as the first alternative is"));
        axis.axis.values[axis.axis.n++] = (struct spec_value){.value = object, .mark = e->mark};
    }
    if (when) TRY(load_match(&axis.axis.when, l, "when", when));
    return add_axis(l, &axis);
}

/* ---- one key --------------------------------------------------------------------------------------------------- */

/* Texts met before in a list; a list may be long. */
static bool seen_before(json_t *set, const json_t *value)
{
    char *text = json_canonical(value);
    bool seen = json_object_get(set, text);
    json_object_set_new(set, text, json_true());
    free(text);
    return seen;
}

static struct status list_values(struct load *l, struct load_axis *axis, const struct node *n)
{
    axis->axis.values = arena_alloc(l->a, (size_t)n->n * sizeof *axis->axis.values);
    json_t *set = json_object();
    struct status st = ok();
    for (const struct node *e = n->child; e && st.code == STATUS_OK; e = e->next) {
        struct spec_value *v = &axis->axis.values[axis->axis.n];
        v->mark = e->mark;
        st = load_value(&v->value, l, axis->key, e, true);
        if (st.code == STATUS_OK) axis->axis.n++;
        if (st.code != STATUS_OK) l->bad[axis->key - key_table] = true;
        if (st.code == STATUS_OK && seen_before(set, v->value))
            st = node_fail(e, "%s: %s is given twice in this axis", axis->axis.key, node_describe(l->a, e));
        st = spec_note(l->mistakes, st);
    }
    json_decref(set);
    return st;
}

/* An axis as written: its alternatives, how they are spaced, and the cells that it applies to. */
struct form {
    const struct load_range *range;
    const struct node *values, *when;
};

static bool is_form(const struct node *n)
{
    for (const struct node *e = n->kind == NODE_MAP ? n->child : NULL; e; e = e->next) {
        const char *name = e->key->text;
        if (strcmp(name, "values") == 0 || load_range_of(name)) return true;
    }
    return false;
}

static struct status read_form(struct form *out, const char *path, const struct node *n)
{
    *out = (struct form){.values = n};
    if (!is_form(n)) return ok();
    out->values = NULL;
    for (const struct node *e = n->child; e; e = e->next) {
        const char *name = e->key->text;
        const struct load_range *g = load_range_of(name);
        if (strcmp(name, "when") == 0) {
            out->when = e;
        } else if (!g && strcmp(name, "values") != 0) {
            return node_fail(e->key, "axes: %s: got \"%s\", expected values, log, linspace or range, and when", path,
                             name);
        } else if (out->values) {
            return node_fail(e->key, "axes: %s: got %s beside %s; keep one", path, name, out->values->key->text);
        } else {
            out->values = e;
            out->range = g;
        }
    }
    return ok();
}

static struct status one_axis(struct load *l, const char *path, const struct node *n)
{
    const struct key *k = key_find_loose(path);
    bool section = key_is_section(path);
    if (section && n->kind == NODE_MAP && !is_form(n)) return load_axes(l, path, n);
    struct form f;
    TRY(read_form(&f, path, n));
    bool maps = f.values->kind == NODE_LIST && f.values->child && f.values->child->kind == NODE_MAP;
    if (maps && (section || !k)) return compound_axis(l, path, section ? path : "", f.values, f.when);
    if (!k) return node_fail(n->key ? n->key : n, "axes: %s: no such key%s", path, key_hint(l->a, path));
    if (!f.range && f.values->kind != NODE_LIST)
        return load_wrong(l, f.values, k->path, "a list of alternatives, {log: ...}, {linspace: ...} or {range: ...}");
    if (!f.range && !f.values->n) return load_wrong(l, f.values, k->path, "at least one alternative");
    if (f.values->n > LOAD_MAX_VALUES)
        return node_fail(f.values, "axes: %s: got %d alternatives, expected at most %d", path, f.values->n,
                         LOAD_MAX_VALUES);
    struct load_axis axis = {.axis = {.key = k->path}, .key = k, .node = n, .layer = l->layer};
    TRY(f.range ? load_range_values(l, &axis, f.range, f.values) : list_values(l, &axis, f.values));
    if (f.when) TRY(load_match(&axis.axis.when, l, "when", f.when));
    return axis.axis.n ? add_axis(l, &axis) : ok(); /* none is right: they are noted */
}

struct status load_axes(struct load *l, const char *rest, const struct node *n)
{
    if (*rest && (!key_is_section(rest) || n->kind != NODE_MAP || is_form(n))) return one_axis(l, rest, n);
    if (node_is_null(n)) return ok();
    if (n->kind != NODE_MAP) return load_wrong(l, n, "axes", "a map of key: list of alternatives");
    for (const struct node *e = n->child; e; e = e->next) NOTE(l, one_axis(l, load_join(l, rest, e->key->text), e));
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
        struct status s = load_value(&value, l, k, e, true);
        if (s.code == STATUS_OK) json_object_set(x->values[i].value, k->path, value);
        NOTE(l, s);
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
        bool only = true; /* there is nothing but `when` */
        for (const struct node *c = e->child; c; c = c->next) {
            bool when = strcmp(c->key->text, "when") == 0;
            NOTE(l, when ? load_match(&axis.axis.when, l, "when", c) : load_walk(l, c->key->text, c, &v));
            only = only && when;
        }
        if (only) NOTE(l, load_wrong(l, e, "zip", "a map of key: list"));
        if (axis.axis.n) NOTE(l, add_axis(l, &axis));
    }
    return ok();
}

/* ---- seeds ----------------------------------------------------------------------------------------------------- */

struct status load_seeds(struct load *l, const char *rest, const struct node *n)
{
    if (*rest) return node_fail(n->key, "seeds.%s: no such key; seeds is a number", rest);
    const struct key *k = key_find("seed");
    struct load_axis axis = {.axis = {.key = k->path, .seeds = true}, .key = k, .node = n, .layer = l->layer};
    json_t *j = node_json(n);
    int64_t count = json_is_integer(j) ? json_integer_value(j) : 0;
    json_decref(j);
    if (count < 1 || count > LOAD_MAX_SEEDS)
        return load_wrong(l, n, "seeds", "how many: a whole number from 1 to 1000; axes.seed lists them");
    axis.axis.values = arena_alloc(l->a, (size_t)count * sizeof *axis.axis.values);
    while (axis.axis.n < count) {
        json_t *seed = json_integer(axis.axis.n);
        json_array_append_new(l->s->owned, seed);
        axis.axis.values[axis.axis.n++] = (struct spec_value){.value = seed, .mark = n->mark};
    }
    return add_axis(l, &axis);
}
