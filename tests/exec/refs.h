/* One element at a time: what each op of ops.def computes, in plain loops over [N,C,H,W] float64 inputs. */
#ifndef SWEEP_EXEC_REFS_H
#define SWEEP_EXEC_REFS_H

#include "exec.h"
#include <math.h>

enum { N = 2, C = 4, H = 6, W = 5, MOST_PARAMS = 5 };

/** What a reference sees: inputs [N,C,H,W], parameters by position in the node, and the node. */
struct seen {
    const double *in[2];
    const float *param[MOST_PARAMS];
    const struct net_node *node;
    bool train;
};

static double at(const double *x, int64_t n, int64_t c, int64_t h, int64_t w)
{
    return h < 0 || w < 0 || h >= H || w >= W ? 0 : x[((n * C + c) * H + h) * W + w];
}
static double a(const struct seen *s, const int64_t *i)
{
    return at(s->in[0], i[0], i[1], i[2], i[3]);
}
static double b(const struct seen *s, const int64_t *i)
{
    return at(s->in[1], i[0], i[1], i[2], i[3]);
}

/* ---- references: element i of the result ------------------------------------------------------------------------- */

/* clang-format off */
static double ref_relu(const struct seen *s, const int64_t *i) { return fmax(a(s, i), 0); }
static double ref_relu6(const struct seen *s, const int64_t *i) { return fmin(fmax(a(s, i), 0), 6); }
static double ref_silu(const struct seen *s, const int64_t *i) { return a(s, i) / (1 + exp(-a(s, i))); }
static double ref_hardswish(const struct seen *s, const int64_t *i) { return a(s, i) * fmin(fmax(a(s, i) + 3, 0), 6) / 6; }
static double ref_sigmoid(const struct seen *s, const int64_t *i) { return 1 / (1 + exp(-a(s, i))); }
static double ref_hardsigmoid(const struct seen *s, const int64_t *i) { return fmin(fmax(a(s, i) / 6 + 0.5, 0), 1); }
static double ref_tanh(const struct seen *s, const int64_t *i) { return tanh(a(s, i)); }
static double ref_round(const struct seen *s, const int64_t *i) { return rint(a(s, i)); }
static double ref_abs(const struct seen *s, const int64_t *i) { return fabs(a(s, i)); }
static double ref_log(const struct seen *s, const int64_t *i) { return log(a(s, i)); }
static double ref_pow(const struct seen *s, const int64_t *i) { return pow(a(s, i), 0.7); }
static double ref_clamp(const struct seen *s, const int64_t *i) { return fmin(fmax(a(s, i), -0.5), 0.75); }
static double ref_affine(const struct seen *s, const int64_t *i) { return 1.5 * a(s, i) - 0.25; }
static double ref_same(const struct seen *s, const int64_t *i) { return a(s, i); }
static double ref_add(const struct seen *s, const int64_t *i) { return a(s, i) + b(s, i); }
static double ref_sub(const struct seen *s, const int64_t *i) { return a(s, i) - b(s, i); }
static double ref_mul(const struct seen *s, const int64_t *i) { return a(s, i) * b(s, i); }
static double ref_div(const struct seen *s, const int64_t *i) { return a(s, i) / b(s, i); }
static double ref_pad(const struct seen *s, const int64_t *i) { return at(s->in[0], i[0], i[1], i[2] - 1, i[3] - 2); }
static double ref_slice(const struct seen *s, const int64_t *i) { return at(s->in[0], i[0], i[1] + 1, i[2], i[3]); }
static double ref_transpose(const struct seen *s, const int64_t *i) { return at(s->in[0], i[0], i[1], i[3], i[2]); }
/* clang-format on */

