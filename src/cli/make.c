/* report, export, bench: more from trials that are stored. */
#include "bench.h"
#include "inside.h"
#include <errno.h>
#include <unistd.h>

CLI_COMMAND(cli_report)
{
    struct store *s;
    json_t *rows;
    (void)code;
    if (a->value[OPT_OUT] && a->n_pos != 1)
        return fail(STATUS_ARG, "--out: expected exactly one sweep's name with it, got %d", a->n_pos);
    for (int i = 0; i < a->n_pos; i++) TRY(cli_write_report(cli_db(a), a->pos[i], a->value[OPT_OUT], false));
    if (a->n_pos) return ok();
    TRY(cli_open(&s, a, false));
    struct status st = store_rows(&rows, s, "SELECT name FROM sweeps ORDER BY updated", NULL);
    store_close(s);
    TRY(st);
    if (!json_array_size(rows)) st = fail(STATUS_ARG, "%s: no sweep is stored yet", cli_db(a));
    for (size_t i = 0; i < json_array_size(rows) && st.code == STATUS_OK; i++)
        st = cli_write_report(cli_db(a), json_str(json_array_get(rows, i), "name", ""), NULL, false);
    json_decref(rows);
    return st;
}

/* "a,b" as a list: of names, or of whole numbers. */
static struct status list_of(json_t **out, const char *text, const char *option, bool numbers)
{
    json_t *list = json_array();
    char item[64];
    struct status st = ok();
    for (const char *p = text; st.code == STATUS_OK; p++) {
        size_t n = strcspn(p, ",");
        int64_t v = 0;
        snprintf(item, sizeof item, "%.*s", (int)n, p);
        if (n == 0 || n >= sizeof item || (numbers && (!str_to_i64(item, &v) || v < 0 || v > 4096)))
            st = fail(STATUS_ARG, "%s: got \"%s\", expected %s separated by commas", option, text,
                      numbers ? "whole numbers" : "names");
        else
            json_array_append_new(list, numbers ? json_integer(v) : json_string(item));
        p += n;
        if (!*p) break;
    }
    if (st.code != STATUS_OK) {
        json_decref(list);
        list = NULL;
    }
    *out = list;
    return st;
}

/* Changes one key of a stored configuration, checked as the key's row says. */
static struct status change(json_t *config, const char *key, const char *text, const char *option, bool numbers)
{
    json_t *list, *checked;
    TRY(list_of(&list, text, option, numbers));
    struct status st = spec_check_value(&checked, key, list, option);
    json_decref(list);
    TRY(st);
    json_object_set_new(config, key, checked);
    return ok();
}

struct changes {
    const char *formats, *devices, *threads, *mode; /* NULL: as stored; "" : none */
};

static struct status change_all(json_t *config, const struct changes *c)
{
    if (c->formats) TRY(change(config, "export.formats", c->formats, "--format", false));
    if (c->devices && !c->devices[0]) json_object_set_new(config, "devices", json_array());
    if (c->devices && c->devices[0]) TRY(change(config, "devices", c->devices, "--device", false));
    if (c->threads) TRY(change(config, "bench.threads", c->threads, "--threads", true));
    if (c->mode) {
        json_t *v = json_string(c->mode), *checked;
        struct status st = spec_check_value(&checked, "bench.mode", v, "--mode");
        json_decref(v);
        TRY(st);
        json_object_set_new(config, "bench.mode", checked);
    }
    return ok();
}

/* The trial's plan for the changed configuration. A finished training needs neither its images nor its weights files.
 */
static struct status plan_trial(struct plan **out, struct store *s, const json_t *config, const char *id,
                                const char *cache)
{
    json_t *rows, *params = json_pack("[s]", id);
    struct status st = store_rows(
        &rows, s, "SELECT key FROM stages WHERE trial = ?1 AND stage = 'train' AND state = 'done' LIMIT 1", params);
    json_decref(params);
    TRY(st);
    const char *key = json_str(json_array_get(rows, 0), "key", NULL);
    st = key ? plan_of_trained(out, config, id, key) : plan_of_config(out, config, id, cache);
    json_decref(rows);
    return st;
}

