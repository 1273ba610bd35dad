"""Source, 16-bit and 8-bit graphs of a small network: what is where, and that they say the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edgevision.bundle import InputManifest
from edgevision.errors import ExportError
from edgevision.export.half import half_graph
from edgevision.export.quantize import Quantiser
from edgevision.export.source import source_graph
from edgevision.export.units import units_of
from edgevision.inference.ort import Placement, Session

Make = Callable[..., bytes]
SPEC = InputManifest(width=32, height=32)
Pictures = NDArray[np.uint8]


def answer(content: bytes, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(Session("a graph", content, Placement(threads=1)).run(pixels), np.float32)


def operators(content: bytes) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load_from_string(content).graph.node)


def test_a_source_graph_says_what_the_original_says(network: Make, pictures: Pictures) -> None:
    source = source_graph(network(), SPEC)
    assert answer(source, pictures[0]) == pytest.approx(answer(network(), pictures[0]), abs=1e-4)
    assert len({node.name for node in onnx.load_from_string(source).graph.node}) == sum(operators(source).values())
    assert answer(source, np.concatenate([*pictures[:3]])).shape == (3, 7, 256), "its batch stays open"


def test_a_float_graph_gets_its_pixels_in_front(network: Make, pictures: Pictures) -> None:
    model = onnx.load_from_string(network())
    nodes = list(model.graph.node)[3:]
    del model.graph.node[:], model.graph.input[:]
    model.graph.node.extend(nodes)
    model.graph.input.append(helper.make_tensor_value_info("x0", TensorProto.FLOAT, ["batch", 3, 32, 32]))
    spec = InputManifest(width=32, height=32, layout="nchw-float", scale=1 / 255)
    source = source_graph(model.SerializeToString(), spec)
    assert answer(source, pictures[0]) == pytest.approx(answer(network(), pictures[0]), abs=1e-4)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda _: b"junk", "it is no ONNX model"),
        (lambda network: _newer(network()), "opset 21, ir_version 8; JetPack 6 reads at most opset 19"),
        (lambda network: network(batch=4), "takes exactly 4 pictures at once; export it with a dynamic batch"),
        (lambda network: _with(network(), "SiLU"), r"the operator SiLU \(node strange\) is not one of ONNX"),
    ],
    ids=["junk", "opset", "batch", "operator"],
)
def test_what_cannot_be_exported_is_named(network: Make, make: Callable[[Make], bytes], says: str) -> None:
    with pytest.raises(ExportError, match=says):
        source_graph(make(network), SPEC)


def test_another_size_is_no_surprise_later(network: Make) -> None:
    with pytest.raises(ExportError, match=r"takes uint8 \['batch', 32, 32, 3\]; expected uint8 \['batch', 48, 64, 3\]"):
        source_graph(network(), InputManifest(width=64, height=48))


def _newer(content: bytes) -> bytes:
    model = onnx.load_from_string(content)
    model.opset_import[0].version = 21
    out: bytes = model.SerializeToString()
    return out


def _with(content: bytes, operator: str) -> bytes:
    model = onnx.load_from_string(content)
    model.graph.node.insert(4, helper.make_node(operator, ["c0"], ["unused"], name="strange", domain="mine"))
    model.opset_import.append(helper.make_opsetid("mine", 1))
    out: bytes = model.SerializeToString()
    return out


def test_units_are_convolutions_with_what_follows_them(network: Make) -> None:
    found = units_of(onnx.load_from_string(network()).graph)
    assert [unit.nodes for unit in found.units] == [("conv0", "relu0"), ("conv1", "relu1"), ("conv2",)]
    assert found.rest[:3] == ("cast", "axes", "scaled")
    assert {"relu2", "flat", "placed", "together"} <= set(found.rest)


def test_sixteen_bits_in_between_and_thirty_two_at_the_ends(network: Make, pictures: Pictures) -> None:
    half = half_graph(network())
    kinds = {item.name: item.data_type for item in onnx.load_from_string(half).graph.initializer}
    assert kinds["w0"] == kinds["w1"] == TensorProto.FLOAT16
    assert kinds["boxes"] == TensorProto.FLOAT
    wanted, got = answer(network(), pictures[0]), answer(half, pictures[0])
    assert got[:, :4].tolist() == wanted[:, :4].tolist(), "places of boxes are exact"
    assert np.abs(got - wanted).max() < 0.01
    assert operators(half)["Cast"] <= 3, "no way there and back between two nodes"


def test_weights_beyond_sixteen_bits_are_told(network: Make) -> None:
    model = onnx.load_from_string(network())
    weight = next(item for item in model.graph.initializer if item.name == "w1")
    values = onnx.numpy_helper.to_array(weight) * np.float32(1e6)
    weight.CopyFrom(onnx.numpy_helper.from_array(values, "w1"))
    with pytest.raises(ExportError, match="w1 holds values beyond 65504"):
        half_graph(model.SerializeToString())


@pytest.mark.parametrize(("scheme", "kind"), [("s8s8", np.int8), ("u8s8", np.uint8)])
def test_eight_bits_are_explicit_and_close(network: Make, pictures: Pictures, scheme: str, kind: type) -> None:
    made = Quantiser(network(), pictures).graph(scheme)  # type: ignore[arg-type]
    model = onnx.load_from_string(made)
    found = operators(made)
    assert found["Conv"] == 3
    assert found["QuantizeLinear"] >= 3
    points = [item for item in model.graph.initializer if item.name.endswith("zero_point")]
    activations = [item for item in points if not item.dims]
    assert {helper.tensor_dtype_to_np_dtype(item.data_type).type for item in activations} == {kind}
    if scheme == "s8s8":
        assert not any(onnx.numpy_helper.to_array(item).any() for item in points), "TensorRT takes no zero points"
    error = np.abs(answer(made, pictures[0]) - answer(network(), pictures[0]))
    assert error[:, :4].max() == 0
    assert error[:, 4:].max() < 0.05


def test_units_that_are_kept_stay_in_floats(network: Make, pictures: Pictures) -> None:
    quantiser = Quantiser(network(), pictures)
    kept = onnx.load_from_string(quantiser.graph("u8s8", quantiser.units[1:2]))
    inputs = {node.name: list(node.input) for node in kept.graph.node}
    assert inputs["conv1"][1] == "w1"
    assert inputs["conv2"][1] != "w2"
    with pytest.raises(ExportError, match="nothing is left to hold in 8 bits"):
        quantiser.graph("u8s8", quantiser.units)


def test_there_must_be_pictures_to_measure_on(network: Make) -> None:
    with pytest.raises(ExportError, match="no picture to measure"):
        Quantiser(network(), [])


def test_a_graph_that_sixteen_bits_make_wrong_is_refused_in_words(
    network: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(model: onnx.ModelProto, **_: object) -> onnx.ModelProto:
        next(node for node in model.graph.node if node.op_type == "Cast").attribute[0].i = onnx.TensorProto.FLOAT16
        return model

    monkeypatch.setattr("edgevision.export.half.convert_float_to_float16", spoilt)
    with pytest.raises(ExportError, match="the graph in 16 bits is not valid"):
        half_graph(source_graph(network(), SPEC))
