/* The configuration as a JSON Schema (draft 2020-12), from the key table, so that editors complete and check a file
   while it is written. It accepts every file that load.c accepts; what only the whole of a file shows (a key that is
   fixed and varied, lists of unequal length) it cannot refuse. A dotted path where nested maps are usual is checked by
   a pattern rather than named, so that an editor offers each key once. */
#include "load.h"

/* What a map of keys is for: it decides what stands behind a key. */
enum role {
    FIXED,     /* the document: the value */
    AXIS,      /* under axes: alternatives */
    TOGETHER,  /* one alternative of several keys: the value, or a pattern over names */
    ZIPPED,    /* under zip: a list of values */
    CONDITION, /* include, exclude, when: a value, a pattern, or a list of them */
};

struct schema {
    const json_t *names; /* of keys whose texts are known: {"model.arch": [...]} */
    struct arena a;
};

json_t *schema_of(const char *text)
{
    json_t *out = json_loads(text, 0, NULL);
    CHECK(out, "no JSON: %s", text);
    return out;
}

static json_t *ref(struct schema *s, const char *group, const char *name)
{
    return json_pack("{s:s}", "$ref", arena_printf(&s->a, "#/$defs/%s%s%s", group, *group ? " " : "", name));
}

static json_t *any_of(json_t *a, json_t *b)
{
    return json_pack("{s:[o,o]}", "anyOf", a, b);
}

static json_t *list_of(json_t *items, int min, int max)
{
    return json_pack("{s:s,s:o,s:i,s:i}", "type", "array", "items", items, "minItems", min, "maxItems", max);
}

/* ---- one key's value -------------------------------------------------------------------------------------------- */

static json_t *number(const struct key *k, bool whole)
{
    json_t *out = json_pack("{s:s}", "type", whole ? "integer" : "number");
    if (k->power) {
        json_t *powers = json_array();
        for (double v = k->lo; v <= k->hi; v *= 2) json_array_append_new(powers, json_integer((json_int_t)v));
        json_object_set_new(out, "enum", powers);
        return out;
    }
    const char *low = k->above ? "exclusiveMinimum" : "minimum", *high = k->below ? "exclusiveMaximum" : "maximum";
    json_object_set_new(out, low, whole ? json_integer((json_int_t)k->lo) : json_real(k->lo));
    json_object_set_new(out, high, whole ? json_integer((json_int_t)k->hi) : json_real(k->hi));
    return out;
}

static json_t *choice(const struct key *k)
{
    json_t *names = json_array();
    for (int i = 0; key_choice(k, i); i++)
        if (!k->table || !k->table->built || k->table->built(i))
            json_array_append_new(names, json_string(key_choice(k, i)));
    return json_pack("{s:o}", "enum", names);
}

static json_t *text(const struct schema *s, const struct key *k)
{
    json_t *names = json_object_get(s->names, k->path);
    return names ? json_pack("{s:O}", "enum", names)
                 : schema_of(SCHEMA({"type" : "string", "minLength" : 1, "maxLength" : 1000}));
}

static json_t *value(const struct schema *s, const struct key *k)
{
    switch (k->type) {
    case KEY_BOOL:
        return schema_of(SCHEMA({"type" : "boolean"}));
    case KEY_INT:
    case KEY_LONG:
        return number(k, true);
    case KEY_REAL:
    case KEY_OWN:
        return number(k, false);
    case KEY_TEXT:
        return text(s, k);
    case KEY_WORD:
    case KEY_CHOICE:
        return choice(k);
    case KEY_NUMBERS:
        return list_of(number(k, k->whole), k->min_n, k->max_n);
    case KEY_NAMES: {
        json_t *names = list_of(choice(k), k->min_n, k->max_n);
        json_object_set_new(names, "uniqueItems", json_true());
        return names;
    }
    case KEY_SIZE:
        return any_of(number(k, true), list_of(number(k, true), 2, 2));
    case KEY_SPLIT:
        return any_of(number(k, false), text(s, k));
    case KEY_AUGMENT:
        return list_of(augment_schema(), k->min_n, k->max_n);
    }
    return json_object();
}

