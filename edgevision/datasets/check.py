"""What is wrong with a data set, before anything is trained on it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from edgevision.datasets.base import PART, SPLITS, DataSet, Finding, Sample, Severity
from edgevision.datasets.duplicates import NEAR_BITS, Pair, exact_pairs, near_pairs
from edgevision.datasets.measure import Measured, measure_all
from edgevision.datasets.split import group_names
from edgevision.geometry import iou
from edgevision.types import BoolArray, FloatArray

LEAST_SIDE_PX: Final = 0.01  # a box with a shorter side is none: formats round about there
OUTSIDE_PX: Final = 0.5  # less is rounding
SMALL_PX: Final = 4.0  # half a cell of the finest grid of a usual detector
SAME_BOX_IOU: Final = 0.95
IMBALANCE: Final = 10
_BLOCK: Final = 256


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """What is looked for.

    Attributes:
        image_size: Side of the square that the detector sees, px; boxes that become tiny in it are told.
        group_pattern: See ``SplitSettings``; with it or a column, groups that are in two splits are told.
        group_column: See ``SplitSettings``.
        near_bits: See ``near_pairs``; with a negative number near duplicates are not looked for.
    """

    image_size: int = 640
    group_pattern: str | None = None
    group_column: str | None = None
    near_bits: int = NEAR_BITS


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found.

    Attributes:
        data: What was checked.
        findings: Those of reading first.
        measured: Every picture and template.
    """

    data: DataSet
    findings: tuple[Finding, ...]
    measured: dict[Path, Measured]

    def count(self, severity: Severity) -> int:
        """How many findings are errors, or warnings."""
        return sum(finding.severity == severity for finding in self.findings)


def check(data: DataSet, settings: CheckSettings, each: Callable[[], None] | None = None) -> Checked:
    """Look at every picture and box.

    Args:
        data: The data set.
        settings: What is looked for.
        each: Called after every picture that was read; there are as many as ``files_to_read`` says.

    Raises:
        DatasetError: The extra ``data`` is missing, or the groups cannot be told.
    """
    measured = measure_all(files_to_read(data), each)
    readable = [sample for sample in data.samples if not measured[sample.file].error]
    findings = [
        *data.findings,
        *_pictures(data.samples, measured),
        *(finding for sample in data.samples for finding in box_findings(sample, data.classes, settings.image_size)),
        *_duplicates(data, readable, measured, settings.near_bits),
        *_groups(data, settings),
        *_classes(data),
    ]
    return Checked(data, tuple(findings), measured)


def files_to_read(data: DataSet) -> list[Path]:
    """Pictures and templates, each once."""
    templates = [sample.template for sample in data.samples if sample.template]
    return list(dict.fromkeys([*(sample.file for sample in data.samples), *templates]))


def _pictures(samples: Iterable[Sample], measured: dict[Path, Measured]) -> Iterator[Finding]:
    for sample in samples:
        picture = measured[sample.file]
        if picture.error:
            yield Finding("unreadable", "error", str(sample.file), picture.error)
        elif picture.size != sample.size:
            sizes = f"{picture.size[0]}x{picture.size[1]}, by its header {sample.size[0]}x{sample.size[1]}"
            yield Finding("size", "error", str(sample.file), f"the decoded picture is {sizes}")
        if sample.template is None:
            continue
        template = measured[sample.template]
        if template.error:
            yield Finding("unreadable", "error", str(sample.template), f"template: {template.error}")
        elif template.size != sample.size:
            sizes = f"{template.size[0]}x{template.size[1]}, its picture {sample.size[0]}x{sample.size[1]}"
            yield Finding("template_size", "error", str(sample.template), f"the template is {sizes}")


def degenerate(xyxy: FloatArray) -> BoolArray:
    """Which of (N, 4) boxes have no area, a negative side or a number that is none."""
    sides = xyxy[:, 2:] - xyxy[:, :2]
    sound = np.isfinite(xyxy) & np.tile(sides >= LEAST_SIDE_PX, 2)
    out: BoolArray = np.logical_not(sound.all(axis=1))
    return out


def clipped(xyxy: FloatArray, size: tuple[int, int]) -> FloatArray:
    """The boxes cut off at the picture's edges; what lies outside altogether becomes degenerate."""
    out: FloatArray = np.clip(xyxy, 0, np.array([*size, *size], np.float32))
    return out


def twins(sample: Sample) -> list[tuple[int, int]]:
    """(kept, surplus) indices of boxes of one class on the same place."""
    found: dict[int, int] = {}
    for start in range(0, len(sample), _BLOCK):  # thousands of boxes at once would fill the memory
        same = iou(sample.xyxy[start : start + _BLOCK], sample.xyxy) >= SAME_BOX_IOU
        rows, columns = np.nonzero(np.triu(same, start + 1))
        for row, column in zip((rows + start).tolist(), columns.tolist(), strict=True):
            if sample.label[row] == sample.label[column] and row not in found:
                found.setdefault(column, row)
    return [(kept, surplus) for surplus, kept in found.items()]


def same_boxes(first: Sample, second: Sample) -> bool:
    """Whether two samples have the same labels, in whatever order."""
    boxes = [sorted(zip(item.label.tolist(), item.xyxy.round(1).tolist(), strict=True)) for item in (first, second)]
    return boxes[0] == boxes[1]


