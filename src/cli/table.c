/* Rows as aligned columns, CSV or JSON. */
#include "inside.h"
#include <math.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum cli_style cli_style_of(const struct cli_args *a)
{
    return a->value[OPT_JSON] ? CLI_JSON : a->value[OPT_CSV] ? CLI_CSV : CLI_ALIGNED;
}

const char *cli_count(double n)
{
    static char ring[8][32];
    static unsigned at;
    char *out = ring[at++ % LEN(ring)];
    static const char *const unit[] = {"", " k", " M", " G", " T"};
    size_t u = 0;
    while (fabs(n) >= 1000 && u + 1 < LEN(unit)) {
        n /= 1000;
        u++;
    }
    snprintf(out, sizeof ring[0], u ? "%.3g%s" : "%.0f%s", n, unit[u]);
    return out;
}

const char *cli_seconds(double s)
{
    static char ring[8][32];
    static unsigned at;
    char *out = ring[at++ % LEN(ring)];
    if (s < 60)
        snprintf(out, sizeof ring[0], "%.*f s", s < 10 ? 1 : 0, s);
    else if (s < 3600)
        snprintf(out, sizeof ring[0], "%d min %02d s", (int)s / 60, (int)s % 60);
    else
        snprintf(out, sizeof ring[0], "%d h %02d min", (int)(s / 3600), (int)fmod(s, 3600) / 60);
    return out;
}

