"""FCOS of torchvision as it is trained and exported here: square pictures, letterboxed as the runtime does."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from torch import nn, optim
from torchvision.models.detection import FCOS
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from edgevision.datasets.base import Sample
from edgevision.errors import TrainingError
from edgevision.sources.images import read_image
from edgevision.training.augment import load_pipeline
from edgevision.training.paste import Paster
from edgevision.training.settings import FcosSettings, OptimiserSettings, TrainSettings
from edgevision.types import Letterbox

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB in 0..1
LEVELS = [2, 3, 4]  # of the ResNet: strides 8, 16, 32; two coarser ones are added
GREY = 114
LOWEST_SCORE = 0.01
NMS_IOU = 0.6
KEPT_BYTES = 2**31  # of letterboxed pictures in memory, which saves reading them again


FROZEN: Final[dict[str, tuple[str, ...]]] = {
    "none": (),
    "backbone": ("backbone.body.",),
    "all_but_head": ("backbone.",),
}


class Pictures:
    """Training or validation pictures as the network takes them.

    Args:
        samples: The pictures.
        settings: Of the training.
        varied: Whether they are varied and pasted into.
    """

    def __init__(self, samples: tuple[Sample, ...], settings: TrainSettings, *, varied: bool) -> None:
        self._samples = samples
        self._size = settings.image_size
        augment = settings.augment
        self._pipeline = load_pipeline(augment.pipeline) if varied and augment.pipeline != "none" else None
        self._paster = Paster(samples, settings.seed) if varied and augment.paste > 0 else None
        self._share = augment.paste
        self._kept: dict[int, Any] = {}
        self._room = KEPT_BYTES // (self._size**2 * 3)

    def __len__(self) -> int:
        return len(self._samples)

    def keep_whole(self) -> None:
        """Nothing is moved or scaled from here on."""
        if self._pipeline is not None:
            self._pipeline = self._pipeline.whole()

    def box(self, index: int) -> Letterbox:
        """Where the picture lies in the network's input."""
        return Letterbox.fit(self._samples[index].size, (self._size, self._size))

    def __getitem__(self, index: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """(3, S, S) float32 RGB in 0..1, and boxes (N, 4) px of it with labels (N,)."""
        sample, box = self._samples[index], self.box(index)
        image = self._kept.get(index)
        if image is None:
            image = _letterboxed(read_image(sample.file), box)
            if len(self._kept) < self._room:
                self._kept[index] = image
        xyxy, label = box.to_target(sample.xyxy), sample.label
        if self._paster is not None and torch.rand(1).item() < self._share:
            rng = np.random.default_rng(int(torch.randint(2**31, (1,))))
            image, xyxy, label = self._paster.apply(image, xyxy, label, rng, box.scale[0])
        if self._pipeline is not None:
            image, xyxy, label = self._pipeline.apply(image, xyxy, label, int(torch.randint(2**31, (1,))))
        keep = ((xyxy[:, 2:] - xyxy[:, :2]) > 1).all(axis=1)
        pixels = torch.from_numpy(np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1))).float() / 255
        target = {
            "boxes": torch.from_numpy(np.ascontiguousarray(xyxy[keep], dtype=np.float32)),
            "labels": torch.from_numpy(np.ascontiguousarray(label[keep], dtype=np.int64)),
        }
        return pixels, target


def _letterboxed(image: Any, box: Letterbox) -> Any:  # noqa: ANN401 - OpenCV's arrays
    out = np.full((box.target[1], box.target[0], 3), GREY, np.uint8)
    way = cv2.INTER_AREA if box.scale[0] < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(image, box.inner, interpolation=way)
    out[box.top : box.top + box.inner[1], box.left : box.left + box.inner[0]] = resized
    return out


def network(settings: FcosSettings, classes: int, size: int, weights: Path | None) -> Any:  # noqa: ANN401 - torch's
    """The network, newly drawn or with what ``weights`` holds of it.

    Raises:
        TrainingError: The file holds no weights, or those of another network.
    """
    backbone = resnet_fpn_backbone(
        backbone_name=settings.architecture,
        weights=None,
        norm_layer=nn.BatchNorm2d,
        trainable_layers=5,
        returned_layers=LEVELS,
        extra_blocks=LastLevelP6P7(256, 256),
    )
    model = FCOS(
        backbone,
        classes,
        min_size=size,
        max_size=size,
        image_mean=list(MEAN),
        image_std=list(STD),
        score_thresh=LOWEST_SCORE,
        nms_thresh=NMS_IOU,
        detections_per_img=300,
    )
    if weights is not None:
        _take_over(model, weights, settings.architecture)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = not name.startswith(FROZEN[settings.freeze])
    return model


