/*
 * safetensors: 8 bytes of header length, a JSON header {name: {dtype, shape, data_offsets}}, the data.
 * Source: github.com/huggingface/safetensors, README "Format".
 */
#include "inside.h"
#include <errno.h>

enum { HEADER_MAX = 100 * 1000 * 1000 };

static bool find_dtype(enum weights_dtype *out, const char *name)
{
    enum weights_dtype d = 0;
    while (d < WEIGHTS_N_DTYPES && strcmp(weights_dtype_name(d), name)) d++;
    *out = d;
    return d < WEIGHTS_N_DTYPES;
}

static struct status read_shape(struct weights_array *a, const json_t *shape)
{
    size_t rank = json_array_size(shape);
    if (!json_is_array(shape)) return fail(STATUS_ARG, "shape: expected an array");
    if (rank > WEIGHTS_MAX_RANK) return fail(STATUS_ARG, "shape: got %zu dimensions, expected at most 8", rank);
    a->rank = (int)rank;
    for (size_t i = 0; i < rank; i++) {
        const json_t *d = json_array_get(shape, i);
        if (!json_is_integer(d) || json_integer_value(d) < 0)
            return fail(STATUS_ARG, "shape: dimension %zu is no integer >= 0", i);
        a->shape[i] = json_integer_value(d);
    }
    return ok();
}

/* One tensor's entry; its data must lie inside the data_n bytes at data. */
static struct status read_entry(struct weights_array *a, const json_t *entry, const unsigned char *data, size_t data_n)
{
    if (!json_is_object(entry)) return fail(STATUS_ARG, "expected an object with dtype, shape, data_offsets");
    const char *dtype = json_str(entry, "dtype", NULL);
    if (!dtype) return fail(STATUS_ARG, "dtype: is missing");
    if (!find_dtype(&a->dtype, dtype))
        return fail(STATUS_ARG, "dtype: got %.32s, expected F64, F32, F16, BF16, I64, I32, I16, I8, U8 or BOOL", dtype);
    TRY(read_shape(a, json_object_get(entry, "shape")));
    const json_t *at = json_object_get(entry, "data_offsets"), *b = json_array_get(at, 0), *e = json_array_get(at, 1);
    if (json_array_size(at) != 2 || !json_is_integer(b) || !json_is_integer(e))
        return fail(STATUS_ARG, "data_offsets: expected [begin, end]");
    int64_t begin = json_integer_value(b), end = json_integer_value(e);
    if (begin < 0 || end < begin || (uint64_t)end > data_n)
        return fail(
            STATUS_ARG,
            "data_offsets: got [%lld, %lld], expected them inside the file's %zu bytes of data; is the file cut off?",
            (long long)begin, (long long)end, data_n);
    size_t numel;
    if (!weights_extent(&numel, &a->bytes, a->shape, a->rank, a->dtype))
        return fail(STATUS_ARG, "shape: its size does not fit 64 bits");
    if (a->bytes != (size_t)(end - begin))
        return fail(STATUS_ARG, "data_offsets: got %lld bytes, expected %zu by dtype and shape",
                    (long long)(end - begin), a->bytes);
    a->data = data + begin;
    return ok();
}

static int by_data(const void *a, const void *b)
{
    const struct weights_array *x = a, *y = b;
    if (x->data != y->data) return (const char *)x->data < (const char *)y->data ? -1 : 1;
    return x->bytes != y->bytes ? (x->bytes < y->bytes ? -1 : 1) : strcmp(x->name, y->name);
}

/* In file order the tensors must tile the data: no overlap, no hole. */
static struct status check_tiling(struct weights *w, const char *where, const unsigned char *data, size_t data_n)
{
    qsort(w->a, w->n, sizeof *w->a, by_data);
    size_t at = 0;
    for (size_t i = 0; i < w->n; i++) {
        size_t begin = (size_t)((const unsigned char *)w->a[i].data - data);
        if (begin != at)
            return fail(STATUS_ARG, "%s: tensor %s: begins at byte %zu, expected %zu: %s", where, w->a[i].name, begin,
                        at, begin < at ? "it overlaps the one before" : "bytes before it belong to no tensor");
        at += w->a[i].bytes;
    }
    if (at != data_n) return fail(STATUS_ARG, "%s: %zu bytes after the last tensor belong to none", where, data_n - at);
    return ok();
}

static struct status read_meta(struct weights *out, json_t *meta, const char *where)
{
    if (!json_is_object(meta)) return fail(STATUS_ARG, "%s: __metadata__: expected an object", where);
    const char *key;
    json_t *value;
    json_object_foreach(meta, key, value)
    {
        if (!json_is_string(value)) return fail(STATUS_ARG, "%s: __metadata__: %s: expected a string", where, key);
    }
    out->meta = json_incref(meta);
    return ok();
}

