/*
 * Reading a Core ML package's structure back: the manifest's items, the program's operations, and that each weight lies
 * whole in the weights file. Every byte is distrusted; depth is bounded because each kind of message is read by its own
 * function.
 */
#include "coreml.h"

/* Field numbers. */
enum { MODEL_VERSION = 1, MODEL_PROGRAM = 502, PROGRAM_FUNCTIONS = 2, FUNCTION_BLOCKS = 3, MAP_VALUE = 2 };
enum { BLOCK_OPERATION = 3, OP_ATTRIBUTE = 5, VALUE_BLOB = 5, BLOB_OFFSET = 2 };
enum { BLOB_HEAD = 64, LEAST_VERSION = 6 };

struct reader {
    struct export_package *p;
    const uint8_t *weights;
    size_t n_weights;
};
typedef struct status field_fn(struct reader *r, const struct pb_field *f);

static struct status each(struct reader *r, const struct pb_field *message, const char *what, field_fn *fn)
{
    TRY(pb_want(message, PB_BYTES, what));
    struct pb m = message->sub;
    struct pb_field f;
    for (bool more;;) {
        TRY(pb_next(&m, &f, &more));
        if (!more) return ok();
        TRY(fn(r, &f));
    }
}

static uint64_t number(const uint8_t *p, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++) v |= (uint64_t)p[i] << 8 * i;
    return v;
}

/* The head at this place says where its data is; both must lie inside. */
static struct status blob(struct reader *r, const struct pb_field *f)
{
    if (f->field != BLOB_OFFSET) return ok();
    TRY(pb_want(f, PB_VARINT, "a weight's place"));
    uint64_t at = f->v, n = r->n_weights;
    if (n < BLOB_HEAD || at > n - BLOB_HEAD || number(r->weights + at, 4) != 0xDEADBEEF)
        return fail(STATUS_ARG, "%s: a weight is said to be at byte %llu, where there is none", f->sub.where,
                    (unsigned long long)at);
    uint64_t bytes = number(r->weights + at + 8, 8), data = number(r->weights + at + 16, 8);
    if (data > n || bytes > n - data)
        return fail(STATUS_ARG, "%s: the weight at byte %llu is longer than its file: is it cut?", f->sub.where,
                    (unsigned long long)at);
    r->p->n_weights++;
    r->p->bytes_weights += (int64_t)bytes;
    return ok();
}

static struct status value(struct reader *r, const struct pb_field *f)
{
    return f->field == VALUE_BLOB ? each(r, f, "a place in a file", blob) : ok();
}

static struct status attribute(struct reader *r, const struct pb_field *f)
{
    return f->field == MAP_VALUE ? each(r, f, "a value", value) : ok();
}

static struct status operation(struct reader *r, const struct pb_field *f)
{
    return f->field == OP_ATTRIBUTE ? each(r, f, "an attribute", attribute) : ok();
}

static struct status block(struct reader *r, const struct pb_field *f)
{
    if (f->field != BLOCK_OPERATION) return ok();
    r->p->n_operations++;
    return each(r, f, "an operation", operation);
}

static struct status block_entry(struct reader *r, const struct pb_field *f)
{
    return f->field == MAP_VALUE ? each(r, f, "a block", block) : ok();
}

static struct status function(struct reader *r, const struct pb_field *f)
{
    return f->field == FUNCTION_BLOCKS ? each(r, f, "a block", block_entry) : ok();
}

static struct status function_entry(struct reader *r, const struct pb_field *f)
{
    return f->field == MAP_VALUE ? each(r, f, "a function", function) : ok();
}

static struct status program(struct reader *r, const struct pb_field *f)
{
    return f->field == PROGRAM_FUNCTIONS ? each(r, f, "a function", function_entry) : ok();
}

static struct status model(struct reader *r, const struct pb_field *f)
{
    if (f->field == MODEL_VERSION) {
        TRY(pb_want(f, PB_VARINT, "the specification's version"));
        r->p->specification = f->v > 1000 ? 1000 : (int)f->v;
    }
    return f->field == MODEL_PROGRAM ? each(r, f, "the program", program) : ok();
}

struct status export_coreml_parse(struct export_package *out, const char *where, const void *p, size_t n,
                                  const void *weights, size_t n_weights)
{
    *out = (struct export_package){.specification = 0};
    struct reader r = {.p = out, .weights = weights, .n_weights = n_weights};
    struct pb_field whole = {.wire = PB_BYTES,
                             .sub = {.p = p, .end = (const uint8_t *)p + n, .base = p, .where = where}};
    TRY(each(&r, &whole, "the model", model));
    if (out->specification < LEAST_VERSION || out->n_operations == 0)
        return fail(STATUS_ARG, "%s: got specification %d with %d operations, expected an ML Program (%d or later)",
                    where, out->specification, out->n_operations, LEAST_VERSION);
    return ok();
}

/* The items that the manifest names are there. */
static struct status check_manifest(struct arena *a, const char *path)
{
    const char *file = arena_printf(a, "%s/Manifest.json", path), *key;
    char *text;
    size_t n;
    json_t *j = NULL, *v;
    TRY(fs_read(&text, &n, file));
    struct status s = json_parse(&j, file, text, n);
    free(text);
    TRY(s);
    json_t *items = json_object_get(j, "itemInfoEntries");
    if (!json_object_get(items, json_str(j, "rootModelIdentifier", "")))
        s = fail(STATUS_ARG, "%s: names no model", file);
    json_object_foreach(items, key, v)
    {
        const char *item = json_str(v, "path", "");
        if (s.code == STATUS_OK && !fs_exists(arena_printf(a, "%s/Data/%s", path, item)))
            s = fail(STATUS_ARG, "%s: names %s, which is not there", file, item);
    }
    json_decref(j);
    return s;
}

struct status export_coreml_read(struct export_package *out, const char *path)
{
    struct arena a = {0};
    char *text = NULL, *weights = NULL;
    size_t n = 0, n_weights = 0;
    const char *inside = arena_printf(&a, "%s/Data/com.apple.CoreML", path);
    const char *file = arena_printf(&a, "%s/model.mlmodel", inside);
    struct status s = check_manifest(&a, path);
    if (s.code == STATUS_OK) s = fs_read(&text, &n, file);
    if (s.code == STATUS_OK) s = fs_read(&weights, &n_weights, arena_printf(&a, "%s/weights/weight.bin", inside));
    if (s.code == STATUS_OK) s = export_coreml_parse(out, file, text, n, weights, n_weights);
    free(text);
    free(weights);
    arena_free(&a);
    return s;
}
