/*
 * What PyTorch's pickles mean: storages behind persistent ids, the functions that rebuild tensors, and the way from
 * the unpickled object to a list of arrays.
 */
#include "inside.h"

enum { STORAGES_MAX = 65535 }; /* as many as a zip has entries */

static struct status want_int(int64_t *out, struct pickle *p, const struct pickle_value *v, const char *what)
{
    if (v->kind != PICKLE_INT || v->integer < 0) return weights_pickle_fail(p, "%s: expected an integer >= 0", what);
    *out = v->integer;
    return ok();
}

static struct status want_ints(int64_t *out, int *rank, struct pickle *p, const struct pickle_value *v,
                               const char *what)
{
    if (v->kind != PICKLE_TUPLE && v->kind != PICKLE_LIST) return weights_pickle_fail(p, "%s: expected a tuple", what);
    if (v->seq.n > WEIGHTS_MAX_RANK)
        return weights_pickle_fail(p, "%s: got %zu dimensions, expected at most 8", what, v->seq.n);
    *rank = (int)v->seq.n;
    for (size_t i = 0; i < v->seq.n; i++) TRY(want_int(&out[i], p, v->seq.v[i], what));
    return ok();
}

/* Where the key is in the table, or would be. */
static struct pickle_storage **slot_of(const struct pickle *p, const char *key)
{
    size_t i = hash_fnv1a(key, strlen(key)) & (p->cap_by_key - 1);
    while (p->by_key[i] && strcmp(p->by_key[i]->key, key) != 0) i = (i + 1) & (p->cap_by_key - 1);
    return &p->by_key[i];
}

struct pickle_storage *weights_pickle_storage(const struct pickle *p, const char *key)
{
    return p->cap_by_key ? *slot_of(p, key) : NULL;
}

static void keep_storage(struct pickle *p, struct pickle_storage *s)
{
    p->storages = s;
    if (2 * (size_t)++p->n_storages > p->cap_by_key) {
        p->cap_by_key = p->cap_by_key ? 2 * p->cap_by_key : 64;
        free(p->by_key);
        p->by_key = mem_zalloc(p->cap_by_key * sizeof(struct pickle_storage *));
        for (struct pickle_storage *x = s->next; x; x = x->next) *slot_of(p, x->key) = x;
    }
    *slot_of(p, s->key) = s;
}

/* ("storage", class, key, device, elements[, view]) */
struct status weights_pickle_persistent(struct pickle_value **out, struct pickle *p, const struct pickle_value *id)
{
    struct pickle_value *const *v = id->seq.v;
    bool good = id->kind == PICKLE_TUPLE && id->seq.n >= 5 && v[0]->kind == PICKLE_STRING &&
                !strcmp(v[0]->text.s, "storage") && v[1]->kind == PICKLE_GLOBAL && v[1]->global->storage &&
                v[2]->kind == PICKLE_STRING;
    if (!good) return weights_pickle_fail(p, "a persistent id is no storage of a known element type");
    if (id->seq.n > 5 && v[5]->kind != PICKLE_NONE)
        return weights_pickle_fail(p, "a storage is a view of another: not supported");
    int64_t numel = 0;
    TRY(want_int(&numel, p, v[4], "storage size"));
    struct pickle_storage *s = weights_pickle_storage(p, v[2]->text.s);
    if (s && (s->dtype != v[1]->global->dtype || s->numel != numel))
        return weights_pickle_fail(p, "storage %.40s is described twice, differently", s->key);
    if (!s) {
        if (p->n_storages == STORAGES_MAX) return weights_pickle_fail(p, "has more than %d storages", STORAGES_MAX);
        s = arena_alloc(p->arena, sizeof *s);
        *s = (struct pickle_storage){
            .key = v[2]->text.s, .dtype = v[1]->global->dtype, .numel = numel, .next = p->storages};
        keep_storage(p, s);
    }
    *out = weights_pickle_new(p, PICKLE_STORAGE);
    (*out)->storage = s;
    return ok();
}

