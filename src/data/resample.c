/* Separable resampling: per axis, the exact area under each output pixel when shrinking, two linear taps when growing.
 */
#include "inside.h"

struct axis {
    int *start, *count; /* per output coordinate: first input coordinate, how many */
    float *weight;      /* max per output coordinate */
    float *scale;       /* 1 / sum of its weights */
    int max;
};

static struct axis axis_new(int out, int in)
{
    struct axis a = {.max = out >= in ? 2 : in / out + 2};
    a.start = mem_alloc((size_t)out * sizeof *a.start);
    a.count = mem_zalloc((size_t)out * sizeof *a.count);
    a.weight = mem_zalloc((size_t)out * (size_t)a.max * sizeof *a.weight);
    a.scale = mem_alloc((size_t)out * sizeof *a.scale);
    return a;
}

static void axis_free(struct axis *a)
{
    free(a->start);
    free(a->count);
    free(a->weight);
    free(a->scale);
}

/* Integer arithmetic: coordinates are in units of 1/out of an input pixel, so that whole pixels weigh exactly 1. */
static void shrink(struct axis *a, int out, int in)
{
    for (int o = 0; o < out; o++) {
        int64_t begin = (int64_t)o * in, end = begin + in;
        a->start[o] = (int)(begin / out);
        float sum = 0;
        for (int64_t i = begin / out; i * out < end; i++) {
            int64_t from = i * out > begin ? i * out : begin, to = (i + 1) * out < end ? (i + 1) * out : end;
            float w = (float)(to - from) / (float)out;
            a->weight[o * a->max + a->count[o]++] = w;
            sum += w;
        }
        a->scale[o] = 1 / sum;
    }
}

static void grow(struct axis *a, int out, int in)
{
    for (int o = 0; o < out; o++) {
        float at = ((float)o + 0.5f) * (float)in / (float)out - 0.5f;
        if (at < 0) at = 0;
        int i = (int)at;
        a->start[o] = i;
        a->count[o] = i + 1 < in ? 2 : 1;
        a->weight[o * a->max] = i + 1 < in ? 1 - (at - (float)i) : 1;
        a->weight[o * a->max + 1] = at - (float)i;
        a->scale[o] = 1;
    }
}

static void reduce_row(float *out, const uint8_t *row, const struct axis *x, int out_width)
{
    for (int o = 0; o < out_width; o++) {
        const uint8_t *p = row + 3 * x->start[o];
        const float *w = x->weight + o * x->max;
        float r = 0, g = 0, b = 0;
        for (int i = 0; i < x->count[o]; i++, p += 3) {
            r += w[i] * (float)p[0];
            g += w[i] * (float)p[1];
            b += w[i] * (float)p[2];
        }
        out[3 * o] = r;
        out[3 * o + 1] = g;
        out[3 * o + 2] = b;
    }
}

void data_resample(uint8_t *out, int out_height, int out_width, const uint8_t *in, int height, int width)
{
    if (out_height == height && out_width == width) {
        memcpy(out, in, (size_t)height * (size_t)width * 3);
        return;
    }
    struct axis x = axis_new(out_width, width), y = axis_new(out_height, height);
    (out_width < width ? shrink : grow)(&x, out_width, width);
    (out_height < height ? shrink : grow)(&y, out_height, height);
    size_t n = (size_t)out_width * 3;
    float *sum = mem_alloc(n * sizeof *sum), *rows[2] = {mem_alloc(n * sizeof(float)), mem_alloc(n * sizeof(float))};
    int held[2] = {-1, -1}; /* which input rows the two buffers hold: neighbours share one at most */
    for (int o = 0; o < out_height; o++) {
        memset(sum, 0, n * sizeof *sum);
        for (int i = 0; i < y.count[o]; i++) {
            int row = y.start[o] + i, b = row & 1;
            if (held[b] != row) reduce_row(rows[b], in + (size_t)row * (size_t)width * 3, &x, out_width);
            held[b] = row;
            float w = y.weight[o * y.max + i];
            for (size_t k = 0; k < n; k++) sum[k] += w * rows[b][k];
        }
        uint8_t *to = out + (size_t)o * n;
        for (int k = 0; k < out_width; k++) {
            float scale = x.scale[k] * y.scale[o];
            for (int c = 0; c < 3; c++) to[3 * k + c] = (uint8_t)(sum[3 * k + c] * scale + 0.5f);
        }
    }
    free(rows[0]);
    free(rows[1]);
    free(sum);
    axis_free(&x);
    axis_free(&y);
}
