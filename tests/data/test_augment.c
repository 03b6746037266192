/* Augmentation: what each kind does to both pictures, and what it depends on. */
#include "drawn.h"
#include <math.h>

static struct arena arena;

static void data_fill__without_augmentation_is_normalised_pixels(void)
{
    struct data *d = open_synthetic(2, NULL, all, LEN(all));
    static float x[IMAGE], y[IMAGE], want[IMAGE], last[IMAGE], last_y[IMAGE];
    const uint8_t *in, *to;
    int index = 1;
    TEST_OK(data_pixels(&in, &to, d, 1));
    TEST_OK(data_fill(x, y, d, (struct data_want){.index = &index, .n = 1}));
    data_normalise(want, in, SIDE, SIDE, false);
    CU_ASSERT(!memcmp(x, want, sizeof x));
    data_normalise(want, to, SIDE, SIDE, false);
    CU_ASSERT(!memcmp(y, want, sizeof y));
    TEST_OK(data_fill(last, last_y, d, (struct data_want){.index = &index, .n = 1, .channels_last = true}));
    for (int i = 0; i < SIDE * SIDE; i++) {
        for (int c = 0; c < 3; c++) CU_ASSERT_EQUAL(last[3 * i + c], x[c * SIDE * SIDE + i]);
    }
    data_close(d);
}

static void data_fill__flips_exactly(void)
{
    struct data *d = open_synthetic(2, NULL, &(struct data_augment){.kind = DATA_FLIP, .p = 1}, 1);
    static float x[IMAGE], y[IMAGE];
    const uint8_t *in, *to;
    fill(x, y, d, 0, 1, 1);
    TEST_OK(data_pixels(&in, &to, d, 0));
    for (int i = 0; i < SIDE * SIDE; i++) {
        int from = i / SIDE * SIDE + SIDE - 1 - i % SIDE;
        for (int c = 0; c < 3; c++) {
            double v = (in[3 * from + c] / 255.0 - (double)data_mean[c]) / (double)data_std[c];
            CU_ASSERT(fabs((double)x[c * SIDE * SIDE + i] - v) < 1e-6);
        }
    }
    data_close(d);
}

