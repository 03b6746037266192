/* A YAML document as a tree that remembers where everything was written. Private to room spec. */
#ifndef SWEEP_SPEC_NODE_H
#define SWEEP_SPEC_NODE_H

#include "spec.h"

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
    enum node_kind kind;
    struct spec_mark mark;
    const char *text;          /* scalar */
    bool plain;                /* scalar: written without quotes, so it may be a number, true, false or null */
    struct node *key;          /* of a map's entry: a scalar */
    struct node *child, *last; /* first and last entry of a list or map */
    struct node *next;
    int n; /* entries */
};

/**
 * One document. NULL when it is empty. @p lines: marks carry lines and columns; without, only @p where (--set).
 * @p mistakes: as spec_note has it; what cannot be taken is left out of the tree then. A byte order mark is passed
 * over. Errors: STATUS_ARG "WHERE:LINE:COLUMN: ...": not UTF-8, tabs, syntax, a duplicate key, anchors and aliases,
 * tags, a second document, nesting or size beyond any honest file.
 */
struct status node_parse(struct node **out, struct arena *a, const char *where, const char *text, size_t n, bool lines,
                         json_t *mistakes);

/** A copy of @p n without @p gone, which is somewhere below it, and without what is empty then. */
struct node *node_without(struct arena *a, const struct node *n, const struct node *gone);

/** A map of one entry, made of parts that were written apart. */
struct node *node_map_of(struct arena *a, const char *key, struct node *value, struct spec_mark mark);

/** Plain scalars typed by the YAML 1.2 core rules, but for the infinities, which no key takes. Owner: the caller. */
json_t *node_json(const struct node *n);

bool node_is_null(const struct node *n);

/** "got X" in a message: the text as written, shortened, or "a list", "a map", "nothing". In the arena. */
const char *node_describe(struct arena *a, const struct node *n);

/** A text in quotes, shortened. In the arena. */
const char *node_quote(struct arena *a, const char *text);

/** Failure at a place: "FILE:LINE:COLUMN: message". */
struct status node_fail(const struct node *n, const char *fmt, ...) PRINTF(2, 3) __attribute__((warn_unused_result));

#endif
