/* Plans made by hand for the scripted worker, and what its log says. */
#ifndef TESTS_ENGINE_MADE_H
#define TESTS_ENGINE_MADE_H

#include "engine.h"
#include "test.h"

struct made {
    struct plan plan;
    struct plan_trial trials[64];
    struct plan_stage stages[512];
    int lists[64][8];
    struct plan_sweep sweep;
    struct plan_cell cells[64];
    json_t *configs[64];
    char db[400], dir[400];
};

/** A sweep without cells, in a fresh folder. */
static inline struct made *made_new(void)
{
    struct made *m = mem_zalloc(sizeof *m);
    snprintf(m->dir, sizeof m->dir, "%s", test_dir());
    snprintf(m->db, sizeof m->db, "%s/sweep.db", m->dir);
    m->plan = (struct plan){.trials = m->trials, .stages = m->stages, .sweeps = &m->sweep, .n_sweeps = 1};
    m->sweep = (struct plan_sweep){
        .name = "made", .path = "made.yaml", .rank = "ssim", .spec = json_object(), .cells = m->cells};
    return m;
}

static inline void made_free(struct made *m)
{
    for (int i = 0; m->plan.trials == m->trials && i < m->plan.n_trials; i++) {
        json_decref(m->configs[i]);
        json_decref(m->cells[i].axes);
    }
    json_decref(m->sweep.spec);
    free(m);
}

static inline int made_stage(struct made *m, int trial, enum plan_kind kind, int need)
{
    struct plan_stage *g = &m->stages[m->plan.n_stages];
    struct plan_trial *t = &m->trials[trial];
    char text[80];
    bool exported = kind == PLAN_EXPORT || kind == PLAN_VERIFY || kind == PLAN_BENCH;
    int n = snprintf(text, sizeof text, "%s %d", t->id, (int)kind);
    *g = (struct plan_stage){.kind = kind,
                             .trial = trial,
                             .config = m->configs[trial],
                             .format = exported ? "onnx" : "",
                             .device = kind == PLAN_BENCH || kind == PLAN_SCREEN ? "cpu" : "",
                             .cost = {.s = {1}},
                             .est_s = 1};
    memcpy(g->key, hash_bytes(text, (size_t)n).hex, PLAN_KEY);
    if (need >= 0) g->needs[g->n_needs++] = need;
    t->stages[t->n_stages++] = m->plan.n_stages;
    return m->plan.n_stages++;
}

/** A trial with all its stages; @p config is how the worker acts. Takes @p config over. */
static inline int made_trial(struct made *m, json_t *config)
{
    int i = m->plan.n_trials++;
    struct plan_trial *t = &m->trials[i];
    m->configs[i] = config;
    *t = (struct plan_trial){.config = config, .stages = m->lists[i]};
    t->t.model.arch = "unet";
    t->t.model.backbone = "resnet18";
    t->t.data.size[0] = t->t.data.size[1] = 64;
    t->t.limits.hang_s = 900;
    snprintf(t->id, sizeof t->id, "%012d", i);
    snprintf(t->loss_key, sizeof t->loss_key, "loss");
    m->cells[i] = (struct plan_cell){.trial = i, .axes = json_object()};
    m->sweep.n_cells++;
    bool gate = json_num(config, "gate.p50_ms", 0) > 0;
    int screen = gate ? made_stage(m, i, PLAN_SCREEN, -1) : -1;
    int train = made_stage(m, i, PLAN_TRAIN, screen);
    made_stage(m, i, PLAN_EVALUATE, train);
    int made = made_stage(m, i, PLAN_EXPORT, train);
    made_stage(m, i, PLAN_VERIFY, made);
    made_stage(m, i, PLAN_SAMPLES, train);
    made_stage(m, i, PLAN_BENCH, made);
    return i;
}

static inline struct status made_run(struct engine_result *r, const struct made *m, struct engine_options o)
{
    static char worker[1100];
    struct store *s;
    snprintf(worker, sizeof worker, "%s/fake-worker", test_build_dir());
    TRY(store_open(&s, (struct store_options){.path = m->db, .command = "test"}));
    o.plan = &m->plan;
    if (!getenv("SWEEP_NVML")) o.gpus = "none"; /* whatever this machine has */
    o.store = s;
    if (!o.worker) o.worker = o.bench = worker;
    struct status st = engine_run(r, &o);
    store_close(s);
    return st;
}

/** The plan of a file in the site's folder instead of one made by hand. Owner: the caller, after made_free: plan_free.
 */
static inline struct plan *made_load(struct made *m, const char *yaml)
{
    struct arena a = {0};
    struct plan *p = NULL;
    const char *path = fs_join(&a, m->dir, "made.yaml");
    TEST_OK(fs_write(path, yaml, strlen(yaml)));
    TEST_OK(plan_load(&p, &(struct plan_options){.files = &path, .n_files = 1}));
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    arena_free(&a);
    m->plan = *p;
    return p;
}

/** All rows of a query. Owner: the caller. */
static inline json_t *made_rows(const struct made *m, const char *sql)
{
    struct store *s;
    json_t *rows = NULL;
    TEST_OK(store_open(&s, (struct store_options){.path = m->db, .read_only = true}));
    if (s) TEST_OK(store_rows(&rows, s, sql, NULL));
    store_close(s);
    return rows;
}

static inline int64_t made_int(const struct made *m, const char *sql)
{
    json_t *rows = made_rows(m, sql);
    int64_t n = json_int(json_array_get(rows, 0), "n", -1);
    json_decref(rows);
    return n;
}

/** A line of the scripted worker's log. */
struct made_note {
    char key[40], stage[16], what[16];
    int visit, pid;
    double at;
    char compute[8], gpu[40], cores[200]; /* "-": not told */
};
/** Owner: the caller frees. */
static inline struct made_note *made_log(const struct made *m, int *n)
{
    char path[500], *text = NULL;
    snprintf(path, sizeof path, "%s/trials/runs.log", m->dir);
    *n = 0;
    struct status st = fs_read(&text, NULL, path);
    struct made_note *v = mem_zalloc(sizeof *v * 20000);
    if (st.code != STATUS_OK) return v;
    for (char *p = text, *nl; (nl = strchr(p, '\n')) && *n < 20000; p = nl + 1) {
        struct made_note *x = &v[*n];
        if (sscanf(p, "%39s %15s %d %15s %d %lf %7s %39s %199s", x->key, x->stage, &x->visit, x->what, &x->pid, &x->at,
                   x->compute, x->gpu, x->cores) == 9)
            ++*n;
    }
    free(text);
    return v;
}

#endif
