"""Sizes of drawn defects come out as drawn."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgevision.analytics.measure import measure
from edgevision.types import Image


def _plate(noise: float = 3.0) -> Image:
    rng = np.random.default_rng(2)
    return np.clip(rng.normal((60, 130, 60), noise, (200, 300, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("colour", [(10, 20, 10), (200, 220, 200), (60, 60, 60)])
def test_an_upright_mark_in_a_loose_box(colour: tuple[int, int, int]) -> None:
    image = _plate()
    image[80:92, 100:140] = colour
    size = measure(image, np.array([92.0, 74.0, 148.0, 99.0]))
    assert size.length_px == pytest.approx(40, abs=1)
    assert size.width_px == pytest.approx(12, abs=1)
    assert size.area_px == pytest.approx(480, rel=0.03)


def test_a_mark_that_fills_its_box() -> None:
    image = _plate()
    image[80:92, 100:140] = (10, 20, 10)
    size = measure(image, np.array([100.0, 80.0, 140.0, 92.0]))
    assert (size.length_px, size.width_px) == (pytest.approx(40, abs=1), pytest.approx(12, abs=1))


@pytest.mark.parametrize("angle", [0, 20, 45, 70])
def test_a_slanting_scratch_is_as_long_as_it_is(angle: float) -> None:
    image = _plate()
    corners = cv2.boxPoints(((150, 100), (60, 6), angle))
    cv2.fillConvexPoly(image, np.round(corners).astype(np.int32), (15, 15, 15))
    low, high = corners.min(axis=0) - 3, corners.max(axis=0) + 3
    size = measure(image, np.concatenate([low, high]))
    assert size.length_px == pytest.approx(61, abs=3)
    assert size.width_px == pytest.approx(7, abs=2)


def test_a_hole_in_a_trace_between_two_kinds_of_ground() -> None:
    image = _plate()
    image[90:110, :] = (90, 160, 190)  # a trace
    cv2.circle(image, (150, 100), 5, (40, 60, 40), -1)
    size = measure(image, np.array([142.0, 92.0, 158.0, 108.0]))
    assert size.length_px == pytest.approx(11, abs=2)
    assert size.area_px == pytest.approx(np.pi * 25, rel=0.25)


def test_without_contrast_the_box_counts() -> None:
    size = measure(_plate(noise=1.0), np.array([100.0, 50.0, 130.0, 60.0]))
    assert (size.length_px, size.width_px, size.area_px) == (30, 10, 300)


@pytest.mark.parametrize("box", [(-20.0, -20.0, 8.0, 6.0), (290.0, 190.0, 340.0, 240.0), (400.0, 10.0, 420.0, 20.0)])
def test_boxes_over_the_edge_do_no_harm(box: tuple[float, float, float, float]) -> None:
    size = measure(_plate(), np.array(box))
    assert 0 <= size.width_px <= size.length_px <= 30
