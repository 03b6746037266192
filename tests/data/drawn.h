/* A set of drawn pairs, and one pair of it with everything that augmentation does. */
#ifndef TESTS_DATA_DRAWN_H
#define TESTS_DATA_DRAWN_H

#include "data.h"
#include "test.h"

enum { SIDE = 32, IMAGE = 3 * SIDE * SIDE };

static inline struct data *open_synthetic(int pairs, const char *cache, const struct data_augment *a, int n_augment)
{
    struct data *d;
    TEST_OK(data_open(&d, &(struct data_options){.root = DATA_SYNTHETIC,
                                                 .synthetic_pairs = pairs,
                                                 .height = SIDE,
                                                 .width = SIDE,
                                                 .split_val = 0.25,
                                                 .split_seed = 1,
                                                 .cache = cache,
                                                 .augment = a,
                                                 .n_augment = n_augment}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    return d;
}

static const struct data_augment all[] = {
    {.kind = DATA_FLIP, .p = 0.5},
    {.kind = DATA_AFFINE, .p = 0.7, .rotate = 15, .scale = {0.9, 1.1}, .translate = 0.05},
    {.kind = DATA_CROP, .p = 0.5, .scale = {0.7, 1}},
    {.kind = DATA_COLOR, .p = 0.5, .brightness = 0.2, .contrast = 0.2, .saturation = 0.2, .hue = 0.05},
};

static inline void fill(float *x, float *y, struct data *d, int index, int64_t seed, int64_t epoch)
{
    TEST_OK(
        data_fill(x, y, d, (struct data_want){.index = &index, .n = 1, .seed = seed, .epoch = epoch, .augment = true}));
}

#endif
