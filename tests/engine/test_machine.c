/*
 * The coordinator against a model of it. Random plans run through the real loop, queue and rules, but no process is
 * started: this file takes the place of process.c and ends runs as a seeded draw says. What the model (model.h) says
 * should follow is compared at every event and at every turn of the loop.
 *
 *   MACHINE_SEED=7 test-engine-machine    one plan alone
 */
#include "model.h"

enum { PLANS = 120, RUNS = 4 };

/* ---- in the place of process.c ----------------------------------------------------------------------------------- */

struct status process_start(struct engine *e, int task)
{
    struct worker *w = e->workers;
    while (w->pid) w++;
    struct account *a = &sim.at[task];
    place_take(e, w, task);
    *w = (struct worker){.pid = 1,
                         .fd = -1,
                         .task = task,
                         .started = time_mono(),
                         .gpu = w->gpu,
                         .want = w->want,
                         .crowded = w->crowded};
    a->gpu = w->gpu;
    e->n_running++;
    e->exclusive = queue_measures(e, task) && !sim.beside;
    e->tasks[task].state = TASK_RUNNING;
    if (sim.m->stages[task].kind == PLAN_TRAIN) a->micro = ladder_micro(e, task); /* may have been learnt elsewhere */
    return ok();
}

void process_read(struct engine *e, struct worker *w)
{
    (void)e, (void)w;
}

void process_watch(struct engine *e)
{
    (void)e;
}

/* Its id is none of a process: nothing is killed. */
void process_distrust(struct worker *w, enum how fault, const char *why)
{
    snprintf(w->trouble, sizeof w->trouble, "%s", why);
    w->fault = fault;
}

void process_ask(struct worker *w)
{
    (void)w;
}

int64_t process_bytes(pid_t pid)
{
    (void)pid;
    return 0;
}

void process_signal(struct engine *e, int sig)
{
    (void)e;
    sim.killing = sim.killing || sig == SIGKILL;
}

/* A timed screen says how long the net took; 20 is exactly what the gate allows. */
static double tell_time(struct engine *e, struct worker *w)
{
    static const double drawn_ms[] = {5, 20, 20.01, 50};
    double ms = drawn_ms[rng_below(&sim.rng, LEN(drawn_ms))];
    json_t *l = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:f, s:[f], s:b}", "ev", "latency", "threads", 1, "height",
                          64, "width", 64, "visit", 0, "n", 1, "p50_ms", ms, "samples_us", ms * 1000, "unstable", 0);
    engine_store_event(e, w, l);
    json_decref(l);
    return ms;
}

static void end_one(struct engine *e, struct worker *w)
{
    int task = w->task;
    const struct ending_case *c = draw_ending();
    enum outcome then;
    double ms =
        c->then == DONE && sim.m->stages[task].kind == PLAN_SCREEN && sim.at[task].run == 1 ? tell_time(e, w) : 0;
    if (c->says) w->end = json_pack("{s:s, s:s}", "ev", "end", "state", c->says);
    if (c->fault) {
        w->fault = c->fault;
        snprintf(w->trouble, sizeof w->trouble, "as drawn");
    }
    bool was_measuring = measures(task, sim.at[task].run), ends = follows(task, c, ms, &then);
    sim.at[task].running = false;
    sim.running--;
    sim.measuring -= was_measuring;
    place_give(e, w);
    sim.at[task].gpu = NULL;
    sim.expected_end = ends ? task : -1;
    if (ends) settle(task, then, sim.m->stages[task].kind, false);
    e->n_running--;
    e->exclusive = false;
    w->pid = 0;
    job_ended(e, w, c->signal ? c->signal : c->code << 8);
    json_decref(w->end);
    *w = (struct worker){0};
    CU_ASSERT_EQUAL(sim.expected_end, -1); /* it was told */
}

static bool on_gpu(int stage)
{
    enum plan_kind k = sim.m->stages[stage].kind;
    bool torch = k == PLAN_BENCH && strcmp(sim.m->stages[stage].device, "torch") == 0;
    return sim.gpus && (k == PLAN_TRAIN || k == PLAN_EVALUATE || k == PLAN_SAMPLES || torch);
}

/* Runs on the GPU that a running stage has; any GPU that none has is free for all. */
static int leases_beside(int stage)
{
    int n = 0;
    for (int i = 0; i < sim.m->plan.n_stages; i++) n += sim.at[i].running && sim.at[i].gpu == sim.at[stage].gpu;
    return n;
}

