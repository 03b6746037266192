/* What is in the folders and is no sound image: what has the name of one, damaged files, partners that nearly are, grey
 * targets. */
#include "data.h"
#include "test.h"
#include <sys/stat.h>
#include <unistd.h>

static struct arena arena;

static const char *in(const char *root, const char *path)
{
    return fs_join(&arena, root, path);
}

static void write_image(const char *root, const char *path, bool grey)
{
    uint8_t pixel[3 * 16 * 16];
    for (size_t i = 0; i < sizeof pixel; i++) pixel[i] = (uint8_t)(grey ? i / 3 * 7 : i * 37);
    const char *into = in(root, path);
    TEST_OK(fs_mkdir(fs_dirname(&arena, into)));
    TEST_OK(data_image_save(into, pixel, 16, 16));
}

/* A fresh root with the pairs p0.png, p1.png, ... */
static const char *root_of(int n)
{
    const char *root = arena_strdup(&arena, test_dir());
    for (int i = 0; i < n; i++) {
        write_image(root, arena_printf(&arena, "input/p%d.png", i), false);
        write_image(root, arena_printf(&arena, "target/p%d.png", i), false);
    }
    return root;
}

/* Keeps the first @p n bytes. */
static void cut(const char *path, size_t n)
{
    char *text = NULL;
    TEST_OK(fs_read(&text, NULL, path));
    TEST_OK(fs_write(path, text, n));
    free(text);
}

static struct data_options options(const char *root)
{
    return (struct data_options){.root = root, .height = 8, .width = 8, .split_val = 0.25, .look = true};
}

/* Notes of a set that opens, joined; its size. */
static const char *notes_of(int *size, struct data_options o)
{
    struct data *d = NULL;
    char *out = arena_strdup(&arena, "");
    int n = 0;
    alarm(30); /* whoever waits at a pipe ends the suite */
    TEST_OK(data_open(&d, &o));
    *size = d ? data_size(d) : 0;
    const char *const *notes = d ? data_notes(d, &n) : NULL;
    for (int i = 0; i < n; i++) out = arena_printf(&arena, "%s%s\n", out, notes[i]);
    struct hash h;
    if (d) TEST_OK(data_fingerprint(&h, d));
    data_close(d);
    alarm(0);
    return out;
}

static struct status opens(struct data_options o)
{
    struct data *d = NULL;
    alarm(30);
    struct status s = data_open(&d, &o);
    alarm(0);
    data_close(d);
    return s;
}

static void has(const char *text, const char *part)
{
    if (!strstr(text, part)) fprintf(stderr, "no \"%s\" in:\n%s\n", part, text);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, part));
}

static void data_open__passes_over_what_is_no_file(void)
{
    const char *root = root_of(4);
    int size;
    CU_ASSERT_STRING_EQUAL(notes_of(&size, options(root)), "");
    CU_ASSERT_EQUAL(mkfifo(in(root, "input/fifo.png"), 0600), 0);
    TEST_OK(fs_mkdir(in(root, "input/x.png")));
    CU_ASSERT_EQUAL(symlink("/dev/zero", in(root, "target/zero.jpg")), 0);
    CU_ASSERT_EQUAL(symlink("nowhere.png", in(root, "target/gone.png")), 0);
    CU_ASSERT_EQUAL(symlink("p0.png", in(root, "input/link.png")), 0);
    CU_ASSERT_EQUAL(symlink("p0.png", in(root, "target/link.png")), 0);
    const char *notes = notes_of(&size, options(root));
    CU_ASSERT_EQUAL(size, 5); /* the link to a file counts */
    has(notes, "data.input: ");
    has(notes, "passed over, for they are no files: fifo.png (a pipe), x.png (a folder)");
    has(notes, "gone.png (a link to nothing), zero.jpg (a device)");
    write_image(root, "target/fifo.png", false); /* a picture whose partner is none */
    TEST_FAILS(opens(options(root)), STATUS_ARG, "fifo.png (fifo.png there is a pipe)");
}

