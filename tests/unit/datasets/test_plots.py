"""Plots are drawn whatever classes and pictures are called and however many boxes there are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from labelled import data_set, sample

from edgevision.datasets.base import DataSet
from edgevision.datasets.measure import measure_all
from edgevision.datasets.plots import Shown, chosen, write_plots, write_sheet
from edgevision.datasets.stats import stats
from edgevision.errors import DatasetError
from edgevision.sources.images import read_image

NAMES = ("$x_{", "a$b$c", "_hidden", "裂纹", "Riß", *(f"class {number}" for number in range(20)))


def drawn(file: Path) -> np.ndarray:
    image = read_image(file)
    assert image.std() > 3
    return image


def test_names_of_every_kind_are_drawn(tmp_path: Path) -> None:
    boxes = [(float(3 * number), 5.0, 3.0 * number + 9, 25.0, float(number)) for number in range(25)]
    data = DataSet(NAMES, (sample(tmp_path, "c$o$t$_{.png", boxes, "train"),), (), tmp_path)
    parts = stats(data, measure_all([data.samples[0].file])).parts[:-1]
    for file in write_plots(data, parts, tmp_path / "plots"):
        drawn(file)
    write_sheet(chosen(data, 4), NAMES, tmp_path / "sheet.png")
    drawn(tmp_path / "sheet.png")


def test_without_a_box_there_is_still_something_to_see(tmp_path: Path) -> None:
    data = DataSet(("a", "b"), (sample(tmp_path, "p.png", [], "train"),), (), tmp_path)
    parts = stats(data, measure_all([data.samples[0].file])).parts[:-1]
    files = write_plots(data, parts, tmp_path / "plots")
    assert [drawn(file).ndim for file in files] == [3] * 3


def test_colours_of_classes_differ_also_beyond_ten(tmp_path: Path) -> None:
    sheets = []
    for label in (1, 11):
        item = Shown("p", np.zeros((60, 90, 3), np.uint8), np.float32([[10, 10, 50, 50]]), np.array([label]))
        write_sheet([item], NAMES, tmp_path / f"{label}.png")
        sheets.append(read_image(tmp_path / f"{label}.png"))
    assert sheets[0].shape != sheets[1].shape or (sheets[0] != sheets[1]).any()


def test_every_class_is_shown_though_it_is_rare(tmp_path: Path) -> None:
    common = [sample(tmp_path, f"c{number}.png", [(10, 10, 30, 30, 0)]) for number in range(30)]
    rare = sample(tmp_path, "rare.png", [(10, 10, 30, 30, 1)])
    data = DataSet(("a", "b"), (*common, rare), (), tmp_path)
    for seed in range(5):
        assert {int(label) for item in chosen(data, 3, seed) for label in item.label} == {0, 1}
    assert [item.title for item in chosen(data, 3, 1)] == [item.title for item in chosen(data, 3, 1)]


def test_broken_pictures_are_passed_over_and_large_ones_shrink(tmp_path: Path) -> None:
    data = data_set(tmp_path)
    data.samples[0].file.write_bytes(b"")
    cv2.imwrite(str(data.samples[1].file), np.zeros((1280, 1920, 3), np.uint8))
    second = replace(data.samples[1], size=(1920, 1280), xyxy=np.float32([[960, 640, 1920, 1280]]))
    data = replace(data, samples=(data.samples[0], second))
    (shown,) = chosen(data, 9)
    assert (shown.image.shape, shown.xyxy.tolist()) == ((320, 480, 3), [[240, 160, 480, 320]])
    with pytest.raises(DatasetError, match="no picture can be read"):
        chosen(replace(data, samples=data.samples[:1]), 9)


def test_a_variation_gets_only_boxes_that_are_in_the_picture(tmp_path: Path) -> None:
    boxes = [(10.0, 10.0, 120.0, 30.0, 0.0), (10.0, 10.0, 10.0, 30.0, 1.0), (200.0, 10.0, 230.0, 30.0, 1.0)]
    data = DataSet(("a", "b"), (sample(tmp_path, "p.png", boxes),), (), tmp_path)
    seen = []

    def vary(image: np.ndarray, xyxy: np.ndarray, label: np.ndarray, seed: int) -> tuple[np.ndarray, ...]:
        seen.append((xyxy.tolist(), label.tolist(), seed))
        return image[:, ::-1], xyxy, label

    chosen(data, 1, seed=7, vary=vary)  # type: ignore[arg-type]
    assert seen == [([[10, 10, 96, 30]], [0], 7)]


def test_a_plot_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    data = data_set(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match="cannot be written"):
        write_sheet(chosen(data, 1), data.classes, tmp_path / "file" / "sheet.png")
