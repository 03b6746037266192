/*
 * Inside room export: writing a FlatBuffer front to back. A table's references are left open when it is written and
 * closed when what they refer to is, so every offset points forward, as the format asks.
 */
#ifndef SWEEP_EXPORT_FLATBUFFER_H
#define SWEEP_EXPORT_FLATBUFFER_H

#include "base.h"

/** A field of a table: a number of @p size bytes, or a reference that @p at tells the place of. */
struct fb_field {
    int slot, size;
    uint64_t v;
    size_t at;
};
/* clang-format off */
#define FB_BYTE(slot_, v_)  {.slot = (slot_), .size = 1, .v = (uint64_t)(v_)}
#define FB_INT(slot_, v_)   {.slot = (slot_), .size = 4, .v = (uint32_t)(v_)}
#define FB_LONG(slot_, v_)  {.slot = (slot_), .size = 8, .v = (uint64_t)(v_)}
#define FB_REF(slot_)       {.slot = (slot_), .size = 4}
/* clang-format on */

/** Zeros up to a multiple of @p to, less @p short_by. */
void fb_align(struct str *b, size_t to, size_t short_by);
/** Makes the open reference at @p at point to the end of the buffer. */
void fb_close(struct str *b, size_t at);
/** A table that closes @p at; its own references are open at fields[].at. */
void fb_table(struct str *b, size_t at, struct fb_field *fields, int n);
/** A vector of @p n open references, closes @p at; the place of the first. */
size_t fb_refs(struct str *b, size_t at, int n);
void fb_ints(struct str *b, size_t at, const int32_t *v, int n);
void fb_floats(struct str *b, size_t at, const float *v, int n);
void fb_longs(struct str *b, size_t at, const int64_t *v, int n);
void fb_string(struct str *b, size_t at, const char *s);

#endif
