/* What an earlier version has left half done goes on: tests/train/upgrade holds a checkpoint of each version. */
#include "tiny.h"

/* Its arrays are zeros, which pack well; that the losses of epoch 1 were 100 is in no run but that one. */
static void train__goes_on_from_a_checkpoint_of_the_first_version(void)
{
    struct tiny t;
    struct train_result r = {.epochs = 0};
    struct str command = {0};
    const char *dir = fresh_dir(0);
    str_addf(&command, "gzip -dc <'%s/tests/train/upgrade/first.safetensors.gz' >'%s/last.safetensors'",
             test_source_dir(), dir);
    CU_ASSERT_EQUAL(system(command.s), 0);
    str_free(&command);
    tiny_open(&t, dir, "{}");
    TEST_OK(train_run(&r, &t.job));
    CU_ASSERT_EQUAL(r.epochs, 3);
    CU_ASSERT_EQUAL(tiny_metric(&t, 1, "train_loss", -1), 100);
    CU_ASSERT_NOT_EQUAL(tiny_metric(&t, 3, "ssim", -1), -1);
    tiny_close(&t);
}

static const struct test tests[] = {TEST(train__goes_on_from_a_checkpoint_of_the_first_version)};
TEST_MAIN("train.upgrade", tests)
