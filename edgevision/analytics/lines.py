"""Directed lines: who crossed, and which way.

A crossing counts when an object that stood clearly on one side stands clearly on the other, and its path went through
the segment, not round its ends. "Clearly" is a band on both sides of the line in which flicker means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from edgevision.analytics.base import AnalysisContext
from edgevision.analytics.table import Field as RecordField
from edgevision.analytics.table import Records
from edgevision.config.settings import Name, RelativePoint, Settings
from edgevision.geometry import Anchor, Points
from edgevision.types import BoolArray, IntArray

Direction = Literal["in", "out"]
ANCHORS: tuple[Anchor, ...] = ("feet", "centre", "head")


class LineSettings(Settings):
    """A directed line: `in` is from left to right for who stands at `from` and looks towards `to`."""

    from_: RelativePoint = Field(alias="from")
    """Start [x, y] in shares of the picture, 0..1, y down."""
    to: RelativePoint
    """End [x, y] in shares of the picture, 0..1."""
    anchor: Anchor = "feet"
    """The point of the box that must cross: bottom centre, centre or top centre."""
    labels: list[str] = []
    """Class names that count; all when empty."""
    hysteresis: Annotated[float, Field(ge=0, le=2)] = 0.1
    """Half-width of the band around the line in which nothing is decided, box heights."""
    hysteresis_px: Annotated[float, Field(ge=0)] | None = None
    """The same in pixels of the source, instead of `hysteresis`."""
    min_move: Annotated[float, Field(ge=0, le=20)] = 0.25
    """How far an object must have moved since it was first seen, box heights."""

    @model_validator(mode="after")
    def _has_length(self) -> LineSettings:
        if self.from_ == self.to:
            msg = f"a line needs two different ends, got {list(self.to)} twice"
            raise ValueError(msg)
        return self


LineTable = dict[Name, LineSettings]


@dataclass(frozen=True, slots=True)
class Crossing:
    """Row ``row`` of the frame's tracks crossed line ``line``."""

    row: int
    line: int
    direction: Direction


class Lines:
    """All lines of one camera, judged together: every array is (tracks, lines).

    Args:
        settings: Lines by name.
        context: Camera and class names.

    Raises:
        ConfigError: Unknown class names.
    """

    def __init__(self, settings: Mapping[str, LineSettings], context: AnalysisContext) -> None:
        lines = list(settings.values())
        self.names = list(settings)
        self._start = np.array([line.from_ for line in lines], np.float64).reshape(-1, 2)
        self._end = np.array([line.to for line in lines], np.float64).reshape(-1, 2)
        self._anchor = np.array([ANCHORS.index(line.anchor) for line in lines], np.int64)
        self._share = np.array([0.0 if line.hysteresis_px is not None else line.hysteresis for line in lines])
        self._band_px = np.array([line.hysteresis_px or 0.0 for line in lines])
        self._min_move = np.array([line.min_move for line in lines])
        self._wanted = np.array(
            [context.wanted(line.labels, f"lines.{name}.labels") for name, line in settings.items()],
            np.bool_,
        ).reshape(len(lines), len(context.classes))
        self._size: tuple[int, int] | None = None  # the frame size that these two are for
        self._matrix = self._constant = np.zeros(0)

    def fields(self) -> list[RecordField]:
        """What has to be remembered of every track."""
        shape = (len(self.names),)
        # side: where it clearly stood last, -1 or +1; distance (signed, px) and along: in the frame before;
        # through: where its path last went through the endless line; origin: first seen, shares of the picture
        floats: list[RecordField] = [(name, "f8", shape) for name in ("distance", "along", "through")]
        return [("side", "i1", shape), *floats, ("origin", "f8", (len(ANCHORS), 2))]

    def _weights(self, size: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What turns (N, 6) anchors into (N, 2 * lines) distances and positions along, and the constants to add."""
        scale, count = np.array(size, np.float64), len(self.names)
        start, vector = self._start * scale, (self._end - self._start) * scale
        length = np.hypot(vector[:, 0], vector[:, 1])[:, None]
        across = np.stack([-vector[:, 1], vector[:, 0]], axis=1) / length
        directions = np.concatenate([across, vector / length**2])
        weights = np.zeros((2 * count, len(ANCHORS), 2))
        weights[np.arange(2 * count), np.tile(self._anchor, 2)] = directions
        return weights.reshape(2 * count, -1).T, -(directions * np.tile(start, (2, 1))).sum(axis=1)

    def update(
        self,
        records: Records,
        new: BoolArray,
        anchors: Points,
        boxes: tuple[IntArray, NDArray[np.float64], tuple[int, int]],
    ) -> list[Crossing]:
        """Judge one frame; ``records`` are written to.

        Args:
            records: (N,) what is remembered of the frame's tracks.
            new: (N,) which are seen for the first time.
            anchors: (N, 3, 2) feet, centre and head in px.
            boxes: (N,) labels, (N,) heights in px, and the frame's (width, height).
        """
        label, height, frame_size = boxes
        if frame_size != self._size:
            self._size, (self._matrix, self._constant) = frame_size, self._weights(frame_size)
        both = anchors.reshape(-1, 2 * len(ANCHORS)) @ self._matrix + self._constant
        distance, along = both[:, : len(self.names)], both[:, len(self.names) :]
        raw = np.where(distance < 0, np.int8(-1), np.int8(1))
        if new.any():
            records["side"][new], records["origin"][new] = raw[new], anchors[new] / frame_size
            records["distance"][new], records["along"][new] = distance[new], along[new]
        self._note_passages(records, distance, along)
        records["distance"], records["along"] = distance, along

        flipped = (raw != records["side"]) & (np.abs(distance) > self._share * height[:, None] + self._band_px)
        if not flipped.any():
            return []
        moved = anchors[:, self._anchor] - records["origin"][:, self._anchor] * frame_size
        flipped &= np.hypot(moved[..., 0], moved[..., 1]) >= self._min_move * height[:, None]
        records["side"] = np.where(flipped, raw, records["side"])
        counts = flipped & (records["through"] >= 0) & (records["through"] <= 1) & self._wanted[:, label].T
        return [Crossing(int(r), int(c), "in" if raw[r, c] > 0 else "out") for r, c in np.argwhere(counts)]

    @staticmethod
    def _note_passages(records: Records, distance: NDArray[np.float64], along: NDArray[np.float64]) -> None:
        before = records["distance"]
        passed = (before < 0) != (distance < 0)
        if not passed.any():
            return
        share = np.abs(before) / np.maximum(np.abs(before) + np.abs(distance), 1e-9)
        through = records["along"] + share * (along - records["along"])
        records["through"] = np.where(passed, through, records["through"])
