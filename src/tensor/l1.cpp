/*
 * L1 without a float32 copy of anything: the forward pass reads both maps once, the backward pass reads them once more
 * and writes the gradient in the map's own dtype. Sums go by fixed runs, so the result does not depend on the threads.
 */
#include "fused.hpp"

#include <ATen/Parallel.h>

using at::Tensor;

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,fma")))
#else
#define AVX2
#endif

namespace
{

constexpr int64_t run = 1 << 14; /* elements that one partial sum covers */
constexpr int64_t lanes = 16;

template <class T> struct sum_type {
    using type = float;
};
template <> struct sum_type<double> {
    using type = double;
};
template <class A, class B> using sum_of = decltype(typename sum_type<A>::type{} + typename sum_type<B>::type{});

template <class A, class B> __attribute__((always_inline)) inline double sum_run(const A *a, const B *b, int64_t n)
{
    using S = sum_of<A, B>;
    S lane[lanes] = {};
    int64_t i = 0;
    for (; i + lanes <= n; i += lanes)
        for (int64_t j = 0; j < lanes; j++) lane[j] += std::abs(static_cast<S>(a[i + j]) - static_cast<S>(b[i + j]));
    for (; i < n; i++) lane[0] += std::abs(static_cast<S>(a[i]) - static_cast<S>(b[i]));
    double sum = 0;
    for (S l : lane) sum += static_cast<double>(l);
    return sum;
}

/* An unsigned integer of a dtype's size: a gradient is one of three bit patterns, picked without arithmetic. */
template <class T>
using bits_of = std::conditional_t<sizeof(T) == 2, uint16_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>;

template <class A, class B>
__attribute__((always_inline)) inline void sign_some(bits_of<A> *out, const A *a, const B *b, int64_t n, bits_of<A> g)
{
    using S = sum_of<A, B>;
    const bits_of<A> minus = g ^ static_cast<bits_of<A>>(bits_of<A>{1} << (8 * sizeof(A) - 1)), zero = 0;
    for (int64_t i = 0; i < n; i++) {
        S d = static_cast<S>(a[i]) - static_cast<S>(b[i]);
        out[i] = static_cast<bits_of<A>>((d > 0 ? g : zero) | (d < 0 ? minus : zero));
    }
}

template <class A, class B>
__attribute__((always_inline)) inline void sign_run(A *out, const A *a, const B *b, int64_t n, A by)
{
    bits_of<A> g, lane[lanes];
    memcpy(&g, &by, sizeof g);
    for (int64_t i = 0; i < n; i += lanes) {
        int64_t some = std::min(lanes, n - i);
        if (some == lanes)
            sign_some(lane, a + i, b + i, lanes, g);
        else
            sign_some(lane, a + i, b + i, some, g);
        memcpy(static_cast<void *>(out + i), lane, static_cast<size_t>(some) * sizeof(A));
    }
}

template <class A, class B> double sum_plain(const A *a, const B *b, int64_t n)
{
    return sum_run(a, b, n);
}
template <class A, class B> AVX2 double sum_wide(const A *a, const B *b, int64_t n)
{
    return sum_run(a, b, n);
}
template <class A, class B> void sign_plain(A *out, const A *a, const B *b, int64_t n, A g)
{
    sign_run(out, a, b, n, g);
}
template <class A, class B> AVX2 void sign_wide(A *out, const A *a, const B *b, int64_t n, A g)
{
    sign_run(out, a, b, n, g);
}

bool wide()
{
#if defined(__x86_64__)
    static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return has;
#else
    return false;
#endif
}

template <class A, class B> double sum_all(const Tensor &x, const Tensor &y)
{
    const A *a = x.const_data_ptr<A>();
    const B *b = y.const_data_ptr<B>();
    int64_t n = x.numel(), runs = (n + run - 1) / run;
    auto sum = wide() ? sum_wide<A, B> : sum_plain<A, B>;
    std::vector<double> part(static_cast<size_t>(runs));
    at::parallel_for(0, runs, 4, [&](int64_t from, int64_t to) {
        for (int64_t r = from; r < to; r++)
            part[static_cast<size_t>(r)] = sum(a + r * run, b + r * run, std::min(run, n - r * run));
    });
    double total = 0;
    for (double p : part) total += p;
    return total / static_cast<double>(n);
}

template <class A, class B> void sign_all(Tensor &out, const Tensor &x, const Tensor &y, double g)
{
    A *o = out.data_ptr<A>();
    const A *a = x.const_data_ptr<A>();
    const B *b = y.const_data_ptr<B>();
    auto sign = wide() ? sign_wide<A, B> : sign_plain<A, B>;
    at::parallel_for(0, x.numel(), 4 * run, [&](int64_t from, int64_t to) {
        sign(o + from, a + from, b + from, to - from, static_cast<A>(static_cast<typename sum_type<A>::type>(g)));
    });
}

/** Calls f.operator()<A, B>() with the C++ types of two dtypes; false when one is not a floating dtype of ours. */
template <class F, class A> bool with_second(at::ScalarType b, F &f)
{
    switch (b) {
    case at::kFloat:
        f.template operator()<A, float>();
        return true;
    case at::kDouble:
        f.template operator()<A, double>();
        return true;
    case at::kBFloat16:
        f.template operator()<A, at::BFloat16>();
        return true;
    case at::kHalf:
        f.template operator()<A, at::Half>();
        return true;
    default:
        return false;
    }
}
template <class F> bool with_types(at::ScalarType a, at::ScalarType b, F f)
{
    switch (a) {
    case at::kFloat:
        return with_second<F, float>(b, f);
    case at::kDouble:
        return with_second<F, double>(b, f);
    case at::kBFloat16:
        return with_second<F, at::BFloat16>(b, f);
    case at::kHalf:
        return with_second<F, at::Half>(b, f);
    default:
        return false;
    }
}

/** @p t itself, or a copy, with the order of elements in memory that @p like has; @p like must be dense. */
Tensor laid_out_like(const Tensor &t, const Tensor &like)
{
    return t.strides() == like.strides() ? t : at::empty_strided(like.sizes(), like.strides(), t.options()).copy_(t);
}

Tensor dense(const Tensor &t)
{
    return t.is_non_overlapping_and_dense() ? t : t.contiguous();
}

} // namespace

