/* ls, show, query: what is stored. */
#include "inside.h"

struct status cli_with_store(const struct cli_args *a, struct status (*f)(const struct cli_args *, struct store *))
{
    struct store *s;
    TRY(cli_open(&s, a, false));
    struct status st = f(a, s);
    store_close(s);
    return st;
}

static struct status query(const struct cli_args *a, struct store *s)
{
    return cli_print_query(s, a->pos[0], NULL, cli_style_of(a));
}

CLI_COMMAND(cli_query)
{
    (void)code;
    return cli_with_store(a, query);
}

struct status cli_find_sweep(struct store *s, const char *name)
{
    json_t *rows;
    const char *names[257] = {NULL};
    TRY(store_rows(&rows, s, "SELECT name FROM sweeps ORDER BY updated DESC LIMIT 256", NULL));
    bool found = false;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        names[i] = json_str(json_array_get(rows, i), "name", "");
        found = found || strcmp(names[i], name) == 0;
    }
    const char *near = found ? NULL : str_nearest(name, names);
    struct status st = found ? ok()
                             : fail(STATUS_ARG, "sweep \"%s\": not in the database%s%s%s; `sweep ls` lists them", name,
                                    near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    json_decref(rows);
    return st;
}

/* Keys that the sweep varies and that have no column of their own, as columns of r.config; an axis of maps is its keys.
 */
static struct status varied_columns(struct str *out, struct store *s, const char *sweep)
{
    enum { MOST = 6 };
    json_t *rows, *params = json_pack("[s]", sweep);
    struct status st = store_rows(
        &rows, s,
        "WITH mine AS (SELECT st.axes, st.ordinal, t.config FROM sweep_trials st JOIN sweeps w ON w.id = st.sweep JOIN "
        "trials t ON t.id = st.trial WHERE w.name = ?1), keys (key, place) AS (SELECT coalesce(k.key, j.key), "
        "min(j.id) FROM mine, json_each(mine.axes) j LEFT JOIN json_each(CASE j.type WHEN 'object' THEN j.value ELSE "
        "'[]' END) k GROUP BY 1) SELECT key FROM keys WHERE key NOT IN ('model.arch', 'model.backbone', 'data.size', "
        "'seed') AND (SELECT count(DISTINCT coalesce(json_extract(config, '$.\"' || key || '\"'), '')) FROM mine) > 1 "
        "ORDER BY place, key LIMIT 6",
        params);
    json_decref(params);
    TRY(st);
    str_add(out, "");
    for (size_t i = 0; i < json_array_size(rows) && i < MOST; i++) {
        const char *key = json_str(json_array_get(rows, i), "key", "");
        if (strpbrk(key, "\"'")) continue; /* no key of ours */
        str_addf(out, "json_extract(r.config, '$.\"%s\"') AS \"%s\", ", key, key);
    }
    json_decref(rows);
    return ok();
}

/* Trials of a sweep: those that it asks for now, and, for --all, those that it asked for before it was edited. */
static void trials_sql(struct str *sql, bool all, const char *rank, const char *varied, const char *where, int limit)
{
    static const char *const earlier =
        " UNION ALL SELECT h.trial, 1000000000 + max(h.ordinal), datetime(max(h.asked), 'unixepoch') FROM state_trials "
        "h "
        "JOIN mine ON mine.id = h.sweep WHERE h.trial NOT IN (SELECT trial FROM sweep_trials WHERE sweep = mine.id) "
        "GROUP BY h.trial";
    str_addf(sql,
             "WITH mine AS (SELECT id FROM sweeps WHERE name = ?1), listed (id, place, asked) AS (SELECT st.trial, "
             "st.ordinal, 'now' FROM sweep_trials st JOIN mine ON mine.id = st.sweep%s) "
             "SELECT r.trial, arch, backbone, height || 'x' || width AS size, seed, %sstate, \"%s\", \"%s\" %s (SELECT "
             "max(m.value) FROM final_metrics m WHERE m.trial = r.trial AND m.name = 'identity_%s') AS beats_input, "
             "val_loss, p50_ms, train_s, %sround((SELECT sum(bytes) FROM artifacts f WHERE "
             "f.trial = r.trial) / 1048576.0, 1) AS mib, reason FROM results r JOIN listed ON listed.id = r.trial "
             "WHERE (%s) GROUP BY r.trial ORDER BY listed.place LIMIT %d",
             all ? earlier : "", varied, rank, rank, cli_higher_first(rank) ? ">" : "<", rank, all ? "asked, " : "",
             where, limit);
}

