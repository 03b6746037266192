/*
 * top: best first. Trials that differ in their seed alone are one row: mean and spread, and a rank that says how sure
 * it is. Two cells are told apart when their means differ by more than two standard errors of the difference; a rank
 * from 2 to 4 has one cell surely before it, and all but four surely behind or before.
 */
#include "inside.h"
#include "report.h"
#include <math.h>

/* A column's name and nothing else may come from the command line. */
static struct status check_column(struct store *s, const char *name)
{
    json_t *rows;
    TRY(store_rows(&rows, s, "SELECT name FROM pragma_table_info('results')", NULL));
    size_t n = json_array_size(rows);
    const char **known = mem_zalloc((n + 1) * sizeof *known);
    bool found = false;
    for (size_t i = 0; i < n; i++) {
        known[i] = json_str(json_array_get(rows, i), "name", "");
        found |= strcmp(known[i], name) == 0;
    }
    const char *near = found ? NULL : str_nearest(name, known);
    struct status st = found ? ok()
                             : fail(STATUS_ARG,
                                    "--by: got \"%s\", expected a column of `results`, e.g. ssim, psnr, val_loss, "
                                    "p50_ms%s%s%s",
                                    name, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    free(known);
    json_decref(rows);
    return st;
}

bool cli_higher_first(const char *column)
{
    const struct spec_metric *m = spec_metric_of(column);
    return m ? m->higher_is_better : strcmp(column, "fps") == 0;
}

/* What orders when nothing is said: the sweep's own metric, or the latest sweep's. */
struct status cli_rank_of(char *out, size_t n, struct store *s, const char *sweep)
{
    json_t *rows, *params = json_pack("[s?]", sweep);
    struct status st = store_rows(
        &rows, s, "SELECT rank FROM sweeps WHERE name = ?1 OR ?1 IS NULL ORDER BY updated DESC LIMIT 1", params);
    json_decref(params);
    TRY(st);
    snprintf(out, n, "%s", json_str(json_array_get(rows, 0), "rank", "ssim"));
    json_decref(rows);
    return ok();
}

/* Columns of a row; those of many seeds are means. */
static const char *const measured[] = {"ssim", "psnr", "val_loss", "p50_ms", "fps", "params_m"};
enum { N_MEASURED = LEN(measured), MOST_KEYS = 6 };

/* A cell: trials that differ in their seed alone. */
struct group {
    const json_t *first; /* row of its best trial */
    json_t *ids;         /* of its trials */
    json_t *config;      /* less the seed */
    int n, n_by;         /* trials; of them with a value to rank by */
    double by, square;   /* sums, then mean and variance of one trial */
    double sum[N_MEASURED];
    int n_sum[N_MEASURED];
    double identity; /* sum of what the input handed back has */
    int n_identity;
    int low, high; /* rank */
};

struct ranking {
    const char *by;
    bool higher, is_metric; /* of a picture, not a time or a size */
    struct group *v;
    int n;
};

static struct status select_trials(json_t **rows, const struct cli_args *a, struct store *s, const struct ranking *r)
{
    const char *sweep = a->value[OPT_SWEEP];
    struct str sql = {0}, where = {0};
    TRY(cli_where(&where, a));
    str_add(
        &sql,
        "SELECT trial AS id, substr(trial, 1, ?2) AS trial, arch, backbone, height || 'x' || width AS size, seed, ");
    if (spec_judged(r->by)) str_addf(&sql, "\"%s\", ", r->by); /* the other metrics have a column anyway */
    str_addf(&sql,
             "ssim, psnr, val_loss, p50_ms, fps, round(params / 1e6, 2) AS params_m, config, (SELECT max(m.value) FROM "
             "final_metrics m WHERE m.trial = r.trial AND m.name = 'identity_%s') AS identity, r.\"%s\" AS ranked "
             "FROM results r "
             "WHERE state = 'done' AND (%s) AND (?1 IS NULL OR trial IN (SELECT st.trial FROM sweep_trials st "
             "JOIN sweeps w ON w.id = st.sweep WHERE w.name = ?1)) GROUP BY trial ORDER BY ranked %s NULLS LAST",
             r->by, r->by, where.s, r->higher ? "DESC" : "ASC");
    int letters = cli_style_of(a) == CLI_ALIGNED ? 8 : 100; /* of an id: enough for eyes, and all for programs */
    json_t *params = json_pack("[s?, i]", sweep, letters);
    struct status st = store_rows(rows, s, sql.s, params);
    json_decref(params);
    str_free(&where);
    str_free(&sql);
    return st;
}

static void add_trial(struct group *g, const json_t *row)
{
    const json_t *by = json_object_get(row, "ranked");
    double v = json_number_value(by);
    g->n++;
    if (json_is_number(by)) g->n_by++, g->by += v, g->square += v * v;
    const json_t *identity = json_object_get(row, "identity");
    if (json_is_number(identity)) g->n_identity++, g->identity += json_number_value(identity);
    for (int i = 0; i < N_MEASURED; i++) {
        const json_t *m = json_object_get(row, measured[i]);
        if (json_is_number(m)) g->n_sum[i]++, g->sum[i] += json_number_value(m);
    }
}

/* Rows, best first, into cells. */
static struct status group_trials(struct ranking *r, const json_t *rows)
{
    json_t *index = json_object();
    r->v = mem_zalloc(sizeof *r->v * (json_array_size(rows) + 1));
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const char *text = json_str(row, "config", "{}");
        json_t *config;
        struct status st = json_parse(&config, "trials.config", text, strlen(text));
        if (st.code != STATUS_OK) {
            json_decref(index);
            return st;
        }
        json_object_del(config, "seed");
        struct hash h = json_hash(config);
        char cell[300];
        snprintf(cell, sizeof cell, "%s %s %s %s", json_str(row, "arch", ""), json_str(row, "backbone", ""),
                 json_str(row, "size", ""), h.hex);
        const json_t *known = json_object_get(index, cell);
        struct group *g = &r->v[known ? (int)json_integer_value(known) : r->n];
        if (known) {
            json_decref(config);
        } else {
            *g = (struct group){.first = row, .config = config, .ids = json_array()};
            json_object_set_new(index, cell, json_integer(r->n++));
        }
        add_trial(g, row);
        json_array_append(g->ids, json_object_get(row, "id"));
    }
    json_decref(index);
    return ok();
}

