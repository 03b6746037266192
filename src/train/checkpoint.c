/* Checkpoints: one safetensors file is the commit. It is replaced atomically, carries a hash of all its arrays, and is
 * believed only whole. */
#include "parts.h"
#include <errno.h>
#include <unistd.h>

#define POSITION "sweep.position"
#define HASH     "sweep.hash"

void position_free(struct position *p)
{
    json_decref(p->curve);
    *p = (struct position){0};
}

/* ---- position to and from text -------------------------------------------------------------------------------- */

char *position_text(const struct position *p)
{
    json_t *j = json_pack("{s:i, s:I, s:f, s:I, s:f, s:i, s:f, s:i, s:f, s:i, s:O}", "epoch", p->epoch, "step",
                          (json_int_t)p->step, "loss_sum", p->loss_sum, "loss_images", (json_int_t)p->loss_images,
                          "seconds", p->seconds, "best_epoch", p->best_epoch, "best", p->best, "finished", p->finished,
                          "loss_scale", p->loss_scale, "good_steps", p->good_steps, "curve", p->curve);
    CHECK(j, "position");
    char *text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(j);
    return text;
}

static struct status position_parse(struct position *out, const char *path, const char *text)
{
    json_t *j;
    TRY(json_parse(&j, path, text, strlen(text)));
    json_t *curve = json_object_get(j, "curve");
    struct status s = ok();
    if (!json_is_array(curve))
        s = fail(STATUS_ARG, "%s: the position in it is incomplete", path);
    else
        *out = (struct position){.epoch = (int)json_int(j, "epoch", 0),
                                 .step = json_int(j, "step", 0),
                                 .loss_sum = json_num(j, "loss_sum", 0),
                                 .loss_images = json_int(j, "loss_images", 0),
                                 .seconds = json_num(j, "seconds", 0),
                                 .best_epoch = (int)json_int(j, "best_epoch", 0),
                                 .best = json_num(j, "best", 0),
                                 .finished = (int)json_int(j, "finished", 0),
                                 .loss_scale = json_num(j, "loss_scale", 1),
                                 .good_steps = (int)json_int(j, "good_steps", 0),
                                 .curve = json_incref(curve)};
    json_decref(j);
    return s;
}