struct status cli_tell_skipped(struct store *s, const char *sweep)
{
    json_t *rows, *params = json_pack("[s?]", sweep);
    struct status st = store_rows(
        &rows, s,
        "SELECT count(DISTINCT g.trial) AS trials, max(json_extract(g.info, '$.skipped_pairs')) AS pairs FROM stages g "
        "WHERE g.stage = 'train' AND json_extract(g.info, '$.skipped_pairs') > 0 AND (?1 IS NULL OR g.trial IN (SELECT "
        "st.trial FROM sweep_trials st JOIN sweeps w ON w.id = st.sweep WHERE w.name = ?1))",
        params);
    json_decref(params);
    TRY(st);
    const json_t *row = json_array_get(rows, 0);
    int trials = (int)json_int(row, "trials", 0), pairs = (int)json_int(row, "pairs", 0);
    if (trials)
        printf("\n%d damaged pair%s left out of the images of %d trial%s (data.skip_damaged)\n", pairs,
               pairs == 1 ? "" : "s", trials, trials == 1 ? "" : "s");
    json_decref(rows);
    return ok();
}

/* An edited file leaves trials behind that are still stored. */
static struct status tell_earlier(struct store *s, const char *sweep)
{
    json_t *rows, *params = json_pack("[s]", sweep);
    struct status st = store_rows(&rows, s,
                                  "SELECT count(DISTINCT h.trial) AS n FROM state_trials h JOIN sweeps w ON w.id = "
                                  "h.sweep WHERE w.name = ?1 AND h.trial NOT IN (SELECT trial FROM sweep_trials WHERE "
                                  "sweep = w.id)",
                                  params);
    json_decref(params);
    TRY(st);
    int n = (int)json_int(json_array_get(rows, 0), "n", 0);
    if (n)
        printf(
            "\n%d trial%s that %s asked for before it was edited: sweep ls %s --all; what was changed: sweep history "
            "%s\n",
            n, n == 1 ? "" : "s", sweep, sweep, sweep);
    json_decref(rows);
    return ok();
}

static struct status ls(const struct cli_args *a, struct store *s)
{
    int limit;
    bool all = a->value[OPT_ALL] != NULL;
    TRY(cli_int(&limit, a, OPT_LIMIT, -1, 1, 1000000000));
    struct str sql = {0}, where = {0}, varied = {0};
    if (a->n_pos) TRY(cli_find_sweep(s, a->pos[0]));
    char rank[64] = "ssim";
    if (a->n_pos) TRY(cli_rank_of(rank, sizeof rank, s, a->pos[0]));
    if (a->n_pos) TRY(varied_columns(&varied, s, a->pos[0]));
    struct status st = cli_where(&where, a);
    if (st.code != STATUS_OK) {
        str_free(&varied);
        return st;
    }
    if (a->n_pos)
        trials_sql(&sql, all, rank, varied.s, where.s, limit);
    else
        str_addf(
            &sql,
            "SELECT * FROM (SELECT w.name, count(t.id) AS trials, sum(t.state = 'done') AS done, "
            "sum(t.state = 'failed') AS failed, sum(t.state = 'pruned') AS pruned, "
            "sum(t.state IN ('refused', 'too_slow', 'diverged')) AS not_possible, "
            "sum(t.state IN ('queued', 'running', 'interrupted')) AS open, w.rank, w.path, "
            "round(sum((SELECT sum(bytes) FROM artifacts f WHERE f.trial = t.id)) / 1048576.0, 1) AS mib, "
            "datetime(w.updated, 'unixepoch') AS updated FROM sweeps w LEFT JOIN sweep_trials st ON st.sweep = w.id "
            "LEFT JOIN trials t ON t.id = st.trial GROUP BY w.id ORDER BY w.updated DESC) WHERE (%s) LIMIT %d",
            where.s, limit);
    json_t *params = a->n_pos ? json_pack("[s]", a->pos[0]) : NULL;
    st = cli_print_query(s, sql.s, params, cli_style_of(a));
    if (st.code == STATUS_OK && a->n_pos && !all && cli_style_of(a) == CLI_ALIGNED) st = tell_earlier(s, a->pos[0]);
    json_decref(params);
    str_free(&varied);
    str_free(&where);
    str_free(&sql);
    return st;
}

