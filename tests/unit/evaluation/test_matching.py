"""What is found, false and missed, and what the false ones are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevision.datasets.base import Sample
from edgevision.evaluation.matching import (
    Counts,
    confusion,
    counts_by_class,
    false_kinds,
    match,
    match_all,
    total,
)
from edgevision.types import Detections

HALF = (0.5, 0.5, 0.5)


def test_every_kind_of_false_detection(labels: Any, dets: Any, preds: Any) -> None:
    sample = labels([(10, 10, 30, 30, 0), (60, 60, 80, 80, 1)])
    found = dets([
        (10, 10, 30, 30, 0, 0.9),  # found
        (11, 10, 31, 30, 0, 0.8),  # the same once more
        (60, 60, 80, 80, 2, 0.7),  # another class lies there
        (20, 10, 40, 30, 0, 0.65),  # a third of the box
        (0, 80, 10, 90, 1, 0.6),  # nothing
        (60, 60, 80, 80, 1, 0.4),  # right, but below the threshold
    ])  # fmt: skip
    made = match(sample, found, HALF)
    assert made.kept.tolist() == [0, 1, 2, 3, 4]
    assert made.kinds == ("found", "duplicate", "wrong_class", "bad_place", "nothing_there")
    assert made.truth.tolist() == [0, -1, -1, -1, -1]
    assert made.missed.tolist() == [1]
    pairs = preds([(sample, found)])
    assert counts_by_class(pairs, [made]) == [Counts(1, 2, 0), Counts(0, 1, 1), Counts(0, 1, 0)]
    assert total(counts_by_class(pairs, [made])) == Counts(1, 4, 1)
    assert false_kinds([made]) == {"duplicate": 1, "wrong_class": 1, "bad_place": 1, "nothing_there": 1}
    assert confusion(pairs, [made]).tolist() == [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [2, 1, 0, 0]]


def test_the_better_detection_chooses_first_and_takes_the_box_it_overlaps_most(labels: Any, dets: Any) -> None:
    sample = labels([(0, 0, 20, 20, 0), (4, 0, 24, 20, 0)])
    made = match(sample, dets([(4, 0, 24, 20, 0, 0.6), (3, 0, 23, 20, 0, 0.9)]), HALF)
    assert made.kept.tolist() == [1, 0]
    assert made.truth.tolist() == [1, 0]


def test_thresholds_are_by_class_and_reached_by_equal_scores(labels: Any, dets: Any) -> None:
    found = dets([(0, 0, 10, 10, 0, 0.5), (0, 0, 10, 10, 1, 0.5)])
    made = match(labels([(0, 0, 10, 10, 0)]), found, (0.5, 0.6, 0.5))
    assert made.kept.tolist() == [0]


def test_empty_pictures(labels: Any, dets: Any) -> None:
    assert match(labels([]), dets([(0, 0, 1, 1, 0, 0.9)]), HALF).kinds == ("nothing_there",)
    assert match(labels([(0, 0, 1, 1, 0)]), dets([]), HALF).missed.tolist() == [0]


boxes = st.lists(st.tuples(*[st.integers(0, 40)] * 2, *[st.integers(3, 20)] * 2, st.integers(0, 2)), max_size=8)


@given(boxes, boxes, st.integers(0, 2**31))
def test_rows_and_columns_add_up(truth: list[Any], reported: list[Any], seed: int) -> None:
    def corners(rows: list[Any]) -> np.ndarray[Any, Any]:
        array = np.array(rows, np.float32).reshape(-1, 5)
        return np.concatenate([array[:, :2], array[:, :2] + array[:, 2:4]], axis=1)

    def column(rows: list[Any]) -> np.ndarray[Any, Any]:
        return np.array([row[4] for row in rows], np.int64)

    sample = Sample("a.png", (64, 64), corners(truth), column(truth))  # type: ignore[arg-type]
    score = np.random.default_rng(seed).random(len(reported)).astype(np.float32)
    found = Detections(corners(reported), score, column(reported))
    from edgevision.datasets.base import DataSet
    from edgevision.evaluation.predict import Predictions

    pairs = Predictions(DataSet(("a", "b", "c"), (sample,)), (found,), (0.0,))
    matches = match_all(pairs, HALF)
    matrix = confusion(pairs, matches)
    kept = found.label[score >= 0.5]
    assert matrix[:3].sum(axis=1).tolist() == np.bincount(sample.label, minlength=3).tolist()
    assert matrix[:, :3].sum(axis=0).tolist() == np.bincount(kept, minlength=3).tolist()
    assert sum(false_kinds(matches).values()) == total(counts_by_class(pairs, matches)).false


@pytest.mark.parametrize(("min_iou", "kind"), [(0.3, "found"), (0.5, "bad_place")])
def test_the_overlap_that_is_asked_for(labels: Any, dets: Any, min_iou: float, kind: str) -> None:
    made = match(labels([(10, 10, 30, 30, 0)]), dets([(20, 10, 40, 30, 0, 0.9)]), HALF, min_iou)
    assert made.kinds == (kind,)


@pytest.mark.parametrize(
    ("height", "label", "kind"),
    [
        (5, 0, "found"),  # an IoU of just 0.5
        (5, 1, "wrong_class"),
        (4.9, 0, "bad_place"),
        (4.9, 1, "bad_place"),
        (1.5, 0, "bad_place"),
        (1, 0, "bad_place"),  # just 0.1
        (0.9, 0, "nothing_there"),
    ],
)
def test_overlaps_at_the_limits(labels: Any, dets: Any, height: float, label: int, kind: str) -> None:
    made = match(labels([(0, 0, 10, 10, 0)]), dets([(0, 0, 10, height, label, 0.9)]), HALF)
    assert made.kinds == (kind,)


def test_a_score_reaches_a_threshold_that_is_a_little_more_in_float64(labels: Any, dets: Any) -> None:
    found = dets([(0, 0, 10, 10, 0, 0.7)])
    assert float(found.score[0]) < 0.7
    assert match(labels([(0, 0, 10, 10, 0)]), found, (0.7, 0.7, 0.7)).kinds == ("found",)
