/* Files of weights that must be refused, each made here byte by byte, and what the refusal must say. */
#ifndef SWEEP_TEST_MALFORMED_H
#define SWEEP_TEST_MALFORMED_H

#include "test.h"
#include <sys/stat.h>
#include <unistd.h>

struct malformed {
    const char *name; /* of the file */
    void (*make)(struct str *out, const struct malformed *m);
    void (*place)(const char *path); /* something that is no file of bytes; NULL: what make() gives */
    const char *text;                /* what make() works on */
    size_t n;
    size_t data;               /* safetensors: bytes behind the header */
    const char *tensor, *says; /* parts of the message; tensor NULL: none can be named */
};

/* ---- safetensors ------------------------------------------------------------------------------------------------ */

/* The header's text, its length before it, zeros behind it. */
static inline void malformed_safetensors(struct str *out, const struct malformed *m)
{
    uint64_t n = m->n;
    char zero[64] = {0};
    str_addn(out, &n, sizeof n);
    str_addn(out, m->text, m->n);
    str_addn(out, zero, m->data);
}

static inline void malformed_swapped(struct str *out, const struct malformed *m)
{
    uint64_t n = __builtin_bswap64((uint64_t)m->n);
    str_addn(out, &n, sizeof n);
    str_addn(out, m->text, m->n);
}

/* A header that says that it is longer than what follows. */
static inline void malformed_long_header(struct str *out, const struct malformed *m)
{
    uint64_t n = m->n + 1000;
    str_addn(out, &n, sizeof n);
    str_addn(out, m->text, m->n);
}

static inline void malformed_bytes(struct str *out, const struct malformed *m)
{
    str_addn(out, m->text, m->n);
}

/* ---- .pth of the old form: four pickles, then the storages ------------------------------------------------------- */

#define MALFORMED_MAGIC "\x80\2\x8a\nl\xfc\x9c\x46\xf9\x20\x6a\xa8P\x19.\x80\2M\xe9\3."
#define MALFORMED_ORDER "\x80\2}X\x0d\0\0\0little_endian"

static inline void malformed_legacy(struct str *out, const struct malformed *m)
{
    static const char head[] = MALFORMED_MAGIC MALFORMED_ORDER "\x88s.";
    str_addn(out, head, sizeof head - 1);
    str_addn(out, m->text, m->n);
}

/* More storages than any checkpoint has; each entry is a tensor of one element in a storage of its own. */
static inline void malformed_many(struct str *out, const struct malformed *m)
{
    malformed_legacy(out, &(struct malformed){.text = "\x80\2}", .n = 3});
    for (int i = 0; i < 70000; i++) {
        char key[12];
        int n = snprintf(key, sizeof key, "%d", i);
        str_addf(out, "U%c%sctorch._utils\n_rebuild_tensor_v2\n((U", n, key);
        str_addf(out, "\7storagectorch\nFloatStorage\nU%c%sU\3cpuK\1tQK", n, key);
        str_addn(out, "\0K\1\x85K\1\x85tRs", 10);
    }
    str_addn(out, m->text, m->n);
}

#define MALFORMED_STORAGE(numel)                                                                                       \
    "(U\7storagectorch\nFloatStorage\nU\1"                                                                             \
    "0U\3cpuK" numel "tQ"
#define MALFORMED_TENSOR "\x80\2}U\1wctorch._utils\n_rebuild_tensor_v2\n("

/* ---- .pth of the new form: a zip --------------------------------------------------------------------------------- */

static inline void malformed_le(struct str *out, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) str_addn(out, (char[]){(char)(v >> 8 * i)}, 1);
}

/* One entry: its local header and, in @p directory, its central one. */
static inline void malformed_entry(struct str *out, struct str *directory, const char *name, const void *data, size_t n,
                                   int method, uint64_t size)
{
    size_t at = out->n, n_name = strlen(name);
    str_addn(out, "PK\3\4", 4);
    malformed_le(out, (uint64_t)method << 32, 8); /* version, flags, method, time */
    malformed_le(out, 0, 6);                      /* date, checksum */
    malformed_le(out, n, 4);
    malformed_le(out, size, 4);
    malformed_le(out, n_name, 4);
    str_add(out, name);
    str_addn(out, data, n);
    str_addn(directory, "PK\1\2", 4);
    malformed_le(directory, (uint64_t)method << 48, 8); /* versions, flags, method */
    malformed_le(directory, 0, 8);                      /* time, date, checksum */
    malformed_le(directory, n, 4);
    malformed_le(directory, size, 4);
    malformed_le(directory, n_name, 6); /* no extra field, no comment */
    malformed_le(directory, 0, 8);      /* disk, attributes */
    malformed_le(directory, at, 4);
    str_add(directory, name);
}

