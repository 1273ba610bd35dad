"""The cameras that run, and how they end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from typing import Any

from camera_units import camera_unit
from daemon_process import wait_until
from pixels import PlainPixels

from edgevision.config.daemon import CameraSettings
from edgevision.config.settings import Settings
from edgevision.daemon.analytics import AnalyticsStage
from edgevision.daemon.camera import CameraUnit
from edgevision.daemon.cameras import Cameras
from edgevision.daemon.clock import ClockWatch
from edgevision.daemon.emit import Emitter
from edgevision.daemon.health import HealthBoard
from edgevision.daemon.metrics import Metrics
from edgevision.daemon.model import ModelUnit
from edgevision.daemon.supervisor import Stage
from edgevision.events.build import EventBuilder
from edgevision.events.memory import MemoryOutbox
from edgevision.inference.scripted import ScriptedDetector
from edgevision.sources.base import Policy, SourceState
from edgevision.types import Frame, FrameTime, Occurrence, Tracks

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Silent:
    """A camera that gives no frame and waits for its end; its driver may crash when it is closed."""

    policy: Policy = "latest"

    def __init__(self, *, crashes: bool) -> None:
        self._crashes = crashes
        self.closed = threading.Event()

    def frames(self) -> Iterator[Frame]:
        self.closed.wait()
        yield from ()

    def close(self) -> None:
        self.closed.set()
        if self._crashes:
            text = "a driver's bug"
            raise RuntimeError(text)


class Rig:
    """Cameras of one model, and the analytics stage behind them."""

    def __init__(self, build: Callable[[str, CameraSettings], CameraUnit]) -> None:
        self.units: dict[str, CameraUnit] = {}
        builder, metrics = EventBuilder("s", "d", "c" * 12), Metrics()
        emitter = Emitter(MemoryOutbox(builder), builder, metrics, ClockWatch(), state_interval_s=1.0)
        self.analytics = AnalyticsStage(emitter, metrics, lambda _: None)
        self.model = ModelUnit(
            "m",
            "m@1#0",
            ("thing",),
            load=lambda: ScriptedDetector([]),
            metrics=metrics,
            on_answer=lambda *_: None,
            on_skip=lambda frame: self.units[frame.camera].skipped(),
        )
        self.cameras = Cameras(
            build, {"m": self.model}, self.analytics, Stage, lambda _: None, metrics=metrics, board=HealthBoard()
        )

    def start(self, name: str) -> None:
        self.cameras.start(name, CameraSettings(source=Settings(), model="m"))
        unit = self.cameras.get(name)
        assert unit is not None
        self.units[name] = unit

    def follow(self) -> None:
        """Until every camera has come to its end."""
        stop = threading.Event()
        thread = threading.Thread(target=self.analytics.run, args=(stop,))
        thread.start()
        deadline_s = time.monotonic() + 10.0
        while not self.cameras.done() and time.monotonic() < deadline_s:
            self.cameras.poll()
            time.sleep(0.01)
        stop.set()
        thread.join(10)


def test_a_source_whose_closing_crashes_keeps_no_other_camera_from_its_end() -> None:
    sources = {"bad": Silent(crashes=True), "good": Silent(crashes=False)}
    rig = Rig(lambda name, _: camera_unit(name, source=sources[name], live=True))
    for name in sources:
        rig.start(name)
    assert rig.cameras.end_frames(time.monotonic() + 10.0)
    assert all(source.closed.is_set() for source in sources.values())


class Recording:
    """A file of one picture."""

    policy: Policy = "block"

    def frames(self) -> Iterator[Frame]:
        yield Frame("file", 0, FrameTime(BEGIN, 0.0, "file"), PlainPixels.blank(4, 4))

    def close(self) -> None:
        pass


class Open:
    """An analysis with something open, which it closes at the end."""

    def __init__(self) -> None:
        self.closed = False

    def update(self, frame: Frame, tracks: Tracks) -> Sequence[Occurrence]:
        del frame, tracks
        return []

    def advance(self, time_utc: datetime, t_s: float) -> Sequence[Occurrence]:
        del time_utc, t_s
        return []

    def finish(self, time_utc: datetime, t_s: float) -> Sequence[Occurrence]:
        del time_utc, t_s
        self.closed = True
        return []

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        del state


def test_what_is_open_in_a_file_stays_open_when_its_model_fails_since_the_next_start_goes_on() -> None:
    parts = Open()
    unit = camera_unit("file", [parts], source=Recording())
    unit.pipeline.begin(BEGIN)
    rig = Rig(lambda *_: unit)
    rig.model.batcher.abandon()
    rig.start("file")
    rig.follow()
    assert rig.cameras.failed() == ["file"]
    assert rig.cameras.done()
    assert not parts.closed


def test_a_file_whose_last_pictures_the_failed_model_did_not_answer_has_not_ended() -> None:
    rig = Rig(lambda *_: camera_unit("file", source=Recording()))
    rig.start("file")
    unit = rig.units["file"]
    wait_until(lambda: unit.state is SourceState.ENDED)
    assert unit.in_flight == 1
    rig.model.batcher.abandon()
    rig.follow()
    assert rig.cameras.done()
    assert not unit.ended
