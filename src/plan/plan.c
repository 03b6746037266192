/* From files to the graph: every cell is resolved, keyed, joined with its equals and given its stages. */
#include "inside.h"
#include "zoo.h"

#define GROW(p, n, cap, x)                                                                                             \
    do {                                                                                                               \
        if ((n) == (cap)) {                                                                                            \
            (cap) = (cap) ? 2 * (cap) : 16;                                                                            \
            (p) = mem_realloc((p), sizeof *(p) * (size_t)(cap));                                                       \
        }                                                                                                              \
        (p)[(n)++] = (x);                                                                                              \
    } while (0)

void plan_warn(struct plan_build *b, const char *text)
{
    struct plan *p = b->plan;
    for (int i = 0; i < p->n_warnings; i++)
        if (strcmp(p->warnings[i], text) == 0) return;
    GROW(p->warnings, p->n_warnings, b->cap_warnings, text);
}

/* Joins a stage with its equal, or adds it. */
static int put_stage(struct plan_build *b, const struct plan_stage *g)
{
    struct plan *p = b->plan;
    json_t *known = json_object_get(b->stages, g->key);
    if (known) return (int)json_integer_value(known);
    GROW(p->stages, p->n_stages, b->cap_stages, *g);
    json_object_set_new(b->stages, g->key, json_integer(p->n_stages - 1));
    return p->n_stages - 1;
}

static void trial_adds(struct plan_trial *t, int stage)
{
    for (int i = 0; i < t->n_stages; i++)
        if (t->stages[i] == stage) return;
    GROW(t->stages, t->n_stages, t->cap_stages, stage);
}

static void stage_needs(struct plan_stage *g, int other)
{
    for (int i = 0; i < g->n_needs; i++)
        if (g->needs[i] == other) return;
    CHECK(g->n_needs < PLAN_MAX_NEEDS, "a stage with too many needs");
    g->needs[g->n_needs++] = other;
}

struct cell {
    struct plan_build *b;
    int trial;
    const json_t *config;
    const struct spec_trial *t;
    struct plan_load load;
    char part[PLAN_N_KINDS][PLAN_KEY];
};

/* One stage of the cell. @p from: the stages it reads from or waits for, -1 where there is none. */
/* A file of fewer bits has a quality of its own, and so what judges it. */
static bool evaluates_file(const char *format)
{
    const struct spec_format *f = spec_format_of(format);
    return f && f->runs && f->precision != SPEC_FP32;
}

static int cell_stage(struct cell *c, enum plan_kind kind, const char *format, const char *device, int from)
{
    struct plan *p = c->b->plan;
    struct plan_stage g = {.kind = kind, .format = format, .device = device, .trial = c->trial, .config = c->config};
    const char *keys[3];
    char quantised[PLAN_KEY];
    int n_keys = 0;
    if (from >= 0 && plan_kinds[kind].from) keys[n_keys++] = p->stages[from].key;
    if (kind == PLAN_EXPORT && spec_format_quantised(format) && plan_quantise_key(quantised, c->t))
        keys[n_keys++] = quantised;
    if (kind == PLAN_VERIFY && evaluates_file(format)) keys[n_keys++] = c->part[PLAN_EVALUATE];
    if (kind == PLAN_TRAIN)
        memcpy(g.key, c->part[kind], PLAN_KEY);
    else
        plan_key_of(g.key, c->part[kind], format, device, keys, n_keys);
    g.cost = plan_cost_of(kind, &c->load);
    for (int k = 0; k < PLAN_SECONDS; k++) g.est_s += g.cost.s[k];
    int i = put_stage(c->b, &g);
    if (from >= 0) stage_needs(&p->stages[i], from);
    trial_adds(&p->trials[c->trial], i);
    return i;
}

static void cell_stages(struct cell *c)
{
    const struct spec_trial *t = c->t;
    struct arena *a = &c->b->plan->arena;
    int screen = -1;
    if (t->gate.p50_ms > 0) screen = cell_stage(c, PLAN_SCREEN, "", arena_strdup(a, t->gate.device), -1);
    int train = cell_stage(c, PLAN_TRAIN, "", "", screen);
    cell_stage(c, PLAN_EVALUATE, "", "", train);
    cell_stage(c, PLAN_SAMPLES, "", "", train);
    for (int f = 0; f < t->export_formats.n; f++) {
        const char *format = t->export_formats.v[f];
        int made = cell_stage(c, PLAN_EXPORT, format, "", train);
        const struct spec_format *known = spec_format_of(format);
        cell_stage(c, PLAN_VERIFY, format, "", made);
        if (known && !known->runs) continue; /* nothing here can time it */
        for (int d = 0; d < t->devices.n; d++) cell_stage(c, PLAN_BENCH, format, t->devices.v[d], made);
    }
}

