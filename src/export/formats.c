/* The formats that can be written, by the names that the spec gives them. */
#include "export.h"

/* clang-format off */
const struct export_format export_formats[] = {
    {.name = "onnx", .write = export_onnx},
    {.name = "onnx-fp16", .write = export_onnx_fp16},
    {.name = "onnx-int8", .write = export_onnx_int8},
    {.name = "coreml", .write = export_coreml},
    {.name = "coreml-fp16", .write = export_coreml_fp16},
    {.name = "coreml-int8", .write = export_coreml_int8},
    {.name = "litert", .write = export_litert},
    {.name = "litert-fp16", .write = export_litert_fp16},
    {.name = "litert-int8", .write = export_litert_int8},
    {.name = "torchscript"},
    {.name = NULL},
};
/* clang-format on */

struct status export_write(const char *format, const char *path, const struct net *n, const float *const *values,
                           const struct export_options *o)
{
    const char *names[LEN(export_formats)] = {0};
    struct str built = {0};
    for (size_t i = 0; export_formats[i].name; i++) {
        const struct export_format *f = &export_formats[i];
        names[i] = f->name;
        if (f->write) str_addf(&built, "%s%s", built.n ? ", " : "", f->name);
        if (f->write && !strcmp(format, f->name)) {
            str_free(&built);
            return f->write(path, n, values, o);
        }
    }
    const char *near = str_nearest(format, names);
    struct status s;
    if (near && !strcmp(near, format))
        s = fail(STATUS_REFUSED, "export: format \"%s\" is not built yet; built: %s", format, built.s);
    else
        s = fail(STATUS_ARG, "export: format: got \"%s\", expected one of: %s%s%s%s", format, built.s,
                 near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    str_free(&built);
    return s;
}
