/*
 * Paired augmentation. All geometric steps of a pair compose into one affine map from output pixels to source
 * positions, so that pixels are interpolated once; all colour steps compose into one affine map of RGB.
 */
#include "inside.h"
#include <math.h>

/* ---- drawing --------------------------------------------------------------------------------------------------- */

/* m := m after step (both output -> source). */
static void then(double m[6], const double step[6])
{
    double r[6];
    for (int i = 0; i < 2; i++) {
        const double *row = m + 3 * i;
        r[3 * i] = row[0] * step[0] + row[1] * step[3];
        r[3 * i + 1] = row[0] * step[1] + row[1] * step[4];
        r[3 * i + 2] = row[0] * step[2] + row[1] * step[5] + row[2];
    }
    memcpy(m, r, sizeof r);
}

static void draw_flip(double m[6], const struct data *d)
{
    then(m, (const double[6]){-1, 0, d->width - 1, 0, 1, 0});
}

/* Forward: rotate and scale about the centre, then move. */
static void draw_affine(double m[6], const struct data *d, const struct data_augment *a, struct rng *r)
{
    double turn = rng_range(r, -a->rotate, a->rotate) * 3.14159265358979323846 / 180;
    double scale = a->scale[0] > 0 ? fmax(rng_range(r, a->scale[0], a->scale[1]), 0.01) : 1; /* positions fit int */
    double dx = rng_range(r, -a->translate, a->translate) * d->width;
    double dy = rng_range(r, -a->translate, a->translate) * d->height;
    double cx = (d->width - 1) / 2.0, cy = (d->height - 1) / 2.0, c = cos(turn) / scale, s = sin(turn) / scale;
    double bx = cx + dx, by = cy + dy;
    then(m, (const double[6]){c, s, cx - c * bx - s * by, -s, c, cy + s * bx - c * by});
}

/* A window of a fraction of both sides, enlarged to the whole. */
static void draw_crop(double m[6], const struct data *d, const struct data_augment *a, struct rng *r)
{
    double keep = a->scale[0] > 0 ? rng_range(r, a->scale[0], a->scale[1]) : 1;
    double left = rng_uniform(r) * (1 - keep) * d->width, top = rng_uniform(r) * (1 - keep) * d->height;
    then(m, (const double[6]){keep, 0, left + 0.5 * keep - 0.5, 0, keep, top + 0.5 * keep - 0.5});
}

static const double luma[3] = {0.299, 0.587, 0.114};

/* c := step after c, on [R G B 1]. */
static void then_color(double c[12], double step[3][3], double offset)
{
    double r[12];
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 4; j++) {
            r[4 * i + j] = step[i][0] * c[j] + step[i][1] * c[4 + j] + step[i][2] * c[8 + j] + (j == 3 ? offset : 0);
        }
    }
    memcpy(c, r, sizeof r);
}

/* A blend of the identity (weight f) and of gray (weight 1 - f). */
static void saturation_matrix(double m[3][3], double f)
{
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) m[i][j] = (1 - f) * luma[j] + (i == j ? f : 0);
    }
}

/* A turn of the chroma plane of YIQ. */
static void hue_matrix(double m[3][3], double turns)
{
    static const double to[3][3] = {{0.299, 0.587, 0.114}, {0.5959, -0.2746, -0.3213}, {0.2115, -0.5227, 0.3112}};
    static const double from[3][3] = {{1, 0.956, 0.619}, {1, -0.272, -0.647}, {1, -1.106, 1.703}};
    double c = cos(turns * 6.283185307179586), s = sin(turns * 6.283185307179586), r[3][3];
    for (int j = 0; j < 3; j++) {
        r[0][j] = to[0][j];
        r[1][j] = c * to[1][j] - s * to[2][j];
        r[2][j] = s * to[1][j] + c * to[2][j];
    }
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) m[i][j] = from[i][0] * r[0][j] + from[i][1] * r[1][j] + from[i][2] * r[2][j];
    }
}

static double mean_luma(const struct data *d, const uint8_t *rgb)
{
    uint64_t sum[3] = {0}, n = (uint64_t)d->height * (uint64_t)d->width;
    for (size_t i = 0; i < n; i++) {
        for (size_t c = 0; c < 3; c++) sum[c] += rgb[3 * i + c];
    }
    double mean = 0;
    for (int c = 0; c < 3; c++) mean += luma[c] * (double)sum[c];
    return mean / (255.0 * (double)n);
}

