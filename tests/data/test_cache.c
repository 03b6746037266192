/* Pixels are decoded when they are first wanted, and kept; what is damaged, full or shared does no harm. */
#include "drawn.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct arena arena;

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

static const struct test tests[] = {
    TEST(data_pixels__are_lazy_and_kept),
    TEST(data_pixels__makes_a_damaged_file_again),
    TEST(data_pixels__does_without_a_cache_that_cannot_be_written),
    TEST(data_pixels__survives_a_full_disk),
    TEST(data_pixels__is_shared_by_processes_that_fill_it_at_once),
    TEST(data_pixels__sees_a_changed_file_and_names_a_broken_one),
};
TEST_MAIN("data.cache", tests)
