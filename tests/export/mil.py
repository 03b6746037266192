"""Runs Core ML packages where there is no Core ML: each is read by coremltools' own reader of MIL, which checks types and
shapes, and computed operation by operation with PyTorch. For each package DIR/NAME.mlpackage there is DIR/NAME.in and
DIR/NAME.want, float32; prints NAME, the largest difference over the output's size, and how far it may be; fails when one
is over that.

    mil.py DIR TOLERANCE
"""
import logging
import pathlib
import sys

logging.disable(logging.CRITICAL)
import numpy as np
import torch
import torch.nn.functional as F
from coremltools.converters.mil.frontend.milproto import load
from coremltools.proto import Model_pb2


def sides(pad):  # before and after of each axis -> what torch's pad wants
    t, b, l, r = (int(p) for p in pad)
    return l, r, t, b


def conv(x, weight, strides, pad, dilations, groups, bias=None, **_):
    return F.conv2d(F.pad(x, sides(pad)), weight, bias, tuple(strides), 0, tuple(dilations), int(groups))


def conv_transpose(x, weight, strides, pad, dilations, groups, bias=None, **_):
    y = F.conv_transpose2d(x, weight, bias, tuple(strides), 0, 0, int(groups), tuple(dilations))
    t, b, l, r = (int(p) for p in pad)
    return y[:, :, t : y.shape[2] - b, l : y.shape[3] - r]


def max_pool(x, kernel_sizes, strides, pad, **_):
    return F.max_pool2d(F.pad(x, sides(pad), value=-float("inf")), tuple(kernel_sizes), tuple(strides))


def avg_pool(x, kernel_sizes, strides, pad, exclude_padding_from_average, **_):
    k, s = tuple(kernel_sizes), tuple(strides)
    y = F.avg_pool2d(F.pad(x, sides(pad)), k, s)
    if exclude_padding_from_average:
        y = y / F.avg_pool2d(F.pad(torch.ones_like(x), sides(pad)), k, s)
    return y


def resize_bilinear(x, target_size_height, target_size_width, sampling_mode, **_):
    corners = {"STRICT_ALIGN_CORNERS": True, "UNALIGN_CORNERS": False}[sampling_mode]
    size = (int(target_size_height), int(target_size_width))
    return F.interpolate(x, size, mode="bilinear", align_corners=corners)


def nearest(x, scale_factor_height, scale_factor_width, **_):
    return x.repeat_interleave(int(scale_factor_height), 2).repeat_interleave(int(scale_factor_width), 3)


def pad(x, pad, constant_val, **_):
    amounts = [int(p) for p in pad]
    pairs = [amounts[i : i + 2] for i in range(0, len(amounts), 2)]
    return F.pad(x, [a for p in reversed(pairs) for a in p], value=float(constant_val))


def layer_norm(x, axes, epsilon, **_):
    dims = [int(a) for a in axes]
    centred = x - x.mean(dims, keepdim=True)
    return centred / torch.sqrt((centred**2).mean(dims, keepdim=True) + float(epsilon))


def slice_by_size(x, begin, size, **_):
    return x[tuple(slice(int(b), int(b) + int(s)) for b, s in zip(begin, size))]


def dims(axes):
    return [int(a) for a in axes]


