"""How much two detectors say the same, without labels."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from edgevision.geometry import iou
from edgevision.types import Detections

_SAME_IOU = 0.5


def agreement(first: Iterable[Detections], second: Iterable[Detections]) -> float:
    """0..1 over all pictures: the share of what both say in what either says (Dice), scores counted.

    Boxes of one class that overlap are the same object, the best scores first. A pair counts its smaller score times
    its overlap, twice; every box counts its score below the line. Two detectors that see nothing agree.

    Args:
        first: What the first one saw, a picture each.
        second: What the second one saw in the same pictures.
    """
    common = total = 0.0
    for a, b in zip(first, second, strict=True):
        total += float(a.score.sum() + b.score.sum())
        common += 2 * _common(a, b)
    return common / total if total else 1.0


def _common(a: Detections, b: Detections) -> float:
    if not len(a) or not len(b):
        return 0.0
    overlap = np.where(a.label[:, None] == b.label, iou(a.xyxy, b.xyxy), 0.0)
    score = np.minimum(a.score[:, None], b.score)
    value = np.where(overlap >= _SAME_IOU, overlap * score, 0.0)
    total = 0.0
    while value.size and (best := float(value.max())) > 0:
        row, column = np.unravel_index(int(value.argmax()), value.shape)
        total += best
        value[row, :] = 0.0
        value[:, column] = 0.0
    return total