static void draw_color(double c[12], const struct data *d, const struct data_augment *a, struct rng *r,
                       const uint8_t *rgb)
{
    double brightness = 1 + rng_range(r, -a->brightness, a->brightness);
    double contrast = 1 + rng_range(r, -a->contrast, a->contrast);
    double saturation = 1 + rng_range(r, -a->saturation, a->saturation);
    double hue = rng_range(r, -a->hue, a->hue), m[3][3];
    double scale = brightness * contrast, gray = mean_luma(d, rgb) * brightness;
    then_color(c, (double[3][3]){{scale, 0, 0}, {0, scale, 0}, {0, 0, scale}}, (1 - contrast) * gray);
    if (a->saturation > 0) {
        saturation_matrix(m, saturation);
        then_color(c, m, 0);
    }
    if (a->hue > 0) {
        hue_matrix(m, hue);
        then_color(c, m, 0);
    }
}

struct data_change data_draw_change(const struct data *d, int64_t seed, int64_t epoch, int index, const uint8_t *input)
{
    struct data_change c = {0};
    double m[6] = {1, 0, 0, 0, 1, 0}, rgb[12] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
    for (int i = 0; i < d->n_augment; i++) {
        const struct data_augment *a = &d->augment[i];
        struct rng r = rng_key((uint64_t)seed, (uint64_t)epoch, (uint64_t)index, (uint64_t)i);
        if (rng_uniform(&r) >= a->p) continue;
        switch (a->kind) {
        case DATA_FLIP:
            draw_flip(m, d);
            c.flip = !c.flip;
            break;
        case DATA_AFFINE:
            draw_affine(m, d, a, &r);
            c.geometry = true;
            break;
        case DATA_CROP:
            draw_crop(m, d, a, &r);
            c.geometry = true;
            break;
        case DATA_COLOR:
            draw_color(rgb, d, a, &r, input);
            c.color[0] = true;
            c.color[1] |= a->both;
            break;
        }
    }
    for (int i = 0; i < 6; i++) c.m[i] = (float)m[i];
    for (int i = 0; i < 12; i++) c.rgb[i] = (float)rgb[i];
    return c;
}

/* ---- applying: a row at a time through planar floats of 0..255 ------------------------------------------------- */

/* Mirrors without repeating the edge: -1 -> 1, n -> n-2. */
static int reflect(int i, int n)
{
    if (n == 1) return 0;
    int period = 2 * (n - 1);
    i %= period;
    if (i < 0) i += period;
    return i < n ? i : period - i;
}

static int floor_int(float v) /* floorf is a call where the processor's oldest kind is the target */
{
    int i = (int)v;
    return i - ((float)i > v);
}

struct tap {
    int32_t at[4]; /* byte offsets of the four neighbours */
    float w[4];
};

/* Where each pixel of output row y comes from; the same for both images of a pair. */
static void row_taps(struct tap *taps, const struct data *d, const float m[6], int y)
{
    const int w = d->width, h = d->height;
    for (int x = 0; x < w; x++) {
        float sx = m[0] * (float)x + (m[1] * (float)y + m[2]), sy = m[3] * (float)x + (m[4] * (float)y + m[5]);
        int x0 = floor_int(sx), y0 = floor_int(sy), x1 = x0 + 1, y1 = y0 + 1;
        float ax = sx - (float)x0, ay = sy - (float)y0;
        if (x0 < 0 || x1 >= w) x0 = reflect(x0, w), x1 = reflect(x1, w);
        if (y0 < 0 || y1 >= h) y0 = reflect(y0, h), y1 = reflect(y1, h);
        taps[x] = (struct tap){
            {3 * (y0 * w + x0), 3 * (y0 * w + x1), 3 * (y1 * w + x0), 3 * (y1 * w + x1)},
            {(1 - ax) * (1 - ay), ax * (1 - ay), (1 - ax) * ay, ax * ay},
        };
    }
}

static void sample_row(float *row, const uint8_t *rgb, const struct tap *taps, int w)
{
    for (int x = 0; x < w; x++) {
        const struct tap *t = &taps[x];
        const uint8_t *a = rgb + t->at[0], *b = rgb + t->at[1], *c = rgb + t->at[2], *e = rgb + t->at[3];
        for (int k = 0; k < 3; k++) {
            row[k * w + x] =
                t->w[0] * (float)a[k] + t->w[1] * (float)b[k] + t->w[2] * (float)c[k] + t->w[3] * (float)e[k];
        }
    }
}

