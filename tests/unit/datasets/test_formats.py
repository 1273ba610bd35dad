"""Every format is read into what was written, and what is wrong in one is told with its line."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from labelled import CLASSES, data_set, sample

from edgevision.datasets.base import DataSet
from edgevision.datasets.formats import FORMATS, detect, read_dataset, write_dataset
from edgevision.errors import DatasetError

ROUNDING_PX = {"yolo": 0.01, "coco": 0.01, "voc": 0.01, "deeppcb": 0.5}


def by_name(data: DataSet) -> dict[str, tuple[str, list[tuple[str, tuple[float, ...]]]]]:
    """Split and boxes with class names of each picture."""
    out = {}
    for item in data.samples:
        boxes = zip(item.label, item.xyxy.tolist(), strict=True)
        out[item.file.stem] = (item.split, [(data.classes[label], tuple(box)) for label, box in boxes])
    return out


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_written_is_recognised_and_read_again(tmp_path: Path, name: str) -> None:
    data = data_set(tmp_path / "pictures")
    write_dataset(data, tmp_path / "out", name)
    assert detect(tmp_path / "out") == name
    again = read_dataset(tmp_path / "out")
    assert [str(finding) for finding in again.findings if finding.severity == "error"] == []
    before, after = by_name(data), by_name(again)
    assert before.keys() == after.keys()
    for stem, (split, boxes) in before.items():
        assert after[stem][0] == split
        assert sorted(kind for kind, _ in after[stem][1]) == sorted(kind for kind, _ in boxes)
        for (_, mine), (_, theirs) in zip(sorted(boxes), sorted(after[stem][1]), strict=True):
            assert theirs == pytest.approx(mine, abs=ROUNDING_PX[name])
    assert {item.file.stem: item.columns.get("lot") for item in again.samples} == {
        item.file.stem: item.columns["lot"] for item in data.samples
    }


box = st.tuples(st.integers(0, 90), st.integers(0, 58), st.integers(1, 96), st.integers(1, 64), st.integers(0, 1))


@hypothesis_settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(boxes=st.lists(box, max_size=6))
@pytest.mark.parametrize(("first", "second"), [("yolo", "coco"), ("coco", "voc"), ("voc", "yolo"), ("deeppcb", "coco")])
def test_boxes_survive_a_way_through_two_formats(
    tmp_path_factory: pytest.TempPathFactory, first: str, second: str, boxes: list[tuple[int, ...]]
) -> None:
    folder = tmp_path_factory.mktemp("way")
    inside = [(x, y, min(96, x + w), min(64, y + h), label) for x, y, w, h, label in boxes]
    data = DataSet(CLASSES, (sample(folder, "p.png", inside, "train"),), (), folder)  # type: ignore[arg-type]
    write_dataset(data, folder / "one", first)
    write_dataset(read_dataset(folder / "one"), folder / "two", second)
    (_, found) = by_name(read_dataset(folder / "two"))["p"]
    assert sorted(kind for kind, _ in found) == sorted(CLASSES[int(item[4])] for item in inside)
    for mine in inside:
        alike = [other for kind, other in found if kind == CLASSES[mine[4]]]
        apart = [np.abs(np.array(other) - np.array(mine[:4])).max() for other in alike]
        assert min(apart) <= 0.02


def test_a_folder_without_a_data_set_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"looked for data\.yaml"):
        read_dataset(tmp_path)
    with pytest.raises(DatasetError, match="no such file or folder"):
        read_dataset(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="there is no format 'tfrecord'"):
        read_dataset(tmp_path, "tfrecord")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    data = data_set(tmp_path / "pictures")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(DatasetError, match="nothing is overwritten"):
        write_dataset(data, tmp_path / "out", "yolo")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["mine"]


def yolo(folder: Path, label: str, *, names: str = "[scratch, dent]") -> Path:
    sample(folder / "images", "p.png", [])
    (folder / "labels").mkdir()
    (folder / "labels" / "p.txt").write_text(label, "utf-8")
    (folder / "data.yaml").write_text(f"train: images\nnames: {names}\n", "utf-8")
    return folder


@pytest.mark.parametrize(
    ("label", "says"),
    [
        ("0 0.5 0.5 0.1 0.1\n7 0.5 0.5 0.1 0.1\n", "p.txt:2: "),
        ("0 0.5 0.5 wide 0.1\n", "p.txt:1: "),
        ("0 0.5\n", "p.txt:1: "),
    ],
)
def test_a_wrong_line_is_a_finding_with_its_number_and_its_picture_is_left_out(
    tmp_path: Path, label: str, says: str
) -> None:
    sample(yolo(tmp_path, label) / "images", "q.png", [])
    (tmp_path / "labels" / "q.txt").write_text("1 0.5 0.5 0.1 0.1\n", "utf-8")
    data = read_dataset(tmp_path)
    (finding,) = [item for item in data.findings if item.severity == "error"]
    assert says in str(finding)
    assert finding.picture == str(tmp_path / "images" / "p.png")
    assert [(item.file.name, item.label.tolist()) for item in data.samples] == [("q.png", [1])]


def test_a_polygon_becomes_its_box(tmp_path: Path) -> None:
    (item,) = read_dataset(yolo(tmp_path, "1 0.25 0.25 0.75 0.25 0.5 0.75\n")).samples
    assert item.xyxy.tolist() == [[24, 16, 72, 48]]


def test_a_class_given_twice_and_broken_yaml_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="dent"):
        read_dataset(yolo(tmp_path / "a", "", names="[dent, dent]"))
    (tmp_path / "a" / "data.yaml").write_text("train: images\nnames: [a\n", "utf-8")
    with pytest.raises(DatasetError, match=r"data\.yaml:\d"):
        read_dataset(tmp_path / "a")


def test_labels_of_other_pictures_are_errors_and_pictures_without_labels_are_told(tmp_path: Path) -> None:
    yolo(tmp_path, "")
    (tmp_path / "labels" / "stranger.txt").write_text("0 0.5 0.5 0.1 0.1\n", "utf-8")
    sample(tmp_path / "images", "unlabelled.png", [])
    told = {Path(item.where.split(":")[0]).name: item.severity for item in read_dataset(tmp_path).findings}
    assert told["stranger.txt"] == "error"
    assert told["unlabelled.png"] == "warning"


def test_coco_ids_need_not_count_from_one_and_broken_json_names_its_line(tmp_path: Path) -> None:
    sample(tmp_path / "images", "p.png", [])
    document = {
        "images": [{"id": 71, "file_name": "p.png", "width": 96, "height": 64, "lot": "x"}],
        "categories": [{"id": 3, "name": "dent"}, {"id": 90, "name": "scratch"}],
        "annotations": [
            {"id": 1, "image_id": 71, "category_id": 90, "bbox": [10, 20, 30, 40]},
            {"id": 2, "image_id": 71, "category_id": 3, "bbox": [1, 2, 3, 4], "iscrowd": 1},
            {"id": 3, "image_id": 99, "category_id": 3, "bbox": [1, 2, 3, 4]},
        ],
    }
    file = tmp_path / "all.json"
    file.write_text(json.dumps(document), "utf-8")
    data = read_dataset(file)
    (item,) = data.samples
    assert [data.classes[label] for label in item.label] == ["scratch"]
    assert (item.xyxy.tolist(), item.columns["lot"]) == ([[10, 20, 40, 60]], "x")
    assert {finding.severity for finding in data.findings} == {"error", "warning"}, "a stranger's box, and a crowd"
    file.write_text('{"images": [\n{"id": }]}', "utf-8")
    with pytest.raises(DatasetError, match=r"all\.json:2: is not valid JSON"):
        read_dataset(file)


def test_voc_entities_are_not_expanded_and_broken_xml_names_its_line(tmp_path: Path) -> None:
    sample(tmp_path / "JPEGImages", "p.png", [])
    notes = tmp_path / "Annotations"
    notes.mkdir()
    bomb = '<!DOCTYPE a [<!ENTITY x "boom"><!ENTITY y "&x;&x;&x;">]><annotation><filename>&y;</filename></annotation>'
    for text in (bomb, "<annotation>\n<object>\n</annotation>"):
        (notes / "p.xml").write_text(text, "utf-8")
        try:
            findings = [str(item) for item in read_dataset(tmp_path).findings]
        except DatasetError as refused:
            findings = [str(refused)]
        assert any("p.xml" in item for item in findings), findings
        assert "boom" not in "".join(findings)


def test_lists_may_not_lead_astray_and_loops_of_links_end(tmp_path: Path) -> None:
    folder = yolo(tmp_path / "set", "0 0.5 0.5 0.1 0.1\n")
    (folder / "images" / "loop").symlink_to(folder / "images", target_is_directory=True)
    assert len(read_dataset(folder)) == 1
    (folder / "data.yaml").write_text("train: train.txt\nnames: [scratch, dent]\n", "utf-8")
    (folder / "train.txt").write_text("images/p.png\nimages/nowhere.png\n", "utf-8")
    assert any("nowhere.png" in str(item) for item in read_dataset(folder).findings)


@pytest.mark.parametrize("kind", ["grey", "16 bit", "alpha"])
def test_pictures_of_other_kinds_have_their_size(tmp_path: Path, kind: str) -> None:
    folder = yolo(tmp_path, "0 0.5 0.5 0.5 0.5\n")
    image = {
        "grey": np.zeros((64, 96), np.uint8),
        "16 bit": np.zeros((64, 96), np.uint16),
        "alpha": np.zeros((64, 96, 4), np.uint8),
    }[kind]
    cv2.imwrite(str(folder / "images" / "p.png"), image)
    (item,) = read_dataset(folder).samples
    assert (item.size, item.xyxy.tolist()) == ((96, 64), [[24, 16, 72, 48]])


def test_a_turned_picture_has_the_size_of_the_upright_one(tmp_path: Path) -> None:
    folder = yolo(tmp_path, "0 0.5 0.5 0.5 0.5\n")
    (folder / "images" / "p.png").unlink()
    coded, jpeg = cv2.imencode(".jpg", np.zeros((64, 96, 3), np.uint8))
    assert coded
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # EXIF: orientation 6, a quarter turn
    block = b"Exif\0\0" + tiff
    data = jpeg.tobytes()
    (folder / "images" / "p.jpg").write_bytes(
        data[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + data[2:]
    )
    (item,) = read_dataset(folder).samples
    assert item.size == (64, 96)


def test_deeppcb_as_it_is_published(data_dir: Path) -> None:
    data = read_dataset(data_dir / "deeppcb")
    assert (len(data), sum(data.counts()), data.findings) == (1000, 6873, ())
    assert data.classes == ("open", "short", "mousebite", "spur", "copper", "pin-hole")
    boards = {item.columns["board"] for item in data.samples}
    assert boards == {"00041", "13000", "20085", "44000", "50600", "77000", "92000"}
    assert all(item.template is not None for item in data.samples)


def test_neu_det_in_both_of_its_formats_is_the_same(data_dir: Path) -> None:
    yolo_form, voc_form = (read_dataset(data_dir / "neu-det", name) for name in ("yolo", "voc"))
    assert len(yolo_form) == len(voc_form) == 1440
    assert dict(zip(yolo_form.classes, yolo_form.counts(), strict=True)) == dict(
        zip(voc_form.classes, voc_form.counts(), strict=True)
    )