/* A file, or a folder with all that is in it. */
static struct status copy_tree(struct arena *a, const char *to, const char *from)
{
    char *bytes, **names;
    size_t n;
    if (!fs_is_dir(from)) {
        TRY(fs_read(&bytes, &n, from));
        struct status st = fs_write(to, bytes, n);
        free(bytes);
        return st;
    }
    TRY(fs_mkdir(to));
    TRY(fs_list(&names, &n, a, from));
    for (size_t i = 0; i < n; i++) TRY(copy_tree(a, fs_join(a, to, names[i]), fs_join(a, from, names[i])));
    return ok();
}

/* Copies this call's files into the folder, under names that tell trials apart: "ID.onnx" of "model.onnx". */
static struct status copy_out(json_t *row, const char *dir, const char *id)
{
    struct arena a = {0};
    const char *from = json_str(row, "file", ""), *rest = strchr(fs_basename(from), '.');
    const char *to = arena_printf(&a, "%s/%s%s", dir, id, rest ? rest : "");
    struct status st = fs_mkdir(dir);
    if (st.code == STATUS_OK) st = copy_tree(&a, to, from);
    if (st.code == STATUS_OK) json_object_set_new(row, "file", json_of_bytes(to));
    arena_free(&a);
    return st;
}

static bool is_of_plan(const struct plan *p, const char *key)
{
    for (int i = 0; i < p->n_stages; i++)
        if (strcmp(p->stages[i].key, key) == 0) return true;
    return false;
}

/* `file` is a path that opens from here; `path` is that beside the database. With --out only this call's files. */
static struct status place_files(const struct cli_args *a, const struct plan *p, json_t *rows)
{
    struct arena arena = {0};
    struct status st = ok();
    for (size_t i = 0; i < json_array_size(rows) && st.code == STATUS_OK; i++) {
        json_t *row = json_array_get(rows, i);
        const char *path = json_str(row, "path", NULL);
        if (!path) break;
        json_object_set_new(row, "file", json_of_bytes(fs_join(&arena, fs_dirname(&arena, cli_db(a)), path)));
        bool now = is_of_plan(p, json_str(row, "key", ""));
        json_object_del(row, "key");
        if (a->value[OPT_OUT] && now) st = copy_out(row, a->value[OPT_OUT], p->trials[0].id);
        if (a->value[OPT_OUT] && !now) json_array_remove(rows, i--);
    }
    arena_free(&arena);
    return st;
}

/* A table cuts long texts, and a path is to be opened: they stand below it, whole. */
static void print_table(json_t *rows)
{
    json_t *files = json_array();
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i), *file = json_object_get(row, "file");
        if (file) json_array_append(files, file);
        json_object_del(row, "path");
        json_object_del(row, "file");
    }
    cli_print_rows(rows, CLI_ALIGNED);
    for (size_t i = 0; i < json_array_size(files); i++) printf("%s\n", json_string_value(json_array_get(files, i)));
    json_decref(files);
}

/* What came of it: with --json one event a row, in the form of all those before; else a table. */
static void tell(const struct cli_args *a, json_t *rows)
{
    if (!a->value[OPT_JSON]) {
        print_table(rows);
        return;
    }
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        json_t *event = json_pack("{s:s}", "event", "result");
        json_object_update(event, row);
        char *text = json_text(event, 0);
        printf("%s\n", text);
        free(text);
        json_decref(event);
    }
}

