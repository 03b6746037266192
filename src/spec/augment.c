/* Augmentations: a list of one-entry maps, {flip: {p: 0.5}}, by a table of their options. */
#include "keys.h"
#include "node.h"

struct option {
    const char *name;
    size_t at;
    double lo, hi, def;
    bool pair; /* [low, high], both within lo..hi, in order */
    bool flag;
    const char *doc;
};

#define AT(member) offsetof(struct spec_augment, member)
enum { MAX_OPTIONS = 6 };

/* clang-format off */
static const struct kind {
    const char *name, *doc;
    struct option options[MAX_OPTIONS]; /* the first is p; ends with a NULL name */
} kinds[] = {
    [SPEC_FLIP] = {"flip", "mirrored left to right", {
        {.name = "p", .at = AT(p), .lo = 0, .hi = 1, .def = 0.5, .doc = "probability"}}},
    [SPEC_AFFINE] = {"affine", "turned, scaled and shifted, about the centre", {
        {.name = "p", .at = AT(p), .lo = 0, .hi = 1, .def = 1, .doc = "probability"},
        {.name = "rotate", .at = AT(rotate), .lo = 0, .hi = 180, .doc = "degrees, to either side"},
        {.name = "scale", .at = AT(scale), .lo = 0.1, .hi = 10, .def = 1, .pair = true, .doc = "factor, drawn from the range"},
        {.name = "translate", .at = AT(translate), .lo = 0, .hi = 1, .doc = "fraction of the side, to either side"}}},
    [SPEC_CROP] = {"crop", "a part cut out and resized", {
        {.name = "p", .at = AT(p), .lo = 0, .hi = 1, .def = 1, .doc = "probability"},
        {.name = "scale", .at = AT(scale), .lo = 0.1, .hi = 1, .def = 1, .pair = true, .doc = "fraction of the side kept, drawn from the range"}}},
    [SPEC_COLOR] = {"color", "colours changed, of the input only", {
        {.name = "p", .at = AT(p), .lo = 0, .hi = 1, .def = 1, .doc = "probability"},
        {.name = "brightness", .at = AT(brightness), .lo = 0, .hi = 1, .doc = "factor, +- about 1"},
        {.name = "contrast", .at = AT(contrast), .lo = 0, .hi = 1, .doc = "factor, +- about 1"},
        {.name = "saturation", .at = AT(saturation), .lo = 0, .hi = 1, .doc = "factor, +- about 1"},
        {.name = "hue", .at = AT(hue), .lo = 0, .hi = 0.5, .doc = "turn of the colour circle, +-"},
        {.name = "both", .at = AT(both), .flag = true, .doc = "of the target as well"}}},
};
/* clang-format on */

static const struct option *option_at(const struct kind *k, int i)
{
    return i < MAX_OPTIONS && k->options[i].name ? &k->options[i] : NULL;
}

static struct status wrong(const char *where, const json_t *got, const char *expected, const char *hint)
{
    struct arena a = {0};
    struct status s =
        fail(STATUS_ARG, "%s%sgot %s, expected %s%s", where, *where ? ": " : "", key_describe(&a, got), expected, hint);
    arena_free(&a);
    return s;
}

