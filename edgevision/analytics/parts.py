"""How the parts of a picture are found: by the detector, by their contour against a belt."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import cv2
import numpy as np
from pydantic import Field, StringConstraints

from edgevision.config.settings import Settings, Unit
from edgevision.types import Detections, FloatArray, Frame, Image, Tracks

SCAN_WIDTH = 320  # px; the belt is looked at this small
GRID = (8, 6)  # columns and rows in which the belt's colour is known
LEAST_CONTRAST = 14.0  # grey levels
NOISE_FACTOR = 4.0  # a part differs by so much more than the belt usually does
_STRIP = 0.04  # share of the height at top and bottom that is taken for belt at first
_ODD = 25.0  # grey levels; a stretch of edge that differs more is a part
_CLEAR = 0.3  # share of a cell that must show belt to learn from it
_LEARN = 0.15  # how fast the belt's colour follows the light


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

    The belt is a coarse grid of colours, smooth in between, so that uneven light does not count as a part. A cell
    learns while it sees belt; cells under a part follow the others, so that a change of the light reaches them too.

    Args:
        settings: Belt and least size.
    """

    def __init__(self, settings: ByContour) -> None:
        self._set = settings
        self._belt: FloatArray | None = None  # (rows, columns, 3)
        self._noise = 0.0
        if settings.belt is not None:
            bgr = [int(settings.belt[i : i + 2], 16) for i in (5, 3, 1)]
            self._belt = np.tile(np.array(bgr, np.float32), (GRID[1], GRID[0], 1))

    def find(self, frame: Frame, tracks: Tracks) -> FloatArray:
        """(N, 4) boxes in px."""
        del tracks
        width, height = frame.size
        scale = min(1.0, SCAN_WIDTH / width)
        small = frame.pixels.scaled(max(1, round(width * scale)), max(1, round(height * scale)), "bgr")
        mask = self._foreground(small)
        count, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        stats = stats[1:count]
        stats = stats[stats[:, cv2.CC_STAT_AREA] >= self._set.min_area * mask.size]
        boxes = stats[:, :4].astype(np.float32)
        boxes[:, 2:] += boxes[:, :2]
        boxes *= np.array([width / mask.shape[1], height / mask.shape[0]] * 2, np.float32)
        return _outermost(boxes)

    def state(self) -> dict[str, Any]:
        """The belt's colours, JSON-able."""
        return {"belt": None if self._belt is None else self._belt.tolist(), "noise": self._noise}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on with a known belt."""
        self._belt = None if state["belt"] is None else np.array(state["belt"], np.float32)
        self._noise = state["noise"]

    def _foreground(self, bgr: Image) -> Image:
        if self._belt is None:
            self._belt = _guess(bgr)
        expected = cv2.resize(self._belt, (bgr.shape[1], bgr.shape[0]), interpolation=cv2.INTER_LINEAR)
        first, second, third = cv2.split(cv2.absdiff(bgr, expected.astype(np.uint8)))
        distance: Image = np.asarray(cv2.max(first, cv2.max(second, third)), np.uint8)
        limit = self._set.contrast or max(LEAST_CONTRAST, NOISE_FACTOR * self._noise)
        _, mask = cv2.threshold(distance, limit, 1, cv2.THRESH_BINARY)
        self._learn(self._belt, bgr, distance, np.asarray(mask, np.uint8))
        opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        out: Image = np.asarray(cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)), np.uint8)
        return out

    def _learn(self, belt: FloatArray, bgr: Image, distance: Image, mask: Image) -> None:
        clear = 1 - mask
        share = cv2.resize(clear.astype(np.float32), GRID, interpolation=cv2.INTER_AREA)
        seen = share > _CLEAR
        if not seen.any():
            return
        masked = cv2.bitwise_and(bgr, bgr, mask=clear).astype(np.float32)
        colour = cv2.resize(masked, GRID, interpolation=cv2.INTER_AREA)[seen] / share[seen][:, None]
        change = np.tile((colour - belt[seen]).mean(axis=0), (GRID[1], GRID[0], 1))
        change[seen] = colour - belt[seen]
        self._belt = (belt + _LEARN * change).astype(np.float32)
        typical = float(np.percentile(distance[::4, ::4][clear[::4, ::4] > 0], 75)) if seen.any() else self._noise
        self._noise = (1 - _LEARN) * self._noise + _LEARN * typical


def _guess(bgr: Image) -> FloatArray:
    """A first belt: the colours along the top and bottom edge, and evenly between; what sticks out there is no belt."""
    strip = max(1, round(_STRIP * bgr.shape[0]))
    edges = np.stack([bgr[:strip], bgr[-strip:]]).astype(np.float32)  # (2, strip, width, 3)
    usual = np.median(edges.reshape(-1, 3), axis=0)
    columns = np.array_split(edges, GRID[0], axis=2)
    ends = np.stack([np.median(column, axis=(1, 2)) for column in columns], axis=1)  # (2, columns, 3)
    ends = np.where(np.abs(ends - usual).max(axis=2, keepdims=True) > _ODD, usual, ends).astype(np.float32)
    down = np.linspace(0, 1, GRID[1], dtype=np.float32)[:, None, None]
    out: FloatArray = ends[0] * (1 - down) + ends[1] * down
    return out


def _outermost(boxes: FloatArray) -> FloatArray:
    """Boxes that lie in no other box; what is left out is printed on a part, or seen through a hole in it."""
    low = (boxes[:, None, :2] >= boxes[None, :, :2]).all(axis=2)
    high = (boxes[:, None, 2:] <= boxes[None, :, 2:]).all(axis=2)
    within = low & high & ~np.eye(len(boxes), dtype=np.bool_)
    return boxes[np.flatnonzero(~np.any(within, axis=1))]


def as_detections(boxes: FloatArray) -> Detections:
    """Boxes as sure detections of one class, for the tracker that follows parts."""
    return Detections(boxes, np.ones(len(boxes), np.float32), np.zeros(len(boxes), np.int64))
