/* include and exclude: which cells of the product are run. And what can be asked of a loaded experiment. */
#include "load.h"

/* A list is the value itself where the key's value is a list, else alternatives. */
static bool is_list_key(const struct key *k)
{
    return k->type == KEY_NUMBERS || k->type == KEY_NAMES || k->type == KEY_SIZE || k->type == KEY_AUGMENT;
}

bool spec_is_pattern(const char *text)
{
    return text && strpbrk(text, "*?[");
}

static struct status match_value(json_t **out, struct load *l, const struct key *k, const struct node *n)
{
    if (n->kind != NODE_SCALAR || !spec_is_pattern(n->text)) return load_value(out, l, k, n, true);
    if (k->type != KEY_TEXT && k->type != KEY_CHOICE)
        return load_wrong(l, n, k->path, "no pattern: its values are not names");
    *out = json_string(n->text);
    json_array_append_new(l->s->owned, *out);
    return ok();
}

static struct status collect_match(struct load *l, void *ctx, const struct key *k, const struct node *n)
{
    json_t *match = ctx, *value = NULL;
    if (json_object_get(match, k->path)) return node_fail(n->key, "%s: given twice in one rule; keep one", k->path);
    if (is_list_key(k) || n->kind != NODE_LIST) {
        TRY(match_value(&value, l, k, n));
        json_object_set(match, k->path, value);
        return ok();
    }
    json_t *any = json_array();
    json_object_set_new(match, k->path, any);
    for (const struct node *e = n->child; e; e = e->next) {
        struct status s = match_value(&value, l, k, e);
        if (s.code == STATUS_OK) json_array_append(any, value);
        NOTE(l, s);
    }
    return ok();
}

struct status load_match(json_t **out, struct load *l, const char *name, const struct node *n)
{
    *out = json_object();
    json_array_append_new(l->s->owned, *out);
    const struct load_visit v = {.key = collect_match, .ctx = *out, .loose = true};
    if (n->kind != NODE_MAP || !n->n) return load_wrong(l, n, name, "a map of key: value");
    return load_walk_map(l, "", n, &v);
}

/* Its keys, and `when` beside them. */
static struct status read_rule(struct spec_rule *out, struct load *l, const char *name, const struct node *n)
{
    out->match = json_object();
    json_array_append_new(l->s->owned, out->match);
    const struct load_visit v = {.key = collect_match, .ctx = out->match, .loose = true};
    if (n->kind != NODE_MAP || !n->n) return load_wrong(l, n, name, "a map of key: value");
    bool only = true; /* there is nothing but `when` */
    for (const struct node *e = n->child; e; e = e->next) {
        bool when = strcmp(e->key->text, "when") == 0;
        NOTE(l, when ? load_match(&out->when, l, "when", e) : load_walk(l, e->key->text, e, &v));
        only = only && when;
    }
    return !only ? ok() : load_wrong(l, n, name, "a key: value beside when");
}

static void drop_rules(struct load *l, bool include)
{
    int kept = 0;
    for (int i = 0; i < l->n_rules; i++) {
        if (l->rules[i].rule.include != include || l->rules[i].layer == l->layer) l->rules[kept++] = l->rules[i];
    }
    l->n_rules = kept;
}

static struct status take_rules(struct load *l, const char *rest, const struct node *n, bool include)
{
    const char *name = include ? "include" : "exclude";
    if (*rest) return node_fail(n->key, "%s.%s: no such key; %s is a list of maps of key: value", name, rest, name);
    drop_rules(l, include);
    if (node_is_null(n)) return ok();
    if (n->kind == NODE_SCALAR) return load_wrong(l, n, name, "a list of maps of key: value");
    for (const struct node *e = n->kind == NODE_LIST ? n->child : n; e; e = n->kind == NODE_LIST ? e->next : NULL) {
        struct spec_rule rule = {.mark = e->mark, .include = include};
        NOTE(l, read_rule(&rule, l, name, e));
        l->rules = load_grow(l, l->rules, l->n_rules, &l->cap_rules, sizeof *l->rules);
        l->rules[l->n_rules].rule = rule;
        l->rules[l->n_rules++].layer = l->layer;
    }
    return ok();
}

