/*
 * The final evaluation, in full precision and one image at a time, as the exported file will compute; and the same of
 * what training had to beat: the net before it (its weights come from the seed again) and the input handed back.
 */
#include "parts.h"

struct teller {
    const struct train_job *job;
};

static void tell_image(void *user, const char *image, const struct values *v)
{
    train_emit(((struct teller *)user)->job, "image", "{s:o, s:o}", "image", json_of_bytes(image), "values",
               values_json(v)); /* a file's name is any bytes */
}

static struct status measure(struct values *mean, json_t *all, const char *prefix, struct judge *j,
                             const struct validate_options *o)
{
    TRY(validate(mean, j, o));
    values_put(all, prefix, mean);
    return ok();
}

/** @p m is untrained at first and trained at the end. */
static struct status evaluate(const struct train_job *job, struct train_model *m, struct judge *j, json_t *all)
{
    struct values mean;
    struct validate_options o = {.batch = 1, .stop = job->stop};
    TRY(measure(&mean, all, "identity_", j, &o));
    o.model = m->exec;
    TRY(measure(&mean, all, "untrained_", j, &o));
    train_emit(job, "metrics", "{s:i, s:o}", "epoch", 0, "values", values_json(&mean));
    TRY(load_trained(m->exec, job, train_weights_wanted(job->trial)));
    struct teller teller = {.job = job};
    o.each = tell_image;
    o.user = &teller;
    return measure(&mean, all, "", j, &o);
}

struct status train_evaluate(const struct train_job *job)
{
    struct train_model m;
    struct judge j = {.batch = 0};
    const char *precision = strcmp(job->trial->train.precision, "fp64") == 0 ? "fp64" : "fp32";
    json_t *all = json_object();
    struct data *data;
    struct status s = train_model_open(&m, job, TRAIN_UNTRAINED, precision);
    if (s.code == STATUS_OK) s = train_data_open(&data, job);
    if (s.code == STATUS_OK) s = judge_open(&j, job, &m, data);
    if (s.code == STATUS_OK) s = judge_open_features(&j, job, &m);
    if (s.code == STATUS_OK) s = evaluate(job, &m, &j, all);
    if (s.code == STATUS_OK) train_emit(job, "metrics", "{s:i, s:O}", "epoch", -1, "values", all);
    json_decref(all);
    judge_close(&j);
    train_model_close(&m);
    return s;
}

struct status train_evaluate_by(json_t *values, const char *prefix, const struct train_job *job, train_picture_fn *by,
                                void *user)
{
    struct train_model m;
    struct judge j = {.batch = 0};
    struct data *data;
    struct values mean;
    struct validate_options o = {.batch = 1, .by = by, .by_user = user, .stop = job->stop};
    struct status s = train_model_open(&m, job, TRAIN_UNTRAINED, "fp32");
    if (s.code == STATUS_OK) s = train_data_open(&data, job);
    if (s.code == STATUS_OK) s = judge_open(&j, job, &m, data);
    if (s.code == STATUS_OK) s = judge_open_features(&j, job, &m);
    if (s.code == STATUS_OK) s = measure(&mean, values, prefix, &j, &o);
    judge_close(&j);
    train_model_close(&m);
    return s;
}
