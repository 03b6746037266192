/*
 * Inside room export: which operations of a lowered net compute in 8 bits, and how each value is stored then: a number
 * is (stored - zero) * scale, stored 0..255. Formats that count from -128 subtract 128 from both. What an operation may
 * do in 8 bits is a table of the format; this decides for a net by it.
 */
#ifndef SWEEP_EXPORT_QUANTISE_H
#define SWEEP_EXPORT_QUANTISE_H

#include "lower.h"

struct range {
    float low, high; /* of a value's numbers on the calibration pictures; 0 lies in it */
};
/** Ranges by value of the net. Errors: STATUS_ARG without a way to calibrate, or where no picture was shown or a value
 *  is no number. In the arena. */
struct status ranges_of(const struct range **out, struct arena *a, const struct lower *l,
                        const struct export_calibration *c);

enum quantise_kind {
    QUANTISE_NOT,     /* float32 alone */
    QUANTISE_LAYER,   /* with weights: where it stands in 8 bits, all around it does */
    QUANTISE_SEVERAL, /* computes in 8 bits where all it reads is stored so */
    QUANTISE_MOVES,   /* gives numbers that it read: its result is stored as what it read */
    QUANTISE_AFTER,   /* an activation that the operation before it clips for it, in its own rounding */
};

struct quantise {
    bool *is;     /* of each node: computes in 8 bits */
    bool *stored; /* of each value: it is rounded to 8 bits, with */
    float *scale;
    int *zero;
};
/**
 * @p kinds: by operation. Layers before an output, those that the framing of a picture has and those named by
 * c->keep stay float32. Errors: those of ranges_of; STATUS_ARG for a name of keep that no layer has.
 */
struct status quantise_plan(struct quantise *out, struct arena *a, const struct lower *l, const unsigned char *kinds,
                            const struct export_calibration *c);

/** Layers that c->keep names, by node; @p kinds as above. Errors: STATUS_ARG for a name that no layer has. In the
 * arena.
 */
struct status quantise_kept(bool **out, struct arena *a, const struct lower *l, const unsigned char *kinds,
                            const struct export_calibration *c);

/** A layer's weights, a row a filter, symmetric: value = stored * scale[filter]. */
struct quantised_weights {
    int8_t *w;
    float *scale;
    int32_t *bias; /* times scale[filter] * that of the input; NULL without one */
};
/** @p per: numbers a filter. The scale is as large as the bias needs. In the arena. */
struct quantised_weights quantise_weights(struct arena *a, const float *w, const float *bias, int64_t filters,
                                          int64_t per, float input_scale);

#endif
