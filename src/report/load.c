/* The store's rows of one sweep, ranked. */
#include "inside.h"

/* JSON members as numbers; null is NAN. */
static double num(const json_t *row, const char *key)
{
    return json_num(row, key, (double)NAN);
}

bool better(const struct report *r, double a, double b)
{
    if (isnan(a) || isnan(b)) return !isnan(a);
    return r->rank->higher_is_better ? a > b : a < b;
}

const struct baseline *baseline_of(const struct report *r, const struct cell *c)
{
    static const struct baseline unknown = {.identity = (double)NAN, .untrained = (double)NAN};
    for (int i = 0; i < r->n_baselines; i++)
        if (r->baselines[i].height == c->height && r->baselines[i].width == c->width) return &r->baselines[i];
    return &unknown;
}

bool beats_input(const struct report *r, const struct cell *c, double quality)
{
    double input = baseline_of(r, c)->identity;
    return isnan(quality) || isnan(input) || better(r, quality, input);
}

static struct report *sorting; /* qsort has no context; reports are written by one thread */

static int64_t pixels(const struct cell *c)
{
    return (int64_t)c->height * c->width;
}

bool same_size(const struct cell *a, const struct cell *b)
{
    return a->height == b->height && a->width == b->width;
}

/* Pictures of several sizes are other pictures: each size by itself, the smallest first. */
static int by_quality(const void *pa, const void *pb)
{
    const struct cell *a = pa, *b = pb;
    bool ranked = !isnan(a->quality) && !isnan(b->quality);
    if (ranked && pixels(a) != pixels(b)) return pixels(a) < pixels(b) ? -1 : 1;
    if (better(sorting, a->quality, b->quality)) return -1;
    if (better(sorting, b->quality, a->quality)) return 1;
    return (a->ordinal > b->ordinal) - (a->ordinal < b->ordinal);
}

/* Short text of an axis value: strings bare, the rest as JSON. */
static void add_value(struct str *out, const json_t *v)
{
    if (json_is_string(v)) {
        str_add(out, json_string_value(v));
        return;
    }
    char *s = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    str_add(out, s ? s : "?");
    free(s);
}

/* Every trial has an architecture and a backbone; the other axes are said where the sweep has them. */
static const char *label_of(struct report *r, const struct cell *c, const json_t *axes, bool with_seed)
{
    struct str s = {0};
    str_addf(&s, "%s / %s", c->arch, c->backbone);
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)axes, key, v)
    {
        bool seed = !strcmp(key, "seed");
        if (!strcmp(key, "model.arch") || !strcmp(key, "model.backbone") || (seed && !with_seed)) continue;
        const char *dot = strrchr(key, '.');
        str_addf(&s, ", %s ", dot ? dot + 1 : key);
        add_value(&s, v);
    }
    const char *out = arena_strdup(&r->arena, s.s);
    str_free(&s);
    return out;
}

static void cell_from(struct report *r, struct cell *c, const json_t *row)
{
    struct arena *a = &r->arena;
    *c = (struct cell){
        .id = arena_strdup(a, json_str(row, "trial", "")),
        .arch = arena_strdup(a, json_str(row, "arch", "")),
        .backbone = arena_strdup(a, json_str(row, "backbone", "")),
        .state = arena_strdup(a, json_str(row, "state", "")),
        .reason = arena_strdup(a, json_str(row, "reason", "")),
        .loss_key = arena_strdup(a, json_str(row, "loss_key", "")),
        .height = (int)json_int(row, "height", 0),
        .width = (int)json_int(row, "width", 0),
        .seed = (int)json_int(row, "seed", 0),
        .ordinal = (int)json_int(row, "ordinal", 0),
        .quality = num(row, "quality"),
        .ssim = num(row, "ssim"),
        .ms_ssim = num(row, "ms_ssim"),
        .psnr = num(row, "psnr"),
        .l1 = num(row, "l1"),
        .val_loss = num(row, "val_loss"),
        .feature_distance = num(row, "feature_distance"),
        .style_distance = num(row, "style_distance"),
        .kid = num(row, "kid"),
        .p50_ms = num(row, "p50_ms"),
        .p90_ms = num(row, "p90_ms"),
        .fps = num(row, "fps"),
        .params = num(row, "params"),
        .macs = num(row, "macs"),
        .train_s = num(row, "train_s"),
    };
    json_t *axes = NULL;
    const char *text = json_str(row, "axes", "{}");
    if (json_parse(&axes, "axes", text, strlen(text)).code != STATUS_OK) axes = json_object();
    c->label = label_of(r, c, axes, true);
    c->family = label_of(r, c, axes, false);
    json_decref(axes);
}

