"""A bundle from somebody else's ONNX: what its metadata and shapes tell is read, the rest must be said."""

from __future__ import annotations

import ast
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
import yaml

from edgevision.bundle import MAX_OPSET, Bundle, Family, onnx_header, write_bundle
from edgevision.errors import BackendError, BundleError
from edgevision.inference import ort
from edgevision.inference.bundled import Port
from edgevision.inference.decode import YOLOX_STRIDES, check_output
from edgevision.inference.golden import bare_items, golden_items, with_clip
from edgevision.inference.onnx import OnnxDetector, OnnxSettings
from edgevision.inference.selftest import warm_up

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Said:
    """What the user tells beside the file; ``None`` is found out.

    Attributes:
        name: Name of the bundle.
        version: Version of the bundle.
        classes: Class names, in the order of the model's labels.
        family: How the output is laid out.
        size: (width, height) of the input, px.
        threshold: Minimum score, 0..1.
        licence: Licence of the weights.
        golden: Pictures for the self-test; the boxes found at the import are what later runs must find.
    """

    name: str
    version: str = "1"
    classes: tuple[str, ...] | None = None
    family: Family | None = None
    size: tuple[int, int] | None = None
    threshold: float = 0.25
    licence: str | None = None
    golden: tuple[Path, ...] = ()


def import_onnx(file: Path, out: Path, said: Said, *, replace: bool = False) -> Bundle:
    """Make a bundle of an ONNX file.

    Args:
        file: The ONNX file.
        out: The bundle's folder.
        said: What the file does not tell.
        replace: Whether an existing bundle is replaced.

    Raises:
        UnsafeModel: The file is a pickle.
        BundleError: It is no detector, or something must be said; the message names the option.
        BackendError: ONNX Runtime cannot read it, or not run it on a picture of that size.
        ImageError: A golden picture cannot be read.
    """
    if not file.is_file():
        msg = f"{file} does not exist"
        raise BundleError(msg)
    if out.exists() and not replace:
        msg = f"{out} exists already; --force replaces it"
        raise BundleError(msg)
    manifest = manifest_of(file, said)
    if (header := onnx_header(file)).opset > MAX_OPSET:
        log.warning("model.too_new_for_jetpack_6", file=str(file), opset=header.opset, newest=MAX_OPSET)
    files: dict[str, Path | bytes] = {"model.onnx": file}
    files |= with_clip({f"golden/{index:03d}{path.suffix.lower()}": path for index, path in enumerate(said.golden)})
    if golden := _tried(manifest, file, files):
        manifest["golden"] = golden
    return write_bundle(out, manifest, files, replace=replace, portable=False)


def manifest_of(file: Path, said: Said) -> dict[str, Any]:
    """What ``bundle.yaml`` will hold, without hashes.

    Raises:
        BundleError: The model is no detector, or something must be said.
    """
    graph = ort.describe(file)
    told = graph.metadata
    if (task := told.get("task", "detect")) != "detect":
        msg = f"{file}: its task is {task}; only detection models can be imported"
        raise BundleError(msg)
    if len(graph.inputs) != 1 or len(graph.outputs[0].shape) != 3:  # noqa: PLR2004 - picture, anchors, values
        shapes = f"inputs {', '.join(map(str, graph.inputs))}, first output {graph.outputs[0]}"
        msg = f"{file}: expected one picture in and (N, boxes, values) out, got {shapes}"
        raise BundleError(msg)
    layout, size = _input(file, graph.inputs[0], told, said)
    shape = graph.outputs[0].shape
    classes = said.classes or _classes(file, told, shape)
    family = said.family or guess_family(file, shape, len(classes), size, told)
    check_output(family, shape, len(classes), size)
    spec: dict[str, Any] = {"width": size[0], "height": size[1], "layout": layout}
    if family == "yolox":
        spec |= {"order": "bgr", "align": "corner"}
    elif layout == "nchw-float":
        spec |= {"scale": 1 / 255}
    return {
        "name": said.name,
        "version": said.version,
        "classes": list(classes),
        "input": spec,
        "family": family,
        "thresholds": {"default": said.threshold},
        "artefacts": [{"file": "model.onnx", "precision": "int8" if told.get("onnx.infer") else "fp32"}],
        "licence": said.licence or told.get("license", "unknown"),
        "tools": {"onnxruntime": ort.VERSION} | ({"ultralytics": told["version"]} if _ultralytics(told) else {}),
    }


