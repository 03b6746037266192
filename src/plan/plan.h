/*
 * plan: files in, a graph of stages out. Axes become trials, equal trials of several files become one, every trial
 * becomes the stages it asks for, each with a key hashed from exactly what its result depends on. What cannot be built
 * is kept with its reason. Runs nothing, stores nothing.
 *
 *     struct plan *p;
 *     TRY(plan_load(&p, &(struct plan_options){.files = files, .n_files = n}));
 *     for (int i = 0; i < p->n_trials; i++) ... p->trials[i].refused ...
 */
#ifndef SWEEP_PLAN_H
#define SWEEP_PLAN_H

#include "base.h"
#include "spec.h"

/* In the order in which a trial goes through them. */
enum plan_kind {
    PLAN_SCREEN,
    PLAN_TRAIN,
    PLAN_EVALUATE,
    PLAN_EXPORT,
    PLAN_VERIFY,
    PLAN_SAMPLES,
    PLAN_BENCH,
    PLAN_N_KINDS
};
enum { PLAN_MAX_NEEDS = 4, PLAN_KEY = 33, PLAN_ID = 13 };

struct plan_kind_info {
    const char *name;
    unsigned mask;  /* spec_stage bit of the keys it depends on directly */
    unsigned from;  /* kinds (1 << kind) whose key is part of its own: it reads what they made */
    unsigned after; /* kinds that must be done first without being part of the key (the gate before training) */
    int version;    /* raised when the program's meaning of the stage changes: old results are then made again */
};
extern const struct plan_kind_info plan_kinds[PLAN_N_KINDS];

/** What one run of a stage is predicted to need, in parts that the past corrects one by one (struct plan_model). */
enum { PLAN_SECONDS = 4, PLAN_BYTES = 3, PLAN_MS = 4 };
struct plan_cost {
    double s[PLAN_SECONDS];   /* starting, a step's fixed part, arithmetic, memory traffic; on all cores */
    double bytes[PLAN_BYTES]; /* the process, activations, parameters */
    double ms[PLAN_MS];       /* of a measurement: launching, arithmetic, activations, weights; one thread, one image */
};

/** One unit of work. Equal keys are one stage, whoever asks. */
struct plan_stage {
    enum plan_kind kind;
    const char *format, *device; /* "" where it has none */
    char key[PLAN_KEY];
    int trial;                 /* the first that asked */
    const json_t *config;      /* flat, resolved: what the worker gets */
    int needs[PLAN_MAX_NEEDS]; /* stages that must be done before */
    int n_needs;
    bool idle; /* not to be done: what is stored of it is there for others to compare with */
    struct plan_cost cost;
    double est_s; /* sum of cost.s */
};

/** What a cell's net weighs, from its structure alone. */
struct plan_size {
    int64_t params, macs, bytes_train, bytes_infer; /* activations of one image, float32: kept for backward, at once */
};

/** Hashes that stand for the places named in the configuration: what a trial was planned with. Borrowed. */
struct plan_content {
    const char *images, *model_weights, *loss_weights, *init; /* init: NULL where model.init is not given */
    const char *judge;                                        /* NULL without one */
    int skipped; /* damaged pairs that data.skip_damaged leaves out of the images */
};

struct plan_trial {
    char id[PLAN_ID];
    struct spec_trial t;
    json_t *config; /* flat, resolved */
    char loss_key[PLAN_KEY];
    struct plan_content content;
    struct plan_size size;
    const char *refused; /* why it is impossible; NULL: it can run, and has stages */
    int *stages;         /* indices, in order of kind */
    int n_stages, cap_stages;
};

struct plan_cell {
    int trial;
    bool duplicate; /* another cell before it is the same trial */
    json_t *axes;   /* key -> value of the axes that vary */
};

/** Cells that one rule keeps from running. */
struct plan_excluded {
    const char *where; /* FILE:LINE:COLUMN of the rule */
    const char *rule;  /* its text; "no include" */
    int n;
};

struct plan_sweep {
    const char *name, *path, *rank;
    json_t *spec;
    struct spec_slurm slurm; /* how a cluster runs it; no part of any key */
    struct plan_cell *cells;
    int n_cells, n_excluded;
    struct plan_excluded *excluded; /* by rule; those that exclude nothing are there, too */
    int n_rules;
};

