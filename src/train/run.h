/* Private to room train: one run of the loop. */
#ifndef SWEEP_TRAIN_RUN_H
#define SWEEP_TRAIN_RUN_H

#include "parts.h"

struct run {
    const struct train_job *job;
    const struct spec_trial *t;
    struct train_model model;
    struct judge judge;
    struct data_loader *loader;
    int64_t steps; /* an epoch */
    struct weights_state w;
    struct tensor **params; /* the optimised ones, borrowed from exec */
    bool *of_encoder;       /* by optimised parameter */
    double *lr;             /* by optimised parameter, of the step at hand */
    double lr_now;          /* of the decoder */
    struct position at;
    double last_progress; /* monotonic seconds */
    struct {
        double steps, data, validation, checkpoints; /* seconds of this process; data: waiting for a batch */
    } spent;
};

/** Optimiser, averages and learning rates of a model that is open. */
struct status run_prepare(struct run *r);
void run_release(struct run *r);
/** What the schedule makes of the learning rates at a step, counted from the first epoch's first. */
struct status run_factor(double *factor, const struct run *r, int64_t step);
/** What is frozen in @p epoch. */
void run_freeze(struct run *r, int epoch);
/** How many of the @p left images of a batch go through the net at once; 0 in @p micro: all. */
int run_part(int micro, int left);
/** The smallest part that a batch is cut into. */
int run_least_part(int micro, int batch);
/**
 * Adds the gradients of images first..first+n of the batch, and their share of its loss to *loss. *diverged: the loss
 * was no number, or fp16 found no scale for it; there are no gradients then (gradient.c).
 */
struct status run_gradients(struct run *r, double *loss, bool *diverged, const struct data_batch *b, int first, int n);
/** One step on the loader's next batch. *diverged: the loss was no number, no weight was changed. */
struct status run_step(struct run *r, double *loss, bool *diverged);

#endif
