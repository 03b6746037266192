/*
 * spec: YAML in, typed experiment out. One key table (keys.c) says every key a user can write: name, type, where it
 * lives, default, range, unit, one line of doc, and which stages of a trial depend on it. Parsing, --set, defaults,
 * did-you-mean, docs/configuration.md, the JSON handed to workers and the stages' hash keys all come from that table.
 */
#ifndef SWEEP_SPEC_H
#define SWEEP_SPEC_H

#include "base.h"

enum { SPEC_MAX_BLOCKS = 8, SPEC_MAX_LIST = 16, SPEC_MAX_AUGMENT = 8, SPEC_MAX_KEYS = 96 };

/* Stages of a trial. A key's row says which of them its value changes directly. */
enum spec_stage {
    SPEC_SCREEN = 1 << 0, /* gate: the untrained export is timed */
    SPEC_TRAIN = 1 << 1,
    SPEC_EVALUATE = 1 << 2,
    SPEC_EXPORT = 1 << 3,
    SPEC_VERIFY = 1 << 4,
    SPEC_BENCH = 1 << 5,
    SPEC_SAMPLES = 1 << 6,
    SPEC_QUANTISE = 1 << 7, /* exports in 8 bits, and no other */
};
#define SPEC_ALL (~0u) /* every key, those that change no stage's result included */

struct spec_numbers {
    double v[SPEC_MAX_BLOCKS];
    int n;
};
struct spec_names {
    const char *v[SPEC_MAX_LIST];
    int n;
};

/** One augmentation: kind and its numbers, all resolved. */
enum spec_augment_kind { SPEC_FLIP, SPEC_AFFINE, SPEC_CROP, SPEC_COLOR };
struct spec_augment {
    enum spec_augment_kind kind;
    double p;         /* probability of applying it */
    double rotate;    /* affine: degrees, drawn from +-rotate */
    double scale[2];  /* affine: factor, drawn from the range; crop: fraction of the side kept */
    double translate; /* affine: fraction of the side, +- */
    double brightness, contrast, saturation, hue; /* colour: +- factors */
    bool both;                                    /* colour: target as well as input */
};