def learn(model: nn.Module, freeze: str) -> None:
    """Training mode, but for frozen norms: they keep their statistics as their weights."""
    model.train()
    for name, module in model.named_modules():
        if name.startswith(FROZEN[freeze]) and isinstance(module, nn.BatchNorm2d):
            module.eval()


def _take_over(model: nn.Module, weights: Path, architecture: str) -> None:
    try:
        kept = torch.load(weights, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, KeyError, OSError) as exc:
        raise TrainingError(f"model.weights: {weights}: holds no plain weights ({type(exc).__name__})") from exc
    values = kept.get("model", kept) if isinstance(kept, dict) else {}
    own = model.state_dict()
    renamed = {name if name in own else f"backbone.body.{name}": value for name, value in values.items()}
    fit = {
        name: value
        for name, value in renamed.items()
        if name in own and torch.is_tensor(value) and value.shape == own[name].shape
    }
    body = sum(name.startswith("backbone.body.") for name in own)
    if len(fit) < body / 2:
        msg = f"model.weights: {weights}: {len(fit)} of {len(own)} tensors fit fcos {architecture}"
        raise TrainingError(f"{msg}; give weights of torchvision's {architecture} or of an earlier run")
    model.load_state_dict(fit, strict=False)


def optimiser(model: nn.Module, settings: OptimiserSettings) -> optim.Optimizer:
    """Weights decay, biases and norms do not."""
    decaying: list[Any] = []
    plain: list[Any] = []
    for parameter in model.parameters():
        if parameter.requires_grad:
            (decaying if parameter.ndim > 1 else plain).append(parameter)
    groups = [{"params": decaying, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    betas = (settings.momentum, 0.999)
    made: dict[str, Any] = {
        "sgd": lambda: optim.SGD(groups, settings.rate, momentum=settings.momentum, nesterov=settings.momentum > 0),
        "rmsprop": lambda: optim.RMSprop(groups, settings.rate, momentum=settings.momentum),
        "adagrad": lambda: optim.Adagrad(groups, settings.rate),
        "adam": lambda: optim.Adam(groups, settings.rate, betas=betas),
        "adamw": lambda: optim.AdamW(groups, settings.rate, betas=betas),
        "adamax": lambda: optim.Adamax(groups, settings.rate, betas=betas),
        "nadam": lambda: optim.NAdam(groups, settings.rate, betas=betas),
        "radam": lambda: optim.RAdam(groups, settings.rate, betas=betas),
    }
    steps: optim.Optimizer = made[settings.kind]()
    return steps


class Dense(nn.Module):  # type: ignore[misc]
    """The network from pixels to (N, anchors, 4 + classes): corners in px of the input, then scores."""

    def __init__(self, model: Any, size: int) -> None:  # noqa: ANN401 - torchvision's
        super().__init__()
        self.model = model
        self.size = float(size)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1) * 255)
        self.register_buffer("scale", 1 / (torch.tensor(STD).view(1, 3, 1, 1) * 255))
        with torch.inference_mode():
            pixels = torch.zeros(1, 3, size, size)
            levels = list(model.backbone(pixels).values())
            anchors = torch.cat([_anchors(level.shape[-2:], size, 8 * 2**place) for place, level in enumerate(levels)])
        self.register_buffer("anchors", anchors.clone())

    def forward(self, pixels: Any) -> Any:  # noqa: ANN401 - tensors
        """Scores are √(class x centredness), as torchvision has them."""
        images = (pixels.float().permute(0, 3, 1, 2) - self.mean) * self.scale
        out = self.model.head(list(self.model.backbone(images).values()))
        middle, unit = self.anchors[:, :2], self.anchors[:, 2:]
        reach = out["bbox_regression"] * unit
        corners = torch.cat([middle - reach[..., :2], middle + reach[..., 2:]], dim=-1)
        corners = corners.clamp(0, self.size)  # before suppression, as torchvision does
        score = torch.sqrt(torch.sigmoid(out["cls_logits"]) * torch.sigmoid(out["bbox_ctrness"]))
        return torch.cat([corners, score], dim=-1)


def _anchors(shape: tuple[int, int], size: int, unit: int) -> torch.Tensor:
    """x, y and unit of reach of every place of a level, (H * W, 3), as torchvision's FCOS has them.

    The unit is the level's nominal stride; places lie where the real one puts them.
    """
    rows, columns = shape
    y, x = torch.meshgrid(torch.arange(rows) * (size // rows), torch.arange(columns) * (size // columns), indexing="ij")
    return torch.stack([x.flatten(), y.flatten(), torch.full((rows * columns,), unit)], dim=1).float()
