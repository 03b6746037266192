/* The part of the page that answers back: which device and format, how many frames a second, and what each cell draws.
 * Here are the numbers as JSON and the empty frame; page.js fills it. */
#include "inside.h"

enum { MOST_IN_PAGE = 3500000, MAX_PICTURES = 2000 }; /* bytes of pictures that the page holds itself; shown cells */

void add_picture_source(struct report *r, struct str *out, const char *path)
{
    char *png;
    size_t n;
    const char *full = fs_join(&r->arena, store_dir(r->store), path);
    if (fs_read(&png, &n, full).code != STATUS_OK) return;
    if (r->bytes_in_page + n <= MOST_IN_PAGE) {
        r->bytes_in_page += n;
        str_add(out, "data:image/png;base64,");
        add_base64(out, png, n);
    } else {
        const char *name = arena_printf(&r->arena, "pictures/%s.png", hash_bytes(path, strlen(path)).hex);
        const char *to = fs_join(&r->arena, r->o->dir, name);
        struct status s = fs_exists(to) ? ok() : fs_mkdir(fs_join(&r->arena, r->o->dir, "pictures"));
        if (s.code == STATUS_OK && !fs_exists(to)) s = fs_write(to, png, n);
        if (s.code == STATUS_OK) str_add(out, name);
    }
    free(png);
}

/* Where and how something was timed, and how large its pictures are. */
static json_t *measurement_of(const json_t *row)
{
    return json_pack("{s:O, s:O, s:O, s:s}", "device", json_object_get(row, "device"), "format",
                     json_object_get(row, "format"), "threads", json_object_get(row, "threads"), "size",
                     json_str(row, "size", ""));
}

/* {"measurements": [...], "latency": {trial: {measurement's index: [p50, p90]}}}, the page's own measurement first. */
static struct status add_latencies(struct report *r, json_t *data)
{
    json_t *rows, *row, *params = json_pack("[I, s]", (json_int_t)r->sweep, r->device);
    struct status s = store_rows(
        &rows, r->store,
        "SELECT trial, device, format, threads, height || 'x' || width AS size, p50_ms, p90_ms FROM latency_summary l "
        "WHERE (?1 = 0 OR trial IN (SELECT trial FROM sweep_trials WHERE sweep = ?1)) AND NOT EXISTS (SELECT 1 FROM "
        "files f WHERE f.trial = l.trial AND f.format = l.format AND f.verify = 'wrong') ORDER BY device <> ?2, format "
        "<> 'onnx', "
        "threads <> 1, device, format, threads",
        params);
    json_decref(params);
    TRY(s);
    json_t *list = json_array(), *latency = json_object(), *known = json_object();
    size_t i;
    json_array_foreach(rows, i, row)
    {
        json_t *m = measurement_of(row);
        char *text = json_canonical(m), at[24];
        if (!json_object_get(known, text)) {
            json_object_set_new(known, text, json_integer((json_int_t)json_array_size(list)));
            json_array_append(list, m);
        }
        snprintf(at, sizeof at, "%d", (int)json_int(known, text, 0));
        const char *trial = json_str(row, "trial", "");
        if (!json_object_get(latency, trial)) json_object_set_new(latency, trial, json_object());
        json_object_set_new(json_object_get(latency, trial), at,
                            json_pack("[O, O]", json_object_get(row, "p50_ms"), json_object_get(row, "p90_ms")));
        free(text);
        json_decref(m);
    }
    json_object_set_new(data, "measurements", list);
    json_object_set_new(data, "latency", latency);
    json_decref(known);
    json_decref(rows);
    return ok();
}

static json_t *number_or_null(double v)
{
    return isnan(v) ? json_null() : json_real(v);
}