static double ref_conv(const struct seen *s, const int64_t *i)
{
    const struct net_attr *t = &s->node->attr;
    int64_t outs = s->node->shape.d[1], in_each = C / t->groups, group = i[1] / (outs / t->groups);
    double sum = s->node->n_param > 1 ? (double)s->param[1][i[1]] : 0;
    for (int64_t c = 0; c < in_each; c++)
        for (int y = 0; y < t->kernel[0]; y++)
            for (int x = 0; x < t->kernel[1]; x++)
                sum += (double)s->param[0][((i[1] * in_each + c) * t->kernel[0] + y) * t->kernel[1] + x] *
                       at(s->in[0], i[0], group * in_each + c, i[2] * t->stride[0] + y * t->dil[0] - t->pads[0],
                          i[3] * t->stride[1] + x * t->dil[1] - t->pads[1]);
    return sum;
}

static double ref_conv_transpose(const struct seen *s, const int64_t *i)
{
    const struct net_attr *t = &s->node->attr;
    int64_t outs = s->node->shape.d[1];
    double sum = (double)s->param[1][i[1]];
    for (int64_t c = 0; c < C; c++)
        for (int64_t h = 0; h < H; h++)
            for (int64_t w = 0; w < W; w++) {
                int64_t y = i[2] + t->pads[0] - h * t->stride[0], x = i[3] + t->pads[1] - w * t->stride[1];
                if (y < 0 || x < 0 || y >= t->kernel[0] || x >= t->kernel[1]) continue;
                sum += at(s->in[0], i[0], c, h, w) *
                       (double)s->param[0][((c * outs + i[1]) * t->kernel[0] + y) * t->kernel[1] + x];
            }
    return sum;
}

static void moments(double *mean, double *var, const double *x, int64_t n0, int64_t n1, int64_t c0, int64_t c1)
{
    double sum = 0, squares = 0, count = (double)((n1 - n0) * (c1 - c0) * H * W);
    for (int pass = 0; pass < 2; pass++)
        for (int64_t n = n0; n < n1; n++)
            for (int64_t c = c0; c < c1; c++)
                for (int64_t k = 0; k < H * W; k++) {
                    double v = x[(n * C + c) * H * W + k];
                    if (pass == 0)
                        sum += v;
                    else
                        squares += (v - sum / count) * (v - sum / count);
                }
    *mean = sum / count;
    *var = squares / count;
}

static double ref_batch_norm(const struct seen *s, const int64_t *i)
{
    double mean = (double)s->param[2][i[1]], var = (double)s->param[3][i[1]];
    if (s->train) moments(&mean, &var, s->in[0], 0, N, i[1], i[1] + 1);
    return (a(s, i) - mean) / sqrt(var + 1e-5) * (double)s->param[0][i[1]] + (double)s->param[1][i[1]];
}

static double ref_group_norm(const struct seen *s, const int64_t *i)
{
    double mean, var;
    int64_t c0 = i[1] / 2 * 2;
    moments(&mean, &var, s->in[0], i[0], i[0] + 1, c0, c0 + 2);
    return (a(s, i) - mean) / sqrt(var + 1e-5) * (double)s->param[0][i[1]] + (double)s->param[1][i[1]];
}

static double ref_channel_affine(const struct seen *s, const int64_t *i)
{
    return a(s, i) * (double)s->param[0][i[1]] + (double)s->param[1][i[1]];
}

static double ref_softmax(const struct seen *s, const int64_t *i)
{
    double sum = 0;
    for (int64_t c = 0; c < C; c++) sum += exp(at(s->in[0], i[0], c, i[2], i[3]));
    return exp(a(s, i)) / sum;
}

static double ref_log_softmax(const struct seen *s, const int64_t *i)
{
    return log(ref_softmax(s, i));
}

/* Windows of 3, stride 2, padding 1. */
static double ref_max_pool(const struct seen *s, const int64_t *i)
{
    double most = -HUGE_VAL;
    for (int64_t y = 2 * i[2] - 1; y < 2 * i[2] + 2; y++)
        for (int64_t x = 2 * i[3] - 1; x < 2 * i[3] + 2; x++)
            if (y >= 0 && x >= 0 && y < H && x < W) most = fmax(most, at(s->in[0], i[0], i[1], y, x));
    return most;
}

