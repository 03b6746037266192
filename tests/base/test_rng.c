/* Counter-based draws depend on the key alone. */
#include "test.h"

static void rng_splitmix__matches_the_published_stream(void)
{
    /* First output of splitmix64 seeded with 0; Steele, Lea, Flood 2014, and the generator's reference code. */
    CU_ASSERT_EQUAL(rng_splitmix(0), 0xe220a8397b1dcdafu);
}

static void hash_fnv1a__matches_the_published_vectors(void)
{
    CU_ASSERT_EQUAL(hash_fnv1a("", 0), 0xcbf29ce484222325u); /* draft-eastlake-fnv, appendix C */
    CU_ASSERT_EQUAL(hash_fnv1a("a", 1), 0xaf63dc4c8601ec8cu);
}

static void rng_key__separates_streams(void)
{
    struct rng a = rng_key(1, 2, 3, 4), b = rng_key(1, 2, 3, 4), c = rng_key(1, 3, 2, 4);
    uint64_t x = rng_u64(&a);
    CU_ASSERT_EQUAL(x, rng_u64(&b));
    CU_ASSERT_NOT_EQUAL(x, rng_u64(&c));
}

static void rng_shuffle__permutes(void)
{
    int v[100];
    bool seen[100] = {0};
    for (int i = 0; i < 100; i++) v[i] = i;
    struct rng r = rng_key(7, 0, 0, 0);
    rng_shuffle(&r, v, 100);
    for (int i = 0; i < 100; i++) seen[v[i]] = true;
    for (int i = 0; i < 100; i++) CU_ASSERT(seen[i]);
}

static const struct test tests[] = {
    TEST(rng_splitmix__matches_the_published_stream),
    TEST(hash_fnv1a__matches_the_published_vectors),
    TEST(rng_key__separates_streams),
    TEST(rng_shuffle__permutes),
};
TEST_MAIN("base.rng", tests)
