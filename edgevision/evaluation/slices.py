"""Where a model is weak: what it finds at the operating point by board, camera, size, brightness, class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgevision.datasets.base import PART, Sample
from edgevision.evaluation.coco import SIZES, size_names
from edgevision.evaluation.intervals import Rate
from edgevision.evaluation.matching import Match
from edgevision.evaluation.predict import Predictions
from edgevision.geometry import area
from edgevision.types import BoolArray, IntArray

MOST_VALUES = 30  # a column with more of them, e.g. a serial number, tells pictures apart and not conditions
MIN_BOXES = 20  # labelled boxes below which a slice is listed and never named the worst


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the data.

    Attributes:
        by: What it is cut by: a column, ``class``, ``size`` or ``brightness``.
        value: Which piece.
        pictures: Pictures in it.
        recall: Labelled boxes found, of all.
        precision: Detections that find a box, of all; ``None`` by size, where a false one belongs to no box's size.
        worst: Whether it is worse than the rest of its kind beyond chance.
    """

    by: str
    value: str
    pictures: int
    recall: Rate
    precision: Rate | None
    worst: bool = False


@dataclass(frozen=True, slots=True)
class _Boxes:
    """Every labelled box and every kept detection, one a row, with the picture it is in."""

    picture: IntArray
    label: IntArray
    right: BoolArray


def slices(predictions: Predictions, matches: Sequence[Match]) -> list[Slice]:
    """Every slice that tells something: kinds with one value only are left out.

    The worst of a kind is named where its recall is the lowest, at least ``MIN_BOXES`` boxes are in it, and its 95 %
    interval does not overlap that of the others together.
    """
    samples = predictions.data.samples
    truth, seen = _truth(predictions, matches), _seen(predictions, matches)
    kinds = {column: [sample.columns.get(column, "") for sample in samples] for column in _columns(samples)}
    out: list[Slice] = []
    for by, values in kinds.items():
        out += _marked(_by_picture(by, values, sorted(set(values)), (truth, seen)))
    grey, names = _brightness(predictions)
    out += _marked(_by_picture("brightness", grey, names, (truth, seen)))
    out += _marked(_by_class(predictions, truth, seen))
    out += _marked(_by_size(predictions, truth))
    return out


def _columns(samples: Sequence[Sample]) -> list[str]:
    names = dict.fromkeys(name for sample in samples for name in sample.columns if name != PART)
    return [name for name in names if len({sample.columns.get(name, "") for sample in samples}) <= MOST_VALUES]


def _brightness(predictions: Predictions) -> tuple[list[str], list[str]]:
    """Each picture's third by mean grey value, and the thirds; one for all when they hardly differ."""
    grey = np.asarray(predictions.brightness)
    low, high = np.quantile(grey, (1 / 3, 2 / 3))
    if high - low < 1:
        return ["all"] * len(grey), ["all"]
    names = [f"dark (grey < {low:.0f})", "medium", f"bright (grey > {high:.0f})"]
    return [names[int(value > low) + int(value > high)] for value in grey], names


def _truth(predictions: Predictions, matches: Sequence[Match]) -> _Boxes:
    picture, right = [], []
    for place, (sample, item) in enumerate(zip(predictions.data.samples, matches, strict=True)):
        found = np.ones(len(sample), np.bool_)
        found[item.missed] = False
        picture.append(np.full(len(sample), place, np.int64))
        right.append(found)
    label = [sample.label for sample in predictions.data.samples]
    return _Boxes(np.concatenate(picture), np.concatenate(label), np.concatenate(right))


def _seen(predictions: Predictions, matches: Sequence[Match]) -> _Boxes:
    picture = [np.full(len(item.kept), place, np.int64) for place, item in enumerate(matches)]
    label = [found.label[item.kept] for found, item in zip(predictions.found, matches, strict=True)]
    right = [item.truth >= 0 for item in matches]
    return _Boxes(np.concatenate(picture), np.concatenate(label), np.concatenate(right))


def _rate(right: BoolArray) -> Rate:
    return Rate(int(right.sum()), len(right))


def _by_picture(by: str, values: Sequence[str], names: Sequence[str], boxes: tuple[_Boxes, _Boxes]) -> list[Slice]:
    truth, seen = boxes
    array = np.asarray(values, dtype=object)
    return [
        Slice(
            by,
            value or "(not given)",
            int((array == value).sum()),
            _rate(truth.right[array[truth.picture] == value]),
            _rate(seen.right[array[seen.picture] == value]),
        )
        for value in names
        if value in values
    ]


def _by_class(predictions: Predictions, truth: _Boxes, seen: _Boxes) -> list[Slice]:
    out = []
    for index, name in enumerate(predictions.data.classes):
        mine = truth.label == index
        recall, precision = _rate(truth.right[mine]), _rate(seen.right[seen.label == index])
        if recall.total or precision.total:
            out.append(Slice("class", name, len(np.unique(truth.picture[mine])), recall, precision))
    return out


def _by_size(predictions: Predictions, truth: _Boxes) -> list[Slice]:
    sizes = [name for sample in predictions.data.samples for name in size_names(area(sample.xyxy))]
    array = np.asarray(sizes, dtype=object)
    there = [name for name in SIZES if name in sizes]
    return [
        Slice("size", name, len(np.unique(truth.picture[array == name])), _rate(truth.right[array == name]), None)
        for name in there
    ]


def _marked(group: list[Slice]) -> list[Slice]:
    """The group with its worst slice marked, where there is one beyond chance; nothing of a group of one."""
    if len(group) < 2:  # noqa: PLR2004 - nothing to compare with
        return []
    enough = [item for item in group if item.recall.total >= MIN_BOXES]
    if not enough:
        return group
    worst = min(enough, key=lambda item: item.recall.value or 0.0)
    rest = [item.recall for item in group if item is not worst]
    others = Rate(sum(rate.count for rate in rest), sum(rate.total for rate in rest))
    beyond_chance = others.total > 0 and worst.recall.interval[1] < others.interval[0]
    return [replace(item, worst=True) if beyond_chance and item is worst else item for item in group]
