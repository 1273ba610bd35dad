"""YOLO data sets, described and bare, sound and broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from labelled import kinds, picture, text

from edgevision.datasets.yolo import read
from edgevision.errors import DatasetError


def described(folder: Path, yaml: str) -> Path:
    for index, split in enumerate(("train", "val")):
        picture(folder / "images" / split / "a.png", index)
        text(folder / "labels" / split / "a.txt", "1 0.5 0.5 0.25 0.5\n")
    return text(folder / "data.yaml", yaml)


@pytest.mark.parametrize("names", ["[dent, scratch]", "{0: dent, 1: scratch}", "\n  1: scratch\n  0: dent"])
def test_names_are_a_list_or_a_mapping(tmp_path: Path, names: str) -> None:
    file = described(tmp_path, f"train: images/train\nval: images/val\nnames: {names}\n")
    for path in (file, tmp_path):
        data = read(path)
        assert data.classes == ("dent", "scratch")
        assert [(item.split, item.file.parent.name) for item in data.samples] == [("train", "train"), ("val", "val")]
        assert data.samples[0].xyxy.tolist() == [[24, 12, 40, 36]]
        assert data.samples[0].label.tolist() == [1]
        assert data.samples[0].origins == (f"{tmp_path}/labels/train/a.txt:1",)
        assert data.findings == ()


def test_a_split_is_a_folder_a_list_of_folders_or_a_list_of_files(tmp_path: Path) -> None:
    yaml = "path: sub\ntrain: [images/train, images/val]\ntest: test.txt\nnames: [dent, scratch]\n"
    described(tmp_path / "sub", "")
    text(tmp_path / "data.yaml", yaml)
    text(tmp_path / "sub" / "test.txt", "./images/val/a.png\n\nimages/train/a.png\n")
    data = read(tmp_path)
    assert sorted((item.split, item.file.parent.name) for item in data.samples) == [
        ("test", "train"),
        ("test", "val"),
        ("train", "train"),
        ("train", "val"),
    ]


def test_a_path_of_another_machine_is_told_and_the_files_folder_is_used(tmp_path: Path) -> None:
    data = read(described(tmp_path, "path: /elsewhere/set\ntrain: ../images/train\nnames: [dent, scratch]\n"))
    assert len(data) == 1
    assert kinds(data, "warning") == [("moved", "data.yaml:1")]


def test_lines_that_are_wrong_are_told_with_their_line_and_their_picture_is_left_out(tmp_path: Path) -> None:
    file = described(tmp_path, "train: images/train\nval: images/val\nnames: [dent, scratch]\n")
    lines = "0 0.5 0.5 0.2 0.2\n1\n0 0.5 nan 0.2 0.2\n7 0.5 0.5 0.1 0.1\n0 1 2 3 4 5\nx 1 1 1 1\n0.5 1 1 1 1\n"
    text(tmp_path / "labels/train/a.txt", lines)
    data = read(file)
    wrong = [("bad_label", 2), ("bad_label", 3), ("unknown_class", 4), ("bad_label", 5), ("bad_label", 6)]
    assert kinds(data) == [(kind, f"a.txt:{line}") for kind, line in [*wrong, ("bad_label", 7)]]
    assert kinds(data, "warning") == []
    assert [(item.split, item.label.tolist()) for item in data.samples] == [("val", [1])]
    assert [(item.split, item.file) for item in data.lost] == [("train", tmp_path / "images/train/a.png")]


def test_a_polygon_becomes_its_box(tmp_path: Path) -> None:
    file = described(tmp_path, "train: images/train\nnames: [dent, scratch]\n")
    text(tmp_path / "labels/train/a.txt", "0 0.25 0.5 0.5 0.25 0.75 1.0\n")
    assert read(file).samples[0].xyxy.tolist() == [[16, 12, 48, 48]]


def test_an_empty_label_file_is_a_picture_of_nothing_and_a_missing_one_a_warning(tmp_path: Path) -> None:
    file = described(tmp_path, "train: images/train\nnames: [dent, scratch]\n")
    text(tmp_path / "labels/train/a.txt", "")
    picture(tmp_path / "images/train/b.png")
    data = read(file)
    assert [len(item) for item in data.samples] == [0, 0]
    assert kinds(data) == []
    assert kinds(data, "warning") == [("no_label", "b.png")]


def test_a_label_without_a_picture_is_an_error(tmp_path: Path) -> None:
    file = described(tmp_path, "train: images/train\nnames: [dent, scratch]\n")
    text(tmp_path / "labels/train/gone.txt", "0 0.5 0.5 0.2 0.2\n")
    assert kinds(read(file)) == [("no_picture", "gone.txt")]


def test_a_list_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    picture(tmp_path / "secret.png")
    described(tmp_path / "set", "train: train.txt\nnames: [dent, scratch]\n")
    text(tmp_path / "set/train.txt", "images/train/a.png\n../secret.png\nimages/train/none.png\n")
    data = read(tmp_path / "set")
    assert kinds(data) == [("outside_root", "train.txt:2"), ("no_picture", "train.txt:3")]
    assert len(data) == 1


def test_a_folder_that_is_missing_is_told_with_the_line_of_its_key(tmp_path: Path) -> None:
    data = read(described(tmp_path, "train: images/train\nval: images/valid\nnames: [dent, scratch]\n"))
    assert kinds(data) == [("missing", "data.yaml:2")]


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("train: [a\nnames: [a]\n", "data.yaml:2: is not valid YAML"),
        ("- a\n", "is no mapping"),
        ("train: images/train\n", "`names` is missing"),
        ("train: images/train\nnames: [a, a]\n", "data.yaml:2: the class 'a' is given twice"),
        ("train: images/train\nnames: {0: a, 2: b}\n", "data.yaml:2: the keys of `names` must be 0, 1, 2"),
        ("nc: 3\ntrain: images/train\nnames: [a, b]\n", "data.yaml:1: `nc` is 3, but `names` has 2"),
        ("train: images/train\nnames: []\n", "there are no class names"),
        ("kpt_shape: [17, 3]\nnames: [a]\n", "data.yaml:1: labels of poses are not read"),
        ("names: [a]\n", "names no pictures"),
        ("train: !!python/object/apply:os.system [ls]\nnames: [a]\n", "is not valid YAML"),
    ],
)
def test_a_description_that_is_wrong_is_one_clear_error(tmp_path: Path, yaml: str, message: str) -> None:
    with pytest.raises(DatasetError) as refused:
        read(described(tmp_path, yaml))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("labels", ["labels", "labels_yolo", "labels_v2"])
def test_a_bare_folder_takes_its_splits_from_folders(tmp_path: Path, labels: str) -> None:
    for split in ("train", "valid"):
        picture(tmp_path / "images" / split / "ä b.jpg")
        text(tmp_path / labels / split / "ä b.txt", "0 0.5 0.5 0.5 0.5\n")
    text(tmp_path / "classes.txt", "dent\n")
    data = read(tmp_path)
    assert [(item.split, len(item)) for item in data.samples] == [("train", 1), ("val", 1)]
    assert data.findings == ()


def test_a_class_file_with_a_name_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.png")
    text(tmp_path / "labels/a.txt", "")
    text(tmp_path / "classes.txt", "dent\nstain\ndent\n")
    with pytest.raises(DatasetError, match=r"classes\.txt:3: the class 'dent' is given twice, first in .*:1"):
        read(tmp_path)
