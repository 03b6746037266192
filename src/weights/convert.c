/* Elements of any dtype as float. */
#include "inside.h"
#include <math.h>

static float from_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static float from_half(uint16_t h)
{
    uint32_t sign = (uint32_t)(h >> 15) << 31, exponent = h >> 10 & 31, fraction = h & 1023;
    if (exponent == 0) return copysignf((float)fraction * 0x1p-24f, sign ? -1.0f : 1.0f); /* zero, subnormal */
    if (exponent == 31) return from_bits(sign | 0x7f800000u | fraction << 13);
    return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

#define EACH(type, expr)                                                                                               \
    do {                                                                                                               \
        const type *v = a->data;                                                                                       \
        for (size_t i = 0; i < n; i++) out[i] = (expr);                                                                \
    } while (0)

void weights_to_f32(const struct weights_array *a, float *out)
{
    size_t n = a->bytes / weights_dtype_size(a->dtype);
    switch (a->dtype) {
    case WEIGHTS_F64:
        EACH(double, (float)v[i]);
        break;
    case WEIGHTS_F32:
        if (n) memcpy(out, a->data, a->bytes);
        break;
    case WEIGHTS_F16:
        EACH(uint16_t, from_half(v[i]));
        break;
    case WEIGHTS_BF16:
        EACH(uint16_t, from_bits((uint32_t)v[i] << 16));
        break;
    case WEIGHTS_I64:
        EACH(int64_t, (float)v[i]);
        break;
    case WEIGHTS_I32:
        EACH(int32_t, (float)v[i]);
        break;
    case WEIGHTS_I16:
        EACH(int16_t, v[i]);
        break;
    case WEIGHTS_I8:
        EACH(int8_t, v[i]);
        break;
    case WEIGHTS_U8:
        EACH(uint8_t, v[i]);
        break;
    case WEIGHTS_BOOL:
        EACH(uint8_t, v[i] != 0);
        break;
    case WEIGHTS_N_DTYPES:
        CHECK(false, "dtype");
    }
}

/* Bits of the exponent, all set in what is no finite number. */
static bool finite_bits(const struct weights_array *a, size_t i)
{
    const unsigned char *p = (const unsigned char *)a->data + i * weights_dtype_size(a->dtype);
    switch (a->dtype) {
    case WEIGHTS_F64:
        return (~weights_le(p, 8) & UINT64_C(0x7ff) << 52) != 0;
    case WEIGHTS_F32:
        return (~weights_le(p, 4) & UINT64_C(0xff) << 23) != 0;
    case WEIGHTS_F16:
        return (~weights_le(p, 2) & 0x7c00) != 0;
    case WEIGHTS_BF16:
        return (~weights_le(p, 2) & 0x7f80) != 0;
    default:
        return true;
    }
}

struct status weights_check_numbers(const struct weights_array *v, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        const struct weights_array *a = &v[k];
        size_t numel = a->bytes / weights_dtype_size(a->dtype);
        if (a->dtype >= WEIGHTS_I64 && numel > 1)
            return fail(STATUS_ARG, "tensor %s: dtype: got %s, expected F64, F32, F16 or BF16", a->name,
                        weights_dtype_name(a->dtype));
        for (size_t i = 0; i < numel; i++)
            if (!finite_bits(a, i))
                return fail(STATUS_ARG, "tensor %s: element %zu of %zu is no finite number", a->name, i, numel);
    }
    return ok();
}
