"""Parts are found on belts of any colour, in any light."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from edgevision.analytics.parts import ByContour, ClassFinder, ContourFinder
from edgevision.types import Frame, Image, Tracks

MakeFrame = Callable[..., Frame]
Box = tuple[int, int, int, int]


def _belt(*parts: Box, belt: tuple[int, int, int] = (70, 72, 75), part: tuple[int, int, int] = (40, 120, 40)) -> Image:
    image = np.full((540, 960, 3), belt, np.float64)
    for x1, y1, x2, y2 in parts:
        image[y1:y2, x1:x2] = part
        image[y1 + 20 : y1 + 40, x1 + 20 : x2 - 20] = (200, 200, 200)  # print
        image[y1 + 60 : y1 + 80, x1 + 20 : x1 + 40] = belt  # a hole
    image += np.random.default_rng(0).normal(0, 4, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def _find(finder: ContourFinder, make_frame: MakeFrame, image: Image) -> list[list[float]]:
    return sorted(finder.find(make_frame(0.0, image), Tracks.empty()).tolist())


@pytest.mark.parametrize("belt", [(70, 72, 75), (20, 20, 20), (200, 205, 210), (90, 60, 30)])
def test_boards_are_found_with_their_edges(make_frame: MakeFrame, belt: tuple[int, int, int]) -> None:
    boards: list[Box] = [(100, 100, 400, 400), (500, 120, 850, 430)]
    found = _find(ContourFinder(ByContour()), make_frame, _belt(*boards, belt=belt))
    np.testing.assert_allclose(found, boards, atol=5)


def test_an_empty_belt_has_no_parts(make_frame: MakeFrame) -> None:
    assert _find(ContourFinder(ByContour()), make_frame, _belt()) == []


def test_the_belt_is_followed_when_the_light_changes(make_frame: MakeFrame) -> None:
    finder = ContourFinder(ByContour())
    board: Box = (300, 100, 600, 400)
    image = _belt(board)
    for gain in np.linspace(1.0, 1.8, 60):
        found = _find(finder, make_frame, cv2.convertScaleAbs(image, alpha=float(gain)))
        np.testing.assert_allclose(found, [board], atol=5)


def test_a_given_belt_colour_needs_no_empty_edge(make_frame: MakeFrame) -> None:
    image = _belt((200, 0, 700, 540))
    found = _find(ContourFinder(ByContour(belt="#4b4846")), make_frame, image)
    np.testing.assert_allclose(found, [(200, 0, 700, 540)], atol=5)


def test_specks_are_no_parts(make_frame: MakeFrame) -> None:
    assert _find(ContourFinder(ByContour(min_area=0.02)), make_frame, _belt((100, 100, 190, 190))) == []


def test_the_belt_survives_a_restart(make_frame: MakeFrame) -> None:
    first, second = ContourFinder(ByContour()), ContourFinder(ByContour())
    _find(first, make_frame, _belt())
    second.restore(first.state())
    covered = _belt((0, 0, 900, 540))  # nothing but a board in view: nothing to learn the belt from
    np.testing.assert_allclose(_find(second, make_frame, covered), [(0, 0, 900, 540)], atol=5)


def test_a_part_by_class(make_frame: MakeFrame) -> None:
    boxes = np.array([[0, 0, 9, 9], [10, 0, 19, 9], [20, 0, 29, 9]], np.float32)
    tracks = Tracks(boxes, np.array([0.9, 0.3, 0.9], np.float32), np.array([1, 1, 0]), np.array([1, 2, 3]))
    found = ClassFinder(1, 0.5).find(make_frame(0.0), tracks)
    np.testing.assert_array_equal(found, boxes[:1])
