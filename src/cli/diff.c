/* diff: where the settings of two trials differ, and what came of each. Whether a difference of results means anything
   is `compare`'s to say. */
#include "inside.h"

struct side {
    json_t *row, *settings, *results; /* owned */
};

static struct status parse_member(json_t **out, const json_t *row, const char *member)
{
    const char *text = json_str(row, member, "{}");
    return json_parse(out, member, text, strlen(text));
}

/* The configuration, and beside it what its folders and files held, as content.KEY. */
static struct status read_settings(struct side *t)
{
    json_t *content, *v;
    const char *key;
    struct arena mem = {0};
    TRY(parse_member(&t->settings, t->row, "config"));
    TRY(parse_member(&content, t->row, "content"));
    json_object_foreach(content, key, v) json_object_set(t->settings, arena_printf(&mem, "content.%s", key), v);
    json_decref(content);
    arena_free(&mem);
    return ok();
}

static struct status read_side(struct side *t, struct store *s, const char *id)
{
    json_t *rows;
    TRY(cli_trial(&t->row, s, id));
    TRY(read_settings(t));
    json_t *params = json_pack("[s]", json_str(t->row, "id", ""));
    struct status st = store_rows(&rows, s,
                                  "SELECT state, feature_distance, ssim, psnr, val_loss, p50_ms, fps, params, macs, "
                                  "train_s FROM results WHERE trial = ?1 LIMIT 1",
                                  params);
    json_decref(params);
    TRY(st);
    t->results = json_incref(json_array_get(rows, 0));
    json_decref(rows);
    return ok();
}

/* Rows {WORD, a, b} of the members of either; @p all: also those that are equal, unless neither has them. */
static json_t *side_by_side(const char *word, const json_t *a, const json_t *b, bool all)
{
    json_t *out = json_array(), *keys = json_object(), *v;
    const char *key;
    json_object_update(keys, (json_t *)(uintptr_t)a);
    json_object_update_missing(keys, (json_t *)(uintptr_t)b);
    json_object_foreach(keys, key, v)
    {
        json_t *x = json_object_get(a, key), *y = json_object_get(b, key);
        bool same = x && y && json_equal(x, y), none = (!x || json_is_null(x)) && (!y || json_is_null(y));
        if (none || (same && !all)) continue;
        json_array_append_new(
            out, json_pack("{s:s,s:O,s:O}", word, key, "a", x ? x : json_null(), "b", y ? y : json_null()));
    }
    json_decref(keys);
    return out;
}

static void print_side(const char *name, const struct side *t)
{
    printf("%s: %s, %s x %s, %s\n", name, json_str(t->row, "id", ""), json_str(t->row, "arch", ""),
           json_str(t->row, "backbone", ""), json_str(t->row, "state", ""));
}

static void print(const struct cli_args *args, const struct side *a, const struct side *b)
{
    json_t *settings = side_by_side("key", a->settings, b->settings, false);
    json_t *results = side_by_side("result", a->results, b->results, true);
    enum cli_style style = cli_style_of(args);
    if (style == CLI_JSON) {
        json_t *j = json_pack("{s:s,s:s,s:O,s:O}", "a", json_str(a->row, "id", ""), "b", json_str(b->row, "id", ""),
                              "settings", settings, "results", results);
        cli_print_json(j);
        json_decref(j);
    } else if (style == CLI_CSV) {
        cli_print_rows(settings, style);
    } else {
        print_side("a", a);
        print_side("b", b);
        printf(json_array_size(settings) ? "\nsettings that differ\n" : "\ntheir settings are the same\n");
        if (json_array_size(settings)) cli_print_rows(settings, style);
        printf("\nresults; whether they differ: sweep compare %s %s\n", json_str(a->row, "id", ""),
               json_str(b->row, "id", ""));
        cli_print_rows(results, style);
    }
    json_decref(settings);
    json_decref(results);
}

static struct status diff(const struct cli_args *args, struct store *s)
{
    struct side t[2] = {0};
    struct status st = ok();
    for (int i = 0; i < 2 && st.code == STATUS_OK; i++) st = read_side(&t[i], s, args->pos[i]);
    if (st.code == STATUS_OK) print(args, &t[0], &t[1]);
    for (int i = 0; i < 2; i++) {
        json_decref(t[i].row);
        json_decref(t[i].settings);
        json_decref(t[i].results);
    }
    return st;
}

CLI_COMMAND(cli_diff)
{
    (void)code;
    return cli_with_store(a, diff);
}
