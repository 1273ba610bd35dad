"""Two detectors on the same pictures: the numbers are COCO's, and the bounds are those of a paired bootstrap."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from labelled import noisy_predictions

from edgevision.evaluation.coco import coco_result
from edgevision.evaluation.paired import compare, mean_precision
from edgevision.evaluation.predict import Predictions
from edgevision.types import Detections


def noisy(seed: int) -> Predictions:
    return noisy_predictions(np.random.default_rng(seed), 25, 4)


def with_scores(predictions: Predictions, factor: float) -> Predictions:
    found = tuple(Detections(item.xyxy, item.score * np.float32(factor), item.label) for item in predictions.found)
    return replace(predictions, found=found)


@pytest.mark.parametrize("seed", range(4))
def test_the_mean_average_precision_is_cocos(seed: int) -> None:
    predictions = noisy(seed)
    assert mean_precision(predictions) == pytest.approx(coco_result(predictions).overall.map50_95, abs=1e-9)


def test_of_equal_overlaps_the_last_box_is_taken_as_coco_does(labels: Any, dets: Any, preds: Any) -> None:
    sample = labels([(0, 0, 10, 10, 0), (0, 0, 10, 10, 0), (4, 0, 14, 10, 0)])
    found = dets([(2, 0, 12, 10, 0, 0.9), (0, 0, 10, 10, 0, 0.8), (0, 0, 10, 10, 0, 0.7)])
    predictions = preds([(sample, found)])
    assert mean_precision(predictions) == pytest.approx(coco_result(predictions).overall.map50_95, abs=1e-9)


def test_the_same_detector_twice_differs_in_nothing() -> None:
    paired = compare(noisy(1), noisy(1), [0.3] * 4)
    assert paired.map50_95 is not None
    assert (paired.map50_95.value, paired.map50_95.lower) == (0.0, 0.0)
    assert all((item.lost, item.won) == (0, 0) for item in paired.recall)
    assert sum(item.boxes for item in paired.recall) == sum(map(len, noisy(1).data.samples))


def test_scores_that_shrink_cost_recall_at_a_threshold_and_no_precision() -> None:
    first = noisy(2)
    paired = compare(first, with_scores(first, 0.5), [0.4] * 4)
    assert paired.map50_95 is not None
    assert paired.map50_95.value == pytest.approx(0, abs=1e-9)
    for item in paired.recall:
        assert item.difference is not None
        assert item.lost > 0 == item.won
        assert item.difference.value == pytest.approx(-item.lost / item.boxes)
        assert item.difference.lower < item.difference.value


def test_bounds_are_as_wide_as_the_sample_says(labels: Any, dets: Any, preds: Any) -> None:
    """Of 200 pictures with one box each ten are lost: a normal bound lies 1.645 standard errors below."""
    rows = [(labels([(10, 10, 30, 30, 0)], f"{number}.png"), dets([(10, 10, 30, 30, 0, 0.9)])) for number in range(200)]
    lost = [(sample, found if place >= 10 else dets([])) for place, (sample, found) in enumerate(rows)]
    paired = compare(preds(rows), preds(lost), [0.5] * 3, draws=4000)
    (item, *_) = paired.recall
    assert item.difference is not None
    assert (item.boxes, item.lost, item.difference.value) == (200, 10, pytest.approx(-0.05))
    assert item.difference.lower == pytest.approx(-0.05 - 1.645 * np.sqrt(0.05 * 0.95 / 200), abs=0.004)


def test_pictures_of_one_part_are_drawn_together(labels: Any, dets: Any, preds: Any) -> None:
    """The same losses in two parts instead of 200 pictures leave nearly everything open."""

    def rows(lost: int) -> list[Any]:
        out = []
        for number in range(40):
            sample = labels([(10, 10, 30, 30, 0)], f"{number}.png", columns={"part": f"p{number % 2}"})
            out.append((sample, dets([] if number % 2 == 0 and number < lost else [(10, 10, 30, 30, 0, 0.9)])))
        return out

    (item, *_) = compare(preds(rows(0)), preds(rows(40)), [0.5] * 3).recall
    assert item.difference is not None
    assert item.difference.value == -0.5
    assert item.difference.lower == -1.0


def test_without_boxes_there_is_nothing_to_say(labels: Any, dets: Any, preds: Any) -> None:
    paired = compare(preds([(labels([]), dets([]))]), preds([(labels([]), dets([]))]), [0.5] * 3)
    assert paired.map50_95 is None
    assert all(item.difference is None for item in paired.recall)


def test_other_pictures_cannot_be_compared() -> None:
    first = noisy(3)
    fewer = replace(first, data=replace(first.data, samples=first.data.samples[:-1]), found=first.found[:-1])
    with pytest.raises(ValueError, match="same pictures"):
        compare(first, fewer, [0.3] * 4)
