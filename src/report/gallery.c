/* The gallery: the same validation faces through every cell, and each cell's worst one. */
#include "inside.h"

enum { MAX_IMAGES = 6, MAX_GALLERY_CELLS = 12 };

void add_base64(struct str *out, const void *p, size_t n)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *b = p;
    char *text = mem_alloc(4 * (n / 3 + 1) + 1);
    size_t at = 0;
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)b[i] << 16 | (i + 1 < n ? (unsigned)b[i + 1] << 8 : 0) | (i + 2 < n ? b[i + 2] : 0u);
        text[at++] = digit[v >> 18];
        text[at++] = digit[v >> 12 & 63];
        text[at++] = i + 1 < n ? digit[v >> 6 & 63] : '=';
        text[at++] = i + 2 < n ? digit[v & 63] : '=';
    }
    str_addn(out, text, at);
    free(text);
}

/* One picture with its caption; false when the file is gone. */
static bool add_picture(struct report *r, struct str *out, const char *path, const char *alt, const char *caption)
{
    struct str src = {0};
    add_picture_source(r, &src, path);
    bool there = src.n > 0;
    if (there) {
        str_add(out, "<figure><img loading=lazy alt=\"");
        add_escaped(out, alt);
        str_addf(out, "\" src=\"%s\"><figcaption>", src.s);
        add_escaped(out, caption);
        str_add(out, "</figcaption></figure>\n");
    }
    str_free(&src);
    return there;
}

/* Path of an artifact and the rank metric of its image; NULL when there is none. Borrowed from @p rows. */
static const json_t *sample(struct report *r, json_t **rows, const char *trial, const char *kind, const char *image)
{
    json_t *params = json_pack("[ssss]", trial, kind, image, r->rank->name);
    struct status s = store_rows(
        rows, r->store,
        "SELECT path, (SELECT value FROM final_image_metrics m WHERE m.trial = a.trial AND m.image = a.name AND"
        " m.name = ?4 LIMIT 1) AS value FROM artifacts a WHERE trial = ?1 AND kind = ?2 AND name = ?3 LIMIT 1",
        params);
    json_decref(params);
    if (s.code != STATUS_OK) *rows = json_array();
    return json_array_get(*rows, 0);
}

/* Captions stand once, above the first row of a gallery; a cell's picture has its own value below. */
static void add_sample(struct report *r, struct str *out, const char *trial, const char *kind, const char *image,
                       const char *caption)
{
    json_t *rows;
    const json_t *row = sample(r, &rows, trial, kind, image);
    char text[500];
    double value = row && !strcmp(kind, "sample") ? json_num(row, "value", (double)NAN) : (double)NAN;
    if (isnan(value))
        snprintf(text, sizeof text, "%s", caption);
    else
        snprintf(text, sizeof text, "%s%s%s %.3f", caption, *caption ? ": " : "", metric_shown(r->rank->name), value);
    if (!row || !add_picture(r, out, json_str(row, "path", ""), image, text))
        str_add(out, "<figure></figure>\n"); /* a column keeps its place */
    json_decref(rows);
}

/* Images that the most cells have, and the worst of one trial. Owner: the caller. */
static json_t *images_of(struct report *r)
{
    json_t *rows, *params = json_pack("[I]", (json_int_t)r->sweep);
    struct status s =
        store_rows(&rows, r->store,
                   "SELECT name, count(*) AS n FROM artifacts WHERE kind = 'sample' AND (?1 = 0 OR trial IN"
                   " (SELECT trial FROM sweep_trials WHERE sweep = ?1)) GROUP BY name ORDER BY n DESC, name",
                   params);
    json_decref(params);
    return s.code == STATUS_OK ? rows : json_array();
}

static json_t *worst_of(struct report *r, const char *trial)
{
    char sql[300];
    snprintf(sql, sizeof sql,
             "SELECT m.image FROM final_image_metrics m JOIN artifacts a ON a.trial = m.trial AND a.name = m.image AND"
             " a.kind = 'sample' WHERE m.trial = ?1 AND m.name = ?2 ORDER BY m.value%s LIMIT 1",
             r->rank->higher_is_better ? "" : " DESC");
    json_t *rows, *params = json_pack("[ss]", trial, r->rank->name);
    struct status s = store_rows(&rows, r->store, sql, params);
    json_decref(params);
    return s.code == STATUS_OK ? rows : json_array();
}

/* Input, target and what these cells made of one image, captions in the first row alone. */
static void add_strip(struct report *r, struct str *out, const struct cell *const *cells, int n, const char *image,
                      bool captions)
{
    str_add(out, "<div class=strip>\n");
    add_sample(r, out, cells[0]->id, "sample_input", image, captions ? "input" : "");
    add_sample(r, out, cells[0]->id, "sample_target", image, captions ? "target" : "");
    for (int k = 0; k < n; k++) add_sample(r, out, cells[k]->id, "sample", image, captions ? cells[k]->family : "");
    str_add(out, "</div>\n");
}

/* Each cell's worst picture; cells that fail at the same one stand beside each other. */
static void add_worst(struct report *r, struct str *out, const struct cell *const *cells, int n)
{
    char *image[MAX_GALLERY_CELLS] = {NULL};
    for (int k = 0; k < n; k++) {
        json_t *worst = worst_of(r, cells[k]->id);
        const char *name = json_str(json_array_get(worst, 0), "image", NULL);
        if (name) image[k] = arena_strdup(&r->arena, name);
        json_decref(worst);
    }
    str_addf(out, "<h2>Each cell's worst picture by %s</h2>\n<div class=gallery>\n", metric_shown(r->rank->name));
    for (int k = 0; k < n; k++) {
        const struct cell *same[MAX_GALLERY_CELLS];
        int n_same = 0;
        for (int j = 0; image[k] && j < n; j++) {
            if (!image[j] || strcmp(image[j], image[k]) != 0) continue;
            if (j < k) break; /* shown with that one */
            same[n_same++] = cells[j];
        }
        if (n_same) add_strip(r, out, same, n_same, image[k], true);
    }
    str_add(out, "</div>\n");
}

void add_gallery(struct report *r, struct str *out)
{
    const struct cell *shown[MAX_GALLERY_CELLS];
    int n = 0;
    for (; n < r->n_families && n < MAX_GALLERY_CELLS; n++) shown[n] = r->families[n].best;
    json_t *images = images_of(r);
    if (n && json_array_size(images)) {
        str_addf(out, "<h2>The same faces through %s%d cells%s</h2>\n<div class=gallery>\n",
                 n < r->n_families ? "the best " : "", n, r->n_seeded ? ", each by its best seed" : "");
        for (size_t i = 0; i < json_array_size(images) && i < MAX_IMAGES; i++)
            add_strip(r, out, shown, n, json_str(json_array_get(images, i), "name", ""), i == 0);
        str_add(out, "</div>\n");
        add_worst(r, out, shown, n);
    }
    json_decref(images);
}
