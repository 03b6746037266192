/*
 * engine: does a plan. A queue of stages in the order of their needs, worker processes that take one run after
 * another (worker/PROTOCOL.md), and one coordinator, this process, which alone writes the store. A crash ends one
 * worker, never the sweep; whatever ends the coordinator, the next run goes on from what is stored.
 *
 *     struct engine_result r;
 *     TRY(engine_run(&r, &(struct engine_options){.plan = p, .store = s, .jobs = 2}));
 *
 * A measurement never runs beside other work on the same CPU: it waits until nothing else runs, and nothing starts
 * beside it, unless that is asked for. Training has a GPU for itself where there are GPUs (place.c).
 */
#ifndef SWEEP_ENGINE_H
#define SWEEP_ENGINE_H

#include "base.h"
#include "plan.h"
#include "store.h"

enum engine_event_kind {
    ENGINE_START,       /* the queue is known: totals are set */
    ENGINE_STAGE_START, /* a run of a stage begins */
    ENGINE_PROGRESS,    /* json: a worker's progress event */
    ENGINE_METRICS,     /* json: a worker's metrics event, already stored */
    ENGINE_DECISION,    /* json: rule, metric, epoch, value, threshold, stop, peers, reason of a training */
    ENGINE_LOG,         /* json: level, text */
    ENGINE_STAGE_END,   /* state, reason, seconds */
    ENGINE_TRIAL_END,   /* state, reason */
    ENGINE_TICK,        /* nothing new; time has passed */
    ENGINE_STOPPING,    /* asked to stop: workers write their checkpoints */
    ENGINE_GPUS,        /* json: what each GPU does, and why it gets no further training (place_gpus_json) */
};

struct engine_totals {
    int stages, ended, cached, failed, running; /* stages: all of the plan; ended counts the cached ones, too */
    int trials, trials_ended, trials_failed, trials_pruned;
    int trained;         /* trials whose training is done, whatever of them still waits */
    double left_s;       /* predicted wall time to the end, */
    double left_error_s; /* and how wrong that may be; negative: not known */
    int gpus, gpus_busy;
};

struct engine_event {
    enum engine_event_kind kind;
    const struct plan_stage *stage; /* NULL for START, TRIAL_END, TICK, STOPPING, GPUS */
    const struct plan_trial *trial; /* NULL for START, TICK, STOPPING, GPUS */
    int run, n_runs;                /* of a stage that is measured several times */
    int gpu;                        /* that the stage has, as engine_gpus counts; -1: none */
    const char *state, *reason;     /* reason may be NULL */
    double seconds;
    const json_t *json;
    const struct engine_totals *totals;
};

struct engine_options {
    const struct plan *plan;
    struct store *store;
    int jobs;            /* workers at once; 0: as many as the GPUs take, 1 without */
    const char *gpus;    /* "0,2" (as engine_gpus counts), "none"; NULL, "all": all */
    const char *slots;   /* workers a GPU: "3", at most, or "auto" (NULL), as many as pay; memory limits both */
    bool measure_beside; /* measurements may run beside other work; their rows say so */
    bool shared;         /* others compute on this machine, unseen by us: rows of measurements say so, too */
    bool fresh;          /* each run in a process of its own; else a worker stays and takes one after another */
    bool fail_fast;      /* the first failed stage stops the sweep */
    /* Limits of every stage; 0: those of its trial's configuration. */
    double hang_s;              /* a worker without a sign of life for so long is killed */
    double stage_s;             /* a run of a stage that takes longer is killed and has failed */
    int64_t bytes_limit;        /* resident memory of a worker and what it started: over it counts as out of memory */
    double ms_tick;             /* how often ENGINE_TICK comes; 0: never */
    int ms_gpus;                /* how often the driver tells of the GPUs; 0: each second */
    uint64_t seed;              /* of the order of measurements */
    const char *locks;          /* folder, on a disk of this machine; NULL: beside the store */
    const char *worker, *bench; /* programs; NULL: sweep-worker and sweep-bench beside this one */
    void (*on_event)(void *ctx, const struct engine_event *e);
    void *ctx;
};

enum { ENGINE_MAX_GPUS = 32, ENGINE_GPU_PROCESSES = 16 };

struct engine_result {
    int ran, cached;                                                    /* stages */
    int done, failed, refused, diverged, too_slow, pruned, interrupted; /* trials */
    int queued;                                                         /* trials that never began */
    double seconds;
    int n_gpus;
    struct {
        int index;
        double busy; /* percent of the run's time, as the driver says; negative: it does not */
    } gpus[ENGINE_MAX_GPUS];
};

/**
 * Stores the plan's sweeps and trials, and runs what is not stored yet. SIGINT and SIGTERM are taken while it runs:
 * the first lets workers write a checkpoint, the second kills them.
 * Errors: STATUS_INTERRUPTED after a signal; STATUS_DB, STATUS_IO when results cannot be stored (workers are stopped
 * first, what is stored stays). A failed trial is no error: @p out counts it.
 */
struct status engine_run(struct engine_result *out, const struct engine_options *o);

