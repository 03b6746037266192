/* From a resolved trial to running things: the model, the loss, the metrics, the pairs. */
#include "cell.h"
#include "parts.h"
#include <math.h>

void running_close(struct running *r)
{
    exec_free(r->exec);
    net_free(r->net);
    *r = (struct running){0};
}

/* A stage's key promises what it was made of: images that changed since are another experiment. */
static struct status check_images(const struct data *d, const struct train_job *job)
{
    struct hash h;
    if (!job->images || !job->images[0]) return ok();
    TRY(data_fingerprint(&h, d));
    if (strcmp(h.hex, job->images) == 0) return ok();
    return fail(STATUS_ARG,
                "data.root: %s: the images have changed since this run was planned; run the command again, "
                "which plans with what is there now",
                job->trial->data.root);
}

struct status train_data_open(struct data **out, const struct train_job *job)
{
    struct data_augment augment[SPEC_MAX_AUGMENT];
    struct data_options o = cell_data(augment, job->trial);
    o.cache = job->cache;
    TRY(data_open(out, &o));
    struct status s = check_images(*out, job);
    if (s.code == STATUS_OK) return s;
    data_close(*out);
    *out = NULL;
    return s;
}

enum train_weights train_weights_wanted(const struct spec_trial *t)
{
    return t->evaluate.weights && strcmp(t->evaluate.weights, "best") == 0 ? TRAIN_BEST : TRAIN_LAST;
}

/** Random parameters, and over them those of the file that model.init or model.weights names. */
static struct status initialise(struct train_model *m, const struct train_job *job)
{
    const struct spec_trial *t = job->trial;
    TRY(exec_init(m->exec, (uint64_t)t->seed));
    if (t->model.init) return load_model_file(m->exec, job, "model.init", t->model.init);
    if (!t->model.weights || strcmp(t->model.weights, "random") == 0) return ok();
    return load_model_file(m->exec, job, "model.weights", t->model.weights);
}

struct status load_trained(struct exec *e, const struct train_job *job, enum train_weights which)
{
    return checkpoint_weights(job, which == TRAIN_BEST ? "best" : "last", e);
}

struct status train_model_open(struct train_model *out, const struct train_job *job, enum train_weights which,
                               const char *precision)
{
    const struct spec_trial *t = job->trial;
    *out = (struct train_model){0};
    TRY(tensor_pick_device(&out->device, job->device ? job->device : "auto"));
    TRY(tensor_pick_precision(&out->compute, precision ? precision : t->train.precision, out->device));
    struct zoo_model m = cell_model(t);
    TRY(zoo_build(&out->net, &m));
    TRY(exec_new(&out->exec, out->net,
                 &(struct exec_options){
                     .compute = out->compute, .device = out->device, .channels_last = t->train.channels_last}));
    if (which == TRAIN_UNTRAINED) return initialise(out, job);
    return load_trained(out->exec, job, which);
}

void train_model_close(struct train_model *m)
{
    exec_free(m->exec);
    net_free(m->net);
    *m = (struct train_model){0};
}

/**
 * Random features that say something: weights of variance 1.5 / fan-in, under which a picture's features neither die
 * out nor explode with depth, in every family alike. (What a family trains from may make features so small that the
 * pixels' term drowns them.) The same for every trial, so that their losses compare.
 */
static struct status random_features(struct running *loss)
{
    for (int i = 0; i < loss->net->n_params; i++) {
        struct net_param *p = &loss->net->params[i];
        if (p->kind != NET_WEIGHT || p->shape.rank < 2) continue;
        double fan_in = (double)(net_numel(p->shape) / p->shape.d[0]);
        p->init.dist = NET_UNIFORM;
        p->init.scale = sqrt(3 * 1.5 / fan_in);
    }
    return exec_init(loss->exec, 0);
}

