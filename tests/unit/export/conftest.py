"""A small network with convolutions, made of numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgevision.bundle import Bundle, write_bundle
from edgevision.datasets.base import DataSet, Sample
from edgevision.datasets.formats import write_dataset

SIDE = 32
COLOURS = ("red", "green", "blue")


def convolutions(*, layers: int = 3, batch: int | str = "batch") -> bytes:
    """Pixels (N, 32, 32, 3) to (N, 7, 256) in the layout of YOLOv8 with three classes, by a few convolutions.

    The scores of a place follow how red, green and blue its 10x10 px are.
    """
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Cast", ["images"], ["f"], name="cast", to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["f"], ["p"], name="axes", perm=[0, 3, 1, 2]),
        helper.make_node("Mul", ["p", "scale"], ["x0"], name="scaled"),
    ]
    values = {"scale": np.float32(1 / 255)}
    for number in range(layers):
        weight = rng.normal(0, 0.02, (3 if number == layers - 1 else 8, 3 if number == 0 else 8, 3, 3))
        for channel in range(3):
            weight[channel, channel] = 1 / 9 if number else np.eye(3)[1][:, None] * np.eye(3)[1]
        values[f"w{number}"] = weight.astype(np.float32)
        stride = 2 if number == 0 else 1
        conv = {"pads": [1] * 4, "strides": [stride, stride]}
        ports = [f"x{number}", f"w{number}"], [f"c{number}"]
        nodes.append(helper.make_node("Conv", *ports, name=f"conv{number}", **conv))
        nodes.append(helper.make_node("Relu", [f"c{number}"], [f"x{number + 1}"], name=f"relu{number}"))
    grid = np.stack(np.meshgrid(np.arange(16), np.arange(16)), -1).reshape(-1, 2) * 2 + 1
    boxes = np.concatenate([grid, np.full_like(grid, 10)], 1).T[None].astype(np.float32)
    values |= {"boxes": boxes, "zero": np.float32(0), "shape": np.array([0, 3, 256], np.int64)}
    nodes += [
        helper.make_node("Reshape", [f"x{layers}", "shape"], ["s"], name="flat"),
        helper.make_node("ReduceMax", ["s"], ["m"], name="most", axes=[1], keepdims=1),
        helper.make_node("Mul", ["m", "zero"], ["z"], name="nothing"),
        helper.make_node("Add", ["z", "boxes"], ["b"], name="placed"),
        helper.make_node("Clip", ["s", "", "one"], ["t"], name="score"),
        helper.make_node("Concat", ["b", "t"], ["output"], name="together", axis=1),
    ]
    values["one"] = np.float32(1)
    graph = helper.make_graph(
        nodes,
        "convolutions",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, [batch, SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, 7, 256])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


@pytest.fixture
def network() -> Callable[..., bytes]:
    return convolutions


@pytest.fixture
def pictures() -> NDArray[np.uint8]:
    """(20, 1, 32, 32, 3): patches of colour on grey."""
    rng = np.random.default_rng(1)
    out = rng.integers(0, 60, (20, 1, SIDE, SIDE, 3)).astype(np.uint8)
    for picture in out[:, 0]:
        x, y = rng.integers(0, 20, 2)
        picture[y : y + 10, x : x + 10, rng.integers(0, 3)] = 250
    return out


def write_patches(folder: Path, *, colours: int = 3, top: int = 255) -> Path:
    """A YOLO data set: 30 pictures to train on and 120 to validate, a patch of each colour in most of them."""
    rng = np.random.default_rng(2)
    samples = []
    for number in range(150):
        image = rng.integers(0, 60, (SIDE, SIDE, 3)).astype(np.uint8)
        corners = rng.permutation([(2, 2), (2, 18), (18, 2), (18, 18)])[:colours]
        corners = corners if number % 12 else np.zeros((0, 2), int)
        for channel, (x, y) in enumerate(corners):
            image[y : y + 10, x : x + 10, 2 - channel] = int(rng.integers(140, top))
        file = folder / f"{number}.png"
        cv2.imwrite(str(file), image)
        boxes = np.concatenate([corners, corners + 10], axis=1).astype(np.float32)
        split = "train" if number < 30 else "val"
        samples.append(Sample(file, (SIDE, SIDE), boxes, np.arange(len(boxes)), split))
    write_dataset(DataSet(COLOURS, tuple(samples), root=folder), folder / "set", "yolo")
    return folder / "set"


@pytest.fixture(scope="session")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures with a red, a green and a blue patch."""
    return write_patches(tmp_path_factory.mktemp("patches"))


@pytest.fixture(scope="session")
def dim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures with a red and a green patch, and nothing that is bright."""
    return write_patches(tmp_path_factory.mktemp("dim"), colours=2, top=150)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The small network as a bundle."""
    manifest = {
        "name": "small",
        "version": "1",
        "classes": list(COLOURS),
        "input": {"width": SIDE, "height": SIDE},
        "family": "yolo",
        "thresholds": {"default": 0.4},
        "nms_iou": 0.1,
        "artefacts": [{"file": "model.onnx"}],
        "licence": "CC0-1.0",
    }
    return write_bundle(tmp_path_factory.mktemp("small") / "small", manifest, {"model.onnx": convolutions()})
