/* sample: how many cells are drawn, and how. */
#include "load.h"

const char *const load_methods[] = {[SPEC_RANDOM] = "random", [SPEC_SOBOL] = "sobol", NULL};

static bool whole(int64_t *out, const struct node *n, int64_t lo, int64_t hi)
{
    json_t *j = node_json(n);
    bool good = json_is_integer(j) && json_integer_value(j) >= lo && json_integer_value(j) <= hi;
    *out = json_integer_value(j);
    json_decref(j);
    return good;
}

static struct status set_n(struct load *l, struct spec_sample *s, const struct node *n)
{
    int64_t v;
    if (!whole(&v, n, 1, 1000000))
        return load_wrong(l, n, "sample.n", "how many cells: a whole number from 1 to 1000000");
    s->n = (int)v;
    return ok();
}

static struct status set_seed(struct load *l, struct spec_sample *s, const struct node *n)
{
    if (!whole(&s->seed, n, 0, 9007199254740991)) return load_wrong(l, n, "sample.seed", "a whole number 0 or more");
    return ok();
}

static struct status set_method(struct load *l, struct spec_sample *s, const struct node *n)
{
    for (int i = 0; load_methods[i] && n->kind == NODE_SCALAR; i++) {
        if (strcmp(load_methods[i], n->text) != 0) continue;
        s->method = (enum spec_method)i;
        return ok();
    }
    return load_wrong(l, n, "sample.method", "one of random, sobol");
}

static const struct {
    const char *name;
    struct status (*set)(struct load *l, struct spec_sample *s, const struct node *n);
} members[] = {{"n", set_n}, {"seed", set_seed}, {"method", set_method}};

static struct status set_member(struct load *l, const char *name, const struct node *n)
{
    const char *names[LEN(members) + 1] = {NULL};
    for (size_t i = 0; i < LEN(members); i++) {
        if (strcmp(members[i].name, name) == 0) return members[i].set(l, &l->s->sample, n);
        names[i] = members[i].name;
    }
    const char *near = str_nearest(name, names);
    return node_fail(n->key, "sample.%s: no such key, expected n, seed or method%s%s%s", name,
                     near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

json_t *load_sample_schema(void)
{
    static const char n[] = SCHEMA({"type" : "integer", "minimum" : 1, "maximum" : 1000000});
    json_t *methods = json_array();
    for (int i = 0; load_methods[i]; i++) json_array_append_new(methods, json_string(load_methods[i]));
    json_t *seed = schema_of(SCHEMA({"type" : "integer", "minimum" : 0, "maximum" : 9007199254740991}));
    json_t *map = json_pack("{s:s,s:{s:o,s:o,s:{s:o}},s:[s],s:b}", "type", "object", "properties", "n", schema_of(n),
                            "seed", seed, "method", "enum", methods, "required", "n", "additionalProperties", 0);
    return json_pack("{s:[o,o,{s:s}]}", "anyOf", schema_of(n), map, "type", "null");
}

struct status load_sample(struct load *l, const char *rest, const struct node *n)
{
    struct spec_sample *s = &l->s->sample;
    if (*rest) return set_member(l, rest, n); /* one of its keys; the others stay */
    *s = (struct spec_sample){.mark = n->mark};
    if (node_is_null(n)) return ok();
    if (n->kind == NODE_SCALAR) return set_n(l, s, n);
    if (n->kind != NODE_MAP) return load_wrong(l, n, "sample", "how many cells, or a map of n, seed and method");
    for (const struct node *e = n->child; e; e = e->next) NOTE(l, set_member(l, e->key->text, e));
    return s->n || json_array_size(l->mistakes) ? ok() : node_fail(n, "sample: got no n, expected how many cells");
}