/** The loss and its network's weights; random features are allowed. */
static struct status open_loss(struct running *out, const struct train_job *job, const struct train_model *m)
{
    const struct spec_trial *t = job->trial;
    struct loss_options o = cell_loss(t);
    TRY(loss_build(&out->net, &o));
    TRY(exec_new(
        &out->exec, out->net,
        &(struct exec_options){
            .compute = m->compute, .device = m->device, .frozen = true, .channels_last = t->train.channels_last}));
    if (out->net->n_params == 0) return ok(); /* pixels alone */
    const char *network = o.network ? o.network : "vgg16";
    bool random = !t->loss.weights || strcmp(t->loss.weights, "random") == 0;
    train_emit(job, "info", "{s:{s:s, s:b}}", "values", "loss_network", network, "loss_random", random);
    if (!random) return load_loss_file(out->exec, "loss.weights", network, t->loss.weights);
    log_info("loss.weights is not set: the loss network has seeded random features"); /* the plan has warned of it */
    return random_features(out);
}

struct status judge_open(struct judge *out, const struct train_job *job, const struct train_model *m, struct data *data)
{
    const struct spec_trial *t = job->trial;
    *out = (struct judge){
        .data = data, .device = m->device, .channels_last = t->train.channels_last, .batch = t->train.batch};
    TRY(open_loss(&out->loss, job, m));
    TRY(loss_metrics_build(&out->metrics.net, t->data.size[0], t->data.size[1], data_mean, data_std));
    enum tensor_dtype exact = m->compute == TENSOR_F64 ? TENSOR_F64 : TENSOR_F32;
    return exec_new(&out->metrics.exec, out->metrics.net,
                    &(struct exec_options){.compute = exact, .device = m->device, .frozen = true});
}

bool judge_each_epoch(const struct spec_trial *t)
{
    return t->evaluate.every_epoch || spec_judged(t->train.monitor) ||
           (strcmp(t->prune.rule, "none") != 0 && spec_judged(t->prune.metric ? t->prune.metric : spec_rank(t)));
}

struct status judge_open_features(struct judge *j, const struct train_job *job, const struct train_model *m)
{
    const struct spec_trial *t = job->trial;
    if (!spec_has_judge(t)) return ok();
    TRY(loss_judge_build(&j->features.net, &(struct loss_judge_options){.network = t->evaluate.judge.network,
                                                                        .height = t->data.size[0],
                                                                        .width = t->data.size[1],
                                                                        .mean = data_mean,
                                                                        .std = data_std,
                                                                        .taps = t->evaluate.judge.taps}));
    enum tensor_dtype exact = m->compute == TENSOR_F64 ? TENSOR_F64 : TENSOR_F32;
    TRY(exec_new(&j->features.exec, j->features.net,
                 &(struct exec_options){
                     .compute = exact, .device = m->device, .frozen = true, .channels_last = j->channels_last}));
    train_emit(job, "info", "{s:{s:s}}", "values", "judge", t->evaluate.judge.network);
    return load_loss_file(j->features.exec, "evaluate.judge.weights", t->evaluate.judge.network,
                          t->evaluate.judge.weights);
}

void judge_close(struct judge *j)
{
    running_close(&j->features);
    running_close(&j->loss);
    running_close(&j->metrics);
    data_close(j->data);
    *j = (struct judge){0};
}

static struct status to_device(struct tensor **out, const struct judge *j, const float *v, int n, int channels)
{
    int64_t dims[4] = {n, channels, data_height(j->data), data_width(j->data)};
    struct tensor *t = NULL;
    TRY(tensor_from_host(&t, TENSOR_F32, 4, dims, v, j->device));
    struct status s = tensor_to_layout(out, t, j->channels_last);
    tensor_free(t);
    return s;
}

struct status judge_tensors(struct tensor **x, struct tensor **y, const struct judge *j, const float *input,
                            const float *target, int n)
{
    *x = *y = NULL;
    TRY(to_device(x, j, input, n, data_channels(j->data)));
    struct status s = to_device(y, j, target, n, 3);
    if (s.code == STATUS_OK) return s;
    tensor_free(*x);
    *x = NULL;
    return s;
}

struct status judge_picture(struct tensor **out, const struct judge *j, const float *input, int n)
{
    int channels = data_channels(j->data), h = data_height(j->data), w = data_width(j->data);
    size_t plane = (size_t)h * (size_t)w;
    float *rgb = mem_alloc((size_t)n * 3 * plane * sizeof *rgb);
    for (size_t i = 0; i < (size_t)n; i++)
        data_input_picture(rgb + i * 3 * plane, input + i * plane * (size_t)channels, channels, h, w);
    struct status s = to_device(out, j, rgb, n, 3);
    free(rgb);
    return s;
}
