/* Images in and out, resampling, normalisation. */
#include "data.h"
#include "test.h"
#include <math.h>

static const char *corpus(const char *name)
{
    static char out[1024];
    snprintf(out, sizeof out, "%s/tests/fuzz/corpus/image/%s", test_source_dir(), name);
    return out;
}

static const char *in_dir(const char *name)
{
    static char out[600];
    snprintf(out, sizeof out, "%s/%s", test_dir(), name);
    return out;
}

/* The picture of the corpus: red 8x, green 10y, blue 4(x+y). */
static uint8_t truth(int x, int y, int c)
{
    return (uint8_t)(c == 0 ? 8 * x : c == 1 ? 10 * y : 4 * (x + y));
}

static void data_image_load__reads_every_kind(void)
{
    static const struct {
        const char *file;
        int tolerance; /* of a mean over the picture */
        bool gray;
    } rows[] = {
        {"rgb.png", 0, false},         {"rgb.bmp", 0, false},      {"16bit.png", 0, false}, {"rgb.jpg", 6, false},
        {"progressive.jpg", 8, false}, {"palette.png", 40, false}, {"gray.png", 1, true},   {"gray.jpg", 3, true},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct data_image im;
        TEST_OK(data_image_load(&im, corpus(rows[i].file)));
        CU_ASSERT(im.height == 24 && im.width == 32);
        if (!im.rgb) continue;
        double sum = 0;
        for (int p = 0; p < 24 * 32; p++) {
            int x = p % 32, y = p / 32;
            for (int c = 0; c < 3; c++) {
                double want = rows[i].gray ? 0.299 * truth(x, y, 0) + 0.587 * truth(x, y, 1) + 0.114 * truth(x, y, 2)
                                           : truth(x, y, c);
                sum += fabs(im.rgb[3 * p + c] - want);
            }
        }
        double mean = sum / (24 * 32 * 3);
        if (mean > rows[i].tolerance) fprintf(stderr, "%s: off by %g\n", rows[i].file, mean);
        CU_ASSERT(mean <= rows[i].tolerance);
        data_image_free(&im);
    }
}

static void data_image_load__puts_alpha_on_white(void)
{
    struct data_image im, gray;
    TEST_OK(data_image_load(&im, corpus("alpha.png"))); /* alpha 8x */
    TEST_OK(data_image_load(&gray, corpus("gray_alpha.png")));
    for (int x = 0; x < 32; x++) {
        int at = 3 * (10 * 32 + x), alpha = 8 * x;
        for (int c = 0; c < 3; c++) {
            int want = (truth(x, 10, c) * alpha + 255 * (255 - alpha) + 127) / 255;
            CU_ASSERT_EQUAL(im.rgb[at + c], want);
            CU_ASSERT_EQUAL(gray.rgb[at + c], (truth(x, 10, 0) * alpha + 255 * (255 - alpha) + 127) / 255);
        }
    }
    data_image_free(&im);
    data_image_free(&gray);
}

/* Eight files of one picture (red, green over blue, white), each stored as another camera position. */
static void data_image_load__turns_upright(void)
{
    static const int corner[4][2] = {{2, 2}, {20, 2}, {2, 13}, {20, 13}},
                     want[4] = {0xff0000, 0x00ff00, 0x0000ff, 0xffffff};
    for (int o = 1; o <= 8; o++) {
        struct data_image im;
        char name[32];
        snprintf(name, sizeof name, "turned%d.jpg", o);
        TEST_OK(data_image_load(&im, corpus(name)));
        CU_ASSERT(im.width == 24 && im.height == 16);
        for (int i = 0; im.width == 24 && i < 12; i++) {
            int got = im.rgb[3 * (corner[i / 3][1] * 24 + corner[i / 3][0]) + i % 3],
                is = want[i / 3] >> (16 - 8 * (i % 3)) & 255;
            CU_ASSERT(abs(got - is) < 24);
        }
        data_image_free(&im);
    }
}

/* A table of 16 x 17 codes; the decoder has room for 256. */
static void data_image_parse__refuses_huffman_tables_that_overflow(void)
{
    uint8_t jpeg[400] = {0xff, 0xd8, 0xff, 0xc4, 1, 0x23, 0};
    memset(jpeg + 7, 17, 16);
    struct data_image im;
    TEST_FAILS(data_image_parse(&im, "a.jpg", jpeg, sizeof jpeg), STATUS_ARG, "a Huffman table of more than 256 codes");
    TEST_FAILS(data_image_parse(&im, "a.jpg", jpeg, 24), STATUS_ARG, "a Huffman table of more than 256 codes");
}

