/* The key table's row and what is derived from it. Private to room spec. */
#ifndef SWEEP_SPEC_KEYS_H
#define SWEEP_SPEC_KEYS_H

#include "spec.h"

enum key_type {
    KEY_BOOL,    /* bool */
    KEY_WORD,    /* bool, written as one of two choices; the second is true */
    KEY_INT,     /* int */
    KEY_LONG,    /* int64_t */
    KEY_REAL,    /* double */
    KEY_OWN,     /* double; null is 0, "the architecture's own"; a written 0 is -1, "none" */
    KEY_TEXT,    /* const char * */
    KEY_CHOICE,  /* const char *, one of the choices */
    KEY_NUMBERS, /* struct spec_numbers */
    KEY_NAMES,   /* struct spec_names, each one of the choices */
    KEY_SIZE,    /* int[2]: one number for both, or [height, width] */
    KEY_SPLIT,   /* a fraction (double) or a file (const char * at at2) */
    KEY_AUGMENT, /* struct spec_augment[], count (int) at at2 */
};

/** Names that a value is one of: row i's name, NULL past the end; a row that is not built is refused by name. */
struct key_choices {
    const char *(*name)(int i);
    bool (*built)(int i);
};

struct key {
    const char *path; /* as written: "train.epochs" */
    enum key_type type;
    size_t at, at2;             /* where it lives in struct spec_trial */
    double lo, hi;              /* numbers: range, both ends included unless: */
    bool above, below;          /* lo, hi excluded */
    bool whole;                 /* KEY_NUMBERS: integers only */
    bool power;                 /* KEY_INT: powers of two only */
    int min_n, max_n;           /* lists */
    const char *zero;           /* 0 is allowed beside the range and means this */
    const char *null;           /* null is allowed, is the default, and means this */
    bool pattern;               /* in an axis a text may be a pattern over the zoo's names */
    bool fixed;                 /* no axis varies it: all cells have the same */
    bool main;                  /* a section written as a value instead of a map means this key: export: [onnx] */
    const char *const *choices; /* ends with NULL */
    const struct key_choices *table;
    double num; /* defaults, by type */
    const char *text;
    struct spec_numbers numbers;
    struct spec_names names;
    const char *unit, *doc;
    unsigned stages; /* which stages' results its value changes directly */
};

extern const struct key key_table[];
extern const int key_count;

/** Exact path, or NULL. */
const struct key *key_find(const char *path);
/** Also a section's main key, and a last component that only one key has ("backbone"), as axes and rules allow. */
const struct key *key_find_loose(const char *path);
/** True when some key lies under it: "model", "model.output". */
bool key_is_section(const char *path);
/** "; did you mean Z?" for a path that is no key, "" when none is near. In the arena. */
const char *key_hint(struct arena *a, const char *path);

/** i-th choice of a row, NULL past the end. */
const char *key_choice(const struct key *k, int i);
/** "a whole number from 1 to 64", "one of a, b": what messages and documents say of a row's values. In the arena. */
const char *key_expected(struct arena *a, const struct key *k);
/** The part of it that names the choices: "one of a, b, or null (none)". In the arena. */
const char *key_one_of(struct arena *a, const struct key *k);
/** The default as it would be written in a file. In the arena. */
const char *key_default(struct arena *a, const struct key *k);

/** Which part of a value was wrong: indices into lists and maps, outermost first; the key rather than its value. */
struct key_spot {
    int index[4], depth;
    bool at_key;
};

/** Checks and normalises a value: reals real, sizes pairs, augmentations complete. Errors: "got X, expected Y", no
 * place. Owner: the caller. @p spot may be NULL. */
struct status key_check(json_t **out, const struct key *k, const json_t *v, struct key_spot *spot);

/** Stores a value that key_check has passed. */
void key_set(struct spec_trial *t, struct arena *a, const struct key *k, const json_t *v);
void key_set_default(struct spec_trial *t, const struct key *k);
json_t *key_get(const struct spec_trial *t, const struct key *k);
/** True when both trials have the same value; false may also mean that it is not worth finding out. */
bool key_same(const struct key *k, const struct spec_trial *a, const struct spec_trial *b);

/** "got X" for JSON. In the arena. */
const char *key_describe(struct arena *a, const json_t *v);

/** The augmentations, in their own table. */
struct status augment_check(json_t **out, const json_t *v, struct key_spot *spot);
void augment_set(struct spec_augment *out, const json_t *entry);
json_t *augment_get(const struct spec_augment *g);
/** One line an augmentation: name, options, defaults, what it does. */
void augment_markdown(struct str *out);

/** One line a key of `slurm:`: values and what it does. */
void slurm_markdown(struct str *out);

/** A part of the JSON Schema, as JSON in C: SCHEMA({"type": "integer"}). */
#define SCHEMA(...) #__VA_ARGS__
/** It as a value. Owner: the caller. */
json_t *schema_of(const char *text);
/** One entry of an augmentation list. Owner: the caller. */
json_t *augment_schema(void);

struct load;
struct node;
/** Keys of a document that are not of a trial: name, extends, axes, ... @p rest is what follows "axes." in "axes.seed".
 */
struct document_key {
    const char *name, *doc;
    struct status (*take)(struct load *l, const char *rest, const struct node *n);
};
extern const struct document_key document_keys[]; /* ends with a NULL name */

#endif
