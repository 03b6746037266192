/* Images in and out of files; the way between bytes and normalised floats. */
#include "inside.h"
#include <math.h>
#define STBI_NO_STDIO
#define STBI_WRITE_NO_STDIO
#include <stb/stb_image.h>
#include <stb/stb_image_write.h>

enum { PIXELS_MAX = 1 << 26 };

const float data_mean[3] = {0.485f, 0.456f, 0.406f}, data_std[3] = {0.229f, 0.224f, 0.225f};

/* stb fills what a cut-off file lacks with zeros and calls it a success; reading through callbacks shows that it
 * asked for more than there is. */
struct source {
    const unsigned char *p;
    size_t n, at;
    bool starved;
};

static int source_read(void *user, char *out, int size)
{
    struct source *s = user;
    size_t n = s->n - s->at < (size_t)size ? s->n - s->at : (size_t)size;
    if (n) memcpy(out, s->p + s->at, n);
    s->at += n;
    s->starved |= n == 0;
    return (int)n;
}

static void source_skip(void *user, int size)
{
    struct source *s = user;
    if (size < 0)
        s->at -= (size_t)-size < s->at ? (size_t)-size : s->at;
    else
        s->at += (size_t)size < s->n - s->at ? (size_t)size : s->n - s->at;
}

static int source_eof(void *user)
{
    struct source *s = user;
    return s->at >= s->n;
}

static bool starts(const unsigned char *p, size_t n, const char *magic)
{
    return n >= strlen(magic) && !memcmp(p, magic, strlen(magic));
}

/* Formats that people have and stb does not read, by their first bytes. */
static const char *other_format(const unsigned char *p, size_t n)
{
    static const struct {
        size_t at;
        const char *magic, *name;
    } rows[] = {
        {0, "GIF8", "GIF"}, {0, "P5", "PGM"},        {0, "P6", "PPM"},         {8, "WEBP", "WebP"}, {0, "II*", "TIFF"},
        {0, "MM", "TIFF"},  {4, "ftypheic", "HEIC"}, {4, "ftypavif", "AVIF"},  {0, "8BPS", "PSD"},  {0, "%PDF", "PDF"},
        {0, "<svg", "SVG"}, {0, "<?xml", "XML"},     {0, "<!DOCTYPE", "HTML"},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        if (n > rows[i].at && starts(p + rows[i].at, n - rows[i].at, rows[i].magic)) return rows[i].name;
    }
    return NULL;
}

/* The decoder makes room for what a chunk claims to hold before it looks whether that is there. */
static bool png_chunks_fit(const unsigned char *p, size_t n)
{
    for (size_t at = 8; at + 12 <= n && !starts(p + at + 4, 4, "IEND");) {
        size_t length = (size_t)p[at] << 24 | (size_t)p[at + 1] << 16 | (size_t)p[at + 2] << 8 | p[at + 3];
        if (length > n - at - 12) return false;
        at += 12 + length;
    }
    return true;
}

static uint8_t on_white(uint8_t v, uint8_t alpha)
{
    return (uint8_t)((v * alpha + 255 * (255 - alpha) + 127) / 255);
}

/* As a header says it: a picture with one transparent colour counts as RGB. */
static bool has_alpha(int channels)
{
    return channels == 2 || channels == 4;
}

bool data_header(struct data_header *out, const char *path)
{
    char *text;
    size_t n;
    struct status s = fs_read(&text, &n, path);
    if (s.code != STATUS_OK) return false;
    bool known = n <= INT32_MAX &&
                 stbi_info_from_memory((const stbi_uc *)text, (int)n, &out->width, &out->height, &out->channels);
    free(text);
    return known;
}

