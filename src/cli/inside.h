/* What the files of the room share. */
#ifndef CLI_INSIDE_H
#define CLI_INSIDE_H

#include "cli.h"
#include "engine.h"
#include "plan.h"
#include "store.h"

enum cli_option_id {
    OPT_DB,
    OPT_SET,
    OPT_JOBS,
    OPT_GPUS,
    OPT_SLOTS,
    OPT_BESIDE,
    OPT_FRESH,
    OPT_FAIL_FAST,
    OPT_HANG,
    OPT_MEMORY,
    OPT_STAGE_TIME,
    OPT_REDO,
    OPT_EXECUTOR,
    OPT_DETACH,
    OPT_FAILED,
    OPT_DELETE,
    OPT_KEEP,
    OPT_OLDER,
    OPT_WAIT,
    OPT_NO_TTY,
    OPT_NO_REPORT,
    OPT_JSON,
    OPT_CSV,
    OPT_BY,
    OPT_WHERE,
    OPT_LIMIT,
    OPT_ALL,
    OPT_SWEEP,
    OPT_FORMAT,
    OPT_DEVICE,
    OPT_THREADS,
    OPT_MODE,
    OPT_OUT,
    OPT_TAG,
    OPT_COST,
    OPT_SIZE,
    OPT_SCHEMA,
    OPT_INPUT,
    OPT_TARGET,
    OPT_YES,
    OPT_DRY_RUN,
    OPT_REMOVE,
    OPT_HELP,
    CLI_N_OPTIONS
};
struct cli_option {
    const char *name; /* "--db" */
    const char *arg;  /* "PATH"; NULL: a switch */
    const char *doc;
    bool many;
};
extern const struct cli_option cli_options[CLI_N_OPTIONS];

struct cli_args {
    const struct cli_command *command;
    const char *value[CLI_N_OPTIONS]; /* the last one given; "" for a switch; NULL when absent */
    const char **set;                 /* all of --set */
    int n_set;
    const char **pos;
    int n_pos;
    const char *line; /* the whole command line, for people */
};

struct cli_command {
    const char *name, *args, *summary;
    const char *examples; /* a line each */
    const enum cli_option_id *options;
    int n_options, min_pos, max_pos; /* max_pos -1: any number */
    /* @p code: exit status when the status is ok; 0 at the start. */
    struct status (*run)(const struct cli_args *a, int *code);
};
extern const struct cli_command cli_commands[]; /* ends with a NULL name */
extern const char *const cli_shells[];          /* that there are completions for; ends with NULL */

/** Fills @p out from the arguments after the command's name. Errors: STATUS_ARG with the nearest spelling. */
struct status cli_parse(struct cli_args *out, const struct cli_command *c, int argc, char **argv);
void cli_args_free(struct cli_args *a);
void cli_help(const struct cli_command *c); /* NULL: of the program */
/** A number in lo..hi, or @p def when the option is absent. */
struct status cli_int(int *out, const struct cli_args *a, enum cli_option_id id, int def, int lo, int hi);
const char *cli_db(const struct cli_args *a);
/** Returns once a run holds the database (@p writer), or none does; @p words say once what is waited for. True when
 * there was a wait. */
bool cli_wait_for(const char *db, bool writer, const char *words);
/** Folder beside the database of what can be made again: pixels, what was found about pictures. In the arena. */
char *cli_cache(const struct cli_args *a, struct arena *mem);
struct status cli_open(struct store **out, const struct cli_args *a, bool writes);

/* ---- tables (table.c) ------------------------------------------------------------------------------------------- */

enum cli_style { CLI_ALIGNED, CLI_CSV, CLI_JSON };
enum cli_style cli_style_of(const struct cli_args *a);
/** Runs SQL and prints its rows on stdout. */
struct status cli_print_query(struct store *s, const char *sql, const json_t *params, enum cli_style style);
/** Prints rows that are objects with the same members in order. */
void cli_print_rows(const json_t *rows, enum cli_style style);
/** A value as indented JSON on stdout. */
void cli_print_json(const json_t *j);
/** "1.2 M", "3 min 20 s" into a static ring of buffers. */
const char *cli_count(double n);
const char *cli_seconds(double s);

/* ---- the live view (live.c) -------------------------------------------------------------------------------------- */

struct cli_live;
struct cli_live *cli_live_new(bool json, bool no_tty);
void cli_live_free(struct cli_live *l);
void cli_live_event(void *ctx, const struct engine_event *e);
/** Tells those who watch from elsewhere, too, until it is freed. */
void cli_live_publish(struct cli_live *l, struct store *s, const struct plan *p);
/** The run is over; @p code: its exit status. */
void cli_live_end(struct cli_live *l, const struct engine_result *r, int code);
/** How often the view wants to be told of passing time; 0: never. */
double cli_live_tick_ms(const struct cli_live *l);

