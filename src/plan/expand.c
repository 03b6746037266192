/* Axes to cells: patterns become the zoo's names, then the product is taken or a sample drawn; rules drop what they
   exclude. */
#include "inside.h"
#include "zoo.h"

/* Keys whose value names something of the zoo. */
static const struct {
    const char *key, *what;
    const char *const *(*names)(void);
} named[] = {
    {"model.arch", "architecture", zoo_arch_names},
    {"model.backbone", "backbone", zoo_backbone_names},
    {"loss.network", "backbone", zoo_backbone_names},
};

/* What other collections call a net of the zoo, where no nearness of letters would find it. */
static const struct {
    const char *theirs, *ours;
} called[] = {
    {"mobilenet_v3_large", "mobilenetv3_large_100"},
    {"mobilenet_v3_small", "mobilenetv3_small_100"},
    {"mobilenet", "mobilenet_v2"},
    {"mobileone", "mobileone_s0"},
    {"efficientnet", "efficientnet-b0"},
    {"efficientnet_lite0", "tf_efficientnet_lite0"},
    {"regnet", "regnety_002"},
    {"deeplab", "deeplabv3"},
    {"feature_pyramid_network", "fpn"},
    {"nested_unet", "unetplusplus"},
};

/* The name that was meant, or NULL. Prefixes say whose a net is ("timm-", "tu-"), not which. */
static const char *meant(const char *got, const char *const *names)
{
    static const char *const prefixes[] = {"timm-", "tu-", "timm/", "torchvision/"};
    for (size_t i = 0; i < LEN(prefixes); i++)
        if (strncmp(got, prefixes[i], strlen(prefixes[i])) == 0) got += strlen(prefixes[i]);
    for (size_t i = 0; i < LEN(called); i++) {
        if (!str_same_name(called[i].theirs, got)) continue;
        for (int k = 0; names[k]; k++)
            if (strcmp(names[k], called[i].ours) == 0) return names[k];
    }
    return str_nearest(got, names);
}

/* A name, or a pattern that fits some. */
static struct status check_name(size_t which, const char *got, const char *where)
{
    const char *const *names = named[which].names();
    bool pattern = spec_is_pattern(got);
    for (int i = 0; names[i]; i++)
        if (pattern ? str_glob(got, names[i]) : strcmp(names[i], got) == 0) return ok();
    if (pattern)
        return fail(STATUS_ARG, "%s: %s: the pattern \"%s\" matches no %s of the zoo; `sweep zoo ls` lists them", where,
                    named[which].key, got, named[which].what);
    const char *near = meant(got, names);
    return fail(STATUS_ARG, "%s: %s: got \"%s\", which is no %s of the zoo%s%s%s; `sweep zoo ls` lists them", where,
                named[which].key, got, named[which].what, near ? "; did you mean \"" : "", near ? near : "",
                near ? "\"?" : "");
}

/* ---- names ------------------------------------------------------------------------------------------------------ */

static struct status check_match(const json_t *match, const char *where, json_t *mistakes)
{
    for (size_t i = 0; i < LEN(named); i++) {
        const json_t *v = json_object_get(match, named[i].key);
        for (size_t k = 0; k < json_array_size(v); k++)
            TRY(spec_note(mistakes, check_name(i, json_string_value(json_array_get(v, k)), where)));
        if (json_is_string(v)) TRY(spec_note(mistakes, check_name(i, json_string_value(v), where)));
    }
    return ok();
}

struct status plan_check_names(const struct spec *s, struct arena *a, json_t *mistakes)
{
    for (size_t i = 0; i < LEN(named); i++) {
        const char *got = json_str(s->base, named[i].key, NULL);
        if (got) TRY(spec_note(mistakes, check_name(i, got, spec_mark_str(a, spec_mark_of(s, named[i].key)))));
    }
    for (int i = 0; i < s->n_rules; i++) {
        const char *where = spec_mark_str(a, s->rules[i].mark);
        TRY(check_match(s->rules[i].match, where, mistakes));
        TRY(check_match(s->rules[i].when, where, mistakes));
    }
    for (int i = 0; i < s->n_order; i++)
        TRY(check_match(s->order[i]->when, spec_mark_str(a, s->order[i]->values[0].mark), mistakes));
    return ok();
}

/* Appends the maps that one alternative means for one of its keys: itself, or one a name that its pattern fits. */
static struct status expand_name(json_t *list, json_t *map, size_t which, const char *where)
{
    const char *text = json_str(map, named[which].key, NULL);
    struct status st = text ? check_name(which, text, where) : ok();
    if (st.code != STATUS_OK) {
        json_array_append(list, map); /* its other names are looked at, too */
        return st;
    }
    if (!text || !spec_is_pattern(text)) {
        json_array_append(list, map);
        return ok();
    }
    const char *const *names = named[which].names();
    for (int i = 0; names[i]; i++) {
        if (!str_glob(text, names[i])) continue;
        json_t *one = json_copy(map);
        json_object_set_new(one, named[which].key, json_string(names[i]));
        json_array_append_new(list, one);
    }
    return ok();
}

/* One alternative as maps of keys without patterns. Owner: the caller, also after a failure. */
static struct status expand_value(json_t **out, const struct spec_axis *x, const struct spec_value *v,
                                  const char *where, json_t *mistakes)
{
    bool map = json_is_object(v->value); /* no key's own value is one */
    json_t *todo = json_array();
    json_array_append_new(todo, map ? json_copy(v->value) : json_pack("{s:O}", x->key, v->value));
    struct status st = ok();
    for (size_t k = 0; k < LEN(named) && st.code == STATUS_OK; k++) {
        json_t *next = json_array();
        for (size_t j = 0; j < json_array_size(todo) && st.code == STATUS_OK; j++)
            st = spec_note(mistakes, expand_name(next, json_array_get(todo, j), k, where));
        json_decref(todo);
        todo = next;
    }
    *out = todo;
    return st;
}