at::ScalarType sums_in(at::ScalarType a, at::ScalarType b)
{
    return a == at::kDouble || b == at::kDouble ? at::kDouble : at::kFloat;
}

Tensor l1_forward(const Tensor &a, const Tensor &b)
{
    TORCH_CHECK(a.sizes() == b.sizes(), "l1 of two shapes: ", a.sizes(), " and ", b.sizes());
    auto sums = sums_in(a.scalar_type(), b.scalar_type());
    if (!a.device().is_cpu()) return at::mean(at::abs(at::sub(a, b)), sums);
    Tensor x = dense(a), y = laid_out_like(b, x);
    double mean = 0;
    bool known = with_types(x.scalar_type(), y.scalar_type(), [&]<class A, class B>() { mean = sum_all<A, B>(x, y); });
    TORCH_CHECK(known, "l1 of a dtype that is not floating");
    return at::full({}, mean, at::TensorOptions(sums));
}

Tensor l1_backward(const Tensor &a, const Tensor &b, const Tensor &g)
{
    double n = static_cast<double>(a.numel());
    if (!a.device().is_cpu()) return at::sgn(at::sub(a, b)).mul_(g / n).to(a.scalar_type());
    Tensor x = dense(a), y = laid_out_like(b, x), out = at::empty_like(x);
    double each = g.item().toDouble() / n;
    with_types(x.scalar_type(), y.scalar_type(), [&]<class A, class B>() { sign_all<A, B>(out, x, y, each); });
    return out;
}
