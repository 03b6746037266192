/*
 * Every picture of a set decoded once, on all cores, before anything rests on it: which are damaged, which targets are
 * grey. What was found is kept beside the decoded pixels, by what a file is (place, inode, times, size), so that a file
 * that has not changed is not decoded again. Losing that costs the decoding.
 */
#include "inside.h"
#include <sys/stat.h>
#include <unistd.h>

/* Raised when the decoder's judgement changes. */
enum { LOOK_VERSION = 1, SLOW_SET = 2000 };

enum verdict { UNKNOWN, SOUND, GREY, DAMAGED, UNREADABLE };
static const char letters[] = {[UNKNOWN] = '?', [SOUND] = 's', [GREY] = 'g', [DAMAGED] = 'd', [UNREADABLE] = 'u'};

struct view {
    const char *path;
    char key[33]; /* "": what the file is cannot be told, nor kept */
    enum verdict verdict;
    char *why; /* of the last two, without the path */
};

struct look {
    struct view *v;           /* inputs, then targets */
    int n, next, fresh, done; /* fresh: not known before; done: of these */
    int quarter;              /* of the way, when that was told last */
    double began, told;
    pthread_mutex_t lock;
};

/* ---- one picture ------------------------------------------------------------------------------------------------- */

static void identify(struct view *v, const char *folder)
{
    struct stat st;
    struct str text = {0};
    if (stat(v->path, &st) != 0) return;
    str_addf(&text, "%d %d %s/%s\n%lld %lld.%09ld %lld.%09ld %lld\n", LOOK_VERSION, DATA_PIXELS_VERSION, folder,
             fs_basename(v->path), (long long)st.st_ino, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
             (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec, (long long)st.st_size);
    memcpy(v->key, hash_bytes(text.s, text.n).hex, sizeof v->key);
    str_free(&text);
}

static bool is_grey(const struct data_image *im)
{
    size_t n = (size_t)im->height * (size_t)im->width;
    for (size_t i = 0; i < n; i++)
        if (im->rgb[3 * i] != im->rgb[3 * i + 1] || im->rgb[3 * i] != im->rgb[3 * i + 2]) return false;
    return true;
}

static void decode(struct view *v)
{
    struct data_image im;
    struct status s = data_image_load(&im, v->path);
    if (s.code == STATUS_OK) {
        v->verdict = is_grey(&im) ? GREY : SOUND;
        data_image_free(&im);
        return;
    }
    size_t n = strlen(v->path);
    bool named = strncmp(s.msg, v->path, n) == 0 && strncmp(s.msg + n, ": ", 2) == 0;
    v->verdict = s.code == STATUS_ARG ? DAMAGED : UNREADABLE;
    v->why = mem_strdup(named ? s.msg + n + 2 : s.msg);
}

/* How far it is, each quarter of the way and every few seconds; called with the lock held. */
static void tell_progress(struct look *l)
{
    static const double every_s = 2;
    double now = time_mono();
    int quarter = 4 * l->done / l->fresh;
    if (l->fresh <= SLOW_SET || l->done == l->fresh || (quarter == l->quarter && now - l->told < every_s)) return;
    l->quarter = quarter;
    l->told = now;
    log_info("looked at %d of %d pictures, about %.0f s left", l->done, l->fresh,
             (now - l->began) / l->done * (l->fresh - l->done));
}

static void *decode_some(void *arg)
{
    struct look *l = arg;
    for (;;) {
        pthread_mutex_lock(&l->lock);
        while (l->next < l->n && l->v[l->next].verdict != UNKNOWN) l->next++;
        int i = l->next < l->n ? l->next++ : -1;
        pthread_mutex_unlock(&l->lock);
        if (i < 0) return NULL;
        decode(&l->v[i]);
        pthread_mutex_lock(&l->lock);
        l->done++;
        tell_progress(l);
        pthread_mutex_unlock(&l->lock);
    }
}

static void decode_all(struct look *l)
{
    enum { MOST = 64 };
    pthread_t threads[MOST];
    int n = 0, want = cores_usable() - 1;
    for (int i = 0; i < l->n; i++) l->fresh += l->v[i].verdict == UNKNOWN;
    if (l->fresh > SLOW_SET) log_info("looking at %d pictures once, whether any is damaged", l->fresh);
    l->began = l->told = time_mono();
    if (want > MOST) want = MOST;
    if (want > l->fresh - 1) want = l->fresh - 1;
    while (n < want && pthread_create(&threads[n], NULL, decode_some, l) == 0) n++;
    decode_some(l);
    while (n) pthread_join(threads[--n], NULL);
}

/* ---- what was found before --------------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
    return strcmp((*(struct view *const *)a)->key, (*(struct view *const *)b)->key);
}

/* "KEY LETTER REASON": a line that says anything else is no verdict, and its picture is decoded. */
static void take_line(struct view **sorted, size_t n, char *line)
{
    struct view want = {.path = NULL}, *w = &want, **found;
    if (strlen(line) < 35 || line[32] != ' ') return;
    memcpy(want.key, line, 32);
    found = bsearch(&w, sorted, n, sizeof *sorted, by_key);
    const char *letter = memchr(letters, line[33], sizeof letters);
    if (!found || (*found)->verdict != UNKNOWN || !letter) return;
    enum verdict v = (enum verdict)(letter - letters);
    if (v != SOUND && v != GREY && v != DAMAGED) return;
    if (v == DAMAGED) (*found)->why = mem_strdup(line + 35);
    (*found)->verdict = v;
}

static void recall(struct look *l, const char *path)
{
    char *text;
    if (fs_read(&text, NULL, path).code != STATUS_OK) return;
    struct view **sorted = mem_alloc((size_t)l->n * sizeof *sorted);
    size_t n = 0;
    for (int i = 0; i < l->n; i++)
        if (l->v[i].key[0]) sorted[n++] = &l->v[i];
    qsort(sorted, n, sizeof *sorted, by_key);
    for (char *p = text, *end; *p; p = end) {
        end = p + strcspn(p, "\n");
        if (*end) *end++ = 0;
        take_line(sorted, n, p);
    }
    free(sorted);
    free(text);
}

static void keep(const struct look *l, const char *path)
{
    struct arena a = {0};
    struct str text = {0};
    str_add(&text, "");
    for (int i = 0; i < l->n; i++) {
        const struct view *v = &l->v[i];
        if (v->key[0] && v->verdict != UNREADABLE)
            str_addf(&text, "%s %c %s\n", v->key, letters[v->verdict], v->why ? v->why : "");
    }
    struct status s = fs_mkdir(fs_dirname(&a, path));
    if (s.code == STATUS_OK) s = fs_write(path, text.s, text.n);
    if (s.code != STATUS_OK) log_debug("pictures will be looked at again: %s", s.msg);
    str_free(&text);
    arena_free(&a);
}

/* The file for this set, "" where there is no cache; and the real folders, by which files are known. */
static char *identify_all(struct look *l, struct arena *a, const struct data *d)
{
    const char *folders[2];
    for (int k = 0; k < 2; k++) {
        const char *folder = fs_dirname(a, k ? d->target[0] : d->input[0]);
        char *real = realpath(folder, NULL);
        folders[k] = arena_strdup(a, real ? real : folder);
        free(real);
        for (int i = 0; i < d->n; i++) identify(&l->v[k * d->n + i], folders[k]);
    }
    const char *set = arena_printf(a, "%s\n%s", folders[0], folders[1]);
    return d->cache ? arena_printf(a, "%s/looked/%s.txt", d->cache, hash_bytes(set, strlen(set)).hex) : NULL;
}

/* ---- what follows from it ---------------------------------------------------------------------------------------- */

static bool is_bad(const struct view *v)
{
    return v->verdict == DAMAGED || v->verdict == UNREADABLE;
}

/* "A: why; B: why; and 3 more", of pictures that are bad. */
static void add_bad(struct str *out, const struct look *l, size_t room)
{
    int said = 0, n = 0;
    for (int i = 0; i < l->n; i++) {
        const struct view *v = &l->v[i];
        if (!is_bad(v)) continue;
        n++;
        if (said && (said == DATA_SAID_MOST || out->n + strlen(v->path) + strlen(v->why) > room)) continue;
        str_addf(out, "%s%s: %.300s", said++ ? "; " : "", v->path, v->why);
    }
    if (n > said) str_addf(out, "; and %d more", n - said);
}

static struct status refuse(const struct look *l, const struct data_options *o, int bad, int unreadable)
{
    struct str names = {0};
    add_bad(&names, l, 550);
    struct status s =
        fail(unreadable ? STATUS_IO : STATUS_ARG, "data.root: %s: %d of %d pictures %s: %s; %s", o->root, bad, l->n,
             unreadable ? "cannot be read" : "are damaged", names.s,
             unreadable ? "make them readable, or move their pairs away"
                        : "replace them or move their pairs away, or let data.skip_damaged: true leave them out");
    str_free(&names);
    return s;
}

static struct status leave_out(struct data *d, const struct look *l, const struct data_options *o)
{
    struct str names = {0};
    int n = 0, all = d->n;
    d->skipped_names = arena_alloc(&d->arena, ((size_t)all + 1) * sizeof *d->skipped_names);
    for (int i = 0; i < all; i++) {
        if (is_bad(&l->v[i]) || is_bad(&l->v[all + i])) {
            d->skipped_names[d->skipped++] = d->names[i];
            continue;
        }
        d->names[n] = d->names[i];
        d->input[n] = d->input[i];
        d->target[n++] = d->target[i];
    }
    d->n = n;
    add_bad(&names, l, 4000);
    struct status s =
        n ? ok()
          : fail(STATUS_ARG, "data.root: %s: the pictures of all %d pairs are damaged: %.600s", o->root, all, names.s);
    char *head = arena_printf(&d->arena,
                              "data.skip_damaged: %s: %d of %d pairs are left out, for their pictures are "
                              "damaged: ",
                              o->root, d->skipped, all);
    data_note(d, arena_printf(&d->arena, "%s%s", head, names.s));
    str_free(&names);
    return s;
}

static void tell_grey(struct data *d, const struct look *l, const struct data_options *o, int n_pairs)
{
    struct str text = {0};
    int n = 0;
    for (int i = 0; i < n_pairs; i++) {
        if (l->v[n_pairs + i].verdict != GREY || n++ >= 3) continue;
        str_addf(&text, "%s%s", n > 1 ? ", " : "", fs_basename(l->v[n_pairs + i].path));
    }
    if (n)
        data_note(d, arena_printf(&d->arena,
                                  "data.target: %s: %d of %d targets are grey (%s%s): a model gives RGB, and learns "
                                  "to give grey from these; replace them if colour is wanted",
                                  o->root, n, n_pairs, text.s, n > 3 ? ", ..." : ""));
    str_free(&text);
}

static struct status conclude(struct data *d, const struct look *l, const struct data_options *o)
{
    int bad = 0, unreadable = 0, n = d->n;
    for (int i = 0; i < l->n; i++) {
        bad += is_bad(&l->v[i]);
        unreadable += l->v[i].verdict == UNREADABLE;
    }
    if (unreadable || (bad && !o->skip_damaged)) return refuse(l, o, bad, unreadable);
    if (bad) TRY(leave_out(d, l, o));
    tell_grey(d, l, o, n);
    return ok();
}

struct status data_look(struct data *d, const struct data_options *o)
{
    if (d->synthetic || !(o->look || o->skip_damaged)) return ok();
    struct arena a = {0};
    struct look l = {.n = 2 * d->n, .v = mem_zalloc((size_t)d->n * 2 * sizeof(struct view))};
    for (int i = 0; i < l.n; i++) l.v[i].path = i < d->n ? d->input[i] : d->target[i - d->n];
    const char *path = identify_all(&l, &a, d);
    if (path) recall(&l, path);
    pthread_mutex_init(&l.lock, NULL);
    decode_all(&l);
    pthread_mutex_destroy(&l.lock);
    if (path && l.fresh) keep(&l, path);
    struct status s = conclude(d, &l, o);
    for (int i = 0; i < l.n; i++) free(l.v[i].why);
    free(l.v);
    arena_free(&a);
    return s;
}
