/* YAML events (libyaml) to a tree with places. Honest configurations are small trees: what makes YAML dangerous
   (aliases that multiply, tags, endless nesting) is refused by name rather than supported. */
#include "node.h"
#include <yaml.h>

enum { MAX_DEPTH = 24, MAX_NODES = 500000, MAX_KEYS = 1000, MAX_BYTES = 16 << 20 };

struct reader {
    yaml_parser_t yaml;
    struct arena *a;
    const char *where, *text;
    size_t n;
    bool lines;
    struct node *root, *open[MAX_DEPTH];
    int depth, nodes;
    struct node *key; /* read, its value not yet */
};

static struct spec_mark mark_of(const struct reader *r, yaml_mark_t m)
{
    if (!r->lines) return (struct spec_mark){.file = r->where};
    return (struct spec_mark){.file = r->where, .line = (int)m.line + 1, .column = (int)m.column + 1};
}

static struct node *at(const struct reader *r, yaml_mark_t m)
{
    struct node *n = arena_alloc(r->a, sizeof *n);
    n->mark = mark_of(r, m);
    return n;
}

/* Line and column of a byte, for the errors that libyaml places by offset alone. */
static yaml_mark_t mark_of_byte(const struct reader *r, size_t offset)
{
    yaml_mark_t m = {.index = offset};
    for (size_t i = 0; i < offset && i < r->n; i++) {
        if (r->text[i] == '\n') {
            m.line++, m.column = 0;
        } else if (((unsigned char)r->text[i] & 0xc0) != 0x80) {
            m.column++;
        }
    }
    return m;
}

static struct status syntax_error(const struct reader *r)
{
    const yaml_parser_t *y = &r->yaml;
    if (y->error == YAML_READER_ERROR) {
        return node_fail(at(r, mark_of_byte(r, y->problem_offset)), "got byte 0x%02x, expected UTF-8 text: %s",
                         (unsigned)y->problem_value & 0xffu, y->problem ? y->problem : "invalid");
    }
    const struct node *place = at(r, y->problem_mark);
    size_t line = 0, i = 0; /* a tab shows itself at the first character that is no space */
    for (; i < r->n && line < y->problem_mark.line; i++) line += r->text[i] == '\n';
    i += y->problem_mark.column;
    if (i < r->n && r->text[i] == '\t')
        return node_fail(place, "got a tab, expected spaces; YAML is indented by spaces");
    return node_fail(place, "not YAML: %s%s%s", y->problem ? y->problem : "error", y->context ? ", " : "",
                     y->context ? y->context : "");
}

/* Puts a finished or just opened node where it belongs: root, list entry, key or value of the open map. */
static struct status place(struct reader *r, struct node *n)
{
    if (++r->nodes > MAX_NODES) return node_fail(n, "got more than %d values, expected a configuration", MAX_NODES);
    if (r->depth == 0) {
        r->root = n;
        return ok();
    }
    struct node *in = r->open[r->depth - 1];
    if (in->kind == NODE_MAP && !r->key) {
        if (n->kind != NODE_SCALAR) return node_fail(n, "got a list or map as a key, expected a name");
        for (const struct node *e = in->child; e; e = e->next) {
            if (strcmp(e->key->text, n->text) == 0) {
                return node_fail(n, "%s: given twice: first on line %d; keep one", n->text, e->key->mark.line);
            }
        }
        if (in->n >= MAX_KEYS) return node_fail(n, "got more than %d keys in one map", MAX_KEYS);
        r->key = n;
        return ok();
    }
    if (in->kind == NODE_MAP) n->key = r->key, r->key = NULL;
    if (in->last) {
        in->last->next = n;
    } else {
        in->child = n;
    }
    in->last = n;
    in->n++;
    return ok();
}

static struct status open_node(struct reader *r, const yaml_event_t *e, enum node_kind kind)
{
    struct node *n = at(r, e->start_mark);
    n->kind = kind;
    TRY(place(r, n));
    if (r->depth == MAX_DEPTH) return node_fail(n, "nested deeper than %d levels", MAX_DEPTH);
    r->open[r->depth++] = n;
    return ok();
}

static struct status scalar(struct reader *r, const yaml_event_t *e)
{
    struct node *n = at(r, e->start_mark);
    const char *text = (const char *)e->data.scalar.value;
    size_t length = e->data.scalar.length;
    if (memchr(text, 0, length)) return node_fail(n, "got a zero byte in a text");
    char *copy = arena_alloc(r->a, length + 1);
    memcpy(copy, text, length);
    n->text = copy;
    n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return place(r, n);
}

static struct status refuse_decoration(const struct reader *r, const yaml_event_t *e, const yaml_char_t *anchor,
                                       const yaml_char_t *tag)
{
    if (anchor) {
        return node_fail(at(r, e->start_mark),
                         "got anchor &%s: anchors are not supported; write the value out, or "
                         "share it through extends",
                         (const char *)anchor);
    }
    if (tag) {
        return node_fail(at(r, e->start_mark),
                         "got tag %s: tags are not supported; quote a text that looks like a number",
                         (const char *)tag);
    }
    return ok();
}

static struct status take(struct reader *r, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (r->root) return node_fail(at(r, e->start_mark), "got a second document, expected one a file");
        return ok();
    case YAML_ALIAS_EVENT:
        return node_fail(at(r, e->start_mark),
                         "got alias *%s: aliases are not supported; write the value out, quote a "
                         "pattern that starts with a star",
                         (const char *)e->data.alias.anchor);
    case YAML_SCALAR_EVENT:
        TRY(refuse_decoration(r, e, e->data.scalar.anchor, e->data.scalar.tag));
        return scalar(r, e);
    case YAML_SEQUENCE_START_EVENT:
        TRY(refuse_decoration(r, e, e->data.sequence_start.anchor, e->data.sequence_start.tag));
        return open_node(r, e, NODE_LIST);
    case YAML_MAPPING_START_EVENT:
        TRY(refuse_decoration(r, e, e->data.mapping_start.anchor, e->data.mapping_start.tag));
        return open_node(r, e, NODE_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        r->depth--;
        return ok();
    default:
        return ok();
    }
}

static struct status read_all(struct reader *r)
{
    for (;;) {
        yaml_event_t e;
        if (!yaml_parser_parse(&r->yaml, &e)) return syntax_error(r);
        bool end = e.type == YAML_STREAM_END_EVENT;
        struct status s = take(r, &e);
        yaml_event_delete(&e);
        if (s.code != STATUS_OK || end) return s;
    }
}

struct status node_parse(struct node **out, struct arena *a, const char *where, const char *text, size_t n, bool lines)
{
    *out = NULL;
    if (n > MAX_BYTES)
        return fail(STATUS_ARG, "%s: got %zu bytes, expected a configuration of at most %d", where, n, MAX_BYTES);
    struct reader r = {.a = a, .where = where, .text = text, .n = n, .lines = lines};
    CHECK(yaml_parser_initialize(&r.yaml), "out of memory");
    yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.yaml, (const unsigned char *)text, n);
    struct status s = read_all(&r);
    yaml_parser_delete(&r.yaml);
    *out = r.root;
    return s;
}
