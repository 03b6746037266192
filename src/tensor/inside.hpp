/* Inside room tensor: the handle, and the one place where libtorch's exceptions become a status. */
#ifndef SWEEP_TENSOR_INSIDE_HPP
#define SWEEP_TENSOR_INSIDE_HPP

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#undef CHECK /* of glog's manner, which libtorch defines; ours is base's */

#include "tensor.h"

struct tensor {
    at::Tensor t;
};

/** Names @p what in the failure that the current exception becomes. Call inside a catch block only. */
struct status tensor_caught(const char *what) noexcept;

/** Runs @p f; whatever it throws becomes a status that names @p what. */
template <class F> struct status guard(const char *what, F f) noexcept
{
    try {
        f();
        return ok();
    } catch (...) {
        return tensor_caught(what);
    }
}

static inline struct tensor *wrap(at::Tensor t)
{
    return new tensor{std::move(t)};
}

/** Runs @p f, which returns a tensor, into *out; NULL there on failure. */
template <class F> struct status made(struct tensor **out, const char *what, F f) noexcept
{
    *out = nullptr;
    return guard(what, [&] { *out = wrap(f()); });
}

static inline std::optional<at::Tensor> maybe(const struct tensor *t)
{
    return t ? std::optional<at::Tensor>(t->t) : std::nullopt;
}

/** The handles' tensors as a list. */
static inline std::vector<at::Tensor> list_of(struct tensor *const *t, int64_t n)
{
    std::vector<at::Tensor> v;
    v.reserve(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; i++) v.push_back(t[i]->t);
    return v;
}

at::ScalarType scalar_type(enum tensor_dtype d);
at::Device device_of(struct tensor_device d);

/** Installs the allocator of alloc.cpp for the CPU; bytes at once alive, at most. */
void tensor_keep_blocks();
int64_t tensor_cpu_bytes_peak();
/** Gives back what is kept for later, but for small blocks. */
void tensor_drop_blocks();
/** The peak counts from here on. */
void tensor_cpu_forget_peak();

#endif