/* Columns on a terminal, not bytes: continuation bytes take no place. */
static bool continues(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

static int width_of(const char *s)
{
    int n = 0;
    for (; *s; s++) n += !continues(*s);
    return n;
}

/* Bytes of the first @p width characters. */
static int bytes_of(const char *s, int width)
{
    int n = 0;
    while (s[n] && (width > 0 || continues(s[n]))) width -= !continues(s[n++]);
    return n;
}

enum { DATA = 0, WIDEST = 60, NARROWEST = 12 /* of texts in a table */ };

/* A cell's text; a long text is cut to @p most columns in a table, never in data. */
static void cell_text(struct str *out, const json_t *v, int most)
{
    bool cut = most != DATA;
    out->n = 0;
    str_add(out, "");
    if (json_is_string(v)) {
        const char *s = json_string_value(v);
        if (cut && width_of(s) > most)
            str_addf(out, "%.*s...", bytes_of(s, most - 3), s);
        else
            str_add(out, s);
        for (char *p = out->s; cut && *p; p++)
            if (*p == '\n' || *p == '\t') *p = ' ';
    } else if (json_is_integer(v)) {
        str_addf(out, "%lld", (long long)json_integer_value(v));
    } else if (json_is_real(v)) {
        char number[JSON_REAL_MAX];
        json_real_text(number, json_real_value(v));
        if (cut)
            str_addf(out, "%.4g", json_real_value(v));
        else
            str_add(out, number);
    } else if (json_is_boolean(v)) {
        str_add(out, json_is_true(v) ? "yes" : "no");
    } else if (v && !json_is_null(v)) {
        char *text = json_text(v, 0);
        str_add(out, text);
        free(text);
    }
}

static void pad(const char *s, int width, bool right)
{
    int gap = width - width_of(s);
    if (right) printf("%*s", gap > 0 ? gap : 0, "");
    printf("%s", s);
    if (!right) printf("%*s", gap > 0 ? gap : 0, "");
}

struct columns {
    const char *names[256];
    int width[256], most[256]; /* of the widest cell; that a text may have */
    bool right[256];
    int n;
};

static void measure(struct columns *c, const json_t *rows)
{
    struct str text = {0};
    for (int i = 0; i < c->n; i++) {
        bool number = true, any = false;
        if (!c->most[i]) c->most[i] = WIDEST;
        c->width[i] = width_of(c->names[i]);
        for (size_t r = 0; r < json_array_size(rows); r++) {
            const json_t *v = json_object_get(json_array_get(rows, r), c->names[i]);
            cell_text(&text, v, c->most[i]);
            int w = width_of(text.s);
            if (w > c->width[i]) c->width[i] = w;
            if (v && !json_is_null(v)) {
                any = true;
                number = number && json_is_number(v);
            }
        }
        c->right[i] = number && any;
    }
    str_free(&text);
}

static int whole_width(const struct columns *c)
{
    int sum = -2;
    for (int i = 0; i < c->n; i++) sum += c->width[i] + 2;
    return sum;
}

/* The widest text that may be narrower; -1: none. */
static int widest_text(const struct columns *c, const json_t *rows)
{
    int best = -1;
    for (int i = 0; i < c->n; i++) {
        bool text = false;
        for (size_t r = 0; r < json_array_size(rows) && !text; r++)
            text = json_is_string(json_object_get(json_array_get(rows, r), c->names[i]));
        bool can = text && c->width[i] > NARROWEST && c->width[i] > width_of(c->names[i]) && c->most[i] > NARROWEST;
        if (can && (best < 0 || c->width[i] > c->width[best])) best = i;
    }
    return best;
}

/* Makes the table as narrow as the terminal: texts are cut, then the last columns left out; a number is never cut.
 * Returns how many columns are left out. */
static int fit(struct columns *c, const json_t *rows, int width)
{
    int all = c->n;
    measure(c, rows);
    for (int i; whole_width(c) > width && (i = widest_text(c, rows)) >= 0;) {
        int spare = whole_width(c) - width;
        c->most[i] = c->width[i] - spare > NARROWEST ? c->width[i] - spare : NARROWEST;
        measure(c, rows);
    }
    while (c->n > 1 && whole_width(c) > width) c->n--;
    return all - c->n;
}

/* Columns of the terminal that stdout is; 0: it is none, and gets all. */
static int terminal_width(void)
{
    struct winsize w = {0};
    return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 ? w.ws_col : 0;
}

static void print_aligned(struct columns *c, const json_t *rows)
{
    struct str text = {0};
    int width = terminal_width(), left_out = 0;
    if (width)
        left_out = fit(c, rows, width);
    else
        measure(c, rows);
    for (int i = 0; i < c->n; i++) {
        pad(c->names[i], i + 1 < c->n || c->right[i] ? c->width[i] : 0, c->right[i]);
        printf("%s", i + 1 < c->n ? "  " : "\n");
    }
    for (size_t r = 0; r < json_array_size(rows); r++)
        for (int i = 0; i < c->n; i++) {
            cell_text(&text, json_object_get(json_array_get(rows, r), c->names[i]), c->most[i]);
            pad(text.s, i + 1 < c->n || c->right[i] ? c->width[i] : 0, c->right[i]);
            printf("%s", i + 1 < c->n ? "  " : "\n");
        }
    str_free(&text);
    if (!left_out) return;
    printf("left out, for which %d columns are too few:", width);
    for (int i = c->n; i < c->n + left_out; i++) printf(" %s", c->names[i]);
    printf(" (`| cat` shows all)\n");
}

static void print_csv_field(const char *s)
{
    if (!s[strcspn(s, ",\"\r\n")]) {
        printf("%s", s);
        return;
    }
    putchar('"');
    for (; *s; s++) {
        if (*s == '"') putchar('"');
        putchar(*s);
    }
    putchar('"');
}

static void print_csv(const struct columns *c, const json_t *rows)
{
    struct str text = {0};
    for (int i = 0; i < c->n; i++) {
        print_csv_field(c->names[i]);
        printf("%s", i + 1 < c->n ? "," : "\n");
    }
    for (size_t r = 0; r < json_array_size(rows); r++)
        for (int i = 0; i < c->n; i++) {
            cell_text(&text, json_object_get(json_array_get(rows, r), c->names[i]), DATA);
            print_csv_field(text.s);
            printf("%s", i + 1 < c->n ? "," : "\n");
        }
    str_free(&text);
}

void cli_print_json(const json_t *j)
{
    char *text = json_text(j, 1);
    printf("%s\n", text);
    free(text);
}

static void print_columns(struct columns *c, const json_t *rows, enum cli_style style)
{
    if (style == CLI_JSON) {
        cli_print_json(rows);
    } else if (style == CLI_CSV) {
        print_csv(c, rows);
    } else {
        print_aligned(c, rows);
    }
}

void cli_print_rows(const json_t *rows, enum cli_style style)
{
    struct columns c = {.n = 0};
    const char *name;
    json_t *v;
    json_object_foreach(json_array_get(rows, 0), name, v)
    {
        if (c.n < (int)LEN(c.names)) c.names[c.n++] = name;
    }
    print_columns(&c, rows, style);
}

struct collect {
    json_t *rows;
    struct columns *c;
    struct arena a;
};

static struct status collect_row(void *ctx, const struct store_row *row)
{
    struct collect *k = ctx;
    if (!row->v) {
        k->c->n = row->n < (int)LEN(k->c->names) ? row->n : (int)LEN(k->c->names);
        for (int i = 0; i < k->c->n; i++) { /* two columns of one name stay two */
            const char *name = row->names[i];
            for (int twin = 2, j = 0; j < i; j++)
                if (strcmp(k->c->names[j], name) == 0) {
                    name = arena_printf(&k->a, "%s:%d", row->names[i], twin++);
                    j = -1;
                }
            k->c->names[i] = arena_strdup(&k->a, name);
        }
        return ok();
    }
    json_t *o = json_object();
    for (int i = 0; i < k->c->n; i++) {
        const struct store_value *v = &row->v[i];
        json_t *j = NULL;
        if (v->kind == STORE_INT) j = json_integer(v->i);
        if (v->kind == STORE_REAL) j = json_real(v->d);
        if (v->kind == STORE_TEXT) j = json_string(v->text);
        if (v->kind == STORE_BLOB) j = json_sprintf("(%lld bytes)", (long long)v->i);
        json_object_set_new(o, k->c->names[i], j ? j : json_null());
    }
    json_array_append_new(k->rows, o);
    return ok();
}

struct status cli_print_query(struct store *s, const char *sql, const json_t *params, enum cli_style style)
{
    struct columns c = {.n = 0};
    struct collect k = {.rows = json_array(), .c = &c};
    struct status st = store_query(s, sql, params, collect_row, &k);
    if (st.code == STATUS_OK) print_columns(&c, k.rows, style);
    json_decref(k.rows);
    arena_free(&k.a);
    return st;
}
