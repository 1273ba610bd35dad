"""What a factory counts: defective parts that pass, and good parts that are rejected.

A part is one picture, or all pictures with the same ``part`` column. It is really ng when one of its pictures has a
labelled box of a class that counts as a defect, and called ng when any detection of such a class reaches its threshold,
wherever it lies: that is what a machine rejects by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgevision.datasets.base import PART, DataSet, Sample
from edgevision.errors import DatasetError
from edgevision.evaluation.intervals import Rate
from edgevision.evaluation.predict import Predictions
from edgevision.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Parts:
    """Parts with the best score of each class, which is all that thresholds ask for.

    Attributes:
        names: (P) the parts.
        classes: (K) the classes that count as defects.
        label: (K,) int64, each of them as an index into the data set's classes.
        ng: (P,) bool, really defective.
        best: (P, K) float32, the highest score in any picture of the part; 0 where nothing was seen.
        labelled: (P, K) bool, whether the part has a labelled box of the class.
        of_sample: (S,) int64, the part of each picture.
    """

    names: tuple[str, ...]
    classes: tuple[str, ...]
    label: IntArray
    ng: BoolArray
    best: FloatArray
    labelled: BoolArray
    of_sample: IntArray

    def called_ng(self, thresholds: Sequence[float]) -> BoolArray:
        """(P,) bool: which parts are rejected at the thresholds of the K defect classes."""
        return np.asarray((self.best >= np.asarray(thresholds, np.float32)).any(axis=1), np.bool_)


@dataclass(frozen=True, slots=True)
class PartRates:
    """Escape and overkill.

    Attributes:
        escape: Defective parts passed, of all defective parts.
        overkill: Good parts rejected, of all good parts.
    """

    escape: Rate
    overkill: Rate


def parts_of(predictions: Predictions, defects: Sequence[str] | None = None) -> Parts:
    """Gather pictures into parts.

    Args:
        predictions: Pictures with labels and detections.
        defects: The classes that make a part ng; ``None`` for all.

    Raises:
        DatasetError: A class of ``defects`` does not exist.
    """
    classes = predictions.data.classes
    if unknown := [name for name in defects or () if name not in classes]:
        msg = f"{', '.join(unknown)}: no such class; classes are {', '.join(classes)}"
        raise DatasetError(msg)
    wanted = tuple(name for name in classes if defects is None or name in defects)
    label = np.array([classes.index(name) for name in wanted], np.int64)
    samples = predictions.data.samples
    names = tuple(dict.fromkeys(sample.part for sample in samples))
    place = {name: index for index, name in enumerate(names)}
    of_sample = np.array([place[sample.part] for sample in samples], np.int64)
    best = np.zeros((len(names), len(classes)), np.float32)
    labelled = np.zeros((len(names), len(classes)), np.bool_)
    for part, sample, found in zip(of_sample, samples, predictions.found, strict=True):
        np.maximum.at(best[part], found.label, found.score)
        labelled[part, sample.label] = True
    labelled = labelled[:, label]
    return Parts(names, wanted, label, np.asarray(labelled.any(axis=1)), best[:, label], labelled, of_sample)


def part_rates(parts: Parts, thresholds: Sequence[float]) -> PartRates:
    """Escape and overkill at the thresholds of the defect classes."""
    called = parts.called_ng(thresholds)
    good = ~parts.ng
    return PartRates(
        Rate(int((parts.ng & ~called).sum()), int(parts.ng.sum())), Rate(int((good & called).sum()), int(good.sum()))
    )


def templates_as_good(data: DataSet) -> DataSet:
    """The data set with the templates of its pictures as good parts: same split and columns, no boxes.

    A template is a part of its own, whatever part the picture beside it shows.

    Raises:
        DatasetError: No picture has a template.
    """
    known: set[tuple[Path, str]] = {(sample.file, sample.split) for sample in data.samples}
    good: list[Sample] = []
    for sample in data.samples:
        if sample.template is None or (sample.template, sample.split) in known:
            continue
        known.add((sample.template, sample.split))
        columns = {key: value for key, value in sample.columns.items() if key != PART}
        good.append(Sample(sample.template, sample.size, split=sample.split, columns=columns))
    if not any(sample.template for sample in data.samples):
        msg = f"{data.root}: no picture has a template, so there are none to take as good parts"
        raise DatasetError(msg)
    return replace(data, samples=(*data.samples, *good))
