/* Which cell is best so far, by the metric that ranks the sweep; and what tells cells of one net from each other. */
#include "inside.h"
#include "live.h"

static bool higher_first(const char *metric)
{
    for (int i = 0; spec_metrics[i].name; i++)
        if (strcmp(spec_metrics[i].name, metric) == 0) return spec_metrics[i].higher_is_better;
    return false;
}

/* @p cell, whose reference goes over, behind all that are as good; what it was before is gone. */
static void place(struct standing *t, json_t *cell)
{
    bool higher = higher_first(t->rank);
    double v = json_num(cell, "value", 0);
    size_t at = 0;
    for (size_t i = json_array_size(t->cells); i-- > 0;)
        if (strcmp(json_str(json_array_get(t->cells, i), "trial", ""), json_str(cell, "trial", "")) == 0)
            json_array_remove(t->cells, i);
    for (; at < json_array_size(t->cells); at++) {
        double other = json_num(json_array_get(t->cells, at), "value", 0);
        if (higher ? v > other : v < other) break;
    }
    json_array_insert_new(t->cells, at, cell);
    if (json_array_size(t->cells) > LIVE_MAX_ROWS) json_array_remove(t->cells, LIVE_MAX_ROWS);
}

static json_t *cell_of(const json_t *from, double value)
{
    json_t *cell = json_pack("{s:f}", "value", value);
    static const char *const members[] = {"trial", "arch", "backbone", "axes"};
    for (size_t i = 0; i < LEN(members); i++) json_object_set(cell, members[i], json_object_get(from, members[i]));
    return cell;
}

static void read_axes(struct cli_live *l, const struct plan *p)
{
    for (int i = 0; i < p->n_sweeps; i++)
        for (int k = 0; k < p->sweeps[i].n_cells; k++) {
            const struct plan_cell *c = &p->sweeps[i].cells[k];
            json_object_set(l->axes, p->trials[c->trial].id, c->axes);
        }
}

static void read_stored(struct cli_live *l, struct store *s)
{
    for (size_t i = 0; i < json_array_size(l->sweeps); i++) {
        json_t *rows, *params = json_pack("[O, s]", json_array_get(l->sweeps, i), l->standing.rank);
        struct status st =
            store_rows(&rows, s,
                       "SELECT DISTINCT t.id AS trial, t.arch, t.backbone, m.value FROM metrics m JOIN "
                       "trials t ON t.id = m.trial JOIN sweep_trials st ON st.trial = t.id JOIN sweeps w "
                       "ON w.id = st.sweep WHERE w.name = ?1 AND m.name = ?2 AND m.epoch = -1 AND t.state "
                       "= 'done' AND m.value IS NOT NULL",
                       params);
        json_decref(params);
        if (st.code != STATUS_OK) return; /* the run itself will say what is wrong */
        for (size_t k = 0; k < json_array_size(rows); k++) {
            json_t *row = json_array_get(rows, k), *axes = json_object_get(l->axes, json_str(row, "trial", ""));
            if (!axes) continue; /* of an earlier state of the sweep */
            json_object_set(row, "axes", axes);
            place(&l->standing, cell_of(row, json_num(row, "value", 0)));
        }
        json_decref(rows);
    }
}

void standing_open(struct cli_live *l, struct store *s, const struct plan *p)
{
    snprintf(l->standing.rank, sizeof l->standing.rank, "%s", p->n_sweeps ? p->sweeps[0].rank : "ssim");
    read_axes(l, p);
    read_stored(l, s);
}

void standing_hear(struct standing *t, const json_t *event)
{
    const json_t *data = json_object_get(event, "data"), *v = json_object_get(json_object_get(data, "values"), t->rank);
    bool final = json_int(data, "epoch", 0) == -1 && strcmp(json_str(event, "stage", ""), "evaluate") == 0;
    if (final && json_is_number(v)) place(t, cell_of(event, json_number_value(v)));
}

json_t *standing_json(const struct standing *t)
{
    return json_pack("{s:s, s:O}", "metric", t->rank, "cells", t->cells);
}

void standing_take(struct standing *t, const json_t *state)
{
    const json_t *best = json_object_get(state, "best");
    snprintf(t->rank, sizeof t->rank, "%s", json_str(best, "metric", "ssim"));
    json_decref(t->cells);
    t->cells = json_copy(json_object_get(best, "cells"));
    if (!t->cells) t->cells = json_array();
}

void standing_free(struct standing *t)
{
    json_decref(t->cells);
}

void standing_axes(char *out, size_t n, const json_t *event)
{
    static const char *const shown_anyway[] = {"model.arch", "model.backbone"};
    const char *key;
    json_t *v;
    out[0] = 0;
    json_object_foreach(json_object_get(event, "axes"), key, v)
    {
        bool known = false;
        for (size_t i = 0; i < LEN(shown_anyway); i++) known = known || strcmp(shown_anyway[i], key) == 0;
        if (known) continue;
        char *text = json_is_string(v) ? mem_strdup(json_string_value(v)) : json_text(v, 0);
        const char *dot = strrchr(key, '.');
        size_t at = strlen(out);
        snprintf(out + at, n - at, "%s%s %s", at ? ", " : "", dot ? dot + 1 : key, text);
        free(text);
    }
}
