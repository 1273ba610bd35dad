"""The analytics stage beside a crashing neighbour."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from pixels import PlainPixels

from edgevision.analytics.base import State
from edgevision.analytics.tracking import Untracked
from edgevision.config.daemon import CameraSettings
from edgevision.config.settings import Settings
from edgevision.daemon.analytics import AnalyticsStage, Attached, Result
from edgevision.daemon.camera import CameraUnit, Fingerprint
from edgevision.daemon.metrics import Metrics
from edgevision.daemon.pipeline import CameraPipeline
from edgevision.events.build import EventBuilder
from edgevision.events.memory import MemoryOutbox
from edgevision.sources.base import SourceState
from edgevision.types import Detections, Frame, FrameTime, Occurrence, Tracks

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


class Says:
    """An analysis that says something of every frame, or crashes."""

    def __init__(self, *, crashes: bool) -> None:
        self._crashes = crashes

    def update(self, frame: Frame, tracks: Tracks) -> Sequence[Occurrence]:
        del tracks
        if self._crashes:
            text = "a plugin's bug"
            raise RuntimeError(text)
        return [Occurrence("traffic", "crossed", frame.time, {"line": "l", "direction": "in", "track_id": 1})]

    def advance(self, time_utc: datetime, t_s: float) -> Sequence[Occurrence]:
        del time_utc, t_s
        return []

    finish = advance

    def state(self) -> State:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        del state


def unit(name: str, *, crashes: bool) -> CameraUnit:
    pipeline = CameraPipeline(name, Untracked(Untracked.Settings()), [Says(crashes=crashes)])
    settings = CameraSettings(source=Settings(), model="m")
    made = CameraUnit(name, settings, None, pipeline, "m@1#0", live=False, fingerprint=Fingerprint.of(settings))  # type: ignore[arg-type]
    made.state = SourceState.ONLINE
    return made


def test_a_crashing_analysis_costs_its_own_camera_and_no_other() -> None:
    builder = EventBuilder("s", "d", "c" * 12)
    outbox = MemoryOutbox(builder)
    stage = AnalyticsStage(outbox, builder, Metrics(), state_interval_s=1.0)
    bad, good = unit("bad", crashes=True), unit("good", crashes=False)
    stop = threading.Event()
    thread = threading.Thread(target=stage.run, args=(stop,))
    thread.start()
    for item in (bad, good):
        stage.post(Attached(item))
    for index in range(10):
        for item in (bad, good):
            item.entered()
            time = FrameTime(NOON + timedelta(seconds=index), float(index), "file")
            stage.post(Result(Frame(item.name, index, time, PlainPixels.blank(8, 8)), Detections.empty(), 0.0))
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert bad.state is SourceState.FAILED
    assert "a plugin's bug" in bad.health().detail
    assert good.state is SourceState.ONLINE
    events = outbox.claim(100, "strict")
    assert len(events) == 10
    assert all("/good/" in event.topic for event in events)
    assert good.in_flight == 0
