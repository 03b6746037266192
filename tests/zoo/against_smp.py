"""Cells that have no fixture, compared with segmentation_models_pytorch itself: both sides get the fixtures' weights and
image (../shared/parity/README.md) in float64 and must agree in names, shapes, the encoder's features and the output.

    against_smp.py SWEEP WORKER SHARED [BACKBONE...] [options]   # of these every architecture; options: of a model, each;
                                                                 # nothing: backbones without a fixture, and options.
                                                                 # Ends with "N passed, 0 failed"
"""
import json
import os
import subprocess
import sys

import numpy
import reference_smp
import torch

SIDE, OPTIONS_SIDE = 128, 256  # the least at which every backbone and every option can be built
TOLERANCE = 1e-8  # of the largest magnitude; two correct programs in float64 agree to about 1e-12 of it
OPTIONS = [  # architecture, backbone, keys of our configuration, arguments of the reference
    (arch, backbone, {f"model.{k}": v for k, v in ours.items()}, theirs)
    for archs, backbone, ours, theirs in [
        ("unet unetplusplus manet", "resnet18", {"depth": 4}, {"encoder_depth": 4, "decoder_channels": [256, 128, 64, 32]}),
        ("unet unetplusplus manet", "tf_efficientnet_lite0", {"depth": 3},
         {"encoder_depth": 3, "decoder_channels": [256, 128, 64]}),
        ("unet unetplusplus", "mobilenetv3_large_100", {"channels": [64, 48, 32, 24, 16]},
         {"decoder_channels": [64, 48, 32, 24, 16]}),
        ("manet", "resnet18", {"channels": [128, 64, 64, 32, 16]}, {"decoder_channels": [128, 64, 64, 32, 16]}),
        ("unet unetplusplus", "resnet18", {"interpolation": "bilinear"}, {"decoder_interpolation": "bilinear"}),
        ("unet unetplusplus", "mobilenet_v2", {"attention": "scse"}, {"decoder_attention_type": "scse"}),
        ("fpn", "resnet18", {"merge": "cat"}, {"decoder_merge_policy": "cat"}),
        ("fpn", "regnetx_002", {"channels": [128, 64]}, {"decoder_pyramid_channels": 128, "decoder_segmentation_channels": 64}),
        ("linknet", "resnet18", {"depth": 4}, {"encoder_depth": 4}),
        # The reference's last upsampling is a fixed factor; ours always comes back to the input's size.
        ("fpn", "resnet18", {"depth": 4}, {"encoder_depth": 4, "upsampling": 2}),
        ("fpn", "efficientnet-b0", {"depth": 3}, {"encoder_depth": 3, "upsampling": 1}),
        ("pspnet", "resnet34", {"depth": 4}, {"encoder_depth": 4, "upsampling": 16}),
        ("pspnet", "mobilenet_v2", {"depth": 5}, {"encoder_depth": 5, "upsampling": 32}),
        ("pspnet", "resnet34", {"channels": [256]}, {"psp_out_channels": 256}),
        ("pan", "resnet50", {"output_stride": 32}, {"encoder_output_stride": 32, "upsampling": 4}),
        ("pan", "resnet50", {"channels": [48]}, {"decoder_channels": 48}),
        ("deeplabv3", "resnet18", {"output_stride": 16}, {"encoder_output_stride": 16}),
        ("deeplabv3", "mobilenet_v2", {"channels": [96]}, {"decoder_channels": 96}),
        ("deeplabv3plus", "efficientnet-b0", {"output_stride": 8}, {"encoder_output_stride": 8}),
        ("deeplabv3plus", "regnety_002", {"depth": 4}, {"encoder_depth": 4}),
        ("unet linknet fpn", "resnet18", {"in_channels": 1}, {"in_channels": 1}),
        ("unet", "efficientnet-b0", {"in_channels": 4}, {"in_channels": 4}),
        ("unet", "mobilenetv3_small_100", {"in_channels": 4}, {"in_channels": 4}),
        ("unet", "densenet121", {"in_channels": 1}, {"in_channels": 1}),
        ("fpn", "resnet18", {"output.activation": "tanh"}, {"activation": "tanh"}),
        ("fpn", "resnet18", {"output.activation": "sigmoid"}, {"activation": "sigmoid"}),
        ("unet", "resnet18", {"output.activation": "softmax"}, {"activation": "softmax2d"}),
        ("unet", "resnet18", {"output.activation": "logsoftmax"}, {"activation": "logsoftmax"}),
    ]
    for arch in archs.split()
]


def splitmix(z):
    z = z + numpy.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return z ^ (z >> numpy.uint64(31))


def uniform(name, n):
    h = 0xCBF29CE484222325
    for b in name.encode():
        h = (h ^ b) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return (splitmix(numpy.uint64(h) + numpy.arange(n, dtype=numpy.uint64)) >> numpy.uint64(11)) * 2.0**-53


