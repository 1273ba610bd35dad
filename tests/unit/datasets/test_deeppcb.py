"""DeepPCB in both layouts."""

from __future__ import annotations

from pathlib import Path

import pytest
from labelled import kinds, picture, text

from edgevision.datasets.deeppcb import TYPES, is_one, read
from edgevision.errors import DatasetError


def flat(folder: Path, name: str = "00041000", labels: str = "1 2 10 20 1\n") -> Path:
    picture(folder / "images" / f"{name}.png", int(name))
    picture(folder / "templates" / f"{name}.png", int(name) + 1)
    text(folder / "labels_orig" / f"{name}.txt", labels)
    return folder


def test_a_picture_comes_with_its_template_and_board(tmp_path: Path) -> None:
    data = read(flat(tmp_path))
    (sample,) = data.samples
    assert data.classes == TYPES
    assert sample.template == tmp_path / "templates/00041000.png"
    assert sample.columns == {"board": "00041"}
    assert (sample.xyxy.tolist(), sample.label.tolist()) == ([[1, 2, 10, 20]], [0])
    assert (sample.split, data.findings) == ("", ())


@pytest.mark.parametrize("comma", [" ", ",", ", "])
def test_the_original_layout(tmp_path: Path, comma: str) -> None:
    group = tmp_path / "PCBData/group20085"
    for end in ("test", "temp"):
        picture(group / f"20085/20085000_{end}.jpg")
    text(group / "20085_not/20085000.txt", comma.join(["1", "2", "10", "20", "6"]))
    text(tmp_path / "PCBData/trainval.txt", "")
    text(tmp_path / "PCBData/test.txt", "group20085/20085/20085000.jpg group20085/20085_not/20085000.txt\n")
    (sample,) = read(tmp_path).samples
    assert is_one(tmp_path)
    assert sample.template is not None
    assert sample.file.name == "20085000_test.jpg"
    assert (sample.label.tolist(), sample.split, sample.columns["board"]) == ([5], "test", "20085")


def test_trainval_alone_decides_nothing_and_lists_do(tmp_path: Path) -> None:
    flat(tmp_path)
    text(tmp_path / "trainval.txt", "00041000\n")
    assert read(tmp_path).samples[0].split == ""
    text(tmp_path / "val.txt", "00041000\n00041001\n")
    text(tmp_path / "test.txt", "00041000\n")
    (tmp_path / "trainval.txt").unlink()
    data = read(tmp_path)
    assert data.samples[0].split == "val"
    assert kinds(data) == [("no_picture", "val.txt:2"), ("two_splits", "test.txt:1")]


def test_what_is_wrong_is_told_with_its_line(tmp_path: Path) -> None:
    flat(tmp_path, labels="1 2 10 20 7\n1 2 10\n1 2 10 x 1\n1 2 10 20 1.5\n3 4 5 6 2\n")
    text(tmp_path / "labels_orig/00042000.txt", "")
    picture(tmp_path / "images/00043000.png")
    data = read(tmp_path)
    assert kinds(data) == [
        ("unknown_class", "00041000.txt:1"),
        ("bad_label", "00041000.txt:2"),
        ("bad_label", "00041000.txt:3"),
        ("unknown_class", "00041000.txt:4"),
        ("no_picture", "00042000.txt"),
    ]
    assert kinds(data, "warning") == [("no_label", "00043000.png"), ("no_template", "00043000.png")]
    assert [item.file.name for item in data.samples] == ["00043000.png"]
    assert [(item.file.name, dict(item.columns)) for item in data.lost] == [("00041000.png", {"board": "00041"})]


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no DeepPCB data set"):
        read(tmp_path)


def test_real_boards_are_read_whole(data_dir: Path) -> None:
    data = read(data_dir / "deeppcb")
    assert (len(data), sum(data.counts()), data.findings) == (1000, 6873, ())
    assert {item.columns["board"] for item in data.samples} == {
        "00041", "13000", "20085", "44000", "50600", "77000", "92000"
    }  # fmt: skip
    assert all(item.template is not None for item in data.samples)
