/* Batches: the same whatever the order, the threads and the start; and the pairs that are drawn. */
#include "drawn.h"

/* Hash of `count` batches from (epoch, step). */
static struct hash run(struct data_loader_options o, int count)
{
    struct data *d = open_synthetic(10, NULL, all, LEN(all));
    struct data_loader *l;
    struct str bytes = {0};
    TEST_OK(data_loader_open(&l, d, &o));
    for (int i = 0; i < count; i++) {
        struct data_batch b;
        TEST_OK(data_loader_next(l, &b));
        str_addf(&bytes, "%lld %lld %d ", (long long)b.epoch, (long long)b.step, b.n);
        for (int k = 0; k < b.n; k++) str_addf(&bytes, "%d ", b.index[k]);
        struct hash h[2] = {hash_bytes(b.input, (size_t)b.n * IMAGE * 4),
                            hash_bytes(b.target, (size_t)b.n * IMAGE * 4)};
        str_addn(&bytes, h, sizeof h);
    }
    data_loader_close(l);
    data_close(d);
    struct hash all_of = hash_bytes(bytes.s, bytes.n);
    str_free(&bytes);
    return all_of;
}

static void data_loader__gives_the_same_batches_for_any_threads(void)
{
    struct data_loader_options o = {
        .part = DATA_TRAIN, .batch = 3, .seed = 4, .augment = true, .shuffle = true, .threads = 1};
    struct hash one = run(o, 7);
    o.threads = 4;
    CU_ASSERT_STRING_EQUAL(one.hex, run(o, 7).hex);
    o.seed = 5;
    CU_ASSERT_STRING_NOT_EQUAL(one.hex, run(o, 7).hex);
}

static void data_loader__resumes_in_the_middle(void)
{
    struct data *d = open_synthetic(10, NULL, all, LEN(all));
    struct data_loader_options o = {.part = DATA_TRAIN, .batch = 3, .seed = 4, .augment = true, .shuffle = true};
    struct data_loader *whole, *late;
    struct data_batch a, b;
    TEST_OK(data_loader_open(&whole, d, &o));
    CU_ASSERT_EQUAL(data_loader_steps(whole), 3); /* 8 of 10 train */
    for (int i = 0; i < 5; i++) TEST_OK(data_loader_next(whole, &a));
    CU_ASSERT(a.epoch == 1 && a.step == 1);
    o.epoch = 1;
    o.step = 1;
    TEST_OK(data_loader_open(&late, d, &o));
    TEST_OK(data_loader_next(late, &b));
    CU_ASSERT(b.epoch == 1 && b.step == 1 && b.n == a.n && !memcmp(a.index, b.index, (size_t)a.n * sizeof *a.index));
    CU_ASSERT(!memcmp(a.input, b.input, (size_t)a.n * IMAGE * 4) &&
              !memcmp(a.target, b.target, (size_t)a.n * IMAGE * 4));
    data_loader_close(late);
    o.step = 3; /* the end of an epoch */
    TEST_OK(data_loader_open(&late, d, &o));
    TEST_OK(data_loader_next(late, &b));
    CU_ASSERT(b.epoch == 2 && b.step == 0);
    data_loader_close(late);
    data_loader_close(whole);
    data_close(d);
}

static void data_loader__covers_each_epoch_once(void)
{
    struct data *d = open_synthetic(11, NULL, NULL, 0);
    struct data_loader *l;
    int n, order[2][11];
    const int *train = data_part(d, DATA_TRAIN, &n);
    TEST_OK(data_loader_open(
        &l, d, &(struct data_loader_options){.part = DATA_TRAIN, .batch = 3, .shuffle = true, .threads = 2}));
    for (int epoch = 0; epoch < 2; epoch++) {
        int at = 0;
        for (int s = 0; s < data_loader_steps(l); s++) {
            struct data_batch b;
            TEST_OK(data_loader_next(l, &b));
            for (int i = 0; i < b.n; i++) order[epoch][at++] = b.index[i];
        }
        CU_ASSERT_EQUAL(at, n);
        for (int i = 0; i < n; i++) {
            int times = 0;
            for (int k = 0; k < n; k++) times += order[epoch][k] == train[i];
            CU_ASSERT_EQUAL(times, 1);
        }
        int want[11];
        data_epoch_order(want, d, DATA_TRAIN, 0, epoch);
        CU_ASSERT(!memcmp(want, order[epoch], (size_t)n * sizeof *want));
    }
    CU_ASSERT(memcmp(order[0], order[1], (size_t)n * sizeof(int)));
    data_loader_close(l);
    TEST_OK(data_loader_open(&l, d, &(struct data_loader_options){.part = DATA_TRAIN, .batch = 3, .drop_last = true}));
    CU_ASSERT_EQUAL(data_loader_steps(l), n / 3);
    data_loader_close(l);
    TEST_OK(
        data_loader_open(&l, d, &(struct data_loader_options){.part = DATA_TRAIN, .batch = 100, .drop_last = true}));
    CU_ASSERT_EQUAL(data_loader_steps(l), 1);
    data_loader_close(l);
    data_close(d);
    TEST_OK(data_open(&d, &(struct data_options){.root = DATA_SYNTHETIC, .height = SIDE, .width = SIDE}));
    TEST_FAILS(data_loader_open(&l, d, &(struct data_loader_options){.part = DATA_VAL, .batch = 1}), STATUS_ARG,
               "no pair validates");
    data_close(d);
}

static void data_synthetic_pair__differs_and_repeats(void)
{
    static uint8_t x[2][IMAGE], y[2][IMAGE];
    data_synthetic_pair(x[0], y[0], SIDE, SIDE, 0);
    data_synthetic_pair(x[1], y[1], SIDE, SIDE, 0);
    CU_ASSERT(!memcmp(x[0], x[1], IMAGE) && !memcmp(y[0], y[1], IMAGE));
    data_synthetic_pair(x[1], y[1], SIDE, SIDE, 1);
    CU_ASSERT(memcmp(x[0], x[1], IMAGE) && memcmp(y[0], y[1], IMAGE) && memcmp(x[0], y[0], IMAGE));
}

static const struct test tests[] = {
    TEST(data_loader__gives_the_same_batches_for_any_threads),
    TEST(data_loader__resumes_in_the_middle),
    TEST(data_loader__covers_each_epoch_once),
    TEST(data_synthetic_pair__differs_and_repeats),
};
TEST_MAIN("data.loader", tests)
