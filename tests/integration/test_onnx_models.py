"""Five real COCO detectors of four kinds find the three people who stand in full in a street photograph.

The boxes were drawn by eye on the picture, with the float model's answer beside it.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edgevision.bundle import Bundle, verify_files
from edgevision.errors import BackendError
from edgevision.geometry import iou
from edgevision.inference import ort
from edgevision.inference.golden import detect, read_picture
from edgevision.inference.importer import Said, import_onnx, read_classes
from edgevision.inference.onnx import OnnxDetector, OnnxSettings
from edgevision.inference.selftest import selftest
from edgevision.types import FloatArray

PEOPLE = np.array([[50, 398, 243, 904], [222, 408, 344, 858], [672, 390, 810, 879]], np.float32)
BUS = np.array([[20, 229, 803, 770]], np.float32)
MODELS = {
    "yolov8n-rebuilt": ("yolo", (640, 640), "fp32"),
    "yolov8n_int8": ("yolo", (640, 640), "int8"),
    "yolo11n_int8": ("yolo", (320, 320), "int8"),
    "yolo26n_int8": ("yolo-e2e", (640, 640), "int8"),
    "yolox_nano": ("yolox", (416, 416), "fp32"),
}


@pytest.fixture(name="data", scope="module")
def _data() -> Path:
    root = Path(os.environ.get("EDGEVISION_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
    if not (root / "weights").is_dir():
        pytest.skip(f"needs the test data, which is not at {root}; set EDGEVISION_DATA")
    return root


@pytest.fixture(name="bundle", params=sorted(MODELS), scope="module")
def _bundle(request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Each file imported as a user would: YOLOX tells no names, the others need nothing."""
    folder = tmp_path_factory.mktemp(request.param)
    classes = None
    if request.param == "yolox_nano":
        names = folder / "names.yaml"
        names.write_text("names: " + ort.describe(data / "weights/yolo11n_int8.onnx").metadata["names"])
        classes = read_classes(names)
    said = Said(request.param.replace("_", "-"), classes=classes, golden=(data / "photos/bus_small.jpg",))
    try:
        return import_onnx(data / f"weights/{request.param}.onnx", folder / "bundle", said)
    except BackendError as exc:
        if "ConvInteger" in str(exc):
            pytest.skip(f"ONNX Runtime {ort.VERSION} cannot run this file: {exc}")
        raise


def _best(found: FloatArray, wanted: FloatArray) -> FloatArray:
    overlap: FloatArray = iou(wanted, found).max(axis=1)
    return overlap


def test_the_import_finds_out_what_it_needs(bundle: Bundle) -> None:
    family, size, precision = next(
        value for key, value in MODELS.items() if key.replace("_", "-") == bundle.manifest.name
    )
    manifest = bundle.manifest
    assert (manifest.family, (manifest.input.width, manifest.input.height)) == (family, size)
    assert manifest.artefacts[0].precision == precision
    assert manifest.classes[:6] == ("person", "bicycle", "car", "motorcycle", "airplane", "bus")
    assert len(manifest.classes) == 80


def test_the_people_and_the_bus_are_found(bundle: Bundle, data: Path) -> None:
    detector = OnnxDetector(bundle, OnnxSettings(device="cpu", threads=1))
    assert detector.max_batch == 1
    found = detect(detector, read_picture(data / "photos/bus_small.jpg"))
    sure = found[found.score >= 0.5]
    people = sure[sure.label == detector.classes.index("person")]
    bus = sure[sure.label == detector.classes.index("bus")]
    assert (_best(people.xyxy, PEOPLE) >= 0.7).all(), people
    assert (_best(bus.xyxy, BUS) >= 0.8).all(), bus
    assert len(bus) == 1
    cut_at_the_edge = people.xyxy[:, 0] < 20
    assert len(people) - cut_at_the_edge.sum() == len(PEOPLE), "no person twice"


def test_the_bundle_verifies_on_its_golden_picture(bundle: Bundle) -> None:
    verify_files(bundle)
    for result in selftest(bundle, OnnxDetector(bundle, OnnxSettings(device="cpu", threads=2))):
        assert result.ok, result.problems
        assert result.matched >= 4
