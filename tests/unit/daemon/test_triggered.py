from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone

import numpy as np
import pytest

from edgevision.backoff import Backoff
from edgevision.daemon.triggered import MOST_WAITING, REMEMBERED, Burst, TriggeredSource
from edgevision.errors import SourceInvalid, SourceLost, SourceUnavailable, StationError
from edgevision.media.pixels import ArrayPixels
from edgevision.sources.base import Policy, SourceState
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


class Crashing(Camera):
    """A camera whose driver crashes so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._left = times

    def frames(self) -> Iterator[Frame]:
        if self._left:
            self._left -= 1
            message = "a driver's bug"
            raise RuntimeError(message)
        yield from super().frames()


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
    def __init__(self, camera: Camera | None = None, burst: Burst | None = None) -> None:
        self.camera, self.button = camera or Camera(), Button()
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
            burst=burst or Burst(),
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


def test_a_model_that_is_busy_does_not_change_which_frame_answers(rig: Rig) -> None:
    frames = rig.source.frames()
    rig.button.press("first")
    next(frames)
    rig.button.press("second")
    time.sleep(0.4)  # the loop is held up, as by a full batcher; the camera goes on
    frame = next(frames)
    assert frame.trigger_id == "second"
    assert frame.time.uncertainty_ms < 200


def test_a_trigger_that_is_told_late_gets_its_own_frame_or_none(rig: Rig) -> None:
    frames = rig.source.frames()
    rig.button.press("start")
    next(frames)
    time.sleep(0.05)
    now = datetime.now(timezone.utc)
    rig.button.signals.put(TriggerSignal("just now", now, time.monotonic() - 0.012))
    frame = next(frames)
    assert (frame.trigger_id, frame.time.uncertainty_ms < 12) == ("just now", True)
    rig.button.signals.put(TriggerSignal("long ago", now, time.monotonic() - 0.005 * REMEMBERED * 5))
    rig.button.press("end")
    assert next(frames).trigger_id == "end"
    assert rig.missed == ["long ago"]


def test_a_trigger_may_ask_for_several_frames_in_a_row() -> None:
    rig = Rig(burst=Burst(3, 0.5))
    frames = rig.source.frames()
    rig.button.press("a")
    rig.button.press("b")
    got = [next(frames) for _ in range(6)]
    rig.source.close()
    assert [frame.trigger_id for frame in got] == ["a"] * 3 + ["b"] * 3
    times = [frame.time.time_utc for frame in got[:3]]
    assert times == sorted(times)
    assert len(set(times)) == 3
    assert [frame.index for frame in got] == list(range(6))


def test_a_burst_that_the_camera_does_not_finish_gives_what_there_is() -> None:
    rig = Rig(burst=Burst(1000, 0.1))
    frames = rig.source.frames()
    rig.button.press("a")
    first = next(frames)
    rig.source.close()
    assert first.trigger_id == "a"
    assert rig.missed == []


def test_a_driver_that_crashes_once_is_started_again() -> None:
    rig = Rig(Crashing(1))
    frames = rig.source.frames()
    threading.Timer(1.5, lambda: rig.button.press("after")).start()
    assert next(frames).trigger_id == "after"
    rig.source.close()


def test_a_driver_that_goes_on_crashing_is_a_camera_that_has_failed() -> None:
    rig = Rig(Crashing(1000))
    with pytest.raises(SourceInvalid, match="a driver's bug"):
        next(rig.source.frames())
    rig.source.close()


def test_a_camera_that_was_closed_says_nothing_more(rig: Rig) -> None:
    rig.button.press("one")
    next(rig.source.frames())
    rig.source.close()
    said = len(rig.states)
    rig.camera.on.clear()
    time.sleep(0.1)
    assert len(rig.states) == said


def test_a_repeated_trigger_is_answered_once_and_never_missed(rig: Rig) -> None:
    frames = rig.source.frames()
    rig.button.press("one")
    assert next(frames).trigger_id == "one"
    rig.button.press("one")  # a machine that got no answer asks again: another part may stand there by now
    rig.button.press("two")
    assert next(frames).trigger_id == "two"
    rig.camera.on.clear()
    assert rig.lost.wait(5)
    rig.button.press("two")
    rig.button.press("three")
    deadline = time.monotonic() + 10
    while not rig.missed and time.monotonic() < deadline:
        time.sleep(0.02)
    assert rig.missed == ["three"]


def test_more_triggers_than_can_wait_are_missed_and_told() -> None:
    rig = Rig()
    rig.camera.on.clear()
    frames = rig.source.frames()
    asking = threading.Thread(target=next, args=(frames, None))
    for number in range(MOST_WAITING + 5):
        rig.button.press(f"t{number}")
    asking.start()
    deadline = time.monotonic() + 10
    while len(rig.missed) < MOST_WAITING + 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    rig.source.close()
    asking.join(5)
    assert sorted(rig.missed[:5]) == [f"t{number}" for number in range(MOST_WAITING, MOST_WAITING + 5)]
    assert len(rig.missed) == MOST_WAITING + 5