struct status data_has_alpha(bool *out, const char *path)
{
    char *text;
    size_t n;
    int w, h, channels;
    *out = false;
    TRY(fs_read(&text, &n, path));
    bool known = n <= INT32_MAX && stbi_info_from_memory((const stbi_uc *)text, (int)n, &w, &h, &channels);
    *out = known && has_alpha(channels); /* what cannot be read at all is said when it is decoded */
    free(text);
    return ok();
}

struct status data_image_parse(struct data_image *out, const char *where, const void *bytes, size_t n)
{
    *out = (struct data_image){0};
    const unsigned char *p = bytes;
    if (!n) return fail(STATUS_ARG, "%s: is empty, expected an image", where);
    const char *other = other_format(p, n);
    if (other) return fail(STATUS_ARG, "%s: is %s; convert it to JPEG or PNG", where, other);
    if (n > INT32_MAX) return fail(STATUS_ARG, "%s: is larger than 2 GiB", where);
    int w, h, channels, same, orientation = 1, want = p[0] == 0xff ? 3 : 4; /* JPEG has no alpha */
    if (want == 3) TRY(data_jpeg_check(&orientation, where, p, n));
    if (!stbi_info_from_memory(p, (int)n, &w, &h, &channels)) {
        bool known = want == 3 || starts(p, n, "\x89PNG") || starts(p, n, "BM");
        return fail(STATUS_ARG,
                    known ? "%s: the image cannot be decoded: its header is damaged, cut off or far too large"
                          : "%s: is no JPEG, PNG or BMP image",
                    where);
    }
    if (w < 1 || h < 1 || (int64_t)w * h > PIXELS_MAX)
        return fail(STATUS_ARG, "%s: is %d x %d pixels, expected at most %d in all", where, w, h, PIXELS_MAX);
    /* The best that a JPEG can do is an 8 x 8 block a bit, a PNG some 8000 pixels a byte: what claims more is cut off,
     * and need not be decoded for seconds to know it. */
    if ((int64_t)w * h > 65536 + (int64_t)n * (want == 3 ? 1024 : 8300))
        return fail(STATUS_ARG,
                    "%s: the image cannot be decoded: %zu bytes are too few for %d x %d pixels; is it cut off?", where,
                    n, w, h);
    struct source s = {.p = p, .n = n, .starved = starts(p, n, "\x89PNG") && !png_chunks_fit(p, n)};
    const stbi_io_callbacks io = {source_read, source_skip, source_eof};
    uint8_t *rgb = s.starved ? NULL : stbi_load_from_callbacks(&io, &s, &w, &h, &same, want);
    if (!rgb || s.starved) {
        stbi_image_free(rgb);
        const char *why = s.starved ? "the file is cut off" : stbi_failure_reason();
        return fail(STATUS_ARG, "%s: the image cannot be decoded: %s", where, why);
    }
    uint8_t *alpha = want == 4 && has_alpha(channels) ? mem_alloc((size_t)w * (size_t)h) : NULL;
    for (size_t i = 0; want == 4 && i < (size_t)w * (size_t)h; i++) {
        if (alpha) alpha[i] = rgb[4 * i + 3];
        for (size_t c = 0; c < 3; c++) rgb[3 * i + c] = on_white(rgb[4 * i + c], rgb[4 * i + 3]);
    }
    *out = (struct data_image){.rgb = rgb, .height = h, .width = w, .alpha = alpha};
    data_turn_upright(out, orientation);
    return ok();
}

struct status data_image_load(struct data_image *out, const char *path)
{
    *out = (struct data_image){0};
    char *text;
    size_t n;
    TRY(fs_read(&text, &n, path));
    struct status s = data_image_parse(out, path, text, n);
    free(text);
    return s;
}

struct data_image data_image_new(int height, int width)
{
    return (struct data_image){.rgb = mem_zalloc((size_t)height * (size_t)width * 3), .height = height, .width = width};
}

void data_image_free(struct data_image *im)
{
    free(im->rgb); /* stb's allocator is malloc */
    free(im->alpha);
    *im = (struct data_image){0};
}