static struct status read_header(struct weights *out, const char *where, json_t *header, const unsigned char *data,
                                 size_t data_n)
{
    if (!json_is_object(header)) return fail(STATUS_ARG, "%s: header: expected a JSON object", where);
    out->a = arena_alloc(&out->arena, json_object_size(header) * sizeof *out->a);
    const char *name;
    json_t *entry;
    json_object_foreach(header, name, entry)
    {
        if (!strcmp(name, "__metadata__")) {
            TRY(read_meta(out, entry, where));
            continue;
        }
        struct weights_array *a = &out->a[out->n++];
        a->name = arena_strdup(&out->arena, name);
        TRY(status_at(read_entry(a, entry, data, data_n), "%s: tensor %s", where, name));
    }
    TRY(check_tiling(out, where, data, data_n));
    for (size_t i = 0; i < out->n; i++) {
        struct weights_array *a = &out->a[i];
        a->data = weights_aligned(&out->arena, a->data, a->bytes, weights_dtype_size(a->dtype));
    }
    return ok();
}

struct status weights_parse_safetensors(struct weights *out, struct weights_bytes b)
{
    if (b.n < 8) return fail(STATUS_ARG, "%s: is %zu bytes long, expected a safetensors header", b.where, b.n);
    uint64_t n = weights_le(b.p, 8), swapped = __builtin_bswap64(n);
    if (n > HEADER_MAX && swapped <= b.n - 8)
        return fail(STATUS_ARG, "%s: header: its length is in the other byte order: safetensors are little-endian",
                    b.where);
    if (n > HEADER_MAX)
        return fail(STATUS_ARG, "%s: header: length is %llu, expected at most %d: not safetensors, or corrupt", b.where,
                    (unsigned long long)n, HEADER_MAX);
    if (n > b.n - 8)
        return fail(STATUS_ARG, "%s: header: length is %llu, but only %zu bytes follow; is the file cut off?", b.where,
                    (unsigned long long)n, b.n - 8);
    char *where = arena_printf(&out->arena, "%s: header", b.where);
    json_t *header;
    TRY(json_parse(&header, where, (const char *)b.p + 8, n));
    struct status s = read_header(out, b.where, header, b.p + 8 + n, b.n - 8 - n);
    json_decref(header);
    return s;
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

/* Widest elements first, so that every array is aligned without holes; the caller's order within a width. */
static size_t *write_order(const struct weights_array *a, size_t n)
{
    size_t *order = mem_alloc(n * sizeof *order), k = 0;
    for (size_t size = 8; size; size /= 2) {
        for (size_t i = 0; i < n; i++) {
            if (weights_dtype_size(a[i].dtype) == size) order[k++] = i;
        }
    }
    return order;
}

static json_t *describe(const struct weights_array *a, size_t *at)
{
    json_t *shape = json_array();
    for (int i = 0; i < a->rank; i++) json_array_append_new(shape, json_integer(a->shape[i]));
    size_t begin = *at;
    *at += a->bytes;
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", weights_dtype_name(a->dtype), "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)*at);
}

/* Header text padded with spaces to a multiple of 8. */
static struct status make_header(struct str *text, const char *path, const struct weights_array *a, const size_t *order,
                                 size_t n, const json_t *meta)
{
    json_t *header = json_object();
    struct status s = ok();
    if (meta) json_object_set_new(header, "__metadata__", json_deep_copy(meta));
    size_t at = 0;
    for (size_t i = 0; i < n && s.code == STATUS_OK; i++) {
        const struct weights_array *x = &a[order[i]];
        size_t numel, bytes;
        CHECK(weights_extent(&numel, &bytes, x->shape, x->rank, x->dtype) && bytes == x->bytes, "%s: bytes", x->name);
        if (json_object_get(header, x->name))
            s = fail(STATUS_ARG, "%s: tensor %s: is there twice", path, x->name);
        else if (json_object_set_new(header, x->name, describe(x, &at)) != 0)
            s = fail(STATUS_ARG, "%s: a tensor's name is not UTF-8", path);
    }
    if (s.code == STATUS_OK) {
        char *json = json_dumps(header, JSON_COMPACT);
        str_add(text, json);
        free(json);
        while (text->n % 8) str_add(text, " ");
    }
    json_decref(header);
    return s;
}

struct status weights_save(const char *path, const struct weights_array *a, size_t n, const json_t *meta)
{
    size_t *order = write_order(a, n);
    struct str header = {0};
    struct fs_file f;
    struct status s = make_header(&header, path, a, order, n, meta);
    if (s.code == STATUS_OK) s = fs_begin(&f, path);
    if (s.code == STATUS_OK) {
        unsigned char length[8];
        for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)header.n >> 8 * i);
        bool good = fwrite(length, 1, 8, f.f) == 8 && fwrite(header.s, 1, header.n, f.f) == header.n;
        for (size_t i = 0; i < n && good; i++) {
            const struct weights_array *x = &a[order[i]];
            good = !x->bytes || fwrite(x->data, 1, x->bytes, f.f) == x->bytes;
        }
        if (good)
            s = fs_commit(&f);
        else {
            s = fail(STATUS_IO, "%s: cannot write: %s", path, strerror(errno));
            fs_abort(&f);
        }
    }
    str_free(&header);
    free(order);
    return s;
}