/* One axis as a list of maps; a name met twice (by two patterns) stays once. Owner: the caller. */
static struct status expand_axis(json_t **out, const struct spec_axis *x, struct arena *a, json_t *mistakes)
{
    json_t *list = json_array(), *seen = json_object();
    struct status st = ok();
    *out = list;
    for (int i = 0; i < x->n && st.code == STATUS_OK; i++) {
        json_t *maps;
        st = expand_value(&maps, x, &x->values[i], spec_mark_str(a, x->values[i].mark), mistakes);
        for (size_t j = 0; j < json_array_size(maps) && st.code == STATUS_OK; j++) {
            json_t *map = json_array_get(maps, j);
            char *text = json_canonical(map);
            if (!json_object_get(seen, text)) json_array_append(list, map);
            json_object_set_new(seen, text, json_true());
            free(text);
        }
        json_decref(maps);
    }
    json_decref(seen);
    return st;
}

/* ---- cells ------------------------------------------------------------------------------------------------------ */

static struct spec_cell cell_of(const struct plan_expand *e, const json_t *axes)
{
    return (struct spec_cell){{axes, e->s->base, e->defaults}};
}

bool plan_applies(const struct plan_expand *e, int axis, const json_t *axes)
{
    struct spec_cell cell = cell_of(e, axes);
    return spec_matches(e->s->order[axis]->when, &cell);
}

bool plan_keep_cell(struct plan_expand *e, const json_t *axes)
{
    struct spec_cell cell = cell_of(e, axes);
    struct plan_cells *out = e->out;
    int rule = e->s->n_rules ? spec_dropped_by(e->s, &cell) : -1;
    if (rule >= 0) {
        out->excluded[rule]++;
        out->n_excluded++;
        return false;
    }
    if (out->n == e->cap) {
        e->cap = e->cap ? 2 * e->cap : 64;
        out->v = mem_realloc(out->v, sizeof *out->v * (size_t)e->cap);
    }
    struct plan_point *p = &out->v[out->n++];
    p->axes = json_copy((json_t *)(uintptr_t)axes);
    p->flat = json_copy(e->s->base);
    json_object_update(p->flat, p->axes);
    return true;
}

/* All cells from axis i on, the last axis turning fastest. Axes that the cell does not have are passed over. */
static struct status product(struct plan_expand *e, int i, json_t *axes)
{
    if (i == e->s->n_order) {
        plan_keep_cell(e, axes);
        return e->out->n + e->out->n_excluded <= PLAN_MAX_CELLS
                   ? ok()
                   : fail(STATUS_ARG, "%s: axes: more than a million cells; narrow them, or draw some with sample: N",
                          e->s->path);
    }
    if (!plan_applies(e, i, axes)) return product(e, i + 1, axes);
    for (size_t v = 0; v < json_array_size(e->axes[i]); v++) {
        json_t *with = json_copy(axes);
        json_object_update(with, json_array_get(e->axes[i], v));
        struct status st = product(e, i + 1, with);
        json_decref(with);
        TRY(st);
    }
    return ok();
}

/* Refused before it is counted out: what the axes that every cell has multiply to. */
static struct status check_product(const struct plan_expand *e)
{
    double total = 1;
    for (int i = 0; i < e->s->n_order; i++)
        if (!e->s->order[i]->when) total *= (double)json_array_size(e->axes[i]);
    return total <= PLAN_MAX_CELLS ? ok()
                                   : fail(STATUS_ARG,
                                          "%s: axes: their product has %.3g cells, expected at most a million; "
                                          "narrow them, or draw some with sample: N",
                                          e->s->path, total);
}

static json_t *defaults(struct arena *a)
{
    struct spec_trial t;
    struct status st = spec_trial_from_json(&t, a, NULL, "defaults");
    CHECK(st.code == STATUS_OK, "%s", st.msg);
    return spec_trial_to_json(&t, SPEC_ALL);
}

struct status plan_expand(struct plan_cells *out, const struct spec *s, struct arena *a, json_t *mistakes)
{
    *out = (struct plan_cells){.excluded = mem_zalloc(sizeof(int) * (size_t)(s->n_rules + 1))};
    struct plan_expand e = {.s = s, .out = out, .defaults = defaults(a)};
    struct status st = ok();
    e.axes = mem_zalloc(sizeof(json_t *) * (size_t)(s->n_order + 1));
    for (int i = 0; i < s->n_order && st.code == STATUS_OK; i++) st = expand_axis(&e.axes[i], s->order[i], a, mistakes);
    json_t *none = json_object();
    bool right = st.code == STATUS_OK && !json_array_size(mistakes);
    if (right && s->sample.n) {
        st = plan_sample(&e);
    } else if (right) {
        st = check_product(&e);
        if (st.code == STATUS_OK) st = product(&e, 0, none);
    }
    json_decref(none);
    for (int i = 0; i < s->n_order; i++) json_decref(e.axes[i]);
    free(e.axes);
    json_decref(e.defaults);
    return st;
}

void plan_cells_free(struct plan_cells *c)
{
    for (int i = 0; i < c->n; i++) {
        json_decref(c->v[i].flat);
        json_decref(c->v[i].axes);
    }
    free(c->v);
    free(c->excluded);
}