/* Runs what a stored trial lacks for the changed configuration, and prints rows of it. */
static struct status more_of(const struct cli_args *a, const struct changes *c, const char *sql, int *code)
{
    struct store *s;
    struct plan *p = NULL;
    json_t *t, *config = NULL;
    struct arena mem = {0};
    TRY(cli_open(&s, a, true));
    struct status st = cli_trial(&t, s, a->pos[0]);
    if (st.code != STATUS_OK) {
        store_close(s);
        return st;
    }
    const char *text = json_str(t, "config", "{}"), *id = json_str(t, "id", "");
    st = json_parse(&config, "config", text, strlen(text));
    if (st.code == STATUS_OK && strcmp(json_str(t, "state", ""), "pruned") == 0)
        st = fail(STATUS_ARG,
                  "trial %s: pruned before its end, so there is nothing to export or measure; `sweep run FILE --set "
                  "prune.rule=none` goes on with it",
                  id);
    if (st.code == STATUS_OK) st = change_all(config, c);
    if (st.code == STATUS_OK) st = plan_trial(&p, s, config, id, cli_cache(a, &mem));
    if (st.code == STATUS_OK && strcmp(p->trials[0].id, id) != 0)
        st = fail(
            STATUS_ARG,
            "trial %s: its images, weights files or this program's training have changed since; run its sweep again",
            id);
    if (st.code == STATUS_OK) st = cli_run_plan(a, s, p, code);
    if (st.code == STATUS_OK) {
        json_t *rows, *params = json_pack("[s]", id);
        st = store_rows(&rows, s, sql, params);
        json_decref(params);
        if (st.code == STATUS_OK) {
            st = place_files(a, p, rows);
            tell(a, rows);
            json_decref(rows);
        }
    }
    arena_free(&mem);
    plan_free(p);
    json_decref(config);
    json_decref(t);
    store_close(s);
    return st;
}

CLI_COMMAND(cli_export)
{
    const struct changes c = {.formats = a->value[OPT_FORMAT] ? a->value[OPT_FORMAT] : "onnx", .devices = ""};
    return more_of(
        a, &c,
        "SELECT a.format, a.path, a.bytes, g.key, "
        "coalesce(json_extract(v.info, '$.verify'), (SELECT value FROM metrics m WHERE m.stage_key = v.key "
        "AND m.epoch = -1 AND m.name = 'verify_max_abs')) AS verify_max_abs, (SELECT round(value, 1) FROM metrics m "
        "WHERE m.stage_key = v.key AND m.epoch = -1 AND m.name = 'verify_psnr') AS verify_psnr FROM artifacts a JOIN "
        "stages g "
        "ON g.key = a.stage_key LEFT JOIN stages v ON v.key = (SELECT key FROM stages n WHERE n.trial = "
        "a.trial AND n.stage = 'verify' AND n.format = a.format AND n.ended >= g.ended ORDER BY n.ended "
        "LIMIT 1) " /* the first of this format after it */
        "WHERE a.trial = ?1 AND a.kind = 'model' AND g.stage = 'export' ORDER BY g.ended",
        code);
}

/* A file needs no database: the measuring program itself does it. */
static struct status bench_file(const struct cli_args *a)
{
    const char *device = a->value[OPT_DEVICE];
    if (device && strcmp(device, "cpu") != 0)
        return fail(STATUS_ARG,
                    "--device: got \"%s\", but a file is measured by ONNX Runtime on this machine's cpu alone; name a "
                    "trial to measure it elsewhere, or leave --device out",
                    device);
    char program[1100];
    snprintf(program, sizeof program, "%s/sweep-bench", fs_program_dir());
    const char *argv[12] = {program, "--model", a->pos[0]};
    int n = 3;
    static const enum cli_option_id passed[] = {OPT_THREADS, OPT_MODE};
    for (size_t i = 0; i < LEN(passed); i++)
        if (a->value[passed[i]]) {
            argv[n++] = cli_options[passed[i]].name;
            argv[n++] = a->value[passed[i]];
        }
    if (a->value[OPT_JSON]) argv[n++] = "--json";
    fflush(stdout);
    execv(program, (char **)(uintptr_t)argv);
    return fail(STATUS_IO, "%s: cannot be started: %s; is the build complete?", program, strerror(errno));
}

CLI_COMMAND(cli_bench)
{
    if (fs_exists(a->pos[0])) return bench_file(a);
    if (strpbrk(a->pos[0], "./")) return fail(STATUS_ARG, "%s: there is no such file", a->pos[0]);
    const struct changes c = {.devices = a->value[OPT_DEVICE] ? a->value[OPT_DEVICE] : "cpu",
                              .threads = a->value[OPT_THREADS],
                              .mode = a->value[OPT_MODE]};
    return more_of(
        a, &c,
        "SELECT format, device, threads, height, width, visits, n, load_ms, first_ms, min_ms, p50_ms, p90_ms, "
        "p99_ms, unstable FROM latency_summary WHERE trial = ?1 AND format <> 'untrained'",
        code);
}
