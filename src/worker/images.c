#include "images.h"
#include <math.h>

/* The validation pairs. Of a finished trial that is exported elsewhere its pictures may be out of reach: the
 * coordinator then names no images, and drawn ones show as well whether two runtimes compute the same. */
static struct status open_data(struct data **out, bool *is_drawn, const struct job *j, const struct train_job *t)
{
    struct status s = train_data_open(out, t);
    if (s.code == STATUS_OK || (j->images && j->images[0]) || strcmp(j->stage, "verify") != 0) return s;
    struct spec_trial drawn = j->config;
    struct train_job there = *t;
    drawn.data.root = "synthetic";
    drawn.data.split_train = drawn.data.split_val_list = NULL;
    if (!(drawn.data.split_val > 0)) drawn.data.split_val = 0.5;
    there.trial = &drawn;
    *is_drawn = true;
    log_info("%s; verifying on drawn pictures instead", s.msg);
    train_emit(t, "info", "{s:{s:s}}", "values", "verify_images_of", "synthetic");
    return train_data_open(out, &there);
}

struct status images_open(struct images *out, const struct job *j, const struct train_job *t)
{
    *out = (struct images){.n = 0};
    TRY(train_model_open(&out->model, t, train_weights_wanted(&j->config), "fp32"));
    TRY(open_data(&out->data, &out->drawn, j, t));
    out->index = data_part(out->data, DATA_VAL, &out->n);
    out->height = data_height(out->data);
    out->width = data_width(out->data);
    out->channels = data_channels(out->data);
    size_t plane = (size_t)out->height * (size_t)out->width;
    out->floats = 3 * plane;
    out->input = mem_alloc((plane * (size_t)out->channels + 2 * out->floats) * sizeof(float));
    out->target = out->input + plane * (size_t)out->channels;
    out->output = out->target + out->floats;
    if (out->n == 0) return fail(STATUS_ARG, "data.split: no pair is left for validation; raise split.val");
    return ok();
}

void images_close(struct images *im)
{
    free(im->input);
    data_close(im->data);
    train_model_close(&im->model);
    *im = (struct images){.n = 0};
}

struct status images_run(struct images *im, int k)
{
    TRY(data_fill(im->input, im->target, im->data, (struct data_want){.index = &im->index[k], .n = 1}));
    struct tensor *x = NULL, *y = NULL;
    int64_t dims[4] = {1, im->channels, im->height, im->width};
    TRY(tensor_from_host(&x, TENSOR_F32, 4, dims, im->input, im->model.device));
    struct status s = exec_run(im->model.exec, &(struct exec_mode){.train = false}, &x, &y);
    if (s.code == STATUS_OK) s = tensor_to_f32(y, im->output);
    tensor_free(x);
    tensor_free(y);
    return s;
}

void images_to_levels(float *v, size_t plane, int channels, bool clip)
{
    const struct data_norm n = data_norm_of(channels);
    for (size_t i = 0; i < plane * (size_t)channels; i++) {
        float x = (v[i] * n.std[i / plane] + n.mean[i / plane]) * 255;
        v[i] = clip ? fminf(fmaxf(x, 0), 255) : x;
    }
}
