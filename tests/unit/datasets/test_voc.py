"""Pascal VOC data sets, sound and broken, and their counting from 1."""

from __future__ import annotations

from pathlib import Path

import pytest
from labelled import kinds, picture, text

from edgevision.datasets.voc import read
from edgevision.errors import DatasetError

OBJECT = """<object><name>{}</name>
<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"""


def xml(*objects: str, size: tuple[int, int] = (64, 48)) -> str:
    head = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    return "\n".join(["<annotation>", head, *objects, "</annotation>"])


def one(folder: Path, content: str, name: str = "a") -> Path:
    picture(folder / "JPEGImages" / f"{name}.png")
    text(folder / "Annotations" / f"{name}.xml", content)
    return folder


def test_a_box_over_the_whole_picture_counts_from_one_to_the_last_pixel(tmp_path: Path) -> None:
    data = read(one(tmp_path, xml(OBJECT.format("dent", 1, 1, 64, 48), OBJECT.format("ack", 10.5, 2, 12, 3))))
    assert data.classes == ("ack", "dent")
    assert data.samples[0].xyxy.tolist() == [[0, 0, 64, 48], [9.5, 1, 12, 3]]
    assert data.samples[0].label.tolist() == [1, 0]
    assert data.samples[0].origins == tuple(f"{tmp_path}/Annotations/a.xml:{line}" for line in (3, 5))


@pytest.mark.parametrize("names", [("annotations_voc", "images"), ("ANNOTATIONS", "IMAGES")])
def test_folders_have_many_names(tmp_path: Path, names: tuple[str, str]) -> None:
    text(tmp_path / names[0] / "a.xml", xml(OBJECT.format("dent", 1, 1, 9, 9)))
    picture(tmp_path / names[1] / "dent" / "a.png")
    assert len(read(tmp_path).samples[0]) == 1


def test_pictures_of_one_name_in_several_folders_keep_their_own_boxes(tmp_path: Path) -> None:
    for name, kind in (("a/1", "dent"), ("b/1", "ack")):
        one(tmp_path, xml(OBJECT.format(kind, 1, 1, 9, 9)), name)
    data = read(tmp_path)
    assert [(item.file.parent.name, [data.classes[label] for label in item.label]) for item in data.samples] == [
        ("a", ["dent"]),
        ("b", ["ack"]),
    ]
    assert data.findings == ()


def test_of_pictures_that_differ_in_their_suffix_the_one_that_is_named_has_the_boxes(tmp_path: Path) -> None:
    one(tmp_path, xml("<filename>a.png</filename>", OBJECT.format("dent", 1, 1, 9, 9)))
    picture(tmp_path / "JPEGImages" / "a.bmp")
    assert {item.file.name: len(item) for item in read(tmp_path).samples} == {"a.bmp": 0, "a.png": 1}


def test_a_second_label_file_of_a_picture_is_left_out_and_told(tmp_path: Path) -> None:
    one(tmp_path, xml(OBJECT.format("dent", 1, 1, 9, 9)))
    text(tmp_path / "Annotations" / "1 old" / "a.xml", xml(OBJECT.format("ack", 1, 1, 9, 9)))
    data = read(tmp_path)
    assert [data.classes[label] for label in data.samples[0].label] == ["dent"]
    assert kinds(data) == [("name_twice", "a.xml")]
    assert "1 old" in data.findings[0].where


def test_splits_come_from_lists_or_folders(tmp_path: Path) -> None:
    folder = tmp_path / "lists"
    for name in ("a", "b", "c d"):
        one(folder, xml(OBJECT.format("dent", 1, 1, 9, 9)), name)
    text(folder / "ImageSets/Main/train.txt", "a\nc d\nb -1\nnone\n")
    text(folder / "ImageSets/Main/test.txt", "a\n")
    data = read(folder)
    assert [(item.file.stem, item.split) for item in data.samples] == [
        ("a", "train"),
        ("a", "test"),
        ("b", "train"),
        ("c d", "train"),
    ]
    assert kinds(data) == [("no_picture", "train.txt:4")]
    for split in ("train", "validation"):
        one(tmp_path / "folders" / split, xml(OBJECT.format("dent", 1, 1, 9, 9)))
    assert [item.split for item in read(tmp_path / "folders").samples] == ["train", "val"]


