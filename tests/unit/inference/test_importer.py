"""Bundles from foreign ONNX: what the file tells is read, what it does not tell is asked for by name."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_models import write_colour_model
from structlog.testing import capture_logs

from edgevision.errors import BackendError, BundleCorrupt, BundleError, ImageError, UnsafeModel
from edgevision.inference.importer import Said, import_onnx, read_classes
from edgevision.inference.onnx import OnnxDetector
from edgevision.inference.selftest import selftest

Shape = tuple[int | str, ...]
TWO = ("bottle", "can")
ULTRALYTICS = {"author": "Ultralytics", "version": "8.4.0", "task": "detect", "license": "AGPL-3.0"}


def _model(
    folder: Path,
    output: Shape,
    *,
    picture: Shape = (1, 3, 64, 64),
    metadata: Mapping[str, str] | None = None,
    kind: int = TensorProto.FLOAT,
    opset: int = 17,
) -> Path:
    """A graph with these shapes and this metadata; what it computes is zeros."""
    zeros = numpy_helper.from_array(
        np.zeros([side if isinstance(side, int) else 1 for side in output], np.float32), "z"
    )
    nodes = [
        helper.make_node("Shape", ["images"], ["unused"]),
        helper.make_node("Identity", ["z"], ["output0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "shapes",
        [helper.make_tensor_value_info("images", kind, list(picture))],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, list(output))],
        [zeros],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    helper.set_model_props(model, dict(metadata or {}))
    file = folder / "foreign.onnx"
    onnx.save(model, str(file))
    return file


def test_ultralytics_metadata_is_enough(tmp_path: Path) -> None:
    told = {**ULTRALYTICS, "names": "{0: 'bottle', 1: \"can't\"}", "imgsz": "[64, 64]"}
    bundle = import_onnx(_model(tmp_path, (1, 6, 84), metadata=told), tmp_path / "b", Said("drinks"))
    manifest = bundle.manifest
    assert manifest.classes == ("bottle", "can't")
    assert (manifest.family, manifest.input.layout, manifest.input.order) == ("yolo", "nchw-float", "rgb")
    assert manifest.input.scale == pytest.approx(1 / 255)
    assert manifest.licence == "AGPL-3.0"
    assert manifest.tools["ultralytics"] == "8.4.0"
    assert bundle.model_ref.startswith("drinks@1#")
    OnnxDetector(bundle)


@pytest.mark.parametrize(
    ("output", "told", "family"),
    [
        ((1, 6, 84), {}, "yolo"),
        ((1, 252, 7), {}, "yolo"),
        ((1, 84, 7), {}, "yolox"),
        ((1, 84, 7), ULTRALYTICS, "yolo"),
        ((1, 300, 6), {}, "yolo-e2e"),
        ((1, 300, 6), {"end2end": "True"}, "yolo-e2e"),
    ],
)
def test_the_family_is_guessed_from_the_shape(
    tmp_path: Path, output: Shape, told: Mapping[str, str], family: str
) -> None:
    said = Said("drinks", classes=TWO)
    manifest = import_onnx(_model(tmp_path, output, metadata=told), tmp_path / "b", said).manifest
    assert manifest.family == family
    if family == "yolox":
        assert (manifest.input.order, manifest.input.align, manifest.input.scale) == ("bgr", "corner", 1)


def test_the_family_that_is_said_goes_before_the_guess(tmp_path: Path) -> None:
    said = Said("drinks", classes=TWO, family="yolo")
    assert import_onnx(_model(tmp_path, (1, 84, 7)), tmp_path / "b", said).manifest.family == "yolo"


@pytest.mark.parametrize(
    ("output", "said", "message"),
    [
        ((1, 6, 84), Said("x"), r"does not tell its classes \(output 1, 6, 84\); give --classes FILE"),
        ((1, 9, 84), Said("x", classes=TWO), r"from its output \(1, 9, 84\) and 2 classes; give --family"),
        ((1, 6, 84), Said("x", classes=TWO, family="yolox"), r"yolox model .* expected \(N, 84, 7\), got \(1, 6, 84\)"),
        ((1, 6, 84), Said("x", classes=TWO, size=(32, 32)), "the input is fixed to 64x64; leave --size out"),
    ],
)
def test_what_cannot_be_known_is_asked_for(tmp_path: Path, output: Shape, said: Said, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        import_onnx(_model(tmp_path, output), tmp_path / "b", said)
    assert not (tmp_path / "b").exists()


def test_an_open_size_is_taken_from_the_metadata_or_asked_for(tmp_path: Path) -> None:
    picture = ("batch", 3, "height", "width")
    told = {"imgsz": "[64, 96]", "names": "['bottle', 'can']"}
    said = Said("x", classes=TWO)
    found = import_onnx(
        _model(tmp_path, (1, 6, 84), picture=picture, metadata=told), tmp_path / "a", said
    ).manifest.input
    assert (found.width, found.height) == (96, 64)
    bare = _model(tmp_path, (1, 6, 84), picture=picture)
    with pytest.raises(BundleError, match="give --size WIDTHxHEIGHT"):
        import_onnx(bare, tmp_path / "b", said)
    found = import_onnx(bare, tmp_path / "b", Said("x", classes=TWO, size=(32, 48))).manifest.input
    assert (found.width, found.height) == (32, 48)


def test_what_cannot_run_is_no_bundle(tmp_path: Path) -> None:
    said = Said("x", classes=("red", "green", "blue"))
    four = write_colour_model(tmp_path / "four.onnx", batch=4)
    with pytest.raises(BundleError, match=r"four\.onnx: the graph takes exactly 4 pictures; export it for 1"):
        import_onnx(four, tmp_path / "b", said)
    model = onnx.load(str(write_colour_model(tmp_path / "any.onnx")))
    model.graph.node.append(helper.make_node("Reshape", ["images", "all"], ["flat"], name="flat"))
    model.graph.node.append(helper.make_node("Cast", ["flat"], ["unused"], name="used", to=TensorProto.FLOAT))
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1, 48 * 64 * 3]), "all"))
    model.graph.output.append(helper.make_tensor_value_info("unused", TensorProto.FLOAT, ["N", 48 * 64 * 3]))
    for side, name in zip(model.graph.input[0].type.tensor_type.shape.dim[1:3], ("height", "width"), strict=True):
        side.dim_param = name
    onnx.save(model, str(tmp_path / "any.onnx"))
    with pytest.raises(BackendError, match=r"any\.onnx: cannot be run on a picture of 32x32: .*'flat'"):
        import_onnx(tmp_path / "any.onnx", tmp_path / "b", replace(said, size=(32, 32)))
    assert not (tmp_path / "b").exists()
    import_onnx(tmp_path / "any.onnx", tmp_path / "b", replace(said, size=(64, 48)))


def test_an_operator_that_nobody_knows_is_named_with_its_node(tmp_path: Path) -> None:
    model = onnx.load(str(write_colour_model(tmp_path / "m.onnx")))
    model.graph.node.append(helper.make_node("SiLU", ["means"], ["unused"], name="/act/SiLU", domain="mine"))
    model.opset_import.append(helper.make_opsetid("mine", 1))
    onnx.save(model, str(tmp_path / "m.onnx"))
    with pytest.raises(BackendError, match=r"mine:SiLU\(-1\) .* \(node /act/SiLU\); export the model with ONNX's own"):
        import_onnx(tmp_path / "m.onnx", tmp_path / "b", Said("x"))


def test_names_are_never_evaluated(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    told = {"names": f"__import__('pathlib').Path({str(trap)!r}).touch() or ['a', 'b']"}
    with pytest.raises(BundleError, match="does not tell its classes"):
        import_onnx(_model(tmp_path, (1, 6, 84), metadata=told), tmp_path / "b", Said("x"))
    assert not trap.exists()


@pytest.mark.parametrize("names", ["{0: 'a', 2: 'b'}", "42", "", "{" * 3000])
def test_names_that_make_no_list_are_asked_for(tmp_path: Path, names: str) -> None:
    with pytest.raises(BundleError, match="--classes"):
        import_onnx(_model(tmp_path, (1, 6, 84), metadata={"names": names}), tmp_path / "b", Said("x"))


@pytest.mark.parametrize(
    ("output", "changes", "message"),
    [
        ((1, 1000), {}, r"\(N, boxes, values\) out, got"),
        ((1, 6, 84), {"metadata": {"task": "segment"}}, "its task is segment; only detection"),
        ((1, 6, 84), {"picture": (1, 1, 64, 64)}, r"expected an input .* got float32 \(1, 1, 64, 64\)"),
        ((1, 6, 84), {"kind": TensorProto.INT32}, r"got int32"),
    ],
)
def test_what_is_no_detector_is_refused(
    tmp_path: Path, output: Shape, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        import_onnx(_model(tmp_path, output, **changes), tmp_path / "b", Said("x", classes=TWO))  # type: ignore[arg-type]


def test_files_that_are_no_onnx(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="does not exist"):
        import_onnx(tmp_path / "none.onnx", tmp_path / "b", Said("x"))
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(BundleCorrupt, match="is no ONNX model"):
        import_onnx(tmp_path / "text.onnx", tmp_path / "b", Said("x"))
    (tmp_path / "pickle.onnx").write_bytes(pickle.dumps({"model": 1}))
    with pytest.raises(UnsafeModel):
        import_onnx(tmp_path / "pickle.onnx", tmp_path / "b", Said("x"))


def test_an_existing_bundle_needs_force(tmp_path: Path) -> None:
    file, said = _model(tmp_path, (1, 6, 84)), Said("x", classes=TWO)
    import_onnx(file, tmp_path / "b", said)
    with pytest.raises(BundleError, match="exists already; --force replaces it"):
        import_onnx(file, tmp_path / "b", said)
    import_onnx(file, tmp_path / "b", said, replace=True)


def test_a_newer_opset_is_taken_with_a_warning(tmp_path: Path) -> None:
    with capture_logs() as logs:
        bundle = import_onnx(_model(tmp_path, (1, 6, 84), opset=20), tmp_path / "b", Said("x", classes=TWO))
    assert bundle.manifest.artefacts[0].opset == 20
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == ["model.too_new_for_jetpack_6"]


def test_golden_pictures_hold_what_is_found_now(tmp_path: Path) -> None:
    picture = tmp_path / "red.PNG"
    cv2.imwrite(str(picture), np.full((48, 64, 3), (0, 0, 230), np.uint8))
    model = write_colour_model(tmp_path / "m.onnx")
    said = Said("colours", classes=("red", "green", "blue"), family="yolo", golden=(picture,))
    bundle = import_onnx(model, tmp_path / "b", said)
    item, clip = bundle.manifest.golden
    assert (clip.file, clip.frame, len(clip.boxes)) == ("golden/clip.mp4", 5, 1)
    assert item.file == "golden/000.png"
    assert [(box.class_name, box.score) for box in item.boxes] == [("red", pytest.approx(230 / 255, abs=1e-3))]
    assert [result.ok for result in selftest(bundle, OnnxDetector(bundle))] == [True, True]


def test_a_golden_picture_that_is_none(tmp_path: Path) -> None:
    model = write_colour_model(tmp_path / "m.onnx")
    (tmp_path / "empty.png").touch()
    said = Said("colours", classes=("red", "green", "blue"), golden=(tmp_path / "empty.png",))
    with pytest.raises(ImageError, match=r"empty.png is no picture"):
        import_onnx(model, tmp_path / "b", said)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.txt", "bottle\n\ncan\n"),
        ("data.yaml", "path: x\nnames: [bottle, can]\n"),
        ("coco.yml", "names:\n  0: bottle\n  1: can\n"),
    ],
)
def test_class_files(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_classes(tmp_path / name) == TWO


@pytest.mark.parametrize(
    ("name", "text"), [("a.yaml", "nc: 2"), ("a.yaml", "[]"), ("a.txt", "\n"), ("a.yaml", "names: 3")]
)
def test_class_files_without_names(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BundleError, match=r"class names"):
        read_classes(tmp_path / name)
