/* Files, extends and --set into one experiment: layers of assignments, each checked where it is written. */
#include "load.h"
#include "trial.h"
#include <ctype.h>
#include <limits.h>
#include <sys/stat.h>

const char *load_join(struct load *l, const char *prefix, const char *name)
{
    return *prefix ? arena_printf(l->a, "%s.%s", prefix, name) : name;
}

void *load_grow(struct load *l, void *p, int n, int *cap, size_t size)
{
    if (n < *cap) return p;
    int more = *cap ? *cap * 2 : 8;
    void *out = arena_alloc(l->a, (size_t)more * size);
    if (n) memcpy(out, p, (size_t)n * size);
    *cap = more;
    return out;
}

struct status load_wrong(struct load *l, const struct node *n, const char *key, const char *expected)
{
    return node_fail(n, "%s: got %s, expected %s", key, node_describe(l->a, n), expected);
}

/* ---- values ---------------------------------------------------------------------------------------------------- */

static const struct node *spot_node(const struct node *n, const struct key_spot *spot)
{
    for (int d = 0; d < spot->depth; d++) {
        const struct node *e = n->child;
        for (int i = 0; e && i < spot->index[d]; i++) e = e->next;
        if (!e) return n;
        n = e;
    }
    return spot->at_key && n->key ? n->key : n;
}

/* @p at: where a failure stands. */
static struct status check_node(json_t **out, const struct node **at, const struct key *k, const struct node *n)
{
    struct key_spot spot;
    json_t *given = node_json(n);
    struct status s = key_check(out, k, given, &spot);
    json_decref(given);
    *at = s.code == STATUS_OK ? n : spot_node(n, &spot);
    return s.code == STATUS_OK ? s : node_fail(*at, "%s: %s", k->path, s.msg);
}

/* The mistakes of a list's other entries: each is looked for without those before it. */
static struct status note_others(struct load *l, const struct key *k, const struct node *n, const struct node *at,
                                 struct status first)
{
    struct status s = first;
    while (s.code != STATUS_OK && at != n) {
        NOTE(l, s);
        json_t *unused = NULL;
        n = node_without(l->a, n, at);
        s = check_node(&unused, &at, k, n);
        json_decref(unused);
    }
    return fail(STATUS_ARG, "%s", "");
}

struct status load_value(json_t **out, struct load *l, const struct key *k, const struct node *n, bool patterns)
{
    const struct node *at;
    struct status s = check_node(out, &at, k, n);
    if (s.code != STATUS_OK) return l->mistakes && at != n ? note_others(l, k, n, at, s) : s;
    json_array_append_new(l->s->owned, *out);
    if (k->pattern && !patterns && spec_is_pattern(json_string_value(*out))) {
        return node_fail(n, "%s: got pattern %s, expected a name; a pattern belongs in axes, include or exclude",
                         k->path, node_describe(l->a, n));
    }
    return ok();
}

static struct status set_fixed(struct load *l, void *ctx, const struct key *k, const struct node *n)
{
    (void)ctx;
    size_t i = (size_t)(k - key_table);
    if (l->fixed[i].value && l->fixed[i].layer == l->layer) {
        return node_fail(n->key, "%s: given twice: first at %s; keep one", k->path,
                         spec_mark_str(l->a, l->fixed[i].node->key->mark));
    }
    struct status s = load_value(&l->fixed[i].value, l, k, n, false);
    l->fixed[i].node = n;
    l->fixed[i].layer = l->layer;
    l->bad[i] = s.code != STATUS_OK;
    return s;
}

/* ---- keys ------------------------------------------------------------------------------------------------------ */

struct status load_walk(struct load *l, const char *path, const struct node *n, const struct load_visit *v)
{
    bool section = key_is_section(path);
    if (section && n->kind == NODE_MAP) return load_walk_map(l, path, n, v);
    if (section && node_is_null(n)) return ok(); /* "data:" with all its keys commented out */
    const struct key *k = section || v->loose ? key_find_loose(path) : key_find(path);
    if (k) return v->key(l, v->ctx, k, n);
    if (section) return load_wrong(l, n, path, "a map of its keys");
    return node_fail(n->key ? n->key : n, "%s: no such key%s", path, key_hint(l->a, path));
}

struct status load_walk_map(struct load *l, const char *prefix, const struct node *map, const struct load_visit *v)
{
    if (map->kind != NODE_MAP) return load_wrong(l, map, *prefix ? prefix : "the file", "a map of keys");
    for (const struct node *e = map->child; e; e = e->next) {
        NOTE(l, load_walk(l, load_join(l, prefix, e->key->text), e, v));
    }
    return ok();
}

static struct status take_name(struct load *l, const char *rest, const struct node *n)
{
    bool good = !*rest && n->kind == NODE_SCALAR && *n->text && *n->text != '.' && strlen(n->text) <= 100;
    for (const char *c = n->text; good && *c; c++) good = isalnum((unsigned char)*c) || strchr("._-", *c);
    if (!good)
        return load_wrong(l, n, "name", "letters, digits, dots, dashes and underscores; reports/NAME is made of it");
    l->s->name = n->text;
    return ok();
}

