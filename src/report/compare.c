/* Two cells compared: what the store has of them, for difference.c. */
#include "inside.h"

struct report_pictures {
    json_t *trials; /* id -> image -> value */
    double seed_variance, seed_freedom;
};

/* What a cell's trials vary by, over all cells of several seeds. */
static const char seeds_sql[] =
    "WITH v AS (SELECT json_remove(t.config, '$.seed') || t.height || 'x' || t.width AS cell, m.value AS v FROM "
    "final_metrics m JOIN trials t ON t.id = m.trial WHERE m.name = ?1 AND m.value IS NOT NULL AND t.state = 'done'), "
    "c AS (SELECT cell, count(*) AS n, avg(v) AS mean FROM v GROUP BY cell HAVING count(*) > 1) "
    "SELECT sum((v.v - c.mean) * (v.v - c.mean)) AS scatter, (SELECT sum(n - 1) FROM c) AS freedom FROM v JOIN c ON "
    "c.cell = v.cell";

static struct status load_seeds(struct report_pictures *p, struct store *s, const json_t *params)
{
    json_t *rows;
    TRY(store_rows(&rows, s, seeds_sql, params));
    const json_t *row = json_array_get(rows, 0);
    p->seed_freedom = json_num(row, "freedom", 0);
    p->seed_variance = p->seed_freedom > 0 ? json_num(row, "scatter", 0) / p->seed_freedom : 0;
    json_decref(rows);
    return ok();
}

struct status report_pictures_load(struct report_pictures **out, struct store *s, const char *metric,
                                   const json_t *trials)
{
    json_t *rows, *row;
    size_t i;
    char *ids = trials ? json_dumps(trials, 0) : NULL;
    json_t *params = json_pack("[s, s?]", metric, ids);
    struct report_pictures *p = mem_zalloc(sizeof *p);
    p->trials = json_object();
    struct status st = store_rows(&rows, s,
                                  "SELECT trial, image, value FROM final_image_metrics WHERE name = ?1 AND value IS "
                                  "NOT NULL AND (?2 IS NULL OR trial IN (SELECT value FROM json_each(?2)))",
                                  params);
    if (st.code == STATUS_OK) {
        json_array_foreach(rows, i, row)
        {
            const char *id = json_str(row, "trial", "");
            if (!json_object_get(p->trials, id)) json_object_set_new(p->trials, id, json_object());
            json_object_set(json_object_get(p->trials, id), json_str(row, "image", ""), json_object_get(row, "value"));
        }
        json_decref(rows);
        json_decref(params);
        params = json_pack("[s]", metric);
        st = load_seeds(p, s, params);
    }
    json_decref(params);
    free(ids);
    if (st.code == STATUS_OK)
        *out = p;
    else
        report_pictures_free(p);
    return st;
}

void report_pictures_free(struct report_pictures *p)
{
    if (!p) return;
    json_decref(p->trials);
    free(p);
}

static const json_t *images_of(const struct report_pictures *p, const json_t *ids, size_t i)
{
    return json_object_get(p->trials, json_string_value(json_array_get(ids, i)));
}

/* True when every trial of the cell has the image. */
static bool all_have(const struct report_pictures *p, const json_t *ids, const char *image)
{
    for (size_t i = 0; i < json_array_size(ids); i++)
        if (!json_object_get(images_of(p, ids, i), image)) return false;
    return true;
}

/* Shape: [trial][image]. Owner: the caller. */
static double *values_of(const struct report_pictures *p, const json_t *ids, const json_t *names)
{
    size_t n = json_array_size(names);
    double *v = mem_alloc((json_array_size(ids) * n + 1) * sizeof *v);
    for (size_t t = 0; t < json_array_size(ids); t++)
        for (size_t i = 0; i < n; i++)
            v[t * n + i] =
                json_number_value(json_object_get(images_of(p, ids, t), json_string_value(json_array_get(names, i))));
    return v;
}

struct report_difference report_compare(const struct report_pictures *p, const json_t *a, const json_t *b)
{
    json_t *names = json_array(), *v;
    const char *name;
    json_object_foreach((json_t *)(uintptr_t)images_of(p, a, 0), name, v)
    {
        if (all_have(p, a, name) && all_have(p, b, name)) json_array_append_new(names, json_string(name));
    }
    double *of_a = values_of(p, a, names), *of_b = values_of(p, b, names);
    struct report_difference d = report_difference(&(struct report_sides){.a = of_a,
                                                                          .b = of_b,
                                                                          .n_a = (int)json_array_size(a),
                                                                          .n_b = (int)json_array_size(b),
                                                                          .n_images = (int)json_array_size(names),
                                                                          .seed_variance = p->seed_variance,
                                                                          .seed_freedom = p->seed_freedom});
    free(of_a);
    free(of_b);
    json_decref(names);
    return d;
}

