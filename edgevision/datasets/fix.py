"""A cleaned data set from one that was checked: what cannot be used is dropped, what reaches out is cut off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgevision.datasets.base import SPLITS, DataSet, Sample
from edgevision.datasets.check import Checked, clipped, degenerate, twins, where_of
from edgevision.datasets.duplicates import Pair, exact_pairs, near_pairs
from edgevision.datasets.measure import Measured


@dataclass(frozen=True, slots=True)
class Action:
    """Something that was changed.

    Attributes:
        what: e.g. ``box clipped`` or ``picture dropped``.
        where: The label's line or the picture.
        why: The reason, for a person.
    """

    what: str
    where: str
    why: str


def fixed(checked: Checked, near_bits: int) -> tuple[DataSet, list[Action]]:
    """The data set without its errors, and what that took. Groups that straddle splits stay: divide anew for that.

    Of pictures that are there twice the one in test or else val stays, so that what is measured there stays
    comparable; within a split the first one. Near duplicates are dropped across splits only. Labels that could not be
    read are gone, since they never became part of the data set.
    """
    actions = [Action("label left out", f.where, f.message) for f in checked.data.findings if f.severity == "error"]
    samples = []
    for sample in checked.data.samples:
        if checked.measured[sample.file].error:
            actions.append(Action("picture dropped", str(sample.file), checked.measured[sample.file].error))
        else:
            samples.append(_cleaned(sample, len(checked.data.classes), checked.measured, actions))
    samples = _without_duplicates(checked.data, samples, checked.measured, near_bits, actions)
    return replace(checked.data, samples=tuple(samples), findings=()), actions


def _cleaned(sample: Sample, classes: int, measured: dict[Path, Measured], actions: list[Action]) -> Sample:
    template = sample.template
    if template and (measured[template].error or measured[template].size != sample.size):
        actions.append(Action("template dropped", str(template), measured[template].error or "another size"))
        template = None
    xyxy = clipped(sample.xyxy, sample.size)
    gone = degenerate(xyxy) | degenerate(sample.xyxy)
    surplus = {index for _, index in twins(sample)}
    keep = []
    for index in range(len(sample)):
        where = where_of(sample, index)
        if gone[index] or not 0 <= sample.label[index] < classes:
            actions.append(Action("box dropped", where, "nothing of it is in the picture, or its class is unknown"))
        elif index in surplus:
            actions.append(Action("box dropped", where, "the same box is there already"))
        else:
            keep.append(index)
            if (xyxy[index] != sample.xyxy[index]).any():
                actions.append(Action("box clipped", where, "it reached out of the picture"))
    origins = tuple(sample.origins[index] for index in keep) if sample.origins else ()
    chosen = np.array(keep, np.int64)
    return replace(sample, xyxy=xyxy[chosen], label=sample.label[chosen], template=template, origins=origins)


def _without_duplicates(
    data: DataSet, samples: Sequence[Sample], measured: dict[Path, Measured], near_bits: int, actions: list[Action]
) -> list[Sample]:
    left = list(samples)
    left = _drop(data, left, exact_pairs([measured[sample.file] for sample in left]), "the same file", actions)
    while near_bits >= 0:  # each picture is compared with its nearest only, so dropping one may show another
        splits = [sample.split for sample in left]
        pairs = near_pairs([measured[sample.file] for sample in left], splits, near_bits)
        pairs = [pair for pair in pairs if splits[pair.first] != splits[pair.second]]
        if not pairs:
            break
        left = _drop(data, left, pairs, "the same shot", actions)
    return left


def _drop(data: DataSet, samples: list[Sample], pairs: Sequence[Pair], why: str, actions: list[Action]) -> list[Sample]:
    """Drop one of each pair. Exact pairs name the first of equal ones; the best of them is kept step by step."""
    stands_for = list(range(len(samples)))
    gone: set[int] = set()
    for pair in pairs:
        first, second = stands_for[pair.first], stands_for[pair.second]
        if first in gone or second in gone:
            continue
        drop, keep = (first, second) if _rank(samples[second]) > _rank(samples[first]) else (second, first)
        gone.add(drop)
        if why == "the same file":
            stands_for[pair.first] = keep
        reason = f"{why} is kept as {data.name(samples[keep].file)}"
        actions.append(Action("picture dropped", str(samples[drop].file), reason))
    return [sample for index, sample in enumerate(samples) if index not in gone]


def _rank(sample: Sample) -> int:
    return SPLITS.index(sample.split) if sample.split else -1
