"""Draws bare circuit boards: copper, pads, vias and silkscreen, at twice the size they are shown in."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.types import Image

SCALE = 2  # drawn this much larger, then averaged down: smooth edges at any angle
TRACE = 11 * SCALE  # width of a trace, drawn px
PITCH = 25 * SCALE  # centre to centre of parallel traces, drawn px
MARGIN = 16 * SCALE

Mask = NDArray[np.uint8]
Point = tuple[int, int]
Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Style:
    """Colours of a board, BGR.

    Attributes:
        laminate: Between the copper.
        copper: Traces and planes.
        pad: Plated pads.
        silk: Printed marks.
    """

    laminate: Colour
    copper: Colour
    pad: Colour
    silk: Colour


STYLES = (
    Style((38, 62, 18), (72, 138, 52), (110, 196, 222), (225, 232, 228)),
    Style((78, 40, 14), (150, 104, 52), (122, 200, 226), (232, 232, 230)),
    Style((28, 28, 30), (82, 84, 92), (190, 196, 200), (230, 230, 228)),
    Style((44, 70, 92), (92, 148, 214), (134, 190, 236), (240, 240, 236)),
    Style((26, 20, 84), (62, 62, 170), (126, 204, 232), (232, 234, 236)),
)


@dataclass(frozen=True, slots=True)
class Segment:
    """A straight piece of trace in drawn pixels.

    Attributes:
        start: One end of its centre line.
        end: The other end.
        neighbour: Offset to the centre line of the next trace of its bus; ``None`` for the last one.
    """

    start: Point
    end: Point
    neighbour: tuple[float, float] | None

    @property
    def length(self) -> float:
        """Drawn px."""
        return float(np.hypot(self.end[0] - self.start[0], self.end[1] - self.start[1]))


@dataclass(slots=True)
class Layout:
    """What is on a board, in drawn pixels.

    Attributes:
        copper: (H, W) uint8, 255 on copper.
        pads: (H, W) uint8, 255 on plated pads (which are copper too).
        holes: (H, W) uint8, 255 on drilled holes.
        silk: (H, W) uint8, coverage of the printed marks.
        segments: Straight pieces of trace.
        planes: (x1, y1, x2, y2) of the copper planes.
    """

    copper: Mask
    pads: Mask
    holes: Mask
    silk: Mask
    segments: list[Segment] = field(default_factory=list)
    planes: list[tuple[int, int, int, int]] = field(default_factory=list)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), drawn px."""
        return self.copper.shape[1], self.copper.shape[0]


def make_layout(width: int, height: int, rng: np.random.Generator) -> Layout:
    """A random board of ``width`` x ``height`` shown pixels."""
    shape = (height * SCALE, width * SCALE)
    copper, pads, holes, silk = (np.zeros(shape, np.uint8) for _ in range(4))
    layout = Layout(copper, pads, holes, silk)
    _mounting_holes(layout)
    _plane(layout, rng)
    for _ in range(50):
        _bus(layout, rng, (60, 150))
    for _ in range(int(rng.integers(1, 4))):
        _chip(layout, rng)
    for _ in range(160):
        _bus(layout, rng, (24, 100))
    for _ in range(2):
        _plane(layout, rng)
    for _ in range(30):
        _via(layout, rng)
    _title(layout, rng)
    return layout


