/* Two folders into pairs by file name. */
#include "inside.h"
#include <errno.h>
#include <strings.h>
#include <sys/stat.h>

static const char *const extensions[] = {"jpg", "jpeg", "png", "bmp", NULL};
static const char *const unread[] = {"webp", "gif", "tif", "tiff", "heic", "avif", "psd",
                                     "jxl",  "jp2", "tga", "ppm",  "pgm",  NULL};

static bool has_extension(const char *file, const char *const *list)
{
    const char *dot = strrchr(file, '.');
    for (; dot && *list; list++) {
        if (!strcasecmp(dot + 1, *list)) return true;
    }
    return false;
}

size_t data_stem(const char *file)
{
    return has_extension(file, extensions) ? (size_t)(strrchr(file, '.') - file) : strlen(file);
}

/* A name in a folder. */
struct image {
    const char *stem, *path, *file;
    const char *kind; /* what it is in place of an image: "a pipe", "of a format that is not read" */
};

/* One of the two folders. */
struct side {
    const char *key, *folder;
    struct image *images; /* sorted by stem */
    struct image *others; /* what might have been meant as images */
    int n, n_others, n_no_files;
};

static int by_stem(const void *a, const void *b)
{
    return strcmp(((const struct image *)a)->stem, ((const struct image *)b)->stem);
}

/* "; folders there: a, b; did you mean a?", or how far the path exists. */
static void add_nearby(struct str *out, struct arena *a, const char *path)
{
    const char *parent = fs_dirname(a, path);
    char **names;
    if (fs_list(&names, NULL, a, parent).code != STATUS_OK) {
        str_addf(out, "; %s does not exist either", parent);
        return;
    }
    size_t n = 0;
    for (char **p = names; *p; p++) {
        if ((*p)[0] != '.' && fs_is_dir(fs_join(a, parent, *p))) names[n++] = *p;
    }
    names[n] = NULL;
    if (!n) str_addf(out, "; there is no folder in %s", parent);
    for (size_t i = 0; i < n && i < 8; i++) str_addf(out, "%s%s", i ? ", " : "; folders there: ", names[i]);
    if (n > 8) str_addf(out, ", ... (%zu)", n);
    const char *near = str_nearest(fs_basename(path), (const char *const *)names);
    if (near) str_addf(out, "; did you mean %s?", near);
}

static struct status want_folder(const char *key, const char *path, struct arena *a)
{
    if (fs_is_dir(path)) return ok();
    struct str more = {0};
    str_add(&more, "");
    if (!fs_exists(path)) add_nearby(&more, a, path);
    struct status s =
        fail(STATUS_ARG, "%s: %s: %s%s", key, path, fs_exists(path) ? "is no folder" : "no such folder", more.s);
    str_free(&more);
    return s;
}

/* NULL: a file, or a link to one. Images are looked at before anything opens them: a pipe would hold that up. */
static const char *kind_of(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0) return fs_kind(&st);
    return errno == ENOENT ? "a link to nothing" : strerror(errno);
}

static void add_file(struct side *s, struct arena *a, const char *file)
{
    bool read = has_extension(file, extensions);
    if (file[0] == '.' || (!read && !has_extension(file, unread))) return;
    size_t stem = read ? data_stem(file) : (size_t)(strrchr(file, '.') - file);
    struct image im = {arena_printf(a, "%.*s", (int)stem, file), fs_join(a, s->folder, file), file, NULL};
    im.kind = read ? kind_of(im.path) : "of a format that is not read";
    if (im.kind)
        s->others[s->n_others++] = im, s->n_no_files += read;
    else
        s->images[s->n++] = im;
}

static struct status list_images(struct side *s, struct arena *a)
{
    char **files;
    size_t count;
    TRY(want_folder(s->key, s->folder, a));
    TRY(status_at(fs_list(&files, &count, a, s->folder), "%s", s->key));
    s->images = arena_alloc(a, (count + 1) * sizeof *s->images);
    s->others = arena_alloc(a, (count + 1) * sizeof *s->others);
    for (size_t i = 0; i < count; i++) add_file(s, a, files[i]);
    if (!s->n && s->n_others > s->n_no_files)
        return fail(STATUS_ARG, "%s: %s: all %d images are of formats that are not read; convert them to JPEG or PNG",
                    s->key, s->folder, s->n_others - s->n_no_files);
    if (!s->n && s->n_no_files)
        return fail(STATUS_ARG, "%s: %s: holds no image, only names of images that are none: %s is %s", s->key,
                    s->folder, s->others[0].file, s->others[0].kind);
    if (!s->n) return fail(STATUS_ARG, "%s: %s: holds no image (JPEG, PNG or BMP)", s->key, s->folder);
    qsort(s->images, (size_t)s->n, sizeof *s->images, by_stem);
    for (int i = 1; i < s->n; i++) {
        if (!strcmp(s->images[i - 1].stem, s->images[i].stem))
            return fail(STATUS_ARG,
                        "%s: %s: %s and %s have the same name, which is what pairs are matched by; remove one", s->key,
                        s->folder, s->images[i - 1].file, s->images[i].file);
    }
    return ok();
}

