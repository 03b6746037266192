/* Weights from files under other names, into models and loss networks. */
#include "parts.h"
#include "tiny.h"
#include "zoo.h"

/** The tiny model's arrays whose name begins with @p strip, without it and behind @p add, as a file. */
static const char *write_renamed(const char *strip, const char *add, const char *extra)
{
    static char path[400];
    snprintf(path, sizeof path, "%s/file.safetensors", test_dir());
    struct tiny t;
    struct train_model m;
    struct weights_array *a;
    struct arena arena = {0};
    size_t n, kept = 0;
    tiny_open(&t, "", "{\"seed\": 77}");
    TEST_OK(train_model_open(&m, &t.job, TRAIN_UNTRAINED, NULL));
    TEST_OK(exec_arrays(&a, &n, &arena, m.exec));
    struct weights_array *out = arena_alloc(&arena, (n + 1) * sizeof *out);
    for (size_t i = 0; i < n; i++) {
        if (strncmp(a[i].name, strip, strlen(strip)) != 0) continue;
        out[kept] = a[i];
        out[kept++].name = arena_printf(&arena, "%s%s", add, a[i].name + strlen(strip));
    }
    if (extra) {
        static const float nothing[2] = {0};
        out[kept++] = (struct weights_array){
            .name = extra, .dtype = WEIGHTS_F32, .rank = 1, .shape = {2}, .data = nothing, .bytes = sizeof nothing};
    }
    TEST_OK(weights_save(path, out, kept, NULL));
    train_model_close(&m);
    arena_free(&arena);
    tiny_close(&t);
    return path;
}

/** How many of the model's arrays under @p prefix equal those of seed 77 after loading @p path, of how many. */
static struct status load_and_compare(int *equal, int *all, const char *path, const char *strict, const char *prefix)
{
    struct tiny t[2];
    struct train_model m[2] = {{.net = NULL}, {.net = NULL}};
    char changes[600];
    snprintf(changes, sizeof changes, "{\"seed\": 1, \"model.weights\": \"%s\", \"model.strict\": %s}", path, strict);
    tiny_open(&t[0], "", changes);
    tiny_open(&t[1], "", "{\"seed\": 77}");
    struct status s = train_model_open(&m[0], &t[0].job, TRAIN_UNTRAINED, NULL);
    TEST_OK(train_model_open(&m[1], &t[1].job, TRAIN_UNTRAINED, NULL));
    *equal = *all = 0;
    struct arena arena = {0};
    struct weights_array *a[2];
    size_t n;
    for (int k = 0; k < 2 && s.code == STATUS_OK; k++) TEST_OK(exec_arrays(&a[k], &n, &arena, m[k].exec));
    for (size_t i = 0; s.code == STATUS_OK && i < n; i++) {
        size_t length = strlen(a[0][i].name);
        bool convolution = length > 7 && strcmp(a[0][i].name + length - 7, ".weight") == 0 && a[0][i].rank == 4;
        if (!convolution || strncmp(a[0][i].name, prefix, strlen(prefix)) != 0) continue;
        ++*all;
        *equal += memcmp(a[0][i].data, a[1][i].data, a[0][i].bytes) == 0;
    }
    arena_free(&arena);
    for (int k = 0; k < 2; k++) {
        train_model_close(&m[k]);
        tiny_close(&t[k]);
    }
    return s;
}

static void published__names_of_other_makers_are_understood(void)
{
    static const struct {
        const char *strip, *add, *extra, *filled; /* what the file should have filled */
    } rows[] = {
        {"", "", NULL, ""},
        {"", "model.", NULL, ""},                                /* Lightning */
        {"", "net.", "loss.weight", ""},                         /* the same, by its other usual name */
        {"", "module.", NULL, ""},                               /* DataParallel */
        {"encoder.model.", "", "classifier.weight", "encoder."}, /* the backbone's own file, with its head */
        {"encoder.", "", NULL, "encoder."},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        int equal, all;
        const char *path = write_renamed(rows[i].strip, rows[i].add, rows[i].extra);
        TEST_OK(load_and_compare(&equal, &all, path, "true", rows[i].filled));
        CU_ASSERT_TRUE(all > 5);
        CU_ASSERT_EQUAL(equal, all);
    }
    int equal, all;
    TEST_OK(load_and_compare(&equal, &all, write_renamed("encoder.", "", NULL), "true", "decoder."));
    CU_ASSERT_TRUE(equal < all); /* the decoder is not in that file */
}