/** One cell, every choice resolved. All strings live in the owning experiment's arena. */
struct spec_trial {
    int64_t seed;
    struct {
        const char *root, *input, *target; /* folders; root "synthetic" is the generated set */
        int size[2];                       /* height, width */
        double split_val;
        int64_t split_seed;
        const char *split_train, *split_val_list; /* files with a name a line, or NULL */
        int synthetic_pairs;                      /* data.pairs: how many the generated set has */
        bool skip_damaged;                        /* go on without the pairs of pictures that do not decode */
    } data;
    struct spec_augment augment[SPEC_MAX_AUGMENT];
    int n_augment;
    struct {
        const char *arch, *backbone;
        const char *weights; /* of the encoder: random | imagenet | path */
        const char *init;    /* a whole net to start from: path, or NULL */
        int depth, output_stride, in_channels;
        struct spec_numbers channels;
        const char *interpolation, *attention, *merge, *activation;
        double dropout; /* 0: the architecture's own, < 0: none (written as 0), as in zoo_model */
        bool residual;  /* model.output.residual */
        bool strict;
    } model;
    struct {
        const char *network, *weights; /* weights: path, or NULL for seeded random features */
        double pixel_weight, gram_scale;
        struct spec_numbers feature_weights, gram_weights;
        int size; /* resize option: side the loss network sees, 0: as is */
    } loss;
    struct {
        int epochs, batch;
        const char *optimizer; /* adamw | adam | sgd */
        double lr, encoder_lr; /* encoder_lr 0: as lr */
        double weight_decay, momentum, beta1, beta2, eps;
        const char *schedule;  /* constant | cosine | onecycle */
        double warmup;         /* fraction of all steps */
        double clip_grad;      /* global norm, 0: off */
        double ema;            /* decay, 0: off */
        const char *precision; /* auto | fp32 | bf16 | fp16 | fp64 */
        bool channels_last;
        const char *graph;  /* auto | off */
        int freeze_encoder; /* epochs */
        bool freeze_bn;
        const char *monitor;  /* metric that picks the best checkpoint and stops early: val_loss, ssim ... */
        int patience;         /* early stop: epochs without a better monitor; 0: off */
        int threads;          /* 0: cores / jobs */
        int checkpoint_every; /* epochs */
        int checkpoint_s;     /* seconds; both must be over */
        int validate_every;   /* epochs; the last one always is */
        bool drop_last;
    } train;
    struct {
        const char *rank;    /* a metric; orders tables, changes no stage. NULL: spec_rank() */
        const char *weights; /* best | last */
        struct {
            const char *network;
            const char *weights; /* file; NULL, "none": there is no judge */
            bool taps;           /* also the distances of each tap */
        } judge;
        bool every_epoch; /* the judge sees the epochs of a training, too */
    } evaluate;
    struct {
        const char *device;
        double p50_ms; /* 0: no gate */
    } gate;
    struct {
        const char *rule;   /* none | median | asha */
        const char *metric; /* NULL: evaluate.rank */
        int warmup_epochs, min_epochs, reduction, min_peers;
        double tolerance; /* of latency: a cell slower by this fraction still counts as no slower */
    } prune;
    struct {
        int memory_mib, stage_s, hang_s; /* of a worker; 0: none, but hang_s */
    } limits;
    struct spec_names export_formats;
    const char *export_calibration; /* minmax | percentile | entropy */
    struct spec_names export_keep;  /* layers that stay float32 in 8-bit files */
    struct spec_names devices;
    struct {
        const char *mode;            /* quick | normal | thorough */
        struct spec_numbers threads; /* 1 and 0 (all) by default */
        bool io_image;               /* export.io: tensor | image */
        int visits;                  /* fresh processes a measurement */
    } bench;
    const char *keep; /* both | best | none | all: checkpoints of a finished trial */
    int samples;      /* validation images whose output is kept for the gallery; 0: all */
};

/** Where a value was written. Line 0: not in a file ("--set train.epochs=3"). */
struct spec_mark {
    const char *file;
    int line, column;
};
/** "FILE:LINE:COLUMN", or the file alone where line is 0; in the arena. */
const char *spec_mark_str(struct arena *a, struct spec_mark mark);

/**
 * An axis: key and alternatives, each checked as the key's fixed value would be (patterns such as "regnet*" pass where
 * the key's row allows them; plan expands them). Where several keys change together (a list of maps, a zip group), a
 * value is a flat object of keys and @p key only a label.
 */
struct spec_value {
    json_t *value;
    struct spec_mark mark;
};
struct spec_axis {
    const char *key;
    struct spec_value *values;
    int n;
    json_t *when;  /* only cells that match it have this axis, the others keep the fixed value; NULL: all cells */
    bool interval; /* every number between its two values, which `sample` draws from */
    bool log;      /* of an interval: even in the logarithm */
    bool seeds;    /* `seeds: N`: repetitions, which multiply a sample instead of being drawn */
};
/** One include or exclude entry: flat object, key -> value, pattern, or list of either. */
struct spec_rule {
    json_t *match;
    json_t *when; /* the rule is about the cells that match it, and silent about others; NULL: about all */
    struct spec_mark mark;
    bool include;
};
/** sample: how many cells are drawn from the axes instead of taking their product. */
enum spec_method { SPEC_RANDOM, SPEC_SOBOL };
struct spec_sample {
    int n; /* 0: the product */
    int64_t seed;
    enum spec_method method;
    struct spec_mark mark;
};
/** slurm: how a cluster runs the sweep. NULL and 0: the site's default, or what is predicted. No part of a trial. */
enum { SPEC_MAX_LINES = 32 };
struct spec_lines {
    const char *v[SPEC_MAX_LINES];
    int n;
};
struct spec_slurm {
    const char *partition, *account, *qos, *gres, *constraint;
    double time_s;           /* the most that a task may take */
    int64_t bytes;           /* memory of a task */
    int cpus;                /* of a task */
    int array_width;         /* tasks of an array at once */
    struct spec_lines extra; /* options of sbatch as they are: "--exclusive" */
    struct spec_lines setup; /* shell lines before the work: "module load cuda" */
    struct spec_mark mark;
};
/** Slurm's ways to write a time ("90", "1:30:00", "2-12") and memory ("4G", "800"), as seconds and bytes; false for
 *  what is neither. */
