/* From the journals into the database, and what can be told before: how far a submission is. */
#include "slurm_inside.h"
#include <poll.h>

enum { CHUNK = 256 }; /* trials in memory at once */

/* ---- how far ----------------------------------------------------------------------------------------------------- */

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static void count_trial(struct slurm_progress *out, struct slurm_submission *s, const char *id, int last,
                        const json_t *alive)
{
    const char *state = json_str(s->ended, id, NULL);
    struct slurm_claim c;
    if (!state && last > 0 && claims_read(&c, s->dir, id, last)) {
        if (slurm_ended(&c)) {
            json_object_set_new(s->ended, id, json_string(c.state));
            state = json_str(s->ended, id, NULL);
        } else if (!c.left) {
            const json_t *job = json_object_get(alive, c.job);
            bool pending = is(job ? json_string_value(job) : "", "PENDING"); /* queued again */
            if (alive ? job && !pending : true) {
                out->running++;
                return;
            }
        }
    }
    if (!state)
        out->waiting++;
    else if (is(state, "done"))
        out->done++;
    else if (is(state, "failed"))
        out->failed++;
    else
        out->impossible++;
}

/* Its tasks and the job that merges. */
static bool is_ours(const struct slurm_submission *s, const char *id)
{
    size_t i, n = strcspn(id, "_");
    const json_t *job;
    json_array_foreach(json_object_get(s->state, "jobs"), i, job)
    {
        const char *own = json_str(job, "id", "");
        if (strlen(own) == n && strncmp(own, id, n) == 0) return true;
    }
    return is(json_str(s->state, "merge", ""), id);
}

static void count_jobs(struct slurm_progress *out, const struct slurm_submission *s, const json_t *alive)
{
    const char *id, *merge = json_str(s->state, "merge", "");
    json_t *state;
    out->jobs_running = out->jobs_pending = alive ? 0 : -1;
    json_object_foreach((json_t *)(uintptr_t)alive, id, state)
    {
        if (!is_ours(s, id) || is(id, merge)) continue;
        if (is(json_string_value(state), "PENDING"))
            out->jobs_pending++;
        else
            out->jobs_running++;
    }
}

struct status engine_slurm_look(struct slurm_progress *out, struct slurm_submission *s, const json_t *alive)
{
    json_t *latest;
    const json_t *order = json_object_get(s->state, "order"), *id;
    size_t i;
    *out = (struct slurm_progress){.trials = (int)json_array_size(order)};
    TRY(claims_list(&latest, s->dir));
    json_array_foreach(order, i, id)
    {
        const char *name = json_string_value(id) ? json_string_value(id) : "";
        count_trial(out, s, name, (int)json_int(latest, name, 0), alive);
    }
    json_decref(latest);
    count_jobs(out, s, alive);
    return ok();
}

/* ---- merging ----------------------------------------------------------------------------------------------------- */

static struct status replay_trial(struct slurm_collected *out, const struct slurm_submission *s, struct store *rows,
                                  const char *id, int last)
{
    for (int k = 0; k <= last; k++) {
        char path[1200];
        struct store_replayed r;
        claims_path(path, sizeof path, s->dir, id, k);
        if (!fs_exists(path)) continue;
        TRY(store_replay(&r, rows, path));
        if (r.refused) log_debug("%s: %d lines say nothing, the first: %s", path, r.refused, r.first);
        out->refused_lines += r.refused;
    }
    return ok();
}

static struct status collect_chunk(struct slurm_collected *out, const struct slurm_submission *s, struct store *store,
                                   const json_t *latest, size_t from)
{
    char path[1100];
    struct store *rows;
    struct store_merged m = {0};
    const json_t *order = json_object_get(s->state, "order");
    snprintf(path, sizeof path, "%s/journals", store_dir(store));
    TRY(store_open(&rows, (struct store_options){.path = path, .memory = true}));
    struct status st = ok();
    for (size_t i = from; i < from + CHUNK && i < json_array_size(order) && st.code == STATUS_OK; i++) {
        const char *id = json_string_value(json_array_get(order, i));
        if (id) st = replay_trial(out, s, rows, id, (int)json_int(latest, id, -1));
    }
    if (st.code == STATUS_OK) st = store_merge_store(&m, store, rows);
    out->stages += m.stages;
    store_close(rows);
    return st;
}

/* Nothing more will come: every trial has ended, or no job is left to do one. */
static struct status is_complete(bool *out, struct slurm_submission *s, const json_t *alive, const char *self)
{
    struct slurm_progress p;
    const char *id;
    json_t *state;
    int jobs = 0;
    TRY(engine_slurm_look(&p, s, alive));
    json_object_foreach((json_t *)(uintptr_t)alive, id, state) jobs +=
        is_ours(s, id) && !is(id, json_str(s->state, "merge", "")) && !is(id, self ? self : "");
    *out = p.done + p.failed + p.impossible == p.trials || (alive && jobs == 0);
    return ok();
}

struct status engine_slurm_collect(struct slurm_collected *out, struct slurm_submission *s, struct store *store,
                                   const json_t *alive, const char *self)
{
    json_t *latest;
    *out = (struct slurm_collected){0};
    TRY(is_complete(&out->complete, s, alive, self)); /* before reading: what is written after this is read next time */
    TRY(claims_list(&latest, s->dir));
    struct status st = ok();
    size_t n = json_array_size(json_object_get(s->state, "order"));
    for (size_t i = 0; i < n && st.code == STATUS_OK; i += CHUNK) st = collect_chunk(out, s, store, latest, i);
    json_decref(latest);
    TRY(st);
    if (!out->complete) return ok();
    char path[1100], text[120];
    snprintf(path, sizeof path, "%s/collected.json", s->dir);
    int len = snprintf(text, sizeof text, "{\"stages\": %d, \"refused_lines\": %d}\n", out->stages, out->refused_lines);
    s->collected = true;
    return fs_write(path, text, (size_t)len);
}

/* ---- ending ------------------------------------------------------------------------------------------------------ */

bool engine_slurm_gone(const struct slurm_submission *s, const json_t *alive)
{
    const char *id;
    json_t *state;
    json_object_foreach((json_t *)(uintptr_t)alive, id, state) if (is_ours(s, id)) return false;
    return true;
}

struct status engine_slurm_cancel(const struct slurm_submission *s)
{
    static const double pauses_s[] = {1, 2, 4, 8, 15, 30}; /* tasks write checkpoints; Slurm's own limit is KillWait */
    const json_t *jobs = json_object_get(s->state, "jobs");
    size_t n = json_array_size(jobs);
    const char **argv = mem_zalloc(sizeof *argv * (n + 4));
    int k = 0;
    argv[k++] = "scancel";
    if (json_str(s->state, "merge", NULL)) argv[k++] = json_str(s->state, "merge", NULL);
    for (size_t i = 0; i < n; i++) argv[k++] = json_str(json_array_get(jobs, i), "id", "0");
    struct slurm_answer a = {0};
    struct status st = k > 1 ? slurm_call(&a, argv) : ok(); /* jobs that have ended are no failure */
    slurm_answer_free(&a);
    free(argv);
    bool left = st.code == STATUS_OK && k > 1;
    for (size_t i = 0; i < LEN(pauses_s) && left; i++) {
        json_t *alive;
        poll(NULL, 0, (int)(1e3 * pauses_s[i]));
        TRY(engine_slurm_ask(&alive));
        left = !engine_slurm_gone(s, alive);
        json_decref(alive);
    }
    if (left) return fail(STATUS_IO, "sweep %s: some of its jobs do not end; `squeue --me` lists them", s->sweep);
    return st;
}