static int by_mean(const void *a, const void *b, void *ctx)
{
    const struct group *x = a, *y = b;
    const struct ranking *r = ctx;
    if (!x->n_by || !y->n_by) return (x->n_by == 0) - (y->n_by == 0);
    int order = (x->by > y->by) - (x->by < y->by);
    return r->higher ? -order : order;
}

/* Means, variances, order, and between which ranks each cell may lie. A cell of one seed is taken to vary as the
   others do on average. */
static void rank_groups(struct ranking *r)
{
    double pooled = 0;
    int free_of = 0;
    for (int i = 0; i < r->n; i++) {
        struct group *g = &r->v[i];
        double n = g->n_by, mean = n > 0 ? g->by / n : (double)NAN, rest = g->square - n * mean * mean;
        if (n > 1) pooled += rest, free_of += g->n_by - 1;
        g->by = mean;
        g->square = n > 1 ? fmax(0, rest) / (n - 1) : -1;
    }
    pooled = free_of ? fmax(0, pooled) / free_of : 0;
    qsort_r(r->v, (size_t)r->n, sizeof *r->v, by_mean, r);
    for (int i = 0; i < r->n; i++) {
        struct group *g = &r->v[i];
        g->low = 1;
        g->high = r->n;
        for (int j = 0; j < r->n && g->n_by; j++) {
            const struct group *o = &r->v[j];
            double x = g->square < 0 ? pooled : g->square, y = o->square < 0 ? pooled : o->square;
            double off = o->n_by ? 2 * sqrt(x / g->n_by + y / o->n_by) : 0;
            bool apart = !o->n_by || fabs(g->by - o->by) > off;
            g->low += apart && j < i;
            g->high -= apart && j > i;
        }
    }
}

/* Keys whose value tells some cells from others, beside those that have columns. */
static json_t *telling_keys(const struct ranking *r)
{
    static const char *const own[] = {"model.arch", "model.backbone", "data.size"};
    json_t *keys = json_array();
    const char *key;
    json_t *v;
    json_object_foreach(r->n ? r->v[0].config : NULL, key, v)
    {
        bool differs = false;
        for (int i = 1; i < r->n && !differs; i++) differs = !json_equal(v, json_object_get(r->v[i].config, key));
        for (size_t i = 0; i < LEN(own); i++) differs = differs && strcmp(own[i], key) != 0;
        if (differs) json_array_append_new(keys, json_string(key));
    }
    if (json_array_size(keys) > MOST_KEYS) json_array_clear(keys); /* cells of sweeps that have little in common */
    return keys;
}

