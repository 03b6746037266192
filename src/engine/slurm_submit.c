/* From a plan to jobs. */
#include "slurm_inside.h"
#include <errno.h>
#include <ftw.h>
#include <unistd.h>

enum { VERSION = 1 };

/* ---- where submissions lie --------------------------------------------------------------------------------------- */

/* The greatest numbered folder, 0 when there is none. */
static int last_number(const char *folder)
{
    struct arena a = {0};
    char **names = NULL;
    size_t n = 0;
    int64_t most = 0, v;
    struct status st = fs_is_dir(folder) ? fs_list(&names, &n, &a, folder) : ok();
    for (size_t i = 0; i < n && st.code == STATUS_OK; i++)
        if (str_to_i64(names[i], &v) && v > most && v < 100000) most = v;
    arena_free(&a);
    return (int)most;
}

struct status engine_slurm_latest(struct slurm_submission *out, const char *results, const char *sweep)
{
    char folder[900], path[1100], *text = NULL;
    *out = (struct slurm_submission){0};
    snprintf(out->sweep, sizeof out->sweep, "%s", sweep);
    snprintf(folder, sizeof folder, "%s/%s/slurm", results, sweep);
    int number = last_number(folder);
    if (!number) return ok();
    snprintf(out->dir, sizeof out->dir, "%s/%04d", folder, number);
    snprintf(path, sizeof path, "%s/submission.json", out->dir);
    if (!fs_exists(path)) { /* died before anything was submitted */
        out->dir[0] = 0;
        return ok();
    }
    size_t n;
    TRY(fs_read(&text, &n, path));
    struct status st = json_parse(&out->state, path, text, n);
    free(text);
    if (st.code == STATUS_OK && json_int(out->state, "version", 0) != VERSION)
        st = fail(STATUS_ARG, "%s: of another version of sweep; remove the folder when its jobs have ended", path);
    snprintf(path, sizeof path, "%s/collected.json", out->dir);
    out->collected = fs_exists(path);
    out->ended = json_object();
    if (st.code != STATUS_OK) engine_slurm_close(out);
    return st;
}

void engine_slurm_close(struct slurm_submission *s)
{
    json_decref(s->state);
    json_decref(s->ended);
    *s = (struct slurm_submission){0};
}

struct status engine_slurm_open_ones(struct slurm_submission **out, int *n, const char *results)
{
    struct arena a = {0};
    char **names = NULL;
    size_t count = 0;
    struct status st = fs_is_dir(results) ? fs_list(&names, &count, &a, results) : ok();
    *out = mem_zalloc(sizeof **out * (count + 1));
    *n = 0;
    for (size_t i = 0; i < count && st.code == STATUS_OK; i++) {
        struct slurm_submission s;
        st = engine_slurm_latest(&s, results, names[i]);
        if (st.code == STATUS_OK && s.dir[0] && !s.collected)
            (*out)[(*n)++] = s;
        else
            engine_slurm_close(&s);
    }
    arena_free(&a);
    return st;
}

static int remove_one(const char *path, const struct stat *s, int flag, struct FTW *ftw)
{
    (void)s, (void)flag, (void)ftw;
    return remove(path);
}

