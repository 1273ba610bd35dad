"""A camera's capture: frames to the batcher, states to whoever wants to know, triggers to the analyses."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any

import pytest
from camera_units import camera_unit
from pixels import PlainPixels

from edgevision.analytics.base import AnalysisContext
from edgevision.analytics.inspection import Inspection
from edgevision.config.daemon import CameraSettings, StationSettings
from edgevision.config.settings import Settings
from edgevision.daemon.analytics import AnalyticsStage
from edgevision.daemon.camera import Fingerprint
from edgevision.daemon.capturing import Capturing
from edgevision.daemon.clock import ClockWatch
from edgevision.daemon.emit import Emitter
from edgevision.daemon.metrics import Metrics
from edgevision.daemon.pipeline import Kept
from edgevision.errors import SourceInvalid, SourceLost
from edgevision.events.build import EventBuilder
from edgevision.events.memory import MemoryOutbox
from edgevision.inference.batcher import Batcher
from edgevision.sources.base import Policy, SourceState
from edgevision.types import Detections, Frame, FrameTime, Occurrence, Tracks

CONTEXT = AnalysisContext("cam", ("thing",))
NOW = FrameTime(datetime(2026, 1, 1, tzinfo=timezone.utc), 0.0)


class Script:
    """A source that plays what it is given: a number gives so many frames, an error is raised."""

    policy: Policy = "block"

    def __init__(self, *parts: int | Exception) -> None:
        self._parts = list(parts)
        self.closed = False

    def frames(self) -> Iterator[Frame]:
        while self._parts:
            part = self._parts.pop(0)
            if isinstance(part, Exception):
                raise part
            for index in range(part):
                yield Frame("cam", index, NOW, PlainPixels.blank(4, 4))

    def close(self) -> None:
        self.closed = True


class Broken:
    """An analysis that crashes always."""

    def update(self, frame: Frame, tracks: Tracks) -> Sequence[Occurrence]:
        del frame, tracks
        message = "a bug"
        raise RuntimeError(message)

    advance = finish = update

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        del state


class Rig:
    """A camera whose frames wait in a batcher that nobody empties."""

    def __init__(self, source: Script, *, ended: bool = False, broken: bool = False) -> None:
        builder = EventBuilder("s", "d", "c" * 12)
        self.metrics = Metrics()
        self.skipped: list[str] = []
        self.batcher = Batcher(lambda *_: None, lambda _frame, why, _detail: self.skipped.append(why))
        emitter = Emitter(MemoryOutbox(builder), builder, self.metrics, ClockWatch(), state_interval_s=1.0)
        stage = AnalyticsStage(emitter, self.metrics, lambda _: None)
        self.unit = camera_unit("cam", [Broken()] if broken else (), source=source)
        if broken:
            for index in range(9):
                self.unit.pipeline.step(Frame("cam", index, NOW, PlainPixels.blank(4, 4)), Detections.empty())
        self.unit.state, self.unit.ended = SourceState.STARTING, ended
        self.states: list[tuple[SourceState, str]] = []
        announce = lambda unit: self.states.append((unit.state, unit.reason))  # noqa: E731 - too short for a name
        self.capturing = Capturing(self.unit, self.batcher, stage, self.metrics, announce)

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


def test_every_frame_is_in_flight_until_somebody_has_dealt_with_it() -> None:
    rig = Rig(Script(3))
    rig.capturing.run(threading.Event())
    assert rig.unit.in_flight == 3
    assert rig.states == [(SourceState.ONLINE, ""), (SourceState.ENDED, "")]
    assert rig.value("edgevision_camera_online", camera="cam") == 0.0


def test_frames_that_the_model_does_not_take_are_not_in_flight() -> None:
    rig = Rig(Script(3))
    rig.batcher.close()
    rig.capturing.run(threading.Event())
    assert rig.unit.in_flight == 0


def test_a_camera_that_nothing_analyses_any_more_has_failed() -> None:
    rig = Rig(Script(3), broken=True)
    rig.capturing.run(threading.Event())
    assert rig.unit.in_flight == 0
    assert rig.unit.failed
    assert "nothing analyses it any more" in rig.states[-1][1]


def test_a_camera_whose_model_has_failed_for_good_has_failed_too() -> None:
    rig = Rig(Script(3))
    rig.batcher.abandon()
    rig.capturing.run(threading.Event())
    assert rig.states[-1] == (SourceState.FAILED, "its model has failed for good")
    assert rig.value("edgevision_frames_dropped_total", camera="cam", reason="stopped") == 1.0


def test_a_lost_camera_is_reconnected_and_every_reconnect_is_counted() -> None:
    rig = Rig(Script(1, SourceLost("cable"), 1))
    rig.capturing.run(threading.Event())
    assert [state.value for state, _ in rig.states] == ["online", "reconnecting", "online", "ended"]
    assert rig.states[1][1] == "cable"
    assert rig.value("edgevision_reconnects_total", camera="cam") == 1.0


def test_a_camera_that_can_never_work_says_why_and_is_given_up() -> None:
    source = Script(SourceInvalid("no such file"))
    rig = Rig(source)
    rig.capturing.run(threading.Event())
    assert rig.states == [(SourceState.FAILED, "no such file")]
    assert rig.unit.failed
    assert rig.unit.condition == "failed"
    assert "no such file" in rig.unit.health().detail
    assert source.closed


def test_a_file_that_was_finished_in_an_earlier_run_is_not_played_again() -> None:
    rig = Rig(Script(3), ended=True)
    rig.capturing.run(threading.Event())
    assert rig.unit.in_flight == 0
    assert rig.states == [(SourceState.ENDED, "")]


@pytest.mark.parametrize(
    ("state", "broken", "condition"),
    [
        (SourceState.ONLINE, False, "ok"),
        (SourceState.ENDED, False, "ok"),
        (SourceState.RECONNECTING, False, "reconnecting"),
        (SourceState.STARTING, False, "starting"),
        (SourceState.ONLINE, True, "failed"),
    ],
)
def test_the_condition_of_a_camera_is_one_word(state: SourceState, broken: bool, condition: str) -> None:  # noqa: FBT001 - a case
    unit = Rig(Script(), broken=broken).unit
    unit.state = state
    assert unit.condition == condition
    assert unit.health().ok == (condition == "ok")


def test_a_camera_of_whose_analyses_one_is_broken_is_degraded() -> None:
    unit = camera_unit("cam", [Broken(), Inspection(Inspection.Settings(part={"by": "picture"}), CONTEXT)])
    for index in range(9):
        unit.pipeline.step(Frame("cam", index, NOW, PlainPixels.blank(4, 4)), Detections.empty())
    assert unit.condition == "degraded"
    assert not unit.failed
    assert "a bug" in unit.health().detail


def test_a_driver_that_crashes_for_good_is_told_as_a_failed_camera() -> None:
    rig = Rig(Script())
    rig.capturing.gave_up("RuntimeError: a bug")
    assert rig.unit.failed
    assert rig.states == [(SourceState.FAILED, "its driver crashes: RuntimeError: a bug")]


def test_a_camera_that_was_told_to_stop_says_nothing_more() -> None:
    rig, stop = Rig(Script(SourceLost("cable"))), threading.Event()
    stop.set()
    rig.capturing.run(stop)
    assert rig.states == []


def test_fps_needs_two_frames_and_forgets() -> None:
    unit = Rig(Script()).unit
    assert unit.fps() == 0.0
    unit.seen(NOW)
    assert unit.fps() == 0.0
    unit.seen(NOW)
    assert unit.fps() > 0.0


class Address(Settings):
    url: str = "a"


class Rule(Settings):
    limit: int = 1


BASE = CameraSettings(source=Address(), model="m", analyses=[Rule(), Rule(limit=2)])
STORED = Fingerprint.of(BASE, "m@1#0").document()


@pytest.mark.parametrize(
    ("change", "model", "kept"),
    [
        ({}, "m@1#0", Kept(source=True, tracker=True, analyses={0: 0, 1: 1})),
        ({"source": Address(url="b")}, "m@1#0", Kept(source=False, tracker=True, analyses={0: 0, 1: 1})),
        ({"analyses": [Rule(limit=2)]}, "m@1#0", Kept(source=True, tracker=True, analyses={0: 1})),
        ({"analyses": [Rule(limit=3), Rule()]}, "m@1#0", Kept(source=True, tracker=True, analyses={1: 0})),
        ({"station": StationSettings(deadline_ms=50)}, "m@1#0", Kept(source=True, tracker=True, analyses={0: 0, 1: 1})),
        ({}, "m@2#1", Kept(source=True, tracker=False, analyses={})),
    ],
)
def test_what_of_a_stored_state_holds_depends_on_what_has_changed(
    change: dict[str, Any], model: str, kept: Kept
) -> None:
    assert Fingerprint.of(BASE.model_copy(update=change), model).kept(STORED) == kept