/* ---- latency ----------------------------------------------------------------------------------------------------- */

enum { LATENCY_DRAWS = 1000, MAX_VISITS = 256 };
static const double of_processes =
    0.02; /* what fresh processes of one file differ by, as a fraction; few visits show it */

/* Samples of each visit, in microseconds. */
struct visits {
    float *v[MAX_VISITS];
    int n[MAX_VISITS], count, samples;
};

static struct status add_visit(void *ctx, const struct store_row *row)
{
    struct visits *to = ctx;
    if (!row->v || to->count == MAX_VISITS || row->v[0].kind != STORE_BLOB || row->v[0].i < 4) return ok();
    size_t bytes = (size_t)row->v[0].i / sizeof(float) * sizeof(float);
    to->v[to->count] = mem_alloc(bytes);
    memcpy(to->v[to->count], row->v[0].blob, bytes);
    to->n[to->count] = (int)(bytes / sizeof(float));
    to->samples += to->n[to->count++];
    return ok();
}

static struct status load_visits(struct visits *out, struct store *s, const char *device, const json_t *ids)
{
    *out = (struct visits){.count = 0};
    char *text = json_dumps(ids, 0);
    json_t *params = json_pack("[s, s]", device, text);
    struct status st = store_query(s,
                                   "SELECT l.samples FROM latencies l JOIN trials t ON t.id = l.trial WHERE l.format = "
                                   "'onnx' AND l.device = ?1 AND l.threads = 1 AND l.height = t.height AND l.width = "
                                   "t.width AND l.trial IN (SELECT value FROM json_each(?2)) ORDER BY l.id",
                                   params, add_visit, out);
    json_decref(params);
    free(text);
    return st;
}

static void free_visits(struct visits *v)
{
    for (int i = 0; i < v->count; i++) free(v->v[i]);
}

static int by_float(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double median(float *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_float);
    return ((double)v[(n - 1) / 2] + (double)v[n / 2]) / 2;
}

/* Median of the visits' medians, in milliseconds; @p r: of visits and samples drawn again, NULL: as they are. */
static double typical(const struct visits *v, float *room, struct rng *r)
{
    float medians[MAX_VISITS];
    for (int i = 0; i < v->count; i++) {
        int visit = r ? (int)rng_below(r, (uint64_t)v->count) : i;
        for (int k = 0; k < v->n[visit]; k++) room[k] = v->v[visit][r ? (int)rng_below(r, (uint64_t)v->n[visit]) : k];
        medians[i] = (float)median(room, v->n[visit]);
    }
    double noise = r ? 1 + of_processes / sqrt(v->count) * rng_normal(r) : 1;
    return median(medians, v->count) / 1000 * noise;
}

struct status report_compare_latency(struct report_difference *out, struct store *s, const char *device,
                                     const json_t *a, const json_t *b)
{
    struct visits va = {.count = 0}, vb = {.count = 0};
    *out = (struct report_difference){.seed_sd = (double)NAN, .images = (double)NAN, .seeds = (double)NAN};
    struct status st = load_visits(&va, s, device, a);
    if (st.code == STATUS_OK) st = load_visits(&vb, s, device, b);
    if (st.code == STATUS_OK && va.count && vb.count) {
        float *room = mem_alloc((size_t)(va.samples + vb.samples) * sizeof *room);
        double drawn[LATENCY_DRAWS];
        struct rng r = rng_key(0, 0, 0, 1);
        for (int k = 0; k < LATENCY_DRAWS; k++) drawn[k] = typical(&va, room, &r) - typical(&vb, room, &r);
        qsort(drawn, LATENCY_DRAWS, sizeof *drawn, by_ascending);
        out->a = typical(&va, room, NULL);
        out->b = typical(&vb, room, NULL);
        out->mean = out->a - out->b;
        out->low = drawn[LATENCY_DRAWS / 40];
        out->high = drawn[LATENCY_DRAWS - 1 - LATENCY_DRAWS / 40];
        out->tells = out->low > 0 || out->high < 0;
        out->n_images = va.samples < vb.samples ? va.samples : vb.samples;
        out->n_a = va.count;
        out->n_b = vb.count;
        free(room);
    }
    free_visits(&va);
    free_visits(&vb);
    return st;
}
