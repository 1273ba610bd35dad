"""What all readers share: labels are gathered first, then the pictures' sizes are read and samples made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgevision.datasets.base import SPLITS, DataSet, Finding, Sample
from edgevision.datasets.pictures import sizes
from edgevision.datasets.texts import lines_of
from edgevision.errors import DatasetError, ImageError
from edgevision.sources.images import SUFFIXES, natural_key

Box = tuple[float, float, float, float]
Convert = Callable[[Sequence[Box], tuple[int, int]], Sequence[Box]]
_SPLIT_NAMES = {**dict(zip(SPLITS, SPLITS, strict=True)), "valid": "val", "validation": "val", "training": "train"}


def split_of(name: str) -> str:
    """The split that a folder's or file's name means: ``valid`` is val, ``train2017`` train; empty for any other."""
    return _SPLIT_NAMES.get(name.lower().rstrip("0123456789"), "")


@dataclass(slots=True)
class Raw:
    """A picture with its labels as they are written.

    Attributes:
        file: The picture.
        split: See ``Sample.split``.
        boxes: As the format writes them.
        label: One a box.
        origins: One a box.
        columns: See ``Sample.columns``.
        template: See ``Sample.template``.
        stated: (width, height) that the labels were made for, where the format says so.
        where: The file that states it.
        lost: Whether it or a label of it cannot be used. Without that label a defective part would pass for a good one,
            so the whole picture is left out.
    """

    file: Path
    split: str = ""
    boxes: list[Box] = field(default_factory=list)
    label: list[int] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)
    columns: Mapping[str, str] = field(default_factory=dict)
    template: Path | None = None
    stated: tuple[int, int] | None = None
    where: str = ""
    lost: bool = False

    def add(self, box: Sequence[float], label: int, origin: str) -> None:
        """One box more."""
        x1, y1, x2, y2 = box
        self.boxes.append((x1, y1, x2, y2))
        self.label.append(label)
        self.origins.append(origin)


@dataclass(slots=True)
class Findings:
    """What was wrong while reading."""

    found: list[Finding] = field(default_factory=list)

    def error(self, kind: str, where: object, message: str, lost: Raw | None = None) -> None:
        """Training on it would go wrong; ``lost`` is the picture that is left out for it."""
        self.found.append(Finding(kind, "error", str(where), message, str(lost.file) if lost else ""))
        if lost:
            lost.lost = True

    def warning(self, kind: str, where: object, message: str) -> None:
        """It may be meant so."""
        self.found.append(Finding(kind, "warning", str(where), message))

    def refused(self, kind: str, error: DatasetError | ImageError, lost: Raw | None) -> None:
        """A file that could not be used; the message says which."""
        where, _, message = str(error).partition(": ")
        self.error(kind, where, message, lost)

    def lines_of(self, file: Path, raw: Raw) -> list[tuple[str, str]]:
        """(``file:line``, text) of a label file's lines; none, and the picture lost, when it cannot be read."""
        try:
            return lines_of(file)
        except DatasetError as exc:
            self.refused("bad_label", exc, raw)
            return []


def assemble(
    root: Path, classes: Sequence[str], raws: Iterable[Raw], findings: Findings, convert: Convert | None = None
) -> DataSet:
    """Samples in natural order of their files; ``convert`` makes pixels of a picture's boxes, given its size.

    Raises:
        DatasetError: There is no picture at all.
    """
    ordered = sorted(raws, key=lambda raw: natural_key(raw.file))
    if not ordered:
        known = " ".join(sorted(SUFFIXES))
        hint = f"; {findings.found[0]}" if findings.found else f"; known are {known}"
        raise DatasetError(f"{root}: there are no pictures{hint}")
    samples: list[Sample] = []
    unread = {raw.file for raw in ordered if raw.lost}  # a picture may be there twice, in two splits
    whole = [raw for raw in ordered if raw.file not in unread]
    for raw, size in zip(whole, sizes([raw.file for raw in whole]), strict=True):
        if isinstance(size, ImageError):
            findings.refused("unreadable", size, raw)
            continue
        if raw.stated not in {None, size}:
            text = f"says {raw.stated[0]}x{raw.stated[1]}, the upright picture is {size[0]}x{size[1]}"
            findings.error("size", raw.where, f"{text}; the boxes do not fit it", raw)
            continue
        boxes = convert(raw.boxes, size) if convert else raw.boxes
        xyxy = np.array(boxes, np.float64).reshape(-1, 4).astype(np.float32)
        label, origins = np.array(raw.label, np.int64), tuple(raw.origins)
        samples.append(Sample(raw.file, size, xyxy, label, raw.split, raw.columns, raw.template, origins))
    gone = [raw for raw in ordered if raw.lost or raw.file in unread]
    lost = [Sample(raw.file, (0, 0), split=raw.split, columns=raw.columns) for raw in gone]
    return DataSet(tuple(classes), tuple(samples), tuple(findings.found), root, tuple(lost))


def by_stem(files: Iterable[Path]) -> dict[str, Path]:
    """Files by their names without suffix; of several the first."""
    out: dict[str, Path] = {}
    for file in files:
        out.setdefault(file.stem, file)
    return out


def child(folder: Path, *names: str) -> Path | None:
    """The first folder in ``folder`` with one of the names, whatever its case."""
    if not folder.is_dir():
        return None
    try:
        inside = {item.name.lower(): item for item in sorted(folder.iterdir(), reverse=True) if item.is_dir()}
    except OSError as exc:
        raise DatasetError(f"{folder}: cannot be read: {exc.strerror}") from exc
    return next((inside[name.lower()] for name in names if name.lower() in inside), None)
