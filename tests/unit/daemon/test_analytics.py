"""The analytics stage: a crashing neighbour, and triggers that nothing answers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

from camera_units import camera_unit
from pixels import PlainPixels

from edgevision.analytics.base import AnalysisContext, State
from edgevision.analytics.tracking import Untracked
from edgevision.analytics.traffic import Traffic
from edgevision.config.daemon import StationSettings
from edgevision.daemon.actuation import Actuation
from edgevision.daemon.analytics import QUEUE, AnalyticsStage, Attached, Detached, Opened, Result
from edgevision.daemon.camera import CameraUnit
from edgevision.daemon.clock import ClockWatch
from edgevision.daemon.emit import Emitter
from edgevision.daemon.metrics import Metrics
from edgevision.events.build import EventBuilder
from edgevision.events.memory import MemoryOutbox
from edgevision.station.base import TriggerSignal
from edgevision.station.ledger import TriggerLedger
from edgevision.station.plc import FakePlc
from edgevision.types import Detections, Frame, FrameTime, Occurrence, Part, Tracks

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
Fault = Literal["update", "advance", "state", "odd state", ""]


class Says:
    """An analysis that says something of every frame, or crashes in one of its methods."""

    judges = True

    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    def _perhaps(self, where: Fault) -> None:
        if where == self._fault:
            text = "a plugin's bug"
            raise RuntimeError(text)

    def update(self, frame: Frame, tracks: Tracks) -> Sequence[Occurrence]:
        del tracks
        self._perhaps("update")
        return [Occurrence("traffic", "crossed", frame.time, {"line": "l", "direction": "in", "track_id": 1})]

    def advance(self, time_utc: datetime, t_s: float) -> Sequence[Occurrence]:
        del time_utc, t_s
        self._perhaps("advance")
        return []

    finish = advance

    def state(self) -> State:
        self._perhaps("state")
        return {"whole": object() if self._fault == "odd state" else True}

    def restore(self, state: dict[str, Any]) -> None:
        del state


class Loses(Untracked):
    """A tracker that crashes."""

    def __init__(self) -> None:
        super().__init__(Untracked.Settings())

    def update(self, detections: Detections, t_s: float) -> Tracks:
        del detections, t_s
        text = "lost"
        raise RuntimeError(text)


class Babbles(Says):
    """An analysis whose occurrences are no events of the contract."""

    def __init__(self) -> None:
        super().__init__("")

    def update(self, frame: Frame, tracks: Tracks) -> Sequence[Occurrence]:
        del tracks
        return [Occurrence("traffic", "crossed", frame.time, {"line": 7, "nonsense": object()})]


def unit(name: str, fault: Fault = "", **more: Any) -> CameraUnit:
    return camera_unit(name, [Says(fault)], **more)


def outbox_of() -> tuple[MemoryOutbox, EventBuilder]:
    builder = EventBuilder("s", "d", "c" * 12)
    return MemoryOutbox(builder), builder


@contextmanager
def running(outbox: MemoryOutbox, builder: EventBuilder, troubled: list[str] | None = None) -> Iterator[AnalyticsStage]:
    """A stage; at the end of the block everything that was posted has been worked on."""
    metrics = Metrics()
    emitter = Emitter(outbox, builder, metrics, ClockWatch(), state_interval_s=1.0)
    stage = AnalyticsStage(emitter, metrics, lambda item: (troubled if troubled is not None else []).append(item.name))
    stop = threading.Event()
    thread = threading.Thread(target=stage.run, args=(stop,))
    thread.start()
    try:
        yield stage
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()


def look(stage: AnalyticsStage, item: CameraUnit, index: int, trigger_id: str | None = None) -> None:
    item.entered()
    taken = FrameTime(NOON + timedelta(seconds=index), float(index), "file")
    frame = Frame(item.name, index, taken, PlainPixels.blank(8, 8), trigger_id=trigger_id)
    stage.post(Result(frame, Detections.empty(), 0.0))


def signal(trigger_id: str, t_s: float = 1e12) -> TriggerSignal:
    return TriggerSignal(trigger_id, NOON, t_s)


def bodies(outbox: MemoryOutbox) -> list[dict[str, Any]]:
    return [json.loads(event.body) for event in outbox.claim(1000, "strict")]


def test_a_crashing_analysis_costs_its_own_camera_and_no_other() -> None:
    outbox, builder = outbox_of()
    bad, good, troubled = unit("bad", "update"), unit("good"), list[str]()
    with running(outbox, builder, troubled) as stage:
        for item in (bad, good):
            stage.post(Attached(item))
        for index in range(10):
            for item in (bad, good):
                look(stage, item, index)
    assert bad.failed
    assert "a plugin's bug" in bad.health().detail
    assert not good.failed
    events = outbox.claim(100, "strict")
    assert len(events) == 10
    assert all("/good/" in event.topic for event in events)
    assert (bad.in_flight, good.in_flight) == (0, 0)
    assert troubled == ["bad"]


def test_frames_that_came_late_to_a_failed_camera_are_counted_out_too() -> None:
    outbox, builder = outbox_of()
    bad = unit("bad", "update")
    with running(outbox, builder) as stage:
        stage.post(Attached(bad))
        for index in range(20):
            look(stage, bad, index)
    assert bad.failed
    assert bad.in_flight == 0


def test_an_analysis_that_cannot_tell_its_state_fails_alone() -> None:
    outbox, builder = outbox_of()
    bad, good = unit("bad", "state"), unit("good")
    with running(outbox, builder) as stage:
        for item in (bad, good):
            stage.post(Attached(item))
        for index in range(10):
            for item in (bad, good):
                look(stage, item, index)
        settled = Detached(bad, over=True)
        stage.post(settled)
    assert bad.failed
    assert settled.settled.is_set()
    assert not good.failed


def test_a_state_that_cannot_be_stored_costs_its_analysis_only() -> None:
    outbox, builder = outbox_of()
    bad, good = unit("bad", "odd state", ledger=TriggerLedger(None)), unit("good", ledger=TriggerLedger(None))
    with running(outbox, builder) as stage:
        for item in (bad, good):
            stage.post(Attached(item))
        answers = []
        for number in range(9):
            for item in (bad, good):
                opened = Opened(item.name, signal(f"{item.name}-{number}"))
                stage.post(opened)
                answers.append(opened.accepted.result(5))
        detached = [Detached(item, over=True) for item in (bad, good)]
        for message in detached:
            stage.post(message)
        assert all(message.settled.wait(5) for message in detached)
    assert all(answers)
    assert bad.failed
    assert not good.failed
    assert len(bodies(outbox)) == 18


def test_what_one_analysis_says_wrongly_costs_another_nothing() -> None:
    outbox, builder = outbox_of()
    camera = camera_unit("cam", [Says(""), Babbles()], check=builder.check)
    with running(outbox, builder) as stage:
        stage.post(Attached(camera))
        for index in range(10):
            look(stage, camera, index)
    assert len(bodies(outbox)) == 10
    assert camera.condition == "degraded"


def test_a_tracker_that_crashes_costs_frames_and_leaves_none_in_flight() -> None:
    outbox, builder = outbox_of()
    camera = unit("cam")
    camera.pipeline._tracker = Loses()
    with running(outbox, builder) as stage:
        stage.post(Attached(camera))
        for index in range(10):
            look(stage, camera, index)
    assert camera.in_flight == 0
    assert camera.failed


def test_a_crash_at_the_end_of_a_file_does_not_hang_its_detaching() -> None:
    outbox, builder = outbox_of()
    bad = unit("bad", "advance")
    with running(outbox, builder) as stage:
        stage.post(Attached(bad))
        look(stage, bad, 0)
        detached = Detached(bad, over=True)
        stage.post(detached)
        assert detached.settled.wait(5)


def test_every_trigger_of_a_crashing_analysis_is_answered_once() -> None:
    outbox, builder = outbox_of()
    bad = unit("bad", "update", ledger=TriggerLedger(None))
    with running(outbox, builder) as stage:
        stage.post(Attached(bad))
        for number in range(10):
            stage.post(Opened("bad", signal(f"t{number}")))
            look(stage, bad, number, f"t{number}")
        stage.post(Opened("bad", signal("after")))
    assert bad.failed
    found = [(body["data"]["part"]["trigger_id"], body["data"]["result"]) for body in bodies(outbox)]
    assert sorted(found) == sorted([(f"t{number}", "review") for number in range(10)] + [("after", "review")])


def test_a_failed_camera_keeps_what_it_stored_last_and_its_open_triggers() -> None:
    outbox, builder = outbox_of()
    bad = unit("bad", ledger=TriggerLedger(None))
    with running(outbox, builder) as stage:
        stage.post(Attached(bad))
        look(stage, bad, 0)
    assert bad.pipeline.opened(signal("t1"))
    stored = bad.snapshot()
    assert stored.body["pipeline"]["analyses"] == [{"whole": True}]
    assert [item["part"]["trigger_id"] for item in stored.body["pipeline"]["ledger"]["open"]] == ["t1"]


def test_a_trigger_without_deadline_is_given_up_after_a_minute() -> None:
    outbox, builder = outbox_of()
    camera = unit("cam", ledger=TriggerLedger(None))
    with running(outbox, builder) as stage:
        stage.post(Attached(camera))
        stage.post(Opened("cam", signal("old", t_s=0.0)))
        stage.post(Opened("cam", signal("new")))
    (verdict,) = bodies(outbox)
    assert (verdict["data"]["part"]["trigger_id"], verdict["data"]["reason"]) == ("old", "timeout")


def test_a_timeout_reaches_the_machine_before_its_deadline() -> None:
    outbox, builder = outbox_of()
    camera = unit("cam", ledger=TriggerLedger(0.15), station=StationSettings(deadline_ms=150))
    plc = FakePlc()
    camera.actuation = Actuation("cam", plc, Metrics())
    stop = threading.Event()
    acting = threading.Thread(target=camera.actuation.run, args=(stop,))
    acting.start()
    with running(outbox, builder) as stage:
        stage.post(Attached(camera))
        for number in range(5):
            stage.post(Opened("cam", signal(f"t{number}", time.monotonic())))
            time.sleep(0.25)
    stop.set()
    acting.join(5)
    assert [action.verdict.part.trigger_id for action in plc.actions] == [f"t{number}" for number in range(5)]
    assert [action.late for action in plc.actions] == [False] * 5


def test_a_trigger_of_a_camera_that_has_ended_is_refused_and_those_before_are_answered() -> None:
    outbox, builder = outbox_of()
    camera = unit("cam", ledger=TriggerLedger(None))
    with running(outbox, builder) as stage:
        stage.post(Attached(camera))
        before, after = Opened("cam", signal("before")), Opened("cam", signal("after"))
        stage.post(before)
        stage.post(Detached(camera, over=True))
        stage.post(after)
        assert before.accepted.result(5)
        assert not after.accepted.result(5)
    (verdict,) = bodies(outbox)
    assert (verdict["data"]["part"]["trigger_id"], verdict["data"]["reason"]) == ("before", "camera ended")


def test_the_same_part_inspected_twice_has_two_verdicts() -> None:
    outbox, builder = outbox_of()
    camera = unit("cam", ledger=TriggerLedger(None))
    with running(outbox, builder) as stage:
        stage.post(Attached(camera))
        for name in ("first", "second"):
            stage.post(Opened("cam", TriggerSignal(name, NOON, 1e12, Part("part-7"))))
        stage.post(Detached(camera, over=True))
    assert len({body["id"] for body in bodies(outbox)}) == 2


def test_what_a_foreign_analysis_says_beyond_the_contract_costs_its_own_camera_only() -> None:
    outbox, builder = outbox_of()
    bad, good = camera_unit("bad", [Babbles()]), unit("good")
    with running(outbox, builder) as stage:
        for item in (bad, good):
            stage.post(Attached(item))
        for index in range(10):
            for item in (bad, good):
                look(stage, item, index)
    assert [body["source"] for body in bodies(outbox)] == ["edgevision/s/d/good"] * 10


def test_a_live_camera_that_is_dead_from_the_start_has_intervals() -> None:
    outbox, builder = outbox_of()
    lines = {"door": {"from": (0.5, 0), "to": (0.5, 1)}}
    traffic = Traffic(Traffic.Settings(lines=lines, period_s=1), AnalysisContext("cam", ("person",)))
    camera = camera_unit("cam", [traffic], live=True)
    with running(outbox, builder) as stage:
        stage.post(Attached(camera))
        assert outbox.wait(20.0)
    found = [body["data"] for body in bodies(outbox)]
    assert {(data["status"], data["count_in"], data["observed_s"]) for data in found} == {("invalid", 0, 0.0)}


def test_a_recording_played_like_a_camera_has_intervals_of_its_own_time_only() -> None:
    outbox, builder = outbox_of()
    lines = {"door": {"from": (0.5, 0), "to": (0.5, 1)}}
    traffic = Traffic(Traffic.Settings(lines=lines, period_s=1), AnalysisContext("cam", ("person",)))
    camera = camera_unit("cam", [traffic], live=True, recorded=True)
    with running(outbox, builder) as stage:
        stage.post(Attached(camera))
        for index in range(3):
            look(stage, camera, index)
    found = [body["data"] for body in bodies(outbox)]
    assert [data["start"] for data in found] == [(NOON + timedelta(seconds=index)).isoformat() for index in range(2)]
    assert {data["revision"] for data in found} == {1}


def test_a_camera_that_was_taken_away_lets_go_of_a_frame_that_is_answered_later() -> None:
    outbox, builder = outbox_of()
    camera = unit("cam")
    with running(outbox, builder) as stage:
        stage.post(Attached(camera))
        camera.entered()
        stage.post(Detached(camera, over=False))
        stage.post(Result(Frame("cam", 0, FrameTime(NOON, 0.0), PlainPixels.blank(8, 8)), Detections.empty(), 0.0))
    assert camera.in_flight == 0
    assert bodies(outbox) == []


def test_what_waits_when_the_stage_dies_is_answered_too() -> None:
    outbox, builder = outbox_of()
    metrics = Metrics()
    emitter = Emitter(outbox, builder, metrics, ClockWatch(), state_interval_s=1.0)
    stage = AnalyticsStage(emitter, metrics, lambda _: None)
    camera = unit("cam")
    opened, detached = Opened("cam", signal("t")), Detached(camera, over=False)
    for message in (Attached(camera), opened, detached):
        stage.post(message)
    stage.abandon()
    assert not opened.accepted.result(1)
    assert detached.settled.is_set()


def test_a_full_stage_is_waited_for_until_the_deadline_only() -> None:
    outbox, builder = outbox_of()
    metrics = Metrics()
    stage = AnalyticsStage(
        Emitter(outbox, builder, metrics, ClockWatch(), state_interval_s=1.0), metrics, lambda _: None
    )
    camera = unit("cam")
    for _ in range(QUEUE):
        stage.post(Attached(camera))
    detached = Detached(camera, over=False)
    stage.post(detached, time.monotonic() + 0.1)
    assert detached.settled.is_set()


def test_a_dead_stage_makes_nobody_wait() -> None:
    outbox, builder = outbox_of()
    metrics = Metrics()
    emitter = Emitter(outbox, builder, metrics, ClockWatch(), state_interval_s=1.0)
    stage = AnalyticsStage(emitter, metrics, lambda _: None)
    stage.abandon()
    camera = unit("cam")
    opened, detached = Opened("cam", signal("t")), Detached(camera, over=False)
    for message in (Attached(camera), opened, detached):
        stage.post(message)
    for _ in range(100):
        stage.post(Attached(camera))
    assert not opened.accepted.result(1)
    assert detached.settled.is_set()