def where_of(sample: Sample, index: int) -> str:
    """Where a box is written, or else its picture."""
    return sample.origins[index] if index < len(sample.origins) else str(sample.file)


def box_findings(sample: Sample, classes: Sequence[str], image_size: int) -> Iterator[Finding]:
    """What is wrong with the boxes of one picture."""
    width, height = sample.size
    bad = degenerate(sample.xyxy)
    reach = np.abs(clipped(sample.xyxy, sample.size) - sample.xyxy).max(axis=1, initial=0)
    inside = ~degenerate(clipped(sample.xyxy, sample.size))
    sides = (sample.xyxy[:, 2:] - sample.xyxy[:, :2]).min(axis=1, initial=np.inf) * image_size / max(width, height)
    for index, box in enumerate(sample.xyxy):
        where, text = where_of(sample, index), "x {:.1f} to {:.1f}, y {:.1f} to {:.1f}".format(*box[[0, 2, 1, 3]])
        if not 0 <= sample.label[index] < len(classes):
            yield Finding("unknown_class", "error", where, f"class {sample.label[index]} of {len(classes)}")
        if bad[index]:
            yield Finding("degenerate", "error", where, f"the box has no area: {text}")
        elif not inside[index]:
            yield Finding("outside", "error", where, f"the box lies outside of the {width}x{height} picture: {text}")
        elif reach[index] > OUTSIDE_PX:
            reaches = f"reaches {reach[index]:.1f} px out of the {width}x{height} picture"
            yield Finding("outside", "error", where, f"the box {reaches}: {text}")
        elif sides[index] < SMALL_PX:
            seen = f"its shorter side is {sides[index]:.1f} px in a picture of {image_size} px"
            yield Finding("small_box", "warning", where, f"the box is tiny: {seen}")
    for kept, surplus in twins(sample):
        text = f"is the same box as {where_of(sample, kept)}"
        yield Finding("duplicate_box", "warning", where_of(sample, surplus), text)


def _duplicates(
    data: DataSet, samples: Sequence[Sample], measured: dict[Path, Measured], near_bits: int
) -> Iterator[Finding]:
    facts = [measured[sample.file] for sample in samples]
    near = near_pairs(facts, [sample.split for sample in samples], near_bits) if near_bits >= 0 else []
    for kind, pairs in (("exact_duplicate", exact_pairs(facts)), ("near_duplicate", near)):
        for pair in pairs:
            yield _duplicate(data, kind, samples[pair.first], samples[pair.second], pair)


def _duplicate(data: DataSet, kind: str, first: Sample, second: Sample, pair: Pair) -> Finding:
    what = "is the same file as" if kind == "exact_duplicate" else "seems to be the same shot as"
    bits = f" ({pair.bits} of 256 bits differ)" if kind == "near_duplicate" else ""
    otherwise = ", but labelled otherwise" if kind == "exact_duplicate" and not same_boxes(first, second) else ""
    across = first.split != second.split
    splits = f", in {second.split or 'no split'} and in {first.split or 'no split'}" if across else ""
    return Finding(
        f"{kind}_across_splits" if across else kind,
        "error" if across else "warning",
        str(second.file),
        f"{what} {data.name(first.file)}{bits}{otherwise}{splits}",
    )


def _groups(data: DataSet, settings: CheckSettings) -> Iterator[Finding]:
    parts = [sample.columns.get(PART, "") for sample in data.samples]
    yield from _across(data, "part", parts)
    if settings.group_pattern is not None or settings.group_column not in {None, PART}:
        yield from _across(data, "group", group_names(data, settings.group_pattern, settings.group_column))


def _across(data: DataSet, what: str, names: Sequence[str]) -> Iterator[Finding]:
    """Parts or groups of which some pictures are in one split and some in another; no name belongs to none."""
    splits: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for name, sample in zip(names, data.samples, strict=True):
        splits[name][sample.split or "no split"] += 1
    for name, counts in splits.items():
        if name and len(counts) > 1:
            text = ", ".join(f"{split} {count}" for split, count in counts.items())
            yield Finding(f"{what}_across_splits", "error", str(data.root), f"the {what} {name} is in {text}")


def _classes(data: DataSet) -> Iterator[Finding]:
    where, counts = str(data.root), data.counts()
    if len(data.classes) == 1:
        yield Finding("one_class", "warning", where, f"there is one class only, {data.classes[0]}")
    present = [split for split in ("", *SPLITS) if any(sample.split == split for sample in data.samples)]
    for split in present:
        for name, count in zip(data.classes, data.of(split).counts(), strict=True):
            if not count:
                place = f"in {split}" if split else "in the pictures without a split" if len(present) > 1 else "at all"
                yield Finding("no_boxes", "warning", where, f"the class {name} has no box {place}")
    used = [count for count in counts if count]
    if used and max(used) > IMBALANCE * min(used):
        most, least = data.classes[counts.index(max(used))], data.classes[counts.index(min(used))]
        yield Finding(
            "imbalance", "warning", where, f"{most} has {max(used)} boxes, {least} {min(used)}: more than {IMBALANCE}:1"
        )
