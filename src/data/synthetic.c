/* The synthetic set: who is drawn, the background, the body, and the last touches of photo and cartoon. */
#include "face.h"
#include "inside.h"
#include <math.h>

static float between(struct rng *r, double lo, double hi)
{
    return (float)rng_range(r, lo, hi);
}

static bool chance(struct rng *r, double p)
{
    return rng_uniform(r) < p;
}

static struct rgb pick(struct rng *r, const struct rgb *palette, size_t n)
{
    struct rgb c = palette[rng_below(r, n)];
    float v = between(r, 0.92, 1.08);
    return (struct rgb){fminf(1, c.r * v), fminf(1, c.g * v * between(r, 0.98, 1.02)), fminf(1, c.b * v)};
}

/* clang-format off */
static const struct rgb skins[] = {
    {0.97f, 0.83f, 0.74f}, {0.95f, 0.78f, 0.66f}, {0.91f, 0.72f, 0.57f}, {0.84f, 0.63f, 0.48f},
    {0.76f, 0.55f, 0.40f}, {0.63f, 0.43f, 0.31f}, {0.50f, 0.33f, 0.24f}, {0.38f, 0.25f, 0.19f},
};
static const struct rgb hairs[] = {
    {0.10f, 0.08f, 0.08f}, {0.20f, 0.13f, 0.09f}, {0.36f, 0.22f, 0.13f}, {0.52f, 0.33f, 0.18f}, {0.78f, 0.60f, 0.32f},
    {0.90f, 0.78f, 0.52f}, {0.62f, 0.25f, 0.12f}, {0.60f, 0.60f, 0.62f}, {0.45f, 0.20f, 0.48f}, {0.18f, 0.36f, 0.55f},
};
static const struct rgb irises[] = {
    {0.36f, 0.22f, 0.12f}, {0.22f, 0.14f, 0.09f}, {0.25f, 0.46f, 0.66f}, {0.30f, 0.50f, 0.34f}, {0.45f, 0.50f, 0.52f},
    {0.55f, 0.40f, 0.18f},
};
static const struct rgb frames[] = {
    {0.10f, 0.10f, 0.12f}, {0.35f, 0.20f, 0.12f}, {0.70f, 0.16f, 0.18f}, {0.16f, 0.26f, 0.50f}, {0.78f, 0.66f, 0.36f},
};
/* clang-format on */

static void draw_light(struct rng *r, struct draw *d)
{
    float side = between(r, -0.75, 0.75), up = between(r, -0.75, -0.05), z = between(r, 0.6, 1.0);
    float n = sqrtf(side * side + up * up + z * z);
    d->light[0] = side / n;
    d->light[1] = up / n;
    d->light[2] = z / n;
    d->ambient = between(r, 0.28, 0.55);
}

static void draw_pose(struct rng *r, struct draw *d, struct face *f)
{
    d->centre = (struct point){between(r, -0.12, 0.12), between(r, -0.08, 0.10)};
    d->scale = between(r, 0.56, 0.72);
    d->roll = between(r, -0.2, 0.2);
    f->yaw = between(r, -0.42, 0.42);
    f->pitch = between(r, -0.16, 0.16);
    f->look = (struct point){between(r, -0.3, 0.3), between(r, -0.15, 0.15)};
    f->head = (struct point){between(r, 0.66, 0.76), between(r, 0.88, 0.98)};
    f->jaw = between(r, 0.05, 0.3);
    f->neck = between(r, 0.24, 0.36);
}

