"""A model as a stage: loaded at its start, counted, and red while it is not there."""

from __future__ import annotations

import threading

import pytest
from batching import SPEC, frame, read_number

from edgevision.daemon.metrics import Metrics
from edgevision.daemon.model import ModelUnit
from edgevision.errors import BackendError, ImageError
from edgevision.inference.base import Detector
from edgevision.inference.scripted import ScriptedDetector
from edgevision.types import Detections, Frame


class Rig:
    """A model with its answers."""

    def __init__(self, *loads: Detector | Exception) -> None:
        self._loads = list(loads)
        self.metrics = Metrics()
        self.answers: list[tuple[int, int]] = []
        self.skipped: list[int] = []
        self.unit = ModelUnit(
            "people",
            "people@1#0",
            ("person",),
            load=self._load,
            metrics=self.metrics,
            on_answer=self._answered,
            on_skip=lambda item: self.skipped.append(item.index),
        )
        self.unit.batcher.add("cam", "block", 16)

    def _load(self) -> Detector:
        loaded = self._loads.pop(0)
        if isinstance(loaded, Exception):
            raise loaded
        return loaded

    def _answered(self, item: Frame, detections: Detections, arrived_t_s: float) -> None:
        del arrived_t_s
        self.answers.append((item.index, int(detections.label[0])))

    def run_with(self, *frames: Frame) -> None:
        for item in frames:
            assert self.unit.batcher.put(item)
        stop = threading.Event()
        stop.set()
        self.unit.run(stop)

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


def detector() -> ScriptedDetector:
    return ScriptedDetector(read_number, spec=SPEC, max_batch=2)


def test_frames_are_answered_in_order_and_their_time_is_told_by_stage() -> None:
    rig = Rig(detector())
    rig.run_with(frame("cam", 7), frame("cam", 8), frame("cam", 9))
    assert rig.answers == [(7, 7), (8, 8), (9, 9)]
    for stage in ("queue", "scale", "infer"):
        assert rig.value("edgevision_stage_seconds_count", stage=stage) == 3.0


def test_it_is_red_until_it_is_loaded_and_after_it_has_gone() -> None:
    rig = Rig(detector())
    assert not rig.unit.health().ok
    rig.run_with()
    assert not rig.unit.health().ok
    assert rig.unit.health().critical


def test_a_crashed_model_is_loaded_afresh() -> None:
    rig = Rig(BackendError("no memory"), detector())
    with pytest.raises(BackendError, match="no memory"):
        rig.run_with(frame("cam", 1))
    rig.run_with()
    assert rig.answers == [(1, 1)]


def test_a_frame_without_readable_pixels_is_skipped_with_its_reason_and_the_next_one_answered() -> None:
    rig = Rig(detector())
    rig.run_with(frame("cam", 1, ImageError("damaged")), frame("cam", 2))
    assert rig.answers == [(2, 2)]
    assert rig.skipped == [1]
    assert rig.value("edgevision_frames_dropped_total", camera="cam", reason="unreadable") == 1.0
