/* What the files of the room share. */
#ifndef ENGINE_INSIDE_H
#define ENGINE_INSIDE_H

#include "engine.h"
#include "place.h"
#include <signal.h>
#include <sys/types.h>

enum { ENGINE_MAX_JOBS = 64, ENGINE_MAX_RESTS = 4 * ENGINE_MAX_JOBS, ENGINE_WATCH_MS = 200 };

/* How a run of a stage ended, told apart. */
enum how {
    HOW_SAID, /* by the protocol: what it said counts */
    HOW_CRASH,
    HOW_NONSENSE, /* what came through its pipe was no protocol */
    HOW_HANG,
    HOW_MEMORY, /* said by itself, or over the limit */
    HOW_DEVICE, /* its GPU is gone or failed */
    HOW_TIME,
    HOW_JOB, /* did not understand what it should do */
    HOW_INTERRUPTED,
    N_HOWS
};

/* A stage on its way through the queue. WAITING -> READY -> RUNNING -> READY (next run, retry) or ENDED. */
enum task_state { TASK_WAITING, TASK_READY, TASK_RUNNING, TASK_ENDED };

struct task {
    enum task_state state;
    bool cached;
    bool open;         /* stored as running */
    int missing;       /* needs that have not ended */
    int run;           /* of engine_runs() */
    int tries[N_HOWS]; /* runs that ended so and were tried again */
    double seconds;    /* of the runs so far */
    int64_t rss_bytes;
    double ms;                   /* of a screen: what it was timed with; 0: not yet */
    bool fresh;                  /* something went wrong in a process that had done other work: it gets a new one */
    bool alone;                  /* its memory ran out beside another on one GPU: it has one for itself now */
    const struct place_gpu *gpu; /* of the last run; NULL: none */
    int core, n_cores;           /* of the last run, from the place's list; 0: as it came */
    int micro;                   /* images at once in training, fewer than the batch because that did not fit; 0: all */
    enum how how;
    const char *outcome; /* of an ended one: "done", ... or "skipped" */
};

/* Ready stages of one kind, first in first out. */
struct lane {
    int *v;
    int head, n, cap;
};

/* A process that takes one run after another (worker/PROTOCOL.md), between two of them or at one. */
struct resident {
    pid_t pid;                   /* 0: none */
    int channel, fd;             /* of jobs, of events */
    const struct place_gpu *gpu; /* what it was started for, and keeps: the GPU, NULL none, */
    int core, n_cores;           /* and the cores */
    int trial;                   /* of its last run */
    int runs;
    int64_t bytes_first, bytes_hired; /* what it held at rest after its first run, and before the present one */
    bool leaving;                     /* killed, and not reaped yet */
    double since;                     /* at rest */
};

struct worker {
    pid_t pid; /* 0: free */
    int fd;    /* events */
    int task;
    bool stays;           /* it is resident, */
    struct resident home; /* as which; pid and fd are those above */
    int64_t bytes_over;   /* of its memory limit, when it was killed for that */
    bool rested;          /* its run has ended well, it waits for the next */
    int64_t rested_bytes; /* the run's peak of memory */
    bool asked;           /* to stop: whatever it does next, it does not stay */
    double started, beat;
    double eta_s, eta_at; /* what it said of its own rest, and when; eta_at 0: nothing */
    struct str in;        /* an unfinished line */
    json_t *end;          /* its end event */
    char trouble[300];    /* why it was killed or is not believed */
    enum how fault;       /* of what kind that is */
    bool killed;          /* by us */
    bool heavy;           /* was over its memory, with what it started, when last weighed */
    struct place_gpu *gpu;
    struct lease_want want;
    int64_t bytes_held; /* of the GPU's memory, by its own account; 0: not known yet */
    double work;        /* multiplications of the training so far; 0: it has told of none */
    double each;        /* of a step */
    bool crowded;       /* was not alone on its GPU all the time */
    bool beside;        /* was not the only worker all the time */
    char log[1200];
};

/* Predicted seconds of one kind's stages that have not ended, and how those that ran compare. */
struct ahead {
    double left_s, took_s, meant_s;
    int n;
    double logs, logs_squared; /* of took over meant, one a run */
    double judged_s, error_s;  /* predicted seconds whose error was known beforehand, and that error */
};

