r"""Makes a trainer's checkpoint of a bundle's ONNX, so that training goes on from a bundle when its weights are gone.

    python -m edgevision.training.checkpoint --bundle models/pcb-defects --pictures runs/pcb/data/images/train-real \
        --out runs/pcb/start.pt

An exported graph has its batch norms folded into the convolutions. Here each norm gets the statistics of what reaches
it on the given pictures, and the scale and shift which together with them do nothing but add the folded bias: the
checkpoint computes what the graph computes, and its norms are ready to learn. Needs the `train` and `export` extras.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgevision.bundle import Bundle, read_bundle
from edgevision.inference.ort import Placement, Session
from edgevision.training.pcb_data import read_picture
from edgevision.types import Image

PICTURES = 48  # of which the statistics are taken


def unfold(graph: dict[str, np.ndarray[Any, Any]], model: Any, pixels: Any) -> None:  # noqa: ANN401 - the trainer's
    """Load folded weights into ``model`` in place.

    Args:
        graph: The graph's initialisers by name, ``PREFIX.LAYER.conv.weight`` as the trainer's exporter names them.
        model: The trainer's network with batch norms, of the graph's architecture.
        pixels: (N, 3, H, W) float32 in 0..1, pictures of the kind it was trained on.

    Raises:
        KeyError: The graph lacks a weight that the model has.
    """
    import torch

    def weight(name: str) -> Any:  # noqa: ANN401 - a tensor
        return torch.from_numpy(graph[f"model.{name}"].copy())

    def calibrate(norm: Any, reaching: tuple[Any, ...], bias: Any) -> None:  # noqa: ANN401 - the trainer's
        seen = reaching[0]
        mean, variance = seen.mean((0, 2, 3)), seen.var((0, 2, 3), unbiased=False)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(mean + bias)

    hooks = []
    with torch.no_grad():
        for name, module in model.named_modules():
            if hasattr(module, "bn") and hasattr(module, "conv"):
                module.conv.weight.copy_(weight(f"{name}.conv.weight"))
                bias = weight(f"{name}.conv.bias")
                hooks.append(module.bn.register_forward_pre_hook(lambda norm, x, bias=bias: calibrate(norm, x, bias)))
            elif isinstance(module, torch.nn.Conv2d) and module.bias is not None:
                module.weight = torch.nn.Parameter(weight(f"{name}.weight"))
                module.bias = torch.nn.Parameter(weight(f"{name}.bias"))
                module.out_channels = len(module.bias)  # of the graph's classes, not of the architecture's
        model.eval()(pixels)
    for hook in hooks:
        hook.remove()


def make(bundle: Bundle, pictures: list[Image], architecture: str, out: Path) -> float:
    """Write the checkpoint; returns how far its answers lie from the graph's at most, in px and scores.

    Args:
        bundle: A bundle whose graph takes uint8 NHWC and was exported from ``architecture``.
        pictures: (H, W, 3) uint8 BGR, any size.
        architecture: The trainer's name of it, such as ``yolo11n.yaml``.
        out: The checkpoint to write.
    """
    import onnx
    import torch
    from ultralytics import YOLO

    spec, classes, artefact = bundle.manifest.input, bundle.manifest.classes, bundle.manifest.artefacts[0]
    content = bundle.load(artefact)
    graph = {item.name: onnx.numpy_helper.to_array(item) for item in onnx.load_from_string(content).graph.initializer}
    resized = [cv2.resize(item, (spec.width, spec.height), interpolation=cv2.INTER_AREA) for item in pictures]
    batch = np.stack([cv2.cvtColor(item, cv2.COLOR_BGR2RGB) for item in resized])
    pixels = torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255
    yolo = YOLO(architecture)
    model: Any = yolo.model
    model.names, model.nc, model.yaml["nc"] = dict(enumerate(classes)), len(classes), len(classes)
    head = model.model[-1]
    head.nc, head.no = len(classes), len(classes) + 4 * head.reg_max
    unfold(graph, model, pixels)
    with torch.no_grad():
        mine = model(pixels[:2])[0].numpy()
    theirs = Session(artefact.file, content, Placement()).run(batch[:2])
    out.parent.mkdir(parents=True, exist_ok=True)
    yolo.save(out)
    return float(np.abs(mine - theirs).max())


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=Path("models/pcb-defects"))
    parser.add_argument("--pictures", type=Path, required=True, help="folder of training pictures")
    parser.add_argument("--architecture", default="yolo11n.yaml")
    parser.add_argument("--out", type=Path, default=Path("runs/pcb/start.pt"))
    options = parser.parse_args()
    files = sorted(options.pictures.iterdir())
    pictures = [read_picture(file) for file in files[:: max(1, len(files) // PICTURES)][:PICTURES]]
    off = make(read_bundle(options.bundle), pictures, options.architecture, options.out)
    print(f"{options.out}: answers within {off:.4f} of the bundle's")  # noqa: T201


if __name__ == "__main__":
    main()
