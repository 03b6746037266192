/* Pixels, cache, augmentation, batches: the same whatever the order, the threads and the processes. */
#include "data.h"
#include "test.h"
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIDE = 32, IMAGE = 3 * SIDE * SIDE };

static struct arena arena;

static struct data *open_synthetic(int pairs, const char *cache, const struct data_augment *a, int n_augment)
{
    struct data *d;
    TEST_OK(data_open(&d, &(struct data_options){.root = DATA_SYNTHETIC,
                                                 .synthetic_pairs = pairs,
                                                 .height = SIDE,
                                                 .width = SIDE,
                                                 .split_val = 0.25,
                                                 .split_seed = 1,
                                                 .cache = cache,
                                                 .augment = a,
                                                 .n_augment = n_augment}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    return d;
}

static const struct data_augment all[] = {
    {.kind = DATA_FLIP, .p = 0.5},
    {.kind = DATA_AFFINE, .p = 0.7, .rotate = 15, .scale = {0.9, 1.1}, .translate = 0.05},
    {.kind = DATA_CROP, .p = 0.5, .scale = {0.7, 1}},
    {.kind = DATA_COLOR, .p = 0.5, .brightness = 0.2, .contrast = 0.2, .saturation = 0.2, .hue = 0.05},
};

static void fill(float *x, float *y, struct data *d, int index, int64_t seed, int64_t epoch)
{
    TEST_OK(
        data_fill(x, y, d, (struct data_want){.index = &index, .n = 1, .seed = seed, .epoch = epoch, .augment = true}));
}

/* ---- pixels and cache -------------------------------------------------------------------------------------------- */

static int count_files(const char *dir, ino_t *inodes)
{
    char **sub, **files;
    size_t n, m;
    int count = 0;
    TEST_OK(fs_list(&sub, &n, &arena, dir));
    for (size_t i = 0; i < n; i++) {
        TEST_OK(fs_list(&files, &m, &arena, fs_join(&arena, dir, sub[i])));
        for (size_t k = 0; k < m; k++) {
            struct stat st;
            CU_ASSERT_EQUAL(stat(fs_join(&arena, fs_join(&arena, dir, sub[i]), files[k]), &st), 0);
            if (inodes) inodes[count] = st.st_ino;
            count++;
        }
    }
    return count;
}

static void data_pixels__are_lazy_and_kept(void)
{
    const char *cache = arena_strdup(&arena, test_dir());
    uint8_t x[IMAGE], y[IMAGE];
    const uint8_t *in, *to;
    ino_t before[8], after[8];
    data_synthetic_pair(x, y, SIDE, SIDE, 2);
    struct data *d = open_synthetic(4, cache, NULL, 0);
    CU_ASSERT_EQUAL(count_files(cache, NULL), 0);
    TEST_OK(data_pixels(&in, &to, d, 2));
    CU_ASSERT(!memcmp(in, x, IMAGE) && !memcmp(to, y, IMAGE));
    CU_ASSERT_EQUAL(count_files(cache, before), 1);
    data_close(d);
    d = open_synthetic(4, cache, NULL, 0);
    TEST_OK(data_pixels(&in, &to, d, 2));
    CU_ASSERT(!memcmp(in, x, IMAGE) && !memcmp(to, y, IMAGE));
    CU_ASSERT(count_files(cache, after) == 1 && before[0] == after[0]); /* not written again */
    data_close(d);
}

static void data_pixels__makes_a_damaged_file_again(void)
{
    const char *cache = arena_strdup(&arena, test_dir());
    struct data *d = open_synthetic(1, cache, NULL, 0);
    const uint8_t *in, *to;
    uint8_t x[IMAGE], y[IMAGE];
    data_synthetic_pair(x, y, SIDE, SIDE, 0);
    TEST_OK(data_pixels(&in, &to, d, 0));
    data_close(d);
    char **sub, **files;
    TEST_OK(fs_list(&sub, NULL, &arena, cache));
    char *dir = fs_join(&arena, cache, sub[0]);
    TEST_OK(fs_list(&files, NULL, &arena, dir));
    char *path = fs_join(&arena, dir, files[0]), *text;
    size_t n;
    TEST_OK(fs_read(&text, &n, path));
    text[n / 2] ^= 1;
    TEST_OK(fs_write(path, text, n));
    d = open_synthetic(1, cache, NULL, 0);
    TEST_OK(data_pixels(&in, &to, d, 0));
    CU_ASSERT(!memcmp(in, x, IMAGE) && !memcmp(to, y, IMAGE));
    data_close(d);
    TEST_OK(fs_write(path, text, n / 3)); /* cut off */
    d = open_synthetic(1, cache, NULL, 0);
    TEST_OK(data_pixels(&in, &to, d, 0));
    CU_ASSERT(!memcmp(in, x, IMAGE) && !memcmp(to, y, IMAGE));
    data_close(d);
    free(text);
}

static void data_pixels__does_without_a_cache_that_cannot_be_written(void)
{
    char *file = fs_join(&arena, test_dir(), "file");
    TEST_OK(fs_write(file, "x", 1));
    struct data *d = open_synthetic(2, fs_join(&arena, file, "cache"), NULL, 0);
    const uint8_t *in, *to;
    uint8_t x[IMAGE], y[IMAGE];
    data_synthetic_pair(x, y, SIDE, SIDE, 1);
    TEST_OK(data_pixels(&in, &to, d, 1));
    CU_ASSERT(!memcmp(in, x, IMAGE) && !memcmp(to, y, IMAGE));
    data_close(d);
}

/* A limit on file sizes stands for a full disk. */
static void data_pixels__survives_a_full_disk(void)
{
    const char *cache = arena_strdup(&arena, test_dir());
    const struct rlimit small = {1000, RLIM_INFINITY}, any = {RLIM_INFINITY, RLIM_INFINITY};
    struct data *d = open_synthetic(1, cache, NULL, 0);
    const uint8_t *in, *to;
    uint8_t x[IMAGE], y[IMAGE];
    data_synthetic_pair(x, y, SIDE, SIDE, 0);
    signal(SIGXFSZ, SIG_IGN);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &small), 0);
    TEST_OK(data_pixels(&in, &to, d, 0));
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &any), 0);
    CU_ASSERT(!memcmp(in, x, IMAGE) && !memcmp(to, y, IMAGE));
    CU_ASSERT_EQUAL(count_files(cache, NULL), 0);
    data_close(d);
}

