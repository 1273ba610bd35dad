"""A data set laid out in a run's folder as the YOLO trainer wants it, under names that no tool stumbles over."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgevision.datasets.base import DataSet, Sample
from edgevision.errors import TrainingError

_SAMPLES = "samples.json"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things lie.

    Attributes:
        folder: ``images/SPLIT/NUMBER.png`` are links to the pictures, ``labels/SPLIT/NUMBER.txt`` their boxes.
        train: The training samples, boxes in px.
    """

    folder: Path
    train: tuple[Sample, ...]

    @property
    def file(self) -> Path:
        """The trainer's data file."""
        return self.folder / "data.yaml"

    @classmethod
    def write(cls, data: DataSet, folder: Path, *, repeat: int) -> Layout:
        """Lay out; each training picture is listed ``repeat`` times. Anything of an earlier layout is replaced.

        Raises:
            TrainingError: The folder cannot be written.
        """
        train = data.of("train").samples
        try:
            for split in ("train", "val"):
                _write_split(data.of(split).samples, folder, split, repeat if split == "train" else 1)
            document = {"path": str(folder.resolve()), "train": "train.txt", "val": "val.txt", "names": [*data.classes]}
            (folder / "data.yaml").write_text(json.dumps(document), "utf-8")
            (folder / _SAMPLES).write_text(json.dumps([_row(sample) for sample in train]), "utf-8")
        except OSError as exc:
            msg = f"{folder}: cannot be written: {exc.strerror}"
            raise TrainingError(msg) from exc
        return cls(folder, train)

    @classmethod
    def read(cls, folder: Path) -> Layout:
        """What ``write`` wrote."""
        rows = json.loads((folder / _SAMPLES).read_text("utf-8"))
        return cls(folder, tuple(_sample(row) for row in rows))


def _write_split(samples: tuple[Sample, ...], folder: Path, split: str, repeat: int) -> None:
    images, labels = folder / "images" / split, folder / "labels" / split
    for place in (images, labels):
        place.mkdir(parents=True, exist_ok=True)
        for old in place.iterdir():
            old.unlink()
    for cache in labels.parent.glob("*.cache"):
        cache.unlink()
    files = []
    for number, sample in enumerate(samples):
        link = images / f"{number:06d}{sample.file.suffix.lower()}"
        link.symlink_to(sample.file.resolve())
        files.append(str(link.absolute()))
        (labels / f"{number:06d}.txt").write_text(_lines(sample), "ascii")
    (folder / f"{split}.txt").write_text("\n".join(files * repeat) + "\n", "utf-8")


def _lines(sample: Sample) -> str:
    """Class, centre and size as shares of the picture, a line a box; parts outside are cut off."""
    width, height = sample.size
    lines = []
    for (x1, y1, x2, y2), label in zip(sample.xyxy.tolist(), sample.label.tolist(), strict=True):
        left, top, right, bottom = max(0, x1), max(0, y1), min(width, x2), min(height, y2)
        shares = (
            (left + right) / 2 / width,
            (top + bottom) / 2 / height,
            (right - left) / width,
            (bottom - top) / height,
        )
        lines.append(" ".join([str(label), *(f"{value:.6f}" for value in shares)]))
    return "\n".join(lines)


def _row(sample: Sample) -> dict[str, Any]:
    template = None if sample.template is None else str(sample.template.resolve())
    boxes, labels = sample.xyxy.tolist(), sample.label.tolist()
    return {
        "file": str(sample.file.resolve()),
        "size": sample.size,
        "xyxy": boxes,
        "label": labels,
        "template": template,
    }


def _sample(row: dict[str, Any]) -> Sample:
    width, height = row["size"]
    boxes = np.asarray(row["xyxy"], np.float32).reshape(-1, 4)
    template = Path(row["template"]) if row["template"] else None
    return Sample(Path(row["file"]), (width, height), boxes, np.asarray(row["label"], np.int64), template=template)
