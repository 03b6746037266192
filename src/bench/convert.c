/* Element types of tensors, to and from float. */
#include "runtime.h"
#include <math.h>

int64_t bench_array_numel(const struct bench_array *a)
{
    int64_t n = 1;
    for (int i = 0; i < a->rank; i++) n *= a->shape[i];
    return n;
}

size_t type_size(int type)
{
    static const size_t sizes[] = {
        [BENCH_FLOAT] = 4, [BENCH_UINT8] = 1, [BENCH_INT8] = 1,
        [BENCH_INT32] = 4, [BENCH_INT64] = 8, [BENCH_FLOAT16] = 2,
    };
    return type >= 0 && (size_t)type < LEN(sizes) ? sizes[type] : 0;
}

static float between(float v, float lo, float hi)
{
    return !(v > lo) ? lo : v > hi ? hi : rintf(v); /* what is no number becomes the least */
}

void type_from_float(void *to, int type, const float *v, int64_t n)
{
    switch (type) {
    case BENCH_FLOAT:
        memcpy(to, v, (size_t)n * sizeof *v);
        return;
    case BENCH_UINT8:
        for (int64_t i = 0; i < n; i++) ((uint8_t *)to)[i] = (uint8_t)between(v[i], 0, 255);
        return;
    case BENCH_INT8:
        for (int64_t i = 0; i < n; i++) ((int8_t *)to)[i] = (int8_t)between(v[i], -128, 127);
        return;
    case BENCH_INT32:
        for (int64_t i = 0; i < n; i++) ((int32_t *)to)[i] = (int32_t)between(v[i], -1e9f, 1e9f);
        return;
    case BENCH_INT64:
        for (int64_t i = 0; i < n; i++) ((int64_t *)to)[i] = (int64_t)between(v[i], -1e9f, 1e9f);
        return;
    case BENCH_FLOAT16:
        for (int64_t i = 0; i < n; i++) ((uint16_t *)to)[i] = half_from_float(v[i]);
        return;
    default:
        CHECK(false, "element type %d", type);
    }
}

void type_to_float(float *v, const void *from, int type, int64_t n)
{
    switch (type) {
    case BENCH_FLOAT:
        memcpy(v, from, (size_t)n * sizeof *v);
        return;
    case BENCH_UINT8:
        for (int64_t i = 0; i < n; i++) v[i] = ((const uint8_t *)from)[i];
        return;
    case BENCH_INT8:
        for (int64_t i = 0; i < n; i++) v[i] = ((const int8_t *)from)[i];
        return;
    case BENCH_INT32:
        for (int64_t i = 0; i < n; i++) v[i] = (float)((const int32_t *)from)[i];
        return;
    case BENCH_INT64:
        for (int64_t i = 0; i < n; i++) v[i] = (float)((const int64_t *)from)[i];
        return;
    case BENCH_FLOAT16:
        for (int64_t i = 0; i < n; i++) v[i] = half_to_float(((const uint16_t *)from)[i]);
        return;
    default:
        CHECK(false, "element type %d", type);
    }
}
