"""How the parts of a picture are found: by the detector, by their contour against a belt."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StringConstraints

from edgevision.config.settings import Settings, Unit
from edgevision.types import Detections, FloatArray, Frame, Image, Tracks

SCAN_WIDTH = 320  # px; the belt is looked at this small
_STRIP = 0.04  # share of the height at top and bottom that is taken for belt at first
_LEARN = 0.1  # how fast the belt's colour follows the light
_NOISE_FACTOR = 4.0
_LEAST_CONTRAST = 14.0
_SAMPLES = 4096


class ByClass(Settings):
    """The detector finds the parts, as one of its classes."""

    by: Literal["class"] = "class"
    label: str
    """Name of that class."""
    min_score: Unit = 0.5
    """Least score of a part, 0..1."""


class ByContour(Settings):
    """A part is whatever differs from an even belt."""

    by: Literal["contour"] = "contour"
    belt: Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")] | None = None
    """Colour of the belt as #rrggbb; learnt from the top and bottom edge of the picture when not given."""
    contrast: Annotated[float, Field(gt=0, le=255)] | None = None
    """How much a part differs from the belt, grey levels; from the belt's own variation when not given."""
    min_area: Annotated[float, Field(gt=0, le=1)] = 0.01
    """Least size of a part, share of the picture."""


class ByTrigger(Settings):
    """What a trigger asks for is one part."""

    by: Literal["trigger"] = "trigger"
    frames: Annotated[int, Field(ge=1, le=100)] = 1
    """How many frames answer one trigger."""
    window_ms: Annotated[float, Field(gt=0, le=600_000)] = 500.0
    """How long after its first frame a trigger's other frames are waited for, milliseconds."""


class ByPicture(Settings):
    """Every picture shows one part."""

    by: Literal["picture"] = "picture"


Finding = Annotated[ByClass | ByContour | ByTrigger | ByPicture, Field(discriminator="by")]


class ClassFinder:
    """Parts that the detector sees.

    Args:
        label: Index of the part's class.
        min_score: Least score.
    """

    def __init__(self, label: int, min_score: float) -> None:
        self._label, self._min_score = label, min_score

    def find(self, frame: Frame, tracks: Tracks) -> FloatArray:
        """(N, 4) boxes in px."""
        del frame
        wanted = (tracks.label == self._label) & (tracks.score >= self._min_score)
        return tracks[wanted].xyxy

    def state(self) -> dict[str, Any]:
        """Nothing to remember."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to remember."""


class ContourFinder:
    """Parts that stand out against a belt whose colour is learnt and followed.

    Distance is the largest difference of a channel in CIE L*a*b*, so that shade and hue both tell part from belt.

    Args:
        settings: Belt and least size.
    """

    def __init__(self, settings: ByContour) -> None:
        self._set = settings
        self._belt: NDArray[np.float64] | None = None
        self._noise = 0.0
        if settings.belt is not None:
            rgb = [int(settings.belt[i : i + 2], 16) for i in (5, 3, 1)]
            self._belt = _lab(np.array([[rgb]], np.uint8))[0, 0].astype(np.float64)

    def find(self, frame: Frame, tracks: Tracks) -> FloatArray:
        """(N, 4) boxes in px."""
        del tracks
        width, height = frame.size
        scale = min(1.0, SCAN_WIDTH / width)
        small = frame.pixels.scaled(max(1, round(width * scale)), max(1, round(height * scale)), "bgr")
        mask = self._foreground(_lab(small))
        count, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        stats = stats[1:count]
        stats = stats[stats[:, cv2.CC_STAT_AREA] >= self._set.min_area * mask.size]
        boxes = stats[:, :4].astype(np.float32)
        boxes[:, 2:] += boxes[:, :2]
        boxes *= np.array([width / mask.shape[1], height / mask.shape[0]] * 2, np.float32)
        return _outermost(boxes)

    def state(self) -> dict[str, Any]:
        """The belt's colour, JSON-able."""
        return {"belt": None if self._belt is None else self._belt.tolist(), "noise": self._noise}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on with a known belt."""
        self._belt = None if state["belt"] is None else np.array(state["belt"], np.float64)
        self._noise = state["noise"]

    def _foreground(self, lab: Image) -> Image:
        if self._belt is None:
            strip = max(1, round(_STRIP * lab.shape[0]))
            edges = np.concatenate([lab[:strip], lab[-strip:]]).reshape(-1, 3)
            self._belt = np.median(edges, axis=0)
            self._noise = float(np.percentile(np.abs(edges - self._belt).max(axis=1), 75))
        belt = np.clip(np.round(self._belt), 0, 255)
        first, second, third = (
            cv2.absdiff(channel, np.full_like(channel, level))
            for channel, level in zip(cv2.split(lab), belt, strict=True)
        )
        distance: Image = np.asarray(cv2.max(first, cv2.max(second, third)), np.uint8)
        limit = self._set.contrast or max(_LEAST_CONTRAST, _NOISE_FACTOR * self._noise)
        _, mask = cv2.threshold(distance, limit, 1, cv2.THRESH_BINARY)
        self._learn(lab, distance, limit)
        kernel = np.ones((3, 3), np.uint8)
        opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel)
        out: Image = np.asarray(cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)), np.uint8)
        return out

    def _learn(self, lab: Image, distance: Image, limit: float) -> None:
        flat, far = lab.reshape(-1, 3), distance.reshape(-1)
        step = max(1, len(flat) // _SAMPLES)
        flat, far = flat[::step], far[::step]
        belt = far <= limit
        if self._belt is None or belt.mean() < 0.05:  # hardly any belt in view
            return
        self._belt = (1 - _LEARN) * self._belt + _LEARN * flat[belt].mean(axis=0)
        self._noise = (1 - _LEARN) * self._noise + _LEARN * float(np.percentile(far[belt], 75))


def _lab(bgr: Image) -> Image:
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2LAB), np.uint8)


def _outermost(boxes: FloatArray) -> FloatArray:
    """Boxes that lie in no other box; what is left out is printed on a part, or seen through a hole in it."""
    if len(boxes) < 2:
        return boxes
    low = (boxes[:, None, :2] >= boxes[None, :, :2]).all(axis=2)
    high = (boxes[:, None, 2:] <= boxes[None, :, 2:]).all(axis=2)
    within = low & high & ~np.eye(len(boxes), dtype=np.bool_)
    return boxes[np.flatnonzero(~np.any(within, axis=1))]


def as_detections(boxes: FloatArray) -> Detections:
    """Boxes as sure detections of one class, for the tracker that follows parts."""
    return Detections(boxes, np.ones(len(boxes), np.float32), np.zeros(len(boxes), np.int64))