CLI_COMMAND(cli_ls)
{
    (void)code;
    return cli_with_store(a, ls);
}

struct status cli_trial(json_t **out, struct store *s, const char *id)
{
    if (!*id) return fail(STATUS_ARG, "got an empty trial, expected an id or the beginning of one");
    json_t *rows, *params = json_pack("[s]", id);
    struct status st =
        store_rows(&rows, s, "SELECT * FROM trials WHERE substr(id, 1, length(?1)) = ?1 LIMIT 3", params);
    json_decref(params);
    TRY(st);
    size_t n = json_array_size(rows);
    if (n == 1)
        *out = json_incref(json_array_get(rows, 0));
    else if (n == 0)
        st = fail(STATUS_ARG, "trial \"%s\": not in the database; `sweep ls NAME` lists a sweep's trials", id);
    else
        st = fail(STATUS_ARG, "trial \"%s\": several begin so (%s, %s, ...); give more of it", id,
                  json_str(json_array_get(rows, 0), "id", ""), json_str(json_array_get(rows, 1), "id", ""));
    json_decref(rows);
    return st;
}

static const struct {
    const char *title, *member, *sql;
} parts[] = {
    {"result", "result",
     "SELECT group_concat(sweep) AS sweep, state, reason, feature_distance, style_distance, kid, ssim, ms_ssim, psnr, "
     "l1, val_loss, identity_ssim, untrained_ssim, verify_max_abs, "
     "p50_ms, fps, params, macs, train_s FROM results WHERE trial = ?1 GROUP BY trial"},
    {"stages", "stages",
     "SELECT stage, format, device, state, attempts, round(seconds, 1) AS seconds, round(rss_bytes / 1048576.0) AS "
     "rss_mib, json_extract(info, '$.worker_cores') AS cores, json_extract(info, '$.gpu_name') AS gpu, "
     "round(json_extract(info, '$.gpu_bytes_peak') / 1048576.0) AS gpu_mib, "
     "json_extract(info, '$.skipped_pairs') AS skipped_pairs, reason FROM stages WHERE trial = ?1 ORDER "
     "BY started"},
    {"time of training", "training_time",
     "SELECT part, round(spent, 2) AS seconds, round(100 * spent / seconds, 1) AS percent FROM (SELECT seconds, j.key, "
     "CASE j.key WHEN 'steps_s' THEN 'steps' WHEN 'data_s' THEN 'waiting for images' WHEN 'validation_s' THEN "
     "'validation' WHEN 'checkpoints_s' THEN 'checkpoints' END AS part, j.value AS spent FROM stages g, "
     "json_each(g.info) j WHERE g.trial = ?1 AND g.stage = 'train') WHERE part IS NOT NULL ORDER BY spent DESC"},
    {"decisions", "decisions",
     "SELECT rule, epoch, metric, value, threshold, n_peers, CASE stop WHEN 1 THEN 'stopped' ELSE 'went on' END AS "
     "verdict, reason FROM decisions WHERE trial = ?1 ORDER BY decided, epoch"},
    {"metrics", "metrics", "SELECT name, value FROM final_metrics WHERE trial = ?1 ORDER BY name"},
    {"latency", "latency",
     "SELECT format, device, threads, visit, n, load_ms, first_ms, min_ms, p50_ms, p90_ms, p99_ms, unstable, busy "
     "FROM latencies WHERE trial = ?1 ORDER BY format, device, threads, visit"},
    {"checked files", "checked",
     "SELECT format, verify, round(verify_max_abs, 5) AS max_abs, round(verify_mean_abs, 5) AS mean_abs, "
     "round(verify_psnr, 1) AS psnr_of_net, round(file_ssim, 4) AS ssim, round(file_psnr, 2) AS psnr, "
     "round(file_feature_distance, 4) AS feature_distance FROM files WHERE trial = ?1 ORDER BY format"},
    {"files", "files",
     "SELECT kind, format, name, path, bytes FROM artifacts WHERE trial = ?1 AND kind NOT LIKE 'sample%' ORDER BY "
     "kind"},
};

