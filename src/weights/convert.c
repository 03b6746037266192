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
