/* The loop of one trial: epochs, validation, checkpoints, and the events that tell of them. */
#include "run.h"
#include <math.h>

static const double progress_every_s = 0.25;
enum { LOADERS_MOST = 8 };

static bool asked_to_stop(const struct train_job *job)
{
    return job->stop && *job->stop;
}

/* ---- start ---------------------------------------------------------------------------------------------------- */

static void tell_info(const struct run *r)
{
    struct net_cost cost = net_cost(r->model.net);
    struct str device = {0};
    int n_train, n_val;
    data_part(r->judge.data, DATA_TRAIN, &n_train);
    data_part(r->judge.data, DATA_VAL, &n_val);
    tensor_device_name(&device, r->model.device);
    train_emit(r->job, "info", "{s:{s:s, s:i, s:I, s:I, s:s, s:s, s:i, s:i, s:i}}", "values", "precision",
               tensor_dtype_name(r->model.compute), "threads", tensor_threads(), "params", (json_int_t)cost.params,
               "macs", (json_int_t)cost.macs, "device", device.s, "libtorch", tensor_torch_version(), "batch",
               r->t->train.batch, "train_images", n_train, "val_images", n_val);
    str_free(&device);
    if (data_skipped(r->judge.data))
        train_emit(r->job, "info", "{s:{s:i}}", "values", "skipped_pairs", data_skipped(r->judge.data));
    if (r->job->micro_batch > 0 && r->job->micro_batch < r->t->train.batch)
        train_emit(r->job, "info", "{s:{s:i}}", "values", "micro_batch", r->job->micro_batch);
}

/** A norm that would see one value a channel cannot train: said before any work is done. */
static struct status check_batch(const struct run *r)
{
    int n;
    data_part(r->judge.data, DATA_TRAIN, &n);
    int batch = r->t->train.batch < n ? r->t->train.batch : n;
    int rest = r->t->train.drop_last ? 0 : n % batch;
    int least = rest ? rest : batch, micro = r->job->micro_batch;
    const char *layer = net_single_value_norm(r->model.net, least);
    if (!layer && micro > 0) { /* the batch would do, but its parts do not: there is no memory for what is asked */
        int a = run_least_part(micro, batch), b = rest ? run_least_part(micro, rest) : a;
        layer = net_single_value_norm(r->model.net, a < b ? a : b);
        if (layer)
            return fail(STATUS_OOM,
                        "%s would normalise one value a channel with %d images at once, and more do not "
                        "fit; use a smaller data.size or a machine with more memory",
                        layer, micro);
    }
    if (!layer) return ok();
    return fail(STATUS_REFUSED, "%s would normalise one value a channel in a batch of %d; use a larger train.batch%s",
                layer, least, rest ? " or train.drop_last: true" : "");
}

/** Threads that prepare batches: on a CPU the steps need the cores, beside a GPU there is little else to do. */
static int loader_threads(const struct run *r)
{
    struct tensor_device d = tensor_cpu();
    struct status s = tensor_pick_device(&d, r->job->device ? r->job->device : "auto");
    int spare = cores_usable() - 1; /* one starts kernels */
    if (s.code != STATUS_OK || !d.cuda || spare < 1) return 1;
    return spare < LOADERS_MOST ? spare : LOADERS_MOST;
}

/** Batches from the run's position on. */
static struct status open_loader(struct run *r, struct data *d)
{
    data_loader_close(r->loader);
    r->loader = NULL;
    TRY(data_loader_open(&r->loader, d,
                         &(struct data_loader_options){.part = DATA_TRAIN,
                                                       .batch = r->t->train.batch,
                                                       .seed = r->t->seed,
                                                       .augment = true,
                                                       .shuffle = true,
                                                       .drop_last = r->t->train.drop_last,
                                                       .threads = loader_threads(r),
                                                       .epoch = r->at.epoch,
                                                       .step = r->at.step}));
    r->steps = data_loader_steps(r->loader);
    return ok();
}

/** The pairs come first: the first batch is decoded while the weights are drawn. */
static struct status run_open(struct run *r)
{
    struct data *data;
    TRY(train_data_open(&data, r->job));
    r->judge.data = data;
    TRY(open_loader(r, data));
    TRY(train_model_open(&r->model, r->job, TRAIN_UNTRAINED, NULL));
    TRY(tensor_own_stream(r->model.device));
    TRY(judge_open(&r->judge, r->job, &r->model, data));
    if (judge_each_epoch(r->t)) TRY(judge_open_features(&r->judge, r->job, &r->model));
    tell_info(r);
    TRY(check_batch(r));
    graph_open(r);
    return run_prepare(r);
}

static void run_close(struct run *r)
{
    data_loader_close(r->loader);
    saver_close(&r->saver);
    run_release(r);
    judge_close(&r->judge);
    train_model_close(&r->model);
}

/* ---- curve ---------------------------------------------------------------------------------------------------- */

