/* All that is wrong with a file is told at once; what other tools call a key is understood; a byte order mark is none.
 */
#include "spec.h"
#include "test.h"

static void spec_mistakes__every_line_is_named(void)
{
    static const char text[] = "nmae: x\n"
                               "seed: one\n"
                               "train: {epochs: many, lr: 1, lr: 2}\n"
                               "model:\n"
                               "  depth: 9\n"
                               "  backbone: *mobile\n"
                               "augment:\n"
                               "  - flip: {p: 2}\n"
                               "  - flop: {}\n"
                               "loss: {feature_weights: [1, 2], gram_weights: [1, 2, 3]}\n"
                               "axes:\n"
                               "  data.size: [64, 3,\n"
                               "    eight]\n"
                               "exclude:\n"
                               "  - {model.arch: unet, model.arkh: fpn}\n"
                               "slurm: {tyme: 3}\n"
                               "sample: {m: 3}\n"
                               "zip: {train.eps: [0.1, 0.2],\n"
                               "  train.ema: [0.5]}\n";
    static const char *const places[] = {
        "1:1: ",   "2:7: ",   "3:17: ", "3:30: ",  "5:10: ", "6:13: ",  "8:15: ", "9:5: ",
        "10:47: ", "12:19: ", "13:5: ", "15:24: ", "16:9: ", "17:10: ", "19:14: "};
    struct spec *s;
    json_t *mistakes = json_array();
    TEST_OK(spec_parse_all(&s, "f", text, strlen(text), mistakes));
    CU_ASSERT_PTR_NOT_NULL(s);
    spec_free(s);
    for (size_t i = 0; i < LEN(places); i++) {
        int n = 0;
        char place[32];
        snprintf(place, sizeof place, "f:%s", places[i]);
        for (size_t k = 0; k < json_array_size(mistakes); k++)
            n += strncmp(json_string_value(json_array_get(mistakes, k)), place, strlen(place)) == 0;
        if (n != 1) fprintf(stderr, "%d at %s\n", n, place);
        CU_ASSERT_EQUAL(n, 1);
    }
    CU_ASSERT_EQUAL(json_array_size(mistakes), LEN(places));
    for (size_t k = 0; json_array_size(mistakes) != LEN(places) && k < json_array_size(mistakes); k++)
        fprintf(stderr, "%s\n", json_string_value(json_array_get(mistakes, k)));
    json_decref(mistakes);
}

static void spec_mistakes__have_an_end(void)
{
    struct spec *s;
    struct str text = {0};
    json_t *mistakes = json_array();
    for (int i = 0; i < 200; i++) str_addf(&text, "zzz%d: 1\n", i);
    TEST_FAILS(spec_parse_all(&s, "f", text.s, text.n, mistakes), STATUS_ARG, "more than 50 mistakes");
    CU_ASSERT_PTR_NULL(s);
    CU_ASSERT_EQUAL(json_array_size(mistakes), SPEC_MAX_MISTAKES);
    json_decref(mistakes);
    str_free(&text);
}

static void spec_mistakes__a_right_file_has_none(void)
{
    static const char text[] = "\xef\xbb\xbfseed: 3\naxes: {model.arch: [unet, fpn]}\n";
    struct spec *s;
    json_t *mistakes = json_array();
    TEST_OK(spec_parse_all(&s, "f", text, strlen(text), mistakes));
    CU_ASSERT_EQUAL(json_array_size(mistakes), 0);
    CU_ASSERT_EQUAL(json_int(s->base, "seed", 0), 3);
    CU_ASSERT_EQUAL(spec_mark_of(s, "seed").column, 7);
    spec_free(s);
    json_decref(mistakes);
}

static void spec_mistakes__other_tools_words(void)
{
    static const struct {
        const char *theirs, *ours;
    } words[] = {{"learning_rate", "train.lr"},
                 {"lr", "train.lr"},
                 {"train.learning-rate", "train.lr"},
                 {"bs", "train.batch"},
                 {"batch_size", "train.batch"},
                 {"BatchSize", "train.batch"},
                 {"epoch_count", "train.epochs"},
                 {"num_epochs", "train.epochs"},
                 {"optim", "train.optimizer"},
                 {"optimiser", "train.optimizer"},
                 {"backbone", "model.backbone"},
                 {"encoder", "model.backbone"},
                 {"encoder_name", "model.backbone"},
                 {"pretrained", "model.weights"},
                 {"image_size", "data.size"},
                 {"lr_scheduler", "train.schedule"},
                 {"grid", "axes"},
                 {"augmentations", "augment"}};
    for (size_t i = 0; i < LEN(words); i++) {
        struct spec *s;
        char text[64], want[120];
        snprintf(text, sizeof text, "%s: 1\n", words[i].theirs);
        snprintf(want, sizeof want, "no such key; did you mean %s?", words[i].ours);
        TEST_FAILS(spec_parse(&s, "f", text, strlen(text)), STATUS_ARG, want);
    }
}

static const struct test tests[] = {TEST(spec_mistakes__every_line_is_named), TEST(spec_mistakes__have_an_end),
                                    TEST(spec_mistakes__a_right_file_has_none), TEST(spec_mistakes__other_tools_words)};
TEST_MAIN("spec.mistakes", tests)
