/* What is said of a visit's samples. */
#include "bench.h"
#include <math.h>

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double percentile(const float *sorted, int n, double p)
{
    int i = (int)((double)n * p);
    return (double)sorted[i < n ? i : n - 1] / 1e3;
}

struct bench_stats bench_stats(const float *us, int n)
{
    struct bench_stats s = {.n = n};
    if (n <= 0) return (struct bench_stats){0};
    float *sorted = mem_alloc((size_t)n * sizeof *sorted);
    memcpy(sorted, us, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, ascending);
    double sum = 0, square = 0;
    for (int i = 0; i < n; i++) sum += (double)sorted[i];
    double mean = sum / n;
    for (int i = 0; i < n; i++) square += ((double)sorted[i] - mean) * ((double)sorted[i] - mean);
    s.min_ms = (double)sorted[0] / 1e3;
    s.max_ms = (double)sorted[n - 1] / 1e3;
    s.p50_ms = percentile(sorted, n, 0.5);
    s.p90_ms = percentile(sorted, n, 0.9);
    s.p99_ms = percentile(sorted, n, 0.99);
    s.mean_ms = mean / 1e3;
    s.cov = n > 1 && mean > 0 ? sqrt(square / (n - 1)) / mean : 0;
    s.unstable = s.cov > BENCH_UNSTABLE_COV;
    free(sorted);
    return s;
}
