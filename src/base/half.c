/* IEEE half precision in software: what files and runtimes hold, never what is computed in. */
#include "base.h"
#include <math.h>

uint16_t half_from_float(float v)
{
    uint16_t sign = signbit(v) ? 0x8000 : 0;
    double a = fabs((double)v);
    if (isnan(v)) return 0x7e00;
    if (a >= 65520) return (uint16_t)(sign | 0x7c00);
    int e;
    frexp(a, &e);                               /* a = m 2^e, m in [0.5, 1) */
    if (a == 0 || e < -13) e = -13;             /* zero and subnormals: steps of 2^-24 */
    double steps = nearbyint(ldexp(a, 11 - e)); /* 11 bits of mantissa */
    /* The carry of a rounded mantissa moves into the exponent by itself. */
    return (uint16_t)(sign | (uint16_t)((int)steps + ((e + 13) << 10)));
}

float half_to_float(uint16_t h)
{
    int e = h >> 10 & 31, m = h & 1023;
    double v = e == 31 ? (m ? (double)NAN : (double)INFINITY) : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
    return (float)(h & 0x8000 ? -v : v);
}
