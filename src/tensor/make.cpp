/* Making tensors, reading them, filling them, and autograd's few verbs. */
#include <ATen/Parallel.h>

#include <cmath>

#include "inside.hpp"

static at::IntArrayRef dims_of(int rank, const int64_t *dims)
{
    return {dims, static_cast<size_t>(rank)};
}

struct status tensor_from_host(struct tensor **out, enum tensor_dtype dtype, int rank, const int64_t *dims,
                               const void *data, struct tensor_device d)
{
    return made(out, "copy to the device", [&] {
        at::Tensor host = at::empty(dims_of(rank, dims), scalar_type(dtype));
        memcpy(host.data_ptr(), data, host.nbytes());
        return d.cuda ? host.to(device_of(d)) : host;
    });
}

struct status tensor_zeros(struct tensor **out, enum tensor_dtype dtype, int rank, const int64_t *dims,
                           struct tensor_device d)
{
    return tensor_full(out, 0, dtype, rank, dims, d);
}

struct status tensor_full(struct tensor **out, double value, enum tensor_dtype dtype, int rank, const int64_t *dims,
                          struct tensor_device d)
{
    return made(out, "make a tensor", [&] {
        return at::full(dims_of(rank, dims), value, at::TensorOptions(scalar_type(dtype)).device(device_of(d)));
    });
}

struct tensor *tensor_ref(const struct tensor *t)
{
    return wrap(t->t);
}

void tensor_free(struct tensor *t)
{
    delete t;
}

int tensor_rank(const struct tensor *t)
{
    return static_cast<int>(t->t.dim());
}

int64_t tensor_dim(const struct tensor *t, int d)
{
    return t->t.size(d);
}

int64_t tensor_numel(const struct tensor *t)
{
    return t->t.numel();
}

struct status tensor_item(double *out, const struct tensor *t)
{
    *out = 0;
    return guard("read a number", [&] { *out = t->t.item().toDouble(); });
}

template <class T> static struct status to_host(const struct tensor *t, T *out)
{
    return guard("copy to the host", [&] {
        at::Tensor x = t->t.detach().to(at::kCPU, c10::CppTypeToScalarType<T>::value).contiguous();
        memcpy(out, x.data_ptr(), x.nbytes());
    });
}

struct status tensor_to_f32(const struct tensor *t, float *out)
{
    return to_host(t, out);
}

struct status tensor_to_f64(const struct tensor *t, double *out)
{
    return to_host(t, out);
}

struct status tensor_to_i64(const struct tensor *t, int64_t *out)
{
    return to_host(t, out);
}

struct status tensor_all_finite(bool *out, const struct tensor *t)
{
    *out = false;
    return guard("all finite", [&] { *out = at::isfinite(t->t).all().item().toBool(); });
}

/* ---- overwriting ---- */

static struct status copy_over(struct tensor *t, const at::Tensor &from)
{
    at::NoGradGuard off;
    t->t.detach().copy_(from);
    return ok();
}

template <class T> static struct status set_from(struct tensor *t, const T *v)
{
    return guard("set values", [&] {
        auto options = at::TensorOptions(c10::CppTypeToScalarType<T>::value);
        at::Tensor host = at::empty(t->t.sizes(), options);
        memcpy(host.data_ptr(), v, host.nbytes());
        copy_over(t, host);
    });
}

struct status tensor_set_f32_in(struct tensor *t, const float *v)
{
    return set_from(t, v);
}

struct status tensor_set_f64_in(struct tensor *t, const double *v)
{
    return set_from(t, v);
}

struct status tensor_copy_in(struct tensor *t, const struct tensor *from)
{
    return guard("copy values", [&] {
        TORCH_CHECK(t->t.sizes() == from->t.sizes(), "two shapes");
        copy_over(t, from->t);
    });
}

