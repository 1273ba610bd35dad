"""The TensorRT backend against stand-ins of its modules, 10 and 11: flow, shapes, flags and failures."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from fake_tensorrt import Faults, install
from onnx_models import colour_bundle, colour_manifest, write_colour_model
from structlog.testing import capture_logs

from edgevision.bundle import Bundle, write_bundle
from edgevision.errors import BackendError
from edgevision.inference.base import Batch
from edgevision.inference.engines import Engines
from edgevision.inference.onnx import OnnxDetector, OnnxSettings
from edgevision.inference.tensorrt import TensorRtDetector, TensorRtSettings, fits
from edgevision.types import Letterbox


@pytest.fixture(name="faults", params=[10, 11])
def _faults(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Faults:
    return install(monkeypatch, request.param)


def settings(folder: Path, **changes: object) -> TensorRtSettings:
    return TensorRtSettings.model_validate(
        {"kind": "tensorrt", "cache_dir": folder / "engines", "max_batch": 4, **changes}
    )


def pictures(count: int, seed: int = 0) -> Batch:
    images = np.random.default_rng(seed).integers(100, 256, (count, 48, 64, 3), dtype=np.uint8)
    return Batch(images, [Letterbox.fit((640, 480), (64, 48))] * count)


def same(bundle: Bundle, detector: TensorRtDetector, count: int, seed: int = 0) -> None:
    other = OnnxDetector(bundle, OnnxSettings(device="cpu", max_batch=8))
    for mine, theirs in zip(detector.infer(pictures(count, seed)), other.infer(pictures(count, seed)), strict=True):
        assert mine.xyxy.tolist() == theirs.xyxy.tolist()
        assert mine.score == pytest.approx(theirs.score, abs=1e-6)


def test_batches_of_every_size_are_answered_in_order(faults: Faults, tmp_path: Path) -> None:
    bundle = colour_bundle(tmp_path)
    detector = TensorRtDetector(bundle, settings(tmp_path))
    for count, seed in ((1, 1), (4, 2), (3, 3), (1, 4)):
        same(bundle, detector, count, seed)
    detector.close()
    assert faults.allocations == {}, "all memory is given back"
    with pytest.raises(BackendError, match="closed"):
        detector.infer(pictures(1))


def test_fixed_shapes_become_a_graph_of_cuda(faults: Faults, tmp_path: Path) -> None:
    bundle = colour_bundle(tmp_path, batch=1)
    detector = TensorRtDetector(bundle, settings(tmp_path, max_batch=1))
    for seed in range(4):
        same(bundle, detector, 1, seed)
    assert faults.graphs == 3
    detector.close()
    assert faults.kept_graphs == 0


def test_a_graph_for_one_picture_needs_no_setting(faults: Faults, tmp_path: Path) -> None:
    detector = TensorRtDetector(colour_bundle(tmp_path, batch=1), settings(tmp_path, max_batch=8))
    assert detector.max_batch == 1
    assert len(faults.builds) == 1


@pytest.mark.parametrize(("batch", "most"), [("N", (4, 48, 64, 3)), (1, (1, 48, 64, 3))])
def test_a_graph_that_takes_any_size_is_built_for_the_bundles(
    faults: Faults, tmp_path: Path, batch: int | str, most: tuple[int, ...]
) -> None:
    model = onnx.load(str(write_colour_model(tmp_path / "any.onnx", batch=batch)))
    for side, name in zip(model.graph.input[0].type.tensor_type.shape.dim[1:3], ("height", "width"), strict=True):
        side.dim_param = name
    bundle = write_bundle(tmp_path / "any", colour_manifest(), {"model.onnx": model.SerializeToString()})
    detector = TensorRtDetector(bundle, settings(tmp_path))
    assert faults.builds[0][2] == most
    for seed in range(3):
        same(bundle, detector, 1, seed)


def test_every_thread_works_on_the_gpu_that_was_asked_for(faults: Faults, tmp_path: Path) -> None:
    detector = TensorRtDetector(colour_bundle(tmp_path), settings(tmp_path, gpu=1))
    worker = threading.Thread(target=lambda: detector.infer(pictures(1)))
    worker.start()
    me = worker.ident
    worker.join(10)
    assert me is not None
    assert faults.device.get(me) == 1


def test_timings_of_another_tensorrt_are_left_out(faults: Faults, tmp_path: Path) -> None:
    bundle = colour_bundle(tmp_path)
    (tmp_path / "engines").mkdir()
    (tmp_path / "engines" / "timings.cache").write_bytes(b"older;")
    faults.timings_of_another = True
    TensorRtDetector(bundle, settings(tmp_path)).close()
    assert (tmp_path / "engines" / "timings.cache").read_bytes() == b"timed;"


def test_an_engine_is_kept_where_only_memory_is_short(faults: Faults, tmp_path: Path) -> None:
    bundle = colour_bundle(tmp_path)
    TensorRtDetector(bundle, settings(tmp_path)).close()
    faults.loading = "Cuda Runtime (out of memory)"
    with pytest.raises(BackendError, match="memory is short"):
        TensorRtDetector(bundle, settings(tmp_path))
    faults.loading, faults.pinned_left = "", 1
    with pytest.raises(BackendError, match="memory is short"):
        TensorRtDetector(bundle, settings(tmp_path))
    assert faults.allocations == {}, "what was had so far is given back"
    faults.pinned_left = None
    TensorRtDetector(bundle, settings(tmp_path)).close()
    assert len(faults.builds) == 1


@pytest.mark.parametrize(
    ("version", "precision", "bits", "flags"),
    [
        (8, "fp32", 0b1, set()),
        (8, "fp16", 0b1, {"FP16"}),
        (8, "int8", 0b1, {"INT8"}),
        (10, "fp32", 0b11, set()),
        (10, "fp16", 0b11, set()),
        (10, "int8", 0b11, set()),
        (11, "fp32", 0b1, set()),
        (11, "fp16", 0b1, set()),
        (11, "int8", 0b1, set()),
    ],
)
def test_precision_is_the_graphs_and_flags_are_taken_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: int, precision: str, bits: int, flags: set[str]
) -> None:
    faults = install(monkeypatch, version)
    bundle = colour_bundle(tmp_path, artefacts=[{"file": "model.onnx", "precision": precision}])
    TensorRtDetector(bundle, settings(tmp_path))
    assert faults.builds == [(bits, flags, (4, 48, 64, 3))]


def test_an_engine_is_built_once_and_timed_once(faults: Faults, tmp_path: Path) -> None:
    bundle = colour_bundle(tmp_path)
    assert TensorRtDetector.stand_in(bundle, settings(tmp_path)) == OnnxSettings(device="auto", max_batch=4)
    for _ in range(2):
        TensorRtDetector(bundle, settings(tmp_path)).close()
    assert len(faults.builds) == 1
    assert TensorRtDetector.stand_in(bundle, settings(tmp_path)) is None
    TensorRtDetector(bundle, settings(tmp_path, max_batch=2)).close()
    assert len(faults.builds) == 2, "another shape is another engine"
    assert (tmp_path / "engines" / "timings.cache").read_bytes() == b"timed;timed;"


def test_where_nothing_else_runs_models_there_is_no_stand_in(
    faults: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgevision.inference.tensorrt.find_spec", lambda _: None)
    assert TensorRtDetector.stand_in(colour_bundle(tmp_path), settings(tmp_path)) is None
    assert faults.builds == []


def test_an_engine_that_cannot_be_loaded_is_built_anew(faults: Faults, tmp_path: Path) -> None:
    bundle = colour_bundle(tmp_path)
    TensorRtDetector(bundle, settings(tmp_path)).close()
    (file,) = (tmp_path / "engines").glob("*.engine")
    file.write_bytes(file.read_bytes()[:20])
    assert TensorRtDetector.stand_in(bundle, settings(tmp_path)) is not None, "nobody waits for the build"
    same(bundle, TensorRtDetector(bundle, settings(tmp_path)), 2)
    assert len(faults.builds) == 2


def test_an_engine_of_another_device_under_our_name_is_told_and_built_anew(faults: Faults, tmp_path: Path) -> None:
    bundle = colour_bundle(tmp_path)
    TensorRtDetector(bundle, settings(tmp_path)).close()
    engines = Engines(tmp_path / "engines")
    engines.keep(engines.listed()[0][0], b"of another TensorRT" + bytes(100))
    with capture_logs() as logs:
        same(bundle, TensorRtDetector(bundle, settings(tmp_path)), 2)
    assert len(faults.builds) == 2
    (told,) = [line["reason"] for line in logs if line["event"] == "engine.refused"]
    assert "the engine was built by another TensorRT" in told
    faults.loading = "incompatible device, expecting compute 8.6 got compute 8.7"
    with pytest.raises(BackendError, match=r"cannot be loaded: .*the engine was built on another GPU"):
        TensorRtDetector(bundle, settings(tmp_path))


def test_what_cannot_be_built_says_why_and_what_to_do(faults: Faults, tmp_path: Path) -> None:
    bundle = colour_bundle(tmp_path)
    faults.operator = "StrangeOp"
    with pytest.raises(BackendError, match=r"does not support it at the node head/strange \(StrangeOp\): no importer"):
        TensorRtDetector(bundle, settings(tmp_path))
    faults.operator, faults.build = "", "Tactic Device request: 900 MB, insufficient memory"
    with pytest.raises(BackendError, match=r"cannot build an engine: .*memory is short: stop what else uses the GPU"):
        TensorRtDetector(bundle, settings(tmp_path))
    faults.build, faults.free_bytes = "", 100 << 20
    with pytest.raises(BackendError, match="100 MiB of the GPU's memory are free, 1024 are wanted to build an engine"):
        TensorRtDetector(bundle, settings(tmp_path))
    assert not list((tmp_path / "engines").glob("*.engine"))


@pytest.mark.parametrize("where", ["device", "pinned"])
def test_memory_that_is_short_while_it_loads(faults: Faults, tmp_path: Path, where: str) -> None:
    bundle = colour_bundle(tmp_path)
    TensorRtDetector(bundle, settings(tmp_path)).close()
    faults.memory = where
    with pytest.raises(BackendError, match="cudaErrorMemoryAllocation; memory is short: lower max_batch"):
        TensorRtDetector(bundle, settings(tmp_path))


def test_an_engine_that_fails_in_mid_run(faults: Faults, tmp_path: Path) -> None:
    detector = TensorRtDetector(colour_bundle(tmp_path), settings(tmp_path))
    faults.run = True
    with pytest.raises(BackendError, match="the engine failed"):
        detector.infer(pictures(1))


def test_shapes_that_do_not_fit_are_our_error(faults: Faults, tmp_path: Path) -> None:
    faults.shapes = True
    with pytest.raises(BackendError, match="the engine does not take"):
        TensorRtDetector(colour_bundle(tmp_path), settings(tmp_path))


def test_ports_that_numpy_does_not_have_are_named(faults: Faults, tmp_path: Path) -> None:
    faults.port_type = "BF16"
    with pytest.raises(
        BackendError, match=r"the port images is of the type BF16, which NumPy has not; export the model"
    ):
        TensorRtDetector(colour_bundle(tmp_path), settings(tmp_path))
    assert faults.allocations == {}


def test_without_tensorrt_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="TensorRT is not usable"):
        TensorRtDetector(colour_bundle(tmp_path), settings(tmp_path))


def test_a_longer_search_is_another_engine(faults: Faults, tmp_path: Path) -> None:
    bundle = colour_bundle(tmp_path)
    for level in (3, 5):
        TensorRtDetector(bundle, settings(tmp_path, level=level)).close()
    assert len(faults.builds) == 2


def test_an_engine_of_another_driver_does_not_fit(
    faults: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    TensorRtDetector(colour_bundle(tmp_path), settings(tmp_path)).close()
    assert len(faults.builds) == 1
    ((made, _),) = Engines(tmp_path / "engines").listed()
    assert fits(made)
    newer = tmp_path / "version"
    newer.write_text("Kernel Module 580", "utf-8")
    monkeypatch.setattr("edgevision.inference.drivers._KIND", (newer,))
    assert not fits(made), "it would be taken and never be found"
