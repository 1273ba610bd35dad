"""Pictures of one colour, and detections and labels made of numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgevision.datasets.base import DataSet, Sample
from edgevision.evaluation.predict import Predictions
from edgevision.types import Detections

Row = tuple[float, float, float, float, int]
CLASSES = ("open", "short", "spur")


def labelled(rows: Sequence[Row], name: str = "a.png", size: tuple[int, int] = (100, 100), **more: object) -> Sample:
    """A sample with rows x1, y1, x2, y2, label."""
    array = np.array(rows, np.float32).reshape(-1, 5)
    return Sample(Path(name), size, array[:, :4], array[:, 4].astype(np.int64), **more)  # type: ignore[arg-type]


def seen(rows: Sequence[tuple[float, ...]]) -> Detections:
    """Detections with rows x1, y1, x2, y2, label, score."""
    array = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(array[:, :4], array[:, 5], array[:, 4].astype(np.int64))


def predictions(pairs: Sequence[tuple[Sample, Detections]], classes: Sequence[str] = CLASSES) -> Predictions:
    data = DataSet(tuple(classes), tuple(sample for sample, _ in pairs))
    return Predictions(data, tuple(found for _, found in pairs), (100.0,) * len(pairs))


@pytest.fixture
def labels() -> Callable[..., Sample]:
    return labelled


@pytest.fixture
def dets() -> Callable[..., Detections]:
    return seen


@pytest.fixture
def preds() -> Callable[..., Predictions]:
    return predictions


@pytest.fixture
def scored() -> Callable[..., Predictions]:
    """One-picture parts from (ng, score of each class)."""

    def make(rows: Sequence[tuple[bool, Sequence[float]]], classes: Sequence[str] = CLASSES) -> Predictions:
        pairs = []
        for number, (ng, scores) in enumerate(rows):
            sample = labelled([(10, 10, 20, 20, 0)] if ng else [], f"{number}.png")
            found = [(10, 10, 20, 20, label, score) for label, score in enumerate(scores) if score > 0]
            pairs.append((sample, seen(found)))
        return predictions(pairs, classes)

    return make


@pytest.fixture
def coloured(tmp_path: Path) -> Callable[..., DataSet]:
    """Pictures of one colour on disk: (split, brightness of red, whether it is labelled red)."""

    def make(rows: Sequence[tuple[str, int, bool]], size: tuple[int, int] = (64, 48), **columns: str) -> DataSet:
        samples = []
        (tmp_path / "pictures").mkdir(exist_ok=True)
        for number, (split, red, ng) in enumerate(rows):
            file = tmp_path / "pictures" / f"{number}.png"
            cv2.imwrite(str(file), np.full((size[1], size[0], 3), (0, 0, red), np.uint8))
            samples.append(labelled([(24, 20, 40, 28, 0)] if ng else [], str(file), size, split=split, columns=columns))
        return DataSet(("red", "green", "blue"), tuple(samples), root=tmp_path / "pictures")

    return make
