"""The mistakes of a model as small pictures: what it missed and what it reported without cause."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import cv2
import numpy as np

from edgevision.errors import ImageError
from edgevision.evaluation.evaluate import Results
from edgevision.geometry import area
from edgevision.sources.images import read_image
from edgevision.types import FloatArray, Image

MOST = 24  # of each kind of mistake
SIDE_PX = 224  # of a small picture
CONTEXT = 3.0  # sides of the box that are shown
MIN_CROP_PX = 48.0
TRUTH, REPORTED = (60, 180, 75), (30, 140, 255)  # BGR, as the report's legend
_QUALITY = 82

_WORDS = {
    "duplicate": "second report of one",
    "wrong_class": "wrong class",
    "bad_place": "bad place",
    "nothing_there": "nothing there",
}


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake.

    Attributes:
        sample: Place of the picture.
        name: Its name.
        label: The class that is missed or reported.
        title: What is missed or reported.
        detail: What else is known of it.
        worth: The larger, the worse.
        xyxy: (4,) float32, px of the picture.
    """

    sample: int
    name: str
    label: int
    title: str
    detail: str
    worth: tuple[float, ...]
    xyxy: FloatArray


@dataclass(frozen=True, slots=True)
class Shown:
    """A mistake with its small picture as a ``data:`` address; empty when the file cannot be read any more."""

    mistake: Mistake
    image: str


def missed(results: Results) -> list[Mistake]:
    """Labelled boxes that nothing found, worst of each class first: those of parts that passed, then the large ones."""
    out = []
    parts = results.parts
    escaped = parts.ng & ~parts.called_ng([results.thresholds[index] for index in parts.label])
    for place, (sample, item) in enumerate(zip(results.predictions.data.samples, results.matches, strict=True)):
        sizes = area(sample.xyxy)
        for box in item.missed.tolist():
            width, height = (sample.xyxy[box, 2:] - sample.xyxy[box, :2]).tolist()
            name = results.predictions.data.name(sample.file)
            label = int(sample.label[box])
            passed = bool(escaped[parts.of_sample[place]]) and label in parts.label
            detail = f"{width:.0f}x{height:.0f} px" + (", the part passed" if passed else "")
            worth = (float(passed), float(sizes[box]))
            out.append(Mistake(place, name, label, results.classes[label], detail, worth, sample.xyxy[box]))
    return _in_turn(out)


def false(results: Results) -> list[Mistake]:
    """Detections that find nothing, worst of each class first: those that rejected a good part, then the sure ones."""
    out = []
    pictures = zip(results.predictions.data.samples, results.predictions.found, results.matches, strict=True)
    for place, (sample, found, item) in enumerate(pictures):
        part_is_good = not results.parts.ng[results.parts.of_sample[place]]
        for row, kind in zip(item.kept.tolist(), item.kinds, strict=True):
            if kind == "found":
                continue
            score, label = float(found.score[row]), int(found.label[row])
            good = part_is_good and label in results.parts.label
            detail = _WORDS[kind] + (", a good part rejected" if good else "")
            title = f"{results.classes[label]} {score:.2f}"
            name = results.predictions.data.name(sample.file)
            out.append(Mistake(place, name, label, title, detail, (float(good), score), found.xyxy[row]))
    return _in_turn(out)


def _in_turn(mistakes: list[Mistake]) -> list[Mistake]:
    """Worst first, one of each class in turn: or the hundred alike of one class would hide the others."""
    ranks: Counter[int] = Counter()
    ranked: list[tuple[int, Mistake]] = []
    for mistake in sorted(mistakes, key=lambda mistake: mistake.worth, reverse=True):
        ranked.append((ranks[mistake.label], mistake))
        ranks[mistake.label] += 1
    return [mistake for _, mistake in sorted(ranked, key=itemgetter(0))]


def shown(results: Results, mistakes: Sequence[Mistake], most: int = MOST) -> list[Shown]:
    """The worst mistakes with their pictures."""
    worst = list(mistakes[:most])
    images: dict[int, str] = {}
    by_picture = sorted(range(len(worst)), key=lambda place: worst[place].sample)
    for sample, places in groupby(by_picture, key=lambda place: worst[place].sample):
        try:
            picture: Image | None = read_image(results.predictions.data.samples[sample].file)
        except ImageError:
            picture = None
        for place in places:
            images[place] = "" if picture is None else _address(crop(results, picture, worst[place]))
    return [Shown(mistake, images[place]) for place, mistake in enumerate(worst)]


def crop(results: Results, picture: Image, mistake: Mistake) -> Image:
    """A square around the box with all labels and reports in it, (SIDE_PX, SIDE_PX, 3) uint8 BGR."""
    left, top, side = _window(mistake.xyxy, (picture.shape[1], picture.shape[0]))
    scale = SIDE_PX / side
    grow = scale
    if scale < 1:  # a warp would leave pixels out where it shrinks
        size = [max(1, round(length * scale)) for length in picture.shape[1::-1]]
        picture, grow = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8), 1.0
    moved = np.array([[grow, 0, -left * scale], [0, grow, -top * scale]], np.float32)
    room = cv2.warpAffine(picture, moved, (SIDE_PX, SIDE_PX), flags=cv2.INTER_LINEAR, borderValue=(128, 128, 128))
    out = np.asarray(room, np.uint8)
    sample = results.predictions.data.samples[mistake.sample]
    found, item = results.predictions.found[mistake.sample], results.matches[mistake.sample]
    for boxes, colour in ((sample.xyxy, TRUTH), (found.xyxy[item.kept], REPORTED)):
        for box in boxes:
            meant = bool(np.array_equal(box, mistake.xyxy))
            x1, y1, x2, y2 = (round(float(value)) for value in (box - [left, top, left, top]) * scale)
            cv2.rectangle(out, (x1, y1), (x2, y2), (255, 255, 255), 4 if meant else 2)
            cv2.rectangle(out, (x1, y1), (x2, y2), colour, 3 if meant else 1)
    return out


def _window(xyxy: FloatArray, size: tuple[int, int]) -> tuple[float, float, float]:
    """Left, top and side of the square that is shown; it stays in the picture as far as it can."""
    x1, y1, x2, y2 = (float(value) for value in xyxy)
    side = max(CONTEXT * max(x2 - x1, y2 - y1), MIN_CROP_PX)
    side = max(min(side, float(max(size))), x2 - x1, y2 - y1)
    left, top = ((first + second) / 2 - side / 2 for first, second in ((x1, x2), (y1, y2)))
    return max(0.0, min(left, size[0] - side)), max(0.0, min(top, size[1] - side)), side


def _address(picture: Image) -> str:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
