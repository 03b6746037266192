/*
 * Decoded pixels on disk: a file a pair, 64 bytes of header and [2,H,W,3] bytes (3 with alpha). The name is a hash of
 * everything the pixels depend on; files appear by rename and carry their own hash, so processes need no locks and a
 * torn or damaged file is simply made again. Not synced: losing one costs a decode.
 */
#include "inside.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct header {
    char magic[8];
    int32_t height, width;
    char hash[32];
    char pad[16];
};
_Static_assert(sizeof(struct header) == 64, "the pixels are aligned");

static const char magic[8] = "swpix01";

static size_t pixel_bytes(const struct data *d)
{
    return (size_t)d->height * (size_t)d->width * 3 * (size_t)data_block_images(d);
}

static bool add_source(struct str *key, const char *path)
{
    struct stat st;
    char *real = stat(path, &st) == 0 ? realpath(path, NULL) : NULL;
    if (!real) return false;
    str_addf(key, "%s\n%lld.%09ld %lld\n", real, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
             (long long)st.st_size);
    free(real);
    return true;
}

bool data_cache_path(char *out, size_t n, const struct data *d, int index)
{
    struct str key = {0};
    str_addf(&key, "%d %d %d%s\n", DATA_PIXELS_VERSION, d->height, d->width, d->channels == 4 ? " alpha" : "");
    bool good = true;
    if (d->synthetic)
        str_addf(&key, "synthetic %d\n", index);
    else
        good = add_source(&key, d->input[index]) && add_source(&key, d->target[index]);
    struct hash h = hash_bytes(key.s, key.n);
    str_free(&key);
    int wrote = snprintf(out, n, "%s/%.2s/%s.rgb", d->cache, h.hex, h.hex);
    return good && wrote > 0 && (size_t)wrote < n;
}

uint8_t *data_cache_map(const struct data *d, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return NULL;
    size_t n = sizeof(struct header) + pixel_bytes(d);
    struct stat st;
    void *map =
        fstat(fd, &st) == 0 && (size_t)st.st_size == n ? mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    close(fd);
    if (map == MAP_FAILED) return NULL;
    const struct header *h = map;
    uint8_t *pixels = (uint8_t *)map + sizeof *h;
    bool good = !memcmp(h->magic, magic, sizeof magic) && h->height == d->height && h->width == d->width &&
                !memcmp(h->hash, hash_bytes(pixels, pixel_bytes(d)).hex, sizeof h->hash);
    if (good) return pixels;
    munmap(map, n);
    return NULL;
}

void data_cache_unmap(const struct data *d, uint8_t *pixels)
{
    munmap(pixels - sizeof(struct header), sizeof(struct header) + pixel_bytes(d));
}

static bool write_all(int fd, const void *p, size_t n)
{
    for (const char *at = p; n;) {
        ssize_t wrote = write(fd, at, n);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return false;
        at += wrote;
        n -= (size_t)wrote;
    }
    return true;
}

struct status data_cache_write(const struct data *d, const char *path, const uint8_t *pixels)
{
    struct arena a = {0};
    struct status s = fs_mkdir(fs_dirname(&a, path));
    char *tmp = arena_printf(&a, "%s.XXXXXX", path);
    int fd = s.code == STATUS_OK ? mkostemp(tmp, O_CLOEXEC) : -1;
    if (s.code == STATUS_OK && fd < 0) s = fail(STATUS_IO, "%s: cannot write: %s", path, strerror(errno));
    if (fd >= 0) {
        struct header h = {.height = d->height, .width = d->width};
        memcpy(h.magic, magic, sizeof magic);
        memcpy(h.hash, hash_bytes(pixels, pixel_bytes(d)).hex, sizeof h.hash);
        bool good = write_all(fd, &h, sizeof h) && write_all(fd, pixels, pixel_bytes(d));
        int why = errno;
        if (close(fd) != 0 && good) good = false, why = errno;
        if (good && rename(tmp, path) != 0) good = false, why = errno;
        if (!good) {
            unlink(tmp);
            s = fail(STATUS_IO, "%s: cannot write: %s", path, strerror(why));
        }
    }
    arena_free(&a);
    return s;
}