static void data_pixels__is_shared_by_processes_that_fill_it_at_once(void)
{
    enum { PAIRS = 24, PROCESSES = 3 };
    const char *cache = arena_strdup(&arena, test_dir());
    pid_t child[PROCESSES];
    for (int p = 0; p < PROCESSES; p++) {
        child[p] = fork();
        if (child[p]) continue;
        struct data *d;
        struct status s = data_open(
            &d, &(struct data_options){
                    .root = DATA_SYNTHETIC, .synthetic_pairs = PAIRS, .height = SIDE, .width = SIDE, .cache = cache});
        const uint8_t *in, *to;
        uint8_t x[IMAGE], y[IMAGE];
        bool good = s.code == STATUS_OK;
        for (int i = 0; good && i < PAIRS; i++) {
            int index = p % 2 ? PAIRS - 1 - i : i;
            good = data_pixels(&in, &to, d, index).code == STATUS_OK;
            data_synthetic_pair(x, y, SIDE, SIDE, index);
            good = good && !memcmp(in, x, IMAGE) && !memcmp(to, y, IMAGE);
        }
        _exit(good ? 0 : 1);
    }
    for (int p = 0; p < PROCESSES; p++) {
        int status;
        CU_ASSERT_EQUAL(waitpid(child[p], &status, 0), child[p]);
        CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    CU_ASSERT_EQUAL(count_files(cache, NULL), PAIRS); /* and no temporary file is left */
}

static void data_pixels__sees_a_changed_file_and_names_a_broken_one(void)
{
    const char *root = arena_strdup(&arena, test_dir()), *cache = arena_strdup(&arena, test_dir());
    TEST_OK(data_synthetic_write(root, 2, SIDE, SIDE));
    struct data_options o = {.root = root, .height = SIDE, .width = SIDE, .cache = cache};
    const uint8_t *in, *to;
    uint8_t x[IMAGE], y[IMAGE], black[IMAGE] = {0};
    struct data *d;
    TEST_OK(data_open(&d, &o));
    TEST_OK(data_pixels(&in, &to, d, 1));
    data_synthetic_pair(x, y, SIDE, SIDE, 1);
    CU_ASSERT(!memcmp(in, x, IMAGE) && !memcmp(to, y, IMAGE));
    data_close(d);
    char *path = fs_join(&arena, root, "target/face_000001.png");
    TEST_OK(data_image_save(path, black, SIDE, SIDE));
    TEST_OK(data_open(&d, &o));
    TEST_OK(data_pixels(&in, &to, d, 1));
    CU_ASSERT(!memcmp(in, x, IMAGE) && !memcmp(to, black, IMAGE));
    data_close(d);
    TEST_OK(fs_write(path, "no image", 8));
    TEST_OK(data_open(&d, &o));
    TEST_FAILS(data_pixels(&in, &to, d, 1), STATUS_ARG, "target/face_000001.png: is no JPEG");
    TEST_OK(data_pixels(&in, &to, d, 0));
    struct data_loader *l;
    struct data_batch b;
    TEST_OK(data_loader_open(&l, d, &(struct data_loader_options){.part = DATA_TRAIN, .batch = 2}));
    TEST_FAILS(data_loader_next(l, &b), STATUS_ARG, "face_000001.png");
    data_loader_close(l);
    data_close(d);
}

/* ---- augmentation ------------------------------------------------------------------------------------------------ */

static void data_fill__without_augmentation_is_normalised_pixels(void)
{
    struct data *d = open_synthetic(2, NULL, all, LEN(all));
    static float x[IMAGE], y[IMAGE], want[IMAGE], last[IMAGE], last_y[IMAGE];
    const uint8_t *in, *to;
    int index = 1;
    TEST_OK(data_pixels(&in, &to, d, 1));
    TEST_OK(data_fill(x, y, d, (struct data_want){.index = &index, .n = 1}));
    data_normalise(want, in, SIDE, SIDE, false);
    CU_ASSERT(!memcmp(x, want, sizeof x));
    data_normalise(want, to, SIDE, SIDE, false);
    CU_ASSERT(!memcmp(y, want, sizeof y));
    TEST_OK(data_fill(last, last_y, d, (struct data_want){.index = &index, .n = 1, .channels_last = true}));
    for (int i = 0; i < SIDE * SIDE; i++) {
        for (int c = 0; c < 3; c++) CU_ASSERT_EQUAL(last[3 * i + c], x[c * SIDE * SIDE + i]);
    }
    data_close(d);
}

static void data_fill__flips_exactly(void)
{
    struct data *d = open_synthetic(2, NULL, &(struct data_augment){.kind = DATA_FLIP, .p = 1}, 1);
    static float x[IMAGE], y[IMAGE];
    const uint8_t *in, *to;
    fill(x, y, d, 0, 1, 1);
    TEST_OK(data_pixels(&in, &to, d, 0));
    for (int i = 0; i < SIDE * SIDE; i++) {
        int from = i / SIDE * SIDE + SIDE - 1 - i % SIDE;
        for (int c = 0; c < 3; c++) {
            double v = (in[3 * from + c] / 255.0 - (double)data_mean[c]) / (double)data_std[c];
            CU_ASSERT(fabs((double)x[c * SIDE * SIDE + i] - v) < 1e-6);
        }
    }
    data_close(d);
}

/* A set whose input and target are the same file shows that the geometry is common, and that colour is not. */
static struct data *open_twin(const struct data_augment *a, int n)
{
    const char *root = arena_strdup(&arena, test_dir());
    TEST_OK(data_synthetic_write(root, 2, SIDE, SIDE));
    struct data *d;
    TEST_OK(data_open(&d, &(struct data_options){.root = root,
                                                 .input = "input",
                                                 .target = "input",
                                                 .height = SIDE,
                                                 .width = SIDE,
                                                 .augment = a,
                                                 .n_augment = n}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    return d;
}

static void data_fill__moves_both_alike_and_colours_the_input(void)
{
    static float x[IMAGE], y[IMAGE], x0[IMAGE], y0[IMAGE];
    struct data *d = open_twin(all, 3); /* geometry alone */
    for (int epoch = 0; epoch < 20; epoch++) {
        fill(x, y, d, 1, 5, epoch);
        CU_ASSERT(!memcmp(x, y, sizeof x));
    }
    data_close(d);
    struct data_augment color = {
        .kind = DATA_COLOR, .p = 1, .brightness = 0.3, .contrast = 0.3, .saturation = 0.3, .hue = 0.1};
    d = open_twin(&color, 1);
    int index = 0;
    TEST_OK(data_fill(x0, y0, d, (struct data_want){.index = &index, .n = 1}));
    fill(x, y, d, 0, 5, 0);
    CU_ASSERT(memcmp(x, x0, sizeof x) && !memcmp(y, y0, sizeof y));
    data_close(d);
    color.both = true;
    d = open_twin(&color, 1);
    fill(x, y, d, 0, 5, 0);
    CU_ASSERT(memcmp(x, x0, sizeof x) && !memcmp(y, x, sizeof y));
    data_close(d);
}

/* The centre of gravity of a bright dot, after an affine of known direction. */
static void data_fill__rotates_and_scales_as_said(void)
{
    const char *root = arena_strdup(&arena, test_dir());
    TEST_OK(fs_mkdir(fs_join(&arena, root, "input")));
    enum { N = 64 };
    static uint8_t dot[N * N * 3];
    for (int y = 0; y < N; y++) {
        for (int x = 0; x < N; x++) memset(dot + 3 * (y * N + x), hypot(x - 47.5, y - 31.5) < 3 ? 255 : 0, 3);
    }
    TEST_OK(data_image_save(fs_join(&arena, root, "input/a.png"), dot, N, N));
    static float x[3 * N * N], y[3 * N * N];
    const struct data_augment rows[] = {
        {.kind = DATA_AFFINE, .p = 1, .scale = {1.5, 1.5}}, /* 16 right of the centre -> 24 */
        {.kind = DATA_AFFINE, .p = 1, .scale = {0.5, 0.5}}, /* -> 8 */
        {.kind = DATA_AFFINE, .p = 1, .rotate = 30},        /* stays 16 away */
        {.kind = DATA_CROP, .p = 1, .scale = {1, 1}},       /* the whole: nothing moves */
    };
    const double away[] = {24, 8, 16, 16};
    for (size_t i = 0; i < LEN(rows); i++) {
        struct data *d;
        TEST_OK(data_open(
            &d, &(struct data_options){
                    .root = root, .target = "input", .height = N, .width = N, .augment = &rows[i], .n_augment = 1}));
        fill(x, y, d, 0, 3, 0);
        double sum = 0, cx = 0, cy = 0;
        for (int k = 0; k < N * N; k++) {
            double v = (double)(x[k] * data_std[0] + data_mean[0]);
            if (hypot(k % N - 31.5, k / N - 31.5) > (i == 1 ? 15 : 30)) continue; /* the mirrored border */
            sum += v, cx += v * (k % N), cy += v * (k / N);
        }
        double dx = cx / sum - 31.5, dy = cy / sum - 31.5;
        if (fabs(hypot(dx, dy) - away[i]) > 0.2) fprintf(stderr, "row %zu: at %g %g\n", i, dx, dy);
        CU_ASSERT(fabs(hypot(dx, dy) - away[i]) < 0.2);
        CU_ASSERT(i == 2 ? fabs(dy) > 0.5 && fabs(atan2(dy, dx)) < 0.53 : fabs(dy) < 0.1);
        data_close(d);
    }
}

static void data_fill__mirrors_at_the_border_and_stays_in_range(void)
{
    const struct data_augment wild = {.kind = DATA_AFFINE, .p = 1, .rotate = 180, .scale = {0.05, 3}, .translate = 2};
    static float x[IMAGE], y[IMAGE];
    struct data *d = open_synthetic(3, NULL, &wild, 1);
    for (int epoch = 0; epoch < 60; epoch++) {
        fill(x, y, d, epoch % 3, 1, epoch);
        for (int i = 0; i < IMAGE; i++) CU_ASSERT(x[i] > -2.2f && x[i] < 2.7f && y[i] > -2.2f && y[i] < 2.7f);
    }
    data_close(d);
}

static void data_fill__depends_on_seed_epoch_index_alone(void)
{
    static float x[IMAGE], y[IMAGE], x2[IMAGE], y2[IMAGE];
    struct data *d = open_synthetic(8, NULL, all, LEN(all)), *e = open_synthetic(8, NULL, all, LEN(all));
    fill(x, y, d, 3, 7, 2);
    for (int i = 0; i < 8; i++) fill(x2, y2, e, i, 9, 9); /* other calls before change nothing */
    fill(x2, y2, e, 3, 7, 2);
    CU_ASSERT(!memcmp(x, x2, sizeof x) && !memcmp(y, y2, sizeof y));
    int same_epoch = 0, same_seed = 0;
    for (int i = 0; i < 8; i++) {
        fill(x, y, d, i, 7, 2);
        fill(x2, y2, d, i, 7, 3);
        same_epoch += !memcmp(x, x2, sizeof x);
        fill(x2, y2, d, i, 8, 2);
        same_seed += !memcmp(x, x2, sizeof x);
    }
    CU_ASSERT(same_epoch < 4 && same_seed < 4);
    data_close(d);
    data_close(e);
}

/* ---- loader ------------------------------------------------------------------------------------------------------ */

/* Hash of `count` batches from (epoch, step). */
static struct hash run(struct data_loader_options o, int count)
{
    struct data *d = open_synthetic(10, NULL, all, LEN(all));
    struct data_loader *l;
    struct str bytes = {0};
    TEST_OK(data_loader_open(&l, d, &o));
    for (int i = 0; i < count; i++) {
        struct data_batch b;
        TEST_OK(data_loader_next(l, &b));
        str_addf(&bytes, "%lld %lld %d ", (long long)b.epoch, (long long)b.step, b.n);
        for (int k = 0; k < b.n; k++) str_addf(&bytes, "%d ", b.index[k]);
        struct hash h[2] = {hash_bytes(b.input, (size_t)b.n * IMAGE * 4),
                            hash_bytes(b.target, (size_t)b.n * IMAGE * 4)};
        str_addn(&bytes, h, sizeof h);
    }
    data_loader_close(l);
    data_close(d);
    struct hash all_of = hash_bytes(bytes.s, bytes.n);
    str_free(&bytes);
    return all_of;
}

static void data_loader__gives_the_same_batches_for_any_threads(void)
{
    struct data_loader_options o = {
        .part = DATA_TRAIN, .batch = 3, .seed = 4, .augment = true, .shuffle = true, .threads = 1};
    struct hash one = run(o, 7);
    o.threads = 4;
    CU_ASSERT_STRING_EQUAL(one.hex, run(o, 7).hex);
    o.seed = 5;
    CU_ASSERT_STRING_NOT_EQUAL(one.hex, run(o, 7).hex);
}

static void data_loader__resumes_in_the_middle(void)
{
    struct data *d = open_synthetic(10, NULL, all, LEN(all));
    struct data_loader_options o = {.part = DATA_TRAIN, .batch = 3, .seed = 4, .augment = true, .shuffle = true};
    struct data_loader *whole, *late;
    struct data_batch a, b;
    TEST_OK(data_loader_open(&whole, d, &o));
    CU_ASSERT_EQUAL(data_loader_steps(whole), 3); /* 8 of 10 train */
    for (int i = 0; i < 5; i++) TEST_OK(data_loader_next(whole, &a));
    CU_ASSERT(a.epoch == 1 && a.step == 1);
    o.epoch = 1;
    o.step = 1;
    TEST_OK(data_loader_open(&late, d, &o));
    TEST_OK(data_loader_next(late, &b));
    CU_ASSERT(b.epoch == 1 && b.step == 1 && b.n == a.n && !memcmp(a.index, b.index, (size_t)a.n * sizeof *a.index));
    CU_ASSERT(!memcmp(a.input, b.input, (size_t)a.n * IMAGE * 4) &&
              !memcmp(a.target, b.target, (size_t)a.n * IMAGE * 4));
    data_loader_close(late);
    o.step = 3; /* the end of an epoch */
    TEST_OK(data_loader_open(&late, d, &o));
    TEST_OK(data_loader_next(late, &b));
    CU_ASSERT(b.epoch == 2 && b.step == 0);
    data_loader_close(late);
    data_loader_close(whole);
    data_close(d);
}

static void data_loader__covers_each_epoch_once(void)
{
    struct data *d = open_synthetic(11, NULL, NULL, 0);
    struct data_loader *l;
    int n, order[2][11];
    const int *train = data_part(d, DATA_TRAIN, &n);
    TEST_OK(data_loader_open(
        &l, d, &(struct data_loader_options){.part = DATA_TRAIN, .batch = 3, .shuffle = true, .threads = 2}));
    for (int epoch = 0; epoch < 2; epoch++) {
        int at = 0;
        for (int s = 0; s < data_loader_steps(l); s++) {
            struct data_batch b;
            TEST_OK(data_loader_next(l, &b));
            for (int i = 0; i < b.n; i++) order[epoch][at++] = b.index[i];
        }
        CU_ASSERT_EQUAL(at, n);
        for (int i = 0; i < n; i++) {
            int times = 0;
            for (int k = 0; k < n; k++) times += order[epoch][k] == train[i];
            CU_ASSERT_EQUAL(times, 1);
        }
        int want[11];
        data_epoch_order(want, d, DATA_TRAIN, 0, epoch);
        CU_ASSERT(!memcmp(want, order[epoch], (size_t)n * sizeof *want));
    }
    CU_ASSERT(memcmp(order[0], order[1], (size_t)n * sizeof(int)));
    data_loader_close(l);
    TEST_OK(data_loader_open(&l, d, &(struct data_loader_options){.part = DATA_TRAIN, .batch = 3, .drop_last = true}));
    CU_ASSERT_EQUAL(data_loader_steps(l), n / 3);
    data_loader_close(l);
    TEST_OK(
        data_loader_open(&l, d, &(struct data_loader_options){.part = DATA_TRAIN, .batch = 100, .drop_last = true}));
    CU_ASSERT_EQUAL(data_loader_steps(l), 1);
    data_loader_close(l);
    data_close(d);
    TEST_OK(data_open(&d, &(struct data_options){.root = DATA_SYNTHETIC, .height = SIDE, .width = SIDE}));
    TEST_FAILS(data_loader_open(&l, d, &(struct data_loader_options){.part = DATA_VAL, .batch = 1}), STATUS_ARG,
               "no pair validates");
    data_close(d);
}

static void data_synthetic_pair__differs_and_repeats(void)
{
    static uint8_t x[2][IMAGE], y[2][IMAGE];
    data_synthetic_pair(x[0], y[0], SIDE, SIDE, 0);
    data_synthetic_pair(x[1], y[1], SIDE, SIDE, 0);
    CU_ASSERT(!memcmp(x[0], x[1], IMAGE) && !memcmp(y[0], y[1], IMAGE));
    data_synthetic_pair(x[1], y[1], SIDE, SIDE, 1);
    CU_ASSERT(memcmp(x[0], x[1], IMAGE) && memcmp(y[0], y[1], IMAGE) && memcmp(x[0], y[0], IMAGE));
}

static const struct test tests[] = {
    TEST(data_pixels__are_lazy_and_kept),
    TEST(data_pixels__makes_a_damaged_file_again),
    TEST(data_pixels__does_without_a_cache_that_cannot_be_written),
    TEST(data_pixels__survives_a_full_disk),
    TEST(data_pixels__is_shared_by_processes_that_fill_it_at_once),
    TEST(data_pixels__sees_a_changed_file_and_names_a_broken_one),
    TEST(data_fill__without_augmentation_is_normalised_pixels),
    TEST(data_fill__flips_exactly),
    TEST(data_fill__moves_both_alike_and_colours_the_input),
    TEST(data_fill__rotates_and_scales_as_said),
    TEST(data_fill__mirrors_at_the_border_and_stays_in_range),
    TEST(data_fill__depends_on_seed_epoch_index_alone),
    TEST(data_loader__gives_the_same_batches_for_any_threads),
    TEST(data_loader__resumes_in_the_middle),
    TEST(data_loader__covers_each_epoch_once),
    TEST(data_synthetic_pair__differs_and_repeats),
};
TEST_MAIN("data.batch", tests)
