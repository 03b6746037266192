/*
 * complete: what the last word of a command line may become. The shells' scripts (completion.c) know nothing of sweep:
 * they hand all words over and show what comes back, a candidate a line, "\t" and what it means behind it; a line
 * ":files" says that paths fit too. What a place wants is read off the table of commands: ARCH in .args is an
 * architecture, TRIAL a trial. Whatever goes wrong is silence: a person is in the middle of typing.
 */
#include "inside.h"
#include "zoo.h"

struct ask {
    const char *word; /* what is there of it; "" when nothing is */
    const char *lead; /* what stands before a candidate in the same word: "resnet18," */
    const char *db;
};

static void offer(const struct ask *q, const char *text, const char *about)
{
    if (strncmp(text, q->word, strlen(q->word)) != 0) return;
    printf("%s%s", q->lead, text);
    if (about && *about) printf("\t%.*s", (int)strcspn(about, "\n\t"), about);
    putchar('\n');
}

static void offer_names(const struct ask *q, const char *const *names)
{
    for (; *names; names++) offer(q, *names, NULL);
}

/* ---- sources ---------------------------------------------------------------------------------------------------- */

/* Rows (text, about) of the database, where there is one. */
static void offer_rows(const struct ask *q, const char *sql)
{
    struct store *s;
    json_t *rows;
    if (!fs_exists(q->db)) return;
    if (store_open(&s, (struct store_options){.path = q->db, .read_only = true}).code != STATUS_OK) return;
    json_t *params = json_pack("[s]", q->word);
    if (store_rows(&rows, s, sql, params).code == STATUS_OK) {
        for (size_t i = 0; i < json_array_size(rows); i++) {
            const json_t *row = json_array_get(rows, i);
            offer(q, json_str(row, "text", ""), json_str(row, "about", ""));
        }
        json_decref(rows);
    }
    json_decref(params);
    store_close(s);
}

static void trials(const struct ask *q)
{
    offer_rows(q,
               "SELECT id AS text, arch || '/' || backbone || ', seed ' || seed || ', ' || state AS about FROM trials "
               "WHERE substr(id, 1, length(?1)) = ?1 ORDER BY id LIMIT 500");
}

static void cells(const struct ask *q)
{
    trials(q);
    offer_rows(q, "SELECT DISTINCT arch || '/' || backbone AS text, 'a cell, over its seeds' AS about FROM trials "
                  "WHERE substr(arch || '/' || backbone, 1, length(?1)) = ?1 ORDER BY 1 LIMIT 500");
}

static void sweeps(const struct ask *q)
{
    offer_rows(q,
               "SELECT w.name AS text, count(st.trial) || ' trials' AS about FROM sweeps w LEFT JOIN sweep_trials st "
               "ON st.sweep = w.id WHERE substr(w.name, 1, length(?1)) = ?1 GROUP BY w.id ORDER BY w.updated DESC "
               "LIMIT 500");
}

static void columns(const struct ask *q)
{
    offer_rows(q, "SELECT name AS text FROM pragma_table_info('results') WHERE substr(name, 1, length(?1)) = ?1");
}

static void archs(const struct ask *q)
{
    offer_names(q, zoo_arch_names());
}

static void backbones(const struct ask *q)
{
    offer_names(q, zoo_backbone_names());
}

static void files(const struct ask *q)
{
    if (!*q->lead) puts(":files");
}

static void trials_and_files(const struct ask *q)
{
    trials(q);
    files(q);
}

static void commands(const struct ask *q)
{
    for (int i = 0; cli_commands[i].name; i++) offer(q, cli_commands[i].name, cli_commands[i].summary);
}

static void shells(const struct ask *q)
{
    offer_names(q, cli_shells);
}

static void stages(const struct ask *q)
{
    for (int i = 0; i < PLAN_N_KINDS; i++) offer(q, plan_kinds[i].name, NULL);
}

static void keys_with(const struct ask *q, const char *after)
{
    json_t *keys = spec_keys_json();
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *k = json_array_get(keys, i);
        char text[160];
        snprintf(text, sizeof text, "%s%s", json_str(k, "key", ""), after);
        offer(q, text, json_str(k, "doc", ""));
    }
    json_decref(keys);
}

