"""The manifest of a bundle, ``bundle.yaml``, as a checked model."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from edgevision.bundle.onnx_file import refuse_unsafe
from edgevision.errors import BundleError

MANIFEST = "bundle.yaml"
SIGNATURE = "bundle.sig"

Family = Literal["yolo", "yolo-e2e", "yolox", "dense-xyxy"]
Precision = Literal["fp32", "fp16", "int8"]
Target = Literal["cpu", "cuda", "tensorrt", "openvino"]


def inside(name: str) -> str:
    """A path below the bundle's folder, normalised; ``ValueError`` when it leads elsewhere."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or path == PurePosixPath():
        msg = f"{name!r} must be a path inside the bundle's folder"
        raise ValueError(msg)
    return path.as_posix()


Unit = Annotated[float, Field(ge=0, le=1)]
Side = Annotated[int, Field(gt=0, le=8192)]
RelativeFile = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(inside)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        coerce_numbers_to_str=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )


class InputManifest(_Model):
    """What the model wants to be fed."""

    width: Side
    """Input width, px."""
    height: Side
    """Input height, px."""
    order: Literal["rgb", "bgr"] = "rgb"
    """Channel order."""
    layout: Literal["nhwc-uint8", "nchw-float"] = "nhwc-uint8"
    """Type and axes of the graph's input."""
    scale: Annotated[float, Field(gt=0)] = 1.0
    """What uint8 values are multiplied by when the input is float: 1/255 for Ultralytics, 1 for YOLOX."""
    align: Literal["centre", "corner"] = "centre"
    """Where the resized picture lies in the padded input."""
    pad: Annotated[int, Field(ge=0, le=255)] = 114
    """Grey value of the padding."""


class Tolerance(_Model):
    """What the self-test lets pass."""

    score: Unit = 0.02
    """Largest change of a score."""
    iou: Unit = 0.9
    """Smallest overlap of a box with the one that is expected."""


class Artefact(_Model):
    """One model file of the bundle."""

    file: RelativeFile
    """Path inside the bundle."""
    sha256: Sha256
    """Of the file's bytes, hex."""
    format: Literal["onnx"] = "onnx"
    """What kind of file it is."""
    precision: Precision = "fp32"
    """Precision of its weights; it lives in the graph."""
    opset: Annotated[int, Field(ge=1)]
    """ONNX opset of the default domain."""
    targets: tuple[Target, ...] = ()
    """What it is meant for; empty means everything."""
    gate: Literal["passed", "not decidable"] | None = None
    """Whether it was shown to be as good as what was trained; what is not decidable is only taken when it is named."""
    tolerance: Tolerance = Tolerance()
    """How far the golden pictures may come out otherwise."""


class GoldenBox(_Model):
    """One box that the model must find."""

    class_name: str = Field(alias="class")
    """Name of the class."""
    xyxy: tuple[float, float, float, float]
    """Source pixels."""
    score: Unit
    """Score, 0..1."""


class Golden(_Model):
    """A picture, or a frame of a short clip, with what the model found in it when the bundle was made."""

    file: RelativeFile
    """Path inside the bundle."""
    sha256: Sha256
    """Of the file's bytes, hex."""
    frame: Annotated[int, Field(ge=0, le=1000)] | None = None
    """Which frame of a clip, from 0; a picture without it."""
    boxes: tuple[GoldenBox, ...] = ()
    """Every detection above the bundle's thresholds."""


class TrainingData(_Model):
    """What the model was trained on."""

    fingerprint: str
    """Hash over the data set's files and split."""
    description: str = ""
    """One line for a person."""


class Manifest(_Model):
    """The content of ``bundle.yaml``."""

    schema_version: Literal[1] = 1
    """Version of this format."""
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    """Name of the model."""
    version: Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,39}$")]
    """Version of the model."""
    task: Literal["detect"] = "detect"
    """What it does."""
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    """Class names; a label is an index into them."""
    input: InputManifest
    """What it is fed."""
    family: Family
    """How its output is decoded."""
    thresholds: dict[str, Unit] = {"default": 0.25}
    """Minimum score by class name; ``default`` holds for the classes not named."""
    nms_iou: Unit = 0.7
    """Boxes of one class that overlap more than this are one object; unused by end-to-end heads."""
    artefacts: Annotated[tuple[Artefact, ...], Field(min_length=1)]
    """Model files, the preferred one first."""
    metrics: dict[str, JsonValue] = {}
    """Measured accuracy, by artefact's file."""
    golden: tuple[Golden, ...] = ()
    """Pictures for the self-test."""
    training_data: TrainingData | None = None
    """What it was trained on; ``None`` when unknown."""
    licence: str
    """Licence of the weights, an SPDX id, or ``unknown``."""
    tools: dict[str, str] = {}
    """Versions of what made it."""

    @model_validator(mode="after")
    def _classes_exist(self) -> Manifest:
        if len(set(self.classes)) != len(self.classes):
            twice = sorted({name for name in self.classes if self.classes.count(name) > 1})
            msg = f"classes must differ, got twice: {', '.join(twice)}"
            raise ValueError(msg)
        named = {box.class_name for item in self.golden for box in item.boxes} | (set(self.thresholds) - {"default"})
        if unknown := named - set(self.classes):
            msg = f"unknown class {', '.join(sorted(unknown))}; classes are {', '.join(self.classes)}"
            raise ValueError(msg)
        return self


def parse_manifest(data: object, where: Path) -> Manifest:
    """Validate what a ``bundle.yaml`` holds.

    Raises:
        BundleError: Names the first wrong key and how many more there are.
        UnsafeModel: An artefact is a pickle by its name.
    """
    try:
        manifest = Manifest.model_validate(data)
    except ValidationError as exc:
        first, *more = exc.errors(include_url=False)
        path = ".".join(str(part) for part in first["loc"])
        rest = f" (and {len(more)} more)" if more else ""
        msg = f"{where}: {path + ': ' if path else ''}{first['msg'].removeprefix('Value error, ')}{rest}"
        raise BundleError(msg) from exc
    for item in manifest.artefacts:
        refuse_unsafe(item.file, b"")
    return manifest
