/*
 * export: a net and its values out as a file that other runtimes load, and back as a summary. Formats are rows of one
 * table; a format without a writer is refused by name. Knows nets and bytes; runs nothing.
 *
 *     struct export_pair meta[] = {{"trial", "0123456789ab"}};
 *     TRY(export_onnx("model.onnx", n, values, &(struct export_options){.meta = meta, .n_meta = 1}));
 *
 * The file holds the net ready for inference: batch norms folded, dropouts gone. Height and width are fixed; the batch
 * is symbolic ("N") in ONNX and 1 in LiteRT.
 */
#ifndef SWEEP_EXPORT_H
#define SWEEP_EXPORT_H

#include "net.h"

enum { EXPORT_MAX_RANK = 8 };

struct export_pair {
    const char *key, *value;
};

/** Shows @p n numbers of value @p v of a net to whoever asked. */
typedef void export_see_fn(void *to, net_val v, const float *numbers, int64_t n);

/** Where the ranges of an 8-bit file come from. All zero: none can be written. */
struct export_calibration {
    /* Computes @p n (as the file will, levels in where io_image is set) on pictures and shows every value of each. May
     * be called again, for the same pictures. */
    struct status (*run)(void *user, const struct net *n, const float *const *values, export_see_fn *see, void *to);
    void *user;
    const char *method;      /* minmax, percentile, entropy; NULL: minmax */
    const char *const *keep; /* names of layers that stay float32, or patterns of them: "encoder.layer1*" */
    int n_keep;
};

/** All zero: tensor in, tensor out, no normalisation known. */
struct export_options {
    bool io_image; /* 0..255 in and out, whole numbers out, normalisation and its inverse inside (net_image_io) */
    float mean[3], std[3];             /* of the training data, in 0..1; std all 0: not known, not written */
    float input_mean[4], input_std[4]; /* of each channel of an input that is not RGB; std all 0: as RGB */
    const struct export_pair *meta;    /* additions to the file's metadata, e.g. the trial's id */
    int n_meta;
    struct export_calibration calibration;
    int64_t external_above; /* bytes of weights above which they go to PATH.data; 0: what the format can hold */
};

/** A format's writer. Names, extensions and words for people are in the spec's table; a test holds the two together. */
struct export_format {
    const char *name;
    /* NULL: not built yet. */
    struct status (*write)(const char *path, const struct net *n, const float *const *values,
                           const struct export_options *o);
};
extern const struct export_format export_formats[]; /* ends with a NULL name */

/**
 * Writes @p path in the format named. Errors: STATUS_ARG for an unknown name (with the nearest), STATUS_REFUSED for a
 * format that is not built yet or an operation it cannot express, and those of the writer.
 */
struct status export_write(const char *format, const char *path, const struct net *n, const float *const *values,
                           const struct export_options *o);

/**
 * Writes ONNX (opset 17, IR 8), atomically. @p values is by parameter index of @p n, as net_values has it.
 * Metadata: sweep_version, io, color_order, value_range, and mean and std where known; for an input that is not RGB its
 * own input_color_order (gray or RGBA), input_mean, input_std; then the caller's pairs.
 * Errors: STATUS_REFUSED naming an op that ONNX cannot express; STATUS_ARG for a weight that is no number; STATUS_IO.
 */
struct status export_onnx(const char *path, const struct net *n, const float *const *values,
                          const struct export_options *o);

/** The same in float16 between its float32 ends, but for what sums up a whole map and a softmax. */
struct status export_onnx_fp16(const char *path, const struct net *n, const float *const *values,
                               const struct export_options *o);

/**
 * Writes ONNX that computes in 8 bits where it pays: pairs of QuantizeLinear and DequantizeLinear around convolutions
 * and what lies between them, weights symmetric by filter, values asymmetric. The convolutions that make the output
 * stay float32. Errors: as export_onnx; STATUS_ARG without a calibration, or for a name of keep that nothing has.
 */
