/* Inputs of one and of four channels: a picture's grey, and its alpha beside its colours. */
#include "data.h"
#include "rgba.h"
#include <math.h>

enum { SIDE = 32, PLANE = SIDE * SIDE };

static const struct data_augment all[] = {
    {.kind = DATA_FLIP, .p = 0.5},
    {.kind = DATA_AFFINE, .p = 0.7, .rotate = 15, .scale = {0.9, 1.1}, .translate = 0.05},
    {.kind = DATA_CROP, .p = 0.5, .scale = {0.7, 1}},
    {.kind = DATA_COLOR, .p = 0.5, .brightness = 0.2, .contrast = 0.2, .saturation = 0.2, .hue = 0.05},
};

static struct data *opened(const char *root, int channels, const char *cache)
{
    struct data *d = NULL;
    TEST_OK(data_open(&d, &(struct data_options){.root = root,
                                                 .synthetic_pairs = 8,
                                                 .height = SIDE,
                                                 .width = SIDE,
                                                 .channels = channels,
                                                 .cache = cache,
                                                 .augment = all,
                                                 .n_augment = LEN(all)}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    return d;
}

/* Room for a pair in any number of channels. */
struct pair {
    float x[4 * PLANE], y[3 * PLANE];
};

static void fill(struct pair *p, struct data *d, int index, bool augment, bool channels_last)
{
    struct data_want w = {
        .index = &index, .n = 1, .seed = 3, .epoch = 2, .augment = augment, .channels_last = channels_last};
    TEST_OK(data_fill(p->x, p->y, d, w));
}

static double level(double v, double mean, double std)
{
    return v * std + mean;
}

/* Grey is the luma of what the RGB set gives, also when its colours and place were changed; targets are the same. */
static void data_grey__is_the_luma_of_the_picture(void)
{
    static struct pair rgb, grey, last;
    struct data *d = opened(DATA_SYNTHETIC, 3, NULL), *g = opened(DATA_SYNTHETIC, 1, NULL);
    CU_ASSERT(data_channels(d) == 3 && data_channels(g) == 1);
    double worst = 0;
    for (int k = 0; k < 16; k++) {
        fill(&rgb, d, k / 2, k % 2, false);
        fill(&grey, g, k / 2, k % 2, false);
        fill(&last, g, k / 2, k % 2, true);
        for (int i = 0; i < PLANE; i++) {
            static const double luma[3] = {0.299, 0.587, 0.114};
            double want = 0;
            for (int c = 0; c < 3; c++)
                want += luma[c] * level((double)rgb.x[c * PLANE + i], (double)data_mean[c], (double)data_std[c]);
            worst = test_worst(worst, level((double)grey.x[i], 0.449, 0.226) - want);
        }
        CU_ASSERT(!memcmp(rgb.y, grey.y, sizeof rgb.y));
        CU_ASSERT(!memcmp(grey.x, last.x, PLANE * sizeof(float)));
    }
    CU_ASSERT(worst < 1e-5);
    data_close(d);
    data_close(g);
}

static void data_grey__is_shown_as_a_grey_picture(void)
{
    static struct pair grey;
    static float shown[3 * PLANE];
    static uint8_t bytes[3 * PLANE];
    struct data *g = opened(DATA_SYNTHETIC, 1, NULL);
    fill(&grey, g, 1, false, false);
    data_input_picture(shown, grey.x, 1, SIDE, SIDE);
    data_denormalise(bytes, shown, SIDE, SIDE, false);
    for (int i = 0; i < PLANE; i++) {
        double v = 255 * level((double)grey.x[i], 0.449, 0.226);
        for (int c = 0; c < 3; c++) CU_ASSERT(fabs(bytes[3 * i + c] - v) <= 0.51);
    }
    data_close(g);
}

/* RGB is what the three-channel set gives of the same files; alpha is the file's, and moves with the picture. */
static void data_alpha__is_the_fourth_channel(void)
{
    static struct pair rgb, rgba, again, last;
    struct arena a = {0};
    const char *root = arena_strdup(&a, test_dir()), *cache = fs_join(&a, root, "cache");
    test_write_rgba_pairs(root, 8, SIDE);
    struct data *d = opened(root, 3, NULL), *f = opened(root, 4, NULL), *cached = opened(root, 4, cache);
    struct data_image im;
    TEST_OK(data_check_alpha(f));
    TEST_OK(data_check_alpha(d)); /* nothing is asked of three channels */
    TEST_OK(data_image_load(&im, fs_join(&a, root, "input/p01.png")));
    CU_ASSERT_PTR_NOT_NULL_FATAL(im.alpha);
    fill(&rgba, f, 1, false, false);
    for (int i = 0; i < PLANE; i++)
        CU_ASSERT(fabs(level((double)rgba.x[3 * PLANE + i], 0.449, 0.226) - im.alpha[i] / 255.0) < 1e-6);
    data_image_free(&im);
    for (int k = 0; k < 16; k++) {
        fill(&rgb, d, k / 2, k % 2, false);
        fill(&rgba, f, k / 2, k % 2, false);
        fill(&again, cached, k / 2, k % 2, false); /* decoded, then from the file of the cache */
        fill(&last, f, k / 2, k % 2, true);
        CU_ASSERT(!memcmp(rgb.x, rgba.x, sizeof rgb.y) && !memcmp(rgb.y, rgba.y, sizeof rgb.y));
        CU_ASSERT(!memcmp(rgba.x, again.x, sizeof rgba.x));
        for (int i = 0; i < 4 * PLANE; i++) CU_ASSERT_EQUAL(last.x[i], rgba.x[i % 4 * PLANE + i / 4]);
        for (int i = 3 * PLANE; i < 4 * PLANE; i++) { /* no colour change reaches it */
            double v = level((double)rgba.x[i], 0.449, 0.226);
            CU_ASSERT(v > -1e-5 && v < 1 + 1e-5);
        }
    }
    data_close(d);
    data_close(f);
    data_close(cached);
    arena_free(&a);
}

static void data_loader__gives_whole_batches_of_any_channels(void)
{
    static struct pair one;
    struct arena a = {0};
    const char *root = arena_strdup(&a, test_dir());
    test_write_rgba_pairs(root, 8, SIDE);
    for (int channels = 1; channels <= 4; channels += channels == 1 ? 2 : 1) {
        struct data *d = opened(root, channels, NULL);
        struct data_loader *l;
        struct data_batch b;
        TEST_OK(data_loader_open(&l, d, &(struct data_loader_options){.batch = 3, .threads = 2}));
        TEST_OK(data_loader_next(l, &b));
        CU_ASSERT_EQUAL_FATAL(b.n, 3);
        for (int k = 0; k < b.n; k++) {
            fill(&one, d, b.index[k], false, false);
            CU_ASSERT(!memcmp(b.input + k * channels * PLANE, one.x, (size_t)(channels * PLANE) * sizeof(float)));
            CU_ASSERT(!memcmp(b.target + k * 3 * PLANE, one.y, sizeof one.y));
        }
        data_loader_close(l);
        data_close(d);
    }
    arena_free(&a);
}

static void data_channels__that_pictures_lack_are_refused(void)
{
    struct arena a = {0};
    struct data *d;
    const char *root = arena_strdup(&a, test_dir());
    static const uint8_t grey_alpha[2 * 4] = {1, 2, 3, 4, 5, 6, 7, 8};
    TEST_FAILS(data_takes(2), STATUS_REFUSED, "got 2; pictures are grey (1), RGB (3) or RGBA (4)");
    TEST_FAILS(data_open(&d, &(struct data_options){.root = DATA_SYNTHETIC, .height = 8, .width = 8, .channels = 5}),
               STATUS_REFUSED, "got 5");
    d = opened(DATA_SYNTHETIC, 4, NULL);
    TEST_FAILS(data_check_alpha(d), STATUS_REFUSED, "the generated set has no alpha channel");
    data_close(d);
    test_write_rgba_pairs(root, 2, SIDE);
    test_write_png(fs_join(&a, root, "input/p01.png"), grey_alpha, 2, 2, 2);
    d = opened(root, 4, NULL);
    TEST_OK(data_check_alpha(d)); /* grey and alpha has one, too */
    test_write_png(fs_join(&a, root, "input/p01.png"), grey_alpha, 3, 1, 2);
    TEST_FAILS(data_check_alpha(d), STATUS_REFUSED, "input/p01.png has no alpha channel; give PNG inputs");
    static struct pair p;
    int index = 1;
    TEST_FAILS(data_fill(p.x, p.y, d, (struct data_want){.index = &index, .n = 1}), STATUS_REFUSED, "p01.png");
    data_close(d);
    arena_free(&a);
}

static const struct test tests[] = {
    TEST(data_grey__is_the_luma_of_the_picture),
    TEST(data_grey__is_shown_as_a_grey_picture),
    TEST(data_alpha__is_the_fourth_channel),
    TEST(data_loader__gives_whole_batches_of_any_channels),
    TEST(data_channels__that_pictures_lack_are_refused),
};
TEST_MAIN("data.channels", tests)