/* A trial that two files ask for, of which one wants it whole, is not stopped by the other's rule. */
static void keep_whole(struct plan_trial *known, const struct spec_trial *t, json_t *config)
{
    if (strcmp(t->prune.rule, "none") != 0 || strcmp(known->t.prune.rule, "none") == 0) return;
    known->t.prune = t->prune;
    json_decref(known->config);
    known->config = json_incref(config);
}

/* @p w may be NULL: a cell that belongs to no sweep. */
static struct status add_cell(struct plan_build *b, struct plan_sweep *w, const struct plan_point *pt)
{
    struct plan *p = b->plan;
    struct spec_trial t;
    TRY(spec_trial_from_json(&t, &p->arena, pt->flat, b->source));
    struct plan_content content = {0};
    struct plan_images images = {0};
    json_t *config = NULL;
    if (!b->trained) TRY(spec_note(b->mistakes, plan_images_of(&images, b, &t)));
    content.images = images.fingerprint;
    content.skipped = images.skipped;
    TRY(plan_resolve(&t, &config, &content, b));
    if (json_array_size(b->mistakes)) { /* what is missing is told of every cell; none becomes a trial */
        json_decref(config);
        return ok();
    }
    struct cell c = {.b = b, .config = config};
    plan_keys(c.part, b, config, &content);
    if (b->trained) snprintf(c.part[PLAN_TRAIN], PLAN_KEY, "%s", b->trained);
    char id[PLAN_ID];
    memcpy(id, c.part[PLAN_TRAIN], PLAN_ID - 1);
    id[PLAN_ID - 1] = 0;
    json_t *known = json_object_get(b->trials, id);
    struct status st = ok();
    if (!known) {
        struct plan_trial fresh = {.t = t, .config = json_incref(config), .content = content};
        memcpy(fresh.id, id, PLAN_ID);
        plan_loss_key(fresh.loss_key, b, config, content.loss_weights);
        st = plan_size_of(&fresh.size, &fresh.refused, b, &t);
        GROW(p->trials, p->n_trials, b->cap_trials, fresh);
        json_object_set_new(b->trials, id, json_integer(p->n_trials - 1));
    }
    if (known) keep_whole(&p->trials[json_integer_value(known)], &t, config);
    c.trial = known ? (int)json_integer_value(known) : p->n_trials - 1;
    c.t = &t;
    c.load = (struct plan_load){
        .t = &t, .net = p->trials[c.trial].size, .loss = plan_loss_size(b, &t), .images = images, .cores = b->cores};
    if (w)
        w->cells[w->n_cells++] =
            (struct plan_cell){.trial = c.trial, .duplicate = known != NULL, .axes = json_incref(pt->axes)};
    /* The stages keep the configuration of the cell that asked for them: the plan holds one reference more. */
    json_array_append_new(b->configs, config);
    if (st.code == STATUS_OK && !p->trials[c.trial].refused) cell_stages(&c);
    return st;
}

/* Cells trained by different losses can only be ranked by a metric that no axis changes. */
static void check_rank(struct plan_build *b, const struct plan_sweep *w)
{
    const struct spec_metric *m = spec_metric_of(w->rank);
    if (!m || m->axis_free) return;
    for (int i = 1; i < w->n_cells; i++) {
        const struct plan_trial *x = &b->plan->trials[w->cells[0].trial], *y = &b->plan->trials[w->cells[i].trial];
        if (strcmp(x->loss_key, y->loss_key) == 0) continue;
        plan_warn(
            b, arena_printf(&b->plan->arena,
                            "%s: evaluate.rank is %s, but its cells are trained by different losses, whose values do "
                            "not compare; rank by feature_distance or ssim",
                            w->path, w->rank));
        return;
    }
}

/* What each rule excludes, for people; a rule that is about no cell at all may be a mistake. */
static void tell_rules(struct plan_build *b, struct plan_sweep *w, const struct plan_cells *cells)
{
    const struct spec *s = b->spec;
    struct arena *a = &b->plan->arena;
    w->n_excluded = cells->n_excluded;
    w->excluded = arena_alloc(a, sizeof *w->excluded * (size_t)(s->n_rules + 1));
    for (int i = 0; i <= s->n_rules; i++) {
        bool last = i == s->n_rules;
        if (last ? !cells->excluded[i] : s->rules[i].include) continue;
        char *text = last ? NULL : json_dumps(s->rules[i].match, 0);
        struct plan_excluded x = {.where = last ? w->path : spec_mark_str(a, s->rules[i].mark),
                                  .rule = arena_strdup(a, last ? "no include has them" : text),
                                  .n = cells->excluded[i]};
        free(text);
        w->excluded[w->n_rules++] = x;
        if (!x.n && !s->sample.n) plan_warn(b, arena_printf(a, "%s: exclude: %s matches no cell", x.where, x.rule));
    }
    if (s->sample.n > cells->n_drawn && s->sample.n)
        plan_warn(b, arena_printf(a, "%s: sample: got %d of the %d cells asked for: further draws found no other",
                                  spec_mark_str(a, s->sample.mark), cells->n_drawn, s->sample.n));
}

