/* Private to room train: checkpoints that are written beside the steps. */
#ifndef SWEEP_TRAIN_SAVER_H
#define SWEEP_TRAIN_SAVER_H

#include "parts.h"
#include <pthread.h>
#include <stdatomic.h>

/** A file in the making, its content apart from the run. */
struct draft {
    struct arrays arrays;
    char *position; /* its text; NULL: there is no such file to write */
    struct status said;
};

/**
 * Writes best and last of a run so that the two on the disk belong together: best first, then last, which knows of it.
 * Of the best epoch the tensors are held until they are on the disk, whatever became of a write.
 * Threads: one calls; at most one more writes. The latter touches drafts and files and nothing else: no tensor, no
 * event.
 */
struct saver {
    const struct train_job *job;
    struct snapshot best; /* tensors of the best epoch, once there was one */
    char *best_text;      /* position there */
    int best_epoch;
    bool held;           /* that epoch is not on the disk yet */
    double written;      /* monotonic seconds: when a write was begun last */
    bool warned;         /* of a write that failed */
    char no_number[160]; /* of weights that were refused: which array holds none; else "" */
    struct {
        pthread_t thread;
        bool running;
        atomic_bool ended;
        struct draft best, last;
        int best_epoch;
    } now; /* the write under way */
};

/** Begins; what a killed writer left half done in the folder goes. */
void saver_open(struct saver *s, const struct train_job *job);
/** Waits for the write under way. */
void saver_close(struct saver *s);
/** The epoch that ended is the best: its tensors are held. Errors: those of copying, STATUS_OOM among them. */
struct status saver_hold(struct saver *s, const struct weights_state *w, const struct position *p);
/**
 * An epoch has ended: where train.checkpoint_s is over, what there is is written beside the steps that follow. A write
 * that fails is told once and tried again at the next time. Errors: those of reading tensors.
 */
struct status saver_epoch(struct saver *s, const struct weights_state *w, const struct position *p);
/** Writes where the run stands, and returns when it is on the disk. Errors: STATUS_IO; STATUS_ARG (see no_number). */
struct status saver_stop(struct saver *s, const struct weights_state *w, const struct position *p);
/**
 * The training is over: best without what continuing needs, and last, with it where @p state says so and else as
 * finished. Where the monitor never was a number the last weights are the best. Errors: as saver_stop.
 */
struct status saver_finish(struct saver *s, const struct weights_state *w, struct position *p, bool state);

#endif
