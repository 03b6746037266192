/* Fewer images at once than the batch: the same steps, gradients added up. */
#include "run.h"
#include "tiny.h"
#include <math.h>

static void train__parts_of_a_batch(void)
{
    static const struct {
        int micro, batch, parts[5], least;
    } cases[] = {
        {0, 8, {8}, 8},       {8, 8, {8}, 8},       {16, 8, {8}, 8},
        {4, 8, {4, 4}, 4},    {2, 5, {2, 2, 1}, 1}, {4, 5, {3, 2}, 2}, /* halves, not four and one */
        {3, 8, {3, 3, 2}, 2}, {1, 3, {1, 1, 1}, 1},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        int left = cases[i].batch, n = 0;
        for (; left > 0 && n < 5; left -= cases[i].parts[n++])
            CU_ASSERT_EQUAL(run_part(cases[i].micro, left), cases[i].parts[n]);
        CU_ASSERT_EQUAL(left, 0);
        CU_ASSERT_EQUAL(run_least_part(cases[i].micro, cases[i].batch), cases[i].least);
    }
}

static const char *const one_step = "{\"data.pairs\": 5, \"train.batch\": 4, \"train.epochs\": 1, \"train.optimizer\": "
                                    "\"sgd\", \"train.momentum\": 0, \"train.weight_decay\": 0, \"train.schedule\": "
                                    "\"constant\", \"train.lr\": %s}";

/* Trains in a fresh folder; the folder, borrowed from @p t, and the whole run's steps. */
static int64_t steps;
static void count_step(void *user, int64_t step, double loss)
{
    (void)user, (void)loss;
    steps = step + 1;
}

static struct status train_tiny(struct tiny *t, const char *lr, int micro)
{
    char changes[400];
    struct train_result r;
    snprintf(changes, sizeof changes, one_step, lr);
    tiny_open(t, test_dir(), changes);
    t->job.micro_batch = micro;
    t->job.after_step = count_step;
    steps = 0;
    return train_run(&r, &t->job);
}

static struct weights load(const struct tiny *t)
{
    char path[600];
    struct weights w = {0};
    snprintf(path, sizeof path, "%s/last.safetensors", t->job.dir);
    TEST_OK(weights_load(&w, path));
    return w;
}

/* Lengths of two updates from the same start, and the cosine between them. */
static void compare(const struct weights *start, const struct weights *a, const struct weights *b, double *ratio,
                    double *cosine)
{
    double aa = 0, bb = 0, ab = 0;
    for (size_t i = 0; i < start->n; i++) {
        const struct weights_array *s = &start->a[i], *x = weights_find(a, s->name), *y = weights_find(b, s->name);
        CU_ASSERT_TRUE_FATAL(x && y && x->bytes == s->bytes && y->bytes == s->bytes);
        if (strstr(s->name, "running_") || strstr(s->name, "num_batches")) continue;
        for (size_t k = 0; k < s->bytes / sizeof(float); k++) {
            float v[3];
            const void *from[3] = {s->data, x->data, y->data};
            for (int j = 0; j < 3; j++) memcpy(&v[j], (const char *)from[j] + k * sizeof(float), sizeof(float));
            double dx = (double)v[1] - (double)v[0], dy = (double)v[2] - (double)v[0];
            aa += dx * dx;
            bb += dy * dy;
            ab += dx * dy;
        }
    }
    *ratio = sqrt(bb / aa);
    *cosine = ab / sqrt(aa * bb);
}

static void train__parts_add_up_to_the_batch(void)
{
    struct tiny still, whole, same, parts;
    TEST_OK(train_tiny(&still, "1.0e-12", 0));
    TEST_OK(train_tiny(&whole, "0.01", 0));
    CU_ASSERT_EQUAL(steps, 1);
    TEST_OK(train_tiny(&same, "0.01", 4));
    CU_ASSERT_TRUE(tiny_same_weights(whole.job.dir, same.job.dir, "last")); /* to the bit */
    TEST_OK(train_tiny(&parts, "0.01", 2));
    CU_ASSERT_EQUAL(steps, 1);
    CU_ASSERT_FALSE(tiny_same_weights(whole.job.dir, parts.job.dir, "last")); /* norms saw two images each time */
    struct weights s = load(&still), w = load(&whole), p = load(&parts);
    double ratio = 0, cosine = 0;
    compare(&s, &w, &p, &ratio, &cosine);
    if (ratio < 0.6 || ratio > 1.6 || cosine < 0.6) fprintf(stderr, "ratio %g, cosine %g\n", ratio, cosine);
    CU_ASSERT_TRUE(ratio > 0.6 && ratio < 1.6); /* a sum in place of a mean would be twice as long */
    CU_ASSERT_TRUE(cosine > 0.6);
    double a = tiny_metric(&whole, 1, "train_loss", -1), b = tiny_metric(&parts, 1, "train_loss", -1);
    CU_ASSERT_TRUE(a > 0 && fabs(a - b) < 0.1 * a);
    int said = 0;
    size_t i;
    json_t *e;
    json_array_foreach(parts.events, i, e) said += json_int(json_object_get(e, "values"), "micro_batch", 0) == 2;
    CU_ASSERT_EQUAL(said, 1);
    weights_free(&s);
    weights_free(&w);
    weights_free(&p);
    tiny_close(&still);
    tiny_close(&whole);
    tiny_close(&same);
    tiny_close(&parts);
}

static const struct test tests[] = {
    TEST(train__parts_of_a_batch),
    TEST(train__parts_add_up_to_the_batch),
};

TEST_MAIN("train micro", tests)
