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

/* The cap over the skull: how far it stands off, and the window it leaves for the face. Units of the head's half axes.
 */
struct cap {
    float grow;             /* of the head */
    float hairline;         /* top of the window, up from the middle */
    float shift;            /* of the window, to the person's side */
    float window;           /* its half width */
    float end;              /* where the cap ends below, in face coordinates */
    float lock_by, lock_to; /* locks at both sides: how far their curves reach down; 0: none */
    float alpha;
};

static const struct cap caps[FACE_N_HAIR] = {
    [FACE_BUZZ] = {.grow = 1.02f, .hairline = 0.68f, .window = 0.98f, .end = 0, .alpha = 0.85f},
    [FACE_SHORT] = {.grow = 1.1f, .hairline = 0.62f, .shift = 0.05f, .window = 1, .end = 0.06f},
    [FACE_PARTED] = {.grow = 1.12f, .hairline = 0.58f, .shift = -0.12f, .window = 0.99f, .end = 0.16f},
    [FACE_LONG] = {.grow = 1.16f, .hairline = 0.64f, .window = 0.92f, .end = 0.35f, .lock_by = 0.5f, .lock_to = 1.25f},
    [FACE_BOB] = {.grow = 1.16f, .hairline = 0.46f, .window = 0.93f, .end = 0.3f, .lock_by = 0.3f, .lock_to = 0.72f},
    [FACE_CURLY] = {.grow = 1.08f, .hairline = 0.58f, .window = 0.96f, .end = 0.1f},
    [FACE_BUN] = {.grow = 1.07f, .hairline = 0.68f, .shift = 0.04f, .window = 0.98f, .end = 0.12f},
};

static void add_cap(struct draw_layer *l, const struct face *f, const struct cap *c)
{
    float x = f->head.x, y = f->head.y, middle = data_face_at(f, 0, 0).x * 0.4f + c->shift * (float)f->side;
    add(l, ellipse(-0.04f * f->yaw, -0.06f, x * c->grow, y * c->grow), DRAW_ADD);
    add(l, ellipse(middle, y * (0.95f - c->hairline), x * c->window, y * 0.95f), DRAW_CUT);
    add(l, (struct draw_shape){.kind = DRAW_ABOVE, .at = {0, c->end}}, DRAW_CLIP);
    for (int side = -1; c->lock_to > 0 && side <= 1; side += 2) {
        float k = (float)side * x;
        add(l,
            (struct draw_shape){.kind = DRAW_STROKE,
                                .at = {k, -0.1f},
                                .by = {k * 1.3f, c->lock_by},
                                .to = {k, c->lock_to},
                                .r = {0.16f, 0.1f}},
            DRAW_ADD);
    }
}

static void add_tuft(struct draw_layer *l, float x, float y, float rx, float ry, float angle)
{
    add(l, (struct draw_shape){.kind = DRAW_ELLIPSE, .at = {x, y}, .r = {rx, ry}, .angle = angle}, DRAW_ADD);
}

void data_face_hair_front(struct draw *d, const struct face *f)
{
    struct draw_layer l = hair_layer(f);
    float s = (float)f->side, x = f->head.x, y = f->head.y;
    l.shadow = 0.3f;
    l.shadow_size = 0.07f;
    l.alpha = caps[f->style].alpha;
    add_cap(&l, f, &caps[f->style]);
    for (int i = 0; f->style == FACE_SHORT && i < 5; i++) {
        float t = -0.55f + 0.27f * (float)i;
        add_tuft(&l, x * t + 0.3f * f->yaw, -y * (0.76f - 0.16f * t * t), 0.15f, 0.24f, s * 0.5f);
    }
    if (f->style == FACE_PARTED) add_tuft(&l, x * 0.4f * s + 0.3f * f->yaw, -y * 0.68f, 0.5f, 0.2f, s * 0.42f);
    if (f->style == FACE_CURLY) add_curls(&l, f, -1.15f, 1.15f, 7, 0.21f);
    data_draw_paint(d, &l);
}
