/* Elementwise ops, shapes and reductions: thin names over ATen. */
#include "inside.hpp"

#include <algorithm>

using at::Tensor;

/** CUDA's hardswish and hardsigmoid divide by 6 as a float even in float64, which is then right to 3e-8 only. */
static bool coarse(const Tensor &x)
{
    return x.is_cuda() && x.scalar_type() == at::kDouble;
}

static Tensor hard_step(const Tensor &x)
{
    return at::clamp(x + 3, 0, 6) / 6;
}

/* clang-format off */
static Tensor (*const unary[TENSOR_N_UNARY])(const Tensor &) = {
    [](const Tensor &x) { return at::relu(x); },
    [](const Tensor &x) { return at::hardtanh(x, 0, 6); },
    [](const Tensor &x) { return at::silu(x); },
    [](const Tensor &x) { return coarse(x) ? x * hard_step(x) : at::hardswish(x); },
    [](const Tensor &x) { return at::sigmoid(x); },
    [](const Tensor &x) { return coarse(x) ? hard_step(x) : at::hardsigmoid(x); },
    [](const Tensor &x) { return at::tanh(x); },
    [](const Tensor &x) { return at::round(x); },
    [](const Tensor &x) { return at::abs(x); },
    [](const Tensor &x) { return at::log(x); },
};
static const char *const unary_names[TENSOR_N_UNARY] = {
    "relu", "relu6", "silu", "hardswish", "sigmoid", "hardsigmoid", "tanh", "round", "abs", "log",
};
static Tensor (*const binary[TENSOR_N_BINARY])(const Tensor &, const Tensor &) = {
    [](const Tensor &a, const Tensor &b) { return at::add(a, b); },
    [](const Tensor &a, const Tensor &b) { return at::sub(a, b); },
    [](const Tensor &a, const Tensor &b) { return at::mul(a, b); },
    [](const Tensor &a, const Tensor &b) { return at::div(a, b); },
};
static const char *const binary_names[TENSOR_N_BINARY] = {"add", "sub", "mul", "div"};
/* clang-format on */

struct status tensor_unary(struct tensor **out, enum tensor_unary_op op, const struct tensor *x)
{
    return made(out, unary_names[op], [&] { return unary[op](x->t); });
}

struct status tensor_binary(struct tensor **out, enum tensor_binary_op op, const struct tensor *a,
                            const struct tensor *b)
{
    return made(out, binary_names[op], [&] { return binary[op](a->t, b->t); });
}

struct status tensor_affine(struct tensor **out, const struct tensor *x, double a, double b)
{
    return made(out, "affine", [&] {
        if (b == 0) return at::mul(x->t, a);
        return a == 1 ? at::add(x->t, b) : at::mul(x->t, a).add(b);
    });
}

struct status tensor_clamp(struct tensor **out, const struct tensor *x, double lo, double hi)
{
    return made(out, "clamp", [&] { return at::clamp(x->t, lo, hi); });
}

struct status tensor_pow(struct tensor **out, const struct tensor *x, double p)
{
    return made(out, "pow", [&] { return at::pow(x->t, p); });
}

struct status tensor_pad(struct tensor **out, const struct tensor *x, const int64_t tlbr[4])
{
    return made(out, "pad", [&] { return at::constant_pad_nd(x->t, {tlbr[1], tlbr[3], tlbr[0], tlbr[2]}, 0); });
}

struct status tensor_softmax(struct tensor **out, const struct tensor *x, int dim)
{
    return made(out, "softmax", [&] { return at::softmax(x->t, dim); });
}

struct status tensor_log_softmax(struct tensor **out, const struct tensor *x, int dim)
{
    return made(out, "log_softmax", [&] { return at::log_softmax(x->t, dim); });
}

struct status tensor_concat(struct tensor **out, struct tensor *const *x, int n, int dim)
{
    return made(out, "concat", [&] { return at::cat(list_of(x, n), dim); });
}

struct status tensor_slice(struct tensor **out, const struct tensor *x, int dim, int64_t start, int64_t len)
{
    return made(out, "slice", [&] { return at::narrow(x->t, dim, start, len); });
}

struct status tensor_reshape(struct tensor **out, const struct tensor *x, int rank, const int64_t *dims)
{
    return made(out, "reshape", [&] { return at::reshape(x->t, {dims, static_cast<size_t>(rank)}); });
}

struct status tensor_transpose(struct tensor **out, const struct tensor *x, int d0, int d1)
{
    return made(out, "transpose", [&] { return at::transpose(x->t, d0, d1); });
}

struct status tensor_matmul(struct tensor **out, const struct tensor *a, const struct tensor *b)
{
    return made(out, "matmul", [&] { return at::matmul(a->t, b->t); });
}

static std::vector<int64_t> bits(unsigned dims)
{
    std::vector<int64_t> d;
    for (int i = 0; i < TENSOR_MAX_RANK; i++)
        if (dims >> i & 1) d.push_back(i);
    return d;
}

struct status tensor_sum(struct tensor **out, const struct tensor *x, unsigned dims, bool keepdim)
{
    return made(out, "sum", [&] { return at::sum(x->t, bits(dims), keepdim); });
}

struct status tensor_mean(struct tensor **out, const struct tensor *x, unsigned dims, bool keepdim)
{
    return made(out, "mean", [&] { return at::mean(x->t, bits(dims), keepdim); });
}

struct status tensor_dropout(struct tensor **out, const struct tensor *x, double p, enum tensor_drop what)
{
    return made(out, "dropout", [&] {
        if (p == 0) return x->t;
        if (what == TENSOR_DROP_ELEMENT) return at::dropout(x->t, p, true);
        if (what == TENSOR_DROP_CHANNEL) return at::feature_dropout(x->t, p, true);
        std::vector<int64_t> one_an_image(static_cast<size_t>(x->t.dim()), 1);
        one_an_image[0] = x->t.size(0);
        Tensor mask = at::empty(one_an_image, x->t.options()).bernoulli_(1 - p);
        if (p < 1) mask.div_(1 - p);
        return at::mul(x->t, mask);
    });
}