static struct status unknown(const char *where, const char *got, const char *const *names)
{
    struct str list = {0};
    struct arena a = {0};
    for (int i = 0; names[i]; i++) str_addf(&list, "%s%s", i ? ", " : "", names[i]);
    const char *near = str_nearest(got, names);
    struct status s =
        fail(STATUS_ARG, "%s%sgot %s, expected one of %s%s%s%s", where, *where ? ": " : "", node_quote(&a, got), list.s,
             near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    str_free(&list);
    arena_free(&a);
    return s;
}

static const struct kind *kind_find(const char *name)
{
    for (size_t i = 0; i < LEN(kinds); i++) {
        if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
    }
    return NULL;
}

static struct status unknown_kind(const char *got)
{
    const char *names[LEN(kinds) + 1] = {0};
    for (size_t i = 0; i < LEN(kinds); i++) names[i] = kinds[i].name;
    return unknown("", got, names);
}

static bool in_range(const struct option *o, const json_t *v)
{
    return json_is_number(v) && json_number_value(v) >= o->lo && json_number_value(v) <= o->hi;
}

/* The option's value, complete; its default when @p v is absent. */
static struct status check_option(json_t **out, const struct kind *k, const struct option *o, const json_t *v)
{
    char where[64], expected[120];
    snprintf(where, sizeof where, "%s.%s", k->name, o->name);
    if (o->flag) {
        if (v && !json_is_boolean(v)) return wrong(where, v, "true or false", "");
        *out = json_boolean(json_is_true(v));
        return ok();
    }
    if (o->pair) {
        snprintf(expected, sizeof expected, "[low, high] within %g to %g", o->lo, o->hi);
        const json_t *lo = json_array_get(v, 0), *hi = json_array_get(v, 1);
        bool good = json_array_size(v) == 2 && in_range(o, lo) && in_range(o, hi) &&
                    json_number_value(lo) <= json_number_value(hi);
        if (v && !good) return wrong(where, v, expected, "");
        *out = json_pack("[f,f]", v ? json_number_value(lo) : o->def, v ? json_number_value(hi) : o->def);
        return ok();
    }
    snprintf(expected, sizeof expected, "a number from %g to %g", o->lo, o->hi);
    if (v && !in_range(o, v)) return wrong(where, v, expected, "");
    *out = json_real(v ? json_number_value(v) : o->def);
    return ok();
}

static int index_of(const json_t *object, const char *key)
{
    int i = 0;
    for (void *it = json_object_iter((json_t *)(uintptr_t)object); it;
         it = json_object_iter_next((json_t *)(uintptr_t)object, it), i++) {
        if (strcmp(json_object_iter_key(it), key) == 0) return i;
    }
    return -1;
}

/* Every option of the kind, and no other. */
static struct status check_options(json_t *out, const struct kind *k, const json_t *given, struct key_spot *spot)
{
    const char *names[MAX_OPTIONS + 1] = {0};
    for (int i = 0; option_at(k, i); i++) names[i] = option_at(k, i)->name;
    for (int i = 0; option_at(k, i); i++) {
        json_t *value = NULL;
        const json_t *v = json_object_get(given, names[i]);
        struct status s = check_option(&value, k, option_at(k, i), v);
        if (s.code != STATUS_OK) {
            spot->index[2] = index_of(given, names[i]), spot->depth = 3;
            return s;
        }
        json_object_set_new(out, names[i], value);
    }
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)given, key, v)
    {
        if (json_object_get(out, key)) continue;
        spot->index[2] = index_of(given, key), spot->depth = 3, spot->at_key = true;
        return unknown(k->name, key, names);
    }
    return ok();
}

/* {flip: {p: 0.5}}, {flip: {}}, {flip: } or flip. */
static struct status check_entry(json_t **out, const json_t *entry, struct key_spot *spot)
{
    const char *name = json_string_value(entry);
    const json_t *given = NULL;
    if (json_is_object(entry) && json_object_size(entry) == 1) {
        void *it = json_object_iter((json_t *)(uintptr_t)entry);
        name = json_object_iter_key(it), given = json_object_iter_value(it);
        spot->depth = 2;
    }
    if (!name) return wrong("", entry, "a map of one augmentation, {flip: {p: 0.5}}", "");
    const struct kind *k = kind_find(name);
    spot->at_key = given && !k;
    if (!k) return unknown_kind(name);
    if (given && !json_is_object(given) && !json_is_null(given))
        return wrong(k->name, given, "a map of its options", "");
    json_t *options = json_object();
    struct status s = check_options(options, k, given, spot);
    if (s.code == STATUS_OK) *out = json_pack("{s:o}", k->name, options);
    if (s.code != STATUS_OK) json_decref(options);
    return s;
}

