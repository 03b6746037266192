/* Learning-rate schedules: pure functions of the step, so that resuming needs no state. */
#include "train.h"
#include <math.h>

static const double pi = 3.14159265358979323846;

/** From @p a to @p b along half a cosine as @p t goes from 0 to 1. */
static double glide(double a, double b, double t)
{
    return b + (a - b) * (1 + cos(pi * fmin(fmax(t, 0), 1))) / 2;
}

static double constant(double warmup, double i, double n)
{
    (void)warmup, (void)i, (void)n;
    return 1;
}

/** Linear warm-up over the first warmup * n steps, then half a cosine down to 0. */
static double cosine(double warmup, double i, double n)
{
    double rise = warmup * n;
    return i + 1 < rise ? (i + 1) / rise : glide(1, 0, (i - rise) / fmax(n - rise, 1));
}

/** Half cosines up from 1/25 and down to 1e-4/25, as in torch.optim.lr_scheduler.OneCycleLR; warmup 0 means 0.3. */
static double onecycle(double warmup, double i, double n)
{
    double peak = (warmup > 0 ? warmup : 0.3) * n - 1, last = n - 1;
    if (i <= peak && peak > 0) return glide(1.0 / 25, 1, i / peak);
    return glide(1, 1e-4 / 25, (i - fmax(peak, 0)) / fmax(last - fmax(peak, 0), 1));
}

static const struct schedule {
    const char *name;
    double (*factor)(double warmup, double i, double n); /* step i of n */
} schedules[] = {
    {.name = "constant", .factor = constant},
    {.name = "cosine", .factor = cosine},
    {.name = "onecycle", .factor = onecycle},
};
const char *const train_schedule_names[] = {"constant", "cosine", "onecycle", NULL};
_Static_assert(LEN(schedules) + 1 == LEN(train_schedule_names), "one name a schedule");

struct status train_schedule(double *factor, const char *schedule, double warmup, int64_t step, int64_t steps)
{
    for (size_t k = 0; k < LEN(schedules); k++)
        if (strcmp(schedules[k].name, schedule) == 0) {
            *factor = schedules[k].factor(warmup, (double)step, (double)steps);
            return ok();
        }
    const char *near = str_nearest(schedule, train_schedule_names);
    return fail(STATUS_ARG, "train.schedule: got \"%s\", expected constant, cosine or onecycle%s%s", schedule,
                near ? "; did you mean " : "", near ? near : "");
}