enum { ENOUGH_CELLS = 1000 }; /* to say what they lack */

static struct status add_sweep(struct plan_build *b, const char *path)
{
    struct plan *p = b->plan;
    const struct spec *s = b->spec;
    for (int i = 0; i < p->n_sweeps; i++)
        if (strcmp(p->sweeps[i].name, s->name) == 0)
            return fail(STATUS_ARG, "%s: name: \"%s\" is also the name of %s; give each file its own", path, s->name,
                        p->sweeps[i].path);
    struct plan_cells cells;
    struct status st = plan_expand(&cells, s, &p->arena, b->mistakes);
    if (st.code == STATUS_OK && json_array_size(b->mistakes)) {
        st = plan_look_around(b);
    } else if (st.code == STATUS_OK && cells.n == 0) {
        st = fail(STATUS_ARG, "%s: no cell is left: all %d are excluded by its rules", path, cells.n_excluded);
    } else if (st.code == STATUS_OK) {
        struct plan_sweep *w = &p->sweeps[p->n_sweeps++];
        *w = (struct plan_sweep){.name = arena_strdup(&p->arena, s->name),
                                 .path = arena_strdup(&p->arena, path),
                                 .rank = "",
                                 .spec = spec_to_json(s),
                                 .slurm = spec_slurm_copy(&p->arena, &s->slurm),
                                 .cells = arena_alloc(&p->arena, sizeof(struct plan_cell) * (size_t)cells.n)};
        tell_rules(b, w, &cells);
        for (int i = 0; i < cells.n && st.code == STATUS_OK; i++) {
            if (i >= ENOUGH_CELLS && json_array_size(b->mistakes)) break;
            st = spec_note(b->mistakes, add_cell(b, w, &cells.v[i]));
        }
        if (st.code == STATUS_OK) st = spec_note(b->mistakes, plan_rank(&w->rank, b, s));
        if (st.code == STATUS_OK) check_rank(b, w);
    }
    plan_cells_free(&cells);
    return st;
}

static struct status add_file(struct plan_build *b, const char *path, const struct plan_options *o)
{
    struct spec *s;
    TRY(spec_note(b->mistakes, spec_load_all(&s, path, o->sets, o->n_sets, b->mistakes)));
    if (!s) return ok(); /* not YAML from some line on */
    b->spec = s;
    b->source = path;
    struct status st = plan_check_names(s, &b->plan->arena, b->mistakes);
    if (st.code == STATUS_OK) st = add_sweep(b, path);
    spec_free(s);
    b->spec = NULL;
    return st;
}

static int by_kind(const void *a, const void *b, void *ctx)
{
    const struct plan_stage *stages = ctx, *x = &stages[*(const int *)a], *y = &stages[*(const int *)b];
    return x->kind != y->kind ? (x->kind > y->kind) - (x->kind < y->kind) : *(const int *)a - *(const int *)b;
}

static struct plan *plan_new(const char *weights_dir)
{
    struct plan *p = mem_zalloc(sizeof *p);
    struct plan_build *b = p->build = mem_zalloc(sizeof *b);
    *b = (struct plan_build){.plan = p,
                             .weights_dir = weights_dir ? weights_dir : "weights",
                             .precision = plan_precision(),
                             .cores = cores_usable(),
                             .trials = json_object(),
                             .stages = json_object(),
                             .sizes = json_object(),
                             .images = json_object(),
                             .files = json_object(),
                             .losses = json_object(),
                             .configs = json_array()};
    plan_keys_init(b);
    return p;
}

/* Hands the plan over, or drops it after a failure. */
static struct status deliver(struct plan **out, struct plan *p, struct status st)
{
    for (int i = 0; i < p->n_trials; i++)
        if (p->trials[i].n_stages)
            qsort_r(p->trials[i].stages, (size_t)p->trials[i].n_stages, sizeof(int), by_kind, p->stages);
    if (st.code != STATUS_OK) {
        plan_free(p);
        p = NULL;
    }
    *out = p;
    return st;
}

