/* What a worker is told, and what its end means. */
#include "inside.h"
#include <sys/wait.h>
#include <unistd.h>

/* Which program measures on a device. */
static const struct {
    const char *device;
    bool worker; /* libtorch itself is the runtime */
} measurers[] = {{"torch", true}};

const char *job_program(const struct engine *e, int task)
{
    const struct plan_stage *g = &e->p->stages[task];
    if (!queue_measures(e, task)) return e->worker_path;
    for (size_t i = 0; i < LEN(measurers); i++)
        if (strcmp(measurers[i].device, g->device) == 0) return measurers[i].worker ? e->worker_path : e->bench_path;
    return e->bench_path;
}

const char *job_dir(struct arena *a, const struct engine *e, int trial)
{
    return arena_printf(a, "%s/trials/%s", store_dir(e->s), e->p->trials[trial].id);
}

/* The model that an export (or the screen itself) left, absolute; NULL when it left none. */
static struct status model_path(const char **out, struct arena *a, struct engine *e, int task)
{
    const struct plan_stage *g = &e->p->stages[task];
    const char *key = g->kind == PLAN_SCREEN ? g->key : g->n_needs ? e->p->stages[g->needs[0]].key : "";
    json_t *rows, *params = json_pack("[s]", key);
    struct status st =
        store_rows(&rows, e->s, "SELECT path FROM artifacts WHERE stage_key = ?1 AND kind = 'model'", params);
    json_decref(params);
    *out = NULL;
    if (st.code == STATUS_OK && json_array_size(rows))
        *out = fs_join(a, store_dir(e->s), json_str(json_array_get(rows, 0), "path", ""));
    if (st.code == STATUS_OK) json_decref(rows);
    return st;
}

static struct status measure_members(json_t *j, struct arena *a, struct engine *e, int task)
{
    const struct plan_stage *g = &e->p->stages[task];
    const char *model;
    TRY(model_path(&model, a, e, task));
    if (model) json_object_set_new(j, "model", json_string(model));
    if (!queue_measures(e, task)) return ok();
    bool screen = g->kind == PLAN_SCREEN;
    const struct plan_trial *t = &e->p->trials[g->trial];
    const json_t *asked = json_object_get(g->config, "bench.threads");
    json_t *threads = screen || !json_array_size(asked) ? json_pack("[i]", 1) : json_array();
    for (size_t i = 0; !screen && i < json_array_size(asked); i++)
        json_array_append_new(threads, json_integer((json_int_t)json_number_value(json_array_get(asked, i))));
    json_object_set_new(j, "threads", threads);
    json_object_set_new(j, "visit", json_integer(screen ? 0 : e->tasks[task].run));
    json_object_set_new(j, "mode", json_string(json_str(g->config, "bench.mode", "normal")));
    json_object_set_new(j, "height", json_integer(t->t.data.size[0]));
    json_object_set_new(j, "width", json_integer(t->t.data.size[1]));
    json_object_set_new(j, "stage", json_string("bench"));
    const char *lib = getenv("ORT_LIB");
    if (lib && lib[0]) json_object_set_new(j, "ort_lib", json_string(lib));
    return ok();
}

struct status job_json(json_t **out, struct engine *e, int task)
{
    const struct plan_stage *g = &e->p->stages[task];
    struct arena a = {0};
    char *cache = fs_join(&a, store_dir(e->s), "cache");
    int train = plan_find(e->p, g->trial, PLAN_TRAIN);
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:s, s:O, s:s, s:s, s:s, s:s, s:i}", "stage", plan_kinds[g->kind].name, "trial",
                  e->p->trials[g->trial].id, "key", g->key, "train_key", train >= 0 ? e->p->stages[train].key : "",
                  "config", g->config, "dir", job_dir(&a, e, g->trial), "cache", cache, "format", g->format, "device",
                  g->device, "threads", engine_threads(g, e->o->jobs, engine_cores()));
    const char *images = e->p->trials[g->trial].content.images;
    if (images) json_object_set_new(j, "images", json_string(images));
    struct status st = fs_mkdir(cache);
    if (st.code == STATUS_OK) st = measure_members(j, &a, e, task);
    arena_free(&a);
    *out = j;
    if (st.code != STATUS_OK) {
        json_decref(j);
        *out = NULL;
    }
    return st;
}

/* The last words of a log, on one line. */
static void last_words(char *out, size_t n, const char *path)
{
    char *text = NULL;
    size_t len = 0;
    struct status st = fs_read(&text, &len, path);
    out[0] = 0;
    if (st.code == STATUS_OK && len) {
        while (len && strchr("\n\r ", text[len - 1])) text[--len] = 0;
        size_t at = len;
        for (int lines = 0; at > 0 && len - at < n - 1; at--)
            if (text[at - 1] == '\n' && ++lines == 3) break;
        snprintf(out, n, "%s", text + at);
        for (char *p = out; *p; p++)
            if ((unsigned char)*p < ' ') *p = ' ';
        /* Cutting may have split a character; what is stored is UTF-8. */
        json_t *valid = json_string(out);
        if (!valid)
            for (char *p = out; *p; p++)
                if ((unsigned char)*p >= 0x80) *p = '?';
        json_decref(valid);
    }
    free(text);
}

