/* Where a run of a stage happens: GPUs, leases of them, shares of the cores. */
#ifndef ENGINE_PLACE_H
#define ENGINE_PLACE_H

#include "engine.h"

struct engine;
struct worker;

enum { LEASE_MAX_SLOTS = 16, PLACE_MAX_CORES = 1024 };
static const int64_t PLACE_BYTES_CONTEXT = 600LL << 20; /* of a process on a GPU before it has made a tensor */

/* Trainings at once on one GPU, where --slots is auto. */
struct growth {
    int most, cap;                    /* at once now; ever */
    int before;                       /* what most was doubled from; 0: not yet */
    bool settled;                     /* most is final */
    double rate[LEASE_MAX_SLOTS + 1]; /* [n at once] work a second of all together; 0: not known */
    double doubted;                   /* a window's rate that did not pay, and waits for a second; 0: none */
    bool verdict;                     /* the last window decided */
    int n;                            /* the window that is measured: how many, since when, from what work on */
    double since, work;
    double each; /* work a step of the cells that were measured */
};

/* Memory that trainings of this run held, over what was forecast for them. */
struct growth_memory {
    int n;
    double sum, squares; /* of the ratios */
};

/* A GPU as the rules see it. */
struct lease_gpu {
    int64_t bytes_total, bytes_free; /* as the driver said last; 0, 0: not known */
    int64_t bytes_others;            /* in use when no lease of ours was there */
    bool others;                     /* somebody else computes there, or has much of its memory */
    bool exclusive;                  /* takes one process, whoever's */
    bool elsewhere;                  /* another sweep has it */
    double load_s;                   /* seconds that our runs there are predicted to take still, one after another */
    int residents;                   /* processes of ours that stay there, whether they do anything now or not */
    int n;                           /* leases of ours, */
    int64_t bytes;                   /* and what they were predicted to need */
    bool alone;                      /* the one that is there shares it with none */
    bool lost;                       /* it is gone, or rests after a fault */
    bool full;                       /* of trainings: one more would not pay */
};
struct lease_want {
    int64_t bytes;
    bool alone;
};
enum lease_answer { LEASE_FITS, LEASE_TAKEN, LEASE_ELSEWHERE, LEASE_OTHERS, LEASE_LOST };

/* Whether a GPU can be used. */
struct health {
    int missed;      /* times in a row that the driver did not tell of it */
    int faults;      /* in a row that runs said it failed */
    double fault_at; /* the last of them */
    bool lost;       /* left out, */
    bool by_driver;  /* by its word */
    double back;     /* since when a lost one is there again; 0: it is not */
};
enum health_news { HEALTH_SAME, HEALTH_LOST, HEALTH_BACK };

struct place_gpu {
    int index; /* as users count them */
    char name[96], uuid[96], holder[32];
    int lock; /* -1: not held */
    enum lease_answer told;
    bool told_lock, told_growth;
    double left_at;        /* when its last lease was given back: what was seen before counts as ours */
    int busy;              /* percent, as the driver says; negative: not known */
    double busy_s, seen_s; /* of the run so far: seconds that it computed, of these that are known */
    double seen_at;        /* when it was seen last; 0: never */
    struct growth growth;
    struct health health;
};
/* The process that tells what the driver says. */
struct monitor {
    int pid, fd; /* pid 0: none now */
    size_t got;  /* of said */
    struct engine_gpus *said;
    double heard, next, rest_s; /* when it told last; when another may be started, and how long after that one */
};

struct place {
    struct lease_gpu leases[ENGINE_MAX_GPUS]; /* one a GPU */
    struct place_gpu gpus[ENGINE_MAX_GPUS];
    int n, slots, jobs, cores;
    int ids[PLACE_MAX_CORES], n_ids; /* cores that we may use, those of one package beside each other */
    bool unknown;                    /* nobody said whether there are GPUs: a worker sees for itself */
    bool waiting;                    /* for a GPU */
    struct growth_memory memory;     /* of the trainings so far */
    double told_at;                  /* when on-lookers were told of the GPUs */
};

/* gpu.c */
void gpu_ask(struct engine_gpus *out, const char *library, int ms_limit);
/** Of the GPUs that this libtorch can use, @p g, those that --gpus leaves: @p n indices; none: the CPU trains, and
 *  @p g need not be filled. */
struct status gpu_chosen(struct engine_gpus *g, int chosen[ENGINE_MAX_GPUS], int *n, const char *gpus);
/** The driver's library. */
const char *gpu_library(void);
/** Tells of all GPUs, whole structures, until nobody reads them; for a process of its own. */
_Noreturn void gpu_tell_on(int to, const char *library, int ms_between);
/** Keeps those that a value of CUDA_VISIBLE_DEVICES names, in its order; NULL: all. */
void gpu_visible(struct engine_gpus *g, const char *text);

