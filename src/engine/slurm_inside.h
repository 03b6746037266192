/* What the files of slurm share. */
#ifndef ENGINE_SLURM_INSIDE_H
#define ENGINE_SLURM_INSIDE_H

#include "slurm.h"

/* slurm_call.c: Slurm's programs */
struct slurm_answer {
    int code;
    char *out, *err; /* owned: slurm_answer_free */
};
/** Runs a program of the PATH to its end. Errors: STATUS_IO when it is not there. */
struct status slurm_call(struct slurm_answer *out, const char *const *argv);
void slurm_answer_free(struct slurm_answer *a);
/** The same where only success is of use: its words are the failure's otherwise. Owner: the caller frees *out. */
struct status slurm_ask_text(char **out, const char *const *argv);

/* slurm_claims.c: the files of journal/ */
enum { CLAIM_ID = 13 };
/** Number of the latest file of each trial: {"TRIAL": N}; 0 is what the login node knew. Owner: the caller. */
struct status claims_list(json_t **out, const char *dir);
void claims_path(char *out, size_t n, const char *dir, const char *trial, int number);
/** False when it is not there, or tells of no claim. */
bool claims_read(struct slurm_claim *out, const char *dir, const char *trial, int number);
/** Makes the file, whose first line names the claimant; @p got false: somebody else has. The same on a network folder,
 *  where the answer to a request that was carried out may get lost. */
struct status claims_take(bool *got, const char *dir, const char *trial, int number, const char *job, int restart);
/** Last line of a claim. */
struct status claims_leave(const char *dir, const char *trial, int number, const char *state);

/** The states in which a trial has ended for good, as far as a submission goes: all but interrupted. */
bool slurm_ended(const struct slurm_claim *c);

/* slurm_submit.c */
/** Writes submission.json. */
struct status slurm_keep(const struct slurm_submission *s);
/** Hash of what a plan would do, whatever the machine. */
struct hash slurm_digest(const struct plan *p);

/* slurm_freeze.c: what is to be done, as files */
struct slurm_frozen {
    struct slurm_bucket buckets[SLURM_MAX_BUCKETS];
    int n_buckets, n_trials;
    int *trials, *of; /* of the plan, in its order; the bucket of each; owned */
    struct slurm_cell *cells;
    json_t *stored; /* what is known, by key */
};
/** Which trials have stages to be done, and in which bucket. Owner: the caller, slurm_frozen_free. */
struct status slurm_sort(struct slurm_frozen *out, struct store *s, const struct plan *p, const struct spec_slurm *o);
/** Bucket files, and what is known of their trials as journals, into @p dir. */
struct status slurm_freeze(const struct slurm_frozen *f, struct store *s, const struct plan *p, const char *dir);
void slurm_frozen_free(struct slurm_frozen *f);

/* slurm_part.c: one trial of a plan as a plan of its own */
struct slurm_part {
    struct plan plan; /* its trial 0 is the one that is done */
    int *lists;       /* owned, like plan.stages and plan.trials */
};
/** @p peers: the other trials are there, too, with what a rule compares of them, not to be done. */
void slurm_part_make(struct slurm_part *out, const struct plan *p, int trial, bool peers);
void slurm_part_free(struct slurm_part *part);

#endif