/* Of trials of no one sweep: what the latest one was ordered by. */
static struct status latest_rank(const char **out, struct report *r)
{
    json_t *rows;
    TRY(store_rows(&rows, r->store, "SELECT rank FROM sweeps ORDER BY updated DESC LIMIT 1", NULL));
    *out = arena_strdup(&r->arena, json_str(json_array_get(rows, 0), "rank", "ssim"));
    json_decref(rows);
    return ok();
}

struct status report_find(struct report *r)
{
    const char *rank;
    r->title = "all trials";
    TRY(latest_rank(&rank, r));
    if (r->o->sweep) {
        json_t *rows, *params = json_pack("[s]", r->o->sweep);
        struct status s = store_rows(&rows, r->store, "SELECT id, name, rank FROM sweeps WHERE name = ?1", params);
        json_decref(params);
        TRY(s);
        const json_t *row = json_array_get(rows, 0);
        if (!row) {
            json_decref(rows);
            TRY(store_rows(&rows, r->store, "SELECT group_concat(name, ', ') AS names FROM sweeps", NULL));
            struct status none = fail(STATUS_ARG, "report: no sweep is called %s; the database has: %s", r->o->sweep,
                                      json_str(json_array_get(rows, 0), "names", "none yet (sweep run FILE first)"));
            json_decref(rows);
            return none;
        }
        r->sweep = json_int(row, "id", 0);
        r->title = arena_strdup(&r->arena, json_str(row, "name", ""));
        rank = arena_strdup(&r->arena, json_str(row, "rank", rank));
        json_decref(rows);
    }
    r->rank = r->o->metric(rank);
    return r->rank ? ok() : fail(STATUS_ARG, "report: sweep %s ranks by %s, which is no metric", r->title, rank);
}

static void count_sizes(struct report *r)
{
    for (int i = 0; i < r->n_families; i++)
        r->n_sizes += !i || !same_size(r->families[i].best, r->families[i - 1].best); /* they are sorted by size */
}

static void count_losses(struct report *r)
{
    for (int i = 0; i < r->n_cells; i++) {
        bool seen = isnan(r->cells[i].quality);
        for (int j = 0; j < i && !seen; j++)
            seen = !isnan(r->cells[j].quality) && !strcmp(r->cells[i].loss_key, r->cells[j].loss_key);
        r->n_losses += !seen;
    }
}

static int by_mean(const void *pa, const void *pb)
{
    const struct family *a = pa, *b = pb;
    if (pixels(a->best) != pixels(b->best)) return pixels(a->best) < pixels(b->best) ? -1 : 1;
    if (a->mean != b->mean) return better(sorting, a->mean, b->mean) ? -1 : 1;
    return strcmp(a->label, b->label);
}

/* Each cell knows its family by pointer from here on. */
static void link_cells(struct report *r)
{
    json_t *index = json_object();
    for (int i = 0; i < r->n_families; i++) json_object_set_new(index, r->families[i].label, json_integer(i));
    for (int k = 0; k < r->n_cells; k++)
        r->cells[k].of = isnan(r->cells[k].quality) ? NULL : &r->families[json_int(index, r->cells[k].family, 0)];
    json_decref(index);
}

static void load_families(struct report *r)
{
    struct family *f = arena_alloc(&r->arena, (size_t)r->n_cells * sizeof *f + 1);
    int n = 0;
    for (int i = 0; i < r->n_cells; i++) {
        const struct cell *c = &r->cells[i];
        if (isnan(c->quality)) continue;
        int k = 0;
        while (k < n && strcmp(f[k].label, c->family) != 0) k++;
        if (k < n) continue;
        f[n++] = (struct family){.label = c->family, .best = c};
        double sum = 0, ms = 0, squares = 0;
        int count = 0, timed = 0;
        for (int j = i; j < r->n_cells; j++) {
            const struct cell *d = &r->cells[j];
            if (isnan(d->quality) || strcmp(d->family, c->family) != 0) continue;
            sum += d->quality, count++;
            if (!isnan(d->p50_ms)) ms += d->p50_ms, timed++;
        }
        for (int j = i; j < r->n_cells; j++) {
            const struct cell *d = &r->cells[j];
            if (!isnan(d->quality) && !strcmp(d->family, c->family)) squares += pow(d->quality - sum / count, 2);
        }
        f[k].n = count;
        f[k].mean = sum / count;
        f[k].spread = count > 1 ? sqrt(squares / (count - 1)) : (double)NAN;
        f[k].p50_ms = timed ? ms / timed : (double)NAN;
    }
    for (int i = 0; i < n; i++) r->n_seeded += f[i].n > 1;
    qsort(f, (size_t)n, sizeof *f, by_mean);
    r->families = f;
    r->n_families = n;
    link_cells(r);
}

