"""Training, validation and test parts of a data set: groups stay together, classes keep their shares."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from edgevision.config.settings import Settings
from edgevision.datasets.base import PART, SPLITS, DataSet, Finding, Sample
from edgevision.datasets.duplicates import exact_pairs, near_pairs
from edgevision.datasets.measure import measure_all
from edgevision.errors import DatasetError
from edgevision.types import IntArray

FEW_GROUPS = 3  # with fewer in a split, its numbers say more about these groups than about the rest
_ROUNDS = 200

Counts = NDArray[np.float64]
Share = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class SplitSettings(Settings):
    """How a data set is divided into train, val and test."""

    ratio: tuple[Share, Share, Share] = (0.7, 0.15, 0.15)
    """Shares of train, val and test; they need not sum to 1."""
    assign: dict[Literal["train", "val", "test"], list[str]] | None = None
    """Groups of each split by name, instead of shares; every group must be named."""
    group_pattern: str | None = None
    """Regular expression on the file name; what it finds, or its first parenthesis, names the group."""
    group_column: str | None = None
    """Column that names the group, e.g. `board` or `lot`."""
    near_duplicates_together: bool = False
    """Whether pictures that look like the same shot stay in one split, with their groups; reads every picture."""
    seed: int = 0
    """Decides between equals."""

    @model_validator(mode="after")
    def _makes_sense(self) -> SplitSettings:
        if self.group_pattern is not None:
            if self.group_column is not None:
                raise ValueError("give `group_pattern` or `group_column`, not both")
            try:
                re.compile(self.group_pattern)
            except re.error as exc:
                raise ValueError(f"`group_pattern` is no regular expression: {exc}") from exc
        if self.assign is not None and self.group_pattern is None and self.group_column is None:
            raise ValueError("`assign` needs groups: give `group_pattern` or `group_column`")
        if self.assign is not None and self.near_duplicates_together:
            raise ValueError(
                "`assign` names groups, which `near_duplicates_together` would put together: give one of them"
            )
        if self.assign is None and sum(self.ratio) <= 0:
            raise ValueError("`ratio` needs a share above 0")
        return self


def split(data: DataSet, settings: SplitSettings) -> DataSet:
    """The data set with every sample in a split; what it had before is forgotten, but for what kept no group together.

    Without ``assign`` whole groups are dealt out by iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011,
    "On the stratification of multi-label data"): the rarest class first, its largest group first, each to the split
    that lacks most of that class. Moves and exchanges of single groups then improve what is left, since a few
    large groups do not fit well one by one. Pictures count as one class more, so that sizes come out right as well.

    Raises:
        DatasetError: There is no picture, a group cannot be told, is named in no split or in two, or there are fewer
            groups than splits.
    """
    if not data.samples:
        raise DatasetError(f"{data.root}: there is no picture to be divided{data.why_lost()}")
    names = group_names(data, settings.group_pattern, settings.group_column)
    if settings.assign is None:
        names = with_parts(names, data.samples)
    if settings.near_duplicates_together:
        names = _shots_together(names, data)
    groups = sorted(set(names))
    of = {name: index for index, name in enumerate(groups)}
    member = np.array([of[name] for name in names], np.int64)
    if settings.assign is not None:
        where = _assigned(groups, settings.assign)
    else:
        where = _stratified(_group_counts(data, member, len(groups)), settings)
    samples = tuple(
        replace(sample, split=SPLITS[where[index]]) for sample, index in zip(data.samples, member, strict=True)
    )
    grouped = settings.group_pattern is not None or settings.group_column is not None
    few = _few_groups(where, data) if grouped else ()
    return replace(data, samples=samples, findings=(*data.findings, *few))


def group_names(data: DataSet, pattern: str | None, column: str | None) -> list[str]:
    """The group of every sample; without pattern and column its part, which is the picture where no part is known.

    Raises:
        DatasetError: The pattern is none or does not fit a file name, or a sample lacks the column.
    """
    try:
        re.compile(pattern or "")
    except re.error as exc:
        raise DatasetError(f"the group pattern {pattern!r} is no regular expression: {exc}") from exc
    return [_group(sample, pattern, column) for sample in data.samples]


def _group(sample: Sample, pattern: str | None, column: str | None) -> str:
    if column is not None:
        value = sample.columns.get(column)
        if not value:
            known = ", ".join(sample.columns) or "none"
            raise DatasetError(f"{sample.file}: has no column {column!r} to group by; it has {known}")
        return value
    if pattern is None:
        return sample.part
    found = re.search(pattern, sample.file.name)
    if found is None:
        raise DatasetError(f"{sample.file}: the group pattern {pattern!r} does not fit this name")
    name = found.group(1) if found.re.groups else found.group()
    if not name:
        raise DatasetError(f"{sample.file}: the group pattern {pattern!r} finds an empty name in this one")
    return name


def with_parts(names: Sequence[str], samples: Sequence[Sample]) -> list[str]:
    """The groups' names, those of pictures that show the same part being one."""
    first: dict[str, str] = {}
    parts = [sample.columns.get(PART) for sample in samples]
    united = _united(
        names, ((first.setdefault(part, name), name) for part, name in zip(parts, names, strict=True) if part)
    )
    return [united[name] for name in names]


