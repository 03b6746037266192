/* Files of weights: whose names they carry, and which backbone they are of. What a project's own scheme becomes is the
 * families' matter (zoo_published_name); here is what gets wrapped around it. */
#include "registry.h"

const struct zoo_naming zoo_namings[] = {
    {.strip = "", .add = "", .what = "names as they are here"},
    {.strip = "", .add = "encoder.", .published = true, .what = "a backbone's file"},
    {.strip = "", .add = "", .published = true, .what = "a backbone's file"},
    {.strip = "encoder.", .add = "", .what = "the encoder of a segmentation_models_pytorch model"},
    {.strip = "model.", .add = "", .what = "Lightning, attribute `model`"},
    {.strip = "net.", .add = "", .what = "Lightning, attribute `net`"},
    {.strip = "module.", .add = "", .what = "DataParallel"},
    {.strip = "model.encoder.", .add = "", .what = "the encoder of a model in Lightning, attribute `model`"},
    {.strip = "net.encoder.", .add = "", .what = "the encoder of a model in Lightning, attribute `net`"},
    {.strip = "module.", .add = "encoder.", .published = true, .what = "a backbone's file, DataParallel"},
    {.strip = "module.", .add = "", .published = true, .what = "a backbone's file, DataParallel"},
    {.what = NULL},
};

const char *zoo_naming_apply(const struct zoo_naming *r, struct arena *a, const char *backbone, const char *name)
{
    size_t n = strlen(r->strip);
    if (strncmp(name, r->strip, n) != 0) return NULL;
    const char *rest = r->published ? zoo_published_name(a, backbone, name + n) : name + n;
    return rest && r->add[0] ? arena_printf(a, "%s%s", r->add, rest) : rest;
}

const struct zoo_naming *zoo_naming_of(const struct net *n, const char *backbone, const char *const *names,
                                       size_t n_names)
{
    const struct zoo_naming *best = zoo_namings;
    int most = -1, fewest = 0;
    for (const struct zoo_naming *r = zoo_namings; r->what; r++) {
        struct arena a = {0};
        int hits = 0, over = 0; /* over: a classifier's names, under a naming that does not know it */
        for (size_t i = 0; i < n_names; i++) {
            const char *name = zoo_naming_apply(r, &a, backbone, names[i]);
            bool hit = name && net_param_find(n, name) >= 0;
            hits += hit;
            over += name && !hit;
        }
        if (hits > most || (hits == most && over < fewest)) most = hits, fewest = over, best = r;
        arena_free(&a);
    }
    return best;
}

struct status zoo_encoder(struct net **out, const char *backbone)
{
    struct net *n = net_new();
    struct zoo_features f = zoo_encode(n, backbone, net_input(n, "input", 3, 256, 256), 5, 32);
    static const char *const names[ZOO_MAX_TAPS] = {"tap0", "tap1", "tap2", "tap3", "tap4", "tap5"};
    for (int i = f.plain_tap0; i < f.n; i++) net_output(n, names[i], f.tap[i]);
    struct status s = net_finish(n);
    if (s.code == STATUS_OK)
        *out = n;
    else
        net_free(n);
    return s;
}

/* ---- recognising ------------------------------------------------------------------------------------------------- */

/* How a file and one backbone agree. */
struct match {
    const char *backbone;
    const struct zoo_naming *naming;
    int found, missing, other; /* of the backbone's parameters; of another shape */
    int extra;                 /* names in the file that the backbone lacks */
    const char *first_missing, *first_other, *first_extra;
};

static bool same_shape(const struct net_param *p, const struct zoo_array *v)
{
    return p->shape.rank == v->rank && !memcmp(p->shape.d, v->shape, (size_t)v->rank * sizeof *v->shape);
}

/* Parts of a model that are not its encoder, and what else a checkpoint carries, are under other prefixes. */
static const char *name_in(const struct match *m, struct arena *a, const char *name)
{
    return zoo_naming_apply(m->naming, a, m->backbone, name);
}

/* @p at: where in the file each parameter is. */
static void locate(struct match *m, int *at, struct arena *a, const struct net *n, const struct zoo_array *v,
                   size_t n_v)
{
    for (size_t i = 0; i < n_v; i++) {
        const char *name = name_in(m, a, v[i].name);
        int p = name ? net_param_find(n, name) : -1;
        if (p >= 0)
            at[p] = (int)i;
        else if (name && !m->extra++)
            m->first_extra = v[i].name;
    }
}

static void compare(struct match *m, struct arena *a, const struct net *n, const struct zoo_array *v, size_t n_v)
{
    int *at = mem_alloc(((size_t)n->n_params + 1) * sizeof *at);
    bool *live = mem_zalloc((size_t)n->n_nodes);
    for (int i = 0; i < n->n_params; i++) at[i] = -1;
    net_live(n, live);
    locate(m, at, a, n, v, n_v);
    for (int i = 0; i < n->n_params; i++) {
        const struct net_param *p = &n->params[i];
        if (p->kind != NET_WEIGHT && p->kind != NET_BUFFER) continue;
        if (at[i] >= 0 && same_shape(p, &v[at[i]])) {
            m->found++;
        } else if (at[i] >= 0) {
            if (!m->other++) m->first_other = v[at[i]].name;
        } else if (live[p->owner]) {
            if (!m->missing++) m->first_missing = arena_strdup(a, p->name);
        }
    }
    free(live);
    free(at);
}

static struct status nothing_fits(const struct match *m)
{
    if (!m->backbone || m->found == 0)
        return fail(STATUS_ARG, "holds no backbone of the zoo: no array has the name and shape of one; "
                                "`sweep weights ls` lists what is known");
    return fail(STATUS_ARG,
                "fits no backbone of the zoo; nearest is %s, of which %d arrays fit, %d are missing (%s), %d have "
                "another shape (%s), and %d are not its own (%s)",
                m->backbone, m->found, m->missing, m->missing ? m->first_missing : "none", m->other,
                m->other ? m->first_other : "none", m->extra, m->extra ? m->first_extra : "none");
}

struct status zoo_recognise(struct zoo_recognised *out, struct arena *a, const struct zoo_array *v, size_t n_v)
{
    const char **names = arena_alloc(a, (n_v + 1) * sizeof *names);
    for (size_t i = 0; i < n_v; i++) names[i] = v[i].name;
    const char *const *all = zoo_backbone_names();
    struct match best = {0};
    bool fits = false;
    for (int b = 0; all[b] && !fits; b++) {
        struct net *n;
        TRY(zoo_encoder(&n, all[b]));
        struct match m = {.backbone = all[b], .naming = zoo_naming_of(n, all[b], names, n_v)};
        compare(&m, a, n, v, n_v);
        fits = m.found && !m.missing && !m.other && !m.extra;
        if (fits || m.found - m.missing - m.other - m.extra > best.found - best.missing - best.other - best.extra ||
            !best.backbone)
            best = m;
        net_free(n);
    }
    if (!fits) return nothing_fits(&best);
    *out = (struct zoo_recognised){.backbone = best.backbone, .naming = best.naming};
    out->names = arena_alloc(a, (n_v + 1) * sizeof *out->names);
    for (size_t i = 0; i < n_v; i++) {
        out->names[i] = name_in(&best, a, v[i].name);
        if (!out->names[i])
            out->n_left++;
        else if (strcmp(out->names[i], v[i].name) != 0)
            out->n_renamed++;
    }
    return ok();
}
