"""One number for what a data set contains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from labelled import data_set

from edgevision.datasets.fingerprint import fingerprint
from edgevision.datasets.formats import read_dataset, write_dataset


def test_format_folder_and_order_do_not_count(tmp_path: Path) -> None:
    data = data_set(tmp_path / "pictures")
    known = fingerprint(data)
    assert len(known) == 64
    assert fingerprint(replace(data, samples=data.samples[::-1])) == known
    for name in ("yolo", "coco", "voc"):
        write_dataset(data, tmp_path / name, name)
        assert fingerprint(read_dataset(tmp_path / name)) == known, name


def test_pictures_boxes_classes_and_splits_do(tmp_path: Path) -> None:
    data = data_set(tmp_path)
    first, *others = data.samples
    known = fingerprint(data)
    changed = (
        replace(data, classes=("scratch", "hole")),
        replace(data, samples=(replace(first, split="val"), *others)),
        replace(data, samples=(replace(first, xyxy=first.xyxy + 1), *others)),
        replace(data, samples=tuple(others)),
    )
    assert len({known, *map(fingerprint, changed)}) == 5
    first.file.write_bytes(first.file.read_bytes() + b"x")
    assert fingerprint(data) != known


def test_the_rounding_of_a_format_does_not_count(tmp_path: Path) -> None:
    data = data_set(tmp_path)
    first, *others = data.samples
    for offset in (-1e-4, 1e-4):
        near = replace(data, samples=(replace(first, xyxy=first.xyxy + np.float32(offset)), *others))
        assert fingerprint(near) == fingerprint(data)