static void data_open__holds_no_image_where_all_are_folders(void)
{
    const char *root = root_of(1);
    TEST_OK(fs_mkdir(in(root, "odd/x.png")));
    struct data_options o = options(root);
    o.input = "odd";
    TEST_FAILS(opens(o), STATUS_ARG, "only names of images that are none: x.png is a folder");
}

static void data_open__says_which_partner_is_nearly_there(void)
{
    static const struct {
        const char *input, *target, *says;
    } rows[] = {
        {"Cat.png", "cat.png", "Cat.png (cat.png there is spelled in other letters"},
        {"cat.png", "cat.webp", "cat.png (cat.webp there is of a format that is not read)"},
        {"cat.png", "cat.png.jpg", "cat.png (cat.png.jpg there has another extension within its name; rename one)"},
        {"cat.png", "dog.png", "cat.png; add the partners"},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        const char *root = root_of(2);
        write_image(root, in("input", rows[i].input), false);
        write_image(root, in("target", rows[i].target), false);
        TEST_FAILS(opens(options(root)), STATUS_ARG, rows[i].says);
    }
}

static void data_open__names_all_damaged_pictures_together(void)
{
    const char *root = root_of(8);
    cut(in(root, "input/p1.png"), 60);
    cut(in(root, "target/p3.png"), 0);
    TEST_OK(fs_write(in(root, "target/p6.png"), "<!DOCTYPE html>", 15));
    struct status s = opens(options(root));
    CU_ASSERT_EQUAL(s.code, STATUS_ARG);
    has(s.msg, "data.root: ");
    has(s.msg, "3 of 16 pictures are damaged: ");
    has(s.msg, "input/p1.png: the image cannot be decoded");
    has(s.msg, "target/p3.png: is empty");
    has(s.msg, "target/p6.png: is HTML");
    has(s.msg, "data.skip_damaged: true");
    struct data_options o = options(root);
    o.look = false; /* a worker decodes what it needs alone */
    TEST_OK(opens(o));
    for (int i = 0; i < 8; i++) cut(in(root, arena_printf(&arena, "target/p%d.png", i)), 0);
    s = opens(options(root));
    has(s.msg, "9 of 16 pictures are damaged");
    has(s.msg, " more; replace them");
}

static void data_open__skips_damaged_pairs_as_if_they_were_not_there(void)
{
    const char *root = root_of(9), *without = root_of(9), *list = in(root, "val.txt");
    struct data_options o = options(root), p = options(without);
    struct data *d, *e;
    struct hash x, y;
    int n, m;
    cut(in(root, "input/p1.png"), 60);
    cut(in(root, "target/p3.png"), 50);
    unlink(in(without, "input/p1.png")), unlink(in(without, "target/p1.png"));
    unlink(in(without, "input/p3.png")), unlink(in(without, "target/p3.png"));
    o.skip_damaged = true;
    TEST_OK(data_open(&d, &o));
    TEST_OK(data_open(&e, &p));
    CU_ASSERT(data_size(d) == 7 && data_skipped(d) == 2 && data_skipped(e) == 0);
    TEST_OK(data_fingerprint(&x, d));
    TEST_OK(data_fingerprint(&y, e));
    CU_ASSERT_STRING_EQUAL(x.hex, y.hex);
    const int *v = data_part(d, DATA_VAL, &n), *w = data_part(e, DATA_VAL, &m);
    CU_ASSERT(n == m && memcmp(v, w, (size_t)n * sizeof *v) == 0);
    data_close(d);
    data_close(e);
    has(notes_of(&n, o), "2 of 9 pairs are left out, for their pictures are damaged: ");
    TEST_OK(fs_write(list, "p0\np1\n", 6)); /* a list may name a pair that is left out */
    o.split_val_list = list;
    TEST_OK(data_open(&d, &o));
    data_part(d, DATA_VAL, &n);
    CU_ASSERT_EQUAL(n, 1);
    data_close(d);
    o.split_val_list = NULL;
    for (int i = 0; i < 9; i++) cut(in(root, arena_printf(&arena, "input/p%d.png", i)), 20);
    TEST_FAILS(opens(o), STATUS_ARG, "the pictures of all 9 pairs are damaged");
}