static void data_image_parse__refuses_endless_scans(void)
{
    uint8_t jpeg[2 + 200 * 12] = {0xff, 0xd8};
    for (size_t i = 0; i < 200; i++) memcpy(jpeg + 2 + 12 * i, "\xff\xda\0\x08\1\0\0\0\0\0\0\0", 12);
    struct data_image im;
    TEST_FAILS(data_image_parse(&im, "a.jpg", jpeg, sizeof jpeg), STATUS_ARG, "more than 100 scans");
}

static void data_image_load__names_the_file_and_the_reason(void)
{
    struct data_image im;
    TEST_FAILS(data_image_load(&im, corpus("empty")), STATUS_ARG, "image/empty: is empty");
    TEST_FAILS(data_image_load(&im, corpus("text.png")), STATUS_ARG, "text.png: is no JPEG, PNG or BMP image");
    TEST_FAILS(data_image_load(&im, corpus("cut.jpg")), STATUS_ARG,
               "cut.jpg: the image cannot be decoded: the file is cut off");
    TEST_FAILS(data_image_load(&im, corpus("bomb.png")), STATUS_ARG, "far too large");
    TEST_FAILS(data_image_load(&im, corpus("large_claim.jpg")), STATUS_ARG, "too few for");
    TEST_FAILS(data_image_load(&im, "/nowhere/a.jpg"), STATUS_IO, "/nowhere/a.jpg");
    TEST_FAILS(data_image_parse(&im, "a.webp", "RIFF1234WEBPVP8 ", 16), STATUS_ARG, "is WebP; convert it");
    TEST_FAILS(data_image_parse(&im, "a.gif", "GIF89a", 6), STATUS_ARG, "is GIF");
    CU_ASSERT_PTR_NULL(im.rgb);
}

static void data_image_parse__sees_each_cut(void)
{
    static const char *const files[] = {"rgb.jpg", "rgb.png", "progressive.jpg"};
    for (size_t f = 0; f < LEN(files); f++) {
        char *text;
        size_t n;
        TEST_OK(fs_read(&text, &n, corpus(files[f])));
        size_t tail = f == 1 ? 12 : 2; /* an end mark is not missed when the pixels are complete */
        for (size_t cut = 0; cut + tail < n; cut++) {
            struct data_image im;
            uint8_t *part = mem_alloc(cut);
            if (cut) memcpy(part, text, cut);
            struct status s = data_image_parse(&im, files[f], part, cut);
            if (s.code != STATUS_ARG) fprintf(stderr, "%s cut at %zu of %zu passes\n", files[f], cut, n);
            CU_ASSERT_EQUAL(s.code, STATUS_ARG);
            data_image_free(&im);
            free(part);
        }
        free(text);
    }
}

static void data_image_save__comes_back_equal(void)
{
    struct data_image im = data_image_new(17, 23), back;
    for (int i = 0; i < 17 * 23 * 3; i++) im.rgb[i] = (uint8_t)(i * 7 ^ i >> 3);
    const char *path = in_dir("a.png");
    TEST_OK(data_image_save(path, im.rgb, 17, 23));
    TEST_OK(data_image_load(&back, path));
    CU_ASSERT(back.height == 17 && back.width == 23 && !memcmp(im.rgb, back.rgb, 17 * 23 * 3));
    TEST_FAILS(data_image_save("/nowhere/a.png", im.rgb, 17, 23), STATUS_IO, "/nowhere/a.png");
    data_image_free(&im);
    data_image_free(&back);
}

static void data_resample__is_the_exact_mean_for_integer_factors(void)
{
    enum { H = 4, W = 5, FY = 3, FX = 7 };
    uint8_t in[H * FY * W * FX * 3], out[H * W * 3];
    struct rng r = rng_key(1, 2, 3, 4);
    for (size_t i = 0; i < sizeof in; i++) in[i] = (uint8_t)rng_below(&r, 256);
    data_resample(out, H, W, in, H * FY, W * FX);
    for (int y = 0; y < H; y++) {
        for (int x = 0; x < W; x++) {
            for (int c = 0; c < 3; c++) {
                int sum = 0;
                for (int j = 0; j < FY; j++) {
                    for (int i = 0; i < FX; i++) sum += in[((y * FY + j) * W * FX + x * FX + i) * 3 + c];
                }
                CU_ASSERT_EQUAL(out[(y * W + x) * 3 + c], (2 * sum + FY * FX) / (2 * FY * FX));
            }
        }
    }
}