/* Read before all else of its file, by layer_file. */
static struct status take_extends(struct load *l, const char *rest, const struct node *n)
{
    (void)l, (void)rest, (void)n;
    return ok();
}

const struct document_key document_keys[] = {
    {"name", "what the sweep is called; the file's name when absent", take_name},
    {"extends", "file, or list of files, whose keys this one starts from; relative to this file", take_extends},
    {"axes",
     "key: list of alternatives; every combination is a cell. Also {log: [low, high, n]}, {linspace: [low, high, n]}, "
     "{range: [first, last, step]}, patterns over names (`\"regnet*\"`), a name with a list of maps, and {values: "
     "list, "
     "when: {key: value}} for an axis that only the cells that match have",
     load_axes},
    {"zip", "map, or list of maps, of key: list; the lists of one map advance together", load_zip},
    {"seeds", "how many times each cell runs: seed 0, 1, ...; tables show their mean and spread", load_seeds},
    {"sample",
     "draws so many cells instead of all: a number, or {n: 200, seed: 1, method: random or sobol}; more of a sample "
     "begins with the same cells. Axes may then be intervals, {log: [low, high]} or {linspace: [low, high]}",
     load_sample},
    {"include",
     "list of maps of key: value, pattern or list of them; only cells that match one are run. With when: "
     "{key: value} beside them, a rule about the cells that match that",
     load_include},
    {"exclude", "the same; cells that match one are not run", load_exclude},
    {"slurm", "how a cluster runs it (`sweep run --executor slurm`); its keys are below, none is part of a trial",
     load_slurm},
    {NULL, NULL, NULL},
};

/* What follows "axes" in "axes.seed"; NULL when the path is not of this document key. */
static const char *rest_of(const char *path, const char *name)
{
    size_t n = strlen(name);
    if (strncmp(path, name, n) != 0) return NULL;
    return path[n] == '.' ? path + n + 1 : !path[n] ? path + n : NULL;
}

