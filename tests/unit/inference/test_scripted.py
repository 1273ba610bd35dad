"""The shipped fake: answers in order, or by looking."""

from __future__ import annotations

import numpy as np
import pytest

from edgevision.errors import BackendError
from edgevision.inference.base import Batch
from edgevision.inference.scripted import ScriptedDetector
from edgevision.types import Detections, Letterbox


def _batch(count: int) -> Batch:
    return Batch(np.zeros((count, 64, 64, 3), np.uint8), [Letterbox.fit((64, 64), (64, 64))] * count)


def _answer(score: float) -> Detections:
    return Detections(np.zeros((1, 4), np.float32), np.array([score], np.float32), np.array([0]))


def test_answers_are_given_in_order_over_batches() -> None:
    detector = ScriptedDetector(_answer(score) for score in (0.25, 0.5, 0.75))
    scores = [item.score[0] for count in (2, 1) for item in detector.infer(_batch(count))]
    assert scores == [0.25, 0.5, 0.75]


def test_a_script_that_is_over_is_an_error() -> None:
    detector = ScriptedDetector([_answer(0.5)])
    detector.infer(_batch(1))
    with pytest.raises(BackendError, match="the script is over"):
        detector.infer(_batch(1))


def test_errors_of_the_script_are_raised_once() -> None:
    detector = ScriptedDetector([BackendError("the driver died"), _answer(0.5)])
    with pytest.raises(BackendError, match="the driver died"):
        detector.infer(_batch(1))
    assert detector.infer(_batch(1))[0].score.tolist() == [0.5]