static struct status show(const struct cli_args *a, struct store *s)
{
    json_t *t;
    TRY(cli_trial(&t, s, a->pos[0]));
    const char *id = json_str(t, "id", "");
    json_t *params = json_pack("[s]", id), *config = NULL, *all = json_object();
    const char *text = json_str(t, "config", "{}");
    struct status st = json_parse(&config, "config", text, strlen(text));
    if (st.code == STATUS_OK) {
        json_object_set_new(all, "trial", json_string(id));
        json_object_set_new(all, "config", config);
    }
    if (!a->value[OPT_JSON] && st.code == STATUS_OK)
        printf("trial %s: %s x %s at %lldx%lld, seed %lld, %s\nfiles in %s/trials/%s\n", id, json_str(t, "arch", ""),
               json_str(t, "backbone", ""), (long long)json_int(t, "height", 0), (long long)json_int(t, "width", 0),
               (long long)json_int(t, "seed", 0), json_str(t, "state", ""), store_dir(s), id);
    static const char *const said[] = {"note", "tags"};
    for (size_t i = 0; i < LEN(said); i++) {
        if (a->value[OPT_JSON]) json_object_set(all, said[i], json_object_get(t, said[i]));
        if (!a->value[OPT_JSON] && *json_str(t, said[i], "")) printf("%s: %s\n", said[i], json_str(t, said[i], ""));
    }
    if (!a->value[OPT_JSON] && *json_str(t, "reason", "")) /* the tables below cut it */
        printf("reason: %s\n", json_str(t, "reason", ""));
    for (size_t i = 0; i < LEN(parts) && st.code == STATUS_OK; i++) {
        json_t *rows;
        st = store_rows(&rows, s, parts[i].sql, params);
        if (st.code != STATUS_OK) break;
        if (a->value[OPT_JSON]) {
            json_object_set_new(all, parts[i].member, rows);
            continue;
        }
        if (json_array_size(rows)) {
            printf("\n%s\n", parts[i].title);
            cli_print_rows(rows, CLI_ALIGNED);
        }
        json_decref(rows);
    }
    if (st.code == STATUS_OK && a->value[OPT_JSON]) {
        cli_print_json(all);
    } else if (st.code == STATUS_OK) {
        const char *name;
        json_t *v;
        printf("\nconfiguration\n");
        json_object_foreach(config, name, v)
        {
            char *value = json_text(v, 0);
            printf("%-24s %s\n", name, value);
            free(value);
        }
    }
    json_decref(all);
    json_decref(params);
    json_decref(t);
    return st;
}

CLI_COMMAND(cli_show)
{
    (void)code;
    return cli_with_store(a, show);
}
