/* The open set: its parts, its fingerprint, and its pixels, decoded once and kept. */
#include "inside.h"
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

struct status data_open(struct data **out, const struct data_options *o)
{
    CHECK(o->height > 0 && o->width > 0, "data_open without a size");
    *out = NULL;
    TRY(data_takes(o->channels));
    struct data *d = mem_zalloc(sizeof *d);
    d->height = o->height;
    d->width = o->width;
    d->channels = o->channels ? o->channels : 3;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->changed, NULL);
    d->cache = o->cache ? arena_strdup(&d->arena, o->cache) : NULL;
    struct status s = data_find_pairs(d, o);
    if (s.code == STATUS_OK) s = data_look(d, o);
    if (s.code == STATUS_OK) s = data_split(d, o);
    if (s.code != STATUS_OK) {
        data_close(d);
        return s;
    }
    d->n_augment = o->n_augment;
    d->augment = arena_copy(&d->arena, o->augment, (size_t)o->n_augment * sizeof *o->augment);
    d->slots = arena_alloc(&d->arena, (size_t)d->n * sizeof *d->slots);
    d->mapped = arena_alloc(&d->arena, DATA_MAX_MAPPED * sizeof *d->mapped);
    *out = d;
    return ok();
}

static void empty_slot(struct data *d, struct data_slot *s)
{
    if (s->mapped)
        data_cache_unmap(d, s->block);
    else
        free(s->block);
    *s = (struct data_slot){0};
}

void data_close(struct data *d)
{
    if (!d) return;
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    pthread_mutex_unlock(&d->lock);
    if (d->prefetching) pthread_join(d->prefetcher, NULL);
    for (int i = 0; d->slots && i < d->n; i++) empty_slot(d, &d->slots[i]);
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->lock);
    arena_free(&d->arena);
    free(d);
}

void data_note(struct data *d, const char *text)
{
    const char **more = arena_alloc(&d->arena, ((size_t)d->n_notes + 1) * sizeof *more);
    if (d->n_notes) memcpy(more, d->notes, (size_t)d->n_notes * sizeof *more);
    more[d->n_notes++] = arena_strdup(&d->arena, text);
    d->notes = more;
}

const char *const *data_notes(const struct data *d, int *n)
{
    *n = d->n_notes;
    return d->notes;
}

int data_skipped(const struct data *d)
{
    return d->skipped;
}

int data_size(const struct data *d)
{
    return d->n;
}

int data_height(const struct data *d)
{
    return d->height;
}

int data_width(const struct data *d)
{
    return d->width;
}

int data_channels(const struct data *d)
{
    return d->channels;
}

const char *data_name(const struct data *d, int i)
{
    CHECK(i >= 0 && i < d->n, "pair %d of %d", i, d->n);
    return d->names[i];
}

const int *data_part(const struct data *d, enum data_part part, int *n)
{
    *n = d->n_part[part];
    return d->part[part];
}

/* ---- channels -------------------------------------------------------------------------------------------------- */

struct status data_takes(int channels)
{
    if (channels == 0 || channels == 1 || channels == 3 || channels == 4) return ok();
    return fail(STATUS_REFUSED, "model.in_channels: got %d; pictures are grey (1), RGB (3) or RGBA (4)", channels);
}

static struct status no_alpha(const char *what)
{
    return fail(STATUS_REFUSED,
                "model.in_channels: 4 is RGBA, and %s has no alpha channel; give PNG inputs with one, or use 3 or 1",
                what);
}

struct status data_check_alpha(const struct data *d)
{
    if (d->channels != 4) return ok();
    if (d->synthetic) return no_alpha("the generated set");
    for (int i = 0; i < d->n; i++) {
        bool has;
        TRY(data_has_alpha(&has, d->input[i]));
        if (!has) return no_alpha(d->input[i]);
    }
    return ok();
}

/* ---- fingerprint ----------------------------------------------------------------------------------------------- */

enum { HASH_WHOLE = 4 << 20, HASH_END = 1 << 20 };

