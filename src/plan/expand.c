/* Axes to cells: patterns become the zoo's names, the product is taken, rules drop what they exclude. */
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

static struct status check_name(size_t which, const char *got, const char *where)
{
    const char *const *names = named[which].names();
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], got) == 0) return ok();
    const char *near = str_nearest(got, names);
    return fail(STATUS_ARG, "%s: %s: got \"%s\", which is no %s of the zoo%s%s%s; `sweep zoo ls` lists them", where,
                named[which].key, got, named[which].what, near ? "; did you mean \"" : "", near ? near : "",
                near ? "\"?" : "");
}

static int find_named(const char *key)
{
    for (size_t i = 0; i < LEN(named); i++)
        if (strcmp(named[i].key, key) == 0) return (int)i;
    return -1;
}

/* Appends the names that one alternative means for one of its keys. */
static struct status expand_name(json_t *list, json_t *map, const char *key, size_t which, const char *where)
{
    const char *text = json_string_value(json_object_get(map, key));
    if (!text || !spec_is_pattern(text)) {
        if (text) TRY(check_name(which, text, where));
        json_array_append(list, map);
        return ok();
    }
    const char *const *names = named[which].names();
    size_t before = json_array_size(list);
    for (int i = 0; names[i]; i++) {
        if (!str_glob(text, names[i])) continue;
        json_t *one = json_copy(map);
        json_object_set_new(one, key, json_string(names[i]));
        json_array_append_new(list, one);
    }
    return json_array_size(list) > before
               ? ok()
               : fail(STATUS_ARG, "%s: %s: the pattern \"%s\" matches no %s of the zoo; `sweep zoo ls` lists them",
                      where, key, text, named[which].what);
}

/* One axis as a list of maps, patterns expanded; a name met twice (by two patterns) stays once. */
static struct status expand_axis(json_t **out, const struct spec_axis *x, struct arena *a)
{
    json_t *list = json_array();
    *out = list;
    for (int i = 0; i < x->n; i++) {
        const char *where = spec_mark_str(a, x->values[i].mark);
        json_t *v = x->values[i].value;
        json_t *todo = json_array();
        bool map = json_is_object(v) && find_named(x->key) < 0;
        json_array_append_new(todo, map ? json_copy(v) : json_pack("{s:O}", x->key, v));
        for (size_t k = 0; k < LEN(named); k++) {
            json_t *next = json_array();
            struct status st = ok();
            for (size_t j = 0; j < json_array_size(todo) && st.code == STATUS_OK; j++)
                st = expand_name(next, json_array_get(todo, j), named[k].key, k, where);
            json_decref(todo);
            todo = next;
            if (st.code != STATUS_OK) {
                json_decref(todo);
                return st;
            }
        }
        for (size_t j = 0; j < json_array_size(todo); j++) {
            bool seen = false;
            for (size_t k = 0; k < json_array_size(list) && !seen; k++)
                seen = json_equal(json_array_get(list, k), json_array_get(todo, j));
            if (!seen) json_array_append(list, json_array_get(todo, j));
        }
        json_decref(todo);
    }
    return ok();
}

struct status plan_check_names(const struct spec *s, struct arena *a)
{
    for (size_t i = 0; i < LEN(named); i++) {
        const char *got = json_str(s->base, named[i].key, NULL);
        if (got) TRY(check_name(i, got, spec_mark_str(a, spec_mark_of(s, named[i].key))));
    }
    return ok();
}

struct status plan_expand(struct plan_point **out, int *n, const struct spec *s, struct arena *a)
{
    int n_axes = s->n_axes + s->n_zips;
    json_t **axes = mem_zalloc(sizeof(json_t *) * (size_t)(n_axes + 1));
    struct status st = ok();
    size_t total = 1;
    for (int i = 0; i < n_axes && st.code == STATUS_OK; i++) {
        st = expand_axis(&axes[i], i < s->n_axes ? &s->axes[i] : &s->zips[i - s->n_axes], a);
        if (st.code == STATUS_OK && total > 10000000 / (json_array_size(axes[i]) + 1))
            st = fail(STATUS_ARG, "%s: axes: their product has more than 10 million cells; narrow them", s->path);
        total *= json_array_size(axes[i]);
    }
    *out = NULL;
    *n = 0;
    if (st.code == STATUS_OK) {
        *out = mem_zalloc(sizeof **out * (total + 1));
        *n = (int)total;
        for (size_t c = 0; c < total; c++) { /* the last axis turns fastest */
            struct plan_point *p = &(*out)[c];
            p->flat = json_copy(s->base);
            p->axes = json_object();
            size_t rest = c, span = total;
            for (int i = 0; i < n_axes; i++) {
                span /= json_array_size(axes[i]);
                json_t *map = json_array_get(axes[i], rest / span);
                rest %= span;
                json_object_update(p->axes, map);
            }
            json_object_update(p->flat, p->axes);
        }
    }
    for (int i = 0; i < n_axes; i++) json_decref(axes[i]);
    free(axes);
    return st;
}
