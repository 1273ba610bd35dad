"""One camera's pure loop, with shipped and tiny fakes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np

from edgevision.daemon.pipeline import CameraPipeline
from edgevision.station.base import TriggerSignal
from edgevision.station.ledger import TriggerLedger
from edgevision.types import Detections, Frame, FrameTime, Image, Occurrence, Part, Tracks

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


class Grey:
    size = (4, 4)

    def bgr(self) -> Image:
        return np.zeros((4, 4, 3), np.uint8)

    def scaled(self, width: int, height: int, order: str) -> Image:  # noqa: ARG002 - the port's name
        return np.zeros((height, width, 3), np.uint8)


class PassThrough:
    """A tracker that numbers what it sees."""

    def __init__(self) -> None:
        self.count = 0

    def update(self, detections: Detections, t_s: float) -> Tracks:  # noqa: ARG002 - the port's name
        ids = np.arange(self.count, self.count + len(detections), dtype=np.int64)
        self.count += len(detections)
        return Tracks(detections.xyxy, detections.score, detections.label, ids)

    def state(self) -> dict[str, Any]:
        return {"count": self.count}

    def restore(self, state: dict[str, Any]) -> None:
        self.count = state["count"]


class Scripted:
    """An analysis that answers every frame with the occurrences it was given, and counts what it is asked."""

    def __init__(self, *answers: list[Occurrence]) -> None:
        self.answers = list(answers)
        self.advanced: list[float] = []
        self.frames = 0

    def update(self, frame: Frame, tracks: Tracks) -> Sequence[Occurrence]:  # noqa: ARG002 - the port's name
        self.frames += 1
        return self.answers.pop(0) if self.answers else []

    def advance(self, time_utc: datetime, t_s: float) -> Sequence[Occurrence]:
        self.advanced.append(t_s)
        return [Occurrence("traffic", "interval", FrameTime(time_utc, t_s), {})]

    def finish(self, time_utc: datetime, t_s: float) -> Sequence[Occurrence]:
        return [Occurrence("traffic", "zone", FrameTime(time_utc, t_s), {})]

    def state(self) -> dict[str, Any]:
        return {"frames": self.frames}

    def restore(self, state: dict[str, Any]) -> None:
        self.frames = state["frames"]


def frame(index: int, trigger_id: str | None = None) -> Frame:
    time = FrameTime(NOON + timedelta(seconds=index), float(index), "file")
    return Frame("c", index, time, Grey(), position=index + 1, trigger_id=trigger_id)


def verdict(trigger_id: str | None, result: str = "ok") -> Occurrence:
    part = Part("x", trigger_id=trigger_id)
    return Occurrence("defect", "verdict", FrameTime(NOON, 0.0), {"result": result}, key="x", part=part)


def signal(name: str, t_s: float = 0.0) -> TriggerSignal:
    return TriggerSignal(name, NOON, t_s, Part("p-" + name, serial="S"))


def test_time_goes_on_without_frames_but_not_before_the_first() -> None:
    analysis = Scripted()
    pipeline = CameraPipeline("c", PassThrough(), [analysis])
    assert pipeline.advance(1.0) == []
    assert pipeline.finish() == []
    pipeline.step(frame(7), Detections.empty())
    (occurrence,) = pipeline.advance(2.5)
    assert analysis.advanced == [9.5]
    assert occurrence.time.time_utc == NOON + timedelta(seconds=9.5)
    assert [item.name for item in pipeline.finish()] == ["zone"]
    assert pipeline.position == 8


def test_a_verdict_closes_its_trigger_and_carries_its_part_and_a_second_one_is_dropped() -> None:
    detected = Occurrence("defect", "detected", FrameTime(NOON, 0.0), {}, part=Part("x", trigger_id="t"))
    analysis = Scripted([verdict("t"), detected], [verdict("t", "ng"), detected])
    pipeline = CameraPipeline("c", PassThrough(), [analysis], TriggerLedger(1.0))
    assert pipeline.opened(signal("t"))
    first = pipeline.step(frame(0, "t"), Detections.empty())
    assert [item.name for item in first] == ["verdict", "detected"]
    assert all(item.part == Part("p-t", serial="S", trigger_id="t") for item in first)
    assert first[0].key == "p-t"
    assert first[1].key is None
    assert pipeline.step(frame(1, "t"), Detections.empty()) == []


def test_verdicts_without_a_trigger_pass() -> None:
    pipeline = CameraPipeline("c", PassThrough(), [Scripted([verdict(None)])], TriggerLedger(1.0))
    assert len(pipeline.step(frame(0), Detections.empty())) == 1


def test_a_trigger_nobody_answers_gets_its_verdict_at_the_deadline() -> None:
    pipeline = CameraPipeline("c", PassThrough(), [], TriggerLedger(0.5, "ng"))
    pipeline.opened(signal("t", t_s=10.0))
    assert pipeline.overdue(10.4) == []
    (late,) = pipeline.overdue(10.5)
    assert (late.data["result"], late.data["reason"]) == ("ng", "timeout")
    assert pipeline.overdue(11.0) == []


def test_state_survives_a_restart_with_open_triggers() -> None:
    analysis = Scripted()
    pipeline = CameraPipeline("c", PassThrough(), [analysis], TriggerLedger(0.5))
    detections = Detections(np.zeros((2, 4), np.float32), np.ones(2, np.float32), np.zeros(2, np.int64))
    pipeline.step(frame(3), detections)
    pipeline.opened(signal("t"))
    again_analysis, tracker = Scripted(), PassThrough()
    again = CameraPipeline("c", tracker, [again_analysis], TriggerLedger(0.5))
    again.restore(pipeline.state(), pipeline.position)
    assert (tracker.count, again_analysis.frames, again.position) == (2, 1, 4)
    assert again.state() == pipeline.state()
    (open_one,) = again.give_up("restart")
    assert open_one.part is not None
    assert open_one.part.trigger_id == "t"
    again.advance(1.0)
    assert again_analysis.advanced == [4.0]
