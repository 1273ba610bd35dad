"""Where a model is weak: boxes and parts at the operating point by board, camera, size, brightness, class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgevision.datasets.base import PART, Sample
from edgevision.evaluation.coco import SIZES, CocoResult, coco_result, size_names
from edgevision.evaluation.intervals import CONFIDENCE, Rate, two_sided
from edgevision.evaluation.matching import Match
from edgevision.evaluation.parts import Parts
from edgevision.evaluation.predict import Predictions
from edgevision.geometry import area
from edgevision.types import BoolArray, IntArray

OWN_KINDS = frozenset({"brightness", "class", "size"})  # a column of such a name is told apart
NOT_GIVEN = "(not given)"
MOST_VALUES = 30  # a column with more of them, e.g. a serial number, tells pictures apart and not conditions
MIN_COUNT = 20  # labelled boxes or parts below which a slice is listed and never named the worst


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the data.

    Attributes:
        by: What it is cut by: a column, ``class``, ``size`` or ``brightness``.
        value: Which piece.
        pictures: Pictures in it.
        recall: Labelled boxes found, of all.
        precision: Detections that find a box, of all; ``None`` by size, where a false one belongs to no box's size.
        escape: Defective parts passed, of all in it; ``None`` by class and size, which parts do not have.
        overkill: Good parts rejected, of all in it; likewise.
        map50: Average precision at IoU 0.5; ``None`` where no box is labelled.
        worst: In which of ``recall``, ``escape`` and ``overkill`` it is worse than the rest of its kind beyond chance.
    """

    by: str
    value: str
    pictures: int
    recall: Rate
    precision: Rate | None
    escape: Rate | None = None
    overkill: Rate | None = None
    map50: float | None = None
    worst: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Boxes:
    """Every labelled box and every kept detection, one a row, with the picture it is in."""

    picture: IntArray
    label: IntArray
    right: BoolArray


@dataclass(frozen=True, slots=True)
class _Seen:
    """What slices are counted from."""

    truth: _Boxes
    seen: _Boxes
    parts: Parts
    rejected: BoolArray


def slices(
    predictions: Predictions,
    matches: Sequence[Match],
    parts: Parts,
    thresholds: Sequence[float],
    coco: CocoResult,
    judged: Predictions,
) -> list[Slice]:
    """Every slice that tells something: kinds with one value only are left out.

    The worst of a kind is named where its recall is the lowest, or its escape or overkill rate the highest, at least
    ``MIN_COUNT`` boxes or parts are in it, and its interval does not overlap the 95 % one of the others together; it is
    the wider, the more slices compete. A part whose pictures lie in two slices counts in both.

    Args:
        predictions: Pictures with labels and detections.
        matches: One a picture.
        parts: Of the same pictures.
        thresholds: Of the defect classes.
        coco: Average precisions of ``judged``.
        judged: Those of the pictures whose average precision counts, all but templates.
    """
    samples = predictions.data.samples
    truth, seen = _truth(predictions, matches), _seen(predictions, matches)
    kinds = {column: [sample.columns.get(column, "") for sample in samples] for column in _columns(samples)}
    counted = _Seen(truth, seen, parts, parts.called_ng(thresholds))
    out: list[Slice] = []
    for by, values in kinds.items():
        found = _by_picture(by, values, sorted(set(values)), counted)
        named = [replace(item, by=f"column {by}") for item in found] if by in OWN_KINDS else found
        out += _marked(_precise(named, values, predictions, judged))
    grey, names = _brightness(predictions)
    out += _marked(_precise(_by_picture("brightness", grey, names, counted), grey, predictions, judged))
    classes, sizes = _by_class(predictions, truth, seen), _by_size(predictions, truth)
    out += _marked([replace(item, map50=coco.by_class[item.value].map50) for item in classes])
    out += _marked([replace(item, map50=coco.by_size[item.value].map50) for item in sizes])
    return out


def _precise(
    group: Sequence[Slice], values: Sequence[str], predictions: Predictions, judged: Predictions
) -> list[Slice]:
    """The slices with their average precision, if there are several; a group of one is left out anyway."""
    if len(group) < 2:  # noqa: PLR2004
        return list(group)
    slice_of = {sample.file: value or NOT_GIVEN for sample, value in zip(predictions.data.samples, values, strict=True)}
    parts = [judged.of(lambda sample, value=item.value: slice_of[sample.file] == value) for item in group]  # type: ignore[misc]
    return [replace(item, map50=coco_result(part).overall.map50) for item, part in zip(group, parts, strict=True)]


def _columns(samples: Sequence[Sample]) -> list[str]:
    names = dict.fromkeys(name for sample in samples for name in sample.columns if name != PART)
    return [name for name in names if len({sample.columns.get(name, "") for sample in samples}) <= MOST_VALUES]


def _brightness(predictions: Predictions) -> tuple[list[str], list[str]]:
    """Each picture's third by mean grey value, and the thirds; one for all when they hardly differ."""
    grey = np.asarray(predictions.brightness)
    low, high = np.quantile(grey, (1 / 3, 2 / 3))
    if high - low < 1:
        return ["all"] * len(grey), ["all"]
    names = [f"dark (grey up to {low:.0f})", "medium", f"bright (grey above {high:.0f})"]
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


def _by_picture(by: str, values: Sequence[str], names: Sequence[str], counted: _Seen) -> list[Slice]:
    truth, seen, ng = counted.truth, counted.seen, counted.parts.ng
    array = np.asarray(values, dtype=object)
    out = []
    for value in names:
        mine = np.asarray(array == value, np.bool_)
        if not mine.any():
            continue
        part = np.unique(counted.parts.of_sample[mine])
        bad, good = part[ng[part]], part[~ng[part]]
        out.append(
            Slice(
                by,
                value or NOT_GIVEN,
                int(mine.sum()),
                _rate(truth.right[mine[truth.picture]]),
                _rate(seen.right[mine[seen.picture]]),
                _rate(~counted.rejected[bad]),
                _rate(counted.rejected[good]),
            )
        )
    return out


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
    """The group with its worst slices marked, where there are any beyond chance; nothing of a group of one."""
    if len(group) < 2:  # noqa: PLR2004 - nothing to compare with
        return []
    failures: dict[str, list[Rate]] = {
        "recall": [Rate(item.recall.total - item.recall.count, item.recall.total) for item in group],
        "escape": [item.escape or Rate(0, 0) for item in group],
        "overkill": [item.overkill or Rate(0, 0) for item in group],
    }
    worst = {what: _worst(rates) for what, rates in failures.items()}
    return [
        replace(item, worst=tuple(what for what, at in worst.items() if at == place))
        for place, item in enumerate(group)
    ]


def _worst(failures: Sequence[Rate]) -> int | None:
    """Place of the highest rate, where it is higher than that of the others together beyond chance."""
    enough = [place for place, rate in enumerate(failures) if rate.total >= MIN_COUNT]
    if not enough:
        return None
    worst = max(enough, key=lambda place: failures[place].value or 0.0)
    rest = [rate for place, rate in enumerate(failures) if place != worst]
    others = Rate(sum(rate.count for rate in rest), sum(rate.total for rate in rest))
    confidence = 1 - (1 - CONFIDENCE) / len(enough)  # the worst of many looks bad by chance, Bonferroni 1936
    low, _ = two_sided(failures[worst].count, failures[worst].total, confidence)
    return worst if others.total and low > others.interval[1] else None
