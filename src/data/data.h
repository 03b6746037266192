/*
 * data: paired images. Opens two folders matched by name (or draws the synthetic set), splits by name, keeps decoded
 * pixels in a cache that all trials and processes share, augments pairs and fills normalised float batches. Knows no
 * tensors: the caller owns plain buffers.
 *
 *     struct data *d;
 *     TRY(data_open(&d, &(struct data_options){.root = "data/heroes", .input = "ffhq", .target = "comics_heroes",
 *                                              .height = 256, .width = 256, .split_val = 0.2, .split_seed = 42}));
 *     struct data_loader *l;
 *     TRY(data_loader_open(&l, d, &(struct data_loader_options){.part = DATA_TRAIN, .batch = 8, .seed = 1,
 *                                                               .shuffle = true, .augment = true}));
 *     for (;;) {
 *         struct data_batch b;
 *         TRY(data_loader_next(l, &b)); // b.input, b.target: [b.n,3,H,W], valid until the next call
 *     }
 *
 * Every random choice is keyed by (seed, epoch, index of the pair): never by the order of calls, threads or resuming.
 */
#ifndef SWEEP_DATA_H
#define SWEEP_DATA_H

#include "base.h"

/* ---- the set --------------------------------------------------------------------------------------------------- */

#define DATA_SYNTHETIC "synthetic" /* as root: the drawn set, no files needed */

/** What happens to a pair in training; drawn anew each epoch, in list order. Geometry is always common to both. */
enum data_augment_kind { DATA_FLIP, DATA_AFFINE, DATA_CROP, DATA_COLOR };
struct data_augment {
    enum data_augment_kind kind;
    double p;         /* probability of applying it */
    double rotate;    /* affine: degrees, drawn from +-rotate */
    double scale[2];  /* affine: factor, drawn from the range (0, 0: none); crop: fraction of the side that is kept */
    double translate; /* affine: fraction of the side, +- */
    double brightness, contrast, saturation; /* colour: factor drawn from 1 +- value */
    double hue;                              /* colour: turns, +- */
    bool both;                               /* colour: target as well as input */
};

/** Strings and the augment list are copied. Zero is each member's default unless it is said to be required. */
struct data_options {
    const char *root;           /* folder, or DATA_SYNTHETIC; required */
    const char *input, *target; /* folders below root (an absolute path wins); "input" and "target" */
    int height, width;          /* of every image after area resampling; required; the aspect is not kept */
    int channels;               /* of the input: 1 grey, 3 RGB (0, too), 4 RGBA; targets are RGB */
    double split_val;           /* fraction that validates */
    int64_t split_seed;
    const char *split_train, *split_val_list; /* files with a name a line; one alone: the other part is the rest */
    int synthetic_pairs;                      /* 64 */
    const char *cache; /* folder of decoded pixels, created when needed; NULL: this process' memory */
    bool look;         /* decode every picture now, once as long as its file does not change, to know that all do */
    bool skip_damaged; /* the same, and leave out the pairs of those that do not, as if they were not there */
    const struct data_augment *augment;
    int n_augment;
};

enum data_part { DATA_TRAIN, DATA_VAL };

/** STATUS_REFUSED with the reason when pictures cannot be given in so many channels. */
struct status data_takes(int channels);

struct data;

/**
 * Lists, matches and splits. Without `look` and `skip_damaged` decodes nothing and starts no thread: milliseconds.
 * An image is a regular file or a link to one; what else has the name of an image is never opened.
 * Errors: STATUS_ARG / STATUS_IO: missing or empty folder (and what lies nearby), unmatched pairs (a few by name, and
 *         what nearly is the partner), two files of one name, a list that names what is not there, a fraction outside
 *         [0,1), damaged pictures (all together); STATUS_REFUSED as data_takes.
 * Owner:  the caller, data_close. Threads: one struct data may be used from many.
 */
struct status data_open(struct data **out, const struct data_options *o);
void data_close(struct data *d);

/** What was odd and is no error, a sentence each that begins with its key: names of images that are no files, damaged
 *  pairs that are left out, grey targets. Borrowed. */
const char *const *data_notes(const struct data *d, int *n);
int data_skipped(const struct data *d); /* damaged pairs that were left out */

int data_size(const struct data *d); /* pairs in all, those left out not counted */
int data_height(const struct data *d);
int data_width(const struct data *d);
int data_channels(const struct data *d); /* of the input */
/** Name of pair @p i (file name without extension); pairs are sorted by name. Borrowed. */
const char *data_name(const struct data *d, int i);
/** Ascending indices of a part's pairs. Borrowed. */
const int *data_part(const struct data *d, enum data_part part, int *n);

/**
 * Hash of what the set is: names and contents of all files, and of the lists; not where it lies, not the size asked
 * for, not the split's numbers (those are configuration). Reads every file (all of it up to 4 MiB, else its ends).
 * Call it once a set, not once a trial.
 */
struct status data_fingerprint(struct hash *out, const struct data *d);

/**
 * STATUS_REFUSED naming the first input picture without an alpha channel, when the input is RGBA; else ok. Reads the
 * files' headers: call it once a set.
 */
struct status data_check_alpha(const struct data *d);

/** Shortest and longest side of the pictures of a set on disk, in pixels, as their headers say; 0: none says. */
struct data_sides {
    int input[2], target[2];
};
/** Reads every file: call it once a set. */
struct data_sides data_sides(const struct data *d);