/* With what 0 and null mean, the default, and the words of the documentation. */
static json_t *described(struct schema *s, const struct key *k)
{
    json_t *out = value(s, k);
    struct spec_trial t = {0};
    key_set_default(&t, k);
    if (k->zero) out = any_of(json_pack("{s:i,s:s}", "const", 0, "description", k->zero), out);
    if (k->null) out = any_of(out, json_pack("{s:s,s:s}", "type", "null", "description", k->null));
    json_object_set_new(out, "description",
                        json_string(arena_printf(&s->a, "%s: %s%s%s", k->doc, key_expected(&s->a, k),
                                                 k->unit ? "; unit: " : "", k->unit ? k->unit : "")));
    json_object_set_new(out, "default", key_get(&t, k));
    return out;
}

/* ---- what stands behind a key, by the map's role ----------------------------------------------------------------- */

static json_t *pattern(void)
{
    return schema_of(SCHEMA({"type" : "string", "pattern" : "[*?[]", "description" : "a pattern over names"}));
}

static json_t *or_pattern(struct schema *s, const struct key *k, bool patterns)
{
    return patterns ? any_of(ref(s, "", k->path), pattern()) : ref(s, "", k->path);
}

static bool is_list_key(const struct key *k)
{
    return k->type == KEY_NUMBERS || k->type == KEY_NAMES || k->type == KEY_SIZE || k->type == KEY_AUGMENT;
}

/* {log: ...}, {linspace: ...} and {range: ...} make one number an alternative. */
static bool takes_number(const struct key *k)
{
    return k->type == KEY_INT || k->type == KEY_LONG || k->type == KEY_REAL || k->type == KEY_OWN ||
           k->type == KEY_SIZE || k->type == KEY_SPLIT;
}

static json_t *values_form(json_t *values)
{
    return json_pack("{s:s,s:{s:o,s:{s:s}},s:[s],s:b}", "type", "object", "properties", "values", values, "when",
                     "$ref", "#/$defs/when", "required", "values", "additionalProperties", 0);
}

/* Alternatives as a list, or a form of them. */
static json_t *axis(json_t *values, bool numbers)
{
    json_t *out = any_of(json_incref(values), values_form(values));
    if (numbers) json_array_append_new(json_object_get(out, "anyOf"), schema_of(SCHEMA({"$ref" : "#/$defs/numbers"})));
    return out;
}

static json_t *key_axis(struct schema *s, const struct key *k)
{
    json_t *values = list_of(or_pattern(s, k, k->pattern), 1, LOAD_MAX_VALUES);
    json_object_set_new(values, "uniqueItems", json_true());
    json_t *out = axis(values, takes_number(k));
    json_object_set_new(out, "description", json_string(arena_printf(&s->a, "axis: %s", k->doc)));
    return out;
}

static json_t *condition(struct schema *s, const struct key *k)
{
    if (is_list_key(k)) return ref(s, "", k->path);
    json_t *one = or_pattern(s, k, k->type == KEY_TEXT || k->type == KEY_CHOICE);
    return any_of(json_incref(one), json_pack("{s:s,s:o}", "type", "array", "items", one));
}

static json_t *behind(struct schema *s, enum role role, const struct key *k)
{
    switch (role) {
    case FIXED:
        return ref(s, "", k->path);
    case AXIS:
        return ref(s, "axis", k->path);
    case TOGETHER:
        return or_pattern(s, k, k->pattern);
    case ZIPPED:
        return list_of(or_pattern(s, k, k->pattern), 1, LOAD_MAX_VALUES);
    case CONDITION:
        return ref(s, "condition", k->path);
    }
    return json_object();
}

/* ---- maps of keys ------------------------------------------------------------------------------------------------ */

