/* Signed distances, light, and the two ways to paint a layer. */
#include "draw.h"
#include <math.h>

static float clamp01(float v)
{
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

struct rgb data_draw_mix(struct rgb a, struct rgb b, float t)
{
    return (struct rgb){a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}

struct rgb data_draw_hsv(float h, float s, float v)
{
    float c[3];
    for (int i = 0; i < 3; i++) {
        float k = fmodf(h * 6 + (i == 0 ? 5.0f : i == 1 ? 3.0f : 1.0f), 6);
        c[i] = v - v * s * fmaxf(0, fminf(fminf(k, 4 - k), 1));
    }
    return (struct rgb){c[0], c[1], c[2]};
}

static float lattice(uint64_t seed, int x, int y)
{
    uint64_t cell = (uint64_t)(uint32_t)x << 32 | (uint32_t)y;
    return (float)(rng_splitmix(seed ^ rng_splitmix(cell)) >> 40) * 0x1p-24f;
}

float data_draw_noise(uint64_t seed, float x, float y)
{
    float fx = floorf(x), fy = floorf(y), u = x - fx, v = y - fy;
    int ix = (int)fx, iy = (int)fy;
    u = u * u * (3 - 2 * u);
    v = v * v * (3 - 2 * v);
    float a = lattice(seed, ix, iy), b = lattice(seed, ix + 1, iy), c = lattice(seed, ix, iy + 1),
          e = lattice(seed, ix + 1, iy + 1);
    return (a + (b - a) * u) * (1 - v) + (c + (e - c) * u) * v;
}

/* ---- distances: negative inside; good near the edge, which is where they are used ------------------------------ */

static struct point turned(struct point p, struct point at, float angle)
{
    float x = p.x - at.x, y = p.y - at.y;
    if (angle == 0) return (struct point){x, y};
    float c = cosf(angle), s = sinf(angle);
    return (struct point){c * x + s * y, c * y - s * x};
}

static float ellipse(const struct draw_shape *s, struct point p)
{
    struct point q = turned(p, s->at, s->angle), r = s->r;
    float down = clamp01(q.y / r.y);
    r.x *= 1 - s->taper * down * down;
    float u = q.x / r.x, v = q.y / r.y, k = sqrtf(u * u + v * v), g = sqrtf(u * u / (r.x * r.x) + v * v / (r.y * r.y));
    return g > 0 ? k * (k - 1) / g : -fminf(r.x, r.y);
}

static float box(const struct draw_shape *s, struct point p)
{
    struct point q = turned(p, s->at, s->angle), r = s->r;
    r.x *= 1 - s->taper * (q.y / r.y + 1) / 2;
    float x = fabsf(q.x) - r.x + s->round, y = fabsf(q.y) - r.y + s->round, ox = fmaxf(x, 0), oy = fmaxf(y, 0);
    return sqrtf(ox * ox + oy * oy) + fminf(fmaxf(x, y), 0) - s->round;
}

static float stroke(const struct draw_shape *s, struct point p)
{
    enum { STEPS = 12 };
    float best = 1e9f;
    struct point a = s->at;
    for (int i = 1; i <= STEPS; i++) {
        float t = (float)i / STEPS, u = 1 - t;
        struct point b = {u * u * s->at.x + 2 * u * t * s->by.x + t * t * s->to.x,
                          u * u * s->at.y + 2 * u * t * s->by.y + t * t * s->to.y};
        float dx = b.x - a.x, dy = b.y - a.y, px = p.x - a.x, py = p.y - a.y, n = dx * dx + dy * dy;
        float h = n > 0 ? clamp01((px * dx + py * dy) / n) : 0, ex = px - h * dx, ey = py - h * dy;
        float along = (t - 1.0f / STEPS) + h / STEPS, radius = s->r.x + (s->r.y - s->r.x) * along;
        best = fminf(best, sqrtf(ex * ex + ey * ey) - radius);
        a = b;
    }
    return best;
}

static float distance(const struct draw_layer *l, struct point p)
{
    float d = 1e9f;
    for (int i = 0; i < l->n; i++) {
        const struct draw_shape *s = &l->shape[i];
        float e = s->kind == DRAW_ELLIPSE  ? ellipse(s, p)
                  : s->kind == DRAW_BOX    ? box(s, p)
                  : s->kind == DRAW_STROKE ? stroke(s, p)
                                           : turned(p, s->at, s->angle).y;
        if (s->op == DRAW_ADD)
            d = fminf(d, e);
        else
            d = fmaxf(d, s->op == DRAW_CUT ? -e : e);
    }
    return d;
}

/* ---- light ------------------------------------------------------------------------------------------------------- */

struct lit {
    float diffuse, specular; /* 0..1 */
};

static struct lit light_at(const struct draw *d, const struct draw_layer *l, struct point p)
{
    if (l->flat) return (struct lit){1, 0};
    struct point c = l->ball_r.x > 0 ? l->ball : l->shape[0].at, r = l->ball_r.x > 0 ? l->ball_r : l->shape[0].r;
    float x = (p.x - c.x) / r.x, y = (p.y - c.y) / r.y, n = sqrtf(x * x + y * y), most = 0.97f;
    if (n > most) x *= most / n, y *= most / n;
    float z = sqrtf(1 - x * x - y * y), cr = cosf(d->roll), sr = sinf(d->roll);
    float nx = cr * x - sr * y, ny = sr * x + cr * y; /* the light stays when the head rolls */
    float dot = nx * d->light[0] + ny * d->light[1] + z * d->light[2];
    float mirror = 2 * dot * z - d->light[2], wrap = (dot + 0.35f) / 1.35f;
    float specular = mirror > 0 ? mirror * mirror : 0;
    specular *= specular;
    return (struct lit){d->ambient + (1 - d->ambient) * clamp01(wrap), specular * specular};
}

static float texture_at(const struct draw *d, const struct draw_layer *l, struct point p)
{
    switch (l->texture) {
    case DRAW_PLAIN:
        return 0;
    case DRAW_HAIR: {
        float angle = atan2f(p.x, -(p.y + 1.5f)), far = sqrtf(p.x * p.x + (p.y + 1.5f) * (p.y + 1.5f));
        return 0.55f * (data_draw_noise(d->seed, angle * 46, far * 2.5f) - 0.5f) +
               0.3f * (data_draw_noise(d->seed + 1, angle * 120, far * 4) - 0.5f);
    }
    case DRAW_CLOTH:
        return 0.16f * (data_draw_noise(d->seed + 2, p.x * 5, p.y * 5) - 0.5f);
    case DRAW_SKIN:
        return 0.06f * (data_draw_noise(d->seed + 3, p.x * 9, p.y * 9) - 0.5f) +
               0.05f * (data_draw_noise(d->seed + 4, p.x * 40, p.y * 40) - 0.5f);
    case DRAW_STRIPES:
        return sinf(p.y * 40) > 0 ? 0.25f : -0.15f;
    }
    return 0;
}

static struct rgb photo_color(const struct draw *d, const struct draw_layer *l, struct point p)
{
    struct lit lit = light_at(d, l, p);
    float v = lit.diffuse * 1.12f * (1 + texture_at(d, l, p)), cool = l->flat ? 0 : 0.10f * (1 - lit.diffuse);
    float shine = l->shine * lit.specular;
    return (struct rgb){l->color.r * v + shine, l->color.g * v * (1 - cool * 0.6f) + shine,
                        l->color.b * v * (1 - cool * 0.4f) + shine};
}

/* The arc of light that a cartoon gives to hair: a part of a ring, where it faces the light. */
static float hair_band(const struct draw *d, const struct draw_layer *l, struct point p, float soft)
{
    if (l->shine <= 0) return 0;
    float x = (p.x - l->ball.x) / l->ball_r.x, y = (p.y - l->ball.y) / l->ball_r.y, far = sqrtf(x * x + y * y);
    float toward = far > 0 ? (x * d->light[0] + y * d->light[1]) / far : 0, most = hypotf(d->light[0], d->light[1]);
    float width = 0.07f * fmaxf(0, toward / most - 0.72f) / 0.28f;
    return 0.45f * clamp01((width - fabsf(far - 0.72f)) / soft + 0.5f) * (width > 0 ? 1.0f : 0.0f);
}

/* Light in three tones; the borders between them one pixel soft. */
static struct rgb toon_color(const struct draw *d, const struct draw_layer *l, struct point p, float px)
{
    struct lit lit = light_at(d, l, p);
    float soft = 1.2f * px, dark = clamp01((0.62f - lit.diffuse) / soft + 0.5f);
    float bright = l->texture == DRAW_HAIR && !l->flat ? hair_band(d, l, p, soft) : 0;
    float v = 1.06f - 0.30f * (l->flat ? 0 : dark) + (l->texture == DRAW_STRIPES ? 0.6f * texture_at(d, l, p) : 0);
    float gray = 0.299f * l->color.r + 0.587f * l->color.g + 0.114f * l->color.b;
    struct rgb c = data_draw_mix((struct rgb){gray, gray, gray}, l->color, 1.25f);
    c = (struct rgb){clamp01(c.r * v), clamp01(c.g * v * (1 - 0.05f * dark)), clamp01(c.b * v)};
    return data_draw_mix(c, (struct rgb){1, 1, 1}, bright);
}

/* ---- painting ---------------------------------------------------------------------------------------------------- */

struct point data_draw_canvas(const struct draw *d, int x, int y)
{
    float side = (float)(d->height < d->width ? d->height : d->width);
    return (struct point){((float)x + 0.5f - (float)d->width / 2) * 2 / side,
                          ((float)y + 0.5f - (float)d->height / 2) * 2 / side};
}

static void blend(float *to, struct rgb c, float a)
{
    to[0] += (c.r - to[0]) * a;
    to[1] += (c.g - to[1]) * a;
    to[2] += (c.b - to[2]) * a;
}

static void paint_pixel(struct draw *d, const struct draw_layer *l, struct point p, float px, size_t at)
{
    static const struct rgb ink = {0.09f, 0.07f, 0.10f};
    float e = distance(l, p), full = l->alpha > 0 ? l->alpha : 1;
    float a = l->soft > 0 ? full * clamp01(0.5f - e / l->soft) : full * clamp01(0.5f - e / px);
    if (l->soft > 0) a *= a * (3 - 2 * clamp01(a / full)) / full;
    if (l->where != DRAW_TOON) {
        if (l->shadow > 0 && e > 0 && e < 3 * l->shadow_size) {
            float s = e / l->shadow_size, keep = 1 - l->shadow * expf(-s * s * 1.5f);
            for (int c = 0; c < 3; c++) d->photo[at + (size_t)c] *= keep;
        }
        if (a > 0) blend(d->photo + at, photo_color(d, l, p), a);
    }
    if (l->where != DRAW_PHOTO) {
        if (a > 0) blend(d->toon + at, toon_color(d, l, p, px), a);
        float ink_a = l->line > 0 ? clamp01(0.5f - (fabsf(e) - l->line / 2) / px) : 0;
        if (ink_a > 0) blend(d->toon + at, ink, ink_a);
    }
}

/* A circle that holds all that the layer touches. */
static void bounds(const struct draw_layer *l, struct point *c, float *radius)
{
    float x0 = 1e9f, x1 = -1e9f, y0 = 1e9f, y1 = -1e9f;
    for (int i = 0; i < l->n; i++) {
        const struct draw_shape *s = &l->shape[i];
        if (s->op != DRAW_ADD) continue;
        float r = s->kind == DRAW_STROKE ? fmaxf(s->r.x, s->r.y) : sqrtf(s->r.x * s->r.x + s->r.y * s->r.y);
        const struct point ends[3] = {s->at, s->kind == DRAW_STROKE ? s->by : s->at,
                                      s->kind == DRAW_STROKE ? s->to : s->at};
        for (int k = 0; k < 3; k++) {
            x0 = fminf(x0, ends[k].x - r), x1 = fmaxf(x1, ends[k].x + r);
            y0 = fminf(y0, ends[k].y - r), y1 = fmaxf(y1, ends[k].y + r);
        }
    }
    *c = (struct point){(x0 + x1) / 2, (y0 + y1) / 2};
    *radius = hypotf(x1 - x0, y1 - y0) / 2 + l->line + l->soft + 3 * l->shadow_size;
}

void data_draw_paint(struct draw *d, const struct draw_layer *l)
{
    struct point c;
    float radius, cr = cosf(d->roll), sr = sinf(d->roll);
    float side = (float)(d->height < d->width ? d->height : d->width), px = 2 / side / d->scale;
    bounds(l, &c, &radius);
    struct point on = {d->centre.x + d->scale * (cr * c.x - sr * c.y), d->centre.y + d->scale * (sr * c.x + cr * c.y)};
    float x = on.x * side / 2 + (float)d->width / 2, y = on.y * side / 2 + (float)d->height / 2;
    float r = radius * d->scale * side / 2 + 2;
    int x0 = (int)fmaxf(0, x - r), x1 = (int)fminf((float)d->width, x + r + 1);
    int y0 = (int)fmaxf(0, y - r), y1 = (int)fminf((float)d->height, y + r + 1);
    for (int j = y0; j < y1; j++) {
        for (int i = x0; i < x1; i++) {
            struct point q = data_draw_canvas(d, i, j);
            q = (struct point){(q.x - d->centre.x) / d->scale, (q.y - d->centre.y) / d->scale};
            struct point p = {cr * q.x + sr * q.y, cr * q.y - sr * q.x};
            paint_pixel(d, l, p, px, ((size_t)j * (size_t)d->width + (size_t)i) * 3);
        }
    }
}
