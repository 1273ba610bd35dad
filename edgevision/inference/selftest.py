"""The golden test: a bundle's pictures must give the boxes that they gave when the bundle was made."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from edgevision.bundle import Bundle, Golden, Tolerance
from edgevision.errors import ImageError
from edgevision.geometry import iou
from edgevision.inference.base import Batch, Detector
from edgevision.inference.preprocess import single_batch
from edgevision.types import Detections, Frame, FrameTime, Image, Letterbox

_SAME_IOU = 0.5  # from this overlap on a box is another one's, however much it moved
_NEAR = 0.1  # above its threshold a box may have come or gone because another precision rounds otherwise
_ROOM = 1.5  # times what was seen: another processor rounds otherwise


@dataclass(frozen=True, slots=True)
class GoldenResult:
    """How one golden picture came out.

    Attributes:
        file: The picture.
        expected: Boxes that the manifest holds.
        matched: How many of them were found again.
        worst_iou: Smallest overlap of a matched box, 1 without any.
        worst_score: Largest change of a matched box's score.
        problems: What differs, a line each.
    """

    file: str
    expected: int
    matched: int
    worst_iou: float
    worst_score: float
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.problems


class Picture:
    """The pixels of an image file, as a frame has them."""

    def __init__(self, image: Image) -> None:
        self._image = image

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in px."""
        return self._image.shape[1], self._image.shape[0]

    def bgr(self) -> Image:
        """(H, W, 3) uint8, BGR."""
        return self._image

    def scaled(self, width: int, height: int, order: Literal["rgb", "bgr"]) -> Image:
        """(height, width, 3) uint8; averaging when it shrinks to less than half, as the sources do it."""
        shrinks = self._image.shape[1] > 2 * width and self._image.shape[0] > 2 * height
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        resized = np.asarray(cv2.resize(self._image, (width, height), interpolation=how), np.uint8)
        return resized if order == "bgr" else resized[..., ::-1]


def read_picture(path: Path) -> Frame:
    """An image file as a frame.

    Raises:
        ImageError: It is missing or no picture.
    """
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as exc:
        msg = f"cannot read {path} ({exc.strerror or exc})"
        raise ImageError(msg) from exc
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if image is None:
        msg = f"{path} is no picture, or it is truncated"
        raise ImageError(msg)
    time = FrameTime(datetime.fromtimestamp(path.stat().st_mtime, timezone.utc), 0.0, "file")
    return Frame("golden", 0, time, Picture(np.asarray(image, np.uint8)), name=path.name)


def detect(detector: Detector, frame: Frame) -> Detections:
    """What a detector sees in one frame.

    Raises:
        BackendError: The detector failed.
        ImageError: The picture is broken.
    """
    return detector.infer(single_batch([frame], detector.input))[0]


def warm_up(detector: Detector) -> None:
    """Run empty pictures, one and as many as go at once: what a GPU prepares at first use is prepared.

    Raises:
        BackendError: The detector failed.
    """
    spec = detector.input
    letterbox = Letterbox.fit((spec.width, spec.height), (spec.width, spec.height))
    for count in {1, detector.max_batch}:
        images = np.full((count, spec.height, spec.width, 3), spec.pad, np.uint8)
        detector.infer(Batch(images, [letterbox] * count))


def golden_boxes(detector: Detector, picture: Path) -> list[dict[str, Any]]:
    """What a manifest's ``golden`` item lists under ``boxes``: everything that the detector finds now.

    Raises:
        ImageError: The picture cannot be read.
        BackendError: The detector failed.
    """
    found = detect(detector, read_picture(picture))
    return [
        {
            "class": detector.classes[label],
            "xyxy": [round(float(side), 1) for side in box],
            "score": round(float(score), 4),
        }
        for box, score, label in zip(found.xyxy, found.score, found.label, strict=True)
    ]


def selftest(
    bundle: Bundle, detector: Detector, thresholds: Mapping[str, float] | None = None, *, most: int | None = None
) -> list[GoldenResult]:
    """Run the golden pictures.

    Args:
        bundle: The model.
        detector: What runs it.
        thresholds: Scores by class name with which ``detector`` was made, where they are not the bundle's; boxes are
            compared above the higher of both.
        most: Only so many golden pictures, the first ones.

    Raises:
        ImageError: A golden picture cannot be read.
        BackendError: The detector failed.
    """
    own = dict(zip(bundle.manifest.classes, bundle.thresholds(), strict=True))
    floor = {name: max(score, (thresholds or {}).get(name, score)) for name, score in own.items()}
    limits = getattr(getattr(detector, "artefact", None), "tolerance", Tolerance())
    return [
        _compare(item, detect(detector, read_picture(bundle.path(item.file))), detector.classes, floor, limits)
        for item in bundle.manifest.golden[:most]
    ]


