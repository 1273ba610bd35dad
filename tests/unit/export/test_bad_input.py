"""Models that cannot be exported as they are, at the command line: what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest
import typer
from onnx import TensorProto, helper, numpy_helper
from onnx_models import colour_bundle
from typer.testing import CliRunner, Result

from edgevision.bundle import Bundle, read_bundle, write_bundle
from edgevision.cli.export import export
from edgevision.errors import EdgevisionError
from edgevision.export.kinds import FP16, INT8_CPU, Kind
from edgevision.export.making import Artefact
from edgevision.export.trial import Tried
from edgevision.inference.drivers import eight_bit_words
from edgevision.logs import setup_logging

Make = Callable[..., bytes]
Change = Callable[[onnx.ModelProto], None]


def run(*arguments: object) -> Result:
    setup_logging("warning", "console")
    app = typer.Typer()
    app.command()(export)
    return CliRunner().invoke(app, [str(item) for item in arguments])


def made(folder: Path, small: Bundle, content: bytes, **changes: object) -> Path:
    """A bundle of a graph."""
    manifest = small.manifest.model_dump(mode="json", by_alias=True, exclude_unset=True) | changes
    return write_bundle(folder / "foreign", manifest, {"model.onnx": content}, portable=False).folder


def changed(content: bytes, change: Change) -> bytes:
    model = onnx.load_from_string(content)
    change(model)
    out: bytes = model.SerializeToString()
    return out


def newer(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 21


def foreign(model: onnx.ModelProto) -> None:
    model.graph.node.insert(4, helper.make_node("SiLU", ["c0"], ["unused"], name="/act/SiLU", domain="mine"))
    model.opset_import.append(helper.make_opsetid("mine", 1))


def too_young(model: onnx.ModelProto) -> None:
    model.graph.node.insert(4, helper.make_node("Gelu", ["c0"], ["unused"], name="/act/Gelu"))


def two_inputs(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))


def any_size(model: onnx.ModelProto) -> None:
    """As an exporter writes it with dynamic axes."""
    for side, name in zip(model.graph.input[0].type.tensor_type.shape.dim[1:3], ("height", "width"), strict=True):
        side.dim_param = name
    model.graph.output[0].type.tensor_type.shape.dim[2].dim_param = "anchors"
    shape = next(item for item in model.graph.initializer if item.name == "shape")
    shape.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(shape) * [1, 1, 0] + [0, 0, -1], "shape"))


def old(model: onnx.ModelProto) -> None:
    """Opset 11 of 2019, in the form of before, when weights were inputs with a value."""
    model.opset_import[0].version, model.ir_version = 11, 3
    for item in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(item.name, item.data_type, list(item.dims)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (newer, "the graph has opset 21, ir_version 8; JetPack 6 reads at most opset 19"),
        (foreign, "the operator SiLU (node /act/SiLU) is not one of ONNX but of mine: TensorRT could not run it"),
        (too_young, "the operator Gelu (node /act/Gelu) is not in opset 17 of ONNX: TensorRT could not run it"),
        (two_inputs, "the graph has 2 inputs (images, more); expected one for pictures"),
    ],
)
def test_graphs_that_cannot_be_exported_are_named_with_their_bundle(
    small: Bundle, patches: Path, tmp_path: Path, network: Make, change: Change, says: str
) -> None:
    folder = made(tmp_path, small, changed(network(), change))
    error = run(folder, "--out", tmp_path / "out", "--data", patches).exception
    assert isinstance(error, EdgevisionError)
    assert str(error).startswith(f"{folder}: {says}")
    assert not (tmp_path / "out").exists()


def test_a_graph_that_is_not_what_its_bundle_says(small: Bundle, patches: Path, tmp_path: Path, network: Make) -> None:
    fixed = made(tmp_path / "a", small, network(batch=4))
    assert "takes exactly 4 pictures" in str(run(fixed, "--out", tmp_path / "out", "--data", patches).exception)
    folder = made(tmp_path / "b", small, network(), classes=["red", "green"])
    error = str(run(folder, "--out", tmp_path / "out", "--data", patches).exception)
    assert error.startswith(f"{folder}: "), "and not where it was tried"


def test_a_graph_for_any_size_gets_the_one_of_its_bundle(
    small: Bundle, patches: Path, tmp_path: Path, network: Make
) -> None:
    folder = made(tmp_path, small, changed(network(), any_size))
    done = run(folder, "--out", tmp_path / "out", "--data", patches, "--precision", "fp16", "--most-recall-loss", 0.1)
    assert done.exit_code == 0, done.exception
    for file in ("model.onnx", "model.fp16.onnx"):
        sides = onnx.load(str(tmp_path / "out" / file)).graph.input[0].type.tensor_type.shape.dim
        assert [side.dim_value for side in sides] == [0, 32, 32, 3]


def test_an_old_graph_is_exported_but_for_8_bits(small: Bundle, patches: Path, tmp_path: Path, network: Make) -> None:
    folder = made(tmp_path, small, changed(network(), old))
    done = run(folder, "--out", tmp_path / "out", "--data", patches, "--most-recall-loss", 0.1)
    assert done.exit_code == 1, done.exception
    assert {item.precision for item in read_bundle(tmp_path / "out").manifest.artefacts} == {"fp32", "fp16"}
    says = "int8: refused. opset 11 has no 8 bits for each channel; export the model for 13 to 19."
    assert says in " ".join(done.stdout.split())


def test_a_graph_without_convolutions_has_nothing_for_8_bits(patches: Path, tmp_path: Path) -> None:
    folder = colour_bundle(tmp_path).folder
    budget = ("--most-loss", 1, "--most-recall-loss", 1)
    done = run(folder, "--out", tmp_path / "out", "--data", patches, "--precision", "int8", *budget)
    assert done.exit_code == 1, done.exception
    assert "int8: refused. nothing is left to hold in 8 bits" in done.stdout


def test_a_bundle_that_says_no_thresholds_has_the_usual_one(
    small: Bundle, patches: Path, tmp_path: Path, network: Make
) -> None:
    folder = made(tmp_path, small, network())
    manifest = folder / "bundle.yaml"
    manifest.write_text(manifest.read_text("utf-8").replace("thresholds: {default: 0.4}\n", ""), "utf-8")
    done = run(folder, "--out", tmp_path / "out", "--data", patches, "--precision", "fp32")
    assert done.exit_code == 0, done.exception
    assert read_bundle(tmp_path / "out").manifest.thresholds == {"default": 0.25}


def test_what_is_no_origin(small: Bundle, patches: Path, tmp_path: Path, network: Make) -> None:
    (tmp_path / "m.onnx").write_bytes(network())
    out = ("--out", tmp_path / "out", "--data", patches)
    assert "make a bundle of it with `edgevision models import`" in str(run(tmp_path / "m.onnx", *out).exception)
    assert str(run(tmp_path / "none", *out).exception) == f"{tmp_path / 'none'}: does not exist"
    (tmp_path / "empty").mkdir()
    error = run(small.folder, *out, "--calibration", tmp_path / "empty").exception
    assert str(error).startswith(f"no pictures in {tmp_path / 'empty'}")


X86, ARM = "processor\t: 0\nflags\t\t: fpu avx2 {}\n", "processor\t: 0\nFeatures\t: fp asimd {}\n"


@pytest.mark.parametrize(
    ("cpuinfo", "says"),
    [
        (X86.format(""), "this processor lists none of avx512_vnni, avx_vnni, amx_int8, which make 8 bits fast"),
        (X86.format("avx_vnni amx_int8"), "this processor has avx_vnni and amx_int8 for 8 bits"),
        (ARM.format(""), "this processor lists none of asimddp, i8mm, which make 8 bits fast"),
        (ARM.format("asimddp"), "this processor has asimddp for 8 bits"),
        ("", ""),
    ],
)
def test_the_instructions_that_a_processor_lists(tmp_path: Path, cpuinfo: str, says: str) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo, "utf-8")
    assert eight_bit_words(tmp_path / "cpuinfo") == says
    assert eight_bit_words(tmp_path / "none") == ""


@pytest.mark.parametrize(("kind", "told"), [(INT8_CPU, eight_bit_words()), (FP16, "")])
def test_what_is_slower_is_told_with_what_the_processor_lacks(kind: Kind, told: str) -> None:
    judgement: Any = SimpleNamespace(outcome="passed")
    slow = Artefact(kind, None, "", (Tried("onnx cpu", "cpu", judgement, 30.04, 0.213),))
    (reason,) = slow.reasons
    assert reason == "onnx cpu: 30 ms a picture, slower than 32 bits with 0.213 ms" + (f"; {told}" if told else "")