struct engine {
    const struct engine_options *o;
    const struct plan *p;
    struct store *s;
    json_t *known;         /* engine_cached */
    struct task *tasks;    /* one a stage */
    int *after, *after_at; /* stages that need stage i: after[after_at[i]..after_at[i+1]) */
    int *open;             /* [trial] stages it owns that have not ended */
    int *verdict;          /* [trial] worst outcome so far */
    char **why;            /* [trial] reason of the worst outcome */
    bool *begun;           /* [trial] */
    struct lane lanes[PLAN_N_KINDS];
    struct lane timing; /* screens whose export waits to be timed */
    struct worker workers[ENGINE_MAX_JOBS];
    struct resident rests[ENGINE_MAX_RESTS]; /* processes that wait for a run */
    int n_running;
    int gpu_left;   /* no task before it will want a GPU */
    bool exclusive; /* a measurement runs */
    bool watches_memory;
    bool loading, stopping, killing, locks_clear;
    struct status error;  /* of the store: ends the run */
    struct write *writes; /* of the batch at hand */
    int n_writes, cap_writes;
    bool in_batch;
    struct rng rng;
    struct engine_totals totals;
    struct engine_result result;
    struct pruning *pruning;
    json_t *micro; /* what fitted: backbone and size -> images at once */
    double watched;
    double *run_s, *run_bytes; /* [stage] predicted for one run */
    struct place place;
    struct monitor monitor;
    struct ahead ahead[PLAN_N_KINDS];
    char environment[33];
    char worker_path[1100], bench_path[1100];
    sigset_t mask_before;
    int signal_fd;
};

/* queue.c: which stage next; what follows from an end */
struct status queue_init(struct engine *e);
void queue_free(struct engine *e);
/** Next task that may start now, -1 when none may. */
int queue_next(struct engine *e);
/** The training that starts next, place given; -1: none is ready. */
int queue_training(const struct engine *e);
/** Trainings wait for stages that have not ended. */
bool queue_trains_later(const struct engine *e);
/** Back into its lane: a next run, or a retry. */
void queue_again(struct engine *e, int task);
/** A stage has its outcome: stored, told, its dependants readied or skipped. */
void queue_end(struct engine *e, int task, const char *state, const char *reason);
/** A stage that ends so has said what there is to say. */
bool queue_is_result(const char *state);
/** The run that a task is about to do is a measurement. */
bool queue_measures(const struct engine *e, int task);

/* process.c: worker processes */
struct status process_start(struct engine *e, int task);
void process_read(struct engine *e, struct worker *w);
/** Reaps those that ended; true when some did. */
bool process_reap(struct engine *e);
void process_signal(struct engine *e, int sig);
void process_watch(struct engine *e);
/** Kills a worker whose run cannot count any more, and what it started; the first reason stays. */
void process_distrust(struct worker *w, enum how fault, const char *why);

/** Asks a run to end with a checkpoint. */
void process_ask(struct worker *w);
/** Bytes of a process resident in memory; 0 when it is gone. */
int64_t process_bytes(pid_t pid);

/* resident.c: processes that stay for the next run */
/** Whether the task's next run may be done by a process that has done others, and does more. */
bool resident_may(const struct engine *e, int task);
/** Gives the run to one that waits and has the place that the task has, with these files; false: none takes it. */
bool resident_hire(struct engine *e, struct worker *w, int task, const int *fds, int n);
/** A new process was started for the worker's task. */
void resident_begins(struct engine *e, struct worker *w, int channel);
/** The worker's run has ended, its process waits: keeps it for the next run, or ends it. */
void resident_rests(struct engine *e, struct worker *w);
/** The worker's process has ended. */
void resident_ended(struct engine *e, struct worker *w);
/** Ends those on this GPU (NULL: on none). */
void resident_leave(struct engine *e, const struct place_gpu *gpu);
/** Reaps those that ended, and ends those for which nothing is left. */
void residents_tidy(struct engine *e);
/** Ends all, and waits until they are gone. */
void residents_end(struct engine *e);

/* limits.c */
/** What a trial's workers may use; 0: no limit. */
struct limits {
    int64_t bytes;
    double stage_s, hang_s;
};
struct limits limits_of(const struct engine_options *o, const struct spec_trial *t);

/* ending.c: what the end of a process means */
struct ending {
    enum how how;
    const char *state; /* what the stage would be if nothing more is tried */
    char reason[700];
};
struct ending ending_of(const struct worker *w, int wait_status);
/** Name of the kind of end, as stored; NULL: it said itself. */
const char *ending_name(enum how how);
/** How often such an end is tried again. */
int ending_tries(enum how how);