static inline void malformed_zip_end(struct str *out, struct str *directory, int entries)
{
    size_t at = out->n;
    str_addn(out, directory->s, directory->n);
    str_addn(out, "PK\5\6\0\0\0\0", 8);
    malformed_le(out, (uint64_t)entries, 2);
    malformed_le(out, (uint64_t)entries, 2);
    malformed_le(out, directory->n, 4);
    malformed_le(out, at, 4);
    malformed_le(out, 0, 2);
    str_free(directory);
}

/* data.pkl is the text; its storage "0" has eight bytes. */
static inline void malformed_zip(struct str *out, const struct malformed *m)
{
    struct str directory = {0};
    malformed_entry(out, &directory, "w/data.pkl", m->text, m->n, 0, m->n);
    malformed_entry(out, &directory, "w/data/0", "12345678", 8, 0, 8);
    malformed_zip_end(out, &directory, 2);
}

/* A storage of eight packed bytes that says it is nearly 4 GiB. */
static inline void malformed_bomb(struct str *out, const struct malformed *m)
{
    struct str directory = {0};
    malformed_entry(out, &directory, "w/data.pkl", m->text, m->n, 0, m->n);
    malformed_entry(out, &directory, "w/data/0", "12345678", 8, 8, 0xfffffff0);
    malformed_zip_end(out, &directory, 2);
}

/* The same, stored, so that no unpacking would be needed to believe it. */
static inline void malformed_claim(struct str *out, const struct malformed *m)
{
    struct str directory = {0};
    malformed_entry(out, &directory, "w/data.pkl", m->text, m->n, 0, m->n);
    malformed_entry(out, &directory, "w/data/0", "12345678", 8, 0, 0xfffffff0);
    malformed_zip_end(out, &directory, 2);
}

static inline void malformed_big_endian(struct str *out, const struct malformed *m)
{
    struct str directory = {0};
    malformed_entry(out, &directory, "w/data.pkl", m->text, m->n, 0, m->n);
    malformed_entry(out, &directory, "w/byteorder", "big", 3, 0, 3);
    malformed_entry(out, &directory, "w/data/0", "12345678", 8, 0, 8);
    malformed_zip_end(out, &directory, 3);
}

/* ---- what is no file -------------------------------------------------------------------------------------------- */

static inline void malformed_folder(const char *path)
{
    TEST_OK(fs_mkdir(path));
}

static inline void malformed_loop(const char *path)
{
    CU_ASSERT_EQUAL(symlink(path, path), 0);
}