static const struct {
    int code;
    const char *state, *reason;
} exits[] = {
    {1, "failed", "ended with a failure"},
    {2, "failed", "did not understand its job"},
    {12, "failed", "out of memory: a smaller train.batch or data.size needs less"},
    {75, "interrupted", "stopped; its checkpoint is written"},
};

/* How a run ended: a state with its reason, or a crash (state NULL). */
struct ending {
    const char *state;
    char reason[700];
};

static void crash_reason(struct ending *out, const struct worker *w, int wait_status)
{
    char words[400], how[120] = "ended without saying how";
    if (WIFSIGNALED(wait_status))
        snprintf(how, sizeof how, "killed by signal %d (%s)", WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
    else if (WEXITSTATUS(wait_status))
        snprintf(how, sizeof how, "exit status %d", WEXITSTATUS(wait_status));
    last_words(words, sizeof words, w->log);
    snprintf(out->reason, sizeof out->reason, "%s%s%s", w->trouble[0] ? w->trouble : how,
             words[0] ? "; last words: " : "", words);
}

static struct ending ending_of(const struct worker *w, int wait_status)
{
    struct ending out = {0};
    int code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
    const char *said = json_str(w->end, "state", NULL), *why = json_str(w->end, "reason", NULL);
    if (w->trouble[0] || code < 0 || (code == 0 && !said)) {
        crash_reason(&out, w, wait_status);
        return out;
    }
    if (code == 0) {
        out.state = said;
        snprintf(out.reason, sizeof out.reason, "%s", why ? why : "");
        return out;
    }
    for (size_t i = 0; i < LEN(exits); i++) {
        if (exits[i].code != code) continue;
        char words[400] = "";
        if (!why && code != 75) last_words(words, sizeof words, w->log);
        out.state = exits[i].state;
        snprintf(out.reason, sizeof out.reason, "%s%s%s", why ? why : exits[i].reason, words[0] ? "; last words: " : "",
                 words);
        return out;
    }
    crash_reason(&out, w, wait_status);
    return out;
}

/* The screen's timing against the gate. */
static bool too_slow(struct ending *out, struct engine *e, int task)
{
    const struct plan_stage *g = &e->p->stages[task];
    double limit = json_num(g->config, "gate.p50_ms", 0);
    json_t *rows = NULL, *params = json_pack("[s]", g->key);
    struct status st = store_rows(&rows, e->s, "SELECT min(p50_ms) AS ms FROM latencies WHERE stage_key = ?1", params);
    json_decref(params);
    engine_keep(e, st);
    double ms = st.code == STATUS_OK ? json_num(json_array_get(rows, 0), "ms", 0) : 0;
    if (st.code == STATUS_OK) json_decref(rows);
    snprintf(out->reason, sizeof out->reason, "%.4g ms on %s before training, the gate allows %.4g ms", ms, g->device,
             limit);
    return ms > limit;
}

/* A run that ended well: the stage's next one, or its end. */
static void run_done(struct engine *e, const struct worker *w, struct ending *end)
{
    int task = w->task;
    const struct plan_stage *g = &e->p->stages[task];
    ahead_ran(e, task, time_mono() - w->started);
    if (++e->tasks[task].run < engine_runs(g))
        queue_again(e, task);
    else if (g->kind == PLAN_SCREEN && too_slow(end, e, task))
        queue_end(e, task, "too_slow", end->reason);
    else
        queue_end(e, task, "done", NULL);
}

void job_ended(struct engine *e, struct worker *w, int wait_status)
{
    int task = w->task;
    struct task *t = &e->tasks[task];
    const struct plan_stage *g = &e->p->stages[task];
    struct ending end = ending_of(w, wait_status);
    if (!end.state && e->killing) {
        queue_end(e, task, "interrupted", "killed on request");
    } else if (!end.state) {
        if (t->crashes++ < ENGINE_MAX_CRASHES && !e->stopping) {
            log_warn("%s of %s: %s; trying once more", plan_kinds[g->kind].name, e->p->trials[g->trial].id, end.reason);
            queue_again(e, task);
        } else {
            queue_end(e, task, e->stopping ? "interrupted" : "failed", end.reason);
        }
    } else if (strcmp(end.state, "interrupted") == 0 && !e->stopping && t->interrupts++ < ENGINE_MAX_INTERRUPTS) {
        queue_again(e, task);
    } else if (strcmp(end.state, "done") != 0) {
        queue_end(e, task, end.state, end.reason[0] ? end.reason : NULL);
    } else {
        run_done(e, w, &end);
    }
}
