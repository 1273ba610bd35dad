"""A cleaned copy: a re-check finds no errors, whatever was wrong, and the original is never touched."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from labelled import CLASSES, noise, sample, yolo_folder

from edgevision.datasets.base import DataSet
from edgevision.datasets.check import CheckSettings, check
from edgevision.datasets.fix import fixed
from edgevision.datasets.formats import read_dataset, write_dataset
from edgevision.errors import DatasetError

SIDE = st.integers(-20, 120).map(float)
HOW = CheckSettings()
BIG = (10, 10, 60, 50, 0)
BOX = st.tuples(SIDE, SIDE, SIDE, SIDE, st.integers(0, 1).map(float))


def errors(data: DataSet, how: CheckSettings = HOW) -> list[str]:
    return [f"{item.kind} {item}" for item in check(data, how).findings if item.severity == "error"]


def contents(folder: Path) -> dict[str, str]:
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.rglob("*") if file.is_file()}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(boxes=st.lists(st.tuples(st.integers(0, 4), BOX), max_size=12), splits=st.permutations(["train", "val", "test"]))
def test_whatever_the_boxes_are_a_copy_has_no_errors(
    tmp_path_factory: pytest.TempPathFactory, boxes: list[tuple[int, tuple[float, ...]]], splits: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("set")
    names = ["a.png", "b.png", "c.png", "d.png"]
    samples = [
        sample(folder / "in", name, [box for place, box in boxes if place == number], splits[number % 3])
        for number, name in enumerate(names)
    ]
    shutil.copy(folder / "in" / "a.png", folder / "in" / "e.png")
    samples.append(replace(samples[0], file=folder / "in" / "e.png", split=splits[1]))
    samples.append(sample(folder / "in", "sound.png", [BIG], "train"))  # of the others all may be dropped
    data = DataSet(CLASSES, tuple(samples), (), folder / "in")
    before = contents(folder / "in")
    cleaned, _ = fixed(check(data, CheckSettings()), CheckSettings())
    for name in ("yolo", "voc"):
        write_dataset(cleaned, folder / name, name)
        assert errors(read_dataset(folder / name, name)) == []
    assert contents(folder / "in") == before


def test_everything_at_once(tmp_path: Path) -> None:
    folder = yolo_folder(tmp_path / "in", "0 0.5 0.5 0.5 0.5\n0 0.5 0.5 0 0.1\n0 1 1 0.5 0.5\n")
    images, labels = folder / "images", folder / "labels"
    sample(images, "wrong.png", [])
    (labels / "wrong.txt").write_text("0 0.5 0.5 0.5 0.5\n9 0.5 0.5 0.1 0.1\nnonsense\n", "utf-8")
    (images / "empty.png").touch()
    (images / "cut.png").write_bytes((images / "p.png").read_bytes()[:-40])
    jpeg = bytes(cv2.imencode(".jpg", cv2.resize(noise(9), (320, 240)))[1])
    (images / "damaged.jpg").write_bytes(jpeg[: len(jpeg) // 2] + b"\xff\xd9")
    (labels / "stranger.txt").write_text("0 0.5 0.5 0.5 0.5\n", "utf-8")
    shutil.copy(images / "p.png", images / "again.png")
    before = contents(folder)
    checked = check(read_dataset(folder), CheckSettings())
    kinds = {item.kind for item in checked.findings}
    assert kinds >= {
        "unknown_class",
        "bad_label",
        "degenerate",
        "outside",
        "unreadable",
        "no_picture",
        "exact_duplicate",
    }
    cleaned, actions = fixed(checked, CheckSettings())
    write_dataset(cleaned, tmp_path / "out", "yolo")
    assert errors(read_dataset(tmp_path / "out")) == []
    assert {action.what for action in actions} == {"label left out", "picture dropped", "box dropped", "box clipped"}
    assert [item.file.name for item in cleaned.samples] == ["again.png"]
    (dropped,) = [action for action in actions if Path(action.where).name == "wrong.png"]
    wrong = f"{labels / 'wrong.txt'}:2: class 9; there are 0 to 1, and 1 more"
    assert (dropped.what, dropped.why) == ("picture dropped", wrong), "a picture is dropped once"
    assert (cleaned.findings, cleaned.lost) == ((), ())
    assert contents(folder) == before


def test_a_picture_whose_boxes_are_all_gone_is_no_good_part(tmp_path: Path) -> None:
    boxes = [(10, 10, 10, 30, 0), (200, 10, 230, 30, 1)]
    items = (sample(tmp_path, "a.png", boxes), sample(tmp_path, "b.png", []), sample(tmp_path, "c.png", [*boxes, BIG]))
    cleaned, actions = fixed(check(DataSet(CLASSES, items, (), tmp_path), HOW), HOW)
    assert [(item.file.name, len(item)) for item in cleaned.samples] == [("b.png", 0), ("c.png", 1)]
    dropped = [(Path(action.where).name, action.why) for action in actions if action.what == "picture dropped"]
    assert dropped == [("a.png", "none of its boxes is left; it is no good part")]


def test_a_group_moves_to_the_split_that_has_most_of_it(tmp_path: Path) -> None:
    splits = {"a": ["train", "train", "test"], "b": ["val", "test"], "c": ["train"]}
    samples = [
        sample(tmp_path, f"{3 * lot}{number}.png", [(10, 10, 30, 30, 0)], split, lot=lot)
        for lot, inside in splits.items()
        for number, split in enumerate(inside)
    ]
    data, how = DataSet(CLASSES, tuple(samples), (), tmp_path), CheckSettings(group_column="lot", near_bits=-1)
    assert len(errors(data, how)) == 2
    with pytest.raises(DatasetError, match="nothing is left in val; divide it anew"):
        fixed(check(data, how), how)
    more = sample(tmp_path, "ddd0.png", [(10, 10, 30, 30, 0)], "val", lot="d")
    data = replace(data, samples=(*samples, more))
    cleaned, actions = fixed(check(data, how), how)
    assert errors(cleaned, how) == []
    assert {(item.columns["lot"], item.split) for item in cleaned.samples} == {
        ("a", "train"), ("b", "test"), ("c", "train"), ("d", "val")}  # fmt: skip
    assert [action.what for action in actions] == ["picture moved"] * 2


def test_of_the_same_picture_the_one_that_is_measured_with_stays(tmp_path: Path) -> None:
    first = sample(tmp_path, "a.png", [(10, 10, 30, 30, 0)], "train")
    copies = [first]
    for name, split in (("b.png", "test"), ("c.png", "val")):
        shutil.copy(first.file, tmp_path / name)
        copies.append(replace(first, file=tmp_path / name, split=split))
    other = replace(copies[2], xyxy=first.xyxy + 5)
    data = DataSet(CLASSES, (copies[0], copies[1], other), (), tmp_path)
    told = [str(item) for item in check(data, CheckSettings()).findings if item.kind.startswith("exact")]
    assert "is the same file as a.png, but labelled otherwise, in val and in train" in "".join(told)
    cleaned, actions = fixed(check(data, CheckSettings()), CheckSettings())
    assert [item.file.name for item in cleaned.samples] == ["b.png"]
    assert sum("labelled otherwise" in action.why for action in actions) == 1


def test_rounding_at_the_edges_is_no_action(tmp_path: Path) -> None:
    data = DataSet(CLASSES, (sample(tmp_path, "a.png", [(-0.001, 0, 96.3, 64, 0)], "train"),), (), tmp_path)
    cleaned, actions = fixed(check(data, CheckSettings()), CheckSettings())
    assert (cleaned.samples[0].xyxy.tolist(), actions) == ([[0, 0, 96, 64]], [])


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    item = sample(tmp_path, "a.png", [], "train")
    item.file.write_bytes(b"")
    with pytest.raises(DatasetError, match="not one picture is left; the first reason: the file is empty"):
        fixed(check(DataSet(CLASSES, (item,)), CheckSettings()), CheckSettings())


def test_templates_that_do_not_fit_are_dropped_and_their_pictures_stay(tmp_path: Path) -> None:
    item = sample(tmp_path, "a.png", [(10, 10, 30, 30, 0)], "train")
    cv2.imwrite(str(tmp_path / "t.png"), np.zeros((10, 10), np.uint8))
    data = DataSet(CLASSES, (replace(item, template=tmp_path / "t.png"),), (), tmp_path)
    assert errors(data)[0].startswith("template_size")
    cleaned, _ = fixed(check(data, CheckSettings()), CheckSettings())
    assert [(len(sample), sample.template) for sample in cleaned.samples] == [(1, None)]


def test_a_copy_of_a_copy_is_the_same(tmp_path: Path) -> None:
    boxes = [(-100, 0, 30, 40, 0), (0, 0, 30, 40, 0), (-100, 0, 0.005, 60, 1), (-100, 0, 3, 60, 1)]
    data = DataSet(CLASSES, (sample(tmp_path, "a.png", boxes, "train"),), (), tmp_path)
    cleaned, _ = fixed(check(data, HOW), HOW)
    assert cleaned.samples[0].xyxy.tolist() == [[0, 0, 30, 40], [0, 0, 3, 60]]  # cut off, the first two are one
    assert fixed(check(cleaned, HOW), HOW)[1] == []


@pytest.mark.parametrize("column", [None, "lot"])
def test_a_part_moves_to_one_split_too(tmp_path: Path, column: str | None) -> None:
    rows = [("train", "p", "a"), ("train", "p", "a"), ("val", "p", "b"), ("val", "q", "c"), ("train", "r", "b")]
    samples = [
        sample(tmp_path, f"{number}.png", [(10, 10, 30, 30, 0)], split, part=part, lot=lot)
        for number, (split, part, lot) in enumerate(rows)
    ]
    data, how = DataSet(CLASSES, tuple(samples), (), tmp_path), CheckSettings(group_column=column, near_bits=-1)
    assert any("the part p is in train 2, val 1" in item for item in errors(data, how))
    cleaned, _ = fixed(check(data, how), how)
    assert errors(cleaned, how) == []
    assert [item.split for item in cleaned.samples] == ["train", "train", "train", "val", "train"]
