"""A camera's capture: frames to the batcher, states to whoever wants to know, triggers to the analyses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest
from pixels import PlainPixels

from edgevision.analytics.tracking import Untracked
from edgevision.config.daemon import CameraSettings
from edgevision.config.settings import Settings
from edgevision.daemon.analytics import AnalyticsStage
from edgevision.daemon.camera import CameraUnit, Fingerprint
from edgevision.daemon.capturing import Capturing
from edgevision.daemon.clock import ClockWatch
from edgevision.daemon.metrics import Metrics
from edgevision.daemon.pipeline import CameraPipeline
from edgevision.errors import SourceInvalid, SourceLost
from edgevision.events.build import EventBuilder
from edgevision.events.memory import MemoryOutbox
from edgevision.inference.batcher import Batcher
from edgevision.sources.base import Policy, SourceState
from edgevision.types import Frame, FrameTime

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


class Rig:
    """A camera whose frames wait in a batcher that nobody empties."""

    def __init__(self, source: Script, *, ended: bool = False) -> None:
        builder = EventBuilder("s", "d", "c" * 12)
        self.metrics = Metrics()
        self.skipped: list[str] = []
        self.batcher = Batcher(lambda *_: None, lambda _frame, why, _detail: self.skipped.append(why))
        stage = AnalyticsStage(MemoryOutbox(builder), builder, self.metrics, ClockWatch(), state_interval_s=1.0)
        settings = CameraSettings(source=Settings(), model="m")
        pipeline = CameraPipeline("cam", Untracked(Untracked.Settings()), [])
        self.unit = CameraUnit(
            "cam", settings, source, pipeline, "m@1#0", live=False, fingerprint=Fingerprint.of(settings), ended=ended
        )
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


def test_frames_of_a_camera_whose_analysis_has_failed_go_nowhere_and_are_counted() -> None:
    rig = Rig(Script(3))
    rig.unit.broken = "an analysis crashes"
    rig.capturing.run(threading.Event())
    assert rig.unit.in_flight == 0
    assert rig.value("edgevision_frames_dropped_total", camera="cam", reason="failed") == 3.0


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
        (SourceState.ONLINE, "", "ok"),
        (SourceState.ENDED, "", "ok"),
        (SourceState.RECONNECTING, "", "reconnecting"),
        (SourceState.STARTING, "", "starting"),
        (SourceState.ONLINE, "a bug", "failed"),
    ],
)
def test_the_condition_of_a_camera_is_one_word(state: SourceState, broken: str, condition: str) -> None:
    unit = Rig(Script()).unit
    unit.state, unit.broken = state, broken
    assert unit.condition == condition
    assert unit.health().ok == (condition == "ok")


def test_fps_needs_two_frames_and_forgets() -> None:
    unit = Rig(Script()).unit
    assert unit.fps() == 0.0
    unit.seen(NOW)
    assert unit.fps() == 0.0
    unit.seen(NOW)
    assert unit.fps() > 0.0


def test_another_address_is_another_source_and_another_rule_another_analysis() -> None:
    class Address(Settings):
        url: str = "a"

    base = CameraSettings(source=Address(), model="m")
    other_url = CameraSettings(source=Address(url="b"), model="m")
    other_model = CameraSettings(source=Address(), model="n")
    prints = [Fingerprint.of(item) for item in (base, other_url, other_model)]
    assert prints[0].analyses == prints[1].analyses != prints[2].analyses
    assert prints[0].source == prints[2].source != prints[1].source
