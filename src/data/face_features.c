/* Eyes, brows, nose, mouth, beard, glasses. Positions are given on the head's front and turned with it. */
#include "face.h"
#include <math.h>

struct point data_face_at(const struct face *f, float x, float y)
{
    float z = sqrtf(fmaxf(0.05f, 1 - x * x - y * y));
    return (struct point){f->head.x * (x * cosf(f->yaw) + z * sinf(f->yaw)),
                          f->head.y * (y * cosf(f->pitch) + 0.5f * z * sinf(f->pitch))};
}

float data_face_narrow(const struct face *f, float x)
{
    float z = sqrtf(fmaxf(0.05f, 1 - x * x)), w = cosf(f->yaw) - x / z * sinf(f->yaw);
    return fminf(1.1f, fmaxf(0.45f, w));
}

static struct draw_shape ellipse(struct point at, float rx, float ry)
{
    return (struct draw_shape){.kind = DRAW_ELLIPSE, .at = at, .r = {rx, ry}};
}

static struct draw_shape curve(struct point a, struct point by, struct point b, float r0, float r1)
{
    return (struct draw_shape){.kind = DRAW_STROKE, .at = a, .by = by, .to = b, .r = {r0, r1}};
}

static struct draw_shape clipped(struct draw_shape s, enum draw_op op)
{
    s.op = op;
    return s;
}

static void paint_eye(struct draw *d, const struct face *f, int side)
{
    float sx = (float)side, x = sx * f->eye_gap, narrow = data_face_narrow(f, x);
    struct point c = data_face_at(f, x, -0.1f);
    float w = f->eye_size * narrow, h = f->eye_size * f->eye_open, iris = h * 0.92f;
    struct draw_shape almond = ellipse(c, w, h * 0.86f);
    /* socket */
    data_draw_paint(d, &(struct draw_layer){.shape = {ellipse((struct point){c.x, c.y - 0.02f}, w * 1.4f, h * 1.7f)},
                                            .n = 1,
                                            .where = DRAW_PHOTO,
                                            .color = data_draw_mix(f->skin, (struct rgb){0.25f, 0.08f, 0.1f}, 0.5f),
                                            .alpha = 0.4f,
                                            .soft = 0.14f});
    data_draw_paint(
        d, &(struct draw_layer){
               .shape = {almond}, .n = 1, .color = {0.96f, 0.96f, 0.97f}, .line = FACE_LINE * 0.55f, .flat = true});
    struct point look = {c.x + f->look.x * w * 0.6f + 0.25f * f->yaw * w, c.y + f->look.y * h * 0.6f - h * 0.04f};
    data_draw_paint(d, &(struct draw_layer){
                           .shape = {ellipse(look, iris * fminf(1, narrow + 0.1f), iris), clipped(almond, DRAW_CLIP)},
                           .n = 2,
                           .color = f->iris,
                           .line = FACE_LINE * 0.4f,
                           .flat = true});
    data_draw_paint(d,
                    &(struct draw_layer){.shape = {ellipse(look, iris * 0.5f, iris * 0.5f), clipped(almond, DRAW_CLIP)},
                                         .n = 2,
                                         .color = {0.03f, 0.03f, 0.04f},
                                         .flat = true});
    struct point glint = {look.x + d->light[0] * iris * 0.5f, look.y + d->light[1] * iris * 0.5f - iris * 0.1f};
    data_draw_paint(
        d, &(struct draw_layer){.shape = {ellipse(glint, iris * 0.24f, iris * 0.24f), clipped(almond, DRAW_CLIP)},
                                .n = 2,
                                .color = {1, 1, 1},
                                .flat = true});
    /* upper lid: a lash line, its end swept outward */
    struct point in = {c.x - sx * w * 1.02f, c.y + h * 0.08f}, out = {c.x + sx * w * 1.12f, c.y - h * 0.12f};
    data_draw_paint(
        d, &(struct draw_layer){.shape = {curve(in, (struct point){c.x, c.y - h * 1.75f}, out, 0.008f, 0.018f)},
                                .n = 1,
                                .color = {0.12f, 0.08f, 0.08f},
                                .flat = true});
    struct point crease[3] = {
        {c.x - sx * w * 0.9f, c.y - h * 0.75f}, {c.x, c.y - h * 2.3f}, {c.x + sx * w * 1.1f, c.y - h * 0.75f}};
    data_draw_paint(d, &(struct draw_layer){.shape = {curve(crease[0], crease[1], crease[2], 0.006f, 0.006f)},
                                            .n = 1,
                                            .alpha = 0.5f,
                                            .color = data_draw_mix(f->skin, (struct rgb){0.2f, 0.05f, 0.05f}, 0.6f),
                                            .flat = true});
}

