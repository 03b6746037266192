/* The rasteriser of the synthetic set: layers of signed-distance shapes painted at once as a photo and as a cartoon. */
#ifndef SWEEP_DATA_DRAW_H
#define SWEEP_DATA_DRAW_H

#include "base.h"

struct rgb {
    float r, g, b;
};
struct point {
    float x, y;
};

enum draw_kind { DRAW_ELLIPSE, DRAW_BOX, DRAW_STROKE, DRAW_ABOVE };
enum draw_op { DRAW_ADD, DRAW_CUT, DRAW_CLIP };

/** A shape in the face's own coordinates: y down, the head about 1 high above and below its centre. */
struct draw_shape {
    enum draw_op op; /* how it joins the shapes before it */
    enum draw_kind kind;
    struct point at, r; /* ellipse, box: centre and half axes; above: a line through at */
    float angle;        /* radians */
    float taper;        /* ellipse, box: how much narrower the bottom is; round: of a box's corners, in r.x */
    float round;
    struct point to, by; /* stroke: a quadratic curve from at, by way of by, to to; r.x, r.y: half width at its ends */
};

enum { DRAW_MAX_SHAPES = 10 };
enum draw_where { DRAW_BOTH, DRAW_PHOTO, DRAW_TOON };
enum draw_texture { DRAW_PLAIN, DRAW_HAIR, DRAW_CLOTH, DRAW_SKIN, DRAW_STRIPES };

struct draw_layer {
    struct draw_shape shape[DRAW_MAX_SHAPES];
    int n;
    enum draw_where where;
    enum draw_texture texture;
    struct rgb color;
    float alpha;  /* 0 means 1 */
    float soft;   /* > 0: fades out over this distance instead of ending at the edge */
    float line;   /* cartoon: width of the outline */
    float shadow; /* photo: darkness that it throws around itself, over shadow_size */
    float shadow_size;
    float shine;               /* photo: strength of the highlight; cartoon: a band */
    bool flat;                 /* not lit */
    struct point ball, ball_r; /* the ellipsoid that lights it; ball_r 0: that of shape 0 */
};

struct draw {
    int height, width;
    float *photo, *toon; /* [H,W,3], 0..1 */
    struct point centre; /* of the face, on the canvas of -1..1 on the shorter side */
    float scale, roll;
    float light[3]; /* unit vector to the light; z out of the picture */
    float ambient;
    uint64_t seed; /* of textures */
};

struct rgb data_draw_hsv(float h, float s, float v);
struct rgb data_draw_mix(struct rgb a, struct rgb b, float t);
float data_draw_noise(uint64_t seed, float x, float y); /* smooth, 0..1, one feature a unit */
/** Canvas position of a pixel's centre, in -1..1 on the shorter side. */
struct point data_draw_canvas(const struct draw *d, int x, int y);
void data_draw_paint(struct draw *d, const struct draw_layer *l);

#endif
