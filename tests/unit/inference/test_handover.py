"""Frames are answered while a better detector is made, and by that one afterwards."""

from __future__ import annotations

import threading
import time

import numpy as np

from edgevision.errors import BackendError
from edgevision.inference.base import Batch, Detector, InputSpec
from edgevision.inference.handover import Handover
from edgevision.inference.scripted import ScriptedDetector
from edgevision.types import Detections, Letterbox

TIMEOUT_S = 10.0
BATCH = Batch(np.zeros((1, 64, 64, 3), np.uint8), [Letterbox.fit((64, 64), (64, 64))])


def says(label: int, spec: InputSpec = InputSpec(64, 64), max_batch: int = 4) -> ScriptedDetector:  # noqa: B008
    found = Detections(np.zeros((1, 4), np.float32), np.ones(1, np.float32), np.array([label]))
    return ScriptedDetector(lambda _image, _box: found, ("first", "better"), spec, max_batch)


def label(detector: Detector) -> int:
    return int(detector.infer(BATCH)[0].label[0])


def is_closed(detector: ScriptedDetector) -> bool:
    try:
        detector.infer(BATCH)
    except BackendError:
        return True
    return False


def eventually(condition: object) -> bool:
    assert callable(condition)
    deadline_s = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.005)
    return True


def test_the_first_answers_until_the_better_one_is_made() -> None:
    first, made = says(0), threading.Event()

    def make() -> Detector:
        assert made.wait(TIMEOUT_S)
        return says(1)

    both = Handover(first, make)
    assert [label(both) for _ in range(3)] == [0, 0, 0]
    made.set()
    assert eventually(lambda: label(both) == 1)
    assert is_closed(first), "what was relieved gives its memory back"
    both.close()


def test_it_looks_like_the_first_one() -> None:
    both = Handover(says(0), lambda: says(1))
    assert (tuple(both.classes), both.input, both.max_batch) == (("first", "better"), InputSpec(64, 64), 4)
    both.close()


def test_when_the_better_one_cannot_be_made_the_first_goes_on() -> None:
    tried = threading.Event()
    both = Handover(says(0), tried.set)
    assert tried.wait(TIMEOUT_S)
    assert [label(both) for _ in range(3)] == [0, 0, 0]
    both.close()


def test_one_that_comes_after_the_close_is_closed_too() -> None:
    made, late = threading.Event(), says(1)

    def make() -> Detector:
        assert made.wait(TIMEOUT_S)
        return late

    both = Handover(says(0), make)
    both.close()
    made.set()
    assert eventually(lambda: is_closed(late))