/* Whether a value is better than that of the input handed back; null where one of them is not known. */
static json_t *beats_input(const struct ranking *r, const json_t *value, const json_t *identity)
{
    double v = json_number_value(value), i = json_number_value(identity);
    if (!json_is_number(value) || !json_is_number(identity)) return json_null();
    return json_boolean(r->higher ? v > i : v < i);
}

static json_t *group_row(const struct ranking *r, const struct group *g, const json_t *keys)
{
    char rank[32];
    json_t *row = json_object();
    snprintf(rank, sizeof rank, g->low < g->high ? "%d-%d" : "%d", g->low, g->high);
    json_object_set_new(row, "rank", json_string(g->n_by ? rank : ""));
    static const char *const texts[] = {"trial", "arch", "backbone", "size"};
    for (size_t i = 0; i < LEN(texts); i++) json_object_set(row, texts[i], json_object_get(g->first, texts[i]));
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const char *key = json_string_value(json_array_get(keys, i));
        json_object_set(row, key, json_object_get(g->config, key));
    }
    char spread[80];
    snprintf(spread, sizeof spread, "%s_sd", r->by);
    json_object_set_new(row, "seeds", json_integer(g->n));
    json_object_set_new(row, r->by, g->n_by ? json_real(g->by) : json_null());
    json_t *identity = g->n_identity ? json_real(g->identity / g->n_identity) : json_null();
    json_object_set_new(row, "beats_input", beats_input(r, json_object_get(row, r->by), identity));
    json_decref(identity);
    json_object_set_new(row, spread, g->square >= 0 ? json_real(sqrt(g->square)) : json_null());
    for (int i = 0; i < N_MEASURED; i++)
        if (strcmp(measured[i], r->by) != 0)
            json_object_set_new(row, measured[i], g->n_sum[i] ? json_real(g->sum[i] / g->n_sum[i]) : json_null());
    return row;
}

/* A trial a row, as it is when no cell has several seeds, or all are asked for. */
static json_t *trial_row(const struct ranking *r, const json_t *trial, const struct group *g, const json_t *keys)
{
    json_t *row = json_copy((json_t *)(uintptr_t)trial);
    bool known = json_object_get(row, r->by) != NULL;
    if (!known) json_object_set(row, r->by, json_object_get(row, "ranked"));
    json_object_set_new(row, "beats_input",
                        beats_input(r, json_object_get(row, "ranked"), json_object_get(row, "identity")));
    json_object_del(row, "identity");
    json_object_del(row, "id");
    json_object_del(row, "config");
    json_object_del(row, "ranked");
    for (size_t i = 0; g && i < json_array_size(keys); i++) {
        const char *key = json_string_value(json_array_get(keys, i));
        json_object_set(row, key, json_object_get(g->config, key));
    }
    return row;
}

/* Marks rows, which are the first cells, that cannot be told from the best one by its pictures; where those are not
   known, there is no column. */
static struct status mark_like_best(json_t *rows, const struct ranking *r, struct store *s)
{
    struct report_pictures *p = NULL;
    bool known = false;
    if (!r->is_metric || json_array_size(rows) < 2) return ok();
    TRY(report_pictures_load(&p, s, r->by, NULL));
    for (size_t i = 0; i < json_array_size(rows); i++) {
        struct report_difference d = {.n_images = 0};
        bool same_size = strcmp(json_str(r->v[i].first, "size", ""), json_str(r->v[0].first, "size", "")) == 0;
        if (i && same_size) d = report_compare(p, r->v[0].ids, r->v[i].ids);
        known = known || d.n_images;
        json_object_set_new(json_array_get(rows, i), "like_best",
                            d.n_images ? json_boolean(!d.tells)
                            : i        ? json_null()
                                       : json_true());
    }
    for (size_t i = 0; !known && i < json_array_size(rows); i++) json_object_del(json_array_get(rows, i), "like_best");
    report_pictures_free(p);
    return ok();
}

/* What a reader of the table would take for granted. */
static void tell_doubts(const struct ranking *r)
{
    const char *size = r->n ? json_str(r->v[0].first, "size", "") : "";
    bool sizes = false, worse = false;
    for (int i = 0; i < r->n; i++) {
        const struct group *g = &r->v[i];
        const char *other = json_str(g->first, "size", "");
        sizes = sizes || strcmp(size, other) != 0;
        double identity = g->n_identity ? g->identity / g->n_identity : (double)NAN;
        worse = worse || (r->higher ? g->by <= identity : g->by >= identity);
    }
    if (sizes && r->is_metric)
        printf("\nsizes differ, and so do the pictures that %s is of: it does not compare between them; --where "
               "\"height = "
               "%lld\" ranks one\n",
               r->by, (long long)strtoll(size, NULL, 10));
    if (worse)
        printf(
            "\nbeats_input no: %s is no better than that of the input handed back, so nothing is shown to be learnt\n",
            r->by);
}