static void draw_features(struct rng *r, struct face *f)
{
    f->eye_size = between(r, 0.13, 0.17);
    f->eye_open = between(r, 0.5, 0.72);
    f->eye_gap = between(r, 0.38, 0.45);
    f->brow = between(r, 0.016, 0.036);
    f->brow_angle = between(r, -0.06, 0.1);
    f->nose = between(r, 0.08, 0.12);
    f->mouth = (enum face_mouth)rng_below(r, FACE_N_MOUTH);
    f->mouth_width = between(r, 0.22, 0.32);
    f->smile = between(r, -0.03, 0.09);
    f->blush = between(r, 0, 0.45);
    f->beard = chance(r, 0.2) ? between(r, 0.4, 1) : 0;
    f->moustache = f->beard > 0 || chance(r, 0.05);
    f->freckles = chance(r, 0.15);
    f->earrings = chance(r, 0.2);
}

struct face data_face_draw(uint64_t seed, int index, struct draw *d)
{
    struct rng rng = rng_key(seed, (uint64_t)index, 0, 0), *r = &rng;
    struct face f = {.side = chance(r, 0.5) ? 1 : -1};
    d->seed = rng_u64(r);
    draw_light(r, d);
    draw_pose(r, d, &f);
    draw_features(r, &f);
    f.skin = pick(r, skins, LEN(skins));
    f.hair = pick(r, hairs, LEN(hairs));
    f.iris = pick(r, irises, LEN(irises));
    f.glasses = pick(r, frames, LEN(frames));
    f.style = (enum face_hair)rng_below(r, FACE_N_HAIR);
    f.lips = data_draw_mix(f.skin, (struct rgb){0.75f, 0.18f, 0.24f}, between(r, 0.3, 0.75));
    f.shirt = data_draw_hsv(between(r, 0, 1), between(r, 0.25, 0.8), between(r, 0.35, 0.9));
    float hue = between(r, 0, 1), pale = between(r, 0.15, 0.6);
    f.back[0] = data_draw_hsv(hue, pale, between(r, 0.55, 0.95));
    f.back[1] =
        data_draw_hsv(fmodf(hue + between(r, 0.9, 1.15), 1), pale * between(r, 0.8, 1.3), between(r, 0.35, 0.85));
    f.has_glasses = chance(r, 0.32);
    f.round_glasses = chance(r, 0.5);
    f.tinted = chance(r, 0.2);
    f.stripes = chance(r, 0.25);
    f.collar = chance(r, 0.45);
    return f;
}

/* ---- background and body --------------------------------------------------------------------------------------- */

/* Photo: a gradient with out-of-focus lights. Cartoon: the same gradient in four flat bands and flat discs. */
static void paint_background(struct draw *d, const struct face *f)
{
    enum { LIGHTS = 7 };
    struct point at[LIGHTS];
    float size[LIGHTS], bright[LIGHTS], side = (float)(d->height < d->width ? d->height : d->width), px = 2 / side;
    struct rng r = {.key = d->seed ^ 77};
    float angle = between(&r, 0, 6.28), c = cosf(angle), s = sinf(angle);
    for (int i = 0; i < LIGHTS; i++) {
        at[i] = (struct point){between(&r, -1.2, 1.2), between(&r, -1.2, 1.2)};
        size[i] = between(&r, 0.1, 0.35);
        bright[i] = between(&r, -0.14, 0.2);
    }
    for (int y = 0; y < d->height; y++) {
        for (int x = 0; x < d->width; x++) {
            struct point p = data_draw_canvas(d, x, y);
            float t = 0.5f + 0.38f * (c * p.x + s * p.y), step = floorf(fminf(fmaxf(t, 0), 0.999f) * 4) / 3;
            float photo = 0.93f + 0.14f * data_draw_noise(d->seed + 9, p.x * 2.5f, p.y * 2.5f), toon = 1;
            for (int i = 0; i < LIGHTS; i++) {
                float e = hypotf(p.x - at[i].x, p.y - at[i].y) - size[i];
                photo += bright[i] * fminf(1, fmaxf(0, 0.5f - e / 0.10f));
                toon += bright[i] * fminf(1, fmaxf(0, 0.5f - e / px));
            }
            struct rgb a = data_draw_mix(f->back[0], f->back[1], t), b = data_draw_mix(f->back[0], f->back[1], step);
            float *to[2] = {d->photo, d->toon}, v[2] = {photo, toon};
            for (int k = 0; k < 2; k++) {
                struct rgb from = k ? b : a;
                float *o = to[k] + ((size_t)y * (size_t)d->width + (size_t)x) * 3;
                o[0] = from.r * v[k], o[1] = from.g * v[k], o[2] = from.b * v[k];
            }
        }
    }
}

