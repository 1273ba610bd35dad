"""How large a defect is, from the pixels in its box.

The pixels are split into two kinds by Otsu's method (Otsu 1979) in the channel with the strongest contrast; the kind
that is at home in the middle of the box, not around it, is the defect. Where there is no contrast to speak of, the box
counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.types import BoolArray, Image

MIN_CONTRAST = 12.0  # grey levels between the two kinds of pixels
_MARGIN = 0.5  # how much of the surroundings is looked at, box sizes on each side
_MIN_MARGIN_PX = 4


@dataclass(frozen=True, slots=True)
class Measure:
    """Size of a defect in source pixels.

    Attributes:
        length_px: Longer side of the minimum-area rectangle.
        width_px: Its shorter side.
        area_px: Pixels that belong to the defect.
    """

    length_px: float
    width_px: float
    area_px: float


def measure(image: Image, xyxy: NDArray[np.floating]) -> Measure:
    """Size of what stands out in a box.

    Args:
        image: (H, W, 3) uint8, the whole frame; only the box and its surroundings are read.
        xyxy: (4,) box in px.
    """
    height, width = image.shape[:2]
    x1, y1, x2, y2 = (float(value) for value in xyxy)
    left, top = max(0, round(x1)), max(0, round(y1))
    right, bottom = min(width, max(left + 1, round(x2))), min(height, max(top + 1, round(y2)))
    if right <= left or bottom <= top:
        return Measure(0.0, 0.0, 0.0)
    pad_x = max(_MIN_MARGIN_PX, round(_MARGIN * (right - left)))
    pad_y = max(_MIN_MARGIN_PX, round(_MARGIN * (bottom - top)))
    crop_left, crop_top = max(0, left - pad_x), max(0, top - pad_y)
    crop = image[crop_top : bottom + pad_y, crop_left : right + pad_x]
    box = (left - crop_left, top - crop_top, right - crop_left, bottom - crop_top)
    mask = _stands_out(_channel(crop, box), box)
    if mask is None:
        return _whole(right - left, bottom - top)
    return _of_mask(mask)


def _channel(crop: Image, box: tuple[int, int, int, int]) -> Image:
    """The colour channel in which the box differs most."""
    inner = crop[box[1] : box[3], box[0] : box[2]].reshape(-1, 3)
    best = int(np.argmax(inner.std(axis=0)))
    return np.ascontiguousarray(crop[..., best])


def _stands_out(channel: Image, box: tuple[int, int, int, int]) -> BoolArray | None:
    x1, y1, x2, y2 = box
    _, bright = cv2.threshold(channel, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    kind: BoolArray = bright.astype(np.bool_)
    if kind.all() or not kind.any() or channel[kind].mean() - channel[~kind].mean() < MIN_CONTRAST:
        return None
    inner = kind[y1:y2, x1:x2]
    quarter_y, quarter_x = (y2 - y1) // 4, (x2 - x1) // 4
    core = inner[quarter_y : y2 - y1 - quarter_y, quarter_x : x2 - x1 - quarter_x]
    around = (kind.sum() - inner.sum()) / max(1, kind.size - inner.size)
    return inner if core.mean() >= around else ~inner


def _of_mask(mask: BoolArray) -> Measure:
    """The connected piece nearest to the middle."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count == 1:  # nothing but ground
        return _whole(mask.shape[1], mask.shape[0])
    rows, cols = np.nonzero(pieces)
    off = np.hypot(rows - (mask.shape[0] - 1) / 2, cols - (mask.shape[1] - 1) / 2)
    nearest = np.full(count, np.inf)
    np.minimum.at(nearest, np.asarray(pieces, np.int64)[rows, cols], off)
    areas = stats[:, cv2.CC_STAT_AREA]
    nearest[areas < 0.1 * areas[1:].max()] = np.inf  # specks
    piece = int(np.argmin(nearest))
    rows, cols = np.nonzero(pieces == piece)
    points = np.stack([cols, rows], axis=1).astype(np.float32)
    _, (side_a, side_b), _ = cv2.minAreaRect(points)
    # minAreaRect spans pixel centres; a pixel is one wide
    return Measure(float(max(side_a, side_b) + 1), float(min(side_a, side_b) + 1), float(len(points)))


def _whole(width: int, height: int) -> Measure:
    return Measure(float(max(width, height)), float(min(width, height)), float(width * height))