static void copy_row(float *row, const uint8_t *rgb, int w, bool flip)
{
    for (int x = 0; x < w; x++) {
        const uint8_t *p = rgb + 3 * (flip ? w - 1 - x : x);
        for (int k = 0; k < 3; k++) row[k * w + x] = (float)p[k];
    }
}

static float clip(float v)
{
    return v < 0 ? 0 : v > 255.0f ? 255.0f : v;
}

static void color_row(float *row, const float c[12], int w)
{
    for (int x = 0; x < w; x++) {
        float r = row[x], g = row[w + x], b = row[2 * w + x];
        for (int k = 0; k < 3; k++) {
            const float *f = c + 4 * k;
            row[k * w + x] = clip(f[0] * r + f[1] * g + f[2] * b + f[3] * 255.0f);
        }
    }
}

/* Where a row of one channel goes. */
struct place {
    float *out; /* of the image */
    int y, channel, channels;
    bool channels_last;
};

/* @p kind: what the channel is normalised as. */
static void store_channel(struct place p, const float *from, const struct data *d, int kind)
{
    const int w = d->width, step = p.channels;
    const float gain = data_gain(kind), offset = data_offset(kind);
    if (p.channels_last) {
        float *to = p.out + (size_t)p.y * (size_t)w * (size_t)step + p.channel;
        for (int x = 0; x < w; x++) to[step * x] = from[x] * gain + offset;
    } else {
        float *to = p.out + ((size_t)p.channel * (size_t)d->height + (size_t)p.y) * (size_t)w;
        for (int x = 0; x < w; x++) to[x] = from[x] * gain + offset;
    }
}

static void store_rgb(struct place p, const float *row, const struct data *d)
{
    for (p.channel = 0; p.channel < 3; p.channel++) store_channel(p, row + p.channel * d->width, d, p.channel);
}

static void store_grey(struct place p, float *row, const struct data *d)
{
    const int w = d->width;
    const float r = (float)luma[0], g = (float)luma[1], b = (float)luma[2];
    for (int x = 0; x < w; x++) row[x] = r * row[x] + g * row[w + x] + b * row[2 * w + x];
    store_channel(p, row, d, DATA_GREY);
}

static void change_row(float *row, const uint8_t *rgb, const struct data *d, const struct data_change *c,
                       const struct tap *taps, int y)
{
    if (c->geometry)
        sample_row(row, rgb, taps, d->width);
    else
        copy_row(row, rgb + (size_t)y * (size_t)d->width * 3, d->width, c->flip);
}

void data_apply_change(float *input, float *target, const struct data *d, const struct data_change *c,
                       const uint8_t *block, bool channels_last)
{
    size_t w = (size_t)d->width, image = 3 * (size_t)d->height * w;
    struct tap *taps = mem_alloc(w * sizeof *taps);
    float *row = mem_alloc(3 * w * sizeof *row);
    for (int y = 0; y < d->height; y++) {
        struct place in = {.out = input, .y = y, .channels = d->channels, .channels_last = channels_last};
        struct place to = {.out = target, .y = y, .channels = 3, .channels_last = channels_last};
        if (c->geometry) row_taps(taps, d, c->m, y);
        change_row(row, block, d, c, taps, y);
        if (c->color[0]) color_row(row, c->rgb, d->width);
        if (d->channels == 1)
            store_grey(in, row, d);
        else
            store_rgb(in, row, d);
        change_row(row, block + image, d, c, taps, y);
        if (c->color[1]) color_row(row, c->rgb, d->width);
        store_rgb(to, row, d);
        if (d->channels != 4) continue;
        change_row(row, block + 2 * image, d, c, taps, y);
        in.channel = 3;
        store_channel(in, row, d, DATA_GREY);
    }
    free(row);
    free(taps);
}

struct status data_fill(float *input, float *target, struct data *d, struct data_want w)
{
    size_t plane = (size_t)d->height * (size_t)d->width;
    for (int i = 0; i < w.n; i++) {
        const uint8_t *in, *to; /* one block: what is behind the target is the input's alpha */
        TRY(data_pixels(&in, &to, d, w.index[i]));
        struct data_change c = {0};
        if (w.augment) c = data_draw_change(d, w.seed, w.epoch, w.index[i], in);
        data_apply_change(input + (size_t)i * plane * (size_t)d->channels, target + (size_t)i * plane * 3, d, &c, in,
                          w.channels_last);
    }
    return ok();
}
