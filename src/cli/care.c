/* retry, gc, db: looking after what is stored. */
#include "inside.h"

/* ---- retry ------------------------------------------------------------------------------------------------------ */

static struct status chosen(json_t **out, const struct cli_args *a, struct store *s)
{
    if (a->value[OPT_SWEEP]) TRY(cli_find_sweep(s, a->value[OPT_SWEEP]));
    if (!a->n_pos) {
        const char *sweep = a->value[OPT_SWEEP] ? a->value[OPT_SWEEP] : "";
        json_t *params = json_pack("[s]", sweep);
        struct status st = store_rows(out, s,
                                      "SELECT id, config FROM trials t WHERE state = 'failed' AND (?1 = '' OR EXISTS "
                                      "(SELECT 1 FROM sweep_trials st JOIN sweeps w ON w.id = st.sweep "
                                      "WHERE st.trial = t.id AND w.name = ?1)) ORDER BY created, id",
                                      params);
        json_decref(params);
        return st;
    }
    *out = json_array();
    for (int i = 0; i < a->n_pos; i++) {
        json_t *t;
        struct status st = cli_trial(&t, s, a->pos[i]);
        if (st.code != STATUS_OK) {
            json_decref(*out);
            return st;
        }
        json_array_append_new(*out, t);
    }
    return ok();
}

/* A trial whose images or weights have changed since would become another one. */
static struct status same_trials(const struct plan *p, const json_t *trials)
{
    for (size_t i = 0; i < json_array_size(trials); i++) {
        const char *id = json_str(json_array_get(trials, i), "id", "");
        bool found = false;
        for (int k = 0; k < p->n_trials; k++) found = found || strcmp(p->trials[k].id, id) == 0;
        if (!found)
            return fail(STATUS_ARG,
                        "trial %s: its images, weights files or this program's training have changed since; run its "
                        "sweep again, or name other trials",
                        id);
    }
    return ok();
}

static struct status plan_trials(struct plan **out, const json_t *trials, const char *cache)
{
    size_t n = json_array_size(trials);
    json_t **configs = mem_zalloc(sizeof *configs * (n + 1));
    const char **where = mem_zalloc(sizeof *where * (n + 1));
    struct status st = ok();
    for (size_t i = 0; i < n && st.code == STATUS_OK; i++) {
        const json_t *t = json_array_get(trials, i);
        const char *text = json_str(t, "config", "{}");
        where[i] = json_str(t, "id", "");
        st = json_parse(&configs[i], where[i], text, strlen(text));
    }
    *out = NULL;
    if (st.code == STATUS_OK) st = plan_of_configs(out, (const json_t *const *)configs, where, (int)n, cache);
    if (st.code == STATUS_OK) st = same_trials(*out, trials);
    for (size_t i = 0; i < n; i++) json_decref(configs[i]);
    free(configs);
    free(where);
    return st;
}

CLI_COMMAND(cli_retry)
{
    struct store *s;
    json_t *trials;
    struct plan *p = NULL;
    struct arena mem = {0};
    if (!a->value[OPT_FAILED] && !a->n_pos)
        return fail(STATUS_ARG, "sweep retry: expected --failed, or the trials to retry");
    TRY(cli_open(&s, a, true));
    struct status st = chosen(&trials, a, s);
    if (st.code != STATUS_OK) {
        store_close(s);
        return st;
    }
    if (json_array_size(trials) == 0)
        fprintf(stderr, "no trial has failed\n");
    else
        st = plan_trials(&p, trials, cli_cache(a, &mem));
    arena_free(&mem);
    if (st.code == STATUS_OK && p) st = cli_run_plan(a, s, p, code);
    plan_free(p);
    json_decref(trials);
    store_close(s);
    return st;
}

/* ---- gc --------------------------------------------------------------------------------------------------------- */

static double bytes_of(const json_t *files)
{
    double bytes = 0;
    for (size_t i = 0; i < json_array_size(files); i++) bytes += json_num(json_array_get(files, i), "bytes", 0);
    return bytes;
}

/* --keep, --older: checkpoints that are known and yet not wanted. */
static struct status surplus(json_t **out, const struct cli_args *a, struct store *s)
{
    const char *keep = a->value[OPT_KEEP];
    int days;
    *out = NULL;
    if (a->value[OPT_OLDER] && !keep)
        return fail(STATUS_ARG,
                    "--older: says how old checkpoints must be; expected --keep best or --keep none with it");
    TRY(cli_int(&days, a, OPT_OLDER, 0, 0, 100000));
    if (!keep) return ok();
    if (strcmp(keep, "best") != 0 && strcmp(keep, "none") != 0)
        return fail(STATUS_ARG, "--keep: got \"%s\", expected best or none", keep);
    return engine_surplus(out, s, keep, 86400.0 * days);
}

