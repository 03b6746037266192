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
    bool drop;        /* the next value: its key is a mistake that is noted */
    json_t *mistakes; /* NULL: the first one ends it */
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

/* What libyaml says, what it means to who wrote the file, and what to do: the first that fits. What was found is best
   told by the whole line, from where it stopped on, or by where something begins that is not ended. */
enum told { LINE, REST, BEGINNING };
/* clang-format off */
static const struct {
    const char *problem, *context; /* parts of its texts */
    enum told told;
    const char *plain;
} words[] = {
    {"mapping values are not allowed", "", LINE,
     "expected one \"key: value\" a line, indented as its neighbours are, behind a line that has its colon; quote a text "
     "that holds \": \""},
    {"did not find expected key", "block mapping", LINE,
     "expected a key that is indented as the others of its map; line it up with them, and quote all of a text or nothing"},
    {"did not find expected '-' indicator", "", LINE,
     "expected \"- \", indented as the list's other entries are; line it up with them"},
    {"block sequence entries are not allowed", "", LINE,
     "expected no \"- \" here; a list's entries stand on lines of their own, below the list's key"},
    {"could not find expected ':'", "", LINE, "expected \"key: value\"; put a colon and a space behind the key"},
    {"did not find expected ',' or ']'", "", BEGINNING, "expected \",\" or \"]\"; a list that \"[\" opens must be closed"},
    {"did not find expected ',' or '}'", "", BEGINNING, "expected \",\" or \"}\"; a map that \"{\" opens must be closed"},
    {"found unexpected end of stream", "quoted scalar", BEGINNING, "expected the quote that opens here to be closed"},
    {"found unexpected document indicator", "quoted scalar", BEGINNING, "expected the quote that opens here to be closed"},
    {"did not find expected alphabetic", "", REST, "expected a text; quote one that begins with * or &"},
    {"cannot start any token", "", REST, "expected a value; quote a text that begins with this character"},
    {"unknown escape character", "", REST,
     "expected no such escape between double quotes; single quotes take a backslash as it is"},
    {"did not find expected node content", "", REST, "expected a value"},
    {"did not find expected <document start>", "", LINE, "expected the one map of the file to go on; line its keys up"},
};
/* clang-format on */

/* The line where libyaml stopped, whole or from the column on. */
static const char *found(const struct reader *r, yaml_mark_t m, bool whole)
{
    size_t line = 0, i = 0, n = 0;
    for (; i < r->n && line < m.line; i++) line += r->text[i] == '\n';
    for (size_t column = 0; !whole && i < r->n && column < m.column && r->text[i] != '\n'; column++)
        for (i++; i < r->n && ((unsigned char)r->text[i] & 0xc0) == 0x80;) i++;
    while (whole && i < r->n && r->text[i] == ' ') i++;
    while (i + n < r->n && r->text[i + n] != '\n' && r->text[i + n] != '\r') n++;
    if (i >= r->n) return "the end of the text";
    return n ? node_quote(r->a, arena_printf(r->a, "%.*s", (int)n, r->text + i)) : "the end of the line";
}

static struct status syntax_error(const struct reader *r)
{
    const yaml_parser_t *y = &r->yaml;
    if (y->error == YAML_READER_ERROR) {
        return node_fail(at(r, mark_of_byte(r, y->problem_offset)), "got byte 0x%02x, expected UTF-8 text: %s",
                         (unsigned)y->problem_value & 0xffu, y->problem ? y->problem : "invalid");
    }
    const char *problem = y->problem ? y->problem : "", *context = y->context ? y->context : "";
    const char *rest = found(r, y->problem_mark, false);
    const struct node *place = at(r, y->problem_mark);
    if (strncmp(rest, "\"\t", 2) == 0)
        return node_fail(place, "got a tab, expected spaces; YAML is indented by spaces");
    for (size_t i = 0; i < LEN(words); i++) {
        if (!strstr(problem, words[i].problem) || !strstr(context, words[i].context)) continue;
        if (words[i].told == BEGINNING) place = at(r, y->context_mark);
        const char *got = words[i].told == LINE ? found(r, y->problem_mark, true) : rest;
        bool far = words[i].told == BEGINNING && r->lines && y->context_mark.line != y->problem_mark.line;
        return node_fail(place, "got %s%s, %s", got,
                         far ? arena_printf(r->a, " (line %zu)", y->problem_mark.line + 1) : "", words[i].plain);
    }
    return node_fail(place, "got %s, expected YAML: %s%s%s", rest, problem, *context ? ", " : "", context);
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
        for (const struct node *e = in->child; e && !r->drop; e = e->next) {
            if (strcmp(e->key->text, n->text) != 0) continue;
            TRY(spec_note(r->mistakes,
                          node_fail(n, "%s: given twice: first on line %d; keep one", n->text, e->key->mark.line)));
            r->drop = true;
        }
        if (in->n >= MAX_KEYS) return node_fail(n, "got more than %d keys in one map", MAX_KEYS);
        r->key = n;
        return ok();
    }
    if (in->kind == NODE_MAP) n->key = r->key, r->key = NULL;
    if (r->drop) { /* what is below it is read, and belongs to nothing */
        r->drop = false;
        return ok();
    }
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
    if (anchor)
        TRY(spec_note(r->mistakes, node_fail(at(r, e->start_mark),
                                             "got anchor &%s: anchors are not supported; write the value out, or "
                                             "share it through extends",
                                             (const char *)anchor)));
    if (tag)
        TRY(spec_note(r->mistakes,
                      node_fail(at(r, e->start_mark),
                                "got tag %s: tags are not supported; quote a text that looks like a number",
                                (const char *)tag)));
    return ok();
}

/* Its key or its place in a list is left out. */
static struct status refuse_alias(struct reader *r, const yaml_event_t *e)
{
    TRY(spec_note(r->mistakes, node_fail(at(r, e->start_mark),
                                         "got alias *%s: aliases are not supported; write the value out, quote a "
                                         "pattern that starts with a star",
                                         (const char *)e->data.alias.anchor)));
    bool key = r->depth && r->open[r->depth - 1]->kind == NODE_MAP && !r->key;
    r->drop = key; /* a key: its value goes, too */
    if (key) r->key = at(r, e->start_mark);
    if (!key) r->key = NULL;
    return ok();
}

static struct status take(struct reader *r, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (r->root) return node_fail(at(r, e->start_mark), "got a second document, expected one a file");
        return ok();
    case YAML_ALIAS_EVENT:
        return refuse_alias(r, e);
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

struct status node_parse(struct node **out, struct arena *a, const char *where, const char *text, size_t n, bool lines,
                         json_t *mistakes)
{
    static const char mark[] = "\xef\xbb\xbf"; /* some editors put it before UTF-8 */
    *out = NULL;
    if (n >= 3 && memcmp(text, mark, 3) == 0) text += 3, n -= 3;
    if (n > MAX_BYTES)
        return fail(STATUS_ARG, "%s: got %zu bytes, expected a configuration of at most %d", where, n, MAX_BYTES);
    struct reader r = {.a = a, .where = where, .text = text, .n = n, .lines = lines, .mistakes = mistakes};
    CHECK(yaml_parser_initialize(&r.yaml), "out of memory");
    yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.yaml, (const unsigned char *)text, n);
    struct status s = read_all(&r);
    yaml_parser_delete(&r.yaml);
    *out = r.root;
    return s;
}
