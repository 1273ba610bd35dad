"""Areas, overlaps, sides and polygons."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevision.geometry import (
    Anchor,
    Polygons,
    all_anchors,
    along,
    anchor_points,
    area,
    inside,
    iou,
    polygon_problem,
    self_crossing,
    side,
)

BOXES = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 40], [7, 7, 7, 20], [9, 9, 3, 3]], np.float32)
SQUARE = np.array([[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]])
ARROW = np.array([[0.1, 0.1], [0.9, 0.5], [0.1, 0.9], [0.4, 0.5]])  # not convex
POINT = st.tuples(st.floats(0, 1), st.floats(0, 1))


class TestBoxes:
    def test_area_of_a_turned_over_box_is_nothing(self) -> None:
        assert area(BOXES).tolist() == [100, 100, 200, 0, 0]

    def test_iou(self) -> None:
        overlap = iou(BOXES, BOXES)
        np.testing.assert_allclose(np.diag(overlap)[:3], 1)
        np.testing.assert_allclose(overlap[0, 1], 1 / 3)
        assert overlap[0, 2] == 0
        assert overlap[3:].max() == 0
        np.testing.assert_allclose(overlap, overlap.T)

    def test_iou_with_nothing(self) -> None:
        assert iou(BOXES, BOXES[:0]).shape == (5, 0)
        assert iou(BOXES[:0], BOXES).shape == (0, 5)

    @given(st.lists(st.tuples(*[st.floats(0, 2000, width=32)] * 4), min_size=1, max_size=8))
    def test_iou_lies_between_nothing_and_all(self, rows: list[tuple[float, ...]]) -> None:
        boxes = np.sort(np.array(rows, np.float32).reshape(-1, 2, 2), axis=1).reshape(-1, 4)
        overlap = iou(boxes, boxes)
        assert (overlap >= 0).all()
        assert (overlap <= 1 + 1e-5).all()

    @pytest.mark.parametrize(("anchor", "y"), [("feet", 40), ("centre", 30), ("head", 20)])
    def test_anchors(self, anchor: Anchor, y: float) -> None:
        assert anchor_points(BOXES[2:3], anchor).tolist() == [[25, y]]

    def test_all_anchors_at_once_are_the_three(self) -> None:
        together = all_anchors(BOXES)
        for index, anchor in enumerate(("feet", "centre", "head")):
            np.testing.assert_array_equal(together[:, index], anchor_points(BOXES, anchor))


class TestLines:
    A, B = np.array([740.0, 0.0]), np.array([740.0, 500.0])  # pointing down the picture

    def test_right_of_who_looks_down_the_picture_is_its_left(self) -> None:
        assert side(np.array([[700.0, 250.0], [800.0, 250.0], [740.0, 9.0]]), self.A, self.B).tolist() == [40, -60, 0]

    def test_distance_does_not_depend_on_the_length(self) -> None:
        points = np.array([[700.0, 250.0]])
        assert side(points, self.A, self.A + np.array([0, 7])).tolist() == [40]

    def test_along(self) -> None:
        points = np.array([[9.0, 0.0], [900.0, 250.0], [740.0, 500.0], [740.0, -250.0]])
        assert along(points, self.A, self.B).tolist() == [0, 0.5, 1, -0.5]


class TestPolygons:
    def test_inside(self) -> None:
        points = np.array([[0.5, 0.5], [0.1, 0.5], [0.5, 0.9], [0.3, 0.5]])
        assert inside(points, SQUARE).tolist() == [True, False, False, True]
        assert inside(points, ARROW).tolist() == [True, False, False, False]

    @given(st.lists(POINT, min_size=1, max_size=30))
    def test_many_polygons_at_once_are_each_of_them(self, points: list[tuple[float, float]]) -> None:
        table = np.array(points)
        polygons = [SQUARE, ARROW, SQUARE[:3]]
        together = Polygons(polygons)(np.repeat(table[:, None], 3, axis=1))
        for index, polygon in enumerate(polygons):
            np.testing.assert_array_equal(together[:, index], inside(table, polygon))

    def test_no_polygons_and_no_points(self) -> None:
        assert Polygons([])(np.zeros((4, 0, 2))).shape == (4, 0)
        assert Polygons([SQUARE])(np.zeros((0, 1, 2))).shape == (0, 1)

    def test_neighbouring_zones_share_no_point_on_their_border(self) -> None:
        left, right = SQUARE * [0.5, 1], SQUARE * [0.5, 1] + [0.3, 0]
        border = np.column_stack([np.full(9, 0.4), np.linspace(0.25, 0.75, 9)])
        assert (inside(border, left) ^ inside(border, right)).all()

    def test_problems_are_named(self) -> None:
        assert polygon_problem(SQUARE) is None
        assert polygon_problem(ARROW) is None
        assert "cross" in str(polygon_problem(SQUARE[[0, 2, 1, 3]]))
        assert "no area" in str(polygon_problem(np.array([[0, 0], [0.5, 0.5], [1, 1]])))

    def test_self_crossing(self) -> None:
        assert self_crossing(SQUARE[[0, 2, 1, 3]])
        assert not self_crossing(SQUARE)