/** Checkpoints of finished trials that this policy (best, none) would not keep, of trainings that ended @p older_s
 * seconds ago or earlier: trial, kind, needed, path, bytes, reason. Owner: the caller. */
struct status engine_surplus(json_t **out, struct store *s, const char *keep, double older_s);
/** Removes them, rows and files. */
struct status engine_drop(struct store *s, const json_t *surplus);

/* ---- GPUs ------------------------------------------------------------------------------------------------------- */

struct engine_gpu_process {
    int pid;
    int64_t bytes; /* of the GPU; 0: not known */
};
struct engine_gpu {
    int index; /* among those that this process may use: what --gpus counts */
    char name[96], uuid[96];
    int64_t bytes_total, bytes_free; /* 0, 0: not known */
    int busy;                        /* percent of the last moment in which it computed; negative: not known */
    int capability[2];               /* of computing: major, minor; 0: not known */
    bool exclusive;                  /* set up by its owner to be used by one process at a time, or by none */
    struct engine_gpu_process processes[ENGINE_GPU_PROCESSES];
    int n_processes;
};
struct engine_gpus {
    int n;
    struct engine_gpu v[ENGINE_MAX_GPUS];
    bool absent;  /* no driver library at all: trouble says no more than that */
    bool whole;   /* what is not in it is not there: nothing but a GPU that is gone answered an error */
    bool counted; /* the driver has said how many there are */
    double asked; /* when, by time_mono(); 0: not told */
    char library[512], trouble[400];
};
/** GPUs that the driver's library tells of (SWEEP_NVML, else libnvidia-ml.so.1) and CUDA_VISIBLE_DEVICES leaves to this
 *  process, in the order of the latter. Never fails: trouble says why there are none, or fewer. Takes 10 s at most. */
void engine_gpus(struct engine_gpus *out);
/** Whether the libtorch of this build can compute on a GPU. */
bool engine_cuda(void);
/** What `train.precision: auto` means on the GPUs that --gpus leaves (as in engine_options): "bf16", or "fp16" when one
 *  of them is older than that; NULL: the CPU trains. Errors: STATUS_ARG for a GPU that is not there. */
struct status engine_precision(const char **out, const char *gpus);
/** Whether --gpus and --slots can be understood; the GPUs may be another machine's. Errors: STATUS_ARG. */
struct status engine_check_gpus(const char *gpus, const char *slots);
/** Workers at once when --jobs does not say; @p gpus and @p slots as in engine_options. Errors: STATUS_ARG. */
struct status engine_jobs(int *out, const char *gpus, const char *slots);

/* ----------------------------------------------------------------------------------------------------------------- */

/** The plan's sweeps and trials as rows, within a transaction; trials whose stages are all @p known (engine_cached,
 * NULL: none is) stay as they are. */
struct status engine_put_plan(struct store *s, const struct plan *p, const json_t *known);
struct status engine_put_trial(struct store *s, const struct plan_trial *t);

/** What the store holds of a plan: state by stage key for those that need not run again ("done", "refused", ...). A
 *  training that was pruned need not as long as the rule is the same.
 *  Owner: the caller json_decrefs. */
struct status engine_cached(json_t **out, struct store *s, const struct plan *p);

/** The longest stored training that differs from @p trial's in having fewer epochs: {id, key, epochs, dir, goes_on: the
 * rate does not depend on the number of epochs, so this one goes on from its checkpoint if the optimiser's state is
 * there}; NULL when there is none. Owner: the caller json_decrefs. */
struct status engine_shorter(json_t **out, struct store *s, const struct plan *p, int trial);

/** Rules that stop trainings which fall behind: [{rule, rule_key, metric, decides, cells}], one object a rule of the
 * plan, the epochs that it decides after in words, and how many of the cells are residual nets. Owner: the caller
 * json_decrefs. */
json_t *engine_pruning(const struct plan *p);

/** Results of these kinds (1 << plan_kind), and of all stages that read them, are dropped: the next run does them anew.
 *  @p n gets how many there were. */
struct status engine_redo(int *n, struct store *s, const struct plan *p, unsigned kinds);

/** Files in the trials' folders that no row names: [{path, bytes, reason}], paths relative to the store's folder. Logs
 *  and what an unfinished training goes on from are none. Owner: the caller json_decrefs. */
struct status engine_garbage(json_t **out, struct store *s);
/** Every file in a trial's folder, in the same form. Owner: the caller json_decrefs. */
struct status engine_files(json_t **out, struct store *s, const char *trial);
/** Removes them, and folders that are empty then. Only the holder of the lock may. */
struct status engine_remove(struct store *s, const json_t *garbage);

/** What this machine's finished stages say about the cost of the next ones. Owner: the caller, plan_model_free. */
struct status engine_model(struct plan_model **out, struct store *s);
/** CPU, cores, memory, system of this machine. Owner: the caller. */
json_t *engine_machine(void);
/** CPU threads that a worker of this stage gets beside @p jobs - 1 others, and the cores over them. */
int engine_threads(const struct plan_stage *g, int jobs, int cores);
double engine_share(const struct plan_stage *g, int jobs, int cores);

/** Runs of one stage: the visits of a measurement, else 1. */
int engine_runs(const struct plan_stage *g);

#endif
