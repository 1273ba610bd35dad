"""DeepPCB in both of its layouts, and what it may get wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import pytest
from labelled import sample

from edgevision.datasets.base import DataSet
from edgevision.datasets.formats import detect, read_dataset
from edgevision.errors import DatasetError

IDS = ("00041000", "13000001")


def flat(folder: Path, label: str = "10 10 30 30 1\n") -> Path:
    for name in IDS:
        sample(folder / "images", f"{name}.png", [])
        sample(folder / "templates", f"{name}.png", [])
        (folder / "labels_orig").mkdir(exist_ok=True)
        (folder / "labels_orig" / f"{name}.txt").write_text(label, "utf-8")
    return folder


def published(folder: Path) -> Path:
    """The layout of the original repository."""
    for name in IDS:
        group = folder / "PCBData" / f"group{name[:5]}"
        sample(group / name[:5], f"{name}_test.jpg", [])
        sample(group / name[:5], f"{name}_temp.jpg", [])
        (group / f"{name[:5]}_not").mkdir()
        (group / f"{name[:5]}_not" / f"{name}.txt").write_text("10,10,30,30,6\n", "utf-8")
    lines = [f"group{name[:5]}/{name[:5]}/{name}.jpg group{name[:5]}/{name[:5]}_not/{name}.txt\n" for name in IDS]
    (folder / "PCBData" / "trainval.txt").write_text(lines[0], "utf-8")
    (folder / "PCBData" / "test.txt").write_text(lines[1], "utf-8")
    return folder


def told(data: DataSet) -> list[tuple[str, str]]:
    return [(finding.kind, finding.where) for finding in data.findings if finding.severity == "error"]


@pytest.mark.parametrize("made", [flat, published])
def test_both_layouts(tmp_path: Path, made: type) -> None:
    made(tmp_path)
    assert detect(tmp_path) == "deeppcb"
    data = read_dataset(tmp_path)
    assert data.findings == ()
    assert [item.columns["board"] for item in data.samples] == ["00041", "13000"]
    assert all(item.template and item.xyxy.tolist() == [[10, 10, 30, 30]] for item in data.samples)
    assert [item.split for item in data.samples] == (["train", "test"] if made is published else ["", ""])


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("10 10 30 30 7", "unknown_class"),
        ("10 10 30 30 0", "unknown_class"),
        ("10 10 30 30 1.5", "unknown_class"),
        ("10 10 30 30", "bad_label"),
        ("10 10 30 1e99 1", "bad_label"),
        ("copper", "bad_label"),
    ],
)
def test_a_line_that_says_nothing_is_told_with_its_number(tmp_path: Path, line: str, kind: str) -> None:
    labels = flat(tmp_path) / "labels_orig" / f"{IDS[0]}.txt"
    labels.write_text(f"10 10 30 30 1\n{line}\n", "utf-8")
    data = read_dataset(tmp_path)
    assert told(data) == [(kind, f"{labels}:2")]
    assert [(item.file.stem, len(item)) for item in data.samples] == [(IDS[1], 1)]


def test_lists_that_name_strangers_or_one_picture_twice(tmp_path: Path) -> None:
    flat(tmp_path)
    (tmp_path / "train.txt").write_text("00041000\n../../00041000\n99999999\n", "utf-8")
    (tmp_path / "test.txt").write_text("00041000\n", "utf-8")
    data = read_dataset(tmp_path)
    assert [item.split for item in data.samples] == ["train", ""]
    assert told(data) == [
        ("no_picture", f"{tmp_path / 'train.txt'}:3"), ("two_splits", f"{tmp_path / 'test.txt'}:1")]  # fmt: skip


def test_two_pictures_of_one_id_are_told(tmp_path: Path) -> None:
    flat(tmp_path)
    picture = cv2.imread(str(tmp_path / "images" / f"{IDS[0]}.png"))
    cv2.imwrite(str(tmp_path / "images" / f"{IDS[0]}.jpg"), picture)
    data = read_dataset(tmp_path)
    assert len(data) == 2
    assert told(data) == [("name_twice", str(tmp_path / "images" / f"{IDS[0]}.png"))]


def test_labels_and_templates_of_other_pictures(tmp_path: Path) -> None:
    flat(tmp_path)
    (tmp_path / "images" / f"{IDS[0]}.png").unlink()
    (tmp_path / "templates" / f"{IDS[1]}.png").unlink()
    data = read_dataset(tmp_path)
    assert told(data) == [("no_picture", str(tmp_path / "labels_orig" / f"{IDS[0]}.txt"))]
    assert [finding.kind for finding in data.findings if finding.severity == "warning"] == ["no_template"]


def test_without_its_folders_it_is_none(tmp_path: Path) -> None:
    flat(tmp_path)
    shutil.rmtree(tmp_path / "templates")
    with pytest.raises(DatasetError, match="no DeepPCB data set"):
        read_dataset(tmp_path, "deeppcb")