static bool some_gpu_is_free(void)
{
    const struct place_gpu *used[MAX_STAGES];
    int n = 0;
    for (int i = 0; i < sim.m->plan.n_stages; i++) {
        bool seen = !sim.at[i].running || !sim.at[i].gpu;
        for (int k = 0; k < n; k++) seen = seen || used[k] == sim.at[i].gpu;
        if (!seen) used[n++] = sim.at[i].gpu;
    }
    return n < sim.gpus;
}

static void check_nothing_waits_in_vain(void)
{
    bool timing = false, place = some_gpu_is_free();
    for (int i = 0; i < sim.m->plan.n_stages; i++)
        timing = timing || (sim.m->stages[i].kind == PLAN_SCREEN && sim.at[i].run == 1 && may_run(i));
    if (sim.running >= sim.jobs || sim.stopping) return;
    if (!sim.beside && (sim.measuring || timing)) return;
    for (int i = 0; i < sim.m->plan.n_stages; i++) {
        bool times = measures(i, sim.at[i].run); /* which of these is next is drawn, and then waited for */
        bool may = times ? sim.beside && !sim.measuring && (place || !sim.gpus) : place || !on_gpu(i);
        CU_ASSERT_FALSE(may && may_run(i));
    }
}

bool process_reap(struct engine *e)
{
    sim.steps++;
    check_nothing_waits_in_vain();
    if (++sim.calls == sim.stop_after || (sim.asked && rng_below(&sim.rng, 8) == 0)) {
        sim.asked = true;
        raise(SIGTERM);
    }
    if (rng_below(&sim.rng, 4) == 0) return false;
    int n = 0;
    for (int i = 0; i < ENGINE_MAX_JOBS; i++) n += e->workers[i].pid != 0;
    CU_ASSERT_EQUAL(n, sim.running);
    int at = n ? (int)rng_below(&sim.rng, (uint64_t)n) : 0;
    for (int i = 0; i < ENGINE_MAX_JOBS; i++)
        if (e->workers[i].pid && at-- == 0) {
            end_one(e, &e->workers[i]);
            return true;
        }
    return false;
}

/* ---- what is told ------------------------------------------------------------------------------------------------ */

/* It has a GPU where it needs one, no more share that than may, and whoever is to be alone is. */
static void check_place(int stage)
{
    struct account *a = &sim.at[stage];
    int n = a->gpu ? leases_beside(stage) : 0;
    CU_ASSERT_EQUAL(a->gpu != NULL, on_gpu(stage));
    CU_ASSERT_TRUE(n <= sim.slots);
    a->crowded = false;
    for (int i = 0; n > 1 && i < sim.m->plan.n_stages; i++) {
        if (!sim.at[i].running || sim.at[i].gpu != a->gpu) continue;
        CU_ASSERT_FALSE(sim.at[i].alone || measures(i, sim.at[i].run));
        sim.at[i].crowded = true;
    }
}

static void stage_starts(int stage, const struct engine_event *e)
{
    struct account *a = &sim.at[stage];
    CU_ASSERT_TRUE(may_run(stage));
    CU_ASSERT_FALSE(sim.stopping);
    CU_ASSERT_FALSE(sim.fail_fast && sim.failed);
    bool times = measures(stage, a->run);
    CU_ASSERT_TRUE(!sim.measuring || (sim.beside && !times));
    CU_ASSERT_TRUE(!times || sim.beside || sim.running == 0);
    CU_ASSERT_TRUE(sim.running < sim.jobs);
    CU_ASSERT_EQUAL(e->run, a->run);
    a->running = true;
    sim.running++;
    sim.measuring += times;
    sim.begun[sim.m->stages[stage].trial] = true;
    check_place(stage);
}

static void stage_ends(int stage, const struct engine_event *e)
{
    struct account *a = &sim.at[stage];
    CU_ASSERT_EQUAL(stage, sim.expected_end);
    CU_ASSERT_FALSE(a->told);
    CU_ASSERT_STRING_EQUAL(e->state, names[a->outcome]);
    a->told = true;
    sim.expected_end = -1;
    sim.ran++;
    sim.failed += a->outcome == FAILED;
    sim.stored[stage] = a->outcome;
    sim.result[stage] = is_result(a->outcome);
}

static void trial_ends(int trial, const struct engine_event *e)
{
    enum outcome worst;
    CU_ASSERT_FALSE(sim.trial_told[trial]);
    CU_ASSERT_TRUE(trial_ended(trial, &worst));
    CU_ASSERT_STRING_EQUAL(e->state, names[worst]);
    sim.trial_told[trial] = true;
}

