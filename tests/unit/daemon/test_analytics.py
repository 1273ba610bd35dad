"""The analytics stage: a crashing neighbour, and triggers that nothing answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

from pixels import PlainPixels

from edgevision.analytics.base import State
from edgevision.analytics.tracking import Untracked
from edgevision.config.daemon import CameraSettings
from edgevision.config.settings import Settings
from edgevision.daemon.analytics import AnalyticsStage, Attached, Detached, Opened, Result
from edgevision.daemon.camera import CameraUnit, Fingerprint
from edgevision.daemon.clock import ClockWatch
from edgevision.daemon.metrics import Metrics
from edgevision.daemon.pipeline import CameraPipeline
from edgevision.events.build import EventBuilder
from edgevision.events.memory import MemoryOutbox
from edgevision.sources.base import SourceState
from edgevision.station.base import TriggerSignal
from edgevision.station.ledger import TriggerLedger
from edgevision.types import Detections, Frame, FrameTime, Occurrence, Tracks

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
Fault = Literal["update", "advance", "state", ""]


class Says:
    """An analysis that says something of every frame, or crashes in one of its methods."""

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
        return {"whole": True}

    def restore(self, state: dict[str, Any]) -> None:
        del state


def unit(name: str, fault: Fault = "", *, ledger: TriggerLedger | None = None) -> CameraUnit:
    pipeline = CameraPipeline(name, Untracked(Untracked.Settings()), [Says(fault)], ledger)
    settings = CameraSettings(source=Settings(), model="m")
    made = CameraUnit(name, settings, None, pipeline, "m@1#0", live=False, fingerprint=Fingerprint.of(settings))  # type: ignore[arg-type]
    made.state = SourceState.ONLINE
    return made


def outbox_of() -> tuple[MemoryOutbox, EventBuilder]:
    builder = EventBuilder("s", "d", "c" * 12)
    return MemoryOutbox(builder), builder


@contextmanager
def running(outbox: MemoryOutbox, builder: EventBuilder) -> Iterator[AnalyticsStage]:
    """A stage; at the end of the block everything that was posted has been worked on."""
    stage = AnalyticsStage(outbox, builder, Metrics(), ClockWatch(), state_interval_s=1.0)
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
    time = FrameTime(NOON + timedelta(seconds=index), float(index), "file")
    frame = Frame(item.name, index, time, PlainPixels.blank(8, 8), trigger_id=trigger_id)
    stage.post(Result(frame, Detections.empty(), 0.0))


def signal(trigger_id: str, t_s: float = 1e12) -> TriggerSignal:
    return TriggerSignal(trigger_id, NOON, t_s)


def bodies(outbox: MemoryOutbox) -> list[dict[str, Any]]:
    return [json.loads(event.body) for event in outbox.claim(1000, "strict")]


def test_a_crashing_analysis_costs_its_own_camera_and_no_other() -> None:
    outbox, builder = outbox_of()
    bad, good = unit("bad", "update"), unit("good")
    with running(outbox, builder) as stage:
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
        settled = Detached(bad, ended=True)
        stage.post(settled)
    assert bad.failed
    assert settled.settled.is_set()
    assert not good.failed


def test_a_crash_at_the_end_of_a_file_does_not_hang_its_detaching() -> None:
    outbox, builder = outbox_of()
    bad = unit("bad", "advance")
    with running(outbox, builder) as stage:
        stage.post(Attached(bad))
        look(stage, bad, 0)
        detached = Detached(bad, ended=True)
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
    bad.broken = "an analysis crashes"
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
