/* slurm: what the site's scheduler is asked for. Texts are passed on as they are, so they may hold no line break. */
#include "load.h"
#include <ctype.h>

bool spec_slurm_memory(int64_t *bytes, const char *text)
{
    static const char units[] = "KMGT";
    char digits[24];
    size_t n = strspn(text, "0123456789");
    int64_t v = 0;
    snprintf(digits, sizeof digits, "%.*s", (int)(n < 12 ? n : 12), text);
    if (n == 0 || n > 12 || !str_to_i64(digits, &v)) return false;
    const char *unit = text[n] ? strchr(units, toupper((unsigned char)text[n])) : strchr(units, 'M');
    if (!unit || (text[n] && text[n + 1])) return false;
    int shift = 10 * (int)(unit - units + 1);
    if (v < 1 || v > (INT64_C(1) << 50) >> shift) return false;
    *bytes = v << shift;
    return true;
}

/* Parts between colons, at most three; each a number of at most six digits. */
static int clock_parts(double part[3], const char *text)
{
    int n = 0;
    for (;; text++) {
        int64_t v;
        char digits[8];
        size_t len = strspn(text, "0123456789");
        if (n == 3 || len == 0 || len > 6) return 0;
        snprintf(digits, sizeof digits, "%.*s", (int)len, text);
        if (!str_to_i64(digits, &v)) return 0;
        part[n++] = (double)v;
        text += len;
        if (*text != ':') break;
    }
    return *text ? 0 : n;
}

bool spec_slurm_time(double *s, const char *text)
{
    double part[3] = {0}, days = 0;
    const char *dash = strchr(text, '-');
    char head[8];
    int64_t v = 0;
    if (dash) { /* days-hours[:minutes[:seconds]] */
        if (dash == text || dash - text > 6) return false;
        snprintf(head, sizeof head, "%.*s", (int)(dash - text), text);
        if (!str_to_i64(head, &v) || v < 0) return false;
        days = (double)v;
    }
    int n = clock_parts(part, dash ? dash + 1 : text);
    if (n == 0) return false;
    static const double dashed[3] = {3600, 60, 1}, plain[3][3] = {{60}, {60, 1}, {3600, 60, 1}};
    const double *unit = dash ? dashed : plain[n - 1];
    *s = 86400 * days;
    for (int i = 0; i < n; i++) *s += unit[i] * part[i];
    return *s >= 60;
}

static bool one_line(const struct node *n)
{
    if (n->kind != NODE_SCALAR || !*n->text) return false;
    for (const char *c = n->text; *c; c++)
        if (iscntrl((unsigned char)*c)) return false;
    return true;
}

static bool take_text(void *at, struct load *l, const struct node *n)
{
    (void)l;
    if (!one_line(n) || strpbrk(n->text, " \t")) return false;
    *(const char **)at = n->text;
    return true;
}

static bool take_time(void *at, struct load *l, const struct node *n)
{
    (void)l;
    return n->kind == NODE_SCALAR && spec_slurm_time(at, n->text);
}

static bool take_memory(void *at, struct load *l, const struct node *n)
{
    (void)l;
    return n->kind == NODE_SCALAR && spec_slurm_memory(at, n->text);
}

static bool take_count(void *at, struct load *l, const struct node *n)
{
    int64_t v;
    (void)l;
    if (n->kind != NODE_SCALAR || !str_to_i64(n->text, &v) || v < 1 || v > 100000) return false;
    *(int *)at = (int)v;
    return true;
}

static bool take_lines(void *at, struct load *l, const struct node *n)
{
    struct spec_lines *out = at;
    (void)l;
    *out = (struct spec_lines){0};
    for (const struct node *e = n->kind == NODE_LIST ? n->child : n; e; e = n->kind == NODE_LIST ? e->next : NULL) {
        if (out->n == SPEC_MAX_LINES || !one_line(e)) return false;
        out->v[out->n++] = e->text;
    }
    return n->kind != NODE_MAP;
}

static bool take_options(void *at, struct load *l, const struct node *n)
{
    const struct spec_lines *out = at;
    if (!take_lines(at, l, n)) return false;
    for (int i = 0; i < out->n; i++)
        if (out->v[i][0] != '-') return false;
    return true;
}

