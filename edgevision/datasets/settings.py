"""Which labelled pictures, for settings files: where they lie, what else is known of them and how they are divided."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from edgevision.config.settings import Settings
from edgevision.datasets.base import DataSet
from edgevision.datasets.formats import FormatName, read_dataset
from edgevision.datasets.split import SplitSettings, split
from edgevision.datasets.texts import class_names
from edgevision.errors import DatasetError


class DataSettings(Settings):
    """Labelled pictures."""

    path: Path
    """Folder of the data set, or the file that describes it."""
    format: FormatName | Literal["auto"] = "auto"
    """How it is written."""
    classes: list[str] | None = None
    """Only these classes, in this order; boxes of others are left out."""
    columns: Path | None = None
    """CSV file with a column `file` and whatever else is known of the pictures; else `columns.csv` in the folder."""
    split: SplitSettings | None = None
    """How to divide it; without this the data set's own splits hold."""


def load_data(settings: DataSettings) -> DataSet:
    """Read, choose classes and divide. What is wrong with single pictures is in the findings and not in the samples.

    Raises:
        DatasetError: It cannot be read, not one picture is left, or it cannot be divided so.
    """
    data = read_dataset(settings.path, settings.format, settings.columns)
    if not data.samples:
        raise DatasetError(f"{settings.path}: no picture can be used; the first problem: {data.findings[0]}")
    if settings.classes is not None:
        data = with_classes(data, settings.classes)
    return data if settings.split is None else split(data, settings.split)


def with_classes(data: DataSet, names: list[str]) -> DataSet:
    """Only the boxes of these classes, in this order; the pictures stay.

    Raises:
        DatasetError: A name is given twice, or is no class of the data set.
    """
    classes = class_names(names, "classes")
    unknown = [name for name in classes if name not in data.classes]
    if unknown:
        raise DatasetError(f"{data.root}: there is no class {unknown[0]!r}; there are {', '.join(data.classes)}")
    index = np.array([classes.index(name) if name in classes else -1 for name in data.classes], np.int64)
    samples = []
    for sample in data.samples:
        label = index[sample.label]
        keep = label >= 0
        origins = tuple(origin for origin, kept in zip(sample.origins, keep, strict=False) if kept)
        samples.append(replace(sample, xyxy=sample.xyxy[keep], label=label[keep], origins=origins))
    return replace(data, classes=classes, samples=tuple(samples))
