"""What a detector says about labelled pictures, in source pixels and the data set's classes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from onnx_models import colour_bundle, colour_manifest, write_colour_model

from edgevision.bundle import write_bundle
from edgevision.datasets.base import DataSet, Finding
from edgevision.errors import DatasetError
from edgevision.evaluation.model import open_model
from edgevision.evaluation.predict import MOST_DETECTIONS, coco_results, predict, thresholds_of
from edgevision.inference.base import Detector
from edgevision.inference.scripted import ScriptedDetector
from edgevision.types import Detections

Coloured = Callable[..., DataSet]


@pytest.fixture(name="detector")
def _detector(tmp_path: Path) -> Iterator[Detector]:
    made = open_model(colour_bundle(tmp_path / "model").folder, device="cpu")
    yield made
    made.close()


def test_scores_far_below_the_bundles_threshold_are_kept(detector: Detector, coloured: Coloured) -> None:
    seen: list[int] = []
    found = predict(detector, coloured([("", 5, True), ("", 204, True), ("", 100, False)]), advance=seen.append)
    assert [round(float(item.score[0]), 2) for item in found.found] == [0.02, 0.8, 0.39]
    assert found.found[1].xyxy[0].tolist() == [24, 20, 40, 28]
    assert found.brightness == pytest.approx((5 / 3, 68, 100 / 3))
    assert sum(seen) == 3


def test_pictures_of_another_size_than_the_model_give_boxes_in_their_own_pixels(
    detector: Detector, coloured: Coloured
) -> None:
    found = predict(detector, coloured([("", 204, False)], size=(128, 96)))
    assert found.found[0].xyxy[0].tolist() == [48, 40, 80, 56]
    tall = predict(detector, coloured([("", 204, False)], size=(48, 96)))
    assert tall.found[0].xyxy[0] == pytest.approx([8, 40, 40, 56], abs=0.01)


def test_labels_go_by_the_name_of_the_class(detector: Detector, coloured: Coloured) -> None:
    data = replace(coloured([("", 204, True)]), classes=("red", "blue"))
    turned = replace(
        data, classes=("blue", "red"), samples=tuple(replace(item, label=1 - item.label) for item in data.samples)
    )
    found = predict(detector, turned)
    assert found.data.classes == ("blue", "red", "green")
    assert found.found[0].label.tolist() == [1]
    assert found.notes == ("The labels do not know green: what the model reports of it counts as false.",)


def test_classes_that_the_model_does_not_know_are_named(detector: Detector, coloured: Coloured) -> None:
    data = replace(coloured([("", 204, True)]), classes=("dent", "green", "blue"))
    with pytest.raises(DatasetError, match=r"does not know dent; it knows red, green, blue"):
        predict(detector, data)
    unused = replace(coloured([("", 204, True)]), classes=("red", "green", "dent"))
    assert predict(detector, unused).data.classes == ("red", "green", "dent", "blue")


def test_no_class_in_common_is_refused_although_nothing_is_labelled(detector: Detector, coloured: Coloured) -> None:
    with pytest.raises(DatasetError, match="does not know dent, hole"):
        predict(detector, replace(coloured([("", 204, False)]), classes=("dent", "hole")))


def test_an_empty_set_is_refused(detector: Detector) -> None:
    with pytest.raises(DatasetError, match="there are no pictures to evaluate on"):
        predict(detector, DataSet(("red",), (), root=Path("boards")))


def test_unreadable_pictures_are_left_out_and_told(detector: Detector, coloured: Coloured) -> None:
    data = coloured([("", 204, True), ("", 204, True), ("", 204, False), ("", 204, False)])
    broken, other, _, gone = (sample.file for sample in data.samples)
    broken.write_bytes(broken.read_bytes()[:60])
    cv2.imwrite(str(other), np.zeros((10, 20, 3), np.uint8))
    gone.unlink()
    found = predict(detector, data)
    assert len(found.data) == len(found.found) == len(found.brightness) == 1
    reasons = [str(finding) for finding in found.unreadable]
    assert "truncated" in reasons[0]
    assert reasons[1] == f"{other}: the picture is 20x10 px, its labels are for 64x48 px"
    assert str(gone) in reasons[2]


def test_nothing_readable_is_an_error(detector: Detector, coloured: Coloured) -> None:
    data = coloured([("", 204, True)])
    data.samples[0].file.write_bytes(b"")
    with pytest.raises(DatasetError, match="none of 1 pictures can be used; the first: the file is empty"):
        predict(detector, data)


def test_boxes_are_cut_to_their_picture_also_when_another_picture_is_broken(
    detector: Detector, coloured: Coloured
) -> None:
    data = coloured([("", 204, True), ("", 204, True)])
    first = data.samples[0]
    wide = np.array([[-5, 20, 40, 60], [70, 0, 80, 10]], np.float32)
    moved = replace(first, xyxy=wide, label=np.zeros(2, np.int64))
    data.samples[1].file.write_bytes(b"")
    found = predict(detector, replace(data, samples=(moved, data.samples[1])))
    assert found.data.samples[0].xyxy.tolist() == [[0, 20, 40, 48]]
    assert found.notes == ("1 labelled boxes lie outside of their picture and are not counted.",)


def test_results_are_coco_rows(detector: Detector, coloured: Coloured) -> None:
    rows: Any = json.loads(json.dumps(coco_results(predict(detector, coloured([("", 204, True)])))))
    assert rows == [{"image_id": "0.png", "category_id": 0, "bbox": [24, 20, 16, 8], "score": 0.8}]


def test_thresholds_by_name_and_default() -> None:
    assert thresholds_of(("a", "b"), {"default": 0.4, "b": 0.6}) == (0.4, 0.6)
    assert thresholds_of(("a",), {}) == (0.25,)


def test_at_most_300_detections_a_picture_the_best(coloured: Coloured) -> None:
    many = Detections(
        np.tile(np.array([[0, 0, 9, 9]], np.float32), (400, 1)),
        np.linspace(0, 1, 400, dtype=np.float32),
        np.zeros(400, np.int64),
    )
    data = coloured([("", 9, False)])
    found = predict(ScriptedDetector([many], classes=data.classes), data)
    assert len(found.found[0]) == MOST_DETECTIONS == 300
    assert found.found[0].score.tolist() == sorted(many.score.tolist(), reverse=True)[:300]


@pytest.mark.parametrize(("order", "size"), [("rgb", (64, 48)), ("bgr", (32, 96))])
def test_a_bundle_of_any_order_and_size(coloured: Coloured, tmp_path: Path, order: str, size: tuple[int, int]) -> None:
    file = write_colour_model(tmp_path / "m.onnx", size=size)
    spec = {"width": size[0], "height": size[1], "order": order, "pad": 0}
    bundle = write_bundle(tmp_path / "made", colour_manifest(input=spec), {"model.onnx": file})
    detector = open_model(bundle.folder, device="cpu")
    found = predict(detector, coloured([("", 60, True)]))
    detector.close()
    assert found.found[0].label.tolist() == [0 if order == "rgb" else 2]
    assert 0.05 < found.found[0].score[0] < 0.25


def test_a_part_of_which_a_picture_cannot_be_used_is_left_out_whole(detector: Detector, coloured: Coloured) -> None:
    data = coloured([("", 204, True), ("", 51, False), ("", 51, False)])
    parts = ("one", "one", "two")
    samples = tuple(
        replace(item, columns={"part": part}) for item, part in zip(data.samples, parts, strict=True)
    )  # the only picture of part one that shows its defect is broken: by the other it would pass for good
    samples[0].file.write_bytes(b"")
    found = predict(detector, replace(data, samples=samples))
    assert [sample.part for sample in found.data.samples] == ["two"]
    assert len(found.found) == len(found.brightness) == 1
    assert found.notes == ("Pictures left out since another picture of the same part could not be used: 1.",)
    with pytest.raises(DatasetError, match="none of 2 pictures can be used; the first: the file is empty"):
        predict(detector, replace(data, samples=samples[:2]))


def test_a_part_of_which_the_reader_left_out_a_picture_is_left_out_whole(
    detector: Detector, coloured: Coloured
) -> None:
    data = coloured([("", 204, True), ("", 51, False), ("", 51, False)])
    one, other, two = (
        replace(item, columns={"part": part}) for item, part in zip(data.samples, ("1", "1", "2"), strict=True)
    )
    told = (Finding("bad_label", "error", "a.txt:1", "expected a class", str(one.file)),)
    found = predict(detector, replace(data, samples=(other, two), lost=(one,), findings=told))
    assert [sample.part for sample in found.data.samples] == ["2"]
    assert found.notes == ("Pictures left out since another picture of the same part could not be used: 1.",)
    with pytest.raises(DatasetError, match="none of 1 pictures can be used; the first: expected a class"):
        predict(detector, replace(data, samples=(other,), lost=(one,), findings=told))


def test_a_picture_all_whose_labels_lie_outside_does_not_pass_for_good(detector: Detector, coloured: Coloured) -> None:
    data = coloured([("", 204, True), ("", 51, False)])
    outside = np.array([[70, 0, 80, 10], [0, 0, 9, 9]], np.float32)
    for boxes, label in ((outside[:1], [0]), (outside, [0, 1])):
        moved = replace(data.samples[0], xyxy=boxes, label=np.array(label))
        found = predict(detector, replace(data, samples=(moved, data.samples[1])))
        assert len(found.data) == 1
        assert "all its labelled boxes of a class lie outside of the picture" in str(found.unreadable[0])


def test_good_pictures_without_any_class_can_be_judged(detector: Detector, coloured: Coloured) -> None:
    found = predict(detector, replace(coloured([("", 204, False)]), classes=()))
    assert found.data.classes == ("red", "green", "blue")
    assert found.found[0].label.tolist() == [0]


def test_a_score_of_four_thousandths_counts_and_keeps_its_digits(detector: Detector, coloured: Coloured) -> None:
    (row,) = coco_results(predict(detector, coloured([("", 1, True)])))
    assert row["score"] == pytest.approx(1 / 255, abs=1e-5)
