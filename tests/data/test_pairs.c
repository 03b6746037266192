/* Opening: pairs matched by name, everything a user gets wrong, the split, the fingerprint. */
#include "data.h"
#include "test.h"
#include <math.h>

static struct arena arena;

static void write_image(const char *dir, const char *folder, const char *name)
{
    const uint8_t pixel[3 * 4] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2};
    char *into = fs_join(&arena, dir, folder);
    TEST_OK(fs_mkdir(into));
    TEST_OK(data_image_save(fs_join(&arena, into, name), pixel, 2, 2));
}

/* A fresh root with n pairs p00, p01, ... */
static const char *root_of(int n)
{
    const char *root = arena_strdup(&arena, test_dir());
    for (int i = 0; i < n; i++) {
        write_image(root, "input", arena_printf(&arena, "p%02d.png", i));
        write_image(root, "target", arena_printf(&arena, "p%02d.jpg", i)); /* a PNG by content: names do not matter */
    }
    return root;
}

static struct status open_with(struct data_options o)
{
    struct data *d;
    if (!o.height) o.height = o.width = 8;
    struct status s = data_open(&d, &o);
    CU_ASSERT((s.code == STATUS_OK) == (d != NULL));
    data_close(d);
    return s;
}

static void data_open__matches_by_name(void)
{
    const char *root = root_of(3);
    write_image(root, "input", ".hidden.png");
    TEST_OK(fs_write(fs_join(&arena, root, "input/notes.txt"), "x", 1));
    struct data *d;
    TEST_OK(data_open(&d, &(struct data_options){.root = root, .height = 8, .width = 6}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    CU_ASSERT(data_size(d) == 3 && data_height(d) == 8 && data_width(d) == 6);
    CU_ASSERT_STRING_EQUAL(data_name(d, 0), "p00");
    CU_ASSERT_STRING_EQUAL(data_name(d, 2), "p02");
    int n;
    data_part(d, DATA_VAL, &n);
    CU_ASSERT_EQUAL(n, 0);
    data_close(d);
}

static void data_open__says_what_is_missing(void)
{
    const char *root = root_of(2);
    TEST_FAILS(open_with((struct data_options){.root = "/nowhere/at/all"}), STATUS_ARG,
               "data.root: /nowhere/at/all: no such folder; /nowhere/at does not exist either");
    TEST_FAILS(open_with((struct data_options){.root = root, .input = "inputs"}), STATUS_ARG,
               "no such folder; folders there: input, target; did you mean input?");
    TEST_FAILS(open_with((struct data_options){.root = root, .target = "cartoons"}), STATUS_ARG, "data.target: ");
    TEST_FAILS(open_with((struct data_options){.root = root, .target = "input/p00.png"}), STATUS_ARG, "is no folder");
    TEST_OK(fs_mkdir(fs_join(&arena, root, "empty")));
    TEST_FAILS(open_with((struct data_options){.root = root, .input = "empty"}), STATUS_ARG, "holds no image");
    TEST_OK(fs_mkdir(fs_join(&arena, root, "webp")));
    TEST_OK(fs_write(fs_join(&arena, root, "webp/a.webp"), "x", 1));
    TEST_FAILS(open_with((struct data_options){.root = root, .input = "webp"}), STATUS_ARG,
               "all 1 images are of formats");
}

static void data_open__lists_unmatched_pairs(void)
{
    const char *root = root_of(2);
    for (int i = 0; i < 5; i++) write_image(root, "input", arena_printf(&arena, "lone%d.png", i));
    TEST_FAILS(open_with((struct data_options){.root = root}), STATUS_ARG, "5 of 7 images in");
    TEST_FAILS(open_with((struct data_options){.root = root}), STATUS_ARG, "lone0.png, lone1.png, lone2.png, ...; add");
    const char *other = root_of(2);
    write_image(other, "target", "extra.png");
    TEST_FAILS(open_with((struct data_options){.root = other}), STATUS_ARG, "1 of 3 images in");
    const char *twins = root_of(1);
    write_image(twins, "input", "p00.bmp");
    TEST_FAILS(open_with((struct data_options){.root = twins}), STATUS_ARG, "p00.bmp and p00.png have the same name");
}

/* Names of a part, joined. */
static char *part_names(const struct data_options *o, enum data_part part, int *n)
{
    struct data *d;
    struct str names = {0};
    str_add(&names, "");
    *n = 0;
    TEST_OK(data_open(&d, o));
    if (d) {
        const int *index = data_part(d, part, n);
        for (int i = 0; i < *n; i++) str_addf(&names, "%s ", data_name(d, index[i]));
    }
    data_close(d);
    char *out = arena_strdup(&arena, names.s);
    str_free(&names);
    return out;
}

static void data_split__depends_on_names_and_seed_only(void)
{
    const char *root = root_of(20), *again = root_of(20);
    int n, m;
    struct data_options o = {.root = root, .height = 8, .width = 8, .split_val = 0.2, .split_seed = 42}, p = o;
    char *val = part_names(&o, DATA_VAL, &n), *train = part_names(&o, DATA_TRAIN, &m);
    CU_ASSERT(n == 4 && m == 16);
    for (const char *name = val; *name; name += strcspn(name, " ") + 1) {
        CU_ASSERT_PTR_NULL(strstr(train, arena_printf(&arena, "%.*s", (int)strcspn(name, " "), name)));
    }
    p = (struct data_options){.root = again,
                              .height = 32,
                              .width = 16,
                              .split_val = 0.2,
                              .split_seed = 42,
                              .augment = &(struct data_augment){.kind = DATA_FLIP, .p = 1},
                              .n_augment = 1};
    CU_ASSERT_STRING_EQUAL(part_names(&p, DATA_VAL, &n), val);
    p.split_seed = 43;
    CU_ASSERT_STRING_NOT_EQUAL(part_names(&p, DATA_VAL, &n), val);
    o.split_val = 0.001; /* at least one validates, at least one trains */
    part_names(&o, DATA_VAL, &n);
    CU_ASSERT_EQUAL(n, 1);
    o.split_val = 0.999;
    part_names(&o, DATA_TRAIN, &n);
    CU_ASSERT_EQUAL(n, 1);
    o.split_val = 1;
    TEST_FAILS(open_with(o), STATUS_ARG, "data.split.val: got 1");
    o.split_val = (double)NAN;
    TEST_FAILS(open_with(o), STATUS_ARG, "data.split.val");
}

static void data_split__moves_little_when_files_come(void)
{
    const char *root = root_of(40);
    struct data_options o = {.root = root, .height = 8, .width = 8, .split_val = 0.25, .split_seed = 7};
    struct data *d;
    bool before[40] = {false};
    int n;
    TEST_OK(data_open(&d, &o));
    const int *index = data_part(d, DATA_VAL, &n);
    for (int i = 0; i < n; i++) before[index[i]] = true;
    data_close(d);
    for (int i = 40; i < 44; i++) {
        write_image(root, "input", arena_printf(&arena, "p%02d.png", i));
        write_image(root, "target", arena_printf(&arena, "p%02d.png", i));
    }
    TEST_OK(data_open(&d, &o));
    index = data_part(d, DATA_VAL, &n);
    CU_ASSERT_EQUAL(n, 11);
    int moved = 0;
    bool after[44] = {false};
    for (int i = 0; i < n; i++) after[index[i]] = true;
    for (int i = 0; i < 40; i++) moved += before[i] != after[i];
    CU_ASSERT(moved <= 4);
    data_close(d);
}

static void data_split__reads_lists(void)
{
    const char *root = root_of(5);
    char *train = fs_join(&arena, root, "train.txt"), *val = fs_join(&arena, root, "val.txt");
    struct data_options o = {.root = root, .height = 8, .width = 8, .split_train = train, .split_val_list = val};
    int n;
    TEST_OK(fs_write(train, "# comment\np01.png\r\n\n  p03  \n", 28));
    TEST_OK(fs_write(val, "p00", 3));
    CU_ASSERT_STRING_EQUAL(part_names(&o, DATA_TRAIN, &n), "p01 p03 ");
    CU_ASSERT_STRING_EQUAL(part_names(&o, DATA_VAL, &n), "p00 ");
    o.split_val_list = NULL;
    CU_ASSERT_STRING_EQUAL(part_names(&o, DATA_VAL, &n), "p00 p02 p04 ");
    o.split_val_list = val;
    TEST_OK(fs_write(val, "p00\np0x\n", 8));
    TEST_FAILS(open_with(o), STATUS_ARG, "val.txt:2: p0x: no such pair among the 5; did you mean p0");
    TEST_OK(fs_write(val, "p00\np00\n", 8));
    TEST_FAILS(open_with(o), STATUS_ARG, "val.txt:2: p00: is there twice");
    TEST_OK(fs_write(val, "p03\n", 4));
    TEST_FAILS(open_with(o), STATUS_ARG, "p03 is in both");
    TEST_OK(fs_write(val, "# nothing\n", 10));
    TEST_FAILS(open_with(o), STATUS_ARG, "names no pair");
    o.split_val_list = "/nowhere/list";
    TEST_FAILS(open_with(o), STATUS_IO, "/nowhere/list");
}

static struct hash fingerprint(struct data_options o)
{
    struct data *d;
    struct hash h = {{0}};
    o.height = o.height ? o.height : 8;
    o.width = o.height;
    TEST_OK(data_open(&d, &o));
    TEST_OK(data_fingerprint(&h, d));
    data_close(d);
    return h;
}

static void data_fingerprint__is_of_names_and_contents(void)
{
    const char *root = root_of(3), *copy = root_of(3);
    struct hash h = fingerprint((struct data_options){.root = root});
    CU_ASSERT_STRING_EQUAL(h.hex,
                           fingerprint((struct data_options){.root = copy, .height = 64}).hex); /* moved: the same */
    write_image(copy, "input", "p03.png");
    write_image(copy, "target", "p03.png");
    CU_ASSERT_STRING_NOT_EQUAL(h.hex, fingerprint((struct data_options){.root = copy}).hex);
    const uint8_t pixel[3 * 4] = {1};
    TEST_OK(data_image_save(fs_join(&arena, root, "target/p01.jpg"), pixel, 2, 2));
    CU_ASSERT_STRING_NOT_EQUAL(h.hex, fingerprint((struct data_options){.root = root}).hex);
    struct hash s = fingerprint((struct data_options){.root = DATA_SYNTHETIC, .synthetic_pairs = 4});
    CU_ASSERT_STRING_NOT_EQUAL(s.hex,
                               fingerprint((struct data_options){.root = DATA_SYNTHETIC, .synthetic_pairs = 5}).hex);
    char *list = fs_join(&arena, root, "list");
    TEST_OK(fs_write(list, "p00", 3));
    struct hash a = fingerprint((struct data_options){.root = root, .split_val_list = list});
    TEST_OK(fs_write(list, "p01", 3));
    CU_ASSERT_STRING_NOT_EQUAL(a.hex, fingerprint((struct data_options){.root = root, .split_val_list = list}).hex);
}

static void data_open__takes_the_shared_pairs(void)
{
    if (!test_shared()) return;
    struct data *d;
    char *root = fs_join(&arena, test_shared(), "data/heroes");
    double t = time_mono();
    TEST_OK(data_open(&d, &(struct data_options){.root = root,
                                                 .input = "ffhq",
                                                 .target = "comics_heroes",
                                                 .height = 64,
                                                 .width = 64,
                                                 .split_val = 0.2,
                                                 .split_seed = 42}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    CU_ASSERT_EQUAL(data_size(d), 100);
    CU_ASSERT(time_mono() - t < 1);
    struct hash h;
    TEST_OK(data_fingerprint(&h, d));
    data_close(d);
}

static const struct test tests[] = {
    TEST(data_open__matches_by_name),
    TEST(data_open__says_what_is_missing),
    TEST(data_open__lists_unmatched_pairs),
    TEST(data_split__depends_on_names_and_seed_only),
    TEST(data_split__moves_little_when_files_come),
    TEST(data_split__reads_lists),
    TEST(data_fingerprint__is_of_names_and_contents),
    TEST(data_open__takes_the_shared_pairs),
};
TEST_MAIN("data.pairs", tests)
