/* compare: is one cell better than another, and what would it take to tell? */
#include "inside.h"
#include "report.h"
#include <math.h>

/* What an argument names: a trial, or a cell over its seeds. */
struct named {
    const char *text;
    json_t *ids; /* of its trials */
    char label[160];
};

/* Finished trials of ARCH/BACKBONE that differ in their seed alone. */
static struct status find_cell(struct named *out, struct store *s, const struct cli_args *a)
{
    const char *slash = strchr(out->text, '/');
    struct str sql = {0}, where = {0};
    TRY(cli_where(&where, a));
    str_addf(
        &sql,
        "SELECT r.trial, r.height || 'x' || r.width AS size, json_remove(r.config, '$.seed') AS config FROM results "
        "r WHERE r.arch = ?1 AND r.backbone = ?2 AND r.state = 'done' AND (%s) AND (?3 IS NULL OR r.trial IN (SELECT "
        "st.trial FROM sweep_trials st JOIN sweeps w ON w.id = st.sweep WHERE w.name = ?3)) GROUP BY r.trial ORDER BY "
        "r.seed",
        where.s);
    str_free(&where);
    json_t *params = json_pack("[s%, s, s?]", out->text, (size_t)(slash - out->text), slash + 1, a->value[OPT_SWEEP]);
    json_t *rows = NULL, *row;
    struct status st = store_rows(&rows, s, sql.s, params);
    json_decref(params);
    str_free(&sql);
    TRY(st);
    const json_t *first = json_array_get(rows, 0);
    size_t i;
    if (!first)
        st = fail(STATUS_ARG, "%s: no finished trial of this cell%s; `sweep ls SWEEP` lists them", out->text,
                  a->value[OPT_SWEEP] || a->value[OPT_WHERE] ? " fits" : "");
    json_array_foreach(rows, i, row)
    {
        if (strcmp(json_str(row, "config", ""), json_str(first, "config", "")) != 0 && st.code == STATUS_OK)
            st =
                fail(STATUS_ARG,
                     "%s: is several cells, e.g. trials %.8s and %.8s, which differ in more than their seed; choose by "
                     "--sweep NAME or --where SQL, or give trials",
                     out->text, json_str(first, "trial", ""), json_str(row, "trial", ""));
        json_array_append(out->ids, json_object_get(row, "trial"));
    }
    snprintf(out->label, sizeof out->label, "%s", out->text);
    json_decref(rows);
    return st;
}

static struct status find_named(struct named *out, struct store *s, const struct cli_args *a, const char *text)
{
    *out = (struct named){.text = text, .ids = json_array()};
    if (strchr(text, '/')) return find_cell(out, s, a);
    json_t *t;
    TRY(cli_trial(&t, s, text));
    json_array_append(out->ids, json_object_get(t, "id"));
    snprintf(out->label, sizeof out->label, "%.8s %s/%s seed %lld", json_str(t, "id", ""), json_str(t, "arch", ""),
             json_str(t, "backbone", ""), (long long)json_int(t, "seed", 0));
    json_decref(t);
    return ok();
}

/* Pictures of different sizes are different pictures; different losses, different val_loss. */
static struct status check_comparable(bool *same_loss, struct store *s, const struct named v[2])
{
    json_t *rows, *params = json_pack("[O, O]", json_array_get(v[0].ids, 0), json_array_get(v[1].ids, 0));
    struct status st = store_rows(&rows, s,
                                  "SELECT height || 'x' || width AS size, (SELECT count(DISTINCT loss_key) FROM trials "
                                  "WHERE id IN (?1, ?2)) AS losses FROM trials WHERE id IN (?1, ?2) GROUP BY 1",
                                  params);
    json_decref(params);
    TRY(st);
    *same_loss = json_int(json_array_get(rows, 0), "losses", 0) == 1;
    if (json_array_size(rows) > 1)
        st = fail(STATUS_ARG, "%s and %s: pictures of %s and %s do not compare", v[0].text, v[1].text,
                  json_str(json_array_get(rows, 0), "size", ""), json_str(json_array_get(rows, 1), "size", ""));
    json_decref(rows);
    return st;
}

static const char *verdict_of(const struct report_difference *d, bool higher)
{
    if (!d->tells) return "cannot tell";
    return (d->mean > 0) == higher ? "better" : "worse";
}

/* What it would take, in words; "" where it is told. */
static void needs_of(char *out, size_t n, const struct report_difference *d, const char *what)
{
    enum { TOO_MANY = 100000 };
    char images[80] = "", seeds[60] = "";
    out[0] = 0;
    if (d->tells || isnan(d->images)) return;
    if (d->images < TOO_MANY) snprintf(images, sizeof images, "about %.0f %s", d->images, what);
    if (d->seeds < TOO_MANY) snprintf(seeds, sizeof seeds, "%.0f seeds each", fmax(2, d->seeds));
    if (*images || *seeds)
        snprintf(out, n, "%s%s%s would tell", images, *images && *seeds ? ", or " : "", seeds);
    else
        snprintf(out, n, "too small to tell by images or seeds alone");
}

static json_t *number_or_null(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static void add_row(json_t *rows, const char *metric, const struct report_difference *d, bool higher)
{
    char needs[200];
    needs_of(needs, sizeof needs, d, "images");
    json_array_append_new(rows, json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:s, s:i, s:o, s:o, s:o, s:s}", "metric",
                                          metric, "a", d->a, "b", d->b, "difference", d->mean, "low", d->low, "high",
                                          d->high, "verdict", verdict_of(d, higher), "images", d->n_images, "seed_sd",
                                          number_or_null(d->seed_sd), "images_that_tell",
                                          number_or_null(d->tells ? (double)NAN : d->images), "seeds_that_tell",
                                          number_or_null(d->tells ? (double)NAN : d->seeds), "needs", needs));
}

