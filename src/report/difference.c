/* Whether one cell is better than another: the statistics, which know nothing of the store. */
#include "inside.h"

enum { DRAWS = 2000 };
static const double z95 = 1.959964;

/** Student's 97.5 % quantile at real degrees of freedom: between rows, linear in 1 / df. */
static double student(double df)
{
    static const struct {
        double df, t;
    } rows[] = {{1, 12.7062}, {2, 4.3027},  {3, 3.1824},  {4, 2.7764},  {5, 2.5706},  {6, 2.4469},    {8, 2.3060},
                {10, 2.2281}, {15, 2.1314}, {20, 2.0860}, {30, 2.0423}, {60, 2.0003}, {1e9, 1.959964}};
    if (df <= 1) return rows[0].t;
    size_t i = 1;
    while (i + 1 < LEN(rows) && rows[i].df < df) i++;
    double low = 1 / rows[i - 1].df, high = 1 / rows[i].df, x = (1 / df - low) / (high - low);
    return rows[i - 1].t + x * (rows[i].t - rows[i - 1].t);
}

static double mean_of(const double *v, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += v[i];
    return sum / n;
}

/** Sum of squares around the mean. */
static double scatter_of(const double *v, int n)
{
    double mean = mean_of(v, n), sum = 0;
    for (int i = 0; i < n; i++) sum += (v[i] - mean) * (v[i] - mean);
    return sum;
}

/** Each trial's mean over the images. Owner: the caller. */
static double *trial_means(const double *v, int trials, int images)
{
    double *out = mem_alloc((size_t)trials * sizeof *out);
    for (int t = 0; t < trials; t++) out[t] = mean_of(v + (size_t)t * (size_t)images, images);
    return out;
}

/** What a trial's mean varies by within a cell, and what that is known from. */
static void seed_variance(double *variance, double *freedom, const struct report_sides *s, const double *a,
                          const double *b)
{
    *freedom = s->n_a + s->n_b - 2;
    if (*freedom > 0) {
        *variance = (scatter_of(a, s->n_a) + scatter_of(b, s->n_b)) / *freedom;
        return;
    }
    *freedom = s->seed_freedom;
    *variance = *freedom > 0 ? s->seed_variance : 0;
}

int by_ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/** How many images, or seeds a side, would tell a difference of this size, the other staying as it is. */
static void would_tell(struct report_difference *d, double of_images, double of_seeds, int n_images)
{
    double room = pow(d->mean / z95, 2), one_seed = isnan(d->seed_sd) ? 0 : d->seed_sd * d->seed_sd;
    d->images = room > of_seeds ? ceil(n_images * of_images / (room - of_seeds)) : (double)INFINITY;
    d->seeds = room > of_images && one_seed > 0 ? ceil(2 * one_seed / (room - of_images)) : (double)INFINITY;
}

/** The interval: bootstrap quantiles of the mean, stretched to what Student's distribution gives few draws. */
static void interval(struct report_difference *d, const double *by_image, double of_images, double of_seeds,
                     double freedom)
{
    int n = d->n_images;
    double *drawn = mem_alloc(DRAWS * sizeof *drawn), small = sqrt(n / (n - 1.0)), all = of_images + of_seeds;
    struct rng r = rng_key((uint64_t)n, (uint64_t)d->n_a, (uint64_t)d->n_b, 0);
    for (int k = 0; k < DRAWS; k++) {
        double sum = 0;
        for (int i = 0; i < n; i++) sum += by_image[rng_below(&r, (uint64_t)n)];
        drawn[k] = small * (sum / n - d->mean) + sqrt(of_seeds) * rng_normal(&r);
    }
    qsort(drawn, DRAWS, sizeof *drawn, by_ascending);
    double spread = of_images * of_images / (n - 1) + (freedom > 0 ? of_seeds * of_seeds / freedom : 0);
    double stretch = student(spread > 0 ? all * all / spread : 1e9) / z95;
    d->low = d->mean + stretch * drawn[DRAWS / 40];
    d->high = d->mean + stretch * drawn[DRAWS - 1 - DRAWS / 40];
    d->tells = d->low > 0 || d->high < 0;
    free(drawn);
}

struct report_difference report_difference(const struct report_sides *s)
{
    struct report_difference d = {.n_images = s->n_images, .n_a = s->n_a, .n_b = s->n_b, .seed_sd = (double)NAN};
    if (s->n_images < 2 || s->n_a < 1 || s->n_b < 1) return (struct report_difference){.seed_sd = (double)NAN};
    double *a = trial_means(s->a, s->n_a, s->n_images), *b = trial_means(s->b, s->n_b, s->n_images);
    double *by_image = mem_zalloc((size_t)s->n_images * sizeof *by_image), variance, freedom;
    for (int i = 0; i < s->n_images; i++) {
        for (int t = 0; t < s->n_a; t++) by_image[i] += s->a[t * s->n_images + i] / s->n_a;
        for (int t = 0; t < s->n_b; t++) by_image[i] -= s->b[t * s->n_images + i] / s->n_b;
    }
    d.a = mean_of(a, s->n_a);
    d.b = mean_of(b, s->n_b);
    d.mean = mean_of(by_image, s->n_images);
    seed_variance(&variance, &freedom, s, a, b);
    if (freedom > 0) d.seed_sd = sqrt(variance);
    double of_images = scatter_of(by_image, s->n_images) / (s->n_images - 1.0) / s->n_images;
    double of_seeds = variance * (1.0 / s->n_a + 1.0 / s->n_b);
    interval(&d, by_image, of_images, of_seeds, freedom);
    if (!d.tells) would_tell(&d, of_images, of_seeds, s->n_images);
    free(a);
    free(b);
    free(by_image);
    return d;
}
