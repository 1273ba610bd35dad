"""Numbers that describe a data set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from labelled import data_set, yolo_folder

from edgevision.datasets.base import DataSet
from edgevision.datasets.formats import read_dataset
from edgevision.datasets.measure import measure_all
from edgevision.datasets.stats import Stats, stats


def of(data: DataSet) -> Stats:
    return stats(data, measure_all([item.file for item in data.samples]))


def test_pictures_boxes_and_sizes(tmp_path: Path) -> None:
    found = of(data_set(tmp_path))
    assert [(part.name, part.pictures, part.empty, dict(part.boxes)) for part in found.parts] == [
        ("train", 2, 0, {"scratch": 1, "dent": 2}),
        ("val", 1, 0, {"scratch": 1, "dent": 0}),
        ("test", 1, 1, {"scratch": 0, "dent": 0}),
        ("all", 4, 1, {"scratch": 2, "dent": 2}),
    ]
    assert found.sizes == {"96x64": 4}
    assert (found.box_width_px[0], found.box_width_px[-1]) == (11.5, 96)
    assert found.box_side_share[-1] == pytest.approx(1)
    assert 100 < found.brightness[2] < 155


def test_pictures_without_a_box_have_no_sizes(tmp_path: Path) -> None:
    data = data_set(tmp_path)
    found = of(replace(data, samples=data.samples[3:]))
    assert (found.box_width_px, found.box_side_share, found.parts[-1].empty) == ((), (), 1)


def test_pictures_that_cannot_be_read_are_counted_wherever_that_is_noticed(tmp_path: Path) -> None:
    folder = yolo_folder(tmp_path)
    picture = (folder / "images" / "p.png").read_bytes()
    (folder / "images" / "cut.png").write_bytes(picture[:-40])  # its header is whole
    (folder / "images" / "empty.png").touch()
    assert of(read_dataset(folder)).unreadable == 2