struct status load_include(struct load *l, const char *rest, const struct node *n)
{
    return take_rules(l, rest, n, true);
}

struct status load_exclude(struct load *l, const char *rest, const struct node *n)
{
    return take_rules(l, rest, n, false);
}

void load_finish_rules(struct load *l)
{
    l->s->rules = arena_alloc(l->a, (size_t)(l->n_rules + 1) * sizeof *l->s->rules);
    for (int i = 0; i < l->n_rules; i++) l->s->rules[l->s->n_rules++] = l->rules[i].rule;
}

/* ---- asking ---------------------------------------------------------------------------------------------------- */

static bool value_matches(const json_t *want, const json_t *got)
{
    if (json_is_array(want) && !json_is_array(got)) {
        for (size_t i = 0; i < json_array_size(want); i++) {
            if (value_matches(json_array_get(want, i), got)) return true;
        }
        return false;
    }
    if (json_is_string(want) && json_is_string(got)) return str_glob(json_string_value(want), json_string_value(got));
    return json_equal(want, got);
}

static const json_t *cell_value(const struct spec_cell *cell, const char *key)
{
    for (size_t i = 0; i < LEN(cell->layer); i++) {
        const json_t *v = json_object_get(cell->layer[i], key);
        if (v) return v;
    }
    return NULL;
}

bool spec_matches(const json_t *match, const struct spec_cell *cell)
{
    const char *key;
    json_t *want;
    json_object_foreach((json_t *)(uintptr_t)match, key, want)
    {
        if (!value_matches(want, cell_value(cell, key))) return false;
    }
    return true;
}

int spec_dropped_by(const struct spec *s, const struct spec_cell *cell)
{
    bool asked = false, included = false;
    for (int i = 0; i < s->n_rules; i++) {
        const struct spec_rule *r = &s->rules[i];
        if (!spec_matches(r->when, cell)) continue;
        bool matches = spec_matches(r->match, cell);
        if (matches && !r->include) return i;
        asked = asked || r->include;
        included = included || (matches && r->include);
    }
    return asked && !included ? s->n_rules : -1;
}

struct spec_mark spec_mark_of(const struct spec *s, const char *key)
{
    for (int i = 0; i < s->n_fixed; i++) {
        if (strcmp(s->fixed[i].key, key) == 0) return s->fixed[i].mark;
    }
    for (int i = 0; i < s->n_axes; i++) {
        if (strcmp(s->axes[i].key, key) == 0 && s->axes[i].n) return s->axes[i].values[0].mark;
    }
    return (struct spec_mark){.file = s->path};
}

static json_t *axes_json(const struct spec_axis *axes, int n)
{
    json_t *out = json_array();
    for (int i = 0; i < n; i++) {
        const struct spec_axis *x = &axes[i];
        json_t *values = json_array();
        for (int j = 0; j < x->n; j++) json_array_append(values, x->values[j].value);
        const char *kind = !x->interval ? "values" : x->log ? "log" : "linspace";
        json_array_append_new(out, json_pack("{s:s,s:o,s:O*}", "key", x->key, kind, values, "when", x->when));
    }
    return out;
}

static json_t *rules_json(const struct spec *s, bool include)
{
    json_t *out = json_array();
    for (int i = 0; i < s->n_rules; i++) {
        if (s->rules[i].include != include) continue;
        json_t *rule = json_copy(s->rules[i].match);
        if (s->rules[i].when) json_object_set(rule, "when", s->rules[i].when);
        json_array_append_new(out, rule);
    }
    return out;
}

json_t *spec_to_json(const struct spec *s)
{
    json_t *out = json_pack("{s:s,s:O,s:o,s:o,s:o,s:o}", "name", s->name, "base", s->base, "axes",
                            axes_json(s->axes, s->n_axes), "zip", axes_json(s->zips, s->n_zips), "include",
                            rules_json(s, true), "exclude", rules_json(s, false));
    if (s->sample.n)
        json_object_set_new(out, "sample",
                            json_pack("{s:i,s:I,s:s}", "n", s->sample.n, "seed", (json_int_t)s->sample.seed, "method",
                                      load_methods[s->sample.method]));
    return out;
}
