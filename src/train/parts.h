/* Private to room train: what its files share. */
#ifndef SWEEP_TRAIN_PARTS_H
#define SWEEP_TRAIN_PARTS_H

#include "data.h"
#include "train.h"

enum { MAX_VALUES = 48, NAME_MAX_LEN = 32 };

/** Named numbers in order: the values of a `metrics` event. */
struct values {
    char name[MAX_VALUES][NAME_MAX_LEN];
    double v[MAX_VALUES];
    int n;
};
void values_add(struct values *to, double v, const char *format, ...) PRINTF(3, 4);
double values_get(const struct values *from, const char *name, double def);
/** {"name": number or null}. Owner: the caller. */
json_t *values_json(const struct values *from);
/** The same into an object, with @p prefix before each name. */
void values_put(json_t *to, const char *prefix, const struct values *from);

/* ---- opening: open.c ---------------------------------------------------------------------------------------- */

/** A net with its exec. */
struct running {
    struct net *net;
    struct exec *exec;
};
void running_close(struct running *r);

/** What measures a trained model: pairs, loss and metrics. */
struct judge {
    struct data *data;
    struct running loss, metrics, features; /* features: of the cells' judge, empty without one */
    struct tensor_device device;
    bool channels_last;
    int batch;
};
/** Owner: @p data goes over to *out, also when this fails. */
struct status judge_open(struct judge *out, const struct train_job *job, const struct train_model *m,
                         struct data *data);
void judge_close(struct judge *j);
/** Adds the network of evaluate.judge, in full precision whatever the model computes in; nothing where there is none.
 */
struct status judge_open_features(struct judge *j, const struct train_job *job, const struct train_model *m);
/** True when the epochs of a training are judged, too: asked for, or because something decides by it. */
bool judge_each_epoch(const struct spec_trial *t);

/** Images of a batch as tensors on the device. Owner: the caller frees both. */
struct status judge_tensors(struct tensor **x, struct tensor **y, const struct judge *j, const float *input,
                            const float *target, int n);

/** What the inputs of a batch show, as RGB like a target: the identity's output. Owner: the caller. */
struct status judge_picture(struct tensor **out, const struct judge *j, const float *input, int n);

/** Weights from a file into a model (published.c), as model.strict says, or into a network that compares. */
struct status load_model_file(struct exec *e, const struct train_job *job, const char *key, const char *path);
struct status load_loss_file(struct exec *e, const char *key, const char *network, const char *path);
/** The weights of a finished training: best or last. */
struct status load_trained(struct exec *e, const struct train_job *job, enum train_weights which);

/* ---- validation: validate.c --------------------------------------------------------------------------------- */

struct validate_options {
    struct exec *model;   /* NULL: the identity */
    train_picture_fn *by; /* not NULL: who makes the pictures instead, one at a time; the loss is left out */
    void *by_user;
    int batch;
    void (*each)(void *user, const char *image, const struct values *v); /* batch 1 only; may be NULL */
    void *user;
    const volatile sig_atomic_t *stop; /* not 0: STATUS_INTERRUPTED between batches; may be NULL */
};
/** Means over the validation images: val_loss, val_loss.TERM, the metrics of room loss, and where there is a judge its
 * distances, kid and kid_deviation. */
struct status validate(struct values *out, struct judge *j, const struct validate_options *o);

/* ---- checkpoints: checkpoint.c ------------------------------------------------------------------------------ */

#define STATE "state/"     /* before the names of what only continuing needs */
#define RAW   STATE "raw/" /* weights beside averaged ones */
#define KEY   "sweep.key"
#define TRIAL "sweep.trial"

/** Where a run stands: what continues it beside the tensors. */
struct position {
    int epoch;       /* done, validation included */
    int64_t step;    /* steps done of the epoch under way */
    double loss_sum; /* of those steps, by image */
    int64_t loss_images;
    double seconds; /* training steps of the epoch under way */
    int best_epoch; /* 0: none yet */
    double best;
    int finished;      /* 1: no more epochs; last.safetensors has no "state/" any more */
    double loss_scale; /* fp16 */
    int good_steps;    /* since it changed */
    json_t *curve;     /* array of {"epoch": e, "values": {...}}, epoch 1 first */
    bool has_state;    /* of a file that was read: there is what continuing needs */
};
void position_free(struct position *p);
/** As a file's metadata hold it. Owner: the caller, free. */
char *position_text(const struct position *p);
/** Epochs done of the checkpoint in @p w; 0 where it says none. */
int position_epoch(const struct weights *w);

/** The tensors of a run, and the optimiser's. */
struct weights_state {
    struct exec *exec;
    struct tensor_optim *optim; /* over params */
    int *params;                /* net parameter index of each optimised one */
    int n_params;
    struct tensor **average; /* by net parameter index, NULL entries for what is not averaged; NULL: no averaging */
};

/** A growing list of arrays in an arena. */
struct arrays {
    struct arena arena;
    struct weights_array *a;
    size_t n, cap;
};
void arrays_free(struct arrays *a);

/** Writes DIR/NAME. Errors: STATUS_IO; STATUS_ARG for weights that hold what is no number, which are never written.
 * Threads: any, one at a time. */
struct status checkpoint_write(const struct train_job *job, const char *name, const struct arrays *all,
                               const char *position);
/** Makes DIR/TO the same file as DIR/FROM. */
struct status checkpoint_copy(const struct train_job *job, const char *from, const char *to);
/** DIR/NAME is not there afterwards. Errors: STATUS_IO. */
struct status checkpoint_remove(const struct train_job *job, const char *name);
/** Reads DIR/NAME into @p w and @p p; @p w may be NULL: where the run stands, of a file that is whole. Errors:
 * STATUS_IO, STATUS_ARG for a damaged file or that of another key. */
struct status checkpoint_load(const struct train_job *job, const char *name, struct weights_state *w,
                              struct position *p);
/** Rewrites DIR/NAME without "state/". */
struct status checkpoint_strip(const struct train_job *job, const char *name);
/** The model weights of DIR/NAME into @p e. */
struct status checkpoint_weights(const struct train_job *job, const char *name, struct exec *e);
/** The `artifact` event of a file. */
struct status checkpoint_tell(const struct train_job *job, const char *kind, const char *name);

/* ---- a run at one moment: snapshot.c --------------------------------------------------------------------------- */

struct snapshot {
    const struct weights_state *of;
    const struct net *net;
    struct tensor **raw, **average; /* by net parameter index, as in exec and weights_state */
    struct tensor **slots;          /* two an optimised parameter */
    int64_t *counts, *updates;
    bool owner; /* of the tensors */
};
/** The run's own tensors: true until the next step. Owner: the caller, snapshot_free. */
void snapshot_view(struct snapshot *s, const struct weights_state *w);
/** Copies of them on the run's device; those of an earlier call are overwritten. Owner: as above. Errors: STATUS_OOM.
 */
struct status snapshot_keep(struct snapshot *s, const struct weights_state *w);
void snapshot_free(struct snapshot *s);
/** What a file is made of, with or without what continuing needs. Owner: the caller, arrays_free, also after a failure.
 */
struct status snapshot_arrays(struct arrays *to, const struct snapshot *s, bool with_state);
const char *snapshot_slot_name(struct arena *a, const struct weights_state *w, int i, int slot);

/* ---- more epochs: longer.c ------------------------------------------------------------------------------------ */

/** Where the folder has no checkpoint yet and the job names a training of fewer epochs: its checkpoints become ours, or
 * a log event says why they cannot. */
struct status longer_adopt(const struct train_job *job);

#endif
