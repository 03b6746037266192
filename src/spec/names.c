/* Names that several rooms and the key table share. */
#include "keys.h"

/* clang-format off */
const struct spec_metric spec_metrics[] = {
    {.name = "ssim",     .unit = "",   .higher_is_better = true,  .axis_free = true,
     .doc = "structural similarity, 11 x 11 Gaussian window"},
    {.name = "ms_ssim",  .unit = "",   .higher_is_better = true,  .axis_free = true,
     .doc = "structural similarity over five scales"},
    {.name = "psnr",     .unit = "dB", .higher_is_better = true,  .axis_free = true,
     .doc = "peak signal to noise ratio, the peak being the full range"},
    {.name = "l1",       .unit = "",   .higher_is_better = false, .axis_free = true,
     .doc = "mean absolute difference of pixels in 0..1"},
    {.name = "feature_distance", .unit = "", .higher_is_better = false, .axis_free = true, .judged = true,
     .doc = "distance in the features of the judge (`evaluate.judge`): closest to what people see"},
    {.name = "style_distance", .unit = "", .higher_is_better = false, .axis_free = true, .judged = true,
     .doc = "relative difference of the Gram matrices of the judge's features"},
    {.name = "kid", .unit = "", .higher_is_better = false, .axis_free = true, .judged = true,
     .doc = "kernel distance of all outputs to all targets, in the judge's features; says little of under a hundred "
            "images"},
    {.name = "val_loss", .unit = "",   .higher_is_better = false, .axis_free = false,
     .doc = "the training loss on the validation pairs; compares only cells trained by the same loss"},
    {.name = NULL},
};

const struct spec_format spec_formats[] = {
    {.name = "onnx",        .extension = "onnx",           .built = true,  .runs = true, .doc = "ONNX, opset 17, float32"},
    {.name = "onnx-fp16",   .extension = "fp16.onnx",      .built = true,  .runs = true, .precision = SPEC_FP16,
     .doc = "ONNX in float16 between float32 ends"},
    {.name = "onnx-int8",   .extension = "int8.onnx",      .built = true,  .runs = true, .precision = SPEC_INT8,
     .doc = "ONNX quantised to int8 (QDQ, static)"},
    {.name = "coreml",      .extension = "mlpackage",      .built = true,  .doc = "Core ML program (iOS 16), float32"},
    {.name = "coreml-fp16", .extension = "fp16.mlpackage", .built = true,  .precision = SPEC_FP16,
     .doc = "Core ML program (iOS 16), float16"},
    {.name = "coreml-int8", .extension = "int8.mlpackage", .built = true,  .precision = SPEC_INT8,
     .doc = "Core ML program (iOS 16), float16, weights of 8 bits"},
    {.name = "litert",      .extension = "tflite",         .built = true,  .runs = true,
     .doc = "LiteRT (TensorFlow Lite), float32, channels-last"},
    {.name = "litert-fp16", .extension = "fp16.tflite",    .built = true,  .runs = true, .precision = SPEC_FP16,
     .doc = "LiteRT, weights in float16"},
    {.name = "litert-int8", .extension = "int8.tflite",    .built = true,  .runs = true, .precision = SPEC_INT8,
     .doc = "LiteRT quantised to int8 (static)"},
    {.name = "torchscript", .extension = "ts",             .built = false, .doc = "TorchScript"},
    {.name = NULL},
};

const struct spec_device spec_devices[] = {
    {.name = "cpu",   .built = true, .doc = "ONNX Runtime on this machine's CPU"},
    {.name = "torch", .built = true, .doc = "libtorch on this machine's CPU"},
    {.name = NULL},
};
/* clang-format on */

const struct spec_metric *spec_metric_of(const char *name)
{
    const struct spec_metric *m = spec_metrics;
    while (m->name && strcmp(m->name, name) != 0) m++;
    return m->name ? m : NULL;
}

bool spec_judged(const char *metric)
{
    const struct spec_metric *m = spec_metric_of(metric);
    return m && m->judged;
}

const struct spec_format *spec_format_of(const char *name)
{
    for (const struct spec_format *f = spec_formats; f->name; f++)
        if (strcmp(f->name, name) == 0) return f;
    return NULL;
}

bool spec_format_quantised(const char *name)
{
    const struct spec_format *f = spec_format_of(name);
    return f && f->precision == SPEC_INT8;
}
