"""What a check finds, and that a cleaned copy has none of it."""

from __future__ import annotations

import shutil
import tracemalloc
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from labelled import CLASSES, data_set, noise, sample

from edgevision.datasets.base import DataSet
from edgevision.datasets.check import CheckSettings, check, twins
from edgevision.datasets.fix import fixed
from edgevision.datasets.formats import read_dataset, write_dataset


def kinds(data: DataSet, **settings: object) -> dict[str, str]:
    """Severity of every kind of finding."""
    found = check(data, CheckSettings(**{"image_size": 96, **settings}))  # type: ignore[arg-type]
    return {item.kind: item.severity for item in found.findings}


def test_a_sound_data_set_has_no_errors(tmp_path: Path) -> None:
    assert "error" not in kinds(data_set(tmp_path)).values()


def test_broken_pictures_are_unreadable(tmp_path: Path) -> None:
    data = data_set(tmp_path)
    (tmp_path / "a1.png").write_bytes(b"")
    (tmp_path / "a2.png").write_bytes((tmp_path / "a2.png").read_bytes()[:-60])
    found = [item for item in check(data, CheckSettings()).findings if item.kind == "unreadable"]
    assert {Path(item.where).name for item in found} == {"a1.png", "a2.png"}


@pytest.mark.parametrize(
    ("box", "kind", "severity"),
    [
        ((10, 10, 10, 20, 0), "degenerate", "error"),
        ((30, 10, 10, 20, 0), "degenerate", "error"),
        ((float("nan"), 10, 20, 20, 0), "degenerate", "error"),
        ((200, 10, 220, 20, 0), "outside", "error"),
        ((80, 10, 120, 20, 0), "outside", "error"),
        ((10, 10, 12, 12, 0), "small_box", "warning"),
        ((10, 10, 30, 30, 9), "unknown_class", "error"),
    ],
)
def test_boxes_that_cannot_be_learned_from(tmp_path: Path, box: tuple[float, ...], kind: str, severity: str) -> None:
    data = DataSet(CLASSES, (sample(tmp_path, "p.png", [box, (40, 40, 60, 60, 1)], "train"),), (), tmp_path)
    assert kinds(data)[kind] == severity


def test_a_box_given_twice_is_told(tmp_path: Path) -> None:
    boxes = [(10, 10, 30, 30, 0), (10, 10, 30, 30.2, 0)]
    data = DataSet(CLASSES, (sample(tmp_path, "p.png", boxes, "train"),), (), tmp_path)  # type: ignore[arg-type]
    assert kinds(data)["duplicate_box"] == "warning"


def test_the_same_picture_in_two_splits_is_an_error_and_in_one_a_warning(tmp_path: Path) -> None:
    first = sample(tmp_path, "a.png", [(10, 10, 30, 30, 0)], "train")
    shutil.copy(first.file, tmp_path / "b.png")
    for split, kind, severity in (
        ("train", "exact_duplicate", "warning"),
        ("val", "exact_duplicate_across_splits", "error"),
    ):
        second = replace(first, file=tmp_path / "b.png", split=split)
        assert kinds(DataSet(CLASSES, (first, second), (), tmp_path))[kind] == severity


def test_the_same_shot_saved_again_is_a_near_duplicate_and_another_is_not(tmp_path: Path) -> None:
    first = sample(tmp_path, "a.png", [(10, 10, 30, 30, 0)], "train")
    picture = noise(sum(map(ord, "a.png")))
    brighter = np.clip(picture.astype(np.int16) + 6, 0, 255).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "b.jpg"), brighter, [cv2.IMWRITE_JPEG_QUALITY, 85])
    again = replace(first, file=tmp_path / "b.jpg", split="val")
    other = sample(tmp_path, "c.png", [(10, 10, 30, 30, 0)], "val")
    assert kinds(DataSet(CLASSES, (first, again, other), (), tmp_path))["near_duplicate_across_splits"] == "error"
    assert not {kind for kind in kinds(DataSet(CLASSES, (first, other), (), tmp_path)) if "duplicate" in kind}
    assert not {kind for kind in kinds(DataSet(CLASSES, (first, again), (), tmp_path), near_bits=-1) if "near" in kind}


def test_a_group_in_two_splits_is_an_error(tmp_path: Path) -> None:
    data = data_set(tmp_path)
    moved = replace(data, samples=(replace(data.samples[0], split="test"), *data.samples[1:]))
    assert kinds(moved, group_column="lot")["group_across_splits"] == "error"
    assert "group_across_splits" not in kinds(data, group_column=None)


def test_classes_that_are_missing_or_rare_are_told(tmp_path: Path) -> None:
    boxes = [(float(x), 10.0, x + 8.0, 30.0, 0.0) for x in range(0, 80, 9)]
    many = [sample(tmp_path, f"p{number}.png", boxes, "train") for number in range(3)]
    rare = sample(tmp_path, "r.png", [(10, 40, 30, 60, 1)], "train")
    lacking = sample(tmp_path, "v.png", [(10, 40, 30, 60, 0)], "val")
    found = kinds(DataSet(CLASSES, (*many, rare, lacking), (), tmp_path))
    assert (found["imbalance"], found["no_boxes"]) == ("warning", "warning")
    assert kinds(DataSet(("one",), (many[0],), (), tmp_path))["one_class"] == "warning"


def test_a_cleaned_copy_has_no_errors_and_the_original_stays(tmp_path: Path) -> None:
    bad = [(80, 10, 120, 20, 0), (10, 10, 10, 20, 0), (40, 40, 60, 60, 1)]
    first = sample(tmp_path / "in", "a.png", bad, "train")  # type: ignore[arg-type]
    shutil.copy(first.file, tmp_path / "in" / "b.png")
    copy = replace(first, file=tmp_path / "in" / "b.png", split="val")
    broken = sample(tmp_path / "in", "c.png", [], "train")
    sound = sample(tmp_path / "in", "d.png", [(10, 10, 30, 30, 0), (50, 10, 70, 30, 1)], "val")
    broken.file.write_bytes(b"\x89PNG\r\n\x1a\n cut")
    before = {file.name: file.read_bytes() for file in (tmp_path / "in").iterdir()}
    checked = check(DataSet(CLASSES, (first, copy, broken, sound), (), tmp_path / "in"), CheckSettings())
    data, actions = fixed(checked, CheckSettings())
    write_dataset(data, tmp_path / "out", "yolo")
    again = read_dataset(tmp_path / "out")
    assert check(again, CheckSettings()).count("error") == 0
    assert {item.file.name for item in again.samples} < {"a.png", "b.png", "d.png"}
    assert len(actions) >= 4
    assert {file.name: file.read_bytes() for file in (tmp_path / "in").iterdir()} == before


def test_thousands_of_boxes_do_not_fill_the_memory(tmp_path: Path) -> None:
    boxes = [(x, y, x + 0.5, y + 0.5, 0) for x in range(60) for y in range(50)]
    item = sample(tmp_path, "a.png", [*boxes, boxes[7]])
    tracemalloc.start()
    try:
        assert twins(item) == [(7, 3000)]
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
