/* One key's value: checked against its row, stored into a trial, and read back. */
#include "keys.h"
#include "node.h"
#include <math.h>

const char *key_describe(struct arena *a, const json_t *v)
{
    switch (v ? json_typeof(v) : JSON_NULL) {
    case JSON_STRING:
        return node_quote(a, json_string_value(v));
    case JSON_INTEGER:
        return arena_printf(a, "%lld", (long long)json_integer_value(v));
    case JSON_REAL:
        return arena_printf(a, "%.10g", json_real_value(v));
    case JSON_ARRAY:
        return json_array_size(v) ? "a list" : "an empty list";
    case JSON_OBJECT:
        return json_object_size(v) ? "a map" : "an empty map";
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    default:
        return "nothing";
    }
}

static struct status wrong(const struct key *k, const json_t *v)
{
    struct arena a = {0};
    bool unquoted = k->type == KEY_TEXT && (json_is_number(v) || json_is_boolean(v));
    bool huge = k->hi >= 9e15 && json_number_value(v) > k->hi; /* its range is not in the words of the key */
    struct status s = fail(STATUS_ARG, "got %s, expected %s%s", key_describe(&a, v), key_expected(&a, k),
                           unquoted ? "; quote it"
                           : huge   ? arena_printf(&a, ", at most %.16g", k->hi)
                                    : "");
    arena_free(&a);
    return s;
}

static struct status wrong_name(const struct key *k, const json_t *v)
{
    enum { MOST = 64 };
    struct arena a = {0};
    const char *names[MOST] = {0}, *near = NULL;
    for (int i = 0; i < MOST - 1 && key_choice(k, i); i++) names[i] = key_choice(k, i);
    if (json_is_string(v)) near = str_nearest(json_string_value(v), names);
    struct status s = fail(STATUS_ARG, "got %s, expected %s%s", key_describe(&a, v), key_one_of(&a, k),
                           near ? arena_printf(&a, "; did you mean %s?", near) : "");
    arena_free(&a);
    return s;
}

/* 1e3 is a thousand, whether it counts or measures. */
static bool is_whole(const json_t *v)
{
    double x = json_number_value(v);
    return json_is_integer(v) || (json_is_real(v) && x <= floor(x) && fabs(x) <= 9007199254740991.0);
}

/* A number within the row's range; whole ones become integers, others real, so that 1 and 1.0 hash alike. */
static struct status check_number(json_t **out, const struct key *k, const json_t *v, bool whole)
{
    if (!json_is_number(v) || (whole && !is_whole(v))) return wrong(k, v);
    double x = json_number_value(v);
    json_int_t i = json_is_integer(v) ? json_integer_value(v) : whole ? (json_int_t)x : 0;
    bool in = (k->above ? x > k->lo : x >= k->lo) && (k->below ? x < k->hi : x <= k->hi);
    if (in && k->power && (i & (i - 1))) in = false;
    if (!in && !(k->zero && x >= 0 && x <= 0)) return wrong(k, v);
    *out = whole ? json_integer(i) : json_real(x);
    return ok();
}

static struct status check_choice(json_t **out, const struct key *k, const json_t *v)
{
    const char *text = json_string_value(v);
    for (int i = 0; text && key_choice(k, i); i++) {
        if (strcmp(key_choice(k, i), text) != 0) continue;
        if (k->table && k->table->built && !k->table->built(i)) {
            struct arena a = {0};
            struct status s =
                fail(STATUS_ARG, "got \"%s\", which is not built yet, expected %s", text, key_one_of(&a, k));
            arena_free(&a);
            return s;
        }
        *out = json_string(text);
        return ok();
    }
    return wrong_name(k, v);
}

static struct status check_text(json_t **out, const struct key *k, const json_t *v)
{
    const char *text = json_string_value(v);
    if (!text || !*text || strlen(text) > 1000) return wrong(k, v);
    *out = json_string(text);
    return ok();
}

static struct status check_list(json_t **out, const struct key *k, const json_t *v, struct key_spot *spot)
{
    int n = (int)json_array_size(v);
    if (!json_is_array(v) || n < k->min_n || n > k->max_n) return wrong(k, v);
    json_t *list = json_array();
    struct status s = ok();
    for (int i = 0; i < n && s.code == STATUS_OK; i++) {
        json_t *one = NULL;
        const json_t *entry = json_array_get(v, (size_t)i);
        s = k->type != KEY_NAMES ? check_number(&one, k, entry, k->whole)
            : key_choice(k, 0)   ? check_choice(&one, k, entry)
                                 : check_text(&one, k, entry);
        for (int j = 0; k->type == KEY_NAMES && one && j < i; j++) {
            if (json_equal(one, json_array_get(list, (size_t)j))) {
                s = fail(STATUS_ARG, "got \"%s\" twice", json_string_value(one));
            }
        }
        json_array_append_new(list, one ? one : json_null());
        if (s.code != STATUS_OK) *spot = (struct key_spot){.index = {i}, .depth = 1};
    }
    if (s.code == STATUS_OK) *out = list;
    if (s.code != STATUS_OK) json_decref(list);
    return s;
}

