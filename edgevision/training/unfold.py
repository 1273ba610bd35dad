"""A bundle as the start of a training: a YOLO's exported graph becomes a checkpoint that learns again.

An exported graph has its batch norms folded into the convolutions. Here each norm gets the statistics of what reaches
it on training pictures, and the scale and shift which together with them do nothing but add the folded bias: the
checkpoint computes what the graph computes, and its norms are ready to learn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgevision.bundle import Bundle
from edgevision.errors import TrainingError
from edgevision.inference.ort import Placement, Session
from edgevision.sources.images import read_image
from edgevision.types import FloatArray, Image

PICTURES = 48  # of which the statistics are taken
CLOSE = 0.1  # px and scores; a graph whose answers lie further off is not the network it is taken for
COCO_CLASSES = 80  # a head that once had so many is as wide as they asked for
_COMPARED = 2  # pictures


def unfold(bundle: Bundle, architecture: str, files: Sequence[Path], out: Path) -> float:
    """Write the checkpoint of a bundle.

    Args:
        bundle: Of the family ``yolo``, made by `edgevision train`.
        architecture: Of its network, such as ``yolo11n``.
        files: Training pictures; at most ``PICTURES`` of them are read.
        out: The checkpoint to write.

    Returns:
        How far its answers lie from the graph's at most, px and scores.

    Raises:
        TrainingError: The graph is no network of that architecture with pixels in front.
        BundleError: The bundle has no graph of 32-bit floats.
    """
    import onnx
    import torch
    from ultralytics import YOLO
    from ultralytics.nn.tasks import DetectionModel

    spec, classes, artefact = bundle.manifest.input, bundle.manifest.classes, bundle.source()
    other = TrainingError(f"model.weights: {bundle.folder}: its {artefact.file} is no {architecture} that learned here")
    if bundle.manifest.family != "yolo" or spec.layout != "nhwc-uint8":
        raise other
    content = bundle.load(artefact)
    graph = {item.name: onnx.numpy_helper.to_array(item) for item in onnx.load_from_string(content).graph.initializer}
    batch = np.stack([_fitted(file, (spec.width, spec.height)) for file in _some(files)])
    pixels = torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255
    model: Any = None
    for count in (len(classes), COCO_CLASSES):
        model = DetectionModel(f"{architecture}.yaml", nc=count, verbose=False)
        _name(model, classes)
        try:
            _take(graph, model, pixels)
        except (KeyError, RuntimeError):  # a weight is missing, or has another shape
            continue
        break
    else:
        raise other
    with torch.no_grad():
        mine = model(pixels[:_COMPARED])[0].numpy()
    off = float(np.abs(mine - Session(artefact.file, content, Placement()).run(batch[:_COMPARED])).max())
    if off > CLOSE:
        raise other
    out.parent.mkdir(parents=True, exist_ok=True)
    yolo = YOLO(f"{architecture}.yaml")
    yolo.model = model
    yolo.save(out)
    return off


def _name(model: Any, classes: Sequence[str]) -> None:  # noqa: ANN401 - the library's
    model.names, model.nc, model.yaml["nc"] = dict(enumerate(classes)), len(classes), len(classes)
    head = model.model[-1]
    head.nc, head.no = len(classes), len(classes) + 4 * head.reg_max


def _some(files: Sequence[Path]) -> Sequence[Path]:
    return files[:: max(1, len(files) // PICTURES)][:PICTURES]


def _fitted(file: Path, size: tuple[int, int]) -> Image:
    picture = cv2.resize(read_image(file), size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(picture[..., ::-1], np.uint8)


def _take(graph: Mapping[str, FloatArray], model: Any, pixels: Any) -> None:  # noqa: ANN401 - torch's
    """Load folded weights into ``model`` in place.

    Args:
        graph: The graph's initialisers by name, ``model.LAYER.conv.weight`` as `edgevision train` exports them.
        model: The trainer's network with batch norms.
        pixels: (N, 3, H, W) float32 in 0..1.

    Raises:
        KeyError: The graph lacks a weight that the model has.
        RuntimeError: A weight has another shape.
    """
    import torch

    def weight(name: str) -> Any:  # noqa: ANN401 - a tensor
        return torch.from_numpy(graph[f"model.{name}"].copy())

    def calibrate(norm: Any, reaching: tuple[Any, ...], bias: Any) -> None:  # noqa: ANN401 - torch's
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