def _shots_together(names: Sequence[str], data: DataSet) -> list[str]:
    """The groups' names, those of pictures that look like the same shot being one."""
    measured = measure_all([sample.file for sample in data.samples])
    readable = [index for index, sample in enumerate(data.samples) if not measured[sample.file].error]
    facts = [measured[data.samples[index].file] for index in readable]
    pairs = (*exact_pairs(facts), *near_pairs(facts, [""] * len(facts)))
    united = _united(names, ((names[readable[pair.first]], names[readable[pair.second]]) for pair in pairs))
    return [united[name] for name in names]


def _united(names: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """For each group the first, in alphabetical order, of all that pairs of groups bind to it."""
    first = {name: name for name in names}

    def root(name: str) -> str:
        while first[name] != name:
            name = first[name]
        return name

    for pair in pairs:
        a, b = sorted(map(root, pair))
        first[b] = a
    return {name: root(name) for name in first}


def _group_counts(data: DataSet, member: IntArray, groups: int) -> Counts:
    """(groups, classes + 1): boxes of each class, and pictures, in each group."""
    out = np.zeros((groups, len(data.classes) + 1), np.float64)
    for sample, group in zip(data.samples, member, strict=True):
        np.add.at(out[group], sample.label, 1)
        out[group, -1] += 1
    return out


def _assigned(groups: Sequence[str], assign: Mapping[Literal["train", "val", "test"], Sequence[str]]) -> IntArray:
    chosen: dict[str, str] = {}
    for name, given in assign.items():
        for group in given:
            if group not in groups:
                raise DatasetError(f"assign: there is no group {group!r}; there are {_some(groups)}")
            if chosen.setdefault(group, name) != name:
                raise DatasetError(f"assign: the group {group!r} is in {chosen[group]} and in {name}")
    left = [group for group in groups if group not in chosen]
    if left:
        raise DatasetError(f"assign: in no split: {_some(left)}")
    return np.array([SPLITS.index(chosen[group]) for group in groups], np.int64)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")  # noqa: PLR2004


def _stratified(counts: Counts, settings: SplitSettings) -> IntArray:
    """(groups,) index of each group's split."""
    ratio = np.array(settings.ratio) / sum(settings.ratio)
    wanted = int((ratio > 0).sum())
    if len(counts) < wanted:
        raise DatasetError(f"{len(counts)} groups cannot fill {wanted} splits; give another ratio or smaller groups")
    rng = np.random.default_rng(settings.seed)
    order = rng.permutation(len(counts))
    scaled = counts[order] / np.maximum(counts.sum(axis=0), 1)
    where = np.empty(len(counts), np.int64)
    where[order] = _improved(scaled, ratio, _dealt(scaled, ratio))
    return where


def _dealt(shares: Counts, ratio: Counts) -> IntArray:
    """Iterative stratification of (groups, classes) shares of all there is."""
    used = np.flatnonzero(ratio > 0)
    lacking = np.ones((len(used), shares.shape[1]))  # in parts of what a split shall have, so that all fill evenly
    present = shares > 0
    where = np.full(len(shares), -1, np.int64)
    while (free := where < 0).any():
        left = present[free].sum(axis=0)
        rarest = int(np.argmin(np.where(left > 0, left, len(shares) + 1)))
        members = np.flatnonzero(free & present[:, rarest])
        for group in members[np.argsort(-shares[members, rarest], kind="stable")]:
            best = np.lexsort((ratio[used], lacking[:, -1], lacking[:, rarest]))[-1]
            where[group] = used[best]
            lacking[best] -= shares[group] / ratio[used[best]]
    return where


def _improved(shares: Counts, ratio: Counts, where: IntArray) -> IntArray:
    """Move or exchange single groups while that brings the splits' shares closer to the ratio, none becoming empty."""
    where = where.copy()
    used = np.flatnonzero(ratio > 0)
    for split_index in used:  # a split that got nothing takes the smallest group of the fullest
        if not (where == split_index).any():
            members = np.flatnonzero(where == np.bincount(where).argmax())
            where[members[shares[members, -1].argmin()]] = split_index
    if len(shares) > _ROUNDS:
        return where  # many small groups are dealt well enough
    goal = ratio[:, None] * np.ones(shares.shape[1])
    for _ in range(_ROUNDS):
        better = _best_step(shares, goal, where, used)
        if better is None:
            break
        where = better
    return where


def _best_step(shares: Counts, goal: Counts, where: IntArray, used: IntArray) -> IntArray | None:
    def distance(candidate: IntArray) -> float:
        got = np.stack([shares[candidate == index].sum(axis=0) for index in range(len(goal))])
        return float(np.square(got - goal).sum())

    best, least = None, distance(where) - 1e-12
    for first in range(len(where)):
        steps = [(int(index), first) for index in used if index != where[first]]  # a move
        steps += [(int(where[other]), other) for other in range(first) if where[other] != where[first]]  # an exchange
        for target, other in steps:
            candidate = where.copy()
            candidate[other] = where[first]
            candidate[first] = target
            if (candidate == where[first]).any() and (value := distance(candidate)) < least:
                best, least = candidate, value
    return best


def _few_groups(where: IntArray, data: DataSet) -> tuple[Finding, ...]:
    count = np.bincount(where, minlength=len(SPLITS))
    thin = [f"{name} {number}" for name, number in zip(SPLITS, count, strict=True) if 0 < number < FEW_GROUPS]
    if not thin:
        return ()
    text = f"few groups: {', '.join(thin)}; what is measured there says much about these groups and little about others"
    return (Finding("few_groups", "warning", str(data.root), text),)


@dataclass(frozen=True, slots=True)
class SplitShare:
    """How one split compares with the whole.

    Attributes:
        split: Its name.
        pictures: In it.
        boxes: In it, one number a class.
        off: Share of each class among the split's boxes less that among all, one a class.
    """

    split: str
    pictures: int
    boxes: tuple[int, ...]
    off: tuple[float, ...]


def shares(data: DataSet) -> list[SplitShare]:
    """Every split that has pictures, compared with the whole."""
    whole = np.array(data.counts(), np.float64)
    out = []
    for name in SPLITS:
        part = data.of(name)
        if len(part):
            boxes = np.array(part.counts(), np.float64)
            off = boxes / max(boxes.sum(), 1) - whole / max(whole.sum(), 1)
            out.append(SplitShare(name, len(part), tuple(map(int, boxes)), tuple(map(float, off))))
    return out
