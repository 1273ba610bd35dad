"""The golden test: a bundle's pictures and clips must give the boxes that they gave when the bundle was made."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgevision.bundle import Bundle, Golden, Tolerance
from edgevision.geometry import iou
from edgevision.inference.base import Batch, Detector
from edgevision.inference.golden import detect, golden_frame
from edgevision.types import Detections, Letterbox

_SAME_IOU = 0.5  # from this overlap on a box is another one's, however much it moved
_NEAR = 0.1  # above its threshold a box may have come or gone because another precision rounds otherwise
_CLIP_PX = 2.0  # each side of a box in a clip: pixels scaled from the decoder's planes are not OpenCV's
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


def selftest(
    bundle: Bundle,
    detector: Detector,
    thresholds: Mapping[str, float] | None = None,
    *,
    most: int | None = None,
    limits: Tolerance | None = None,
) -> list[GoldenResult]:
    """Run the golden pictures.

    Args:
        bundle: The model.
        detector: What runs it.
        thresholds: Scores by class name with which ``detector`` was made, where they are not the bundle's; boxes are
            compared above the higher of both.
        most: Only so many golden items: a clip first, since only that shows the way that pixels of cameras take.
        limits: What passes; without it what the artefact's entry says.

    Raises:
        ImageError: A golden picture cannot be read.
        BackendError: The detector failed.
    """
    own = _thresholds(bundle)
    floor = {name: max(score, (thresholds or {}).get(name, score)) for name, score in own.items()}
    if limits is None:
        limits = getattr(getattr(detector, "artefact", None), "tolerance", Tolerance())
    return [
        _compare(item, detect(detector, golden_frame(bundle, item)), detector.classes, floor, limits)
        for item in sorted(bundle.manifest.golden, key=lambda item: item.frame is None)[:most]
    ]


def in_exact_pixels(bundle: Bundle, detector: Detector) -> list[GoldenResult]:
    """How golden clips come out when pixels are not scaled the fast way that cameras' pixels are.

    What differs is the price of the fast way for this model: no matter of a device.

    Raises:
        ImageError: A clip cannot be read.
        BackendError: The detector failed.
    """
    return [
        _compare(
            item,
            detect(detector, golden_frame(bundle, item, exact=True)),
            detector.classes,
            _thresholds(bundle),
            Tolerance(),
        )
        for item in bundle.manifest.golden
        if item.frame is not None
    ]


def tolerance(bundle: Bundle, detector: Detector) -> Tolerance:
    """How far the golden pictures come out otherwise with a detector that is known to be good, and some room.

    A box far above its threshold that comes or goes widens nothing: the self-test refuses that. A box that falls below
    its threshold is gone.

    Args:
        bundle: The model.
        detector: Opened with the bundle's thresholds or lower ones.

    Raises:
        ImageError: A golden picture cannot be read.
        BackendError: The detector failed.
    """
    score, overlap = Tolerance().score, Tolerance().iou
    floor = _thresholds(bundle)
    for item in bundle.manifest.golden:
        found = detect(detector, golden_frame(bundle, item))
        found = found[found.score >= np.array([floor[detector.classes[label]] for label in found.label])]
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


def _thresholds(bundle: Bundle) -> dict[str, float]:
    return dict(zip(bundle.manifest.classes, bundle.thresholds(), strict=True))


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
    """(expected, found, overlap): each expected box with the free one of its class that it overlaps most.

    In a clip a box overlaps wholly when no side is further off than ``_CLIP_PX``.
    """
    wanted = np.array([box.xyxy for box in item.boxes], np.float32).reshape(-1, 4)
    same = np.array([[box.class_name == classes[label] for label in found.label] for box in item.boxes], bool)
    overlap = iou(wanted, found.xyxy)
    if item.frame is not None:
        overlap[np.abs(wanted[:, None] - found.xyxy).max(axis=2) <= _CLIP_PX] = 1
    overlap = np.where(same.reshape(len(wanted), len(found)), overlap, 0)
    for index in range(len(wanted)):
        at = int(overlap[index].argmax()) if len(found) else -1
        if at >= 0 and overlap[index, at] > 0 and overlap[index, at] >= min_iou:
            yield index, at, float(overlap[index, at])
            overlap[:, at] = -1


def _where(xyxy: Iterable[float]) -> str:
    return f"({', '.join(f'{side:.0f}' for side in xyxy)})"