/* ---- shared by commands ------------------------------------------------------------------------------------------ */

/** Opens the database for reading, does, closes. */
struct status cli_with_store(const struct cli_args *a, struct status (*f)(const struct cli_args *, struct store *));
/** --where as SQL over `results`: tag=NAME, KEY=VALUE of a setting with a dot in its name, or SQL as it is; "1"
 * without. Owner: the caller str_frees. Errors: STATUS_ARG for a value that the key cannot have, and nothing is left to
 * free. */
struct status cli_where(struct str *out, const struct cli_args *a);
/** STATUS_ARG with the nearest name when the sweep is not stored. */
struct status cli_find_sweep(struct store *s, const char *name);
/** After a table: how many pairs data.skip_damaged left out, of the sweep's trials or of all (NULL); nothing when none.
 */
struct status cli_tell_skipped(struct store *s, const char *sweep);
/** What orders when nothing is said: the metric of a sweep, or of the latest one. */
struct status cli_rank_of(char *out, size_t n, struct store *s, const char *sweep);
/** True for a column of `results` whose high values are the good ones. */
bool cli_higher_first(const char *column);
/** Trial by id or a unique beginning of it. Owner: the caller json_decrefs *out, the row of `trials`. */
struct status cli_trial(json_t **out, struct store *s, const char *id);
/** @p out NULL: reports/NAME. @p unless_same: a report that shows what is stored already stays as it is. */
struct status cli_write_report(const char *db, const char *sweep, const char *out, bool unless_same);
/** The plan of the files and --set that the arguments name, whose files of weights can be read. Owner: the caller frees
 *  *out. Errors: STATUS_ARG, STATUS_IO: whatever is wrong with the configuration. */
struct status cli_load_plan(struct plan **out, const struct cli_args *a);
/** Limits of a run, from the options. */
struct status cli_engine_options(struct engine_options *out, const struct cli_args *a);
/** --redo, before anything runs. */
struct status cli_redo(const struct cli_args *a, struct store *s, const struct plan *p);
/** Tables, reports, what to try next; @p code is the run's, and 1 when a report cannot be written. */
struct status cli_tell_run(const struct cli_args *a, struct store *s, const struct plan *p, int *code);
/** --executor: where a plan runs. */
struct status cli_executor(bool *slurm, const struct cli_args *a);
struct status cli_run_slurm(const struct cli_args *a, const struct plan *p, int *code);
/** One object a submission whose results are not all stored. Owner: the caller. */
struct status cli_slurm_status(json_t **out, const struct cli_args *a);
/** Fails when jobs of a cluster may be at trials of the plan; merges what those that have ended left. */
struct status cli_cluster_clear(struct store *store, const struct plan *p);
/** Fails while there is something on the cluster that the database does not know of. */
struct status cli_cluster_idle(const struct store *store);
/** Runs a plan and tells; @p code gets the exit status. */
struct status cli_run_plan(const struct cli_args *a, struct store *s, const struct plan *p, int *code);

#define CLI_COMMAND(f) struct status f(const struct cli_args *a, int *code)
CLI_COMMAND(cli_run);
CLI_COMMAND(cli_plan);
CLI_COMMAND(cli_ls);
CLI_COMMAND(cli_history);
CLI_COMMAND(cli_show);
CLI_COMMAND(cli_top);
CLI_COMMAND(cli_compare);
CLI_COMMAND(cli_query);
CLI_COMMAND(cli_report);
CLI_COMMAND(cli_export);
CLI_COMMAND(cli_bench);
CLI_COMMAND(cli_zoo);
CLI_COMMAND(cli_weights);
CLI_COMMAND(cli_keys);
CLI_COMMAND(cli_init);
CLI_COMMAND(cli_diff);
CLI_COMMAND(cli_rm);
CLI_COMMAND(cli_note);
CLI_COMMAND(cli_tag);
CLI_COMMAND(cli_retry);
CLI_COMMAND(cli_gc);
CLI_COMMAND(cli_status);
CLI_COMMAND(cli_task);
CLI_COMMAND(cli_collect);
CLI_COMMAND(cli_cancel);
CLI_COMMAND(cli_watch);
CLI_COMMAND(cli_db_care);
CLI_COMMAND(cli_doctor);
CLI_COMMAND(cli_completion);
CLI_COMMAND(cli_complete);
CLI_COMMAND(cli_man);

#endif
