/* Two folders into pairs by file name. */
#include "inside.h"
#include <strings.h>

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

struct image {
    const char *stem, *path, *file;
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

/* The images of a folder, sorted by stem. */
static struct status list_images(struct image **out, int *n, struct arena *a, const char *key, const char *folder)
{
    char **files;
    size_t count, others = 0;
    TRY(want_folder(key, folder, a));
    TRY(status_at(fs_list(&files, &count, a, folder), "%s", key));
    struct image *im = arena_alloc(a, count * sizeof *im);
    *n = 0;
    for (size_t i = 0; i < count; i++) {
        if (files[i][0] == '.') continue;
        others += has_extension(files[i], unread);
        if (!has_extension(files[i], extensions)) continue;
        im[(*n)++] = (struct image){arena_printf(a, "%.*s", (int)data_stem(files[i]), files[i]),
                                    fs_join(a, folder, files[i]), files[i]};
    }
    if (!*n && others)
        return fail(STATUS_ARG, "%s: %s: all %zu images are of formats that are not read; convert them to JPEG or PNG",
                    key, folder, others);
    if (!*n) return fail(STATUS_ARG, "%s: %s: holds no image (JPEG, PNG or BMP)", key, folder);
    qsort(im, (size_t)*n, sizeof *im, by_stem);
    for (int i = 1; i < *n; i++) {
        if (!strcmp(im[i - 1].stem, im[i].stem))
            return fail(STATUS_ARG,
                        "%s: %s: %s and %s have the same name, which is what pairs are matched by; remove one", key,
                        folder, im[i - 1].file, im[i].file);
    }
    *out = im;
    return ok();
}

/* What x has and y lacks; both sorted. */
static int add_missing(struct str *names, const struct image *x, int nx, const struct image *y, int ny)
{
    int missing = 0;
    for (int i = 0; i < nx; i++) {
        if (bsearch(&x[i], y, (size_t)ny, sizeof *y, by_stem)) continue;
        if (missing++ < 3) str_addf(names, "%s%s", missing > 1 ? ", " : "", x[i].file);
    }
    if (missing > 3) str_addf(names, ", ...");
    return missing;
}

static struct status match(struct data *d, const char *const folder[2], struct image *const im[2], const int n[2])
{
    for (int side = 0; side < 2; side++) {
        struct str names = {0};
        int missing = add_missing(&names, im[side], n[side], im[!side], n[!side]);
        struct status s = ok();
        if (missing)
            s = fail(STATUS_ARG,
                     "data: %d of %d images in %s have no partner of the same name in %s: %s; add the partners "
                     "or move these away",
                     missing, n[side], folder[side], folder[!side], names.s);
        str_free(&names);
        TRY(s);
    }
    d->n = n[0];
    d->names = arena_alloc(&d->arena, (size_t)d->n * sizeof *d->names);
    d->input = arena_alloc(&d->arena, (size_t)d->n * sizeof *d->input);
    d->target = arena_alloc(&d->arena, (size_t)d->n * sizeof *d->target);
    for (int i = 0; i < d->n; i++) {
        d->names[i] = im[0][i].stem;
        d->input[i] = im[0][i].path;
        d->target[i] = im[1][i].path;
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
    const char *folder[2] = {fs_join(a, o->root, o->input ? o->input : "input"),
                             fs_join(a, o->root, o->target ? o->target : "target")};
    struct image *im[2];
    int n[2];
    TRY(list_images(&im[0], &n[0], a, "data.input", folder[0]));
    TRY(list_images(&im[1], &n[1], a, "data.target", folder[1]));
    return match(d, folder, im, n);
}
