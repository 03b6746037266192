/* From argv to a command and its options; help from the same tables. */
#include "inside.h"
#include <time.h>

static const char *command_names(int i)
{
    return cli_commands[i].name;
}

static struct status unknown(const char *what, const char *got, const char *near, const char *help)
{
    return fail(STATUS_ARG, "unknown %s \"%s\"%s%s%s; `%s` lists them", what, got, near ? "; did you mean " : "",
                near ? near : "", near ? "?" : "", help);
}

static int find_option(const struct cli_command *c, const char *text, size_t n)
{
    for (int i = 0; i < c->n_options; i++) {
        const char *name = cli_options[c->options[i]].name;
        if (strlen(name) == n && strncmp(name, text, n) == 0) return (int)c->options[i];
    }
    return strncmp("--help", text, n) == 0 && n == 6 ? OPT_HELP : -1;
}

static struct status unknown_option(const struct cli_command *c, const char *text, size_t n)
{
    const char *names[CLI_N_OPTIONS + 1] = {NULL};
    char got[64], help[80];
    for (int i = 0; i < c->n_options; i++) names[i] = cli_options[c->options[i]].name;
    snprintf(got, sizeof got, "%.*s", (int)n, text);
    snprintf(help, sizeof help, "sweep %s --help", c->name);
    return unknown("option", got, str_nearest(got, names), help);
}

/* One "--name", "--name=value" or "--name value"; *i stays on the last argument used. */
static struct status take_option(struct cli_args *out, const struct cli_command *c, int argc, char **argv, int *i)
{
    const char *text = argv[*i], *eq = strchr(text, '=');
    size_t n = eq ? (size_t)(eq - text) : strlen(text);
    int id = find_option(c, text, n);
    if (id < 0) return unknown_option(c, text, n);
    const struct cli_option *o = &cli_options[id];
    const char *value = eq ? eq + 1 : NULL;
    if (!o->arg && value) return fail(STATUS_ARG, "%s: takes no value, got \"%s\"", o->name, value);
    if (o->arg && !value) {
        if (*i + 1 >= argc) return fail(STATUS_ARG, "%s: expected %s after it", o->name, o->arg);
        value = argv[++*i];
    }
    if (out->value[id] && !o->many && o->arg) return fail(STATUS_ARG, "%s: given twice", o->name);
    out->value[id] = value ? value : "";
    if (id == OPT_SET) out->set[out->n_set++] = value;
    return ok();
}

struct status cli_parse(struct cli_args *out, const struct cli_command *c, int argc, char **argv)
{
    *out = (struct cli_args){.command = c};
    out->set = mem_zalloc(sizeof(char *) * (size_t)(argc + 1));
    out->pos = mem_zalloc(sizeof(char *) * (size_t)(argc + 1));
    bool only_pos = false;
    for (int i = 0; i < argc; i++) {
        if (!only_pos && strcmp(argv[i], "--") == 0)
            only_pos = true;
        else if (!only_pos && strcmp(argv[i], "-h") == 0)
            out->value[OPT_HELP] = "";
        else if (!only_pos && argv[i][0] == '-' && argv[i][1])
            TRY(take_option(out, c, argc, argv, &i));
        else
            out->pos[out->n_pos++] = argv[i];
    }
    if (out->value[OPT_HELP]) return ok();
    if (out->n_pos < c->min_pos)
        return fail(STATUS_ARG, "sweep %s: expected %s; e.g. %.*s", c->name, c->args, (int)strcspn(c->examples, "\n"),
                    c->examples);
    if (c->max_pos >= 0 && out->n_pos > c->max_pos)
        return fail(STATUS_ARG, "sweep %s: \"%s\" is one argument too many; expected %s", c->name, out->pos[c->max_pos],
                    c->args[0] ? c->args : "none");
    return ok();
}

void cli_args_free(struct cli_args *a)
{
    free(a->set);
    free(a->pos);
}

static void help_program(void)
{
    printf("sweep %s: which encoder-decoder gives the best picture at the frame rate you need?\n\nusage: sweep COMMAND "
           "[OPTIONS]\n\n",
           SWEEP_VERSION);
    for (int i = 0; cli_commands[i].name; i++) printf("  %-8s %s\n", cli_commands[i].name, cli_commands[i].summary);
    printf("\n`sweep COMMAND --help` says more and gives an example. `sweep --version` prints the version.\n"
           "Exit status: 0 done, 1 some trial failed or the run was stopped, 2 usage or configuration.\n");
}