/* One list of both, without what only the removal asks about. */
static json_t *listed(const json_t *garbage, const json_t *more)
{
    json_t *all = json_array();
    static const char *const shown[] = {"path", "bytes", "reason"};
    const json_t *lists[] = {garbage, more};
    for (size_t l = 0; l < LEN(lists); l++)
        for (size_t i = 0; i < json_array_size(lists[l]); i++) {
            json_t *row = json_object();
            for (size_t k = 0; k < LEN(shown); k++)
                json_object_set(row, shown[k], json_object_get(json_array_get(lists[l], i), shown[k]));
            json_array_append_new(all, row);
        }
    return all;
}

CLI_COMMAND(cli_gc)
{
    struct store *s;
    json_t *garbage = NULL, *more = NULL;
    (void)code;
    TRY(cli_open(&s, a, true)); /* nothing may be running: a file in the making has no row yet */
    struct status st = cli_cluster_idle(s);
    if (st.code == STATUS_OK) st = surplus(&more, a, s);
    if (st.code == STATUS_OK) st = engine_garbage(&garbage, s);
    if (st.code == STATUS_OK) {
        json_t *all = listed(garbage, more);
        cli_print_rows(all, cli_style_of(a));
        if (a->value[OPT_DELETE]) st = engine_remove(s, garbage);
        if (a->value[OPT_DELETE] && more && st.code == STATUS_OK) st = engine_drop(s, more);
        if (st.code == STATUS_OK)
            fprintf(stderr, "%zu files, %sB %s%s\n", json_array_size(all), cli_count(bytes_of(all)),
                    a->value[OPT_DELETE] ? "removed" : "could go",
                    a->value[OPT_DELETE] || !json_array_size(all) ? "" : "; --delete removes them");
        json_decref(all);
    }
    json_decref(garbage);
    json_decref(more);
    store_close(s);
    return st;
}

/* ---- db --------------------------------------------------------------------------------------------------------- */

static struct status db_check(const struct cli_args *a, struct store *s)
{
    TRY(store_integrity(s));
    printf("%s: sound\n", cli_db(a));
    return ok();
}

static struct status db_backup(const struct cli_args *a, struct store *s)
{
    TRY(store_backup(s, a->pos[1]));
    printf("%s: %sB\n", a->pos[1], cli_count((double)fs_size(a->pos[1])));
    return ok();
}

static struct status db_merge(const struct cli_args *a, struct store *s)
{
    for (int i = 1; i < a->n_pos; i++) {
        struct store_merged m;
        TRY(store_merge(&m, s, a->pos[i]));
        printf("%s: %d new trials, %d stages, %d files\n", a->pos[i], m.trials, m.stages, m.files);
    }
    return store_integrity(s);
}

static const struct {
    const char *name;
    bool writes;
    int min_pos, max_pos; /* with the name; -1: any number */
    struct status (*run)(const struct cli_args *, struct store *);
} verbs[] = {
    {.name = "check", .min_pos = 1, .max_pos = 1, .run = db_check},
    {.name = "backup", .min_pos = 2, .max_pos = 2, .run = db_backup},
    {.name = "merge", .writes = true, .min_pos = 2, .max_pos = -1, .run = db_merge},
};

CLI_COMMAND(cli_db_care)
{
    const char *names[LEN(verbs) + 1] = {NULL};
    (void)code;
    for (size_t i = 0; i < LEN(verbs); i++) {
        names[i] = verbs[i].name;
        if (strcmp(a->pos[0], verbs[i].name) != 0) continue;
        if (a->n_pos < verbs[i].min_pos || (verbs[i].max_pos >= 0 && a->n_pos > verbs[i].max_pos))
            return fail(STATUS_ARG, "sweep db %s: got %d more arguments; expected %s", verbs[i].name, a->n_pos - 1,
                        a->command->args);
        struct store *s;
        TRY(cli_open(&s, a, verbs[i].writes));
        struct status st = verbs[i].run(a, s);
        store_close(s);
        return st;
    }
    const char *near = str_nearest(a->pos[0], names);
    return fail(STATUS_ARG, "sweep db: got \"%s\", expected check, backup or merge%s%s%s", a->pos[0],
                near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}
