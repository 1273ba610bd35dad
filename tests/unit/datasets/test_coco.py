"""COCO data sets in their three layouts, sound and broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from labelled import kinds, picture, text

from edgevision.datasets.coco import read
from edgevision.errors import DatasetError

CATEGORIES = [{"id": 90, "name": "stain"}, {"id": 0, "name": "dent"}]


def document(name: str = "a.png", **changes: Any) -> dict[str, Any]:
    annotation = {"id": 5, "image_id": 7, "category_id": 90, "bbox": [1, 2, 3.5, 4], "iscrowd": 0}
    image = {"id": 7, "file_name": name, "width": 64, "height": 48}
    return {"images": [image], "annotations": [annotation], "categories": CATEGORIES, **changes}


def write(file: Path, content: object) -> Path:
    return text(file, json.dumps(content))


def annotated(**changes: Any) -> dict[str, Any]:
    base = document()
    return {**base, "annotations": [{**base["annotations"][0], **changes}]}


def test_ids_of_categories_need_not_be_contiguous(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.png")
    data = read(write(tmp_path / "labels.json", document()))
    assert data.classes == ("dent", "stain")
    assert data.samples[0].label.tolist() == [1]
    assert data.samples[0].xyxy.tolist() == [[1, 2, 4.5, 6]]
    assert data.samples[0].origins == (f"{tmp_path}/labels.json#annotation 5",)
    assert data.findings == ()


@pytest.mark.parametrize("place", ["images/a.png", "train2017/a.png", "train/a.png", "images/train/a.png", "a.png"])
def test_instances_find_their_pictures(tmp_path: Path, place: str) -> None:
    picture(tmp_path / place)
    write(tmp_path / "annotations/instances_train2017.json", document())
    data = read(tmp_path)
    assert [(item.split, item.file) for item in data.samples] == [("train", tmp_path / place)]
    assert data.findings == ()


def test_a_file_a_split_beside_the_pictures(tmp_path: Path) -> None:
    for index, split in enumerate(("train", "valid")):
        picture(tmp_path / split / "a.png", index)
        write(tmp_path / split / "_annotations.coco.json", document())
    assert [item.split for item in read(tmp_path).samples] == ["train", "val"]


def test_what_else_an_image_carries_becomes_columns(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    content = document()
    content["images"][0] |= {"lot": "A7", "camera": 2, "license": 1, "good": True, "tags": ["x"]}
    assert read(write(tmp_path / "all.json", content)).samples[0].columns == {"lot": "A7", "camera": "2"}


def test_crowds_are_left_out_and_counted(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    data = read(write(tmp_path / "all.json", annotated(iscrowd=1)))
    assert len(data.samples[0]) == 0
    assert kinds(data, "warning") == [("crowd", "all.json")]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"category_id": 4}, "unknown_class"),
        ({"category_id": [90]}, "unknown_class"),
        ({"image_id": 8}, "no_picture"),
        ({"image_id": {}}, "no_picture"),
        ({"bbox": [1, 2, 3]}, "bad_label"),
        ({"bbox": [1, 2, 3, float("nan")]}, "bad_label"),
        ({"bbox": ["a", 2, 3, 4]}, "bad_label"),
        ({"bbox": [None, 2, 3, 4]}, "bad_label"),
    ],
)
def test_an_annotation_that_is_wrong_is_told_with_its_id(tmp_path: Path, changes: dict[str, Any], kind: str) -> None:
    base = annotated(**changes)
    for index, name in enumerate(("a.png", "b.png")):
        picture(tmp_path / name, index)
    images = [*base["images"], {"id": 9, "file_name": "b.png"}]
    annotations = [*base["annotations"], {**document()["annotations"][0], "id": 6, "image_id": 9}]
    data = read(write(tmp_path / "all.json", {**base, "images": images, "annotations": annotations}))
    assert kinds(data) == [(kind, "all.json#annotation 5")]
    assert kinds(data, "warning") == [], "a picture that is left out is listed all the same"
    names = [item.file.name for item in data.samples]
    assert names == (["a.png", "b.png"] if kind == "no_picture" else ["b.png"]), "an image is known of all others"
    assert [len(item) for item in data.samples] == [0, 1][-len(names) :]
    assert [item.file.name for item in data.lost] == ([] if kind == "no_picture" else ["a.png"])


def test_a_picture_that_is_listed_twice_is_left_out_for_either(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png", 1)
    images = [{"id": index, "file_name": name} for index, name in ((7, "a.png"), (8, "a.png"), (9, "b.png"))]
    data = read(write(tmp_path / "all.json", {**annotated(category_id=4), "images": images}))
    assert [item.file.name for item in data.samples] == ["b.png"]


def test_pictures_that_are_missing_outside_or_unlisted(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        picture(tmp_path / "set" / name)
    picture(tmp_path / "out.png")
    images = [{"id": index, "file_name": name} for index, name in enumerate(["a.png", "../out.png", "gone.png"])]
    data = read(write(tmp_path / "set/all.json", document(images=images, annotations=[])))
    assert kinds(data) == [("outside_root", "all.json#image 1"), ("no_picture", "all.json#image 2")]
    assert kinds(data, "warning") == [("no_label", "b.png")]
    assert [item.file.name for item in data.samples] == ["a.png"]


def test_boxes_for_a_picture_of_another_size_are_refused(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 0, 48, 64)
    picture(tmp_path / "b.png")
    images = [{"id": 7, "file_name": "a.png", "width": 64, "height": 48}, {"id": 8, "file_name": "b.png"}]
    data = read(write(tmp_path / "all.json", document(images=images)))
    assert kinds(data) == [("size", "all.json#image 7")]
    assert [item.file.name for item in data.samples] == ["b.png"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"images": [],\n "annotations": [}', "all.json:2: is not valid JSON"),
        ("[1, 2]", "`images` is no list"),
        ('{"images": [], "annotations": 3, "categories": []}', "`annotations` is no list"),
        ("[" * 100_000, "is nested too deeply"),
        (json.dumps(document(categories=[{"id": 1, "name": "a"}, {"id": 2, "name": "a"}])), "'a' is given twice"),
        (json.dumps(document(categories=[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}])), "two categories"),
        (json.dumps(document(categories=[{"id": [1], "name": "a"}])), "a category has no id"),
        (json.dumps(document(images=[], annotations=[])), "there are no pictures"),
    ],
)
def test_a_file_that_is_wrong_is_one_clear_error(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DatasetError) as refused:
        read(text(tmp_path / "all.json", content))
    assert message in str(refused.value)


def test_of_several_files_one_must_be_named(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    file = write(tmp_path / "one.json", document())
    write(tmp_path / "two.json", document())
    with pytest.raises(DatasetError, match=r"one\.json, two\.json"):
        read(tmp_path)
    assert len(read(file)) == 1
