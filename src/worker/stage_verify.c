/* Verify: does the exported file still compute the same picture? The runtime's output against ours, on real images. */
#include "bench.h"
#include "export.h"
#include "images.h"
#include <math.h>

enum { VERIFY_IMAGES = 4 };

/* How far an output may be from ours, by what the file gives out. Float32 on both sides: only the order of sums
 * differs. */
static const struct {
    double most;
    const char *unit;
} tolerances[] = {
    [false] = {.most = 5e-3, .unit = "normalised units"},
    [true] = {.most = 0.5, .unit = "grey levels of 0..255"},
};

struct error {
    double max, sum;
    int64_t n;
};

/** Normalised [channels,H,W] to 0..255, as the file with image io has it inside. @p clip: an output is clipped, too. */
static void to_levels(float *v, const struct images *im, int channels, bool clip)
{
    size_t plane = im->floats / 3;
    const struct data_norm n = data_norm_of(channels);
    for (size_t i = 0; i < plane * (size_t)channels; i++) {
        float x = (v[i] * n.std[i / plane] + n.mean[i / plane]) * 255;
        v[i] = clip ? fminf(fmaxf(x, 0), 255) : x;
    }
}

static struct status compare(struct error *e, const struct images *im, const struct bench_array *got)
{
    if (bench_array_numel(got) != (int64_t)im->floats)
        return fail(STATUS_ARG, "gives %d values, expected %d", (int)bench_array_numel(got), (int)im->floats);
    for (size_t i = 0; i < im->floats; i++) {
        double d = fabs((double)got->data[i] - (double)im->output[i]);
        if (!(d <= e->max)) e->max = isfinite(d) ? d : (double)INFINITY; /* one that is no number stays the largest */
        e->sum += d;
    }
    e->n += (int64_t)im->floats;
    return ok();
}

static struct status verify_one(struct error *e, struct images *im, struct bench_model *model, int k, bool image)
{
    TRY(images_run(im, k));
    if (image) {
        to_levels(im->input, im, im->channels, false);
        to_levels(im->output, im, 3, true);
    }
    struct bench_array in = {.rank = 4, .shape = {1, im->channels, im->height, im->width}, .data = im->input},
                       got = {.rank = 0};
    TRY(bench_run(model, &in, 1, &got, 1));
    struct status s = compare(e, im, &got);
    free(got.data);
    return s;
}

static struct status judge(const struct error *e, const struct train_job *t, const char *model, int images, bool image)
{
    double mean = e->sum / (double)e->n;
    train_emit(t, "info", "{s:{s:s, s:f}}", "values", "verify_unit", tolerances[image].unit, "verify_tolerance",
               tolerances[image].most);
    train_emit(t, "metrics", "{s:i, s:{s:o, s:o, s:i}}", "epoch", -1, "values", "verify_max_abs",
               isfinite(e->max) ? json_real(e->max) : json_null(), "verify_mean_abs",
               isfinite(mean) ? json_real(mean) : json_null(), "verify_images", images);
    if (e->max <= tolerances[image].most) return ok();
    return fail(STATUS_ARG, "%s: differs from the trained net by up to %g %s, expected at most %g; the export is wrong",
                model, e->max, tolerances[image].unit, tolerances[image].most);
}

/* A format that nothing here executes: that it reads back whole is all that can be said, and the result says so. */
static struct status verify_structure(const struct job *j, const struct train_job *t)
{
    struct export_package p;
    TRY(export_coreml_read(&p, j->model));
    train_emit(t, "info", "{s:{s:s, s:i, s:i, s:I}}", "values", "verify", "unexecuted", "operations", p.n_operations,
               "weights", p.n_weights, "weights_bytes", (json_int_t)p.bytes_weights);
    return ok();
}

struct status stage_verify(struct outcome *out, const struct job *j, const struct train_job *t)
{
    (void)out;
    bool image = j->config.bench.io_image;
    struct images im;
    struct bench_model *model = NULL;
    struct error e = {.max = 0};
    if (!j->model) return fail(STATUS_ARG, "job: member \"model\" is missing: the file to verify");
    const struct spec_format *format = spec_format_of(j->format);
    if (format && !format->runs) return verify_structure(j, t);
    struct status s = bench_open(&model, json_str(j->json, "ort_lib", NULL), j->model, j->threads);
    if (s.code != STATUS_OK) return s;
    s = images_open(&im, j, t);
    int n = im.n < VERIFY_IMAGES ? im.n : VERIFY_IMAGES;
    for (int k = 0; k < n && s.code == STATUS_OK; k++)
        s = status_at(verify_one(&e, &im, model, k, image), "%s", j->model);
    if (s.code == STATUS_OK) s = judge(&e, t, j->model, n, image);
    images_close(&im);
    bench_close(model);
    return s;
}