static double ref_avg_pool(const struct seen *s, const int64_t *i)
{
    double sum = 0, n = 0;
    for (int64_t y = 2 * i[2] - 1; y < 2 * i[2] + 2; y++)
        for (int64_t x = 2 * i[3] - 1; x < 2 * i[3] + 2; x++)
            if (y >= 0 && x >= 0 && y < H && x < W) sum += at(s->in[0], i[0], i[1], y, x), n++;
    return sum / n;
}

static double ref_adaptive(const struct seen *s, const int64_t *i)
{
    double sum = 0, n = 0;
    for (int64_t y = i[2] * H / 3; y < ((i[2] + 1) * H + 2) / 3; y++)
        for (int64_t x = i[3] * W / 2; x < ((i[3] + 1) * W + 1) / 2; x++) sum += at(s->in[0], i[0], i[1], y, x), n++;
    return sum / n;
}

static double ref_nearest(const struct seen *s, const int64_t *i)
{
    return at(s->in[0], i[0], i[1], i[2] * H / s->node->attr.size[0], i[3] * W / s->node->attr.size[1]);
}

static double ref_bilinear(const struct seen *s, const int64_t *i)
{
    double pos[2], f[2], sum = 0;
    int64_t low[2], size[] = {H, W};
    for (int d = 0; d < 2; d++) {
        double scale = (double)size[d] / (double)s->node->attr.size[d];
        pos[d] = fmax(((double)i[2 + d] + 0.5) * scale - 0.5, 0);
        low[d] = (int64_t)pos[d];
        f[d] = pos[d] - (double)low[d];
    }
    for (int y = 0; y < 2; y++)
        for (int x = 0; x < 2; x++)
            sum += (y ? f[0] : 1 - f[0]) * (x ? f[1] : 1 - f[1]) *
                   at(s->in[0], i[0], i[1], low[0] + y < H ? low[0] + y : H - 1, low[1] + x < W ? low[1] + x : W - 1);
    return sum;
}

static double ref_concat(const struct seen *s, const int64_t *i)
{
    return at(s->in[i[1] / C], i[0], i[1] % C, i[2], i[3]);
}

static double ref_reshape(const struct seen *s, const int64_t *i)
{
    return s->in[0][(i[0] * C + i[1]) * H * W + i[2]];
}

/* [N,C,HW] x [N,HW,C]. */
static double ref_matmul(const struct seen *s, const int64_t *i)
{
    double sum = 0;
    for (int64_t k = 0; k < H * W; k++)
        sum += s->in[0][(i[0] * C + i[1]) * H * W + k] * s->in[1][i[0] * C * H * W + k * C + i[2]];
    return sum;
}

/* Over rows and columns, dimensions kept. */
static double ref_sum(const struct seen *s, const int64_t *i)
{
    double sum = 0;
    for (int64_t k = 0; k < H * W; k++) sum += s->in[0][(i[0] * C + i[1]) * H * W + k];
    return sum;
}

static double ref_mean(const struct seen *s, const int64_t *i)
{
    return ref_sum(s, i) / (H * W);
}

static double ref_l1(const struct seen *s, const int64_t *i)
{
    double sum = 0;
    (void)i;
    for (int64_t k = 0; k < N * C * H * W; k++) sum += fabs(s->in[0][k] - s->in[1][k]);
    return sum / (N * C * H * W);
}

static double ref_gram(const struct seen *s, const int64_t *i)
{
    double sum = 0;
    for (int64_t k = 0; k < H * W; k++)
        sum += s->in[0][(i[0] * C + i[1]) * H * W + k] * s->in[0][(i[0] * C + i[2]) * H * W + k];
    return sum / (C * H * W);
}

#endif