static void published__what_does_not_fit_is_listed(void)
{
    int equal, all;
    const char *path = write_renamed("encoder.", "encoder.", NULL);
    TEST_FAILS(load_and_compare(&equal, &all, path, "true", ""), STATUS_ARG, "decoder.blocks.0");
    TEST_OK(load_and_compare(&equal, &all, path, "false", "encoder."));
    CU_ASSERT_EQUAL(equal, all);
    path = write_renamed("encoder.model.blocks.0.", "blocks.0.", NULL);
    TEST_FAILS(load_and_compare(&equal, &all, path, "true", ""), STATUS_ARG, "missing encoder.model.conv_stem.weight");
    path = write_renamed("", "", "decoder.more.weight");
    TEST_FAILS(load_and_compare(&equal, &all, path, "true", ""), STATUS_ARG, "decoder.more.weight");
    TEST_FAILS(load_and_compare(&equal, &all, "/nowhere/x.safetensors", "true", ""), STATUS_IO, "/nowhere/x");
}

/** A backbone's own file, of full depth and for RGB, with values that depend on the place alone. */
static const char *write_backbone(struct arena *a, const char *backbone)
{
    const char *path = arena_printf(a, "%s/backbone.safetensors", test_dir());
    struct net *n;
    size_t kept = 0;
    TEST_OK(zoo_encoder(&n, backbone));
    struct weights_array *v = arena_alloc(a, (size_t)n->n_params * sizeof *v);
    for (int i = 0; i < n->n_params; i++) {
        const struct net_param *p = &n->params[i];
        if (p->kind != NET_WEIGHT && p->kind != NET_BUFFER) continue;
        size_t bytes = (size_t)net_numel(p->shape) * sizeof(float);
        float *values = arena_alloc(a, bytes);
        for (size_t k = 0; k < bytes / sizeof *values; k++) values[k] = (float)(k % 97) / 97;
        v[kept] = (struct weights_array){.name = arena_strdup(a, p->name),
                                         .dtype = WEIGHTS_F32,
                                         .rank = p->shape.rank,
                                         .data = values,
                                         .bytes = bytes};
        memcpy(v[kept++].shape, p->shape.d, sizeof p->shape.d);
    }
    net_free(n);
    TEST_OK(weights_save(path, v, kept, NULL));
    return path;
}

/** The first convolution's weights after loading @p path into a shallow model of so many channels. */
static float *first_convolution(struct arena *a, const char *path, int channels, int64_t shape[4])
{
    struct tiny t;
    struct net *net;
    struct exec *e;
    struct weights_array *v;
    size_t n;
    tiny_open(&t, "", "{}");
    TEST_OK(zoo_build(&net, &(struct zoo_model){.arch = "unet",
                                                .backbone = "mobilenetv3_small_100",
                                                .depth = 3,
                                                .height = 64,
                                                .width = 64,
                                                .in_channels = channels}));
    TEST_OK(exec_new(&e, net, &(struct exec_options){.compute = TENSOR_F32, .device = tensor_cpu()}));
    TEST_OK(load_model_file(e, &t.job, "model.weights", path));
    TEST_OK(exec_arrays(&v, &n, a, e));
    exec_free(e);
    net_free(net);
    tiny_close(&t);
    struct weights w = {.a = v, .n = n};
    const struct weights_array *x = weights_find(&w, "encoder.model.conv_stem.weight");
    CU_ASSERT_PTR_NOT_NULL_FATAL(x);
    memcpy(shape, x->shape, 4 * sizeof *shape);
    return arena_copy(a, x->data, x->bytes);
}

static void published__a_whole_backbone_fits_a_shallow_model_of_any_channels(void)
{
    struct arena a = {0};
    const char *path = write_backbone(&a, "mobilenetv3_small_100");
    int64_t s3[4], s1[4], s5[4];
    float *rgb = first_convolution(&a, path, 3, s3), *one = first_convolution(&a, path, 1, s1);
    float *five = first_convolution(&a, path, 5, s5);
    int64_t area = s3[2] * s3[3];
    CU_ASSERT(s3[1] == 3 && s1[1] == 1 && s5[1] == 5 && s3[0] == s1[0] && s3[0] == s5[0]);
    for (int64_t o = 0; o < s3[0]; o++)
        for (int64_t i = 0; i < area; i++) {
            const float *p = rgb + o * 3 * area + i;
            CU_ASSERT_DOUBLE_EQUAL(p[0], (double)((o * 3 * area + i) % 97) / 97, 1e-6);
            CU_ASSERT_DOUBLE_EQUAL(one[o * area + i], p[0] + p[area] + p[2 * area], 1e-6);
            for (int64_t c = 0; c < 5; c++)
                CU_ASSERT_DOUBLE_EQUAL(five[(o * 5 + c) * area + i], 0.6 * (double)p[c % 3 * area], 1e-6);
        }
    arena_free(&a);
}

