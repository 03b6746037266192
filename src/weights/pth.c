/*
 * The containers of a .pth file. Zip (PyTorch >= 1.6): NAME/data.pkl, NAME/data/KEY, stored, never compressed. Legacy:
 * pickles of a magic number, a version, the machine, the object and the storage keys, then the storages one by one.
 * Source: APPNOTE.TXT of PKWARE 4.3; torch/serialization.py.
 */
#include "inside.h"

/* What is wrong with a storage, under the name of the first tensor in it. */
PRINTF(3, 4)
static struct status bad_storage(const char *where, const struct pickle_storage *s, const char *fmt, ...)
{
    char what[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    if (!s->tensor) return fail(STATUS_ARG, "%s: storage %.40s: %s", where, s->key, what);
    return fail(STATUS_ARG, "%s: tensor %.60s: storage %.40s: %s", where, s->tensor, s->key, what);
}

/* ---- zip ------------------------------------------------------------------------------------------------------- */

enum { ZIP_END = 22, ZIP_CENTRAL = 46, ZIP_LOCAL = 30 };

struct entry {
    const char *name; /* not terminated */
    size_t n_name;
    const unsigned char *data;
    size_t n;
};

struct zip {
    struct weights_bytes b;
    struct entry *e;
    size_t n;
};

static struct status bad_zip(const struct zip *z, const char *what)
{
    return fail(STATUS_ARG, "%s: zip: %s; is the file cut off or corrupt?", z->b.where, what);
}

/* The end record may be followed by a comment of up to 65535 bytes. */
static const unsigned char *find_end(struct weights_bytes b)
{
    for (size_t back = ZIP_END; back <= b.n && back <= ZIP_END + 65535; back++) {
        const unsigned char *p = b.p + b.n - back;
        if (!memcmp(p, "PK\5\6", 4)) return p;
    }
    return NULL;
}

/* Central record at *at -> entry; *at moves to the next. */
static struct status read_entry(struct entry *e, const struct zip *z, size_t *at)
{
    const unsigned char *c = z->b.p + *at;
    if (z->b.n - *at < ZIP_CENTRAL || memcmp(c, "PK\1\2", 4) != 0)
        return bad_zip(z, "no entry where its directory says");
    size_t tail = weights_le(c + 28, 2) + weights_le(c + 30, 2) + weights_le(c + 32, 2);
    if (z->b.n - *at - ZIP_CENTRAL < tail) return bad_zip(z, "its directory is cut off");
    e->name = (const char *)c + ZIP_CENTRAL;
    e->n_name = weights_le(c + 28, 2);
    *at += ZIP_CENTRAL + tail;
    int shown = (int)(e->n_name < 80 ? e->n_name : 80);
    if (weights_le(c + 8, 2) & 1) return fail(STATUS_ARG, "%s: zip: %.*s is encrypted", z->b.where, shown, e->name);
    if (weights_le(c + 10, 2) != 0)
        return fail(STATUS_ARG,
                    "%s: zip: %.*s is compressed, which torch.save never does; load and save it with PyTorch",
                    z->b.where, shown, e->name);
    uint64_t packed = weights_le(c + 20, 4), size = weights_le(c + 24, 4), local = weights_le(c + 42, 4);
    if (size == 0xffffffff || local == 0xffffffff)
        return fail(STATUS_ARG, "%s: zip: %.*s lies beyond 4 GiB: convert the file to safetensors", z->b.where, shown,
                    e->name);
    if (packed != size) return bad_zip(z, "a stored entry has two sizes");
    if (local > z->b.n || z->b.n - local < ZIP_LOCAL || memcmp(z->b.p + local, "PK\3\4", 4) != 0)
        return bad_zip(z, "an entry's header is not where the directory says");
    const unsigned char *l = z->b.p + local;
    uint64_t start = local + ZIP_LOCAL + weights_le(l + 26, 2) + weights_le(l + 28, 2);
    if (start > z->b.n || z->b.n - start < size) return bad_zip(z, "an entry's data reaches past the end");
    e->data = z->b.p + start;
    e->n = size;
    return ok();
}

static int by_entry_name(const void *pa, const void *pb)
{
    const struct entry *a = pa, *b = pb;
    size_t n = a->n_name < b->n_name ? a->n_name : b->n_name;
    int order = n ? memcmp(a->name, b->name, n) : 0;
    return order ? order : (a->n_name > b->n_name) - (a->n_name < b->n_name);
}

static struct status read_directory(struct zip *z, struct arena *a)
{
    const unsigned char *end = find_end(z->b);
    if (!end) return bad_zip(z, "its directory is missing");
    size_t n = weights_le(end + 10, 2), at = weights_le(end + 16, 4);
    if (n == 0xffff || at == 0xffffffff)
        return fail(STATUS_ARG, "%s: zip: too large; convert it to safetensors", z->b.where);
    if (at > z->b.n || n > (z->b.n - at) / ZIP_CENTRAL) return bad_zip(z, "its directory lies outside the file");
    z->e = arena_alloc(a, n * sizeof *z->e);
    for (z->n = 0; z->n < n; z->n++) TRY(read_entry(&z->e[z->n], z, &at));
    if (n) qsort(z->e, n, sizeof *z->e, by_entry_name);
    return ok();
}

/* What lies beside the root under a name. */
static const struct entry *find_entry(const struct zip *z, const struct entry *root, const char *name)
{
    struct str path = {0};
    str_addn(&path, root->name, root->n_name - strlen("data.pkl"));
    str_add(&path, name);
    const struct entry key = {.name = path.s, .n_name = path.n};
    const struct entry *found = z->n ? bsearch(&key, z->e, z->n, sizeof key, by_entry_name) : NULL;
    str_free(&path);
    return found;
}

static const struct entry *find_root(const struct zip *z)
{
    const size_t n = strlen("data.pkl");
    for (size_t i = 0; i < z->n; i++) {
        const struct entry *e = &z->e[i];
        if (e->n_name >= n && !memcmp(e->name + e->n_name - n, "data.pkl", n) &&
            (e->n_name == n || e->name[e->n_name - n - 1] == '/'))
            return e;
    }
    return NULL;
}

static struct status attach_entries(struct pickle *p, const struct zip *z, const struct entry *root)
{
    char name[300];
    for (struct pickle_storage *s = p->storages; s; s = s->next) {
        snprintf(name, sizeof name, "data/%.200s", s->key);
        const struct entry *e = find_entry(z, root, name);
        if (!e) return bad_storage(z->b.where, s, "no entry %.60s in the zip", name);
        size_t size = weights_dtype_size(s->dtype);
        if ((uint64_t)s->numel != e->n / size || e->n % size)
            return bad_storage(z->b.where, s, "got %zu bytes, expected %lld elements of %zu", e->n, (long long)s->numel,
                               size);
        s->data = e->data;
    }
    return ok();
}

struct status weights_parse_zip(struct weights *out, struct weights_bytes b)
{
    struct arena *a = &out->arena;
    struct zip z = {.b = b};
    TRY(read_directory(&z, a));
    const struct entry *root = find_root(&z);
    if (!root) return fail(STATUS_ARG, "%s: is a zip without data.pkl, expected what torch.save writes", b.where);
    const struct entry *order = find_entry(&z, root, "byteorder");
    if (order && (order->n != 6 || memcmp(order->data, "little", 6) != 0))
        return fail(STATUS_ARG, "%s: byte order: got %.*s, expected little", b.where,
                    (int)(order->n < 16 ? order->n : 16), (const char *)order->data);
    struct pickle p = {.b = {b.where, root->data, root->n}, .arena = a};
    struct pickle_value *value;
    struct status s = weights_pickle_load(&value, &p);
    if (s.code == STATUS_OK) s = attach_entries(&p, &z, root);
    p.b = b;
    if (s.code == STATUS_OK) s = weights_pickle_to_weights(out, &p, value);
    weights_pickle_free(&p);
    return s;
}

/* ---- legacy ------------------------------------------------------------------------------------------------------ */

static const unsigned char magic[10] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

static struct status check_machine(const struct pickle *p, const struct pickle_value *info)
{
    for (size_t i = 0; info->kind == PICKLE_DICT && i + 1 < info->seq.n; i += 2) {
        const struct pickle_value *k = info->seq.v[i], *v = info->seq.v[i + 1];
        if (k->kind != PICKLE_STRING || strcmp(k->text.s, "little_endian") != 0) continue;
        return v->kind == PICKLE_BOOL && v->boolean
                   ? ok()
                   : fail(STATUS_ARG, "%s: was written on a big-endian machine; load and save it with PyTorch",
                          p->b.where);
    }
    return fail(STATUS_ARG, "%s: does not say its byte order: not a .pth file, or corrupt", p->b.where);
}

/* For each key in turn: element count, data. */
static struct status attach_tail(struct pickle *p, const struct pickle_value *keys)
{
    if (keys->kind != PICKLE_LIST) return weights_pickle_fail(p, "expected the list of storages");
    for (size_t i = 0; i < keys->seq.n; i++) {
        const struct pickle_value *k = keys->seq.v[i];
        struct pickle_storage *s = k->kind == PICKLE_STRING ? weights_pickle_storage(p, k->text.s) : NULL;
        if (!s) return weights_pickle_fail(p, "a storage that no tensor uses");
        size_t size = weights_dtype_size(s->dtype);
        if (p->b.n - p->at < 8 || (p->b.n - p->at - 8) / size < (uint64_t)s->numel)
            return bad_storage(p->b.where, s, "is cut off");
        uint64_t numel = weights_le(p->b.p + p->at, 8);
        if (numel != (uint64_t)s->numel)
            return bad_storage(p->b.where, s, "got %llu elements, expected %lld", (unsigned long long)numel,
                               (long long)s->numel);
        s->data = p->b.p + p->at + 8;
        p->at += 8 + (size_t)s->numel * size;
    }
    return ok();
}

static struct status read_legacy(struct weights *out, struct pickle *p)
{
    struct pickle_value *head, *version, *machine, *root, *keys;
    TRY(weights_pickle_load(&head, p));
    if (head->kind != PICKLE_BIG || head->text.n != sizeof magic || memcmp(head->text.s, magic, sizeof magic) != 0)
        return fail(STATUS_ARG, "%s: is a pickle, but not one that torch.save writes", p->b.where);
    TRY(weights_pickle_load(&version, p));
    if (version->kind != PICKLE_INT || version->integer != 1001)
        return fail(STATUS_ARG, "%s: is of another version of PyTorch's legacy format than 1001", p->b.where);
    TRY(weights_pickle_load(&machine, p));
    TRY(check_machine(p, machine));
    TRY(weights_pickle_load(&root, p));
    TRY(weights_pickle_load(&keys, p));
    TRY(attach_tail(p, keys));
    return weights_pickle_to_weights(out, p, root);
}

struct status weights_parse_legacy(struct weights *out, struct weights_bytes b)
{
    struct pickle p = {.b = b, .arena = &out->arena};
    struct status s = read_legacy(out, &p);
    weights_pickle_free(&p);
    return s;
}
