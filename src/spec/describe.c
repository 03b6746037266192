/* What messages and documents say of the key table. */
#include "load.h"

static const char *range(struct arena *a, const struct key *k)
{
    bool has_low = k->lo > 0 || k->above;
    const char *low = arena_printf(a, k->above ? "above %.16g" : "from %.16g", k->lo);
    if (k->lo >= k->hi) return arena_printf(a, "%.16g", k->lo);
    if (k->hi >= 9e15) return has_low ? low : "0 or more";
    const char *join = k->below ? "%s and below %.16g" : k->above ? "%s and at most %.16g" : "%s to %.16g";
    return arena_printf(a, join, low, k->hi);
}

static const char *choices(struct arena *a, const struct key *k)
{
    struct str list = {0};
    for (int i = 0; key_choice(k, i); i++) {
        if (k->table && k->table->built && !k->table->built(i)) continue;
        str_addf(&list, "%s%s", list.n ? ", " : "", key_choice(k, i));
    }
    const char *out = arena_strdup(a, list.s);
    str_free(&list);
    return out;
}

const char *key_one_of(struct arena *a, const struct key *k)
{
    const char *names = choices(a, k);
    const char *text = arena_printf(a, strchr(names, ',') ? "one of %s" : "%s", names);
    return k->null ? arena_printf(a, "%s, or null (%s)", text, k->null) : text;
}

static const char *count(struct arena *a, const struct key *k)
{
    return k->min_n ? arena_printf(a, "%d to %d", k->min_n, k->max_n) : arena_printf(a, "at most %d", k->max_n);
}

static const char *whole_number(const struct key *k)
{
    return k->power ? "a power of two" : "a whole number";
}

/* Without what zero and null mean. */
static const char *expected_value(struct arena *a, const struct key *k)
{
    switch (k->type) {
    case KEY_BOOL:
        return "true or false";
    case KEY_INT:
    case KEY_LONG:
        return k->lo >= k->hi ? range(a, k) : arena_printf(a, "%s %s", whole_number(k), range(a, k));
    case KEY_REAL:
    case KEY_OWN:
        return arena_printf(a, "a number %s", range(a, k));
    case KEY_TEXT:
        return "a text";
    case KEY_WORD:
    case KEY_CHOICE:
        return key_one_of(a, k);
    case KEY_NUMBERS:
        return arena_printf(a, "a list of %s %s, each %s", count(a, k), k->whole ? "whole numbers" : "numbers",
                            range(a, k));
    case KEY_NAMES:
        if (!key_choice(k, 0)) return arena_printf(a, "a list of at most %d texts", k->max_n);
        return arena_printf(a, "a list of %s", choices(a, k));
    case KEY_SIZE:
        return arena_printf(a, "a whole number or [height, width], %s", range(a, k));
    case KEY_SPLIT:
        return arena_printf(a, "a number %s, or a file", range(a, k));
    case KEY_AUGMENT:
        return arena_printf(a, "a list of %s augmentations", count(a, k));
    }
    return "";
}

const char *key_expected(struct arena *a, const struct key *k)
{
    const char *value = expected_value(a, k);
    if (k->zero) value = arena_printf(a, "%s, or 0 (%s)", value, k->zero);
    if (k->null && k->type != KEY_CHOICE) value = arena_printf(a, "%s, or null (%s)", value, k->null);
    return value;
}

const char *key_default(struct arena *a, const struct key *k)
{
    struct spec_trial t = {0};
    key_set_default(&t, k);
    json_t *v = key_get(&t, k);
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(10));
    const char *out = json_is_string(v) ? arena_strdup(a, json_string_value(v)) : arena_strdup(a, text);
    free(text);
    json_decref(v);
    return out;
}

static const struct {
    unsigned stage;
    const char *name;
} stage_names[] = {
    {SPEC_SCREEN, "screen"}, {SPEC_TRAIN, "train"}, {SPEC_EVALUATE, "evaluate"}, {SPEC_EXPORT, "export"},
    {SPEC_VERIFY, "verify"}, {SPEC_BENCH, "bench"}, {SPEC_SAMPLES, "samples"},   {SPEC_QUANTISE, "export in 8 bits"},
};

void spec_keys_markdown(struct str *out)
{
    struct arena a = {0};
    str_add(out, "| key | default | values | what | reruns |\n|---|---|---|---|---|\n");
    for (const struct document_key *d = document_keys; d->name; d++)
        str_addf(out, "| `%s` | | | %s | |\n", d->name, d->doc);
    for (int i = 0; i < key_count; i++) {
        const struct key *k = &key_table[i];
        str_addf(out, "| `%s` | `%s` | %s%s%s | %s |", k->path, key_default(&a, k), key_expected(&a, k),
                 k->unit ? "; unit: " : "", k->unit ? k->unit : "", k->doc);
        const char *sep = " ";
        for (size_t s = 0; s < LEN(stage_names); s++) {
            if (k->stages & stage_names[s].stage) str_addf(out, "%s%s", sep, stage_names[s].name), sep = ", ";
        }
        str_add(out, " |\n");
    }
    str_add(out, "\nAugmentations, with their options (meaning; values; default):\n\n");
    augment_markdown(out);
    str_add(out, "\nKeys of `slurm`, none of them part of a trial:\n\n");
    slurm_markdown(out);
    arena_free(&a);
}

json_t *spec_key_choices(const char *path)
{
    json_t *out = json_array();
    const struct key *k = key_find(path);
    const char *name;
    bool listed = k && (k->choices || k->table); /* others are open, or a room above knows their names */
    for (int i = 0; listed && (name = key_choice(k, i)) != NULL; i++) json_array_append_new(out, json_string(name));
    if (k && k->type == KEY_BOOL) json_array_append_new(out, json_string("true"));
    if (k && k->type == KEY_BOOL) json_array_append_new(out, json_string("false"));
    return out;
}

json_t *spec_keys_json(void)
{
    struct arena a = {0};
    json_t *out = json_array();
    for (int i = 0; i < key_count; i++) {
        const struct key *k = &key_table[i];
        struct spec_trial t = {0};
        key_set_default(&t, k);
        json_t *stages = json_array();
        for (size_t s = 0; s < LEN(stage_names); s++) {
            if (k->stages & stage_names[s].stage) json_array_append_new(stages, json_string(stage_names[s].name));
        }
        json_array_append_new(out, json_pack("{s:s,s:o,s:s,s:s?,s:s,s:o}", "key", k->path, "default", key_get(&t, k),
                                             "values", key_expected(&a, k), "unit", k->unit, "doc", k->doc, "stages",
                                             stages));
    }
    arena_free(&a);
    return out;
}
