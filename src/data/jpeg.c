/*
 * What is looked at in a JPEG before the decoder sees it: Huffman tables with more codes than fit (the decoder writes
 * past its table), and the camera's orientation, which the decoder ignores.
 * Source: ITU T.81 annex B; Exif 2.3 section 4.6 (tag 0x0112).
 */
#include "inside.h"

struct bytes {
    const unsigned char *p;
    size_t n;
};

enum { SOI = 0xd8, EOI = 0xd9, SOS = 0xda, DHT = 0xc4, APP1 = 0xe1 };
enum { SCANS_MAX = 100 }; /* each may cost a pass over all pixels and a few bytes; real files have up to about 12 */

/* The decoder reads tables until the segment's length is used up, even past its end: so does this. */
static bool tables_fit(struct bytes s, size_t length)
{
    for (;;) {
        size_t codes = 0;
        for (size_t i = 1; i <= 16 && i < s.n; i++) codes += s.p[i]; /* past the end it reads zeros */
        if (codes > 256) return false;
        size_t used = 17 + codes;
        if (used >= length || used >= s.n) return true;
        length -= used;
        s.p += used;
        s.n -= used;
    }
}

static unsigned number(struct bytes b, size_t at, int size, bool big)
{
    if (b.n < (size_t)size || at > b.n - (size_t)size) return 0;
    unsigned v = 0;
    for (int i = 0; i < size; i++) v = v << 8 | b.p[at + (size_t)(big ? i : size - 1 - i)];
    return v;
}

/* Orientation 1..8 of an APP1 segment; 1 when it says none. */
static int exif_orientation(struct bytes s)
{
    if (s.n < 14 || memcmp(s.p, "Exif\0", 6) != 0) return 1;
    struct bytes t = {s.p + 6, s.n - 6};
    bool big = t.p[0] == 'M';
    size_t directory = number(t, 4, 4, big), entries = number(t, directory, 2, big);
    for (size_t i = 0; i < entries; i++) {
        size_t at = directory + 2 + 12 * i;
        if (number(t, at, 2, big) != 0x0112) continue;
        unsigned v = number(t, at + 8, 2, big);
        return v >= 1 && v <= 8 ? (int)v : 1;
    }
    return 1;
}

/* To the byte after the next marker's code, which is returned; 0 at the end. FF 00 and restarts are entropy-coded data.
 */
static int next_marker(struct bytes *b, bool in_scan)
{
    while (b->n >= 2) {
        unsigned char code = b->p[0] == 0xff ? b->p[1] : 0xff;
        bool found = code != 0xff && !(in_scan && (code == 0 || (code >= 0xd0 && code <= 0xd7)));
        b->p += found ? 2 : 1;
        b->n -= found ? 2 : 1;
        if (found) return code;
    }
    return 0;
}

struct status data_jpeg_check(int *orientation, const char *where, const void *p, size_t n)
{
    struct bytes b = {p, n};
    *orientation = 1;
    int scans = 0;
    for (int m; (m = next_marker(&b, scans > 0)) != 0 && m != EOI;) {
        if (m == SOI) continue;
        size_t length = number(b, 0, 2, true);
        if (length < 2) break; /* the decoder refuses it, too */
        struct bytes s = {b.p + 2, b.n - 2};
        size_t inside = length - 2 < s.n ? length - 2 : s.n;
        if (m == DHT && !tables_fit(s, length - 2))
            return fail(STATUS_ARG, "%s: the image cannot be decoded: a Huffman table of more than 256 codes", where);
        if (m == APP1 && *orientation == 1) *orientation = exif_orientation((struct bytes){s.p, inside});
        if (m == SOS && ++scans > SCANS_MAX)
            return fail(STATUS_ARG, "%s: the image cannot be decoded: more than %d scans", where, SCANS_MAX);
        b = (struct bytes){s.p + inside, s.n - inside};
    }
    return ok();
}

/* ---- turning upright --------------------------------------------------------------------------------------------- */

void data_turn_upright(struct data_image *im, int orientation)
{
    if (orientation == 1) return;
    bool swap = orientation >= 5, flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8,
         flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    int h = im->height, w = im->width;
    struct data_image out = data_image_new(swap ? w : h, swap ? h : w);
    for (int y = 0; y < out.height; y++) {
        for (int x = 0; x < out.width; x++) {
            int sx = swap ? y : x, sy = swap ? x : y;
            if (flip_x) sx = w - 1 - sx;
            if (flip_y) sy = h - 1 - sy;
            memcpy(out.rgb + 3 * ((size_t)y * (size_t)out.width + (size_t)x),
                   im->rgb + 3 * ((size_t)sy * (size_t)w + (size_t)sx), 3);
        }
    }
    data_image_free(im);
    *im = out;
}