static inline void malformed_pipe(const char *path)
{
    CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

#define MALFORMED_TEXT(t)    .text = t, .n = sizeof t - 1
#define MALFORMED_A(s, b, e) "{\"dtype\":\"F32\",\"shape\":" s ",\"data_offsets\":[" #b "," #e "]}"
#define MALFORMED_GOOD       "K\0K\2\x85K\1\x85tRs."

/* clang-format off */
static const struct malformed malformed_files[] = {
    {"zero.safetensors", malformed_bytes, MALFORMED_TEXT(""), .says = "is empty"},
    {"words.pth", malformed_bytes, MALFORMED_TEXT("these are only words"), .says = "neither safetensors nor a .pth"},
    {"page.pth", malformed_bytes, MALFORMED_TEXT("<!DOCTYPE html><p>404</p>"), .says = "neither safetensors nor a .pth"},
    {"folder.safetensors", .place = malformed_folder, .says = "is a folder"},
    {"loop.safetensors", .place = malformed_loop, .says = "symbolic links"},
    {"pipe.safetensors", .place = malformed_pipe, .says = "is a pipe"},

    {"short.safetensors", malformed_bytes, MALFORMED_TEXT("1234567"), .says = "7 bytes long"},
    {"swapped.safetensors", malformed_swapped, MALFORMED_TEXT("{}      "), .says = "in the other byte order"},
    {"long.safetensors", malformed_long_header, MALFORMED_TEXT("{}      "), .says = "but only 8 bytes follow"},
    {"huge.safetensors", malformed_bytes, MALFORMED_TEXT("\xff\xff\xff\xff\xff\xff\xff\x7f{}"), .says = "expected at most"},
    {"json.safetensors", malformed_safetensors, MALFORMED_TEXT("{\"w\":"), .says = "not JSON"},
    {"cut.safetensors", malformed_safetensors, MALFORMED_TEXT("{\"w\":" MALFORMED_A("[4]", 0, 16) "}"), .data = 15,
     .tensor = "tensor w", .says = "is the file cut off?"},
    {"range.safetensors", malformed_safetensors, MALFORMED_TEXT("{\"w\":" MALFORMED_A("[4]", 8, 24) "}"), .data = 16,
     .tensor = "tensor w", .says = "data_offsets: got [8, 24]"},
    {"negative.safetensors", malformed_safetensors, MALFORMED_TEXT("{\"w\":" MALFORMED_A("[4]", -8, 8) "}"), .data = 16,
     .tensor = "tensor w", .says = "data_offsets: got [-8, 8]"},
    {"overlap.safetensors", malformed_safetensors,
     MALFORMED_TEXT("{\"v\":" MALFORMED_A("[2]", 0, 8) ",\"w\":" MALFORMED_A("[2]", 4, 12) "}"), .data = 12,
     .tensor = "tensor w", .says = "overlaps the one before"},
    {"hole.safetensors", malformed_safetensors,
     MALFORMED_TEXT("{\"v\":" MALFORMED_A("[1]", 0, 4) ",\"w\":" MALFORMED_A("[1]", 8, 12) "}"), .data = 12,
     .tensor = "tensor w", .says = "belong to no tensor"},
    {"twice.safetensors", malformed_safetensors,
     MALFORMED_TEXT("{\"w\":" MALFORMED_A("[1]", 0, 4) ",\"w\":" MALFORMED_A("[1]", 4, 8) "}"), .data = 8,
     .tensor = "\"w\"", .says = "duplicate"},
    {"shape.safetensors", malformed_safetensors, MALFORMED_TEXT("{\"w\":" MALFORMED_A("[5]", 0, 16) "}"), .data = 16,
     .tensor = "tensor w", .says = "got 16 bytes, expected 20"},
    {"vast.safetensors", malformed_safetensors,
     MALFORMED_TEXT("{\"w\":" MALFORMED_A("[4294967296,4294967296,4294967296]", 0, 16) "}"), .data = 16,
     .tensor = "tensor w", .says = "does not fit 64 bits"},
    {"rank.safetensors", malformed_safetensors, MALFORMED_TEXT("{\"w\":" MALFORMED_A("[1,1,1,1,1,1,1,1,4]", 0, 16) "}"),
     .data = 16, .tensor = "tensor w", .says = "expected at most 8"},
    {"dtype.safetensors", malformed_safetensors,
     MALFORMED_TEXT("{\"w\":{\"dtype\":\"F8_E5M2\",\"shape\":[4],\"data_offsets\":[0,4]}}"), .data = 4,
     .tensor = "tensor w", .says = "dtype: got F8_E5M2"},

    {"callable.pth", malformed_legacy, MALFORMED_TEXT("\x80\2}U\1wcos\nsystem\nU\2lsR."),
     .tensor = "tensor w", .says = "os.system, which is refused"},
    {"stacked.pth", malformed_legacy, MALFORMED_TEXT("\x80\4}\x8c\1w\x8c\2os\x8c\6system\x93."),
     .says = "os.system, which is refused"},
    {"instance.pth", malformed_legacy, MALFORMED_TEXT("\x80\2}U\1w(ios\nsystem\n."), .tensor = "tensor w", .says = "refused"},
    {"object.pth", malformed_legacy, MALFORMED_TEXT("\x80\2}U\1wN)\x81."), .tensor = "tensor w", .says = "NEWOBJ"},
    {"extension.pth", malformed_legacy, MALFORMED_TEXT("\x80\2}U\1w\x82\1."), .tensor = "tensor w", .says = "EXT1"},
    {"reaches.pth", malformed_legacy, MALFORMED_TEXT(MALFORMED_TENSOR MALFORMED_STORAGE("\4") "K\1K\4\x85K\1\x85tRs."),
     .tensor = "tensor w", .says = "reaches element 4"},
    {"expanded.pth", malformed_legacy,
     MALFORMED_TEXT(MALFORMED_TENSOR MALFORMED_STORAGE("\4") "K\0J\xff\xff\xff\x7f\x85K\0\x85tRs."),
     .tensor = "tensor w", .says = "expanded view"},
    {"sizes.pth", malformed_legacy, MALFORMED_TEXT(MALFORMED_TENSOR MALFORMED_STORAGE("\4") "K\0K\2\x85K\1K\1\x86tRs."),
     .tensor = "tensor w", .says = "1 sizes and 2 strides"},
    {"storage.pth", malformed_legacy,
     MALFORMED_TEXT(MALFORMED_TENSOR MALFORMED_STORAGE("\2") MALFORMED_GOOD "\x80\2]U\1" "0a.\2\0\0\0\0\0\0\0abc"),
     .tensor = "tensor w", .says = "is cut off"},
    {"counts.pth", malformed_legacy,
     MALFORMED_TEXT(MALFORMED_TENSOR MALFORMED_STORAGE("\2") MALFORMED_GOOD "\x80\2]U\1" "0a.\7\0\0\0\0\0\0\0abcdefgh"),
     .tensor = "tensor w", .says = "got 7 elements, expected 2"},
    {"many.pth", malformed_many, MALFORMED_TEXT("."), .tensor = "tensor 65535", .says = "more than 65535 storages"},
    {"machine.pth", malformed_bytes, MALFORMED_TEXT(MALFORMED_MAGIC MALFORMED_ORDER "\x89s."), .says = "big-endian"},

    {"byteorder.pth", malformed_big_endian, MALFORMED_TEXT(MALFORMED_TENSOR MALFORMED_STORAGE("\2") MALFORMED_GOOD),
     .says = "byte order: got big"},
    {"bomb.pth", malformed_bomb, MALFORMED_TEXT(MALFORMED_TENSOR MALFORMED_STORAGE("\2") MALFORMED_GOOD),
     .says = "w/data/0 is compressed"},
    {"claim.pth", malformed_claim, MALFORMED_TEXT(MALFORMED_TENSOR MALFORMED_STORAGE("\2") MALFORMED_GOOD),
     .says = "a stored entry has two sizes"},
    {"small.pth", malformed_zip, MALFORMED_TEXT(MALFORMED_TENSOR MALFORMED_STORAGE("\5") MALFORMED_GOOD),
     .tensor = "tensor w", .says = "got 8 bytes, expected 5 elements of 4"},
    {"run.pth", malformed_zip, MALFORMED_TEXT("\x80\2}U\1wcbuiltins\neval\nU\1" "1\x85R."), .tensor = "tensor w",
     .says = "builtins.eval, which is refused"},
};
/* clang-format on */

/** Puts file @p i into @p dir; its path, in @p a. */
static inline const char *malformed_write(struct arena *a, const char *dir, size_t i)
{
    const struct malformed *m = &malformed_files[i];
    const char *path = fs_join(a, dir, m->name);
    struct str bytes = {0};
    if (m->place) {
        m->place(path);
        return path;
    }
    m->make(&bytes, m);
    TEST_OK(fs_write(path, bytes.n ? bytes.s : "", bytes.n));
    str_free(&bytes);
    return path;
}

/** True when a message says what it must; said loudly when not. */
static inline bool malformed_told(size_t i, const char *message)
{
    const struct malformed *m = &malformed_files[i];
    bool told = strstr(message, m->says) && strstr(message, m->name) && (!m->tensor || strstr(message, m->tensor));
    if (!told) fprintf(stderr, "%s: got \"%s\", expected %s and %s\n", m->name, message, m->tensor, m->says);
    return told;
}

#endif
