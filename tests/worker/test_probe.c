/* The probe as a process: requests that cannot be done are answered and the next is read; a slice of the fixtures. */
#include "test.h"

static char work[400];

/** Feeds @p requests to the probe; what it wrote. Owner: the caller frees. */
static char *ask(const char *requests)
{
    char in[512], command[2048], *answers;
    snprintf(work, sizeof work, "%s", test_dir());
    snprintf(in, sizeof in, "%s/requests", work);
    TEST_OK(fs_write(in, requests, strlen(requests)));
    snprintf(command, sizeof command, "'%s/sweep-worker' probe < '%s' > '%s/answers'", test_build_dir(), in, work);
    CU_ASSERT_EQUAL(system(command), 0);
    snprintf(in, sizeof in, "%s/answers", work);
    TEST_OK(fs_read(&answers, NULL, in));
    return answers;
}

#define CELL "\"arch\":\"unet\",\"backbone\":\"mobilenetv3_small_100\""
#define LOSS "\"config\":{\"feature_weights\":[1]}"

/* clang-format off */
static const struct {
    const char *request, *answer; /* a part of it */
} wrong[] = {
    {"garbage", "\"error\""},
    {"[1,2]", "\"error\""},
    {"{\"kind\":\"model\"", "\"error\""},
    {"{\"kind\":\"modell\"}", "expected model, loss or train"},
    {"{\"kind\":\"model\"}", "size"},
    {"{\"kind\":\"model\",\"size\":[64,64]}", "arch"},
    {"{\"kind\":\"model\"," CELL ",\"size\":[0,64]}", "size"},
    {"{\"kind\":\"model\"," CELL ",\"size\":[64,64,64]}", "size"},
    {"{\"kind\":\"model\"," CELL ",\"size\":99999999}", "size"},
    {"{\"kind\":\"model\"," CELL ",\"size\":64,\"dtype\":\"int8\"}", "float32 or float64"},
    {"{\"kind\":\"model\",\"arch\":\"unet\",\"backbone\":\"resnet19\",\"size\":64}", "resnet18"},
    {"{\"kind\":\"model\",\"arch\":\"deeplabv3\",\"backbone\":\"vgg16\",\"size\":64}", "\"refused\""},
    {"{\"kind\":\"loss\",\"shape\":[1,3,32,32]}", "config"},
    {"{\"kind\":\"loss\"," LOSS ",\"shape\":[1,4,32,32]}", "shape"},
    {"{\"kind\":\"loss\"," LOSS ",\"shape\":3}", "shape"},
    {"{\"kind\":\"loss\"," LOSS ",\"shape\":[1,3,32,32],\"dtype\":\"int8\"}", "float32 or float64"},
    {"{\"kind\":\"loss\",\"config\":{\"gram_weights\":[\"x\"]},\"shape\":[1,3,32,32]}", "numbers"},
    {"{\"kind\":\"loss\",\"config\":{\"gram_weights\":[1,1,1,1,1,1,1,1,1,1,1]},\"shape\":[1,3,32,32]}", "at most"},
    {"{\"kind\":\"train\"," CELL ",\"size\":64,\"steps\":1,\"batch\":0," LOSS "}", "batch"},
    {"{\"kind\":\"train\"," CELL ",\"size\":64,\"steps\":0,\"batch\":2," LOSS "}", "steps"},
    {"{\"kind\":\"train\"," CELL ",\"size\":64,\"steps\":1,\"batch\":2,\"optimizer\":\"lion\"," LOSS "}", "sgd or adamw"},
    {"{\"kind\":\"train\"," CELL ",\"size\":32,\"steps\":1,\"batch\":1,\"optimizer\":\"sgd\"," LOSS "}", "one value a channel"},
};
/* clang-format on */

static void worker_probe__answers_what_it_cannot_do(void)
{
    struct str requests = {0};
    for (size_t i = 0; i < LEN(wrong); i++) str_addf(&requests, "%s\n\n", wrong[i].request);
    str_addf(&requests, "{\"kind\":\"loss\"," LOSS ",\"shape\":[1,3,32,32]}\n");
    char *answers = ask(requests.s), *line = answers;
    size_t n = 0;
    for (char *end; (end = strchr(line, '\n')); line = end + 1, n++) {
        *end = 0;
        const char *want = n < LEN(wrong) ? wrong[n].answer : "\"total\"";
        if (!strstr(line, want)) fprintf(stderr, "%zu: %s; expected %s\n", n, line, want);
        CU_ASSERT(strstr(line, want) != NULL);
    }
    CU_ASSERT_EQUAL(n, LEN(wrong) + 1);
    free(answers);
    str_free(&requests);
}

/* Which fixtures, and which cells of them: one of each kind of answer. */
static void worker_probe__agrees_with_the_reference(void)
{
    static const struct {
        const char *narrow, *fixture;
    } slices[] = {
        {"--arch unet --arch linknet", "models/resnet18"},
        {"--arch fpn --arch pspnet", "models/tf_efficientnet_lite0"},
        {"--arch deeplabv3", "models/vgg11"},
        {"", "loss"},
    };
    const char *shared = test_shared(), *device = getenv("TEST_DEVICE");
    if (!device || !device[0]) device = "cpu";
    if (!shared) return;
    for (size_t i = 0; i < LEN(slices); i++) {
        char command[3000];
        snprintf(command, sizeof command,
                 "python3 '%s/parity/check' %s '%s/parity/%s.json' -- '%s/sweep-worker' probe --device %s", shared,
                 slices[i].narrow, shared, slices[i].fixture, test_build_dir(), device);
        CU_ASSERT_EQUAL(system(command), 0);
    }
}

static const struct test tests[] = {
    TEST(worker_probe__answers_what_it_cannot_do),
    TEST(worker_probe__agrees_with_the_reference),
};
TEST_MAIN("worker.probe", tests)
