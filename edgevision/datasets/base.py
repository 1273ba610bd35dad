"""Labelled pictures in the one form that every format is read into and written from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from edgevision.types import FloatArray, IntArray

SPLITS = ("train", "val", "test")
PART = "part"  # the column that says which part a picture shows

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, or may be, with a data set.

    Attributes:
        kind: What sort of thing, e.g. ``unreadable`` or ``near_duplicate``.
        severity: ``error``: training on it would go wrong or the numbers would lie.
        where: The file, with its line where there is one.
        message: What is wrong, for a person.
        picture: The picture that is left out for it with all its labels; empty where none is.
    """

    kind: str
    severity: Severity
    where: str
    message: str
    picture: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One picture with its labels; equal to itself only.

    Attributes:
        file: The picture.
        size: (width, height) of the upright picture, px.
        xyxy: (N, 4) float32, pixels of the upright picture, as labelled: they may reach out of it.
        label: (N,) int64, index into the data set's classes.
        split: One of ``SPLITS``; empty while none is decided.
        columns: What else is known of it, e.g. ``board``, ``lot``, ``camera``, ``part``.
        template: The same view without defects, where there is one.
        origins: Where each box is written, ``file:line``; as many as boxes, or none.
    """

    file: Path
    size: tuple[int, int]
    xyxy: FloatArray = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    label: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    split: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    template: Path | None = None
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.xyxy.ndim != 2 or self.xyxy.shape[1] != 4 or self.label.shape != (len(self.xyxy),):  # noqa: PLR2004
            msg = f"{self.file}: expected boxes (N, 4) and labels (N,), got {self.xyxy.shape} and {self.label.shape}"
            raise ValueError(msg)

    def __len__(self) -> int:
        return len(self.xyxy)

    @property
    def part(self) -> str:
        """The part it shows; a picture of which nothing is known shows a part of its own."""
        return self.columns.get(PART) or str(self.file)


@dataclass(frozen=True, slots=True)
class DataSet:
    """Labelled pictures.

    Attributes:
        classes: Class names; a label is an index into them.
        samples: The pictures that could be read, in natural order of their files.
        findings: What was wrong while reading; what it is about is not among the samples.
        root: The folder that names in reports are relative to.
        lost: The pictures that are left out, since they or a label of theirs cannot be used: without boxes and size.
    """

    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    findings: tuple[Finding, ...] = ()
    root: Path = field(default_factory=Path)
    lost: tuple[Sample, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)

    def of(self, split: str) -> DataSet:
        """The samples of one split."""
        return replace(self, samples=tuple(sample for sample in self.samples if sample.split == split))

    def where(self, wanted: Callable[[Sample], bool]) -> DataSet:
        """The samples that ``wanted`` says yes to."""
        return replace(self, samples=tuple(sample for sample in self.samples if wanted(sample)))

    def why_lost(self) -> str:
        """Why the first picture is left out, to end a message that there is none; empty where all are there."""
        return next((f"; {finding}" for finding in self.findings if finding.picture), "")

    def counts(self) -> list[int]:
        """How many boxes each class has, in the order of the classes."""
        labels = [sample.label for sample in self.samples]
        total = np.bincount(np.concatenate(labels), minlength=len(self.classes)) if labels else np.zeros(0, np.int64)
        return [int(total[index]) if index < len(total) else 0 for index in range(len(self.classes))]

    def name(self, file: Path) -> str:
        """A file's name relative to the root."""
        return file.relative_to(self.root).as_posix() if file.is_relative_to(self.root) else file.as_posix()


def merged(sets: Sequence[DataSet]) -> DataSet:
    """Several data sets as one; classes of the same name are one class, in the order in which they are met."""
    classes = tuple(dict.fromkeys(name for item in sets for name in item.classes))
    samples: list[Sample] = []
    for item in sets:
        index = np.array([classes.index(name) for name in item.classes], np.int64)
        samples += [replace(sample, label=index[sample.label]) for sample in item.samples]
    findings = tuple(finding for item in sets for finding in item.findings)
    lost = tuple(sample for item in sets for sample in item.lost)
    return DataSet(classes, tuple(samples), findings, sets[0].root if sets else Path(), lost)
