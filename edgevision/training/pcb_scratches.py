"""Scratches real boards: strokes that take copper away or add some, named by what they do to the copper.

A stroke in the copper that parts it is an open, one that bites into its edge a mousebite, one inside it a pin-hole; the
same in the laminate is a short, a spur, spurious copper. So the name of a drawn defect is not what was meant, but what
came out of it. The kinds are those of Tang et al., "Online PCB Defect Detector On A New PCB Defect Dataset" (2019).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.scenes.base import BoxTuple
from edgevision.scenes.pcb_defects import KINDS
from edgevision.types import Image

NEGATIVE = {"open": "short", "mousebite": "spur", "pin-hole": "copper"}
WINDOW = 70  # px around a stroke that are looked at
LEAST_AREA = 30  # px that a defect changes, and that a part of the copper has which is cut off
LEAST_DEPTH = 4.0  # px from the edge that a mousebite reaches
BORDER = 9.0  # px around what is changed: people draw their boxes so
_TRIES = 60
_POINTS = 24

Mask = NDArray[np.uint8]
Box = tuple[str, BoxTuple]


def scratched(template: Image, rng: np.random.Generator, count: int) -> tuple[Image, list[Box]]:
    """A good board with defects.

    Args:
        template: (H, W, 3) uint8, copper black on white laminate.
        rng: Source of all chance.
        count: How many defects are tried; kinds take turns.

    Returns:
        The board, and kind and (x1, y1, x2, y2) in px of each defect.
    """
    copper: Mask = np.asarray(template[..., 0] < 128, np.uint8)  # noqa: PLR2004 - half of 255
    boxes: list[Box] = []
    for kind in np.resize(rng.permutation(len(KINDS)), count):
        found = _defect(copper, KINDS[int(kind)], [box for _, box in boxes], rng)
        if found is not None:
            copper, box = found
            boxes.append((KINDS[int(kind)], box))
    return np.repeat(((1 - copper) * 255).astype(np.uint8)[..., None], 3, axis=2), boxes


def _defect(copper: Mask, kind: str, taken: list[BoxTuple], rng: np.random.Generator) -> tuple[Mask, BoxTuple] | None:
    adds = kind in NEGATIVE.values()  # copper is added: the same with copper and laminate exchanged
    metal: Mask = 1 - copper if adds else copper
    wanted = next(key for key, value in NEGATIVE.items() if value == kind) if adds else kind
    anchors = _anchors(metal, wanted)
    for _ in range(_TRIES if len(anchors) else 0):
        y, x = anchors[int(rng.integers(len(anchors)))]
        stroke = _stroke(metal.shape, (float(x), float(y)), rng, long=wanted == "open")
        cut = metal & stroke
        if cut.sum() < LEAST_AREA:
            continue
        box = _box(cut)
        if box is None or any(_near(box, other) for other in taken) or outcome(metal, stroke, box) != wanted:
            continue
        after = metal & (1 - stroke)
        return (1 - after if adds else after), box
    return None


def outcome(metal: Mask, stroke: Mask, box: BoxTuple) -> str | None:
    """What a stroke that takes ``metal`` away makes: ``open``, ``mousebite``, ``pin-hole``, or nothing clear."""
    x1, y1, x2, y2 = (int(value) for value in box)
    window = np.s_[max(0, y1 - WINDOW) : y2 + WINDOW, max(0, x1 - WINDOW) : x2 + WINDOW]
    before, cut = metal[window], metal[window] & stroke[window]
    pieces, crumbs = _pieces(before)
    more, more_crumbs = _pieces(before & (1 - cut))
    if more_crumbs > crumbs or more < pieces:
        return None
    if more > pieces:
        return "open"
    depth = cv2.distanceTransform(before, cv2.DIST_L2, 3)[cut > 0]
    if depth.min() > LEAST_DEPTH:
        return "pin-hole"
    return "mousebite" if depth.min() <= 1.5 and depth.max() >= LEAST_DEPTH else None  # noqa: PLR2004 - next to the edge


def _pieces(mask: Mask) -> tuple[int, int]:
    """How many connected pieces there are, and how many crumbs beside them."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    areas = stats[1:, cv2.CC_STAT_AREA]
    return int((areas >= LEAST_AREA).sum()), int((areas < LEAST_AREA).sum())


def _anchors(metal: Mask, kind: str) -> NDArray[np.int64]:
    """(N, 2) rows and columns where a stroke may begin: at an edge, or inside for pin-holes."""
    inner = cv2.erode(metal, np.ones((3, 3), np.uint8))
    if kind == "pin-hole":
        return np.argwhere(cv2.erode(metal, np.ones((15, 15), np.uint8)))
    return np.argwhere((metal == 1) & (inner == 0))


def _stroke(shape: tuple[int, ...], start: tuple[float, float], rng: np.random.Generator, *, long: bool) -> Mask:
    """A bent stroke of uneven width through ``start``, (H, W) of 0 and 1."""
    length = rng.uniform(20, 75) if long else rng.uniform(4, 20)
    width = rng.uniform(2.5, 7.5)
    angle = rng.uniform(0, 2 * np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    first = np.array(start) - along * rng.uniform(2, 5)
    t = np.linspace(0, 1, _POINTS)[:, None]
    bend = across * rng.normal(0, 0.18) * length
    points = first + along * length * t + bend * (4 * t * (1 - t)) + rng.normal(0, 0.6, (_POINTS, 2))
    mask = np.zeros(shape, np.uint8)
    for x, y in points:
        cv2.circle(mask, (round(x), round(y)), max(1, round(width / 2 * rng.uniform(0.7, 1.2))), 1, -1)
    return mask


def _box(cut: Mask) -> BoxTuple | None:
    rows, columns = np.flatnonzero(cut.any(axis=1)), np.flatnonzero(cut.any(axis=0))
    height, width = cut.shape
    x1, y1, x2, y2 = columns[0] - BORDER, rows[0] - BORDER, columns[-1] + 1 + BORDER, rows[-1] + 1 + BORDER
    if x1 < 0 or y1 < 0 or x2 > width or y2 > height:
        return None
    return float(x1), float(y1), float(x2), float(y2)


def _near(one: BoxTuple, other: BoxTuple) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
