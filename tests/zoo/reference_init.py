"""Writes tests/zoo/init.json: how segmentation_models_pytorch starts parameters from scratch. Of each family's smallest
backbone, and of each architecture's decoder, the first and the last parameter of a kind: its distribution and deviation
over several constructions.

    .ci/setup rival && make build
    .deps/rival/bin/python tests/zoo/reference_init.py
"""
import json, os, re, subprocess, sys
import torch

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "weights"))
from reference_smp import smp  # noqa: E402

SEEDS, LEAST = 6, 4000  # constructions; numbers that a deviation must rest on


def sweep(*words):
    out = subprocess.run([os.path.join(TOP, "build", "sweep"), *words, "--json"], check=True, stdout=subprocess.PIPE)
    return json.loads(out.stdout)


def kind_of(v):
    if v.abs().max() == 0:
        return "zero"
    if (v == 1).all():
        return "one"
    z = (v - v.mean()) / v.std()
    return "uniform" if (z ** 4).mean() < 2.4 else "normal"  # a kurtosis of 1.8, of 3


def rows(arch, backbone, build, prefix):
    """[arch, backbone, name, distribution, deviation, numbers] of the parameters under a prefix."""
    seen, models = {}, []
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        models.append(dict(build().named_parameters()))
    for name, p in models[0].items():
        if not name.startswith(prefix):
            continue
        kind = (re.sub(r"\d+", "#", name), tuple(p.shape[2:]))
        seen.setdefault(kind, []).append(name)
    out = []
    for name in sorted({n for names in seen.values() for n in (names[0], names[-1])}):
        v = torch.cat([m[name].detach().flatten() for m in models]).double()
        kind = kind_of(v)
        if kind in ("zero", "one") or len(v) >= LEAST:
            out.append([arch, backbone, name, kind, float(f"{v.std().item():.5g}"), len(v)])
    return out


def main():
    smallest, all_rows = {}, []
    for b in sweep("zoo", "ls"):
        best = smallest.get(b["family"])
        if not best or b["params"] < best["params"]:
            smallest[b["family"]] = b
    for b in smallest.values():
        reference = sweep("zoo", "show", "unet", b["backbone"])["reference"]
        all_rows += rows("unet", b["backbone"],
                         lambda: smp.create_model("unet", reference, encoder_weights=None, classes=3), "encoder.")
    for arch in dict.fromkeys(c["arch"] for c in sweep("zoo", "ls", "--cost", "--size", "64")):
        build = lambda: smp.create_model(arch, "resnet18", encoder_weights=None, classes=3)  # noqa: E731
        all_rows += rows(arch, "resnet18", build, "decoder.") + rows(arch, "resnet18", build, "segmentation_head.")
    with open(os.path.join(TOP, "tests", "zoo", "init.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(r) for r in all_rows) + "\n]\n")
    print(len(all_rows), "rows")


if __name__ == "__main__":
    main()