/* What a trial made of an image, as a source for <img>; null where that is not kept. */
static json_t *picture_of(struct report *r, const char *trial, const char *kind, const char *image)
{
    json_t *rows, *params = json_pack("[s, s, s]", trial, kind, image);
    struct str src = {0};
    struct status s = store_rows(
        &rows, r->store, "SELECT path FROM artifacts WHERE trial = ?1 AND kind = ?2 AND name = ?3 LIMIT 1", params);
    json_decref(params);
    if (s.code != STATUS_OK) return json_null();
    if (json_array_size(rows)) add_picture_source(r, &src, json_str(json_array_get(rows, 0), "path", ""));
    json_decref(rows);
    json_t *out = src.n ? json_string(src.s) : json_null();
    str_free(&src);
    return out;
}

/* Cells, the best first: trials that differ in their seed alone are one point. */
static json_t *families_json(struct report *r, const char *image)
{
    json_t *all = json_array();
    for (int i = 0; i < r->n_families; i++) {
        const struct family *f = &r->families[i];
        json_t *trials = json_array();
        for (int k = 0; k < r->n_cells; k++)
            if (r->cells[k].of == f) json_array_append_new(trials, json_string(r->cells[k].id));
        json_array_append_new(
            all, json_pack("{s:s, s:f, s:o, s:b, s:b, s:o, s:o}", "label", f->label, "quality", f->mean, "spread",
                           number_or_null(f->spread), "beats_input", beats_input(r, f->best, f->mean), "like_best",
                           f->like_best, "picture",
                           image && i < MAX_PICTURES ? picture_of(r, f->best->id, "sample", image) : json_null(),
                           "trials", trials));
    }
    return all;
}

/* Script ends at the first "</": a label may have one. */
static void add_script_json(struct str *out, const json_t *data)
{
    char *text = json_text(data, 0);
    for (const char *c = text; *c; c++) str_addn(out, *c == '<' ? "\\u003c" : c, *c == '<' ? 6 : 1);
    free(text);
}

static struct status explore_json(json_t **out, struct report *r)
{
    char *image = NULL;
    json_t *rows, *params = json_pack("[s]", r->families[0].best->id);
    struct status s =
        store_rows(&rows, r->store,
                   "SELECT name FROM artifacts WHERE trial = ?1 AND kind = 'sample' ORDER BY name LIMIT 1", params);
    json_decref(params);
    TRY(s);
    if (json_array_size(rows)) image = arena_strdup(&r->arena, json_str(json_array_get(rows, 0), "name", ""));
    json_decref(rows);
    *out = json_pack("{s:s, s:s, s:b}", "rank", metric_shown(r->rank->name), "unit", r->rank->unit, "higher",
                     r->rank->higher_is_better);
    const char *best = r->families[0].best->id;
    if (image) {
        json_object_set_new(*out, "input", picture_of(r, best, "sample_input", image));
        json_object_set_new(*out, "target", picture_of(r, best, "sample_target", image));
    }
    json_object_set_new(*out, "cells", families_json(r, image));
    return add_latencies(r, *out);
}

void add_explorer(struct report *r, struct str *out)
{
    json_t *data = NULL;
    if (!r->n_families) return;
    if (explore_json(&data, r).code == STATUS_OK) {
        str_add(
            out,
            "<section id=explore hidden>\n<h2>Choose</h2>\n<div class=controls>"
            "<label>measured on <select id=measurement></select></label>"
            "<label>at least <input id=budget type=number min=0 step=1 value=0 inputmode=numeric> frames/s</label>"
            "<label>cells that contain <input id=filter type=search autocomplete=off></label>"
            "<output id=count></output></div>\n<p id=winner aria-live=polite></p>\n<div class=both>"
            "<div id=map></div>\n<div id=look><div class=pair><img id=under alt=\"\"><img id=over alt=\"\"></div>"
            "<input id=slide type=range min=0 max=100 value=50 aria-label=\"how much of the left picture is shown\">"
            "<div class=sides><label>left <select id=left></select></label>"
            "<label>right <select id=right></select></label></div><p id=about></p></div></div>\n</section>\n"
            "<script type=\"application/json\" id=data>");
        add_script_json(out, data);
        str_add(out, "</script>\n");
    }
    json_decref(data);
}
