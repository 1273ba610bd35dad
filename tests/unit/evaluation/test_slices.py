"""Where a model is weak, and when the numbers are too few to say so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgevision.evaluation.coco import coco_result
from edgevision.evaluation.intervals import Rate
from edgevision.evaluation.matching import match_all
from edgevision.evaluation.parts import parts_of
from edgevision.evaluation.predict import Predictions
from edgevision.evaluation.slices import MOST_VALUES, Slice, _worst, slices

BOX = (10.0, 10.0, 30.0, 30.0)


@pytest.fixture(name="boards")
def _boards(labels: Any, dets: Any, preds: Any) -> Any:
    """Pictures with a box each: (column values, found or not)."""

    def make(rows: list[tuple[dict[str, str], bool]], box: tuple[float, ...] = BOX) -> Predictions:
        return preds([  # type: ignore[no-any-return]
            (
                labels([(*box, 0)], f"{number}.png", size=(400, 400), columns=columns),
                dets([(*box, 0, 0.9)] if found else []),
            )
            for number, (columns, found) in enumerate(rows)
        ])  # fmt: skip

    return make


def cut(predictions: Predictions, by: str) -> list[Slice]:
    return [item for item in every(predictions) if item.by == by]


def every(predictions: Predictions) -> list[Slice]:
    half = (0.5, 0.5, 0.5)
    matches, coco = match_all(predictions, half), coco_result(predictions)
    return slices(predictions, matches, parts_of(predictions), half, coco, predictions)


def test_the_worst_board_is_named_where_enough_boxes_say_so(boards: Any) -> None:
    rows = [({"board": "A"}, True)] * 30 + [({"board": "B"}, index < 10) for index in range(30)]
    first, second = cut(boards(rows), "board")
    assert (first.value, first.pictures, first.recall, first.precision, first.worst) == (
        "A", 30, Rate(30, 30), Rate(30, 30), (),
    )  # fmt: skip
    assert (second.recall, second.precision) == (Rate(10, 30), Rate(10, 10))
    assert (second.escape, second.overkill) == (Rate(20, 30), Rate(0, 0))
    assert second.worst == ("recall", "escape")
    assert first.map50 == pytest.approx(1)
    assert second.map50 == pytest.approx(1 / 3, abs=0.01)


def test_few_boxes_are_listed_and_never_the_worst(boards: Any) -> None:
    rows = [({"board": "A"}, True)] * 60 + [({"board": "B"}, False)] * 19
    assert [item.worst for item in cut(boards(rows), "board")] == [(), ()]
    rows.append(({"board": "B"}, False))
    assert [item.worst for item in cut(boards(rows), "board")] == [(), ("recall", "escape")]


def test_a_difference_that_may_be_chance_names_nobody(boards: Any) -> None:
    rows = [({"board": "A"}, index < 18) for index in range(20)]
    rows += [({"board": "B"}, index < 15) for index in range(20)]
    assert not any(item.worst for item in cut(boards(rows), "board"))


def test_any_column_is_a_slice_but_parts_and_serial_numbers(boards: Any) -> None:
    rows = [
        ({"camera": "left" if index % 2 else "", "part": f"P{index}", "serial": str(index)}, True)
        for index in range(MOST_VALUES + 1)
    ]
    made = every(boards(rows))
    assert {item.by for item in made} == {"camera"}
    assert [item.value for item in made] == ["(not given)", "left"]


def test_one_value_is_nothing_to_compare(boards: Any) -> None:
    assert cut(boards([({"board": "A"}, True)] * 3), "board") == []


def test_sizes_are_those_of_labelled_boxes(labels: Any, dets: Any, preds: Any) -> None:
    small, large = (0.0, 0.0, 20.0, 20.0, 0), (50.0, 50.0, 250.0, 250.0, 0)
    pair = preds([(labels([small, large], size=(300, 300)), dets([(*large, 0.9)]))])
    first, second = cut(pair, "size")
    assert (first.value, first.recall, first.precision) == ("small", Rate(0, 1), None)
    assert (second.value, second.recall) == ("large", Rate(1, 1))


def test_brightness_in_thirds(boards: Any) -> None:
    made = boards([({}, index > 3) for index in range(12)])
    grey = Predictions(made.data, made.found, tuple(10.0 * index for index in range(12)))
    dark, medium, bright = cut(grey, "brightness")
    assert dark.value.startswith("dark (grey up to 3")
    assert (dark.recall, medium.recall.count, bright.recall.count) == (Rate(0, 4), 4, 4)
    assert cut(made, "brightness") == []


def test_classes_with_false_ones_only_are_there(labels: Any, dets: Any, preds: Any) -> None:
    pair = preds([(labels([(*BOX, 0)]), dets([(*BOX, 0, 0.9), (60, 60, 80, 80, 2, 0.8)]))])
    named = {item.value: item for item in cut(pair, "class")}
    assert set(named) == {"open", "spur"}
    assert (named["spur"].recall, named["spur"].precision) == (Rate(0, 0), Rate(0, 1))


def test_the_board_whose_good_parts_are_rejected_is_named(labels: Any, dets: Any, preds: Any) -> None:
    pairs = [
        (
            labels([], f"{number}.png", columns={"board": "AB"[number % 2]}),
            dets([(*BOX, 0, 0.9)] if number % 2 else []),
        )
        for number in range(40)
    ]
    first, second = cut(preds(pairs), "board")
    assert (first.overkill, first.escape, first.worst) == (Rate(0, 20), Rate(0, 0), ())
    assert (second.overkill, second.worst) == (Rate(20, 20), ("overkill",))


def test_a_part_seen_by_two_cameras_counts_for_both(labels: Any, dets: Any, preds: Any) -> None:
    pairs = [
        (labels([(*BOX, 0)], "l.png", columns={"part": "P", "camera": "left"}), dets([])),
        (labels([], "r.png", columns={"part": "P", "camera": "right"}), dets([(*BOX, 0, 0.9)])),
    ]
    assert [item.escape for item in cut(preds(pairs), "camera")] == [Rate(0, 1), Rate(0, 1)]
    assert [item.escape for item in every(preds(pairs)) if item.by == "size"] == []


def test_a_column_called_like_a_kind_of_slice_is_told_apart(boards: Any) -> None:
    rows = [({"class": "A" if number % 2 else "B"}, True) for number in range(4)]
    found = every(boards(rows))
    assert [item.value for item in found if item.by == "column class"] == ["A", "B"]
    assert "class" not in {item.by for item in found}


def test_of_many_boards_alike_one_is_hardly_ever_named() -> None:
    random = np.random.default_rng(0)
    named = [_worst([Rate(int(few), 40) for few in random.binomial(40, 0.1, 30)]) is not None for _ in range(300)]
    assert sum(named) < 6
    assert _worst([*[Rate(4, 40)] * 29, Rate(20, 40)]) == 29


@pytest.mark.parametrize(
    ("brightness", "pictures"),
    [
        ((100.0, 102.0, 104.0, 106.0, 100.5, 103.0), [2, 2, 2]),
        ((0.0, 0.0, 0.0, 50.0, 100.0, 100.0), [3, 1, 2]),  # as dark as the limit is dark
        ((100.0, 100.0, 100.2, 100.4, 100.6, 100.8), []),
    ],
)
def test_limits_of_brightness(boards: Any, brightness: tuple[float, ...], pictures: list[int]) -> None:
    seen = replace(boards([({}, True)] * 6), brightness=brightness)
    assert [item.pictures for item in cut(seen, "brightness")] == pictures
