"""Defects pasted where they fit: copy-paste for boxes, from pairs of a defective picture and its defect-free template.

Copy-paste as published (Ghiasi et al. 2021) needs masks and pastes anywhere. A defect is what differs from its
template, and it means something only in its surroundings: an open sits on a trace. So the place of a pasted defect is
where the picture looks like the template did around the original (normalised cross-correlation), and what is pasted is
what differed. Without templates the crop itself is pasted, feathered, on a place of the same brightness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from edgevision.datasets.base import Sample
from edgevision.errors import ImageError
from edgevision.sources.images import read_image
from edgevision.types import FloatArray, Image, IntArray

MARGIN = 0.25  # of the box's longer side: the surroundings that must fit
LEAST_MARGIN_PX = 5
FITS = 0.82  # normalised cross-correlation from which a place is taken
TRIES = 12  # crops that are tried on a picture
MOST_PASTED = 3  # on one picture
DIFFERENT = 24  # grey levels between picture and template that make a pixel part of the defect, at most
FAINT = 6  # grey levels; a defect that differs less at its strongest is not pasted
SEARCHED_PX = 288  # side of the window in which a place is looked for, which bounds the time it takes
LARGEST_SHARE = 0.5  # of the picture's side; larger defects are not pasted
BANK = 2000  # crops kept at most


@dataclass(frozen=True, slots=True)
class Crop:
    """A defect with its surroundings.

    Attributes:
        pixels: (H, W, 3) uint8 BGR with the defect.
        without: (H, W, 3) uint8 BGR of the template; ``None`` where there is none.
        box: x1, y1, x2, y2 of the defect in the crop, px.
        label: Its class.
        limit: Grey levels between picture and template from which a pixel is part of the defect.
    """

    pixels: Image
    without: Image | None
    box: tuple[float, float, float, float]
    label: int
    limit: float = 0.0


class Paster:
    """A bank of defects.

    Args:
        samples: Training pictures; their defects make the bank, at most ``BANK`` of them.
        seed: Which ones, when there are more.
    """

    def __init__(self, samples: Sequence[Sample], seed: int) -> None:
        crops: list[Crop] = []
        places = [(number, index) for number, sample in enumerate(samples) for index in range(len(sample))]
        chosen = sorted(np.random.default_rng(seed).permutation(len(places))[:BANK])
        indices: dict[int, list[int]] = {}
        for place in chosen:
            number, index = places[place]
            indices.setdefault(number, []).append(index)
        for number, wanted in indices.items():
            crops += _crops(samples[number], wanted)
        labels = sorted({crop.label for crop in crops})
        self._by_label = [[crop for crop in crops if crop.label == label] for label in labels]

    def __len__(self) -> int:
        return sum(map(len, self._by_label))

    def apply(
        self, image: Image, xyxy: FloatArray, label: IntArray, rng: np.random.Generator, scale: float = 1.0
    ) -> tuple[Image, FloatArray, IntArray]:
        """The picture with up to ``MOST_PASTED`` more defects, each class as likely; without any when none fits.

        Args:
            image: (H, W, 3) uint8 BGR; not written into.
            xyxy: (N, 4) float32, px.
            label: (N,) int64.
            rng: Chooses.
            scale: Size of this picture ÷ size of the pictures the bank was made of.
        """
        wanted = int(rng.integers(1, MOST_PASTED + 1))
        out, boxes, labels = image.copy(), [*xyxy], [*label]
        for _ in range(TRIES if self._by_label else 0):
            crops = self._by_label[int(rng.integers(len(self._by_label)))]
            crop = _varied(crops[int(rng.integers(len(crops)))], rng, scale)
            at = _place(out, boxes, crop, rng)
            if at is None:
                continue
            boxes.append(_put(out, crop, at))
            labels.append(np.int64(crop.label))
            if len(boxes) - len(xyxy) == wanted:
                break
        return out, np.asarray(boxes, np.float32).reshape(-1, 4), np.asarray(labels, np.int64)


def _crops(sample: Sample, indices: Sequence[int]) -> list[Crop]:
    try:
        picture = read_image(sample.file)
        template = read_image(sample.template) if sample.template is not None else None
    except ImageError:
        return []  # the check of the data set has told
    if template is not None and template.shape != picture.shape:
        template = None
    crops = []
    height, width = picture.shape[:2]
    for index in indices:
        x1, y1, x2, y2 = (float(value) for value in sample.xyxy[index])
        margin = max(LEAST_MARGIN_PX, MARGIN * max(x2 - x1, y2 - y1))
        left, top = max(0, int(x1 - margin)), max(0, int(y1 - margin))
        right, bottom = min(width, int(x2 + margin) + 1), min(height, int(y2 + margin) + 1)
        if max(x2 - x1, y2 - y1) > LARGEST_SHARE * min(width, height) or min(right - left, bottom - top) < 1:
            continue
        window = np.s_[top:bottom, left:right]
        without = None if template is None else template[window].copy()
        box = (x1 - left, y1 - top, x2 - left, y2 - top)
        crop = Crop(picture[window].copy(), without, box, int(sample.label[index]))
        limit = 0.0 if without is None else _limit(crop)
        if limit is not None:
            crops.append(replace(crop, limit=limit))
    return crops


def _limit(crop: Crop) -> float | None:
    """Half of how much the defect differs at its strongest; ``None`` where nothing can be told from noise."""
    x1, y1, x2, y2 = (round(value) for value in crop.box)
    inside = _difference(crop)[max(0, y1) : y2, max(0, x1) : x2]
    strongest = float(np.percentile(inside, 98)) if inside.size else 0.0
    return min(float(DIFFERENT), strongest / 2) if strongest > FAINT else None


def _difference(crop: Crop) -> IntArray:
    """(H, W) grey levels between the crop and its template, the channel that differs most."""
    assert crop.without is not None  # noqa: S101 - only asked where there is one
    return np.asarray(np.abs(crop.pixels.astype(np.int64) - crop.without).max(axis=2), np.int64)


def _varied(crop: Crop, rng: np.random.Generator, scale: float) -> Crop:
    """The crop at the picture's scale, mirrored and turned by quarters at random."""
    pixels, without, (x1, y1, x2, y2) = crop.pixels, crop.without, crop.box
    height, width = pixels.shape[:2]
    if scale != 1.0:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=kind), np.uint8)
        without = None if without is None else np.asarray(cv2.resize(without, size, interpolation=kind), np.uint8)
        fx, fy = size[0] / width, size[1] / height
        x1, y1, x2, y2, width, height = x1 * fx, y1 * fy, x2 * fx, y2 * fy, *size
    if rng.integers(2):
        pixels, without = pixels[:, ::-1], None if without is None else without[:, ::-1]
        x1, x2 = width - x2, width - x1
    for _ in range(int(rng.integers(4))):  # a quarter turn clockwise: (x, y) goes to (height - y, x)
        pixels, without = np.rot90(pixels, -1), None if without is None else np.rot90(without, -1)
        x1, y1, x2, y2, width, height = height - y2, x1, height - y1, x2, height, width
    return Crop(
        np.ascontiguousarray(pixels),
        None if without is None else np.ascontiguousarray(without),
        (x1, y1, x2, y2),
        crop.label,
        crop.limit,
    )