static void tell_epoch(const struct run *r, const json_t *point)
{
    train_emit(r->job, "metrics", "{s:O, s:O}", "epoch", json_object_get(point, "epoch"), "values",
               json_object_get(point, "values"));
}

static void add_point(struct run *r, int epoch, const struct values *v)
{
    json_t *point = json_pack("{s:i, s:o}", "epoch", epoch, "values", values_json(v));
    CHECK(point, "point");
    json_array_append_new(r->at.curve, point);
    tell_epoch(r, point);
}

/* ---- epochs --------------------------------------------------------------------------------------------------- */

static void tell_progress(struct run *r, double loss)
{
    double now = time_mono();
    if (!isfinite(loss)) return; /* a GPU's first one is not known yet */
    if (now - r->last_progress < progress_every_s && r->at.step < r->steps) return;
    r->last_progress = now;
    double rate = r->at.seconds > 0 ? (double)r->at.loss_images / r->at.seconds : 0;
    double images = (double)r->at.loss_images / (double)r->at.step; /* a step */
    double left = (double)((r->t->train.epochs - r->at.epoch) * r->steps - r->at.step) * images;
    train_emit(r->job, "progress", "{s:i, s:i, s:I, s:I, s:f, s:f, s:f}", "epoch", r->at.epoch + 1, "epochs",
               r->t->train.epochs, "step", (json_int_t)r->at.step, "steps", (json_int_t)r->steps, "loss", loss,
               "images_per_s", rate, "eta_s", rate > 0 ? left / rate : 0);
}

static struct status interrupted(struct run *r)
{
    double start = time_mono();
    struct status s = saver_stop(&r->saver, &r->w, &r->at);
    r->spent.checkpoints += time_mono() - start;
    if (s.code == STATUS_ARG) /* weights that are no numbers: what lies on the disk is older, and good */
        train_warn(r->job, "%s", s.msg);
    else
        TRY(s);
    return fail(STATUS_INTERRUPTED, "stopped in epoch %d after %d of %d steps; the checkpoint is written",
                r->at.epoch + 1, (int)r->at.step, (int)r->steps);
}

static struct status diverge(struct run *r, struct train_result *out, double loss)
{
    out->end = TRAIN_DIVERGED;
    snprintf(out->reason, sizeof out->reason,
             "the loss was %g in epoch %d, step %d (learning rate %g); try a smaller train.lr or train.clip_grad", loss,
             r->at.epoch + 1, (int)r->loss_step, r->lr_now);
    return ok();
}

/** The steps that are left of the epoch under way. */
static struct status train_epoch(struct run *r, struct train_result *out)
{
    run_freeze(r, r->at.epoch + 1);
    while (r->at.step < r->steps) {
        double start = time_mono(), waited = r->spent.data, loss;
        bool diverged;
        TRY(run_step(r, &loss, &diverged));
        bool stop = asked_to_stop(r->job), last = r->at.step == r->steps;
        if (!diverged && (stop || last)) TRY(run_settle(r, &loss, &diverged));
        if (diverged) return diverge(r, out, loss);
        double took = time_mono() - start;
        r->at.seconds += took;
        r->spent.steps += took - (r->spent.data - waited);
        tell_progress(r, loss);
        if (stop || (last && asked_to_stop(r->job))) return interrupted(r);
        tensor_settle();
    }
    return ok();
}

/** Whether the validation pairs are looked at after @p epoch. */
static bool validates(const struct run *r, int epoch)
{
    int every = r->t->train.validate_every > 0 ? r->t->train.validate_every : 1;
    return epoch % every == 0 || epoch == r->t->train.epochs;
}

/** Validation uses the averaged weights where there are any. */
static struct status validate_epoch(struct values *v, struct run *r)
{
    v->n = 0;
    if (!validates(r, r->at.epoch + 1)) return ok();
    struct validate_options o = {
        .model = r->model.exec, .batch = run_part(r->job->micro_batch, r->t->train.batch), .stop = r->job->stop};
    double start = time_mono();
    if (r->w.average) exec_swap(r->model.exec, r->w.average);
    struct status s = validate(v, &r->judge, &o);
    if (r->w.average) exec_swap(r->model.exec, r->w.average);
    r->spent.validation += time_mono() - start;
    return s;
}

static bool higher_is_better(const char *metric)
{
    const struct spec_metric *m = spec_metric_of(metric);
    return m && m->higher_is_better; /* a term of the loss is better low */
}

static bool improves(const struct run *r, double v)
{
    if (!isfinite(v)) return false;
    if (r->at.best_epoch == 0) return true;
    return higher_is_better(r->t->train.monitor) ? v > r->at.best : v < r->at.best;
}

/** Ends the epoch: curve, best, position; then the files, if it is time. */
static struct status commit_epoch(struct run *r, const struct values *validated)
{
    struct values v = {.n = 0};
    double factor; /* of the last step, which an earlier process may have made */
    TRY(run_factor(&factor, r, r->at.epoch * r->steps + r->at.step - 1));
    values_add(&v, r->at.loss_sum / (double)r->at.loss_images, "train_loss");
    for (int i = 0; i < validated->n; i++) values_add(&v, validated->v[i], "%s", validated->name[i]);
    values_add(&v, factor * r->t->train.lr, "lr");
    values_add(&v, r->at.seconds > 0 ? (double)r->at.loss_images / r->at.seconds : 0, "images_per_s");