/* job.c: what a worker is told, and what follows from its end */
struct status job_json(json_t **out, struct engine *e, int task);
/** True when this device's runtime is libtorch, in the worker. */
bool job_in_worker(const char *device);
/** Path of the program for the task's next run. */
const char *job_program(const struct engine *e, int task);
void job_ended(struct engine *e, struct worker *w, int wait_status);
/** Folder of a trial; in the arena. */
const char *job_dir(struct arena *a, const struct engine *e, int trial);

/* ahead.c: how long it will still take */
/** Runs of a task that are to be done; negative: that will not be. */
void ahead_add(struct engine *e, int task, int runs);
/** A run was done, in so many seconds. */
void ahead_ran(struct engine *e, int task, double seconds);
void ahead_hears(struct worker *w, const json_t *progress);
/** What runs on a GPU is to take still, one after another. */
double ahead_on(const struct engine *e, const struct place_gpu *gpu);
/** The forecast of a task's runs has this relative error; negative: not known. */
void ahead_knows(struct engine *e, int task, int runs, double error);
/** @p error_s: how wrong that may be; negative: not known. */
double ahead_seconds(const struct engine *e, double *error_s);

/* ladder.c: a training that does not fit is done with fewer images at once, and as many steps */
/** What earlier runs learnt. */
struct status ladder_init(struct engine *e);
/** Images at once for the training's next run; 0: the whole batch. */
int ladder_micro(struct engine *e, int task);
/** It did not fit: true when there is a smaller step to try, which is remembered for cells of the same backbone. */
bool ladder_down(struct engine *e, int task);

/* pruning.c: trainings that fall behind are stopped */
/** What earlier runs told and decided. */
struct status pruning_init(struct engine *e);
void pruning_free(struct engine *e);
/** A worker's metrics, which are stored: where a rule has a say, it is asked, and the worker perhaps told to stop. */
void pruning_hears(struct engine *e, struct worker *w, const json_t *metrics);
/** Why a training is to stop; NULL: it is not. */
const char *pruning_why(const struct engine *e, int task);

/* state.c */
/** engine_cached, with what was pruned by a rule that the plan has no longer. */
struct status state_known(json_t **out, struct store *s, const struct plan *p);

/* locks.c: a worker that outlived its coordinator is waited for before its stage is taken again */
struct status locks_clear(struct engine *e);
/** The lock that the next worker in a slot inherits. */
struct status locks_take(int *fd, const struct engine *e, int slot);
/** Nobody holds one any more. */
void locks_end(struct engine *e);
void locks_sign(int fd, pid_t pid);

/* past.c: what the machine is, and what its finished stages say */
/** Predicted cost of all runs of a stage, as stored beside what they took. Owner: the caller. */
json_t *engine_estimate(const struct plan_stage *g);

/* writes.c: what is stored, in batches; where the store cannot take them now, the run stands still until it can */
void writes_stage_start(struct engine *e, int task);
void writes_stage_end(struct engine *e, int task, const char *state, const char *reason);
void writes_trial(struct engine *e, int trial, const char *state, const char *reason);
/** The trial's checkpoint of this kind is not kept (store_drop_file). */
void writes_drop(struct engine *e, int trial, const char *kind, bool needed);
/** Errors: STATUS_ARG for an event that is not as the protocol says, which is not stored. */
struct status writes_event(struct engine *e, int task, const json_t *event);
/** What a rule said of a training. */
void writes_decision(struct engine *e, int task, const json_t *decision);
/** Takes @p values over. */
void writes_info(struct engine *e, int task, json_t *values);
/** Commits what has come since the last time. */
void writes_end(struct engine *e);
void writes_free(struct engine *e);

/* events */
void engine_tell(struct engine *e, struct engine_event ev);
void engine_store_event(struct engine *e, struct worker *w, const json_t *event);
/** Signals that have come; true when a child's was among them. */
bool engine_take_signals(struct engine *e);
/** Keeps the first failure in e->error. */
void engine_keep(struct engine *e, struct status st);
struct store_stage engine_stage_row(const struct engine *e, int task);

/* ---- checkpoints of finished trials: keep.c -----------------------------------------------------------------------
 */

/** As the trial's `keep` says. */
void keep_apply(struct engine *e, int trial);

/* ---- more epochs of a stored training: longer.c -------------------------------------------------------------------
 */

/** Adds `from` to the job of a training that goes on from that of fewer epochs; says why where it cannot. */
struct status longer_from(json_t *job, struct engine *e, int task);

#endif
