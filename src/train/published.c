/* Files of published weights into a model or a loss network. Keys may carry a wrapper's prefix, name the encoder alone,
 * or follow the scheme of the project that published them, which the zoo knows. */
#include "parts.h"
#include "zoo.h"

/** The file's arrays under the net's names; borrows from @p w, new names in @p a. */
static struct weights view_of(const struct weights *w, const struct net *n, struct arena *a, const char *backbone,
                              const struct zoo_naming **used)
{
    const char **names = arena_alloc(a, (w->n + 1) * sizeof *names);
    for (size_t i = 0; i < w->n; i++) names[i] = w->a[i].name;
    *used = zoo_naming_of(n, backbone, names, w->n);
    struct weights v = {.a = arena_alloc(a, (w->n + 1) * sizeof *v.a)};
    for (size_t i = 0; i < w->n; i++) {
        const char *name = zoo_naming_apply(*used, a, backbone, names[i]);
        if (!name) continue;
        v.a[v.n] = w->a[i];
        v.a[v.n++].name = name;
    }
    return v;
}

/** A first convolution made for RGB, for @p channels: their sum for one, else each in turn, so that the sum over all
 *  inputs stays what it was. */
static void take_channels(struct weights_array *v, struct arena *a, int64_t channels)
{
    size_t area = (size_t)(v->shape[2] * v->shape[3]), out = (size_t)v->shape[0], to = (size_t)channels;
    float *rgb = arena_alloc(a, out * 3 * area * sizeof *rgb), *made = arena_alloc(a, out * to * area * sizeof *made);
    weights_to_f32(v, rgb);
    for (size_t o = 0; o < out; o++)
        for (size_t c = 0; c < to; c++)
            for (size_t i = 0; i < area; i++) {
                const float *p = rgb + o * 3 * area + i;
                made[(o * to + c) * area + i] =
                    to == 1 ? p[0] + p[area] + p[2 * area] : p[c % 3 * area] * 3 / (float)to;
            }
    v->shape[1] = channels;
    v->dtype = WEIGHTS_F32;
    v->data = made;
    v->bytes = out * to * area * sizeof *made;
}

/** Makes a backbone's file, which is for RGB and of full depth, one for this net. */
static struct status fit_backbone(struct weights *v, struct arena *a, const struct net *n, const char *backbone)
{
    struct net *whole;
    TRY(zoo_encoder(&whole, backbone));
    size_t kept = 0;
    for (size_t i = 0; i < v->n; i++) {
        struct weights_array *x = &v->a[i];
        int p = net_param_find(n, x->name);
        if (p >= 0 && x->rank == 4 && x->shape[1] == 3 && n->params[p].shape.d[1] != 3)
            take_channels(x, a, n->params[p].shape.d[1]);
        bool deeper = p < 0 && net_param_find(whole, x->name + strlen("encoder.")) >= 0;
        if (!deeper) v->a[kept++] = *x;
    }
    v->n = kept;
    net_free(whole);
    return ok();
}

/** Parameters under @p prefix that something depends on and the file lacks: how many, and the first few names. */
static int lacking(struct str *names, const struct net *n, const struct weights *v, const char *prefix)
{
    bool *live = mem_zalloc((size_t)n->n_nodes);
    net_live(n, live);
    int count = 0;
    for (int i = 0; i < n->n_params; i++) {
        const struct net_param *p = &n->params[i];
        bool wanted = (p->kind == NET_WEIGHT || p->kind == NET_BUFFER) && live[p->owner];
        if (!wanted || strncmp(p->name, prefix, strlen(prefix)) != 0 || weights_find(v, p->name)) continue;
        if (count++ < 4) str_addf(names, "%s%s", count > 1 ? ", " : "", p->name);
    }
    if (count > 4) str_add(names, ", ...");
    free(live);
    return count;
}

/** Everything that is not as it should be, in one message. */
static struct status misfit(const char *what, const struct str *missing, const struct exec_match *m, const char *remedy)
{
    return fail(STATUS_ARG, "%s: missing %s, unexpected %s, other shape %s%s", what, missing->n ? missing->s : "none",
                m->unexpected ? m->unexpected_names : "none", m->reshaped ? m->reshaped_names : "none", remedy);
}

struct status load_model_file(struct exec *e, const struct train_job *job, const char *key, const char *path)
{
    struct weights w;
    struct status loaded = weights_load(&w, path);
    if (loaded.code != STATUS_OK) return status_at(loaded, "%s", key);
    struct arena a = {0};
    const char *backbone = job->trial->model.backbone;
    const struct zoo_naming *used = NULL;
    struct weights v = view_of(&w, exec_net(e), &a, backbone, &used);
    struct exec_match m = {0};
    bool whole = !used->add[0], init = strcmp(key, "model.init") == 0;
    struct status s = weights_check_numbers(v.a, v.n);
    if (s.code == STATUS_OK && init && !whole)
        s = fail(STATUS_ARG, "holds an encoder alone, expected a whole net; name it by model.weights");
    if (whole && !init)
        log_warn("model.weights: %s holds a whole net, and all of it is taken; model.init: FILE says that, and "
                 "model.weights means the encoder (`sweep weights import` takes that out)",
                 path);
    if (s.code == STATUS_OK && !whole) s = fit_backbone(&v, &a, exec_net(e), backbone);
    if (s.code == STATUS_OK) s = exec_load(e, &v, whole && job->trial->model.strict, &m);
    struct str missing = {0};
    int miss = whole ? 0 : lacking(&missing, exec_net(e), &v, "encoder.");
    if (s.code == STATUS_OK && job->trial->model.strict && (miss || m.reshaped || m.unexpected))
        s = misfit("does not fit the encoder", &missing, &m, "; model.strict: false loads what fits");
    if (s.code == STATUS_OK)
        train_emit(job, "info", "{s:{s:i, s:i, s:i}}", "values", "weights_bound", m.bound, "weights_missing", m.missing,
                   "weights_unexpected", m.unexpected);
    str_free(&missing);
    arena_free(&a);
    weights_free(&w);
    return status_at(s, "%s: %s", key, path);
}

struct status load_loss_file(struct exec *e, const char *key, const char *network, const char *path)
{
    struct weights w;
    struct status loaded = weights_load(&w, path);
    if (loaded.code != STATUS_OK) return status_at(loaded, "%s", key);
    struct arena a = {0};
    const struct zoo_naming *used = NULL;
    struct weights v = view_of(&w, exec_net(e), &a, network, &used);
    struct exec_match m = {0};
    struct status s = weights_check_numbers(v.a, v.n);
    if (s.code == STATUS_OK) s = exec_load(e, &v, false, &m);
    struct str missing = {0};
    m.unexpected = 0; /* stages that nothing looks at */
    if (s.code == STATUS_OK && (lacking(&missing, exec_net(e), &v, "") || m.reshaped))
        s = misfit("is no file of this network", &missing, &m, "");
    str_free(&missing);
    arena_free(&a);
    weights_free(&w);
    return status_at(s, "%s: %s", key, path);
}
