from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import islice

import numpy as np
import pytest

from edgevision.backoff import Backoff
from edgevision.errors import SourceError, SourceInvalid, SourceLost, SourceUnavailable
from edgevision.media.pixels import ArrayPixels
from edgevision.sources.base import Policy, SourceState
from edgevision.sources.capture import Capture
from edgevision.types import Frame, FrameTime

QUICK = Backoff(first_s=0.002, cap_s=0.004)
PIXELS = ArrayPixels(np.zeros((4, 4, 3), np.uint8))


class Scripted:
    """Each call of ``frames()`` follows the next item: so many frames, then the error."""

    policy: Policy = "latest"

    def __init__(self, *script: tuple[int, SourceError | None]) -> None:
        self.script = list(script)
        self.closed = False
        self.index = 0

    def frames(self) -> Iterator[Frame]:
        count, error = self.script.pop(0)
        for _ in range(count):
            yield Frame("cam", self.index, FrameTime(datetime.now(timezone.utc), float(self.index)), PIXELS)
            self.index += 1
        if error is not None:
            raise error

    def close(self) -> None:
        self.closed = True


def run(source: Scripted) -> tuple[list[int], list[tuple[SourceState, str]]]:
    frames: list[int] = []
    states: list[tuple[SourceState, str]] = []
    capture = Capture(
        "cam",
        source,
        lambda frame: frames.append(frame.index),
        lambda state, why: states.append((state, why)),
        backoff=QUICK,
    )
    capture.run(threading.Event())
    return frames, states


def test_a_source_that_ends_is_ended() -> None:
    source = Scripted((3, None))
    frames, states = run(source)
    assert frames == [0, 1, 2]
    assert states == [(SourceState.STARTING, ""), (SourceState.ONLINE, ""), (SourceState.ENDED, "")]
    assert source.closed


def test_it_reconnects_until_frames_come_again() -> None:
    away, lost = SourceUnavailable("nobody there"), SourceLost("gone")
    frames, states = run(Scripted((0, away), (2, lost), (0, away), (1, None)))
    assert frames == [0, 1, 2]
    assert [state for state, _ in states] == [
        SourceState.STARTING,
        SourceState.RECONNECTING,
        SourceState.ONLINE,
        SourceState.RECONNECTING,
        SourceState.RECONNECTING,
        SourceState.ONLINE,
        SourceState.ENDED,
    ]
    assert [why for _, why in states if why] == ["nobody there", "gone", "nobody there"]


def test_what_can_never_work_is_not_tried_again() -> None:
    source = Scripted((0, SourceInvalid("no such codec")), (9, None))
    frames, states = run(source)
    assert frames == []
    assert states[-1] == (SourceState.FAILED, "no such codec")
    assert len(source.script) == 1


@pytest.mark.parametrize("script", [[(0, SourceUnavailable("away"))], [(1_000_000, None)]], ids=["waiting", "running"])
def test_stop_ends_it_at_once(script: list[tuple[int, SourceError | None]]) -> None:
    source, stop, reached = Scripted(*script), threading.Event(), threading.Event()
    states: list[SourceState] = []

    def on_state(state: SourceState, _: str) -> None:
        states.append(state)
        if state is not SourceState.STARTING:
            reached.set()

    slow = Backoff(first_s=1000, cap_s=1000)
    thread = threading.Thread(
        target=Capture("cam", source, lambda _: None, on_state, backoff=slow).run, args=(stop,), daemon=True
    )
    thread.start()
    assert reached.wait(10)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert source.closed
    assert states[-1] is not SourceState.ENDED


def test_a_camera_that_breaks_while_it_is_stopped_is_not_lost() -> None:
    stop = threading.Event()
    states: list[SourceState] = []

    class Stopped(Scripted):
        def frames(self) -> Iterator[Frame]:
            yield from islice(super().frames(), 2)
            stop.set()
            msg = "closed under way"
            raise SourceLost(msg)

    source = Stopped((2, None))
    Capture("cam", source, lambda _: None, lambda state, _: states.append(state), backoff=QUICK).run(stop)
    assert source.closed
    assert states == [SourceState.STARTING, SourceState.ONLINE]