static void remove_folder(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

struct status slurm_keep(const struct slurm_submission *s)
{
    char path[1100];
    snprintf(path, sizeof path, "%s/submission.json", s->dir);
    char *text = json_dumps(s->state, JSON_INDENT(1) | JSON_SORT_KEYS);
    struct status st = fs_write(path, text, strlen(text));
    free(text);
    return st;
}

struct hash slurm_digest(const struct plan *p)
{
    struct str all = {0};
    str_addn(&all, "", 0);
    for (int i = 0; i < p->n_stages; i++) str_add(&all, p->stages[i].key);
    struct hash h = hash_bytes(all.s, all.n);
    str_free(&all);
    return h;
}

bool engine_slurm_same(const struct slurm_submission *s, const struct plan *p)
{
    return strcmp(json_str(s->state, "digest", ""), slurm_digest(p).hex) == 0;
}

/* ---- sbatch ------------------------------------------------------------------------------------------------------ */

/* A script that becomes its program: a signal for the batch shell is one for sweep. */
static struct status write_script(char path[1200], const struct slurm_submission *s, const char *name,
                                  const struct spec_slurm *w, const char *command)
{
    struct str text = {0};
    snprintf(path, 1200, "%s/%s.sh", s->dir, name);
    str_add(&text, "#!/bin/bash\n");
    for (int i = 0; i < w->setup.n; i++) str_addf(&text, "%s\n", w->setup.v[i]);
    str_addf(&text, "exec %s\n", command);
    struct status st = fs_write(path, text.s, text.n);
    str_free(&text);
    return st;
}

struct call {
    struct arena a;
    const char *argv[96];
    int n;
};

static void add(struct call *c, const char *option, const char *value)
{
    if (!value) return;
    CHECK(c->n + 1 < (int)LEN(c->argv), "options of sbatch");
    c->argv[c->n++] = arena_printf(&c->a, "%s%s", option, value);
}

static void add_site(struct call *c, const struct spec_slurm *w)
{
    add(c, "--partition=", w->partition);
    add(c, "--account=", w->account);
    add(c, "--qos=", w->qos);
    add(c, "--constraint=", w->constraint);
}

static const char *log_pattern(struct arena *a, const struct slurm_submission *s, const char *name)
{
    struct str out = {0};
    for (const char *c = s->dir; *c; c++) str_addf(&out, *c == '%' ? "%%%%" : "%c", *c);
    const char *path = arena_printf(a, "%s/log/%s", out.s, name);
    str_free(&out);
    return path;
}

static struct status submit(char id[32], struct call *c, const struct spec_slurm *w, const char *script)
{
    for (int i = 0; i < w->extra.n; i++) add(c, "", w->extra.v[i]);
    add(c, "", script);
    struct slurm_answer answer;
    TRY(slurm_call(&answer, c->argv));
    struct status st = ok();
    if (answer.code != 0 || sscanf(answer.out, "%31[0-9]", id) != 1) {
        const char *words = answer.err[0] ? answer.err : answer.out;
        const char *last = words; /* its last line says most */
        for (const char *p = words; *p; p++)
            if (*p == '\n' && p[1]) last = p + 1;
        st = fail(STATUS_ARG, "%s: %.*s%s", w->mark.file ? w->mark.file : "slurm", (int)strcspn(last, "\n"), last,
                  slurm_advice(words));
    }
    slurm_answer_free(&answer);
    return st;
}

static const char *task_command(struct arena *a, const struct slurm_submission *s, const struct slurm_options *o,
                                int bucket)
{
    struct str c = {0};
    str_add_quoted(&c, o->program);
    str_add(&c, " task ");
    str_add_quoted(&c, s->dir);
    str_addf(&c, " %d --db ", bucket);
    str_add_quoted(&c, o->db);
    str_add(&c, o->options ? o->options : "");
    const char *out = arena_strdup(a, c.s);
    str_free(&c);
    return out;
}

/* One array; its job goes into the state. */
static struct status submit_array(struct slurm_submission *s, const struct slurm_options *o, const struct spec_slurm *w,
                                  const struct slurm_bucket *b, int bucket, int tasks)
{
    struct call c = {.argv = {"sbatch", "--parsable", "--requeue", "--open-mode=append"}, .n = 4};
    char id[32], script[1200], name[32], time[32], width[32] = "";
    double lead = b->time_s > 4 * SLURM_LEAD_S ? SLURM_LEAD_S : b->time_s / 4;
    snprintf(name, sizeof name, "array-%zu", json_array_size(json_object_get(s->state, "jobs")));
    struct status st = write_script(script, s, name, w, task_command(&c.a, s, o, bucket));
    if (w->array_width) snprintf(width, sizeof width, "%%%d", w->array_width);
    slurm_time(time, b->time_s);
    add(&c, "--job-name=sweep-", s->sweep);
    add(&c, "--array=0-", arena_printf(&c.a, "%d%s", tasks - 1, width));
    add(&c, "--time=", time);
    add(&c, "--mem=", arena_printf(&c.a, "%lldM", (long long)(b->bytes >> 20)));
    add(&c, "--signal=B:USR1@", arena_printf(&c.a, "%.0f", lead));
    add(&c, "--output=", log_pattern(&c.a, s, "%A_%a.out"));
    if (w->cpus) add(&c, "--cpus-per-task=", arena_printf(&c.a, "%d", w->cpus));
    add(&c, "--gres=", w->gres);
    add_site(&c, w);
    if (st.code == STATUS_OK) st = submit(id, &c, w, script);
    arena_free(&c.a);
    TRY(st);
    json_array_append_new(json_object_get(s->state, "jobs"),
                          json_pack("{s:s, s:i, s:i, s:i, s:f, s:I}", "id", id, "bucket", bucket, "tasks", tasks,
                                    "trials", b->n, "time_s", b->time_s, "bytes", (json_int_t)b->bytes));
    return slurm_keep(s);
}

/* After the arrays, however they end: afterok would never run when one task failed. */
static struct status submit_merge(struct slurm_submission *s, const struct slurm_options *o, const struct spec_slurm *w)
{
    struct call c = {.argv = {"sbatch", "--parsable", "--time=1:00:00", "--mem=2G"}, .n = 4};
    struct str after = {0}, command = {0};
    char id[32], script[1200];
    size_t i;
    json_t *job;
    json_array_foreach(json_object_get(s->state, "jobs"), i, job) str_addf(&after, ":%s", json_str(job, "id", "0"));
    str_add_quoted(&command, o->program);
    str_add(&command, " collect ");
    str_add_quoted(&command, s->sweep);
    str_add(&command, " --db ");
    str_add_quoted(&command, o->db);
    struct status st = write_script(script, s, "merge", w, command.s);
    add(&c, "--job-name=sweep-merge-", s->sweep);
    add(&c, "--dependency=afterany", after.s);
    add(&c, "--output=", log_pattern(&c.a, s, "merge.out"));
    add_site(&c, w);
    if (st.code == STATUS_OK) st = submit(id, &c, w, script);
    arena_free(&c.a);
    str_free(&after);
    str_free(&command);
    TRY(st);
    json_object_set_new(s->state, "merge", json_string(id));
    return slurm_keep(s);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static struct status store_plan(struct store *s, const struct plan *p)
{
    TRY(store_begin(s));
    struct status st = store_recover(s);
    if (st.code == STATUS_OK) st = engine_put_plan(s, p, NULL);
    for (int i = 0; i < p->n_trials && st.code == STATUS_OK; i++)
        if (p->trials[i].refused) st = store_set_trial(s, p->trials[i].id, "refused", p->trials[i].refused);
    if (st.code == STATUS_OK) return store_commit(s);
    store_rollback(s);
    return st;
}

static struct status max_array(int *out)
{
    char *text;
    TRY(slurm_ask_text(&text, (const char *const[]){"scontrol", "show", "config", NULL}));
    *out = slurm_max_array(text);
    free(text);
    if (*out < 1)
        return fail(STATUS_ARG,
                    "slurm: this site's MaxArraySize is %d: it allows no job arrays, which --executor slurm "
                    "needs; run without it inside a job of your own",
                    *out);
    return ok();
}

/* A new folder; those before it have been collected and go. */
static struct status begin(struct slurm_submission *out, const struct slurm_options *o, const struct slurm_frozen *f)
{
    char folder[900];
    const char *sweep = o->plan->sweeps[0].name;
    struct arena a = {0};
    *out = (struct slurm_submission){.ended = json_object()};
    snprintf(out->sweep, sizeof out->sweep, "%s", sweep);
    snprintf(folder, sizeof folder, "%s/%s/slurm", store_dir(o->store), sweep);
    int number = last_number(folder);
    remove_folder(folder);
    snprintf(out->dir, sizeof out->dir, "%s/%04d", folder, number + 1);
    json_t *order = json_array();
    for (int i = 0; i < f->n_trials; i++) json_array_append_new(order, json_string(o->plan->trials[f->trials[i]].id));
    out->state = json_pack("{s:i, s:s, s:s, s:s, s:s, s:[], s:n, s:o}", "version", VERSION, "sweep", sweep, "digest",
                           slurm_digest(o->plan).hex, "since", time_iso(&a, time_now()), "db", o->db, "jobs", "merge",
                           "order", order);
    arena_free(&a);
    struct status st = fs_mkdir(out->dir);
    if (st.code == STATUS_OK) st = slurm_freeze(f, o->store, o->plan, out->dir);
    if (st.code == STATUS_OK) st = slurm_keep(out);
    return st.code == STATUS_OK
               ? st
               : fail(st.code,
                      "%s; the results folder must be writable, on a disk that the nodes share: --db PATH "
                      "chooses another",
                      st.msg);
}

static struct status submit_all(struct slurm_submission *out, const struct slurm_options *o,
                                const struct slurm_frozen *f, int most)
{
    const struct spec_slurm *w = &o->plan->sweeps[0].slurm;
    TRY(begin(out, o, f));
    for (int b = 0; b < f->n_buckets; b++)
        for (int i = 0, n; (n = slurm_split(f->buckets[b].tasks, most, i)) > 0; i++)
            TRY(submit_array(out, o, w, &f->buckets[b], b, n));
    return submit_merge(out, o, w);
}

struct status engine_slurm_submit(struct slurm_submission *out, const struct slurm_options *o)
{
    struct slurm_frozen f = {0};
    int most = 0;
    *out = (struct slurm_submission){0};
    TRY(max_array(&most));
    TRY(store_plan(o->store, o->plan));
    struct status st = slurm_sort(&f, o->store, o->plan, &o->plan->sweeps[0].slurm);
    if (st.code == STATUS_OK && f.n_trials) st = submit_all(out, o, &f, most);
    slurm_frozen_free(&f);
    if (st.code != STATUS_OK && out->state) { /* nothing of it stays */
        struct status undo = engine_slurm_cancel(out);
        if (undo.code != STATUS_OK) log_warn("%s", undo.msg);
        remove_folder(out->dir);
        engine_slurm_close(out);
    }
    return st;
}