static void paint_brow(struct draw *d, const struct face *f, int side)
{
    float sx = (float)side, x = sx * f->eye_gap, narrow = data_face_narrow(f, x), w = f->eye_size * 1.25f * narrow;
    struct point c = data_face_at(f, x, -0.1f);
    float y = c.y - f->eye_size * 1.45f, tilt = f->brow_angle;
    data_draw_paint(d,
                    &(struct draw_layer){.shape = {curve((struct point){c.x - sx * w, y + tilt * 0.5f},
                                                         (struct point){c.x + sx * w * 0.2f, y - 0.09f},
                                                         (struct point){c.x + sx * w * 1.1f, y + 0.02f - tilt * 0.3f},
                                                         f->brow, f->brow * 0.45f)},
                                         .n = 1,
                                         .color = data_draw_mix(f->hair, (struct rgb){0.08f, 0.05f, 0.04f}, 0.45f),
                                         .texture = DRAW_HAIR,
                                         .flat = true});
}

static void paint_nose(struct draw *d, const struct face *f)
{
    struct point top = data_face_at(f, 0, -0.12f), tip = data_face_at(f, 0, 0.22f);
    float turn = 0.16f * sinf(f->yaw), s = f->nose;
    tip.x += turn;
    struct rgb dark = data_draw_mix(f->skin, (struct rgb){0.3f, 0.08f, 0.06f}, 0.5f);
    float shade = d->light[0] > 0 ? -1.0f : 1.0f;
    /* bridge in shade on the side away from the light, the ball, the nostrils */
    data_draw_paint(
        d, &(struct draw_layer){.shape = {curve((struct point){top.x + shade * s * 0.45f, top.y},
                                                (struct point){tip.x + shade * s * 0.4f, top.y + 0.1f},
                                                (struct point){tip.x + shade * s * 0.75f, tip.y}, 0.02f, 0.05f)},
                                .n = 1,
                                .where = DRAW_PHOTO,
                                .color = dark,
                                .alpha = 0.45f,
                                .soft = 0.09f,
                                .flat = true});
    data_draw_paint(
        d, &(struct draw_layer){.shape = {ellipse((struct point){tip.x + d->light[0] * s * 0.3f, tip.y - s * 0.35f},
                                                  s * 0.55f, s * 0.5f)},
                                .n = 1,
                                .where = DRAW_PHOTO,
                                .color = data_draw_mix(f->skin, (struct rgb){1, 1, 1}, 0.35f),
                                .alpha = 0.55f,
                                .soft = 0.09f,
                                .flat = true});
    for (int side = -1; side <= 1; side += 2) {
        float sx = (float)side;
        data_draw_paint(d, &(struct draw_layer){
                               .shape = {ellipse((struct point){tip.x + sx * s * 0.5f - 0.3f * turn, tip.y + s * 0.38f},
                                                 s * 0.26f, s * 0.15f)},
                               .n = 1,
                               .where = DRAW_PHOTO,
                               .color = data_draw_mix(f->skin, (struct rgb){0.15f, 0.03f, 0.03f}, 0.75f),
                               .alpha = 0.8f,
                               .soft = 0.03f,
                               .flat = true});
    }
    /* the cartoon has one line for it, on the shaded side */
    float lean = fabsf(f->yaw) > 0.12f ? (f->yaw > 0 ? 1.0f : -1.0f) : shade;
    data_draw_paint(d, &(struct draw_layer){.shape = {curve((struct point){tip.x + lean * s * 0.25f, tip.y - s * 1.6f},
                                                            (struct point){tip.x + lean * s * 1.75f, tip.y + s * 0.45f},
                                                            (struct point){tip.x - lean * s * 0.25f, tip.y + s * 0.5f},
                                                            FACE_LINE * 0.25f, FACE_LINE * 0.5f)},
                                            .n = 1,
                                            .where = DRAW_TOON,
                                            .color = data_draw_mix(dark, (struct rgb){0.1f, 0.05f, 0.06f}, 0.7f),
                                            .flat = true});
}