int position_epoch(const struct weights *w)
{
    struct position at = {0};
    if (position_parse(&at, "", json_str(w->meta, POSITION, "")).code != STATUS_OK) return 0;
    int epoch = at.epoch;
    position_free(&at);
    return epoch;
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

static char *path_of(struct arena *a, const struct train_job *job, const char *name)
{
    return arena_printf(a, "%s/%s.safetensors", job->dir, name);
}

static bool is_state(const struct weights_array *a)
{
    return strncmp(a->name, STATE, strlen(STATE)) == 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/** Of names and contents; the order in the file is the writer's affair. */
static struct hash hash_arrays(const struct weights_array *a, size_t n)
{
    struct arena arena = {0};
    struct str all = {0};
    char **lines = arena_alloc(&arena, (n + 1) * sizeof *lines);
    for (size_t i = 0; i < n; i++)
        lines[i] = arena_printf(&arena, "%s %s\n", a[i].name, hash_bytes(a[i].data, a[i].bytes).hex);
    qsort(lines, n, sizeof *lines, by_text);
    str_add(&all, "");
    for (size_t i = 0; i < n; i++) str_add(&all, lines[i]);
    struct hash h = hash_bytes(all.s, all.n);
    str_free(&all);
    arena_free(&arena);
    return h;
}

static struct status write_file(const struct train_job *job, const char *name, const struct weights_array *a, size_t n,
                                const char *position)
{
    struct arena arena = {0};
    json_t *meta = json_pack("{s:s, s:s, s:s, s:s}", TRIAL, job->id ? job->id : "", KEY, job->key ? job->key : "", HASH,
                             hash_arrays(a, n).hex, POSITION, position);
    CHECK(meta, "metadata");
    struct status s = weights_save(path_of(&arena, job, name), a, n, meta);
    json_decref(meta);
    arena_free(&arena);
    return s;
}

/** Counts and the optimiser's moments may be what they like; a weight is a number. */
static struct status check_numbers(const char *path, const struct arrays *all)
{
    for (size_t i = 0; i < all->n; i++) {
        const struct weights_array *a = &all->a[i];
        bool weights = a->dtype != WEIGHTS_I64 && (!is_state(a) || strncmp(a->name, RAW, strlen(RAW)) == 0);
        if (weights) TRY(status_at(weights_check_numbers(a, 1), "%s: not written", path));
    }
    return ok();
}

struct status checkpoint_write(const struct train_job *job, const char *name, const struct arrays *all,
                               const char *position)
{
    struct arena a = {0};
    struct status s = check_numbers(path_of(&a, job, name), all);
    arena_free(&a);
    return s.code == STATUS_OK ? write_file(job, name, all->a, all->n, position) : s;
}

struct status checkpoint_copy(const struct train_job *job, const char *from, const char *to)
{
    struct arena a = {0};
    char *source = path_of(&a, job, from), *target = path_of(&a, job, to);
    char *link_path = arena_printf(&a, "%s.link", target);
    struct status s = ok();
    unlink(link_path);
    if (link(source, link_path) != 0 || rename(link_path, target) != 0) { /* a file system without links */
        char *bytes = NULL;
        size_t n = 0;
        s = fs_read(&bytes, &n, source);
        if (s.code == STATUS_OK) s = fs_write(target, bytes, n);
        free(bytes);
    }
    arena_free(&a);
    return s;
}

struct status checkpoint_remove(const struct train_job *job, const char *name)
{
    struct arena a = {0};
    char *path = path_of(&a, job, name);
    bool gone = unlink(path) == 0 || errno == ENOENT;
    struct status s = gone ? ok() : fail(STATUS_IO, "%s: cannot remove: %s", path, strerror(errno));
    arena_free(&a);
    return s;
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

/** Loads a file and believes it only if it is whole and of this job. */
static struct status open_file(struct weights *w, const struct train_job *job, const char *path)
{
    TRY(weights_load(w, path));
    const char *key = json_str(w->meta, KEY, NULL), *hash = json_str(w->meta, HASH, NULL);
    struct status s = ok();
    if (!key || !hash || !json_str(w->meta, POSITION, NULL))
        s = fail(STATUS_ARG, "%s: no checkpoint of this program: its metadata lacks %s, %s or %s", path, KEY, HASH,
                 POSITION);
    else if (strcmp(hash_arrays(w->a, w->n).hex, hash) != 0)
        s = fail(STATUS_ARG, "%s: damaged: its arrays do not have the hash that was written with them", path);
    else if (job->key && strcmp(key, job->key) != 0)
        s = fail(STATUS_ARG, "%s: belongs to another configuration: key %s, expected %s", path, key, job->key);
    if (s.code != STATUS_OK) weights_free(w);
    return s;
}

/** The arrays whose name begins with @p prefix, without it; "": those that are no state. Borrows from @p w. */
static struct weights part_of(const struct weights *w, struct arena *a, const char *prefix)
{
    size_t skip = strlen(prefix);
    struct weights v = {.a = arena_alloc(a, (w->n + 1) * sizeof *v.a)};
    for (size_t i = 0; i < w->n; i++) {
        bool wanted = skip ? strncmp(w->a[i].name, prefix, skip) == 0 : !is_state(&w->a[i]);
        if (!wanted) continue;
        v.a[v.n] = w->a[i];
        v.a[v.n++].name += skip;
    }
    return v;
}

static struct status set_tensor(struct tensor *t, const struct weights *w, const char *name)
{
    const struct weights_array *a = weights_find(w, name);
    bool wide = tensor_dtype_of(t) == TENSOR_F64;
    size_t want = (size_t)tensor_numel(t) * (wide ? sizeof(double) : sizeof(float));
    if (!a || a->dtype != (wide ? WEIGHTS_F64 : WEIGHTS_F32) || a->bytes != want)
        return fail(STATUS_ARG, "%s: %s", name, a ? "has another shape or type" : "is missing");
    return wide ? tensor_set_f64_in(t, a->data) : tensor_set_f32_in(t, a->data);
}

static struct status set_optimiser(struct weights_state *to, const struct weights *w, struct arena *a)
{
    const struct weights_array *updates = weights_find(w, STATE "updates");
    size_t bytes = (size_t)to->n_params * sizeof(int64_t);
    if (!updates || updates->dtype != WEIGHTS_I64 || updates->bytes != bytes)
        return fail(STATUS_ARG, "%s",
                    updates ? "made for another list of parameters" : "holds weights alone, nothing to continue from");
    for (int i = 0; i < to->n_params; i++)
        for (int slot = 0; slot < 2; slot++) {
            struct tensor *t = tensor_optim_slot(to->optim, i, slot);
            if (t) TRY(set_tensor(t, w, snapshot_slot_name(a, to, i, slot)));
        }
    memcpy(tensor_optim_updates(to->optim), updates->data, bytes);
    return ok();
}

/** Everything of a whole file into the run. */
static struct status apply(struct weights_state *to, const struct weights *w, struct arena *a, bool finished)
{
    if (!finished) TRY(set_optimiser(to, w, a));
    struct weights model = part_of(w, a, "");
    TRY(exec_load(to->exec, &model, true, NULL));
    if (!to->average) return ok();
    for (int i = 0; i < exec_net(to->exec)->n_params; i++)
        if (to->average[i]) TRY(tensor_copy_in(to->average[i], exec_param(to->exec, i)));
    if (finished) return ok();
    struct weights raw = part_of(w, a, RAW);
    return exec_load(to->exec, &raw, true, NULL);
}

struct status checkpoint_load(const struct train_job *job, const char *name, struct weights_state *to,
                              struct position *p)
{
    struct arena a = {0};
    struct weights w;
    char *path = path_of(&a, job, name);
    struct status s = open_file(&w, job, path);
    if (s.code == STATUS_OK) {
        struct position at = {0};
        s = position_parse(&at, path, json_str(w.meta, POSITION, ""));
        at.has_state = weights_find(&w, STATE "updates") != NULL;
        if (s.code == STATUS_OK && to) s = status_at(apply(to, &w, &a, at.finished), "%s", path);
        if (s.code == STATUS_OK)
            *p = at;
        else
            position_free(&at);
        weights_free(&w);
    }
    arena_free(&a);
    return s;
}

struct status checkpoint_strip(const struct train_job *job, const char *name)
{
    struct arena a = {0};
    struct weights w;
    struct status s = open_file(&w, job, path_of(&a, job, name));
    if (s.code == STATUS_OK) {
        struct weights model = part_of(&w, &a, "");
        if (model.n < w.n) s = write_file(job, name, model.a, model.n, json_str(w.meta, POSITION, ""));
        weights_free(&w);
    }
    arena_free(&a);
    return s;
}

struct status checkpoint_weights(const struct train_job *job, const char *name, struct exec *e)
{
    struct arena a = {0};
    struct weights w;
    char *path = path_of(&a, job, name);
    struct status s = open_file(&w, job, path);
    if (s.code == STATUS_OK) {
        struct weights model = part_of(&w, &a, "");
        s = status_at(exec_load(e, &model, true, NULL), "%s", path);
        weights_free(&w);
    }
    arena_free(&a);
    return s;
}

struct status checkpoint_tell(const struct train_job *job, const char *kind, const char *name)
{
    struct arena a = {0};
    char *path = path_of(&a, job, name);
    struct hash h;
    struct status s = hash_file(&h, path);
    if (s.code == STATUS_OK)
        train_emit(job, "artifact", "{s:s, s:s, s:s, s:s, s:I, s:s}", "kind", kind, "format", "safetensors", "name", "",
                   "path", path, "bytes", (json_int_t)fs_size(path), "hash", h.hex);
    arena_free(&a);
    return s;
}