/** @p value(i, two) gives elements i and i + 1 of even i. */
template <class F> static struct status fill(struct tensor *t, F value)
{
    return guard("fill", [&] {
        at::Tensor host = at::empty(t->t.sizes(), at::kFloat);
        float *p = host.data_ptr<float>();
        int64_t n = host.numel();
        /* Only a huge tensor is worth a second thread: images are being decoded while weights are drawn. */
        at::parallel_for(0, (n + 1) / 2, 1 << 19, [&](int64_t from, int64_t to) {
            for (int64_t i = 2 * from; i < 2 * to; i += 2) {
                float two[2];
                value(i, two);
                p[i] = two[0];
                if (i + 1 < n) p[i + 1] = two[1];
            }
        });
        copy_over(t, host);
    });
}

struct status tensor_fill_uniform_in(struct tensor *t, uint64_t key, double scale)
{
    return fill(t, [=](int64_t i, float *two) {
        for (int64_t k = 0; k < 2; k++) {
            double u = static_cast<double>(rng_splitmix(key + static_cast<uint64_t>(i + k)) >> 11) * 0x1p-53;
            two[k] = static_cast<float>((2 * u - 1) * scale);
        }
    });
}

/* Box and Muller in float: one counter gives two numbers, and 24 bits of each uniform reach 5.8 deviations. */
struct status tensor_fill_normal_in(struct tensor *t, uint64_t key, double scale)
{
    const float s = static_cast<float>(scale), turn = 6.2831853071795864769F;
    return fill(t, [=](int64_t i, float *two) {
        uint64_t z = rng_splitmix(key + static_cast<uint64_t>(i / 2));
        float u = static_cast<float>((z >> 40) + 1) * 0x1p-24F, v = static_cast<float>(z & 0xffffff) * 0x1p-24F;
        float r = s * std::sqrt(-2 * std::log(u));
        two[0] = r * std::cos(turn * v);
        two[1] = r * std::sin(turn * v);
    });
}

struct status tensor_rows(struct tensor **out, const struct tensor *t, int64_t start, int64_t len)
{
    return made(out, "rows", [&] { return t->t.narrow(0, start, len).clone(); });
}

struct status tensor_to_dtype(struct tensor **out, const struct tensor *t, enum tensor_dtype dtype)
{
    return made(out, "convert", [&] { return t->t.to(scalar_type(dtype)); });
}

struct status tensor_to_device(struct tensor **out, const struct tensor *t, struct tensor_device d)
{
    return made(out, "copy to the device", [&] { return t->t.to(device_of(d)); });
}

struct status tensor_to_layout(struct tensor **out, const struct tensor *t, bool channels_last)
{
    return made(out, "layout", [&] {
        bool nhwc = channels_last && t->t.dim() == 4;
        return t->t.contiguous(nhwc ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
    });
}

/* ---- autograd ---- */

bool tensor_grad_mode(bool on)
{
    bool was = at::GradMode::is_enabled();
    at::GradMode::set_enabled(on);
    return was;
}

struct status tensor_want_grad_in(struct tensor *t, bool on)
{
    return guard("want a gradient", [&] { t->t.set_requires_grad(on); });
}

bool tensor_wants_grad(const struct tensor *t)
{
    return t->t.requires_grad();
}

struct status tensor_backward(const struct tensor *t, double scale)
{
    return guard("backward", [&] {
        if (scale == 1)
            t->t.backward();
        else
            t->t.backward(at::full_like(t->t, scale));
    });
}

struct status tensor_backward_from(const struct tensor *t, const struct tensor *grad)
{
    return guard("backward", [&] { t->t.backward(grad->t); });
}

struct status tensor_grad(struct tensor **out, const struct tensor *t)
{
    *out = nullptr;
    return guard("gradient", [&] {
        if (t->t.grad().defined()) *out = wrap(t->t.grad());
    });
}

struct status tensor_set_grad_in(struct tensor *t, const struct tensor *grad)
{
    return guard("gradient", [&] { t->t.mutable_grad() = grad->t; });
}

struct status tensor_detach(struct tensor **out, const struct tensor *t)
{
    return made(out, "detach", [&] { return t->t.detach(); });
}

struct status tensor_drop_grads(struct tensor *const *t, int n)
{
    return guard("drop gradients", [&] {
        for (int i = 0; i < n; i++) t[i]->t.mutable_grad().reset();
    });
}