struct plan {
    struct arena arena;
    struct plan_sweep *sweeps;
    struct plan_trial *trials;
    struct plan_stage *stages;
    const char **warnings;
    int n_sweeps, n_trials, n_stages, n_warnings;
    struct plan_build *build; /* caches; private */
};

struct plan_options {
    const char *const *files; /* YAML */
    int n_files;
    const char *const *sets; /* --set key=value, of every file */
    int n_sets;
    const char *weights_dir; /* NULL: "weights" */
    const char *cache;       /* folder where what was found about pictures is kept; NULL: it is found anew */
    json_t *mistakes; /* gets every mistake in the files as a text, the failure's own last; NULL: the first ends it */
    const char *precision; /* what `train.precision: auto` means; NULL: plan_precision() */
};

/**
 * Reads and plans. Errors: those of spec_load; STATUS_ARG for an unknown name, two sweeps of one name, a weights file
 * that is not there (says which is wanted); those of data_open for the images, every one of which is looked at.
 * Owner: the caller, plan_free.
 */
struct status plan_load(struct plan **out, const struct plan_options *o);
void plan_free(struct plan *p);

/** The same for one configuration as the store keeps it (flat, resolved): its trial and stages, in no sweep.
 *  @p where names it in messages; @p cache as in the options. */
struct status plan_of_config(struct plan **out, const json_t *config, const char *where, const char *cache);
/** The same of a trial whose training is stored under @p train_key: nothing is asked of the images and weights that it
 * was trained with, which may be gone, or seen from elsewhere. */
struct status plan_of_trained(struct plan **out, const json_t *config, const char *where, const char *train_key);
/** The same as plan_of_config for several, in one plan. */
struct status plan_of_configs(struct plan **out, const json_t *const *configs, const char *const *where, int n,
                              const char *cache);

/** Index of the trial's first stage of this kind, -1 when it has none. */
int plan_find(const struct plan *p, int trial, enum plan_kind kind);

/* ---- the past --------------------------------------------------------------------------------------------------- */

/** A finished stage: what it was predicted to need, and what it took. */
struct plan_past {
    enum plan_kind kind;
    const char *precision, *format, *device; /* "" where it has none; borrowed for the call */
    struct plan_cost cost;                   /* of all its runs */
    double share;                            /* cores of the machine over those that it had */
    double seconds, bytes, ms;               /* measured; 0: not known */
};
/** Corrections of plan_cost from the past of one machine, the latest first. Owner: the caller, plan_model_free. */
struct plan_model;
struct plan_model *plan_model_new(const struct plan_past *rows, int n);
void plan_model_free(struct plan_model *m);

struct plan_forecast {
    double seconds, bytes; /* of one run, and its greatest memory */
    double error; /* of the seconds: median relative error on past stages left out of the fit; < 0: not known */
    int n;        /* past stages that it rests on; 0: counted, not corrected */
    double ms;    /* p50 of a measurement with one thread; 0 where nothing is measured, or none has been here */
};
/** @p share as in plan_past. */
struct plan_forecast plan_forecast(const struct plan_model *m, const struct plan_stage *g, double share);
/** One object a group: stages it rests on, factors, errors with and without the correction. Owner: the caller. */
json_t *plan_model_json(const struct plan_model *m);

/** Everything resolved, for people and programs. Owner: the caller. */
json_t *plan_to_json(const struct plan *p);

enum { PLAN_SOBOL_AXES = 32 };
/** Point @p index of the Sobol sequence in Gray code order, one axis: a fraction of 2^32. */
uint32_t plan_sobol(uint32_t index, int axis);

/** What `train.precision: auto` means on this machine's CPU: "bf16" where it computes in it, else "fp32". */
const char *plan_precision(void);
/** The same from the text of /proc/cpuinfo. */
const char *plan_precision_of(const char *cpuinfo);

/** File that a weights value means: a path as it is, a folder as FOLDER/BACKBONE.imagenet.safetensors, a tag as
 *  WEIGHTS_DIR/BACKBONE.TAG.safetensors; NULL for random. In the arena. */
const char *plan_weights_path(struct arena *a, const char *weights_dir, const char *value, const char *backbone);

/** Key that the trial's training would have with so many epochs, all else being equal. */
void plan_train_key(char out[PLAN_KEY], const struct plan *p, int trial, int epochs);

#endif
