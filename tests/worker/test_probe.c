/* The probe as a process: requests that cannot be done are answered and the next is read; a slice of the fixtures. */
#include "test.h"
#include <math.h>

static char work[400];

/* The CPU, or what TEST_DEVICE names. */
static const char *device(void)
{
    const char *name = getenv("TEST_DEVICE");
    return name && name[0] ? name : "cpu";
}

/** Feeds @p requests to the probe; what it wrote. Owner: the caller frees. */
static char *ask(const char *requests, const char *on)
{
    char in[512], command[2048], *answers;
    snprintf(work, sizeof work, "%s", test_dir());
    snprintf(in, sizeof in, "%s/requests", work);
    TEST_OK(fs_write(in, requests, strlen(requests)));
    snprintf(command, sizeof command, "'%s/sweep-worker' probe --device %s < '%s' > '%s/answers'", test_build_dir(), on,
             in, work);
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
    char *answers = ask(requests.s, device()), *line = answers;
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
        {"", "loss"}, /* the last: on a GPU float32 gradients are rounded otherwise, by up to 1 % of their deviation */
    };
    const char *shared = test_shared();
    if (!shared) return;
    size_t n = LEN(slices) - (strcmp(device(), "cpu") != 0);
    for (size_t i = 0; i < n; i++) {
        char command[3000];
        snprintf(command, sizeof command,
                 "python3 '%s/parity/check' %s '%s/parity/%s.json' -- '%s/sweep-worker' probe --device %s", shared,
                 slices[i].narrow, shared, slices[i].fixture, test_build_dir(), device());
        CU_ASSERT_EQUAL(system(command), 0);
    }
}

/* In float64 no rounding hides a defect: value and gradient of a loss on this device and on the CPU. */
static void worker_probe__a_loss_in_float64_is_that_of_the_cpu(void)
{
    static const char request[] = "{\"kind\":\"loss\",\"dtype\":\"float64\",\"shape\":[1,3,128,128],\"config\":"
                                  "{\"feature_weights\":[1,1,1,1],\"gram_weights\":[0.5,1,2,1]}}\n";
    json_t *got[2] = {NULL};
    for (int i = 0; i < 2; i++) {
        char *text = ask(request, i ? device() : "cpu");
        TEST_OK(json_parse(&got[i], "answer", text, strlen(text)));
        free(text);
    }
    double a = json_num(got[0], "total", (double)NAN), b = json_num(got[1], "total", (double)NAN);
    CU_ASSERT_TRUE(fabs(a - b) <= 1e-9 * fabs(a));
    const json_t *x = json_object_get(got[0], "grad"), *y = json_object_get(got[1], "grad");
    const json_t *xs = json_object_get(x, "samples"), *ys = json_object_get(y, "samples");
    CU_ASSERT_TRUE(json_array_size(xs) > 0 && json_array_size(xs) == json_array_size(ys));
    double most = json_num(x, "absmax", (double)NAN);
    for (size_t i = 0; i < json_array_size(xs); i++) {
        double d = json_number_value(json_array_get(xs, i)) - json_number_value(json_array_get(ys, i));
        CU_ASSERT_TRUE(fabs(d) <= 1e-8 * most);
    }
    json_decref(got[0]);
    json_decref(got[1]);
}

static const struct test tests[] = {
    TEST(worker_probe__answers_what_it_cannot_do),
    TEST(worker_probe__agrees_with_the_reference),
    TEST(worker_probe__a_loss_in_float64_is_that_of_the_cpu),
};
TEST_MAIN("worker.probe", tests)
