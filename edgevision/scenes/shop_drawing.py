"""The look of the drawn shop: the empty room, its products and its people, from above. BGR, plan pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.scenes.shop_plan import PLAN, SHELF_ZONE, SLOTS, Points
from edgevision.types import Image

Colour = tuple[int, int, int]

_PRODUCTS: tuple[Colour, ...] = (
    (62, 84, 196),
    (72, 158, 92),
    (178, 122, 58),
    (58, 172, 214),
    (148, 86, 138),
    (188, 188, 72),
)
_CLOTHES: tuple[Colour, ...] = (
    (120, 70, 40), (52, 52, 58), (60, 60, 160), (92, 130, 70),
    (150, 140, 130), (170, 110, 60), (90, 60, 120), (60, 120, 170),
)  # fmt: skip
_HAIR: tuple[Colour, ...] = ((28, 32, 40), (40, 62, 92), (60, 110, 160), (120, 125, 130), (20, 20, 24))
_FINE = 4  # bits of a pixel's fraction that the drawing functions take, so that motion is smooth


@dataclass(frozen=True, slots=True)
class Look:
    """How one person looks.

    Attributes:
        clothes: Colour of the shoulders.
        sleeves: Colour of the arms.
        hair: Colour of the head.
        size: Half the width of the shoulders, px.
        bag: Whether a bag hangs at the side.
    """

    clothes: Colour
    sleeves: Colour
    hair: Colour
    size: float
    bag: bool


def make_look(seed: int, person: int) -> Look:
    """One person's look."""
    rng = np.random.default_rng([seed, 2, person])
    clothes = _CLOTHES[int(rng.integers(len(_CLOTHES)))]
    blue, green, red = (int(np.clip(value + rng.integers(-18, 19), 10, 235)) for value in clothes)
    tone = (blue, green, red)
    sleeves = tone if rng.random() < 0.6 else (110, 150, 200)  # noqa: PLR2004 - bare arms otherwise
    hair = _HAIR[int(rng.integers(len(_HAIR)))]
    return Look(tone, _scaled(sleeves, 0.85), hair, float(rng.uniform(20, 25)), bool(rng.random() < 0.35))  # noqa: PLR2004


def draw_room(seed: int) -> Image:
    """The empty shop: tiles, door mat, walls, shelves, till; the watched slots are empty. (540, 960, 3) uint8."""
    rng = np.random.default_rng([seed, 3])
    room = _floor(rng)
    _mat(room)
    for top in (262, 300):  # the island between the aisles
        _shelf(room, (330, top), (680, top + 36), rng)
    _shelf(room, (330, 470), (680, 506), rng)
    cv2.rectangle(room, (0, 0), (PLAN[0], 26), (150, 152, 154), -1)
    cv2.rectangle(room, (0, 26), (PLAN[0], 31), (108, 110, 112), -1)
    for left, right in ((0, 140), (400, 960)):
        cv2.rectangle(room, (0, left), (12, right), (150, 152, 154), -1)
    _watched_shelf(room)
    _till(room)
    return _lit(room)


def slot_box(slot: int) -> tuple[int, int, int, int]:
    """Where a slot of the watched shelf lies on the plan: x1, y1, x2, y2."""
    left, right = SHELF_ZONE[0][0], SHELF_ZONE[1][0]
    pitch = (right - left) / SLOTS
    x = left + slot * pitch
    return round(x + 3), 40, round(x + pitch - 3), 78


