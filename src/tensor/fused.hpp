/* The mean absolute difference and its derivative, over dense maps of any two dtypes. */
#ifndef SWEEP_TENSOR_FUSED_HPP
#define SWEEP_TENSOR_FUSED_HPP

#include <ATen/ATen.h>

/** Dtype of sums over values of these: double when one is, else float. */
at::ScalarType sums_in(at::ScalarType a, at::ScalarType b);
/** Mean of |a - b|, a scalar of sums_in(a, b). */
at::Tensor l1_forward(const at::Tensor &a, const at::Tensor &b);
/** g sign(a - b) / numel, in a's dtype. */
at::Tensor l1_backward(const at::Tensor &a, const at::Tensor &b, const at::Tensor &g);

#endif
