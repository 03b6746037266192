/* Private to room train: one run of the loop. */
#ifndef SWEEP_TRAIN_RUN_H
#define SWEEP_TRAIN_RUN_H

#include "saver.h"

/** The loss of a step. A GPU is not waited for: what it will come to is read a step later. */
struct step_loss {
    double value;                /* sum over parts, where it is known at once */
    struct tensor *sum;          /* the same on a GPU; NULL: known */
    struct tensor *fetched;      /* sum on its way to the host */
    struct tensor_event *passed; /* when it is there, and the batch has been copied */
    int images;
    int64_t step; /* of the epoch, from 1 */
};

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
    struct saver saver;
    double last_progress; /* monotonic seconds */
    struct tensor *x, *y; /* on a GPU: of a whole batch, the same memory in each step */
    struct tensor *host;  /* on a GPU: two batches in memory that it copies from by itself, in turn */
    struct step_graph *graph;
    int64_t loss_step;              /* of the epoch, from 1: the step that the last known loss is of */
    struct step_loss loss, earlier; /* of the last step and, on a GPU, of the one before it, whose loss is read first */
    struct {
        double steps, data, validation, checkpoints; /* seconds of this process; data: waiting for a batch */
    } spent;
};

/** Optimiser, averages and learning rates of a model that is open. */
struct status run_prepare(struct run *r);
void run_release(struct run *r);
/** Continues from the file that is further, else from the other, else starts anew; a damaged one is named and passed
 * over (resume.c). */
struct status run_resume(struct run *r, bool *resumed);
/** What the schedule makes of the learning rates at a step, counted from the first epoch's first. */
struct status run_factor(double *factor, const struct run *r, int64_t step);
/** What is frozen in @p epoch. */
void run_freeze(struct run *r, int epoch);
/** How many of the @p left images of a batch go through the net at once; 0 in @p micro: all. */
int run_part(int micro, int left);
/** The smallest part that a batch is cut into. */
int run_least_part(int micro, int batch);
/** What one step does with some images on the device: gradients are added up, and the loss to r->loss. */
struct part {
    struct tensor *x, *y;
    double share; /* of the batch */
    uint64_t seed;
    bool seeded; /* already: see exec.h */
};
/** *diverged: the loss was no number, or fp16 found no scale for it; there are no gradients then. On a GPU the loss is
 * not looked at (gradient.c). */
struct status run_gradients(struct run *r, bool *diverged, const struct part *p);
/** Seed of the dropouts of the step at hand, for the part that begins with image @p first. */
uint64_t run_seed(const struct run *r, int first);

/** Sets *done where the step's gradients came from a recorded step or were recorded now; otherwise they are to be made
 * as usual (graph.c). The batch is in r->x and r->y. */
struct status graph_gradients(struct run *r, bool *done);
/** Says in an `info` event why steps are not recorded, when that is known from the start. */
void graph_open(struct run *r);
void graph_close(struct run *r);

/** One step on the loader's next batch. *diverged: a loss was no number. On a CPU no weight was changed by it; on a GPU
 * that is known one step later, when nothing but this process's memory holds such weights. *loss: the last one known.
 */
struct status run_step(struct run *r, double *loss, bool *diverged);
/** Waits for the losses of the steps that are done: before the position is stored, or the epoch told. */
struct status run_settle(struct run *r, double *loss, bool *diverged);

#endif
