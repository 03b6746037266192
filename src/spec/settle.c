/* Axes against fixed keys and each other, and the order in which they take their turn. */
#include "load.h"

static bool axis_sets(const struct load_axis *x, const struct key *k)
{
    if (x->key) return x->key == k;
    for (int i = 0; i < x->axis.n; i++) {
        if (json_object_get(x->axis.values[i].value, k->path)) return true;
    }
    return false;
}

bool load_swept(const struct load *l, const struct key *k)
{
    for (int i = 0; i < l->n_axes; i++) {
        if (!l->axes[i].gone && axis_sets(&l->axes[i], k)) return true;
    }
    return false;
}

/* A key fixed by a later layer (--set seed=1) is varied no more. */
static void unsweep(struct load_axis *x, const struct key *k)
{
    for (int i = 0; !x->key && i < x->axis.n; i++) json_object_del(x->axis.values[i].value, k->path);
    if (x->key) x->gone = true;
}

static struct status settle(struct load *l, const struct key *k)
{
    const struct load_axis *first = NULL;
    const struct node *fixed = l->fixed[k - key_table].node;
    for (int i = 0; i < l->n_axes; i++) {
        struct load_axis *x = &l->axes[i];
        if (x->gone || !axis_sets(x, k)) continue;
        if (k->fixed)
            return node_fail(x->node, "%s: varied here, but all cells must have the same, or they would not compare",
                             k->path);
        if (fixed && l->fixed[k - key_table].layer > x->layer) {
            unsweep(x, k);
            continue;
        }
        if (fixed && l->fixed[k - key_table].layer == x->layer && !x->axis.when) {
            return node_fail(x->node, "%s: varied here and fixed at %s; keep one", k->path,
                             spec_mark_str(l->a, fixed->mark));
        }
        if (first) {
            return node_fail(x->node, "%s: varied here and at %s; keep one", k->path,
                             spec_mark_str(l->a, first->node->mark));
        }
        first = x;
    }
    return ok();
}

/* A condition is about what other axes or the file say, never about the axis itself. */
static bool waits_for(const struct load_axis *x, const struct load_axis *other)
{
    const char *path;
    json_t *v;
    json_object_foreach(x->axis.when, path, v)
    {
        if (axis_sets(other, key_find(path))) return true;
    }
    return false;
}

/* Each axis after those that its `when` names, else as written. */
static struct status order_axes(struct load *l)
{
    struct spec *s = l->s;
    struct load_axis **left = arena_alloc(l->a, (size_t)(l->n_axes + 1) * sizeof(struct load_axis *));
    int n = 0;
    for (int zip = 0; zip < 2; zip++) {
        for (int i = 0; i < l->n_axes; i++) {
            if (!l->axes[i].gone && l->axes[i].zip == (zip == 1)) left[n++] = &l->axes[i];
        }
    }
    s->order = arena_alloc(l->a, (size_t)(n + 1) * sizeof *s->order);
    while (n) {
        int next = -1;
        for (int i = 0; i < n && next < 0; i++) {
            bool free_of = true;
            for (int j = 0; j < n; j++) free_of = free_of && !waits_for(left[i], left[j]);
            if (free_of) next = i;
        }
        if (next < 0)
            return node_fail(left[0]->node, "%s: its `when` waits for itself: an axis whose condition comes back to it",
                             left[0]->axis.key);
        s->order[s->n_order++] = &left[next]->axis;
        memmove(left + next, left + next + 1, (size_t)(--n - next) * sizeof *left);
    }
    return ok();
}

static struct status check_intervals(const struct load *l)
{
    for (int i = 0; i < l->n_axes; i++) {
        const struct load_axis *x = &l->axes[i];
        if (x->gone || !x->axis.interval || l->s->sample.n) continue;
        return node_fail(x->node,
                         "%s: got an interval without end, which only `sample: N` draws from; expected "
                         "[low, high, n]",
                         x->axis.key);
    }
    return ok();
}

struct status load_finish_axes(struct load *l)
{
    struct spec *s = l->s;
    for (int i = 0; i < key_count; i++) NOTE(l, settle(l, &key_table[i]));
    NOTE(l, order_axes(l));
    NOTE(l, check_intervals(l));
    s->axes = arena_alloc(l->a, (size_t)(l->n_axes + 1) * sizeof *s->axes);
    s->zips = arena_alloc(l->a, (size_t)(l->n_axes + 1) * sizeof *s->zips);
    for (int i = 0; i < l->n_axes; i++) {
        const struct load_axis *x = &l->axes[i];
        if (x->gone) continue;
        if (x->zip) {
            s->zips[s->n_zips++] = x->axis;
        } else {
            s->axes[s->n_axes++] = x->axis;
        }
    }
    return ok();
}