def guess_family(
    file: Path, shape: Sequence[int | str | None], classes: int, size: tuple[int, int], told: Mapping[str, str]
) -> Family:
    """The family whose output has this shape.

    Raises:
        BundleError: None has, or more than one.
    """
    rows, columns = shape[1], shape[2]
    if told.get("end2end") == "True" or (columns == 6 and isinstance(rows, int) and rows <= 1000):  # noqa: PLR2004
        return "yolo-e2e"
    if rows == 4 + classes:
        return "yolo"
    if columns == 5 + classes:
        cells = sum((size[0] // stride) * (size[1] // stride) for stride in YOLOX_STRIDES)
        return "yolox" if rows == cells and not _ultralytics(told) else "yolo"
    msg = (
        f"{file}: cannot tell the model's family from its output ({', '.join(map(str, shape))}) and {classes} classes; "
        "give --family yolo|yolo-e2e|yolox|dense-xyxy, or the right --classes"
    )
    raise BundleError(msg)


def read_classes(file: Path) -> tuple[str, ...]:
    """Class names from a text file, one a line, or from the ``names`` of a YAML file (a data set's description).

    Raises:
        BundleError: It holds no names.
    """
    try:
        text = file.read_text(encoding="utf-8")
        data = yaml.safe_load(text)["names"] if file.suffix in {".yaml", ".yml"} else text.split("\n")
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as exc:
        msg = f"{file}: no class names to be read; expected one a line, or a YAML file with `names`"
        raise BundleError(msg) from exc
    names = _names(data)
    if not names:
        msg = f"{file}: holds no class names"
        raise BundleError(msg)
    return names


def _ultralytics(told: Mapping[str, str]) -> bool:
    return told.get("author") == "Ultralytics"


def _names(data: object) -> tuple[str, ...]:
    """Names from a list, or from a mapping of labels 0, 1, 2, ... to names."""
    if isinstance(data, dict) and sorted(data) == list(range(len(data))):
        data = [data[label] for label in sorted(data)]
    if not isinstance(data, list):
        return ()
    return tuple(name for item in data if (name := str(item).strip()))


def _classes(file: Path, told: Mapping[str, str], shape: Sequence[int | str | None]) -> tuple[str, ...]:
    try:
        names = _names(ast.literal_eval(told.get("names", "[]")))
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        names = ()
    if not names:
        output = ", ".join(map(str, shape))
        msg = f"{file}: does not tell its classes (output {output}); give --classes FILE, a name a line"
        raise BundleError(msg)
    return names


def _input(file: Path, port: Port, told: Mapping[str, str], said: Said) -> tuple[str, tuple[int, int]]:
    """Layout and (width, height) of the input."""
    shape = port.shape
    if len(shape) == 4 and shape[3] == 3 and port.type == "uint8":  # noqa: PLR2004 - N, H, W, C
        layout, height, width = "nhwc-uint8", shape[1], shape[2]
    elif len(shape) == 4 and shape[1] == 3 and port.type in {"float32", "float16"}:  # noqa: PLR2004
        layout, height, width = "nchw-float", shape[2], shape[3]
    else:
        msg = f"{file}: expected an input uint8 (N, H, W, 3) or float32 (N, 3, H, W), got {port}"
        raise BundleError(msg)
    if isinstance(height, int) and isinstance(width, int):
        if said.size not in {None, (width, height)}:
            msg = f"{file}: the input is fixed to {width}x{height}; leave --size out"
            raise BundleError(msg)
        return layout, (width, height)
    size = said.size or _size(told.get("imgsz", ""))
    if size is None:
        msg = f"{file}: takes pictures of any size and does not tell which it was trained for; give --size WIDTHxHEIGHT"
        raise BundleError(msg)
    return layout, size


def _size(imgsz: str) -> tuple[int, int] | None:
    """Ultralytics' ``imgsz``: [height, width]."""
    try:
        height, width = ast.literal_eval(imgsz)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None


def _tried(manifest: dict[str, Any], file: Path, files: Mapping[str, Path | bytes]) -> list[dict[str, Any]]:
    """Run it, so that what cannot run never becomes a bundle; returns what it finds in the golden items."""
    bare = bare_items(name for name in files if name.startswith("golden/"))
    with tempfile.TemporaryDirectory() as room:
        trial = write_bundle(Path(room) / "trial", {**manifest, "golden": bare}, files, portable=False)
        try:
            detector = OnnxDetector(trial, OnnxSettings(device="cpu", max_batch=1))
        except BundleError as exc:  # the trial's folder is nothing that anybody knows
            raise BundleError(str(exc).replace(str(trial.folder), str(file))) from exc
        try:
            warm_up(detector)
        except BackendError as exc:
            width, height = manifest["input"]["width"], manifest["input"]["height"]
            raise BackendError(f"{file}: cannot be run on a picture of {width}x{height}: {exc}") from exc
        golden = golden_items(trial, detector)
        detector.close()
        return golden
