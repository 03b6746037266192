/* Calibration: the net that is written, run on training pictures, so that 8 bits know what numbers it meets. */
#include "calibrate.h"
#include "data.h"
#include "images.h"

enum { CALIBRATION_IMAGES = 32 };

struct shower {
    struct exec *exec;
    export_see_fn *see;
    void *to;
    float *buffer;
    size_t cap;
    struct status error; /* the first */
};

static void show(void *user, net_val v, const struct tensor *t)
{
    struct shower *s = user;
    size_t n = (size_t)tensor_numel(t);
    if (s->error.code != STATUS_OK) return;
    if (n > s->cap) s->buffer = mem_realloc(s->buffer, (s->cap = n) * sizeof *s->buffer);
    s->error = tensor_to_f32(t, s->buffer);
    if (s->error.code == STATUS_OK) s->see(s->to, v, s->buffer, (int64_t)n);
}

static struct status show_one(struct shower *s, struct data *d, const int *index, float *input, float *target,
                              const struct calibration *c)
{
    TRY(data_fill(input, target, d, (struct data_want){.index = index, .n = 1}));
    int channels = data_channels(d);
    int64_t dims[4] = {1, channels, data_height(d), data_width(d)};
    if (c->image) images_to_levels(input, (size_t)(dims[2] * dims[3]), channels, false);
    struct tensor *x = NULL, *y = NULL;
    struct tensor_device device = exec_options_of(s->exec)->device;
    TRY(tensor_from_host(&x, TENSOR_F32, 4, dims, input, device));
    struct status st = exec_run(s->exec, &(struct exec_mode){.see = show, .user = s}, &x, &y);
    tensor_free(x);
    tensor_free(y);
    return st.code == STATUS_OK ? s->error : st;
}

static struct status show_all(struct shower *s, struct data *d, const struct calibration *c)
{
    int n;
    const int *index = data_part(d, DATA_TRAIN, &n);
    if (n == 0) index = data_part(d, DATA_VAL, &n);
    size_t plane = (size_t)data_height(d) * (size_t)data_width(d);
    float *input = mem_alloc(plane * (size_t)(data_channels(d) + 3) * sizeof *input);
    int shown = n < CALIBRATION_IMAGES ? n : CALIBRATION_IMAGES;
    struct status st = ok();
    for (int k = 0; k < shown && st.code == STATUS_OK; k++) /* spread over all of them */
        st = worker_stop
                 ? fail(STATUS_INTERRUPTED, "calibration: asked to stop")
                 : show_one(s, d, &index[(int64_t)k * n / shown], input, input + plane * (size_t)data_channels(d), c);
    free(input);
    return st;
}

struct status calibrate(void *user, const struct net *n, const float *const *values, export_see_fn *see, void *to)
{
    const struct calibration *c = user;
    struct shower s = {.see = see, .to = to, .error = ok()};
    struct data *data = NULL;
    TRY(exec_new(&s.exec, n, &(struct exec_options){.compute = TENSOR_F32, .device = c->device, .frozen = true}));
    struct status st = exec_set_values(s.exec, values);
    if (st.code == STATUS_OK) st = status_at(train_data_open(&data, c->job), "calibration");
    if (st.code == STATUS_OK) st = show_all(&s, data, c);
    if (data) data_close(data);
    exec_free(s.exec);
    free(s.buffer);
    return st;
}
