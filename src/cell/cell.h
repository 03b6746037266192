/*
 * cell: what a trial's fields mean to the rooms that build it. One mapping, so that what is planned and priced is what
 * is trained. Fills in options; builds and opens nothing.
 *
 *     struct zoo_model m = cell_model(&trial);
 *     TRY(zoo_build(&net, &m));
 */
#ifndef SWEEP_CELL_H
#define SWEEP_CELL_H

#include "data.h"
#include "loss.h"
#include "spec.h"
#include "zoo.h"

/** Owner: strings are the trial's. */
struct zoo_model cell_model(const struct spec_trial *t);
/** Owner: strings are the trial's. */
struct loss_options cell_loss(const struct spec_trial *t);
/** All but the cache's folder. Owner: strings are the trial's; the list of augmentations is @p augment. */
struct data_options cell_data(struct data_augment augment[SPEC_MAX_AUGMENT], const struct spec_trial *t);

#endif
