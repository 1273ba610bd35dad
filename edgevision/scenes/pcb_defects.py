"""Draws DeepPCB's six kinds of defects into the copper of a board and says exactly where.

The kinds are those of Tang et al., "Online PCB Defect Detector On A New PCB Defect Dataset" (2019).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.scenes.base import BoxTuple
from edgevision.scenes.pcb_board import MARGIN, SCALE, TRACE, Layout, Mask, Segment

KINDS = ("open", "short", "mousebite", "spur", "copper", "pin-hole")
PAD = 4 * SCALE  # margin of a box around the changed pixels, drawn px
LEAST_SIDE = 22 * SCALE  # boxes are at least this large, as people draw them
_CLEAR = 26 * SCALE  # defects keep this distance from each other

Vector = NDArray[np.float64]
Draw = Callable[[Layout, Mask, np.random.Generator], bool]


@dataclass(frozen=True, slots=True)
class BoardDefect:
    """A defect that was drawn.

    Attributes:
        kind: One of ``KINDS``.
        xyxy: Its box in shown pixels of the board.
    """

    kind: str
    xyxy: BoxTuple


def add_defect(layout: Layout, copper: Mask, kind: str, rng: np.random.Generator) -> BoardDefect | None:
    """Draw a defect of ``kind`` into ``copper``; ``None`` when no place was found, and nothing is changed then.

    Args:
        layout: The board as it should be.
        copper: The board's copper, changed in place; may carry defects already.
        kind: One of ``KINDS``.
        rng: Source of all chance.
    """
    for _ in range(60):
        trial = copper.copy()
        if not _DRAW[kind](layout, trial, rng):
            continue
        changed = trial != copper
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        if not len(rows):
            continue
        x1, y1, x2, y2 = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
        around = np.s_[max(0, y1 - _CLEAR) : y2 + _CLEAR, max(0, x1 - _CLEAR) : x2 + _CLEAR]
        near = np.s_[max(0, y1 - 4) : y2 + 4, max(0, x1 - 4) : x2 + 4]
        if (copper[around] != layout.copper[around]).any() or layout.silk[near].any() or layout.holes[near].any():
            continue
        copper[:] = trial
        return BoardDefect(kind, _box(x1, y1, x2, y2, layout.size))
    return None


def _box(x1: int, y1: int, x2: int, y2: int, size: tuple[int, int]) -> BoxTuple:
    grow_x = max(PAD, (LEAST_SIDE - (x2 - x1)) / 2)
    grow_y = max(PAD, (LEAST_SIDE - (y2 - y1)) / 2)
    width, height = size
    return (
        max(0.0, x1 - grow_x) / SCALE,
        max(0.0, y1 - grow_y) / SCALE,
        min(float(width), x2 + grow_x) / SCALE,
        min(float(height), y2 + grow_y) / SCALE,
    )


def _spot(
    layout: Layout, rng: np.random.Generator, least: float, *, bus: bool = False
) -> tuple[Vector, Vector, Vector, Segment] | None:
    """A point on a trace at least ``least`` from its ends, with the directions along and across, and its segment."""
    fits = [
        segment
        for segment in layout.segments
        if segment.length >= 2 * least and (not bus or segment.neighbour is not None)
    ]
    if not fits:
        return None
    segment = fits[int(rng.integers(len(fits)))]
    start, end = np.array(segment.start, float), np.array(segment.end, float)
    along = (end - start) / segment.length
    point = start + along * rng.uniform(least, segment.length - least)
    return point, along, np.array([-along[1], along[0]]), segment


def _fill(mask: Mask, points: Vector, value: int) -> None:
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], value)


def _ragged(centre: Vector, radius: float, rng: np.random.Generator, corners: int = 14) -> Vector:
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    radii = radius * rng.uniform(0.8, 1.2, corners)
    return centre + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]


def _open(layout: Layout, mask: Mask, rng: np.random.Generator) -> bool:
    spot = _spot(layout, rng, 24 * SCALE)
    if spot is None:
        return False
    point, along, across, _ = spot
    half, wide = rng.uniform(5, 9) * SCALE, TRACE * 0.75
    steps = np.linspace(-wide, wide, 7)
    left = [point - along * half * rng.uniform(0.75, 1.1) + across * step for step in steps]
    right = [point + along * half * rng.uniform(0.75, 1.1) + across * step for step in steps[::-1]]
    _fill(mask, np.array(left + right), 0)
    return True


def _short(layout: Layout, mask: Mask, rng: np.random.Generator) -> bool:
    spot = _spot(layout, rng, 20 * SCALE, bus=True)
    if spot is None or spot[3].neighbour is None:
        return False
    point, along, _, segment = spot
    gap = np.array(segment.neighbour)
    start, end = np.array(segment.start, float) + gap, np.array(segment.end, float) + gap
    if not 0 < np.hypot(*gap) < 60 * SCALE or (end - start) @ (point + gap - start) < 0:
        return False
    half = rng.uniform(4, 7) * SCALE
    slant = along * rng.uniform(-5, 5) * SCALE
    bow = along * half * rng.uniform(0.5, 0.9)
    middle = point + gap / 2 + slant / 2
    far = point + gap + slant
    _fill(mask, np.array([point - along * half, middle - bow, far - along * half, far + along * half, middle + bow,
                          point + along * half]), 255)  # fmt: skip
    return True


def _mousebite(layout: Layout, mask: Mask, rng: np.random.Generator) -> bool:
    spot = _spot(layout, rng, 16 * SCALE)
    if spot is None:
        return False
    point, _, across, _ = spot
    edge = point + across * (TRACE / 2) * rng.choice([-1, 1])
    _fill(mask, _ragged(edge, rng.uniform(5.0, 7.0) * SCALE, rng), 0)
    return True


def _spur(layout: Layout, mask: Mask, rng: np.random.Generator) -> bool:
    spot = _spot(layout, rng, 16 * SCALE)
    if spot is None:
        return False
    point, along, across, _ = spot
    across = across * rng.choice([-1, 1])
    edge = point + across * (TRACE / 2 - SCALE)
    tip = edge + across * rng.uniform(8, 10.5) * SCALE + along * rng.uniform(-4, 4) * SCALE
    half = rng.uniform(4, 7) * SCALE
    waist = (edge + tip) / 2
    widths = ((edge, 1.0), (waist, 0.7), (tip, 0.35))
    near = [spot - along * half * share for spot, share in widths]
    far = [spot + along * half * share for spot, share in reversed(widths)]
    _fill(mask, np.array(near + far), 255)
    return bool(not _touches(layout, tip, 4 * SCALE))


def _touches(layout: Layout, point: Vector, radius: int) -> bool:
    x, y = round(point[0]), round(point[1])
    return bool(layout.copper[max(0, y - radius) : y + radius, max(0, x - radius) : x + radius].any())


def _copper(layout: Layout, mask: Mask, rng: np.random.Generator) -> bool:
    width, height = layout.size
    centre = np.array([rng.uniform(MARGIN, width - MARGIN), rng.uniform(MARGIN, height - MARGIN)])
    radius = rng.uniform(5.5, 9) * SCALE
    reach = round(radius * 1.25) + 4 * SCALE
    if _touches(layout, centre, reach):
        return False
    _fill(mask, _ragged(centre, radius, rng), 255)
    return True


def _pin_hole(layout: Layout, mask: Mask, rng: np.random.Generator) -> bool:
    if not layout.planes:
        return False
    x1, y1, x2, y2 = layout.planes[int(rng.integers(len(layout.planes)))]
    inset = 14 * SCALE
    centre = np.array([rng.uniform(x1 + inset, x2 - inset), rng.uniform(y1 + inset, y2 - inset)])
    _fill(mask, _ragged(centre, rng.uniform(4.5, 7.5) * SCALE, rng), 0)
    return True


_DRAW: dict[str, Draw] = {
    "open": _open,
    "short": _short,
    "mousebite": _mousebite,
    "spur": _spur,
    "copper": _copper,
    "pin-hole": _pin_hole,
}
