/* man: pages in roff, from the table of commands. */
#include "inside.h"

static const char *const man_date = "November 27, 2026"; /* of the last change to the form of the pages */

/* Text of one line: nothing in it is taken for roff. */
static void words(const char *text, size_t n)
{
    if (n && (*text == '.' || *text == '\'')) fputs("\\&", stdout);
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\\')
            fputs("\\e", stdout);
        else if (text[i] == '-')
            fputs("\\-", stdout);
        else if (text[i] == '`' || text[i] == '\'')
            fputs(text[i] == '`' ? "\\(ga" : "\\(aq", stdout);
        else
            putchar(text[i]);
    }
}

static void text(const char *s)
{
    words(s, strlen(s));
}

static void header(const char *command)
{
    struct str title = {0};
    str_addf(&title, "sweep%s%s", command ? "-" : "", command ? command : "");
    printf(".TH \"");
    for (const char *p = title.s; *p; p++) {
        if (*p == '-')
            fputs("\\-", stdout);
        else
            putchar(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
    }
    printf("\" 1 \"%s\" \"sweep %s\" \"sweep\"\n.SH NAME\n", man_date, SWEEP_VERSION);
    text(title.s);
    str_free(&title);
}

static void page_of_command(const struct cli_command *c)
{
    header(c->name);
    printf(" \\- ");
    text(c->summary);
    printf("\n.SH SYNOPSIS\n.B sweep %s\n", c->name);
    if (c->args[0]) {
        text(c->args);
        putchar('\n');
    }
    printf("[OPTIONS]\n.SH OPTIONS\n");
    for (int i = 0; i <= c->n_options; i++) {
        const struct cli_option *o = &cli_options[i < c->n_options ? c->options[i] : OPT_HELP];
        printf(".TP\n\\fB");
        text(o->name);
        printf("\\fR");
        if (o->arg) printf(" \\fI"), text(o->arg), printf("\\fR");
        putchar('\n');
        text(o->doc);
        putchar('\n');
    }
    printf(".SH EXAMPLES\n.nf\n");
    for (const char *p = c->examples; *p;) {
        size_t n = strcspn(p, "\n");
        words(p, n);
        putchar('\n');
        p += n + (p[n] == '\n');
    }
    printf(".fi\n.SH \"SEE ALSO\"\n.BR sweep (1)\n");
}

static void page_of_program(void)
{
    header(NULL);
    printf(" \\- which encoder\\-decoder gives the best picture at the frame rate you need\n.SH SYNOPSIS\n"
           ".B sweep\nCOMMAND [OPTIONS]\n.SH COMMANDS\n");
    for (int i = 0; cli_commands[i].name; i++) {
        printf(".TP\n.BR sweep\\-%s (1)\n", cli_commands[i].name);
        text(cli_commands[i].summary);
        putchar('\n');
    }
    printf(".SH \"EXIT STATUS\"\n0 done, 1 some trial failed or the run was stopped, 2 usage or configuration.\n");
}

CLI_COMMAND(cli_man)
{
    (void)code;
    if (!a->n_pos) {
        page_of_program();
        return ok();
    }
    const char *names[64] = {NULL};
    for (int i = 0; i < 63 && cli_commands[i].name; i++) {
        names[i] = cli_commands[i].name;
        if (strcmp(a->pos[0], names[i]) != 0) continue;
        page_of_command(&cli_commands[i]);
        return ok();
    }
    const char *near = str_nearest(a->pos[0], names);
    return fail(STATUS_ARG, "sweep man: unknown command \"%s\"%s%s%s; `sweep --help` lists them", a->pos[0],
                near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}
