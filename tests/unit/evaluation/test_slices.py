"""Where a model is weak, named only where it is no chance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edgevision.evaluation.matching import match_all
from edgevision.evaluation.predict import Predictions
from edgevision.evaluation.slices import Slice, slices


def boards(preds: Any, labels: Any, dets: Any, counts: dict[str, tuple[int, int]]) -> Predictions:
    """Pictures with one box each: by board how many are found, and how many there are."""
    pairs = []
    for board, (found, whole) in counts.items():
        for number in range(whole):
            sample = labels([(0, 0, 20, 20, number % 2)], f"{board}-{number}.png", columns={"board": board})
            pairs.append((sample, dets([(0, 0, 20, 20, number % 2, 0.9)] if number < found else [])))
    made: Predictions = preds(pairs)
    return made


def of(kind: str, predictions: Predictions) -> dict[str, Slice]:
    made = slices(predictions, match_all(predictions, (0.5, 0.5, 0.5)))
    return {item.value: item for item in made if item.by == kind}


def test_the_worst_board_is_named_and_all_are_listed(preds: Any, labels: Any, dets: Any) -> None:
    made = of("board", boards(preds, labels, dets, {"1": (40, 40), "2": (15, 40), "3": (38, 40)}))
    assert {name: (item.recall.count, item.recall.total) for name, item in made.items()} == {
        "1": (40, 40), "2": (15, 40), "3": (38, 40),
    }  # fmt: skip
    assert [name for name, item in made.items() if item.worst] == ["2"]


@pytest.mark.parametrize("counts", [{"1": (5, 5), "2": (0, 5)}, {"1": (38, 40), "2": (36, 40)}])
def test_chance_names_nobody(preds: Any, labels: Any, dets: Any, counts: dict[str, tuple[int, int]]) -> None:
    made = of("board", boards(preds, labels, dets, counts))
    assert len(made) == 2
    assert not any(item.worst for item in made.values())


def test_class_size_and_brightness(preds: Any, labels: Any, dets: Any) -> None:
    big = (labels([(0, 0, 50, 50, 2)], "big.png"), dets([(0, 0, 50, 50, 2, 0.9), (60, 60, 70, 70, 0, 0.9)]))
    small = (labels([(0, 0, 20, 20, 0)], "small.png"), dets([]))
    made = replace(preds([big, small, small]), brightness=(10.0, 100.0, 200.0))
    assert {name: item.recall.total for name, item in of("class", made).items()} == {"open": 2, "spur": 1}
    assert of("class", made)["open"].precision is not None
    assert {name: item.recall.count for name, item in of("size", made).items()} == {"small": 0, "medium": 1}
    assert list(of("brightness", made)) == ["dark (grey < 70)", "medium", "bright (grey > 133)"]


def test_kinds_that_tell_nothing_are_left_out(preds: Any, labels: Any, dets: Any) -> None:
    pairs = [
        (labels([(0, 0, 20, 20, 0)], f"{n}.png", columns={"serial": str(n), "camera": "1", "part": str(n)}), dets([]))
        for n in range(31)
    ]
    made = preds(pairs)
    assert slices(made, match_all(made, (0.5, 0.5, 0.5))) == []


def test_a_picture_without_the_column_is_a_slice_too(preds: Any, labels: Any, dets: Any) -> None:
    pairs = [(labels([], "a.png", columns={"lot": "A"}), dets([])), (labels([], "b.png"), dets([]))]
    assert set(of("lot", preds(pairs))) == {"A", "(not given)"}