static const char *escaped(struct schema *s, const char *path)
{
    struct str out = {0};
    for (; *path; path++) str_addf(&out, *path == '.' ? "\\%c" : "%c", *path);
    const char *text = arena_printf(&s->a, "^%s$", out.s);
    str_free(&out);
    return text;
}

struct map {
    json_t *properties, *patterns;
};

/* What stands behind a name; @p offered: an editor proposes it. */
static void add(struct map *m, struct schema *s, const char *name, json_t *v, bool offered)
{
    if (offered)
        json_object_set_new(m->properties, name, v);
    else
        json_object_set_new(m->patterns, escaped(s, name), v);
}

/* The part of a key's path below a section; the whole of it below none; NULL when it is not there. */
static const char *below(const struct key *k, const char *section)
{
    size_t n = strlen(section);
    if (!n) return k->path;
    return strncmp(k->path, section, n) == 0 && k->path[n] == '.' ? k->path + n + 1 : NULL;
}

static json_t *map_of(struct schema *s, enum role role, const char *section);

static json_t *together_list(struct schema *s, const char *section)
{
    return list_of(*section ? map_of(s, TOGETHER, section) : schema_of(SCHEMA({"$ref" : "#/$defs/together"})), 1,
                   LOAD_MAX_VALUES);
}

/* A section may be written as its main key's value; one that is empty has all its keys commented out. */
static json_t *section_of(struct schema *s, enum role role, const char *section)
{
    const struct key *main = key_find_loose(section);
    json_t *out = map_of(s, role, section);
    if (role != AXIS) json_object_set_new(out, "type", schema_of(SCHEMA([ "object", "null" ])));
    if (role == AXIS) out = any_of(out, axis(together_list(s, section), false));
    return main ? any_of(out, behind(s, role, main)) : out;
}

/* The sections that a key below @p section lies in, each once. */
static void add_sections(struct map *m, struct schema *s, enum role role, const char *section, const char *rest)
{
    for (const char *dot = strchr(rest, '.'); dot; dot = strchr(dot + 1, '.')) {
        const char *name = arena_printf(&s->a, "%.*s", (int)(dot - rest), rest);
        bool nested = strchr(name, '.');
        if (json_object_get(m->properties, name) || json_object_get(m->patterns, escaped(s, name))) continue;
        const char *path = *section ? arena_printf(&s->a, "%s.%s", section, name) : name;
        add(m, s, name, section_of(s, role, path), !nested);
    }
}

/* Where a key may be called by its last component alone. */
static void add_short(struct map *m, struct schema *s, enum role role, const struct key *k)
{
    const char *dot = strrchr(k->path, '.');
    if (dot && key_find_loose(dot + 1) == k) add(m, s, dot + 1, behind(s, role, k), false);
}

static json_t *map_of(struct schema *s, enum role role, const char *section)
{
    struct map m = {json_object(), json_object()};
    for (int i = 0; i < key_count; i++) {
        const struct key *k = &key_table[i];
        const char *rest = below(k, section);
        bool varies = role == AXIS || role == TOGETHER || role == ZIPPED;
        if (!rest || (k->fixed && varies)) continue;
        bool paths = role != FIXED && !*section; /* are what one writes there */
        add(&m, s, rest, behind(s, role, k), paths || !strchr(rest, '.'));
        add_sections(&m, s, role, section, rest);
        if (role != FIXED && !*section) add_short(&m, s, role, k);
    }
    return json_pack("{s:s,s:o,s:o,s:b}", "type", "object", "properties", m.properties, "patternProperties", m.patterns,
                     "additionalProperties", 0);
}

/* ---- the document ------------------------------------------------------------------------------------------------ */

/* A map that conditions stand in, and `when` beside them, which alone says nothing. */
static json_t *with_when(json_t *map)
{
    json_object_set_new(json_object_get(map, "properties"), "when", schema_of(SCHEMA({"$ref" : "#/$defs/when"})));
    json_object_set_new(map, "minProperties", json_integer(1));
    json_object_set_new(map, "not", schema_of(SCHEMA({"maxProperties" : 1, "required" : ["when"]})));
    return map;
}

