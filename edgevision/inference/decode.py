"""From a network's raw outputs to detections: one decoder a model family, and non-maximum suppression.

Every decoder drops what is below the threshold before anything else, so the cost follows what is in the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.bundle import Bundle, Family
from edgevision.errors import BackendError, BundleError
from edgevision.types import Detections, FloatArray, IntArray

MAX_CANDIDATES = 3000
MAX_DETECTIONS = 300
YOLOX_STRIDES = (8, 16, 32)
_RANK = 3  # pictures, and two of anchors and values

Shape = Sequence[int | str | None]


@dataclass(frozen=True, slots=True)
class Decoder:
    """Decodes the output of one model.

    Attributes:
        family: How the outputs are laid out.
        size: (width, height) of the model's input, px.
        thresholds: (C,) float32, minimum score by class.
        nms_iou: Boxes of one class that overlap more than this are one object.
    """

    family: Family
    size: tuple[int, int]
    thresholds: FloatArray
    nms_iou: float
    _grid: FloatArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_grid", yolox_grid(self.size) if self.family == "yolox" else np.zeros((0, 3)))

    def __call__(self, output: NDArray[np.generic]) -> list[Detections]:
        """Detections of each picture of a batch, in input pixels, best score first.

        Args:
            output: What the network returned, a picture a row; float16 or float32.

        Raises:
            BackendError: The output is not what the family has, or holds no numbers.
        """
        numbers = np.asarray(output, dtype=np.float32)
        check_output(self.family, numbers.shape, len(self.thresholds), self.size, error=BackendError)
        return [self._picture(item) for item in numbers]

    def _picture(self, output: FloatArray) -> Detections:
        if self.family == "yolo-e2e":
            return self._end_to_end(output)
        if self.family == "yolox":
            return self._objectness(output, self._grid)
        if self.family == "dense-xyxy":
            return self._corners(output)
        if output.shape[0] == 4 + len(self.thresholds):
            return self._class_rows(output)
        return self._objectness(output, None)

    def _class_rows(self, output: FloatArray) -> Detections:
        """YOLOv8, v9, 11: (4 + C, anchors), rows cx, cy, w, h in px, then a score a class (ultralytics ``Detect``)."""
        scores = output[4:]
        best = _numbers(scores.max(axis=0))
        at = np.flatnonzero(best >= self.thresholds.min())
        label = scores[:, at].argmax(axis=0)
        return self._finish(output[:4, at].T, best[at], label)

    def _objectness(self, output: FloatArray, grid: FloatArray | None) -> Detections:
        """(anchors, 5 + C), columns cx, cy, w, h, objectness, then a score a class; score = objectness x class.

        Without a grid, YOLOv5, v6, v7: px (yolov5 ``models/yolo.py``). With one, YOLOX: centres are offsets in cells,
        sizes logarithms (yolox ``demo_postprocess``).
        """
        at = np.flatnonzero(_numbers(output[:, 4]) >= self.thresholds.min())
        near = output[at]
        label = near[:, 5:].argmax(axis=1)
        score = near[:, 4] * near[np.arange(len(at)), 5 + label]
        boxes = near[:, :4]
        if grid is not None:
            stride = grid[at, 2:]
            boxes = np.concatenate([(boxes[:, :2] + grid[at, :2]) * stride, np.exp(boxes[:, 2:]) * stride], axis=1)
        return self._finish(boxes, score, label)

    def _end_to_end(self, output: FloatArray) -> Detections:
        """YOLOv10, 26: (300, 6), columns x1, y1, x2, y2 in px, score, class (ultralytics ``v10Detect``)."""
        near = output[_numbers(output[:, 4]) >= self.thresholds.min()]
        label = near[:, 5].astype(np.int64)
        if len(label) and not 0 <= label.min() <= label.max() < len(self.thresholds):
            msg = f"the model returned class {label.max()}, the bundle has {len(self.thresholds)} classes"
            raise BackendError(msg)
        near, label = near[keep := near[:, 4] >= self.thresholds[label]], label[keep]
        order = np.argsort(-near[:, 4], kind="stable")[:MAX_DETECTIONS]
        return Detections(near[order, :4], near[order, 4], label[order])

    def _corners(self, output: FloatArray) -> Detections:
        """``edgevision.training.fcos``: (anchors, 4 + C), columns x1, y1, x2, y2 in px, then a score a class.

        Classes are independent, so one place may hold several: each that reaches its threshold counts.
        """
        at, label = np.nonzero(_numbers(output[:, 4:]) >= self.thresholds)
        corners, score = output[at, :4], output[at, 4 + label]
        middle, size = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
        return self._finish(np.concatenate([middle, size], axis=1), score, label)

    def _finish(self, cxcywh: FloatArray, score: FloatArray, label: IntArray) -> Detections:
        """Apply the thresholds of the classes, turn centres into corners and suppress duplicates."""
        at = np.flatnonzero(score >= self.thresholds[label])
        if len(at) > MAX_CANDIDATES:
            at = at[np.argpartition(-score[at], MAX_CANDIDATES)[:MAX_CANDIDATES]]
        half = cxcywh[at, 2:] / 2
        xyxy = np.concatenate([cxcywh[at, :2] - half, cxcywh[at, :2] + half], axis=1)
        found = Detections(xyxy.astype(np.float32), score[at], label[at].astype(np.int64))
        return found[nms(found, self.nms_iou)[:MAX_DETECTIONS]]


def decoder_of(bundle: Bundle, thresholds: Mapping[str, float] | None = None) -> Decoder:
    """The decoder that a bundle's manifest asks for; ``thresholds`` by class name go before its own.

    Raises:
        BundleError: A class of ``thresholds`` does not exist.
    """
    manifest = bundle.manifest
    scores = np.asarray(bundle.thresholds(thresholds), np.float32)
    return Decoder(manifest.family, (manifest.input.width, manifest.input.height), scores, manifest.nms_iou)


def nms(found: Detections, iou: float) -> IntArray:
    """Indices of the boxes that stay, best score first: a box goes when a better one of its class overlaps it more.

    Greedy, class by class, as in Neubeck and Van Gool, "Efficient Non-Maximum Suppression", 2006.
    """
    if len(found) == 0:
        return np.zeros(0, np.int64)
    boxes = found.xyxy.astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    boxes[:, :2] -= boxes[:, :2].min(axis=0)  # OpenCV moves classes apart by the largest coordinate: none may be < 0
    suppress: Callable[..., Any] = cv2.dnn.NMSBoxesBatched  # its stubs ask for lists
    kept = suppress(boxes, found.score, found.label.astype(np.int32), -1.0, iou)
    return np.asarray(kept, np.int64).reshape(-1)


def yolox_grid(size: tuple[int, int]) -> FloatArray:
    """Column, row and stride of every YOLOX anchor, (A, 3) float32, in the order of the network's output."""
    parts = []
    for stride in YOLOX_STRIDES:
        rows, columns = np.mgrid[: size[1] // stride, : size[0] // stride]
        parts.append(np.stack([columns.ravel(), rows.ravel(), np.full(rows.size, stride)], axis=1))
    return np.concatenate(parts).astype(np.float32)


def check_output(
    family: Family,
    shape: Shape,
    classes: int,
    size: tuple[int, int],
    *,
    error: Callable[[str], Exception] = BundleError,
) -> None:
    """Compare an output's shape with what the family has; dynamic dimensions (no integers) fit everything.

    Raises:
        BundleError: It does not fit; or what ``error`` makes.
    """
    anchors = sum((size[0] // stride) * (size[1] // stride) for stride in YOLOX_STRIDES)
    allowed: dict[Family, list[tuple[int | None, int | None]]] = {
        "yolo": [(4 + classes, None), (None, 5 + classes)],
        "yolo-e2e": [(None, 6)],
        "yolox": [(anchors, 5 + classes)],
        "dense-xyxy": [(None, 4 + classes)],
    }
    if len(shape) == _RANK and any(_fits(shape[1:], want) for want in allowed[family]):
        return
    wanted = " or ".join(
        f"(N, {', '.join('A' if side is None else str(side) for side in want)})" for want in allowed[family]
    )
    got = f"({', '.join(str(side) for side in shape)})"
    msg = f"output of a {family} model with {classes} classes at {size[0]}x{size[1]}: expected {wanted}, got {got}"
    raise error(msg)


def _fits(shape: Shape, want: Sequence[int | None]) -> bool:
    return all(
        have == need or need is None or not isinstance(have, int) for have, need in zip(shape, want, strict=True)
    )


def _numbers(scores: FloatArray) -> FloatArray:
    """Refuse NaN: it compares false with every threshold, so a broken engine would look like an empty picture."""
    if np.isnan(scores).any():
        msg = "the model returned NaN scores; its precision or engine is broken"
        raise BackendError(msg)
    return scores