static struct status print_ranking(const struct cli_args *a, const struct ranking *r, const json_t *trials, int limit,
                                   struct store *s)
{
    bool seeds = false, all = a->value[OPT_ALL] != NULL;
    for (int i = 0; i < r->n; i++) seeds = seeds || r->v[i].n > 1;
    json_t *rows = json_array(), *keys = telling_keys(r);
    for (int i = 0; i < r->n && i < limit && !all; i++)
        json_array_append_new(rows, seeds ? group_row(r, &r->v[i], keys) : trial_row(r, r->v[i].first, &r->v[i], keys));
    for (int i = 0; all && i < (int)json_array_size(trials) && i < limit; i++)
        json_array_append_new(rows, trial_row(r, json_array_get(trials, (size_t)i), NULL, keys));
    struct status st = all ? ok() : mark_like_best(rows, r, s);
    cli_print_rows(rows, cli_style_of(a));
    if (seeds && !all && cli_style_of(a) == CLI_ALIGNED)
        printf("\nmeans over seeds; ranks that two standard errors leave open are given as from-to; --all lists every "
               "trial\n");
    if (cli_style_of(a) == CLI_ALIGNED) tell_doubts(r);
    if (cli_style_of(a) == CLI_ALIGNED && json_object_get(json_array_get(rows, 0), "like_best"))
        printf("\nlike_best: its pictures cannot be told from the best cell's; `sweep compare A B` says by how much\n");
    json_decref(rows);
    json_decref(keys);
    return st;
}

/* Cells without a final value, because they were stopped: not in the ranking, and not forgotten. */
static struct status tell_pruned(const struct cli_args *a, struct store *s)
{
    const char *sweep = a->value[OPT_SWEEP];
    json_t *rows, *params = json_pack("[s?]", sweep);
    struct status st = store_rows(&rows, s,
                                  "SELECT count(*) AS n, min(w.name) AS sweep FROM sweeps w JOIN sweep_trials st ON "
                                  "st.sweep = w.id JOIN trials t "
                                  "ON t.id = st.trial WHERE t.state = 'pruned' AND (?1 IS NULL OR w.name = ?1)",
                                  params);
    json_decref(params);
    TRY(st);
    const json_t *row = json_array_get(rows, 0);
    int n = (int)json_int(row, "n", 0);
    if (n)
        printf("\n%d pruned before their end %s not ranked: sweep ls %s --where \"state = 'pruned'\"\n", n,
               n == 1 ? "is" : "are", json_str(row, "sweep", ""));
    json_decref(rows);
    return ok();
}

static struct status top(const struct cli_args *a, struct store *s)
{
    char rank[64];
    int limit;
    const char *sweep = a->value[OPT_SWEEP];
    TRY(cli_int(&limit, a, OPT_LIMIT, a->value[OPT_ALL] ? 1000000000 : 10, 1, 1000000000));
    if (sweep) TRY(cli_find_sweep(s, sweep));
    TRY(cli_rank_of(rank, sizeof rank, s, sweep));
    struct ranking r = {.by = a->value[OPT_BY] ? a->value[OPT_BY] : rank};
    TRY(check_column(s, r.by));
    r.higher = cli_higher_first(r.by);
    r.is_metric = spec_metric_of(r.by) != NULL;
    json_t *rows;
    TRY(select_trials(&rows, a, s, &r));
    struct status st = group_trials(&r, rows);
    if (st.code == STATUS_OK) {
        rank_groups(&r);
        st = print_ranking(a, &r, rows, limit, s);
        if (st.code == STATUS_OK && cli_style_of(a) == CLI_ALIGNED) st = tell_pruned(a, s);
        if (st.code == STATUS_OK && cli_style_of(a) == CLI_ALIGNED) st = cli_tell_skipped(s, sweep);
    }
    for (int i = 0; i < r.n; i++) {
        json_decref(r.v[i].config);
        json_decref(r.v[i].ids);
    }
    free(r.v);
    json_decref(rows);
    return st;
}

CLI_COMMAND(cli_top)
{
    (void)code;
    return cli_with_store(a, top);
}