static struct status check_size(json_t **out, const struct key *k, const json_t *v, struct key_spot *spot)
{
    json_t *side[2] = {NULL, NULL};
    if (json_is_array(v) && json_array_size(v) != 2) return wrong(k, v);
    for (int i = 0; i < 2; i++) {
        const json_t *one = json_is_array(v) ? json_array_get(v, (size_t)i) : v;
        struct status s = check_number(&side[i], k, one, true);
        if (s.code != STATUS_OK) {
            if (json_is_array(v)) *spot = (struct key_spot){.index = {i}, .depth = 1};
            json_decref(side[0]);
            return s;
        }
    }
    *out = json_pack("[o,o]", side[0], side[1]);
    return ok();
}

struct status key_check(json_t **out, const struct key *k, const json_t *v, struct key_spot *spot)
{
    struct key_spot unused;
    if (!spot) spot = &unused;
    *spot = (struct key_spot){0};
    *out = NULL;
    if (k->null && json_is_null(v)) {
        *out = json_null();
        return ok();
    }
    switch (k->type) {
    case KEY_BOOL:
        if (!json_is_boolean(v)) return wrong(k, v);
        *out = json_boolean(json_is_true(v));
        return ok();
    case KEY_INT:
    case KEY_LONG:
        return check_number(out, k, v, true);
    case KEY_REAL:
    case KEY_OWN:
        return check_number(out, k, v, false);
    case KEY_TEXT:
        return check_text(out, k, v);
    case KEY_WORD:
    case KEY_CHOICE:
        return check_choice(out, k, v);
    case KEY_NUMBERS:
    case KEY_NAMES:
        return check_list(out, k, v, spot);
    case KEY_SIZE:
        return check_size(out, k, v, spot);
    case KEY_SPLIT:
        return json_is_string(v) ? check_text(out, k, v) : check_number(out, k, v, false);
    case KEY_AUGMENT:
        if (!json_is_array(v) || (int)json_array_size(v) > k->max_n) return wrong(k, v);
        return augment_check(out, v, spot);
    }
    return wrong(k, v);
}

static void *member(const struct spec_trial *t, size_t at)
{
    union {
        const void *in;
        void *out;
    } p = {.in = (const char *)t + at}; /* one accessor for readers and writers */
    return p.out;
}

static const char *text_or_null(struct arena *a, const json_t *v)
{
    return json_is_string(v) ? arena_strdup(a, json_string_value(v)) : NULL;
}

static void set_split(struct spec_trial *t, struct arena *a, const struct key *k, const json_t *v)
{
    *(double *)member(t, k->at) = json_is_string(v) ? 0 : json_number_value(v);
    *(const char **)member(t, k->at2) = text_or_null(a, v);
}

static void set_numbers(struct spec_numbers *out, const json_t *v)
{
    *out = (struct spec_numbers){.n = (int)json_array_size(v)};
    for (int i = 0; i < out->n; i++) out->v[i] = json_number_value(json_array_get(v, (size_t)i));
}

static void set_names(struct spec_names *out, struct arena *a, const json_t *v)
{
    *out = (struct spec_names){.n = (int)json_array_size(v)};
    for (int i = 0; i < out->n; i++) out->v[i] = text_or_null(a, json_array_get(v, (size_t)i));
}

void key_set(struct spec_trial *t, struct arena *a, const struct key *k, const json_t *v)
{
    void *p = member(t, k->at);
    switch (k->type) {
    case KEY_BOOL:
        *(bool *)p = json_is_true(v);
        return;
    case KEY_WORD:
        *(bool *)p = strcmp(json_string_value(v), key_choice(k, 1)) == 0;
        return;
    case KEY_INT:
        *(int *)p = (int)json_integer_value(v);
        return;
    case KEY_LONG:
        *(int64_t *)p = (int64_t)json_integer_value(v);
        return;
    case KEY_REAL:
        *(double *)p = json_number_value(v);
        return;
    case KEY_OWN:
        *(double *)p = json_is_null(v) ? 0 : json_number_value(v) > 0 ? json_number_value(v) : -1;
        return;
    case KEY_TEXT:
    case KEY_CHOICE:
        *(const char **)p = text_or_null(a, v);
        return;
    case KEY_NUMBERS:
        set_numbers(p, v);
        return;
    case KEY_NAMES:
        set_names(p, a, v);
        return;
    case KEY_SIZE:
        for (size_t i = 0; i < 2; i++) ((int *)p)[i] = (int)json_integer_value(json_array_get(v, i));
        return;
    case KEY_SPLIT:
        set_split(t, a, k, v);
        return;
    case KEY_AUGMENT:
        *(int *)member(t, k->at2) = (int)json_array_size(v);
        for (size_t i = 0; i < json_array_size(v); i++) augment_set((struct spec_augment *)p + i, json_array_get(v, i));
        return;
    }
}

