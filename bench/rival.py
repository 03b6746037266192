"""What bench/train and bench/quality share: where things lie, and what the rival calls our backbones."""
import os

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHARED = os.environ.get("SWEEP_SHARED", os.path.join(TOP, "..", "shared"))
PYTHON = os.path.join(TOP, ".deps", "rival", "bin", "python")  # by .ci/setup rival
LACKS = {"mobilenetv3": "tu-tf_", "tf_efficientnet_lite": "timm-"}  # beginnings of our names -> what they lack there


def encoder(backbone):
    return next((prefix + backbone for family, prefix in LACKS.items() if backbone.startswith(family)), backbone)
