"""IoU, polygons, crossings: pure functions on arrays. Pixel coordinates, y down."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgevision.types import BoolArray, FloatArray

Anchor = Literal["feet", "centre", "head"]
Points = NDArray[np.float64]


def area(xyxy: FloatArray) -> FloatArray:
    """Areas of (N, 4) boxes, (N,) float32, px²; degenerate boxes have 0."""
    size = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0)
    out: FloatArray = size[:, 0] * size[:, 1]
    return out


def iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """Intersection over union of every box of (N, 4) ``a`` with every box of (M, 4) ``b``: (N, M) float32."""
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    size = np.maximum(bottom_right - top_left, 0)
    inter = size[..., 0] * size[..., 1]
    union = area(a)[:, None] + area(b)[None, :] - inter
    out: FloatArray = np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)
    return out


def anchor_points(xyxy: FloatArray, anchor: Anchor) -> Points:
    """The point of each (N, 4) box that counts: bottom centre, centre or top centre; (N, 2) float64."""
    boxes = xyxy.astype(np.float64)
    x = (boxes[:, 0] + boxes[:, 2]) / 2
    y = {"feet": boxes[:, 3], "head": boxes[:, 1], "centre": (boxes[:, 1] + boxes[:, 3]) / 2}[anchor]
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
    """Position of (N, 2) points projected onto the segment a→b: 0 at ``a``, 1 at ``b``; outside 0..1 beyond its ends."""
    segment = b - a
    out: NDArray[np.float64] = (points - a) @ segment / (segment @ segment)
    return out


def inside(points: Points, polygon: Points) -> BoolArray:
    """Which of (N, 2) points lie in the (K, 2) polygon (even-odd rule, edges count to one side)."""
    x, y = points[:, 0:1], points[:, 1:2]
    x1, y1 = polygon[:, 0], polygon[:, 1]
    x2, y2 = np.roll(x1, -1), np.roll(y1, -1)
    straddles = (y1 > y) != (y2 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing_x = x1 + (y - y1) * (x2 - x1) / (y2 - y1)
    hits = straddles & (x < crossing_x)
    out: BoolArray = hits.sum(axis=1) % 2 == 1
    return out


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
    a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64], d: NDArray[np.float64]
) -> bool:
    def turn(p: NDArray[np.float64], q: NDArray[np.float64], r: NDArray[np.float64]) -> float:
        return float((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))

    return turn(a, b, c) * turn(a, b, d) < 0 and turn(c, d, a) * turn(c, d, b) < 0