static void check_totals(const struct engine_totals *t)
{
    int ended = 0, cached = 0, trials = 0;
    enum outcome worst;
    for (int i = 0; i < sim.m->plan.n_stages; i++) {
        ended += sim.at[i].ended;
        cached += sim.at[i].cached;
    }
    for (int i = 0; i < sim.m->plan.n_trials; i++) trials += trial_ended(i, &worst);
    CU_ASSERT_EQUAL(t->ended, ended);
    CU_ASSERT_EQUAL(t->cached, cached);
    CU_ASSERT_EQUAL(t->failed, sim.failed);
    CU_ASSERT_EQUAL(t->running, sim.running);
    CU_ASSERT_EQUAL(t->trials_ended, trials);
    CU_ASSERT_TRUE(t->left_s >= 0);
}

static void hear(void *ctx, const struct engine_event *e)
{
    (void)ctx;
    int stage = e->stage ? (int)(e->stage - sim.m->stages) : -1;
    switch (e->kind) {
    case ENGINE_STAGE_START:
        stage_starts(stage, e);
        break;
    case ENGINE_STAGE_END:
        stage_ends(stage, e);
        break;
    case ENGINE_TRIAL_END:
        trial_ends((int)(e->trial - sim.m->trials), e);
        break;
    case ENGINE_STOPPING:
        CU_ASSERT_TRUE(sim.asked || (sim.fail_fast && sim.failed));
        sim.stopping = true;
        break;
    case ENGINE_START:
    case ENGINE_TICK:
        check_totals(e->totals);
        break;
    default:
        break;
    }
}

/* ---- plans and runs ---------------------------------------------------------------------------------------------- */

static struct made *random_plan(struct rng *rng)
{
    static const char *const backbones[] = {"resnet18", "vgg11", "resnet34"};
    struct made *m = made_new();
    int n = 1 + (int)rng_below(rng, 12);
    for (int i = 0; i < n; i++) {
        json_t *config = json_pack("{s:i, s:i}", "bench.visits", 1 + (int)rng_below(rng, 3), "train.batch",
                                   1 + (int)rng_below(rng, 8));
        if (rng_below(rng, 2)) json_object_set_new(config, "gate.p50_ms", json_real(20));
        int trial = made_trial(m, config);
        m->trials[trial].t.model.backbone = backbones[rng_below(rng, LEN(backbones))];
        if (rng_below(rng, 3) == 0) { /* another device for what is exported */
            int bench = plan_find(&m->plan, trial, PLAN_BENCH);
            int more = made_stage(m, trial, PLAN_BENCH, m->stages[bench].needs[0]);
            snprintf(m->stages[more].key, PLAN_KEY, "device %d", trial);
            m->stages[more].device = "torch";
        }
    }
    if (rng_below(rng, 3) == 0) { /* and one that cannot be built */
        struct plan_trial *t = &m->trials[m->plan.n_trials];
        m->configs[m->plan.n_trials] = json_object();
        *t = (struct plan_trial){
            .config = m->configs[m->plan.n_trials], .stages = m->lists[m->plan.n_trials], .refused = "cannot be built"};
        t->t.model.arch = t->t.model.backbone = "none";
        snprintf(t->id, sizeof t->id, "refused");
        m->cells[m->plan.n_trials] = (struct plan_cell){.trial = m->plan.n_trials, .axes = json_object()};
        m->sweep.n_cells++;
        m->plan.n_trials++;
    }
    return m;
}

static void check_result(const struct engine_result *r)
{
    const int stopped = r->interrupted + r->queued; /* half done, or never begun */
    const int *counted[N_OUTCOMES] = {&r->done, &r->refused, &r->too_slow, &r->diverged, &stopped, &r->failed};
    int want[N_OUTCOMES] = {0}, cached = 0;
    enum outcome worst;
    for (int i = 0; i < sim.m->plan.n_trials; i++) {
        bool ended = trial_ended(i, &worst);
        CU_ASSERT_EQUAL(ended, sim.trial_told[i]);
        CU_ASSERT_TRUE(ended || sim.stopping); /* all comes to its end */
        want[ended ? worst : INTERRUPTED]++;
    }
    for (int i = 0; i < N_OUTCOMES; i++) CU_ASSERT_EQUAL(*counted[i], want[i]);
    for (int i = 0; i < sim.m->plan.n_stages; i++) cached += sim.at[i].cached;
    CU_ASSERT_EQUAL(r->ran, sim.ran);
    CU_ASSERT_EQUAL(r->cached, cached);
    CU_ASSERT_EQUAL(sim.running, 0);
}