struct status export_onnx_int8(const char *path, const struct net *n, const float *const *values,
                               const struct export_options *o);

/**
 * Writes LiteRT (a .tflite file, schema 3), atomically: batch 1, images channels-last, [1,H,W,C], in and out. The same
 * metadata, a buffer a pair. Errors: as export_onnx.
 */
struct status export_litert(const char *path, const struct net *n, const float *const *values,
                            const struct export_options *o);

/** The same with convolutions' weights in float16, brought back to float32 when the file is loaded. */
struct status export_litert_fp16(const char *path, const struct net *n, const float *const *values,
                                 const struct export_options *o);

/**
 * Writes LiteRT whose convolutions, and what lies between them, compute in 8 bits: weights symmetric by filter, values
 * asymmetric; float32 in and out. Errors: as export_onnx_int8.
 */
struct status export_litert_int8(const char *path, const struct net *n, const float *const *values,
                                 const struct export_options *o);

/**
 * Writes a Core ML package (a folder; ML Program, specification 7: iOS 16), its manifest last: batch 1, images in and
 * out where io_image says so. The second computes in float16 between its float32 ends. Errors: as export_onnx.
 */
struct status export_coreml(const char *path, const struct net *n, const float *const *values,
                            const struct export_options *o);
struct status export_coreml_fp16(const char *path, const struct net *n, const float *const *values,
                                 const struct export_options *o);
/** The second with weights of 8 bits, linear by filter; no pictures are needed. Where half precision cannot hold a
 *  filter's scale the layer's weights stay halves. */
struct status export_coreml_int8(const char *path, const struct net *n, const float *const *values,
                                 const struct export_options *o);

/* ---- read-back ------------------------------------------------------------------------------------------------- */

/** A named tensor of a file: an initializer, an input or an output. */
struct export_tensor {
    const char *name;
    int type; /* ONNX element type: 1 float32, 2 uint8, 3 int8, 7 int64, 10 float16 */
    int rank;
    int64_t shape[EXPORT_MAX_RANK]; /* -1: symbolic */
    int64_t bytes;                  /* of an initializer's data */
    bool external;                  /* its data lies in another file */
};
struct export_count {
    const char *op; /* "Conv" */
    int n;
};

/** What an ONNX file says it is. */
struct export_summary {
    struct arena arena;
    int64_t ir_version, opset;
    const char *producer, *producer_version;
    struct export_count *ops; /* sorted by name */
    struct export_tensor *initializers, *inputs, *outputs;
    struct export_pair *meta;
    int n_ops, n_nodes, n_initializers, n_inputs, n_outputs, n_meta;
    int64_t bytes_weights;
};

/** Reads a file's structure; weights are skipped, not copied. Owner: the caller, export_summary_free.
 *  Errors: STATUS_IO; STATUS_ARG naming file, byte and what is wrong with a file that is no ONNX. */
struct status export_onnx_read(struct export_summary *out, const char *path);
/** The same from memory, which may die afterwards: what fuzzing drives. */
struct status export_onnx_parse(struct export_summary *out, const char *where, const void *p, size_t n);
void export_summary_free(struct export_summary *s);

/** What a Core ML package says it is. */
struct export_package {
    int specification, n_operations, n_weights; /* operations: constants among them */
    int64_t bytes_weights;
};
/** Reads a package's structure: what its manifest names is there, and each weight lies whole in the weights file.
 *  Errors: STATUS_IO; STATUS_ARG naming file and what is wrong. */
struct status export_coreml_read(struct export_package *out, const char *path);
/** The same of a program and its weights in memory: what fuzzing drives. */
struct status export_coreml_parse(struct export_package *out, const char *where, const void *p, size_t n,
                                  const void *weights, size_t n_weights);

/** The value of a metadata key, NULL when absent. */
const char *export_summary_meta(const struct export_summary *s, const char *key);

#endif