def paint(layout: Layout, copper: Mask, style: Style, rng: np.random.Generator) -> Image:
    """The board as it is seen, (height, width, 3) uint8 BGR at shown size; ``copper`` may carry defects."""
    metal = _share(copper)
    plated = _share(np.minimum(layout.pads, copper))
    picture = np.empty((*copper.shape, 3), np.float32)
    picture[:] = style.laminate
    _blend(picture, metal, style.copper)
    _blend(picture, plated, style.pad)
    smooth = cv2.GaussianBlur(metal, (0, 0), 1.5)
    bevel = smooth - np.roll(smooth, (-3, -3), (0, 1))  # light from the top left
    picture += (bevel * 42)[..., None]
    picture += rng.normal(0, 3.0, copper.shape).astype(np.float32)[..., None]
    _blend(picture, _share(layout.silk) * np.float32(0.92), style.silk)
    _blend(picture, _share(layout.holes), (16, 16, 18))
    shown = cv2.resize(picture, (copper.shape[1] // SCALE, copper.shape[0] // SCALE), interpolation=cv2.INTER_AREA)
    cv2.rectangle(shown, (0, 0), (shown.shape[1] - 1, shown.shape[0] - 1), tuple(c * 0.6 for c in style.laminate), 2)
    return np.clip(shown, 0, 255).astype(np.uint8)


def _share(mask: Mask) -> NDArray[np.float32]:
    """A mask as coverage, 0..1."""
    return mask.astype(np.float32) / np.float32(255)


def _blend(picture: NDArray[np.float32], amount: NDArray[np.float32], colour: Colour) -> None:
    weight = amount[..., None]
    picture *= 1 - weight
    picture += weight * np.array(colour, np.float32)


def is_free(layout: Layout, x1: int, y1: int, x2: int, y2: int, gap: int = 10 * SCALE) -> bool:
    """Whether nothing is within ``gap`` of a rectangle that lies on the board."""
    width, height = layout.size
    if x1 < MARGIN or y1 < MARGIN or x2 > width - MARGIN or y2 > height - MARGIN:
        return False
    window = np.s_[max(0, y1 - gap) : y2 + gap, max(0, x1 - gap) : x2 + gap]
    return not (layout.copper[window].any() or layout.silk[window].any() or layout.holes[window].any())


def _mounting_holes(layout: Layout) -> None:
    width, height = layout.size
    radius, inset = 9 * SCALE, 20 * SCALE
    for x in (inset, width - inset):
        for y in (inset, height - inset):
            for mask in (layout.copper, layout.pads):
                cv2.circle(mask, (x, y), radius, 255, -1)
            cv2.circle(layout.holes, (x, y), radius // 2, 255, -1)


def _plane(layout: Layout, rng: np.random.Generator) -> None:
    width, height = layout.size
    for _ in range(30):
        w, h = (int(rng.integers(48, 110)) * SCALE for _ in range(2))
        x, y = int(rng.integers(0, width - w)), int(rng.integers(0, height - h))
        if is_free(layout, x, y, x + w, y + h):
            cv2.rectangle(layout.copper, (x, y), (x + w, y + h), 255, -1)
            layout.planes.append((x, y, x + w, y + h))
            return


def _chip(layout: Layout, rng: np.random.Generator) -> None:
    width, height = layout.size
    pins = int(rng.integers(4, 8))
    long, pad, pitch = 22 * SCALE, 11 * SCALE, 18 * SCALE
    body = int(rng.integers(40, 60)) * SCALE
    w, h = body + 2 * long, pins * pitch
    if rng.random() < 0.5:  # noqa: PLR2004 - a coin
        w, h = h, w
    for _ in range(40):
        x, y = int(rng.integers(0, max(1, width - w))), int(rng.integers(0, max(1, height - h)))
        if not is_free(layout, x, y, x + w, y + h):
            continue
        for pin in range(pins):
            offset = pin * pitch + (pitch - pad) // 2
            for far in (0, 1):
                if w > h or (w <= h and pins * pitch == h):
                    left, top = (x + far * (w - long), y + offset)
                    size = (long, pad)
                if pins * pitch == w:
                    left, top = (x + offset, y + far * (h - long))
                    size = (pad, long)
                for mask in (layout.copper, layout.pads):
                    cv2.rectangle(mask, (left, top), (left + size[0], top + size[1]), 255, -1)
        inset = long + 6 * SCALE
        corner = (x + inset, y + 2 * SCALE) if pins * pitch == h else (x + 2 * SCALE, y + inset)
        opposite = (x + w - (corner[0] - x), y + h - (corner[1] - y))
        cv2.rectangle(layout.silk, corner, opposite, 255, SCALE, cv2.LINE_AA)
        name = f"U{int(rng.integers(1, 40))}"
        centre = ((corner[0] + opposite[0]) // 2 - 14 * SCALE, (corner[1] + opposite[1]) // 2 + 5 * SCALE)
        cv2.putText(layout.silk, name, centre, cv2.FONT_HERSHEY_SIMPLEX, 0.45 * SCALE, 255, SCALE, cv2.LINE_AA)
        return


def _bus(layout: Layout, rng: np.random.Generator, reach: tuple[int, int]) -> None:
    """Parallel traces with one bend of 45 degrees, where they touch nothing."""
    width, height = layout.size
    count = int(rng.integers(2, 6))
    along = np.array([1.0, 0.0]) if rng.random() < 0.5 else np.array([0.0, 1.0])  # noqa: PLR2004 - a coin
    side = np.array([-along[1], along[0]])
    turn = (along + side * (1 if rng.random() < 0.5 else -1)) / np.sqrt(2)  # noqa: PLR2004 - a coin
    lengths = rng.integers(*reach, 3) * SCALE
    if rng.random() < 0.3:  # noqa: PLR2004 - three in ten are straight
        lengths[1:] = 0
    first = np.array([rng.integers(0, width), rng.integers(0, height)], float)
    lines = []
    for lane in range(count):
        # A lane on the inner side of a bend turns later, so that all lanes keep their distance on the slope too.
        shift = lane * PITCH * (np.sqrt(2) - 1) * np.sign(turn @ side)
        points = [first + side * lane * PITCH]
        for direction, length in ((along, lengths[0] - shift), (turn, lengths[1]), (along, lengths[2] + shift)):
            points.append(points[-1] + direction * max(0.0, float(length)))
        lines.append(np.round(np.array(points)).astype(np.int32))
    stack = np.concatenate(lines)
    low, high = stack.min(axis=0) - TRACE, stack.max(axis=0) + TRACE
    if low.min() < MARGIN or high[0] > width - MARGIN or high[1] > height - MARGIN:
        return
    trial = np.zeros_like(layout.copper)
    cv2.polylines(trial, lines, isClosed=False, color=255, thickness=TRACE + 20 * SCALE)
    window = np.s_[max(0, low[1] - MARGIN) : high[1] + MARGIN, max(0, low[0] - MARGIN) : high[0] + MARGIN]
    if (trial[window] & (layout.copper[window] | layout.silk[window])).any():
        return
    _draw_bus(layout, lines)


def _draw_bus(layout: Layout, lines: list[NDArray[np.int32]]) -> None:
    cv2.polylines(layout.copper, lines, isClosed=False, color=255, thickness=TRACE)
    for lane, line in enumerate(lines):
        for x, y in (line[0], line[-1]):
            cv2.circle(layout.copper, (int(x), int(y)), TRACE * 8 // 11, 255, -1)
            cv2.circle(layout.pads, (int(x), int(y)), TRACE * 8 // 11, 255, -1)
            cv2.circle(layout.holes, (int(x), int(y)), TRACE * 3 // 11, 255, -1)
        for piece, (start, end) in enumerate(pairwise(line)):
            neighbour = None
            if lane + 1 < len(lines):
                gap = _across(start, end, lines[lane + 1][piece])
                neighbour = (float(gap[0]), float(gap[1]))
            layout.segments.append(Segment((int(start[0]), int(start[1])), (int(end[0]), int(end[1])), neighbour))


def _across(start: NDArray[np.int32], end: NDArray[np.int32], other: NDArray[np.int32]) -> NDArray[np.float64]:
    """The part of ``other - start`` that is perpendicular to the segment."""
    direction = (end - start).astype(np.float64)
    norm = float(direction @ direction)
    delta = (other - start).astype(np.float64)
    return delta if norm == 0 else delta - direction * (delta @ direction) / norm


def _via(layout: Layout, rng: np.random.Generator) -> None:
    width, height = layout.size
    x, y, radius = int(rng.integers(0, width)), int(rng.integers(0, height)), int(rng.integers(7, 10)) * SCALE
    if is_free(layout, x - radius, y - radius, x + radius, y + radius, 9 * SCALE):
        cv2.circle(layout.copper, (x, y), radius, 255, -1)
        cv2.circle(layout.pads, (x, y), radius, 255, -1)
        cv2.circle(layout.holes, (x, y), radius // 2, 255, -1)


def _title(layout: Layout, rng: np.random.Generator) -> None:
    text = f"EV-{int(rng.integers(10, 99))} REV {'ABCD'[int(rng.integers(0, 4))]}"
    (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5 * SCALE, SCALE)
    width, height = layout.size
    for _ in range(60):
        x, y = int(rng.integers(0, width - w)), int(rng.integers(h, height))
        if is_free(layout, x, y - h, x + w, y, 4 * SCALE):
            cv2.putText(layout.silk, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.5 * SCALE, 255, SCALE, cv2.LINE_AA)
            return
