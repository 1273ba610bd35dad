"""The cameras that run: one that cannot be closed in peace costs no other its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from camera_units import camera_unit

from edgevision.config.daemon import CameraSettings
from edgevision.config.settings import Settings
from edgevision.daemon.analytics import AnalyticsStage
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
from edgevision.sources.base import Policy
from edgevision.types import Frame


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


def test_a_source_whose_closing_crashes_keeps_no_other_camera_from_its_end() -> None:
    builder, metrics, board = EventBuilder("s", "d", "c" * 12), Metrics(), HealthBoard()
    outbox = MemoryOutbox(builder)
    analytics = AnalyticsStage(
        Emitter(outbox, builder, metrics, ClockWatch(), state_interval_s=1.0), metrics, lambda _: None
    )
    model = ModelUnit(
        "m",
        "m@1#0",
        ("thing",),
        load=lambda: ScriptedDetector([]),
        metrics=metrics,
        on_answer=lambda *_: None,
        on_skip=lambda _: None,
    )
    sources = {"bad": Silent(crashes=True), "good": Silent(crashes=False)}
    cameras = Cameras(
        lambda name, _: camera_unit(name, source=sources[name], live=True),
        {"m": model},
        analytics,
        Stage,
        lambda _: None,
        metrics=metrics,
        board=board,
    )
    for name in sources:
        cameras.start(name, CameraSettings(source=Settings(), model="m"))
    assert cameras.end_frames(time.monotonic() + 10.0)
    assert all(source.closed.is_set() for source in sources.values())
