/* One event of a worker into rows. An event is foreign: what is not as the protocol says is refused by name. */
#include "inside.h"

static struct status bad(const struct store_stage *g, const char *event, const char *what)
{
    return fail(STATUS_ARG, "%s of trial %s: event %s: %s", g->stage, g->trial, event, what);
}

static struct status put_values(struct store *s, const struct store_stage *g, const json_t *e, const char *image)
{
    json_t *values = json_object_get(e, "values"), *v;
    const char *name;
    if (!json_is_object(values)) return bad(g, image ? "image" : "metrics", "expected an object `values`");
    json_object_foreach(values, name, v)
    {
        if (!json_is_number(v) && !json_is_null(v))
            return bad(g, image ? "image" : "metrics", "a value is neither a number nor null");
        if (image)
            TRY(store_run(s, SQL_IMAGE_METRIC, "ttttn", g->key, g->trial, image, name, v));
        else
            TRY(store_run(s, SQL_METRIC, "tttin", g->key, g->trial, name, json_int(e, "epoch", -1), v));
    }
    return ok();
}

static struct status put_metrics(struct store *s, const struct store_stage *g, const json_t *e)
{
    return put_values(s, g, e, NULL);
}

static struct status put_image(struct store *s, const struct store_stage *g, const json_t *e)
{
    const char *image = json_str(e, "image", NULL);
    return image ? put_values(s, g, e, image) : bad(g, "image", "expected a string `image`");
}

static struct status put_info(struct store *s, const struct store_stage *g, const json_t *e)
{
    const json_t *values = json_object_get(e, "values");
    if (!json_is_object(values)) return bad(g, "info", "expected an object `values`");
    TRY(store_run(s, SQL_STAGE_INFO, "tj", g->key, values));
    const json_t *params = json_object_get(values, "params"), *macs = json_object_get(values, "macs");
    return params || macs ? store_run(s, SQL_SIZE_TRIAL, "tnn", g->trial, params, macs) : ok();
}

static struct status put_artifact(struct store *s, const struct store_stage *g, const json_t *e)
{
    const char *path = json_str(e, "path", NULL), *kind = json_str(e, "kind", NULL);
    if (!path || !kind) return bad(g, "artifact", "expected strings `kind` and `path`");
    size_t n = strlen(s->dir);
    if (strncmp(path, s->dir, n) == 0 && path[n] == '/') path += n + 1;
    const char *format = json_str(e, "format", "");
    return store_run(s, SQL_ARTIFACT, "ttttttit", g->key, g->trial, kind, format, json_str(e, "name", ""), path,
                     json_int(e, "bytes", 0), json_str(e, "hash", ""));
}

static struct status put_latency(struct store *s, const struct store_stage *g, const json_t *e)
{
    const json_t *samples = json_object_get(e, "samples_us"), *info = json_object_get(e, "info");
    size_t n = json_array_size(samples);
    if (!json_is_array(samples) || n == 0) return bad(g, "latency", "expected a list `samples_us`");
    if (!json_is_number(json_object_get(e, "p50_ms"))) return bad(g, "latency", "expected a number `p50_ms`");
    float *raw = mem_alloc(n * sizeof *raw);
    for (size_t i = 0; i < n; i++) raw[i] = (float)json_number_value(json_array_get(samples, i));
    static const char *const real[] = {"load_ms", "first_ms", "min_ms", "p50_ms", "p90_ms", "p99_ms", "mean_ms", "cov"};
    const json_t *r[LEN(real)];
    for (size_t i = 0; i < LEN(real); i++) r[i] = json_object_get(e, real[i]);
    const json_t *unstable = json_object_get(e, "unstable"), *busy = json_object_get(e, "busy");
    json_t *none = json_object();
    struct status st = store_run(
        s, SQL_LATENCY, "ttttiiiiinnnnnnnniinbjd", g->key, g->trial, g->format, g->device, json_int(e, "threads", 0),
        json_int(e, "height", 0), json_int(e, "width", 0), json_int(e, "visit", 0), json_int(e, "n", (int64_t)n), r[0],
        r[1], r[2], r[3], r[4], r[5], r[6], r[7], (int64_t)(json_is_true(unstable) || json_integer_value(unstable) > 0),
        (int64_t)(json_is_true(busy) || json_integer_value(busy) > 0), json_object_get(e, "rss_bytes"),
        (const void *)raw, n * sizeof *raw, info ? info : none, json_num(e, "measured", time_now()));
    json_decref(none);
    free(raw);
    return st;
}

static const struct {
    const char *name;
    struct status (*put)(struct store *, const struct store_stage *, const json_t *);
} kinds[] = {
    {"metrics", put_metrics},   {"image", put_image},     {"info", put_info},
    {"artifact", put_artifact}, {"latency", put_latency},
};

struct status store_event(struct store *s, const struct store_stage *g, const json_t *event)
{
    const char *name = json_str(event, "ev", "");
    for (size_t i = 0; i < LEN(kinds); i++) {
        if (strcmp(name, kinds[i].name) != 0) continue;
        TRY(store_run(s, SQL_SAVE, ""));
        struct status st = kinds[i].put(s, g, event);
        if (st.code == STATUS_OK) return store_run(s, SQL_RELEASE, "");
        if (!sqlite3_get_autocommit(s->db)) { /* a full disk has undone everything already */
            struct status undo = store_run(s, SQL_UNDO, "");
            if (undo.code == STATUS_OK) undo = store_run(s, SQL_RELEASE, "");
            if (undo.code != STATUS_OK) log_warn("%s", undo.msg);
        }
        return st;
    }
    return ok();
}
