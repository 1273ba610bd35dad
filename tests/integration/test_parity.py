"""The shipped bundle on every backend and in every precision that is here: how far they may differ, and do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from labelled import drawn_boards

from edgevision.bundle import Bundle, read_bundle
from edgevision.evaluation.agreement import agreement
from edgevision.evaluation.predict import predict
from edgevision.inference.bundled import BundleDetector
from edgevision.inference.onnx import OnnxDetector, OnnxSettings
from edgevision.inference.openvino import OpenVinoDetector, OpenVinoSettings
from edgevision.types import Detections

BUNDLE = Path(__file__).parents[2] / "models" / "pcb-defects"


def opened(bundle: Bundle, which: str) -> BundleDetector:
    runtime, how = which.split()
    low = {"default": 0.05}
    if runtime == "onnx":
        return OnnxDetector(bundle, OnnxSettings.model_validate({"device": "cpu", "precision": how}), low)
    pytest.importorskip("openvino")
    return OpenVinoDetector(bundle, OpenVinoSettings.model_validate({"kind": "openvino", "compute": how}), low)


@pytest.fixture(name="reference", scope="module")
def _reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Detections, ...]:
    return found(opened(read_bundle(BUNDLE), "onnx fp32"), tmp_path_factory.mktemp("boards"))


def found(detector: BundleDetector, folder: Path) -> tuple[Detections, ...]:
    return predict(detector, drawn_boards(folder, range(950_000, 950_010))).found


@pytest.mark.parametrize(
    ("which", "box_px", "score", "agree"),
    [("openvino f32", 1.0, 0.01, 0.999), ("openvino auto", 4.0, 0.06, 0.97), ("onnx int8", 6.0, 0.15, 0.93)],
)
def test_strong_detections_are_the_same(
    reference: tuple[Detections, ...], tmp_path: Path, which: str, box_px: float, score: float, agree: float
) -> None:
    mine = found(opened(read_bundle(BUNDLE), which), tmp_path)
    assert agreement(reference, mine) > agree
    compared = 0
    for a, b in zip(reference, mine, strict=True):
        for place in np.flatnonzero(a.score >= 0.5):
            off = np.where(b.label == a.label[place], np.abs(b.xyxy - a.xyxy[place]).max(axis=1), np.inf)
            at = int(off.argmin())
            assert off[at] <= box_px
            assert abs(float(b.score[at] - a.score[place])) <= score
            compared += 1
    assert compared >= 8
