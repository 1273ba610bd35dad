"""A common threshold where nobody has said what mistakes cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgevision.datasets.base import DataSet, Sample
from edgevision.evaluation.evaluate import Request, judge
from edgevision.evaluation.operating import F1_TRIED, choose_for_f1
from edgevision.evaluation.parts import parts_of
from edgevision.evaluation.predict import Predictions
from edgevision.types import Detections

BOX = np.array([[10, 10, 20, 20]], np.float32)
ELSEWHERE = np.array([[40, 40, 50, 50]], np.float32)


def predictions(*scores: tuple[float, float]) -> Predictions:
    """Pictures with one defect each: found with the first score, and something false with the second."""
    samples, found = [], []
    for number, (right, wrong) in enumerate(scores):
        samples.append(Sample(Path(f"{number}.png"), (64, 64), BOX, np.array([0]), "val"))
        boxes = np.concatenate([BOX, ELSEWHERE])
        found.append(Detections(boxes, np.array([right, wrong], np.float32), np.zeros(2, np.int64)))
    return Predictions(DataSet(("dent",), tuple(samples)), tuple(found), (0.0,) * len(samples))


def best_f1(seen: Predictions) -> float:
    return choose_for_f1(seen, parts_of(seen)).thresholds["dent"]


def test_the_threshold_of_the_best_f1_parts_what_is_right_from_what_is_false() -> None:
    assert 0.42 < best_f1(predictions((0.9, 0.4), (0.7, 0.42), (0.52, 0.1))) <= 0.52


def test_of_equal_thresholds_the_lowest_is_taken_since_an_escape_costs_more() -> None:
    assert best_f1(predictions((0.9, 0.01), (0.95, 0.02))) == F1_TRIED[0]


def test_chosen_where_it_is_reported_it_says_that_it_flatters() -> None:
    seen = predictions((0.9, 0.4), (0.7, 0.42))
    results = judge(seen, seen.data, Request(split="val", choose_on="val", best_f1=True), choose_on=seen)
    assert any("the rates flatter" in note for note in results.notes)
    assert results.point.how.startswith("the common threshold of the best F1")


def test_where_nothing_is_found_the_threshold_is_said_to_mean_nothing() -> None:
    seen = predictions((0.01, 0.9))
    point = choose_for_f1(seen, parts_of(seen))
    assert point.notes == ("No threshold finds a labelled box: 0.05 is merely the lowest that was tried.",)
    assert choose_for_f1(predictions((0.9, 0.4)), parts_of(seen)).notes == ()
