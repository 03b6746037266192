#!/usr/bin/env bash
# tests/weights/roundtrip.sh [BUILD]: weights travel to segmentation_models_pytorch and back. Two epochs are trained here,
# the state dict loads strictly there and computes the same; a checkpoint made there is loaded here, and exported again.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$(cd "${1:-$top/build}" && pwd)
python=$top/.deps/rival/bin/python
if [ ! -x "$python" ] || [ ! -d "$top/.deps/ort/onnxruntime" ]; then
    echo "SKIPPED: segmentation_models_pytorch and ONNX Runtime for Python are not here; .ci/setup rival installs the first"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
side() { PYTHONPATH=$top/.deps/ort${PYTHONPATH:+:$PYTHONPATH} "$python" "$top/tests/weights/roundtrip.py" "$@"; }

config() { # config NAME EXTRA: a small cell; EXTRA are lines of its own
    cat >"$1.yaml" <<YAML
name: $1
data: {root: synthetic, pairs: 8, size: 64}
loss: {feature_weights: [0.1], gram_weights: [0], network: mobilenetv3_small_100}
export: {formats: [onnx], io: tensor}
devices: []
$2
YAML
    "$build/sweep" run "$1.yaml" --no-tty --no-report
    trial=$("$build/sweep" ls "$1" --json | sed -nE 's/.*"(id|trial)": *"([0-9a-f]+)".*/\2/p' | head -1)
    onnx=$(find "results/trials/$trial"* -name '*.onnx' | head -1)
    [ -n "$onnx" ] || { echo "$1: no ONNX file under results/trials/$trial"; exit 1; }
}

echo "== trained here, read there"
config there 'model: {arch: unet, backbone: resnet18}
train: {epochs: 2, batch: 4, precision: fp32}'
for file in there.pth there.safetensors; do
    "$build/sweep" weights export "$trial" --format smp --out "$file"
    side check "$file" "$onnx"
done

echo "== made there, read here: a Lightning checkpoint, trained at a rate of nearly 0"
side make back.pth
config back 'model: {arch: unet, backbone: resnet18, weights: back.pth}
train: {epochs: 1, batch: 4, precision: fp32, lr: 1.0e-30, weight_decay: 0, freeze_bn: true}'
"$build/sweep" weights export "$trial" --out back.safetensors
side check back.safetensors "$onnx"
"$python" - <<'PYTHON'
import torch
from safetensors.torch import load_file
a, b = torch.load("back.pth", weights_only=True)["state_dict"], load_file("back.safetensors")
values = {k for k in b if not k.endswith("num_batches_tracked")}
moved = {k for k in values if (a["model." + k] - b[k]).abs().max() > 1e-20}
wrong = {k for k in moved if "running_" not in k or k.startswith("encoder.")}
print(f"{len(values - moved)} arrays are the same, {len(moved)} running statistics of the decoder moved")
assert not wrong, f"these differ: {sorted(wrong)}"
PYTHON
