"""Thresholds for a wanted escape rate or the least cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevision.errors import DatasetError
from edgevision.evaluation.intervals import Rate
from edgevision.evaluation.operating import Costs, choose_for_cost, choose_for_escape, expected_cost, sweep
from edgevision.evaluation.parts import PartRates, Parts, part_rates, parts_of

EQUAL = Costs(escape=100, overkill=1, ng_share=0.05)


def made(ng: list[bool], best: Any, labelled: Any = None) -> Parts:
    array = np.array(best, np.float32).reshape(len(ng), -1)
    names, classes = tuple(map(str, range(len(ng)))), tuple("abc"[: array.shape[1]])
    shown = np.tile(np.array(ng)[:, None], (1, array.shape[1])) if labelled is None else np.array(labelled)
    return Parts(names, classes, np.arange(array.shape[1]), np.array(ng), array, shown, np.arange(len(ng)))


def test_the_largest_threshold_that_lets_no_more_escape() -> None:
    parts = made([True] * 10 + [False] * 2, [[0.1 * step] for step in range(1, 11)] + [[0.05], [0.95]])
    none = choose_for_escape(parts, 0.0)
    assert none.thresholds == {"a": 0.1}
    two = choose_for_escape(parts, 0.2)
    assert two.thresholds == {"a": 0.3}
    assert two.chosen_on is not None
    assert (two.chosen_on.escape.count, two.chosen_on.overkill.count) == (2, 1)


def test_one_class_moves_where_it_saves_good_parts_and_no_further() -> None:
    ng = [True] * 40 + [False] * 20
    best = [[0.6, 0.0]] * 20 + [[0.0, 0.9]] * 20 + [[0.0, 0.7]] * 20
    chosen = choose_for_escape(made(ng, best), 0.0)
    assert chosen.thresholds["a"] == pytest.approx(0.6)
    assert 0.7 < chosen.thresholds["b"] < 0.71
    assert chosen.chosen_on is not None
    assert chosen.chosen_on.overkill.count == 0


def test_a_class_that_few_parts_show_keeps_the_common_threshold() -> None:
    ng = [True] * 40 + [False] * 20
    best = [[0.6, 0.0]] * 20 + [[0.0, 0.9]] * 20 + [[0.0, 0.7]] * 20
    labelled = [[True, index < 19] for index in range(40)] + [[False, False]] * 20
    chosen = choose_for_escape(made(ng, best, labelled), 0.0)
    assert chosen.thresholds["b"] == chosen.thresholds["a"]
    assert "Fewer than 20 defective parts show b" in chosen.notes[0]


def test_a_defect_that_nothing_sees_is_told() -> None:
    chosen = choose_for_escape(made([True] * 3, [[0.0], [0.5], [0.6]]), 0.1)
    assert any("No threshold lets as few as 10 % escape" in note for note in chosen.notes)
    assert any("not measurable" in note for note in chosen.notes)
    assert any("3 defective parts cannot show 10 %; that takes 29" in note for note in chosen.notes)


def test_the_least_cost_weighs_both_mistakes() -> None:
    ng, best = [True, True, False, False], [[0.2], [0.8], [0.3], [0.1]]
    dear = choose_for_cost(made(ng, best), Costs(escape=1000, overkill=1, ng_share=0.5))
    cheap = choose_for_cost(made(ng, best), Costs(escape=1, overkill=1000, ng_share=0.5))
    assert dear.chosen_on is not None
    assert cheap.chosen_on is not None
    assert (dear.chosen_on.escape.count, dear.chosen_on.overkill.count) == (0, 1)
    assert (cheap.chosen_on.escape.count, cheap.chosen_on.overkill.count) == (1, 0)
    assert 0.3 < cheap.thresholds["a"] < 0.8
    assert "0.25 a part" in dear.how


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31))
def test_choosing_is_never_worse_than_any_common_threshold(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ng = [*map(bool, rng.random(60) < 0.6), True, False]
    best = rng.random((62, 3)).round(1) * np.where(ng, 1.0, 0.7)[:, None]
    parts = made(ng, best)
    chosen = choose_for_cost(parts, EQUAL)
    assert chosen.chosen_on == part_rates(parts, list(chosen.thresholds.values()))
    cost = expected_cost(part_rates(parts, list(chosen.thresholds.values())), EQUAL)
    assert all(cost <= expected_cost(part_rates(parts, [t] * 3), EQUAL) + 1e-9 for t in np.linspace(0.001, 1, 60))
    wanted = choose_for_escape(parts, 0.1)
    assert wanted.chosen_on is not None
    if not any("No threshold" in note for note in wanted.notes):
        assert (wanted.chosen_on.escape.value or 0) <= 0.1


def test_what_cannot_be_measured_cannot_be_chosen_by(scored: Any) -> None:
    with pytest.raises(DatasetError, match="no part of the split to choose on is defective"):
        choose_for_escape(parts_of(scored([(False, (0.5,))])), 0.1)
    with pytest.raises(DatasetError, match="overkill is not measurable and has no cost"):
        choose_for_cost(parts_of(scored([(True, (0.5,))])), EQUAL)


def test_the_wish_is_told_with_all_its_digits(scored: Any) -> None:
    point = choose_for_escape(parts_of(scored([(True, (0.9,)), (False, (0.1,))])), 0.0125)
    assert point.how.startswith("the largest common threshold with at most 1.25 % escapes")
    assert "1 defective parts cannot show 1.25 %; that takes 239 without an escape." in point.notes


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31))
def test_a_sweep_counts_what_the_thresholds_do_one_by_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    parts = made((random.random(25) < 0.5).tolist(), random.integers(0, 11, (25, 3)) / 10)
    steps = [0.001, 0.1, 0.3, 0.30001, 0.7, 0.95, 1.0]  # scores lie on them, in float32
    assert sweep(parts, steps) == [part_rates(parts, [step] * 3) for step in steps]


def test_the_expected_cost_weighs_escapes_by_the_share_of_defective_parts() -> None:
    rates = PartRates(Rate(1, 10), Rate(2, 10))
    assert expected_cost(rates, Costs(100, 1, 0.05)) == pytest.approx(0.05 * 0.1 * 100 + 0.95 * 0.2)


def test_of_equal_costs_the_widest_stretch_wins_however_many_scores_lie_in_another() -> None:
    parts = made([True, True, True, False, False, False], [[0.2], [0.3], [0.9], [0.1], [0.2], [0.32]])
    assert choose_for_cost(parts, Costs(1, 1, 0.5)).thresholds["a"] == pytest.approx(0.61, abs=1e-3)


def test_a_class_moves_down_no_further_than_it_must() -> None:
    best = [[0.9, 0]] * 20 + [[0, 0.3]] * 20 + [[0.5, 0]] * 20
    labelled = [[True, False]] * 20 + [[False, True]] * 20 + [[False, False]] * 20
    point = choose_for_cost(made([True] * 40 + [False] * 20, best, labelled), Costs(1, 1, 0.5))
    assert list(point.thresholds.values()) == pytest.approx([0.7, 0.3], abs=1e-3)
    assert point.chosen_on == PartRates(Rate(0, 40), Rate(0, 20))


def test_a_threshold_never_lies_just_above_the_score_that_it_is_for() -> None:
    score = np.nextafter(np.float32(0.7), np.float32(0))
    point = choose_for_escape(made([True, False], [[score], [0.1]]), 0.0)
    assert list(point.thresholds.values()) == [0.6999]


def test_twenty_parts_are_enough_for_a_threshold_of_its_own() -> None:
    best = [[0.6, 0.0]] * 20 + [[0.0, 0.9]] * 20 + [[0.0, 0.7]] * 20
    labelled = [[True, index < 20] for index in range(40)] + [[False, False]] * 20
    chosen = choose_for_escape(made([True] * 40 + [False] * 20, best, labelled), 0.0)
    assert chosen.thresholds["b"] > 0.7
    assert not any("common threshold is kept" in note for note in chosen.notes)


@pytest.mark.parametrize(("ng", "told"), [(298, True), (299, False)])
def test_just_enough_parts_are_enough_to_show_the_wish(ng: int, *, told: bool) -> None:
    notes = choose_for_escape(made([True] * ng + [False], [[0.9]] * ng + [[0.1]]), 0.01).notes
    assert any("cannot show 1 %; that takes 299" in note for note in notes) is told
