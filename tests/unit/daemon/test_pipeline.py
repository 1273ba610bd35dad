"""One camera's pure loop, with shipped and tiny fakes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np

from edgevision.daemon.pipeline import CameraPipeline, Kept
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


WHOLE = Kept(source=True, tracker=True, analyses={0: 0, 1: 1})


class Crashing(Scripted):
    """An analysis that crashes at every frame, or only says so."""

    judges = True

    def update(self, frame: Frame, tracks: Tracks) -> Sequence[Occurrence]:
        super().update(frame, tracks)
        message = "a plugin's bug"
        raise RuntimeError(message)


class Heir(Scripted):
    """An analysis that wants to know what one before it published."""

    def __init__(self) -> None:
        super().__init__()
        self.heritage: list[dict[str, Any]] = []

    def inherit(self, state: dict[str, Any]) -> None:
        self.heritage.append(state)


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
    again.restore(pipeline.state(), WHOLE, pipeline.position)
    assert (tracker.count, again_analysis.frames, again.position) == (2, 1, 4)
    assert again.state() == pipeline.state()
    (open_one,) = again.give_up("restart")
    assert open_one.part is not None
    assert open_one.part.trigger_id == "t"
    again.advance(1.0)
    assert again_analysis.advanced == [4.0]


def crossed() -> Occurrence:
    return Occurrence("traffic", "crossed", FrameTime(NOON, 0.0), {})


def test_a_crash_costs_what_the_others_say_of_that_frame_nothing() -> None:
    before, after = Scripted(*[[crossed()] for _ in range(9)]), Scripted(*[[crossed()] for _ in range(9)])
    bad, crashes = Crashing(), list[int]()
    pipeline = CameraPipeline("c", PassThrough(), [before, bad, after], on_crash=lambda: crashes.append(1))
    said = [len(pipeline.step(frame(index), Detections.empty())) for index in range(9)]
    assert said == [2] * 9
    assert (bad.frames, len(crashes)) == (6, 6)  # five crashes a minute are forgiven, then it is asked no more
    assert "a plugin's bug" in pipeline.broken
    assert not pipeline.dead
    assert pipeline.position == 9


def test_a_crash_now_and_then_is_forgiven() -> None:
    bad = Crashing()
    pipeline = CameraPipeline("c", PassThrough(), [bad])
    for index in range(0, 400, 40):
        pipeline.step(frame(index), Detections.empty())
    assert bad.frames == 10
    assert pipeline.broken == ""


def test_a_trigger_whose_judge_crashes_is_answered_at_once() -> None:
    pipeline = CameraPipeline("c", PassThrough(), [Crashing()], TriggerLedger(None))
    for index in range(10):
        pipeline.opened(signal(f"t{index}"))
        (answer,) = pipeline.step(frame(index, f"t{index}"), Detections.empty())
        assert (answer.data["result"], answer.data["reason"]) == ("review", "analysis failed")
    assert pipeline.dead
    pipeline.opened(signal("after"))
    assert len(pipeline.unanswerable()) == 1


def test_a_broken_analysis_keeps_the_state_that_it_told_last() -> None:
    bad, good = Crashing(), Scripted()
    pipeline = CameraPipeline("c", PassThrough(), [bad, good])
    pipeline.step(frame(0), Detections.empty())
    before = pipeline.state()
    for index in range(1, 9):
        pipeline.step(frame(index), Detections.empty())
    after = pipeline.state()
    assert before["analyses"] == [{"frames": 1}, {"frames": 1}]
    assert after["analyses"] == [{"frames": 1}, {"frames": 9}]


def test_what_has_changed_starts_anew_and_the_rest_goes_on() -> None:
    pipeline = CameraPipeline("c", PassThrough(), [Scripted(), Heir()], TriggerLedger(0.5))
    pipeline.step(frame(3), Detections.empty())
    pipeline.opened(signal("t"))
    first, heir = Scripted(), Heir()
    again = CameraPipeline("c", PassThrough(), [heir, first], TriggerLedger(0.5))
    again.restore(pipeline.state(), Kept(source=True, tracker=True, analyses={1: 0}), 4)
    assert (first.frames, heir.frames, again.position) == (1, 0, 4)
    assert heir.heritage == [{"frames": 1}]
    assert len(again.give_up("restart")) == 1


def test_open_triggers_outlive_everything() -> None:
    pipeline = CameraPipeline("c", PassThrough(), [Scripted()], TriggerLedger(0.5))
    pipeline.opened(signal("t"))
    again = CameraPipeline("c", PassThrough(), [], TriggerLedger(0.5))
    again.restore(pipeline.state(), Kept(source=False, tracker=False, analyses={}), None)
    assert len(again.give_up("restart")) == 1
    assert again.position is None


def test_a_live_camera_has_time_from_its_beginning_on() -> None:
    analysis = Scripted()
    pipeline = CameraPipeline("c", PassThrough(), [analysis])
    pipeline.begin(NOON)
    (occurrence,) = pipeline.advance(3.0)
    assert occurrence.time.time_utc == NOON + timedelta(seconds=3)


def test_a_live_camera_that_was_off_goes_on_at_the_present_time() -> None:
    pipeline = CameraPipeline("c", PassThrough(), [Scripted()])
    pipeline.step(frame(10), Detections.empty())
    pipeline.begin(NOON + timedelta(seconds=70))
    (occurrence,) = pipeline.advance(2.0)
    assert occurrence.time.time_utc == NOON + timedelta(seconds=72)
    assert occurrence.time.t_s == 72.0