static json_t *axes(struct schema *s)
{
    json_t *out = map_of(s, AXIS, "");
    json_object_set_new(out, "type", schema_of(SCHEMA([ "object", "null" ])));
    json_object_set_new(out, "additionalProperties", axis(together_list(s, ""), false)); /* a label of its own */
    return out;
}

static json_t *one_or_list(const char *def)
{
    json_t *one = json_pack("{s:s}", "$ref", def);
    return json_pack("{s:[O,{s:s,s:o},{s:s}]}", "anyOf", one, "type", "array", "items", one, "type", "null");
}

static json_t *defs(struct schema *s)
{
    json_t *out = json_object();
    for (int i = 0; i < key_count; i++) {
        const struct key *k = &key_table[i];
        json_object_set_new(out, k->path, described(s, k));
        json_object_set_new(out, arena_printf(&s->a, "axis %s", k->path), key_axis(s, k));
        json_object_set_new(out, arena_printf(&s->a, "condition %s", k->path), condition(s, k));
    }
    json_t *when = map_of(s, CONDITION, "");
    json_object_set_new(when, "minProperties", json_integer(1));
    json_object_set_new(when, "description", json_string("the cells that it is about"));
    json_object_set_new(out, "when", when);
    json_object_set_new(out, "rule", with_when(map_of(s, CONDITION, "")));
    json_object_set_new(out, "zipped", with_when(map_of(s, ZIPPED, "")));
    json_object_set_new(out, "together", map_of(s, TOGETHER, ""));
    json_object_set_new(out, "axes", axes(s));
    json_object_set_new(out, "numbers", load_range_schema());
    json_object_set_new(out, "sample", load_sample_schema());
    json_object_set_new(out, "slurm", load_slurm_schema());
    return out;
}

/* Keys of the document by their names in document_keys, which has their words. */
static json_t *document_value(const char *name)
{
    static const struct {
        const char *name, *schema;
    } plain[] = {
        {"name", SCHEMA({"type" : [ "string", "integer" ], "pattern" : "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$"})},
        {"extends", SCHEMA({
             "anyOf" : [
                 {"type" : "string", "minLength" : 1},
                 {"type" : "array", "items" : {"type" : "string", "minLength" : 1}}
             ]
         })},
        {"axes", SCHEMA({"$ref" : "#/$defs/axes"})},
        {"seeds", SCHEMA({"type" : "integer", "minimum" : 1, "maximum" : 1000})},
        {"sample", SCHEMA({"$ref" : "#/$defs/sample"})},
        {"slurm", SCHEMA({"$ref" : "#/$defs/slurm"})},
    };
    for (size_t i = 0; i < LEN(plain); i++)
        if (strcmp(plain[i].name, name) == 0) return schema_of(plain[i].schema);
    return one_or_list(strcmp(name, "zip") == 0 ? "#/$defs/zipped" : "#/$defs/rule");
}

json_t *spec_schema(const json_t *names)
{
    struct schema s = {.names = names};
    json_t *out = map_of(&s, FIXED, ""), *properties = json_object_get(out, "properties");
    json_t *patterns = json_object_get(out, "patternProperties");
    for (const struct document_key *d = document_keys; d->name; d++) {
        json_t *v = document_value(d->name);
        json_object_set_new(v, "description", json_string(d->doc));
        json_object_set_new(properties, d->name, v);
    }
    /* axes.KEY, sample.KEY and slurm.KEY beside each other, as --set writes them: known by their first part alone */
    json_object_set_new(patterns, "^(axes|sample|slurm)\\.[A-Za-z]", json_object());
    json_object_set_new(out, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
    json_object_set_new(out, "title", json_string("a sweep's configuration"));
    json_object_set_new(out, "$defs", defs(&s));
    arena_free(&s.a);
    return out;
}
