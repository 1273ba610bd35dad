"""What a YOLO data set may get wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from labelled import sample, yolo_folder

from edgevision.datasets.base import DataSet
from edgevision.datasets.formats import read_dataset
from edgevision.errors import DatasetError


def told(data: DataSet, kind: str) -> list[str]:
    return [str(finding) for finding in data.findings if finding.kind == kind]


@pytest.mark.parametrize(
    ("described", "says"),
    [
        ("names: [a]\n", r"data\.yaml: names no pictures: give folders"),
        ("train: images\n", r"data\.yaml: `names` is missing"),
        ("train: images\nnames: a\n", r"data\.yaml:2: `names` is missing"),
        ("train: images\nnames: {0: a, 2: b}\n", r"data\.yaml:2: the keys of `names` must be 0, 1, 2"),
        ("train: images\nnames: {false: a, 1: b}\n", r"data\.yaml:2: the keys of `names` must be 0, 1, 2"),
        ("train: images\nnames: [yes, no]\n", r"data\.yaml:2: 'True' is no class name; write yes, no"),
        ("train: images\nnc: 3\nnames: [a, b]\n", r"data\.yaml:2: `nc` is 3, but `names` has 2"),
        ("train: images\nnames: [a, a]\n", r"data\.yaml:2: the class 'a' is given twice"),
        ("train: {a: b}\nnames: [a]\n", r"data\.yaml:1: `train` must name folders or lists"),
        ("train: [[a]]\nnames: [a]\n", r"data\.yaml:1: `train` must name folders or lists"),
        ("train: images\nnames: [a]\nkpt_shape: [17, 3]\n", r"data\.yaml:3: labels of poses are not read"),
        (f"train: {'a' * 300}\nnames: [a]\n", r"there are no pictures; .*data\.yaml:1: `train` names aaa"),
        ("train: data.yaml\nnames: [a]\n", r"data\.yaml:1: `train` names data.yaml, which is not there"),
    ],
)
def test_descriptions_that_describe_nothing(tmp_path: Path, described: str, says: str) -> None:
    with pytest.raises(DatasetError, match=says):
        read_dataset(yolo_folder(tmp_path, described=described))


def test_a_bomb_of_aliases_does_not_go_off(tmp_path: Path) -> None:
    levels = [f"k{level}: &k{level} [{', '.join([f'*k{level - 1}'] * 10)}]\n" for level in range(1, 12)]
    described = f"k0: &k0 [x]\n{''.join(levels)}train: images\nnames: [a]\n"
    assert len(read_dataset(yolo_folder(tmp_path, described=described))) == 1


def test_lines_of_a_list_that_lead_out_or_nowhere(tmp_path: Path) -> None:
    folder = yolo_folder(tmp_path / "set", described="train: list.txt\nnames: [scratch, dent]\n")
    shutil.copytree(folder / "images", tmp_path / "images")
    lines = ["./images/p.png", "../images/p.png", "images/../../images/p.png", "a" * 300, "images/q.png", "a\0b"]
    (folder / "list.txt").write_text("\n".join(lines), "utf-8")
    data = read_dataset(folder)
    assert [item.file for item in data.samples] == [folder / "images" / "p.png"]
    assert [text.split(": ")[0][-10:] for text in told(data, "outside_root")] == ["list.txt:2", "list.txt:3"]
    assert [text.split(": ")[0][-10:] for text in told(data, "no_picture")] == [
        "list.txt:4", "list.txt:5", "list.txt:6"]  # fmt: skip


@pytest.mark.parametrize("line", ["0 1e300 0.5 0.1 0.1", "0 nan 0.5 0.1 0.1", "0.5 0.5 0.5 0.1 0.1", "x 1 1 1 1"])
def test_numbers_beyond_any_picture_are_bad_labels(tmp_path: Path, line: str) -> None:
    folder = yolo_folder(tmp_path, f"{line}\n0 0.5 0.5 0.5 0.5\n")
    sample(folder / "images", "q.png", [])
    data = read_dataset(folder)
    assert told(data, "bad_label")[0].startswith(f"{tmp_path / 'labels' / 'p.txt'}:1: expected")
    assert [item.file.name for item in data.samples] == ["q.png"]


def test_a_label_file_that_two_pictures_share_is_told(tmp_path: Path) -> None:
    folder = yolo_folder(tmp_path)
    sample(folder / "images", "p.jpg", [])
    (text,) = told(read_dataset(folder), "shared_label")
    assert "has the label file of p.jpg" in text


def test_all_labels_for_other_pictures(tmp_path: Path) -> None:
    folder = yolo_folder(tmp_path)
    (folder / "images" / "p.png").rename(folder / "images" / "other.png")
    data = read_dataset(folder)
    assert (len(told(data, "no_picture")), len(told(data, "no_label"))) == (1, 1)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe0\x00 \x00", b"\0\0\0\0"])
def test_label_files_of_nothing_and_of_bytes(tmp_path: Path, content: bytes) -> None:
    folder = yolo_folder(tmp_path)
    (folder / "labels" / "p.txt").write_bytes(content)
    sample(folder / "images", "q.png", [])
    data = read_dataset(folder)
    assert len(told(data, "bad_label")) == bool(content)
    names = ["q.png"] if content else ["p.png", "q.png"]  # an empty file says that there is nothing
    assert [(item.file.name, len(item)) for item in data.samples] == [(name, 0) for name in names]


def test_splits_beside_each_other_as_roboflow_exports_them(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        sample(tmp_path / split / "images", f"{split}.png", [])
        (tmp_path / split / "labels").mkdir()
        (tmp_path / split / "labels" / f"{split}.txt").write_text("1 0.5 0.5 0.5 0.5\n", "utf-8")
    text = "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['a', 'b']\n"
    (tmp_path / "data.yaml").write_text(text, "utf-8")
    data = read_dataset(tmp_path)
    assert {item.split: item.label.tolist() for item in data.samples} == {"train": [1], "val": [1]}
    assert data.findings == ()


def test_a_folder_that_moved_is_found_beside_its_description(tmp_path: Path) -> None:
    described = "path: /nowhere/at/all\ntrain: images\nnames: [scratch, dent]\n"
    data = read_dataset(yolo_folder(tmp_path, described=described))
    assert len(data) == 1
    assert "data.yaml:1" in told(data, "moved")[0]


def test_a_split_without_pictures_is_told_and_its_labels_too(tmp_path: Path) -> None:
    folder = yolo_folder(tmp_path, described="train: images/train\nval: images/val\ntest: ''\nnames: [a]\n")
    for name in ("train", "val"):
        (folder / "images" / name).mkdir()
        (folder / "labels" / name / "deep").mkdir(parents=True)
        (folder / "labels" / name / "deep" / "q.txt").write_text("0 0.5 0.5 0.5 0.5\n", "utf-8")
    (folder / "images" / "p.png").rename(folder / "images" / "train" / "p.png")
    data = read_dataset(folder)
    assert [item.split for item in data.samples] == ["train"]
    assert told(data, "empty_file") == [f"{folder / 'data.yaml'}:2: `val` names images/val: no pictures"]
    assert len(told(data, "no_picture")) == 2
