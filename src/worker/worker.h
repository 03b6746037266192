/* Private to room worker: stages of trials, one at a time (PROTOCOL.md is the contract). */
#ifndef SWEEP_WORKER_H
#define SWEEP_WORKER_H

#include "spec.h"
#include "train.h"

/* ---- the job: job.c ----------------------------------------------------------------------------------------- */

struct job {
    json_t *json;
    struct arena arena;
    const char *stage, *trial, *key, *images, *dir, *cache, *format, *device, *model, *compute;
    int threads, micro_batch;
    const json_t *from; /* dir and key of a training of fewer epochs that this one goes on from; NULL: none */
    struct spec_trial config;
};
/** Reads the whole of @p in. Errors: STATUS_ARG saying which member; the process then exits 2.
 *  Owner: the caller, job_free, also on failure. */
struct status job_read(struct job *out, FILE *in);
void job_free(struct job *j);

/* ---- events and signals: events.c ---------------------------------------------------------------------------- */

/** Events go to fd 3, or to stdout when a person started us without one. */
void events_open(void);
/** A train_job's emit; a broken pipe asks to stop. */
void events_emit(void *user, json_t *event);
/** SIGTERM, SIGINT, SIGUSR1 and the parent's death set the flag. */
void signals_catch(void);
extern volatile sig_atomic_t worker_stop;

/* ---- stages ---------------------------------------------------------------------------------------------------- */

/** How a stage ended when nothing failed. */
struct outcome {
    const char *state; /* done, diverged; static */
    char reason[400];
};
struct stage {
    const char *name, *doc;
    struct status (*run)(struct outcome *out, const struct job *j, const struct train_job *t);
};
extern const struct stage worker_stages[]; /* ends with a NULL name */

struct status stage_export(struct outcome *out, const struct job *j, const struct train_job *t);
struct status stage_screen(struct outcome *out, const struct job *j, const struct train_job *t);
struct status stage_verify(struct outcome *out, const struct job *j, const struct train_job *t);
struct status stage_samples(struct outcome *out, const struct job *j, const struct train_job *t);
struct status stage_bench(struct outcome *out, const struct job *j, const struct train_job *t);

/** The `artifact` event of a file. */
struct status tell_artifact(const struct train_job *t, const char *kind, const char *format, const char *name,
                            const char *path);

/** `sweep-worker stage`: returns the exit code. */
int worker_stage(FILE *in);
/** `sweep-worker stay`: one job after another, until the channel is closed or one does not end well. Returns the exit
 *  code. */
int worker_stay(int channel);
/** `sweep-worker probe`: one JSON request a line in, one answer a line out. Returns the exit code. */
int worker_probe(FILE *in, FILE *out, const char *device);
/** `sweep-worker bench-train`: returns the exit code. */
int worker_bench_train(int argc, char **argv);

#endif