/* Size and content; of a large file its first and last bytes, which hold a header and the end of the coded stream. */
static struct status add_content(struct str *all, char *buffer, const char *path)
{
    int fd;
    struct stat st;
    TRY(fs_open(&fd, path));
    if (fstat(fd, &st) != 0) {
        struct status s = fail(STATUS_IO, "%s: cannot look at: %s", path, strerror(errno));
        close(fd);
        return s;
    }
    bool whole = st.st_size <= HASH_WHOLE;
    ssize_t n = pread(fd, buffer, whole ? HASH_WHOLE : HASH_END, 0);
    if (n >= 0 && !whole) {
        ssize_t m = pread(fd, buffer + n, HASH_END, st.st_size - HASH_END);
        n = m < 0 ? m : n + m;
    }
    int why = errno;
    close(fd);
    if (n < 0) return fail(STATUS_IO, "%s: cannot read: %s", path, strerror(why));
    str_addf(all, " %lld %s", (long long)st.st_size, hash_bytes(buffer, (size_t)n).hex);
    return ok();
}

struct status data_fingerprint(struct hash *out, const struct data *d)
{
    struct str all = {0};
    char *buffer = mem_alloc(HASH_WHOLE);
    struct status s = ok();
    str_addf(&all, "pixels %d lists %s\n", DATA_PIXELS_VERSION, d->lists.hex);
    for (int i = 0; i < d->n && s.code == STATUS_OK; i++) {
        str_add(&all, d->names[i]);
        if (!d->synthetic) {
            s = add_content(&all, buffer, d->input[i]);
            if (s.code == STATUS_OK) s = add_content(&all, buffer, d->target[i]);
        }
        str_add(&all, "\n");
    }
    if (s.code == STATUS_OK) *out = hash_bytes(all.s, all.n);
    free(buffer);
    str_free(&all);
    return s;
}

/* ---- pixels ---------------------------------------------------------------------------------------------------- */

int data_block_images(const struct data *d)
{
    return d->channels == 4 ? 3 : 2;
}

/* A plane as a picture that is everywhere grey. */
static void resample_alpha(uint8_t *out, const struct data *d, const struct data_image *im)
{
    size_t n = (size_t)im->height * (size_t)im->width;
    uint8_t *grey = mem_alloc(3 * n);
    for (size_t i = 0; i < 3 * n; i++) grey[i] = im->alpha[i / 3];
    data_resample(out, d->height, d->width, grey, im->height, im->width);
    free(grey);
}

/* @p alpha: where it goes; NULL: it is not wanted. */
static struct status decode_file(uint8_t *out, uint8_t *alpha, const struct data *d, const char *path)
{
    struct data_image im;
    TRY(data_image_load(&im, path));
    struct status s = alpha && !im.alpha ? no_alpha(path) : ok();
    if (s.code == STATUS_OK) data_resample(out, d->height, d->width, im.rgb, im.height, im.width);
    if (s.code == STATUS_OK && alpha) resample_alpha(alpha, d, &im);
    data_image_free(&im);
    return s;
}

struct status data_decode(uint8_t *block, const struct data *d, int index)
{
    size_t image = (size_t)d->height * (size_t)d->width * 3;
    if (d->synthetic) {
        TRY(data_check_alpha(d));
        data_synthetic_pair(block, block + image, d->height, d->width, index);
        return ok();
    }
    TRY(decode_file(block, d->channels == 4 ? block + 2 * image : NULL, d, d->input[index]));
    return decode_file(block + image, NULL, d, d->target[index]);
}

/* A cache that cannot be written (full disk, read-only folder) costs memory and time, not the training. */
static void warn_once(struct data *d, struct status s)
{
    pthread_mutex_lock(&d->lock);
    bool first = !d->warned;
    d->warned = true;
    pthread_mutex_unlock(&d->lock);
    if (first) log_warn("decoded images are kept in memory, not in the cache: %s", s.msg);
}

