"""What every detector promises, run over all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_tensorrt import install
from onnx_models import COLOURS, colour_bundle

from edgevision.errors import BackendError
from edgevision.inference.base import Batch, Detector, InputSpec
from edgevision.inference.onnx import OnnxDetector, OnnxSettings
from edgevision.inference.openvino import OpenVinoDetector, OpenVinoSettings
from edgevision.inference.scripted import ScriptedDetector
from edgevision.inference.tensorrt import TensorRtDetector, TensorRtSettings
from edgevision.types import Detections, Image, Letterbox


def _brightest(image: Image, letterbox: Letterbox) -> Detections:
    """The same as the network of ``onnx_models`` does."""
    means = image.mean(axis=(0, 1)) / 255
    label = int(means.argmax())
    if means[label] < 0.5:
        return Detections.empty()
    box = letterbox.to_source(np.array([[24, 20, 40, 28]], np.float32))
    return Detections(box, means[label : label + 1].astype(np.float32), np.array([label]))


@pytest.fixture(
    name="detector",
    params=[
        "scripted",
        "onnx-uint8",
        "onnx-float",
        "openvino-uint8",
        "openvino-float",
        "tensorrt-uint8",
        "tensorrt-float",
    ],
)
def _detector(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Detector]:
    detector: Detector
    if request.param == "scripted":
        detector = ScriptedDetector(_brightest, COLOURS, InputSpec(64, 48), max_batch=4)
    else:
        runtime, kind = request.param.split("-")
        bundle = colour_bundle(tmp_path, layout="nhwc-uint8" if kind == "uint8" else "nchw-float")
        if runtime == "tensorrt":  # a stand-in of its module: flow and names, no proof
            install(request.getfixturevalue("monkeypatch"), 10)
            engine = TensorRtSettings(kind="tensorrt", max_batch=4, cache_dir=tmp_path / "engines")
            detector = TensorRtDetector(bundle, engine)
        elif runtime == "onnx":
            detector = OnnxDetector(bundle, OnnxSettings(device="cpu", threads=1, max_batch=4))
        else:
            pytest.importorskip("openvino")
            detector = OpenVinoDetector(
                bundle, OpenVinoSettings(kind="openvino", threads=1, compute="f32", max_batch=4)
            )
    yield detector
    detector.close()


def _batch(*rgb: tuple[int, int, int], source: tuple[int, int] = (640, 480)) -> Batch:
    images = np.stack([np.full((48, 64, 3), colour, np.uint8) for colour in rgb])
    return Batch(images, [Letterbox.fit(source, (64, 48))] * len(rgb))


def test_it_says_what_it_wants_and_knows(detector: Detector) -> None:
    assert tuple(detector.classes) == COLOURS
    assert (detector.input.width, detector.input.height, detector.input.order) == (64, 48, "rgb")
    assert detector.max_batch == 4


def test_one_answer_a_picture_in_order(detector: Detector) -> None:
    found = detector.infer(_batch((0, 0, 255), (0, 0, 0), (255, 0, 0)))
    assert [item.label.tolist() for item in found] == [[2], [], [0]]


def test_types_are_those_of_detections(detector: Detector) -> None:
    (found,) = detector.infer(_batch((0, 255, 0)))
    assert (found.xyxy.dtype, found.score.dtype, found.label.dtype) == (np.float32, np.float32, np.int64)
    assert found.score == pytest.approx([1.0])


def test_boxes_are_in_source_pixels(detector: Detector) -> None:
    (found,) = detector.infer(_batch((255, 0, 0)))
    assert found.xyxy.tolist() == [[240, 200, 400, 280]]


def test_boxes_are_clipped_to_the_frame(detector: Detector) -> None:
    (found,) = detector.infer(_batch((255, 0, 0), source=(640, 80)))
    assert found.xyxy[0, 1] >= 0
    assert found.xyxy[0, 3] <= 80


def test_the_batch_is_not_changed_and_not_kept(detector: Detector) -> None:
    batch = _batch((255, 0, 0))
    (before,) = detector.infer(batch)
    assert (batch.images == (255, 0, 0)).all()
    batch.images[:] = (0, 255, 0)
    assert before.label.tolist() == [0]
    assert detector.infer(batch)[0].label.tolist() == [1]


def test_the_same_picture_gives_the_same_alone_and_in_a_batch(detector: Detector) -> None:
    (alone,) = detector.infer(_batch((250, 3, 9)))
    among = detector.infer(_batch((0, 0, 0), (250, 3, 9), (0, 255, 0)))[1]
    assert among.xyxy.tolist() == alone.xyxy.tolist()
    assert among.score == pytest.approx(alone.score, abs=1e-5)


def test_batches_that_do_not_fit_are_refused(detector: Detector) -> None:
    letterbox = Letterbox.fit((640, 480), (64, 48))
    for shape in ((5, 48, 64, 3), (0, 48, 64, 3), (1, 64, 48, 3)):
        with pytest.raises(BackendError, match=r"expected .* got"):
            detector.infer(Batch(np.zeros(shape, np.uint8), [letterbox] * shape[0]))


def test_it_can_be_closed_twice_and_then_refuses(detector: Detector) -> None:
    detector.close()
    detector.close()
    with pytest.raises(BackendError, match="closed"):
        detector.infer(_batch((0, 0, 0)))