def fill(name, shape):
    n = int(numpy.prod(shape)) if len(shape) else 1
    u = uniform(name, n)
    end = name.rsplit(".", 1)[1]
    if end == "num_batches_tracked":
        u = u * 0
    elif len(shape) >= 2:
        u = (2 * u - 1) * (3 * 1.5 / (n // shape[0])) ** 0.5
    elif end == "running_var":
        u = 0.75 + 0.5 * u
    elif end == "weight":
        u = 0.8 + 0.4 * u
    else:
        u = (2 * u - 1) * 0.1
    return torch.from_numpy(u.astype(numpy.float32)).reshape(tuple(shape))


def stats(t, n):
    v = t.double().flatten()
    at = splitmix(numpy.arange(n, dtype=numpy.uint64)) % numpy.uint64(v.numel())
    return {"shape": list(t.shape), "mean": v.mean().item(), "std": v.std(correction=0).item(), "absmax": v.abs().max().item(),
            "samples": v[torch.from_numpy(at.astype(numpy.int64))].tolist()}


def expected(arch, name, side, arguments):
    """What the probe should answer; "refused" where the reference cannot build the cell."""
    try:
        model = reference_smp.smp.create_model(arch, name, encoder_weights=None, classes=3, **arguments)
    except (ValueError, NotImplementedError) as why:
        return {"refused": str(why)}
    model.load_state_dict({k: fill(k, v.shape) for k, v in model.state_dict().items()})
    tensors = [[k, list(v.shape)] for k, v in model.state_dict().items()]
    model = model.double().eval()
    shape = (1, arguments.get("in_channels", 3), side, side)
    x = torch.from_numpy((-2 + 4 * uniform("input", int(numpy.prod(shape)))).astype(numpy.float32)).reshape(shape).double()
    with torch.no_grad():
        taps, y = model.encoder(x), model(x)
    return {"params": sum(p.numel() for p in model.parameters()), "n_tensors": len(tensors), "tensors": tensors,
            "output": stats(y, 64), "taps": [stats(t, 16) for t in taps]}


def differences(got, want):
    if "refused" in want or "output" not in got:
        if ("refused" in want) != ("refused" in got):
            yield f"got {got.get('error', got.get('refused', 'a model'))}, expected {want.get('refused', 'a model')}"
        return
    for what in ("params", "n_tensors"):
        if got[what] != want[what]:
            yield f"{what}: {got[what]}, expected {want[what]}"
    if sorted(got["tensors"]) != sorted(want["tensors"]):
        yield f"tensors: {[t for t in got['tensors'] if t not in want['tensors']][:3]} are not the reference's"
    if len(got["taps"]) != len(want["taps"]):
        yield f"{len(got['taps'])} features, expected {len(want['taps'])}"
    pairs = list(zip(got["taps"], want["taps"])) + [(got["output"], want["output"])]
    for i, (a, b) in enumerate(pairs):
        name = f"feature {i}" if i + 1 < len(pairs) else "output"
        if a["shape"] != b["shape"]:
            yield f"{name}: shape {a['shape']}, expected {b['shape']}"
            continue
        numbers = zip([*a["samples"], a["mean"], a["std"], a["absmax"]], [*b["samples"], b["mean"], b["std"], b["absmax"]])
        worst = max(abs(x - y) for x, y in numbers)
        if not worst <= TOLERANCE * b["absmax"]:
            yield f"{name}: off by {worst:.2g} of {b['absmax']:.2g}"


def main():
    sweep, worker, shared, *chosen = sys.argv[1:]
    zoo = json.loads(subprocess.run([sweep, "zoo", "ls", "--json"], check=True, stdout=subprocess.PIPE).stdout)
    theirs = {b["backbone"]: b["reference"] for b in zoo}
    have = {f[:-5] for folder in ("models", "beyond") for f in os.listdir(os.path.join(shared, "parity", folder))}
    with open(os.path.join(shared, "parity", "models", "resnet18.json")) as f:
        archs = [c["arch"] for c in json.load(f)["cells"]]
    backbones = [b for b in chosen if b != "options"] if chosen else sorted(set(theirs) - have)
    cells = [(arch, b, {}, {}) for b in backbones for arch in archs]
    cells += OPTIONS if not chosen or "options" in chosen else []
    probe = subprocess.Popen([worker, "probe"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    failed = 0
    for arch, backbone, keys, arguments in cells:
        side = OPTIONS_SIDE if keys else SIDE
        request = {"kind": "model", "arch": arch, "backbone": backbone, "size": side, "dtype": "float64", "taps": True,
                   "model": keys}
        probe.stdin.write((json.dumps(request) + "\n").encode())
        probe.stdin.flush()
        want = expected(arch, theirs[backbone], side, arguments)
        got = json.loads(probe.stdout.readline())
        bad = list(differences(got, want))
        failed += bool(bad)
        print(f"{'FAILED' if bad else 'ok'}  {arch} x {backbone} {keys or ''}{': ' if bad else ''}{'; '.join(bad)}", flush=True)
    print(f"{len(cells) - failed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
