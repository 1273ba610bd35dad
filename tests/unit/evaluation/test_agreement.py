"""How much two detectors say the same."""

from __future__ import annotations

from typing import Any

import pytest

from edgevision.evaluation.agreement import agreement

BOX = (10, 10, 30, 30)


def test_the_same_twice_is_one_and_nothing_in_common_is_zero(dets: Any) -> None:
    some = dets([(*BOX, 0, 0.9), (50, 50, 70, 70, 1, 0.4)])
    assert agreement([some], [some]) == pytest.approx(1.0)
    assert agreement([some], [dets([])]) == 0.0
    assert agreement([dets([(*BOX, 0, 0.9)])], [dets([(*BOX, 1, 0.9)])]) == 0.0, "another class is another thing"
    assert agreement([dets([])], [dets([])]) == 1.0


def test_scores_and_overlaps_count(dets: Any) -> None:
    whole, lower = dets([(*BOX, 0, 0.8)]), dets([(*BOX, 0, 0.4)])
    assert agreement([whole], [lower]) == pytest.approx(2 * 0.4 / 1.2)
    shifted = dets([(10, 10, 30, 26, 0, 0.8)])
    assert agreement([whole], [shifted]) == pytest.approx(0.8)
    far = dets([(20, 10, 40, 30, 0, 0.8)])
    assert agreement([whole], [far]) == 0.0, "less than half in common is another object"


def test_a_box_is_one_of_the_other_only_once(dets: Any) -> None:
    one, two = dets([(*BOX, 0, 0.8)]), dets([(*BOX, 0, 0.8), (*BOX, 0, 0.6)])
    assert agreement([one], [two]) == pytest.approx(2 * 0.8 / (0.8 + 1.4))


def test_pictures_are_summed_up(dets: Any) -> None:
    some, none = dets([(*BOX, 0, 0.5)]), dets([])
    assert agreement([some, some], [some, none]) == pytest.approx(2 * 0.5 / 1.5)
