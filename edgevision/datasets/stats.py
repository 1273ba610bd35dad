"""Numbers that describe a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgevision.datasets.base import SPLITS, DataSet
from edgevision.datasets.measure import Measured

QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)


@dataclass(frozen=True, slots=True)
class PartStats:
    """One split, or all.

    Attributes:
        name: The split; ``all``, or ``no split``.
        pictures: In it.
        empty: Pictures without a box.
        boxes: By class.
    """

    name: str
    pictures: int
    empty: int
    boxes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Stats:
    """A data set in numbers; quantiles are those of ``QUANTILES``.

    Attributes:
        parts: Each split that has pictures, then all.
        sizes: ``WIDTHxHEIGHT`` of pictures and how many have it, the most frequent first.
        box_width_px: Quantiles.
        box_height_px: Quantiles.
        box_side_share: Quantiles of the square root of a box's area, as a share of the picture's.
        brightness: Quantiles of the pictures' mean grey, 0..255.
        unreadable: Pictures that could not be decoded.
    """

    parts: tuple[PartStats, ...]
    sizes: Mapping[str, int]
    box_width_px: tuple[float, ...]
    box_height_px: tuple[float, ...]
    box_side_share: tuple[float, ...]
    brightness: tuple[float, ...]
    unreadable: int


def stats(data: DataSet, measured: Mapping[Path, Measured]) -> Stats:
    """Count and measure.

    Args:
        data: The data set.
        measured: Of every picture, for the brightness.
    """
    parts = [_part(name, data.of(split)) for split, name in _names(data)]
    boxes, scale = boxes_of(data)
    sides = boxes[:, 2:] - boxes[:, :2]
    share = np.sqrt(np.maximum(sides.prod(axis=1), 0) / scale.prod(axis=1))
    facts = [measured[sample.file] for sample in data.samples]
    return Stats(
        parts=(*parts, _part("all", data)),
        sizes=dict(Counter(f"{width}x{height}" for width, height in (s.size for s in data.samples)).most_common()),
        box_width_px=_quantiles(sides[:, 0]),
        box_height_px=_quantiles(sides[:, 1]),
        box_side_share=_quantiles(share),
        brightness=_quantiles(np.array([item.brightness for item in facts if not item.error])),
        unreadable=sum(bool(item.error) for item in facts)
        + sum(finding.kind == "unreadable" for finding in data.findings),
    )


def boxes_of(data: DataSet) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.float64]], ...]:
    """All boxes (N, 4) px, and (N, 2) the size of the picture that each is in."""
    boxes = np.concatenate([np.zeros((0, 4)), *(sample.xyxy.astype(np.float64) for sample in data.samples)])
    scale = np.array([sample.size for sample in data.samples for _ in range(len(sample))], np.float64).reshape(-1, 2)
    return boxes, scale


def _names(data: DataSet) -> Sequence[tuple[str, str]]:
    used = {sample.split for sample in data.samples}
    return [(split, split or "no split") for split in (*SPLITS, "") if split in used]


def _part(name: str, data: DataSet) -> PartStats:
    empty = sum(len(sample) == 0 for sample in data.samples)
    return PartStats(name, len(data), empty, dict(zip(data.classes, data.counts(), strict=True)))


def _quantiles(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[float, ...]:
    return tuple(map(float, np.quantile(values, QUANTILES))) if len(values) else ()