static void data_resample__keeps_constants_means_and_itself(void)
{
    uint8_t in[40 * 30 * 3], out[64 * 64 * 3];
    memset(in, 201, sizeof in);
    const int sizes[][2] = {{7, 11}, {40, 30}, {64, 64}, {1, 1}, {39, 64}};
    for (size_t i = 0; i < LEN(sizes); i++) {
        data_resample(out, sizes[i][0], sizes[i][1], in, 40, 30);
        for (int k = 0; k < sizes[i][0] * sizes[i][1] * 3; k++) CU_ASSERT_EQUAL(out[k], 201);
    }
    for (size_t i = 0; i < sizeof in; i++) in[i] = (uint8_t)(i % 251);
    data_resample(out, 40, 30, in, 40, 30);
    CU_ASSERT(!memcmp(in, out, sizeof in));
    double mean_in = 0, mean_out = 0; /* a factor that is no integer keeps the mean */
    data_resample(out, 17, 13, in, 40, 30);
    for (size_t i = 0; i < sizeof in; i++) mean_in += in[i] / (double)sizeof in;
    for (int i = 0; i < 17 * 13 * 3; i++) mean_out += out[i] / (17 * 13 * 3.0);
    CU_ASSERT(fabs(mean_in - mean_out) < 0.3);
}

static void data_resample__grows_by_straight_lines(void)
{
    const uint8_t in[2 * 3] = {0, 0, 0, 100, 200, 40};
    uint8_t out[4 * 3];
    data_resample(out, 1, 4, in, 1, 2);
    const uint8_t want[4 * 3] = {0, 0, 0, 25, 50, 10, 75, 150, 30, 100, 200, 40};
    CU_ASSERT(!memcmp(out, want, sizeof want));
}

static void data_normalise__is_imagenets_and_comes_back(void)
{
    uint8_t in[256 * 3], out[256 * 3];
    float planar[3 * 256], last[3 * 256];
    for (int i = 0; i < 256; i++) {
        for (int c = 0; c < 3; c++) in[3 * i + c] = (uint8_t)(i + 31 * c);
    }
    data_normalise(planar, in, 16, 16, false);
    data_normalise(last, in, 16, 16, true);
    for (int c = 0; c < 3; c++) {
        const double mean[3] = {0.485, 0.456, 0.406}, std[3] = {0.229, 0.224, 0.225};
        for (int i = 0; i < 256; i++) {
            CU_ASSERT(fabs((double)planar[c * 256 + i] - (in[3 * i + c] / 255.0 - mean[c]) / std[c]) < 1e-6);
            CU_ASSERT_EQUAL(planar[c * 256 + i], last[3 * i + c]);
        }
    }
    data_denormalise(out, planar, 16, 16, false);
    CU_ASSERT(!memcmp(in, out, sizeof in));
    data_denormalise(out, last, 16, 16, true);
    CU_ASSERT(!memcmp(in, out, sizeof in));
    const float wild[3] = {1e9f, -1e9f, NAN};
    data_denormalise(out, wild, 1, 1, false);
    CU_ASSERT(out[0] == 255 && out[1] == 0 && out[2] == 0);
}

static void data_contact__lays_out_rows(void)
{
    uint8_t a[2 * 3 * 3], b[2 * 3 * 3];
    memset(a, 10, sizeof a);
    memset(b, 20, sizeof b);
    const uint8_t *const images[] = {a, b, a};
    struct data_image im = data_contact(images, 3, 2, 2, 3, 1);
    CU_ASSERT(im.width == 2 * 4 + 1 && im.height == 2 * 3 + 1);
    CU_ASSERT(im.rgb[0] == 255 && im.rgb[3 * (1 * 9 + 1)] == 10 && im.rgb[3 * (1 * 9 + 5)] == 20 &&
              im.rgb[3 * (4 * 9 + 1)] == 10 && im.rgb[3 * (4 * 9 + 5)] == 255);
    data_image_free(&im);
}

static const struct test tests[] = {
    TEST(data_image_load__reads_every_kind),
    TEST(data_image_load__puts_alpha_on_white),
    TEST(data_image_load__turns_upright),
    TEST(data_image_parse__refuses_huffman_tables_that_overflow),
    TEST(data_image_parse__refuses_endless_scans),
    TEST(data_image_load__names_the_file_and_the_reason),
    TEST(data_image_parse__sees_each_cut),
    TEST(data_image_save__comes_back_equal),
    TEST(data_resample__is_the_exact_mean_for_integer_factors),
    TEST(data_resample__keeps_constants_means_and_itself),
    TEST(data_resample__grows_by_straight_lines),
    TEST(data_normalise__is_imagenets_and_comes_back),
    TEST(data_contact__lays_out_rows),
};
TEST_MAIN("data.image", tests)