/* Out of the lock: the slot is ours while it is busy. */
static struct status make_pixels(struct data_slot *slot, struct data *d, int index)
{
    char path[4096];
    bool cached = d->cache && data_cache_path(path, sizeof path, d, index);
    *slot = (struct data_slot){.block = cached ? data_cache_map(d, path) : NULL, .mapped = true};
    if (!slot->block) {
        uint8_t *block = mem_alloc((size_t)d->height * (size_t)d->width * 3 * (size_t)data_block_images(d));
        struct status s = data_decode(block, d, index);
        if (s.code != STATUS_OK) {
            free(block);
            return s;
        }
        if (cached) {
            s = data_cache_write(d, path, block);
            if (s.code == STATUS_OK)
                slot->block = data_cache_map(d, path);
            else
                warn_once(d, s);
        }
        if (slot->block)
            free(block);
        else
            *slot = (struct data_slot){.block = block};
    }
    slot->input = slot->block;
    slot->target = slot->block + (size_t)d->height * (size_t)d->width * 3;
    return ok();
}

/* The kernel limits the maps of a process: in sets beyond DATA_MAX_MAPPED the oldest goes. */
static void remember_map(struct data *d, int index)
{
    int *place = &d->mapped[d->n_mapped % DATA_MAX_MAPPED];
    if (d->n_mapped++ >= DATA_MAX_MAPPED) empty_slot(d, &d->slots[*place]);
    if (d->n_mapped == 2 * DATA_MAX_MAPPED) d->n_mapped = DATA_MAX_MAPPED;
    *place = index;
}

struct status data_pixels(const uint8_t **input, const uint8_t **target, struct data *d, int index)
{
    CHECK(index >= 0 && index < d->n, "pair %d of %d", index, d->n);
    struct data_slot *slot = &d->slots[index], made;
    struct status s = ok();
    pthread_mutex_lock(&d->lock);
    while (slot->state == SLOT_BUSY) pthread_cond_wait(&d->changed, &d->lock);
    if (slot->state == SLOT_EMPTY) {
        slot->state = SLOT_BUSY;
        pthread_mutex_unlock(&d->lock);
        s = make_pixels(&made, d, index);
        pthread_mutex_lock(&d->lock);
        if (s.code == STATUS_OK) *slot = made;
        slot->state = s.code == STATUS_OK ? SLOT_READY : SLOT_EMPTY;
        if (s.code == STATUS_OK && slot->mapped) remember_map(d, index);
        pthread_cond_broadcast(&d->changed);
    }
    *input = slot->input;
    *target = slot->target;
    pthread_mutex_unlock(&d->lock);
    return s;
}

static void *prefetch(void *arg)
{
    struct data *d = arg;
    for (int i = 0; i < d->n_order; i++) {
        const uint8_t *input, *target;
        pthread_mutex_lock(&d->lock);
        bool stop = d->stop, wanted = d->slots[d->order[i]].state == SLOT_EMPTY;
        pthread_mutex_unlock(&d->lock);
        if (stop) break;
        if (!wanted) continue;
        struct status s = data_pixels(&input, &target, d, d->order[i]);
        if (s.code != STATUS_OK) log_debug("prefetch: %s", s.msg); /* whoever needs the pair gets the error */
    }
    return NULL;
}

void data_prefetch(struct data *d, const int *order, int n)
{
    pthread_mutex_lock(&d->lock);
    if (!d->prefetching && n > 0) {
        if (n > DATA_MAX_MAPPED) n = DATA_MAX_MAPPED; /* more would push out the first before they are used */
        d->order = arena_copy(&d->arena, order, (size_t)n * sizeof *order);
        d->n_order = n;
        d->prefetching = pthread_create(&d->prefetcher, NULL, prefetch, d) == 0;
    }
    pthread_mutex_unlock(&d->lock);
}

static void widen(int sides[2], const char *path)
{
    struct data_header h;
    if (!data_header(&h, path)) return;
    int least = h.height < h.width ? h.height : h.width, most = h.height < h.width ? h.width : h.height;
    if (!sides[0] || least < sides[0]) sides[0] = least;
    if (most > sides[1]) sides[1] = most;
}

struct data_sides data_sides(const struct data *d)
{
    struct data_sides out = {{0}, {0}};
    for (int i = 0; i < d->n && !d->synthetic; i++) {
        widen(out.input, d->input[i]);
        widen(out.target, d->target[i]);
    }
    return out;
}