/* A set whose input and target are the same file shows that the geometry is common, and that colour is not. */
static struct data *open_twin(const struct data_augment *a, int n)
{
    const char *root = arena_strdup(&arena, test_dir());
    TEST_OK(data_synthetic_write(root, 2, SIDE, SIDE));
    struct data *d;
    TEST_OK(data_open(&d, &(struct data_options){.root = root,
                                                 .input = "input",
                                                 .target = "input",
                                                 .height = SIDE,
                                                 .width = SIDE,
                                                 .augment = a,
                                                 .n_augment = n}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    return d;
}

static void data_fill__moves_both_alike_and_colours_the_input(void)
{
    static float x[IMAGE], y[IMAGE], x0[IMAGE], y0[IMAGE];
    struct data *d = open_twin(all, 3); /* geometry alone */
    for (int epoch = 0; epoch < 20; epoch++) {
        fill(x, y, d, 1, 5, epoch);
        CU_ASSERT(!memcmp(x, y, sizeof x));
    }
    data_close(d);
    struct data_augment color = {
        .kind = DATA_COLOR, .p = 1, .brightness = 0.3, .contrast = 0.3, .saturation = 0.3, .hue = 0.1};
    d = open_twin(&color, 1);
    int index = 0;
    TEST_OK(data_fill(x0, y0, d, (struct data_want){.index = &index, .n = 1}));
    fill(x, y, d, 0, 5, 0);
    CU_ASSERT(memcmp(x, x0, sizeof x) && !memcmp(y, y0, sizeof y));
    data_close(d);
    color.both = true;
    d = open_twin(&color, 1);
    fill(x, y, d, 0, 5, 0);
    CU_ASSERT(memcmp(x, x0, sizeof x) && !memcmp(y, x, sizeof y));
    data_close(d);
}

/* The centre of gravity of a bright dot, after an affine of known direction. */
static void data_fill__rotates_and_scales_as_said(void)
{
    const char *root = arena_strdup(&arena, test_dir());
    TEST_OK(fs_mkdir(fs_join(&arena, root, "input")));
    enum { N = 64 };
    static uint8_t dot[N * N * 3];
    for (int y = 0; y < N; y++) {
        for (int x = 0; x < N; x++) memset(dot + 3 * (y * N + x), hypot(x - 47.5, y - 31.5) < 3 ? 255 : 0, 3);
    }
    TEST_OK(data_image_save(fs_join(&arena, root, "input/a.png"), dot, N, N));
    static float x[3 * N * N], y[3 * N * N];
    const struct data_augment rows[] = {
        {.kind = DATA_AFFINE, .p = 1, .scale = {1.5, 1.5}}, /* 16 right of the centre -> 24 */
        {.kind = DATA_AFFINE, .p = 1, .scale = {0.5, 0.5}}, /* -> 8 */
        {.kind = DATA_AFFINE, .p = 1, .rotate = 30},        /* stays 16 away */
        {.kind = DATA_CROP, .p = 1, .scale = {1, 1}},       /* the whole: nothing moves */
    };
    const double away[] = {24, 8, 16, 16};
    for (size_t i = 0; i < LEN(rows); i++) {
        struct data *d;
        TEST_OK(data_open(
            &d, &(struct data_options){
                    .root = root, .target = "input", .height = N, .width = N, .augment = &rows[i], .n_augment = 1}));
        fill(x, y, d, 0, 3, 0);
        double sum = 0, cx = 0, cy = 0;
        for (int k = 0; k < N * N; k++) {
            double v = (double)(x[k] * data_std[0] + data_mean[0]);
            if (hypot(k % N - 31.5, k / N - 31.5) > (i == 1 ? 15 : 30)) continue; /* the mirrored border */
            sum += v, cx += v * (k % N), cy += v * (k / N);
        }
        double dx = cx / sum - 31.5, dy = cy / sum - 31.5;
        if (fabs(hypot(dx, dy) - away[i]) > 0.2) fprintf(stderr, "row %zu: at %g %g\n", i, dx, dy);
        CU_ASSERT(fabs(hypot(dx, dy) - away[i]) < 0.2);
        CU_ASSERT(i == 2 ? fabs(dy) > 0.5 && fabs(atan2(dy, dx)) < 0.53 : fabs(dy) < 0.1);
        data_close(d);
    }
}

static void data_fill__mirrors_at_the_border_and_stays_in_range(void)
{
    const struct data_augment wild = {.kind = DATA_AFFINE, .p = 1, .rotate = 180, .scale = {0.05, 3}, .translate = 2};
    static float x[IMAGE], y[IMAGE];
    struct data *d = open_synthetic(3, NULL, &wild, 1);
    for (int epoch = 0; epoch < 60; epoch++) {
        fill(x, y, d, epoch % 3, 1, epoch);
        for (int i = 0; i < IMAGE; i++) CU_ASSERT(x[i] > -2.2f && x[i] < 2.7f && y[i] > -2.2f && y[i] < 2.7f);
    }
    data_close(d);
}

static void data_fill__depends_on_seed_epoch_index_alone(void)
{
    static float x[IMAGE], y[IMAGE], x2[IMAGE], y2[IMAGE];
    struct data *d = open_synthetic(8, NULL, all, LEN(all)), *e = open_synthetic(8, NULL, all, LEN(all));
    fill(x, y, d, 3, 7, 2);
    for (int i = 0; i < 8; i++) fill(x2, y2, e, i, 9, 9); /* other calls before change nothing */
    fill(x2, y2, e, 3, 7, 2);
    CU_ASSERT(!memcmp(x, x2, sizeof x) && !memcmp(y, y2, sizeof y));
    int same_epoch = 0, same_seed = 0;
    for (int i = 0; i < 8; i++) {
        fill(x, y, d, i, 7, 2);
        fill(x2, y2, d, i, 7, 3);
        same_epoch += !memcmp(x, x2, sizeof x);
        fill(x2, y2, d, i, 8, 2);
        same_seed += !memcmp(x, x2, sizeof x);
    }
    CU_ASSERT(same_epoch < 4 && same_seed < 4);
    data_close(d);
    data_close(e);
}

static const struct test tests[] = {
    TEST(data_fill__without_augmentation_is_normalised_pixels), TEST(data_fill__flips_exactly),
    TEST(data_fill__moves_both_alike_and_colours_the_input),    TEST(data_fill__rotates_and_scales_as_said),
    TEST(data_fill__mirrors_at_the_border_and_stays_in_range),  TEST(data_fill__depends_on_seed_epoch_index_alone),
};
TEST_MAIN("data.augment", tests)
