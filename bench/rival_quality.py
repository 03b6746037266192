"""One training run of the Python rival for bench/quality: segmentation-models-pytorch and the weighted-Gram VGG16 loss
on two folders of images, with explicit lists. Writes the initial weights that ours starts from too, and the metrics
after the last epoch. bench/quality starts it; `vgg FILE` only writes the loss network's weights."""
import argparse
import json
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

try:  # torchvision of another build beside this torch: declare the ops that it registers fakes for
    import torchvision  # noqa: F401
except RuntimeError:
    _library = torch.library.Library("torchvision", "DEF")
    for _op in ("nms", "qnms"):
        _library.define(_op + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    for _name in [m for m in sys.modules if m.startswith("torchvision")]:
        del sys.modules[_name]

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
VGG16 = [(0, 3, 64), (2, 64, 64), (5, 64, 128), (7, 128, 128), (10, 128, 256), (12, 256, 256), (14, 256, 256),
         (17, 256, 512), (19, 512, 512), (21, 512, 512)]  # torchvision's index, channels in, out
TAPS, POOLS = {2: 0, 7: 1, 14: 2, 21: 3}, {2, 7, 14}  # after this convolution's ReLU: block of the loss; pooling
FEATURE_WEIGHTS, GRAM_WEIGHTS, GRAM_SCALE = (1, 1, 1, 1), (0.5, 1, 2, 1), 5000


def fill(name, shape):
    """Weights that any program can reproduce: splitmix64 from the FNV-1a hash of the name."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    n = int(np.prod(shape))
    with np.errstate(over="ignore"):
        z = np.uint64(h) + np.arange(n, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        u = ((z ^ z >> np.uint64(31)) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    scale = np.sqrt(3 * 1.5 / (n // shape[0])) if len(shape) > 1 else 0.1
    return torch.from_numpy(((2 * u - 1) * scale).astype(np.float32).reshape(shape))


def write_vgg(path):
    tensors = {}
    for index, cin, cout in VGG16:
        for kind, shape in (("weight", (cout, cin, 3, 3)), ("bias", (cout,))):
            name = f"features.{index}.{kind}"
            tensors[name] = fill(name, shape)
    save_file(tensors, path)


def features(w, x):
    out = []
    for index, _, _ in VGG16:
        x = F.relu(F.conv2d(x, w[f"features.{index}.weight"], w[f"features.{index}.bias"], padding=1))
        if index in TAPS:
            out.append(x)
        if index in POOLS:
            x = F.max_pool2d(x, 2)
    return out


def gram(x):
    n, c, h, w = x.shape
    x = x.reshape(n, c, h * w)
    return x @ x.transpose(1, 2) / (c * h * w)


def loss_of(w, pred, target):
    with torch.no_grad():
        wanted = features(w, target)
    total = F.l1_loss(pred, target)
    for got, want, wf, wg in zip(features(w, pred), wanted, FEATURE_WEIGHTS, GRAM_WEIGHTS):
        total = total + wf * F.l1_loss(got, want) + wg**2 * GRAM_SCALE * F.l1_loss(gram(got), gram(want))
    return total


def ssim(a, b):
    """Gaussian 11 x 11, sigma 1.5, valid positions only, range 1, mean over channels; images [1,3,H,W] in 0..1."""
    g = torch.exp(-(torch.arange(11.0) - 5) ** 2 / (2 * 1.5**2))
    g = g / g.sum()
    k = (g[:, None] * g[None, :]).expand(3, 1, 11, 11)
    blur = lambda x: F.conv2d(x, k, groups=3)  # noqa: E731
    ma, mb = blur(a), blur(b)
    va, vb, cov = blur(a * a) - ma * ma, blur(b * b) - mb * mb, blur(a * b) - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    return (((2 * ma * mb + c1) * (2 * cov + c2)) / ((ma * ma + mb * mb + c1) * (va + vb + c2))).mean().item()


def read_list(path):
    with open(path) as f:
        return f.read().split()


def load(root, folder, names, size):
    import cv2
    images = []
    for n in names:
        im = cv2.cvtColor(cv2.imread(os.path.join(root, folder, n)), cv2.COLOR_BGR2RGB)
        im = cv2.resize(im, (size, size), interpolation=cv2.INTER_AREA)
        images.append(torch.from_numpy(im.transpose(2, 0, 1).copy()))
    return (torch.stack(images).float() / 255 - MEAN) / STD


def evaluate(net, w, x, y):
    net.eval()
    sums = {"val_loss": 0.0, "l1": 0.0, "psnr": 0.0, "ssim": 0.0}
    with torch.no_grad():
        for i in range(len(x)):
            p, t = net(x[i:i + 1]), y[i:i + 1]
            sums["val_loss"] += loss_of(w, p, t).item()
            a, b = ((v * STD + MEAN).clamp(0, 1) for v in (p, t))
            sums["l1"] += (a - b).abs().mean().item()
            sums["psnr"] += 10 * float(np.log10(1 / max((a - b).square().mean().item(), 1e-12)))
            sums["ssim"] += ssim(a, b)
    net.train()
    return {k: v / len(x) for k, v in sums.items()}


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    for name in ("data", "input", "target", "train", "val", "arch", "encoder", "vgg", "init", "out"):
        ap.add_argument("--" + name, required=True)
    for name in ("size", "batch", "epochs", "seed", "threads"):
        ap.add_argument("--" + name, type=int, required=True)
    ap.add_argument("--lr", type=float, required=True)
    a = ap.parse_args()
    import segmentation_models_pytorch as smp
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    net = smp.create_model(a.arch, encoder_name=a.encoder, encoder_weights=None, classes=3)
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, a.init)
    w = load_file(a.vgg)
    train, val = read_list(a.train), read_list(a.val)
    x, y, xv, yv = (load(a.data, d, names, a.size) for names in (train, val) for d in (a.input, a.target))
    optimiser = torch.optim.AdamW(net.parameters(), a.lr)
    started = time.time()
    untrained = evaluate(net, w, xv, yv)
    curve = []
    for epoch in range(a.epochs):
        order = torch.randperm(len(x))
        for i in range(0, len(x), a.batch):
            pick = order[i:i + a.batch]
            bx, by = x[pick], y[pick]
            flip = torch.rand(len(pick)) < 0.5
            bx, by = (torch.where(flip.view(-1, 1, 1, 1), v.flip(3), v) for v in (bx, by))
            optimiser.zero_grad(set_to_none=True)
            loss_of(w, net(bx), by).backward()
            optimiser.step()
        curve.append(evaluate(net, w, xv, yv))
        print(f"rival seed {a.seed} epoch {epoch + 1}/{a.epochs}: {curve[-1]}", file=sys.stderr, flush=True)
    result = {"seed": a.seed, "final": curve[-1], "untrained": untrained, "curve": curve,
              "seconds": time.time() - started, "torch": torch.__version__}
    with open(a.out + ".part", "w") as f:
        json.dump(result, f, indent=1)
    os.replace(a.out + ".part", a.out)


if __name__ == "__main__":
    if sys.argv[1:2] == ["vgg"]:
        write_vgg(sys.argv[2])
    else:
        main()
