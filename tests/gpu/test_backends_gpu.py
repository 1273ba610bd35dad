"""On a GPU a bundle sees what it sees on the CPU. `make test-gpu` runs this; elsewhere it skips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgevision.bundle import read_bundle
from edgevision.errors import BackendError
from edgevision.inference.base import Batch
from edgevision.inference.bundled import BundleDetector
from edgevision.inference.onnx import OnnxDetector, OnnxSettings
from edgevision.inference.preprocess import single_batch
from edgevision.inference.selftest import selftest
from edgevision.inference.tensorrt import TensorRtDetector, TensorRtSettings
from edgevision.media.pixels import ArrayPixels
from edgevision.scenes.pcb import PcbConveyor
from edgevision.types import Frame, FrameTime

pytestmark = pytest.mark.gpu

BUNDLE = Path(__file__).parents[2] / "models" / "pcb-defects"


def _on(device: str, **more: object) -> BundleDetector:
    """ONNX Runtime on a device, or ``native`` TensorRT."""
    try:
        if device == "native":
            return TensorRtDetector(read_bundle(BUNDLE), TensorRtSettings.model_validate({"kind": "tensorrt", **more}))
        return OnnxDetector(read_bundle(BUNDLE), OnnxSettings.model_validate({"device": device, **more}))
    except BackendError as exc:
        pytest.skip(str(exc))


def _boards(detector: BundleDetector, count: int) -> Batch:
    belt = PcbConveyor(77, boards=count, defect_rate=1.0)
    frames = []
    for board in belt.boards:
        index = (board.first_full + board.last_full) // 2
        time = FrameTime(None, 0.0)  # type: ignore[arg-type]
        frames.append(Frame("belt", index, time, ArrayPixels(belt.render(index))))
    return single_batch(frames, detector.input)


@pytest.mark.parametrize("device", ["cuda", "tensorrt", "native"])
def test_golden_pictures_are_seen_as_on_the_cpu(device: str) -> None:
    detector = _on(device)
    assert [result for result in selftest(read_bundle(BUNDLE), detector, None) if result.problems] == []


@pytest.mark.parametrize("device", ["cuda", "tensorrt", "native"])
@pytest.mark.parametrize(("precision", "box_px", "score"), [("fp32", 1.0, 0.01), ("fp16", 2.0, 0.03)])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_a_batch_gives_what_the_cpu_gives(device: str, precision: str, box_px: float, score: float, count: int) -> None:
    gpu, cpu = _on(device, precision=precision), _on("cpu", precision="fp32", max_batch=8)
    batch = _boards(gpu, count)
    compared = 0
    for ours, reference in zip(gpu.infer(batch), cpu.infer(batch), strict=True):
        for place in np.flatnonzero(reference.score >= 0.5):
            same = ours.label == reference.label[place]
            off = np.where(same, np.abs(ours.xyxy - reference.xyxy[place]).max(axis=1), np.inf)
            assert off.min(initial=np.inf) <= box_px
            assert abs(float(ours.score[off.argmin()] - reference.score[place])) <= score
            compared += 1
    assert compared >= count


def test_auto_takes_the_gpu_where_there_is_one() -> None:
    _on("cuda")
    assert OnnxDetector(read_bundle(BUNDLE), OnnxSettings(device="auto")).device in {"cuda", "tensorrt"}


def test_engines_are_built_once_and_kept(tmp_path: Path) -> None:
    _on("tensorrt", cache_dir=tmp_path).close()
    engines = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.engine")}
    assert engines
    _on("tensorrt", cache_dir=tmp_path).close()
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.engine")} == engines