static void paint_body(struct draw *d, const struct face *f)
{
    float low = f->head.y;
    data_draw_paint(d, &(struct draw_layer){
                           .shape = {{.kind = DRAW_BOX, .at = {0, low + 0.05f}, .r = {f->neck, 0.42f}, .round = 0.1f}},
                           .n = 1,
                           .color = data_draw_mix(f->skin, (struct rgb){0.3f, 0.1f, 0.1f}, 0.12f),
                           .texture = DRAW_SKIN,
                           .line = FACE_LINE});
    data_draw_paint(d,
                    &(struct draw_layer){.shape = {{.kind = DRAW_ELLIPSE, .at = {0, low + 1.12f}, .r = {1.25f, 0.85f}},
                                                   {.op = DRAW_CUT,
                                                    .kind = DRAW_ELLIPSE,
                                                    .at = {0, low + 0.2f},
                                                    .r = {f->neck * 1.05f, f->collar ? 0.42f : 0.25f}}},
                                         .n = 2,
                                         .color = f->shirt,
                                         .texture = f->stripes ? DRAW_STRIPES : DRAW_CLOTH,
                                         .line = FACE_LINE * 1.2f});
    if (!f->collar) return;
    for (int side = -1; side <= 1; side += 2) {
        float x = (float)side;
        data_draw_paint(d, &(struct draw_layer){.shape = {{.kind = DRAW_STROKE,
                                                           .at = {x * f->neck * 1.05f, low + 0.2f},
                                                           .by = {x * f->neck * 0.9f, low + 0.5f},
                                                           .to = {x * 0.03f, low + 0.66f},
                                                           .r = {0.10f, 0.045f}}},
                                                .n = 1,
                                                .color = data_draw_mix(f->shirt, (struct rgb){1, 1, 1}, 0.55f),
                                                .line = FACE_LINE,
                                                .shadow = 0.25f,
                                                .shadow_size = 0.06f,
                                                .ball = {0, low + 1.0f},
                                                .ball_r = {1.2f, 1.2f}});
    }
}

static void paint_head(struct draw *d, const struct face *f)
{
    for (int side = -1; side <= 1; side += 2) {
        float x = (float)side, hide = x * f->yaw;
        struct point at = {x * f->head.x * (0.99f - 0.25f * fmaxf(0, hide)) - 0.08f * f->yaw, 0.06f - 0.3f * f->pitch};
        data_draw_paint(d, &(struct draw_layer){
                               .shape = {{.kind = DRAW_ELLIPSE, .at = at, .r = {0.12f, 0.2f}, .angle = -0.15f * x}},
                               .n = 1,
                               .color = f->skin,
                               .line = FACE_LINE,
                               .ball = {0, 0},
                               .ball_r = {f->head.x * 1.2f, f->head.y}});
        data_draw_paint(d, &(struct draw_layer){
                               .shape = {{.kind = DRAW_ELLIPSE, .at = at, .r = {0.06f, 0.12f}, .angle = -0.15f * x}},
                               .n = 1,
                               .color = data_draw_mix(f->skin, (struct rgb){0.5f, 0.15f, 0.12f}, 0.35f),
                               .soft = 0.05f,
                               .flat = true});
        if (f->earrings)
            data_draw_paint(d, &(struct draw_layer){
                                   .shape = {{.kind = DRAW_ELLIPSE, .at = {at.x, at.y + 0.23f}, .r = {0.045f, 0.045f}}},
                                   .n = 1,
                                   .color = {0.95f, 0.82f, 0.35f},
                                   .line = FACE_LINE * 0.7f,
                                   .shine = 0.7f});
    }
    data_draw_paint(d, &(struct draw_layer){.shape = {{.kind = DRAW_ELLIPSE, .r = f->head, .taper = f->jaw}},
                                            .n = 1,
                                            .color = f->skin,
                                            .texture = DRAW_SKIN,
                                            .line = FACE_LINE * 1.2f,
                                            .shine = 0.16f,
                                            .shadow = 0.5f,
                                            .shadow_size = 0.14f,
                                            .ball = {0.15f * f->yaw, 0},
                                            .ball_r = {f->head.x * 1.06f, f->head.y * 1.1f}});
}

