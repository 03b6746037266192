/* Numbers that a file names by their ends: {range: ...}, {log: ...}, {linspace: ...}. */
#include "load.h"
#include <math.h>

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

static const struct load_range ranges[] = {
    {.name = "log",
     .expected = "[low, high, n] or, to be sampled, [low, high]: 0 < low < high, n from 2 to 10000",
     .value = log_step,
     .positive = true,
     .counted = true},
    {.name = "linspace",
     .expected = "[low, high, n] or, to be sampled, [low, high]: low < high, n from 2 to 10000",
     .value = linear_step,
     .counted = true},
    {.name = "range",
     .expected = "[first, last, step]: first <= last, step > 0, at most 10000 values",
     .value = range_step},
};

const struct load_range *load_range_of(const char *name)
{
    for (size_t i = 0; i < LEN(ranges); i++) {
        if (strcmp(ranges[i].name, name) == 0) return &ranges[i];
    }
    return NULL;
}

static bool is_whole(const struct key *k)
{
    return k->type == KEY_INT || k->type == KEY_LONG;
}

json_t *load_range_schema(void)
{
    json_t *forms = json_array();
    for (size_t i = 0; i < LEN(ranges); i++) {
        json_t *end = schema_of(SCHEMA({"type" : "number"}));
        if (ranges[i].positive) json_object_set_new(end, "exclusiveMinimum", json_integer(0));
        json_t *third = json_deep_copy(end);
        json_object_set_new(third, ranges[i].counted ? "minimum" : "exclusiveMinimum",
                            json_integer(ranges[i].counted ? 2 : 0));
        if (ranges[i].counted) json_object_set_new(third, "type", json_string("integer"));
        json_t *list = schema_of(SCHEMA({"type" : "array", "maxItems" : 3}));
        json_object_set_new(list, "minItems", json_integer(ranges[i].counted ? 2 : 3));
        json_object_set_new(list, "prefixItems", json_pack("[O,O,o]", end, end, third));
        json_object_set_new(list, "description", json_string(ranges[i].expected));
        json_array_append_new(forms, json_pack("{s:s,s:{s:o,s:{s:s}},s:[s],s:b}", "type", "object", "properties",
                                               ranges[i].name, list, "when", "$ref", "#/$defs/when", "required",
                                               ranges[i].name, "additionalProperties", 0));
        json_decref(end);
    }
    return json_pack("{s:o}", "anyOf", forms);
}

/* A number as if it had been written: whole keys take the nearest, others as many digits as a person reads. */
static struct status number_value(json_t **out, struct load *l, const struct key *k, const struct node *n, double x,
                                  int digits)
{
    struct node *written = arena_alloc(l->a, sizeof *written);
    *written = (struct node){.kind = NODE_SCALAR, .mark = n->mark, .plain = true};
    written->text = is_whole(k) ? arena_printf(l->a, "%.0f", x) : arena_printf(l->a, "%.*g", digits, x);
    return load_value(out, l, k, written, false);
}

/* The three numbers, or two of an interval; false when they are none, or not within the range's rules. */
static bool read_numbers(double v[3], const struct load_range *g, const struct node *n)
{
    if (n->kind != NODE_LIST || (n->n != 3 && !(g->counted && n->n == 2))) return false;
    const struct node *e = n->child;
    v[2] = 2;
    for (int i = 0; i < n->n; i++, e = e->next) {
        json_t *j = node_json(e);
        bool number = json_is_number(j);
        v[i] = json_number_value(j);
        json_decref(j);
        if (!number) return false;
    }
    if (g->counted && v[2] > floor(v[2])) return false;
    return (v[0] < v[1] || (!g->counted && v[0] <= v[1])) && (!g->positive || v[0] > 0) && v[2] > 0;
}

struct status load_range_values(struct load *l, struct load_axis *axis, const struct load_range *g,
                                const struct node *n)
{
    double v[3] = {0};
    struct spec_axis *x = &axis->axis;
    bool good = read_numbers(v, g, n);
    double count = !good ? 0 : g->counted ? v[2] : floor((v[1] - v[0]) / v[2] * (1 + 1e-12)) + 1;
    if (!good || count < (g->counted ? 2 : 1) || count > LOAD_MAX_VALUES)
        return load_wrong(l, n, load_join(l, x->key, g->name), g->expected);
    x->values = arena_alloc(l->a, (size_t)count * sizeof *x->values);
    for (int i = 0; i < (int)count; i++) {
        json_t *value;
        TRY(number_value(&value, l, axis->key, n, g->value(v[0], v[1], v[2], i), 12));
        if (i && json_equal(value, x->values[x->n - 1].value)) continue;
        x->values[x->n++] = (struct spec_value){.value = value, .mark = n->mark};
    }
    if (n->n == 3) return ok();
    x->interval = true; /* its two values are the ends */
    x->log = g->positive;
    return ok();
}

json_t *spec_axis_draw(const struct spec_axis *x, double u)
{
    const struct key *k = key_find(x->key);
    double lo = json_number_value(x->values[0].value), hi = json_number_value(x->values[x->n - 1].value);
    double v = x->log ? lo * pow(hi / lo, u) : lo + (hi - lo) * u;
    char text[32];
    if (is_whole(k)) { /* each whole number between the ends is equally likely, but for log's own weights */
        v = x->log ? v : floor(lo + (hi - lo + 1) * u);
        return json_integer(llround(v > hi ? hi : v));
    }
    snprintf(text, sizeof text, "%.6g", v); /* as a person would write it */
    str_to_double(text, &v);
    return json_real(v < lo ? lo : v > hi ? hi : v);
}