/** Decoded, resampled pixels of a pair, [H,W,3] uint8 RGB each; from the cache, or decoded now. Borrowed until close.
 *  Errors: STATUS_IO, STATUS_ARG naming the file that does not decode. */
struct status data_pixels(const uint8_t **input, const uint8_t **target, struct data *d, int index);

/** Starts a background thread that decodes @p order [n] in that order; a second call does nothing. */
void data_prefetch(struct data *d, const int *order, int n);

/* ---- batches --------------------------------------------------------------------------------------------------- */

/** ImageNet's, in 0..1 units. */
extern const float data_mean[3], data_std[3];

/** What an input's channels are normalised by, in 0..1 units. RGB: ImageNet's; grey and alpha, of which it says
 * nothing: the mean over RGB, so that a first convolution summed over RGB sees what it saw. */
struct data_norm {
    float mean[4], std[4];
};
struct data_norm data_norm_of(int channels);

/** A permutation of a part's indices that depends on (seed, epoch) alone. @p out has room for the part. */
void data_epoch_order(int *out, const struct data *d, enum data_part part, int64_t seed, int64_t epoch);

struct data_want {
    const int *index; /* pairs */
    int n;
    int64_t seed, epoch;
    bool augment;       /* false: the pixels as they are */
    bool channels_last; /* [n,H,W,3] instead of [n,3,H,W] */
};

/**
 * Fills @p input [n,channels,H,W] and @p target [n,3,H,W] now, in this thread, normalised. A grey input is the
 * picture's luma (0.299 R + 0.587 G + 0.114 B); RGBA is the picture on white, as everywhere else, and its alpha.
 */
struct status data_fill(float *input, float *target, struct data *d, struct data_want w);

struct data_loader_options {
    enum data_part part;
    int batch;    /* pairs a step; required */
    int64_t seed; /* of augmentation and order */
    bool augment, shuffle, channels_last;
    bool drop_last;      /* a last batch that is not full is left out (kept when it is the only one) */
    int threads;         /* that prepare; 1 */
    int64_t epoch, step; /* where to start: resuming mid-epoch gives the same batches */
};

struct data_batch {
    const float *input, *target; /* [n,channels,H,W] and [n,3,H,W], or [n,H,W,...] */
    const int *index;            /* n pairs */
    int n;
    int64_t epoch, step; /* step within the epoch, from 0 */
};

struct data_loader;

/** Starts threads that stay one batch ahead of the caller, and the set's prefetch. Owner: the caller, data_loader_close
 *  (before data_close). Errors: STATUS_ARG when the part is empty. */
struct status data_loader_open(struct data_loader **out, struct data *d, const struct data_loader_options *o);
/** Steps an epoch. */
int data_loader_steps(const struct data_loader *l);
/** The next batch; after the last step of an epoch comes the first of the next, without end. Valid until the next call.
 */
struct status data_loader_next(struct data_loader *l, struct data_batch *out);
void data_loader_close(struct data_loader *l);

/* ---- images ---------------------------------------------------------------------------------------------------- */

struct data_image {
    uint8_t *rgb; /* [height,width,3] */
    int height, width;
    uint8_t *alpha; /* [height,width]; NULL: the file has none */
};

/**
 * JPEG, PNG, BMP. Gray is expanded, alpha is composited on white, 16 bit is cut to 8, a JPEG is
 * turned as its camera was held.
 * Errors: STATUS_IO; STATUS_ARG naming the file and the reason (empty, no image, truncated, larger than 2^26 pixels).
 * Owner: the caller, data_image_free.
 */
struct status data_image_load(struct data_image *out, const char *path);
/** From memory; @p where is what messages name. */
struct status data_image_parse(struct data_image *out, const char *where, const void *p, size_t n);
struct data_image data_image_new(int height, int width); /* black */
void data_image_free(struct data_image *im);

/** PNG, atomically. */
struct status data_image_save(const char *path, const uint8_t *rgb, int height, int width);

/** Area average when shrinking, bilinear when growing; exact means for integer factors. */
void data_resample(uint8_t *out, int out_height, int out_width, const uint8_t *in, int height, int width);

/** uint8 RGB [H,W,3] to ImageNet-normalised float [3,H,W] (or [H,W,3]), and back, rounded and clipped. */
void data_normalise(float *out, const uint8_t *rgb, int height, int width, bool channels_last);
void data_denormalise(uint8_t *rgb, const float *in, int height, int width, bool channels_last);

/** The picture that a normalised input [channels,H,W] shows, as normalised RGB [3,H,W]. */
void data_input_picture(float *rgb, const float *input, int channels, int height, int width);

/** One sheet from equal images in rows of @p columns with @p gap white pixels between. Owner: the caller. */
struct data_image data_contact(const uint8_t *const *images, int n, int columns, int height, int width, int gap);

/* ---- the synthetic set ----------------------------------------------------------------------------------------- */

/** Draws pair @p index of the synthetic set, [H,W,3] each: a shaded face, and the same scene as a flat cartoon. */
void data_synthetic_pair(uint8_t *input, uint8_t *target, int height, int width, int index);
/** Writes @p n pairs as PNG into DIR/input and DIR/target. */
struct status data_synthetic_write(const char *dir, int n, int height, int width);

#endif