/* lease.c: the rules of placement */
/** Bytes that may still be asked for, a margin kept. */
int64_t lease_room(const struct lease_gpu *g);
enum lease_answer lease_fits(const struct lease_gpu *g, struct lease_want want, int slots);
/** The GPU that a run gets: the one with the least load, then with fewest leases, then with most room; -1: none now. */
int lease_pick(const struct lease_gpu *v, int n, struct lease_want want, int slots);
void lease_take(struct lease_gpu *g, struct lease_want want);
void lease_give(struct lease_gpu *g, struct lease_want want);
/** A lease of @p want turns out to hold so many bytes. */
void lease_holds(struct lease_gpu *g, struct lease_want *want, int64_t bytes);
/** What the driver says of it now. */
void lease_sees(struct lease_gpu *g, const struct engine_gpu *v);
/** The share of a slot in @p cores: disjoint with those of other slots while there are as many cores as jobs. */
void lease_cores(int *first, int *n, int slot, int jobs, int cores);
/** --slots: "auto" and NULL are LEASE_MAX_SLOTS, which memory and growth limit. */
struct status lease_slots(int *out, const char *text);
/** --gpus: indices, of @p n_gpus; NULL: all. */
struct status lease_choose(int *out, int *n, const char *text, int n_gpus);

/* growth.c: how many trainings share a GPU */
/** From @p first at once, at most @p cap. */
void growth_start(struct growth *g, int first, int cap);
/** @p n trainings together do @p rate of work a second: most may double, stay or go back. */
void growth_measured(struct growth *g, int n, double rate);
/** All @p n trainings have told of progress; together they had done @p work at @p now, in seconds, at @p each a step.
 */
void growth_hears(struct growth *g, int n, double work, double each, double now);
/** A training was forecast to hold so many bytes, and held these. */
void growth_held(struct growth_memory *m, double forecast, double held);
/** What a forecast of memory is to be multiplied with: the mean of what was seen and its spread; 1: nothing was. */
double growth_factor(const struct growth_memory *m);

/* monitor.c */
void monitor_start(struct engine *e);
/** -1: nothing to read from. */
int monitor_fd(const struct engine *e);
void monitor_read(struct engine *e);
void monitor_watch(struct engine *e);
void monitor_end(struct engine *e);

/* health.c: whether a GPU can be used */
/** The driver tells of it, or does not although it tells of others. */
enum health_news health_sees(struct health *h, bool there, double now);
/** A run ended and said that its GPU failed. */
enum health_news health_fault(struct health *h, double now);
/** A run on it ended well. */
void health_good(struct health *h);
bool health_usable(const struct health *h, double now);

/* gauge.c: what the GPUs do */
/** A run of the task ended: well, or with its GPU's failure and this reason; NULL: with another. True when its GPU is
 *  lost, so that the run's end says nothing of the trial. */
bool place_ended(struct engine *e, int task, bool well, const char *fault);
/** There were GPUs, and all are lost. */
bool place_none_left(const struct engine *e);
/** Why, and what to do. */
struct status place_lost(const struct engine *e);
/** The driver tells of them; on-lookers are told at times. */
void place_sees(struct engine *e, const struct engine_gpus *g);
/** Why a GPU gets no further training now, in a few words; "": it does. */
void place_why(char *out, size_t n, const struct engine *e, int gpu);
/** [{gpu, name, busy, busy_mean, used_bytes, total_bytes, trainings, runs, why}], what is not known left out. Owner:
 * the caller. */
json_t *place_gpus_json(const struct engine *e);
void place_result(struct engine_result *r, const struct engine *e);

/* cores.c */
/** Ids of the cores that this process may use. */
int cores_list(int *ids, int most);

/* place.c: the rules applied to this machine */
struct status place_init(struct engine *e);
void place_free(struct engine *e);
/** Stages of this kind compute on a GPU where there is one. */
bool place_kind(enum plan_kind kind);
/** Stages of this kind that may run at once, as far as is known by now; at least 1. */
int place_at_once(const struct engine *e, enum plan_kind kind);
/** Trainings on a GPU. */
int place_trainings(const struct engine *e, int gpu);
/** One more training would find as many there as pay. */
bool place_full(const struct engine *e, int gpu, int task);
/** What a run of the task would lease. */
struct lease_want place_want(const struct engine *e, int task);
/** Whether a run of the task has a place now. */
bool place_can(struct engine *e, int task);
/** Leases it. @pre place_can */
void place_take(struct engine *e, struct worker *w, int task);
void place_give(struct engine *e, struct worker *w);
/** A process that stays has come to the GPU (+1), or gone (-1): the GPU is ours as long as one is there. */
void place_resident(struct engine *e, const struct place_gpu *gpu, int change);
/** The task's run wants a GPU where there is one. */
bool place_wants_gpu(const struct engine *e, int task);
/** A training tells of its progress. */
void place_hears(struct engine *e, struct worker *w, const json_t *progress);
/** "cuda", "cpu", or "auto" when the worker shall see for itself. */
const char *place_compute(const struct engine *e, int task);
/** The environment of a worker, from ours. */
char **place_environment(struct arena *a, const struct engine *e, int task, char **from);
/** Keeps this process, and what it starts, to the task's cores; off: to all that it had. */
void place_pin(const struct engine *e, int task, bool on);
/** Adds where the task's last run was. */
void place_info(const struct engine *e, int task, json_t *info);
/** Names of the GPUs that this run uses. Owner: the caller. */
json_t *place_names(const struct engine *e);

#endif
