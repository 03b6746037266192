/* Samples: what the gallery shows. */
#include "images.h"

static const struct {
    const char *kind, *suffix;
} pictures[] = {{"sample_input", ".input"}, {"sample_target", ".target"}, {"sample", ""}};

/* Room for a picture that is shown. */
struct shown {
    float *input; /* what the net saw, as RGB */
    uint8_t *rgb;
};

static struct status save_one(struct images *im, const struct job *j, const struct train_job *t, int k,
                              const struct shown *room)
{
    TRY(images_run(im, k));
    json_t *text = json_of_bytes(data_name(im->data, im->index[k])); /* a file's name is any bytes, a row's is text */
    const char *name = json_string_value(text);
    data_input_picture(room->input, im->input, im->channels, im->height, im->width);
    const float *const values[LEN(pictures)] = {room->input, im->target, im->output};
    struct arena a = {0};
    struct status s = ok();
    for (size_t i = 0; i < LEN(pictures) && s.code == STATUS_OK; i++) {
        char *path = arena_printf(&a, "%s/samples/%s%s.png", j->dir, name, pictures[i].suffix);
        data_denormalise(room->rgb, values[i], im->height, im->width, false);
        s = data_image_save(path, room->rgb, im->height, im->width);
        if (s.code == STATUS_OK) s = tell_artifact(t, pictures[i].kind, "png", name, path);
    }
    arena_free(&a);
    json_decref(text);
    return s;
}

struct status stage_samples(struct outcome *out, const struct job *j, const struct train_job *t)
{
    (void)out;
    struct images im;
    struct arena a = {0};
    struct status s = fs_mkdir(arena_printf(&a, "%s/samples", j->dir));
    arena_free(&a);
    TRY(s);
    s = images_open(&im, j, t);
    int n = j->config.samples > 0 && j->config.samples < im.n ? j->config.samples : im.n;
    struct shown room = {.input = mem_alloc((im.floats + 1) * sizeof(float)), .rgb = mem_alloc(im.floats + 1)};
    for (int k = 0; k < n && s.code == STATUS_OK; k++)
        s = worker_stop ? fail(STATUS_INTERRUPTED, "samples: asked to stop") : save_one(&im, j, t, k, &room);
    free(room.input);
    free(room.rgb);
    images_close(&im);
    return s;
}