static void paint_mouth(struct draw *d, const struct face *f)
{
    struct point c = data_face_at(f, 0, 0.5f);
    c.x += 0.05f * sinf(f->yaw);
    float w = f->mouth_width * cosf(f->yaw), up = f->smile + (f->mouth == FACE_SMILE ? 0.05f : 0);
    struct point l = {c.x - w, c.y - up}, r = {c.x + w, c.y - up};
    struct rgb dark = data_draw_mix(f->lips, (struct rgb){0.12f, 0.02f, 0.04f}, 0.75f);
    if (f->mouth == FACE_CLOSED) {
        data_draw_paint(
            d, &(struct draw_layer){.shape = {curve(l, (struct point){c.x, c.y + up * 1.5f - 0.05f}, r, 0.012f, 0.012f),
                                              ellipse((struct point){c.x, c.y - 0.012f}, w * 0.5f, 0.042f)},
                                    .n = 2,
                                    .color = f->lips,
                                    .line = FACE_LINE * 0.4f,
                                    .shine = 0.1f,
                                    .ball = {c.x, c.y},
                                    .ball_r = {w * 1.5f, 0.2f}});
        data_draw_paint(
            d, &(struct draw_layer){.shape = {curve((struct point){c.x - w * 0.62f, c.y + 0.03f},
                                                    (struct point){c.x, c.y + 0.11f + up * 0.3f},
                                                    (struct point){c.x + w * 0.62f, c.y + 0.03f}, 0.02f, 0.02f)},
                                    .n = 1,
                                    .color = data_draw_mix(f->lips, f->skin, 0.15f),
                                    .shine = 0.15f,
                                    .ball = {c.x, c.y},
                                    .ball_r = {w * 1.5f, 0.2f}});
        data_draw_paint(d, &(struct draw_layer){.shape = {curve(l, (struct point){c.x, c.y + up * 1.6f}, r,
                                                                FACE_LINE * 0.3f, FACE_LINE * 0.3f)},
                                                .n = 1,
                                                .color = dark,
                                                .flat = true});
        return;
    }
    float open = f->mouth == FACE_OPEN ? 0.17f : 0.09f;
    struct draw_shape inside = ellipse((struct point){c.x, c.y - up + 0.01f}, w, open + up);
    struct draw_shape below = {.op = DRAW_CLIP, .kind = DRAW_ABOVE, .at = {c.x, c.y - up}, .angle = 3.14159265f};
    if (f->mouth == FACE_OPEN) below.at.y -= open * 0.45f;
    struct draw_shape lips = ellipse(inside.at, w * 1.1f, inside.r.y + 0.045f), lip_edge = below;
    lip_edge.at.y -= 0.04f;
    data_draw_paint(d,
                    &(struct draw_layer){
                        .shape = {lips, lip_edge}, .n = 2, .color = f->lips, .line = FACE_LINE * 0.5f, .shine = 0.15f});
    data_draw_paint(d, &(struct draw_layer){
                           .shape = {inside, below}, .n = 2, .color = dark, .line = FACE_LINE * 0.5f, .flat = true});
    struct draw_shape teeth =
        ellipse((struct point){c.x, below.at.y}, w * 0.86f, f->mouth == FACE_OPEN ? 0.055f : open * 0.8f);
    data_draw_paint(d, &(struct draw_layer){.shape = {teeth, below, clipped(inside, DRAW_CLIP)},
                                            .n = 3,
                                            .color = {0.96f, 0.95f, 0.92f},
                                            .flat = true});
    if (f->mouth == FACE_OPEN)
        data_draw_paint(d, &(struct draw_layer){.shape = {ellipse((struct point){c.x, inside.at.y + inside.r.y * 0.9f},
                                                                  w * 0.55f, 0.07f),
                                                          clipped(inside, DRAW_CLIP)},
                                                .n = 2,
                                                .color = {0.82f, 0.38f, 0.40f},
                                                .soft = 0.02f,
                                                .flat = true});
}

static void paint_beard(struct draw *d, const struct face *f)
{
    struct point mouth = data_face_at(f, 0, 0.5f), nose = data_face_at(f, 0, 0.32f);
    if (f->beard > 0)
        data_draw_paint(
            d, &(struct draw_layer){
                   .shape = {{.kind = DRAW_ELLIPSE, .r = {f->head.x * 1.01f, f->head.y * 1.05f}, .taper = f->jaw},
                             {.op = DRAW_CUT,
                              .kind = DRAW_ELLIPSE,
                              .at = {mouth.x, mouth.y - 0.62f},
                              .r = {f->head.x * 0.92f, 0.78f}},
                             {.op = DRAW_CUT,
                              .kind = DRAW_ELLIPSE,
                              .at = {mouth.x, mouth.y + 0.01f},
                              .r = {f->mouth_width * 1.2f, 0.13f}},
                             {.op = DRAW_CLIP, .kind = DRAW_ABOVE, .at = {0, -0.02f}, .angle = 3.14159265f}},
                   .n = 4,
                   .color = f->hair,
                   .texture = DRAW_HAIR,
                   .alpha = 0.55f + 0.45f * f->beard,
                   .line = FACE_LINE * 0.7f,
                   .ball_r = f->head,
                   .shadow = 0.15f,
                   .shadow_size = 0.04f});
    if (f->moustache)
        data_draw_paint(
            d,
            &(struct draw_layer){
                .shape = {curve((struct point){nose.x, nose.y + 0.04f}, (struct point){nose.x - 0.12f, nose.y + 0.04f},
                                (struct point){mouth.x - f->mouth_width, mouth.y}, 0.04f, 0.02f),
                          curve((struct point){nose.x, nose.y + 0.04f}, (struct point){nose.x + 0.12f, nose.y + 0.04f},
                                (struct point){mouth.x + f->mouth_width, mouth.y}, 0.04f, 0.02f)},
                .n = 2,
                .color = f->hair,
                .texture = DRAW_HAIR,
                .line = FACE_LINE * 0.6f,
                .ball_r = f->head});
}