def draw_slot(frame: Image, slot: int) -> None:
    """Fill a slot of the watched shelf with its products."""
    x1, y1, x2, y2 = slot_box(slot)
    colour = _PRODUCTS[slot % len(_PRODUCTS)]
    for row in range(2):
        for column in range(2):
            left = x1 + column * (x2 - x1) // 2
            top = y1 + row * (y2 - y1) // 2
            corner = (left + (x2 - x1) // 2 - 2, top + (y2 - y1) // 2 - 2)
            cv2.rectangle(frame, (left, top), corner, colour, -1)
            cv2.rectangle(frame, (left + 2, top + 3), (corner[0] - 2, top + 6), _scaled(colour, 1.35), -1)


def draw_shadow(frame: Image, place: tuple[float, float], look: Look, heading: float) -> None:
    """A soft shadow: the light comes from the upper left."""
    x, y, reach = round(place[0] + 7), round(place[1] + 9), 44
    x1, y1, x2, y2 = (
        max(0, x - reach),
        max(0, y - reach),
        min(frame.shape[1], x + reach),
        min(frame.shape[0], y + reach),
    )
    if x2 <= x1 or y2 <= y1:
        return
    mask = np.zeros((2 * reach, 2 * reach), np.uint8)
    axes = (round(look.size * 0.62), round(look.size * 1.05))
    cv2.ellipse(mask, (reach, reach), axes, float(np.degrees(heading)), 0, 360, 118, -1, cv2.LINE_AA)
    soft = np.asarray(cv2.blur(cv2.blur(mask, (11, 11)), (9, 9)), np.uint8)
    part = 255 - soft[y1 - y + reach : y2 - y + reach, x1 - x + reach : x2 - x + reach]
    region = frame[y1:y2, x1:x2]
    cv2.multiply(region, cv2.merge([part, part, part]), dst=region, scale=1 / 255)


def draw_person(frame: Image, place: tuple[float, float], look: Look, heading: float, swing: float) -> None:
    """A person from above: feet, arms, shoulders, head. ``swing`` is the phase of the step, -1..1."""
    forward = np.array([np.cos(heading), np.sin(heading)])
    aside = np.array([-forward[1], forward[0]])
    centre, size = np.array(place), look.size
    for hand in (-1, 1):
        foot = centre + aside * hand * size * 0.34 + forward * swing * hand * size * 0.62
        _ellipse(frame, foot, (size * 0.36, size * 0.19), heading, (34, 36, 42))
    for hand in (-1, 1):
        shoulder = centre + aside * hand * size * 0.88
        wrist = shoulder - forward * swing * hand * size * 0.55 + forward * size * 0.18
        cv2.line(frame, _fine(shoulder), _fine(wrist), look.sleeves, round(size * 0.34), cv2.LINE_AA, _FINE)
        _ellipse(frame, wrist, (size * 0.2, size * 0.17), heading, (128, 162, 208))
    if look.bag:
        _ellipse(
            frame,
            centre + aside * size * 1.05 - forward * size * 0.2,
            (size * 0.5, size * 0.26),
            heading,
            (46, 70, 104),
        )
    _ellipse(frame, centre, (size * 0.5, size), heading, _scaled(look.clothes, 0.8))
    _ellipse(frame, centre - (1.2, 1.6), (size * 0.44, size * 0.93), heading, look.clothes)
    _ellipse(frame, centre - (4.0, 4.5), (size * 0.2, size * 0.5), heading, _scaled(look.clothes, 1.16))
    head = centre + forward * size * 0.16
    _ellipse(frame, head + forward * size * 0.14, (size * 0.36, size * 0.3), heading, (132, 168, 214))
    _ellipse(frame, head, (size * 0.4, size * 0.36), heading, look.hair)
    _ellipse(frame, head - (2.2, 2.6), (size * 0.17, size * 0.14), heading, _scaled(look.hair, 1.5))


def person_points(place: tuple[float, float], look: Look, heading: float, swing: float) -> Points:
    """(K, 2) corners of boxes around all that ``draw_person`` paints: their bounds are the person's box."""
    forward = np.array([np.cos(heading), np.sin(heading)])
    aside = np.array([-forward[1], forward[0]])
    centre, size = np.array(place), look.size
    stride = forward * swing * size
    parts: list[tuple[NDArray[np.float64], float, float]] = [(centre, size * 0.5, size)]
    for hand in (-1, 1):
        parts.append(
            (centre + aside * hand * size * 0.34 + forward * swing * hand * size * 0.62, size * 0.36, size * 0.19)
        )
        wrist = centre + aside * hand * size * 0.88 - stride * hand * 0.55 + forward * size * 0.18
        parts.append((wrist, size * 0.2, size * 0.17))
    parts.extend((centre + aside * hand * size * 0.88, size * 0.17, size * 0.17) for hand in (-1, 1))
    parts.append((centre + forward * size * 0.3, size * 0.36, size * 0.3))
    if look.bag:
        parts.append((centre + aside * size * 1.05 - forward * size * 0.2, size * 0.5, size * 0.26))
    corners = []
    for middle, along, across in parts:
        half = np.hypot(along * forward, across * aside)  # an ellipse's bounds: both axes' shares, squared and added
        corners += [middle - half, middle + half]
    return np.array(corners)


def _ellipse(
    frame: Image, centre: NDArray[np.float64], axes: tuple[float, float], heading: float, colour: Colour
) -> None:
    degrees = float(np.degrees(heading))
    cv2.ellipse(frame, _fine(centre), _fine(np.array(axes)), degrees, 0, 360, colour, -1, cv2.LINE_AA, _FINE)


def _fine(point: NDArray[np.float64]) -> tuple[int, int]:
    return round(float(point[0]) * (1 << _FINE)), round(float(point[1]) * (1 << _FINE))


def _scaled(colour: Colour, factor: float) -> Colour:
    blue, green, red = (min(255, int(value * factor)) for value in colour)
    return blue, green, red


def _floor(rng: np.random.Generator) -> Image:
    tile = 45
    rows, columns = PLAN[1] // tile, PLAN[0] // tile + 1
    shades = 186 + rng.normal(0, 3.2, (rows, columns, 1)) + rng.normal(0, 1, (rows, columns, 3))
    floor = np.kron(shades, np.ones((tile, tile, 1)))[: PLAN[1], : PLAN[0]]
    floor *= np.array([0.94, 0.98, 1.0])
    floor += cv2.GaussianBlur(rng.normal(0, 16, (*PLAN[::-1], 1)), (0, 0), 2.2)[..., None]
    floor[::tile] -= 20
    floor[:, ::tile] -= 20
    out: Image = np.clip(floor, 0, 255).astype(np.uint8)
    return out


def _mat(room: Image) -> None:
    cv2.rectangle(room, (0, 150), (118, 390), (74, 70, 68), -1)
    for x in range(4, 118, 6):
        cv2.line(room, (x, 153), (x, 387), (86, 82, 80), 2)
    cv2.rectangle(room, (0, 150), (118, 390), (52, 50, 48), 3)
    for y in (140, 400):  # the leaves of the open glass door
        cv2.rectangle(room, (0, y - 4), (104, y + 4), (202, 190, 160), -1)
        cv2.rectangle(room, (0, y - 4), (104, y + 4), (120, 112, 100), 1)


def _shelf(room: Image, low: tuple[int, int], high: tuple[int, int], rng: np.random.Generator) -> None:
    _soft_dark(room, (low[0] + 5, low[1] + 8), (high[0] + 8, high[1] + 10))
    cv2.rectangle(room, low, high, (128, 136, 142), -1)
    x = low[0] + 5
    while x < high[0] - 16:
        width = int(rng.integers(12, 22))
        for row in range(2):
            colour = _scaled(_PRODUCTS[int(rng.integers(len(_PRODUCTS)))], float(rng.uniform(0.75, 1.1)))
            top = low[1] + 4 + row * (high[1] - low[1] - 4) // 2
            right = min(x + width, high[0] - 5)
            cv2.rectangle(room, (x, top), (right, top + (high[1] - low[1]) // 2 - 7), colour, -1)
            cv2.line(room, (x + 2, top + 3), (right - 2, top + 3), _scaled(colour, 1.35), 2)
        x += width + 3
    cv2.rectangle(room, low, high, (92, 98, 104), 2)


def _watched_shelf(room: Image) -> None:
    left, right = int(SHELF_ZONE[0][0]), int(SHELF_ZONE[1][0])
    _soft_dark(room, (left - 2, 36), (right + 14, 96))
    cv2.rectangle(room, (left - 8, 32), (right + 8, 86), (146, 160, 172), -1)
    for slot in range(SLOTS):
        x1, y1, x2, y2 = slot_box(slot)
        cv2.rectangle(room, (x1 - 1, y1 - 2), (x2 + 1, y2 + 1), (58, 62, 66), -1)
        cv2.rectangle(room, (x1 + 3, 81), (x2 - 3, 85), (236, 236, 232), -1)
    cv2.rectangle(room, (left - 8, 32), (right + 8, 86), (98, 108, 116), 2)


def _till(room: Image) -> None:
    _soft_dark(room, (862, 384), (928, 506))
    cv2.rectangle(room, (858, 376), (918, 496), (70, 106, 148), -1)
    cv2.rectangle(room, (858, 376), (918, 496), (50, 76, 108), 2)
    cv2.rectangle(room, (864, 400), (884, 474), (58, 58, 60), -1)  # the belt
    cv2.rectangle(room, (892, 424), (912, 452), (40, 40, 42), -1)  # the screen
    cv2.rectangle(room, (895, 427), (909, 449), (190, 160, 96), -1)


def _soft_dark(room: Image, low: tuple[int, int], high: tuple[int, int]) -> None:
    mask = np.zeros(room.shape[:2], np.uint8)
    cv2.rectangle(mask, low, high, 120, -1)
    dark = 255 - cv2.GaussianBlur(mask, (0, 0), 7)
    room[:] = cv2.multiply(room, cv2.merge([dark, dark, dark]), scale=1 / 255)


def _lit(room: Image) -> Image:
    """Three ceiling lamps and darker corners."""
    y, x = np.mgrid[0 : PLAN[1], 0 : PLAN[0]].astype(np.float32)
    light = np.full((PLAN[1], PLAN[0]), 0.8, np.float32)
    for lamp in (170, 480, 790):
        light += 0.27 * np.exp(-(((x - lamp) / 190) ** 2 + ((y - 235) / 210) ** 2))
    out: Image = np.clip(room * light[..., None], 0, 255).astype(np.uint8)
    return out