static struct status load_baselines(struct report *r)
{
    json_t *rows;
    char sql[700];
    snprintf(sql, sizeof sql,
             "SELECT t.height, t.width, avg(CASE m.name WHEN 'identity_%s' THEN m.value END) AS identity,"
             " avg(CASE m.name WHEN 'untrained_%s' THEN m.value END) AS untrained FROM final_metrics m"
             " JOIN trials t ON t.id = m.trial"
             " WHERE (?1 = 0 OR m.trial IN (SELECT trial FROM sweep_trials WHERE sweep = ?1))"
             " GROUP BY t.height, t.width ORDER BY t.height * t.width",
             r->rank->name, r->rank->name);
    json_t *params = json_pack("[I]", (json_int_t)r->sweep);
    struct status s = store_rows(&rows, r->store, sql, params);
    json_decref(params);
    TRY(s);
    r->n_baselines = (int)json_array_size(rows);
    r->baselines = arena_alloc(&r->arena, (size_t)r->n_baselines * sizeof *r->baselines + 1);
    for (int i = 0; i < r->n_baselines; i++) {
        const json_t *row = json_array_get(rows, (size_t)i);
        r->baselines[i] = (struct baseline){.height = (int)json_int(row, "height", 0),
                                            .width = (int)json_int(row, "width", 0),
                                            .identity = num(row, "identity"),
                                            .untrained = num(row, "untrained")};
    }
    json_decref(rows);
    return ok();
}

/* Cells that may be the best one, as far as can be told. */
static void mark_like_best(struct report *r)
{
    for (int i = 1; i < r->n_families; i++) {
        const struct cell *best = r->families[0].best, *other = r->families[i].best;
        bool same_size = best->height == other->height && best->width == other->width;
        r->families[i].like_best = same_size && ties(r, &r->families[0], &r->families[i]);
    }
}

struct status report_load(struct report *r)
{
    json_t *rows, *params = json_pack("[Is]", (json_int_t)r->sweep, r->rank->name);
    struct status s = store_rows(
        &rows, r->store,
        "SELECT r.*, st.ordinal, coalesce(st.axes, json_object('seed', r.seed)) AS axes,"
        " (SELECT max(json_extract(g.info, '$.skipped_pairs')) FROM stages g WHERE g.trial = r.trial AND g.stage ="
        " 'train') AS skipped,"
        " (SELECT max(value) FROM final_metrics m WHERE m.trial = r.trial AND m.name = ?2) AS quality"
        " FROM results r LEFT JOIN sweep_trials st ON st.trial = r.trial AND st.sweep = ?1"
        " WHERE ?1 = 0 OR st.sweep = ?1 GROUP BY r.trial", /* of several sweeps: once */
        params);
    json_decref(params);
    TRY(s);
    r->n_cells = (int)json_array_size(rows);
    r->cells = arena_alloc(&r->arena, (size_t)r->n_cells * sizeof *r->cells + 1);
    r->device = "cpu";
    for (int i = 0; i < r->n_cells; i++) {
        const json_t *row = json_array_get(rows, (size_t)i);
        cell_from(r, &r->cells[i], row);
        r->n_ranked += !isnan(r->cells[i].quality);
        int skipped = (int)json_int(row, "skipped", 0);
        r->n_skipped = skipped > r->n_skipped ? skipped : r->n_skipped;
        if (json_str(row, "device", NULL)) r->device = arena_strdup(&r->arena, json_str(row, "device", ""));
    }
    json_decref(rows);
    sorting = r;
    qsort(r->cells, (size_t)r->n_cells, sizeof *r->cells, by_quality);
    load_families(r);
    count_sizes(r);
    count_losses(r);
    TRY(load_baselines(r));
    TRY(report_pictures_load(&r->pictures, r->store, r->rank->name, NULL));
    mark_like_best(r);
    mark_pareto(r);
    return ok();
}

/* May be chosen at all: measured, and no worse a picture than the one that it was given. */
static bool is_choice(const struct report *r, const struct family *f)
{
    return !isnan(f->p50_ms) && beats_input(r, f->best, f->mean);
}

void mark_pareto(struct report *r)
{
    for (int i = 0; i < r->n_families; i++) {
        struct family *f = &r->families[i];
        f->pareto = is_choice(r, f);
        for (int j = 0; j < r->n_families && f->pareto; j++) {
            const struct family *o = &r->families[j];
            if (i == j || !is_choice(r, o) || !same_size(f->best, o->best)) continue;
            bool worse = better(r, f->mean, o->mean) || o->p50_ms > f->p50_ms;
            if (!worse && (better(r, o->mean, f->mean) || o->p50_ms < f->p50_ms)) f->pareto = false;
        }
        for (int k = 0; k < r->n_cells; k++)
            if (strcmp(r->cells[k].family, f->label) == 0 && !isnan(r->cells[k].quality))
                r->cells[k].pareto = f->pareto;
    }
}
