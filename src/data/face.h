/* A drawn person: every choice made, then the layers that show it. */
#ifndef SWEEP_DATA_FACE_H
#define SWEEP_DATA_FACE_H

#include "draw.h"

enum face_hair { FACE_BUZZ, FACE_SHORT, FACE_PARTED, FACE_LONG, FACE_BOB, FACE_CURLY, FACE_BUN, FACE_N_HAIR };
enum face_mouth { FACE_CLOSED, FACE_SMILE, FACE_OPEN, FACE_N_MOUTH };

struct face {
    struct point head; /* half axes */
    float jaw;         /* 0 round .. 0.4 narrow */
    float yaw, pitch;  /* radians */
    struct rgb skin, hair, iris, shirt, lips, glasses, back[2];
    enum face_hair style;
    enum face_mouth mouth;
    int side; /* -1, 1: of partings and looks */
    float eye_size, eye_open, eye_gap, brow, brow_angle, nose, mouth_width, smile, beard, blush;
    struct point look;
    bool has_glasses, round_glasses, tinted, stripes, collar, moustache, freckles, earrings;
    float neck;
};

/** All choices of face @p index. */
struct face data_face_draw(uint64_t seed, int index, struct draw *d);
/** Paints it over the background. */
void data_face_paint(struct draw *d, const struct face *f);

/* Parts, back to front; face_features.c and face_hair.c. */
struct point data_face_at(const struct face *f, float x, float y); /* on the head's front, -1..1 -> face coordinates */
float data_face_narrow(const struct face *f, float x); /* how much narrower a feature at x looks when turned */
void data_face_hair_behind(struct draw *d, const struct face *f);
void data_face_hair_front(struct draw *d, const struct face *f);
void data_face_features(struct draw *d, const struct face *f);
void data_face_glasses(struct draw *d, const struct face *f);

#define FACE_LINE 0.028f /* width of the cartoon's outlines */

#endif
