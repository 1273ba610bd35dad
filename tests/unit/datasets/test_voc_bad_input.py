"""What a VOC data set may get wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from labelled import sample, voc_folder

from edgevision.datasets.base import DataSet
from edgevision.datasets.formats import read_dataset
from edgevision.errors import DatasetError


def xml(name: str = "dent", box: tuple[object, ...] = (11, 21, 40, 60), size: str = "") -> bytes:
    sides = "".join(
        f"<{side}>{value}</{side}>" for side, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return f"<annotation>{size}\n<object><name>{name}</name><bndbox>{sides}</bndbox></object>\n</annotation>".encode()


def kinds(data: DataSet) -> list[str]:
    return [finding.kind for finding in data.findings]


def test_pixels_count_from_one(tmp_path: Path) -> None:
    data = read_dataset(voc_folder(tmp_path, xml(box=(1, 1, 96, 64))))
    assert (data.samples[0].xyxy.tolist(), data.findings) == ([[0, 0, 96, 64]], ())


def test_boxes_that_count_from_zero_are_told_once_and_are_not_outside(tmp_path: Path) -> None:
    data = read_dataset(voc_folder(tmp_path, xml(box=(0, 0, 95, 63))))
    assert data.samples[0].xyxy.tolist() == [[0, 0, 95, 63]]
    (finding,) = data.findings
    assert (finding.kind, finding.severity) == ("counts_from_0", "warning")
    assert finding.where.endswith("p.xml:2")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (xml(name=""), "bad_label"),
        (xml(box=("", 1, 2, 3)), "bad_label"),
        (xml(box=("left", 1, 2, 3)), "bad_label"),
        (xml(box=("1e300", 1, 2, 3)), "bad_label"),
        (xml(size="<size><width>64</width><height>96</height></size>"), "size"),
        (b"<annotation>\n<object>\n</annotation>", "bad_label"),
        (b'<!DOCTYPE a [<!ENTITY x "boom">]><annotation><object><name>&x;</name></object></annotation>', "bad_label"),
        ('<?xml version="1.0" encoding="gb2312"?><annotation>裂</annotation>'.encode("gb2312"), "bad_label"),
        (b"", "bad_label"),
    ],
)
def test_a_file_that_says_nothing_is_told_with_its_line(tmp_path: Path, content: bytes, kind: str) -> None:
    folder = voc_folder(tmp_path, content)
    sample(folder / "JPEGImages", "q.png", [])
    (folder / "Annotations" / "q.xml").write_bytes(xml())
    data = read_dataset(folder)
    assert kinds(data) == [kind]
    assert "p.xml" in data.findings[0].where
    assert data.classes == ("dent",)


def test_without_a_class_there_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no object has a name, .*; list them in classes\.txt"):
        read_dataset(voc_folder(tmp_path, b"<annotation/>"))
    (tmp_path / "classes.txt").write_text("dent\n", "utf-8")
    assert len(read_dataset(tmp_path)) == 1


def test_a_class_that_the_list_lacks_is_told(tmp_path: Path) -> None:
    folder = voc_folder(tmp_path, xml("hole"))
    (folder / "classes.txt").write_text("dent\n", "utf-8")
    assert kinds(read_dataset(folder)) == ["unknown_class"]
    (folder / "classes.txt").write_text("dent\ndent\n", "utf-8")
    with pytest.raises(DatasetError, match=r"classes\.txt:2: the class 'dent' is given twice"):
        read_dataset(folder)


def test_lists_of_splits(tmp_path: Path) -> None:
    folder = voc_folder(tmp_path, xml())
    lists = folder / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("p\nnowhere\n", "utf-8")
    data = read_dataset(folder)
    assert [item.split for item in data.samples] == ["train"]
    assert data.findings[0].where.endswith("train.txt:2")
