"""Half of tests/weights/roundtrip.sh: the side of segmentation_models_pytorch.

    roundtrip.py make FILE.pth           a model with weights and statistics of its own, saved by torch
    roundtrip.py check STATE MODEL.onnx  STATE loads strictly and computes what our exported MODEL computes
"""
import sys
import reference_smp
import torch

model = reference_smp.smp.create_model("unet", "resnet18", encoder_weights=None, classes=3)
torch.manual_seed(3)
x = torch.randn(2, 3, 64, 64)
if sys.argv[1] == "make":
    model.train()
    with torch.no_grad():
        model(x)  # running statistics that are not 0 and 1
    torch.save({"state_dict": {"model." + k: v for k, v in model.state_dict().items()}, "epoch": 1}, sys.argv[2])
else:
    import onnxruntime

    if sys.argv[2].endswith(".safetensors"):
        from safetensors.torch import load_file as load
    else:
        load = torch.load  # refuses whatever is not weights
    print(model.load_state_dict(load(sys.argv[2]), strict=True))
    session = onnxruntime.InferenceSession(sys.argv[3], providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    with torch.no_grad():
        want = model.eval()(x)
    got = torch.cat([torch.from_numpy(session.run(None, {name: one[None].numpy()})[0]) for one in x])
    off = ((got - want).abs().max() / want.std()).item()
    print(f"largest difference: {off:.1e} standard deviations of the output")
    sys.exit(not off < 1e-4)
