/* Verify: does the exported file still compute the same picture? The runtime's output against ours, on real images. */
#include "bench.h"
#include "export.h"
#include "images.h"
#include <math.h>

enum { VERIFY_IMAGES = 4 };

/* How far an output may be from ours, by what the file computes in. Float32 on both sides: only the order of sums
 * differs, and any value may be asked. Of fewer bits it is the picture: its ratio of peak to noise, where other noise
 * than that of rounding, a picture that is another, comes out far below. */
static const struct {
    double most[2]; /* difference of a value: normalised, or in levels of io: image; 0: any */
    double psnr;    /* at least, in dB */
} tolerances[] = {
    [SPEC_FP32] = {.most = {5e-3, 1}}, /* half a level is the rounding of io: image */
    [SPEC_FP16] = {.psnr = 40},
    [SPEC_INT8] = {.psnr = 25},
};
static const char *const units[] = {"normalised units", "grey levels of 0..255"};

struct error {
    double max, sum;
    double squares; /* of differences in levels, clipped as a picture is */
    int64_t n;
};

/* What a checked file's format says of it. */
struct check {
    const char *path;
    enum spec_precision precision;
    bool image;
};

static double level_of(double v, const struct data_norm *n, size_t channel)
{
    return fmin(fmax((v * (double)n->std[channel] + (double)n->mean[channel]) * 255, 0), 255);
}

static struct status compare(struct error *e, const struct images *im, const struct bench_array *got, bool image)
{
    const struct data_norm norm = data_norm_of(3);
    size_t plane = im->floats / 3;
    if (bench_array_numel(got) != (int64_t)im->floats)
        return fail(STATUS_ARG, "gives %d values, expected %d", (int)bench_array_numel(got), (int)im->floats);
    for (size_t i = 0; i < im->floats; i++) {
        double is = (double)got->data[i], ours = (double)im->output[i], d = fabs(is - ours);
        if (!(d <= e->max)) e->max = isfinite(d) ? d : (double)INFINITY; /* one that is no number stays the largest */
        e->sum += d;
        double off = image ? is - ours : level_of(is, &norm, i / plane) - level_of(ours, &norm, i / plane);
        e->squares += isfinite(d) ? off * off : (double)INFINITY;
    }
    e->n += (int64_t)im->floats;
    return ok();
}

static struct status verify_one(struct error *e, struct images *im, struct bench_model *model, int k, bool image)
{
    TRY(images_run(im, k));
    if (image) {
        images_to_levels(im->input, im->floats / 3, im->channels, false);
        images_to_levels(im->output, im->floats / 3, 3, true);
    }
    struct bench_array in = {.rank = 4, .shape = {1, im->channels, im->height, im->width}, .data = im->input},
                       got = {.rank = 0};
    TRY(bench_run(model, &in, 1, &got, 1));
    struct status s = compare(e, im, &got, image);
    free(got.data);
    return s;
}

static json_t *number(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

/* A float32 file that differs is our mistake; one of fewer bits is a result, and no winner. */
static struct status judge(const struct error *e, const struct train_job *t, const struct check *c, int images)
{
    enum { PEAK = 255, PSNR_MOST = 120 }; /* equal pictures have no noise, and a number all the same */
    double mean = e->sum / (double)e->n, psnr = 10 * log10(PEAK * PEAK / (e->squares / (double)e->n));
    double most = tolerances[c->precision].most[c->image], least = tolerances[c->precision].psnr;
    if (psnr > PSNR_MOST) psnr = PSNR_MOST;
    bool right = most != 0 ? e->max <= most : psnr >= least;
    train_emit(t, "info", "{s:{s:s, s:f, s:s*}}", "values", "verify_unit", most != 0 ? units[c->image] : "dB",
               "verify_tolerance", most != 0 ? most : least, "verify", right ? NULL : "wrong");
    train_emit(t, "metrics", "{s:i, s:{s:o, s:o, s:o, s:i}}", "epoch", -1, "values", "verify_max_abs", number(e->max),
               "verify_mean_abs", number(mean), "verify_psnr", number(psnr), "verify_images", images);
    if (right) return ok();
    if (most == 0)
        return fail(STATUS_REFUSED,
                    "wrong: %s: its pictures are at %.1f dB from the trained net's, expected at least %g dB", c->path,
                    psnr, least);
    return fail(STATUS_ARG, "%s: differs from the trained net by up to %g %s, expected at most %g; the export is wrong",
                c->path, e->max, units[c->image], most);
}

/* ---- what the file's pictures are worth -------------------------------------------------------------------------- */

struct maker {
    const struct check *check;
    struct bench_model *model;
    const struct images *im;
    float *input; /* as the file takes it */
};

static struct status make_picture(void *user, float *output, const float *input)
{
    const struct maker *k = user;
    const struct images *im = k->im;
    size_t plane = im->floats / 3;
    const struct data_norm norm = data_norm_of(3);
    struct bench_array in = {.rank = 4, .shape = {1, im->channels, im->height, im->width}, .data = k->input}, got = {0};
    memcpy(k->input, input, plane * (size_t)im->channels * sizeof *input);
    if (k->check->image) images_to_levels(k->input, plane, im->channels, false);
    TRY(bench_run(k->model, &in, 1, &got, 1));
    struct status s = ok();
    if (bench_array_numel(&got) != (int64_t)im->floats)
        s = fail(STATUS_ARG, "%s: gives another picture", k->check->path);
    for (size_t i = 0; s.code == STATUS_OK && i < im->floats; i++)
        output[i] = k->check->image ? (got.data[i] / 255 - norm.mean[i / plane]) / norm.std[i / plane] : got.data[i];
    free(got.data);
    return s;
}

/* Of a file of fewer bits the quality is its own: what the rounding costs. */
static struct status tell_quality(const struct images *im, struct bench_model *model, const struct train_job *t,
                                  const struct check *c)
{
    struct maker k = {.check = c, .model = model, .im = im};
    json_t *values = json_object();
    k.input = mem_alloc(im->floats / 3 * (size_t)im->channels * sizeof *k.input);
    struct status s = train_evaluate_by(values, "file_", t, make_picture, &k);
    if (s.code == STATUS_OK) train_emit(t, "metrics", "{s:i, s:O}", "epoch", -1, "values", values);
    json_decref(values);
    free(k.input);
    return s;
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
    struct images im;
    struct bench_model *model = NULL;
    struct error e = {.max = 0};
    if (!j->model) return fail(STATUS_ARG, "job: member \"model\" is missing: the file to verify");
    const struct spec_format *format = spec_format_of(j->format);
    if (format && !format->runs) return verify_structure(j, t);
    struct check c = {j->model, format ? format->precision : SPEC_FP32, j->config.bench.io_image};
    struct status s = bench_open(&model, json_str(j->json, "ort_lib", NULL), j->model, j->threads);
    if (s.code != STATUS_OK) return s;
    s = images_open(&im, j, t);
    int n = im.n < VERIFY_IMAGES ? im.n : VERIFY_IMAGES;
    for (int k = 0; k < n && s.code == STATUS_OK; k++)
        s = status_at(verify_one(&e, &im, model, k, c.image), "%s", j->model);
    if (s.code == STATUS_OK && c.precision != SPEC_FP32 && !im.drawn) s = tell_quality(&im, model, t, &c);
    if (s.code == STATUS_OK) s = judge(&e, t, &c, n);
    images_close(&im);
    bench_close(model);
    return s;
}
