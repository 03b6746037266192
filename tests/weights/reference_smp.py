"""segmentation_models_pytorch, also beside a torchvision that was built for another torch: importing that one fails for
two operators that nothing here calls."""
import sys
import torch

try:
    import torchvision  # noqa: F401
except RuntimeError:
    operators = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    for module in [m for m in sys.modules if m.startswith("torchvision")]:
        del sys.modules[module]
import segmentation_models_pytorch as smp  # noqa: E402,F401
