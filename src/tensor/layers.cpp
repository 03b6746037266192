/* Convolutions, norms, pools, resizing: ATen's own kernels, which PyTorch's modules call too. */
#include "inside.hpp"

using at::Tensor;

struct status tensor_conv(struct tensor **out, const struct tensor *x, const struct tensor *w,
                          const struct tensor *bias, const struct tensor_conv_options *o)
{
    return made(out, o->transposed ? "conv_transpose2d" : "conv2d", [&] {
        return at::convolution(x->t, w->t, maybe(bias), o->stride, o->pad, o->dil, o->transposed, o->out_pad,
                               o->groups);
    });
}

struct status tensor_batch_norm(struct tensor **out, const struct tensor *x, const struct tensor *weight,
                                const struct tensor *bias, struct tensor *mean, struct tensor *var, bool train,
                                double momentum, double eps)
{
    return made(out, "batch_norm", [&] {
        return at::batch_norm(x->t, maybe(weight), maybe(bias), maybe(mean), maybe(var), train, momentum, eps, true);
    });
}

/** CUDA's kernel wants the weights in the map's dtype; the cast is recorded, so gradients arrive in the weights' own.
 */
static std::optional<Tensor> beside(const Tensor &x, const struct tensor *weight)
{
    if (!weight) return std::nullopt;
    return x.is_cuda() ? weight->t.to(x.scalar_type()) : weight->t;
}

struct status tensor_group_norm(struct tensor **out, const struct tensor *x, int64_t groups,
                                const struct tensor *weight, const struct tensor *bias, double eps)
{
    return made(out, "group_norm",
                [&] { return at::group_norm(x->t, groups, beside(x->t, weight), beside(x->t, bias), eps, true); });
}

struct status tensor_max_pool(struct tensor **out, const struct tensor *x, const struct tensor_pool_options *o)
{
    return made(out, "max_pool", [&] { return at::max_pool2d(x->t, o->k, o->stride, o->pad, {1, 1}, o->ceil); });
}

struct status tensor_avg_pool(struct tensor **out, const struct tensor *x, const struct tensor_pool_options *o)
{
    return made(out, "avg_pool", [&] {
        /* CUDA's backward kernel for channels last forgets the padding, without a word, in every libtorch up to 2.13.
         */
        bool wrong = x->t.is_cuda() && (o->pad[0] || o->pad[1]);
        return at::avg_pool2d(wrong ? x->t.contiguous() : x->t, o->k, o->stride, o->pad, o->ceil, o->count_pad,
                              std::nullopt);
    });
}

struct status tensor_adaptive_avg_pool(struct tensor **out, const struct tensor *x, int64_t h, int64_t w)
{
    return made(out, "adaptive_avg_pool", [&] { return at::adaptive_avg_pool2d(x->t, {h, w}); });
}

struct status tensor_upsample_nearest(struct tensor **out, const struct tensor *x, int64_t h, int64_t w)
{
    return made(out, "upsample_nearest", [&] { return at::upsample_nearest2d(x->t, {h, w}); });
}

struct status tensor_upsample_bilinear(struct tensor **out, const struct tensor *x, int64_t h, int64_t w,
                                       bool align_corners)
{
    return made(out, "upsample_bilinear", [&] { return at::upsample_bilinear2d(x->t, {h, w}, align_corners); });
}
