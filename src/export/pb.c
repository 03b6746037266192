/* The protobuf wire format. */
#include "pb.h"

static void varint(struct str *b, uint64_t v)
{
    unsigned char out[10];
    size_t n = 0;
    do {
        out[n++] = (unsigned char)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        v >>= 7;
    } while (v);
    str_addn(b, out, n);
}

static size_t varint_size(uint64_t v)
{
    size_t n = 1;
    while (v >>= 7) n++;
    return n;
}

static uint64_t tag(int field, enum pb_wire wire)
{
    return (uint64_t)field << 3 | (uint64_t)wire;
}

void pb_int(struct str *b, int field, int64_t v)
{
    varint(b, tag(field, PB_VARINT));
    varint(b, (uint64_t)v);
}

void pb_float(struct str *b, int field, float v)
{
    varint(b, tag(field, PB_FIXED32));
    str_addn(b, &v, sizeof v); /* little-endian, as every machine this builds for */
}

void pb_head(struct str *b, int field, uint64_t n)
{
    varint(b, tag(field, PB_BYTES));
    varint(b, n);
}

size_t pb_head_size(int field, uint64_t n)
{
    return varint_size(tag(field, PB_BYTES)) + varint_size(n);
}

void pb_bytes(struct str *b, int field, const void *p, size_t n)
{
    pb_head(b, field, n);
    str_addn(b, p, n);
}

void pb_str(struct str *b, int field, const char *s)
{
    pb_bytes(b, field, s, strlen(s));
}

static struct status bad(const struct pb *r, const char *what)
{
    return fail(STATUS_ARG, "%s: byte %lld: %s: the file is cut or of another kind", r->where,
                (long long)(r->p - r->base), what);
}

static struct status read_varint(struct pb *r, uint64_t *out)
{
    uint64_t v = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        if (r->p == r->end) return bad(r, "a number ends early");
        uint8_t c = *r->p++;
        if (shift < 64) v |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80)) {
            *out = v;
            return ok();
        }
    }
    return bad(r, "a number has more than 10 bytes");
}

static struct status read_fixed(struct pb *r, size_t n, uint64_t *out)
{
    if ((size_t)(r->end - r->p) < n) return bad(r, "a number ends early");
    *out = 0;
    memcpy(out, r->p, n);
    r->p += n;
    return ok();
}

struct status pb_next(struct pb *r, struct pb_field *f, bool *more)
{
    *more = r->p < r->end;
    if (!*more) return ok();
    uint64_t key;
    TRY(read_varint(r, &key));
    *f = (struct pb_field){.field = (int)(key >> 3 & 0x1fffffff), .wire = (enum pb_wire)(key & 7), .sub = *r};
    if (key >> 32 || f->field == 0) return bad(r, "no field has this number");
    switch ((int)f->wire) {
    case PB_VARINT:
        return read_varint(r, &f->v);
    case PB_FIXED64:
        return read_fixed(r, 8, &f->v);
    case PB_FIXED32:
        return read_fixed(r, 4, &f->v);
    case PB_BYTES:
        TRY(read_varint(r, &f->v));
        if (f->v > (uint64_t)(r->end - r->p)) return bad(r, "a field is longer than what holds it");
        f->sub.p = r->p;
        f->sub.end = r->p += f->v;
        return ok();
    default:
        return bad(r, "unknown kind of field");
    }
}

struct status pb_want(const struct pb_field *f, enum pb_wire wire, const char *what)
{
    if (f->wire == wire) return ok();
    return fail(STATUS_ARG, "%s: byte %lld: %s: got wire type %d, expected %d: the file is damaged or of another kind",
                f->sub.where, (long long)(f->sub.p - f->sub.base), what, (int)f->wire, (int)wire);
}

char *pb_text(struct arena *a, const struct pb_field *f)
{
    size_t n = (size_t)(f->sub.end - f->sub.p);
    char *s = arena_alloc(a, n + 1);
    memcpy(s, f->sub.p, n);
    return s;
}

struct status pb_ints(const struct pb_field *f, int64_t *v, int *n, int max, const char *what)
{
    struct pb sub = f->sub;
    uint64_t one = f->v;
    if (f->wire != PB_BYTES) TRY(pb_want(f, PB_VARINT, what));
    while (f->wire != PB_BYTES || sub.p < sub.end) {
        if (f->wire == PB_BYTES) TRY(read_varint(&sub, &one));
        if (*n == max) return fail(STATUS_ARG, "%s: %s: expected at most %d numbers", f->sub.where, what, max);
        v[(*n)++] = (int64_t)one;
        if (f->wire != PB_BYTES) break;
    }
    return ok();
}