    double monitored = values_get(validated, r->t->train.monitor, (double)NAN);
    bool better = improves(r, monitored);
    r->at.epoch++;
    r->at.step = r->at.loss_images = 0;
    r->at.loss_sum = r->at.seconds = 0;
    if (better) r->at.best_epoch = r->at.epoch, r->at.best = monitored;
    add_point(r, r->at.epoch, &v);

    double start = time_mono();
    bool more = r->at.epoch < r->t->train.epochs; /* else the end writes what there is */
    struct status s = better && more ? saver_hold(&r->saver, &r->w, &r->at) : ok();
    if (s.code == STATUS_OK && more) s = saver_epoch(&r->saver, &r->w, &r->at);
    r->spent.checkpoints += time_mono() - start;
    return s;
}

static bool patience_is_out(const struct run *r)
{
    if (!validates(r, r->at.epoch)) return false; /* nobody has looked whether it is better */
    return r->t->train.patience > 0 && r->at.epoch - r->at.best_epoch >= r->t->train.patience;
}

static struct status epochs(struct run *r, struct train_result *out)
{
    while (r->at.epoch < r->t->train.epochs && !patience_is_out(r) && out->end == TRAIN_DONE) {
        TRY(train_epoch(r, out));
        if (out->end != TRAIN_DONE) break;
        struct values v;
        struct status s = validate_epoch(&v, r);
        if (s.code == STATUS_INTERRUPTED) return interrupted(r);
        TRY(s);
        TRY(commit_epoch(r, &v));
    }
    return ok();
}

/* ---- end ------------------------------------------------------------------------------------------------------ */

/** Where the time of this process went. */
static void tell_spent(const struct run *r)
{
    if (r->spent.steps > 0)
        train_emit(r->job, "info", "{s:{s:f, s:f, s:f, s:f}}", "values", "steps_s", r->spent.steps, "data_s",
                   r->spent.data, "validation_s", r->spent.validation, "checkpoints_s", r->spent.checkpoints);
}

/** What the curve says of its last epoch. */
static double last_value(const struct run *r, const char *name)
{
    const json_t *point = json_array_get(r->at.curve, json_array_size(r->at.curve) - 1);
    return json_num(json_object_get(point, "values"), name, (double)NAN);
}

/** Weights that are no numbers are a divergence that no loss has told of. */
static struct status finish_files(struct run *r, struct train_result *out)
{
    bool all = r->t->keep && strcmp(r->t->keep, "all") == 0; /* more epochs go on from last */
    double start = time_mono();
    struct status s = r->at.finished ? checkpoint_strip(r->job, "best") : saver_finish(&r->saver, &r->w, &r->at, all);
    r->spent.checkpoints += time_mono() - start;
    if (s.code == STATUS_OK || !r->saver.no_number[0]) return s;
    out->end = TRAIN_DIVERGED;
    snprintf(out->reason, sizeof out->reason, "%s; try a smaller train.lr or train.clip_grad", r->saver.no_number);
    return ok();
}

static struct status finish(struct run *r, struct train_result *out)
{
    TRY(finish_files(r, out));
    if (out->end != TRAIN_DONE) return ok();
    TRY(checkpoint_tell(r->job, "best", "best"));
    TRY(checkpoint_tell(r->job, "last", "last"));
    struct values v = {.n = 0};
    values_add(&v, last_value(r, "train_loss"), "train_loss");
    values_add(&v, r->at.best_epoch, "best_epoch");
    values_add(&v, r->at.epoch, "epochs");
    train_emit(r->job, "metrics", "{s:i, s:o}", "epoch", -1, "values", values_json(&v));
    return ok();
}

static struct status run_all(struct run *r, struct train_result *out)
{
    TRY(run_open(r));
    bool resumed;
    TRY(longer_adopt(r->job));
    saver_open(&r->saver, r->job);
    TRY(run_resume(r, &resumed));
    if (resumed) {
        size_t i;
        const json_t *point;
        json_array_foreach(r->at.curve, i, point) tell_epoch(r, point);
        if (!r->at.finished) TRY(open_loader(r, r->judge.data));
    } else {
        r->at.curve = json_array();
    }
    if (!r->at.finished) TRY(epochs(r, out));
    out->epochs = r->at.epoch;
    out->best_epoch = r->at.best_epoch;
    out->best = r->at.best;
    return out->end == TRAIN_DONE ? finish(r, out) : ok();
}

struct status train_run(struct train_result *out, const struct train_job *job)
{
    struct run r = {.job = job, .t = job->trial};
    *out = (struct train_result){.end = TRAIN_DONE};
    struct status s = run_all(&r, out);
    tell_spent(&r);
    run_close(&r);
    return s;
}