void cli_help(const struct cli_command *c)
{
    if (!c) {
        help_program();
        return;
    }
    printf("usage: sweep %s%s%s [OPTIONS]\n\n%s\n\noptions:\n", c->name, c->args[0] ? " " : "", c->args, c->summary);
    for (int i = 0; i <= c->n_options; i++) {
        const struct cli_option *o = &cli_options[i < c->n_options ? c->options[i] : OPT_HELP];
        char left[64];
        snprintf(left, sizeof left, "%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
        printf("  %-20s %s\n", left, o->doc);
    }
    printf("\nexamples:\n");
    for (const char *p = c->examples; *p;) {
        int n = (int)strcspn(p, "\n");
        printf("  %.*s\n", n, p);
        p += n + (p[n] == '\n');
    }
}

struct status cli_int(int *out, const struct cli_args *a, enum cli_option_id id, int def, int lo, int hi)
{
    int64_t v = def;
    if (a->value[id] && (!str_to_i64(a->value[id], &v) || v < lo || v > hi))
        return fail(STATUS_ARG, "%s: got \"%s\", expected a whole number from %d to %d", cli_options[id].name,
                    a->value[id], lo, hi);
    *out = (int)v;
    return ok();
}

const char *cli_db(const struct cli_args *a)
{
    return a->value[OPT_DB] ? a->value[OPT_DB] : "results/sweep.db";
}

char *cli_cache(const struct cli_args *a, struct arena *mem)
{
    return fs_join(mem, fs_dirname(mem, cli_db(a)), "cache");
}

bool cli_wait_for(const char *db, bool writer, const char *words)
{
    char who[1200] = "";
    bool told = false;
    while (store_writer(who, sizeof who, db) != writer) {
        if (!told) fprintf(stderr, "%s: %s%s%s\n", db, words, writer ? "" : " ", writer ? "" : who);
        told = true;
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    return told;
}

struct status cli_open(struct store **out, const struct cli_args *a, bool writes)
{
    const struct store_options o = {.path = cli_db(a), .read_only = !writes, .command = a->line};
    char who[1200];
    struct status st;
    do { /* another that waited may be faster */
        if (writes && a->value[OPT_WAIT]) cli_wait_for(cli_db(a), false, "waiting for");
        st = store_open(out, o);
    } while (st.code != STATUS_OK && writes && a->value[OPT_WAIT] && store_writer(who, sizeof who, cli_db(a)));
    return st;
}

static const struct cli_command *find_command(const char *name)
{
    for (int i = 0; cli_commands[i].name; i++)
        if (strcmp(cli_commands[i].name, name) == 0) return &cli_commands[i];
    return NULL;
}

static int finish(struct status st, int code)
{
    if (st.code == STATUS_OK) return code;
    log_error("%s", st.msg);
    return code ? code : 2;
}

int cli_main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        const struct cli_command *c = argc > 2 ? find_command(argv[2]) : NULL;
        cli_help(c);
        return argc < 2 ? 2 : 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("sweep %s\n", SWEEP_VERSION);
        return 0;
    }
    const struct cli_command *c = find_command(argv[1]);
    if (!c) {
        const char *names[64] = {NULL};
        for (int i = 0; i < 63 && command_names(i); i++) names[i] = command_names(i);
        return finish(unknown("command", argv[1], str_nearest(argv[1], names), "sweep --help"), 2);
    }
    struct cli_args a;
    struct str line = {0};
    for (int i = 0; i < argc; i++) str_addf(&line, "%s%s", i ? " " : "", i ? argv[i] : "sweep");
    int code = 0;
    struct status st = cli_parse(&a, c, argc - 2, argv + 2);
    a.line = line.s;
    if (st.code == STATUS_OK && a.value[OPT_HELP])
        cli_help(c);
    else if (st.code == STATUS_OK)
        st = c->run(&a, &code);
    if (fflush(stdout) != 0 && st.code == STATUS_OK) st = fail(STATUS_IO, "standard output: cannot be written");
    cli_args_free(&a);
    str_free(&line);
    return finish(st, code);
}