void data_face_features(struct draw *d, const struct face *f)
{
    for (int side = -1; side <= 1; side += 2) {
        struct point cheek = data_face_at(f, 0.5f * (float)side, 0.26f);
        data_draw_paint(
            d, &(struct draw_layer){.shape = {ellipse(cheek, 0.2f * data_face_narrow(f, 0.5f * (float)side), 0.15f)},
                                    .n = 1,
                                    .color = data_draw_mix(f->skin, (struct rgb){0.95f, 0.25f, 0.25f}, 0.55f),
                                    .alpha = f->blush + 0.02f,
                                    .soft = 0.2f});
        for (int i = 0; f->freckles && i < 7; i++) {
            float fx = (0.25f + 0.09f * (float)(i % 4)) * (float)side,
                  fy = 0.16f + 0.07f * (float)(i / 4) + 0.03f * (float)(i % 2);
            data_draw_paint(
                d, &(struct draw_layer){.shape = {ellipse(data_face_at(f, fx, fy), 0.016f, 0.014f)},
                                        .n = 1,
                                        .color = data_draw_mix(f->skin, (struct rgb){0.4f, 0.15f, 0.05f}, 0.5f),
                                        .flat = true});
        }
    }
    paint_beard(d, f);
    paint_mouth(d, f);
    paint_nose(d, f);
    for (int side = -1; side <= 1; side += 2) {
        paint_eye(d, f, side);
        paint_brow(d, f, side);
    }
}

void data_face_glasses(struct draw *d, const struct face *f)
{
    struct point c[2];
    float w[2], h = f->round_glasses ? 0.23f : 0.18f;
    for (int i = 0; i < 2; i++) {
        float x = f->eye_gap * (i ? 1.0f : -1.0f);
        c[i] = data_face_at(f, x, -0.07f);
        w[i] = (f->round_glasses ? 0.23f : 0.25f) * data_face_narrow(f, x);
        struct draw_shape lens = {.kind = f->round_glasses ? DRAW_ELLIPSE : DRAW_BOX,
                                  .at = c[i],
                                  .r = {w[i], h},
                                  .round = 0.06f},
                          hole = lens;
        hole.op = DRAW_CUT;
        hole.r = (struct point){w[i] - 0.03f, h - 0.03f};
        struct rgb tint = f->tinted ? (struct rgb){0.12f, 0.10f, 0.14f} : (struct rgb){0.85f, 0.93f, 1};
        data_draw_paint(d,
                        &(struct draw_layer){
                            .shape = {lens}, .n = 1, .color = tint, .alpha = f->tinted ? 0.6f : 0.12f, .flat = true});
        struct point g = {c[i].x - w[i] * 0.35f, c[i].y - h * 0.35f};
        data_draw_paint(d,
                        &(struct draw_layer){.shape = {curve((struct point){g.x - 0.05f, g.y + 0.07f}, g,
                                                             (struct point){g.x + 0.05f, g.y - 0.07f}, 0.012f, 0.02f)},
                                             .n = 1,
                                             .color = {1, 1, 1},
                                             .alpha = 0.55f,
                                             .flat = true});
        data_draw_paint(d, &(struct draw_layer){.shape = {lens, hole},
                                                .n = 2,
                                                .color = f->glasses,
                                                .shadow = 0.25f,
                                                .shadow_size = 0.035f,
                                                .line = FACE_LINE * 0.45f,
                                                .flat = true});
        struct point ear = {f->head.x * (i ? 0.98f : -0.98f) - 0.05f * f->yaw, c[i].y - 0.02f};
        float edge = c[i].x + w[i] * (i ? 1.0f : -1.0f);
        data_draw_paint(
            d, &(struct draw_layer){.shape = {curve((struct point){edge, c[i].y - 0.05f},
                                                    (struct point){edge, c[i].y - 0.05f}, ear, 0.017f, 0.014f)},
                                    .n = 1,
                                    .color = f->glasses,
                                    .flat = true});
    }
    data_draw_paint(
        d, &(struct draw_layer){.shape = {curve((struct point){c[0].x + w[0] - 0.01f, c[0].y - 0.04f},
                                                (struct point){(c[0].x + c[1].x) / 2, c[0].y - 0.1f},
                                                (struct point){c[1].x - w[1] + 0.01f, c[1].y - 0.04f}, 0.018f, 0.018f)},
                                .n = 1,
                                .color = f->glasses,
                                .line = FACE_LINE * 0.4f,
                                .flat = true});
}