static const char word[] = "a word without spaces";
/* clang-format off */
static const struct member {
    const char *name;
    size_t at;
    bool (*take)(void *at, struct load *l, const struct node *n);
    const char *expected, *doc;
} members[] = {
#define AT(x) offsetof(struct spec_slurm, x)
    {"partition", AT(partition), take_text, word, "where the jobs run"},
    {"account", AT(account), take_text, word, "whom they are charged to"},
    {"qos", AT(qos), take_text, word, "quality of service"},
    {"gres", AT(gres), take_text, word, "what a task needs beside cores and memory: `gpu:1`"},
    {"constraint", AT(constraint), take_text, word, "features that a node must have"},
    {"time", AT(time_s), take_time, "a time as Slurm writes it: minutes, hours:minutes:seconds, days-hours, from one minute on",
     "the most that a task may take (default: a day, or less where less is predicted). A task goes on with the next "
     "trial while there is time, and one that is cut goes on from its checkpoint"},
    {"mem", AT(bytes), take_memory, "memory as Slurm writes it: megabytes, or a number with K, M, G or T",
     "memory of a task (default: what is predicted, and half as much again)"},
    {"cpus", AT(cpus), take_count, "a whole number from 1 to 100000", "cores of a task (default: the site's)"},
    {"array_width", AT(array_width), take_count, "a whole number from 1 to 100000",
     "tasks of an array that run at once (default: no limit but the site's)"},
    {"extra", AT(extra), take_options, "a list of options of sbatch, each beginning with -",
     "options of sbatch as they are: `[--exclusive, --nice=100]`"},
    {"setup", AT(setup), take_lines, "a list of shell lines", "what a job does first: `[module load cuda]`"},
#undef AT
};
/* clang-format on */

static struct status set_member(struct load *l, const char *name, const struct node *n)
{
    struct spec_slurm *s = &l->s->slurm;
    const char *names[LEN(members) + 1] = {NULL};
    for (size_t i = 0; i < LEN(members); i++) {
        const struct member *m = &members[i];
        names[i] = m->name;
        if (strcmp(m->name, name) != 0) continue;
        s->mark = n->mark;
        return m->take((char *)s + m->at, l, n) ? ok() : load_wrong(l, n, load_join(l, "slurm", name), m->expected);
    }
    const char *near = str_nearest(name, names);
    return node_fail(n->key ? n->key : n, "slurm.%s: no such key%s%s%s; `sweep keys` lists them", name,
                     near ? "; did you mean slurm." : "", near ? near : "", near ? "?" : "");
}

struct status load_slurm(struct load *l, const char *rest, const struct node *n)
{
    if (*rest) return set_member(l, rest, n); /* one of its keys; the others stay */
    if (node_is_null(n)) return ok();
    if (n->kind != NODE_MAP) return load_wrong(l, n, "slurm", "a map of its keys");
    for (const struct node *e = n->child; e; e = e->next) NOTE(l, set_member(l, e->key->text, e));
    return ok();
}

/* By how a key is read; a scalar counts as it is written, so a number is a text, too. */
static json_t *member_schema(const struct member *m)
{
    /* clang-format off */
    static const struct {
        bool (*take)(void *at, struct load *l, const struct node *n);
        const char *schema;
    } kinds[] = {
        {take_text, SCHEMA({"type": ["string", "number"], "pattern": "^[^ \t]+$"})},
        {take_time, SCHEMA({"type": ["string", "integer"], "pattern": "^[0-9]+(-[0-9]+)?(:[0-9]+){0,2}$", "minimum": 1})},
        {take_memory, SCHEMA({"type": ["string", "integer"], "pattern": "^[0-9]{1,12}[KMGTkmgt]?$", "minimum": 1})},
        {take_count, SCHEMA({"type": ["string", "integer"], "pattern": "^[0-9]+$", "minimum": 1, "maximum": 100000})},
        {take_options, SCHEMA({"anyOf": [{"type": "string", "pattern": "^-"},
                                         {"type": "array", "items": {"type": "string", "pattern": "^-"}}]})},
        {take_lines, SCHEMA({"anyOf": [{"type": "string", "minLength": 1},
                                       {"type": "array", "items": {"type": "string", "minLength": 1}}]})},
    };
    /* clang-format on */
    size_t i = 0;
    while (i + 1 < LEN(kinds) && kinds[i].take != m->take) i++;
    json_t *out = schema_of(kinds[i].schema);
    struct arena a = {0};
    json_object_set_new(out, "description", json_string(arena_printf(&a, "%s: %s", m->doc, m->expected)));
    arena_free(&a);
    return out;
}

json_t *load_slurm_schema(void)
{
    json_t *properties = json_object();
    for (size_t i = 0; i < LEN(members); i++)
        json_object_set_new(properties, members[i].name, member_schema(&members[i]));
    return json_pack("{s:[s,s],s:o,s:b}", "type", "object", "null", "properties", properties, "additionalProperties",
                     0);
}

static void copy_lines(struct arena *a, struct spec_lines *lines)
{
    for (int i = 0; i < lines->n; i++) lines->v[i] = arena_strdup(a, lines->v[i]);
}

struct spec_slurm spec_slurm_copy(struct arena *a, const struct spec_slurm *s)
{
    struct spec_slurm out = *s;
    const char **texts[] = {&out.partition, &out.account, &out.qos, &out.gres, &out.constraint, &out.mark.file};
    for (size_t i = 0; i < LEN(texts); i++)
        if (*texts[i]) *texts[i] = arena_strdup(a, *texts[i]);
    copy_lines(a, &out.extra);
    copy_lines(a, &out.setup);
    return out;
}

void slurm_markdown(struct str *out)
{
    str_add(out, "| key | values | what |\n|---|---|---|\n");
    for (size_t i = 0; i < LEN(members); i++)
        str_addf(out, "| `slurm.%s` | %s | %s |\n", members[i].name, members[i].expected, members[i].doc);
}
