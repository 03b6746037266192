"""Writes tests/weights/lite0.json: the features that segmentation_models_pytorch computes from the published weights of
EfficientNet-Lite0 on three real faces. Pixels are read by stb_image, as ours are, so that only the net is compared.

    .ci/setup weights && .ci/setup rival
    .deps/rival/bin/python tests/weights/reference_lite0.py
"""
import ctypes, glob, json, os, subprocess, tempfile
import numpy as np
import reference_smp as smp_here
import torch

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FACES = os.path.join(os.environ.get("SWEEP_SHARED", os.path.join(TOP, "..", "shared")), "data", "heroes", "ffhq")
OFFSET, SIDE, SAMPLES, MASK = 384, 192, 32, (1 << 64) - 1


def decoder(folder):
    source, library = os.path.join(folder, "stb.c"), os.path.join(folder, "stb.so")
    with open(source, "w") as f:
        f.write("#define STB_IMAGE_IMPLEMENTATION\n#include <stb/stb_image.h>\n")
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-w", "-o", library, source, "-lm"], check=True)
    stb = ctypes.CDLL(library)
    stb.stbi_load.restype = ctypes.POINTER(ctypes.c_ubyte)
    return stb


def pixels(stb, path):
    w, h, c = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    p = stb.stbi_load(path.encode(), ctypes.byref(w), ctypes.byref(h), ctypes.byref(c), 3)
    return np.ctypeslib.as_array(p, (h.value, w.value, 3))[OFFSET:OFFSET + SIDE, OFFSET:OFFSET + SIDE]


def splitmix(z):
    z = (z + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK
    return z ^ z >> 31


def stats(t):
    v = t.double().flatten()
    return {"shape": list(t.shape), "mean": v.mean().item(), "std": v.std(unbiased=False).item(),
            "samples": [v[splitmix(i) % v.numel()].item() for i in range(SAMPLES)]}


torch.set_num_threads(1)
encoder = smp_here.smp.encoders.get_encoder("timm-tf_efficientnet_lite0", weights=None).eval()
published = torch.load(glob.glob(os.path.join(TOP, ".deps", "lite", "*lite0*", "models", "*.pth"))[0], map_location="cpu")
# Both list the same layers in the same order; only the names differ.
kept = [v for k, v in published.items() if not k.startswith("_fc.")]
own = encoder.state_dict()
assert [v.shape for v in kept] == [v.shape for v in own.values()], "another order of layers"
encoder.load_state_dict(dict(zip(own, kept)))
out = {"crop": [OFFSET, OFFSET, SIDE], "faces": []}
with tempfile.TemporaryDirectory() as folder, torch.no_grad():
    stb = decoder(folder)
    for name in sorted(os.listdir(FACES))[:3]:
        x = torch.from_numpy(pixels(stb, os.path.join(FACES, name)).astype(np.float32) / 127.5 - 1)
        taps = encoder(x.permute(2, 0, 1)[None].contiguous())
        out["faces"].append({"name": name, "taps": [stats(t) for t in taps[1:]]})
with open(os.path.join(TOP, "tests", "weights", "lite0.json"), "w") as f:
    json.dump(out, f, indent=1)
    f.write("\n")
