"""What a COCO data set may get wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from labelled import coco_folder, sample

from edgevision.datasets.formats import FORMATS, read_dataset, write_dataset
from edgevision.errors import DatasetError


def annotation(**other: Any) -> dict[str, Any]:
    return {"id": 7, "image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 40], **other}


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        *(({"bbox": bbox}, "bad_label") for bbox in ([None, 1, 2, 3], [[1], 1, 2, 3], [10**400, 1, 2, 3], [1, 2], "x")),
        ({"bbox": [True, 1, 2, 3]}, "bad_label"),
        ({"image_id": [1]}, "no_picture"),
        ({"image_id": None}, "no_picture"),
        ({"category_id": {}}, "unknown_class"),
        ({"category_id": 99}, "unknown_class"),
    ],
)
def test_an_annotation_that_says_nothing_is_told_and_only_its_picture_is_left_out(
    tmp_path: Path, wrong: dict[str, Any], kind: str
) -> None:
    sample(tmp_path / "images", "q.png", [])
    images = [{"id": number, "file_name": f"{name}.png"} for number, name in enumerate("pq", start=1)]
    annotations = [annotation(**wrong), annotation(id=8), annotation(id=9, image_id=2)]
    data = read_dataset(coco_folder(tmp_path, images=images, annotations=annotations))
    assert [(item.kind, item.where.rpartition("#")[2]) for item in data.findings] == [(kind, "annotation 7")]
    whole = ["p.png", "q.png"] if kind == "no_picture" else ["q.png"]  # without a picture no picture is left out
    assert [item.file.name for item in data.samples] == whole
    assert all(item.xyxy.tolist() == [[10, 20, 40, 60]] for item in data.samples)


@pytest.mark.parametrize(
    ("categories", "says"),
    [
        ([], "there are no class names"),
        ([{"id": [1], "name": "a"}], "a category has no id"),
        ([{"name": "a"}, {"id": "x", "name": "b"}], "a category has no id"),
        ([{"id": 1}], "'None' is no class name"),
        ([{"id": 1, "name": "a"}, {"id": 1, "name": "b"}], "two categories have one id"),
        ([{"id": 1, "name": "a"}, {"id": 2, "name": "a"}], "the class 'a' is given twice"),
        ([{"id": 1, "name": "a\nb"}], "has a line break"),
        ("a", "`categories` is no list of objects"),
        ([1], "`categories` is no list of objects"),
    ],
)
def test_categories_that_are_no_classes(tmp_path: Path, categories: object, says: str) -> None:
    with pytest.raises(DatasetError, match=rf"all\.json: .*{says}"):
        read_dataset(coco_folder(tmp_path, categories=categories))


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        ({"id": [1], "file_name": "p.png"}, "bad_label"),
        ({"id": 2}, "bad_label"),
        ({"id": 2, "file_name": 3}, "bad_label"),
        ({"id": 2, "file_name": "p" * 300 + ".png"}, "no_picture"),
        ({"id": 2, "file_name": "a\0b.png"}, "no_picture"),
        ({"id": 2, "file_name": "\ud800.png"}, "no_picture"),
        ({"id": 2, "file_name": "../images/p.png"}, "outside_root"),
        ({"id": 2, "file_name": "..\\images\\p.png"}, "outside_root"),
        ({"id": 2, "file_name": "/etc/passwd"}, "outside_root"),
        ({"id": 2, "file_name": "p.png", "width": 64, "height": 96}, "size"),
    ],
)
def test_images_that_are_none(tmp_path: Path, image: dict[str, Any], kind: str) -> None:
    good = {"id": 1, "file_name": "p.png", "width": 96, "height": 64}
    data = read_dataset(coco_folder(tmp_path, images=[good, image]))
    assert len(data) == 1
    assert [item.kind for item in data.findings if item.severity == "error"] == [kind]


def test_a_file_without_images_holds_none(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there are no pictures"):
        read_dataset(coco_folder(tmp_path, images=[]))


def test_an_empty_file_of_one_split_does_not_spoil_the_others(tmp_path: Path) -> None:
    coco_folder(tmp_path)
    notes = tmp_path / "annotations"
    notes.mkdir()
    (tmp_path / "all.json").rename(notes / "instances_train.json")
    (notes / "instances_val.json").write_text('{"images": [], "annotations": [], "categories": []}', "utf-8")
    data = read_dataset(tmp_path)
    assert [item.split for item in data.samples] == ["train"]
    assert [item.kind for item in data.findings] == ["empty_file"]


def test_what_else_is_known_of_an_image_goes_through_other_formats(tmp_path: Path) -> None:
    image = {"id": 1, "file_name": "p.png", "lot": "x", "shot": 3, "file": "of another tool", "id_of_tool": None}
    data = read_dataset(coco_folder(tmp_path / "in", images=[image]))
    write_dataset(data, tmp_path / "out", "yolo")
    (item,) = read_dataset(tmp_path / "out").samples
    assert item.columns == {"lot": "x", "shot": "3"}


def test_what_a_table_cannot_hold_is_replaced(tmp_path: Path) -> None:
    image = {"id": 1, "file_name": "p.png", "lot": "a\ud800\r\x00", "note": "two\r\nlines"}
    data = read_dataset(coco_folder(tmp_path / "in", images=[image]))
    for name in FORMATS:
        write_dataset(data, tmp_path / name, name)
        (item,) = read_dataset(tmp_path / name).samples
        assert (item.columns["lot"], item.columns["note"]) == ("a___", "two\nlines"), name


def test_ids_that_a_table_made_fractions_are_the_same_ids(tmp_path: Path) -> None:
    data = read_dataset(coco_folder(tmp_path, annotations=[annotation(image_id=1.0, category_id=1.0)]))
    assert (len(data.samples[0]), data.findings) == (1, ())


def test_pictures_that_another_file_lists_are_not_left_out(tmp_path: Path) -> None:
    for name in ("a", "b"):
        coco_folder(tmp_path, images=[{"id": 1, "file_name": f"{name}.png"}])
        sample(tmp_path / "images", f"{name}.png", [])
        (tmp_path / "annotations").mkdir(exist_ok=True)
        (tmp_path / "all.json").replace(tmp_path / "annotations" / f"instances_{name}.json")
    data = read_dataset(tmp_path)
    assert [item.file.name for item in data.samples] == ["a.png", "b.png"]
    assert [(item.kind, Path(item.where).name) for item in data.findings] == [("no_label", "p.png")]


def test_a_picture_that_the_file_does_not_list_is_told(tmp_path: Path) -> None:
    coco_folder(tmp_path)
    sample(tmp_path / "images", "other.png", [])
    (finding,) = read_dataset(tmp_path).findings
    assert (finding.severity, finding.where) == ("warning", str(tmp_path / "images" / "other.png"))
