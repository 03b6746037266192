/* What the files of this room share. Nothing outside includes it. */
#ifndef SWEEP_DATA_INSIDE_H
#define SWEEP_DATA_INSIDE_H

#include "data.h"
#include <pthread.h>

/* Part of every cache key: raise it when decoding, resampling or drawing changes. */
enum { DATA_PIXELS_VERSION = 1 };

enum slot_state { SLOT_EMPTY, SLOT_BUSY, SLOT_READY };
struct data_slot {
    enum slot_state state; /* guarded by the lock */
    bool mapped;           /* pixels lie in a mapped cache file; else on the heap */
    uint8_t *block;        /* what is freed or unmapped */
    const uint8_t *input, *target;
};

enum { DATA_MAX_MAPPED = 16384 }; /* well below the kernel's limit of maps a process */

struct data {
    struct arena arena;
    int height, width, channels, n;
    bool synthetic;
    const char **names, **input, **target; /* paths; NULL when synthetic */
    int *part[2], n_part[2];
    struct hash lists;          /* of the explicit lists' content */
    const char **skipped_names; /* of damaged pairs, sorted: lists may name them */
    int skipped;
    const char **notes;
    int n_notes;
    struct data_augment *augment;
    int n_augment;

    const char *cache; /* NULL: none, or it cannot be written */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a slot left SLOT_BUSY */
    struct data_slot *slots;
    int *mapped, n_mapped; /* ring of the last DATA_MAX_MAPPED mapped pairs */
    bool warned;

    pthread_t prefetcher;
    bool prefetching, stop;
    int *order, n_order;
};

/** Finds the pairs: fills d->names, input, target, n. */
struct status data_find_pairs(struct data *d, const struct data_options *o);
/** Where the options ask for it: decodes every picture once, fails or leaves pairs out, notes what is odd. */
struct status data_look(struct data *d, const struct data_options *o);
/** Adds a copy of a sentence to what data_notes gives. */
void data_note(struct data *d, const char *text);
enum { DATA_SAID_MOST = 20 }; /* names of a kind in a message */
/** Fills d->part. */
struct status data_split(struct data *d, const struct data_options *o);
/** Length of a file name without its extension, when that is one of an image; the whole length otherwise. */
size_t data_stem(const char *file);

/** Pictures of a block: input and target, and the input's alpha, thrice beside itself, so that it is one like them. */
int data_block_images(const struct data *d);
/** Decodes and resamples (or draws) a pair into @p block [data_block_images,H,W,3]. */
struct status data_decode(uint8_t *block, const struct data *d, int index);

/** The cache's file for a pair. False when a source file cannot be seen. */
bool data_cache_path(char *out, size_t n, const struct data *d, int index);
/** Maps the file; NULL when absent, of another size, or damaged. */
uint8_t *data_cache_map(const struct data *d, const char *path);
void data_cache_unmap(const struct data *d, uint8_t *pixels);
struct status data_cache_write(const struct data *d, const char *path, const uint8_t *pixels);

/** What a file's header says of a picture; false when it says nothing. */
struct data_header {
    int height, width, channels;
};
bool data_header(struct data_header *out, const char *path);
/** Whether a file's header says that the picture has an alpha channel. */
struct status data_has_alpha(bool *out, const char *path);

/** Refuses a JPEG that would break the decoder; tells how the camera was held (1..8, 1: upright). */
struct status data_jpeg_check(int *orientation, const char *where, const void *p, size_t n);
void data_turn_upright(struct data_image *im, int orientation);

/** Normalised value of a byte: v * gain + offset. One formula, so that both ways to fill a batch agree to the bit.
 *  @p channel 0..2 of RGB, DATA_GREY of a grey picture or of alpha. */
enum { DATA_GREY = 3 };
float data_gain(int channel);
float data_offset(int channel);

/** What augmentation does to one pair, all draws made. */
struct data_change {
    bool flip, geometry, color[2]; /* flip alone is exact; geometry: m maps an output pixel to a source position */
    float m[6];                    /* sx = m0 x + m1 y + m2; sy = m3 x + m4 y + m5 */
    float rgb[12];                 /* 3 rows of 3 factors and an offset, on 0..1 */
};
struct data_change data_draw_change(const struct data *d, int64_t seed, int64_t epoch, int index, const uint8_t *input);
/** One pair, changed and normalised; @p block as data_decode makes it. */
void data_apply_change(float *input, float *target, const struct data *d, const struct data_change *c,
                       const uint8_t *block, bool channels_last);

#endif