static void collect(void *user, void *p, int n)
{
    str_addn(user, p, (size_t)n);
}

struct status data_image_save(const char *path, const uint8_t *rgb, int height, int width)
{
    struct str png = {0};
    int good = stbi_write_png_to_func(collect, &png, width, height, 3, rgb, 3 * width);
    CHECK(good, "PNG of %d x %d", height, width);
    struct status s = fs_write(path, png.s, png.n);
    str_free(&png);
    return s;
}

struct data_norm data_norm_of(int channels)
{
    struct data_norm rgb = {.mean = {data_mean[0], data_mean[1], data_mean[2]},
                            .std = {data_std[0], data_std[1], data_std[2]}};
    rgb.mean[DATA_GREY] = (data_mean[0] + data_mean[1] + data_mean[2]) / 3;
    rgb.std[DATA_GREY] = (data_std[0] + data_std[1] + data_std[2]) / 3;
    if (channels != 1) return rgb;
    return (struct data_norm){.mean = {rgb.mean[DATA_GREY]}, .std = {rgb.std[DATA_GREY]}};
}

float data_gain(int channel)
{
    return 1 / (255.0f * data_norm_of(4).std[channel]);
}

float data_offset(int channel)
{
    const struct data_norm n = data_norm_of(4);
    return -n.mean[channel] / n.std[channel];
}

void data_normalise(float *out, const uint8_t *rgb, int height, int width, bool channels_last)
{
    size_t n = (size_t)height * (size_t)width, step = channels_last ? 3 : 1, plane = channels_last ? 1 : n;
    for (size_t c = 0; c < 3; c++) {
        float table[256], *o = out + c * plane;
        for (int v = 0; v < 256; v++) table[v] = (float)v * data_gain((int)c) + data_offset((int)c);
        for (size_t i = 0; i < n; i++) o[i * step] = table[rgb[3 * i + c]];
    }
}

void data_denormalise(uint8_t *rgb, const float *in, int height, int width, bool channels_last)
{
    size_t n = (size_t)height * (size_t)width, step = channels_last ? 3 : 1, plane = channels_last ? 1 : n;
    for (size_t c = 0; c < 3; c++) {
        for (size_t i = 0; i < n; i++) {
            float v = (in[c * plane + i * step] * data_std[c] + data_mean[c]) * 255.0f;
            rgb[3 * i + c] = v >= 255.0f ? 255 : v > 0 ? (uint8_t)(v + 0.5f) : 0; /* not a number: 0 */
        }
    }
}

void data_input_picture(float *rgb, const float *input, int channels, int height, int width)
{
    size_t n = (size_t)height * (size_t)width;
    const struct data_norm grey = data_norm_of(1);
    if (channels >= 3) {
        memcpy(rgb, input, 3 * n * sizeof *rgb);
        return;
    }
    for (size_t i = 0; i < 3 * n; i++)
        rgb[i] = (input[i % n] * grey.std[0] + grey.mean[0] - data_mean[i / n]) / data_std[i / n];
}

struct data_image data_contact(const uint8_t *const *images, int n, int columns, int height, int width, int gap)
{
    CHECK(n > 0 && columns > 0, "a sheet of %d images in %d columns", n, columns);
    if (columns > n) columns = n;
    int rows = (n + columns - 1) / columns;
    struct data_image im = data_image_new(rows * (height + gap) + gap, columns * (width + gap) + gap);
    memset(im.rgb, 255, (size_t)im.height * (size_t)im.width * 3);
    for (int i = 0; i < n; i++) {
        int top = gap + i / columns * (height + gap), left = gap + i % columns * (width + gap);
        for (int y = 0; y < height; y++) {
            memcpy(im.rgb + ((size_t)(top + y) * (size_t)im.width + (size_t)left) * 3,
                   images[i] + (size_t)y * (size_t)width * 3, (size_t)width * 3);
        }
    }
    return im;
}