OPS = {
    "conv": conv,
    "conv_transpose": conv_transpose,
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "resize_bilinear": resize_bilinear,
    "upsample_nearest_neighbor": nearest,
    "pad": pad,
    "layer_norm": layer_norm,
    "slice_by_size": slice_by_size,
    "relu": lambda x: F.relu(x),
    "relu6": lambda x: F.relu6(x),
    "silu": lambda x: F.silu(x),
    "sigmoid": lambda x: torch.sigmoid(x),
    "round": lambda x: torch.round(x),
    "tanh": lambda x: torch.tanh(x),
    "sigmoid_hard": lambda x, alpha, beta: torch.clamp(x * float(alpha) + float(beta), 0, 1),
    "clip": lambda x, alpha, beta: torch.clamp(x, float(alpha), float(beta)),
    "maximum": lambda x, y: torch.maximum(x, torch.as_tensor(y)),
    "minimum": lambda x, y: torch.minimum(x, torch.as_tensor(y)),
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "matmul": lambda x, y, **_: torch.matmul(x, y),
    "softmax": lambda x, axis: torch.softmax(x, int(axis)),
    "reduce_log_sum_exp": lambda x, axes, keep_dims: torch.logsumexp(x, dims(axes), bool(keep_dims)),
    "reduce_mean": lambda x, axes, keep_dims: x.mean(dims(axes), bool(keep_dims)),
    "reduce_sum": lambda x, axes, keep_dims: x.sum(dims(axes), bool(keep_dims)),
    "concat": lambda values, axis, **_: torch.cat(list(values), int(axis)),
    "gather": lambda x, indices, axis, **_: torch.index_select(x, int(axis), torch.as_tensor(indices).long()),
    "reshape": lambda x, shape: x.reshape([int(s) for s in shape]),
    "transpose": lambda x, perm: x.permute([int(p) for p in perm]),
    "cast": lambda x, dtype: x.to({"fp16": torch.float16, "fp32": torch.float32}[dtype]),
    "identity": lambda x: x,
}


def value_of(var, values):
    if isinstance(var, (list, tuple)):
        return [value_of(v, values) for v in var]
    if var.name in values:
        return values[var.name]
    v = var.val
    if isinstance(v, (np.ndarray, np.floating)) and np.asarray(v).dtype in (np.float32, np.float16):
        return torch.from_numpy(np.array(v))
    return v


def run(package, x):
    data = package / "Data" / "com.apple.CoreML"
    spec = Model_pb2.Model()
    spec.ParseFromString((data / "model.mlmodel").read_bytes())
    main = load.load(spec, spec.specificationVersion, str(data / "weights")).functions["main"]
    (name,) = main.inputs
    values = {name: x.reshape([int(d) for d in main.inputs[name].shape])}
    for op in main.operations:
        if op.op_type == "const":
            continue
        if op.op_type == "constexpr_affine_dequantize":
            q, scale = op.inputs["quantized_data"].val, op.inputs["scale"].val
            assert q.dtype == np.int8 and int(op.inputs["axis"].val) == 0 and int(op.inputs["zero_point"].val) == 0
            whole = q.astype(np.float32) * scale.astype(np.float32).reshape(-1, 1, 1, 1)
            values[op.outputs[0].name] = torch.from_numpy(whole.astype(scale.dtype))
            continue
        args = {k: value_of(v, values) for k, v in op.inputs.items() if v is not None}
        # Half precision is stored, not computed in: what a phone accumulates in is not known here.
        made = OPS[op.op_type](**{k: v.float() if torch.is_tensor(v) else [w.float() for w in v] if k == "values" else v
                                  for k, v in args.items()})
        made = made.to({"fp16": torch.float16}.get(op.outputs[0].dtype.__name__, torch.float32))
        assert list(made.shape) == list(op.outputs[0].shape), (op.name, made.shape, op.outputs[0].shape)
        values[op.outputs[0].name] = made
    return values[main.outputs[0].name].float()


def main():
    folder, tolerance, wrong, n = pathlib.Path(sys.argv[1]), float(sys.argv[2]), 0, 0
    for package in sorted(folder.glob("*.mlpackage")):
        stem = folder / package.name.removesuffix(".mlpackage")
        x = torch.from_numpy(np.fromfile(f"{stem}.in", np.float32))
        want = torch.from_numpy(np.fromfile(f"{stem}.want", np.float32))
        try:
            worst = float((run(package, x).flatten() - want).abs().max() / max(1.0, float(want.abs().max())))
        except Exception as e:  # what a reader refuses is a result of its own
            print(f"{stem.name}: {type(e).__name__}: {e}")
            worst = float("inf")
        n += 1
        wrong += not worst <= tolerance
        if not worst <= tolerance:
            print(f"{stem.name}: largest difference {worst:g}, allowed {tolerance:g}")
    print(f"{n} packages, {wrong} wrong")
    return 1 if wrong or not n else 0


sys.exit(main())
