/* Published weights (EfficientNet-Lite0, as its package ships them) on real faces: features equal those of
 * segmentation_models_pytorch, which tests/weights/reference_lite0.py wrote down. */
#include "data.h"
#include "exec.h"
#include "parts.h"
#include "test.h"
#include "zoo.h"
#include <glob.h>
#include <math.h>

static const char backbone[] = "tf_efficientnet_lite0";

/** The package's file and the folder of faces; false when one is absent. */
static bool all_here(struct arena *a, const char **file, const char **faces)
{
    glob_t g = {0};
    *file = NULL;
    if (glob(arena_printf(a, "%s/.deps/lite/*lite0*/models/*.pth", test_source_dir()), 0, NULL, &g) == 0)
        *file = arena_strdup(a, g.gl_pathv[0]);
    globfree(&g);
    const char *shared = test_shared();
    *faces = shared ? arena_printf(a, "%s/data/heroes/ffhq", shared) : NULL;
    if (!*file) test_skip("the published weights are not here: `make setup-weights` fetches them");
    return *file && *faces;
}

static struct tensor *crop(const char *path, int y, int x, int side)
{
    struct data_image im;
    struct tensor *t = NULL;
    TEST_OK(data_image_load(&im, path));
    float *v = mem_alloc((size_t)(3 * side * side) * sizeof *v);
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < side * side; i++) {
            int at = ((y + i / side) * im.width + x + i % side) * 3 + c;
            v[c * side * side + i] = (float)im.rgb[at] / 127.5f - 1;
        }
    TEST_OK(tensor_from_host(&t, TENSOR_F32, 4, (int64_t[]){1, 3, side, side}, v, tensor_cpu()));
    free(v);
    data_image_free(&im);
    return t;
}

/** Largest difference of the samples, in standard deviations of the feature. */
static double difference(const struct tensor *t, const json_t *want)
{
    int64_t n = tensor_numel(t);
    float *v = mem_alloc((size_t)n * sizeof *v);
    TEST_OK(tensor_to_f32(t, v));
    const json_t *shape = json_object_get(want, "shape"), *samples = json_object_get(want, "samples");
    for (size_t d = 0; d < 4; d++) CU_ASSERT_EQUAL(tensor_dim(t, (int)d), json_integer_value(json_array_get(shape, d)));
    double most = 0, sum = 0, std = json_num(want, "std", 0);
    for (int64_t i = 0; i < n; i++) sum += (double)v[i];
    for (size_t i = 0; i < json_array_size(samples); i++) {
        double got = (double)v[rng_splitmix((uint64_t)i) % (uint64_t)n];
        most = fmax(most, fabs(got - json_number_value(json_array_get(samples, i))) / std);
    }
    free(v);
    return fmax(most, fabs(sum / (double)n - json_num(want, "mean", 0)) / std);
}

static struct net *encoder_of(int side)
{
    static const char *const names[] = {"tap1", "tap2", "tap3", "tap4", "tap5"};
    struct net *n = net_new();
    struct zoo_features f = zoo_encode(n, backbone, net_input(n, "input", 3, side, side), 5, 32);
    for (int i = 1; i < f.n; i++) net_output(n, names[i - 1], f.tap[i]);
    TEST_OK(net_finish(n));
    return n;
}

static void pretrained__features_of_real_faces_are_the_reference_s(void)
{
    struct arena a = {0};
    const char *file, *faces;
    json_t *want, *face;
    size_t i, taps = 0;
    json_error_t error;
    want = json_load_file(arena_printf(&a, "%s/tests/weights/lite0.json", test_source_dir()), 0, &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(want);
    const json_t *at = json_object_get(want, "crop");
    int y = (int)json_integer_value(json_array_get(at, 0)), x = (int)json_integer_value(json_array_get(at, 1));
    int side = (int)json_integer_value(json_array_get(at, 2));
    struct net *n = encoder_of(side);
    struct exec *e = NULL;
    bool here = all_here(&a, &file, &faces);
    if (here) {
        TEST_OK(exec_new(&e, n, &(struct exec_options){.compute = TENSOR_F32, .device = tensor_cpu(), .frozen = true}));
        TEST_OK(load_loss_file(e, "loss.weights", backbone, file));
    }
    json_array_foreach(json_object_get(want, "faces"), i, face)
    {
        if (!here) break;
        struct tensor *out[5], *in = crop(fs_join(&a, faces, json_str(face, "name", "")), y, x, side);
        TEST_OK(exec_run(e, &(struct exec_mode){.train = false}, &in, out));
        for (size_t k = 0; k < LEN(out); k++, taps++) {
            double most = difference(out[k], json_array_get(json_object_get(face, "taps"), k));
            if (!(most < 1e-4))
                fprintf(stderr, "%s: feature %zu: %g deviations off\n", json_str(face, "name", ""), k, most);
            CU_ASSERT_TRUE(most < 1e-4);
            tensor_free(out[k]);
        }
        tensor_free(in);
    }
    CU_ASSERT_EQUAL(taps, here ? 15 : 0);
    exec_free(e);
    net_free(n);
    json_decref(want);
    arena_free(&a);
}

static const struct test tests[] = {
    TEST(pretrained__features_of_real_faces_are_the_reference_s),
};

int main(int argc, char **argv)
{
    tensor_start(1);
    return test_main("train.pretrained", tests, LEN(tests), argc, argv);
}
