"""A cleaned data set from one that was checked: what cannot be used is dropped, what reaches out is cut off."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgevision.datasets.base import PART, SPLITS, DataSet, Finding, Sample
from edgevision.datasets.check import (
    OUTSIDE_PX,
    Checked,
    CheckSettings,
    clipped,
    degenerate,
    same_boxes,
    twins,
    where_of,
)
from edgevision.datasets.duplicates import Pair, exact_pairs, near_pairs
from edgevision.datasets.measure import Measured
from edgevision.datasets.split import group_names, with_parts
from edgevision.errors import DatasetError


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


def fixed(checked: Checked, settings: CheckSettings) -> tuple[DataSet, list[Action]]:
    """The data set without its errors, and what that took.

    Of pictures that are there twice the one in test or else val stays, so that what is measured there stays
    comparable; within a split the first one. Near duplicates are dropped across splits only. Pictures with a label that
    cannot be read are gone, and so are those of whose boxes nothing is left: they would pass for good parts. A part or
    group that is in several splits moves to the one that has most of it.

    Args:
        checked: The data set and what was found.
        settings: Those of the check.

    Raises:
        DatasetError: Not one picture is left, or moving groups would empty a split: it must be divided anew.
    """
    actions = _left_out(checked.data.findings)
    samples = []
    for sample in checked.data.samples:
        measured = checked.measured[sample.file]
        if measured.error or measured.size != sample.size:
            why = measured.error or "its header has another size"
            actions.append(Action("picture dropped", str(sample.file), why))
            continue
        cleaned = _cleaned(sample, len(checked.data.classes), checked.measured, actions)
        if len(sample) and not len(cleaned):
            actions.append(Action("picture dropped", str(sample.file), "none of its boxes is left; it is no good part"))
        else:
            samples.append(cleaned)
    samples = _regrouped(checked.data, samples, settings, actions)
    samples = _without_duplicates(checked.data, samples, checked.measured, settings.near_bits, actions)
    if not samples:
        raise DatasetError(f"{checked.data.root}: not one picture is left; the first reason: {actions[0].why}")
    return replace(checked.data, samples=tuple(samples), findings=(), lost=()), actions


def _left_out(findings: Sequence[Finding]) -> list[Action]:
    """What the reader left out: a picture once, however much of it cannot be read, and labels of no picture."""
    errors = [finding for finding in findings if finding.severity == "error"]
    counts = Counter(finding.picture for finding in errors)
    actions: dict[str, Action] = {}
    for number, finding in enumerate(errors):
        if not finding.picture:
            actions[f"{number}"] = Action("label left out", finding.where, finding.message)
        elif finding.picture not in actions:
            more = f", and {counts[finding.picture] - 1} more" if counts[finding.picture] > 1 else ""
            why = finding.message if finding.where == finding.picture else str(finding)
            actions[finding.picture] = Action("picture dropped", finding.picture, why + more)
    return list(actions.values())


def _regrouped(data: DataSet, samples: list[Sample], settings: CheckSettings, actions: list[Action]) -> list[Sample]:
    """Every part and group in one split."""
    names = _bound(data, samples, settings)
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for name, sample in zip(names, samples, strict=True):
        counts[name][sample.split] += 1
    home = {
        name: max(inside, key=lambda split, inside=inside: (inside[split], _rank(split)))  # type: ignore[misc]
        for name, inside in counts.items()
    }
    home.pop("", None)
    if emptied := {sample.split for sample in samples} - {
        home.get(name, sample.split) for name, sample in zip(names, samples, strict=True)
    }:
        text = f"with each group in one split, nothing is left in {', '.join(sorted(emptied)) or 'none'}"
        raise DatasetError(f"{data.root}: {text}; divide it anew with `edgevision data split`")
    out = []
    for name, sample in zip(names, samples, strict=True):
        split = home.get(name, sample.split)
        out.append(replace(sample, split=split))
        if sample.split != split:
            why = f"from {sample.split or 'no split'} to {split or 'no split'}, where most of {name} is"
            actions.append(Action("picture moved", str(sample.file), why))
    return out


def _bound(data: DataSet, samples: Sequence[Sample], settings: CheckSettings) -> list[str]:
    """What must be in one split with a sample: its group, with those that share a part; empty where there is none."""
    parts = [sample.columns.get(PART, "") for sample in samples]
    if settings.group_pattern is None and settings.group_column is None:
        return parts
    names = group_names(replace(data, samples=tuple(samples)), settings.group_pattern, settings.group_column)
    return with_parts(names, samples)


def _cleaned(sample: Sample, classes: int, measured: dict[Path, Measured], actions: list[Action]) -> Sample:
    template = sample.template
    if template and (measured[template].error or measured[template].size != sample.size):
        actions.append(Action("template dropped", str(template), measured[template].error or "another size"))
        template = None
    xyxy = clipped(sample.xyxy, sample.size)
    known = (sample.label >= 0) & (sample.label < classes)
    gone = degenerate(xyxy) | degenerate(sample.xyxy) | ~known
    left = np.flatnonzero(~gone)  # only among these, as they will be, one may stand for another
    surplus = {left[index] for _, index in twins(replace(sample, xyxy=xyxy[left], label=sample.label[left]))}
    keep = []
    for index in range(len(sample)):
        where = where_of(sample, index)
        if gone[index]:
            actions.append(Action("box dropped", where, "nothing of it is in the picture, or its class is unknown"))
        elif index in surplus:
            actions.append(Action("box dropped", where, "the same box is there already"))
        else:
            keep.append(index)
            if np.abs(xyxy[index] - sample.xyxy[index]).max() > OUTSIDE_PX:
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
        better = _rank(samples[second].split) > _rank(samples[first].split)
        drop, keep = (first, second) if better else (second, first)
        gone.add(drop)
        if why == "the same file":
            stands_for[pair.first] = keep
        reason = f"{why} is kept as {data.name(samples[keep].file)}"
        if why == "the same file" and not same_boxes(samples[drop], samples[keep]):
            reason += ", which is labelled otherwise"
        actions.append(Action("picture dropped", str(samples[drop].file), reason))
    return [sample for index, sample in enumerate(samples) if index not in gone]


def _rank(split: str) -> int:
    return SPLITS.index(split) if split else -1
