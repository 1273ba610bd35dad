"""Which detection finds which labelled box at given thresholds, and what the others are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgevision.datasets.base import Sample
from edgevision.evaluation.predict import Predictions
from edgevision.geometry import iou as overlap
from edgevision.types import BoolArray, Detections, FloatArray, IntArray

MIN_IOU = 0.5
NEAR_IOU = 0.1  # TIDE's background threshold

Kind = Literal["found", "duplicate", "wrong_class", "bad_place", "nothing_there"]
FALSE_KINDS: tuple[Kind, ...] = ("duplicate", "wrong_class", "bad_place", "nothing_there")


@dataclass(frozen=True, slots=True)
class Match:
    """One picture's detections and labels set against each other.

    Attributes:
        kept: (D,) int64, the detections that reach their class's threshold, best score first.
        truth: (D,) int64, the labelled box that each of them finds; -1 for a false one.
        kinds: What each of them is.
        confused: (D,) int64, for ``wrong_class`` the labelled box it lies on; else -1.
        missed: (M,) int64, the labelled boxes that nothing finds.
    """

    kept: IntArray
    truth: IntArray
    kinds: tuple[Kind, ...]
    confused: IntArray
    missed: IntArray


@dataclass(frozen=True, slots=True)
class Counts:
    """What is found, false and missed of one class, or of all.

    Attributes:
        found: Labelled boxes that were found.
        false: Detections that find nothing.
        missed: Labelled boxes that were not found.
    """

    found: int
    false: int
    missed: int


def match(sample: Sample, detections: Detections, thresholds: Sequence[float], min_iou: float = MIN_IOU) -> Match:
    """Greedy matching: the best detection first takes the labelled box of its class that it overlaps most.

    False ones are told apart after TIDE (Bolya et al., 2020), in this order: ``duplicate`` (its box is taken),
    ``wrong_class`` (on a box of another class), ``bad_place`` (overlaps a box by less than ``min_iou``, at least 0.1),
    ``nothing_there``.

    Args:
        sample: Labels, px of the picture.
        detections: Of the same picture.
        thresholds: Minimum score of each class.
        min_iou: From this overlap on, a detection finds a box.
    """
    enough = detections.score >= np.asarray(thresholds, np.float32)[detections.label]
    kept = np.flatnonzero(enough)
    kept = kept[np.argsort(-detections.score[kept], kind="stable")]
    values = overlap(detections.xyxy[kept], sample.xyxy)
    same = detections.label[kept][:, None] == sample.label
    truth, confused = np.full(len(kept), -1, np.int64), np.full(len(kept), -1, np.int64)
    taken = np.zeros(len(sample), np.bool_)
    for place in range(len(kept)):
        free = np.where(same[place] & ~taken, values[place], 0)
        if free.size and free.max() >= min_iou:
            truth[place] = free.argmax()
            taken[truth[place]] = True
    kinds: list[Kind] = []
    for place in range(len(kept)):
        kind = "found" if truth[place] >= 0 else _false_kind(values[place], same[place], min_iou)
        if kind == "wrong_class":
            confused[place] = np.where(same[place], 0, values[place]).argmax()
        kinds.append(kind)
    return Match(kept, truth, tuple(kinds), confused, np.flatnonzero(~taken))


def _false_kind(values: FloatArray, same: BoolArray, min_iou: float) -> Kind:
    if not values.size or values.max() < min(NEAR_IOU, min_iou):
        return "nothing_there"
    if np.where(same, values, 0).max() >= min_iou:
        return "duplicate"
    return "wrong_class" if values.max() >= min_iou else "bad_place"


def match_all(predictions: Predictions, thresholds: Sequence[float], min_iou: float = MIN_IOU) -> list[Match]:
    """``match`` of every picture."""
    pairs = zip(predictions.data.samples, predictions.found, strict=True)
    return [match(sample, found, thresholds, min_iou) for sample, found in pairs]


def counts_by_class(predictions: Predictions, matches: Sequence[Match]) -> list[Counts]:
    """Found, false and missed of each class."""
    found, false, missed = (np.zeros(len(predictions.data.classes), np.int64) for _ in range(3))
    for sample, seen, item in zip(predictions.data.samples, predictions.found, matches, strict=True):
        label = seen.label[item.kept]
        np.add.at(found, label[item.truth >= 0], 1)
        np.add.at(false, label[item.truth < 0], 1)
        np.add.at(missed, sample.label[item.missed], 1)
    return [Counts(*map(int, row)) for row in zip(found, false, missed, strict=True)]


def total(counts: Sequence[Counts]) -> Counts:
    """The sum over all classes."""
    return Counts(sum(c.found for c in counts), sum(c.false for c in counts), sum(c.missed for c in counts))


def false_kinds(matches: Sequence[Match]) -> dict[str, int]:
    """How many false detections are of which kind."""
    count = Counter(kind for item in matches for kind in item.kinds)
    return {kind: count[kind] for kind in FALSE_KINDS}


def confusion(predictions: Predictions, matches: Sequence[Match]) -> IntArray:
    """(K + 1, K + 1) int64: rows are what is labelled, columns what is reported, the last of both is background.

    A box that nothing finds counts as confused when a detection of another class lies on it, once; so each row of a
    class sums up to its labelled boxes, and each column to its detections.
    """
    background = len(predictions.data.classes)
    matrix = np.zeros((background + 1, background + 1), np.int64)
    for sample, found, item in zip(predictions.data.samples, predictions.found, matches, strict=True):
        open_boxes = set(item.missed.tolist())
        for label, truth, other in zip(found.label[item.kept], item.truth, item.confused, strict=True):
            if truth >= 0:
                matrix[label, label] += 1
            elif int(other) in open_boxes:
                open_boxes.discard(int(other))
                matrix[sample.label[other], label] += 1
            else:
                matrix[background, label] += 1
        for box in open_boxes:
            matrix[sample.label[box], background] += 1
    return matrix