bool spec_slurm_time(double *s, const char *text);
bool spec_slurm_memory(int64_t *bytes, const char *text);
/** The same with all its texts in @p a. */
struct spec_slurm spec_slurm_copy(struct arena *a, const struct spec_slurm *s);

/** A fixed key and where it was written. */
struct spec_fixed {
    const char *key;
    struct spec_mark mark;
};

/** One YAML file after extends and --set. Owner: the caller, spec_free. */
struct spec {
    struct arena arena;
    const char *name, *path;
    json_t *base;             /* fixed keys, flat: "model.arch" -> value, defaults not filled in */
    struct spec_fixed *fixed; /* one a member of base */
    int n_fixed;
    struct spec_axis *axes; /* cartesian product of these, in written order */
    int n_axes;
    struct spec_axis *zips; /* zip: groups that advance together; multiply the axes */
    int n_zips;
    const struct spec_axis **order; /* axes and zips, each after those that its `when` names, else as written */
    int n_order;
    struct spec_rule *rules;
    int n_rules;
    struct spec_sample sample;
    struct spec_slurm slurm;
    json_t *owned; /* keeps the axes' and rules' values alive */
};

/**
 * Loads a file: extends resolved, --set assignments ("train.epochs=3", "axes.backbone=[a,b]") applied, everything
 * checked but the names of architectures and backbones, which plan compares with the zoo.
 * Errors: STATUS_ARG "FILE:LINE:COLUMN: KEY: got ..., expected ...; did you mean ...?"; STATUS_IO.
 */
struct status spec_load(struct spec **out, const char *path, const char *const *sets, int n_sets);
/**
 * The same, and every mistake is told instead of the first: appended to @p mistakes, an array of texts. Where the rest
 * can still be read the result is ok with what is right of the file, for further checks; it is not to be run.
 */
struct status spec_load_all(struct spec **out, const char *path, const char *const *sets, int n_sets, json_t *mistakes);
/** Same from memory (fuzzing, tests); extends resolves against the folder of @p where. @p mistakes may be NULL. */
struct status spec_parse(struct spec **out, const char *where, const char *text, size_t n);
struct status spec_parse_all(struct spec **out, const char *where, const char *text, size_t n, json_t *mistakes);
/**
 * Turns a mistake of the user's (STATUS_ARG) into a text of the array, once each, and success. Without an array, for
 * other failures, and past SPEC_MAX_MISTAKES the failure passes.
 */
enum { SPEC_MAX_MISTAKES = 50 };
struct status spec_note(json_t *mistakes, struct status s);
/** What --set assignments say alone, of no file. Errors and owner: as spec_load. */
struct status spec_from_sets(struct spec **out, const char *const *sets, int n_sets);
void spec_free(struct spec *s);

/** Where a key was written: fixed, or the first value of its axis; the file itself (line 0) when nowhere. */
struct spec_mark spec_mark_of(const struct spec *s, const char *key);
/** A cell as layers of flat objects: a key's value is the first layer's that has it (this cell's axes, fixed keys,
 *  defaults). */
struct spec_cell {
    const json_t *layer[3];
};
/** True when every key of @p match has the cell's value, a pattern that fits it, or a list with such; NULL matches. */
bool spec_matches(const json_t *match, const struct spec_cell *cell);
/** A cell runs when it matches some include (or none is about it) and no exclude: -1. Else the index of the exclude
 *  rule that drops it, or n_rules when no include has it. */
