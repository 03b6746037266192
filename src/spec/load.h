/* A load in progress: layers of assignments (extended files, the file, each --set), a later one winning over the
   earlier. Private to room spec. */
#ifndef SWEEP_SPEC_LOAD_H
#define SWEEP_SPEC_LOAD_H

#include "keys.h"
#include "node.h"

enum {
    LOAD_MAX_KEYS = SPEC_MAX_KEYS,
    LOAD_MAX_EXTENDS = 16,
    LOAD_MAX_FILES = 100,
    LOAD_MAX_VALUES = 10000,
    LOAD_MAX_SEEDS = 1000
};

struct load_axis {
    struct spec_axis axis;
    const struct key *key; /* NULL: values are objects of several keys */
    const struct node *node;
    int layer;
    bool zip;
    bool gone; /* its key was fixed by a later layer */
};

struct load {
    struct spec *s;
    struct arena *a;
    int layer;
    struct {
        json_t *value; /* NULL: not given; owned by the spec */
        const struct node *node;
        int layer;
    } fixed[LOAD_MAX_KEYS]; /* by index in key_table */
    struct load_axis *axes;
    int n_axes, cap_axes;
    struct {
        struct spec_rule rule;
        int layer;
    } * rules;
    int n_rules, cap_rules;
    bool bad[LOAD_MAX_KEYS];             /* a value was refused: no rule between keys is asked about it */
    json_t *mistakes;                    /* NULL: the first one ends the load */
    const char *files[LOAD_MAX_EXTENDS]; /* being read, outermost first: a file in it again is a cycle */
    int n_files, n_read;                 /* all files read: they may not multiply */
};

/** Called for each key of a map, nested maps being dotted keys. */
struct load_visit {
    struct status (*key)(struct load *l, void *ctx, const struct key *k, const struct node *value);
    void *ctx;
    bool loose; /* short names of keys are accepted */
};

/** Walks an entry or all entries of a map. Errors: an unknown key; what the callback says. */
struct status load_walk(struct load *l, const char *path, const struct node *n, const struct load_visit *v);
struct status load_walk_map(struct load *l, const char *prefix, const struct node *map, const struct load_visit *v);

/** A node's value for a key, normalised, owned by the spec. Patterns pass where the key and @p patterns allow them.
 *  Errors: as node_fail; without a message when its parts' mistakes are noted already. */
struct status load_value(json_t **out, struct load *l, const struct key *k, const struct node *n, bool patterns);

/** Goes on after a mistake where mistakes are collected; in loops over what stands side by side. */
#define NOTE(l, expr) TRY(spec_note((l)->mistakes, (expr)))

/** "got X, expected Y" at a node. */
struct status load_wrong(struct load *l, const struct node *n, const char *key, const char *expected);
const char *load_join(struct load *l, const char *prefix, const char *name);
/** An array of @p n entries of @p size with room for one more, in the arena. */
void *load_grow(struct load *l, void *p, int n, int *cap, size_t size);

/** A map of key: value, pattern or list of either, as rules and conditions have; @p name blames. Owned by the spec. */
struct status load_match(json_t **out, struct load *l, const char *name, const struct node *n);

/** A way to name numbers by their ends. */
struct load_range {
    const char *name, *expected;
    double (*value)(double a, double b, double c, int i);
    bool positive, counted; /* counted: the third number is how many */
};
const struct load_range *load_range_of(const char *name);
/** Its numbers become the axis's values, as if they had been written; two numbers are an interval. */
struct status load_range_values(struct load *l, struct load_axis *axis, const struct load_range *g,
                                const struct node *n);

extern const char *const load_methods[]; /* by enum spec_method; ends with NULL */

/** What of the JSON Schema stands beside what is read: an axis's {log: ...}, {linspace: ...} or {range: ...}, `sample`,
 *  `slurm`. Owner: the caller. */
json_t *load_range_schema(void);
json_t *load_sample_schema(void);
json_t *load_slurm_schema(void);

struct status load_axes(struct load *l, const char *rest, const struct node *n);
struct status load_zip(struct load *l, const char *rest, const struct node *n);
struct status load_include(struct load *l, const char *rest, const struct node *n);
struct status load_exclude(struct load *l, const char *rest, const struct node *n);
struct status load_seeds(struct load *l, const char *rest, const struct node *n);
struct status load_sample(struct load *l, const char *rest, const struct node *n);
struct status load_slurm(struct load *l, const char *rest, const struct node *n);

/** Axes against fixed keys and each other, then into the spec. */
struct status load_finish_axes(struct load *l);
void load_finish_rules(struct load *l);
/** True when an axis or a zip group sets the key. */
bool load_swept(const struct load *l, const struct key *k);

#endif
