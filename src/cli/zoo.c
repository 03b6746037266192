/* zoo, keys: what there is to name. */
#include "cell.h"
#include "inside.h"
#include <unistd.h>

/* All of a cell but its name: the size, and any key of `model:` by --set. Strings live in @p spec. */
static struct status options_of(struct zoo_model *m, struct spec **spec, const struct cli_args *a)
{
    int size;
    struct spec_trial t;
    *spec = NULL;
    TRY(cli_int(&size, a, OPT_SIZE, 256, 16, 8192));
    TRY(spec_from_sets(spec, a->set, a->n_set));
    struct status s =
        (*spec)->n_order ? fail(STATUS_ARG, "--set: got an axis (%s), expected one value a key", (*spec)->order[0]->key)
                         : spec_trial_from_json(&t, &(*spec)->arena, (*spec)->base, "--set");
    if (s.code == STATUS_OK) {
        *m = cell_model(&t);
        m->height = m->width = size;
        return s;
    }
    spec_free(*spec);
    return s;
}

/* The cell that ARCH BACKBONE name. */
static struct status model_of(struct zoo_model *m, struct spec **spec, const struct cli_args *a)
{
    if (a->n_pos != 3)
        return fail(STATUS_ARG, "sweep zoo %s: expected ARCH BACKBONE, e.g. sweep zoo %s unet resnet18", a->pos[0],
                    a->pos[0]);
    TRY(options_of(m, spec, a));
    m->arch = a->pos[1];
    m->backbone = a->pos[2];
    return ok();
}

/* A net's cost; multiply-accumulates as the reference counts them beside what ours computes. */
struct cost {
    struct net_cost net;
    int64_t macs;
    int operations;
};
static struct status cost_of(struct cost *c, const struct zoo_model *m)
{
    struct net *n;
    TRY(zoo_build(&n, m));
    c->net = net_cost(n);
    c->operations = n->n_nodes;
    net_free(n);
    return zoo_reference_macs(&c->macs, m);
}

/* In the units that eyes want, exactly, and why there is nothing. */
static const char *const cost_units[] = {"params_m", "gmacs", "activations_mib", "training_mib", "file_mib"};
static const char *const cost_exact[] = {"params",           "macs",           "macs_run",
                                         "activation_bytes", "training_bytes", "file_bytes"};

static json_t *cost_row(const struct zoo_model *m)
{
    struct cost c = {.macs = 0};
    struct status st = cost_of(&c, m);
    json_t *row = json_pack("{s:s, s:s}", "arch", m->arch, "backbone", m->backbone);
    const double mib = 1048576;
    const double units[] = {(double)c.net.params / 1e6, (double)c.macs / 1e9, (double)c.net.bytes_peak_infer / mib,
                            (double)c.net.bytes_train / mib, (double)c.net.params_bytes / mib};
    const int64_t exact[] = {c.net.params,      c.macs, c.net.macs, c.net.bytes_peak_infer, c.net.bytes_train,
                             c.net.params_bytes};
    bool known = st.code == STATUS_OK;
    for (size_t i = 0; i < LEN(units); i++)
        json_object_set_new(row, cost_units[i], known ? json_real(units[i]) : json_null());
    for (size_t i = 0; i < LEN(exact); i++)
        json_object_set_new(row, cost_exact[i], known ? json_integer(exact[i]) : json_null());
    json_object_set_new(row, "reason", json_string(known ? "" : st.msg));
    return row;
}

/* The backbone as a row of facts; parameters and multiply-accumulates are the encoder's alone, at 256 px. */
static struct status backbone_row(json_t *rows, const char *name)
{
    const struct zoo_info *i = zoo_backbone_info(name);
    struct net *n;
    TRY(zoo_encoder(&n, name));
    struct net_cost c = net_cost(n);
    net_free(n);
    json_array_append_new(rows, json_pack("{s:s, s:s, s:b, s:I, s:I, s:s?, s:s?, s:s}", "backbone", i->name, "family",
                                          i->family, "dilates", i->dilates, "params", (json_int_t)c.params, "macs_256",
                                          (json_int_t)c.macs, "published", i->weights, "source", i->source, "reference",
                                          i->reference));
    return ok();
}

/* ---- order ------------------------------------------------------------------------------------------------------ */

struct keyed {
    json_t *row;
    const json_t *by;
    size_t at; /* equal rows stay as they were */
};