/* (storage, offset, size, stride, ...): all elements must lie in the storage, and be no more than it has. */
static struct status rebuild_tensor(struct pickle_value **out, struct pickle *p, const struct pickle_value *args)
{
    if (args->seq.n < 4 || args->seq.v[0]->kind != PICKLE_STORAGE)
        return weights_pickle_fail(p, "a tensor without storage");
    struct pickle_tensor *t = arena_alloc(p->arena, sizeof *t);
    int rank;
    t->storage = args->seq.v[0]->storage;
    if (!t->storage->tensor) t->storage->tensor = weights_pickle_name(p);
    TRY(want_int(&t->offset, p, args->seq.v[1], "tensor offset"));
    TRY(want_ints(t->shape, &t->rank, p, args->seq.v[2], "tensor size"));
    TRY(want_ints(t->stride, &rank, p, args->seq.v[3], "tensor stride"));
    if (rank != t->rank) return weights_pickle_fail(p, "a tensor has %d sizes and %d strides", t->rank, rank);
    size_t numel, bytes;
    if (!weights_extent(&numel, &bytes, t->shape, t->rank, t->storage->dtype) || numel > (uint64_t)t->storage->numel)
        return weights_pickle_fail(p, "a tensor has more elements than its storage %.40s (an expanded view?)",
                                   t->storage->key);
    int64_t last = t->offset;
    for (int i = 0; i < t->rank && numel; i++) {
        int64_t step;
        if (t->shape[i] == 1) t->stride[i] = 0; /* it may be anything */
        if (__builtin_mul_overflow(t->shape[i] - 1, t->stride[i], &step) || __builtin_add_overflow(last, step, &last))
            return weights_pickle_fail(p, "a tensor's strides overflow");
    }
    if (numel ? last >= t->storage->numel : last > t->storage->numel)
        return weights_pickle_fail(p, "a tensor reaches element %lld of storage %.40s, which has %lld", (long long)last,
                                   t->storage->key, (long long)t->storage->numel);
    *out = weights_pickle_new(p, PICKLE_TENSOR);
    (*out)->tensor = t;
    return ok();
}

static struct status rebuild_parameter(struct pickle_value **out, struct pickle *p, const struct pickle_value *args)
{
    if (!args->seq.n || args->seq.v[0]->kind != PICKLE_TENSOR)
        return weights_pickle_fail(p, "a parameter without tensor");
    *out = args->seq.v[0];
    return ok();
}

static struct status ordered_dict(struct pickle_value **out, struct pickle *p, const struct pickle_value *args)
{
    if (args->seq.n) return weights_pickle_fail(p, "OrderedDict: expected no arguments");
    *out = weights_pickle_new(p, PICKLE_DICT);
    return ok();
}

static struct status first_argument(struct pickle_value **out, struct pickle *p, const struct pickle_value *args)
{
    if (args->seq.n != 1) return weights_pickle_fail(p, "torch.Size: expected one argument");
    *out = args->seq.v[0];
    return ok();
}

static struct status opaque(struct pickle_value **out, struct pickle *p, const struct pickle_value *args)
{
    (void)args;
    *out = weights_pickle_new(p, PICKLE_OPAQUE);
    return ok();
}

#define STORAGE(name_, dtype_)                                                                                         \
    {                                                                                                                  \
        .module = "torch", .name = name_, .dtype = dtype_, .storage = true                                             \
    }
static const struct pickle_global globals[] = {
    {.module = "torch._utils", .name = "_rebuild_tensor_v2", .call = rebuild_tensor},
    {.module = "torch._utils", .name = "_rebuild_tensor", .call = rebuild_tensor},
    {.module = "torch._utils", .name = "_rebuild_parameter", .call = rebuild_parameter},
    {.module = "collections", .name = "OrderedDict", .call = ordered_dict},
    {.module = "torch", .name = "Size", .call = first_argument},
    {.module = "torch", .name = "device", .call = opaque},
    STORAGE("DoubleStorage", WEIGHTS_F64),
    STORAGE("FloatStorage", WEIGHTS_F32),
    STORAGE("HalfStorage", WEIGHTS_F16),
    STORAGE("BFloat16Storage", WEIGHTS_BF16),
    STORAGE("LongStorage", WEIGHTS_I64),
    STORAGE("IntStorage", WEIGHTS_I32),
    STORAGE("ShortStorage", WEIGHTS_I16),
    STORAGE("CharStorage", WEIGHTS_I8),
    STORAGE("ByteStorage", WEIGHTS_U8),
    STORAGE("BoolStorage", WEIGHTS_BOOL),
};