def test_what_is_wrong_is_told_with_its_line(tmp_path: Path) -> None:
    text(tmp_path / "classes.txt", "dent\n")
    one(
        tmp_path, xml(OBJECT.format("dent", 1, 1, "", 9), OBJECT.format("", 1, 1, 9, 9), OBJECT.format("x", 1, 1, 9, 9))
    )
    one(tmp_path, "<annotation>\n<object>\n</annotation>", "b")
    one(tmp_path, xml(size=(48, 64)), "c")
    one(tmp_path, xml(), "d")
    text(tmp_path / "Annotations/gone.xml", xml())
    picture(tmp_path / "JPEGImages/e.png")
    data = read(tmp_path)
    assert kinds(data) == [
        ("bad_label", "a.xml:3"),
        ("bad_label", "a.xml:5"),
        ("unknown_class", "a.xml:7"),
        ("bad_label", "b.xml:3"),
        ("no_picture", "gone.xml"),
        ("size", "c.xml"),
    ]
    assert kinds(data, "warning") == [("no_label", "e.png")]
    assert [item.file.stem for item in data.samples] == ["d", "e"]
    assert [item.file.stem for item in data.lost] == ["a", "b", "c"]


def test_a_picture_that_is_left_out_is_so_in_every_list(tmp_path: Path) -> None:
    wrong = xml(OBJECT.format("dent", 0, 0, 9, 9), OBJECT.format("dent", 1, 1, "", 9))
    for name, content in (("a", wrong), ("b", xml(OBJECT.format("dent", 0, 2, 9, 9)))):
        one(tmp_path, content, name)
        text(tmp_path / f"ImageSets/Main/{'train' if name == 'a' else 'val'}.txt", "a\nb\n")
    data = read(tmp_path)
    assert [(item.file.stem, item.split) for item in data.samples] == [("b", "train"), ("b", "val")]
    assert [(item.file.stem, item.split) for item in data.lost] == [("a", "train"), ("a", "val")]
    assert kinds(data) == [("bad_label", "a.xml:5")]
    assert [item.message[:7] for item in data.findings if item.kind == "counts_from_0"] == ["1 boxes"]


def test_a_second_label_file_that_cannot_be_read_costs_no_picture(tmp_path: Path) -> None:
    one(tmp_path, xml(OBJECT.format("dent", 1, 1, 9, 9)))
    text(tmp_path / "Annotations" / "1 old" / "a.xml", "<annotation>")
    data = read(tmp_path)
    assert [len(item) for item in data.samples] == [1]
    assert [kind for kind, _ in kinds(data)] == ["bad_label"]


def test_entities_are_never_expanded(tmp_path: Path) -> None:
    secret = text(tmp_path / "secret.txt", "stolen")
    bombs = [
        f'<!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]>\n<annotation>&x;</annotation>',
        '<!DOCTYPE a [<!ENTITY x "xx"><!ENTITY y "&x;&x;">]>\n<annotation>&y;</annotation>',
    ]
    text(tmp_path / "classes.txt", "dent\n")
    for index, bomb in enumerate(bombs):
        one(tmp_path, bomb, str(index))
    data = read(tmp_path)
    assert kinds(data) == [("bad_label", "0.xml:1"), ("bad_label", "1.xml:1")]
    assert all("declares an XML entity" in item.message for item in data.findings)


def test_without_any_name_there_are_no_classes(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no object has a name.*classes\.txt"):
        read(one(tmp_path, xml()))


def test_real_steel_is_read_whole(data_dir: Path) -> None:
    """The real set; its boxes go from 1 to 200, as VOC counts, and fit their pictures exactly."""
    data = read(data_dir / "neu-det")
    assert (len(data), sum(data.counts()), data.findings) == (1440, 3335, ())
    assert min(item.xyxy.min() for item in data.samples) == 0
    assert max(item.xyxy.max() for item in data.samples) == 200
