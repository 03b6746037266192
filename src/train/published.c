/* Files of published weights into a model or a loss network. Keys may carry a wrapper's prefix, name the encoder alone,
 * or follow the scheme of the project that published them, which the zoo knows. */
#include "parts.h"
#include "zoo.h"

/* What becomes of each of a file's names. The row with the most hits is used. */
static const struct renaming {
    const char *strip, *add;
    bool published; /* what is left is a name of a backbone's published file */
} renamings[] = {
    {.strip = "", .add = ""},
    {.strip = "", .add = "encoder.", .published = true}, /* a backbone's file into a model */
    {.strip = "", .add = "", .published = true},         /* the same into a loss network */
    {.strip = "encoder.", .add = ""},                    /* a model's file into a loss network */
    {.strip = "model.", .add = ""},                      /* Lightning */
    {.strip = "module.", .add = ""},                     /* DataParallel */
    {.strip = "model.encoder.", .add = ""},
};

static const char *renamed(struct arena *a, const char *name, const struct renaming *r, const char *backbone)
{
    size_t n = strlen(r->strip);
    if (strncmp(name, r->strip, n) != 0) return NULL;
    const char *rest = r->published ? zoo_published_name(a, backbone, name + n) : name + n;
    return rest && r->add[0] ? arena_printf(a, "%s%s", r->add, rest) : rest;
}

static int hits(const struct weights *w, const struct net *n, const struct renaming *r, const char *backbone)
{
    int count = 0;
    struct arena a = {0};
    for (size_t i = 0; i < w->n; i++) {
        const char *name = renamed(&a, w->a[i].name, r, backbone);
        if (name && net_param_find(n, name) >= 0) count++;
    }
    arena_free(&a);
    return count;
}

/** The file's arrays under the net's names; borrows from @p w, new names in @p a. */
static struct weights view_of(const struct weights *w, const struct net *n, struct arena *a, const char *backbone,
                              const struct renaming **used)
{
    int most = -1;
    for (size_t i = 0; i < LEN(renamings); i++) {
        int h = hits(w, n, &renamings[i], backbone);
        if (h > most) most = h, *used = &renamings[i];
    }
    struct weights v = {.a = arena_alloc(a, (w->n + 1) * sizeof *v.a)};
    for (size_t i = 0; i < w->n; i++) {
        const char *name = renamed(a, w->a[i].name, *used, backbone);
        if (!name) continue;
        v.a[v.n] = w->a[i];
        v.a[v.n++].name = name;
    }
    return v;
}

/** First parameter under @p prefix that the file lacks, NULL when it has all. */
static const char *lacking(const struct net *n, const struct weights *v, const char *prefix)
{
    bool *live = mem_zalloc((size_t)n->n_nodes);
    net_live(n, live);
    const char *found = NULL;
    for (int i = 0; i < n->n_params && !found; i++) {
        const struct net_param *p = &n->params[i];
        bool wanted = (p->kind == NET_WEIGHT || p->kind == NET_BUFFER) && live[p->owner];
        if (wanted && strncmp(p->name, prefix, strlen(prefix)) == 0 && !weights_find(v, p->name)) found = p->name;
    }
    free(live);
    return found;
}

struct status load_model_file(struct exec *e, const struct train_job *job, const char *path)
{
    struct weights w;
    struct status loaded = weights_load(&w, path);
    if (loaded.code != STATUS_OK) return status_at(loaded, "model.weights");
    struct arena a = {0};
    const struct renaming *used = NULL;
    struct weights v = view_of(&w, exec_net(e), &a, job->trial->model.backbone, &used);
    struct exec_match m = {0};
    bool whole = strncmp(used->add, "encoder.", strlen("encoder.")) != 0;
    struct status s = exec_load(e, &v, whole && job->trial->model.strict, &m);
    const char *miss = whole ? NULL : lacking(exec_net(e), &v, "encoder.");
    if (s.code == STATUS_OK && job->trial->model.strict && (miss || m.reshaped || m.unexpected))
        s = fail(STATUS_ARG,
                 "does not fit the encoder: missing %s, unexpected %s, other shape %s; model.strict: false "
                 "loads what fits",
                 miss ? miss : "none", m.unexpected ? m.unexpected_names : "none",
                 m.reshaped ? m.reshaped_names : "none");
    if (s.code == STATUS_OK)
        train_emit(job, "info", "{s:{s:i, s:i, s:i}}", "values", "weights_bound", m.bound, "weights_missing", m.missing,
                   "weights_unexpected", m.unexpected);
    arena_free(&a);
    weights_free(&w);
    return status_at(s, "model.weights: %s", path);
}

struct status load_loss_file(struct exec *e, const char *network, const char *path)
{
    struct weights w;
    struct status loaded = weights_load(&w, path);
    if (loaded.code != STATUS_OK) return status_at(loaded, "loss.weights");
    struct arena a = {0};
    const struct renaming *used = NULL;
    struct weights v = view_of(&w, exec_net(e), &a, network, &used);
    struct exec_match m = {0};
    struct status s = exec_load(e, &v, false, &m);
    const char *miss = lacking(exec_net(e), &v, "");
    if (s.code == STATUS_OK && (miss || m.reshaped))
        s = fail(STATUS_ARG, "is no file of this loss network: missing %s, other shape %s", miss ? miss : "none",
                 m.reshaped ? m.reshaped_names : "none");
    arena_free(&a);
    weights_free(&w);
    return status_at(s, "loss.weights: %s", path);
}
