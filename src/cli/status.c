/*
 * status: who runs, what runs, how far each sweep is. The database alone cannot tell what runs at this moment: a trial
 * that waits for its measurement, and a measurement between two visits, are begun and stored as running. The feed of
 * the run (live.h) names the stages that have a process; where there is no feed, what is stored must do.
 */
#include "inside.h"
#include "live.h"

/* Keys of the stages that have a process, as a JSON array in text; NULL: not known. Owner: the caller frees; and
 * json_decrefs @p gpus, what each does, NULL where that is not known. */
static char *running_keys(json_t **gpus, const char *db, bool writer)
{
    if (!writer) return mem_strdup("[]");
    struct cli_live *l = cli_live_new(true, true);
    struct store_follow *f = store_follow_open(db);
    const char *line;
    bool any = false;
    while ((line = store_follow_next(f))) {
        json_t *event = NULL;
        if (json_parse(&event, "feed", line, strlen(line)).code != STATUS_OK) continue;
        live_hear(l, event);
        json_decref(event);
        any = true;
    }
    json_t *keys = json_array();
    for (int i = 0; i < l->n_rows; i++) json_array_append(keys, json_object_get(l->rows[i].start, "key"));
    char *text = any ? json_canonical(keys) : NULL;
    *gpus = json_incref(l->gpus);
    json_decref(keys);
    store_follow_close(f);
    cli_live_free(l);
    return text;
}

/* ?1: the keys. */
#define RUNS "g.state = 'running' AND (?1 IS NULL OR g.key IN (SELECT value FROM json_each(?1)))"

static const struct {
    const char *title, *member, *sql;
} parts[] = {
    {"sweeps", "sweeps",
     "WITH runs AS (SELECT g.trial FROM stages g WHERE " RUNS "), "
     "now AS (SELECT st.sweep, CASE WHEN t.id IN runs THEN 'running' "
     "WHEN t.state IN ('queued', 'running', 'interrupted') THEN 'waiting' "
     "WHEN t.state IN ('refused', 'too_slow', 'diverged') THEN 'not_possible' ELSE t.state END AS state "
     "FROM sweep_trials st JOIN trials t ON t.id = st.trial) "
     "SELECT w.name, count(n.state) AS trials, sum(n.state = 'done') AS done, sum(n.state = 'running') AS running, "
     "sum(n.state = 'waiting') AS waiting, sum(n.state = 'failed') AS failed, sum(n.state = 'pruned') AS pruned, "
     "sum(n.state = 'not_possible') AS not_possible "
     "FROM sweeps w LEFT JOIN now n ON n.sweep = w.id GROUP BY w.id ORDER BY w.updated DESC"},
    {"running", "running",
     "SELECT g.trial, t.arch, t.backbone, g.stage, g.format, g.device, g.attempts, "
     "round((julianday('now') - 2440587.5) * 86400 - g.started) AS seconds, "
     "(SELECT max(epoch) FROM metrics m WHERE m.stage_key = g.key) AS epoch "
     "FROM stages g JOIN trials t ON t.id = g.trial WHERE " RUNS " ORDER BY g.started"},
    {"failed", "failed",
     "SELECT g.trial, t.arch, t.backbone, g.stage, g.attempts, g.reason FROM stages g "
     "JOIN trials t ON t.id = g.trial WHERE g.state = 'failed' "
     "ORDER BY g.ended DESC LIMIT 10"},
};

/* A table has little room: the beginning of an id will do wherever one is asked for. */
static void cut_ids(json_t *rows)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const char *id = json_str(json_array_get(rows, i), "trial", NULL);
        if (id) json_object_set_new(json_array_get(rows, i), "trial", json_sprintf("%.8s", id));
    }
}

static struct status status(const struct cli_args *a, struct store *s)
{
    char who[1200];
    bool json = a->value[OPT_JSON] != NULL, runs = store_writer(who, sizeof who, cli_db(a));
    json_t *gpus = NULL;
    char *keys = running_keys(&gpus, cli_db(a), runs);
    json_t *all = json_pack("{s:s?}", "writer", runs ? who : NULL);
    json_t *params = json_pack("[s?]", keys);
    struct status st = ok();
    if (!json) printf("%s: %s%s\n", cli_db(a), runs ? "in use by " : "nothing runs", runs ? who : "");
    for (size_t i = 0; i < LEN(parts) && st.code == STATUS_OK; i++) {
        json_t *rows;
        st = store_rows(&rows, s, parts[i].sql, strstr(parts[i].sql, "?1") ? params : NULL);
        if (st.code != STATUS_OK) break;
        if (!json && json_array_size(rows)) {
            printf("\n%s\n", parts[i].title);
            cut_ids(rows);
            cli_print_rows(rows, CLI_ALIGNED);
        }
        json_object_set_new(all, parts[i].member, rows);
    }
    for (size_t i = 0; !json && i < json_array_size(gpus); i++) {
        char text[300];
        draw_gpu(text, sizeof text, json_array_get(gpus, i));
        printf("%s%s\n", i ? "" : "\n", text);
    }
    if (gpus) json_object_set_new(all, "gpus", gpus);
    json_t *slurm = NULL;
    if (st.code == STATUS_OK) st = cli_slurm_status(&slurm, a);
    if (st.code == STATUS_OK && !json && json_array_size(slurm)) {
        printf("\non the cluster, not yet in the database\n");
        cli_print_rows(slurm, CLI_ALIGNED);
    }
    if (slurm) json_object_set_new(all, "slurm", slurm);
    if (st.code == STATUS_OK && json) cli_print_json(all);
    json_decref(params);
    json_decref(all);
    free(keys);
    return st;
}

CLI_COMMAND(cli_status)
{
    (void)code;
    return cli_with_store(a, status);
}
