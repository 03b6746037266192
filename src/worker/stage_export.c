/* Screen and export: the net as a file of another format. */
#include "calibrate.h"
#include "data.h"
#include "export.h"
#include "worker.h"

/** A file's extension; a name that is unknown gets none and is refused by the writer, by name. */
static const char *extension_of(const char *format)
{
    const struct spec_format *f = spec_format_of(format);
    return f ? f->extension : "";
}

static struct status write_model(const struct job *j, const struct train_job *t, enum train_weights which,
                                 const char *format, const char *path)
{
    struct train_model m;
    struct net_values values = {.v = NULL};
    struct status s = train_model_open(&m, t, which, "fp32");
    if (s.code == STATUS_OK) {
        struct net_cost c = net_cost(m.net);
        train_emit(t, "info", "{s:{s:I, s:I, s:s}}", "values", "params", (json_int_t)c.params, "macs",
                   (json_int_t)c.macs, "weights",
                   which == TRAIN_UNTRAINED ? "untrained"
                   : which == TRAIN_BEST    ? "best"
                                            : "last");
        s = exec_values(&values, m.exec);
    }
    if (s.code == STATUS_OK) {
        struct export_pair meta[] = {
            {"trial", j->trial}, {"arch", j->config.model.arch}, {"backbone", j->config.model.backbone}};
        struct export_options o = {.io_image = j->config.bench.io_image, .meta = meta, .n_meta = LEN(meta)};
        const struct data_norm norm = data_norm_of((int)net_c(m.net, m.net->inputs[0].val));
        memcpy(o.mean, data_mean, sizeof o.mean);
        memcpy(o.std, data_std, sizeof o.std);
        memcpy(o.input_mean, norm.mean, sizeof o.input_mean);
        memcpy(o.input_std, norm.std, sizeof o.input_std);
        struct calibration by = {.job = t, .device = m.device, .image = o.io_image};
        o.calibration = (struct export_calibration){.run = calibrate,
                                                    .user = &by,
                                                    .method = j->config.export_calibration,
                                                    .keep = j->config.export_keep.v,
                                                    .n_keep = j->config.export_keep.n};
        s = export_write(format, path, m.net, values.v, &o);
    }
    if (values.v) net_values_free(&values);
    train_model_close(&m);
    return s;
}

/* What sets a file apart from the one of default options: "model.image.last". Sweeps that ask a trial for files of
 * different options get different files. */
static char *stem_of(struct arena *a, const struct spec_trial *t, const char *format, const char *stem)
{
    struct spec_trial plain;
    struct status s = spec_trial_from_json(&plain, a, NULL, "defaults");
    CHECK(s.code == STATUS_OK, "%s", s.msg);
    unsigned concerns = SPEC_EXPORT | (spec_format_quantised(format) ? SPEC_QUANTISE : 0);
    json_t *def = spec_trial_to_json(&plain, concerns), *is = spec_trial_to_json(t, concerns), *v;
    char *out = arena_strdup(a, stem);
    const char *key;
    json_object_foreach(is, key, v)
    {
        if (json_equal(v, json_object_get(def, key))) continue;
        char *text = json_canonical(v);
        if (json_is_array(v)) /* names of layers: too many for a file's name */
            out = arena_printf(a, "%s.%.8s", out, hash_bytes(text, strlen(text)).hex);
        else
            out = arena_printf(a, "%s.%s", out, json_is_string(v) ? json_string_value(v) : text);
        free(text);
    }
    json_decref(def);
    json_decref(is);
    return out;
}

static struct status write_as(const struct job *j, const struct train_job *t, enum train_weights which,
                              const char *format, const char *stem)
{
    struct arena a = {0};
    char *path = arena_printf(&a, "%s/%s.%s", j->dir, stem_of(&a, &j->config, format, stem), extension_of(format));
    struct status s = write_model(j, t, which, format, path);
    if (s.code == STATUS_OK) s = tell_artifact(t, "model", format, "", path);
    arena_free(&a);
    return s;
}

struct status stage_export(struct outcome *out, const struct job *j, const struct train_job *t)
{
    (void)out;
    return write_as(j, t, train_weights_wanted(&j->config), j->format[0] ? j->format : "onnx", "model");
}

struct status stage_screen(struct outcome *out, const struct job *j, const struct train_job *t)
{
    (void)out;
    return write_as(j, t, TRAIN_UNTRAINED, "onnx", "screen");
}
