/* Pictures with an alpha channel, which the product reads and never writes. For tests whose room uses data. */
#ifndef SWEEP_TEST_RGBA_H
#define SWEEP_TEST_RGBA_H

#include "test.h"
#define STBI_WRITE_NO_STDIO
#include <stb/stb_image_write.h>

static inline void rgba_collect(void *user, void *p, int n)
{
    str_addn(user, p, (size_t)n);
}

/** A PNG of @p components (2 grey and alpha, 3 RGB, 4 RGBA) from interleaved bytes. */
static inline void test_write_png(const char *path, const uint8_t *v, int components, int height, int width)
{
    struct str png = {0};
    CU_ASSERT_TRUE(stbi_write_png_to_func(rgba_collect, &png, width, height, components, v, components * width));
    TEST_OK(fs_write(path, png.s, png.n));
    str_free(&png);
}

/** @p n pairs in DIR/input (RGBA: a disc of varying size that fades out) and DIR/target (RGB). */
static inline void test_write_rgba_pairs(const char *dir, int n, int side)
{
    struct arena a = {0};
    uint8_t *v = mem_alloc((size_t)side * (size_t)side * 4);
    TEST_OK(fs_mkdir(fs_join(&a, dir, "input")));
    TEST_OK(fs_mkdir(fs_join(&a, dir, "target")));
    for (int k = 0; k < n; k++) {
        for (int i = 0; i < side * side; i++) {
            int x = 2 * (i % side) - side, y = 2 * (i / side) - side, far = (x * x + y * y) * 255 / (2 * side * side);
            uint8_t rgba[4] = {(uint8_t)(i * 7 + k), (uint8_t)(i / side * 5), (uint8_t)(255 - i % side * 3),
                               (uint8_t)(far + 10 * k > 255 ? 0 : 255 - far - 10 * k)};
            memcpy(v + 4 * i, rgba, 4);
        }
        test_write_png(arena_printf(&a, "%s/input/p%02d.png", dir, k), v, 4, side, side);
        for (int i = 0; i < side * side; i++) memmove(v + 3 * i, v + 4 * i, 3);
        test_write_png(arena_printf(&a, "%s/target/p%02d.png", dir, k), v, 3, side, side);
    }
    free(v);
    arena_free(&a);
}

#endif
