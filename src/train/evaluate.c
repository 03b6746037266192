/* The final evaluation: one image at a time, in full precision, as the exported file will compute. */
#include "parts.h"

struct teller {
    const struct train_job *job;
};

static void tell_image(void *user, const char *image, const struct values *v)
{
    train_emit(((struct teller *)user)->job, "image", "{s:s, s:o}", "image", image, "values", values_json(v));
}

struct status train_evaluate(const struct train_job *job)
{
    struct train_model m;
    struct judge j = {.batch = 0};
    struct values mean;
    const char *precision = strcmp(job->trial->train.precision, "fp64") == 0 ? "fp64" : "fp32";
    struct teller teller = {.job = job};
    struct status s = train_model_open(&m, job, train_weights_wanted(job->trial), precision);
    if (s.code == STATUS_OK) s = judge_open(&j, job, &m);
    if (s.code == STATUS_OK)
        s = validate(&mean, &j,
                     &(struct validate_options){
                         .model = m.exec, .batch = 1, .each = tell_image, .user = &teller, .stop = job->stop});
    if (s.code == STATUS_OK) train_emit(job, "metrics", "{s:i, s:o}", "epoch", -1, "values", values_json(&mean));
    judge_close(&j);
    train_model_close(&m);
    return s;
}