/* One layer: every key of a document. */
static struct status layer_map(struct load *l, const struct node *map)
{
    const struct load_visit fix = {.key = set_fixed};
    if (map->kind != NODE_MAP) return load_wrong(l, map, "the file", "a map of keys");
    for (const struct node *e = map->child; e; e = e->next) {
        const char *rest = NULL;
        const struct document_key *d = document_keys;
        while (d->name && !(rest = rest_of(e->key->text, d->name))) d++;
        NOTE(l, d->name ? d->take(l, rest, e) : load_walk(l, e->key->text, e, &fix));
    }
    l->layer++;
    return ok();
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

static struct status layer_text(struct load *l, const char *where, const char *text, size_t n);

static struct status layer_file(struct load *l, const char *path)
{
    char *text;
    size_t n;
    TRY(fs_read(&text, &n, path));
    struct status s = layer_text(l, path, text, n);
    free(text);
    return s;
}

static struct status extend(struct load *l, const char *from, const struct node *n)
{
    if (n->kind != NODE_SCALAR || !*n->text) return load_wrong(l, n, "extends", "a file");
    const char *path = fs_join(l->a, fs_dirname(l->a, from), n->text);
    struct stat st;
    if (stat(path, &st) != 0) return node_fail(n, "extends: no file %s", path);
    if (!S_ISREG(st.st_mode)) return node_fail(n, "extends: %s is no file", path);
    if (l->n_files == LOAD_MAX_EXTENDS) return node_fail(n, "extends: more than %d files deep", LOAD_MAX_EXTENDS);
    if (++l->n_read > LOAD_MAX_FILES) return node_fail(n, "extends: more than %d files in all", LOAD_MAX_FILES);
    return layer_file(l, path);
}

static const char *real_path(struct load *l, const char *path)
{
    char *real = realpath(path, NULL);
    const char *out = arena_strdup(l->a, real ? real : path);
    free(real);
    return out;
}

static struct status layer_text(struct load *l, const char *where, const char *text, size_t n)
{
    struct node *root;
    TRY(node_parse(&root, l->a, where, text, n, true, l->mistakes));
    if (!root) return fail(STATUS_ARG, "%s: got an empty file, expected a map of keys", where);
    l->files[l->n_files++] = real_path(l, where);
    for (int i = 0; i + 1 < l->n_files; i++) {
        if (strcmp(l->files[i], l->files[l->n_files - 1]) == 0) {
            l->n_files--;
            return node_fail(root, "extends: %s is part of a circle of files that extend each other", where);
        }
    }
    for (const struct node *e = root->child; root->kind == NODE_MAP && e; e = e->next) {
        if (strcmp(e->key->text, "extends") != 0) continue;
        const struct node *one = e->kind == NODE_LIST ? e->child : e;
        for (; one; one = e->kind == NODE_LIST ? one->next : NULL) NOTE(l, extend(l, where, one));
    }
    l->n_files--;
    l->s->name = NULL; /* an extended file's name is not its heir's */
    return layer_map(l, root);
}

static struct status layer_set(struct load *l, const char *assignment)
{
    const char *where = arena_printf(l->a, "--set %s", assignment), *eq = strchr(assignment, '=');
    if (!eq || eq == assignment) return fail(STATUS_ARG, "%s: expected KEY=VALUE", where);
    const char *key = arena_printf(l->a, "%.*s", (int)(eq - assignment), assignment);
    struct node *value;
    TRY(node_parse(&value, l->a, where, eq + 1, strlen(eq + 1), false, l->mistakes));
    if (strcmp(key, "extends") == 0) return fail(STATUS_ARG, "%s: extends belongs in a file", where);
    if (!value) { /* nothing after the equals sign: null */
        value = arena_alloc(l->a, sizeof *value);
        *value = (struct node){.kind = NODE_SCALAR, .mark = {.file = where}, .text = "", .plain = true};
    }
    return layer_map(l, node_map_of(l->a, key, value, (struct spec_mark){.file = where}));
}

/* ---- the whole ------------------------------------------------------------------------------------------------- */

static const char *name_of_file(struct arena *a, const char *path)
{
    char *name = arena_strdup(a, fs_basename(path)), *dot = strrchr(name, '.');
    if (dot && dot != name) *dot = 0;
    for (char *c = name; *c; c++) {
        if (!isalnum((unsigned char)*c) && !strchr("_-", *c)) *c = '-';
    }
    return *name ? name : "sweep";
}

/* Rules between fixed keys, where no axis has a say; cells are checked again one by one. */
static struct status check_together(struct load *l)
{
    struct spec_trial t;
    TRY(spec_trial_from_json(&t, l->a, NULL, ""));
    for (int i = 0; i < key_count; i++) {
        if (l->fixed[i].value) key_set(&t, l->a, &key_table[i], l->fixed[i].value);
    }
    for (const struct trial_rule *r = trial_rules; r->check; r++) {
        const struct node *blamed = NULL;
        bool swept = false;
        for (size_t j = LEN(r->keys); j-- > 0;) {
            const struct key *k = key_find(r->keys[j]);
            const struct node *n = l->fixed[k - key_table].node;
            swept |= load_swept(l, k) || l->bad[k - key_table];
            if (n) blamed = n;
        }
        struct status s = r->check(&t);
        if (s.code != STATUS_OK && blamed && !swept) NOTE(l, node_fail(blamed, "%s: %s", r->keys[0], s.msg));
    }
    return ok();
}

static struct status finish(struct load *l)
{
    struct spec *s = l->s;
    TRY(load_finish_axes(l));
    load_finish_rules(l);
    TRY(check_together(l));
    s->fixed = arena_alloc(l->a, (size_t)key_count * sizeof *s->fixed);
    for (int i = 0; i < key_count; i++) {
        if (!l->fixed[i].value) continue;
        json_object_set(s->base, key_table[i].path, l->fixed[i].value);
        s->fixed[s->n_fixed++] = (struct spec_fixed){.key = key_table[i].path, .mark = l->fixed[i].node->mark};
    }
    if (!s->name) s->name = name_of_file(l->a, s->path);
    return ok();
}

static struct status load(struct spec **out, const char *path, const char *text, size_t n, const char *const *sets,
                          int n_sets, json_t *mistakes)
{
    CHECK(key_count <= LOAD_MAX_KEYS, "%d keys", key_count);
    struct spec *s = mem_zalloc(sizeof *s);
    s->path = arena_strdup(&s->arena, path);
    s->base = json_object();
    s->owned = json_array();
    struct load l = {.s = s, .a = &s->arena, .mistakes = mistakes};
    struct status st = text ? layer_text(&l, s->path, text, n) : layer_file(&l, s->path);
    for (int i = 0; i < n_sets && st.code == STATUS_OK; i++) st = spec_note(mistakes, layer_set(&l, sets[i]));
    if (st.code == STATUS_OK) st = finish(&l);
    if (st.code != STATUS_OK) {
        spec_free(s);
        s = NULL;
    }
    *out = s;
    return st;
}

struct status spec_load(struct spec **out, const char *path, const char *const *sets, int n_sets)
{
    return load(out, path, NULL, 0, sets, n_sets, NULL);
}

struct status spec_load_all(struct spec **out, const char *path, const char *const *sets, int n_sets, json_t *mistakes)
{
    return load(out, path, NULL, 0, sets, n_sets, mistakes);
}

struct status spec_parse(struct spec **out, const char *where, const char *text, size_t n)
{
    return load(out, where, text, n, NULL, 0, NULL);
}

struct status spec_parse_all(struct spec **out, const char *where, const char *text, size_t n, json_t *mistakes)
{
    return load(out, where, text, n, NULL, 0, mistakes);
}

struct status spec_from_sets(struct spec **out, const char *const *sets, int n_sets)
{
    return load(out, "--set", "{}", 2, sets, n_sets, NULL);
}

void spec_free(struct spec *s)
{
    if (!s) return;
    json_decref(s->base);
    json_decref(s->owned);
    arena_free(&s->arena);
    free(s);
}
