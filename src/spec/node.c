/* What a tree of nodes can be asked, whoever made it. */
#include "node.h"

const char *spec_mark_str(struct arena *a, struct spec_mark m)
{
    return m.line ? arena_printf(a, "%s:%d:%d", m.file, m.line, m.column) : m.file;
}

const char *node_quote(struct arena *a, const char *text)
{
    enum { MOST = 60 };
    int n = (int)strnlen(text, MOST);
    while (n && text[n] && ((unsigned char)text[n] & 0xc0) == 0x80) n--; /* no half of a character */
    return arena_printf(a, "\"%.*s%s\"", n, text, text[n] ? "..." : "");
}

/* A message is one line, whatever the file holds. */
static void one_line(char *msg)
{
    for (char *c = msg; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = ' ';
    }
}

struct status node_fail(const struct node *n, const char *fmt, ...)
{
    char msg[900];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    one_line(msg);
    if (!n->mark.line) return fail(STATUS_ARG, "%s: %s", n->mark.file, msg);
    return fail(STATUS_ARG, "%s:%d:%d: %s", n->mark.file, n->mark.line, n->mark.column, msg);
}

struct status spec_note(json_t *mistakes, struct status s)
{
    if (!mistakes || s.code != STATUS_ARG) return s;
    if (!s.msg[0]) return ok(); /* its parts are there already */
    for (size_t i = 0; i < json_array_size(mistakes); i++)
        if (strcmp(json_string_value(json_array_get(mistakes, i)), s.msg) == 0) return ok();
    if (json_array_size(mistakes) == SPEC_MAX_MISTAKES)
        return fail(STATUS_ARG, "more than %d mistakes; mend these first", SPEC_MAX_MISTAKES);
    json_t *text = json_string(s.msg); /* NULL where it cuts a character or quotes a path that is not UTF-8 */
    if (!text) return s;
    json_array_append_new(mistakes, text);
    return ok();
}

struct node *node_without(struct arena *a, const struct node *n, const struct node *gone)
{
    struct node *out = arena_alloc(a, sizeof *out);
    *out = *n;
    out->child = out->last = out->next = NULL;
    out->n = 0;
    for (const struct node *e = n->child; e; e = e->next) {
        if (e == gone || e->key == gone) continue;
        struct node *copy = node_without(a, e, gone);
        if (e->n && !copy->n) continue;
        if (out->last)
            out->last->next = copy;
        else
            out->child = copy;
        out->last = copy;
        out->n++;
    }
    return out;
}

struct node *node_map_of(struct arena *a, const char *key, struct node *value, struct spec_mark mark)
{
    struct node *k = arena_alloc(a, sizeof *k), *map = arena_alloc(a, sizeof *map);
    *k = (struct node){.kind = NODE_SCALAR, .mark = mark, .text = arena_strdup(a, key)};
    *map = (struct node){.kind = NODE_MAP, .mark = mark, .child = value, .last = value, .n = 1};
    value->key = k;
    return map;
}

bool node_is_null(const struct node *n)
{
    return n->kind == NODE_SCALAR && n->plain &&
           (!*n->text || strcmp(n->text, "~") == 0 || strcmp(n->text, "null") == 0);
}

/* Digits with an optional sign; with a point or an exponent it is a real. Hexadecimal, .inf and .nan are texts, which
   no numeric key accepts. */
static json_t *number(const char *text)
{
    int64_t i;
    double d;
    if (!strpbrk(text, "0123456789") || text[strspn(text, "+-.0123456789eE")]) return NULL;
    if (!strpbrk(text, ".eE") && str_to_i64(text, &i)) return json_integer(i);
    return str_to_double(text, &d) ? json_real(d) : NULL;
}

json_t *node_json(const struct node *n)
{
    json_t *out;
    switch (n->kind) {
    case NODE_LIST:
        out = json_array();
        for (const struct node *e = n->child; e; e = e->next) json_array_append_new(out, node_json(e));
        return out;
    case NODE_MAP:
        out = json_object();
        for (const struct node *e = n->child; e; e = e->next) json_object_set_new(out, e->key->text, node_json(e));
        return out;
    case NODE_SCALAR:
        break;
    }
    if (node_is_null(n)) return json_null();
    if (n->plain && strcmp(n->text, "true") == 0) return json_true();
    if (n->plain && strcmp(n->text, "false") == 0) return json_false();
    out = n->plain ? number(n->text) : NULL;
    if (!out) out = json_string(n->text);
    CHECK(out, "text that is not UTF-8 came through the reader");
    return out;
}

const char *node_describe(struct arena *a, const struct node *n)
{
    if (n->kind == NODE_LIST) return n->n ? "a list" : "an empty list";
    if (n->kind == NODE_MAP) return n->n ? "a map" : "an empty map";
    if (node_is_null(n)) return "nothing";
    return node_quote(a, n->text);
}
