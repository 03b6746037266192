/* A recorded step computes what the step does: losses with train.graph auto beside those with off, on the device that
 * TEST_DEVICE names. A CPU records nothing, so there both are the same to the bit. */
#include "tiny.h"
#include <math.h>

enum { EPOCHS = 4 /* of three steps, the last of them on a batch that is not full */ };

static const struct {
    const char *what, *changes;
} cases[] = {
    {"plain", "{}"},
    {"dropout", "{\"model.arch\": \"fpn\", \"model.depth\": null, \"model.channels\": null, \"model.dropout\": 0.3}"},
    {"frozen encoder, thawed", "{\"train.freeze_encoder\": 3}"},
    {"averages and clipping", "{\"train.ema\": 0.9, \"train.clip_grad\": 0.1, \"train.schedule\": \"cosine\"}"},
    {"sgd", "{\"train.optimizer\": \"sgd\", \"train.lr\": 0.01}"},
    {"bf16", "{\"train.precision\": \"bf16\"}"},
    {"fp16", "{\"train.precision\": \"fp16\", \"train.epochs\": 12}"},
};

/** What the last `info` event said of recording; NULL: nothing. */
static const char *said(const struct tiny *t)
{
    const char *found = NULL;
    size_t i;
    json_t *e;
    json_array_foreach(t->events, i, e) found = json_str(json_object_get(e, "values"), "graph", found);
    return found;
}

static void train_with(struct tiny *t, const char *changes, const char *graph)
{
    json_error_t e;
    struct train_result result = {.end = TRAIN_DIVERGED};
    json_t *all = json_loads(changes, 0, &e);
    CHECK(all, "%s", e.text);
    json_object_set_new(all, "train.graph", json_string(graph));
    if (!json_object_get(all, "train.epochs")) json_object_set_new(all, "train.epochs", json_integer(EPOCHS));
    char *text = json_dumps(all, 0);
    tiny_open(t, test_dir(), text);
    TEST_OK(train_run(&result, &t->job));
    CU_ASSERT_EQUAL(result.end, TRAIN_DONE);
    free(text);
    json_decref(all);
}

static void train_graph__computes_what_the_step_does(void)
{
    bool cuda = test_device().cuda;
    for (size_t c = 0; c < LEN(cases); c++) {
        struct tiny off, on;
        train_with(&off, cases[c].changes, "off");
        train_with(&on, cases[c].changes, "auto");
        const char *text = said(&on);
        bool recorded = text && strcmp(text, "on") == 0;
        if (recorded != cuda) fprintf(stderr, "%s: recording: %s\n", cases[c].what, text ? text : "nothing said");
        CU_ASSERT_EQUAL(recorded, cuda);
        for (int epoch = 1; epoch <= on.trial.train.epochs; epoch++) {
            double a = tiny_metric(&off, epoch, "train_loss", (double)NAN),
                   b = tiny_metric(&on, epoch, "train_loss", (double)INFINITY);
            bool near = cuda ? fabs(a - b) <= 0.01 * fabs(a) : a == b; /* a GPU adds in no fixed order */
            if (!near) fprintf(stderr, "%s, epoch %d: loss %g, recorded %g\n", cases[c].what, epoch, a, b);
            CU_ASSERT(near);
        }
        tiny_close(&off);
        tiny_close(&on);
    }
}

/** Nothing that a loss which is no number has touched is ever written. */
static void train_graph__a_late_loss_spoils_no_file(void)
{
    struct tiny t;
    struct train_result result = {.end = TRAIN_DONE};
    tiny_open(&t, test_dir(),
              "{\"train.optimizer\": \"sgd\", \"train.lr\": 10, \"train.epochs\": 20,"
              " \"train.schedule\": \"constant\", \"train.warmup\": 0, \"loss.pixel_weight\": 1e6}");
    TEST_OK(train_run(&result, &t.job));
    CU_ASSERT_EQUAL(result.end, TRAIN_DIVERGED);
    static const char *const names[] = {"best", "last"};
    for (size_t k = 0; k < LEN(names); k++) {
        char path[600];
        struct weights w = {0};
        snprintf(path, sizeof path, "%s/%s.safetensors", t.job.dir, names[k]);
        if (!fs_exists(path)) continue;
        TEST_OK(weights_load(&w, path));
        for (size_t i = 0; i < w.n; i++)
            for (size_t at = 0; at < w.a[i].bytes / sizeof(float) && !strstr(w.a[i].name, "num_batches"); at++) {
                float v;
                memcpy(&v, (const char *)w.a[i].data + at * sizeof v, sizeof v);
                if (!isfinite(v)) CU_FAIL("a number that is none was written");
            }
        weights_free(&w);
    }
    tiny_close(&t);
}

static const struct test tests[] = {TEST(train_graph__computes_what_the_step_does),
                                    TEST(train_graph__a_late_loss_spoils_no_file)};

int main(int argc, char **argv)
{
    tensor_start(1);
    return test_main("train.graph", tests, LEN(tests), argc, argv);
}
