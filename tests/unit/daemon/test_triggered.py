from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone

import numpy as np
import pytest

from edgevision.backoff import Backoff
from edgevision.daemon.triggered import TriggeredSource
from edgevision.errors import SourceLost, SourceUnavailable, StationError
from edgevision.sources.base import Policy, SourceState
from edgevision.sources.media import ArrayPixels
from edgevision.station.base import TriggerSignal
from edgevision.types import Frame, FrameTime


class Camera:
    """A live camera that gives a frame every 5 ms while it is ``on``."""

    policy: Policy = "latest"

    def __init__(self) -> None:
        self.on = threading.Event()
        self.on.set()
        self.closed = threading.Event()

    def frames(self) -> Iterator[Frame]:
        index = 0
        while not self.closed.wait(0.005):
            if not self.on.is_set():
                msg = "unplugged"
                raise SourceUnavailable(msg)
            at = FrameTime(datetime.now(timezone.utc), time.monotonic())
            yield Frame("cam", index, at, ArrayPixels(np.zeros((4, 4, 3), np.uint8)))
            index += 1

    def close(self) -> None:
        self.closed.set()


class Button:
    """A trigger that the test presses."""

    def __init__(self) -> None:
        self.signals: queue.SimpleQueue[TriggerSignal | StationError] = queue.SimpleQueue()

    def press(self, name: str) -> TriggerSignal:
        signal = TriggerSignal(name, datetime.now(timezone.utc), time.monotonic())
        self.signals.put(signal)
        return signal

    def wait(self, timeout_s: float) -> TriggerSignal | None:
        try:
            signal = self.signals.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if isinstance(signal, StationError):
            raise signal
        return signal

    def close(self) -> None:
        pass


class Rig:
    def __init__(self) -> None:
        self.camera, self.button = Camera(), Button()
        self.signals: list[str] = []
        self.missed: list[str] = []
        self.states: list[SourceState] = []
        self.lost = threading.Event()
        self.source = TriggeredSource(
            "cam",
            self.camera,
            self.button,
            on_signal=lambda signal: self.signals.append(signal.id),
            on_missed=lambda signal: self.missed.append(signal.id),
            on_state=self._state,
            timeout_s=0.3,
            backoff=Backoff(0.005, 0.01),
        )

    def _state(self, state: SourceState, _: str) -> None:
        self.states.append(state)
        if state is SourceState.RECONNECTING:
            self.lost.set()


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.source.close()


def test_each_trigger_gets_the_first_frame_after_it(rig: Rig) -> None:
    frames = rig.source.frames()
    pressed = [rig.button.press(f"t{number}") for number in range(3)]
    got = [next(frames) for _ in pressed]
    assert [frame.trigger_id for frame in got] == ["t0", "t1", "t2"]
    assert [frame.index for frame in got] == [0, 1, 2]
    assert [frame.time.time_utc for frame in got] == [signal.time_utc for signal in pressed]
    assert all(frame.time.source == "trigger" and frame.time.uncertainty_ms >= 0 for frame in got)
    assert got[0].time.t_s < got[1].time.t_s < got[2].time.t_s
    assert got[0].time.t_s >= pressed[0].t_s
    assert rig.source.policy == "block"


def test_every_trigger_is_answered_while_the_camera_is_away_and_after(rig: Rig) -> None:
    frames = rig.source.frames()
    rig.button.press("before")
    assert next(frames).trigger_id == "before"
    rig.camera.on.clear()
    assert rig.lost.wait(10)
    rig.button.press("during")
    threading.Timer(0.6, lambda: (rig.camera.on.set(), rig.button.press("after"))).start()
    assert next(frames).trigger_id == "after"
    assert rig.missed == ["during"]
    assert rig.signals == ["before", "during", "after"]
    assert SourceState.RECONNECTING in rig.states
    assert rig.states[-1] is SourceState.ONLINE


def test_a_broken_trigger_line_is_a_lost_source_that_can_be_tried_again(rig: Rig) -> None:
    rig.button.signals.put(StationError("cable"))
    with pytest.raises(SourceLost, match="cable"):
        next(rig.source.frames())
    rig.button.press("again")
    assert next(rig.source.frames()).trigger_id == "again"


def test_close_ends_it(rig: Rig) -> None:
    rig.button.press("one")
    frames = rig.source.frames()
    next(frames)
    rig.source.close()
    assert list(frames) == []
    assert rig.camera.closed.is_set()