/* Numbers before texts before nothing; each ascending. */
static int by_value(const void *pa, const void *pb)
{
    const struct keyed *a = pa, *b = pb;
    int kind_a = json_is_number(a->by) ? 0 : json_is_null(a->by) ? 2 : 1;
    int kind_b = json_is_number(b->by) ? 0 : json_is_null(b->by) ? 2 : 1;
    int order = kind_a - kind_b;
    if (!order && kind_a == 0) {
        double x = json_number_value(a->by), y = json_number_value(b->by);
        order = (x > y) - (x < y);
    }
    if (!order && kind_a == 1 && json_is_string(a->by) && json_is_string(b->by))
        order = strcmp(json_string_value(a->by), json_string_value(b->by));
    return order ? order : (a->at > b->at) - (a->at < b->at);
}

/* @p rows, which all have the same columns, by one of them. */
static struct status sort_rows(json_t *rows, const char *by)
{
    size_t n = json_array_size(rows), columns = 0;
    const char *names[32], *name;
    json_t *v;
    json_object_foreach(json_array_get(rows, 0), name, v)
    {
        if (columns + 1 < LEN(names)) names[columns++] = name;
    }
    names[columns] = NULL;
    if (!json_object_get(json_array_get(rows, 0), by)) {
        const char *near = str_nearest(by, names);
        return fail(STATUS_ARG, "--by: got \"%s\", expected a column of the table%s%s", by,
                    near ? "; did you mean " : "", near ? near : "");
    }
    struct keyed *k = mem_alloc((n + 1) * sizeof *k);
    for (size_t i = 0; i < n; i++) {
        json_t *row = json_array_get(rows, i);
        k[i] = (struct keyed){.row = json_incref(row), .by = json_object_get(row, by), .at = i};
    }
    qsort(k, n, sizeof *k, by_value);
    json_array_clear(rows);
    for (size_t i = 0; i < n; i++) json_array_append_new(rows, k[i].row);
    free(k);
    return ok();
}

/* ---- verbs ------------------------------------------------------------------------------------------------------ */

static struct status list_rows(json_t *rows, const struct cli_args *a)
{
    struct zoo_model m;
    struct spec *spec;
    const char *const *arch = zoo_arch_names(), *const *backbone = zoo_backbone_names();
    TRY(options_of(&m, &spec, a));
    struct status s = ok();
    for (int k = 0; backbone[k] && !a->value[OPT_COST] && s.code == STATUS_OK; k++) s = backbone_row(rows, backbone[k]);
    for (int i = 0; arch[i] && a->value[OPT_COST]; i++)
        for (int k = 0; backbone[k]; k++) {
            m.arch = arch[i];
            m.backbone = backbone[k];
            json_array_append_new(rows, cost_row(&m));
        }
    spec_free(spec);
    return s;
}

/* A table for eyes has the numbers in their units alone. */
static void drop_exact(json_t *rows)
{
    for (size_t r = 0; r < json_array_size(rows); r++)
        for (size_t i = 0; i < LEN(cost_exact); i++) json_object_del(json_array_get(rows, r), cost_exact[i]);
}

static struct status zoo_ls(const struct cli_args *a)
{
    json_t *rows = json_array();
    bool cost = a->value[OPT_COST] != NULL, aligned = cli_style_of(a) == CLI_ALIGNED;
    struct status s = list_rows(rows, a);
    if (s.code == STATUS_OK && a->value[OPT_BY]) s = sort_rows(rows, a->value[OPT_BY]);
    if (s.code == STATUS_OK && aligned && cost) drop_exact(rows);
    if (s.code == STATUS_OK && aligned && !cost) {
        printf("architectures:");
        for (const char *const *arch = zoo_arch_names(); *arch; arch++) printf(" %s", *arch);
        printf("\n\n");
    }
    if (s.code == STATUS_OK) cli_print_rows(rows, cli_style_of(a));
    json_decref(rows);
    return s;
}

/* Operation by operation. */
static struct status print_layers(const struct zoo_model *m)
{
    struct net *n;
    struct str text = {0};
    TRY(zoo_build(&n, m));
    net_dump(n, &text);
    fwrite(text.s, 1, text.n, stdout);
    str_free(&text);
    net_free(n);
    return ok();
}

static void print_facts(json_t *row)
{
    const char *name;
    json_t *v;
    json_object_foreach(row, name, v)
    {
        if (json_is_string(v))
            printf("%-24s %s\n", name, json_string_value(v));
        else if (json_is_integer(v))
            printf("%-24s %lld  (%s)\n", name, (long long)json_integer_value(v),
                   cli_count((double)json_integer_value(v)));
    }
}

