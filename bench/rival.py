"""What the benches share: where things lie, what the rival calls our backbones, and one training, ours or the rival's."""
import json
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHARED = os.environ.get("SWEEP_SHARED", os.path.join(TOP, "..", "shared"))
PYTHON = os.path.join(TOP, ".deps", "rival", "bin", "python")  # by .ci/setup rival
LACKS = {"mobilenetv3": "tu-tf_", "tf_efficientnet_lite": "timm-"}  # beginnings of our names -> what they lack there


def encoder(backbone):
    return next((prefix + backbone for family, prefix in LACKS.items() if backbone.startswith(family)), backbone)


def need(*paths):
    """Ends with what to do at the first (path, remedy) that is not there."""
    for path, remedy in paths:
        if not os.path.exists(path):
            sys.exit(f"{sys.argv[0]}: {path}: absent: {remedy}")


def check(a, rival=True):
    """What train() needs is there."""
    need((a.data, "folders ffhq/ and comics_heroes/ with images of the same names; --data DIR"),
         (os.path.join(a.build, "sweep-worker"), "run make build"))
    if rival:
        need((a.rival, "the rival's script; SWEEP_SHARED=DIR says where bench/peer_train.py lies, or --rival"),
             (PYTHON, "run .ci/setup rival"))


def train(a, program, mode, environment=None):
    """One training in a fresh process: its line of numbers."""
    command = {"rival": [PYTHON, a.rival, "--mode", mode, "--encoder", encoder(a.backbone)],
               "ours": [os.path.join(a.build, "sweep-worker"), "bench-train", "--precision", mode,
                        "--backbone", a.backbone]}[program]
    for key in ("data", "arch", "size", "batch", "steps", "threads"):
        command += ["--" + key, str(getattr(a, key))]
    p = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                       env={**os.environ, **(environment or {})})
    if p.returncode != 0:
        sys.exit(f"{sys.argv[0]}: {program} {mode}: exit {p.returncode}\n{' '.join(command)}\n{p.stderr[-2000:]}")
    return json.loads(p.stdout.strip().splitlines()[-1])