static void keys(const struct ask *q)
{
    keys_with(q, "");
}

static void choices(const struct ask *q, const char *key)
{
    if (strcmp(key, "model.arch") == 0 || strcmp(key, "arch") == 0) archs(q);
    if (strcmp(key, "model.backbone") == 0 || strcmp(key, "backbone") == 0) backbones(q);
    json_t *words = spec_key_choices(key);
    for (size_t i = 0; i < json_array_size(words); i++) offer(q, json_string_value(json_array_get(words, i)), NULL);
    json_decref(words);
}

/* KEY=VALUE: the key, then what it may be; a list's names one by one. */
static void settings(const struct ask *q)
{
    struct arena a = {0};
    const char *eq = strchr(q->word, '=');
    if (!eq) {
        keys_with(q, "=");
        return;
    }
    const char *key = arena_printf(&a, "%.*s", (int)(eq - q->word), q->word);
    const char *path = strncmp(key, "axes.", 5) == 0 ? key + 5 : key, *last = eq + 1;
    for (const char *p = last; *p; p++)
        if (*p == ',' || *p == '[') last = p + 1;
    struct ask of = {.word = last, .lead = arena_printf(&a, "%.*s", (int)(last - q->word), q->word), .db = q->db};
    choices(&of, path);
    arena_free(&a);
}

/* clang-format off */
/* By the word that stands for it in the table of commands. */
static const struct {
    const char *place;
    void (*offer)(const struct ask *q);
} sources[] = {
    {"TRIAL", trials}, {"A", cells}, {"B", cells}, {"TRIAL|FILE", trials_and_files},
    {"SWEEP", sweeps}, {"ARCH", archs}, {"BACKBONE", backbones}, {"PREFIX", keys}, {"KEY=VALUE", settings},
    {"FILE", files}, {"FOLDER", files}, {"PATH", files}, {"SHELL", shells}, {"COMMAND", commands}, {"COLUMN", columns},
    {"STAGE", stages}, {"NAME", sweeps},
};
/* Options whose value is one of a few words; "NAME" alone would not say which. */
static const struct {
    enum cli_option_id id;
    const char *words[10];
} words_of[] = {
    {OPT_EXECUTOR, {"local", "slurm"}}, {OPT_KEEP, {"best", "none"}}, {OPT_MODE, {"quick", "normal", "thorough"}},
    {OPT_GPUS, {"none"}}, {OPT_SLOTS, {"auto"}}, {OPT_TAG, {"imagenet"}},
    {OPT_FORMAT, {"smp"}},
};
/* Options whose value is one of what a key takes. */
static const struct {
    enum cli_option_id id;
    const char *key;
} keys_of[] = {{OPT_DEVICE, "devices"}, {OPT_FORMAT, "export.formats"}};
/* clang-format on */

/* @p place: one word of a command's .args, brackets and dots around it or not. */
static void offer_place(const struct ask *q, const char *place, size_t n)
{
    while (n && *place == '[') place++, n--;
    while (n && strchr("].", place[n - 1])) n--;
    for (size_t i = 0; i < LEN(sources); i++) {
        if (strlen(sources[i].place) == n && strncmp(sources[i].place, place, n) == 0) sources[i].offer(q);
    }
}

/* ---- where the word stands ----------------------------------------------------------------------------------------
 */

/* "NAME,...": only what follows the last comma is asked for. */
static void option_value(struct ask q, enum cli_option_id id)
{
    struct arena a = {0};
    const char *arg = cli_options[id].arg, *comma = strstr(arg, ",...") ? strrchr(q.word, ',') : NULL;
    if (comma) {
        q.lead = arena_printf(&a, "%s%.*s", q.lead, (int)(comma + 1 - q.word), q.word);
        q.word = comma + 1;
    }
    bool found = false;
    for (size_t i = 0; i < LEN(words_of); i++) {
        if (words_of[i].id != id) continue;
        offer_names(&q, words_of[i].words);
        found = true;
    }
    for (size_t i = 0; i < LEN(keys_of); i++) {
        if (keys_of[i].id != id) continue;
        choices(&q, keys_of[i].key);
        found = true;
    }
    if (!found) offer_place(&q, arg, strcspn(arg, ","));
    arena_free(&a);
}