static struct status compare_metric(json_t *rows, struct report_difference *d, struct store *s,
                                    const struct spec_metric *m, const struct named v[2])
{
    struct report_pictures *p;
    json_t *all = json_copy(v[0].ids);
    json_array_extend(all, v[1].ids);
    struct status st = report_pictures_load(&p, s, m->name, all);
    json_decref(all);
    TRY(st);
    *d = report_compare(p, v[0].ids, v[1].ids);
    if (d->n_images) add_row(rows, m->name, d, m->higher_is_better);
    report_pictures_free(p);
    return ok();
}

/* The answer to the question, in a sentence or two. */
static void add_words(struct str *out, const struct named v[2], const struct spec_metric *rank,
                      const struct report_difference *d)
{
    static const char *const words[][2] = {
        {"better", "draws better than"}, {"worse", "draws worse than"}, {"cannot tell", "cannot be told from"}};
    const char *verdict = verdict_of(d, rank->higher_is_better);
    for (size_t i = 0; i < LEN(words); i++)
        if (strcmp(words[i][0], verdict) == 0) str_addf(out, "%s %s %s: ", v[0].label, words[i][1], v[1].label);
    str_addf(out, "%s %.4g and %.4g, difference %.2g (95 %% interval %.2g to %.2g) over %d images", rank->name, d->a,
             d->b, d->mean, d->low, d->high, d->n_images);
    if (d->n_a > 1 || d->n_b > 1) str_addf(out, " and %d and %d seeds", d->n_a, d->n_b);
    str_add(out, ".");
    char needs[200];
    needs_of(needs, sizeof needs, d, "images");
    if (*needs) str_addf(out, " %c%s.", needs[0] - (needs[0] >= 'a' && needs[0] <= 'z' ? 'a' - 'A' : 0), needs + 1);
    if (isnan(d->seed_sd))
        str_add(out, " No cell here has several seeds, so this is of these trained nets, not of how such cells train; "
                     "`seeds: 3` would say.");
}

static void add_latency(json_t *rows, const struct report_difference *d)
{
    json_array_append_new(rows, json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:s, s:i, s:n, s:n, s:n, s:s}", "metric",
                                          "p50_ms", "a", d->a, "b", d->b, "difference", d->mean, "low", d->low, "high",
                                          d->high, "verdict", verdict_of(d, false), "images", d->n_images, "seed_sd",
                                          "images_that_tell", "seeds_that_tell", "needs",
                                          d->tells ? "" : "more visits would tell (bench.visits)"));
}

static struct status compare_all(json_t *rows, struct str *words, struct store *s, const struct cli_args *a,
                                 const struct named v[2])
{
    char rank[64];
    struct report_difference d;
    bool said = false, same_loss;
    TRY(check_comparable(&same_loss, s, v));
    TRY(cli_rank_of(rank, sizeof rank, s, a->value[OPT_SWEEP]));
    for (const struct spec_metric *m = spec_metrics; m->name; m++) {
        if (!m->axis_free && !same_loss) continue;
        TRY(compare_metric(rows, &d, s, m, v));
        if (d.n_images == 0 || strcmp(m->name, rank) != 0) continue;
        add_words(words, v, m, &d);
        said = true;
    }
    if (!json_array_size(rows))
        return fail(STATUS_ARG, "%s and %s have no validation image in common that both were evaluated on", v[0].text,
                    v[1].text);
    if (!said) str_addf(words, "%s is not known of both, image by image.", rank);
    TRY(report_compare_latency(&d, s, a->value[OPT_DEVICE] ? a->value[OPT_DEVICE] : "cpu", v[0].ids, v[1].ids));
    if (d.n_a) add_latency(rows, &d);
    return ok();
}

static void print_all(const struct cli_args *a, json_t *rows, const struct str *words, const struct named v[2])
{
    if (cli_style_of(a) == CLI_JSON) {
        json_t *all = json_pack("{s:{s:s, s:O}, s:{s:s, s:O}, s:s, s:O}", "a", "label", v[0].label, "trials", v[0].ids,
                                "b", "label", v[1].label, "trials", v[1].ids, "words", words->s, "metrics", rows);
        cli_print_json(all);
        json_decref(all);
        return;
    }
    if (cli_style_of(a) == CLI_ALIGNED) {
        size_t i;
        json_t *row;
        json_array_foreach(rows, i, row)
        {
            static const char *const for_programs[] = {"images", "seed_sd", "images_that_tell", "seeds_that_tell"};
            for (size_t k = 0; k < LEN(for_programs); k++) json_object_del(row, for_programs[k]);
        }
        printf("a: %s\nb: %s\n\n", v[0].label, v[1].label);
    }
    cli_print_rows(rows, cli_style_of(a));
    if (cli_style_of(a) == CLI_ALIGNED) printf("\n%s\n", words->s);
}

static struct status compare(const struct cli_args *a, struct store *s)
{
    struct named v[2] = {{.ids = NULL}, {.ids = NULL}};
    struct str words = {0};
    json_t *rows = json_array();
    struct status st = find_named(&v[0], s, a, a->pos[0]);
    if (st.code == STATUS_OK) st = find_named(&v[1], s, a, a->pos[1]);
    if (st.code == STATUS_OK) st = compare_all(rows, &words, s, a, v);
    if (st.code == STATUS_OK) print_all(a, rows, &words, v);
    json_decref(rows);
    json_decref(v[0].ids);
    json_decref(v[1].ids);
    str_free(&words);
    return st;
}

CLI_COMMAND(cli_compare)
{
    (void)code;
    return cli_with_store(a, compare);
}
