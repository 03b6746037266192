/* Private to room worker: the ranges of a net's values on training pictures. */
#ifndef SWEEP_WORKER_CALIBRATE_H
#define SWEEP_WORKER_CALIBRATE_H

#include "export.h"
#include "worker.h"

struct calibration {
    const struct train_job *job;
    struct tensor_device device;
    bool image; /* the net takes levels of 0..255 */
};
/** struct export_calibration's run; @p user is a struct calibration. Errors: those of the pictures, which must be
 * there.
 */
struct status calibrate(void *user, const struct net *n, const float *const *values, export_see_fn *see, void *to);

#endif