struct status augment_check(json_t **out, const json_t *v, struct key_spot *spot)
{
    json_t *list = json_array();
    for (int i = 0; i < (int)json_array_size(v); i++) {
        json_t *entry = NULL;
        *spot = (struct key_spot){.index = {i}, .depth = 1};
        struct status s = check_entry(&entry, json_array_get(v, (size_t)i), spot);
        if (s.code != STATUS_OK) {
            json_decref(list);
            return s;
        }
        json_array_append_new(list, entry);
    }
    *out = list;
    return ok();
}

void augment_set(struct spec_augment *out, const json_t *entry)
{
    *out = (struct spec_augment){.scale = {1, 1}};
    for (size_t i = 0; i < LEN(kinds); i++) {
        const json_t *given = json_object_get(entry, kinds[i].name);
        if (!given) continue;
        out->kind = (enum spec_augment_kind)i;
        for (int j = 0; option_at(&kinds[i], j); j++) {
            const struct option *o = option_at(&kinds[i], j);
            const json_t *v = json_object_get(given, o->name);
            char *p = (char *)out + o->at;
            if (o->flag) {
                *(bool *)(void *)p = json_is_true(v);
            } else if (o->pair) {
                for (size_t e = 0; e < 2; e++) ((double *)(void *)p)[e] = json_number_value(json_array_get(v, e));
            } else {
                *(double *)(void *)p = json_number_value(v);
            }
        }
    }
}

json_t *augment_get(const struct spec_augment *g)
{
    const struct kind *k = &kinds[g->kind];
    json_t *options = json_object();
    for (int i = 0; option_at(k, i); i++) {
        const struct option *o = option_at(k, i);
        const void *p = (const char *)g + o->at;
        const double *d = p;
        json_object_set_new(options, o->name,
                            o->flag   ? json_boolean(*(const bool *)p)
                            : o->pair ? json_pack("[f,f]", d[0], d[1])
                                      : json_real(*d));
    }
    return json_pack("{s:o}", k->name, options);
}

static json_t *option_schema(const struct option *o)
{
    if (o->flag) return json_pack("{s:s,s:s}", "type", "boolean", "description", o->doc);
    json_t *number = json_pack("{s:s,s:f,s:f}", "type", "number", "minimum", o->lo, "maximum", o->hi);
    if (o->pair)
        number = json_pack("{s:s,s:o,s:i,s:i}", "type", "array", "items", number, "minItems", 2, "maxItems", 2);
    json_object_set_new(number, "description", json_string(o->doc));
    return number;
}

json_t *augment_schema(void)
{
    json_t *names = json_array(), *maps = json_object();
    for (size_t i = 0; i < LEN(kinds); i++) {
        json_t *options = json_object();
        for (int j = 0; option_at(&kinds[i], j); j++)
            json_object_set_new(options, option_at(&kinds[i], j)->name, option_schema(option_at(&kinds[i], j)));
        json_array_append_new(names, json_string(kinds[i].name));
        json_object_set_new(maps, kinds[i].name,
                            json_pack("{s:[s,s],s:s,s:o,s:b}", "type", "object", "null", "description", kinds[i].doc,
                                      "properties", options, "additionalProperties", 0));
    }
    return json_pack("{s:[{s:o},{s:s,s:o,s:b,s:i,s:i}]}", "anyOf", "enum", names, "type", "object", "properties", maps,
                     "additionalProperties", 0, "minProperties", 1, "maxProperties", 1);
}

void augment_markdown(struct str *out)
{
    for (size_t i = 0; i < LEN(kinds); i++) {
        str_addf(out, "- `%s`: %s.", kinds[i].name, kinds[i].doc);
        for (int j = 0; option_at(&kinds[i], j); j++) {
            const struct option *o = option_at(&kinds[i], j);
            str_addf(out, "%s `%s` ", j ? "," : "", o->name);
            if (o->pair) {
                str_addf(out, "(%s; [low, high] within %g to %g; [%g, %g])", o->doc, o->lo, o->hi, o->def, o->def);
            } else if (o->flag) {
                str_addf(out, "(%s; false)", o->doc);
            } else {
                str_addf(out, "(%s; %g to %g; %g)", o->doc, o->lo, o->hi, o->def);
            }
        }
        str_add(out, "\n");
    }
}
