/*
 * weights: files of named arrays. Knows names, shapes, dtypes and bytes; no tensors, no nets. Reads safetensors and
 * (restricted, executing nothing) PyTorch's .pth; writes both. Every byte read is distrusted.
 */
#ifndef SWEEP_WEIGHTS_H
#define SWEEP_WEIGHTS_H

#include "base.h"

enum weights_dtype {
    WEIGHTS_F64,
    WEIGHTS_F32,
    WEIGHTS_F16,
    WEIGHTS_BF16,
    WEIGHTS_I64,
    WEIGHTS_I32,
    WEIGHTS_I16,
    WEIGHTS_I8,
    WEIGHTS_U8,
    WEIGHTS_BOOL,
    WEIGHTS_N_DTYPES
};

struct weights_array {
    const char *name;
    enum weights_dtype dtype;
    int rank;
    int64_t shape[8];
    const void *data; /* row-major, little-endian, contiguous */
    size_t bytes;
};

/** A set of named arrays, in file order. A loaded one borrows from the mapped file until weights_free. */
struct weights {
    struct weights_array *a;
    size_t n;
    json_t *meta; /* string -> string, may be NULL */
    struct arena arena;
    void *map; /* the mapped file */
    size_t map_bytes;
};

size_t weights_dtype_size(enum weights_dtype d);
const char *weights_dtype_name(enum weights_dtype d); /* "F32" */

/** Loads by content (safetensors, .pth zip, .pth legacy). Errors: STATUS_IO; STATUS_ARG naming file, tensor, reason. */
struct status weights_load(struct weights *out, const char *path);
/** From bytes in memory, which must outlive @p out: what fuzzing drives. */
struct status weights_parse(struct weights *out, const char *where, const void *p, size_t n);
void weights_free(struct weights *w);

/** NULL when absent. */
const struct weights_array *weights_find(const struct weights *w, const char *name);

/** Atomic. @p meta is string -> string or NULL. */
struct status weights_save(const char *path, const struct weights_array *a, size_t n, const json_t *meta);
/** As torch.save writes a state dict, in its zip format. Atomic. Errors: STATUS_IO; STATUS_ARG beyond 4 GB. */
struct status weights_save_pth(const char *path, const struct weights_array *a, size_t n);

/**
 * STATUS_ARG naming the first array that no parameter can be: one of integers or truth values with more than one
 * element (a count may be a scalar), or one with an element that is no finite number.
 */
struct status weights_check_numbers(const struct weights_array *a, size_t n);

/** Element as double / float array conversion into @p out [n elements]; any float or integer dtype. */
void weights_to_f32(const struct weights_array *a, float *out);

#endif
