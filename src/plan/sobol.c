/*
 * The Sobol sequence: points that fill the unit cube evenly, each 2^k of them once an interval of 2^-k on every axis.
 * Source: Joe and Kuo, "Constructing Sobol sequences with better two-dimensional projections", SIAM J. Sci. Comput. 30
 * (2008) 2635; primitive polynomials (degree s, inner coefficients a) and initial numbers m as they published them.
 */
#include "inside.h"

enum { MAX_DEGREE = 7, BITS = 32 };

/* clang-format off */
static const struct {
    int s;
    unsigned a, m[MAX_DEGREE];
} rows[PLAN_SOBOL_AXES - 1] = { /* the first axis is the binary fraction reversed, and needs none */
    {1, 0, {1}}, {2, 1, {1, 3}}, {3, 1, {1, 3, 1}}, {3, 2, {1, 1, 1}}, {4, 1, {1, 1, 3, 3}}, {4, 4, {1, 3, 5, 13}},
    {5, 2, {1, 1, 5, 5, 17}}, {5, 4, {1, 1, 5, 5, 5}}, {5, 7, {1, 1, 7, 11, 19}}, {5, 11, {1, 1, 5, 1, 1}},
    {5, 13, {1, 1, 1, 3, 11}}, {5, 14, {1, 3, 5, 5, 31}}, {6, 1, {1, 3, 3, 9, 7, 49}}, {6, 13, {1, 1, 1, 15, 21, 21}},
    {6, 16, {1, 3, 1, 13, 27, 49}}, {6, 19, {1, 1, 1, 15, 7, 5}}, {6, 22, {1, 3, 1, 15, 13, 25}},
    {6, 25, {1, 1, 5, 5, 19, 61}}, {7, 1, {1, 3, 7, 11, 23, 15, 103}}, {7, 4, {1, 3, 7, 13, 13, 15, 69}},
    {7, 7, {1, 1, 3, 13, 7, 35, 63}}, {7, 8, {1, 3, 5, 9, 1, 25, 53}}, {7, 14, {1, 3, 1, 13, 9, 35, 107}},
    {7, 19, {1, 3, 1, 5, 27, 61, 31}}, {7, 21, {1, 1, 5, 11, 19, 41, 61}}, {7, 28, {1, 3, 5, 3, 3, 13, 69}},
    {7, 31, {1, 1, 7, 13, 1, 19, 1}}, {7, 32, {1, 3, 7, 5, 13, 19, 59}}, {7, 37, {1, 1, 3, 9, 25, 29, 41}},
    {7, 41, {1, 3, 5, 13, 23, 1, 55}}, {7, 42, {1, 3, 7, 3, 13, 59, 17}},
};
/* clang-format on */

/* Direction number of a bit, as the top bits of a fraction. */
static void directions(uint32_t v[BITS], int axis)
{
    for (int i = 0; i < BITS; i++) {
        if (axis == 0) {
            v[i] = 1U << (BITS - 1 - i);
            continue;
        }
        int s = rows[axis - 1].s;
        if (i < s) {
            v[i] = rows[axis - 1].m[i] << (BITS - 1 - i);
            continue;
        }
        v[i] = v[i - s] ^ (v[i - s] >> s);
        for (int k = 1; k < s; k++) v[i] ^= ((rows[axis - 1].a >> (s - 1 - k)) & 1U) * v[i - k];
    }
}

uint32_t plan_sobol(uint32_t index, int axis)
{
    uint32_t v[BITS], x = 0, gray = index ^ (index >> 1);
    CHECK(axis >= 0 && axis < PLAN_SOBOL_AXES, "axis %d", axis);
    directions(v, axis);
    for (int i = 0; i < BITS; i++)
        if ((gray >> i) & 1U) x ^= v[i];
    return x;
}
