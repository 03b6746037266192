/* What the files of this room share. Nothing outside includes it. */
#ifndef SWEEP_WEIGHTS_INSIDE_H
#define SWEEP_WEIGHTS_INSIDE_H

#include "weights.h"

enum { WEIGHTS_MAX_RANK = 8 };

/** A file's bytes and how messages call it. Everything read from it is distrusted. */
struct weights_bytes {
    const char *where;
    const unsigned char *p;
    size_t n;
};

uint64_t weights_le(const unsigned char *p, int bytes); /* little-endian unsigned */

/** Elements and bytes of a shape. False when negative or beyond 2^62. */
bool weights_extent(size_t *numel, size_t *bytes, const int64_t *shape, int rank, enum weights_dtype d);

/** A pointer good for reading @p size bytes as the dtype: @p p itself when aligned, else a copy in @p a. */
const void *weights_aligned(struct arena *a, const void *p, size_t bytes, size_t size);

/** Refuses two arrays of one name. */
struct status weights_check_names(const struct weights *w, const char *where);

struct status weights_parse_safetensors(struct weights *out, struct weights_bytes b);
struct status weights_parse_zip(struct weights *out, struct weights_bytes b);
struct status weights_parse_legacy(struct weights *out, struct weights_bytes b);

/* ---- the restricted unpickler: knows what a state dict is made of, calls nothing ------------------------------- */

enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_BIG,
    PICKLE_REAL,
    PICKLE_STRING,
    PICKLE_BYTES,
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_DICT,
    PICKLE_GLOBAL,
    PICKLE_STORAGE,
    PICKLE_TENSOR,
    PICKLE_OPAQUE,
};

struct pickle_storage {
    const char *key;
    enum weights_dtype dtype;
    int64_t numel;
    const unsigned char *data; /* NULL until found */
    const char *tensor;        /* the first that uses it; NULL: not known */
    struct pickle_storage *next;
};

struct pickle_tensor {
    struct pickle_storage *storage;
    int64_t offset;
    int rank;
    int64_t shape[WEIGHTS_MAX_RANK], stride[WEIGHTS_MAX_RANK];
};

struct pickle_value {
    enum pickle_kind kind;
    bool seen; /* a walk has been here */
    union {
        bool boolean;
        int64_t integer;
        double real;
        struct {
            const char *s;
            size_t n;
        } text; /* STRING (NUL-terminated), BYTES, BIG, OPAQUE */
        struct {
            struct pickle_value **v;
            size_t n, cap;
        } seq; /* TUPLE, LIST; DICT: key, value, key, value */
        const struct pickle_global *global;
        struct pickle_storage *storage;
        struct pickle_tensor *tensor;
    };
};

struct pickle {
    struct weights_bytes b;
    size_t at;
    struct arena *arena;
    struct pickle_storage *storages; /* by the persistent ids seen, newest first */
    int n_storages;
    struct pickle_storage **by_key; /* a hash table of them; cap_by_key is 0 or a power of two */
    size_t cap_by_key;
    struct pickle_value **stack, **memo;
    size_t n_stack, cap_stack, n_memo, cap_memo;
    size_t *marks, n_marks, cap_marks;
};

/** Reads one pickle at p->at and leaves p->at after it. Errors: STATUS_ARG naming the opcode or the global. */
struct status weights_pickle_load(struct pickle_value **out, struct pickle *p);
void weights_pickle_free(struct pickle *p);

/** The storage of this key, NULL when none has it. */
struct pickle_storage *weights_pickle_storage(const struct pickle *p, const char *key);

/* What the interpreter (pickle.c) and the calls it allows (torch.c) need of each other. */
struct pickle_global {
    const char *module, *name;
    struct status (*call)(struct pickle_value **out, struct pickle *p, const struct pickle_value *args); /* or NULL */
    enum weights_dtype dtype; /* of a storage class */
    bool storage;
};
/** NULL when it is not among the known ones. */
const struct pickle_global *weights_pickle_find_global(const char *module, const char *name);
struct status weights_pickle_persistent(struct pickle_value **out, struct pickle *p, const struct pickle_value *id);

/* The machine (machine.c) that the opcodes (pickle.c) work on. */
struct status weights_pickle_take(const unsigned char **out, struct pickle *p, size_t n);
struct status weights_pickle_take_le(uint64_t *out, struct pickle *p, int bytes);
struct status weights_pickle_take_line(const char **out, struct pickle *p); /* without its newline */
struct status weights_pickle_push(struct pickle *p, struct pickle_value *v);
struct status weights_pickle_pop(struct pickle_value **out, struct pickle *p);
struct status weights_pickle_top(struct pickle_value **out, struct pickle *p);
struct status weights_pickle_pop_mark(struct pickle_value ***items, size_t *n, struct pickle *p);
struct status weights_pickle_pop_many(struct pickle_value ***items, struct pickle *p, size_t n);
void weights_pickle_extend(struct pickle *p, struct pickle_value *seq, struct pickle_value *const *items, size_t n);
struct status weights_pickle_memo_put(struct pickle *p, uint64_t i);
struct pickle_value *weights_pickle_new(struct pickle *p, enum pickle_kind kind);
/** Of the tensor that is being made; NULL: not known. */
const char *weights_pickle_name(const struct pickle *p);
struct status weights_pickle_fail(const struct pickle *p, const char *fmt, ...) PRINTF(2, 3);

/** Makes @p out from the mapping inside @p root that holds most tensors; storages have their data. */
struct status weights_pickle_to_weights(struct weights *out, struct pickle *p, struct pickle_value *root);

#endif
