/*
 * Ops with their own backward pass, where the composition of ATen's would copy large maps to float32 or compute what
 * nobody reads: L1, Gram, and convolution + ReLU with constant weights.
 */
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>

#include "fused.hpp"
#include "inside.hpp"

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

namespace
{

/* ---- L1 ---- */

struct l1_function : Function<l1_function> {
    static Tensor forward(AutogradContext *c, const Tensor &a, const Tensor &b)
    {
        c->save_for_backward({a, b});
        return l1_forward(a, b);
    }
    static variable_list backward(AutogradContext *c, variable_list g)
    {
        variable_list saved = c->get_saved_variables();
        Tensor ga, gb;
        if (c->needs_input_grad(0)) ga = l1_backward(saved[0], saved[1], g[0]);
        if (c->needs_input_grad(1)) gb = l1_backward(saved[1], saved[0], g[0]);
        return {ga, gb};
    }
};

/* ---- Gram ---- */

/** [N,C,H,W] as [N,HW,C] when it lies so in memory, else as [N,C,HW]. */
Tensor as_matrix(const Tensor &x, bool *channels_inner)
{
    *channels_inner = x.is_contiguous(at::MemoryFormat::ChannelsLast) && !x.is_contiguous();
    if (*channels_inner) return x.permute({0, 2, 3, 1}).reshape({x.size(0), -1, x.size(1)});
    return x.reshape({x.size(0), x.size(1), -1});
}

double gram_scale(const Tensor &x)
{
    return 1.0 / static_cast<double>(x.size(1) * x.size(2) * x.size(3));
}

/**
 * Products in x's dtype. A low-precision product comes back rounded to that dtype, so the pixels are cut into runs
 * whose partial products are added in float32: that keeps the sums' precision and gives more work to do at once.
 */
Tensor gram_forward(const Tensor &x)
{
    bool inner;
    Tensor f = as_matrix(x, &inner);
    int64_t n = f.size(0), c = x.size(1), pixels = x.size(2) * x.size(3), runs = 1;
    bool low = x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kHalf;
    while (low && inner && pixels % (runs * 2) == 0 && pixels / (runs * 2) >= 1024) runs *= 2;
    if (inner) f = f.reshape({n * runs, pixels / runs, c});
    Tensor g = inner ? at::bmm(f.transpose(1, 2), f) : at::bmm(f, f.transpose(1, 2));
    auto sums = sums_in(x.scalar_type(), x.scalar_type());
    if (runs > 1) g = g.reshape({n, runs, c, c}).sum(at::IntArrayRef{1}, false, sums);
    return g.to(sums).mul_(gram_scale(x));
}

struct gram_function : Function<gram_function> {
    static Tensor forward(AutogradContext *c, const Tensor &x)
    {
        c->save_for_backward({x});
        return gram_forward(x);
    }
    static variable_list backward(AutogradContext *c, variable_list g)
    {
        Tensor x = c->get_saved_variables()[0];
        bool inner;
        Tensor f = as_matrix(x, &inner);
        Tensor m = (g[0] + g[0].transpose(1, 2)).mul_(gram_scale(x)).to(x.scalar_type());
        Tensor d = inner ? at::bmm(f, m) : at::bmm(m, f);
        if (!inner) return {d.reshape(x.sizes())};
        return {d.reshape({x.size(0), x.size(2), x.size(3), x.size(1)}).permute({0, 3, 1, 2})};
    }
};

/* ---- convolution + ReLU ---- */

/** oneDNN's convolution with the ReLU in its epilogue: one pass over the result instead of two. */
Tensor pointwise(const Tensor &x, const Tensor &w, const std::optional<Tensor> &bias,
                 const struct tensor_conv_options &o)
{
    using signature = Tensor(const Tensor &, const Tensor &, const std::optional<Tensor> &, at::IntArrayRef,
                             at::IntArrayRef, at::IntArrayRef, int64_t, std::string_view,
                             c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);
    static const auto op =
        c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_convolution_pointwise", "").typed<signature>();
    return op.call(x, w, bias, o.pad, o.stride, o.dil, o.groups, "relu", c10::List<std::optional<at::Scalar>>(),
                   std::nullopt);
}

bool one_pass(const Tensor &x, const struct tensor_conv_options &o)
{
    static const bool there = at::globalContext().hasMKLDNN() &&
                              c10::Dispatcher::singleton().findSchema({"mkldnn::_convolution_pointwise", ""});
    auto t = x.scalar_type();
    return there && !o.transposed && x.device().is_cpu() && (t == at::kFloat || t == at::kBFloat16);
}

struct conv_relu_function : Function<conv_relu_function> {
    static Tensor forward(AutogradContext *c, const Tensor &x, const Tensor &w, const std::optional<Tensor> &bias,
                          const struct tensor_conv_options *o)
    {
        Tensor y =
            one_pass(x, *o)
                ? pointwise(x, w, bias, *o)
                : at::convolution(x, w, bias, o->stride, o->pad, o->dil, o->transposed, o->out_pad, o->groups).relu_();
        if (x.requires_grad()) {
            /* x itself is not kept: the gradient to the input needs its shape only. */
            c->save_for_backward({y, w});
            c->saved_data["x"] = x.sizes().vec();
            c->saved_data["conv"] =
                std::vector<int64_t>{o->stride[0], o->stride[1],  o->pad[0],     o->pad[1],     o->dil[0],
                                     o->dil[1],    o->out_pad[0], o->out_pad[1], o->transposed, o->groups};
        }
        return y;
    }
    static variable_list backward(AutogradContext *c, variable_list g)
    {
        variable_list saved = c->get_saved_variables();
        std::vector<int64_t> o = c->saved_data["conv"].toIntVector();
        const Tensor &y = saved[0], &w = saved[1];
        auto format = y.suggest_memory_format();
        Tensor masked = at::threshold_backward(g[0].contiguous(format), y, 0);
        Tensor shape_only = at::empty(c->saved_data["x"].toIntVector(), y.options(), format);
        Tensor gx = conv_to_input(masked, shape_only, w, o);
        return {gx, Tensor(), Tensor(), Tensor()};
    }
    static Tensor conv_to_input(const Tensor &g, const Tensor &x, const Tensor &w, const std::vector<int64_t> &o)
    {
        return std::get<0>(at::convolution_backward(g, x, w, std::nullopt, {o[0], o[1]}, {o[2], o[3]}, {o[4], o[5]},
                                                    o[8] != 0, {o[6], o[7]}, o[9], {true, false, false}));
    }
};

bool recorded(const Tensor &a)
{
    return at::GradMode::is_enabled() && a.requires_grad();
}

} // namespace

struct status tensor_l1(struct tensor **out, const struct tensor *a, const struct tensor *b)
{
    return made(out, "l1", [&] { return l1_function::apply(a->t, b->t); });
}

struct status tensor_gram(struct tensor **out, const struct tensor *x)
{
    return made(out, "gram", [&] { return recorded(x->t) ? gram_function::apply(x->t) : gram_forward(x->t); });
}

struct status tensor_conv_relu(struct tensor **out, const struct tensor *x, const struct tensor *w,
                               const struct tensor *bias, const struct tensor_conv_options *o)
{
    return made(out, "conv2d + relu", [&] { return conv_relu_function::apply(x->t, w->t, maybe(bias), o); });
}
