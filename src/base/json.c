/* JSON by jansson: parsing with a place in the message, the canonical form, members with defaults. */
#include "base.h"

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
