"""Two detectors on the same pictures: how sure one may be that the second is no worse.

The difference of COCO's mean average precision and of recall at given thresholds, with the paired bootstrap (Efron and
Tibshirani, "An Introduction to the Bootstrap", 1993): parts are drawn with replacement, the same ones for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgevision.evaluation.intervals import CONFIDENCE
from edgevision.evaluation.matching import match_all
from edgevision.evaluation.parts import parts_of
from edgevision.evaluation.predict import Predictions
from edgevision.types import BoolArray, IntArray

DRAWS = 1000
_LEVELS = np.linspace(0.5, 0.95, 10)  # of overlap, COCO's
_RECALLS = np.linspace(0.0, 1.0, 101)
_HAIR = 1e-10  # an overlap equal to a level reaches it, whatever its last bit

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """The second detector's value minus the first one's.

    Attributes:
        value: On all pictures.
        lower: One-sided 95 % bound: with this confidence the difference is larger.
    """

    value: float
    lower: float


@dataclass(frozen=True, slots=True)
class Recall:
    """What changes in finding the boxes of a class at its threshold.

    Attributes:
        boxes: Labelled boxes.
        lost: Of them, those that only the first detector finds.
        won: Those that only the second one finds.
        difference: Of recall; ``None`` without boxes.
    """

    boxes: int
    lost: int
    won: int
    difference: Difference | None


@dataclass(frozen=True, slots=True)
class Paired:
    """What changes from the first detector to the second.

    Attributes:
        map50_95: Difference of the mean average precision; ``None`` without boxes.
        recall: Of each class, in their order.
    """

    map50_95: Difference | None
    recall: tuple[Recall, ...]


@dataclass(frozen=True, slots=True)
class _Ranked:
    """A detector's detections of one class, best score first.

    Attributes:
        picture: (D,) int64, where each was seen.
        right: (10, D) bool, whether it finds a box at each level of overlap.
        truth: (S,) float64, labelled boxes of each picture.
    """

    picture: IntArray
    right: BoolArray
    truth: Numbers

    def precision(self, weights: Numbers) -> float:
        """Average precision over all levels when picture ``i`` counts ``weights[i]`` times; nan without boxes."""
        boxes = float(weights @ self.truth)
        if boxes == 0:
            return float("nan")
        weight = weights[self.picture]
        found = np.cumsum(self.right * weight, axis=1)
        every = np.cumsum(weight)
        precise = found / np.maximum(every, np.spacing(1))
        precise = np.maximum.accumulate(precise[:, ::-1], axis=1)[:, ::-1]
        total = 0.0
        for recall, values in zip(found / boxes, precise, strict=True):
            at = np.searchsorted(recall, _RECALLS, side="left")
            total += float(values[at[at < len(values)]].sum())
        return total / (len(_LEVELS) * len(_RECALLS))


def compare(
    first: Predictions, second: Predictions, thresholds: Sequence[float], *, draws: int = DRAWS, seed: int = 0
) -> Paired:
    """Set two detectors against each other.

    Args:
        first: What the first one saw.
        second: What the second one saw on the same pictures.
        thresholds: Minimum score of each class, for recall.
        draws: How many samples of the parts are drawn.
        seed: Of the draws.

    Raises:
        ValueError: The pictures or classes differ.
    """
    one, other = first.data, second.data
    if one.classes != other.classes or [item.file for item in one.samples] != [item.file for item in other.samples]:
        msg = "two detectors can be compared on the same pictures and classes only"
        raise ValueError(msg)
    weights = _weights(parts_of(first).of_sample, draws, seed)
    means = [_means(item, weights) for item in (first, second)]
    found = [_found(item, thresholds) for item in (first, second)]
    label = np.concatenate([sample.label for sample in one.samples])
    picture = np.repeat(np.arange(len(one.samples)), [len(sample) for sample in one.samples])
    recall = []
    for place in range(len(one.classes)):
        own = label == place
        lost, won = (own & found[0] & ~found[1]), (own & ~found[0] & found[1])
        boxes = _counted(picture[own], weights)
        with np.errstate(invalid="ignore"):
            change = (_counted(picture[won], weights) - _counted(picture[lost], weights)) / boxes
        recall.append(Recall(int(own.sum()), int(lost.sum()), int(won.sum()), _difference(change)))
    return Paired(_difference(means[1] - means[0]), tuple(recall))


def mean_precision(predictions: Predictions) -> float | None:
    """COCO's mAP50-95 as it is computed here, which is what the bootstrap repeats; ``None`` without boxes."""
    value = float(_means(predictions, np.ones((1, len(predictions.data))))[0])
    return None if np.isnan(value) else value


