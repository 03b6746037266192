/* Hair styles: what lies behind the head, and what frames the face in front of it. */
#include "face.h"
#include <math.h>

static struct draw_shape ellipse(float x, float y, float rx, float ry)
{
    return (struct draw_shape){.kind = DRAW_ELLIPSE, .at = {x, y}, .r = {rx, ry}};
}

static struct draw_layer hair_layer(const struct face *f)
{
    return (struct draw_layer){.color = f->hair,
                               .texture = DRAW_HAIR,
                               .line = FACE_LINE * 1.1f,
                               .shine = 0.28f,
                               .ball = {0.1f * f->yaw, -0.15f},
                               .ball_r = {f->head.x * 1.25f, f->head.y * 1.2f}};
}

static void add(struct draw_layer *l, struct draw_shape s, enum draw_op op)
{
    s.op = op;
    l->shape[l->n++] = s;
}

/* A ring of curls around the head from the angle a to b. */
static void add_curls(struct draw_layer *l, const struct face *f, float a, float b, int n, float size)
{
    for (int i = 0; i < n && l->n < DRAW_MAX_SHAPES; i++) {
        float t = a + (b - a) * (float)i / (float)(n - 1);
        add(l, ellipse(f->head.x * 1.02f * sinf(t), -0.12f - f->head.y * 0.88f * cosf(t), size, size), DRAW_ADD);
    }
}

void data_face_hair_behind(struct draw *d, const struct face *f)
{
    struct draw_layer l = hair_layer(f);
    float x = f->head.x, y = f->head.y, sway = -0.08f * f->yaw;
    l.color = data_draw_mix(f->hair, (struct rgb){0, 0, 0}, 0.25f);
    switch (f->style) {
    case FACE_LONG:
        add(&l, ellipse(sway, -0.1f, x * 1.28f, y * 1.12f), DRAW_ADD);
        add(&l,
            (struct draw_shape){
                .kind = DRAW_BOX, .at = {sway, 0.75f}, .r = {x * 1.3f, 0.85f}, .round = 0.3f, .taper = -0.12f},
            DRAW_ADD);
        break;
    case FACE_BOB:
        add(&l, ellipse(sway, -0.08f, x * 1.3f, y * 1.12f), DRAW_ADD);
        add(&l, (struct draw_shape){.kind = DRAW_BOX, .at = {sway, 0.3f}, .r = {x * 1.3f, 0.55f}, .round = 0.22f},
            DRAW_ADD);
        break;
    case FACE_CURLY:
        add_curls(&l, f, -1.9f, 1.9f, 9, 0.34f);
        break;
    case FACE_BUN:
        add(&l, ellipse(sway + 0.1f * (float)f->side, -y * 1.22f, 0.32f, 0.3f), DRAW_ADD);
        break;
    case FACE_BUZZ:
    case FACE_SHORT:
    case FACE_PARTED:
    case FACE_N_HAIR:
        return;
    }
    data_draw_paint(d, &l);
}

/* The cap: an ellipse over the skull, less the face's window. */
static void add_cap(struct draw_layer *l, const struct face *f, float grow, float hairline, float shift, float window)
{
    struct point c = data_face_at(f, 0, 0);
    add(l, ellipse(-0.04f * f->yaw, -0.06f, f->head.x * grow, f->head.y * grow), DRAW_ADD);
    add(l, ellipse(c.x * 0.4f + shift, hairline + f->head.y * 0.95f, f->head.x * window, f->head.y * 0.95f), DRAW_CUT);
}

static void add_above(struct draw_layer *l, float y)
{
    add(l, (struct draw_shape){.kind = DRAW_ABOVE, .at = {0, y}}, DRAW_CLIP);
}

void data_face_hair_front(struct draw *d, const struct face *f)
{
    struct draw_layer l = hair_layer(f);
    float s = (float)f->side, x = f->head.x, y = f->head.y;
    l.shadow = 0.3f;
    l.shadow_size = 0.07f;
    switch (f->style) {
    case FACE_BUZZ:
        l.alpha = 0.85f;
        add_cap(&l, f, 1.02f, -y * 0.68f, 0, 0.98f);
        add_above(&l, 0.0f);
        break;
    case FACE_SHORT:
        add_cap(&l, f, 1.1f, -y * 0.62f, 0.05f * s, 1.0f);
        add_above(&l, 0.06f);
        for (int i = 0; i < 5; i++) {
            float t = -0.55f + 0.27f * (float)i;
            add(&l,
                (struct draw_shape){.kind = DRAW_ELLIPSE,
                                    .at = {x * t + 0.3f * f->yaw, -y * (0.76f - 0.16f * t * t)},
                                    .r = {0.15f, 0.24f},
                                    .angle = s * 0.5f},
                DRAW_ADD);
        }
        break;
    case FACE_PARTED:
        add_cap(&l, f, 1.12f, -y * 0.58f, -0.12f * s, 0.99f);
        add_above(&l, 0.16f);
        add(&l,
            (struct draw_shape){.kind = DRAW_ELLIPSE,
                                .at = {x * 0.4f * s + 0.3f * f->yaw, -y * 0.68f},
                                .r = {0.5f, 0.2f},
                                .angle = s * 0.42f},
            DRAW_ADD);
        break;
    case FACE_LONG:
        add_cap(&l, f, 1.16f, -y * 0.64f, 0, 0.92f);
        add_above(&l, 0.35f);
        for (int side = -1; side <= 1; side += 2) {
            float k = (float)side;
            add(&l,
                (struct draw_shape){.kind = DRAW_STROKE,
                                    .at = {k * x * 0.96f, -0.1f},
                                    .by = {k * x * 1.3f, 0.5f},
                                    .to = {k * x * 1.02f, 1.25f},
                                    .r = {0.16f, 0.12f}},
                DRAW_ADD);
        }
        break;
    case FACE_BOB:
        add_cap(&l, f, 1.16f, -y * 0.46f, 0, 0.93f);
        add_above(&l, 0.3f);
        for (int side = -1; side <= 1; side += 2) {
            float k = (float)side;
            add(&l,
                (struct draw_shape){.kind = DRAW_STROKE,
                                    .at = {k * x * 1.0f, -0.1f},
                                    .by = {k * x * 1.25f, 0.3f},
                                    .to = {k * x * 1.0f, 0.72f},
                                    .r = {0.16f, 0.08f}},
                DRAW_ADD);
        }
        break;
    case FACE_CURLY:
        add_cap(&l, f, 1.08f, -y * 0.58f, 0, 0.96f);
        add_above(&l, 0.1f);
        add_curls(&l, f, -1.15f, 1.15f, 7, 0.21f);
        break;
    case FACE_BUN:
    case FACE_N_HAIR:
        add_cap(&l, f, 1.07f, -y * 0.68f, 0.04f * s, 0.98f);
        add_above(&l, 0.12f);
        break;
    }
    data_draw_paint(d, &l);
}
