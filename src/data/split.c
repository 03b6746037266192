/* Which pairs train and which validate: by a hash of their names, or by lists. */
#include "inside.h"
#include <math.h>

struct ranked {
    uint64_t rank;
    int index;
};

static int by_rank(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    return x->rank != y->rank ? (x->rank < y->rank ? -1 : 1) : x->index - y->index;
}

/* The pairs whose hashed names rank lowest validate: a new file moves at most one other across the border. */
static void split_by_hash(bool *val, const struct data *d, double fraction, int64_t seed)
{
    struct ranked *r = mem_alloc((size_t)d->n * sizeof *r);
    for (int i = 0; i < d->n; i++) {
        uint64_t name = hash_fnv1a(d->names[i], strlen(d->names[i]));
        r[i] = (struct ranked){rng_splitmix(name ^ rng_splitmix((uint64_t)seed)), i};
    }
    qsort(r, (size_t)d->n, sizeof *r, by_rank);
    int n = (int)lround(fraction * d->n);
    if (fraction > 0 && d->n > 1) n = n < 1 ? 1 : n > d->n - 1 ? d->n - 1 : n;
    for (int i = 0; i < n; i++) val[r[i].index] = true;
    free(r);
}

static int find_name(const char *const *names, int count, const char *name, size_t n)
{
    for (int lo = 0, hi = count - 1; lo <= hi;) {
        int mid = lo + (hi - lo) / 2, c = strncmp(names[mid], name, n);
        if (!c && names[mid][n]) c = 1;
        if (!c) return mid;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid - 1;
    }
    return -1;
}

static struct status unknown_name(const struct data *d, const char *path, int line, const char *name)
{
    const char **names = mem_alloc(((size_t)d->n + 1) * sizeof *names);
    memcpy(names, d->names, (size_t)d->n * sizeof *names);
    names[d->n] = NULL;
    const char *near = str_nearest(name, names);
    free(names);
    return fail(STATUS_ARG, "%s:%d: %s: no such pair among the %d%s%s%s", path, line, name, d->n,
                near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

/* A name a line; blank lines and lines that begin with # are skipped; an extension does not matter. */
static struct status read_list(bool *in, struct data *d, const char *path, struct str *all)
{
    char *text;
    size_t n;
    TRY(fs_read(&text, &n, path));
    str_addn(all, text, n);
    str_addn(all, "\0", 1);
    struct status s = ok();
    int line = 1, found = 0;
    for (char *p = text, *end; *p && s.code == STATUS_OK; p = end, line++) {
        end = p + strcspn(p, "\n");
        if (*end) *end++ = 0;
        p += strspn(p, " \t");
        size_t len = strcspn(p, "\r");
        while (len && (p[len - 1] == ' ' || p[len - 1] == '\t')) len--;
        p[len] = 0;
        if (!len || *p == '#') continue;
        int i = find_name(d->names, d->n, p, data_stem(p));
        if (i < 0 && find_name(d->skipped_names, d->skipped, p, data_stem(p)) >= 0) continue;
        if (i < 0)
            s = unknown_name(d, path, line, p);
        else if (in[i])
            s = fail(STATUS_ARG, "%s:%d: %s: is there twice", path, line, p);
        else
            in[i] = true, found++;
    }
    free(text);
    if (s.code == STATUS_OK && !found) s = fail(STATUS_ARG, "%s: names no pair", path);
    return s;
}

static struct status split_by_lists(bool *train, bool *val, struct data *d, const struct data_options *o)
{
    struct str all = {0};
    struct status s = ok();
    if (o->split_train) s = read_list(train, d, o->split_train, &all);
    if (s.code == STATUS_OK && o->split_val_list) s = read_list(val, d, o->split_val_list, &all);
    d->lists = hash_bytes(all.s, all.n);
    str_free(&all);
    TRY(s);
    for (int i = 0; i < d->n; i++) {
        if (train[i] && val[i])
            return fail(STATUS_ARG, "data.split: %s is in both %s and %s", d->names[i], o->split_train,
                        o->split_val_list);
        if (!o->split_train) train[i] = !val[i];
        if (!o->split_val_list) val[i] = !train[i];
    }
    return ok();
}

static struct status mark(bool *train, bool *val, struct data *d, const struct data_options *o)
{
    if (o->split_train || o->split_val_list) return split_by_lists(train, val, d, o);
    if (!(o->split_val >= 0 && o->split_val < 1))
        return fail(STATUS_ARG, "data.split.val: got %g, expected a fraction from 0 to less than 1", o->split_val);
    split_by_hash(val, d, o->split_val, o->split_seed);
    for (int i = 0; i < d->n; i++) train[i] = !val[i];
    return ok();
}

struct status data_split(struct data *d, const struct data_options *o)
{
    size_t n = (size_t)d->n;
    bool *in[2] = {arena_alloc(&d->arena, n), arena_alloc(&d->arena, n)};
    TRY(mark(in[DATA_TRAIN], in[DATA_VAL], d, o));
    for (int p = 0; p < 2; p++) {
        d->part[p] = arena_alloc(&d->arena, n * sizeof *d->part[p]);
        for (int i = 0; i < d->n; i++) {
            if (in[p][i]) d->part[p][d->n_part[p]++] = i;
        }
    }
    return ok();
}

void data_epoch_order(int *out, const struct data *d, enum data_part part, int64_t seed, int64_t epoch)
{
    memcpy(out, d->part[part], (size_t)d->n_part[part] * sizeof *out);
    struct rng r = rng_key((uint64_t)seed, (uint64_t)epoch, hash_fnv1a("order", 5), 0);
    rng_shuffle(&r, out, (size_t)d->n_part[part]);
}
