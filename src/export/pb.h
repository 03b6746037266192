/* Inside room export: the protobuf wire format, as much of it as ONNX needs. */
#ifndef SWEEP_EXPORT_PB_H
#define SWEEP_EXPORT_PB_H

#include "base.h"

/* ---- writing: fields appended to a buffer ---------------------------------------------------------------------- */

enum pb_wire { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 };

void pb_int(struct str *b, int field, int64_t v);
void pb_float(struct str *b, int field, float v);
void pb_bytes(struct str *b, int field, const void *p, size_t n);
void pb_str(struct str *b, int field, const char *s);
/** The head of a length-delimited field of @p n bytes that the caller writes itself. */
void pb_head(struct str *b, int field, uint64_t n);
/** Bytes that pb_head adds. */
size_t pb_head_size(int field, uint64_t n);

/* ---- reading: bounded, every byte distrusted ------------------------------------------------------------------- */

/** A message being read: [p, end) inside a file that starts at base. */
struct pb {
    const uint8_t *p, *end, *base;
    const char *where; /* the file, for messages */
};
struct pb_field {
    int field;
    enum pb_wire wire;
    uint64_t v;    /* varint or fixed */
    struct pb sub; /* bytes: what is inside */
};

/** The next field; *more is false at the end of the message. Errors: STATUS_ARG naming file and byte. */
struct status pb_next(struct pb *r, struct pb_field *f, bool *more);
/** STATUS_ARG unless the field has this wire type. */
struct status pb_want(const struct pb_field *f, enum pb_wire wire, const char *what);
/** Bytes of a field as text in the arena. */
char *pb_text(struct arena *a, const struct pb_field *f);
/** Appends the integers of a repeated field, packed or not, up to @p max; more are an error. */
struct status pb_ints(const struct pb_field *f, int64_t *v, int *n, int max, const char *what);

#endif
