"""The ONNX Runtime backend on a small real network: what fits runs, what contradicts the manifest says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnx_models import COLOURS, colour_bundle, colour_manifest, strange_model, write_colour_model

from edgevision.bundle import Target, write_bundle
from edgevision.errors import BackendError, BundleCorrupt, BundleError, UnsafeModel
from edgevision.inference import ort
from edgevision.inference.base import Batch
from edgevision.inference.onnx import OnnxDetector, OnnxSettings, engine_key
from edgevision.types import Letterbox

CPU = OnnxSettings(device="cpu", threads=1)
has_cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def _batch(*rgb: tuple[int, int, int]) -> Batch:
    images = np.stack([np.full((48, 64, 3), colour, np.uint8) for colour in rgb])
    return Batch(images, [Letterbox.fit((640, 480), (64, 48))] * len(rgb))


@pytest.mark.parametrize("layout", ["nhwc-uint8", "nchw-float"])
def test_colours_are_told_apart_in_source_pixels(tmp_path: Path, layout: str) -> None:
    detector = OnnxDetector(colour_bundle(tmp_path, layout=layout), OnnxSettings(device="cpu", max_batch=3))
    found = detector.infer(_batch((204, 0, 0), (0, 255, 0), (10, 20, 30)))
    assert [[COLOURS[label] for label in item.label] for item in found] == [["red"], ["green"], []]
    assert found[0].score == pytest.approx([0.8], abs=1e-6)
    assert found[0].xyxy.tolist() == [[240, 200, 400, 280]]


def test_a_dynamic_batch_takes_what_the_settings_allow(tmp_path: Path) -> None:
    detector = OnnxDetector(colour_bundle(tmp_path), OnnxSettings(device="cpu", max_batch=2))
    assert detector.max_batch == 2
    with pytest.raises(BackendError, match=r"expected \(1..2, 48, 64, 3\) uint8, got \(3, 48, 64, 3\)"):
        detector.infer(_batch(*[(0, 0, 0)] * 3))


def test_a_fixed_batch_of_one_takes_one(tmp_path: Path) -> None:
    detector = OnnxDetector(colour_bundle(tmp_path, batch=1, layout="nchw-float"), CPU)
    assert detector.max_batch == 1
    assert detector.infer(_batch((255, 0, 0)))[0].label.tolist() == [0]


def test_another_fixed_batch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="takes exactly 4 pictures; export it for 1 or for a dynamic batch"):
        OnnxDetector(colour_bundle(tmp_path, batch=4), CPU)


def test_thresholds_of_the_settings_go_before_the_bundles(tmp_path: Path) -> None:
    bundle = colour_bundle(tmp_path)
    pink = _batch((150, 140, 0))
    assert OnnxDetector(bundle, CPU).infer(pink)[0].label.tolist() == [0]
    assert len(OnnxDetector(bundle, CPU, {"red": 0.9}).infer(pink)[0]) == 0
    with pytest.raises(BundleError, match="unknown class pink"):
        OnnxDetector(bundle, CPU, {"pink": 0.1})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"width": 32, "height": 48},
            r"the manifest says uint8 \(N, 48, 32, 3\), the graph has uint8",
        ),
        (
            {"width": 64, "height": 48, "layout": "nchw-float"},
            r"says float32 or float16 \(N, 3, 48, 64\)",
        ),
    ],
)
def test_an_input_that_contradicts_the_manifest(tmp_path: Path, spec: dict[str, object], message: str) -> None:
    model = write_colour_model(tmp_path / "m.onnx")
    bundle = write_bundle(tmp_path / "b", colour_manifest(input=spec), {"model.onnx": model})
    with pytest.raises(BundleError, match=message) as caught:
        OnnxDetector(bundle, CPU)
    assert "(N, 48, 64, 3)" in str(caught.value)


def test_an_output_that_contradicts_the_classes(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"2 classes at 64x48: expected \(N, 6, A\) .*, got \(N, 7, 1\)"):
        OnnxDetector(colour_bundle(tmp_path, classes=["red", "green"]), CPU)


def test_a_graph_with_two_inputs(tmp_path: Path) -> None:
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 7, 1]) for name in ("a", "b", "out")]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["out"])], "two", ports[:2], ports[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    bundle = write_bundle(tmp_path / "b", colour_manifest(), {"model.onnx": model.SerializeToString()})
    with pytest.raises(BundleError, match="expected a model with one input, got 2: a, b"):
        OnnxDetector(bundle, CPU)


def test_a_graph_that_onnx_runtime_refuses(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "b", colour_manifest(), {"model.onnx": strange_model()})
    with pytest.raises(
        BackendError, match=r"cannot load colours@1.2#\w{12} \(model.onnx\): .*NoSuchOperator"
    ) as caught:
        OnnxDetector(bundle, CPU)
    assert "\n" not in str(caught.value)


def test_changed_bytes_never_reach_the_runtime(tmp_path: Path) -> None:
    bundle = colour_bundle(tmp_path)
    file = bundle.folder / "model.onnx"
    file.write_bytes(file.read_bytes() + b"\0\0")
    with pytest.raises(BundleCorrupt):
        OnnxDetector(bundle, CPU)
    file.write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(UnsafeModel):
        OnnxDetector(bundle, CPU)


@pytest.mark.skipif(has_cuda, reason="this onnxruntime has CUDA")
@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_device_that_is_not_there_is_no_silent_cpu(tmp_path: Path, device: str) -> None:
    settings = OnnxSettings.model_validate({"device": device, "cache_dir": tmp_path / "cache"})
    with pytest.raises(BackendError, match=r"has no \w+ExecutionProvider, only .*CPU.*; install edgevision\[gpu\]"):
        OnnxDetector(colour_bundle(tmp_path), settings)


@pytest.mark.skipif(has_cuda, reason="this onnxruntime has CUDA")
def test_auto_takes_the_cpu_where_there_is_nothing_else(tmp_path: Path) -> None:
    assert OnnxDetector(colour_bundle(tmp_path)).device == "cpu"


def test_an_artefact_of_the_wanted_precision(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no int8 artefact for cpu"):
        OnnxDetector(colour_bundle(tmp_path), OnnxSettings(device="cpu", precision="int8"))


def test_engines_of_other_models_versions_and_batches_lie_apart(tmp_path: Path) -> None:
    item = colour_bundle(tmp_path).manifest.artefacts[0]
    other = item.model_copy(update={"sha256": "0" * 64})
    half = item.model_copy(update={"precision": "fp16"})
    keys = [
        engine_key(item, "1.23", 8),
        engine_key(other, "1.23", 8),
        engine_key(half, "1.23", 8),
        engine_key(item, "1.24", 8),
        engine_key(item, "1.23", 4),
    ]
    assert len(set(keys)) == len(keys)
    assert engine_key(item, "1.23", 8) == keys[0]


def test_settings_are_read_without_loading_the_runtime() -> None:
    """A Jetson with TensorRT alone reads the same settings file."""
    code = "import sys, edgevision.inference.onnx, edgevision.inference.batcher; print('onnxruntime' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_missing_runtime_names_the_extra(tmp_path: Path) -> None:
    bundle = colour_bundle(tmp_path)
    code = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from pathlib import Path\n"
        "from edgevision.bundle import read_bundle\n"
        "from edgevision.errors import BackendError\n"
        "from edgevision.inference.onnx import OnnxDetector\n"
        "try:\n    OnnxDetector(read_bundle(Path(sys.argv[1])))\n"
        "except BackendError as exc:\n    print(exc)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(bundle.folder)], capture_output=True, text=True, check=True)
    assert "install edgevision[cpu]" in done.stdout


@pytest.mark.parametrize(
    ("target", "providers"),
    [
        ("cpu", ["CPUExecutionProvider"]),
        ("cuda", ["CUDAExecutionProvider", "CPUExecutionProvider"]),
        ("tensorrt", ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]),
    ],
)
def test_what_a_device_cannot_run_falls_to_the_next(tmp_path: Path, target: Target, providers: list[str]) -> None:
    found = ort._providers(ort.Placement(target, precision="fp16", cache=tmp_path))
    assert [item if isinstance(item, str) else item[0] for item in found] == providers
    if target == "tensorrt":
        options = found[0][1]
        assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == str(tmp_path)
        assert (options["trt_fp16_enable"], options["trt_int8_enable"]) == ("True", "False")


def test_only_the_first_output_is_decoded(tmp_path: Path) -> None:
    """YOLOv5 exports carry their three heads beside the joined output."""
    model = onnx.load(str(write_colour_model(tmp_path / "m.onnx")))
    model.graph.output.append(helper.make_tensor_value_info("columns", TensorProto.FLOAT, ["N", 3, 1]))
    bundle = write_bundle(tmp_path / "b", colour_manifest(), {"model.onnx": model.SerializeToString()})
    assert OnnxDetector(bundle, CPU).infer(_batch((0, 255, 0)))[0].label.tolist() == [1]


def test_bound_memory_gives_the_same_numbers(tmp_path: Path) -> None:
    """The GPU's way to run, which works on a CPU too."""
    model = write_colour_model(tmp_path / "m.onnx", layout="nchw-float")
    session = ort.Session("colours", model.read_bytes(), ort.Placement(threads=1))
    pictures = np.random.default_rng(0).random((3, 3, 48, 64), np.float32)
    assert session._run_bound(pictures) == pytest.approx(session.run(pictures))