def tolerance(bundle: Bundle, detector: Detector) -> Tolerance:
    """How far the golden pictures come out otherwise with a detector that is known to be good, and some room.

    A box far above its threshold that comes or goes widens nothing: the self-test refuses that.

    Args:
        bundle: The model.
        detector: Opened with low thresholds.

    Raises:
        ImageError: A golden picture cannot be read.
        BackendError: The detector failed.
    """
    score, overlap = Tolerance().score, Tolerance().iou
    floor = dict(zip(bundle.manifest.classes, bundle.thresholds(), strict=True))
    for item in bundle.manifest.golden:
        found = detect(detector, read_picture(bundle.path(item.file)))
        gone, new = set(range(len(item.boxes))), set(range(len(found)))
        for index, at, same in _pairs(item, found, detector.classes, _SAME_IOU):
            gone.discard(index)
            new.discard(at)
            score = max(score, _ROOM * abs(float(found.score[at]) - item.boxes[index].score))
            overlap = min(overlap, 1 - _ROOM * (1 - same))
        above = [item.boxes[index].score - floor[item.boxes[index].class_name] for index in gone]
        above += [float(found.score[at]) - floor[detector.classes[found.label[at]]] for at in new]
        score = max([score, *(_ROOM * value for value in above if value <= _NEAR)])
    return Tolerance(score=min(1.0, math.ceil(100 * score) / 100), iou=max(0.0, math.floor(100 * overlap) / 100))


def _compare(
    item: Golden, found: Detections, classes: Sequence[str], floor: dict[str, float], limits: Tolerance
) -> GoldenResult:
    """Match expected boxes with found ones of their class; those near the threshold may come and go."""
    problems, ious, changes = [], [1.0], [0.0]
    missing, new = set(range(len(item.boxes))), set(range(len(found)))
    for index, at, overlap in _pairs(item, found, classes, limits.iou):
        missing.discard(index)
        new.discard(at)
        box = item.boxes[index]
        ious.append(overlap)
        changes.append(abs(float(found.score[at]) - box.score))
        if changes[-1] > limits.score:
            problems.append(
                f"{box.class_name} at {_where(box.xyxy)}: score expected {box.score:.3f}, got {found.score[at]:.3f}"
            )
    for index in sorted(missing):
        box = item.boxes[index]
        if box.score > floor[box.class_name] + limits.score:
            best = max((same for of, _, same in _pairs(item, found, classes, 0.0) if of == index), default=0.0)
            problems.append(f"{box.class_name} {box.score:.2f} at {_where(box.xyxy)} not found, best IoU {best:.2f}")
    for at in sorted(new):
        name = classes[found.label[at]]
        if found.score[at] > floor[name] + limits.score:
            problems.append(f"{name} {found.score[at]:.2f} at {_where(found.xyxy[at])} was not there before")
    return GoldenResult(item.file, len(item.boxes), len(ious) - 1, min(ious), max(changes), tuple(problems))


def _pairs(item: Golden, found: Detections, classes: Sequence[str], min_iou: float) -> Iterator[tuple[int, int, float]]:
    """(expected, found, overlap): each expected box with the free one of its class that it overlaps most."""
    wanted = np.array([box.xyxy for box in item.boxes], np.float32).reshape(-1, 4)
    same = np.array([[box.class_name == classes[label] for label in found.label] for box in item.boxes], bool)
    overlap = np.where(same.reshape(len(wanted), len(found)), iou(wanted, found.xyxy), 0)
    for index in range(len(wanted)):
        at = int(overlap[index].argmax()) if len(found) else -1
        if at >= 0 and overlap[index, at] > 0 and overlap[index, at] >= min_iou:
            yield index, at, float(overlap[index, at])
            overlap[:, at] = -1


def _where(xyxy: Iterable[float]) -> str:
    return f"({', '.join(f'{side:.0f}' for side in xyxy)})"