void key_set_default(struct spec_trial *t, const struct key *k)
{
    void *p = member(t, k->at);
    switch (k->type) {
    case KEY_BOOL:
    case KEY_WORD:
        *(bool *)p = k->num > 0;
        return;
    case KEY_INT:
        *(int *)p = (int)k->num;
        return;
    case KEY_LONG:
        *(int64_t *)p = (int64_t)k->num;
        return;
    case KEY_REAL:
    case KEY_OWN:
    case KEY_SPLIT: /* the file at at2 stays NULL */
        *(double *)p = k->num;
        return;
    case KEY_TEXT:
    case KEY_CHOICE:
        *(const char **)p = k->text;
        return;
    case KEY_NUMBERS:
        *(struct spec_numbers *)p = k->numbers;
        return;
    case KEY_NAMES:
        *(struct spec_names *)p = k->names;
        return;
    case KEY_SIZE:
        ((int *)p)[0] = ((int *)p)[1] = (int)k->num;
        return;
    case KEY_AUGMENT:
        return;
    }
}

static json_t *get_list(const struct spec_trial *t, const struct key *k)
{
    json_t *list = json_array();
    if (k->type == KEY_NUMBERS) {
        const struct spec_numbers *v = member(t, k->at);
        for (int i = 0; i < v->n; i++) {
            json_array_append_new(list, k->whole ? json_integer((json_int_t)llround(v->v[i])) : json_real(v->v[i]));
        }
    } else if (k->type == KEY_NAMES) {
        const struct spec_names *v = member(t, k->at);
        for (int i = 0; i < v->n; i++) json_array_append_new(list, json_string(v->v[i]));
    } else if (k->type == KEY_SIZE) {
        const int *v = member(t, k->at);
        for (int i = 0; i < 2; i++) json_array_append_new(list, json_integer(v[i]));
    } else {
        const struct spec_augment *v = member(t, k->at);
        for (int i = 0; i < *(const int *)member(t, k->at2); i++) json_array_append_new(list, augment_get(&v[i]));
    }
    return list;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool key_same(const struct key *k, const struct spec_trial *a, const struct spec_trial *b)
{
    const void *x = member(a, k->at), *y = member(b, k->at);
    switch (k->type) {
    case KEY_BOOL:
    case KEY_WORD:
        return *(const bool *)x == *(const bool *)y;
    case KEY_INT:
        return *(const int *)x == *(const int *)y;
    case KEY_LONG:
        return *(const int64_t *)x == *(const int64_t *)y;
    case KEY_REAL:
    case KEY_OWN:
        return memcmp(x, y, sizeof(double)) == 0;
    case KEY_TEXT:
    case KEY_CHOICE:
        return same_text(*(const char *const *)x, *(const char *const *)y);
    case KEY_SIZE:
        return memcmp(x, y, 2 * sizeof(int)) == 0;
    case KEY_SPLIT:
        return memcmp(x, y, sizeof(double)) == 0 &&
               same_text(*(const char *const *)member(a, k->at2), *(const char *const *)member(b, k->at2));
    case KEY_NUMBERS: {
        const struct spec_numbers *v = x, *w = y;
        return v->n == w->n && memcmp(v->v, w->v, sizeof(double) * (size_t)v->n) == 0;
    }
    case KEY_NAMES: {
        const struct spec_names *v = x, *w = y;
        bool same = v->n == w->n;
        for (int i = 0; same && i < v->n; i++) same = same_text(v->v[i], w->v[i]);
        return same;
    }
    case KEY_AUGMENT:
        return *(const int *)member(a, k->at2) == 0 && *(const int *)member(b, k->at2) == 0;
    }
    return false;
}

static json_t *text_json(const char *text)
{
    return text ? json_string(text) : json_null();
}

json_t *key_get(const struct spec_trial *t, const struct key *k)
{
    const void *p = member(t, k->at);
    switch (k->type) {
    case KEY_BOOL:
        return json_boolean(*(const bool *)p);
    case KEY_WORD:
        return json_string(key_choice(k, *(const bool *)p));
    case KEY_INT:
        return json_integer(*(const int *)p);
    case KEY_LONG:
        return json_integer(*(const int64_t *)p);
    case KEY_REAL:
        return json_real(*(const double *)p);
    case KEY_OWN: {
        double v = *(const double *)p;
        return v > 0 ? json_real(v) : v < 0 ? json_real(0) : json_null();
    }
    case KEY_TEXT:
    case KEY_CHOICE:
        return text_json(*(const char *const *)p);
    case KEY_SPLIT: {
        const char *file = *(const char *const *)member(t, k->at2);
        return file ? json_string(file) : json_real(*(const double *)p);
    }
    default:
        return get_list(t, k);
    }
}
