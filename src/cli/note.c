/* note, tag: what a person says of a trial; and --where, which finds it again. */
#include "inside.h"
#include "spec.h"
#include <ctype.h>

enum { LONGEST_TAG = 40, LONGEST_NOTE = 10000 };

static json_t *tags_of(const json_t *trial)
{
    json_t *tags = NULL;
    const char *text = json_str(trial, "tags", "[]");
    struct status st = json_parse(&tags, "tags", text, strlen(text));
    return st.code == STATUS_OK ? tags : json_array();
}

static void print_tags(const struct cli_args *a, const json_t *tags)
{
    if (a->value[OPT_JSON]) {
        cli_print_json(tags);
        return;
    }
    for (size_t i = 0; i < json_array_size(tags); i++) printf("%s\n", json_string_value(json_array_get(tags, i)));
}

static struct status check_tag(const char *tag)
{
    bool good = *tag && strlen(tag) <= LONGEST_TAG;
    for (const char *c = tag; good && *c; c++) good = isalnum((unsigned char)*c) || strchr("._-", *c);
    return good ? ok()
                : fail(STATUS_ARG, "tag \"%s\": expected at most %d letters, digits, dots, dashes and underscores", tag,
                       LONGEST_TAG);
}

/* The list with a word, or without it, in order and each once. */
static json_t *changed(const json_t *tags, const char *tag, bool gone)
{
    json_t *set = json_object(), *out = json_array(), *v;
    const char *name;
    for (size_t i = 0; i < json_array_size(tags); i++)
        json_object_set_new(set, json_string_value(json_array_get(tags, i)), json_true());
    if (gone)
        json_object_del(set, tag);
    else
        json_object_set_new(set, tag, json_true());
    char *sorted = json_canonical(set);
    json_decref(set);
    set = json_loads(sorted, 0, NULL);
    json_object_foreach(set, name, v) json_array_append_new(out, json_string(name));
    free(sorted);
    json_decref(set);
    return out;
}

static struct status change_tags(json_t **tags, const struct cli_args *a, struct store *s, const char *id)
{
    for (int i = 1; i < a->n_pos; i++) {
        TRY(check_tag(a->pos[i]));
        json_t *next = changed(*tags, a->pos[i], a->value[OPT_REMOVE] != NULL);
        json_decref(*tags);
        *tags = next;
    }
    return store_set_tags(s, id, json_array_size(*tags) ? *tags : NULL);
}

CLI_COMMAND(cli_tag)
{
    struct store *s;
    json_t *t;
    (void)code;
    if (a->value[OPT_REMOVE] && a->n_pos < 2) return fail(STATUS_ARG, "--remove: expected the tags to remove");
    TRY(cli_open(&s, a, a->n_pos > 1));
    struct status st = cli_trial(&t, s, a->pos[0]);
    if (st.code == STATUS_OK) {
        json_t *tags = tags_of(t);
        if (a->n_pos > 1) st = change_tags(&tags, a, s, json_str(t, "id", ""));
        if (st.code == STATUS_OK) print_tags(a, tags);
        json_decref(tags);
        json_decref(t);
    }
    store_close(s);
    return st;
}

CLI_COMMAND(cli_note)
{
    struct store *s;
    json_t *t;
    const char *text = a->n_pos > 1 ? a->pos[1] : NULL;
    (void)code;
    if (text && strlen(text) > LONGEST_NOTE) return fail(STATUS_ARG, "sweep note: at most %d bytes", LONGEST_NOTE);
    TRY(cli_open(&s, a, text != NULL));
    struct status st = cli_trial(&t, s, a->pos[0]);
    if (st.code == STATUS_OK) {
        if (text) st = store_set_note(s, json_str(t, "id", ""), *text ? text : NULL);
        const char *now = text ? text : json_str(t, "note", "");
        json_t *j = json_string(now);
        if (st.code == STATUS_OK && a->value[OPT_JSON]) cli_print_json(j);
        if (st.code == STATUS_OK && !a->value[OPT_JSON] && *now) printf("%s\n", now);
        json_decref(j);
        json_decref(t);
    }
    store_close(s);
    return st;
}

/* ---- --where ----------------------------------------------------------------------------------------------------- */

static void add_quoted(struct str *out, const char *text)
{
    str_add(out, "'");
    for (; *text; text++) str_addf(out, *text == '\'' ? "''" : "%c", *text);
    str_add(out, "'");
}

static bool is_key(const char *name)
{
    json_t *keys = spec_keys_json();
    bool found = false;
    for (size_t i = 0; i < json_array_size(keys) && !found; i++)
        found = strcmp(json_str(json_array_get(keys, i), "key", ""), name) == 0;
    json_decref(keys);
    return found;
}

/* A setting as the database has it, whatever way it was written: 1e-2 is 0.01. */
static struct status add_setting(struct str *out, const char *key, const char *text)
{
    json_t *given = json_loads(text, JSON_DECODE_ANY, NULL), *v;
    if (!given) given = json_string(text);
    struct status st = spec_check_value(&v, key, given, "--where");
    json_decref(given);
    TRY(st);
    str_addf(out, "json_extract(config, '$.\"%s\"') IS ", key);
    char *plain = json_canonical(v);
    if (json_is_number(v))
        str_add(out, plain);
    else if (json_is_boolean(v))
        str_add(out, json_is_true(v) ? "1" : "0");
    else if (json_is_null(v))
        str_add(out, "NULL");
    else
        add_quoted(out, json_is_string(v) ? json_string_value(v) : plain);
    free(plain);
    json_decref(v);
    return ok();
}

struct status cli_where(struct str *out, const struct cli_args *a)
{
    const char *text = a->value[OPT_WHERE] ? a->value[OPT_WHERE] : "1", *eq = strchr(text, '=');
    struct arena mem = {0};
    const char *key = eq ? arena_printf(&mem, "%.*s", (int)(eq - text), text) : "";
    struct status st = ok();
    if (strcmp(key, "tag") == 0) {
        st = check_tag(eq + 1);
        str_add(out, "EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ");
        add_quoted(out, eq + 1);
        str_add(out, ")");
    } else if (strchr(key, '.') && is_key(key)) {
        st = add_setting(out, key, eq + 1);
    } else {
        str_add(out, text);
    }
    arena_free(&mem);
    if (st.code != STATUS_OK) str_free(out);
    return st;
}