/* The place that a message begins with: "FILE:LINE:COLUMN: "; false without one. */
static bool place_of(size_t *file, int *line, int *column, const char *msg)
{
    for (const char *c = strchr(msg, ':'); c; c = strchr(c + 1, ':')) {
        *file = (size_t)(c - msg);
        int n = 0;
        if (sscanf(c, ":%d:%d: %n", line, column, &n) == 2 && n) return true;
    }
    return false;
}

/* True for two places of one file that are not in order. */
static bool out_of_order(const char *before, const char *msg)
{
    size_t file[2];
    int line[2], column[2];
    if (!place_of(&file[0], &line[0], &column[0], before) || !place_of(&file[1], &line[1], &column[1], msg))
        return false;
    if (file[0] != file[1] || strncmp(before, msg, file[0]) != 0) return false;
    return line[0] != line[1] ? line[0] > line[1] : column[0] > column[1];
}

static const char *mistake(const json_t *mistakes, size_t i)
{
    return json_string_value(json_array_get(mistakes, i));
}

/* They were found in several passes, and are read in the file's order. The last stands for all. */
static struct status sum_up(json_t *mistakes, struct status st)
{
    size_t n = json_array_size(mistakes);
    for (size_t i = 1; i < n; i++) {
        size_t to = i;
        while (to && out_of_order(mistake(mistakes, to - 1), mistake(mistakes, i))) to--;
        json_t *moved = json_incref(json_array_get(mistakes, i));
        json_array_remove(mistakes, i);
        json_array_insert_new(mistakes, to, moved);
    }
    if (st.code == STATUS_OK && n) return fail(STATUS_ARG, "%s", mistake(mistakes, n - 1));
    json_t *text = st.code == STATUS_OK ? NULL : json_string(st.msg);
    if (text && mistakes) json_array_append(mistakes, text);
    json_decref(text);
    return st;
}

struct status plan_load(struct plan **out, const struct plan_options *o)
{
    struct plan *p = plan_new(o->weights_dir);
    p->build->mistakes = o->mistakes;
    if (o->precision) p->build->precision = o->precision;
    p->build->cache = o->cache;
    p->sweeps = arena_alloc(&p->arena, sizeof *p->sweeps * (size_t)(o->n_files + 1));
    struct status st = ok();
    for (int i = 0; i < o->n_files && st.code == STATUS_OK; i++) st = add_file(p->build, o->files[i], o);
    return deliver(out, p, sum_up(o->mistakes, st));
}

struct status plan_of_configs(struct plan **out, const json_t *const *configs, const char *const *where, int n,
                              const char *cache)
{
    struct plan *p = plan_new(NULL);
    p->build->cache = cache;
    struct status st = ok();
    for (int i = 0; i < n && st.code == STATUS_OK; i++) {
        struct plan_point point = {.flat = json_incref((json_t *)(uintptr_t)configs[i])};
        p->build->source = where[i];
        st = add_cell(p->build, NULL, &point);
        json_decref(point.flat);
    }
    return deliver(out, p, st);
}

struct status plan_of_trained(struct plan **out, const json_t *config, const char *where, const char *train_key)
{
    struct plan *p = plan_new(NULL);
    struct plan_point point = {.flat = json_incref((json_t *)(uintptr_t)config)};
    p->build->source = where;
    p->build->trained = train_key;
    struct status st = add_cell(p->build, NULL, &point);
    json_decref(point.flat);
    return deliver(out, p, st);
}

struct status plan_of_config(struct plan **out, const json_t *config, const char *where, const char *cache)
{
    return plan_of_configs(out, &config, &where, 1, cache);
}

void plan_free(struct plan *p)
{
    if (!p) return;
    for (int i = 0; i < p->n_sweeps; i++) {
        json_decref(p->sweeps[i].spec);
        for (int k = 0; k < p->sweeps[i].n_cells; k++) json_decref(p->sweeps[i].cells[k].axes);
    }
    for (int i = 0; i < p->n_trials; i++) {
        json_decref(p->trials[i].config);
        free(p->trials[i].stages);
    }
    struct plan_build *b = p->build;
    json_t *caches[] = {b->trials, b->stages, b->sizes, b->images, b->files, b->losses, b->configs};
    for (size_t i = 0; i < LEN(caches); i++) json_decref(caches[i]);
    spec_before_free(&b->before);
    plan_keys_free(b);
    free(b);
    free(p->trials);
    free(p->stages);
    free(p->warnings);
    arena_free(&p->arena);
    free(p);
}

int plan_find(const struct plan *p, int trial, enum plan_kind kind)
{
    const struct plan_trial *t = &p->trials[trial];
    for (int i = 0; i < t->n_stages; i++)
        if (p->stages[t->stages[i]].kind == kind) return t->stages[i];
    return -1;
}
