/*
 * train: the loop of one trial and the final evaluation. Opens data, model, loss and metrics from a resolved trial,
 * trains with a schedule, validates each epoch, and keeps checkpoints from which a killed run continues to the bit.
 *
 *     struct train_job job = {.trial = &t, .id = "0123456789ab", .key = key, .dir = dir, .emit = show};
 *     struct train_result r;
 *     TRY(train_run(&r, &job));
 *
 * What happens is told by events (the lines of the worker's protocol, as JSON objects). Epochs count from 1; the
 * metrics of epoch 0, those of the untrained net, are told by the evaluation.
 *
 * Files in the trial's folder: last.safetensors and best.safetensors hold the weights that evaluation uses, under the
 * reference's names, so that any reader of safetensors can load them. Until training is over they also hold, under
 * "state/", all that continuing needs (moments, raw weights beside averaged ones), and in the metadata the position,
 * the curve so far and a hash of everything.
 */
#ifndef SWEEP_TRAIN_H
#define SWEEP_TRAIN_H

#include "exec.h"
#include "spec.h"
#include <signal.h>

struct data;

struct train_job {
    const struct spec_trial *trial;
    const char *id;     /* of the trial, for the files' metadata; NULL: none */
    const char *key;    /* of what decides the weights: a checkpoint of another key is not continued; NULL: "" */
    const char *images; /* data_fingerprint of the pairs that were planned with; NULL, "": whatever is there */
    const char *dir;    /* of the checkpoints; exists */
    const char *cache;  /* of decoded images; NULL: none */
    int micro_batch;    /* images at once, gradients added up to those of train.batch; 0: the whole batch. Batch norms
                           then see so many images: their statistics, and so the weights, differ a little */
    const char *from_dir, *from_key; /* a finished training of fewer epochs that this one goes on from; NULL: none */
    const char *device;              /* "auto", "cpu", "cuda:1"; NULL: auto */
    void (*emit)(void *user, json_t *event);                   /* borrows the event; may be NULL */
    void (*after_step)(void *user, int64_t step, double loss); /* steps of the whole run, from 0, once the loss is
                                                                  known: on a GPU a step late; may be NULL */
    void *user;
    const volatile sig_atomic_t *stop; /* not 0: write a checkpoint after this step and return; may be NULL */
};

/** An event with this name and members ("progress", "{s:i}", ...): jansson's json_pack format. */
void train_emit(const struct train_job *job, const char *ev, const char *format, ...);
/** A `log` event of level warn, and the same on stderr. */
void train_warn(const struct train_job *job, const char *format, ...) PRINTF(2, 3);

enum train_end { TRAIN_DONE, TRAIN_DIVERGED };
struct train_result {
    enum train_end end;
    char reason[200]; /* of a divergence */
    int epochs;       /* done */
    int best_epoch;
    double best; /* the monitor's value there */
};

/**
 * Trains, or continues where the folder's checkpoint stands, or finds that it is finished.
 * Events: info, log, metrics (each epoch, again those of epochs done by an earlier process; at the end epoch -1 with
 * train_loss, best_epoch and epochs), progress, artifact (best, last).
 * Errors: STATUS_INTERRUPTED when asked to stop (the checkpoint is written); STATUS_REFUSED for what is impossible by
 *         rule (a size, a batch that leaves a norm one value a channel); STATUS_OOM, also where micro_batch is that
 *         small; those of the rooms it uses. A loss that is no number is a result, not an error.
 */
struct status train_run(struct train_result *out, const struct train_job *job);

/**
 * Final metrics of the weights that evaluate.weights names, image by image (`image` events) and their means
 * (`metrics`, epoch -1: val_loss, val_loss.TERM, l1, psnr, ssim, ms_ssim, where there is a judge feature_distance,
 * style_distance, kid and kid_deviation, and each with the prefixes untrained_ and identity_).
 */
struct status train_evaluate(const struct train_job *job);

/** Makes @p output [3,H,W] of @p input [channels,H,W], both normalised. */
typedef struct status train_picture_fn(void *user, float *output, const float *input);
/**
 * The same metrics, but for the loss, of pictures that somebody else makes (an exported file): adds them to @p values
 * with @p prefix before each name. Tells no events.
 */
struct status train_evaluate_by(json_t *values, const char *prefix, const struct train_job *job, train_picture_fn *by,
                                void *user);

enum train_weights { TRAIN_UNTRAINED, TRAIN_BEST, TRAIN_LAST };
/** What evaluate.weights says. */
enum train_weights train_weights_wanted(const struct spec_trial *t);

/** A model with its parameters set: freshly initialised as the trial says, or from a checkpoint. */
struct train_model {
    struct net *net;
    struct exec *exec;
    struct tensor_device device;
    enum tensor_dtype compute;
};
/** @p precision NULL: the trial's. Owner: the caller, train_model_close, also after a failure. */
struct status train_model_open(struct train_model *out, const struct train_job *job, enum train_weights which,
                               const char *precision);
void train_model_close(struct train_model *m);

/** The trial's pairs. Owner: the caller, data_close. */
struct status train_data_open(struct data **out, const struct train_job *job);

/** Share of the base learning rate at @p step of @p steps. Errors: STATUS_ARG for an unknown schedule. */
struct status train_schedule(double *factor, const char *schedule, double warmup, int64_t step, int64_t steps);
/** Names of the schedules, NULL-terminated. */
extern const char *const train_schedule_names[];

#endif
