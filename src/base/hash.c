/* Hashes and the counter-based generator. */
#include "base.h"
#include <errno.h>
#include <math.h>
#include <unistd.h>
#include <xxhash.h>

static struct hash to_hex(XXH128_hash_t h)
{
    struct hash out;
    snprintf(out.hex, sizeof out.hex, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
    return out;
}

struct hash hash_bytes(const void *p, size_t n)
{
    return to_hex(XXH3_128bits(p, n));
}

struct status hash_file(struct hash *out, const char *path)
{
    int fd;
    TRY(fs_open(&fd, path));
    XXH3_state_t *state = XXH3_createState();
    CHECK(state, "out of memory");
    XXH3_128bits_reset(state);
    char chunk[65536];
    ssize_t n;
    while ((n = read(fd, chunk, sizeof chunk)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0) XXH3_128bits_update(state, chunk, (size_t)n);
    int why = n < 0 ? errno : 0;
    close(fd);
    *out = to_hex(XXH3_128bits_digest(state));
    XXH3_freeState(state);
    return why ? fail(STATUS_IO, "%s: cannot read: %s", path, strerror(why)) : ok();
}

uint64_t hash_fnv1a(const void *p, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (const unsigned char *b = p, *end = b + n; b < end; b++) h = (h ^ *b) * 0x100000001b3u;
    return h;
}

uint64_t rng_splitmix(uint64_t z)
{
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

struct rng rng_key(uint64_t seed, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t k = rng_splitmix(seed);
    k = rng_splitmix(k ^ a);
    k = rng_splitmix(k ^ b);
    return (struct rng){.key = rng_splitmix(k ^ c)};
}

uint64_t rng_u64(struct rng *r)
{
    return rng_splitmix(r->key + r->counter++);
}

double rng_uniform(struct rng *r)
{
    return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

double rng_range(struct rng *r, double lo, double hi)
{
    return lo + (hi - lo) * rng_uniform(r);
}

double rng_normal(struct rng *r) /* Box-Muller; 1 - u keeps the logarithm finite */
{
    double u = 1 - rng_uniform(r), v = rng_uniform(r);
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    return (uint64_t)(rng_uniform(r) * (double)n);
}

void rng_shuffle(struct rng *r, int *v, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = rng_below(r, i);
        int t = v[i - 1];
        v[i - 1] = v[j];
        v[j] = t;
    }
}