static void option_names(const struct ask *q, const struct cli_command *c)
{
    for (int i = 0; i < c->n_options; i++) offer(q, cli_options[c->options[i]].name, cli_options[c->options[i]].doc);
    offer(q, cli_options[OPT_HELP].name, cli_options[OPT_HELP].doc);
}

/* One alternative of .args, "show ARCH BACKBONE", against the arguments before the word. */
static void alternative(const struct ask *q, const char *form, size_t n, const char **pos, int n_pos)
{
    for (int at = 0; n; at++) {
        size_t skip = strspn(form, " "), len;
        if (skip >= n) return;
        form += skip, n -= skip;
        len = strcspn(form, " ");
        len = len < n ? len : n;
        bool literal = *form >= 'a' && *form <= 'z',
             repeats = len > 3 && strstr(form, "...") && strstr(form, "...") < form + len;
        if (at == n_pos || (repeats && at < n_pos)) {
            char text[40];
            snprintf(text, sizeof text, "%.*s", (int)len, form);
            if (literal)
                offer(q, text, NULL);
            else
                offer_place(q, form, len);
            return;
        }
        if (literal && (strlen(pos[at]) != len || strncmp(pos[at], form, len) != 0)) return;
        form += len, n -= len;
    }
}

static void argument(const struct ask *q, const struct cli_command *c, const char **pos, int n_pos)
{
    for (const char *p = c->args; *p;) {
        const char *bar = strstr(p, " | ");
        size_t n = bar ? (size_t)(bar - p) : strlen(p);
        alternative(q, p, n, pos, n_pos);
        p += n + (bar ? 3 : 0);
    }
}

static int option_of(const struct cli_command *c, const char *word)
{
    size_t n = strcspn(word, "=");
    for (int i = 0; i < c->n_options; i++) {
        const char *name = cli_options[c->options[i]].name;
        if (strlen(name) == n && strncmp(name, word, n) == 0) return (int)c->options[i];
    }
    return -1;
}

/* Words 1 .. n-1 after the command's name; the last is asked for. */
static void of_command(struct ask q, const struct cli_command *c, const char **words, int n)
{
    const char **pos = mem_zalloc(sizeof *pos * (size_t)(n + 1));
    int n_pos = 0, wants = -1;
    for (int i = 0; i < n - 1; i++) {
        int id = wants >= 0 ? -1 : option_of(c, words[i]);
        const char *eq = strchr(words[i], '=');
        const char *value = wants >= 0 ? words[i] : id >= 0 && eq ? eq + 1 : NULL;
        if (value && (wants == OPT_DB || id == OPT_DB)) q.db = value;
        if (wants < 0 && words[i][0] != '-') pos[n_pos++] = words[i];
        wants = id >= 0 && cli_options[id].arg && !eq ? id : -1;
    }
    const char *eq = strchr(q.word, '=');
    int id = wants < 0 && eq ? option_of(c, q.word) : -1;
    if (wants >= 0)
        option_value(q, (enum cli_option_id)wants);
    else if (id >= 0 && cli_options[id].arg) {
        char lead[64];
        snprintf(lead, sizeof lead, "%.*s", (int)(eq + 1 - q.word), q.word);
        option_value((struct ask){.word = eq + 1, .lead = lead, .db = q.db}, (enum cli_option_id)id);
    } else if (q.word[0] == '-')
        option_names(&q, c);
    else
        argument(&q, c, pos, n_pos);
    free(pos);
}

CLI_COMMAND(cli_complete)
{
    (void)code;
    const char *none[] = {""}, **words = a->n_pos ? a->pos : none;
    int n = a->n_pos ? a->n_pos : 1;
    struct ask q = {.word = words[n - 1], .lead = "", .db = cli_db(a)};
    if (n == 1) {
        commands(&q);
        if (q.word[0] == '-') {
            offer(&q, "--help", cli_options[OPT_HELP].doc);
            offer(&q, "--version", NULL);
        }
        return ok();
    }
    if (strcmp(words[0], "help") == 0 && n == 2) commands(&q);
    for (int i = 0; cli_commands[i].name; i++) {
        if (strcmp(cli_commands[i].name, words[0]) == 0) of_command(q, &cli_commands[i], words + 1, n - 1);
    }
    return ok();
}
