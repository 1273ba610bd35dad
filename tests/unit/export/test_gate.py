"""The gate: no worse is passed, worse is failed, too few is neither."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgevision.datasets.base import DataSet, Sample
from edgevision.evaluation.predict import Predictions
from edgevision.export.gate import Budget, judge_artefact
from edgevision.types import Detections

THRESHOLDS = {"default": 0.5}


def trained(boxes: int = 200, good: int = 20, score: float = 0.9) -> Predictions:
    """A defect a picture, all of them found, and good pictures in which nothing is."""
    samples, found = [], []
    for number in range(boxes + good):
        xyxy = np.array([[10, 10, 40, 40]] if number < boxes else [], np.float32).reshape(-1, 4)
        label = np.zeros(len(xyxy), np.int64)
        samples.append(Sample(Path(f"{number}.png"), (100, 100), xyxy, label))
        found.append(Detections(xyxy, np.full(len(xyxy), score, np.float32), label))
    return Predictions(DataSet(("scratch",), tuple(samples)), tuple(found), (0.0,) * len(samples))


def changed(predictions: Predictions, places: range, detections: Detections) -> Predictions:
    found = [detections if place in places else item for place, item in enumerate(predictions.found)]
    return replace(predictions, found=tuple(found))


def test_the_same_is_passed() -> None:
    judged = judge_artefact(trained(), trained(), THRESHOLDS)
    assert judged.outcome == "passed"
    assert judged.reasons == ()
    assert [check.what for check in judged.checks] == ["mAP50-95", "recall of scratch", "verdicts"]
    assert (judged.pictures, judged.map50, judged.rates.escape.count) == (220, pytest.approx(1.0), 0)


def test_boxes_that_are_a_little_off_cost_precision_and_fail() -> None:
    moved = Detections(np.array([[10, 10, 40, 44]], np.float32), np.float32([0.9]), np.int64([0]))
    judged = judge_artefact(trained(), changed(trained(), range(30), moved), THRESHOLDS)
    assert judged.outcome == "failed"
    (reason,) = judged.reasons
    assert reason.startswith("mAP50-95 -0.0")
    assert reason.endswith("a loss of 0.01 is allowed")


def test_scores_that_shrink_below_the_threshold_fail_by_recall_and_by_verdicts() -> None:
    low = Detections(np.array([[10, 10, 40, 40]], np.float32), np.float32([0.4]), np.int64([0]))
    judged = judge_artefact(trained(), changed(trained(), range(12), low), THRESHOLDS)
    outcomes = {check.what: check.outcome for check in judged.checks}
    assert outcomes == {"mAP50-95": "passed", "recall of scratch": "failed", "verdicts": "failed"}
    assert judged.passed_now[:2] == ("0.png", "1.png")
    assert "12 of 200 defective parts that were rejected now pass (0.png, 1.png, 2.png, ...)" in judged.reasons[1]
    assert judged.rates.escape.count == 12


def test_one_part_that_passes_now_is_one_too_many() -> None:
    low = Detections(np.array([[10, 10, 40, 40]], np.float32), np.float32([0.4]), np.int64([0]))
    one = changed(trained(400), range(1), low)
    assert judge_artefact(trained(400), one, THRESHOLDS).outcome == "failed"
    assert judge_artefact(trained(400), one, THRESHOLDS, Budget(flips=1)).outcome == "passed"


def test_a_part_that_was_never_rejected_does_not_pass_now() -> None:
    blind = trained(score=0.3)
    assert judge_artefact(blind, blind, THRESHOLDS).passed_now == ()


def test_few_boxes_are_not_decidable_and_say_how_many_are() -> None:
    judged = judge_artefact(trained(40), trained(40), THRESHOLDS)
    assert judged.outcome == "not decidable"
    (reason,) = judged.reasons
    assert "0 of 40 boxes lost, 0 won; so few only show a loss below 7.2 %, 149 would show 2 %" in reason


LOW = Detections(np.array([[10, 10, 40, 40]], np.float32), np.float32([0.4]), np.int64([0]))


@pytest.mark.parametrize(
    ("boxes", "lost", "says"),
    [
        (
            100,
            0,
            "recall of scratch: 0 of 100 boxes lost, 0 won; so few only show a loss below 3 %, 149 would show 2 %",
        ),
        (148, 0, "show a loss below 2.004 %, 149 would show 2 %"),
        (
            200,
            1,
            "1 of 200 boxes lost, 0 won; so few only show a loss below 2.3 %, 236 with as many lost and won would",
        ),
    ],
)
def test_nothing_that_points_to_a_loss_is_not_yet_a_proof(boxes: int, lost: int, says: str) -> None:
    judged = judge_artefact(
        trained(boxes), changed(trained(boxes), range(lost), LOW), THRESHOLDS, Budget(flips=lost, map50_95=0.1)
    )
    assert judged.outcome == "not decidable"
    assert says in judged.reasons[0]


@pytest.mark.parametrize(("boxes", "lost"), [(149, 0), (236, 1)])
def test_as_many_boxes_as_it_asked_for_will_do(boxes: int, lost: int) -> None:
    artefact = changed(trained(boxes), range(lost), LOW)
    assert judge_artefact(trained(boxes), artefact, THRESHOLDS, Budget(flips=lost, map50_95=0.1)).outcome == "passed"


def test_what_is_won_is_set_off_against_what_is_lost() -> None:
    before, after = changed(trained(300), range(3), LOW), changed(trained(300), range(3, 6), LOW)
    budget = Budget(flips=3, map50_95=0.1)
    assert judge_artefact(trained(300), after, THRESHOLDS, budget).outcome == "not decidable"
    assert judge_artefact(before, after, THRESHOLDS, budget).outcome == "passed"


def test_few_boxes_do_not_hide_what_fails_otherwise() -> None:
    moved = Detections(np.array([[10, 10, 40, 44]], np.float32), np.float32([0.9]), np.int64([0]))
    assert judge_artefact(trained(40), changed(trained(40), range(20), moved), THRESHOLDS).outcome == "failed"
    low = Detections(np.array([[10, 10, 40, 40]], np.float32), np.float32([0.4]), np.int64([0]))
    judged = judge_artefact(trained(40), changed(trained(40), range(20), low), THRESHOLDS)
    assert [reason.split(":")[0] for reason in judged.reasons] == ["recall of scratch", "verdicts"]
    one = judge_artefact(trained(40), changed(trained(40), range(1), low), THRESHOLDS)
    assert [reason.split(":")[0] for reason in one.reasons] == ["verdicts", "recall of scratch"], "what fails first"


@pytest.mark.parametrize(
    ("boxes", "lost", "outcome"),
    [
        (1, 1, "not decidable"),
        (20, 4, "not decidable"),
        (20, 9, "failed"),
        (60, 6, "not decidable"),
        (60, 30, "failed"),
    ],
)
def test_a_loss_that_few_boxes_show_is_a_loss(boxes: int, lost: int, outcome: str) -> None:
    artefact = changed(trained(boxes), range(lost), LOW)
    judged = judge_artefact(trained(boxes), artefact, THRESHOLDS, Budget(flips=lost, map50_95=1))
    assert judged.outcome == outcome
    if (boxes, lost) == (60, 30):
        said = (
            "recall of scratch: 30 of 60 boxes lost, 0 won: a loss above 30.8 % with 95 % confidence, 0.02 is allowed"
        )
        assert judged.reasons == (said,)


def test_good_parts_alone_decide_nothing() -> None:
    judged = judge_artefact(trained(0), trained(0), THRESHOLDS)
    assert judged.outcome == "not decidable"
    assert "no part is defective" in " ".join(judged.reasons)


def test_a_class_without_a_labelled_box_is_not_passed() -> None:
    two = trained()
    two = replace(two, data=replace(two.data, classes=("scratch", "dent")))
    judged = judge_artefact(two, two, THRESHOLDS)
    assert judged.outcome == "not decidable"
    assert judged.reasons == ("recall of dent: no picture has a labelled box of it",)


def test_no_loss_or_any_loss_may_be_allowed() -> None:
    (reason,) = judge_artefact(trained(), trained(), THRESHOLDS, Budget(recall=0.0)).reasons
    assert reason.endswith("a loss below 1.5 %, and no number of boxes shows that nothing is ever lost")
    (reason,) = judge_artefact(trained(40), trained(40), THRESHOLDS, Budget(recall=1.0)).reasons
    assert reason.endswith("a loss below 7.2 %, 100 are asked for")
    blind = trained(score=0.1)
    assert judge_artefact(trained(), blind, THRESHOLDS, Budget(recall=1.0, flips=200)).outcome == "passed"
