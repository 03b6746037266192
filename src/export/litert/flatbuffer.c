/* FlatBuffers: tables, vectors and strings, little-endian, aligned to their largest member. */
#include "flatbuffer.h"

static void number(struct str *b, uint64_t v, int size)
{
    unsigned char bytes[8];
    for (int i = 0; i < size; i++) bytes[i] = (unsigned char)(v >> 8 * i);
    str_addn(b, bytes, (size_t)size);
}

static void patch(struct str *b, size_t at, uint64_t v, int size)
{
    for (int i = 0; i < size; i++) b->s[at + (size_t)i] = (char)(unsigned char)(v >> 8 * i);
}

void fb_align(struct str *b, size_t to, size_t short_by)
{
    while ((b->n + short_by) % to) number(b, 0, 1);
}

void fb_close(struct str *b, size_t at)
{
    patch(b, at, b->n - at, 4);
}

void fb_table(struct str *b, size_t at, struct fb_field *fields, int n)
{
    size_t offset[32] = {0}, end = 4, align = 4;
    int slots = 0;
    for (int i = 0; i < n; i++) {
        size_t size = (size_t)fields[i].size;
        CHECK(fields[i].slot < 32, "slot %d", fields[i].slot);
        end = (end + size - 1) / size * size;
        offset[fields[i].slot] = end;
        end += size;
        if (size > align) align = size;
        if (fields[i].slot >= slots) slots = fields[i].slot + 1;
    }
    size_t head = 4 + 2 * (size_t)slots;
    fb_align(b, align, head); /* the table follows its list of offsets at once */
    number(b, head, 2);
    number(b, end, 2);
    for (int i = 0; i < slots; i++) number(b, offset[i], 2);
    size_t start = b->n;
    fb_close(b, at);
    number(b, head, 4); /* how far back the list of offsets is */
    for (size_t k = 4; k < end; k++) number(b, 0, 1);
    for (int i = 0; i < n; i++) {
        fields[i].at = start + offset[fields[i].slot];
        patch(b, fields[i].at, fields[i].v, fields[i].size);
    }
}

size_t fb_refs(struct str *b, size_t at, int n)
{
    fb_align(b, 4, 0);
    fb_close(b, at);
    number(b, (uint64_t)n, 4);
    size_t first = b->n;
    for (int i = 0; i < n; i++) number(b, 0, 4);
    return first;
}

void fb_ints(struct str *b, size_t at, const int32_t *v, int n)
{
    fb_align(b, 4, 0);
    fb_close(b, at);
    number(b, (uint64_t)n, 4);
    for (int i = 0; i < n; i++) number(b, (uint32_t)v[i], 4);
}

void fb_floats(struct str *b, size_t at, const float *v, int n)
{
    fb_align(b, 4, 0);
    fb_close(b, at);
    number(b, (uint64_t)n, 4);
    for (int i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &v[i], sizeof bits);
        number(b, bits, 4);
    }
}

void fb_longs(struct str *b, size_t at, const int64_t *v, int n)
{
    fb_align(b, 8, 4); /* its numbers, behind the length, lie at a multiple of their size */
    fb_close(b, at);
    number(b, (uint64_t)n, 4);
    for (int i = 0; i < n; i++) number(b, (uint64_t)v[i], 8);
}

void fb_string(struct str *b, size_t at, const char *s)
{
    fb_align(b, 4, 0);
    fb_close(b, at);
    number(b, strlen(s), 4);
    str_addn(b, s, strlen(s) + 1);
}