int spec_dropped_by(const struct spec *s, const struct spec_cell *cell);
/** Value of an interval axis at @p u in [0,1), rounded to six digits. Owner: the caller. */
json_t *spec_axis_draw(const struct spec_axis *x, double u);
/** True when a text is a pattern (*, ?, [) rather than a name. */
bool spec_is_pattern(const char *text);
/** Name, fixed keys, axes, zips and rules as JSON: what the store keeps of a sweep. Owner: the caller. */
json_t *spec_to_json(const struct spec *s);

/** Typed trial from flat JSON ("model.arch" -> value; absent keys take defaults; NULL: all do). Strings are copied into
 * @p a. Errors: STATUS_ARG naming the key, as spec_load; @p where prefixes them. */
struct status spec_trial_from_json(struct spec_trial *out, struct arena *a, const json_t *flat, const char *where);

/** True when the pictures of a resolved trial are judged. */
bool spec_has_judge(const struct spec_trial *t);
/** What its results are ordered by: evaluate.rank, else feature_distance where there is a judge, else ssim. */
const char *spec_rank(const struct spec_trial *t);

/** Flat JSON, defaults filled in, of the keys whose row names one of @p stages; SPEC_ALL or 0: of every key.
 *  Owner: the caller. */
json_t *spec_trial_to_json(const struct spec_trial *t, unsigned stages);

/** What the trial before this one had, for spec_trial_to_json_after. Zero-initialise. */
struct spec_before {
    struct spec_trial t; /* its texts are borrowed: the trial's arena must live on */
    json_t *v[SPEC_MAX_KEYS];
};
/** As spec_trial_to_json of every key; a value that the trial before had is the same JSON value, not a copy of it: ten
 *  thousand trials that differ in little take little. Owner: the caller. */
json_t *spec_trial_to_json_after(const struct spec_trial *t, struct spec_before *before);
void spec_before_free(struct spec_before *b);

/** One key's value checked and normalised as its row says (a --set, an axis value, a --where). Owner: the caller. */
struct status spec_check_value(json_t **out, const char *key, const json_t *value, const char *where);

/** The key table as Markdown (docs/configuration.md) and as JSON. */
void spec_keys_markdown(struct str *out);
json_t *spec_keys_json(void);
/** A JSON Schema (draft 2020-12) of a configuration file. @p names: {KEY: [TEXT, ...]}, all that the texts of these
 * keys can be, may be NULL. Owner: the caller. */
json_t *spec_schema(const json_t *names);
/** The words that a key's value is one of; empty when it is a number or a text of any kind, or no key. Owner: the
 * caller.
 */
json_t *spec_key_choices(const char *path);

/* ---- the name tables that several rooms and the key table share ------------------------------------------------- */

struct spec_metric {
    const char *name; /* "ssim" */
    const char *unit; /* "" | "dB" */
    bool higher_is_better;
    bool axis_free; /* no axis changes its meaning: fit for ranking across losses */
    bool judged;    /* only where there is a judge (evaluate.judge) */
    const char *doc;
};
extern const struct spec_metric spec_metrics[]; /* ends with a NULL name */
/** The row of a name, NULL for a name that is none (a term of the loss). */
const struct spec_metric *spec_metric_of(const char *name);
/** True for a metric that only a judge gives. */
bool spec_judged(const char *metric);
/** What a file computes in: of the last two, what they cost is measured. */
enum spec_precision { SPEC_FP32, SPEC_FP16, SPEC_INT8 };
struct spec_format {
    const char *name, *extension, *doc;
    enum spec_precision precision;
    bool built; /* false: refused by name as not built yet */
    bool runs;  /* a runtime here executes it: what it computes and how fast is measured */
};
extern const struct spec_format spec_formats[];
/** NULL for an unknown name. */
const struct spec_format *spec_format_of(const char *name);
/** True for a format that rounds to 8 bits: what says how concerns it. */
bool spec_format_quantised(const char *name);
struct spec_device {
    const char *name, *doc;
    bool built;
};
extern const struct spec_device spec_devices[];

#endif
