"""The vocabulary every stage shares. Nothing here knows more than numpy.

Coordinates are pixels of the source frame, origin top left, y down, boxes ``xyxy`` with exclusive right and bottom
edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

Position = int | str
TimeSource = Literal["trigger", "ptp", "rtcp", "file", "arrival"]


def _require(name: str, array: NDArray[np.generic], shape: tuple[int | None, ...]) -> None:
    fits = array.ndim == len(shape) and all(
        want is None or want == got for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = tuple("N" if want is None else want for want in shape)
        msg = f"{name}: expected shape {wanted}, got {array.shape}"
        raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class FrameTime:
    """When a frame was captured.

    Attributes:
        time_utc: Wall-clock label of the capture, timezone-aware UTC. For events only.
        t_s: Monotonic seconds on the source's own clock. Every duration is computed from this.
        source: Where the time comes from.
        uncertainty_ms: Half-width of the interval in which the capture really lies.
    """

    time_utc: datetime
    t_s: float
    source: TimeSource = "arrival"
    uncertainty_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Letterbox:
    """A resize that keeps the aspect ratio and pads, together with its inverse.

    Source pixel ``x`` lies at ``x * scale_x + left`` in the model's input. The two scales differ by rounding only.

    Attributes:
        source: (width, height) of the frame, px.
        target: (width, height) of the model's input, px.
        inner: (width, height) of the resized picture inside the target, px.
        left: Padding on the left, px.
        top: Padding on the top, px.
    """

    source: tuple[int, int]
    target: tuple[int, int]
    inner: tuple[int, int]
    left: int
    top: int

    @classmethod
    def fit(
        cls, source: tuple[int, int], target: tuple[int, int], *, align: Literal["centre", "corner"] = "centre"
    ) -> Letterbox:
        """Largest picture of ``source``'s shape in ``target``, centred, or in the top left corner (YOLOX)."""
        if min(*source, *target) < 1:
            msg = f"letterbox: sizes must be positive, got source {source} and target {target}"
            raise ValueError(msg)
        ratio = min(target[0] / source[0], target[1] / source[1])
        inner = (max(1, round(source[0] * ratio)), max(1, round(source[1] * ratio)))
        inner = (min(inner[0], target[0]), min(inner[1], target[1]))
        if align == "corner":
            return cls(source, target, inner, 0, 0)
        left = round((target[0] - inner[0]) / 2 - 0.1)
        top = round((target[1] - inner[1]) / 2 - 0.1)
        return cls(source, target, inner, left, top)

    @property
    def scale(self) -> tuple[float, float]:
        """Input pixels per source pixel, (x, y)."""
        return self.inner[0] / self.source[0], self.inner[1] / self.source[1]

    def to_source(self, xyxy: FloatArray) -> FloatArray:
        """Map (N, 4) boxes from input pixels back to source pixels, clipped to the frame."""
        sx, sy = self.scale
        out = np.asarray(xyxy, dtype=np.float32).copy()
        out[:, 0::2] = np.clip((out[:, 0::2] - self.left) / sx, 0, self.source[0])
        out[:, 1::2] = np.clip((out[:, 1::2] - self.top) / sy, 0, self.source[1])
        return out

    def to_target(self, xyxy: FloatArray) -> FloatArray:
        """Map (N, 4) boxes from source pixels to input pixels."""
        sx, sy = self.scale
        out = np.asarray(xyxy, dtype=np.float32).copy()
        out[:, 0::2] = out[:, 0::2] * sx + self.left
        out[:, 1::2] = out[:, 1::2] * sy + self.top
        return out


