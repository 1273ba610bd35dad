"""Numbers and plots of a data set."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from labelled import data_set

from edgevision.datasets.base import DataSet
from edgevision.datasets.measure import measure_all
from edgevision.datasets.plots import chosen, write_plots, write_sheet
from edgevision.datasets.stats import stats


def test_boxes_and_pictures_are_counted_by_split_and_class(tmp_path: Path) -> None:
    data = data_set(tmp_path)
    found = stats(data, measure_all([item.file for item in data.samples]))
    parts = {part.name: (part.pictures, part.empty, dict(part.boxes)) for part in found.parts}
    assert parts == {
        "train": (2, 0, {"scratch": 1, "dent": 2}),
        "val": (1, 0, {"scratch": 1, "dent": 0}),
        "test": (1, 1, {"scratch": 0, "dent": 0}),
        "all": (4, 1, {"scratch": 2, "dent": 2}),
    }
    assert found.sizes == {"96x64": 4}
    assert (found.box_width_px[0], found.box_width_px[-1]) == (11.5, 96)
    assert found.box_side_share[-1] == 1
    assert 0 < found.brightness[0] <= found.brightness[-1] < 255


def test_plots_are_pictures_also_of_a_set_without_boxes(tmp_path: Path) -> None:
    data = data_set(tmp_path / "in")
    empty = data.of("test")
    for name, item in (("full", data), ("empty", empty)):
        parts = stats(item, measure_all([sample.file for sample in item.samples])).parts[:-1]
        for file in write_plots(item, parts, tmp_path / name):
            image = cv2.imread(str(file))
            assert image is not None
            assert image.std() > 5


def test_a_sheet_shows_boxes_in_colour_and_every_class(tmp_path: Path) -> None:
    data = data_set(tmp_path / "in")
    shown = chosen(data, 2, seed=3)
    assert {int(label) for item in shown for label in item.label} == {0, 1}
    assert [item.title for item in chosen(data, 2, seed=3)] == [item.title for item in shown]
    assert len(chosen(data, 50)) == len(data)
    write_sheet(shown, data.classes, tmp_path / "with.png")
    bare = [type(item)(item.title, item.image, item.xyxy[:0], item.label[:0]) for item in shown]
    write_sheet(bare, data.classes, tmp_path / "without.png")
    assert (tmp_path / "with.png").read_bytes() != (tmp_path / "without.png").read_bytes()


def test_pictures_that_cannot_be_read_are_left_out_of_a_sheet(tmp_path: Path) -> None:
    data = data_set(tmp_path)
    data.samples[0].file.write_bytes(b"")
    assert len(chosen(data, 10)) == 3
    assert np.array_equal(sorted({len(item.xyxy) for item in chosen(DataSet(data.classes, data.samples), 10)}), [0, 1])
