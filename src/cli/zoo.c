/* zoo, keys: what there is to name. */
#include "zoo.h"
#include "inside.h"

static struct status model_of(struct zoo_model *m, const struct cli_args *a)
{
    int size;
    if (a->n_pos != 3)
        return fail(STATUS_ARG, "sweep zoo %s: expected ARCH BACKBONE, e.g. sweep zoo %s unet resnet18", a->pos[0],
                    a->pos[0]);
    TRY(cli_int(&size, a, OPT_SIZE, 256, 16, 8192));
    *m = (struct zoo_model){.arch = a->pos[1], .backbone = a->pos[2], .height = size, .width = size};
    return ok();
}

static json_t *cost_row(const char *arch, const char *backbone, int size)
{
    struct zoo_model m = {.arch = arch, .backbone = backbone, .height = size, .width = size};
    struct net *n = NULL;
    struct status st = zoo_build(&n, &m);
    struct net_cost c = {0};
    if (st.code == STATUS_OK) c = net_cost(n);
    json_t *row = st.code == STATUS_OK
                      ? json_pack("{s:s, s:s, s:f, s:f, s:f, s:s}", "arch", arch, "backbone", backbone, "params_m",
                                  (double)c.params / 1e6, "gmacs", (double)c.macs / 1e9, "activations_mib",
                                  (double)c.bytes_peak_infer / 1048576, "reason", "")
                      : json_pack("{s:s, s:s, s:n, s:n, s:n, s:s}", "arch", arch, "backbone", backbone, "params_m",
                                  "gmacs", "activations_mib", "reason", st.msg);
    if (st.code == STATUS_OK) net_free(n);
    return row;
}

static struct status zoo_ls(const struct cli_args *a)
{
    int size;
    TRY(cli_int(&size, a, OPT_SIZE, 256, 16, 8192));
    const char *const *arch = zoo_arch_names(), *const *backbone = zoo_backbone_names();
    json_t *rows = json_array();
    if (a->value[OPT_COST]) {
        for (int i = 0; arch[i]; i++)
            for (int k = 0; backbone[k]; k++) json_array_append_new(rows, cost_row(arch[i], backbone[k], size));
    } else {
        for (int k = 0; backbone[k]; k++) {
            const struct zoo_info *info = zoo_backbone_info(backbone[k]);
            json_array_append_new(rows, json_pack("{s:s, s:s, s:b, s:s?, s:s?}", "backbone", info->name, "family",
                                                  info->family, "dilates", info->dilates, "published", info->weights,
                                                  "source", info->source));
        }
    }
    if (cli_style_of(a) == CLI_ALIGNED && !a->value[OPT_COST]) {
        printf("architectures:");
        for (int i = 0; arch[i]; i++) printf(" %s", arch[i]);
        printf("\n\n");
    }
    cli_print_rows(rows, cli_style_of(a));
    json_decref(rows);
    return ok();
}

static struct status zoo_show(const struct cli_args *a)
{
    struct zoo_model m;
    struct net *n;
    TRY(model_of(&m, a));
    TRY(zoo_build(&n, &m));
    struct net_cost c = net_cost(n);
    const struct zoo_info *info = zoo_backbone_info(m.backbone);
    json_t *row = json_pack("{s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:i, s:s, s:s?}", "arch", m.arch, "backbone",
                            m.backbone, "size", m.height, "params", (json_int_t)c.params, "params_bytes",
                            (json_int_t)c.params_bytes, "macs", (json_int_t)c.macs, "activation_bytes",
                            (json_int_t)c.bytes_peak_infer, "training_bytes_an_image", (json_int_t)c.bytes_train,
                            "operations", n->n_nodes, "reference", info->reference, "published", info->weights);
    net_free(n);
    if (a->value[OPT_JSON]) {
        json_dumpf(row, stdout, JSON_INDENT(1));
        putchar('\n');
    } else {
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
    json_decref(row);
    return ok();
}

static struct status zoo_dump(const struct cli_args *a)
{
    struct zoo_model m;
    struct net *n;
    struct str text = {0};
    TRY(model_of(&m, a));
    TRY(zoo_build(&n, &m));
    net_dump(n, &text);
    fwrite(text.s, 1, text.n, stdout);
    str_free(&text);
    net_free(n);
    return ok();
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

CLI_COMMAND(cli_keys)
{
    (void)code;
    if (a->value[OPT_JSON]) {
        json_t *j = spec_keys_json();
        json_dumpf(j, stdout, JSON_INDENT(1));
        putchar('\n');
        json_decref(j);
    } else {
        struct str text = {0};
        spec_keys_markdown(&text);
        fwrite(text.s, 1, text.n, stdout);
        str_free(&text);
    }
    return ok();
}