class Pixels(Protocol):
    """The pixels of one frame, decoded or scaled when somebody asks. Safe to use from one other thread."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in px."""
        ...

    def bgr(self) -> Image:
        """Full resolution, (H, W, 3) uint8, BGR. The caller must not write into it."""
        ...

    def scaled(self, width: int, height: int, order: Literal["rgb", "bgr"]) -> Image:
        """The picture resized to exactly (height, width, 3) uint8 in the wanted channel order."""
        ...


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture with its capture time.

    Attributes:
        camera: Name of the camera.
        index: Counts frames of this camera since the source was opened for the first time, from 0; in a file those that
            cannot be decoded count too.
        time: Capture time.
        pixels: Lazily decoded pixels.
        position: Where a file source stands after this frame, so that it can go on there; ``None`` for live sources.
        trigger_id: Id of the trigger this frame answers, if any.
        name: File name or the like, for sources made of separate pictures.
    """

    camera: str
    index: int
    time: FrameTime
    pixels: Pixels
    position: Position | None = None
    trigger_id: str | None = None
    name: str | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in px."""
        return self.pixels.size


@dataclass(frozen=True, slots=True)
class Detections:
    """What a detector saw in one frame, struct of arrays.

    Attributes:
        xyxy: (N, 4) float32, pixels of the source frame.
        score: (N,) float32 in 0..1.
        label: (N,) int64, index into the bundle's classes.
    """

    xyxy: FloatArray
    score: FloatArray
    label: IntArray

    def __post_init__(self) -> None:
        _require("xyxy", self.xyxy, (None, 4))
        _require("score", self.score, (len(self.xyxy),))
        _require("label", self.label, (len(self.xyxy),))

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, keep: BoolArray | IntArray | slice) -> Detections:
        """Rows by mask, index array or slice."""
        return Detections(self.xyxy[keep], self.score[keep], self.label[keep])

    @classmethod
    def empty(cls) -> Detections:
        """No detections."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


@dataclass(frozen=True, slots=True)
class Tracks:
    """Detections of one frame with the ids they keep over frames.

    Attributes:
        xyxy: (N, 4) float32, pixels of the source frame, as detected in this frame.
        score: (N,) float32.
        label: (N,) int64.
        track_id: (N,) int64, unique within one tracker, counted from 1.
    """

    xyxy: FloatArray
    score: FloatArray
    label: IntArray
    track_id: IntArray

    def __post_init__(self) -> None:
        _require("xyxy", self.xyxy, (None, 4))
        for name in ("score", "label", "track_id"):
            _require(name, getattr(self, name), (len(self.xyxy),))

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, keep: BoolArray | IntArray | slice) -> Tracks:
        """Rows by mask, index array or slice."""
        return Tracks(self.xyxy[keep], self.score[keep], self.label[keep], self.track_id[keep])

    @classmethod
    def empty(cls) -> Tracks:
        """No tracks."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros(0, np.int64))


@dataclass(frozen=True, slots=True)
class Part:
    """Identity of the thing being inspected; unknown fields stay ``None``."""

    id: str
    serial: str | None = None
    lot: str | None = None
    recipe: str | None = None
    recipe_revision: str | None = None
    trigger_id: str | None = None
    station: str | None = None
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class Occurrence:
    """What an analysis noticed: pure data, no identity of the device, no I/O.

    Attributes:
        family: ``defect``, ``traffic``, ``detection`` or ``health``.
        name: Name within the family, e.g. ``crossed``.
        time: Capture time of the frame that decided it.
        data: The payload of the event, JSON-able; keys and values as the event schema of (family, name) says.
        key: The natural key, where the event has one (then a replay gives the same event id).
        part: The part it is about, if any.
        size: (width, height) of the frame the boxes in ``data`` refer to, px; ``None`` when it holds none.
    """

    family: str
    name: str
    time: FrameTime
    data: Mapping[str, object]
    key: str | None = None
    part: Part | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """How a component is.

    Attributes:
        name: The component, e.g. ``camera/door`` or ``outbox``.
        ok: Whether it does its job now.
        detail: One line for a person.
        critical: Whether the device is not ready while this is not ok.
        facts: Numbers worth showing.
    """

    name: str
    ok: bool
    detail: str = ""
    critical: bool = True
    facts: Mapping[str, float | int | str] = field(default_factory=dict)
