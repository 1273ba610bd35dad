"""The OpenVINO backend on a small real network: what fits runs, what does not says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx_models import colour_bundle, colour_manifest, strange_model

from edgevision.bundle import write_bundle
from edgevision.errors import BackendError, BundleCorrupt, BundleError
from edgevision.inference.base import Batch
from edgevision.inference.onnx import OnnxDetector, OnnxSettings
from edgevision.inference.openvino import OpenVinoDetector, OpenVinoSettings
from edgevision.types import Letterbox

pytest.importorskip("openvino")


def _settings(**changes: object) -> OpenVinoSettings:
    return OpenVinoSettings.model_validate({"kind": "openvino", **changes})


def _batch(*rgb: tuple[int, int, int]) -> Batch:
    images = np.stack([np.full((48, 64, 3), colour, np.uint8) for colour in rgb])
    return Batch(images, [Letterbox.fit((640, 480), (64, 48))] * len(rgb))


@pytest.mark.parametrize("hint", ["latency", "throughput"])
@pytest.mark.parametrize("batch", ["N", 1])
def test_it_sees_what_onnx_runtime_sees(tmp_path: Path, hint: str, batch: int | str) -> None:
    bundle = colour_bundle(tmp_path, batch=batch)
    mine = OpenVinoDetector(bundle, _settings(hint=hint, compute="f32", max_batch=7))
    other = OnnxDetector(bundle, OnnxSettings(device="cpu", max_batch=7))
    assert mine.max_batch == other.max_batch == (1 if batch == 1 else 7)
    rng = np.random.default_rng(0)
    for count in (1, mine.max_batch):
        pictures = _batch(*(tuple(row) for row in rng.integers(120, 255, (count, 3)).tolist()))
        for a, b in zip(mine.infer(pictures), other.infer(pictures), strict=True):
            assert a.xyxy == pytest.approx(b.xyxy)
            assert a.score == pytest.approx(b.score, abs=1e-5)
            assert a.label.tolist() == b.label.tolist()


def test_a_device_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    import openvino

    if any(name.startswith("GPU") for name in openvino.Core().available_devices):
        pytest.skip("this machine has a GPU for OpenVINO")
    with pytest.raises(BackendError, match="OpenVINO has no device GPU; there is CPU"):
        OpenVinoDetector(colour_bundle(tmp_path), _settings(device="gpu"))


def test_a_graph_that_it_refuses(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "b", colour_manifest(), {"model.onnx": strange_model()})
    with pytest.raises(BackendError, match=r"cannot load colours@1.2#\w{12} .* on OpenVINO .*NoSuchOperator") as caught:
        OpenVinoDetector(bundle, _settings())
    assert "\n" not in str(caught.value)


def test_changed_bytes_never_reach_the_runtime(tmp_path: Path) -> None:
    bundle = colour_bundle(tmp_path)
    file = bundle.folder / "model.onnx"
    file.write_bytes(file.read_bytes() + b"\0\0")
    with pytest.raises(BundleCorrupt):
        OpenVinoDetector(bundle, _settings())


def test_an_artefact_that_is_meant_for_others(tmp_path: Path) -> None:
    bundle = colour_bundle(tmp_path, artefacts=[{"file": "model.onnx", "targets": ["tensorrt"]}])
    with pytest.raises(BundleError, match="no usable artefact for openvino"):
        OpenVinoDetector(bundle, _settings())