/* Said once a folder: what has an image's name and is none. */
static void tell_passed_over(struct data *d, const struct side *s)
{
    struct str text = {0};
    if (!s->n_no_files) return;
    str_addf(&text, "%s: %s: passed over, for they are no files: ", s->key, s->folder);
    for (int i = 0, said = 0; i < s->n_others; i++) {
        const struct image *im = &s->others[i];
        if (!has_extension(im->file, extensions) || said++ >= DATA_SAID_MOST) continue;
        str_addf(&text, "%s%s (%s)", said > 1 ? ", " : "", im->file, im->kind);
    }
    if (s->n_no_files > DATA_SAID_MOST) str_addf(&text, " and %d more", s->n_no_files - DATA_SAID_MOST);
    data_note(d, text.s);
    str_free(&text);
}

/* ---- matching ---------------------------------------------------------------------------------------------------- */

/* What is left of a name that people see as the same: without extensions, however many. */
static size_t core_of(const char *file)
{
    size_t n = strlen(file);
    for (;;) {
        char part[300];
        if (n >= sizeof part) return n;
        memcpy(part, file, n);
        part[n] = 0;
        if (!has_extension(part, extensions) && !has_extension(part, unread)) return n;
        n = (size_t)(strrchr(part, '.') - part);
    }
}

static bool near_match(const char *x, const char *y)
{
    size_t n = core_of(x);
    return n == core_of(y) && strncasecmp(x, y, n) == 0;
}

/* Why @p lone has no partner among @p other, when something there is nearly one. */
static void add_reason(struct str *out, const struct image *lone, const struct side *other)
{
    for (int i = 0; i < other->n_others; i++) {
        const struct image *im = &other->others[i];
        if (!near_match(lone->file, im->file)) continue;
        str_addf(out, " (%s there is %s)", im->file, im->kind);
        return;
    }
    for (int i = 0; i < other->n; i++) {
        const char *file = other->images[i].file;
        if (!near_match(lone->file, file)) continue;
        bool letters = strcasecmp(lone->stem, other->images[i].stem) == 0;
        str_addf(out,
                 letters ? " (%s there is spelled in other letters, small or capital; rename one)"
                         : " (%s there has another extension within its name; rename one)",
                 file);
        return;
    }
}

/* What x has and y lacks; both sorted. */
static int add_missing(struct str *names, const struct side *x, const struct side *y)
{
    int missing = 0;
    for (int i = 0; i < x->n; i++) {
        if (bsearch(&x->images[i], y->images, (size_t)y->n, sizeof *y->images, by_stem)) continue;
        if (missing++ >= 3) continue;
        str_addf(names, "%s%s", missing > 1 ? ", " : "", x->images[i].file);
        add_reason(names, &x->images[i], y);
    }
    if (missing > 3) str_addf(names, ", ...");
    return missing;
}

static struct status match(struct data *d, const struct side side[2])
{
    for (int k = 0; k < 2; k++) {
        struct str names = {0};
        int missing = add_missing(&names, &side[k], &side[!k]);
        struct status s = ok();
        if (missing)
            s = fail(STATUS_ARG,
                     "data: %d of %d images in %s have no partner of the same name in %s: %s; add the partners "
                     "or move these away",
                     missing, side[k].n, side[k].folder, side[!k].folder, names.s);
        str_free(&names);
        TRY(s);
    }
    d->n = side[0].n;
    d->names = arena_alloc(&d->arena, (size_t)d->n * sizeof *d->names);
    d->input = arena_alloc(&d->arena, (size_t)d->n * sizeof *d->input);
    d->target = arena_alloc(&d->arena, (size_t)d->n * sizeof *d->target);
    for (int i = 0; i < d->n; i++) {
        d->names[i] = side[0].images[i].stem;
        d->input[i] = side[0].images[i].path;
        d->target[i] = side[1].images[i].path;
    }
    return ok();
}

static struct status find_synthetic(struct data *d, int pairs)
{
    d->synthetic = true;
    d->n = pairs ? pairs : 64;
    if (d->n < 1 || d->n > 1000000) return fail(STATUS_ARG, "data.pairs: got %d, expected 1..1000000", d->n);
    d->names = arena_alloc(&d->arena, (size_t)d->n * sizeof *d->names);
    for (int i = 0; i < d->n; i++) d->names[i] = arena_printf(&d->arena, "face_%06d", i);
    return ok();
}

struct status data_find_pairs(struct data *d, const struct data_options *o)
{
    CHECK(o->root, "data_open without root");
    if (!strcmp(o->root, DATA_SYNTHETIC)) return find_synthetic(d, o->synthetic_pairs);
    struct arena *a = &d->arena;
    TRY(want_folder("data.root", o->root, a));
    struct side side[2] = {{.key = "data.input", .folder = fs_join(a, o->root, o->input ? o->input : "input")},
                           {.key = "data.target", .folder = fs_join(a, o->root, o->target ? o->target : "target")}};
    for (int k = 0; k < 2; k++) TRY(list_images(&side[k], a));
    TRY(match(d, side));
    for (int k = 0; k < 2; k++) tell_passed_over(d, &side[k]);
    return ok();
}
