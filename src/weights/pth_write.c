/* PyTorch's .pth: a zip of uncompressed entries, a pickle that names tensors and a file of bytes for each. */
#include "inside.h"
#include <errno.h>

/* Of the archive: offsets and sizes are 32 bits here, so that every reader takes it. */
static const uint64_t most = UINT32_MAX - 1;

struct zip {
    FILE *f;
    struct str central;
    uint64_t at;
    int n;
    bool bad;
};

static uint32_t crc32_of(const unsigned char *p, size_t n)
{
    static uint32_t table[256];
    if (!table[1])
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;
            for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
            table[i] = c;
        }
    uint32_t crc = ~0u;
    for (size_t i = 0; i < n; i++) crc = table[(crc ^ p[i]) & 255] ^ crc >> 8;
    return ~crc;
}

static void le(struct str *s, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) str_addn(s, &(unsigned char){(unsigned char)(v >> 8 * i)}, 1);
}

static void emit(struct zip *z, const void *p, size_t n)
{
    if (n && fwrite(p, 1, n, z->f) != n) z->bad = true;
    z->at += n;
}

/* What the local and the central header share. The date is 1980's first day: equal content, equal file. */
static void add_entry(struct str *s, const char *name, uint32_t crc, size_t n, size_t extra)
{
    le(s, 20, 2);   /* version needed */
    le(s, 0, 2);    /* flags */
    le(s, 0, 2);    /* stored */
    le(s, 0, 2);    /* time */
    le(s, 0x21, 2); /* date */
    le(s, crc, 4);
    le(s, n, 4);
    le(s, n, 4);
    le(s, strlen(name), 2);
    le(s, extra, 2);
}

/* Data begins at a multiple of 64, as mapping readers want it. */
static void put(struct zip *z, const char *name, const void *p, size_t n)
{
    struct str head = {0};
    uint32_t crc = crc32_of(p, n);
    size_t extra = (64 - (z->at + 30 + strlen(name) + 4) % 64) % 64 + 4;
    str_add(&z->central, "PK\1\2");
    le(&z->central, 20, 2);
    add_entry(&z->central, name, crc, n, 0);
    le(&z->central, 0, 8); /* comment, disk, attributes */
    le(&z->central, 0, 2);
    le(&z->central, z->at, 4);
    str_add(&z->central, name);
    str_add(&head, "PK\3\4");
    add_entry(&head, name, crc, n, extra);
    str_add(&head, name);
    str_add(&head, "FB");
    le(&head, extra - 4, 2);
    for (size_t i = 4; i < extra; i++) str_addn(&head, "", 1);
    emit(z, head.s, head.n);
    emit(z, p, n);
    z->n++;
    str_free(&head);
}

static void finish(struct zip *z)
{
    struct str end = {0};
    uint64_t at = z->at;
    emit(z, z->central.s, z->central.n);
    str_add(&end, "PK\5\6");
    le(&end, 0, 4);
    le(&end, (uint64_t)z->n, 2);
    le(&end, (uint64_t)z->n, 2);
    le(&end, z->central.n, 4);
    le(&end, at, 4);
    le(&end, 0, 2);
    emit(z, end.s, end.n);
    str_free(&end);
}

/* ---- the pickle: protocol 2, only what a state dict needs ------------------------------------------------------- */

static void text(struct str *s, const char *t)
{
    str_add(s, "X");
    le(s, strlen(t), 4);
    str_add(s, t);
}

static void number(struct str *s, int64_t v)
{
    str_add(s, "\x8a\x08"); /* LONG1, 8 bytes */
    le(s, (uint64_t)v, 8);
}

static void tuple(struct str *s, const int64_t *v, int n)
{
    str_add(s, "(");
    for (int i = 0; i < n; i++) number(s, v[i]);
    str_add(s, "t");
}

static const char *const storages[WEIGHTS_N_DTYPES] = {
    [WEIGHTS_F64] = "Double", [WEIGHTS_F32] = "Float", [WEIGHTS_F16] = "Half",  [WEIGHTS_BF16] = "BFloat16",
    [WEIGHTS_I64] = "Long",   [WEIGHTS_I32] = "Int",   [WEIGHTS_I16] = "Short", [WEIGHTS_I8] = "Char",
    [WEIGHTS_U8] = "Byte",    [WEIGHTS_BOOL] = "Bool",
};

static void tensor(struct str *s, const struct weights_array *a, size_t key)
{
    char word[24];
    int64_t stride[WEIGHTS_MAX_RANK] = {0}, step = 1;
    for (int d = a->rank - 1; d >= 0; d--) {
        stride[d] = step;
        step *= a->shape[d] > 1 ? a->shape[d] : 1;
    }
    snprintf(word, sizeof word, "%zu", key);
    str_add(s, "ctorch._utils\n_rebuild_tensor_v2\n((");
    text(s, "storage");
    str_addf(s, "ctorch\n%sStorage\n", storages[a->dtype]);
    text(s, word);
    text(s, "cpu");
    number(s, (int64_t)(a->bytes / weights_dtype_size(a->dtype)));
    str_add(s, "tQ"); /* the storage, by its persistent id */
    number(s, 0);
    tuple(s, a->shape, a->rank);
    tuple(s, stride, a->rank);
    str_add(s, "\x89"); /* wants no gradient */
    str_add(s, "ccollections\nOrderedDict\n)RtR");
}

static void state_dict(struct str *s, const struct weights_array *a, size_t n)
{
    str_add(s, "\x80\x02}(");
    for (size_t i = 0; i < n; i++) {
        text(s, a[i].name);
        tensor(s, &a[i], i);
    }
    str_add(s, "u.");
}

struct status weights_save_pth(const char *path, const struct weights_array *a, size_t n)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += a[i].bytes + 512;
    if (bytes > most || n > 60000)
        return fail(STATUS_ARG, "%s: %zu arrays of %.1f GB are too many for a .pth; write .safetensors", path, n,
                    (double)bytes / 1e9);
    struct fs_file f;
    TRY(fs_begin(&f, path));
    struct zip z = {.f = f.f};
    struct str pickle = {0};
    state_dict(&pickle, a, n);
    put(&z, "archive/data.pkl", pickle.s, pickle.n);
    put(&z, "archive/byteorder", "little", 6);
    for (size_t i = 0; i < n; i++) {
        char name[48];
        snprintf(name, sizeof name, "archive/data/%zu", i);
        put(&z, name, a[i].data, a[i].bytes);
    }
    put(&z, "archive/version", "3\n", 2);
    finish(&z);
    str_free(&pickle);
    str_free(&z.central);
    if (!z.bad) return fs_commit(&f);
    struct status s = fail(STATUS_IO, "%s: cannot write: %s", path, strerror(errno));
    fs_abort(&f);
    return s;
}
