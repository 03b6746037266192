/* JSON by jansson: parsing with a place in the message, the canonical form, one for readers, members with defaults. */
#include "base.h"
#include <math.h>

struct status json_parse(json_t **out, const char *where, const char *text, size_t n)
{
    json_error_t e;
    *out = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
    return *out ? ok() : fail(STATUS_ARG, "%s:%d:%d: not JSON: %s", where, e.line, e.column, e.text);
}

char *json_canonical(const json_t *j)
{
    char *s = json_dumps(j, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
    CHECK(s, "JSON that cannot be written (not UTF-8?)");
    return s;
}

struct hash json_hash(const json_t *j)
{
    char *s = json_canonical(j);
    struct hash h = hash_bytes(s, strlen(s));
    free(s);
    return h;
}

void json_real_text(char out[JSON_REAL_MAX], double v)
{
    bool single = fabs(v) < HUGE_VAL && v != floor(v) && fabs(v) < 3e38 && (double)(float)v == v;
    int most = single ? 9 : 17;
    for (int digits = 1; digits <= most; digits++) {
        snprintf(out, JSON_REAL_MAX, "%.*g", digits, v);
        if (single ? strtof(out, NULL) == (float)v : strtod(out, NULL) == v) return;
    }
}

static void add_line(struct str *out, int indent, int depth)
{
    if (indent) str_addf(out, "\n%*s", indent * depth, "");
}

static void add_scalar(struct str *out, const json_t *j)
{
    char number[JSON_REAL_MAX];
    if (json_is_real(j)) {
        json_real_text(number, json_real_value(j));
        str_addf(out, "%s%s", number, strpbrk(number, ".en") ? "" : ".0"); /* it stays a real */
        return;
    }
    char *text = json_dumps(j, JSON_ENCODE_ANY);
    CHECK(text, "JSON that cannot be written");
    str_add(out, text);
    free(text);
}

static void add_text(struct str *out, const json_t *j, int indent, int depth)
{
    const char *key;
    json_t *v;
    bool first = true;
    if (json_is_object(j)) {
        str_add(out, "{");
        json_object_foreach((json_t *)(uintptr_t)j, key, v)
        {
            json_t *name = json_string(key);
            str_add(out, first ? "" : ",");
            add_line(out, indent, depth + 1);
            add_scalar(out, name);
            str_add(out, indent ? ": " : ":");
            add_text(out, v, indent, depth + 1);
            json_decref(name);
            first = false;
        }
    } else if (json_is_array(j)) {
        str_add(out, "[");
        for (size_t i = 0; i < json_array_size(j); i++) {
            str_add(out, first ? "" : ",");
            add_line(out, indent, depth + 1);
            add_text(out, json_array_get(j, i), indent, depth + 1);
            first = false;
        }
    } else {
        add_scalar(out, j);
        return;
    }
    if (!first) add_line(out, indent, depth);
    str_add(out, json_is_object(j) ? "}" : "]");
}

char *json_text(const json_t *j, int indent)
{
    struct str out = {0};
    add_text(&out, j, indent, 0);
    return out.s;
}

/* Bytes of the character that begins here, 0 where none does. */
static size_t character(const char *s)
{
    unsigned char c = (unsigned char)*s;
    size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    for (size_t i = 1; i < n; i++)
        if (((unsigned char)s[i] & 0xc0) != 0x80) return 0;
    return n;
}

json_t *json_of_bytes(const char *text)
{
    json_t *whole = text ? json_string(text) : json_null();
    if (whole) return whole;
    struct str out = {0};
    for (size_t n; *text; text += n ? n : 1) {
        json_t *one = (n = character(text)) ? json_stringn(text, n) : NULL; /* a surrogate is none, either */
        str_addn(&out, one ? text : "\xef\xbf\xbd", one ? n : 3);
        if (!one) n = 0;
        json_decref(one);
    }
    whole = json_string(out.s);
    str_free(&out);
    return whole;
}

const char *json_str(const json_t *o, const char *key, const char *def)
{
    const json_t *v = json_object_get(o, key);
    return json_is_string(v) ? json_string_value(v) : def;
}

double json_num(const json_t *o, const char *key, double def)
{
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : def;
}

int64_t json_int(const json_t *o, const char *key, int64_t def)
{
    const json_t *v = json_object_get(o, key);
    return json_is_integer(v) ? (int64_t)json_integer_value(v) : def;
}

bool json_bool(const json_t *o, const char *key, bool def)
{
    const json_t *v = json_object_get(o, key);
    return json_is_boolean(v) ? json_is_true(v) : def;
}