void data_face_paint(struct draw *d, const struct face *f)
{
    paint_background(d, f);
    data_face_hair_behind(d, f);
    paint_body(d, f);
    paint_head(d, f);
    data_face_features(d, f);
    data_face_hair_front(d, f);
    if (f->has_glasses) data_face_glasses(d, f);
}

/* ---- the pair -------------------------------------------------------------------------------------------------- */

static uint8_t to_byte(float v)
{
    return v >= 1 ? 255 : v > 0 ? (uint8_t)(v * 255 + 0.5f) : 0;
}

/* A lens and a sensor: darker corners, warm or cool light, grain. */
static void develop(uint8_t *out, const struct draw *d)
{
    struct rng r = {.key = d->seed ^ 99};
    float warm = between(&r, -0.05, 0.06), grain = between(&r, 0.01, 0.035), gain = between(&r, 0.9, 1.08);
    for (int y = 0; y < d->height; y++) {
        for (int x = 0; x < d->width; x++) {
            struct point p = data_draw_canvas(d, x, y);
            size_t at = ((size_t)y * (size_t)d->width + (size_t)x) * 3;
            float v = gain * (1 - 0.13f * (p.x * p.x + p.y * p.y)), tint[3] = {1 + warm, 1, 1 - warm};
            for (size_t c = 0; c < 3; c++) {
                float noise = (float)(rng_u64(&r) >> 40) * 0x1p-24f - 0.5f;
                out[at + c] = to_byte(d->photo[at + c] * v * tint[c] + grain * noise);
            }
        }
    }
}

void data_synthetic_pair(uint8_t *input, uint8_t *target, int height, int width, int index)
{
    size_t n = (size_t)height * (size_t)width * 3;
    struct draw d = {
        .height = height, .width = width, .photo = mem_alloc(n * sizeof(float)), .toon = mem_alloc(n * sizeof(float))};
    struct face f = data_face_draw(0x66616365, index, &d);
    data_face_paint(&d, &f);
    develop(input, &d);
    for (size_t i = 0; i < n; i++) target[i] = to_byte(d.toon[i]);
    free(d.photo);
    free(d.toon);
}

struct status data_synthetic_write(const char *dir, int n, int height, int width)
{
    struct data_image im[2] = {data_image_new(height, width), data_image_new(height, width)};
    struct arena a = {0};
    const char *folder[2] = {fs_join(&a, dir, "input"), fs_join(&a, dir, "target")};
    struct status s = fs_mkdir(folder[0]);
    if (s.code == STATUS_OK) s = fs_mkdir(folder[1]);
    for (int i = 0; i < n && s.code == STATUS_OK; i++) {
        data_synthetic_pair(im[0].rgb, im[1].rgb, height, width, i);
        for (int k = 0; k < 2 && s.code == STATUS_OK; k++) {
            s = data_image_save(arena_printf(&a, "%s/face_%06d.png", folder[k], i), im[k].rgb, height, width);
        }
    }
    data_image_free(&im[0]);
    data_image_free(&im[1]);
    arena_free(&a);
    return s;
}