def _place(image: Image, boxes: Sequence[FloatArray], crop: Crop, rng: np.random.Generator) -> tuple[int, int] | None:
    """(x, y) of the crop's corner on the picture; ``None`` when it fits nowhere in a window drawn by chance."""
    height, width = crop.pixels.shape[:2]
    top, searched_rows = _window(image.shape[0], height, rng)
    left, searched_columns = _window(image.shape[1], width, rng)
    if min(searched_rows - height, searched_columns - width) < 0:
        return None
    window = cv2.cvtColor(image[top : top + searched_rows, left : left + searched_columns], cv2.COLOR_BGR2GRAY)
    around = cv2.cvtColor(crop.pixels if crop.without is None else crop.without, cv2.COLOR_BGR2GRAY)
    if crop.without is not None and around.std() > 1:
        fits = cv2.matchTemplate(window, around, cv2.TM_CCOEFF_NORMED) >= FITS
    else:
        mean = cv2.boxFilter(window, cv2.CV_32F, (width, height), anchor=(0, 0))
        mean = mean[: searched_rows - height + 1, : searched_columns - width + 1]
        fits = np.abs(mean - float(around.mean())) < DIFFERENT / 2
    for x1, y1, x2, y2 in boxes:  # never onto another defect
        first_row, first_column = max(0, int(y1) - top - height + 1), max(0, int(x1) - left - width + 1)
        fits[first_row : max(0, int(y2) - top + 1), first_column : max(0, int(x2) - left + 1)] = False
    places = np.argwhere(fits)
    if len(places) == 0:
        return None
    y, x = places[int(rng.integers(len(places)))]
    return int(x) + left, int(y) + top


def _window(length: int, crop: int, rng: np.random.Generator) -> tuple[int, int]:
    """First pixel and length of what is searched along one side."""
    searched = min(length, crop + SEARCHED_PX)
    return int(rng.integers(length - searched + 1)), searched


def _put(image: Image, crop: Crop, at: tuple[int, int]) -> FloatArray:
    """Paste into ``image``; returns the box there."""
    height, width = crop.pixels.shape[:2]
    x1, y1, x2, y2 = crop.box
    inside = np.zeros((height, width), np.uint8)
    inside[max(0, int(y1)) : int(np.ceil(y2)), max(0, int(x1)) : int(np.ceil(x2))] = 255
    if crop.without is not None:
        differs = _difference(crop) > crop.limit
        near = cv2.dilate(differs.astype(np.uint8) * 255, np.ones((3, 3), np.uint8))
        inside &= np.asarray(near, np.uint8)
    share = cv2.blur(inside, (3, 3)).astype(np.float32)[..., None] / 255
    window = image[at[1] : at[1] + height, at[0] : at[0] + width]
    window[:] = np.clip(window + (crop.pixels.astype(np.float32) - window) * share + 0.5, 0, 255).astype(np.uint8)
    return np.array([x1 + at[0], y1 + at[1], x2 + at[0], y2 + at[1]], np.float32)