/* The layers, then what they come to, which so stays in sight. */
static struct status show_model(const struct cli_args *a, const struct zoo_model *m)
{
    struct cost c;
    TRY(cost_of(&c, m));
    const struct zoo_info *info = zoo_backbone_info(m->backbone);
    json_t *row = json_pack("{s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:s, s:s?}", "arch", m->arch,
                            "backbone", m->backbone, "size", m->height, "params", (json_int_t)c.net.params,
                            "file_bytes", (json_int_t)c.net.params_bytes, "macs", (json_int_t)c.macs, "macs_run",
                            (json_int_t)c.net.macs, "activation_bytes", (json_int_t)c.net.bytes_peak_infer,
                            "training_bytes", (json_int_t)c.net.bytes_train, "operations", c.operations, "reference",
                            info->reference, "published", info->weights);
    struct status s = ok();
    if (a->value[OPT_JSON]) {
        cli_print_json(row);
    } else {
        s = print_layers(m);
        putchar('\n');
        print_facts(row);
    }
    json_decref(row);
    return s;
}

static struct status zoo_show(const struct cli_args *a)
{
    struct zoo_model m;
    struct spec *spec;
    TRY(model_of(&m, &spec, a));
    struct status s = show_model(a, &m);
    spec_free(spec);
    return s;
}

static struct status zoo_dump(const struct cli_args *a)
{
    struct zoo_model m;
    struct spec *spec;
    TRY(model_of(&m, &spec, a));
    struct status s = print_layers(&m);
    spec_free(spec);
    return s;
}

CLI_COMMAND(cli_zoo)
{
    static const struct {
        const char *name;
        struct status (*run)(const struct cli_args *);
    } verbs[] = {{"ls", zoo_ls}, {"show", zoo_show}, {"dump", zoo_dump}};
    (void)code;
    for (size_t i = 0; i < LEN(verbs); i++)
        if (strcmp(verbs[i].name, a->pos[0]) == 0) return verbs[i].run(a);
    return fail(STATUS_ARG, "sweep zoo: got \"%s\", expected ls, show or dump", a->pos[0]);
}

/* Keys that begin so. Errors: STATUS_ARG when none does, naming the nearest. */
static struct status keys_of(json_t *keys, const char *prefix)
{
    const char **names = mem_zalloc(sizeof *names * (json_array_size(keys) + 1));
    struct arena a = {0};
    size_t n = json_array_size(keys), kept = 0;
    for (size_t i = 0; i < n; i++) names[i] = arena_strdup(&a, json_str(json_array_get(keys, i), "key", ""));
    for (size_t i = 0; i < n; i++) {
        if (strncmp(names[i], prefix, strlen(prefix)) == 0)
            kept++;
        else
            json_array_remove(keys, kept);
    }
    const char *near = kept ? NULL : str_nearest(prefix, names);
    struct status st =
        kept ? ok()
             : fail(STATUS_ARG, "sweep keys: got \"%s\", with which no key begins%s%s%s; `sweep keys` lists all",
                    prefix, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    arena_free(&a);
    free(names);
    return st;
}

/* For a terminal: two lines a key. */
static void print_keys(const json_t *keys)
{
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *k = json_array_get(keys, i);
        const char *unit = json_str(k, "unit", NULL);
        char *def = json_text(json_object_get(k, "default"), 0);
        printf("%s: %s\n    %s; %s%s%s\n", json_str(k, "key", ""), def, json_str(k, "doc", ""),
               json_str(k, "values", ""), unit ? "; unit: " : "", unit ? unit : "");
        free(def);
    }
}

static json_t *all_of(const char *const *names)
{
    json_t *out = json_array();
    for (; *names; names++) json_array_append_new(out, json_string(*names));
    return out;
}

/* The configuration's schema, the zoo's names in it. */
static struct status print_schema(const struct cli_args *a)
{
    if (a->n_pos || a->value[OPT_JSON])
        return fail(STATUS_ARG, "--schema: is of the whole file and always JSON; expected neither PREFIX nor --json");
    static const char *const encoders[] = {"model.backbone", "loss.network", "evaluate.judge.network"};
    json_t *names = json_pack("{s:o}", "model.arch", all_of(zoo_arch_names()));
    for (size_t i = 0; i < LEN(encoders); i++) json_object_set_new(names, encoders[i], all_of(zoo_backbone_names()));
    json_t *schema = spec_schema(names);
    cli_print_json(schema);
    json_decref(schema);
    json_decref(names);
    return ok();
}

CLI_COMMAND(cli_keys)
{
    (void)code;
    if (a->value[OPT_SCHEMA]) return print_schema(a);
    bool all = a->n_pos == 0;
    json_t *keys = spec_keys_json();
    struct status st = all ? ok() : keys_of(keys, a->pos[0]);
    if (st.code == STATUS_OK && a->value[OPT_JSON]) {
        cli_print_json(keys);
    } else if (st.code == STATUS_OK && (!all || isatty(STDOUT_FILENO))) {
        print_keys(keys);
    } else if (st.code == STATUS_OK) { /* the tables of the documentation */
        struct str text = {0};
        spec_keys_markdown(&text);
        fwrite(text.s, 1, text.n, stdout);
        str_free(&text);
    }
    json_decref(keys);
    return st;
}
