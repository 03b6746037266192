/*
 * slurm: a plan on a cluster. The login node freezes the trials that are to be done into a folder on the shared disk,
 * sorts them by predicted memory and time into arrays, and submits those. A task of an array claims one trial after
 * another and does each with the engine that a local run has; what it would store goes to a journal in that folder, one
 * file a claim, so no database is written from two machines. A last job, or the login node, merges the journals.
 *
 *     DIR/                     results/NAME/slurm/0001
 *       submission.json        what was submitted: jobs, trials in their order
 *       bucket-0.json          trials of the arrays of one bucket, resolved
 *       array-0.sh, merge.sh   what sbatch was given
 *       journal/TRIAL.N.jsonl  a claim: its first line says whose it is, then rows, then how it was left
 *       log/                   what the jobs wrote
 *       collected.json         everything is in the database
 */
#ifndef SWEEP_SLURM_H
#define SWEEP_SLURM_H

#include "engine.h"

/* ---- rules: pure, each tested by a table ------------------------------------------------------------------------ */

enum { SLURM_MAX_BUCKETS = 80, SLURM_LEAD_S = 120 }; /* lead: how long before its end a task is told to stop */

/** What a trial is predicted to need. */
struct slurm_cell {
    double seconds, bytes;
};
struct slurm_bucket {
    int n;                   /* trials */
    double seconds, longest; /* of all of them, of the longest */
    int64_t bytes;           /* --mem */
    double time_s;           /* --time */
    int tasks;
};
/** Sorts cells by memory (powers of two of a GiB) and time; @p of gets each cell's bucket. What @p s fixes is taken as
 *  it is: one amount of memory, a time that no task may exceed. Returns how many buckets there are. */
int slurm_buckets(struct slurm_bucket out[SLURM_MAX_BUCKETS], int *of, const struct slurm_cell *cells, int n,
                  const struct spec_slurm *s);
/** Size of array @p i of a bucket's arrays, none over the site's limit; 0: there is no such array. */
int slurm_split(int tasks, int most, int i);
/** "1-02:03:00" for sbatch. */
void slurm_time(char out[32], double seconds);
/** MaxArraySize of what `scontrol show config` prints; -1 when it is not there. */
int slurm_max_array(const char *config);
/** `squeue -r -o '%i %T'` as {"12_3": "RUNNING", ...}. Owner: the caller. */
json_t *slurm_queue_of(const char *text);
/** What to change about words of sbatch; "" when they say it themselves. */
const char *slurm_advice(const char *words);

/** A claim as its file tells it. */
struct slurm_claim {
    char job[64];   /* "12_3"; "": what was known before, by the login node */
    int restart;    /* SLURM_RESTART_COUNT of the claimant */
    bool left;      /* told how it ended */
    char state[16]; /* then: done, failed, ..., interrupted */
};
/** From a journal's first lines and its last; false when the first is no claim. */
bool slurm_claim_of(struct slurm_claim *out, const char *head, size_t n_head, const char *tail, size_t n_tail);
/** The trial may be taken: left unfinished, or its claimant is gone. @p alive: jobs that Slurm knows, as by
 *  slurm_queue_of; NULL: not asked, so others' claims count as alive. @p job, @p restart: who asks. */
bool slurm_claim_free(const struct slurm_claim *c, const json_t *alive, const char *job, int restart);
/** A task with @p left_s seconds takes a trial predicted to take @p trial_s. */
bool slurm_has_time(double left_s, double trial_s, bool first);

/* ---- the login node --------------------------------------------------------------------------------------------- */

struct slurm_options {
    const struct plan *plan; /* of one file */
    struct store *store;
    const char *db;      /* path of the database */
    const char *program; /* sweep */
    const char *options; /* of `sweep task`: "--jobs 2" */
};
/** Where a sweep was submitted. */
struct slurm_submission {
    char dir[1024];
    char sweep[128];
    json_t *state;  /* submission.json */
    json_t *ended;  /* trials that are known to have ended: {"TRIAL": state} */
    bool collected; /* everything is in the database */
};

/** The latest submission of a sweep; dir "" when there is none. Owner: the caller, engine_slurm_close. */
struct status engine_slurm_latest(struct slurm_submission *out, const char *results, const char *sweep);
void engine_slurm_close(struct slurm_submission *s);
/** The latest submissions of all sweeps under a results folder whose results are not all collected; @p n of them.
 *  Owner: the caller, engine_slurm_close each and free. */
struct status engine_slurm_open_ones(struct slurm_submission **out, int *n, const char *results);

/** Stores the plan, freezes what is to be done, submits arrays and the job that merges. dir "" when nothing is to be
 *  done. Errors: STATUS_IO where there is no sbatch, or the folder cannot be written; STATUS_ARG with sbatch's words
 * for what the site refuses (nothing stays submitted then). Owner: the caller, engine_slurm_close. */
struct status engine_slurm_submit(struct slurm_submission *out, const struct slurm_options *o);
/** True when the plan asks for what was submitted. */
bool engine_slurm_same(const struct slurm_submission *s, const struct plan *p);

/** Jobs of this user that Slurm knows, in one call. Owner: the caller. Errors: STATUS_IO. */
struct status engine_slurm_ask(json_t **out);

/** None of its jobs is left, that which merges included. */
bool engine_slurm_gone(const struct slurm_submission *s, const json_t *alive);

struct slurm_progress {
    int trials, done, failed, impossible, running, waiting; /* impossible: refused, too slow, diverged, pruned */
    int jobs_running, jobs_pending;                         /* -1: not asked */
};
/** From the claims, and from @p alive where it is given. Reads only what may have changed since the last call. */
struct status engine_slurm_look(struct slurm_progress *out, struct slurm_submission *s, const json_t *alive);

struct slurm_collected {
    int stages, refused_lines; /* new in the database; lines of journals that say nothing */
    bool complete;             /* nothing more will come */
};
/** Merges what the journals hold; any number of times. @p alive as in slurm_claim_free, @p self: a job that does not
 *  count (the one that merges). Errors: STATUS_IO, STATUS_DB. */
struct status engine_slurm_collect(struct slurm_collected *out, struct slurm_submission *s, struct store *store,
                                   const json_t *alive, const char *self);
/** Ends its jobs, and waits until Slurm has forgotten them. */
struct status engine_slurm_cancel(const struct slurm_submission *s);

/* ---- a task ----------------------------------------------------------------------------------------------------- */

struct slurm_task_options {
    const char *dir, *db;
    int bucket;
    struct engine_options engine; /* limits and listeners; plan and store are the task's own */
};
/**
 * What a job of an array does: trials of its bucket until none is free or its time is nearly over. After SIGTERM or
 * SIGUSR1 the workers write checkpoints, the trial is left for whoever comes, and the job asks to be queued again
 * unless Slurm is ending it. @p failed gets the number of failed trials. Errors: STATUS_INTERRUPTED; those of
 * engine_run.
 */
struct status engine_slurm_task(int *failed, const struct slurm_task_options *o);

#endif