/* What is stored is what was told. */
static void check_stored(void)
{
    json_t *stages = made_rows(sim.m, "SELECT key, state FROM stages"), *at = json_object();
    for (size_t i = 0; i < json_array_size(stages); i++)
        json_object_set(at, json_str(json_array_get(stages, i), "key", ""), json_array_get(stages, i));
    for (int i = 0; i < sim.m->plan.n_stages; i++) {
        const char *state = json_str(json_object_get(at, sim.m->stages[i].key), "state", NULL);
        if (sim.at[i].told) CU_ASSERT_STRING_EQUAL(state, names[sim.at[i].outcome]);
        if (sim.at[i].skipped && state) CU_ASSERT_FALSE(is_result(outcome_named(state)) && !sim.result[i]);
    }
    json_t *trials = made_rows(sim.m, "SELECT id, state FROM trials ORDER BY rowid");
    for (int i = 0; i < sim.m->plan.n_trials; i++) {
        enum outcome worst;
        const char *state = json_str(json_array_get(trials, (size_t)i), "state", "");
        bool ended = trial_ended(i, &worst);
        if (ended || sim.begun[i]) CU_ASSERT_STRING_EQUAL(state, names[ended ? worst : INTERRUPTED]);
    }
    CU_ASSERT_EQUAL(made_int(sim.m, "SELECT count(*) AS n FROM stages WHERE state = 'running'"), 0);
    json_decref(stages);
    json_decref(trials);
    json_decref(at);
}

/* So many GPUs, of which each has room for all that may share it. */
static void draw_places(void)
{
    static char path[500]; /* one: many plans are drawn */
    static const char line[] = "A 81920 81920 8.0\n";
    char text[200] = "", library[1200];
    if (!path[0]) snprintf(path, sizeof path, "%s/gpus", test_dir());
    sim.gpus = rng_below(&sim.rng, 2) ? (int)rng_below(&sim.rng, 4) : 0;
    sim.slots = 1 + (int)rng_below(&sim.rng, 3);
    sim.beside = rng_below(&sim.rng, 3) == 0;
    for (int i = 0; i < sim.gpus; i++) {
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s", line);
        text[strlen(text) - strlen(line)] = (char)('A' + i);
    }
    TEST_OK(fs_write(path, text, strlen(text)));
    snprintf(library, sizeof library, "%s/fake-nvml.so", test_build_dir());
    setenv("FAKE_NVML", path, 1);
    setenv("SWEEP_NVML", library, 1);
    setenv("SWEEP_GPU_LOCKS", sim.m->dir, 1);
    unsetenv("CUDA_VISIBLE_DEVICES");
}

static void run_plan(uint64_t seed)
{
    sim = (struct sim){.rng = rng_key(seed, 1, 0, 0), .steps = sim.steps};
    struct made *m = random_plan(&sim.rng);
    sim.m = m;
    for (int run = 0; run < RUNS; run++) {
        struct engine_result r;
        sim.jobs = 1 + (int)rng_below(&sim.rng, 5);
        sim.fail_fast = rng_below(&sim.rng, 5) == 0;
        draw_places();
        char slots[8];
        snprintf(slots, sizeof slots, "%d", sim.slots);
        sim.stop_after = rng_below(&sim.rng, 3) == 0 ? 1 + (int)rng_below(&sim.rng, 60) : 0;
        model_begins();
        struct status st = made_run(&r, m,
                                    (struct engine_options){.jobs = sim.jobs,
                                                            .slots = slots,
                                                            .measure_beside = sim.beside,
                                                            .fail_fast = sim.fail_fast,
                                                            .seed = seed,
                                                            .ms_tick = 1e-3,
                                                            .on_event = hear});
        bool stopped = sim.stopping && !(sim.fail_fast && sim.failed);
        CU_ASSERT_EQUAL(st.code, stopped ? STATUS_INTERRUPTED : STATUS_OK);
        check_result(&r);
        check_stored();
    }
    made_free(m);
}

/* Asked to stop when all was over. */
static void too_late(int sig)
{
    (void)sig;
}

static void engine_machine__follows_its_model(void)
{
    signal(SIGTERM, too_late);
    const char *only = getenv("MACHINE_SEED");
    int64_t first = 1, n = PLANS;
    if (only && str_to_i64(only, &first)) n = 1;
    log_set_level(LOG_ERROR);
    for (int64_t seed = first; seed < first + n; seed++) {
        unsigned before = CU_get_number_of_failures();
        run_plan((uint64_t)seed);
        if (CU_get_number_of_failures() == before) continue;
        fprintf(stderr, "the plan of MACHINE_SEED=%lld\n", (long long)seed);
        break;
    }
    log_set_level(LOG_INFO);
    printf("(%lld steps) ", (long long)sim.steps);
    CU_ASSERT_TRUE(only || sim.steps > 5000);
}

static const struct test tests[] = {TEST(engine_machine__follows_its_model)};
TEST_MAIN("engine machine", tests)