def _weights(of_sample: IntArray, draws: int, seed: int) -> Numbers:
    """(1 + draws, S): how often each picture counts; the first row is all of them once."""
    parts = int(of_sample.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(parts, np.full(parts, 1 / parts), size=draws)
    return np.concatenate([np.ones((1, parts)), drawn.astype(np.float64)])[:, of_sample]


def _counted(picture: IntArray, weights: Numbers) -> Numbers:
    """How many of these things each draw has."""
    return np.asarray(weights[:, picture].sum(axis=1))


def _difference(values: Numbers) -> Difference | None:
    """Of the value itself, followed by those of the draws; a draw without boxes says nothing."""
    if np.isnan(values[0]):
        return None
    drawn = values[1:][~np.isnan(values[1:])]
    return Difference(float(values[0]), float(np.quantile(drawn, 1 - CONFIDENCE)))


def _means(predictions: Predictions, weights: Numbers) -> Numbers:
    """Mean average precision of each draw over the classes that have boxes in it; nan without any."""
    classes = [_ranked(predictions, label) for label in range(len(predictions.data.classes))]
    table = np.array([[ranked.precision(row) for ranked in classes] for row in weights])
    known = ~np.isnan(table)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, table, 0).sum(axis=1) / known.sum(axis=1))


def _ranked(predictions: Predictions, label: int) -> _Ranked:
    pictures, scores, rights = [np.zeros(0, np.int64)], [np.zeros(0)], [np.zeros((len(_LEVELS), 0), np.bool_)]
    truth = np.zeros(len(predictions.data))
    for place, (sample, found) in enumerate(zip(predictions.data.samples, predictions.found, strict=True)):
        boxes = sample.xyxy[sample.label == label].astype(np.float64)
        seen = found[np.flatnonzero(found.label == label)]
        order = np.argsort(-seen.score, kind="stable")
        truth[place] = len(boxes)
        pictures.append(np.full(len(order), place))
        scores.append(seen.score[order].astype(np.float64))
        rights.append(_right(seen.xyxy[order].astype(np.float64), boxes))
    score = np.concatenate(scores)
    order = np.argsort(-score, kind="stable")
    return _Ranked(np.concatenate(pictures)[order], np.concatenate(rights, axis=1)[:, order], truth)


def _right(xyxy: Numbers, truth: Numbers) -> BoolArray:
    """(10, D): the best detection first takes the free box that it overlaps most, at each level for itself."""
    right = np.zeros((len(_LEVELS), len(xyxy)), np.bool_)
    if not len(truth) or not len(xyxy):
        return right
    overlaps = _overlaps(xyxy, truth)
    free = np.ones((len(_LEVELS), len(truth)), np.bool_)
    levels = np.arange(len(_LEVELS))
    for place in np.flatnonzero(overlaps.max(axis=1) >= _LEVELS[0] - _HAIR):
        open_ = np.where(free, overlaps[place], -1.0)
        best = len(truth) - 1 - open_[:, ::-1].argmax(axis=1)  # of equal ones the last, as COCO does
        takes = open_[levels, best] >= _LEVELS - _HAIR
        right[takes, place] = True
        free[levels[takes], best[takes]] = False
    return right


def _overlaps(a: Numbers, b: Numbers) -> Numbers:
    """(N, M) intersection over union, in double precision as COCO has it."""
    low, high = np.maximum(a[:, None, :2], b[:, :2]), np.minimum(a[:, None, 2:], b[:, 2:])
    inter = np.maximum(high - low, 0).prod(axis=2)
    areas = [(item[:, 2:] - item[:, :2]).prod(axis=1) for item in (a, b)]
    return np.asarray(inter / (areas[0][:, None] + areas[1] - inter))


def _found(predictions: Predictions, thresholds: Sequence[float]) -> BoolArray:
    """Of all labelled boxes, in the order of the pictures: which are found at the thresholds."""
    each = []
    for sample, item in zip(predictions.data.samples, match_all(predictions, thresholds), strict=True):
        found = np.ones(len(sample), np.bool_)
        found[item.missed] = False
        each.append(found)
    return np.concatenate(each) if each else np.zeros(0, np.bool_)
