"""A detector over labelled pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import colour_bundle

from edgevision.datasets.base import DataSet
from edgevision.errors import BundleError, DatasetError, EdgevisionError
from edgevision.evaluation.model import open_model, write_thresholds
from edgevision.evaluation.predict import coco_results, predict, thresholds_of
from edgevision.inference.scripted import ScriptedDetector
from edgevision.inference.selftest import selftest
from edgevision.types import Detections


def detections(label: int, score: float, count: int = 1) -> Detections:
    box = np.tile(np.array([[1, 1, 9, 9]], np.float32), (count, 1))
    return Detections(box, np.full(count, score, np.float32), np.full(count, label, np.int64))


def test_classes_go_by_their_name(coloured: Any) -> None:
    detector = ScriptedDetector([detections(0, 0.9)], classes=("blue", "red", "green"))
    seen = predict(detector, coloured([("test", 9, True)]))
    assert seen.data.classes == ("red", "green", "blue")
    assert seen.found[0].label.tolist() == [2]


def test_classes_that_the_model_does_not_know_are_refused(coloured: Any) -> None:
    detector = ScriptedDetector([], classes=("cyan", "green"))
    with pytest.raises(DatasetError, match="the model does not know red; it knows cyan, green"):
        predict(detector, coloured([("test", 9, True)]))
    with pytest.raises(DatasetError, match="does not know red, green, blue; it knows cyan"):
        predict(ScriptedDetector([], classes=("cyan",)), coloured([("test", 9, False)]))


def test_classes_that_only_the_model_knows_count_as_false_and_are_told(coloured: Any) -> None:
    data = replace(coloured([("test", 9, True)]), classes=("red",))
    seen = predict(ScriptedDetector([detections(1, 0.9)], classes=("red", "green")), data)
    assert seen.data.classes == ("red", "green")
    assert seen.notes == ("The labels do not know green: what the model reports of it counts as false.",)


def test_pictures_that_cannot_be_used_are_listed(coloured: Any, tmp_path: Path) -> None:
    data = coloured([("test", 200, True), ("test", 100, False), ("test", 50, False)])
    data.samples[0].file.write_bytes(b"no picture")
    data = replace(data, samples=(*data.samples[:2], replace(data.samples[2], size=(10, 10))))
    done: list[int] = []
    seen = predict(ScriptedDetector([detections(0, 0.9)] * 3, classes=data.classes), data, advance=done.append)
    assert sum(done) == 3
    assert [sample.file.name for sample in seen.data.samples] == ["1.png"]
    assert [(finding.kind, Path(finding.where).name) for finding in seen.unreadable] == [
        ("unreadable", "0.png"),
        ("size", "2.png"),
    ]
    assert "the picture is 64x48 px, its labels are for 10x10 px" in str(seen.unreadable[1])
    with pytest.raises(DatasetError, match="none of 1 pictures can be used"):
        predict(ScriptedDetector([], classes=data.classes), replace(data, samples=data.samples[:1]))
    with pytest.raises(DatasetError, match="no pictures to evaluate on"):
        predict(ScriptedDetector([]), DataSet(("thing",), (), root=tmp_path))


def test_labels_are_cut_to_the_picture(coloured: Any) -> None:
    data = coloured([("test", 9, True)])
    wide = np.array([[-5, 40, 80, 60], [70, 0, 90, 9]], np.float32)
    sample = replace(data.samples[0], xyxy=wide, label=np.zeros(2, np.int64))
    seen = predict(ScriptedDetector([detections(0, 0.5)], classes=data.classes), replace(data, samples=(sample,)))
    assert seen.data.samples[0].xyxy.tolist() == [[0, 40, 64, 48]]
    assert seen.notes == ("1 labelled boxes lie outside of their picture and are not counted.",)


def test_at_most_300_detections_a_picture_the_best(coloured: Any) -> None:
    many = detections(0, 0.5, 400)
    many.score[:] = np.linspace(0, 1, 400)
    seen = predict(
        ScriptedDetector([many], classes=("red",)), replace(coloured([("test", 9, False)]), classes=("red",))
    )
    assert len(seen.found[0]) == 300
    assert seen.found[0].score.min() > 0.24


@pytest.mark.parametrize(("order", "size"), [("rgb", (64, 48)), ("bgr", (32, 96))])
def test_a_bundle_of_any_order_and_size_reports_low_scores(
    coloured: Any, tmp_path: Path, order: str, size: Any
) -> None:
    from onnx_models import colour_manifest, write_colour_model

    from edgevision.bundle import write_bundle

    file = write_colour_model(tmp_path / "m.onnx", size=size)
    spec = {"width": size[0], "height": size[1], "order": order, "pad": 0}
    bundle = write_bundle(tmp_path / "made", colour_manifest(input=spec), {"model.onnx": file})
    detector = open_model(bundle.folder, device="cpu")
    seen = predict(detector, coloured([("test", 60, True)], size=(64, 48)))
    detector.close()
    assert seen.found[0].label.tolist() == [0 if order == "rgb" else 2]
    assert 0.05 < seen.found[0].score[0] < 0.25
    assert seen.brightness[0] == pytest.approx(20)
    (row,) = coco_results(seen)
    assert row["image_id"] == "0.png"
    assert row["category_id"] == seen.found[0].label[0]


def test_what_is_no_bundle_says_how_to_make_one(tmp_path: Path) -> None:
    for name, words in (("best.pt", "edgevision export"), ("m.onnx", "edgevision models import"), ("x", "is a file")):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(BundleError, match=words):
            open_model(tmp_path / name)
    with pytest.raises(BundleError, match="no model bundle"):
        open_model(tmp_path / "missing")
    with pytest.raises(EdgevisionError, match="--backend tflite is not known; allowed: onnx"):
        open_model(tmp_path, backend="tflite")


def test_thresholds_written_into_a_bundle_keep_its_files_and_its_self_test(coloured: Any, tmp_path: Path) -> None:
    from onnx_models import colour_manifest

    from edgevision.bundle import write_bundle
    from edgevision.inference.onnx import OnnxDetector

    bundle = colour_bundle(tmp_path)
    golden = coloured([("test", 150, False)]).samples[0].file
    files: dict[str, Path | bytes] = {
        "model.onnx": bundle.path("model.onnx"),
        "golden/0.png": golden,
        "LICENSE": b"CC0",
    }
    boxes = [{"class": "red", "xyxy": [24, 20, 40, 28], "score": round(150 / 255, 4)}]
    manifest = colour_manifest(golden=[{"file": "golden/0.png", "boxes": boxes}])
    before = write_bundle(tmp_path / "made", manifest, files)
    after = write_thresholds(before.folder, {"red": 0.8})
    assert after.manifest.thresholds == {"default": 0.5, "red": 0.8}
    assert after.digest != before.digest
    assert after.manifest.golden[0].boxes == ()
    assert (after.folder / "LICENSE").read_bytes() == b"CC0"
    detector = OnnxDetector(after)
    assert all(result.ok for result in selftest(after, detector))
    detector.close()
    with pytest.raises(BundleError, match="unknown class dent"):
        write_thresholds(before.folder, {"dent": 0.8})


def test_thresholds_are_not_written_over_a_failing_self_test(coloured: Any, tmp_path: Path) -> None:
    from onnx_models import colour_manifest

    from edgevision.bundle import read_bundle, write_bundle

    golden = coloured([("test", 250, False)]).samples[0].file
    model = colour_bundle(tmp_path).path("model.onnx")
    manifest = colour_manifest(golden=[{"file": "golden/0.png", "boxes": []}])
    made = write_bundle(tmp_path / "made", manifest, {"model.onnx": model, "golden/0.png": golden})
    with pytest.raises(BundleError, match=r"nothing is written, golden/0\.png does not come out as the bundle says"):
        write_thresholds(made.folder, {"red": 0.99})
    assert read_bundle(made.folder).digest == made.digest


def test_default_thresholds() -> None:
    assert thresholds_of(("a", "b"), {"default": 0.4, "b": 0.1}) == (0.4, 0.1)
    assert thresholds_of(("a",), {}) == (0.25,)