/** Runs one epoch with this loss network file, and counts how often random features are told of. */
static struct status train_with(const char *path, double *loss, int *random)
{
    struct tiny t;
    struct train_result r;
    char changes[600];
    snprintf(changes, sizeof changes, "{\"train.epochs\": 1, \"loss.weights\": %s%s%s}", path ? "\"" : "",
             path ? path : "null", path ? "\"" : "");
    tiny_open(&t, test_dir(), changes);
    struct status s = train_run(&r, &t.job);
    if (s.code == STATUS_OK) s = train_evaluate(&t.job);
    *loss = tiny_metric(&t, 0, "val_loss", -1);
    *random = 0;
    for (size_t i = 0; i < json_array_size(t.events); i++)
        *random += json_is_true(json_object_get(json_object_get(json_array_get(t.events, i), "values"), "loss_random"));
    tiny_close(&t);
    return s;
}

static void published__loss_network_takes_a_backbone_or_a_model(void)
{
    double random, backbone, model;
    int told;
    char file[400];
    TEST_OK(train_with(NULL, &random, &told));
    CU_ASSERT_EQUAL(told, 2); /* trained and evaluated */
    snprintf(file, sizeof file, "%s", write_renamed("encoder.model.", "", "classifier.bias"));
    TEST_OK(train_with(file, &backbone, &told));
    CU_ASSERT_EQUAL(told, 0);
    snprintf(file, sizeof file, "%s", write_renamed("", "", NULL));
    TEST_OK(train_with(file, &model, &told));
    CU_ASSERT_DOUBLE_EQUAL(backbone, model, 1e-9); /* the same weights by two names */
    CU_ASSERT_TRUE(random != model);
    snprintf(file, sizeof file, "%s", write_renamed("decoder.", "decoder.", NULL));
    TEST_FAILS(train_with(file, &model, &told), STATUS_ARG, "loss.weights:");
}

/* model.init means the whole net: an encoder's file is refused, and the decoder is taken, too. */
static void published__init_is_a_whole_net(void)
{
    struct tiny t[2];
    struct train_model m[2] = {{.net = NULL}, {.net = NULL}};
    struct weights_array *v[2];
    struct arena a = {0};
    size_t n, equal = 0;
    const char *path = write_renamed("", "", NULL);
    tiny_open(&t[0], "", arena_printf(&a, "{\"seed\": 1, \"model.init\": \"%s\"}", path));
    tiny_open(&t[1], "", "{\"seed\": 77}");
    for (int k = 0; k < 2; k++) {
        TEST_OK(train_model_open(&m[k], &t[k].job, TRAIN_UNTRAINED, NULL));
        TEST_OK(exec_arrays(&v[k], &n, &a, m[k].exec));
    }
    for (size_t i = 0; i < n; i++) equal += memcmp(v[0][i].data, v[1][i].data, v[0][i].bytes) == 0;
    CU_ASSERT_TRUE(n > 10);
    CU_ASSERT_EQUAL(equal, n);
    train_model_close(&m[0]);
    tiny_close(&t[0]);
    path = write_renamed("encoder.model.", "", NULL);
    tiny_open(&t[0], "", arena_printf(&a, "{\"seed\": 1, \"model.init\": \"%s\"}", path));
    TEST_FAILS(train_model_open(&m[0], &t[0].job, TRAIN_UNTRAINED, NULL), STATUS_ARG,
               "holds an encoder alone, expected a whole net");
    for (int k = 0; k < 2; k++) {
        train_model_close(&m[k]);
        tiny_close(&t[k]);
    }
    arena_free(&a);
}

static const struct test tests[] = {
    TEST(published__init_is_a_whole_net),
    TEST(published__names_of_other_makers_are_understood),
    TEST(published__what_does_not_fit_is_listed),
    TEST(published__a_whole_backbone_fits_a_shallow_model_of_any_channels),
    TEST(published__loss_network_takes_a_backbone_or_a_model),
};

int main(int argc, char **argv)
{
    tensor_start(1);
    return test_main("train.published", tests, LEN(tests), argc, argv);
}
