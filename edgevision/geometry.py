"""IoU, polygons, crossings: pure functions on arrays. Pixel coordinates, y down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgevision.types import BoolArray, FloatArray, IntArray

Anchor = Literal["feet", "centre", "head"]
Points = NDArray[np.float64]
_TO_ANCHORS = np.array([[0.5, 0, 0.5, 0, 0.5, 0], [0, 0, 0, 0.5, 0, 1], [0.5, 0, 0.5, 0, 0.5, 0], [0, 1, 0, 0.5, 0, 0]])


def area(xyxy: FloatArray) -> FloatArray:
    """Areas of (N, 4) boxes, (N,) float32, px²; degenerate boxes have 0."""
    size = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0)
    out: FloatArray = size[:, 0] * size[:, 1]
    return out


def iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """Intersection over union of every box of (N, 4) ``a`` with every box of (M, 4) ``b``: (N, M) float32."""
    width = np.minimum(a[:, 2, None], b[:, 2]) - np.maximum(a[:, 0, None], b[:, 0])
    height = np.minimum(a[:, 3, None], b[:, 3]) - np.maximum(a[:, 1, None], b[:, 1])
    inter = np.maximum(width, 0) * np.maximum(height, 0)
    union = area(a)[:, None] + area(b) - inter
    out: FloatArray = inter / np.maximum(union, np.float32(1e-9))
    return out


def overlapping(a: FloatArray, b: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """The boxes of (N, 4) ``a`` and (M, 4) ``b`` that overlap: (P,) rows, (P,) columns, (P,) float32 IoU above 0."""
    ax1, ay1, ax2, ay2 = np.ascontiguousarray(a.T)[..., None]
    bx1, by1, bx2, by2 = np.ascontiguousarray(b.T)
    width = np.minimum(ax2, bx2) - np.maximum(ax1, bx1)
    height = np.minimum(ay2, by2) - np.maximum(ay1, by1)
    row, col = np.divmod(((width > 0) & (height > 0)).ravel().nonzero()[0], max(1, len(b)))  # faster than 2-D nonzero
    inter = width[row, col] * height[row, col]
    value: FloatArray = inter / (area(a)[row] + area(b)[col] - inter)
    return row, col, value


def anchor_points(xyxy: FloatArray, anchor: Anchor) -> Points:
    """The point of each (N, 4) box that counts: bottom centre, centre or top centre; (N, 2) float64."""
    boxes = xyxy.astype(np.float64)
    x = (boxes[:, 0] + boxes[:, 2]) / 2
    y = {
        "feet": boxes[:, 3],
        "head": boxes[:, 1],
        "centre": (boxes[:, 1] + boxes[:, 3]) / 2,
    }[anchor]
    return np.stack([x, y], axis=1)


def side(points: Points, a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Signed distance in px of (N, 2) points from the endless line a→b.

    Positive is the right-hand side of a person who stands on the picture at ``a`` and looks towards ``b`` (y down).
    """
    direction = (b - a) / np.hypot(*(b - a))
    delta = points - a
    out: NDArray[np.float64] = direction[0] * delta[:, 1] - direction[1] * delta[:, 0]
    return out


def along(points: Points, a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Position of (N, 2) points along the segment a→b: 0 at ``a``, 1 at ``b``, outside 0..1 beyond its ends."""
    segment = b - a
    out: NDArray[np.float64] = (points - a) @ segment / (segment @ segment)
    return out


def inside(points: Points, polygon: Points) -> BoolArray:
    """Which of (N, 2) points lie in the (K, 2) polygon (even-odd rule; a shared border belongs to one side only)."""
    return Polygons([polygon])(points[:, None])[:, 0]


def all_anchors(xyxy: FloatArray) -> Points:
    """Bottom centre, centre and top centre of (N, 4) boxes at once: (N, 3, 2) float64."""
    out: Points = xyxy.astype(np.float64) @ _TO_ANCHORS
    return out.reshape(-1, 3, 2)


class Polygons:
    """Several polygons, each asked about its own points: all edges in one array.

    Args:
        polygons: (K, 2) corners each; K may differ.
    """

    def __init__(self, polygons: Sequence[Points]) -> None:
        counts = [len(polygon) for polygon in polygons]
        ends = [np.roll(polygon, -1, axis=0) for polygon in polygons]
        first = np.concatenate([*polygons, np.zeros((0, 2))])
        second = np.concatenate([*ends, np.zeros((0, 2))])
        self._owner = np.repeat(np.arange(len(counts)), counts)
        self._firsts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
        self._x, self._y, self._y_end = first[:, 0], first[:, 1], second[:, 1]
        rise = self._y_end - self._y
        self._slope = (second[:, 0] - self._x) / np.where(rise == 0, 1.0, rise)

    def __call__(self, points: Points) -> BoolArray:
        """Whether point (n, k) of (N, K, 2) lies in polygon k: (N, K); the rule is that of ``inside``."""
        if not len(self._owner) or not len(points):
            return np.zeros(points.shape[:2], np.bool_)
        x, y = points[:, self._owner, 0], points[:, self._owner, 1]
        hits = ((self._y > y) != (self._y_end > y)) & (x < self._x + (y - self._y) * self._slope)
        out: BoolArray = np.add.reduceat(hits, self._firsts, axis=1, dtype=np.int64) % 2 == 1
        return out


def polygon_problem(polygon: Points) -> str | None:
    """What is wrong with a (K, 2) polygon, for a person; ``None`` when it is sound."""
    x, y = polygon[:, 0], polygon[:, 1]
    doubled = abs(float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)))
    if doubled == 0 and not self_crossing(polygon):
        return "the polygon has no area"
    if self_crossing(polygon):
        return "the polygon's edges cross each other; list its corners in order"
    return None


def self_crossing(polygon: Points) -> bool:
    """Whether two edges of the (K, 2) polygon that are not neighbours cross."""
    count = len(polygon)
    edges = [(polygon[i], polygon[(i + 1) % count]) for i in range(count)]
    for i in range(count):
        for j in range(i + 2, count):
            if i == 0 and j == count - 1:
                continue
            if _segments_cross(*edges[i], *edges[j]):
                return True
    return False


def _segments_cross(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    c: NDArray[np.float64],
    d: NDArray[np.float64],
) -> bool:
    def turn(p: NDArray[np.float64], q: NDArray[np.float64], r: NDArray[np.float64]) -> float:
        return float((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))

    return turn(a, b, c) * turn(a, b, d) < 0 and turn(c, d, a) * turn(c, d, b) < 0
