/* Pairs that data.skip_damaged leaves out are said wherever results are shown. A real training, tiny. */
#include "answer.h"
#include "data.h"

static void write_pairs(const char *dir)
{
    struct arena a = {0};
    uint8_t *pixels = mem_zalloc(3 * 64 * 64);
    static const char *const folders[] = {"input", "target"};
    for (int i = 0; i < 8; i++)
        for (size_t k = 0; k < LEN(folders); k++) {
            const char *path = arena_printf(&a, "%s/pairs/%s/p%d.png", dir, folders[k], i);
            for (int j = 0; j < 3 * 64 * 64; j++) pixels[j] = (uint8_t)(j * (i + 3));
            TEST_OK(fs_mkdir(fs_dirname(&a, path)));
            TEST_OK(data_image_save(path, pixels, 64, 64));
            char *text = NULL;
            size_t n = 0;
            if (i < 6) continue;
            TEST_OK(fs_read(&text, &n, path));
            TEST_OK(fs_write(path, text, n / 2));
            free(text);
        }
    free(pixels);
    arena_free(&a);
}

static void cli__says_how_many_pairs_were_left_out(void)
{
    static const char yaml[] =
        "name: a\ndata: {root: pairs, input: input, target: target, size: 64, skip_damaged: true}\n"
        "model: {arch: unet, backbone: mobilenetv3_small_100, depth: 3, channels: [16, 8, 8]}\n"
        "loss: {network: mobilenetv3_small_100, feature_weights: [1], gram_weights: [0]}\n"
        "train: {epochs: 1, batch: 3, precision: fp32}\nexport: []\nsamples: 1\nseeds: 2\n";
    static const char said[] = "2 damaged pairs left out of the images of 2 trials";
    struct arena a = {0};
    const char *dir = test_dir();
    write_pairs(dir);
    TEST_OK(fs_write(fs_join(&a, dir, "a.yaml"), yaml, sizeof yaml - 1));
    static const char *const commands[] = {"run a.yaml", "top", "top --sweep a", "run a.yaml"};
    for (size_t i = 0; i < LEN(commands); i++) {
        struct answer r = sweep_in(dir, commands[i]);
        if (!strstr(r.out, said)) fprintf(stderr, "sweep %s: %d\n%s\n%s\n", commands[i], r.code, r.out, r.err);
        CU_ASSERT_EQUAL(r.code, 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(r.out, said));
        answer_free(&r);
    }
    char *page = NULL;
    TEST_OK(fs_read(&page, NULL, fs_join(&a, dir, "reports/a/index.html")));
    CU_ASSERT_PTR_NOT_NULL(strstr(page, "2 damaged pairs are left out of the images"));
    free(page);
    arena_free(&a);
}

static const struct test tests[] = {TEST(cli__says_how_many_pairs_were_left_out)};
TEST_MAIN("cli.skipped", tests)