const struct pickle_global *weights_pickle_find_global(const char *module, const char *name)
{
    for (size_t i = 0; i < LEN(globals); i++) {
        if (!strcmp(globals[i].module, module) && !strcmp(globals[i].name, name)) return &globals[i];
    }
    return NULL;
}

/* ---- from the object to arrays --------------------------------------------------------------------------------- */

static size_t count_tensors(const struct pickle_value *dict)
{
    size_t n = 0;
    for (size_t i = 0; i + 1 < dict->seq.n; i += 2) {
        n += dict->seq.v[i]->kind == PICKLE_STRING && dict->seq.v[i + 1]->kind == PICKLE_TENSOR;
    }
    return n;
}

/* The mapping that holds most tensors: the object itself, or a member ("state_dict", "model", ...). The first wins. */
static void find_mapping(struct pickle_value **best, size_t *most, struct pickle_value *v, int depth)
{
    if (v->kind != PICKLE_DICT || v->seen || depth > 4) return;
    v->seen = true;
    size_t n = count_tensors(v);
    if (n > *most) *most = n, *best = v;
    for (size_t i = 1; i < v->seq.n; i += 2) find_mapping(best, most, v->seq.v[i], depth + 1);
}

static bool is_contiguous(const struct pickle_tensor *t)
{
    int64_t expect = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        if (t->shape[i] != 1 && t->stride[i] != expect) return false;
        expect *= t->shape[i];
    }
    return true;
}

/* Elements in row-major order from any strides. */
static const void *gather(struct arena *a, const struct pickle_tensor *t, size_t numel, size_t size)
{
    unsigned char *out = arena_alloc(a, numel * size);
    int64_t at[WEIGHTS_MAX_RANK] = {0}, from = t->offset;
    for (size_t i = 0; i < numel; i++) {
        memcpy(out + i * size, t->storage->data + (size_t)from * size, size);
        for (int d = t->rank - 1; d >= 0; d--) {
            from += t->stride[d];
            if (++at[d] < t->shape[d]) break;
            from -= t->stride[d] * t->shape[d];
            at[d] = 0;
        }
    }
    return out;
}

static struct status make_array(struct weights_array *a, struct arena *arena, const struct pickle *p, const char *name,
                                const struct pickle_tensor *t, size_t *copied)
{
    size_t numel, size = weights_dtype_size(t->storage->dtype);
    a->name = name;
    a->dtype = t->storage->dtype;
    a->rank = t->rank;
    memcpy(a->shape, t->shape, sizeof a->shape);
    weights_extent(&numel, &a->bytes, t->shape, t->rank, a->dtype);
    if (!numel) {
        a->data = "";
        return ok();
    }
    if (!t->storage->data) return fail(STATUS_ARG, "%s: tensor %s: its data is not in the file", p->b.where, name);
    const unsigned char *data = t->storage->data + (size_t)t->offset * size;
    if (is_contiguous(t) && (uintptr_t)data % size == 0) {
        a->data = data;
        return ok();
    }
    *copied += a->bytes; /* many views of one storage must not multiply a small file */
    if (*copied > 4 * p->b.n) return fail(STATUS_ARG, "%s: tensor %s: too many views of one storage", p->b.where, name);
    a->data = is_contiguous(t) ? weights_aligned(arena, data, a->bytes, size) : gather(arena, t, numel, size);
    return ok();
}

struct status weights_pickle_to_weights(struct weights *out, struct pickle *p, struct pickle_value *root)
{
    struct pickle_value *dict = NULL;
    size_t n = 0, copied = 0;
    find_mapping(&dict, &n, root, 0);
    if (!dict) return fail(STATUS_ARG, "%s: holds no mapping from names to tensors; save a state_dict()", p->b.where);
    out->a = arena_alloc(&out->arena, n * sizeof *out->a);
    for (size_t i = 0; i + 1 < dict->seq.n; i += 2) {
        const struct pickle_value *key = dict->seq.v[i], *value = dict->seq.v[i + 1];
        if (key->kind != PICKLE_STRING || value->kind != PICKLE_TENSOR) continue;
        TRY(make_array(&out->a[out->n++], &out->arena, p, key->text.s, value->tensor, &copied));
    }
    return ok();
}
