/* Private to room worker: a trained model run on single validation images. */
#ifndef SWEEP_WORKER_IMAGES_H
#define SWEEP_WORKER_IMAGES_H

#include "data.h"
#include "worker.h"

struct images {
    struct train_model model;
    struct data *data;
    const int *index;               /* of the validation pairs */
    int n, height, width, channels; /* channels: of the input */
    bool drawn;                     /* not the trial's own pictures, which were out of reach */
    size_t floats;                  /* of an RGB image */
    float *input;                   /* [channels,H,W], normalised: of the last images_run, as are the others */
    float *target, *output;         /* [3,H,W] */
};
/** Opens the trained model (in float32) and the pairs. Owner: the caller, images_close, also after a failure. */
struct status images_open(struct images *out, const struct job *j, const struct train_job *t);
void images_close(struct images *im);
/** Runs the model on validation pair @p k of @p n, into the buffers. */
struct status images_run(struct images *im, int k);
/** Normalised [channels,H,W] to 0..255, as a file with image io has it inside. @p clip: an output is clipped, too. */
void images_to_levels(float *v, size_t plane, int channels, bool clip);

#endif