static void data_open__looks_at_a_file_once(void)
{
    const char *root = root_of(4), *cache = arena_strdup(&arena, test_dir());
    struct data_options o = options(root);
    char **names, *text = NULL;
    size_t n;
    o.cache = cache;
    TEST_OK(opens(o));
    TEST_OK(fs_list(&names, &n, &arena, in(cache, "looked")));
    CU_ASSERT_EQUAL_FATAL(n, 1);
    const char *file = in(cache, arena_printf(&arena, "looked/%s", names[0]));
    TEST_OK(fs_read(&text, &n, file));
    /* What is kept is believed: a sound picture that it calls damaged is damaged until its file changes. */
    char *first = text ? strstr(text, " s ") : NULL;
    CU_ASSERT_PTR_NOT_NULL_FATAL(first);
    first[1] = 'd';
    TEST_OK(fs_write(file, text, n));
    free(text);
    TEST_FAILS(opens(o), STATUS_ARG, "1 of 8 pictures are damaged: ");
    for (int i = 0; i < 4; i++) {
        write_image(root, arena_printf(&arena, "input/p%d.png", i), false);
        write_image(root, arena_printf(&arena, "target/p%d.png", i), false);
    }
    TEST_OK(opens(o));
    cut(in(root, "target/p2.png"), 60);
    TEST_FAILS(opens(o), STATUS_ARG, "target/p2.png: the image cannot be decoded");
    TEST_FAILS(opens(o), STATUS_ARG, "target/p2.png: the image cannot be decoded"); /* as it was kept */
    TEST_OK(fs_write(file, "nonsense\n\xff\xff d\n", 13));
    TEST_FAILS(opens(o), STATUS_ARG, "1 of 8 pictures are damaged: ");
    o.cache = "/proc/nowhere"; /* none can be kept: it is looked each time */
    TEST_FAILS(opens(o), STATUS_ARG, "1 of 8 pictures are damaged: ");
}

static void data_open__says_which_targets_are_grey(void)
{
    const char *root = root_of(4);
    int size;
    write_image(root, "target/p1.png", true);
    write_image(root, "input/p2.png", true); /* an input may be */
    const char *notes = notes_of(&size, options(root));
    has(notes, "1 of 4 targets are grey (p1.png): a model gives RGB, and learns to give grey from these");
    CU_ASSERT_PTR_NULL(strstr(notes, "p2.png"));
}

/* A long look says how far it is; what it logs goes to a file meanwhile. */
static void data_look__tells_progress_of_a_large_set(void)
{
    const char *root = root_of(1), *words = in(root, "words.txt");
    enum { PAIRS = 1001 };
    for (int i = 1; i < PAIRS; i++) {
        static const char *const folders[] = {"input", "target"};
        for (size_t k = 0; k < LEN(folders); k++)
            CU_ASSERT_EQUAL(link(in(root, arena_printf(&arena, "%s/p0.png", folders[k])),
                                 in(root, arena_printf(&arena, "%s/p%d.png", folders[k], i))),
                            0);
    }
    fflush(stderr);
    int kept = dup(STDERR_FILENO), n;
    CU_ASSERT_PTR_NOT_NULL(freopen(words, "w", stderr));
    notes_of(&n, options(root));
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    CU_ASSERT_EQUAL(n, PAIRS);
    char *text = NULL;
    TEST_OK(fs_read(&text, NULL, words));
    int lines = 0;
    for (const char *p = text; (p = strstr(p, " of 2002 pictures, about ")); p++) lines++;
    CU_ASSERT_TRUE(lines >= 3);
    free(text);
}

static const struct test tests[] = {
    TEST(data_look__tells_progress_of_a_large_set),
    TEST(data_open__passes_over_what_is_no_file),
    TEST(data_open__holds_no_image_where_all_are_folders),
    TEST(data_open__says_which_partner_is_nearly_there),
    TEST(data_open__names_all_damaged_pictures_together),
    TEST(data_open__skips_damaged_pairs_as_if_they_were_not_there),
    TEST(data_open__looks_at_a_file_once),
    TEST(data_open__says_which_targets_are_grey),
};
TEST_MAIN("data.look", tests)
